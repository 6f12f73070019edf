"""Processes that are copies of this one, for work that cannot be sent to another program as text."""

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import IO

Work = Callable[[IO[str], IO[str]], None]
# How often to look whether a process has ended, in seconds.
_LOOK_EVERY = 0.05
# The ends of pipes that this process writes to. A copy closes them; otherwise the other copies would never see an end.
_OURS: set[IO[str]] = set()


class Fork:
    """A copy of this process that does some work, with the interface of ``subprocess.Popen`` as far as a pool needs it.

    Args:
        work: The work: a function of the lines that come in and the lines that go out.
        errors: The file that gets what the work prints.
    """

    def __init__(self, work: Work, errors: IO[str]) -> None:
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        sys.stdout.flush()
        with warnings.catch_warnings():
            # Python warns of copies of a process with threads. The copy uses no lock that a thread here could hold: it
            # has pipes of its own, and torch's threads are not used.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            _live(work, theirs_in, theirs_out, errors.fileno(), (ours_in, ours_out))
        for descriptor in (theirs_in, theirs_out):
            os.close(descriptor)
        self.stdin: IO[str] = os.fdopen(ours_in, "w", encoding="utf-8")
        self.stdout: IO[str] = os.fdopen(ours_out, "r", encoding="utf-8")
        self._code: int | None = None
        _OURS.add(self.stdin)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code, or a signal as a negative number.

        Raises:
            TimeoutExpired: If it has not ended in time.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self._code is None:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if ended:
                self._code = os.waitstatus_to_exitcode(status)
            elif end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired("a copy of this process", timeout or 0)
            else:
                time.sleep(_LOOK_EVERY)
        return self._code

    def kill(self) -> None:
        """Kill the process, if it is still running."""
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)

    def communicate(self) -> None:
        """Close the pipes."""
        _OURS.discard(self.stdin)
        for file in (self.stdin, self.stdout):
            file.close()


def _live(work: Work, given: int, answers: int, errors: int, ours: tuple[int, int]) -> None:
    """Do the work and end, as the copy. Nothing of the original's own ends is run: its files are not this process's."""
    code = 1
    try:
        os.setsid()  # Ctrl-C reaches only the original, which ends its copies
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in (*ours, *(file.fileno() for file in _OURS if not file.closed)):
            os.close(descriptor)
        for standard in (1, 2):
            os.dup2(errors, standard)
        # In a notebook, the objects of these names belong to threads that a copy does not have.
        sys.stdout = sys.stderr = os.fdopen(os.dup(errors), "w", encoding="utf-8", errors="replace")
        # They are not closed: a thread of the work may still read, and would have to end first.
        lines, out = os.fdopen(given, encoding="utf-8"), os.fdopen(answers, "w", encoding="utf-8")
        work(lines, out)
        out.flush()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode("utf-8", errors="replace"))
    finally:
        os._exit(code)
