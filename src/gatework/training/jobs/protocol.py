"""The protocol of jobs, through which the trainer, the run directory and the display use them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gatework.cells import Cell
from gatework.models.state import State
from gatework.tasks.task import Success


@dataclass(frozen=True)
class StepLoss:
    """The loss of one training step.

    Args:
        total: The sum of the loss over the rows of this process.
        asked: The number of targets in the rows of all processes.
        amount: The amount of data that all processes read, in the unit of the job.
        state: The state that the next step starts from; None if it starts from the initial state.
    """

    total: Tensor
    asked: int
    amount: int
    state: State


class Measured(Protocol):
    """A measurement; the measurements of several processes add up."""

    def sums(self) -> list[float]:
        """Return the sums, which add up over several processes."""
        ...

    def named(self) -> dict[str, float]:
        """Return the metrics by name; ``loss`` is always among them."""
        ...


class Shape(Protocol):
    """The sizes of a job's models, apart from their cell and their units."""

    @property
    def width(self) -> int:
        """The number of features that the layers read at each step."""
        ...

    def count(self, cell: Cell, hidden_size: int) -> int:
        """Count the parameters of a model with some cell and number of units.

        Raises:
            SizeError: If the sizes do not fit the cell.
        """
        ...

    def fewest(self, cell: Cell) -> int:
        """Return the smallest number of units of a cell, as a multiple of the factor that it requires."""
        ...


class Job(Protocol):
    """The data and the model of a run."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the data, which changes whenever they change."""
        ...

    @property
    def unit(self) -> str:
        """The unit of the data: ``byte``, ``char``, ``word``, ``piece`` or ``sequence``."""
        ...

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of steps of one pass over the data; None if every step draws new data."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        ...

    @property
    def quantity(self) -> str:
        """The metric that the picture of the run shows."""
        ...

    @property
    def success(self) -> Success | None:
        """The criterion of success; None if there is none, so that cells cannot be compared on the job."""
        ...

    @property
    def shape(self) -> Shape | None:
        """The sizes of models, apart from their cell and units; None if the parameters cannot be counted."""
        ...

    def baseline(self) -> dict[str, float]:
        """Return the metrics at chance level; empty if they are not known."""
        ...

    def trivial(self, split: str) -> Mapping[str, Mapping[str, float]]:
        """Return the metrics of trivial predictors on a split, by their names; empty if there are none."""
        ...

    def describe(self) -> dict[str, Any]:
        """Describe the task as plain data: name, title, source, gap (what it counts), published results."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return facts about the data as plain data, with the ``fingerprint``."""
        ...

    def files(self) -> Mapping[str, Any]:
        """Return the files that a run directory needs to load the model again: file names and JSON."""
        ...

    def about(self) -> list[str]:
        """Describe the data in a line or two."""
        ...

    def build(self, device: torch.device) -> nn.Module:
        """Draw the model with torch's global random generator; its layers are called ``recurrent``."""
        ...

    def train(self, model: Any, step: int, rows: slice, state: State) -> StepLoss:
        """Read some rows of the batch of a step, counted from 0, and sum the loss."""
        ...

    def carries(self, step: int) -> bool:
        """Tell whether the state at the end of a step, counted from 1, is carried to the next step."""
        ...

    def trained(self, total: float, asked: int) -> Measured:
        """Turn the sum of the training loss into a measurement."""
        ...

    def measure(self, model: Any, split: str, share: tuple[int, int]) -> Measured:
        """Measure a model on the share of a process: its rank, and the number of processes."""
        ...

    def put_together(self, sums: list[float]) -> Measured:
        """Make one measurement from the sums of several."""
        ...

    def sample(self, model: Any, seed: int) -> str:
        """Let the model generate text; empty if it cannot."""
        ...
