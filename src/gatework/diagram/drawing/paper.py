"""From the symbolic grid to places on paper: space for every column, row and track in use."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from gatework.diagram.drawing.grid import (
    CIRCLE,
    DISC,
    DISC_TEXT,
    FRAME_MARGIN,
    LAYER_HEIGHT,
    NAME,
    OUTSIDE,
    PORT,
    ROOM_ACROSS,
    ROOM_DOWN,
    ROOM_FOR_NAME,
    SLOT_GAP,
    SLOT_HEIGHT,
    SLOT_LEFT,
    SLOT_WIDTH,
    SLOTS,
    TEXT,
    UPRIGHT,
    Point,
    column_at,
    middle,
    row_at,
)
from gatework.diagram.drawing.route import Route
from gatework.diagram.drawing.scene import text_width
from gatework.diagram.planning.arrange import Arrangement
from gatework.diagram.planning.graph import BANK, INPUT, LAYER, OPERATION, SOURCE, STATE, Vertex
from gatework.diagram.planning.notation import Runs
from gatework.diagram.planning.wiring import EXIT, UP


@dataclass(frozen=True)
class Paper:
    """The places of grid lines on paper, and all sizes.

    Args:
        across: For each line of the grid that is used, its distance from the left edge.
        down: For each row or track that is used, its distance from the top edge.
        frame: Left, top, width and height of the cell's frame.
        width: The width of the whole picture.
        height: The height of the whole picture.
        sizes: Width and height of each vertex's sign.
    """

    across: Mapping[int, float]
    down: Mapping[int, float]
    frame: tuple[float, float, float, float]
    width: float
    height: float
    sizes: Mapping[Vertex, tuple[float, float]]

    def at(self, point: Point) -> tuple[float, float]:
        """Return the place of a point of the grid."""
        return self.across[point[0]], self.down[point[1]]


def sign_size(vertex: Vertex, label: Runs) -> tuple[float, float]:
    """Return the width and height of a vertex's sign. Lines, junctions and ends have none.

    Args:
        vertex: The vertex.
        label: Its translated label.

    Returns:
        Width and height.
    """
    wide = text_width(label, TEXT)
    if vertex.kind == LAYER:
        return max(44.0, wide + 18.0), LAYER_HEIGHT
    if vertex.kind in (INPUT, UP):
        return max(DISC, text_width(label, DISC_TEXT) + 12.0), DISC
    if vertex.kind == BANK:
        return SLOT_WIDTH, SLOTS * (SLOT_HEIGHT + SLOT_GAP) - SLOT_GAP
    if vertex.kind in (OPERATION, SOURCE):
        return (CIRCLE, CIRCLE) if len(label) == 1 and len(label[0][0]) == 1 else (max(40.0, wide + 22.0), CIRCLE)
    return 0.0, 0.0


def spread(
    arrangement: Arrangement,
    routes: Iterable[Route],
    sizes: Mapping[Vertex, tuple[float, float]],
    room: Mapping[Vertex, tuple[float, float]],
) -> Paper:
    """Give every used line of the grid its place.

    Args:
        arrangement: Where the vertices stand.
        routes: The lines along the grid.
        sizes: Width and height of each vertex's sign.
        room: For some vertices, the room that their names need on the left and on the right of their middle.

    Returns:
        The paper.
    """
    used_x, used_y = _used(routes)
    half_x: dict[int, float] = {}
    half_y: dict[int, float] = {}
    inputs = sum(vertex.kind == INPUT for vertex in arrangement.places)
    outside = OUTSIDE
    for vertex, (column, row) in arrangement.places.items():
        if vertex.kind in (STATE, EXIT, BANK):
            outside = max(outside, text_width(vertex.label, NAME) + 18.0)
        if vertex.kind == BANK:
            outside = max(outside, SLOT_LEFT + SLOT_WIDTH + UPRIGHT)
        # Discs stand outside the frame. The columns only make room for one that has a neighbour there.
        if vertex.kind == UP or (vertex.kind == INPUT and inputs == 1):
            continue
        half_x[column] = max(half_x.get(column, 0.0), sizes[vertex][0] / 2)
        half_y[row] = max(half_y.get(row, 0.0), sizes[vertex][1] / 2)
    right_edge, ground = middle(arrangement.columns - 1, len(arrangement.rows) - 1)
    left_edge, sky = middle(0, 0)
    slots_x, slots_y = {}, {}
    for x in range(left_edge + 2, right_edge - 1):
        column, part = column_at(x)
        if part == 1:
            with_ports = used_x & {x - 1, x + 1}
            slots_x[x] = max(half_x.get(column, 0.0), PORT if with_ports else 0.0)
        elif part > 2 and x in used_x:
            slots_x[x] = 0.0
    for y in range(sky + 1, ground):
        row, part = row_at(y)
        if part == 0:
            slots_y[y] = half_y.get(row, 0.0)
        elif y in used_y:
            slots_y[y] = 0.0
    frame_top = DISC + UPRIGHT
    named = {row * middle(0, 1)[1] for vertex, (_, row) in arrangement.places.items() if vertex.kind in (STATE, BANK)}
    wanted = {middle(*arrangement.places[vertex])[0]: sides for vertex, sides in room.items()}
    across, frame_right = _cumulated(slots_x, outside, ROOM_ACROSS, FRAME_MARGIN + 8.0, wanted=wanted)
    down, frame_bottom = _cumulated(slots_y, frame_top, ROOM_DOWN, FRAME_MARGIN, named)
    across |= {x + side: place + side * PORT for x, place in across.items() if column_at(x)[1] == 1 for side in (-1, 1)}
    width, height = frame_right + outside, frame_bottom + UPRIGHT + DISC
    across |= {left_edge: 0.0, right_edge: width}
    down |= {sky: DISC, ground: height - DISC}
    frame = (outside, frame_top, frame_right - outside, frame_bottom - frame_top)
    return Paper(across, down, frame, width, height, sizes)


def _used(routes: Iterable[Route]) -> tuple[set[int], set[int]]:
    """Find the grid lines in use: first those with a vertical line on them, then those with a horizontal one."""
    upright: set[int] = set()
    level: set[int] = set()
    for one in routes:
        for (x, y), (u, _) in pairwise(one.points):
            if x == u:
                upright.add(x)
            else:
                level.add(y)
    return upright, level


def _cumulated(
    slots: Mapping[int, float],
    start: float,
    rooms: Mapping[int, float],
    margin: float,
    named: Collection[int] = (),
    wanted: Mapping[int, tuple[float, float]] = MappingProxyType({}),
) -> tuple[dict[int, float], float]:
    """Place slots one after another, with the needed distance between neighbours."""
    places: dict[int, float] = {}
    edge, before = start + margin, None
    for line, half in slots.items():
        edge += max(0.0, wanted.get(line, (0.0, 0.0))[0] - half)
        if before is not None:
            room = rooms[(before > 0) + (half > 0)]
            # The name of a state needs space above its line, clear of the row before.
            edge += max(room, ROOM_FOR_NAME - half) if line in named else room
        places[line] = edge + half
        edge, before = edge + 2 * half + max(0.0, wanted.get(line, (0.0, 0.0))[1] - half), half
    return places, edge + margin
