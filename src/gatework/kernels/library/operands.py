"""The arguments of torch's operators: packed and reversed sequences, and weights in torch's order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.call import Call
from gatework.kernels.library.recognise import Match
from gatework.kernels.weights import Weights


@dataclass(frozen=True)
class Order:
    """How an operator reads the sequences of a call. An operator always runs forward in time.

    Args:
        sizes: The number of rows at each step, int64 on the CPU, for packed data; None if every row has every step.
        index: The position of each packed row in the call's flattened sequences; None if they are packed already.
        rows: The rows with at least one step, longest first; None for all rows in their order.
        turned: Whether a sequence that is not packed is reversed in time.
    """

    sizes: Tensor | None = None
    index: Tensor | None = None
    rows: Tensor | None = None
    turned: bool = False

    @classmethod
    def of(cls, call: Call) -> "Order":
        """Find the order for a call with at least one step."""
        lengths = call.lengths
        if lengths is None:
            return cls(turned=call.reverse)
        ranked, order = torch.sort(lengths, descending=True, stable=True)
        if call.packed:
            order = torch.arange(len(lengths), device=lengths.device)  # lengths never rise: states are in this order
        steps, rows, device = int(ranked[0]), int((ranked > 0).sum()), call.inputs[0].device
        times = torch.arange(steps, device=lengths.device)[:, None]
        live = ranked > times  # [T, B]
        sizes = live.sum(1)
        read = (ranked - 1 - times) if call.reverse else times.expand(steps, len(ranked))  # what each step reads
        if not call.packed:
            index = (read * len(ranked) + order)[live].to(device)
        elif call.reverse:
            starts = torch.cumsum(sizes, 0) - sizes
            index = (starts[read.clamp(min=0)] + order)[live].to(device)
        else:
            index = None
        return cls(sizes, index, order[:rows].to(device))

    def taken(self, sequence: Tensor) -> Tensor:
        """Bring a sequence of the call into the operator's order."""
        if self.sizes is None:
            return sequence.flip(0) if self.turned else sequence
        flat = sequence if sequence.dim() == 2 else sequence.flatten(0, 1)
        return flat if self.index is None else flat.index_select(0, self.index)

    def given_back(self, sequence: Tensor, call: Call) -> Tensor:
        """Bring a sequence of the operator into the call's order, with zeros for missing steps."""
        if self.sizes is None:
            return sequence.flip(0) if self.turned else sequence
        if self.index is None:
            return sequence
        lead = call.inputs[0].shape[:-1]
        whole = sequence.new_zeros(lead.numel(), sequence.shape[-1]).index_copy(0, self.index, sequence)
        return whole.unflatten(0, lead)

    def taken_state(self, state: Tensor) -> Tensor:
        """Bring a state [B, H] into the operator's form [1, rows, H]."""
        chosen = state if self.rows is None else state.index_select(0, self.rows)
        return chosen.unsqueeze(0).contiguous()  # cuDNN accepts no other

    def given_back_state(self, state: Tensor, before: Tensor) -> Tensor:
        """Bring a state of the operator into the call's order; rows without a step keep their old state."""
        state = state.squeeze(0)
        return state if self.rows is None else before.index_copy(0, self.rows, state)


def flat_weights(match: Match, weights: Weights) -> list[Tensor]:
    """Return a step's parameters as torch's operators take them, with stacked gates; gradients flow through.

    If parameters are stacked in this order in memory already, as in gatework's layers, they are not copied.

    Args:
        match: The step's name for each of the operator's parameters.
        weights: The parameters.

    Returns:
        Two matrices, followed by two vectors if there are biases.
    """
    matrices = [weights.stacked(match.weight_ih), weights.stacked(match.weight_hh)]
    if not match.has_biases:
        return matrices
    size = matrices[1].shape[1]
    return [*matrices, *(_bias(parts, weights, matrices[0], size) for parts in (match.bias_ih, match.bias_hh))]


def _bias(parts: Sequence[tuple[str, ...]], weights: Weights, like: Tensor, size: int) -> Tensor:
    if all(len(names) == 1 for names in parts):
        return weights.stacked(tuple(names[0] for names in parts))
    if not any(parts):
        return like.new_zeros(size * len(parts))
    return torch.cat([sum(map(weights.__getitem__, names), start=like.new_zeros(size)) for names in parts])


class Together(torch.autograd.Function):
    """Copies of the weights in one buffer, in the order in which cuDNN reads them.

    cuDNN reads its weights from one buffer. If they are not in one, torch warns and makes one at each call. This
    function makes it before the call, with the function that ``torch.nn.LSTM.flatten_parameters`` uses. Each
    call copies the weights twice. This costs little beside a sequence, because every step reads all weights.
    """

    @staticmethod
    def forward(ctx: Any, mode: str, *weights: Tensor) -> tuple[Tensor, ...]:
        """Copy the weights: two matrices, followed by two vectors if there are biases."""
        copies = [one.clone(memory_format=torch.contiguous_format) for one in weights]
        columns, units = copies[0].shape[1], copies[1].shape[1]
        number = torch.backends.cudnn.rnn.get_cudnn_mode(mode)
        with torch.cuda.device_of(copies[0]):
            # Moves each copy into the buffer: sizes, layers, batch_first, and whether there are two directions.
            torch._cudnn_rnn_flatten_weight(copies, len(copies), columns, number, units, 0, 1, False, False)
        return tuple(copies)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradients on."""
        return (None, *grads)


def wants_one_buffer(tensor: Tensor) -> bool:
    """Tell whether cuDNN runs the operator for this input, and so reads its weights from one buffer."""
    return (
        tensor.device.type == "cuda"
        and torch._use_cudnn_rnn_flatten_weight()
        and torch.backends.cudnn.is_acceptable(tensor)
    )
