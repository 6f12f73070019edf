"""The generic tasks: what is asked follows from the file, what is refused, and what a model learns."""

import csv
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.tasks.generic.walks import sign_of_first, sum_so_far, twice_the_first, wav, write_walks

from gatework.errors import DataError
from gatework.search import compare
from gatework.search.comparing.config import make_compare_config
from gatework.tasks.generic.classify import classify
from gatework.tasks.generic.forecast import forecast
from gatework.tasks.generic.regress import regress
from gatework.tasks.generic.tag import tag
from gatework.tasks.task import Batch, Recorded, Recording, Task
from gatework.training import evaluate, train
from gatework.training.config import make_config
from gatework.training.jobs.registry import open_job

SPLITS = ("train", "valid", "test")


def load(task: Task, path: Path, gap: int | None = None) -> Recording:
    assert isinstance(task.examples, Recorded)
    return task.examples.load(path, task.check_gap(gap))


def walks(path: Path) -> dict[str, list[dict[str, str]]]:
    """Read the file again, by nothing of ours."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
        found.setdefault(row["id"], []).append(row)
    return {name: sorted(rows, key=lambda row: int(row["t"])) for name, rows in found.items()}


def columns(batch: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each sequence what is read and what is asked, up to its end."""
    assert batch.lengths is not None
    return [
        (batch.inputs[:length, column].numpy(), batch.targets[:length, column].numpy())
        for column, length in enumerate(batch.lengths.tolist())
    ]


def by_content(recording: Recording, path: Path, blank: int = 0) -> dict[str, tuple[str, np.ndarray]]:
    """Tell by what it reads which sequence is which: of each its split, and what is asked of it."""
    mean, deviation = (np.array(recording.facts[name]) for name in ("mean", "deviation"))
    told = {
        name: ((np.array([[float(row["a"]), float(row["b"])] for row in rows]) - mean) / deviation).astype(np.float32)
        for name, rows in walks(path).items()
    }
    found = {}
    for split in SPLITS:
        for read, asked in columns(recording.splits[split]):
            length = len(read) - blank
            assert not read[length:].any()
            same = [
                name for name, own in told.items() if own.shape == (length, 2) and np.array_equal(own, read[:length])
            ]
            assert len(same) == 1
            found[same[0]] = split, asked
    assert found.keys() == told.keys()
    return found


def check_scale(recording: Recording) -> None:
    read = np.concatenate([read for read, _ in columns(recording.splits["train"])]).astype(np.float64)
    assert np.abs(read.mean(axis=0)).max() < 1e-6
    assert np.abs(read.std(axis=0) - 1).max() < 1e-6


# --- what is asked


@pytest.mark.parametrize("blank", [0, 3])
def test_classes_are_asked_at_the_end(tmp_path, blank):
    path = write_walks(tmp_path / "my.csv", sign_of_first)
    recording = load(classify, path, blank)
    classes = recording.facts["classes"]
    assert classes == ["down", "up"]
    for name, (_, asked) in by_content(recording, path, blank).items():
        assert (asked[:-1] == -100).all()
        assert classes[asked[-1]] == walks(path)[name][0]["label"]
    assert [recording.splits[split].size for split in SPLITS] == [42, 6, 12]
    if not blank:
        check_scale(recording)


def test_numbers_are_asked_at_the_end_in_units_of_their_own(tmp_path):
    path = write_walks(tmp_path / "my.csv", twice_the_first)
    recording = load(regress, path)
    check_scale(recording)
    answer = recording.facts["answer"]
    told = {name: float(rows[0]["label"]) for name, rows in walks(path).items()}
    learned = []
    for name, (split, asked) in by_content(recording, path).items():
        assert np.isnan(asked[:-1]).all()
        assert float(asked[-1, 0]) * answer["deviation"] + answer["mean"] == pytest.approx(told[name], abs=1e-5)
        learned += [told[name]] if split == "train" else []
    assert (answer["mean"], answer["deviation"]) == pytest.approx((np.mean(learned), np.std(learned)))
    tested = [float(asked[-1, 0]) ** 2 for _, asked in columns(recording.splits["test"])]
    assert recording.facts["chance"]["loss"] == pytest.approx(np.mean(tested), rel=1e-5)


@pytest.mark.parametrize("delay", [0, 2])
def test_labels_are_asked_at_every_step(tmp_path, delay):
    path = write_walks(tmp_path / "my.csv", sum_so_far)
    recording = load(tag, path, delay)
    classes = recording.facts["classes"]
    for name, (_, asked) in by_content(recording, path, delay).items():
        assert (asked[:delay] == -100).all()
        assert [classes[place] for place in asked[delay:]] == [row["label"] for row in walks(path)[name]]


