"""Find a cell from what a user gives: the cell itself, its name, its equations, or a file of equations."""

import os
from pathlib import Path

from gatework.cells.cell import Cell, cell
from gatework.cells.files import read_equations
from gatework.cells.registry import CELLS, LATENT
from gatework.errors import CellError


def find_cell(given: Cell | str, *, name: str | None = None, files: bool = False) -> Cell:
    """Return the cell that the user named.

    Args:
        given: A cell, a name in the registry, equations, or, if ``files`` is True, the path of a file of equations.
        name: The name of a cell that is given by its equations; None for ``cell``, or for the name of the file.
        files: Whether a file may be read. Only a name that the user typed may be a file, because a run directory could
            come from anyone.

    Returns:
        The cell.

    Raises:
        CellError: If there is no such cell; the message offers the nearest name.
        EquationError: If the equations cannot be read; the message shows the line and a caret.
        DataError: If the file is missing, empty or no text.

    Example:
        >>> find_cell("lstm").states, find_cell("h = tanh(W @ x + R @ h)", name="mine").name
        (('h', 'c'), 'mine')
    """
    if isinstance(given, Cell):
        return given
    if not isinstance(given, str):
        raise CellError(
            f"cell is a {type(given).__name__}; expected a gatework.Cell, a name such as 'lstm', or equations as text."
        )
    if files and is_file(given):
        return cell(read_equations(given), name=name or Path(given).stem)
    return cell(given, name=name or "cell") if is_equations(given) else LATENT.get(given) or CELLS[given]


def is_name(given: str) -> bool:
    """Tell whether a cell of the library has this name."""
    return given in CELLS or given in LATENT


def is_equations(given: str) -> bool:
    """Tell equations from a cell's name and from a file's."""
    return "=" in given


def is_file(given: str) -> bool:
    """Tell the name of a file of equations from a cell's name and from equations."""
    if "\n" in given or given.endswith(".txt"):
        return "\n" not in given
    return not is_equations(given) and any(sign in given for sign in ("/", os.sep, "."))  # no cell's name has one
