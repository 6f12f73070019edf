"""The addends of a state as the page shows them: what it keeps, what is written, and which gates decide."""

from gatework.errors import CellError
from gatework.explorer.messages import BeltAnswer, GateAnswer
from gatework.language import Name, Node, Step
from gatework.language.anatomy import Gate, State, find_states
from gatework.language.handles import parted
from gatework.language.nodes import walk
from gatework.tracing.adjoints import elementwise


def list_belts(step: Step) -> list[BeltAnswer]:
    """List the states that are sums. States that keep something come first.

    Args:
        step: The equations of a layer.

    Returns:
        The addends and the gates of each such state.

    Example:
        >>> from gatework.language import parse
        >>> (belt,) = list_belts(parse("z = sigmoid(W @ x); h = (1 - z) * h + z * x".replace("; ", chr(10))))
        >>> belt.kept, belt.written, belt.keep
        (['(1 - z) * h'], ['z * x'], GateAnswer(gate='z', factor='1 - z', full=0, none=1))
    """
    texts = _texts(step)
    belts = [_belt(step, state, texts) for state in find_states(step).values() if state.addends]
    return sorted(belts, key=lambda belt: not belt.kept)


def _belt(step: Step, state: State, texts: dict[Node, str]) -> BeltAnswer:
    output = step.states[0]
    read_by_output = any(
        Name(state.name) in walk(line.value) for line in step.equations if line.target == output != state.name
    )
    return BeltAnswer(
        state=state.name,
        kept=[_traced(node, texts) for node in state.kept],
        written=[_traced(node, texts) for node in state.written],
        keep=_answer(state.keeps),
        write=_answer(state.writes),
        half_life=bool(state.kept) and _has_half_life(step, state.name),
        output=output if read_by_output else None,
    )


def _texts(step: Step) -> dict[Node, str]:
    """Return the names in a trace of addends without their own line."""
    taken = parted(step)
    values = {line.target: line.value for line in taken.step.equations}
    return {values[line]: text for text, line in taken.parts.items()}


def _traced(node: Node, texts: dict[Node, str]) -> str:
    """Return the name of an addend in a trace."""
    if node in texts:
        return texts[node]
    assert isinstance(node, Name)  # a line of the step, which is traced under its own name
    return node.name


def _answer(gate: Gate | None) -> GateAnswer | None:
    if gate is None:
        return None
    return GateAnswer(gate=gate.name, factor=gate.factor, full=gate.full, none=gate.none)


def _has_half_life(step: Step, state: str) -> bool:
    try:
        elementwise(step, state)
    except CellError:
        return False
    return True
