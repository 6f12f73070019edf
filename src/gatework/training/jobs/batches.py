"""The batches of a sequence task: drawn for every step or read in passes, whole or piece by piece."""

from functools import cached_property

import numpy as np
import torch

from gatework.runs.seeds import mixed_seed
from gatework.tasks.task import Batch, Recording, Split, Synthetic, Task
from gatework.training.jobs.gaps import draw_gap
from gatework.training.jobs.truncation import Piece, cut_piece, windows_of

# The uses of random generators, each with its own seed.
_FOR: dict[Split, int] = {"train": 0, "valid": 1, "test": 2}
_SHUFFLE, _DISTURB = 3, 4


class Batches:
    """The batches of a run.

    Args:
        seed: The seed of the run.
        size: The number of sequences of a training batch.
        task: The task.
        gap: Its gap.
        shortest_gap: The shortest gap in training; None for ``gap``.
        recording: The recorded sequences; None if they are drawn.
        tbptt: See :class:`gatework.TrainConfig`.
    """

    def __init__(
        self,
        seed: int,
        size: int,
        task: Task,
        gap: int,
        shortest_gap: int | None,
        recording: Recording | None,
        tbptt: tuple[int, int] | None,
    ) -> None:
        self.seed, self.size, self.task, self.gap, self.shortest_gap = seed, size, task, gap, shortest_gap
        self.recording, self.tbptt = recording, tbptt
        self._last: tuple[int, Batch] | None = None

    def draw(self, split: Split, size: int, number: int) -> Batch:
        """Draw sequences.

        Args:
            split: The split.
            size: The number of sequences.
            number: The number of the batch, which decides the sequences.
        """
        examples = self.task.examples
        assert isinstance(examples, Synthetic)
        rng = np.random.default_rng(mixed_seed(self.seed, _FOR[split], number))
        shortest = self.shortest_gap if split == "train" else None
        gap = self.gap if shortest is None else draw_gap(rng, shortest, self.gap)
        return examples.draw(rng, size, gap, split)

    @cached_property
    def per_pass(self) -> int | None:
        """The number of batches of a pass over recorded sequences; None if sequences are drawn."""
        if self.recording is None or not self.recording.splits:
            return None
        return self.recording.splits["train"].size // self.size

    def training(self, step: int) -> tuple[Batch, Piece]:
        """Return the batch of a step, and the steps of its sequences that the step reads."""
        number = step // self.pieces
        # The last one is held, because its pieces are read one after the other.
        if self._last is None or self._last[0] != number:
            self._last = number, self._next(number)
        batch = self._last[1]
        return batch, self._piece(step, len(batch.inputs))

    def _next(self, number: int) -> Batch:
        if self.recording is None or self.per_pass is None:
            return self.draw("train", self.size, number)
        epoch, index = divmod(number, self.per_pass)
        rng = np.random.default_rng(mixed_seed(self.seed, _SHUFFLE, epoch))
        train = self.recording.splits["train"]
        # Each pass has another order, so the few sequences that do not fill a batch differ from pass to pass.
        order = rng.permutation(train.size)[index * self.size : (index + 1) * self.size]
        batch = train.columns(torch.from_numpy(order))
        if self.recording.disturb is None:
            return batch
        return self.recording.disturb(batch, np.random.default_rng(mixed_seed(self.seed, _DISTURB, number)))

    def carries(self, step: int) -> bool:
        """Tell whether a state is carried to a step."""
        return self.pieces > 1 and self._piece(step, self._length).begin > 0

    def _piece(self, step: int, length: int) -> Piece:
        back = 0 if self.tbptt is None else self.tbptt[1] - self.tbptt[0]
        return cut_piece(length, self.pieces, step % self.pieces, back)

    @cached_property
    def pieces(self) -> int:
        """The number of pieces into which a batch is cut, each of which is read in one step."""
        return windows_of(self.task) if self.tbptt is None else -(-self._length // self.tbptt[0])

    @cached_property
    def _length(self) -> int:
        """The number of steps of the first training batch."""
        return len(self.draw("train", 1, 0).inputs)
