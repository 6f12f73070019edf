"""The batches of a text: parallel streams, read one window at a time."""

import torch
from torch import Tensor

from gatework.errors import DataError


class Streams:
    """A text as ``batch_size`` parallel streams; each window of a stream continues where the previous one ended.

    Stream b is the b-th of ``batch_size`` equal parts, so a rest of fewer than ``batch_size`` symbols at the very end
    is not used for training. An epoch is cut into windows whose lengths differ by at most one, so that there is no
    short last window.

    Args:
        tokens: The numbers of the training split ``[n]``.
        start: The number that precedes the first symbol.
        batch_size: The number of streams.
        window: The most symbols of a window.

    Raises:
        DataError: If the text is too short for this number of streams.
    """

    def __init__(self, tokens: Tensor, start: int, batch_size: int, window: int) -> None:
        self.length = len(tokens) // batch_size
        if self.length < 2:
            raise DataError(
                f"The training text has {len(tokens):,} symbols, too few for {batch_size} streams of at least 2. "
                "Give more text, or a smaller --batch-size."
            )
        self.start = start
        # A view, whatever the type of the numbers: a copy of a long text would fill the memory.
        self.rows = tokens[: self.length * batch_size].view(batch_size, self.length)
        self.windows_per_epoch = -(-self.length // window)

    def window(self, index: int, rows: slice) -> tuple[Tensor, Tensor]:
        """Return one window of some of the streams.

        Args:
            index: The index of the window in the epoch, from 0.
            rows: The streams to select.

        Returns:
            The inputs and the targets of the model, each ``[T, B]``, int64.
        """
        begin = self.length * index // self.windows_per_epoch
        return self.between(begin, self.length * (index + 1) // self.windows_per_epoch, rows)

    def between(self, begin: int, end: int, rows: slice) -> tuple[Tensor, Tensor]:
        """Return some steps of some of the streams.

        Args:
            begin: The first step.
            end: The one after the last.
            rows: The streams to select.

        Returns:
            The inputs and the targets of the model, each ``[T, B]``, int64.
        """
        targets = self.rows[rows, begin:end]
        if begin:
            read = self.rows[rows, begin - 1 : end - 1]
        else:
            # Before the first symbol of a stream stands the last one of the stream above.
            first = torch.cat([self.rows.new_tensor([self.start]), self.rows[:-1, -1]])
            read = torch.cat([first[rows, None], self.rows[rows, : end - 1]], dim=1)
        return read.t().long(), targets.t().long()
