"""The options of Recurrent: cells in several forms, storage, sizes, several inputs, states, errors."""

import copy
import re
from itertools import pairwise

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch import nn

import gatework
from gatework.errors import CellError, EquationError, SizeError

STEPS, ROWS = 4, 3
LEAKY = "h = 0.9 * h + 0.1 * tanh(W @ x + R @ h + b)"
DECAYED = gatework.cell(
    "k = exp(-relu(w * d)) * c\nh = tanh(W @ x + R @ (k + h) + b)\nc = k + h", name="decayed", inputs="x d"
)
TWO_INPUTS = gatework.cell("h = tanh(W @ x + V @ u + R @ h + b)", name="two", inputs="x u")


def zeros(*shape):
    return torch.zeros(*shape)


def keys(layer):
    return {name: tuple(parameter.shape) for name, parameter in layer.named_parameters()}


@pytest.mark.parametrize(
    "cell", ["lstm", gatework.CELLS["lstm"], str(gatework.CELLS["lstm"])], ids=["name", "Cell", "text"]
)
def test_cells_in_three_forms(cell):
    torch.manual_seed(0)
    layer = gatework.Recurrent(cell, 3, 5)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter) + len(name) / 100)
    output, (h, c) = layer(torch.linspace(-1, 1, 24).view(4, 2, 3))
    assert output.shape == (4, 2, 5)
    assert h.shape == c.shape == (1, 2, 5)
    expected = nn.LSTM(3, 5)
    expected.load_state_dict(
        {
            "weight_ih_l0": layer.weight_ih_l0,
            "weight_hh_l0": layer.weight_hh_l0,
            "bias_ih_l0": layer.bias_l0,
            "bias_hh_l0": torch.zeros(20),
        }
    )
    assert_close(output, expected(torch.linspace(-1, 1, 24).view(4, 2, 3))[0])


def test_storage():
    """Gates one below the other, as torch stores them; what fits in no stack has its own tensor."""
    assert keys(gatework.Recurrent("peephole", 3, 5, 2, bidirectional=True)) == {
        f"{key}_l{layer}{suffix}": shape
        for layer in (0, 1)
        for suffix in ("", "_reverse")
        for key, shape in {
            "weight_ih": (20, 3 if layer == 0 else 10),
            "weight_hh": (20, 5),
            "bias": (20,),
            "p_i": (5,),
            "p_f": (5,),
            "p_o": (5,),
        }.items()
    }
    assert keys(gatework.Recurrent("gru", 3, 5)) == {"weight_ih_l0": (15, 3), "weight_hh_l0": (15, 5), "bias_l0": (20,)}
    assert keys(gatework.Recurrent("slstm", 3, 8)) == {
        "weight_ih_l0": (32, 3),
        "bias_l0": (32,),
        **{f"R_{gate}_l0": (8, 2) for gate in "ifgo"},
    }
    assert keys(gatework.Recurrent("lstm", 3, 5, proj_size=2)) == {
        "weight_ih_l0": (20, 3),
        "weight_hh_l0": (20, 2),
        "bias_l0": (20,),
        "weight_hr_l0": (2, 5),
    }
    assert list(keys(gatework.Recurrent(TWO_INPUTS, (3, 2), 5))) == ["weight_ih_l0", "weight_hh_l0", "bias_l0", "V_l0"]


def test_weights_by_name_are_views():
    layer = gatework.Recurrent("lstm", 3, 5, 2, bidirectional=True)
    named = layer.named_weights(1, direction=1)
    assert sorted(named) == sorted(parameter.name for parameter in gatework.CELLS["lstm"].step.parameters)
    with torch.no_grad():
        named["R_f"].fill_(7)
    assert (layer.weight_hh_l1_reverse[5:10] == 7).all()
    assert not (layer.weight_hh_l1_reverse[10:] == 7).any()


