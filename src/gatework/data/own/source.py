"""The file of a table, of whatever format: its columns, and how to name a row of it in a message."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gatework.data.options import TableOptions
from gatework.data.own.layout import Layout, find_layout
from gatework.data.own.numbers import TextColumn, trim_column
from gatework.data.own.text import to_utf8
from gatework.errors import DataError
from gatework.reading.columns import parse_arrow, parse_parquet, split_columns
from gatework.reading.files import read_file
from gatework.reading.tables import walk_rows

MOST_BYTES = 1 << 32
_DELIMITERS = {"\t": "tabs", " ": "spaces"}
_ARROW = (b"ARROW1", b"\xff\xff\xff\xff")
# The most rows whose lines a message lists.
_MOST_LISTED = 3


@dataclass(frozen=True, eq=False)
class TypedColumn:
    """A column whose format says what it holds.

    Args:
        name: The name of the column.
        values: The values ``[n]``: numbers with NaN at holes, whole numbers, or datetime64 with NaT at holes.
    """

    name: str
    values: NDArray


Column = TextColumn | TypedColumn


@dataclass(frozen=True)
class Source:
    """A table as its file holds it.

    Args:
        path: The file.
        columns: The columns, with different names.
        rows: The number of rows.
        format: The format: ``csv``, ``parquet`` or ``arrow``.
        delimiter: The character between two fields; empty for another format than CSV.
        header: Whether the file names the columns.
        row_names: Whether the first column holds the names of rows, as R writes them.
        unnamed: The names of the columns that the file does not name.
        left_out: Columns that cannot be read, each with the reason.
        units: The units of columns.
        said: What was decided, in words.
        lines: Finds the lines of rows, for messages.
    """

    path: Path
    columns: tuple[Column, ...]
    rows: int
    format: str
    delimiter: str = ""
    header: bool = True
    row_names: bool = False
    unnamed: frozenset[str] = frozenset()
    left_out: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    lines: Callable[[Sequence[int]], list[int]] = lambda rows: [row + 1 for row in rows]

    def place(self, column: Column, row: int, short: bool = False) -> str:
        """Name a field in words.

        Args:
            column: The column of the field.
            row: Its row, counted from 0.
            short: Whether to leave out the name of the file.
        """
        kind = "line" if self.format == "csv" else "row"
        where = f"{kind} {self.lines([row])[0]:,}, column '{column.name}'"
        return where if short else f"'{self.path}', {where}"

    def name_rows(self, rows: Sequence[int]) -> str:
        """Name some rows in words, the first of many."""
        kind = "line" if self.format == "csv" else "row"
        listed = [f"{line:,}" for line in self.lines(rows[:_MOST_LISTED])]
        if len(rows) > _MOST_LISTED:
            return f"{kind}s {', '.join(listed)}, …"
        return f"{kind} {listed[0]}" if len(rows) == 1 else f"{kind}s {', '.join(listed[:-1])} and {listed[-1]}"


def open_source(path: Path, options: TableOptions) -> Source:
    """Open the file of a table.

    Args:
        path: A CSV, Parquet or Arrow file; its first bytes tell which, not its name.
        options: What a person says about it.

    Returns:
        The table, with one column or more.

    Raises:
        DataError: If the file cannot be read as a table.
    """
    content = read_file(path, MOST_BYTES, "Check --data.")
    if content.startswith(b"PAR1"):
        return _typed(parse_parquet(content, path), path, "parquet")
    if content.startswith(_ARROW):
        return _typed(parse_arrow(content, path), path, "arrow")
    return _split(content, path, options)


def _split(content: bytes, path: Path, options: TableOptions) -> Source:
    """Split CSV."""
    content, encoding = to_utf8(content, path, options.encoding)
    layout = find_layout(content, path, options)
    count = len(layout.names)
    begin = _offset(content, layout.begin)
    body = memoryview(content)[begin:]
    if count == 1:  # empty lines at the end are no holes
        body = memoryview(content[begin:].rstrip() + b"\n")
    columns, wrong, comments = split_columns(body, path, layout.delimiter, count, lambda text: text.startswith("#"))
    if wrong is not None:
        raise _ragged(content, path, layout, wrong)
    lines = partial(_find_lines, content, layout)
    names, unnamed = _name_all(layout.names, path)
    trimmed = _without_ends([trim_column(name, column) for name, column in zip(names, columns, strict=True)])
    rows = len(trimmed[0].fields)
    if not rows:
        raise DataError(f"'{path}' has a header and no rows.")
    if layout.trailing:
        if (filled := trimmed[-1]).filled:
            line = lines([_first_filled(filled)])[0]
            raise DataError(f"'{path}', line {line:,} has {count} fields, and the header has {count - 1}.")
        trimmed, unnamed = trimmed[:-1], unnamed - {names[-1]}
    said = _say(layout, encoding, comments)
    units = {name: unit for name, unit in zip(names, layout.units, strict=False) if unit}
    return Source(
        path,
        tuple(trimmed),
        rows,
        "csv",
        layout.delimiter,
        layout.header,
        layout.row_names,
        frozenset(unnamed),
        units=units,
        said=said,
        lines=lines,
    )


def _offset(content: bytes, lines: int) -> int:
    """Return where a line begins."""
    place = 0
    for _ in range(lines):
        place = content.find(b"\n", place) + 1
        if not place:
            return len(content)
    return place


def _find_lines(content: bytes, layout: Layout, rows: Sequence[int]) -> list[int]:
    """Find the lines of rows, counted from 1; a row that is not found has the last line."""
    wanted, lines = iter(sorted(rows)), []
    count, row, line = len(layout.names), 0, 0
    next_row = next(wanted, None)
    for begin, fields in walk_rows(content[_offset(content, layout.begin) :], layout.delimiter):
        line = begin + layout.begin
        if len(fields) != count and not (count == 1 and not fields):
            continue
        while next_row == row:
            lines.append(line)
            next_row = next(wanted, None)
        if next_row is None:
            break
        row += 1
    return lines + [line] * (len(rows) - len(lines))


def _ragged(content: bytes, path: Path, layout: Layout, wrong: tuple[int, int, str]) -> DataError:
    count = len(layout.names) - layout.row_names - layout.trailing
    for begin, fields in walk_rows(content[_offset(content, layout.begin) :], layout.delimiter):
        if fields and len(fields) != len(layout.names) and not fields[0].startswith("#"):
            than = "the header has" if layout.header else "other lines have"
            extra = " A quote in it may not end." if '"' in wrong[2] else ""
            return DataError(
                f"'{path}', line {begin + layout.begin:,} has {len(fields)} fields, and {than} {count}.{extra}"
            )
    return DataError(f"'{path}' has a row of {wrong[1]} fields, and expected are {count}. A quote may not end.")


def _name_all(names: Iterable[str], path: Path) -> tuple[list[str], set[str]]:
    """Give a name to each column that has none, and refuse names that stand twice."""
    whole: list[str] = []
    unnamed: set[str] = set()
    for place, name in enumerate(names, 1):
        if not name:
            name = f"column {place}"
            unnamed.add(name)
        whole.append(name)
    seen: set[str] = set()
    for name in whole:
        if name in seen:
            raise DataError(f"'{path}' has two columns named '{name}': each column needs a name of its own.")
        seen.add(name)
    return whole, unnamed


def _without_ends(columns: list[TextColumn]) -> list[TextColumn]:
    """Take off rows without a single value at the end, as spreadsheets write them."""
    last = max((_last_filled(column) for column in columns), default=-1) + 1
    if last == len(columns[0].fields):
        return columns
    return [replace(c, fields=c.fields.slice(0, last), texts=c.texts.slice(0, last)) for c in columns]


def _last_filled(column: TextColumn) -> int:
    rows = len(column.fields)
    if rows and column.fields[rows - 1].is_valid:
        return rows - 1
    filled = pc.is_valid(column.fields).to_numpy(zero_copy_only=False).nonzero()[0]
    return int(filled[-1]) if len(filled) else -1


def _first_filled(column: TextColumn) -> int:
    return int(pc.is_valid(column.fields).to_numpy(zero_copy_only=False).argmax())


def _say(layout: Layout, encoding: str, comments: int) -> tuple[str, ...]:
    """Say in words how a CSV table is laid out."""
    between = _DELIMITERS.get(layout.delimiter, f"'{layout.delimiter}'")
    many = len(layout.names) > 1
    above = f"{len(layout.above)} line{'s' if len(layout.above) > 1 else ''} above the table left out"
    return tuple(
        filter(
            None,
            (
                f"{between} between fields" if many else "",
                encoding,
                "" if layout.header else "no header",
                above if layout.above else "",
                "a line of units" if layout.units else "",
                f"{comments} line{'s' if comments > 1 else ''} of comments left out" if comments else "",
            ),
        )
    )


def _typed(table: pa.Table, path: Path, format: str) -> Source:
    """Convert the columns of a format with types."""
    if not table.num_rows or not table.num_columns:
        raise DataError(f"'{path}' has no rows; expected a table with numbers.")
    names, unnamed = _name_all(table.column_names, path)
    columns: list[Column] = []
    left_out: dict[str, str] = {}
    for name, values in zip(names, table.columns, strict=True):
        column = _convert(name, values)
        if column is None:
            left_out[name] = f"values of type {values.type}"
        else:
            columns.append(column)
    return Source(path, tuple(columns), table.num_rows, format, unnamed=frozenset(unnamed), left_out=left_out)


def _convert(name: str, values: pa.ChunkedArray) -> Column | None:
    """Convert a column; None if its type is not one of numbers, times or texts."""
    kind: Any = values.type
    if pa.types.is_dictionary(kind):
        values = pc.cast(values, kind.value_type)
        kind = values.type
    if pa.types.is_null(kind):
        return TextColumn(name, *[pc.cast(values, pa.string())] * 2)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return trim_column(name, pc.cast(values, pa.string()))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        unit = kind.unit if pa.types.is_timestamp(kind) else "s"
        return TypedColumn(name, pc.cast(values, pa.timestamp(unit, getattr(kind, "tz", None))).to_numpy())
    if pa.types.is_integer(kind) and not values.null_count and not pa.types.is_uint64(kind):
        return TypedColumn(name, pc.cast(values, pa.int64()).to_numpy())
    if any(
        test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    ):
        if pa.types.is_boolean(kind):
            values = pc.cast(values, pa.int8())
        return TypedColumn(name, pc.fill_null(pc.cast(values, pa.float64(), safe=False), np.nan).to_numpy())
    return None
