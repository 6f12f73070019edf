"""The groups that are formed before anything is placed: lines of states, joined vectors, hanging operations.

Three things are decided here. The *line* of a state is the chain of pointwise operations from its previous value to
its new value. It is drawn straight, as the essay draws the cell state. A *junction* joins the vectors that several
layers read together, once for all of them. A vertex *hangs* if it works on a finished state for the output alone: it
is drawn below that state's line, flowing down.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from gatework.diagram.planning.graph import BANK, CONDITION, INPUT, LAYER, OPERATION, SOURCE, STATE, Graph, Vertex
from gatework.diagram.planning.notation import symbol

JUNCTION, EXIT, UP = "junction", "exit", "up"
_ENTRANCES = 3


@dataclass(frozen=True)
class Wiring:
    """A graph with its junctions and its ends, and the role of each vertex.

    Args:
        graph: The graph.
        vertices: All vertices, including junctions and ends, each after its inputs.
        inputs: The inputs of each vertex, with junctions in place of the vectors they join.
        marks: For each of these inputs, the mark beside its arrow; empty if it has none.
        lines: For each state that only pointwise operations carry: those operations, from left to right.
        high: The states whose line runs above the layers, from top to bottom.
        low: The states that run below the layers, from top to bottom.
        hanging: The vertices that work for the output below a state's line.
    """

    graph: Graph
    vertices: tuple[Vertex, ...]
    inputs: Mapping[Vertex, tuple[Vertex, ...]]
    marks: Mapping[Vertex, tuple[str, ...]]
    lines: Mapping[str, tuple[Vertex, ...]]
    high: tuple[str, ...]
    low: tuple[str, ...]
    hanging: frozenset[Vertex]

    def readers(self, vertex: Vertex) -> list[Vertex]:
        """List the readers of a vertex, in order."""
        return [other for other in self.vertices if vertex in self.inputs[other]]

    def reached_by_input(self, state: str) -> bool:
        """Return whether a state is computed from an input of this step."""
        return any(below.kind == INPUT for below in _upstream(self.graph.current[state]))

    def on_line(self, vertex: Vertex) -> str:
        """Return the state whose line a vertex stands on; empty if it stands on none."""
        return next((state for state, line in self.lines.items() if vertex in line), "")


def make_wiring(graph: Graph) -> Wiring:
    """Find lines, junctions and hanging vertices of a graph.

    Args:
        graph: The graph of a cell.

    Returns:
        The wiring.
    """
    lines = _lines(graph)
    states = tuple(graph.current)
    output = states[0]
    carried = [state for state in states if lines[state]]
    made_of = _upstream(graph.current[output])
    others = {vertex for state in carried if state != output for vertex in lines[state]}
    # An output that is computed from another carried state runs below it.
    high = [state for state in carried if state != output or not made_of & others] or [output]
    low = [state for state in (output, *states) if state not in high]
    lines = {state: line for state, line in lines.items() if line}
    high.sort(key=lambda state: state == output)
    # Next to a state that runs below, a state from above enters a layer by itself, as a peephole.
    above = {graph.previous[state] for state in high} | {vertex for state in high for vertex in lines.get(state, ())}
    junctions, inputs, marks = _junctions(graph, above if low else set())
    exits = [
        Vertex(EXIT, symbol(state, graph.times[state]), state, (vertex,), ("",), [state])
        for state, vertex in graph.current.items()
    ]
    exits.append(Vertex(UP, symbol(output, "t"), output, (graph.current[output],), ("",), [output]))
    inputs |= {vertex: vertex.inputs for vertex in exits}
    vertices = _in_order((*graph.vertices, *junctions, *exits), inputs)
    hanging = _hanging(vertices, inputs, {vertex for state in high for vertex in lines.get(state, ())}, low, lines)
    marks = {vertex: marks.get(vertex, vertex.marks) for vertex in vertices}
    return Wiring(graph, vertices, inputs, marks, lines, tuple(high), tuple(dict.fromkeys(low)), frozenset(hanging))


def vertex_ids(wiring: Wiring) -> dict[Vertex, str]:
    """Name every vertex by its quantity, so that the same quantity has the same id in another cell.

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


