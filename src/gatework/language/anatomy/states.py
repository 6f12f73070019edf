"""How a state is computed: what it keeps, what is written to it, and which gates decide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from gatework.language.anatomy.expressions import factors, has_product, separable, signed_addends, slope
from gatework.language.anatomy.lines import find_bounds
from gatework.language.anatomy.masks import before_mask, own_line
from gatework.language.nodes import Apply, Name, Node, Number, Product, Step, walk
from gatework.language.simplify import ZERO, simplify, substitute

# To be read as a gate, a factor must equal g, or 1 - g, at these values of g: the ends, and some between them.
_PROBED = (0.0, 1.0, 0.25, 0.5)
_MOST = 256


@dataclass(frozen=True, slots=True)
class Gate:
    """A line whose value is the fraction that passes.

    Args:
        name: The name of the line.
        complement: Whether ``1 - name`` is what passes, rather than ``name``.
    """

    name: str
    complement: bool = False

    @property
    def factor(self) -> str:
        """The factor: ``z`` or ``1 - z``."""
        return f"1 - {self.name}" if self.complement else self.name

    @property
    def full(self) -> Literal[0, 1]:
        """The value of the line at which everything passes."""
        return 0 if self.complement else 1

    @property
    def none(self) -> Literal[0, 1]:
        """The value of the line at which nothing passes."""
        return 1 if self.complement else 0


@dataclass(frozen=True)
class State:
    """The addends and the gates of a state.

    Args:
        name: The state.
        addends: The addends of its line, as :func:`separable` returns them; empty if the line is not a sum.
        kept: The addends that are the previous step's value times something, each once.
        written: All other addends, each once.
        keeps: The gate that decides how much of the previous step's value stays; None if no single gate does.
        writes: The gate that can shut out everything that is written; None if no gate can.
        opens: The gate through which the output reads this state, such as an LSTM's output gate; None if there is none.
    """

    name: str
    addends: tuple[Node, ...]
    kept: tuple[Node, ...]
    written: tuple[Node, ...]
    keeps: Gate | None
    writes: Gate | None
    opens: Gate | None


@lru_cache(maxsize=_MOST)
def find_states(step: Step) -> Mapping[str, State]:
    """Find what each state keeps, what is written to it, and which gates decide.

    Args:
        step: The equations.

    Returns:
        The states, by name, in the order of their lines.

    Example:
        >>> from gatework.language import parse
        >>> lstm = '''
        ... f = sigmoid(W_f @ x)
        ... i = sigmoid(W_i @ x)
        ... o = sigmoid(W_o @ x)
        ... c = f * c + i * tanh(W_g @ x)
        ... h = o * tanh(c)
        ... '''
        >>> memory = find_states(parse(lstm, states="h c"))["c"]
        >>> memory.keeps, memory.writes.name, memory.opens.name
        (Gate(name='f', complement=False), 'i', 'o')
    """
    names = [line.target for line in step.equations if line.target in step.states]
    return MappingProxyType({name: _Reader(step).state(name) for name in names})


class _Reader:
    """Reads the states of one step."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.lines = {line.target: line.value for line in step.equations}
        self.bounds = find_bounds(step)

    def state(self, name: str) -> State:
        carried, old = self.carried(name), Name(name, True)
        parts = separable(self.lines[name])
        kept = [node for node in dict.fromkeys(parts) if _is_kept(substitute(node, carried), old)]
        written = [node for node in dict.fromkeys(parts) if node not in kept]
        # If a mask mixes the new value with the old one, the masked line counts as well.
        whole = slope(substitute(own_line(self.step, name), carried), old)
        return State(
            name,
            tuple(parts),
            tuple(kept),
            tuple(written),
            None if whole is None else self.gate(whole),
            self.shuts(written),
            self.opens(name),
        )

    def carried(self, state: str) -> dict[Name, Node]:
        """Map the lines that carry a state's old value times something, as ``kept = f * c`` or ``n = h + x``."""
        carried: dict[Name, Node] = {}
        for target, line in self.lines.items():
            value = substitute(line, carried)
            if target != state and slope(value, Name(state, True)) not in (None, ZERO):
                carried[Name(target)] = value
        return carried

    def shuts(self, written: list[Node]) -> Gate | None:
        """Find the gate that shuts out all that is written: a factor between 0 and 1 of every written addend."""
        common: list[Gate] | None = None
        for node in written:
            gates = self.gates(self.followed(node))
            common = gates if common is None else [gate for gate in common if gate in gates]
        return common[0] if common else None

    def opens(self, state: str) -> Gate | None:
        """Find the gate in the product through which the output reads a state of this step."""
        output = self.step.states[0]
        if output == state:
            return None
        lines = self.step.equations
        value = self.lines[before_mask(lines, output)]
        while isinstance(value, Product):  # a projection
            value = self.followed(value.operand)
        current = Name(before_mask(lines, state))  # the output reads a state before its mask
        shown = [part for part in factors(value) if current in walk(part)]
        others = [gate for part in factors(value) if part not in shown for gate in self.gates(part)]
        return others[0] if shown and others else None

    def followed(self, node: Node) -> Node:
        """Return the expression of a name that is a line of this step, or the node itself."""
        while isinstance(node, Name) and not node.previous and node.name in self.lines:
            node = self.lines[node.name]
        return node

    def gates(self, node: Node) -> list[Gate]:
        """List the factors of a product that are gates, between 0 and 1."""
        read_as = [gate for factor in factors(node) if (gate := self.gate(factor)) is not None]
        return [gate for gate in read_as if self.bounds[gate.name] == (0, 1)]

    def gate(self, factor: Node) -> Gate | None:
        """Read an expression as a gate: a line, or 1 minus a line; None if it is neither."""
        names = {node for node in walk(factor) if isinstance(node, Name)}
        if len(names) != 1 or has_product(factor):
            return None
        (name,) = names
        if name.previous or name.name not in self.lines or name.name in self.step.draws:
            return None
        values = [simplify(substitute(factor, {name: Number(place)})) for place in _PROBED]
        if values == [Number(place) for place in _PROBED]:
            return Gate(name.name)
        return Gate(name.name, True) if values == [Number(1 - place) for place in _PROBED] else None


