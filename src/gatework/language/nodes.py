"""The nodes that equations consist of, and the checked whole: a Step.

Everything here is plain, immutable, hashable data. Two nodes are equal if they say the same thing, wherever they stood
in the text (``at``). Nodes are built by :mod:`parse`, given roles and shapes by :mod:`check`, turned into their adjoint
by :mod:`derive` and printed by :mod:`show`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import lcm

from gatework.language.functions import FUNCTIONS

NOWHERE = (0, 0)
ONE_NUMBER = "one"
"""The key of the size 1: of what has a single number at each position of a memory."""


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float
    at: tuple[int, int] = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A quantity: an input, a state, a parameter, or the target of an equation.

    ``previous`` is True for the previous step's value, written ``prev(c)`` or read above c's own line.
    """

    name: str
    previous: bool = False
    at: tuple[int, int] = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """A row of the function table applied to arguments; the operators are rows too (``add``, ``mul`` ...)."""

    function: str
    arguments: "tuple[Node, ...]"
    at: tuple[int, int] = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix times a vector, ``R @ h``.

    ``structure`` is ``dense``, ``block_diagonal`` or ``block_upper``, the last two with a number of ``blocks``.
    ``transposed`` products are written ``R.T @ d``.
    """

    matrix: str
    operand: "Node"
    structure: str = "dense"
    blocks: int = 1
    transposed: bool = False
    at: tuple[int, int] = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Outer:
    """The outer product of two vectors, ``outer(d, x)``: a matrix's gradient. In adjoints only."""

    left: "Node"
    right: "Node"
    structure: str = "dense"
    blocks: int = 1
    at: tuple[int, int] = field(default=NOWHERE, compare=False)


Node = Number | Name | Apply | Product | Outer


