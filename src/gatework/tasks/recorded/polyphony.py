"""Polyphonic music: which of 88 keys sound at the next step of Bach's chorales and of folk tunes?"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch.nn import functional

from gatework.data.recorded import read_file
from gatework.errors import DataError
from gatework.reading.nested import parse_json
from gatework.reading.packed import unpack_gzip
from gatework.tasks.asking import FROM_NOTES
from gatework.tasks.task import Batch, Gap, Published, Recorded, Recording, Success, Task

KEYS = 88
_LOWEST = 21  # MIDI's number of the lowest key
_SPLITS = ("train", "valid", "test")
# What a file may unpack to: the largest that is known, of Nottingham's tunes, has 4 million bytes.
_MOST_UNPACKED = 1 << 26
# Questions asked of one sequence, at most: most tunes have about 256 steps, a few seven times as many, and all are
# padded to the longest.
LONGEST = 256


Pieces = list[list[list[Annotated[int, Field(ge=_LOWEST, lt=_LOWEST + KEYS)]]]]


class _Rolls(BaseModel):
    """The contents of a file: the MIDI numbers of the sounding keys, for each piece and step."""

    train: Pieces
    valid: Pieces
    test: Pieces


def _load(path: Path, gap: int, file: str) -> Recording:
    """Read piano rolls.

    Args:
        path: The folder with the file.
        gap: The number of steps between an input and its target.
        file: Its name.

    Returns:
        The official splits. Pieces that are too short are left out, and long pieces are cut.

    Raises:
        DataError: If the file is missing or damaged.
    """
    path = path / file
    content = parse_json(unpack_gzip(read_file(path), path, _MOST_UNPACKED), path, _Rolls)
    splits: dict[str, Batch] = {}
    facts: dict[str, Any] = {"pieces": {}, "steps": {}}
    for split in _SPLITS:
        rolls = [_roll(piece) for piece in getattr(content, split)]
        pairs = [pair for roll in rolls for pair in _pairs(roll, gap)]
        if not pairs:
            raise DataError(f"'{path}' has no {split} piece of more than {gap} steps. Take a smaller gap.")
        splits[split] = _side_by_side(pairs)
        facts["pieces"][split], facts["steps"][split] = len(rolls), sum(len(roll) for roll in rolls)
    facts["chance"] = guess_keys(splits["train"], splits["test"])
    return Recording(splits, KEYS, KEYS, facts)


def _roll(piece: list[list[int]]) -> NDArray[np.float32]:
    """Turn lists of MIDI numbers into zeros and ones ``[T, 88]``."""
    roll = np.zeros((len(piece), KEYS), dtype=np.float32)
    for place, step in enumerate(piece):
        roll[place, [note - _LOWEST for note in step]] = 1
    return roll


def _pairs(roll: NDArray[np.float32], gap: int) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return inputs and targets, in pieces of at most 256 steps."""
    read, asked = roll[:-gap], roll[gap:]
    return [(read[at : at + LONGEST], asked[at : at + LONGEST]) for at in range(0, len(read), LONGEST)]


