"""The adding problem in its later form: one mark in each half of a sequence of fixed length."""

import numpy as np
import torch

from gatework.tasks.task import Batch, Gap, Split, Success, Synthetic, Task

_TOLERANCE = 0.04


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences of pairs, a number from [0, 1] and a mark; the target at the end is the sum of the marked numbers.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The length of a sequence.
        split: Not used.

    Returns:
        Inputs ``[gap, B, 2]``, targets ``[gap, B, 1]``.
    """
    columns = np.arange(size)
    values = rng.uniform(0, 1, (gap, size))
    marks = np.zeros((gap, size))
    # One mark in each half.
    first, second = rng.integers(0, gap // 2, size=size), rng.integers(gap // 2, gap, size=size)
    marks[first, columns] = marks[second, columns] = 1
    targets = np.full((gap, size, 1), np.nan)
    targets[-1, :, 0] = values[first, columns] + values[second, columns]
    inputs = np.stack([values, marks], axis=-1)
    return Batch(torch.from_numpy(inputs).float(), torch.from_numpy(targets).float())


def guess(gap: int) -> dict[str, float]:
    """Return the baseline of always answering 1.

    Args:
        gap: The length of a sequence; not used.

    Returns:
        ``loss`` and ``accuracy``.
    """
    # The sum of two numbers from [0, 1] is triangular around 1, with variance 1/6.
    return {"loss": 1 / 6, "accuracy": 1 - (1 - _TOLERANCE) ** 2}


adding_arjovsky = Task(
    name="adding_arjovsky",
    title="Adding problem, later form",
    asks="Two numbers of a long sequence are marked, one in each half. What is their sum?",
    source="Arjovsky, Shah & Bengio 2016, arXiv:1511.06464, section 5.2",
    kind="number",
    inputs=2,
    outputs=1,
    gap=Gap(100, "length of a sequence in steps, the paper's T; the numbers are half of it apart on average", least=2),
    success=Success(
        "loss",
        at_most=0.01,
        words="The paper compares the mean squared error with 0.167, that of always answering 1, and names no "
        "criterion.",
    ),
    tolerance=_TOLERANCE,
    chance=guess,
    examples=Synthetic(draw),
    defaults={"hidden_size": 32, "batch_size": 32, "learning_rate": 1e-2, "steps": 3000},
    notes="New sequences are drawn for every step, instead of a fixed set. For the accuracy, an answer is correct if "
    "it is off by less than 0.04, as in the adding problem of 1997. No published figure is given here, because none "
    "was looked up.",
)
