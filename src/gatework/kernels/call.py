"""The arguments and the result of one run of a step over a whole sequence."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gatework.kernels.weights import Weights
from gatework.language.nodes import ONE_NUMBER, Step


@dataclass(frozen=True, eq=False)
class Call:
    """The arguments of one run of a step.

    Args:
        step: The checked equations.
        weights: Its parameters.
        inputs: One tensor [T, B, size] for each of the step's inputs; [T, B, L] if it has a number for each position of
            a memory. If lengths never rise, it may be [N, size], packed as in a PackedSequence; then every result with
            a value for each step is packed too.
        state: One tensor [B, size] for each of the step's states, [B, L] if it has a number for each position: the
            values before the first step.
        lengths: The number of steps of each row, int64 [B] on the CPU; None if all rows have T steps.
        restart: Where rows restart, bool [T, B]: if True, the step at that time starts from ``initial``; None if
            none does.
        initial: The states that rows restart from, one tensor [B, size] for each state; None for zeros.
        reverse: Whether time runs from the last step to the first. Results stay in the inputs' order.
        draws: In training, one tensor of zeros and ones for each of the step's masks, shaped as the inputs; None in
            evaluation, where every mask equals its probability.
        record: Names in the equations whose values are also returned.
        memory: What the forward pass saves for the backward pass, a row of :data:`gatework.kernels.MEMORY`.
        banks: One tensor for each of the step's banks: [B, L, size], or [B, L] with one number at each position.
        extents: For each of the step's places, the number of positions of each row, int64 [B] on the CPU; None if all
            rows have L.

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
    banks: tuple[Tensor, ...] = ()
    extents: tuple[Tensor | None, ...] = ()

    @property
    def drawn(self) -> bool:
        """Whether masks are drawn."""
        return self.draws is not None and bool(self.step.draws)

    def bank(self, name: str) -> Tensor:
        """Return a bank by its name."""
        return self.banks[self.step.banks.index(name)]

    @property
    def packed(self) -> bool:
        """Whether the inputs are packed, [N, size]."""
        return self.inputs[0].dim() == 2

    @property
    def lines(self) -> tuple[str, ...]:
        """The recorded names that the step computes, rather than receives."""
        if not self.record:  # most calls, and some of them are short
            return ()
        return tuple(name for name in self.record if name not in self.step.inputs and name not in self.step.draws)

    @property
    def sizes(self) -> dict[str, int]:
        """The value of each size key, such as ``hidden_size``, from the shapes of the tensors."""
        sizes = {}
        for parameter in self.step.parameters:
            rows, *columns = self.weights.shape(parameter.name)
            sizes[parameter.rows] = rows
            if parameter.columns is not None:
                split = parameter.blocks if parameter.structure == "block_diagonal" else 1
                sizes[parameter.columns] = columns[0] * split
        step = self.step
        named = zip((*step.inputs, *step.states, *step.banks), (*self.inputs, *self.state, *self.banks), strict=True)
        sizes |= {step.sizes_of[name]: tensor.shape[-1] for name, tensor in named}
        if step.memories:
            sizes[ONE_NUMBER] = 1  # what is at positions is given as [B, L], without an axis for its one number
        return sizes

    @property
    def like(self) -> Tensor:
        """A tensor with the device and type of all constants."""
        return self.state[0]

    def number(self, value: float) -> Tensor:
        """Make a tensor without axes from a plain number."""
        return torch.full((), value, dtype=self.like.dtype, device=self.like.device)

    def vector(self, value: float | Tensor, size: int) -> Tensor:
        """Make a vector [size] from a value that is constant over time."""
        return (value if isinstance(value, Tensor) else self.number(value)).broadcast_to(size)

    def sequence(self, value: float | Tensor, *size: int) -> Tensor:
        """Expand a value that is known before the first step to a whole sequence, [size] for each row of the inputs."""
        shape = (*self.inputs[0].shape[:-1], *size)
        return (value if isinstance(value, Tensor) else self.number(value)).broadcast_to(shape)


@dataclass(frozen=True)
class Result:
    """The result of a step over a whole sequence.

    Args:
        output: The first state at every step, [T, B, size]; [N, size] if the batch is packed.
        state: Every state after the last step, [B, size] each, in the step's order.
        recorded: The values of the recorded names, shaped as the output.
    """

    output: Tensor
    state: tuple[Tensor, ...]
    recorded: dict[str, Tensor] = field(default_factory=dict)
