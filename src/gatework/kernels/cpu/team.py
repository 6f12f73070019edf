"""Run a generated entry on several threads: torch's own if possible, else Python's.

Torch's OpenMP threads wait actively after each operation, and would compete with other threads for the cores. So
kernels use the same threads of the same runtime. There, each calling thread has its own team, so callers do
not meet. Without such a runtime, Python's threads do the work: a call from ``ctypes`` releases the interpreter's
lock.

A forked child has none of its parent's threads, but the runtime that it inherits still counts on them. The child's
first parallel operation of torch, even outside of any kernel, would wait for ever. So just before a thread forks, the
runtime ends that thread's team. Parent and child each start new threads when they need them. If the runtime has no such
function, torch uses one thread in the child, and kernels run on Python's threads.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, local

import torch

from gatework.errors import KernelError

_HARD = 2  # omp_pause_hard
_RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Team:
    """A runtime that calls a function on several threads at once.

    Args:
        parallel: OpenMP's ``GOMP_parallel``; None for Python's threads.
        size_function: The address of ``omp_get_num_threads``; 0 without one.
        pause: OpenMP's ``omp_pause_resource_all``, which ends the caller's threads; None if the runtime has none.
    """

    def __init__(
        self,
        parallel: Callable[[int, int, int, int], None] | None,
        size_function: int,
        pause: Callable[[int], int] | None = None,
    ) -> None:
        self._parallel = parallel
        self._size_function = size_function
        self._pause = pause
        self._pid = os.getpid()  # the process that has OpenMP's threads
        self._forking = local()

    @property
    def size_function(self) -> int:
        """The address of the function that returns the size of a team; 0 if the size is the requested one."""
        return 0 if self._is_orphan() else self._size_function

    @property
    def parallel_function(self) -> int:
        """The address of OpenMP's call on several threads; 0 if it must not be called."""
        if self._parallel is None or self._is_orphan():
            return 0
        return ctypes.cast(self._parallel, ctypes.c_void_p).value or 0  # pyrefly: ignore[bad-argument-type]

    def threads(self) -> int:
        """Count the threads to request: as many as torch would use at this moment."""
        return torch.get_num_threads()

    def why(self) -> str:
        """Say which threads do the work, and why."""
        if self.threads() == 1:
            return "one thread, as torch is set to (torch.set_num_threads, or OMP_NUM_THREADS)"
        if self._is_orphan():
            return "threads of Python's, for this process was forked, and torch's threads stayed with its parent"
        if self._parallel is None:
            return (
                "threads of Python's, for this build of torch does not bring GNU's OpenMP, whose threads could be used"
            )
        return "torch's own threads"

    def run(self, address: int, table: int, threads: int) -> None:
        """Call an entry once on each thread of a team, and wait for all.

        Args:
            address: The entry, which takes the table.
            table: The address of its table.
            threads: The number of threads to request. OpenMP may give fewer, and tells the entry.

        Raises:
            KernelError: If the system gives no more threads.
        """
        if threads == 1:
            _RUN(address)(table)
        elif self._parallel is None or self._is_orphan():
            _run_on_own(address, table, threads)
        else:
            self._parallel(address, table, threads, 0)

    def before_fork(self) -> None:
        """End OpenMP's threads of this thread before it forks. It starts new ones when it needs them."""
        if self._pause is None:
            self._forking.clean = self._parallel is None
        else:
            self._forking.clean = not self._is_orphan() and self._pause(_HARD) == 0

    def in_child(self) -> None:
        """Go on in a forked child."""
        if self._forking.clean:
            self._pid = os.getpid()
        else:
            torch.set_num_threads(1)

    def _is_orphan(self) -> bool:
        """Tell whether this process was forked while OpenMP had threads, missing here but still counted on."""
        return os.getpid() != self._pid


@cache
def team() -> Team:
    """Find the runtime of torch's threads."""
    folder = Path(torch.__file__).parent
    for path in [*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]:
        library = ctypes.CDLL(str(path))
        parallel = library.GOMP_parallel
        parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        parallel.restype = None
        size = ctypes.cast(library.omp_get_num_threads, ctypes.c_void_p).value
        return Team(parallel, size or 0, getattr(library, "omp_pause_resource_all", None))  # OpenMP 5 has it
    return Team(None, 0)


# --- Python's threads


@dataclass
class _Task:
    """A call of an entry on several threads.

    Args:
        address: The entry.
        table: The address of its table.
        others: The workers that call it too, beside the caller.
        finished: Set when all have returned.
    """

    address: int
    table: int
    others: "list[_Worker]"
    finished: Future[None]


class _Worker:
    """A thread that works on tasks for as long as the process lives.

    Signals do not interrupt it, so it finishes every task that it begins.
    """

    def __init__(self) -> None:
        self.tasks: SimpleQueue[_Task] = SimpleQueue()
        Thread(target=self._work, name="gatework", daemon=True).start()

    def _work(self) -> None:
        while True:
            task = self.tasks.get()
            if task.finished.set_running_or_notify_cancel():
                shares = [_Task(task.address, task.table, [], Future()) for _ in task.others]
                for worker, share in zip(task.others, shares, strict=True):
                    worker.tasks.put(share)
                _RUN(task.address)(task.table)
                for share in shares:
                    share.finished.result()
                task.finished.set_result(None)


_idle: list[_Worker] = []


def _run_on_own(address: int, table: int, threads: int) -> None:
    """Call an entry on threads that no other caller uses until all have returned.

    The threads of a team wait for each other, so all must run. So each caller takes its own workers, and starts new
    ones if none is idle.
    """
    workers: list[_Worker] = []
    try:
        while len(workers) < threads:
            workers.append(_taken() or _Worker())
    except RuntimeError as error:
        _idle.extend(workers)
        raise KernelError(
            f"The system gave {len(workers)} of {threads} threads: {error}. Ask for fewer, torch.set_num_threads(1)."
        ) from error
    task = _Task(address, table, workers[1:], Future())
    try:
        workers[0].tasks.put(task)
        task.finished.result()
    finally:
        # Despite any interrupt, the memory behind the table must live until no thread uses it.
        while not task.finished.cancel() and not task.finished.done():
            with suppress(KeyboardInterrupt):  # the first one is on its way
                task.finished.result()
        _idle.extend(workers)


def _taken() -> _Worker | None:
    try:
        return _idle.pop()
    except IndexError:  # after a check beforehand, another thread could still be faster
        return None


def _in_child() -> None:
    _idle.clear()  # these threads are gone
    team().in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: team().before_fork(), after_in_child=_in_child)
