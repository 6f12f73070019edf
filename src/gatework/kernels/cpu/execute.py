"""Run a forward kernel on tensors, through time in chunks that stay in the cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gatework.kernels.cpu import memory
from gatework.kernels.cpu.rows import Rows, Store
from gatework.kernels.cpu.team import team
from gatework.kernels.cpu.workspace import Sized, Workspace, put_back, take

CHUNK = 1 << 19  # bytes for each thread of what the products before the loop pass to the loop


@dataclass
class Kept:
    """What a forward pass saves for the backward pass.

    Args:
        states: The store of each state.
        saved: The other saved values, by name.
    """

    states: dict[str, Tensor]
    saved: dict[str, Tensor]


class KernelInputs(NamedTuple):
    """A batch in the layout of the kernels, as both passes read it.

    Args:
        rows: The rows of the batch.
        room: The number of flat rows to reserve for saved values, at least as many as there are.
        weights: The parameters.
        inputs: For each input and drawn mask, its values [flat rows, size].
        banks: The banks, [B, L, size], or [B, L] with one number at each position.
        extents: For each memory, the number of positions of each row, int64 [B].
    """

    rows: Rows
    room: int
    weights: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]
    banks: Mapping[str, Tensor]
    extents: Mapping[str, Tensor]


class Start(NamedTuple):
    """The states that rows start from.

    Args:
        state: For each state, its value before the first step [B, size].
        initial: For each state, its value at restarts [B, size]; None for zeros.
    """

    state: Mapping[str, Tensor]
    initial: Mapping[str, Tensor] | None


def forward(
    sized: Sized, batch: KernelInputs, start: Start, wanted: tuple[str, ...], keep_states: bool, alone: tuple[str, ...]
) -> Kept:
    """Run a forward plan.

    Args:
        sized: The kernel for its sizes.
        batch: The batch.
        start: The states it starts from.
        wanted: Names whose values are saved.
        keep_states: Whether the states of all steps are saved, rather than the output alone.
        alone: Names of results with memory of their own. The others share memory that the next run can use again
            when all of them are gone.

    Returns:
        The store of each state, and the other saved values.
    """
    rows, output = batch.rows, sized.kernel.plan.step.states[0]
    dtype = start.state[output].dtype
    work = take(sized, rows, dtype, CHUNK * team().threads() // sized.passing(wanted), False, wanted)
    alive = [work.load(batch.weights), work.remember(batch.banks, batch.extents)]
    alive.append([work.given(name, sequence) for name, sequence in batch.inputs.items()])
    stores = {name: rows.kept if keep_states or name == output else rows.passing for name in start.state}
    lengths = {
        **{name: store.rows + (batch.room - rows.flat if store is rows.kept else 0) for name, store in stores.items()},
        **dict.fromkeys(wanted, batch.room),
    }
    made = {name: work.empty(lengths[name], name) for name in alone}
    shared = [name for name in lengths if name not in made]
    made |= zip(shared, memory.room([(lengths[name], sized.width(name)) for name in shared], dtype), strict=True)
    for name, store in stores.items():
        _begin(work, start, name, made[name], store)
    for name in wanted:
        work.table.point(name, made[name])
    for begin, end, first, stop in work.chunks:
        work.chunk(first, stop)
        work.flat("before")
        work.loop(begin, end)
    put_back(work)
    del alive
    return Kept({name: made[name] for name in start.state}, {name: made[name] for name in wanted})


def _begin(work: Workspace, start: Start, name: str, whole: Tensor, store: Store) -> None:
    """Write a state's first values into its store, and point the kernel to it."""
    rows, first = work.rows, start.state[name]
    whole[: rows.batch, : first.shape[1]] = first
    if len(rows.restarts[0]):
        begin = start.initial[name] if start.initial is not None else 0.0
        whole[rows.batch : 2 * rows.batch, : first.shape[1]] = begin
    work.table.point(name, whole)
    work.table.lay(f"here:{name}", store.here)
    work.table.lay(f"before:{name}", store.before)


def last_states(kept: Kept, rows: Rows, keep_states: bool, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Return each state after each row's last step.

    Args:
        kept: What the forward pass saved.
        rows: The rows of the batch.
        keep_states: As in the forward pass.
        sizes: The size of each state.

    Returns:
        [B, size] each, in the order of the laid-out rows.
    """
    last = {}
    for place, (name, store) in enumerate(kept.states.items()):
        where = rows.kept if keep_states or place == 0 else rows.passing
        last[name] = where.last(store, sizes[name])
    return last
