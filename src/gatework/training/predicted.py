"""What a model answers to given sequences."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gatework.data.targets import IGNORED
from gatework.errors import RunError
from gatework.heads import Head


@dataclass(frozen=True)
class Prediction:
    """The answers of a model to inputs.

    Args:
        scores: The output of the model, ``[T, B, O]`` or, for one step of each sequence, ``[B, O]``: unnormalised
            log-probabilities of classes or symbols, log-odds of yes-no questions, or numbers.
        head: The head of the model, which says what the scores mean.
        names: The names of the scores; empty if they have none.
        lengths: The number of steps of each sequence ``[B]``; None if all have T.
    """

    scores: Tensor
    head: Head
    names: tuple[str, ...] = ()
    lengths: Tensor | None = None

    @property
    def kind(self) -> str:
        """The name of the head: ``choice`` for one of several classes, ``bits`` for yes-no questions, and so on."""
        return self.head.name

    @property
    def probabilities(self) -> Tensor:
        """The probability of each class, or of each yes, in the shape of the scores.

        Raises:
            RunError: If the answers have none, such as numbers.
        """
        found = self.head.probabilities(self.scores.float())
        if found is None:
            raise RunError(
                f"The answers of this model are {self.head.gives}, which have no probabilities. Take `answers`."
            )
        return found

    @property
    def answers(self) -> Tensor:
        """The most probable class ``[T, B]``, the more probable of yes and no ``[T, B, O]``, or the numbers.

        For transcripts, the labels of each sequence from the first step on, then -100.
        """
        found = self.head.answer_all(self.scores, self.lengths)
        return found.bool() if self.head.questions else found

    @property
    def named(self) -> Any:
        """The names of the most probable classes, as nested lists in the shape of ``answers``, without -100.

        Raises:
            RunError: If the answers are not classes.
        """
        if not self.head.counted:
            raise RunError("The answers of this model are not classes, so they have no names. Take `answers`.")
        return _renamed(self.answers.tolist(), self.names)

    @property
    def last(self) -> "Prediction":
        """The answers at the last step of each sequence: ``[B, O]``.

        Raises:
            RunError: If the answers are those of whole sequences.
        """
        if self.head.whole:
            raise RunError(f"The answers of this model are {self.head.gives}, and no step has its own. Take `answers`.")
        if self.scores.dim() == 2:
            return self
        if self.lengths is None:
            return replace(self, scores=self.scores[-1])
        columns = torch.arange(self.scores.shape[1])
        return replace(self, scores=self.scores[self.lengths - 1, columns], lengths=None)


def _renamed(numbers: Any, names: tuple[str, ...]) -> Any:
    if isinstance(numbers, list):
        return [_renamed(number, names) for number in numbers if number != IGNORED]
    return names[numbers] if names else str(numbers)
