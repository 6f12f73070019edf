"""One trial: train until the criterion is met or the budget is spent, then measure on sequences never looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from time import monotonic
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gatework.errors import NonFiniteLossError
from gatework.search.comparing.plan import Outcome, worth
from gatework.tasks.task import Success
from gatework.training.config import make_config
from gatework.training.jobs.sequence import SequenceJob
from gatework.training.parallel import Group
from gatework.training.trainer import Trainer, load_parameters


class Looks(NamedTuple):
    """When a trial looks at its validation sequences, and what ends it.

    A criterion that is met for the first time is often only just met, and on other sequences the same weights would
    have missed it. So a run ends when it is met again after some more training.

    Args:
        every: Steps between two looks.
        confirm: Looks in a row at which the criterion must be met.
    """

    every: int
    confirm: int = 2


@dataclass
class _Best:
    """The weights that were best on the validation sequences, and how good they were."""

    success: Success
    metrics: dict[str, float] = field(default_factory=dict)
    step: int = 0
    parameters: dict[str, Tensor] = field(default_factory=dict)
    row: int = 0  # looks in a row at which the criterion was met
    _rank: tuple[float, float] = (-inf, -inf)

    def look(self, trainer: Trainer) -> None:
        """Measure, and keep the weights where they are the best so far."""
        metrics = trainer.measure("valid").named()
        self.row = self.row + 1 if self.success.reached(metrics) else 0
        # Of equally good ones, which is common before anything is learned, those with the lower loss.
        loss = metrics["loss"]
        rank = (worth(metrics[self.success.metric], self.success), -loss if isfinite(loss) else -inf)
        if not self.parameters or rank > self._rank:
            self.metrics, self.step, self._rank = metrics, trainer.step, rank
            self.parameters = {name: value.detach().clone() for name, value in trainer.parameters.items()}


def run_trial(told: Mapping[str, Any], looks: Looks, heard: Callable[[int], None]) -> Outcome:
    """Run one trial, on one thread and the same to the bit whenever it is run on a machine.

    Measured on the test sequences, once, are the weights that were best on the validation ones.

    Args:
        told: The settings of its training run.
        looks: When it looks at the validation sequences.
        heard: Is told the step at each look.

    Returns:
        What came of it.

    Raises:
        ConfigError: When settings do not fit.
        DataError: When recorded data cannot be used.
    """
    began = monotonic()
    torch.set_num_threads(1)
    config = make_config(told)
    job = SequenceJob(config)
    trainer, best, blew_up = Trainer(config, job, Group()), _Best(job.task.success), False
    while trainer.step < trainer.steps and best.row < looks.confirm and not blew_up:
        try:
            trainer.train_step()
        except NonFiniteLossError:
            blew_up = True
        if blew_up or trainer.step == trainer.steps or trainer.step % looks.every == 0:
            best.look(trainer)
            heard(trainer.step)
    load_parameters(trainer.model, best.parameters)
    test = trainer.measure("test").named()
    return Outcome(
        steps=trainer.step,
        solved=job.task.success.reached(test) and not blew_up,
        reached=job.task.success.reached(best.metrics),
        blew_up=blew_up,
        valid=_plain(best.metrics),
        valid_step=best.step,
        test=_plain(test),
        seconds=round(monotonic() - began, 3),
    )


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Give metrics as JSON can hold them."""
    return {name: value if isfinite(value) else None for name, value in metrics.items()}
