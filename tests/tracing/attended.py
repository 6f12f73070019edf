"""Cells that read memories, for the tests of everything that looks inside them."""

from typing import Any

import torch

import gatework
from gatework.cells.attending import KINDS

STEPS, ROWS, PLACES = 5, 3, 4
EXTENTS = [4, 2, 0]

_COVERED = """
    seen = 0.75 * seen + a
    score = v_a @ tanh(U_a @ m + V_a @ h + spread(seen, F)) + log(pick)
    a = softmax(score)
    z = a @ k
    c = sigmoid(W_f @ x + R_f @ h) * c + tanh(W_z @ x + C_z @ z)
    h = tanh(c)
"""
_TWO = """
    a = softmax(m @ (U @ h))
    y = a @ m
    e = tanh(U_n @ n + V_n @ y)
    b = softmax(v_n @ e)
    h = tanh(W @ x + R @ h + C @ y + D @ (b @ n))
"""

CELLS = {kind: gatework.attend(gatework.CELLS["lstm"], kind, width=3) for kind in KINDS}
CELLS["on a GRU"] = gatework.attend(gatework.CELLS["gru"])
CELLS["covered"] = gatework.cell(_COVERED, states="h c seen a", inputs="x pick", memories="m=k=pick")
CELLS["two"] = gatework.cell(_TWO, states="h", memories="m n")
"""All kinds of attention, and typed cells: a state, a second bank and an input at positions, and two memories."""

ON_THE_REFERENCE = ("location", "covered")
"""The cells with a state at positions, which kernels do not run."""


def layer_of(cell: gatework.Cell, dtype: torch.dtype = torch.float64, **options: Any) -> gatework.Recurrent:
    """A layer with random values everywhere."""
    sizes = {name: 5 + place for place, name in enumerate(cell.step.banks) if cell.step.sizes_of[name] != "hidden_size"}
    layer = gatework.Recurrent(cell, 3, 4, memory_size=sizes or None, dtype=dtype, **options).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return layer


def given_for(layer: gatework.Recurrent, extents: list[int] | None = EXTENTS) -> tuple[Any, dict[str, Any]]:
    """Random inputs, and random memories with the number of positions of each row."""
    generator, first = torch.Generator().manual_seed(1), layer.layers[0]
    dtype = next(layer.parameters()).dtype

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    step = layer.cell.step
    inputs = tuple(drawn(STEPS, ROWS, 3) if name == "x" else drawn(STEPS, ROWS, PLACES).exp() for name in step.inputs)
    options: dict[str, Any] = {"memories": {name: drawn(ROWS, PLACES, first.size(name)) for name in step.banks}}
    if extents is not None:
        options["memory_lengths"] = dict.fromkeys(step.places, extents)
    return inputs[0] if len(inputs) == 1 else inputs, options
