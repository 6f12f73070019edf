"""Guard pages around every buffer that a kernel is handed: to read or write beside one ends the process.

Memory that kernels write to is made by the library, and made here with pages around it that nobody may touch. What they
only read - inputs, weights, gradients that arrive, tables of rows - is copied between such pages where its address is
written down. A buffer ends where the next page begins, or begins where the last page ends; what is made without a value
holds NaN, so that a number that was never written shows.

The fence is at the end of what is made, and rows are made as wide as whole registers: to read to the end of a register
is by design, and what lies there is NaN as well.
"""

import ctypes
import mmap
import weakref
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from threading import RLock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatework.kernels.cpu import adjoint, layout, memory, operators, outers, streaming, workspace
from gatework.kernels.cpu.table import ArgumentTable
from gatework.nn.stream import Stream

SIDES = ("behind", "before")
_PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Area(mmap.mmap):
    """Pages between two that must not be touched."""


class Fence:
    """Makes buffers between guard pages.

    Args:
        side: Which side is exact: ``behind`` a buffer a page begins at once, or ``before`` it one ends.
    """

    def __init__(self, side: str) -> None:
        self.side = side
        self._starts: list[int] = []  # where each area begins, in order
        self._ends: dict[int, int] = {}
        self._lock = RLock()  # an area may go at any moment, in any thread

    def area(self, size: int) -> tuple[Area, int]:
        """Make an area; give it with the place in it at which so many bytes begin."""
        pages = max(1, -(-size // _PAGE))
        # Private, as all memory is: a forked child has a copy, rather than its parent's.
        area = Area(-1, (pages + 2) * _PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        start = ctypes.addressof(ctypes.c_char.from_buffer(area))
        for place in (start, start + (pages + 1) * _PAGE):
            if _libc.mprotect(place, _PAGE, 0):
                raise OSError(ctypes.get_errno(), "a page cannot be guarded")
        with self._lock:
            insort(self._starts, start)
            self._ends[start] = start + (pages + 2) * _PAGE
        weakref.finalize(area, self._forget, start)
        return area, _PAGE + (pages * _PAGE - size if self.side == "behind" else 0)

    def _forget(self, start: int) -> None:
        with self._lock:
            del self._starts[bisect_right(self._starts, start) - 1], self._ends[start]

    def holds(self, address: int) -> bool:
        """Say whether an address lies in an area of this fence."""
        with self._lock:
            place = bisect_right(self._starts, address) - 1
            return place >= 0 and address < self._ends[self._starts[place]]

    def tensor(self, shape: tuple[int, ...], dtype: torch.dtype, stride: tuple[int, ...] | None = None) -> Tensor:
        """Make a tensor whose numbers are NaN, or as far from any use where they are whole."""
        shape = tuple(int(one) for one in shape)
        stride = torch.empty(shape, device="meta").stride() if stride is None else stride
        count = 0 if 0 in shape else 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if not count:
            return torch.empty(shape, dtype=dtype)
        area, offset = self.area(count * dtype.itemsize)
        whole = torch.frombuffer(area, dtype=dtype, count=count, offset=offset)
        whole.fill_(float("nan") if dtype.is_floating_point else -(1 << 30))
        return whole.as_strided(shape, stride)

    def copy(self, tensor: Tensor) -> Tensor:
        """Copy a tensor between guard pages, its strides kept; one that lies there already is given as it is."""
        tensor = tensor.detach()
        if not tensor.numel() or self.holds(tensor.data_ptr()):
            return tensor
        found = self.tensor(tuple(tensor.shape), tensor.dtype, tensor.stride())
        there, here = found, tensor
        for axis, step in enumerate(tensor.stride()):
            if step == 0:  # one number stands for all along this axis
                there, here = there.narrow(axis, 0, 1), here.narrow(axis, 0, 1)
        there.copy_(here)
        return found

    def array(self, values: np.ndarray) -> np.ndarray:
        """Copy an array between guard pages."""
        if not values.size:
            return values
        area, offset = self.area(values.nbytes)
        found = np.frombuffer(area, values.dtype, values.size, offset).reshape(values.shape)
        found[...] = values
        return found

    def all_arrays(self, held: Any) -> Any:
        """Copy the arrays that a dataclass holds, and those of the dataclasses in it."""
        if isinstance(held, np.ndarray):
            return self.array(held)
        if isinstance(held, tuple):
            return tuple(self.all_arrays(one) for one in held)
        if not is_dataclass(held) or isinstance(held, type):
            return held
        return replace(held, **{one.name: self.all_arrays(getattr(held, one.name)) for one in fields(held) if one.init})


class _Torch:
    """Stands for torch in a module of the kernels: what it makes lies between guard pages."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def empty(self, *shape: Any, dtype: torch.dtype | None = None, device: Any = "cpu", **options: Any) -> Tensor:
        sizes = shape[0] if shape and not isinstance(shape[0], int) else shape
        plain = not options and device == "cpu" and all(type(size) is int for size in sizes) and not _watched()
        if not plain:
            return torch.empty(*shape, dtype=dtype, device=device, **options)
        return self._fence.tensor(tuple(sizes), dtype or torch.get_default_dtype())

    def zeros(self, *shape: Any, dtype: torch.dtype | None = None, **options: Any) -> Tensor:
        return self.empty(*shape, dtype=dtype, **options).zero_()

    def empty_like(self, like: Tensor, **options: Any) -> Tensor:
        if type(like) not in (Tensor, torch.nn.Parameter) or like.device.type != "cpu" or _watched():
            return torch.empty_like(like, **options)
        return self._fence.tensor(tuple(like.shape), like.dtype)

    def zeros_like(self, like: Tensor, **options: Any) -> Tensor:
        return self.empty_like(like, **options).zero_()


def _watched() -> bool:
    """Say whether torch only looks at what would be made, or makes something else of it."""
    return bool(torch._C._len_torch_dispatch_stack()) or torch._C._are_functorch_transforms_active()


class _FencedTable(ArgumentTable):
    """A table that takes addresses of fenced buffers alone."""

    fence: Fence

    def __init__(self, kernel: Any) -> None:
        self._fenced: dict[str, object] = {}  # by name: what is copied lives until the next takes its place
        super().__init__(kernel)

    def point(self, name: str, tensor: Tensor, first: int = 0, index: Any = None) -> None:
        """Copy what is only read; what is written must have been made between guard pages."""
        fence = self.fence
        if tensor.numel() and not fence.holds(tensor.data_ptr()):
            step = self.kernel.plan.step
            if name not in (*step.inputs, *step.banks) and f"base:{name}" in self.kernel.slots:
                raise AssertionError(f"`{name}` is written by a kernel and lies outside of the fence")
            tensor = self._fenced[name] = fence.copy(tensor)
        super().point(name, tensor, first, index)

    def jobs(self, entry: str, jobs: np.ndarray, threads: int) -> None:
        """Copy the list of jobs."""
        self._jobs = jobs = self.fence.array(jobs)  # apart from the others: an input may be called jobs
        super().jobs(entry, jobs, threads)


@contextmanager
def around_kernels(side: str = "behind") -> Iterator[Fence]:
    """Put the fence around every buffer of every kernel that runs meanwhile.

    Args:
        side: As for :class:`Fence`.
    """
    fence = Fence(side)
    stands_for_torch = _Torch(fence)
    table = type("FencedTable", (_FencedTable,), {"fence": fence})
    changed: list[tuple[Any, str, Any]] = [
        *((module, "torch", stands_for_torch) for module in (adjoint, memory, operators, outers, workspace)),
        (workspace, "ArgumentTable", table),
        (memory, "lasting_room", _rooms(fence)),
        (memory, "room", _rooms(fence)),
        (workspace, "lay_out_panels", _arrays_of(fence, workspace.lay_out_panels)),
        (layout, "even_rows", _arrays_of(fence, layout.even_rows)),
        (layout, "lay_out", _arrays_of(fence, layout.lay_out)),
        (streaming, "even_rows", _arrays_of(fence, streaming.even_rows)),
        (workspace.Workspace, "load", _load(fence, workspace.Workspace.load)),
        (streaming.Chain, "__init__", _chain(fence, streaming.Chain.__init__)),
        (Stream, "step", _step(fence, Stream.step)),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changed]
    for owner, name, value in changed:
        setattr(owner, name, value)
    try:
        yield fence
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _rooms(fence: Fence) -> Callable[[list[tuple[int, int]], torch.dtype], list[Tensor]]:
    """Make every matrix by itself, where the library makes several in one piece."""
    return lambda sizes, dtype: [fence.tensor(size, dtype) for size in sizes]


def _arrays_of(fence: Fence, make: Callable[..., Any]) -> Callable[..., Any]:
    """Copy the arrays of what is made; of one thing the same copy is given every time."""
    known: dict[int, tuple[Any, Any]] = {}

    def made(*given: Any) -> Any:
        found = make(*given)
        if id(found) not in known:
            if len(known) > 256:
                known.clear()
            known[id(found)] = (found, fence.all_arrays(found))
        return known[id(found)][1]

    return made


def _load(fence: Fence, load: Callable[..., Any]) -> Callable[..., Any]:
    """Give a kernel copies of the weights: at new places every time, so that they are packed anew."""

    def loaded(work: Any, weights: Any) -> list[object]:
        names = {*work._vectors, *(name for name, _, _ in work._matrices)}
        copies = {name: fence.copy(weights[name]) for name in names}
        return [load(work, copies), copies]

    return loaded


def _chain(fence: Fence, begin: Callable[..., None]) -> Callable[..., None]:
    """Let a chain make its own tensors between guard pages."""

    def begun(chain: Any, links: Any, batch: int, like: Tensor, output: Tensor) -> None:
        class Like:
            dtype, device = like.dtype, like.device

            @staticmethod
            def new_zeros(*shape: int) -> Tensor:
                return fence.tensor(shape, like.dtype).zero_()

        begin(chain, links, batch, Like, output)

    return begun


def _step(fence: Fence, step: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give a stream copies of its inputs."""

    def stepped(stream: Any, input: Any) -> Tensor:
        given = input
        if isinstance(input, Tensor) and input.device.type == "cpu":
            given = fence.copy(input)
        elif isinstance(input, tuple):
            given = tuple(
                fence.copy(one) if isinstance(one, Tensor) and one.device.type == "cpu" else one for one in input
            )
        found = step(stream, given)
        stream._given_last = given
        return found

    return stepped
