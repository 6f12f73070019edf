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
# How a layer is called here, its cell, and what it is drawn with.
LAYERS = {
    "rnn": ("rnn", {}),
    "lstm_1997": ("lstm_1997", {}),
    "lstm, forget bias 1": ("lstm", {}),
    "lstm, forget bias 5": ("lstm", {"forget_bias": 5.0}),
}
_LEFT = f"gradient left after {STEPS} steps"
_DIRECT = f"left along the cell state after {STEPS} steps"
# Less than this is as good as nothing beside what else moves the weights.
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
        for how, one in zip(("drawn", "trained"), found[2 * place :], strict=False):
            figures += _figures(f"{layer}, {how}", one)
    settings = {"hidden_size": HIDDEN, "seeds": SEEDS, "trained_on": TASK}
    # Of the layers as they are drawn, the middle one's at every distance.
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
    plain = figures[f"rnn, drawn: {_LEFT}"]
    carousel = figures[f"lstm_1997, drawn: {_DIRECT}"]
    one = figures[f"lstm, forget bias 1, drawn: {_DIRECT}"]
    five = figures[f"lstm, forget bias 5, drawn: {_DIRECT}"]
    told = (
        f"After {STEPS} steps {number(plain.value)} of the gradient is left in a plain network as it is drawn. Along "
        f"the cell state it is {number(carousel.value)} in the LSTM of 1997, {number(five.value)} with a forget gate "
        f"that starts at bias 5, and {number(one.value)} at bias 1."
    )
    latched = figures[f"rnn, trained: {_LEFT}"]
    if latched.high < plain.low:
        told += (
            f" In plain networks that have learned to hold a sign over ten steps still less is left, {shown(latched)}."
        )
    if plain.high >= GONE or carousel.low < 0.99 or five.low < 0.1:
        return Verdict("does not hold", told)
    if one.high < GONE:
        end = "So along the cell state it does not vanish where the forget gates are open; at bias 1 it does."
        return Verdict("holds with a condition", f"{told} {end}")
    return Verdict("holds", told)


CLAIM = Claim(
    id="vanishing",
    title="The vanishing gradient",
    claim="Through many steps the gradient vanishes in a plain recurrent network, and not along an LSTM's cell state.",
    whose="Hochreiter & Schmidhuber 1997, sections 3 and 4; Bengio, Simard & Frasconi 1994",
    commands=("python -m evidence --only vanishing",),
    measure=_measure,
    judge=_judge,
    shown=(
        f"rnn, drawn: {_LEFT}",
        f"lstm_1997, drawn: {_DIRECT}",
        f"lstm, forget bias 1, drawn: {_DIRECT}",
        f"lstm, forget bias 5, drawn: {_DIRECT}",
    ),
    cost=30,
    bounds="Layers of 16 units over noise like that of the task. What is left along the cell state is the product of "
    "the forget gates, the geometric mean over units; what goes through the gates comes on top, and is in the other "
    "figure. Trained are networks on a latch over ten steps. A plain network "
    "holds a sign in a state of rest, and that gradients vanish there Bengio et al. 1994 prove.",
)
