"""Train: turn a configuration into a finished run directory, or resume a run where it stopped."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path
from platform import python_version
from signal import SIGTERM
from time import monotonic
from typing import Any

import torch

from gatework import __version__
from gatework.cells import is_equations
from gatework.errors import ConfigError, FileError, NonFiniteLossError, RunError, Stopped
from gatework.reading.files import read_file
from gatework.reading.nested import MOST_FACTS
from gatework.runs.checkpoint import Checkpoint, load_checkpoint, remove_checkpoints, remove_others, save_checkpoint
from gatework.runs.files import saving, write_file
from gatework.runs.locks import Lock
from gatework.runs.seeds import mixed_seed
from gatework.runs.stop import StopSignals
from gatework.tasks.task import Task
from gatework.training.config import TrainConfig, make_config
from gatework.training.curve import draw_curve, is_drawn_from
from gatework.training.jobs.registry import knowing_own, open_job
from gatework.training.parallel import ProcessGroup
from gatework.training.progress import Beginning, Quiet, RunReporter, speed_name
from gatework.training.run import RunDirectory, check_same, fingerprint
from gatework.training.starting import Start, begin_from
from gatework.training.trainer import Trainer
from gatework.training.watch import Watch

_LARGEST_PICTURE = 16 << 20  # bytes


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Args:
        run: The run directory.
        step: The last step.
        already: True if the run was already finished.
        metrics: The last held-out metrics: for text ``loss``, ``perplexity`` and bits per symbol; for a task, those of
            the task.
        sample: Text that the model generated at the end; empty if it does not generate text.
        curve: The picture of the loss.
        seconds: The duration of the run, over all starts.
        splits: The splits of the data.
        trivial: The metrics of trivial predictors on the same held-out data, by their names.
        best_step: The step with the lowest held-out loss; 0 if nothing was measured.
        stopped_early: Whether ``patience`` ended the run before its last step.
        notes: Sentences about the end of the run.
    """

    run: Path
    step: int
    already: bool
    metrics: Mapping[str, float]
    sample: str
    curve: Path
    seconds: float
    splits: tuple[str, ...]
    trivial: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    best_step: int = 0
    stopped_early: bool = False
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        plain = {"run": str(self.run), "curve": str(self.curve), "metrics": dict(self.metrics)}
        trivial = {name: dict(found) for name, found in self.trivial.items()}
        return asdict(replace(self, trivial={})) | plain | {"trivial": trivial}


def train(
    config: TrainConfig | None = None,
    reporter: RunReporter | None = None,
    *,
    task: Task | str | None = None,
    **settings: Any,
) -> TrainResult:
    """Train a model, or resume the same run where it stopped, with the same result to the bit.

    Args:
        config: The configuration. If its run directory holds a run of the same configuration, that run is resumed.
        reporter: The reporter that shows progress; None shows nothing.
        task: In place of a configuration: a task of your own, or the name of one. For text, leave it out.
        settings: In place of a configuration: its other settings, by name.

    Returns:
        The finished run.

    Raises:
        DataError: If the data cannot be used.
        ConfigError: If a setting is out of its range, the model would not fit in memory, or there is no such device.
        RunError: If the run directory belongs to another run or cannot be written.
        CheckpointError: If the newest checkpoint is damaged.
        NonFiniteLossError: If the loss becomes NaN or infinite; the last good checkpoint is kept.
        Stopped: After Ctrl-C or SIGTERM, or if ``torchrun`` was killed; the current step is finished and saved.
    """
    own = None if isinstance(task, str) else task
    with knowing_own(own):
        if config is None:
            named = {"task": task if own is None else own.name} if task is not None else {}
            config = make_config({**named, **settings})
        elif task is not None or settings:
            given = ", ".join([*(["task"] if task is not None else []), *settings])
            raise ConfigError(f"A configuration is given and {given} too: put them into the configuration.")
        return _train(config, reporter)


def _train(config: TrainConfig, reporter: RunReporter | None) -> TrainResult:
    group = ProcessGroup.join(config.device)
    reporter = reporter if reporter is not None and group.first else Quiet()
    try:
        with _own_settings(config, group):
            return _Training(config, group, reporter).go()
    finally:
        reporter.end()
        group.leave()


