"""Drop-in replacements for torch.nn.LSTM, GRU and RNN: same arguments, shapes, errors and state dicts.

They are :class:`gatework.nn.Recurrent` with torch's two biases per gate, torch's initial values and torch's errors. The
variants of the literature are options. With the same seed they start from the same weights as torch's layers.
"""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatework.cells import CELLS, Cell, cell, coupled, peephole, project
from gatework.cells import layer_norm as with_layer_norm
from gatework.cells import recurrent_dropout as with_recurrent_dropout
from gatework.cells import zoneout as with_zoneout
from gatework.errors import CellError
from gatework.nn.memories import Banks
from gatework.nn.recurrent import Recurrent

Device = torch.device | str | int | None
Zoneout = float | Sequence[float] | Mapping[str, float] | None

_NO_FORGET_GATE = cell(
    """
    i = sigmoid(W_i @ x + R_i @ h + b_i)  # input gate
    g = tanh(W_g @ x + R_g @ h + b_g)     # candidate
    o = sigmoid(W_o @ x + R_o @ h + b_o)  # output gate
    c = c + i * g                         # cell state
    h = o * tanh(c)                       # hidden state
    """,
    name="lstm_without_forget_gate",
)
# The reset of Cho et al. 2014, arXiv v3, but z KEEPS, as in torch. In gru_v3, z replaces, so torch's weights do not
# fit.
RESET_BEFORE = cell(
    """
    r = sigmoid(W_r @ x + R_r @ h + b_r)     # reset gate
    z = sigmoid(W_z @ x + R_z @ h + b_z)     # update gate: 1 keeps
    n = tanh(W_n @ x + R_n @ (r * h) + b_n)  # candidate
    h = (1 - z) * n + z * h                  # hidden state
    """,
    name="gru_reset_before",
)
NONLINEARITIES = {"tanh": "rnn", "relu": "rnn_relu"}


