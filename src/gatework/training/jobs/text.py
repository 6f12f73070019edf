"""A language model as a job: one long text, read in parallel streams."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.data.corpus import WHOLE, read_corpus
from gatework.data.streams import Streams
from gatework.data.vocabulary import Symbols, Vocabulary
from gatework.errors import ConfigError, DataError, RunError
from gatework.heads import HEADS
from gatework.models.language import LanguageModel, Metric, bits_name, count_text, measure
from gatework.models.sampling import write_on
from gatework.models.state import State
from gatework.tasks.task import NOTHING
from gatework.training.jobs.build import DTYPES, build_reading_cell
from gatework.training.jobs.evaluation import Evaluation, Question
from gatework.training.jobs.kind import Answers, Ending, JobKind, Kept, Reading, Restored
from gatework.training.jobs.latent import nothing_to_draw
from gatework.training.jobs.memory_check import Needs, check_memory, count_layers
from gatework.training.jobs.protocol import StepLoss
from gatework.training.jobs.settings import Settings
from gatework.training.jobs.text_data import (
    LARGE_VOCABULARY,
    Text,
    TextSettings,
    count_unknown,
    describe_words,
    fingerprint_of,
    number_text,
    read_other,
    read_text,
)
from gatework.training.jobs.truncation import Piece, cut_piece, run_piece

SAMPLE_LENGTH = {"byte": 600, "char": 600, "word": 120, "bpe": 200}
_MOST_HELD_OUT = 1 << 24  # the most held-out symbols that are kept for looking at them


def count_parameters(config: TextSettings, cell: Cell, vocabulary_size: int) -> int:
    """Count the parameters of a language model, without building it.

    Raises:
        SizeError: If sizes do not fit the cell.
    """
    head = 0 if config.tie_weights else vocabulary_size * config.output_size
    embedding = vocabulary_size * config.input_size
    return embedding + head + vocabulary_size + count_layers(config, cell, config.input_size)


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
    cell = build_reading_cell(config)
    parameters, places = count_parameters(config, cell, vocabulary_size), config.reach * config.batch_size
    needs = Needs(parameters, places, config.input_size, vocabulary_size)
    length = f"window ({config.window})" if config.tbptt is None else f"tbptt ({config.advance},{config.reach})"
    if vocabulary_size > LARGE_VOCABULARY:
        length = f"vocabulary_size ({vocabulary_size}) or {length}"
    check_memory(config, cell, needs, device, length)
    model = LanguageModel(
        vocabulary_size,
        cell,
        config.input_size,
        config.hidden_size,
        config.num_layers,
        proj_size=config.proj_size,
        dropout=config.dropout,
        locked_dropout=config.locked_dropout,
        tie_weights=config.tie_weights,
        init_range=config.init_range,
        init=config.init,
        forget_bias=config.forget_bias,
        chrono_steps=config.reach if config.init == "chrono" else None,
        **config.wiring,
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
        self.fingerprint = text.fingerprint
        self.unit = text.vocabulary.unit
        self.quantity = "perplexity" if config.level == "word" else bits_name(config.level)
        self.splits = tuple(text.tokens)
        self.streams = Streams(text.tokens["train"], text.vocabulary.start, config.batch_size, config.advance)
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
        """Describe the size of the text, and what may surprise about it."""
        text, held_out, units = self.text, len(self.text.tokens["valid"]), f"{self.unit}s"
        trained_on = self.streams.length * self.config.batch_size
        most = self._most("valid")
        measured = f" (of which {most:,} are measured)" if most is not None else ""
        lines = [
            f"text: {trained_on:,} {units} to train on, {held_out:,} held out{measured}, "
            f"{len(text.vocabulary):,} different"
        ]
        if text.replaced:
            lines.append(f"{text.replaced:,} places that are not {self.config.encoding} text were replaced by U+FFFD")
        if text.bytes_on_disk:
            lines.append(
                f"the numbers of the text take {text.bytes_on_disk / 1e9:,.1f} GB in a temporary file in "
                f"{gettempdir()}, which is removed at the end"
            )
        if self.config.level == "word":
            lines += describe_words(text.vocabulary, self.config)
        return lines

    def build(self, device: torch.device) -> LanguageModel:
        """Draw the model."""
        return build_model(self.config, len(self.text.vocabulary), device)

    def train(self, model: LanguageModel, step: int, rows: slice, state: State) -> StepLoss:
        """Read the next window of some of the streams."""
        piece, device = self._piece(step), model.embedding.weight.device
        read, targets = (part.to(device) for part in self.streams.between(piece.begin, piece.end, rows))

        def run(begin: int, end: int, state: State) -> tuple[Tensor, State]:
            counted = slice(max(begin, piece.first) - piece.begin, end - piece.begin)
            return model.surprise(read[begin - piece.begin : end - piece.begin], targets[counted], state)

        nats, state = run_piece(piece, state, run)
        tokens = (piece.end - piece.first) * self.config.batch_size
        return StepLoss(nats, tokens, tokens, state)

    def _piece(self, step: int) -> Piece:
        """Return the symbols of the streams that a step reads."""
        windows = self.steps_per_epoch
        return cut_piece(self.streams.length, windows, step % windows, self.config.reach - self.config.advance)

    def carries(self, step: int) -> bool:
        """Tell whether a state is carried to the next step."""
        return self._piece(step).begin > 0

    def trained(self, total: float, asked: int) -> Metric:
        """Turn the sum of the training loss into a metric."""
        return Metric(total, asked, self.config.level, *(size * asked for size in self._sizes))

    def measure(self, model: LanguageModel, split: str, share: tuple[int, int]) -> Metric:
        """Measure the model on the share of a process, every symbol once."""
        return measure(model, self.text.tokens[split], self.text.vocabulary, most=self._most(split), share=share)

    def put_together(self, sums: list[float]) -> Metric:
        """Make one metric from the sums of several."""
        return Metric.of(sums, self.config.level)

    def _most(self, split: str) -> int | None:
        """Return the number of symbols of a split that are measured; None for all."""
        most = self.config.evaluate_symbols
        return most if 0 < most < len(self.text.tokens[split]) else None

    @cached_property
    def _sizes(self) -> tuple[float, ...]:
        """The mean bytes and characters of a training symbol at level ``bpe``; none at others.

        A step reports its loss per symbol, so its bits per byte and character are as exact as the symbols are even.
        """
        if self.config.level != "bpe":
            return ()
        tokens = self.text.tokens["train"]
        return tuple(size / len(tokens) for size in count_text(tokens, self.text.vocabulary))

    def sample(self, model: LanguageModel, seed: int) -> str:
        """Let the model generate text."""
        vocabulary, nothing = self.text.vocabulary, torch.zeros(0, dtype=torch.int32)
        length = SAMPLE_LENGTH[vocabulary.level]
        return vocabulary.decode([*write_on(model, vocabulary, nothing, length, seed=seed, temperature=0.7)])


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
        """The level of the symbols: ``byte``, ``char``, ``word`` or ``bpe``."""
        return self.config.level

    def build(self, device: torch.device) -> LanguageModel:
        """Build the model that a checkpoint fills."""
        return build_model(self.config, len(self.vocabulary), device)

    def held_out(self, title: str) -> Symbols:
        """Read the held-out split of the run's own text; of a very long one, the beginning.

        Args:
            title: The name of the run, for error messages.

        Raises:
            DataError: If the text is missing, or has changed.
        """
        corpus = read_corpus(self.config.data, self.config.form, self.config.valid_fraction)
        if fingerprint_of(corpus, self.vocabulary) != self.fingerprint:
            raise DataError(
                f"The text of run '{title}' has changed since it was trained, so it is not known what of it was "
                "held out. Bring the old text back and start the explorer again."
            )
        if self.level == "bpe":  # whose pieces take much more memory while they are found
            return self.vocabulary.split(str(corpus.symbols("valid", _MOST_HELD_OUT // 16)))
        return corpus.symbols("valid", _MOST_HELD_OUT)


class TextKind(JobKind):
    """Language models of a text."""

    name = "text"
    settings = TextSettings

    def one_way(self, task: str) -> str:
        """Say that the model of a text must not read ahead."""
        return "the model of a text predicts each symbol from those before it, and from its end it would read them all"

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
        names, known = (vocabulary.pieces or vocabulary.symbols for vocabulary in (here, there))
        numbers = {name: number for number, name in enumerate(known)}
        pairs = [(number, numbers[name]) for number, name in enumerate(names) if name in numbers]
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
        numbers = vocabulary.encode(vocabulary.split(given))
        return Reading(torch.cat([numbers.new_tensor([vocabulary.start]), numbers]).long()[:, None])

    def answers(self, restored: Restored) -> Answers:
        """Return the symbols of the vocabulary: each score is that of the next symbol."""
        vocabulary = self.vocabulary(restored)
        names = vocabulary.symbols or tuple(repr(piece)[2:-1] for piece in vocabulary.pieces)
        return Answers(HEADS["choice"](len(vocabulary)), names)

    def vocabulary(self, restored: Restored) -> Vocabulary:
        """Return the vocabulary of the run."""
        return restored.trained.vocabulary

    def check_question(self, run: str, question: Question) -> None:
        """Refuse what is only for tasks."""
        super().check_question(run, question)
        if question.gap is not None:
            raise ConfigError(
                f"gap is {question.gap}, and run '{run}' was trained on text, which has none. Leave it out."
            )
        if question.draws is not None:
            raise ConfigError(nothing_to_draw(run, question.draws))

    def evaluate(self, restored: Restored, question: Question) -> Evaluation:
        """Measure a language model on a split of its text or on another text, every symbol once."""
        vocabulary, most = restored.trained.vocabulary, question.symbols
        most = restored.config.evaluate_symbols if most is None else most
        if question.data:
            text = read_other(question.data, restored.config, vocabulary)
            tokens = text.tokens[WHOLE]
        else:
            text = _own_text(restored, question.split)
            tokens = text.tokens[question.split]
        metric = measure(restored.model, tokens, vocabulary, streams=question.streams, most=most or None)
        name, unknown = question.data or question.split, count_unknown(tokens, vocabulary)
        found = Evaluation(restored.run, restored.step, name, metric.tokens, unknown, metric.named())
        return replace(found, of=len(tokens), replaced=text.replaced)

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


def _own_text(restored: Restored, split: str) -> Text:
    """Read the text of a run again, and number it with the vocabulary of the run."""
    config, vocabulary = restored.config, restored.trained.vocabulary
    corpus = read_corpus(config.data, config.form, config.valid_fraction)
    if fingerprint_of(corpus, vocabulary) != restored.trained.fingerprint:
        raise DataError(
            f"The text of run '{restored.kept.path}' ('{config.data or 'the standard library'}') has changed "
            "since it was trained. Bring the old text back, or measure on a text of your choice with --data."
        )
    if split not in corpus.splits:
        raise DataError(f"The text has no split '{split}': it has {', '.join(corpus.splits)}.")
    return number_text(corpus, vocabulary)
