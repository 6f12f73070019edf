"""Sessions in processes of their own: what ends a process is a finding, and no session spoils another."""

import contextlib
import faulthandler
import gc
import json
import os
import resource
import select
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from tests import fence
from tests.fuzz.case import Case
from tests.fuzz.judge import Finding, Judge, Verdict

from gatework.kernels.cpu import bounds

PATIENCE = 60.0  # seconds for a case; most take a tenth of one


@dataclass(frozen=True)
class Session:
    """Cases one after the other in one process.

    Args:
        cases: The cases.
        fenced: Whether buffers of kernels lie between guard pages, and the bounds of their accesses are checked.
        patch: What is done in the process first: a test plants a fault.
    """

    cases: tuple[Case, ...]
    fenced: bool = False
    patch: Callable[[], None] | None = None


@dataclass
class Outcome:
    """What became of a session.

    Args:
        verdicts: One for each case that was reached.
        trouble: What the harness itself stumbled over; it is a fault of the campaign's own.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    trouble: str = ""

    @property
    def finding(self) -> Finding | None:
        """Give the first finding."""
        return next((one.finding for one in self.verdicts if one.finding is not None), None)


def run(session: Session, stop_at_finding: bool = True) -> Outcome:
    """Run a session in a child of this process, which must not have computed anything with torch itself.

    Args:
        session: The session.
        stop_at_finding: Whether what follows a finding is left out.

    Returns:
        The verdicts, the last of them a crash or a hang where there was one.
    """
    outcome = Outcome()

    def hear(told: dict[str, Any]) -> None:
        finding = None if told["finding"] is None else Finding(**told["finding"])
        outcome.verdicts.append(Verdict(told["what"], finding, told["note"]))

    ended, status, words = fork(lambda tell: _judge(session, tell, stop_at_finding), hear)
    if not ended:
        outcome.verdicts.append(Verdict("found", Finding("hang", _call(session, outcome), f"{PATIENCE:.0f} s")))
    elif os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        outcome.verdicts.append(Verdict("found", Finding("crash", _call(session, outcome), f"{name}: {_place(words)}")))
    elif os.WEXITSTATUS(status):
        outcome.trouble = words[-2000:]
    return outcome


def _call(session: Session, outcome: Outcome) -> str:
    done = min(len(outcome.verdicts), len(session.cases) - 1)
    return session.cases[done].call


def _place(words: str) -> str:
    """Find where a process ended, in what Python's faulthandler wrote."""
    lines = [line.strip() for line in words.splitlines()]
    inside = [line for line in lines if "/gatework/" in line or "/fuzz/" in line]
    glibc = [line for line in lines if "glibc" in line or "malloc" in line or "free()" in line or "corrupted" in line]
    place = inside[0].rsplit("/", 1)[-1].replace('"', "") if inside else "no place known"
    return " ".join([*glibc[:1], place])


def fork(
    work: Callable[[Callable[[dict[str, Any]], None]], None], hear: Callable[[dict[str, Any]], None]
) -> tuple[bool, int, str]:
    """Do work in a child of this process, and hear what it tells.

    Args:
        work: What the child does; it is given what to tell with.
        hear: Called with what is told, as it comes.

    Returns:
        Whether the child ended before patience did, its status as ``waitpid`` gives it, and what it wrote.
    """
    with tempfile.TemporaryFile() as said:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _live(work, writing, said.fileno())
        os.close(writing)
        ended = _listen(reading, hear)
        os.close(reading)
        if not ended:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        said.seek(0)
        return ended, status, said.read().decode(errors="replace")


def _listen(reading: int, hear: Callable[[dict[str, Any]], None]) -> bool:
    """Hear what is told until the child is done; False where it is too slow."""
    held = b""
    deadline = time.monotonic() + PATIENCE
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return False
        part = os.read(reading, 1 << 16)
        if not part:
            return True
        *lines, held = (held + part).split(b"\n")
        for line in lines:
            hear(json.loads(line))
            deadline = time.monotonic() + PATIENCE


def _live(work: Callable[[Callable[[dict[str, Any]], None]], None], writing: int, said: int) -> None:
    """Be the child: work, tell, and end without coming back."""

    def tell(told: dict[str, Any]) -> None:
        os.write(writing, (json.dumps(told) + "\n").encode())

    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(said, 1)
        os.dup2(said, 2)
        faulthandler.enable(file=said)
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", bounds.VARIABLE)
        torch.set_num_threads(1)
        work(tell)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _judge(session: Session, tell: Callable[[dict[str, Any]], None], stop_at_finding: bool) -> None:
    """Judge the cases of a session."""
    with contextlib.ExitStack() as stack:
        if session.patch is not None:
            session.patch()
        if session.fenced:
            os.environ[bounds.VARIABLE] = "1"
            stack.enter_context(fence.around_kernels())
        judge = Judge()
        for case in session.cases:
            try:
                verdict = judge.judge(case)
            except Exception:
                print(case.text())
                raise
            tell(asdict(verdict))
            if verdict.finding is not None and stop_at_finding:
                break
            if verdict.note.startswith(("EquationError", "CellError")):  # so will be the others
                break
        del judge
        gc.collect()
