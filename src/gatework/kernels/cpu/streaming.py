"""One step at a time, with nothing made or freed: a stack of layers is prepared once, and a step is one call.

For a single step nothing is worth hoisting out of time, so the stages before the loop become stages of the loop: one
entry does a whole step of a layer, and its threads share the units of all products. States lie in two places, and
steps go to and fro between them; everything that differs between the two directions is prepared twice.
"""

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from weakref import WeakSet

import numpy as np
from torch import Tensor

from gatework.kernels.cpu.build import Library, compile_text
from gatework.kernels.cpu.code import Code
from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.cpu.rows import even_rows
from gatework.kernels.cpu.slots import FIXED, Slots
from gatework.kernels.cpu.target import Target
from gatework.kernels.cpu.team import team
from gatework.kernels.cpu.workspace import Workspace, sized
from gatework.kernels.plan import Plan

PROGRAM = (
    "parity",  # 0 or 1: from which of its two places the state is read
    "given",  # the address of the first outer input
    "feeds",  # what a table is told before a step: pairs of an address to read and one to write
    "feed_count",
    "links",  # for each layer, twice: its entry, its table, and how many threads run it
    "link_count",
    "parallel",  # OpenMP's GOMP_parallel; null for one thread
    "sources",  # for each parity, where the output is found
    "source_stride",  # bytes from row to row
    "target",  # where the output goes
    "rows",
    "row_bytes",
)
"""The argument of ``@advance``. What is prepared twice lies one behind the other, that of parity 1 second."""

WORTH = 1 << 17  # multiplications of a step from which a second thread pays; see docs/measured.md

_ADVANCE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


def step_plan(plan: Plan) -> Plan:
    """Give the plan of a single step: what is hoisted out of time comes back into it.

    Args:
        plan: The plan of a forward pass.

    Returns:
        A plan all of whose stages belong to the loop.
    """
    stages = [replace(stage, phase="each") for stage in plan.stages if stage.phase != "after"]
    return replace(plan, stages=tuple(stages))


@dataclass(frozen=True)
class Link:
    """A layer of a chain.

    Args:
        kernel: The kernel of its :func:`step_plan`.
        weights: Its parameters by name.
        sizes: The size behind each key.
        inputs: For each of its inputs where it comes from: the number of an outer input, or a lower link and the
            name of one of its states.
    """

    kernel: Kernel
    weights: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    inputs: Mapping[str, int | tuple[int, str]]


