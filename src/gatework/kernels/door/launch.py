"""The entry for all calls of layers. It chooses a backend from a closed table and runs it."""

import warnings
from collections.abc import Mapping

from torch import Tensor

from gatework.errors import ConfigError, KernelError
from gatework.kernels.backend import Backend
from gatework.kernels.call import Call, Result
from gatework.kernels.door.backends import BACKENDS, CHOICES
from gatework.kernels.planning.spec import MEMORY, constant
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step

Refused = tuple[tuple[str, str], ...]
"""The backends that do not take a call, each with its reason, in the order in which they were asked."""

_said: set[str] = set()  # the warnings given so far


def choose(call: Call) -> tuple[Backend, Refused]:
    """Choose the backend for a call, as ``auto`` does: the first that neither refuses nor declines the call.

    Returns:
        The backend, and the backends that were asked before it, each with its reason.

    Raises:
        KernelError: If no kernel can be made for the equations.
    """
    refused: Refused = ()
    for backend in BACKENDS.values():
        reason = backend.refuses(call) or backend.declines(call)
        if reason is None:
            return backend, refused
        refused = (*refused, (backend.name, reason))
    raise AssertionError("The reference refuses nothing.")


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
    banks: tuple[Tensor, ...] = (),
    extents: tuple[Tensor | None, ...] = (),
) -> Result:
    """Run a step over a whole sequence.

    Args:
        step: The checked equations.
        weights: Its parameters by name, in the shapes that ``Parameter.shape`` gives.
        inputs: One tensor [T, B, size] for each of the step's inputs. If lengths never rise, it may be [N, size],
            packed as in a PackedSequence; then every result with a value for each step is packed too.
        state: One tensor [B, size] for each of the step's states: the values before the first step.
        lengths: The number of steps of each row, int64 [B] on the CPU. Later steps leave a row's states as they are
            and output zeros, whatever the inputs hold there. None if all rows have T steps.
        restart: Where rows restart, bool [T, B]: if True, the step at that time starts from ``initial``.
        initial: The states that rows restart from, one tensor [B, size] for each state; None for zeros.
        reverse: Whether time runs from the last step to the first. Results stay in the inputs' order.
        draws: In training, one tensor [T, B, size] of zeros and ones for each of the step's masks; None in
            evaluation, where every mask equals its probability.
        record: Names in the equations whose values are also returned.
        backend: A row of :data:`BACKENDS`, or ``auto``.
        memory: What the forward pass saves for the backward pass, a row of :data:`MEMORY`. It has no effect if
            autograd decides, as for the reference.
        banks: One tensor for each of the step's banks: [B, L, size], or [B, L] with one number at each position.
        extents: For each of the step's places, the number of positions of each row, int64 [B] on the CPU; None for L.

    Returns:
        The output, the last states and the recorded values.

    Raises:
        ConfigError: If the backend or ``memory`` is unknown, or the chosen backend cannot run this.
        KernelError: If ``backend`` is ``cpu`` and its kernels cannot be made.

    Example:
        >>> import torch
        >>> from gatework.language import parse
        >>> step = parse("h = 0.5 * h + x")
        >>> run(step, {}, (torch.ones(3, 1, 1),), (torch.zeros(1, 1),)).output.flatten()
        tensor([1.0000, 1.5000, 1.7500])
    """
    if backend not in CHOICES:
        raise ConfigError(f"There is no backend {backend!r}. Choose auto or one of {', '.join(BACKENDS)}.")
    if memory not in MEMORY:
        raise ConfigError(f"memory is {memory!r}. Choose one of {', '.join(MEMORY)}.")
    held = Weights.of(weights)
    rows = (lengths, restart, initial, reverse, draws)
    return run_call(Call(step, held, inputs, state, *rows, record, memory, banks, extents), backend)


def run_call(call: Call, backend: str) -> Result:
    """Run a call on the chosen backend; arguments and result as for :func:`run`."""
    if backend == "auto":
        try:
            return choose(call)[0].run(call)
        except KernelError as error:
            warn(str(error))
            return BACKENDS["reference"].run(call)
    chosen = BACKENDS[backend]
    reason = chosen.refuses(call)
    if reason is not None:
        raise refusal(backend, reason, _instead(call))
    return chosen.run(call)


def refusal(backend: str, reason: str, instead: str) -> ConfigError:
    """Make the error for a backend that the user chose and that cannot run something.

    Args:
        backend: The backend.
        reason: Why, as a clause.
        instead: The backend that ``auto`` takes.
    """
    return ConfigError(
        f"backend={backend!r} cannot run this: {reason}. Remove the cause, or choose backend='auto', which takes the "
        f"{instead} here."
    )


def _instead(call: Call) -> str:
    """Name the backend that ``auto`` takes."""
    try:
        return choose(call)[0].name
    except KernelError:
        return "reference"


def warn(reason: str) -> None:
    """Warn once that no kernels could be made, and that the reference runs instead."""
    if reason not in _said:
        _said.add(reason)
        warnings.warn(f"{reason} The reference runs instead, and is slower.", RuntimeWarning, stacklevel=3)


constant(warn)
