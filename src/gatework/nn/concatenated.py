"""Sequences one after the other along one axis: with ``cu_seqlens``, as varlen attention takes them, or nested tensors.

The kernels run them packed, step by step with the longest sequence first, so that nothing is padded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gatework.errors import SizeError
from gatework.kernels.traced import is_traced


@dataclass(frozen=True)
class Concatenated:
    """Where the sequences of a batch [N, size] begin and end.

    Args:
        offsets: The first row of each sequence, and N at the end: int64 [B + 1] on the CPU.
        ragged: The offsets of the nested tensors that the batch came as; None if it did not.
    """

    offsets: Tensor
    ragged: Tensor | None = None

    @property
    def rows(self) -> int:
        """The number of sequences B."""
        return self.offsets.shape[0] - 1

    def ranked(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rank the sequences by length, as a PackedSequence does.

        Returns:
            The lengths, longest first [B]; the sequence that each of them belongs to [B]; the number of sequences at
            each step [T]; and the row in [N, size] of each packed row [N].

        Example:
            >>> lengths, order, sizes, index = Concatenated(torch.tensor([0, 1, 4])).ranked()
            >>> lengths.tolist(), order.tolist(), sizes.tolist(), index.tolist()
            ([3, 1], [1, 0], [2, 1, 1], [1, 0, 2, 3])
        """
        lengths, order = torch.sort(self.offsets.diff(), descending=True, stable=True)
        times = torch.arange(int(lengths[0]) if self.rows else 0, device="cpu")[:, None]
        live = lengths > times  # [T, B]
        return lengths, order, live.sum(1), (self.offsets[:-1][order] + times)[live]

    def give_back(self, packed: Tensor, index: Tensor) -> Tensor:
        """Bring a packed result [N, size] into the form of the input.

        Args:
            packed: The result.
            index: From :meth:`ranked`.
        """
        data = packed.new_zeros(packed.shape).index_copy(0, index.to(packed.device), packed)
        return data if self.ragged is None else torch.nested.nested_tensor_from_jagged(data, self.ragged)


def opened(inputs: tuple[Any, ...], cu_seqlens: Any) -> tuple[tuple[Any, ...], Concatenated | None]:
    """Find concatenated sequences among the forms of an input.

    Args:
        inputs: The inputs as the user gave them.
        cu_seqlens: The user's argument.

    Returns:
        The inputs, [N, size] each, and where the sequences are; other forms as they are, and None.

    Raises:
        SizeError: If ``cu_seqlens`` or nested tensors do not fit, or torch writes a graph.
    """
    nested = [isinstance(one, Tensor) and one.is_nested for one in inputs]
    if cu_seqlens is None and not any(nested):
        return inputs, None
    if is_traced():
        raise SizeError(
            "Concatenated sequences (cu_seqlens, nested tensors) were given while torch writes a graph, and the order "
            "in which they run depends on their lengths. Give a padded tensor with lengths, or keep the layer out of "
            "the graph with torch.compiler.disable."
        )
    if any(nested):
        return _from_nested(inputs, nested, cu_seqlens)
    for one in inputs:
        if not isinstance(one, Tensor) or one.dim() != 2:
            told = f"the shape {tuple(one.shape)}" if isinstance(one, Tensor) else f"the type {type(one).__name__}"
            raise SizeError(
                f"cu_seqlens were given with an input of {told}; expected [N, size], with all sequences one after the "
                "other."
            )
    return inputs, Concatenated(_checked_offsets(cu_seqlens, inputs[0].shape[0]))


def _from_nested(
    inputs: tuple[Any, ...], nested: Sequence[bool], cu_seqlens: Any
) -> tuple[tuple[Tensor, ...], Concatenated]:
    if cu_seqlens is not None:
        raise SizeError("cu_seqlens were given beside a nested tensor, which has offsets of its own. Leave them out.")
    if not all(nested):
        raise SizeError("Some of the inputs are nested tensors and others are not; give all of them nested, or none.")
    for one in inputs:
        if one.layout != torch.jagged or one.dim() != 3 or not isinstance(one.shape[-1], int):
            raise SizeError(
                f"A nested tensor of the layout {one.layout} with {one.dim()} axes was given; expected the layout "
                "torch.jagged and the axes [B, T, size], of which T differs. "
                "torch.nested.nested_tensor(list_of_sequences, layout=torch.jagged) makes one."
            )
        if one.lengths() is not None:
            raise SizeError("A nested tensor with gaps between its sequences was given. Call contiguous() on it.")
    ragged = inputs[0].offsets()
    offsets = ragged.detach().to("cpu", torch.int64)
    if any(not torch.equal(one.offsets().to("cpu", torch.int64), offsets) for one in inputs[1:]):
        raise SizeError(
            "The nested inputs have sequences of different lengths, so steps of different sequences would meet. Give "
            "all of them the same lengths."
        )
    return tuple(one.values() for one in inputs), Concatenated(offsets, ragged)


def _checked_offsets(given: Any, total: int) -> Tensor:
    try:
        offsets = torch.as_tensor(given, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise SizeError(f"cu_seqlens are {given!r}; expected a tensor [B + 1] of whole numbers.") from None
    if offsets.dtype not in (torch.int32, torch.int64):
        raise SizeError(f"cu_seqlens have the type {offsets.dtype}; expected torch.int32 or torch.int64.")
    if offsets.dim() != 1 or not len(offsets):
        raise SizeError(
            f"cu_seqlens have the shape {tuple(offsets.shape)}; expected [B + 1], the first row of each of the B "
            "sequences, and the number of rows at the end."
        )
    offsets = offsets.to(torch.int64, copy=True)  # the caller may change them before the backward pass reads them
    numbers = offsets.tolist()
    if numbers[0] != 0:
        raise SizeError(f"cu_seqlens[0] is {numbers[0]}; expected 0, the first row of the first sequence.")
    for place, (before, after) in enumerate(pairwise(numbers), 1):
        if after < before:
            raise SizeError(
                f"cu_seqlens[{place}] is {after}, after {before}; expected numbers that never fall, because each "
                "sequence begins where the one before it ends."
            )
    if numbers[-1] != total:
        raise SizeError(f"cu_seqlens[-1] is {numbers[-1]}; expected {total}, the number of rows of the input.")
    return offsets
