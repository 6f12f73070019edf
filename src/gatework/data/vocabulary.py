"""The symbols that a language model knows: bytes, characters, words or pieces of words, each with a number."""

import codecs
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import torch
from torch import Tensor

from gatework.data.pairs import Merges, pieces_of
from gatework.data.words import END_OF_LINE, Rule, space_between, split_words
from gatework.errors import DataError
from gatework.lazy import late

LEVELS = ("byte", "char", "word", "bpe")
UNKNOWN = "<unk>"

# The number of characters to encode at once: each takes twelve bytes meanwhile.
_AT_ONCE = 2**20
# The number of parts of a text to cut into pieces at once: each piece takes about a hundred bytes meanwhile.
_PARTS_AT_ONCE = 2

# The form of a text at each level: bytes, characters in a string, or words or pieces in a list.
Symbols = bytes | str | list[str]

# The package that computes pieces may not be installed.
_make_encoder: Callable[..., Callable[[Sequence[str]], list[list[int]]]] = late("gatework.data.pieces", "make_encoder")
_learn_merges: Callable[..., Merges] = late("gatework.data.pieces", "learn_merges")
_at_seams: Callable[..., Iterator[str]] = late("gatework.data.pieces", "at_seams")


def split_symbols(text: str, level: str, words: Rule = "spaces") -> Symbols:
    r"""Cut text into the symbols of a level; at level ``bpe``, a :class:`Vocabulary` does.

    Args:
        text: Any text.
        level: ``byte``, ``char`` or ``word``.
        words: The rule that cuts a text into words. A line end becomes ``<eos>``.

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
    return split_words(text, words)


def line_end(level: str) -> bytes | str:
    """Return the symbol that ends a line at this level."""
    return {"byte": b"\n", "char": "\n", "word": END_OF_LINE, "bpe": "\n"}[level]


@dataclass(frozen=True)
class Vocabulary:
    r"""A closed list of symbols; the number of a symbol is its index in the list.

    At level ``byte`` the symbols are the 256 bytes, and at level ``bpe`` these and sequences of bytes that are frequent
    in the training text, so no symbol is unknown. Otherwise number 0 is ``<unk>``, which represents every symbol that
    the training text lacks, and number 1 ends a line. A text is read as if a line had just ended before it, so the
    first symbol is predicted from a line end.

    Args:
        level: ``byte``, ``char``, ``word`` or ``bpe``.
        symbols: The symbols in order; empty at levels ``byte`` and ``bpe``.
        words: At level ``word``, the rule that cuts a text.
        merges: At level ``bpe``, the pairs of pieces that were merged; see :mod:`gatework.data.pairs`.

    Example:
        >>> vocabulary = Vocabulary.of("abba\n", "char")
        >>> vocabulary.encode("ab?").tolist(), vocabulary.decode([3, 2])
        ([2, 3, 0], 'ba')
    """

    level: str
    symbols: tuple[str, ...]
    words: Rule = "spaces"
    merges: Merges = ()

    @classmethod
    def of(cls, training: Symbols, level: str, size: int | None = None) -> "Vocabulary":
        """Collect the symbols of a training text that is in memory.

        Args:
            training: The symbols of the training split; see :func:`split_symbols`.
            level: The level of the symbols.
            size: The most symbols to keep, the most frequent first; None to keep all.

        Returns:
            The vocabulary, with characters in the order of their code points, or words from frequent to rare.
        """
        return cls.counted(Counter(training if not isinstance(training, bytes) else ()), level, size)

    @classmethod
    def counted(
        cls, counts: Mapping[str, int], level: str, size: int | None = None, words: Rule = "spaces"
    ) -> "Vocabulary":
        """Collect symbols that were counted in the training text.

        Args:
            counts: How often each symbol occurs; not used at level ``byte``.
            level: ``byte``, ``char`` or ``word``.
            size: The most symbols to keep, the most frequent first; None to keep all.
            words: At level ``word``, the rule that cuts a text.

        Returns:
            The vocabulary, as :meth:`of` gives it.

        Example:
            >>> Vocabulary.counted({"rose": 2, "a": 3}, "word").symbols
            ('<unk>', '<eos>', 'a', 'rose')
        """
        if level == "byte":
            return cls(level, ())
        fixed = (UNKNOWN, str(line_end(level)))
        found = [symbol for symbol in counts if symbol not in fixed]
        # The order of equal counts must not depend on the order of the files.
        by_count = sorted(found, key=lambda symbol: (-counts[symbol], symbol))
        kept = by_count if size is None else by_count[: max(0, size - len(fixed))]
        return cls(level, (*fixed, *(sorted(kept) if level == "char" else kept)), words)

    @classmethod
    def learned(cls, text: Iterable[str], size: int) -> "Vocabulary":
        r"""Learn the pieces of level ``bpe`` from the training text.

        Args:
            text: The training text, piece by piece.
            size: The most symbols, with the 256 bytes.

        Raises:
            DataError: If the package ``tokenizers`` is not installed.

        Example:
            >>> Vocabulary.learned(["so la la la\n" * 9], 258).split("la la")
            ['la', ' la']
        """
        return cls("bpe", (), merges=_learn_merges(text, size))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Vocabulary":
        """Rebuild a vocabulary from the result of :meth:`to_json`.

        Raises:
            DataError: If the data are not a vocabulary.
        """
        level, symbols, words = data.get("level"), data.get("symbols"), data.get("words", "spaces")
        if level == "bpe":
            vocabulary = cls("bpe", (), merges=_merges_of(data.get("merges")))
            _ = vocabulary.pieces  # raises the error for merges that make no pieces
            return vocabulary
        known = level in LEVELS and words in get_args(Rule)
        if known and isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols):
            fixed = [] if level == "byte" else [UNKNOWN, line_end(str(level))]
            # A word contains no white space, and only a single character can be looked up in a text.
            whole = all(len(symbol) == 1 if level == "char" else [symbol] == symbol.split() for symbol in symbols[2:])
            if symbols[:2] == fixed and len(set(symbols)) == len(symbols) and whole:
                return cls(str(level), tuple(symbols), words)
        raise DataError(f"This is not a vocabulary; expected a level ({', '.join(LEVELS)}) and a list of its symbols.")

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as plain data."""
        if self.level == "bpe":
            return {"level": self.level, "merges": [list(pair) for pair in self.merges]}
        # Vocabularies of earlier versions have no rule.
        rule = {} if self.words == "spaces" else {"words": self.words}
        return {"level": self.level, "symbols": list(self.symbols), **rule}

    def __len__(self) -> int:
        """Count the symbols."""
        return len(self.pieces) or len(self.symbols)

    @property
    def unit(self) -> str:
        """What a symbol is called: ``byte``, ``char``, ``word`` or ``piece``."""
        return "piece" if self.level == "bpe" else self.level

    @property
    def start(self) -> int:
        """The number of the line end, from which the first symbol of a text is predicted."""
        return ord("\n") if self.pieces else 1

    @property
    def unknown(self) -> int | None:
        """The number of ``<unk>``; None at levels ``byte`` and ``bpe``, where no symbol is unknown."""
        return None if self.pieces else 0

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes of each symbol at levels ``byte`` and ``bpe``; empty at the others."""
        return pieces_of(self.merges) if self.level in ("byte", "bpe") else ()

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each symbol (empty at levels ``byte`` and ``bpe``)."""
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @cached_property
    def _encoder(self) -> Callable[[Sequence[str]], list[list[int]]]:
        return _make_encoder(self.merges)

    def split(self, text: str) -> Symbols:
        """Cut text into symbols of the level of this vocabulary.

        Args:
            text: Any text.

        Returns:
            Bytes, the text itself, or a list of words. At level ``bpe`` a list of pieces, in which each byte is the
            character of the same code, because a piece may be a part of a character.
        """
        if self.level == "bpe":
            # An empty text, such as no prompt, does not need the package.
            return [self.pieces[number].decode("latin-1") for number in self._encoder([text])[0]] if text else []
        return split_symbols(text, self.level, self.words)

    def encode(self, symbols: Symbols) -> Tensor:
        """Turn symbols into their numbers.

        Args:
            symbols: n symbols at the level of this vocabulary, as :meth:`split` gives them.

        Returns:
            Numbers ``[n]``, int32; unknown symbols have the number of ``<unk>``.
        """
        if len(symbols) == 0:
            return torch.zeros(0, dtype=torch.int32)
        if isinstance(symbols, bytes):
            return torch.frombuffer(bytearray(symbols), dtype=torch.uint8).to(torch.int32)
        if isinstance(symbols, str):
            return self._encode_characters(symbols)
        numbers = self._numbers_of_pieces if self.level == "bpe" else self.numbers
        return torch.tensor([numbers.get(symbol, 0) for symbol in symbols], dtype=torch.int32)

    def encode_long(self, text: Iterable[str]) -> Iterator[list[int]]:
        """Turn a long text into the numbers of its pieces at level ``bpe``.

        Args:
            text: The text, piece by piece.

        Yields:
            The numbers of the next pieces.
        """
        several: list[str] = []
        for part in _at_seams(text):
            several.append(part)
            if len(several) == _PARTS_AT_ONCE:
                yield from self._encoder(several)
                several = []
        yield from self._encoder(several)

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """Turn many short texts into the numbers of their pieces at level ``bpe``.

        Args:
            lines: The texts.

        Returns:
            The numbers of each.
        """
        return self._encoder(lines)

    @cached_property
    def _numbers_of_pieces(self) -> dict[str, int]:
        return {piece.decode("latin-1"): number for number, piece in enumerate(self.pieces)}

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
        if isinstance(symbols, bytes) or self.pieces:
            return []
        return [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.numbers]

    def decode(self, numbers: Sequence[int]) -> str:
        """Turn numbers back into text.

        Args:
            numbers: The numbers of symbols.

        Returns:
            The text; see :class:`Writer`.
        """
        writer = Writer(self)
        return "".join(map(writer.write, numbers)) + writer.end()


