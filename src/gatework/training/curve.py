"""The picture of a run: the training loss and the held-out loss over the steps."""

from collections.abc import Mapping, Sequence
from math import ceil, log2
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from gatework.fonts import families_for, png_of

_AFTER = "Description"  # the field of the PNG file with the step after which it was drawn
_TRAIN, _NOISE, _VALID, _INK, _FAINT = "#2f6ca8", "#8fb3d9", "#c8451b", "#333333", "#e4e4e4"


def draw_curve(lines: Sequence[Mapping[str, Any]], quantity: str, title: str) -> bytes:
    """Draw the loss of a run.

    Args:
        lines: The lines of ``metrics.jsonl``.
        quantity: The metric to draw: bits per symbol; perplexity, on a logarithmic axis; or loss, on a logarithmic axis
            if it falls over powers of ten. A held-out accuracy, if the lines have one, is drawn below it.
        title: The title of the picture.

    Returns:
        A PNG picture.
    """
    train = [(line["step"], line[f"train_{quantity}"]) for line in lines if f"train_{quantity}" in line]
    valid = [(line["step"], line[f"valid_{quantity}"]) for line in lines if f"valid_{quantity}" in line]
    share = [(line["step"], line["valid_accuracy"]) for line in lines if "valid_accuracy" in line]
    figure = Figure(figsize=(8, 6 if share else 4.5), layout="constrained", facecolor="white")
    axes, *below = figure.subplots(
        2 if share else 1, sharex=True, squeeze=False, height_ratios=[2, 1][: 1 + bool(share)]
    )[:, 0]
    if train:
        axes.plot(*zip(*train, strict=True), color=_NOISE, linewidth=1.1, alpha=0.55)
        axes.plot(*zip(*smooth(train), strict=True), color=_TRAIN, linewidth=1.8)
    if valid:
        axes.plot(*zip(*valid, strict=True), color=_VALID, linewidth=1.8, marker="o", markersize=4.5)
    _label_ends(axes, [("training", _TRAIN, smooth(train)), ("held out", _VALID, valid)])
    values = [value for _, value in (*train, *valid)]
    if quantity == "perplexity" or (quantity == "loss" and _spans_decades(values)):
        axes.set_yscale("log")
        for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:.2g}"))
        if quantity == "perplexity":
            axes.yaxis.set_minor_locator(LogLocator(subs=(1.5, 2, 3, 5, 7)))
        else:
            axes.yaxis.set_minor_formatter(NullFormatter())
    elif values:
        _zoom(axes, [value for _, value in train], [value for _, value in valid])
    axes.set_title(title, parse_math=False, loc="left", fontsize=12, color=_INK, pad=12, fontfamily=families_for(title))
    axes.set_ylabel(quantity.replace("_", " "), color=_INK)
    if share:
        below[0].plot(*zip(*share, strict=True), color=_VALID, linewidth=1.8, marker="o", markersize=4.5)
        below[0].set_ylim(-0.03, 1.03)
        below[0].set_ylabel("held-out accuracy", color=_INK)
        below[0].yaxis.set_major_formatter(PercentFormatter(1))
    for panel in (axes, *below):
        panel.grid(which="both", color=_FAINT, linewidth=0.8)
        panel.tick_params(which="both", colors=_INK, length=0)
        panel.set_axisbelow(True)
        for side in panel.spines.values():
            side.set_visible(False)
    last = below[0] if share else axes
    last.set_xlabel("step", color=_INK)
    last.xaxis.set_major_locator(MaxNLocator(integer=True))
    last.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    return png_of(figure, {_AFTER: _after(lines)})


def is_drawn_from(picture: bytes, lines: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a picture shows the run up to its last line of metrics.

    Args:
        picture: A PNG picture of the run.
        lines: The lines of ``metrics.jsonl``.
    """
    return f"{_AFTER}\0{_after(lines)}".encode("latin-1") in picture


def _after(lines: Sequence[Mapping[str, Any]]) -> str:
    return f"after step {lines[-1]['step'] if lines else 0}."


def _spans_decades(values: Sequence[float]) -> bool:
    """Tell whether values span powers of ten; otherwise a logarithmic axis would have no labels."""
    return bool(values) and 0 < 30 * min(values) < max(values)


def smooth(points: Sequence[tuple[int, float]], share: float = 0.02) -> list[tuple[int, float]]:
    """Average each point with its neighbours.

    Args:
        points: The step and the value of each point.
        share: The size of the window, as a fraction of all points; at least three points.

    Returns:
        The same number of points.
    """
    reach = max(1, ceil(len(points) * share / 2))
    means = []
    for index, (step, _) in enumerate(points):
        # The window shrinks at the beginning, where the loss falls steeply. At the flat end, only its right half does.
        values = [value for _, value in points[index - min(reach, index) : index + min(reach, index) + 1]]
        means.append((step, sum(values) / len(values)))
    return means


def _label_ends(axes: Any, curves: Sequence[tuple[str, str, Sequence[tuple[int, float]]]]) -> None:
    """Write the name and the last value of each curve in the right margin, in place of a legend."""
    ends = sorted(((points[-1], name, colour) for name, colour, points in curves if points), key=lambda end: end[0][1])
    for number, ((step, value), name, colour) in enumerate(ends):
        # Two labels are moved apart, because their values may be close: the lower one down, the upper one up.
        shift = 0 if len(ends) == 1 else -9 if number == 0 else 9
        axes.annotate(
            f"{name} {value:.3f}"
            if 0.1 <= value < 100
            else f"{name} {value:.2g}"
            if value < 0.1
            else f"{name} {value:,.0f}",
            (step, value),
            xytext=(8, shift),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=10,
            annotation_clip=False,
        )


def _zoom(axes: Any, train: Sequence[float], valid: Sequence[float]) -> None:
    """Leave out the initial fall of the loss if it would flatten the rest of the curve."""
    values = sorted([*train, *valid])
    low, middle, high = values[0], values[len(values) // 2], values[-1]
    if high > low and len(values) > 20 and (middle - low) < (high - low) / 6:
        # The end of the held-out loss is never cut off, however far it is above the training loss.
        top = max(low + 6 * (middle - low), *(1.05 * value for value in valid[-1:]))
        axes.set_ylim(low - 0.08 * (middle - low + log2(1.1)), top)
