"""Convert sequences between the forms of users (padded, packed, unbatched, batch first) and the form of the kernels.

The kernels take [T, B, size], with the time axis cut to the longest row, or packed data [N, size]. Neither the contents
nor the amount of padding has any influence, and no gradient flows into padding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import SizeError
from gatework.kernels.traced import is_traced
from gatework.nn.concatenated import Concatenated
from gatework.nn.holes import move_back, move_starts, move_up, places

_MARKED = {"reset": "a new sequence starts", "mask": "a step counts"}


@dataclass(frozen=True)
class SequenceBatch:
    """One batch of sequences, ready for the kernels.

    Args:
        inputs: [T, B, size] each, with T the longest length; [N, size] if the inputs are packed and lengths differ.
        lengths: The number of steps of each row, int64 [B] on the CPU; None if every row has T steps.
        reset: Where a new sequence starts, bool [T, B]; None if no sequence starts inside the batch.
        steps: The number of steps of the given inputs, at least T.
        batched: Whether the given inputs had a batch axis.
        batch_first: Whether the batch axis came first.
        packed: The packed sequence from which the batch was made; None if the inputs were not packed.
        banks: The memories, [B, L, size] each.
        extents: For each memory, the number of positions of each row, int64 [B] on the CPU; None if all rows have L.
        kept: For each layer, what single steps computed of the memories before; None keeps nothing.
        place: Where each of the given steps is among those of the batch, int64 [T, B]; None if no mask hides steps.
        joined: The concatenated sequences from which the batch was packed; None if it was not.
        index: The row in the concatenated sequences of each row of the packed ones, int64 [N].
    """

    inputs: tuple[Tensor, ...]
    lengths: Tensor | None
    reset: Tensor | None
    steps: int
    batched: bool = True
    batch_first: bool = False
    packed: PackedSequence | None = None
    banks: tuple[Tensor, ...] = ()
    extents: tuple[Tensor | None, ...] = ()
    kept: Mapping[int, dict[tuple[bool, bool], list[Any]]] | None = None
    place: Tensor | None = None
    joined: Concatenated | None = None
    index: Tensor | None = None

    @property
    def rows(self) -> int:
        """The number of rows B."""
        return self.inputs[0].shape[1] if self.lengths is None else self.lengths.shape[0]

    def restart(self, reverse: bool) -> Tensor | None:
        """Mark the steps that start from the initial state, bool [T, B].

        ``reset`` marks the first step of a sequence. In reverse, the step before it, the last of the sequence before,
        starts from the initial state.
        """
        if self.reset is None or not reverse:
            return self.reset
        return torch.cat([self.reset[1:], torch.zeros_like(self.reset[:1])])

    def without_padding(self, sequence: Tensor) -> Tensor:
        """Fill the padding of a sequence [T, B, size] with zeros, for code that reads all of it."""
        if self.lengths is None or self.packed is not None:
            return sequence
        # Unlike a product with zeros, filling also removes NaN and infinite values, and stops gradients.
        return sequence.masked_fill(_padding(self.lengths, sequence.shape[0])[..., None].to(sequence.device), 0)

    def give_back(self, sequence: Tensor) -> Tensor | PackedSequence:
        """Bring a result [T, B, size], or [N, size] for a packed batch, into the form of the input."""
        packed = self.packed
        if packed is not None:
            data = sequence if self.lengths is not None else sequence.flatten(0, 1)
            if self.joined is not None and self.index is not None:
                return self.joined.give_back(data, self.index)
            return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        missing = self.steps - sequence.shape[0]
        if self.place is not None:
            sequence = move_back(sequence, self.place)
        elif missing:
            sequence = functional.pad(sequence, (*(0, 0) * (sequence.dim() - 1), 0, missing))
        if not self.batched:
            return sequence.squeeze(1)
        return sequence.transpose(0, 1) if self.batch_first else sequence

    def take_state(self, state: Tensor) -> Tensor:
        """Bring the user's state [..., B, size] into the order of the rows; an unbatched state gets B = 1."""
        if not self.batched:
            return state.unsqueeze(-2)
        return state if self.packed is None else _permuted(state, self.packed.sorted_indices)

    def give_back_state(self, state: Tensor) -> Tensor:
        """Bring a state [..., B, size] into the user's order."""
        if not self.batched:
            return state.squeeze(-2)
        return state if self.packed is None else _permuted(state, self.packed.unsorted_indices)


