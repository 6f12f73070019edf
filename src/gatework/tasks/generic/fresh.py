"""New sequences for a model that was trained on a table: read as that table was, with or without labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.data.options import TableOptions
from gatework.data.table import Table
from gatework.data.times import write_times
from gatework.errors import DataError
from gatework.tasks.asking import check_size
from gatework.tasks.generic.reading import open_table
from gatework.tasks.recorded.forecasting import CONTEXT_SHARE, MOST_CONTEXT


@dataclass(frozen=True)
class Fresh:
    """Sequences, and the places where a model answers.

    Args:
        inputs: The standardised numbers ``[T, B, F]``, zeros beyond the end.
        lengths: The number of steps of each sequence ``[B]``.
        places: The step and the sequence of each answer, two tensors ``[n]``, in the order of the table.
        names: For each answer the name of its sequence, and the time or the number of its row if there is one for each.
        heading: The names of these columns.
        labels: The label of each answer; empty if the table has none.
        source: The table, for messages.
        about: How the table was read, one line each.
    """

    inputs: Tensor
    lengths: Tensor
    places: tuple[Tensor, Tensor]
    names: Sequence[tuple[str, ...]]
    heading: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    about: tuple[str, ...]


def read_each(path: Path, facts: Mapping[str, Any], options: TableOptions, gap: int) -> Fresh:
    """Read sequences that have one answer each, at their end.

    Args:
        path: The table.
        facts: The facts of the run.
        options: The settings of the run.
        gap: Steps of zeros between the end of a sequence and the answer.

    Returns:
        The sequences.

    Raises:
        DataError: If the table cannot be read, or lacks a column.
    """
    table, numbers = _open(path, facts, options)
    inputs, lengths = _side_by_side(numbers, gap)
    labels = tuple(labels[0] for labels in table.labels)
    if any(len(set(labels)) > 1 for labels in table.labels):
        raise DataError(f"'{table.source}': a sequence has several labels, and the model answers once for each.")
    named = not table.is_one_recording
    names = [(name,) for name in table.names] if named else [("1",)]
    places = lengths - 1, torch.arange(len(numbers))
    return Fresh(inputs, lengths, places, names, (_heading(facts, "id"),), labels, table.source, table.about)


def read_steps(path: Path, facts: Mapping[str, Any], options: TableOptions, gap: int) -> Fresh:
    """Read sequences that have an answer at every step.

    Args:
        path: The table.
        facts: The facts of the run.
        options: The settings of the run.
        gap: The number of steps from an input to its answer.

    Returns:
        The sequences. A recording is cut as the one of the run was.

    Raises:
        DataError: If the table cannot be read, or lacks a column.
    """
    table, numbers = _open(path, facts, options)
    names, labels = [], []
    for number, name in enumerate(table.names):
        own = () if table.is_one_recording else (name,)
        times = table.times[number] if table.times else None
        rows = [str(row) for row in range(1, len(numbers[number]) + 1)] if times is None else write_times(times)
        names += [(*own, row) for row in rows]
        if table.labels:
            labels += table.labels[number]
    if len(labels) not in (0, len(names)):
        raise DataError(f"'{table.source}' has {len(labels):,} labels for {len(names):,} steps; expected one for each.")
    if table.is_one_recording:
        learned = facts.get("steps", {}).get("train", 0)
        steps = max(1, min(MOST_CONTEXT, int(learned) // CONTEXT_SHARE))
        numbers = [numbers[0][at : at + steps] for at in range(0, len(numbers[0]), steps)]
    inputs, lengths = _side_by_side(numbers, gap)
    steps_of = [torch.arange(len(rows)) + gap for rows in numbers]
    sequences = torch.repeat_interleave(torch.arange(len(numbers)), lengths - gap)
    heading = ("time" if table.times else "row",)
    if not table.is_one_recording:
        heading = (_heading(facts, "id"), *heading)
    places = torch.cat(steps_of), sequences
    return Fresh(inputs, lengths, places, names, heading, tuple(labels), table.source, table.about)


def _heading(facts: Mapping[str, Any], role: str) -> str:
    return str(facts.get("table", {}).get(role, "") or role)


def _open(path: Path, facts: Mapping[str, Any], options: TableOptions) -> tuple[Table, list[NDArray[np.float64]]]:
    """Open a table as that of the run was read; return it, and the standardised numbers of each sequence."""
    columns, mean, deviation = (facts.get(name) for name in ("columns", "mean", "deviation"))
    if not isinstance(columns, list) or not all(
        isinstance(scale, list) and len(scale) == len(columns) for scale in (mean, deviation)
    ):
        raise DataError("The facts of the run lack its columns and their scales. Copy data.json from the original run.")
    decided = facts.get("table", {})
    reading = TableOptions.from_facts(options.facts() | (dict(decided) if isinstance(decided, Mapping) else {}))
    table = open_table(path, reading, unlabelled=True)
    read = table.places(columns, "which the model reads")
    scaled = [(table.sequence(number)[:, read] - np.array(mean)) / np.array(deviation) for number in range(table.size)]
    if not all(np.isfinite(rows).all() for rows in scaled):
        raise DataError(f"'{table.source}' holds numbers too large to be standardised.")
    return table, scaled


def _side_by_side(sequences: Sequence[NDArray[np.float64]], blank: int) -> tuple[Tensor, Tensor]:
    """Pad sequences to the longest of them, with steps of zeros behind each; return them and their lengths."""
    lengths = torch.tensor([len(rows) + blank for rows in sequences])
    check_size(int(lengths.max()), len(sequences), sequences[0].shape[1])
    inputs = torch.zeros(int(lengths.max()), len(sequences), sequences[0].shape[1])
    for column, rows in enumerate(sequences):
        inputs[: len(rows), column] = torch.from_numpy(rows).float()
    return inputs, lengths
