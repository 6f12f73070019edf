"""The drop-in cells against torch's: values and gradients to the bit, state dicts, seeds, errors; and their options."""

import copy

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch import nn

import gatework
from gatework.errors import SizeError

KINDS = {
    "LSTMCell": {},
    "GRUCell": {},
    "RNNCell": {},
    "RNNCell, relu": {"nonlinearity": "relu"},
}
every_kind = pytest.mark.parametrize("name", KINDS)


def pair(name, **options):
    """Torch's cell and ours, each made after the same seed."""
    made = []
    for module in (nn, gatework):
        torch.manual_seed(3)
        made.append(getattr(module, name.split(",")[0])(3, 4, **KINDS[name], **options))
    return made


def parts(state):
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("batch", [(2,), ()], ids=["batch", "single"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@every_kind
def test_a_loop_is_torchs_to_the_bit(name, bias, batch):
    """The same weights from the same seed, the same states and the same gradients."""
    inputs = torch.randn(5, *batch, 3)
    found = []
    for cell in pair(name, bias=bias, dtype=torch.float32):
        given, state = inputs.clone().requires_grad_(), None
        for one in given:
            state = cell(one, state)
        torch.cat(parts(state)).square().sum().backward()
        found.append([*parts(state), given.grad, *(one.grad for one in cell.parameters())])
    assert_same(found[1], found[0])


@every_kind
def test_state_dicts_go_both_ways(name):
    theirs, ours = pair(name)
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    assert repr(ours) == repr(theirs)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    other = copy.deepcopy(ours)
    other.reset_parameters()
    assert not torch.equal(other.weight_hh, ours.weight_hh)
    theirs.load_state_dict(other.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_same(ours.weight_hh, other.weight_hh)


@pytest.mark.parametrize("module", [nn, gatework], ids=["torch", "gatework"])
@pytest.mark.parametrize("options", [{}, {"layer_norm": True}], ids=["plain", "options"])
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_errors_are_torchs(name, options, module):
    """The table holds for torch too, so that it cannot drift from what torch does."""
    if module is nn and options:
        pytest.skip("torch's cells have no options")
    cell, two = getattr(module, name)(3, 4, **options), name == "LSTMCell"

    def state(*shape):
        return (torch.zeros(shape),) * 2 if two else torch.zeros(shape)

    which = r"hx\[0\]" if two else "hidden"
    for given, error, message in (
        ((torch.zeros(2, 2, 3),), ValueError, f"{name}: Expected input to be 1D or 2D, got 3D instead"),
        ((torch.zeros(2, 3), state(1, 2, 4)), ValueError, f"{name}: Expected {which} to be 1D or 2D, got 3D instead"),
        ((torch.zeros(2, 5),), RuntimeError, "input has inconsistent input_size: got 5 expected 3"),
        ((torch.zeros(2, 3), state(3, 4)), RuntimeError, "Input batch size 2 doesn't match hidden0 batch size 3"),
        ((torch.zeros(2, 3), state(2, 5)), RuntimeError, "hidden0 has inconsistent hidden_size: got 5, expected 4"),
    ):
        with pytest.raises(error, match=message):
            cell(*given)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(SizeError, match=r"hidden_size is 0; expected a whole number of at least 1\."):
        gatework.GRUCell(3, 0)
    with pytest.raises(SizeError, match=r"input_size is 3\.0; expected a whole number of at least 1\."):
        gatework.LSTMCell(3.0, 4)  # pyrefly: ignore [bad-argument-type]
    with pytest.raises(ValueError, match=r"Unknown nonlinearity 'gelu'\. Select from 'tanh' or 'relu'"):
        gatework.RNNCell(3, 4, nonlinearity="gelu")


OPTIONS = {
    "LSTMCell": [{"peephole": "ifo"}, {"coupled": True}, {"forget_gate": False}, {"layer_norm": True}],
    "GRUCell": [{"reset_after": False}, {"layer_norm": True}],
    "RNNCell": [{"layer_norm": True}, {"nonlinearity": "relu", "layer_norm": True}],
}


@pytest.mark.parametrize(
    ("kind", "options"), [(kind, options) for kind, rows in OPTIONS.items() for options in rows], ids=str
)
def test_options_are_the_layers(kind, options):
    """A cell in a loop computes what the layer of these options computes over the sequence."""
    torch.manual_seed(0)
    cell = getattr(gatework, kind)(3, 4, dtype=torch.float64, **options)
    layer = getattr(gatework, kind.removesuffix("Cell"))(3, 4, dtype=torch.float64, **options)
    layer.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()}, strict=True)
    inputs, state = torch.randn(5, 2, 3, dtype=torch.float64), None
    for one in inputs:
        state = cell(one, state)
    output, final = layer(inputs)
    assert_close(parts(state)[0], output[-1])
    assert_close(parts(state), tuple(one[0] for one in parts(final)))


def test_zoneout_draws_in_training_alone():
    torch.manual_seed(0)
    cell = gatework.GRUCell(3, 64, zoneout=0.5)
    given, before = torch.randn(2, 3), torch.randn(2, 64)
    kept = cell(given, before) == before
    assert 0.3 < kept.float().mean() < 0.7
    cell.eval()
    assert_same(cell(given, before), cell(given, before))
    assert not (cell(given, before) == before).any()


@pytest.mark.parametrize("make", [lambda: gatework.LSTMCell(3, 4), lambda: gatework.GRUCell(3, 4, reset_after=False)])
def test_one_graph_for_a_loop(make):
    torch._dynamo.reset()
    cell, inputs = make(), torch.randn(4, 2, 3)

    def loop(inputs):
        state = None
        for one in inputs:
            state = cell(one, state)
        return state

    assert_close(torch.compile(loop, backend="aot_eager", fullgraph=True)(inputs), loop(inputs))
