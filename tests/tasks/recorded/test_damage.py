"""Tasks on recorded data: tables as they are read, and what is refused."""

import gzip
from time import process_time

import numpy as np
import pytest
from tests.tasks.recorded.tiny import CASES, each_case, load, sound, write_archive, write_heart, write_table

from gatework.data.recorded import read_table
from gatework.errors import DataError
from gatework.tasks.asking import ask_at_the_end
from gatework.tasks.generic.forecast import forecast
from gatework.tasks.recorded.agreement import agreement
from gatework.tasks.recorded.digits import spoken_digits
from gatework.tasks.recorded.forecasting import airline, ett_h1
from gatework.tasks.recorded.heartbeats import heartbeats
from gatework.tasks.recorded.mnist import mnist
from gatework.tasks.recorded.occupancy import occupancy
from gatework.tasks.recorded.polyphony import jsb_chorales
from gatework.tasks.recorded.vowels import japanese_vowels

# --- tables

TABLES = {
    "a,b\n1,2\n\n3,4\n": (("a", "b"), [[1, 2], [3, 4]], ()),
    "1;2\n3;4": (("column 1", "column 2"), [[1, 2], [3, 4]], ()),
    "day\tx\nmon\t-1e3\ntue\t.5": (("x",), [[-1000], [0.5]], ("day",)),
    '"x","y"\n"1",5,"a, b"\n"2",6,c\n': (("x",), [[5], [6]], ("y",)),
    "\ufeffx\r\n7\r\n": (("x",), [[7]], ()),
}


