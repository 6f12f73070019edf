"""Probes find what is linearly there, report nothing where nothing is, and never look at what they are judged by."""

import pytest
import torch
from tests.tolerances import assert_close

import gatework
from gatework.errors import SizeError
from gatework.tracing import Probe


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def classes_of(found):
    """The classes of a probe that has some."""
    assert found.classes is not None
    return found.classes.tolist()


def test_real_targets_that_are_linear_are_found():
    values, weights = random(40, 8, 6), random(2, 6, seed=1)
    targets = values @ weights.T + torch.tensor([3.0, -1.0])
    found = gatework.probe(values, targets, ridge=0.0)
    assert_close(found.weights, weights)
    assert_close(found.bias, torch.tensor([3.0, -1.0], dtype=torch.float64))
    assert_close(found.predict(values), targets)
    assert found.score == pytest.approx(1)
    assert (found.chance, found.learned_from, found.held_out) == (0, 240, 80)
    one = gatework.probe(values, targets[..., 0], ridge=0.0)
    assert_close(one.weights, weights[:1])


def test_the_ridge_is_that_of_the_normal_equations():
    """On values of mean 0 and variance 1, as written down anew here."""
    values, targets = random(30, 4), random(30, seed=2)
    found = gatework.probe(values, targets, ridge=0.5, held_out=1 / 3)
    inside = values[:20]
    scaled = (inside - inside.mean(0)) / inside.std(0, correction=0)
    goals = targets[:20] - targets[:20].mean()
    weights = torch.linalg.solve(scaled.T @ scaled + 20 * 0.5 * torch.eye(4, dtype=torch.float64), scaled.T @ goals)
    assert_close(found.weights[0], weights / inside.std(0, correction=0))
    left = targets[20:] - found.predict(values[20:])[:, 0]
    expected = 1 - left.square().sum() / (targets[20:] - targets[20:].mean()).square().sum()
    assert found.score == pytest.approx(float(expected))


def test_classes():
    values = random(200, 10, 3)
    targets = torch.tensor([7, 2, 4])[values.argmax(-1)]
    found = gatework.probe(values, targets)
    assert classes_of(found) == [2, 4, 7]
    assert found.score > 0.9
    assert 0.25 < found.chance < 0.4
    assert found.predict(torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])).tolist() == [2, 4]
    assert classes_of(gatework.probe(values, targets == 4)) == [0, 1]


def test_nothing_is_found_where_nothing_is():
    """With as many units as vectors the fit is perfect, and what is held out tells it apart from knowledge."""
    values = random(20, 8, 200)
    noise = torch.randint(2, (20, 8), generator=torch.Generator().manual_seed(3))
    found = gatework.probe(values, noise, ridge=0.0)
    assert found.fitted == 1
    assert 0.25 < found.score < 0.75
    assert gatework.probe(values, random(20, 8, seed=4)).score < 0.1


def test_whole_rows_are_held_out():
    """A row's own mark can be read off its vectors, but never off those of other rows."""
    marks = torch.eye(8, dtype=torch.float64).expand(50, 8, 8) + 0.01 * random(50, 8, 8)
    targets = torch.arange(8).expand(50, 8)
    found = gatework.probe(marks, targets)
    assert (found.fitted, found.score) == (1, 0)
    assert found.held_out == 100
    drawn = {tuple(sorted(classes_of(gatework.probe(marks, targets, seed=seed)))) for seed in range(8)}
    assert len(drawn) > 1


def test_one_row_holds_out_its_end():
    values, targets = random(100, 1, 3), torch.zeros(100, 1, dtype=torch.int64)
    targets[75:] = 1  # a class that is only in what is held out
    targets[:10] = 2
    found = gatework.probe(values, targets)
    assert classes_of(found) == [0, 2]
    assert (found.score, found.chance, found.held_out) == (0, 0, 25)


def test_missing_targets_are_left_out():
    values = random(40, 8, 3)
    targets = (values[..., 0] > 0).long()
    targets[20:] = -1
    assert gatework.probe(values, targets).learned_from == 120
    real = values[..., 0].clone()
    real[:, 3] = torch.nan
    found = gatework.probe(values, real)
    assert found.learned_from + found.held_out == 280
    assert found.score > 0.99


def test_dead_units_and_twins_do_no_harm():
    values = random(40, 8, 3)
    values = torch.cat([values, values[..., :1], torch.ones(40, 8, 1, dtype=torch.float64)], -1)
    found = gatework.probe(values, values[..., 0], ridge=0.0)
    assert found.score == pytest.approx(1)
    assert found.weights[0, 4] == 0
    assert found.weights.isfinite().all()


def test_on_a_trace():
    """Which symbol came is in h and c of an untrained layer; which one comes is not."""
    torch.manual_seed(0)
    tokens = torch.randint(4, (60, 12))
    layer = gatework.LSTM(4, 16)
    trace = gatework.trace(layer, torch.nn.functional.one_hot(tokens, 4).float(), ["h", "c"])
    for name in "hc":
        found = gatework.probe(trace[name], tokens)
        assert isinstance(found, Probe)
        assert found.score > 0.9 > 0.5 > found.chance
        assert gatework.probe(trace[name][:-1], tokens[1:]).score < 0.45


def test_what_cannot_be_probed():
    values = random(10, 4, 3)
    with pytest.raises(SizeError, match=r"^targets have the shape \(10,\); expected \(10, 4\) as the values have"):
        gatework.probe(values, torch.zeros(10))
    with pytest.raises(SizeError, match=r"^values are \(10,\); expected a tensor \[T, B, F\] or \[N, F\]\.$"):
        gatework.probe(values[:, 0, 0], torch.zeros(10))
    with pytest.raises(SizeError, match=r"^held_out is 1; expected a share between 0 and 1, such as 0\.25\.$"):
        gatework.probe(values, torch.zeros(10, 4), held_out=1)
    with pytest.raises(SizeError, match=r"^ridge is -1; expected a number of at least 0\.$"):
        gatework.probe(values, torch.zeros(10, 4), ridge=-1)
    with pytest.raises(SizeError, match=r"^All 30 vectors to learn from are of the class 2; a probe needs two classes"):
        gatework.probe(values, torch.full((10, 4), 2))
    with pytest.raises(SizeError, match=r"^There are 0 vectors to learn from and 0 to measure on"):
        gatework.probe(values, torch.full((10, 4), -1))