def _side_by_side(pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Batch:
    lengths = torch.tensor([len(read) for read, _ in pairs])
    inputs = torch.zeros(int(lengths.max()), len(pairs), KEYS)
    targets = torch.full_like(inputs, float("nan"))
    for column, (read, asked) in enumerate(pairs):
        inputs[: len(read), column] = torch.from_numpy(read)
        targets[: len(read), column] = torch.from_numpy(asked)
    return Batch(inputs, targets, lengths)


def guess_keys(train: Batch, test: Batch) -> dict[str, float]:
    """Compute the baseline on the test split that knows only how often each key sounds in training.

    Args:
        train: The training split. Half a step with each key and half a step without it are added, so that no key has
            probability 0.
        test: The test split.

    Returns:
        ``loss``, in nats per step summed over the keys, ``accuracy`` and ``solved``.
    """
    seen, came = train.targets[train.asked], test.targets[test.asked]
    shares = ((seen.double().sum(dim=0) + 0.5) / (len(seen) + 1)).expand(came.shape)
    right = ((shares > 0.5) == (came > 0.5)).all(dim=-1)
    wrong = torch.zeros_like(test.asked)
    wrong[test.asked] = ~right
    return {
        "loss": float(functional.binary_cross_entropy(shares, came.double(), reduction="sum")) / len(came),
        "accuracy": float(right.double().mean()),
        "solved": float((~wrong.any(dim=0)).double().mean()),
    }


_BAI = "Bai, Kolter & Koltun 2018, arXiv:1803.01271, table 1"
_CHUNG = f"Chung, Gulcehre, Cho & Bengio 2014, arXiv:1412.3555, table 2; {FROM_NOTES}"
_SOURCE = "Boulanger-Lewandowski, Bengio & Vincent 2012, ICML, arXiv:1206.6392"
_BOULANGER = f"{_SOURCE}; {FROM_NOTES}"
_GAP = Gap(1, "steps between the last chord read and the chord asked")
_NOTES = (
    f"Pieces of more than {LONGEST} steps are cut, and each part begins afresh, with no memory of the part before; the "
    "papers read them whole. The first chord of a part is never asked."
)

jsb_chorales = Task(
    name="jsb_chorales",
    foretells=True,
    title="Bach's chorales",
    asks="The model reads the chords of a chorale, one per quarter note. Which of 88 keys sound next?",
    source=_SOURCE,
    kind="bits",
    inputs=KEYS,
    outputs=KEYS,
    gap=_GAP,
    success=Success(
        "loss",
        at_most=8.67,
        words="In nats per step, summed over the keys: the result of the LSTM of Chung et al. 2014, the weakest of the "
        "published gated networks. Better results are listed; this level asks for a network that works, not for the "
        "best one.",
    ),
    examples=Recorded("polyphonic_music", partial(_load, file="JSB_Chorales.json.gz")),
    published=(
        Published("LSTM, 300,000 parameters", "8.45 nats a step", _BAI),
        Published("GRU, 300,000 parameters", "8.43 nats a step", _BAI),
        Published("RNN, 300,000 parameters", "8.91 nats a step", _BAI),
        Published("TCN, 300,000 parameters", "8.10 nats a step", _BAI),
        Published("LSTM, 20,000 parameters", "8.67 nats a step", _CHUNG),
        Published("GRU, 20,000 parameters", "8.54 nats a step", _CHUNG),
        Published("RNN of tanh units", "9.10 nats a step", _CHUNG),
        Published("RNN-NADE", "5.56 nats a step", _BOULANGER),
    ),
    defaults={"hidden_size": 128, "batch_size": 8, "learning_rate": 1e-2, "steps": 1200, "dropout": 0.3},
    notes=_NOTES,
)

nottingham = Task(
    name="nottingham",
    foretells=True,
    title="Nottingham folk tunes",
    asks="The model reads the chords and the melody of a folk tune step by step. Which of 88 keys sound next?",
    source=_SOURCE,
    kind="bits",
    inputs=KEYS,
    outputs=KEYS,
    gap=_GAP,
    success=Success(
        "loss",
        at_most=3.46,
        words="In nats per step, summed over the keys: the result of the GRU of Bai, Kolter & Koltun 2018, the weakest "
        "of the published gated networks. Better results are listed; this level asks for a network that works, not for "
        "the best one. Tunes are cut here; the papers use whole tunes.",
    ),
    examples=Recorded("polyphonic_music", partial(_load, file="Nottingham.json.gz")),
    published=(
        Published("LSTM, a million parameters", "3.29 nats a step", _BAI),
        Published("GRU, a million parameters", "3.46 nats a step", _BAI),
        Published("RNN, a million parameters", "4.05 nats a step", _BAI),
        Published("TCN, a million parameters", "3.07 nats a step", _BAI),
        Published("LSTM", "3.20 nats a step", _CHUNG),
        Published("GRU", "3.23 nats a step", _CHUNG),
        Published("RNN of tanh units", "3.13 nats a step", _CHUNG),
        Published("RNN-NADE", "2.31 nats a step", _BOULANGER),
    ),
    defaults={"hidden_size": 200, "batch_size": 16, "learning_rate": 1e-2, "steps": 4000},
    notes=_NOTES,
)