@pytest.mark.parametrize("text", TABLES, ids=repr)
def test_tables_are_read(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    table = read_table(path)
    assert (table.names, table.rows.tolist(), table.ignored) == TABLES[text]


NO_TABLES = {
    "": "'{path}' is empty. Expected the data in it. Download the file again.",
    "a,b\n": "'{path}' holds no line of numbers; expected a table with a column of numbers.",
    "a,b\nx,y\n": "'{path}', line 2: no field is a number; expected a column of numbers.",
    "a,b\n1,2\n3\n": "'{path}', line 3: 1 fields; expected 2 as in the first line.",
    "a,b\n1,2\n\n3,\n": "'{path}', line 4, column 'b': '' is not a number. "
    "Fill the hole, or take the line or the column out.",
    "1\nnan": "'{path}', line 2, column 'column 1': 'nan' is not a number. "
    "Fill the hole, or take the line or the column out.",
    'a\n"1': "'{path}', line 2 cannot be read (unexpected end of data). Expected CSV, with quotes that end.",
    "a\n\xe9": "'{path}' is not utf-8 text: byte 0xe9 at offset 2 does not fit. "
    "Download the file again, or save it as UTF-8.",
}


@pytest.mark.parametrize("text", NO_TABLES, ids=repr)
def test_what_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as refusal:
        read_table(path)
    assert str(refusal.value) == NO_TABLES[text].format(path=path)


# --- damaged folders: the file, what stands in it instead, and the sentence

TEN = "\n".join(["0"] * 10)


def packed(content: bytes) -> bytes:
    """A gzip file without a time stamp, so that it is the same at every reading of this source."""
    return gzip.compress(content, mtime=0)


DAMAGES = [
    (agreement, "subj_agr_filtered.gold", b"2\tis\tare\t0", "has 31 lines and '{path}' 1; expected one for each other"),
    (agreement, "subj_agr_filtered.gold", b"2 is are 0\n" * 31, "line 1: '2 is are 0'; expected place, right form"),
    (agreement, "subj_agr_filtered.gold", b"3\tis\tare\t0\n" * 31, "line 1: word 3 of the sentence is not 'is'"),
    (
        agreement,
        "subj_agr_filtered.gold",
        b"2\tis\tare\t1000000000\n" * 31,
        "line 1: '2\tis\tare\t1000000000'; expected place",
    ),
    (
        agreement,
        "subj_agr_filtered.gold",
        b"2\tis\tare\t2\n" * 31,
        "line 1: 2 attractors; expected fewer than the 2 words before the verb",
    ),
    (
        mnist,
        "train-images-idx3-ubyte.gz",
        b"png",
        "is not a whole gzip file (Not a gzipped file (b'pn')). Download it again.",
    ),
    (
        mnist,
        "train-labels-idx1-ubyte.gz",
        packed(b"\0\0\x08\x03" + bytes(9)),
        "is not an idx file of bytes in 1",
    ),
    (
        mnist,
        "t10k-labels-idx1-ubyte.gz",
        packed(b"\0\0\x08\x01\0\0\0\x06ab"),
        "says it holds (6,) bytes, and holds 2",
    ),
    (
        mnist,
        "t10k-labels-idx1-ubyte.gz",
        packed(b"\0\0\x08\x01\0\0\0\x06abcdef"),
        "has a class 102; expected 0 to 9",
    ),
    (jsb_chorales, "JSB_Chorales.json.gz", packed(b"{"), "is not JSON (Expecting property name"),
    (
        jsb_chorales,
        "JSB_Chorales.json.gz",
        packed(b'{"train": []}'),
        "is damaged: valid is missing",
    ),
    (
        jsb_chorales,
        "JSB_Chorales.json.gz",
        packed(b'{"train": [[[60], [109]]], "valid": [], "test": []}'),
        "is damaged: train.0.1.0 is 109; it should be less than 109",
    ),
    (
        jsb_chorales,
        "JSB_Chorales.json.gz",
        packed(b'{"train": [[[60]]], "valid": [], "test": []}'),
        "has no train piece of more than 1 steps. Take a smaller gap.",
    ),
    (
        spoken_digits,
        "recordings.tar.gz",
        b"tar",
        "is not a whole gzip file (Not a gzipped file (b'ta')). Download it again.",
    ),
    (japanese_vowels, "JapaneseVowels_TEST.ts", b"@data\n", "holds no case; expected lines of numbers after '@data'"),
    (
        japanese_vowels,
        "JapaneseVowels_TRAIN.ts",
        b"@classLabel true a b\n@data\n1,2:3,x:a\n",
        "line 3: could not convert string to float: 'x'; expected numbers separated by ','",
    ),
    (
        japanese_vowels,
        "JapaneseVowels_TRAIN.ts",
        b"@data\n1,2:3:a\n",
        "line 2: dimensions of [1, 2] steps; expected one",
    ),
    (japanese_vowels, "JapaneseVowels_TRAIN.ts", b"@data\n1:a\n", "line 2: class 'a' is not one of ''"),
    (occupancy, "datatest.txt", b"Light,Occupancy\n1,0\n", "has no column of numbers named Temperature, Humidity, CO2"),
    (heartbeats, "record_100.npz", b"PK", "is not an .npz file with signal, ann_sample, ann_symbol, fs"),
    (ett_h1, "ETTh1.csv", b"x\n1\n2\n", "has 2 rows; expected 14,400 or more"),
    (airline, "Airline.csv", f"x\n1\n{TEN}".encode(), "has a value of 0; expected numbers above zero only."),
    (airline, "Airline.csv", b"x\n1\n2\n", "has 2 rows; expected 61 or more"),
    (forecast, "mine.csv", b"x\n" + b"1\n" * 60, "has 60 rows, and its valid part is too short to ask 24 steps ahead"),
]


@pytest.mark.parametrize(
    ("task", "file", "content", "sentence"), DAMAGES, ids=[f"{file}: {sentence}" for _, file, _, sentence in DAMAGES]
)
def test_damaged_files_are_refused(tmp_path, task, file, content, sentence):
    next(case.write for case in CASES if case.task is task)(tmp_path)
    path = tmp_path / file
    assert path.exists()
    path.write_bytes(content)
    with pytest.raises(DataError) as refusal:
        load(task, tmp_path)
    assert sentence.format(path=path) in str(refusal.value)
    assert f"'{path}'" in str(refusal.value)


@each_case
def test_missing_and_empty_files_are_refused(case, tmp_path):
    case.write(tmp_path)
    for file in sorted(tmp_path.iterdir()):
        content = file.read_bytes()
        file.write_bytes(b"")
        if file.name.split(".")[0] == {"jsb_chorales": "Nottingham", "nottingham": "JSB_Chorales"}.get(case.task.name):
            continue
        expected = r"is empty(\. Expected the data in it\. Download the file again|; expected a table)"
        with pytest.raises(DataError, match=expected):
            load(case.task, tmp_path)
        file.unlink()
        with pytest.raises(DataError, match=r"cannot be read \(No such file|holds 0 tables; expected one"):
            load(case.task, tmp_path)
        file.write_bytes(content)


ARCHIVES = [
    ("../../etc/7_ann_1.wav", b"", "holds '../../etc/7_ann_1.wav' (0 bytes); expected nothing but files such as"),
    ("recordings/7_ann_1.wav", bytes(10**6), "(1,000,000 bytes); expected nothing but files such as"),
    (
        "recordings/7_ann_1.wav",
        b"RIFF",
        "'recordings/7_ann_1.wav' is not a wave file (it ends too early). Download it again.",
    ),
    ("recordings/7_ann_1.wav", sound(np.zeros(9), rate=16000), "1 channels of 16 bits at 16000 Hz, 18 of 18 bytes"),
    ("recordings/7_ann_1.wav", sound(np.zeros(8), channels=2), "2 channels of 16 bits at 8000 Hz"),
    (
        "recordings/7_ann_1.wav",
        sound(np.zeros(9))[:-4],
        "14 of 18 bytes; expected one channel of 16 bits at 8000 Hz",
    ),
    ("recordings/7_ann_1.wav", sound(np.zeros(9)), "has no recording for train; expected indices 0 to 49"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), ARCHIVES, ids=[sentence for *_, sentence in ARCHIVES])
def test_archives_with_anything_else_are_refused(tmp_path, name, content, sentence):
    write_archive(tmp_path, {name: content})
    with pytest.raises(DataError) as refusal:
        load(spoken_digits, tmp_path)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"fs": np.int32(250)}, "at 250 Hz; expected numbers [n, leads] of a second or more at 360 Hz"),
        ({"signal": np.zeros(6000)}, "a signal float64 (6000,) at 360 Hz"),
        ({"ann_sample": np.arange(3)}, "annotations (3,) and (22,); expected places and a mark for each."),
        ({"ann_sample": np.arange(22) + 5990}, "an annotation lies outside the 6,000 samples of the signal."),
        ({"ann_symbol": np.array([{}] * 22)}, "holds 'ann_symbol.npy', which is no array of numbers or texts"),
    ],
)
def test_other_recordings_of_hearts_are_refused(tmp_path, changed, sentence):
    write_heart(tmp_path, **changed)
    with pytest.raises(DataError) as refusal:
        load(heartbeats, tmp_path)
    assert sentence in str(refusal.value)


