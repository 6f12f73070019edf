"""The batches of a text: streams read side by side, a window at a time."""

import torch
from torch import Tensor

from gatework.errors import DataError


class Streams:
    """A text as ``batch_size`` streams read side by side, each going on where its last window ended.

    Stream b holds the b-th of ``batch_size`` equal parts, so fewer than ``batch_size`` symbols at the very end are not
    trained on. An epoch is cut into windows whose lengths differ by at most one, so that none is a useless short rest.

    Args:
        tokens: The numbers of the training split ``[n]``.
        start: The number that the first symbol is predicted from.
        batch_size: How many streams.
        window: The most symbols of a window.

    Raises:
        DataError: When the text is too short for so many streams.
    """

    def __init__(self, tokens: Tensor, start: int, batch_size: int, window: int) -> None:
        self.length = len(tokens) // batch_size
        if self.length < 2:
            raise DataError(
                f"the training text has {len(tokens):,} symbols, too few for {batch_size} streams of at least 2: "
                "give more text, or a smaller --batch-size"
            )
        used = tokens[: self.length * batch_size]
        before = torch.cat([used.new_tensor([start]), used[:-1]])
        self.targets = used.view(batch_size, self.length)
        self.inputs = before.view(batch_size, self.length)
        self.windows = -(-self.length // window)

    def window(self, index: int, rows: slice) -> tuple[Tensor, Tensor]:
        """Give one window of some of the streams.

        Args:
            index: The window's place in the epoch, from 0.
            rows: Which streams.

        Returns:
            What the model reads and what it is to predict, each ``[T, B]``, int64.
        """
        begin = self.length * index // self.windows
        end = self.length * (index + 1) // self.windows
        return self.inputs[rows, begin:end].t().long(), self.targets[rows, begin:end].t().long()
