"""Bounds on the likelihood of models with latent variables, and its estimate by importance weights.

A model says how latent numbers z are drawn, p(z), and what follows from them, p(x | z). The likelihood p(x) is an
integral over all z, which is rarely known. A network q(z | x) proposes z, and each draw of it has a weight

    w = p(x | z) p(z) / q(z | x),   whose mean over q is p(x).

With K draws for one x this module forms two numbers from the logarithms of their weights:

- the bound, mean(log w), whose expectation is at most log p(x) (Kingma & Welling 2014, equation 3);
- the estimate, log mean(w), whose expectation is at most log p(x) too, never falls when K grows, and reaches it in the
  limit if the weights are bounded (Burda, Grosse & Salakhutdinov 2016, theorem 1).

For the same draws the estimate is never below the bound: the logarithm of a mean is at least the mean of the
logarithms. That holds for every single set of draws. It does not hold for the bound with its KL divergence in closed
form, ``log p(x | z) - KL(q, p)``: that has the same expectation as log w but another value in each draw, so there the
order holds for the expectations alone.
"""

from math import log

import torch
from torch import Tensor

from gatework.errors import SizeError
from gatework.heads.amounts import log_normal


def kl_divergence(mean: Tensor, deviation: Tensor, prior_mean: Tensor, prior_deviation: Tensor) -> Tensor:
    """Return the KL divergence of independent normal numbers from others, summed over the numbers.

    Args:
        mean: The means of q ``[..., Z]``.
        deviation: The standard deviations of q ``[..., Z]``, above 0.
        prior_mean: The means of p ``[..., Z]``.
        prior_deviation: The standard deviations of p ``[..., Z]``, above 0.

    Returns:
        KL(q, p) in nats ``[...]``, 0 or more.

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), appendix B, for any normal prior.

    Example:
        >>> one = torch.ones(1)
        >>> kl_divergence(one, one, 0 * one, one), kl_divergence(one, one, one, one)
        (tensor(0.5000), tensor(0.))
    """
    ratio = deviation / prior_deviation
    shift = (mean - prior_mean) / prior_deviation
    # Written as a product, the difference of squares keeps its digits where both deviations are nearly equal.
    return (0.5 * shift.square() + 0.5 * (ratio - 1) * (ratio + 1) - ratio.log()).sum(dim=-1)


def log_ratio(latent: Tensor, mean: Tensor, deviation: Tensor, prior_mean: Tensor, prior_deviation: Tensor) -> Tensor:
    """Return log p(z) - log q(z) for independent normal numbers, summed over the numbers.

    Its mean over draws from q is minus the KL divergence.

    Args:
        latent: The numbers z ``[..., Z]``.
        mean: The means of q ``[..., Z]``.
        deviation: The standard deviations of q ``[..., Z]``, above 0.
        prior_mean: The means of p ``[..., Z]``.
        prior_deviation: The standard deviations of p ``[..., Z]``, above 0.

    Returns:
        ``[...]``, in nats.

    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> log_ratio(zero, one, one, zero, one)
        tensor(0.5000)
    """
    return (log_normal(latent, prior_mean, prior_deviation) - log_normal(latent, mean, deviation)).sum(dim=-1)


def sampled_bound(log_weights: Tensor) -> Tensor:
    """Return the mean of the logarithms of weights: a bound on log p(x), in expectation.

    Args:
        log_weights: The logarithm of the weight of each draw ``[K, ...]``, in nats.

    Returns:
        ``[...]``, in nats.

    Raises:
        SizeError: If there is no draw.

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), equation 3.

    Example:
        >>> sampled_bound(torch.tensor([[0.0], [-2.0]]))
        tensor([-1.])
    """
    _check_draws(log_weights)
    return log_weights.mean(dim=0)


def importance_weighted(log_weights: Tensor) -> Tensor:
    """Return the logarithm of the mean of weights: the importance-weighted estimate of log p(x).

    It is never below :func:`sampled_bound` of the same weights, and equal to it for one draw or equal weights.

    Args:
        log_weights: The logarithm of the weight of each draw ``[K, ...]``, in nats. A draw of weight 0 has minus
            infinity.

    Returns:
        ``[...]``, in nats.

    Raises:
        SizeError: If there is no draw.

    Source:
        Burda, Grosse & Salakhutdinov 2016 (arXiv:1509.00519), equation 8.

    Example:
        >>> importance_weighted(torch.tensor([[0.0], [-2.0]]))
        tensor([-0.5662])
    """
    _check_draws(log_weights)
    return torch.logsumexp(log_weights, dim=0) - log(len(log_weights))


def _check_draws(log_weights: Tensor) -> None:
    if log_weights.dim() == 0 or not len(log_weights):
        raise SizeError(
            f"The weights have the shape {list(log_weights.shape)}; expected [K, ...] with one or more draws K."
        )