def test_one_recording_is_cut_in_time(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("x,label\n" + "".join(f"{row},{row % 3}\n" for row in range(200)), encoding="utf-8")
    recording = load(tag, path)
    deviation, mean = recording.facts["deviation"][0], recording.facts["mean"][0]
    rows = {
        split: [round(float(x) * deviation + mean) for read, _ in columns(recording.splits[split]) for x in read[:, 0]]
        for split in SPLITS
    }
    assert rows == {"train": list(range(140)), "valid": list(range(140, 160)), "test": list(range(160, 200))}
    for split in SPLITS:
        asked = [int(place) for _, asked in columns(recording.splits[split]) for place in asked]
        assert asked == [row % 3 for row in rows[split]]
    assert recording.facts["about"][3] == "cut: the recording is cut into sequences of 11 steps"


def test_the_trivial_predictor_answers_what_is_most_frequent_in_training(tmp_path):
    path = write_walks(tmp_path / "my.csv", lambda so_far, first: "rare" if first > 0.8 else "frequent")
    recording = load(classify, path)
    answers = {
        split: [recording.facts["classes"][int(asked[-1])] for _, asked in columns(recording.splits[split])]
        for split in SPLITS
    }
    favourite = Counter(answers["train"]).most_common(1)[0][0]
    assert recording.facts["chance"]["accuracy"] == answers["test"].count(favourite) / len(answers["test"])
    assert {recording.facts["classes"][batch.baseline or 0] for batch in recording.splits.values()} == {favourite}
    assert recording.facts["about"][-1] == "classes: 2; the most frequent one is 'frequent'"


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    path = write_walks(tmp_path / "my.csv", lambda so_far, first: 10 if first > 0 else 9)
    assert load(classify, path).facts["classes"] == ["9", "10"]


@pytest.mark.parametrize("task", [classify, regress, tag], ids=lambda task: task.name)
def test_the_order_of_the_file_does_not_matter(tmp_path, task):
    answer = {"classify": sign_of_first, "regress": twice_the_first, "tag": sum_so_far}[task.name]
    path = write_walks(tmp_path / "my.csv", answer)
    first = by_content(load(task, path), path)
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *lines[::-1]]), encoding="utf-8")
    second = by_content(load(task, path), path)
    assert {name: split for name, (split, _) in first.items()} == {name: split for name, (split, _) in second.items()}


