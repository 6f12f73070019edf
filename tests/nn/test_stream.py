"""``layer.stream()``: the same as a whole sequence, one step at a time, with nothing made anew."""

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.nn.sizes import as_tuple, inputs_for, layer_of
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.errors import ConfigError, SizeError
from gatework.kernels.cpu.streaming import FIRST, PROGRAM, RETREAT, Chain
from gatework.kernels.llvm.target import host
from gatework.nn.layers import wired

every_cell = pytest.mark.parametrize("cell", gatework.CELLS.values(), ids=gatework.CELLS.keys())
every_backend = pytest.mark.parametrize("backend", ["cpu", "reference"])
STEPS, ROWS = 6, 3


def stack_of(cell, **options):
    """Two layers, with a learned map where the cell takes its input elementwise, and a learned initial state."""
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    layer = layer_of(cell, 2, input_projection=elementwise, learn_initial_state=True, **options)
    return layer.eval()


def outputs_of(stream, sequence):
    return torch.stack([stream.step(one).clone() for one in sequence])


@torch.no_grad()
def whole(layer, sequence, state=None):
    return layer(sequence, state)


# --- the same numbers


@every_cell
@every_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_the_sequence(cell, backend, dtype):
    layer = stack_of(cell, dtype=dtype, backend=backend)
    for rows in (1, ROWS):
        sequence = inputs_for(layer, STEPS, rows)
        stream = layer.stream(rows)
        output, state = whole(layer, sequence)
        assert stream.backend == backend
        assert_close(outputs_of(stream, sequence), output)
        assert_close(as_tuple(stream.state), as_tuple(state))


@every_backend
def test_several_inputs(backend):
    cell = gatework.cell("h = tanh(W @ x + R @ h + b) * sigmoid(w * d)", name="decaying", inputs="x d")
    layer = gatework.Recurrent(cell, (3, 5), 5, num_layers=2, dtype=torch.float64, backend=backend)
    x, d = torch.randn(STEPS, ROWS, 3).double(), torch.randn(STEPS, ROWS, 5).double()
    stream = layer.stream(ROWS)
    steps = [stream.step(pair).clone() for pair in zip(x, d, strict=True)]
    assert_close(torch.stack(steps), whole(layer, (x, d))[0])
    with pytest.raises(SizeError, match=r"step\(\) was given 1 inputs; the cell `decaying` has 2: x, d\."):
        stream.step(x[0])


@every_backend
def test_inference_mode_does_not_bind_a_stream(backend):
    """A stream that was made in this mode also runs and starts anew outside of it."""
    layer, sequence = stack_of(gatework.CELLS["lstm"], backend=backend), torch.randn(STEPS, ROWS, 3).double()
    with torch.inference_mode():
        stream = layer.stream(ROWS)
        stream.step(sequence[0])
    stream.reset()
    assert_close(outputs_of(stream, sequence), whole(layer, sequence)[0])
    with torch.inference_mode():
        stream.refresh()
    stream.state = None
    assert_close(outputs_of(stream, sequence), whole(layer, sequence)[0])


@every_backend
def test_evaluation_is_what_runs(backend):
    """In training mode too: masks are their probabilities, and nothing is dropped between layers."""
    cell = gatework.zoneout(gatework.CELLS["lstm"], c=0.3, h=0.2)
    layer = gatework.Recurrent(cell, 3, 4, num_layers=2, dropout=0.5, dtype=torch.float64, backend=backend).train()
    sequence = torch.randn(STEPS, ROWS, 3).double()
    steps = outputs_of(layer.stream(ROWS), sequence)
    assert layer.training
    assert_close(steps, whole(layer.eval(), sequence)[0])


@every_backend
@pytest.mark.parametrize("make", [gatework.LSTM, gatework.GRU, gatework.RNN])
def test_drop_in_layers(make, backend):
    layer = make(3, 5, num_layers=2, backend=backend)
    sequence = torch.randn(STEPS, ROWS, 3)
    assert_close(outputs_of(layer.stream(ROWS), sequence), whole(layer, sequence)[0])


