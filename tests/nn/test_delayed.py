"""``layer.stream(look_ahead=k)``: the bidirectional layer on sequences that end k steps ahead, one step at a time."""

from typing import Any

import pytest
import torch
from tests.nn.sizes import inputs_for, layer_of
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.errors import SizeError
from gatework.nn.layers import wired

STEPS, ROWS = 9, 3
CELLS = {name: cell for name, cell in gatework.CELLS.items() if not wired(cell)}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def streamed(layer, sequence, look_ahead, stream=None):
    """Feed a whole sequence and flush; check when outputs come."""
    first = sequence[0] if isinstance(sequence, tuple) else sequence
    stream = stream or layer.stream(first.shape[1], look_ahead=look_ahead)
    found = []
    for time, x in enumerate(zip(*sequence, strict=True) if isinstance(sequence, tuple) else sequence):
        output = stream.step(x)
        assert (output is None) is (time < stream.delay)
        if output is not None:
            found.append(output.clone())
    rest = stream.flush()
    assert len(rest) == min(stream.delay, len(first))
    return torch.cat([torch.stack(found), rest]) if found else rest


@torch.no_grad()
def by_windows(layer, sequence, look_ahead):
    """The definition: each layer alone, its reverse half from the sequence that ends look_ahead steps ahead."""
    for number in range(layer.num_layers):
        one = single(layer, number, sequence.shape[-1])
        forward = one(sequence)[0].chunk(2, -1)[0]
        ends = [one(sequence[time : time + look_ahead + 1])[0][0].chunk(2, -1)[1] for time in range(len(sequence))]
        sequence = torch.cat([forward, torch.stack(ends)], -1)
    return sequence


def single(layer, number, input_size):
    """One layer of a stack, with copies of its weights."""
    maps = layer.input_projection and f"weight_in_l{number}" in layer.state_dict()
    one = gatework.Recurrent(
        layer.cell,
        input_size,
        layer.hidden_size,
        proj_size=layer.proj_size,
        bidirectional=True,
        bias=layer.bias,
        learn_initial_state=layer.learn_initial_state,
        input_projection=maps,
        backend=layer.backend,
        dtype=next(layer.parameters()).dtype,
    )
    own = {name: value for name, value in layer.state_dict().items() if f"_l{number}" in name}
    one.load_state_dict({name.replace(f"_l{number}", "_l0"): value for name, value in own.items()})
    return one.eval()


def stack_of(cell, num_layers=2, **options):
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    return layer_of(cell, num_layers, bidirectional=True, input_projection=elementwise, **options).eval()


@every_cell
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_layer_on_windows(cell, backend, dtype):
    """To the bit with the kernels. The reference, and torch in a learned map, multiply a whole sequence at once."""
    layer = stack_of(cell, backend=backend, dtype=dtype, learn_initial_state=True)
    sequence = inputs_for(layer, STEPS, ROWS)
    found, expected = streamed(layer, sequence, 2), by_windows(layer, sequence, 2)
    (assert_same if backend == "cpu" and not layer.input_projection else assert_close)(found, expected)


@pytest.mark.parametrize("hidden_size", [1, 16, 33])
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("look_ahead", [0, 1, 4])
def test_sizes_to_the_bit(hidden_size, rows, look_ahead):
    torch.manual_seed(0)
    layer = gatework.Recurrent("lstm", 7, hidden_size, bidirectional=True, backend="cpu")
    sequence = torch.randn(STEPS, rows, 7)
    assert_same(streamed(layer, sequence, look_ahead), by_windows(layer, sequence, look_ahead))


@pytest.mark.parametrize("look_ahead", [STEPS - 1, STEPS, 3 * STEPS])
def test_a_look_ahead_over_all_steps_is_the_layer_itself(look_ahead):
    layer = stack_of(gatework.CELLS["gru"])
    sequence = inputs_for(layer, STEPS, ROWS)
    with torch.no_grad():
        assert_close(streamed(layer, sequence, look_ahead), layer(sequence)[0])


