"""Gradients of a call through the reference: what any backend's backward pass leaves to autograd."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gatework.kernels.call import Call
from gatework.kernels.reference import run as reference


def gradients(
    make: Callable[[list[Tensor]], Call],
    tensors: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    needed: Sequence[bool],
    again: bool,
) -> list[Tensor]:
    """Run a call once more by the reference, and differentiate it.

    A backend calls this in the backward pass of its own operator where it cannot do by itself what is asked: a gradient
    of a gradient, for which grad mode is on there, or a batch of gradients at once. Grad mode has to be on.

    Args:
        make: Makes the call of tensors that stand for ``tensors``, in their order.
        tensors: All that the call takes and that a gradient may be asked for.
        grads: What arrives at the output, at each last state and at each name of ``call.record``; None for nothing.
        needed: For each tensor whether its gradient is wanted.
        again: Whether the gradients can be differentiated again.

    Returns:
        For each tensor a gradient; zeros where none is wanted or none arrives.

    Example:
        >>> from gatework.kernels import Weights
        >>> from gatework.language import parse
        >>> step = parse("h = 0.5 * h + x")
        >>> x, h = torch.ones(2, 1, 1, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
        >>> make = lambda given: Call(step, Weights(()), (given[0],), (given[1],))
        >>> gradients(make, [x, h], [None, torch.ones(1, 1)], [True, False], again=False)[0].flatten()
        tensor([0.5000, 1.0000])
    """
    # Views, of which none depends on another, as a state may on the input: each has the gradient of its own part alone.
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
