"""The display of a run's progress, for people and programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from gatework.models.language import bits_name
from gatework.runs.reporting import Display, JsonWriter, Mode, Silent, TextWriter, choose, duration

# The names of the metrics for bits per symbol, and the symbol of each.
BITS = {bits_name(level): level for level in ("byte", "char")}


@dataclass(frozen=True)
class Beginning:
    """Facts to show when a run starts or resumes.

    Args:
        run: The run directory.
        cell: The name of the cell.
        parameters: The number of parameters.
        unit: The unit of the data: ``byte``, ``char``, ``word``, ``piece`` or ``sequence``.
        about: A description of the data, in lines.
        steps: The number of all steps.
        step: The step to resume from; 0 for a new run.
        processes: The number of processes that train together.
        device: The device.
    """

    run: str
    cell: str
    parameters: int
    unit: str
    about: Sequence[str]
    steps: int
    step: int
    processes: int
    device: str


class RunReporter(Protocol):
    """An object that receives the events of a run. Lines are those of ``metrics.jsonl``."""

    def begin(self, beginning: Beginning) -> None:
        """Receive the start of the run, or its resumption."""
        ...

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Receive the end of a step: its number, the amount of data read, and the loss per target."""
        ...

    def line(self, values: Mapping[str, Any]) -> None:
        """Receive a line of metrics."""
        ...

    def note(self, message: str) -> None:
        """Receive a message about something unusual."""
        ...

    def end(self) -> None:
        """Receive the end of the run, whether it succeeded or not."""
        ...


def make_reporter(mode: Mode = "auto", file: IO[str] | None = None) -> RunReporter:
    """Choose a reporter.

    Args:
        mode: ``live`` is a moving display, ``plain`` lines of text, ``json`` the lines of ``metrics.jsonl``, ``quiet``
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

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Say nothing."""

    def line(self, values: Mapping[str, Any]) -> None:
        """Say nothing."""


class JsonLines(JsonWriter, Quiet):
    """One JSON object per line: the lines of ``metrics.jsonl`` as they come, and notes as ``{"note": …}``."""

    def line(self, values: Mapping[str, Any]) -> None:
        """Print a line of metrics."""
        self._print(values)


class Plain(TextWriter, Quiet):
    """Lines of text, at most about ten a minute, for a file or a pipe."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._unit = "char"
        self._steps = 0
        self._per_step = 0
        self._seconds: float | None = None

    def begin(self, beginning: Beginning) -> None:
        """Print the facts about the run."""
        self._unit, self._steps = beginning.unit, beginning.steps
        for text in describe(beginning):
            self._print(text)

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Remember the amount of data in a step."""
        self._per_step = tokens

    def line(self, values: Mapping[str, Any]) -> None:
        """Print a line of metrics; the training loss only every few seconds."""
        if "valid_loss" in values:
            self._print(f"step {values['step']:>6,}/{self._steps:,}  held out: {_quality(values, 'valid')}")
        elif "train_loss" in values and (self._seconds is None or values["seconds"] - self._seconds >= 5):
            self._seconds = values["seconds"]
            speed = values[speed_name(self._unit)]
            left = (self._steps - values["step"]) * self._per_step / max(1e-9, speed)
            self._print(
                f"step {values['step']:>6,}/{self._steps:,}  training: {_quality(values, 'train')}  "
                f"{speed:,.0f} {self._unit}s/s  {duration(left)} left"
            )


class Live(Display, Quiet):
    """A moving display: one bar with loss, speed and the time left, and the held-out results above it."""

    def __init__(self, console: Console) -> None:
        bar = Progress(
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[quality]}"),
            _Speed(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            speed_estimate_period=30,
            expand=True,
        )
        super().__init__(console, bar)

    def begin(self, beginning: Beginning) -> None:
        """Show the facts about the run, and the bar."""
        for text in describe(beginning):
            self._print(text)
        self._bar.start()
        self._task = self._bar.add_task(
            "", total=beginning.steps, completed=beginning.step, quality="", per_step=0, unit=beginning.unit
        )

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(self._task, completed=step, per_step=tokens)

    def line(self, values: Mapping[str, Any]) -> None:
        """Show the training loss in the bar, the held-out loss above it."""
        if "valid_loss" in values:
            self._print(f"step {values['step']:>6,}  held out: {_quality(values, 'valid')}")
        elif "train_loss" in values and self._task is not None:
            self._bar.update(self._task, quality=_quality(values, "train"))


class _Speed(ProgressColumn):
    """Symbols per second, over the last half minute."""

    def render(self, task: Any) -> Text:
        """Print the speed, or nothing before there is one."""
        speed = (task.finished_speed or task.speed or 0) * task.fields["per_step"]
        return Text(f"{speed:,.0f} {task.fields['unit']}s/s" if speed else "", style="progress.data.speed")


def describe(beginning: Beginning) -> list[str]:
    """Describe a run in a few lines."""
    lines = [
        f"{beginning.cell}: {beginning.parameters:,} parameters on {beginning.device}"
        + (f", {beginning.processes} processes" if beginning.processes > 1 else ""),
        *beginning.about,
    ]
    if beginning.step:
        lines.append(f"going on from step {beginning.step:,} of {beginning.steps:,} in {beginning.run}")
    else:
        lines.append(f"run: {beginning.steps:,} steps into {beginning.run}")
    return lines


def speed_name(unit: str) -> str:
    """Return the name of the speed in a line of metrics."""
    return "sequences_per_second" if unit == "sequence" else "tokens_per_second"


def _quality(values: Mapping[str, Any], split: str) -> str:
    """Describe the quality of the model, with the metrics of the line."""
    for name, unit in BITS.items():
        if f"{split}_{name}" in values:
            return f"{values[f'{split}_{name}']:.3f} bits/{unit}"
    if f"{split}_perplexity" in values:
        return f"perplexity {values[f'{split}_perplexity']:.1f}"
    shares = [name for name in ("accuracy", "solved") if f"{split}_{name}" in values]
    told = "".join(f", {name} {100 * values[f'{split}_{name}']:.1f} %" for name in shares)
    return f"loss {values[f'{split}_loss']:.4g}{told}"