@dataclass(frozen=True, slots=True)
class Equation:
    """One line: ``target = value  # comment``."""

    target: str
    value: Node
    comment: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A learned matrix (with ``columns``) or vector.

    Args:
        name: Its name in the equations.
        role: ``input`` (a matrix on an input), ``recurrent`` (a matrix on a state or an intermediate),
            ``projection`` (the matrix whose product is a state of another size), ``bias`` (a vector that is only ever
            added) or ``vector`` (any other vector: a peephole, a gain).
        rows: Its size as a vector, or the size of its product: a key of the sizes, such as ``hidden_size``.
        columns: The size of the operand; None for a vector.
        operand: The node that a matrix multiplies; None for a vector.
        structure: ``dense``, ``block_diagonal`` or ``block_upper``.
        blocks: The number of blocks of a structured matrix.
    """

    name: str
    role: str
    rows: str
    columns: str | None = None
    operand: Node | None = None
    structure: str = "dense"
    blocks: int = 1

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape of the stored tensor for these sizes.

        A block-diagonal matrix of n blocks is stored as ``[rows, columns / n]``; each row holds its own block's
        columns. A block-upper matrix is stored whole, and nothing below its blocks is ever read.
        """
        if self.columns is None:
            return (sizes[self.rows],)
        if self.structure == "block_diagonal":
            return (sizes[self.rows], sizes[self.columns] // self.blocks)
        return (sizes[self.rows], sizes[self.columns])

    def count(self, sizes: Mapping[str, int]) -> int:
        """Count the learned numbers (of a block-upper matrix, only those that are read)."""
        total = 1
        for size in self.shape(sizes):
            total *= size
        if self.structure == "block_upper":
            total = total // self.blocks**2 * (self.blocks * (self.blocks + 1) // 2)
        return total


@dataclass(frozen=True)
class Step:
    """The checked equations of one time step, with roles and sizes.

    Args:
        inputs: The names given at every step, ``x`` first.
        states: The names carried from step to step; the first is the layer's output.
        equations: The lines, in order. Every ``Name`` in them knows whether it is the previous step's value.
        parameters: The learned matrices and vectors, in order of first use.
        sizes_of: For every name of a vector, the key of its size (``input_size``, ``hidden_size``, ``proj_size``, or
            ``input_size_<input>`` for a further input with its own size, ``memory_size`` for a memory,
            ``size_<name>`` as the cell names it, or ``one`` for a single number).
        outputs: An adjoint's gradients, which are returned at every step.
        delivered: Names that a cell delivers at every step. Nothing needs to read them.
        sized: Names with sizes that the user chooses, apart from those of inputs and states. An entry such as
            ``z=mu0`` names several of one size.
        memories: The memories, each a vector for every one of its positions, given once for all steps. An entry such as
            ``m=k=pick`` says that k and pick have values at the positions of m: k is another bank of vectors, and the
            input ``pick`` has a number for each position at every step.
        positions: For every name that has a value at each position of a memory, the memory.
    """

    inputs: tuple[str, ...]
    states: tuple[str, ...]
    equations: tuple[Equation, ...]
    parameters: tuple[Parameter, ...]
    sizes_of: Mapping[str, str] = field(hash=False)
    outputs: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()
    sized: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()
    positions: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        # Built at once: in Python 3.11 the first access takes a lock, which torch's compiler cannot follow.
        _ = self.draws, self.banks, self.places

    @cached_property
    def draws(self) -> dict[str, float]:
        """The masks that are drawn at every step: the name of each ``bernoulli(p)`` line, and p."""
        rates = {}
        for equation in self.equations:
            value = equation.value
            if isinstance(value, Apply) and value.function == "bernoulli":
                probability = value.arguments[0]
                assert isinstance(probability, Number)  # check() lets nothing else through
                rates[equation.target] = probability.value
        return rates

    @cached_property
    def multiples(self) -> dict[str, int]:
        """For each size that is cut into blocks, the number that it must be a multiple of."""
        multiples: dict[str, int] = {}
        for parameter in self.parameters:
            for key in (parameter.rows, parameter.columns):
                if key is not None and parameter.blocks > 1:
                    multiples[key] = lcm(multiples.get(key, 1), parameter.blocks)
        periods = [_periods(node) for equation in self.equations for node in walk(equation.value)]
        if max(periods, default=1) > 1:
            multiples["hidden_size"] = lcm(multiples.get("hidden_size", 1), *periods)
        return multiples

    @property
    def multiple_of(self) -> int:
        """The number that hidden_size must be a multiple of (1 without blocks)."""
        return self.multiples.get("hidden_size", 1)

    @cached_property
    def size_keys(self) -> tuple[str, ...]:
        """The keys of the sizes that a user must choose, in order of first mention, always with ``hidden_size``."""
        keys = dict.fromkeys(self.sizes_of[name] for name in (*self.inputs, *self.states, *self.banks))
        keys.setdefault("hidden_size")
        return tuple(key for key in keys if key != ONE_NUMBER)

    def is_bare(self, name: str) -> bool:
        """Tell whether a name has a single number at each position of a memory: [B, L] rather than [B, L, size]."""
        return name in self.positions and self.sizes_of[name] == ONE_NUMBER

    @cached_property
    def banks(self) -> tuple[str, ...]:
        """The names of all banks: the memories, and what is given at their positions once for all steps."""
        return tuple(name for entry in self.memories for name in entry.split("=") if name not in self.inputs)

    @cached_property
    def places(self) -> tuple[str, ...]:
        """The names of the memories, each with positions of its own."""
        return tuple(entry.partition("=")[0] for entry in self.memories)


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it, outermost first."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def children(node: Node) -> "tuple[Node, ...]":
    """Return the children of a node."""
    if isinstance(node, Apply):
        return node.arguments
    if isinstance(node, Product):
        return (node.operand,)
    if isinstance(node, Outer):
        return (node.left, node.right)
    return ()


def rebuild(node: Node, below: "tuple[Node, ...]") -> Node:
    """Return the same node with other children."""
    if isinstance(node, Apply):
        return Apply(node.function, below, node.at)
    if isinstance(node, Product):
        return Product(node.matrix, below[0], node.structure, node.blocks, node.transposed, node.at)
    if isinstance(node, Outer):
        return Outer(below[0], below[1], node.structure, node.blocks, node.at)
    return node


def _periods(node: Node) -> int:
    if isinstance(node, Apply) and node.function == "period":
        count = node.arguments[0]
        assert isinstance(count, Number)  # check() lets nothing else through
        return int(count.value)
    return 1


def along(node: Node, positions: Mapping[str, str]) -> str | None:
    """Return the memory at whose positions an expression has values; None if it has one value for a row.

    Args:
        node: The expression.
        positions: As in :class:`Step`.
    """
    if isinstance(node, Name):
        return positions.get(node.name)
    if isinstance(node, Outer) or (isinstance(node, Apply) and FUNCTIONS[node.function].kind == "gathering"):
        return None
    return next((memory for below in children(node) if (memory := along(below, positions))), None)
