"""Patterns: they find what Python's re finds, and none of them can keep the server busy."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.errors import ExplorerError
from gatework.explorer.patterns import Pattern

TEXT = 'def f(a, b):\n    return "a, b" + a  # 12 and_so on\n\nx = [1, 22, 333]\n\ty: étude\n'

# Of these Python's first choice is also the longest, so that both find the same.
SAME = [
    "a",
    "return",
    ".",
    ".*",
    '"[^"]*"',
    "[0-9]+",
    r"\d{2}",
    r"\d{2,}",
    r"\d{1,2}",
    r"\w+",
    r"\W+",
    r"\s",
    r"[\s\d]+",
    r"[^\w\s]",
    r"\S+\s*=",
    r"\bs?o\b",
    r"\b",
    "^ +",
    "^",
    ",$",
    r"\)?:$",
    r"\n\n",
    r"\t",
    "(a|b|, )+",
    "x|y|z",
    r"(\d|,| )+\]",
    "[]]",
    "[^]]]",
    "[a-]",
    "[-a]",
    r"[\]\[]",
    r"\(.*\)",
    r"\.|\*|\[",
    "(ab?)*c",
    "a{0}b",
    "(a?){3}",
    "é",
    "[à-ü]",
    "()",
    "a()b|",
]


@pytest.mark.parametrize("pattern", SAME)
def test_finds_what_re_finds(pattern):
    expected = [match.span() for match in re.finditer(pattern, TEXT, re.MULTILINE) if match.end() > match.start()]
    assert Pattern(pattern).find(TEXT) == expected


def test_of_the_matches_that_begin_first_the_longest_counts():
    assert Pattern("a|ab|abc").find("abcab") == [(0, 3), (3, 5)]


# Patterns without choices between a shorter and a longer match, over two letters.
ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", "(ab)", "(a|b)"])
PARTS = st.tuples(ATOMS, st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}"])).map("".join)


@given(st.lists(PARTS, min_size=1, max_size=4).map("".join), st.text("ab\nc", max_size=12))
def test_whatever_is_found_matches_and_is_the_longest(pattern, text):
    """Against re, which is asked about each stretch by itself."""
    whole = re.compile(pattern)
    place = 0
    expected = []
    while place < len(text):
        ends = [end for end in range(len(text), place, -1) if whole.fullmatch(text, place, end)]
        if ends:
            expected.append((place, ends[0]))
        place = ends[0] if ends else place + 1
    assert Pattern(pattern).find(text) == expected


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "a '(' that is never closed"),
        (")", "a ')' that closes nothing"),
        ("[a", "a '[' that is never closed"),
        ("[", "a '[' that is never closed"),
        ("*a", r"a '*' with nothing before it: write \* for the sign itself"),
        ("a|*", r"a '*' with nothing before it: write \* for the sign itself"),
        ("a{", r"a '{' that is no repetition: write {2}, {2,} or {2,5}, or \{ for the sign itself"),
        ("a{,2}", r"a '{' that is no repetition: write {2}, {2,} or {2,5}, or \{ for the sign itself"),
        ("a{3,2}", "a repetition out of range: expected at most 100 times, the smaller one first"),
        ("a{101}", "a repetition out of range: expected at most 100 times, the smaller one first"),
        (".*?", "'?' or '+' after a repetition: write [^\"]* in place of .*?"),
        ("(?:a)", "a group that begins with '?': groups are plain here"),
        ("(?=a)", "a group that begins with '?': groups are plain here"),
        (r"(a)\1", r"'\1': expected one of \d, \w, \s, \D, \W, \S, \n, \t, \r, \b, or a sign that is no letter"),
        ("\\", "'\\': expected one of"),
        ("[z-a]", "the range 'z-a': expected two plain signs, the lower one first"),
        ("(" * 21 + ")" * 21, "a group inside more than 20 others"),
    ],
)
def test_patterns_that_cannot_be_read(pattern, told):
    with pytest.raises(ExplorerError) as caught:
        Pattern(pattern)
    assert str(caught.value).startswith(f"The pattern cannot be read: there is {told}")


HOSTILE = [
    "(a+)+b",
    "(a|a)*b",
    "(a|aa)+$",
    "(.*a){20}b",
    "(a*)*b",
    "((a*)*)*b",
    "a{50}a{50}a{50}b",
    "(a|b)*a(a|b){90}c",
    "([ab]?){100}b{5}",
    ".*.*.*.*.*b",
    "a.*b",
]


def outcome(pattern, text):
    try:
        Pattern(pattern).find(text)
    except ExplorerError as error:
        return "given up" if "takes too long on this text" in str(error) else str(error)
    return "found"


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_patterns_are_answered_or_given_up(pattern):
    """Each of these would keep Python's re busy for very long on a text like this, or is of its kind."""
    began = time.monotonic()
    assert outcome(pattern, "a" * 30_000 + "ab" * 30_000) in ("found", "given up")
    # Far from what it takes, and farther from what it would take elsewhere.
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "pattern", ["(a{100}){100}", "((((){100}){100}){100}){100}", "((a|b){100}){30}", "((((((a{9}){9}){9}){9}){9}){9})"]
)
def test_patterns_that_grow_are_refused(pattern):
    with pytest.raises(ExplorerError, match="The pattern is too large"):
        Pattern(pattern)


def test_steps_are_counted():
    with pytest.raises(ExplorerError, match="takes too long"):
        Pattern("a*b").find("a" * 1000, most_steps=10_000)
    assert Pattern("a*b").find("a" * 100 + "b", most_steps=10_000) == [(0, 101)]
