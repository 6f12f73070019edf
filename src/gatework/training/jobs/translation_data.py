"""The sentences of a translation: the settings, the files, the pieces of words, and batches of equal lengths."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor

from gatework.data.sentences import Sentences, find_splits, hold_out, read_sentences, split_languages
from gatework.data.vocabulary import Vocabulary, Writer
from gatework.errors import ConfigError, DataError
from gatework.models.translator import NO_ATTENTION
from gatework.runs.files import digest
from gatework.tasks.own import find_task
from gatework.tasks.task import Pairs
from gatework.training.jobs.place import find_data
from gatework.training.jobs.settings import Settings, Size
from gatework.training.jobs.table import split_names

MOST_BEAMS = 1000
"""The most beams of a search for translations."""

_AT_ONCE = 4096  # lines
# Of so many batches the sentences are sorted by length before they are cut into batches.
_POOL = 50


class TranslationSettings(Settings):
    """The settings of a translation, besides those that all jobs share."""

    headings: ClassVar[Mapping[str, str]] = {
        "pair": "Data",
        "attention": "Model",
        "smoothing": "Regularisation",
        "beams": "Run",
    }

    pair: tuple[str, ...] = Field(
        (), description="Files of sentences and of their translations, as a.en,a.de, in place of a folder."
    )
    valid_pair: tuple[str, ...] = Field(
        (), description="With pair: held-out sentences and their translations; by default a part of pair."
    )
    test_pair: tuple[str, ...] = Field((), description="With valid_pair: sentences to test on.")
    languages: str = Field("en-de", description="The endings of the files of a folder, such as en-de.")
    lowercase: bool = Field(False, description="Read and write capitals as small letters.")
    pieces: int = Field(4000, ge=257, le=2**24, description="Pieces of words of each language, with the 256 bytes.")
    shared_pieces: bool = Field(False, description="One vocabulary for both languages, and one embedding.")
    attention: Literal["none", "additive", "dot", "general", "concat", "gated", "window", "location"] = Field(
        "additive", description="How the decoder weighs the words of the sentence; see the guide."
    )
    attention_place: Literal["inside", "after"] = Field(
        "inside", description="Attend within the cell's equations (Bahdanau), or after them (Luong)."
    )
    attention_size: Size | None = Field(
        None, description="Units that compare, or Gaussians of window; by default as many as the layer's."
    )
    untied: bool = Field(False, description="Give the decoder's embedding and the output layer a matrix each.")
    smoothing: float = Field(0.1, ge=0, lt=1, description="Label smoothing of the loss in training.")
    beams: int = Field(
        1, ge=1, le=MOST_BEAMS, description="Beams of the searches that measure BLEU in training; 1: greedy."
    )

    @field_validator("pair", "valid_pair", "test_pair", mode="before")
    @classmethod
    def _pair_in_words(cls, value: Any) -> Any:
        """Read ``a.en,a.de``, the form used on the command line, or a list, the form of TOML and JSON."""
        if isinstance(value, str):
            value = split_names(value)
        return tuple(value) if isinstance(value, list) else value

    @field_validator("pair", "valid_pair", "test_pair")
    @classmethod
    def _pair_is_two(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) not in (0, 2) or any(not one or "\0" in one for one in value):
            raise ValueError(
                f"A pair of files is '{','.join(value)}'; expected two files with a comma between, the sentences and "
                "their translations, such as a.en,a.de."
            )
        return value

    def check(self) -> None:
        """Refuse settings that do not fit together.

        Raises:
            ConfigError: If settings do not fit; the message names them and what was expected.
        """
        find_task(self.task).check_gap(self.gap)
        try:
            split_languages(self.languages)
        except DataError as error:
            raise ConfigError(str(error)) from error
        if self.pair and self.data:
            raise ConfigError(f"pair is '{','.join(self.pair)}' and data '{self.data}'; expected one of the two.")
        if self.valid_pair and not self.pair:
            raise ConfigError("valid_pair is given and pair is not; expected the sentences to learn from in pair.")
        if self.test_pair and not self.valid_pair:
            raise ConfigError(
                "test_pair is given and valid_pair is not; expected both, or neither, where parts of pair are held out."
            )
        if self.attention == NO_ATTENTION and self.attention_place != "inside":
            raise ConfigError(
                f"attention is '{NO_ATTENTION}' and attention_place '{self.attention_place}', which has no meaning "
                "then. Leave one of them out."
            )
        if self.attention == NO_ATTENTION and self.attention_size is not None:
            raise ConfigError(
                f"attention is '{NO_ATTENTION}' and attention_size {self.attention_size}, which has no meaning then. "
                "Leave one of them out."
            )


@dataclass(frozen=True)
class Numbered:
    """Texts in numbers, one after the other.

    Args:
        numbers: The numbers of all ``[n]``.
        ends: Where each text ends ``[N + 1]``, from 0 on.
    """

    numbers: NDArray[np.int32]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, lines: Sequence[str], vocabulary: Vocabulary) -> "Numbered":
        """Number lines; every word begins with a space, so that it has the same pieces wherever it stands."""
        parts: list[NDArray[np.int32]] = []
        ends = [0]
        for begin in range(0, len(lines), _AT_ONCE):
            for found in vocabulary.encode_lines([f" {line}" for line in lines[begin : begin + _AT_ONCE]]):
                parts.append(np.array(found, np.int32))
                ends.append(ends[-1] + len(found))
        return cls(np.concatenate(parts) if parts else np.zeros(0, np.int32), np.array(ends))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of symbols of each text ``[N]``."""
        return np.diff(self.ends)

    def padded(self, which: NDArray[np.int64], end: int) -> tuple[Tensor, Tensor]:
        """Put some texts side by side.

        Args:
            which: Their numbers ``[B]``.
            end: The symbol that stands after the end of a text.

        Returns:
            The symbols ``[T, B]``, and the number of symbols of each text ``[B]``.
        """
        lengths = torch.from_numpy(self.lengths[which])
        symbols = torch.full((int(lengths.max()) if len(which) else 0, len(which)), end)
        for column, text in enumerate(which):
            found = self.numbers[self.ends[text] : self.ends[text + 1]]
            symbols[: len(found), column] = torch.from_numpy(found.astype(np.int64))
        return symbols, lengths


