"""By which biases a cell remembers, read from its equations.

A state is carried on where its equation has a term with last step's value, as in ``c = f * c + i * g``. What stands
beside that value is the gate that keeps; gates in the other terms let in what is new. A gate is a sigmoid, or one minus
a gate; its bias is the vector that is added inside.
"""

from collections.abc import Iterator

from gatework.language import Step
from gatework.language.nodes import Apply, Name, Node, Number

_ADDED = {"add": (1, 1), "sub": (1, -1)}


def biases_that_remember(step: Step) -> dict[str, int]:
    r"""Find the biases by which a cell remembers.

    Args:
        step: The cell's equations.

    Returns:
        Bias -> +1 where a larger one means remembering longer, -1 where a smaller one does; that of the gate that
        keeps comes first. Empty where no gate keeps a state.

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
            found, sign = (keeping, 1) if kept else (writing, -1)
            for factor in factors:
                for bias, direction in _gates(factor, lines, biases):
                    found.setdefault(bias, sign * direction)
        if keeping:
            # A gate that stands in both, as z and 1 - z do, is named once, as the one that keeps.
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
    """Yield the biases of a gate, each with the sign in which it opens the gate; nothing where it is none."""
    if isinstance(node, Name) and not node.previous and node.name in lines:
        yield from _gates(lines[node.name], lines, biases)
    elif isinstance(node, Apply) and node.function == "sigmoid":
        yield from _added(node.arguments[0], lines, biases, 1)
    elif isinstance(node, Apply) and node.function == "sub" and node.arguments[0] == Number(1.0):
        yield from ((bias, -sign) for bias, sign in _gates(node.arguments[1], lines, biases))


def _added(node: Node, lines: dict[str, Node], biases: set[str], sign: int) -> Iterator[tuple[str, int]]:
    """Yield the biases that are added within a sum, or taken from it."""
    if isinstance(node, Name) and node.name in biases:
        yield node.name, sign
    elif isinstance(node, Name) and not node.previous and node.name in lines:
        yield from _added(lines[node.name], lines, biases, sign)
    elif isinstance(node, Apply) and node.function in _ADDED:
        for part, own in zip(node.arguments, _ADDED[node.function], strict=True):
            yield from _added(part, lines, biases, sign * own)
