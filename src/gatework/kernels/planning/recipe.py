"""The forward plans and the adjoint's plan of a step. They depend on neither sizes nor the machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from gatework.kernels.planning.lowering import inlined
from gatework.kernels.planning.normal import REDUCTIONS, named, normal, settled
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.planner import make_plan
from gatework.kernels.planning.verify import verified
from gatework.language.check import check
from gatework.language.derive import Adjoint, differentiate, reached
from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import ONE_NUMBER, Apply, Name, Node, Outer, Product, Step, children, walk
from gatework.language.positions import remaining
from gatework.language.simplify import needed, substitute

_POSITIONS = "positions_"  # begins the keys of what has one number at each position of a memory


@dataclass(frozen=True, eq=False)
class Recipe:
    """The plans of a step. Each is made when it is first needed.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn; if not, each mask is its probability.
        record: Names whose values at every step are also returned, with gradients.
        unseen: States and recorded names without a gradient, so that the adjoint leaves them out.
    """

    step: Step
    drawn: bool
    record: tuple[str, ...] = ()
    unseen: frozenset[str] = frozenset()
    _seeing: dict[frozenset[str], "Recipe | None"] = field(default_factory=dict, repr=False)  # None: this recipe

    def seeing(self, names: frozenset[str]) -> "Recipe":
        """Return the recipe for a backward pass in which only some names receive a gradient.

        A value that the loss does not read may be infinite or NaN. Even a gradient of zero would then become NaN.

        Args:
            names: Recorded names and states that receive a gradient, at every step or for the last value.

        Returns:
            The same forward pass, with an adjoint that leaves out what has no gradient. If there is nothing to leave
            out, as in most cases, the result is this recipe.
        """
        if names not in self._seeing:
            unseen = frozenset((*self.step.states, *self.record)) - reached(self.step, names)[0]
            self._seeing[names] = replace(self, unseen=unseen, _seeing={}) if unseen and names else None
        return self._seeing[names] or self

    @cached_property
    def named(self) -> Step:
        """The step with a name for every pre-activation."""
        return named(settled(self.step, self.drawn, self.record), self.step)

    @cached_property
    def adjoint(self) -> Adjoint:
        """The adjoint of the named step."""
        graded = (name for name in (self.step.states[0], *self.record) if name not in self.unseen)
        return differentiate(self.named, graded, (self.step, self.forward), self.unseen)

    @cached_property
    def forward(self) -> Step:
        """The step in normal form."""
        return normal(self.named, self.step)

    @cached_property
    def reverse(self) -> Step:
        """The adjoint in normal form. A reduction that the forward step has computed is an input."""
        step = normal(inlined(self.adjoint.step), self.step, self.forward)
        made = {
            line.value: line.target
            for line in self.forward.equations
            if isinstance(line.value, Apply) and line.value.function in REDUCTIONS
        }
        lines = tuple(
            replace(line, value=Name(made[line.value])) if line.value in made else line for line in step.equations
        )
        reads = dict.fromkeys(node.name for line in lines for node in walk(line.value) if isinstance(node, Name))
        inputs = dict.fromkeys(name for name in (*step.inputs, *made.values()) if name in reads)
        return check(lines, step.states, inputs, step.outputs, memories=remaining(step.memories, lines, inputs, True))

    @cached_property
    def inference(self) -> Plan:
        """The plan of a forward pass without a backward pass."""
        step = self.forward
        lines = [name for name in self.record if name not in step.states]
        return verified(make_plan(step, self._sizes(step, {}), wanted=lines))

    @cached_property
    def training(self) -> Plan:
        """The plan of a forward pass that saves what the adjoint reads."""
        step = self.forward
        return verified(make_plan(step, self._sizes(step, {}), wanted=self.saved))

    @cached_property
    def backward(self) -> Plan:
        """The plan of the adjoint."""
        step = self.reverse
        forward = self._sizes(self.forward, {})
        known = dict(forward)
        # A gradient that nothing needs has a name but no line, and the normal form may give its name to another line.
        made = {line.target for line in self.adjoint.step.equations}
        gradients = {of: name for of, name in self.adjoint.gradients.items() if name in made}
        for table in (self.adjoint.last, self.adjoint.back, self.adjoint.grad, gradients):
            known |= {name: forward[of] for of, name in table.items() if of in forward}
        learned = [parameter.name for parameter in self.named.parameters]
        summed = [self.adjoint.gradients[name] for name in learned if name in self.adjoint.gradients]
        last, sizes = self.adjoint.last.values(), self._sizes(step, known)
        scalars = [name for name in self.scalars if name in step.inputs]
        return verified(make_plan(step, sizes, summed=summed, indexed=last, scalars=scalars))

    @cached_property
    def replay(self) -> Plan:
        """The plan that recomputes what the adjoint reads, from the inputs and the saved states."""
        last = self.adjoint.last
        before: dict[Name, Node] = {Name(state, True): Name(name) for state, name in last.items()}
        lines = needed(
            (
                replace(line, value=substitute(line.value, before))
                for line in self.forward.equations
                if line.target not in self.forward.states
            ),
            self.saved,
        )
        made = {line.target for line in lines}
        reads = dict.fromkeys(node.name for line in lines for node in walk(line.value) if isinstance(node, Name))
        given = {*self.forward.banks, *(parameter.name for parameter in self.step.parameters)}
        inputs = tuple(name for name in reads if name not in made and name not in given)
        forward = self._sizes(self.forward, {})
        step = replace(self.forward, inputs=inputs, states=(), equations=lines, outputs=self.saved)
        known = self._sizes(step, {name: forward[state] for state, name in last.items()} | forward)
        return verified(make_plan(step, known, wanted=self.saved, indexed=last.values()))

    @cached_property
    def saved(self) -> tuple[str, ...]:
        """Name the lines, other than states, that the adjoint reads or that are recorded."""
        lines = {line.target for line in self.forward.equations} - set(self.forward.states)
        return tuple(dict.fromkeys(name for name in (*self.reverse.inputs, *self.record) if name in lines))

    @cached_property
    def scalars(self) -> tuple[str, ...]:
        """Name the saved values with one number for each step and row."""
        return tuple(name for name in self.saved if self.training.homes.get(name) == "scalar")

    def _sizes(self, step: Step, known: Mapping[str, str]) -> dict[str, str]:
        """Return the size key of every vector of a derived step, in the keys of the original step."""
        # A size of 1 is one number for each position of a memory, or a single one.
        ones = [name for name, key in step.sizes_of.items() if key == ONE_NUMBER]
        known = {**known, **{name: _places(step, name) for name in ones}}
        matrices = {parameter.name: parameter for parameter in self.step.parameters if parameter.columns is not None}
        sizes = {**self._known, **known}

        def size(node: Node) -> str | None:
            if isinstance(node, Name):
                return sizes.get(node.name)
            if isinstance(node, Apply) and FUNCTIONS[node.function].takes:
                # The numbers that weigh a bank, or are spread over a vector, say nothing of the vector's size.
                return size(node.arguments[-1]) if node.function in ("weigh", "spread") else None
            if isinstance(node, Product):
                matrix = matrices[node.matrix]
                return matrix.columns if node.transposed else matrix.rows
            return next((key for key in map(size, children(node)) if key), None)

        # The operand of a matrix has the size of its columns, even a constant, whose own line implies no size.
        for node in (node for line in step.equations for node in walk(line.value)):
            if isinstance(node, Product) and isinstance(node.operand, Name):
                matrix = matrices[node.matrix]
                sizes.setdefault(node.operand.name, (matrix.rows if node.transposed else matrix.columns) or "")
        for line in step.equations:
            if line.target not in sizes and not isinstance(line.value, Outer):
                key = size(line.value) or "hidden_size"
                # A sum of numbers at positions is a single number, and a number spread over positions is one at each.
                single = key == ONE_NUMBER or key.startswith(_POSITIONS)
                sizes[line.target] = _places(step, line.target) if single else key
        return sizes

    @property
    def _known(self) -> dict[str, str]:
        vectors = {parameter.name: parameter.rows for parameter in self.step.parameters if parameter.columns is None}
        ones = [name for name, key in self.step.sizes_of.items() if key == ONE_NUMBER]
        return {**self.step.sizes_of, **vectors, **{name: _places(self.step, name) for name in ones}}


def _places(step: Step, name: str) -> str:
    """Return the size key of what has a size of 1: ``one``, or that of the positions of a memory."""
    return f"{_POSITIONS}{step.positions[name]}" if name in step.positions else ONE_NUMBER
