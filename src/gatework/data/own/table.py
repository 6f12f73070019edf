"""A table of one's own, read: every decision is made over all rows, and told."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from gatework.data.options import TableOptions
from gatework.data.own.holes import FILLED, count_holes, fill, refuse_holes
from gatework.data.own.numbers import TextColumn, decide_decimal, looks_numeric, share_of_numbers, to_numbers
from gatework.data.own.roles import Roles, find_roles
from gatework.data.own.source import Column, Source, TypedColumn, open_source
from gatework.data.own.times import Times, describe_steps, from_numbers, looks_like_times, show_time, to_times
from gatework.data.table import Table, describe_lengths, list_names, make_table
from gatework.errors import DataError

# Repeated times are a fault of the table if so many of its rows have one.
_MOST_REPEATED = 0.2


def read_own_table(path: Path, options: TableOptions, labelled: bool, unlabelled: bool = False) -> Table:
    """Read a table of one's own: CSV, Parquet or Arrow, with one row for each step.

    Args:
        path: The file.
        options: What a person says about it; the rest is decided from all rows.
        labelled: Whether one column holds labels.
        unlabelled: Whether the column of labels may be missing.

    Returns:
        The sequences, in the order of their first rows in the file.

    Raises:
        DataError: If the file does not hold such a table, or a decision would be a guess.
    """
    source = open_source(path, options)
    roles = find_roles(source, options, labelled, unlabelled)
    names = [column.name for column in roles.numbers]
    decimal = options.decimal or _decide_decimal(source, roles)
    numbers, signs = _read_numbers(source, roles, decimal)
    times = _read_times(source, roles.time, options)
    missing = options.missing or "refuse"
    if missing == "refuse":
        refuse_holes(numbers, names, path, source.name_rows)
    holes = count_holes(numbers, names)
    kept = (np.isnan(numbers).sum(axis=1) == 0) if holes and missing == "drop" else None
    if kept is not None and not kept.any():
        raise DataError(f"'{path}' has a hole in every row, so that --missing drop leaves none.")
    members, keys = _group(source, roles.id)
    order, spans = _put_in_order(source, members, len(keys), times, kept, roles)
    whole = numbers[order]
    del numbers
    if holes and missing != "drop":
        fill(whole, spans, missing)
    labels = _labels(source, roles.label, order, spans, decimal)
    keys = [key for key, (begin, end) in zip(keys, spans, strict=True) if begin < end]
    spans = [span for span in spans if span[0] < span[1]]
    table = _make(whole, spans, names, keys, labels, source)
    stamps = () if times is None else tuple(times.values[order][begin:end] for begin, end in spans)
    table = replace(table, times=stamps, left_out=tuple(roles.left_out))
    read_as = _facts(source, roles, options, decimal, times)
    said = [*source.said, *_say_numbers(decimal, signs, holes, missing)]
    return replace(table, about=_describe(source, roles, table, said, times), read_as=read_as)


def _make(
    whole: NDArray, spans: Sequence[tuple[int, int]], names: list[str], keys: list[str], labels: list, source: Source
) -> Table:
    """Make the table; of one sequence without a copy."""
    if len(spans) == 1:
        steps = torch.from_numpy(np.ascontiguousarray(whole))[:, None]
        lengths = torch.tensor([len(whole)])
        return Table(steps, lengths, tuple(names), tuple(keys), tuple(map(tuple, labels)), str(source.path))
    return make_table([whole[begin:end] for begin, end in spans], names, keys, labels, str(source.path))


def _decide_decimal(source: Source, roles: Roles) -> str:
    columns = [column for column in roles.numbers if isinstance(column, TextColumn)]
    label = roles.label
    if isinstance(label, TextColumn) and looks_numeric(label) and share_of_numbers(label)[1] is None:
        columns.append(label)
    return decide_decimal(columns, source.delimiter, source.place)


def _read_numbers(source: Source, roles: Roles, decimal: str) -> tuple[NDArray[np.float64], dict[str, list[str]]]:
    """Read the columns of numbers ``[n, F]``, and say which signs were taken off in which columns."""
    numbers = np.empty((source.rows, len(roles.numbers)))
    signs: dict[str, list[str]] = {}
    for place, column in enumerate(roles.numbers):
        values, taken, wrong = _to_numbers(column, decimal)
        if wrong is not None:
            field = column.fields[wrong].as_py() if isinstance(column, TextColumn) else column.values[wrong]
            expected = " with a decimal comma" if decimal == "," else ""
            raise DataError(
                f"{source.place(column, wrong)}: '{field}' is not a finite number{expected}. Correct it, take the row "
                "out, or choose other columns with --columns."
            )
        numbers[:, place] = values
        for sign in taken:
            signs.setdefault(sign, []).append(column.name)
    return numbers, signs


def _to_numbers(column: Column, decimal: str) -> tuple[NDArray, tuple[str, ...], int | None]:
    if isinstance(column, TextColumn):
        return to_numbers(column, decimal)
    values = column.values.astype(np.float64)
    infinite = np.isinf(values)
    return values, (), int(infinite.argmax()) if infinite.any() else None


def _read_times(source: Source, column: Column | None, options: TableOptions) -> Times | None:
    if column is None:
        return None
    if isinstance(column, TypedColumn):
        values = column.values
        empty = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
        if empty.any():
            raise DataError(
                f"{source.place(column, int(empty.argmax()))}: the time is empty. Fill it, or take the row out."
            )
        return Times(values) if values.dtype.kind == "M" else from_numbers(values)
    if column.filled and looks_like_times(column):
        return to_times(column, options.dates, source.place)
    return _counted_times(source, column)


def _counted_times(source: Source, column: TextColumn) -> Times:
    """Read times that are numbers; whole numbers exactly, for nanoseconds have more digits than a float."""
    fields = column.fields
    if column.filled == len(fields) and pc.all(pc.match_substring_regex(fields, r"^[+-]?\d{1,18}$|^\d{19}$")).as_py():
        try:
            return from_numbers(pc.cast(fields, pa.int64()).to_numpy())
        except pa.ArrowInvalid:  # more than 63 bits
            pass
    values, _, wrong = to_numbers(column, decide_decimal([column], source.delimiter, source.place))
    if wrong is None and not np.isnan(values).any():
        return Times(values)
    row = int(np.isnan(values).argmax()) if wrong is None else wrong
    field = fields[row].as_py()
    if field is None:
        raise DataError(f"{source.place(column, row)}: the time is empty. Fill it, or take the row out.")
    raise DataError(
        f"{source.place(column, row)}: '{field}' is not a time; expected numbers, or dates such as 2026-01-31 or "
        "31.01.2026 12:00. Name another column with --time, or rename this one."
    )


def _group(source: Source, column: Column | None) -> tuple[NDArray[np.int64], list[str]]:
    """Number the sequence of each row, in the order of their first rows."""
    if column is None:
        return np.zeros(source.rows, dtype=np.int64), [""]
    fields = _as_text(column)
    if fields.null_count:
        row = int(pc.is_null(fields).to_numpy(zero_copy_only=False).argmax())
        raise DataError(f"{source.place(column, row)}: the id is empty. Fill it, or take the row out.")
    encoded = (fields.combine_chunks() if isinstance(fields, pa.ChunkedArray) else fields).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _as_text(column: Column) -> Any:
    if isinstance(column, TextColumn):
        empty = pc.equal(column.texts, "")
        return pc.if_else(empty, None, column.texts) if pc.any(empty).as_py() else column.texts
    values = column.values
    if values.dtype.kind == "f":
        return pa.array([None if np.isnan(value) else f"{value:g}" for value in values.tolist()], pa.string())
    return pc.cast(pa.array(values), pa.string())


def _put_in_order(
    source: Source, members: NDArray, count: int, times: Times | None, kept: NDArray | None, roles: Roles
) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Return the rows sorted by sequence and time, and where each sequence begins and ends."""
    if times is None:
        order = np.argsort(members, kind="stable")
    else:
        order = np.lexsort((times.values, members))
        _check_repeated(source, members[order], times.values[order], order, roles)
    if kept is not None:
        order = order[kept[order]]
    ends = np.cumsum(np.bincount(members[order], minlength=count)).tolist()
    return order, list(zip([0, *ends[:-1]], ends, strict=True))


