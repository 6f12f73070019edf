"""AN4: people say their names, addresses and numbers, and spell them; cepstra with transcripts."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.data.recorded import read_file, read_text
from gatework.errors import DataError
from gatework.reading.packed import unpack_tar
from gatework.tasks.features.spoken import CEPSTRA
from gatework.tasks.recorded.utterances import Utterance
from gatework.tasks.task import Split

ARCHIVE = "feat.tar.gz"
RATE = 16_000  # samples a second of the recordings that the cepstra were computed from
_LISTS = "etc/an4_{part}.{kind}"
# One line for each recording: its words, perhaps between marks, and its name.
_LINE = re.compile(r"(?:<s>)?\s*(?P<text>.*?)\s*(?:</s>)?\s*\((?P<name>[\w-]+)\)")
_NAME = re.compile(r"feat/(?P<file>(?P<speaker>[\w-]+/[\w-]+)/[\w-]+)\.mfc")
_MOST_UNPACKED = 1 << 28
# Every so many-th speaker of the training list is held out, with all recordings: five of 74.
_HELD_OUT = 18


def is_an4(path: Path) -> bool:
    """Tell whether a folder holds the data set."""
    return (path / ARCHIVE).is_file() and (path / _LISTS.format(part="train", kind="fileids")).is_file()


def read_an4(path: Path) -> dict[Split, list[Utterance]]:
    """Read the recordings by split.

    The test split is the official one, with speakers of its own. Some speakers of the official training split are held
    out for validation.

    Args:
        path: The folder, with the archive of cepstra and the lists in ``etc``.

    Returns:
        The recordings of each split.

    Raises:
        DataError: If files are missing or damaged, or do not belong together.
    """
    frames = {}
    for member in unpack_tar(read_file(path / ARCHIVE), path / ARCHIVE, _MOST_UNPACKED):
        if (match := _NAME.fullmatch(member.name)) is not None and member.regular:
            frames[match["file"]] = read_cepstra(member.content, f"'{path / ARCHIVE}', '{member.name}'")
    train, test = (list(_listed(path, part, frames)) for part in ("train", "test"))
    held = set(sorted({_speaker(one) for one in train})[::_HELD_OUT])
    parts: dict[Split, list[Utterance]] = {"train": [], "valid": [], "test": test}
    for one in train:
        parts["valid" if _speaker(one) in held else "train"].append(one)
    return parts


def read_cepstra(content: bytes, place: str) -> NDArray[np.float64]:
    """Read a file of cepstra as CMU Sphinx writes them: a count of numbers, then the numbers, with the high byte first.

    Args:
        content: The bytes of the file.
        place: The file, for messages.

    Returns:
        The cepstra ``[T, 13]``.

    Raises:
        DataError: If it is another file, or cut off.

    Example:
        >>> read_cepstra(np.array([13], ">i4").tobytes() + np.ones(13, ">f4").tobytes(), "'a.mfc'").shape
        (1, 13)
    """
    count = int(np.frombuffer(content[:4], ">i4")[0]) if len(content) >= 4 else 0
    if count <= 0 or count % CEPSTRA or len(content) != 4 + 4 * count:
        raise DataError(
            f"{place} is no whole file of {CEPSTRA} cepstra a frame: it has {len(content):,} bytes, and says that it "
            f"has {count:,} numbers. Copy it again."
        )
    numbers = np.frombuffer(content[4:], ">f4").reshape(-1, CEPSTRA).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise DataError(f"{place} has cepstra that are no finite numbers. Copy it again.")
    return numbers


def _listed(path: Path, part: str, frames: dict[str, NDArray[np.float64]]) -> Iterator[Utterance]:
    """Yield the recordings that a pair of lists names."""
    names = read_text(path / _LISTS.format(part=part, kind="fileids")).split()
    place = path / _LISTS.format(part=part, kind="transcription")
    lines: Sequence[str] = read_text(place).splitlines()
    if len(names) != len(lines):
        raise DataError(f"'{place}' has {len(lines):,} lines, and the list beside it {len(names):,} names.")
    for number, (name, line) in enumerate(zip(names, lines, strict=True), 1):
        match = _LINE.fullmatch(line.strip())
        if match is None or name.rpartition("/")[2] != match["name"]:
            raise DataError(f"'{place}', line {number}: expected the words of '{name}', and then its name in brackets.")
        if name not in frames:
            raise DataError(f"'{place}', line {number}: '{name}' is not in '{path / ARCHIVE}'. Copy the folder again.")
        yield Utterance(name, match["text"], frames[name])


def _speaker(one: Utterance) -> str:
    return one.name.rpartition("/")[0]
