"""Equations as polynomials: one form for all ways to write the same sums and products.

Each line is substituted into the lines that read it, and products of sums are expanded. The order of terms and
factors does not matter, so ``(1 - z) * n + z * h`` and ``n + z * (h - n)`` are the same polynomial.
"""

from dataclasses import dataclass

from gatework.language.nodes import Apply, Name, Node, Number, Outer, Product, Step, children, walk

_MOST_TERMS = 64
_MOST_NODES = 2_000  # of an expression with all lines substituted; an LSTM has about a hundred


@dataclass(frozen=True)
class Atom:
    """A variable of a polynomial: a name, a product with a matrix, or a function of polynomials.

    Args:
        kind: ``input``, ``before`` (the previous value of a state), ``vector`` (a learned one), ``product``, or a
            row of the function table.
        name: The name, or the name of the matrix; empty for a function.
        below: The operand of the matrix, or the arguments of the function.
    """

    kind: str
    name: str = ""
    below: "tuple[Polynomial, ...]" = ()


Monomial = frozenset[tuple[Atom, int]]
"""Atoms and their powers; empty for a constant."""

Polynomial = frozenset[tuple[Monomial, float]]
"""Monomials and their coefficients, none of them 0."""

_Terms = dict[Monomial, float]


class TooLargeError(Exception):
    """The equations are far larger than those of any operator."""


def polynomials(step: Step) -> dict[str, Polynomial]:
    """Return the new value of each state as a polynomial.

    Args:
        step: The checked equations, without drawn masks.

    Returns:
        The polynomial of each state, over inputs, previous states and parameters.

    Raises:
        TooLargeError: If the expanded equations would be too large.
    """
    writer = _Writer(step)
    return {state: frozenset(writer.lines[state].items()) for state in step.states}


class _Writer:
    def __init__(self, step: Step) -> None:
        self.inputs = {*step.inputs}
        self.lines: dict[str, _Terms] = {}
        self.sizes: dict[str, int] = {}  # line -> nodes, with all lines substituted
        for line in step.equations:
            # Nodes are counted first, because a line that reads the one above it twice doubles their number.
            self.sizes[line.target] = sum(
                self.sizes.get(node.name, 1) if isinstance(node, Name) and not node.previous else 1
                for node in walk(line.value)
            )
            if self.sizes[line.target] > _MOST_NODES:
                raise TooLargeError
            self.lines[line.target] = self.terms(line.value)

    def terms(self, node: Node) -> _Terms:
        """Write an expression as a polynomial."""
        if isinstance(node, Number):
            return _cleaned({frozenset(): node.value})
        if isinstance(node, Name):
            return self.name(node)
        if isinstance(node, Product):
            structure = "" if node.structure == "dense" and not node.transposed else f"{node.structure} {node.blocks}"
            kind = f"product {structure} {node.transposed}" if structure else "product"
            return _atom(Atom(kind, node.matrix, (frozenset(self.terms(node.operand).items()),)))
        return self.applied(node)

    def name(self, node: Name) -> _Terms:
        if node.previous:
            return _atom(Atom("before", node.name))
        if node.name in self.lines:
            return self.lines[node.name]
        return _atom(Atom("input" if node.name in self.inputs else "vector", node.name))

    def applied(self, node: Apply | Outer) -> _Terms:
        below = [self.terms(child) for child in children(node)]
        match node:
            case Apply("add"):
                return _sum(below[0], below[1], 1.0)
            case Apply("sub"):
                return _sum(below[0], below[1], -1.0)
            case Apply("neg"):
                return _sum({}, below[0], -1.0)
            case Apply("mul"):
                return _product(below[0], below[1])
            case Apply("div", (_, Number(divisor))) if divisor:
                return {monomial: factor / divisor for monomial, factor in below[0].items()}
        kind = node.function if isinstance(node, Apply) else "outer"
        return _atom(Atom(kind, "", tuple(frozenset(terms.items()) for terms in below)))


def _atom(atom: Atom) -> _Terms:
    return {frozenset({(atom, 1)}): 1.0}


def _cleaned(terms: _Terms) -> _Terms:
    if len(terms) > _MOST_TERMS:
        raise TooLargeError
    return {monomial: factor for monomial, factor in terms.items() if factor}


def _sum(left: _Terms, right: _Terms, sign: float) -> _Terms:
    total = dict(left)
    for monomial, factor in right.items():
        total[monomial] = total.get(monomial, 0.0) + sign * factor
    return _cleaned(total)


def _product(left: _Terms, right: _Terms) -> _Terms:
    total: _Terms = {}
    for one, factor in left.items():
        for other, times in right.items():
            powers: dict[Atom, int] = dict(one)
            for atom, power in other:
                powers[atom] = powers.get(atom, 0) + power
            monomial = frozenset(powers.items())
            total[monomial] = total.get(monomial, 0.0) + factor * times
    return _cleaned(total)
