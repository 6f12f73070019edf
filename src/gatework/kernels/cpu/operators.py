"""The code of the operators of :mod:`gatework.kernels.schema` for the CPU, and the shapes of their results.

``gatework::forward`` runs a step over a whole sequence, ``gatework::backward`` its adjoint.

The forward operator returns the output [T, B, size], the last states and the recorded values, all in the caller's form.
If a gradient will be needed, the saved tensors follow. They are laid out for the kernels, and only the backward
operator reads them. The output shares no memory with them, so it may be changed in place. Only if ``keep``
is ``small``, it may be a view of them, which torch refuses to change.
"""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gatework.kernels.cpu.adjoint import Backward, Gradients
from gatework.kernels.cpu.execute import Kept, KernelInputs, Start, forward, last_states
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.cpu.layout import Layout
from gatework.kernels.cpu.rows import Rows
from gatework.kernels.cpu.workspace import Sized, sized
from gatework.kernels.planning.recipe import Recipe
from gatework.kernels.planning.spec import Spec, extent_name, read_spec
from gatework.kernels.reference.arithmetic import upper_blocks

Tensors = Sequence[Tensor]


class Given(NamedTuple):
    """The first arguments of both operators, in their order.

    Args:
        spec: The run, as :func:`gatework.kernels.planning.spec.write_spec` writes it.
        inputs: The inputs and the masks that are drawn, [T, B, size] each, or packed.
        inputs: The inputs and the drawn masks, [T, B, size] each, or packed.
        weights: The tensors that hold the parameters.
        weights: The tensors of the parameters.
        lengths: The number of steps of each row; None if all rows have T steps.
        restart: Where rows restart, bool [T, B]; None if none does.
    """

    spec: str
    inputs: Tensors
    state: Tensors
    weights: Tensors
    lengths: Tensor | None
    restart: Tensor | None
    initial: Tensors

    def layout(self, run: Spec) -> Layout:
        """Return the kernels' layout of the batch."""
        return Layout(self.inputs[0].shape[:-1], self.state[0].shape[0], run.reverse, self.lengths, self.restart)

    def batch(self, run: Spec, layout: Layout) -> KernelInputs:
        """Return the arguments that both passes read by name, in the layout of the kernels."""
        held, step = run.by_name([one.detach() for one in self.weights]), run.recipe.step
        return KernelInputs(
            layout.rows,
            layout.room,
            held,
            dict(zip(run.sequences, map(layout.sequence, self.inputs), strict=True)),
            {name: layout.state(held[name]) for name in step.banks},
            {place: layout.state(held[extent_name(place)]) for place in step.places},
        )

    def start(self, run: Spec, layout: Layout) -> Start:
        """Return the states that rows start from, in the layout of the kernels."""
        return Start(
            dict(zip(run.states, map(layout.state, self.state), strict=True)),
            dict(zip(run.states, map(layout.state, self.initial), strict=True)) if self.initial else None,
        )


def _sized(which: str, run: Spec, given: Given, recipe: Recipe | None = None) -> Sized:
    """Return the kernel of one of a recipe's plans for these tensors' sizes and type."""
    recipe = recipe or run.recipe
    inputs, state, weights = given.inputs, given.state, given.weights
    # These checks come before kernels read memory by its address. Sizes are ints even if shapes are symbols.
    key = (
        which,
        recipe.unseen,
        state[0].dtype,
        *[int(one.shape[-1]) for one in (*inputs, *state)],
        *[(one.dtype, one.device.type, *map(int, one.shape)) for one in weights],
    )
    known = run.known.get(key)
    if not isinstance(known, Sized):
        sizes = run.sizes(inputs, state, weights)
        dtype = "float32" if state[0].dtype == torch.float32 else "float64"
        known = run.known[key] = sized(kernel_for(getattr(recipe, which), dtype), sizes)
    return known


def _forward_plan(run: Spec) -> str:
    return "training" if run.keep == "fast" else "inference"


def forward_shapes(*arguments: Any) -> list[Tensor]:
    """Return tensors with the shapes of the results of ``forward``."""
    given = Given(*arguments)
    run = read_spec(given.spec)
    known = _sized(_forward_plan(run), run, given)
    lead, like = given.inputs[0].shape[:-1], given.state[0]
    room = prod(lead)  # Size.numel() would fix sizes that are symbols
    store = 2 * like.shape[0] + room
    results = [like.new_empty(*lead, like.shape[-1])]
    results += [torch.empty_like(one, memory_format=torch.contiguous_format) for one in given.state]
    results += [like.new_empty(*lead, known.size(name)) for name in run.recipe.record]
    if run.keep != "nothing":
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
    known = _sized(_forward_plan(run), run, given)
    layout, states = given.layout(run), run.states
    wanted = run.saved or tuple(name for name in run.recipe.record if name not in states)
    # The caller may change the output, and the backward pass reads the saved store. A copy costs the same memory for
    # either of them. So if memory is short the output is a view, which torch refuses to change.
    shared = run.keep != "fast" and not apart
    alone = (*states, *wanted) if apart else states[:1] if shared else ()
    batch, start = given.batch(run, layout), given.start(run, layout)
    kept = forward(known, batch, start, wanted, run.keeps_states, alone)
    for name in run.recipe.record:
        if run.recipe.step.is_bare(name):
            _clear(kept.saved[name], layout.rows, batch.extents[run.recipe.step.positions[name]])
    return _as_the_caller_has_them(run, known, layout, kept, shared)


run_apart = partial(run_forward, apart=True)  # the form that torch's registry of operators needs


