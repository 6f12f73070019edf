"""The row of each vertex: from the inputs at the bottom, through the layers, to the lines of the states.

While a picture is made, a row is known by its name: ``("line", state)``, ``("level", n)`` for operations n steps
above the layers, ``("layers",)``, ``("bus", n)`` for junctions, ``("bank", memory)``, ``("low", state)``, and the
outer rows ``("sky",)`` and ``("ground",)``.
"""

from dataclasses import dataclass

from gatework.diagram.planning.graph import BANK, INPUT, LAYER, OPERATION, SOURCE, STATE, Vertex
from gatework.diagram.planning.wiring import EXIT, JUNCTION, UP, Wiring

Row = tuple[str, *tuple[str | int, ...]]
SKY, LAYERS, UNDER, GROUND = ("sky",), ("layers",), ("under",), ("ground",)


@dataclass(frozen=True)
class Levels:
    """The rows of a picture from top to bottom, and the row of every vertex that has one."""

    rows: tuple[Row, ...]
    row_of: dict[Vertex, Row]


def fork_beside(wiring: Wiring, vertex: Vertex) -> bool:
    """Return whether an operation is on a branch of a vector that goes straight to a state's line."""
    if vertex.kind != OPERATION or len(wiring.inputs[vertex]) != 1 or wiring.on_line(vertex):
        return False
    source = wiring.inputs[vertex][0]
    return source.kind in (LAYER, SOURCE, OPERATION) and any(
        wiring.on_line(reader) for reader in wiring.readers(source) if not wiring.on_line(source)
    )


def is_early(wiring: Wiring, vertex: Vertex) -> bool:
    """Return whether an operation on an old state is read by layers only. Such an operation stands before them."""
    readers = wiring.readers(vertex)
    reads_old = any(below.kind in (STATE, INPUT, BANK) for below in wiring.inputs[vertex])
    return (
        vertex.kind == OPERATION
        and reads_old
        and bool(readers)
        and all(reader.kind in (LAYER, JUNCTION) for reader in readers)
    )


def reads_from_below(wiring: Wiring, vertex: Vertex) -> bool:
    """Return whether all inputs of an early operation come from below the layers."""
    low = {wiring.graph.previous[state] for state in wiring.low}
    return is_early(wiring, vertex) and all(
        below.kind in (INPUT, BANK) or below in low for below in wiring.inputs[vertex]
    )


def make_levels(wiring: Wiring, bus_order: tuple[Vertex, ...]) -> Levels:
    """Give every vertex its row.

    Args:
        wiring: The wiring of a cell.
        bus_order: The junctions, the uppermost first.

    Returns:
        The rows.
    """
    depth = _depths(wiring)
    floors = dict.fromkeys(wiring.high, 1)
    level = _relaxed(wiring, floors)
    deepest = max((depth[v] - (v.kind == LAYER) for v in wiring.hanging), default=0)
    top = max([deepest, *(level[v] for v in wiring.vertices if v in level and not wiring.on_line(v))])
    for state in wiring.high:
        line = wiring.lines.get(state, ())
        if any(reader in wiring.hanging for vertex in line for reader in wiring.readers(vertex)):
            floors[state] = top
    level = _relaxed(wiring, floors)
    top = max([deepest, *(level[v] for v in wiring.vertices if v in level and not wiring.on_line(v))])
    row_of: dict[Vertex, Row] = {}
    for vertex in wiring.vertices:
        if reads_from_below(wiring, vertex):
            row_of[vertex] = UNDER
        elif vertex in wiring.hanging:
            height = top + 1 - depth[vertex]
            row_of[vertex] = ("level", height) if height > 0 else LAYERS
        elif wiring.on_line(vertex):
            state = wiring.on_line(vertex)
            row_of[vertex] = ("line", state) if state in wiring.high else ("low", state)
        elif vertex.kind in (LAYER, SOURCE):
            row_of[vertex] = LAYERS
        elif vertex.kind == OPERATION:
            row_of[vertex] = ("level", level[vertex])
        elif vertex.kind == JUNCTION:
            row_of[vertex] = ("bus", bus_order.index(vertex))
        elif vertex.kind == BANK:
            row_of[vertex] = ("bank", vertex.quantity)
        elif vertex.kind == INPUT:
            row_of[vertex] = GROUND
        elif vertex.kind == UP:
            row_of[vertex] = SKY
    _place_states(wiring, row_of)
    return Levels(_ordered(wiring, row_of, level), row_of)