@pytest.mark.parametrize("units", [512, 528])
def test_many_units_on_several_threads(units):
    threads = torch.get_num_threads()
    layer = gatework.Recurrent("lstm_layer_norm", 64, units, num_layers=2)
    sequence = torch.randn(20, 1, 64)
    try:
        torch.set_num_threads(2)
        stream = layer.stream()
        steps = outputs_of(stream, sequence)
        torch.set_num_threads(1)
        alone = layer.stream()
    finally:
        torch.set_num_threads(threads)
    assert alone.threads == [1, 1]
    assert max(stream.threads) <= 2
    assert_close(steps, whole(layer, sequence)[0])
    assert_same(outputs_of(alone, sequence), steps)


@pytest.mark.skipif(host().level == "neon", reason="programs may not read this processor's clock")
def test_a_thread_that_is_not_let_run_is_not_waited_for():
    """One thread goes on alone for a while, and not a bit of the results changes."""
    threads = torch.get_num_threads()
    layer = gatework.Recurrent("lstm", 64, 512)
    sequence = torch.randn(20, 1, 64)
    try:
        torch.set_num_threads(2)
        stream, watched = layer.stream(), layer.stream()
    finally:
        torch.set_num_threads(threads)
    if stream.threads == [1]:
        pytest.skip("torch has no threads here that kernels could take")
    assert isinstance(watched._chain, Chain)
    program = watched._chain._program
    best, alone, retreat = (PROGRAM.index(name) for name in ("best", "alone", "retreat"))
    found = []
    for number, one in enumerate(sequence):
        if number in (10, 15):
            program[alone], program[best] = 0, 1  # as if a step had once taken a single cycle
            program[retreat] = RETREAT[0] if number == 10 else RETREAT[1]
        found.append(watched.step(one).clone())
        if number < FIRST:
            assert program[alone] == FIRST - 1 - number
        if 10 <= number < 15:
            assert (program[alone], program[retreat]) == (RETREAT[0] + 10 - number, 2 * RETREAT[0])
        if number >= 15:
            assert (program[alone], program[retreat]) == (RETREAT[1] + 15 - number, RETREAT[1])
    assert_same(torch.stack(found), outputs_of(stream, sequence))


def test_sizes_that_differ_from_layer_to_layer():
    layer = gatework.Recurrent("lstm", 3, [7, 4], dtype=torch.float64)
    sequence = torch.randn(STEPS, ROWS, 3).double()
    stream = layer.stream(ROWS)
    output, state = whole(layer, sequence)
    assert_close(outputs_of(stream, sequence), output)
    for part, expected in zip(stream.state, state, strict=True):
        assert_close(part, expected)


def test_inputs_that_lie_anyhow():
    layer = gatework.Recurrent("gru", 3, 4)
    sequence = torch.randn(STEPS, 3, ROWS)
    turned = [one.T for one in sequence]
    assert not turned[0].is_contiguous()
    expected = whole(layer, torch.stack(turned))[0]
    assert_close(outputs_of(layer.stream(ROWS), turned), expected)
    wide = torch.zeros(STEPS, ROWS, 6)
    wide[..., 1:4] = torch.stack(turned)
    assert_close(outputs_of(layer.stream(ROWS), wide[..., 1:4]), expected)
    assert_close(outputs_of(layer.stream(ROWS), [one.clone().requires_grad_() for one in turned]), expected)


def test_the_output_may_be_the_next_input():
    layer = gatework.Recurrent("gru", 4, 4, dtype=torch.float64)
    stream, given, state = layer.stream(), torch.randn(1, 4).double(), None
    written = given
    for _ in range(STEPS):
        written = stream.step(written)
        given, state = layer.step(given, state)
    assert_close(written, given.detach())


@every_backend
def test_the_output_is_one_tensor(backend):
    layer = gatework.Recurrent("lstm", 3, 4, backend=backend)
    stream, sequence = layer.stream(ROWS), torch.randn(2, ROWS, 3)
    first = stream.step(sequence[0])
    kept, place = first.clone(), first.data_ptr()
    second = stream.step(sequence[1])
    assert second is first
    assert (second.shape, second.is_contiguous(), second.data_ptr()) == ((ROWS, 4), True, place)
    assert not torch.equal(second, kept)
    assert not second.requires_grad


def test_what_fits_is_not_looked_at_twice(monkeypatch):
    """That is what makes a step fast; a tensor of another layout still works."""
    monkeypatch.delenv("GATEWORK_CHECK", raising=False)  # it looks at every step
    stream = gatework.LSTM(3, 4, num_layers=2).stream(2)
    looked = []
    monkeypatch.setattr(stream, "_step", lambda given: looked.append(given))
    stream.step(torch.zeros(2, 3))
    assert not looked
    stream.step(torch.zeros(3, 2).T)
    assert len(looked) == 1


