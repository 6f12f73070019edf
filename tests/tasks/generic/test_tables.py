"""Tables of sequences: read by hand-made files, split the same way every time, refused in exact sentences."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.generic.walks import wav

from gatework.data.options import NO_OPTIONS
from gatework.data.own import read_own_table
from gatework.data.table import make_table, split_sequences, split_time
from gatework.data.table_arrays import read_array_table
from gatework.data.table_sounds import Features, read_sound_table
from gatework.errors import DataError

LOUDNESS = Features(lambda samples, rate: samples.abs()[:: rate // 1000, None], "one number a millisecond")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def plain(table) -> dict:
    return {
        "columns": table.columns,
        "left out": table.left_out,
        "sequences": {name: table.sequence(number).tolist() for number, name in enumerate(table.names)},
        "labels": table.labels,
    }


# --- CSV

TABLES = {
    # Rows of two sequences in turn, out of order in time; a column of texts.
    "ID,Time,x,note,Label\nb,2,1.5,p,no\na,1,3,q,yes\nb,1,-1e2,r,no\n": {
        "columns": ("x",),
        "left out": ("note",),
        "sequences": {"b": [[-100], [1.5]], "a": [[3]]},
        "labels": (("no", "no"), ("yes",)),
    },
    # No id: one recording, as it stands. Beside a label, y is read.
    "x;y;label\n1;2;a\n3;4;b\n": {
        "columns": ("x", "y"),
        "left out": (),
        "sequences": {"": [[1, 2], [3, 4]]},
        "labels": (("a", "b"),),
    },
    # Dates of ISO 8601, with and without a time zone; no labels.
    "series\ttime\tv\ns\t2026-02-01\t1\ns\t2026-01-31T23:00+00:00\t2\n": {
        "columns": ("v",),
        "left out": (),
        "sequences": {"s": [[2], [1]]},
        "labels": (),
    },
    # Nanoseconds since 1970, nearer to each other than floats are.
    "id,t,v\n1,1700000000000000001,1\n1,1700000000000000000,2\n": {
        "columns": ("v",),
        "left out": (),
        "sequences": {"1": [[2], [1]]},
        "labels": (),
    },
    # U+2028 and U+0085 end no line; a quoted name may go on in the next one.
    'id,x\na\u2028b,1\n"c\nd",2\ne\x85,3\n': {
        "columns": ("x",),
        "left out": (),
        "sequences": {"a\u2028b": [[1]], "c\nd": [[2]], "e": [[3]]},
        "labels": (),
    },
    # 10 comes after 9, as numbers do.
    "id,t,v,y\n1,10,1,0\n1,9,2,0\n": {
        "columns": ("v",),
        "left out": (),
        "sequences": {"1": [[2], [1]]},
        "labels": (("0", "0"),),
    },
}


@pytest.mark.parametrize("text", TABLES, ids=repr)
def test_tables_are_read(tmp_path, text):
    table = read_own_table(write(tmp_path, {"my.csv": text.encode()}) / "my.csv", NO_OPTIONS, True)
    assert plain(table) == TABLES[text]
    assert table.steps.dtype == torch.float64
    assert table.lengths.dtype == torch.int64
    assert table.steps.shape == (int(table.lengths.max()), table.size, len(table.columns))
    beyond = torch.arange(len(table.steps))[:, None] >= table.lengths
    assert not table.steps[beyond].any()


def test_what_was_taken_is_said(tmp_path):
    text = "sequence,step,a,b,when,class\np,1,1,2,noon,x\np,2,1,2,noon,x\nq,1,1,2,noon,x\n"
    assert read_own_table(write(tmp_path, {"my.csv": text.encode()}) / "my.csv", NO_OPTIONS, True).about == (
        "table: 2 sequences, one for each 'sequence', 1 to 2 steps",
        "columns: a, b; time: step (1 to 2); labels: class; left out: when (text in 3 of 3 rows)",
        "read as: ',' between fields",
    )


WAYS = (
    "Say what to do with --missing: drop (leave these rows out), previous (fill with the value before), interpolate "
    "(between the values before and after) or mean (of the column); or choose other columns with --columns."
)
TIMES = (
    "expected numbers, or dates such as 2026-01-31 or 31.01.2026 12:00. Name another column with --time, or rename "
    "this one."
)
NO_TABLES = {
    "": "'{path}' is empty; expected a table.",
    "\n\n": "'{path}' holds no rows; expected a table with numbers.",
    "x,x\n1,2\n": "'{path}' has two columns named 'x': each column needs a name of its own.",
    "id,x\n": "'{path}' has a header and no rows.",
    "id,x\na,1\n\nb\n": "'{path}', line 4 has 1 fields, and the header has 2.",
    "id,x\na,1\nb,one\n": "'{path}', line 3, column 'x': 'one' is not a number, and 1 of 2 fields are. Correct it, or "
    "choose other columns with --columns.",
    "id,x\na,1\nb,nan\n": "'{path}' has a hole in column 'x' (line 3). " + WAYS,
    "id,x,y2\na,,1\nb,2,1\n": "'{path}' has a hole in column 'x' (line 2). " + WAYS,
    "id,x\na,1\n ,2\n": "'{path}', line 3, column 'id': the id is empty. Fill it, or take the row out.",
    "id,x,label\na,1,\n": "'{path}', line 2, column 'label': the label is empty. Fill it, or take the row out.",
    "id,label,note\na,1,b\n": "'{path}' has no column of numbers to read, beside those of the id, the time and the "
    "label. 'note' is left out (text in 1 of 1 rows).",
    "label,x,Class\na,1,b\n": "'{path}' has the columns 'label' and 'Class', and each could be the label. Say which "
    "with --target.",
    "id,series,x\na,1,2\n": "'{path}' has the columns 'id' and 'series', and each could be the id. Say which "
    "with --id.",
    "id,time,x\na,3,1\nb,3,1\na,3.0,1\n": "'{path}', line 4, column 'time': the time is that of line 2, and 1 of 3 "
    "times are repeated. Each row of a sequence needs a time of its own.",
    "time,x\n1,1\nnoon,1\n": "'{path}', line 3, column 'time': 'noon' is not a time; " + TIMES,
    "t,x\n1,1\ninf,1\n": "'{path}', line 3, column 't': 'inf' is not a time; " + TIMES,
}


@pytest.mark.parametrize("text", NO_TABLES, ids=repr)
def test_what_is_no_table_is_refused(tmp_path, text):
    path = write(tmp_path, {"my.csv": text.encode()}) / "my.csv"
    with pytest.raises(DataError) as refusal:
        read_own_table(path, NO_OPTIONS, True)
    assert str(refusal.value) == NO_TABLES[text].format(path=path)


def test_a_table_that_is_too_wide_is_refused_before_its_names_are_compared(tmp_path):
    path = write(tmp_path, {"my.csv": b",".join([b"x"] * 20_000) + b"\n1\n"}) / "my.csv"
    with pytest.raises(DataError, match="has 20,000 columns, and at most 10,000 are taken"):
        read_own_table(path, NO_OPTIONS, True)


# --- arrays

READ = np.arange(24.0).reshape(2, 4, 3)
ARRAYS: dict[str, Any] = {
    "padded": ({"X": READ, "y": np.array([1, 0])}, [READ[0], READ[1]], (("1",), ("0",))),
    "padded, with lengths": (
        {"X": READ.astype(np.float32), "lengths": np.array([1, 4]), "y": np.array([["a", "", "", ""], ["b"] * 4])},
        [READ[0, :1], READ[1]],
        (("a",), ("b",) * 4),
    ),
    "one number a step": (
        {"X": np.array([[1, 2], [3, 4], [5, 6]]), "y": np.array([0.5, 1.5, 2.5])},
        [[[1], [2]], [[3], [4]], [[5], [6]]],
        (("0.5",), ("1.5",), ("2.5",)),
    ),
    "one behind the other": (
        {"X": READ.reshape(8, 3), "lengths": np.array([3, 5]), "y": np.arange(8) % 2},
        [READ.reshape(8, 3)[:3], READ.reshape(8, 3)[3:]],
        (("0", "1", "0"), ("1", "0", "1", "0", "1")),
    ),
    "without labels": ({"X": READ}, [READ[0], READ[1]], ()),
}


@pytest.mark.parametrize("form", ["npz", "folder"])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read(tmp_path, name, form):
    arrays, sequences, labels = ARRAYS[name]
    path = tmp_path / "my.npz" if form == "npz" else tmp_path
    if form == "npz":
        np.savez(path, **arrays)
    else:
        for array, values in arrays.items():
            np.save(tmp_path / f"{array}.npy", values)
    table = read_array_table(path)
    assert [table.sequence(number).tolist() for number in range(table.size)] == [
        np.array(s).tolist() for s in sequences
    ]
    assert table.labels == labels
    assert table.names == tuple(str(number) for number in range(len(sequences)))


NO_ARRAYS: dict[str, dict[str, Any]] = {
    "'{path}' has no array named X, which holds what is read.": {"y": np.zeros(2)},
    "'{path}': X is <U1 of shape (2, 1); expected numbers [N, T, F], [N, T] or [total, F].": {
        "X": np.array([["a"]] * 2)
    },
    "'{path}': X is float64 of shape (2,); expected numbers [N, T, F], [N, T] or [total, F].": {"X": np.zeros(2)},
    "'{path}': X holds a value that is not finite, in sequence 1.": {"X": np.array([[1.0], [np.inf]])},
    "'{path}': lengths are int64 of shape (2,); expected numbers above 0 [N].": {
        "X": READ,
        "lengths": np.array([4, 0]),
    },
    "'{path}': X has shape (2, 4, 3), which 2 lengths do not fit: the largest is 5, and their sum 6.": {
        "X": READ,
        "lengths": np.array([1, 5]),
    },
    "'{path}': X has shape (5, 2), which 3 lengths do not fit: the largest is 9,223,372,036,854,775,807, and their sum "
    "18,446,744,073,709,551,621.": {"X": np.zeros((5, 2)), "lengths": np.array([2**63 - 1, 2**63 - 1, 7])},
    "'{path}': y is float64 of shape (3,); expected numbers or texts of shape (2,), one of each sequence, or (2, 4), "
    "one for each step.": {"X": READ, "y": np.zeros(3)},
    "'{path}': y holds a label that is empty or not finite.": {"X": READ, "y": np.array([np.nan, 1])},
}


@pytest.mark.parametrize("sentence", NO_ARRAYS)
def test_other_arrays_are_refused(tmp_path, sentence):
    path = tmp_path / "my.npz"
    np.savez(path, **NO_ARRAYS[sentence])
    with pytest.raises(DataError) as refusal:
        read_array_table(path)
    assert str(refusal.value) == sentence.format(path=path)


def test_arrays_of_objects_and_broken_files_are_refused(tmp_path):
    np.save(tmp_path / "X.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"holds 'X.npy', which is no array of numbers or texts.$"):
        read_array_table(tmp_path)
    np.savez(tmp_path / "my.npz", X=READ)
    whole = (tmp_path / "my.npz").read_bytes()
    (tmp_path / "my.npz").write_bytes(whole[:-40])
    with pytest.raises(DataError, match=r"my.npz' is not an .npz file \("):
        read_array_table(tmp_path / "my.npz")
    np.save(tmp_path / "X.npy", READ)
    (tmp_path / "X.npy").write_bytes((tmp_path / "X.npy").read_bytes()[:-8])
    with pytest.raises(DataError, match=r"says that 'X.npy' is float64 \(2, 4, 3\), and it has 184 bytes.$"):
        read_array_table(tmp_path)


# --- folders of WAV files

SOUNDS = {"cat/one.wav": wav(np.full(80, 0.25)), "dog/two.WAV": wav(np.full(160, -0.5)), "dog/notes.txt": b"loud"}


def test_sub_folders_are_classes(tmp_path):
    table = read_sound_table(write(tmp_path, SOUNDS), LOUDNESS)
    assert plain(table) == {
        "columns": ("band 1",),
        "left out": (),
        "sequences": {"cat/one.wav": [[0.125]] * 10, "dog/two.WAV": [[0.25]] * 20},
        "labels": (("cat",), ("dog",)),
    }
    assert table.about == (
        "table: 2 WAV files at 8,000 samples a second, 10 to 20 steps",
        "columns: one number a millisecond; labels are called by the folders that they lie in",
    )


def test_a_list_names_files_and_labels(tmp_path):
    write(tmp_path, SOUNDS | {"labels.csv": b"file,label\ndog/two.WAV,2.5\n"})
    table = read_sound_table(tmp_path, LOUDNESS)
    assert (table.names, table.labels) == (("dog/two.WAV",), (("2.5",),))


NO_SOUNDS = {
    "'{path}/dog/a.wav' has 2 channels of 16 bits at 8,000 samples a second; expected one channel of 16 bits, at 1,000 "
    "to 384,000.": {"dog/a.wav": wav(np.zeros(8), channels=2)},
    "'{path}/dog/a.wav' has 1 channel of 16 bits at 2,000,000,000 samples a second; expected one channel of 16 bits, "
    "at 1,000 to 384,000.": {"dog/a.wav": wav(np.zeros(8), rate=2_000_000_000)},
    "'{path}/cat/one.wav' 8,000 and '{path}/dog/a.wav' 16,000 samples a second: all recordings need the same rate.": {
        "dog/a.wav": wav(np.zeros(8), rate=16000)
    },
    "'{path}/dog/a.wav' is cut off, or has no samples.": {"dog/a.wav": wav(np.zeros(8))[:-2]},
    "'{path}/a.wav' lies in no sub-folder; expected sub-folders named by class, or a labels.csv with the columns file "
    "and label.": {"a.wav": wav(np.zeros(8))},
    "'{path}/labels.csv' needs a column file and a column label.": {"labels.csv": b"file,kind\na.wav,x\n"},
    "'{path}/labels.csv', line 2: '../a.wav' does not lie in '{path}'.": {"labels.csv": b"file,label\n../a.wav,x\n"},
    "'{path}/labels.csv', line 3: 'cat/one.wav' is listed twice.": {
        "labels.csv": b"file,label\ncat/one.wav,x\ncat/one.wav,y\n"
    },
    "'{path}/cat/none.wav' cannot be read (No such file or directory). It is named in labels.csv.": {
        "labels.csv": b"file,label\ncat/none.wav,x\n"
    },
}


@pytest.mark.parametrize("sentence", NO_SOUNDS)
def test_other_recordings_are_refused(tmp_path, sentence):
    write(tmp_path, SOUNDS | NO_SOUNDS[sentence])
    with pytest.raises(DataError) as refusal:
        read_sound_table(tmp_path, LOUDNESS)
    assert str(refusal.value) == sentence.format(path=tmp_path)


# --- splits and scales


def test_recordings_that_would_be_left_out_are_refused_or_counted(tmp_path):
    sound = wav(np.ones(8))
    write(tmp_path / "deep", {"cat/a.wav": sound, "cat/old/b.wav": sound})
    with pytest.raises(DataError, match="cat/old' holds WAV files and lies too deep; expected one level"):
        read_sound_table(tmp_path / "deep", LOUDNESS)
    write(tmp_path / "odd", {"cat/a.wav": sound, "cat/\udcff.wav": sound})
    with pytest.raises(DataError, match="has a name that is not UTF-8: rename it"):
        read_sound_table(tmp_path / "odd", LOUDNESS)
    write(tmp_path / "some", {"a.wav": sound, "b.wav": sound, "labels.csv": b"file,label\n./a.wav,1\n"})
    table = read_sound_table(tmp_path / "some", LOUDNESS)
    assert table.names == ("a.wav",)
    assert "WAV files that are not listed, and not read: 1" in table.about[1]
    (tmp_path / "some" / "labels.csv").write_text("file,label\na.wav,1\n./a.wav,1\n")
    with pytest.raises(DataError, match=r"line 3: './a.wav' is listed twice"):
        read_sound_table(tmp_path / "some", LOUDNESS)


def test_a_sequence_goes_where_its_name_says():
    names = [f"walk {number}" for number in range(60)]
    parts = split_sequences(names)
    assert {split: len(numbers) for split, numbers in parts.items()} == {"train": 42, "valid": 6, "test": 12}
    assert sorted(number for numbers in parts.values() for number in numbers) == list(range(60))
    turned = split_sequences(names[::-1])
    for split, numbers in parts.items():
        assert {names[number] for number in numbers} == {names[::-1][number] for number in turned[split]}
    # A run is resumed with the split that it began with, whatever version resumes it: the hash stays what it is.
    mixed = sorted(names, key=lambda name: sha256(b"gatework table 0\0" + name.encode()).digest())
    assert {names[number] for number in parts["valid"]} == set(mixed[42:48])


@pytest.mark.parametrize(("frequent", "rare"), [(50, 10), (90, 10), (7, 3)])
def test_every_split_has_its_share_of_a_class(frequent, rare):
    strata = ["frequent"] * frequent + ["rare"] * rare
    parts = split_sequences([str(number) for number in range(len(strata))], strata)
    for numbers in parts.values():
        share = len(numbers) / len(strata)
        assert abs(sum(strata[number] == "rare" for number in numbers) - share * rare) <= 1


def test_the_only_one_of_its_class_is_learned():
    parts = split_sequences([str(number) for number in range(30)], ["many"] * 29 + ["one"])
    assert 29 in parts["train"]
    assert {split: len(numbers) for split, numbers in split_sequences("abc").items()} == {
        "train": 1,
        "valid": 1,
        "test": 1,
    }


def test_time_is_cut_in_tenths():
    assert split_time(100) == (70, 80, 100)
    assert split_time(19) == (13, 15, 19)


def test_scaling_leaves_what_lies_beyond_the_end():
    table = make_table([np.array([[1.0], [3.0]]), np.array([[5.0]])], ["x"], ["a", "b"])
    scaled = table.scaled(np.array([2.0]), np.array([0.5]))
    assert scaled.steps[..., 0].T.tolist() == [[-2, 2], [6, 0]]


def test_one_long_sequence_does_not_make_the_others_as_long():
    with pytest.raises(DataError) as refusal:
        make_table([np.zeros((2**16, 1)), *[np.zeros((1, 1))] * 2**15], ["x"], [""] * (2**15 + 1), source="my.csv")
    assert str(refusal.value) == (
        "'my.csv' has 32,769 sequences, the longest of 65,536 steps of 1 numbers. Padded to the longest they are "
        "2,147,549,184 numbers, and at most 1,073,741,824 are taken. Take the longest sequences out."
    )
