"""Everything that a run of a kernel needs beside its data: sizes, packed weights, and memory for temporary values.

A workspace is made for a batch's layout, and used again by the next run of the same layout. Runs at the same time have
different workspaces.
"""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gatework.kernels.cpu import memory
from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.cpu.panels import Panels, dense, lay_out_panels, readable, stage_columns
from gatework.kernels.cpu.rows import Rows, cut
from gatework.kernels.cpu.table import ArgumentTable
from gatework.kernels.cpu.team import team
from gatework.kernels.recent import Recent
from gatework.kernels.reference.arithmetic import period

FEW_ROWS = 3  # the number of rows from which a tile runs at full speed
SMALL = 1 << 15  # the multiplications of a step below which a second thread is not worth it
MOST_KEPT = 4  # workspaces held for later runs, for each kernel and sizes; memory.keep limits the bytes
MOST_EXTRA = 8  # sets of needed gradients that one workspace remembers


class Extra(Protocol):
    """A further thing that a workspace holds for a kind of run."""

    @property
    def held(self) -> int:
        """The bytes that it holds."""
        ...


class Sized:
    """Everything that depends on a kernel and on sizes alone.

    Args:
        kernel: The kernel.
        sizes: The value of each size key.
    """

    def __init__(self, kernel: Kernel, sizes: Mapping[str, int]) -> None:
        self.kernel = kernel
        self.sizes = sizes
        self.free: deque[Workspace] = deque()
        self._passing: dict[tuple[str, ...], int] = {}
        self.panels: dict[tuple[int, int], Panels] = {}
        for number, stage in enumerate(kernel.plan.stages):
            columns = stage_columns(kernel, stage, sizes)
            for which, group in enumerate(stage.groups):
                self.panels[number, which] = lay_out_panels(kernel, number, group, sizes, columns)
        self.lanes = kernel.target.lanes(kernel.dtype)
        self.padded = {key: -(-size // self.lanes) * self.lanes for key, size in sizes.items()}
        working = [(number, stage) for number, stage in enumerate(kernel.plan.stages) if stage.groups]
        # The multiplications of the loop decide about threads; without recurrent products, those outside of it do.
        decisive = [(number, stage) for number, stage in working if stage.phase == "each"] or working
        self.products = max(
            (self.panels[number, which].size for number, stage in decisive for which in range(len(stage.groups))),
            default=0,
        )
        # The number of threads that can share the units of every stage with products.
        self.blocks = min((-(-sizes[stage.size] // kernel.blocks[number]) for number, stage in decisive), default=1)

    def width(self, name: str) -> int:
        """Return the padded size of a vector; 1 for a value with one number for each row."""
        if self.kernel.plan.homes.get(name) == "scalar":
            return 1
        return self.padded[self.kernel.plan.sizes_of[name]]

    def passing(self, lasting: tuple[str, ...]) -> int:
        """Count the bytes of a flat row of temporary sequences, which are all but the ``lasting`` ones."""
        if lasting not in self._passing:
            homes = self.kernel.plan.homes
            names = [name for name, home in homes.items() if home == "sequence" and name not in lasting]
            size = 4 if self.kernel.dtype == "float32" else 8
            self._passing[lasting] = sum(map(self.width, names)) * size or 1
        return self._passing[lasting]

    def size(self, name: str) -> int:
        """Return the size of a vector."""
        return self.sizes[self.kernel.plan.sizes_of[name]]


def sized(kernel: Kernel, sizes: Mapping[str, int]) -> Sized:
    """Return what depends on sizes, which is made once."""
    key = tuple(sizes.items())
    known = kernel.sized.get(key)
    if not isinstance(known, Sized):
        known = kernel.sized[key] = Sized(kernel, dict(sizes))
    return known


class Workspace:
    """Memory for one run of a kernel, for one layout of a batch.

    Args:
        sized: The kernel and its sizes.
        rows: The layout.
        dtype: The type of the numbers.
        most: The most flat rows of a chunk.
        backward: Whether chunks are cut from the end of time.
        lasting: Names of sequences that the caller stores for all of time.
    """

    def __init__(
        self, sized: Sized, rows: Rows, dtype: torch.dtype, most: int, backward: bool, lasting: tuple[str, ...]
    ) -> None:
        self.sized = sized
        self.plan = sized.kernel.plan
        self.rows = rows
        self.dtype = dtype
        self.table = ArgumentTable(sized.kernel)
        self.key = (rows, dtype, most, backward, lasting, self.table.team.threads())
        self.threads = self._threads()
        self.times = np.ascontiguousarray(rows.times[::-1]) if backward else rows.times
        self.chunks = list(cut(self.times, max(most, rows.batch)))
        self.longest = max((stop - start for *_, start, stop in self.chunks), default=0)
        self.extra: Recent[object, Extra] = Recent(MOST_EXTRA)  # what a kind of run holds here
        self._lasting: list[Tensor] = []  # tensors that the table always points to
        self._held = 0  # their bytes, and those of everything else with the same lifetime
        self._constants()
        self._panels()
        self.rooms = self._temporaries(lasting)
        if len(self.chunks) == 1:
            self._turn(*self.chunks[0][2:])
        self.entries = {
            phase: [f"flat_{number}" for number, stage in enumerate(self.plan.stages) if stage.phase == phase]
            for phase in ("before", "after")
        }
        # The layout of the batch counts its own bytes, because other workspaces share it.
        own_times = 0 if self.times is self.rows.times else self.times.nbytes
        self._held += own_times + self.table.numbers.nbytes + 2 * self._jobs.nbytes + self._which.nbytes

    @property
    def held(self) -> int:
        """The bytes that it holds."""
        return self._held + sum(one.held for one in self.extra.values())

    def let_go(self) -> None:
        """Make this unavailable to later runs."""
        with suppress(ValueError):  # another thread took it
            self.sized.free.remove(self)

    def _threads(self) -> int:
        """Decide how many threads share the work, and what they share."""
        most = self.table.team.threads()
        if self.sized.products * max(1, self.rows.batch) < SMALL:
            most = 1
        by_units = most > 1 and self.rows.batch < FEW_ROWS * most
        self.table.set("split", int(by_units))
        return max(1, min(most, self.sized.blocks)) if by_units else most

    def empty(self, rows: int, name: str) -> Tensor:
        """Allocate a vector for a number of rows, padded to whole registers."""
        return torch.empty(rows, self.sized.width(name), dtype=self.dtype, device="cpu")

    def _constants(self) -> None:
        """Set everything in the table that depends on sizes alone."""
        table, sized = self.table, self.sized
        for key, size in sized.sizes.items():
            table.set(f"size:{key}", size)
        for number, stage in enumerate(self.plan.stages):
            table.set(f"blocks:{number}", -(-sized.sizes[stage.size] // sized.kernel.blocks[number]))
            table.set(f"vectors:{stage.size}", -(-sized.sizes[stage.size] // sized.lanes))
        for number, columns in enumerate(self.plan.columns):
            table.set(f"column_blocks:{number}", -(-sized.sizes[columns.size] // sized.lanes))
        for blocks in self.plan.periods:
            like = torch.empty((), dtype=self.dtype, device="cpu")
            self.vector(f"period {blocks}", period(blocks, sized.sizes["hidden_size"], like), "hidden_size", True)

    def _panels(self) -> None:
        """Allocate the packed weights, and list the jobs that pack them."""
        jobs, names, which, dtype = [], [], [], self.dtype
        for (number, group), panels in self.sized.panels.items():
            room = torch.empty(panels.size, dtype=dtype, device="cpu")
            own = panels.jobs.copy()
            own[:, 0] *= self.table.bytes
            own[:, 5] = own[:, 5] * self.table.bytes + room.data_ptr()
            jobs.append(own)
            which.append(panels.matrices + len(names))
            names += panels.names
            self.table.lay(f"panels:{number}.{group}", room)
            self.table.lay(f"spans:{number}.{group}", panels.spans)
            self._lasting.append(room)
            self._held += room.nbytes
        self._matrices = names
        self._which = np.concatenate(which) if which else np.zeros(0, np.int64)
        self._jobs = np.concatenate(jobs) if jobs else np.zeros((0, 7), np.int64)
        self._placed = self._jobs.copy()
        self._loaded: tuple[int, ...] | None = None  # the addresses of the weights in the jobs
        self._vectors = [one.name for one in self.plan.step.parameters if one.columns is None]

    def _temporaries(self, lasting: tuple[str, ...]) -> dict[str, Tensor]:
        """Allocate what lives for a step or a chunk. Return what lives for a chunk."""
        segments = max((sum(len(group.segments) for group in stage.groups) for stage in self.plan.stages), default=0)
        most = max(self.longest, self.rows.batch) * max(segments, 1)
        pointers = torch.empty(most * self.threads, dtype=torch.int64, device="cpu")
        self.table.lay("pointers", pointers)
        self.table.set("pointers_size", most)
        self._lasting.append(pointers)
        self._held += pointers.nbytes
        lengths = {}
        for name, home in self.plan.homes.items():
            if home == "row":
                lengths[name] = self.rows.batch
            elif home in ("sequence", "scalar") and name not in lasting and name not in self.plan.step.inputs:
                lengths[name] = self.longest
        sizes = [(length, self.sized.width(name)) for name, length in lengths.items()]
        self._held += sum(rows * columns for rows, columns in sizes) * self.table.bytes
        rooms = dict(zip(lengths, memory.lasting_room(sizes, self.dtype), strict=True))
        for name in [name for name in rooms if self.plan.homes[name] == "row"]:
            row = rooms.pop(name)
            self.table.point(name, row)
            self._lasting.append(row)
        return rooms

    def load(self, weights: Mapping[str, Tensor]) -> list[object]:
        """Pack matrices and pad vectors. Return what must live until the end of the run."""
        vectors = [self.vector(name, weights[name]) for name in self._vectors]
        matrices = [dense(weights[name], structure, blocks) for name, structure, blocks in self._matrices]
        # Each matrix is contiguous, and its shape follows from the sizes, so its address determines its layout.
        where = tuple([matrix.data_ptr() for matrix in matrices])
        if where != self._loaded:
            if len(self._jobs):
                self._placed[:, 0] = self._jobs[:, 0] + np.array(where, np.int64)[self._which]
            self._loaded = where
        self.table.know("matrices", matrices)
        self.table.jobs("pack", self._placed, self.threads)
        return [matrices, vectors]

    def vector(self, name: str, values: Tensor, key: str | None = None, lasting: bool = False) -> Tensor:
        """Pass to the kernel a vector that is the same at every step."""
        padded, values = self.sized.padded[key or self.plan.sizes_of[name]], readable(values)
        if values.shape[0] != padded:
            room = torch.zeros(padded, dtype=self.dtype, device="cpu")
            room[: values.shape[0]] = values
            values = room
        self.table.lay(f"base:{name}", values)
        if lasting:
            self._lasting.append(values)
        return values

    def given(self, name: str, sequence: Tensor) -> Tensor:
        """Pass to the kernel a sequence [flat rows, size]. Return what must live until the end of the run."""
        if name in self.plan.register_reads and sequence.shape[1] < self.sized.width(name):
            room = sequence.new_zeros(sequence.shape[0], self.sized.width(name))
            room[:, : sequence.shape[1]] = sequence
            sequence = room
        else:
            sequence = readable(sequence, rows=True)
        self.table.point(name, sequence)
        return sequence

    def remember(self, banks: Mapping[str, Tensor], extents: Mapping[str, Tensor]) -> list[object]:
        """Pass banks and extents to the kernel. Return what must live until the end of the run."""
        alive: list[object] = [extents]
        for place in self.plan.step.places:
            self.table.lay(f"extents:{place}", readable(extents[place]))
        for name in self.plan.step.banks:
            bank, width = banks[name], self.sized.width(name)
            bank = bank.flatten(0, 1) if bank.dim() == 3 else bank
            bank = functional.pad(bank, (0, width - bank.shape[1])) if bank.shape[1] < width else readable(bank)
            self.table.point(name, bank)
            alive.append(bank)
        return alive

    def chunk(self, start: int, stop: int) -> None:
        """Move to a chunk of flat rows."""
        if len(self.chunks) > 1:
            self._turn(start, stop)

    def _turn(self, start: int, stop: int) -> None:
        for name, room in self.rooms.items():
            self.table.point(name, room, start)
        self.table.set("begin", start)
        self.table.set("end", stop)

    def flat(self, phase: str) -> None:
        """Run the stages of a phase outside the loop on the chunk."""
        for entry in self.entries[phase]:
            self.table.run(entry, self.threads)

    def loop(self, begin: int, end: int) -> None:
        """Run the loop over some steps, given as positions in ``times``."""
        self.table.lay("times", self.times[begin:end])
        self.table.set("steps", end - begin)
        self.table.run("each", self.threads)


def take(
    sized: Sized, rows: Rows, dtype: torch.dtype, most: int, backward: bool, lasting: tuple[str, ...]
) -> Workspace:
    """Take a workspace that no other run uses, or make one; the arguments are those of :class:`Workspace`."""
    key = (rows, dtype, most, backward, lasting, team().threads())
    # Append and pop are atomic. A lock could be held by another thread while a process forks.
    for _ in range(len(sized.free)):
        try:
            workspace = sized.free.popleft()
        except IndexError:  # another thread took the last one
            break
        if workspace.key == key:
            memory.forget(workspace)
            return workspace
        sized.free.append(workspace)
    return Workspace(sized, rows, dtype, most, backward, lasting)


def put_back(workspace: Workspace) -> None:
    """Hold a workspace for a later run."""
    free = workspace.sized.free
    if workspace.rows.even:
        free.appendleft(workspace)
        memory.keep(workspace)
        if len(free) > MOST_KEPT:
            with suppress(IndexError):  # another thread was faster
                memory.forget(free.pop())
