"""Symbols and their numbers."""

import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.vocabulary import Vocabulary, split_symbols
from gatework.errors import DataError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXTS, TEXTS)
def test_characters_come_back_and_strange_ones_are_unknown(training, text):
    vocabulary = Vocabulary.of(training, "char")
    numbers = vocabulary.encode(text)
    assert numbers.dtype == torch.int32
    known = set(training) | {"\n"}
    assert [bool(n) for n in numbers] == [c in known for c in text]
    assert vocabulary.decode([n for n in numbers.tolist() if n]) == "".join(c for c in text if c in known)
    assert set(vocabulary.missing(text)) == set(text) - known


@given(st.binary(max_size=60))
def test_bytes_are_their_own_numbers(content):
    vocabulary = Vocabulary.of(b"", "byte")
    assert vocabulary.encode(content).tolist() == list(content)
    assert vocabulary.decode(list(content)) == content.decode("utf-8", errors="replace")
    assert len(vocabulary) == 256
    assert vocabulary.missing(content) == []
    assert vocabulary.unknown is None
    assert vocabulary.start == ord("\n")


def test_bytes_of_the_command_line_that_are_not_utf_8_are_those_bytes():
    assert split_symbols(os.fsdecode(b"a\xe9"), "byte") == b"a\xe9"


def test_words_are_what_stands_between_white_space():
    words = split_symbols("a rose  is a\trose\n\nis", "word")
    assert words == ["a", "rose", "is", "a", "rose", "<eos>", "<eos>", "is"]
    vocabulary = Vocabulary.of(words, "word")
    assert vocabulary.symbols == ("<unk>", "<eos>", "a", "is", "rose")
    assert vocabulary.decode(vocabulary.encode(words).tolist()) == "a rose is a rose\n\nis"
    assert vocabulary.decode([1, 1, 2, 0]) == "\n\na <unk>"


def test_a_word_in_the_text_may_be_unknown_itself():
    vocabulary = Vocabulary.of(["<unk>", "of", "<eos>"], "word")
    assert vocabulary.symbols == ("<unk>", "<eos>", "of")
    assert vocabulary.encode(["<unk>", "else"]).tolist() == [0, 0]


def test_the_rare_ones_go_first():
    words = ["b"] * 3 + ["a"] * 2 + ["d", "c", "<eos>"]
    assert Vocabulary.of(words, "word", size=5).symbols == ("<unk>", "<eos>", "b", "a", "c")
    assert Vocabulary.of("zzzyyx\n", "char", size=4).symbols == ("<unk>", "\n", "y", "z")
    assert (
        Vocabulary.of(reversed_words := list(reversed(words)), "word").symbols == Vocabulary.of(words, "word").symbols
    )
    assert reversed_words != words


@pytest.mark.parametrize("level", ["byte", "char", "word"])
def test_through_json(level):
    vocabulary = Vocabulary.of(split_symbols("wörter\nund mehr\n", level), level)
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"level": "char"},
        {"level": "char", "symbols": []},
        {"level": "char", "symbols": ["a", "b"]},
        {"level": "char", "symbols": ["<unk>", "\n", "a", "a"]},
        {"level": "char", "symbols": ["<unk>", "\n", "ab"]},
        {"level": "char", "symbols": ["<unk>", "\n", ""]},
        {"level": "word", "symbols": ["<unk>", "<eos>", "a b"]},
        {"level": "word", "symbols": ["<unk>", "<eos>", ""]},
        {"level": "char", "symbols": ["<unk>", "\n", 3]},
        {"level": "byte", "symbols": ["a"]},
        {"level": "line", "symbols": []},
        {"level": "word", "symbols": "<unk>"},
    ],
)
def test_what_is_no_vocabulary(data):
    with pytest.raises(DataError, match="This is not a vocabulary"):
        Vocabulary.from_json(data)
