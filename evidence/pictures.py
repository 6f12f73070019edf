"""Pictures of what was measured beside comparisons: gradients over time, and what a unit holds through a sentence."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe & Ito's colours, which people with any kind of colour vision can tell apart; lines differ in their dashes too.
_COLOURS = ("#D55E00", "#009E73", "#0072B2", "#CC79A7")
_DASHES = ("-", (0, (6, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))
_INK, _FAINT = "#333333", "#e4e4e4"
# Less than this is drawn as this: it is nothing, and an axis must end.
_FLOOR = 1e-30


def draw_gradients(curves: Mapping[str, Sequence[float]]) -> bytes:
    """Draw how much of a gradient is left, against how many steps it has come back.

    Args:
        curves: For each layer what is left after 0, 1, 2 ... steps.

    Returns:
        A PNG picture.
    """
    figure = Figure(figsize=(8.6, 4.6), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_yscale("log")
    for (label, values), colour, dashes in zip(curves.items(), _COLOURS, _DASHES, strict=True):
        told = [max(_FLOOR, value) for value in values]
        axes.plot(range(len(told)), told, color=colour, linestyle=dashes, linewidth=2, label=label)
    axes.set_xlabel("steps back")
    axes.set_ylabel("of the gradient left")
    axes.set_title(
        "What is left of dL/ds in untrained layers, s being h of the plain network, c of the others", loc="left"
    )
    axes.legend(frameon=False, loc="lower left")
    _plain(axes)
    return _png(figure)


def draw_sentences(found: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Draw the cell state of one unit, word by word, over two sentences of each kind.

    Args:
        found: For each kind of sentence: ``unit``, its number; and ``sentences``, each with its ``words``, the
            ``values`` of the unit's cell state after them, and the ``answer``.

    Returns:
        A PNG picture.
    """
    figure = Figure(figsize=(9.6, 2.5 * sum(len(one["sentences"]) for one in found.values()) / 2 + 1.2),
                    layout="constrained", facecolor="white")  # fmt: skip
    every = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for axes, (kind, one) in zip(every, found.items(), strict=True):
        words = max(len(told["words"]) for told in one["sentences"])
        for place, told in enumerate(one["sentences"]):
            colour = _COLOURS[place]
            axes.plot(told["values"], color=colour, linestyle=_DASHES[place], marker="o", linewidth=2,
                      label=f"… {told['answer']}")  # fmt: skip
            rest = [other["values"] for other in one["sentences"][:place] + one["sentences"][place + 1 :]]
            for step, (word, value) in enumerate(zip(told["words"], told["values"], strict=True)):
                # Words stand on the side where the other sentence is not; where both are equal the first is above.
                others = [values[step] for values in rest if step < len(values)]
                above = all(value > other or (value == other and place == 0) for other in others)
                axes.annotate(word, (step, value), (0, 9 if above else -9), textcoords="offset points",
                              ha="center", va="bottom" if above else "top", fontsize=9, color=colour)  # fmt: skip
        axes.axhline(0, color=_INK, linewidth=0.8)
        axes.set_xlim(-0.6, words - 0.4)
        axes.margins(y=0.3)
        axes.set_xticks([])
        axes.set_ylabel("cell state c")
        axes.set_title(f"{kind}: unit {one['unit']}", loc="left")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title="the answer")
        _plain(axes)
    return _png(figure)


def _plain(axes: Any) -> None:
    axes.grid(axis="y", color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return picture.getvalue()
