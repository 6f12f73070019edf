"""The quantities that a layer's equations compute, listed for readers: gates, states, candidates, and states' parts."""

import math

import torch

from gatework.explorer.messages import QuantityAnswer
from gatework.language.anatomy import find_bounds, find_roles
from gatework.models.language import LanguageModel
from gatework.nn import Recurrent
from gatework.tracing import TracedLayer, trace

LayerDirection = tuple[int, int]
"""A layer and a direction."""


def list_quantities(model: LanguageModel) -> dict[LayerDirection, list[QuantityAnswer]]:
    """List the quantities of a model that can be traced.

    Args:
        model: The model.

    Returns:
        The quantities of each layer and direction, in the order of the equations, parts last.
    """
    layer: Recurrent = model.recurrent
    # One step of an ordinary trace shows what there is. It also compiles the kernels that are needed next.
    traced = trace(layer, model.embedding(torch.zeros(1, 1, dtype=torch.int64)), parts=True)
    quantities = {}
    for one in traced.layers:
        keys = [key for key in traced if traced.layer(key) is one]
        sizes = {traced.bare(key): traced[key].shape[-1] for key in keys}
        quantities[one.number, one.direction] = [_described(one, name, size) for name, size in sizes.items()]
    return quantities


def _described(layer: TracedLayer, name: str, size: int) -> QuantityAnswer:
    step = layer.step
    if name in layer.parts:
        # A part has no line of its own, so its description names the quantity that it is a part of.
        return QuantityAnswer(
            name=name, comment=f"part of {layer.parts[name]}", role="part", low=None, high=None, size=size
        )
    low, high = find_bounds(step)[name]
    bounded = math.isfinite(low) and math.isfinite(high)
    line = next(line for line in step.equations if line.target == name)
    return QuantityAnswer(
        name=name,
        comment=line.comment,
        role=find_roles(step)[name],
        low=float(low) if bounded else None,
        high=float(high) if bounded else None,
        size=size,
    )
