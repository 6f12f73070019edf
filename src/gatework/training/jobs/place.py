"""Where the recorded data of a task lie."""

import os
from pathlib import Path

from gatework.errors import DataError
from gatework.tasks.task import Synthetic, Task


def find_data(task: Task, data: str) -> Path:
    """Return the file or the folder of the recorded data of a task.

    Args:
        task: A task on recorded data.
        data: The place that was given; empty for the folder of the task in ``GATEWORK_DATA``.

    Returns:
        The place.

    Raises:
        DataError: If there is none, or nothing is there.
    """
    examples = task.examples
    assert not isinstance(examples, Synthetic)
    root = os.environ.get("GATEWORK_DATA", "")
    if not data and (not root or not examples.folder):
        where = f", or set GATEWORK_DATA to the folder that holds '{examples.folder}'" if examples.folder else ""
        raise DataError(f"Task '{task.name}' needs recorded data. Give their place with --data{where}.")
    path = Path(os.path.expanduser(data or os.path.join(root, examples.folder)))
    if not path.exists():
        raise DataError(f"The data of task '{task.name}' are not there: '{path}' does not exist.")
    return path
