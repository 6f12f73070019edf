"""Holes in columns of numbers: refused with their places, or their rows dropped, or filled."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.errors import DataError

_CHOICES = (
    "drop (leave these rows out), previous (fill with the value before), interpolate (between the values before and "
    "after) or mean (of the column)"
)
_MOST_COLUMNS = 3


def count_holes(numbers: NDArray[np.float64], names: Sequence[str]) -> dict[str, int]:
    """Count the holes of each column that has some.

    Args:
        numbers: The numbers ``[n, F]``, NaN at holes.
        names: The names of the columns.
    """
    counts = np.isnan(numbers).sum(axis=0)
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def refuse_holes(
    numbers: NDArray[np.float64], names: Sequence[str], path: Path, name_rows: Callable[[list[int]], str]
) -> None:
    """Refuse holes, with their number and their places.

    Args:
        numbers: The numbers ``[n, F]``, NaN at holes.
        names: The names of the columns.
        path: The file, for the error.
        name_rows: Names some rows in words.

    Raises:
        DataError: If there is a hole.
    """
    counts = count_holes(numbers, names)
    if not counts:
        return
    told = []
    for name in list(counts)[:_MOST_COLUMNS]:
        rows = np.isnan(numbers[:, names.index(name)]).nonzero()[0].tolist()
        many = f"{len(rows):,} holes" if len(rows) > 1 else "a hole"
        told.append(f"{many} in column '{name}' ({name_rows(rows)})")
    others = f" and in {len(counts) - _MOST_COLUMNS:,} other columns" if len(counts) > _MOST_COLUMNS else ""
    raise DataError(
        f"'{path}' has {' and '.join(told)}{others}. Say what to do with --missing: {_CHOICES}; or choose other "
        "columns with --columns."
    )


def fill(numbers: NDArray[np.float64], spans: Sequence[tuple[int, int]], way: str) -> None:
    """Fill the holes of a table, in place.

    Args:
        numbers: The numbers ``[n, F]``, sorted by sequence and time; NaN at holes.
        spans: Where each sequence begins and ends.
        way: ``previous``, ``interpolate`` or ``mean``. At the ends of a sequence, where there is no value before or
            after, ``previous`` and ``interpolate`` take the nearest one; in a sequence without any value, the mean.
    """
    for column in range(numbers.shape[1]):
        values = numbers[:, column]
        if not np.isnan(values).any():
            continue
        mean = float(np.nanmean(values))
        for begin, end in spans if way != "mean" else ():
            part = values[begin:end]
            there = (~np.isnan(part)).nonzero()[0]
            if not len(there) or len(there) == len(part):
                continue
            steps = np.arange(len(part))
            if way == "interpolate":
                part[:] = np.interp(steps, there, part[there])
            else:
                part[:] = part[there[np.maximum(np.searchsorted(there, steps, side="right") - 1, 0)]]
        values[np.isnan(values)] = mean


FILLED = {
    "drop": "their rows dropped",
    "previous": "filled with the value before",
    "interpolate": "filled between their neighbours",
    "mean": "filled with the mean",
}
"""What happened to holes, in words."""
