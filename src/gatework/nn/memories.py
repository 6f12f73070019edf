"""Bring the memories that a user gives a layer into the form of the kernels: [B, L, size], with the rows' own order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.errors import SizeError
from gatework.kernels.traced import is_traced
from gatework.language.nodes import Step
from gatework.nn.layers import Layer
from gatework.nn.sequences import SequenceBatch

Banks = Tensor | Mapping[str, Tensor] | None
Lengths = Tensor | Sequence[int] | Mapping[str, Tensor | Sequence[int]] | None


def with_memories(
    batch: SequenceBatch, cell: Cell, layer: Layer, memories: Banks, lengths: Lengths, like: Tensor | None
) -> SequenceBatch:
    """Add the memories to a batch.

    Args:
        batch: The batch.
        cell: The cell.
        layer: A layer, whose sizes the memories must have.
        memories: One tensor [B, L, size], or [L, size] without a batch; a mapping by name if the cell has several.
        lengths: The number of positions of each row, [B], as one tensor or list, or as a mapping by name; None for L.
        like: One of the layer's parameters, whose type the memories must have; None without parameters.

    Returns:
        The batch with its memories.

    Raises:
        SizeError: If the memories do not fit the cell or the batch.
    """
    names = cell.step.banks
    given, known = _named(cell, memories, "memories"), _named(cell, lengths, "memory_lengths")
    if missing := [name for name in names if name not in given]:
        raise SizeError(
            f"The cell `{cell.name}` reads the memories {', '.join(names)}, and {', '.join(missing)} was not given. "
            "Give a tensor [B, L, size], as in layer(x, memories=m)."
        )
    if not names:
        return batch
    step, banks, extents = layer.step, [], []
    for name in step.banks:
        banks.append(_checked(name, given[name], batch, layer.size(name), like))
    for name in step.places:
        count = count_of(step, name, banks)
        extents.append(_extents(name, known.get(name), batch.rows, count))
        for other in step.banks:
            if step.positions[other] == name and count_of(step, other, banks, own=True) != count:
                raise SizeError(
                    f"The memory `{other}` has {count_of(step, other, banks, own=True)} positions and `{name}` "
                    f"{count}; expected equally many, because their positions meet."
                )
    order = None if batch.packed is None else batch.packed.sorted_indices
    if order is not None:
        banks = [bank.index_select(0, order) for bank in banks]
        extents = [one if one is None else one.index_select(0, order.cpu()) for one in extents]
    return replace(batch, banks=tuple(banks), extents=tuple(extents))


def width_of(layer: Layer, name: str, batch: SequenceBatch) -> int:
    """Return the numbers of a state for a row: its size, or those at the positions of a memory."""
    step = layer.step
    return count_of(step, name, batch.banks) if step.is_bare(name) else layer.size(name)


def count_of(step: Step, name: str, banks: Sequence[Tensor], own: bool = False) -> int:
    """Return the number of positions of the memory that a name belongs to; with ``own``, of the bank itself."""
    return banks[step.banks.index(name if own else step.positions[name])].shape[1]


def _named(cell: Cell, given: Any, what: str) -> Mapping[str, Any]:
    names = cell.step.banks
    if given is None:
        return {}
    if not names:
        raise SizeError(f"{what} were given, and the cell `{cell.name}` has no memory. Leave them out.")
    if not isinstance(given, Mapping):
        if len(names) > 1:
            raise SizeError(
                f"{what} is a {type(given).__name__}; the cell `{cell.name}` has the memories {', '.join(names)}. "
                f"Give a mapping by name, as in {{'{names[0]}': ...}}."
            )
        return {names[0]: given}
    if unknown := [name for name in given if name not in names]:
        raise SizeError(
            f"{what} names {', '.join(map(str, unknown))}; the cell `{cell.name}` has the memories {', '.join(names)}."
        )
    return given


def _checked(name: str, bank: Any, batch: SequenceBatch, size: int, like: Tensor | None) -> Tensor:
    if not isinstance(bank, Tensor):
        raise SizeError(f"The memory `{name}` is a {type(bank).__name__}; expected a tensor [B, L, {size}].")
    lead = (batch.rows,) if batch.batched else ()
    if bank.dim() != len(lead) + 2 or bank.shape[: len(lead)] != lead or bank.shape[-1] != size:
        expected = f"[{batch.rows}, L, {size}]" if lead else f"[L, {size}]"
        raise SizeError(f"The memory `{name}` has the shape {tuple(bank.shape)}; expected {expected}.")
    if like is not None and bank.dtype != like.dtype and not torch.is_autocast_enabled(bank.device.type):
        raise SizeError(
            f"The memory `{name}` has the type {bank.dtype} and the layer {like.dtype}. Convert it: "
            f"memory.to({like.dtype})."
        )
    if bank.device != batch.inputs[0].device:
        raise SizeError(
            f"The memory `{name}` is on {bank.device} and the input on {batch.inputs[0].device}. Move one with .to()."
        )
    return bank if lead else bank.unsqueeze(0)


def _extents(name: str, lengths: Any, rows: int, count: int) -> Tensor | None:
    if lengths is None:
        return None
    try:
        known = torch.as_tensor(lengths, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        known = None
    if known is None or known.shape != (rows,) or known.is_floating_point() or known.dtype == torch.bool:
        shown = lengths if known is None else f"of shape {tuple(known.shape)} and type {known.dtype}"
        raise SizeError(
            f"The lengths of the memory `{name}` are {shown}; expected a whole number for each of the {rows} rows."
        )
    known = known.to(torch.int64, copy=True)  # the caller may change them before the backward pass reads them
    if not is_traced():
        for row, length in enumerate(known.tolist()):
            if not 0 <= length <= count:
                raise SizeError(
                    f"The length of row {row} of the memory `{name}` is {length}; expected 0 to {count}, its number of "
                    "positions."
                )
    return known
