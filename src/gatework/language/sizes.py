"""The sizes of vectors: which ones are equal, found by union of sets, and the name of each size."""

from collections.abc import Callable, Iterable

from gatework.errors import EquationError
from gatework.language.anatomy import is_matrix
from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import ONE_NUMBER, Apply, Equation, Name, Node, Number, Outer, Product, walk

_ROWS, _COLUMNS = ".rows", ".columns"  # a name has no dot, so these collide with no name
_ONE = ".one"


class Sizes:
    """Sets of vectors, rows and columns whose sizes must be equal.

    Args:
        fault: Makes the error for a message and the node at fault.
    """

    def __init__(self, fault: Callable[[str, Node | None], EquationError]) -> None:
        self._fault = fault
        self._above: dict[str, str] = {}
        self._matrices: set[str] = set()  # names of equations whose value is a matrix

    def of(self, name: str) -> str:
        """Return the representative of a vector's size."""
        self._above.setdefault(name, name)
        return name

    def rows(self, matrix: str) -> str:
        """Return the set of a matrix's rows."""
        return self.root(matrix + _ROWS)

    def columns(self, matrix: str) -> str:
        """Return the set of a matrix's columns."""
        return self.root(matrix + _COLUMNS)

    def is_matrix(self, name: str) -> bool:
        """Return whether an equation's name is a matrix (a gradient in an adjoint)."""
        return name in self._matrices

    def root(self, member: str) -> str:
        """Return the representative of a member's set."""
        self._above.setdefault(member, member)
        while self._above[member] != member:
            self._above[member] = self._above[self._above[member]]
            member = self._above[member]
        return member

    def same(self, left: str | None, right: str | None, node: Node | None) -> str | None:
        """Unite two sizes. None is the size of a plain number, which goes with any size."""
        if left is None or right is None:
            return left if right is None else right
        for name in (left, right):
            if name in self._matrices:
                raise self._fault(f"`{name}` is a matrix and does not fit a vector here.", node)
        left, right = self.root(left), self.root(right)
        self._above[right] = left
        return left

    def relate(self, equation: Equation) -> None:
        """Relate the sizes of everything in an equation."""
        value = equation.value
        if is_matrix(value):
            self._matrices.add(equation.target)
            self._relate_matrix(value)
            return
        size = self._size(value)
        if size is None and _has_places(value):
            size = self.one()  # the places by themselves are one number each
        if size is not None:
            self.same(self.of(equation.target), size, value)

    def _relate_matrix(self, node: Node) -> None:
        """Relate the vectors inside the gradient of a matrix, a sum of outer products."""
        if isinstance(node, Outer):
            self._size(node.left)
            self._size(node.right)
        elif isinstance(node, Apply) and node.function in ("add", "sub", "neg") and all(map(is_matrix, node.arguments)):
            for argument in node.arguments:
                self._relate_matrix(argument)
        else:
            raise self._fault("A matrix from `outer` can only be added to another.", node)

    def _size(self, node: Node) -> str | None:
        """Return the size of an expression; None for a plain number."""
        if isinstance(node, Number):
            return None
        if isinstance(node, Name):
            return self.of(node.name)
        if isinstance(node, Product):
            return self._product(node)
        if isinstance(node, Outer):
            raise self._fault("A matrix from `outer` can only be added to another.", node)
        if FUNCTIONS[node.function].takes:
            return self._positional(node)
        if FUNCTIONS[node.function].kind == "source":
            # A mask or a row of periods has the size of its operand; alone it has the size of its equation's name.
            return self.period(node) if node.function == "period" else None
        size: str | None = None
        for argument in node.arguments:
            size = self.same(size, self._size(argument), node)
        if size is None and FUNCTIONS[node.function].kind == "reduction":
            raise self._fault(f"`{node.function}` needs a vector, not a plain number.", node)
        return size

    def _positional(self, node: Apply) -> str | None:
        """Return the size that a function of a memory's positions has at each position, or sums to."""
        takes, held = FUNCTIONS[node.function].takes, [self._held(argument) for argument in node.arguments]
        if node.function == "place":  # goes with any size, as a number does
            return None
        for size in held[: 1 if node.function == "shift" else None]:
            if size is None:
                raise self._fault(f"`{node.function}` needs a vector, not a plain number.", node)
        if node.function == "match":
            self.same(held[0], held[1], node)
        elif node.function == "softmax" or (len(takes) == 2 and node.function != "shift"):
            self.same(held[0], self.one(), node)
        if node.function in ("match", "softmax", "exists"):
            return self.one()
        return held[-1] if node.function in ("weigh", "spread") else held[0]

    def _held(self, node: Node) -> str | None:
        """Return the size of an argument with values at positions. Places by themselves are one number each."""
        size = self._size(node)
        return self.one() if size is None and _has_places(node) else size

    def one(self) -> str:
        """Return the representative of the size of a single number."""
        return self.of(_ONE)

    @property
    def has_one(self) -> bool:
        """Whether anything has a single number at each position."""
        return _ONE in self._above

    def period(self, node: Apply) -> str:
        """Return the representative of the size of a row of periods."""
        return self.of(f".period{node.at}")

    def _product(self, node: Product) -> str:
        rows, columns = self.of(node.matrix + _ROWS), self.of(node.matrix + _COLUMNS)
        if node.transposed:
            rows, columns = columns, rows
        operand = self._size(node.operand)
        if operand is None:
            raise self._fault(f"`{node.matrix} @` needs a vector, not a plain number.", node)
        self.same(columns, operand, node)
        if node.structure == "block_upper":
            self.same(rows, columns, node)
        return self.root(rows)