def test_as_torchs_layer_on_windows():
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(3, 4, bidirectional=True).double()
    ours = gatework.LSTM(3, 4, bidirectional=True).double()
    ours.load_state_dict(theirs.state_dict())
    sequence = torch.randn(STEPS, ROWS, 3).double()
    found = streamed(ours, sequence, 3)
    with torch.no_grad():
        for time in range(STEPS):
            output, _ = theirs(sequence[: time + 4])  # to the last step that the output may know
            assert_close(found[time, :, :4], output[time, :, :4])
            assert_close(found[time, :, 4:], output[time, :, 4:])


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_sequences_shorter_than_the_delay(steps):
    layer = stack_of(gatework.CELLS["lstm"], 3)
    sequence, stream = inputs_for(layer, steps, ROWS), layer.stream(ROWS, look_ahead=2)
    assert stream.delay == 6
    expected = by_windows(layer, sequence, 2) if steps else torch.zeros(0, ROWS, 10, dtype=torch.float64)
    for _ in range(2):  # flush() starts anew
        assert_close(streamed(layer, sequence, 2, stream), expected)


def test_reset_forgets_what_is_to_come():
    layer = stack_of(gatework.CELLS["lstm"])
    sequence, stream = inputs_for(layer, STEPS, ROWS), layer.stream(ROWS, look_ahead=2)
    expected = streamed(layer, sequence, 2)
    for x in torch.randn(7, ROWS, 3).double():
        stream.step(x)
    stream.reset()
    assert_same(streamed(layer, sequence, 2, stream), expected)


def test_several_inputs():
    cell = gatework.cell("h = tanh(W @ x + R @ h + b) * sigmoid(w * d)", name="decaying", inputs="x d")
    layer = gatework.Recurrent(cell, (3, 5), 5, 2, bidirectional=True, dtype=torch.float64)
    x, d = torch.randn(STEPS, ROWS, 3).double(), torch.randn(STEPS, ROWS, 5).double()
    with torch.no_grad():
        assert_close(streamed(layer, (x, d), STEPS), layer((x, d))[0])
    one = gatework.Recurrent(cell, (3, 5), 5, bidirectional=True, dtype=torch.float64)
    found = streamed(one, (x, d), 1)
    for time in range(STEPS):
        with torch.no_grad():
            assert_close(found[time], one((x[: time + 2], d[: time + 2]))[0][time])


def test_evaluation_is_what_runs():
    cell = gatework.zoneout(gatework.CELLS["lstm"], c=0.3, h=0.2)
    layer = gatework.Recurrent(cell, 3, 4, 2, dropout=0.5, bidirectional=True, dtype=torch.float64).train()
    sequence = torch.randn(STEPS, ROWS, 3).double()
    found = streamed(layer, sequence, STEPS)
    assert layer.training
    with torch.no_grad():
        assert_close(found, layer.eval()(sequence)[0])


def test_changed_weights_are_noticed():
    layer = stack_of(gatework.CELLS["lstm"])
    sequence, stream = inputs_for(layer, STEPS, ROWS), layer.stream(ROWS, look_ahead=2)
    before = streamed(layer, sequence, 2, stream)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.5)
    layer(sequence)[0].square().sum().backward()
    optimiser.step()
    after = streamed(layer, sequence, 2, stream)
    assert_close(after, by_windows(layer, sequence, 2))
    assert not torch.allclose(after, before)
    layer.load_state_dict({name: value * 0.5 for name, value in layer.state_dict().items()}, assign=True)
    assert_close(streamed(layer, sequence, 2, stream), by_windows(layer, sequence, 2))
    for parameter in layer.parameters():
        parameter.data.mul_(0.5)
    stream.refresh()
    assert_close(streamed(layer, sequence, 2, stream), by_windows(layer, sequence, 2))


