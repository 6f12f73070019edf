"""Equations with names left out or set to values: constants are folded, and lines that nothing reads are dropped."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from gatework.errors import EquationError
from gatework.language.check import rechecked
from gatework.language.nodes import Equation, Name, Node, Number, Product, Step, children, rebuild, walk
from gatework.language.simplify import ZERO, needed, reduced, simplify, substitute
from gatework.language.spelling import Names


def without(step: Step, names: Iterable[str]) -> Step:
    """Return the Step with inputs or vectors set to zero, without the lines and parameters that no longer matter.

    Args:
        step: The checked equations.
        names: Inputs, or parameters that are vectors (all biases, say).

    Returns:
        A checked Step without those names.

    Raises:
        EquationError: If a name is neither an input nor a vector parameter of the Step, or if nothing reads a further
            input any more.

    Example:
        >>> from gatework.language import parse, show
        >>> print(show(without(parse("h = tanh(W @ x + R @ h + b)", states="h"), ["b"])))
        h = tanh(W @ x + R @ h)
    """
    zeros: dict[Name, Node] = {}
    for name in names:
        if name not in (*step.inputs, *(parameter.name for parameter in step.parameters if parameter.columns is None)):
            raise EquationError(f"`{name}` is neither an input nor a vector parameter, so it cannot be left out.")
        zeros[Name(name)] = ZERO
    if not zeros:
        return step
    lines = folded(step.equations, zeros, (*step.states, *step.delivered), Names(step), typed=False)
    kept = needed(lines, (*step.states, *step.outputs, *step.delivered))
    inputs = tuple(name for name in step.inputs if Name(name) not in zeros)
    reads = {node.name for line in kept for node in walk(line.value) if isinstance(node, Name)}
    for name in inputs:
        if name not in reads:
            left_out = ", ".join(f"`{zero.name}`" for zero in zeros)
            raise EquationError(
                f"Without {left_out} nothing reads the input `{name}`: all it enters is a constant then. Keep what is "
                f"left out, or take `{name}` out of the equations."
            )
    return rechecked(step, kept, inputs)


def folded(
    equations: Iterable[Equation],
    values: Mapping[Name, Node],
    kept: Container[str],
    names: Names,
    *,
    typed: bool = True,
) -> tuple[Equation, ...]:
    r"""Replace names by values, and the names of lines that become constant by their constants.

    A matrix must multiply a vector, so a number that it would multiply gets a line, whose name has the vector's size.

    Args:
        equations: The lines, in order.
        values: The value of each known name.
        kept: Lines whose names stay, even if they are constant.
        names: Makes up new names.
        typed: Whether to fold what was typed as a constant too, such as ``0 * x``, which then reads no input.

    Returns:
        The lines. Nothing may read some of them any more.

    Example:
        >>> from gatework.language import parse
        >>> from gatework.language.show import show_equations
        >>> step = parse("a = 2 * b\nh = tanh(R @ (h + a) + V @ a)", inputs=())
        >>> print(show_equations(folded(step.equations, {Name("b"): Number(0.5)}, step.states, Names(step))))
        a = 1
        constant1 = 1
        h = tanh(R @ (h + 1) + V @ constant1)
    """
    known, lines = dict(values), []
    for equation in equations:
        value = simplify(substitute(equation.value, known)) if typed else _placed(equation.value, known)
        if isinstance(value, Number) and value != equation.value and equation.target not in kept:
            known[Name(equation.target)] = value
        lines.append(replace(equation, value=_with_vectors(value, lines, names)))
    return tuple(lines)


def _placed(node: Node, values: Mapping[Name, Node]) -> Node:
    """Replace names by values, and simplify only the expressions around them."""
    if isinstance(node, Name):
        return values.get(Name(node.name, node.previous), node)
    below = tuple(_placed(child, values) for child in children(node))
    unchanged = all(new is old for new, old in zip(below, children(node), strict=True))
    return node if unchanged else reduced(rebuild(node, below))


def _with_vectors(node: Node, lines: list[Equation], names: Names) -> Node:
    """Give every number that a matrix multiplies a line, at the end of the given lines."""
    below = tuple(_with_vectors(child, lines, names) for child in children(node))
    if isinstance(node, Product) and isinstance(below[0], Number):
        lines.append(Equation(names.numbered("constant"), below[0]))
        below = (Name(lines[-1].target),)
    return rebuild(node, below)
