"""Plain arithmetic on nodes: what is known to be 0, 1 or constant goes away, and the lines that no longer matter."""

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from functools import reduce

from gatework.errors import EquationError
from gatework.language.check import check
from gatework.language.functions import FUNCTIONS
from gatework.language.names import Names
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product, Step, children, rebuild, walk

ZERO, ONE = Number(0.0), Number(1.0)
_LONGEST_CHAIN = 40  # terms


def simplify(node: Node) -> Node:
    """Rewrite an expression with constants folded and neutral terms removed.

    Args:
        node: The expression.

    Returns:
        An expression of the same value for all finite arguments.
    """
    return _reduced(rebuild(node, tuple(simplify(child) for child in children(node))))


def _reduced(node: Node) -> Node:
    """Simplify a node over what is simple already."""
    below = children(node)
    if isinstance(node, Product | Outer):
        return ZERO if ZERO in below else node
    if not isinstance(node, Apply):
        return node
    row = FUNCTIONS[node.function]
    if row.value is not None and all(isinstance(child, Number) for child in below):
        try:
            value = float(row.value(*(child.value for child in below if isinstance(child, Number))))
        except (ArithmeticError, ValueError):
            return node  # 1 / 0 and its like stay as written, and give what the target gives for them
        return Number(value) if math.isfinite(value) else node  # infinity cannot be written as a number
    return _neutral(node)


def _neutral(node: Apply) -> Node:
    """Apply the rules for 0, 1 and double minus."""
    match node.function, node.arguments:
        case "add", (left, right):
            if ZERO in (left, right):
                return right if left == ZERO else left
            if isinstance(right, Apply) and right.function == "neg":
                return Apply("sub", (left, right.arguments[0]))
        case "sub", (left, right):
            if right == ZERO:
                return left
            if left == ZERO:
                return _neutral(Apply("neg", (right,)))
            if isinstance(right, Apply) and right.function == "neg":
                return Apply("add", (left, right.arguments[0]))
        case "mul", (left, right):
            if ZERO in (left, right):
                return ZERO
            if ONE in (left, right):
                return right if left == ONE else left
        case "div", (left, right):
            if left == ZERO or right == ONE:
                return left
        case "neg", (inner,):
            if isinstance(inner, Apply) and inner.function == "neg":
                return inner.arguments[0]
        case "where", (condition, yes, no):
            if isinstance(condition, Number):
                return yes if condition.value else no
            if yes == no:
                return yes
    return node


def added(terms: Iterable[Node]) -> Node:
    """Add terms up: in a chain, and where they are many in a chain of chains, so that no expression is too deep.

    Args:
        terms: The terms.

    Returns:
        Their sum; zero where there are none.
    """
    parts = list(terms)
    while len(parts) > _LONGEST_CHAIN:
        parts = [_chain(parts[first : first + _LONGEST_CHAIN]) for first in range(0, len(parts), _LONGEST_CHAIN)]
    return _chain(parts) if parts else ZERO


def _chain(terms: list[Node]) -> Node:
    return reduce(lambda total, term: Apply("add", (total, term)), terms)


def substitute(node: Node, values: Mapping[Name, Node]) -> Node:
    """Put expressions in the place of names.

    Args:
        node: The expression to rewrite.
        values: For each name to replace, what takes its place.

    Returns:
        The rewritten expression.
    """
    if isinstance(node, Name):
        return values.get(Name(node.name, node.previous), node)
    return rebuild(node, tuple(substitute(child, values) for child in children(node)))


def needed(equations: Iterable[Equation], wanted: Iterable[str]) -> tuple[Equation, ...]:
    """Keep the equations that the wanted names depend on, in order.

    Args:
        equations: The lines.
        wanted: The names that must stay (states and outputs).

    Returns:
        The lines that matter.
    """
    lines = {equation.target: equation for equation in equations}
    pending, kept = [name for name in wanted if name in lines], set()
    while pending:
        name = pending.pop()
        if name not in kept:
            kept.add(name)
            reads = (node.name for node in walk(lines[name].value) if isinstance(node, Name))
            pending.extend(read for read in reads if read in lines)
    return tuple(equation for name, equation in lines.items() if name in kept)


def without(step: Step, names: Iterable[str]) -> Step:
    """Give the Step in which inputs or vectors are zero, less every line and parameter that no longer matters.

    Args:
        step: The checked equations.
        names: Inputs, or parameters that are vectors (all biases, say).

    Returns:
        A checked Step without those names.

    Raises:
        EquationError: Where a name is neither an input nor a vector parameter of the Step, and where nothing reads a
            further input without them.

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
    lines = folded(step.equations, zeros, step.states, Names(step), typed=False)
    kept = needed(lines, (*step.states, *step.outputs))
    inputs = tuple(name for name in step.inputs if Name(name) not in zeros)
    reads = {node.name for line in kept for node in walk(line.value) if isinstance(node, Name)}
    for name in inputs:
        if name not in reads:
            left_out = ", ".join(f"`{zero.name}`" for zero in zeros)
            raise EquationError(
                f"Without {left_out} nothing reads the input `{name}`: all it enters is a constant then. Keep what is "
                f"left out, or take `{name}` out of the equations."
            )
    return check(kept, step.states, inputs, step.outputs)


def folded(
    equations: Iterable[Equation],
    values: Mapping[Name, Node],
    kept: Container[str],
    names: Names,
    *,
    typed: bool = True,
) -> tuple[Equation, ...]:
    r"""Put values in the place of names, and what is constant then in the place of the lines' own names.

    A matrix multiplies a vector, so a number that it would multiply gets a line, whose name has the vector's size.

    Args:
        equations: The lines, in order.
        values: For each name that is known, its value.
        kept: Lines whose names stay, even where they are constant.
        names: What makes up names.
        typed: Whether what was constant as it was typed is folded too, such as ``0 * x``, which then reads no input.

    Returns:
        The lines; some of them may be read no more.

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
    """Put values in the place of names, and simplify what they enter, and that alone."""
    if isinstance(node, Name):
        return values.get(Name(node.name, node.previous), node)
    below = tuple(_placed(child, values) for child in children(node))
    unchanged = all(new is old for new, old in zip(below, children(node), strict=True))
    return node if unchanged else _reduced(rebuild(node, below))


def _with_vectors(node: Node, lines: list[Equation], names: Names) -> Node:
    """Give every number that a matrix multiplies a line, put behind the lines there are."""
    below = tuple(_with_vectors(child, lines, names) for child in children(node))
    if isinstance(node, Product) and isinstance(below[0], Number):
        lines.append(Equation(names.numbered("constant"), below[0]))
        below = (Name(lines[-1].target),)
    return rebuild(node, below)
