"""A language model as a job: one long text, read in parallel streams."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from gatework.cells import Cell
from gatework.data.corpus import Corpus, read_corpus, read_whole
from gatework.data.streams import Streams
from gatework.data.vocabulary import Symbols, Vocabulary, split_symbols
from gatework.errors import ConfigError, DataError, RunError
from gatework.models.language import LanguageModel, Metric, bits_name, measure
from gatework.models.sampling import write_on
from gatework.models.state import State
from gatework.tasks.task import NOTHING
from gatework.training.jobs.build import DTYPES, build_cell
from gatework.training.jobs.evaluation import Evaluation, Question
from gatework.training.jobs.kind import Answers, Ending, JobKind, Kept, Reading, Restored
from gatework.training.jobs.memory_check import Needs, check_memory, count_layers
from gatework.training.jobs.protocol import StepLoss
from gatework.training.jobs.settings import Settings

SAMPLE_LENGTH = {"byte": 600, "char": 600, "word": 120}


class TextSettings(Settings):
    """The settings of a language model, besides those that all jobs share."""

    headings: ClassVar[Mapping[str, str]] = {"pattern": "Data", "tie_weights": "Model", "window": "Training"}

    pattern: str = Field("", description="Which files of a folder to read, such as *.py; by default *.txt, else all.")
    level: Literal["byte", "char", "word"] = Field("char", description="What the model reads and writes one at a time.")
    vocabulary_size: int | None = Field(
        None, ge=3, le=2**24, description="Keep only so many symbols, the most frequent; the rest become <unk>."
    )
    valid_fraction: float = Field(
        0.1, gt=0, lt=1, description="The part of the text held out, where the data does not come with splits."
    )
    tie_weights: bool = Field(False, description="Let the embedding and the output layer share one matrix.")
    init_range: float | None = Field(
        None, gt=0, le=100, description="Draw every weight and bias evenly from -range to range, in place of init."
    )
    window: int = Field(64, ge=1, le=2**20, description="Time steps of a window, which the backward pass goes through.")

    def check(self) -> None:
        """Refuse settings that do not fit together.

        Raises:
            ValueError: If settings do not fit; the message names them and what was expected.
        """
        if self.tie_weights and self.embedding_size not in (None, self.output_size):
            raise ValueError(
                f"tie_weights needs an embedding of the layer's output size {self.output_size}, and embedding_size is "
                f"{self.embedding_size}. Leave embedding_size out, or set it to {self.output_size}."
            )
        if self.init_range is not None and self.init != "torch":
            raise ValueError(f"init is '{self.init}' and init_range {self.init_range:g}; expected one of the two.")
        if self.vocabulary_size is not None and self.level == "byte":
            raise ValueError(
                "vocabulary_size has no meaning at level byte, which always has 256 symbols. Leave it out."
            )

    @property
    def input_size(self) -> int:
        """The size of the embedding."""
        return self.output_size if self.embedding_size is None else self.embedding_size


@dataclass(frozen=True)
class Text:
    """A text in numbers.

    Args:
        corpus: The symbols of the text, and their sources.
        vocabulary: The vocabulary of the numbers.
        tokens: The numbers of each split ``[n]``, int32.
    """

    corpus: Corpus
    vocabulary: Vocabulary
    tokens: dict[str, Tensor]

    def facts(self) -> dict[str, Any]:
        """Return facts about the text and its numbers, as plain data."""
        unknown = self.vocabulary.unknown
        return {
            "fingerprint": self.corpus.fingerprint,
            "splits": {
                split: {"tokens": len(t), "unknown": 0 if unknown is None else int((t == unknown).sum())}
                for split, t in self.tokens.items()
            },
            "sources": [dict(source) for source in self.corpus.sources],
        }


def read_text(config: TextSettings) -> Text:
    """Read the text of a configuration, and number its symbols.

    Raises:
        DataError: If the text cannot be used.
    """
    corpus = _read_corpus(config)
    vocabulary = Vocabulary.of(corpus.splits["train"], config.level, config.vocabulary_size)
    return Text(corpus, vocabulary, {split: vocabulary.encode(text) for split, text in corpus.splits.items()})


def count_parameters(config: TextSettings, cell: Cell, vocabulary_size: int) -> int:
    """Count the parameters of a language model, without building it.

    Raises:
        SizeError: If sizes do not fit the cell.
    """
    matrices = vocabulary_size * config.input_size * (1 if config.tie_weights else 2)
    return matrices + vocabulary_size + count_layers(config, cell, config.input_size)


def build_model(config: TextSettings, vocabulary_size: int, device: torch.device) -> LanguageModel:
    """Build the model of a configuration, with parameters drawn by torch's global random generator.

    Args:
        config: The configuration.
        vocabulary_size: The number of symbols.
        device: The device of the parameters.

    Returns:
        The model. It is always drawn on the CPU in float32, so that its initial values do not depend on device and
        dtype.

    Raises:
        ConfigError: If it would not fit in memory; checked before anything is allocated.
        SizeError: If sizes do not fit the cell.
    """
    cell = build_cell(config)
    parameters, places = count_parameters(config, cell, vocabulary_size), config.window * config.batch_size
    needs = Needs(parameters, places, config.input_size, vocabulary_size)
    check_memory(config, cell, needs, device, f"window ({config.window})")
    model = LanguageModel(
        vocabulary_size,
        cell,
        config.input_size,
        config.hidden_size,
        config.num_layers,
        proj_size=config.proj_size,
        dropout=config.dropout,
        tie_weights=config.tie_weights,
        init_range=config.init_range,
        init=config.init,
        forget_bias=config.forget_bias,
        chrono_steps=config.window if config.init == "chrono" else None,
    )
    return model.to(device=device, dtype=DTYPES[config.dtype])


class TextJob:
    """Predict each symbol of a text from those before it.

    Args:
        config: The settings of the run.
        text: The text in numbers.

    Raises:
        DataError: If the text is too short for the batch.
    """

    def __init__(self, config: TextSettings, text: Text) -> None:
        self.config = config
        self.text = text
        self.fingerprint = text.corpus.fingerprint
        self.unit = config.level
        self.quantity = "perplexity" if config.level == "word" else bits_name(config.level)
        self.splits = tuple(text.tokens)
        self.streams = Streams(text.tokens["train"], text.vocabulary.start, config.batch_size, config.window)
        self.steps_per_epoch = self.streams.windows_per_epoch

    success = None
    shape = None

    def baseline(self) -> dict[str, float]:
        """Return no metrics: the chance level is not known."""
        return {}

    def trivial(self, split: str) -> Mapping[str, Mapping[str, float]]:
        """Return nothing: no trivial predictor of text is known."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return the name of the text."""
        return {"name": self.config.task, "title": self.config.title, "source": "", "gap": "", "published": []}

    def facts(self) -> dict[str, Any]:
        """Return facts about the text and its numbers, as plain data."""
        return self.text.facts()

    def files(self) -> Mapping[str, Any]:
        """Return the file of the vocabulary."""
        return {"vocabulary.json": self.text.vocabulary.to_json()}

    def about(self) -> list[str]:
        """Describe the size of the text."""
        held_out, units = len(self.text.tokens["valid"]), f"{self.unit}s"
        trained_on = self.streams.length * self.config.batch_size
        return [
            f"text: {trained_on:,} {units} to train on, {held_out:,} held out, {len(self.text.vocabulary):,} different"
        ]

    def build(self, device: torch.device) -> LanguageModel:
        """Draw the model."""
        return build_model(self.config, len(self.text.vocabulary), device)

    def train(self, model: LanguageModel, step: int, rows: slice, state: State) -> StepLoss:
        """Read the next window of some of the streams."""
        window = step % self.steps_per_epoch
        read, targets = self.streams.window(window, rows)
        device = model.embedding.weight.device
        nats, state = model.surprise(read.to(device), targets.to(device), state if window else None)
        tokens = targets.shape[0] * self.config.batch_size
        return StepLoss(nats, tokens, tokens, state if window + 1 < self.steps_per_epoch else None)

    def carries(self, step: int) -> bool:
        """Tell whether a pass over the text continues after a step."""
        return step % self.steps_per_epoch != 0

    def trained(self, total: float, asked: int) -> Metric:
        """Turn the sum of the training loss into a metric."""
        return Metric(total, asked, self.config.level)

    def measure(self, model: LanguageModel, split: str, share: tuple[int, int]) -> Metric:
        """Measure the model on the share of a process, every symbol once."""
        return measure(model, self.text.tokens[split], self.text.vocabulary, share=share)

    def put_together(self, sums: list[float]) -> Metric:
        """Make one metric from the sums of several."""
        return Metric(sums[0], int(sums[1]), self.config.level)

    def sample(self, model: LanguageModel, seed: int) -> str:
        """Let the model generate text."""
        vocabulary, nothing = self.text.vocabulary, torch.zeros(0, dtype=torch.int32)
        length = SAMPLE_LENGTH[vocabulary.level]
        return vocabulary.decode(write_on(model, vocabulary, nothing, length, seed=seed, temperature=0.7))


