"""Heads over numbers: plain ones, densities, and quantiles."""

from collections.abc import Sequence
from itertools import pairwise
from math import log, pi
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from gatework.errors import SizeError
from gatework.heads.head import Head, check_size, draw_class, wide

FLOOR = 1e-4
"""What is added to a standard deviation, so that no density is without bound."""


class Number(Head):
    """Numbers; the loss is the squared error, averaged over the numbers of a step.

    Args:
        size: The number of numbers.

    Example:
        >>> Number(2).loss(torch.tensor([[1.0, 4.0]]), torch.tensor([[1.0, 2.0]]))
        tensor([2.])
    """

    name: ClassVar[str] = "number"
    gives: ClassVar[str] = "numbers"
    distances: ClassVar[bool] = True
    skilled: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        super().__init__(check_size("size", size), size)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the squared errors ``[...]``, averaged over the numbers."""
        return (scores - targets).square().mean(dim=-1)

    def answer(self, scores: Tensor) -> Tensor:
        """Give the numbers ``[..., size]``."""
        return scores

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Give the numbers ``[..., size]``: this head has no distribution."""
        return scores


class Gauss(Head):
    """Numbers with a normal distribution each: a mean and a standard deviation.

    The deviation is softplus of the model's number, plus 0.0001.

    Args:
        size: The number of numbers D; the model gives D means and then D raw deviations.

    Source:
        Chung et al. 2015 (arXiv:1506.02216), section 4, for the softplus.

    Example:
        >>> head = Gauss(1)
        >>> mean, deviation = head.split(torch.tensor([[2.0, 0.5411]]))
        >>> mean, deviation.round(decimals=3), head.loss(torch.tensor([[2.0, 0.5411]]), torch.tensor([[2.0]]))
        (tensor([[2.]]), tensor([[1.]]), tensor([0.9189]))
    """

    name: ClassVar[str] = "gauss"
    gives: ClassVar[str] = "numbers with a normal distribution each"
    distances: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        super().__init__(check_size("size", size), 2 * size)

    def split(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the standard deviations ``[..., D]``."""
        mean, raw = wide(scores).split(self.size, dim=-1)
        return mean, functional.softplus(raw) + FLOOR

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the negative logarithm of the density ``[...]`` in nats, summed over the numbers."""
        mean, deviation = self.split(scores)
        return -log_normal(targets, mean, deviation).sum(dim=-1)

    def answer(self, scores: Tensor) -> Tensor:
        """Give the means ``[..., D]``."""
        return self.split(scores)[0]

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers ``[..., D]``."""
        mean, deviation = self.split(scores)
        return mean + deviation * draw_normal(mean, generator)


class Mixture(Head):
    """Numbers with a mixture of normal distributions, within each of which they are independent.

    Args:
        size: The number of numbers D.
        components: The number of components M. The model gives M raw weights, then M · D means, then M · D raw
            deviations; the deviation is softplus of it, plus 0.0001.

    Source:
        Bishop 1994, "Mixture Density Networks", equations 22 and 23, with a deviation for each number.

    Example:
        >>> head = Mixture(1, components=2)
        >>> scores = torch.tensor([[0.0, 0.0, -1.0, 1.0, 0.5411, 0.5411]])
        >>> head.answer(scores), head.loss(scores, torch.tensor([[0.0]]))
        (tensor([[0.]]), tensor([1.4189]))
    """

    name: ClassVar[str] = "mixture"
    gives: ClassVar[str] = "numbers with a mixture of normal distributions"
    distances: ClassVar[bool] = True

    def __init__(self, size: int, components: int = 10) -> None:
        super().__init__(check_size("size", size), check_size("components", components) * (1 + 2 * size))
        self.components = components

    def split(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logarithms of the weights ``[..., M]``, the means and the deviations ``[..., M, D]``."""
        count, size = self.components, self.size
        weights, means, raw = wide(scores).split([count, count * size, count * size], dim=-1)
        deviations = functional.softplus(raw) + FLOOR
        parted = (count, size)
        return functional.log_softmax(weights, dim=-1), means.unflatten(-1, parted), deviations.unflatten(-1, parted)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the negative logarithm of the density ``[...]`` in nats."""
        weights, means, deviations = self.split(scores)
        each = log_normal(targets[..., None, :], means, deviations).sum(dim=-1)  # [..., M]
        return -torch.logsumexp(weights + each, dim=-1)

    def answer(self, scores: Tensor) -> Tensor:
        """Give the means of the whole mixture ``[..., D]``."""
        weights, means, _ = self.split(scores)
        return (weights.exp()[..., None] * means).sum(dim=-2)

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a component, and numbers from it ``[..., D]``."""
        weights, means, deviations = self.split(scores)
        drawn = draw_class(weights, generator)[..., None, None].expand(*scores.shape[:-1], 1, self.size)
        mean, deviation = (each.gather(-2, drawn).squeeze(-2) for each in (means, deviations))
        return mean + deviation * draw_normal(mean, generator)


class Quantiles(Head):
    """Numbers by their quantiles; the loss is the pinball loss, averaged over levels and numbers, and not in nats.

    Each quantile is learned on its own, so two of them may cross. They are sorted wherever they are used as a
    distribution.

    Args:
        size: The number of numbers D.
        levels: The levels of the quantiles, rising, between 0 and 1. The model gives the quantiles of the first number,
            then of the second, and so on.

    Raises:
        SizeError: If there is no level, or they do not rise between 0 and 1.

    Source:
        Koenker & Bassett 1978 (doi:10.2307/1913643), equation 3.1; Chernozhukov, Fernandez-Val & Galichon 2010
        (doi:10.3982/ECTA7880) for sorting.

    Example:
        >>> head = Quantiles(1, levels=(0.1, 0.5, 0.9))
        >>> scores = torch.tensor([[-1.0, 0.0, 2.0]])
        >>> head.answer(scores), head.loss(scores, torch.tensor([[1.0]]))
        (tensor([[0.]]), tensor([0.2667]))
    """

    name: ClassVar[str] = "quantiles"
    gives: ClassVar[str] = "quantiles of numbers"
    distances: ClassVar[bool] = True

    def __init__(self, size: int, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> None:
        known = tuple(map(float, levels))
        if not known or not all(low < high for low, high in pairwise((0.0, *known, 1.0))):
            raise SizeError(f"levels is {list(known)}; expected rising numbers between 0 and 1, such as 0.1, 0.5, 0.9.")
        super().__init__(check_size("size", size), size * len(known))
        self.levels = known

    def split(self, scores: Tensor) -> Tensor:
        """Return the quantiles as the model gives them ``[..., D, Q]``."""
        return wide(scores).unflatten(-1, (self.size, len(self.levels)))

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the pinball loss ``[...]``, averaged over levels and numbers."""
        off = targets[..., None] - self.split(scores)  # [..., D, Q]
        levels = off.new_tensor(self.levels)
        return torch.maximum(levels * off, (levels - 1) * off).mean(dim=(-2, -1))

    def answer(self, scores: Tensor) -> Tensor:
        """Give the medians ``[..., D]``, between two levels if none of them is one half."""
        middle = wide(scores).new_full((*scores.shape[:-1], self.size), 0.5)
        return self.invert(scores, middle)

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers ``[..., D]``; none lies beyond the outermost quantiles, of which nothing is known."""
        shape = (*scores.shape[:-1], self.size)
        like = wide(scores)
        return self.invert(scores, torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device))

    def invert(self, scores: Tensor, levels: Tensor) -> Tensor:
        """Return the quantiles at any levels, on straight lines between those of the model.

        Args:
            scores: The numbers of the model ``[..., N]``.
            levels: A level for each number ``[..., D]``; beyond the outermost levels, those count.

        Returns:
            ``[..., D]``.
        """
        known, quantiles = levels.new_tensor(self.levels), self.split(scores).sort(dim=-1).values
        if len(known) == 1:
            return quantiles[..., 0]
        above = torch.searchsorted(known, levels.contiguous()).clamp(1, len(known) - 1)
        low, high = known[above - 1], known[above]
        share = ((levels - low) / (high - low)).clamp(0, 1)
        below, over = (quantiles.gather(-1, place[..., None]).squeeze(-1) for place in (above - 1, above))
        return torch.lerp(below, over, share)


def log_normal(values: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return the logarithm of the normal density at values, elementwise.

    Args:
        values: Where.
        mean: The means.
        deviation: The standard deviations, above 0.

    Example:
        >>> log_normal(torch.zeros(1), torch.zeros(1), torch.ones(1))
        tensor([-0.9189])
    """
    return -0.5 * ((values - mean) / deviation).square() - deviation.log() - 0.5 * log(2 * pi)


def draw_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers.

    Args:
        like: A tensor with the wanted shape, type and device.
        generator: The random generator, on this device.

    Example:
        >>> draw_normal(torch.ones(2, 3), torch.Generator()).shape
        torch.Size([2, 3])
    """
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
