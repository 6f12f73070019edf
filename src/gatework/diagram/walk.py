"""The walk through a cell, one picture per step of its equations; and two cells side by side."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gatework.cells import Cell
from gatework.diagram.graph import LAYER, STATE, Vertex, make_graph
from gatework.diagram.layout import cell_scene, described, vertex_ids
from gatework.diagram.notation import equation_runs, roman
from gatework.diagram.pieces import HEADING, equation_block, written
from gatework.diagram.scene import Scene, Shape, beside
from gatework.diagram.wiring import EXIT, JUNCTION, UP, Wiring, make_wiring
from gatework.diagram.words import said, word
from gatework.errors import CellError
from gatework.language.nodes import Equation, Name, walk

# What the equations of a step do to the state, in the order in which they are told.
_READ, _FORGET, _WRITE, _UPDATE, _OUTPUT, _WHOLE = "read", "forget", "write", "update", "output", "step"
_ORDER = (_READ, _FORGET, _WRITE, _UPDATE, _OUTPUT, _WHOLE)
_GAP = 44.0


@dataclass(frozen=True)
class Part:
    """One step of a walk: what it does, and the targets of its equations."""

    purpose: str
    targets: tuple[str, ...]


def parts(cell: Cell) -> tuple[Part, ...]:
    """Part the equations of a cell by what they do to its state.

    A gate that an old state's line is multiplied by makes it *forget*; what is added to the line is *written*; the
    line itself is the *update*; what layers read before that is *read*; the rest makes the *output*. Nothing is told
    before what it reads: what both forgetting and writing wait for is *read* too.

    Args:
        cell: Any cell.

    Returns:
        The steps of its walk, in order.

    Example:
        >>> from gatework.cells import CELLS
        >>> [(part.purpose, part.targets) for part in parts(CELLS["lstm"])]
        [('forget', ('f',)), ('write', ('i', 'g')), ('update', ('c',)), ('output', ('o', 'h'))]
    """
    wiring = make_wiring(make_graph(cell.step))
    purposes = {vertex: _purpose(wiring, vertex) for vertex in reversed(wiring.vertices)}
    by_target = {
        name: purposes[vertex] for vertex in wiring.vertices if vertex.kind not in (EXIT, UP) for name in vertex.names
    }
    _settle(wiring.graph.equations, by_target)
    found = []
    for purpose in _ORDER:
        targets = tuple(equation.target for equation in wiring.graph.equations if by_target[equation.target] == purpose)
        if targets:
            found.append(Part(purpose, targets))
    return tuple(found)


def walk_scenes(cell: Cell, language: str = "en") -> tuple[Scene, ...]:
    """Draw the walk through a cell: for each step its path, the rest faint, and its equations beside it.

    Args:
        cell: Any cell.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        A scene for each step.
    """
    whole = cell_scene(cell, language)
    wiring = make_wiring(make_graph(cell.step))
    changing = frozenset((*cell.inputs, *(equation.target for equation in cell.step.equations)))
    scenes = []
    told = parts(cell)
    for number, part in enumerate(told, 1):
        bright = _path(wiring, part.targets)
        equations = [
            equation_runs(equation, changing) for equation in wiring.graph.equations if equation.target in part.targets
        ]
        heading = word(part.purpose, language)
        heading = f"{number}  {heading}" if len(told) > 1 else heading
        notes = [
            said(equation.comment, language) for equation in wiring.graph.equations if equation.target in part.targets
        ]
        shapes, wide, _ = equation_block(heading, equations, notes)
        picture = pointed_out(whole, bright)
        right = [shape.moved(whole.width + _GAP, whole.height / 2) for shape in shapes]
        scenes.append(
            replace(
                picture,
                width=whole.width + _GAP + wide + 12.0,
                shapes=(*picture.shapes, *right),
                title=f"{whole.title}: {heading}",
                description=described(cell, f"{whole.title}: {heading}"),
            )
        )
    return tuple(scenes)


def sheet(scenes: Collection[Scene], title: str, gap: float = 26.0) -> Scene:
    """Put pictures below one another on one sheet.

    Args:
        scenes: The pictures, the uppermost first.
        title: What they show together.
        gap: The room between two.

    Returns:
        One scene.
    """
    shapes: list[Shape] = []
    down = 0.0
    for number, scene in enumerate(scenes):
        shapes += [shape.moved(0.0, down, f"s{number}.") for shape in scene.shapes]
        down += scene.height + gap
    first = next(iter(scenes))
    width = max(scene.width for scene in scenes)
    return Scene(width, down - gap, tuple(shapes), title, first.description, first.language)


def pointed_out(scene: Scene, bright: Collection[str]) -> Scene:
    """Give a picture in which all but some shapes are faint; a bright branch is drawn from where its vector comes.

    Args:
        scene: The picture.
        bright: The ids that are not.

    Returns:
        The picture.
    """
    lines, signs = [], []
    for shape in scene.shapes:
        shown = replace(shape, emphasis="" if shape.id in bright or shape.kind == "frame" else "faint")
        (lines if shape.kind in ("line", "frame") else signs).append(shown)
        if shape.kind == "line" and shape.id in bright:
            lines[-1] = replace(shape, emphasis="", path=shape.whole)
    # What is bright lies on top of what is faint: a branch begins on a line that may be faint.
    lines.sort(key=lambda shape: (shape.kind == "line", shape.emphasis == ""))
    return replace(scene, shapes=(*lines, *signs))


def compare_scene(cell: Cell, other: Cell, language: str = "en") -> Scene:
    """Draw two cells side by side, what each has and the other has not in the colour of what is pointed out.

    Args:
        cell: The cell on the left.
        other: The cell on the right.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.
    """
    scenes = [cell_scene(cell, language), cell_scene(other, language)]
    known = [_marks(scene) for scene in scenes]
    marked, tall = [], max(scene.height for scene in scenes)  # tops, and so the lines of states, at one height
    for scene, own, foreign, title in zip(scenes, known, reversed(known), (cell.title, other.title), strict=True):
        strong = {name: "strong" for name, mark in own.items() if mark not in foreign.values()}
        lifted = replace(scene.with_emphasis(strong), height=tall + 2 * HEADING)
        heading = written("title", roman(title), (scene.width / 2, tall + HEADING), HEADING)
        marked.append(replace(lifted, shapes=(*lifted.shapes, heading)))
    shapes, width, height = beside(marked, _GAP)
    title = word("compare of", language, cell.title, other.title)
    return Scene(
        width, height, shapes, title, f"{described(cell, cell.title)} {described(other, other.title)}", language
    )


def _marks(scene: Scene) -> dict[str, tuple[str, ...]]:
    """Say what each sign and line is, in words that are the same for the same thing in another cell."""
    labels = {shape.id: tuple(text for text, _ in shape.text) for shape in scene.shapes}
    marks: dict[str, tuple[str, ...]] = {}
    for shape in scene.shapes:
        if shape.kind in ("box", "circle") and shape.role in ("learned", "pointwise"):
            marks[shape.id] = (shape.kind, shape.quantity, *labels[shape.id])
        elif shape.kind == "line":
            ends = tuple("join" if end.startswith("join") else end for end in shape.edge)
            marks[shape.id] = ("line", *ends)
        elif shape.kind == "text" and shape.role == "label":
            marks[shape.id] = ("label", shape.quantity)
    return marks


def _purpose(wiring: Wiring, vertex: Vertex) -> str:
    """Say what a vertex does to the state, by what it feeds."""
    if not any(wiring.lines.values()):
        return _WHOLE
    carried = {other for state in wiring.high for other in wiring.lines.get(state, ())}
    if vertex in carried:
        return _UPDATE
    if wiring.on_line(vertex) or vertex in wiring.hanging:
        return _OUTPUT
    found: set[str] = set()
    for reader in _through(wiring, vertex):
        if reader in carried:
            line = wiring.lines[wiring.on_line(reader)]
            old = reader is line[0] or wiring.on_line(vertex)
            found.add(_FORGET if old and _is_product(reader) else _WRITE)
        elif reader.kind == LAYER and reader not in wiring.hanging:
            feeds = _purpose(wiring, reader)
            found.add(_READ if feeds in (_FORGET, _WRITE, _READ) else feeds)
        elif reader.kind not in (EXIT, UP):
            found.add(_purpose(wiring, reader))
    return next((purpose for purpose in _ORDER if purpose in found), _OUTPUT)


def _settle(equations: Sequence[Equation], purposes: dict[str, str]) -> None:
    """Tell what an equation reads no later than the equation itself; purposes are changed in place."""
    readers: dict[str, list[str]] = {equation.target: [] for equation in equations}
    for equation in equations:
        for node in walk(equation.value):
            if isinstance(node, Name) and not node.previous and node.name in readers:
                readers[node.name].append(equation.target)
    for equation in reversed(equations):  # what is read stands before what reads it
        fed = {purposes[reader] for reader in readers[equation.target]}
        first = next((purpose for purpose in _ORDER if purpose in fed), purposes[equation.target])
        if _ORDER.index(first) < _ORDER.index(purposes[equation.target]):
            both = first == _FORGET and _WRITE in fed
            purposes[equation.target] = _READ if both else first


def _is_product(vertex: Vertex) -> bool:
    """Tell a sign at which two vectors are multiplied, or one is divided by the other."""
    return vertex.function in ("mul", "div")


def _through(wiring: Wiring, vertex: Vertex) -> list[Vertex]:
    """List the readers of a vertex, those behind junctions in the place of the junctions."""
    found: list[Vertex] = []
    for reader in wiring.readers(vertex):
        found += _through(wiring, reader) if reader.kind == JUNCTION else [reader]
    return found


def _path(wiring: Wiring, targets: Collection[str]) -> set[str]:
    """Find the signs and lines that some equations speak of: what they are made of, and where it goes."""
    ids = vertex_ids(wiring)
    lines = {number for number, equation in enumerate(wiring.graph.equations) if equation.target in targets}
    own = [vertex for vertex in wiring.vertices if vertex.line in lines]
    bright = {ids[vertex] for vertex in own} | {f"label {name}" for vertex in own for name in vertex.names}
    pending = list(own)
    edges: set[tuple[Vertex, Vertex]] = set()
    while pending:
        vertex = pending.pop()
        for below in wiring.inputs[vertex]:
            edges.add((below, vertex))
            if below.kind == JUNCTION:
                pending.append(below)
            else:
                bright |= {ids[below], f"name {ids[below]}"} if not below.names or below.kind == STATE else set()
    for vertex in own:
        if vertex.names:
            ends = [reader for reader in wiring.readers(vertex) if reader.kind in (EXIT, UP)]
            # Where a state goes beyond its end is told where it is read.
            onward = ends or [reader for reader in wiring.readers(vertex) if reader.kind != JUNCTION]
            edges |= {(vertex, reader) for reader in onward}
            bright |= {name for end in ends for name in (ids[end], f"name {ids[end]}")}
    bright |= {f"{ids[one]} > {ids[other]}" for one, other in edges}
    bright |= {f"{ids[one]} > {ids[other]} {place}" for one, other in edges for place in (0, 1, 2)}
    return bright | {f"mark {ids[other]} {place}" for _, other in edges for place in (0, 1, 2)}


def line_scene(cell: Cell, language: str = "en") -> Scene:
    """Draw a cell with nothing but the line of its uppermost state; a counter is passed over for one that remembers.

    Args:
        cell: A cell with a state that pointwise operations alone carry on.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.

    Raises:
        CellError: Where the cell has no such state.
    """
    wiring = make_wiring(make_graph(cell.step))
    ids = vertex_ids(wiring)
    carried = [state for state in wiring.high if wiring.lines.get(state)]
    if not carried:
        raise CellError(
            f"The cell `{cell.name}` has no line to point out: that takes a state that pointwise operations alone "
            "carry on, such as c = f * c + i * g."
        )
    # What no input reaches counts steps, whatever comes; it is no memory.
    state = next((name for name in carried if wiring.reached_by_input(name)), carried[0])
    ends = [vertex for vertex in wiring.vertices if vertex.kind == EXIT and vertex.names == [state]]
    along = [wiring.graph.previous[state], *wiring.lines.get(state, ()), *ends]
    bright = {name for vertex in along for name in (ids[vertex], f"name {ids[vertex]}")}
    bright |= {f"{ids[one]} > {ids[other]}" for one, other in pairwise(along)}
    return pointed_out(cell_scene(cell, language), bright)
