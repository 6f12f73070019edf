"""What a person (or a program) sees while a comparison goes on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import monotonic
from typing import IO, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from gatework.runs.reporting import Display, JsonWriter, Mode, Silent, TextWriter, choose, duration
from gatework.search.comparing.matching import Size
from gatework.search.running.trial import Outcome, Trial


@dataclass(frozen=True)
class Beginning:
    """What there is to say when a comparison begins or goes on.

    Args:
        run: Its directory.
        task: What the task is called.
        success: The criterion, in words.
        metric: Its metric.
        sizes: The size of each cell's model.
        gaps: The gaps.
        trials: How many trials there are in all.
        done: Those that are over already.
        workers: How many are run side by side.
        budget: Steps that each may take; None where passes over the data are counted.
    """

    run: str
    task: str
    success: str
    metric: str
    sizes: Mapping[str, Size]
    gaps: tuple[int, ...]
    trials: int
    done: Mapping[Trial, Outcome]
    workers: int
    budget: int | None


class Reporter(Protocol):
    """Anything that is told how a comparison goes."""

    def begin(self, beginning: Beginning) -> None:
        """Hear that it begins or goes on."""
        ...

    def started(self, trial: Trial) -> None:
        """Hear that a trial begins."""
        ...

    def step(self, trial: Trial, step: int) -> None:
        """Hear how far a trial is."""
        ...

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Hear that a trial is over."""
        ...

    def chosen(self, cell: str, gap: int, learning_rate: float) -> None:
        """Hear which learning rate was best for a cell at a gap."""
        ...

    def note(self, message: str) -> None:
        """Hear something out of the ordinary."""
        ...

    def end(self) -> None:
        """Hear that it is over, whichever way."""
        ...


def make_reporter(mode: Mode = "auto", file: IO[str] | None = None) -> Reporter:
    """Choose a reporter.

    Args:
        mode: ``live`` is a moving display, ``plain`` lines of text, ``json`` a line of JSON per trial, ``quiet``
            nothing; ``auto`` is live on a terminal and plain otherwise.
        file: Where it goes; standard error when None.

    Returns:
        The reporter.
    """
    return choose(mode, file, Live, Plain, JsonLines, Quiet)


class Quiet(Silent):
    """Say nothing."""

    def begin(self, beginning: Beginning) -> None:
        """Say nothing."""

    def started(self, trial: Trial) -> None:
        """Say nothing."""

    def step(self, trial: Trial, step: int) -> None:
        """Say nothing."""

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Say nothing."""

    def chosen(self, cell: str, gap: int, learning_rate: float) -> None:
        """Say nothing."""


class JsonLines(JsonWriter, Quiet):
    """One JSON object a line: the lines of ``trials.jsonl`` as they come, choices and notes."""

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Print a trial."""
        self._print({"trial": asdict(trial), "outcome": outcome.to_json()})

    def chosen(self, cell: str, gap: int, learning_rate: float) -> None:
        """Print a choice."""
        self._print({"chosen": {"cell": cell, "gap": gap, "learning_rate": learning_rate}})


class Plain(TextWriter, Quiet):
    """A line of text per trial, for a file or a pipe."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._tally: Tally | None = None

    def begin(self, beginning: Beginning) -> None:
        """Print what is compared."""
        self._tally = Tally(beginning)
        for text in describe(beginning):
            self._print(text)

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Print how a trial ended."""
        assert self._tally is not None
        self._tally.add(trial, outcome)
        left = self._tally.left()
        wait = f"  about {duration(left)} left" if left is not None else ""
        place = f"{self._tally.done}/{self._tally.beginning.trials}"
        self._print(f"{place}  {trial}: {ending(outcome, self._tally.beginning.metric)}{wait}")

    def chosen(self, cell: str, gap: int, learning_rate: float) -> None:
        """Print a choice."""
        self._print(f"{cell} at gap {gap:,} goes on with learning rate {learning_rate:g}")


