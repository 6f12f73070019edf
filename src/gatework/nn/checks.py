"""The checks of a layer's arguments. Each error says what was given, what was expected, and what to do."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.cells import Cell
from gatework.errors import SizeError
from gatework.nn.layers import Layer, outer_inputs
from gatework.nn.memories import Remembered, count_of


def check_options(
    hidden_size: int | Sequence[int], num_layers: int, dropout: float, proj_size: int, **flags: bool
) -> tuple[int, ...]:
    """Check a layer's options.

    Args:
        hidden_size: Number of units of all layers, or a list with one for each layer.
        num_layers: Number of layers.
        dropout: Probability of zeroing.
        proj_size: Size of the projected output; 0 for no projection.
        **flags: Options that are true or false.

    Returns:
        The hidden size of each layer.

    Raises:
        SizeError: For an invalid option.
    """
    for name, flag in flags.items():
        check_flag(name, flag)
    check_count("num_layers", num_layers)
    check_rate("dropout", dropout)
    if isinstance(proj_size, bool) or not isinstance(proj_size, int) or proj_size < 0:
        raise SizeError(f"proj_size is {proj_size!r}; expected a whole number, 0 for no projection.")
    if isinstance(hidden_size, int):
        return (hidden_size,) * num_layers
    if not isinstance(hidden_size, Sequence) or isinstance(hidden_size, str) or not hidden_size:
        raise SizeError(f"hidden_size is {hidden_size!r}; expected a whole number, or a list with one for each layer.")
    if num_layers not in (1, len(hidden_size)):
        raise SizeError(
            f"hidden_size names {len(hidden_size)} layers and num_layers is {num_layers}. Leave num_layers out, or "
            "make them agree."
        )
    return tuple(hidden_size)


def check_flag(name: str, flag: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(flag, bool):
        raise SizeError(f"{name} is {flag!r}; expected True or False.")


def check_count(name: str, count: object) -> None:
    """Refuse what is no whole number of at least 1."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SizeError(f"{name} is {count!r}; expected a whole number of at least 1.")


def check_rate(name: str, rate: float) -> None:
    """Refuse what is no probability."""
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0 <= rate <= 1:
        raise SizeError(f"{name} is {rate!r}; expected a probability, from 0 to 1.")


def check_names(cell: Cell, names: Sequence[str]) -> None:
    """Check that the equations have the quantities to record.

    Raises:
        SizeError: If the equations lack one of them.
    """
    for name in names:
        if name not in cell.step.sizes_of or name in cell.step.banks:
            known = ", ".join(one for one in cell.step.sizes_of if one not in cell.step.banks)
            raise SizeError(f"`{name}` cannot be recorded: the cell `{cell.name}` has the quantities {known}.")


def check_inputs(
    cell: Cell,
    first: Layer,
    inputs: tuple[Any, ...],
    weight: Tensor | None,
    batch_first: bool,
    memories: Any = None,
) -> int | None:
    """Check the inputs of a stack.

    Args:
        cell: The cell.
        first: The lowest layer.
        inputs: The given inputs, one for each input of the cell.
        weight: One of the layer's parameters, whose type the inputs must have; None if there are no parameters.
        batch_first: Whether B is the first axis.
        memories: The given memories, which say how many numbers an input at their positions has.

    Returns:
        The number of rows B; None without a batch.

    Raises:
        SizeError: If the inputs do not fit.
    """
    names = outer_inputs(cell)
    if len(inputs) != len(names):
        raise SizeError(
            f"{len(inputs)} inputs were given; the cell `{cell.name}` has {len(names)}: {', '.join(names)}. Give a "
            "tuple of tensors in this order."
        )
    rows: list[Any] = []
    for name, given in zip(names, inputs, strict=True):
        packed = isinstance(given, PackedSequence)
        tensor = given.data if packed else given
        if not isinstance(tensor, Tensor):
            raise SizeError(f"The input `{name}` is a {type(given).__name__}; expected a tensor or a PackedSequence.")
        size = first.projected_from if name == names[0] and first.projected_from else _width(first, name, memories)
        form = f"[T, B, {size}]" if not batch_first else f"[B, T, {size}]"
        if tensor.shape[-1:] != (size,) or tensor.dim() not in ((2,) if packed else (2, 3)):
            raise SizeError(
                f"The input `{name}` has the shape {tuple(tensor.shape)}; expected {form}, or [T, {size}] without a "
                "batch."
            )
        if weight is not None and tensor.dtype != weight.dtype and not torch.is_autocast_enabled(tensor.device.type):
            raise SizeError(
                f"The input `{name}` has the type {tensor.dtype} and the layer {weight.dtype}. Convert one: "
                f"input.to({weight.dtype}), or layer.to({tensor.dtype})."
            )
        rows.append(given.batch_sizes.tolist() if packed else list(tensor.shape[:-1]))
    if any(other != rows[0] for other in rows):
        shapes = ", ".join(f"`{name}` {shape}" for name, shape in zip(names, rows, strict=True))
        raise SizeError(f"The inputs have different numbers of steps or rows: {shapes}.")
    packs = [one for one in inputs if isinstance(one, PackedSequence)]
    if packs and len(packs) < len(inputs):
        raise SizeError("Some of the inputs are packed and others are not; pack all of them, or none.")
    if any(not _same_order(one, packs[0]) for one in packs[1:]):
        raise SizeError(
            "The packed inputs have their rows in different orders, so steps of different sequences would meet. Pack "
            "all of them with the same lengths."
        )
    if packs:
        return rows[0][0]
    return None if len(rows[0]) == 1 else rows[0][0 if batch_first else 1]


