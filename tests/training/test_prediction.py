"""Predictions for new tables: classes, tags and numbers, with labels or without."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.tasks.generic.walks import sign_of_first, sum_so_far, twice_the_first, write_walks

from gatework.cli.app import run as gatework
from gatework.errors import DataError, RunError
from gatework.training import evaluate, train
from gatework.training.config import make_config
from gatework.training.jobs.registry import open_job
from gatework.training.prediction import predict

ANSWERS = {"classify": sign_of_first, "regress": twice_the_first, "tag": sum_so_far}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each task, with the table it was trained on."""
    folder, found = tmp_path_factory.mktemp("predictions"), {}
    for task, answer in ANSWERS.items():
        data = write_walks(folder / f"{task}.csv", answer)
        told = {"task": task, "data": str(data), "steps": 30, "hidden_size": 8, "batch_size": 8, "dropout": 0.0}
        train(make_config(told | {"gap": 1, "run": str(folder / task)}))
        found[task] = folder / task, data
    return found


def without(path: Path, column: str, to: Path) -> Path:
    """Copy a table without one of its columns."""
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    names = [name for name in rows[0] if name != column]
    to.write_text("\n".join([",".join(names), *(",".join(row[name] for name in names) for row in rows)]))
    return to


def test_classes_are_those_that_the_measurement_counts(runs):
    """The accuracy on all sequences is that of the three splits together."""
    run, data = runs["classify"]
    found = predict(run, data)
    measured = [evaluate(str(run), split=split) for split in ("train", "valid", "test")]
    right = sum(one.metrics["accuracy"] * one.tokens for one in measured)
    assert found.score["accuracy"] == pytest.approx(right / 60)
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(60))
    assert set(found.answers) <= set(found.classes) == {"up", "down"}
    assert [name for name, *_ in found.names] == list(dict.fromkeys(name for name, *_ in found.names))
    assert found.trivial["accuracy"] >= 0.5


def test_tags_are_those_that_the_measurement_counts(runs):
    run, data = runs["tag"]
    found = predict(run, data)
    measured = [evaluate(str(run), split=split) for split in ("train", "valid", "test")]
    right = sum(one.metrics["accuracy"] * one.tokens for one in measured)
    assert len(found.answers) == sum(one.tokens for one in measured)
    assert found.score["accuracy"] == pytest.approx(right / len(found.answers))


def test_numbers_have_the_unit_of_the_labels(runs):
    run, data = runs["regress"]
    found = predict(run, data)
    facts = open_job(make_config({"task": "regress", "data": str(data), "gap": 1})).facts()
    deviation = facts["facts"]["answer"]["deviation"]
    measured = [evaluate(str(run), split=split) for split in ("train", "valid", "test")]
    squares = sum(one.metrics["loss"] * one.tokens for one in measured) / 60
    assert found.score["root_mean_squared_error"] == pytest.approx(squares**0.5 * deviation, rel=1e-5)
    assert found.classes == ()
    assert np.isfinite(found.answers).all()


@pytest.mark.parametrize("task", ANSWERS)
def test_labels_may_be_missing(runs, task, tmp_path):
    run, data = runs[task]
    whole, bare = predict(run, data), predict(run, without(data, "label", tmp_path / "bare.csv"))
    assert list(bare.answers) == list(whole.answers)
    assert (bare.labels, bare.score) == ((), {})
    assert bare.names == whole.names


@pytest.mark.parametrize("task", ANSWERS)
def test_the_training_data_are_not_needed(runs, task, tmp_path):
    run, data = runs[task]
    whole = predict(run, data)
    own = tmp_path / "own.csv"
    own.write_bytes(data.read_bytes())
    data.rename(tmp_path / "away")
    try:
        assert list(predict(run, own).answers) == list(whole.answers)
    finally:
        (tmp_path / "away").rename(data)


def test_one_recording_has_a_tag_for_each_row(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=300)
    rows = [f"{value:.5f},{'high' if value > 0 else 'low'}" for value in numbers]
    (tmp_path / "own.csv").write_text("\n".join(["x,label", *rows]))
    told = {"task": "tag", "data": str(tmp_path / "own.csv"), "steps": 100, "hidden_size": 8, "learning_rate": 0.03}
    train(make_config(told | {"run": str(tmp_path / "run")}))
    found = predict(tmp_path / "run", tmp_path / "own.csv")
    assert (found.heading, found.names[:2], len(found.answers)) == (("row",), (("1",), ("2",)), 300)
    assert found.score["accuracy"] > 0.9


def test_what_is_refused(runs, tmp_path):
    run, data = runs["classify"]
    with pytest.raises(DataError, match="has no column 'b'"):
        predict(run, without(data, "b", tmp_path / "fewer.csv"))
    with pytest.raises(DataError, match=r"'nowhere.csv' does not exist; expected a table to predict"):
        predict(run, "nowhere.csv")
    train(make_config({"task": "latch", "steps": 1, "hidden_size": 4, "run": str(tmp_path / "latch")}))
    with pytest.raises(RunError, match="was trained on task 'latch', whose models predict nothing about a table"):
        predict(tmp_path / "latch", data)
    (tmp_path / "run").mkdir()
    for name in ("config.json", "data.json"):
        (tmp_path / "run" / name).write_bytes((run / name).read_bytes())
    (tmp_path / "run" / "checkpoints").symlink_to(run / "checkpoints")
    facts = json.loads((run / "data.json").read_text())
    facts["facts"]["mean"] = [1.0]
    (tmp_path / "run" / "data.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match="The facts of the run lack its columns and their scales"):
        predict(tmp_path / "run", data)


@pytest.mark.parametrize("task", ANSWERS)
def test_the_command_prints_and_writes(runs, task, tmp_path, capsys):
    run, data = runs[task]
    out = tmp_path / "out.csv"
    assert gatework(["predict", str(run), str(data), "-o", str(out)]) == 0
    shown = capsys.readouterr()
    assert "by the labels in the file:" in shown.out
    rows = list(csv.reader(out.open(encoding="utf-8")))
    found = predict(run, data)
    assert rows[0] == found.header()
    assert len(rows) == len(found.answers) + 1
    assert gatework(["predict", str(run), str(data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["answer"] for one in told["predictions"]] == list(found.answers)
    assert told["score"] == found.score
