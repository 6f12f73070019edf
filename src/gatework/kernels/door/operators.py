"""What the operators of :mod:`gatework.kernels.schema` do: with shapes known beforehand, and with gradients.

``gatework::forward`` runs a step over a whole sequence, ``gatework::backward`` its adjoint. What a backward pass
cannot do by kernels - a gradient of a gradient, a batch of gradients at once - is done by the reference.

The forward operator gives the output, the last states, what was recorded, and what the backward pass will read. The
output shares no memory with what is kept, so it may be changed in place; only where ``keep`` is ``small`` it may be a
view of it, which torch refuses to change.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.cpu.adjoint import Backward
from gatework.kernels.cpu.execute import Kept, forward, last_states
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.cpu.layout import Layout
from gatework.kernels.cpu.workspace import Sized, sized
from gatework.kernels.planning.recipe import Recipe
from gatework.kernels.planning.spec import Spec, read_spec
from gatework.kernels.reference import run as reference
from gatework.kernels.reference.arithmetic import upper_blocks
from gatework.kernels.weights import Weights

Tensors = Sequence[Tensor]


def _sized(
    which: str, run: Spec, inputs: Tensors, state: Tensors, weights: Tensors, recipe: Recipe | None = None
) -> Sized:
    """Give the kernel of one of a recipe's plans for these tensors' sizes and type."""
    recipe = recipe or run.recipe
    # All that is checked before kernels read memory by its address. Sizes are ints also where shapes are symbols.
    key = (
        which,
        recipe.unseen,
        state[0].dtype,
        *[int(one.shape[-1]) for one in (*inputs, *state)],
        *[(one.dtype, one.device.type, *map(int, one.shape)) for one in weights],
    )
    found = run.known.get(key)
    if not isinstance(found, Sized):
        sizes = run.sizes(inputs, state, weights)
        dtype = "float32" if state[0].dtype == torch.float32 else "float64"
        found = run.known[key] = sized(kernel_for(getattr(recipe, which), dtype), sizes)
    return found


def _forward_plan(run: Spec) -> str:
    return "training" if run.keep == "fast" else "inference"


def forward_shapes(
    spec: str,
    inputs: Tensors,
    state: Tensors,
    weights: Tensors,
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Tensors,
) -> list[Tensor]:
    """Give tensors of the shapes of what ``forward`` gives."""
    run = read_spec(spec)
    known = _sized(_forward_plan(run), run, inputs, state, weights)
    lead, like = inputs[0].shape[:-1], state[0]
    room = prod(lead)  # Size.numel() would fix sizes that are symbols
    store = 2 * like.shape[0] + room
    results = [like.new_empty(*lead, like.shape[-1])]
    results += [torch.empty_like(one, memory_format=torch.contiguous_format) for one in state]
    results += [like.new_empty(*lead, known.size(name)) for name in run.recipe.record]
    if run.keep != "nothing":
        results += [like.new_empty(store, known.width(name)) for name in run.states]
        results += [like.new_empty(room, known.width(name)) for name in run.saved]
    return results


def backward_shapes(
    spec: str,
    inputs: Tensors,
    state: Tensors,
    weights: Tensors,
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Tensors,
    kept: Tensors,
    grads: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor]:
    """Give tensors of the shapes of what ``backward`` gives."""
    return [
        torch.empty_like(one, memory_format=torch.contiguous_format) if wanted else one.new_empty(0)
        for one, wanted in zip((*inputs, *state, *weights, *initial), needed, strict=True)
    ]


def run_forward(
    spec: str,
    inputs: Tensors,
    state: Tensors,
    weights: Tensors,
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Tensors,
    apart: bool = False,
) -> list[Tensor]:
    """Run a step; see the module. Arguments and results are those of the operator ``forward``.

    What is kept lies in memory that is used again, unless each result is to be ``apart`` in memory of its own.
    """
    run = read_spec(spec)
    known = _sized(_forward_plan(run), run, inputs, state, weights)
    batch = state[0].shape[0]
    layout = Layout(inputs[0].shape[:-1], batch, run.reverse, lengths, restart)
    rows, states = layout.rows, run.states
    recorded = tuple(name for name in run.recipe.record if name not in states)
    # The output is the caller's to change, and a store that is kept is the backward pass's. A copy for the one costs as
    # much memory as the other, so where memory is short the output is a view, which torch refuses to change.
    shared = run.keep != "fast" and not apart
    kept = forward(
        known,
        rows,
        run.by_name([one.detach() for one in weights]),
        dict(zip(run.sequences, map(layout.sequence, inputs), strict=True)),
        dict(zip(states, map(layout.state, state), strict=True)),
        dict(zip(states, map(layout.state, initial), strict=True)) if initial else None,
        run.saved or recorded,
        run.keeps_states,
        layout.room,
        alone=(*states, *(run.saved or recorded)) if apart else states[:1] if shared else (),
    )
    output = layout.give_back(_part(kept.states[states[0]], 2 * batch, rows.flat, state[0].shape[1]), not shared)
    last = last_states(kept, rows, run.keeps_states, {name: known.size(name) for name in states})
    results = [output, *(layout.give_back_state(last[name]) for name in states)]
    for name in run.recipe.record:
        whole, first = (kept.states[name], 2 * batch) if name in states else (kept.saved[name], 0)
        found = _part(whole, first, rows.flat, known.size(name)).expand(-1, known.size(name))
        results.append(layout.give_back(found, own=True))
    if run.keep != "nothing":
        results += [kept.states[name] for name in states]
        results += [kept.saved[name] for name in run.saved]
    return results


def _part(store: Tensor, first: int, count: int, size: int) -> Tensor:
    return store[first : first + count, :size]


def run_backward(
    spec: str,
    inputs: Tensors,
    state: Tensors,
    weights: Tensors,
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Tensors,
    kept: Tensors,
    grads: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor]:
    """Run an adjoint; see the module. Arguments and results are those of the operator ``backward``."""
    run = read_spec(spec)
    names = (run.states[0], *run.states, *run.recipe.record)
    recipe = run.recipe.seeing(frozenset(name for name, grad in zip(names, grads, strict=True) if grad is not None))
    known = _sized("backward", run, inputs, state, weights, recipe)
    replay = _sized("replay", run, inputs, state, weights) if run.keep == "small" else None
    layout = Layout(inputs[0].shape[:-1], state[0].shape[0], run.reverse, lengths, restart)
    states, count = run.states, len(run.states)
    asked = frozenset(name for name, wanted in zip(run.sequences, needed, strict=False) if wanted)
    first = len(inputs) + count
    stacks = [
        torch.zeros_like(one, memory_format=torch.contiguous_format) if wanted else None
        for one, wanted in zip(weights, needed[first : first + len(weights)], strict=True)
    ]
    into: dict[str, Tensor] = {}
    for names, stack in zip(run.layout, stacks, strict=True):
        if stack is not None:
            into |= zip(names, stack.chunk(len(names)), strict=True)
    found = Backward(
        recipe,
        known,
        replay,
        layout.rows,
        run.by_name([one.detach() for one in weights]),
        dict(zip(run.sequences, map(layout.sequence, inputs), strict=True)),
        Kept(dict(zip(states, kept, strict=False)), dict(zip(run.saved, kept[count:], strict=True))),
    ).run(
        _arriving(run, recipe, known, layout, grads, state[0]),
        {
            name: None if grad is None else layout.state(grad)
            for name, grad in zip(states, grads[1 : 1 + count], strict=True)
        },
        asked,
        into,
    )
    for parameter in run.recipe.step.parameters:
        if parameter.structure == "block_upper" and parameter.name in into:
            into[parameter.name].copy_(upper_blocks(into[parameter.name], parameter.blocks))
    results = [
        layout.give_back(found.inputs[name]) if name in found.inputs else torch.zeros_like(one)
        for name, one in zip(run.sequences, inputs, strict=True)
    ]
    results += [layout.give_back_state(found.state[name]) for name in states]
    results += [one.new_empty(0) if stack is None else stack for one, stack in zip(weights, stacks, strict=True)]
    for name, one in zip(states, initial, strict=False):
        grad = found.initial.get(name)
        results.append(torch.zeros_like(one) if grad is None else layout.give_back_state(grad))
    return [one if wanted else one.new_empty(0) for one, wanted in zip(results, needed, strict=True)]


def _arriving(
    run: Spec, recipe: Recipe, known: Sized, layout: Layout, grads: Sequence[Tensor | None], like: Tensor
) -> dict[str, Tensor]:
    """Collect the gradients that arrive at every step, as flat rows."""
    found: dict[str, Tensor] = {}
    recorded = grads[1 + len(run.states) :]
    for name, grad in zip((run.states[0], *run.recipe.record), (grads[0], *recorded), strict=True):
        if grad is not None:
            arrived = layout.sequence(grad)
            found[name] = arrived if name not in found else found[name] + arrived  # the output may be recorded as well
    for name, arriving in recipe.adjoint.grad.items():
        if name not in found:
            found[name] = like.new_zeros(layout.rows.flat, known.size(arriving))
    return found


# --- gradients


def remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    """Write down what the backward pass will want to know."""
    spec, given, state, weights, lengths, restart, initial = inputs
    run = read_spec(spec)
    ctx.spec = spec
    ctx.set_materialize_grads(False)  # what no gradient reaches is None, and is left out
    ctx.counts = (len(given), len(state), len(weights), len(initial))
    ctx.results = 1 + len(state) + len(run.recipe.record)  # what a gradient can arrive at
    # All that the backward pass reads is saved: autograd refuses what was changed in place since.
    ctx.save_for_backward(lengths, restart, *given, *state, *weights, *initial, *output[ctx.results :])


def differentiate(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    """Give the gradients of what ``forward`` took, in its order."""
    _, given, state, weights, _, _, initial = ctx.needs_input_grad
    needed = [bool(flag) for part in (given, state, weights, initial) for flag in part]
    found = gradients(ctx, list(grads[: ctx.results]), needed, torch.ops.gatework.backward)
    results = iter(found)
    given, state, weights, initial = ([next(results) for _ in range(count)] for count in ctx.counts)
    return (None, given, state, weights, None, None, initial)


def gradients(
    ctx: Any, grads: list[Tensor | None], needed: list[bool], backward: Callable[..., list[Tensor]]
) -> list[Tensor | None]:
    """Give the gradients of a forward pass.

    Args:
        ctx: What :func:`remember` wrote down.
        grads: What arrives at the output, the last states and what was recorded.
        needed: For each tensor the forward pass took, whether its gradient is wanted.
        backward: The operator, or what it calls.

    Returns:
        For each tensor its gradient, None where it is not wanted.
    """
    lengths, restart, *saved = ctx.saved_tensors
    *parts, kept = _parted(saved, ctx.counts)
    given, state, weights, initial = parts
    if torch.is_grad_enabled():
        found = _by_reference(ctx.spec, parts, lengths, restart, grads, needed, again=True)
    elif any(_is_batch(grad) for grad in grads if grad is not None):
        with torch.enable_grad():
            found = _by_reference(ctx.spec, parts, lengths, restart, grads, needed, again=False)
    else:
        found = backward(ctx.spec, given, state, weights, lengths, restart, initial, kept, grads, needed)
    return [one if wanted else None for one, wanted in zip(found, needed, strict=True)]


def _is_batch(grad: Tensor) -> bool:
    """Say whether a gradient is a batch of them, as ``is_grads_batched`` and ``torch.vmap`` have it."""
    return torch._C._functorch.is_legacy_batchedtensor(grad) or torch._C._functorch.is_batchedtensor(grad)


def _parted(tensors: Tensors, counts: tuple[int, ...]) -> list[list[Tensor]]:
    """Part tensors in a row into groups of so many, and what is left."""
    parts, place = [], 0
    for count in (*counts, len(tensors) - sum(counts)):
        parts.append(list(tensors[place : place + count]))
        place += count
    return parts


def _by_reference(
    spec: str,
    parts: list[list[Tensor]],
    lengths: Tensor | None,
    restart: Tensor | None,
    grads: list[Tensor | None],
    needed: list[bool],
    again: bool,
) -> list[Tensor]:
    """Differentiate through the reference, in a way that can be differentiated again if it is to be."""
    run = read_spec(spec)
    # Views, of which none depends on another, as a state may on the input: each has the gradient of its own part alone.
    given, state, weights, initial = ([one.view_as(one) for one in part] for part in parts)
    step = run.recipe.step
    count = len(step.inputs)
    result = reference.run(
        step,
        Weights(zip(run.layout, weights, strict=True)),
        tuple(given[:count]),
        tuple(state),
        lengths=lengths,
        restart=restart,
        initial=tuple(initial) or None,
        reverse=run.reverse,
        draws=dict(zip(step.draws, given[count:], strict=True)) if run.recipe.drawn else None,
        record=run.recipe.record,
    )
    recorded = [result.recorded[name] for name in run.recipe.record]
    pairs = [
        (one, grad)
        for one, grad in zip((result.output, *result.state, *recorded), grads, strict=True)
        if grad is not None and one.requires_grad
    ]
    everything = [*given, *state, *weights, *initial]
    found = iter(
        torch.autograd.grad(
            [one for one, _ in pairs],
            [one for one, wanted in zip(everything, needed, strict=True) if wanted],
            [grad for _, grad in pairs],
            create_graph=again,
            allow_unused=True,
        )
    )
    asked = [next(found) if wanted else None for wanted in needed]
    return [torch.zeros_like(one) if grad is None else grad for one, grad in zip(everything, asked, strict=True)]


run_apart = partial(run_forward, apart=True)  # as torch's registry of operators wants it


class Fused(torch.autograd.Function):
    """The same in eager mode, where torch's registry of operators would cost more than a short run."""

    @staticmethod
    def forward(
        ctx: Any, spec: str, lengths: Tensor | None, restart: Tensor | None, counts: tuple[int, ...], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the forward pass; tensors are inputs, states, weights and initial states, as many as counts say."""
        given, state, weights, initial, _ = _parted(tensors, counts)
        results = run_forward(spec, given, state, weights, lengths, restart, initial)
        remember(ctx, (spec, given, state, weights, lengths, restart, initial), results)
        return tuple(results[: ctx.results])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        """Run the backward pass."""
        found = gradients(ctx, list(grads), list(ctx.needs_input_grad[4:]), run_backward)
        return (None, None, None, None, *found)
