"""What a state is added up from, read off its equation: what of it is kept, what is written, and which gates decide."""

from collections.abc import Iterator, Mapping

from gatework.errors import CellError
from gatework.explorer.messages import BeltAnswer, GateAnswer
from gatework.explorer.quantities import Bounds, find_bounds
from gatework.language import FUNCTIONS, Apply, Name, Node, Number, Product, Step
from gatework.language.handles import own_line, parted
from gatework.language.nodes import children, walk
from gatework.language.show import show_node
from gatework.language.simplify import ONE, ZERO, simplify, substitute
from gatework.tracing.adjoints import elementwise

# Where a factor must be g, or 1 - g, for it to be taken for that; ends, and places between them.
_LOOKED_AT = (0.0, 1.0, 0.25, 0.5)


def list_belts(step: Step) -> list[BeltAnswer]:
    """List the states that are sums, those that keep something first.

    Args:
        step: The equations of a layer.

    Returns:
        For each such state its addends and its gates.

    Example:
        >>> from gatework.language import parse
        >>> (belt,) = list_belts(parse("z = sigmoid(W @ x); h = (1 - z) * h + z * x".replace("; ", chr(10))))
        >>> belt.kept, belt.written, belt.keep
        (['(1 - z) * h'], ['z * x'], GateAnswer(gate='z', factor='1 - z', full=0, none=1))
    """
    states = [line.target for line in step.equations if line.target in step.states]
    found = [belt for state in states if (belt := _belt(step, state)) is not None]
    return sorted(found, key=lambda belt: not belt.kept)


def _belt(step: Step, state: str) -> BeltAnswer | None:
    addends = _addends(step, state)
    if not addends:
        return None
    old = Name(state, True)
    carried = _carried(step, state)
    kept = [name for name, node in addends.items() if _is_kept(substitute(node, carried), old)]
    written = [node for name, node in addends.items() if name not in kept]
    output = step.states[0]
    return BeltAnswer(
        state=state,
        kept=kept,
        written=[name for name in addends if name not in kept],
        keep=_keeper(step, state, carried),
        write=_writer(step, written, find_bounds(step)),
        half_life=bool(kept) and _has_half_life(step, state),
        output=output if output != state and Name(state) in walk(_line(step, output)) else None,
    )


def _line(step: Step, name: str) -> Node:
    return next(line.value for line in step.equations if line.target == name)


def _addends(step: Step, state: str) -> dict[str, Node]:
    """Give the addends of a state by the names that a trace has for them; none where its line is no sum."""
    taken = parted(step)
    names = {line: part for part, line in taken.parts.items()}
    terms = list(_terms(_line(taken.step, state)))
    if len(terms) < 2 or not all(isinstance(term, Name) for term in terms):
        return {}
    found: dict[str, Node] = {}
    for term in terms:
        assert isinstance(term, Name)
        found[names.get(term.name, term.name)] = _line(taken.step, term.name) if term.name in names else term
    return found


def _terms(node: Node) -> Iterator[Node]:
    if isinstance(node, Apply) and node.function == "add":
        for argument in node.arguments:
            yield from _terms(argument)
    else:
        yield node


def _carried(step: Step, state: str) -> dict[Name, Node]:
    """Give the lines that pass a state's old value on as it is, times something: ``kept = f * c``, ``n = h + x``."""
    found: dict[Name, Node] = {}
    for line in step.equations:
        value = substitute(line.value, found)
        if line.target != state and _slope(value, Name(state, True)) not in (None, ZERO):
            found[Name(line.target)] = value
    return found


def _direct(node: Node, old: Name) -> bool:
    """Say whether last step's value of a unit enters by itself, other than through a matrix or a mean."""
    if isinstance(node, Product) or (isinstance(node, Apply) and FUNCTIONS[node.function].kind == "reduction"):
        return False
    return node == old or any(_direct(below, old) for below in children(node))


def _is_kept(node: Node, old: Name) -> bool:
    """Say whether an addend is the state's old value times something."""
    return _slope(node, old) not in (None, ZERO) and simplify(substitute(node, {old: ZERO})) == ZERO


def _slope(node: Node, old: Name) -> Node | None:
    """Give what an expression multiplies last step's value by; None where it is not simply multiplied."""
    if node == old:
        return ONE
    if not _direct(node, old):
        return ZERO
    assert isinstance(node, Apply)
    slopes = [_slope(argument, old) for argument in node.arguments]
    if None in slopes:
        return None
    below = tuple(slope for slope in slopes if slope is not None)
    match node.function, below:
        case (("add" | "sub" | "neg"), _):
            return simplify(Apply(node.function, below))
        case "mul", (left, right) if right == ZERO:
            return simplify(Apply("mul", (left, node.arguments[1])))
        case "mul", (left, right) if left == ZERO:
            return simplify(Apply("mul", (node.arguments[0], right)))
        case "div", (left, right) if right == ZERO:
            return simplify(Apply("div", (left, node.arguments[1])))
    return None


def _keeper(step: Step, state: str, carried: Mapping[Name, Node]) -> GateAnswer | None:
    """Find the one gate that decides how much of a state stays: the whole of what is put before its old value."""
    # Where a mask mixes the new value with the old one, what the mask lets through counts as well.
    whole = _slope(substitute(own_line(step, state), carried), Name(state, True))
    return None if whole is None else _gate(step, whole)


def _writer(step: Step, written: list[Node], bounds: Mapping[str, Bounds]) -> GateAnswer | None:
    """Find the gate that shuts out all that is written: a factor, from 0 to 1, of every addend that is."""
    lines = {line.target: line.value for line in step.equations}
    common: list[GateAnswer] | None = None
    for node in written:
        while isinstance(node, Name) and not node.previous and node.name in lines:
            node = lines[node.name]
        found = [
            gate
            for factor in _factors(node)
            if (gate := _gate(step, factor)) is not None and bounds[gate.gate] == (0, 1)
        ]
        common = found if common is None else [gate for gate in common if gate in found]
    return common[0] if common else None


def _factors(node: Node) -> Iterator[Node]:
    if isinstance(node, Apply) and node.function in ("mul", "neg"):
        for argument in node.arguments:
            yield from _factors(argument)
    elif isinstance(node, Apply) and node.function == "div":
        yield from _factors(node.arguments[0])
    else:
        yield node


def _gate(step: Step, factor: Node) -> GateAnswer | None:
    """Read an expression as a gate, or as 1 less a gate; None where it is neither."""
    read = {node for node in walk(factor) if isinstance(node, Name)}
    lines = {line.target for line in step.equations} - set(step.draws)
    if len(read) != 1 or any(isinstance(node, Product) for node in walk(factor)):
        return None
    (name,) = read
    if name.previous or name.name not in lines:
        return None
    values = [simplify(substitute(factor, {name: Number(place)})) for place in _LOOKED_AT]
    if values == [Number(place) for place in _LOOKED_AT]:
        return GateAnswer(gate=name.name, factor=name.name, full=1, none=0)
    if values == [Number(1 - place) for place in _LOOKED_AT]:
        return GateAnswer(gate=name.name, factor=f"1 - {show_node(name)}", full=0, none=1)
    return None


def _has_half_life(step: Step, state: str) -> bool:
    try:
        elementwise(step, state)
    except CellError:
        return False
    return True
