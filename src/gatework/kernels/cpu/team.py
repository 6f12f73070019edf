"""Run a generated entry on several threads: torch's own, where they can be found.

torch's OpenMP threads wait actively after each operation; other threads would fight with them for the cores. So
kernels ask the same runtime for the same threads. Where there is none, or in a forked child, whose parent's threads
are gone, one thread does the work.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import torch

_RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Team:
    """A runtime that calls a function on several threads at once.

    Args:
        parallel: OpenMP's ``GOMP_parallel``; None to run on the calling thread.
        size_function: The address of ``omp_get_num_threads``; 0 without one.
    """

    def __init__(self, parallel: "ctypes._NamedFuncPointer | None", size_function: int) -> None:
        self._parallel = parallel
        self.size_function = size_function

    def threads(self) -> int:
        """Count the threads that will be asked for."""
        return torch.get_num_threads() if self._parallel is not None and os.getpid() == _pid else 1

    def run(self, address: int, table: int, threads: int) -> None:
        """Call an entry on all threads of a team, and wait for all."""
        if threads == 1 or self._parallel is None:
            _RUN(address)(table)
        else:
            self._parallel(address, table, threads, 0)


_pid = os.getpid()


@cache
def team() -> Team:
    """Find the runtime whose threads torch uses."""
    folder = Path(torch.__file__).parent
    for path in [*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]:
        library = ctypes.CDLL(str(path))
        parallel = library.GOMP_parallel
        parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        parallel.restype = None
        size = ctypes.cast(library.omp_get_num_threads, ctypes.c_void_p).value
        return Team(parallel, size or 0)
    return Team(None, 0)
