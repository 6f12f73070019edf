"""Run a step with the memory of a few states: save them at checkpoints, and run from each checkpoint again.

Time is cut into about as many stretches as each has steps. The forward pass saves only the states before each stretch.
The backward pass takes the stretches in the opposite order. It runs a stretch forward once more, now with its states
saved, and then its adjoint (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", section 4; for recurrent
networks Gruslys et al. 2016, "Memory-Efficient Backpropagation Through Time").

A stretch consists of whole chunks of the adjoint. So the gradients of parameters are added up in the same order as
without checkpoints, and all gradients are equal bit for bit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.cpu import execute
from gatework.kernels.cpu.adjoint import Restarted, deepest
from gatework.kernels.cpu.layout import Layout, sorted_rows
from gatework.kernels.cpu.passes import BackwardPass, Given, Tensors, as_the_caller_has_them, clear, lines_of, sized_for
from gatework.kernels.cpu.rows import count_rows, cut
from gatework.kernels.planning.spec import Spec


class Stretch(NamedTuple):
    """The steps between two checkpoints.

    Args:
        begin: The first step.
        end: The one after the last.
        where: The steps on the first axis of the caller's tensors: ``begin`` and ``end``, or flat rows if the batch is
            packed.
    """

    begin: int
    end: int
    where: slice


def most(steps: int) -> int:
    """Return the most stretches that a sequence of T steps is cut into. T may be a symbol of torch's compiler."""
    root: Any = math.isqrt(steps) if isinstance(steps, int) else torch.sym_int(torch.sym_sqrt(steps))
    return root + 1


class Stretches:
    """A whole sequence, cut into stretches.

    Args:
        run: The run.
        given: The arguments for the whole sequence.
    """

    def __init__(self, run: Spec, given: Given) -> None:
        self.run, self.whole = run, given
        lead, batch, lengths = given.inputs[0].shape[:-1], given.state[0].shape[0], given.lengths
        packed = len(lead) == 1
        steps = int(lengths.max()) if packed and lengths is not None else lead[0]
        self.order = None if packed or lengths is None else sorted_rows(lengths)
        counts = np.full(steps, batch, np.int64) if lengths is None else count_rows(lengths.numpy(), steps)
        places = np.concatenate([[0], np.cumsum(counts)]) if packed else range(steps + 1)
        stretches = [
            Stretch(begin, end, slice(int(places[begin]), int(places[end])))
            for begin, end in pairwise(_bounds(counts, run.reverse, batch))
        ]
        self.in_turn = stretches[::-1] if run.reverse else stretches  # as the step runs
        self.usual = max(end - begin for begin, end, _ in stretches)  # the steps of most stretches of even rows

    def part(self, stretch: Stretch, state: Tensors) -> tuple[Given, Layout]:
        """Return the arguments for a stretch, and their layout.

        Args:
            stretch: The stretch.
            state: The states before it, [B, size] each.
        """
        whole, (begin, end, where) = self.whole, stretch
        given = whole._replace(
            inputs=[one[where] for one in whole.inputs],
            state=state,
            lengths=None if whole.lengths is None else (whole.lengths - begin).clamp(0, end - begin),
            restart=None if whole.restart is None else whole.restart[begin:end],
        )
        layout = given.layout(self.run, self.order)
        if end - begin != self.usual:  # no other stretch can use its workspaces, so they are not held
            layout.rows = replace(layout.rows, even=False)
        return given, layout


def count(steps: int, batch: int) -> int:
    """Count the stretches of a batch whose rows all have T steps."""
    return len(_bounds(np.full(steps, batch, np.int64), False, batch)) - 1


def _bounds(counts: NDArray[np.int64], reverse: bool, batch: int) -> list[int]:
    """Return the first step of each stretch, and T.

    Args:
        counts: The number of rows at each step, [T].
        reverse: Whether time runs from the last step to the first.
        batch: B.
    """
    steps, times = len(counts), np.stack([np.cumsum(counts) - counts, counts], 1)
    least, found = 1 + math.isqrt(steps - 1), [0]
    for _, end, *_ in cut(times if reverse else times[::-1], max(deepest(True), batch)):
        if end - found[-1] >= least or end == steps:
            found.append(end)
    return found if reverse else [steps - end for end in reversed(found)]


