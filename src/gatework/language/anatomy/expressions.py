"""What an expression consists of: the addends of a sum, the factors of a product, the factor of a name."""

from collections.abc import Callable, Iterator

from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import Apply, Name, Node, Outer, Product, children, rebuild, walk
from gatework.language.parse import read
from gatework.language.simplify import ONE, ZERO, simplify, substitute

_SIGNS = {"add": (1, 1), "sub": (1, -1), "neg": (-1,)}


def addends(node: Node) -> list[Node]:
    """List the addends of a sum, including those of nested sums, in order.

    Args:
        node: The expression.

    Returns:
        The addends; the expression alone if it is not a sum. A difference is one addend.

    Example:
        >>> from gatework.language.show import show_node
        >>> [show_node(one) for one in addends(read("h = a + (b - c) + d")[0].value)]
        ['a', 'b - c', 'd']
    """
    if isinstance(node, Apply) and node.function == "add":
        return [term for argument in node.arguments for term in addends(argument)]
    return [node]


def signed_addends(node: Node, sign: int = 1) -> Iterator[tuple[Node, int]]:
    """Yield the addends of a sum, also through differences and minus signs.

    Args:
        node: The expression.
        sign: The sign of the whole.

    Yields:
        Each addend with +1 if it is added, and -1 if it is subtracted.

    Example:
        >>> from gatework.language.show import show_node
        >>> [(show_node(one), sign) for one, sign in signed_addends(read("h = a - (b - -c)")[0].value)]
        [('a', 1), ('b', -1), ('c', -1)]
    """
    signs = _SIGNS.get(node.function) if isinstance(node, Apply) else None
    if signs is None:
        yield node, sign
        return
    for argument, own in zip(children(node), signs, strict=True):
        yield from signed_addends(argument, sign * own)


def separable(node: Node) -> list[Node]:
    """List the addends that a sum can be split into without changing a bit of its value.

    Args:
        node: The expression.

    Returns:
        The addends, the second of a difference with its minus sign. Empty if the expression is not a sum, or has a
        matrix product among its addends, because kernels add products up in their own order. A difference inside a sum
        stays whole, because its parts could be added up in another order.

    Example:
        >>> from gatework.language.show import show_node
        >>> [show_node(one) for one in separable(read("c = f * c - i * g")[0].value)]
        ['f * c', '-(i * g)']
    """
    match node:
        case Apply("sub", (left, right)):
            parts = [left, Apply("neg", (right,))]
        case _:
            parts = addends(node)
    bare = [term.arguments[0] if isinstance(term, Apply) and term.function == "neg" else term for term in parts]
    return [] if len(parts) < 2 or any(isinstance(term, Product) for term in bare) else parts


def factors(node: Node) -> Iterator[Node]:
    """Yield the factors that make a product zero, through minus signs and above the line of a fraction.

    Args:
        node: The expression.

    Yields:
        The factors; the expression alone if it is not a product.

    Example:
        >>> from gatework.language.show import show_node
        >>> [show_node(one) for one in factors(read("h = o * -c / n")[0].value)]
        ['o', 'c']
    """
    if isinstance(node, Apply) and node.function in ("mul", "neg", "div"):
        for argument in node.arguments[: 1 if node.function == "div" else None]:
            yield from factors(argument)
    else:
        yield node


def has_product(node: Node) -> bool:
    """Return whether an expression contains a matrix product."""
    return any(isinstance(below, Product) for below in walk(node))


def is_sum_of_products(node: Node) -> bool:
    """Return whether an expression is a sum of matrix products and nothing else."""
    return all(isinstance(term, Product) for term in addends(node))


def is_matrix(node: Node) -> bool:
    """Return whether the value of an expression is a matrix: a sum of outer products, in adjoints."""
    return isinstance(node, Outer) or (isinstance(node, Apply) and any(map(is_matrix, node.arguments)))


def mixes_units(node: Node) -> bool:
    """Return whether a node by itself mixes units or positions: a matrix product, a mean, what reads a memory."""
    if not isinstance(node, Apply):
        return isinstance(node, Product)
    row = FUNCTIONS[node.function]
    return row.kind == "reduction" or bool(row.takes)


def slope(node: Node, name: Name) -> Node | None:
    """Return the factor of a name in an expression that does nothing but multiply the name.

    A path through a matrix or a mean does not count.

    Args:
        node: The expression.
        name: The name, such as the previous step's value of a state.

    Returns:
        The factor, simplified; zero if the name does not enter unit by unit, None if it is not only multiplied.

    Example:
        >>> from gatework.language.show import show_node
        >>> show_node(slope(read("h = (1 - z) * prev(h) + z * x")[0].value, Name("h", True)))
        '1 - z'
        >>> slope(read("h = tanh(prev(h))")[0].value, Name("h", True)) is None
        True
    """
    if node == name:
        return ONE
    if not _enters(node, name):
        return ZERO
    assert isinstance(node, Apply)
    below = [slope(argument, name) for argument in node.arguments]
    if None in below:
        return None
    slopes = tuple(one for one in below if one is not None)
    match node.function, slopes:
        case (("add" | "sub" | "neg"), _):
            return simplify(Apply(node.function, slopes))
        case "mul", (left, right) if right == ZERO:
            return simplify(Apply("mul", (left, node.arguments[1])))
        case "mul", (left, right) if left == ZERO:
            return simplify(Apply("mul", (node.arguments[0], right)))
        case "div", (left, right) if right == ZERO:
            return simplify(Apply("div", (left, node.arguments[1])))
    return None


def _enters(node: Node, name: Name) -> bool:
    """Return whether a name enters an expression unit by unit."""
    return not mixes_units(node) and (node == name or any(_enters(below, name) for below in children(node)))


def written_out(node: Node, known: Callable[[str], bool] = lambda row: False) -> Node:
    """Replace functions by their definitions in terms of others.

    Args:
        node: The expression.
        known: Returns whether a row of the table stays as it is.

    Returns:
        The expression without such functions.

    Example:
        >>> from gatework.language.show import show_node
        >>> show_node(written_out(read("h = norm(x)")[0].value))
        '(x - mean(x)) * rstd(x)'
    """
    below = tuple(written_out(part, known) for part in children(node))
    if isinstance(node, Apply) and FUNCTIONS[node.function].definition and not known(node.function):
        definition = FUNCTIONS[node.function].definition
        assert definition is not None
        arguments = {Name(letter): part for letter, part in zip("abc", below, strict=False)}
        return written_out(substitute(read(f"y = {definition}")[0].value, arguments), known)
    return rebuild(node, below)
