"""A cell as a scene: signs, lines and labels of one time step."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from gatework.cells import Cell
from gatework.diagram.arrange import Arrangement, arrange
from gatework.diagram.curves import Curve, make_curves
from gatework.diagram.graph import INPUT, LAYER, OPERATION, SOURCE, STATE, Vertex, make_graph
from gatework.diagram.labels import Box, Labels, Place
from gatework.diagram.notation import Runs, plain, roman, symbol
from gatework.diagram.paper import DISC_TEXT, NAME, TEXT, Paper, sign_size, spread
from gatework.diagram.route import Route, route
from gatework.diagram.scene import Scene, Shape, text_width
from gatework.diagram.svg import arrowhead
from gatework.diagram.wiring import EXIT, JUNCTION, UP, Wiring, make_wiring
from gatework.diagram.words import check_language, said, word
from gatework.language import Step

MARK = 12.0
_NOTE = 12.5  # height of the letters of a legend
_SIGN = 18.0  # one letter alone
_STATE_ABOVE = 17.0  # how far above its line the name of a state stands
_MARGIN = 6.0
_AIR = 1.0


def cell_scene(cell: Cell, language: str = "en") -> Scene:
    """Draw one time step of a cell.

    Args:
        cell: Any cell.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.
    """
    check_language(language)
    wiring, arrangement, routes = _planned(cell.step)
    labels = {vertex: translated(vertex.label, language) for vertex in wiring.vertices}
    paper = spread(arrangement, routes, {vertex: sign_size(vertex, labels[vertex]) for vertex in wiring.vertices})
    centres = {vertex: paper.at((column * 5 + 1, row * 3)) for vertex, (column, row) in arrangement.places.items()}
    notes = {equation.target: said(equation.comment, language) for equation in wiring.graph.equations}
    drawn = _Draughtsman(wiring, paper, make_curves(wiring, routes, paper), labels, centres, notes)
    title = word("cell of", language, cell.title)
    return drawn.scene(title, described(cell, title), language)


@lru_cache(maxsize=64)
def _planned(step: Step) -> tuple[Wiring, Arrangement, tuple[Route, ...]]:
    """Decide what stands where, which is the same in every language, and takes most of the time."""
    wiring = make_wiring(make_graph(step))
    arrangement = arrange(wiring)
    return wiring, arrangement, route(wiring, arrangement)


def with_legend(scene: Scene, cell: Cell) -> Scene:
    """Add below a picture what each named quantity is, as the comments of the equations say.

    Args:
        scene: The picture of a cell.
        cell: The cell.

    Returns:
        A picture that is somewhat higher.
    """
    # Only this step's values have a note, so of a state's two names the right one.
    named = {shape.quantity: shape for shape in scene.shapes if shape.note and shape.kind == "text"}
    left, top, shapes = 2 * _MARGIN, scene.height + NAME, []
    for shape in (named[equation.target] for equation in cell.step.equations if equation.target in named):
        note = roman(shape.note)
        wide = text_width(shape.text, NAME) + 8.0 + text_width(note, _NOTE)
        if left + wide > scene.width and left > 2 * _MARGIN:
            left, top = 2 * _MARGIN, top + 1.6 * NAME
        name = replace(shape, id=f"legend {shape.quantity}", role="label", box=(left, top, 0.0, 0.0), anchor="start")
        left += text_width(shape.text, NAME) + 8.0
        shapes += [name, Shape(f"note {shape.quantity}", "text", "label", shape.quantity, note, (left, top, 0.0, 0.0),
                               size=_NOTE, anchor="start")]  # fmt: skip
        left += text_width(note, _NOTE) + 26.0
    return replace(scene, height=top + NAME if shapes else scene.height, shapes=(*scene.shapes, *shapes))


def translated(runs: Runs, language: str) -> Runs:
    """Put the words of a language in the place of their keys."""
    return tuple((word(text, language), "roman") if style == "word" else (text, style) for text, style in runs)


def described(cell: Cell, title: str) -> str:
    """Say what a picture of a cell shows: its equations, for those who cannot see it."""
    return f"{title}: {'; '.join(line.partition('#')[0].strip() for line in str(cell).splitlines())}."


class _Draughtsman:
    """Makes the shapes of one cell."""

    def __init__(
        self,
        wiring: Wiring,
        paper: Paper,
        curves: Sequence[Curve],
        labels: dict[Vertex, Runs],
        centres: dict[Vertex, tuple[float, float]],
        notes: dict[str, str],
    ) -> None:
        self.wiring, self.paper, self.curves = wiring, paper, curves
        self.labels, self.centres, self.notes = labels, centres, notes
        self.ids = vertex_ids(wiring)
        signs = []
        for vertex in wiring.vertices:
            left, top, width, height = self._box(vertex)
            signs.append((left, top, left + width, top + height))
        signs += [(x - 7, y - 7, x + 7, y + 7) for x, y, *_ in (curve.head for curve in curves if curve.head)]
        heads = [_around(arrowhead(curve.head)) for curve in curves if curve.head]
        self.free = Labels(signs, [curve.corners for curve in curves], heads)

    def scene(self, title: str, description: str, language: str) -> Scene:
        """Put the shapes in order: the frame, the lines, the signs, the labels."""
        paper = self.paper
        frame = Shape("frame", "frame", "cell", box=paper.frame)
        lines = [self._line(number, curve) for number, curve in enumerate(self.curves)]
        signs = [self._sign(vertex) for vertex in self.wiring.vertices if vertex.kind not in (STATE, JUNCTION, EXIT)]
        shapes = (frame, *lines, *signs, *self._ends(), *self._names(), *self._marks())
        # What the comments call a quantity goes with everything that carries it.
        noted = (replace(shape, note=self.notes.get(shape.quantity, "")) for shape in shapes)
        moved = tuple(shape.moved(_MARGIN, _MARGIN) for shape in noted)
        return Scene(paper.width + 2 * _MARGIN, paper.height + 2 * _MARGIN, moved, title, description, language)

    def _box(self, vertex: Vertex) -> tuple[float, float, float, float]:
        x, y = self.centres[vertex]
        width, height = self.paper.sizes[vertex]
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
            size = _SIGN
        return Shape(self.ids[vertex], kind, role, vertex.quantity, label, self._box(vertex), size=size)

    def _line(self, number: int, curve: Curve) -> Shape:
        found = curve.route
        quantity = found.source.quantity
        ends = (self.ids[found.source], self.ids[found.target])
        name = f"{ends[0]} > {ends[1]}" + (f" {found.place}" if found.target.inputs.count(found.source) > 1 else "")
        return Shape(name, "line", "vector", quantity, path=curve.path, whole=curve.whole, head=curve.head, edge=ends)

    def _ends(self) -> list[Shape]:
        """Write the states at the left and the right edge, above their lines."""
        found = []
        for vertex in self.wiring.vertices:
            if vertex.kind == EXIT or (vertex.kind == STATE and self.wiring.readers(vertex)):
                x, y = self.centres[vertex]
                left = vertex.kind == STATE
                place = (x + 2 if left else x - 14, y - _STATE_ABOVE, 0.0, 0.0)
                anchor = "start" if left else "end"
                name = f"name {self.ids[vertex]}"
                found.append(
                    Shape(name, "text", "state", vertex.quantity, self.labels[vertex], place, size=NAME, anchor=anchor)
                )
        return found

    def _names(self) -> list[Shape]:
        """Write the names of quantities beside where their lines begin."""
        found = []
        states = self.wiring.graph.current
        for vertex in self.wiring.vertices:
            name = next((name for name in vertex.names if name not in states), None)
            inner = [reader for reader in self.wiring.readers(vertex) if reader.kind not in (EXIT, UP)]
            if name is None and vertex.kind == LAYER and vertex.names and inner and not self.wiring.on_line(vertex):
                name = vertex.names[0]
            if name is None or vertex.kind in (STATE, INPUT, EXIT, UP):
                continue
            runs = symbol(name, "t")
            ways = [curve.corners for curve in self.curves if curve.route.source is vertex]
            x, y = self.free.place(runs, NAME, ways)
            found.append(Shape(f"label {name}", "text", "label", name, runs, (x, y, 0.0, 0.0), size=NAME))
        return found

    def _marks(self) -> list[Shape]:
        """Write signs beside arrows whose order matters."""
        found = []
        for curve in self.curves:
            target, place = curve.route.target, curve.route.place
            mark = self.wiring.marks[target][place] if self.wiring.marks[target] else ""
            if mark:
                x, y = self.free.place(roman(mark), MARK, [curve.corners[-2:]], backward=True)
                name = f"mark {self.ids[target]} {place}"
                found.append(Shape(name, "text", "label", "", roman(mark), (x, y, 0.0, 0.0), size=MARK))
        return found


def _around(places: Sequence[Place]) -> Box:
    """Give the box around some places, and a little air."""
    across, down = zip(*places, strict=True)
    return min(across) - _AIR, min(down) - _AIR, max(across) + _AIR, max(down) + _AIR


def vertex_ids(wiring: Wiring) -> dict[Vertex, str]:
    """Name every vertex by its quantity, so that the same thing has the same id in another cell.

    Args:
        wiring: The wiring of a cell.

    Returns:
        The id of every vertex's shape.
    """
    ids: dict[Vertex, str] = {}
    for vertex in wiring.vertices:
        name = {EXIT: f"out {vertex.quantity}", UP: f"up {vertex.quantity}", JUNCTION: "join"}.get(
            vertex.kind, vertex.quantity
        )
        if vertex.kind == JUNCTION:
            name = "join " + ", ".join(ids[below] for below in wiring.inputs[vertex])
        taken = set(ids.values())
        while name in taken:
            name += "'"
        ids[vertex] = name
    return ids
