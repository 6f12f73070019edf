"""Intercept the runs of a layer before the kernels, to record or change them.

A *visitor* receives each run of a layer in one direction before the kernels do, and passes it on, changed or unchanged.
It sees only runs of the thread that set it up, so a server can trace and run one model at the same time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gatework.errors import SizeError
from gatework.kernels import Result, Weights, run
from gatework.language import Step
from gatework.nn import Recurrent
from gatework.nn.memories import count_of
from gatework.nn.sequences import SequenceBatch


@dataclass(frozen=True)
class Visit:
    """One run of a layer in one direction, on its way to the kernels.

    Args:
        batch: The batch of the whole stack.
        number: The layer, counted from 0 at the input.
        direction: 0 for forward, 1 for backward in time.
        step: The equations.
        weights: Their parameters.
        inputs: [T, B, size] for each of the step's inputs, or [N, size] where the batch is packed.
        state: The states before the first step taken, [B, size] each.
        options: The other arguments of :func:`gatework.kernels.run`, by name.
        held: The names that a later visitor clamps, before the run reaches the kernels.
    """

    batch: SequenceBatch
    number: int
    direction: int
    step: Step
    weights: Weights
    inputs: tuple[Tensor, ...]
    state: tuple[Tensor, ...]
    options: dict[str, Any]
    held: frozenset[str] = frozenset()

    def with_inputs(self, step: Step, further: tuple[Tensor, ...]) -> "Visit":
        """Return the same run with other equations, which have further inputs after their own."""
        return replace(self, step=step, inputs=(*self.inputs, *further))

    def shape(self, name: str, size: int) -> tuple[int, ...]:
        """Return the shape of a name's value for one row of one step: [size], [L] or [L, size]."""
        if name not in self.step.positions:
            return (size,)
        count = count_of(self.step, name, self.options["banks"])
        return (count,) if self.step.is_bare(name) else (count, size)

    def outward(self, sequence: Tensor) -> Tensor:
        """Bring a sequence from the form of the kernels into [T, B, ...], with rows in the user's order.

        T is the number of steps of the user's input. Values beyond the length of a row are zero.
        """
        batch = self.batch
        given = batch.give_back(sequence)
        if isinstance(given, PackedSequence):
            return pad_packed_sequence(given)[0]
        if not batch.batched:
            return given.unsqueeze(1)
        return given.transpose(0, 1) if batch.batch_first else given

    def outward_rows(self, values: Tensor) -> Tensor:
        """Bring values for each row [B, ...] from the row order of the kernels into the user's order."""
        order = None if self.batch.packed is None else self.batch.packed.unsorted_indices
        return values if order is None else values.index_select(0, order.to(values.device))

    def inward(self, sequence: Tensor) -> Tensor:
        """Bring the user's sequence [T, B, ...] into the form of the kernels; see :meth:`outward`."""
        batch, like = self.batch, self.inputs[0]
        if batch.packed is not None and batch.packed.sorted_indices is not None:
            sequence = sequence.index_select(1, batch.packed.sorted_indices)
        if like.dim() == 2:
            assert batch.lengths is not None  # a batch with rows of equal length does not stay packed
            counted = torch.arange(len(sequence), device=batch.lengths.device)[:, None] < batch.lengths
            return sequence.flatten(0, 1)[counted.flatten().to(sequence.device)]
        return sequence[: like.shape[0]]

    @property
    def lengths(self) -> Tensor | None:
        """The number of steps of each row in the user's order, int64 [B]; None if all rows have all steps."""
        if self.batch.lengths is None or self.batch.packed is None:
            return self.batch.lengths
        return self.outward(self.full(1.0, 1)).sum((0, 2)).long().cpu()

    def full(self, value: float, *shape: int) -> Tensor:
        """Make a constant sequence, in the form of the kernels; it is zero in padding. ``shape`` is that of one row."""
        like, lengths = self.inputs[0], self.batch.lengths
        sequence = like.new_full((*like.shape[:-1], *shape), value, dtype=self.state[0].dtype)
        if lengths is None or like.dim() == 2:  # packed rows have no padding
            return sequence
        ended = torch.arange(len(like), device=like.device)[:, None] >= lengths.to(like.device)
        return sequence.masked_fill(ended.reshape(*ended.shape, *(1,) * len(shape)), 0)


Further = Callable[[Visit], Result]
Visitor = Callable[[Visit, Further], Result]
"""Takes a run, and a function that runs it; returns the result for the layer."""
Holds = Callable[[int, int], frozenset[str]]
"""Takes a layer's number and direction; returns the names that are clamped there."""

_lock = threading.Lock()


