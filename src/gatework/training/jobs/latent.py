"""What a job has to know of cells with latent variables: their settings, and which sequences they can explain."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field

from gatework.cells import Cell
from gatework.errors import ConfigError
from gatework.heads import Head
from gatework.models.latent import LatentModel, is_continued
from gatework.tasks.task import Batch, Synthetic, Task
from gatework.training.jobs.build import DTYPES
from gatework.training.jobs.memory_check import Needs, check_memory
from gatework.training.jobs.settings import Settings, Size
from gatework.training.jobs.shape import SequenceShape


class LatentSettings(BaseModel):
    """The settings of a model with latent variables, which its cell makes of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)

    headings: ClassVar[Mapping[str, str]] = {"latent_size": "Model", "kl_warmup_steps": "Training"}

    latent_size: Size | None = Field(
        None, description="Latent numbers of each step, for a cell that has them; by default hidden_size."
    )
    kl_warmup_steps: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Steps over which the KL divergence's weight in the loss of such a cell rises to 1.",
    )

    def weigh_kl(self, step: int) -> float:
        """Return the weight of the KL divergence in the loss of a step, counted from 0.

        Source:
            Bowman et al. 2016 (arXiv:1511.06349), section 3.1; here the weight rises along a line.

        Example:
            >>> [LatentSettings(kl_warmup_steps=4).weigh_kl(step) for step in (0, 1, 3, 9)]
            [0.25, 0.5, 1.0, 1.0]
        """
        return min(1.0, (step + 1) / self.kl_warmup_steps) if self.kl_warmup_steps else 1.0


LATENT_SETTINGS = tuple(LatentSettings.model_fields)


def refuse_latent_settings(config: Any, cell: Cell) -> None:
    """Refuse settings of latent variables for a cell that has none.

    Args:
        config: The settings of a run.
        cell: Its cell.

    Raises:
        ConfigError: If one is given.
    """
    for name in LATENT_SETTINGS:
        value = getattr(config, name)
        if value != LatentSettings.model_fields[name].default:
            raise ConfigError(
                f"{name} is {value}, and the cell `{cell.name}` has no latent variables. Leave it out, or take the "
                "cell vrnn or storn."
            )


def refuse_unless_continued(task: Task, cell: Cell, batch: Batch) -> None:
    """Refuse sequences that a model with latent variables cannot explain.

    Args:
        task: The task.
        cell: The cell.
        batch: Sequences of the task.

    Raises:
        ConfigError: If the targets are not the inputs one step later, at every step.
    """
    windows = task.examples.windows if isinstance(task.examples, Synthetic) else 1
    if windows > 1 or not is_continued(batch):
        raise ConfigError(
            f"The cell `{cell.name}` has latent variables and explains whole sequences, whose targets are their inputs "
            f"one step later at every step. Those of task '{task.name}' are not. Expected a task such as jsb_chorales "
            "or nottingham with a gap of 1; or take a cell without latent variables, such as lstm."
        )


def nothing_to_draw(run: str, draws: int) -> str:
    """Return the message that a model has no latent variables to draw for an estimate.

    Args:
        run: The run.
        draws: The number of draws that was asked for.
    """
    return f"draws is {draws}, and the model of run '{run}' has no latent variables to draw. Leave it out."


def build_latent_model(config: Any, cell: Cell, head: Head, places: int, device: torch.device) -> LatentModel:
    """Draw the model on the CPU and in float32, whatever its later device and dtype.

    Args:
        config: The settings of the run.
        cell: The cell, with its transformations.
        head: The head, whose answers are whole steps.
        places: The number of steps of the longest sequence.
        device: The device of the parameters.

    Raises:
        ConfigError: If it would not fit in memory; checked before anything is allocated.
        CellError: If the cell cannot be such a model.
        SizeError: If sizes do not fit the cell.
    """
    refuse_stack(config, cell)
    shape = SequenceShape(head.size, head, latent_size=config.latent_size)
    parameters = shape.count(cell, config.hidden_size)
    needs = Needs(parameters, (places + 1) * config.batch_size, head.size, head.numbers)
    check_memory(config, cell, needs, device, "the longest sequence")
    model = LatentModel(
        head.size,
        head,
        cell,
        config.hidden_size,
        latent_size=config.latent_size,
        dropout=config.dropout,
        locked_dropout=config.locked_dropout,
        init=config.init,
        forget_bias=config.forget_bias,
        chrono_steps=max(3, places) if config.init == "chrono" else None,
    )
    return model.to(device=device, dtype=DTYPES[config.dtype])


def refuse_stack(config: Settings, cell: Cell) -> None:
    """Refuse several layers, a second direction and a projection, which no cell with latent variables has.

    Args:
        config: The settings of the run.
        cell: The cell.

    Raises:
        ConfigError: If one of them is asked for.
    """
    for name in ("num_layers", "proj_size", *config.wiring):
        given, one = getattr(config, name), Settings.model_fields[name].default
        if given != one:
            raise ConfigError(
                f"{name} is {given}; expected {one} for the cell `{cell.name}`, whose latent variables one layer draws "
                "and explains, forward in time. Leave it out."
            )
