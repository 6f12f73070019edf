"""Tables from folders of WAV files: in sub-folders named by class, or listed in labels.csv."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gatework.data.label_list import read_label_list
from gatework.data.table import LABELS, Table, describe_lengths, make_table
from gatework.errors import DataError
from gatework.reading.files import list_folder, read_file
from gatework.reading.sound import parse_wav

LIST = "labels.csv"
# The names of the column of labels.csv that names the file.
FILES = ("file", "path", "name")
# The size in bytes of an hour at 8,000 samples a second. Longer recordings are too long to learn from as one sequence.
_MOST_BYTES = 2 * 8000 * 3600
# Samples a second. A damaged header may say any number, and a spectrum has as many points as 64 ms have samples.
_LEAST_RATE, _MOST_RATE = 1000, 384_000


@dataclass(frozen=True)
class Features:
    """The features to compute from a recording.

    Args:
        compute: The function that turns samples ``[n]`` between -1 and 1, and the sample rate in samples a second, into
            numbers ``[T, F]``.
        words: A description of the numbers, for people.
    """

    compute: Callable[[Tensor, int], Tensor]
    words: str


def is_sound_folder(path: Path) -> bool:
    """Tell whether a folder holds WAV files, directly or in its sub-folders.

    Args:
        path: A folder.
    """
    return next(_recordings(path), None) is not None


def read_sound_table(path: Path, features: Features) -> Table:
    """Read a folder of WAV files, one sequence for each.

    If there is a ``labels.csv``, its column ``file`` (``path``, ``name``) names the files to read, and its column
    ``label`` (``class``, ``target``, ``y``) their labels. Otherwise the files are in sub-folders, and the name of a
    sub-folder is the class of the files in it.

    Args:
        path: The folder.
        features: The features to compute from each recording.

    Returns:
        The sequences, named by the paths of their files, with one label each.

    Raises:
        DataError: If files are missing, damaged, without labels, or of different sample rates.
    """
    listed = path / LIST
    labels = _listed(listed, path) if listed.exists() else dict(_filed(path))
    frames, rates = [], {}
    for name in labels:
        samples, rate = _read_samples(path / name)
        rates.setdefault(rate, name)
        if len(rates) > 1:
            first, second = (f"'{path / of}' {rate:,}" for rate, of in rates.items())
            raise DataError(f"{first} and {second} samples a second: all recordings need the same rate.")
        frames.append(features.compute(samples, rate).numpy())
    columns = [f"band {place}" for place in range(1, frames[0].shape[1] + 1)]
    table = make_table(frames, columns, list(labels), [[label] for label in labels.values()], str(path))
    others = sum(file.relative_to(path).as_posix() not in labels for file in _recordings(path))
    unlisted = f"; WAV files that are not listed, and not read: {others:,}" if others else ""
    told = f"listed in {LIST}{unlisted}" if listed.exists() else "called by the folders that they lie in"
    lines = (
        f"table: {table.size:,} WAV files at {next(iter(rates)):,} samples a second, {describe_lengths(table)}",
        f"columns: {features.words}; labels are {told}",
    )
    return replace(table, about=lines)


def _recordings(folder: Path) -> Iterator[Path]:
    """Iterate over the WAV files of a folder and its sub-folders, in order."""
    for inner in list_folder(folder):
        if inner.name.startswith("."):
            continue
        files = list_folder(inner) if inner.is_dir() else [inner]
        yield from (file for file in files if file.suffix.lower() == ".wav" and file.is_file())


def _filed(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of each file, and the sub-folder that is its class."""
    for file in _recordings(folder):
        if file.parent == folder:
            raise DataError(
                f"'{file}' lies in no sub-folder; expected sub-folders named by class, or a {LIST} with the columns "
                "file and label."
            )
        name = file.relative_to(folder).as_posix()
        # Other bytes become halves of characters, which no run can write down.
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise DataError(f"'{file}' has a name that is not UTF-8: rename it.")
        yield name, file.parent.name
    for inner in filter(Path.is_dir, list_folder(folder)):
        for deep in () if inner.name.startswith(".") else filter(Path.is_dir, list_folder(inner)):
            if next(_recordings(deep), None) is not None:
                raise DataError(f"'{deep}' holds WAV files and lies too deep; expected one level of sub-folders.")


def _listed(path: Path, folder: Path) -> dict[str, str]:
    """Return the labels of the files that a list names, by file."""
    rows = read_label_list(path)
    name, label = rows.place(FILES), rows.place(LABELS)
    if name is None or label is None:
        raise DataError(f"'{path}' needs a column file and a column label.")
    labels: dict[str, str] = {}
    for line, file, of in zip(rows.lines, rows.column(name), rows.column(label), strict=True):
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise DataError(f"'{path}', line {line}: '{file}' does not lie in '{folder}'.")
        place = Path(file).as_posix()  # ./a.wav is a.wav
        if place in labels:
            raise DataError(f"'{path}', line {line}: '{file}' is listed twice.")
        labels[place] = of
    return labels


def _read_samples(path: Path) -> tuple[Tensor, int]:
    sound = parse_wav(read_file(path, _MOST_BYTES, f"It is named in {LIST}."), path)
    if (sound.channels, sound.bits) != (1, 16) or not _LEAST_RATE <= sound.rate <= _MOST_RATE:
        raise DataError(
            f"'{path}' has {sound.channels} channel{'s' if sound.channels > 1 else ''} of {sound.bits} bits at "
            f"{sound.rate:,} samples a second; expected one channel of 16 bits, at {_LEAST_RATE:,} to "
            f"{_MOST_RATE:,}."
        )
    if not sound.count or len(sound.samples) != 2 * sound.count:
        raise DataError(f"'{path}' is cut off, or has no samples.")
    return torch.from_numpy(np.frombuffer(sound.samples, dtype="<i2").astype(np.float32)) / 2**15, sound.rate
