"""What runs a layer, and why: nothing that is slower than a user would think is taken in silence."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.kernels import Call
from gatework.kernels.backend import Account
from gatework.kernels.door.account import account
from gatework.nn.recurrent import Recurrent
from gatework.nn.sequences import arrange, as_tuple

_UNITS = ("B", "KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Part:
    """One layer in one direction.

    Args:
        layer: The layer, counted from 0 at the input.
        direction: ``forward`` or ``backward`` in time.
        account: How it runs.
    """

    layer: int
    direction: str
    account: Account

    def __str__(self) -> str:
        told = self.account
        lines = [("backend", told.backend), ("because", told.reason)]
        lines += [(name, reason) for name, reason in told.refused if reason != told.reason]
        if told.threads:
            lines.append(("threads", f"{told.threads}" + (f", which share the {told.shared}" if told.shared else "")))
        if told.level:
            lines.append(("vectors", f"{told.level}: {told.bits} bits, {told.lanes} numbers of {told.dtype}"))
        if told.kernel:
            lines.append(("kernel", told.kernel))
        lines += told.notes
        if told.kept is None:
            lines.append(("kept", "for the backward pass, whatever autograd saves of every operation"))
        elif told.kept:
            lines.append(("kept", f"{_spelt(told.kept)} for the backward pass"))
        return "\n".join([f"layer {self.layer}, {self.direction}", *(f"  {name:<8} {text}" for name, text in lines)])


@dataclass(frozen=True)
class Explanation:
    """What runs a layer on an input, and why; prints as text.

    Args:
        layer: The layer, as it prints.
        steps: T, of the longest row.
        rows: B.
        differentiated: Whether a gradient will be asked for.
        memory: What training keeps, ``fast`` or ``small``.
        parts: Every layer in every direction.
    """

    layer: str
    steps: int
    rows: int
    differentiated: bool
    memory: str
    parts: tuple[Part, ...]

    @property
    def kept(self) -> int | None:
        """Give the bytes that all layers keep for the backward pass; None where autograd decides."""
        known = [part.account.kept for part in self.parts]
        return None if None in known else sum(one for one in known if one is not None)

    def __str__(self) -> str:
        asked = f"with gradients, memory={self.memory!r}" if self.differentiated else "without gradients"
        head = f"{self.layer}: {self.steps} steps of {self.rows} rows, {asked}"
        tail = f"together {_spelt(self.kept)} for the backward pass" if self.kept and len(self.parts) > 1 else ""
        return "\n".join([head, *map(str, self.parts), *([tail] if tail else [])])


def explain(layer: Recurrent, input: Any) -> Explanation:
    """Say what would run a layer on an input, and why; nothing is computed.

    Kernels are compiled, as the first call would do, unless they are already. What is said holds for now: for the
    layer's mode (``train`` or ``eval``), the threads torch is set to, and whether gradients are on.

    Args:
        layer: The layer.
        input: As for its ``forward``; a tensor of the shape and the type is enough, values do not matter.

    Returns:
        The explanation; print it.

    Raises:
        SizeError: If the input does not fit the layer.

    Example:
        >>> explanation = explain(Recurrent("lstm", 3, 4, dtype=torch.bfloat16), torch.zeros(5, 2, 3).bfloat16())
        >>> print(explanation.parts[0].account.reason)
        the type is bfloat16, and kernels compute in float32 and float64: convert layer and input
    """
    inputs = as_tuple(input)
    layer._check(inputs, None, layer.batch_first)
    batch = arrange(inputs, batch_first=layer.batch_first, lengths=None, reset=None)
    like = batch.inputs[0].detach()
    tensors = [one.data if isinstance(one, PackedSequence) else one for one in inputs]
    differentiated = torch.is_grad_enabled() and any(one.requires_grad for one in (*tensors, *layer.parameters()))
    steps, rows = batch.steps, batch.rows

    def sequence(size: int) -> Tensor:
        return like.new_empty(()).expand(steps, rows, size)  # one number in memory, whatever the shape

    parts = []
    for number, direction, one in layer._runs():
        call = Call(
            one.step,
            layer.weights(number, direction),
            tuple(sequence(one.size(name)) for name in one.step.inputs),
            tuple(sequence(one.size(name))[0] for name in one.step.states),
            draws={name: sequence(one.size(name)) for name in one.step.draws} if layer.training else None,
            record=layer._read_above(number),
            memory=layer.memory,
        )
        told = account(call, layer.backend, differentiated)
        parts.append(Part(number, "backward" if direction else "forward", told))
    return Explanation(str(layer), steps, rows, differentiated, layer.memory, tuple(parts))


def _spelt(count: float) -> str:
    """Write bytes as people do."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
