"""Common functions of the tasks on recorded data: read files, batch sequences, and compute baselines."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data.targets import IGNORED
from gatework.errors import DataError, FileError
from gatework.reading import files
from gatework.reading.tables import parse_csv
from gatework.tasks.task import Batch

# How a published figure is marked that is known from the notes beside the data, and was not compared with its paper.
FROM_NOTES = "as the data's notes give it, from memory"


# Bytes of a file of recorded data, at most: the largest of the known sets has 10 million, packed; a table of the user's
# own may have more.
MOST_PACKED, MOST_TABLE = 1 << 26, 1 << 32
# Numbers of sequences that are put side by side, at most: four or eight bytes each.
_MOST_NUMBERS = 1 << 30
# Columns of a table, at most: the widest that are forecast have some hundreds.
_MOST_COLUMNS = 10_000


def read_file(path: Path, most: int = MOST_PACKED) -> bytes:
    """Read a file of recorded data.

    Args:
        path: The file.
        most: The largest allowed size in bytes.

    Returns:
        The bytes of the file, at least one.

    Raises:
        FileError: If the file is missing or empty.
    """
    advice = f"expected the file '{path.name}' in the folder of the data; check --data"
    content = files.read_file(path, most, advice)
    if not content:
        raise FileError(path, "is empty", "expected the data in it; fetch the file anew")
    return content


def read_text(path: Path) -> str:
    """Read a UTF-8 text file of recorded data, without its byte order mark.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        FileError: If the file is missing, empty or not text.
    """
    return files.decode(read_file(path, MOST_TABLE), path, advice="fetch the file anew, or save it as UTF-8")


@dataclass(frozen=True)
class Table:
    """The numeric columns of a table.

    Args:
        names: Their names.
        rows: The numbers ``[n, C]``.
        ignored: The names of the columns that are not numbers, such as dates.
    """

    names: tuple[str, ...]
    rows: NDArray[np.float64]
    ignored: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Read a CSV table, with or without a header, whose fields are separated by ``,``, ``;`` or tabs.

    A first line without any number is the header. A column is numeric if its first value is a number; all its values
    must then be numbers. If every line has one field more than the header, the first field is taken for the row number
    and ignored.

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        DataError: If a line is wrong; the message gives its number.
    """
    lines = list(parse_csv(read_text(path), path))
    if lines and all(_number(field) is None for field in lines[0][1]):
        names = [field.strip() for field in lines.pop(0)[1]]
        if all(len(fields) == len(names) + 1 for _, fields in lines):
            lines = [(number, fields[1:]) for number, fields in lines]
    else:
        names = [f"column {place}" for place in range(1, len(lines[0][1]) + 1)] if lines else []
    if not lines:
        raise DataError(f"'{path}' holds no line of numbers: expected a table with a column of numbers")
    if len(names) > _MOST_COLUMNS:
        raise DataError(f"'{path}' has {len(names):,} columns, expected at most {_MOST_COLUMNS:,}")
    for number, fields in lines:
        if len(fields) != len(names):
            raise DataError(
                f"'{path}', line {number}: {len(fields)} fields, expected {len(names)} as in the first line"
            )
    numeric = [place for place, field in enumerate(lines[0][1]) if _number(field) is not None]
    if not numeric:
        raise DataError(f"'{path}', line {lines[0][0]}: no field is a number, expected a column of numbers")
    rows = [
        [_must_be_number(path, number, names[place], fields[place]) for place in numeric] for number, fields in lines
    ]
    ignored = tuple(name for name, field in zip(names, lines[0][1], strict=True) if _number(field) is None)
    return Table(tuple(names[place] for place in numeric), np.array(rows), ignored)


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _must_be_number(path: Path, line: int, name: str, field: str) -> float:
    value = _number(field)
    if value is None or not np.isfinite(value):
        raise DataError(
            f"'{path}', line {line}, column '{name}': '{field}' is not a number; "
            "fill the hole, or take the line or the column out"
        )
    return value


def find_table(path: Path) -> Path:
    """Find the file of a table: the path itself, or the only ``.csv`` file of a folder.

    Args:
        path: A file or a folder.

    Returns:
        The file.

    Raises:
        DataError: If a folder holds no such file, or several.
    """
    if not path.is_dir():
        return path
    found = [file for file in files.list_folder(path) if file.suffix.lower() == ".csv" and file.is_file()]
    if len(found) != 1:
        names = f" ({', '.join(file.name for file in found)})" if found else ""
        raise DataError(f"'{path}' holds {len(found)} CSV files{names}: expected one; give the file itself")
    return found[0]


