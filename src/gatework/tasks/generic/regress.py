"""Regress: predict one number for each of your own sequences, at its end."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data.options import NO_OPTIONS, TableOptions
from gatework.data.recorded import find_scale
from gatework.errors import DataError
from gatework.tasks.asking import check_size
from gatework.tasks.generic.fresh import read_each
from gatework.tasks.generic.reading import (
    SOURCE,
    better_than,
    label_each,
    label_numbers,
    open_labelled,
    share_out,
    standardise,
)
from gatework.tasks.recorded.forecasting import persist
from gatework.tasks.task import Batch, Gap, Recorded, Recording, Task


def ask_number_at_the_end(sequences: list[NDArray], answers: NDArray, blank: int) -> Batch:
    """Batch sequences of several lengths, with a number as the target at the last step of each.

    Args:
        sequences: The inputs of each sequence ``[T, F]``.
        answers: The target of each sequence.
        blank: The number of zero steps after each sequence; the target is at the last of them.

    Returns:
        The batch. The trivial predictor answers 0; all targets but the last of each sequence are NaN.

    Raises:
        DataError: If the batch would need too much memory.

    Example:
        >>> batch = ask_number_at_the_end([np.ones((2, 1)), np.ones((1, 1))], np.array([0.5, 2.0]), blank=0)
        >>> batch.targets[..., 0].T.tolist(), batch.lengths.tolist()
        ([[nan, 0.5], [2.0, nan]], [2, 1])
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences]) + blank
    check_size(int(lengths.max()), len(sequences), sequences[0].shape[1])
    inputs = torch.zeros(int(lengths.max()), len(sequences), sequences[0].shape[1])
    for column, sequence in enumerate(sequences):
        inputs[: len(sequence), column] = torch.from_numpy(sequence)
    targets = torch.full((len(inputs), len(sequences), 1), torch.nan)
    targets[lengths - 1, torch.arange(len(sequences)), 0] = torch.from_numpy(answers).float()
    return Batch(inputs, targets, lengths, baseline=0)


def load(path: Path, gap: int, options: TableOptions = NO_OPTIONS) -> Recording:
    """Read sequences with one number each.

    The trivial predictor answers the mean of the training sequences. It is 0, because the numbers are standardised.

    Args:
        path: A CSV file, arrays, or a folder of WAV files.
        gap: Steps of zeros between the end of a sequence and the answer.
        options: How the table is read.

    Returns:
        The sequences and their numbers, both standardised by the training sequences.

    Raises:
        DataError: If the path does not hold such a table, or the rows are not divided into sequences.
    """
    table = open_labelled(path, "regress", options)
    answers = label_numbers(label_each(table, "regress"), table)
    parts = share_out(table)
    scaled, scale = standardise(table, parts["train"])
    learned = answers[parts["train"]]
    if len(np.unique(learned)) < 2:
        raise DataError(
            f"'{table.source}': all training sequences have the number {learned[0]:g}; expected different numbers."
        )
    with np.errstate(over="ignore", invalid="ignore"):  # numbers that become infinite are refused
        mean, deviation = (float(value[0]) for value in find_scale(learned[:, None]))
        standard = (answers - mean) / deviation
        finite = np.isfinite(standard.astype(np.float32)).all()
    if not finite:
        raise DataError(f"'{table.source}': the numbers are too large to be standardised.")
    splits = {
        split: ask_number_at_the_end([scaled.sequence(number) for number in numbers], standard[numbers], gap)
        for split, numbers in parts.items()
    }
    facts = {
        "about": [*table.about, f"numbers: mean {mean:.4g}, standard deviation {deviation:.4g}, which is the unit"],
        "table": dict(table.read_as),
        "columns": list(table.columns),
        "ignored": list(table.left_out),
        "sequences": {split: len(numbers) for split, numbers in parts.items()},
        **scale,
        "answer": {"mean": mean, "deviation": deviation},
        "chance": persist(splits["test"]) | {"skill": 0.0},
    }
    return Recording(splits, len(table.columns), 1, facts)


regress = Task(
    name="regress",
    title="A number for each of your own sequences",
    asks="A sequence of your own is read. Which number belongs to it?",
    source=SOURCE,
    kind="number",
    outputs=1,
    gap=Gap(0, "steps of zeros between the end of a sequence and the answer", least=0),
    success=better_than("the mean"),
    examples=Recorded("", load, own=True, fresh=read_each),
    defaults={"hidden_size": 64, "batch_size": 8, "learning_rate": 3e-3, "steps": 1000, "dropout": 0.2},
    notes="Columns are known by their names, as in classify; label, class, target or y holds the number. The split is "
    "70 % training, 10 % validation and 20 % test sequences; a hash of its name decides where a sequence goes. Columns "
    "and numbers are standardised by the training sequences, so that the unit of an error is the standard deviation of "
    "the numbers. Skill is then R squared, with the mean of the training sequences.",
)
