"""A cell as the command line takes it: a name from the registry, or a file of equations."""

from pathlib import Path

from gatework.cells import CELLS, Cell, cell
from gatework.errors import DataError


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
    path = Path(given).expanduser()
    expected = "expected a file of equations such as h = tanh(W @ x + R @ h + b)"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cell file '{given}' cannot be read ({error.strerror}); {expected}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"cell file '{given}' is not text (byte {error.start} is not UTF-8); {expected}") from error
    if not text.strip():
        raise DataError(f"cell file '{given}' is empty; {expected}")
    return cell(text, name=path.stem)
