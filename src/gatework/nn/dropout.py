"""Dropout with one mask for a whole sequence."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence


def locked_dropout(
    sequence: Tensor, rate: float, training: bool = True, packed: PackedSequence | None = None
) -> Tensor:
    """Zero features of a sequence at random, the same ones at every step of a row.

    Args:
        sequence: ``[T, B, H]``, or ``[N, H]`` for the data of a packed sequence.
        rate: The probability of zeroing; the other features are divided by ``1 - rate``.
        training: Whether to zero anything.
        packed: The packed sequence that ``[N, H]`` belongs to.

    Returns:
        The sequence, in the same shape.

    Source:
        Gal & Ghahramani 2016, arXiv:1512.05287, section 4: the masks of the inputs and outputs. The mask of the
        recurrent weights is not drawn.

    Example:
        >>> dropped = locked_dropout(torch.ones(5, 2, 8), 0.5)
        >>> bool((dropped == dropped[0]).all())
        True
    """
    if not training or not rate:
        return sequence
    rows = sequence.shape[-2] if packed is None or sequence.dim() == 3 else int(packed.batch_sizes[0])
    mask = functional.dropout(sequence.new_ones(rows, sequence.shape[-1]), rate)
    if packed is not None and sequence.dim() == 2:  # the first rows of each step, as many as have that step
        mask = mask[torch.cat([torch.arange(int(size)) for size in packed.batch_sizes]).to(mask.device)]
    return sequence * mask


def drop(sequence: Tensor, rate: float, training: bool, locked: bool, packed: PackedSequence | None) -> Tensor:
    """Zero features of a sequence at random, at each step by itself or at all steps alike; see :func:`locked_dropout`.

    Args:
        sequence: ``[T, B, H]``, or ``[N, H]`` for the data of a packed sequence.
        rate: The probability of zeroing.
        training: Whether to zero anything.
        locked: Whether the same features are zeroed at every step.
        packed: The packed sequence that ``[N, H]`` belongs to.
    """
    if locked:
        return locked_dropout(sequence, rate, training, packed)
    return functional.dropout(sequence, rate, training)


class LockedDropout(nn.Module):
    """Zero features of sequences ``[T, B, H]`` in training, the same ones at every step; see :func:`locked_dropout`.

    Args:
        rate: The probability of zeroing.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, sequence: Tensor) -> Tensor:
        """Drop features of a sequence ``[T, B, H]``."""
        return locked_dropout(sequence, self.rate, self.training)

    def extra_repr(self) -> str:
        """Print the rate."""
        return f"rate={self.rate}"
