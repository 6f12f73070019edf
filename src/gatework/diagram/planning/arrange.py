"""The place of each vertex: its column, in reading order, and its row.

The rules follow the essay's figures. Layers stand in the order in which the lines of the states meet them, and those
that feed other layers come first. An operation stands above its rightmost input; an operation on a line stands where
its side input comes up. An operation between an old state and a layer stands before that layer. Operations that turn a
state into the output stand at the right.
"""

from dataclasses import dataclass, field

from gatework.diagram.planning.graph import BANK, INPUT, LAYER, OPERATION, SOURCE, STATE, Vertex
from gatework.diagram.planning.levels import LAYERS, Levels, Row, fork_beside, is_early, make_levels, reads_from_below
from gatework.diagram.planning.wiring import EXIT, JUNCTION, UP, Wiring
from gatework.language.functions import FUNCTIONS


@dataclass(frozen=True)
class Arrangement:
    """The columns and rows of a picture, and the place of each vertex.

    Args:
        columns: The number of columns; the first and the last are the edges, where states and memories enter and leave.
        rows: The rows, from top to bottom.
        places: For each vertex, its column and its row, counted from 0.
    """

    columns: int
    rows: tuple[Row, ...]
    places: dict[Vertex, tuple[int, int]]


@dataclass(eq=False)
class _Column:
    """A column that others may still be inserted before."""

    held: dict[Row, Vertex] = field(default_factory=dict)


def arrange(wiring: Wiring) -> Arrangement:
    """Give every vertex of a cell its column and its row.

    Args:
        wiring: The wiring of a cell.

    Returns:
        The arrangement.
    """
    arranger = _Arranger(wiring)
    arranger.place_all()
    levels = arranger.levels
    index = {row: place for place, row in enumerate(levels.rows)}
    number = {id(column): place for place, column in enumerate(arranger.columns)}
    places = {
        vertex: (number[id(arranger.column_of[vertex])], index[levels.row_of[vertex]]) for vertex in wiring.vertices
    }
    return Arrangement(len(arranger.columns), levels.rows, places)


