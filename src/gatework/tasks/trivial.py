"""Predictors that learn nothing: no change, the season before, the mean. A forecast has to be held against them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERSISTENCE, SEASONAL, MEAN = "persistence", "seasonal", "mean"
# The most rows at the end of a training part in which a season is looked for.
_MOST_ROWS = 1 << 17
# The least autocorrelation at the peak of a season.
_LEAST_PEAK = 0.3
# Of peaks almost as high as the highest one, the first counts: multiples of a season are no seasons of their own.
_ALMOST = 0.9


@dataclass(frozen=True)
class Asked:
    """The steps of one series at which the next values are asked.

    Args:
        series: The whole series ``[n, C]``.
        learned: The number of its rows that are in the training part.
        begin: The first step with an answer.
        end: The step after the last one with an answer; with ``begin`` or less there is none.
    """

    series: NDArray[np.float64]
    learned: int
    begin: int
    end: int


def find_season(parts: Sequence[NDArray[np.float64]]) -> int:
    """Find the number of rows of a season, as the first high peak of the autocorrelation.

    The linear trend of every column is taken out, and the autocorrelations are averaged over columns and series.

    Args:
        parts: The training part of each series ``[n, C]``.

    Returns:
        The number of rows, at most a third of the longest part; 0 if there is no peak above 0.3.

    Example:
        >>> find_season([np.sin(np.arange(200) * 2 * np.pi / 12)[:, None]])
        12
        >>> find_season([np.arange(200.0)[:, None]])
        0
    """
    parts = [part[-_MOST_ROWS:] for part in parts if len(part) >= 6]
    if not parts:
        return 0
    most = max(map(len, parts)) // 3
    total, weights = np.zeros(most + 1), np.zeros(most + 1)
    for part in parts:
        reach = len(part) // 3
        total[: reach + 1] += len(part) * _autocorrelation(part, reach)
        weights[: reach + 1] += len(part)
    curve = total / weights
    inner = curve[1:-1]
    peaks = [place + 1 for place in np.flatnonzero((inner >= curve[:-2]) & (inner > curve[2:])) if place]
    high = [place for place in peaks if curve[place] > _LEAST_PEAK]
    if not high:
        return 0
    top = max(curve[place] for place in high)
    return int(next(place for place in high if curve[place] >= _ALMOST * top))


def _autocorrelation(part: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return the mean autocorrelation of the columns up to a lag ``[reach + 1]``; 0 for columns that are a line."""
    time = np.arange(len(part)) - (len(part) - 1) / 2
    part = part / np.maximum(np.abs(part).max(axis=0), 1e-300)  # no square of it is too large
    centred = part - part.mean(axis=0)
    rest = centred - np.outer(time, time @ centred / (time @ time))
    size = 1 << (2 * len(part) - 1).bit_length()
    power = np.abs(np.fft.rfft(rest, size, axis=0)) ** 2
    covariance = np.fft.irfft(power, size, axis=0)[: reach + 1]
    spread = np.square(rest).sum(axis=0)
    curved = spread > 1e-9 * np.maximum(np.square(centred).sum(axis=0), 1e-300)
    return (covariance / np.where(curved, spread, 1.0) * curved).mean(axis=1)


