"""The place of a label beside its line: near the beginning of the vector, and over nothing else."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from gatework.diagram.drawing.grid import HALF_LINE, LABEL_FAR, LABEL_GAP
from gatework.diagram.drawing.scene import text_width
from gatework.diagram.planning.notation import Runs

Place = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom
_HEAVY = 100.0  # touching an arrowhead is worse than overlapping anything else
_TILE = 64.0  # in pixels; about the size of a label


class Labels:
    """The shapes already on paper, and the room that they leave for labels.

    Args:
        signs: The boxes of all signs.
        lines: The corners of all lines.
        heads: The boxes of all arrowheads.
    """

    def __init__(self, signs: Iterable[Box], lines: Iterable[Sequence[Place]], heads: Iterable[Box] = ()) -> None:
        self.taken, self.heads = _Boxes(signs), _Boxes(heads)
        for corners in lines:
            for (x, y), (u, v) in pairwise(corners):
                left, top, right, bottom = min(x, u), min(y, v), max(x, u), max(y, v)
                self.taken.add((left - HALF_LINE, top - HALF_LINE, right + HALF_LINE, bottom + HALF_LINE))

    def place(
        self, runs: Runs, size: float, ways: Iterable[Sequence[Place]], backward: bool = False
    ) -> tuple[Place, float]:
        """Find a place for a label beside one of several lines.

        Args:
            runs: The label.
            size: The height of its letters.
            ways: The corners of the lines that it may stand beside, the best first.
            backward: Whether it belongs to the end of the lines instead of their beginning.

        Returns:
            The middle of the text, and the share of it that lies over something else.
        """
        wide, high = text_width(runs, size), size * 1.2
        best, least = None, float("inf")
        ways = list(ways)
        near, far = (self._candidates(ways, wide, high, backward, gap) for gap in (LABEL_GAP, LABEL_FAR))
        for rank, (x, y) in enumerate((*near, *far)):
            if rank * 0.01 >= least:
                break  # not even a place over nothing would be better
            box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            cost = self.taken.overlap(box) + rank * 0.01 + _HEAVY * self.heads.overlap(box)
            if cost < least:
                best, least = (x, y), cost
        assert best is not None  # a labelled vector has a line
        box = (best[0] - wide / 2, best[1] - high / 2, best[0] + wide / 2, best[1] + high / 2)
        hidden = self.taken.overlap(box) / (wide * high)
        self.taken.add(box)
        return best, hidden

    @staticmethod
    def _candidates(
        ways: Iterable[Sequence[Place]], wide: float, high: float, backward: bool, gap: float
    ) -> Iterator[Place]:
        for corners in ways:
            pieces = list(pairwise(corners))
            for start, end in reversed(pieces) if backward else pieces:
                length = abs(start[0] - end[0]) + abs(start[1] - end[1])
                if backward:
                    start, end = end, start
                for share in _shares(length, high if start[0] == end[0] else wide):
                    x, y = start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
                    if start[0] == end[0]:
                        yield x - wide / 2 - gap, y
                        yield x + wide / 2 + gap, y
                    else:
                        yield x, y - high / 2 - gap
                        yield x, y + high / 2 + gap


class _Boxes:
    """Boxes, found by the tiles of the paper that they touch."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self._tiles: dict[tuple[int, int], dict[Box, int]] = {}
        for box in boxes:
            self.add(box)

    def add(self, box: Box) -> None:
        """Add a box. A box that is added twice counts twice."""
        for tile in _tiles(box):
            held = self._tiles.setdefault(tile, {})
            held[box] = held.get(box, 0) + 1

    def overlap(self, box: Box) -> float:
        """Sum the areas that a box shares with each of the boxes."""
        near: dict[Box, int] = {}
        for tile in _tiles(box):
            near.update(self._tiles.get(tile, {}))
        return sum(_overlap(box, other) * count for other, count in near.items())


def _tiles(box: Box) -> Iterator[tuple[int, int]]:
    left, top, right, bottom = (int(edge // _TILE) for edge in box)
    return ((across, down) for across in range(left, right + 1) for down in range(top, bottom + 1))


def _shares(length: float, needed: float) -> list[float]:
    """List the positions along a line to try, from near its beginning to its end."""
    if length <= needed:
        return [0.5]
    steps = max(1, int((length - needed) / 6))
    # The first position is a little away from the sign, if there is space.
    first = needed / 2 + min(5.0, (length - needed) / 2)
    return [(first + (length - needed / 2 - first) * step / steps) / length for step in range(steps + 1)]


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)
