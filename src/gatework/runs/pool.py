"""A pool of processes, one for each core. A process that dies is replaced.

A process receives a piece of work as one line of JSON on standard input, and answers with lines of JSON on standard
output. An answer with the key ``progress`` is followed by others. Any other answer is the last one for this work, and
the process is then free for the next. The pool does not interpret the other contents of a line.
"""

import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from gatework.errors import RunError
from gatework.runs.forked import Fork, Work
from gatework.system import apart

# Seconds that a process may take to end.
_PATIENCE = 10
# The number of last lines of a dead process that are reported.
_LAST_LINES = 3
# One core for each process: more threads would only compete with one another.
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Answer:
    """The answer of a process.

    Args:
        number: The number of the work.
        message: The message; None if the process has died.
        died: How the process ended: its exit code or signal, and the last lines of its errors.
    """

    number: int
    message: Mapping[str, Any] | None
    died: str = ""


class Pool:
    """Processes that work side by side.

    Args:
        size: The number of processes.
        command: The command that starts one; or a function that a copy of this process runs, with the lines that come
            in and those that go out.
    """

    def __init__(self, size: int, command: Sequence[str] | Work) -> None:
        self.size = size
        self._command = command
        self._answers: queue.SimpleQueue[tuple[_Process, str]] = queue.SimpleQueue()
        self._idle: list[_Process] = []
        self._busy: dict[_Process, int] = {}

    @property
    def free(self) -> int:
        """The number of pieces of work that the pool can take now."""
        return self.size - len(self._busy)

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the current work."""
        return frozenset(self._busy.values())

    def give(self, number: int, message: Mapping[str, Any]) -> None:
        """Give work to an idle process, or start one.

        Args:
            number: A number for the work, which its answers will have.
            message: The message to the process.

        Raises:
            RunError: If no process can be started.
        """
        process = self._idle.pop() if self._idle else self._start()
        self._busy[process] = number
        process.tell(message)

    def wait(self, seconds: float) -> Answer | None:
        """Wait for the next answer.

        Args:
            seconds: The longest time to wait.

        Returns:
            The answer; None if there was none in time.
        """
        try:
            process, line = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        number = self._busy.get(process)
        if number is None:  # an idle process has died; it is replaced when one is needed
            self._idle = [other for other in self._idle if other is not process]
            process.end()
            return None
        try:
            message = json.loads(line)
        except ValueError:  # the end of the output, or half a line before the end
            del self._busy[process]
            return Answer(number, None, process.died())
        if "progress" not in message:
            del self._busy[process]
            self._idle.append(process)
        return Answer(number, message)

    def close(self) -> None:
        """Kill all processes, even if they are working."""
        for process in (*self._busy, *self._idle):
            process.end()
        self._busy, self._idle = {}, []

    def _start(self) -> "_Process":
        try:
            return _Process(self._command, lambda process, line: self._answers.put((process, line)))
        except OSError as error:
            raise RunError(f"A process could not be started: {error.strerror}.") from error


class _Process:
    """A process of the pool, and the thread that reads its output."""

    def __init__(self, command: Sequence[str] | Work, heard: "Callable[[_Process, str], None]") -> None:
        # A file, not a pipe, so that the process never waits for a reader. It is closed when the process has ended.
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = Fork(command, self._errors) if callable(command) else _start(command, self._errors)
        self._listener = threading.Thread(target=self._listen, args=(heard,), daemon=True)
        self._listener.start()

    def _listen(self, heard: "Callable[[_Process, str], None]") -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            heard(self, line)
        heard(self, "")

    def tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the process has died; the end of its output reports it
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def died(self) -> str:
        """Describe how the process ended."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return self.end() or "its output ended, and it did not"
        self._errors.seek(0)
        said = [line.strip() for line in self._errors.read().splitlines() if line.strip()][-_LAST_LINES:]
        self.end()
        return "; ".join([f"signal {-code}" if code < 0 else f"exit code {code}", *said])

    def end(self) -> None:
        """Kill the process, if it is still running."""
        self._process.kill()
        self._process.wait()
        self._listener.join(_PATIENCE)
        with suppress(BrokenPipeError):  # a message may still be waiting
            self._process.communicate()
        self._errors.close()


def _start(command: Sequence[str], errors: IO[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        encoding="utf-8",
        env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        **apart(),  # Ctrl-C reaches only the parent, which ends its processes
    )
