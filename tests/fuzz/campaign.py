"""Sessions for as long as there is time, counted; what fails is made small and written down as a script."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.case import Case
from tests.fuzz.children import Outcome, Session, fork, run
from tests.fuzz.grammar import draw_session
from tests.fuzz.hostile import TARGETS, Target, attempts
from tests.fuzz.judge import Finding
from tests.fuzz.shrink import shrink

ATTEMPTS = 60  # of one target in one process
_COUNTERS = ("counts", "calls", "features", "notes", "findings")
MOST_ALIKE = 3  # findings of one kind that are made small; the rest are counted


@dataclass
class Report:
    """What a campaign has come to.

    Args:
        seed: What it was drawn from.
        seconds: How long it took.
        sessions: How many processes there were.
        counts: How many cases there were, by what became of them.
        calls: How many cases were compared, by call.
        features: How many of these have outputs, sizes of their own, and each connection of layers.
        notes: Why cases were refused or not compared in every number.
        findings: How many there were, by kind and place.
        scripts: Where the small ones are written down.
        trouble: What the harness itself stumbled over.
    """

    seed: str
    seconds: float = 0.0
    sessions: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    scripts: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def add(self, session: Session, outcome: Outcome) -> None:
        """Count a session."""
        self.sessions += 1
        for case, verdict in zip(session.cases, outcome.verdicts, strict=False):
            self.counts[verdict.what] += 1
            self.counts["fenced"] += session.fenced
            if verdict.what in ("right", "doubtful"):
                self.calls[case.call] += 1
                self.features.update(case.features)
            if verdict.note:
                self.notes[f"{verdict.what}: {verdict.note.splitlines()[0][:70]}"] += 1
        if outcome.trouble:
            self.trouble.append(outcome.trouble)

    def line(self) -> str:
        """Say in one line how it goes."""
        counts = ", ".join(f"{self.counts[what]:,} {what}" for what in ("right", "doubtful", "refused", "found"))
        return f"{self.seconds:6.0f} s, {self.sessions:,} processes: {counts}"

    def join(self, other: "Report") -> None:
        """Add what another campaign came to, which ran at the same time or after this one."""
        self.sessions += other.sessions
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.scripts += other.scripts
        self.trouble += other.trouble

    def plain(self) -> dict[str, Any]:
        """Give it as what JSON holds."""
        return {
            **{name: getattr(self, name) for name in ("seed", "sessions", "scripts", "trouble")},
            "seconds": round(self.seconds, 1),
            **{name: dict(getattr(self, name).most_common()) for name in _COUNTERS},
        }


def campaign(
    seconds: float,
    seed: str,
    folder: Path | None,
    say: Callable[[str], None],
    *,
    sessions: int | None = None,
    patch: Callable[[], None] | None = None,
    small: float = 40.0,
) -> Report:
    """Fuzz cells.

    Args:
        seconds: For how long.
        seed: What everything is drawn from: the same one draws the same sessions.
        folder: Where scripts of findings go; None for nowhere.
        say: Takes a line of progress.
        sessions: The most sessions; None for as many as there is time for.
        patch: What is done in each process first.
        small: Seconds to make a finding small in.

    Returns:
        The report.
    """
    report, begun, told = Report(seed), time.monotonic(), time.monotonic()
    while (report.seconds < seconds) and (sessions is None or report.sessions < sessions):
        random = Random(f"{seed} {report.sessions}")
        fenced = random.random() < 0.3
        session = Session(tuple(draw_session(random)), fenced, patch)
        outcome = run(session)
        report.add(session, outcome)
        if outcome.finding is not None:
            _noted(report, session, outcome.finding, folder, say, small)
        report.seconds = time.monotonic() - begun
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(report.line())
    say(report.line())
    return report


def strangers(seconds: float, seed: str, say: Callable[[str], None], most: int | None = None) -> Report:
    """Fuzz texts, files and requests.

    Args:
        seconds: For how long.
        seed: What everything is drawn from.
        say: Takes a line of progress.
        most: The most processes; None for as many as there is time for.

    Returns:
        The report; its calls are attempts by target.
    """
    report, begun = Report(seed), time.monotonic()
    while (report.seconds < seconds or report.sessions < len(TARGETS)) and (most is None or report.sessions < most):
        target = TARGETS[report.sessions % len(TARGETS)]
        random = Random(f"{seed} {target.name} {report.sessions}")
        _send(target, random, report, say)
        report.sessions += 1
        report.seconds = time.monotonic() - begun
    return report


def _send(target: Target, random: Random, report: Report, say: Callable[[str], None]) -> None:
    """Let one process try a target some times."""

    def work(tell: Callable[[dict[str, Any]], None]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for wrong, what in attempts(target, Path(folder), random, ATTEMPTS):
                tell({"wrong": wrong, "what": what})

    def hear(told: dict[str, Any]) -> None:
        report.calls[target.name] += 1
        if told["wrong"]:
            note(told["wrong"], told["what"])

    def note(wrong: str, what: str) -> None:
        name = f"{target.name}: {wrong[:60]}"
        report.findings[name] += 1
        if report.findings[name] == 1:
            say(f"found: {target.name}: {wrong}\n       {what}")

    ended, status, words = fork(work, hear)
    if not ended:
        note("no end", "")
    elif os.WIFSIGNALED(status):
        note(f"the process ended by signal {os.WTERMSIG(status)}", words[-500:])
    elif status:
        report.trouble.append(words[-2000:])


def _noted(
    report: Report, session: Session, finding: Finding, folder: Path | None, say: Callable[[str], None], small: float
) -> None:
    """Count a finding, and write it down where it is one of the first of its kind."""
    name = f"{finding.kind} {finding.where}"
    report.findings[name] += 1
    if report.findings[name] > MOST_ALIKE or folder is None:
        return
    smallest, outcome = shrink(session, small)
    last = outcome.finding or finding
    folder.mkdir(parents=True, exist_ok=True)
    words = "".join(letter if letter.isalnum() else "_" for letter in name.lower())
    path = folder / f"{words}_{report.findings[name]}.py"
    path.write_text(script(smallest, last, once=outcome.finding is not None), encoding="utf-8")
    report.scripts.append(str(path))
    say(f"found: {last.kind}, {last.where}: {last.detail}\n       {path}: {smallest.cases[-1].text()}")


def read(plain: dict[str, Any]) -> Report:
    """Read what :meth:`Report.plain` gave."""
    report = Report(plain["seed"], plain["seconds"], plain["sessions"])
    for name in _COUNTERS:
        getattr(report, name).update(plain[name])
    report.scripts, report.trouble = plain["scripts"], plain["trouble"]
    return report


def script(session: Session, finding: Finding, once: bool = True) -> str:
    """Write a session as a script that shows its finding."""
    cases = "\n".join(f"    Case(**{_spelt(case)})," for case in session.cases)
    seen = "" if once else " Seen once: it did not come again."
    return (
        f'"""{finding.kind}, {finding.where}: {finding.detail}.{seen}"""\n'
        "from tests.fuzz.case import Case\n"
        "from tests.fuzz.children import Session, run\n\n"
        f"CASES = (\n{cases}\n)\n"
        f"outcome = run(Session(CASES, fenced={session.fenced}))\n"
        'print(outcome.finding or "nothing found", outcome.trouble)\n'
        "raise SystemExit(outcome.finding is not None)\n"
    )


def _spelt(case: Case) -> str:
    return repr(json.loads(case.text()))
