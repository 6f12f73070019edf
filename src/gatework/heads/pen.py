"""The head of online handwriting: where the pen goes next, and whether it is lifted."""

from math import log, pi
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from gatework.errors import SizeError
from gatework.heads.amounts import FLOOR, draw_normal
from gatework.heads.head import Head, check_size, draw_class, wide
from gatework.heads.symbols import draw_bits

# The largest correlation. At 1, a density would be without bound.
_MOST_CORRELATED = 1 - 1e-4


class Pen(Head):
    """The next offset of a pen and the end of a stroke: a mixture of normal distributions in the plane, and a bit.

    A target is two offsets and 1 where a stroke ends, 0 elsewhere. The model gives 6 M + 1 numbers: one for the end,
    then M raw weights, M pairs of means, M pairs of logarithms of deviations and M raw correlations.

    Differences from the paper: 0.0001 is added to each deviation, and no correlation is beyond 0.9999 in size, so that
    no density is without bound. The loss depends on the scale of the offsets.

    Args:
        size: The number of numbers of a target, which is 3.
        components: The number of components M.

    Raises:
        SizeError: If the size is not 3, or there is no component.

    Source:
        Graves 2013 (arXiv:1308.0850), equations 17 to 26, and 61 to 62 for the bias.

    Example:
        >>> head = Pen(components=20)
        >>> head.numbers, head.loss(torch.zeros(1, 121), torch.zeros(1, 3))
        (121, tensor([2.5312]))
    """

    name: ClassVar[str] = "pen"
    gives: ClassVar[str] = "the offset of a pen, and whether a stroke ends"

    def __init__(self, size: int = 3, components: int = 20) -> None:
        if size != 3:
            raise SizeError(f"size is {size!r}; expected 3 for a pen: two offsets and the end of a stroke.")
        super().__init__(size, 6 * check_size("components", components) + 1)
        self.components = components

    def split(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the parameters of the distribution.

        Args:
            scores: The numbers of the model ``[..., 6 M + 1]``.

        Returns:
            The log-odds of the end of a stroke ``[...]``, the logarithms of the weights ``[..., M]``, the means
            ``[..., M, 2]``, the logarithms of the deviations ``[..., M, 2]`` and the correlations ``[..., M]``.
        """
        count = self.components
        end, weights, means, raw, correlations = wide(scores).split([1, count, 2 * count, 2 * count, count], dim=-1)
        # Equation 18 has the opposite sign of torch's sigmoid. A deviation is the exponential, plus the floor.
        logs = torch.logaddexp(raw, raw.new_full((), log(FLOOR))).unflatten(-1, (count, 2))
        correlation = _MOST_CORRELATED * torch.tanh(correlations)
        return -end[..., 0], functional.log_softmax(weights, dim=-1), means.unflatten(-1, (count, 2)), logs, correlation

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the negative logarithm of the density of the offset and of the bit ``[...]``, in nats."""
        end, weights, means, logs, correlation = self.split(scores)
        first, second = ((targets[..., None, :2] - means) * torch.exp(-logs)).unbind(dim=-1)  # [..., M]
        rest = (1 - correlation) * (1 + correlation)
        # Equation 25 divided by 1 - correlation², as a sum of squares, which cannot be below 0.
        away = first.square() + (second - correlation * first).square() / rest
        each = weights - logs.sum(dim=-1) - 0.5 * (rest.log() + away) - log(2 * pi)
        bit = functional.binary_cross_entropy_with_logits(end, targets[..., 2].to(end.dtype), reduction="none")
        return bit - torch.logsumexp(each, dim=-1)

    def answer(self, scores: Tensor) -> Tensor:
        """Give the mean offset of the whole mixture, and the more probable bit ``[..., 3]``."""
        end, weights, means, _, _ = self.split(scores)
        offset = (weights.exp()[..., None] * means).sum(dim=-2)
        return torch.cat([offset, (end > 0).to(offset.dtype)[..., None]], dim=-1)

    @classmethod
    def judged(cls, tolerance: float | None = None) -> bool:
        """Tell that it is not defined which strokes are correct."""
        return False

    def sample(self, scores: Tensor, generator: torch.Generator, bias: float = 0.0) -> Tensor:
        """Draw offsets and ends of strokes.

        Args:
            scores: The numbers of the model ``[..., 6 M + 1]``.
            generator: The random generator, on the device of the scores.
            bias: 0 for the distribution of the model; above 0, offsets come nearer to the most probable ones, and the
                writing becomes more regular.

        Returns:
            ``[..., 3]``.

        Raises:
            SizeError: If the bias is below 0.
        """
        if not 0 <= bias < float("inf"):
            raise SizeError(f"bias is {bias!r}; expected 0 (the distribution of the model) or a number above it.")
        end, weights, means, logs, correlation = self.split(scores)
        drawn = draw_class(weights * (1 + bias), generator)[..., None]
        pair = drawn[..., None].expand(*drawn.shape, 2)
        mean, deviation = means.gather(-2, pair).squeeze(-2), torch.exp(logs.gather(-2, pair).squeeze(-2) - bias)
        tie = correlation.gather(-1, drawn)[..., 0]
        first, second = draw_normal(mean, generator).unbind(dim=-1)
        second = tie * first + ((1 - tie) * (1 + tie)).sqrt() * second
        offset = mean + deviation * torch.stack([first, second], dim=-1)
        return torch.cat([offset, draw_bits(end, generator)[..., None]], dim=-1)
