"""The layers against ONNX Runtime's operators: peepholes, coupled gates, activations, both resets, both directions."""

from itertools import product
from typing import Any

import numpy
import pytest
import torch
from tests.tolerances import assert_close
from torch import Tensor

import gatework

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

STEPS, ROWS, INPUT_SIZE, HIDDEN_SIZE = 5, 3, 3, 4
LENGTHS = [5, 2, 4]
# ONNX's order of gates, in our letters: iofc for an LSTM, zrh for a GRU; of peepholes iof.
ORDER = {"LSTM": "iofg", "GRU": "zrn", "RNN": "h"}
PEEPHOLES = "iof"


def operator(kind: str, inputs: dict[str, Tensor | None], **attributes) -> list[Tensor]:
    """Run a model of one operator; inputs that are None are left out."""
    names = [name if tensor is not None else "" for name, tensor in inputs.items()]
    outputs = ["Y", "Y_h", *(["Y_c"] if kind == "LSTM" else [])]
    arrays = {name: tensor.detach().numpy() for name, tensor in inputs.items() if tensor is not None}
    node = onnx.helper.make_node(kind, names, outputs, hidden_size=HIDDEN_SIZE, **attributes)
    graph = onnx.helper.make_graph(
        [node],
        kind,
        [
            onnx.helper.make_tensor_value_info(k, onnx.helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for k, v in arrays.items()
        ],
        [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * (4 if name == "Y" else 3))
            for name in outputs
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(numpy.asarray(array)) for array in session.run(None, arrays)]


def stacked(named: dict[str, Tensor], letters: str, prefix: str, shape: tuple[int, ...]) -> Tensor:
    """Put gates in ONNX's order; a gate the cell does not have is zero."""
    return torch.cat([named.get(f"{prefix}_{letter}", torch.zeros(shape)) for letter in letters])


def compare(kind: str, layer: gatework.Recurrent, *, lengths: bool = True, **attributes) -> None:
    """Compare outputs and final states, from a given state, with rows of different lengths."""
    directions = 2 if layer.bidirectional else 1
    letters = ORDER[kind]
    weights, recurrent, biases, peepholes = [], [], [], []
    for direction in range(directions):
        named = layer.named_weights(0, direction)
        weights.append(stacked(named, letters, "W", (HIDDEN_SIZE, INPUT_SIZE)))
        recurrent.append(stacked(named, letters, "R", (HIDDEN_SIZE, HIDDEN_SIZE)))
        second = torch.zeros(len(letters) * HIDDEN_SIZE)
        if "c_n" in named:
            second[-HIDDEN_SIZE:] = named["c_n"].detach()
        biases.append(torch.cat([stacked(named, letters, "b", (HIDDEN_SIZE,)), second]))
        peepholes.append(stacked(named, PEEPHOLES, "p", (HIDDEN_SIZE,)))
    generator = torch.Generator().manual_seed(2)
    given = torch.randn(STEPS, ROWS, INPUT_SIZE, generator=generator)
    state = tuple(torch.randn(directions, ROWS, HIDDEN_SIZE, generator=generator) for _ in layer.cell.states)
    inputs = {
        "X": given,
        "W": torch.stack(weights),
        "R": torch.stack(recurrent),
        "B": torch.stack(biases),
        "sequence_lens": torch.tensor(LENGTHS, dtype=torch.int32) if lengths else None,
        "initial_h": state[0],
    }
    if kind == "LSTM":
        inputs |= {"initial_c": state[1], "P": torch.stack(peepholes)}
    way = "bidirectional" if directions == 2 else "forward"
    expected = operator(kind, inputs, direction=way, **attributes)
    output, final = layer(given, state if len(state) > 1 else state[0], lengths=LENGTHS if lengths else None)
    # ONNX has [T, D, B, H] where torch has [T, B, D * H].
    assert_close(output.detach(), expected[0].transpose(1, 2).flatten(2))
    for mine, theirs in zip(final if isinstance(final, tuple) else (final,), expected[1:], strict=True):
        assert_close(mine.detach(), theirs)


def layer_of(cell, bidirectional: bool) -> gatework.Recurrent:
    torch.manual_seed(1)
    return gatework.Recurrent(cell, INPUT_SIZE, HIDDEN_SIZE, bidirectional=bidirectional)


both_ways = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])