def find_scale(steps: NDArray) -> tuple[NDArray, NDArray]:
    """Return the mean and the standard deviation of every column.

    Args:
        steps: Numbers ``[n, I]``.

    Returns:
        Two arrays ``[I]``. The deviation of a constant column is 1.
    """
    mean, deviation = steps.mean(axis=0), steps.std(axis=0)
    # Of equal numbers the deviation is not always exactly 0.
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)


def ask_at_the_end(
    sequences: Sequence[NDArray], classes: Sequence[int], blank: int = 0, groups: Sequence[int] | None = None
) -> Batch:
    """Batch sequences of several lengths, with a class as the target at the last step of each.

    Args:
        sequences: The inputs of each sequence: numbers ``[T, I]`` or symbols ``[T]``.
        classes: The class of each sequence.
        blank: The number of zero steps after each sequence; the target is at the last of them.
        groups: The group of each sequence; None for a single group.

    Returns:
        The batch; all targets but the last of each sequence are -100.

    Raises:
        DataError: If padding to a single long sequence would need too much memory.

    Example:
        >>> batch = ask_at_the_end([np.ones((2, 1)), np.ones((1, 1))], [4, 5], blank=1)
        >>> batch.targets.T.tolist(), batch.lengths.tolist()
        ([[-100, -100, 4], [-100, 5, -100]], [3, 2])
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences]) + blank
    kind = torch.int64 if sequences[0].ndim == 1 else torch.float32
    steps, size = int(lengths.max()), len(sequences)
    numbers = steps * size * prod(sequences[0].shape[1:])
    if numbers > _MOST_NUMBERS:
        raise DataError(
            f"{size:,} sequences, the longest of {steps:,} steps, are {numbers:,} numbers side by side, expected at "
            f"most {_MOST_NUMBERS:,}: take the longest out, or a smaller gap"
        )
    inputs = torch.zeros(steps, size, *sequences[0].shape[1:], dtype=kind)
    for column, sequence in enumerate(sequences):
        inputs[: len(sequence), column] = torch.from_numpy(sequence)
    targets = torch.full((steps, size), IGNORED)
    targets[lengths - 1, torch.arange(size)] = torch.tensor(list(classes))
    return Batch(inputs, targets, lengths, groups=None if groups is None else torch.tensor(list(groups)))


def ask_throughout(inputs: NDArray, classes: NDArray, steps: int) -> Batch:
    """Cut a recording into consecutive sequences, with a class as the target at every step.

    Args:
        inputs: Numbers ``[n, I]``.
        classes: The class of every step ``[n]``.
        steps: The number of steps of a sequence; the last may have fewer.

    Returns:
        The sequences, in the order of time.

    Example:
        >>> batch = ask_throughout(np.zeros((5, 1)), np.array([0, 0, 1, 1, 0]), 3)
        >>> batch.targets.T.tolist(), batch.lengths.tolist()
        ([[0, 0, 1], [1, 0, -100]], [3, 2])
    """
    steps = min(steps, len(classes))
    count, missing = -(-len(classes) // steps), -len(classes) % steps
    read = np.concatenate([inputs, np.zeros((missing, inputs.shape[1]))]).reshape(count, steps, -1)
    asked = np.concatenate([classes, np.full(missing, IGNORED)]).reshape(count, steps)
    lengths = None
    if missing:
        lengths = torch.full((count,), steps)
        lengths[-1] -= missing
    return Batch(
        torch.from_numpy(read).float().transpose(0, 1).contiguous(),
        torch.from_numpy(asked).long().T.contiguous(),
        lengths,
    )


def guess(train: Batch, test: Batch, classes: int) -> dict[str, float]:
    """Compute the baseline on the test split that knows only how frequent each class is in training.

    The answer is always the most frequent class. The loss is that of the class frequencies, with half an example added
    to each class so that none has probability 0.

    Args:
        train: The training split.
        test: The test split.
        classes: The number of classes.

    Returns:
        ``loss``, ``accuracy`` and ``solved``.
    """
    counts = torch.bincount(train.targets[train.asked], minlength=classes).double() + 0.5
    shares = counts / counts.sum()
    asked = test.asked
    came = test.targets[asked]
    right = came == shares.argmax()
    wrong = torch.zeros_like(asked)
    wrong[asked] = ~right
    solved = ~wrong.any(dim=0)[asked.any(dim=0)]
    return {
        "loss": float(-shares.log()[came].mean()),
        "accuracy": float(right.double().mean()),
        "solved": float(solved.double().mean()),
    }
