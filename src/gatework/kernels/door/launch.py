"""The one door to the kernels: layers come in here, and what runs behind it is chosen from a closed table."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from gatework.errors import ConfigError, KernelError
from gatework.kernels.door import fused
from gatework.kernels.planning.spec import MEMORY, constant
from gatework.kernels.reference import run as reference
from gatework.kernels.reference.run import Result
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step

BACKENDS: Mapping[str, Callable[..., Result]] = {"cpu": fused.run, "reference": reference.run}
"""What can run a step, by name. Each takes the arguments of :func:`run` and agrees with ``reference``."""

CHOICES = ("auto", *BACKENDS)
"""What may be asked for: ``auto`` takes the kernels where they can run, and the reference elsewhere."""

_FLOATS = {torch.float32, torch.float64}
REMEDY = "Remove the cause, or choose backend='auto', which takes the reference here."


def choose(
    step: Step, inputs: tuple[Tensor, ...], state: tuple[Tensor, ...], drawn: bool, record: tuple[str, ...]
) -> tuple[str, str]:
    """Choose the backend for a call.

    Returns:
        A row of :data:`BACKENDS`, and the reason: what was found and, where kernels cannot run, what to change.

    Raises:
        KernelError: For equations of which no kernel can be made.
    """
    # First, for all that is asked of a tensor here would be written into the trace.
    if torch.jit.is_tracing():
        return (
            "reference",
            "torch.jit.trace is at work, which cannot look into kernels: use torch.compile or torch.export",
        )
    kinds = {one.dtype for one in (*inputs, *state)}
    devices = {one.device.type for one in inputs}
    if devices != {"cpu"}:
        found = ", ".join(sorted(devices))
        return "reference", f"the input is on {found}, and kernels run on the CPU: move layer and input with .to('cpu')"
    if len(kinds) > 1:
        return "reference", f"input and state are of different types, {_spelt(kinds)}: convert one of them"
    if not kinds <= _FLOATS:
        known = _spelt(_FLOATS)
        return "reference", f"the type is {_spelt(kinds)}, and kernels compute in {known}: convert layer and input"
    if not inputs[0].numel():
        return "reference", "the input is empty: there is nothing to compute"
    if torch.is_autocast_enabled("cpu"):
        return "reference", "autocast is on, and lowers the type: leave torch.autocast"
    if torch._C._are_functorch_transforms_active():
        return "reference", "a transformation of torch.func (vmap, jvp, ...) is at work, which kernels do not know"
    if torch.autograd.forward_ad._current_level >= 0:
        return "reference", "gradients are taken forward (forward_ad), for which there are no kernels: use backward()"
    if step.outputs:
        return "reference", "the step is an adjoint, and kernels take a forward step"
    if record and not fused.can_record(step, drawn, record):
        wanted = ", ".join(record)
        return "reference", f"what is recorded ({wanted}) has a part that is constant in a kernel: record less"
    return "cpu", "the type and the device are those of the kernels, and nothing is at work that they do not know"


def _spelt(kinds: Iterable[torch.dtype]) -> str:
    return " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))


_said: set[str] = set()  # what has been warned of


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
    memory: str = "fast",
) -> Result:
    """Run a step over a whole sequence.

    Args:
        step: The checked equations.
        weights: Its parameters by name, in the shapes that ``Parameter.shape`` gives.
        inputs: One tensor [T, B, size] for each of the step's inputs; or, with lengths that never rise, [N, size],
            packed as in a PackedSequence: what is given back for every step is packed then as well.
        state: One tensor [B, size] for each of the step's states: their values before the first step taken.
        lengths: How many steps of each row count, int64 [B] on the CPU. Steps beyond leave a row's states as they are
            and give zeros, whatever the inputs hold there. None where all rows have T steps.
        restart: Rows that start anew, bool [T, B]: where True, the step at that time starts from ``initial``.
        initial: Where rows start anew, one tensor [B, size] for each state; None for zeros.
        reverse: Whether time runs from the last step to the first. Results stay in the inputs' order.
        draws: In training, for each of the step's masks a tensor [T, B, size] of zeros and ones; None in evaluation,
            where every mask is its probability.
        record: Further names in the equations whose values are wanted.
        backend: A row of :data:`BACKENDS`, or ``auto``.
        memory: What training keeps for the way back, a row of :data:`MEMORY`; the reference keeps what autograd keeps.

    Returns:
        The output, the last states and what was to be recorded.

    Raises:
        ConfigError: For an unknown backend or memory, and for a backend that cannot run this.
        KernelError: Where ``backend`` is ``cpu`` and its kernels cannot be made.

    Example:
        >>> import torch
        >>> from gatework.language import parse
        >>> step = parse("h = 0.5 * h + x")
        >>> run(step, {}, (torch.ones(3, 1, 1),), (torch.zeros(1, 1),)).output.flatten()
        tensor([1.0000, 1.5000, 1.7500])
    """
    if backend not in CHOICES:
        raise ConfigError(f"There is no backend {backend!r}; choose auto or one of {', '.join(BACKENDS)}.")
    if memory not in MEMORY:
        raise ConfigError(f"memory is {memory!r}; choose one of {', '.join(MEMORY)}.")
    call: dict[str, Any] = {
        "lengths": lengths,
        "restart": restart,
        "initial": initial,
        "reverse": reverse,
        "draws": draws,
        "record": record,
    }
    held = Weights.of(weights)
    if backend != "reference":
        try:
            chosen, reason = choose(step, inputs, state, draws is not None, record)
            if backend not in ("auto", chosen):
                raise ConfigError(f"backend={backend!r} cannot run this: {reason}. {REMEDY}")
            if chosen == "cpu":
                return BACKENDS[chosen](step, held, inputs, state, **call, memory=memory)
        except KernelError as error:
            if backend != "auto":
                raise
            warn(str(error))
    return reference.run(step, held, inputs, state, **call)  # what it keeps for the backward pass is autograd's affair


def warn(reason: str) -> None:
    """Say once of kernels that could not be made that the reference stands in for them."""
    if reason not in _said:
        _said.add(reason)
        warnings.warn(f"{reason} The reference runs instead, and is slower.", RuntimeWarning, stacklevel=3)


constant(warn)
