"""Functions that the tasks on recorded data share: placing targets, and computing the baseline."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data.targets import IGNORED
from gatework.errors import DataError
from gatework.tasks.task import Batch

# The mark of a published figure that comes from the notes with the data, and was not checked in its paper.
FROM_NOTES = "as the data's notes give it, from memory"

# The most numbers in a padded batch: four or eight bytes each.
_MOST_NUMBERS = 1 << 30


def ask_at_the_end(
    sequences: Sequence[NDArray], classes: Sequence[int], blank: int = 0, groups: Sequence[int] | None = None
) -> Batch:
    """Batch sequences of several lengths, with a class as the target at the last step of each.

    Args:
        sequences: The inputs of each sequence: numbers ``[T, I]`` or symbols ``[T]``.
        classes: The class of each sequence.
        blank: The number of zero steps after each sequence; the target is at the last of them.
        groups: The group of each sequence; None for a single group.

    Returns:
        The batch; all targets but the last of each sequence are -100.

    Raises:
        DataError: If padding to a single long sequence would need too much memory.

    Example:
        >>> batch = ask_at_the_end([np.ones((2, 1)), np.ones((1, 1))], [4, 5], blank=1)
        >>> batch.targets.T.tolist(), batch.lengths.tolist()
        ([[-100, -100, 4], [-100, 5, -100]], [3, 2])
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences]) + blank
    kind = torch.int64 if sequences[0].ndim == 1 else torch.float32
    steps, size = int(lengths.max()), len(sequences)
    check_size(steps, size, prod(sequences[0].shape[1:]))
    inputs = torch.zeros(steps, size, *sequences[0].shape[1:], dtype=kind)
    for column, sequence in enumerate(sequences):
        inputs[: len(sequence), column] = torch.from_numpy(sequence)
    targets = torch.full((steps, size), IGNORED)
    targets[lengths - 1, torch.arange(size)] = torch.tensor(list(classes))
    return Batch(inputs, targets, lengths, groups=None if groups is None else torch.tensor(list(groups)))


def check_size(steps: int, sequences: int, width: int) -> None:
    """Refuse a batch that would need too much memory.

    Args:
        steps: The number of steps of the longest sequence.
        sequences: The number of sequences.
        width: The number of input features.

    Raises:
        DataError: If it would be too large.
    """
    numbers = steps * sequences * width
    if numbers > _MOST_NUMBERS:
        raise DataError(
            f"{sequences:,} sequences, the longest of {steps:,} steps, are {numbers:,} numbers side by side; expected "
            f"at most {_MOST_NUMBERS:,}. Take the longest out, or a smaller gap."
        )


def ask_throughout(inputs: NDArray, classes: NDArray, steps: int) -> Batch:
    """Cut a recording into consecutive sequences, with a class as the target at every step.

    Args:
        inputs: Numbers ``[n, I]``.
        classes: The class of every step ``[n]``.
        steps: The number of steps of a sequence; the last may have fewer.

    Returns:
        The sequences, in the order of time.

    Example:
        >>> batch = ask_throughout(np.zeros((5, 1)), np.array([0, 0, 1, 1, 0]), 3)
        >>> batch.targets.T.tolist(), batch.lengths.tolist()
        ([[0, 0, 1], [1, 0, -100]], [3, 2])
    """
    steps = min(steps, len(classes))
    count, missing = -(-len(classes) // steps), -len(classes) % steps
    read = np.concatenate([inputs, np.zeros((missing, inputs.shape[1]))]).reshape(count, steps, -1)
    asked = np.concatenate([classes, np.full(missing, IGNORED)]).reshape(count, steps)
    lengths = None
    if missing:
        lengths = torch.full((count,), steps)
        lengths[-1] -= missing
    return Batch(
        torch.from_numpy(read).float().transpose(0, 1).contiguous(),
        torch.from_numpy(asked).long().T.contiguous(),
        lengths,
    )


def guess(train: Batch, test: Batch, classes: int) -> dict[str, float]:
    """Compute the baseline on the test split from the class frequencies in training.

    The answer is always the most frequent class. The loss is that of the class frequencies, with half an example added
    to each class so that none has probability 0.

    Args:
        train: The training split.
        test: The test split.
        classes: The number of classes.

    Returns:
        ``loss``, ``accuracy`` and ``solved``.
    """
    counts = torch.bincount(train.targets[train.asked], minlength=classes).double() + 0.5
    shares = counts / counts.sum()
    asked = test.asked
    came = test.targets[asked]
    right = came == shares.argmax()
    wrong = torch.zeros_like(asked)
    wrong[asked] = ~right
    solved = ~wrong.any(dim=0)[asked.any(dim=0)]
    return {
        "loss": float(-shares.log()[came].mean()),
        "accuracy": float(right.double().mean()),
        "solved": float(solved.double().mean()),
    }
