"""Ctrl-C, SIGTERM and Windows' Ctrl-Break: the run finishes the current step, saves a checkpoint and ends."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from gatework.system import STOP_SIGNALS


class StopSignals:
    """Record Ctrl-C, SIGTERM and Ctrl-Break within a ``with`` block instead of ending the process.

    The first signal is only recorded in ``number``. It also restores the previous handlers, so the second signal, of
    either kind, has its usual effect and ends the process at once. Outside the main thread, signals cannot be caught,
    and the class does nothing. A signal that is ignored stays ignored, as ``nohup`` and the shell's ``&`` require.

    Args:
        patient: Ignore further signals instead. ``torchrun`` passes on signals that the terminal has already sent to
            its processes, and kills processes itself if they take too long.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.number = 0
        self._patient = patient
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the previous handlers."""
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        if not self._patient:
            self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
