"""One pass of a step over a layout of a batch, forward or backward, on the caller's tensors.

The operators of :mod:`gatework.kernels.cpu.operators` run one pass over the whole sequence, or one over each stretch of
it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gatework.kernels.cpu.adjoint import Backward, Gradients, Restarted, Totals
from gatework.kernels.cpu.execute import Kept, KernelInputs, Start, forward, last_states
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.cpu.layout import Layout, unsorted
from gatework.kernels.cpu.rows import Rows
from gatework.kernels.cpu.workspace import Sized, sized
from gatework.kernels.planning.recipe import Recipe
from gatework.kernels.planning.spec import Spec, extent_name
from gatework.kernels.reference.arithmetic import upper_blocks

Tensors = Sequence[Tensor]


class Given(NamedTuple):
    """The first arguments of both operators, in their order.

    Args:
        spec: The run, as :func:`gatework.kernels.planning.spec.write_spec` writes it.
        inputs: The inputs and the drawn masks, [T, B, size] each, or packed.
        state: The states before the first step, [B, size] each.
        weights: The tensors of the parameters.
        lengths: The number of steps of each row; None if all rows have T steps.
        restart: Where rows restart, bool [T, B]; None if none does.
        initial: The states that rows restart from, [B, size] each; empty for zeros.
    """

    spec: str
    inputs: Tensors
    state: Tensors
    weights: Tensors
    lengths: Tensor | None
    restart: Tensor | None
    initial: Tensors

    def layout(self, run: Spec, order: Tensor | None = None) -> Layout:
        """Return the kernels' layout of the batch; for ``order``, see :class:`Layout`."""
        lead, batch = self.inputs[0].shape[:-1], self.state[0].shape[0]
        return Layout(lead, batch, run.reverse, self.lengths, self.restart, order)

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


def sized_for(which: str, run: Spec, given: Given, recipe: Recipe | None = None) -> Sized:
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


def forward_plan(run: Spec) -> str:
    """Name the plan of a forward pass."""
    return "training" if run.keep == "fast" else "inference"


def forward_pass(run: Spec, given: Given, layout: Layout, apart: bool) -> list[Tensor]:
    """Run a step.

    Args:
        run: The run.
        given: Its arguments.
        layout: Their layout.
        apart: Whether each result must be in memory of its own. If not, the saved tensors share memory that is used
            again.

    Returns:
        The results of the operator ``forward``.
    """
    known, states = sized_for(forward_plan(run), run, given), run.states
    wanted = run.saved or lines_of(run)
    # The caller may change the output, and the backward pass reads the saved store. A copy costs the same memory for
    # either of them. So if memory is short the output is a view, which torch refuses to change.
    shared = run.keep != "fast" and not apart
    alone = (*states, *wanted) if apart else states[:1] if shared else ()
    batch, start = given.batch(run, layout), given.start(run, layout)
    kept = forward(known, batch, start, wanted, run.keeps_states, alone)
    clear(run, batch, kept)
    return as_the_caller_has_them(run, known, layout, kept, shared)


def lines_of(run: Spec) -> tuple[str, ...]:
    """Name the recorded values that are not states."""
    return tuple(name for name in run.recipe.record if name not in run.states)


def as_the_caller_has_them(run: Spec, known: Sized, layout: Layout, kept: Kept, shared: bool) -> list[Tensor]:
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


def clear(run: Spec, batch: KernelInputs, kept: Kept) -> None:
    """Set recorded numbers at positions of a memory that a row does not have to zero."""
    for name in run.recipe.record:
        if run.recipe.step.is_bare(name):
            _clear(kept.saved[name], batch.rows, batch.extents[run.recipe.step.positions[name]])


def _clear(numbers: Tensor, rows: Rows, extents: Tensor) -> None:
    steps = np.repeat(np.arange(len(rows.counts)), rows.counts)
    row = torch.from_numpy(np.arange(rows.flat) - rows.offsets[steps])
    beyond = torch.arange(numbers.shape[1], device="cpu") >= extents[row][:, None]
    numbers[: rows.flat].masked_fill_(beyond, 0)


def _part(store: Tensor, first: int, count: int, size: int) -> Tensor:
    return store[first : first + count, :size]


