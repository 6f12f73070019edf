"""The fused kernels as operators of torch: with shapes known beforehand, and with gradients.

``gatework::forward`` runs a step over a whole sequence, ``gatework::backward`` its adjoint. What a backward pass
cannot do by kernels - a gradient of a gradient - is done by the reference.

The forward operator gives the output, the last states, what was recorded, and what the backward pass will read. Where
there is no padding - all rows have all steps, or the batch is packed, [N, size] - the output comes as the store of the
first state, which begins with ``2 * B`` rows that are no output (see :mod:`gatework.kernels.cpu.rows`): so nothing is
copied, and no tensor is given twice.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from gatework.kernels import reference
from gatework.kernels.arithmetic import upper_blocks
from gatework.kernels.cpu.adjoint import Backward
from gatework.kernels.cpu.execute import Kept, forward, last_states
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.cpu.layout import Layout
from gatework.kernels.cpu.workspace import Sized, sized
from gatework.kernels.spec import Spec, read_spec
from gatework.kernels.weights import Weights

_SIGNATURE = (
    "str spec, Tensor[] inputs, Tensor[] state, Tensor[] weights, Tensor? lengths, Tensor? restart, Tensor[] initial"
)
_library = torch.library.Library("gatework", "DEF")
_library.define(f"forward({_SIGNATURE}) -> Tensor[]")
_library.define(f"backward({_SIGNATURE}, Tensor[] kept, Tensor?[] grads, bool[] needed) -> Tensor[]")

Tensors = Sequence[Tensor]


def _sized(which: str, run: Spec, inputs: Tensors, state: Tensors, weights: Tensors) -> Sized:
    """Give the kernel of one of a recipe's plans for these tensors' sizes and type."""
    key = (which, state[0].dtype, *[int(one.shape[-1]) for one in (*inputs, *state)])  # ints where shapes are symbols
    found = run.known.get(key)
    if not isinstance(found, Sized):
        dtype = "float32" if state[0].dtype == torch.float32 else "float64"
        kernel = kernel_for(getattr(run.recipe, which), dtype)
        found = run.known[key] = sized(kernel, run.sizes(inputs, state, weights))
    return found


def _forward_plan(run: Spec) -> str:
    return "training" if run.keep == "fast" else "inference"


@torch.library.register_fake("gatework::forward")
def _forward_shapes(
    spec: str,
    inputs: Tensors,
    state: Tensors,
    weights: Tensors,
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Tensors,
) -> list[Tensor]:
    run = read_spec(spec)
    known = _sized(_forward_plan(run), run, inputs, state, weights)
    lead, like = inputs[0].shape[:-1], state[0]
    room = prod(lead)  # Size.numel() would fix sizes that are symbols
    store = 2 * like.shape[0] + room
    first = like.new_empty(store, known.width(run.states[0]))
    own = not is_store(inputs, lengths)
    results = [like.new_empty(*lead, like.shape[-1]) if own else first]
    results += [torch.empty_like(one, memory_format=torch.contiguous_format) for one in state]
    results += [like.new_empty(*lead, known.size(name)) for name in run.recipe.record]
    if run.keep != "nothing":
        if own:
            results.append(like.new_empty(store, known.width(run.states[0])))
        results += [like.new_empty(store, known.width(name)) for name in run.states[1:]]
        results += [like.new_empty(room, known.width(name)) for name in run.saved]
    return results


def is_store(inputs: Tensors, lengths: Tensor | None) -> bool:
    """Say whether the output is given as the store it lies in: there is no padding to lay between its rows."""
    return lengths is None or inputs[0].dim() == 2


@torch.library.register_fake("gatework::backward")
def _backward_shapes(
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

    Results may share memory unless they are to be ``apart``.
    """
    run = read_spec(spec)
    known = _sized(_forward_plan(run), run, inputs, state, weights)
    batch = state[0].shape[0]
    layout = Layout(inputs[0].shape[:-1], batch, run.reverse, lengths, restart)
    rows, states = layout.rows, run.states
    recorded = tuple(name for name in run.recipe.record if name not in states)
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
        apart,
    )
    store = kept.states[states[0]]
    own = not is_store(inputs, lengths)
    output = layout.give_back(_part(store, 2 * batch, rows.flat, state[0].shape[1])) if own else store
    last = last_states(kept, rows, run.keeps_states, {name: known.size(name) for name in states})
    results = [output, *(layout.give_back_state(last[name]) for name in states)]
    for name in run.recipe.record:
        whole, first = (kept.states[name], 2 * batch) if name in states else (kept.saved[name], 0)
        found = _part(whole, first, rows.flat, known.size(name)).expand(-1, known.size(name))
        results.append(layout.give_back(found.clone()))
    if run.keep != "nothing":
        if own:
            results.append(store)
        results += [kept.states[name] for name in states[1:]]
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
    known = _sized("backward", run, inputs, state, weights)
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
        run.recipe,
        known,
        replay,
        layout.rows,
        run.by_name([one.detach() for one in weights]),
        dict(zip(run.sequences, map(layout.sequence, inputs), strict=True)),
        Kept(dict(zip(states, kept, strict=False)), dict(zip(run.saved, kept[count:], strict=True))),
    ).run(
        _arriving(run, known, layout, grads, state[0]),
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
    run: Spec, known: Sized, layout: Layout, grads: Sequence[Tensor | None], like: Tensor
) -> dict[str, Tensor]:
    """Collect the gradients that arrive at every step, as flat rows."""
    found: dict[str, Tensor] = {}
    recorded = grads[1 + len(run.states) :]
    for place, (name, grad) in enumerate(zip((run.states[0], *run.recipe.record), (grads[0], *recorded), strict=True)):
        if grad is not None:
            # The operator gives the output as its store, so the store's gradient arrives; in eager mode the output's.
            before = 2 * layout.batch
            stored = place == 0 and layout.in_place and grad.dim() == 2 and len(grad) == before + layout.room
            arrived = grad[before:] if stored else layout.sequence(grad)
            # The output may be recorded as well; its store is padded, what was recorded is not.
            found[name] = arrived if name not in found else found[name][:, : arrived.shape[1]] + arrived
    for name, arriving in run.recipe.adjoint.grad.items():
        if name not in found:
            found[name] = like.new_zeros(layout.rows.flat, known.size(arriving))
    return found


