"""The adding problem: add two marked numbers that are far apart."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

Numbers = NDArray[Any]


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences of pairs, a number from [-1, 1] and a mark; the target at the end is 0.5 + (X1 + X2) / 4.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least length of a sequence.
        split: Not used.

    Returns:
        Inputs ``[T, B, 2]`` with T up to gap + gap // 10, targets ``[T, B, 1]``.
    """
    lengths, marked, places = mark(rng, size, gap)
    values = rng.uniform(-1, 1, marked.shape)
    # A first pair that is chosen shows no mark, so that its number does not count.
    chosen = [np.where(place == 0, 0.0, values[place, np.arange(size)]) for place in places]
    return pairs(values, marked, lengths, 0.5 + (chosen[0] + chosen[1]) / 4)


def mark(rng: np.random.Generator, size: int, gap: int) -> tuple[Numbers, Numbers, tuple[Numbers, Numbers]]:
    """Choose the two pairs of each sequence that count.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least length of a sequence.

    Returns:
        The lengths ``[B]``, the marks ``[T, B]``, and the two places ``[B]``, which are never the same.
    """
    lengths = rng.integers(gap, gap + gap // 10, size=size, endpoint=True)
    marks = np.zeros((int(lengths.max()), size))
    # One stands among the first ten pairs, the other anywhere in the first half: so the first does among the first ten.
    first = rng.integers(0, min(10, gap // 2), size=size)
    second = rng.integers(0, gap // 2 - 1, size=size)
    second += second >= first  # any place but the first mark's
    columns = np.arange(size)
    marks[first, columns] = marks[second, columns] = 1
    marks[0] = -1
    marks[lengths - 1, columns] = -1
    return lengths, marks, (first, second)


def pairs(values: Numbers, marks: Numbers, lengths: Numbers, answers: Numbers) -> Batch:
    """Combine numbers and marks, with the answers as the targets at the end.

    Args:
        values: ``[T, B]``.
        marks: ``[T, B]``.
        lengths: ``[B]``.
        answers: ``[B]``.

    Returns:
        Inputs ``[T, B, 2]``, targets ``[T, B, 1]``.
    """
    targets = np.full((*values.shape, 1), np.nan)
    targets[lengths - 1, np.arange(len(lengths)), 0] = answers
    return Batch(
        torch.from_numpy(np.stack([values, marks], axis=-1)).float(),
        torch.from_numpy(targets).float(),
        torch.from_numpy(lengths),
    )


def unmarked(gap: int) -> float:
    """Return the probability that the first pair is one of the two marked pairs, and then shows no mark.

    Args:
        gap: The least length of a sequence.

    Returns:
        The probability.
    """
    first = 1 / min(10, gap // 2)
    return first + (1 - first) / (gap // 2 - 1)


def guess(gap: int) -> dict[str, float]:
    """Return the baseline of always answering 0.5.

    Args:
        gap: The least length of a sequence.

    Returns:
        ``loss`` and ``accuracy``.
    """
    # Off by |X1 + X2| / 4, and by |X| / 4 where the first pair is one of the two.
    alone = unmarked(gap)
    # The sum of two is triangular on [-2, 2], and near enough within [-0.16, 0.16].
    near = (1 - alone) * (1 - (1 - 0.08) ** 2) + alone * 0.16
    return {"loss": (1 - alone) / 24 + alone / 48, "accuracy": near}


adding = Task(
    name="adding",
    title="Adding problem",
    asks="Two numbers of a long sequence are marked, both in its first half and one of them among its first ten. What "
    "is their sum, scaled to [0, 1]?",
    source="Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.4",
    kind="number",
    inputs=2,
    outputs=1,
    gap=Gap(
        100,
        "least length of a sequence, in steps; the answer is asked at least half as many after the second number",
        least=4,
    ),
    success=Success(
        "accuracy",
        at_least=0.99,
        words="An answer is correct if it is off by less than 0.04. The paper counts a net as trained if the last "
        "2,000 sequences have a mean error below 0.01 and are all correct, and tests it on 2,560 sequences.",
    ),
    tolerance=0.04,
    chance=guess,
    published=(
        Published(
            "LSTM 1997, 2 blocks of 2 cells", "T=100: 1 of 2,560 wrong after 74,000 sequences", "section 5.4, table 7"
        ),
        Published(
            "LSTM 1997, 2 blocks of 2 cells", "T=500: 0 of 2,560 wrong after 209,000 sequences", "section 5.4, table 7"
        ),
        Published(
            "LSTM 1997, 2 blocks of 2 cells", "T=1000: 1 of 2,560 wrong after 853,000 sequences", "section 5.4, table 7"
        ),
    ),
    examples=Synthetic(draw, test_size=2560),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 1500,
    },
    notes="The output is a linear unit instead of the paper's logistic unit. The first pair shows no mark; if it is "
    "one of the two marked pairs, its number does not count.",
)
