"""A model out of a run directory, to be used and not trained; nothing in the directory is touched."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from gatework.data.vocabulary import Vocabulary
from gatework.errors import CheckpointError, DataError, RunError
from gatework.models.language import LanguageModel
from gatework.models.sequences import SequenceModel
from gatework.runs.checkpoint import list_checkpoints, load_checkpoint
from gatework.training.build import build_model
from gatework.training.config import TEXT, TrainConfig
from gatework.training.jobs.sequence import SequenceJob
from gatework.training.parallel import pick_device
from gatework.training.run import RunDirectory, fingerprint
from gatework.training.trainer import load_parameters

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Loaded:
    """A trained language model.

    Args:
        directory: The run it is from.
        config: What the run was told.
        vocabulary: What each number means.
        model: The model, set to evaluation.
        step: The step of the checkpoint it was read from.
    """

    directory: RunDirectory
    config: TrainConfig
    vocabulary: Vocabulary
    model: LanguageModel
    step: int


@dataclass(frozen=True)
class LoadedTask:
    """A model trained on a sequence task.

    Args:
        directory: The run it is from.
        config: What the run was told.
        job: What it was trained on.
        model: The model, set to evaluation.
        step: The step of the checkpoint it was read from.
    """

    directory: RunDirectory
    config: TrainConfig
    job: SequenceJob
    model: SequenceModel
    step: int


def open_run(run: str) -> RunDirectory:
    """Name the directory of a run.

    Raises:
        RunError: When this is no run.
    """
    directory = RunDirectory(Path(os.path.expanduser(run)))
    directory.require()
    return directory


def read_text_config(run: str) -> TrainConfig:
    """Read what a run on text was told.

    Args:
        run: The run directory.

    Returns:
        Its configuration.

    Raises:
        RunError: When this is no run, or one on a sequence task.
    """
    config = open_run(run).read_config()
    if config.task != TEXT:
        raise RunError(
            f"run '{run}' was trained on task '{config.task}': expected a run on text; `gatework evaluate` measures it"
        )
    return config


def load_model(run: str, *, step: int | None = None, device: str = "cpu") -> Loaded:
    """Read the language model of a run.

    Args:
        run: The run directory.
        step: Which checkpoint; the newest when None.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Returns:
        The model and what belongs to it.

    Raises:
        RunError: When this is no run on text, or there is no such checkpoint.
        CheckpointError: When the checkpoint is damaged.
    """
    directory, config = open_run(run), read_text_config(run)
    vocabulary = directory.read_vocabulary()
    own = directory.read_data()["fingerprint"]
    model, chosen = _load(
        directory, config, own, step, lambda: build_model(config, len(vocabulary), pick_device(device))
    )
    return Loaded(directory, config, vocabulary, model, chosen)


def load_task(run: str, *, step: int | None = None, device: str = "cpu") -> LoadedTask:
    """Read the model of a run on a sequence task, and open the task.

    Args:
        run: The run directory.
        step: Which checkpoint; the newest when None.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Returns:
        The model and what belongs to it.

    Raises:
        RunError: When this is no run on a task, or there is no such checkpoint.
        CheckpointError: When the checkpoint is damaged.
        DataError: When recorded data are not there, or not those the run was trained on.
    """
    directory = open_run(run)
    config = directory.read_config()
    if config.task == TEXT:
        raise RunError(f"run '{run}' was trained on text: expected a run on a sequence task")
    job = SequenceJob(config)
    if job.fingerprint != directory.read_data()["fingerprint"]:
        raise DataError(
            f"the data of run '{run}' (task '{config.task}') have changed since it was trained: bring the old ones back"
        )
    model, chosen = _load(directory, config, job.fingerprint, step, lambda: job.build(pick_device(device)))
    return LoadedTask(directory, config, job, model, chosen)


def _load(
    directory: RunDirectory, config: TrainConfig, data: Any, step: int | None, build: Callable[[], Model]
) -> tuple[Model, int]:
    """Build a model, fill it from a checkpoint, and give that one's step."""
    run, steps = directory.path, list_checkpoints(directory.checkpoints)
    if not steps:
        raise RunError(f"run '{run}' has no checkpoint yet: let it train until its first one")
    if step is not None and step not in steps:
        raise RunError(f"run '{run}' has no checkpoint of step {step}; it has {', '.join(map(str, steps))}")
    chosen = steps[-1] if step is None else step
    checkpoint = load_checkpoint(directory.checkpoints, chosen, fingerprint(config, data))
    with torch.random.fork_rng(devices=[]):  # what is drawn here is thrown away
        model = build()
    try:
        load_parameters(model, checkpoint.model)
    except CheckpointError as error:
        raise CheckpointError(f"run '{run}', step {chosen}: {error}") from error
    return model.eval(), chosen