def find_weights(parts: Sequence[NDArray[np.float64]], season: int) -> NDArray[np.float64]:
    """Return what an absolute error counts in the mean absolute scaled error (MASE) of each series and column.

    It is one over the mean absolute difference of the training part to the season before, or to the row before where
    there is no season (Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001). A column that never changes
    counts nothing, and the others so much more, so that the mean over all columns is the mean over those that change.

    Args:
        parts: The training part of each series ``[n, C]``.
        season: The number of rows of a season; 0 for none.

    Returns:
        The weights ``[N, C]``; all 0 if nothing ever changes.

    Example:
        >>> find_weights([np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])], season=0).tolist()
        [[1.0, 0.0]]
    """
    columns = parts[0].shape[1]
    scales = np.full((len(parts), columns), np.nan)
    for number, part in enumerate(parts):
        lag = season if 0 < season < len(part) else 1
        if len(part) > lag:
            scales[number] = np.abs(part[lag:] - part[:-lag]).mean(axis=0)
    known = ~np.isnan(scales)
    # A series without a training part of its own is measured by those of the others.
    typical = np.where(known, scales, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    scales = np.where(known, scales, typical)
    changes = scales > 0
    weights = np.where(changes, 1 / np.where(changes, scales, 1.0), 0.0)
    return weights * columns / np.maximum(changes.sum(axis=1, keepdims=True), 1)


def measure_trivial(
    asked: Sequence[Asked], horizon: int, season: int, weights: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    """Measure the trivial predictors of the next values of several series.

    ``persistence`` answers the values read last, ``seasonal`` those of the last season that has been read, and ``mean``
    the mean of the training part of the series. Where no whole season has been read yet, ``seasonal`` answers as
    ``persistence`` does.

    Args:
        asked: The steps of each series at which there are answers.
        horizon: The number of values to predict.
        season: The number of rows of a season; 0 for none, and then there is no ``seasonal``.
        weights: As :func:`find_weights` returns them ``[N, C]``.

    Returns:
        For each predictor ``loss`` (mean squared error), ``mean_absolute_error``, ``mase`` (if something changes), and
        ``skill``, the share of the squared errors of persistence that it avoids. Empty if nothing is asked.

    Example:
        >>> series = np.array([[0.0], [1.0], [0.0], [1.0], [0.0], [4.0]])
        >>> found = measure_trivial([Asked(series, 3, 3, 5)], horizon=1, season=2, weights=np.ones((1, 1)))
        >>> {name: metrics["loss"] for name, metrics in found.items()}  # doctest: +NORMALIZE_WHITESPACE
        {'persistence': 8.5, 'seasonal': 4.5, 'mean': 6.777777777777777}
    """
    names = (PERSISTENCE, *((SEASONAL,) if season else ()), MEAN)
    sums = {name: np.zeros(3) for name in names}
    count = 0
    for one, weight in zip(asked, weights, strict=True):
        if one.end <= one.begin:
            continue
        steps = np.arange(one.begin, one.end)
        count += len(steps) * horizon * one.series.shape[1]
        middle = one.series[: one.learned].mean(axis=0) if one.learned else np.zeros(one.series.shape[1])
        for ahead in range(1, horizon + 1):
            came = one.series[steps + ahead]
            answers = {PERSISTENCE: one.series[steps], MEAN: middle}
            if season:
                before = steps + ahead - season * -(-ahead // season)
                answers[SEASONAL] = one.series[np.where(before >= 0, before, steps)]
            for name in names:
                off = came - answers[name]
                away = np.abs(off)
                sums[name] += (np.square(off).sum(), away.sum(), (away * weight).sum())
    if not count:
        return {}
    unchanged = sums[PERSISTENCE][0] / count
    return {name: _metrics(found / count, unchanged, weights) for name, found in sums.items()}


def asked_at(begin: int, end: int, context: int, horizon: int) -> tuple[int, int]:
    """Return the first step of a part at which the next values are asked, and the step after the last one.

    Args:
        begin: Where the part begins.
        end: Where it ends; all values that are asked lie before it.
        context: The number of steps that are read before the first answer.
        horizon: The number of steps to predict.

    Example:
        >>> asked_at(10, 20, context=4, horizon=3)
        (9, 17)
    """
    return max(begin, context) - 1, end - horizon


def measure_splits(
    series: Sequence[NDArray[np.float64]],
    spans: Mapping[str, Sequence[tuple[int, int]]],
    context: int,
    horizon: int,
    season: int,
) -> tuple[NDArray[np.float64], dict[str, dict[str, dict[str, float]]]]:
    """Measure the trivial predictors on every split of several series.

    Args:
        series: The whole series ``[n, C]``.
        spans: For each split, where it begins and ends in each series. The first one is the training part.
        context: The number of steps that are read before the first answer.
        horizon: The number of steps to predict.
        season: The number of rows of a season; 0 for none.

    Returns:
        The weights of :func:`find_weights`, and the metrics of :func:`measure_trivial` by split.
    """
    learned = [end for _, end in next(iter(spans.values()))]
    weights = find_weights([one[:end] for one, end in zip(series, learned, strict=True)], season)

    def asked(split: str) -> Iterator[Asked]:
        for one, end, span in zip(series, learned, spans[split], strict=True):
            yield Asked(one, end, *asked_at(*span, context, horizon))

    return weights, {split: measure_trivial(list(asked(split)), horizon, season, weights) for split in spans}


def _metrics(means: NDArray[np.float64], unchanged: float, weights: NDArray[np.float64]) -> dict[str, float]:
    squared, absolute, scaled = map(float, means)
    found = {"loss": squared, "mean_absolute_error": absolute}
    if weights.any():
        found["mase"] = scaled
    return found | {"skill": 1 - squared / float(unchanged) if unchanged else 0.0}


def name_trivial(name: str, season: Mapping[str, object]) -> str:
    """Name a trivial predictor for a table.

    Args:
        name: Its name among the facts of a run.
        season: The facts about the season, with its number of ``rows``.

    Example:
        >>> name_trivial("seasonal", {"rows": 12})
        'seasonal, 12 rows'
    """
    return f"{name}, {season['rows']:,} rows" if name == SEASONAL and season.get("rows") else name
