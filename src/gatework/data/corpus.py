"""The symbols of a text, in splits: one for training, and those that are held out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import gcd
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.data.numbering import Numbering, numbering
from gatework.data.numbers import AT_ONCE, Numbers
from gatework.data.sources import SPLITS, find_sources
from gatework.data.vocabulary import Symbols, Vocabulary
from gatework.data.words import Rule
from gatework.errors import DataError
from gatework.reading.decoding import TextDecoder

WHOLE = "whole"
_OTHER_ENCODING = (
    "Name its encoding with --encoding (such as latin-1 or utf-16), replace what does not fit with --errors replace, "
    "or take bytes as they are with --level byte."
)
_NO_BINARY = (
    "Choose other files with --pattern, name an --encoding, replace what is no text with --errors replace, or take "
    "bytes as they are with --level byte."
)


@dataclass(frozen=True)
class Form:
    """How the files of a text are read.

    Args:
        level: ``byte``, ``char``, ``word`` or ``bpe``, where a text is read in characters.
        encoding: The encoding of the files; not used at level ``byte``.
        pattern: A pattern that selects files of a folder, such as ``*.py``.
        words: The rule that cuts a text into words; see :data:`gatework.data.words.Rule`.
        replace: Whether to replace what is no text by U+FFFD, instead of refusing it.
    """

    level: str
    encoding: str = "utf-8"
    pattern: str = ""
    words: Rule = "spaces"
    replace: bool = False


class Corpus:
    """A text divided into splits.

    The text is a list of preliminary numbers, in memory or in a temporary file. :meth:`number` replaces them by those
    of a vocabulary in the same place, and then the text itself is gone.

    Args:
        level: ``byte``, ``char`` or ``word``.
        numbering: What the numbers mean.
        numbers: The numbers of all splits.
        splits: The places of each split, ``train``, ``valid`` and, if the data has one, ``test``.
        sources: The name, number of bytes, SHA-256 and split of each file.
        replaced: The number of places that were no text and were replaced.
    """

    def __init__(
        self,
        level: str,
        numbering: Numbering,
        numbers: Numbers,
        splits: Mapping[str, slice],
        sources: Sequence[Mapping[str, Any]],
        replaced: int,
    ) -> None:
        self.level = level
        self.splits = splits
        self.sources = tuple(sources)
        self.replaced = replaced
        self.bytes_on_disk = numbers.bytes_on_disk
        self._numbering = numbering
        self._array = numbers.array()

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of the contents of the files, but not of their names, so a text may be moved."""
        contents = [[source["split"], source["sha256"]] for source in self.sources]
        return sha256(json.dumps(contents).encode()).hexdigest()

    def length(self, split: str) -> int:
        """Count the symbols of a split."""
        return self.splits[split].stop - self.splits[split].start

    def symbols(self, split: str, most: int | None = None) -> Symbols:
        """Return the first symbols of a split.

        Args:
            split: The split.
            most: The most symbols to return; None for all.
        """
        return self._numbering.symbols(self._array[self.splits[split]][:most])

    def pieces(self, split: str, size: int = AT_ONCE, *, evenly: bool = False) -> Iterator[Symbols]:
        """Yield the symbols of a split, piece by piece.

        Args:
            split: The split.
            size: The number of symbols of a piece.
            evenly: Whether to yield the pieces in an order in which any first ones are spread evenly over the text.
        """
        whole = self._array[self.splits[split]]
        count = -(-len(whole) // size)
        for number in _spread(count) if evenly else range(count):
            yield self._numbering.symbols(whole[number * size : (number + 1) * size])

    def count(self, split: str) -> dict[str, int]:
        """Count how often a split has each symbol; empty at level ``byte``."""
        known = self._numbering.known()
        counts = np.zeros(len(known), np.int64)
        if known:
            for part in _parts(self._array[self.splits[split]]):
                counts += np.bincount(part, minlength=len(known))
        return {symbol: count for symbol, count in zip(known, counts.tolist(), strict=True) if count}

    def number(self, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """Give each symbol its number in a vocabulary. Afterwards the corpus has no symbols any more.

        Args:
            vocabulary: A vocabulary of the same level.

        Returns:
            The numbers of each split ``[n]``, in the smallest of uint8, int16 and int32. Unknown symbols have the
            number of ``<unk>``.
        """
        known = self._numbering.known()
        if known:
            table = np.array([vocabulary.numbers.get(symbol, 0) for symbol in known], self._array.dtype)
            for part in _parts(self._array):
                part[:] = table[part]
        return {split: torch.from_numpy(self._array[place]) for split, place in self.splits.items()}


def read_corpus(data: str, form: Form, valid_fraction: float = 0.1) -> Corpus:
    """Read a text and divide it into splits.

    Splits that the data already has are used. Otherwise the last ``valid_fraction`` of the text is held out. For a
    folder it is taken from every file, up to a line end. For one file, and for the standard library, it is taken from
    the whole text, to the exact symbol; the held-out files of the standard library are then entirely new.

    The files are read in pieces. The numbers of a text of more than 256 MiB are in a temporary file.

    Args:
        data: A file, a folder, or ``""`` for the source of Python's standard library.
        form: How to read the files.
        valid_fraction: The fraction to hold out, between 0 and 1.

    Returns:
        The corpus, with at least a ``train`` and a ``valid`` split.

    Raises:
        DataError: If files are missing, empty, binary, too short, or in another encoding.
    """
    reading = _Reading(data, form, apart=bool(data))
    splits = reading.splits()
    if "valid" not in splits:
        # The whole text, or each file of a folder by itself.
        wholes = [splits["train"]] if splits else reading.places if data else [slice(0, len(reading.numbers))]
        end = reading.numbering.line_end if len(wholes) > 1 else None
        array = reading.numbers.array()
        cuts = [_cut(array, whole, valid_fraction, end) for whole in wholes]
        front = [slice(whole.start, cut) for whole, cut in zip(wholes, cuts, strict=True)]
        back = [slice(cut, whole.stop) for whole, cut in zip(wholes, cuts, strict=True)]
        if len(wholes) > 1:
            middle = _gather(array, front, back)
            front, back = [slice(0, middle)], [slice(middle, len(array))]
        splits["train"], splits["valid"] = front[0], back[0]
    for split in ("train", "valid"):
        found = splits[split].stop - splits[split].start
        if found < 2:
            raise DataError(
                f"Data '{data}' is too short: its {split} split has {found} {form.level}s; expected 2 or more. "
                "Give more text, or change --valid-fraction."
            )
    return reading.corpus({split: splits[split] for split in SPLITS if split in splits})


def read_whole(data: str, form: Form) -> Corpus:
    """Read a text as a whole, as the only split ``whole``; the arguments are those of :func:`read_corpus`.

    Raises:
        DataError: For the same reasons as :func:`read_corpus`.
    """
    reading = _Reading(data, form, apart=True)
    return reading.corpus({WHOLE: slice(0, len(reading.numbers))})


def decode_text(content: bytes, name: str, encoding: str) -> str:
    """Decode the bytes of a file, or report exactly where they are not text.

    Args:
        content: The bytes.
        name: The name of the file in error messages.
        encoding: The encoding of the bytes. A byte order mark at the start of UTF-8 is dropped.

    Returns:
        The text, with the line ends of the file.

    Raises:
        DataError: If a byte cannot be decoded (the message gives the offset of the first), or if there is a NUL, which
            text does not contain.
    """
    return TextDecoder(name, encoding, advice=_OTHER_ENCODING, binary=_NO_BINARY).decode(content, final=True)


class _Reading:
    """The files of a text, read one after the other into one list of numbers.

    Args:
        data: A file, a folder, or ``""``.
        form: How to read the files.
        apart: Whether to end the last line of each of several files, so that the next file starts on a new line.
    """

    def __init__(self, data: str, form: Form, *, apart: bool) -> None:
        self._form = form
        self.numbering = numbering(form.level, form.words)
        self.numbers = Numbers()
        self.places: list[slice] = []
        self._facts: list[dict[str, Any]] = []
        self._replaced = 0
        sources = find_sources(data, form.pattern)
        end = np.array([self.numbering.line_end])
        for source in sources:
            begin = len(self.numbers)
            last = self._read(source.name, source.split, source.pieces())
            if apart and not source.split and len(sources) > 1 and last != self.numbering.line_end:
                self.numbers.append(end)
            self.places.append(slice(begin, len(self.numbers)))

    def _read(self, name: str, split: str, pieces: Iterator[bytes]) -> int | None:
        """Read a file; return the number of its last symbol, None if it has none."""
        form, digest, size, last = self._form, sha256(), 0, None
        decoder = TextDecoder(name, form.encoding, replace=form.replace, advice=_OTHER_ENCODING, binary=_NO_BINARY)
        self.numbering.start(name, decoder)
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            last = self._append(self.numbering.number(piece), last)
        last = self._append(self.numbering.number(b"", final=True), last)
        self._replaced += decoder.replaced
        self._facts.append({"name": name, "split": split, "bytes": size, "sha256": digest.hexdigest()})
        return last

    def _append(self, numbers: NDArray[Any], last: int | None) -> int | None:
        self.numbers.append(numbers)
        return int(numbers[-1]) if len(numbers) else last

    def splits(self) -> dict[str, slice]:
        """Return the places of the splits that the data already has."""
        facts = zip(self._facts, self.places, strict=True)
        return {fact["split"]: place for fact, place in facts if fact["split"]}

    def corpus(self, splits: Mapping[str, slice]) -> Corpus:
        """Return the text in these splits."""
        level = "char" if self._form.level == "bpe" else self._form.level
        return Corpus(level, self.numbering, self.numbers, splits, self._facts, self._replaced)


def _parts(array: NDArray[Any], size: int = AT_ONCE) -> Iterator[NDArray[Any]]:
    for begin in range(0, len(array), size):
        yield array[begin : begin + size]


def _spread(count: int) -> Iterator[int]:
    """Yield the numbers below ``count``, each at a golden section of the whole from the one before."""
    step = max(1, round(count * (5**0.5 - 1) / 2))
    while gcd(step, count) > 1:
        step += 1
    for number in range(count):
        yield number * step % count


def _cut(array: NDArray[Any], whole: slice, fraction: float, end: int | None) -> int:
    """Find the start of the held-out part, moved back to the last end of a line if ``end`` is given and occurs."""
    cut = whole.start + int((whole.stop - whole.start) * (1 - fraction))
    if end is None:
        return cut
    for stop in range(cut, whole.start, -AT_ONCE):
        begin = max(whole.start, stop - AT_ONCE)
        found = np.flatnonzero(array[begin:stop] == end)
        if len(found):
            return begin + int(found[-1]) + 1
    return cut


def _gather(array: NDArray[Any], front: Sequence[slice], back: Sequence[slice]) -> int:
    """Move some parts of an array to its front and the others to its back, in their order; return where these begin."""
    kept = Numbers()
    for place in back:
        for part in _parts(array[place]):
            kept.append(part)
    filled = 0
    for parts in (*(array[place] for place in front), kept.array()):
        for part in _parts(parts):
            # A part only moves to the left, so nothing is overwritten before it has moved.
            array[filled : filled + len(part)] = part
            filled += len(part)
    return filled - len(kept)