@both_ways
@pytest.mark.parametrize("coupled", [False, True], ids=["own forget gate", "coupled"])
@pytest.mark.parametrize("gates", ["", "ifo", "io", "o"])
def test_lstm(gates, coupled, bidirectional):
    cell = gatework.CELLS["lstm"]
    if gates:
        cell = gatework.peephole(cell, gates)
    if coupled:
        cell = gatework.coupled(cell)
    compare("LSTM", layer_of(cell, bidirectional), input_forget=int(coupled))


@both_ways
def test_cells_of_the_registry(bidirectional):
    compare("LSTM", layer_of("peephole", bidirectional))
    compare("LSTM", layer_of("np", bidirectional))
    compare("GRU", layer_of("gru", bidirectional), linear_before_reset=1)
    compare("RNN", layer_of("rnn", bidirectional))
    compare("RNN", layer_of("rnn_relu", bidirectional), activations=["Relu"] * (1 + bidirectional))


# Name in ONNX -> name in our table, and what ONNX must be told to compute the same.
ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "Sigmoid": ("sigmoid", ()),
    "Tanh": ("tanh", ()),
    "Relu": ("relu", ()),
    "HardSigmoid": ("hard_sigmoid", (1 / 6, 0.5)),
    "Softplus": ("softplus", ()),
}


@pytest.mark.parametrize(
    "names",
    [
        ("HardSigmoid", "Tanh", "Tanh"),
        ("Sigmoid", "Relu", "Tanh"),
        ("Sigmoid", "Softplus", "HardSigmoid"),
        ("Tanh", "Sigmoid", "Relu"),
    ],
    ids="-".join,
)
def test_lstm_with_other_activations(names):
    gate, candidate, output = (ACTIVATIONS[name][0] for name in names)
    text = f"""
        i = {gate}(W_i @ x + R_i @ h + b_i + p_i * c)
        f = {gate}(W_f @ x + R_f @ h + b_f + p_f * c)
        g = {candidate}(W_g @ x + R_g @ h + b_g)
        c = f * c + i * g
        o = {gate}(W_o @ x + R_o @ h + b_o + p_o * c)
        h = o * {output}(c)
    """
    # Slopes are listed for those activations that have one.
    slopes = [ACTIVATIONS[name][1] for name in names if ACTIVATIONS[name][1]]
    told: dict[str, Any] = (
        {"activation_alpha": [s[0] for s in slopes], "activation_beta": [s[1] for s in slopes]} if slopes else {}
    )
    compare("LSTM", layer_of(gatework.cell(text, states="h c"), False), activations=list(names), **told)


@both_ways
@pytest.mark.parametrize(("after", "bias"), list(product([True, False], [True, False])))
def test_gru_with_either_reset(after, bias, bidirectional):
    torch.manual_seed(1)
    layer = gatework.GRU(INPUT_SIZE, HIDDEN_SIZE, bias=bias, bidirectional=bidirectional, reset_after=after)
    compare("GRU", layer, linear_before_reset=int(after))


def test_the_registrys_other_gru_is_onnxs_with_its_gate_turned():
    """gru_v3's z replaces where ONNX's keeps: minus its weights is the other's gate."""
    layer = layer_of("gru_v3", False)
    with torch.no_grad():
        named = layer.named_weights(0)
        expected = gatework.GRU(INPUT_SIZE, HIDDEN_SIZE, reset_after=False)
        other = expected.named_weights(0)
        for name in ("W_r", "R_r", "W_n", "R_n"):
            other[name].copy_(named[name])
        for name in ("W_z", "R_z"):
            other[name].copy_(-named[name])
        expected.bias_hh_l0.zero_()
        expected.bias_ih_l0.copy_(torch.cat([named["b_r"], -named["b_z"], named["b_n"]]))
    compare("GRU", expected, linear_before_reset=0)
    given = torch.randn(STEPS, ROWS, INPUT_SIZE)
    assert_close(layer(given)[0], expected(given)[0])


@both_ways
@pytest.mark.parametrize(("ours", "theirs"), [("tanh", "Tanh"), ("relu", "Relu")])
def test_rnn(ours, theirs, bidirectional):
    torch.manual_seed(1)
    layer = gatework.RNN(INPUT_SIZE, HIDDEN_SIZE, nonlinearity=ours, bidirectional=bidirectional)
    compare("RNN", layer, activations=[theirs] * (1 + bidirectional), lengths=False)
    compare("RNN", layer, activations=[theirs] * (1 + bidirectional))
