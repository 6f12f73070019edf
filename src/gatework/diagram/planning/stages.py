"""The effects of a step's equations on its state, in the order of a walk."""

from collections.abc import Sequence
from dataclasses import dataclass

from gatework.diagram.planning.graph import LAYER, Vertex, make_graph
from gatework.diagram.planning.wiring import EXIT, JUNCTION, UP, Wiring, make_wiring
from gatework.language import Step
from gatework.language.nodes import Equation, Name, walk

# The effects of a step's equations on the state, in the order of a walk.
_READ, _FORGET, _WRITE, _UPDATE, _OUTPUT, _WHOLE = "read", "forget", "write", "update", "output", "step"
_ORDER = (_READ, _FORGET, _WRITE, _UPDATE, _OUTPUT, _WHOLE)


@dataclass(frozen=True)
class Stage:
    """One stage of a walk: its effect, and the targets of its equations."""

    purpose: str
    targets: tuple[str, ...]


def make_stages(step: Step) -> tuple[Stage, ...]:
    """Group the equations of a step by their effect on its state.

    A gate that multiplies the line of an old state makes it *forget*. An addend of the line is *written*. The line
    itself is the *update*. Everything that the layers read before that is *read*. The rest makes the *output*. No stage
    comes before anything it reads: a value that both forgetting and writing depend on is *read* too.

    Args:
        step: The checked equations.

    Returns:
        The stages of its walk, in order.

    Example:
        >>> from gatework.cells import CELLS
        >>> [(stage.purpose, stage.targets) for stage in make_stages(CELLS["lstm"].step)]
        [('forget', ('f',)), ('write', ('i', 'g')), ('update', ('c',)), ('output', ('o', 'h'))]
    """
    wiring = make_wiring(make_graph(step))
    purposes = {vertex: _purpose(wiring, vertex) for vertex in reversed(wiring.vertices)}
    by_target = {
        name: purposes[vertex] for vertex in wiring.vertices if vertex.kind not in (EXIT, UP) for name in vertex.names
    }
    _settle(wiring.graph.equations, by_target)
    stages = []
    for purpose in _ORDER:
        targets = tuple(equation.target for equation in wiring.graph.equations if by_target[equation.target] == purpose)
        if targets:
            stages.append(Stage(purpose, targets))
    return tuple(stages)


def _purpose(wiring: Wiring, vertex: Vertex) -> str:
    """Return the effect of a vertex on the state, judged by its readers."""
    if not any(wiring.lines.values()):
        return _WHOLE
    carried = {other for state in wiring.high for other in wiring.lines.get(state, ())}
    if vertex in carried:
        return _UPDATE
    if wiring.on_line(vertex) or vertex in wiring.hanging:
        return _OUTPUT
    purposes: set[str] = set()
    for reader in _through(wiring, vertex):
        if reader in carried:
            line = wiring.lines[wiring.on_line(reader)]
            old = reader is line[0] or wiring.on_line(vertex)
            purposes.add(_FORGET if old and reader.is_product else _WRITE)
        elif reader.kind == LAYER and reader not in wiring.hanging:
            feeds = _purpose(wiring, reader)
            purposes.add(_READ if feeds in (_FORGET, _WRITE, _READ) else feeds)
        elif reader.kind not in (EXIT, UP):
            purposes.add(_purpose(wiring, reader))
    return next((purpose for purpose in _ORDER if purpose in purposes), _OUTPUT)


def _settle(equations: Sequence[Equation], purposes: dict[str, str]) -> None:
    """Move what each equation reads to the equation's stage or an earlier one. Purposes are changed in place."""
    readers: dict[str, list[str]] = {equation.target: [] for equation in equations}
    for equation in equations:
        for node in walk(equation.value):
            if isinstance(node, Name) and not node.previous and node.name in readers:
                readers[node.name].append(equation.target)
    for equation in reversed(equations):  # inputs before their readers
        fed = {purposes[reader] for reader in readers[equation.target]}
        first = next((purpose for purpose in _ORDER if purpose in fed), purposes[equation.target])
        if _ORDER.index(first) < _ORDER.index(purposes[equation.target]):
            both = first == _FORGET and _WRITE in fed
            purposes[equation.target] = _READ if both else first


def _through(wiring: Wiring, vertex: Vertex) -> list[Vertex]:
    """List the readers of a vertex, with junctions replaced by their own readers."""
    readers: list[Vertex] = []
    for reader in wiring.readers(vertex):
        readers += _through(wiring, reader) if reader.kind == JUNCTION else [reader]
    return readers
