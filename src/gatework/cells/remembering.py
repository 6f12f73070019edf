"""The biases that decide how long a cell remembers, derived from its equations.

A state is kept if its equation has a term with the state's previous value, as in ``c = f * c + i * g``. The gate that
is multiplied with this value keeps the state. Gates in the other terms write to it. A gate is a sigmoid, or one minus a
gate. Its bias is the vector that is added inside the sigmoid.
"""

from gatework.language import Step
from gatework.language.anatomy import factors, gate_biases, signed_addends
from gatework.language.nodes import Name


def biases_that_remember(step: Step) -> dict[str, int]:
    r"""Find the biases that decide how long a cell remembers.

    Args:
        step: The cell's equations.

    Returns:
        Bias -> +1 if a larger bias means a longer memory, -1 if a smaller bias does. The bias of the gate that keeps
        the state comes first. The result is empty if no gate keeps a state.

    Example:
        >>> from gatework.language import parse
        >>> biases_that_remember(parse("z = sigmoid(W_z @ x + b_z)\nh = (1 - z) * h + z * tanh(W_h @ x)"))
        {'b_z': -1}
    """
    lines = {equation.target: equation.value for equation in step.equations}
    for state in step.states:
        keeping: dict[str, int] = {}
        writing: dict[str, int] = {}
        for term, _ in signed_addends(lines[state]):
            parts = list(factors(term))
            kept = Name(state, True) in parts
            biases, sign = (keeping, 1) if kept else (writing, -1)
            for part in parts:
                for bias, direction in gate_biases(step, part).items():
                    biases.setdefault(bias, sign * direction)
        if keeping:
            # A gate that keeps and writes, such as z with 1 - z, is listed once, as the gate that keeps.
            return keeping | {bias: sign for bias, sign in writing.items() if bias not in keeping}
    return {}
