"""The predictors that learn nothing, and what is held against them."""

import numpy as np
import pytest
import torch
from tests.tasks.recorded.tiny import load

from gatework.models.sequences import SequenceModel, measure_sequences
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Success
from gatework.tasks.trivial import Asked, find_season, find_weights, measure_trivial


def wave(rows, period, rng, noise=0.3):
    time = np.arange(rows)
    return (np.cos(2 * np.pi * time / period) + 0.02 * time + noise * rng.normal(size=rows))[:, None]


@pytest.mark.parametrize("period", [2, 4, 7, 12, 24, 57])
def test_a_season_is_found_below_noise_and_a_trend(period):
    rng = np.random.default_rng(period)
    assert abs(find_season([wave(period * 9, period, rng)]) - period) <= period // 19


def test_noise_lines_and_short_parts_have_no_season():
    rng = np.random.default_rng(0)
    assert find_season([rng.normal(size=(500, 3))]) == 0
    assert find_season([np.ones((500, 1))]) == 0
    assert find_season([np.arange(500.0)[:, None] * 1e300]) == 0
    assert find_season([np.ones((5, 1)), np.ones((0, 1))]) == 0


def test_the_season_is_that_of_most_series():
    rng = np.random.default_rng(1)
    parts = [wave(240, 12, rng), wave(240, 12, rng), rng.normal(size=(20, 1)), np.zeros((0, 1))]
    assert find_season(parts) == 12


@pytest.mark.parametrize("season", [0, 3, 5])
def test_what_is_measured_is_what_is_counted_one_by_one(season):
    rng = np.random.default_rng(2)
    asked = [Asked(rng.normal(size=(30, 2)), 20, 1, 26), Asked(rng.normal(size=(12, 2)), 8, 7, 8)]
    weights = find_weights([one.series[: one.learned] for one in asked], season)
    found = measure_trivial(asked, 4, season, weights)
    errors = {name: [] for name in ("persistence", "seasonal", "mean")}
    scaled = {name: [] for name in errors}
    for number, one in enumerate(asked):
        for step in range(one.begin, one.end):
            for ahead in range(1, 5):
                before = step + ahead
                while season and before > step:
                    before -= season
                answers = {
                    "persistence": one.series[step],
                    "seasonal": one.series[before if 0 <= before <= step else step],
                    "mean": one.series[: one.learned].mean(axis=0),
                }
                for name, answer in answers.items():
                    off = one.series[step + ahead] - answer
                    errors[name] += list(off)
                    scaled[name] += list(np.abs(off) * weights[number])
    assert set(found) == ({"persistence", "seasonal", "mean"} if season else {"persistence", "mean"})
    for name, metrics in found.items():
        assert metrics["loss"] == pytest.approx(np.mean(np.square(errors[name])))
        assert metrics["mean_absolute_error"] == pytest.approx(np.mean(np.abs(errors[name])))
        assert metrics["mase"] == pytest.approx(np.mean(scaled[name]))
        skill = 1 - np.mean(np.square(errors[name])) / np.mean(np.square(errors["persistence"]))
        assert metrics["skill"] == pytest.approx(skill)


def test_a_column_without_a_change_does_not_count():
    part = np.stack([np.array([0.0, 2.0, 1.0, 4.0]), np.full(4, 7.0)], axis=1)
    assert find_weights([part], 0) == pytest.approx(np.array([[2 / 2, 0.0]]))
    assert find_weights([part], 2) == pytest.approx(np.array([[2 / 1.5, 0.0]]))
    # A series too short to say it is measured by the others.
    assert find_weights([part, part[:1]], 0) == pytest.approx(np.array([[1.0, 0.0]] * 2))
    assert not find_weights([part[:1]], 0).any()


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("ids", [False, True])
def test_a_model_that_answers_no_change_is_the_predictor_of_no_change(tmp_path, columns, ids):
    """Two ways to the same figures: the model's answers step by step, and the predictor's from the series."""
    rng = np.random.default_rng(columns)
    names = [f"c{column}" for column in range(columns)]
    rows = [
        ([series] if ids else []) + [f"{value:.6f}" for value in rng.normal(size=columns).cumsum() + row % 5]
        for series in ("abc" if ids else "a")
        for row in range(150)
    ]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(map(",".join, [(["id"] if ids else []) + names, *rows])))
    recording = load(TASKS["forecast"], path, 3)
    model = SequenceModel(recording.inputs, recording.outputs, "gru", 2)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    for split, batch in recording.splits.items():
        score, _ = measure_sequences(model, batch, TASKS["forecast"])
        assert score.named() == pytest.approx(recording.facts["trivial"][split]["persistence"], rel=1e-5, abs=1e-6)


BETTER = [
    (Success("loss", at_most=1.0), {"loss": 0.3}, {"loss": 0.05}, False),
    (Success("loss", at_most=1.0), {"loss": 0.03}, {"loss": 0.05}, True),
    (Success("loss", at_most=0.01), {"loss": 0.03}, {"loss": 0.05}, False),
    (Success("accuracy", at_least=0.9), {"accuracy": 0.97}, {"accuracy": 0.98}, False),
    (Success("accuracy", at_least=0.9), {"accuracy": 0.98}, {"accuracy": 0.98}, True),
    # A tenth of the errors of the best predictor: 0.5 leaves half, and of that nine tenths are 0.45.
    (Success("skill", at_least=0.1), {"skill": 0.54}, {"skill": 0.5}, False),
    (Success("skill", at_least=0.1), {"skill": 0.551}, {"skill": 0.5}, True),
    (Success("skill", at_least=0.1), {"skill": 0.2}, {"skill": -3.0}, True),
    (Success("skill", at_least=0.1), {"skill": 0.05}, {"skill": -3.0}, False),
    (Success("skill", at_least=0.1), {"skill": float("nan")}, {"skill": 0.0}, False),
    (Success("solved", at_least=0.9), {"solved": 1.0}, {"loss": 0.0}, True),
]


@pytest.mark.parametrize(("success", "metrics", "trivial", "reached"), BETTER)
def test_nothing_is_reached_that_a_trivial_predictor_does_better(success, metrics, trivial, reached):
    worse = dict.fromkeys(trivial, -9.0 if success.at_least is not None else 9.0)
    assert success.reached(metrics, {"mean": worse, "seasonal": trivial}) is reached
    verdict = success.verdict(metrics, {"mean": worse, "seasonal": trivial})
    assert (": reached, with" in verdict) is reached
    if success.metric in trivial:
        assert f"the best trivial predictor (seasonal) gets {trivial[success.metric]:.4g}" in verdict
