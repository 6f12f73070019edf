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

import torch
from tests import fence
from tests.fuzz.case import Case
from tests.fuzz.judge import Finding, Judge, Verdict

PATIENCE = 60.0  # seconds for a case; most take a tenth of one


@dataclass(frozen=True)
class Session:
    """Cases one after the other in one process.

    Args:
        cases: The cases.
        fenced: Whether buffers of kernels lie between guard pages.
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
    with tempfile.TemporaryFile() as said:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _live(session, writing, said.fileno(), stop_at_finding)
        os.close(writing)
        ended = _listen(reading, outcome)
        os.close(reading)
        if not ended:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        said.seek(0)
        words = said.read().decode(errors="replace")
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


def _listen(reading: int, outcome: Outcome) -> bool:
    """Collect verdicts until the child is done; False where it is too slow."""
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
            told = json.loads(line)
            finding = None if told["finding"] is None else Finding(**told["finding"])
            outcome.verdicts.append(Verdict(told["what"], finding, told["note"]))
            deadline = time.monotonic() + PATIENCE


def _live(session: Session, writing: int, said: int, stop_at_finding: bool) -> None:
    """Be the child: judge, tell, and end without coming back."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(said, 1)
        os.dup2(said, 2)
        faulthandler.enable(file=said)
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        with contextlib.ExitStack() as stack:
            if session.patch is not None:
                session.patch()
            if session.fenced:
                stack.enter_context(fence.around_kernels())
            judge = Judge()
            for case in session.cases:
                verdict = judge.judge(case)
                os.write(writing, (json.dumps(asdict(verdict)) + "\n").encode())
                if verdict.finding is not None and stop_at_finding:
                    break
                if verdict.note.startswith(("EquationError", "CellError")):  # so will be the others
                    break
            del judge
            gc.collect()
        status = 0
    except BaseException:
        traceback.print_exc()
        os.write(2, session.cases[0].text().encode())
    finally:
        os._exit(status)
