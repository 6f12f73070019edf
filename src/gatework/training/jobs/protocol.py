"""What a run trains on: the trainer, the run directory and the display know a job only by what stands here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gatework.cells import Cell
from gatework.models.state import State
from gatework.tasks.task import Success


@dataclass(frozen=True)
class Part:
    """What one training step has read.

    Args:
        total: The summed loss of this process's rows.
        asked: The number of answers that the loss of all processes' rows is summed over.
        amount: How much was read by all, in the job's unit.
        state: The state that the next part starts from; None where it starts without one.
    """

    total: Tensor
    asked: int
    amount: int
    state: State


class Measured(Protocol):
    """A measurement; parts measured by several processes add up."""

    def sums(self) -> list[float]:
        """Give what adds up."""
        ...

    def named(self) -> dict[str, float]:
        """Give the metrics by name; ``loss`` is always among them."""
        ...


class Shape(Protocol):
    """What a job's models are besides their cell and their units."""

    @property
    def width(self) -> int:
        """Numbers that the layers are given at each step."""
        ...

    def count(self, cell: Cell, hidden_size: int) -> int:
        """Count what a model of a cell and a size learns.

        Raises:
            SizeError: When the sizes do not fit the cell.
        """
        ...

    def fewest(self, cell: Cell) -> int:
        """Give the fewest units that a cell can have, as a multiple of what it needs a multiple of."""
        ...


class Job(Protocol):
    """What a run trains on."""

    @property
    def fingerprint(self) -> str:
        """One number for the data; another when they change."""
        ...

    @property
    def unit(self) -> str:
        """What is counted: ``byte``, ``char``, ``word`` or ``sequence``."""
        ...

    @property
    def windows(self) -> int | None:
        """Steps of one pass over the data; None where every step draws new data."""
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
        """What counts as solved; None where nothing does, and models cannot be compared by it."""
        ...

    @property
    def shape(self) -> Shape | None:
        """What models are besides their cell and units; None where those of other cells cannot be counted."""
        ...

    def baseline(self) -> dict[str, float]:
        """Give the metrics of a guess without looking; empty where they are not known."""
        ...

    def describe(self) -> dict[str, Any]:
        """Say as plain data what is asked: name, title, source, gap (what it counts), published results."""
        ...

    def facts(self) -> dict[str, Any]:
        """Say as plain data what the data are; ``fingerprint`` is among them."""
        ...

    def files(self) -> Mapping[str, Any]:
        """Give what a run directory must hold to read the model again: file names and JSON."""
        ...

    def about(self) -> list[str]:
        """Say in a line or two what the data are."""
        ...

    def build(self, device: torch.device) -> nn.Module:
        """Draw the model from torch's global generator; its layers are called ``recurrent``."""
        ...

    def train(self, model: Any, step: int, rows: slice, state: State) -> Part:
        """Read what is learned from at a step (from 0), these rows of it, and sum the loss."""
        ...

    def carries(self, step: int) -> bool:
        """Tell whether the state at the end of a step (counted from 1) is carried on into the next."""
        ...

    def trained(self, total: float, asked: int) -> Measured:
        """Give the measurement that training itself amounts to."""
        ...

    def measure(self, model: Any, split: str, share: tuple[int, int]) -> Measured:
        """Measure a model on a process's share of a split: its rank, and how many processes there are."""
        ...

    def put_together(self, sums: list[float]) -> Measured:
        """Make one measurement of the sums of several."""
        ...

    def sample(self, model: Any, seed: int) -> str:
        """Let the model write; empty where it cannot."""
        ...
