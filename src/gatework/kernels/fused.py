"""The door to the fused kernels: arguments as every backend takes them, results as every backend gives them."""

import torch
from torch import Tensor

from gatework.kernels import operators
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.reference import Result
from gatework.kernels.spec import read_spec, write_spec
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step


def run(
    step: Step,
    weights: Weights,
    inputs: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    *,
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: tuple[Tensor, ...] | None,
    reverse: bool,
    draws: dict[str, Tensor] | None,
    record: tuple[str, ...],
    memory: str = "fast",
) -> Result:
    """Run a step over a whole sequence; arguments and result as for :func:`gatework.kernels.launch.run`."""
    drawn = draws is not None and bool(step.draws)
    given = [*inputs, *(draws[name] for name in step.draws)] if drawn and draws is not None else [*inputs]
    begin = [] if initial is None or restart is None else [*initial]
    lines = tuple(name for name in record if name not in step.inputs and name not in step.draws)
    layout, stacks = weights.stacks({parameter.name for parameter in step.parameters})
    differentiated = torch.is_grad_enabled() and any(one.requires_grad for one in (*given, *state, *stacks, *begin))
    keep = memory if differentiated else "nothing"
    spec = write_spec(step, drawn, reverse, keep, lines, layout)
    if not torch.compiler.is_compiling():
        ready(step, drawn, lines, state[0].dtype, keep)
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() or type(given[0]) is not Tensor:
        results = torch.ops.gatework.forward(spec, given, [*state], stacks, lengths, restart, begin)
    elif differentiated:
        counts = (len(given), len(state), len(stacks), len(begin))
        results = operators.Fused.apply(spec, lengths, restart, counts, *given, *state, *stacks, *begin)
    else:
        results = operators.run_forward(spec, given, [*state], stacks, lengths, restart, begin)
    last = 1 + len(state)
    recorded = dict(zip(lines, results[last : last + len(lines)], strict=True))
    for name in (name for name in record if name not in recorded):
        recorded[name] = _without_padding(given[(*step.inputs, *step.draws).index(name)], lengths)
    return Result(results[0], tuple(results[1:last]), {name: recorded[name] for name in record})


def _without_padding(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None or sequence.dim() == 2:
        return sequence
    return sequence.masked_fill((torch.arange(len(sequence))[:, None] >= lengths)[..., None], 0)


def can_record(step: Step, drawn: bool, names: tuple[str, ...]) -> bool:
    """Say whether values of these names are at hand in a kernel: they are not constant."""
    recipe = read_spec(write_spec(step, drawn and bool(step.draws), False, "nothing", (), ())).recipe
    lines = {*recipe.named.inputs, *(line.target for line in recipe.named.equations)}
    return all(name in lines for name in names)


def ready(step: Step, drawn: bool, record: tuple[str, ...], dtype: torch.dtype, keep: str) -> None:
    """Compile all kernels a run will need, those of the way back too, so that none fails in the middle of training.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn.
        record: Names in the equations whose values are wanted.
        dtype: The type of the numbers.
        keep: What the forward pass keeps for the way back, a row of :data:`gatework.kernels.spec.KEEP`.

    Raises:
        KernelError: For a kernel that cannot be compiled here; it is tried once, and the answer stays the same.
    """
    lines = tuple(name for name in record if name not in step.inputs and name not in step.draws)
    recipe = read_spec(write_spec(step, drawn and bool(step.draws), False, keep, lines, ())).recipe
    plans = [recipe.training if keep == "fast" else recipe.inference]
    if keep != "nothing":
        plans.append(recipe.backward)
    if keep == "small":
        plans.append(recipe.replay)
    for plan in plans:
        kernel_for(plan, "float32" if dtype == torch.float32 else "float64")
