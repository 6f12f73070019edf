"""Models from run directories, for use rather than training; nothing in the directory is changed."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import nn

from gatework.data.vocabulary import Vocabulary
from gatework.errors import CheckpointError, ConfigError, RunError
from gatework.models.language import LanguageModel
from gatework.runs.checkpoint import list_checkpoints, load_checkpoint
from gatework.training.config import TrainConfig
from gatework.training.jobs.kind import Language, Restored, Trained
from gatework.training.jobs.registry import kind_of
from gatework.training.parallel import pick_device
from gatework.training.run import RunDirectory, fingerprint
from gatework.training.trainer import load_parameters
from gatework.training.watch import Watch

Model = TypeVar("Model", bound=nn.Module)

Step = int | Literal["best", "last"] | None
"""A checkpoint: its step, ``best`` for the one with the lowest held-out loss, ``last`` or None for the newest."""


@dataclass(frozen=True)
class Loaded:
    """A trained language model.

    Args:
        directory: The run directory.
        config: The settings of the run.
        vocabulary: The vocabulary of the run.
        model: The model, in evaluation mode.
        step: The step of the checkpoint.
    """

    directory: RunDirectory
    config: TrainConfig
    vocabulary: Vocabulary
    model: LanguageModel
    step: int


def open_run(run: str) -> RunDirectory:
    """Return the directory of a run.

    Raises:
        RunError: If the directory is not a run.
    """
    directory = RunDirectory(Path(os.path.expanduser(run)))
    directory.require()
    return directory


def open_language(run: str) -> tuple[RunDirectory, TrainConfig, Language]:
    """Open a run on text, without its model.

    Args:
        run: The run directory.

    Returns:
        The directory, the settings of the run, and the facts about its text.

    Raises:
        RunError: If the directory is not a run, or its job has no text.
    """
    directory = open_run(run)
    config = directory.read_config()
    return directory, config, kind_of(config.task).language(run, config, directory)


def load_model(run: str, *, step: Step = None, device: str = "cpu") -> Loaded:
    """Load the language model of a run.

    Args:
        run: The run directory.
        step: The step of the checkpoint, ``best`` or ``last``; None for the last.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.

    Returns:
        The model, with its settings and vocabulary.

    Raises:
        RunError: If the directory is not a run on text, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.
    """
    directory, config, language = open_language(run)
    own = fingerprint(config, language.fingerprint, directory.read_start())
    model, chosen = _load(directory, own, step, lambda: language.build(pick_device(device, config.dtype)))
    return Loaded(directory, config, language.vocabulary, model, chosen)


def restore(run: str, *, step: Step = None, device: str = "cpu") -> Restored:
    """Load the model of a run of any kind, with the facts that its job knows.

    Args:
        run: The run directory.
        step: The step of the checkpoint, ``best`` or ``last``; None for the last.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.

    Returns:
        The model, with its settings and facts.

    Raises:
        RunError: If the directory is not a run, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.
        DataError: If the job needs its data, and they are missing or differ from those of the training.
    """
    directory = open_run(run)
    config = directory.read_config()
    trained = kind_of(config.task).restore(run, config, directory)
    return _restored(run, directory, config, trained, step, device)


def reopen(run: str, *, step: Step = None, device: str = "cpu") -> Restored:
    """Load the model of a run of any kind, without its data; see :func:`restore`.

    Raises:
        RunError: If the directory is not a run, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.
    """
    directory = open_run(run)
    config = directory.read_config()
    trained = kind_of(config.task).reopen(run, config, directory)
    return _restored(run, directory, config, trained, step, device)


def _restored(
    run: str, directory: RunDirectory, config: TrainConfig, trained: Trained, step: Step, device: str
) -> Restored:
    own = fingerprint(config, trained.fingerprint, directory.read_start())
    model, chosen = _load(directory, own, step, lambda: trained.build(pick_device(device, config.dtype)))
    return Restored(run, config, directory, trained, model, chosen)


def _load(directory: RunDirectory, own: str, step: Step, build: Callable[[], Model]) -> tuple[Model, int]:
    """Build a model and load its parameters from a checkpoint; return the model and the step of the checkpoint."""
    folder, chosen = find_checkpoint(directory, step)
    checkpoint = load_checkpoint(folder, chosen, own)
    with torch.random.fork_rng(devices=[]):  # the values drawn here are overwritten
        model = build()
    try:
        load_parameters(model, checkpoint.model)
    except CheckpointError as error:
        raise CheckpointError(f"Run '{directory.path}', step {chosen}: {error}") from error
    return model.eval(), chosen


def find_checkpoint(directory: RunDirectory, step: Step) -> tuple[Path, int]:
    """Find a checkpoint of a run.

    Args:
        directory: The run directory.
        step: The step of the checkpoint, ``best`` or ``last``; None for the last.

    Returns:
        The folder that the checkpoint is in, and its step.

    Raises:
        RunError: If there is no such checkpoint.
        ConfigError: If ``step`` is another word.
    """
    run, steps = directory.path, list_checkpoints(directory.checkpoints)
    if not steps:
        raise RunError(f"Run '{run}' has no checkpoint yet. Let it train until its first one.")
    if step == "best":
        return _find_best(directory, steps)
    if step is None or step == "last":
        return directory.checkpoints, steps[-1]
    if type(step) is not int:
        raise ConfigError(f"step is {step!r}; expected the step of a checkpoint, 'best' or 'last'.")
    if step in steps:
        return directory.checkpoints, step
    best = list_checkpoints(directory.best)
    if step in best:
        return directory.best, step
    also = f", and {best[-1]} as the best" if best else ""
    raise RunError(f"Run '{run}' has no checkpoint of step {step}; it has {', '.join(map(str, steps))}{also}.")


def _find_best(directory: RunDirectory, steps: Sequence[int]) -> tuple[Path, int]:
    # If there are several, each has a lower loss than the one before it.
    if best := list_checkpoints(directory.best):
        return directory.best, best[-1]
    watch = Watch()
    watch.read(directory.read_metrics())
    if watch.step in steps:
        return directory.checkpoints, watch.step
    why = (
        f"its held-out loss was lowest at step {watch.step}, of which no checkpoint was kept"
        if watch.step
        else "its held-out loss has not been measured yet"
    )
    raise RunError(f"Run '{directory.path}' has no best checkpoint: {why}; it has {', '.join(map(str, steps))}.")
