"""How much of a gradient is left after many steps, in layers that were only drawn and in trained ones."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

import gatework
from evidence.work.training import trained
from gatework.nn import Recurrent
from gatework.tracing import half_lives, state_jacobian

# Of the task `latch`: what is read on the way is noise of this standard deviation.
NOISE = math.sqrt(0.2)
# Less than this is written as this, for nothing has no logarithm.
_LEAST = 1e-300
_ROWS = 16


def measure_gradients(
    cell: str,
    seeds: Sequence[int],
    steps: int,
    hidden_size: int,
    options: Mapping[str, Any],
    training: Mapping[str, Any] | None,
) -> dict[str, list[Any]]:
    """Measure how much of the gradient by a state is left so many steps earlier, over noise.

    Args:
        cell: The cell.
        seeds: Where chance begins, for each layer one.
        steps: How far to look back.
        hidden_size: Units.
        options: Further options of the layer.
        training: The settings each is first trained with; None for layers as they are drawn.

    Returns:
        For each layer: ``left``, the norm of dL/ds at the first step over that at the last, s being the state that
        carries memory; of cells with a cell state ``direct`` and ``best``, the geometric mean over units, and the
        largest, of what is left along that state's own line (the product of the forget gates); ``curve``, what is left
        0, 1, 2 ... steps back along that line, and of cells without one what is left in all; ``accuracy`` of trained
        ones.
    """
    found: dict[str, list[Any]] = {}
    for seed in seeds:
        for name, value in _measure(cell, seed, steps, hidden_size, options, training).items():
            found.setdefault(name, []).append(value)
    return found


def _measure(
    cell: str,
    seed: int,
    steps: int,
    hidden_size: int,
    options: Mapping[str, Any],
    training: Mapping[str, Any] | None,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if training is None:
        layer = _drawn(cell, seed, hidden_size, options)
    else:
        trainer, _ = trained({"cell": cell, "seed": seed, "hidden_size": hidden_size, **options, **training})
        model: Any = trainer.model
        layer = model.recurrent
        found["accuracy"] = trainer.measure("test").named()["accuracy"]
    # In float64: what is left after a hundred steps is often less than float32 has numbers for.
    layer = layer.double().eval()
    given = _noise(steps + 1, seed)
    state = layer.cell.states[-1]
    flow = gatework.gradient_flow(layer, given, seed=seed)[state]
    left = (flow / flow[-1]).median(dim=1).values.clamp(min=_LEAST)  # [steps + 1]
    found |= {"left": float(left[0]), "curve": left.flip(0).tolist()}
    if "c" in layer.cell.states:
        every = state_jacobian(layer, given[:, :1], of="c").direct[:, 0].diagonal(dim1=-2, dim2=-1)
        kept = every.abs().clamp(min=_LEAST)  # [steps + 1, H]
        along = kept.log().mean(dim=1).exp()
        found |= {"direct": float(along[0]), "best": float(kept[0].max()), "curve": along.flip(0).tolist()}
    return found


def measure_half_lives(
    cell: str, seeds: Sequence[int], steps: int, hidden_size: int, options: Mapping[str, Any]
) -> dict[str, list[float]]:
    """Measure how long layers as they are drawn keep what is in them, over noise.

    Args:
        cell: The cell.
        seeds: Where chance begins, for each layer one.
        steps: Steps of noise.
        hidden_size: Units.
        options: Further options of the layer.

    Returns:
        ``half_life`` for each layer, in steps: the median unit's along the cell state; of a cell without one, after
        which step the norm of the Jacobian of its state is halved, between two steps interpolated.
    """
    found = []
    for seed in seeds:
        layer = _drawn(cell, seed, hidden_size, options).double()
        given = _noise(steps, seed)
        if "c" in layer.cell.states:
            lives = half_lives(layer, gatework.trace(layer, given), "c")
            found.append(float(lives.median()))
        else:
            whole = state_jacobian(layer, given).whole  # [T, B, H, H], the last step's is the identity
            norms = torch.linalg.matrix_norm(whole).log().mean(1).flip(0)
            found.append(_halved((norms - norms[0]).tolist()))
    return {"half_life": found}


def _drawn(cell: str, seed: int, hidden_size: int, options: Mapping[str, Any]) -> Recurrent:
    torch.manual_seed(seed)
    return Recurrent(cell, 1, hidden_size, **options)


def _noise(steps: int, seed: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(steps, _ROWS, 1, generator=chance, dtype=torch.float64) * NOISE


def _halved(logs: Sequence[float]) -> float:
    """Say at which place logarithms that begin at 0 first reach that of one half."""
    wanted = math.log(0.5)
    for place, (before, after) in enumerate(pairwise(logs)):
        if after <= wanted:
            return place + (before - wanted) / (before - after)
    return math.inf
