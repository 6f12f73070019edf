"""Plain arithmetic on nodes: what is known to be 0, 1 or constant goes away, and the lines that no longer matter."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gatework.errors import EquationError
from gatework.language.check import check
from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product, Step, children, rebuild, walk

ZERO, ONE = Number(0.0), Number(1.0)


def simplify(node: Node) -> Node:
    """Rewrite an expression with constants folded and neutral terms removed.

    Args:
        node: The expression.

    Returns:
        An expression of the same value for all finite arguments.
    """
    below = tuple(simplify(child) for child in children(node))
    node = rebuild(node, below)
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
    if row.kind == "reduction" and node.function != "rstd" and isinstance(below[0], Number):
        return below[0] if node.function == "mean" else ZERO
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
        EquationError: Where a name is neither an input nor a vector parameter of the Step.

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
    equations = []
    for equation in step.equations:
        value = simplify(substitute(equation.value, zeros))
        if isinstance(value, Number) and value != equation.value and equation.target not in step.states:
            zeros[Name(equation.target)] = value  # a line that became constant goes into the lines that read it
        equations.append(replace(equation, value=value))
    kept = needed(equations, (*step.states, *step.outputs))
    gone = {name.name for name in zeros}
    return check(kept, step.states, tuple(name for name in step.inputs if name not in gone), step.outputs)
