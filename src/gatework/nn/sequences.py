"""Sequences as users have them - padded, packed, unbatched, batch first - and as the kernels want them.

That is [T, B, size], the time axis cut to the longest row, or packed as it came, [N, size]. Nothing depends on what
padding holds or how much of it there is, and no gradient flows into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import SizeError
from gatework.kernels.traced import is_traced


@dataclass(frozen=True)
class Batch:
    """One batch of sequences, ready for the kernels.

    Args:
        inputs: [T, B, size] each, T the longest length; [N, size] where they are packed and lengths differ.
        lengths: The number of steps of each row, int64 [B] on the CPU; None where every row has T.
        reset: Where a new sequence starts, bool [T, B]; None where none does.
        steps: The number of steps that were given, at least T.
        batched: Whether there was a batch axis.
        batch_first: Whether the batch axis came first.
        packed: The sequence this came from, where it was packed.
    """

    inputs: tuple[Tensor, ...]
    lengths: Tensor | None
    reset: Tensor | None
    steps: int
    batched: bool = True
    batch_first: bool = False
    packed: PackedSequence | None = None

    @property
    def rows(self) -> int:
        """Give B."""
        return int(self.packed.batch_sizes[0]) if self.packed is not None else self.inputs[0].shape[1]

    def restart(self, reverse: bool) -> Tensor | None:
        """Give where a step starts from the initial state, bool [T, B].

        A boundary lies before the step that is marked. Going back in time it is the step before it that starts anew.
        """
        if self.reset is None or not reverse:
            return self.reset
        return torch.cat([self.reset[1:], torch.zeros_like(self.reset[:1])])

    def without_padding(self, sequence: Tensor) -> Tensor:
        """Put zeros where a sequence [T, B, size] has padding, for what reads all of it."""
        if self.lengths is None or self.packed is not None:
            return sequence
        # Filling, unlike a product with zeros, keeps NaN and infinities out, and gradients too.
        return sequence.masked_fill(_padding(self.lengths, sequence.shape[0])[..., None].to(sequence.device), 0)

    def give_back(self, sequence: Tensor) -> Tensor | PackedSequence:
        """Bring a result [T, B, size], or [N, size] where the batch is packed, into the form the input had."""
        packed = self.packed
        if packed is not None:
            data = sequence if self.lengths is not None else sequence.flatten(0, 1)
            return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        missing = self.steps - sequence.shape[0]
        if missing:
            sequence = functional.pad(sequence, (0, 0, 0, 0, 0, missing))
        if not self.batched:
            return sequence.squeeze(1)
        return sequence.transpose(0, 1) if self.batch_first else sequence

    def take_state(self, state: Tensor) -> Tensor:
        """Bring a user's state [..., B, size] into the order of the rows; unbatched [..., size] gets a B of 1."""
        if not self.batched:
            return state.unsqueeze(-2)
        return state if self.packed is None else _permuted(state, self.packed.sorted_indices)

    def give_back_state(self, state: Tensor) -> Tensor:
        """Bring a state [..., B, size] into the user's order."""
        if not self.batched:
            return state.squeeze(-2)
        return state if self.packed is None else _permuted(state, self.packed.unsorted_indices)


def as_tuple(input: Any) -> tuple[Any, ...]:
    """Make one input a tuple; a PackedSequence is a tuple too, but one input."""
    return input if isinstance(input, tuple) and not isinstance(input, PackedSequence) else (input,)


def arrange(
    inputs: tuple[Tensor | PackedSequence, ...],
    *,
    batch_first: bool,
    lengths: Tensor | Sequence[int] | None,
    reset: Tensor | None,
) -> Batch:
    """Bring a user's sequences into the form that kernels want.

    Args:
        inputs: [T, B, size] each, [B, T, size] if ``batch_first``, [T, size] without a batch, or packed.
        batch_first: Whether B is the first axis of inputs and reset.
        lengths: The number of steps of each row; what follows is padding. None for no padding.
        reset: Where a new sequence starts: bool [T, B], [B, T] if ``batch_first``, [T] without a batch.

    Returns:
        The batch.

    Raises:
        SizeError: If lengths or reset do not fit the inputs.
    """
    packed = inputs[0] if isinstance(inputs[0], PackedSequence) else None
    if packed is not None:
        if lengths is not None:
            raise SizeError("lengths were given beside a packed sequence, which knows its own; leave lengths out.")
        return _unpacked(tuple(one for one in inputs if isinstance(one, PackedSequence)), reset, batch_first)
    tensors = tuple(one for one in inputs if isinstance(one, Tensor))
    batched = tensors[0].dim() == 3
    if not batched:
        tensors = tuple(tensor.unsqueeze(1) for tensor in tensors)
    elif batch_first:
        tensors = tuple(tensor.transpose(0, 1) for tensor in tensors)
    steps, rows = tensors[0].shape[:2]
    known = None if lengths is None else _checked_lengths(lengths, steps, rows)
    starts = _checked_reset(reset, steps, rows, batched, batch_first and batched)
    if known is not None and is_traced():  # how long the longest is, only a run will tell
        starts = _among_steps(starts, known)
    elif known is not None:
        longest = int(known.max()) if rows else 0
        tensors, starts = tuple(tensor[:longest] for tensor in tensors), starts if starts is None else starts[:longest]
        # Without a row that is shorter there are no lengths from here on.
        known = None if bool((known == longest).all()) else known
        starts = starts if known is None else _among_steps(starts, known)
    return Batch(tensors, known, starts, steps, batched, batch_first)


