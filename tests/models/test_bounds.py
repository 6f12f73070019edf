"""Bounds and estimates of likelihoods, beside a model whose likelihood a Kalman filter gives."""

import math

import numpy as np
import pytest
import torch
from tests.tolerances import assert_close
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_divergence

from gatework.errors import SizeError
from gatework.models.bounds import importance_weighted, kl_divergence, log_ratio, sampled_bound

STEPS = 12
# z_1 ~ N(0, FIRST²), z_t ~ N(DECAY z_{t-1}, DRIFT²), x_t ~ N(GAIN z_t, NOISE²).
FIRST, DECAY, DRIFT, GAIN, NOISE = 1.3, 0.8, 0.6, 1.5, 0.7


def observed(seed=0):
    rng = np.random.default_rng(seed)
    hidden, seen = rng.normal(0, FIRST), []
    for _ in range(STEPS):
        seen.append(GAIN * hidden + rng.normal(0, NOISE))
        hidden = DECAY * hidden + rng.normal(0, DRIFT)
    return np.array(seen)


def kalman(seen):
    """The logarithm of the likelihood, from the prediction of each number and its variance."""
    mean, variance, total = 0.0, FIRST**2, 0.0
    for number in seen:
        expected, spread = GAIN * mean, GAIN**2 * variance + NOISE**2
        total += -0.5 * (math.log(2 * math.pi * spread) + (number - expected) ** 2 / spread)
        share = variance * GAIN / spread
        mean, variance = mean + share * (number - expected), (1 - share * GAIN) * variance
        mean, variance = DECAY * mean, DECAY**2 * variance + DRIFT**2
    return total


def joint_gaussian(seen):
    """The same, from the covariance of all numbers together."""
    variance = [FIRST**2]
    for _ in range(STEPS - 1):
        variance.append(DECAY**2 * variance[-1] + DRIFT**2)
    place = np.arange(STEPS)
    covariance = GAIN**2 * DECAY ** abs(place[:, None] - place) * np.array(variance)[np.minimum(place[:, None], place)]
    covariance += NOISE**2 * np.eye(STEPS)
    _, logdet = np.linalg.slogdet(2 * math.pi * covariance)
    return -0.5 * (logdet + seen @ np.linalg.solve(covariance, seen))


def information(seen):
    """What the numbers from each step on say of z there: log p(x_t..T | z_t) = const + shift z - precision z² / 2."""
    found, precision, shift = [], 0.0, 0.0
    for number in seen[::-1]:
        # Back over one transition, then one more observation.
        damp = 1 + DRIFT**2 * precision
        precision, shift = DECAY**2 * precision / damp, DECAY * shift / damp
        precision, shift = precision + GAIN**2 / NOISE**2, shift + GAIN * number / NOISE**2
        found.append((precision, shift))
    return found[::-1]


def log_weights(seen, draws, *, wide=1.0, off=0.0, seed=1):
    """Draw all z from a network's place, one after the other, and weigh them.

    With ``wide`` 1 and ``off`` 0, z_t is drawn from its true distribution, given z_{t-1} and all numbers from t on.
    """
    generator = torch.Generator().manual_seed(seed)
    before = torch.zeros(draws, 1, dtype=torch.float64)
    total = closed = before.sum(-1)
    for time, (number, (precision, shift)) in enumerate(zip(seen, information(seen), strict=True)):
        prior = DECAY * before if time else torch.zeros_like(before)
        spread = torch.full_like(prior, DRIFT if time else FIRST)
        known = spread**-2 + precision
        mean, deviation = (prior / spread**2 + shift) / known + off, wide * known**-0.5
        latent = mean + deviation * torch.randn(draws, 1, generator=generator, dtype=torch.float64)
        told = Normal(GAIN * latent, NOISE).log_prob(torch.tensor(number)).sum(-1)
        total = total + told + log_ratio(latent, mean, deviation, prior, spread)
        closed = closed + told - kl_divergence(mean, deviation, prior, spread)
        before = latent
    return total, closed


def test_the_oracles_agree():
    assert kalman(observed()) == pytest.approx(joint_gaussian(observed()), rel=1e-12)


def test_with_the_true_posterior_every_draw_gives_the_likelihood():
    seen = observed()
    weights, _ = log_weights(seen, 50)
    assert_close(weights, torch.full((50,), kalman(seen), dtype=torch.float64))
    assert_close(importance_weighted(weights), sampled_bound(weights))