def as_tuple(input: Any) -> tuple[Any, ...]:
    """Make a tuple of inputs. A PackedSequence is a tuple too, but counts as one input."""
    return input if isinstance(input, tuple) and not isinstance(input, PackedSequence) else (input,)


def arrange(
    inputs: tuple[Tensor | PackedSequence, ...],
    *,
    batch_first: bool,
    lengths: Tensor | Sequence[int] | None,
    reset: Tensor | None,
    mask: Tensor | None = None,
    joined: Concatenated | None = None,
) -> SequenceBatch:
    """Bring the user's sequences into the form of the kernels.

    Args:
        inputs: [T, B, size] each, [B, T, size] if ``batch_first``, [T, size] without a batch, or packed.
        batch_first: Whether B is the first axis of inputs, reset and mask.
        lengths: The number of steps of each row; the rest is padding. None for no padding.
        reset: Where a new sequence starts: bool [T, B], [B, T] if ``batch_first``, [T] without a batch.
        mask: Which steps count, in the form of reset; None if all do.
        joined: Where the sequences of inputs [N, size] begin and end; None if they are not concatenated.

    Returns:
        The batch.

    Raises:
        SizeError: If lengths, reset or mask do not fit the inputs.
    """
    if mask is not None and lengths is not None:
        raise SizeError(
            "lengths were given beside a mask, which already says which steps of a row count. Leave one of them out."
        )
    if joined is not None:
        further = {"lengths": lengths, "reset": reset, "mask": mask}
        if (name := next((name for name, given in further.items() if given is not None), None)) is not None:
            raise SizeError(
                f"`{name}` was given beside concatenated sequences (cu_seqlens, nested tensors), which already say "
                "where sequences begin and end. Leave it out."
            )
        return _packed(tuple(one for one in inputs if isinstance(one, Tensor)), joined)
    packed = inputs[0] if isinstance(inputs[0], PackedSequence) else None
    if packed is not None:
        if lengths is not None:
            raise SizeError("lengths were given beside a packed sequence, which knows its own. Leave lengths out.")
        if mask is not None:
            raise SizeError(
                "A mask was given beside a packed sequence, which has no place for hidden steps. Give a tensor "
                "[T, B, size] with the mask."
            )
        return _unpacked(tuple(one for one in inputs if isinstance(one, PackedSequence)), reset, batch_first)
    tensors = tuple(one for one in inputs if isinstance(one, Tensor))
    batched = tensors[0].dim() == 3
    if not batched:
        tensors = tuple(tensor.unsqueeze(1) for tensor in tensors)
    elif batch_first:
        tensors = tuple(tensor.transpose(0, 1) for tensor in tensors)
    steps, rows = tensors[0].shape[:2]
    known = None if lengths is None else check_lengths(lengths, steps, rows)
    form = (steps, rows, batched, batch_first and batched)
    starts, counted = _checked_marks("reset", reset, *form), _checked_marks("mask", mask, *form)
    place = None
    if counted is not None and (is_traced() or not bool(counted.all())):
        place, known = places(counted), counted.sum(0, dtype=torch.int64).cpu()
        tensors = tuple(move_up(tensor, place) for tensor in tensors)
        starts = None if starts is None else move_starts(starts, place)
    if known is not None and is_traced():  # the longest length is known only when the graph runs
        starts = _among_steps(starts, known)
    elif known is not None:
        longest = int(known.max()) if rows else 0
        tensors, starts = tuple(tensor[:longest] for tensor in tensors), starts if starts is None else starts[:longest]
        # If no row is shorter, lengths are not needed any more.
        known = None if bool((known == longest).all()) else known
        starts = starts if known is None else _among_steps(starts, known)
    return SequenceBatch(tensors, known, starts, steps, batched, batch_first, place=place)


def _padding(lengths: Tensor, steps: int) -> Tensor:
    """Mark the padding, bool [T, B]."""
    return torch.arange(steps, device=lengths.device)[:, None] >= lengths


def _among_steps(reset: Tensor | None, lengths: Tensor) -> Tensor | None:
    """Remove the starts that lie in padding. In reverse, they would be taken for the last step of a row."""
    # The length of a tensor is a plain number, which a graph would hold for good; its shape may be a symbol.
    return None if reset is None else reset & ~_padding(lengths, reset.shape[0]).to(reset.device)