@dataclass(frozen=True)
class PairBatch:
    """Sentences side by side, with what the decoder reads and has to predict.

    Args:
        source: The symbols of the sentences, each with the end symbol ``[L, B]``.
        lengths: The number of symbols of each ``[B]``, on the CPU.
        before: What the decoder reads ``[T, B]``.
        targets: What it has to predict ``[T, B]``; -100 for nothing.
    """

    source: Tensor
    lengths: Tensor
    before: Tensor
    targets: Tensor

    def columns(self, rows: slice) -> "PairBatch":
        """Select some of the sentences."""
        return PairBatch(self.source[:, rows], self.lengths[rows], self.before[:, rows], self.targets[:, rows])


@dataclass(frozen=True)
class Bilingual:
    """The vocabularies of both languages.

    Args:
        source: The pieces of the sentences.
        target: The pieces of their translations; the same object if both languages share one.
    """

    source: Vocabulary
    target: Vocabulary

    @classmethod
    def learned(cls, sentences: Sentences, pieces: int, shared: bool) -> "Bilingual":
        """Learn the pieces from sentences to train on.

        Raises:
            DataError: If the package ``tokenizers`` is not installed.
        """
        if shared:
            both = Vocabulary.learned(_joined((*sentences.source, *sentences.target)), pieces)
            return cls(both, both)
        source, target = (Vocabulary.learned(_joined(lines), pieces) for lines in (sentences.source, sentences.target))
        return cls(source, target)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], shared: bool) -> "Bilingual":
        """Rebuild vocabularies from the result of :meth:`to_json`.

        Raises:
            DataError: If the data are not two vocabularies of pieces.
        """
        sides = [data.get(name) for name in ("source", "target")]
        if not all(isinstance(side, Mapping) and side.get("level") == "bpe" for side in sides):
            raise DataError("These are not the vocabularies of a translation; expected pieces of source and target.")
        source, target = (Vocabulary.from_json(side) for side in sides if isinstance(side, Mapping))
        if shared and source.merges != target.merges:
            raise DataError("The vocabularies of source and target differ, and shared_pieces is true.")
        return cls(source, source if shared else target)

    def to_json(self) -> dict[str, Any]:
        """Return the vocabularies as plain data."""
        return {"source": self.source.to_json(), "target": self.target.to_json()}

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of symbols."""
        return len(self.source), len(self.target)

    @property
    def end(self) -> int:
        """The symbol that begins and ends a sentence: the line end, which no sentence holds."""
        return self.target.start

    def read(self, lines: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Number sentences to translate.

        Returns:
            The symbols of each, with the end symbol ``[L, B]``, and the number of symbols of each ``[B]``.
        """
        symbols, lengths = Numbered.of(lines, self.source).padded(np.arange(len(lines)), self.end)
        return _ended(symbols, lengths, self.end)

    def told(self, sentences: Sequence[str], *, lowercase: bool) -> list[str]:
        """Bring sentences of a person's own into the form of those to train on.

        Raises:
            DataError: If something is not a sentence.
        """
        for number, sentence in enumerate(sentences, start=1):
            if not isinstance(sentence, str) or "\n" in sentence:
                kind = type(sentence).__name__
                what = "has a line end in it" if isinstance(sentence, str) else f"is of the type {kind}"
                raise DataError(f"Sentence {number:,} {what}; expected a text without line ends for each sentence.")
        whole = [" ".join(sentence.split()) for sentence in sentences]
        return [sentence.lower() for sentence in whole] if lowercase else whole

    def written(self, numbers: Iterable[int]) -> Iterator[str]:
        """Turn the symbols of a translation into text, part by part."""
        writer, begun = Writer(self.target), False
        for number in numbers:
            part = writer.write(number)
            part = part if begun else part.lstrip()
            begun = begun or bool(part)
            if part:
                yield part
        if end := writer.end():
            yield end

    def write(self, numbers: Sequence[int]) -> str:
        """Turn the symbols of a translation into text."""
        return self.target.decode(numbers).strip()


