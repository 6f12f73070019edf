"""Tasks of a person's own: known by name for as long as they are used, and checked before they are trained on."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import numpy as np
import torch

from gatework.errors import ConfigError
from gatework.heads import HEADS
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch, Recording, Split, Synthetic, Task

# The registry is closed. A task of a person's own is known only within `knowing`, and nothing is ever looked up in a
# file, so a run directory cannot name a task whose functions would then be called.
_OWN: ContextVar[Mapping[str, Task]] = ContextVar("own tasks", default={})  # noqa: B039
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_SPLITS: tuple[Split, ...] = ("train", "valid", "test")
_EXAMPLE = 3  # the number of sequences that are drawn as a check


@contextmanager
def knowing(*tasks: Task | None) -> Iterator[None]:
    """Know tasks of a person's own by their names within a ``with`` block.

    Args:
        tasks: The tasks; None and the tasks of gatework are passed over.

    Raises:
        ConfigError: If one is not a task, its name is taken or cannot be part of the name of a directory, or it has no
            head that there is.

    Example:
        >>> from dataclasses import replace
        >>> mine = replace(TASKS["parity"], name="mine")
        >>> with knowing(mine):
        ...     find_task("mine").title
        'Parity'
        >>> find_task("mine")
        Traceback (most recent call last):
        gatework.errors.ConfigError: There is no task 'mine'. ...
    """
    own = dict(_OWN.get())
    for task in tasks:
        if task is not None and TASKS.get(getattr(task, "name", "")) is not task:
            _check_card(task)
            own[task.name] = task
    token = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(token)


def find_task(name: str) -> Task:
    """Find a task by its name.

    Raises:
        ConfigError: If there is none; the message suggests the nearest name.
    """
    return _OWN.get()[name] if is_own(name) else TASKS[name]


def is_task(name: str) -> bool:
    """Tell whether there is a task of a name."""
    return is_own(name) or name in TASKS


def is_own(name: str) -> bool:
    """Tell whether a name is that of a known task of a person's own."""
    return name in _OWN.get()


def _check_card(task: Task) -> None:
    """Refuse an object that is not a task, or a task whose facts cannot be used."""
    if not isinstance(task, Task):
        raise ConfigError(
            f"The task is of the type {type(task).__name__}; expected a gatework.Task, or the name of a task."
        )
    if not _NAME.fullmatch(task.name):
        raise ConfigError(
            f"The task's name is {task.name!r}; expected a letter and then letters, digits, _ or -, at most 100, "
            "because directories are named after it."
        )
    if task.name in TASKS:
        raise ConfigError(f"The task's name is '{task.name}', which is a task of gatework: give yours another name.")
    if isinstance(task.examples, Synthetic):
        for name in ("inputs", "outputs"):
            size = getattr(task, name)
            if type(size) is not int or size < 1:
                raise ConfigError(
                    f"Task '{task.name}' has {name}={size!r}; expected a whole number of 1 or more, because its "
                    "sequences are drawn."
                )
        task.head()
        if HEADS[task.kind].whole and task.examples.windows > 1:
            raise ConfigError(
                f"Task '{task.name}' cuts its sequences into {task.examples.windows} windows, and head '{task.kind}' "
                "judges sequences as a whole. Leave windows out."
            )


def check_draw(task: Task, gap: int) -> None:
    """Draw a few sequences of a person's own task, and refuse them if a model could not be trained on them.

    Args:
        task: The task; nothing is checked if its sequences are recorded.
        gap: The gap.

    Raises:
        ConfigError: If they have another form than :class:`gatework.Batch` describes; the message names the part.
    """
    if isinstance(task.examples, Synthetic):
        for split in _SPLITS:
            check_batch(task, task.examples.draw(np.random.default_rng(0), _EXAMPLE, gap, split), _EXAMPLE)


def check_recording(task: Task, recording: Recording) -> Recording:
    """Refuse recorded sequences of a person's own task if a model could not be trained on them; return them otherwise.

    Args:
        task: The task.
        recording: What its load function has returned.

    Raises:
        ConfigError: If splits are missing, or sequences have another form than :class:`gatework.Batch` describes.
    """
    splits = getattr(recording, "splits", None)
    if not isinstance(recording, Recording) or not isinstance(splits, Mapping) or set(splits) != set(_SPLITS):
        raise ConfigError(
            f"The load function of task '{task.name}' returned an object of the type {type(recording).__name__}: "
            "expected a gatework.Recording with the splits train, valid and test."
        )
    sized = replace(task, inputs=recording.inputs, outputs=recording.outputs)
    sized.head()
    for batch in splits.values():
        check_batch(sized, batch, batch.size)
    return recording


def check_batch(task: Task, batch: Batch, size: int) -> None:
    """Refuse sequences that do not fit their task; see :func:`check_draw`."""
    if not isinstance(batch, Batch):
        raise _refused(task, f"returned an object of the type {type(batch).__name__}", "a gatework.Batch")
    for name in ("inputs", "targets"):
        if not isinstance(getattr(batch, name), torch.Tensor):
            raise _refused(task, f"returned {name} of the type {type(getattr(batch, name)).__name__}", "a torch.Tensor")
    steps = batch.inputs.shape[0] if batch.inputs.dim() else 0
    head, whole, real = HEADS[task.kind], torch.int64, torch.float32
    forms = {
        "inputs": ((steps, size), whole) if task.symbols else ((steps, size, task.inputs), real),
        "targets": ((steps, size), whole) if head.counted else ((steps, size, task.outputs), real),
        "lengths": ((size,), whole),
        "legal": ((steps, size, task.outputs), torch.bool),
        "groups": ((size,), whole),
    }
    for name, (shape, dtype) in forms.items():
        tensor = getattr(batch, name)
        if tensor is not None and (tuple(tensor.shape) != shape or tensor.dtype != dtype or not steps):
            given = f"{list(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
            wanted = f"{list(shape)} of {str(dtype).removeprefix('torch.')}, with at least one step, time first"
            raise _refused(task, f"returned {name} {given}", wanted)
    if batch.baseline is not None and not head.skilled:
        raise _refused(task, "returned a baseline", f"none for head '{task.kind}', whose errors it has no measure of")
    if not bool(batch.asked.any()):
        nothing = "-100" if head.counted else "NaN"
        raise _refused(task, f"returned only targets of {nothing}", "a target at one step or more")
    if head.counted:
        _check_range(task, "class", batch.targets[batch.asked], task.outputs)
    if task.symbols:
        _check_range(task, "symbol", batch.inputs, task.inputs)
    if batch.lengths is not None:
        beyond = torch.arange(steps)[:, None] >= batch.lengths
        if int(batch.lengths.min()) < 1 or int(batch.lengths.max()) > steps or bool((batch.asked & beyond).any()):
            raise _refused(
                task,
                f"returned the lengths {batch.lengths.tolist()} for {steps} steps",
                "lengths from 1 to the number of steps, and no target beyond the end of a sequence",
            )


def _check_range(task: Task, what: str, numbers: torch.Tensor, count: int | None) -> None:
    least, most = int(numbers.min()), int(numbers.max())
    if count is not None and (least < 0 or most >= count):
        raise _refused(task, f"returned a {what} {least if least < 0 else most}", f"numbers from 0 to {count - 1}")


def _refused(task: Task, given: str, wanted: str) -> ConfigError:
    function = "draw" if isinstance(task.examples, Synthetic) else "load"
    return ConfigError(f"The {function} function of task '{task.name}' {given}; expected {wanted}.")
