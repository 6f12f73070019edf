"""Layers beside each other in one process, and tensors that lie in memory in every way torch knows."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tolerances import assert_close
from torch import Tensor, nn

import gatework
from gatework.errors import SizeError
from gatework.kernels import MEMORY

OWN = "h = P @ tanh(W @ x + R @ h + b)"
OPTIONS = {
    "cell": ["rnn", "lstm", "gru", "gru_v3", OWN, "r = P @ tanh(W @ x)\nh = tanh(R @ r + Q @ h + b)"],
    "input_size": [1, 3, 4, 17],
    "hidden_size": [4, 8, 16, 17, [16, 8], [8, 16]],
    "proj_size": [0, 2, 3, 4],
    "bias": [True, False],
    "bidirectional": [False, True],
    "memory": MEMORY,
    "dtype": [torch.float64, torch.float32],
    "learn_initial_state": [False, True],
}


def everything(layer: gatework.Recurrent, x: Tensor) -> list[Tensor]:
    """Give the output and every gradient of a layer."""
    given = x.clone().requires_grad_()
    output, state = layer(given)
    states = state if isinstance(state, tuple) else (state,)
    flat = [part for one in states for part in (one if isinstance(one, tuple) else (one,))]
    loss = output.square().sum() + sum(part.sin().sum() for part in flat)
    found = torch.autograd.grad(loss, [given, *layer.parameters()], materialize_grads=True)
    return [output.detach(), *found]


def made(options: dict[str, Any]) -> gatework.Recurrent | None:
    torch.manual_seed(0)
    try:
        return gatework.Recurrent(**options)
    except SizeError:
        return None  # such as a projection to as many units as there are


@st.composite
def pairs(draw) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw the options of two layers that differ in exactly one."""
    first = {name: draw(st.sampled_from(values)) for name, values in OPTIONS.items()}
    name = draw(st.sampled_from(list(OPTIONS)))
    return first, first | {name: draw(st.sampled_from([one for one in OPTIONS[name] if one != first[name]]))}


@given(pairs(), st.integers(1, 4), st.integers(1, 5))
@settings(max_examples=30)
def test_layers_that_differ_in_one_option_do_not_meet(options, steps, rows):
    for one in (*options, options[0]):
        layer = made(one)
        if layer is not None:
            x = torch.randn(steps, rows, one["input_size"], dtype=one["dtype"])
            layer.backend = "cpu"
            found = everything(layer, x)
            layer.backend = "reference"
            assert_close(found, everything(layer, x), "gradients")


@pytest.mark.parametrize("first", [16, 8])
@pytest.mark.parametrize("cell", ["rnn", "irnn", OWN])
def test_a_projected_layer_does_not_take_the_sizes_of_another(cell, first):
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    for hidden in (first, 24 - first):
        layer = gatework.Recurrent(cell, 3, hidden, proj_size=4, dtype=torch.float64, backend="cpu")
        found = everything(layer, x)
        layer.backend = "reference"
        assert_close(found, everything(layer, x), "gradients")


# --- weights and inputs, however they lie

LAID = {
    "columns of a wider matrix": lambda one: torch.cat([one, one.new_full((len(one), 3), 7.0)], 1)[:, :-3],
    "rows of a longer matrix": lambda one: torch.cat([one.new_full((3, one.shape[1]), 7.0), one])[3:],
    "every second row": lambda one: one.repeat_interleave(2, 0)[::2],
    "every second column": lambda one: one.repeat_interleave(2, 1)[:, ::2],
    "turned": lambda one: one.t().contiguous().t(),
    "one row for all": lambda one: one[:1].clone().expand(len(one), -1),
    "one column for all": lambda one: one[:, :1].clone().expand(-1, one.shape[1]),
    "negative bit": lambda one: torch.complex(torch.zeros_like(one), -one).conj().imag,
}


def laid(how: str, one: Tensor) -> Tensor:
    found = LAID[how](one)
    assert found.is_neg() or not found.is_contiguous() or how in ("rows of a longer matrix", "one column for all")
    return found


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "clockwork", OWN])
@pytest.mark.parametrize("how", list(LAID))
def test_weights_are_read_as_torch_reads_them(how, cell):
    layer = gatework.Recurrent(cell, 5, 8, proj_size=4 if cell == OWN else 0, dtype=torch.float64, backend="cpu")
    for name, one in list(layer.named_parameters()):
        if one.dim() == 2:
            setattr(layer, name, nn.Parameter(laid(how, one.detach())))
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    found = [everything(layer, x), *streamed(layer, x)]
    layer.backend = "reference"
    assert_close(found, [everything(layer, x), *streamed(layer, x)], "gradients")


def streamed(layer: gatework.Recurrent, x: Tensor) -> list[Tensor]:
    stream = layer.stream(x.shape[1])
    return [stream.step(one).clone() for one in x]


@pytest.mark.parametrize("how", list(LAID))
def test_inputs_states_and_gradients_are_read_as_torch_reads_them(how):
    layer = gatework.GRU(5, 8, dtype=torch.float64)
    x, state, weight = (torch.randn(*size, dtype=torch.float64) for size in ((12, 5), (3, 8), (12, 8)))

    def run() -> tuple[Tensor, ...]:
        given = laid(how, x).unflatten(0, (4, 3)).detach().requires_grad_()
        output, last = layer(given, laid(how, state)[None])
        grads = torch.autograd.grad([output], [given, *layer.parameters()], [laid(how, weight).unflatten(0, (4, 3))])
        return (output.detach(), last.detach(), *grads)

    layer.backend = "cpu"
    found = run()
    layer.backend = "reference"
    assert_close(found, run(), "gradients")


