"""The lines of a step: the bounds of their values, and their roles."""

from collections.abc import Mapping
from typing import Literal

from gatework.language.anatomy.expressions import has_product
from gatework.language.functions import FUNCTIONS, INFINITY
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Step

Bounds = tuple[float, float]
"""The least and the greatest value that a quantity can have."""

Role = Literal["state", "gate", "candidate", "other"]
"""The role of a line."""

_REAL: Bounds = (-INFINITY, INFINITY)


def find_bounds(step: Step) -> dict[str, Bounds]:
    r"""Find bounds on the values of a step's lines, as far as the functions in them tell.

    Args:
        step: The equations.

    Returns:
        The least and the greatest value of each line.

    Example:
        >>> from gatework.language import parse
        >>> find_bounds(parse("f = sigmoid(W @ x)\nh = (1 - f) * tanh(R @ h)"))
        {'f': (0, 1), 'h': (-1.0, 1.0)}
    """
    known: dict[str, Bounds] = {}
    for line in step.equations:
        known[line.target] = _bounds(line.value, known)
    return known


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


def find_roles(step: Step) -> dict[str, Role]:
    r"""Find the role of each line.

    Args:
        step: The equations.

    Returns:
        For each line ``state``; ``gate``, a value between 0 and 1; ``candidate``, any other line with a matrix product;
        or ``other``.

    Example:
        >>> from gatework.language import parse
        >>> find_roles(parse("f = sigmoid(W @ x)\ng = tanh(V @ x)\nk = 1 + f\nh = f * h + k * g"))
        {'f': 'gate', 'g': 'candidate', 'k': 'other', 'h': 'state'}
    """
    bounds = find_bounds(step)
    roles: dict[str, Role] = {}
    for line in step.equations:
        if line.target in step.states:
            roles[line.target] = "state"
        elif bounds[line.target] == (0, 1):
            roles[line.target] = "gate"
        else:
            roles[line.target] = "candidate" if has_product(line.value) else "other"
    return roles


def find_activations(step: Step) -> dict[str, Equation]:
    """Map the lines that are a function of a sum with a matrix product in it, ``sigmoid(W @ x + b)``, by name."""
    return {
        line.target: line
        for line in step.equations
        if isinstance(line.value, Apply) and len(line.value.arguments) == 1 and has_product(line.value)
    }
