"""Convert a batch between torch's form, [T, B, size] with padding, and the kernels' flat rows.

A packed batch, [N, size] as in a PackedSequence, already has flat rows.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from gatework.kernels.cpu.rows import count_rows, even_rows, lay_out


class Layout:
    """The layout of a batch for the kernels.

    Args:
        lead: T and B; N alone if the batch is packed, with its rows sorted by length.
        batch: B.
        reverse: Whether time runs from the last step to the first.
        lengths: The number of steps of each row; None if all rows have T steps.
        restart: Where rows restart, bool [T, B]; None if none does.
        order: The rows by length, the longest first; None to sort them. Of a stretch of a longer sequence, the order
            is that of the whole.
    """

    def __init__(
        self,
        lead: Sequence[int],
        batch: int,
        reverse: bool,
        lengths: Tensor | None,
        restart: Tensor | None,
        order: Tensor | None = None,
    ) -> None:
        self.lead, self.batch = tuple(lead), batch
        self.room = prod(self.lead)  # the number of rows in a tensor of the user's form
        self.order: Tensor | None = None  # the rows by length, the longest first
        self.flat: Tensor | None = None  # for each flat row, its index in [T * B]
        if lengths is None and restart is None:
            self.rows = even_rows(self.lead[0], batch, reverse)
            return
        anew = None if restart is None else restart.numpy()
        if lengths is None:
            self.rows = lay_out(np.full(self.lead[0], batch, np.int64), batch, reverse, anew)
            return
        packed = len(self.lead) == 1
        steps = int(lengths.max()) if packed else self.lead[0]
        if not packed:
            self.order = sorted_rows(lengths) if order is None else order
            lengths = lengths[self.order]
            anew = None if anew is None else anew[:, self.order.numpy()]
        counts = count_rows(lengths.numpy(), steps)
        self.rows = lay_out(counts, batch, reverse, anew)
        if self.order is not None:
            time = np.repeat(np.arange(steps), counts)
            row = np.arange(self.rows.flat) - self.rows.offsets[time]
            self.flat = torch.from_numpy(time * batch) + self.order[torch.from_numpy(row)]

    def sequence(self, tensor: Tensor) -> Tensor:
        """Convert a sequence to flat rows."""
        rows = tensor.detach().reshape(self.room, tensor.shape[-1])
        return rows if self.flat is None else rows.index_select(0, self.flat)

    def give_back(self, flat: Tensor, own: bool = False) -> Tensor:
        """Convert flat rows to the user's form, contiguous, with zeros for missing steps.

        Args:
            flat: The rows [flat rows, size].
            own: Whether the result must have its own memory, even if the rows already have that form.
        """
        if self.flat is None:
            whole = flat.reshape(*self.lead, flat.shape[1])
            return whole.clone(memory_format=torch.contiguous_format) if own else whole.contiguous()
        whole = flat.new_zeros(self.room, flat.shape[1])
        return whole.index_copy_(0, self.flat, flat).view(*self.lead, flat.shape[1])

    def state(self, tensor: Tensor) -> Tensor:
        """Sort the rows of a state."""
        return tensor.detach() if self.order is None else tensor.detach()[self.order]

    def give_back_state(self, tensor: Tensor) -> Tensor:
        """Undo :meth:`state`."""
        return unsorted(tensor, self.order)


def sorted_rows(lengths: Tensor) -> Tensor:
    """Return the rows of a batch by length, the longest first."""
    return torch.argsort(lengths, descending=True, stable=True)


def unsorted(tensor: Tensor, order: Tensor | None) -> Tensor:
    """Return rows of a batch in the caller's order; ``order`` is theirs, None if it is the caller's."""
    return tensor if order is None else torch.empty_like(tensor).index_copy_(0, order, tensor)
