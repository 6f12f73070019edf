"""Figures about units: which ones follow a mark, which are alike, which are at their bounds."""

import math

import numpy as np
import torch
from torch import Tensor

# An order by similarity takes all eigenvectors of a matrix [H, H]. Beyond this size, it would take many seconds.
MOST_ORDERED = 2048
_EDGE = 0.1


def follow(values: Tensor, marked: Tensor) -> Tensor:
    """Measure how well each unit separates marked positions from the others.

    Args:
        values: The units' values [T, H].
        marked: Which positions are marked, bool [T]. At least one is, and at least one is not.

    Returns:
        For each unit the probability that its value is larger at a marked position than at another, with ties counted
        as half: the area under the ROC curve [H], float64. 0.5 separates nothing, 0 and 1 separate perfectly.

    Example:
        >>> follow(torch.tensor([[1.0], [3.0], [2.0]]), torch.tensor([False, True, False]))
        tensor([1.], dtype=torch.float64)
    """
    values = values.nan_to_num()
    inside = values[marked].t().contiguous()
    outside = values[~marked].t().contiguous().sort(dim=1).values
    below = torch.searchsorted(outside, inside, right=False).sum(1)
    upto = torch.searchsorted(outside, inside, right=True).sum(1)
    return (below + upto).double() / (2.0 * inside.shape[1] * outside.shape[1])


def order_by_similarity(values: Tensor) -> list[int]:
    """Order units so that units that rise and fall together stand side by side.

    The order is that of the second eigenvector of the graph of their correlations (Atkins, Boman & Hendrickson 1998).

    Args:
        values: The units' values [T, H].

    Returns:
        The units in order; unchanged if there are more than :data:`MOST_ORDERED`.

    Example:
        >>> rising, falling = torch.arange(9.0), -torch.arange(9.0)
        >>> order_by_similarity(torch.stack([rising, falling, 2 * rising, 3 * falling], 1))[:2] in ([0, 2], [1, 3])
        True
    """
    count = values.shape[1]
    if count > MOST_ORDERED or count < 3:
        return list(range(count))
    wide = values.nan_to_num().double()
    centred = wide - wide.mean(0)
    length = centred.norm(dim=0)
    unit = centred / torch.where(length > 0, length, torch.ones_like(length))
    alike = (1 + unit.t() @ unit) / 2
    graph = torch.diag(alike.sum(1)) - alike
    second = torch.linalg.eigh(graph).eigenvectors[:, 1]
    # The sign of an eigenvector is arbitrary. It is fixed here, so that the order is always the same.
    largest = second.abs().argmax()
    return (second * second[largest].sign()).argsort(stable=True).tolist()


def saturation(values: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Measure how often each unit is within a tenth of its bounds (as in Karpathy et al. 2015, arXiv:1506.02078).

    Args:
        values: The units' values [T, H].
        low: The lower bound.
        high: The upper bound.

    Returns:
        The fraction of the steps near the lower bound, and near the upper one, [H] each.
    """
    edge = _EDGE * (high - low)
    near_low = (values < low + edge).double().mean(0)
    near_high = (values > high - edge).double().mean(0)
    return near_low, near_high


def extremes(values: Tensor, bucket: Tensor, buckets: int) -> Tensor:
    """Take the least and greatest value of each bucket.

    Args:
        values: The values [n, H].
        bucket: The bucket of each row [n], int64, from 0 to ``buckets`` - 1, in order.
        buckets: The number of buckets.

    Returns:
        [buckets, 2, H]. A bucket without rows has inf and -inf.
    """
    limits = torch.tensor([math.inf, -math.inf]).expand(values.shape[1], buckets, 2).permute(1, 2, 0).clone()
    filled, counts = bucket.unique_consecutive(return_counts=True)
    begins = (counts.cumsum(0) - counts).numpy()
    limits[filled, 0] = torch.from_numpy(np.minimum.reduceat(values.float().numpy(), begins))
    limits[filled, 1] = torch.from_numpy(np.maximum.reduceat(values.float().numpy(), begins))
    return limits
