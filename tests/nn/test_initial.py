"""Initial values: the named schemes, what cells fix, the forget bias."""

import math

import pytest
import torch
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.errors import SizeError


def layer_of(cell, input_size=6, hidden_size=8, *arguments, **options):
    torch.manual_seed(0)
    return gatework.Recurrent(cell, input_size, hidden_size, *arguments, **options)


def named(layer, number=0, direction=0):
    return {name: weight.detach() for name, weight in layer.named_weights(number, direction).items()}


def test_torch_is_uniform():
    weights = named(layer_of("lstm", 60, 100))
    for name, weight in weights.items():
        if name == "b_f":  # which the cell's paper fixes
            assert_same(weight, torch.ones(100))
            continue
        assert weight.abs().max() <= 0.1
        assert weight.abs().max() > 0.09
        assert abs(weight.mean()) < 0.02


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_v3", "lstm_multiplicative", "depth_gated"])
def test_orthogonal(cell):
    layer = layer_of(cell, 6, 8, 2, init="orthogonal")
    for number in (0, 1):
        parameters = {parameter.name: parameter for parameter in layer.layers[number].step.parameters}
        for name, weight in named(layer, number).items():
            role = parameters[name].role
            if role == "recurrent":
                assert_close(weight @ weight.T, torch.eye(8))
            elif role == "input":
                bound = math.sqrt(6 / sum(weight.shape))
                assert 0.5 * bound < weight.abs().max() <= bound
            elif role == "bias" and name not in layer.cell.init:
                assert not weight.any()
    gates = [weight for name, weight in named(layer).items() if parameters[name].role == "recurrent"]
    assert not torch.equal(gates[0], gates[1])


def test_orthogonal_blocks_and_types():
    for weight in named(layer_of("slstm", 6, 16, init="orthogonal")).values():
        if weight.shape == (16, 4):
            for block in weight.split(4):
                assert_close(block @ block.T, torch.eye(4))
    half = layer_of("lstm", 6, 8, init="orthogonal", dtype=torch.bfloat16)
    weight = named(half)["R_f"]
    assert weight.dtype == torch.bfloat16
    assert (weight.float() @ weight.float().T - torch.eye(8)).abs().max() < 0.05


@pytest.mark.parametrize(
    ("cell", "forget", "write"), [("lstm", "b_f", "b_i"), ("gru", "b_z", None), ("gru_v3", "b_z", None)]
)
def test_chrono(cell, forget, write):
    """Forget gates remember for times from 1 to the longest, evenly; input gates start as much the more closed."""
    layer = layer_of(cell, 6, 4000, init="chrono", chrono_steps=101)
    weights = named(layer)
    sign = layer.cell.remember[forget]
    times = (sign * weights[forget]).exp()
    assert times.min() >= 1
    assert times.max() <= 100
    assert abs(times.mean() - 50.5) < 2
    assert abs(times.median() - 50.5) < 3
    if write:
        assert_same(weights[write], -weights[forget])
    others = [weight for name, weight in weights.items() if name not in layer.cell.remember]
    assert max(weight.abs().max() for weight in others) <= 1 / math.sqrt(4000)


@pytest.mark.parametrize(
    ("cell", "name", "sign"), [("lstm", "b_f", 1), ("gru", "b_z", 1), ("gru_v3", "b_z", -1), ("cifg", "b_i", -1)]
)
def test_forget_bias_always_means_remembering(cell, name, sign):
    layer = layer_of(cell, 6, 8, 2, bidirectional=True, forget_bias=2.5)
    for number in (0, 1):
        for direction in (0, 1):
            assert_same(named(layer, number, direction)[name], torch.full((8,), sign * 2.5))
    # The step remembers more with a larger bias, whichever way the gate is written.
    given = torch.zeros(1, 1, 6)
    state = tuple(torch.ones(1, 1, 8) for _ in layer.cell.states)
    kept = []
    for value in (0.0, 5.0):
        small = layer_of(cell, 6, 8, init="orthogonal", forget_bias=value)
        final = small(given, state if len(state) > 1 else state[0])[1]
        kept.append((final[-1] if isinstance(final, tuple) else final).mean())
    assert kept[1] > kept[0]


def test_forget_bias_of_the_drop_in_is_the_sum():
    layer = gatework.LSTM(3, 4, forget_bias=1.5)
    assert_same(layer.bias_ih_l0[4:8].detach(), torch.full((4,), 1.5))
    assert not layer.bias_hh_l0[4:8].any()
    assert layer.bias_hh_l0[:4].all()
    assert_same(named(layer)["b_f"], torch.full((4,), 1.5))


def test_what_the_paper_fixes():
    weights = named(layer_of("irnn"))
    assert_same(weights["R_h"], torch.eye(8))
    assert not weights["b_h"].any()
    assert weights["W_h"].all()
    weights = named(layer_of("lstm_layer_norm", init="orthogonal"))
    assert_same(weights["a_R_i"], torch.ones(8))
    assert_same(weights["b_f"], torch.ones(8))
    cell = gatework.cell("h = tanh(W @ x + R @ h + v * h + b)", init={"R": "orthogonal", "v": 0.25, "b": "zeros"})
    weights = named(layer_of(cell))
    assert_close(weights["R"] @ weights["R"].T, torch.eye(8))
    assert_same(weights["v"], torch.full((8,), 0.25))
    assert not weights["b"].any()


def test_drawn_anew_from_the_same_seed():
    layer = layer_of("peephole", init="chrono", chrono_steps=50)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    layer.reset_parameters()
    assert not torch.equal(layer.weight_ih_l0, before["weight_ih_l0"])
    torch.manual_seed(0)
    layer.reset_parameters()
    for key, value in layer.state_dict().items():
        assert_same(value, before[key])


def test_without_a_bias_there_is_nothing_to_fix():
    layer = layer_of("lstm", bias=False)
    assert set(named(layer)) == {f"{kind}_{gate}" for kind in "WR" for gate in "ifgo"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": ["torch"]}, "expected one of torch, orthogonal, chrono"),
        ({"init": "chrono", "chrono_steps": "9"}, "chrono_steps='9'; expected the longest time"),
        ({"init": "chrono", "chrono_steps": math.nan}, "chrono_steps=nan; expected the longest time"),
        ({"init": "chrono", "chrono_steps": 9, "bias": False}, "there are no gate biases to draw"),
        ({"forget_bias": "1"}, "forget_bias is '1'; expected a finite number"),
        ({"forget_bias": math.nan}, "forget_bias is nan; expected a finite number"),
        ({"learn_initial_state": 1}, "learn_initial_state is 1; expected True or False"),
        ({"input_projection": "yes"}, "input_projection is 'yes'; expected True or False"),
    ],
)
def test_choices_that_cannot_be_are_refused(options, message):
    with pytest.raises(SizeError, match=message):
        layer_of("lstm", **options)
