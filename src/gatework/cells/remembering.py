"""The biases that decide how long a cell remembers, derived from its equations.

A state is kept if its equation has a term with the state's previous value, as in ``c = f * c + i * g``. The gate that
is multiplied with this value keeps the state. Gates in the other terms write to it. A gate is a sigmoid, or one minus a
gate. Its bias is the vector that is added inside the sigmoid.
"""

from collections.abc import Iterator

from gatework.language import Step
from gatework.language.nodes import Apply, Name, Node, Number

_ADDED = {"add": (1, 1), "sub": (1, -1)}


def biases_that_remember(step: Step) -> dict[str, int]:
    r"""Find the biases that decide how long a cell remembers.

    Args:
        step: The cell's equations.

    Returns:
        Bias -> +1 if a larger bias means a longer memory, -1 if a smaller bias does. The bias of the gate that keeps
        the state comes first. The result is empty if no gate keeps a state.

    Example:
        >>> from gatework.language import parse
        >>> biases_that_remember(parse("z = sigmoid(W_z @ x + b_z)\nh = (1 - z) * h + z * tanh(W_h @ x)"))
        {'b_z': -1}
    """
    lines = {equation.target: equation.value for equation in step.equations}
    biases = {parameter.name for parameter in step.parameters if parameter.role == "bias"}
    keeping: dict[str, int] = {}
    writing: dict[str, int] = {}
    for state in step.states:
        for factors in _terms(lines[state]):
            kept = any(isinstance(factor, Name) and factor.name == state and factor.previous for factor in factors)
            signs, sign = (keeping, 1) if kept else (writing, -1)
            for factor in factors:
                for bias, direction in _gates(factor, lines, biases):
                    signs.setdefault(bias, sign * direction)
        if keeping:
            # A gate that keeps and writes, such as z with 1 - z, is listed once, as the gate that keeps.
            return keeping | {bias: sign for bias, sign in writing.items() if bias not in keeping}
        writing.clear()
    return {}


def _terms(node: Node) -> Iterator[list[Node]]:
    """Yield the factors of each term of a sum."""
    if isinstance(node, Apply) and node.function in _ADDED:
        for part in node.arguments:
            yield from _terms(part)
    else:
        yield list(_factors(node))


def _factors(node: Node) -> Iterator[Node]:
    if isinstance(node, Apply) and node.function == "mul":
        for part in node.arguments:
            yield from _factors(part)
    else:
        yield node


def _gates(node: Node, lines: dict[str, Node], biases: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the biases of a gate, each with the sign that opens the gate. Yield nothing if the node is no gate."""
    if isinstance(node, Name) and not node.previous and node.name in lines:
        yield from _gates(lines[node.name], lines, biases)
    elif isinstance(node, Apply) and node.function == "sigmoid":
        yield from _added(node.arguments[0], lines, biases, 1)
    elif isinstance(node, Apply) and node.function == "sub" and node.arguments[0] == Number(1.0):
        yield from ((bias, -sign) for bias, sign in _gates(node.arguments[1], lines, biases))


def _added(node: Node, lines: dict[str, Node], biases: set[str], sign: int) -> Iterator[tuple[str, int]]:
    """Yield the biases that are added or subtracted in a sum."""
    if isinstance(node, Name) and node.name in biases:
        yield node.name, sign
    elif isinstance(node, Name) and not node.previous and node.name in lines:
        yield from _added(lines[node.name], lines, biases, sign)
    elif isinstance(node, Apply) and node.function in _ADDED:
        for part, own in zip(node.arguments, _ADDED[node.function], strict=True):
            yield from _added(part, lines, biases, sign * own)
