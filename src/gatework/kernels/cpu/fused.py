"""Pass a call to the operators. Everything that a run needs is prepared first, so that failures come early."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gatework.errors import KernelError
from gatework.kernels.call import Call, Result
from gatework.kernels.cpu.gradients import Fused
from gatework.kernels.cpu.hoisting import hoisted
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.cpu.operators import run_forward
from gatework.kernels.planning.planned import explained_planning, plans
from gatework.kernels.planning.spec import constant, extent_name, read_spec, write_spec
from gatework.language.nodes import Step


def run(call: Call) -> Result:
    """Run a call by the kernels.

    Raises:
        KernelError: If no kernel can be made for the equations.
    """
    call = hoisted(call)
    step, lines, given = call.step, call.lines, [*call.inputs]
    if call.drawn and call.draws is not None:
        given += [call.draws[name] for name in step.draws]
    begin = [] if call.initial is None or call.restart is None else [*call.initial]
    layout, stacks = call.weights.stacks({parameter.name for parameter in step.parameters})
    if step.memories:
        layout, stacks = _with_banks(call, layout, stacks)
    parts = (given, [*call.state], stacks, begin)
    differentiated = torch.is_grad_enabled() and any(one.requires_grad for part in parts for one in part)
    keep = call.memory if differentiated else "nothing"
    spec = write_spec(step, call.drawn, call.reverse, keep, lines, layout)
    if torch.compiler.is_compiling():
        refused = refusal(write_spec(step, call.drawn, False, keep, lines, ()), str(call.state[0].dtype))
        if refused:
            raise KernelError(refused)
    else:
        ready(step, call.drawn, lines, call.state[0].dtype, keep)
    results = _operate(spec, call, parts, differentiated)
    last = 1 + len(call.state)
    recorded = dict(zip(lines, results[last : last + len(lines)], strict=True))
    for name in (name for name in call.record if name not in recorded):
        recorded[name] = _without_padding(given[(*step.inputs, *step.draws).index(name)], call.lengths)
    return Result(results[0], tuple(results[1:last]), {name: recorded[name] for name in call.record})


def _with_banks(
    call: Call, layout: tuple[tuple[str, ...], ...], stacks: list[Tensor]
) -> tuple[tuple[tuple[str, ...], ...], list[Tensor]]:
    """Add the banks, and the numbers of positions of their rows, to what is the same at all steps."""
    step = call.step
    layout = (*layout, *((name,) for name in step.banks), *((extent_name(place),) for place in step.places))
    extents = []
    for place, given in zip(step.places, call.extents, strict=True):
        bank = call.bank(place)
        extents.append(torch.full((bank.shape[0],), bank.shape[1], dtype=torch.int64) if given is None else given)
    return layout, [*stacks, *call.banks, *extents]


def _operate(spec: str, call: Call, parts: tuple[list[Tensor], ...], differentiated: bool) -> Sequence[Tensor]:
    """Run the forward operator: the registered one for torch's graphs, else the shortest path."""
    given, state, stacks, begin = parts
    lengths, restart = call.lengths, call.restart
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() or type(given[0]) is not Tensor:
        return torch.ops.gatework.forward(spec, given, state, stacks, lengths, restart, begin)
    if differentiated:
        counts = (len(given), len(state), len(stacks), len(begin))
        return Fused.apply(spec, lengths, restart, counts, *given, *state, *stacks, *begin)
    return run_forward(spec, given, state, stacks, lengths, restart, begin)


def _without_padding(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None or sequence.dim() == 2:
        return sequence
    return sequence.masked_fill((torch.arange(len(sequence), device="cpu")[:, None] >= lengths)[..., None], 0)


def can_record(step: Step, drawn: bool, names: tuple[str, ...]) -> bool:
    """Tell whether a kernel can record values of these names. It cannot record constants.

    Raises:
        KernelError: If no kernel can be made for the equations.
    """
    lines = tuple(name for name in names if name not in step.inputs and name not in step.draws)
    return _can_record(write_spec(step, drawn and bool(step.draws), False, "nothing", lines, ()), names)


def _can_record(text: str, names: tuple[str, ...]) -> bool:
    spec = read_spec(text)
    with explained_planning(spec):
        recipe = spec.recipe
        lines = {*recipe.named.inputs, *(line.target for line in recipe.named.equations)}
    return all(name in lines for name in names)


constant(_can_record)


def ready(step: Step, drawn: bool, record: tuple[str, ...], dtype: torch.dtype, keep: str) -> None:
    """Make all kernels that a run needs, with those of the backward pass, so that failures come early.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn.
        record: The recorded names.
        dtype: The type of the numbers.
        keep: What the forward pass saves for the backward pass, a row of :data:`gatework.kernels.planning.spec.KEEP`.

    Raises:
        KernelError: If a kernel cannot be made here. A failure is not retried.
    """
    lines = tuple(name for name in record if name not in step.inputs and name not in step.draws)
    _make(write_spec(step, drawn and bool(step.draws), False, keep, lines, ()), str(dtype))


def _make(text: str, dtype: str) -> None:
    for plan in plans(read_spec(text)):
        kernel_for(plan, dtype.removeprefix("torch."))


def refusal(text: str, dtype: str) -> str:
    """Say why a run's kernels cannot be made, empty if they can. This is :func:`ready` for torch's compiler."""
    try:
        _make(text, dtype)
    except KernelError as error:
        return str(error)
    return ""


constant(refusal)