class _Training:
    """The run directory and the trainer, kept in agreement."""

    def __init__(self, config: TrainConfig, group: ProcessGroup, reporter: RunReporter) -> None:
        self.config = config
        self.group = group
        self.reporter = reporter
        self.directory = RunDirectory(config.directory)
        # This checks data, cell and sizes before anything is written.
        self.job = open_job(config)
        self.trainer = Trainer(config, self.job, group)
        self.fingerprint = fingerprint(config, self.job.fingerprint)
        self.seconds_before = 0.0
        self.began = monotonic()
        self.saved: int | None = None
        self.lock: Lock | None = None
        self.watch = Watch(config.patience)
        self.start: Start | None = None
        if config.start_from and not self.directory.exists():
            self._begin_from(config.start_from)

    def go(self) -> TrainResult:
        try:
            checkpoint: Checkpoint | None = None
            with self.group.first_goes_ahead():
                if self.group.first:
                    self.lock = self.directory.lock()
                    checkpoint = self._open()
            self.trainer.restore(checkpoint)
            unsaved = self.config.start_from and self.start is None and not self.group.largest(checkpoint is not None)
            if unsaved:  # the run was stopped between its beginning and its first checkpoint
                self._begin_from(self.config.start_from)
            with self.group.first_goes_ahead():
                if self.group.first:
                    self._settle(checkpoint)
            if self.start is not None:
                self._save()  # from here on, the run does not depend on the other one
            already = self.trainer.step >= self.trainer.steps or self._is_enough()
            if not already:
                self.reporter.begin(self._beginning())
                with StopSignals(patient=self.group.size > 1) as stop:
                    self._loop(stop)
            return self._result(already)
        finally:
            if self.lock is not None:
                self.lock.release()

    def _open(self) -> Checkpoint | None:
        """Return the newest checkpoint to resume from, after all other checks; nothing is changed."""
        if not self.directory.exists():
            return None
        check_same(self.directory, self.config, self.job.fingerprint)
        checkpoint, newest = None, self.directory.latest()
        if newest is not None:
            self.fingerprint = fingerprint(self.config, self.job.fingerprint, self.directory.read_start())
            checkpoint = load_checkpoint(self.directory.checkpoints, newest, self.fingerprint)
        self._check_steps(newest or 0)
        self._kept_lines(checkpoint)
        return checkpoint

    def _begin_from(self, run: str) -> None:
        """Begin with the weights of another run; every process reads them by itself."""
        self.start = start = begin_from(run, self.config, self.job, self.trainer.model)
        self.fingerprint = fingerprint(self.config, self.job.fingerprint, start.digest)
        known = self.directory.read_start() if self.directory.exists() else start.digest
        if known != start.digest:
            raise RunError(
                f"Run '{self.directory.path}' was begun with other weights than '{run}' has now, and has no checkpoint "
                "yet. Choose another directory with --run."
            )

    def _kept_lines(self, checkpoint: Checkpoint | None) -> list[dict[str, Any]]:
        """Return the lines of metrics up to a checkpoint."""
        if checkpoint is None:
            return []
        # Checkpoints of earlier versions do not record the number of lines.
        known = checkpoint.facts.get("lines")
        flushed = known if isinstance(known, int) and known >= 0 else None
        return [line for line in self.directory.read_metrics(flushed) if line["step"] <= checkpoint.step]

    def _settle(self, checkpoint: Checkpoint | None) -> None:
        """Create the run directory, or restore it as it was at the checkpoint, with the current settings."""
        if not self.directory.exists():
            self.directory.sweep()
            start = {} if self.start is None else {"start": self.start.facts()}
            self.directory.create(self.config, self.job.facts() | start, self.job.files())
            return
        self.directory.sweep()
        lines = self._kept_lines(checkpoint)
        self.directory.replace_metrics(lines)
        self.watch.read(lines)
        with saving(f"run directory '{self.directory.path}'"):
            remove_others(self.directory.best, self.watch.step)
        if checkpoint is not None:
            self.seconds_before, self.saved = checkpoint.facts["seconds"], checkpoint.step
            # The previous start may have been stopped between saving a checkpoint and removing an old one.
            with saving(f"Run directory '{self.directory.path}'"):
                remove_checkpoints(self.directory.checkpoints, self.config.keep_checkpoints)
        if self.directory.read_config() != self.config:
            self.directory.write_config(self.config)

    def _check_steps(self, step: int) -> None:
        """Refuse to make a run shorter, and note if it is made longer."""
        before = self.directory.read_config()
        old, new = before.total_steps(self.job.steps_per_epoch), self.trainer.steps
        if new < old:
            raise RunError(
                f"Run '{self.directory.path}' is to go to step {old:,}, is at {step:,}, and is now told to stop at "
                f"{new:,}: steps may only be raised. For a shorter run, choose another directory with --run."
            )
        if new > old:
            self.reporter.note(f"this run goes on to step {new:,} instead of {old:,}")
            if self.config.schedule == "cosine":
                self.reporter.note("its cosine schedule is stretched, so the learning rate rises again")

    def _beginning(self) -> Beginning:
        trainer = self.trainer
        return Beginning(
            run=str(self.directory.path),
            cell="own cell" if is_equations(self.config.cell) else self.config.cell,
            parameters=sum(parameter.numel() for parameter in trainer.parameters.values()),
            unit=self.job.unit,
            about=[*self.job.about(), *(self.start.about() if self.start else ())],
            steps=trainer.steps,
            step=trainer.step,
            processes=self.group.size,
            device=str(self.group.device),
        )

    def _loop(self, stop: StopSignals) -> None:
        trainer, mark, marked = self.trainer, monotonic(), 0
        while trainer.step < trainer.steps:
            try:
                amount, loss = trainer.train_step()
            except NonFiniteLossError as error:
                raise self._not_finite(str(error)) from error
            marked += amount
            self.reporter.step(trainer.step, amount, loss)
            last, enough = trainer.step == trainer.steps, False
            if last or trainer.step % self.config.log_every == 0:
                now = monotonic()
                speed = {speed_name(self.job.unit): round(marked / max(1e-9, now - mark), 1)}
                self._write_line(trainer.take_sums() | speed)
                mark, marked = now, 0
            if last or trainer.step % self.config.evaluate_every == 0:
                self._evaluate()
                enough = self._is_enough()
                mark, marked = monotonic(), 0
            # A signal may have reached only one of the processes, but all must stop at the same step. A killed launcher
            # cannot send a signal any more, so its absence counts as one.
            noticed = stop.number or (SIGTERM if self.group.abandoned else 0)
            signal_number = int(self.group.largest(noticed))
            if last or enough or signal_number or trainer.step % self.config.checkpoint_every == 0:
                self._save()
            if enough:
                break
            if signal_number and not last:
                self._draw()
                raise Stopped(signal_number, trainer.step, str(self.directory.path))

    def _is_enough(self) -> bool:
        """Tell whether the patience is exhausted; only the first process knows the earlier evaluations of a run."""
        return bool(self.group.largest(self.watch.exhausted and self.group.first))

    def _evaluate(self) -> None:
        """Measure the model on held-out data, and let it generate a sample."""
        named = self.trainer.measure("valid").named()
        if not isfinite(named["loss"]):
            raise self._not_finite(f"The held-out loss became {named['loss']} after step {self.trainer.step:,}.")
        self._write_line({f"valid_{name}": value for name, value in named.items()})
        if self.group.first:
            if self.watch.take(self.trainer.step, named["loss"]):
                self._save_best()
            elif warning := self.watch.warn():
                self.reporter.note(warning)
            # A separate seed, so that the sample does not change the rest of the training.
            sample = self.job.sample(self.trainer.model, mixed_seed(self.config.seed, -1, self.trainer.step))
            path = self.directory.samples / f"step-{self.trainer.step}.txt"
            if sample:
                self._check_lock()
                with saving(f"'{path}'"):
                    write_file(path, sample.encode("utf-8"))

    def _write_line(self, values: Mapping[str, Any]) -> None:
        step, steps_per_epoch = self.trainer.step, self.job.steps_per_epoch
        epoch = {} if steps_per_epoch is None else {"epoch": round(step / steps_per_epoch, 4)}
        line = {"step": step, **epoch, **values, "seconds": round(self._seconds(), 3)}
        if self.group.first:
            self._check_lock()
            self.directory.append_metrics(line)
        self.reporter.line(line)

    def _save(self) -> None:
        if self.saved == self.trainer.step:
            return
        if not self.trainer.is_finite():
            raise self._not_finite(f"A parameter is no longer a number after step {self.trainer.step:,}.")
        facts = self._facts()
        if self.group.first:
            facts["lines"] = self.directory.count_metrics()
        checkpoint = self.trainer.checkpoint(facts)
        if self.group.first:
            self._check_lock()
            self.directory.flush_metrics()
            kept = "Nothing was saved before it." if self.saved is None else f"Checkpoint step-{self.saved} is intact."
            with saving(f"Checkpoint step-{checkpoint.step} of run '{self.directory.path}'", kept):
                save_checkpoint(self.directory.checkpoints, checkpoint)
                remove_checkpoints(self.directory.checkpoints, self.config.keep_checkpoints)
                # Until now, a crash could have led back to a checkpoint before the best one.
                remove_others(self.directory.best, self.watch.step)
        self.saved = self.trainer.step

    def _save_best(self) -> None:
        """Keep the weights of an evaluation; the optimiser's state is not needed to use them."""
        if not self.trainer.is_finite():
            return
        self._check_lock()
        with saving(f"The best checkpoint of run '{self.directory.path}'"):
            save_checkpoint(
                self.directory.best, Checkpoint(self.trainer.step, self.trainer.weights(), {}, {}, self._facts())
            )

    def _facts(self) -> dict[str, Any]:
        versions = {"gatework": __version__, "torch": torch.__version__, "python": python_version()}
        return {"fingerprint": self.fingerprint, "seconds": self._seconds(), "versions": versions}

    def _not_finite(self, what: str) -> NonFiniteLossError:
        kept = "there is no checkpoint yet" if self.saved is None else f"the last good checkpoint is step-{self.saved}"
        limit = self.config.clip_norm
        clip = f"a smaller --clip-norm than {limit:g}" if limit else "with a --clip-norm, such as 1"
        return NonFiniteLossError(
            f"{what} Run '{self.directory.path}' was stopped; {kept}. "
            f"Begin another run (--run) with a lower --learning-rate than {self.config.learning_rate:g}, or {clip}."
        )

    def _check_lock(self) -> None:
        """Refuse to write if another process may be writing to the directory."""
        if self.lock is not None:
            self.lock.check()

    def _seconds(self) -> float:
        return self.seconds_before + monotonic() - self.began

    def _draw(self) -> None:
        if self.group.first:
            self._check_lock()
            title = f"{self._beginning().cell}, {self.config.hidden_size} units, on {self.config.title}"
            picture = draw_curve(self.directory.read_metrics(), self.job.quantity, title)
            with saving(f"'{self.directory.curve}'"):
                write_file(self.directory.curve, picture)

    def _is_drawn(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        try:
            picture = read_file(self.directory.curve, _LARGEST_PICTURE)
        except FileError:  # there is no picture, or something else in its place, which the picture will replace
            return False
        return is_drawn_from(picture, lines)

    def _result(self, already: bool) -> TrainResult:
        step, splits = self.trainer.step, self.job.splits
        if not self.group.first:
            return TrainResult(
                self.directory.path, step, already, {}, "", self.directory.curve, self._seconds(), splits
            )
        lines = self.directory.read_metrics()
        # A finished run is drawn, too, if its last start was stopped before it drew the picture.
        if not (already and self._is_drawn(lines)):
            self._draw()
        held_out = [line for line in lines if "valid_loss" in line]
        last = held_out[-1] if held_out else {}
        metrics = {key.removeprefix("valid_"): value for key, value in last.items() if key.startswith("valid_")}
        path = self.directory.samples / f"step-{step}.txt"
        sample = read_file(path, MOST_FACTS).decode("utf-8", errors="replace") if path.is_file() else ""
        seconds = self.seconds_before if already else self._seconds()
        trivial = self.job.trivial("valid") if metrics else {}
        early = step < self.trainer.steps and self.watch.exhausted
        notes = tuple(self.watch.conclusion(shlex.quote(str(self.directory.path)), step, early=early))
        return TrainResult(
            self.directory.path,
            step,
            already,
            metrics,
            sample,
            self.directory.curve,
            seconds,
            splits,
            trivial,
            self.watch.step,
            early,
            notes,
        )


@contextmanager
def _own_settings(config: TrainConfig, group: ProcessGroup) -> Iterator[None]:
    """Use the run's number of threads, and restore torch's global settings and random generators afterwards."""
    threads = torch.get_num_threads()
    kind = group.device.type
    with torch.random.fork_rng(devices=[] if kind == "cpu" else [group.device], device_type=kind):
        try:
            torch.set_num_threads(config.threads or threads)
            yield
        finally:
            torch.set_num_threads(threads)