def _check_repeated(source: Source, members: NDArray, times: NDArray, order: NDArray, roles: Roles) -> None:
    """Refuse times that many rows of a sequence share."""
    again = (members[1:] == members[:-1]) & (times[1:] == times[:-1])
    if not again.any() or again.sum() <= _MOST_REPEATED * len(times):
        return
    assert roles.time is not None
    place = int(again.argmax())
    row, before = int(order[place + 1]), int(order[place])
    kind = "line" if source.format == "csv" else "row"
    earlier = source.lines([before])[0]
    texts = [c.name for c in source.columns if roles.left_out.get(c.name, "").startswith("text")]
    advice = f", such as '{texts[0]}'" if texts else ""
    hint = (
        ""
        if roles.id is not None
        else f" If the table holds several series, name the column that tells them apart with --id{advice}."
    )
    raise DataError(
        f"{source.place(roles.time, row)}: the time is that of {kind} {earlier:,}, and {int(again.sum()):,} of "
        f"{len(times):,} times are repeated. Each row of a sequence needs a time of its own.{hint}"
    )


def _labels(
    source: Source, column: Column | None, order: NDArray, spans: Sequence[tuple[int, int]], decimal: str
) -> list[list[str]]:
    """Return the labels of each sequence as in the file; numbers with a decimal comma as Python writes them."""
    if column is None:
        return []
    fields = _as_text(column)
    if fields.null_count:
        row = int(pc.is_null(fields).to_numpy(zero_copy_only=False).argmax())
        raise DataError(f"{source.place(column, row)}: the label is empty. Fill it, or take the row out.")
    if decimal == "," and isinstance(column, TextColumn) and column.filled == len(fields):
        values, _, wrong = to_numbers(column, decimal)
        if wrong is None:
            fields = pa.array([repr(value) for value in values.tolist()])
    encoded = fields.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    # Rows with the same label share one text.
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    whole = names[encoded.indices.to_numpy()][order]
    return [whole[begin:end].tolist() for begin, end in spans if begin < end]