CONNECTED: dict[str, tuple[Any, dict[str, Any]]] = {
    "skips": ("gru", {"skip": "both"}),
    "residual": ("lstm", {"connection": "residual"}),
    "highway": ("gru", {"connection": "highway", "tie_layers": True, "learn_initial_state": True}),
    "all of them": ("lstm_projected", {"skip": "both", "connection": "highway", "proj_size": 5}),
    "a map before each layer": ("h = relu(x + u * h + b)", {"skip": "in", "input_projection": True}),
    "maps below": ("depth_gated", {"below_projection": True, "skip": "out", "connection": "residual"}),
    "nothing but below": (
        gatework.cell("c = c + tanh(W @ c_below)\nh = tanh(V @ c + R @ h)", states="h c", inputs="c_below"),
        {"below_projection": True, "tie_layers": True},
    ),
    "own sizes": (
        gatework.cell("z = tanh(W @ x + R @ z)\nh = tanh(V @ z + U @ h)", states="h z", sizes="z"),
        {"sizes": {"z": 2}, "connection": "residual"},
    ),
}


def connected(which: str, **options) -> gatework.Recurrent:
    torch.manual_seed(0)
    cell, wiring = CONNECTED[which]
    layer = gatework.Recurrent(cell, 4, 5, 3, **wiring, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0.0, 0.5)
    return layer.eval()


@pytest.mark.parametrize("which", CONNECTED)
@every_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_connected_layers_have_the_bits_of_the_layer_step_by_step(which, backend, dtype):
    layer = connected(which, dtype=dtype, backend=backend)
    for rows in (1, ROWS):
        sequence, state, stream = torch.randn(STEPS, rows, 4, dtype=dtype), None, layer.stream(rows)
        assert (stream.backend, stream.output.shape) == (backend, (rows, layer.output_size))
        for given in sequence:
            expected, state = whole(layer, given.unsqueeze(0), state)
            assert_same(stream.step(given), expected[0])
            assert_same(as_tuple(stream.state), as_tuple(state))
        assert_close(expected[0], whole(layer, sequence)[0][-1])


@every_backend
def test_connected_layers_have_a_state_and_follow_their_weights(backend):
    layer = connected("all of them", backend=backend)
    sequence, stream = torch.randn(STEPS, ROWS, 4), layer.stream(ROWS)
    state = whole(layer, sequence[:3])[1]
    stream.state = state
    second = torch.stack([stream.step(one).clone() for one in sequence[3:]])
    assert_close(second, whole(layer, sequence[3:], state)[0])
    stream.reset(rows=[1])
    assert not any(bool(part[:, 1].any()) for part in stream.state)
    assert all(bool(part[:, 0].any()) for part in stream.state)
    held = stream.output
    with torch.no_grad():
        layer.weight_gate_l1.mul_(-2)
        layer.weight_hh_l2.mul_(-2)
    stream.reset()
    assert_close(outputs_of(stream, sequence), whole(layer, sequence)[0])
    assert stream.step(sequence[0]) is held
    assert not stream.step(sequence[0].clone().requires_grad_()).requires_grad
    assert len(stream.threads) == (3 if backend == "cpu" else 0)
    with pytest.raises(SizeError, match="was given `x` of the shape"):
        stream.step(torch.zeros(ROWS, 5))


