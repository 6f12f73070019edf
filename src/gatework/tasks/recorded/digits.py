"""Spoken digits: which digit was said, from the loudness of forty frequency bands every hundredth of a second."""

import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.data.recorded import find_scale, read_file
from gatework.errors import DataError
from gatework.reading.packed import unpack_tar
from gatework.reading.sound import parse_wav
from gatework.tasks.asking import FROM_NOTES, ask_at_the_end, guess
from gatework.tasks.features.mel import BANDS, log_mel
from gatework.tasks.task import Gap, Published, Recorded, Recording, Split, Success, Task

ARCHIVE = "recordings.tar.gz"
_NAME = re.compile(r"recordings/(?P<digit>[0-9])_(?P<speaker>[a-z]+)_(?P<index>[0-9]{1,3})\.wav")
# A recording lasts about half a second; anything longer than a minute is refused.
_MOST_BYTES = 60 * 2 * 8000
# What the archive may unpack to: all six speakers' recordings have 20 million bytes.
_MOST_UNPACKED = 1 << 27
# The official test recordings, and those held out of the rest, by their index.
_TEST, _VALID = range(5), range(5, 10)

RATE = 8000  # samples a second


def load(path: Path, gap: int) -> Recording:
    """Read the recordings, without unpacking them to disk.

    Args:
        path: The folder with the archive.
        gap: Steps of zeros between the end of the word and the answer.

    Returns:
        Recordings 0 to 4 of each digit and speaker are the official test split, 5 to 9 are held out, and the others are
        for training. Groups are the speakers.

    Raises:
        DataError: If the archive is missing, damaged, or holds something else.
    """
    recordings = read_recordings(path / ARCHIVE)
    speakers = sorted({speaker for _, speaker, _ in recordings})
    parts: dict[str, list[tuple[NDArray, int, int]]] = {"train": [], "valid": [], "test": []}
    for (digit, speaker, index), samples in sorted(recordings.items()):
        parts[split_of(index)].append((log_mel(samples, RATE).numpy(), digit, speakers.index(speaker)))
    for split, part in parts.items():
        if not part:
            raise DataError(f"'{path / ARCHIVE}' has no recording for {split}; expected indices 0 to 49 of each digit.")
    mean, deviation = find_scale(np.concatenate([frames for frames, *_ in parts["train"]]))
    splits = {
        split: ask_at_the_end(
            [(frames - mean) / deviation for frames, *_ in part],
            [digit for _, digit, _ in part],
            gap,
            groups=[speaker for *_, speaker in part],
        )
        for split, part in parts.items()
    }
    facts = {
        "groups": speakers,
        "recordings": {split: part.size for split, part in splits.items()},
        "features": f"{BANDS} mel bands, 25 ms every 10 ms, natural logarithms, standardised by the training split",
        "chance": guess(splits["train"], splits["test"], 10),
    }
    return Recording(splits, BANDS, 10, facts)


def split_of(index: int) -> Split:
    """Return the split of a recording by its index.

    Example:
        >>> split_of(0), split_of(7), split_of(49)
        ('test', 'valid', 'train')
    """
    return "test" if index in _TEST else "valid" if index in _VALID else "train"


def read_recordings(path: Path) -> dict[tuple[int, str, int], Tensor]:
    """Read every recording in an archive.

    Args:
        path: The ``.tar.gz`` file.

    Returns:
        The samples ``[n]``, between -1 and 1, by digit, speaker and index.

    Raises:
        DataError: If the archive is missing, damaged, or holds something else.
    """
    recordings: dict[tuple[int, str, int], Tensor] = {}
    for member in unpack_tar(read_file(path), path, _MOST_UNPACKED):
        match = _NAME.fullmatch(member.name)
        if match is None or not member.regular or len(member.content) > _MOST_BYTES:
            raise DataError(
                f"'{path}' holds '{member.name}' ({len(member.content):,} bytes); expected nothing but files such as "
                "'recordings/7_jackson_32.wav', of a minute at most. Download the archive again."
            )
        key = int(match["digit"]), match["speaker"], int(match["index"])
        recordings[key] = _read_wave(member.content, path, member.name)
    if not recordings:
        raise DataError(f"'{path}' holds no recording; expected files such as 'recordings/7_jackson_32.wav'.")
    return recordings


def _read_wave(content: bytes, path: Path, name: str) -> Tensor:
    sound = parse_wav(content, path, inside=f"'{name}'")
    samples, count = sound.samples, sound.count
    if (sound.channels, sound.bits, sound.rate) != (1, 16, RATE) or not count or len(samples) != 2 * count:
        raise DataError(
            f"'{path}', '{name}': {sound.channels} channels of {sound.bits} bits at {sound.rate} Hz, {len(samples)} of "
            f"{2 * count} bytes; expected one channel of 16 bits at {RATE} Hz, with some samples, and whole."
        )
    return torch.from_numpy(np.frombuffer(samples, dtype="<i2").astype(np.float32)) / 2**15


spoken_digits = Task(
    name="spoken_digits",
    title="Spoken digits",
    asks="A speaker says a digit. Which one is it?",
    source="Free Spoken Digit Dataset, Jackson and others, github.com/Jakobovski/free-spoken-digit-dataset; "
    "four of its speakers",
    kind="choice",
    inputs=BANDS,
    outputs=10,
    gap=Gap(0, "steps of zeros, 10 ms each, between the end of the word and the answer", least=0),
    success=Success("accuracy", at_least=0.95, words="Our own level, because no paper has established one."),
    examples=Recorded("fsdd", load),
    published=(
        Published(
            "recurrent networks on MFCC or log-mel",
            "accuracy 95 to 99 %, official split",
            f"{FROM_NOTES}; they name no paper",
        ),
    ),
    defaults={
        "hidden_size": 96,
        "batch_size": 32,
        "learning_rate": 3e-3,
        "steps": 800,
        "dropout": 0.4,
        "weight_decay": 0.01,
    },
    notes="The test split is the official one, with the same speakers as the training split. Of the other recordings, "
    "those with index 5 to 9 are held out.",
)
