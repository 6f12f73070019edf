"""Heartbeats: has the heart just beaten, at every point of an electrocardiogram?"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data.recorded import find_scale, read_file
from gatework.errors import DataError
from gatework.reading.arrays import parse_npz
from gatework.tasks.asking import FROM_NOTES, ask_throughout, guess
from gatework.tasks.task import Gap, Published, Recorded, Recording, Success, Task

_FILE = "record_100.npz"
# The largest size of an array: half an hour of two leads takes 10 million bytes.
_MOST_BYTES = 1 << 26
_ARRAYS = ("signal", "ann_sample", "ann_symbol", "fs")
RATE = 360  # samples a second
# How far from the annotated peak of a beat counts as the beat: 50 ms to either side.
TOLERANCE = 18
# PhysioNet's marks of beats, normal and not; other marks are of rhythm or noise.
_NORMAL = "N"
_BEATS = "NLRBAaJSVrFejnE/fQ?"
# Shares of the recording for training and validation: 20 and 5 of 30 minutes.
_LEARNED, _VALIDATED = 20 / 30, 5 / 30


def load(path: Path, gap: int) -> Recording:
    """Read the recording.

    Args:
        path: The folder with the ``.npz`` file.
        gap: Samples of a sequence.

    Returns:
        The first two thirds are for training, a sixth for validation and the last sixth for the test. Groups
        distinguish sequences that have only normal beats from the others.

    Raises:
        DataError: If the file is missing or damaged.
    """
    signal, samples, symbols = _read(path / _FILE)
    beats = np.isin(symbols, list(_BEATS))
    classes = mark_beats(samples[beats], len(signal))
    odd = mark_beats(samples[beats & (symbols != _NORMAL)], len(signal))
    first = int(len(signal) * _LEARNED)
    cuts = (0, first, first + int(len(signal) * _VALIDATED), len(signal))
    mean, deviation = find_scale(signal[:first])
    splits = {}
    for split, begin, end in zip(("train", "valid", "test"), cuts[:-1], cuts[1:], strict=True):
        batch = ask_throughout((signal[begin:end] - mean) / deviation, classes[begin:end], gap)
        begins = np.arange(0, end - begin, gap)
        groups = torch.from_numpy(np.maximum.reduceat(odd[begin:end], begins))
        splits[split] = replace(batch, groups=groups)
    facts = {
        "groups": ["normal beats only", "another beat"],
        "seconds": {split: (end - begin) / RATE for split, begin, end in zip(splits, cuts[:-1], cuts[1:], strict=True)},
        "beats": int(beats.sum()),
        "asked_yes": float(classes.mean()),
        "chance": guess(splits["train"], splits["test"], 2),
    }
    return Recording(splits, signal.shape[1], 2, facts)


def mark_beats(peaks: NDArray, steps: int) -> NDArray[np.int64]:
    """Mark every step at which the heart has just beaten: there was a peak within 18 steps of the step 18 steps before.

    Args:
        peaks: The steps of the peaks.
        steps: The number of steps.

    Returns:
        ``[steps]``, 1 from a peak to 36 steps after it and else 0.

    Example:
        >>> marks = mark_beats(np.array([2]), 60)
        >>> int(marks.sum()), int(marks.argmax())
        (37, 2)
    """
    edges = np.zeros(steps + 2 * TOLERANCE + 2, dtype=np.int64)
    np.add.at(edges, peaks, 1)
    np.add.at(edges, peaks + 2 * TOLERANCE + 1, -1)
    return (np.cumsum(edges)[:steps] > 0).astype(np.int64)


def _read(path: Path) -> tuple[NDArray, NDArray, NDArray]:
    """Return the signal ``[n, leads]``, and the places and kinds of the annotations."""
    arrays = parse_npz(read_file(path), path, _ARRAYS, _MOST_BYTES)
    signal, samples, symbols, rate = (arrays[name] for name in _ARRAYS)
    if signal.ndim != 2 or signal.dtype.kind not in "iuf" or len(signal) < RATE or rate.shape or rate != RATE:
        raise DataError(
            f"'{path}': a signal {signal.dtype} {signal.shape} at {rate} Hz; expected numbers [n, leads] of a second "
            f"or more at {RATE} Hz."
        )
    if (
        samples.dtype.kind not in "iu"
        or symbols.dtype.kind != "U"
        or not samples.shape == symbols.shape == (len(samples),)
    ):
        raise DataError(
            f"'{path}': annotations {samples.shape} and {symbols.shape}; expected places and a mark for each."
        )
    if len(samples) and (samples.min() < 0 or samples.max() >= len(signal)):
        raise DataError(f"'{path}': an annotation lies outside the {len(signal):,} samples of the signal.")
    return signal.astype(np.float64), samples.astype(np.int64), symbols


heartbeats = Task(
    name="heartbeats",
    title="Heartbeats",
    asks="The model reads two leads of an electrocardiogram, 360 samples per second. Has the heart just beaten?",
    source="MIT-BIH Arrhythmia Database, Moody & Mark 2001, IEEE Eng. Med. Biol. 20(3), record 100; PhysioNet, "
    "Goldberger and others 2000, Circulation 101(23)",
    kind="choice",
    inputs=2,
    outputs=2,
    gap=Gap(720, "samples of a sequence, 360 a second", least=2),
    success=Success(
        "accuracy",
        at_least=0.99,
        words="Our own level, for single points. At most points the answer is no, so compare with the chance level "
        "among the facts. Detectors of whole beats are evaluated in another way.",
    ),
    examples=Recorded("mitbih_100", load),
    published=(
        Published(
            "Pan and Tompkins' detector",
            "99.3 % of the beats of the whole database found",
            f"Pan & Tompkins 1985; {FROM_NOTES}",
        ),
    ),
    defaults={"hidden_size": 64, "batch_size": 16, "learning_rate": 5e-3, "steps": 800},
    notes="One person, split by time: 20, 5 and 5 minutes. A beat is everything within 50 ms of its annotated peak. "
    "The answer is due 50 ms later, so that it can be known: yes from the peak to 100 ms after it.",
)