@every_backend
def test_connected_layers_are_not_narrowed_by_autocast(backend):
    """The kernels would read what a map gives in bfloat16 as float32."""
    layer, given = connected("a map before each layer", backend=backend), torch.randn(ROWS, 4)
    stream, other = layer.stream(ROWS), layer.stream(ROWS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = stream.step(given)
    assert_same(found, other.step(given))


# --- the state


@every_backend
def test_state_is_taken_and_given(backend):
    layer = stack_of(gatework.CELLS["lstm"], backend=backend)
    sequence = inputs_for(layer, STEPS, ROWS)
    stream, other = layer.stream(ROWS), layer.stream(ROWS)
    outputs_of(stream, sequence[:2])
    middle = stream.state
    expected = outputs_of(stream, sequence[2:])
    assert_close(as_tuple(middle), as_tuple(whole(layer, sequence[:2])[1]))
    other.state = middle
    assert_same(outputs_of(other, sequence[2:]), expected)
    assert_close(outputs_of(stream, sequence), whole(layer, sequence, whole(layer, sequence)[1])[0])
    other.state = None
    assert_same(outputs_of(other, sequence[:2]), outputs_of(layer.stream(ROWS), sequence[:2]))


@every_backend
@pytest.mark.parametrize("rows", [[1], 1, [False, True, False], torch.tensor([1]), torch.tensor([False, True, False])])
def test_single_rows_begin_anew(backend, rows):
    layer = stack_of(gatework.CELLS["lstm"], backend=backend)
    sequence = inputs_for(layer, STEPS, ROWS)
    stream, unbroken = layer.stream(ROWS), layer.stream(ROWS)
    for steps in (3, 2):  # from either of the two places a state lies in
        stream.reset()
        unbroken.reset()
        outputs_of(stream, sequence[:steps])
        outputs_of(unbroken, sequence[:steps])
        stream.reset(rows)
        found, expected = stream.step(sequence[0]), unbroken.step(sequence[0])
        assert_same(found[[0, 2]], expected[[0, 2]])
        assert_same(found[1], layer.stream(ROWS).step(sequence[0])[1])
        assert not torch.equal(found[1], expected[1])
    stream.reset([])
    assert_same(stream.step(sequence[1]), outputs_of(unbroken_again(layer, sequence, rows), sequence[1:2])[0])


def unbroken_again(layer, sequence, rows):
    """A stream that went the same way as the one before."""
    stream = layer.stream(ROWS)
    outputs_of(stream, sequence[:2])
    stream.reset(rows)
    stream.step(sequence[0])
    return stream


# --- the weights


def trained_a_little(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(1.5)


@every_backend
def test_changed_weights_are_taken_by_themselves(backend):
    layer = stack_of(gatework.CELLS["lstm"], backend=backend)
    sequence = inputs_for(layer, STEPS, ROWS)
    stream = layer.stream(ROWS)
    _, state = whole(layer, sequence[:3])
    first = outputs_of(stream, sequence[:3])
    output = stream.output
    trained_a_little(layer)
    steps = outputs_of(stream, sequence[3:])
    assert_close(steps, whole(layer, sequence[3:], state)[0])
    layer.load_state_dict(stack_of(gatework.CELLS["lstm"]).state_dict())
    stream.reset()
    assert_same(outputs_of(stream, sequence[:3]), first)
    assert stream.output is output


def stepped(make, **options):
    """A step of an optimiser over the layer's parameters."""

    def change(layer):
        layer.zero_grad()
        layer(torch.ones(2, 1, 3))[0].sum().backward()
        make(layer.parameters(), 0.5, **options).step()

    return change


def assigned(layer):
    layer.load_state_dict(gatework.LSTM(3, 4, num_layers=2).state_dict(), assign=True)


def loaded(layer):
    layer.load_state_dict(gatework.LSTM(3, 4, num_layers=2).state_dict())


def replaced(layer):
    layer.weight_ih_l1 = torch.nn.Parameter(torch.rand(16, 4))


def in_inference(layer):
    with torch.inference_mode():
        layer.weight_ih_l0.add_(1)


def tied(layer):
    layer.bias_hh_l0 = layer.bias_ih_l0
    with torch.no_grad():
        layer.bias_hh_l0.add_(1)


def parametrised(layer):
    class Doubled(torch.nn.Module):
        def forward(self, weight):
            return 2 * weight

    torch.nn.utils.parametrize.register_parametrization(layer, "weight_ih_l0", Doubled())


CHANGES = {
    **{
        f"{make.__name__} {options}": stepped(make, **options)
        for make in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
        for options in ({"foreach": False}, {"foreach": True}, {"fused": True})
    },
    "loaded": loaded,
    "assigned": assigned,
    "replaced": replaced,
    "in inference": in_inference,
    "tied": tied,
    "parametrised": parametrised,
}


@every_backend
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changes_that_leave_a_trace_are_seen_by_the_next_step(change, backend):
    layer = gatework.LSTM(3, 4, num_layers=2, backend=backend)
    stream, given = layer.stream(), torch.ones(1, 3)
    before = stream.step(given).clone()
    for _ in range(2):  # the second time, what the first put in place
        change(layer)
        stream.reset()
        found = stream.step(given).clone()
        assert_same(found, layer.stream().step(given))
        assert not torch.equal(found, before)
        before = found
        if change is parametrised:
            change = trained_a_little


def test_parameters_of_a_single_number_are_seen_to_be_others():
    """They can be compared, and be the same: what is then changed is the new ones."""
    layer = gatework.Recurrent("h = tanh(w * x + r * h)", 1, 1)
    stream, given = layer.stream(), torch.ones(1, 1)
    stream.step(given)
    for name, parameter in list(layer.named_parameters()):
        setattr(layer, name, torch.nn.Parameter(parameter.detach().clone()))
    stream.reset()
    stream.step(given)
    trained_a_little(layer)
    stream.reset()
    assert_same(stream.step(given), layer.stream().step(given))


def test_steps_of_other_layers_pack_nothing(monkeypatch):
    layer, other = gatework.LSTM(3, 4), gatework.LSTM(3, 4)
    stream = layer.stream()
    monkeypatch.setattr(stream, "refresh", lambda: pytest.fail("the weights are packed again"))
    stepped(torch.optim.AdamW, fused=True)(other)
    stream.step(torch.ones(1, 3))


def test_parameters_of_another_type_are_taken_at_once():
    """And the input, still of the old type, is refused."""
    layer = gatework.LSTM(3, 4)
    stream = layer.stream()
    layer.load_state_dict(gatework.LSTM(3, 4, dtype=torch.float64).state_dict(), assign=True)
    with pytest.raises(SizeError, match=r"was given `x` of torch.float32 on cpu; the stream is of torch.float64"):
        stream.step(torch.ones(1, 3))
    assert_same(stream.step(torch.ones(1, 3).double()), layer.stream().step(torch.ones(1, 3).double()))


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.weight_ih_l0.data.fill_(1),
        lambda layer: torch.nn.utils.vector_to_parameters(torch.ones(144), layer.parameters()),
        lambda layer: layer.weight_ih_l0.detach().numpy().fill(1),
    ],
    ids=["data", "vector_to_parameters", "numpy"],
)
def test_what_leaves_no_trace_is_seen_after_refresh(change):
    layer = gatework.LSTM(3, 4)
    stream, given = layer.stream(), torch.ones(1, 3)
    stream.step(given)
    change(layer)
    stream.refresh()
    stream.reset()
    assert_same(stream.step(given), layer.stream().step(given))


