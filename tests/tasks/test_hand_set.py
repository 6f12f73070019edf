"""The plain network set by hand holds a sign over any gap, and for the reason that is given."""

import math

import numpy as np
import pytest
import torch

from gatework.errors import SizeError
from gatework.models.hand_set import barriers, hand_set_latch, resting_state
from gatework.models.sequences import SequenceModel, measure_sequences
from gatework.tasks.synthetic.latch import draw, latch

NOISE = math.sqrt(0.2)


def accuracy(model: SequenceModel, gap: int, sequences: int = 200) -> float:
    batch = draw(np.random.default_rng([5, gap]), sequences, gap, "test")
    return measure_sequences(model, batch, latch)[0].named()["accuracy"]


@pytest.mark.parametrize("gap", [6, 10, 1000, 10_000])
def test_solves_any_gap(gap):
    assert accuracy(hand_set_latch(), gap) == 1.0


def test_it_is_a_plain_network_of_one_unit():
    model = hand_set_latch()
    assert model.recurrent.cell.name == "rnn"
    assert sum(parameter.numel() for parameter in model.recurrent.parameters()) == 3


def test_without_the_second_state_of_rest_it_forgets():
    """A self-connection of 1 is where it ends: the same model below it guesses."""
    model = hand_set_latch()
    with torch.no_grad():
        model.recurrent.named_weights(0)["R_h"].fill_(0.9)
    assert accuracy(model, 1000) < 0.7


def test_where_noise_is_near_the_barrier_it_forgets():
    """The barrier is what holds it: with a low one the same class of model fails."""
    weak = hand_set_latch(self_connection=1.2)
    assert barriers(1.2)[1] < NOISE
    assert accuracy(weak, 1000) < 0.9


@pytest.mark.parametrize("strength", [1.2, 2.0, 4.0, 8.0])
def test_barriers_are_where_the_unit_tips_over(strength):
    once, lasting = barriers(strength)

    def after(push: float, steps: int) -> float:
        state = resting_state(strength)
        for _ in range(steps):
            state = math.tanh(strength * state - push)
        for _ in range(500):  # then left alone
            state = math.tanh(strength * state)
        return state

    assert after(once * 0.999, 1) > 0 > after(once * 1.001, 1)
    assert after(lasting * 0.99, 500) > 0 > after(lasting * 1.01, 500)


def test_resting_state_solves_its_equation():
    for strength in (1.0001, 1.5, 4.0, 50.0):
        state = resting_state(strength)
        assert 0 < state <= 1
        assert math.tanh(strength * state) == pytest.approx(state, abs=1e-12)


def test_the_words_about_the_margin_are_true():
    once, lasting = barriers(4.0)
    assert f"{once / NOISE:.1f} of its" in (hand_set_latch.__doc__ or "")
    assert f"by {lasting / NOISE:.1f}, to flip" in (hand_set_latch.__doc__ or "")


def test_the_generator_of_chance_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    hand_set_latch()
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"self_connection": 1.0}, "self_connection is 1.0; expected a number above 1"),
        ({"self_connection": math.nan}, "self_connection is nan; expected a number above 1"),
        ({"input_weight": 0.0}, "input_weight is 0.0; expected a number above 0"),
    ],
)
def test_nonsense_is_refused(settings, message):
    with pytest.raises(SizeError, match=message):
        hand_set_latch(**settings)
