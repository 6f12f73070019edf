"""The normal form: each line is of one kind, and every product multiplies a name.

A line of a normal step is one of five kinds: a sum of products, a reduction of a name, a sweep over the positions of
a memory, a gradient of a matrix (outer products of names), or pointwise arithmetic without any of these. The planner
reads only steps in this form.
"""

from collections.abc import Iterable

from gatework.language.anatomy import addends, is_matrix, written_out
from gatework.language.check import check, rechecked
from gatework.language.folding import folded
from gatework.language.nodes import (
    Apply,
    Equation,
    Name,
    Node,
    Number,
    Outer,
    Product,
    Step,
    along,
    children,
    rebuild,
    walk,
)
from gatework.language.positions import remaining
from gatework.language.simplify import added, needed
from gatework.language.spelling import Names

REDUCTIONS = ("mean", "rstd")
SWEEPS = ("match", "weigh", "softmax")
"""The functions that go over the positions of a memory."""


def settled(step: Step, drawn: bool, record: Iterable[str] = ()) -> Step:
    """Replace masks by inputs if they are drawn, else by their probabilities, and fold constants.

    Of the names that the step delivers, those that are not recorded are left out.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn.
        record: The names that a run returns at every step.

    Returns:
        A step without masks.
    """
    masks: dict[Name, Node] = {} if drawn else {Name(name): Number(rate) for name, rate in step.draws.items()}
    lines = [line for line in step.equations if line.target not in step.draws]
    # Drop what is no longer read. If no mask is drawn, a factor can be zero, and nothing reads the other one.
    delivered = tuple(name for name in step.delivered if name in record and name not in step.draws)
    kept = (*step.states, *step.outputs, *delivered)
    left = needed(folded(lines, masks, (*step.states, *delivered), Names(step)), kept)
    inputs = (*step.inputs, *step.draws) if drawn else step.inputs
    read = {node.name for line in left for node in walk(line.value) if isinstance(node, Name)}
    given = [name for name in inputs if name in read]
    memories = remaining(step.memories, left, given, places=True)
    return check(left, step.states, given, step.outputs, delivered=delivered, memories=memories)


def named(step: Step, *avoid: Step) -> Step:
    """Move every sum with products, every reduction, and their operands to lines of their own.

    The adjoint of these lines can read a pre-activation by its name. Otherwise it would compute it again.

    Args:
        step: A settled step.
        *avoid: Steps that are used together with this one, whose names must not be used again.

    Returns:
        An equivalent step.
    """
    return rechecked(step, _Namer(step, avoid, split=False).lines)


def normal(step: Step, *avoid: Step) -> Step:
    """Bring a settled step into the normal form.

    Args:
        step: A settled step.
        *avoid: As for :func:`named`.

    Returns:
        An equivalent step.
    """
    return rechecked(step, _Namer(step, avoid, split=True).lines)


