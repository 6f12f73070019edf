"""The display of a comparison's progress, for people and programs."""

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
    """Facts to show when a comparison starts or resumes.

    Args:
        run: The directory of the comparison.
        task: The name of the task.
        success: The criterion, in words.
        metric: The metric of the criterion.
        sizes: The size of each cell's model.
        gaps: The gaps.
        trials: The number of all trials.
        done: The number of trials that are already finished.
        workers: The number of trials run in parallel.
        budget: The most steps of a trial; None if passes over the data are counted.
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


class ComparisonReporter(Protocol):
    """An object that receives the events of a comparison."""

    def begin(self, beginning: Beginning) -> None:
        """Receive the start of the comparison, or its resumption."""
        ...

    def started(self, trial: Trial) -> None:
        """Receive the start of a trial."""
        ...

    def step(self, trial: Trial, step: int) -> None:
        """Receive the progress of a trial."""
        ...

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Receive the end of a trial."""
        ...

    def chosen(self, cell: str, gap: int, learning_rate: float) -> None:
        """Receive the choice of a learning rate for a cell at a gap."""
        ...

    def note(self, message: str) -> None:
        """Receive a message about something unusual."""
        ...

    def end(self) -> None:
        """Receive the end of the comparison, whether it succeeded or not."""
        ...


def make_reporter(mode: Mode = "auto", file: IO[str] | None = None) -> ComparisonReporter:
    """Choose a reporter.

    Args:
        mode: ``live`` is a moving display, ``plain`` lines of text, ``json`` a line of JSON per trial, ``quiet``
            nothing; ``auto`` is live on a terminal and plain otherwise.
        file: The file to write to; None for standard error.

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
    """One JSON object per line: the lines of ``trials.jsonl``, choices and notes, as they come."""

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Print a trial."""
        self._print({"trial": asdict(trial), "outcome": outcome.to_json()})

    def chosen(self, cell: str, gap: int, learning_rate: float) -> None:
        """Print a choice."""
        self._print({"chosen": {"cell": cell, "gap": gap, "learning_rate": learning_rate}})


class Plain(TextWriter, Quiet):
    """One line of text per trial, for a file or a pipe."""

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
    """A moving display: one bar with the time left and the best cell so far, and above it one line per choice."""

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
        """Count a trial as running."""
        self._under_way[trial] = 0.0

    def step(self, trial: Trial, step: int) -> None:
        """Move the bar by part of a trial."""
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
    """The count of finished trials, the best cell so far, and the estimated time left.

    Args:
        beginning: The facts at the start.
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
        """Count a finished trial."""
        self.done += 1
        self._note(trial, outcome)

    def _note(self, trial: Trial, outcome: Outcome) -> None:
        self._seconds.setdefault(trial.gap, []).append(outcome.seconds)
        if trial.purpose == "final":
            self._finals.append((trial, outcome))

    def best(self) -> str:
        """Name the cell that has solved the most final runs so far; empty if there is none."""
        solved: dict[str, int] = {}
        for trial, outcome in self._finals:
            solved[trial.cell] = solved.get(trial.cell, 0) + outcome.solved
        if not any(solved.values()):
            return ""
        cell = max(solved, key=lambda name: solved[name])
        runs = sum(trial.cell == cell for trial, _ in self._finals)
        return f"most solved: {cell}, {solved[cell]} of {runs} runs"

    def left(self) -> float | None:
        """Estimate the seconds left; None before any trial has finished.

        A trial is expected to take as long as others at its gap. If none has finished there, the time at the nearest
        gap is scaled in proportion to the gap.
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
    """Describe in a few lines what is compared."""
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
    """Describe in a few words how a trial ended."""
    value = outcome.test[metric]
    measured = f"{metric} {'not a number' if value is None else format(value, '.4g')}"
    if outcome.blew_up:
        return f"blew up at step {outcome.steps + 1:,} ({measured})"
    return f"{'solved' if outcome.solved else 'not solved'} after {outcome.steps:,} steps ({measured})"
