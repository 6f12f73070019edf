"""Handles on a step: sums split into addends, lines that can be overridden, states that can be pushed.

Each handle transforms equations into a Step like any other, so it runs wherever the step itself runs, and just as fast.
The step's own names keep their meaning: a handle adds lines or inputs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from gatework.errors import EquationError
from gatework.language.anatomy import before_mask, separable
from gatework.language.check import rechecked
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Step, walk
from gatework.language.show import show_node, show_within
from gatework.language.simplify import simplify, substitute
from gatework.language.spelling import Names

_MOST = 256


@dataclass(frozen=True)
class Parted:
    """A step in which the sums of the states are split.

    Args:
        step: The step, each addend on its own line.
        parts: The name of each addend's line, by the addend as the equation writes it; in order.
        of: The name whose value the addend is a part of, by addend.
    """

    step: Step
    parts: Mapping[str, str]
    of: Mapping[str, str]


@dataclass(frozen=True)
class Overridden:
    """A step in which lines can be overridden.

    Args:
        step: The step with its further inputs.
        chosen: For each name, the input that is 1 where the value comes from outside, and 0 elsewhere.
        value: For each name, the input that holds the value from outside.
    """

    step: Step
    chosen: Mapping[str, str]
    value: Mapping[str, str]


@dataclass(frozen=True)
class Pushed:
    """A step whose states have something added at every step.

    Args:
        step: The step with its further inputs.
        push: For each state, the input that is added to it.
    """

    step: Step
    push: Mapping[str, str]


@dataclass(frozen=True)
class Entered:
    """A step that reads the states of the step before, and its memories, with something added.

    Args:
        step: The step with its further inputs.
        enter: For each state and each memory that the step reads, the input that is added to it.
    """

    step: Step
    enter: Mapping[str, str]


@lru_cache(maxsize=_MOST)
def parted(step: Step) -> Parted:
    """Split the sums of the states: ``c = f * c + i * g`` becomes two lines and their sum.

    The sum is still added up as the equation writes it, so no bit of the state changes. A sum with a matrix product
    among its addends stays whole, because products are added up in their own order.

    Args:
        step: The checked equations.

    Returns:
        The step, and the names of its new lines. An addend that already has a line of this step gets no other. The
        previous step's value of a state is called ``prev(c)``.

    Example:
        >>> from gatework.language import parse, show
        >>> taken = parted(parse("h = 0.9 * h + 0.1 * tanh(W @ x)", states="h"))
        >>> print(show(taken.step))
        part1 = 0.9 * h
        part2 = 0.1 * tanh(W @ x)
        h = part1 + part2
        >>> dict(taken.parts)
        {'0.9 * h': 'part1', '0.1 * tanh(W @ x)': 'part2'}
    """
    wanted = {name for state in step.states for name in (state, before_mask(step.equations, state))}
    sums = {line.target: separable(line.value) for line in step.equations if line.target in wanted}
    texts = _texts(step, sums)
    own = {line.target for line in step.equations}
    fresh = Names(step)
    lines: list[Equation] = []
    names: dict[Node, Name] = {}
    parts: dict[str, str] = {}
    of: dict[str, str] = {}
    for line in step.equations:
        addends = sums.get(line.target, [])
        for node in addends:
            if isinstance(node, Name) and not node.previous and node.name in own:
                names[node] = node
            elif node not in names:
                names[node] = Name(fresh.numbered("part"))
                parts[texts[node]], of[texts[node]] = names[node].name, line.target
                lines.append(Equation(names[node].name, node))
        lines.append(replace(line, value=_joined(line.value, names)) if addends else line)
    return Parted(rechecked(step, lines), parts, of)


@lru_cache(maxsize=_MOST)
def overridden(step: Step, names: tuple[str, ...]) -> Overridden:
    """Let values from outside replace the values of lines, wherever a mask from outside says so.

    Args:
        step: The checked equations.
        names: Names of lines, other than masks.

    Returns:
        The step: ``f = ...`` has become a line named ``free``, and ``f = where(chosen, value, free)``.

    Raises:
        EquationError: If no line has a name, or if it is the name of a mask.

    Example:
        >>> from gatework.language import parse, show
        >>> print(show(overridden(parse("h = tanh(R @ h + W @ x)", states="h"), ("h",)).step))
        free1 = tanh(R @ h + W @ x)
        h = where(chosen1, value1, free1)
    """
    _check_lines(step, names)
    fresh = Names(step)
    chosen: dict[str, str] = {}
    value: dict[str, str] = {}
    lines: list[Equation] = []
    for line in step.equations:
        if line.target not in names:
            lines.append(line)
            continue
        free, chosen[line.target], value[line.target] = (fresh.numbered(kind) for kind in ("free", "chosen", "value"))
        taken = (Name(chosen[line.target]), Name(value[line.target]), Name(free))
        lines += [replace(line, target=free, comment=""), replace(line, value=Apply("where", taken))]
    made = {name: target for target in chosen for name in (chosen[target], value[target])}
    return Overridden(rechecked(step, lines, (*step.inputs, *made), tied(step, made)), chosen, value)


@lru_cache(maxsize=_MOST)
def pushed(step: Step) -> Pushed:
    """Add an input to every state. The gradient of the input is the gradient of the state at that step.

    Args:
        step: The checked equations.

    Returns:
        The step: ``c = ...`` has become a line named ``free``, and ``c = free + push``.

    Example:
        >>> from gatework.language import parse, show
        >>> print(show(pushed(parse("h = tanh(R @ h + W @ x)", states="h")).step))
        free1 = tanh(R @ h + W @ x)
        h = free1 + push1
    """
    fresh = Names(step)
    push: dict[str, str] = {}
    lines: list[Equation] = []
    for line in step.equations:
        if line.target not in step.states:
            lines.append(line)
            continue
        free, push[line.target] = fresh.numbered("free"), fresh.numbered("push")
        total = Apply("add", (Name(free), Name(push[line.target])))
        lines += [replace(line, target=free, comment=""), replace(line, value=total)]
    made = {push[state]: state for state in step.states}
    return Pushed(rechecked(step, lines, (*step.inputs, *made), tied(step, made)), push)


@lru_cache(maxsize=_MOST)
def entered(step: Step) -> Entered:
    r"""Add an input to what a step reads of the step before and of memories.

    The gradient of the input is the gradient that the step passes on to the state or the memory.

    Args:
        step: The checked equations.

    Returns:
        The step: ``prev(c)`` is read from a line ``read1 = prev(c) + enter1``, and ``m`` from ``read2 = m + enter2``.

    Example:
        >>> from gatework.language import parse, show
        >>> print(show(entered(parse("a = softmax(m @ h)\nh = tanh(W @ x + a @ m)", memories="m")).step))
        read1 = h + enter1
        read2 = m + enter2
        a = softmax(read2 @ read1)
        h = tanh(W @ x + a @ read2)
    """
    fresh = Names(step)
    found = {node for line in step.equations for node in walk(line.value) if isinstance(node, Name)}
    sources = [one for one in (*(Name(name, True) for name in step.states), *map(Name, step.banks)) if one in found]
    reads: dict[Name, Node] = {}
    enter: dict[str, str] = {}
    lines: list[Equation] = []
    for source in sources:
        name, enter[source.name] = fresh.numbered("read"), fresh.numbered("enter")
        reads[source] = Name(name)
        lines.append(Equation(name, Apply("add", (source, Name(enter[source.name])))))
    lines += [replace(line, value=substitute(line.value, reads)) for line in step.equations]
    made = {given: name for name, given in enter.items()}
    return Entered(rechecked(step, lines, (*step.inputs, *made), tied(step, made)), enter)


def tied(step: Step, inputs: Mapping[str, str]) -> tuple[str, ...]:
    r"""Name further inputs among the memories at whose positions they have values.

    Args:
        step: The checked equations.
        inputs: For each input, the name whose values it is like.

    Returns:
        The entries of the memories, as in ``Step.memories``.

    Example:
        >>> from gatework.language import parse
        >>> step = parse("a = softmax(m @ h)\nh = tanh(W @ x + a @ m)", memories="m")
        >>> tied(step, {"value1": "a", "value2": "h"})
        ('m=value1',)
    """
    held = {given: step.positions.get(name) for given, name in inputs.items()}
    entries = [(entry, entry.partition("=")[0]) for entry in step.memories]
    return tuple("=".join((entry, *(given for given in held if held[given] == place))) for entry, place in entries)


def _check_lines(step: Step, names: Iterable[str]) -> None:
    for name in names:
        lines = [line.target for line in step.equations if line.target not in step.draws]
        if name not in lines:
            raise EquationError(f"`{name}` has no line that can be overridden; these have: {', '.join(lines)}.")


def _texts(step: Step, sums: Mapping[str, list[Node]]) -> dict[Node, str]:
    """Write addends as their equations do, with ``prev`` if two would be written alike."""
    order = {line.target: place for place, line in enumerate(step.equations)}
    written: dict[Node, str] = {}
    for target, addends in sums.items():
        for node in addends:
            alone = isinstance(node, Name)
            written.setdefault(node, show_node(node) if alone else show_within(node, order, order[target]))
    counts = Counter(written.values())
    return {node: text if counts[text] == 1 else show_node(node) for node, text in written.items()}


def _joined(node: Node, names: Mapping[Node, Name]) -> Node:
    """Add up named addends as the sum adds them."""
    if node in names:
        return names[node]
    assert isinstance(node, Apply)  # a sum or a difference, because anything else has a name
    left, right = node.arguments
    if node.function == "sub":
        return Apply("add", (names[left], names[Apply("neg", (right,))]))
    return Apply("add", (_joined(left, names), _joined(right, names)))


@lru_cache(maxsize=_MOST)
def fixed(step: Step, drawn: bool) -> Mapping[str, float]:
    """Return the lines whose value is the same number at every step and for every unit.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn. If not, each mask is its probability.

    Returns:
        The numbers, by name.
    """
    masks: dict[Name, Node] = {} if drawn else {Name(name): Number(rate) for name, rate in step.draws.items()}
    numbers: dict[str, float] = {} if drawn else dict(step.draws)
    for line in step.equations:
        value = simplify(substitute(line.value, masks))
        if isinstance(value, Number) and line.target not in step.states and line.target not in step.draws:
            masks[Name(line.target)] = value
            numbers[line.target] = value.value
    return MappingProxyType(numbers)