@pytest.mark.parametrize("proposal", [{"wide": 1.3}, {"off": 0.15}, {"wide": 1.2, "off": -0.1}], ids=str)
def test_the_bound_is_below_the_likelihood_and_the_estimate_grows_to_it(proposal):
    seen, count = observed(3), 2**16
    truth = kalman(seen)
    weights, closed = log_weights(seen, count, **proposal)
    means, errors = [], []
    for draws in (1, 4, 16, 64, 256):
        each = importance_weighted(weights.view(draws, -1))
        means.append(float(each.mean()))
        errors.append(float(each.std()) / len(each) ** 0.5)
    assert means[0] == pytest.approx(float(sampled_bound(weights)), rel=1e-12)
    # Far from the truth at first, by many standard errors; each step nearer; in the end nearly there.
    assert means[0] < truth - 20 * errors[0]
    assert means == sorted(means)
    assert all(mean < truth + 5 * error for mean, error in zip(means, errors, strict=True))
    assert truth - means[-1] < 0.05 * (truth - means[0])
    # The KL divergence in closed form changes the spread of the bound and not its mean.
    assert float((closed - weights).mean()) == pytest.approx(0, abs=5 * float((closed - weights).std()) / count**0.5)


@pytest.mark.parametrize("proposal", [{"wide": 1.3}, {"off": 0.2}], ids=str)
def test_the_mean_weight_is_the_likelihood(proposal):
    """Without bias: the mean of w / p(x) is one, within five standard errors of many draws."""
    seen, count = observed(3), 2**17
    weights, _ = log_weights(seen, count, **proposal)
    ratio = (weights - kalman(seen)).exp()
    error = float(ratio.std()) / count**0.5
    assert error < 0.02
    assert abs(float(ratio.mean()) - 1) < 5 * error


def test_the_estimate_is_never_below_the_bound_of_the_same_draws():
    generator = torch.Generator().manual_seed(0)
    for draws in (1, 2, 7, 50):
        weights = 40 * torch.randn(draws, 500, generator=generator, dtype=torch.float64) - 3000
        estimate, bound = importance_weighted(weights), sampled_bound(weights)
        assert bool((estimate >= bound - 1e-9).all())
        assert bool((estimate <= weights.amax(0) + 1e-9).all())
        if draws == 1:
            assert_close(estimate, bound)
    equal = torch.full((9, 3), -1234.5, dtype=torch.float64)
    assert_close(importance_weighted(equal), equal[0])


def test_the_bound_with_its_divergence_in_closed_form_may_lie_above():
    """As the module says: for single draws, only the mean of the logarithms of the weights is below the estimate."""
    weights, closed = log_weights(observed(3), 500, wide=1.3)
    assert bool((closed > weights).any())
    assert bool((closed < weights).any())


def test_weights_of_nothing_and_of_zero():
    nothing = torch.tensor([0.0, -math.inf], dtype=torch.float64)
    assert float(importance_weighted(nothing)) == pytest.approx(-math.log(2))
    assert float(sampled_bound(nothing)) == -math.inf
    assert float(importance_weighted(nothing[1:])) == -math.inf
    for function in (importance_weighted, sampled_bound):
        assert function(torch.zeros(3, 0)).shape == (0,)
        for empty in (torch.zeros(0, 4), torch.tensor(1.0)):
            with pytest.raises(SizeError, match=r"The weights have the shape .*; expected \[K, ...\] with one or more"):
                function(empty)


def test_divergences_are_those_of_torch_and_never_negative():
    generator = torch.Generator().manual_seed(0)
    mean, deviation, prior, spread = torch.randn(4, 200, 3, generator=generator, dtype=torch.float64)
    deviation, spread = deviation.exp(), spread.exp()
    expected = torch_divergence(Normal(mean, deviation), Normal(prior, spread)).sum(-1)
    assert_close(kl_divergence(mean, deviation, prior, spread), expected)
    near = spread * (1 + 1e-7 * torch.randn(spread.shape, generator=generator, dtype=torch.float64))
    assert float(kl_divergence(prior, near, prior, spread).min()) > -1e-15
    assert kl_divergence(prior, spread, prior, spread).abs().max() == 0
    latent = Normal(mean, deviation).sample()
    told = (Normal(prior, spread).log_prob(latent) - Normal(mean, deviation).log_prob(latent)).sum(-1)
    assert_close(log_ratio(latent, mean, deviation, prior, spread), told)


def test_gradients_of_the_divergence():
    given = [torch.rand(2, 3, dtype=torch.float64).add(0.5).requires_grad_() for _ in range(4)]
    assert torch.autograd.gradcheck(kl_divergence, given)
    assert torch.autograd.gradcheck(importance_weighted, given[:1])
