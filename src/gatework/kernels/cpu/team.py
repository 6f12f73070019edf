"""Run a generated entry on several threads: torch's own, where they can be had, else threads of Python's.

torch's OpenMP threads wait actively after each operation; other threads would fight with them for the cores. So
kernels ask the same runtime for the same threads. Each thread that calls has a team of its own there, so callers do
not meet. Where there is no such runtime, threads of Python's do the work: a call from ``ctypes`` lets go of the
interpreter.

A forked child has none of its parent's threads, while the runtime it inherits still counts on them: the child's first
operation of torch that wants threads, even outside of any kernel, would wait for ever. So the runtime is told to end
the threads of the thread that forks, just before it does: parent and child each start new ones when they need them.
Where the runtime cannot be told, torch is set to one thread in the child, and kernels run on threads of Python's.
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
        parallel: OpenMP's ``GOMP_parallel``; None to call on threads of Python's.
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
        self._pid = os.getpid()  # the process whose threads OpenMP counts on
        self._forking = local()

    @property
    def size_function(self) -> int:
        """The address of what tells a thread the size of its team; 0 if it is the size that was asked for."""
        return 0 if self._is_orphan() else self._size_function

    @property
    def parallel_function(self) -> int:
        """The address of OpenMP's call on several threads; 0 if it must not be called."""
        if self._parallel is None or self._is_orphan():
            return 0
        return ctypes.cast(self._parallel, ctypes.c_void_p).value or 0  # pyrefly: ignore[bad-argument-type]

    def threads(self) -> int:
        """Count the threads that will be asked for: as many as torch would take at this moment."""
        return torch.get_num_threads()

    def why(self) -> str:
        """Say which threads do the work, and for what reason."""
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
            threads: How many threads there are to be. OpenMP may give fewer, and tells the entry.

        Raises:
            KernelError: If the system gives no further thread.
        """
        if threads == 1:
            _RUN(address)(table)
        elif self._parallel is None or self._is_orphan():
            _run_on_own(address, table, threads)
        else:
            self._parallel(address, table, threads, 0)

    def before_fork(self) -> None:
        """End the threads that OpenMP keeps for this thread, which forks; it starts new ones when it needs them."""
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
        """Tell whether this process was forked while OpenMP kept threads, which are not here and still counted on."""
        return os.getpid() != self._pid


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
        return Team(parallel, size or 0, getattr(library, "omp_pause_resource_all", None))  # OpenMP 5 has it
    return Team(None, 0)


# --- threads of Python's


@dataclass
class _Task:
    """A call of an entry on several threads.

    Args:
        address: The entry.
        table: The address of its table.
        others: The workers that call it too, beside the one that has the task.
        finished: Set when all have returned.
    """

    address: int
    table: int
    others: "list[_Worker]"
    finished: Future[None]


class _Worker:
    """A thread that works off tasks for as long as the process lives.

    Signals never interrupt it, so a task that has begun is also ended.
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
    """Call an entry on threads that nobody else uses until all are done.

    The threads of a team wait for each other, so all must run: each caller takes workers of its own, and new ones
    are started where none is idle.
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
        # Whatever interrupts, what the table points to must live until nobody works on it any more.
        while not task.finished.cancel() and not task.finished.done():
            with suppress(KeyboardInterrupt):  # the first one is on its way
                task.finished.result()
        _idle.extend(workers)


def _taken() -> _Worker | None:
    try:
        return _idle.pop()
    except IndexError:  # asked beforehand, another thread could have been faster
        return None


def _in_child() -> None:
    _idle.clear()  # these threads are gone
    team().in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: team().before_fork(), after_in_child=_in_child)
