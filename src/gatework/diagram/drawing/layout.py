"""One time step of a cell on paper: its signs, lines and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from gatework.diagram.drawing.curves import Curve, arrowhead, make_curves
from gatework.diagram.drawing.grid import (
    AIR,
    BANK_ABOVE,
    CROWDED,
    DISC_TEXT,
    LABEL_GAP,
    MARGIN,
    MARK,
    NAME,
    SIGN,
    SLOT_GAP,
    SLOT_HEIGHT,
    SLOT_LEFT,
    STATE_ABOVE,
    TEXT,
    middle,
)
from gatework.diagram.drawing.labels import Box, Labels, Place
from gatework.diagram.drawing.paper import sign_size, spread
from gatework.diagram.drawing.route import Route, route
from gatework.diagram.drawing.scene import Scene, Shape, text_width, within_paper
from gatework.diagram.planning.arrange import Arrangement, arrange
from gatework.diagram.planning.graph import BANK, INPUT, LAYER, OPERATION, SOURCE, STATE, Vertex, make_graph
from gatework.diagram.planning.notation import Runs, plain, roman, symbol
from gatework.diagram.planning.wiring import EXIT, JUNCTION, UP, Wiring, make_wiring, vertex_ids
from gatework.language import Step


@dataclass(frozen=True)
class Placement:
    """The places and the lines of the picture of a step.

    Args:
        wiring: The vertices and their inputs.
        arrangement: The column and the row of each vertex.
        routes: The lines along the grid.
    """

    wiring: Wiring
    arrangement: Arrangement
    routes: tuple[Route, ...]


@lru_cache(maxsize=64)
def make_placement(step: Step) -> Placement:
    """Decide the places and lines. They are the same in every language, and take most of the time.

    Args:
        step: The checked equations.

    Returns:
        The placement.
    """
    wiring = make_wiring(make_graph(step))
    arrangement = arrange(wiring)
    return Placement(wiring, arrangement, route(wiring, arrangement))


def lay_out(placement: Placement, labels: Mapping[Vertex, Runs], notes: Mapping[str, str]) -> Scene:
    """Give the signs, lines and labels of a step their places on paper.

    Args:
        placement: The places and lines.
        labels: The label of each vertex's sign.
        notes: The name that the equations' comments give to each quantity.

    Returns:
        The scene, without a title.
    """
    room: dict[Vertex, tuple[float, float]] = {}
    # A name that finds no free place gets room on the left of its line, and if that does not help, on the right too.
    for side in (0, 1):
        draughtsman = _Draughtsman(placement, labels, notes, room)
        scene = draughtsman.scene()
        if not draughtsman.crowded:
            break
        for vertex, wide in draughtsman.crowded.items():
            room[vertex] = (wide, wide * side)
    else:
        scene = _Draughtsman(placement, labels, notes, room).scene()
    return within_paper(scene, MARGIN)


class _Draughtsman:
    """Makes the shapes of one cell.

    Args:
        placement: The places and lines.
        labels: The label of each vertex's sign.
        notes: The name that the equations' comments give to each quantity.
        room: For vertices whose names need it, the room that is kept free on the left and on the right.
    """

    def __init__(
        self,
        placement: Placement,
        labels: Mapping[Vertex, Runs],
        notes: Mapping[str, str],
        room: Mapping[Vertex, tuple[float, float]],
    ) -> None:
        self.wiring, self.labels, self.notes = placement.wiring, labels, notes
        wiring = placement.wiring
        sizes = {vertex: sign_size(vertex, labels[vertex]) for vertex in wiring.vertices}
        self.paper = spread(placement.arrangement, placement.routes, sizes, room)
        self.crowded: dict[Vertex, float] = {}  # the names without a free place, with the room that they need
        self.curves = curves = make_curves(wiring, placement.routes, self.paper)
        self.centres = {vertex: self.paper.at(middle(*place)) for vertex, place in placement.arrangement.places.items()}
        self.ids = vertex_ids(wiring)
        signs = []
        for vertex in wiring.vertices:
            left, top, width, height = self._box(vertex)
            signs.append((left, top, left + width, top + height))
        signs += [(x - 7, y - 7, x + 7, y + 7) for x, y, *_ in (curve.head for curve in curves if curve.head)]
        heads = [_around(arrowhead(curve.head)) for curve in curves if curve.head]
        self.free = Labels(signs, [curve.corners for curve in curves], heads)

    def scene(self) -> Scene:
        """Put the shapes in order: the frame, the lines, the signs, the labels."""
        paper = self.paper
        frame = Shape("frame", "frame", "cell", box=paper.frame)
        lines = [self._line(number, curve) for number, curve in enumerate(self.curves)]
        signs = [
            self._sign(vertex) for vertex in self.wiring.vertices if vertex.kind not in (STATE, BANK, JUNCTION, EXIT)
        ]
        shapes = (frame, *lines, *signs, *self._stacks(), *self._ends(), *self._names(), *self._marks())
        # The note of a quantity goes with everything that carries it.
        noted = (replace(shape, note=self.notes.get(shape.quantity, "")) for shape in shapes)
        moved = tuple(shape.moved(MARGIN, MARGIN) for shape in noted)
        return Scene(paper.width + 2 * MARGIN, paper.height + 2 * MARGIN, moved)

    def _box(self, vertex: Vertex) -> tuple[float, float, float, float]:
        x, y = self.centres[vertex]
        width, height = self.paper.sizes[vertex]
        if vertex.kind == BANK:
            return (SLOT_LEFT, y - height / 2, width, height)
        if vertex.kind in (INPUT, UP):
            return (x - width / 2, y - height if vertex.kind == UP else y, width, height)
        return (x - width / 2, y - height / 2, width, height)

    def _sign(self, vertex: Vertex) -> Shape:
        kind, role = {
            LAYER: ("box", "learned"),
            OPERATION: ("circle", "pointwise"),
            SOURCE: ("circle", "pointwise"),
            INPUT: ("circle", "input"),
            UP: ("circle", "output"),
        }[vertex.kind]
        label = self.labels[vertex]
        size = TEXT if kind == "box" or role == "pointwise" else DISC_TEXT
        if kind != "text" and role in ("learned", "pointwise") and len(plain(label)) == 1:
            size = SIGN
        return Shape(self.ids[vertex], kind, role, vertex.quantity, label, self._box(vertex), size=size)

    def _stacks(self) -> list[Shape]:
        """Draw every memory as a stack of slots. The one in the middle, where the line begins, stands for all."""
        slots = []
        for vertex in self.wiring.vertices:
            if vertex.kind != BANK:
                continue
            left, top, width, height = self._box(vertex)
            pitch = SLOT_HEIGHT + SLOT_GAP
            count = round((height + SLOT_GAP) / pitch)
            for place in range(count):
                name = self.ids[vertex] if place == count // 2 else slot_id(self.ids[vertex], place)
                box = (left, top + place * pitch, width, SLOT_HEIGHT)
                slots.append(Shape(name, "box", "memory", vertex.quantity, box=box))
        return slots

    def _line(self, number: int, curve: Curve) -> Shape:
        route = curve.route
        quantity = route.source.quantity
        ends = (self.ids[route.source], self.ids[route.target])
        name = f"{ends[0]} > {ends[1]}" + (f" {route.index}" if route.target.inputs.count(route.source) > 1 else "")
        return Shape(name, "line", "vector", quantity, path=curve.path, whole=curve.whole, head=curve.head, edge=ends)

    def _ends(self) -> list[Shape]:
        """Write the names of the states at the left and the right edge, above their lines."""
        texts = []
        for vertex in self.wiring.vertices:
            if vertex.kind == EXIT or (vertex.kind == STATE and self.wiring.readers(vertex)):
                x, y = self.centres[vertex]
                left = vertex.kind == STATE
                place = (x + 2 if left else x - 14, y - STATE_ABOVE, 0.0, 0.0)
                anchor = "start" if left else "end"
                name = f"name {self.ids[vertex]}"
                texts.append(
                    Shape(name, "text", "state", vertex.quantity, self.labels[vertex], place, size=NAME, anchor=anchor)
                )
            elif vertex.kind == BANK:
                left, top, width, _ = self._box(vertex)
                place = (left + width / 2, top - BANK_ABOVE, 0.0, 0.0)
                name = f"name {self.ids[vertex]}"
                texts.append(Shape(name, "text", "memory", vertex.quantity, self.labels[vertex], place, size=NAME))
        return texts

    def _names(self) -> list[Shape]:
        """Write the names of quantities beside the beginning of their lines."""
        texts = []
        states = self.wiring.graph.current
        for vertex in self.wiring.vertices:
            name = next((name for name in vertex.names if name not in states), None)
            inner = [reader for reader in self.wiring.readers(vertex) if reader.kind not in (EXIT, UP)]
            if name is None and vertex.kind == LAYER and vertex.names and inner and not self.wiring.on_line(vertex):
                name = vertex.names[0]
            if name is None or vertex.kind in (STATE, BANK, INPUT, EXIT, UP):
                continue
            runs = symbol(name, self.wiring.graph.times[name])
            ways = [curve.corners for curve in self.curves if curve.route.source is vertex]
            (x, y), hidden = self.free.place(runs, NAME, ways)
            wide = text_width(runs, NAME)
            left, _, across, _ = self.paper.frame
            if hidden > CROWDED or x - wide / 2 < left or x + wide / 2 > left + across:
                self.crowded[vertex] = wide + 2 * LABEL_GAP
            texts.append(Shape(f"label {name}", "text", "label", name, runs, (x, y, 0.0, 0.0), size=NAME))
        return texts

    def _marks(self) -> list[Shape]:
        """Write signs beside arrows whose order matters."""
        texts = []
        for curve in self.curves:
            target, index = curve.route.target, curve.route.index
            mark = self.wiring.marks[target][index] if self.wiring.marks[target] else ""
            if mark:
                (x, y), _ = self.free.place(roman(mark), MARK, [curve.corners[-2:]], backward=True)
                name = f"mark {self.ids[target]} {index}"
                texts.append(Shape(name, "text", "label", "", roman(mark), (x, y, 0.0, 0.0), size=MARK))
        return texts


def slot_id(memory: str, place: int) -> str:
    """Name a slot of a memory's stack."""
    return f"slot {place} of {memory}"


def _around(places: Sequence[Place]) -> Box:
    """Return the box around some places, with a small margin."""
    across, down = zip(*places, strict=True)
    return min(across) - AIR, min(down) - AIR, max(across) + AIR, max(down) + AIR
