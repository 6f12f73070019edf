"""A table of sequences: numbers read at each step, and the labels that belong to them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.errors import DataError

# Numbers that are put side by side, at most: eight bytes each.
_MOST_NUMBERS = 1 << 30
# What the order of a split is mixed with. Never change it: runs would meet other splits when they go on.
_MIXED_WITH = "gatework table 0"


@dataclass(frozen=True)
class Table:
    """Sequences of numbers side by side, time first.

    Args:
        steps: What is read at each step ``[T, N, F]`` float64; zeros beyond the end of a sequence.
        lengths: Steps of each sequence ``[N]`` int64.
        columns: The names of the F numbers of a step.
        names: What each of the N sequences is called. One sequence without a name stands for rows that nothing tells
            apart: one recording.
        labels: Of each sequence its labels as text: a single one, or one for each step; empty where there are none.
        source: Where the table is from, for an error.
        left_out: The names of columns that are not read, as they hold no numbers.
        about: What was taken from the source, one line each, for people.
    """

    steps: Tensor
    lengths: Tensor
    columns: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    left_out: tuple[str, ...] = ()
    about: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The number of sequences."""
        return len(self.names)

    @property
    def is_one_recording(self) -> bool:
        """True where nothing tells sequences apart."""
        return self.names == ("",)

    def sequence(self, number: int) -> NDArray[np.float64]:
        """Give what one sequence reads ``[length, F]``."""
        return self.steps[: int(self.lengths[number]), number].numpy()

    def scaled(self, mean: NDArray, deviation: NDArray) -> "Table":
        """Standardise every column; what lies beyond the end of a sequence stays zero.

        Args:
            mean: What is subtracted ``[F]``.
            deviation: What is then divided by ``[F]``.

        Raises:
            DataError: When numbers are too large to be standardised.
        """
        steps = (self.steps - torch.from_numpy(mean)) / torch.from_numpy(deviation)
        beyond = torch.arange(len(steps))[:, None] >= self.lengths
        steps = steps.masked_fill(beyond[..., None], 0.0)
        if not np.isfinite([*mean, *deviation]).all() or not steps.float().isfinite().all():
            raise DataError(f"'{self.source}' holds numbers too large to be standardised.")
        return replace(self, steps=steps)


def make_table(
    sequences: Sequence[NDArray],
    columns: Sequence[str],
    names: Sequence[str],
    labels: Sequence[Sequence[str]] = (),
    source: str = "",
) -> Table:
    """Put sequences of several lengths side by side.

    Args:
        sequences: What each reads ``[length, F]``, one step or more.
        columns: The names of the F numbers.
        names: What each sequence is called.
        labels: Of each sequence its labels; empty where there are none.
        source: Where the table is from, for an error.

    Returns:
        The table.

    Raises:
        DataError: When a single long sequence would make the others too large to be held.

    Example:
        >>> table = make_table([np.ones((2, 1)), np.ones((1, 1))], ["x"], ["a", "b"])
        >>> table.steps.shape, table.lengths.tolist(), table.sequence(1).tolist()
        (torch.Size([2, 2, 1]), [2, 1], [[1.0]])
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    longest, size = int(lengths.max()), len(sequences)
    if longest * size * len(columns) > _MOST_NUMBERS:
        raise DataError(
            f"'{source}' has {size:,} sequences, the longest of {longest:,} steps of {len(columns):,} numbers. Padded "
            f"to the longest they are {longest * size * len(columns):,} numbers, and at most {_MOST_NUMBERS:,} are "
            "taken: take the longest sequences out."
        )
    steps = torch.zeros(longest, size, len(columns), dtype=torch.float64)
    for number, sequence in enumerate(sequences):
        steps[: len(sequence), number] = torch.from_numpy(np.array(sequence, dtype=np.float64))
    return Table(steps, lengths, tuple(columns), tuple(names), tuple(map(tuple, labels)), source)


def split_sequences(names: Sequence[str], strata: Sequence[str] = ()) -> dict[str, list[int]]:
    """Share sequences out: seven tenths to train on, one to validate, two to test; never fewer than one.

    Which sequence goes where follows from a hash of its name. The order of the sequences in their file does not matter.

    Args:
        names: What the sequences are called, three or more, each its own name.
        strata: Of each sequence its stratum, such as its class; each split then gets its share of every one.

    Returns:
        By split the numbers of its sequences, in ascending order.

    Example:
        >>> parts = split_sequences([f"walk {number}" for number in range(20)])
        >>> {split: len(part) for split, part in parts.items()}
        {'train': 14, 'valid': 2, 'test': 4}
    """
    mixed = sorted(range(len(names)), key=lambda number: sha256(f"{_MIXED_WITH}\0{names[number]}".encode()).digest())
    members: dict[str, list[int]] = defaultdict(list)
    for number in mixed:
        members[strata[number] if strata else ""].append(number)
    # Each sequence gets a place between 0 and 1, so that the members of every stratum lie evenly over all places. The
    # only member of a stratum lies in the middle, and is learned.
    place = {number: (rank + 0.5) / len(numbers) for numbers in members.values() for rank, number in enumerate(numbers)}
    order = sorted(mixed, key=place.__getitem__)
    test, valid = max(1, len(names) * 2 // 10), max(1, len(names) // 10)
    cuts = len(names) - valid - test, len(names) - test
    parts = {"train": order[: cuts[0]], "valid": order[cuts[0] : cuts[1]], "test": order[cuts[1] :]}
    return {split: sorted(part) for split, part in parts.items()}


def split_time(rows: int) -> tuple[int, int, int]:
    """Cut a recording in time: the first seven tenths to train on, one to validate, the last two to test.

    Args:
        rows: How many rows it has.

    Returns:
        Where each of the three parts ends.

    Example:
        >>> split_time(25)
        (17, 20, 25)
    """
    return rows * 7 // 10, rows * 8 // 10, rows
