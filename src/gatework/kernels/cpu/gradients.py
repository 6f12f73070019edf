"""Derivatives of the kernels' operators, as autograd needs them.

The reference computes what kernels cannot do in a backward pass: a gradient of a gradient, or a batch of gradients at
once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.call import Call
from gatework.kernels.cpu.operators import run_backward, run_forward
from gatework.kernels.cpu.passes import Tensors
from gatework.kernels.planning.spec import extent_name, read_spec
from gatework.kernels.reference import derivative
from gatework.kernels.weights import Weights


def remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    """Save what the backward pass needs."""
    spec, given, state, weights, lengths, restart, initial = inputs
    run = read_spec(spec)
    ctx.spec = spec
    ctx.set_materialize_grads(False)  # an output without a gradient gives None, and is left out
    ctx.counts = (len(given), len(state), len(weights), len(initial))
    ctx.results = 1 + len(state) + len(run.recipe.record)  # the results that can have a gradient
    # Everything that the backward pass reads is saved here: autograd raises an error if it was changed in place since.
    ctx.save_for_backward(lengths, restart, *given, *state, *weights, *initial, *output[ctx.results :])


def differentiate(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    """Return the gradients of the arguments of ``forward``, in their order."""
    _, given, state, weights, _, _, initial = ctx.needs_input_grad
    needed = [bool(flag) for part in (given, state, weights, initial) for flag in part]
    results = iter(gradients(ctx, list(grads[: ctx.results]), needed, torch.ops.gatework.backward))
    given, state, weights, initial = ([next(results) for _ in range(count)] for count in ctx.counts)
    return (None, given, state, weights, None, None, initial)


def gradients(
    ctx: Any, grads: list[Tensor | None], needed: list[bool], backward: Callable[..., list[Tensor]]
) -> list[Tensor | None]:
    """Return the gradients of a forward pass.

    Args:
        ctx: The context that :func:`remember` filled.
        grads: The gradients of the output, the last states and the recorded names.
        needed: For each tensor of the forward pass, whether its gradient is needed.
        backward: The operator, or the function behind it.

    Returns:
        The gradient of each tensor, None if it is not needed.
    """
    lengths, restart, *saved = ctx.saved_tensors
    again = torch.is_grad_enabled()
    if again or any(derivative.is_batched(grad) for grad in grads if grad is not None):
        make = _call_of(ctx.spec, ctx.counts, lengths, restart)
        with torch.enable_grad():
            results = derivative.gradients(make, saved[: sum(ctx.counts)], grads, needed, again)
    else:
        given, state, weights, initial, kept = _parted(saved, ctx.counts)
        results = backward(ctx.spec, given, state, weights, lengths, restart, initial, kept, grads, needed)
    return [one if wanted else None for one, wanted in zip(results, needed, strict=True)]


def _parted(tensors: Tensors, counts: Sequence[int]) -> list[list[Tensor]]:
    """Split a list of tensors into groups of the given lengths and the rest."""
    parts, place = [], 0
    for count in (*counts, len(tensors) - sum(counts)):
        parts.append(list(tensors[place : place + count]))
        place += count
    return parts


def _call_of(
    spec: str, counts: Sequence[int], lengths: Tensor | None, restart: Tensor | None
) -> Callable[[list[Tensor]], Call]:
    """Return the function that makes the call of a forward operator from a list of all its tensors."""
    run = read_spec(spec)
    step, drawn = run.recipe.step, run.recipe.drawn

    def make(tensors: list[Tensor]) -> Call:
        given, state, weights, initial, _ = _parted(tensors, counts)
        held = dict(zip(run.layout, weights, strict=True))
        banks = tuple(held.pop((name,)) for name in step.banks)
        extents = tuple(held.pop((extent_name(place),)) for place in step.places)
        return Call(
            step,
            Weights(held.items()),
            tuple(given[: len(step.inputs)]),
            tuple(state),
            lengths=lengths,
            restart=restart,
            initial=tuple(initial) or None,
            reverse=run.reverse,
            draws=dict(zip(step.draws, given[len(step.inputs) :], strict=True)) if drawn else None,
            record=run.recipe.record,
            banks=banks,
            extents=extents,
        )

    return make


class Fused(torch.autograd.Function):
    """The operators in eager mode. Torch's registry of operators would cost more than a short run."""

    @staticmethod
    def forward(
        ctx: Any, spec: str, lengths: Tensor | None, restart: Tensor | None, counts: tuple[int, ...], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the forward pass on inputs, states, weights and initial states; ``counts`` has the numbers of each."""
        given, state, weights, initial, _ = _parted(tensors, counts)
        results = run_forward(spec, given, state, weights, lengths, restart, initial)
        remember(ctx, (spec, given, state, weights, lengths, restart, initial), results)
        return tuple(results[: ctx.results])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        """Run the backward pass."""
        results = gradients(ctx, list(grads), list(ctx.needs_input_grad[4:]), run_backward)
        return (None, None, None, None, *results)
