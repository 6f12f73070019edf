"""A layer's parameters and their initial values: named schemes, and values that a cell's paper fixes."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from gatework.cells import Cell
from gatework.errors import CellError, SizeError, did_you_mean
from gatework.nn.layers import Layer, learnable_states
from gatework.nn.storage import Stored
from gatework.nn.wiring import suffix_of

Draw = Callable[[Stored, Tensor, int], None]


def register(layer: Any, device: torch.device | str | int | None, dtype: torch.dtype | None) -> None:
    """Register the parameters of a :class:`gatework.nn.Recurrent`, without values.

    Args:
        layer: The layer.
        device: The device of the parameters.
        dtype: The type of the parameters.
    """

    def add(name: str, *shape: int) -> None:
        layer.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))

    for number, direction, one in layer._runs():
        mapped = direction == 0 and layer.wiring.maps_owner(number) == number
        for key, (rows, columns) in one.maps.items() if mapped else ():
            add(f"weight_{key}_l{number}", rows, columns)
            if layer.bias:
                add(f"bias_{key}_l{number}", rows)
        for stored in one.stored if layer.wiring.owner(number) == number else ():
            add(stored.key + suffix_of(number, direction), *stored.shape(one.sizes))
        for state in learnable_states(one.step) if layer.learn_initial_state else ():
            add(f"initial_{state}{suffix_of(number, direction)}", one.size(state))


def uniform(stored: Stored, tensor: Tensor, hidden_size: int) -> None:
    """Draw from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)), as torch's recurrent layers do."""
    bound = 1 / math.sqrt(hidden_size)
    nn.init.uniform_(tensor, -bound, bound)


def orthogonal(stored: Stored, tensor: Tensor, hidden_size: int) -> None:
    """Make recurrent matrices orthogonal and biases zero.

    Other matrices are drawn uniformly as in Glorot & Bengio 2010, and other vectors as in torch.

    Source:
        Saxe, McClelland & Ganguli 2014, arXiv:1312.6120, for the orthogonal matrices.
    """
    for parameter in stored.parameters:
        part = stored.view(tensor, parameter.name)
        if parameter.role == "recurrent":
            blocks = parameter.blocks if parameter.structure == "block_diagonal" else 1
            for block in part.chunk(blocks):
                _orthogonal(block)
        elif parameter.role == "bias":
            nn.init.zeros_(part)
        elif parameter.role == "vector":
            uniform(stored, part, hidden_size)
        else:
            nn.init.xavier_uniform_(part)


SCHEMES: dict[str, Draw] = {"torch": uniform, "orthogonal": orthogonal, "chrono": uniform}
"""The choices of ``init``. Chrono also draws the biases of gates, see :func:`chrono`."""


def scheme(name: str) -> Draw:
    """Look up a scheme.

    Raises:
        SizeError: For an unknown name; the message lists the choices.
    """
    if not isinstance(name, str) or name not in SCHEMES:
        hint = did_you_mean(str(name), SCHEMES, "'")
        raise SizeError(f"init is {name!r}; expected one of {', '.join(SCHEMES)}.{hint}")
    return SCHEMES[name]


def reset(layer: Any) -> None:
    """Initialise all parameters of a :class:`gatework.Recurrent`; see its method ``reset_parameters``."""
    draw = scheme(layer.init)
    for number, direction, one in layer._runs():
        suffix = suffix_of(number, direction)
        if direction == 0 and layer.wiring.maps_owner(number) == number:
            _reset_maps(layer, number, one)
        if layer.wiring.owner(number) == number:
            parts = [(stored, getattr(layer, stored.key + suffix)) for stored in one.stored]
            for stored, tensor in parts:
                draw(stored, tensor, one.hidden_size)
            for name, value in _fixed(layer, one).items():
                write(parts, name, value)
        for state in learnable_states(one.step) if layer.learn_initial_state else ():
            nn.init.zeros_(getattr(layer, f"initial_{state}{suffix}"))


def _reset_maps(layer: Any, number: int, one: Layer) -> None:
    """Draw the learned maps of one of a stack's layers."""
    for key, (_, columns) in one.maps.items():
        bound = 1 / math.sqrt(columns)
        for kind in ("weight", "bias") if layer.bias else ("weight",):
            nn.init.uniform_(getattr(layer, f"{kind}_{key}_l{number}"), -bound, bound)
        if key == "gate" and layer.bias:
            # Srivastava et al. 2015, section 2.2: a negative bias, so that layers first pass on what they read.
            nn.init.constant_(getattr(layer, f"bias_gate_l{number}"), -1.0)


