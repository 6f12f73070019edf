"""A file of equations: how a user's own cell comes in on the command line."""

import os
from pathlib import Path

from gatework.errors import DataError


def read_equations(path: str | Path) -> str:
    """Read a file of equations.

    Args:
        path: The file, in UTF-8.

    Returns:
        Its text, not parsed yet.

    Raises:
        DataError: Where the file cannot be read, is not text, or holds no equation.
    """
    expected = "expected a file of equations such as h = tanh(W @ x + R @ h + b)"
    try:
        text = Path(os.path.expanduser(path)).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cell file '{path}' cannot be read ({error.strerror}); {expected}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"cell file '{path}' is not text (byte {error.start} is not UTF-8); {expected}") from error
    if "=" not in text:
        raise DataError(f"cell file '{path}' {'holds no equation' if text.strip() else 'is empty'}; {expected}")
    return text
