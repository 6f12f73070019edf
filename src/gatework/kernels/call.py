"""One run of a step over a whole sequence: what a backend is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gatework.kernels.weights import Weights
from gatework.language.nodes import Step


@dataclass(frozen=True, eq=False)
class Call:
    """What one run of a step is given.

    Args:
        step: The checked equations.
        weights: Its parameters.
        inputs: One tensor [T, B, size] for each of the step's inputs; or, with lengths that never rise, [N, size],
            packed as in a PackedSequence: what is given back for every step is packed then as well.
        state: One tensor [B, size] for each of the step's states: their values before the first step taken.
        lengths: How many steps of each row count, int64 [B] on the CPU; None where all rows have T steps.
        restart: Rows that start anew, bool [T, B]: where True, the step at that time starts from ``initial``; None for
            nowhere.
        initial: Where rows start anew, one tensor [B, size] for each state; None for zeros.
        reverse: Whether time runs from the last step to the first. Results stay in the inputs' order.
        draws: In training, for each of the step's masks a tensor shaped as the inputs, of zeros and ones; None in
            evaluation, where every mask is its probability.
        record: Further names in the equations whose values are wanted.
        memory: What the forward pass saves for the backward pass, a row of :data:`gatework.kernels.MEMORY`.

    Example:
        >>> from gatework.language import parse
        >>> step = parse("h = 0.5 * h + x")
        >>> call = Call(step, Weights(()), (torch.ones(3, 2, 4),), (torch.zeros(2, 4),))
        >>> call.sizes
        {'hidden_size': 4}
    """

    step: Step
    weights: Weights
    inputs: tuple[Tensor, ...]
    state: tuple[Tensor, ...]
    lengths: Tensor | None = None
    restart: Tensor | None = None
    initial: tuple[Tensor, ...] | None = None
    reverse: bool = False
    draws: Mapping[str, Tensor] | None = None
    record: tuple[str, ...] = ()
    memory: str = "fast"

    @property
    def drawn(self) -> bool:
        """Say whether masks are drawn."""
        return self.draws is not None and bool(self.step.draws)

    @property
    def packed(self) -> bool:
        """Say whether the steps of all rows lie one behind the other, [N, size]."""
        return self.inputs[0].dim() == 2

    @property
    def lines(self) -> tuple[str, ...]:
        """Name what is recorded and is made by the step, rather than given to it."""
        if not self.record:  # most calls, and some of them are short
            return ()
        return tuple(name for name in self.record if name not in self.step.inputs and name not in self.step.draws)

    @property
    def sizes(self) -> dict[str, int]:
        """Read the size behind each key, such as ``hidden_size``, off the tensors."""
        sizes = {}
        for parameter in self.step.parameters:
            rows, *columns = self.weights.shape(parameter.name)
            sizes[parameter.rows] = rows
            if parameter.columns is not None:
                split = parameter.blocks if parameter.structure == "block_diagonal" else 1
                sizes[parameter.columns] = columns[0] * split
        named = zip((*self.step.inputs, *self.step.states), (*self.inputs, *self.state), strict=True)
        return sizes | {self.step.sizes_of[name]: tensor.shape[-1] for name, tensor in named}

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


@dataclass(frozen=True)
class Result:
    """What a step gives over a whole sequence.

    Args:
        output: The first state at every step, [T, B, size]; [N, size] where the batch is packed.
        state: Every state after the last step, [B, size] each, in the step's order.
        recorded: What was asked for by name, shaped as the output.
    """

    output: Tensor
    state: tuple[Tensor, ...]
    recorded: dict[str, Tensor] = field(default_factory=dict)
