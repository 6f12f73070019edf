"""The options of the drop-in layers: each is the cell of the literature it names."""

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch import nn

import gatework
from gatework.cells import CELLS, coupled, layer_norm, peephole, project, recurrent_dropout, zoneout
from gatework.errors import GateworkError

STEPS, ROWS, INPUT_SIZE, HIDDEN_SIZE = 5, 3, 3, 4

LSTM_OPTIONS = {
    "peephole": ({"peephole": "ifo"}, peephole(CELLS["lstm"])),
    "peephole of one gate": ({"peephole": "o"}, peephole(CELLS["lstm"], "o")),
    "coupled": ({"coupled": True}, coupled(CELLS["lstm"])),
    "coupled with peepholes": ({"peephole": "io", "coupled": True}, coupled(peephole(CELLS["lstm"], "io"))),
    "no forget gate": ({"forget_gate": False, "peephole": "io"}, CELLS["nfg"]),
    "layer norm": ({"layer_norm": True}, layer_norm(CELLS["lstm"])),
    "zoneout": ({"zoneout": 0.2}, zoneout(CELLS["lstm"], h=0.2, c=0.2)),
    "zoneout of one": ({"zoneout": {"c": 0.5}}, zoneout(CELLS["lstm"], c=0.5)),
    "zoneout of two": ({"zoneout": (0.05, 0.5)}, zoneout(CELLS["lstm"], h=0.05, c=0.5)),
    "recurrent dropout": ({"recurrent_dropout": 0.25}, recurrent_dropout(CELLS["lstm"], 0.25)),
    "everything": (
        {"peephole": "ifo", "layer_norm": True, "zoneout": {"c": 0.5, "h": 0.05}, "recurrent_dropout": 0.25},
        zoneout(recurrent_dropout(layer_norm(peephole(CELLS["lstm"])), 0.25), c=0.5, h=0.05),
    ),
    "projected": (
        {"peephole": "ifo", "proj_size": 2, "zoneout": 0.5},
        zoneout(project(peephole(CELLS["lstm"])), h=0.5, c=0.5),
    ),
}
CASES = [
    *((gatework.LSTM, f"LSTM {name}", *row) for name, row in LSTM_OPTIONS.items()),
    (gatework.GRU, "GRU", {}, CELLS["gru"]),
    (gatework.GRU, "GRU zoneout", {"zoneout": 0.3}, zoneout(CELLS["gru"], h=0.3)),
    (gatework.GRU, "GRU layer norm", {"layer_norm": True}, layer_norm(CELLS["gru"])),
    (gatework.GRU, "GRU recurrent dropout", {"recurrent_dropout": 0.3}, recurrent_dropout(CELLS["gru"], 0.3)),
    (gatework.RNN, "RNN relu", {"nonlinearity": "relu"}, CELLS["rnn_relu"]),
    (gatework.RNN, "RNN zoneout", {"zoneout": 0.3}, zoneout(CELLS["rnn"], h=0.3)),
    (gatework.RNN, "RNN layer norm", {"layer_norm": True}, layer_norm(CELLS["rnn"])),
]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("kind", "name", "options", "cell"), CASES, ids=[row[1] for row in CASES])
def test_options_are_cells(kind, name, options, cell, training):
    """The same numbers as Recurrent with that cell and the sums of the two biases, in training from the same seed."""
    torch.manual_seed(0)
    ours = kind(INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True, **options).train(training)
    plain = gatework.Recurrent(
        cell, INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True, proj_size=options.get("proj_size", 0)
    )
    plain.train(training)
    with torch.no_grad():
        for number in (0, 1):
            for direction in (0, 1):
                values = ours.named_weights(number, direction)
                for key, weight in plain.named_weights(number, direction).items():
                    weight.copy_(values[key])
    given = torch.randn(STEPS, ROWS, INPUT_SIZE)
    results = []
    for layer in (ours, plain):
        torch.manual_seed(1)
        results.append(layer(given, lengths=[5, 0, 3]))
    assert_close(results[0], results[1])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_options_keep_torchs_tensors_and_start_values(kind):
    """Further parameters come on top, started at what their paper says; the others start as torch's."""
    options = {"layer_norm": True, "zoneout": 0.1} | ({"peephole": "ifo"} if kind == "LSTM" else {})
    torch.manual_seed(4)
    theirs = getattr(nn, kind)(INPUT_SIZE, HIDDEN_SIZE).state_dict()
    torch.manual_seed(4)
    ours = getattr(gatework, kind)(INPUT_SIZE, HIDDEN_SIZE, **options).state_dict()
    assert list(ours)[: len(theirs)] == list(theirs)
    for key, value in theirs.items():
        assert_same(ours[key], value)
    gains = [value for key, value in ours.items() if key.startswith("a_")]
    assert gains
    assert all((gain == 1).all() for gain in gains)