def _say_numbers(decimal: str, signs: dict[str, list[str]], holes: dict[str, int], missing: str) -> list[str]:
    """Say how numbers were read and what happened to holes."""
    words = {"percent": "percent signs", "currency": "currency signs", "thousands": "signs between thousands"}
    said = ["decimal comma"] if decimal == "," else []
    said += [f"{words[sign]} taken off in {list_names(columns)}" for sign, columns in signs.items()]
    for name, count in holes.items():
        said.append(f"{count:,} hole{'s' if count > 1 else ''} in '{name}' {FILLED[missing]}")
    return said


def _facts(source: Source, roles: Roles, options: TableOptions, decimal: str, times: Times | None) -> dict[str, Any]:
    """Return what was decided as plain JSON, in the form of the options."""
    decided = replace(
        options,
        columns=tuple(column.name for column in roles.numbers),
        target=options.target if roles.label is None else (roles.label.name,),
        time="" if roles.time is None else roles.time.name,
        id="" if roles.id is None else roles.id.name,
        delimiter=source.delimiter,
        decimal=decimal,
        dates="" if times is None else times.order,
        header=("yes" if source.header else "no") if source.format == "csv" else "",
    )
    return decided.facts() | {"format": source.format, "left_out": roles.left_out, "units": source.units}


def _describe(source: Source, roles: Roles, table: Table, said: list[str], times: Times | None) -> tuple[str, ...]:
    """Describe for people what is read, what is left out and why, and what was decided."""
    many = f"{table.size:,} sequences, one for each '{roles.id.name}'" if roles.id else "one series"
    parts = [f"columns: {_list(table.columns, source.units)}"]
    if times is not None and roles.time is not None:
        clock = f" with {roles.clock}" if roles.clock else ""
        parts.append(f"time: {roles.time.name}{clock} ({_describe_times(table, times)})")
    if roles.label is not None:
        parts.append(f"labels: {roles.label.name}")
    if roles.left_out:
        parts.append(f"left out: {_list_reasons(roles.left_out)}")
    lines = [f"table: {many}, {describe_lengths(table)}", "; ".join(parts)]
    if source.format != "csv":
        said = [f"a file of {source.format.title()}", *said]
    return (*lines, f"read as: {', '.join(said)}") if said else tuple(lines)


def _list(names: Sequence[str], units: dict[str, str]) -> str:
    shown = [f"{name} in {units[name]}" if name in units else name for name in names[:_MOST_NAMES]]
    others = len(names) - len(shown)
    return ", ".join(shown) + (f" and {others:,} others" if others else "")


def _list_reasons(left_out: dict[str, str]) -> str:
    shown = [f"{name} ({reason})" for name, reason in list(left_out.items())[:_MOST_NAMES]]
    others = len(left_out) - len(shown)
    return ", ".join(shown) + (f" and {others:,} others" if others else "")


_MOST_NAMES = 20


def _describe_times(table: Table, times: Times) -> str:
    stamps = [stamp for stamp in table.times if stamp is not None]
    longest = max(stamps, key=len)
    first, last = min(stamp[0] for stamp in stamps), max(stamp[-1] for stamp in stamps)
    span = f"{show_time(first)} to {show_time(last)}"
    in_file = times.values
    unsorted = "" if table.size > 1 or (in_file[1:] >= in_file[:-1]).all() else "sorted by it"
    again = sum(int((stamp[1:] == stamp[:-1]).sum()) for stamp in stamps)
    repeated = f"{again:,} of them repeated" if again else ""
    return ", ".join(filter(None, (times.said, describe_steps(longest), span, unsorted, repeated)))
