"""Tables from CSV files: the name of a column determines its meaning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.data.table import Table, make_table
from gatework.errors import DataError
from gatework.reading.files import decode, read_file
from gatework.reading.tables import parse_csv, parse_number

# The names of columns with a meaning, in lower case; those in a file may have capitals.
IDS, TIMES = ("id", "sequence", "series"), ("time", "t", "step")
LABELS = ("label", "class", "target", "y")
_MOST_BYTES, _MOST_COLUMNS = 1 << 32, 10_000
# The most names of columns to list for people.
_MOST_LISTED = 8


@dataclass(frozen=True)
class CsvRows:
    """The fields of a CSV file.

    Args:
        path: The file.
        names: The names of its columns.
        fields: The fields of each row.
        lines: The number of each row's line in the file.
    """

    path: Path
    names: tuple[str, ...]
    fields: list[list[str]]
    lines: list[int]

    def place(self, kind: Sequence[str]) -> int | None:
        """Find the column with one of several names; a single letter counts only if no column has a whole word.

        Args:
            kind: The names.

        Returns:
            The index of the column; None if there is none.

        Raises:
            DataError: If several columns have such a name.
        """
        words = [place for place, name in enumerate(self.names) if name.lower() in kind and len(name) > 1]
        # If there is a column such as 'label', columns x and y are inputs.
        places = words or [place for place, name in enumerate(self.names) if name.lower() in kind]
        if len(places) > 1:
            twins = " and ".join(f"'{self.names[place]}'" for place in places[:2])
            raise DataError(
                f"'{self.path}' has the columns {twins}, and each could be the {kind[0]}. Rename one of them, or take "
                "it out."
            )
        return places[0] if places else None

    def column(self, place: int) -> list[str]:
        """Return the fields of one column, without surrounding spaces.

        Raises:
            DataError: If a field is empty.
        """
        column = [fields[place].strip() for fields in self.fields]
        if "" in column:
            line = self.lines[column.index("")]
            raise DataError(f"'{self.path}', line {line}: the column '{self.names[place]}' is empty.")
        return column

    def numbers(self, places: Sequence[int]) -> NDArray[np.float64]:
        """Return the numbers of some columns ``[n, F]``.

        Raises:
            DataError: If a field is not a finite number.
        """
        rows = np.empty((len(self.fields), len(places)))
        for row, (line, fields) in enumerate(zip(self.lines, self.fields, strict=True)):
            for column, place in enumerate(places):
                value = parse_number(fields[place])
                if value is None or not isfinite(value):
                    raise DataError(
                        f"'{self.path}', line {line}, column '{self.names[place]}': '{fields[place]}' is not a number. "
                        "Fill the hole, or take the row or the column out."
                    )
                rows[row, column] = value
        return rows


def read_rows(path: Path) -> CsvRows:
    """Read a CSV file whose first line names its columns; fields are separated by ``,``, ``;`` or tabs.

    Args:
        path: The file.

    Returns:
        One or more rows.

    Raises:
        DataError: If the file cannot be read, has no header, or a line has more or fewer fields than the header.
    """
    content = read_file(path, _MOST_BYTES, f"expected the file '{path.name}'; check --data")
    lines = list(parse_csv(decode(content, path, advice="Save it as UTF-8."), path))
    names = tuple(field.strip() for field in lines[0][1]) if lines else ()
    if not names or any(parse_number(name) is not None for name in names):
        raise DataError(f"'{path}' has no header: its first line has to name the columns, such as id,time,x,label.")
    if len(names) > _MOST_COLUMNS:
        raise DataError(f"'{path}' has {len(names):,} columns, and at most {_MOST_COLUMNS:,} are taken.")
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not name or name in seen:
            fault = f"two columns named '{name}'" if name else f"no name for column {place + 1}"
            raise DataError(f"'{path}' has {fault}: each column needs a name of its own.")
        seen.add(name)
    if len(lines) == 1:
        raise DataError(f"'{path}' has a header and no rows.")
    for line, fields in lines[1:]:
        if len(fields) != len(names):
            raise DataError(f"'{path}', line {line} has {len(fields)} fields, and the header has {len(names)}.")
    return CsvRows(path, names, [fields for _, fields in lines[1:]], [line for line, _ in lines[1:]])


def read_csv_table(path: Path, labelled: bool = True) -> Table:
    """Read sequences from a CSV file, with one row for each step.

    A column named ``id``, ``sequence`` or ``series`` names the sequence of each row; without one, all rows form one
    recording. A column named ``time``, ``t`` or ``step`` orders the rows of a sequence, by numbers or by ISO 8601
    dates; without one, they keep the order of the file. A column named ``label``, ``class``, ``target`` or ``y`` holds
    the labels. Capitals do not matter. The other columns are inputs if their first field that is not empty is a number.

    Args:
        path: The file.
        labelled: Whether a column of labels holds labels, rather than inputs.

    Returns:
        The sequences, in the order of their first rows in the file.

    Raises:
        DataError: If the file does not hold such a table.
    """
    rows = read_rows(path)
    identity, time, label = rows.place(IDS), rows.place(TIMES), rows.place(LABELS) if labelled else None
    rest = [place for place in range(len(rows.names)) if place not in (identity, time, label)]
    read = [place for place in rest if _first_is_number(rows, place)]
    if not read:
        raise DataError(f"'{path}' has no column of numbers to read, beside those of the id, the time and the label.")
    members: dict[str, list[int]] = {}
    for row, name in enumerate([""] * len(rows.fields) if identity is None else rows.column(identity)):
        members.setdefault(name, []).append(row)
    if time is not None:
        _put_in_order(rows, members, time)
    numbers = rows.numbers(read)
    labels: Sequence[Sequence[str]] = ()
    if label is not None:
        column = rows.column(label)
        labels = [[column[row] for row in members_of_one] for members_of_one in members.values()]
    table = make_table(
        [numbers[members_of_one] for members_of_one in members.values()],
        [rows.names[place] for place in read],
        list(members),
        labels,
        str(path),
    )
    table = replace(table, left_out=tuple(rows.names[place] for place in sorted(set(rest) - set(read))))
    return replace(table, about=_describe(rows, table, (identity, time, label)))


def _first_is_number(rows: CsvRows, place: int) -> bool:
    """Tell whether the first field of a column that is not empty is a number; a hole before it is refused later."""
    first = next((fields[place] for fields in rows.fields if fields[place].strip()), "")
    return parse_number(first) is not None


def _put_in_order(rows: CsvRows, members: dict[str, list[int]], place: int) -> None:
    """Sort the rows of every sequence by time."""
    times = _parse_times(rows, place)
    for name, members_of_one in members.items():
        members_of_one.sort(key=times.__getitem__)
        for before, row in pairwise(members_of_one):
            if times[before] == times[row]:
                of = f" of '{name}'" if name else ""
                raise DataError(
                    f"'{rows.path}', line {rows.lines[row]}: the {rows.names[place]} is that of line "
                    f"{rows.lines[before]}. Each row{of} needs a time of its own."
                )


def _parse_times(rows: CsvRows, place: int) -> list[float]:
    """Read numbers, or if one of the fields is not a number, ISO 8601 dates, in seconds."""
    column = rows.column(place)
    numbers = [_parse_time(field) for field in column]
    times = [_parse_date(field) for field in column] if None in numbers else numbers
    for line, field, time in zip(rows.lines, column, times, strict=True):
        if time is None or not isfinite(time):
            expected = "a date such as 2026-01-31 or 2026-01-31T12:00" if None in numbers else "a finite number"
            raise DataError(
                f"'{rows.path}', line {line}, column '{rows.names[place]}': '{field}' is not {expected}. Rename the "
                "column, if it is no time."
            )
    return [time for time in times if time is not None]


def _parse_time(field: str) -> float | None:
    number = parse_number(field)
    if number is None or not isfinite(number):
        return number
    # Nanoseconds since 1970 have more digits than a float: as floats, different times would be equal.
    return int(field) if number.is_integer() and "." not in field and "e" not in field.lower() else number


def _parse_date(field: str) -> float | None:
    try:
        date = datetime.fromisoformat(field)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _describe(rows: CsvRows, table: Table, places: tuple[int | None, int | None, int | None]) -> tuple[str, ...]:
    identity, time, label = (None if place is None else f"'{rows.names[place]}'" for place in places)
    many = f"{table.size:,} sequences, one for each {identity}" if identity else "one recording"
    order = f"in the order of {time}" if time else "in the order of the file"
    labels = f"labels are those of {label}" if label else ""
    return f"table: {many}, {describe_lengths(table)}, {order}", describe_columns(table, labels)


def describe_columns(table: Table, labels: str = "") -> str:
    """Describe which columns are read and which are left out.

    Args:
        table: The sequences.
        labels: The description of the labels.

    Example:
        >>> describe_columns(make_table([np.ones((2, 1))], ["x"], ["a"]))
        "columns: reads 'x'"
    """
    left_out = f"leaves out {list_names(table.left_out)}, which hold no numbers" if table.left_out else ""
    return "; ".join(filter(None, (f"columns: reads {list_names(table.columns)}", labels, left_out)))


def describe_lengths(table: Table) -> str:
    """Describe the lengths of sequences.

    Args:
        table: The sequences.

    Example:
        >>> describe_lengths(make_table([np.ones((2, 1)), np.ones((1, 1))], ["x"], ["a", "b"]))
        '1 to 2 steps'
    """
    least, most = int(table.lengths.min()), int(table.lengths.max())
    return f"{least:,} steps" if least == most else f"{least:,} to {most:,} steps"


def list_names(names: Sequence[str]) -> str:
    """List names for a sentence; only the first of many.

    Args:
        names: The names.

    Example:
        >>> list_names(["x", "y"])
        "'x', 'y'"
        >>> list_names("abcdefghijk")
        "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 3 others"
    """
    listed = ", ".join(f"'{name}'" for name in names[:_MOST_LISTED])
    return listed if len(names) <= _MOST_LISTED else f"{listed} and {len(names) - _MOST_LISTED:,} others"
