"""Words: the rules that cut a text into them, and how they are put together again."""

import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Literal

from gatework.errors import DataError

END_OF_LINE = "<eos>"

Rule = Literal["spaces", "unicode"]
"""``spaces``: a word is what stands between white space, for a text that is already tokenised. ``unicode``: a word is
made of letters, digits, underscores and their marks, with apostrophes inside; every other character is a word by
itself, and so is every Chinese character and every kana.
"""

# Chinese characters and kana, in ranges of a regular expression. Korean has spaces between its words.
_EACH = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001b000-\U0001b16f\U00020000-\U000323af"
)
# What stands close to the word before it, and to the word after it.
_CLOSING = frozenset(",.;:!?%)]}»”’…、。，．；：！？）」』】》〉")
_OPENING = frozenset("([{«“‘¿¡（「『【《〈")
_LONGEST = 1 << 20
"""The most characters of a word."""


def split_words(text: str, rule: Rule = "spaces") -> list[str]:
    r"""Cut a text into words; a line end becomes ``<eos>``.

    Args:
        text: Any text.
        rule: The rule; see :data:`Rule`.

    Returns:
        The words.

    Example:
        >>> split_words("It isn't, is it?\n")
        ['It', "isn't,", 'is', 'it?', '<eos>']
        >>> split_words("It isn't, is it?\n猫です", "unicode")
        ['It', "isn't", ',', 'is', 'it', '?', '<eos>', '猫', 'で', 'す']
    """
    text = text.replace("\n", f" {END_OF_LINE} ")
    return text.split() if rule == "spaces" else _pattern().findall(text)


class WordSplitter:
    """Cut a long text into words, piece by piece.

    Args:
        rule: The rule; see :data:`Rule`.
        name: The name of the text, for error messages.
    """

    def __init__(self, rule: Rule = "spaces", name: str = "the text") -> None:
        self._rule: Rule = rule
        self._name = name
        self._rest = ""

    def split(self, piece: str, *, final: bool = False) -> list[str]:
        """Return the words that are complete.

        Args:
            piece: The next piece of the text.
            final: Whether the text ends here.

        Raises:
            DataError: If a word has more than a million characters.
        """
        text = self._rest + piece
        end = len(text) if final else self._find_end(text)
        self._rest = text[end:]
        if len(self._rest) > _LONGEST:
            spaces = self._rule == "spaces"
            advice = "Take Chinese characters apart with --words unicode, or choose" if spaces else "Choose"
            raise DataError(
                f"'{self._name}' has a word of more than {_LONGEST:,} characters, because there is no white space. "
                f"{advice} --level char or byte."
            )
        return split_words(text[:end], self._rule)

    def _find_end(self, text: str) -> int:
        """Return where the last complete word ends."""
        for place in range(len(text) - 1, -1, -1):
            if text[place].isspace():
                return place
        if self._rule == "unicode" and len(text) > _LONGEST // 2:
            # Without white space, a new word begins at least at each of these characters.
            last = max((found.start() for found in re.finditer(f"[{_EACH}]", text)), default=0)
            return last
        return 0


@cache
def _pattern() -> re.Pattern[str]:
    r"""Return the pattern of a word; ``\w`` has no marks, without which Hindi words would fall apart."""
    marks = _ranges([code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"])
    letter = f"[^\\W{_EACH}]"
    # A word goes on after marks, and after an apostrophe before a letter.
    word = f"{letter}++(?:(?:[{marks}\u200c\u200d]++|['’](?={letter})){letter}*+)*+"
    return re.compile(f"{END_OF_LINE}|<unk>|{word}|[{_EACH}][{marks}]*+|\\S[{marks}\u200d]*+")


def _ranges(codes: Sequence[int]) -> str:
    """Write sorted code points as ranges of a regular expression."""
    parts: list[str] = []
    begin = 0
    for place in range(1, len(codes) + 1):
        if place == len(codes) or codes[place] != codes[place - 1] + 1:
            parts.append(f"\\U{codes[begin]:08x}-\\U{codes[place - 1]:08x}")
            begin = place
    return "".join(parts)


def space_between(before: str, word: str, rule: Rule) -> str:
    """Return what stands between two words of a line when they are written: a space, or nothing.

    Args:
        before: The word before; ``<eos>`` or an empty string at the beginning of a line.
        word: The word.
        rule: The rule that cut them.

    Example:
        >>> space_between("it", "is", "spaces"), space_between("it", "?", "unicode")
        (' ', '')
    """
    if before in ("", END_OF_LINE):
        return ""
    if rule == "unicode" and (word in _CLOSING or before in _OPENING or (_is_each(before) and _is_each(word))):
        return ""
    return " "


def _is_each(word: str) -> bool:
    return re.match(f"[{_EACH}]", word) is not None or word in _CLOSING or word in _OPENING