def test_layers_of_different_sizes():
    layer = gatework.Recurrent("lstm", 3, [4, 6, 5], bidirectional=True, dtype=torch.float64)
    assert layer.num_layers == 3
    given = torch.randn(STEPS, ROWS, 3, dtype=torch.float64)
    output, (h, c) = layer(given)
    assert output.shape == (STEPS, ROWS, 10)
    assert [part.shape for part in h] == [part.shape for part in c] == [(ROWS, size) for size in (4, 4, 6, 6, 5, 5)]
    first, state = layer(given[:, 1])
    assert_close(first, output[:, 1])
    assert_close(state, tuple(tuple(part[1] for part in parts) for parts in (h, c)))
    parts = [
        gatework.Recurrent("lstm", size, hidden, bidirectional=True, dtype=torch.float64)
        for size, hidden in ((3, 4), (8, 6), (12, 5))
    ]
    expected = given
    for number, part in enumerate(parts):
        part.load_state_dict(
            {re.sub(r"_l\d", "_l0", k): v for k, v in layer.state_dict().items() if f"_l{number}" in k}
        )
        expected = part(expected)[0]
    assert_close(output, expected)
    one = gatework.Recurrent("gru", 3, [4, 5])
    output, state = one(zeros(STEPS, ROWS, 3))
    again, last = one(zeros(STEPS, ROWS, 3), state)
    assert isinstance(state, tuple)
    assert [part.shape for part in last] == [(ROWS, 4), (ROWS, 5)]
    out, last = one.step(zeros(ROWS, 3), state)
    assert_close(out, again[0])
    assert gatework.Recurrent("gru", 3, [5, 5])(zeros(STEPS, ROWS, 3))[1].shape == (2, ROWS, 5)


def test_split_and_carry_of_different_sizes():
    layer = gatework.Recurrent("lstm", 3, [4, 6])
    given = torch.randn(STEPS, ROWS, 3)
    whole, final = layer(given)
    first, state = layer(given[:2])
    second, last = layer(given[2:], state)
    assert_close(torch.cat([first, second]), whole)
    assert_close(last, final)


def test_no_bias():
    layer = gatework.Recurrent("gru", 3, 5, bias=False)
    assert list(keys(layer)) == ["weight_ih_l0", "weight_hh_l0"]
    biased = gatework.Recurrent("gru", 3, 5)
    biased.load_state_dict({**layer.state_dict(), "bias_l0": torch.zeros(20)})
    given = torch.randn(STEPS, ROWS, 3)
    assert_close(layer(given)[0], biased(given)[0])


@pytest.mark.parametrize("bias", [True, False])
def test_input_projection(bias):
    layer = gatework.Recurrent("mut1", 3, 5, 2, bias=bias, bidirectional=True, input_projection=True)
    # The second layer's input is twice as long as its cell takes, so it has a map too.
    maps = {key: shape for key, shape in keys(layer).items() if "_in_" in key}
    biases = {"bias_in_l0": (5,), "bias_in_l1": (5,)} if bias else {}
    assert maps == {"weight_in_l0": (5, 3), "weight_in_l1": (5, 10)} | biases
    given = torch.randn(STEPS, ROWS, 3)
    output = layer(given)[0]
    assert output.shape == (STEPS, ROWS, 10)
    assert keys(gatework.Recurrent("lstm", 3, 5, input_projection=True))["weight_ih_l0"] == (20, 5)
    plain = gatework.Recurrent("mut1", 5, 5, bias=bias)
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("_l0") and "_in_" not in k})
    mapped = nn.functional.linear(given, layer.weight_in_l0, layer.bias_in_l0 if bias else None)
    records = layer.record(given, names=("h",))[2]
    assert_close(plain(mapped)[0], records[0]["h"])


def test_several_inputs():
    layer = gatework.Recurrent(TWO_INPUTS, (3, 2), 5, 2, batch_first=True)
    x, u = torch.randn(ROWS, STEPS, 3), torch.randn(ROWS, STEPS, 2)
    output, _ = layer((x, u))
    assert output.shape == (ROWS, STEPS, 5)
    # The further input reaches every layer.
    assert keys(layer)["V_l1"] == (5, 2)
    weights = layer.named_weights(0)
    first = torch.tanh(x[:, 0] @ weights["W"].T + u[:, 0] @ weights["V"].T + weights["b"])
    weights = layer.named_weights(1)
    assert_close(output[:, 0], torch.tanh(first @ weights["W"].T + u[:, 0] @ weights["V"].T + weights["b"]))
    out, _ = layer.step((x[:, 0], u[:, 0]))
    assert_close(out, output[:, 0])
    spoilt = u.clone()
    spoilt[1, 2:] = float("nan")
    lengths = [4, 2, 4]
    assert_same(layer((x, spoilt), lengths=lengths)[0], layer((x, u), lengths=lengths)[0])
    packed = tuple(nn.utils.rnn.pack_padded_sequence(one, torch.tensor([4, 3, 1]), batch_first=True) for one in (x, u))
    expected = nn.utils.rnn.pack_padded_sequence(
        layer((x, u), lengths=[4, 3, 1])[0], torch.tensor([4, 3, 1]), batch_first=True
    )
    assert_close(layer(packed)[0].data, expected.data)
    assert layer((x[0], u[0]))[0].shape == (STEPS, 5)


