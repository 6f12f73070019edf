"""Where a label stands beside its line: near where the vector begins, and on top of nothing."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from gatework.diagram.notation import Runs
from gatework.diagram.scene import text_width

Place = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom
_GAP = 4.5
_LINE = 2.0  # half of the width of a line, and a little air


class Labels:
    """What is on paper already, and room for labels beside it.

    Args:
        signs: The boxes of all signs.
        lines: The corners of all lines.
    """

    def __init__(self, signs: Iterable[Box], lines: Iterable[Sequence[Place]]) -> None:
        self.taken: list[Box] = list(signs)
        for corners in lines:
            for (x, y), (u, v) in pairwise(corners):
                self.taken.append((min(x, u) - _LINE, min(y, v) - _LINE, max(x, u) + _LINE, max(y, v) + _LINE))

    def place(self, runs: Runs, size: float, ways: Iterable[Sequence[Place]], backward: bool = False) -> Place:
        """Find the place of a label beside one of several lines.

        Args:
            runs: The label.
            size: Height of its letters.
            ways: The corners of the lines it may stand at, the best first.
            backward: Whether it belongs to the end of the lines rather than to their beginning.

        Returns:
            The middle of the text.
        """
        wide, high = text_width(runs, size), size * 1.2
        best, least = None, float("inf")
        for rank, (x, y) in enumerate(self._candidates(ways, wide, high, backward)):
            box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            cost = sum(_overlap(box, other) for other in self.taken) + rank * 0.01
            if cost < least:
                best, least = (x, y), cost
        assert best is not None  # a vector that is labelled has a line
        self.taken.append((best[0] - wide / 2, best[1] - high / 2, best[0] + wide / 2, best[1] + high / 2))
        return best

    @staticmethod
    def _candidates(ways: Iterable[Sequence[Place]], wide: float, high: float, backward: bool) -> Iterator[Place]:
        for corners in ways:
            pieces = list(pairwise(corners))
            for start, end in reversed(pieces) if backward else pieces:
                length = abs(start[0] - end[0]) + abs(start[1] - end[1])
                if backward:
                    start, end = end, start
                for share in _shares(length, high if start[0] == end[0] else wide):
                    x, y = start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
                    if start[0] == end[0]:
                        yield x - wide / 2 - _GAP, y
                        yield x + wide / 2 + _GAP, y
                    else:
                        yield x, y - high / 2 - _GAP
                        yield x, y + high / 2 + _GAP


def _shares(length: float, needed: float) -> list[float]:
    """Give parts of a line's length to try, from near its beginning to its end."""
    if length <= needed:
        return [0.5]
    steps = max(1, int((length - needed) / 6))
    # The first try stands a little off the sign, where there is room.
    first = needed / 2 + min(5.0, (length - needed) / 2)
    return [(first + (length - needed / 2 - first) * step / steps) / length for step in range(steps + 1)]


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)
