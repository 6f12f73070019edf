"""From a configuration to the job that it speaks of."""

from gatework.training.build import read_text
from gatework.training.config import TEXT, TrainConfig
from gatework.training.jobs.protocol import Job
from gatework.training.jobs.sequence import SequenceJob
from gatework.training.jobs.text import TextJob


def open_job(config: TrainConfig) -> Job:
    """Read the data of a configuration, or make ready to draw them.

    Args:
        config: What the run is told.

    Returns:
        The job.

    Raises:
        ConfigError: When a setting does not fit the task.
        DataError: When the data cannot be used.
    """
    return TextJob(config, read_text(config)) if config.task == TEXT else SequenceJob(config)
