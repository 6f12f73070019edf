"""The line of a state before a mask, an override or a push from outside changes its value."""

from collections.abc import Iterable, Mapping

from gatework.language.nodes import Apply, Equation, Name, Node, Number, Step
from gatework.language.simplify import substitute


def before_mask(equations: Iterable[Equation], state: str) -> str:
    """Name this step's value of a state before zoneout's mask mixes it with the previous step's value.

    Args:
        equations: Resolved lines.
        state: A state.

    Returns:
        The name of the masked line, or the state itself if there is no mask.
    """
    lines = {equation.target: equation.value for equation in equations}
    return _unmasked(lines[state], state, lines) or state


def _unmasked(value: Node, state: str, lines: Mapping[str, Node]) -> str | None:
    """Name the line that zoneout's mask mixes with the previous step's value of a state; None if there is none."""
    match value:
        case Apply(
            "add",
            (
                Apply("mul", (Name(keep), Name(old, True))),
                Apply("mul", (Apply("sub", (Number(1.0), Name(same))), Name(new, False))),
            ),
        ) if keep == same and old == state and new in lines and isinstance(lines.get(keep), Apply):
            mask = lines[keep]
            return new if isinstance(mask, Apply) and mask.function == "bernoulli" else None
    return None


def origin(equations: Iterable[Equation], state: str, inputs: Iterable[str]) -> str:
    """Name the line of a state before a mask, an override or a push from outside changes its value.

    Args:
        equations: Resolved lines.
        state: A state.
        inputs: The inputs of the step.

    Returns:
        The name of the first such line, or the state itself if nothing changes it.
    """
    lines = {equation.target: equation.value for equation in equations}
    given, name = {*inputs}, state
    while True:
        match lines[name]:
            case Apply("add", (Name(free, False), Name(push))) if free in lines and push in given:
                name = free
            case Apply("where", (Name(chosen), Name(value), Name(free, False))) if (
                free in lines and {chosen, value} <= given
            ):
                name = free
            case value:
                masked = _unmasked(value, state, lines)
                if masked is None:
                    return name
                name = masked


def own_line(step: Step, state: str) -> Node:
    """Return the equation of a state. If a mask mixes it with the previous step's value, the masked line is written in.

    Args:
        step: The checked equations.
        state: A state.

    Returns:
        The right-hand side.

    Example:
        >>> from gatework.language import parse
        >>> from gatework.language.show import show_node
        >>> show_node(own_line(parse("h = 0.9 * h + x", states="h"), "h"))
        '0.9 * prev(h) + x'
    """
    lines = {line.target: line.value for line in step.equations}
    inner = before_mask(step.equations, state)
    return lines[state] if inner == state else substitute(lines[state], {Name(inner): lines[inner]})
