"""The head of transcripts: a few labels for a long sequence, without saying where each of them is."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from gatework.data.targets import IGNORED
from gatework.decoding.ctc import collapse, ctc_best_path
from gatework.errors import DataError
from gatework.heads.head import Head, check_size, draw_class, unchanged, wide


class Transcript(Head):
    """The labels of a sequence in their order, over all ways to align them with its steps (CTC).

    The model gives a score for each label and, as the last number, for the blank. A path names a label or the blank at
    every step; its labels are what is left when repeats and then blanks are taken out. So T steps take at most T
    labels, and two equal labels in a row need a blank between them.

    Targets are the labels from the first step on, time first ``[S, B]``, with -100 after the last label. S may be below
    the number of steps T.

    Args:
        size: The number of labels K, without the blank, whose number is K.

    Source:
        Graves, Fernandez, Gomez & Schmidhuber 2006 (doi:10.1145/1143844.1143891), equations 1 to 8; the sum over paths
        is ``torch.nn.functional.ctc_loss``.

    Example:
        >>> head = Transcript(2)
        >>> scores = torch.zeros(2, 1, 3)  # two steps of one sequence, in which all nine paths are equally probable
        >>> nats = head.losses(scores, torch.tensor([[0]]))
        >>> nats.exp()  # paths 0 0, 0 blank, blank 0
        tensor([3.])
        >>> head.answers(torch.tensor([[[0.0, 3, 0]], [[0.0, 3, 0]], [[4.0, 0, 0]]]))
        [[1, 0]]
    """

    name: ClassVar[str] = "transcript"
    gives: ClassVar[str] = "the labels of a sequence, without their places"
    counted: ClassVar[bool] = True
    whole: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        super().__init__(check_size("size", size), size + 1)

    @property
    def blank(self) -> int:
        """The number of the blank."""
        return self.size

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each sequence ``[B]``; see :meth:`losses`."""
        return self.losses(scores, targets)

    def losses(
        self,
        output: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        read: Callable[[Tensor], Tensor] = unchanged,
    ) -> Tensor:
        """Return the negative logarithm of the probability of the labels of each sequence.

        Args:
            output: What ``read`` turns into the scores ``[T, B, H]``.
            targets: The labels ``[S, B]``, with -100 after the last one.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            read: The map of the model; by default the output is the scores.

        Returns:
            ``[B]``, in nats.

        Raises:
            DataError: If a label is not one, labels come after -100, or a sequence has too few steps for its labels.
        """
        scores = functional.log_softmax(wide(read(output)), dim=-1)
        steps, size = scores.shape[:2]
        labels = (targets != IGNORED).sum(dim=0).cpu()
        last = torch.full((size,), steps) if lengths is None else lengths.cpu()
        self._check(targets, labels, last)
        if not steps or not size:
            return scores.sum(dim=(0, 2))  # 0 for each sequence: no steps have no labels
        # Places after the last label are not read, but have to hold a label.
        filled = functional.pad(targets.clamp(min=0).T, (0, 1))  # one more, because torch takes no empty tensor
        return functional.ctc_loss(scores, filled, last, labels, blank=self.blank, reduction="none")

    def _check(self, targets: Tensor, labels: Tensor, lengths: Tensor) -> None:
        """Refuse labels that no path has, for their loss would be infinite and its gradient NaN."""
        given = targets.cpu()
        place = torch.arange(len(given))[:, None]
        known = (given >= 0) & (given < self.size)
        if not bool((torch.where(place < labels, known, given == IGNORED)).all()):
            raise DataError(
                f"The labels of a sequence are {given.min()} to {given.max()}; expected numbers from 0 to "
                f"{self.size - 1} from the first step on, and {IGNORED} after the last of them."
            )
        again = ((given[1:] == given[:-1]) & (place[1:] < labels)).sum(dim=0)
        short = (labels + again > lengths).nonzero()
        if len(short):
            row = int(short[0])
            raise DataError(
                f"Sequence {row} has {int(lengths[row]):,} steps, and its {int(labels[row]):,} labels with "
                f"{int(again[row]):,} repeats need {int(labels[row] + again[row]):,}. Leave it out, or stack fewer "
                "steps into one."
            )

    def answer(self, scores: Tensor) -> Tensor:
        """Give the labels of the most probable path, in the form of the targets ``[T, B]``."""
        return self.collapse(scores.argmax(dim=-1))

    def answer_all(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Give the labels of the most probable path of each sequence, in the form of the targets ``[T, B]``."""
        return self.collapse(scores.argmax(dim=-1), lengths)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the probability of each label and, last, of the blank, at each step ``[..., K + 1]``."""
        return scores.softmax(dim=-1)

    def answers(self, scores: Tensor, lengths: Tensor | None = None) -> list[list[int]]:
        """Give the labels of the most probable path of each sequence (best path decoding).

        Args:
            scores: The numbers of the model ``[T, B, K + 1]``.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.

        Returns:
            The labels of each sequence.
        """
        return ctc_best_path(scores, lengths)

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a path, and give its labels in the form of the targets ``[T, B]``."""
        return self.collapse(draw_class(scores, generator))

    def collapse(self, paths: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take repeats and then blanks out of paths.

        Args:
            paths: A label or the blank for each step ``[T, B]``.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.

        Returns:
            The labels ``[T, B]``, with -100 after the last one.

        Example:
            >>> Transcript(2).collapse(torch.tensor([[0], [0], [2], [0], [1]])).T
            tensor([[   0,    0,    1, -100, -100]])
        """
        labels, counts = collapse(paths, self.blank, lengths)
        place = torch.arange(len(paths), device=paths.device)[:, None]
        return torch.where(place < counts, labels, IGNORED)

    def wrong(
        self,
        scores: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        legal: Tensor | None = None,
        tolerance: float | None = None,
    ) -> Tensor:
        """Count the insertions, deletions and substitutions between best path and labels, for each sequence ``[B]``.

        So the accuracy is one minus the label error rate, and may be below 0. A sequence with scores that are not
        finite has all labels wrong, and one more.
        """
        sound = torch.isfinite(scores).all(dim=-1).all(dim=0).tolist()
        told = [[label for label in row if label != IGNORED] for row in targets.T.tolist()]
        pairs = zip(sound, self.answers(scores, lengths), told, strict=True)
        counts = [count_edits(found, labels) if fine else len(labels) + 1 for fine, found, labels in pairs]
        return torch.tensor(counts, dtype=torch.int64, device=targets.device)


def count_edits(found: list[int], told: list[int]) -> int:
    """Count the fewest insertions, deletions and substitutions that turn one list into another.

    Args:
        found: One list.
        told: The other list.

    Source:
        Levenshtein 1966.

    Example:
        >>> count_edits([1, 2, 3], [1, 3, 3, 4])
        2
    """
    row = list(range(len(told) + 1))
    for place, one in enumerate(found, 1):
        before, row = row, [place]
        for index, other in enumerate(told, 1):
            row.append(min(before[index] + 1, row[-1] + 1, before[index - 1] + (one != other)))
    return row[-1]
