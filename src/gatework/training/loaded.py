"""A finished run in Python: its model, and what one does with it."""

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any, overload

import torch

from gatework.data.vocabulary import Vocabulary
from gatework.errors import ConfigError, DataError
from gatework.tasks.task import Task
from gatework.tracing import Trace
from gatework.tracing import trace as trace_model
from gatework.training.config import TrainConfig
from gatework.training.evaluation import Evaluation, Search, make_question
from gatework.training.forecast_stream import ForecastStream
from gatework.training.forecaster import Source
from gatework.training.forecasting import Forecast, Forecasting, check_forecasts
from gatework.training.generation import Generation
from gatework.training.generation import generate as generate_text
from gatework.training.jobs.kind import JobKind, Reading, Restored
from gatework.training.jobs.registry import kind_of, knowing_own
from gatework.training.predicted import Prediction
from gatework.training.restore import Loaded, Step, open_run, reopen
from gatework.training.run import RunDirectory
from gatework.training.transcription import Hearing, Sound, Transcriber, Transcription
from gatework.training.translating import make_wish


class LoadedRun:
    """A finished run: its model and everything that is known about it. :func:`gatework.load` returns it.

    The methods do what the job of the run can do. A request that it cannot serve is answered by an error that says why.

    Args:
        restored: The model, and the facts that its job knows.
        directory: The run directory.
        task: The task, if it is a person's own.
    """

    def __init__(self, restored: Restored, directory: RunDirectory, task: Task | None = None) -> None:
        self._restored = restored
        self._directory = directory
        self._task = task

    def __repr__(self) -> str:
        """Name the run, its task, its cell and the step."""
        return f"<run {str(self.path)!r}: task {self.config.task}, step {self.step:,}>"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._directory.path

    @property
    def step(self) -> int:
        """The step of the checkpoint."""
        return self._restored.step

    @property
    def config(self) -> TrainConfig:
        """The settings of the run."""
        return self._restored.config

    @property
    def model(self) -> Any:
        """The model, in evaluation mode: a ``torch.nn.Module`` whose recurrent layers are ``model.recurrent``."""
        return self._restored.model

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of a run on text.

        Raises:
            RunError: If the job has none.
        """
        return self._kind.vocabulary(self._restored)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, or for text of the symbols; empty if they have none."""
        return self._kind.answers(self._restored).names

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """The facts about the data of the run: its ``data.json``."""
        return self._directory.read_data()

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``: training loss and held-out metrics over the steps."""
        return self._directory.read_metrics()

    @property
    def metrics(self) -> Mapping[str, float]:
        """The held-out metrics that training measured last, up to the step of this checkpoint."""
        lines = [line for line in self.history if "valid_loss" in line and line["step"] <= self.step]
        last = lines[-1] if lines else {}
        return {name.removeprefix("valid_"): value for name, value in last.items() if name.startswith("valid_")}

    @torch.no_grad()
    def predict(self, inputs: Any, lengths: Any = None) -> Prediction:
        """Let the model answer inputs of your own.

        Args:
            inputs: For text, a text: the answers are the next symbols, after the line end before the text and after
                each of its symbols. For a task, numbers ``[T, I]`` or ``[T, B, I]`` as the model reads them, or symbols
                ``[T]`` or ``[T, B]``.
            lengths: For a task: the number of steps of each sequence ``[B]``; None if all have T.

        Returns:
            The answers at every step; ``.last`` has those at the end of each sequence.

        Raises:
            RunError: If the models of this job do not take inputs.
            DataError: If the inputs do not fit the model.
        """
        reading, answers = self._read(inputs, lengths), self._kind.answers(self._restored)
        options = {} if reading.lengths is None else {"lengths": reading.lengths}
        scores, _ = self.model(reading.inputs, **options)
        return Prediction(scores.cpu(), deepcopy(answers.head).cpu(), answers.names, reading.lengths)

    def trace(
        self, inputs: Any, names: Iterable[str] | str | None = None, *, parts: bool = False, lengths: Any = None
    ) -> Trace:
        """Record what the layers compute on inputs of your own; see :func:`gatework.trace`.

        Args:
            inputs: As for :meth:`predict`.
            names: The quantities to record; None for all.
            parts: Whether to record the addends of the states' equations as well.
            lengths: As for :meth:`predict`.

        Returns:
            The trace.

        Raises:
            RunError: If the models of this job do not take inputs.
            DataError: If the inputs do not fit the model.
            SizeError: For a name that no equation has.
        """
        reading = self._read(inputs, lengths)
        return trace_model(self.model, reading.inputs, names, parts, lengths=reading.lengths)

    def generate(self, prompt: str = "", **options: Any) -> Generation:
        """Continue a prompt, or translate it, for a run of task ``translation``; see :func:`gatework.generate`.

        Args:
            prompt: The text to continue.
            options: ``length``, ``temperature``, ``top_p``, ``top_k`` and ``seed`` of :func:`gatework.generate`.

        Returns:
            The text.

        Raises:
            RunError: If the models of this job do not write.
        """
        if self._kind.translates(self.config):
            return generate_text(str(self.path), prompt, step=self.step, **options)
        loaded = Loaded(self._directory, self.config, self.vocabulary, self.model, self.step)
        return generate_text(loaded, prompt, **options)

    def translate(self, sentences: Sequence[str], *, beams: int = 5, penalty: float = 1.0) -> list[str]:
        """Translate sentences, for a run of task ``translation``.

        Args:
            sentences: The sentences, one a text without line ends.
            beams: The number of beams of a search; 1 takes the most probable symbol at every step.
            penalty: The exponent of the length penalty of :func:`gatework.beam_search`.

        Returns:
            The translations.

        Raises:
            RunError: If the models of this job do not translate.
            ConfigError: If an option is out of range.
            DataError: If something is not a sentence.
        """
        if isinstance(sentences, str):
            raise DataError("One text was given; expected a list of sentences, as in run.translate(['A man sleeps.']).")
        return [one.text for one in self._kind.translate(self._restored, sentences, make_wish(beams, penalty))]

    def evaluate(
        self,
        split: str = "valid",
        *,
        data: str = "",
        streams: int | None = None,
        gap: int | None = None,
        symbols: int | None = None,
        beams: int | None = None,
        search: Search | None = None,
        draws: int | None = None,
    ) -> Evaluation:
        """Measure the model; see :func:`gatework.evaluate`. This needs the data of the run.

        Args:
            split: ``train``, ``valid`` or, if the data have one, ``test``.
            data: For text: a file or folder to measure on instead.
            streams: For text: the number of parts to read in parallel.
            gap: For a task: another gap than in training.
            symbols: For text: the most symbols to measure; 0 for all.
            beams: For translation: the number of beams of the searches. For speech: those of a search beside the most
                probable path; None for none.
            search: For speech: what the search knows.
            draws: For a model with latent variables: the number of draws of an importance-weighted estimate.

        Returns:
            The metrics.

        Raises:
            ConfigError: If an option is out of range, or has no meaning for this run.
            DataError: If the data are missing, differ from those of the training, or have no such split.
        """
        began, run = monotonic(), self._restored.run
        question = make_question(split, data, streams, gap, symbols, beams, search, draws)
        with knowing_own(self._task):
            self._kind.check_question(run, question)
            trained = self._kind.restore(run, self.config, self._directory)
            measured = self._kind.evaluate(replace(self._restored, trained=trained), question)
        return replace(measured, seconds=monotonic() - began)

    def forecast(self, table: Source = None, horizon: int | None = None, *, ahead: str | None = None) -> Forecast:
        """Forecast how a table goes on, for a run of task ``forecast``. This needs the data of the run.

        Args:
            table: A table with the columns of the run's own, as a file, or as numbers ``[n, F]`` in the order of the
                run's columns; None for the table of the run.
            horizon: The number of rows; None for the number that the model was trained for. Beyond that number,
                forecasts are read like rows.
            ahead: A table with the columns that are known ahead, for the rows to come; None if there are none.

        Returns:
            The forecast of each series, with intervals and their coverage on the test part of the run's table.

        Raises:
            RunError: If the run does not forecast a table.
            ConfigError: If the horizon is out of range, or values that must be known ahead are missing.
            DataError: If a table cannot be read, or does not fit the model.
        """
        return self._forecasting.forecast(table, horizon, ahead)

    def stream(self, table: Source = None, series: str = "", *, ahead: str | None = None) -> ForecastStream:
        """Begin a stream of rows after the end of a table, with a forecast at any time. This needs the data of the run.

        Args:
            table: As for :meth:`forecast`.
            series: The name of a series of the table; may be left out if there is only one.
            ahead: As for :meth:`forecast`.

        Returns:
            The stream: ``update(row)`` reads one more row, ``forecast()`` gives the rows to come.

        Raises:
            RunError: If the run does not forecast a table.
            ConfigError: If the table has several series and none is named.
            DataError: If a table cannot be read, or does not fit the model.
        """
        return ForecastStream(self._forecasting, table, series, ahead)

    @overload
    def transcribe(self, sounds: Sound, *, beams: int = 0, **options: Any) -> Transcription: ...

    @overload
    def transcribe(self, sounds: Sequence[Sound], *, beams: int = 0, **options: Any) -> list[Transcription]: ...

    def transcribe(
        self, sounds: Sound | Sequence[Sound], *, beams: int = 0, **options: Any
    ) -> Transcription | list[Transcription]:
        """Transcribe recordings, for a run on speech. The data of the run are not needed.

        Args:
            sounds: A file (WAV; FLAC and OGG with soundfile; ``.mfc``), samples ``[n]`` at the rate of the run, or a
                list of these. A file at another rate is resampled, and several channels are mixed.
            beams: The number of prefixes that are kept in a search; 0 for the most probable path.
            options: For a search: ``ngram``, ``order``, ``weight`` and ``bonus`` of :class:`gatework.training.Search`.

        Returns:
            The transcript, with what was done to the recording; for a list, those of all.

        Raises:
            RunError: If the run is not on speech.
            ConfigError: If an option is out of its range, or there is no search for it.
            DataError: If a recording cannot be read.
        """
        if options and not beams:
            raise ConfigError(f"{', '.join(options)} is given, and beams is {beams}. Give beams, such as 16.")
        transcriber = self.transcriber(Search(beams, **options))
        if isinstance(sounds, Sequence) and not isinstance(sounds, str):
            return [transcriber.transcribe(sound) for sound in sounds]
        return transcriber.transcribe(sounds)

    def transcriber(self, search: Search) -> Transcriber:
        """Prepare to transcribe one recording after the other with a search; see :meth:`transcribe`.

        Raises:
            RunError: If the run is not on speech.
        """
        return Transcriber(self._restored, search)

    def listen(self) -> Hearing:
        """Begin a recording that arrives in pieces, for a run on speech that reads in one direction.

        Returns:
            What hears it: ``feed(samples)`` gives the letters that samples add, ``finish()`` the last ones.

        Raises:
            RunError: If the run is not on speech.
            ConfigError: If its model needs whole recordings.
        """
        return Hearing(self.transcriber(Search()))

    @cached_property
    def _forecasting(self) -> Forecasting:
        run = self._restored.run
        with knowing_own(self._task):
            check_forecasts(run, self.config)
        trained = self._kind.restore(run, self.config, self._directory)
        return Forecasting(replace(self._restored, trained=trained))

    @property
    def _kind(self) -> JobKind:
        with knowing_own(self._task):
            return kind_of(self.config.task)

    def _read(self, inputs: Any, lengths: Any) -> Reading:
        reading = self._kind.read(self._restored, inputs, lengths)
        weight = next(parameter for parameter in self.model.parameters())
        moved = reading.inputs.to(weight.device)
        return replace(reading, inputs=moved.to(weight.dtype) if moved.is_floating_point() else moved)


def load(run: str | os.PathLike[str], step: Step = None, *, device: str = "cpu", task: Task | None = None) -> LoadedRun:
    """Load a finished run: its model, with everything that is known about it. Nothing in its directory is changed.

    The data that the run was trained on are not needed, except to measure it.

    Args:
        run: The run directory.
        step: The step of the checkpoint; ``best`` for the lowest held-out loss; ``last`` or None for the newest.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
        task: For a run on a task of your own: the task.

    Returns:
        The run.

    Raises:
        RunError: If the directory is not a run, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.

    Example:
        >>> import tempfile, gatework
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     config = gatework.TrainConfig(task="parity", gap=3, hidden_size=8, steps=2, run=folder + "/parity")
        ...     trained = gatework.load(gatework.train(config).run)
        >>> trained.step, trained.predict([[1.0], [0.0], [1.0]]).scores.shape
        (2, torch.Size([3, 1, 2]))
    """
    named = os.fspath(run)
    with knowing_own(task):
        return LoadedRun(reopen(named, step=step, device=device), open_run(named), task)
