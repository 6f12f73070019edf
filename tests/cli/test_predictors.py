"""What is printed beside a model: the predictors that learn nothing, and a verdict that knows of them."""

import math

import pytest


@pytest.fixture
def trained(gatework, tmp_path):
    """A model that has learned nothing in its one step, on a smooth series that hardly changes from row to row."""
    rows = "".join(f"{10 + 5 * math.sin(row / 9) + 0.01 * row}\n" for row in range(400))
    (tmp_path / "own.csv").write_text("value\n" + rows)
    words = ("train", "--task", "forecast", "--data", tmp_path / "own.csv", "--gap", 2, "--steps", 1)
    result = gatework(*words, "--hidden-size", 4, "--run", tmp_path / "run")
    assert result.code == 0, result.err
    return result, tmp_path / "run"


def test_a_smooth_series_is_not_reached_by_a_model_that_is_worse_than_no_change(gatework, trained):
    result, run = trained
    assert "The criterion, skill of at least 0.1: not reached, with -" in result.out
    assert "the best trivial predictor (seasonal) gets 0.2" in result.out
    rows = [line.split()[0] for line in result.out.splitlines() if line.startswith((" persis", " seas", " mean"))]
    assert rows == ["persistence", "seasonal", "mean"]
    assert "season: 57 rows, found by the autocorrelation" in result.err
    shown = gatework("evaluate", run, "--split", "test").out
    assert "this model" in shown
    assert ": not reached, with -" in shown


def test_programs_get_all_predictors_of_the_split(gatework, trained):
    _, run = trained
    found = gatework("evaluate", run, "--json").json
    test = gatework("evaluate", run, "--split", "test", "--json").json
    assert set(found["metrics"]) == set(found["trivial"]["persistence"]) == set(found["trivial"]["seasonal"])
    assert (found["solved"], found["trivial"]["persistence"]["skill"]) == (False, 0.0)
    assert found["trivial"]["persistence"]["loss"] != test["trivial"]["persistence"]["loss"]
    assert test["trivial"]["persistence"]["loss"] == pytest.approx(test["chance"]["loss"], rel=1e-5)


def test_the_majority_stands_beside_a_classifier(gatework, tmp_path):
    rows = "".join(
        f"{name},{step},{name % 7},{'rare' if name % 10 == 0 else 'common'}\n" for name in range(50) for step in (1, 2)
    )
    (tmp_path / "own.csv").write_text("id,t,x,label\n" + rows)
    words = ("train", "--task", "classify", "--data", tmp_path / "own.csv", "--steps", 1, "--hidden-size", 4)
    result = gatework(*words, "--run", tmp_path / "run")
    assert "the best trivial predictor (most frequent class) gets 0" in result.out
    shown = gatework("evaluate", tmp_path / "run", "--split", "test").out
    assert "(most frequent class 0.9" in shown
