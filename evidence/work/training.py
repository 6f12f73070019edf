"""Training in a worker: to success or to the end of the budget."""

from collections.abc import Mapping
from typing import Any

from gatework.training.config import make_config
from gatework.training.jobs.sequence import SequenceJob
from gatework.training.parallel import ProcessGroup
from gatework.training.trainer import Trainer


def trained(settings: Mapping[str, Any], *, every: int = 100, to_success: bool = True) -> tuple[Trainer, int]:
    """Train a model.

    Args:
        settings: Fields of :class:`gatework.TrainConfig` by name; those not given are the task's own.
        every: Steps between two looks at the validation sequences.
        to_success: Whether to stop at the first look at which the task counts as solved.

    Returns:
        The trainer with the model as it is in the end, and the steps it took.
    """
    config = make_config(settings)
    job = SequenceJob(config)
    trainer = Trainer(config, job, ProcessGroup())
    while trainer.step < trainer.steps:
        trainer.train_step()
        if to_success and trainer.step % every == 0 and job.task.success.reached(trainer.measure("valid").named()):
            break
    return trainer, trainer.step
