"""The one door to the kernels: layers come in here, and what runs behind it is chosen from a closed table."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gatework.errors import ConfigError
from gatework.kernels import fused, reference
from gatework.kernels.reference import Result
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step

BACKENDS: Mapping[str, Callable[..., Result]] = {"cpu": fused.run, "reference": reference.run}
"""What can run a step, by name. Each takes the arguments of :func:`run` and agrees with ``reference``."""


def choose(
    step: Step, inputs: tuple[Tensor, ...], state: tuple[Tensor, ...], drawn: bool, record: tuple[str, ...]
) -> tuple[str, str]:
    """Choose the backend for a call.

    Returns:
        A row of :data:`BACKENDS`, and the reason.
    """
    kinds = {one.dtype for one in (*inputs, *state)}
    if {one.device.type for one in inputs} != {"cpu"}:
        return "reference", "tensors are not on the CPU"
    if len(kinds) > 1 or kinds.pop() not in (torch.float32, torch.float64):
        return "reference", "the type is neither float32 nor float64"
    if not inputs[0].numel():
        return "reference", "the batch is empty"
    if torch.is_autocast_enabled("cpu"):
        return "reference", "autocast is on"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "reference", "a transformation of torch.func is at work"
    if torch.autograd.forward_ad._current_level >= 0:
        return "reference", "gradients are taken forward"
    if step.outputs:
        return "reference", "the step is an adjoint"
    if record and not fused.can_record(step, drawn, record):
        return "reference", "constants are recorded"
    return "cpu", "float numbers on the CPU"


def run(
    step: Step,
    weights: Weights | Mapping[str, Tensor],
    inputs: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    *,
    lengths: Tensor | None = None,
    restart: Tensor | None = None,
    initial: tuple[Tensor, ...] | None = None,
    reverse: bool = False,
    draws: dict[str, Tensor] | None = None,
    record: tuple[str, ...] = (),
    backend: str = "auto",
) -> Result:
    """Run a step over a whole sequence.

    Args:
        step: The checked equations.
        weights: Its parameters by name, in the shapes that ``Parameter.shape`` gives.
        inputs: One tensor [T, B, size] for each of the step's inputs.
        state: One tensor [B, size] for each of the step's states: their values before the first step taken.
        lengths: How many steps of each row count, int64 [B] on the CPU. Steps beyond leave a row's states as they are
            and give zeros; what the inputs hold there must be finite. None where all rows have T steps.
        restart: Rows that start anew, bool [T, B]: where True, the step at that time starts from ``initial``.
        initial: Where rows start anew, one tensor [B, size] for each state; None for zeros.
        reverse: Whether time runs from the last step to the first. Results stay in the inputs' order.
        draws: In training, for each of the step's masks a tensor [T, B, size] of zeros and ones; None in evaluation,
            where every mask is its probability.
        record: Further names in the equations whose values are wanted.
        backend: A row of :data:`BACKENDS`, or ``auto``.

    Returns:
        The output, the last states and what was to be recorded.

    Raises:
        ConfigError: For an unknown backend.

    Example:
        >>> import torch
        >>> from gatework.language import parse
        >>> step = parse("h = 0.5 * h + x")
        >>> run(step, {}, (torch.ones(3, 1, 1),), (torch.zeros(1, 1),)).output.flatten()
        tensor([1.0000, 1.5000, 1.7500])
    """
    chosen = choose(step, inputs, state, draws is not None, record)[0] if backend == "auto" else backend
    if chosen not in BACKENDS:
        raise ConfigError(f"There is no backend {backend!r}; choose auto or one of {', '.join(BACKENDS)}.")
    return BACKENDS[chosen](
        step,
        Weights.of(weights),
        inputs,
        state,
        lengths=lengths,
        restart=restart,
        initial=initial,
        reverse=reverse,
        draws=draws,
        record=record,
    )
