"""Figures about units, against their definitions."""

import numpy as np
import pytest
import torch

from gatework.explorer.analysis import MOST_ORDERED, extremes, follow, order_by_similarity, saturation


def test_follow_counts_pairs():
    torch.manual_seed(0)
    values = torch.randn(60, 5).round(decimals=1)  # with equal ones among them
    marked = torch.rand(60) < 0.3
    given = follow(values, marked)
    for unit in range(5):
        inside, outside = values[marked, unit], values[~marked, unit]
        pairs = (inside[:, None] > outside).double() + 0.5 * (inside[:, None] == outside)
        assert float(given[unit]) == pytest.approx(float(pairs.mean()))


def test_follow_of_numbers_that_are_none():
    """A model whose training failed is one that people look into."""
    values = torch.tensor([[float("nan")], [1.0], [float("inf")]])
    assert 0 <= float(follow(values, torch.tensor([True, False, False]))[0]) <= 1


def test_similar_units_stand_together():
    torch.manual_seed(0)
    first, second = torch.randn(300), torch.randn(300)
    noise = 0.1 * torch.randn(300, 12)
    mixed = torch.stack([(first, second)[unit % 2] for unit in range(12)], 1) + noise
    order = order_by_similarity(mixed)
    assert sorted(order) == list(range(12))
    kinds = [unit % 2 for unit in order]
    assert kinds in ([0] * 6 + [1] * 6, [1] * 6 + [0] * 6)
    assert order == order_by_similarity(mixed)


@pytest.mark.parametrize(
    "values", [torch.zeros(5, 4), torch.full((5, 4), float("nan")), torch.ones(1, 4), torch.ones(9, 1)]
)
def test_units_without_differences_are_ordered_all_the_same(values):
    assert sorted(order_by_similarity(values)) == list(range(values.shape[1]))


def test_too_many_units_stay_as_they_are():
    assert order_by_similarity(torch.ones(2, MOST_ORDERED + 1)) == list(range(MOST_ORDERED + 1))


def test_saturation_counts_what_is_near_the_bounds():
    values = torch.tensor([[-1.0, 0.0], [-0.85, 0.79], [0.9, 0.81], [-0.79, 1.0]])
    low, high = saturation(values, -1, 1)
    assert (low.tolist(), high.tolist()) == ([0.5, 0.0], [0.25, 0.5])


def test_extremes():
    values = torch.tensor([[1.0], [5.0], [3.0], [-2.0]])
    given = extremes(values, torch.tensor([0, 0, 1, 3]), 4)
    assert np.array_equal(given[:, :, 0].numpy(), [[1, 5], [3, 3], [np.inf, -np.inf], [-2, -2]])
