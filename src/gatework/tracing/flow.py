"""Measure how gradients flow back through time: how much each earlier step matters to a later output."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gatework.errors import SizeError
from gatework.kernels import Result, Weights
from gatework.kernels.reference.run import with_numbers
from gatework.language.handles import entered, pushed
from gatework.nn import Recurrent
from gatework.nn.options import MemoryOptions
from gatework.tracing.doors import Further, Visit, Visitor, prefix_of, recurrent_layers, visited
from gatework.tracing.recording import run_model
from gatework.tracing.traces import Keyed

Loss = Callable[[Any], Tensor]


@dataclass(frozen=True, eq=False)
class Flow(Keyed):
    """The norms of the gradients of a loss: a mapping from keys to tensors [T, B].

    ``flow["l0.c"][t, b]`` is the norm of dL/dc_t for row b. This total derivative includes everything that depends on
    c_t, within the step and later. ``l0.x`` is the input of the layer.

    ``flow["l0.m"][t, b]`` is the norm of what step t alone passes back to the memory m: of dL/dm_t, where m_t is the
    copy of m that step t reads. The sum of dL/dm_t over the steps is the gradient of the memory.

    Args:
        tensors: The norms, by full key.
        prefixes: The beginning of the keys, for each layer and direction.
        at: The step at which the loss is taken, for each row, int64 [B].
        loss: The value of the loss, summed over rows.
        at_positions: For every memory, the norm of dL/dm_t at each of its positions, [T, B, L]; empty without memories.
        shares: For every memory, its share of the gradient that step t passes back, [T, B]: the squared norm of dL/dm_t
            over the sum of the squared norms of what step t passes back to all memories and all states before it. 0
            where a step passes nothing back; empty without memories.
    """

    at: Tensor
    loss: float
    at_positions: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    shares: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def memory_length(self) -> float:
        """The effective memory length of the input, in steps: see :attr:`memory_lengths`."""
        return self.memory_lengths[next(key for key in self.tensors if key.endswith(".x"))]

    @property
    def memory_lengths(self) -> dict[str, float]:
        """The effective memory length of every quantity, in steps.

        The effective memory length is the lag within which 1 - 1/e, or 63 percent, of the summed norm lies, over all
        rows. For a norm that decays exponentially it is the time constant. It is interpolated between steps, and it is
        0 if no gradient arrives.
        """
        return {key: memory_length(norms, self.at) for key, norms in self.tensors.items()}


def gradient_flow(
    layer_or_model: nn.Module,
    input: Any,
    *,
    at: int | None = None,
    target: int | Tensor | None = None,
    loss: Loss | None = None,
    state: Any = None,
    lengths: Tensor | Sequence[int] | None = None,
    reset: Tensor | None = None,
    seed: int = 0,
    **options: Unpack[MemoryOptions],
) -> Flow:
    """Measure how a gradient flows back from one step: the norms of dL/dh_t, dL/dc_t, dL/dx_t at every step t.

    There are three choices for the loss L. With ``loss``, L is this function of the model's output (for a layer, of its
    first return value). With ``target``, L is the log-probability of a symbol at step ``at``, for a model that returns
    scores [T, B, V]. By default, L is the output at step ``at``, projected on a random direction of length 1, which is
    the same for every step and row. The norm for the last layer's h at step ``at`` is then 1 (for both directions
    together, if there are two), and all other norms show how much of the gradient is left.

    Args:
        layer_or_model: A layer, or any module that contains gatework layers.
        input: As for :func:`gatework.trace`.
        at: The step at which the loss is taken, negative from the end; None for the last step of each row.
        target: The symbol, or one for each row, int64 [B].
        loss: A function that takes the model's output and returns a number.
        state: As for :func:`gatework.trace`.
        lengths: As for :func:`gatework.trace`.
        reset: As for :func:`gatework.trace`.
        seed: The seed of the random direction.
        **options: As for :func:`gatework.trace`. With a memory, the reference runs the layer, and every step gets its
            own copy of the memory, [T, B, L, size].

    Returns:
        The norms; for a cell with a memory, also how much of the gradient goes there.

    Raises:
        SizeError: For a step beyond the input, for a model whose output has no steps, for a loss that is not a function
            or does not return a number, and for both a ``loss`` and a ``target``.

    Source:
        Hochreiter & Schmidhuber 1997, section 3.1, on error flow; Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063.

    Example:
        >>> import gatework
        >>> flow = gatework.gradient_flow(gatework.LSTM(3, 4), torch.randn(5, 2, 3))
        >>> flow["c"].shape
        torch.Size([5, 2])
    """
    if loss is not None and target is not None:
        raise SizeError("gradient_flow() was given a loss and a target. Leave one of them out.")
    if loss is not None and not callable(loss):
        raise SizeError(
            f"loss is {loss!r}; expected a function that takes what the model returns and gives one number."
        )
    layers = recurrent_layers(layer_or_model)
    pushes = _Pushes(alone=len(layers) == 1)
    with torch.enable_grad(), ExitStack() as stack:
        for path, layer in layers.items():
            stack.enter_context(visited(layer, pushes.visitor(path), changes=True))
        output = run_model(layer_or_model, input, state, lengths=lengths, reset=reset, **options)
        if isinstance(layer_or_model, Recurrent):
            output = output[0]
        steps = _steps(at, pushes.visits[-1])  # an encoder, which runs before, may have other steps
        total = _at(_time_major(layer_or_model, output), steps, target, seed) if loss is None else loss(output)
        if not isinstance(total, Tensor) or total.numel() != 1 or not total.requires_grad:
            raise SizeError(f"The loss gave {_said(total)}; expected one number that depends on the layers' output.")
        found = pushes.measured(total)
    return Flow(prefixes=tuple(pushes.prefixes), at=steps, loss=float(total.detach()), **found)


class _Pushes:
    """Zeros that are added to every state and every input. Their gradients are those of the states and inputs.

    Args:
        alone: Whether there is only one stack of layers, so that keys need no path.
    """

    def __init__(self, *, alone: bool) -> None:
        self.alone = alone
        self.visits: list[Visit] = []
        self.prefixes: list[str] = []
        self.zeros: dict[str, tuple[Visit, Tensor]] = {}
        self.passed: dict[str, dict[str, tuple[Visit, Tensor]]] = {}  # by prefix and name, what steps pass back

    def visitor(self, path: str) -> Visitor:
        """Return the visitor of one stack of layers."""
        return lambda visit, further: self.visit("" if self.alone else path, visit, further)

    def visit(self, path: str, visit: Visit, further: Further) -> Result:
        """Run one layer in one direction, with zeros added."""
        prefix = prefix_of(path, visit.number, visit.direction)
        if prefix in self.prefixes:
            raise SizeError(
                f"The layer {f'`{path}`' if path else 'given'} was run more than once in one run of the model, so its "
                "steps have no one order. Ask for the flow of the layer itself, on the input of each run."
            )
        self.visits.append(visit)
        self.prefixes.append(prefix)
        taken = pushed(visit.step)
        zeros = {
            state: visit.full(0.0, *before.shape[1:]).requires_grad_()
            for state, before in zip(visit.step.states, visit.state, strict=True)
        }
        # Both directions share this tensor, so their gradients with respect to the input add up.
        name = f"{prefix_of(path, visit.number, 0)}.{visit.step.inputs[0]}"
        if name not in self.zeros:
            self.zeros[name] = (visit, torch.zeros_like(visit.inputs[0]).requires_grad_())
        self.zeros |= {f"{prefix}.{state}": (visit, zero) for state, zero in zeros.items()}
        inputs = (visit.inputs[0] + self.zeros[name][1], *visit.inputs[1:])
        # Detached, because kernels would otherwise compute gradients of parameters, which are not needed.
        weights = Weights.of({name: visit.weights[name].detach() for name in visit.weights.names()})
        changed = replace(visit, inputs=inputs, weights=weights)
        changed = changed.with_inputs(taken.step, tuple(zeros[state] for state in visit.step.states))
        return further(self.entering(prefix, changed) if visit.step.banks else changed)

    def entering(self, prefix: str, visit: Visit) -> Visit:
        """Add zeros to what each step reads of the states before it, and of memories."""
        taken, step = entered(visit.step), visit.step
        sources = zip((*step.states, *step.banks), (*visit.state, *visit.options["banks"]), strict=True)
        zeros = {name: visit.full(0.0, *one.shape[1:]).requires_grad_() for name, one in sources if name in taken.enter}
        self.passed[prefix] = {name: (visit, zero) for name, zero in zeros.items()}
        return visit.with_inputs(taken.step, tuple(zeros[name] for name in taken.enter))

    def measured(self, total: Tensor) -> dict[str, dict[str, Tensor]]:
        """Differentiate, and return all norms and shares of a :class:`Flow`."""
        passed = {(prefix, name): held for prefix, named in self.passed.items() for name, held in named.items()}
        pairs = [*self.zeros.values(), *passed.values()]
        gradients = torch.autograd.grad(total, [zero for _, zero in pairs], allow_unused=True)
        whole = [
            visit.outward(torch.zeros_like(zero) if gradient is None else gradient.detach())
            for (visit, zero), gradient in zip(pairs, gradients, strict=True)
        ]
        norms = dict(zip(self.zeros, map(_norms, whole[: len(self.zeros)]), strict=True))
        back = dict(zip(passed, whole[len(self.zeros) :], strict=True))
        squares = {key: _norms(gradient).square() for key, gradient in back.items()}
        places: dict[str, Tensor] = {}
        shares: dict[str, Tensor] = {}
        for prefix, named in self.passed.items():
            total = torch.stack([squares[prefix, name] for name in named]).sum(0)
            for name, (visit, _) in named.items():
                if name in visit.step.banks:
                    key, gradient = f"{prefix}.{name}", back[prefix, name]
                    norms[key] = _norms(gradient)
                    places[key] = _norms(with_numbers(visit.step, name, gradient), 3)
                    shares[key] = torch.where(total > 0, squares[prefix, name] / total, 0)
        return {"tensors": norms, "at_positions": places, "shares": shares}


def _norms(gradient: Tensor, axis: int = 2) -> Tensor:
    """Return the norms of what lies behind the first axes: [T, B], or [T, B, L] with 3 of them."""
    return torch.linalg.vector_norm(gradient.flatten(axis), dim=-1)


def memory_length(norms: Tensor, at: Tensor) -> float:
    """Return the lag within which 1 - 1/e of the summed norm lies, over all rows; see :attr:`Flow.memory_lengths`.

    Args:
        norms: [T, B], not negative.
        at: The step from which the lag is counted, for each row, int64 [B].

    Returns:
        The lag in steps; 0 if all norms are 0.

    Example:
        >>> steps = torch.arange(200, dtype=torch.float64)
        >>> norms = torch.exp((steps - 199) / 5)[:, None]
        >>> round(memory_length(norms, torch.tensor([199])), 6)
        5.0
    """
    steps = torch.arange(len(norms), device=norms.device)[:, None]
    lags = (steps - at.to(norms.device)).abs().expand_as(norms)
    weights = torch.zeros(len(norms), dtype=torch.float64, device=norms.device)
    weights.index_add_(0, lags.flatten(), norms.double().flatten())
    reached = weights.cumsum(0)
    if not float(reached[-1]) > 0:
        return 0.0
    wanted = (1 - 1 / math.e) * float(reached[-1])
    lag = int((reached < wanted).sum())
    before = float(reached[lag - 1]) if lag else 0.0
    return lag + (wanted - before) / float(weights[lag])


def _said(value: Any) -> str:
    """Describe the return value of a loss briefly."""
    if not isinstance(value, Tensor):
        return f"a value of the type {type(value).__name__}"
    if value.numel() != 1:
        return f"a tensor of the shape {tuple(value.shape)}"
    return "a number through which no gradient flows"


def _steps(at: int | None, visit: Visit) -> Tensor:
    """Return the step at which the loss is taken, for each row in the user's order."""
    batch, lengths = visit.batch, visit.lengths
    if at is None and lengths is not None:
        return (lengths - 1).clamp(min=0)
    at = batch.steps - 1 if at is None else at
    if isinstance(at, bool) or not isinstance(at, int) or not -batch.steps <= at < batch.steps:
        count = batch.steps
        raise SizeError(f"at is {at!r}; the input has {count} steps, so expected {-count} to {count - 1}.")
    return torch.full((batch.rows,), at % batch.steps)