class _Doors:
    """The visitors of one layer, by thread; the first visitor is the last before the kernels."""

    def __init__(self) -> None:
        self.visitors: dict[int, list[Visitor]] = {}
        self.holds: dict[int, list[Holds]] = {}

    def __call__(self, batch: SequenceBatch, number: int, direction: int) -> Callable[..., Result]:
        visitors = tuple(self.visitors.get(threading.get_ident(), ()))
        held = frozenset(
            name for holds in self.holds.get(threading.get_ident(), ()) for name in holds(number, direction)
        )

        def door(
            step: Step, weights: Weights, inputs: tuple[Tensor, ...], state: tuple[Tensor, ...], **options: Any
        ) -> Result:
            return _further(visitors, Visit(batch, number, direction, step, weights, inputs, state, options, held))

        if visitors and (batch.place is not None or batch.joined is not None):
            given = "a mask" if batch.joined is None else "concatenated sequences"
            raise SizeError(
                f"A layer was given {given} while gatework.tracing looked inside, which reads only padded or packed "
                "rows without holes. Give the steps that count as a padded tensor with lengths."
            )
        return door if visitors else run


def _further(visitors: tuple[Visitor, ...], visit: Visit) -> Result:
    """Pass a run to the last visitor, or to the kernels if there is no visitor left."""
    if not visitors:
        return run(visit.step, visit.weights, visit.inputs, visit.state, **visit.options)
    return visitors[-1](visit, lambda changed: _further(visitors[:-1], changed))


@contextmanager
def visited(layer: Recurrent, visitor: Visitor, *, changes: bool = False, holds: Holds | None = None) -> Iterator[None]:
    """Let a visitor intercept the runs of a layer, in this thread, while the context lasts.

    Args:
        layer: The layer.
        visitor: The visitor, which receives every run.
        changes: Whether the visitor changes the equations. If so, it comes directly before the kernels, so that it
            overrides visitors that were set up earlier. Otherwise it comes first, and receives the run as the layer
            made it.
        holds: For a visitor that changes equations, the names that it clamps; None for none.
    """
    thread = threading.get_ident()
    with _lock:
        doors = layer._inside
        if not isinstance(doors, _Doors):
            doors = layer._inside = _Doors()
        visitors = doors.visitors.setdefault(thread, [])
        visitors.insert(0 if changes else len(visitors), visitor)
        held = doors.holds.setdefault(thread, [])
        if holds is not None:
            held.append(holds)
    try:
        yield
    finally:
        with _lock:
            visitors.remove(visitor)
            if holds is not None:
                held.remove(holds)
            if not visitors:
                del doors.visitors[thread], doors.holds[thread]
            if not doors.visitors:
                layer._inside = None


def prefix_of(path: str, number: int, direction: int) -> str:
    """Return the beginning of a layer's keys: ``l0``, ``l1_reverse``, ``encoder.l0``."""
    own = f"l{number}{'_reverse' if direction else ''}"
    return f"{path}.{own}" if path else own


def recurrent_layers(model: nn.Module) -> dict[str, Recurrent]:
    """Find the layers of a model.

    Args:
        model: A :class:`gatework.Recurrent`, or a module that contains some.

    Returns:
        The layers by their paths in the model; the path of the model itself is empty.

    Raises:
        SizeError: If there is none.
    """
    if not isinstance(model, nn.Module):
        raise SizeError(f"A {type(model).__name__} was given; expected a gatework layer, or a torch module with some.")
    layers = {path: module for path, module in model.named_modules() if isinstance(module, Recurrent)}
    if not layers:
        raise SizeError(
            f"The model {type(model).__name__} holds no gatework layer; expected a gatework.Recurrent (or LSTM, GRU, "
            "RNN) in it. Layers of torch.nn can be loaded into those by their state dict."
        )
    return layers


def only_layer(model: nn.Module) -> Recurrent:
    """Find the one layer of a model.

    Args:
        model: As for :func:`recurrent_layers`.

    Returns:
        The layer.

    Raises:
        SizeError: If there is none, or more than one.
    """
    layers = recurrent_layers(model)
    if len(layers) > 1:
        raise SizeError(
            f"The model holds {len(layers)} gatework layers: {', '.join(layers)}. Give the one that is meant."
        )
    return next(iter(layers.values()))


def traced_layer(model: nn.Module, path: str) -> Recurrent:
    """Find the layer that was traced.

    Args:
        model: The traced model, or the layer itself.
        path: The layer's path in the traced model.

    Returns:
        The layer.

    Raises:
        SizeError: If there is no such layer.
    """
    layers = recurrent_layers(model)
    return layers[path] if path in layers else only_layer(model)
