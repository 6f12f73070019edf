"""Run kernels on tensors: make room, fill the table, and go through time in chunks that stay in the cache."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.arithmetic import period
from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.cpu.panels import Panels, dense, lay_out_panels, stage_columns
from gatework.kernels.cpu.rows import Rows
from gatework.kernels.cpu.team import team
from gatework.kernels.plan import Plan

CHUNK = 2 << 20  # bytes of what passes from the products before the loop to the loop
DEEPEST = 512  # steps and rows that the adjoint sums over at once
FEW_ROWS = 3  # rows from which a tile runs at full speed
SMALL = 1 << 15  # multiplications of a step that are not worth a second thread


class Table:
    """The argument of a kernel's entries.

    Args:
        kernel: The kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.numbers = np.zeros(len(kernel.slots), np.int64)
        self.kept: list[object] = []  # what the table points to
        self.places: dict[str, list[int]] = {}  # base, stride and index of what has rows
        self.bytes = 4 if kernel.dtype == "float32" else 8
        self.team = team()
        self.set("tiles", kernel.shared["tiles"])

    def set(self, name: str, value: int) -> None:
        """Write a number where the kernel has a slot of that name."""
        place = self.kernel.slots.get(name)
        if place is not None:
            self.numbers[place] = value

    def point(self, name: str, tensor: Tensor, first: int = 0) -> None:
        """Say where a value lies: [rows, size], row ``first`` of it at the start of the tensor."""
        stride = tensor.stride(0)
        self.places[name] = [tensor.data_ptr() - first * stride * self.bytes, stride, 0]
        self.set(f"base:{name}", self.places[name][0])
        self.set(f"stride:{name}", stride)
        self.kept.append(tensor)

    def index(self, slot: str, values: NDArray[np.int32]) -> None:
        """Say where a table of rows lies."""
        self.set(slot, values.ctypes.data)
        self.kept.append(values)

    def found_by(self, name: str, values: NDArray[np.int32]) -> None:
        """Say by what index the rows of a value that lies somewhere are found."""
        self.index(f"index:{name}", values)
        self.places[name][2] = values.ctypes.data

    def jobs(self, entry: str, jobs: NDArray[np.int64], threads: int) -> None:
        """Run an entry of the library over a list of jobs."""
        if len(jobs):
            self.set("jobs", jobs.ctypes.data)
            self.set("count", len(jobs))
            self.call(self.kernel.shared[entry], min(threads, len(jobs)))

    def run(self, entry: str, threads: int) -> None:
        """Run an entry of the kernel."""
        self.call(self.kernel.entries[entry], threads)

    def call(self, address: int, threads: int) -> None:
        """Call an entry on a team of threads."""
        self.set("ticket", 0)
        self.set("arrived", 0)
        self.set("team", threads)
        self.set("team_function", self.team.size_function if threads > 1 else 0)
        self.team.run(address, self.numbers.ctypes.data, threads)


