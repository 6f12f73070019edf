"""Gradients of a call by the reference: the part of any backend's backward pass that autograd computes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gatework.kernels.call import Call
from gatework.kernels.reference import run as reference


def is_batched(grad: Tensor) -> bool:
    """Tell whether a gradient is a batch of gradients, as with ``is_grads_batched`` and ``torch.vmap``."""
    return torch._C._functorch.is_legacy_batchedtensor(grad) or torch._C._functorch.is_batchedtensor(grad)


def gradients(
    make: Callable[[list[Tensor]], Call],
    tensors: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    needed: Sequence[bool],
    again: bool,
) -> list[Tensor]:
    """Run a call again by the reference, and differentiate it.

    A backend calls this in the backward pass of its own operator for what it cannot compute: a gradient of a gradient,
    for which grad mode is on there, or a batch of gradients at once. Grad mode must be on.

    Args:
        make: A function that makes the call from stand-ins for ``tensors``, in their order.
        tensors: All tensors of the call that may need a gradient.
        grads: The gradients of the output, of each last state and of each name of ``call.record``; None for zero.
        needed: For each tensor, whether its gradient is needed.
        again: Whether the gradients can be differentiated in turn.

    Returns:
        The gradient of each tensor; zeros if it is not needed or no gradient arrives.

    Example:
        >>> from gatework.kernels import Weights
        >>> from gatework.language import parse
        >>> step = parse("h = 0.5 * h + x")
        >>> x, h = torch.ones(2, 1, 1, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
        >>> make = lambda given: Call(step, Weights(()), (given[0],), (given[1],))
        >>> gradients(make, [x, h], [None, torch.ones(1, 1)], [True, False], again=False)[0].flatten()
        tensor([0.5000, 1.0000])
    """
    # A state may depend on the input. Views do not depend on each other, so each has the gradient of its own use alone.
    views = [one.view_as(one) for one in tensors]
    call = make(views)
    result = reference.run(call)
    recorded = [result.recorded[name] for name in call.record]
    pairs = [
        (one, grad)
        for one, grad in zip((result.output, *result.state, *recorded), grads, strict=True)
        if grad is not None and one.requires_grad
    ]
    wanted = iter(
        torch.autograd.grad(
            [one for one, _ in pairs],
            [one for one, asked in zip(views, needed, strict=True) if asked],
            [grad for _, grad in pairs],
            create_graph=again,
            allow_unused=True,
        )
    )
    given = [next(wanted) if asked else None for asked in needed]
    return [torch.zeros_like(one) if grad is None else grad for one, grad in zip(views, given, strict=True)]