def test_refresh_takes_what_leaves_no_trace():
    layer = gatework.Recurrent("gru", 3, 4)
    sequence = torch.randn(STEPS, 1, 3)
    stream = layer.stream()
    layer.double()
    before = stream.step(sequence[0]).clone()
    with pytest.raises(SizeError, match=r"call refresh\(\) if the layer was moved"):
        stream.step(sequence[1].double())
    stream.refresh()
    assert stream.step(sequence[1].double()).dtype == torch.float64
    expected = whole(layer, sequence[:2].double())[0]
    assert_close(before, expected[0].float())
    torch.testing.assert_close(stream.output, expected[1], rtol=1e-6, atol=1e-6)  # a step of it was in float32
    layer.backend = "reference"
    assert stream.backend == "cpu"
    stream.refresh()
    assert stream.backend == "reference"


def test_other_types_go_through_the_reference():
    layer = gatework.LSTM(3, 4, num_layers=2, dtype=torch.bfloat16)
    sequence = torch.randn(STEPS, ROWS, 3).bfloat16()
    stream = layer.stream(ROWS)
    assert (stream.backend, stream.threads) == ("reference", [])
    assert stream.reason.startswith("the type is bfloat16")
    assert_close(outputs_of(stream, sequence), whole(layer, sequence)[0])
    layer.backend = "cpu"
    with pytest.raises(ConfigError, match="backend='cpu' cannot run this: the type is bfloat16"):
        layer.stream()