def test_a_folder_of_several_tables_is_refused(tmp_path):
    write_table(tmp_path)
    whole = load(forecast, tmp_path / "mine.csv").facts
    assert whole == load(forecast, tmp_path).facts
    (tmp_path / "other.csv").write_text("1")
    with pytest.raises(
        DataError, match=r"holds 2 tables \('mine.csv', 'other.csv'\); expected one. Give the file itself"
    ):
        load(forecast, tmp_path)


def test_one_long_sequence_does_not_make_the_others_as_long():
    with pytest.raises(
        DataError, match=r"^100,000 sequences, the longest of 1,000,000 steps, are 100,000,000,000 numbers"
    ):
        ask_at_the_end([np.zeros((10**6, 1)), *[np.zeros((1, 1))] * 99_999], [0] * 100_000)


def test_a_wide_table_takes_no_longer_than_its_size(tmp_path):
    def seconds(columns):
        path = tmp_path / "wide.csv"
        path.write_text("\n".join([",".join(f"c{place}" for place in range(columns)), *[",".join("7" * columns)] * 3]))
        began = process_time()
        assert read_table(path).rows.shape == (3, columns)
        return process_time() - began

    assert min(seconds(8000) for _ in range(3)) < 30 * max(0.001, min(seconds(1000) for _ in range(3)))
    (tmp_path / "wide.csv").write_text(",".join("7" * 10_001))
    with pytest.raises(DataError, match=r"wide.csv' has 10,001 columns; expected at most 10,000.$"):
        read_table(tmp_path / "wide.csv")


def test_a_forecast_of_more_numbers_than_can_be_held_is_refused(tmp_path):
    (tmp_path / "wide.csv").write_text("\n".join([",".join("7" * 9000)] * 60))
    with pytest.raises(DataError, match=r"60 rows of 9,000 numbers, which 5000 steps ahead are 2,700,000,000 answers"):
        load(forecast, tmp_path, 5000)