# --- gradients


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    spec, given, state, weights, lengths, restart, initial = inputs
    run = read_spec(spec)
    ctx.spec, ctx.lengths, ctx.restart = spec, lengths, restart
    ctx.counts = (len(given), len(state), len(weights), len(initial))
    ctx.results = 1 + len(state) + len(run.recipe.record)  # what a gradient can arrive at
    kept: list[Tensor] = []
    if run.keep != "nothing":
        own = not is_store(given, lengths)
        kept = [output[ctx.results] if own else output[0], *output[ctx.results + own :]]
    ctx.save_for_backward(*given, *state, *weights, *initial, *kept)


def _differentiate(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
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
        ctx: What :func:`_remember` wrote down.
        grads: What arrives at the output, the last states and what was recorded.
        needed: For each tensor the forward pass took, whether its gradient is wanted.
        backward: The operator, or what it calls.

    Returns:
        For each tensor its gradient, None where it is not wanted.
    """
    *parts, kept = _parted(ctx.saved_tensors, ctx.counts)
    if torch.is_grad_enabled():
        found = _by_reference(ctx, parts, grads, needed)
    else:
        given, state, weights, initial = parts
        found = backward(ctx.spec, given, state, weights, ctx.lengths, ctx.restart, initial, kept, grads, needed)
    return [one if wanted else None for one, wanted in zip(found, needed, strict=True)]


def _parted(tensors: tuple[Tensor, ...], counts: tuple[int, ...]) -> list[list[Tensor]]:
    """Part tensors in a row into groups of so many, and what is left."""
    parts, place = [], 0
    for count in (*counts, len(tensors) - sum(counts)):
        parts.append(list(tensors[place : place + count]))
        place += count
    return parts


def _by_reference(ctx: Any, parts: list[list[Tensor]], grads: list[Tensor | None], needed: list[bool]) -> list[Tensor]:
    """Differentiate in a way that can be differentiated again: through the reference."""
    run = read_spec(ctx.spec)
    given, state, weights, initial = parts
    step, batch = run.recipe.step, state[0].shape[0]
    count = len(step.inputs)
    result = reference.run(
        step,
        Weights(zip(run.layout, weights, strict=True)),
        tuple(given[:count]),
        tuple(state),
        lengths=ctx.lengths,
        restart=ctx.restart,
        initial=tuple(initial) or None,
        reverse=run.reverse,
        draws=dict(zip(step.draws, given[count:], strict=True)) if run.recipe.drawn else None,
        record=run.recipe.record,
    )
    if grads[0] is not None and grads[0].shape != result.output.shape:
        grads[0] = grads[0][2 * batch :, : state[0].shape[1]].reshape(result.output.shape)
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
            create_graph=True,
            allow_unused=True,
        )
    )
    asked = [next(found) if wanted else None for wanted in needed]
    return [torch.zeros_like(one) if grad is None else grad for one, grad in zip(everything, asked, strict=True)]


_library.impl("forward", partial(run_forward, apart=True), "CPU")
_library.impl("backward", run_backward, "CPU")
torch.library.register_autograd("gatework::forward", _differentiate, setup_context=_remember)


class Fused(torch.autograd.Function):
    """The same in eager mode, where the detour through torch's registry of operators would cost more than a short run.

    The output is a view of the first state's store, so its gradient needs no room of the store's size.
    """

    @staticmethod
    def forward(
        ctx: Any, spec: str, lengths: Tensor | None, restart: Tensor | None, counts: tuple[int, ...], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the forward pass; tensors are inputs, states, weights and initial states, as many as counts say."""
        given, state, weights, initial, _ = _parted(tensors, counts)
        results = run_forward(spec, given, state, weights, lengths, restart, initial)
        _remember(ctx, (spec, given, state, weights, lengths, restart, initial), results)
        output = results[0]
        if is_store(given, lengths):
            output = output_of(output, given[0], state[0])
        return (output, *results[1 : ctx.results])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        """Run the backward pass."""
        found = gradients(ctx, list(grads), list(ctx.needs_input_grad[4:]), run_backward)
        return (None, None, None, None, *found)


def output_of(store: Tensor, given: Tensor, state: Tensor) -> Tensor:
    """Give the output, [T, B, size] or packed, that lies in the first state's store."""
    return store[2 * state.shape[0] :, : state.shape[1]].reshape(*given.shape[:-1], state.shape[1])
