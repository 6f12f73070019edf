"""Long lists of numbers, and texts that are read in pieces: in memory or in a file, the same."""

import tempfile
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gatework.data import numbers as numbers_module
from gatework.data.corpus import WHOLE, Form, _spread, read_corpus, read_whole
from gatework.data.numbers import Numbers
from gatework.data.vocabulary import Vocabulary, split_symbols
from gatework.data.words import WordSplitter, split_words
from gatework.errors import DataError

VALUES = st.lists(st.lists(st.sampled_from([0, 255, 256, 32767, 32768, 2**31 - 1])))


@given(VALUES, st.sampled_from([0, 7, 10**6]))
def test_the_smallest_type_that_holds_them(lists, in_memory):
    numbers = Numbers(in_memory)
    for some in lists:
        numbers.append(np.array(some, np.int64))
    whole = [number for some in lists for number in some]
    largest = max(whole, default=0)
    kind = "uint8" if largest < 2**8 else "int16" if largest < 2**15 else "int32"
    assert (numbers.array().tolist(), numbers.array().dtype, len(numbers)) == (whole, kind, len(whole))
    size = numbers.array().nbytes
    assert numbers.bytes_on_disk == (size if size > in_memory else 0)


def test_changes_of_the_array_change_the_file():
    numbers = Numbers(in_memory=0)
    numbers.append(np.array([1, 2, 300]))
    numbers.array()[1] = 7
    assert numbers.array().tolist() == [1, 7, 300]


def test_a_full_disk_is_told_in_a_sentence(monkeypatch):
    class Full:
        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(DataError, match=r"do not fit into a temporary file in '.*' \(No space .*\)\. Set TMPDIR to"):
        Numbers(in_memory=0).append(np.array([1]))


@pytest.fixture(params=[0, 2**20], ids=["in a file", "in memory"])
def small_pieces(request, monkeypatch):
    monkeypatch.setattr(Numbers.__init__, "__defaults__", (request.param,))
    monkeypatch.setattr("gatework.data.corpus.AT_ONCE", 5)
    monkeypatch.setattr("gatework.reading.files._STEP", 4)


TEXT = "héllo wörld\r\nzweite  Zeile\n日本語 テキスト\n\nlast"


@pytest.mark.parametrize("level", ["byte", "char", "word"])
def test_small_pieces_make_the_same_text(small_pieces, level, tmp_path):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_bytes(f"{name} {TEXT}".encode() * 3)
    one = tmp_path / "a.txt"
    text = one.read_bytes().decode()
    corpus = read_corpus(str(one), Form(level), 0.3)
    symbols = split_symbols(text, level)
    cut = int(len(symbols) * 0.7)
    assert corpus.symbols("train") == symbols[:cut]
    assert corpus.symbols("valid") == symbols[cut:]
    assert corpus.symbols("valid", 3) == symbols[cut : cut + 3]
    vocabulary = Vocabulary.of(symbols[:cut], level, 12)
    assert Vocabulary.counted(corpus.count("train"), level, 12) == vocabulary
    tokens = corpus.number(vocabulary)
    assert tokens["train"].dtype == torch.uint8
    assert tokens["valid"].tolist() == vocabulary.encode(symbols[cut:]).tolist()
    folder = read_corpus(str(tmp_path), Form(level), 0.3)
    whole = read_whole(str(tmp_path), Form(level)).symbols(WHOLE)
    assert folder.length("train") + folder.length("valid") == len(whole)
    assert folder.symbols("train")[:9] == whole[:9]
    assert folder.symbols("valid")[-9:] == whole[-9:]
    assert sorted([*folder.symbols("train"), *folder.symbols("valid")]) == sorted(whole)


@pytest.mark.parametrize("rule", ["spaces", "unicode"])
@given(text=st.text("a'’ \n猫で.é\u0301\u3000", max_size=60), sizes=st.integers(1, 7))
def test_words_of_pieces_are_the_words_of_the_whole(rule, text, sizes):
    splitter, found = WordSplitter(rule), []
    for begin in range(0, len(text), sizes):
        found += splitter.split(text[begin : begin + sizes])
    assert [*found, *splitter.split("", final=True)] == split_words(text, rule)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 97, 1000])
def test_a_sample_is_spread_evenly_over_a_text(count):
    order = list(_spread(count))
    assert sorted(order) == list(range(count))
    if count >= 97:
        tenths = [sum(place * 10 // count == tenth for place in order[:40]) for tenth in range(10)]
        assert max(tenths) - min(tenths) <= 2


def test_a_text_without_white_space(monkeypatch):
    monkeypatch.setattr("gatework.data.words._LONGEST", 20)
    assert WordSplitter("unicode").split("日本語" * 10) == [*"日本語" * 9, *"日本"]
    with pytest.raises(
        DataError, match=r"'a' has a word of more than 20 characters.*--words unicode, or choose --level char"
    ):
        WordSplitter("spaces", "a").split("日本語" * 10)
    with pytest.raises(DataError, match=r"no white space\. Choose --level char or byte\."):
        WordSplitter("unicode").split("x" * 30)


def test_a_long_text_takes_few_bytes_per_character(tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("many words in a line, and more of them\n" * 200_000, encoding="utf-8")
    size = path.stat().st_size
    read_corpus(str(path), Form("char"))  # the imports and tables of a first time
    tracemalloc.start()
    try:
        tokens = read_corpus(str(path), Form("char")).number(Vocabulary.of("many words", "char"))
        assert tracemalloc.get_traced_memory()[1] < 6 * size
    finally:
        tracemalloc.stop()
    assert sum(part.nbytes for part in tokens.values()) == size


def test_how_much_is_kept_in_memory():
    assert numbers_module.IN_MEMORY == 2**28
