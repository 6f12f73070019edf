"""One matrix over [h; x], beside torch.cat, a loop of numpy as textbooks write it, and torch's own layers."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.nn.sizes import as_tuple, inputs_for, layer_of
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.errors import SizeError

# The others have a gate that does not add exactly one product of each kind.
APART = {
    "fgr": "The line of `i` in the cell `fgr` reads `W_i @ x` and `R_i @ h` and `R_ii @ i`",
    "gru": "The line of `n` in the cell `gru` reads `W_n @ x` and `R_n @ h`, and does not add one dense product of",
    "mut1": "The line of `z` in the cell `mut1` reads `W_z @ x`",
    "mut2": "The line of `r` in the cell `mut2` reads `R_r @ h`",
    "lstm_layer_norm": "The line of `i`",
    "lstm_multiplicative": "The line of `m`",
    "slstm": "The line of `z_i`",
    "clockwork": "The line of `n`",
    "indrnn": "The line of `h`",
}
JOINED = {name: cell for name, cell in gatework.CELLS.items() if name not in APART}
every_joined = pytest.mark.parametrize("cell", JOINED.values(), ids=JOINED.keys())


def parts_of(joined, line):
    """The matrix and the bias of a gate that has one."""
    matrix, bias = joined.gate(line)
    assert bias is not None
    return matrix, bias


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def lstm_by_hand(w, b, sequence):
    """An LSTM as the essay writes it: W_f [h, x] + b_f, and so on, for one sequence."""
    h = c = np.zeros(len(b["f"]))
    outputs = []
    for x in sequence:
        hx = np.concatenate([h, x])
        f, i, o = (sigmoid(w[gate] @ hx + b[gate]) for gate in "fio")
        c = f * c + i * np.tanh(w["g"] @ hx + b["g"])
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


def gru_by_hand(w, b, sequence):
    """A GRU as the essay writes it: the candidate reads [r * h, x], and z lets in the new state."""
    h = np.zeros(len(b["r"]))
    outputs = []
    for x in sequence:
        hx = np.concatenate([h, x])
        z, r = (sigmoid(w[gate] @ hx + b[gate]) for gate in "zr")
        new = np.tanh(w["n"] @ np.concatenate([r * h, x]) + b["n"])
        h = (1 - z) * h + z * new
        outputs.append(h)
    return np.stack(outputs)


BY_HAND = [("lstm", "fiog", lstm_by_hand), ("gru_v3", "zrn", gru_by_hand)]


@pytest.mark.parametrize(("cell", "order", "by_hand"), BY_HAND, ids=["lstm", "gru_v3"])
def test_a_textbooks_weights_run(cell, order, by_hand):
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(5 * len(order), 8)), generator.normal(size=5 * len(order))
    layer = gatework.Recurrent(cell, 3, 5, dtype=torch.float64)
    layer.load_joined_weights(weight, bias, gates=order)
    sequence = generator.normal(size=(7, 3))
    w = dict(zip(order, np.split(weight, len(order)), strict=True))
    b = dict(zip(order, np.split(bias, len(order)), strict=True))
    assert_close(layer(torch.from_numpy(sequence))[0], torch.from_numpy(by_hand(w, b, sequence)))


@pytest.mark.parametrize(("cell", "order", "by_hand"), BY_HAND, ids=["lstm", "gru_v3"])
def test_a_layers_weights_run_in_a_textbook(cell, order, by_hand):
    layer = layer_of(gatework.CELLS[cell])
    joined, sequence = layer.joined_weights(), inputs_for(layer, 7, 1)[:, 0]
    gates = {name: parts_of(joined, name) for name in order}
    w, b = ({name: pair[place].detach().numpy() for name, pair in gates.items()} for place in (0, 1))
    assert_close(layer(sequence)[0], torch.from_numpy(by_hand(w, b, sequence.numpy())))


@every_joined
def test_the_matrix_is_the_two_side_by_side(cell):
    layer = layer_of(cell)
    joined, named = layer.joined_weights(), layer.named_weights(0)
    matrices = {name for name, value in named.items() if value.dim() == 2 and not name.startswith("P")}
    seen = set()
    for line in joined.gates:
        matrix, bias = parts_of(joined, line)
        pairs = {(r, w) for r in matrices for w in matrices if r[0] == "R" and w[0] == "W" and r[1:] == w[1:]}
        (pair,) = [pair for pair in pairs if torch.equal(torch.cat([named[one] for one in pair], 1), matrix)]
        assert_same(bias, named["b" + pair[0][1:]])
        seen |= set(pair)
    assert seen == matrices
    assert_same(joined.weight, torch.cat([joined.gate(line)[0] for line in joined.gates]))


@every_joined
@pytest.mark.parametrize("backward", [False, True], ids=["same order", "turned"])
def test_what_was_read_can_be_loaded(cell, backward):
    """The layers then compute the same, to the bit; peepholes and projections are copied apart."""
    layer, other = layer_of(cell), layer_of(cell)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(0.125)
        joined = {id(one) for stored in other.layers[0].stored if stored.key in ("weight_ih", "weight_hh", "bias")
                  for one in [getattr(other, f"{stored.key}_l0")]}  # fmt: skip
        for name, parameter in other.named_parameters():
            if id(parameter) not in joined:
                parameter.copy_(layer.get_parameter(name))
    read = layer.joined_weights()
    order = read.gates[::-1] if backward else read.gates
    weight, bias = (torch.cat([parts_of(read, line)[place] for line in order]) for place in (0, 1))
    other.load_joined_weights(weight, bias, order)
    assert_same(tuple(other.parameters()), tuple(layer.parameters()))
    given = inputs_for(layer, 4, 2)
    (output, final), (expected, last) = other(given), layer(given)
    assert_same((output, *as_tuple(final)), (expected, *as_tuple(last)))


def test_layers_and_directions():
    layer = gatework.Recurrent("lstm", 3, 4, num_layers=2, bidirectional=True)
    before = {name: value.clone() for name, value in layer.named_parameters()}
    assert layer.joined_weights(1, 1).weight.shape == (16, 12)
    assert_same(layer.joined_weights(1, 1).gate("f")[0],
                torch.cat([layer.weight_hh_l1_reverse[4:8], layer.weight_ih_l1_reverse[4:8]], 1))  # fmt: skip
    layer.load_joined_weights(torch.ones(16, 12), torch.full((16,), 2.0), layer=1, direction=1)
    for name, value in layer.named_parameters():
        if name.endswith("l1_reverse"):
            assert_same(value, torch.full_like(value, 2.0 if name.startswith("bias") else 1.0))
        else:
            assert_same(value, before[name])


@pytest.mark.parametrize("make", [gatework.LSTM, gatework.RNN])
def test_layers_with_two_biases(make):
    """They add up; the second is zero after loading, and torch's own layer then computes the same."""
    torch.manual_seed(0)
    source, layer = make(3, 4), make(3, 4)
    joined = source.joined_weights()
    assert_same(joined.bias, source.bias_ih_l0 + source.bias_hh_l0)
    layer.load_joined_weights(joined.weight, joined.bias)
    assert not layer.bias_hh_l0.any()
    theirs = getattr(torch.nn, make.__name__)(3, 4)
    theirs.load_state_dict(layer.state_dict())
    given = torch.randn(5, 2, 3)
    assert_close(theirs(given)[0], source(given)[0])


