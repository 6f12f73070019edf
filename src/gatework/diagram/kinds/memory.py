"""The memory of a cell as a sum with a loop onto itself: the constant error carousel, and its successors."""

from collections.abc import Mapping
from dataclasses import replace

from gatework.cells import Cell
from gatework.diagram.drawing.curves import rounded
from gatework.diagram.drawing.grid import CIRCLE, LAYER_HEIGHT, MARK, SIGN, TEXT
from gatework.diagram.drawing.paper import sign_size
from gatework.diagram.drawing.pieces import arrow, written
from gatework.diagram.drawing.scene import Scene, Shape, text_width
from gatework.diagram.kinds.cell import described, translated
from gatework.diagram.planning.graph import LAYER, Vertex, make_graph
from gatework.diagram.planning.notation import Runs, node_runs, plain, roman, symbol
from gatework.diagram.planning.wiring import Wiring, make_wiring
from gatework.errors import CellError
from gatework.language.anatomy import find_bounds
from gatework.language.nodes import Equation
from gatework.language.parse import DERIVED, read
from gatework.translations import said, word

_LEVEL, _TOP = 150.0, 52.0  # the height of the line, and of the loop's upper end
_HEART = 34.0  # half of the memory's width
_STEP, _DEEP = 30.0, 66.0  # between two signs, and from a gate up to where it acts
_NAME, _WORD = 17.0, 12.0
_BESIDE = 14.0  # from an arrow to the mark beside it
_APART = 10.0  # between two captions


def memory_scene(cell: Cell, language: str = "en") -> Scene:
    """Draw the memory of a cell as a sum with a self-loop, whose weight is 1 or the forget gate.

    Args:
        cell: A cell whose state is its previous value, perhaps times a gate, plus what is written.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.

    Raises:
        CellError: If the cell has no such state.

    Source:
        Hochreiter & Schmidhuber 1997: the constant error carousel.
    """
    return _Memory(cell, language).scene()


