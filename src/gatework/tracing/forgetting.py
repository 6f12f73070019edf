"""Measure how fast a state decays along itself: half-lives of an untrained cell, and of the units of a trace."""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn

from gatework.cells import Cell
from gatework.kernels.reference.run import with_numbers, without_numbers
from gatework.language import Name
from gatework.language.nodes import ONE_NUMBER
from gatework.nn import initial
from gatework.nn.layers import read_cell
from gatework.tracing.adjoints import elementwise, given_masks, sequence, state_of
from gatework.tracing.doors import traced_layer
from gatework.tracing.evaluation import Values
from gatework.tracing.traces import Trace


def half_lives(layer_or_model: nn.Module, trace: Trace, of: str | None = None) -> Tensor:
    """Compute the half-life of each unit's state in a trace: the number of steps after which half of a value is left.

    The half-life refers to the direct path. It follows from the mean logarithm of the factor with which each step
    multiplies the previous value: for an LSTM's c this factor is the forget gate, so the half-life is
    ln(1/2) / mean(ln f).

    Args:
        layer_or_model: The traced layer or model.
        trace: The trace, with everything that the state's equation reads.
        of: The state, as a key of the trace. None for the cell state of the first layer: the second state if there is
            one, otherwise the first.

    Returns:
        The half-lives in steps, float64 [H]: infinite if nothing is lost, 0 if some step kept nothing. With a value at
        each position of a memory, [L] or [L, H], over the rows that have the position; NaN if none has.

    Raises:
        CellError: For a state whose units are mixed, such as the h of a plain RNN.
        SizeError: For a quantity that is not in the trace.

    Example:
        >>> import gatework
        >>> lstm = gatework.LSTM(3, 4)
        >>> with gatework.clamp(lstm, f=0.5):
        ...     kept = gatework.trace(lstm, torch.randn(6, 1, 3))
        >>> half_lives(lstm, kept)
        tensor([1., 1., 1., 1.], dtype=torch.float64)
    """
    told = trace.layer(of) if of is not None else trace.layers[0]
    name = state_of(told.step, trace.bare(of) if of is not None else None)
    layer = traced_layer(layer_or_model, told.module)
    weights, units = layer.named_weights(told.number, told.direction), layer.layers[told.number].hidden_size
    state = with_numbers(told.step, name, trace[f"{told.prefix}.{name}"])
    adjoint = elementwise(told.step, name)
    masks = given_masks(told)
    values = Values(weights, units, positions=adjoint.positions, masks=masks)
    for read, source in adjoint.reads.items():
        values.names[Name(read)] = sequence(trace, told, source).double()
    logs = adjoint.factor(values).abs().log().expand(state.shape)
    counted = torch.ones_like(logs[..., :1], dtype=torch.bool)
    mask = masks.get(told.step.positions.get(name, ""))
    if mask is not None:
        counted = counted & mask
    if told.lengths is not None:
        inside = torch.arange(len(logs), device=logs.device)[:, None] < told.lengths.to(logs.device)
        counted = counted & inside.reshape(*inside.shape, *(1,) * (logs.dim() - 2))
    mean = logs.masked_fill(~counted, 0).sum((0, 1)) / counted.sum((0, 1))
    return without_numbers(told.step, name, torch.where(counted.any(0).any(0), _halved(mean), torch.nan))


def _halved(logs: Tensor) -> Tensor:
    """Return the number of steps after which half is left, from the logarithm of what one step leaves."""
    return torch.where(logs < 0, math.log(0.5) / logs, torch.inf)


def half_life(cell: Cell | str, forget_bias: float | None = None, of: str | None = None) -> float:
    """Compute the half-life of an untrained cell's state, in steps, for zero input, zero state and zero memory.

    Before training, the weights are taken as zero, so the biases alone determine how much a step keeps: in an LSTM,
    f = sigmoid(forget_bias), and the half-life is ln(1/2) / ln f. Biases that the cell's paper does not fix are zero.

    Args:
        cell: A cell, a name such as ``lstm``, or equations.
        forget_bias: As for :class:`gatework.Recurrent`: a larger bias always means a longer memory. None for the cell's
            own.
        of: The state; None for the second state (the cell state) if there is one, otherwise the first.

    Returns:
        The half-life in steps: infinite if nothing is lost, 0 if nothing is kept.

    Raises:
        CellError: For a state whose units are mixed, and for ``forget_bias`` if the cell has no gate that keeps a
            state.

    Source:
        Tallec & Ollivier 2018, arXiv:1804.11188, on the forgetting time of a gate.

    Example:
        >>> [round(half_life("lstm", bias), 2) for bias in (0.0, 1.0, 4.0)]
        [1.0, 2.21, 38.19]
    """
    cell = read_cell(cell, 0)
    state = state_of(cell.step, of)
    fixed = {name: value for name, value in cell.init.items() if not isinstance(value, str)}
    if forget_bias is not None:
        name, value = initial.forget_bias(cell, forget_bias)
        fixed[name] = value
    step, units = cell.step, math.lcm(*cell.step.multiples.values())  # one size for all vectors
    sizes = defaultdict(lambda: units) | {ONE_NUMBER: 1}
    weights = {one.name: torch.full(one.shape(sizes), fixed.get(one.name, 0.0)) for one in step.parameters}
    given = (*(Name(name) for name in (*step.inputs, *step.banks)), *(Name(name, True) for name in step.states))
    # A memory has one position.
    zeros = {one: torch.zeros(*(1,) * (one.name in step.positions), sizes[step.sizes_of[one.name]]) for one in given}
    values = Values(weights, units, zeros, step.positions)
    for line in step.equations:
        values.names[Name(line.target)] = values(line.value)
    adjoint = elementwise(step, state)
    values.names |= {Name(read): values.names[source] for read, source in adjoint.reads.items()}
    values.positions = adjoint.positions
    return float(_halved(adjoint.factor(values).abs().log()).flatten()[-1])