def _as_the_caller_has_them(run: Spec, known: Sized, layout: Layout, kept: Kept, shared: bool) -> list[Tensor]:
    """Return the results of ``forward``. Its output is a view of the saved store if it may be ``shared``."""
    rows, states, first = layout.rows, run.states, 2 * layout.batch
    output = _part(kept.states[states[0]], first, rows.flat, known.size(states[0]))
    last = last_states(kept, rows, run.keeps_states, {name: known.size(name) for name in states})
    results = [layout.give_back(output, not shared), *(layout.give_back_state(last[name]) for name in states)]
    for name in run.recipe.record:
        whole, start = (kept.states[name], first) if name in states else (kept.saved[name], 0)
        values = _part(whole, start, rows.flat, known.size(name)).expand(-1, known.size(name))
        results.append(layout.give_back(values, own=True))
    if run.keep != "nothing":
        results += [kept.states[name] for name in states]
        results += [kept.saved[name] for name in run.saved]
    return results


def _clear(numbers: Tensor, rows: Rows, extents: Tensor) -> None:
    """Set numbers at positions that a row does not have to zero."""
    steps = np.repeat(np.arange(len(rows.counts)), rows.counts)
    row = torch.from_numpy(np.arange(rows.flat) - rows.offsets[steps])
    beyond = torch.arange(numbers.shape[1], device="cpu") >= extents[row][:, None]
    numbers[: rows.flat].masked_fill_(beyond, 0)


def _part(store: Tensor, first: int, count: int, size: int) -> Tensor:
    return store[first : first + count, :size]


def run_backward(*arguments: Any) -> list[Tensor]:
    """Run an adjoint; see the module. Arguments and results are those of the operator ``backward``."""
    given, (kept, grads, needed) = Given(*arguments[:7]), arguments[7:]
    run = read_spec(given.spec)
    names = (run.states[0], *run.states, *run.recipe.record)
    recipe = run.recipe.seeing(frozenset(name for name, grad in zip(names, grads, strict=True) if grad is not None))
    known = _sized("backward", run, given, recipe)
    replay = _sized("replay", run, given) if run.keep == "small" else None
    layout, states, count = given.layout(run), run.states, len(run.states)
    first = len(given.inputs) + count
    stacks = [
        torch.zeros_like(one, memory_format=torch.contiguous_format) if wanted else None
        for one, wanted in zip(given.weights, needed[first : first + len(given.weights)], strict=True)
    ]
    into = _by_name(run, stacks)
    banks = {name: into.pop(name) for name in run.recipe.step.banks if name in into}
    for place in run.recipe.step.places:
        into.pop(extent_name(place), None)
    gradients = Backward(
        recipe,
        known,
        replay,
        given.batch(run, layout),
        Kept(dict(zip(states, kept, strict=False)), dict(zip(run.saved, kept[count:], strict=True))),
    ).run(
        _arriving(run, recipe, known, layout, grads, given.state[0]),
        {
            name: None if grad is None else layout.state(grad)
            for name, grad in zip(states, grads[1 : 1 + count], strict=True)
        },
        frozenset(name for name, wanted in zip(run.sequences, needed, strict=False) if wanted),
        into,
    )
    for parameter in run.recipe.step.parameters:
        if parameter.structure == "block_upper" and parameter.name in into:
            into[parameter.name].copy_(upper_blocks(into[parameter.name], parameter.blocks))
    for name, stack in banks.items():
        stack.copy_(layout.give_back_state(gradients.banks[name].reshape(stack.shape)))
    results = _given_back(run, given, layout, gradients, stacks)
    return [one if wanted else one.new_empty(0) for one, wanted in zip(results, needed, strict=True)]


def _by_name(run: Spec, stacks: list[Tensor | None]) -> dict[str, Tensor]:
    """Return the needed gradients of parameters, each as a view of the tensor that holds it."""
    views: dict[str, Tensor] = {}
    for names, stack in zip(run.layout, stacks, strict=True):
        if stack is not None:
            views |= zip(names, stack.chunk(len(names)), strict=True)
    return views


def _arriving(
    run: Spec, recipe: Recipe, known: Sized, layout: Layout, grads: Sequence[Tensor | None], like: Tensor
) -> dict[str, Tensor]:
    """Collect the gradients of every step, as flat rows."""
    arriving: dict[str, Tensor] = {}
    recorded = grads[1 + len(run.states) :]
    for name, grad in zip((run.states[0], *run.recipe.record), (grads[0], *recorded), strict=True):
        if grad is not None:
            rows = layout.sequence(grad)
            arriving[name] = rows if name not in arriving else arriving[name] + rows  # the output may be recorded too
    for name, adjoint in recipe.adjoint.grad.items():
        if name not in arriving:
            arriving[name] = like.new_zeros(layout.rows.flat, known.size(adjoint))
    return arriving


def _given_back(
    run: Spec, given: Given, layout: Layout, gradients: Gradients, stacks: list[Tensor | None]
) -> list[Tensor]:
    """Return the gradients of everything that the forward operator took, in its order."""
    results = [
        layout.give_back(gradients.inputs[name]) if name in gradients.inputs else torch.zeros_like(one)
        for name, one in zip(run.sequences, given.inputs, strict=True)
    ]
    results += [layout.give_back_state(gradients.state[name]) for name in run.states]
    results += [one.new_empty(0) if stack is None else stack for one, stack in zip(given.weights, stacks, strict=True)]
    for name, one in zip(run.states, given.initial, strict=False):
        grad = gradients.initial.get(name)
        results.append(torch.zeros_like(one) if grad is None else layout.give_back_state(grad))
    return results
