"""Remembering is an LSTM's default behaviour."""

import math

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.figures import Figure, Figures, exact, middle
from evidence.jobs import run_jobs
from evidence.page import number
from gatework.tracing import half_life

SEEDS = 7
HIDDEN = 32
STEPS = 60
CHRONO = 784
LONG = 100  # steps; to remember "for long" means a longer half-life than this
LAYERS = {
    "rnn": ("rnn", {}),
    "lstm_1997": ("lstm_1997", {}),
    "lstm": ("lstm", {}),
    f"lstm, chrono for {CHRONO} steps": ("lstm", {"init": "chrono", "chrono_steps": CHRONO}),
}
_BIASES = (0.0, 1.0, 5.0)
_BY_RULE = "lstm, forget bias {:g}: half-life without input"
_DRAWN = "{}, untrained, over noise: half-life"
_CAROUSEL = "lstm_1997: half-life without input"


def _measure(context: Context) -> Measured:
    rule = "the equations, all weights zero"
    figures: list[Figure] = [exact(_CAROUSEL, half_life("lstm_1997"), rule, unit="steps")]
    figures += [exact(_BY_RULE.format(bias), half_life("lstm", bias), rule, unit="steps") for bias in _BIASES]
    pieces = [
        {"cell": cell, "seeds": list(range(SEEDS)), "steps": STEPS, "hidden_size": HIDDEN, "options": options}
        for cell, options in LAYERS.values()
    ]
    found = run_jobs(context, "half-lives", pieces)
    for layer, one in zip(LAYERS, found, strict=True):
        name, lives = _DRAWN.format(layer), one["half_life"]
        if all(math.isinf(life) for life in lives):
            figures.append(exact(name, math.inf, f"{SEEDS} layers, in all of them", unit="steps"))
        else:
            figures.append(middle(name, lives, "layers", unit="steps", scale="log", grain=0.02))
    settings = {"hidden_size": HIDDEN, "seeds": SEEDS, "steps_of_noise": STEPS}
    return Measured(figures, settings, sum(one["seconds"] for one in found))


def _judge(figures: Figures) -> Verdict:
    carousel, chrono = figures[_CAROUSEL], figures[_DRAWN.format(f"lstm, chrono for {CHRONO} steps")]
    ours, plain = figures[_DRAWN.format("lstm")], figures[_DRAWN.format("rnn")]
    told = (
        f"Before training, the half-life of the cell state is {number(carousel.value)} steps in the LSTM of 1997, "
        f"{number(ours.value)} in an LSTM with forget gates at the usual bias of 1, and {number(chrono.value)} if the "
        f"biases are drawn for {CHRONO} steps. The half-life of a plain network's state is {number(plain.value)} steps."
    )
    if carousel.low <= LONG:
        return Verdict("does not hold", told)
    if ours.low > LONG:
        return Verdict("holds", told)
    end = "With a forget gate, remembering is the default only if the bias is large enough."
    return Verdict("holds with a condition", f"{told} {end}")


CLAIM = Claim(
    id="default",
    title="Remembering as the default",
    claim="An LSTM remembers for long by default; it does not have to learn this with effort.",
    whose="Olah 2015, Understanding LSTM Networks",
    commands=("python -m evidence --only default",),
    measure=_measure,
    judge=_judge,
    shown=(_CAROUSEL, _DRAWN.format("rnn"), _DRAWN.format("lstm"), _DRAWN.format(f"lstm, chrono for {CHRONO} steps")),
    cost=10,
    bounds="The figures describe layers before training, and training moves the gates. The half-life is measured along "
    "the cell state only, with the gates held fixed. A plain network has no such path, so there it is computed from "
    "the norm of the whole Jacobian.",
)
