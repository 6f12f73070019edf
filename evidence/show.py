"""What a run of the evidence shows: how far it has come, and in the end the verdicts and what has moved."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich import progress
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evidence.claim import Claim, Tell
from evidence.page import shown
from evidence.results import Moved, figures_of

_STYLES = {"holds": "green", "holds with a condition": "yellow", "does not hold": "red"}
PIPED_WIDTH = 150  # not a terminal: nobody's window limits the line


def _console(*, error: bool = False) -> Console:
    found = Console(stderr=error)
    return found if found.is_terminal else Console(width=PIPED_WIDTH, stderr=error)


def say(line: str) -> None:
    """Say a line to whoever waits."""
    _console(error=True).print(Text(line))


class Progress:
    """Show which claim is being measured, how far it is and how long the rest takes.

    Args:
        claims: What is to be measured.
    """

    def __init__(self, claims: Sequence[Claim]) -> None:
        self._console = _console(error=True)
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        # What a claim costs is the best measure there is of how much is done.
        self._task = self._bar.add_task("evidence", total=sum(claim.cost for claim in claims))
        self._begun = time.monotonic()

    def __enter__(self) -> "Progress":
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show no more."""
        self._bar.stop()

    def begin(self, claim: Claim) -> Tell:
        """Show that a claim is being measured.

        Args:
            claim: The claim.

        Returns:
            What takes lines about it.
        """
        self._bar.update(self._task, description=claim.id)
        return lambda line: self._bar.update(self._task, description=f"{claim.id}: {line}")

    def end(self, claim: Claim) -> None:
        """Show that a claim is measured."""
        self._bar.update(self._task, advance=claim.cost)
        if not self._console.is_terminal:
            self._console.print(Text(f"{claim.id}: measured, {time.monotonic() - self._begun:.0f} s since the start"))


def print_claims(claims: Sequence[Claim]) -> None:
    """Print what there is to measure."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("name", "claim", "processor time", "needs"):
        table.add_column(heading)
    for claim in claims:
        table.add_row(claim.id, claim.claim, f"{claim.cost:.0f} s", claim.data)
    _console().print(table)


def print_outcome(results: Sequence[tuple[Claim, dict[str, Any]]], moved: Sequence[Moved]) -> None:
    """Print the verdicts, and what is not as it was accepted."""
    out = _console()
    for claim, result in results:
        figures = figures_of(result)
        verdict = claim.judge(figures)
        out.print(Text(f"\n{claim.title}: {verdict.word}", style=f"bold {_STYLES[verdict.word]}"))
        out.print(Text(f"  {verdict.sentence}"))
        for name in claim.shown:
            out.print(Text(f"  {name}: {shown(figures[name])}"))
    if not moved:
        return
    table = Table(box=SIMPLE_HEAD, title="What moved; --accept makes it the new bounds")
    for heading in ("claim", "what", "was", "is"):
        table.add_column(heading)
    for one in moved:
        table.add_row(one.claim, one.what, one.was, one.now)
    out.print(table)