# --- nonsense


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            torch.zeros(1, 4),
            "step() was given `x` of the shape (1, 4); expected (2, 3), which is (batch_size, input size). For another "
            "batch size make another stream.",
        ),
        (
            torch.zeros(3),
            "step() was given `x` of the shape (3,); expected (2, 3), which is (batch_size, input size). For another "
            "batch size make another stream.",
        ),
        (
            torch.zeros(2, 3).double(),
            "step() was given `x` of torch.float64 on cpu; the stream is of torch.float32 on cpu. Convert the input, "
            "or call refresh() if the layer was moved.",
        ),
        (
            torch.zeros(2, 3, device="meta"),
            "step() was given `x` of torch.float32 on meta; the stream is of torch.float32 on cpu. Convert the input, "
            "or call refresh() if the layer was moved.",
        ),
        ([[0.0] * 3] * 2, "step() was given a list for `x`; expected a tensor [2, 3]."),
        (None, "step() was given a NoneType for `x`; expected a tensor [2, 3]."),
        (
            (torch.zeros(2, 3), torch.zeros(2, 3)),
            "step() was given 2 inputs; the cell `lstm` has 1: x. Give a tuple of tensors in this order.",
        ),
    ],
)
@every_backend
def test_wrong_inputs_are_refused_and_change_nothing(given, message, backend):
    stream = gatework.LSTM(3, 4, backend=backend).stream(2)
    stream.step(torch.ones(2, 3))
    before = stream.state
    with pytest.raises(SizeError) as caught:
        stream.step(given)
    assert str(caught.value) == message
    assert_same(stream.state, before)


def test_wrong_streams_are_refused():
    with pytest.raises(SizeError, match=r"stream\(\) was called on a bidirectional layer"):
        gatework.GRU(3, 4, bidirectional=True).stream()
    sizes: list[Any] = [0, -1, 1.0, True, "1", None]
    for size in sizes:
        with pytest.raises(SizeError) as caught:
            gatework.GRU(3, 4).stream(size)
        assert str(caught.value) == f"batch_size is {size!r}; expected a whole number of at least 1."


@pytest.mark.parametrize("rows", [[2], [-1], [0.5], 2])
def test_wrong_rows_are_refused(rows):
    with pytest.raises(SizeError) as caught:
        gatework.GRU(3, 4).stream(2).reset(rows)
    assert str(caught.value) == f"rows is {rows!r}; expected whole numbers from 0 to 1."


def test_wrong_masks_and_states_are_refused():
    stream = gatework.GRU(3, 4).stream(2)
    with pytest.raises(SizeError, match=r"rows has the shape \(3,\); expected 2 times True or False\."):
        stream.reset([True, False, True])
    with pytest.raises(SizeError, match=r"The state `h` has the shape \(1, 1, 4\); expected \(1, 2, 4\)\."):
        stream.state = torch.zeros(1, 1, 4)


# --- memory, processes


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the resident size is read from Linux's /proc")
def test_a_million_steps_take_no_memory():
    stream, given = gatework.LSTM(3, 4).stream(), torch.ones(1, 3)
    step = stream.step

    def resident():
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    for _ in range(1000):
        step(given)
    before = resident()
    for _ in range(1_000_000):
        step(given)
    # Less than a byte for each step.
    assert resident() - before < 1_000_000
    tracemalloc.start()
    try:
        step(given)
        start, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(1000):
            step(given)
        end, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert end - start < 1000
    assert peak - start < 10_000  # the addresses and shapes of one step, and no more of the next


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_streams_alone():
    layer = gatework.Recurrent("lstm", 512, 512)
    sequence = torch.randn(3, 1, 512)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        stream = layer.stream()
    finally:
        torch.set_num_threads(threads)
    expected = outputs_of(stream, sequence)
    stream.reset()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if stream.threads == [1] and torch.equal(torch.stack([stream.step(x).clone() for x in sequence]), expected):
                code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert_same(outputs_of(stream, sequence), expected)


def test_layers_are_wired_as_in_a_sequence():
    """The cell that reads the layer below is among those above."""
    assert any(wired(cell) for cell in gatework.CELLS.values())


def test_a_stream_of_a_layer_that_learns_nothing_is_of_its_inputs_type():
    layer = gatework.Recurrent("h = 0.5 * h + x", 3, 3)
    stream = layer.stream()
    for dtype in (torch.float32, torch.float64):
        stream.reset()
        x = torch.randn(4, 1, 3, dtype=dtype)
        found = torch.stack([stream.step(one).clone() for one in x])
        assert found.dtype == dtype
        assert_close(found, layer(x)[0])


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_stream_of_a_layer_that_learns_nothing_is_of_its_states_type(backend):
    layer = gatework.Recurrent(gatework.cell("h = 0.5 * h + u", states="h", inputs="u"), 2, 2, backend=backend)
    stream = layer.stream(1)
    stream.state = torch.ones(1, 1, 2, dtype=torch.float64)
    assert_same(stream.step(torch.ones(1, 2, dtype=torch.float64)), torch.full((1, 2), 1.5, dtype=torch.float64))
