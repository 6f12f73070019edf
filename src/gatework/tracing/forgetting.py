"""How fast a state is forgotten along itself: half-lives, of an untrained cell and of the units of a trace."""

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
    """Give the half-life of each unit's state in a trace: after how many steps half is left of what was in it.

    It is counted along the direct path, by the mean logarithm of the factor that each step puts before last step's
    value: of an LSTM's c the forget gate, so ln(1/2) / mean(ln f).

    Args:
        layer_or_model: What was traced.
        trace: Its trace, with all that the state's equation reads.
        of: The state, as a key of the trace; None for the cell state of the first layer: the second state where there
            is one, else the first.

    Returns:
        Steps, float64 [H]: infinite where nothing is lost, 0 where a step kept nothing.

    Raises:
        CellError: For a state that is not carried unit by unit, such as the h of a plain RNN.
        SizeError: For a quantity that the trace lacks.

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
    """Give after how many steps half is left, for the logarithm of what a step leaves."""
    return torch.where(logs < 0, math.log(0.5) / logs, torch.inf)


def half_life(cell: Cell | str, forget_bias: float | None = None, of: str | None = None) -> float:
    """Give the half-life of an untrained cell's state, in steps, where the input is zero and so is the state.

    Weights are as good as zero before training, so biases alone say how much a step keeps: of an LSTM
    f = sigmoid(forget_bias), and the half-life is ln(1/2) / ln f. Biases that the cell's paper does not fix are zero.

    Args:
        cell: A cell, a name such as ``lstm``, or equations.
        forget_bias: As for :class:`gatework.Recurrent`, larger always meaning longer; None for the cell's own.
        of: The state; None for the second where there is one (the cell state), else the first.

    Returns:
        Steps: infinite where nothing is lost, 0 where nothing is kept.

    Raises:
        CellError: For a state that is not carried unit by unit, and a cell that names no bias by which it remembers.

    Source:
        Tallec & Ollivier 2018, arXiv:1804.11188, on the forgetting time of a gate.

    Example:
        >>> [round(half_life("lstm", bias), 2) for bias in (0.0, 1.0, 4.0)]
        [1.0, 2.21, 38.19]
    """
    found = read_cell(cell, 0)
    state = state_of(found.step, of)
    fixed = {name: value for name, value in found.init.items() if not isinstance(value, str)}
    if forget_bias is not None:
        name, value = initial.forget_bias(found, forget_bias)
        fixed[name] = value
    step, units = found.step, math.lcm(*found.step.multiples.values())  # one size for all
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
