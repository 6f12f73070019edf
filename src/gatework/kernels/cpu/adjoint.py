"""Run an adjoint's kernel: back through time, and the gradients of the parameters chunk by chunk."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gatework.kernels.cpu.execute import Kept, Runner, Sizes
from gatework.kernels.cpu.outers import Outers
from gatework.kernels.cpu.rows import Rows
from gatework.kernels.recipe import Recipe

DEEPEST = 512  # steps and rows that are summed over at once: what a panel of that depth holds stays in the cache


@dataclass
class Gradients:
    """What a backward pass gives.

    Args:
        inputs: For each input a gradient reaches, its gradient [flat rows, size].
        state: For each state, the gradient of its value before the first step [B, size].
        initial: For each state, the sum of the gradients where a row starts anew [B, size]; empty without restarts.
        weights: For each parameter a gradient reaches, its gradient.
    """

    inputs: dict[str, Tensor] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    initial: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)


def backward(
    sized: Sizes,
    recipe: Recipe,
    rows: Rows,
    weights: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    kept: Kept,
    grads: Mapping[str, Tensor],
    grad_state: Mapping[str, Tensor | None],
    asked: frozenset[str],
) -> Gradients:
    """Run the adjoint of a forward pass.

    Args:
        sized: The adjoint's kernel for its sizes.
        recipe: The recipe both are from.
        rows: The rows of the batch.
        weights: The parameters by name.
        inputs: As in the forward pass.
        kept: What the forward pass kept.
        grads: For the output and what was recorded, the gradient [flat rows, size].
        grad_state: For each state, the gradient of its last value [B, size]; None for zero.
        asked: Inputs and parameters whose gradients are wanted.

    Returns:
        The gradients.
    """
    return _Backward(sized, recipe, rows, weights, kept, asked).go(inputs, grads, grad_state)


class _Backward:
    def __init__(
        self,
        sized: Sizes,
        recipe: Recipe,
        rows: Rows,
        weights: Mapping[str, Tensor],
        kept: Kept,
        asked: frozenset[str],
    ) -> None:
        self.recipe = recipe
        self.rows = rows
        self.kept = kept
        self.weights = weights
        like = next(iter(kept.states.values()))
        self.run = Runner(sized, rows, weights, like)
        self.sized, self.plan, self.table = sized, self.run.plan, self.run.table
        names = recipe.adjoint.gradients
        self.wanted = {names[name]: name for name in asked if name in names}  # name of a gradient -> of what
        self.result = Gradients()

    def go(
        self, inputs: Mapping[str, Tensor], grads: Mapping[str, Tensor], grad_state: Mapping[str, Tensor | None]
    ) -> Gradients:
        run, table, rows = self.run, self.table, self.rows
        self._given(inputs, grads)
        states = self._states(grad_state)
        outputs = {name: run.empty(rows.flat, name) for name in self.plan.step.outputs if self._is_sequence(name)}
        for name, tensor in outputs.items():
            table.point(name, tensor)
        chunks = list(run.chunks(max(DEEPEST, rows.batch), backward=True))
        longest = max((stop - start for *_, start, stop in chunks), default=1)
        run.temporaries(longest)
        passing = [name for name, home in self.plan.homes.items() if home == "sequence" and name not in outputs]
        rooms = {name: run.empty(longest, name) for name in passing}
        for name, home in self.plan.homes.items():
            if home == "scalar" and name not in self.kept.saved:
                table.point(name, run.empty(rows.flat, name))
        columns = self._columns()
        outers = Outers(run, [(name, terms) for name, terms in self.plan.outers if name in self.wanted], longest)
        times = np.ascontiguousarray(rows.times[::-1])
        table.kept.append(times)
        stages = list(enumerate(self.plan.stages))
        before = [number for number, stage in stages if stage.phase == "before"]
        after = [number for number, stage in stages if stage.phase == "after" and self._needed(number)]
        for begin, end, start, stop in chunks:
            for name, room in rooms.items():
                table.point(name, room, start)
            table.set("begin", start)
            table.set("end", stop)
            for number in before:
                table.run(f"flat_{number}", run.threads)
            table.set("times", times.ctypes.data + 16 * begin)
            table.set("steps", end - begin)
            table.run("each", run.threads)
            for number in after:
                table.run(f"flat_{number}", run.threads)
            for number, part in enumerate(self.plan.columns):
                if any(name in self.wanted for name, _ in part.sums):
                    table.run(f"columns_{number}", run.threads)
            outers.add(start, stop)
        self._collect(states, outputs, columns, outers)
        return self.result

    def _is_sequence(self, name: str) -> bool:
        return self.plan.homes.get(name) == "sequence"

    def _needed(self, number: int) -> bool:
        """Say whether a stage after the loop makes anything that was asked for."""
        stage = self.plan.stages[number]
        made = {*stage.stores, *(name for part in stage.moments for name in (part.mean, part.rstd) if name)}
        outputs = set(self.plan.step.outputs)
        return any(name in self.wanted or name not in outputs for name in made)

    def _given(self, inputs: Mapping[str, Tensor], grads: Mapping[str, Tensor]) -> None:
        """Give the adjoint what the forward pass read and made."""
        rows, table, adjoint = self.rows, self.table, self.recipe.adjoint
        reads = set(self.plan.step.inputs)  # by the code, or by products over time
        for name, sequence in inputs.items():
            if name in reads:
                self.run.given(name, sequence)
        for name, sequence in self.kept.saved.items():
            if name in reads:
                table.point(name, sequence)
        for name, store in self.kept.states.items():
            if name in reads:
                table.point(name, store[2 * rows.batch :])
            if adjoint.last[name] in reads:
                table.point(adjoint.last[name], store)
                table.found_by(adjoint.last[name], rows.kept.before)
        for of, name in adjoint.grad.items():
            if name in reads:
                self.run.given(name, grads[of])

    def _states(self, grad_state: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Make the stores of the states, which begin with the gradients of the final states."""
        rows, table, states = self.rows, self.table, {}
        for name, back in self.recipe.adjoint.back.items():
            store = self.run.empty(rows.back.rows, back)
            given = grad_state.get(name)
            store[: 2 * rows.batch] = 0
            if given is not None:
                store[: rows.batch, : given.shape[1]] = given
            table.point(back, store)
            table.index(f"here:{back}", rows.back.here)
            table.index(f"before:{back}", rows.back.before)
            states[name] = store
        return states

    def _columns(self) -> dict[str, Tensor]:
        """Make room for the sums over time and batch."""
        found = {}
        for part in self.plan.columns:
            for name, _ in part.sums:
                found[name] = self.run.like.new_zeros(self.sized.width(name))
                self.table.set(f"base:{name}", found[name].data_ptr())
        return found

    def _collect(
        self, states: dict[str, Tensor], outputs: dict[str, Tensor], columns: dict[str, Tensor], outers: Outers
    ) -> None:
        rows, result = self.rows, self.result
        matrices = outers.finish()
        final = torch.from_numpy(rows.back.final).long()
        for name, store in states.items():
            size = self.sized.size(self.recipe.adjoint.back[name])
            result.state[name] = store[final, :size]
            if len(rows.restarts[0]):
                sinks = store[torch.from_numpy(rows.back.sinks).long(), :size]
                room = store.new_zeros(rows.batch, size)
                result.initial[name] = room.index_add_(0, torch.from_numpy(rows.restarts[1]).long(), sinks)
        for gradient, name in self.wanted.items():
            if gradient in outputs:
                result.inputs[name] = outputs[gradient][:, : self.sized.size(gradient)]
            elif gradient in columns:
                result.weights[name] = columns[gradient][: self.sized.size(gradient)]
            else:
                result.weights[name] = matrices[gradient]