class BackwardPass:
    """A backward pass: what it is asked for, and the gradients of parameters that it adds up.

    Args:
        run: The run.
        given: The arguments of the forward operator.
        seen: For the output, each last state and each recorded name, whether it has a gradient.
        needed: For each tensor of the arguments, whether its gradient is needed.
    """

    def __init__(self, run: Spec, given: Given, seen: Sequence[bool], needed: Sequence[bool]) -> None:
        self.run, self.given = run, given
        names = (run.states[0], *run.states, *run.recipe.record)
        self.recipe = run.recipe.seeing(frozenset(name for name, flag in zip(names, seen, strict=True) if flag))
        self.known = sized_for("backward", run, given, self.recipe)
        self.replay = sized_for("replay", run, given) if run.replays else None
        self.asked = frozenset(name for name, wanted in zip(run.sequences, needed, strict=False) if wanted)
        first = len(given.inputs) + len(given.state)
        self.stacks = [
            torch.zeros_like(one, memory_format=torch.contiguous_format) if wanted else None
            for one, wanted in zip(given.weights, needed[first : first + len(given.weights)], strict=True)
        ]
        self.into = _by_name(run, self.stacks)
        self.banks = {name: self.into.pop(name) for name in run.recipe.step.banks if name in self.into}
        for place in run.recipe.step.places:
            self.into.pop(extent_name(place), None)
        self.totals = Totals()  # the sums of all passes so far, added to the gradients at the end

    def over(self, batch: KernelInputs, layout: Layout, kept: Kept, grads: Sequence[Tensor | None]) -> Gradients:
        """Run the adjoint over a layout, and add up the gradients of parameters.

        Args:
            batch: The batch of the forward pass over this layout.
            layout: The layout.
            kept: What that pass saved.
            grads: The gradients of the output, the last states and the recorded names; None for zero.

        Returns:
            The gradients, without those of parameters. The rows of restarts are those of the caller.
        """
        run, count = self.run, len(self.run.states)
        found = Backward(self.recipe, self.known, self.replay, batch, kept).run(
            _arriving(run, self.recipe, self.known, layout, grads, self.given.state[0]),
            {
                name: None if grad is None else layout.state(grad)
                for name, grad in zip(run.states, grads[1 : 1 + count], strict=True)
            },
            self.asked,
            self.into,
            self.totals,
        )
        if layout.order is not None:
            for name, (values, rows) in found.initial.items():
                found.initial[name] = Restarted(values, layout.order[rows])
        return found

    def initial(self, parts: Sequence[Mapping[str, Restarted]]) -> Tensors:
        """Return the gradients of the states that rows restart from, [B, size] each; empty if these are zeros.

        Args:
            parts: For each pass, the gradients at its restarts, the earliest steps first.
        """
        results = []
        for name, one in zip(self.run.states, self.given.initial, strict=False):
            found = [part[name] for part in parts if name in part]
            total = torch.zeros_like(one, memory_format=torch.contiguous_format)
            if found:  # one sum, so that its order does not depend on the number of passes
                values, rows = (torch.cat(parts) for parts in zip(*found, strict=True))
                total.index_add_(0, rows, values)
            results.append(total)
        return results

    def weights(self, order: Tensor | None) -> Tensors:
        """Return the gradients of the tensors of parameters and banks, once all passes have added theirs.

        Args:
            order: The order of the rows in the layouts.

        Returns:
            One for each tensor; empty if it is not needed.
        """
        for name, grad in self.recipe.adjoint.gradients.items():
            if name in self.into and grad in self.totals.columns:
                self.into[name] += self.totals.columns[grad][: self.known.size(grad)]
        for parameter in self.run.recipe.step.parameters:
            if parameter.structure == "block_upper" and parameter.name in self.into:
                whole = self.into[parameter.name]
                whole.copy_(upper_blocks(whole, parameter.blocks))
        for name, stack in self.banks.items():
            found = self.totals.banks[name][:, : stack.shape[-1]]
            stack.copy_(unsorted(found.reshape(stack.shape), order))
        pairs = zip(self.given.weights, self.stacks, strict=True)
        return [one.new_empty(0) if stack is None else stack for one, stack in pairs]


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