def _has_places(node: Node) -> bool:
    return any(isinstance(part, Apply) and part.function == "place" for part in walk(node))


def name_sizes(
    sizes: Sizes,
    made: Node,
    inputs: tuple[str, ...],
    states: tuple[str, ...],
    own: tuple[str, ...] = (),
    banks: tuple[str, ...] = (),
) -> "Keys":
    """Name every set of sizes: hidden_size, proj_size, input_size, input_size_<input>, memory_size, size_<name>.

    The output has its own size, ``proj_size``, if it is a matrix times something of another size, as in
    ``h = P @ (o * tanh(c))``. A set that nothing else determines is hidden_size.

    Args:
        sizes: The sets.
        made: The expression of the output, before a mask or anything from outside changes it.
        inputs: Names of the inputs.
        states: Names of the states, the output first.
        own: Names with sizes of their own, as in ``Step.sized``. The size of the first input is always the input's.
        banks: Names of the memories.

    Returns:
        The name of every set, by its representative.
    """
    keys = Keys({sizes.root(sizes.one()): ONE_NUMBER} if sizes.has_one else {})
    output = sizes.root(states[0])
    state_roots = {sizes.root(name) for name in states}
    first = sizes.root(inputs[0]) if inputs else None
    for name in (entry.partition("=")[0] for entry in own):
        if sizes.root(name) != first or first in state_roots:
            keys.setdefault(sizes.root(name), f"size_{name}")
    for name in inputs:
        root = sizes.root(name)
        if root not in state_roots and root not in keys:
            keys[root] = "input_size" if name == inputs[0] else f"input_size_{name}"
    for name in banks:
        root = sizes.root(name)
        if root not in state_roots and root not in keys:
            keys[root] = "memory_size" if name == banks[0] else f"memory_size_{name}"
    if isinstance(made, Product) and made.structure == "dense":
        inside = sizes.rows(made.matrix) if made.transposed else sizes.columns(made.matrix)
        others = {sizes.root(name) for name in states[1:]}
        if inside != output and inside not in keys and output not in others and output not in keys:
            keys[output] = "proj_size"
    return keys


def still_sized(entries: Iterable[str], lines: Iterable[Equation], inputs: Iterable[str]) -> list[str]:
    """Return the names with sizes of their own that are left, as inputs, as lines or as vectors that lines read.

    Args:
        entries: Entries as in ``Step.sized``.
        lines: The lines.
        inputs: The inputs that are left.

    Example:
        >>> from gatework.language.parse import read
        >>> still_sized(["z=mu0", "q", "b"], read("z = W @ x + b"), ["x"])
        ['z', 'b']
    """
    left = {*inputs, *(line.target for line in lines)}
    left |= {node.name for line in lines for node in walk(line.value) if isinstance(node, Name)}
    alike = ([name for name in entry.split("=") if name in left] for entry in entries)
    return ["=".join(names) for names in alike if names]


class Keys(dict[str, str]):
    """Names of sets of sizes. Every set that is not mentioned is hidden_size."""

    def __missing__(self, root: str) -> str:
        return "hidden_size"
