"""The roles of columns: which tells sequences apart, which gives the time, which is predicted, which are read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gatework.data.options import TableOptions
from gatework.data.own.guesses import CLOCK
from gatework.data.own.numbers import TextColumn, looks_numeric, matching, share_of_numbers
from gatework.data.own.source import Column, Source, TypedColumn
from gatework.data.own.times import looks_like_times
from gatework.data.table import IDS, LABELS
from gatework.errors import DataError, did_you_mean

TIMES = ("time", "t", "step")
# Further names of times, for columns of dates or of seconds since 1970.
DATES = ("date", "datetime", "timestamp", "ds", "datum", "zeit", "fecha", "日期", "时间")
_MOST_LISTED = 12


class Roles(NamedTuple):
    """The roles of the columns of a table.

    Args:
        id: The column that tells sequences apart.
        time: The column of times.
        label: The column of labels.
        numbers: The columns to read as numbers.
        left_out: The columns that are left out, each with the reason.
        clock: The name of the column with the time of day, which stands behind the dates of ``time``.
    """

    id: Column | None
    time: Column | None
    label: Column | None
    numbers: tuple[Column, ...]
    left_out: dict[str, str]
    clock: str = ""


@dataclass
class _Chooser:
    source: Source
    options: TableOptions
    left_out: dict[str, str] = field(default_factory=dict)

    def named(self, name: str, flag: str) -> Column:
        """Find the column that a person names."""
        for column in self.source.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.source.columns]
        shown = ", ".join(f"'{known}'" for known in names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")
        reason = self.source.left_out.get(name)
        if reason:
            raise DataError(f"'{self.source.path}': the column '{name}' of {flag} holds {reason}, which are not read.")
        hint = did_you_mean(name, names, quote="'")
        raise DataError(f"'{self.source.path}' has no column '{name}', which {flag} names.{hint} It has {shown}.")

    def called(self, kind: Sequence[str]) -> Column | None:
        """Find the column with one of several names; a single letter counts only if no column has a whole word."""
        named = [column for column in self.source.columns if column.name.lower() in kind]
        words = [column for column in named if len(column.name) > 1]
        # If there is a column such as 'label', columns x and y are inputs.
        places = words or named
        if len(places) > 1:
            twins = " and ".join(f"'{column.name}'" for column in places[:2])
            flag = {"id": "--id", "time": "--time", "label": "--target"}[kind[0]]
            raise DataError(
                f"'{self.source.path}' has the columns {twins}, and each could be the {kind[0]}. Say which with {flag}."
            )
        return places[0] if places else None


def find_roles(source: Source, options: TableOptions, labelled: bool, unlabelled: bool = False) -> Roles:
    """Find the role of each column, by what a person says, by names, and by what all rows hold.

    Args:
        source: The table.
        options: What a person says.
        labelled: Whether one column holds labels, rather than numbers to read.
        unlabelled: Whether the column of labels may be missing.

    Returns:
        The roles.

    Raises:
        DataError: If a column that is named is not there or does not suit, or several columns could have a role.
    """
    chooser = _Chooser(source, options, dict(source.left_out))
    label = _find_label(chooser, labelled, unlabelled)
    identity = chooser.named(options.id, "--id") if options.id else chooser.called(IDS)
    if identity is not None and not (options.id or labelled) and not _has_several(identity):
        identity = None
    time = _find_time(chooser, [column for column in (label, identity) if column is not None])
    taken = [column.name for column in (identity, time, label) if column is not None]
    if len(set(taken)) < len(taken):
        raise DataError(
            f"'{source.path}': the column '{taken[0]}' has two roles. Say which with --id, --time, --target."
        )
    numbers = _find_numbers(chooser, taken, labelled)
    if not numbers:
        kept = "; ".join(
            f"'{name}' is left out ({reason})" for name, reason in list(chooser.left_out.items())[:_MOST_LISTED]
        )
        raise DataError(
            f"'{source.path}' has no column of numbers to read, beside those of the id, the time and the label."
            + (f" {kept[0].upper()}{kept[1:]}." if kept else "")
        )
    if time is not None and (clock := _find_clock(source, time, chooser.left_out)) is not None:
        del chooser.left_out[clock.name]
        return Roles(identity, _join(time, clock), label, numbers, chooser.left_out, clock.name)
    return Roles(identity, time, label, numbers, chooser.left_out)


def _find_label(chooser: _Chooser, labelled: bool, unlabelled: bool) -> Column | None:
    target = chooser.options.target
    if not labelled:
        return None
    if len(target) > 1:
        raise DataError(f"target is '{','.join(target)}'; expected the one column that holds the labels.")
    if not target:
        return chooser.called(LABELS)
    if unlabelled and all(column.name != target[0] for column in chooser.source.columns):
        return None
    return chooser.named(target[0], "--target")


def _has_several(column: Column) -> bool:
    """Tell whether there are several ids and one is repeated, so that they are not just the numbers of the rows."""
    values = column.fields if isinstance(column, TextColumn) else pa.array(column.values)
    return 1 < pc.count_distinct(values).as_py() < len(values)


def _find_time(chooser: _Chooser, taken: list[Column]) -> Column | None:
    if chooser.options.time:
        return chooser.named(chooser.options.time, "--time")
    chosen = {*chooser.options.columns, *chooser.options.target}
    free = [column for column in chooser.source.columns if column not in taken and column.name not in chosen]
    dates = [column for column in free if _holds_dates(column)]
    # Beside a column of dates, numbers under a name such as t are a quantity: the temperature, say.
    if (time := chooser.called(TIMES)) is not None and time in free and (time in dates or not dates):
        return time
    named = [column for column in dates if column.name.lower() in DATES]
    if len(dates) > 1 and len(named) != 1:
        twins = " and ".join(f"'{column.name}'" for column in dates[:2])
        raise DataError(
            f"'{chooser.source.path}' has the columns {twins}, which both hold dates. Say which with --time."
        )
    if dates:
        return named[0] if named else dates[0]
    counted = [column for column in free if column.name.lower() in DATES and _holds_seconds(column)]
    return counted[0] if len(counted) == 1 else None


def _find_clock(source: Source, time: Column, left_out: dict[str, str]) -> TextColumn | None:
    """Find the column with the time of day, if the dates have none: ``18:00``, or ``18.00.00``."""
    if not isinstance(time, TextColumn) or not looks_like_times(time):
        return None
    if pc.any(matching(time.fields, r".*\d[T ,]+\d.*")).as_py():
        return None
    texts = (
        column
        for column in source.columns
        if isinstance(column, TextColumn) and left_out.get(column.name, "").startswith(("text", "not chosen"))
    )
    return next((c for c in texts if c.filled == len(c.fields) and pc.all(matching(c.fields, CLOCK)).as_py()), None)


def _join(time: Column, clock: TextColumn) -> TextColumn:
    """Put a time of day behind each date."""
    assert isinstance(time, TextColumn)
    fields = pc.binary_join_element_wise(time.fields, clock.fields, " ")
    return TextColumn(time.name, fields, fields)


def _holds_dates(column: Column) -> bool:
    return column.values.dtype.kind == "M" if isinstance(column, TypedColumn) else looks_like_times(column)


def _holds_seconds(column: Column) -> bool:
    """Tell whether a column holds whole numbers that may be seconds since 1970."""
    if isinstance(column, TypedColumn):
        return column.values.dtype.kind == "i"
    return bool(pc.all(pc.match_substring_regex(column.fields, r"^\d{9,19}$")).as_py()) and column.filled > 0


def _find_numbers(chooser: _Chooser, taken: list[str], labelled: bool) -> tuple[Column, ...]:
    """Find the columns to read; give a reason for each that is left out."""
    options, source = chooser.options, chooser.source
    if options.columns:
        wanted = [
            *options.columns,
            *(() if labelled else (name for name in options.target if name not in options.columns)),
        ]
        columns = [chooser.named(name, "--columns") for name in dict.fromkeys(wanted)]
        for column in columns:
            if column.name in taken:
                raise DataError(f"'{source.path}': the column '{column.name}' of --columns is the id, time or label.")
            if isinstance(column, TextColumn) and (reason := _reason(column, source)):
                raise DataError(f"'{source.path}': the column '{column.name}' of --columns holds {reason}.")
        for column in source.columns:
            if column not in columns and column.name not in taken:
                chooser.left_out[column.name] = "not chosen"
        return tuple(columns)
    if not labelled:
        for name in options.target:
            chooser.named(name, "--target")
    read: list[Column] = []
    for place, column in enumerate(source.columns):
        if column.name in taken:
            continue
        reason = _row_numbers(column, place, source) or _reason(column, source)
        if reason:
            chooser.left_out[column.name] = reason
        else:
            read.append(column)
    missing = [name for name in options.target if not labelled and name in chooser.left_out]
    if missing:
        reason = chooser.left_out[missing[0]]
        raise DataError(f"'{source.path}': the column '{missing[0]}' of --target is no column of numbers: {reason}.")
    return tuple(read)


def _row_numbers(column: Column, place: int, source: Source) -> str:
    """Say why a column is a counter of rows without a meaning; nothing if it is not."""
    if place == 0 and source.row_names:
        return "names of rows"
    counts = column.name in source.unnamed or column.name.startswith(("Unnamed: 0", "__index_level_"))
    is_counter = column.name.lower() in IDS or (place == 0 and counts and source.header)
    return "numbers of rows" if is_counter and _is_counter(column) else ""


def _is_counter(column: Column) -> bool:
    """Tell whether a column counts the rows, from 0, 1 or any other number."""
    if isinstance(column, TypedColumn):
        values = column.values
        return values.dtype.kind == "i" and bool((np.diff(values) == 1).all())
    if column.filled < len(column.fields):
        return False
    if not pc.all(pc.match_substring_regex(column.fields, r"^\d{1,18}$")).as_py():
        return False
    return bool((np.diff(pc.cast(column.fields, pa.int64()).to_numpy()) == 1).all())


def _reason(column: Column, source: Source) -> str:
    """Say why a column is not read as numbers; nothing if it is.

    Raises:
        DataError: If half of the fields or more are numbers, and others are not.
    """
    if isinstance(column, TypedColumn):
        if column.values.dtype.kind == "M":
            return "times"
        return "empty" if column.values.dtype.kind == "f" and np.isnan(column.values).all() else ""
    if not column.filled:
        return "empty"
    if looks_like_times(column):
        return "dates"
    rows = len(column.fields)
    count, other = share_of_numbers(column) if looks_numeric(column) else (0, 0)
    if other is None:
        return ""
    if 2 * count < column.filled:
        return f"text in {column.filled - count:,} of {rows:,} rows"
    raise DataError(
        f"{source.place(column, other)}: '{column.fields[other].as_py()}' is not a number, and {count:,} of {rows:,} "
        "fields are. Correct it, or choose other columns with --columns."
    )