def _ended(symbols: Tensor, lengths: Tensor, end: int) -> tuple[Tensor, Tensor]:
    """Add the end symbol to sentences, which are padded with it."""
    return torch.cat([symbols, torch.full((1, symbols.shape[1]), end)]), lengths + 1


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines in larger parts, each line with a space before its first word."""
    for begin in range(0, len(lines), _AT_ONCE):
        yield "".join(f" {line}\n" for line in lines[begin : begin + _AT_ONCE])


@dataclass
class PairedText:
    """The sentences of a run, by split.

    Args:
        splits: The sentences.
        vocabulary: The pieces of both languages.
    """

    splits: Mapping[str, Sentences]
    vocabulary: Bilingual
    _numbered: dict[str, tuple[Numbered, Numbered]] = field(default_factory=dict, init=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the sentences and the pieces."""
        parts = {split: [sentences.source, sentences.target] for split, sentences in self.splits.items()}
        return digest(json.dumps([parts, self.vocabulary.to_json()]).encode())

    def numbered(self, split: str) -> tuple[Numbered, Numbered]:
        """Return the sentences of a split and their translations, in numbers."""
        if split not in self._numbered:
            sentences, known = self.splits[split], self.vocabulary
            self._numbered[split] = (
                Numbered.of(sentences.source, known.source),
                Numbered.of(sentences.target, known.target),
            )
        return self._numbered[split]

    def batch(self, split: str, which: NDArray[np.int64], shift: Any) -> PairBatch:
        """Put some pairs of a split side by side.

        Args:
            split: The split.
            which: The numbers of the pairs ``[B]``.
            shift: The method of :class:`gatework.heads.Words` that makes targets.
        """
        (source, target), end = self.numbered(split), self.vocabulary.end
        symbols, lengths = _ended(*source.padded(which, end), end)
        before, targets = shift(*target.padded(which, end), end, end)
        return PairBatch(symbols, lengths, before, targets)

    def by_length(self, split: str, size: int) -> list[NDArray[np.int64]]:
        """Cut a split into batches of sentences of similar lengths, every pair once."""
        source, target = self.numbered(split)
        order = np.lexsort((source.lengths, target.lengths))
        return [order[begin : begin + size] for begin in range(0, len(order), size)]

    def epoch(self, rng: np.random.Generator, size: int) -> list[NDArray[np.int64]]:
        """Cut the training split into whole batches of similar lengths, in another way for each pass.

        Args:
            rng: The random generator.
            size: The number of pairs in a batch.

        Returns:
            The numbers of the pairs of each batch. The few pairs that do not fill one are left out.
        """
        source, target = self.numbered("train")
        order = rng.permutation(len(source.lengths))
        order = order[: len(order) // size * size]
        batches = []
        for begin in range(0, len(order), _POOL * size):
            pool = order[begin : begin + _POOL * size]
            pool = pool[np.lexsort((source.lengths[pool], target.lengths[pool]))]
            batches += [pool[first : first + size] for first in range(0, len(pool), size)]
        return [batches[number] for number in rng.permutation(len(batches))]


def read_splits(config: TranslationSettings) -> dict[str, Sentences]:
    """Read the sentences of a configuration; ``test`` is the first test split.

    Raises:
        DataError: If files are missing or do not fit each other.
    """
    if config.pair:
        pairs = {"train": config.pair, "valid": config.valid_pair, "test": config.test_pair or config.valid_pair}
        if not config.valid_pair:
            return hold_out(read_pair(config.pair, config))
        return {split: read_pair(pair, config) for split, pair in pairs.items()}
    task = find_task(config.task)
    assert isinstance(task.examples, Pairs)
    folder = find_data(task, config.data)
    if not folder.is_dir():
        raise DataError(
            f"'{folder}' is no folder; expected one with train.en, train.de and so on, or --pair with two files."
        )
    found = find_splits(folder, split_languages(config.languages))
    return {split: read_pair(pair, config) for split, pair in found.items()}


def read_pair(pair: Sequence[Any], config: TranslationSettings) -> Sentences:
    """Read two files as the settings say.

    Raises:
        DataError: If they cannot be read, or do not fit each other.
    """
    return read_sentences(pair, config.encoding, lowercase=config.lowercase)


def make_text(
    splits: Mapping[str, Sentences], config: TranslationSettings, known: Bilingual | None = None
) -> PairedText:
    """Choose what is trained on, and learn its pieces unless they are known.

    Args:
        splits: The sentences.
        config: The settings.
        known: The vocabularies of the run, if there is one.

    Raises:
        DataError: If nothing is left to train on.
    """
    most = find_task(config.task).check_gap(config.gap)
    train = splits["train"].at_most(most)
    if len(train) < config.batch_size:
        raise DataError(
            f"There are {len(train):,} pairs of at most {most} words to train on, and batch_size is "
            f"{config.batch_size}; expected no more than there are. Give a larger gap or a smaller batch_size."
        )
    if known is None:
        known = Bilingual.learned(train, config.pieces, config.shared_pieces)
    return PairedText({**splits, "train": train}, known)
