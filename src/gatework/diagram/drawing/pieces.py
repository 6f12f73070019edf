"""Small parts that several kinds of pictures share: equations, headings, discs, straight arrows."""

from collections.abc import Sequence

from gatework.diagram.drawing.grid import EQUATION, HEADING, LEADING, NOTE, STRAIGHT_ARROW
from gatework.diagram.drawing.scene import Shape, text_width
from gatework.diagram.planning.notation import Runs, roman

_INDENT = 26.0


def arrow(name: str, start: tuple[float, float], end: tuple[float, float], quantity: str = "") -> Shape:
    """Draw a straight arrow.

    Args:
        name: Its id.
        start: Where it begins.
        end: Its tip.
        quantity: The quantity that flows along it.

    Returns:
        The shape.
    """
    across, down = end[0] - start[0], end[1] - start[1]
    length = abs(across) + abs(down)
    dx, dy = across / length, down / length
    path = (("M", *start), ("L", end[0] - dx * STRAIGHT_ARROW, end[1] - dy * STRAIGHT_ARROW))
    return Shape(name, "line", "vector", quantity, path=path, head=(*end, dx, dy))


def disc(name: str, role: str, runs: Runs, centre: tuple[float, float], size: float, quantity: str = "") -> Shape:
    """Draw a disc with a text on it."""
    box = (centre[0] - size / 2, centre[1] - size / 2, size, size)
    return Shape(name, "circle", role, quantity, runs, box, size=size * 0.41)


def written(name: str, text: Runs, place: tuple[float, float], size: float, anchor: str = "middle") -> Shape:
    """Write a text."""
    return Shape(name, "text", "label", "", text, (*place, 0.0, 0.0), size=size, anchor=anchor)


def equation_lines(runs: Runs, most: float) -> list[tuple[Runs, float]]:
    """Break an equation into lines that are not too wide.

    Args:
        runs: The equation.
        most: The maximal width of a line.

    Returns:
        The lines, each with its indentation.
    """
    if text_width(runs, EQUATION) <= most:
        return [(runs, 0.0)]
    lines: list[tuple[Runs, float]] = []
    line: list[tuple[str, str]] = []
    indent = 0.0
    for run in runs:
        if run[0] in (" + ", " − ") and text_width((*line, run), EQUATION) + indent > most * 0.75:
            lines.append((tuple(line), indent))
            line, indent = [], _INDENT
        line.append(run)
    return [*lines, (tuple(line), indent)]


def equation_block(
    heading: str, equations: Sequence[Runs], notes: Sequence[str], most: float = 430.0
) -> tuple[list[Shape], float, float]:
    """Set a heading and, below it, equations with their names. The block is flush left and centred on height 0.

    Args:
        heading: The heading.
        equations: The equations.
        notes: The name of each equation; empty if it has none.
        most: The maximal width.

    Returns:
        The shapes, and their total width and height.
    """
    rows: list[tuple[Runs, float, float]] = [(roman(heading), 0.0, HEADING), ((), 0.0, HEADING * 0.4)]
    for equation, note in zip(equations, notes, strict=True):
        rows += [(runs, indent, EQUATION) for runs, indent in equation_lines(equation, most)]
        rows += [(roman(note), 0.0, NOTE), ((), 0.0, NOTE / 2)] if note else [((), 0.0, NOTE / 2)]
    height = sum(size * LEADING for *_, size in rows)
    top = -height / 2
    shapes = []
    for number, (runs, indent, size) in enumerate(rows):
        if runs:
            place = (indent, top + size * LEADING / 2)
            shapes.append(written(f"beside {number}", runs, place, size, "start"))
        top += size * LEADING
    return shapes, max(indent + text_width(runs, size) for runs, indent, size in rows), height
