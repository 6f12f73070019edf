"""Bring the memories that a user gives a layer into the form of the kernels: [B, L, size], with the rows' own order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Union

import torch
from torch import Tensor, nn

from gatework.cells import Cell
from gatework.errors import SizeError
from gatework.kernels.traced import is_traced
from gatework.language.nodes import Step
from gatework.nn.layers import Layer
from gatework.nn.sequences import SequenceBatch

Banks = Union[Tensor, Mapping[str, Tensor], "Remembered", None]
Lengths = Tensor | Sequence[int] | Mapping[str, Tensor | Sequence[int]] | None


class Remembered:
    """Memories for single steps: what the layer computes of them alone, such as ``U @ m``, is computed at the first.

    Made by :meth:`gatework.nn.Recurrent.remember`, and given to ``step`` as its memories. After parameters change, the
    next step computes it again. A change that torch does not count, such as one through ``.data``, needs another one.

    Args:
        banks: The checked memories, [B, L, size] each.
        extents: For each memory, the number of positions of each row.
        layers: The layers that read them.
        module: The stack of layers, whose parameters they are mapped by.
    """

    def __init__(
        self,
        banks: tuple[Tensor, ...],
        extents: tuple[Tensor | None, ...],
        layers: Sequence[Layer],
        module: nn.Module,
    ) -> None:
        self.banks, self.extents, self.layers, self._module = banks, extents, tuple(layers), module
        self._versions = self._read_versions()
        self.kept: Mapping[int, dict[tuple[bool, bool], list[Any]]] = {number: {} for number in range(len(layers))}

    def check(self) -> None:
        """Forget what was computed if a parameter was changed or replaced since."""
        versions = self._read_versions()
        if versions != self._versions:
            self._versions = versions
            for kept in self.kept.values():
                kept.clear()

    def _read_versions(self) -> list[tuple[int, int]]:
        # Inference tensors have no version counter.
        return [(id(one), 0 if one.is_inference() else one._version) for one in self._module.parameters()]


def with_memories(
    batch: SequenceBatch,
    cell: Cell,
    layer: Layer,
    memories: Banks,
    lengths: Lengths,
    like: Tensor | None,
) -> SequenceBatch:
    """Add the memories to a batch.

    Args:
        batch: The batch.
        cell: The cell.
        layer: A layer, whose sizes the memories must have.
        memories: One tensor [B, L, size], or [B, L] if the equations use it as one number at each position; without a
            batch [L, size] or [L]. A mapping by name if the cell has several.
        lengths: The number of positions of each row, [B], as one tensor or list, or as a mapping by name; None for L.
        like: One of the layer's parameters, whose type the memories must have; None without parameters.

    Returns:
        The batch with its memories.

    Raises:
        SizeError: If the memories do not fit the cell or the batch.
    """
    names = cell.step.banks
    if isinstance(memories, Remembered):
        return _remembering(batch, memories, layer, lengths)
    given = _named(cell, memories, "memories", names)
    known = _named(cell, lengths, "memory_lengths", cell.step.places)  # banks with the same positions share lengths
    if missing := [name for name in names if name not in given]:
        raise SizeError(
            f"The cell `{cell.name}` reads the memories {', '.join(names)}, and {', '.join(missing)} was not given. "
            "Give a tensor [B, L, size], as in layer(x, memories=m)."
        )
    if not names:
        return batch
    step, banks, extents = layer.step, [], []
    for name in step.banks:
        size = () if step.is_bare(name) else (layer.size(name),)
        banks.append(_checked(name, given[name], batch, size, like))
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


def remembered(
    module: nn.Module, cell: Cell, layers: Sequence[Layer], memories: Banks, lengths: Lengths, like: Tensor | None
) -> Remembered:
    """Hold memories for single steps of a stack; the rest as for :func:`with_memories`, with all layers."""
    given = tuple(memories.values()) if isinstance(memories, Mapping) else (memories,)
    if not given or not isinstance(given[0], Tensor) or given[0].dim() not in (2, 3):
        raise SizeError(
            f"The memories to remember are {type(memories).__name__}; expected a tensor [B, L, size], or [L, size] "
            "without a batch, or a mapping of them by name."
        )
    batched = given[0].dim() == 3
    empty = given[0].new_zeros(1, given[0].shape[0] if batched else 1, 0)
    batch = with_memories(SequenceBatch((empty,), None, None, 1, batched), cell, layers[0], memories, lengths, like)
    return Remembered(batch.banks, batch.extents, layers, module)


def _remembering(batch: SequenceBatch, memories: Remembered, layer: Layer, lengths: Lengths) -> SequenceBatch:
    if memories.layers[0] is not layer:
        raise SizeError("These memories were remembered by another layer. Remember them by this one.")
    if lengths is not None:
        raise SizeError("memory_lengths were given beside remembered memories, which know their own. Leave them out.")
    rows = memories.banks[0].shape[0]
    if rows != batch.rows or batch.packed is not None:
        raise SizeError(
            f"The remembered memories have {rows} rows and the batch {batch.rows}; expected equally many, and no "
            "packed sequence. Remember memories for this batch."
        )
    memories.check()
    return replace(batch, banks=memories.banks, extents=memories.extents, kept=memories.kept)


def width_of(layer: Layer, name: str, batch: SequenceBatch) -> int:
    """Return the numbers of a state for a row: its size, or those at the positions of a memory."""
    step = layer.step
    return count_of(step, name, batch.banks) if step.is_bare(name) else layer.size(name)


def count_of(step: Step, name: str, banks: Sequence[Tensor], own: bool = False) -> int:
    """Return the number of positions of the memory that a name belongs to; with ``own``, of the bank itself."""
    return banks[step.banks.index(name if own else step.positions[name])].shape[1]


def _named(cell: Cell, given: Any, what: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Return what was given by name; ``names`` are those that it may have."""
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


def _checked(name: str, bank: Any, batch: SequenceBatch, size: tuple[int, ...], like: Tensor | None) -> Tensor:
    lead = (batch.rows,) if batch.batched else ()
    expected = f"[{', '.join(map(str, (*lead, 'L', *size)))}]"
    if not isinstance(bank, Tensor):
        raise SizeError(f"The memory `{name}` is a {type(bank).__name__}; expected a tensor {expected}.")
    around = (*bank.shape[: len(lead)], *bank.shape[len(lead) + 1 :])
    if bank.dim() != len(lead) + 1 + len(size) or around != (*lead, *size):
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
    # An empty list has no whole numbers: torch makes floats of it.
    odd = known is not None and rows > 0 and (known.is_floating_point() or known.dtype == torch.bool)
    if known is None or known.shape != (rows,) or odd:
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
