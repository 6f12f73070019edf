"""The walk through a cell: a picture for each stage of its equations."""

from collections.abc import Collection
from dataclasses import replace

from gatework.cells import Cell
from gatework.diagram.drawing.grid import SLOTS
from gatework.diagram.drawing.layout import slot_id
from gatework.diagram.drawing.pieces import equation_block
from gatework.diagram.drawing.scene import Scene, pointed_out
from gatework.diagram.kinds.cell import cell_scene, described
from gatework.diagram.planning.graph import BANK, STATE, Vertex, make_graph
from gatework.diagram.planning.notation import equation_runs
from gatework.diagram.planning.stages import make_stages
from gatework.diagram.planning.wiring import EXIT, JUNCTION, UP, Wiring, make_wiring, vertex_ids
from gatework.translations import said, word

_GAP = 44.0


def walk_scenes(cell: Cell, language: str = "en") -> tuple[Scene, ...]:
    """Draw the walk through a cell. Each picture shows the path of one stage, the rest faint, beside its equations.

    Args:
        cell: Any cell.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        A scene for each stage.
    """
    whole = cell_scene(cell, language)
    wiring = make_wiring(make_graph(cell.step))
    scenes = []
    stages = make_stages(cell.step)
    for number, stage in enumerate(stages, 1):
        bright = _path(wiring, stage.targets)
        lines = [equation for equation in wiring.graph.equations if equation.target in stage.targets]
        equations = [equation_runs(equation, wiring.graph.times) for equation in lines]
        heading = word(stage.purpose, language)
        heading = f"{number}  {heading}" if len(stages) > 1 else heading
        notes = [said(equation.comment, language) for equation in lines]
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


def _path(wiring: Wiring, targets: Collection[str]) -> set[str]:
    """Find the signs and lines of some equations: what they compute, from what, and where the results go."""
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
                bright |= {slot_id(ids[below], place) for place in range(SLOTS)} if below.kind == BANK else set()
    for vertex in own:
        if vertex.names:
            ends = [reader for reader in wiring.readers(vertex) if reader.kind in (EXIT, UP)]
            # A state that goes on beyond its end belongs to the stage that reads it.
            onward = ends or [reader for reader in wiring.readers(vertex) if reader.kind != JUNCTION]
            edges |= {(vertex, reader) for reader in onward}
            bright |= {name for end in ends for name in (ids[end], f"name {ids[end]}")}
    # The name of a quantity is as dark as the line that it stands beside.
    bright |= {f"label {name}" for one, _ in edges for name in one.names}
    bright |= {f"{ids[one]} > {ids[other]}" for one, other in edges}
    bright |= {f"{ids[one]} > {ids[other]} {place}" for one, other in edges for place in (0, 1, 2)}
    return bright | {f"mark {ids[other]} {place}" for _, other in edges for place in (0, 1, 2)}
