"""Files of equations, which bring a user's own cell to the command line."""

import os
from pathlib import Path

from gatework.errors import DataError, FileError
from gatework.reading.files import read_text

# The largest file of equations in bytes. The longest cells have a few thousand.
_MOST = 1 << 20


def read_equations(path: str | Path) -> str:
    """Read a file of equations.

    Args:
        path: A regular file in UTF-8.

    Returns:
        The text of the file, not yet parsed.

    Raises:
        DataError: If the file cannot be read, is not text, or contains no equation.
    """
    expected = "Expected a file of equations such as h = tanh(W @ x + R @ h + b)."
    try:
        text = read_text(os.path.expanduser(path), _MOST)
    except FileError as error:
        raise DataError(f"Cell file '{path}' {error.reason}. {expected}") from error
    if "=" not in text:
        raise DataError(f"Cell file '{path}' {'holds no equation' if text.strip() else 'is empty'}. {expected}")
    return text
