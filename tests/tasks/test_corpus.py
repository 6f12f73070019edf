"""Texts from files: what is read, how it is cut, and what is refused."""

import hashlib
import os

import pytest

from gatework.data.corpus import WHOLE, Form, read_corpus, read_whole
from gatework.data.sources import find_sources
from gatework.errors import DataError, printable


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


def read(data, level="char", valid_fraction=0.1, **options):
    return read_corpus(str(data), Form(level, **options), valid_fraction)


def splits_of(data, level="char", **options):
    corpus = read(data, level, **options)
    return {split: corpus.symbols(split) for split in corpus.splits}


def test_the_end_of_a_file_is_held_out_to_the_symbol(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0123456789" * 3)
    corpus = read(path)
    assert splits_of(path) == {"train": "0123456789" * 2 + "0123456", "valid": "789"}
    assert splits_of(path, "byte", valid_fraction=0.5)["valid"] == b"567890123456789"
    assert corpus.sources == (
        {"name": "a.txt", "split": "", "bytes": 30, "sha256": hashlib.sha256(b"0123456789" * 3).hexdigest()},
    )


def test_of_a_folder_the_end_of_every_file_is_held_out_at_a_line(tmp_path):
    folder = write(tmp_path, b_txt="11\n22\n33\n44", a_txt="aaa\nbbb\nccc\nddd\n", README_md="not this\n")
    splits = splits_of(folder, valid_fraction=0.3)
    assert splits == {"train": "aaa\nbbb\n11\n22\n", "valid": "ccc\nddd\n33\n44\n"}
    assert splits_of(folder, "byte", valid_fraction=0.3)["valid"] == b"ccc\nddd\n33\n44\n"
    words = splits_of(folder, "word", valid_fraction=0.3)
    assert words["valid"] == ["ccc", "<eos>", "ddd", "<eos>", "33", "<eos>", "44", "<eos>"]
    assert read_whole(folder, Form("char")).symbols(WHOLE) == "aaa\nbbb\nccc\nddd\n11\n22\n33\n44\n"


def test_ready_made_splits_are_kept(tmp_path):
    folder = write(tmp_path, ptb_train_txt="a b\n", ptb_valid_txt="c\n", ptb_test_txt="d\n", other_txt="no\n")
    assert splits_of(folder, "word") == {
        "train": ["a", "b", "<eos>"],
        "valid": ["c", "<eos>"],
        "test": ["d", "<eos>"],
    }
    folder = write(tmp_path / "plain", train_txt="0123456789", test_txt="test")
    assert splits_of(folder, valid_fraction=0.2) == {"train": "01234567", "valid": "89", "test": "test"}
    folder = write(tmp_path / "two", a_train_txt="1", b_train_txt="2")
    with pytest.raises(DataError, match=r"several training files \(a.train.txt, b.train.txt\)"):
        read(folder)
    folder = write(tmp_path / "hole", train_txt="1", valid_txt="")
    with pytest.raises(DataError, match="is empty; expected the valid split's text"):
        read(folder)


def test_which_files_of_a_folder(tmp_path):
    folder = write(tmp_path, z_py="z", sub__a_py="a", _hidden="h", __pycache____c_py="c", picture_png=b"\x89PNG\0")
    assert [source.name for source in find_sources(folder, "*.py")] == ["sub/a.py", "z.py"]
    with pytest.raises(DataError, match=r"'picture.png' is not utf-8 text: byte 0x89 at offset 0"):
        read(folder)
    with pytest.raises(DataError, match=r"holds no file that matches '\*.rs'"):
        read(folder, pattern="*.rs")


def test_moving_a_text_does_not_change_it(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("the same text")
    two.write_text("the same text")
    assert read(one).fingerprint == read(two).fingerprint
    two.write_text("the same text.")
    assert read(one).fingerprint != read(two).fingerprint


def test_encodings(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("Grüße an alle".encode("latin-1"))
    with pytest.raises(
        DataError,
        match=r"'a.txt' is not utf-8 text: byte 0xfc at offset 2 does not fit. Name.*--encoding.*--level byte",
    ):
        read(path)
    assert splits_of(path, encoding="latin-1")["train"] == "Grüße an al"
    assert splits_of(path, "byte")["train"][2] == 0xFC
    path.write_bytes("\ufeffGrüße an alle".encode())
    assert splits_of(path)["train"] == "Grüße an al"
    path.write_bytes(b"\xef\xbb\xbfabc\xff")
    with pytest.raises(DataError, match="byte 0xff at offset 6 does not fit"):
        read(path)
    path.write_bytes("Grüße an alle".encode("utf-16"))
    with pytest.raises(DataError, match="--encoding"):
        read(path)
    assert splits_of(path, encoding="utf-16")["train"] == "Grüße an al"


def test_what_is_no_text(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(DataError, match=r"a.txt' does not exist; expected a file or a folder of text. Check --data"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"a.txt' is empty"):
        read(path)
    path.write_bytes(b"abc\0def")
    with pytest.raises(DataError, match=r"'a.txt' looks binary: there is a NUL byte at offset 3.*--level byte"):
        read(path)
    assert splits_of(path, "byte", valid_fraction=0.3) == {"train": b"abc\0", "valid": b"def"}
    path.write_bytes(b"ab")
    with pytest.raises(DataError, match="is too short: its train split has 1 chars; expected 2 or more"):
        read(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="holds no file with anything in it"):
        read(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a regular file"):
        read(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every file is readable")
def test_a_file_of_somebody_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("secret")
    path.chmod(0)
    with pytest.raises(DataError, match=r"a.txt' cannot be read \(Permission denied\)"):
        read(path)


def test_the_standard_library_is_mixed_and_always_the_same():
    corpus = read("")
    assert corpus.fingerprint == read("").fingerprint
    assert 2_000_000 < sum(map(corpus.length, corpus.splits)) <= 4_000_000
    names = [source["name"] for source in corpus.sources]
    assert len(names) > 50
    assert names != sorted(names)
    assert not [name for name in names if "/test" in name or "site-packages" in name or "idle_test" in name]
    assert str(corpus.symbols("train")).count("\n    def ") > 1000


def test_names_in_eighteen_languages(data_folder):
    corpus = read(data_folder / "names_by_language")
    assert len(corpus.sources) == 18
    splits = [str(corpus.symbols(split)) for split in corpus.splits]
    assert all(line for split in splits for line in split.splitlines())
    assert {"É", "ß", "ñ", "ż"} & set(corpus.symbols("train"))
    assert sum(split.count("\n") for split in splits) == 20_050


def test_penn_treebank_has_the_published_number_of_tokens(data_folder):
    corpus = read(data_folder / "ptb", "word")
    assert {split: corpus.length(split) for split in corpus.splits} == {
        "train": 929_589,
        "valid": 73_760,
        "test": 82_430,
    }


def test_a_nul_that_no_byte_spells(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc+AAA-def")
    with pytest.raises(DataError, match=r"'a.txt' looks binary: there is a NUL character at place 3; expected text"):
        read(path, encoding="utf-7")


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "a**/b", "a\0"])
def test_a_pattern_stays_within_its_folder(tmp_path, pattern):
    (tmp_path / "a.txt").write_text("some text\n")
    with pytest.raises(DataError) as refusal:
        read(tmp_path, pattern=pattern)
    assert str(refusal.value) in (
        f"pattern is '{printable(pattern)}'; expected one for files within the folder, such as *.py. Check --pattern.",
        f"Data '{tmp_path}' holds no file that matches '{pattern}' with anything in it; expected text. "
        "Check --data, --pattern.",  # of Python 3.13 on, 'a**' is a pattern like any other
    )


def test_a_name_too_long_for_any_file():
    with pytest.raises(DataError, match="does not exist; expected a file or a folder of text"):
        read("x" * 5000)