def test_an_address_that_comes_back_does_not_say_how_a_matrix_lies():
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    with torch.no_grad():
        for number in range(40):
            layer = gatework.RNN(8, 8, dtype=torch.float64, backend="cpu")
            if number % 2:
                layer.weight_ih_l0 = nn.Parameter(torch.randn(8, 8, dtype=torch.float64).t())
                layer.weight_hh_l0 = nn.Parameter(torch.randn(8, 8, dtype=torch.float64).t())
            found = layer(x)[0]
            layer.backend = "reference"
            assert_close(found, layer(x)[0])
            del layer


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_one_tensor_may_be_both_matrices(cell, backend):
    torch.manual_seed(0)
    ours = getattr(gatework, cell)(8, 8, dtype=torch.float64, backend=backend)
    theirs = getattr(nn, cell)(8, 8, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 3, 8, dtype=torch.float64)
    found = []
    for layer in (ours, theirs):
        layer.weight_hh_l0 = layer.weight_ih_l0
        output, _ = layer(x)
        found.append([output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()))])
    for one, expected in zip(*found, strict=True):
        assert_close(one, expected)


def test_weights_of_another_shape_or_type_are_refused():
    layer, x = gatework.GRU(3, 4, backend="cpu"), torch.randn(2, 1, 3)
    layer(x)
    layer.weight_hh_l0 = nn.Parameter(torch.randn(12, 5))
    with pytest.raises(SizeError) as error:
        layer(x)
    assert str(error.value) == (
        "The weights of R_r, R_z, R_n have the shape (12, 5); expected (12, 4). Set a parameter of this shape."
    )
    layer.weight_hh_l0 = nn.Parameter(torch.randn(12, 4, dtype=torch.float64))
    with pytest.raises(SizeError) as error:
        layer(x)
    assert str(error.value) == (
        "The weights of R_r, R_z, R_n are of torch.float64 on cpu; the state is of torch.float32 on cpu. "
        "Convert the layer with .to()."
    )


@pytest.mark.parametrize("how", list(LAID))
def test_a_stream_reads_inputs_as_torch_reads_them(how):
    layer = gatework.GRU(8, 8, dtype=torch.float64)
    for x in (torch.randn(3, 8, dtype=torch.float64), torch.randn(1, 8, dtype=torch.float64)):
        stream, expected = layer.stream(len(x)), layer.stream(len(x))
        assert_close(stream.step(LAID[how](x)), expected.step(LAID[how](x).resolve_neg().contiguous()))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_bias_that_would_be_spread_over_the_other_is_refused(backend):
    layer = gatework.GRU(3, 4, backend=backend)
    layer.bias_hh_l0 = nn.Parameter(torch.randn(1))
    with pytest.raises(SizeError) as error:
        layer(torch.randn(2, 1, 3))
    assert str(error.value) == (
        "The weights bias_ih have the shape (12,) and bias_hh (1,); expected the same. Set a parameter of this shape."
    )


# --- what the caller changes


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_lengths_and_resets_may_be_changed_before_the_backward_pass(backend, batch_first):
    layer = gatework.LSTM(3, 4, backend=backend, batch_first=batch_first, bidirectional=True, dtype=torch.float64)
    x = torch.randn(5, 5, 3, dtype=torch.float64, requires_grad=True)
    lengths, reset = torch.tensor([5, 4, 2, 0, 5]), torch.rand(5, 5) < 0.4

    def gradient(change: bool) -> Tensor:
        given, starts = lengths.clone(), reset.clone()
        output, _ = layer(x, lengths=given, reset=starts)
        if change:
            given.sub_(1)
            starts.logical_not_()
        return torch.autograd.grad(output.square().sum(), x)[0]

    assert torch.equal(gradient(False), gradient(True))


@pytest.mark.parametrize("hidden", [16, 10])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_an_output_is_contiguous_and_may_be_changed_in_place(cell, hidden):
    layer = gatework.Recurrent(cell, 3, hidden, dtype=torch.float64, backend="cpu")
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    output, _ = layer(x)
    assert output.is_contiguous()
    expected = torch.autograd.grad(torch.relu(output).sum(), x)[0]
    output, _ = layer(x)
    assert torch.equal(torch.autograd.grad(torch.relu_(output).sum(), x)[0], expected)
    with torch.no_grad():
        output, _ = layer(x)
        assert output.is_contiguous()
        before = layer(x)[0].clone()
        output.zero_()
        assert torch.equal(layer(x)[0], before)


def test_where_memory_is_short_an_output_is_copied_before_it_is_changed_or_refused():
    layer = gatework.GRU(3, 16, memory="small", dtype=torch.float64, backend="cpu")
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    output, _ = layer(x)
    assert output.is_contiguous()
    with pytest.raises(RuntimeError, match="is a view and is being modified inplace"):
        torch.relu_(output)
    torch.relu_(output.clone()).sum().backward()


def test_a_packed_output_is_contiguous_and_may_be_changed_in_place():
    layer = gatework.GRU(3, 10, dtype=torch.float64)
    packed = nn.utils.rnn.pack_sequence([torch.randn(n, 3, dtype=torch.float64) for n in (4, 2, 1)])
    output, _ = layer(packed)
    assert output.data.is_contiguous()
    torch.relu_(output.data).sum().backward()
