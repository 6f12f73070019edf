"""How much of the processors others had while something was measured.

Two threads that wait for each other take a hundred times as long when a third wants their cores, and every turn of the
measurement alike: neither the median nor the least shows it. So it is read from the system's own accounts.
"""

import os
import time
from pathlib import Path

_ACCOUNTS = Path("/proc/stat")
_TICK = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01  # seconds; the accounts know no less
_BUSY = (0, 1, 2, 5, 6, 7)  # of a line's columns: user, nice, system, interrupts, soft interrupts, stolen by the host
MOST = 0.05  # above this share of the processors, times say nothing


class Bystanders:
    """Watches from when it is made."""

    def __init__(self) -> None:
        self._wall, self._own, self._all = time.perf_counter(), time.process_time(), _busy_seconds()

    def share(self) -> float | None:
        """Give the share of our processors that other processes had since; None where the system keeps no accounts.

        What the accounts are too coarse to tell counts as nobody's.
        """
        busy = _busy_seconds()
        if busy is None or self._all is None:
            return None
        processors = len(os.sched_getaffinity(0))
        others = busy - self._all - (time.process_time() - self._own) - _TICK * processors
        return max(0.0, others) / (processors * (time.perf_counter() - self._wall))


def _busy_seconds() -> float | None:
    """Add up for how long the processors that we may use have been busy since the system started."""
    if not _ACCOUNTS.exists():
        return None
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in _ACCOUNTS.read_text(encoding="ascii").splitlines())
    return _TICK * sum(int(columns[1 + place]) for columns in lines if columns[0] in ours for place in _BUSY)