class _TorchLayer(Recurrent):
    """The common base of the drop-in layers: torch's checks, names and initial values."""

    mode: str
    _as_drawn = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")

    # pyrefly: ignore [bad-override-param-name]  (torch's layers call the state hx, and so do their users)
    def forward(
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        mask: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
    ) -> tuple[Any, Any]:
        """Run over whole sequences, as torch's layer does.

        Args:
            input: [T, B, I], [B, T, I] if ``batch_first``, [T, I] without a batch, [N, I] with ``cu_seqlens``, a
                ``PackedSequence`` or a jagged nested tensor.
            hx: The state before the first step, [L * D, B, H], for an LSTM the pair (h, c); None for zeros.
            lengths: The number of steps of each row; the rest is padding, which has no influence.
            reset: bool, with the input's first two axes: True where a new sequence starts from zeros.
            mask: bool, as reset: False at steps that count as deleted. They keep the row's state; the output is zero.
            cu_seqlens: int32 or int64 [B + 1]: the first of the N rows of each sequence, and N at the end.

        Returns:
            The output, [T, B, D * H] in the form of the input, and the state after the last step of each row.

        Raises:
            ValueError: For an input of another type than the weights, or without 2 or 3 dimensions.
            RuntimeError: For an input or a state of the wrong size.
            SizeError: For lengths, marks or offsets that do not fit the input.
        """
        given = {"lengths": lengths, "reset": reset, "mask": mask, "cu_seqlens": cu_seqlens}
        output, final = super().forward(input, hx, **given)
        return (output, final) if (low := self._lowered(output)) is None else (output.to(low), _to(final, low))

    def _lowered(self, output: Any) -> torch.dtype | None:
        """Return the type of the output of torch's layer, if it has a lower precision than this layer's output."""
        return None

    def flatten_parameters(self) -> None:
        """Do nothing. This method exists for code that calls it on torch's layers."""

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of every layer and direction."""
        return [
            [getattr(self, f"{stored.key}_l{number}{'_reverse' if direction else ''}") for stored in layer.stored]
            for number, direction, layer in self._runs()
        ]

    def _check(
        self, inputs: tuple[Any, ...], state: Any, batch_first: bool, memories: Banks = None, rows: int | None = None
    ) -> None:
        """Refuse what torch's layer refuses, with the same exceptions."""
        (given,) = inputs
        packed = isinstance(given, PackedSequence)
        tensor: Tensor = given.data if packed else given
        name, flat = type(self).__name__, packed or rows is not None
        if not packed and tensor.dim() not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {tensor.dim()}D instead")
        batched = flat or tensor.dim() == 3
        parts = () if state is None else (state,) if isinstance(state, Tensor) else tuple(state)
        if not flat and any(part.dim() != tensor.dim() for part in parts):
            what = "hx" if len(parts) == 1 else "hx and cx"
            dimensions = ", ".join(f"{part.dim()}-D" for part in parts)
            dimensions = f"{dimensions} tensor" if len(parts) == 1 else f"({dimensions}) tensors"
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(f"For {kind} input, {what} should also be {tensor.dim()}-D but got {dimensions}")
        weight = self.weight_ih_l0
        if tensor.dtype != weight.dtype and not torch.is_autocast_enabled(tensor.device.type):
            raise ValueError(
                f"RNN input dtype ({tensor.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({tensor.dtype})"
            )
        if tensor.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {tensor.shape[-1]}"
            )
        if not flat and not tensor.shape[1 if batched and batch_first else 0]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        if state is not None:
            if rows is None and batched:
                rows = int(given.batch_sizes[0]) if packed else tensor.shape[0 if batch_first else 1]
            self._check_sizes(parts, rows)

    def _check_sizes(self, parts: tuple[Tensor, ...], rows: int | None) -> None:
        """Refuse a state of the wrong size."""
        names = self.cell.states
        if len(parts) != len(names):
            raise RuntimeError(f"Expected {len(names)} hidden states ({', '.join(names)}), got {len(parts)}")
        runs = self.num_layers * (2 if self.bidirectional else 1)
        for place, (name, part) in enumerate(zip(names, parts, strict=True)):
            expected = (runs, *(() if rows is None else (rows,)), self.layers[0].size(name))
            if part.shape != expected:
                which = f"hidden[{place}]" if len(names) > 1 else "hidden"
                raise RuntimeError(f"Expected {which} size {expected}, got {list(part.shape)}")


class LSTM(_TorchLayer):
    """Replace ``torch.nn.LSTM``, with the variants of the literature as options.

    Args:
        input_size: Number of features of the input.
        hidden_size: Number of units of each layer.
        num_layers: Number of layers.
        bias: Whether there are biases, two for each gate as in torch.
        batch_first: Whether input and output are [B, T, size].
        dropout: Probability of zeroing outputs between layers, in training.
        bidirectional: Whether a second direction runs backward in time.
        proj_size: Size of the projected output, if positive (Sak et al. 2014).
        device: The device of the parameters.
        dtype: The type of the parameters.
        peephole: Gates that see the cell state, some of ``"ifo"`` (Gers & Schmidhuber 2000).
        coupled: Whether the forget gate is one minus the input gate (Greff et al. 2015, CIFG).
        forget_gate: Whether there is a forget gate. Without one, the cell state only accumulates.
        layer_norm: Whether products and cell state are normalised (Ba et al. 2016).
        zoneout: Probability that a unit keeps its old state: one for all states, ``{"h": ..., "c": ...}``, or a pair
            in that order (Krueger et al. 2016).
        recurrent_dropout: Probability of dropping a unit of the candidate (Semeniuta et al. 2016).
        forget_bias: Initial forget bias, the sum of the two biases; None draws it as torch does.
        backend: As for :class:`Recurrent`.
        memory: As for :class:`Recurrent`.

    Raises:
        TypeError: For options of a wrong type, as in torch.
        ValueError: For options out of range, as in torch.
        CellError: For options that exclude one another.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> theirs = torch.nn.LSTM(3, 4)
        >>> ours = LSTM(3, 4)
        >>> ours.load_state_dict(theirs.state_dict())
        <All keys matched successfully>
        >>> input = torch.randn(5, 2, 3)
        >>> torch.allclose(ours(input)[0], theirs(input)[0], atol=1e-6)
        True
        >>> LSTM(3, 4, peephole="ifo", zoneout={"c": 0.5, "h": 0.05})(input)[0].shape
        torch.Size([5, 2, 4])
    """

    _second_bias: Mapping[str, str] | None = {"b_i": "b_i", "b_f": "b_f", "b_g": "b_g", "b_o": "b_o"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: str = "",
        coupled: bool = False,
        forget_gate: bool = True,
        layer_norm: bool = False,
        zoneout: Zoneout = None,
        recurrent_dropout: float = 0.0,
        forget_bias: float | None = None,
        backend: str = "auto",
        memory: str = "fast",
    ) -> None:
        options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        _check_options(*options)
        cell = lstm_variant(peephole, coupled, forget_gate)
        # The projection comes before zoneout, so that zoneout keeps the projected h and there are still two states.
        cell = regularised(project(cell) if proj_size else cell, layer_norm, zoneout, recurrent_dropout)
        super().__init__(
            cell, *options, forget_bias=forget_bias, backend=backend, memory=memory, device=device, dtype=dtype
        )
        self.mode = "LSTM"
        self._operation = "lstm_cell" if self.cell is CELLS["lstm"] else ""

    def _lowered(self, output: Any) -> torch.dtype | None:
        """Follow torch's LSTM under autocast: oneDNN runs it in lower precision, unless it is packed or projected."""
        if not torch.is_autocast_enabled("cpu") or self.proj_size or not isinstance(output, Tensor):
            return None
        known = output.is_cpu and output.dtype == torch.float32 and output.numel() > 0
        return torch.get_autocast_dtype("cpu") if known and torch.backends.mkldnn.is_available() else None


