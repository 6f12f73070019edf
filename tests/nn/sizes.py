"""Small layers of any cell, for tests that go over the whole registry."""

from typing import Any

import torch
from torch import Tensor

import gatework
from gatework.language import Apply, Name
from gatework.language.nodes import walk


def sizes_of(cell: gatework.Cell) -> dict[str, Any]:
    """Odd sizes, as small as the cell's blocks and elementwise inputs allow."""
    multiple = cell.step.multiple_of
    hidden_size = multiple if multiple > 1 else 5
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    return {
        "input_size": hidden_size if elementwise else 3,
        "hidden_size": hidden_size,
        "proj_size": 2 if "proj_size" in cell.step.size_keys else 0,
    }


def layer_of(
    cell: gatework.Cell, num_layers: int = 1, dtype: torch.dtype = torch.float64, **options
) -> gatework.Recurrent:
    """A layer with random values everywhere, none of them special."""
    generator = torch.Generator().manual_seed(0)
    layer = gatework.Recurrent(cell, num_layers=num_layers, dtype=dtype, **sizes_of(cell), **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return layer


def inputs_for(layer: gatework.Recurrent, steps: int, rows: int, seed: int = 1) -> Tensor:
    """Random sequences [T, B, I]."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(layer.parameters()).dtype
    return torch.randn(steps, rows, sizes_of(layer.cell)["input_size"], generator=generator).to(dtype)


def as_tuple(state):
    """Make the state of a cell with one state a tuple too."""
    return state if isinstance(state, tuple) else (state,)


def as_state(parts):
    """The opposite of :func:`as_tuple`."""
    return parts if len(parts) > 1 else parts[0]


def counters(cell: gatework.Cell) -> set[str]:
    """Name the states that count rather than measure, in which nothing is differentiable."""
    counted = (
        node
        for equation in cell.step.equations
        for below in walk(equation.value)
        if isinstance(below, Apply) and below.function in ("divides", "mod")
        for node in walk(below)
    )
    return {node.name for node in counted if isinstance(node, Name)} & set(cell.states)
