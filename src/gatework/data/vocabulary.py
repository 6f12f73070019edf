"""The symbols a language model knows: bytes, characters or words, each with a number."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gatework.errors import DataError

LEVELS = ("byte", "char", "word")
UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"

# Characters that are encoded at once: they take twelve bytes each while it lasts.
_AT_ONCE = 2**22

# What a text is, per level: bytes, characters in a string, or words in a list.
Symbols = bytes | str | list[str]


def split_symbols(text: str, level: str) -> Symbols:
    r"""Cut text into the symbols of a level.

    Args:
        text: Any text.
        level: ``byte``, ``char`` or ``word``. Words are what stands between white space; a line end becomes ``<eos>``.

    Returns:
        Bytes (UTF-8), the text itself, or a list of words.

    Example:
        >>> split_symbols("no more\nno less\n", "word")
        ['no', 'more', '<eos>', 'no', 'less', '<eos>']
    """
    if level == "byte":
        # Bytes of the command line that are not UTF-8 come as stand-ins, and are those bytes again.
        return text.encode("utf-8", errors="surrogateescape")
    if level == "char":
        return text
    return text.replace("\n", f" {END_OF_LINE} ").split()


def line_end(level: str) -> bytes | str:
    """Give the symbol that ends a line at this level."""
    return {"byte": b"\n", "char": "\n", "word": END_OF_LINE}[level]


@dataclass(frozen=True)
class Vocabulary:
    r"""A closed list of symbols; a symbol's place in it is its number.

    At level ``byte`` the symbols are the 256 bytes and nothing is unknown. Otherwise number 0 is ``<unk>``, standing
    for every symbol that the training text lacks, and number 1 ends a line. A text is read as if a line had just ended
    before it, so the line end is also what the first symbol is predicted from.

    Args:
        level: ``byte``, ``char`` or ``word``.
        symbols: The symbols in order; empty at level ``byte``.

    Example:
        >>> vocabulary = Vocabulary.of("abba\n", "char")
        >>> vocabulary.encode("ab?").tolist(), vocabulary.decode([3, 2])
        ([2, 3, 0], 'ba')
    """

    level: str
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, training: Symbols, level: str, size: int | None = None) -> "Vocabulary":
        """Collect the symbols of the training text.

        Args:
            training: Symbols of the training split, see :func:`split_symbols`.
            level: Their level.
            size: Keep at most so many symbols in all, the most frequent ones; every one when None.

        Returns:
            Characters in the order of their code points, words from frequent to rare.
        """
        if level == "byte":
            return cls(level, ())
        counts: Counter[str] = Counter(training if not isinstance(training, bytes) else ())
        fixed = (UNKNOWN, str(line_end(level)))
        found = [symbol for symbol in counts if symbol not in fixed]
        # Counter keeps first-seen order, which would do; but equal counts must not depend on which file came first.
        by_count = sorted(found, key=lambda symbol: (-counts[symbol], symbol))
        kept = by_count if size is None else by_count[: max(0, size - len(fixed))]
        return cls(level, (*fixed, *(sorted(kept) if level == "char" else kept)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Vocabulary":
        """Rebuild a vocabulary from what :meth:`to_json` gave.

        Raises:
            DataError: Where that is not a vocabulary.
        """
        level, symbols = data.get("level"), data.get("symbols")
        if level in LEVELS and isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols):
            fixed = [] if level == "byte" else [UNKNOWN, line_end(level)]
            # A word is what stands between white space, and only a character can be looked up in a text.
            whole = all(len(symbol) == 1 if level == "char" else [symbol] == symbol.split() for symbol in symbols[2:])
            if symbols[:2] == fixed and len(set(symbols)) == len(symbols) and whole:
                return cls(str(level), tuple(symbols))
        raise DataError(f"this is not a vocabulary: expected a level ({', '.join(LEVELS)}) and a list of its symbols")

    def to_json(self) -> dict[str, Any]:
        """Give the vocabulary as plain data."""
        return {"level": self.level, "symbols": list(self.symbols)}

    def __len__(self) -> int:
        """Count the symbols."""
        return 256 if self.level == "byte" else len(self.symbols)

    @property
    def start(self) -> int:
        """The number that the first symbol of a text is predicted from: the line end's."""
        return ord("\n") if self.level == "byte" else 1

    @property
    def unknown(self) -> int | None:
        """The number of ``<unk>``; None at level ``byte``, where nothing is unknown."""
        return None if self.level == "byte" else 0

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each symbol (empty at level ``byte``)."""
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def encode(self, symbols: Symbols) -> Tensor:
        """Turn symbols into their numbers.

        Args:
            symbols: Symbols of this vocabulary's level, n of them.

        Returns:
            Numbers ``[n]``, int32; unknown symbols have the number of ``<unk>``.
        """
        if len(symbols) == 0:
            return torch.zeros(0, dtype=torch.int32)
        if isinstance(symbols, bytes):
            return torch.frombuffer(bytearray(symbols), dtype=torch.uint8).to(torch.int32)
        if isinstance(symbols, str):
            return self._encode_characters(symbols)
        return torch.tensor([self.numbers.get(word, 0) for word in symbols], dtype=torch.int32)

    def _encode_characters(self, text: str) -> Tensor:
        # A table from code points to numbers: to look up each character by itself takes seconds on a long text.
        table = torch.zeros(sys.maxunicode + 1, dtype=torch.int32)
        for number, character in enumerate(self.symbols[1:], start=1):
            table[ord(character)] = number
        parts = (text[begin : begin + _AT_ONCE] for begin in range(0, len(text), _AT_ONCE))
        codes = (torch.frombuffer(bytearray(part.encode("utf-32-le")), dtype=torch.int32) for part in parts)
        return torch.cat([table[code.long()] for code in codes])

    def missing(self, symbols: Symbols) -> list[str]:
        """List the symbols that the vocabulary lacks, each once, in order."""
        if isinstance(symbols, bytes):
            return []
        return [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.numbers]

    def decode(self, numbers: Sequence[int]) -> str:
        """Turn numbers back into text.

        Args:
            numbers: Numbers of symbols.

        Returns:
            The text. Words are joined by one space, lines begin without one; bytes that are not UTF-8 show as U+FFFD.
        """
        if self.level == "byte":
            return bytes(numbers).decode("utf-8", errors="replace")
        if self.level == "char":
            return "".join(self.symbols[number] for number in numbers)
        pieces: list[str] = []
        for number in numbers:
            word = self.symbols[number]
            if word == END_OF_LINE:
                pieces.append("\n")
            else:
                pieces.append(word if not pieces or pieces[-1] == "\n" else f" {word}")
        return "".join(pieces)
