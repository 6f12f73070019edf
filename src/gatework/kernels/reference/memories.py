"""Functions of a memory's positions in torch.

What has a value at each position has the shape [B, L, size], and [B, L, 1] if that is one number. A mask, bool
[B, L, 1], says which positions a row has; None if all rows have all of them. Positions that a row does not have are
held like its first one, so that no infinite value comes up there; nothing reads them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Mask = Tensor | None


def mask_of(bank: Tensor, extents: Tensor | None) -> Mask:
    """Return the mask of the positions that rows have."""
    if extents is None:
        return None
    return (torch.arange(bank.shape[1], device=bank.device) < extents.to(bank.device)[:, None])[..., None]


def without_rest(bank: Tensor, mask: Mask) -> Tensor:
    """Return a bank [B, L, size] with nothing of what lies beyond the rows' positions."""
    if mask is None:
        return bank
    first = torch.where(mask[:, :1], bank[:, :1], 0)
    return torch.where(mask, bank, first)


def spread_out(vector: Any) -> Any:
    """Give a vector for each row, [B, size], an axis for positions. A number, or a vector for all rows, needs none."""
    return vector.unsqueeze(-2) if isinstance(vector, Tensor) and vector.dim() > 1 else vector


def _match(bank: Tensor, vector: Tensor, mask: Mask) -> Tensor:
    return bank @ vector.unsqueeze(-1)


def _weigh(numbers: Tensor, bank: Tensor, mask: Mask) -> Tensor:
    return (_existing(numbers, mask).mT @ _existing(bank, mask)).squeeze(-2)


def _spread(numbers: Tensor, vector: Tensor, mask: Mask) -> Tensor:
    return numbers * spread_out(vector)


def _softmax(numbers: Tensor, mask: Mask) -> Tensor:
    if mask is None:
        return torch.softmax(numbers, -2)
    # A row without positions has no greatest number. It gets any weights here, and none on the next line.
    some = numbers.masked_fill(~mask & mask.any(-2, keepdim=True), -torch.inf)
    return torch.softmax(some, -2).masked_fill(~mask, 0)


def _total(bank: Tensor, mask: Mask) -> Tensor:
    return _existing(bank, mask).sum(-2)


def _exists(bank: Tensor, mask: Mask) -> Tensor:
    return _existing(torch.ones_like(bank[..., :1]), mask)


def _place(bank: Tensor, mask: Mask) -> Tensor:
    places = torch.arange(1, bank.shape[-2] + 1, dtype=bank.dtype, device=bank.device)[:, None]
    return places.expand(*bank.shape[:-1], 1)


def _shift(bank: Tensor, by: float, mask: Mask) -> Tensor:
    count, by = bank.shape[-2], int(by)
    kept = _existing(bank, mask).narrow(-2, min(count, max(0, -by)), max(0, count - abs(by)))
    room = bank.new_zeros(*bank.shape[:-2], min(abs(by), count), bank.shape[-1])
    return torch.cat([room, kept] if by > 0 else [kept, room], -2)


def _existing(bank: Tensor, mask: Mask) -> Tensor:
    return bank if mask is None else bank.masked_fill(~mask, 0)


POSITIONAL: dict[str, Callable[..., Tensor]] = {
    "match": _match,
    "weigh": _weigh,
    "spread": _spread,
    "softmax": _softmax,
    "total": _total,
    "exists": _exists,
    "place": _place,
    "shift": _shift,
}
"""The function for each row of the table of functions that reads a memory's positions; the mask comes last."""
