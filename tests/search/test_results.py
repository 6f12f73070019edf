"""What is made of outcomes: summaries, tests, crossovers, the picture."""

import json
import warnings
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.search.comparing.figure import _places, draw_gaps, spread
from gatework.search.comparing.plan import ComparisonPlan
from gatework.search.comparing.results import Crossover, draw_conclusions, find_crossover
from gatework.search.running.trial import Outcome
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Success

OUTCOME = Outcome(100, True, True, False, {}, 100, {}, 1.0)


def concluded(plan, value):
    """Conclude from outcomes whose metric ``value(cell, gap, number)`` gives; None: it blew up."""
    done, waiting = {}, plan.waiting({})
    while waiting:
        for trial in waiting:
            found = value(trial.cell, trial.gap, trial.number)
            metrics = {"loss": found, "accuracy": found}
            solved = found is not None and plan.success.reached(metrics)
            done[trial] = replace(OUTCOME, solved=solved, blew_up=found is None, valid=metrics, test=metrics)
        waiting = plan.waiting(done)
    return draw_conclusions(plan, done, Path("here"))


def test_summary(told):
    values = [0.999, 0.5, 0.995, 0.2, 0.997]
    found = concluded(ComparisonPlan(told(seeds=5)), lambda cell, gap, number: values[number])
    summary = found.summary["rnn", 50]
    assert (summary.values, summary.median, summary.low, summary.high) == (tuple(values), 0.995, 0.2, 0.999)
    assert (summary.solved, summary.runs, summary.steps) == (3, 5, (100, None, 100, None, 100))
    assert (summary.steps_median, summary.steps_low, summary.steps_high) == (100, 100, None)
    assert summary.mostly_solved
    assert (round(summary.solved_low, 4), round(summary.solved_high, 4)) == (0.2307, 0.8824)
    assert found.seconds == len(found.trials)


def test_a_rate_at_the_edge_is_told(told):
    assert concluded(ComparisonPlan(told()), lambda *_: 0.5).summary["rnn", 10].at_edge
    assert not concluded(ComparisonPlan(told(learning_rates="0.01")), lambda *_: 0.5).summary["rnn", 10].at_edge


def test_a_cell_is_not_better_than_itself(told):
    plan = ComparisonPlan(told(cells={"one": "rnn", "same": "rnn"}))
    (test,) = concluded(plan, lambda cell, gap, number: 0.1 * number).tests
    assert (test.difference, test.wins, test.losses, test.p, test.corrected) == (0, 0, 0, 1, 1)


def test_the_better_cell_is_named_first_whichever_way_the_metric_goes(told, monkeypatch):
    def value(cell, gap, number):
        return (0.3 if cell == "lstm" else 0.2) + 0.01 * number

    plan = ComparisonPlan(told())
    assert concluded(plan, value).tests[0].better == "lstm"
    plan.success = Success("loss", at_most=0.1)
    (test,) = concluded(plan, value).tests
    assert (test.better, test.worse, test.wins) == ("rnn", "lstm", 6)
    assert test.difference == pytest.approx(0.1)


def test_pairs_are_those_of_one_gap_and_seed(told):
    """The cells differ by as much in every pair, and far less than pairs differ from one another."""
    base = {(gap, number): np.random.default_rng([gap, number]).uniform() for gap in (10, 50) for number in range(3)}
    (test,) = concluded(ComparisonPlan(told()), lambda c, gap, number: base[gap, number] + 1e-4 * (c == "rnn")).tests
    assert (test.better, test.p, test.wins) == ("rnn", 2 / 64, 6)


def test_runs_that_blew_up_are_worst_and_stay_json(told):
    plan = ComparisonPlan(told())
    found = concluded(plan, lambda cell, gap, number: None if cell == "rnn" else 0.5)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert found.summary["rnn", 10].median is None
    assert (found.tests[0].better, found.tests[0].difference, found.tests[0].wins) == ("lstm", None, 6)
    assert json.loads(text)["summary"][0]["values"] == [None, None, None]
    assert draw_gaps(found).startswith(b"\x89PNG")


