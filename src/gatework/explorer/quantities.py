"""What a layer's equations compute, as a reader wants it listed: gates, states, candidates, and the states' parts."""

import math
from collections.abc import Mapping

import torch

from gatework.explorer.messages import QuantityAnswer
from gatework.language import FUNCTIONS, Apply, Name, Node, Number, Product, Step
from gatework.language.nodes import walk
from gatework.models.language import LanguageModel
from gatework.nn import Recurrent
from gatework.tracing import TracedLayer, trace

Place = tuple[int, int]
"""A layer and a direction."""

Bounds = tuple[float, float]

_REAL: Bounds = (-math.inf, math.inf)


def list_quantities(model: LanguageModel) -> dict[Place, list[QuantityAnswer]]:
    """List what can be traced of a model.

    Args:
        model: The model.

    Returns:
        For each layer and direction its quantities, in the order of the equations, parts last.
    """
    layer: Recurrent = model.recurrent
    # One step of an ordinary trace says what there is; it also compiles the kernels that are wanted next.
    traced = trace(layer, model.embedding(torch.zeros(1, 1, dtype=torch.int64)), parts=True)
    found = {}
    for one in traced.layers:
        keys = [key for key in traced if traced.layer(key) is one]
        sizes = {traced.bare(key): traced[key].shape[-1] for key in keys}
        known = find_bounds(one.step)
        found[one.number, one.direction] = [_described(one, name, size, known) for name, size in sizes.items()]
    return found


def find_bounds(step: Step) -> dict[str, Bounds]:
    """Find between which numbers the lines of a step lie, as far as the functions in them say so.

    Args:
        step: The equations.

    Returns:
        For each line the least and the greatest value.

    Example:
        >>> from gatework.language import parse
        >>> find_bounds(parse("f = sigmoid(W @ x); h = (1 - f) * tanh(R @ h)".replace("; ", chr(10))))
        {'f': (0, 1), 'h': (-1.0, 1.0)}
    """
    known: dict[str, Bounds] = {}
    for line in step.equations:
        known[line.target] = _bounds(line.value, known)
    return known


def _described(layer: TracedLayer, name: str, size: int, known: Mapping[str, Bounds]) -> QuantityAnswer:
    step = layer.step
    if name in layer.parts:
        # A part has no line of its own; what it is a part of tells people what it is.
        return QuantityAnswer(
            name=name, comment=f"part of {layer.parts[name]}", role="part", low=None, high=None, size=size
        )
    low, high = known[name]
    bounded = math.isfinite(low) and math.isfinite(high)
    line = next(line for line in step.equations if line.target == name)
    if name in step.states:
        role = "state"
    elif (low, high) == (0, 1):
        role = "gate"
    elif any(isinstance(node, Product) for node in walk(line.value)):
        role = "candidate"
    else:
        role = "other"
    return QuantityAnswer(
        name=name,
        comment=line.comment,
        role=role,
        low=float(low) if bounded else None,
        high=float(high) if bounded else None,
        size=size,
    )


def _bounds(node: Node, known: Mapping[str, Bounds]) -> Bounds:
    if isinstance(node, Number):
        return node.value, node.value
    if isinstance(node, Name):
        return _REAL if node.previous else known.get(node.name, _REAL)
    if not isinstance(node, Apply):
        return _REAL
    below = [_bounds(argument, known) for argument in node.arguments]
    match node.function, below:
        case "add", [(a, b), (c, d)]:
            return a + c, b + d
        case "sub", [(a, b), (c, d)]:
            return a - d, b - c
        case "neg", [(a, b)]:
            return -b, -a
        case "mul", [(a, b), (c, d)]:
            # Zero times infinity is zero here: a factor that is always 0 gives 0.
            corners = [0.0 if 0 in (p, q) else p * q for p in (a, b) for q in (c, d)]
            return min(corners), max(corners)
        case (("where" | "maximum" | "minimum"), [*_, (a, b), (c, d)]):
            return min(a, c), max(b, d)
    return FUNCTIONS[node.function].range
