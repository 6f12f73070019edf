"""Occupancy: is somebody in the office, at every minute, from its light, temperature, humidity and air?"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.data.recorded import find_scale, read_table
from gatework.errors import DataError
from gatework.tasks.asking import ask_throughout, guess
from gatework.tasks.task import Gap, Published, Recorded, Recording, Success, Task

_TRAIN, _TEST = "datatraining.txt", "datatest.txt"
_SENSORS = ("Temperature", "Humidity", "Light", "CO2", "HumidityRatio")
_ANSWER = "Occupancy"


def _load(path: Path, gap: int, sensors: tuple[str, ...]) -> Recording:
    """Read the recordings of the office.

    Args:
        path: The folder with both files.
        gap: Minutes of a sequence.
        sensors: The columns that are read.

    Returns:
        The official splits; the last fifth of the training minutes is held out.

    Raises:
        DataError: If a file is missing or damaged.
    """
    inputs, classes = _read(path / _TRAIN, sensors)
    tested, tested_classes = _read(path / _TEST, sensors)
    cut = len(classes) * 4 // 5
    if not cut:
        raise DataError(f"'{path / _TRAIN}' has {len(classes)} minutes, none left to validate; expected 2 or more.")
    mean, deviation = find_scale(inputs[:cut])
    parts = {"train": (inputs[:cut], classes[:cut]), "valid": (inputs[cut:], classes[cut:])}
    parts["test"] = tested, tested_classes
    splits = {split: ask_throughout((read - mean) / deviation, of, gap) for split, (read, of) in parts.items()}
    facts = {
        "columns": list(sensors),
        "minutes": {split: len(of) for split, (_, of) in parts.items()},
        "occupied": {split: float(of.mean()) for split, (_, of) in parts.items()},
        "chance": guess(splits["train"], splits["test"], 2),
    }
    return Recording(splits, len(sensors), 2, facts)


def _read(path: Path, sensors: tuple[str, ...]) -> tuple[NDArray, NDArray]:
    table = read_table(path)
    if lacking := [name for name in (*sensors, _ANSWER) if name not in table.names]:
        raise DataError(f"'{path}' has no column of numbers named {', '.join(lacking)}. Download the file again.")
    columns = {name: table.rows[:, place] for place, name in enumerate(table.names)}
    classes = columns[_ANSWER]
    if not np.isin(classes, (0, 1)).all():
        raise DataError(
            f"'{path}', column '{_ANSWER}' has other values; expected 0 and 1 only. Download the file again."
        )
    return np.stack([columns[name] for name in sensors], axis=1), classes.astype(np.int64)


_SOURCE = "Candanedo & Feldheim 2016, Energy and Buildings 112, doi:10.1016/j.enbuild.2015.11.071"
_GAP = Gap(60, "minutes of a sequence")
_DEFAULTS = {"hidden_size": 32, "batch_size": 16, "learning_rate": 3e-3, "steps": 400, "dropout": 0.2}
# Without light, a model soon memorises the training week, which does not help in another week.
_DEFAULTS_NO_LIGHT = {"hidden_size": 16, "batch_size": 16, "learning_rate": 2e-3, "steps": 200, "dropout": 0.3}
_NOTES = (
    "The recording is cut into sequences, one behind the other. The last fifth of the training file is held out. The "
    "paper's second test file is not here, and the time of day, which it also gives its models, is not told."
)

occupancy = Task(
    name="occupancy",
    title="Occupancy of an office",
    asks="The model reads the temperature, humidity, light and carbon dioxide of an office every minute. Is somebody "
    "there?",
    source=_SOURCE,
    kind="choice",
    inputs=len(_SENSORS),
    outputs=2,
    gap=_GAP,
    success=Success("accuracy", at_least=0.95, words="The lowest result of the paper's best models."),
    examples=Recorded("occupancy", partial(_load, sensors=_SENSORS)),
    published=(Published("LDA, CART and random forests, the best", "accuracy 95 to 99 %", "abstract"),),
    defaults=_DEFAULTS,
    notes=_NOTES + " Light alone nearly gives the answer: see occupancy_no_light.",
)

occupancy_no_light = Task(
    name="occupancy_no_light",
    title="Occupancy of an office, in the dark",
    asks="The model reads the temperature, humidity and carbon dioxide of an office every minute. Is somebody there?",
    source=_SOURCE,
    kind="choice",
    inputs=len(_SENSORS) - 1,
    outputs=2,
    gap=_GAP,
    success=Success(
        "accuracy", at_least=0.83, words="The result of the paper's linear discriminant of temperature alone."
    ),
    examples=Recorded("occupancy", partial(_load, sensors=tuple(name for name in _SENSORS if name != "Light"))),
    published=(Published("LDA, temperature alone", "accuracy 85 % and 83 % on the two test files", "abstract"),),
    defaults=_DEFAULTS_NO_LIGHT,
    notes=_NOTES,
)
