"""Prediction intervals from the errors on data that were not learned, and how often they held."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

LEVELS = (0.80, 0.95)


@dataclass(frozen=True)
class Widths:
    """Half widths of prediction intervals around a forecast.

    Args:
        of: The half width at each level ``[H, C]``.
        how: How they were found, in words.
    """

    of: dict[float, NDArray[np.float64]]
    how: str


def name_level(level: float) -> str:
    """Write a level in per cent.

    Args:
        level: The level.

    Example:
        >>> name_level(0.95)
        '95 %'
    """
    return f"{100 * level:g} %"


def find_widths(errors: NDArray[np.float64], levels: Sequence[float] = LEVELS) -> Widths:
    """Find half widths by split conformal prediction: a quantile of the absolute errors, for each step and column.

    If a future error is as likely as any of these to be the largest, an interval holds with at least its level (Lei,
    G'Sell, Rinaldo, Tibshirani & Wasserman 2018, arXiv:1604.04173). Errors of time series follow one another, so this
    is only nearly true: measure the coverage on a test part. Where there are too few errors for a level, the errors of
    all steps are taken together, each divided by the size of the errors at its step.

    Args:
        errors: The errors of forecasts of data that were not learned ``[n, H, C]``.
        levels: The levels, between 0 and 1.

    Returns:
        The half widths.

    Example:
        >>> errors = np.linspace(-1, 1, 99)[:, None, None]
        >>> find_widths(errors).of[0.8].round(2).tolist()
        [[0.82]]
    """
    count, steps, _ = errors.shape
    away = np.abs(errors)
    if count >= _needed(max(levels)):
        ordered = np.sort(away, axis=0)
        found = {level: ordered[_rank(level, count) - 1] for level in levels}
        return Widths(found, f"quantiles of {count:,} absolute errors, for each step ahead")
    sizes = np.sqrt(np.square(errors).mean(axis=0))  # [H, C]
    sizes = np.maximum(sizes, 1e-12 * max(1.0, float(sizes.max(initial=0.0))))
    together = np.sort((away / sizes).reshape(count * steps, -1), axis=0)  # [n H, C]
    ranks = {level: min(_rank(level, len(together)), len(together)) for level in levels}
    found = {level: sizes * together[rank - 1] for level, rank in ranks.items()}
    few = "" if len(together) >= _needed(max(levels)) else "; they are too few for a quantile, so the largest stands"
    return Widths(found, f"quantiles of {count:,} x {steps:,} absolute errors, all steps ahead taken together{few}")


def _rank(level: float, count: int) -> int:
    """Return which of the ordered errors bounds the interval, counted from 1."""
    return ceil((count + 1) * level - 1e-9)


def _needed(level: float) -> int:
    """Return the least number of errors whose largest one can stand for a level."""
    return ceil(level / (1 - level) - 1e-9)


def measure_coverage(
    came: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Measure how often values lay in their intervals.

    Args:
        came: The values ``[n, H, C]``.
        lower: The lower bounds, in a shape that fits.
        upper: The upper bounds, in a shape that fits.

    Returns:
        The share at each step ahead ``[H]``.

    Example:
        >>> measure_coverage(np.array([[[0.0], [3.0]], [[1.0], [0.0]]]), np.array(-1.0), np.array(1.0)).tolist()
        [1.0, 0.5]
    """
    return ((came >= lower) & (came <= upper)).mean(axis=(0, 2))
