"""The registry of jobs: one row for each kind. A new kind of job is one file and its entries here.

Its settings are a base class of :class:`TrainConfig`, which adds them to flags, TOML files and ``config.json``. Its row
in ``JOBS`` implements everything else.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import Field, field_validator, model_validator

from gatework.errors import ConfigError
from gatework.tasks.own import find_task, knowing
from gatework.tasks.task import Task
from gatework.training.jobs.kind import JobKind
from gatework.training.jobs.protocol import Job
from gatework.training.jobs.sequence import SequenceKind
from gatework.training.jobs.sequence_settings import SequenceSettings
from gatework.training.jobs.settings import Settings
from gatework.training.jobs.text import TextKind, TextSettings
from gatework.training.jobs.translation import TranslationKind, TranslationSettings

JOBS: tuple[JobKind, ...] = (TextKind(), TranslationKind(), SequenceKind())
"""Every kind of job; the first one is the default, and the first one that takes a task has it."""


class TrainConfig(TranslationSettings, SequenceSettings, TextSettings):
    """Configure a training run completely; the same configuration always gives the same run.

    Build it with :func:`make_config`, whose errors are sentences. It has the settings of all kinds of jobs. Those of
    other kinds than the task's must keep their defaults.

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
        """Let the job check that the settings fit together; refuse given settings of other kinds of jobs."""
        own = kind_of(self.task)
        for kind in JOBS:
            for name in settings_of(kind) if kind is not own else ():
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(own.refused(name, getattr(self, name), self.task))
        if self.bidirectional and (reason := own.one_way(self.task)):
            raise ValueError(f"bidirectional is true, and {reason}. Leave it out.")
        own.settings.check(self)
        return self

    @property
    def title(self) -> str:
        """The short name of the data."""
        return kind_of(self.task).title(self)


def kind_of(task: str) -> JobKind:
    """Find the kind of job for a task.

    Args:
        task: The name of a task, or of a job that has only one.

    Returns:
        The row of the registry.

    Raises:
        ConfigError: If there is none; the message suggests the nearest name.
    """
    for kind in JOBS:
        if kind.takes(task):
            return kind
    find_task(task)  # raises, with the nearest name
    raise ConfigError(f"There is no task '{task}'.")


def settings_of(kind: JobKind) -> list[str]:
    """List the settings that belong to only one kind of job."""
    return [name for name in kind.settings.model_fields if name not in Settings.model_fields]


def open_job(config: TrainConfig) -> Job:
    """Read the data of a configuration, or prepare to draw them.

    Args:
        config: The settings of the run.

    Returns:
        The job.

    Raises:
        ConfigError: If a setting does not fit the task.
        DataError: If the data cannot be used.
    """
    return kind_of(config.task).begin(config)


@contextmanager
def knowing_own(*tasks: Task | None) -> Iterator[None]:
    """Know tasks of a person's own within a ``with`` block; see :func:`gatework.tasks.own.knowing`.

    Raises:
        ConfigError: If one is not a task, or cannot have its name.
    """
    jobs = {kind.name for kind in JOBS}
    for name in (getattr(task, "name", "") for task in tasks):
        if name in jobs:
            raise ConfigError(f"The task's name is '{name}', which is a job of gatework: give yours another name.")
    with knowing(*tasks):
        yield
