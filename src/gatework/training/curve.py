"""The picture of a run: its training and its held-out loss over the steps."""

import io
from collections.abc import Mapping, Sequence
from math import ceil, log2
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from gatework.tasks.text import bits_name

_TRAIN, _NOISE, _VALID, _INK, _FAINT = "#2f6ca8", "#8fb3d9", "#c8451b", "#333333", "#e4e4e4"


def draw_curve(lines: Sequence[Mapping[str, Any]], level: str, title: str) -> bytes:
    """Draw the loss of a run.

    Args:
        lines: The lines of ``metrics.jsonl``.
        level: ``byte`` and ``char`` are drawn in bits per symbol, ``word`` as perplexity on a logarithmic axis.
        title: What stands above it.

    Returns:
        A PNG picture.
    """
    quantity = "perplexity" if level == "word" else bits_name(level)
    train = [(line["step"], line[f"train_{quantity}"]) for line in lines if f"train_{quantity}" in line]
    valid = [(line["step"], line[f"valid_{quantity}"]) for line in lines if f"valid_{quantity}" in line]
    figure = Figure(figsize=(8, 4.5), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    if train:
        axes.plot(*zip(*train, strict=True), color=_NOISE, linewidth=1.1, alpha=0.55)
        axes.plot(*zip(*smooth(train), strict=True), color=_TRAIN, linewidth=1.8)
    if valid:
        axes.plot(*zip(*valid, strict=True), color=_VALID, linewidth=1.8, marker="o", markersize=4.5)
    _label_ends(axes, [("training", _TRAIN, smooth(train)), ("held out", _VALID, valid)])
    if level == "word":
        axes.set_yscale("log")
        for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_minor_locator(LogLocator(subs=(1.5, 2, 3, 5, 7)))
    elif valid or train:
        _zoom(axes, [value for _, value in train], [value for _, value in valid])
    axes.set_title(title, parse_math=False, loc="left", fontsize=12, color=_INK, pad=12)
    axes.set_xlabel("step", color=_INK)
    axes.set_ylabel("perplexity" if level == "word" else quantity.replace("_", " "), color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.grid(which="both", color=_FAINT, linewidth=0.8)
    axes.tick_params(which="both", colors=_INK, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_axisbelow(True)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return picture.getvalue()


def smooth(points: Sequence[tuple[int, float]], share: float = 0.02) -> list[tuple[int, float]]:
    """Average each point with its neighbours.

    Args:
        points: Step and value.
        share: The part of all points that is averaged over, at least three.

    Returns:
        As many points.
    """
    reach = max(1, ceil(len(points) * share / 2))
    found = []
    for place, (step, _) in enumerate(points):
        # The window shrinks where the loss still falls steeply; at the flat end it keeps what lies before.
        values = [value for _, value in points[place - min(reach, place) : place + min(reach, place) + 1]]
        found.append((step, sum(values) / len(values)))
    return found


def _label_ends(axes: Any, curves: Sequence[tuple[str, str, Sequence[tuple[int, float]]]]) -> None:
    """Write name and last value of each curve in the right margin, instead of a legend."""
    ends = sorted(((points[-1], name, colour) for name, colour, points in curves if points), key=lambda end: end[0][1])
    for number, ((step, value), name, colour) in enumerate(ends):
        # Two labels are moved apart, the lower one down and the upper one up: the values may be next to one another.
        shift = 0 if len(ends) == 1 else -9 if number == 0 else 9
        axes.annotate(
            f"{name} {value:.3f}" if value < 100 else f"{name} {value:,.0f}",
            (step, value),
            xytext=(8, shift),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=10,
            annotation_clip=False,
        )


def _zoom(axes: Any, train: Sequence[float], valid: Sequence[float]) -> None:
    """Leave out the first fall of the loss where it would flatten all the rest."""
    values = sorted([*train, *valid])
    low, middle, high = values[0], values[len(values) // 2], values[-1]
    if high > low and len(values) > 20 and (middle - low) < (high - low) / 6:
        axes.set_ylim(low - 0.08 * (middle - low + log2(1.1)), low + 6 * (middle - low))
