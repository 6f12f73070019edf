"""The way between a batch as torch has it, [T, B, size] with padding, and flat rows as the kernels have it."""

import numpy as np
import torch
from torch import Tensor

from gatework.kernels.cpu.rows import even_rows, lay_out


class Layout:
    """A batch as the kernels lay it out.

    Args:
        steps: T.
        batch: B.
        reverse: Whether time runs backwards.
        lengths: How many steps of each row count; None where all do.
        restart: Where rows start anew, bool [T, B]; None where none does.
    """

    def __init__(self, steps: int, batch: int, reverse: bool, lengths: Tensor | None, restart: Tensor | None) -> None:
        self.steps, self.batch = steps, batch
        self.order: Tensor | None = None  # the rows by length, the longest first
        self.flat: Tensor | None = None  # for each flat row, its place in [T * B]
        if lengths is None and restart is None:
            self.rows = even_rows(steps, batch, reverse)
            return
        anew = None if restart is None else restart.numpy()
        counts = np.full(steps, batch, np.int64)
        if lengths is not None:
            self.order = torch.argsort(lengths, descending=True, stable=True)
            ordered = lengths[self.order].numpy()
            counts = (ordered[None, :] > np.arange(steps)[:, None]).sum(1)
            anew = None if anew is None else anew[:, self.order.numpy()]
        self.rows = lay_out(counts, batch, reverse, anew)
        if self.order is not None:
            time = np.repeat(np.arange(steps), counts)
            row = np.arange(self.rows.flat) - self.rows.offsets[time]
            self.flat = torch.from_numpy(time * batch) + self.order[torch.from_numpy(row)]

    def sequence(self, tensor: Tensor) -> Tensor:
        """Lay [T, B, size] out as flat rows."""
        tensor = tensor.detach()
        if self.flat is None:
            return tensor.reshape(self.steps * self.batch, tensor.shape[2])
        return tensor.reshape(self.steps * self.batch, tensor.shape[2]).index_select(0, self.flat)

    def give_back(self, flat: Tensor) -> Tensor:
        """Bring flat rows back to [T, B, size], with zeros where there is nothing."""
        if self.flat is None:
            return flat.reshape(self.steps, self.batch, flat.shape[1]).contiguous()
        whole = flat.new_zeros(self.steps * self.batch, flat.shape[1])
        return whole.index_copy_(0, self.flat, flat).view(self.steps, self.batch, flat.shape[1])

    def state(self, tensor: Tensor) -> Tensor:
        """Sort the rows of a state."""
        return tensor.detach() if self.order is None else tensor.detach()[self.order]

    def give_back_state(self, tensor: Tensor) -> Tensor:
        """Undo :meth:`state`."""
        if self.order is None:
            return tensor
        return torch.empty_like(tensor).index_copy_(0, self.order, tensor)