@dataclass(frozen=True)
class TrainedText:
    """A finished run on a text, from its directory; the text itself is read only if it is needed.

    Args:
        config: The settings of the run.
        vocabulary: The vocabulary of the run.
        fingerprint: The fingerprint of the training text.
    """

    config: TextSettings
    vocabulary: Vocabulary
    fingerprint: str

    @property
    def level(self) -> str:
        """The level of the symbols: ``byte``, ``char`` or ``word``."""
        return self.config.level

    def build(self, device: torch.device) -> LanguageModel:
        """Build the model that a checkpoint fills."""
        return build_model(self.config, len(self.vocabulary), device)

    def held_out(self, title: str) -> Symbols:
        """Read the held-out split of the run's own text.

        Args:
            title: The name of the run, for error messages.

        Raises:
            DataError: If the text is missing, or has changed.
        """
        corpus = _read_corpus(self.config)
        if corpus.fingerprint != self.fingerprint:
            raise DataError(
                f"The text of run '{title}' has changed since it was trained, so it is not known what of it was "
                "held out. Bring the old text back and start the explorer again."
            )
        return corpus.splits["valid"]


class TextKind(JobKind):
    """Language models of a text."""

    name = "text"
    settings = TextSettings

    def refused(self, name: str, value: Any, task: str) -> str:
        """Return the message that a setting of another kind of job has no meaning here."""
        return f"{name} is {value}, and a text has none. Leave it out, or choose a --task."

    def title(self, config: Settings) -> str:
        """Return the name of the file or folder, without its ending."""
        if not config.data:
            return "python"
        # The name of a file need not be UTF-8, but a title must be.
        return Path(os.path.expanduser(config.data)).resolve().stem.encode("utf-8", errors="replace").decode("utf-8")

    def data_name(self, config: Settings) -> str:
        """Return the path of the text."""
        return config.data or "the standard library"

    def begin(self, config: TextSettings) -> TextJob:
        """Read the text."""
        return TextJob(config, read_text(config))

    def restore(self, run: str, config: TextSettings, kept: Kept) -> TrainedText:
        """Read the vocabulary of the run."""
        try:
            vocabulary = Vocabulary.from_json(kept.read_json("vocabulary.json"))
        except DataError as error:
            raise RunError(f"'{kept.path / 'vocabulary.json'}': {error}") from error
        return TrainedText(config, vocabulary, kept.read_data()["fingerprint"])

    def language(self, run: str, config: TextSettings, kept: Kept) -> TrainedText:
        """Read the vocabulary of the run."""
        return self.restore(run, config, kept)

    def shared_rows(self, job: TextJob, trained: Any) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Match the symbols that both vocabularies have."""
        there, here = getattr(trained, "vocabulary", None), job.text.vocabulary
        if not isinstance(there, Vocabulary) or there.level != here.level:
            return {}
        if not here.symbols:  # bytes
            pairs = [(number, number) for number in range(len(here))]
        else:
            pairs = [(number, there.numbers[name]) for name, number in here.numbers.items() if name in there.numbers]
        rows = torch.tensor(pairs).T
        return dict.fromkeys(("embedding.weight", "head.weight", "head.bias"), (rows[0], rows[1]))

    def read(self, restored: Restored, given: Any, lengths: Any = None) -> Reading:
        """Read a text, from the line end before it."""
        vocabulary = self.vocabulary(restored)
        if not isinstance(given, str) or lengths is not None:
            what = f"an object of the type {type(given).__name__}" if not isinstance(given, str) else "lengths"
            raise DataError(
                f"Run '{restored.run}' was trained on text, and {what} was given; expected one text, as in "
                "run.predict('the gate ')."
            )
        numbers = vocabulary.encode(split_symbols(given, vocabulary.level))
        return Reading(torch.cat([numbers.new_tensor([vocabulary.start]), numbers]).long()[:, None])

    def answers(self, restored: Restored) -> Answers:
        """Return the symbols of the vocabulary: each score is that of the next symbol."""
        vocabulary = self.vocabulary(restored)
        bytes_ = (repr(bytes([number]))[2:-1] for number in range(len(vocabulary)))
        return Answers("choice", tuple(vocabulary.symbols) or tuple(bytes_))

    def vocabulary(self, restored: Restored) -> Vocabulary:
        """Return the vocabulary of the run."""
        return restored.trained.vocabulary

    def check_question(self, run: str, question: Question) -> None:
        """Refuse a gap, which a text does not have."""
        if question.gap is not None:
            raise ConfigError(
                f"gap is {question.gap}, and run '{run}' was trained on text, which has none. Leave it out."
            )

    def evaluate(self, restored: Restored, question: Question) -> Evaluation:
        """Measure a language model on a split of its text or on another text, every symbol once."""
        vocabulary: Vocabulary = restored.trained.vocabulary
        if question.data:
            symbols = read_whole(question.data, level=restored.config.level, encoding=restored.config.encoding)
            tokens = vocabulary.encode(symbols)
        else:
            tokens = _own_split(restored, question.split)
        metric = measure(restored.model, tokens, vocabulary, streams=question.streams)
        unknown = 0 if vocabulary.unknown is None else int((tokens == vocabulary.unknown).sum())
        text = question.data or question.split
        return Evaluation(restored.run, restored.step, text, metric.tokens, unknown, metric.named())

    def ending(
        self,
        config: TextSettings,
        run: str,
        metrics: Mapping[str, float],
        sample: str,
        splits: Sequence[str],
        trivial: Mapping[str, Mapping[str, float]] = NOTHING,
    ) -> Ending:
        """Suggest to generate text with the model, and to measure it."""
        # A prompt taken from the sample has only symbols that the model knows.
        words = [word for word in sample.split() if word.isalnum()]
        prompt = f" --prompt {shlex.quote(words[0])}" if words else ""
        # Papers measure the model in one pass over the whole text.
        test = [f"evaluate {run} --split test --streams 1"] if "test" in splits else []
        commands = [f"generate {run}{prompt} --temperature 0.5", f"evaluate {run}", *test]
        return Ending("text", ".3f", (), commands, continues=config.steps is not None or config.epochs is None)


def _read_corpus(config: TextSettings) -> Corpus:
    return read_corpus(
        config.data,
        level=config.level,
        encoding=config.encoding,
        pattern=config.pattern,
        valid_fraction=config.valid_fraction,
    )


def _own_split(restored: Restored, split: str) -> Tensor:
    text = read_text(restored.config)
    if text.corpus.fingerprint != restored.trained.fingerprint:
        raise DataError(
            f"The text of run '{restored.kept.path}' ('{restored.config.data or 'the standard library'}') has changed "
            "since it was trained. Bring the old text back, or measure on a text of your choice with --data."
        )
    if split not in text.tokens:
        raise DataError(f"The text has no split '{split}': it has {', '.join(text.tokens)}.")
    return text.tokens[split]
