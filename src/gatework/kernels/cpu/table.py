"""The only argument of a kernel's entries, filled by Python, and the calls of entries."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.cpu import bounds
from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.cpu.team import team


class ArgumentTable:
    """Pointers and numbers for a kernel's entries.

    Args:
        kernel: The kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.numbers = np.zeros(len(kernel.slots), np.int64)
        self.places: dict[str, tuple[int, int, int]] = {}  # base, stride and index of each value with rows
        self.bytes = 4 if kernel.dtype == "float32" else 8
        self.team = team()
        self.bounds = bounds.Bounds(kernel, self.numbers) if bounds.asked() else None
        self._address = self.numbers.ctypes.data
        self._slots = kernel.slots
        self._call = tuple(kernel.slots[name] for name in ("ticket", "arrived", "team", "team_function"))
        self.set("tiles", kernel.shared["tiles"])

    def set(self, name: str, value: int) -> None:
        """Set a number, if the kernel has a slot of that name."""
        place = self._slots.get(name)
        if place is not None:
            self.numbers[place] = value

    def lay(self, name: str, memory: Tensor | NDArray[Any]) -> None:
        """Set the address of a list of numbers, which the caller keeps alive."""
        self.set(name, memory.data_ptr() if isinstance(memory, Tensor) else memory.ctypes.data)
        if self.bounds is not None:
            self.bounds.note(name, memory)

    def point(self, name: str, tensor: Tensor, first: int = 0, index: NDArray[np.int32] | None = None) -> None:
        """Set the address of a value, whose tensor the caller keeps alive.

        Args:
            name: The value.
            tensor: [rows, size], the last axis contiguous.
            first: The row of the value that is the tensor's first row.
            index: The index that finds its rows, if there is one.
        """
        stride = tensor.stride(0)
        base = tensor.data_ptr() - first * stride * self.bytes
        self.places[name] = (base, stride, 0 if index is None else index.ctypes.data)
        place = self._slots.get(f"base:{name}")
        if place is not None:
            self.numbers[place] = base
            self.set(f"stride:{name}", stride)
        if self.bounds is not None:
            self.bounds.note(f"base:{name}", tensor)
        if index is not None:
            self.lay(f"index:{name}", index)

    def know(self, kind: str, memory: Iterable[Tensor]) -> None:
        """Tell the check of bounds, and nothing else, which memory jobs read or write."""
        if self.bounds is not None:
            self.bounds.know(kind, memory)

    def jobs(self, entry: str, jobs: NDArray[np.int64], threads: int) -> None:
        """Run an entry of the library over a list of jobs."""
        if len(jobs):
            self.set("jobs", jobs.ctypes.data)
            self.set("count", len(jobs))
            if self.bounds is not None:
                self.bounds.jobs(entry, jobs)
            self.call(self.kernel.shared[entry], min(threads, len(jobs)))

    def run(self, entry: str, threads: int) -> None:
        """Run an entry of the kernel."""
        if self.bounds is not None:
            self.bounds.run(entry, threads)
        self.call(self.kernel.entries[entry], threads)

    def call(self, address: int, threads: int) -> None:
        """Call an entry on a team of threads."""
        ticket, arrived, size, function = self._call
        numbers = self.numbers
        numbers[ticket] = numbers[arrived] = 0
        numbers[size] = threads
        numbers[function] = self.team.size_function if threads > 1 else 0
        self.team.run(address, self._address, threads)
