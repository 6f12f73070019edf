"""Statistics of a few runs: intervals, paired tests, and a correction for testing many pairs.

All of them are deterministic: random numbers are drawn from a seed.
"""

from collections.abc import Sequence
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000
# Up to this many pairs, all changes of signs are tried. Beyond, DRAWN_SIGNS of them are drawn.
EXACT_PAIRS = 16
DRAWN_SIGNS = 100_000
# The standard normal distribution has 97.5 % of its mass below this.
_NORMAL_975 = 1.959963984540054
# The same for Student's distribution with 1, 2, ... degrees of freedom (tables of Fisher & Yates).
_STUDENT_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
# The most numbers of one array in memory at once.
_MOST = 2**21


class Interval(NamedTuple):
    """An estimate and the interval around it."""

    estimate: float
    low: float
    high: float


def median_interval(values: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Return the median of some values, and its 95 % interval by the percentile bootstrap.

    With few values, the interval covers less than it promises. For 5 independent values it reaches from the smallest to
    the largest, which covers the true median in 94 of 100 cases; for 3 values in 75.

    Args:
        values: At least one value. Infinite values are allowed, such as those of runs that never succeeded.
        resamples: The number of resamples. Each draws as many values as there are, with replacement.
        seed: The seed of the random generator.

    Returns:
        The median, and the ends of the interval. For a single value, all three are that value.

    Source:
        Efron 1979, The Annals of Statistics 7(1), section 3 (the bootstrap of a median).

    Example:
        >>> median_interval([0.2, 0.9, 0.4, 0.8, 0.7])
        Interval(estimate=0.7, low=0.2, high=0.9)
        >>> median_interval([0.5])
        Interval(estimate=0.5, low=0.5, high=0.5)
    """
    sample = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    rows = max(1, _MOST // len(sample))
    medians = []
    for first in range(0, resamples, rows):
        drawn = rng.integers(0, len(sample), (min(rows, resamples - first), len(sample)))
        medians.append(np.median(sample[drawn], axis=1))
    # The quantile is always one of the medians. Nothing lies halfway between a number and infinity.
    ends = np.quantile(np.concatenate(medians), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return Interval(float(np.median(sample)), float(ends[0]), float(ends[1]))


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of some values, and its 95 % interval by Student's t.

    With few values, the bootstrap interval of a mean covers less than it promises: the true mean in 73 of 100 cases for
    3 values, in 87 for 7 (normal values, counted over 4,000 draws). Student's interval is wider and covers it in 95.

    Args:
        values: At least one value, all finite.

    Returns:
        The mean, and the ends of the interval. For a single value, all three are that value.

    Source:
        Student 1908, Biometrika 6(1).

    Example:
        >>> [round(end, 3) for end in mean_interval([0.3, 0.5, 0.7])]
        [0.5, 0.003, 0.997]
    """
    sample = np.asarray(values, dtype=np.float64)
    middle = float(sample.mean())
    if len(sample) == 1:
        return Interval(middle, middle, middle)
    reach = _student_975(len(sample) - 1) * float(sample.std(ddof=1)) / sqrt(len(sample))
    return Interval(middle, middle - reach, middle + reach)


def _student_975(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's distribution."""
    if freedom <= len(_STUDENT_975):
        return _STUDENT_975[freedom - 1]
    # The series of Cornish and Fisher in 1/freedom; from 11 degrees on, it is exact to three decimal places.
    z = _NORMAL_975
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def share_interval(hits: int, runs: int) -> Interval:
    """Return the share of successful runs, and its 95 % interval by Wilson's score.

    Args:
        hits: The number of successful runs.
        runs: The number of all runs.

    Returns:
        The share, and the ends of the interval.

    Source:
        Wilson 1927, Journal of the American Statistical Association 22(158).

    Example:
        >>> [round(end, 3) for end in share_interval(5, 5)]
        [1.0, 0.566, 1.0]
    """
    share, square = hits / runs, _NORMAL_975**2
    middle = (share + square / (2 * runs)) / (1 + square / runs)
    reach = _NORMAL_975 / (1 + square / runs) * sqrt(share * (1 - share) / runs + square / (4 * runs**2))
    # If no run or every run was successful, the end is exactly 0 or 1, which rounding may miss.
    low = 0.0 if hits == 0 else max(0.0, middle - reach)
    high = 1.0 if hits == runs else min(1.0, middle + reach)
    return Interval(share, low, high)


def sign_flip_test(differences: Sequence[float], *, drawn: int = DRAWN_SIGNS, seed: int = 0) -> float:
    """Test whether paired differences lie around zero: if they do, each could just as well have the other sign.

    Args:
        differences: The difference of each pair. An infinite one counts as much as the largest finite one.
        drawn: The number of sign changes to draw, if there are too many to try all.
        seed: The seed of the random generator.

    Returns:
        The two-sided p-value: the share of sign changes whose sum is at least as far from zero. It is exact up to 16
        pairs. Beyond, the drawn changes count together with the observed one, so that the p-value is never 0.

    Source:
        Fisher 1935, The Design of Experiments, section 21; Phipson & Smyth 2010, Statistical Applications in Genetics
        and Molecular Biology 9(1), for the p of drawn changes.

    Example:
        >>> sign_flip_test([0.3, 0.1, 0.2, 0.4])  # of 16 changes of signs only all plus and all minus
        0.125
    """
    size = _finite(differences)
    if not size.any():
        return 1.0
    # Equal sums must count as equal, in whatever order they were added.
    seen = abs(float(size.sum())) - 1e-9 * float(np.abs(size).sum())
    rows = max(1, _MOST // len(size))
    if len(size) <= EXACT_PAIRS:
        changes = np.arange(2 ** len(size))
        far = 0
        for first in range(0, len(changes), rows):
            bits = changes[first : first + rows, None] >> np.arange(len(size)) & 1
            far += int((np.abs((1 - 2 * bits) @ size) >= seen).sum())
        return far / len(changes)
    rng, far = np.random.default_rng(seed), 0
    for first in range(0, drawn, rows):
        signs = 1 - 2 * rng.integers(0, 2, (min(rows, drawn - first), len(size)))
        far += int((np.abs(signs @ size) >= seen).sum())
    return (far + 1) / (drawn + 1)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Correct the p-values of several tests for the number of tests.

    Args:
        probabilities: The p-value of each test.

    Returns:
        The corrected p-value of each test. Calling all those below 0.05 real is wrong in at most 5 of 100 cases.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6(2).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(probabilities), 0.0
    order = sorted(range(len(probabilities)), key=lambda index: probabilities[index])
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * probabilities[index]))
        corrected[index] = largest
    return corrected


def _finite(differences: Sequence[float]) -> np.ndarray:
    """Replace infinite differences by finite ones, and those of two runs that both never succeeded by 0."""
    size = np.nan_to_num(np.asarray(differences, dtype=np.float64), nan=0.0, posinf=inf, neginf=-inf)
    sound = np.abs(size[np.isfinite(size)])
    largest = float(sound.max()) if len(sound) and sound.max() > 0 else 1.0
    return np.clip(size, -largest, largest)
