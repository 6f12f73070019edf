"""Find what can be computed for the whole sequence at once, and which products become one matrix product.

This is the first of two passes over the equations; :mod:`gatework.kernels.reference.builder` is the second. It decides
three things:

* the *kind* of every expression: a number, constant over time, known for all times at once, or computed at every step;
* the *groups* of products that share an operand, each computed as one product with the stacked matrices;
* what a product *starts from*: in ``W @ x + R @ h + b``, all terms but ``R @ h`` are known for all times before the
  first step. They are computed at once, and the product with h is added to them.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

from gatework.kernels.reference import arithmetic
from gatework.kernels.reference.memories import POSITIONAL
from gatework.language.anatomy import addends, written_out
from gatework.language.nodes import Apply, Name, Node, Number, Outer, Product, Step, along, children
from gatework.language.simplify import simplify, substitute


class Kind(IntEnum):
    """How often an expression is computed. An expression has the highest kind of its parts."""

    NUMBER = 0  # a plain number, known when the program is made
    CONSTANT = 1  # once for a call: parameters, and what depends only on them. Shape [size]
    ROWS = 2  # once for a call, for each row: what depends on memories. Shape [B, size], or [B, L, size] at positions
    SEQUENCE = 3  # once for a call, for all times: what depends on inputs and masks, but no state. Shape [T, B, size]
    STEP = 4  # at every step: what depends on a state, or on both a memory and an input. Shape [B, size]


def joined(*kinds: Kind) -> Kind:
    """Return the kind of an expression with parts of these kinds."""
    # Rows that have different lengths are flat, [N, size], and a memory has other rows: they meet step by step.
    return Kind.STEP if Kind.ROWS in kinds and Kind.SEQUENCE in kinds else max(kinds)


@dataclass
class ProductStack:
    """Products that share an operand, computed as one.

    Args:
        operand: The operand.
        structure: ``block_diagonal``, or ``dense``, which also computes block-upper matrices, masked.
        blocks: The number of blocks of block-diagonal matrices, else 1.
        transposed: Whether the matrices are transposed.
        kind: The kind of the products.
        at_positions: Whether the operand has a vector at each position of a memory.
        products: The products, in order of first use.
        start: For a product, the known addends that it is added to.
    """

    operand: Node
    structure: str
    blocks: int
    transposed: bool
    kind: Kind
    at_positions: bool = False
    products: list[Product] = field(default_factory=list)
    start: dict[Product, tuple[Node, ...]] = field(default_factory=dict)


class Survey:
    """All decisions about a step before its program is made.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn; if not, each mask is its probability.
    """

    def __init__(self, step: Step, drawn: bool) -> None:
        self.step = step
        self.values: dict[str, Node] = {}  # target -> its expression, with definitions expanded
        self._kinds: dict[str, Kind] = {}  # target -> kind
        self._groups: dict[tuple[object, ...], ProductStack] = {}
        self._uses: Counter[Product] = Counter()
        self._sums: list[list[Node]] = []
        self._matrices = {parameter.name: parameter for parameter in step.parameters}
        masks: dict[Name, Node] = {} if drawn else {Name(name): Number(rate) for name, rate in step.draws.items()}
        for equation in step.equations:
            name = equation.target
            value = masks.get(Name(name)) or written_out(
                equation.value, lambda row: row in POSITIONAL or arithmetic.function(row) is not None
            )
            self.values[name] = simplify(substitute(value, masks)) if masks else value
            self._kinds[name] = Kind.SEQUENCE if drawn and name in step.draws else self.kind(self.values[name])
        for value in self.values.values():
            self._visit(value)
        for parts in self._sums:
            self._plan(parts)

    def kind(self, node: Node) -> Kind:
        """Return how often an expression is computed."""
        if isinstance(node, Number):
            return Kind.NUMBER
        if isinstance(node, Name):
            return self._kind_of_name(node)
        own = Kind.CONSTANT if _has_own_vector(node) else Kind.NUMBER
        return joined(own, *(self.kind(below) for below in children(node)))

    def at_positions(self, node: Node) -> bool:
        """Tell whether an expression has a value at each position of a memory."""
        return along(node, self.step.positions) is not None

    def is_known(self, node: Node) -> bool:
        """Tell whether a term of a sum can be added before the first step, for all rows of all steps."""
        return self.kind(node) not in (Kind.ROWS, Kind.STEP) and not self.at_positions(node)

    def group(self, product: Product) -> ProductStack:
        """Return the group of a product."""
        return self._groups[self._group_key(product)]

    def _kind_of_name(self, node: Name) -> Kind:
        if node.previous:
            return Kind.STEP
        if node.name in self._kinds:
            return self._kinds[node.name]
        if node.name in self.step.banks:
            return Kind.ROWS
        if node.name in self.step.positions:  # an input, which meets a memory at every step
            return Kind.STEP
        return Kind.SEQUENCE if node.name in self.step.inputs else Kind.CONSTANT

    def _group_key(self, product: Product) -> tuple[object, ...]:
        if product.structure != "block_diagonal":
            return (product.operand, "dense", product.transposed)
        matrix = self._matrices[product.matrix]  # blocks are stacked if their products have one size
        size = matrix.columns if product.transposed else matrix.rows
        return (product.operand, product.structure, product.blocks, product.transposed, size)

    def _visit(self, node: Node) -> None:
        """Collect the sums and the products of an expression."""
        below = children(node)
        if isinstance(node, Apply) and node.function == "add":
            below = tuple(addends(node))
            self._sums.append(list(below))
        if isinstance(node, Product):
            self._uses[node] += 1
            dense = node.structure != "block_diagonal"
            group = self._groups.setdefault(
                self._group_key(node),
                ProductStack(
                    node.operand,
                    "dense" if dense else node.structure,
                    1 if dense else node.blocks,
                    node.transposed,
                    max(Kind.CONSTANT, self.kind(node.operand)),
                    self.at_positions(node.operand),
                ),
            )
            if node not in group.products:
                group.products.append(node)
        for part in below:
            self._visit(part)

    def _plan(self, parts: list[Node]) -> None:
        """Let one product of a sum start from the known part of the sum."""
        known = tuple(filter(self.is_known, parts))
        if len(known) < len(parts) and known:
            self._start(parts, Kind.STEP, known)
        biases = tuple(part for part in known if isinstance(part, Name) and self.kind(part) == Kind.CONSTANT)
        self._start(list(known), Kind.SEQUENCE, biases[:1])

    def _start(self, parts: list[Node], kind: Kind, start: tuple[Node, ...]) -> None:
        for part in parts:
            if isinstance(part, Product) and self.kind(part) == kind and start:
                group = self.group(part)
                # A product that is used elsewhere too is needed there without these terms.
                if group.structure == "dense" and self._uses[part] == 1 and not group.at_positions:
                    group.start[part] = start
                    return


def _has_own_vector(node: Node) -> bool:
    return isinstance(node, Product | Outer) or (isinstance(node, Apply) and node.function == "period")