class Writer:
    """Turn the numbers of a text back into the text, one after the other.

    Words are joined by one space, but lines start without one; with the rule ``unicode``, there is also none around
    brackets, before commas and stops, and between Chinese characters. Bytes that are not UTF-8 become U+FFFD.

    Args:
        vocabulary: The vocabulary of the numbers.

    Example:
        >>> writer = Writer(Vocabulary("byte", ()))
        >>> [writer.write(number) for number in "né".encode()], writer.end()
        (['n', '', 'é'], '')
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._before = ""

    def write(self, number: int) -> str:
        """Return the text that is complete with one more symbol.

        Args:
            number: The number of the symbol.
        """
        vocabulary = self._vocabulary
        if vocabulary.pieces:
            return self._bytes.decode(vocabulary.pieces[number])
        symbol = vocabulary.symbols[number]
        if vocabulary.level == "char":
            return symbol
        space, self._before = space_between(self._before, symbol, vocabulary.words), symbol
        return "\n" if symbol == END_OF_LINE else space + symbol

    def end(self) -> str:
        """Return what is left at the end of the text: U+FFFD for a character that is not complete."""
        return self._bytes.decode(b"", final=True)


def _merges_of(data: Any) -> Merges:
    if isinstance(data, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in data):
        return tuple((first, second) for first, second in data)
    raise DataError("This is not a vocabulary of level bpe; expected a list of pairs called merges.")
