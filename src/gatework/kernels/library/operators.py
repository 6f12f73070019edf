"""The table of torch's fused operators: the equations of each, and its order of parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Operator:
    """One of torch's operators over a whole sequence.

    Args:
        name: Its name in torch, the ``mode`` of ``torch.nn.RNNBase``.
        equations: The equations that it computes, in the language of cells.
        states: Its states, the output first.
        gates: For each gate, in torch's order, the ending of its parameters' names: ``W_``, ``R_``, ``b_``, ``c_``.
            ``c_`` is a second bias, if it is not simply added to the first one.
    """

    name: str
    equations: str
    states: tuple[str, ...]
    gates: tuple[str, ...]


_TABLE = (
    Operator(
        "LSTM",
        """
        i = sigmoid(W_i @ x + R_i @ h + b_i)
        f = sigmoid(W_f @ x + R_f @ h + b_f)
        g = tanh(W_g @ x + R_g @ h + b_g)
        o = sigmoid(W_o @ x + R_o @ h + b_o)
        c = f * c + i * g
        h = o * tanh(c)
        """,
        ("h", "c"),
        ("i", "f", "g", "o"),
    ),
    Operator(
        "GRU",
        """
        r = sigmoid(W_r @ x + R_r @ h + b_r)
        z = sigmoid(W_z @ x + R_z @ h + b_z)
        n = tanh(W_n @ x + b_n + r * (R_n @ h + c_n))
        h = (1 - z) * n + z * h
        """,
        ("h",),
        ("r", "z", "n"),
    ),
    Operator("RNN_TANH", "h = tanh(W_h @ x + R_h @ h + b_h)", ("h",), ("h",)),
    Operator("RNN_RELU", "h = relu(W_h @ x + R_h @ h + b_h)", ("h",), ("h",)),
)

OPERATORS: Mapping[str, Operator] = {row.name: row for row in _TABLE}
"""The operators by name: a new one is a new row."""

CALLS: dict[str, Callable[..., Any]] = {name: getattr(torch._VF, name.lower()) for name in OPERATORS}
"""What is called for each. torch itself takes them to cuDNN, MIOpen, MPS, XPU or oneDNN, by the device."""