def forward(run: Spec, given: Given, apart: bool) -> list[Tensor]:
    """Run a step and save its states at the checkpoints.

    Args:
        run: The run.
        given: Its arguments.
        apart: Whether the shapes of the results may depend on the shapes of the arguments alone.

    Returns:
        The results of the operator ``forward``; the saved tensors are the states before each stretch, [stretches, B,
        size] each.
    """
    stretches = Stretches(run, given)
    known, lead = sized_for("inference", run, given), given.inputs[0].shape[:-1]
    whole = [given.state[0].new_empty(*lead, known.size(name)) for name in (run.states[0], *run.recipe.record)]
    room = most(lead[0]) if apart else len(stretches.in_turn)
    kept = [one.new_zeros(room, *one.shape) for one in given.state]
    state = given.state
    for number, stretch in enumerate(stretches.in_turn):
        for checkpoints, one in zip(kept, state, strict=True):
            checkpoints[number] = one
        state = _run(stretches, stretch, state, whole)
    return [whole[0], *state, *whole[1:], *kept]


def _run(stretches: Stretches, stretch: Stretch, state: Tensors, whole: Tensors) -> Tensors:
    """Run a stretch forward and write its output and recorded values into those of the whole. Return its last states.

    The memory of a stretch is free when this function returns, so that no two stretches have theirs at once.
    """
    run, (part, layout) = stretches.run, stretches.part(stretch, state)
    known = sized_for("inference", run, part)
    # All states are in one block of memory, as in the backward pass, which then takes the same block.
    batch = part.batch(run, layout)
    kept = execute.forward(known, batch, part.start(run, layout), lines_of(run), True, ())
    clear(run, batch, kept)
    output, *rest = as_the_caller_has_them(run, known, layout, kept, True)
    last, recorded = rest[: len(state)], rest[len(state) : len(state) + len(whole) - 1]
    for values, one in zip(whole, (output, *recorded), strict=True):
        values[stretch.where] = one
    return last


def backward(adjoint: BackwardPass, kept: Tensors, grads: Sequence[Tensor | None]) -> list[Tensor]:
    """Run the adjoint, each stretch after its forward pass was run again.

    Args:
        adjoint: The backward pass.
        kept: What :func:`forward` saved.
        grads: The gradients of the output, the last states and the recorded names; None for zero.

    Returns:
        The results of the operator ``backward``.
    """
    run, given, count = adjoint.run, adjoint.given, len(adjoint.run.states)
    stretches = Stretches(run, given)
    inputs = {
        name: one.new_empty(one.shape)
        for name, one in zip(run.sequences, given.inputs, strict=True)
        if name in adjoint.asked
    }
    state: list[Any] = [*grads[1 : 1 + count]]
    restarted: dict[int, Mapping[str, Restarted]] = {}
    for number, stretch in reversed(list(enumerate(stretches.in_turn))):
        arriving = [None if one is None else one[stretch.where] for one in (grads[0], *grads[1 + count :])]
        start = [one[number] for one in kept]
        grads_here = [arriving[0], *state, *arriving[1:]]
        before, again = _run_back(adjoint, stretches, stretch, (start, grads_here), inputs)
        state = [*before]
        if given.initial:
            restarted[stretch.begin] = again
    initial = adjoint.initial([restarted[begin] for begin in sorted(restarted)])
    sequences = [inputs.get(name, one) for name, one in zip(run.sequences, given.inputs, strict=True)]
    return [*sequences, *state, *adjoint.weights(stretches.order), *initial]


def _run_back(
    adjoint: BackwardPass,
    stretches: Stretches,
    stretch: Stretch,
    given: tuple[Tensors, Sequence[Tensor | None]],
    inputs: Mapping[str, Tensor],
) -> tuple[Tensors, Mapping[str, Restarted]]:
    """Run a stretch forward once more, then its adjoint. As in :func:`_run`, its memory is then free.

    Args:
        adjoint: The backward pass.
        stretches: All stretches.
        stretch: The stretch.
        given: The states before it, and the gradients of its output, last states and recorded names.
        inputs: The gradients of the whole inputs, of which this function writes those of the stretch.

    Returns:
        The gradients of the states before it, and those at its restarts.
    """
    run, (state, grads) = adjoint.run, given
    part, layout = stretches.part(stretch, state)
    batch, known = part.batch(run, layout), sized_for("inference", run, part)
    saved = execute.forward(known, batch, part.start(run, layout), (), True, ())
    found = adjoint.over(batch, layout, saved, grads)
    for name, whole in inputs.items():
        whole[stretch.where] = layout.give_back(found.inputs[name]) if name in found.inputs else 0
    return [layout.give_back_state(found.state[name]) for name in run.states], found.initial
