"""torchrecurrent's cells that the registry shares, with our weights in them."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from benchmarks.cpu.contestants import Network, over_sequence
from torch import Tensor

import gatework

try:
    import torchrecurrent  # pyrefly: ignore [missing-import]
except ImportError as error:  # then the table is not measured, and says so
    MISSING = str(error)
else:
    MISSING = ""

NOTHING = "0"


@dataclass(frozen=True)
class Shared:
    """A cell that both have.

    Args:
        layer: Its layer there.
        tensors: Each tensor of its cell, as the parameters of our equations that lie in it one below the other; "0"
            for a part that our equations lack, and that therefore is zero.
        keywords: What makes its equations ours.
        constants: What is learned there and a number in our equations; it has that number.
    """

    layer: str
    tensors: dict[str, str]
    keywords: dict[str, Any]
    constants: tuple[str, ...] = ()


# The second bias is switched off: it would only be added to the first.
_ONE_BIAS = {"recurrent_bias": False}
SHARED = {
    "peephole": Shared(
        "PeepholeLSTM",
        {
            "weight_ih": "W_i W_f W_g W_o",
            "weight_hh": "R_i R_f R_g R_o",
            "weight_ph": "p_i p_f p_o",
            "bias_ih": "b_i b_f b_g b_o",
        },
        _ONE_BIAS,
    ),
    "lstm_multiplicative": Shared(
        "MultiplicativeLSTM",
        {
            "weight_ih": "W_m W_i W_f W_g W_o",
            "weight_hh": "R_m",
            "weight_mh": "R_i R_f R_g R_o",
            "bias_ih": "0 b_i b_f b_g b_o",
        },
        _ONE_BIAS | {"multiplicative_bias": False},
    ),
    "mgu": Shared("MGU", {"weight_ih": "W_f W_n", "weight_hh": "R_f R_n", "bias_ih": "b_f b_n"}, _ONE_BIAS),
    "mut3": Shared(
        "MUT3", {"weight_ih": "W_z W_r W_h", "weight_hh": "R_z R_r R_h", "bias_ih": "b_z b_r b_h"}, _ONE_BIAS
    ),
    "janet": Shared(
        "JANET",
        {"weight_ih": "W_f W_g", "weight_hh": "R_f R_g", "bias_ih": "b_f b_g"},
        _ONE_BIAS | {"beta": 1.0},
        ("beta",),
    ),
    "indrnn": Shared(
        "IndRNN",
        {"weight_ih": "W_h", "vector_u": "u_h", "bias_ih": "b_h"},
        _ONE_BIAS | {"nonlinearity": "relu"},
    ),
}

DIFFERENT = {
    "mut1": "theirs multiplies the input of the candidate by a matrix, ours takes tanh(x) as in the paper",
    "mut2": "theirs multiplies the input of the reset gate by a matrix, ours takes x as in the paper",
    "lstm_1997": "theirs squashes by tanh, ours by the paper's 4 sigmoid - 2 and 2 sigmoid - 1",
}


def theirs(name: str, ours: gatework.Recurrent, given: Tensor, state: Any) -> Network:
    """Make the peer of a layer.

    Args:
        name: The cell's name in the registry; a row of ``SHARED``.
        ours: Our layer, whose weights are taken.
        given: The input [T, B, I].
        state: The initial state.

    Returns:
        The network; its gradients have the names of our equations.
    """
    shared, weights = SHARED[name], ours.named_weights(0)
    assert isinstance(ours.input_size, int)
    assert isinstance(ours.hidden_size, int)
    layer = getattr(torchrecurrent, shared.layer)(ours.input_size, ours.hidden_size, **shared.keywords)
    cell, units = layer.cells[0], ours.hidden_size
    for constant in shared.constants:
        getattr(cell, constant).requires_grad_(False)
    with torch.no_grad():
        for key, text in shared.tensors.items():
            parts = [torch.zeros(units) if part == NOTHING else weights[part] for part in text.split()]
            getattr(cell, key).copy_(torch.cat(parts))

    def gradients() -> dict[str, Tensor]:
        pieces = [
            (part, piece)
            for key, text in shared.tensors.items()
            for part, piece in zip(text.split(), getattr(cell, key).grad.split(units), strict=True)
        ]
        return {part: piece for part, piece in pieces if part != NOTHING}

    return replace(over_sequence(f"torchrecurrent.{shared.layer}", layer, given, state), gradients=gradients)
