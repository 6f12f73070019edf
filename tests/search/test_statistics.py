"""The statistics against values worked out by hand or by trying everything, and against their own promises."""

from itertools import product
from math import comb, inf, isinf
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.search.comparing.statistics import (
    _STUDENT_975,
    EXACT_PAIRS,
    _student_975,
    holm,
    mean_interval,
    median_interval,
    share_interval,
    sign_flip_test,
)


def test_median_interval_of_three_is_what_trying_all_resamples_gives():
    values = [1.0, 4.0, 9.0]
    medians = sorted(median(drawn) for drawn in product(values, repeat=3))
    # 27 resamples: 7 have the smallest as median, 13 the middle one, 7 the largest.
    assert [medians.count(value) for value in values] == [7, 13, 7]
    # Both tails hold more than 2.5 %, so that the ends are the outermost values.
    assert median_interval(values) == (4.0, 1.0, 9.0)


def test_median_interval_leaves_out_a_tail_that_is_seldom_drawn():
    """Of nine values, the median of a resample is the smallest in one of 690 cases only."""
    values = list(range(9))
    at_most = [sum(comb(9, k) * (i + 1) ** k * (8 - i) ** (9 - k) for k in range(5, 10)) / 9**9 for i in range(9)]
    low = next(i for i in range(9) if at_most[i] >= 0.025)
    high = next(i for i in range(9) if at_most[i] >= 0.975)
    assert median_interval(values) == (4, low, high)
    assert (low, high) == (1, 7)


def test_median_interval_of_one_value_is_that_value():
    assert median_interval([0.25]) == (0.25, 0.25, 0.25)


def test_median_interval_with_runs_that_never_got_there():
    found = median_interval([100, 200, 300, inf, inf])
    assert (found.estimate, found.low) == (300, 100)
    assert isinf(found.high)
    assert median_interval([100.0, inf]) == (inf, 100.0, inf)
    assert median_interval([inf, inf]) == (inf, inf, inf)


def test_median_interval_is_the_same_every_time_and_another_with_another_seed():
    values = np.random.default_rng(3).normal(size=30).tolist()
    assert median_interval(values) == median_interval(values)
    assert median_interval(values, resamples=100) != median_interval(values, resamples=100, seed=1)


def test_order_does_not_matter_to_the_estimate():
    assert median_interval([3, 1, 2]).estimate == 2


@pytest.mark.parametrize(("runs", "promised"), [(5, 0.9375), (12, 0.95), (25, 0.95)])
def test_coverage_of_the_median(runs, promised):
    """Drawn from a skewed distribution whose median is known. Of 5, smallest to largest: 1 - 2 / 2**5."""
    rng, hits, trials = np.random.default_rng(7), 0, 1000
    for _ in range(trials):
        found = median_interval(rng.exponential(size=runs).tolist(), resamples=1000)
        hits += found.low <= np.log(2) <= found.high
    # Three standard deviations of the simulation, and what the percentile bootstrap is known to be short of.
    assert abs(hits / trials - promised) < 3 * (promised * (1 - promised) / trials) ** 0.5 + 0.015


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_share_interval_is_the_published_one(hits, runs, low, high):
    found = share_interval(hits, runs)
    assert found.estimate == hits / runs
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_share_interval_of_none_and_of_all():
    assert share_interval(0, 7).low == 0
    assert share_interval(7, 7).high == 1
    assert share_interval(7, 7).low == pytest.approx(1 - share_interval(0, 7).high)


def covered(share, runs):
    """How often the interval holds the share, exactly: every count of hits with its probability."""
    total = 0.0
    for hits in range(runs + 1):
        found = share_interval(hits, runs)
        if found.low <= share <= found.high:
            total += comb(runs, hits) * share**hits * (1 - share) ** (runs - hits)
    return total


@pytest.mark.parametrize("runs", [5, 10, 40])
def test_coverage_of_the_share(runs):
    """For one share it jumps up and down, as hits are whole; over all shares it is what it promises."""
    every = [covered(share / 500, runs) for share in range(1, 500)]
    assert 0.94 < sum(every) / len(every) < 0.965


def by_trying_all(differences):
    seen = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(value >= seen - 1e-9 for value in sums) / len(sums)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_sign_flip_test_is_what_trying_all_signs_gives(differences):
    assert sign_flip_test(differences) == pytest.approx(by_trying_all(differences))


