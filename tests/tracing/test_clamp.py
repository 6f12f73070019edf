"""What is held has the value it is held at, all that follows from it follows, and nothing else changes."""

import math

import numpy as np
import pytest
import torch
from tests.nn.sizes import inputs_for, layer_of
from tests.nn.test_registry_battery import CELLS
from tests.tolerances import assert_close
from tests.tracing.test_trace import assert_bits
from torch.nn.utils.rnn import pack_padded_sequence

import gatework
from gatework.errors import SizeError
from gatework.kernels import MEMORY
from gatework.models.language import LanguageModel
from gatework.nn.layers import wired

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
both_backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


def layer_for(cell, backend):
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    both = not wired(cell)
    dtype = torch.float32
    return layer_of(cell, 2, dtype=dtype, bidirectional=both, input_projection=elementwise, backend=backend).eval()


@both_backends
@every_cell
def test_every_quantity_can_be_held_at_its_own_values(cell, backend):
    """What a run computed, given to it from outside, changes not a bit of it."""
    layer = layer_for(cell, backend)
    given = inputs_for(layer, 5, 3)
    free = gatework.trace(layer, given)
    for one in free.layers:
        names = [line.target for line in one.step.equations if line.target not in one.step.draws]
        values = {name: free[f"{one.prefix}.{name}"] for name in names}
        with gatework.clamp(layer, values, layer=one.number, direction=one.direction):
            held = gatework.trace(layer, given)
        assert_bits(held.output, free.output)
        for key in free:
            assert_bits(held[key], free[key])


@both_backends
@every_cell
def test_states_can_be_put_to_zero(cell, backend):
    """From a step on, for some units, in the layer below: the layer above begins to differ there, and not before."""
    layer = layer_for(cell, backend)
    given = inputs_for(layer, 6, 2)
    name = cell.states[0]
    free = gatework.trace(layer, given, [name])
    with gatework.clamp(layer, {name: 0.25}, layer=0, direction=0, units=[1], start=3):
        held = gatework.trace(layer, given, [name])
    assert held[f"l0.{name}"][3:, :, 1].eq(0.25).all()
    assert_bits(held[f"l0.{name}"][:3], free[f"l0.{name}"][:3])
    assert not torch.equal(held[f"l1.{name}"][3:], free[f"l1.{name}"][3:])
    assert_bits(held[f"l1.{name}"][:3], free[f"l1.{name}"][:3])
    assert_bits(gatework.trace(layer, given, [name])[f"l1.{name}"], free[f"l1.{name}"])


def lstm_by_hand(layer, given, change):
    """An LSTM written out, with a change to its gates at every step."""
    weights = layer.named_weights(0)
    h = c = given.new_zeros(given.shape[1], layer.hidden_size)
    outputs = []
    for time, x in enumerate(given):
        sums = {k: x @ weights[f"W_{k}"].T + h @ weights[f"R_{k}"].T + weights[f"b_{k}"] for k in "ifgo"}
        gate = {k: torch.tanh(sums[k]) if k == "g" else torch.sigmoid(sums[k]) for k in "ifgo"}
        gate = change(time, gate)
        c = gate["f"] * c + gate["i"] * gate["g"]
        h = gate["o"] * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


@both_backends
def test_held_gates_do_what_equations_with_held_gates_do(backend):
    layer = layer_of(gatework.CELLS["lstm"], backend=backend)
    given = inputs_for(layer, 7, 3)
    curve = torch.linspace(0, 1, 7, dtype=torch.float64)

    def change(time, gate):
        forget = gate["f"].clone()
        if 2 <= time < 5:
            forget[1:, [0, 3]] = 1.0
        write = torch.where(torch.arange(5) == 2, curve[time], gate["i"])
        return {**gate, "f": forget, "i": write}

    outer = gatework.clamp(layer, f=1, units=[0, 3], rows=[1, 2], start=2, stop=5)
    with outer, gatework.clamp(layer, i=curve[:, None, None], units=2):
        output = layer(given)[0]
        gradients = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
    expected = lstm_by_hand(layer, given, change)
    assert_close(output, expected)
    assert_close(gradients, torch.autograd.grad(expected.square().sum(), list(layer.parameters())), "gradients")


@pytest.mark.parametrize("memory", MEMORY)
def test_a_value_can_be_learned(memory):
    """A gradient enters a value that is a tensor: which forget gate would have been best?"""
    layer = layer_of(gatework.CELLS["lstm"], memory=memory)
    given = inputs_for(layer, 6, 3)

    def run(value):
        with gatework.clamp(layer, f=value):
            return layer(given)[0]

    assert torch.autograd.gradcheck(run, (torch.full((5,), 0.5, dtype=torch.float64, requires_grad=True),))


def test_a_gate_that_is_one_number_can_be_held_and_is_shown_held():
    """The input gate of the LSTM without one is 1 by its equation, unless it is held."""
    layer = gatework.Recurrent("nig", 3, 4)
    given = torch.randn(5, 2, 3)
    with gatework.clamp(layer, i=0.0, start=2):
        kept = gatework.trace(layer, given, parts=True)
    assert kept["i"][:2].eq(1).all()
    assert kept["i"][2:].eq(0).all()
    assert torch.equal(kept["c"][2:], kept["f * c"][2:])
    assert gatework.trace(layer, given)["i"].eq(1).all()


def test_the_inner_of_two_has_the_last_word():
    layer, given = gatework.GRU(3, 4), torch.randn(5, 2, 3)
    with gatework.clamp(layer, z=0.5), gatework.clamp(layer, z=1.0, units=[0]):
        z = gatework.trace(layer, given)["z"]
    assert z[..., 0].eq(1).all()
    assert z[..., 1:].eq(0.5).all()


