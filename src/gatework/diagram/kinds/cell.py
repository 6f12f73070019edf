"""One time step of a cell, and the parts of that picture that the other kinds use."""

from dataclasses import replace

from gatework.cells import Cell
from gatework.diagram.drawing.grid import MARGIN, NAME, NOTE
from gatework.diagram.drawing.layout import lay_out, make_placement
from gatework.diagram.drawing.scene import Scene, Shape, text_width
from gatework.diagram.planning.notation import Runs, roman
from gatework.translations import check_language, said, word


def cell_scene(cell: Cell, language: str = "en") -> Scene:
    """Draw one time step of a cell.

    Args:
        cell: Any cell.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.
    """
    check_language(language)
    placement = make_placement(cell.step)
    labels = {vertex: translated(vertex.label, language) for vertex in placement.wiring.vertices}
    notes = {equation.target: said(equation.comment, language) for equation in placement.wiring.graph.equations}
    title = word("cell of", language, cell.title)
    scene = lay_out(placement, labels, notes)
    return replace(scene, title=title, description=described(cell, title), language=language)


def with_legend(scene: Scene, cell: Cell) -> Scene:
    """Add a legend below a picture: the names that the equations' comments give to the quantities.

    Args:
        scene: The picture of a cell.
        cell: The cell.

    Returns:
        A picture with more height.
    """
    # Only this step's value has a note, so a state's note stands beside the right one of its two names.
    named = {shape.quantity: shape for shape in scene.shapes if shape.note and shape.kind == "text"}
    left, top, shapes = 2 * MARGIN, scene.height + NAME, []
    for shape in (named[equation.target] for equation in cell.step.equations if equation.target in named):
        note = roman(shape.note)
        wide = text_width(shape.text, NAME) + 8.0 + text_width(note, NOTE)
        if left + wide > scene.width and left > 2 * MARGIN:
            left, top = 2 * MARGIN, top + 1.6 * NAME
        name = replace(shape, id=f"legend {shape.quantity}", role="label", box=(left, top, 0.0, 0.0), anchor="start")
        left += text_width(shape.text, NAME) + 8.0
        shapes += [name, Shape(f"note {shape.quantity}", "text", "label", shape.quantity, note, (left, top, 0.0, 0.0),
                               size=NOTE, anchor="start")]  # fmt: skip
        left += text_width(note, NOTE) + 26.0
    return replace(scene, height=top + NAME if shapes else scene.height, shapes=(*scene.shapes, *shapes))


def translated(runs: Runs, language: str) -> Runs:
    """Replace the keys of words by the words of a language."""
    return tuple((word(text, language), "roman") if style == "word" else (text, style) for text, style in runs)


def described(cell: Cell, title: str) -> str:
    """Describe a picture of a cell by its equations, for readers who cannot see it."""
    return f"{title}: {'; '.join(line.partition('#')[0].strip() for line in str(cell).splitlines())}."