class Live(Display, Quiet):
    """A display that moves: one bar with what is left, what is best so far, and a line per choice above it."""

    def __init__(self, console: Console) -> None:
        bar = Progress(
            TextColumn("trial {task.fields[count]}/{task.total:,.0f}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[best]}", markup=False),
            TextColumn("{task.fields[left]}"),
            console=console,
            expand=True,
        )
        super().__init__(console, bar)
        self._tally: Tally | None = None
        self._under_way: dict[Trial, float] = {}

    def begin(self, beginning: Beginning) -> None:
        """Show what is compared, and the bar."""
        self._tally = Tally(beginning)
        for text in describe(beginning):
            self._print(text)
        self._bar.start()
        fields = {"count": str(self._tally.done), "best": "", "left": ""}
        self._task = self._bar.add_task("", total=beginning.trials, completed=self._tally.done, **fields)

    def started(self, trial: Trial) -> None:
        """Count a trial among those under way."""
        self._under_way[trial] = 0.0

    def step(self, trial: Trial, step: int) -> None:
        """Move the bar by a part of a trial."""
        if self._tally is not None and self._tally.beginning.budget:
            self._under_way[trial] = step / self._tally.beginning.budget
            self._show()

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Move the bar."""
        assert self._tally is not None
        self._under_way.pop(trial, None)
        self._tally.add(trial, outcome)
        self._show()
        if trial.purpose == "final":
            text = f"{trial}: {ending(outcome, self._tally.beginning.metric)}"
            self._print(text)

    def chosen(self, cell: str, gap: int, learning_rate: float) -> None:
        """Show a choice above the bar."""
        self._print(f"{cell} at gap {gap:,} goes on with learning rate {learning_rate:g}")

    def _show(self) -> None:
        if self._task is None or self._tally is None:
            return
        left = self._tally.left()
        self._bar.update(
            self._task,
            completed=self._tally.done + sum(self._under_way.values()),
            count=f"{self._tally.done:,}",
            best=self._tally.best(),
            left="" if left is None else f"{duration(left)} left",
        )


class Tally:
    """What is over, what is best so far, and how long the rest may take.

    Args:
        beginning: What there was at the beginning.
    """

    def __init__(self, beginning: Beginning) -> None:
        self.beginning = beginning
        self.done = len(beginning.done)
        self._seconds: dict[int, list[float]] = {}
        self._finals: list[tuple[Trial, Outcome]] = []
        self._began = monotonic()
        for trial, outcome in beginning.done.items():
            self._note(trial, outcome)

    def add(self, trial: Trial, outcome: Outcome) -> None:
        """Count a trial that is over."""
        self.done += 1
        self._note(trial, outcome)

    def _note(self, trial: Trial, outcome: Outcome) -> None:
        self._seconds.setdefault(trial.gap, []).append(outcome.seconds)
        if trial.purpose == "final":
            self._finals.append((trial, outcome))

    def best(self) -> str:
        """Name the cell that has solved the most final runs so far; empty before there is one."""
        solved: dict[str, int] = {}
        for trial, outcome in self._finals:
            solved[trial.cell] = solved.get(trial.cell, 0) + outcome.solved
        if not any(solved.values()):
            return ""
        cell = max(solved, key=lambda name: solved[name])
        runs = sum(trial.cell == cell for trial, _ in self._finals)
        return f"most solved: {cell}, {solved[cell]} of {runs} runs"

    def left(self) -> float | None:
        """Estimate the seconds that are left; None before anything is known.

        A trial takes as long as others did at its gap; where none has ended yet, in proportion to the gap from the
        nearest one.
        """
        if not self._seconds:
            return None
        known = {gap: sum(times) / len(times) for gap, times in self._seconds.items()}
        each = self.beginning.trials / len(self.beginning.gaps)
        total = 0.0
        for gap in self.beginning.gaps:
            nearest = min(known, key=lambda other: abs(other - gap))
            total += max(0.0, each - len(self._seconds.get(gap, ()))) * known[nearest] * max(1, gap) / max(1, nearest)
        return total / self.beginning.workers


def describe(beginning: Beginning) -> list[str]:
    """Say in a few lines what is compared."""
    cells = ", ".join(
        f"{cell} ({size.hidden_size:,} units, {size.parameters:,} parameters)" for cell, size in beginning.sizes.items()
    )
    budget = f" of at most {beginning.budget:,} steps" if beginning.budget else ""
    lines = [
        f"{beginning.task}, solved at {beginning.success}; gaps {', '.join(f'{gap:,}' for gap in beginning.gaps)}",
        f"cells: {cells}",
    ]
    workers = f"{beginning.workers} at a time"
    if beginning.done:
        lines.append(
            f"going on after {len(beginning.done):,} of {beginning.trials:,} trials in {beginning.run}, {workers}"
        )
    else:
        lines.append(f"{beginning.trials:,} trials{budget}, {workers}, into {beginning.run}")
    return lines


def ending(outcome: Outcome, metric: str) -> str:
    """Say in a few words how a trial ended."""
    value = outcome.test[metric]
    measured = f"{metric} {'not a number' if value is None else format(value, '.4g')}"
    if outcome.blew_up:
        return f"blew up at step {outcome.steps + 1:,} ({measured})"
    return f"{'solved' if outcome.solved else 'not solved'} after {outcome.steps:,} steps ({measured})"