def _lines(graph: Graph) -> dict[str, tuple[Vertex, ...]]:
    """Find, for each state, the longest chain of operations from its old to its new value."""
    taken: set[Vertex] = set()
    lines = {}
    for state in sorted(graph.current, key=lambda name: name == next(iter(graph.current))):
        chains: dict[Vertex, tuple[Vertex, ...]] = {graph.previous[state]: ()}
        for vertex in graph.vertices:
            if vertex.kind == OPERATION and vertex not in taken:
                handed = zip(vertex.inputs, vertex.marks, strict=True)
                reached = [chains[below] for below, mark in handed if below in chains and mark != CONDITION]
                if reached:
                    chains[vertex] = (*max(reached, key=len), vertex)
        lines[state] = chains.get(graph.current[state], ())
        taken.update(lines[state])
    return lines


def _junctions(
    graph: Graph, apart: set[Vertex]
) -> tuple[list[Vertex], dict[Vertex, tuple[Vertex, ...]], dict[Vertex, tuple[str, ...]]]:
    """Join vectors that several layers read, as long as this saves lines; then vectors that only one layer reads."""
    # A vector with a mark enters by itself. Otherwise the mark would apply to everything that is joined.
    bare = {vertex: _marked(vertex, "") for vertex in graph.vertices if vertex.kind == LAYER}
    open_sets = {vertex: set(inputs) - apart for vertex, inputs in bare.items()}
    order = {vertex: place for place, vertex in enumerate(graph.vertices)}
    groups: list[frozenset[Vertex]] = []
    while candidates := _worthwhile(open_sets.values()):
        # Sets have no order, so the order of the vertices decides ties.
        best = max(
            sorted(candidates, key=lambda group: sorted(order[vertex] for vertex in group)),
            key=lambda group: (_saved(group, open_sets.values()), _shared(group, open_sets.values())),
        )
        groups.append(best)
        for rest in open_sets.values():
            if best <= rest:
                rest -= best
    junctions: dict[frozenset[Vertex], Vertex] = {}
    wired = {vertex: vertex.inputs for vertex in graph.vertices}
    pairs = Counter(frozenset(pair) for group in groups for pair in combinations(group, 2))
    made: dict[frozenset[Vertex], Vertex] = {}
    for group in sorted(groups, key=len):
        # A junction that contains another takes it in whole.
        # What is at positions of a memory comes together first.
        members = sorted(group, key=lambda vertex: (not vertex.at_positions, order[vertex]))
        first, *rest = _joined(_together(members, pairs), junctions)
        # Two vectors meet at one point; a third meets their junction further on.
        for member in rest:
            pair = (first, member)
            first = made.setdefault(frozenset(pair), Vertex(JUNCTION, (), "", pair, ("", "")))
            wired[first] = pair
        junctions[group] = first
    marks: dict[Vertex, tuple[str, ...]] = {}
    for layer, rest in open_sets.items():
        parts = {group: junctions[group] for group in groups if group <= set(bare[layer]) - apart - rest}
        entering = {"": list(_joined(bare[layer], parts))}
        entering |= {mark: list(_marked(layer, mark)) for mark in dict.fromkeys(layer.marks) if mark}
        # A layer has three entrances. Further inputs are joined before the last one, like with like.
        while sum(map(len, entering.values())) > _ENTRANCES:
            most = max(entering.values(), key=len)
            pair = (most[-2], most[-1])
            joined = Vertex(JUNCTION, (), "", pair, ("", ""))
            wired[joined] = pair
            most[-2:] = [joined]
        wired[layer] = tuple(vertex for alike in entering.values() for vertex in alike)
        marks[layer] = tuple(mark for mark, alike in entering.items() for _ in alike)
    return [vertex for vertex in wired if vertex.kind == JUNCTION], wired, marks


