"""Memories: which names have a value at each position of one, and what may be done with such values.

A memory is a bank: a vector at each of its positions, given once for all steps. ``U @ m`` maps the vector at every
position. A bank and a vector are added position by position. ``m @ q`` compares every position with a vector, and gives
one number for each; ``a @ m`` sums the positions, each with its number.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gatework.errors import EquationError, GateworkError
from gatework.language.functions import FUNCTIONS, MOST_SHIFT
from gatework.language.nodes import (
    ONE_NUMBER,
    Apply,
    Equation,
    Name,
    Node,
    Number,
    Product,
    along,
    children,
    rebuild,
    walk,
)

BESIDE = ("match", "weigh")
"""The functions that are written with ``@`` beside a name."""

Fault = Callable[[str, Node | None], GateworkError]


def find_positions(
    equations: tuple[Equation, ...], memories: Mapping[str, str], fault: Fault
) -> tuple[tuple[Equation, ...], dict[str, str]]:
    """Find which names have a value at each position of a memory, and turn ``@`` beside such names into functions.

    Args:
        equations: The lines, their names resolved.
        memories: For every memory, and every input with a number for each of its positions, the memory.
        fault: Makes the error for a message and the node at fault.

    Returns:
        The lines, and the memory of every name that has a value at each of its positions.

    Raises:
        EquationError: If a line uses a memory in a way that means nothing.
    """
    if not memories:
        for equation in equations:
            _refuse(equation.value, fault)
        return equations, {}
    places = {equation.target: index for index, equation in enumerate(equations)}
    known, size, changed = dict(memories), 0, list(equations)
    while len(known) != size:  # a state may get its positions from a line further down
        size, changed = len(known), []
        for index, equation in enumerate(equations):
            value = _converted(equation.value, known, places, index)
            changed.append(replace(equation, value=value))
            memory = along(value, known)
            if memory is not None:
                known[equation.target] = memory
    for equation in changed:
        _check(equation.value, known, fault)
    return tuple(changed), known


def remaining(
    memories: Sequence[str], lines: Iterable[Equation], inputs: Iterable[str], places: bool = False
) -> list[str]:
    """Return the entries of the memories that lines read, each with those of its inputs that are left.

    Args:
        memories: Entries as in ``Step.memories``.
        lines: The lines.
        inputs: The inputs that are left.
        places: Whether an entry keeps its first name, by which its positions are known, even if nothing reads it.
    """
    read_names = {node.name for line in lines for node in walk(line.value) if isinstance(node, Name)}
    kept = [[name for name in entry.split("=") if name in read_names or name in inputs] for entry in memories]
    pairs = zip(memories, kept, strict=True)
    kept = [[entry.partition("=")[0], *names] if names and places else names for entry, names in pairs]
    return ["=".join(dict.fromkeys(names)) for names in kept if names]


def check_sizes(keys: Mapping[str, str], positions: Mapping[str, str], states: Sequence[str]) -> None:
    """Refuse sizes that do not go with positions.

    Args:
        keys: The key of the size of every input, bank and state.
        positions: The memory of every name that has a value at each of its positions.
        states: The states, the output first.

    Raises:
        EquationError: If a vector would need the size 1, because a number for each position of a memory meets it, or
            if a state has a vector at each position.
    """
    for name, key in keys.items():
        if key == ONE_NUMBER and positions.get(name, name) == name and name not in states[1:]:
            raise EquationError(
                f"`{name}` is a vector, and meets what has one number at each position of a memory. Multiply such "
                "numbers with a bank, as in `a @ m`, or with a vector by `spread(a, v)`."
            )
        if key != ONE_NUMBER and name in positions and name in states:
            raise EquationError(
                f"The state `{name}` has a vector at each position of `{positions[name]}`; from step to step there is "
                "room for one number at each. Sum over the positions, as in `total`, or over the units, as in `v @ "
                f"{name}`."
            )


def _converted(node: Node, known: Mapping[str, str], places: Mapping[str, int], index: int) -> Node:
    """Turn ``m @ q`` and ``a @ m`` into functions. The left name follows the reading rule, as every name does."""
    node = rebuild(node, tuple(_converted(below, known, places, index) for below in children(node)))
    if not isinstance(node, Product) or node.transposed or node.structure != "dense":
        return node
    own, operand = places.get(node.matrix), along(node.operand, known)
    # A line's name is no matrix, so left of a bank it is summed over, even before it is known to be at positions.
    if node.matrix not in known and (own is None or operand is None):
        return node
    left = Name(node.matrix, own is not None and own >= index, node.at)
    return Apply("weigh" if operand else "match", (left, node.operand), node.at)


def _refuse(node: Node, fault: Fault) -> None:
    """Refuse functions of a memory's positions in a cell without a memory."""
    for below in children(node):
        _refuse(below, fault)
    if isinstance(node, Apply) and FUNCTIONS[node.function].takes:
        raise fault(
            f"`{node.function}` reads the positions of a memory, and this cell has none. Name it, as in memories='m', "
            "or in a line `memories: m` above the equations.",
            node,
        )


def _check(node: Node, known: Mapping[str, str], fault: Fault) -> None:
    for below in children(node):
        _check(below, known, fault)
    if isinstance(node, Product) and node.matrix in known:
        raise fault(f"`{node.matrix}` is no matrix: its product takes no `.T` and no blocks.", node)
    if not isinstance(node, Apply):
        return
    held = [along(below, known) for below in node.arguments]
    memories = list(dict.fromkeys(memory for memory in held if memory is not None))
    if len(memories) > 1:
        raise fault(
            f"The positions of `{memories[0]}` meet those of `{memories[1]}` here, and these are different ones. Sum "
            f"over one of them first, as in `a @ {memories[1]}`.",
            node,
        )
    for place, (wanted, memory) in enumerate(zip(FUNCTIONS[node.function].takes, held, strict=False)):
        if wanted != (memory is not None):
            which = ("", "first ", "second ")[0 if len(held) == 1 else place + 1]
            wants = "a value at each position of a memory" if wanted else "one value for all positions"
            raise fault(f"The {which}argument of `{node.function}` needs {wants}, and has not.", node)
    if node.function == "shift":
        _check_shift(node, fault)


def _check_shift(node: Apply, fault: Fault) -> None:
    by = node.arguments[1]
    if not isinstance(by, Number) or by.value != int(by.value) or abs(by.value) > MOST_SHIFT:
        raise fault(
            f"`shift` takes a whole number of positions from -{MOST_SHIFT} to {MOST_SHIFT}, as in `shift(a, 1)`.", node
        )
