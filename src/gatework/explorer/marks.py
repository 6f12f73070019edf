"""Places in a text that a unit may follow: inside quotes, after a comma, where a pattern stands."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, groupby

from gatework.errors import ExplorerError
from gatework.explorer.patterns import Pattern

_QUOTES = "'\""
_NO_LETTER = "\ufffd"
_OPENING = dict(zip("([{", ")]}", strict=True))


def _inside_quotes(text: str) -> Iterator[bool]:
    """Mark from an opening quote to before the closing one. A plain quote ends with its line, a triple one does not."""
    ends, place = "", 0
    while place < len(text):
        sign = text[place]
        if ends and sign == "\\" and place + 1 < len(text):
            yield True
            yield True
            place += 2
        elif ends and text.startswith(ends, place):
            yield from [False] * len(ends)
            place += len(ends)
            ends = ""
        elif len(ends) == 1 and sign == "\n":
            yield False
            place, ends = place + 1, ""
        elif not ends and sign in _QUOTES and not (sign == "'" and place and text[place - 1].isalnum()):
            # An apostrophe inside a word, as in "don't", is not an opening quote.
            ends = sign * 3 if text.startswith(sign * 3, place) else sign
            yield from [True] * len(ends)
            place += len(ends)
        else:
            yield bool(ends)
            place += 1


def _inside_brackets(text: str) -> Iterator[bool]:
    """Mark from an opening bracket to before its closing one. Brackets in quotes count as well."""
    waiting: list[str] = []
    for sign in text:
        if sign in _OPENING:
            waiting.append(_OPENING[sign])
        elif sign in waiting:
            while waiting.pop() != sign:
                pass
        yield bool(waiting)


def _indentation(text: str) -> Iterator[bool]:
    """Mark the blanks at the beginning of a line."""
    at_start = True
    for sign in text:
        at_start = sign == "\n" or (at_start and sign in " \t")
        yield at_start and sign != "\n"


def _after_comma(text: str) -> Iterator[bool]:
    """Mark a comma and the blanks after it: the positions where a comma is the last non-blank that was read."""
    after = False
    for sign in text:
        after = sign == "," or (after and sign.isspace())
        yield after


def _comment(text: str) -> Iterator[bool]:
    """Mark from a number sign outside quotes to the end of the line."""
    inside = False
    for sign, quoted in zip(text, _inside_quotes(text), strict=True):
        inside = sign != "\n" and (inside or (sign == "#" and not quoted))
        yield inside


def _first_word(text: str) -> Iterator[bool]:
    """Mark the first word of each line. In most programs, it says what the line is about."""
    before, inside = True, False
    for sign in text:
        word = sign.isalnum() or sign == "_"
        inside = word and (inside or before)
        before = sign == "\n" or (before and sign.isspace())
        yield inside


def _each(test: Callable[[str], bool]) -> Callable[[str], Iterator[bool]]:
    return lambda text: map(test, text)


PRESETS: dict[str, Callable[[str], Iterable[bool]]] = {
    "inside_quotes": _inside_quotes,
    "inside_brackets": _inside_brackets,
    "indentation": _indentation,
    "after_comma": _after_comma,
    "comment": _comment,
    "first_word": _first_word,
    "inside_word": _each(lambda sign: sign.isalnum() or sign == "_"),
    "capitals": _each(str.isupper),
    "digits": _each(str.isdigit),
    "line_ends": _each(lambda sign: sign == "\n"),
}


def mark_preset(symbols: Sequence[str], preset: str, *, gap: str | None = None) -> list[bool]:
    """Mark the positions of a text that a preset describes.

    Args:
        symbols: The text of each position.
        preset: A key of :data:`PRESETS`.
        gap: What stands between symbols of several characters: a blank after words, nothing after pieces of words.
            None for symbols of one character.

    Returns:
        Whether each position is marked.

    Raises:
        ExplorerError: If there is no such preset.

    Example:
        >>> "".join("x" if mark else "." for mark in mark_preset("a, 'b' c", "inside_quotes"))
        '...xx...'
    """
    if preset not in PRESETS:
        raise ExplorerError(f"There is no preset '{preset}'; expected one of {', '.join(PRESETS)}.")
    return _by_symbol(symbols, gap, PRESETS[preset])


def mark_pattern(symbols: Sequence[str], pattern: str, *, gap: str | None = None) -> list[bool]:
    """Mark the positions where a pattern matches; see :mod:`gatework.explorer.patterns` for its syntax.

    Args:
        symbols: The text of each position.
        pattern: The pattern.
        gap: What stands between symbols of several characters: a blank after words, nothing after pieces of words.
            None for symbols of one character.

    Returns:
        Whether each position is marked.

    Raises:
        ExplorerError: If the pattern cannot be read, or takes too long.
    """
    read = Pattern(pattern)
    return _by_symbol(symbols, gap, lambda text: mark_ranges(len(text), read.find(text)))


def mark_ranges(length: int, ranges: Iterable[tuple[int, int]]) -> list[bool]:
    """Mark ranges of positions, each without its end. Anything beyond the text is left out."""
    edges = [0] * (length + 1)  # how many more ranges begin here than end
    for begin, end in ranges:
        if begin < min(end, length):
            edges[begin] += 1
            edges[min(end, length)] -= 1
    return [inside > 0 for inside in accumulate(edges)][:length]


def marked_ranges(marks: Iterable[bool]) -> list[tuple[int, int]]:
    """Return marks as ranges, the inverse of :func:`mark_ranges`.

    Example:
        >>> marked_ranges([False, True, True, False, True])
        [(1, 3), (4, 5)]
    """
    ranges: list[tuple[int, int]] = []
    position = 0
    for marked, group in groupby(marks):
        length = sum(1 for _ in group)
        if marked:
            ranges.append((position, position + length))
        position += length
    return ranges


def _by_symbol(symbols: Sequence[str], gap: str | None, mark: Callable[[str], Iterable[bool]]) -> list[bool]:
    """Mark a text. A symbol is marked if any of its characters is."""
    if gap is None:
        # A byte that is not a letter is shown as its number, whose digits are not in the text.
        return list(mark("".join(symbol if len(symbol) == 1 else _NO_LETTER for symbol in symbols)))
    written = [symbol if symbol == "\n" else f"{symbol}{gap}" for symbol in symbols]
    marks = list(mark("".join(written)))
    symbol_marks, position = [], 0
    for symbol, spaced in zip(symbols, written, strict=True):
        # Without the blank that only separates words.
        symbol_marks.append(any(marks[position : position + len(symbol)]))
        position += len(spaced)
    return symbol_marks
