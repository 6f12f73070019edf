"""Pairs of files of sentences: what is read, and what is refused in a sentence."""

import gzip

import pytest

from gatework.data.sentences import Sentences, find_splits, hold_out, read_sentences, split_languages
from gatework.errors import DataError


@pytest.fixture
def write(tmp_path):
    def written(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("_", ".")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return written


def test_lines_belong_together_and_only_a_line_feed_ends_one(write):
    folder = write(a_en="A  cat\u2028sleeps \r\n Two Dogs\n", a_de="Eine Katze schläft\nZwei Hunde")
    found = read_sentences((folder / "a.en", folder / "a.de"))
    assert found.source == ("A  cat\u2028sleeps", "Two Dogs")
    assert found.target == ("Eine Katze schläft", "Zwei Hunde")
    assert read_sentences((folder / "a.en", folder / "a.de"), lowercase=True).target[1] == "zwei hunde"
    assert [file["name"] for file in found.files] == ["a.en", "a.de"]


def test_packed_files_are_the_same_sentences(write):
    folder = write(a_en="one\ntwo\n", a_de="eins\nzwei\n")
    (folder / "a.de.gz").write_bytes(gzip.compress(b"eins\nzwei\n"))
    packed = read_sentences((folder / "a.en", folder / "a.de.gz"))
    assert packed.target == read_sentences((folder / "a.en", folder / "a.de")).target
    (folder / "a.de.gz").write_bytes(gzip.compress(b"eins\nzwei\n")[:-6])
    with pytest.raises(DataError, match=r"a\.de\.gz' is not a whole gzip file"):
        read_sentences((folder / "a.en", folder / "a.de.gz"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("eins\n", r"a\.en' has 2 lines and '.*a\.de' 1; expected as many"),
        ("eins\n\n", r"a\.de' has no sentence on line 2; expected one on every line"),
        ("eins\n \t\n", r"a\.de' has no sentence on line 2"),
        ("", r"a\.de' is empty"),
        (b"eins\nzw\xffei\n", r"a\.de' is not utf-8 text: byte 0xff at offset 7 does not fit\. Save it"),
    ],
)
def test_files_that_do_not_fit_are_refused(write, target, message):
    folder = write(a_en="one\ntwo\n", a_de=target)
    with pytest.raises(DataError, match=message):
        read_sentences((folder / "a.en", folder / "a.de"))


def test_another_encoding_is_read_if_it_is_told(write):
    folder = write(a_en=b"one\n", a_de="schläft\n".encode("latin-1"))
    assert read_sentences((folder / "a.en", folder / "a.de"), "latin-1").target == ("schläft",)


def test_splits_are_found_by_their_names(write):
    names = ("train_en", "train_de", "dev_en", "dev_de", "test_en", "test_de", "train_fr", "notes_txt")
    folder = write(**dict.fromkeys(names, "x\n"))
    (folder / "test_2017.en").write_text("x\n")
    (folder / "test_2017.de.gz").write_bytes(gzip.compress(b"x\n"))
    found = find_splits(folder, ("en", "de"))
    assert {split: (one.name, other.name) for split, (one, other) in found.items()} == {
        "train": ("train.en", "train.de"),
        "valid": ("dev.en", "dev.de"),
        "test": ("test.en", "test.de"),
        "test_2017": ("test_2017.en", "test_2017.de.gz"),
    }


def test_missing_halves_and_splits_are_refused(write):
    folder = write(train_en="x\n", train_de="x\n", valid_en="x\n")
    with pytest.raises(DataError, match=r"holds 'valid.en', and no file of the split valid in the language 'de'"):
        find_splits(folder, ("en", "de"))
    with pytest.raises(DataError, match=r"holds no file train.fi or train.sv"):
        find_splits(folder, ("fi", "sv"))
    (folder / "train.de.gz").write_bytes(gzip.compress(b"x\n"))
    with pytest.raises(DataError, match=r"holds 'train.de' and 'train.de.gz'; expected one file for the split train"):
        find_splits(folder, ("en", "de"))
    with pytest.raises(DataError, match="cannot be read"):
        find_splits(folder / "nowhere", ("en", "de"))


def test_languages_are_two_endings():
    assert split_languages("num-word") == ("num", "word")
    for wrong in ("en", "en-en", "en-de-fr", "", "../a-b", "en-"):
        with pytest.raises(DataError, match="expected the endings of the files"):
            split_languages(wrong)


def test_what_is_held_out_is_in_one_split_only():
    lines = tuple(f"line {number}" for number in range(50_000))
    parts = hold_out(Sentences(lines, lines))
    assert {split: len(part) for split, part in parts.items()} == {"train": 48_000, "valid": 1000, "test": 1000}
    assert sorted(line for part in parts.values() for line in part.source) == sorted(lines)
    with pytest.raises(DataError, match="There are 19 pairs of sentences; expected 20 or more"):
        hold_out(Sentences(lines[:19], lines[:19]))


def test_both_sentences_of_a_pair_are_short_enough():
    sentences = Sentences(("a b c", "a", "a b"), ("A", "A B C", "A B"))
    assert sentences.at_most(2).source == ("a b",)
    assert len(sentences.at_most(3)) == 3
