"""A kind of job: the row of the registry that says what there is to do for it, from its settings to a finished run.

A kind answers for everything that differs between jobs. What it cannot do it refuses in a sentence; nobody else asks
which job a run is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from gatework.data.vocabulary import Symbols, Vocabulary
from gatework.errors import RunError
from gatework.models.language import LanguageModel
from gatework.training.jobs.evaluation import Evaluation, Question
from gatework.training.jobs.protocol import Job
from gatework.training.jobs.settings import Settings


class Kept(Protocol):
    """What a run directory holds, as far as a job reads it."""

    @property
    def path(self) -> Path:
        """The directory."""
        ...

    def read_data(self) -> dict[str, Any]:
        """Read what the run has said of its data; ``fingerprint`` is among it."""
        ...

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the files that the job put there."""
        ...


class Trained(Protocol):
    """What a job knows of a finished run, beside its checkpoints."""

    @property
    def fingerprint(self) -> str:
        """One number for the data that it was trained on."""
        ...

    def build(self, device: torch.device) -> nn.Module:
        """Build the model that a checkpoint fills."""
        ...


class Language(Trained, Protocol):
    """What a job knows of a finished run whose model reads and writes text."""

    @property
    def level(self) -> str:
        """What is read one at a time: ``byte``, ``char`` or ``word``."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """What each number means."""
        ...

    def build(self, device: torch.device) -> LanguageModel:
        """Build the model that a checkpoint fills."""
        ...

    def held_out(self, title: str) -> Symbols:
        """Read text that the model was not trained on.

        Args:
            title: What to call the run, for the error's sentence.

        Raises:
            DataError: When the text is gone, or not what it was.
        """
        ...


@dataclass(frozen=True)
class Restored:
    """A model out of a run directory, to be used and not trained.

    Args:
        run: What the user calls the run.
        config: Its settings.
        kept: What its directory holds.
        trained: What :meth:`JobKind.restore` gave.
        model: The model, set to evaluation.
        step: The step of the checkpoint that it was read from.
    """

    run: str
    config: Any
    kept: Kept
    trained: Any
    model: Any
    step: int


@dataclass(frozen=True)
class Ending:
    """The text that a person reads at the end of a run.

    Args:
        measured: What the last metrics were measured on.
        digits: How numbers are written, such as ``.3f``.
        notes: Further sentences.
        commands: What to do next, each a command of ``gatework`` without the program's name.
        continues: True where the same command with more steps is worth a hint.
    """

    measured: str
    digits: str
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    continues: bool = False


class JobKind:
    """A row of the registry. Its methods answer for one kind of job."""

    name: str
    settings: type[Settings]

    def takes(self, task: str) -> bool:
        """Tell whether a task is done by this kind of job."""
        return task == self.name

    def defaults(self, values: Mapping[str, Any], *, files: bool) -> Mapping[str, Any]:
        """Give the settings that suit the task, in place of the general defaults.

        Args:
            values: What is said.
            files: Whether ``cell`` may name a file of equations.
        """
        return {}

    def refused(self, name: str, value: Any, task: str) -> str:
        """Say that a setting of another kind of job has no meaning here."""
        return f"{name} is {value!r}, and has no meaning in task '{task}': leave it out"

    def title(self, config: Any) -> str:
        """Say what to call the data, in a few letters that may stand in a file's name."""
        return self.name

    def data_name(self, config: Any) -> str:
        """Say what to call the data in a sentence."""
        return config.data or self.title(config)

    def begin(self, config: Any) -> Job:
        """Read the data of a configuration, or make ready to draw them."""
        raise NotImplementedError

    def restore(self, run: str, config: Any, kept: Kept) -> Trained:
        """Take up a finished run; nothing in its directory is touched.

        Args:
            run: What the user calls the run.
            config: Its settings.
            kept: What its directory holds.

        Raises:
            RunError: When files of the run cannot be read.
            DataError: When the data are needed, and gone or changed.
        """
        raise NotImplementedError

    def language(self, run: str, config: Any, kept: Kept) -> Language:
        """Take up a finished run whose model reads and writes text.

        Raises:
            RunError: When the job has no text.
        """
        raise RunError(
            f"run '{run}' was trained on task '{config.task}': expected a run on text; `gatework evaluate` measures it"
        )

    def check_question(self, run: str, question: Question) -> None:
        """Refuse what cannot be asked of a run of this kind, before anything of it is read.

        Raises:
            ConfigError: Saying what to leave out.
        """

    def evaluate(self, restored: Restored, question: Question) -> Evaluation:
        """Measure the model of a finished run.

        Args:
            restored: The run.
            question: What it is to be measured on.

        Returns:
            The metrics.

        Raises:
            ConfigError: When the model cannot be asked this.
            DataError: When the data are not there or not those the run was trained on, or have no such split.
        """
        raise NotImplementedError

    def ending(self, config: Any, run: str, metrics: Mapping[str, float], sample: str, splits: Sequence[str]) -> Ending:
        """Give the text that a person reads at the end of a run.

        Args:
            config: The settings of the run.
            run: Its directory, as a shell reads it.
            metrics: Its last metrics on what was held out.
            sample: What the model wrote.
            splits: The splits of the data.
        """
        raise NotImplementedError