class _Namer:
    def __init__(self, step: Step, avoid: Iterable[Step], split: bool) -> None:
        self.split = split
        self.names = Names(step, *avoid)
        self.learned = {parameter.name for parameter in step.parameters}
        self.late: set[str] = set()  # lines that depend on a state, directly or through others
        self.single: set[str] = set()  # lines that are reductions: one number for each row
        self.positions = dict(step.positions)  # of new lines too
        self.vectors = {*step.states, *step.outputs}  # lines that must have a number for each unit
        self.owned: dict[Node, str] = {}  # expressions that have their own line already
        self._lines: list[Equation] = []
        for line in step.equations:
            self.line(line)
        self.lines = tuple(self._lines)

    def line(self, line: Equation) -> None:
        value = written_out(line.value) if self.split else line.value
        value = self.outer(value, line.target) if is_matrix(value) else self.tree(value, line.target, root=True)
        if line.target in self.vectors and (_is_reduction(value) or _is_sweep(value)):
            value = self.own(value, line.target)
        self.put(line.target, value, line.comment)

    def put(self, target: str, value: Node, comment: str = "") -> None:
        memory = along(value, self.positions)
        if memory is not None:
            self.positions[target] = memory
        # What goes over a memory runs step by step.
        if memory is not None or _is_sweep(value) or self.is_late(value):
            self.late.add(target)
        if _is_reduction(value):
            self.single.add(target)
        self._lines.append(Equation(target, value, comment))

    def own(self, value: Node, target: str) -> Name:
        """Move an expression to its own line."""
        if value not in self.owned:
            self.owned[value] = self.names.numbered(f"{target}_")
            self.put(self.owned[value], value)
        return Name(self.owned[value])

    def is_late(self, node: Node) -> bool:
        return any(isinstance(part, Name) and (part.previous or part.name in self.late) for part in walk(node))

    def name_of(self, node: Node, target: str) -> Name:
        """Name the operand of a product or a reduction, which must have a number for each unit at every step."""
        name = node if isinstance(node, Name) else self.own(self.tree(node, target, root=True), target)
        # A reduction has one number for each row, and a learned vector has no rows.
        spread = not name.previous and (name.name in self.single or name.name in self.learned)
        return self.own(name, target) if spread else name

    def tree(self, node: Node, target: str, root: bool = False) -> Node:
        """Rewrite an expression. Products and reductions become names; with ``root``, the whole expression may stay."""
        if isinstance(node, Product) or (isinstance(node, Apply) and node.function == "add"):
            terms = addends(node)
            if any(isinstance(term, Product) for term in terms):
                return self.sum(terms, target, root)
        if isinstance(node, Apply) and (node.function in REDUCTIONS or node.function == "norm"):
            inner = self.name_of(node.arguments[0], target)
            value = Apply(node.function, (inner,))
            return value if root else self.own(value, target)
        if isinstance(node, Apply) and node.function in (*SWEEPS, "total"):
            value = Apply(node.function, tuple(self.swept(node, place, target) for place in range(len(node.arguments))))
            return value if root else self.own(value, target)
        if along(node, self.positions):
            return rebuild(node, tuple(self.beside(child, target) for child in children(node)))
        return rebuild(node, tuple(self.tree(child, target) for child in children(node)))

    def swept(self, node: Apply, place: int, target: str) -> Node:
        """Rewrite an argument of what goes over positions: an expression with vectors at them, or else a name."""
        argument = node.arguments[place]
        inside = place == (1 if node.function == "weigh" else 0) and node.function != "softmax"
        if inside:
            return argument if isinstance(argument, Name) else self.tree(argument, target)
        if isinstance(argument, Name) and argument.name not in self.single:
            return argument
        if isinstance(argument, Apply) and argument.function == "exists":
            memory = along(argument, self.positions)
            assert memory is not None
            return Apply("exists", (Name(memory),))
        return self.own(self.tree(argument, target, root=True), target)

    def beside(self, node: Node, target: str) -> Node:
        """Rewrite a part of an expression with values at positions. A vector in it gets its own line, computed once."""
        if isinstance(node, Name | Number) or along(node, self.positions):
            return self.tree(node, target)
        return self.own(self.tree(node, target, root=True), target)

    def sum(self, terms: list[Node], target: str, root: bool) -> Node:
        """Rewrite a sum that contains products."""
        products: dict[bool, list[Node]] = {False: [], True: []}
        rest = []
        for term in terms:
            if isinstance(term, Product):
                operand = self.name_of(term.operand, target)
                product = Product(term.matrix, operand, term.structure, term.blocks, term.transposed)
                products[self.split and self.is_late(product)].append(product)
            else:
                rest.append(self.tree(term, target))
        sums = [added(group) for group in products.values() if group]
        if not self.split:
            value = added([*sums, *rest])
            return value if root else self.own(value, target)
        if len(sums) == 1 and not rest and root:
            return sums[0]
        return added([*(self.own(part, target) for part in sums), *rest])

    def outer(self, node: Node, target: str) -> Node:
        if isinstance(node, Outer):
            left, right = self.name_of(node.left, target), self.name_of(node.right, target)
            return Outer(left, right, node.structure, node.blocks)
        return rebuild(node, tuple(self.outer(child, target) for child in children(node)))


def _is_sweep(node: Node) -> bool:
    return isinstance(node, Apply) and node.function in (*SWEEPS, "total")


def _is_reduction(node: Node) -> bool:
    return isinstance(node, Apply) and node.function in REDUCTIONS
