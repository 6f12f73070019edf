"""What a table is asked for, and whether it was met."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.cpu.measure import Row

MEMORY = "times the memory"
Figure = tuple[str, float]  # the label of a row, and what it came to


@dataclass(frozen=True)
class Target:
    """What a table is asked for.

    Args:
        unit: What the figures of its rows are.
        mean: The least their geometric mean may be.
        least: The least any of them may be.
        most: The most any of them may be; then small is good.
        of_rate: Whether a figure is our operations in a second by the peer's, rather than the peer's time by ours.
    """

    unit: str = "times faster"
    mean: float | None = None
    least: float | None = None
    most: float | None = None
    of_rate: bool = False

    def figure(self, row: Row) -> float | None:
        """Give the figure of a row; None where it has no times."""
        if row.ours is None or row.peer is None:
            return None
        faster = row.peer.median / row.ours.median
        if self.of_rate:
            return faster * row.pair.flops / row.pair.peer_flops
        return faster if self.most is None else 1 / faster

    def worst(self, figures: Sequence[Figure]) -> Figure:
        """Give the row that stands in the way."""
        pick = min if self.most is None else max
        return pick(figures, key=lambda figure: figure[1])

    def met(self, figures: Sequence[Figure]) -> bool:
        """Say whether the figures are what was asked for."""
        worst = self.worst(figures)[1]
        return (
            (self.mean is None or mean_of(figures) >= self.mean)
            and (self.least is None or worst >= self.least)
            and (self.most is None or worst <= self.most)
        )

    def __str__(self) -> str:
        asked = [] if self.mean is None else [f"geometric mean at least {self.mean:g}"]
        asked += [] if self.least is None else [f"each at least {self.least:g}"]
        asked += [] if self.most is None else [f"each at most {self.most:g}"]
        return f"{', '.join(asked)} {self.unit}"


def mean_of(figures: Sequence[Figure]) -> float:
    """Give the geometric mean."""
    return math.exp(math.fsum(math.log(value) for _, value in figures) / len(figures))
