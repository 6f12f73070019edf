"""Plain arithmetic on nodes: fold constants, drop terms that are 0 or factors that are 1, and drop unread lines."""

import math
from collections.abc import Iterable, Mapping
from functools import reduce

from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product, children, rebuild, walk

ZERO, ONE = Number(0.0), Number(1.0)
_LONGEST_CHAIN = 40  # terms


def simplify(node: Node) -> Node:
    """Rewrite an expression with constants folded and neutral terms removed.

    Args:
        node: The expression.

    Returns:
        An expression of the same value for all finite arguments.
    """
    return reduced(rebuild(node, tuple(simplify(child) for child in children(node))))


def reduced(node: Node) -> Node:
    """Simplify a node whose children are already simple.

    Args:
        node: A node whose children are simple.

    Returns:
        An expression of the same value for all finite arguments.
    """
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
            return node  # 1 / 0 and its like stay as written; the target computes them
        return Number(value) if math.isfinite(value) else node  # infinity cannot be written as a number
    return _neutral(node)


def _neutral(node: Apply) -> Node:
    """Apply the rules for 0, 1 and double minus signs."""
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
    """Add terms up: in a chain, or in a chain of chains if there are many, so that no expression becomes too deep.

    Args:
        terms: The terms.

    Returns:
        Their sum; zero if there are no terms.
    """
    parts = list(terms)
    while len(parts) > _LONGEST_CHAIN:
        parts = [_chain(parts[first : first + _LONGEST_CHAIN]) for first in range(0, len(parts), _LONGEST_CHAIN)]
    return _chain(parts) if parts else ZERO


def _chain(terms: list[Node]) -> Node:
    return reduce(lambda total, term: Apply("add", (total, term)), terms)


def substitute(node: Node, values: Mapping[Name, Node]) -> Node:
    """Replace names by expressions.

    Args:
        node: The expression to rewrite.
        values: The replacement of each name.

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
