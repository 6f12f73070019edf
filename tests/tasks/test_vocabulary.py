"""Symbols and their numbers."""

import json
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.vocabulary import Vocabulary, Writer, split_symbols
from gatework.data.words import split_words
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
        {"level": "word", "symbols": ["<unk>", "<eos>"], "words": "letters"},
        {"level": "word", "symbols": ["<unk>", "<eos>"], "words": []},
    ],
)
def test_what_is_no_vocabulary(data):
    with pytest.raises(DataError, match="This is not a vocabulary"):
        Vocabulary.from_json(data)


def test_words_by_unicode():
    text = "It isn’t, is it?\n'quoted' rock'n'roll 3.14 snake_case\n猫です。 हिन्दी में 한국어 말 cafe\u0301"
    words = split_words(text, "unicode")
    assert words == [
        *("It", "isn’t", ",", "is", "it", "?", "<eos>"),
        *("'", "quoted", "'", "rock'n'roll", "3", ".", "14", "snake_case", "<eos>"),
        *("猫", "で", "す", "。", "हिन्दी", "में", "한국어", "말", "cafe\u0301"),
    ]
    vocabulary = Vocabulary.counted(dict.fromkeys(words, 1), "word", words="unicode")
    assert vocabulary.split(text) == words
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    lines = vocabulary.decode(vocabulary.encode(words).tolist()).split("\n")
    assert (lines[0], lines[2]) == ("It isn’t, is it?", "猫です。 हिन्दी में 한국어 말 cafe\u0301")
    assert split_symbols("\n".join(lines), "word", "unicode") == words


@given(TEXTS)
def test_words_by_unicode_lose_nothing_but_white_space(text):
    words = split_words(text, "unicode")
    assert "".join(words).replace("<eos>", "") == "".join(text.split()).replace("<eos>", "")
    assert all(words)


LEARNED = "the gate opens and the gate closes, while the cell keeps it: Größe, 日本\n" * 40


@pytest.fixture(scope="module")
def pieces():
    return Vocabulary.learned([LEARNED], 320)


def test_pieces_are_learned_and_come_back(pieces):
    assert 290 < len(pieces) <= 320
    assert pieces.split("the gate") == ["the", " gate"]
    assert pieces.unknown is None
    assert pieces.decode([pieces.start]) == "\n"
    assert pieces == Vocabulary.learned([LEARNED[:33], LEARNED[33:]], 320)
    assert Vocabulary.from_json(json.loads(json.dumps(pieces.to_json()))) == pieces
    for text in (LEARNED, "other words, ÄÖÜ 猫 \U0001f408\n\n  spaces", ""):
        symbols = pieces.split(text)
        assert pieces.decode(pieces.encode(symbols).tolist()) == text
        assert pieces.missing(symbols) == []
    assert [*pieces.encode_long(["the ga", "te"])] == [pieces.encode(["the", " gate"]).tolist()]


def test_pieces_are_the_same_in_every_process(pieces):
    program = (
        "import json, sys\n"
        "from gatework.data.vocabulary import Vocabulary\n"
        "print(json.dumps(Vocabulary.learned([sys.argv[1]], 320).to_json()))\n"
    )
    command = [sys.executable, "-c", program, LEARNED]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert json.loads(result.stdout) == pieces.to_json()


@pytest.mark.parametrize(
    ("merges", "what"),
    [
        (None, "expected a list of pairs"),
        ([[1]], "expected a list of pairs"),
        ([[1, 256]], r"merge 0 is \(1, 256\); expected two earlier pieces"),
        ([[1, -1]], "expected two earlier pieces"),
        ([[1, True]], "expected two earlier pieces"),
        ([["a", "b"]], "expected two earlier pieces"),
        ([[97, 97], *([n, n] for n in range(256, 280))], "merge 8 has 512 bytes; expected 256 at most"),
    ],
)
def test_what_are_no_merges(merges, what):
    with pytest.raises(DataError, match=f"This is not a vocabulary.*{what}"):
        Vocabulary.from_json({"level": "bpe", "merges": merges})


def test_without_the_package_pieces_cannot_be_had(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.delitem(sys.modules, "gatework.data.pieces", raising=False)
    vocabulary = Vocabulary("bpe", (), merges=((97, 98),))
    assert vocabulary.decode([256, 99]) == "abc"  # which needs no package, as no prompt does
    assert vocabulary.split("") == []
    with pytest.raises(DataError, match=r"tokenizers, which is not installed. Run pip install 'gatework\[text\]'"):
        vocabulary.split("abc")


@given(st.lists(st.integers(0, 255), max_size=12))
def test_bytes_are_written_as_whole_characters(numbers):
    writer = Writer(Vocabulary("byte", ()))
    parts = [writer.write(number) for number in numbers]
    assert "".join(parts) + writer.end() == bytes(numbers).decode("utf-8", errors="replace")
