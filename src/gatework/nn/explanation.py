"""Explain what runs a layer, and why, so that no slow path goes unnoticed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import SizeError
from gatework.kernels import Call
from gatework.kernels.backend import Account
from gatework.kernels.door.account import account
from gatework.nn.concatenated import opened
from gatework.nn.foreign import counterpart
from gatework.nn.layers import read_above
from gatework.nn.memories import Banks, width_of
from gatework.nn.recurrent import Recurrent
from gatework.nn.sequences import arrange, as_tuple

_UNITS = ("B", "KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class LayerRun:
    """One layer in one direction.

    Args:
        layer: The layer, counted from 0 at the input.
        direction: ``forward`` or ``backward`` in time.
        account: What runs the layer, and how.
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
            lines.append(("saved", "for the backward pass: whatever autograd saves for every operation"))
        elif told.kept:
            lines.append(("saved", f"{_spelt(told.kept)} for the backward pass"))
        return "\n".join([f"layer {self.layer}, {self.direction}", *(f"  {name:<8} {text}" for name, text in lines)])


@dataclass(frozen=True)
class Explanation:
    """What runs a layer on an input, and why; print it to read it.

    Args:
        layer: The printed form of the layer.
        steps: T, the number of steps of the longest row.
        rows: B, the number of rows.
        differentiated: Whether there will be a backward pass.
        memory: The layer's ``memory`` setting, ``fast`` or ``small``.
        parts: One entry for each layer and direction.
        banks: The shape of each memory that the equations read, [B, L, size], or [B, L] with one number at each
            position.
    """

    layer: str
    steps: int
    rows: int
    differentiated: bool
    memory: str
    parts: tuple[LayerRun, ...]
    banks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def kept(self) -> int | None:
        """The size in bytes of the saved tensors of all layers; None if autograd decides."""
        known = [part.account.kept for part in self.parts]
        return None if None in known else sum(one for one in known if one is not None)

    def __str__(self) -> str:
        asked = f"with gradients, memory={self.memory!r}" if self.differentiated else "without gradients"
        head = f"{self.layer}: {self.steps} steps of {self.rows} rows, {asked}"
        tail = f"together {_spelt(self.kept)} for the backward pass" if self.kept and len(self.parts) > 1 else ""
        banks = [f"memory {name}: {_bank(shape)}" for name, shape in self.banks.items()]
        return "\n".join([head, *banks, *map(str, self.parts), *([tail] if tail else [])])


def explain(layer: Recurrent, input: Any, memories: Banks = None) -> Explanation:
    """Explain what would run a layer on an input, and why, without computing anything.

    Kernels that are not yet compiled are compiled, as in the first call. The explanation is valid for the current mode
    of the layer (``train`` or ``eval``), the current number of torch's threads, and the current gradient mode.

    Args:
        layer: The layer.
        input: As for the layer's ``forward``. Only its shape and type matter, not its values.
        memories: For a cell with a memory, as for the layer's ``forward``.

    Returns:
        The explanation; print it to read it.

    Raises:
        SizeError: If the input or the memories do not fit the layer, or if it is no layer; the message names the layers
            of a model.

    Example:
        >>> explanation = explain(Recurrent("lstm", 3, 4, dtype=torch.bfloat16), torch.zeros(5, 2, 3).bfloat16())
        >>> print(explanation.parts[0].account.reason)
        the type is bfloat16, and kernels compute in float32 and float64: convert layer and input
    """
    if not isinstance(layer, Recurrent):
        raise SizeError(_no_layer(layer))
    inputs, joined = opened(as_tuple(input), None)
    layer._check(inputs, None, layer.batch_first, memories, rows=None if joined is None else joined.rows)
    batch = arrange(inputs, batch_first=layer.batch_first, lengths=None, reset=None, joined=joined)
    batch = layer._remembering(batch, memories, None)
    like = batch.inputs[0].detach()
    tensors = [one.data if isinstance(one, PackedSequence) else one for one in inputs]
    learned = (*tensors, *batch.banks, *layer.parameters())
    differentiated = torch.is_grad_enabled() and any(one.requires_grad for one in learned)
    steps, rows = batch.steps, batch.rows

    def sequence(size: int) -> Tensor:
        return like.new_empty(()).expand(steps, rows, size)  # one number in memory, whatever the shape

    parts = []
    for number, direction, one in layer._runs():
        call = Call(
            one.step,
            layer.weights(number, direction),
            tuple(sequence(width_of(one, name, batch)) for name in one.step.inputs),
            tuple(sequence(width_of(one, name, batch))[0] for name in one.step.states),
            draws={name: sequence(one.size(name)) for name in one.step.draws} if layer.training else None,
            record=read_above(layer.cell, layer.layers, number),
            memory=layer.memory,
            banks=batch.banks,
            extents=batch.extents,
        )
        told = account(call, layer.backend, differentiated)
        parts.append(LayerRun(number, "backward" if direction else "forward", told))
    shapes = {name: tuple(bank.shape) for name, bank in zip(layer.cell.step.banks, batch.banks, strict=True)}
    return Explanation(str(layer), steps, rows, differentiated, layer.memory, tuple(parts), shapes)


def _bank(shape: tuple[int, ...]) -> str:
    """Say how large a memory is."""
    _, count, *size = shape
    numbers = f"{size[0]} numbers" if size else "one number"
    return f"{count} positions of {numbers} for each row"


def _no_layer(given: Any) -> str:
    """Say what to explain instead of something that is no layer of gatework."""
    if name := counterpart(given):
        instead = (
            "One time step runs torch's own operators."
            if name.endswith("Cell")
            else f"A gatework.{name} takes the same arguments and weights, and can be explained."
        )
        return f"A torch.nn.{name} is run by torch alone, so there is nothing to choose. {instead}"
    expected = "explain takes one layer, such as gatework.LSTM or gatework.Recurrent"
    if not isinstance(given, nn.Module):
        return f"A {type(given).__name__} is no layer; {expected}."
    names = [name for name, module in given.named_modules() if name and isinstance(module, Recurrent)]
    if not names:
        return f"The {type(given).__name__} holds no layer of gatework; {expected}."
    calls = ", ".join(f"explain(model.get_submodule({name!r}), input)" for name in names[:3])
    return f"A {type(given).__name__} is a whole model; {expected}. Of this one: {calls}."


def _spelt(count: float) -> str:
    """Format a number of bytes with a unit."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
