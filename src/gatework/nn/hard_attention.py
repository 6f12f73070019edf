"""Hard attention: one position is drawn, in place of the mean over all."""

import torch
from torch import Tensor

from gatework.errors import SizeError
from gatework.kernels.traced import is_traced
from gatework.nn.scores import wide


def draw_position(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one position of each row with the probabilities that the weights give: hard attention.

    Args:
        weights: [..., L], at least 0; their sum need not be 1.
        generator: What draws, on the device of the weights.

    Returns:
        A one-hot in the shape and type of the weights. It has no gradient. A row whose weights are all 0 stays so.

    Raises:
        SizeError: If a weight is negative, infinite or NaN.

    Source:
        Xu et al. 2015, arXiv:1502.03044, section 4.1. The estimate of the gradient is left to the loss.

    Example:
        >>> draw_position(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), torch.Generator().manual_seed(0))
        tensor([[0., 1., 0.],
                [0., 0., 0.]])
    """
    given = wide(weights.detach())
    if not is_traced() and not bool((given.isfinite() & (given >= 0)).all()):
        raise SizeError("weights have a negative, infinite or NaN value; expected numbers of at least 0.")
    upto = given.cumsum(-1)
    drawn = torch.rand(given.shape[:-1], generator=generator, dtype=given.dtype, device=given.device).unsqueeze(-1)
    # The first position whose sum is above the drawn part of the whole; past the end where the whole is 0.
    position = (upto <= drawn * upto[..., -1:]).sum(-1, keepdim=True)
    return (torch.arange(given.shape[-1], device=given.device) == position).to(weights.dtype)
