"""The text of a language model: its settings, its symbols and their numbers."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gatework.data.corpus import Corpus, Form, read_corpus, read_whole
from gatework.data.numbers import Numbers
from gatework.data.vocabulary import Vocabulary
from gatework.data.words import split_words
from gatework.training.jobs.memory_check import BYTES
from gatework.training.jobs.settings import Settings

LARGE_VOCABULARY = 50_000
"""The number of symbols above which a vocabulary costs more than the layers of most models."""

_PIECES = 4096  # at level bpe, if vocabulary_size is not given
# Pieces are learned from so many characters, and from so many characters of different words.
_MOST_LEARNED, _MOST_DIFFERENT = 1 << 28, 1 << 20
_WORD = re.compile(r"\w+")
_AT_ONCE = 1 << 17
_LOOKED_AT = 20_002  # the words, from the most frequent, that are looked at


class TextSettings(Settings):
    """The settings of a language model, besides those that all jobs share."""

    headings: ClassVar[Mapping[str, str]] = {
        "pattern": "Data",
        "tie_weights": "Model",
        "window": "Training",
        "evaluate_symbols": "Run",
    }

    pattern: str = Field("", description="Which files of a folder to read, such as *.py; by default *.txt, else all.")
    level: Literal["byte", "char", "word", "bpe"] = Field(
        "char", description="What the model reads and writes one at a time; bpe: pieces of words."
    )
    words: Literal["spaces", "unicode"] = Field(
        "spaces", description="At level word, cut at white space only, or also punctuation and Chinese characters."
    )
    errors: Literal["strict", "replace"] = Field(
        "strict", description="Refuse bytes that are not text in this encoding, or replace them by U+FFFD."
    )
    vocabulary_size: int | None = Field(
        None,
        ge=3,
        le=2**24,
        description=f"Keep only so many symbols, the most frequent; the rest become <unk>. At level bpe {_PIECES}.",
    )
    valid_fraction: float = Field(
        0.1, gt=0, lt=1, description="The part of the text held out, where the data does not come with splits."
    )
    tie_weights: bool = Field(False, description="Let the embedding and the output layer share one matrix.")
    init_range: float | None = Field(
        None, gt=0, le=100, description="Draw every weight and bias evenly from -range to range, in place of init."
    )
    window: int = Field(64, ge=1, le=2**20, description="Time steps of a window, which the backward pass goes through.")
    evaluate_symbols: int = Field(
        5_000_000, ge=0, description="The most symbols of a split that an evaluation reads, evenly chosen; 0: all."
    )

    def check(self) -> None:
        """Refuse settings that do not fit together.

        Raises:
            ValueError: If settings do not fit; the message names them and what was expected.
        """
        if self.gap is not None:
            raise ValueError(f"gap is {self.gap}, and a text has none. Leave it out, or choose a --task.")
        if self.tie_weights and self.embedding_size not in (None, self.output_size):
            raise ValueError(
                f"tie_weights needs an embedding of the layers' output size {self.output_size}, and embedding_size is "
                f"{self.embedding_size}. Leave embedding_size out, or set it to {self.output_size}."
            )
        if self.tbptt is not None and self.window not in (TextSettings.model_fields["window"].default, self.tbptt[0]):
            raise ValueError(
                f"window is {self.window} and tbptt is {self.tbptt[0]},{self.tbptt[1]}, with which a step reads "
                f"{self.tbptt[0]} new symbols. Leave window out."
            )
        if self.init_range is not None and self.init != "torch":
            raise ValueError(f"init is '{self.init}' and init_range {self.init_range:g}; expected one of the two.")
        if self.vocabulary_size is not None and self.level == "byte":
            raise ValueError(
                "vocabulary_size has no meaning at level byte. There are always 256 symbols. Leave it out."
            )
        if self.vocabulary_size is not None and self.vocabulary_size <= 256 and self.level == "bpe":
            raise ValueError(
                f"vocabulary_size is {self.vocabulary_size}; expected 257 or more at level bpe, which has the 256 "
                "bytes and pieces made of them."
            )
        if self.words != "spaces" and self.level != "word":
            raise ValueError(f"words is '{self.words}', which has a meaning at level word only. Leave it out.")
        if self.errors != "strict" and self.level == "byte":
            raise ValueError(f"errors is '{self.errors}', but level byte takes bytes as they are. Leave it out.")

    @property
    def advance(self) -> int:
        """The number of new symbols that a step reads of each stream."""
        return self.window if self.tbptt is None else self.tbptt[0]

    @property
    def reach(self) -> int:
        """The number of symbols of each stream that the gradient of a step goes back over."""
        return self.window if self.tbptt is None else self.tbptt[1]

    @property
    def input_size(self) -> int:
        """The size of the embedding."""
        if self.embedding_size is not None:
            return self.embedding_size
        return self.output_size if self.tie_weights else self.layer_size

    @property
    def form(self) -> Form:
        """How the files of the text are read."""
        return Form(self.level, self.encoding, self.pattern, self.words, self.errors == "replace")


@dataclass(frozen=True)
class Text:
    """A text in numbers.

    Args:
        fingerprint: The fingerprint of the text and, if it does not follow from the text, of the vocabulary.
        sources: The name, number of bytes, SHA-256 and split of each file.
        vocabulary: The vocabulary of the numbers.
        tokens: The numbers of each split ``[n]``, in the smallest integer type.
        replaced: The number of places that were no text and were replaced.
        bytes_on_disk: The size of the temporary files with the numbers; 0 if they are in memory.
    """

    fingerprint: str
    sources: tuple[Mapping[str, Any], ...]
    vocabulary: Vocabulary
    tokens: dict[str, Tensor]
    replaced: int = 0
    bytes_on_disk: int = 0

    def facts(self) -> dict[str, Any]:
        """Return facts about the text and its numbers, as plain data."""
        return {
            "fingerprint": self.fingerprint,
            "splits": {
                split: {"tokens": len(tokens), "unknown": count_unknown(tokens, self.vocabulary)}
                for split, tokens in self.tokens.items()
            },
            "sources": [dict(source) for source in self.sources],
        }


def read_text(config: TextSettings) -> Text:
    """Read the text of a configuration, collect its vocabulary, and number its symbols.

    Raises:
        DataError: If the text cannot be used.
    """
    corpus = read_corpus(config.data, config.form, config.valid_fraction)
    return number_text(corpus, _collect(corpus, config))


def read_other(data: str, config: TextSettings, vocabulary: Vocabulary) -> Text:
    """Read another text as a whole, with the vocabulary of a run; its only split is ``whole``.

    Raises:
        DataError: If the text cannot be used.
    """
    return number_text(read_whole(data, replace(config.form, pattern="")), vocabulary)


def number_text(corpus: Corpus, vocabulary: Vocabulary) -> Text:
    """Number the symbols of a corpus, which has no symbols afterwards.

    Args:
        corpus: The text.
        vocabulary: The vocabulary.

    Returns:
        The text in numbers.
    """
    own, on_disk = fingerprint_of(corpus, vocabulary), corpus.bytes_on_disk
    if vocabulary.level == "bpe":
        lists = {split: _encode(corpus, split, vocabulary) for split in corpus.splits}
        tokens = {split: torch.from_numpy(numbers.array()) for split, numbers in lists.items()}
        on_disk = sum(numbers.bytes_on_disk for numbers in lists.values())
    else:
        tokens = corpus.number(vocabulary)
    return Text(own, corpus.sources, vocabulary, tokens, corpus.replaced, on_disk)


def fingerprint_of(corpus: Corpus, vocabulary: Vocabulary) -> str:
    """Return the fingerprint of a text in numbers.

    At level ``bpe`` it includes the pieces, because another version of the package might learn others.

    Args:
        corpus: The text.
        vocabulary: The vocabulary.
    """
    if vocabulary.level != "bpe":
        return corpus.fingerprint
    return sha256(json.dumps([corpus.fingerprint, vocabulary.merges]).encode()).hexdigest()


def count_unknown(tokens: Tensor, vocabulary: Vocabulary) -> int:
    """Count the symbols of a text that the vocabulary lacks."""
    unknown = vocabulary.unknown
    return 0 if unknown is None else sum(int((part == unknown).sum()) for part in tokens.split(_AT_ONCE))


def describe_words(vocabulary: Vocabulary, config: TextSettings) -> list[str]:
    """Say what may surprise about a vocabulary of words: its size, and words with punctuation.

    Args:
        vocabulary: The vocabulary.
        config: The settings of the run.

    Returns:
        A line for each.
    """
    lines, size = [], len(vocabulary)
    if size > LARGE_VOCABULARY:
        matrices = 1 if config.tie_weights else 2
        megabytes = size * (config.input_size * matrices + 1) * BYTES[config.dtype] / 1e6
        lines.append(
            f"{size:,} different words are many: the embedding and the output layer take {megabytes:,.0f} MB, and "
            "every step computes a score of each word; --vocabulary-size 20000 keeps the most frequent, and "
            "--level bpe makes words of pieces"
        )
    frequent = vocabulary.symbols[2:_LOOKED_AT]
    punctuated = sum(len(word) > 1 and split_words(word, "unicode") != [word] for word in frequent)
    if vocabulary.words == "spaces" and punctuated > len(frequent) / 8:
        lines.append(
            f"{punctuated:,} of the {len(frequent):,} most frequent words contain punctuation or several Chinese "
            "characters, because words are cut at white space only: --words unicode takes them apart"
        )
    return lines


def _collect(corpus: Corpus, config: TextSettings) -> Vocabulary:
    """Collect the vocabulary of the training split."""
    if config.level != "bpe":
        return Vocabulary.counted(corpus.count("train"), config.level, config.vocabulary_size, config.words)
    return Vocabulary.learned(_sample(corpus), config.vocabulary_size or _PIECES)


def _sample(corpus: Corpus) -> Iterator[str]:
    """Yield parts of the training text from which pieces are learned, until they have enough different words.

    The memory of learning grows with the different words: by about 300 bytes for each of their Chinese characters.
    """
    words: set[str] = set()
    read = room = 0
    for part in map(str, corpus.pieces("train", _AT_ONCE, evenly=True)):
        new = set(_WORD.findall(part)) - words
        words |= new
        room += sum(map(len, new))
        read += len(part)
        yield part
        if room > _MOST_DIFFERENT or read > _MOST_LEARNED:
            return


def _encode(corpus: Corpus, split: str, vocabulary: Vocabulary) -> Numbers:
    numbers = Numbers()
    for part in vocabulary.encode_long(_text(corpus, split)):
        numbers.append(np.array(part, np.int32))
    return numbers


def _text(corpus: Corpus, split: str) -> Iterator[str]:
    return map(str, corpus.pieces(split, _AT_ONCE))
