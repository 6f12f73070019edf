"""Run one step at a time without allocation: a stack of layers is prepared once, and each step is one call.

For a single step no line is worth moving out of the loop, so the stages before the loop become stages of the loop. One
entry runs a whole step of a layer, and its threads share the units of all products. States have two places, and each
step reads one place and writes the other. Everything that differs between the two directions is prepared twice.
"""

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.cpu.bounds import Bounds, check_copy
from gatework.kernels.cpu.build import Library, build
from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.cpu.rows import even_rows
from gatework.kernels.cpu.slots import FIXED, Slots
from gatework.kernels.cpu.team import team
from gatework.kernels.cpu.workspace import Workspace, sized
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.target import Target

PROGRAM = (
    "parity",  # 0 or 1: the place that the state is read from
    "given",  # the address of the first outer input
    "feeds",  # the tables' updates before a step: pairs of an address to read and one to write
    "feed_count",
    "links",  # for each layer, twice: its entry, its table, and its number of threads
    "link_count",
    "parallel",  # OpenMP's GOMP_parallel; null for one thread
    "sources",  # for each parity, the address of the output
    "source_stride",  # bytes between rows
    "target",  # the address that receives the output
    "rows",
    "row_bytes",
    "best",  # cycles of the fastest step
    "alone",  # the number of coming steps that one thread runs, because others need the processor
    "retreat",  # that number after the next slow step: doubled each time, and one less for each step of several threads
)
"""The argument of ``@advance``. What is prepared twice lies one behind the other, that of parity 1 second."""

WORTH = 1 << 18  # multiplications in a step that justify a second thread, which costs more than it saves on busy cores

CROWDED = 8  # a step that takes this many times as long as the fastest has waited for a thread that did not run
RETREAT = (32, 1024)  # the least and the most steps that one thread then runs: one in so many may be slow
FIRST = 8  # the first steps, which one thread runs to measure the time of a step

Numbers = NDArray[np.int64]

_ADVANCE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True)
class Link:
    """A layer of a chain.

    Args:
        kernel: The kernel of the plan for a single step.
        weights: Its parameters by name.
        sizes: The value of each size key.
        inputs: The source of each of its inputs: the number of an outer input, or a lower link and the name of one of
            its states.
    """

    kernel: Kernel
    weights: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    inputs: Mapping[str, int | tuple[int, str]]


