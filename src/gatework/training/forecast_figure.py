"""The picture of a forecast: what came before, what is forecast, and the intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from gatework.fonts import families_for, png_of
from gatework.training.forecasting import Forecast, SeriesForecast
from gatework.training.intervals import LEVELS, name_level

_PAST, _COMING, _INK, _FAINT = "#2f6ca8", "#c8451b", "#333333", "#e4e4e4"
# The most panels, one for each series and column; and how much of the past is shown, beside the forecast.
_MOST_PANELS = 6
_LEAST_PAST, _PAST_SHARE = 48, 4
_LONGEST_NAME = 60


def draw_forecast(forecast: Forecast, title: str) -> bytes:
    """Draw a forecast beside the last part of what came before.

    Args:
        forecast: The forecast.
        title: The title of the picture.

    Returns:
        A PNG picture, with a panel for each series and column, up to six.
    """
    panels = [(one, column) for one in forecast.series for column in range(len(forecast.columns))]
    shown = panels[:_MOST_PANELS]
    figure = Figure(figsize=(9, 1.2 + 2.9 * len(shown)), layout="constrained", facecolor="white")
    all_axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, (one, column) in zip(all_axes, shown, strict=True):
        _draw(axes, one, column)
        _finish(axes, one, _name(forecast, one, column))
    more = f" ({len(shown)} of {len(panels):,} panels)" if len(panels) > len(shown) else ""
    figure.suptitle(
        f"{title}{more}", x=0.01, ha="left", fontsize=12, color=_INK, family=families_for(title), parse_math=False
    )
    # One legend below all panels, with the lowest intervals last, as they are seen from the middle outwards.
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=10)
    return png_of(figure)


def _name(forecast: Forecast, one: SeriesForecast, column: int) -> str:
    named = forecast.name(forecast.columns[column])
    name = f"{one.name}: {named}" if one.name else named
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _draw(axes: Any, one: SeriesForecast, column: int) -> None:
    count = max(_LEAST_PAST, _PAST_SHARE * len(one.times))
    past, times = one.past[-count:, column], _places(one.past_times[-count:])
    # The forecast begins at the last row that came, so that no gap is seen.
    coming = np.concatenate([times[-1:], _places(one.times)])

    def joined(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([past[-1:], values[:, column]])

    for level, strength in zip(reversed(LEVELS), _strengths(LEVELS), strict=True):
        lower, upper = joined(one.lower[level]), joined(one.upper[level])
        label = f"{name_level(level)} interval"
        axes.fill_between(coming, lower, upper, color=_COMING, alpha=strength, linewidth=0, label=label)
    axes.plot(times, past, color=_PAST, linewidth=1.6, label="past")
    axes.plot(coming, joined(one.point), color=_COMING, linewidth=2.0, label="forecast")
    axes.axvline(times[-1], color=_INK, linewidth=0.8, linestyle=(0, (3, 3)), alpha=0.6)


def _strengths(levels: Sequence[float]) -> list[float]:
    """Return how strongly intervals are painted, the widest first: they lie one above the other."""
    return [0.15 + 0.08 * place for place in range(len(levels))]


def _places(times: NDArray) -> NDArray[np.float64]:
    if np.issubdtype(times.dtype, np.datetime64):
        return np.asarray(date2num(times.astype("datetime64[us]")))
    return times.astype(np.float64)


def _finish(axes: Any, one: SeriesForecast, name: str) -> None:
    axes.set_title(name, loc="left", fontsize=11, color=_INK, family=families_for(name), parse_math=False)
    axes.grid(color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    axes.margins(x=0.01)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    if np.issubdtype(one.times.dtype, np.datetime64):
        locator = AutoDateLocator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
