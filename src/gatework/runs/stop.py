"""Ctrl-C and SIGTERM: the step under way is finished and saved, then the run is left."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
    """Notice Ctrl-C and SIGTERM within a ``with`` block instead of dying of them.

    The first one is only noted in ``number``. It also puts back what was there before, so the second one, of either
    kind, has its usual effect and leaves at once. Outside the main thread signals cannot be noticed, and none is.
    One that is ignored stays so, as ``nohup`` and a shell's ``&`` ask.

    Args:
        patient: Ignore further signals instead: ``torchrun`` passes on to its processes what the terminal has sent them
            already, and kills them itself if they take too long.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.number = 0
        self._patient = patient
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        """Begin to notice."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put back what was there before."""
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        if not self._patient:
            self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
