"""Drop-in replacements for torch.nn.LSTMCell, GRUCell and RNNCell: same arguments, shapes and state dicts.

If no option changes the equations, a step is torch's own operation, to the bit. With options, torch's operations
compute the step from the equations, because the call of a kernel would cost more than the step itself.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gatework.cells import CELLS, Cell
from gatework.errors import SizeError
from gatework.kernels.reference.run import prepare
from gatework.kernels.reference.single import run_single
from gatework.nn import initial, storage
from gatework.nn.drop_in import NONLINEARITIES, RESET_BEFORE, Device, Zoneout, lstm_variant, regularised
from gatework.nn.layers import plan_layers
from gatework.nn.single import torch_step
from gatework.nn.wiring import Wiring

_DRAWN = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # drawn as in torch, even if the cell's paper fixes values


class _TorchCell(nn.Module):
    """The common base of the drop-in cells: torch's checks, names and initial values.

    Args:
        cell: The cell.
        operation: The name of torch's operation for its equations; empty if there is none.
        second_bias: As for :func:`gatework.nn.storage.layout`.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Tell type checkers that parameters are attributes; their names depend on the cell."""

    def __init__(
        self,
        cell: Cell,
        operation: str,
        second_bias: Mapping[str, str],
        input_size: int,
        hidden_size: int,
        bias: bool,
        device: Device,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise SizeError(f"{name} is {size!r}; expected a whole number of at least 1.")
        self.cell, self.input_size, self.hidden_size, self.bias = cell, input_size, hidden_size, bias
        self._operation = operation
        (self._layer,) = plan_layers(
            cell,
            input_size,
            (hidden_size,),
            Wiring(),
            bias=bias,
            proj_size=0,
            second_bias=second_bias,
        )
        prepare(self._layer.step)
        for stored in self._layer.stored:
            shape = stored.shape(self._layer.sizes)
            self.register_parameter(stored.key, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        if not bias:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise all parameters as torch's cell does; parameters of options start as in the option's paper."""
        parts = [(stored, getattr(self, stored.key)) for stored in self._layer.stored]
        for stored, tensor in parts:
            initial.uniform(stored, tensor, self.hidden_size)
        own = {name for stored, _ in parts if stored.key not in _DRAWN for name in stored.names}
        for name, value in self.cell.init.items():
            if name in own:
                initial.write(parts, name, value)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Run a step, as torch's cell does.

        Args:
            input: [B, I], or [I] without a batch.
            hx: The state before the step, [B, H] or [H], for an LSTM the pair (h, c); None for zeros.

        Returns:
            The state after the step, in the form of ``hx``.

        Raises:
            ValueError: For an input or a state without 1 or 2 dimensions.
            RuntimeError: For an input or a state of the wrong size.
        """
        states = self.cell.states
        parts = None if hx is None else (hx,) if len(states) == 1 else hx
        _check_ranks(type(self).__name__, input, parts)
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if parts is None:
            zeros = input.new_zeros(input.shape[0], self.hidden_size)
            parts = (zeros,) * len(states)
        elif not batched:
            parts = tuple([one.unsqueeze(0) for one in parts])
        after = self._after(input, tuple(parts))
        if not batched:
            after = tuple([one.squeeze(0) for one in after])
        return after if len(after) > 1 else after[0]

    def _after(self, input: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self._operation:
            weights = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
            return torch_step(self._operation, input, states, weights)
        self._check_sizes(input, states)
        weights = storage.weights(self._layer.stored, lambda key: getattr(self, key))
        step = self._layer.step
        draws = None
        if self.training and step.draws:
            shape = (input.shape[0], self.hidden_size)
            draws = {name: torch.bernoulli(input.new_full(shape, rate)) for name, rate in step.draws.items()}
        return run_single(step, weights, (input,), states, draws)

    def _check_sizes(self, input: Tensor, states: tuple[Tensor, ...]) -> None:
        """Refuse what torch's operations refuse, with the same messages."""
        if input.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.shape[1]} expected {self.input_size}",
            )
        if len(states) != len(self.cell.states):
            raise RuntimeError(f"Expected {len(self.cell.states)} hidden states, got {len(states)}")
        for place, one in enumerate(states):
            if one.shape[0] != input.shape[0]:
                rows = f"Input batch size {input.shape[0]} doesn't match hidden{place} batch size {one.shape[0]}"
                raise RuntimeError(rows)
            if one.shape[1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden{place} has inconsistent hidden_size: got {one.shape[1]}, expected {self.hidden_size}"
                )

    def extra_repr(self) -> str:
        """Print the options that differ from their defaults, as torch's cells do."""
        shown = f"{self.input_size}, {self.hidden_size}"
        return shown if self.bias else f"{shown}, bias=False"