def test_sign_flip_test_of_the_most_pairs_that_are_all_tried():
    assert sign_flip_test([1.0] * EXACT_PAIRS) == 2 / 2**EXACT_PAIRS
    # One more is drawn at random, and is never 0.
    assert sign_flip_test([1.0] * (EXACT_PAIRS + 9), drawn=10_000) == 1 / 10_001


def test_drawn_signs_agree_with_all_signs():
    differences = np.random.default_rng(5).normal(0.4, 1, EXACT_PAIRS).tolist()
    exact = sign_flip_test(differences)
    # A pair without a difference changes nothing but the way of counting.
    drawn = sign_flip_test([*differences, 0.0], drawn=200_000)
    assert 0.05 < exact < 0.5
    assert drawn == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 200_000) ** 0.5)


def test_sign_flip_test_of_nothing_and_of_infinities():
    assert sign_flip_test([0.0, 0.0]) == 1.0
    assert sign_flip_test([inf, inf, inf, inf]) == 2 / 2**4
    # An infinite difference counts as much as the largest other one.
    assert sign_flip_test([inf, 0.5, 0.25]) == by_trying_all([0.5, 0.5, 0.25])
    assert sign_flip_test([inf, -inf]) == 1.0


def test_sums_that_differ_by_rounding_only_are_equal():
    """0.1 + 0.2 - 0.3 is not 0 in binary, and all signs must still be counted as far out as they are."""
    assert sign_flip_test([0.1, 0.2, -0.3]) == 1.0


def test_level_of_the_sign_flip_test():
    """Where there is no difference, p is at most 0.05 in 5 of 100 cases."""
    rng, trials = np.random.default_rng(11), 2000
    false = sum(sign_flip_test(rng.normal(size=8).tolist()) <= 0.05 for _ in range(trials))
    # Of 2**8 changes of signs, the 12 outermost: 12 / 256.
    assert abs(false / trials - 12 / 256) < 3 * (0.05 * 0.95 / trials) ** 0.5


def test_power_of_the_sign_flip_test():
    """A difference as large as its spread is found in most cases, or the test above could pass by never finding any."""
    rng, trials = np.random.default_rng(12), 300
    assert sum(sign_flip_test(rng.normal(1, 1, size=12).tolist()) <= 0.05 for _ in range(trials)) > 0.8 * trials


def test_holm():
    # By hand: 4 · 0.005, 3 · 0.01, then 2 · 0.03, and 0.04 may not come below it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_holds_its_level_over_all_tests():
    """With four true nulls, any rejection at all happens in at most 5 of 100 cases."""
    rng, trials = np.random.default_rng(13), 4000
    false = sum(min(holm(rng.uniform(size=4).tolist())) <= 0.05 for _ in range(trials))
    assert 0.03 < false / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_a_mean_of_few_is_held_by_students_interval():
    """Of 5 normal values in 95 of 100 cases, where the bootstrap's interval holds it in 83."""
    rng, draws = np.random.default_rng(0), 4000
    found = [mean_interval(rng.standard_normal(5).tolist()) for _ in range(draws)]
    held = sum(one.low <= 0 <= one.high for one in found) / draws
    assert 0.94 < held < 0.96
    assert mean_interval([0.25]) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(("runs", "held"), [(3, 0.73), (5, 0.83), (7, 0.87)])
def test_why_means_have_no_bootstrap(runs, held):
    """It promises 95 of 100, and holds what the interval's documentation says."""
    rng, draws = np.random.default_rng(0), 2000
    found = 0
    for _ in range(draws):
        values = rng.standard_normal(runs)
        low, high = np.quantile(values[rng.integers(0, runs, (1000, runs))].mean(axis=1), (0.025, 0.975))
        found += low <= 0 <= high
    assert found / draws == pytest.approx(held, abs=0.025)


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.706), (4, 2.776), (10, 2.228), (11, 2.201), (20, 2.086), (60, 2.000)]
)
def test_students_distribution(freedom, value):
    """Against the printed tables, and without a step where the series takes over."""
    assert _student_975(len(_STUDENT_975)) > _student_975(len(_STUDENT_975) + 1)
    assert _student_975(freedom) == pytest.approx(value, abs=2.5e-3)
