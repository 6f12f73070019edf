"""Run an adjoint's kernel: backwards in time, with the gradients of the parameters chunk by chunk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from gatework.kernels.cpu.execute import Kept, KernelInputs
from gatework.kernels.cpu.outers import Outers
from gatework.kernels.cpu.workspace import Sized, Workspace, put_back, take
from gatework.kernels.planning.recipe import Recipe

DEEPEST = 512  # steps and rows summed at once: a panel of this depth stays in the cache


def deepest(replayed: bool) -> int:
    """Return how many flat rows a chunk has at most, unless one step has more.

    Args:
        replayed: Whether the backward pass recomputes what the forward pass did not save. With little memory, the
            memory for a chunk matters too.
    """
    return DEEPEST // 2 if replayed else DEEPEST


class Restarted(NamedTuple):
    """The gradients of the values from which rows restart, for one state.

    Args:
        values: The gradient at each restart, in the order of the flat rows, [restarts, size].
        rows: The row of the batch of each restart, [restarts].
    """

    values: Tensor
    rows: Tensor


@dataclass
class Gradients:
    """The gradients from a backward pass, without those of parameters.

    Args:
        inputs: For each input with a gradient, its gradient [flat rows, size].
        state: For each state, the gradient of its value before the first step [B, size].
        initial: For each state, the gradients at restarts; empty without restarts.
    """

    inputs: dict[str, Tensor] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    initial: dict[str, Restarted] = field(default_factory=dict)


@dataclass
class Totals:
    """Sums over time. Each pass adds to what they hold, because sums of passes would be rounded differently.

    Args:
        columns: The sums over time and batch, by the adjoint's names, padded.
        banks: For each bank, its gradient [B * L, size], or [B, L] with one number at each position; padded.
    """

    columns: dict[str, Tensor] = field(default_factory=dict)
    banks: dict[str, Tensor] = field(default_factory=dict)


class Backward:
    """One backward pass.

    Args:
        recipe: The recipe of both passes.
        sized: The adjoint's kernel for its sizes.
        replay: The kernel that recomputes what the forward pass did not save; None if it saved everything.
        batch: The batch, as in the forward pass.
        kept: What the forward pass saved.
    """

    def __init__(self, recipe: Recipe, sized: Sized, replay: Sized | None, batch: KernelInputs, kept: Kept) -> None:
        self.recipe, self.sized, self.rows, self.kept = recipe, sized, batch.rows, kept
        self.weights, self.inputs, rows = batch.weights, batch.inputs, batch.rows
        self.banks, self.extents = batch.banks, batch.extents
        self.plan = sized.kernel.plan
        self.dtype = next(iter(kept.states.values())).dtype
        self.outputs = tuple(name for name in self.plan.step.outputs if self.plan.homes.get(name) == "sequence")
        depth = deepest(replay is not None)
        self.work = take(sized, rows, self.dtype, depth, True, self.outputs)
        self.replay = None if replay is None else take(replay, rows, self.dtype, depth, True, ())

    def run(
        self,
        grads: Mapping[str, Tensor],
        grad_state: Mapping[str, Tensor | None],
        asked: frozenset[str],
        into: Mapping[str, Tensor],
        totals: Totals,
    ) -> Gradients:
        """Run the backward pass.

        Args:
            grads: For the output and each recorded name, the gradient [flat rows, size].
            grad_state: For each state, the gradient of its last value [B, size]; None for zero.
            asked: Inputs whose gradients are needed.
            into: For each parameter whose gradient is needed, a tensor to add it to; block-diagonal matrices in the
                form of the stored ones.
            totals: The sums that this pass goes on with.

        Returns:
            The other gradients.
        """
        work, rows, names = self.work, self.rows, self.recipe.adjoint.gradients
        alive = [work.load(self.weights), work.remember(self.banks, self.extents), self._given(work, grads)]
        if self.replay is not None:
            alive += [self.replay.load(self.weights), self.replay.remember(self.banks, self.extents)]
            alive.append(self._given(self.replay, {}))
        self._banks(totals.banks)
        states = self._states(grad_state)
        outputs = {name: work.empty(rows.flat, name) for name in self.outputs}
        for name, tensor in outputs.items():
            work.table.point(name, tensor)
        self._columns(totals.columns)
        targets = {names[name]: tensor for name, tensor in into.items() if name in names}
        outers = self._outers(targets)
        after = self._after({names[name] for name in asked if name in names})
        sums = [
            f"columns_{number}"
            for number, part in enumerate(self.plan.columns)
            if any(name in targets for name, _ in part.sums)
        ]
        for begin, end, start, stop in work.chunks:
            work.chunk(start, stop)
            self._replay(begin, end, start, stop)
            work.flat("before")
            work.loop(begin, end)
            for entry in (*after, *sums):
                work.table.run(entry, work.threads)
            outers.add(start, stop)
        put_back(work)
        if self.replay is not None:
            put_back(self.replay)
        del alive
        return self._result(states, outputs, asked)

    def _banks(self, grads: dict[str, Tensor]) -> None:
        """Point the kernel to the tensors that the gradients of banks are added to, and make those that are missing."""
        for name, bank in self.banks.items():
            gradient = self.recipe.adjoint.gradients.get(name)
            if name not in grads:
                rows = bank.shape[0] * (bank.shape[1] if bank.dim() == 3 else 1)
                width = self.sized.width(gradient) if gradient in self.plan.sizes_of else bank.shape[-1]
                grads[name] = torch.zeros(rows, width, dtype=self.dtype, device="cpu")
            if gradient in self.plan.gathered:
                self.work.table.point(gradient, grads[name])

    def _replay(self, begin: int, end: int, start: int, stop: int) -> None:
        """Recompute, for a chunk, what the forward pass did not save."""
        if self.replay is None:
            return
        self.replay.chunk(start, stop)
        self.replay.flat("before")
        if self.replay.plan.phase("each"):  # what goes over memories runs step by step
            self.replay.loop(begin, end)
        for name in self.recipe.saved:
            self.work.table.point(name, self.replay.rooms[name], start)

    def _after(self, wanted: set[str]) -> list[str]:
        """List the stages after the loop that compute any of the wanted names."""
        outputs, entries = set(self.plan.step.outputs), []
        for number, stage in enumerate(self.plan.stages):
            if stage.phase == "after":
                made = {*stage.stores, *(name for part in stage.moments for name in (part.mean, part.rstd) if name)}
                if any(name in wanted or name not in outputs for name in made):
                    entries.append(f"flat_{number}")
        return entries

    def _given(self, work: Workspace, grads: Mapping[str, Tensor]) -> list[Tensor]:
        """Point a kernel to what the forward pass read and computed. Return what must live until the end of the run."""
        rows, table, adjoint = self.rows, work.table, self.recipe.adjoint
        reads = set(work.plan.step.inputs)  # by the code, or by products over time
        alive = [work.given(name, sequence) for name, sequence in self.inputs.items() if name in reads]
        for name, sequence in self.kept.saved.items():
            if name in reads:
                table.point(name, sequence)
        for name, store in self.kept.states.items():
            if name in reads:
                table.point(name, store[2 * rows.batch :])
            if adjoint.last[name] in reads:
                table.point(adjoint.last[name], store, index=rows.kept.before)
        for name, grad in grads.items():
            if adjoint.grad[name] in reads:
                alive.append(work.given(adjoint.grad[name], grad))
        return alive

    def _states(self, grad_state: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Make the stores of the states. They begin with the gradients of the final states."""
        rows, table, states = self.rows, self.work.table, {}
        for name, back in self.recipe.adjoint.back.items():
            store = self.work.empty(rows.back.rows, back)
            given = grad_state.get(name)
            store[: 2 * rows.batch] = 0
            if given is not None:
                store[: rows.batch, : given.shape[1]] = given
            table.point(back, store)
            table.lay(f"here:{back}", rows.back.here)
            table.lay(f"before:{back}", rows.back.before)
            states[name] = store
        return states

    def _columns(self, totals: dict[str, Tensor]) -> None:
        """Point the kernel to the tensors for the sums over time and batch, and make those that are missing."""
        for part in self.plan.columns:
            for name, _ in part.sums:
                if name not in totals:
                    totals[name] = torch.zeros(self.sized.width(name), dtype=self.dtype, device="cpu")
                self.work.table.lay(f"base:{name}", totals[name])

    def _outers(self, targets: Mapping[str, Tensor]) -> Outers:
        """Prepare the products over time for the needed gradients."""
        strides = {name: tensor.stride(0) for name, tensor in targets.items() if tensor.dim() == 2}
        key = tuple(strides.items())
        outers = self.work.extra.get(key)
        if not isinstance(outers, Outers):
            wanted = [(name, terms) for name, terms in self.plan.outers if name in strides]
            outers = self.work.extra[key] = Outers(self.work, wanted, strides)
        outers.into(targets)
        return outers

    def _result(self, states: dict[str, Tensor], outputs: dict[str, Tensor], asked: frozenset[str]) -> Gradients:
        rows, result, names = self.rows, Gradients(), self.recipe.adjoint.gradients
        for name, store in states.items():
            size = self.sized.size(self.recipe.adjoint.back[name])
            result.state[name] = rows.back.last(store, size)
            if len(rows.restarts[0]):
                sinks = store.index_select(0, torch.from_numpy(rows.back.sinks))[:, :size]
                result.initial[name] = Restarted(sinks, torch.from_numpy(rows.restarts[1]))
        for name in asked:
            if names.get(name) in outputs:
                result.inputs[name] = outputs[names[name]][:, : self.sized.size(names[name])]
        return result