def test_packed_inputs_have_one_order():
    layer, lengths = gatework.Recurrent(TWO_INPUTS, (3, 2), 5), torch.tensor([4, 3, 1])
    x, u = torch.randn(4, 3, 3), torch.randn(4, 3, 2)
    pack = nn.utils.rnn.pack_padded_sequence
    sorted_x = pack(x, lengths)
    same = layer((sorted_x, pack(u, lengths, enforce_sorted=False)))[0]
    assert_same(same.data, layer((sorted_x, pack(u, lengths)))[0].data)
    told = (
        "The packed inputs have their rows in different orders, so steps of different sequences would meet. Pack all "
        "of them with the same lengths."
    )
    with pytest.raises(SizeError, match=re.escape(told)):
        layer((sorted_x, pack(u, lengths.flip(0), enforce_sorted=False)))
    told = "Some of the inputs are packed and others are not; pack all of them, or none."
    with pytest.raises(SizeError, match=re.escape(told)):  # its steps and rows look like the rows of the steps
        layer((pack(x[:2, :3], torch.tensor([2, 2, 1])), torch.randn(3, 2, 2)))


def test_sizes_that_follow_may_be_left_out():
    for input_size in (3, (3,), (3, 5)):
        layer = gatework.Recurrent(DECAYED, input_size, 5)
        assert layer((zeros(STEPS, ROWS, 3), zeros(STEPS, ROWS, 5)))[0].shape == (STEPS, ROWS, 5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_an_input_that_only_the_layer_below_ties_to_the_states(backend):
    """Above the lowest layer ``c_below`` gives x its size; the lowest layer, which has none, needs it as well."""
    cell = gatework.cell("c = c\nh = tanh(b) + 0.5 * x + 0.5 * c_below", states="h c", inputs="x c_below")
    layer = gatework.Recurrent(cell, 4, 4, 1, proj_size=3, backend=backend)
    given = torch.randn(5, 2, 4)
    weights = dict(layer.named_weights(0))
    expected = (weights["b"].tanh() + 0.5 * given) @ weights["P"].T
    assert_close(layer(given)[0], expected)


def test_the_state_of_the_layer_below():
    """depth_gated reads c of the layer below at the same step; the first layer has none and no depth gate."""
    layer = gatework.Recurrent("depth_gated", 3, 5, 3, dtype=torch.float64)
    assert not {"w_d_l0", "l_d_l0"} & set(keys(layer))
    assert {"w_d_l1", "l_d_l1", "w_d_l2"} <= set(keys(layer))
    assert keys(layer)["weight_ih_l0"] == (20, 3)
    assert keys(layer)["weight_ih_l1"] == (25, 5)
    given = torch.randn(STEPS, ROWS, 3, dtype=torch.float64)
    _, _, records = layer.record(given, names=("c", "d", "c_below"))
    assert [sorted(record) for record in records] == [["c"], ["c", "c_below", "d"], ["c", "c_below", "d"]]
    for below, above in pairwise(records):
        assert_same(above["c_below"], below["c"])
    weights = layer.named_weights(1)
    h = layer.record(given, names=("h",))[2][0]["h"]
    last = torch.cat([torch.zeros(1, ROWS, 5, dtype=torch.float64), records[1]["c"][:-1]])
    gate = h @ weights["W_d"].T + weights["w_d"] * last + weights["l_d"] * records[0]["c"] + weights["b_d"]
    assert_close(records[1]["d"], torch.sigmoid(gate))


def test_learned_initial_state():
    layer = gatework.Recurrent("lstm", 3, 5, 2, bidirectional=True, learn_initial_state=True)
    assert keys(layer)["initial_c_l1_reverse"] == (5,)
    for name, parameter in layer.named_parameters():
        if name.startswith("initial"):
            assert not parameter.any()
            nn.init.normal_(parameter)
    given = torch.randn(STEPS, ROWS, 3)
    state = tuple(
        torch.stack(
            [getattr(layer, f"initial_{name}_l{n}{d}").expand(ROWS, 5) for n in (0, 1) for d in ("", "_reverse")]
        )
        for name in "hc"
    )
    output, final = layer(given)
    expected, last = layer(given, state)
    assert_close(output, expected)
    assert_close(final, last)
    output.sum().backward()
    assert layer.initial_c_l0_reverse.grad.any()
    assert "initial_t_l0" not in keys(gatework.Recurrent("clockwork", 3, 8, learn_initial_state=True))


def test_record_gives_every_named_quantity():
    layer = gatework.Recurrent("lstm", 3, 5, 2, bidirectional=True)
    given = torch.randn(STEPS, ROWS, 3)
    output, (_, c), records = layer.record(given, names=("i", "f", "g", "o", "c", "h", "x"))
    assert len(records) == 4
    forward, backward = records[2], records[3]
    assert_same(torch.cat([forward["h"], backward["h"]], -1), output)
    assert_same(forward["c"][-1], c[2])
    assert_same(backward["c"][0], c[3])
    assert_close(forward["c"][1:], forward["f"][1:] * forward["c"][:-1] + forward["i"][1:] * forward["g"][1:])
    assert_close(backward["c"][:-1], (backward["f"] * backward["c"].roll(-1, 0) + backward["i"] * backward["g"])[:-1])
    assert_same(records[0]["x"], given)
    with pytest.raises(
        SizeError, match="`z` cannot be recorded: the cell `lstm` has the quantities x, h, c, i, f, g, o"
    ):
        layer.record(given, names=("z",))


@pytest.mark.parametrize("form", ["batch", "batch first", "single"])
def test_step_in_every_form(form):
    layer = gatework.Recurrent("lstm", 3, 5, 2, batch_first=form == "batch first").eval()
    given = torch.randn(STEPS, *((ROWS,) if form != "single" else ()), 3)
    output, final = layer(given.transpose(0, 1) if form == "batch first" else given)
    state, outputs = None, []
    for one in given:
        out, state = layer.step(one, state)
        outputs.append(out)
    assert_close(torch.stack(outputs, 1 if form == "batch first" else 0), output)
    assert_close(state, final)


def test_masks_are_drawn_anew_at_every_step_in_training():
    cell = gatework.zoneout(gatework.CELLS["lstm"], c=0.3)
    layer = gatework.Recurrent(cell, 3, 50)
    given = torch.randn(40, ROWS, 3)
    mask = layer.record(given, names=("keep_c",))[2][0]["keep_c"]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert abs(mask.mean().item() - 0.3) < 0.02
    assert len({tuple(step.flatten().tolist()) for step in mask}) == 40
    assert not torch.equal(layer(given)[0], layer(given)[0])
    layer.eval()
    assert_same(layer(given)[0], layer(given)[0])
    fixed = layer.record(given, names=("keep_c",))[2][0]["keep_c"]
    assert_same(fixed, torch.full_like(fixed, 0.3))


def test_copies_and_print():
    layer = gatework.Recurrent("peephole", 3, 5, 2, dropout=0.5, forget_bias=2.0, init="orthogonal")
    assert repr(layer) == "Recurrent(peephole, 3, 5, num_layers=2, dropout=0.5, init='orthogonal', forget_bias=2.0)"
    other = copy.deepcopy(layer).eval()
    layer.eval()
    given = torch.randn(STEPS, ROWS, 3)
    assert_same(other(given)[0], layer(given)[0])
    with torch.no_grad():
        other.p_i_l0.add_(1)
    assert not torch.equal(other(given)[0], layer(given)[0])
    assert repr(gatework.Recurrent("gru", 3, [4, 5])) == "Recurrent(gru, 3, [4, 5])"
    with pytest.warns(UserWarning, match="dropout=0.5 does nothing with num_layers=1"):
        gatework.Recurrent("gru", 3, 4, dropout=0.5)


CONSTRUCTION = [
    (("lstmm", 3, 5), {}, CellError, "no cell `lstmm`. Did you mean `lstm`?"),
    ((7, 3, 5), {}, CellError, "cell is a int; expected a gatework.Cell, a name such as 'lstm', or equations as text"),
    (("h = tanh(W @ x", 3, 5), {}, EquationError, "line 1"),
    (("lstm", 0, 5), {}, SizeError, "input_size is 0; expected a whole number of at least 1"),
    (("lstm", 3.0, 5), {}, SizeError, "input_size is 3.0; expected a whole number of at least 1"),
    (("lstm", "3", 5), {}, SizeError, "input_size is '3'; expected a whole number of at least 1"),
    (("lstm", 3, -5), {}, SizeError, "hidden_size is -5; expected a whole number of at least 1"),
    (("lstm", 3, 5.0), {}, SizeError, "hidden_size is 5.0; expected a whole number, or a list"),
    (("lstm", 3, []), {}, SizeError, "hidden_size is []; expected a whole number, or a list"),
    (("lstm", 3, [4, 5], 3), {}, SizeError, "hidden_size names 2 layers and num_layers is 3"),
    (("lstm", 3, 5, 0), {}, SizeError, "num_layers is 0; expected a whole number of at least 1"),
    (("lstm", 3, 5, 1, 1), {}, SizeError, "bias is 1; expected True or False"),
    (("lstm", 3, 5), {"dropout": 1.5}, SizeError, "dropout is 1.5; expected a probability, from 0 to 1"),
    (("lstm", 3, 5), {"proj_size": -2}, SizeError, "proj_size is -2; expected a whole number, 0 for no projection"),
    (("lstm_projected", 3, 5), {}, SizeError, "projects its output"),
    (("slstm", 3, 6), {}, SizeError, "hidden_size is 6; the cell `slstm` has blocks and needs a multiple of 4"),
    (("h = tanh(block_diagonal(W, 3) @ x + h)", 6, [9, 8]), {}, SizeError, "`block_diagonal(W, 3)` cuts it into 3"),
    (("mut1", 3, 5), {}, SizeError, "(input_projection=True)"),
    (("mut1", 5, 5, 2), {"bidirectional": True}, SizeError, "(input_projection=True)"),
    (
        ("depth_gated", 3, 5, 2),
        {"bidirectional": True},
        SizeError,
        "reads c_below from the layer below, which is not defined",
    ),
    (("depth_gated", 3, [4, 5]), {}, SizeError, "The input `c_below` has size 4"),
    (((TWO_INPUTS), 3, 5), {}, SizeError, "has the inputs x, u, so 2 sizes were expected"),
    (("lstm", (3, 4), 5), {}, SizeError, "has the inputs x, so 1 sizes were expected"),
    (
        ("lstm", 3, 5),
        {"init": "orthogonl"},
        SizeError,
        "expected one of torch, orthogonal, chrono. Did you mean 'orthogonal'?",
    ),
    (("lstm", 3, 5), {"init": "chrono"}, SizeError, "chrono_steps=None; expected the longest time to remember"),
    (("rnn", 3, 5), {"init": "chrono", "chrono_steps": 50}, CellError, "`rnn` names no bias by which it remembers"),
    (("rnn", 3, 5), {"forget_bias": 1.0}, CellError, "`rnn` names no bias by which it remembers"),
    (("lstm", 3, 5), {"forget_bias": 1.0, "bias": False}, SizeError, "with bias=False: there is no `b_f` to set"),
]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"), CONSTRUCTION, ids=[row[3][:50] for row in CONSTRUCTION]
)
def test_construction_errors(arguments, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        gatework.Recurrent(*arguments, **options)


FORWARD = [
    (([1, 2],), "The input `x` is a list; expected a tensor or a PackedSequence"),
    ((zeros(3),), "The input `x` has the shape (3,); expected [T, B, 3], or [T, 3] without a batch"),
    ((zeros(4, 3, 2),), "The input `x` has the shape (4, 3, 2); expected [T, B, 3]"),
    ((zeros(1, 4, 3, 3),), "The input `x` has the shape (1, 4, 3, 3); expected [T, B, 3]"),
    (
        (zeros(4, 3, 3).double(),),
        "has the type torch.float64 and the layer torch.float32. Convert one: input.to(torch.float32)",
    ),
    (((zeros(4, 3, 3), zeros(4, 3, 3)),), "2 inputs were given; the cell `lstm` has 1: x"),
    ((zeros(4, 3, 3), zeros(2, 3, 5)), "state is a Tensor; the cell `lstm` has 2 states. Give (h, c)"),
    ((zeros(4, 3, 3), (zeros(2, 3, 5),)), "state is 1 parts; the cell `lstm` has 2 states. Give (h, c)"),
    ((zeros(4, 3, 3), (zeros(2, 3, 5), zeros(2, 2, 5))), "The state `c` has the shape (2, 2, 5); expected (2, 3, 5)"),
    ((zeros(4, 3), (zeros(2, 1, 5), zeros(2, 1, 5))), "The state `h` has the shape (2, 1, 5); expected (2, 5)"),
]


@pytest.mark.parametrize(("arguments", "message"), FORWARD, ids=[row[1][:50] for row in FORWARD])
def test_forward_errors(arguments, message):
    with pytest.raises(SizeError, match=re.escape(message)):
        gatework.Recurrent("lstm", 3, 5, 2)(*arguments)


def test_further_forward_errors():
    with pytest.raises(SizeError, match=re.escape("expected [B, T, 3], or [T, 3]")):
        gatework.Recurrent("gru", 3, 5, batch_first=True)(zeros(4, 3, 2))
    with pytest.raises(SizeError, match=re.escape("different numbers of steps or rows: `x` [4, 3], `u` [4, 2]")):
        gatework.Recurrent(TWO_INPUTS, (3, 2), 5)((zeros(4, 3, 3), zeros(4, 2, 2)))
    with pytest.raises(SizeError, match=re.escape("`h` has the shape (3, 4); expected a tuple of (3, 4), (3, 5)")):
        gatework.Recurrent("gru", 3, [4, 5])(zeros(4, 3, 3), (zeros(3, 4),))
    with pytest.raises(SizeError, match="bidirectional layer, whose output needs steps to come"):
        gatework.Recurrent("gru", 3, 5, bidirectional=True).step(zeros(2, 3))
    with pytest.raises(SizeError, match=re.escape("The input `x` has the shape (1, 2, 4)")):
        gatework.Recurrent("gru", 3, 5).step(zeros(2, 4))


def test_equations_typed_by_hand():
    layer = gatework.Recurrent(LEAKY, 3, 5, bidirectional=True)
    assert layer(zeros(STEPS, ROWS, 3))[0].shape == (STEPS, ROWS, 10)


@pytest.mark.parametrize(("cell", "bias"), [("h = 0.5 * h + x", True), ("h = 0.5 * h + x + b", False)])
def test_a_layer_without_parameters(cell, bias):
    layer = gatework.Recurrent(cell, 3, 3, bias=bias)
    assert not list(layer.parameters())
    assert_same(layer(torch.ones(2, 1, 3))[0][:, 0, 0], torch.tensor([1.0, 1.5]))


def test_what_is_no_tensor_and_states_of_another_type_are_refused():
    layer = gatework.Recurrent("gru", 3, [4, 5])
    with pytest.raises(SizeError, match=re.escape("step() was given list; expected a tensor [B, I]")):
        layer.step([zeros(2, 3)])
    with pytest.raises(SizeError, match="`h` has the shape int; expected a tuple"):
        layer(zeros(4, 3, 3), 5)
    with pytest.raises(SizeError, match=re.escape("type torch.float64 and the layer torch.float32. Convert it")):
        layer(zeros(4, 3, 3), (zeros(3, 4).double(), zeros(3, 5).double()))
    with pytest.raises(SizeError, match="has no input; a layer needs one"):
        gatework.Recurrent(gatework.cell("h = tanh(R @ h + b)", inputs=()), 3, 4)


def test_only_states_that_are_read_from_the_step_before_are_learned():
    layer = gatework.Recurrent(gatework.project(gatework.CELLS["indrnn"]), 3, 4, proj_size=2, learn_initial_state=True)
    assert [name for name in keys(layer) if name.startswith("initial")] == ["initial_h_full_l0"]
    layer(torch.ones(2, 1, 3))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
