"""Tables from ``.ts`` files: one file, or the two that an archive splits a data set into."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from gatework.data.options import TableOptions
from gatework.data.own.holes import FILLED, fill, refuse_holes
from gatework.data.table import Table, describe_lengths, make_table
from gatework.errors import DataError
from gatework.reading.cases import Cases, parse_ts
from gatework.reading.files import decode, list_folder, read_file

_MOST_BYTES = 1 << 32
_SPLITS = ("_train", "_test")


def find_cases(path: Path) -> list[Path]:
    """Find the ``.ts`` files of a path: the file itself, or those of a folder.

    Args:
        path: A file or a folder.

    Returns:
        One file, or the files of the training and the test; empty if there are none.

    Raises:
        DataError: If a folder holds others.
    """
    if not path.is_dir():
        return [path] if path.suffix.lower() == ".ts" else []
    files = [file for file in list_folder(path) if file.suffix.lower() == ".ts" and file.is_file()]
    if len(files) > 1 and not (len(files) == 2 and all(file.stem.lower().endswith(_SPLITS) for file in files)):
        raise DataError(f"'{path}' holds {len(files)} .ts files; expected one, or a pair named _TRAIN and _TEST.")
    return sorted(files, reverse=True)  # TRAIN before TEST


def read_case_table(files: list[Path], options: TableOptions) -> Table:
    """Read sequences from ``.ts`` files.

    Args:
        files: One file, or the files of the training and the test, which are read as one table.
        options: How the table is read; only what happens to holes counts.

    Returns:
        The sequences, named by their numbers, with one label each if the files have labels.

    Raises:
        DataError: If the files do not hold such sequences, or do not fit each other.
    """
    read = [parse_ts(decode(read_file(file, _MOST_BYTES, "Check --data."), file), file) for file in files]
    first, last = read[0], read[-1]
    width = first.sequences[0].shape[1]
    if (bool(first.labels), width) != (bool(last.labels), last.sequences[0].shape[1]):
        raise DataError(f"'{files[-1]}' has other labels or dimensions than '{files[0]}'.")
    columns = [f"dimension {place}" for place in range(1, width + 1)]
    way = options.missing or "refuse"
    holes = sum(_fill(cases, columns, file, way) for cases, file in zip(read, files, strict=True))
    sequences = [sequence for cases in read for sequence in cases.sequences]
    labels = [[label] for cases in read for label in cases.labels]
    source = str(files[0] if len(files) == 1 else files[0].parent)
    table = make_table(sequences, columns, [str(number) for number in range(len(sequences))], labels, source)
    both = "; the two files are one table, which is split anew" if len(files) > 1 else ""
    lines = [
        f"table: {table.size:,} sequences of a .ts file, {describe_lengths(table)}{both}",
        f"columns: {width:,} dimension{'s' if width > 1 else ''}" + ("; labels: the last field" if labels else ""),
    ]
    if holes:
        lines.append(f"read as: {holes:,} holes {FILLED[way]}")
    read_as = replace(options, columns=()).facts() | {"format": "ts", "left_out": {}, "units": {}}
    return replace(table, about=tuple(lines), read_as=read_as)


def _fill(cases: Cases, columns: list[str], file: Path, way: str) -> int:
    """Fill the holes of all cases in place; return how many there were."""
    ends = np.cumsum([len(sequence) for sequence in cases.sequences]).tolist()
    whole = np.concatenate(cases.sequences)
    holes = int(np.isnan(whole).sum())
    if not holes:
        return 0
    spans = list(zip([0, *ends[:-1]], ends, strict=True))

    def name_rows(rows: list[int]) -> str:
        return f"first in case {int(np.searchsorted(ends, rows[0], side='right')) + 1:,}"

    if way == "drop":
        raise DataError(f"'{file}' has {holes:,} holes, and missing is 'drop', which takes steps out. Fill them.")
    if way == "refuse":
        refuse_holes(whole, columns, file, name_rows)
    fill(whole, spans, way)
    cases.sequences[:] = [whole[begin:end] for begin, end in spans]
    return holes
