"""Take out of a step what its memories alone decide, and bring the rest into the form that kernels run.

What depends on memories and parameters alone, such as ``U @ m``, is the same at all steps: it becomes a bank of its
own, which is computed once. In the rest, a line with a vector at each position of a memory is never stored: its readers
compute it. So a kernel sees only numbers at positions, and expressions that it computes position by position.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gatework.language.anatomy import addends
from gatework.language.check import check, rechecked
from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import (
    ONE_NUMBER,
    Apply,
    Equation,
    Name,
    Node,
    Number,
    Product,
    Step,
    along,
    children,
    rebuild,
    walk,
)
from gatework.language.simplify import added, needed, substitute
from gatework.language.spelling import Names


class NotLowered(Exception):
    """The reason, as a clause, why kernels cannot run a step. Another backend runs it."""


@dataclass(frozen=True)
class Lowered:
    """A step without what its memories alone decide.

    Args:
        step: The rest of the step.
        banks: The new banks, each with the expression that it is computed by, once for a call.
        vectors: For each new vector, the matrix of one row that it is.
    """

    step: Step
    banks: tuple[tuple[str, Node], ...]
    vectors: tuple[tuple[str, str], ...]


def lower(step: Step, record: Iterable[str] = ()) -> Lowered:
    """Lower a step with memories.

    Args:
        step: The checked equations.
        record: The names that a run returns at every step.

    Returns:
        The lowered step.

    Raises:
        NotLowered: If kernels cannot run the step.
    """
    for name in (*step.states, *step.inputs):
        if name in step.positions:
            raise NotLowered(f"`{name}` has a number for each position of a memory, from step to step")
    kept = {name for name in (*record, *step.delivered) if name in step.positions and not step.is_bare(name)}
    if kept:
        raise NotLowered(f"what is recorded ({', '.join(sorted(kept))}) has a vector for each position of a memory")
    return _Lowerer(step).lowered


class _Lowerer:
    def __init__(self, step: Step) -> None:
        self.step = step
        self.positions = dict(step.positions)
        self.names = Names(step)
        self.lines = {line.target: line for line in step.equations}
        self.rows = {one.name for one in step.parameters if one.columns is not None and one.rows == ONE_NUMBER}
        self.banks: dict[Node, str] = {}
        self.vectors: dict[str, str] = {}
        self.constant: set[str] = {*step.banks}  # names that memories and parameters alone decide
        self.known: dict[Name, Node] = {}  # lines that their readers compute
        self.made: list[Equation] = []
        for line in step.equations:
            self.line(line)
        self.lowered = self.finished()

    def line(self, line: Equation) -> None:
        value = substitute(line.value, self.known)
        if line.target in self.positions and self.is_constant(value):
            self.known[Name(line.target)] = value
            if line.target in self.step.delivered:
                self.made.append(replace(line, value=self.tree(value, line.target)))
        elif line.target in self.positions and not self.step.is_bare(line.target):
            self.known[Name(line.target)] = value
        else:
            self.made.append(replace(line, value=self.tree(value, line.target)))

    def is_constant(self, node: Node) -> bool:
        """Tell whether memories and parameters alone decide a value."""
        changing = {*self.step.inputs, *self.lines} - self.constant
        return not any(isinstance(part, Name) and (part.previous or part.name in changing) for part in walk(node))

    def tree(self, node: Node, target: str) -> Node:
        """Rewrite an expression: constant parts become banks, and vectors beside positions get lines of their own."""
        if not along(node, self.positions):
            return rebuild(node, tuple(self.tree(child, target) for child in children(node)))
        if self.is_constant(node):
            return self.bank(node)
        if isinstance(node, Name):  # a number for each position
            return node
        if isinstance(node, Product):
            if node.matrix not in self.rows or node.transposed:
                raise NotLowered(f"`{node.matrix}` multiplies vectors at positions that change from step to step")
            return self.scored(node, target)
        return self.at_positions(node, target)

    def at_positions(self, node: Node, target: str) -> Node:
        assert isinstance(node, Apply)
        function, row = node.function, FUNCTIONS[node.function]
        if function == "shift" or row.kind == "reduction":
            raise NotLowered(f"`{function}` of what a memory's positions have runs in no kernel")
        if function == "add":
            return self.sum(node, target)
        return Apply(function, tuple(self.part(child, target) for child in node.arguments))

    def part(self, node: Node, target: str) -> Node:
        """Rewrite a part of an expression with values at positions."""
        if isinstance(node, Number) or (isinstance(node, Name) and not along(node, self.positions)):
            return node
        if along(node, self.positions):
            return self.tree(node, target)
        return self.own(self.tree(node, target), target)

    def scored(self, node: Product, target: str) -> Node:
        """Write ``v @ (...)``, with a matrix of one row, as a comparison with the vector v."""
        vector = self.vectors.get(node.matrix) or self.names.fresh(f"{node.matrix}_row")
        self.vectors[node.matrix] = vector
        return Apply("match", (self.part(node.operand, target), Name(vector)))

    def sum(self, node: Node, target: str) -> Node:
        """Rewrite a sum: its vectors are added first, and so are its constant terms."""
        terms = addends(node)
        constant = [term for term in terms if along(term, self.positions) and self.is_constant(term)]
        vectors = [term for term in terms if not along(term, self.positions) and not isinstance(term, Number)]
        rest = [term for term in terms if term not in constant and term not in vectors]
        parts = [self.bank(added(constant))] if constant else []
        parts += [self.part(added(vectors), target)] if vectors else []
        return added([*parts, *(self.part(term, target) for term in rest)])

    def own(self, node: Node, target: str) -> Name:
        name = self.names.numbered(f"{target}_")
        self.made.append(Equation(name, node))
        return Name(name)

    def bank(self, node: Node) -> Node:
        """Return the bank that a constant expression is. Places, numbers and parameters by themselves need none."""
        if isinstance(node, Name) and node.name in self.step.banks:
            return node
        if isinstance(node, Apply) and node.function in ("place", "exists"):
            memory = along(node, self.positions)
            assert memory is not None
            return Apply(node.function, (Name(memory),))
        if node not in self.banks:
            memory = along(node, self.positions)
            assert memory is not None
            self.banks[node] = self.names.numbered(f"{memory}_bank")
            self.positions[self.banks[node]] = memory
        return Name(self.banks[node])

    def sizes_are_kept(self, lowered: Step) -> None:
        """Refuse a step in which a size was known by what was taken out alone: nothing in the rest tells it."""
        before = {one.name: (one.rows, one.columns) for one in self.step.parameters}
        before |= {row: (before[matrix][1], None) for matrix, row in self.vectors.items()}
        known: dict[str, str] = {}
        for one in lowered.parameters:
            for key, had in zip((one.rows, one.columns), before[one.name], strict=True):
                if key is not None and had is not None and known.setdefault(key, had) != had:
                    raise NotLowered(f"`{one.name}` has a size that is known by a memory alone")
        for name in (name for name in lowered.sizes_of if name in self.step.sizes_of):
            if known.setdefault(lowered.sizes_of[name], self.step.sizes_of[name]) != self.step.sizes_of[name]:
                raise NotLowered(f"`{name}` has a size that is known by a memory alone")

    def finished(self) -> Lowered:
        step = self.step
        lines = needed(tuple(self.made), (*step.states, *step.delivered))
        reads = {node.name for line in lines for node in walk(line.value) if isinstance(node, Name)}
        entries = []
        for place in step.places:
            own = [name for name in step.banks if self.positions[name] == place]
            new = [name for name in self.banks.values() if self.positions[name] == place]
            held = [name for name in (*own, *new) if name in reads]
            entries += ["=".join(held)] if held else []
        made = {line.target for line in lines}
        given = tuple(name for name in step.inputs if name in reads)
        sized = ["=".join(name for name in entry.split("=") if name in made or name in given) for entry in step.sized]
        lowered = check(
            lines,
            step.states,
            given,
            delivered=step.delivered,
            sized=[entry for entry in sized if entry],
            memories=entries,
        )
        self.sizes_are_kept(lowered)
        banks = tuple((name, node) for node, name in self.banks.items() if name in reads)
        vectors = tuple((name, matrix) for matrix, name in self.vectors.items() if name in reads)
        return Lowered(lowered, banks, vectors)


def inlined(step: Step) -> Step:
    """Let readers compute every line with a vector for each position of a memory, except outputs.

    Args:
        step: A step, such as an adjoint.

    Returns:
        An equivalent step.
    """
    known: dict[Name, Node] = {}
    lines = []
    for line in step.equations:
        line = replace(line, value=substitute(line.value, known))
        if line.target in step.positions and not step.is_bare(line.target) and line.target not in step.outputs:
            known[Name(line.target)] = line.value
        else:
            lines.append(line)
    return rechecked(step, lines) if known else step
