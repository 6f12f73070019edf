"""The registry of jobs: a row for each kind. A new kind of job is one file and what stands for it here.

Its settings are a base of :class:`TrainConfig`, so that flags, TOML files and ``config.json`` have them too; and its
row in ``JOBS`` answers for everything else.
"""

from pydantic import Field, field_validator, model_validator

from gatework.errors import ConfigError
from gatework.tasks.registry import TASKS
from gatework.training.jobs.kind import JobKind
from gatework.training.jobs.protocol import Job
from gatework.training.jobs.sequence import SequenceKind, SequenceSettings
from gatework.training.jobs.text import TextKind, TextSettings

JOBS: tuple[JobKind, ...] = (TextKind(), SequenceKind())
"""Every kind of job; the first one is the default."""


class TrainConfig(SequenceSettings, TextSettings):
    """Everything that decides how a run goes; the same configuration always gives the same run.

    Build it with :func:`make_config`, whose errors are sentences. It has the settings of every kind of job, flat; those
    of another kind than the task's must stay at their defaults.

    Example:
        >>> TrainConfig(hidden_size=64).cell
        'lstm'
    """

    task: str = Field(JOBS[0].name, description="The job: text is a language model; the others, see `gatework tasks`.")

    @field_validator("task")
    @classmethod
    def _task_is_known(cls, value: str) -> str:
        kind_of(value)
        return value

    @model_validator(mode="after")
    def _fits_its_job(self) -> "TrainConfig":
        """Leave the job to refuse what does not fit together, and settings of other kinds where they are given."""
        own = kind_of(self.task)
        for kind in JOBS:
            for name in settings_of(kind) if kind is not own else ():
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(own.refused(name, getattr(self, name), self.task))
        own.settings.check(self)
        return self

    @property
    def title(self) -> str:
        """What to call the data."""
        return kind_of(self.task).title(self)


def kind_of(task: str) -> JobKind:
    """Find the kind of job that does a task.

    Args:
        task: The name of a task, or of a job that has only one.

    Returns:
        The row of the registry.

    Raises:
        ConfigError: Where there is none, with the nearest name.
    """
    for kind in JOBS:
        if kind.takes(task):
            return kind
    TASKS[task]  # raises, with the nearest name
    raise ConfigError(f"there is no task '{task}'")


def settings_of(kind: JobKind) -> list[str]:
    """List the settings that only one kind of job knows."""
    return [name for name in kind.settings.__annotations__ if name in kind.settings.model_fields]


def open_job(config: TrainConfig) -> Job:
    """Read the data of a configuration, or make ready to draw them.

    Args:
        config: The settings of the run.

    Returns:
        The job.

    Raises:
        ConfigError: When a setting does not fit the task.
        DataError: When the data cannot be used.
    """
    return kind_of(config.task).begin(config)