def test_without_biases_and_with_tied_layers():
    layer = gatework.Recurrent("lstm", 4, 4, num_layers=3, bias=False, tie_layers=True)
    assert layer.joined_weights(2).bias is None
    layer.load_joined_weights(torch.ones(16, 8), layer=2)
    assert_same(layer.joined_weights(1).weight, torch.ones(16, 8))
    with pytest.raises(SizeError, match="bias is a Tensor, and the gates of the layer have none"):
        layer.load_joined_weights(torch.ones(16, 8), torch.ones(16))


def test_gradients_reach_the_parameters():
    layer = gatework.Recurrent("gru_v3", 3, 4)
    joined = layer.joined_weights()
    assert joined.bias is not None
    (joined.weight.square().sum() + joined.bias.sum()).backward()
    assert_same(layer.weight_ih_l0.grad, 2 * layer.weight_ih_l0.detach())
    assert_same(layer.weight_hh_l0.grad, 2 * layer.weight_hh_l0.detach())
    assert_same(layer.bias_l0.grad, torch.ones(12))


def test_a_stream_notices():
    layer = gatework.Recurrent("rnn", 3, 4)
    stream = layer.stream()
    layer.load_joined_weights(torch.zeros(4, 7), torch.full((4,), 0.5))
    assert_close(stream.step(torch.randn(1, 3)), torch.tanh(torch.full((1, 4), 0.5)))


