"""The code of the operators of :mod:`gatework.kernels.schema` for the CPU, and the shapes of their results.

``gatework::forward`` runs a step over a whole sequence, ``gatework::backward`` its adjoint.

The forward operator returns the output [T, B, size], the last states and the recorded values, all in the caller's form.
If a gradient will be needed, the saved tensors follow, which only the backward operator reads: laid out for the
kernels, or with ``keep`` as ``sqrt`` the states at the checkpoints. The output shares no memory with them, so it may be
changed in place. Only if ``keep`` is ``small``, it may be a view of them, which torch refuses to change.
"""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.cpu import checkpoints
from gatework.kernels.cpu.execute import Kept
from gatework.kernels.cpu.passes import BackwardPass, Given, forward_pass, forward_plan, sized_for
from gatework.kernels.planning.spec import read_spec


def forward_shapes(*arguments: Any) -> list[Tensor]:
    """Return tensors with the shapes of the results of ``forward``."""
    given = Given(*arguments)
    run = read_spec(given.spec)
    known = sized_for(forward_plan(run), run, given)
    lead, like = given.inputs[0].shape[:-1], given.state[0]
    room = prod(lead)  # Size.numel() would fix sizes that are symbols
    store = 2 * like.shape[0] + room
    results = [like.new_empty(*lead, like.shape[-1])]
    results += [torch.empty_like(one, memory_format=torch.contiguous_format) for one in given.state]
    results += [like.new_empty(*lead, known.size(name)) for name in run.recipe.record]
    if run.checkpointed:
        most = checkpoints.most(lead[0])
        results += [like.new_empty(most, *one.shape) for one in given.state]
    elif run.keep != "nothing":
        results += [like.new_empty(store, known.width(name)) for name in run.states]
        results += [like.new_empty(room, known.width(name)) for name in run.saved]
    return results


def backward_shapes(*arguments: Any) -> list[Tensor]:
    """Return tensors with the shapes of the results of ``backward``."""
    given, needed = Given(*arguments[:7]), arguments[-1]
    tensors = (*given.inputs, *given.state, *given.weights, *given.initial)
    return [
        torch.empty_like(one, memory_format=torch.contiguous_format) if wanted else one.new_empty(0)
        for one, wanted in zip(tensors, needed, strict=True)
    ]


def run_forward(*arguments: Any, apart: bool = False) -> list[Tensor]:
    """Run a step; see the module. Arguments and results are those of the operator ``forward``.

    The saved tensors share memory that is used again, unless each result must be ``apart``, in memory of its own.
    """
    given = Given(*arguments)
    run = read_spec(given.spec)
    if run.checkpointed:
        return checkpoints.forward(run, given, apart)
    return forward_pass(run, given, given.layout(run), apart)


run_apart = partial(run_forward, apart=True)  # the form that torch's registry of operators needs


def run_backward(*arguments: Any) -> list[Tensor]:
    """Run an adjoint; see the module. Arguments and results are those of the operator ``backward``."""
    given, (kept, grads, needed) = Given(*arguments[:7]), arguments[7:]
    run = read_spec(given.spec)
    adjoint = BackwardPass(run, given, [grad is not None for grad in grads], needed)
    results = checkpoints.backward(adjoint, kept, grads) if run.checkpointed else _whole(adjoint, kept, grads)
    return [one if wanted else one.new_empty(0) for one, wanted in zip(results, needed, strict=True)]


def _whole(adjoint: BackwardPass, kept: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[Tensor]:
    """Run an adjoint over the whole sequence at once."""
    run, given = adjoint.run, adjoint.given
    layout, states = given.layout(run), run.states
    saved = Kept(dict(zip(states, kept, strict=False)), dict(zip(run.saved, kept[len(states) :], strict=True)))
    gradients = adjoint.over(given.batch(run, layout), layout, saved, grads)
    results = [
        layout.give_back(gradients.inputs[name]) if name in gradients.inputs else torch.zeros_like(one)
        for name, one in zip(run.sequences, given.inputs, strict=True)
    ]
    results += [layout.give_back_state(gradients.state[name]) for name in states]
    return [*results, *adjoint.weights(layout.order), *adjoint.initial([gradients.initial])]