def test_a_cell_without_parameters_follows_its_input():
    layer = gatework.Recurrent("h = 0.5 * h + x", 4, 4, bidirectional=True)
    sequence = torch.randn(STEPS, ROWS, 4, dtype=torch.float64)
    assert_close(streamed(layer, sequence, STEPS), layer(sequence)[0])


def test_inputs_may_be_changed_after_the_step():
    layer = stack_of(gatework.CELLS["lstm"])
    sequence, stream, buffer = inputs_for(layer, STEPS, ROWS), layer.stream(ROWS, look_ahead=2), torch.zeros(ROWS, 3)
    buffer = buffer.double()
    found = []
    for x in sequence:
        output = stream.step(buffer.copy_(x))
        buffer.fill_(float("nan"))
        found += [] if output is None else [output.clone()]
    assert_same(torch.cat([torch.stack(found), stream.flush()]), streamed(layer, sequence, 2))


def test_another_type_in_the_middle_of_a_sequence():
    layer = stack_of(gatework.CELLS["lstm"], dtype=torch.float32)
    sequence, stream = inputs_for(layer, STEPS, ROWS), layer.stream(ROWS, look_ahead=2)
    first = [stream.step(x) for x in sequence[:4]]
    assert first == [None] * 4
    layer.double()
    stream.refresh()
    found = [output.clone() for x in sequence[4:].double() if (output := stream.step(x)) is not None]
    found = torch.cat([torch.stack(found), stream.flush()])
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), by_windows(layer, sequence.double(), 2).float())


@pytest.mark.parametrize("made", [False, True], ids=["outside", "inside"])
def test_inference_mode_does_not_bind_a_stream(made):
    layer = stack_of(gatework.CELLS["lstm"])
    sequence = inputs_for(layer, STEPS, ROWS)
    with torch.inference_mode(made):
        stream = layer.stream(ROWS, look_ahead=2)
        stream.step(sequence[0])
    with torch.inference_mode():
        stream.step(sequence[1])
    found = [output.clone() for x in sequence[2:] if (output := stream.step(x)) is not None]
    assert_same(torch.cat([torch.stack(found), stream.flush()]), streamed(layer, sequence, 2))


# --- errors


def test_what_cannot_be_delayed():
    both = gatework.LSTM(3, 4, bidirectional=True)
    with pytest.raises(SizeError, match=r"Say how many of them its reverse direction may read, as in layer\.stream\("):
        both.stream()
    with pytest.raises(SizeError, match="look_ahead is 2 for a layer of one direction, which reads no steps to come"):
        gatework.LSTM(3, 4).stream(look_ahead=2)
    wrongs: list[Any] = [-1, 1.5, True, "two"]
    for wrong in wrongs:
        with pytest.raises(SizeError, match=f"look_ahead is {wrong!r}; expected a whole number of at least 0"):
            both.stream(look_ahead=wrong)
    with pytest.raises(SizeError, match="batch_size is 0; expected a whole number of at least 1"):
        both.stream(0, look_ahead=1)
    connected = gatework.Recurrent("lstm", 4, 4, 2, bidirectional=True, connection="residual")
    with pytest.raises(
        SizeError, match="a bidirectional layer with a memory, skip or connection, which no stream runs"
    ):
        connected.stream(look_ahead=1)


def test_a_refused_step_changes_nothing():
    layer = stack_of(gatework.CELLS["lstm"])
    sequence, stream = inputs_for(layer, STEPS, ROWS), layer.stream(ROWS, look_ahead=2)
    found = []
    for x in sequence:
        with pytest.raises(SizeError, match=r"step\(\) was given `x` of the shape \(3, 2\); expected \(3, 3\)"):
            stream.step(x[:, :2])
        output = stream.step(x)
        found += [] if output is None else [output.clone()]
    assert_same(torch.cat([torch.stack(found), stream.flush()]), streamed(layer, sequence, 2))
    assert repr(stream).endswith("batch_size=3, look_ahead=2)")
