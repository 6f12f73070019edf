"""Classify: predict one label for each of your own sequences, at its end."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from gatework.data.options import NO_OPTIONS, TableOptions
from gatework.tasks.asking import ask_at_the_end, guess
from gatework.tasks.generic.fresh import read_each
from gatework.tasks.generic.reading import (
    SOURCE,
    better_than,
    find_classes,
    label_each,
    open_labelled,
    share_out,
    standardise,
)
from gatework.tasks.task import Gap, Recorded, Recording, Task


def load(path: Path, gap: int, options: TableOptions = NO_OPTIONS) -> Recording:
    """Read sequences with one label each.

    Every split gets its share of each class. The trivial predictor always answers the most frequent class of the
    training sequences. The groups are the classes, so that there are results for each class as well.

    Args:
        path: A CSV file, arrays, or a folder of WAV files.
        gap: Steps of zeros between the end of a sequence and the answer.
        options: How the table is read.

    Returns:
        The sequences, standardised by the training sequences.

    Raises:
        DataError: If the path does not hold such a table.
    """
    table = open_labelled(path, "classify", options)
    labels = label_each(table, "classify")
    classes = find_classes(labels, table)
    parts = share_out(table, labels)
    scaled, scale = standardise(table, parts["train"])
    answers = [classes.index(label) for label in labels]
    counts = Counter(answers[number] for number in parts["train"])
    favourite = max(range(len(classes)), key=lambda place: (counts[place], -place))
    splits = {}
    for split, numbers in parts.items():
        asked = [answers[number] for number in numbers]
        batch = ask_at_the_end([scaled.sequence(number) for number in numbers], asked, gap, groups=asked)
        splits[split] = replace(batch, baseline=favourite)
    facts = {
        "about": [*table.about, f"classes: {len(classes):,}; the most frequent one is '{classes[favourite]}'"],
        "table": dict(table.read_as),
        "columns": list(table.columns),
        "ignored": list(table.left_out),
        "classes": classes,
        "groups": classes,
        "sequences": {split: len(numbers) for split, numbers in parts.items()},
        **scale,
        "chance": guess(splits["train"], splits["test"], len(classes)) | {"skill": 0.0},
    }
    return Recording(splits, len(table.columns), len(classes), facts)


classify = Task(
    name="classify",
    title="Classes of your own sequences",
    asks="A sequence of your own is read. Which class does it belong to?",
    source=SOURCE,
    kind="choice",
    gap=Gap(0, "steps of zeros between the end of a sequence and the answer", least=0),
    success=better_than("the most frequent class"),
    examples=Recorded("", load, own=True, fresh=read_each),
    defaults={"hidden_size": 64, "batch_size": 8, "learning_rate": 3e-3, "steps": 1000, "dropout": 0.2},
    notes="Columns are known by their names. A column id, sequence or series says to which sequence a row belongs; "
    "time, t or step gives the order of its rows; label, class, target or y holds its class. All other columns of "
    "numbers are read. The split is 70 % training, 10 % validation and 20 % test sequences, with every class in "
    "proportion; a hash of its name decides where a sequence goes. Columns are standardised by the training "
    "sequences.",
)
