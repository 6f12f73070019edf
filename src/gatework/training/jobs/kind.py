"""A kind of job: the row of the registry with all that is specific to it, from its settings to a finished run.

A kind implements everything that differs between jobs, and refuses requests that it cannot serve. No other module
branches on the kind of a job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gatework.data.vocabulary import Symbols, Vocabulary
from gatework.errors import ConfigError, RunError
from gatework.heads import Head
from gatework.models.language import LanguageModel
from gatework.tasks.task import NOTHING
from gatework.training.jobs.evaluation import Evaluation, Question
from gatework.training.jobs.protocol import Job
from gatework.training.jobs.settings import Settings

Choose = Callable[[Tensor], int]


class Kept(Protocol):
    """The part of a run directory that a job reads."""

    @property
    def path(self) -> Path:
        """The directory."""
        ...

    def read_data(self) -> dict[str, Any]:
        """Read the facts about the data, with their ``fingerprint``."""
        ...

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the files that the job has written."""
        ...


class Trained(Protocol):
    """The facts that a job knows about a finished run, besides its checkpoints."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the training data."""
        ...

    def build(self, device: torch.device) -> nn.Module:
        """Build the model that a checkpoint fills."""
        ...


class Language(Trained, Protocol):
    """The facts that a job knows about a finished run whose model reads and generates text."""

    @property
    def level(self) -> str:
        """The level of the symbols: ``byte``, ``char``, ``word`` or ``bpe``."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the run."""
        ...

    def build(self, device: torch.device) -> LanguageModel:
        """Build the model that a checkpoint fills."""
        ...

    def held_out(self, title: str) -> Symbols:
        """Read text that the model was not trained on.

        Args:
            title: The name of the run, for error messages.

        Raises:
            DataError: If the text is missing, or has changed.
        """
        ...


@dataclass(frozen=True)
class Restored:
    """A model from a run directory, for use rather than training.

    Args:
        run: The run, as the user has named it.
        config: The settings of the run.
        kept: The files of the run.
        trained: The result of :meth:`JobKind.restore`.
        model: The model, in evaluation mode.
        step: The step of the checkpoint.
    """

    run: str
    config: Any
    kept: Kept
    trained: Any
    model: Any
    step: int


@dataclass(frozen=True)
class Reading:
    """Inputs of a person's own, in the form that a model reads.

    Args:
        inputs: Numbers ``[T, B, I]`` or symbols ``[T, B]``.
        lengths: The number of steps of each sequence ``[B]``; None if all have T.
    """

    inputs: Tensor
    lengths: Tensor | None = None


@dataclass(frozen=True)
class Answers:
    """The meaning of a model's scores.

    Args:
        head: The head of the model.
        names: The name of each score; empty if they have none.
    """

    head: Head
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wish:
    """How translations are searched for.

    Args:
        beams: The number of beams; 1 takes the most probable symbol at every step.
        penalty: The exponent of the length penalty of :func:`gatework.beam_search`.
    """

    beams: int = 1
    penalty: float = 1.0


@dataclass(frozen=True)
class Translation:
    """The translation of a sentence.

    Args:
        source: The sentence.
        text: The translation.
        log_probability: The logarithm of its probability; 0 for an empty sentence.
        ended: Whether it is complete, or else the search has stopped at the greatest length.
        others: Further hypotheses, from the better to the worse.
    """

    source: str
    text: str
    log_probability: float = 0.0
    ended: bool = True
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ending:
    """The text that a person reads at the end of a run.

    Args:
        measured: The data on which the last metrics were measured.
        digits: The format of numbers, such as ``.3f``.
        notes: Further sentences.
        commands: Suggested next commands of ``gatework``, without the name of the program.
        continues: Whether to suggest the same command with more steps.
    """

    measured: str
    digits: str
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    continues: bool = False