class _Memory:
    """Draws from left to right: the written addend, the memory, and the path to the output."""

    def __init__(self, cell: Cell, language: str) -> None:
        self.cell, self.language = cell, language
        self.wiring: Wiring = make_wiring(make_graph(cell.step))
        equations = self.wiring.graph.equations
        self.notes: Mapping[str, str] = {equation.target: said(equation.comment, language) for equation in equations}
        self.times = self.wiring.graph.times
        self.shapes: list[Shape] = []
        self.right = 0.0
        self.captioned = 0.0  # where the last gate's caption ends
        self.state = next((name for name in self.wiring.high if self.wiring.lines.get(name)), "")
        line = self.wiring.lines.get(self.state, ())
        sums = [vertex for vertex in line if vertex.is_sum]
        odd = any(not (vertex.is_sum or vertex.is_product) or self._mark_along(vertex) for vertex in line)
        if len(sums) != 1 or len(line) > 2 or odd:
            raise CellError(
                f"The cell `{cell.name}` has no memory to draw as one sum with a loop: that takes a state that is "
                "what it was, perhaps times a gate, plus what is written, such as c = f * c + i * g."
            )
        self.given = self._beside(sums[0])
        self.sum = sums[0]
        self.weight = next((self._weight(vertex) for vertex in line if vertex is not sums[0]), roman("1"))

    def scene(self) -> Scene:
        """Draw all of it."""
        self._written()
        self._heart()
        self._read()
        title = word("memory of", self.language, self.cell.title)
        shapes: dict[str, Shape] = {}
        for shape in self.shapes:  # one gate may act twice
            name = shape.id
            while name in shapes:
                name += "'"
            shapes[name] = replace(shape, id=name)
        width = max(self.right + 14.0, self.captioned + 8.0)
        return Scene(width, _LEVEL + 118.0, tuple(shapes.values()), title, described(self.cell, title), self.language)

    def _written(self) -> None:
        """Draw the addend: a candidate, perhaps times a gate."""
        product = self.given.is_product
        # A divisor stands below, like a gate.
        candidate, *gates = (
            sorted(self.given.inputs, key=lambda below: (bool(_mark(self.given, below)), self._openness(below)))
            if product
            else (self.given,)
        )
        name = self._name(candidate)
        start = 12.0 + text_width(name, _NAME)
        self.shapes.append(written("given", name, (start, _LEVEL), _NAME, "end"))
        self.right = start + 6.0
        if product:
            self._gate(self.given, gates[0] if gates else candidate, candidate.quantity)

    def _heart(self) -> None:
        centre = self.right + 1.6 * _STEP + _HEART
        self.shapes.append(arrow("written", (self.right, _LEVEL), (centre - _HEART, _LEVEL), self.given.quantity))
        self._along("written", _mark(self.sum, self.given), centre - _HEART)
        out, back = centre + 22.0, centre - 22.0
        loop = rounded([(out, _LEVEL - 26.0), (out, _TOP), (back, _TOP), (back, _LEVEL - 36.0)], 20.0)
        box = (centre - _HEART, _LEVEL - _HEART, 2 * _HEART, 2 * _HEART)
        name = symbol(self.state, "t")
        size = min(21.0, 21.0 * (2 * _HEART - 12.0) / text_width(name, 21.0))
        self.shapes += [
            Shape("loop", "line", "vector", self.state, path=loop, head=(back, _LEVEL - 27.0, 0.0, 1.0)),
            Shape(self.state, "circle", "cell", self.state, name, box, size=size),
            written("weight", self.weight, (centre, _TOP - 17.0), 18.0),
            written("memory", roman(word("memory", self.language)), (centre, _LEVEL + _HEART + 16.0), _WORD),
        ]
        self.right = centre + _HEART

    def _read(self) -> None:
        """Draw the path from the memory to the output: an activation, a gate, a projection."""
        output = next(iter(self.wiring.graph.current))
        before = self.wiring.graph.current[self.state]
        for vertex in self._way_out(self.wiring.graph.current[output]):
            others = [below for below in vertex.inputs if below is not before]
            if (vertex.is_product or vertex.is_sum) and others:
                self._gate(vertex, others[0], before.quantity, _mark(vertex, before))
            else:
                self._sign(vertex, before.quantity)
            before = vertex
        end = self.right + 1.6 * _STEP
        name = symbol(output, "t")
        self.shapes.append(arrow("read", (self.right, _LEVEL), (end, _LEVEL), output))
        self.shapes.append(written("output", name, (end + 6.0, _LEVEL), _NAME, "start"))
        self.right = end + 6.0 + text_width(name, _NAME)

    def _way_out(self, vertex: Vertex) -> list[Vertex]:
        """List the signs from the memory to the output."""
        way: list[Vertex] = []
        while vertex is not self.wiring.graph.current[self.state]:
            way.insert(0, vertex)
            onward = [below for below in vertex.inputs if below in self.wiring.hanging or self.wiring.on_line(below)]
            if not onward:
                raise CellError(f"The output of the cell `{self.cell.name}` is not made from its memory {self.state}.")
            vertex = onward[0]
        return way

    def _sign(self, vertex: Vertex, quantity: str) -> None:
        label = translated(vertex.label, self.language)
        wide, high = sign_size(vertex, label)
        left = self.right + _STEP
        path = (("M", self.right, _LEVEL), ("L", left, _LEVEL))
        kind, role = ("box", "learned") if vertex.kind == LAYER else ("circle", "pointwise")
        high = LAYER_HEIGHT if kind == "box" else high
        box = (left, _LEVEL - high / 2, wide, high)
        self.shapes.append(Shape(f"to {vertex.quantity}", "line", "vector", quantity, path=path))
        self.shapes.append(Shape(vertex.quantity, kind, role, vertex.quantity, label, box, size=TEXT))
        self.right = left + wide

    def _gate(self, sign: Vertex, gate: Vertex, quantity: str, mark: str = "") -> None:
        """Draw a sign on the line, its input from below, and the marks on both arrows."""
        note = next((self.notes[name] for name in gate.names), "").partition(":")[0].partition(",")[0]
        name = self._name(gate)
        half = max(text_width(name, _NAME), text_width(roman(note), _WORD)) / 2
        centre = self.right + 1.2 * _STEP + CIRCLE / 2
        if self.captioned:
            centre = max(centre, self.captioned + _APART + half)
        below = _LEVEL + _DEEP
        box = (centre - CIRCLE / 2, _LEVEL - CIRCLE / 2, CIRCLE, CIRCLE)
        centre_of_name = max(centre, 8.0 + half)
        self.shapes += [
            arrow(f"to × {gate.quantity}", (self.right, _LEVEL), (centre - CIRCLE / 2, _LEVEL), quantity),
            arrow(gate.quantity, (centre, below), (centre, _LEVEL + CIRCLE / 2), gate.quantity),
            Shape(f"{plain(sign.label)} {gate.quantity}", "circle", "pointwise", "", sign.label, box, size=SIGN),
            written(f"name {gate.quantity}", name, (centre_of_name, below + 14.0), _NAME),
            written(f"note {gate.quantity}", roman(note), (centre_of_name, below + 35.0), _WORD),
        ]
        if _mark(sign, gate):
            place = (centre + _BESIDE, below - 24.0)
            self.shapes.append(written(f"mark {gate.quantity}", roman(_mark(sign, gate)), place, MARK))
        self._along(f"to × {gate.quantity}", mark, centre - CIRCLE / 2)
        self.right, self.captioned = centre + CIRCLE / 2, centre_of_name + half

    def _along(self, name: str, mark: str, end: float) -> None:
        """Write the mark of the arrow from here to an end above it."""
        if mark:
            place = (max(self.right + 6.0, end - 19.0), _LEVEL - _BESIDE)
            self.shapes.append(written(f"mark {name}", roman(mark), place, MARK))

    def _mark_along(self, vertex: Vertex) -> str:
        """Return the mark on the state's own arrow into a sign. A memory is neither subtracted nor a divisor."""
        along = (self.wiring.graph.previous[self.state], *self.wiring.lines[self.state])
        return "".join(_mark(vertex, below) for below in vertex.inputs if below in along)

    def _weight(self, vertex: Vertex) -> Runs:
        """Write the factor of the memory in its loop."""
        beside = self._beside(vertex)
        name = self._name(beside)
        return (*roman("1/"), *name) if _mark(vertex, beside) else name

    def _beside(self, vertex: Vertex) -> Vertex:
        """Return what enters a sign on the memory's line from the side."""
        along = (self.wiring.graph.previous[self.state], *self.wiring.lines[self.state])
        return next((below for below in vertex.inputs if below not in along), vertex.inputs[0])

    def _name(self, vertex: Vertex) -> Runs:
        return symbol(vertex.names[0], "t") if vertex.names else node_runs(_expression(vertex).value, self.times)

    def _openness(self, vertex: Vertex) -> int:
        """Rank a factor by how much it is a gate: 2 if it is between 0 and 1, 1 if it is never negative, else 0."""
        line = _expression(vertex)
        step = self.cell.step
        low, high = find_bounds(replace(step, equations=(*step.equations, line)))[line.target]
        return (low >= 0) + (low >= 0 and high <= 1)


def _expression(vertex: Vertex) -> Equation:
    """Read the expression of a value as its own equation."""
    return read(f"y = {vertex.names[0] if vertex.names else vertex.quantity}", DERIVED)[0]


def _mark(vertex: Vertex, below: Vertex) -> str:
    """Return the mark on the arrow from one sign into another; empty if it has none, or if there are two arrows."""
    marks = [mark for one, mark in zip(vertex.inputs, vertex.marks, strict=True) if one is below]
    return marks[0] if len(marks) == 1 else ""
