"""Run a single step by torch's own operations, because a call of a kernel would cost more than the step."""

import torch
from torch import Tensor

from gatework.kernels.call import Call
from gatework.kernels.reference.builder import program_for
from gatework.kernels.reference.program import Registers
from gatework.kernels.reference.run import begun, fixed, with_numbers, without_numbers
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step


def run_single(
    step: Step,
    weights: Weights,
    inputs: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    draws: dict[str, Tensor] | None = None,
    banks: tuple[Tensor, ...] = (),
    extents: tuple[Tensor | None, ...] = (),
    kept: dict[tuple[bool, bool], Registers] | None = None,
) -> tuple[Tensor, ...]:
    """Run one step: the reference without an axis for time.

    Args:
        step: The checked equations.
        weights: Its parameters.
        inputs: [B, size] each.
        state: The states before, [B, size] each.
        draws: In training, the step's masks [B, size]; None in evaluation, where every mask equals its probability.
        banks: The memories, [B, L, size] each.
        extents: For each memory, the number of positions of each row, [B]; None for L.
        kept: What earlier steps computed of the same parameters and memories; this step adds to it. None keeps nothing.

    Returns:
        The states after, [B, size] each.

    Example:
        >>> import torch
        >>> from gatework.language import parse
        >>> run_single(parse("h = 0.5 * h + x"), Weights(()), (torch.ones(1, 1),), (torch.ones(1, 1),))
        (tensor([[1.5000]]),)
    """
    program = program_for(step, draws is not None)
    call = Call(step, weights, inputs, state, draws=draws, banks=banks, extents=extents)
    held = None
    if kept is not None:
        key = (draws is not None, torch.is_grad_enabled())  # what was computed without gradients has none
        held = kept.get(key)
        if held is None:
            held = kept[key] = fixed(program, call)
    registers = begun(program, call, held)
    for whole, part in (*program.sequences, *program.rows):
        registers[part] = registers[whole]
    for register, name, before in zip(program.before, step.states, state, strict=True):
        registers[register] = with_numbers(step, name, before)
    for action in program.each:
        action(registers)
    after = zip(program.after, step.states, strict=True)
    return tuple([without_numbers(step, name, registers[register]) for register, name in after])
