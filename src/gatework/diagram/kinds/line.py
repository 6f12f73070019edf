"""The line of a cell's state, with the rest faded."""

from itertools import pairwise

from gatework.cells import Cell
from gatework.diagram.drawing.scene import Scene, pointed_out
from gatework.diagram.kinds.cell import cell_scene
from gatework.diagram.planning.graph import make_graph
from gatework.diagram.planning.wiring import EXIT, make_wiring, vertex_ids
from gatework.errors import CellError


def line_scene(cell: Cell, language: str = "en") -> Scene:
    """Draw a cell with everything faded but the line of its uppermost state. A state that only counts steps is skipped.

    Args:
        cell: A cell with a state that only pointwise operations carry on.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.

    Raises:
        CellError: If the cell has no such state.
    """
    wiring = make_wiring(make_graph(cell.step))
    ids = vertex_ids(wiring)
    carried = [state for state in wiring.high if wiring.lines.get(state)]
    if not carried:
        raise CellError(
            f"The cell `{cell.name}` has no line to point out: that takes a state that pointwise operations alone "
            "carry on, such as c = f * c + i * g."
        )
    # A state that no input reaches only counts steps, so it is not a memory.
    state = next((name for name in carried if wiring.reached_by_input(name)), carried[0])
    ends = [vertex for vertex in wiring.vertices if vertex.kind == EXIT and vertex.names == [state]]
    along = [wiring.graph.previous[state], *wiring.lines.get(state, ()), *ends]
    bright = {name for vertex in along for name in (ids[vertex], f"name {ids[vertex]}")}
    bright |= {f"{ids[one]} > {ids[other]}" for one, other in pairwise(along)}
    return pointed_out(cell_scene(cell, language), bright)