class GRU(_TorchLayer):
    """Replace ``torch.nn.GRU``. The gate z keeps the old state: z = 1 leaves h unchanged.

    Args:
        input_size: Number of features of the input.
        hidden_size: Number of units of each layer.
        num_layers: Number of layers.
        bias: Whether there are biases, two for each gate as in torch.
        batch_first: Whether input and output are [B, T, size].
        dropout: Probability of zeroing outputs between layers, in training.
        bidirectional: Whether a second direction runs backward in time.
        device: The device of the parameters.
        dtype: The type of the parameters.
        reset_after: Whether the reset gate acts after the product with R_n, as in torch and cuDNN. With False it acts
            before the product, as in Cho et al. 2014, arXiv v3, and both biases of the candidate are added outside. The
            gate z keeps the old state in both cases and the tensors are the same, so torch's weights load into both.
            Only ``reset_after=True`` computes what torch computes. (In the registry's ``gru_v3``, z also has the
            opposite meaning.)
        layer_norm: Whether products are normalised (Ba et al. 2016).
        zoneout: Probability that a unit keeps its old state (Krueger et al. 2016).
        recurrent_dropout: Probability of dropping a unit of the candidate (Semeniuta et al. 2016).
        backend: As for :class:`Recurrent`.
        memory: As for :class:`Recurrent`.
        proj_size: Refused, as in torch.

    Raises:
        TypeError: For options of a wrong type, as in torch.
        ValueError: For options out of range, as in torch.

    Example:
        >>> GRU(3, 4, reset_after=False)(torch.zeros(5, 2, 3))[1].shape
        torch.Size([1, 2, 4])
    """

    _second_bias: Mapping[str, str] | None = {"b_r": "b_r", "b_z": "b_z", "b_n": "c_n"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        zoneout: Zoneout = None,
        recurrent_dropout: float = 0.0,
        backend: str = "auto",
        memory: str = "fast",
        proj_size: int | None = None,
    ) -> None:
        _refuse_projection(proj_size)
        options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        _check_options(*options)
        cell = regularised(CELLS["gru"] if reset_after else RESET_BEFORE, layer_norm, zoneout, recurrent_dropout)
        super().__init__(cell, *options, backend=backend, memory=memory, device=device, dtype=dtype)
        self.mode = "GRU"
        self._operation = "gru_cell" if self.cell is CELLS["gru"] else ""


