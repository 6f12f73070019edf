"""States between users and kernels.

Outside, a state has the form of torch's: all layers and directions in one tensor [L * D, B, H], without a batch
[L * D, H]; where sizes differ from layer to layer, a tuple of tensors [B, H] in its place. A cell with several states
has a tuple of such. Inside there is, for every layer and direction, one tuple of tensors [B, H].
"""

from typing import Any

import torch
from torch import Tensor

from gatework.nn.sequences import Batch

State = Any  # a tensor, a tuple of tensors, or a tuple of tuples of tensors


def taken(batch: Batch, state: State, count: int, together: bool) -> list[tuple[Tensor, ...]]:
    """Take a user's state apart.

    Args:
        batch: The batch it belongs to.
        state: The state as the user has it.
        count: The number of states of the cell.
        together: Whether all layers and directions lie in one tensor.

    Returns:
        For every layer and direction its states, [B, H] each.
    """
    given = (state,) if count == 1 else state
    if together:
        each = [batch.take_state(part).unbind(0) for part in given]
    else:
        each = [[batch.take_state(one) for one in part] for part in given]
    return list(zip(*each, strict=True))


def given_back(batch: Batch, finals: list[tuple[Tensor, ...]], together: bool) -> State:
    """Put a state together for the user; the opposite of :func:`taken`."""
    each = zip(*finals, strict=True)
    if together:
        parts = tuple(batch.give_back_state(torch.stack(part)) for part in each)
    else:
        parts = tuple(tuple(batch.give_back_state(one) for one in part) for part in each)
    return parts[0] if len(parts) == 1 else parts
