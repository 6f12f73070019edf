"""Heads over classes, symbols of a vocabulary, and yes-no questions."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from gatework.data.targets import IGNORED
from gatework.errors import SizeError
from gatework.heads.head import Head, check_size, draw_class, wide


class Choice(Head):
    """One of several classes; the loss is the cross entropy.

    Args:
        size: The number of classes.

    Example:
        >>> head = Choice(3)
        >>> scores = torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
        >>> head.loss(scores, torch.tensor([1, 0])), head.answer(scores)
        (tensor([1.0986, 0.0134]), tensor([0, 0]))
    """

    name: ClassVar[str] = "choice"
    gives: ClassVar[str] = "one of several classes"
    counted: ClassVar[bool] = True
    skilled: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        super().__init__(check_size("size", size), size)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the cross entropy of each class ``[...]``, in nats."""
        flat = functional.cross_entropy(scores.reshape(-1, self.numbers), targets.flatten(), reduction="none")
        return flat.view(targets.shape)

    def answer(self, scores: Tensor) -> Tensor:
        """Give the most probable class ``[...]``."""
        return scores.argmax(dim=-1)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the probability of each class ``[..., size]``."""
        return scores.softmax(dim=-1)

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a class ``[...]``."""
        return draw_class(scores, generator)

    def right(
        self, scores: Tensor, targets: Tensor, legal: Tensor | None = None, tolerance: float | None = None
    ) -> Tensor:
        """Tell which answers are correct: with ``legal``, those that score every legal class above all others."""
        if legal is None:
            return super().right(scores, targets)
        worst = scores.masked_fill(~legal, float("inf")).amin(dim=-1)
        best = scores.masked_fill(legal, float("-inf")).amax(dim=-1)
        return torch.isfinite(scores).all(dim=-1) & (worst > best)


class Words(Choice):
    """A symbol of a vocabulary at every step, such as the words of a translation; padding does not count.

    Args:
        size: The number of symbols V.
        smoothing: The share of the target's probability that is spread over all symbols. It applies in training mode
            only, so that an evaluation is in nats.

    Raises:
        SizeError: If the smoothing is not from 0 to below 1.

    Source:
        Szegedy et al. 2016 (arXiv:1512.00567), section 7, for the smoothing.

    Example:
        >>> head = Words(9, smoothing=0.1)
        >>> read, targets = head.shift(torch.tensor([[4, 5], [6, 0]]), torch.tensor([2, 1]), start=1, end=2)
        >>> read.T.tolist(), targets.T.tolist()
        ([[1, 4, 6], [1, 5, 2]], [[4, 6, 2], [5, 2, -100]])
        >>> head.eval().loss(torch.zeros(3, 2, 9), targets)[:, 1]
        tensor([2.1972, 2.1972, 0.0000])
    """

    name: ClassVar[str] = "words"
    gives: ClassVar[str] = "a symbol of a vocabulary"

    def __init__(self, size: int, smoothing: float = 0.0) -> None:
        super().__init__(size)
        if not 0 <= smoothing < 1:
            raise SizeError(f"smoothing is {smoothing!r}; expected a share from 0 to below 1.")
        self.smoothing = smoothing

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the cross entropy of each symbol ``[...]``, in nats; 0 where the target is -100."""
        flat = functional.cross_entropy(
            wide(scores).reshape(-1, self.numbers),
            targets.flatten(),
            ignore_index=IGNORED,
            reduction="none",
            label_smoothing=self.smoothing if self.training else 0.0,
        )
        return flat.view(targets.shape)

    def shift(self, symbols: Tensor, lengths: Tensor | None, start: int, end: int) -> tuple[Tensor, Tensor]:
        """Turn texts into what the model reads and what it has to predict, one step later.

        Args:
            symbols: The symbols, time first ``[T, B]``; what lies beyond the end of a text is not read.
            lengths: The number of symbols of each text ``[B]``, which may be 0; None if all have T.
            start: The symbol that is read first.
            end: The symbol to predict after the last one.

        Returns:
            The symbols to read ``[T + 1, B]``: ``start``, then the text, then padding with ``end``. The targets
            ``[T + 1, B]``: the text, then ``end``, then -100.

        Raises:
            SizeError: If lengths do not fit, or a symbol is not of the vocabulary.
        """
        steps, size = symbols.shape
        last = torch.full((size,), steps, device=symbols.device) if lengths is None else lengths.to(symbols.device)
        if last.shape != (size,) or bool(((last < 0) | (last > steps)).any()):
            raise SizeError(
                f"The lengths are {last.tolist()}; expected {size:,} whole numbers from 0 to {steps:,}, one for each "
                "text."
            )
        place = torch.arange(steps + 1, device=symbols.device)[:, None]
        padded = torch.cat([symbols, symbols.new_full((1, size), end)])
        targets = torch.where(place < last, padded, torch.where(place == last, end, IGNORED))
        known = targets[targets != IGNORED]
        if known.numel() and (int(known.min()) < 0 or int(known.max()) >= self.size):
            raise SizeError(
                f"The symbols are {int(known.min())} to {int(known.max())}; expected numbers from 0 to {self.size - 1}."
            )
        read = torch.cat([symbols.new_full((1, size), start), torch.where(place[:-1] < last, symbols, end)])
        return read, targets


class Bits(Head):
    """Several yes-no questions, answered independently; the loss is summed over the questions.

    Args:
        size: The number of questions.

    Example:
        >>> head = Bits(2)
        >>> scores = torch.tensor([[0.0, 3.0]])
        >>> head.loss(scores, torch.tensor([[1.0, 1.0]])), head.answer(scores)
        (tensor([0.7417]), tensor([[0., 1.]]))
    """

    name: ClassVar[str] = "bits"
    gives: ClassVar[str] = "yes or no to several questions"
    questions: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        super().__init__(check_size("size", size), size)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the cross entropy ``[...]`` in nats, summed over the questions."""
        return functional.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(dim=-1)

    def answer(self, scores: Tensor) -> Tensor:
        """Give the more probable of yes (1) and no (0) for each question ``[..., size]``."""
        return (scores > 0).to(scores.dtype)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the probability of each yes ``[..., size]``."""
        return scores.sigmoid()

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw yes (1) or no (0) for each question ``[..., size]``."""
        return draw_bits(scores, generator)

    def right(
        self, scores: Tensor, targets: Tensor, legal: Tensor | None = None, tolerance: float | None = None
    ) -> Tensor:
        """Tell which answers are correct: those that are correct for all questions."""
        return super().right(scores, (targets > 0.5).to(scores.dtype))


def draw_bits(scores: Tensor, generator: torch.Generator) -> Tensor:
    """Draw yes or no.

    Args:
        scores: The log-odds of yes ``[...]``.
        generator: The random generator, on the device of the scores.

    Returns:
        1 for yes and 0 for no ``[...]``, in the type of the scores.

    Example:
        >>> draw_bits(torch.tensor([-50.0, 50.0]), torch.Generator())
        tensor([0., 1.])
    """
    shares = torch.sigmoid(wide(scores))
    drawn = torch.rand(shares.shape, generator=generator, dtype=shares.dtype, device=shares.device)
    return (drawn < shares).to(scores.dtype)
