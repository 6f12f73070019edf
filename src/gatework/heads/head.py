"""The base of all heads: what the numbers of a model mean, and how they are judged."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from gatework.data.targets import IGNORED
from gatework.errors import SizeError


def unchanged(scores: Tensor) -> Tensor:
    """Return what is given, where a map may stand.

    Args:
        scores: Any numbers.

    Example:
        >>> unchanged(torch.ones(1))
        tensor([1.])
    """
    return scores


class Head(nn.Module):
    """The meaning of the numbers that a model gives at each step: the loss, chance, and what counts as correct.

    A head has no map of its own from the layers to its numbers. That is a ``torch.nn.Linear`` with ``numbers`` outputs,
    which the model has. Most heads have no parameters.

    Args:
        size: The size of an answer: the number of classes, of questions, or of numbers.
        numbers: The numbers wanted of the model at each step.

    Attributes:
        name: The name in the table of heads.
        gives: An answer, in words.
        counted: Whether targets are whole numbers, with -100 at steps without one. Otherwise they are vectors of
            ``size`` numbers, with NaN at steps without one.
        whole: Whether the loss is that of a whole sequence, so that a sequence cannot be cut into windows.
        questions: Whether an answer is a list of yes (1) and no (0).
        distances: Whether an answer has a distance from its target, for the metric ``mean_absolute_error``.
        skilled: Whether the errors of a constant answer can be counted in the same way, for the metric ``skill``.

    Raises:
        SizeError: If the size is below 1.
    """

    name: ClassVar[str]
    gives: ClassVar[str]
    counted: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    questions: ClassVar[bool] = False
    distances: ClassVar[bool] = False
    skilled: ClassVar[bool] = False

    def __init__(self, size: int, numbers: int) -> None:
        super().__init__()
        self.size, self.numbers = size, numbers

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.size}, numbers={self.numbers}"

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each answer.

        Args:
            scores: The numbers of the model ``[..., N]``.
            targets: Whole numbers ``[...]`` if the head is ``counted``, and otherwise ``[..., size]``.

        Returns:
            The losses ``[...]`` in nats, unless the head says otherwise.
        """

    @abstractmethod
    def answer(self, scores: Tensor) -> Tensor:
        """Give the answers without chance, in the form of the targets.

        Args:
            scores: The numbers of the model ``[..., N]``.

        Returns:
            Whole numbers ``[...]`` if the head is ``counted``, and otherwise ``[..., size]``.
        """

    @abstractmethod
    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw answers from their distribution, in the form of the targets.

        Args:
            scores: The numbers of the model ``[..., N]``.
            generator: The random generator, on the device of the scores.

        Returns:
            Whole numbers ``[...]`` if the head is ``counted``, and otherwise ``[..., size]``.
        """

    def answer_all(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Give the answers to a batch of sequences without chance, in the form of the targets.

        Args:
            scores: The numbers of the model ``[T, B, N]``.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.

        Returns:
            What :meth:`answer` gives for every step, unless the head judges sequences as a whole.
        """
        return self.answer(scores)

    def probabilities(self, scores: Tensor) -> Tensor | None:
        """Return the probability of each class, or of each yes, in the shape of the scores.

        Args:
            scores: The numbers of the model ``[..., N]``.

        Returns:
            The probabilities; None if the scores are not those of classes or of independent questions.
        """
        return None

    @classmethod
    def judged(cls, tolerance: float | None = None) -> bool:
        """Tell whether it is defined which answers are correct.

        Args:
            tolerance: The largest error of a correct answer, for heads whose answers have a distance.
        """
        return not cls.distances or tolerance is not None

    def right(
        self, scores: Tensor, targets: Tensor, legal: Tensor | None = None, tolerance: float | None = None
    ) -> Tensor:
        """Tell which answers are correct.

        Args:
            scores: The numbers of the model ``[n, N]``.
            targets: The targets of :meth:`loss`.
            legal: The classes that count as correct ``[n, N]``, for the head ``choice``.
            tolerance: The largest error of a correct answer, for heads whose answers have a distance.

        Returns:
            ``[n]``, bool. An answer with a score that is not finite is never correct.
        """
        sound = torch.isfinite(scores).all(dim=-1)
        if not self.judged(tolerance):
            return torch.zeros_like(sound)
        if tolerance is not None:
            return sound & (self.distance(scores, targets) < tolerance).all(dim=-1)
        same = self.answer(scores) == targets
        return sound & (same if self.counted else same.all(dim=-1))

    def distance(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the absolute errors of the answers.

        Args:
            scores: The numbers of the model ``[..., N]``.
            targets: The targets ``[..., size]``.

        Returns:
            ``[..., size]``.
        """
        return (self.answer(scores) - targets).abs()

    def asked(self, targets: Tensor) -> Tensor:
        """Tell where there is a target.

        Args:
            targets: The targets of :meth:`loss`.

        Returns:
            ``[...]``, bool.
        """
        return targets != IGNORED if self.counted else ~targets.isnan().any(dim=-1)

    def losses(
        self,
        output: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        read: Callable[[Tensor], Tensor] = unchanged,
    ) -> Tensor:
        """Return the losses of a batch of sequences, to be summed.

        Args:
            output: What ``read`` turns into the numbers of the head ``[T, B, H]``.
            targets: The targets, time first: ``[T, B]`` if the head is ``counted``, and otherwise ``[T, B, size]``.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            read: The map of the model; by default the output is the numbers.

        Returns:
            One loss for each step with a target ``[n]``. The map is computed at those steps only, which in some tasks
            is one step of a thousand.
        """
        asked = self.asked(targets)
        return self.loss(read(output[asked]), targets[asked])

    def wrong(
        self,
        scores: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        legal: Tensor | None = None,
        tolerance: float | None = None,
    ) -> Tensor:
        """Count the wrong answers of each sequence of a batch.

        Args:
            scores: The numbers of the model ``[T, B, N]``.
            targets: The targets of :meth:`losses`.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            legal: See :meth:`right`; ``[T, B, N]``.
            tolerance: See :meth:`right`.

        Returns:
            ``[B]``, int64.
        """
        asked = self.asked(targets)
        correct = torch.zeros_like(asked)
        picked = None if legal is None else legal[asked]
        correct[asked] = self.right(scores[asked], targets[asked], picked, tolerance)
        return (asked & ~correct).sum(dim=0)

    @torch.no_grad()
    def measure(
        self,
        scores: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        tolerance: float | None = None,
    ) -> dict[str, float]:
        """Measure answers by the metrics of the head, as a loop of one's own needs them.

        Args:
            scores: The numbers of the model ``[T, B, N]``.
            targets: The targets of :meth:`losses`.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            tolerance: See :meth:`right`.

        Returns:
            ``loss`` per target; ``accuracy``, the share of correct answers, and ``solved``, the share of sequences with
            only correct answers, where it is defined which answers are correct; ``mean_absolute_error`` where answers
            have a distance. Each is 0 if there is no target.
        """
        asked, training = self.asked(targets), self.training
        count, some = int(asked.sum()), asked.any(dim=0)
        self.eval()  # what applies in training only, such as smoothing, is not measured
        losses = self.losses(scores, targets, lengths)
        self.train(training)
        found = {"loss": float(losses.double().sum()) / max(1, count)}
        if self.judged(tolerance):
            wrong = self.wrong(scores, targets, lengths, tolerance=tolerance)
            found["accuracy"] = (count - int(wrong.sum())) / max(1, count)
            found["solved"] = int((some & (wrong == 0)).sum()) / max(1, int(some.sum()))
        if self.distances:
            away = self.distance(scores[asked], targets[asked]).mean(dim=-1)
            found["mean_absolute_error"] = float(away.double().sum()) / max(1, count)
        return found


def check_size(name: str, size: int, least: int = 1) -> int:
    """Refuse a size that no head has.

    Args:
        name: The name of the argument.
        size: What was given.
        least: The smallest size.

    Returns:
        The size.

    Raises:
        SizeError: If it is not a whole number, or too small.

    Example:
        >>> check_size("components", 0)
        Traceback (most recent call last):
        gatework.errors.SizeError: components is 0; expected a whole number of 1 or more.
    """
    if type(size) is not int or size < least:
        raise SizeError(f"{name} is {size!r}; expected a whole number of {least} or more.")
    return size


def wide(scores: Tensor) -> Tensor:
    """Convert numbers of half precision to float32, in which logarithms and sums have enough digits.

    Args:
        scores: Any numbers.

    Example:
        >>> wide(torch.ones(1, dtype=torch.bfloat16)).dtype, wide(torch.ones(1).double()).dtype
        (torch.float32, torch.float64)
    """
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores


def draw_class(scores: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one of several classes.

    Args:
        scores: Unnormalised log-probabilities ``[..., K]``.
        generator: The random generator, on the device of the scores.

    Returns:
        The numbers of the classes ``[...]``, int64.

    Example:
        >>> draw_class(torch.tensor([[-50.0, 0.0], [0.0, -50.0]]), torch.Generator())
        tensor([1, 0])
    """
    shares = torch.softmax(wide(scores), dim=-1).reshape(-1, scores.shape[-1])
    if not len(shares):
        return shares.new_zeros(scores.shape[:-1], dtype=torch.int64)
    return torch.multinomial(shares, 1, generator=generator).view(scores.shape[:-1])
