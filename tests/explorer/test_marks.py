"""Marks: what each preset speaks of, on texts made for it."""

import pytest

from gatework.errors import ExplorerError
from gatework.explorer.marks import PRESETS, mark_pattern, mark_preset, mark_ranges, marked_ranges

# The marked symbols stand below each text.
CASES = [
    ("inside_quotes", """a = "b'c" + 'd' # "e""", "....xxxx....xx....xx"),
    ("inside_quotes", "don't 'x'", "......xx."),
    ("inside_quotes", r'"a\"b" c', "xxxxx..."),
    ("inside_quotes", '"a\nb" c', "xx..xxx"),
    ("inside_quotes", '"""a"\n""" b', "xxxxxx....."),
    ("inside_brackets", "f(a, [b]) c)", ".xxxxxxx...."),
    ("inside_brackets", "(a] b) c", "xxxxx..."),
    ("indentation", "a b\n  c d\n\n\te", "....xx.....x."),
    ("after_comma", "a,b, c,\n d", ".x.xx.xxx."),
    ("comment", "a # b\nc '#' # d", "..xxx.......xxx"),
    ("first_word", "def f\n  x_1 = y\n", "xxx.....xxx....."),
    ("inside_word", "a_1 + é", "xxx...x"),
    ("capitals", "aBÉc", ".xx."),
    ("digits", "a12 3", ".xx.x"),
    ("line_ends", "a\nb\n", ".x.x"),
]


@pytest.mark.parametrize(("preset", "text", "marks"), CASES)
def test_presets(preset, text, marks):
    assert "".join("x" if mark else "." for mark in mark_preset(list(text), preset)) == marks


def test_every_preset_is_tested():
    assert {preset for preset, _, _ in CASES} == set(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("text", ["", "'", '"""', "\\", "'\\", "([{", "]", "\n", "#\n'"])
def test_presets_mark_each_symbol_once(preset, text):
    assert len(mark_preset(list(text), preset)) == len(text)


def test_words_are_marked_where_any_of_their_letters_is():
    words = ["He", "said", "\n", "no,", "no", "12"]
    assert mark_preset(words, "capitals", gap=" ") == [True] + [False] * 5
    assert mark_preset(words, "digits", gap=" ") == [False] * 5 + [True]
    assert mark_pattern(words, "said\nno", gap=" ") == [False] * 6  # a blank stands behind each word
    assert mark_pattern(words, "no, no", gap=" ") == [False, False, False, True, True, False]


def test_bytes_that_are_no_letters_are_one_symbol_each():
    symbols = ["a", r"\xc3", r"\xa9", "1"]
    assert mark_preset(symbols, "digits") == [False, False, False, True]
    assert mark_preset(symbols, "inside_word") == [True, False, False, True]
    assert mark_pattern(symbols, "1$") == [False, False, False, True]


def test_ranges_and_back():
    assert mark_ranges(6, [(1, 3), (2, 4), (5, 99), (50, 60), (4, 2)]) == [False, True, True, True, False, True]
    assert marked_ranges(mark_ranges(6, [(1, 3), (2, 4), (5, 99)])) == [(1, 4), (5, 6)]
    assert (marked_ranges([]), mark_ranges(0, [(0, 3)])) == ([], [])


def test_many_long_ranges_take_no_time():
    marks = mark_ranges(100_000, [(0, 10**9)] * 10_000)
    assert all(marks)
    assert len(marks) == 100_000


def test_an_unknown_preset():
    with pytest.raises(ExplorerError, match="There is no preset 'x'; expected one of inside_quotes, inside_brackets"):
        mark_preset(["a"], "x")


def test_a_piece_is_marked_if_any_of_its_characters_is():
    pieces = ["The", " ga", "te", ",", " 12", "\n"]
    assert mark_preset(pieces, "capitals", gap="") == [True] + [False] * 5
    assert mark_preset(pieces, "digits", gap="") == [False] * 4 + [True, False]
    assert mark_pattern(pieces, "gate", gap="") == [False, True, True, False, False, False]
