"""Work that runs side by side: each piece in a process of its own, on one thread, so that it gives the same again."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from pathlib import Path
from typing import Any

from evidence.claim import Context
from gatework.runs.files import write_file

ROOT = Path(__file__).parent.parent
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class JobError(RuntimeError):
    """A piece of work failed; the message has what it said last."""


def run_jobs(context: Context, work: str, settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Run one kind of work with several settings; what a stopped run has finished is not done again.

    Args:
        context: Where, and how many at a time.
        work: The kind, a key of :data:`evidence.worker.WORK`.
        settings: The settings of each piece, as plain data.

    Returns:
        What each piece gave, in the order of the settings; ``seconds``, its processor time, is always among it.

    Raises:
        JobError: When one fails; those that run are ended first.
    """
    pieces = [_Piece(context.folder, work, given) for given in settings]
    with ThreadPoolExecutor(context.workers) as pool:
        futures = [pool.submit(piece.run) for piece in pieces]
        try:
            for count, future in enumerate(as_completed(futures), start=1):
                future.result()
                context.tell(f"{work} {count} of {len(pieces)}")
        except BaseException:
            for future in futures:
                future.cancel()
            for piece in pieces:
                piece.end()
            raise
    return [future.result() for future in futures]


class _Piece:
    """One process, and the file that keeps what it gave."""

    def __init__(self, folder: Path, work: str, settings: Mapping[str, Any]) -> None:
        self._work = work
        self._told = json.dumps(dict(settings), sort_keys=True)
        self._kept = folder / f"{work}-{sha256(self._told.encode()).hexdigest()[:16]}.json"
        self._process: subprocess.Popen[str] | None = None
        self._ended = False
        self._lock = threading.Lock()

    def run(self) -> dict[str, Any]:
        if self._kept.exists():
            return json.loads(self._kept.read_text(encoding="utf-8"))
        command = [sys.executable, "-m", "evidence.worker", self._work]
        with self._lock:
            if self._ended:
                raise JobError(f"{self._work} was not begun: another piece failed")
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | _ONE_THREAD,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        found, said = self._process.communicate(self._told)
        if self._process.returncode:
            last = said.strip().splitlines()[-1] if said.strip() else f"exit code {self._process.returncode}"
            raise JobError(f"`{' '.join(command[1:])}` failed with {self._told}: {last}")
        write_file(self._kept, found.encode("utf-8"))
        return json.loads(found)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
