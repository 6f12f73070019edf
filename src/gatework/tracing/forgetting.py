"""Measure how fast a state decays along itself: half-lives of an untrained cell, and of the units of a trace."""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn

from gatework.cells import Cell
from gatework.language import Name
from gatework.nn import initial
from gatework.nn.layers import read_cell
from gatework.tracing.adjoints import elementwise, sequence, state_of
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
        The half-lives in steps, float64 [H]: infinite if nothing is lost, 0 if some step kept nothing.

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
    values = Values(layer.named_weights(told.number, told.direction), layer.layers[told.number].hidden_size)
    state = trace[f"{told.prefix}.{name}"]
    adjoint = elementwise(told.step, name)
    for read, source in adjoint.reads.items():
        values.names[Name(read)] = sequence(trace, told, source).double()
    logs = adjoint.factor(values).abs().log().expand(state.shape)
    if told.lengths is None:
        return _halved(logs.mean((0, 1)))
    counted = torch.arange(len(logs), device=logs.device)[:, None] < told.lengths.to(logs.device)
    return _halved(logs[counted].mean(0))


def _halved(logs: Tensor) -> Tensor:
    """Return the number of steps after which half is left, from the logarithm of what one step leaves."""
    return torch.where(logs < 0, math.log(0.5) / logs, torch.inf)


def half_life(cell: Cell | str, forget_bias: float | None = None, of: str | None = None) -> float:
    """Compute the half-life of an untrained cell's state, in steps, for zero input and zero state.

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
    sizes = defaultdict(lambda: units)
    weights = {one.name: torch.full(one.shape(sizes), fixed.get(one.name, 0.0)) for one in step.parameters}
    zero = torch.zeros(units)
    values = Values(weights, units, {Name(name): zero for name in step.inputs})
    values.names |= {Name(name, True): zero.double() for name in step.states}
    for line in step.equations:
        values.names[Name(line.target)] = values(line.value)
    adjoint = elementwise(step, state)
    values.names |= {Name(read): values.names[source] for read, source in adjoint.reads.items()}
    return float(_halved(adjoint.factor(values).abs().log().expand(units))[-1])