def _is_kept(node: Node, old: Name) -> bool:
    """Return whether an addend is the state's old value times something."""
    return slope(node, old) not in (None, ZERO) and simplify(substitute(node, {old: ZERO})) == ZERO


def gate_biases(step: Step, factor: Node) -> dict[str, int]:
    r"""Find the biases that open a gate: a sigmoid, or one minus a gate.

    Args:
        step: The equations.
        factor: A factor in one of them.

    Returns:
        For each bias that is added inside the sigmoid, +1 if a larger one opens the gate, -1 if a smaller one does.
        Empty if the factor is not a gate.

    Example:
        >>> from gatework.language import parse
        >>> step = parse("z = sigmoid(W @ x - b)\nh = z * h + x")
        >>> gate_biases(step, Name("z")), gate_biases(step, Name("x"))
        ({'b': -1}, {})
    """
    lines = {line.target: line.value for line in step.equations}
    sign = 1
    while True:
        match factor:
            case Name(name, False) if name in lines:
                factor = lines[name]
            case Apply("sub", (Number(1.0), inner)):
                factor, sign = inner, -sign
            case Apply("sigmoid", (inside,)):
                biases = {parameter.name for parameter in step.parameters if parameter.role == "bias"}
                opened_by: dict[str, int] = {}
                for bias, own in _added(inside, lines, biases, sign):
                    opened_by.setdefault(bias, own)
                return opened_by
            case _:
                return {}


def _added(node: Node, lines: Mapping[str, Node], biases: set[str], sign: int) -> Iterator[tuple[str, int]]:
    """Yield the biases that a sum adds or subtracts, through lines of this step, each with its sign."""
    for term, own in signed_addends(node, sign):
        if isinstance(term, Name) and term.name in biases:
            yield term.name, own
        elif isinstance(term, Name) and not term.previous and term.name in lines:
            yield from _added(lines[term.name], lines, biases, own)
