"""The picture of a comparison: the criterion's metric against the gap, one line with a band for each cell."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from math import log
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from gatework.fonts import families_for, png_of
from gatework.search.comparing.results import Comparison

# The colours of Okabe & Ito, which people with any kind of colour vision can distinguish, except yellow, which is too
# light for a line on white. Each has a marker, for print without colours.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LINES = ("-", "--", ":")
# Cells that are often compared look the same in every picture; the others use the remaining styles.
_FIXED = {name: place for place, name in enumerate(("rnn", "lstm", "gru", "irnn", "peephole", "cifg", "lstm_1997"))}
_DASHED = (0, (4, 3))
_INK, _FAINT, _GUIDE = "#333333", "#e4e4e4", "#888888"
# Metrics that are fractions: their axis runs from 0 to 1.
_SHARES = ("accuracy", "solved")
# The distance between the centres of two labels, in points.
_APART = 13.0
# The horizontal shift between the points of two cells at the same gap, so that no point hides another, as a fraction of
# the way to the next gap.
_DODGE = 0.02


class _Curve(NamedTuple):
    label: str
    style: dict[str, Any]
    points: list[tuple[float, float, float, float]]  # place, median, low, high
    runs: list[tuple[float, float]]  # place, value


def draw_gaps(comparison: Comparison) -> bytes:
    """Draw the metric of every cell against the gap.

    Args:
        comparison: The comparison.

    Returns:
        A PNG picture.
    """
    figure = Figure(figsize=(8.6, 5), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    success, curves = comparison.task["success"], _curves(comparison)
    if success["metric"] in _SHARES:
        axes.set_ylim(-0.03, 1.03)
    elif all(value > 0 for value in (*_levels(comparison), *_heights(curves))):
        axes.set_yscale("log")
    for curve in curves:
        _draw(axes, curve)
    _guides(axes, comparison)
    _finish(axes, comparison)
    # Labels are spread in points of the page, which are known only once everything else is laid out.
    FigureCanvasAgg(figure).draw()
    _label_ends(axes, [curve for curve in curves if curve.points])
    return png_of(figure)


def _heights(curves: Sequence[_Curve]) -> Iterator[float]:
    return (value for curve in curves for _, *values in curve.points for value in values)


def _levels(comparison: Comparison) -> list[float]:
    """List the heights of the lines across the picture: the threshold, and the baseline at each gap."""
    success = comparison.task["success"]
    limit = success["at_least"] if success["at_least"] is not None else success["at_most"]
    baselines = (entry[success["metric"]] for entry in comparison.task["chance"])
    return [limit, *(baseline for baseline in baselines if baseline is not None)]


def _curves(comparison: Comparison) -> list[_Curve]:
    """Collect the points of each cell; values that are not finite cannot be drawn."""
    gaps, cells = comparison.config.gaps, tuple(comparison.config.entries)
    styles = _styles(comparison.config.entries)
    places = _places(gaps)
    reach = places[gaps[-1]] - places[gaps[0]] or 1.0
    curves = []
    for number, cell in enumerate(cells):
        aside = _DODGE * reach * (number - (len(cells) - 1) / 2) / max(1, len(cells) - 1)
        points, runs = [], []
        for gap in gaps:
            summary = comparison.summary[cell, gap]
            if summary.median is not None and summary.low is not None and summary.high is not None:
                points.append((places[gap] + aside, summary.median, summary.low, summary.high))
            runs += [(places[gap] + aside, value) for value in summary.values if value is not None]
        curves.append(_Curve(cell, styles[cell], points, runs))
    return curves


def _styles(cells: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Choose the colour, marker and line of each cell: those fixed for its name, or else the first unused ones.

    Args:
        cells: The names or equations of the cells, by label.

    Returns:
        The style of each cell. Styles repeat only if there are more cells than distinguishable styles.
    """
    places: dict[str, int] = {}
    for label, text in cells.items():
        if text in _FIXED and _FIXED[text] not in places.values():
            places[label] = _FIXED[text]
    free = (place for place in count() if place not in places.values())
    places |= {label: next(free) for label in cells if label not in places}
    return {
        label: {
            "color": _COLOURS[place % len(_COLOURS)],
            "marker": _MARKERS[place % len(_MARKERS)],
            "linestyle": _LINES[place // len(_COLOURS) % len(_LINES)],
        }
        for label, place in places.items()
    }


def _places(gaps: Sequence[int]) -> dict[int, float]:
    """Return the position of each gap on the axis: its logarithm, or that of gap + 1 if there is a gap of 0."""
    return {gap: log(gap + (gaps[0] < 1)) for gap in gaps}


def _draw(axes: Any, curve: _Curve) -> None:
    """Draw one cell: a faint point for each run, a line for the medians, a band for their intervals."""
    colour, marker = curve.style["color"], curve.style["marker"]
    if curve.runs:
        axes.scatter(*zip(*curve.runs, strict=True), s=13, color=colour, marker=marker, alpha=0.45, linewidths=0)
    if not curve.points:
        return
    places, medians, lows, highs = zip(*curve.points, strict=True)
    axes.fill_between(places, lows, highs, color=colour, alpha=0.13, linewidth=0)
    axes.vlines(places, lows, highs, color=colour, alpha=0.35, linewidth=1.2)
    axes.plot(
        places, medians, linewidth=1.9, markersize=6.5, markeredgecolor="white", markeredgewidth=0.8, **curve.style
    )


def _guides(axes: Any, comparison: Comparison) -> None:
    """Draw the baseline, which is the best trivial predictor, and the threshold at which a run counts as solved."""
    metric = comparison.task["success"]["metric"]
    limit = _levels(comparison)[0]
    places = _places(comparison.config.gaps)
    baseline = [
        (places[entry["gap"]], entry[metric]) for entry in comparison.task["chance"] if entry[metric] is not None
    ]
    axes.axhline(limit, color=_GUIDE, linewidth=1.0, linestyle="-", zorder=1)
    if len(baseline) == 1:  # one gap is one point: the level is then drawn across the picture
        axes.axhline(baseline[0][1], color=_GUIDE, linewidth=1.2, linestyle=_DASHED, zorder=1)
    elif baseline:
        axes.plot(*zip(*baseline, strict=True), color=_GUIDE, linewidth=1.2, linestyle=_DASHED, zorder=1)
    # The words go to the left of the first gap, where there are no points.
    predictor = comparison.task.get("predictor") or "guessing"
    words = {"solved": limit, **({predictor: baseline[0][1]} if baseline else {})}
    for word, height in words.items():
        place = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "ha": "left", "va": "top"}
        axes.annotate(word, (0, height), xytext=(3, -3), color=_GUIDE, fontsize=9, **place)


