"""The fused kernels as operators of torch: with shapes known beforehand, and with gradients.

``gatework::forward`` runs a step over a whole sequence, ``gatework::backward`` its adjoint. Both name the step by its
text, so that a program exported by one process runs in another. What a backward pass cannot do by kernels - a
gradient of a gradient - is done by the reference.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from gatework.kernels import reference
from gatework.kernels.cpu import adjoint, execute
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.cpu.layout import Layout
from gatework.kernels.recipe import Recipe
from gatework.kernels.weights import Weights
from gatework.language.check import parse
from gatework.language.nodes import Step
from gatework.language.show import show

_SIGNATURE = (
    "str step, bool drawn, bool reverse, {}Tensor[] inputs, Tensor[] state, Tensor[] weights, Tensor? lengths, "
    "Tensor? restart, Tensor[] initial, str record"
)
_library = torch.library.Library("gatework", "DEF")
_library.define(f"forward({_SIGNATURE.format('bool keep, ')}) -> Tensor[]")
_library.define(
    f"backward({_SIGNATURE.format('')}, Tensor[] kept, Tensor? grad_output, Tensor?[] grad_state, "
    "Tensor?[] grad_record, bool[] needed) -> Tensor[]"
)

_MOST_STEPS = 256


def text_of(step: Step) -> str:
    """Write a step as text from which any process makes the same step."""
    # By identity, for hashing a step means walking all its equations. The step is kept, so its id stays its own.
    found = _texts.get(id(step))
    if found is None:
        parts = {"equations": show(step), "states": step.states, "inputs": step.inputs, "outputs": step.outputs}
        text = json.dumps(parts)
        if len(_texts) >= _MOST_STEPS:
            _texts.clear()
        found = _texts[id(step)] = (step, text)
    return found[1]


_texts: dict[int, tuple[Step, str]] = {}


@lru_cache(maxsize=_MOST_STEPS)
def recipe_of(text: str, drawn: bool, record: str = "") -> Recipe:
    """Make the recipe of a step that was written as text; what is recorded are words."""
    parts = json.loads(text)
    return Recipe(
        parse(parts["equations"], parts["states"], parts["inputs"], parts["outputs"]), drawn, tuple(record.split())
    )


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
) -> reference.Result:
    """Run a step over a whole sequence; arguments and result as for :func:`gatework.kernels.launch.run`."""
    drawn = draws is not None and bool(step.draws)
    given = [*inputs, *(draws[name] for name in step.draws)] if drawn and draws is not None else [*inputs]
    values = [weights[parameter.name] for parameter in step.parameters]
    begin = [] if initial is None or restart is None else [*initial]
    lines = [name for name in record if name not in step.inputs and name not in step.draws]
    keep = torch.is_grad_enabled() and any(one.requires_grad for one in (*given, *state, *values, *begin))
    results = torch.ops.gatework.forward(
        text_of(step), drawn, reverse, keep, given, [*state], values, lengths, restart, begin, " ".join(lines)
    )
    steps, batch = inputs[0].shape[:2]
    output = results[0]
    if lengths is None:
        output = output[2 * batch :, : state[0].shape[1]].reshape(steps, batch, state[0].shape[1])
    last = 1 + len(state)
    recorded = dict(zip(lines, results[last : last + len(lines)], strict=True))
    for name in (name for name in record if name not in recorded):
        recorded[name] = _without_padding(given[(*step.inputs, *step.draws).index(name)], lengths)
    return reference.Result(output, tuple(results[1:last]), {name: recorded[name] for name in record})


def _without_padding(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return sequence
    return sequence.masked_fill((torch.arange(len(sequence))[:, None] >= lengths)[..., None], 0)


def can_record(step: Step, drawn: bool, names: tuple[str, ...]) -> bool:
    """Say whether values of these names are at hand in a kernel: they are not constant."""
    named = recipe_of(text_of(step), drawn and bool(step.draws)).named
    lines = {*named.inputs, *(line.target for line in named.equations)}
    return all(name in lines for name in names)


# --- shapes and types


def _sizes(
    recipe: Recipe, inputs: Sequence[Tensor], state: Sequence[Tensor], weights: Sequence[Tensor]
) -> dict[str, int]:
    """Find the size behind each key from the tensors."""
    step, sizes = recipe.step, {}
    for name, tensor in zip((*step.inputs, *step.states), (*inputs[: len(step.inputs)], *state), strict=True):
        sizes[step.sizes_of[name]] = tensor.shape[-1]
    for parameter, tensor in zip(step.parameters, weights, strict=True):
        sizes.setdefault(parameter.rows, tensor.shape[0])
    for key in step.size_keys:
        sizes.setdefault(key, state[0].shape[-1])
    return sizes


def _dtype(tensor: Tensor) -> str:
    return "float32" if tensor.dtype == torch.float32 else "float64"


@torch.library.register_fake("gatework::forward")
def _forward_shapes(
    step: str,
    drawn: bool,
    reverse: bool,
    keep: bool,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Sequence[Tensor],
    record: str,
) -> list[Tensor]:
    recipe = recipe_of(step, drawn, record)
    plan = recipe.training if keep else recipe.inference
    sized = execute.sized(kernel_for(plan, _dtype(state[0])), _sizes(recipe, inputs, state, weights))
    steps, batch = inputs[0].shape[:2]
    like, store = state[0], 2 * batch + steps * batch
    first = recipe.step.states[0]
    results = [
        like.new_empty(store, sized.width(first)) if lengths is None else like.new_empty(steps, batch, like.shape[-1])
    ]
    results += [torch.empty_like(one, memory_format=torch.contiguous_format) for one in state]
    results += [like.new_empty(steps, batch, sized.size(name)) for name in recipe.record]
    if keep:
        if lengths is not None:
            results.append(like.new_empty(store, sized.width(first)))
        results += [like.new_empty(store, sized.width(name)) for name in recipe.step.states[1:]]
        results += [like.new_empty(steps * batch, sized.width(name)) for name in recipe.saved]
    return results


@torch.library.register_fake("gatework::backward")
def _backward_shapes(
    step: str,
    drawn: bool,
    reverse: bool,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Sequence[Tensor],
    record: str,
    kept: Sequence[Tensor],
    grad_output: Tensor | None,
    grad_state: Sequence[Tensor | None],
    grad_record: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor]:
    return [
        torch.empty_like(one, memory_format=torch.contiguous_format) if wanted else one.new_empty(0)
        for one, wanted in zip((*inputs, *state, *weights, *initial), needed, strict=True)
    ]


# --- running


@torch.library.impl("gatework::forward", "CPU")
def _forward(
    step: str,
    drawn: bool,
    reverse: bool,
    keep: bool,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Sequence[Tensor],
    record: str,
) -> list[Tensor]:
    recipe = recipe_of(step, drawn, record)
    plan = recipe.training if keep else recipe.inference
    sized = execute.sized(kernel_for(plan, _dtype(state[0])), _sizes(recipe, inputs, state, weights))
    steps, batch = inputs[0].shape[:2]
    layout = Layout(steps, batch, reverse, lengths, restart)
    states = recipe.step.states
    kept = execute.forward(
        sized,
        layout.rows,
        _by_name(recipe, weights),
        dict(zip(_sequences(recipe), map(layout.sequence, inputs), strict=True)),
        dict(zip(states, map(layout.state, state), strict=True)),
        dict(zip(states, map(layout.state, initial), strict=True)) if initial else None,
        recipe.saved if keep else tuple(name for name in recipe.record if name not in states) if record else None,
        steps * batch,
    )
    results = []
    store = kept.states[states[0]]
    if lengths is None:
        results.append(store)
    else:
        results.append(layout.give_back(store[2 * batch : 2 * batch + layout.rows.flat, : state[0].shape[1]]))
    for name, one in zip(states, state, strict=True):
        where = layout.rows.kept if keep or record or name == states[0] else layout.rows.passing
        last = kept.states[name][torch.from_numpy(where.final).long(), : one.shape[1]]
        results.append(layout.give_back_state(last))
    for name in recipe.record:
        whole = kept.states[name][2 * batch :] if name in states else kept.saved[name]
        whole = whole[: layout.rows.flat, : sized.size(name)]
        results.append(layout.give_back(whole.expand(-1, sized.size(name)).clone()))
    if keep:
        if lengths is not None:
            results.append(store)
        results += [kept.states[name] for name in states[1:]]
        results += [kept.saved[name] for name in recipe.saved]
    return results


@torch.library.impl("gatework::backward", "CPU")
def _backward(
    step: str,
    drawn: bool,
    reverse: bool,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: Sequence[Tensor],
    record: str,
    kept: Sequence[Tensor],
    grad_output: Tensor | None,
    grad_state: Sequence[Tensor | None],
    grad_record: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor]:
    recipe = recipe_of(step, drawn, record)
    sized = execute.sized(kernel_for(recipe.backward, _dtype(state[0])), _sizes(recipe, inputs, state, weights))
    steps, batch = inputs[0].shape[:2]
    layout = Layout(steps, batch, reverse, lengths, restart)
    states = recipe.step.states
    names = (*_sequences(recipe), *states, *(parameter.name for parameter in recipe.step.parameters))
    asked = frozenset(name for name, wanted in zip(names, needed, strict=False) if wanted and name not in states)
    passed = execute.Kept(
        dict(zip(states, kept, strict=False)), dict(zip(recipe.saved, kept[len(states) :], strict=True))
    )
    grads: dict[str, Tensor] = {}
    for place, (name, grad) in enumerate(zip((states[0], *recipe.record), (grad_output, *grad_record), strict=True)):
        if grad is not None:
            arrived = grad[2 * batch :] if place == 0 and lengths is None else layout.sequence(grad)
            # The output may be recorded as well; its store is padded, what was recorded is not.
            grads[name] = arrived if name not in grads else grads[name][:, : arrived.shape[1]] + arrived
    for name, arriving in recipe.adjoint.grad.items():
        if name not in grads:
            grads[name] = state[0].new_zeros(layout.rows.flat, sized.size(arriving))
    ends = {name: None if grad is None else layout.state(grad) for name, grad in zip(states, grad_state, strict=True)}
    found = adjoint.backward(
        sized,
        recipe,
        layout.rows,
        _by_name(recipe, weights),
        dict(zip(_sequences(recipe), map(layout.sequence, inputs), strict=True)),
        passed,
        grads,
        ends,
        asked,
    )
    results = []
    everything = (*inputs, *state, *weights, *initial)
    for place, (one, wanted) in enumerate(zip(everything, needed, strict=True)):
        if not wanted:
            results.append(one.new_empty(0))
            continue
        if place < len(inputs):
            grad = found.inputs.get(names[place])
            results.append(
                torch.zeros_like(one, memory_format=torch.contiguous_format) if grad is None else layout.give_back(grad)
            )
        elif place < len(inputs) + len(state):
            results.append(layout.give_back_state(found.state[names[place]]))
        elif place < len(names):
            grad = found.weights.get(names[place])
            results.append(
                torch.zeros_like(one, memory_format=torch.contiguous_format) if grad is None else grad.contiguous()
            )
        else:
            results.append(layout.give_back_state(found.initial[states[place - len(names)]]))
    return results


def _sequences(recipe: Recipe) -> tuple[str, ...]:
    return (*recipe.step.inputs, *recipe.step.draws) if recipe.drawn else recipe.step.inputs


def _by_name(recipe: Recipe, weights: Sequence[Tensor]) -> dict[str, Tensor]:
    return {parameter.name: one for parameter, one in zip(recipe.step.parameters, weights, strict=True)}


# --- gradients


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    step, drawn, reverse, keep, given, state, weights, lengths, restart, initial, record = inputs
    ctx.options = (step, drawn, reverse, record)
    ctx.counts = (len(given), len(state), len(weights), len(initial))
    ctx.keep, ctx.lengths, ctx.restart = keep, lengths, restart
    kept = []
    if keep:
        last = 1 + len(state) + len(record.split())
        kept = [output[last] if lengths is not None else output[0], *output[last + (lengths is not None) :]]
    ctx.save_for_backward(*given, *state, *weights, *initial, *kept)


def _differentiate(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    step, drawn, reverse, record = ctx.options
    saved, parts, place = ctx.saved_tensors, [], 0
    for count in ctx.counts:
        parts.append(list(saved[place : place + count]))
        place += count
    given, state, weights, initial = parts
    kept = list(saved[place:])
    flags = ctx.needs_input_grad
    needed = [flag for part in (flags[4], flags[5], flags[6], flags[9]) for flag in _flags(part)]
    last = 1 + len(state)
    grad_output, grad_state, grad_record = grads[0], list(grads[1:last]), list(grads[last : last + len(record.split())])
    if torch.is_grad_enabled():
        found = _by_reference(ctx, given, state, weights, initial, grad_output, [*grad_state, *grad_record], needed)
    else:
        found = torch.ops.gatework.backward(
            step, drawn, reverse, given, state, weights, ctx.lengths, ctx.restart, initial, record, kept,
            grad_output, grad_state, grad_record, needed,
        )  # fmt: skip
    results = iter([one if wanted else None for one, wanted in zip(found, needed, strict=True)])
    groups = [[next(results) for _ in part] for part in (given, state, weights, initial)]
    return (None, None, None, None, *groups[:3], None, None, groups[3], None)


def _flags(part: Any) -> list[bool]:
    return list(part) if isinstance(part, (list, tuple)) else [part]


def _by_reference(
    ctx: Any,
    given: list[Tensor],
    state: list[Tensor],
    weights: list[Tensor],
    initial: list[Tensor],
    grad_output: Tensor | None,
    grad_others: list[Tensor | None],
    needed: list[bool],
) -> list[Tensor]:
    """Differentiate in a way that can be differentiated again: through the reference."""
    text, drawn, reverse, record = ctx.options
    recipe = recipe_of(text, drawn)
    step, batch = recipe.step, given[0].shape[1]
    count = len(step.inputs)
    result = reference.run(
        step,
        Weights.of(_by_name(recipe, weights)),
        tuple(given[:count]),
        tuple(state),
        lengths=ctx.lengths,
        restart=ctx.restart,
        initial=tuple(initial) or None,
        reverse=reverse,
        draws=dict(zip(step.draws, given[count:], strict=True)) if drawn else None,
        record=tuple(record.split()),
    )
    recorded = [result.recorded[name] for name in record.split()]
    if grad_output is not None and ctx.lengths is None:
        grad_output = grad_output[2 * batch :, : state[0].shape[1]].reshape(result.output.shape)
    pairs = [
        (one, grad)
        for one, grad in zip((result.output, *result.state, *recorded), (grad_output, *grad_others), strict=True)
        if grad is not None and one.requires_grad
    ]
    everything = [*given, *state, *weights, *initial]
    asked = [one for one, wanted in zip(everything, needed, strict=True) if wanted]
    found = iter(
        torch.autograd.grad(
            [one for one, _ in pairs], asked, [grad for _, grad in pairs], create_graph=True, allow_unused=True
        )
    )
    results = []
    for one, wanted in zip(everything, needed, strict=True):
        grad = next(found) if wanted else None
        results.append(torch.zeros_like(one) if grad is None else grad)
    return results


torch.library.register_autograd("gatework::forward", _differentiate, setup_context=_remember)
