"""Sequences of a person's own for a finished model, and what a run knows of its data without reading them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gatework.errors import DataError, RunError
from gatework.tasks.task import Recording, Task
from gatework.training.jobs.kind import Reading

_MOST = 2**24


def remembered(facts: Mapping[str, Any], where: str) -> Recording:
    """Return what the facts of a run say about its recorded data; the result has no splits.

    Args:
        facts: The contents of ``data.json``.
        where: The path of this file, for error messages.

    Raises:
        RunError: If the sizes are missing or impossible.
    """
    sizes = [facts.get(name) for name in ("inputs", "outputs")]
    known = facts.get("facts", {})
    if not all(type(size) is int and 0 < size <= _MOST for size in sizes) or not isinstance(known, Mapping):
        raise RunError(
            f"'{where}' lacks the numbers of inputs and outputs: it is not what `train` wrote. "
            "Copy the file from the original run again."
        )
    classes = known.get("classes", [])
    named = classes if isinstance(classes, list) and len(classes) == sizes[1] else []
    return Recording({}, int(sizes[0] or 0), int(sizes[1] or 0), {**known, "classes": named})


def read_sequences(given: Any, lengths: Any, inputs: int, task: Task, run: str) -> Reading:
    """Turn sequences of a person's own into the inputs of a model.

    Args:
        given: Numbers ``[T, I]`` or ``[T, B, I]``, or for a task of symbols their numbers ``[T]`` or ``[T, B]``, or a
            sequence of their names.
        lengths: The number of steps of each sequence ``[B]``; None if all have T.
        inputs: The number of input features; for symbols, the number of different symbols.
        task: The task.
        run: The run, for error messages.

    Returns:
        The inputs with a batch.

    Raises:
        DataError: If they do not fit the model.
    """
    tensor = _symbols(given, task, run) if task.symbols else _numbers(given)
    wanted = "[T] or [T, B]" if task.symbols else f"[T, {inputs}] or [T, B, {inputs}]"
    dims = 2 if task.symbols else 3
    if tensor.dim() == dims - 1:
        tensor = tensor[:, None]
    fits = tensor.dim() == dims and len(tensor) > 0 and (task.symbols or tensor.shape[-1] == inputs)
    if not fits:
        raise DataError(
            f"The inputs have the shape {list(tensor.shape)}; expected {wanted}, time first, for the model of run "
            f"'{run}'."
        )
    if task.symbols and not bool(((tensor >= 0) & (tensor < inputs)).all()):
        raise DataError(f"A symbol is {int(tensor.max())}; expected numbers from 0 to {inputs - 1} for run '{run}'.")
    return Reading(tensor, None if lengths is None else _lengths(lengths, tensor))


def _numbers(given: Any) -> Tensor:
    try:
        return torch.as_tensor(given).float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"The inputs are of the type {type(given).__name__} and cannot be read as numbers ({error}); expected a "
            "tensor, an array or nested lists of numbers, all rows equally long."
        ) from error


def _symbols(given: Any, task: Task, run: str) -> Tensor:
    names = {name: number for number, name in enumerate(task.alphabet)}
    if isinstance(given, str | list | tuple) and len(given) and all(isinstance(name, str) for name in given):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise DataError(
                f"The symbol '{unknown[0]}' is given, which task '{task.name}' of run '{run}' does not have; expected "
                f"{', '.join(names) or 'numbers'}."
            )
        return torch.tensor([names[name] for name in given])
    return _numbers(given).long()


def _lengths(given: Any, inputs: Tensor) -> Tensor:
    lengths = _numbers(given).long()
    steps, rows = inputs.shape[:2]
    if lengths.shape != (rows,) or not bool(((lengths >= 1) & (lengths <= steps)).all()):
        raise DataError(
            f"The lengths are {lengths.tolist()}; expected {rows:,} whole numbers from 1 to {steps:,}, one for each "
            "sequence."
        )
    return lengths
