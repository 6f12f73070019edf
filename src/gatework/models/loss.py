"""The loss of a language model: how much the symbols that came surprise it.

With a vocabulary of thousands the scores are by far the largest tensor of a step, and each pass over them, each copy of
them and each fresh piece of memory for them costs time. :func:`surprise` is the plain way from scores to loss;
:class:`LeanSurprise` takes the head and the loss together, in one piece of memory that is kept from step to step.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gatework.data.targets import IGNORED


def surprise(scores: Tensor, targets: Tensor) -> Tensor:
    """Sum the cross entropy over all targets that count.

    Args:
        scores: Unnormalised log-probabilities ``[T, B, V]``.
        targets: The symbols that came ``[T, B]``; -100 where none did.

    Returns:
        The sum, in nats, at least in float32.
    """
    wide = scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores
    return functional.cross_entropy(wide.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")


class LeanSurprise:
    """Head and loss at once: the same sum as :func:`surprise` gives of the head's scores, up to rounding.

    The gradients are computed together with the loss, so that scores, probabilities and the gradient of the scores can
    all lie in the same memory, one after the other. It is derived once, and its gradient can be asked for once.

    Example:
        >>> head, output, targets = nn.Linear(4, 9), torch.ones(5, 2, 4), torch.zeros(5, 2).long()
        >>> torch.allclose(LeanSurprise()(output, head, targets), surprise(head(output), targets))
        True
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def __call__(self, output: Tensor, head: nn.Linear, targets: Tensor) -> Tensor:
        """Sum the cross entropy over all targets that count.

        Args:
            output: What the head reads ``[T, B, H]``.
            head: The linear layer that makes scores of it.
            targets: The symbols that came ``[T, B]``; -100 where none did.

        Returns:
            The sum, in nats.
        """
        signal, came = output.flatten(0, 1), targets.flatten()
        counted = came != IGNORED
        if not bool(counted.all()):
            signal, came = signal[counted], came[counted]
        scores = self._room(len(came), head.out_features, signal)
        if torch.is_grad_enabled():
            return _HeadAndLoss.apply(signal, head.weight, head.bias, came, scores)
        return _score(signal, head.weight, head.bias, came, scores)[0]

    def _room(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """Return memory ``[rows, columns]``; what is in it is old."""
        memory = self._memory
        if memory.numel() < rows * columns or (memory.dtype, memory.device) != (like.dtype, like.device):
            # Freed first, so that the two are never there at once.
            self._memory = memory = torch.empty(0)
            self._memory = memory = like.new_empty(rows * columns)
        return memory[: rows * columns].view(rows, columns)


def _score(signal: Tensor, weight: Tensor, bias: Tensor, came: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed surprise and, per row, the sum ``[n, 1]`` of what is left in ``scores``: e to the scores."""
    torch.addmm(bias, signal, weight.t(), out=scores)
    of_target = scores.gather(1, came[:, None])
    largest = scores.amax(1, keepdim=True)
    # Less the largest, so that nothing overflows.
    total = scores.sub_(largest).exp_().sum(1, keepdim=True)
    return (total.log() + largest - of_target).sum(), total


class _HeadAndLoss(torch.autograd.Function):
    """The head and the loss as one function, its gradients computed on the way there."""

    @staticmethod
    def forward(ctx: Any, *args: Tensor) -> Tensor:
        signal, weight, _, came, scores = args  # [n, H], [V, H], [V], [n] and memory [n, V]
        nats, total = _score(*args)
        # Probabilities, less 1 for the symbol that came: the gradient by the scores.
        scores.div_(total)
        scores.scatter_add_(1, came[:, None], scores.new_full((len(came), 1), -1.0))
        ctx.gradients = scores @ weight, scores.t() @ signal, scores.sum(0)
        return nats

    @staticmethod
    @once_differentiable
    # The decorator hides the names of the arguments.
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:  # pyrefly: ignore
        if ctx.gradients is None:
            raise RuntimeError("the gradient of a LeanSurprise was asked for a second time: take surprise() instead")
        gradients, ctx.gradients = ctx.gradients, None
        # In place: the gradient by the weight is as large as the weight, and nobody else holds it.
        return (*(gradient.mul_(grad_outputs[0]) for gradient in gradients), None, None)
