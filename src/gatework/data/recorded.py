"""Readers of recorded data: bytes, texts, and tables of numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.errors import DataError, FileError
from gatework.reading import files
from gatework.reading.tables import parse_csv, parse_number

# The most bytes of a file of recorded data. The largest of the known data sets has 10 million, packed; a user's own
# table may have more.
MOST_PACKED, MOST_TABLE = 1 << 26, 1 << 32
# The most columns of a table: the widest common data sets for forecasting have some hundreds.
_MOST_COLUMNS = 10_000
# The squares of larger numbers, or of smaller ones than the reciprocal, may not be held in a float64.
_LARGE = 1e140


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
    advice = f"Expected the file '{path.name}' in the folder of the data. Check --data."
    content = files.read_file(path, most, advice)
    if not content:
        raise FileError(path, "is empty", "Expected the data in it. Download the file again.")
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
    return files.decode(read_file(path, MOST_TABLE), path, advice="Download the file again, or save it as UTF-8.")


@dataclass(frozen=True)
class NumberTable:
    """The numeric columns of a table.

    Args:
        names: Their names.
        rows: The numbers ``[n, C]``.
        ignored: The names of the columns that are not numbers, such as dates.
    """

    names: tuple[str, ...]
    rows: NDArray[np.float64]
    ignored: tuple[str, ...] = ()


def read_table(path: Path) -> NumberTable:
    """Read a CSV table, with or without a header, whose fields are separated by ``,``, ``;`` or tabs.

    A first line without any number is the header. A column is numeric if its first value that is not empty is a number;
    all its values must then be numbers. If every line has one field more than the header, the first field is taken for
    the row number and ignored.

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        DataError: If a line is wrong; the message gives its number.
    """
    lines = list(parse_csv(read_text(path), path))
    if lines and all(parse_number(field) is None for field in lines[0][1]):
        names = [field.strip() for field in lines.pop(0)[1]]
        if all(len(fields) == len(names) + 1 for _, fields in lines):
            lines = [(number, fields[1:]) for number, fields in lines]
    else:
        names = [f"column {index}" for index in range(1, len(lines[0][1]) + 1)] if lines else []
    if not lines:
        raise DataError(f"'{path}' holds no line of numbers; expected a table with a column of numbers.")
    if len(names) > _MOST_COLUMNS:
        raise DataError(f"'{path}' has {len(names):,} columns; expected at most {_MOST_COLUMNS:,}.")
    for number, fields in lines:
        if len(fields) != len(names):
            raise DataError(
                f"'{path}', line {number}: {len(fields)} fields; expected {len(names)} as in the first line."
            )
    numeric = [index for index in range(len(names)) if _first_is_number(lines, index)]
    if not numeric:
        raise DataError(f"'{path}', line {lines[0][0]}: no field is a number; expected a column of numbers.")
    rows = [
        [_must_be_number(path, number, names[index], fields[index]) for index in numeric] for number, fields in lines
    ]
    others = set(range(len(names))) - set(numeric)
    ignored = tuple(names[index] for index in sorted(others))
    return NumberTable(tuple(names[index] for index in numeric), np.array(rows), ignored)


def _first_is_number(lines: list[tuple[int, list[str]]], index: int) -> bool:
    first = next((fields[index] for _, fields in lines if fields[index].strip()), "")
    return parse_number(first) is not None


def _must_be_number(path: Path, line: int, name: str, field: str) -> float:
    value = parse_number(field)
    if value is None or not np.isfinite(value):
        raise DataError(
            f"'{path}', line {line}, column '{name}': '{field}' is not a number. "
            "Fill the hole, or take the line or the column out."
        )
    return value


def find_scale(steps: NDArray) -> tuple[NDArray, NDArray]:
    """Return the mean and the standard deviation of every column.

    Args:
        steps: Numbers ``[n, I]``.

    Returns:
        Two arrays ``[I]``. The deviation of a constant column is 1.

    Example:
        >>> [part.tolist() for part in find_scale(np.array([[1e300], [3e300]]))]
        [[2e+300], [1e+300]]
    """
    largest = np.abs(steps).max(axis=0)
    extreme = ((largest > _LARGE) & np.isfinite(largest)) | ((largest < 1 / _LARGE) & (largest > 0))
    if extreme.any():  # their squares cannot be held, so they are first divided by a power of two, which is exact
        unit = np.where(extreme, np.exp2(np.floor(np.log2(np.where(extreme, largest, 1.0)))), 1.0)
        mean, deviation = (steps / unit).mean(axis=0) * unit, (steps / unit).std(axis=0) * unit
    else:
        mean, deviation = steps.mean(axis=0), steps.std(axis=0)
    # Because of rounding, the deviation of equal numbers is not always exactly 0.
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
