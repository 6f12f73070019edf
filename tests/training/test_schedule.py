"""The learning rate, step by step, against its formulas."""

from math import cos, pi

import pytest

from gatework.training.config import make_config
from gatework.training.schedule import learning_rate


def rates(steps=100, steps_per_epoch=10, **settings):
    config = make_config({"learning_rate": 2.0, **settings})
    return [learning_rate(config, step, steps, steps_per_epoch) for step in range(1, steps + 1)]


def test_constant():
    assert rates(schedule="constant") == [2.0] * 100


def test_zaremba_divides_after_so_many_epochs():
    """The small model of the paper: rate 1, after 4 epochs halved at each."""
    found = rates(schedule="zaremba", decay=2.0, decay_after=4, learning_rate=1.0)
    assert found == [1.0] * 40 + [0.5] * 10 + [0.25] * 10 + [0.125] * 10 + [1 / 16] * 10 + [1 / 32] * 10 + [1 / 64] * 10


def test_cosine_goes_down_to_a_hundredth():
    found = rates(schedule="cosine")
    assert found[-1] == pytest.approx(0.02)
    assert found == pytest.approx([0.02 + 1.98 * (1 + cos(pi * step / 100)) / 2 for step in range(1, 101)])
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "zaremba"])
def test_warmup_comes_first(schedule):
    found = rates(schedule=schedule, warmup_steps=20)
    assert found[:20] == pytest.approx([0.1 * step for step in range(1, 21)])
    assert found[20] == pytest.approx(2.0, rel=0.01)


def test_more_warmup_than_steps():
    assert rates(steps=5, warmup_steps=50)[-1] == pytest.approx(0.2)
