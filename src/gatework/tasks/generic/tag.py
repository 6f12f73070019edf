"""Tag: predict a label at every step of your own sequences."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import torch
from numpy.typing import NDArray

from gatework.data.options import NO_OPTIONS, TableOptions
from gatework.data.table import Table, split_time
from gatework.data.targets import IGNORED
from gatework.errors import DataError
from gatework.tasks.asking import check_size, guess
from gatework.tasks.generic.fresh import read_steps
from gatework.tasks.generic.reading import (
    SOURCE,
    better_than,
    find_classes,
    open_labelled,
    scale_by,
    share_out,
    standardise,
)
from gatework.tasks.recorded.forecasting import CONTEXT_SHARE, MOST_CONTEXT
from gatework.tasks.task import Batch, Gap, Recorded, Recording, Task

# The inputs of one sequence ``[T, F]``, and the class of each step.
Tagged = tuple[NDArray, list[int]]


def ask_every_step(sequences: list[Tagged], delay: int, baseline: int) -> Batch:
    """Batch sequences of several lengths, with a class as the target for every step.

    Args:
        sequences: The inputs and the classes of each sequence.
        delay: The number of steps from an input to its target, and the number of zero steps after each sequence.
        baseline: The class that the trivial predictor answers.

    Returns:
        The batch.

    Raises:
        DataError: If the batch would need too much memory.

    Example:
        >>> one, other = torch.ones(3, 1).numpy(), torch.ones(1, 1).numpy()
        >>> batch = ask_every_step([(one, [0, 1, 1]), (other, [1])], delay=1, baseline=1)
        >>> batch.targets.T.tolist(), batch.lengths.tolist()
        ([[-100, 0, 1, 1], [-100, 1, -100, -100]], [4, 2])
    """
    lengths = torch.tensor([len(classes) for _, classes in sequences]) + delay
    check_size(int(lengths.max()), len(sequences), sequences[0][0].shape[1])
    inputs = torch.zeros(int(lengths.max()), len(sequences), sequences[0][0].shape[1])
    targets = torch.full((len(inputs), len(sequences)), IGNORED)
    for column, (read, classes) in enumerate(sequences):
        inputs[: len(read), column] = torch.from_numpy(read)
        targets[delay : delay + len(classes), column] = torch.tensor(classes)
    return Batch(inputs, targets, lengths, baseline=baseline)


def load(path: Path, gap: int, options: TableOptions = NO_OPTIONS) -> Recording:
    """Read sequences with a label at every step.

    If the rows are not divided into sequences, they are one recording, which is split in time and cut into consecutive
    sequences. The trivial predictor answers the most frequent class of the training steps.

    Args:
        path: A CSV file or arrays.
        gap: The number of steps from an input to its target.
        options: How the table is read.

    Returns:
        The sequences, standardised by the training split.

    Raises:
        DataError: If the path does not hold such a table, or there is only one label for each sequence.
    """
    table = open_labelled(path, "tag", options)
    for name, labels, length in zip(table.names, table.labels, table.lengths.tolist(), strict=True):
        if len(labels) != length:
            raise DataError(
                f"'{table.source}': sequence '{name}' has {length:,} steps and {len(labels)} label: task 'tag' takes "
                "one for every step. For one label of each sequence take --task classify."
            )
    classes = find_classes([label for labels in table.labels for label in labels], table)
    place = {name: number for number, name in enumerate(classes)}
    answers = [[place[label] for label in labels] for labels in table.labels]
    parts, scale, cut = _cut(table, answers[0]) if table.is_one_recording else _share(table, answers)
    counts = Counter(answer for _, asked in parts["train"] for answer in asked)
    favourite = max(range(len(classes)), key=lambda place: (counts[place], -place))
    splits = {split: ask_every_step(part, gap, favourite) for split, part in parts.items()}
    facts = {
        "about": [*table.about, *cut, f"classes: {len(classes):,}; the most frequent one is '{classes[favourite]}'"],
        "table": dict(table.read_as),
        "columns": list(table.columns),
        "ignored": list(table.left_out),
        "classes": classes,
        "steps": {split: sum(len(asked) for _, asked in part) for split, part in parts.items()},
        **scale,
        "chance": guess(splits["train"], splits["test"], len(classes)) | {"skill": 0.0},
    }
    return Recording(splits, len(table.columns), len(classes), facts)


# The sequences of each split, the mean and deviation of the columns, and facts for people.
Parts = tuple[dict[str, list[Tagged]], dict[str, list[float]], list[str]]


def _share(table: Table, answers: list[list[int]]) -> Parts:
    """Split whole sequences."""
    parts = share_out(table)
    scaled, scale = standardise(table, parts["train"])
    tagged = {
        split: [(scaled.sequence(number), answers[number]) for number in numbers] for split, numbers in parts.items()
    }
    return tagged, scale, []


def _cut(table: Table, answers: list[int]) -> Parts:
    """Split one recording in time, and cut the splits into sequences."""
    ends = split_time(len(answers))
    spans = dict(zip(("train", "valid", "test"), pairwise((0, *ends)), strict=True))
    if any(begin == end for begin, end in spans.values()):
        raise DataError(
            f"'{table.source}' has {len(answers)} rows, too few to split into training, validation and test; expected "
            "ten or more."
        )
    steps = max(1, min(MOST_CONTEXT, ends[0] // CONTEXT_SHARE))
    standard, scale = scale_by(table, table.sequence(0)[: ends[0]])
    scaled = standard.sequence(0)
    parts = {
        split: [
            (scaled[at : min(at + steps, end)], answers[at : min(at + steps, end)]) for at in range(begin, end, steps)
        ]
        for split, (begin, end) in spans.items()
    }
    lines = [f"cut: the recording is cut into sequences of {steps:,} steps"]
    return parts, scale, lines


tag = Task(
    name="tag",
    title="A label at every step of your own sequences",
    asks="Steps of a sequence of your own are read. Which label belongs to each?",
    source=SOURCE,
    kind="choice",
    gap=Gap(0, "steps read after a step before its label is asked", least=0),
    success=better_than("the most frequent label"),
    examples=Recorded("", load, own=True, fresh=read_steps),
    defaults={"hidden_size": 64, "batch_size": 8, "learning_rate": 3e-3, "steps": 1000, "dropout": 0.2},
    notes="Columns are known by their names, as in classify; label, class, target or y holds the label of each row. "
    "The split is 70 % training, 10 % validation and 20 % test sequences; a hash of its name decides where a "
    "sequence goes. Without a column that tells sequences apart the rows are one recording: it is split in time, and "
    "cut into sequences of at most 96 steps and at most a twelfth of the training rows. Columns are standardised by "
    "the training split.",
)
