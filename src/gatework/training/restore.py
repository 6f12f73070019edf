"""A model out of a run directory, to be used and not trained; nothing in the directory is touched."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from gatework.errors import CheckpointError, RunError
from gatework.tasks.text import LanguageModel
from gatework.tasks.vocabulary import Vocabulary
from gatework.training.build import build_model
from gatework.training.checkpoint import list_checkpoints, load_checkpoint
from gatework.training.config import TrainConfig
from gatework.training.parallel import pick_device
from gatework.training.run import RunDirectory, fingerprint
from gatework.training.trainer import load_parameters


@dataclass(frozen=True)
class Loaded:
    """A trained model.

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


def load_model(run: str, *, step: int | None = None, device: str = "cpu") -> Loaded:
    """Read the model of a run.

    Args:
        run: The run directory.
        step: Which checkpoint; the newest when None.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Returns:
        The model and what belongs to it.

    Raises:
        RunError: When this is no run, or there is no such checkpoint.
        CheckpointError: When the checkpoint is damaged.
    """
    directory = RunDirectory(Path(os.path.expanduser(run)))
    config = directory.read_config()
    vocabulary = directory.read_vocabulary()
    steps = list_checkpoints(directory.checkpoints)
    if not steps:
        raise RunError(f"run '{run}' has no checkpoint yet: let it train until its first one")
    if step is not None and step not in steps:
        raise RunError(f"run '{run}' has no checkpoint of step {step}; it has {', '.join(map(str, steps))}")
    chosen = steps[-1] if step is None else step
    own = fingerprint(config, directory.read_data()["fingerprint"])
    checkpoint = load_checkpoint(directory.checkpoints, chosen, own)
    with torch.random.fork_rng(devices=[]):  # what is drawn here is thrown away
        model = build_model(config, len(vocabulary), pick_device(device))
    try:
        load_parameters(model, checkpoint.model)
    except CheckpointError as error:
        raise CheckpointError(f"run '{run}', step {chosen}: {error}") from error
    return Loaded(directory, config, vocabulary, model.eval(), chosen)
