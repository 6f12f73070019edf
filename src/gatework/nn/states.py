"""Convert states between the form of users and the form of the kernels.

For users, a state has torch's form: one tensor [L * D, B, H] for all layers and directions, or [L * D, H] without a
batch. If the sizes of the layers differ, it is a tuple of tensors [B, H] instead. A cell with several states has a
tuple of these. The kernels take one tuple of tensors [B, H] for every layer and direction.
"""

from typing import Any

import torch
from torch import Tensor

from gatework.nn.memories import width_of
from gatework.nn.sequences import SequenceBatch
from gatework.nn.wiring import suffix_of

State = Any  # a tensor, a tuple of tensors, or a tuple of tuples of tensors


def fresh_states(layer: Any, batch: SequenceBatch) -> list[tuple[Tensor, ...]]:
    """Return the states before the first step: zeros, or the learned ones.

    Args:
        layer: The :class:`gatework.nn.Recurrent`.
        batch: The batch that it runs.

    Returns:
        The states of every layer and direction, [B, H] each.
    """
    fresh = []
    for number, direction, one in layer._runs():
        end = suffix_of(number, direction)
        learned = (getattr(layer, f"initial_{name}{end}", None) for name in layer.cell.states)
        sizes = (width_of(one, name, batch) for name in layer.cell.states)
        fresh.append(
            tuple(
                batch.inputs[0].new_zeros(batch.rows, size) if value is None else value.expand(batch.rows, -1)
                for value, size in zip(learned, sizes, strict=True)
            )
        )
    return fresh


def taken(batch: SequenceBatch, state: State, count: int, together: bool) -> list[tuple[Tensor, ...]]:
    """Split the user's state by layer and direction.

    Args:
        batch: The batch that the state belongs to.
        state: The state in the user's form.
        count: The number of states of the cell.
        together: Whether one tensor holds all layers and directions.

    Returns:
        The states of every layer and direction, [B, H] each.
    """
    given = (state,) if count == 1 else state
    if together:
        each = [batch.take_state(part).unbind(0) for part in given]
    else:
        each = [[batch.take_state(one) for one in part] for part in given]
    return list(zip(*each, strict=True))


def given_back(batch: SequenceBatch, finals: list[tuple[Tensor, ...]], together: bool) -> State:
    """Join the states of all layers and directions for the user; the inverse of :func:`taken`."""
    each = zip(*finals, strict=True)
    if together:
        parts = tuple(batch.give_back_state(torch.stack(part)) for part in each)
    else:
        parts = tuple(tuple(batch.give_back_state(one) for one in part) for part in each)
    return parts[0] if len(parts) == 1 else parts
