"""Tables: CSV. Standard library only."""

import csv
from collections.abc import Iterator
from pathlib import Path

from gatework.errors import FileError


def parse_csv(text: str, path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Go through the lines of CSV that are not blank; fields stand apart by ``,``, ``;`` or tabs.

    Args:
        text: The table.
        path: The file, for an error.

    Yields:
        The line's number, counted from 1, and its fields.

    Raises:
        FileError: With the number of the line that is at fault.
    """
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise FileError(
            path,
            f"cannot be read ({error})",
            "expected CSV, with quotes that end",
            inside=f"line {reader.line_num}",
        ) from error
