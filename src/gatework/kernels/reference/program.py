"""A program: what to do once for a whole sequence, and what to do at every step, on numbered registers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gatework.kernels.reference.survey import Group, Kind
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step

Registers = list[Any]
Action = Callable[[Registers], None]
CALL = 0  # the register that holds the Call


@dataclass(frozen=True)
class Call:
    """What one run of a program is given.

    Args:
        step: The equations.
        weights: The parameters.
        inputs: [T, B, size] each, or [N, size] where steps have rows of their own, one step after the other.
        state: [B, size] each.
        draws: The masks, as the inputs are.
    """

    step: Step
    weights: Weights
    inputs: tuple[Tensor, ...]
    state: tuple[Tensor, ...]
    draws: dict[str, Tensor]

    @property
    def sizes(self) -> dict[str, int]:
        """Read the size behind each key, such as ``hidden_size``, off the tensors."""
        found = {}
        for parameter in self.step.parameters:
            rows, *columns = self.weights.shape(parameter.name)
            found[parameter.rows] = rows
            if parameter.columns is not None:
                split = parameter.blocks if parameter.structure == "block_diagonal" else 1
                found[parameter.columns] = columns[0] * split
        named = zip((*self.step.inputs, *self.step.states), (*self.inputs, *self.state), strict=True)
        return found | {self.step.sizes_of[name]: tensor.shape[-1] for name, tensor in named}

    @property
    def like(self) -> Tensor:
        """Give a tensor of the device and type that constants are made in."""
        return self.state[0]

    def number(self, value: float) -> Tensor:
        """Make a plain number a tensor without axes."""
        return torch.full((), value, dtype=self.like.dtype, device=self.like.device)

    def vector(self, value: float | Tensor, size: int) -> Tensor:
        """Make what is constant over time a vector [size]."""
        return (value if isinstance(value, Tensor) else self.number(value)).broadcast_to(size)

    def sequence(self, value: float | Tensor, size: int) -> Tensor:
        """Make what is known beforehand a whole sequence, [size] for each row of the inputs, however these lie."""
        shape = (*self.inputs[0].shape[:-1], size)
        return (value if isinstance(value, Tensor) else self.number(value)).broadcast_to(shape)


class Place(NamedTuple):
    """Where a value lies: its kind, its register and, of a group's part, the group and which part it is."""

    kind: Kind
    register: int
    group: Group | None = None
    part: int = 0


@dataclass
class Program:
    """What to do once, and at every step.

    Args:
        start: The registers before a run: plain numbers, and None for all else.
        once: Actions for the whole sequence.
        each: Actions for every step.
        sequences: Pairs of registers: the whole sequence [T, B, size], and where each step finds its part.
        places: Where each named value lies.
        inputs: The register of each input.
        before: The register of each state before the step.
        after: The register of each state after the step.
    """

    start: Registers = field(default_factory=lambda: [None])
    once: list[Action] = field(default_factory=list)
    each: list[Action] = field(default_factory=list)
    sequences: list[tuple[int, int]] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