class _Arranger:
    """Builds the columns from left to right, and inserts columns where a rule requires it."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.column_of: dict[Vertex, _Column] = {}
        self.edge, self.left = _Column(), _Column()
        self.columns = [self.edge, self.left]
        self.base = self._base_order()
        junctions = [vertex for vertex in wiring.vertices if vertex.kind == JUNCTION]
        order = {vertex: place for place, vertex in enumerate(self.base)}
        # A bus that ends further left lies higher, so that its stems do not cross the other bus.
        junctions.sort(key=lambda junction: max((order.get(v, 0) for v in self._served(junction)), default=0))
        self.levels: Levels = make_levels(wiring, tuple(junctions))

    def place_all(self) -> None:
        """Place everything, in the order of the rules."""
        wiring = self.wiring
        for vertex in self.base:
            self._append(vertex)
        for vertex in wiring.vertices:
            if vertex.kind == OPERATION and vertex not in wiring.hanging and wiring.on_line(vertex) not in wiring.low:
                self._place_operation(vertex)
        for vertex in wiring.vertices:
            if vertex in wiring.hanging or (wiring.on_line(vertex) and wiring.on_line(vertex) in wiring.low):
                self._place_hanging(vertex)
        for vertex in wiring.vertices:
            if vertex.kind == JUNCTION:
                self._place_junction(vertex)
        for place, vertex in enumerate(wiring.graph.inputs):
            self._place_input(vertex, first=place == 0)
        top = _Column()
        right = _Column()
        self.columns += [top, right]
        for vertex in wiring.vertices:
            if vertex.kind in (STATE, BANK, EXIT, UP):
                self._hold({STATE: self.edge, BANK: self.edge, EXIT: right, UP: top}[vertex.kind], vertex)

    def _place_operation(self, vertex: Vertex) -> None:
        wiring, row = self.wiring, self.levels.row_of[vertex]
        state = wiring.on_line(vertex)
        sides = [
            below
            for below in wiring.inputs[vertex]
            if below in self.column_of and not (state and wiring.on_line(below) == state)
        ]
        if reads_from_below(wiring, vertex) or (is_early(wiring, vertex) and not state):
            first = [below for below in sides if below.kind == LAYER] or self._served(vertex)
            column = _Column()
            self.columns.insert(min(self._index(below) for below in first), column)
            self._hold(column, vertex)
            return
        least = 0
        if state:
            line = wiring.lines[state]
            before = line[: line.index(vertex)]
            least = max((self._index(other) + 1 for other in before), default=0)
        if not sides and any(below.kind == BANK for below in wiring.inputs[vertex]):
            # What reads a memory for the layers stands before them, like what is computed with it.
            served = [column for column in map(self._index, self._fed(vertex)) if column >= least]
            column = _Column()
            self.columns.insert(min(served, default=len(self.columns)), column)
            self._hold(column, vertex)
            return
        if not sides:
            self._hold(self._free(row, least), vertex)
            return
        rightmost = max(sides, key=self._index)
        column = self.column_of[rightmost]
        # A sign on a line blocks the path up to what stands above it.
        barred = any(wiring.on_line(held) for held in column.held.values())
        if fork_beside(wiring, vertex) or row in column.held or barred or self.columns.index(column) < least:
            column = _Column()
            self.columns.insert(max(self._index(rightmost) + 1, least), column)
        self._hold(column, vertex)

    def _place_hanging(self, vertex: Vertex) -> None:
        wiring, row = self.wiring, self.levels.row_of[vertex]
        sides = [
            below
            for below in wiring.inputs[vertex]
            if below in wiring.hanging or (below in self.column_of and wiring.on_line(vertex))
        ]
        sides = [below for below in sides if not wiring.on_line(below)]
        state = wiring.on_line(vertex)
        line = wiring.lines.get(state, ())
        before = [other for other in line if other in self.column_of and line.index(other) < line.index(vertex)]
        least = max((self._index(other) + 1 for other in before), default=0)
        rightmost = max(sides, key=self._index, default=None)
        fits = rightmost is not None and row not in self.column_of[rightmost].held
        if rightmost is not None and fits and self._index(rightmost) >= least and not fork_beside(wiring, vertex):
            self._hold(self.column_of[rightmost], vertex)
        else:
            self._append(vertex)

    def _place_junction(self, junction: Vertex) -> None:
        inner = [below for below in self.wiring.inputs[junction] if below.kind in (OPERATION, LAYER, JUNCTION)]
        inner = [below for below in inner if below in self.column_of]
        if not inner:
            column = None if any(held.kind == JUNCTION for held in self.left.held.values()) else self.left
        else:
            column = self.column_of[max(inner, key=self._index)]
            column = column if LAYERS not in column.held and column is not self.left else None
            # The sum over a memory comes down beside its sign, which lines enter from below.
            column = None if any(map(self._gathers, inner)) else column
        if column is None:
            column = _Column()
            before_reader = min(self._index(reader) for reader in self._served(junction))
            after_inner = max((self._index(below) + 1 for below in inner), default=before_reader)
            self.columns.insert(after_inner, column)
        self._hold(column, junction)

    def _gathers(self, vertex: Vertex) -> bool:
        """Tell whether a vector is a sum over a memory's positions, or is joined with one."""
        if vertex.kind == JUNCTION:
            return any(map(self._gathers, self.wiring.inputs[vertex]))
        return bool(vertex.function) and FUNCTIONS[vertex.function].kind == "gathering"

    def _place_input(self, vertex: Vertex, first: bool) -> None:
        readers = [reader for reader in self.wiring.readers(vertex) if reader in self.column_of]
        if first or not readers:
            column = self.left
            if self.levels.row_of[vertex] in column.held:
                column = _Column()
                self.columns.insert(2, column)
        else:
            column = _Column()
            self.columns.insert(min(self._index(reader) for reader in readers), column)
        self._hold(column, vertex)

    def _base_order(self) -> list[Vertex]:
        """Order the row of the layers: those that feed others first, then by the order of the states' lines."""
        wiring = self.wiring
        seen: dict[Vertex, None] = {}

        def visit(vertex: Vertex) -> None:
            if vertex in seen or vertex.kind in (STATE, INPUT, BANK):
                return
            for below in wiring.inputs[vertex]:
                visit(below)
            seen[vertex] = None

        # Lines that other lines depend on come first, the output last.
        for vertex in wiring.vertices:
            if wiring.on_line(vertex):
                line = wiring.on_line(vertex)
                for side in wiring.inputs[vertex]:
                    if wiring.on_line(side) != line:
                        visit(side)
                seen[vertex] = None
        for vertex in wiring.vertices:
            visit(vertex)
        base = [v for v in seen if v.kind in (LAYER, SOURCE) and v not in wiring.hanging]
        return sorted(base, key=lambda vertex: -self._height(vertex, {}))

    def _height(self, vertex: Vertex, known: dict[Vertex, int]) -> int:
        """Count the layers in the longest chain after a vertex."""
        if vertex not in known:
            known[vertex] = 0
            for reader in self.wiring.readers(vertex):
                own = 1 if reader.kind == LAYER and reader not in self.wiring.hanging else 0
                known[vertex] = max(known[vertex], own + self._height(reader, known))
        return known[vertex]

    def _served(self, vertex: Vertex) -> list[Vertex]:
        """List the layers that read a vertex, directly or through junctions."""
        layers: list[Vertex] = []
        for reader in self.wiring.readers(vertex):
            if reader.kind == LAYER and reader not in self.wiring.hanging:
                layers.append(reader)
            elif reader.kind == JUNCTION:
                layers += self._served(reader)
        return layers

    def _fed(self, vertex: Vertex) -> list[Vertex]:
        """List the layers that a vertex reaches through operations and junctions."""
        layers: list[Vertex] = []
        for reader in self.wiring.readers(vertex):
            if reader.kind == LAYER:
                layers += [reader] if reader in self.column_of else []
            elif reader.kind in (OPERATION, JUNCTION):
                layers += self._fed(reader)
        return layers

    def _free(self, row: Row, least: int) -> _Column:
        """Return the last column that is empty, so that a sign in it blocks nothing; add one if there is none."""
        for column in reversed(self.columns[max(2, least) :]):
            if not column.held:
                return column
        column = _Column()
        self.columns.append(column)
        return column

    def _index(self, vertex: Vertex) -> int:
        return self.columns.index(self.column_of[vertex])

    def _append(self, vertex: Vertex) -> None:
        column = _Column()
        self.columns.append(column)
        self._hold(column, vertex)

    def _hold(self, column: _Column, vertex: Vertex) -> None:
        column.held[self.levels.row_of[vertex]] = vertex
        self.column_of[vertex] = column
