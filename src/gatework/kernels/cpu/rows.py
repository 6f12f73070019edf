"""Where the rows of a batch lie in memory, and where each step finds the state it starts from.

Rows are sorted, the longest first, and steps lie one behind the other, so that what counts lies together: flat row
``offsets[t] + r`` is row r at step t, as in a PackedSequence. Padding is nowhere. States lie in a store of their own,
which begins with the states before the first step and those from which rows restart; two tables say, for each
flat row, where its new state goes and where its last one is. So lengths, directions and restarts cost no branch in a
kernel.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.cpu import memory

Index = NDArray[np.int32]


@dataclass(frozen=True)
class Store:
    """Where states lie.

    Args:
        rows: Rows of the store. The first B are the states before the first step, the next B those of rows that
            restart.
        here: For each flat row, where its new state goes.
        before: For each flat row, where its last state is.
        final: For each row of the batch, where its state is in the end.
        sinks: In an adjoint: where the gradients of the states from which rows restart are found.
    """

    rows: int
    here: Index
    before: Index
    final: Index
    sinks: Index

    def last(self, store: Tensor, size: int) -> Tensor:
        """Return each row's state in the end, [B, size]."""
        first = int(self.final[0])
        if self.in_turn:
            return store[first : first + len(self.final), :size].clone()
        return store.index_select(0, torch.from_numpy(self.final))[:, :size].contiguous()

    @cached_property
    def in_turn(self) -> bool:
        """Whether the final states lie one behind the other."""
        return bool((np.diff(self.final) == 1).all())


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a batch, for one direction.

    Args:
        batch: B.
        counts: How many rows each step has, [T].
        offsets: The flat row each step begins with, [T + 1].
        times: The steps in the order they are taken: first flat row and count, int64 [T, 2].
        kept: The store of states that are all kept; new states lie in flat order, from ``2 * B`` on.
        passing: The store of states of which only the last are kept.
        back: The store of an adjoint's states, whose first B rows are the gradients of the final states and whose
            next B are zero.
        restarts: Flat rows that restart, and the row of the batch each belongs to.
        even: Whether all rows have all steps and none restarts, so that others are likely to be laid out the same.
    """

    batch: int
    counts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    kept: Store
    passing: Store
    back: Store
    restarts: tuple[Index, Index]
    even: bool = False

    @property
    def flat(self) -> int:
        """The number of flat rows."""
        return int(self.offsets[-1])

    @property
    def bytes(self) -> int:
        """Count the bytes of its tables."""
        stores = (self.kept, self.passing, self.back)
        tables = [self.counts, self.offsets, self.times, *self.restarts]
        tables += [table for store in stores for table in (store.here, store.before, store.final, store.sinks)]
        return sum(table.nbytes for table in tables)


class _Even:
    """The rows of a batch whose rows have all the same length, kept for the next such batch."""

    def __init__(self, key: tuple[int, int, bool]) -> None:
        self.key = steps, batch, reverse = key
        self.rows = replace(lay_out(np.full(steps, batch, np.int64), batch, reverse, None), even=True)
        self.held = self.rows.bytes

    def let_go(self) -> None:
        """Be found no more."""
        _even.pop(self.key, None)


_even: dict[tuple[int, int, bool], _Even] = {}


def even_rows(steps: int, batch: int, reverse: bool) -> Rows:
    """Lay out a batch whose rows have all the same length.

    Args:
        steps: T.
        batch: B.
        reverse: Whether time runs backwards.
    """
    key = (steps, batch, reverse)
    even = _even.get(key)
    if even is None:
        even = _even[key] = _Even(key)
    memory.keep(even)  # others may use it at the same time
    return even.rows


def lay_out(counts: NDArray[np.int64], batch: int, reverse: bool, restart: NDArray[np.bool_] | None) -> Rows:
    """Lay out a batch whose rows are sorted by length.

    Args:
        counts: How many rows each step has, [T], never rising.
        batch: B.
        reverse: Whether time runs backwards.
        restart: Where rows restart, [T, B] in sorted order; None if none does.
    """
    steps = len(counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    order = np.arange(steps)[::-1] if reverse else np.arange(steps)
    # For each flat row: its step, its row, and which step was taken before it (-1 for none).
    step = np.repeat(np.arange(steps), counts)
    row = np.arange(offsets[-1]) - offsets[step]
    past = step + 1 if reverse else step - 1
    lengths = (counts[:, None] > np.arange(batch)).sum(0) if steps else np.zeros(batch, np.int64)
    first = (past >= lengths[row]) if reverse else past < 0
    anew = np.zeros(len(step), bool) if restart is None else restart[step, row]
    turn = step % 2
    flat_past = np.where(first, 0, offsets[np.clip(past, 0, max(steps - 1, 0))] + row)
    begin = np.where(anew, batch + row, row)
    has_past = ~(first | anew)
    last = np.where(reverse, 0, lengths - 1)  # the step after which a row is complete
    empty = lengths == 0
    last_flat = offsets[np.clip(last, 0, max(steps - 1, 0))] + np.arange(batch)
    rows = np.arange(batch)

    def store(size: int, here: NDArray[np.int64], past_of: NDArray[np.int64], final: NDArray[np.int64]) -> Store:
        none = np.zeros(0, np.int32)
        before = np.where(has_past, past_of, begin)
        return Store(size, _index(here), _index(before), _index(np.where(empty, rows, final)), none)

    kept = store(2 * batch + len(step), 2 * batch + np.arange(len(step)), 2 * batch + flat_past, 2 * batch + last_flat)
    ring = 2 * batch + turn * batch + row
    ring_past = 2 * batch + (past % 2) * batch + row
    passing = store(4 * batch, ring, ring_past, 2 * batch + (last % 2) * batch + rows)
    times = np.stack([offsets[:-1][order], counts[order]], 1).astype(np.int64) if steps else np.zeros((0, 2), np.int64)
    back, starts = _back(step, row, lengths, batch, reverse, anew, offsets)
    return Rows(batch, counts, offsets, np.ascontiguousarray(times), kept, passing, back, starts)


def _back(
    step: NDArray[np.int64],
    row: NDArray[np.int64],
    lengths: NDArray[np.int64],
    batch: int,
    reverse: bool,
    anew: NDArray[np.bool_],
    offsets: NDArray[np.int64],
) -> tuple[Store, tuple[Index, Index]]:
    """Lay out the states of the adjoint, which takes the steps the other way round."""
    future = step - 1 if reverse else step + 1  # the step that the adjoint takes before
    none = (future < 0) if reverse else future >= lengths[row]
    future_flat = np.where(none, 0, offsets[np.clip(future, 0, max(len(offsets) - 2, 0))] + row)
    cut = np.where(none, False, anew[future_flat]) if len(step) else anew
    before = np.where(none, row, np.where(cut, batch + row, 2 * batch + (future % 2) * batch + row))
    marked = np.flatnonzero(anew)
    here = 2 * batch + (step % 2) * batch + row
    here[marked] = 4 * batch + np.arange(len(marked))
    start = np.where(reverse, lengths - 1, 0)  # the step that a row's gradient leaves through
    rows = np.arange(batch)
    flat = offsets[np.clip(start, 0, max(len(offsets) - 2, 0))] + rows
    final = np.where(lengths == 0, rows, 2 * batch + (start % 2) * batch + rows)
    if len(marked):
        final = np.where((lengths > 0) & anew[np.clip(flat, 0, len(anew) - 1)], batch + rows, final)
    sinks = 4 * batch + np.arange(len(marked))
    store = Store(4 * batch + len(marked), _index(here), _index(before), _index(final), _index(sinks))
    return store, (_index(marked), _index(row[marked]))


def _index(values: NDArray[np.int64] | NDArray[np.bool_]) -> Index:
    return np.ascontiguousarray(values, dtype=np.int32)
