"""The door to the fused kernels: arguments as every backend takes them, results as every backend gives them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gatework.errors import KernelError, PlanError
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.door import operators
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.spec import Spec, constant, read_spec, write_spec
from gatework.kernels.reference.run import Result
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step

_OURS = "The fault is the planner's: please report the equations. Until then backend='reference' runs them."
_REFUSED = ("refused",)  # the key, in what is known of a run, of why no kernel can be planned for it


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
    """Run a step over a whole sequence; arguments and result as for :func:`gatework.kernels.door.launch.run`."""
    drawn = draws is not None and bool(step.draws)
    given = [*inputs, *(draws[name] for name in step.draws)] if drawn and draws is not None else [*inputs]
    begin = [] if initial is None or restart is None else [*initial]
    lines = tuple(name for name in record if name not in step.inputs and name not in step.draws)
    layout, stacks = weights.stacks({parameter.name for parameter in step.parameters})
    differentiated = torch.is_grad_enabled() and any(one.requires_grad for one in (*given, *state, *stacks, *begin))
    keep = memory if differentiated else "nothing"
    spec = write_spec(step, drawn, reverse, keep, lines, layout)
    if torch.compiler.is_compiling():
        refused = refusal(write_spec(step, drawn, False, keep, lines, ()), str(state[0].dtype))
        if refused:
            raise KernelError(refused)
    else:
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
    """Say whether values of these names are at hand in a kernel: they are not constant.

    Raises:
        KernelError: For equations of which no kernel can be made.
    """
    return _can_record(write_spec(step, drawn and bool(step.draws), False, "nothing", (), ()), names)


def _can_record(text: str, names: tuple[str, ...]) -> bool:
    spec = read_spec(text)
    with explained_planning(spec):
        recipe = spec.recipe
        lines = {*recipe.named.inputs, *(line.target for line in recipe.named.equations)}
    return all(name in lines for name in names)


constant(_can_record)


def ready(step: Step, drawn: bool, record: tuple[str, ...], dtype: torch.dtype, keep: str) -> None:
    """Make all kernels that a run will need, the backward pass's too, so that what cannot be made is known before.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn.
        record: Names in the equations whose values are wanted.
        dtype: The type of the numbers.
        keep: What the forward pass keeps for the backward pass, a row of :data:`gatework.kernels.planning.spec.KEEP`.

    Raises:
        KernelError: For a kernel that cannot be made here; it is tried once, and the answer stays the same.
    """
    lines = tuple(name for name in record if name not in step.inputs and name not in step.draws)
    _make(write_spec(step, drawn and bool(step.draws), False, keep, lines, ()), str(dtype))


def _make(text: str, dtype: str) -> None:
    for plan in plans(read_spec(text)):
        kernel_for(plan, dtype.removeprefix("torch."))


def refusal(text: str, dtype: str) -> str:
    """Say why a run's kernels cannot be made, empty where they can: :func:`ready` as torch's compiler can take it."""
    try:
        _make(text, dtype)
    except KernelError as error:
        return str(error)
    return ""


constant(refusal)


def plans(spec: Spec) -> list[Plan]:
    """Give the plans that a run and its backward pass follow.

    Raises:
        KernelError: For equations of which no plan can be made.
    """
    recipe, keep = spec.recipe, spec.keep
    with explained_planning(spec):
        found = [recipe.training if keep == "fast" else recipe.inference]
        if keep != "nothing":
            found.append(recipe.backward)
        if keep == "small":
            found.append(recipe.replay)
    return found


@contextmanager
def explained_planning(spec: Spec) -> Iterator[None]:
    """Say of whatever goes wrong while kernels are planned what it means and what to do; it is tried once.

    No tensor has been looked at then, so it is never a fault of the call.

    Args:
        spec: The run.

    Raises:
        KernelError: For equations of which no plan can be made.
    """
    told = spec.known.get(_REFUSED)
    if isinstance(told, str):
        raise KernelError(told)
    try:
        yield
    except Exception as error:
        lines = [line.target for line in spec.recipe.step.equations]
        named = ", ".join(lines[:4]) + (", ..." if len(lines) > 4 else "")
        told = f"{error}" if isinstance(error, PlanError) else f"{type(error).__name__}: {error} {_OURS}"
        spec.known[_REFUSED] = message = f"No kernel could be planned for the equations for {named}. {told}"
        raise KernelError(message) from error