def _fixed(layer: Any, one: Layer) -> dict[str, float | str | Tensor]:
    """Collect the values that replace the drawn values of one of a stack's layers, by parameter."""
    kept = {name for stored in one.stored if stored.key in layer._as_drawn for name in stored.names}
    values: dict[str, float | str | Tensor] = {k: v for k, v in layer.cell.init.items() if k not in kept}
    if layer.init == "chrono":
        if not layer.bias:
            raise SizeError("init='chrono' with bias=False: there are no gate biases to draw. Drop one of them.")
        values |= chrono(layer.cell, layer.chrono_steps, one.hidden_size)
    if layer.forget_bias is not None:
        name, value = forget_bias(layer.cell, layer.forget_bias)
        if not layer.bias:
            raise SizeError(f"forget_bias={layer.forget_bias} with bias=False: there is no `{name}` to set.")
        values[name] = value
    learned = {name for stored in one.stored for name in stored.names}
    return {name: value for name, value in values.items() if name in learned}


def chrono(cell: Cell, steps: int | None, hidden_size: int) -> dict[str, Tensor]:
    """Draw gate biases for a memory of up to ``steps`` steps.

    Each unit draws a time from U(1, steps - 1). The logarithm of this time is the initial bias of the unit's forget
    gate, and minus the logarithm is the initial bias of its input gate.

    Args:
        cell: The cell; ``cell.remember`` names the biases, each with its sign.
        steps: The longest time to remember, in steps.
        hidden_size: The number of units.

    Returns:
        The values of each of these biases, [H] in float32.

    Raises:
        SizeError: If ``steps`` is missing or less than 3.
        CellError: If the cell has no bias of a gate that keeps the state.

    Source:
        Tallec & Ollivier 2018, equation 16.
    """
    if not isinstance(steps, int | float) or not 3 <= steps < math.inf:
        raise SizeError(
            f"init='chrono' with chrono_steps={steps!r}; expected the longest time to remember, in steps, at least 3: "
            "chrono_steps=784, say."
        )
    _check_remembers(cell, "init='chrono'")
    times = torch.empty(hidden_size).uniform_(1, steps - 1).log_()
    return {name: sign * times for name, sign in cell.remember.items()}


def forget_bias(cell: Cell, value: float) -> tuple[str, float]:
    """Return the bias that ``forget_bias`` sets, and its value: a larger option always means a longer memory.

    Raises:
        SizeError: If the value is not a finite number.
        CellError: If the cell has no such bias.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SizeError(f"forget_bias is {value!r}; expected a finite number, such as 1.0, or None.")
    _check_remembers(cell, f"forget_bias={value}")
    name, sign = next(iter(cell.remember.items()))
    return name, sign * value


def write(parts: Iterable[tuple[Stored, Tensor]], name: str, value: float | str | Tensor) -> None:
    """Set the value of a parameter.

    Args:
        parts: The layer's stored tensors.
        name: The parameter. If it is stored as a sum of two tensors, the second becomes zero.
        value: A number, ``identity``, ``orthogonal``, ``zeros``, or the values themselves.
    """
    views = [stored.view(tensor, name) for stored, tensor in parts if name in stored.names]
    for view in views:
        nn.init.zeros_(view)
    for view in views[:1]:
        if isinstance(value, Tensor):
            with torch.no_grad():
                view.copy_(value)
        elif value == "identity":
            nn.init.eye_(view)
        elif value == "orthogonal":
            _orthogonal(view)
        elif not isinstance(value, str):
            nn.init.constant_(view, value)


def _orthogonal(tensor: Tensor) -> None:
    # The decomposition exists only in float32 and float64.
    wide = torch.empty_like(tensor, dtype=torch.float64 if tensor.dtype == torch.float64 else torch.float32)
    nn.init.orthogonal_(wide)
    with torch.no_grad():
        tensor.copy_(wide)


def _check_remembers(cell: Cell, what: str) -> None:
    if not cell.remember:
        raise CellError(
            f"{what}: the cell `{cell.name}` names no bias by which it remembers. Leave the option out, or make a Cell "
            "with remember={'b_f': +1}, naming the forget gate's bias."
        )