@dataclass
class Sizes:
    """Everything about a kernel that depends on sizes alone; made once for each."""

    kernel: Kernel
    sizes: Mapping[str, int]
    panels: dict[tuple[int, int], Panels] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, stage in enumerate(self.kernel.plan.stages):
            columns = stage_columns(self.kernel, stage, self.sizes)
            for which, group in enumerate(stage.groups):
                self.panels[number, which] = lay_out_panels(self.kernel, number, group, self.sizes, columns)
        lanes = self.kernel.target.lanes(self.kernel.dtype)
        self.padded = {key: -(-size // lanes) * lanes for key, size in self.sizes.items()}

    def width(self, name: str) -> int:
        """Give the padded size of a vector; of what there is one number for each row, 1."""
        if self.kernel.plan.homes.get(name) == "scalar":
            return 1
        return self.padded[self.kernel.plan.sizes_of[name]]

    def size(self, name: str) -> int:
        """Give the size of a vector."""
        return self.sizes[self.kernel.plan.sizes_of[name]]

    @property
    def products(self) -> int:
        """Count the multiplications of a row in one step of the loop."""
        return max(
            (
                self.panels[number, which].size
                for number, stage in enumerate(self.kernel.plan.stages)
                for which in range(len(stage.groups))
                if stage.phase == "each"
            ),
            default=0,
        )


def sized(kernel: Kernel, sizes: Mapping[str, int]) -> Sizes:
    """Give what depends on sizes, made at first use."""
    key = tuple(sizes.items())
    if key not in kernel.sized:
        kernel.sized[key] = Sizes(kernel, dict(sizes))
    return kernel.sized[key]


class Runner:
    """One run of a kernel over a batch.

    Args:
        sized: The kernel for its sizes.
        rows: The rows of the batch.
        weights: The parameters by name.
        like: A tensor of the type that everything has.
    """

    def __init__(self, sized: Sizes, rows: Rows, weights: Mapping[str, Tensor], like: Tensor) -> None:
        self.sized = sized
        self.plan: Plan = sized.kernel.plan
        self.rows = rows
        self.like = like
        self.table = Table(sized.kernel)
        self.weights = weights
        self.threads = self._threads()
        self._constants()

    def _threads(self) -> int:
        """Decide how many threads share the work, and what they share."""
        most = self.table.team.threads()
        blocks = [
            -(-self.sized.sizes[stage.size] // self.sized.kernel.blocks[number])
            for number, stage in enumerate(self.plan.stages)
            if stage.phase == "each" and stage.groups
        ]
        work = self.sized.products * max(1, self.rows.batch)
        if work < SMALL:
            most = 1
        by_units = self.rows.batch < FEW_ROWS * most
        self.table.set("split", int(by_units))
        return max(1, min(most, min(blocks, default=1))) if by_units else most

    def empty(self, rows: int, name: str) -> Tensor:
        """Make room for a vector, padded to whole blocks of units."""
        return self.like.new_empty(rows, self.sized.width(name))

    def _constants(self) -> None:
        """Pack matrices, and pad vectors."""
        table, sized = self.table, self.sized
        for key, size in sized.sizes.items():
            table.set(f"size:{key}", size)
        lanes = sized.kernel.target.lanes(sized.kernel.dtype)
        for number, stage in enumerate(self.plan.stages):
            table.set(f"blocks:{number}", -(-sized.sizes[stage.size] // sized.kernel.blocks[number]))
            table.set(f"vectors:{stage.size}", -(-sized.sizes[stage.size] // lanes))
        for number, columns in enumerate(self.plan.columns):
            table.set(f"column_blocks:{number}", -(-sized.sizes[columns.size] // lanes))
        self.pack()
        for parameter in self.plan.step.parameters:
            if parameter.columns is None:
                self.vector(parameter.name, self.weights[parameter.name])
        for blocks in self.plan.periods:
            self.vector(f"period {blocks}", period(blocks, sized.sizes["hidden_size"], self.like), "hidden_size")

    def vector(self, name: str, values: Tensor, key: str | None = None) -> None:
        """Give the kernel a vector that is the same at every step."""
        padded = self.sized.padded[key or self.plan.sizes_of[name]]
        values = values.detach()
        if values.shape[0] != padded or not values.is_contiguous():
            room = self.like.new_zeros(padded)
            room[: values.shape[0]] = values
            values = room
        self.table.set(f"base:{name}", values.data_ptr())
        self.table.kept.append(values)

    def pack(self) -> None:
        """Pack the matrices of all groups."""
        jobs = []
        for (number, which), panels in self.sized.panels.items():
            room = self.like.new_empty(panels.size)
            matrices = [dense(self.weights[name].detach(), *stored) for name, *stored in panels.names]
            pointers = np.array([matrix.data_ptr() for matrix in matrices], np.int64)
            own = panels.jobs.copy()
            own[:, 0] = own[:, 0] * self.table.bytes + pointers[panels.matrices]
            own[:, 5] = own[:, 5] * self.table.bytes + room.data_ptr()
            jobs.append(own)
            self.table.set(f"panels:{number}.{which}", room.data_ptr())
            self.table.set(f"spans:{number}.{which}", panels.spans.ctypes.data)
            self.table.kept += [room, matrices]
        if jobs:
            self.table.jobs("pack", np.concatenate(jobs), self.table.team.threads() if self.threads > 1 else 1)

    def given(self, name: str, sequence: Tensor) -> None:
        """Give the kernel a sequence [flat rows, size]."""
        if name in self.plan.pointwise_reads and sequence.shape[1] < self.sized.width(name):
            room = self.like.new_zeros(sequence.shape[0], self.sized.width(name))
            room[:, : sequence.shape[1]] = sequence
            sequence = room
        elif sequence.shape[1] > 1 and sequence.stride(1) != 1:
            sequence = sequence.contiguous()
        self.table.point(name, sequence)

    def temporaries(self, longest: int) -> None:
        """Make room for what lives for a step or a chunk."""
        segments = 1
        for stage in self.plan.stages:
            segments = max(segments, sum(len(group.segments) for group in stage.groups))
        most = max(longest, self.rows.batch) * segments
        room = torch.empty(most * self.threads, dtype=torch.int64)
        self.table.set("pointers", room.data_ptr())
        self.table.set("pointers_size", most)
        self.table.kept.append(room)
        for name, home in self.plan.homes.items():
            if home == "row":
                self.table.point(name, self.empty(self.rows.batch, name))

    def chunks(self, most: int, backward: bool = False) -> Iterator[tuple[int, int, int, int]]:
        """Cut time into chunks of at most so many flat rows; yield places in ``times`` and the flat range."""
        times = self.rows.times[::-1] if backward else self.rows.times
        begin = 0
        while begin < len(times):
            end, total = begin, 0
            while end < len(times) and (end == begin or total + times[end, 1] <= most):
                total += int(times[end, 1])
                end += 1
            first = int(min(times[begin, 0], times[end - 1, 0]))
            yield begin, end, first, first + total
            begin = end


@dataclass
class Kept:
    """What a forward pass hands to the backward pass."""

    states: dict[str, Tensor]
    saved: dict[str, Tensor]


def forward(
    sized: Sizes,
    rows: Rows,
    weights: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    initial: Mapping[str, Tensor] | None,
    wanted: tuple[str, ...] | None,
    room: int,
) -> Kept:
    """Run a forward plan.

    Args:
        sized: The kernel for its sizes.
        rows: The rows of the batch.
        weights: The parameters by name.
        inputs: For each input and drawn mask, its values [flat rows, size].
        state: For each state, its value before the first step [B, size].
        initial: For each state, its value where rows start anew [B, size]; None for zeros.
        wanted: Names whose values are kept, beside all states; None to keep the output alone.
        room: How many flat rows there is to be room for in what is kept, at least as many as there are.

    Returns:
        The store of each state, and what else was kept.
    """
    like = next(iter(state.values()))
    run = Runner(sized, rows, weights, like)
    table, plan = run.table, run.plan
    for name, sequence in inputs.items():
        run.given(name, sequence)
    states = {}
    for name, first in state.items():
        store = rows.kept if wanted is not None or name == plan.step.states[0] else rows.passing
        states[name] = run.empty(store.rows + (room - rows.flat if store is rows.kept else 0), name)
        states[name][: rows.batch, : first.shape[1]] = first
        if len(rows.restarts[0]):
            begin = initial[name] if initial is not None else 0.0
            states[name][rows.batch : 2 * rows.batch, : first.shape[1]] = begin
        table.point(name, states[name])
        table.index(f"here:{name}", store.here)
        table.index(f"before:{name}", store.before)
    saved = {name: run.empty(room, name) for name in wanted or ()}
    passing = [name for name, home in plan.homes.items() if home == "sequence" and name not in saved]
    scalars = [name for name, home in plan.homes.items() if home == "scalar" and name not in saved]
    bytes_a_row = sum(sized.width(name) for name in passing) * table.bytes or 1
    chunks = list(run.chunks(max(CHUNK // bytes_a_row, rows.batch)))
    longest = max(stop - start for *_, start, stop in chunks)
    run.temporaries(longest)
    rooms = {name: run.empty(longest, name) for name in passing}
    for name, tensor in saved.items():
        table.point(name, tensor)
    before = [number for number, stage in enumerate(plan.stages) if stage.phase == "before"]
    for name in scalars:
        table.point(name, run.empty(rows.flat, name))
    times = rows.times
    table.kept.append(times)
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
    return Kept(states, saved)