# --- errors


@pytest.mark.parametrize("name", APART)
def test_cells_whose_products_stay_apart(name):
    with pytest.raises(SizeError) as caught:
        layer_of(gatework.CELLS[name]).joined_weights()
    assert str(caught.value).startswith(APART[name])
    assert str(caught.value).endswith("named_weights() returns the matrices apart.")


TEXTS = {
    "f = sigmoid(W @ x + R @ h)\nh = f * tanh(W @ x + S @ h)": "The line of `f` in the cell `odd`",
    "h = tanh(W @ x + R @ h) * sigmoid(V @ x + S @ h)": "has two gates in one line; give each a line of its own",
    "f = sigmoid(W @ x + R @ h)\nh = f * tanh(V @ x + S @ h + b)": "has gates with a bias and gates without one",
    "h = tanh(W @ x - R @ h)": "The line of `h` in the cell `odd` reads `W @ x` and `R @ h`",
    "h = 0.5 * h + x": "has no matrix, so that its weights cannot be joined",
}


@pytest.mark.parametrize("text", TEXTS)
def test_equations_whose_products_stay_apart(text):
    layer = gatework.Recurrent(gatework.cell(text, name="odd"), 4, 4)
    with pytest.raises(SizeError, match=TEXTS[text]):
        layer.joined_weights()


LSTM: dict[str, Any] = {"weight": torch.zeros(16, 7), "bias": torch.zeros(16)}
ERRORS = [
    ({"weight": torch.zeros(16, 6)}, r"weight has the shape \(16, 6\); expected \(16, 7\): the rows of each gate"),
    ({"bias": torch.zeros(4)}, r"bias has the shape \(4,\); expected \(16,\)"),
    ({"bias": None}, r"bias is None, and the gates of the layer have one; expected \(16,\)"),
    ({"weight": "many"}, "weight is a str; expected a tensor or an array of numbers"),
    ({"gates": "ifg"}, r"gates is 'ifg'; the cell `lstm` has the gates i, f, g, o\. Name each of them once"),
    ({"weight": torch.zeros(16, 7, dtype=torch.complex64)}, r"weight has the type torch\.complex64; expected real num"),
    ({"gates": 4}, r"gates is 4; the cell `lstm` has the gates i, f, g, o"),
    ({"gates": "ifgg"}, r"gates is 'ifgg'; the cell `lstm` has the gates i, f, g, o"),
    ({"layer": 1}, "layer is 1; expected a whole number from 0 to 0"),
    ({"layer": -1}, "layer is -1; expected a whole number from 0 to 0"),
    ({"direction": 1}, "direction is 1; expected a whole number from 0 to 0"),
]


@pytest.mark.parametrize(("changed", "message"), ERRORS, ids=[message[:30] for _, message in ERRORS])
def test_what_does_not_fit_changes_nothing(changed, message):
    layer = gatework.Recurrent("lstm", 3, 4)
    before = [parameter.clone() for parameter in layer.parameters()]
    with pytest.raises(SizeError, match=message):
        layer.load_joined_weights(**{**LSTM, **changed})
    assert_same([*layer.parameters()], before)


def test_a_gate_that_is_not_there():
    with pytest.raises(SizeError, match="There is no gate `c` in the joined weights; expected one of i, f, g, o"):
        gatework.Recurrent("lstm", 3, 4).joined_weights().gate("c")


def test_computed_weights_are_read_and_not_written():
    layer = gatework.Recurrent("rnn", 3, 4)
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    assert layer.joined_weights().weight.shape == (4, 7)
    with pytest.raises(SizeError, match="The layer computes weight_hh_l0 at each use, as torch's parametrizations do"):
        layer.load_joined_weights(torch.zeros(4, 7), torch.zeros(4))