class Chain:
    """A stack of layers, prepared to go step by step.

    Args:
        links: The layers, lowest first.
        batch: B.
        like: A tensor of the type of all.

    Attributes:
        output: The output of the last step, [B, H]; every step writes it anew.
        given: Where the outer inputs lie, as addresses; the first is an argument of :attr:`advance`.
        threads: For each link, how many threads run it.
    """

    def __init__(self, links: Sequence[Link], batch: int, like: Tensor) -> None:
        self._links, self._batch = links, batch
        self._sized = [sized(link.kernel, link.sizes) for link in links]
        self._states = [
            {name: like.new_zeros(2 * batch, known.width(name)) for name in link.kernel.plan.step.states}
            for link, known in zip(links, self._sized, strict=True)
        ]
        outer = [source for link in links for source in link.inputs.values() if isinstance(source, int)]
        self.given = np.zeros(1 + max(outer, default=0), np.int64)
        self._feeds: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._calls: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] = ([], [])
        self._kept: list[object] = []
        self.threads: list[int] = []
        for number in range(len(links)):
            self._prepare(number, like)
        first = links[-1].kernel.plan.step.states[0]
        self.output = like.new_empty(batch, self._sized[-1].size(first))
        self._program = self._written(self._states[-1][first])
        self.advance = _advance(links[0].kernel.target)
        self.address = self._program.ctypes.data
        _CHAINS.add(self)

    def _prepare(self, number: int, like: Tensor) -> None:
        """Fill the tables of a link."""
        link, batch = self._links[number], self._batch
        work = Workspace(self._sized[number], even_rows(1, batch, False), like.dtype, batch, False, frozenset())
        if not _parallel() or batch * sum(one.size for one in self._sized[number].panels.values()) < WORTH:
            work.threads = 1
            work.table.set("split", 0)
        # Vectors are read where they lie: they are copied, so that all weights change together.
        weights = {name: one.detach().clone() if one.dim() == 1 else one.detach() for name, one in link.weights.items()}
        self._kept += [work, weights, work.load(weights)]
        work.chunk(0, batch)
        work.table.set("team", work.threads)
        work.table.set("team_function", work.table.team.size_function if work.threads > 1 else 0)
        work.table.set("times", work.times.ctypes.data)
        work.table.set("steps", 1)
        for parity in range(2):
            self._calls[parity].append(self._table(number, parity, work))
        self.threads.append(work.threads)

    def _table(self, number: int, parity: int, work: Workspace) -> tuple[int, int, int]:
        """Make the table for one of the two directions; give entry, table and threads."""
        link, batch, table = self._links[number], self._batch, work.table
        places = np.arange(2 * batch, dtype=np.int32).reshape(2, batch)
        before, here = places[parity], places[1 - parity]
        for name, store in self._states[number].items():
            table.point(name, store)
            table.set(f"before:{name}", before.ctypes.data)
            table.set(f"here:{name}", here.ctypes.data)
        for name, source in link.inputs.items():
            if isinstance(source, int):
                stride = self._sized[number].size(name)
                if name in link.kernel.plan.pointwise_reads:
                    stride = self._sized[number].width(name)
                table.set(f"stride:{name}", stride)
            else:
                below, state = source
                table.point(name, self._states[below][state][batch * (1 - parity) :])
        numbers = table.numbers.copy()
        for name, source in link.inputs.items():
            place = link.kernel.slots.get(f"base:{name}")
            if isinstance(source, int) and place is not None:
                reads = self.given.ctypes.data + 8 * source
                self._feeds[parity].append((reads, numbers.ctypes.data + 8 * place))
        self._kept += [numbers, places]
        return link.kernel.entries["each"], numbers.ctypes.data, work.threads

    def _written(self, store: Tensor) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        feeds, calls = np.array(self._feeds, np.int64), np.array(self._calls, np.int64)
        row = store.stride(0) * store.element_size()
        # A step of parity 0 writes the second place.
        sources = np.array([store.data_ptr() + self._batch * row, store.data_ptr()], np.int64)
        self._kept += [feeds, calls, sources]
        values = {
            "given": self.given.ctypes.data,
            "feeds": feeds.ctypes.data,
            "feed_count": feeds.shape[1],
            "links": calls.ctypes.data,
            "link_count": calls.shape[1],
            "parallel": _parallel(),
            "sources": sources.ctypes.data,
            "source_stride": row,
            "target": self.output.data_ptr(),
            "rows": self._batch,
            "row_bytes": self.output.shape[1] * self.output.element_size(),
        }
        self._calls_written = calls
        return np.array([values.get(name, 0) for name in PROGRAM], np.int64)

    def state(self, number: int) -> dict[str, Tensor]:
        """Give the states of a link, [B, size]: views that hold until the next step, and may be written to."""
        first = self._batch * int(self._program[0])
        known = self._sized[number]
        return {
            name: store[first : first + self._batch, : known.size(name)] for name, store in self._states[number].items()
        }

    def alone(self) -> None:
        """Run on one thread from now on: in a forked child, whose parent's threads are gone."""
        for parity in range(2):
            for number, (_, table, _) in enumerate(self._calls[parity]):
                self._calls_written[parity, number, 2] = 1
                _write(table, FIXED.index("team"), 1)
                _write(table, FIXED.index("team_function"), 0)
        self.threads = [1] * len(self.threads)


def _write(table: int, slot: int, value: int) -> None:
    ctypes.c_int64.from_address(table + 8 * slot).value = value


def advance_text(target: Target) -> str:
    """Write ``@advance(program, x)``: one step of all layers of a chain, and its output brought to its place.

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
        one = code.let(f"icmp eq i64 {threads}, 1")
        with code.when(one):
            code.do(f"call void {entry}(ptr {table})")
        with code.when(code.let(f"xor i1 {one}, true")):
            count = code.let(f"trunc i64 {threads} to i32")
            code.do(f"call void {slots.pointer(code, 'parallel')}(ptr {entry}, ptr {table}, i32 {count}, i32 0)")
    source = code.let(f"load ptr, ptr {code.offset(slots.pointer(code, 'sources'), parity, 'ptr')}")
    size = slots.integer(code, "row_bytes")
    with code.loop("0", slots.integer(code, "rows")) as row:
        here = code.offset(source, code.mul(row, slots.integer(code, "source_stride")), "i8")
        there = code.offset(slots.pointer(code, "target"), code.mul(row, size), "i8")
        code.let(f"call ptr @memcpy(ptr {there}, ptr {here}, i64 {size})")
    code.do(f"store i64 {code.let(f'xor i64 {parity}, 1')}, ptr {slots.address(code, 'parity')}")
    code.do("ret void")
    return "\n".join([code.text(), *declarations.values()]) + "\n"


def _part(code: Code, pointer: str, number: str, fields: int) -> str:
    """Give the address of an entry of a list, whose entries have so many fields of eight bytes."""
    return code.offset(pointer, code.mul(number, str(fields)), "i64")


@cache
def _advance(target: Target) -> Callable[[int, int], None]:
    library = Library(compile_text(advance_text(target), target), target)
    _KEPT.append(library)
    return _ADVANCE(library.address("advance"))


@cache
def _parallel() -> int:
    """Give the address of OpenMP's call on several threads; 0 without one."""
    function = team()._parallel
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0


def _after_fork() -> None:
    for chain in _CHAINS:
        chain.alone()


_CHAINS: WeakSet[Chain] = WeakSet()
_KEPT: list[Library] = []  # machine code lives as long as its library
with suppress(AttributeError):  # a system without fork has no such hook, and needs none
    os.register_at_fork(after_in_child=_after_fork)
