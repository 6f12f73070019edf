"""Convert states between the form of users and the form of the kernels.

For users, a state has torch's form: one tensor [L * D, B, H] for all layers and directions, or [L * D, H] without a
batch. If the sizes of the layers differ, it is a tuple of tensors [B, H] instead. A cell with several states has a
tuple of these. The kernels take one tuple of tensors [B, H] for every layer and direction.
"""

from typing import Any

import torch
from torch import Tensor

from gatework.errors import SizeError
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
                batch.inputs[0].new_zeros(batch.rows, size) if value is None else value.expand(batch.rows, size)
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


def last_states(layer: Any, state: State) -> Tensor:
    """Join the states in which both directions of the highest layer end: what one reads of a sequence as a whole.

    At the last step, the output of the reverse direction has seen that step alone. Its last state, after the first
    step, has seen all of them. For a layer of one direction, this is the output at the last step of each row.

    Args:
        layer: A :class:`gatework.nn.Recurrent`.
        state: The state that it returned.

    Returns:
        [B, D * H]: the last output of the forward and of the reverse direction; [D * H] without a batch. Connections
        between layers and ``skip`` are not part of it.

    Raises:
        SizeError: If the state is not one of this layer.

    Example:
        >>> import gatework
        >>> layer = gatework.LSTM(3, 4, num_layers=2, bidirectional=True)
        >>> output, state = layer(torch.zeros(5, 2, 3))
        >>> last_states(layer, state).shape
        torch.Size([2, 8])
    """
    names, directions = layer.cell.states, layer.wiring.directions
    outputs = state if len(names) == 1 else state[0] if isinstance(state, tuple | list) and state else None
    if not isinstance(outputs, Tensor | tuple | list) or len(outputs) != len(layer.layers) * directions:
        told = "None" if state is None else f"a {type(state).__name__}"
        raise SizeError(
            f"state is {told} that does not have the {len(layer.layers)} layers in {directions} directions of this "
            "layer. Give the state that it returned."
        )
    return torch.cat([*outputs[-directions:]], -1)
