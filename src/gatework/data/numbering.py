"""Number the symbols of a text while it is read, in the order in which they first occur.

The vocabulary is known only at the end of the text, because it depends on how often the training text has each symbol.
So a text is read once, with preliminary numbers, and these are replaced by those of the vocabulary afterwards.
"""

import sys
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gatework.data.vocabulary import UNKNOWN, Symbols
from gatework.data.words import END_OF_LINE, Rule, WordSplitter
from gatework.errors import DataError
from gatework.reading.decoding import TextDecoder

_MOST_WORDS = 1 << 24
"""The most different words of a text."""


class Numbering(Protocol):
    """The preliminary numbers of the symbols of one level. Number ``line_end`` ends a line."""

    line_end: int

    def start(self, name: str, decoder: TextDecoder) -> None:
        """Begin the next file: its name, and what decodes it."""
        ...

    def number(self, piece: bytes, *, final: bool = False) -> NDArray[Any]:
        """Return the numbers of the next symbols of the file ``[n]``."""
        ...

    def symbols(self, numbers: NDArray[Any]) -> Symbols:
        """Return the symbols of some numbers."""
        ...

    def known(self) -> list[str]:
        """List all symbols found so far by their numbers; empty at level ``byte``."""
        ...


class Bytes:
    """Bytes are numbers already."""

    line_end = ord("\n")

    def start(self, name: str, decoder: TextDecoder) -> None:
        """Do nothing: bytes are not decoded."""

    def number(self, piece: bytes, *, final: bool = False) -> NDArray[Any]:
        """Return the bytes."""
        return np.frombuffer(piece, np.uint8)

    def symbols(self, numbers: NDArray[Any]) -> Symbols:
        """Return the bytes."""
        return numbers.tobytes()

    def known(self) -> list[str]:
        """Return nothing: every byte is known."""
        return []


class Characters:
    """Characters, through a table from code points to numbers."""

    line_end = 1

    def __init__(self) -> None:
        self._numbers = np.zeros(sys.maxunicode + 1, np.int32)
        self._codes = np.array([0, ord("\n")], np.uint32)  # number 0 is that of <unk>, which no text spells
        self._numbers[self._codes] = 0, 1

    def start(self, name: str, decoder: TextDecoder) -> None:
        """Begin the next file."""
        self._decoder = decoder

    def number(self, piece: bytes, *, final: bool = False) -> NDArray[Any]:
        """Return the numbers of the characters that are complete."""
        text = self._decoder.decode(piece, final=final)
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        numbers = self._numbers[codes]
        if not numbers.all():
            new = np.unique(codes[numbers == 0])
            self._numbers[new] = np.arange(len(self._codes), len(self._codes) + len(new))
            self._codes = np.concatenate([self._codes, new])
            numbers = self._numbers[codes]
        return numbers

    def symbols(self, numbers: NDArray[Any]) -> Symbols:
        """Return the text."""
        return self._codes[numbers].astype("<u4").tobytes().decode("utf-32-le")

    def known(self) -> list[str]:
        """List the characters."""
        return [UNKNOWN, *map(chr, self._codes[1:].tolist())]


class Words:
    """Words, through a dictionary.

    Args:
        rule: The rule that cuts a text into words.
    """

    line_end = 1

    def __init__(self, rule: Rule) -> None:
        self._rule: Rule = rule
        self._numbers = {UNKNOWN: 0, END_OF_LINE: 1}
        self._known: list[str] = []

    def start(self, name: str, decoder: TextDecoder) -> None:
        """Begin the next file."""
        self._decoder, self._splitter = decoder, WordSplitter(self._rule, name)

    def number(self, piece: bytes, *, final: bool = False) -> NDArray[Any]:
        """Return the numbers of the words that are complete."""
        text = self._decoder.decode(piece, final=final)
        words = self._splitter.split(text, final=final)
        numbers = self._numbers
        for word in dict.fromkeys(words):
            numbers.setdefault(word, len(numbers))
        if len(numbers) > _MOST_WORDS:
            raise DataError(
                f"The text has more than {_MOST_WORDS:,} different words. Choose --level char or bpe, whose "
                "vocabularies are small."
            )
        return np.fromiter(map(numbers.__getitem__, words), np.int32, len(words))

    def symbols(self, numbers: NDArray[Any]) -> Symbols:
        """Return the words."""
        known = self.known()
        return [known[number] for number in numbers.tolist()]

    def known(self) -> list[str]:
        """List the words."""
        if len(self._known) != len(self._numbers):
            self._known = [*self._numbers]
        return self._known


def numbering(level: str, rule: Rule) -> Numbering:
    """Return an empty numbering of a level. At level ``bpe`` a text is read in characters.

    Example:
        >>> numbering("byte", "spaces").line_end, numbering("word", "spaces").line_end
        (10, 1)
    """
    if level == "byte":
        return Bytes()
    return Words(rule) if level == "word" else Characters()
