"""Tables: CSV. Standard library only."""

import csv
from collections.abc import Iterator
from io import BytesIO, StringIO, TextIOWrapper
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


def split_rows(text: str, delimiter: str, most: int) -> list[tuple[int, list[str]]]:
    r"""Split the beginning of a table into rows, as far as it goes; quotes need not end.

    Args:
        text: The beginning of the table.
        delimiter: The character between two fields.
        most: The most rows to split.

    Returns:
        The number of lines up to the end of each row that is not blank, and its fields.

    Example:
        >>> split_rows('a;b\n"1;\n2";3\n', ";", 10)
        [(1, ['a', 'b']), (3, ['1;\n2', '3'])]
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    try:
        for fields in reader:
            if fields:
                rows.append((reader.line_num, fields))
            if len(rows) == most:
                break
    except csv.Error:  # a field that is too long, or goes on to the end: what was split is enough to decide
        pass
    return rows


def walk_rows(content: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    r"""Walk through the rows of a table, slowly: to find the line of a row, for a message.

    Args:
        content: The table in UTF-8.
        delimiter: The character between two fields.

    Yields:
        The number of the line in which the row begins, counted from 1, and its fields; none for a blank line.

    Example:
        >>> list(walk_rows(b'"1;\n2";3\n4;5\n', ";"))
        [(1, ['1;\n2', '3']), (3, ['4', '5'])]
    """
    text = TextIOWrapper(BytesIO(content), encoding="utf-8", errors="replace", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    begin = 1
    try:
        for fields in reader:
            yield begin, fields
            begin = reader.line_num + 1
    except csv.Error:  # a quote that does not end
        return


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
