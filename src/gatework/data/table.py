"""A table of sequences: numbers at each step, and their labels."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.errors import DataError

# The most numbers in a padded table: eight bytes each.
_MOST_NUMBERS = 1 << 30
IDS = ("id", "sequence", "series")
"""The names of columns that tell sequences apart, in lower case; those in a file may have capitals."""
LABELS = ("label", "class", "target", "y")
"""The names of columns of labels, in lower case."""
# The most names of columns to list for people.
_MOST_LISTED = 8
# The salt of the hash that splits sequences. Never change it: resumed runs would get different splits.
_MIXED_WITH = "gatework table 0"


@dataclass(frozen=True)
class Table:
    """A batch of numeric sequences, time first.

    Args:
        steps: The numbers of each step ``[T, N, F]`` float64; zeros beyond the end of a sequence.
        lengths: The number of steps of each sequence ``[N]`` int64.
        columns: The names of the F numbers of a step.
        names: The name of each of the N sequences. A single sequence without a name stands for one recording, whose
            rows are not divided into sequences.
        labels: The labels of each sequence, as text: a single one, or one for each step. Empty without labels.
        source: The origin of the table, for error messages.
        left_out: The names of columns that are ignored because they are not numeric.
        about: Facts about the source, one line each, for people.
        times: The time of each step ``[length]`` of each sequence, as read: dates (datetime64) or numbers; None for a
            sequence without a time. Empty if there is none at all.
        read_as: What was decided about the file, as plain JSON, so that another file can be read in the same way:
            :meth:`gatework.data.options.TableOptions.from_facts` takes it.
    """

    steps: Tensor
    lengths: Tensor
    columns: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    left_out: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    times: tuple[NDArray | None, ...] = ()
    read_as: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of sequences."""
        return len(self.names)

    @property
    def is_one_recording(self) -> bool:
        """Whether the table is one recording, whose rows are not divided into sequences."""
        return self.names == ("",)

    def sequence(self, number: int) -> NDArray[np.float64]:
        """Return the numbers of one sequence ``[length, F]``."""
        return self.steps[: int(self.lengths[number]), number].numpy()

    def places(self, names: Sequence[str], why: str) -> list[int]:
        """Find columns by their names.

        Args:
            names: The names.
            why: What needs them, in words such as ``which the model reads``.

        Returns:
            The place of each among the columns.

        Raises:
            DataError: If the table lacks one.
        """
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise DataError(
                f"'{self.source}' has no column of numbers '{missing[0]}', {why}. Its columns are "
                f"{', '.join(self.columns)}."
            )
        return [self.columns.index(name) for name in names]

    def scaled(self, mean: NDArray, deviation: NDArray) -> "Table":
        """Standardise every column; the padding beyond the end of a sequence stays zero.

        Args:
            mean: The means to subtract ``[F]``.
            deviation: The standard deviations to divide by ``[F]``.

        Raises:
            DataError: If numbers are too large to be standardised.
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
    """Pad sequences of several lengths into one table.

    Args:
        sequences: The numbers of each sequence ``[length, F]``, with one step or more.
        columns: The names of the F numbers.
        names: The name of each sequence.
        labels: The labels of each sequence; empty without labels.
        source: The origin of the table, for error messages.

    Returns:
        The table.

    Raises:
        DataError: If padding to a single long sequence would need too much memory.

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
            "taken. Take the longest sequences out."
        )
    steps = torch.zeros(longest, size, len(columns), dtype=torch.float64)
    for number, sequence in enumerate(sequences):
        steps[: len(sequence), number] = torch.from_numpy(np.array(sequence, dtype=np.float64))
    return Table(steps, lengths, tuple(columns), tuple(names), tuple(map(tuple, labels)), source)


def split_sequences(names: Sequence[str], strata: Sequence[str] = ()) -> dict[str, list[int]]:
    """Split sequences: seven tenths for training, one for validation, two for the test; at least one for each.

    The split of a sequence depends on a hash of its name, not on the order of the sequences in their file.

    Args:
        names: Three or more different names of sequences.
        strata: The stratum of each sequence, such as its class. Each split then gets its share of every stratum.

    Returns:
        The indices of the sequences of each split, in ascending order.

    Example:
        >>> parts = split_sequences([f"walk {number}" for number in range(20)])
        >>> {split: len(part) for split, part in parts.items()}
        {'train': 14, 'valid': 2, 'test': 4}
    """
    mixed = sorted(range(len(names)), key=lambda number: sha256(f"{_MIXED_WITH}\0{names[number]}".encode()).digest())
    members: dict[str, list[int]] = defaultdict(list)
    for number in mixed:
        members[strata[number] if strata else ""].append(number)
    # Each sequence gets a position between 0 and 1, so that the members of every stratum are spread evenly. The only
    # member of a stratum is in the middle, and so in the training split.
    place = {number: (rank + 0.5) / len(numbers) for numbers in members.values() for rank, number in enumerate(numbers)}
    order = sorted(mixed, key=place.__getitem__)
    test, valid = max(1, len(names) * 2 // 10), max(1, len(names) // 10)
    cuts = len(names) - valid - test, len(names) - test
    parts = {"train": order[: cuts[0]], "valid": order[cuts[0] : cuts[1]], "test": order[cuts[1] :]}
    return {split: sorted(part) for split, part in parts.items()}


def split_time(rows: int) -> tuple[int, int, int]:
    """Split a recording in time: the first seven tenths for training, one for validation, the last two for the test.

    Args:
        rows: The number of rows.

    Returns:
        The end of each of the three parts.

    Example:
        >>> split_time(25)
        (17, 20, 25)
    """
    return rows * 7 // 10, rows * 8 // 10, rows


def describe_lengths(table: Table) -> str:
    """Describe the lengths of sequences.

    Args:
        table: The sequences.

    Example:
        >>> describe_lengths(make_table([np.ones((2, 1)), np.ones((1, 1))], ["x"], ["a", "b"]))
        '1 to 2 steps'
    """
    least, most = int(table.lengths.min()), int(table.lengths.max())
    return f"{least:,} steps" if least == most else f"{least:,} to {most:,} steps"


def list_names(names: Sequence[str]) -> str:
    """List names for a sentence; only the first of many.

    Args:
        names: The names.

    Example:
        >>> list_names(["x", "y"])
        "'x', 'y'"
        >>> list_names("abcdefghijk")
        "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 3 others"
    """
    listed = ", ".join(f"'{name}'" for name in names[:_MOST_LISTED])
    return listed if len(names) <= _MOST_LISTED else f"{listed} and {len(names) - _MOST_LISTED:,} others"
