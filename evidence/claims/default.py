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
LONG = 100  # steps; who says that something is remembered for long means more
LAYERS = {
    "rnn": ("rnn", {}),
    "lstm_1997": ("lstm_1997", {}),
    "lstm": ("lstm", {}),
    f"lstm, chrono for {CHRONO} steps": ("lstm", {"init": "chrono", "chrono_steps": CHRONO}),
}
_BIASES = (0.0, 1.0, 5.0)
_BY_RULE = "lstm, forget bias {:g}: half-life without input"
_DRAWN = "{}, as drawn, over noise: half-life"
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
        f"Of what is in the cell state of an untrained LSTM of 1997 half is left after {number(carousel.value)} steps, "
        f"of one with forget gates at the usual bias of 1 after {number(ours.value)}, and after {number(chrono.value)} "
        f"where biases are drawn for {CHRONO} steps; of a plain network's state after {number(plain.value)}."
    )
    if carousel.low <= LONG:
        return Verdict("does not hold", told)
    if ours.low > LONG:
        return Verdict("holds", told)
    end = "With a forget gate it is the default only where its bias makes it so."
    return Verdict("holds with a condition", f"{told} {end}")


CLAIM = Claim(
    id="default",
    title="Remembering as the default",
    claim="To remember for long is what an LSTM does by default, not something it has to learn with effort.",
    whose="Olah 2015, Understanding LSTM Networks",
    commands=("python -m evidence --only default",),
    measure=_measure,
    judge=_judge,
    shown=(_CAROUSEL, _DRAWN.format("rnn"), _DRAWN.format("lstm"), _DRAWN.format(f"lstm, chrono for {CHRONO} steps")),
    cost=10,
    bounds="What a layer keeps before training; training moves the gates. Along the cell state only, gates held where "
    "they are. A plain network has no such line: there it is the norm of the whole Jacobian.",
)
