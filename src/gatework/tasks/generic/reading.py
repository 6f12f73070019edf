"""Functions that the generic tasks share: open a table, check its labels, standardise and split its sequences."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.data.options import NO_OPTIONS, TableOptions
from gatework.data.own import read_own_table
from gatework.data.own.cases import find_cases, read_case_table
from gatework.data.recorded import find_scale, read_table
from gatework.data.table import IDS, Table, list_names, make_table, split_sequences
from gatework.data.table_arrays import is_array_folder, read_array_table
from gatework.data.table_sounds import Features, is_sound_folder, read_sound_table
from gatework.errors import DataError
from gatework.reading.files import list_folder
from gatework.reading.tables import parse_number
from gatework.tasks.features.mel import BANDS, log_mel
from gatework.tasks.task import Success

SOUND = Features(log_mel, f"{BANDS} mel bands, 25 ms every 10 ms, natural logarithms")
# A model counts as better than the trivial predictor if it avoids a tenth of its errors.
LEAST_SKILL = 0.1
# The endings of the names of tables, for a folder that holds one.
TABLES = (".csv", ".tsv", ".parquet", ".arrow", ".feather")
# The source of every generic task.
SOURCE = "Your own table, arrays or recordings"
# The most classes.
_MOST_CLASSES = 10_000


def better_than(baseline: str) -> Success:
    """Return the criterion of all generic tasks: to be better than a trivial predictor.

    A model meets it if it avoids at least a tenth of the errors that the trivial predictor makes on the same sequences:
    a ``skill`` of 0.1. For classes the errors are the wrong answers, for numbers the squared errors. With few test
    sequences, a skill of 0.1 can be luck; with hundreds it is not.

    Args:
        baseline: The answer of the trivial predictor, in words.
    """
    words = (
        f"The trivial predictor always answers {baseline}. Skill is the share of its errors, on the same sequences, "
        "that the model avoids: 1 for a model without errors, 0 for one that is no better."
    )
    return Success("skill", at_least=LEAST_SKILL, words=words)


def open_table(path: Path, options: TableOptions = NO_OPTIONS, *, unlabelled: bool = False) -> Table:
    """Open a table of sequences with labels: a table, arrays, a folder with one of these, or a folder of WAV files.

    Args:
        path: The file (CSV, Parquet, Arrow, ``.ts``, ``.npz``, ``.npy``) or the folder.
        options: How the table is read.
        unlabelled: Whether the column of labels that the options name may be missing.

    Returns:
        The table.

    Raises:
        DataError: If the path is none of these.
    """
    if path.is_dir() and not is_array_folder(path) and is_sound_folder(path):
        _refuse_options(path, options, "recordings")
        return read_sound_table(path, SOUND)
    if (table := _open_other(path, options)) is not None:
        return table
    return read_own_table(find_own_table(path), options, True, unlabelled)


def open_series(path: Path, options: TableOptions = NO_OPTIONS) -> Table:
    """Open a table of one series or of several.

    A table is one series, of all its columns of numbers, in the order of its times or else of its rows. But if values
    of a column named ``id``, ``sequence`` or ``series`` are repeated, the rows with each value form one series.

    Args:
        path: A CSV, Parquet or Arrow file, its folder, or arrays.
        options: How the table is read.

    Returns:
        The series.

    Raises:
        DataError: If the path does not hold such a table.
    """
    if (table := _open_other(path, options)) is not None:
        return table
    path = find_own_table(path)
    if options.as_before and (table := _read_as_before(path)) is not None:
        return table
    return read_own_table(path, options, False)


def _read_as_before(path: Path) -> Table | None:
    """Read one series as the first versions did; None for a table of several series."""
    columns = read_table(path)
    if any(name.lower() in IDS for name in (*columns.names, *columns.ignored)):
        table = read_own_table(path, NO_OPTIONS, False)
        if not table.is_one_recording:
            return None
    return make_table([columns.rows], columns.names, [""], source=str(path))


def _open_other(path: Path, options: TableOptions) -> Table | None:
    """Open arrays; None if the path holds a table in rows."""
    if path.suffix.lower() in (".npz", ".npy") or (path.is_dir() and is_array_folder(path)):
        _refuse_options(path, options, "arrays")
        return read_array_table(path)
    if files := find_cases(path):
        _refuse_options(path, replace(options, missing=""), "cases of a .ts file")
        return read_case_table(files, options)
    return None


def _refuse_options(path: Path, options: TableOptions, what: str) -> None:
    """Refuse options for what is no table in rows and columns."""
    for name, value in options.facts().items():
        if value and (name, value) not in (("missing", "refuse"), ("as_before", True)) and name != "context":
            shown = ",".join(value) if isinstance(value, list) else value
            raise DataError(
                f"{name} is '{shown}', and '{path}' holds {what}, which have no named columns. Leave it out."
            )


def find_own_table(path: Path) -> Path:
    """Find the file of a table: the path itself, or the only table of a folder.

    Args:
        path: A file or a folder.

    Returns:
        The file.

    Raises:
        DataError: If a folder holds no such file, or several.
    """
    if not path.is_dir():
        return path
    tables = [file for file in list_folder(path) if file.suffix.lower() in TABLES and file.is_file()]
    if len(tables) != 1:
        names = f" ({list_names([file.name for file in tables])})" if tables else ""
        raise DataError(f"'{path}' holds {len(tables)} tables{names}; expected one. Give the file itself.")
    return tables[0]


def open_labelled(path: Path, task: str, options: TableOptions = NO_OPTIONS) -> Table:
    """Open a table with labels.

    Args:
        path: The file or the folder.
        task: The name of the task, for error messages.
        options: How the table is read.

    Returns:
        The table.

    Raises:
        DataError: If the table cannot be read, or has no labels.
    """
    table = open_table(path, options)
    if not table.labels:
        raise DataError(
            f"'{table.source}' has no labels: task '{task}' needs them in a column named label, class, target or y, or "
            "in an array named y."
        )
    return table


def label_each(table: Table, task: str) -> list[str]:
    """Return the label of each sequence.

    Args:
        table: The table.
        task: The name of the task, for error messages.

    Returns:
        The labels.

    Raises:
        DataError: If there are too few sequences, the rows are not divided into sequences, or a sequence has several
            labels.
    """
    if table.is_one_recording:
        raise DataError(
            f"'{table.source}' has no column named id, sequence or series: task '{task}' needs one to tell the "
            "sequences apart."
        )
    for name, labels in zip(table.names, table.labels, strict=True):
        if len(set(labels)) > 1:
            one, other = list(dict.fromkeys(labels))[:2]
            raise DataError(
                f"'{table.source}': sequence '{name}' has the labels '{one}' and '{other}', and task '{task}' asks for "
                "one label of each sequence. For a label at every step take --task tag."
            )
    return [labels[0] for labels in table.labels]


def find_classes(labels: Sequence[str], table: Table) -> list[str]:
    """Return the different labels, as classes.

    Args:
        labels: All labels.
        table: The table, for error messages.

    Returns:
        Two or more classes, in numeric order if all are numbers, and otherwise in alphabetical order.

    Raises:
        DataError: If all labels are the same, or all are different, or one is missing among numbers.
    """
    classes = sorted(set(labels))
    if len(classes) < 2:
        raise DataError(f"'{table.source}' has the label '{classes[0]}' only; expected two classes or more.")
    if len(classes) == len(labels) or len(classes) > _MOST_CLASSES:
        raise DataError(
            f"'{table.source}' has {len(classes):,} different labels, and {len(labels):,} in all: these are no "
            "classes. For numbers take --task regress."
        )
    numbers = [number for number in map(parse_number, classes) if number is not None]
    if len(numbers) < len(classes):
        return classes
    counts = Counter(numbers)
    for name, number in zip(classes, numbers, strict=True):
        if not isfinite(number):
            raise DataError(f"'{table.source}': the label '{name}' stands among numbers, and is none.")
        if counts[number] > 1:
            twins = " and ".join(f"'{twin}'" for twin in classes if parse_number(twin) == number)
            raise DataError(f"'{table.source}' has the labels {twins}, which are one number. Write them alike.")
    return sorted(classes, key=lambda name: (parse_number(name) or 0.0, name))


def label_numbers(labels: Sequence[str], table: Table) -> NDArray[np.float64]:
    """Read labels as numbers.

    Args:
        labels: The label of each sequence.
        table: The table, for error messages.

    Returns:
        The numbers.

    Raises:
        DataError: If a label is not a finite number.
    """
    numbers = [parse_number(label) for label in labels]
    for label, name, number in zip(labels, table.names, numbers, strict=True):
        if number is None or not isfinite(number):
            raise DataError(
                f"'{table.source}': sequence '{name}' has the label '{label}', which is not a number. For classes take "
                "--task classify."
            )
    return np.array(numbers, dtype=np.float64)


def share_out(table: Table, strata: Sequence[str] = ()) -> dict[str, list[int]]:
    """Split the sequences of a table into training, validation and test sequences.

    Args:
        table: The table.
        strata: The class of each sequence, if each split is to have its share of every class.

    Returns:
        The indices of the sequences of each split.

    Raises:
        DataError: If there are fewer sequences than splits.
    """
    if table.size < 3:
        raise DataError(
            f"'{table.source}' has {table.size} sequence{'s' if table.size > 1 else ''}; expected three or more, one "
            "each for training, validation and test."
        )
    return split_sequences(table.names, strata)


def standardise(table: Table, train: Sequence[int]) -> tuple[Table, dict[str, list[float]]]:
    """Standardise every column by the training sequences.

    Args:
        table: The table.
        train: The indices of the training sequences.

    Returns:
        The standardised table, and the ``mean`` and ``deviation`` of every column.
    """
    return scale_by(table, np.concatenate([table.sequence(number) for number in train]))


def scale_by(table: Table, rows: NDArray[np.float64]) -> tuple[Table, dict[str, list[float]]]:
    """Standardise every column by some of the rows.

    Args:
        table: The table.
        rows: The rows ``[n, F]``.

    Returns:
        The same as for :func:`standardise`.

    Raises:
        DataError: If numbers are too large to be standardised.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite deviation is refused below
        mean, deviation = find_scale(rows)
    return table.scaled(mean, deviation), {"mean": mean.tolist(), "deviation": deviation.tolist()}
