"""The symbols that a language model knows: bytes, characters or words, each with a number."""

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

# The number of characters to encode at once: each takes twelve bytes meanwhile.
_AT_ONCE = 2**22

# The form of a text at each level: bytes, characters in a string, or words in a list.
Symbols = bytes | str | list[str]


def split_symbols(text: str, level: str) -> Symbols:
    r"""Cut text into the symbols of a level.

    Args:
        text: Any text.
        level: ``byte``, ``char`` or ``word``. Words are separated by white space; a line end becomes ``<eos>``.

    Returns:
        Bytes (UTF-8), the text itself, or a list of words.

    Example:
        >>> split_symbols("no more\nno less\n", "word")
        ['no', 'more', '<eos>', 'no', 'less', '<eos>']
    """
    if level == "byte":
        # Python represents bytes of the command line that are not UTF-8 by surrogates; this restores the bytes.
        return text.encode("utf-8", errors="surrogateescape")
    if level == "char":
        return text
    return text.replace("\n", f" {END_OF_LINE} ").split()


def line_end(level: str) -> bytes | str:
    """Return the symbol that ends a line at this level."""
    return {"byte": b"\n", "char": "\n", "word": END_OF_LINE}[level]


@dataclass(frozen=True)
class Vocabulary:
    r"""A closed list of symbols; the number of a symbol is its index in the list.

    At level ``byte`` the symbols are the 256 bytes, and no symbol is unknown. Otherwise number 0 is ``<unk>``, which
    represents every symbol that the training text lacks, and number 1 ends a line. A text is read as if a line had just
    ended before it, so the first symbol is predicted from a line end.

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
            training: The symbols of the training split; see :func:`split_symbols`.
            level: The level of the symbols.
            size: The most symbols to keep, the most frequent first; None to keep all.

        Returns:
            The vocabulary, with characters in the order of their code points, or words from frequent to rare.
        """
        if level == "byte":
            return cls(level, ())
        counts: Counter[str] = Counter(training if not isinstance(training, bytes) else ())
        fixed = (UNKNOWN, str(line_end(level)))
        found = [symbol for symbol in counts if symbol not in fixed]
        # Counter keeps the order of first occurrence, but the order of equal counts must not depend on the file order.
        by_count = sorted(found, key=lambda symbol: (-counts[symbol], symbol))
        kept = by_count if size is None else by_count[: max(0, size - len(fixed))]
        return cls(level, (*fixed, *(sorted(kept) if level == "char" else kept)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Vocabulary":
        """Rebuild a vocabulary from the result of :meth:`to_json`.

        Raises:
            DataError: If the data are not a vocabulary.
        """
        level, symbols = data.get("level"), data.get("symbols")
        if level in LEVELS and isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols):
            fixed = [] if level == "byte" else [UNKNOWN, line_end(level)]
            # A word contains no white space, and only a single character can be looked up in a text.
            whole = all(len(symbol) == 1 if level == "char" else [symbol] == symbol.split() for symbol in symbols[2:])
            if symbols[:2] == fixed and len(set(symbols)) == len(symbols) and whole:
                return cls(str(level), tuple(symbols))
        raise DataError(f"This is not a vocabulary; expected a level ({', '.join(LEVELS)}) and a list of its symbols.")

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as plain data."""
        return {"level": self.level, "symbols": list(self.symbols)}

    def __len__(self) -> int:
        """Count the symbols."""
        return 256 if self.level == "byte" else len(self.symbols)

    @property
    def start(self) -> int:
        """The number of the line end, from which the first symbol of a text is predicted."""
        return ord("\n") if self.level == "byte" else 1

    @property
    def unknown(self) -> int | None:
        """The number of ``<unk>``; None at level ``byte``, where no symbol is unknown."""
        return None if self.level == "byte" else 0

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each symbol (empty at level ``byte``)."""
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def encode(self, symbols: Symbols) -> Tensor:
        """Turn symbols into their numbers.

        Args:
            symbols: n symbols at the level of this vocabulary.

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
        # A table from code points to numbers: looking up each character by itself takes seconds on a long text.
        table = torch.zeros(sys.maxunicode + 1, dtype=torch.int32)
        for number, character in enumerate(self.symbols[1:], start=1):
            table[ord(character)] = number
        parts = (text[begin : begin + _AT_ONCE] for begin in range(0, len(text), _AT_ONCE))
        codes = (torch.frombuffer(bytearray(part.encode("utf-32-le")), dtype=torch.int32) for part in parts)
        return torch.cat([table[code.long()] for code in codes])

    def missing(self, symbols: Symbols) -> list[str]:
        """List the symbols that the vocabulary lacks, each once, in order of occurrence."""
        if isinstance(symbols, bytes):
            return []
        return [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.numbers]

    def decode(self, numbers: Sequence[int]) -> str:
        """Turn numbers back into text.

        Args:
            numbers: The numbers of symbols.

        Returns:
            The text. Words are joined by one space, but lines start without one. Bytes that are not UTF-8 become
            U+FFFD.
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
