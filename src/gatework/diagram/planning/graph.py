"""The equations as a graph to draw: learned layers, pointwise operations, and the vectors between them.

A learned layer is a function of a weighted sum, ``sigmoid(W @ x + R @ h + b)``, or the sum alone. Any other computation
is a pointwise operation. Constants and functions of one argument around it are drawn with it, so that
``2 * sigmoid(c) - 1`` is one sign. Equal expressions are one vertex.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gatework.diagram.planning.notation import Runs, function_text, matrix_symbol, roman, symbol
from gatework.language.anatomy import has_product, signed_addends
from gatework.language.functions import FUNCTIONS, OPERATORS
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Product, Step, along, children
from gatework.language.show import show_equations
from gatework.language.simplify import needed, simplify, substitute
from gatework.language.spelling import MINUS, number

STATE, INPUT, LAYER, OPERATION, SOURCE = "state", "input", "layer", "operation", "source"
BANK = "bank"
CONDITION = "if"  # the mark of a condition, which selects values but passes none on
HOLE = "·"  # the place of the argument in the text of a function
# The marks beside the arrows of arguments whose order matters.
_MARKS = {"sub": ("", MINUS), "div": ("", "÷"), "where": (CONDITION, "", "else"), "greater": ("", "<"),
          "mod": ("", "mod")}  # fmt: skip


@dataclass(eq=False)
class Vertex:
    """One sign of the picture, and the vector that it computes.

    Args:
        kind: ``state`` (the previous step's value), ``bank`` (a memory), ``input``, ``layer``, ``operation`` or
            ``source`` (without inputs).
        label: The label.
        quantity: The value it computes, as the equations name or write it.
        inputs: The inputs, in order; for a layer, the operands of its matrices and vectors.
        marks: For each input, the mark beside its arrow; empty if it has none.
        names: The targets that have this value.
        line: The index of the first equation it stands in; -1 for states, memories and inputs.
        function: The sign's row in the table of functions; empty if the sign stands for more than one.
        at_positions: Whether it has a value at each position of a memory.
    """

    kind: str
    label: Runs
    quantity: str
    inputs: "tuple[Vertex, ...]" = ()
    marks: tuple[str, ...] = ()
    names: list[str] = field(default_factory=list)
    line: int = -1
    function: str = ""
    at_positions: bool = False

    def __repr__(self) -> str:
        return f"<{self.kind} {self.quantity}>"

    @property
    def is_sum(self) -> bool:
        """Whether two vectors are added here, or one is subtracted from the other."""
        return self.function in ("add", "sub")

    @property
    def is_product(self) -> bool:
        """Whether two vectors are multiplied here, or one is divided by the other."""
        return self.function in ("mul", "div")


@dataclass(frozen=True)
class Graph:
    """A cell as vertices.

    Args:
        vertices: All vertices, each after its inputs.
        previous: For each state, the vertex of its previous value.
        current: For each state, the vertex of its new value.
        inputs: The vertices of the inputs, ``x`` first.
        equations: The lines that are drawn. Lines that are plain numbers are substituted into the others.
        times: The index of each quantity's name: ``t``, ``t,l`` for a value at each position of a memory, and ``l`` for
            a memory.
    """

    vertices: tuple[Vertex, ...]
    previous: Mapping[str, Vertex]
    current: Mapping[str, Vertex]
    inputs: tuple[Vertex, ...]
    equations: tuple[Equation, ...]
    times: Mapping[str, str]

    def readers(self, vertex: Vertex) -> list[Vertex]:
        """List the vertices that read a vertex."""
        return [other for other in self.vertices if vertex in other.inputs]


def make_graph(step: Step) -> Graph:
    """Turn the equations of a step into a graph to draw.

    Args:
        step: The checked equations.

    Returns:
        The graph.

    Example:
        >>> from gatework.language import parse
        >>> graph = make_graph(parse("h = z * tanh(W @ x) + (1 - z) * h", inputs="x z"))
        >>> [vertex.quantity for vertex in graph.vertices]
        ['prev(h)', 'x', 'z', 'tanh(W @ x)', 'z * tanh(W @ x)', '1 - z', '(1 - z) * h', 'h']
    """
    return _Grapher(step).graph()


class _Grapher:
    """Makes the vertices of one step, each of them once."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.lines = _without_numbers(step)
        self.values = {equation.target: equation.value for equation in self.lines}
        self.parameters = {parameter.name for parameter in step.parameters}
        self.made: dict[Node, Vertex] = {}
        self.line = -1
        self.times = {name: "l" if name in step.banks else times(step, name, "t") for name in step.sizes_of}
        self.previous = {
            state: self._source(Name(state, True), STATE, symbol(state, times(step, state, f"t{MINUS}1")))
            for state in step.states
        }
        for bank in step.banks:
            self._source(Name(bank), BANK, symbol(bank, self.times[bank]))
        self.inputs = tuple(self._source(Name(name), INPUT, symbol(name, self.times[name])) for name in step.inputs)

    def graph(self) -> Graph:
        """Make all vertices, in the order of the equations."""
        for line, equation in enumerate(self.lines):
            self.line = line
            vertex = self.vertex(Name(equation.target))
            vertex.names.append(equation.target)
            if len(vertex.names) == 1 and vertex.kind != STATE:
                vertex.quantity = equation.target
        current = {state: self.vertex(Name(state)) for state in self.step.states}
        used = {id(below) for vertex in self.made.values() for below in vertex.inputs}
        kept = [v for v in dict.fromkeys(self.made.values()) if v.kind in (STATE, INPUT) or v.names or id(v) in used]
        return Graph(tuple(kept), self.previous, current, self.inputs, self.lines, self.times)

    def vertex(self, node: Node) -> Vertex:
        """Return the vertex of an expression. The vertex of a name is that of its line."""
        while isinstance(node, Name) and not node.previous and node.name in self.values:
            if node.name in self.step.draws:
                break  # two masks with the same probability are different masks
            node = self.values[node.name]
        if node not in self.made:
            self.made[node] = self._make(node)
            # Its inputs were made with it, and come before it.
            self.made[node] = self.made.pop(node)
        return self.made[node]

    def _source(self, node: Node, kind: str, label: Runs) -> Vertex:
        self.made[node] = Vertex(kind, label, node.name if isinstance(node, Name) else "")
        if isinstance(node, Name) and node.previous:
            self.made[node].quantity = f"prev({node.name})"
        self.made[node].at_positions = along(node, self.step.positions) is not None
        return self.made[node]

    def _make(self, node: Node) -> Vertex:
        if isinstance(node, Name) and node.name in self.step.draws:
            node = self.values[node.name]
        inner = self._peeled(node)
        if self._is_weighted(inner):
            label = self._layer_label(node, inner)
            # A vector that one sign reads twice is one line; one that is both added and subtracted is two lines.
            read = dict.fromkeys(self._operands(inner))
            return self._built(LAYER, label, node, tuple(one for one, _ in read), tuple(mark for _, mark in read))
        if inner is not node:
            return self._built(OPERATION, roman(_outside(node, inner)), node, (self.vertex(inner),))
        if isinstance(node, Apply) and FUNCTIONS[node.function].kind != "source":
            below = tuple(self.vertex(argument) for argument in node.arguments)
            label = function_text(node.function)
            # A difference is a sum with a minus sign beside one of its arrows.
            label = "+" if node.function == "sub" else "×" if node.function == "div" else label
            marks = _MARKS.get(node.function, ("",) * len(below))
            vertex = self._built(OPERATION, roman(label), node, below, marks)
            vertex.function = node.function
            return vertex
        if isinstance(node, Apply):
            value = node.arguments[0]
            assert isinstance(value, Number)  # a source takes a plain number
            return self._built(SOURCE, roman(f"{function_text(node.function)}({number(value.value)})"), node, ())
        label = symbol(node.name) if isinstance(node, Name) else roman(self._written(node))
        return self._built(SOURCE, label, node, ())

    def _built(
        self, kind: str, label: Runs, node: Node, inputs: tuple[Vertex, ...], marks: tuple[str, ...] = ()
    ) -> Vertex:
        placed = along(node, self.step.positions) is not None
        marks = marks or ("",) * len(inputs)
        return Vertex(kind, label, self._written(node), inputs, marks, line=self.line, at_positions=placed)

    def _written(self, node: Node) -> str:
        """Write an expression as its equation writes it."""
        if self.line < 0:
            return ""
        lines = list(self.lines)
        lines[self.line] = replace(lines[self.line], value=node, comment="")
        return show_equations(tuple(lines)).splitlines()[self.line].partition(" = ")[2].strip()

    def _peeled(self, node: Node) -> Node:
        """Strip functions of one argument, with their constants, from an expression, and return what they act on."""
        inner = _argument(node)
        while inner is not None and not self._is_weighted(node):
            node, inner = inner, _argument(inner)
        return node

    def _is_weighted(self, node: Node) -> bool:
        """Return whether an expression is a sum with a learned addend."""
        return any(self._weight(term) is not None for term, _ in signed_addends(node))

    def _weight(self, term: Node) -> Node | None:
        """Find the learned part of a term: a matrix product, or a parameter that multiplies it."""
        if isinstance(term, Product):
            return term
        if isinstance(term, Name):
            return term if term.name in self.parameters else None
        if isinstance(term, Apply) and term.function == "spread":  # a weight on a number at each position
            return self._weight(term.arguments[1]) if isinstance(term.arguments[1], Name) else None
        if isinstance(term, Apply) and term.function in ("mul", "div", "norm", "neg"):
            # A product with a gain or a constant is learned if its other factor is.
            plain = [below for below in term.arguments if self._weight(below) is None]
            if len(plain) < len(term.arguments) and (
                term.function in ("norm", "neg")
                or not all(self._weight(below) is not None and has_product(below) for below in term.arguments)
            ):
                weights = [weight for below in term.arguments if (weight := self._weight(below)) is not None]
                if not plain or not has_product(weights[0]) or all(isinstance(below, Number) for below in plain):
                    return weights[0]
        return None

    def _operands(self, node: Node, learned: bool = False) -> Iterator[tuple[Vertex, str]]:
        """Yield the inputs of a weighted sum, each with its mark. The sign of a learned term is learned with it."""
        for term, sign in signed_addends(node):
            if isinstance(term, Product):
                yield self.vertex(term.operand), ""
            elif isinstance(term, Number) or (isinstance(term, Name) and term.name in self.parameters):
                continue
            elif self._weight(term) is not None and isinstance(term, Apply) and term.function == "spread":
                yield self.vertex(_unshifted(term.arguments[0])), ""
            elif self._weight(term) is not None:
                divides = isinstance(term, Apply) and term.function == "div"
                for place, below in enumerate(children(term)):
                    if isinstance(below, Apply) and below.function == "norm":
                        below = below.arguments[0]
                    if divides and place and self._weight(below) is None and not isinstance(below, Number):
                        yield self.vertex(below), _MARKS["div"][1]
                    else:
                        yield from self._operands(below, learned=True)
            else:
                yield self.vertex(term), MINUS if sign < 0 and not learned else ""

    def _layer_label(self, node: Node, inner: Node) -> Runs:
        normed = any(isinstance(below, Apply) and below.function == "norm" for below in _below_terms(inner))
        if inner is not node:
            return roman(_outside(node, inner, "(norm)" if normed else ""))
        weights = [weight for term, _ in signed_addends(inner) if (weight := self._weight(term)) is not None]
        matrices = [weight for weight in weights if isinstance(weight, Product)]
        if len(matrices) == 1 and not normed:
            return matrix_symbol(matrices[0])
        if not matrices and len(weights) == 1 and isinstance(weights[0], Name):
            return symbol(weights[0].name)
        return roman("norm") if normed else (("linear", "word"),)


def _without_numbers(step: Step) -> tuple[Equation, ...]:
    """Substitute lines that are plain numbers into the lines that read them, and leave out lines without effect."""
    known: dict[Name, Node] = {}
    lines = []
    for equation in step.equations:
        value = simplify(substitute(equation.value, known)) if known else equation.value
        if isinstance(value, Number) and equation.target not in step.states:
            known[Name(equation.target)] = value
        else:
            lines.append(replace(equation, value=value))
    return needed(lines, step.states)


def times(step: Step, name: str, time: str) -> str:
    """Return the index of a quantity's name: the time, and l for a value at each position of a memory."""
    return f"{time},l" if name in step.positions else time


def _unshifted(node: Node) -> Node:
    """Return what is shifted: a weight for each shift is a convolution, as learned as a matrix."""
    return node.arguments[0] if isinstance(node, Apply) and node.function == "shift" else node


def _argument(node: Node) -> Node | None:
    """Return the one argument of a function that is not a constant, or None unless there is exactly one."""
    if not isinstance(node, Apply) or FUNCTIONS[node.function].kind == "source":
        return None
    inside = [below for below in node.arguments if not isinstance(below, Number)]
    return inside[0] if len(inside) == 1 else None


def _outside(node: Node, inner: Node, argument: str = "") -> str:
    """Write the functions around an expression: ``4σ−2``, ``1−``, ``tanh``."""
    text = _around(node, inner).replace(f"({HOLE})", argument)
    text = text.removeprefix(HOLE).removesuffix(HOLE).strip()
    return text.strip("()") if text.count("(") != text.count(")") else text


def _around(node: Node, inner: Node, inside_product: bool = False) -> str:
    if node is inner:
        return HOLE
    if isinstance(node, Number):
        return number(node.value).replace("-", MINUS)
    assert isinstance(node, Apply)
    if node.function == "mod":
        return f"({_around(node.arguments[0], inner)}) mod {_around(node.arguments[1], inner)}"
    if node.function not in OPERATORS:
        return f"{function_text(node.function)}({', '.join(_around(below, inner) for below in node.arguments)})"
    product = node.function in ("mul", "div")
    parts = [_around(below, inner, product) for below in node.arguments]
    if node.function == "neg":
        return MINUS + parts[0]
    sign = {"add": "+", "sub": MINUS, "mul": "", "div": "/"}[node.function]
    if node.function == "mul" and isinstance(node.arguments[1], Number):
        parts.reverse()
    text = sign.join(parts)
    return f"({text})" if inside_product and not product else text


def _below_terms(node: Node) -> Iterable[Node]:
    for term, _ in signed_addends(node):
        yield term
        if isinstance(term, Apply):
            for below in term.arguments:
                yield from _below_terms(below)