class Chain:
    """A stack of layers, prepared to run step by step.

    Args:
        links: The layers, lowest first.
        batch: B.
        like: A tensor of the type of all tensors.
        output: The tensor that receives the output, [B, H].

    Attributes:
        threads: The number of threads of each link.
        direct: For each outer input, whether it is read in place if it is contiguous.
        checks: For each of the two directions, the check of each link's bounds; empty unless the user asks for it.
        call: The machine code of a step. It takes :attr:`address` and the address of the first outer input.
        address: The address of the chain's own numbers.
    """

    def __init__(self, links: Sequence[Link], batch: int, like: Tensor, output: Tensor) -> None:
        self.output = output
        self._links, self._batch = links, batch
        self._sized = [sized(link.kernel, link.sizes) for link in links]
        self._states = [
            {name: like.new_zeros(2 * batch, known.width(name)) for name in link.kernel.plan.step.states}
            for link, known in zip(links, self._sized, strict=True)
        ]
        self._rooms = self._outer(like)
        self.direct = [room is view for room, view in self._rooms]
        self._given = np.array([room.data_ptr() for room, _ in self._rooms], np.int64)
        self._feeds: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._calls: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] = ([], [])
        self._kept: list[object] = []
        self.checks: tuple[list[Bounds], list[Bounds]] = ([], [])
        self.threads: list[int] = []
        for number in range(len(links)):
            self._prepare(number, like)
        first = links[-1].kernel.plan.step.states[0]
        self._written = np.array(self._calls, np.int64)
        self._program = self._numbers(self._states[-1][first])
        self.call = _advance(links[0].kernel.target)
        self.address = self._program.ctypes.data
        _CHAINS.add(self)

    def _outer(self, like: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Make buffers for outer inputs that are not read in place. Return each buffer with the part that is filled.

        Equations and reductions read whole registers, beyond the last unit.
        """
        widths: dict[int, tuple[int, int]] = {}
        for link, known in zip(self._links, self._sized, strict=True):
            for name, source in link.inputs.items():
                if isinstance(source, int):
                    size = known.size(name)
                    width = known.width(name) if name in link.kernel.plan.register_reads else size
                    widths[source] = (max(width, widths.get(source, (0, 0))[0]), size)
        rooms = []
        for _, (width, size) in sorted(widths.items()):
            room = like.new_zeros(self._batch, width)
            rooms.append((room, room if width == size else room[:, :size]))
        return rooms

    def _prepare(self, number: int, like: Tensor) -> None:
        """Fill the tables of a link."""
        link, batch = self._links[number], self._batch
        work = Workspace(self._sized[number], even_rows(1, batch, False), like.dtype, batch, False, ())
        if not team().parallel_function or batch * sum(one.size for one in self._sized[number].panels.values()) < WORTH:
            work.threads = 1
            work.table.set("split", 0)
        # Vectors are read in place. They are copied, so that all weights change together.
        weights = {name: one.detach().clone() if one.dim() == 1 else one.detach() for name, one in link.weights.items()}
        self._kept += [work, weights, work.load(weights)]
        work.chunk(0, batch)
        work.table.set("team", work.threads)
        work.table.set("team_function", work.table.team.size_function if work.threads > 1 else 0)
        work.table.lay("times", work.times)
        work.table.set("steps", 1)
        for parity in range(2):
            self._calls[parity].append(self._table(number, parity, work))
        self.threads.append(work.threads)

    def _table(self, number: int, parity: int, work: Workspace) -> tuple[int, int, int]:
        """Make the table for one of the two directions. Return the entry, the table and the number of threads."""
        link, batch, table = self._links[number], self._batch, work.table
        places = np.arange(2 * batch, dtype=np.int32).reshape(2, batch)
        before, here = places[parity], places[1 - parity]
        for name, store in self._states[number].items():
            table.point(name, store)
            table.lay(f"before:{name}", before)
            table.lay(f"here:{name}", here)
        for name, source in link.inputs.items():
            if isinstance(source, int):
                table.point(name, self._rooms[source][0])  # each step sets the address of its input
            else:
                below, state = source
                table.point(name, self._states[below][state][batch * (1 - parity) :])
        numbers = table.numbers.copy()
        for name, source in link.inputs.items():
            place = link.kernel.slots.get(f"base:{name}")
            if isinstance(source, int) and place is not None:
                reads = self._given.ctypes.data + 8 * source
                self._feeds[parity].append((reads, numbers.ctypes.data + 8 * place))
        self._kept += [numbers, places]
        if table.bounds is not None:
            table.bounds.run("each", work.threads)
            self.checks[parity].append(table.bounds.again(numbers))
        return link.kernel.entries["each"], numbers.ctypes.data, work.threads

    def _numbers(self, store: Tensor) -> Numbers:
        """Write the argument of ``@advance``, given the store of the output."""
        feeds, calls = np.array(self._feeds, np.int64), self._written
        row = store.stride(0) * store.element_size()
        # A step of parity 0 writes to the second place.
        sources = np.array([store.data_ptr() + self._batch * row, store.data_ptr()], np.int64)
        self._kept += [feeds, sources]
        values = {
            "given": self._given.ctypes.data,
            "feeds": feeds.ctypes.data,
            "feed_count": feeds.shape[1],
            "links": calls.ctypes.data,
            "link_count": calls.shape[1],
            "parallel": team().parallel_function if max(self.threads) > 1 else 0,
            "best": -1,  # the largest unsigned number
            "alone": FIRST,
            "retreat": RETREAT[0],
            "sources": sources.ctypes.data,
            "source_stride": row,
            "target": self.output.data_ptr(),
            "rows": self._batch,
            "row_bytes": self.output.shape[1] * self.output.element_size(),
        }
        return np.array([values.get(name, 0) for name in PROGRAM], np.int64)

    def step(self, inputs: Sequence[Tensor]) -> None:
        """Run a step.

        Args:
            inputs: The outer inputs, [B, size] each, of the chain's type.
        """
        for number, (given, (room, part)) in enumerate(zip(inputs, self._rooms, strict=True)):
            if self.direct[number] and given.is_contiguous() and not given.is_neg():
                self._given[number] = given.data_ptr()
            else:
                part.copy_(given.detach())
                self._given[number] = room.data_ptr()
        if self.checks[0]:
            self._check(inputs)
        self.call(self.address, int(self._given[0]))

    def _check(self, inputs: Sequence[Tensor]) -> None:
        """Check the bounds of the next step, with the tables as the addresses of the inputs will change them."""
        read = [
            given if address == given.data_ptr() else room
            for given, address, (room, _) in zip(inputs, self._given, self._rooms, strict=True)
        ]
        for link, bounds, threads in zip(self._links, self.checks[self._program[0]], self.threads, strict=True):
            for name, source in link.inputs.items():
                if isinstance(source, int):
                    bounds.lay(f"base:{name}", read[source])
            bounds.run("each", threads)
        first = self._links[-1].kernel.plan.step.states[0]
        check_copy(self._states[-1][first], self.output, self._batch)

    @property
    def entry(self) -> tuple[Callable[[int, int], None], int] | None:
        """The machine code of a step and its first argument, if the only input is read in place."""
        return (self.call, self.address) if self.direct == [True] and not self.checks[0] else None

    def state(self, number: int) -> dict[str, Tensor]:
        """Return the states of a link, [B, size], as views. They hold until the next step, and may be written to."""
        first = self._batch * int(self._program[0])
        known = self._sized[number]
        return {
            name: store[first : first + self._batch, : known.size(name)] for name, store in self._states[number].items()
        }

    def alone(self) -> None:
        """Run on one thread from now on. A forked child needs this, because its parent's threads are gone."""
        for parity in range(2):
            for number, (_, table, _) in enumerate(self._calls[parity]):
                self._written[parity, number, 2] = 1
                _write(table, FIXED.index("team"), 1)
                _write(table, FIXED.index("team_function"), 0)
        self.threads = [1] * len(self.threads)


def _write(table: int, slot: int, value: int) -> None:
    ctypes.c_int64.from_address(table + 8 * slot).value = value


def advance_text(target: Target) -> str:
    """Write ``@advance(program, x)``, which runs one step of all layers of a chain and copies its output.

    Args:
        target: The machine.

    Returns:
        LLVM's text.
    """
    declarations: dict[str, str] = {"memcpy": "declare ptr @memcpy(ptr, ptr, i64)"}
    slots = Slots(PROGRAM)
    code = Code(target, "float32", "define void @advance(ptr %table, ptr %x)", declarations)
    parity, given = slots.integer(code, "parity"), slots.pointer(code, "given")
    code.do(f"store ptr %x, ptr {given}")
    begun = _cycles(code)
    feeds = slots.integer(code, "feed_count")
    with code.loop("0", feeds) as number:
        feed = _part(code, slots.pointer(code, "feeds"), code.add(code.mul(parity, feeds), number), 2)
        value = code.let(f"load ptr, ptr {code.let(f'load ptr, ptr {feed}')}")
        slot = code.let(f"load ptr, ptr {code.offset(feed, '1', 'ptr')}")
        code.do(f"store ptr {value}, ptr {slot}")
    links = slots.integer(code, "link_count")
    with code.loop("0", links) as number:
        link = _part(code, slots.pointer(code, "links"), code.add(code.mul(parity, links), number), 3)
        entry = code.let(f"load ptr, ptr {link}")
        table = code.let(f"load ptr, ptr {code.offset(link, '1', 'ptr')}")
        threads = code.let(f"load i64, ptr {code.offset(link, '2', 'i64')}")
        for name in ("ticket", "arrived"):
            code.do(f"store i64 0, ptr {code.offset(table, str(FIXED.index(name)), 'i64')}")
        # On a single thread outside of any team, an entry sees that it is alone, and does all the work.
        retreat = code.let(f"icmp ne i64 {slots.integer(code, 'alone')}, 0")
        one = code.let(f"or i1 {code.let(f'icmp eq i64 {threads}, 1')}, {retreat}")
        with code.when(one):
            code.do(f"call void {entry}(ptr {table})")
        with code.when(code.let(f"xor i1 {one}, true")):
            count = code.let(f"trunc i64 {threads} to i32")
            code.do(f"call void {slots.pointer(code, 'parallel')}(ptr {entry}, ptr {table}, i32 {count}, i32 0)")
    _watch(code, slots, begun)
    source = code.let(f"load ptr, ptr {code.offset(slots.pointer(code, 'sources'), parity, 'ptr')}")
    size = slots.integer(code, "row_bytes")
    with code.loop("0", slots.integer(code, "rows")) as row:
        here = code.offset(source, code.mul(row, slots.integer(code, "source_stride")), "i8")
        there = code.offset(slots.pointer(code, "target"), code.mul(row, size), "i8")
        code.let(f"call ptr @memcpy(ptr {there}, ptr {here}, i64 {size})")
    code.do(f"store i64 {code.let(f'xor i64 {parity}, 1')}, ptr {slots.address(code, 'parity')}")
    code.do("ret void")
    return "\n".join([code.text(), *declarations.values()]) + "\n"


def _cycles(code: Code) -> str:
    """Read the processor's clock; 0 if programs may not read it."""
    return code.let("add i64 0, 0") if code.target.level == "neon" else code.call("i64", "llvm.readcyclecounter")


def _watch(code: Code, slots: Slots, begun: str) -> None:
    """Use one thread for a while if a thread of the team did not get to run.

    A team waits for its last thread. If another program has the processor, that may take milliseconds, a hundred times
    the step. The number of threads changes no bit of the result.
    """
    alone = slots.integer(code, "alone")
    with code.when(code.let(f"icmp ne ptr {slots.pointer(code, 'parallel')}, null")):
        took = code.let(f"sub i64 {_cycles(code)}, {begun}")
        best = code.call("i64", "llvm.umin.i64", ("i64", slots.integer(code, "best")), ("i64", took))
        code.do(f"store i64 {best}, ptr {slots.address(code, 'best')}")
        waited = code.let(f"icmp ugt i64 {code.let(f'udiv i64 {took}, {CROWDED}')}, {best}")
        team = code.let(f"icmp eq i64 {alone}, 0")
        crowded = code.let(f"and i1 {waited}, {team}")
        retreat = slots.integer(code, "retreat")
        left = code.call("i64", "llvm.smax.i64", ("i64", code.let(f"sub i64 {alone}, 1")), ("i64", "0"))
        after = code.let(f"select i1 {crowded}, i64 {retreat}, i64 {left}")
        code.do(f"store i64 {after}, ptr {slots.address(code, 'alone')}")
        longer = code.call("i64", "llvm.smin.i64", ("i64", code.add(retreat, retreat)), ("i64", str(RETREAT[1])))
        shorter = code.let(f"sub i64 {retreat}, {code.let(f'zext i1 {team} to i64')}")
        shorter = code.call("i64", "llvm.smax.i64", ("i64", shorter), ("i64", str(RETREAT[0])))
        following = code.let(f"select i1 {crowded}, i64 {longer}, i64 {shorter}")
        code.do(f"store i64 {following}, ptr {slots.address(code, 'retreat')}")


def _part(code: Code, pointer: str, number: str, fields: int) -> str:
    """Return the address of an entry of a list, whose entries have the given number of fields of eight bytes."""
    return code.offset(pointer, code.mul(number, str(fields)), "i64")


@cache
def _advance(target: Target) -> Callable[[int, int], None]:
    library = build(advance_text(target), target)
    _KEPT.append(library)
    return _ADVANCE(library.address("advance"))


def _after_fork() -> None:
    for chain in _CHAINS:
        chain.alone()


_CHAINS: WeakSet[Chain] = WeakSet()
_KEPT: list[Library] = []  # machine code lives as long as its library
with suppress(AttributeError):  # a system without fork has no such hook, and needs none
    os.register_at_fork(after_in_child=_after_fork)
