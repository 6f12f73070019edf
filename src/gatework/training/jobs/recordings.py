"""The recorded sequences of a task, read from the place that the settings name."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatework.errors import DataError
from gatework.reading.files import read_file
from gatework.reading.nested import parse_object
from gatework.runs.files import digest
from gatework.tasks.own import check_recording, is_own
from gatework.tasks.task import Batch, Recorded, Recording, Task
from gatework.training.jobs.place import find_data
from gatework.training.jobs.settings import Settings
from gatework.training.jobs.sounds import SoundSettings
from gatework.training.jobs.table import TableSettings

_MOST_FACTS = 1 << 26


def load_recording(task: Task, gap: int, config: Settings, *, as_before: bool = False) -> Recording:
    """Read the recorded sequences of a task.

    Args:
        task: The task, whose sequences are recorded.
        gap: The gap.
        config: The settings, with the place of the data and how a table is read.
        as_before: Whether a table is read as the first versions did.

    Returns:
        The sequences.

    Raises:
        DataError: If they are missing, or cannot be read.
    """
    examples = task.examples
    assert isinstance(examples, Recorded)
    if is_own(task.name) and not examples.folder and not config.data:
        return check_recording(task, examples.load(Path(), gap))
    path = find_data(task, config.data)
    if examples.spoken and isinstance(config, SoundSettings):
        return examples.load(path, gap, config.speech_options())
    if not examples.own or not isinstance(config, TableSettings):
        return examples.load(path, gap)
    return examples.load(path, gap, replace(config.table_options(), as_before=as_before))


def digest_batches(about: Sequence[Any], batches: Iterable[Batch]) -> str:
    """Return the digest of sequences, which changes whenever they change.

    Args:
        about: What else has a part in it, as plain data.
        batches: The sequences.
    """
    parts = [digest(json.dumps(about).encode())]
    for batch in batches:
        tensors = (batch.inputs, batch.targets, batch.lengths, batch.legal, batch.groups)
        parts += [digest(tensor.contiguous().numpy().data) for tensor in tensors if tensor is not None]
    return digest("".join(parts).encode())


def is_read_as_before(run: Path) -> bool:
    """Tell whether a run directory holds a run that was begun before tables told how they are read.

    Args:
        run: The run directory, which need not exist.
    """
    path = run / "data.json"
    if not path.is_file():
        return False
    try:
        facts = parse_object(read_file(path, _MOST_FACTS), path).get("facts")
    except DataError:  # said when the run is opened
        return False
    return isinstance(facts, dict) and "table" not in facts