def test_every_form_of_input():
    torch.manual_seed(0)
    layer = gatework.LSTM(3, 8, bidirectional=True)
    lengths = [4, 6, 2]
    given = torch.randn(6, 3, 3)
    value = torch.rand(6, 3, 2)
    with gatework.clamp(layer, f=value, units=[1, 5], start=1, rows=[0, 1]):
        expected = gatework.trace(layer, given, lengths=lengths)
        packed = gatework.trace(layer, pack_padded_sequence(given, lengths, enforce_sorted=False))
        equal = gatework.trace(layer, pack_padded_sequence(given, [6, 6, 6]))
        plain = gatework.trace(layer, given)
    for key in expected:
        assert_bits(packed[key], expected[key])
        assert_bits(equal[key], plain[key])
    for row, length in enumerate(lengths):
        with gatework.clamp(
            layer, f=value[:length, row : row + 1], units=[1, 5], start=1, stop=1 if row == 2 else None
        ):
            alone = gatework.trace(layer, given[:length, row])
        for key in expected:
            assert_bits(alone[key], expected[key][:length, row : row + 1])
    assert_bits(expected["l0.f"][1:4, 0, [1, 5]], value[1:4, 0])


def test_parts_of_what_is_held_are_what_would_have_been():
    layer, given = gatework.LSTM(3, 4), torch.randn(5, 2, 3)
    with gatework.clamp(layer, c=2.0, start=2):
        trace = gatework.trace(layer, given, parts=True)
    assert trace["c"][2:].eq(2).all()
    assert_bits(trace["f * c"][3:], trace["f"][3:] * 2)
    assert_bits(trace["f * c"][:2] + trace["i * g"][:2], trace["c"][:2])


def test_a_language_model():
    model = LanguageModel(11, "lstm", 4, 8).eval()
    tokens = torch.randint(11, (7, 2))
    with gatework.clamp(model, o=0.0):
        scores = model(tokens)[0]
    assert_bits(scores, model.head.bias.expand(7, 2, 11))


NUMBERS = {"float32": np.float32(0.5), "array": np.full(2, 0.5), "list": [0.5, 0.5], "tensor": torch.tensor(0.5)}
UNITS = {"tuple": (1, 3), "range": range(1, 4, 2), "tensor": torch.tensor([1, 3]), "array": np.array([1, 3]),
         "numpy's numbers": [np.int64(1), np.int32(3)]}  # fmt: skip


@pytest.mark.parametrize("value", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("units", UNITS.values(), ids=UNITS)
def test_numbers_may_be_numpys_or_torchs(value, units):
    layer, given = gatework.LSTM(3, 4), torch.randn(5, 2, 3)
    with gatework.clamp(layer, f=0.5, units=[1, 3], rows=[0]):
        expected = gatework.trace(layer, given, "f")["f"]
    with gatework.clamp(layer, f=value, units=units, rows=np.int64(0)):
        assert_bits(gatework.trace(layer, given, "f")["f"], expected)
    assert expected[:, 0, [1, 3]].eq(0.5).all()


def refused(message, target=None, **options):
    """Nothing that does not fit is let in, whatever it is given beside."""
    with pytest.raises(SizeError) as caught, gatework.clamp(target or gatework.LSTM(3, 4), **options):
        pass
    assert str(caught.value) == message


def test_what_cannot_be_held():
    refused("clamp() was given no quantity to hold. Say for example f=1.0.")
    refused("`q` cannot be held: the equations have `i`, `f`, `g`, `o`, `c`, `h`.", q=1.0)
    refused("units of `f` names 4; expected numbers from 0 to 3.", f=1.0, units=[4])
    refused("units is [True]; expected whole numbers from 0, or None for all.", f=1.0, units=[True])
    refused("start is -1; expected the number of a step, from 0.", f=1.0, start=-1)
    refused("stop is 1; expected a step after start=2, or None for the end.", f=1.0, start=2, stop=1)
    refused("The value of `f` is 'open'; expected a number or a tensor.", f="open")
    refused("The value of `f` is True; expected a number or a tensor.", f=True)
    refused("The value of `f` is [1, [2]]; expected a number or a tensor.", f=[1, [2]])
    nan = "The value of `f` is NaN, at least in part; expected a number, or a tensor of numbers."
    for value in (math.nan, torch.tensor([1.0, math.nan]), np.float32("nan"), [0.0, math.nan]):
        refused(nan, f=value)
    message = "units is tensor([ True, False]); expected whole numbers from 0, or None for all."
    refused(message, f=1.0, units=torch.tensor([True, False]))
    refused("units is 1.5; expected whole numbers from 0, or None for all.", f=1.0, units=1.5)
    zoned = gatework.Recurrent(gatework.zoneout(gatework.CELLS["rnn"], h=0.1), 3, 4)
    refused("`keep_h` cannot be held: the equations have `h_new`, `h`.", zoned, keep_h=1.0)
    refused("layer names 1; expected numbers from 0 to 0.", layer=1, f=1.0)
    refused("direction names 1; expected numbers from 0 to 0.", direction=1, f=1.0)
    layer, given = gatework.LSTM(3, 4), torch.randn(5, 2, 3)
    message = (
        r"^The value of `f` has the shape \(3,\); expected a number, or a shape that broadcasts to \[T, B, units\] "
    )
    with gatework.clamp(layer, f=torch.zeros(3)), pytest.raises(SizeError, match=message):
        layer(given)
    with gatework.clamp(layer, f=1.0, rows=[2]), pytest.raises(SizeError, match=r"^rows names 2; expected "):
        layer(given)
    assert layer._inside is None
