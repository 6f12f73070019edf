"""A cell as the command line takes it: a name from the registry, or a file of equations."""

from pathlib import Path

from gatework.cells import CELLS, Cell, cell, read_equations


def find_cell(given: str) -> Cell:
    """Find the cell that a word on the command line means.

    Args:
        given: A cell's name, or the path of a ``.txt`` file of equations.

    Returns:
        The cell. One from a file bears the file's name.

    Raises:
        CellError: No cell has this name; the message offers the nearest one.
        DataError: The file is missing, empty or no text.
        EquationError: The file's equations are not right; the message shows the line and a caret.
    """
    if not given.endswith(".txt"):
        return CELLS[given]
    return cell(read_equations(given), name=Path(given).stem)
