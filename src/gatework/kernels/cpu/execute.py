"""Run a forward kernel on tensors, through time in chunks that stay in the cache."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gatework.kernels.cpu import memory
from gatework.kernels.cpu.rows import Rows
from gatework.kernels.cpu.team import team
from gatework.kernels.cpu.workspace import Sized, put_back, take

CHUNK = 1 << 19  # bytes, for each thread, of what passes from the products before the loop to the loop


@dataclass
class Kept:
    """What a forward pass hands to the backward pass.

    Args:
        states: The store of each state.
        saved: What else was kept, by name.
    """

    states: dict[str, Tensor]
    saved: dict[str, Tensor]


def forward(
    sized: Sized,
    rows: Rows,
    weights: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    initial: Mapping[str, Tensor] | None,
    wanted: tuple[str, ...],
    keep_states: bool,
    room: int,
    alone: tuple[str, ...],
) -> Kept:
    """Run a forward plan.

    Args:
        sized: The kernel for its sizes.
        rows: The rows of the batch.
        weights: The parameters by name.
        inputs: For each input and drawn mask, its values [flat rows, size].
        state: For each state, its value before the first step [B, size].
        initial: For each state, its value where rows start anew [B, size]; None for zeros.
        wanted: Names whose values are kept.
        keep_states: Whether all states are kept at every step, rather than the output alone.
        room: How many flat rows there is to be room for in what is kept, at least as many as there are.
        alone: Names of results that get memory of their own. The rest shares memory that comes back for the next run
            when all of it is gone.

    Returns:
        The store of each state, and what else was kept.
    """
    output = sized.kernel.plan.step.states[0]
    dtype = state[output].dtype
    work = take(sized, rows, dtype, CHUNK * team().threads() // sized.passing(wanted), False, wanted)
    table = work.table
    alive = [work.load(weights), [work.given(name, sequence) for name, sequence in inputs.items()]]
    stores = {name: rows.kept if keep_states or name == output else rows.passing for name in state}
    lengths = {
        **{name: store.rows + (room - rows.flat if store is rows.kept else 0) for name, store in stores.items()},
        **dict.fromkeys(wanted, room),
    }
    found = {name: work.empty(lengths[name], name) for name in alone}
    shared = [name for name in lengths if name not in found]
    found |= zip(shared, memory.room([(lengths[name], sized.width(name)) for name in shared], dtype), strict=True)
    for name, first in state.items():
        whole, store = found[name], stores[name]
        whole[: rows.batch, : first.shape[1]] = first
        if len(rows.restarts[0]):
            begin = initial[name] if initial is not None else 0.0
            whole[rows.batch : 2 * rows.batch, : first.shape[1]] = begin
        table.point(name, whole)
        table.lay(f"here:{name}", store.here)
        table.lay(f"before:{name}", store.before)
    for name in wanted:
        table.point(name, found[name])
    for begin, end, start, stop in work.chunks:
        work.chunk(start, stop)
        work.flat("before")
        work.loop(begin, end)
    put_back(work)
    del alive
    return Kept({name: found[name] for name in state}, {name: found[name] for name in wanted})


def last_states(kept: Kept, rows: Rows, keep_states: bool, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Give each state after each row's last step.

    Args:
        kept: What the forward pass kept.
        rows: The rows of the batch.
        keep_states: As it was in the forward pass.
        sizes: The size of each state.

    Returns:
        [B, size] each, in the order of the laid out rows.
    """
    found = {}
    for place, (name, store) in enumerate(kept.states.items()):
        where = rows.kept if keep_states or place == 0 else rows.passing
        found[name] = where.last(store, sizes[name])
    return found