def check_lengths(lengths: Tensor | Sequence[int], most: int, rows: int, counted: str = "steps in the input") -> Tensor:
    """Check the lengths of a padded batch.

    Args:
        lengths: One for each row.
        most: The length of the padded batch.
        rows: The number of rows B.
        counted: What the lengths count, for the message of an error.

    Returns:
        A copy of the lengths, int64 [B] on the CPU.

    Raises:
        SizeError: If the lengths do not fit. In a graph that torch writes, values are checked when it runs.
    """
    try:
        known = torch.as_tensor(lengths, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise SizeError(f"lengths are {lengths!r}; expected a tensor or a list of whole numbers, one a row.") from None
    if known.shape != (rows,):
        raise SizeError(
            f"lengths have the shape {tuple(known.shape)}; expected one for each of the {rows} rows of the batch."
        )
    if rows and (known.is_floating_point() or known.is_complex() or known.dtype == torch.bool):
        raise SizeError(f"lengths have the type {known.dtype}; expected whole numbers, such as torch.int64.")
    known = known.to(torch.int64, copy=True)  # the caller may change lengths before the backward pass reads them
    if is_traced() and isinstance(lengths, Tensor):
        if torch.compiler.is_compiling():  # a traced graph can hold no assertion
            # The number may be symbolic, so the message does not show it.
            told = f"lengths are out of range; expected 0 to the number of {counted}."
            torch._assert_async(((known >= 0) & (known <= most)).all(), told)
        return known
    for row, length in enumerate(known.tolist() if isinstance(lengths, Tensor) else lengths):
        if not 0 <= length <= most:
            raise SizeError(f"lengths[{row}] is {length}; expected 0 to {most}, the number of {counted}.")
    return known


def _checked_marks(
    name: str, marks: Tensor | None, steps: int, rows: int, batched: bool, batch_first: bool
) -> Tensor | None:
    """Check a reset or a mask, and bring it into the form [T, B]."""
    if marks is None:
        return None
    shape, axes = ((rows, steps), "[B, T]") if batch_first else ((steps, rows), "[T, B]")
    if not batched:
        shape, axes = (steps,), "[T]"
    if not isinstance(marks, Tensor):
        raise SizeError(
            f"{name} is a {type(marks).__name__}; expected a tensor of torch.bool, of shape {axes} = {shape}."
        )
    if marks.dtype != torch.bool:
        raise SizeError(f"{name} has the type {marks.dtype}; expected torch.bool, True where {_MARKED[name]}.")
    if marks.shape != shape:
        raise SizeError(f"{name} has the shape {tuple(marks.shape)}; expected {axes} = {shape}, as the input has.")
    marks = marks.clone()  # the caller may change them before the backward pass reads them
    if not batched:
        return marks.unsqueeze(1)
    return marks.transpose(0, 1) if batch_first else marks


def _unpacked(inputs: tuple[PackedSequence, ...], reset: Tensor | None, batch_first: bool) -> SequenceBatch:
    """Take packed sequences as they are, or as [T, B, size] if all rows have the same length."""
    packed = inputs[0]
    sizes = packed.batch_sizes
    steps, rows = len(sizes), int(sizes[0])
    starts = _checked_marks("reset", reset, steps, rows, True, batch_first)
    if starts is not None:
        starts = _permuted(starts, packed.sorted_indices)
    if int(sizes[-1]) == rows:
        return SequenceBatch(
            tuple(one.data.unflatten(0, (steps, rows)) for one in inputs), None, starts, steps, packed=packed
        )
    lengths = (sizes[:, None] > torch.arange(rows, device=sizes.device)).sum(0)
    return SequenceBatch(
        tuple(one.data for one in inputs), lengths, _among_steps(starts, lengths), steps, packed=packed
    )


def _packed(inputs: tuple[Tensor, ...], joined: Concatenated) -> SequenceBatch:
    """Pack concatenated sequences [N, size], or take them as [T, B, size] if all have the same length."""
    lengths, order, sizes, index = joined.ranked()
    moved, order = index.to(inputs[0].device), order.to(inputs[0].device)
    data = tuple(one.index_select(0, moved) for one in inputs)
    packed = PackedSequence(data[0], sizes, order, order.argsort())
    steps, known = len(sizes), lengths
    if steps * joined.rows == len(index):
        data, known = tuple(one.reshape(steps, joined.rows, one.shape[-1]) for one in data), None
    return SequenceBatch(data, known, None, steps, packed=packed, joined=joined, index=moved)


def _permuted(tensor: Tensor, order: Tensor | None) -> Tensor:
    """Reorder the rows, which are the last axis of a mask or the second last axis of a state."""
    if order is None:
        return tensor
    return tensor.index_select(-1 if tensor.dtype == torch.bool else -2, order)
