"""The loss of a language model: its cross entropy, or surprise, at the symbols that follow.

With a vocabulary of thousands of symbols, the scores are by far the largest tensor of a step, and each pass over them,
each copy and each allocation costs time. :func:`surprise` computes the loss from the scores in the plain way.
:class:`LeanSurprise` combines the head and the loss, in one buffer that is reused from step to step.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gatework.data.targets import IGNORED


def surprise(scores: Tensor, targets: Tensor) -> Tensor:
    """Sum the cross entropy over all targets.

    Args:
        scores: Unnormalised log-probabilities ``[T, B, V]``.
        targets: The symbols to predict ``[T, B]``; -100 for none.

    Returns:
        The sum in nats, in float32 or a wider type.
    """
    wide = scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores
    return functional.cross_entropy(wide.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")


def widened(tensor: Tensor) -> Tensor:
    """Convert a tensor to float64, in which sums over many steps are kept.

    Args:
        tensor: The tensor. It is moved to the CPU if its device is ``mps``, which has no float64.

    Returns:
        The tensor in float64.

    Example:
        >>> widened(torch.ones(2))
        tensor([1., 1.], dtype=torch.float64)
    """
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


class LeanSurprise:
    """Compute the head and the loss at once: the same sum as :func:`surprise` of the scores, up to rounding.

    The gradients are computed together with the loss, so that scores, probabilities and the gradient of the scores can
    use the same buffer, one after the other. The loss can be differentiated only once.

    Example:
        >>> head, output, targets = nn.Linear(4, 9), torch.ones(5, 2, 4), torch.zeros(5, 2).long()
        >>> torch.allclose(LeanSurprise()(output, head, targets), surprise(head(output), targets))
        True
    """

    def __init__(self) -> None:
        self._buffer = torch.empty(0)

    def __call__(self, output: Tensor, head: nn.Linear, targets: Tensor) -> Tensor:
        """Sum the cross entropy over all targets.

        Args:
            output: The input of the head ``[T, B, H]``.
            head: The linear layer that computes the scores.
            targets: The symbols to predict ``[T, B]``; -100 for none.

        Returns:
            The sum in nats.
        """
        signal, came = output.flatten(0, 1), targets.flatten()
        counted = came != IGNORED
        if not bool(counted.all()):
            signal, came = signal[counted], came[counted]
        scores = self._reuse_buffer(len(came), head.out_features, signal)
        if torch.is_grad_enabled():
            return _HeadAndLoss.apply(signal, head.weight, head.bias, came, scores)
        return _score(signal, head.weight, head.bias, came, scores)[0]

    def _reuse_buffer(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """Return the buffer as ``[rows, columns]``, with its old contents."""
        buffer = self._buffer
        if buffer.numel() < rows * columns or (buffer.dtype, buffer.device) != (like.dtype, like.device):
            # The old buffer is freed first, so that both are never allocated at once.
            self._buffer = buffer = torch.empty(0)
            self._buffer = buffer = like.new_empty(rows * columns)
        return buffer[: rows * columns].view(rows, columns)


def _score(signal: Tensor, weight: Tensor, bias: Tensor, came: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Replace scores by their exponentials; return the summed surprise, and the sum of each row ``[n, 1]``."""
    torch.addmm(bias, signal, weight.t(), out=scores)
    of_target = scores.gather(1, came[:, None])
    largest = scores.amax(1, keepdim=True)
    # The largest score is subtracted, so that nothing overflows.
    total = scores.sub_(largest).exp_().sum(1, keepdim=True)
    return (total.log() + largest - of_target).sum(), total


class _HeadAndLoss(torch.autograd.Function):
    """The head and the loss as one function, whose forward pass computes the gradients, too."""

    @staticmethod
    def forward(ctx: Any, *args: Tensor) -> Tensor:
        signal, weight, _, came, scores = args  # [n, H], [V, H], [V], [n] and the buffer [n, V]
        nats, total = _score(*args)
        # The gradient with respect to the scores: the probabilities, minus 1 for the target.
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
        # In place: the gradient with respect to the weight is as large as the weight, and nothing else uses it.
        return (*(gradient.mul_(grad_outputs[0]) for gradient in gradients), None, None)