def _together(members: Sequence[Vertex], pairs: Mapping[frozenset[Vertex], int]) -> list[Vertex]:
    """Put two vectors first that come together in other groups too, so that they meet once for all."""
    if len(members) < 3:
        return list(members)
    pair = max(combinations(members, 2), key=lambda pair: pairs[frozenset(pair)])
    return [*pair, *(member for member in members if member not in pair)] if pairs[frozenset(pair)] > 1 else [*members]


def _marked(layer: Vertex, mark: str) -> tuple[Vertex, ...]:
    """List the inputs of a layer with a given mark; with an empty mark, those without one."""
    return tuple(below for below, own in zip(layer.inputs, layer.marks, strict=True) if own == mark)


def _joined(members: Sequence[Vertex], junctions: Mapping[frozenset[Vertex], Vertex]) -> tuple[Vertex, ...]:
    """Replace vectors by their junctions, the largest junction first."""
    left, wired_in = list(members), []
    for group in sorted(junctions, key=len, reverse=True):
        if group <= set(left):
            left = [member for member in left if member not in group]
            wired_in.append(junctions[group])
    return (*wired_in, *left)


def _worthwhile(sets: Iterable[set[Vertex]]) -> set[frozenset[Vertex]]:
    whole = {frozenset(group) for group in sets if len(group) > 1}
    shared = {one & other for one, other in combinations(whole, 2) if len(one & other) > 1}
    return whole | shared


def _shared(group: frozenset[Vertex], sets: Iterable[set[Vertex]]) -> int:
    return sum(group <= other for other in sets)


def _saved(group: frozenset[Vertex], sets: Iterable[set[Vertex]]) -> int:
    """Count the lines that joining saves. A group that only one layer reads saves the least, whatever its size."""
    shared = _shared(group, sets)
    return (len(group) - 1) * shared if shared > 1 else 0


def _in_order(vertices: Iterable[Vertex], inputs: Mapping[Vertex, tuple[Vertex, ...]]) -> tuple[Vertex, ...]:
    placed: dict[Vertex, None] = {}

    def place(vertex: Vertex) -> None:
        if vertex not in placed:
            for below in inputs[vertex]:
                place(below)
            placed[vertex] = None

    for vertex in vertices:
        place(vertex)
    return tuple(placed)


def _upstream(vertex: Vertex) -> set[Vertex]:
    """Collect everything that a vertex is computed from."""
    upstream: set[Vertex] = set()
    pending = [vertex]
    while pending:
        for below in pending.pop().inputs:
            if below not in upstream:
                upstream.add(below)
                pending.append(below)
    return upstream


def _hanging(
    vertices: tuple[Vertex, ...],
    inputs: Mapping[Vertex, tuple[Vertex, ...]],
    on_high: set[Vertex],
    low: list[str],
    lines: Mapping[str, tuple[Vertex, ...]],
) -> set[Vertex]:
    """Find operations that only serve low states and read a finished high state, directly or through each other."""
    on_low = {vertex for state in low for vertex in lines.get(state, ())}
    serving: set[Vertex] = set()
    for vertex in reversed(vertices):
        readers = [other for other in vertices if vertex in inputs[other]]
        low_exit = [r for r in readers if (r.kind == EXIT and r.names[0] in low) or r in serving or r in on_low]
        if readers and all(reader in low_exit or reader.kind == UP for reader in readers) and low_exit:
            serving.add(vertex)
    hanging: set[Vertex] = set()
    for vertex in vertices:
        if (
            vertex not in serving
            or vertex in on_high
            or vertex in on_low
            or vertex.kind in (STATE, INPUT, BANK, JUNCTION)
        ):
            continue
        fed = [below in on_high or below in hanging for below in inputs[vertex]]
        masks = vertex.kind == SOURCE or (fed and all(b.kind == SOURCE for b in inputs[vertex]))
        if masks or (all(fed) if vertex.kind == LAYER else any(fed)):
            hanging.add(vertex)
    return hanging
