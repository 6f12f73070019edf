"""The gradient vanishes in a plain network, and not along the cell state."""

from statistics import median

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.figures import Figure, Figures, exact, middle
from evidence.jobs import run_jobs
from evidence.page import number, shown
from evidence.pictures import draw_gradients

STEPS = 100
SEEDS = 7
HIDDEN = 16
TASK = {"task": "latch", "gap": 10, "learning_rate": 0.01, "steps": 800}
# The name of a layer on the page, its cell, and its initialisation.
LAYERS = {
    "rnn": ("rnn", {}),
    "lstm_1997": ("lstm_1997", {}),
    "lstm, forget bias 1": ("lstm", {}),
    "lstm, forget bias 5": ("lstm", {"forget_bias": 5.0}),
}
_LEFT = f"gradient left after {STEPS} steps"
_DIRECT = f"left along the cell state after {STEPS} steps"
# A smaller share than this is negligible compared with the other contributions to the gradient.
GONE = 1e-6


def _measure(context: Context) -> Measured:
    pieces = [
        {"cell": cell, "seeds": list(range(SEEDS)), "steps": STEPS, "hidden_size": HIDDEN, "options": options,
         "training": training}
        for cell, options in LAYERS.values()
        for training in (None, TASK)
    ]  # fmt: skip
    found = run_jobs(context, "gradients", pieces)
    figures: list[Figure] = []
    for place, layer in enumerate(LAYERS):
        for how, one in zip(("untrained", "trained"), found[2 * place :], strict=False):
            figures += _figures(f"{layer}, {how}", one)
    settings = {"hidden_size": HIDDEN, "seeds": SEEDS, "trained_on": TASK}
    # The median over the untrained layers, at every distance.
    curves = {
        layer: [median(values) for values in zip(*found[2 * place]["curve"], strict=True)]
        for place, layer in enumerate(LAYERS)
    }
    return Measured(figures, settings, sum(one["seconds"] for one in found), draw_gradients(curves))


def _figures(layer: str, found: dict[str, list[float]]) -> list[Figure]:
    figures = [middle(f"{layer}: {_LEFT}", found["left"], "layers", scale="log", grain=0.5)]
    if "direct" in found:
        name = f"{layer}: {_DIRECT}"
        if set(found["direct"]) == {1.0}:
            figures.append(exact(name, 1.0, f"{len(found['direct'])} layers, in all of them"))
        else:
            figures.append(middle(name, found["direct"], "layers", scale="log", grain=0.5))
    if "accuracy" in found:
        figures.append(middle(f"{layer}: accuracy", found["accuracy"], "layers", grain=0.02))
    return figures


def _judge(figures: Figures) -> Verdict:
    plain = figures[f"rnn, untrained: {_LEFT}"]
    carousel = figures[f"lstm_1997, untrained: {_DIRECT}"]
    one = figures[f"lstm, forget bias 1, untrained: {_DIRECT}"]
    five = figures[f"lstm, forget bias 5, untrained: {_DIRECT}"]
    told = (
        f"After {STEPS} steps, {number(plain.value)} of the gradient is left in an untrained plain network. Along the "
        f"cell state, {number(carousel.value)} is left in the LSTM of 1997, {number(five.value)} with a forget gate of "
        f"initial bias 5, and {number(one.value)} with bias 1."
    )
    latched = figures[f"rnn, trained: {_LEFT}"]
    if latched.high < plain.low:
        told += (
            f" In plain networks that have learned to hold a sign over ten steps, even less is left: {shown(latched)}."
        )
    if plain.high >= GONE or carousel.low < 0.99 or five.low < 0.1:
        return Verdict("does not hold", told)
    if one.high < GONE:
        end = "So along the cell state the gradient does not vanish if the forget gates are open; with bias 1 it does."
        return Verdict("holds with a condition", f"{told} {end}")
    return Verdict("holds", told)


CLAIM = Claim(
    id="vanishing",
    title="The vanishing gradient",
    claim="Over many steps the gradient vanishes in a plain recurrent network, but not along an LSTM's cell state.",
    whose="Hochreiter & Schmidhuber 1997, sections 3 and 4; Bengio, Simard & Frasconi 1994",
    commands=("python -m evidence --only vanishing",),
    measure=_measure,
    judge=_judge,
    shown=(
        f"rnn, untrained: {_LEFT}",
        f"lstm_1997, untrained: {_DIRECT}",
        f"lstm, forget bias 1, untrained: {_DIRECT}",
        f"lstm, forget bias 5, untrained: {_DIRECT}",
    ),
    cost=30,
    bounds="The layers have 16 units and read noise like that of the task. Along the cell state, the remaining "
    "gradient is the product of the forget gates, as a geometric mean over units. The gradient through the gates comes "
    "on top, and is part of the other figure. The trained networks learned a latch over ten steps. A plain network "
    "holds a sign in a stable state, and Bengio et al. 1994 prove that gradients vanish there.",
)