def _place_states(wiring: Wiring, row_of: dict[Vertex, Row]) -> None:
    """Give each state one row, where its previous value enters and its new value leaves."""
    taken: set[Row] = set()
    for state, vertex in wiring.graph.previous.items():
        row: Row = ("line", state) if state in wiring.high else ("low", state)
        if state in wiring.low and state not in wiring.lines:
            # A state that goes straight into a junction enters at its height.
            entered = [row_of[reader] for reader in wiring.readers(vertex) if reader.kind == JUNCTION]
            row = next((bus for bus in entered if bus not in taken), row)
        taken.add(row)
        row_of[vertex] = row
        for end in wiring.vertices:
            if end.kind == EXIT and end.names == [state]:
                row_of[end] = row


def _depths(wiring: Wiring) -> dict[Vertex, int]:
    depth: dict[Vertex, int] = {}
    for vertex in wiring.vertices:
        if vertex in wiring.hanging:
            depth[vertex] = 1 + max((depth.get(below, 0) for below in wiring.inputs[vertex]), default=0)
    return depth


def _relaxed(wiring: Wiring, floors: dict[str, int]) -> dict[Vertex, int]:
    """Find how many levels above the layers each vertex stands. All vertices of a line have the same level."""
    rising = [
        vertex
        for vertex in wiring.vertices
        if vertex.kind in (OPERATION, LAYER, SOURCE)
        and vertex not in wiring.hanging
        and wiring.on_line(vertex) not in wiring.low
    ]
    reach = {vertex: _reaches(wiring, vertex) for vertex in rising}
    level = dict.fromkeys(rising, 0)
    lines = {state: floors[state] for state in wiring.high}
    for _ in range(len(rising) + 1):
        before = (dict(level), dict(lines))
        for vertex in rising:
            state = wiring.on_line(vertex)
            if vertex.kind == OPERATION and not state:
                level[vertex] = max(level[vertex], _above(wiring, vertex, level, lines, reach))
            elif state:
                sides = [below for below in wiring.inputs[vertex] if below in level and wiring.on_line(below) != state]
                for side in sides:
                    other = wiring.on_line(side)
                    if not other or not reach[vertex] & set(wiring.lines[other]):
                        lines[state] = max(lines[state], (lines[other] if other else level[side]) + 1)
                level[vertex] = lines[state]
        if before == (level, lines):
            break
    return level


def _above(
    wiring: Wiring,
    vertex: Vertex,
    level: dict[Vertex, int],
    lines: dict[str, int],
    reach: dict[Vertex, set[Vertex]],
) -> int:
    inputs = wiring.inputs[vertex]
    height = 1
    for below in inputs:
        line = wiring.on_line(below)
        if line and line in lines:
            # A vertex that feeds back into the line it comes from stays below that line.
            if not reach[vertex] & set(wiring.lines[line]):
                height = max(height, lines[line] + 1)
        elif below in level:
            height = max(height, level[below] + (0 if fork_beside(wiring, below) else 1))
    forked = len(inputs) == 1 and inputs[0] in level and len(wiring.readers(inputs[0])) > 1
    return height + 1 if forked and not fork_beside(wiring, vertex) else height


def _reaches(wiring: Wiring, vertex: Vertex) -> set[Vertex]:
    reached: set[Vertex] = set()
    pending = [vertex]
    while pending:
        for reader in wiring.readers(pending.pop()):
            if reader not in reached:
                reached.add(reader)
                pending.append(reader)
    return reached


def _ordered(wiring: Wiring, row_of: dict[Vertex, Row], level: dict[Vertex, int]) -> tuple[Row, ...]:
    used = set(row_of.values())
    heights = {
        state: max((level[v] for v in wiring.lines.get(state, ()) if v in level), default=1) for state in wiring.high
    }
    levels = [row[1] for row in used if row[0] == "level"]
    highest = max([*heights.values(), *(value for value in levels if isinstance(value, int))])
    rows: list[Row] = [SKY]
    for height in range(highest, 0, -1):
        rows += [("line", state) for state in wiring.high if heights[state] == height]
        rows.append(("level", height))
    rows.append(LAYERS)
    rows += sorted((row for row in used if row[0] == "bus"), key=lambda row: row[1])
    rows += [row for row in row_of.values() if row[0] == "bank"]
    rows += [UNDER, *(("low", state) for state in wiring.low), GROUND]
    return tuple(row for row in rows if row in used or row in (SKY, GROUND))