class JobKind:
    """A row of the registry. Its methods implement one kind of job."""

    name: str
    settings: type[Settings]

    def takes(self, task: str) -> bool:
        """Tell whether a task belongs to this kind of job."""
        return task == self.name

    def one_way(self, task: str) -> str:
        """Say why models of a task must read in one direction, as a clause; empty if they may read in both."""
        return ""

    def defaults(self, values: Mapping[str, Any], *, files: bool) -> Mapping[str, Any]:
        """Return the task's own defaults, which replace the general ones.

        Args:
            values: The given settings.
            files: Whether ``cell`` may name a file of equations.
        """
        return {}

    def refused(self, name: str, value: Any, task: str) -> str:
        """Return the message that a setting of another kind of job has no meaning here."""
        return f"{name} is {value!r}, and has no meaning in task '{task}'. Leave it out."

    def title(self, config: Any) -> str:
        """Return a short name of the data that may be part of a file name."""
        return self.name

    def data_name(self, config: Any) -> str:
        """Return the name of the data for use in a sentence."""
        return config.data or self.title(config)

    def begin(self, config: Any) -> Job:
        """Read the data of a configuration, or prepare to draw them."""
        raise NotImplementedError

    def restore(self, run: str, config: Any, kept: Kept) -> Trained:
        """Open a finished run; nothing in its directory is changed.

        Args:
            run: The run, as the user has named it.
            config: The settings of the run.
            kept: The files of the run.

        Raises:
            RunError: If files of the run cannot be read.
            DataError: If the data are needed, but missing or changed.
        """
        raise NotImplementedError

    def language(self, run: str, config: Any, kept: Kept) -> Language:
        """Open a finished run whose model reads and generates text.

        Raises:
            RunError: If the job has no text.
        """
        raise RunError(
            f"Run '{run}' was trained on task '{config.task}'; expected a run on text. `gatework evaluate` measures it."
        )

    def reopen(self, run: str, config: Any, kept: Kept) -> Trained:
        """Open a finished run for the use of its model; unlike :meth:`restore`, this never needs the data.

        Args:
            run: The run, as the user has named it.
            config: The settings of the run.
            kept: The files of the run.

        Raises:
            RunError: If files of the run cannot be read.
        """
        return self.restore(run, config, kept)

    def shared_rows(self, job: Any, trained: Any) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Match the rows of parameters that have one for each symbol, to begin a run with the weights of another.

        Args:
            job: The job of the new run.
            trained: What :meth:`reopen` says about the other run; it may be of another kind.

        Returns:
            For each such parameter the rows ``[n]`` of the new run and the rows ``[n]`` of the other run.
        """
        return {}

    def forecasts(self, config: Any) -> bool:
        """Tell whether models of a run with these settings forecast how a table goes on."""
        return False

    def translates(self, config: Any) -> bool:
        """Tell whether models of a run with these settings translate sentences."""
        return False

    def translate(self, restored: Restored, sentences: Sequence[str], wish: Wish) -> list[Translation]:
        """Translate sentences.

        Args:
            restored: The run.
            sentences: The sentences.
            wish: How to search.

        Returns:
            The translation of each.

        Raises:
            RunError: If the models of this job do not translate.
            DataError: If something is not a sentence.
        """
        raise RunError(cannot(restored, "translate"))

    def draw_translation(self, restored: Restored, sentence: str, choose: Choose, length: int) -> Iterator[str]:
        """Draw a translation, symbol by symbol.

        Args:
            restored: The run.
            sentence: The sentence.
            choose: The function that chooses the next symbol from the scores of all ``[V]``.
            length: The most symbols.

        Returns:
            The parts of the translation; each is computed when it is asked for.

        Raises:
            RunError: If the models of this job do not translate.
            DataError: If this is not one sentence.
        """
        raise RunError(cannot(restored, "translate"))

    def read(self, restored: Restored, given: Any, lengths: Any = None) -> Reading:
        """Turn inputs of a person's own into the form that the model reads.

        Args:
            restored: The run.
            given: The inputs, such as a text, an array or a tensor.
            lengths: The number of steps of each sequence; None if all are equally long.

        Raises:
            RunError: If the models of this job read nothing of the kind.
            DataError: If the inputs do not fit the model.
        """
        raise RunError(cannot(restored, "read inputs of your own"))

    def answers(self, restored: Restored) -> Answers:
        """Return the meaning of the model's scores.

        Raises:
            RunError: If its output is no scores.
        """
        raise RunError(cannot(restored, "score answers"))

    def vocabulary(self, restored: Restored) -> Vocabulary:
        """Return the vocabulary of the run.

        Raises:
            RunError: If the job has none.
        """
        raise RunError(cannot(restored, "read or write text, and have no vocabulary"))

    def check_question(self, run: str, question: Question) -> None:
        """Refuse a measurement that makes no sense for a run of this kind, before the run is read.

        Raises:
            ConfigError: If an option does not apply; the message names it.
        """
        if question.beams is not None:
            raise ConfigError(f"beams is {question.beams}, and run '{run}' translates nothing. Leave it out.")
        if question.search is not None:
            raise ConfigError(f"A search for transcripts is given, and run '{run}' hears no speech. Leave it out.")

    def evaluate(self, restored: Restored, question: Question) -> Evaluation:
        """Measure the model of a finished run.

        Args:
            restored: The run.
            question: The data on which to measure it.

        Returns:
            The metrics.

        Raises:
            ConfigError: If the model cannot be measured on these data.
            DataError: If the data are missing, differ from those of the training, or have no such split.
        """
        raise NotImplementedError

    def ending(
        self,
        config: Any,
        run: str,
        metrics: Mapping[str, float],
        sample: str,
        splits: Sequence[str],
        trivial: Mapping[str, Mapping[str, float]] = NOTHING,
    ) -> Ending:
        """Return the text that a person reads at the end of a run.

        Args:
            config: The settings of the run.
            run: The run directory, quoted for a shell.
            metrics: The last metrics on held-out data.
            sample: The text that the model generated.
            splits: The splits of the data.
            trivial: The metrics of trivial predictors on the same held-out data, by their names.
        """
        raise NotImplementedError


def cannot(restored: Restored, what: str) -> str:
    """Return the message that the models of a job cannot do something.

    Args:
        restored: The run.
        what: What they do not do.
    """
    return (
        f"Run '{restored.run}' was trained on task '{restored.config.task}', and its models do not {what}. "
        "`gatework.load(run).evaluate()` measures it."
    )
