"""Tables: CSV. Standard library only."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from gatework.errors import FileError


def parse_csv(text: str, path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the non-blank lines of a CSV table, whose fields are separated by ``,``, ``;`` or tabs.

    Args:
        text: The table.
        path: The file, for error messages.

    Yields:
        The number of the line, counted from 1, and its fields.

    Raises:
        FileError: If a line is not CSV; the message gives its number.
    """
    first = text.lstrip().partition("\n")[0]
    # str.splitlines would also end a line at U+0085 or U+2028, which may stand in a name.
    reader = csv.reader(StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise FileError(
            path,
            f"cannot be read ({error})",
            "Expected CSV, with quotes that end.",
            inside=f"line {reader.line_num}",
        ) from error


def parse_number(field: str) -> float | None:
    """Read a number; None if the field is not a number.

    Example:
        >>> parse_number("1e3"), parse_number("three")
        (1000.0, None)
    """
    try:
        return float(field)
    except ValueError:
        return None