def _finish(axes: Any, comparison: Comparison) -> None:
    """Set title, axes and grid."""
    config, task = comparison.config, comparison.task
    matched = f"as many parameters as {comparison.reference}" if config.match == "parameters" else "as many units"
    title = (
        f"{task['title']}: median of {config.seeds} run{'s' if config.seeds > 1 else ''} and 95 % interval, {matched}"
    )
    axes.set_title(
        title,
        parse_math=False,
        fontfamily=families_for(title),
        loc="left",
        fontsize=11.5,
        color=_INK,
        pad=12,
    )
    gap = f"gap ({task['gap'].split(';')[0]})"
    axes.set_xlabel(gap, color=_INK, parse_math=False, fontfamily=families_for(gap))
    axes.set_ylabel(f"{task['success']['metric'].replace('_', ' ')} on test sequences", color=_INK)
    places = list(_places(config.gaps).values())
    axes.set_xticks(places, [f"{gap:,}" for gap in config.gaps])
    reach = places[-1] - places[0]
    left, right = (0.1 * reach, 0.03 * reach) if reach else (0.5, 0.5)
    axes.set_xlim(places[0] - left, places[-1] + right)
    axes.grid(which="major", color=_FAINT, linewidth=0.8)
    axes.tick_params(which="both", colors=_INK, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_axisbelow(True)


def _label_ends(axes: Any, curves: list[_Curve]) -> None:
    """Write each cell's name in the right margin beside the end of its line, or in a legend if they do not fit."""
    transform, scale = axes.transData, 72 / axes.figure.dpi
    ends = [(transform.transform(curve.points[-1][:2])[1] * scale, curve) for curve in curves]
    ends.sort(key=lambda end: end[0])
    box = axes.get_window_extent()
    if len(ends) * _APART > box.height * scale:
        labels = [curve.label for _, curve in ends]
        axes.legend(labels, prop={"size": 8, "family": families_for("".join(labels))})
        return
    heights = spread([height for height, _ in ends], box.y0 * scale, box.y1 * scale)
    edge = axes.get_xlim()[1]
    for height, (end, curve) in zip(heights, ends, strict=True):
        place, aside = (edge, curve.points[-1][1]), height - end
        own = {key: value for key, value in curve.style.items() if key != "linestyle"}
        shifted = transform + ScaledTranslation(8 / 72, aside / 72, axes.figure.dpi_scale_trans)
        axes.plot(*place, markersize=5, clip_on=False, transform=shifted, linestyle="none", **own)
        axes.annotate(
            curve.label,
            place,
            xytext=(15, aside),
            textcoords="offset points",
            va="center",
            color=curve.style["color"],
            fontsize=10,
            annotation_clip=False,
            parse_math=False,
            fontfamily=families_for(curve.label),
        )
    axes.set_xlim(right=edge)


def spread(heights: list[float], low: float, high: float, apart: float = _APART) -> list[float]:
    """Move heights apart as little as possible until none is too near another, and keep them within bounds.

    Args:
        heights: The preferred heights of labels, in ascending order.
        low: The lower bound.
        high: The upper bound; exceeded only if there is not enough room.
        apart: The smallest distance.

    Returns:
        The new heights.

    Example:
        >>> spread([10.0, 11.0, 50.0], 0.0, 100.0, apart=10.0)
        [5.5, 15.5, 50.0]
    """
    groups: list[tuple[float, list[float]]] = []  # the preferred centre of a block, and the preferred heights in it
    for height in heights:
        wishes = [height]
        while True:
            middle = sum(wishes) / len(wishes)
            middle = min(max(middle, low + apart * (len(wishes) - 1) / 2), high - apart * (len(wishes) - 1) / 2)
            if not groups or middle - groups[-1][0] >= apart * (len(wishes) + len(groups[-1][1])) / 2:
                break
            wishes = groups.pop()[1] + wishes
        groups.append((middle, wishes))
    return [
        middle + apart * (place - (len(wishes) - 1) / 2) for middle, wishes in groups for place in range(len(wishes))
    ]
