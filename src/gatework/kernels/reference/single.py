"""Run a single step by torch's own operations, because a call of a kernel would cost more than the step."""

from torch import Tensor

from gatework.kernels.call import Call
from gatework.kernels.reference.builder import program_for
from gatework.kernels.reference.program import CALL
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step


def run_single(
    step: Step,
    weights: Weights,
    inputs: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    draws: dict[str, Tensor] | None = None,
) -> tuple[Tensor, ...]:
    """Run one step: the reference without an axis for time.

    Args:
        step: The checked equations.
        weights: Its parameters.
        inputs: [B, size] each.
        state: The states before, [B, size] each.
        draws: In training, the step's masks [B, size]; None in evaluation, where every mask equals its probability.

    Returns:
        The states after, [B, size] each.

    Example:
        >>> import torch
        >>> from gatework.language import parse
        >>> run_single(parse("h = 0.5 * h + x"), Weights(()), (torch.ones(1, 1),), (torch.ones(1, 1),))
        (tensor([[1.5000]]),)
    """
    program = program_for(step, draws is not None)
    registers = [*program.start]
    registers[CALL] = Call(step, weights, inputs, state, draws=draws)
    for register, given in zip(program.inputs, inputs, strict=True):
        registers[register] = given
    for action in program.once:
        action(registers)
    for whole, part in program.sequences:
        registers[part] = registers[whole]
    for register, before in zip(program.before, state, strict=True):
        registers[register] = before
    for action in program.each:
        action(registers)
    return tuple([registers[register] for register in program.after])
