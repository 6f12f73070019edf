"""Compare: turn a configuration into a table of results, or resume a comparison where it stopped."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from gatework.errors import ConfigError, RunError, Stopped
from gatework.runs.files import saving, write_file, write_json
from gatework.runs.locks import Lock
from gatework.runs.pool import Answer
from gatework.runs.stop import StopSignals
from gatework.search.comparing.config import CompareConfig, make_compare_config
from gatework.search.comparing.directory import CompareDirectory
from gatework.search.comparing.figure import draw_gaps
from gatework.search.comparing.plan import ComparisonPlan
from gatework.search.comparing.progress import Beginning, ComparisonReporter, Quiet
from gatework.search.comparing.results import Comparison, draw_conclusions
from gatework.search.running import worker
from gatework.search.running.trial import Outcome, Trial
from gatework.system import count_cores
from gatework.tasks.own import is_own
from gatework.tasks.task import Task
from gatework.training.jobs.registry import knowing_own

# The longest time until a signal is noticed, in seconds.
_PATIENCE = 0.2
# How often a trial is started if its process dies.
_ATTEMPTS = 2


@overload
def compare(
    config: CompareConfig | None = None,
    reporter: ComparisonReporter | None = None,
    *,
    task: Task | str | None = None,
    tasks: None = None,
    **settings: Any,
) -> Comparison: ...


@overload
def compare(
    config: None = None, reporter: ComparisonReporter | None = None, *, tasks: Sequence[Task | str], **settings: Any
) -> dict[str, Comparison]: ...


def compare(
    config: CompareConfig | None = None,
    reporter: ComparisonReporter | None = None,
    *,
    task: Task | str | None = None,
    tasks: Sequence[Task | str] | None = None,
    **settings: Any,
) -> Comparison | dict[str, Comparison]:
    """Compare cells on a task, resume the same comparison where it stopped, or add cells, gaps and seeds to it.

    Args:
        config: The configuration. Trials of the same configuration that are in its directory are not run again, even if
            there are more cells, gaps or seeds now.
        reporter: The reporter that shows progress; None shows nothing.
        task: In place of a configuration: a task of your own, or the name of one. The trials of your own task run in
            copies of this process, or, on a system that cannot copy a process, one after the other in this one.
        tasks: In place of one task: several, each with a comparison of its own; ``run`` is then the folder of their
            directories.
        settings: In place of a configuration: its other settings, by name.

    Returns:
        The comparison, which is also written to its directory; with ``tasks``, the comparisons by the names of tasks.

    Raises:
        ConfigError: If cells or settings do not fit the task.
        DataError: If recorded data cannot be used.
        RunError: If the directory belongs to something else or cannot be written, or a trial's process dies twice.
        Stopped: After Ctrl-C or SIGTERM; finished trials are saved.
    """
    if tasks is not None:
        return _compare_on_each(tasks, config, reporter, {**settings, **({} if task is None else {"task": task})})
    return _compare_on_one(task, config, reporter, settings)


def _compare_on_one(
    task: Task | str | None,
    config: CompareConfig | None,
    reporter: ComparisonReporter | None,
    settings: Mapping[str, Any],
) -> Comparison:
    own = None if isinstance(task, str) else task
    with knowing_own(own):
        if config is None:
            named = {"task": task if own is None else own.name} if task is not None else {}
            config = make_compare_config({**named, **settings})
        elif task is not None or settings:
            given = ", ".join([*(["task"] if task is not None else []), *settings])
            raise ConfigError(f"A configuration is given and {given} too: put them into the configuration.")
        return _compare(config, reporter)


def _compare_on_each(
    tasks: Sequence[Task | str], config: CompareConfig | None, reporter: ComparisonReporter | None, settings: Any
) -> dict[str, Comparison]:
    names = [task if isinstance(task, str) else str(getattr(task, "name", task)) for task in tasks]
    if config is not None or "task" in settings or not names or len(set(names)) < len(names):
        raise ConfigError(
            f"The tasks are {', '.join(names) or 'none'}; expected one or more, each once, and no task or "
            "configuration beside them."
        )
    folder = settings.pop("run", "")
    places = {name: {"run": os.path.join(folder, name)} if folder else {} for name in names}
    return {
        name: _compare_on_one(task, None, reporter, {**settings, **places[name]})
        for name, task in zip(names, tasks, strict=True)
    }


def _compare(config: CompareConfig, reporter: ComparisonReporter | None) -> Comparison:
    directory = CompareDirectory(config.directory)
    config = directory.grown(config)
    # This checks cells, sizes and data before anything is written.
    plan = ComparisonPlan(config)
    reporter = reporter or Quiet()
    lock = directory.open(config, plan.fingerprints)
    try:
        done = directory.read_trials()
        directory.rewrite(done)
        if len(done) < plan.total:
            _Comparing(plan, directory, lock, done, reporter).go()
        lock.check()
        comparison = draw_conclusions(plan, done, directory.path)
        with saving(f"Directory '{directory.path}'"):
            write_json(directory.results, comparison.to_json())
            write_file(directory.picture, draw_gaps(comparison))
        return comparison
    finally:
        reporter.end()
        lock.release()


@dataclass
class _Comparing:
    """The remaining trials, and the processes that run them."""

    plan: ComparisonPlan
    directory: CompareDirectory
    lock: Lock
    done: dict[Trial, Outcome]
    reporter: ComparisonReporter
    given: list[Trial] = field(default_factory=list)  # the index of a trial is its number
    attempts: dict[Trial, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare the processes, no more than there are trials to run at once."""
        left = self.plan.total - len(self.done)
        size = min(self.plan.config.workers or count_cores(), left)
        self.pool = worker.start_pool(size, copies=is_own(self.plan.config.task))

    def go(self) -> None:
        """Run the remaining trials."""
        self.reporter.begin(self._beginning())
        with StopSignals() as stop:
            try:
                while len(self.done) < self.plan.total:
                    self._give()
                    answer = self.pool.wait(_PATIENCE)
                    if answer is not None:
                        self._take(answer)
                    if stop.number:
                        raise self._stopped(stop.number)
            finally:
                self.pool.close()

    def _beginning(self) -> Beginning:
        return Beginning(
            run=str(self.directory.path),
            task=self.plan.described["title"],
            success=str(self.plan.success),
            metric=self.plan.success.metric,
            sizes=self.plan.sizes,
            gaps=self.plan.config.gaps,
            trials=self.plan.total,
            done=dict(self.done),
            workers=self.pool.size,
            budget=self.plan.budget,
        )

    def _give(self) -> None:
        """Give every free process a trial, as long as there are trials that can be run."""
        if not self.pool.free:
            return
        running = {self.given[number] for number in self.pool.running}
        waiting = [trial for trial in self.plan.waiting(self.done) if trial not in running]
        for trial in waiting[: self.pool.free]:
            self.attempts[trial] = self.attempts.get(trial, 0) + 1
            self.given.append(trial)
            config = self.plan.train_config(trial).model_dump(mode="json")
            self.pool.give(len(self.given) - 1, {"config": config, "confirm": self.plan.config.confirm})
            self.reporter.started(trial)

    def _take(self, answer: Answer) -> None:
        """Handle the answer of a process."""
        trial, message = self.given[answer.number], answer.message
        if message is None:
            self._died(trial, answer.died)
        elif "refused" in message:
            raise RunError(f"The trial of {trial} was refused: {message['refused']}")
        elif "progress" in message:
            self.reporter.step(trial, message["progress"])
        else:
            self._finished(trial, Outcome(**message["outcome"]))

    def _died(self, trial: Trial, how: str) -> None:
        if self.attempts[trial] >= _ATTEMPTS:
            raise RunError(
                f"The process that ran {trial} died {_ATTEMPTS} times ({how}), so the comparison was stopped; the "
                f"{len(self.done)} trials that are over are saved in '{self.directory.path}'. A signal 9 mostly means "
                "that memory ran out: fewer --workers need less. The same command goes on from there."
            )
        self.reporter.note(f"the process that ran {trial} died ({how}); it is tried once more")

    def _finished(self, trial: Trial, outcome: Outcome) -> None:
        self.lock.check()
        self.directory.append(trial, outcome)
        self.done[trial] = outcome
        self.reporter.finished(trial, outcome)
        if trial.purpose == "tune":
            rate = self.plan.chosen(trial.cell, trial.gap, self.done)
            if rate is not None:
                self.reporter.chosen(trial.cell, trial.gap, rate)

    def _stopped(self, number: int) -> Stopped:
        done = len(self.done)
        return Stopped(number, done, str(self.directory.path), f"{done} of {self.plan.total} trials")
