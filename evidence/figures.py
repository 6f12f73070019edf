"""Figures: a number, the interval that its data give, and the bounds that a repeat must stay in."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gatework.search.comparing.statistics import Interval, mean_interval, median_interval, share_interval

Scale = Literal["linear", "log"]
WILSON = "Wilson's interval"

# Two runs of one measurement differ by the square root of 2 more than one of them from the truth; and of 100 repeats 99
# are to stay inside, where the interval was made for 95.
_NORMAL_975, _NORMAL_995 = 1.959963984540054, 2.5758293035489004
_WIDER = math.sqrt(2) * _NORMAL_995 / _NORMAL_975


@dataclass(frozen=True)
class Figure:
    """One number that was measured.

    Args:
        name: What it is; a verdict asks for it by this name.
        value: The number.
        low: The lower end of its 95 percent interval.
        high: The upper end.
        unit: What it counts; empty for a share or a factor.
        n: How many independent things it was measured on.
        how: What they are, and how the interval was made.
        least: A repeat must not be less.
        most: A repeat must not be more.
        scale: ``log`` for a number whose order of magnitude counts.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    n: int
    how: str
    least: float
    most: float
    scale: Scale = "linear"

    def to_json(self) -> dict[str, Any]:
        """Give it as plain data; what is infinite is spelled, for JSON has no number for it."""
        return {key: _spelled(value) for key, value in vars(self).items()}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "Figure":
        """Read it back."""
        return cls(
            name=facts["name"],
            value=float(facts["value"]),
            low=float(facts["low"]),
            high=float(facts["high"]),
            unit=facts["unit"],
            n=facts["n"],
            how=facts["how"],
            least=float(facts["least"]),
            most=float(facts["most"]),
            scale=facts["scale"],
        )

    @property
    def counts(self) -> bool:
        """True of how many of several things are so."""
        return self.how.endswith(WILSON)

    def allows(self, value: float) -> bool:
        """Tell whether a repeat may have this value."""
        return self.least <= value <= self.most


class Figures(Mapping[str, Figure]):
    """The figures of a claim by name.

    Args:
        figures: The figures, in the order in which they are shown.

    Raises:
        ValueError: Where two have one name.
    """

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = {figure.name: figure for figure in figures}
        if len(self._figures) != len(figures):
            names = [figure.name for figure in figures]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"two figures are called {', '.join(twice)}: give each a name of its own")

    def __getitem__(self, name: str) -> Figure:
        """Look a figure up, or say which there are."""
        if name in self._figures:
            return self._figures[name]
        raise KeyError(f"there is no figure '{name}'; the figures are {', '.join(self._figures)}")

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._figures)

    def __len__(self) -> int:
        """Count the figures."""
        return len(self._figures)


def share(name: str, count: int, of: int, what: str) -> Figure:
    """Make a figure of how many of several things are so.

    Args:
        name: What it is.
        count: How many are so.
        of: How many there are.
        what: What they are, in the plural, such as ``seeds``.

    Returns:
        The share, with Wilson's interval.

    Example:
        >>> found = share("solved", 5, 5, "seeds")
        >>> found.value, round(found.low, 3), found.high
        (1.0, 0.566, 1.0)
    """
    interval = share_interval(count, of)
    # The interval itself holds a repeat: of few runs one or two may end otherwise, of many a few in a hundred.
    return Figure(name, *interval, "", of, f"{of:,} {what}, {WILSON}", interval.low, interval.high)


def middle(
    name: str, values: Sequence[float], what: str, *, unit: str = "", scale: Scale = "linear", grain: float = 0.0
) -> Figure:
    """Make a figure of the median of several values.

    Args:
        name: What it is.
        values: The values, one for each of the things that were measured independently.
        what: What those are, in the plural, such as ``seeds``.
        unit: What the values count.
        scale: ``log`` where orders of magnitude count; then the values are above zero.
        grain: How far a repeat may always lie from the value: what rounding alone does; a factor less 1 of a log scale.

    Returns:
        The median, with its bootstrap interval.
    """
    interval = median_interval(_inward(values, scale))
    return _spread(name, interval, f"median of {len(values):,} {what}, bootstrap", len(values), unit, scale, grain)


def mean(
    name: str, values: Sequence[float], what: str, *, unit: str = "", scale: Scale = "linear", grain: float = 0.0
) -> Figure:
    """Make a figure of the mean of several values, with its interval by Student's t; see :func:`middle`."""
    interval = mean_interval(_inward(values, scale))
    return _spread(name, interval, f"mean of {len(values):,} {what}, Student's t", len(values), unit, scale, grain)


def _inward(values: Sequence[float], scale: Scale) -> list[float]:
    return [math.log(value) for value in values] if scale == "log" else list(values)


def _spread(name: str, interval: Interval, how: str, n: int, unit: str, scale: Scale, grain: float) -> Figure:
    """Make a figure of an interval, which is one of logarithms where the scale is."""
    outward = math.exp if scale == "log" else float
    bounds = _bounds(interval, math.log1p(grain) if scale == "log" else grain)
    ends = [outward(end) for end in (*interval, *bounds)]
    return Figure(name, ends[0], ends[1], ends[2], unit, n, how, ends[3], ends[4], scale)


def _bounds(interval: Interval, grain: float) -> tuple[float, float]:
    """Give the bounds that a repeat must stay in."""
    value, low, high = interval
    return value - max(_WIDER * (value - low), grain), value + max(_WIDER * (high - value), grain)


def exact(name: str, value: float, how: str, *, unit: str = "", scale: Scale = "linear") -> Figure:
    """Make a figure that nothing but rounding can change.

    Args:
        name: What it is.
        value: The number.
        how: Where it comes from.
        unit: What it counts.
        scale: ``log`` where its order of magnitude counts.

    Returns:
        The figure; a repeat must agree to one part in a thousand.
    """
    reach = 1e-3 * abs(value) if math.isfinite(value) else 0.0
    return Figure(name, value, value, value, unit, 1, how, value - reach, value + reach, scale)


def _spelled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