def _time_major(model: nn.Module, output: Any) -> Tensor:
    """Return an output with time first, [T, B, size]."""
    if isinstance(output, tuple) and not isinstance(output, PackedSequence):
        output = output[0]
    if isinstance(output, PackedSequence):
        return pad_packed_sequence(output)[0]
    if isinstance(output, Tensor) and isinstance(model, Recurrent) and output.dim() == 2:
        return output.unsqueeze(1)
    if isinstance(output, Tensor) and output.dim() == 3:
        return output.transpose(0, 1) if isinstance(model, Recurrent) and model.batch_first else output
    what = f"a tensor of the shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise SizeError(f"The model returned {what}, in which no step can be found; expected [T, B, size], or give a loss.")


def _at(output: Tensor, steps: Tensor, target: int | Tensor | None, seed: int) -> Tensor:
    """Return the loss of an output [T, B, size] at one step of each row."""
    last = int(steps.max()) if len(steps) else 0
    if len(steps) != output.shape[1] or last >= len(output):
        raise SizeError(
            f"The model returned {tuple(output.shape)}, and the layer that it runs last has {len(steps)} rows and the "
            f"step {last}: they are not the same steps. Give a loss."
        )
    rows = torch.arange(output.shape[1], device=output.device)
    vectors = output[steps.to(output.device), rows]
    size = vectors.shape[-1]
    if target is None:
        direction = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return (vectors @ (direction / direction.norm()).to(vectors)).sum()
    wanted = torch.as_tensor(target, device=output.device)
    if wanted.is_floating_point() or wanted.shape not in ((), rows.shape) or ((wanted < 0) | (wanted >= size)).any():
        raise SizeError(f"target is {target!r}; expected a symbol, or one for each row, from 0 to {size - 1}.")
    return torch.log_softmax(vectors, -1)[rows, wanted.expand_as(rows)].sum()
