"""The one argument of a kernel's entries, filled from Python, and the calls themselves."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.cpu.team import team


class Table:
    """Pointers and numbers for a kernel's entries.

    Args:
        kernel: The kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.numbers = np.zeros(len(kernel.slots), np.int64)
        self.places: dict[str, tuple[int, int, int]] = {}  # base, stride and index of what has rows
        self.bytes = 4 if kernel.dtype == "float32" else 8
        self.team = team()
        self._address = self.numbers.ctypes.data
        self._slots = kernel.slots
        self._call = tuple(kernel.slots[name] for name in ("ticket", "arrived", "team", "team_function"))
        self.set("tiles", kernel.shared["tiles"])

    def set(self, name: str, value: int) -> None:
        """Write a number where the kernel has a slot of that name."""
        place = self._slots.get(name)
        if place is not None:
            self.numbers[place] = value

    def point(self, name: str, tensor: Tensor, first: int = 0, index: int = 0) -> None:
        """Say where a value lies; whoever calls keeps the tensor alive.

        Args:
            name: The value.
            tensor: [rows, size], the last axis contiguous.
            first: Which row of the value is the tensor's first.
            index: The address of an index by which its rows are found; 0 without one.
        """
        stride = tensor.stride(0)
        base = tensor.data_ptr() - first * stride * self.bytes
        self.places[name] = (base, stride, index)
        place = self._slots.get(f"base:{name}")
        if place is not None:
            self.numbers[place] = base
            self.set(f"stride:{name}", stride)
            if index:
                self.set(f"index:{name}", index)

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
        ticket, arrived, size, function = self._call
        numbers = self.numbers
        numbers[ticket] = numbers[arrived] = 0
        numbers[size] = threads
        numbers[function] = self.team.size_function if threads > 1 else 0
        self.team.run(address, self._address, threads)
