"""The positions of a batch's rows in memory, and of the state that each step starts from.

Rows are sorted, the longest first, and steps follow each other, so that valid data is contiguous: flat row
``offsets[t] + r`` is row r at step t, as in a PackedSequence. There is no padding. States are in a store of their own.
It begins with the states before the first step and the states that rows restart from. For each flat row, two tables
give the position of its new state and of its previous state. So lengths, directions and restarts need no branch in a
kernel.
"""

from collections.abc import Iterator
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
    """The positions of states.

    Args:
        rows: The number of rows of the store. The first B are the states before the first step, the next B those of
            restarts.
        here: For each flat row, the position of its new state.
        before: For each flat row, the position of its previous state.
        final: For each row of the batch, the position of its last state.
        sinks: In an adjoint: the positions of the gradients of the states that rows restart from.
    """

    rows: int
    here: Index
    before: Index
    final: Index
    sinks: Index

    def last(self, store: Tensor, size: int) -> Tensor:
        """Return each row's last state, [B, size]."""
        first = int(self.final[0])
        if self.in_turn:
            return store[first : first + len(self.final), :size].clone()
        return store.index_select(0, torch.from_numpy(self.final))[:, :size].contiguous()

    @cached_property
    def in_turn(self) -> bool:
        """Whether the last states are contiguous, in the order of the rows."""
        return bool((np.diff(self.final) == 1).all())


@dataclass(frozen=True, eq=False)
class Rows:
    """The layout of a batch's rows, for one direction.

    Args:
        batch: B.
        counts: The number of rows at each step, [T].
        offsets: The first flat row of each step, [T + 1].
        times: The steps in the order in which they run: first flat row and number of rows, int64 [T, 2].
        kept: The store of states that are saved at all steps; new states are in flat order, from ``2 * B`` on.
        passing: The store of states of which only the last are saved.
        back: The store of an adjoint's states. Its first B rows are the gradients of the last states, and the
            next B are zero.
        restarts: The flat rows that restart, and the row of the batch of each.
        even: Whether all rows have all steps and none restarts, so that other batches probably have the same layout.
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
        """The number of bytes of the tables."""
        stores = (self.kept, self.passing, self.back)
        tables = [self.counts, self.offsets, self.times, *self.restarts]
        tables += [table for store in stores for table in (store.here, store.before, store.final, store.sinks)]
        return sum(table.nbytes for table in tables)


class _Even:
    """The layout of a batch with rows of one length, held for the next such batch."""

    def __init__(self, key: tuple[int, int, bool]) -> None:
        self.key = steps, batch, reverse = key
        self.rows = replace(lay_out(np.full(steps, batch, np.int64), batch, reverse, None), even=True)
        self.held = self.rows.bytes

    def let_go(self) -> None:
        """Make this unavailable to later runs."""
        _even.pop(self.key, None)


_even: dict[tuple[int, int, bool], _Even] = {}


def even_rows(steps: int, batch: int, reverse: bool) -> Rows:
    """Return the layout of a batch with rows of one length.

    Args:
        steps: T.
        batch: B.
        reverse: Whether time runs from the last step to the first.
    """
    key = (steps, batch, reverse)
    even = _even.get(key)
    if even is None:
        even = _even[key] = _Even(key)
    memory.keep(even)  # several runs may use it at the same time
    return even.rows


def lay_out(counts: NDArray[np.int64], batch: int, reverse: bool, restart: NDArray[np.bool_] | None) -> Rows:
    """Make the layout of a batch with rows sorted by length.

    Args:
        counts: The number of rows at each step, [T], never rising.
        batch: B.
        reverse: Whether time runs from the last step to the first.
        restart: Where rows restart, [T, B] in sorted order; None if none does.
    """
    steps = len(counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    order = np.arange(steps)[::-1] if reverse else np.arange(steps)
    # For each flat row: its step, its row, and the step that ran before it (-1 for none).
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
    last = np.where(reverse, 0, lengths - 1)  # the step that completes a row
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
    """Lay out the states of the adjoint, which runs the steps in the opposite order."""
    future = step - 1 if reverse else step + 1  # the step that the adjoint runs before this one
    none = (future < 0) if reverse else future >= lengths[row]
    future_flat = np.where(none, 0, offsets[np.clip(future, 0, max(len(offsets) - 2, 0))] + row)
    cut = np.where(none, False, anew[future_flat]) if len(step) else anew
    before = np.where(none, row, np.where(cut, batch + row, 2 * batch + (future % 2) * batch + row))
    marked = np.flatnonzero(anew)
    here = 2 * batch + (step % 2) * batch + row
    here[marked] = 4 * batch + np.arange(len(marked))
    start = np.where(reverse, lengths - 1, 0)  # the last step that the adjoint runs for a row
    rows = np.arange(batch)
    flat = offsets[np.clip(start, 0, max(len(offsets) - 2, 0))] + rows
    final = np.where(lengths == 0, rows, 2 * batch + (start % 2) * batch + rows)
    if len(marked):
        final = np.where((lengths > 0) & anew[np.clip(flat, 0, len(anew) - 1)], batch + rows, final)
    sinks = 4 * batch + np.arange(len(marked))
    store = Store(4 * batch + len(marked), _index(here), _index(before), _index(final), _index(sinks))
    return store, (_index(marked), _index(row[marked]))


def count_rows(lengths: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """Count the rows that have each step, [T].

    Args:
        lengths: The number of steps of each row, [B].
        steps: T, at least every length.
    """
    return len(lengths) - np.cumsum(np.bincount(lengths, minlength=steps))[:steps]


def cut(times: NDArray[np.int64], most: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut time into chunks.

    Args:
        times: The first flat row and the number of rows of each step, in the order in which they run, [T, 2].
        most: How many flat rows a chunk has at most, unless one step has more.

    Yields:
        Of each chunk the first position in ``times`` and the one after the last, and its range of flat rows.
    """
    begin = 0
    while begin < len(times):
        end, total = begin, 0
        while end < len(times) and (end == begin or total + times[end, 1] <= most):
            total += int(times[end, 1])
            end += 1
        first = int(min(times[begin, 0], times[end - 1, 0]))
        yield begin, end, first, first + total
        begin = end


def _index(values: NDArray[np.int64] | NDArray[np.bool_]) -> Index:
    return np.ascontiguousarray(values, dtype=np.int32)
