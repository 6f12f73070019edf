"""Rows with holes: a step that a mask hides keeps the row's state, as if it had been deleted.

The kernels know rows that end early, but no holes. So the steps of each row move up to its start, the kernels run them
with lengths, and the results move back. What is hidden is padding then, which nothing reads.
"""

import torch
from torch import Tensor
from torch.nn import functional


def places(mask: Tensor) -> Tensor:
    """Give every step a place in its row, such that the steps that count come first, in their order.

    Args:
        mask: bool [T, B], False at hidden steps.

    Returns:
        The places, int64 [T, B]; each row holds every number from 0 to T - 1 once.

    Example:
        >>> places(torch.tensor([[False], [True], [False], [True]])).flatten()
        tensor([2, 0, 3, 1])
    """
    hidden = ~mask
    # An explicit type, because a sum of booleans has another one in some exporters.
    after = mask.sum(0, dtype=torch.int64) + hidden.cumsum(0, dtype=torch.int64)
    return torch.where(mask, mask.cumsum(0, dtype=torch.int64), after) - 1


def move_up(sequence: Tensor, place: Tensor) -> Tensor:
    """Move every step of a sequence [T, B, size] to its place."""
    return torch.zeros_like(sequence).scatter(0, _spread(place, sequence), sequence)


def move_back(sequence: Tensor, place: Tensor) -> Tensor:
    """Move every step of a result [at most T, B, ...] back from its place; the rest is zero.

    Args:
        sequence: The result, zero at the places of hidden steps.
        place: From :func:`places`.
    """
    missing = place.shape[0] - sequence.shape[0]
    whole = functional.pad(sequence, (*(0, 0) * (sequence.dim() - 1), 0, missing))
    return whole.gather(0, _spread(place, whole))


def move_starts(reset: Tensor, place: Tensor) -> Tensor:
    """Move the starts of sequences, bool [T, B]; a start at a hidden step belongs to the row's next step that counts.

    Example:
        >>> place = places(torch.tensor([[True], [False], [True]]))
        >>> move_starts(torch.tensor([[False], [True], [False]]), place).flatten()[:2]
        tensor([False,  True])
    """
    number = reset.cumsum(0, dtype=torch.int64)  # of the sequence that each step belongs to
    number = torch.zeros_like(number).scatter(0, place.to(number.device), number)
    return number != functional.pad(number, (0, 0, 1, 0))[:-1]


def _spread(place: Tensor, sequence: Tensor) -> Tensor:
    return place.reshape(*place.shape, *(1,) * (sequence.dim() - 2)).to(sequence.device).expand(sequence.shape)