class RNN(_TorchLayer):
    """Replace ``torch.nn.RNN``.

    Args:
        input_size: Number of features of the input.
        hidden_size: Number of units of each layer.
        num_layers: Number of layers.
        nonlinearity: ``tanh`` or ``relu``.
        bias: Whether there are biases, two as in torch.
        batch_first: Whether input and output are [B, T, size].
        dropout: Probability of zeroing outputs between layers, in training.
        bidirectional: Whether a second direction runs backward in time.
        device: The device of the parameters.
        dtype: The type of the parameters.
        layer_norm: Whether products are normalised (Ba et al. 2016).
        zoneout: Probability that a unit keeps its old state (Krueger et al. 2016).
        backend: As for :class:`Recurrent`.
        memory: As for :class:`Recurrent`.
        proj_size: Refused, as in torch.

    Raises:
        TypeError: For options of a wrong type, as in torch.
        ValueError: For options out of range, as in torch.

    Example:
        >>> RNN(3, 4, 1, "relu")(torch.zeros(5, 2, 3))[1].shape
        torch.Size([1, 2, 4])
    """

    _second_bias: Mapping[str, str] | None = {"b_h": "b_h"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        zoneout: Zoneout = None,
        backend: str = "auto",
        memory: str = "fast",
        proj_size: int | None = None,
    ) -> None:
        _refuse_projection(proj_size)
        if nonlinearity not in NONLINEARITIES:
            choices = " or ".join(map(repr, NONLINEARITIES))
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from {choices}.")
        options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        _check_options(*options)
        cell = regularised(CELLS[NONLINEARITIES[nonlinearity]], layer_norm, zoneout, 0.0)
        super().__init__(cell, *options, backend=backend, memory=memory, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity
        self.mode = f"RNN_{nonlinearity.upper()}"
        self._operation = f"rnn_{nonlinearity}_cell" if self.cell is CELLS[NONLINEARITIES[nonlinearity]] else ""


def _to(state: Any, dtype: torch.dtype) -> Any:
    return tuple(part.to(dtype) for part in state) if isinstance(state, tuple) else state.to(dtype)


def lstm_variant(peepholes: str, is_coupled: bool, forget_gate: bool) -> Cell:
    """Return the LSTM with these options; without options, the registry's own cell."""
    if is_coupled and not forget_gate:
        raise CellError(
            "coupled=True with forget_gate=False: coupling makes the forget gate 1 - i. Choose one of them."
        )
    variant = CELLS["lstm"] if forget_gate else _NO_FORGET_GATE
    variant = peephole(variant, peepholes) if peepholes else variant
    return coupled(variant) if is_coupled else variant


def regularised(cell: Cell, layer_norm: bool, zoneout: Zoneout, recurrent_dropout: float) -> Cell:
    """Return a cell with these options; without options, the cell itself."""
    if layer_norm:
        cell = with_layer_norm(cell)
    if recurrent_dropout:
        cell = with_recurrent_dropout(cell, recurrent_dropout)
    if zoneout is None:
        return cell
    if isinstance(zoneout, Mapping):
        rates = dict(zoneout)
    elif isinstance(zoneout, Sequence):
        if len(zoneout) != len(cell.states):
            raise CellError(
                f"zoneout is {zoneout!r}; expected a rate for each of {', '.join(cell.states)}, or a single one."
            )
        rates = dict(zip(cell.states, zoneout, strict=True))
    else:
        rates = dict.fromkeys(cell.states, zoneout)
    rates = {name: rate for name, rate in rates.items() if rate != 0}
    return with_zoneout(cell, **rates) if rates else cell


def _refuse_projection(proj_size: int | None) -> None:
    if proj_size is not None:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


def _check_options(
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bias: bool,
    batch_first: bool,
    dropout: float,
    bidirectional: bool,
    proj_size: int = 0,
) -> None:
    """Refuse what torch's constructors refuse, in the same order and with the same exceptions."""
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= float(dropout) <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    for name, value, kind in (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        if kind is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
