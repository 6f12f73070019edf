"""Run a step by one of torch's operators, with gradients. The reference computes gradients of gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.call import Call, Result
from gatework.kernels.library.operands import Order, Together, flat_weights, wants_one_buffer
from gatework.kernels.library.operators import CALLS
from gatework.kernels.library.recognise import Match
from gatework.kernels.reference import run as reference
from gatework.kernels.reference.derivative import gradients as by_reference
from gatework.kernels.reference.derivative import is_batched
from gatework.kernels.weights import Weights


def run(call: Call, match: Match) -> Result:
    """Run a step over a whole sequence.

    Args:
        call: The call, which the backend does not refuse.
        match: The operator that computes its step.

    Returns:
        The reference's result, up to rounding.
    """
    if call.lengths is not None and not bool((call.lengths > 0).any()):
        return reference.run(call)  # there is no step
    layout, stacks = call.weights.stacks({parameter.name for parameter in call.step.parameters})
    tensors = (*call.inputs, *call.state, *stacks)
    # The context holds no tensors: autograd has to save them, to detect changes in place.
    # Lengths are copied, because the caller may write others to the same tensor before gradients of gradients.
    lengths = None if call.lengths is None else call.lengths.clone()
    rest = replace(call, weights=Weights(()), inputs=(), state=(), lengths=lengths, initial=None, draws=None, record=())
    bare = _Bare(rest, match, layout)
    if torch.is_grad_enabled() and any(one.requires_grad for one in tensors):
        output, *state = Fused.apply(bare, *tensors)
    else:
        output, *state = compute(bare, tensors, train=False)
    recorded = {name: _recorded(call, name, output) for name in call.record}
    return Result(output, tuple(state), recorded)


def _recorded(call: Call, name: str, output: Tensor) -> Tensor:
    """Return a quantity that is known outside of the operator: the output, or the input with zeros in the padding."""
    if name == call.step.states[0]:
        return output
    sequence, lengths = call.inputs[call.step.inputs.index(name)], call.lengths
    if lengths is None or call.packed:
        return sequence
    ended = torch.arange(len(sequence), device=lengths.device)[:, None] >= lengths
    return sequence.masked_fill(ended[..., None].to(sequence.device), 0)


@dataclass(frozen=True)
class _Bare:
    """A call without its tensors.

    Args:
        call: The call.
        match: The operator that computes its step.
        layout: For each tensor of weights, the names of the parameters stacked in it.
    """

    call: Call
    match: Match
    layout: tuple[tuple[str, ...], ...]

    def whole(self, tensors: Sequence[Tensor]) -> Call:
        """Return the call with its tensors: inputs, states, weights."""
        first, last = len(self.call.step.inputs), len(self.call.step.inputs) + len(self.call.step.states)
        weights = Weights(zip(self.layout, tensors[last:], strict=True))
        return replace(self.call, weights=weights, inputs=tuple(tensors[:first]), state=tuple(tensors[first:last]))


def compute(bare: _Bare, tensors: Sequence[Tensor], train: bool) -> tuple[Tensor, ...]:
    """Call the operator.

    Args:
        bare: The call without its tensors.
        tensors: Its inputs, states and weights.
        train: Whether a gradient will be needed; if so, cuDNN has to save something.

    Returns:
        The output and the last states.
    """
    call, match = bare.whole(tensors), bare.match
    order = Order.of(call)
    data = order.taken(call.inputs[0]).contiguous()
    before = [order.taken_state(one) for one in call.state]
    weights = flat_weights(match, call.weights)
    if wants_one_buffer(data):
        weights = list(Together.apply(match.operator.name, *weights))
    hidden = before if len(before) > 1 else before[0]
    settings = (match.has_biases, 1, 0.0, train, False)  # layers, dropout, and whether there are two directions
    function = CALLS[match.operator.name]
    if order.sizes is None:
        output, *after = function(data, hidden, weights, *settings, False)  # not batch_first
    else:
        output, *after = function(data, order.sizes, hidden, weights, *settings)
    states = (order.given_back_state(one, old) for one, old in zip(after, call.state, strict=True))
    return (order.given_back(output, call), *states)


class Fused(torch.autograd.Function):
    """The operator with torch's own gradients.

    cuDNN and oneDNN have no gradients of gradients. So this function keeps torch's graph of the operator to itself. If
    the backward pass itself is differentiated, the reference computes it.
    """

    @staticmethod
    def forward(ctx: Any, bare: _Bare, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the forward pass; tensors are inputs, states and weights."""
        ctx.bare = bare
        ctx.set_materialize_grads(False)  # an output without a gradient gives None, and is left out
        ctx.save_for_backward(*tensors)
        with torch.enable_grad():
            needed = ctx.needs_input_grad[1:]
            leaves = [one.detach().requires_grad_(wanted) for one, wanted in zip(tensors, needed, strict=True)]
            results = compute(bare, leaves, train=True)
        ctx.inside = (leaves, results)
        return tuple(one.detach() for one in results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the backward pass."""
        needed = ctx.needs_input_grad[1:]
        tensors = ctx.saved_tensors  # torch raises here if a tensor was changed in place, or freed
        again = torch.is_grad_enabled()
        if again or any(is_batched(grad) for grad in grads if grad is not None):
            with torch.enable_grad():
                return (None, *by_reference(ctx.bare.whole, tensors, grads, needed, again))
        keep = torch._C._autograd._get_current_graph_task_keep_graph()
        leaves, results = ctx.inside
        if not keep:
            ctx.inside = None  # otherwise it would stay in memory until the last result is gone
        return (None, *_gradients(leaves, results, grads, needed, keep))


def _gradients(
    tensors: Sequence[Tensor],
    results: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    needed: Sequence[bool],
    keep: bool,
) -> list[Tensor | None]:
    """Return the gradient of each tensor that needs one."""
    pairs = [(one, grad) for one, grad in zip(results, grads, strict=True) if grad is not None and one.requires_grad]
    wanted = [one for one, flag in zip(tensors, needed, strict=True) if flag]
    if not pairs:
        return [None] * len(tensors)
    ends, arriving = zip(*pairs, strict=True)
    gradients = iter(torch.autograd.grad(ends, wanted, arriving, retain_graph=keep, allow_unused=True))
    return [next(gradients) if flag else None for flag in needed]