@pytest.mark.parametrize("bias", [True, False])
def test_reset_before_the_product(bias):
    """Torch's weights load, z keeps as in torch, and the reset acts before the product, both biases outside it."""
    theirs = nn.GRU(INPUT_SIZE, HIDDEN_SIZE, bias=bias)
    ours = gatework.GRU(INPUT_SIZE, HIDDEN_SIZE, bias=bias, reset_after=False)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    given = torch.randn(STEPS, ROWS, INPUT_SIZE)
    h = torch.zeros(ROWS, HIDDEN_SIZE)
    for x, output in zip(given, ours(given)[0], strict=True):
        wide = torch.nn.functional.linear(x, ours.weight_ih_l0, ours.bias_ih_l0 if bias else None)
        deep = ours.bias_hh_l0 if bias else torch.zeros(3 * HIDDEN_SIZE)
        w_r, w_z, w_n = wide.chunk(3, -1)
        b_r, b_z, b_n = deep.chunk(3)
        u_r, u_z, u_n = ours.weight_hh_l0.chunk(3)
        r = torch.sigmoid(w_r + h @ u_r.T + b_r)
        z = torch.sigmoid(w_z + h @ u_z.T + b_z)
        n = torch.tanh(w_n + (r * h) @ u_n.T + b_n)
        h = (1 - z) * n + z * h
        assert_close(output, h)
    assert not torch.allclose(ours(given)[0], theirs(given)[0])
    theirs.load_state_dict(ours.state_dict(), strict=True)


def test_gates_that_are_open_forget_nothing():
    """Without a forget gate the cell state is the sum of what was written."""
    layer = gatework.LSTM(INPUT_SIZE, HIDDEN_SIZE, forget_gate=False)
    assert layer.weight_ih_l0.shape == (3 * HIDDEN_SIZE, INPUT_SIZE)
    records = layer.record(torch.randn(STEPS, ROWS, INPUT_SIZE), names=("i", "g", "c"))[2]
    assert_close(records[0]["c"], (records[0]["i"] * records[0]["g"]).cumsum(0))


ERRORS = [
    (gatework.LSTM, {"coupled": True, "forget_gate": False}, "coupled=True with forget_gate=False"),
    (gatework.LSTM, {"peephole": "ix"}, "no gate `x`"),
    (gatework.LSTM, {"peephole": "f", "forget_gate": False}, "no gate `f`"),
    (gatework.LSTM, {"zoneout": 1.5}, "zoneout"),
    (gatework.LSTM, {"zoneout": {"d": 0.5}}, "zoneout of `d`"),
    (gatework.LSTM, {"zoneout": (0.1, 0.2, 0.3)}, "expected a rate for each of h, c"),
    (gatework.LSTM, {"recurrent_dropout": -0.5}, "recurrent_dropout"),
    (gatework.LSTM, {"forget_gate": False, "forget_bias": 1.0}, "names no bias by which it remembers"),
    (gatework.GRU, {"zoneout": {"c": 0.5}}, "zoneout of `c`"),
]


@pytest.mark.parametrize(("kind", "options", "message"), ERRORS, ids=[row[2] for row in ERRORS])
def test_errors(kind, options, message):
    with pytest.raises(GateworkError, match=message):
        kind(INPUT_SIZE, HIDDEN_SIZE, **options)


def test_lengths_and_resets_and_steps():
    layer = gatework.LSTM(INPUT_SIZE, HIDDEN_SIZE, batch_first=True, peephole="ifo")
    given = torch.randn(ROWS, STEPS, INPUT_SIZE)
    reset = torch.zeros(ROWS, STEPS, dtype=torch.bool)
    reset[:, 2] = True
    output, _ = layer(given, lengths=[5, 4, 5], reset=reset)
    assert_close(output[:, 2:4], layer(given[:, 2:4])[0])
    assert not output[1, 4].any()
    out, last = layer.step(given[:, 0], hx := tuple(torch.randn(1, ROWS, HIDDEN_SIZE) for _ in "hc"))
    again, final = layer(given[:, :1], hx)
    assert_close(out, again[:, 0])
    assert_close(last, final)
    assert_same(layer(given, hx=hx)[0], layer(given, hx)[0])
