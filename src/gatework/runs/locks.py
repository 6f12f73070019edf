"""Lock a directory, so that only one process at a time writes it."""

import os
from pathlib import Path
from typing import IO

from gatework.errors import RunError
from gatework.system import try_lock


class Lock:
    """The lock of a run directory. The system releases it when the process ends, for whatever reason.

    Args:
        path: The lock file. If somebody removes it, a second process can take the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] = path.open("a+", encoding="utf-8")
        if not try_lock(self._file):
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise RunError(
                f"Run directory '{path.parent}' is being written by another process ({holder or 'unknown'}). "
                "Wait for it, or choose another directory with --run."
            )
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def check(self) -> None:
        """Make sure that this process still has the lock.

        Raises:
            RunError: If the file was removed or replaced, so that another process may be writing.
        """
        try:
            held = os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            held = False
        if not held:
            raise RunError(
                f"The lock '{self._path}' was removed or replaced while this process held it, so that another one may "
                "write here too; expected it to stay as long as the run is written. This process has stopped writing. "
                "Make sure that no other one writes, and run the same command again."
            )

    def release(self) -> None:
        """Release the lock."""
        self._file.close()
