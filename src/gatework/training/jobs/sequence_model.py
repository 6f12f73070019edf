"""The model of a sequence task, built from its settings and the sizes of its data."""

from dataclasses import dataclass

import torch

from gatework.cells import Cell, is_latent
from gatework.errors import ConfigError
from gatework.models.latent import LatentModel
from gatework.models.sequences import SequenceModel, needs_projection
from gatework.tasks.task import Task
from gatework.training.jobs.build import DTYPES, build_cell
from gatework.training.jobs.latent import build_latent_model, refuse_latent_settings
from gatework.training.jobs.memory_check import Needs, check_memory, count_layers
from gatework.training.jobs.settings import Settings


@dataclass(frozen=True)
class ModelSizes:
    """The sizes of a model that its data and its task determine.

    Args:
        inputs: The number of input features; for symbols, the number of different symbols.
        outputs: The size of an answer.
        places: The number of steps of the longest sequence.
        gap: The gap of the task.
        asked_last: Whether every sequence is asked at its last step alone.
    """

    inputs: int
    outputs: int
    places: int
    gap: int
    asked_last: bool = False


def build_sequence_model(
    config: Settings, task: Task, sizes: ModelSizes, device: torch.device
) -> SequenceModel | LatentModel:
    """Draw the model on the CPU and in float32, whatever its later device and dtype.

    Args:
        config: The settings of the run.
        task: The task.
        sizes: The sizes of its data.
        device: The device of the parameters.

    Returns:
        The model, with latent variables if the cell has them.

    Raises:
        ConfigError: If it would not fit in memory; checked before anything is allocated.
        CellError: If the cell cannot be part of such a model.
        SizeError: If sizes do not fit the cell.
    """
    if config.bidirectional and config.skip and sizes.asked_last:
        raise ConfigError(
            f"skip is '{config.skip}' and bidirectional is true, and task '{task.name}' asks at the end of a sequence, "
            "where the answer comes from the last states of the top layer alone. Leave one of the two out."
        )
    cell, learned = build_cell(config), config.embedding_size if task.symbols else None
    if is_latent(cell):
        return build_latent_model(config, cell, task.head(sizes.outputs), sizes.places, device)
    refuse_latent_settings(config, cell)
    width = learned or sizes.inputs
    maps = maps_input(config, cell, width)
    layers, head = count_layers(config, cell, width, input_projection=maps), task.head(sizes.outputs)
    own = sum(parameter.numel() for parameter in head.parameters())
    parameters = layers + sizes.inputs * (learned or 0) + head.numbers * (config.output_size + 1) + own
    read = width + (config.hidden_size if maps else 0)
    needs = Needs(parameters, sizes.places * config.batch_size, read, head.numbers)
    check_memory(config, cell, needs, device, f"gap ({sizes.gap})")
    model = SequenceModel(
        sizes.inputs,
        head,
        cell,
        config.hidden_size,
        config.num_layers,
        symbols=task.symbols,
        embedding_size=learned,
        proj_size=config.proj_size,
        dropout=config.dropout,
        locked_dropout=config.locked_dropout,
        init=config.init,
        forget_bias=config.forget_bias,
        chrono_steps=max(3, sizes.gap) if config.init == "chrono" else None,
        asked_last=sizes.asked_last,
        **config.wiring,
    )
    return model.to(device=device, dtype=DTYPES[config.dtype])


def maps_input(config: Settings, cell: Cell, width: int) -> bool:
    """Tell whether the model has a learned map before its layers.

    Args:
        config: The settings of the run.
        cell: The cell, with its transformations.
        width: The number of features that the layers read at each step.
    """
    sizes = (width, config.hidden_size, config.num_layers, config.proj_size)
    return needs_projection(cell, *sizes, bidirectional=config.bidirectional, skip=config.skip)
