"""One trial: train until the criterion is met or the budget is spent, then measure once on the test sequences."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from time import monotonic
from typing import Any, Literal

import torch
from torch import Tensor

from gatework.errors import ConfigError, NonFiniteLossError
from gatework.tasks.task import Success
from gatework.training.config import TrainConfig
from gatework.training.jobs.protocol import Job
from gatework.training.jobs.registry import open_job
from gatework.training.parallel import ProcessGroup
from gatework.training.trainer import Trainer, load_parameters

Purpose = Literal["tune", "final"]


@dataclass(frozen=True, order=True)
class Trial:
    """The key of one training run in a comparison.

    Args:
        cell: The label of the cell.
        gap: The gap.
        purpose: ``tune`` or ``final``.
        learning_rate: The learning rate.
        number: The index among the runs that differ only in their seed, from 0.
    """

    cell: str
    gap: int
    purpose: Purpose
    learning_rate: float
    number: int

    def __str__(self) -> str:
        """Name the trial, for use in a sentence."""
        kind = "tuning" if self.purpose == "tune" else "final"
        return f"{self.cell} at gap {self.gap:,}, learning rate {self.learning_rate:g}, {kind} run {self.number + 1}"


@dataclass(frozen=True)
class Outcome:
    """The result of a trial; a metric that is not a finite number is None.

    Args:
        steps: The number of training steps.
        solved: True if the model met the criterion on the test sequences, and no trivial predictor is better there.
        reached: True if the model met the criterion on the validation sequences, held against the trivial predictors.
        blew_up: True if the loss became NaN or infinite; then the trial does not count as solved.
        valid: The best metrics on the validation sequences.
        valid_step: The step after which they were measured. The test uses the weights of that step.
        test: The metrics on the test sequences.
        seconds: The duration of the trial.
    """

    steps: int
    solved: bool
    reached: bool
    blew_up: bool
    valid: Mapping[str, float | None]
    valid_step: int
    test: Mapping[str, float | None]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return asdict(self) | {"valid": dict(self.valid), "test": dict(self.test)}


def criterion(job: Job, task: str) -> Success:
    """Return the criterion of success of a job.

    Args:
        job: The job.
        task: The name of its task, for the error message.

    Raises:
        ConfigError: If the job has no criterion.
    """
    if job.success is None:
        raise ConfigError(
            f"Cells cannot be compared on task '{task}': it does not say when it counts as solved. Expected a task that"
            " does; `gatework tasks` lists them."
        )
    return job.success


def worth(value: float | None, success: Success) -> float:
    """Turn the criterion's metric into a number where more is better; a value that is not finite is worst.

    Args:
        value: The metric.
        success: The criterion.

    Example:
        >>> worth(0.25, Success("loss", at_most=0.1)), worth(None, Success("accuracy", at_least=0.9))
        (-0.25, -inf)
    """
    if value is None or not isfinite(value):
        return -inf
    return value if success.at_least is not None else -value


@dataclass
class _Best:
    """The weights that were best on the validation sequences, and their metrics."""

    success: Success
    trivial: Mapping[str, Mapping[str, float]]  # those of the validation sequences
    metrics: dict[str, float] = field(default_factory=dict)
    step: int = 0
    parameters: dict[str, Tensor] = field(default_factory=dict)
    in_a_row: int = 0  # the number of consecutive evaluations that met the criterion
    _rank: tuple[float, float] = (-inf, -inf)

    def evaluate(self, trainer: Trainer) -> None:
        """Measure the model, and keep its weights if they are the best so far."""
        metrics = trainer.measure("valid").named()
        self.in_a_row = self.in_a_row + 1 if self.success.reached(metrics, self.trivial) else 0
        # Ties, which are common before anything is learned, go to the lower loss.
        loss = metrics["loss"]
        rank = (worth(metrics[self.success.metric], self.success), -loss if isfinite(loss) else -inf)
        if not self.parameters or rank > self._rank:
            self.metrics, self.step, self._rank = metrics, trainer.step, rank
            self.parameters = {name: value.detach().clone() for name, value in trainer.parameters.items()}


def run_trial(config: TrainConfig, confirm: int, progress: Callable[[int], None]) -> Outcome:
    """Run one trial, on one thread. On one machine, its results are always the same to the bit.

    When the criterion is first met, it is often only just met, and the same weights would miss it on other sequences.
    So a run ends only when consecutive evaluations meet the criterion. The test sequences are used once, with the
    weights that were best on the validation sequences.

    Args:
        config: The configuration of the training run; ``evaluate_every`` determines how often the model is measured on
            the validation sequences.
        confirm: The number of consecutive evaluations that must meet the criterion.
        progress: The function to call with the step after each evaluation.

    Returns:
        The outcome.

    Raises:
        ConfigError: If settings do not fit, or the job has no criterion.
        DataError: If recorded data cannot be used.
    """
    began = monotonic()
    torch.set_num_threads(1)
    job = open_job(config)
    success = criterion(job, config.task)
    trainer, best, blew_up = Trainer(config, job, ProcessGroup()), _Best(success, job.trivial("valid")), False
    while trainer.step < trainer.steps and best.in_a_row < confirm and not blew_up:
        try:
            trainer.train_step()
        except NonFiniteLossError:
            blew_up = True
        if blew_up or trainer.step == trainer.steps or trainer.step % config.evaluate_every == 0:
            best.evaluate(trainer)
            progress(trainer.step)
    load_parameters(trainer.model, best.parameters)
    test = trainer.measure("test").named()
    return Outcome(
        steps=trainer.step,
        solved=success.reached(test, job.trivial("test")) and not blew_up,
        reached=success.reached(best.metrics, best.trivial),
        blew_up=blew_up,
        valid=_plain(best.metrics),
        valid_step=best.step,
        test=_plain(test),
        seconds=round(monotonic() - began, 3),
    )


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics in a form that JSON can hold: None for values that are not finite."""
    return {name: value if isfinite(value) else None for name, value in metrics.items()}
