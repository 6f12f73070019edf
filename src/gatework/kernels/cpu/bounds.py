"""If the user asks for it, check all memory accesses of a kernel against its memory, before the kernel runs.

``GATEWORK_CHECK=1`` turns it on. The plan of an entry says what it reads and writes. The numbers in its table, which
the machine code uses too, say how far. Every address in a table is noted with the memory behind it. An access outside
of that memory is an error, and the kernel does not run.
"""

import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatework.errors import KernelError
from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.cpu.library import GATHER, OUTER, PACK
from gatework.kernels.cpu.stages import period_name
from gatework.kernels.planning.plan import Columns, Moments, Stage, Sweep
from gatework.language.nodes import ONE_NUMBER, Apply, Equation, Name, walk

VARIABLE = "GATEWORK_CHECK"

MEMORY = {
    "pack": (PACK, "matrices", "panels:"),
    "turn": (GATHER, "base:", "operands"),
    "panel": (GATHER, "base:", "operands"),
    "outer": (OUTER, "operands", "gradients"),
}
"""For each entry that works off a list: the fields of a job, and which memory it reads and writes. That is a kind of
which the table was told, or, with a colon, what the names of slots begin with."""

Buffer = Tensor | NDArray[Any]
Numbers = NDArray[np.int64]


def asked() -> bool:
    """Tell whether the user asks for the check."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


@dataclass(frozen=True)
class Area:
    """A piece of memory that a kernel may access.

    Args:
        stop: The address after its end.
        stop: The address behind it.
        columns: The number of columns of a row.
    """

    start: int
    stop: int
    columns: int


def area(memory: Buffer) -> Area:
    """Return the memory of a tensor or an array, from its first number to its last."""
    if isinstance(memory, Tensor):
        steps = zip(memory.shape, memory.stride(), strict=True)
        numbers = 1 + sum((size - 1) * step for size, step in steps) if memory.numel() else 0
        start, size = memory.data_ptr(), memory.element_size()
    else:
        assert memory.flags.c_contiguous  # tables are made so
        start, size, numbers = memory.ctypes.data, memory.itemsize, memory.size
    return Area(start, start + numbers * size, int(memory.shape[-1]))


@dataclass(frozen=True)
class Reach:
    """The rows that a run of an entry covers.

    Args:
        flat: The flat rows: the first, and the one after the last.
        rows: The rows of the batch at which values of a single step are accessed.
        most: The most rows of a thread in one call of a stage.
    """

    flat: tuple[int, int]
    rows: tuple[int, int]
    most: int


class Bounds:
    """Check the accesses of a kernel.

    Args:
        kernel: The kernel.
        numbers: Its table.
    """

    def __init__(self, kernel: Kernel, numbers: Numbers) -> None:
        self._kernel, self._plan, self._numbers = kernel, kernel.plan, numbers
        self._lanes = kernel.target.lanes(kernel.dtype)
        self._width = kernel.target.tile_vectors * self._lanes  # numbers side by side in a tile
        self._bytes = 4 if kernel.dtype == "float32" else 8
        self._vectors = {parameter.name for parameter in kernel.plan.step.parameters}
        self._areas: dict[str, Area] = {}  # by slot
        self._tables: dict[str, NDArray[Any]] = {}  # by slot: whole numbers that direct a kernel
        self._kinds: dict[str, list[Area]] = {}
        self._entry = ""

    def again(self, numbers: Numbers) -> "Bounds":
        """Return the check of another table that points to the same memory."""
        bounds = Bounds(self._kernel, numbers)
        bounds._areas |= self._areas
        bounds._tables |= self._tables
        return bounds

    # --- the memory of the kernel

    def note(self, slot: str, memory: Buffer) -> None:
        """Note the memory behind an address."""
        self._areas[slot] = area(memory)
        if isinstance(memory, np.ndarray):
            self._tables[slot] = memory

    def lay(self, slot: str, memory: Buffer) -> None:
        """Write down an address and note the memory behind it, as a step of a stream will do."""
        self.note(slot, memory)
        place = self._kernel.slots.get(slot)
        if place is not None:
            self._numbers[place] = self._areas[slot].start

    def know(self, kind: str, memory: Iterable[Tensor]) -> None:
        """Note the memory that jobs read or write."""
        self._kinds[kind] = [area(one) for one in memory]

    def _number(self, slot: str) -> int:
        place = self._kernel.slots.get(slot)
        if place is None:
            raise self._fault(slot, "by the plan it is needed, and the kernel has no place for it")
        return int(self._numbers[place])

    def _table(self, slot: str, first: int, count: int) -> NDArray[Any]:
        """Return the part of a table that the kernel reads."""
        table = self._tables.get(slot)
        if table is None:
            raise self._fault(slot, "nothing was given for it")
        begin = self._number(slot) + first * table.itemsize
        self._inside(slot, begin, begin + count * table.itemsize)
        place = (begin - self._areas[slot].start) // table.itemsize
        return table.reshape(-1)[place : place + count]

    # --- entries of a kernel

    def run(self, entry: str, threads: int) -> None:
        """Check an entry of the kernel.

        Args:
            entry: Its name.
            threads: How many threads will run it.

        Raises:
            KernelError: If it would access memory that it was not given.
        """
        self._entry = entry
        reach = self._loop() if entry == "each" else self._flat()
        if reach.flat[0] >= reach.flat[1]:
            return
        kind, _, number = entry.partition("_")
        if kind == "columns":
            self._columns(int(number), self._plan.columns[int(number)], reach)
            return
        for place, stage in enumerate(self._plan.stages):
            if stage.phase == "each" if kind == "each" else place == int(number):
                self._stage(place, stage, reach, threads)

    def _flat(self) -> Reach:
        """Find the rows of an entry outside the loop."""
        span = self._number("begin"), self._number("end")
        return Reach(span, span, span[1] - span[0])

    def _loop(self) -> Reach:
        """Find the rows of the loop over steps."""
        times = self._table("times", 0, 2 * self._number("steps")).reshape(-1, 2)
        times = times[times[:, 1] > 0]
        if not len(times):
            return Reach((0, 0), (0, 0), 0)
        most = int(times[:, 1].max())
        return Reach((int(times[:, 0].min()), int(times.sum(1).max())), (0, most), most)

    def _stage(self, number: int, stage: Stage, reach: Reach, threads: int) -> None:
        """Check a stage."""
        vectors = self._number(f"vectors:{stage.size}" if stage.groups else f"blocks:{number}")
        known = {Name(name) for group in stage.groups for name in group.sums}
        self._lines(stage.lines, known, reach, vectors, stage.size)
        for name in stage.stores:
            self._rows(Name(name), reach, vectors * self._lanes, True)
        segments = sum(len(group.segments) for group in stage.groups)
        if segments:
            size, start = self._number("pointers_size"), self._number("pointers")
            if reach.most * segments > size:
                raise self._fault(
                    "pointers", f"{reach.most} x {segments} are written, and a thread has room for {size}"
                )
            self._inside("pointers", start, start + 8 * threads * size)
        for which in range(len(stage.groups)):
            self._products(number, stage, which, reach)
        for moments in stage.moments:
            self._moments(moments, reach)
        for sweep in stage.sweeps:
            self._sweep(sweep, reach)

    def _lines(self, lines: Iterable[Equation], known: set[Name], reach: Reach, vectors: int, size: str) -> None:
        """Check the reads of equations, in whole registers."""
        for line in lines:
            for node in walk(line.value):
                if isinstance(node, Apply) and node.function == "period":
                    self._vector(period_name(node), vectors * self._lanes)
                elif isinstance(node, Name) and node not in known:
                    if self._plan.sizes_of.get(node.name, "") in (size, ""):
                        self._rows(node, reach, vectors * self._lanes, False)
                    elif self._plan.sizes_of[node.name] == ONE_NUMBER:  # a single number for all units
                        self._rows(node, reach, 1, False)
            known.add(Name(line.target))

    def _products(self, number: int, stage: Stage, which: int, reach: Reach) -> None:
        """Check the packed weights of a group, and the parts of the operands that are multiplied."""
        group = stage.groups[which]
        name, fields = f"{number}.{which}", 2 + 2 * len(group.segments)
        spans = self._table(f"spans:{name}", 0, self._number(f"blocks:{number}") * fields).reshape(-1, fields)
        if not len(spans):
            return
        panels = len(group.sums) * self._kernel.blocks[number] // self._width
        depth = np.maximum(spans[:, 1], spans[:, 3::2].sum(1))
        begin = self._number(f"panels:{name}")
        ends = spans[:, 0] + panels * depth * self._width
        self._inside(f"panels:{name}", begin, begin + int(ends.max()) * self._bytes)
        for place, segment in enumerate(group.segments):
            self._rows(segment.operand, reach, int((spans[:, 2 + 2 * place] + spans[:, 3 + 2 * place]).max()), False)

    def _moments(self, moments: Moments, reach: Reach) -> None:
        """Check reductions, which also read their rows in whole registers."""
        size = self._number(f"size:{self._plan.sizes_of[moments.source.name]}")
        self._rows(moments.source, reach, -(-size // self._lanes) * self._lanes, False)
        for name in (moments.mean, moments.rstd):
            if name is not None:
                self._scalar(name, reach)

    def _sweep(self, sweep: Sweep, reach: Reach) -> None:
        """Check what goes over the positions of a memory: no row has more of them than the memory."""
        count = self._number(f"size:positions_{sweep.memory}")
        extents = self._tables_of(f"extents:{sweep.memory}", reach.rows[1])
        if len(extents) and not 0 <= int(extents.min()) <= int(extents.max()) <= count:
            raise self._fault(f"extents:{sweep.memory}", f"a row has {int(extents.max())} positions of {count}")
        for line in sweep.lines:
            for node in walk(line.value):
                if isinstance(node, Name):
                    self._swept(node.name, sweep, reach, False)
            if line.target in self._plan.gathered:
                self._bank(line.target, sweep, reach, self._padded(sweep.size), whole=sweep.kind == "gather")
            else:
                self._rows(Name(line.target), reach, self._padded(self._plan.sizes_of[line.target]), True)

    def _swept(self, name: str, sweep: Sweep, reach: Reach, written: bool) -> None:
        """Check a name that a sweep reads."""
        key = self._plan.sizes_of.get(name, "")
        if name in self._plan.step.banks:
            along = key == f"positions_{sweep.memory}"
            self._bank(name, sweep, reach, self._padded(key), whole=not along)
        else:
            self._rows(Name(name), reach, 1 if key == ONE_NUMBER else self._padded(key), written)

    def _bank(self, name: str, sweep: Sweep, reach: Reach, columns: int, whole: bool = True) -> None:
        """Check all positions of a bank, or of its gradient, in the rows that are accessed."""
        count = self._number(f"size:positions_{sweep.memory}") if whole else 1
        base, stride = self._number(f"base:{name}"), self._number(f"stride:{name}")
        self._inside(f"base:{name}", base, base + ((reach.rows[1] * count - 1) * stride + columns) * self._bytes)

    def _padded(self, key: str) -> int:
        known = f"size:{key}" in self._kernel.slots  # otherwise the code goes over no units of this size
        return -(-self._number(f"size:{key}") // self._lanes) * self._lanes if known else self._lanes

    def _tables_of(self, slot: str, count: int) -> Numbers:
        """Return the first numbers of a table that a tensor holds."""
        begin = self._number(slot)
        self._inside(slot, begin, begin + 8 * count)
        return np.ctypeslib.as_array((ctypes.c_int64 * count).from_address(begin))

    def _columns(self, number: int, columns: Columns, reach: Reach) -> None:
        """Check sums over steps and rows."""
        vectors = self._number(f"column_blocks:{number}")
        self._lines(columns.lines, set(), reach, vectors, columns.size)
        for name, _ in columns.sums:
            self._vector(name, vectors * self._lanes)

    # --- values

    def _rows(self, node: Name, reach: Reach, columns: int, written: bool) -> None:
        """Check the given number of columns, in the rows of a value that are accessed."""
        name, home = node.name, self._plan.homes.get(node.name, "given")
        if not node.previous and name in self._vectors:
            self._vector(name, columns)
            return
        if not node.previous and home == "scalar":
            self._scalar(name, reach)
            return
        by_row = home == "row" or name in self._plan.step.banks
        (first, last), flat = reach.rows if by_row else reach.flat, reach.flat
        table = ""
        if home == "state":
            table = f"{'before' if node.previous else 'here'}:{name}"
        elif home == "given" and name in self._plan.indexed:
            table = f"index:{name}"
        if table:
            index = self._table(table, flat[0], flat[1] - flat[0])
            first, last = int(index.min()), int(index.max()) + 1
        slot, stride = f"base:{name}", self._number(f"stride:{name}")
        base, verb = self._number(slot), "writes" if written else "reads"
        self._inside(
            slot, base + first * stride * self._bytes, base + ((last - 1) * stride + columns) * self._bytes, verb
        )
        width = self._areas[slot].columns
        if columns > width:
            raise self._fault(name, f"it {verb} {columns} numbers of a row, and a row has {width}")
        if written and last - first > 1 and stride < columns:
            raise self._fault(name, f"it writes rows of {columns} numbers that begin {stride} numbers apart")

    def _vector(self, name: str, columns: int) -> None:
        """Check a vector that is the same at every step."""
        base = self._number(f"base:{name}")
        self._inside(f"base:{name}", base, base + columns * self._bytes)

    def _scalar(self, name: str, reach: Reach) -> None:
        """Check a value with one number for each step and row, side by side."""
        base = self._number(f"base:{name}")
        self._inside(f"base:{name}", base + reach.flat[0] * self._bytes, base + reach.flat[1] * self._bytes)

    # --- lists of jobs

    def jobs(self, entry: str, jobs: Numbers) -> None:
        """Check an entry of the library, and every job in its list.

        Args:
            entry: Its name.
            jobs: The list.

        Raises:
            KernelError: If a job would access memory that it was not given.
        """
        self._entry = entry
        fields, read, written = MEMORY[entry]
        if jobs.shape[1] != len(fields) or not jobs.flags.c_contiguous:
            raise self._fault("jobs", f"a job has {len(fields)} numbers in a row, and the list is {jobs.shape}")
        job = dict(zip(fields, jobs.T, strict=True))
        if entry == "pack":
            depth, units = job["depth"], job["units"]
            ends = (units - 1) * job["unit_stride"] + (depth - 1) * job["k_stride"] + 1
            self._each(read, job["source"], np.where((units > 0) & (depth > 0), ends, 0))
            ends = (depth - 1) * job["target_stride"] + self._lanes
            self._each(written, job["target"], np.where(depth > 0, ends, 0))
        elif entry == "outer":
            units, depth, columns = job["units"], job["depth"], job["columns"]
            self._each(read, job["left"], np.where(depth > 0, (units - 1) * job["left_stride"] + depth, 0))
            self._each(read, job["right"], depth * self._width)
            self._each(written, job["target"], (units - 1) * job["stride"] + columns)
        else:
            self._gathered(entry, job)

    def _gathered(self, entry: str, job: dict[str, Numbers]) -> None:
        """Check jobs that read rows of a sequence, by an index if there is one."""
        _, read, written = MEMORY[entry]
        first, last, count = job["begin"].copy(), job["end"].copy(), job["end"] - job["begin"]
        for address in np.unique(job["index"][(job["index"] != 0) & (count > 0)]):
            mine = (job["index"] == address) & (count > 0)
            slot = next((one for one in self._tables if self._areas[one].start == address), None)
            if slot is None:
                raise self._fault("index", "the rows of a job are found by a table that was not given")
            begin, end, there = int(first[mine].min()), int(last[mine].max()), len(self._tables[slot])
            if begin < 0 or end > there:
                raise self._fault(slot, f"it reads places {begin} to {end}, and there are {there}")
            index = self._tables[slot][begin:end]
            first[mine], last[mine] = index.min(), int(index.max()) + 1
        columns, stride = job["columns"], job["target_stride"]
        source = job["source"] + first * job["stride"] * self._bytes
        self._each(read, source, np.where(count > 0, (last - 1 - first) * job["stride"] + columns, 0))
        ends = (columns - 1) * stride + count if entry == "turn" else (count - 1) * stride + self._width
        self._each(written, job["target"], np.where(count > 0, ends, 0))

    def _each(self, kind: str, begin: Numbers, count: Numbers) -> None:
        """Check that the numbers that each job accesses are in one piece of memory of a kind."""
        if kind.endswith(":"):
            areas = [one for slot, one in self._areas.items() if slot.startswith(kind)]
        else:
            areas = self._kinds.get(kind, [])
        starts, stops = (np.array([getattr(one, end) for one in areas], np.int64) for end in ("start", "stop"))
        ends = begin + count * self._bytes
        inside = ((begin[:, None] >= starts) & (ends[:, None] <= stops)).any(1) | (count == 0)
        if not inside.all():
            worst = int(np.argmin(inside))
            raise self._fault(
                kind,
                f"job {worst} of {len(begin)} touches {count[worst]} numbers, which lie in none of {len(areas)} pieces",
            )

    # --- the result

    def _inside(self, slot: str, begin: int, end: int, verb: str = "touches") -> None:
        """Check that a range of addresses lies in the memory behind a slot."""
        held = self._areas.get(slot)
        if held is None:
            raise self._fault(slot, "nothing was given for it")
        if begin < held.start or end > held.stop:
            size = held.stop - held.start
            raise self._fault(slot, f"it {verb} bytes {begin - held.start} to {end - held.start}, and there are {size}")

    def _fault(self, slot: str, what: str) -> KernelError:
        return fault(self._entry, slot.removeprefix("base:"), what)


def fault(entry: str, name: str, what: str) -> KernelError:
    """Make the error for an access outside of the memory."""
    return KernelError(
        f"{VARIABLE}: the kernel's entry `{entry}` was not run, because of `{name}`: {what}. This is a fault of "
        "gatework, not of your equations or data: please report it with the cell and the sizes. Until it is mended "
        "choose backend='reference', which needs no kernels."
    )


def check_copy(source: Tensor, target: Tensor, rows: int) -> None:
    """Check the end of a stream's step, which copies rows from a store of states to the output.

    Args:
        source: The store, with space for twice as many rows.
        target: The output.
        rows: The number of copied rows.

    Raises:
        KernelError: If the rows do not fit into one of the two.
    """
    fits = len(source) >= 2 * rows and len(target) >= rows and target.shape[1] <= source.shape[1]
    if not fits or not target.is_contiguous():
        raise fault("advance", "output", f"{rows} rows go from {list(source.shape)} to {list(target.shape)}")
