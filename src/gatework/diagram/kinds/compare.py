"""Two cells side by side, with their differences highlighted."""

from dataclasses import replace

from gatework.cells import Cell
from gatework.diagram.drawing.grid import HEADING
from gatework.diagram.drawing.pieces import written
from gatework.diagram.drawing.scene import Scene, beside
from gatework.diagram.kinds.cell import cell_scene, described
from gatework.diagram.planning.notation import roman
from gatework.translations import word

_GAP = 44.0


def compare_scene(cell: Cell, other: Cell, language: str = "en") -> Scene:
    """Draw two cells side by side. Everything that only one of them has is in the highlight colour.

    Args:
        cell: The cell on the left.
        other: The cell on the right.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.
    """
    scenes = [cell_scene(cell, language), cell_scene(other, language)]
    known = [_marks(scene) for scene in scenes]
    marked, tall = [], max(scene.height for scene in scenes)  # put the tops, and so the states' lines, at one height
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
    """Describe each sign and line. The same thing has the same description in another cell."""
    labels = {shape.id: tuple(text for text, _ in shape.text) for shape in scene.shapes}
    marks: dict[str, tuple[str, ...]] = {}
    for shape in scene.shapes:
        if shape.kind in ("box", "circle") and shape.role in ("learned", "pointwise", "memory"):
            marks[shape.id] = (shape.kind, shape.quantity, *labels[shape.id])
        elif shape.kind == "line":
            ends = tuple("join" if end.startswith("join") else end for end in shape.edge)
            marks[shape.id] = ("line", *ends)
        elif shape.kind == "text" and shape.role in ("label", "memory"):
            marks[shape.id] = ("label", shape.quantity)
    return marks