def _padding(lengths: Tensor, steps: int) -> Tensor:
    """Say what is padding, bool [T, B]."""
    return torch.arange(steps)[:, None] >= lengths


def _among_steps(reset: Tensor | None, lengths: Tensor) -> Tensor | None:
    """Forget the starts that lie in padding: going back in time, they would be taken for a row's last step."""
    return None if reset is None else reset & ~_padding(lengths, len(reset)).to(reset.device)


def _checked_lengths(lengths: Tensor | Sequence[int], steps: int, rows: int) -> Tensor:
    try:
        known = torch.as_tensor(lengths).cpu()
    except (TypeError, ValueError, RuntimeError):
        raise SizeError(f"lengths are {lengths!r}; expected a tensor or a list of whole numbers, one a row.") from None
    if known.shape != (rows,):
        raise SizeError(
            f"lengths have the shape {tuple(known.shape)}; expected one for each of the {rows} rows of the batch."
        )
    if rows and (known.is_floating_point() or known.is_complex() or known.dtype == torch.bool):
        raise SizeError(f"lengths have the type {known.dtype}; expected whole numbers, such as torch.int64.")
    known = known.to(torch.int64, copy=True)  # the caller may count it down before the backward pass reads it
    if is_traced() and isinstance(lengths, Tensor):
        if torch.compiler.is_compiling():  # a traced graph can hold no assertion
            told = "lengths are out of range; expected 0 to the number of steps in the input."  # which may be a symbol
            torch._assert_async(((known >= 0) & (known <= steps)).all(), told)
        return known
    for row, length in enumerate(known.tolist() if isinstance(lengths, Tensor) else lengths):
        if not 0 <= length <= steps:
            raise SizeError(f"lengths[{row}] is {length}; expected 0 to {steps}, the number of steps in the input.")
    return known


def _checked_reset(reset: Tensor | None, steps: int, rows: int, batched: bool, batch_first: bool) -> Tensor | None:
    if reset is None:
        return None
    shape, axes = ((rows, steps), "[B, T]") if batch_first else ((steps, rows), "[T, B]")
    if not batched:
        shape, axes = (steps,), "[T]"
    if not isinstance(reset, Tensor):
        raise SizeError(
            f"reset is a {type(reset).__name__}; expected a tensor of torch.bool, of shape {axes} = {shape}."
        )
    if reset.dtype != torch.bool:
        raise SizeError(f"reset has the type {reset.dtype}; expected torch.bool, True where a new sequence starts.")
    if reset.shape != shape:
        raise SizeError(f"reset has the shape {tuple(reset.shape)}; expected {axes} = {shape}, as the input has.")
    reset = reset.clone()  # the caller may fill it anew before the backward pass reads it
    if not batched:
        return reset.unsqueeze(1)
    return reset.transpose(0, 1) if batch_first else reset


def _unpacked(inputs: tuple[PackedSequence, ...], reset: Tensor | None, batch_first: bool) -> Batch:
    """Take packed sequences as they are, or as [T, B, size] where all rows are as long."""
    packed = inputs[0]
    sizes = packed.batch_sizes
    steps, rows = len(sizes), int(sizes[0])
    starts = _checked_reset(reset, steps, rows, True, batch_first)
    if starts is not None:
        starts = _permuted(starts, packed.sorted_indices)
    if int(sizes[-1]) == rows:
        return Batch(tuple(one.data.unflatten(0, (steps, rows)) for one in inputs), None, starts, steps, packed=packed)
    lengths = (sizes[:, None] > torch.arange(rows)).sum(0)
    return Batch(tuple(one.data for one in inputs), lengths, _among_steps(starts, lengths), steps, packed=packed)


def _permuted(tensor: Tensor, order: Tensor | None) -> Tensor:
    """Put the rows, the last axis of a mask or the last but one of a state, in another order."""
    if order is None:
        return tensor
    return tensor.index_select(-1 if tensor.dtype == torch.bool else -2, order)