def test_several_series_are_forecast_each_from_its_own_past(tmp_path):
    path = tmp_path / "my.csv"
    rng = np.random.default_rng(1)
    series = {"p": rng.normal(size=(120, 2)).cumsum(axis=0), "q": 50 + rng.normal(size=(90, 2)).cumsum(axis=0)}
    rows = [(name, step, *numbers[step]) for name, numbers in series.items() for step in range(len(numbers))]
    lines = [",".join(map(repr, map(float, row[1:]))) + f",{row[0]}" for row in rows]
    path.write_text("time,a,b,series\n" + "\n".join(lines[place] for place in rng.permutation(len(rows))))
    recording = load(forecast, path, 2)
    assert (recording.inputs, recording.outputs, recording.facts["series"]) == (2, 4, 2)
    cuts = {name: (0, len(x) * 7 // 10, len(x) * 8 // 10, len(x)) for name, x in series.items()}
    learned = np.concatenate([numbers[: cuts[name][1]] for name, numbers in series.items()])
    scaled = {name: (numbers - learned.mean(axis=0)) / learned.std(axis=0) for name, numbers in series.items()}
    context = recording.facts["context"]
    for place, split in enumerate(SPLITS):
        told = [
            (numbers[origin], (numbers[origin + 1 : origin + 3] - numbers[origin]).ravel())
            for name, numbers in scaled.items()
            for origin in range(max(cuts[name][place], context) - 1, cuts[name][place + 1] - 2)
        ]
        found = [
            (read[step], asked[step])
            for read, asked in columns(recording.splits[split])
            for step in range(len(read))
            if not np.isnan(asked[step]).any()
        ]
        assert len(found) == len(told)
        for (read, asked), (own_read, own_asked) in zip(found, told, strict=True):
            np.testing.assert_allclose(read, own_read, atol=1e-5)
            np.testing.assert_allclose(asked, own_asked, atol=1e-5)


def test_series_too_short_to_be_asked_are_named(tmp_path):
    path = tmp_path / "my.csv"
    lengths = {"p": 120, "q": 8, "r": 90}
    path.write_text("id,x\n" + "".join(f"{name},{row % 7}\n" for name, rows in lengths.items() for row in range(rows)))
    about = load(forecast, path, 4).facts["about"]
    assert about[3:4] == ["too short to ask 4 rows ahead, and left out: 'q'"]


def test_a_number_of_the_row_is_no_series(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("id,x\n" + "".join(f"{row},{row * row % 7}\n" for row in range(300)))
    recording = load(forecast, path, 3)
    assert recording.facts["columns"] == ["x"]
    assert recording.facts["about"] == [
        "table: one series, 300 steps",
        "columns: x; left out: id (numbers of rows)",
        "read as: ',' between fields",
        "season: 7 rows, found by the autocorrelation of the training part",
    ]


# --- what is refused

ONE_EACH = "id,x,label\n" + "".join(f"{number},{number},{number % 2}\n" for number in range(9))
# The number of nine that is in the test, with the power of ten that makes it too large for the others' scale.
TESTED = {2: 300}
REFUSED = [
    (
        classify,
        "id,x\na,1\nb,2\n",
        "'{path}' has no labels: task 'classify' needs them in a column named label, class, target or y, or in an "
        "array named y.",
    ),
    (
        classify,
        "x,label\n1,a\n2,b\n",
        "'{path}' has no column named id, sequence or series: task 'classify' needs one to tell the sequences apart.",
    ),
    (
        classify,
        "id,x,label\na,1,up\na,2,down\n",
        "'{path}': sequence 'a' has the labels 'up' and 'down', and task 'classify' asks for one label of each "
        "sequence. For a label at every step take --task tag.",
    ),
    (
        classify,
        "id,x,label\na,1,up\nb,2,up\nc,3,up\n",
        "'{path}' has the label 'up' only; expected two classes or more.",
    ),
    (
        classify,
        "id,x,label\na,1,1.5\nb,2,2.5\nc,3,0.5\n",
        "'{path}' has 3 different labels, and 3 in all: these are no classes. For numbers take --task regress.",
    ),
    (
        regress,
        "id,x,label\na,1,1.5\nb,2,high\nc,3,0.5\n",
        "'{path}': sequence 'b' has the label 'high', which is not a number. For classes take --task classify.",
    ),
    (
        regress,
        "id,x,label\na,1,1\nb,2,2\n",
        "'{path}' has 2 sequences; expected three or more, one each for training, validation and test.",
    ),
    (
        regress,
        "id,x,label\na,1,2\nb,2,2\nc,3,2\n",
        "'{path}': all training sequences have the number 2; expected different numbers.",
    ),
    (
        classify,
        "id,x,label\n" + "".join(f"{number},{number}e{TESTED.get(number, 0)},{number % 2}\n" for number in range(9)),
        "'{path}' holds numbers too large to be standardised.",
    ),
    (
        regress,
        "id,x,y\n" + "".join(f"{number},1,{number}e{TESTED.get(number, 0)}\n" for number in range(9)),
        "'{path}': the numbers are too large to be standardised.",
    ),
    (
        tag,
        "x,label\n" + "".join(f"{row * row}e{row // 29 * 200},{row % 3}\n" for row in range(30)),
        "'{path}' holds numbers too large to be standardised.",
    ),
    (
        classify,
        "id,x,label\na,1,0\nb,2,nan\nc,3,0\nd,4,1\n",
        "'{path}': the label 'nan' stands among numbers, and is none.",
    ),
    (
        classify,
        "id,x,label\na,1,1\nb,2,1.0\nc,3,2\nd,4,1\n",
        "'{path}' has the labels '1' and '1.0', which are one number. Write them alike.",
    ),
    (
        forecast,
        "x\n" + "1\n2\n" * 300 + "1e200\n",
        "'{path}' holds numbers too large to be standardised.",
    ),
    (
        forecast,
        "x,z\n,1\n" + "2,3\n" * 300,
        "'{path}' has a hole in column 'x' (line 2). Say what to do with --missing: drop (leave these rows out), "
        "previous (fill with the value before), interpolate (between the values before and after) or mean "
        "(of the column); or choose other columns with --columns.",
    ),
    (
        tag,
        "x,label\n1,a\n2,b\n3,a\n",
        "'{path}' has 3 rows, too few to split into training, validation and test; expected ten or more.",
    ),
]


@pytest.mark.parametrize("task", [classify, regress, tag], ids=lambda task: task.name)
def test_a_gap_too_long_to_be_held_is_refused(tmp_path, task):
    (tmp_path / "my.csv").write_text("id,x,label\n" + "".join(f"{n},{n},{n % 2}\n" for n in range(9)))
    with pytest.raises(DataError, match="numbers side by side; expected at most 1,073,741,824"):
        load(task, tmp_path / "my.csv", 10**9)


@pytest.mark.parametrize(("task", "text", "sentence"), REFUSED, ids=[sentence for *_, sentence in REFUSED])
def test_what_a_task_cannot_ask_is_refused(tmp_path, task, text, sentence):
    path = tmp_path / "my.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        load(task, path)
    assert str(refusal.value) == sentence.format(path=path)


def test_one_label_of_each_sequence_does_for_no_tags(tmp_path):
    np.savez(tmp_path / "my.npz", X=np.zeros((5, 4, 1)), y=np.arange(5) % 2)
    sentence = (
        f"'{tmp_path}/my.npz': sequence '0' has 4 steps and 1 label: task 'tag' takes one for every step. For one "
        "label of each sequence take --task classify."
    )
    with pytest.raises(DataError, match=f"^{re.escape(sentence)}$"):
        load(tag, tmp_path / "my.npz")


# --- what a model learns

SMALL = {"hidden_size": 12, "batch_size": 8, "learning_rate": 1e-2, "dropout": 0.0, "threads": 1, "cell": "gru"}


@pytest.fixture
def configure(tmp_path):
    def configured(run="run", **changes):
        return make_config(SMALL | {"run": str(tmp_path / run)} | changes)

    return configured


@pytest.mark.parametrize(
    ("task", "answer", "steps"),
    [("classify", sign_of_first, 150), ("tag", sum_so_far, 150), ("regress", twice_the_first, 200)],
)
def test_what_can_be_learned_is_learned(configure, tmp_path, task, answer, steps):
    data = write_walks(tmp_path / "my.csv", answer, count=250)
    result = train(configure(task=task, data=str(data), steps=steps))
    found = evaluate(str(result.run), split="test")
    assert found.solved
    assert found.chance["skill"] == 0
    assert found.metrics["skill"] > 0.5
    assert found.metrics["skill"] == pytest.approx(
        1 - found.metrics["loss"] / found.chance["loss"]
        if task == "regress"
        else 1 - (1 - found.metrics["accuracy"]) / (1 - found.chance["accuracy"]),
        rel=1e-4,
    )


def test_labels_that_mean_nothing_are_not_learned(configure, tmp_path):
    rng = np.random.default_rng(5)
    coins: dict[float, str] = {}
    data = write_walks(
        tmp_path / "my.csv", lambda so_far, first: coins.setdefault(first, "ab"[rng.integers(2)]), count=300
    )
    result = train(configure(task="classify", data=str(data), steps=60))
    assert not evaluate(str(result.run), split="test").solved


def test_what_was_taken_is_said_before_training(configure, tmp_path):
    data = write_walks(tmp_path / "my.csv", sign_of_first)
    about = open_job(configure(task="classify", data=str(data))).about()
    assert about[1:] == [
        "solved at skill of at least 0.1; the best trivial predictor (most frequent class) gets 0",
        "sequences: 42 train, 6 valid, 12 test",
        "table: 60 sequences, one for each 'id', 3 to 8 steps",
        "columns: a, b; time: t (steps of 1, 0 to 7); labels: label",
        "read as: ',' between fields",
        about[-1],
    ]
    assert about[-1].startswith("classes: 2; the most frequent one is '")


def test_recordings_are_told_apart_by_their_pitch(configure, tmp_path):
    rng = np.random.default_rng(3)
    for name, pitch in (("low", 400), ("high", 1600)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for number in range(15):
            tone = np.sin(2 * np.pi * pitch * np.arange(1200 + 80 * (number % 3)) / 8000 + number)
            noisy = 0.3 * tone + 0.05 * rng.normal(size=len(tone))
            (tmp_path / "tones" / name / f"{number}.wav").write_bytes(wav(noisy))
    result = train(configure(task="classify", data=str(tmp_path / "tones"), steps=30, batch_size=7))
    found = evaluate(str(result.run), split="test")
    assert (found.metrics["accuracy"], found.solved) == (1, True)


def test_two_cells_are_compared_on_a_table(tmp_path):
    data = write_walks(tmp_path / "my.csv", sign_of_first)
    told = {"task": "classify", "data": str(data), "cells": "rnn,gru", "gaps": "0", "seeds": 1, "steps": 10}
    told |= {"learning_rates": "0.01", "hidden_size": 6, "workers": 1, "run": str(tmp_path / "run")}
    found = compare(make_compare_config(told))
    test = load(classify, data).splits["test"]
    wrong = sum(answer != test.baseline for answer in test.targets[test.asked].tolist())
    for cell in ("rnn", "gru"):
        (skill,) = found.summary[cell, 0].values
        assert skill is not None
        # The criterion's metric is the skill: it counts whole answers, against those that the baseline gets wrong.
        assert (1 - skill) * wrong == pytest.approx(round((1 - skill) * wrong))