def _check_ranks(name: str, input: Tensor, parts: Any) -> None:
    """Refuse inputs and states with the wrong number of axes."""
    if input.dim() not in (1, 2):
        raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
    if parts is not None:
        for place, one in enumerate(parts):
            if one.dim() not in (1, 2):
                which = f"hx[{place}]" if len(parts) > 1 else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {one.dim()}D instead")


class LSTMCell(_TorchCell):
    """Replace ``torch.nn.LSTMCell``, with the variants of the literature as options.

    Args:
        input_size: Number of features of the input.
        hidden_size: Number of units.
        bias: Whether there are biases, two for each gate as in torch.
        device: The device of the parameters.
        dtype: The type of the parameters.
        peephole: As for :class:`gatework.LSTM`.
        coupled: As for :class:`gatework.LSTM`.
        forget_gate: As for :class:`gatework.LSTM`.
        layer_norm: As for :class:`gatework.LSTM`.
        zoneout: As for :class:`gatework.LSTM`.
        recurrent_dropout: As for :class:`gatework.LSTM`.

    Raises:
        SizeError: For invalid sizes.
        CellError: For options that exclude one another.

    Example:
        >>> cell = LSTMCell(3, 4)
        >>> h, c = cell(torch.zeros(2, 3))
        >>> h, c = cell(torch.zeros(2, 3), (h, c))
        >>> h.shape
        torch.Size([2, 4])
        >>> cell.load_state_dict(torch.nn.LSTMCell(3, 4).state_dict())
        <All keys matched successfully>
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: str = "",
        coupled: bool = False,
        forget_gate: bool = True,
        layer_norm: bool = False,
        zoneout: Zoneout = None,
        recurrent_dropout: float = 0.0,
    ) -> None:
        cell = regularised(lstm_variant(peephole, coupled, forget_gate), layer_norm, zoneout, recurrent_dropout)
        operation = "lstm_cell" if cell is CELLS["lstm"] else ""
        second = {name: name for name in ("b_i", "b_f", "b_g", "b_o")}
        super().__init__(cell, operation, second, input_size, hidden_size, bias, device, dtype)


class GRUCell(_TorchCell):
    """Replace ``torch.nn.GRUCell``. The gate z keeps the old state: z = 1 leaves h unchanged.

    Args:
        input_size: Number of features of the input.
        hidden_size: Number of units.
        bias: Whether there are biases, two for each gate as in torch.
        device: The device of the parameters.
        dtype: The type of the parameters.
        reset_after: As for :class:`gatework.GRU`.
        layer_norm: As for :class:`gatework.GRU`.
        zoneout: As for :class:`gatework.GRU`.
        recurrent_dropout: As for :class:`gatework.GRU`.

    Raises:
        SizeError: For invalid sizes.

    Example:
        >>> GRUCell(3, 4)(torch.zeros(2, 3)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        zoneout: Zoneout = None,
        recurrent_dropout: float = 0.0,
    ) -> None:
        cell = regularised(CELLS["gru"] if reset_after else RESET_BEFORE, layer_norm, zoneout, recurrent_dropout)
        operation = "gru_cell" if cell is CELLS["gru"] else ""
        second = {"b_r": "b_r", "b_z": "b_z", "b_n": "c_n"}
        super().__init__(cell, operation, second, input_size, hidden_size, bias, device, dtype)


class RNNCell(_TorchCell):
    """Replace ``torch.nn.RNNCell``.

    Args:
        input_size: Number of features of the input.
        hidden_size: Number of units.
        bias: Whether there are biases, two as in torch.
        nonlinearity: ``tanh`` or ``relu``.
        device: The device of the parameters.
        dtype: The type of the parameters.
        layer_norm: As for :class:`gatework.RNN`.
        zoneout: As for :class:`gatework.RNN`.

    Raises:
        ValueError: For another nonlinearity.
        SizeError: For invalid sizes.

    Example:
        >>> RNNCell(3, 4, nonlinearity="relu")(torch.zeros(3)).shape
        torch.Size([4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        zoneout: Zoneout = None,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            choices = " or ".join(map(repr, NONLINEARITIES))
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from {choices}.")
        plain = CELLS[NONLINEARITIES[nonlinearity]]
        cell = regularised(plain, layer_norm, zoneout, 0.0)
        operation = f"rnn_{nonlinearity}_cell" if cell is plain else ""
        super().__init__(cell, operation, {"b_h": "b_h"}, input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        """Print the options that differ from their defaults, as torch's cell does."""
        shown = super().extra_repr()
        return shown if self.nonlinearity == "tanh" else f"{shown}, nonlinearity={self.nonlinearity}"
