"""The adjoint: from the equations of a step to the equations of its gradient, as another Step.

The adjoint runs from the last step to the first. Its states ``back_h``, ``back_c`` ... carry to step t-1 the gradient
of the h and c that step t read from it. Its inputs are the values of the forward step (``h_prev`` is the previous
step's h) and ``grad_h``, the gradient of this step's output from outside. Its outputs are ``d_x`` and ``d_W`` for every
input and every parameter; those of parameters are summed over steps and samples. Each function's gradient is text in
its row of the table; nothing here knows a function by name.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gatework.language.check import check
from gatework.language.functions import FUNCTIONS, OPERATORS
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
from gatework.language.parse import read
from gatework.language.simplify import ZERO, added, needed, simplify, substitute
from gatework.language.spelling import Names

_RULES: dict[tuple[str, int], Node | None] = {
    (row.name, place): None if text is None else read(f"rule = {text}")[0].value
    for row in FUNCTIONS.values()
    for place, text in enumerate(row.adjoints)
}


@dataclass(frozen=True)
class Adjoint:
    """A step's adjoint, and the meaning of its names.

    Args:
        step: The adjoint.
        last: For each state of the forward step, the input that holds its previous value.
        back: For each state, the adjoint's state that carries its gradient.
        grad: For each graded state, the input that holds its gradient from outside.
        gradients: For each forward name that has a gradient, the name of the gradient.
    """

    step: Step
    last: Mapping[str, str]
    back: Mapping[str, str]
    grad: Mapping[str, str]
    gradients: Mapping[str, str]


def derive(step: Step, graded: Iterable[str] | None = None) -> Step:
    """Differentiate a step symbolically.

    Args:
        step: The forward equations.
        graded: States whose value at every step receives a gradient from outside, as ``grad_<state>``; None for the
            output alone.

    Returns:
        The adjoint Step: its states are ``back_<state>``, its inputs the forward values it needs, and its outputs
        ``d_<name>`` for every input and parameter that has a gradient.

    Example:
        >>> from gatework.language import parse, show
        >>> print(show(derive(parse("h = tanh(W @ x + R @ h + b)", states="h"))))
        d_h = grad_h + back_h
        d_h_1 = d_h * (1 - h * h)
        d_x = W.T @ d_h_1
        d_W = outer(d_h_1, x)
        d_R = outer(d_h_1, h_prev)
        d_b = d_h_1
        back_h = R.T @ d_h_1
    """
    return differentiate(step, graded).step


def differentiate(
    step: Step, graded: Iterable[str] | None = None, avoid: Iterable[Step] = (), unseen: Iterable[str] = ()
) -> Adjoint:
    """Differentiate a step symbolically, and return the meaning of the adjoint's names too.

    Args:
        step: As in :func:`derive`.
        graded: As in :func:`derive`.
        avoid: Steps used together with the adjoint. The adjoint makes up none of their names.
        unseen: Names that get no gradient. If they are states, their carried gradients are not multiplied.

    Returns:
        The adjoint and its names.
    """
    return _Deriver(step, tuple(graded) if graded is not None else step.states[:1], avoid, frozenset(unseen)).adjoint()


def reached(step: Step, names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    r"""Find which names get a gradient if some names have one at any step.

    Args:
        step: The forward equations.
        names: The names that have a gradient.

    Returns:
        All names that get a gradient, and the states among them that carry it to the previous step.

    Example:
        >>> from gatework.language import parse
        >>> reached(parse("n = n + 1\nc = c / n + x\nh = tanh(c)", states="h c n"), ["c"])[1] == {"c", "n"}
        True
    """
    lines = {equation.target: equation.value for equation in step.equations}
    arrived: set[str] = set()
    carried: set[str] = set()
    pending: list[Node] = [Name(name) for name in names]
    while pending:
        node = pending.pop()
        if isinstance(node, Name):
            if node.previous:
                carried.add(node.name)
            if node.name not in arrived:
                arrived.add(node.name)
                pending += [lines[node.name]] if node.name in lines else []
        elif isinstance(node, Apply):
            rules = FUNCTIONS[node.function].adjoints
            pending += [below for below, rule in zip(node.arguments, rules, strict=True) if rule is not None]
        else:
            pending += children(node)
    return frozenset(arrived), frozenset(carried)


class _Deriver:
    def __init__(
        self, forward: Step, graded: tuple[str, ...], avoid: Iterable[Step], unseen: frozenset[str] = frozenset()
    ) -> None:
        self.forward = forward
        self.graded = graded
        self.unseen = unseen
        self.names = Names(forward, *avoid)
        self.last = {state: self.names.fresh(f"{state}_prev") for state in forward.states}
        self.back = {state: self.names.fresh(f"back_{state}") for state in forward.states}
        self.grad = {state: self.names.fresh(f"grad_{state}") for state in graded}
        self.gradient = {name: self.names.fresh(f"d_{name}") for name in (*self._given(), *self._targets())}
        self.positions = dict(forward.positions)  # of the adjoint's names too, as they are made
        for names in (self.last, self.back, self.grad, self.gradient):
            self.positions |= {name: forward.positions[of] for of, name in names.items() if of in forward.positions}
        self.arrived: dict[Name, list[Node]] = defaultdict(list)
        self.lines: list[Equation] = []

    def _targets(self) -> list[str]:
        return [equation.target for equation in self.forward.equations]

    def _given(self) -> list[str]:
        """List what has a gradient and no line: inputs, memories and parameters."""
        learned = [parameter.name for parameter in self.forward.parameters]
        return [*self.forward.inputs, *self.forward.banks, *learned]

    def adjoint(self) -> Adjoint:
        """Walk the lines backward, then assign the gradients of inputs, parameters and the previous step's states."""
        for equation in reversed(self.forward.equations):
            self.equation(equation)
        for name in self._given():
            self.deliver(self.gradient[name], Name(name))
        for state in self.forward.states:
            self.deliver(self.back[state], Name(state, previous=True), always=True)
        lines = _shared(tuple(self.lines), self.names)
        states = tuple(self.back.values())
        made = {line.target for line in lines}
        outputs = tuple(self.gradient[name] for name in self._given() if self.gradient[name] in made)
        lines = needed(lines, (*states, *outputs))
        inputs = self.inputs(lines)
        step = check(lines, states, inputs, outputs, memories=self.memories(lines, inputs))
        reached = {name: gradient for name, gradient in self.gradient.items() if gradient in made}
        return Adjoint(step, self.last, self.back, self.grad, reached)

    def inputs(self, lines: tuple[Equation, ...]) -> tuple[str, ...]:
        """List the forward values that the adjoint reads, in the order of the forward step."""
        reads = {node.name for line in lines for node in walk(line.value) if isinstance(node, Name)}
        forward = (*self.forward.inputs, *self.last.values(), *self._targets(), *self.grad.values())
        return tuple(name for name in forward if name in reads)

    def memories(self, lines: tuple[Equation, ...], inputs: tuple[str, ...]) -> tuple[str, ...]:
        """List the memories that the adjoint reads, each with the forward values at its positions."""
        reads = {node.name for line in lines for node in walk(line.value) if isinstance(node, Name)}
        banks = [name for name in self.forward.banks if name in reads]
        held = {one: [name for name in (*banks, *inputs) if self.positions.get(name) == one] for one in self.positions}
        return tuple("=".join(dict.fromkeys((one, *held[one]))) for one in self.forward.places if held[one])

    def equation(self, equation: Equation) -> None:
        """Pass the gradient of one line's name on to everything that the line reads."""
        target = equation.target
        total = self.arrived.pop(Name(target), [])
        if target in self.back and target not in self.unseen:
            total = [Name(self.back[target], previous=True), *total]
        if target in self.grad:
            total = [Name(self.grad[target]), *total]
        gradient = simplify(added(total))
        if gradient == ZERO:
            return
        name = self.gradient[target]
        self.lines.append(Equation(name, gradient))
        self.spread(equation.value, Name(name), Name(target), target)

    def spread(self, node: Node, gradient: Node, result: Node, target: str) -> None:
        """Pass the gradient of a node on to its children.

        ``result`` is the cheapest expression of the node's own value: at the root, the name of its line.
        """
        if gradient == ZERO:
            return
        if along(gradient, self.positions) and not along(node, self.positions):
            gradient = self.bound(Apply("total", (gradient,)), target)  # the vector enters at every position
        if isinstance(node, Name):
            self.arrived[Name(node.name, node.previous)].append(gradient)
        elif isinstance(node, Product):
            gradient = self.bound(gradient, target)
            operand = self.read(node.operand)
            # Of M @ v the gradient of M is outer(d, v), and of M.T @ v its transpose; v gets M.T @ d, or M @ d.
            left, right = (operand, gradient) if node.transposed else (gradient, operand)
            self.arrived[Name(node.matrix)].append(Outer(left, right, node.structure, node.blocks))
            sent = Product(node.matrix, gradient, node.structure, node.blocks, not node.transposed)
            self.spread(node.operand, sent, operand, target)
        elif isinstance(node, Apply):
            self.spread_applied(node, gradient, result, target)

    def spread_applied(self, node: Apply, gradient: Node, result: Node, target: str) -> None:
        rules = [_RULES[node.function, place] for place in range(len(node.arguments))]
        uses = sum(_count(rule, "d") for rule in rules if rule is not None)
        if uses > 1 or any(isinstance(argument, Product) for argument in node.arguments):
            gradient = self.bound(gradient, target)
        values: dict[Name, Node] = {Name("d"): gradient, Name("y"): self.read(result)}
        for letter, argument in zip("abc", node.arguments, strict=False):
            values[Name(letter)] = self.read(argument)
        for rule, argument in zip(rules, node.arguments, strict=True):
            if rule is not None and not isinstance(argument, Number):
                self.spread(argument, simplify(substitute(rule, values)), argument, target)

    def bound(self, gradient: Node, target: str) -> Node:
        """Give a gradient its own line, unless it is already a name."""
        if isinstance(gradient, Name | Number):
            return gradient
        name = self.names.numbered(f"{self.gradient[target]}_")
        memory = along(gradient, self.positions)
        if memory is not None:
            self.positions[name] = memory
        self.lines.append(Equation(name, gradient))
        return Name(name)

    def read(self, node: Node) -> Node:
        """Express a forward value in the adjoint's names: the previous step's h is ``h_prev``."""
        if isinstance(node, Name):
            return Name(self.last[node.name]) if node.previous else Name(node.name)
        return rebuild(node, tuple(self.read(child) for child in children(node)))

    def deliver(self, name: str, source: Name, always: bool = False) -> None:
        total = simplify(added(self.arrived.get(source, [])))
        if total != ZERO or always:
            self.lines.append(Equation(name, total))


def _count(node: Node, name: str) -> int:
    return sum(isinstance(below, Name) and below.name == name for below in walk(node))


def _shared(lines: tuple[Equation, ...], names: Names) -> tuple[Equation, ...]:
    """Give each costly expression that is written more than once its own line."""
    counts = Counter(node for line in lines for node in walk(line.value) if _costly(node))
    named: dict[Node, str] = {}
    result: list[Equation] = []

    def use(node: Node, whole: bool = False) -> Node:
        if node in named:
            return Name(named[node])
        rebuilt = rebuild(node, tuple(use(child) for child in children(node)))
        if whole or counts[node] < 2:
            return rebuilt
        named[node] = names.fresh("again")
        result.append(Equation(named[node], rebuilt))
        return Name(named[node])

    for line in lines:
        result.append(Equation(line.target, use(line.value, whole=line.value not in named)))
    return tuple(result)


def _costly(node: Node) -> bool:
    cheap = (*OPERATORS, "exists", "place")
    return isinstance(node, Product) or (isinstance(node, Apply) and node.function not in cheap)