CROSSOVERS = {
    (3, 3, 0): Crossover("x", 2, 3, True),
    (3, 2, 2): Crossover("x", 3, None, True),  # most runs, not all
    (1, 1, 0): Crossover("x", None, 1, True),
    (3, 0, 3): Crossover("x", 3, None, False),
    (0, 3, 0): Crossover("x", 2, 3, False),
}
WORDS = {
    (3, 3, 0): "solved up to gap 2, not at 3",
    (3, 2, 2): "all gaps solved",
    (1, 1, 0): "no gap solved",
    (3, 0, 3): "solved at gap 3, but not at every smaller one",
    (0, 3, 0): "solved up to gap 2, not at 3; but not at every smaller one",
}


@pytest.mark.parametrize(("solved", "expected"), CROSSOVERS.items(), ids=str)
def test_crossovers(told, solved, expected):
    plan = ComparisonPlan(told(seeds=3))
    summary = concluded(plan, lambda *_: 0.5).summary["rnn", 10]
    found = find_crossover("x", [replace(summary, gap=n + 1, solved=k) for n, k in enumerate(solved)])
    assert found == expected
    assert str(found) == WORDS[solved]


def test_half_of_the_runs_is_not_most_of_them(told):
    summary = concluded(ComparisonPlan(told(seeds=2)), lambda cell, gap, number: 1.0 - number).summary["rnn", 10]
    assert (summary.solved, summary.mostly_solved) == (1, False)


def test_everything_is_in_the_results(told):
    plan = ComparisonPlan(told())
    data = concluded(plan, lambda *_: 0.5).to_json()
    task = TASKS["adding"]
    assert data["task"]["success"]["in_words"] == str(task.success)
    assert [entry["gap"] for entry in data["task"]["chance"]] == [10, 50]
    assert data["task"]["chance"][0]["accuracy"] == task.chance(10)["accuracy"]
    assert data["task"]["published"][0]["source"] == task.published[0].source
    assert data["sizes"]["rnn"] == {
        "hidden_size": plan.sizes["rnn"].hidden_size,
        "parameters": plan.sizes["rnn"].parameters,
    }
    assert (data["reference"], data["budget"]) == ("lstm", 300)
    assert set(data["versions"]) == {"gatework", "torch", "numpy", "python"}
    assert len(data["trials"]) == plan.total
    assert "run" not in data["config"]


@pytest.mark.parametrize(
    "cells", ["rnn", "rnn,lstm,gru,mgu,janet,cifg,nig,nfg,nog,niaf,noaf,np"], ids=["one", "twelve"]
)
@pytest.mark.parametrize("gaps", ["10", "10,30,100,1000"], ids=["one gap", "four gaps"])
@pytest.mark.parametrize("success", [Success("accuracy", at_least=0.99), Success("loss", at_most=0.01)], ids=str)
def test_pictures_of_every_shape(told, cells, gaps, success):
    plan = ComparisonPlan(told(cells=cells, gaps=gaps, learning_rates="0.01"))
    plan.success = success
    names = list(plan.config.cells)
    found = concluded(plan, lambda cell, gap, number: 0.9 / (1 + names.index(cell) + number))
    assert draw_gaps(found) == draw_gaps(found)


@pytest.mark.parametrize("gaps", ["10", "10,30"])
def test_a_baseline_of_nothing_keeps_the_picture_whole(told, gaps):
    """It has no place on a logarithmic axis, and its name would have pushed the axes off the picture."""
    plan = ComparisonPlan(told(cells="rnn", gaps=gaps, learning_rates="0.01"))
    plan.success = Success("loss", at_most=0.1)
    plan.baseline.update(dict.fromkeys(plan.baseline, 0.0))
    found = concluded(plan, lambda cell, gap, number: 0.3 + 0.1 * number)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw_gaps(found).startswith(b"\x89PNG")


def test_a_gap_of_nothing_has_a_place():
    places = _places((0, 10, 100))
    assert places[0] == 0 < places[10] < places[100]
    assert _places((5, 10))[5] == pytest.approx(np.log(5))


@given(st.lists(st.floats(0, 300), min_size=1, max_size=20))
def test_labels_are_apart_and_inside(heights):
    heights = sorted(heights)
    found = spread(heights, 0, 300, apart=13)
    assert all(b - a >= 13 - 1e-6 for a, b in pairwise(found))
    assert len(found) == len(heights)
    assert min(found) >= -1e-6
    assert max(found) <= 300 + 1e-6
    if all(b - a >= 13 for a, b in zip([-inf, *heights], [*heights, inf], strict=True)):
        assert found == heights