def _width(layer: Layer, name: str, memories: Any) -> int:
    """Return the numbers of a row: the size of a name, or the positions of the memory that it belongs to."""
    step = layer.step
    if not step.is_bare(name):
        return layer.size(name)
    if isinstance(memories, Remembered):
        return count_of(step, name, memories.banks)
    given = memories.get(step.positions[name]) if isinstance(memories, Mapping) else memories
    if not isinstance(given, Tensor) or given.dim() < 2:
        raise SizeError(
            f"`{name}` has a number for each position of the memory `{step.positions[name]}`, which is a "
            f"{type(given).__name__}; expected a tensor [B, L, size]. Give it as in layer(x, memories=m)."
        )
    return given.shape[-2]


def _same_order(one: PackedSequence, other: PackedSequence) -> bool:
    """Tell whether two packed sequences have their rows in the same order; both have the same rows at each step."""
    if one.sorted_indices is other.sorted_indices:
        return True
    orders = []
    for packed in (one, other):
        order = packed.sorted_indices
        orders.append(torch.arange(int(packed.batch_sizes[0]), device="cpu") if order is None else order.cpu())
    return torch.equal(*orders)


def check_state(
    cell: Cell,
    layers: Sequence[Layer],
    directions: int,
    state: Any,
    rows: int | None,
    together: bool,
    weight: Tensor | None,
    memories: Any = None,
) -> None:
    """Check a given state.

    Args:
        cell: The cell.
        layers: The layers of the stack.
        directions: 1, or 2 if bidirectional.
        state: The given state; None needs no check.
        rows: The number of rows B; None without a batch.
        together: Whether one tensor holds the states of all layers.
        weight: As for :func:`check_inputs`.
        memories: As for :func:`check_inputs`.

    Raises:
        SizeError: If the state does not fit.
    """
    if state is None:
        return
    names = cell.states
    given = (state,) if len(names) == 1 else state
    if not isinstance(given, tuple | list) or len(given) != len(names):
        what = f"{len(given)} parts" if isinstance(given, tuple | list) else f"a {type(given).__name__}"
        raise SizeError(f"state is {what}; the cell `{cell.name}` has {len(names)} states. Give ({', '.join(names)}).")
    row = () if rows is None else (rows,)
    for name, part in zip(names, given, strict=True):
        each = [(*row, _width(layer, name, memories)) for layer in layers for _ in range(directions)]
        tensors = part if isinstance(part, tuple | list) and not together else [part]
        shapes = [tuple(tensor.shape) for tensor in tensors if isinstance(tensor, Tensor)]
        expected = [(len(each), *each[0])] if together else each
        if shapes != expected:
            shown = expected[0] if together else f"a tuple of {', '.join(map(str, expected))}"
            seen = ", ".join(map(str, shapes)) or type(part).__name__
            raise SizeError(f"The state `{name}` has the shape {seen}; expected {shown}.")
        for tensor in tensors:
            if (
                weight is not None
                and tensor.dtype != weight.dtype
                and not torch.is_autocast_enabled(tensor.device.type)
            ):
                raise SizeError(
                    f"The state `{name}` has the type {tensor.dtype} and the layer {weight.dtype}. Convert it: "
                    f"state.to({weight.dtype})."
                )
