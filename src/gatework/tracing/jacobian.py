"""The exact derivative of a state with respect to an earlier one, and its direct part along the state itself.

Both come from the adjoint of the equations, which symbolic differentiation gives: of all equations, and of the state's
own line alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Unpack

import torch
from torch import Tensor

from gatework.errors import SizeError
from gatework.kernels.reference.run import with_numbers, without_numbers
from gatework.language import Name
from gatework.nn import Recurrent
from gatework.nn.options import MemoryOptions
from gatework.tracing.adjoints import StepAdjoint, adjoint_of, given_masks, own_adjoint, sequence, state_of
from gatework.tracing.evaluation import Values
from gatework.tracing.recording import trace
from gatework.tracing.traces import TracedLayer


@dataclass(frozen=True, eq=False)
class StateJacobian:
    """The derivative of a state at one step with respect to the same state at earlier steps, and its direct part.

    In an LSTM, the direct part is the product of the forget gates in between, as in the essays: it flows along the cell
    state with all gates held fixed. The rest flows through the gates and the candidate. So the product of forget gates
    is not the whole derivative: dC_T/dC_t = direct + rest.

    Args:
        state: The name of the state.
        at: T, the step of the state that is differentiated.
        since: The earliest step with respect to which it is differentiated.
        whole: dC_T/dC_t for t from ``since`` to ``at``, float64 [at - since + 1, B, H, H]; ``[i, b, j, k]`` is the
            derivative of unit j at step T with respect to unit k at step since + i.
        direct: The part that flows from step to step through the state's own equation, with every other name held
            fixed; the same shape.
    """

    state: str
    at: int
    since: int
    whole: Tensor = field(repr=False)
    direct: Tensor = field(repr=False)

    @property
    def rest(self) -> Tensor:
        """The part that flows through other names of the equations: the whole minus the direct part."""
        return self.whole - self.direct


def state_jacobian(
    layer: Recurrent,
    input: Any,
    *,
    of: str | None = None,
    at: int | None = None,
    since: int = 0,
    number: int = 0,
    state: Any = None,
    reset: Tensor | None = None,
    **options: Unpack[MemoryOptions],
) -> StateJacobian:
    """Split the derivative of a state with respect to its past into the direct part and the paths through the gates.

    Args:
        layer: The layer.
        input: The input of the layer, as for ``forward``; not packed, because all rows share one ``at``.
        of: The state; None for the second state (the cell state) if there is one, otherwise the first.
        at: The step T, negative from the end; None for the last step.
        since: The earliest step t.
        number: The layer of the stack, counted from 0 at the input, in the forward direction.
        state: The state before the first step; None for the layer's own.
        reset: As for ``forward``; no gradient flows back across a reset.
        **options: ``memories`` and ``memory_lengths``, as for ``forward``.

    Returns:
        The derivative and its parts, in float64. The units of a state with a number at each position of a memory are
        the positions.

    Raises:
        SizeError: If ``layer`` is not a layer, for a state, a step or a layer number that does not exist, and for a
            state with a vector at each position of a memory.

    Source:
        Hochreiter & Schmidhuber 1997, section 3.2 (the constant error carousel); Gers, Schmidhuber & Cummins 2000.

    Example:
        >>> import gatework
        >>> lstm, given = gatework.LSTM(3, 4), torch.randn(6, 1, 3)
        >>> jacobian = state_jacobian(lstm, given, of="c")
        >>> forget = gatework.trace(lstm, given, "f")["f"][1:].double().prod(0)
        >>> torch.allclose(jacobian.direct[0, 0], torch.diag(forget[0]))
        True
    """
    if not isinstance(layer, Recurrent):
        raise SizeError(
            f"state_jacobian() was given a {type(layer).__name__}; expected a gatework layer by itself, such as the "
            "one in that model, with what that layer takes as its input."
        )
    name = state_of(layer.cell.step, of)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < layer.num_layers:
        raise SizeError(f"number is {number!r}; the stack has the layers 0 to {layer.num_layers - 1}.")
    step = layer.layers[number].step
    if name in step.positions and not step.is_bare(name):
        raise SizeError(
            f"`{name}` has a vector at each position of the memory `{step.positions[name]}`; state_jacobian() takes a "
            "state with one vector, or with one number at each position."
        )
    kept = trace(layer, input, [line.target for line in step.equations], state=state, reset=reset, **options)
    told = next(one for one in kept.layers if (one.number, one.direction) == (number, 0))
    steps = len(kept[f"{told.prefix}.{name}"])
    last = steps - 1 if at is None else at
    if isinstance(last, bool) or not isinstance(last, int) or not -steps <= last < steps:
        raise SizeError(f"at is {at!r}; the input has {steps} steps, so expected {-steps} to {steps - 1}.")
    last %= steps
    if isinstance(since, bool) or not isinstance(since, int) or not 0 <= since <= last:
        raise SizeError(f"since is {since!r}; expected a step from 0 to at={last}.")
    beside = {place: None if mask is None else mask.unsqueeze(1) for place, mask in given_masks(told).items()}
    values = Values(layer.named_weights(number), layer.layers[number].hidden_size, masks=beside)
    sequences = partial(sequence, kept, told)
    times = range(since, last + 1)
    whole = _backward(adjoint_of(step, name), values, sequences, told, name, times)
    direct = _backward(own_adjoint(step, name), values, sequences, told, name, times)
    return StateJacobian(name, last, since, whole, direct)


def _backward(
    adjoint: StepAdjoint,
    values: Values,
    sequences: Callable[[Name], Tensor],
    told: TracedLayer,
    state: str,
    times: range,
) -> Tensor:
    """Carry the derivative of each unit back through the steps: [steps, B, H, H], in the order of time.

    The differentiated units are handled as rows side by side, so every forward value is read once for all of them.
    """

    def windowed(sequence: Tensor) -> Tensor:  # a memory is the same at all steps, and has an axis of 1 for them
        return (sequence if len(sequence) == 1 else sequence[times.start : times.stop]).double().unsqueeze(2)

    def inside(name: str, value: Tensor) -> Tensor:  # beyond a row's positions nothing is read
        mask = values.masks.get(told.step.positions.get(name, ""))
        return value if mask is None else torch.where(mask, value, 0.0)

    given = {name: windowed(sequences(source)) for name, source in adjoint.reads.items()}
    rows, size = told.before[state].shape  # B, H
    eye = torch.eye(size, dtype=torch.float64, device=told.before[state].device).expand(rows, -1, -1)
    back = {name: eye.new_zeros(rows, size, *told.before[name].shape[1:]) for name in adjoint.back} | {state: eye}
    back = {name: inside(name, with_numbers(told.step, name, value)) for name, value in back.items()}
    derivatives = eye.new_empty(len(times), rows, size, size)
    values.positions = adjoint.positions
    for place in reversed(range(len(times))):
        values.names = {Name(name): sequence[place % len(sequence)] for name, sequence in given.items()}
        values.names |= {Name(adjoint.back[name], True): value for name, value in back.items()}
        adjoint.step(values)
        # A gradient may be one number for all units.
        gradient = inside(state, values.names[Name(adjoint.gradient)].expand_as(back[state]))
        derivatives[place] = without_numbers(told.step, state, gradient)
        sent = {name: values.names[Name(carrier)] for name, carrier in adjoint.back.items()}
        back = {name: inside(name, sent[name].expand_as(value)) for name, value in back.items()}
        if told.restart is not None:
            for name, value in back.items():
                starts = told.restart[times[place]].reshape(-1, *(1,) * (value.dim() - 1))
                back[name] = torch.where(starts, 0.0, value)
    return derivatives
