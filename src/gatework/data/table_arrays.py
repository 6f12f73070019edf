"""Tables from NumPy arrays: X, y and lengths, in one .npz file or as .npy files in a folder."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.data.table import Table, describe_lengths, make_table
from gatework.errors import DataError
from gatework.reading.arrays import list_npz, parse_npy, parse_npz
from gatework.reading.files import list_folder, read_file

# The names of the arrays: the inputs, the labels, and the number of steps of each sequence.
READ, ANSWERS, LENGTHS = "X", "y", "lengths"
_MOST_BYTES = 1 << 33


def read_array_table(path: Path) -> Table:
    """Read sequences from arrays.

    ``X`` holds the inputs, in one of three shapes: ``[N, T, F]``; ``[N, T]``, with one number per step; or
    ``[total, F]``, all sequences one after the other, with the number of rows of each in ``lengths [N]``. With
    ``[N, T, F]``, ``lengths`` is the number of valid steps of each sequence. ``y`` holds the labels, numbers or texts:
    ``[N]``, one for each sequence, or one for each step, in the shape of ``X`` without its last dimension.

    Args:
        path: An ``.npz`` file with these arrays, a folder with ``X.npy``, ``y.npy`` and ``lengths.npy``, or an ``.npy``
            file with ``X`` alone.

    Returns:
        The sequences; their names are their numbers.

    Raises:
        DataError: If the arrays do not form such a table.
    """
    arrays = _read_arrays(path)
    if READ not in arrays:
        raise DataError(f"'{path}' has no array named X, which holds what is read.")
    read, lengths = arrays[READ], arrays.get(LENGTHS)
    if read.dtype.kind not in "biuf" or read.ndim not in (2, 3) or not read.size:
        raise DataError(
            f"'{path}': X is {read.dtype} of shape {read.shape}; expected numbers [N, T, F], [N, T] or [total, F]."
        )
    if lengths is not None and (lengths.dtype.kind not in "iu" or lengths.ndim != 1 or not (lengths > 0).all()):
        raise DataError(
            f"'{path}': lengths are {lengths.dtype} of shape {lengths.shape}; expected numbers above 0 [N]."
        )
    if read.ndim == 2 and lengths is None:
        read = read[:, :, None]
    sequences = _cut(read, read, lengths, path)
    for number, sequence in enumerate(sequences):
        if not np.isfinite(sequence).all():
            raise DataError(f"'{path}': X holds a value that is not finite, in sequence {number}.")
    labels = _cut_labels(arrays[ANSWERS], read, lengths, path) if ANSWERS in arrays else []
    columns = [f"x{place}" for place in range(1, read.shape[-1] + 1)]
    table = make_table(sequences, columns, [str(number) for number in range(len(sequences))], labels, str(path))
    many = f"table: {table.size:,} sequences, {describe_lengths(table)}, in the order of the array"
    numbers = f"columns: {len(columns):,} number{'s' if len(columns) > 1 else ''} a step"
    return replace(table, about=(many, numbers + (f"; labels are those of {ANSWERS}" if labels else "")))


def is_array_folder(path: Path) -> bool:
    """Tell whether a folder holds a table of arrays.

    Args:
        path: A folder.
    """
    return any(file.name == f"{READ}.npy" for file in list_folder(path))


def _read_arrays(path: Path) -> Mapping[str, NDArray]:
    if path.is_dir():
        files = {name: path / f"{name}.npy" for name in (READ, ANSWERS, LENGTHS)}
        return {name: parse_npy(read_file(file, _MOST_BYTES), file) for name, file in files.items() if file.exists()}
    content = read_file(path, _MOST_BYTES)
    if path.suffix.lower() == ".npy":
        return {READ: parse_npy(content, path)}
    there = list_npz(content, path)
    return parse_npz(content, path, [name for name in (READ, ANSWERS, LENGTHS) if name in there], _MOST_BYTES)


def _cut(array: NDArray, read: NDArray, lengths: NDArray | None, path: Path) -> list[NDArray]:
    """Cut X, or labels in its shape, into sequences, whether they are padded or one after the other."""
    if lengths is None:
        return list(array)
    total = sum(lengths.tolist())  # of whole numbers without a limit: a sum of numpy's would wrap around
    if read.ndim == 2 and total == len(read):
        ends = [0, *np.cumsum(lengths).tolist()]
        return [array[begin:end] for begin, end in pairwise(ends)]
    if read.ndim == 3 and len(lengths) == len(read) and int(lengths.max()) <= read.shape[1]:
        return [sequence[:length] for sequence, length in zip(array, lengths.tolist(), strict=True)]
    raise DataError(
        f"'{path}': X has shape {read.shape}, which {len(lengths):,} lengths do not fit: the largest is "
        f"{int(lengths.max()):,}, and their sum {total:,}."
    )


def _cut_labels(answers: NDArray, read: NDArray, lengths: NDArray | None, path: Path) -> list[list[str]]:
    """Return the labels of each sequence as text."""
    sequences = len(read) if lengths is None else len(lengths)
    if answers.dtype.kind not in "biufU" or answers.shape not in ((sequences,), read.shape[:-1]):
        raise DataError(
            f"'{path}': y is {answers.dtype} of shape {answers.shape}; expected numbers or texts of shape "
            f"{(sequences,)}, one of each sequence, or {read.shape[:-1]}, one for each step."
        )
    each = answers[:, None] if answers.shape == (sequences,) else _cut(answers, read, lengths, path)
    labels = [[str(label).strip() for label in one.tolist()] for one in each]
    if any(label in ("", "nan", "inf", "-inf") for one in labels for label in one):
        raise DataError(f"'{path}': y holds a label that is empty or not finite.")
    return labels
