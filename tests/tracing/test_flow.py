"""Norms of gradients are those of autograd's Jacobian, and the numbers drawn from them are what they are called."""

import math
from typing import Any

import pytest
import torch
from tests.nn.sizes import inputs_for, layer_of
from tests.nn.test_registry_battery import CELLS
from tests.tolerances import assert_close
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import gatework
from gatework.errors import SizeError
from gatework.models.language import LanguageModel
from gatework.tracing import memory_length

STEPS, ROWS = 5, 2

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def lstm_by_hand(weights, given, pushes):
    """An LSTM written out, with something added to x, h and c at every step [3][T][B, size]; gives h at the end."""
    h = c = given.new_zeros(given.shape[1], len(weights["b_i"]))
    for time, x in enumerate(given):
        x = x + pushes[0][time]
        sums = {k: x @ weights[f"W_{k}"].T + h @ weights[f"R_{k}"].T + weights[f"b_{k}"] for k in "ifgo"}
        c = torch.sigmoid(sums["f"]) * c + torch.sigmoid(sums["i"]) * torch.tanh(sums["g"]) + pushes[2][time]
        h = torch.sigmoid(sums["o"]) * torch.tanh(c) + pushes[1][time]
    return h


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_norms_are_those_of_autograds_jacobian(backend):
    layer = layer_of(gatework.CELLS["lstm"], backend=backend)
    given = inputs_for(layer, STEPS, ROWS)
    weights = layer.named_weights(0)
    zeros = tuple(torch.zeros(STEPS, ROWS, size, dtype=torch.float64) for size in (3, 5, 5))

    def run(*pushes):
        return lstm_by_hand(weights, given, pushes)

    jacobians = torch.autograd.functional.jacobian(run, zeros)  # [B, H, T, B, size] for each of x, h and c
    flow = gatework.gradient_flow(layer, given, seed=3)
    direction = torch.randn(5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    direction /= direction.norm()
    for name, jacobian in zip("xhc", jacobians, strict=True):
        for row in range(ROWS):
            expected = torch.einsum("h,hts->ts", direction, jacobian[row, :, :, row]).norm(dim=-1)
            assert_close(flow[name][:, row], expected, "gradients")
    assert_close(flow["h"][-1], torch.ones(ROWS, dtype=torch.float64))
    # Any loss will do, and the step it looks at.
    flow = gatework.gradient_flow(layer, given, loss=lambda output: output[2].square().sum())
    h = layer(given)[0][2]
    assert_close(flow["h"][2], 2 * h.norm(dim=-1).detach(), "gradients")
    assert not flow["h"][3:].any()


@every_cell
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_norms_are_those_of_holding_each_state(cell, backend):
    """The same gradients got another way: into a value that holds the state at one step."""
    layer = layer_of(cell, backend=backend).eval()
    given = inputs_for(layer, STEPS, ROWS)
    trace = gatework.trace(layer, given)
    flow = gatework.gradient_flow(layer, given)
    size = trace.output.shape[-1]
    direction = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    direction /= direction.norm()
    for state in cell.states:
        for time in (1, STEPS - 1):
            value = trace[state].clone().requires_grad_()
            with gatework.clamp(layer, {state: value}, start=time, stop=time + 1):
                loss = (layer(given)[0][-1] @ direction).sum()
            (gradient,) = torch.autograd.grad(loss, value, allow_unused=True)
            gradient = torch.zeros_like(value) if gradient is None else gradient  # a counter has none
            assert_close(flow[state][time], gradient[time].norm(dim=-1), "gradients")


def test_stacks_directions_and_forms_of_input():
    torch.manual_seed(0)
    layer = gatework.LSTM(3, 8, num_layers=2, bidirectional=True, dtype=torch.float64)
    turned = gatework.LSTM(3, 8, num_layers=2, bidirectional=True, dtype=torch.float64, batch_first=True)
    turned.load_state_dict(layer.state_dict())
    given, lengths = torch.randn(6, 3, 3, dtype=torch.float64), [4, 6, 2]
    flow = gatework.gradient_flow(layer, given, lengths=lengths)
    assert flow.at.tolist() == [3, 5, 1]
    prefixes = ["l0.x", "l0.h", "l0.c", "l0_reverse.h", "l0_reverse.c"]
    assert list(flow) == [*prefixes, *(key.replace("l0", "l1") for key in prefixes)]
    others = [
        gatework.gradient_flow(turned, given.transpose(0, 1), lengths=lengths),
        gatework.gradient_flow(layer, pack_padded_sequence(given, lengths, enforce_sorted=False)),
    ]
    for other in others:
        assert other.loss == pytest.approx(flow.loss, rel=1e-12)
        assert other.at.tolist() == flow.at.tolist()
        for key in flow:
            assert_close(other[key], flow[key], "gradients")
    # The input's gradient is autograd's, through both directions.
    given.requires_grad_()
    direction = torch.randn(16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    output = layer(given, lengths=lengths)[0][flow.at, torch.arange(3)] @ (direction / direction.norm())
    expected = torch.autograd.grad(output.sum(), given)[0].norm(dim=-1)
    assert_close(flow["l0.x"], expected, "gradients")
    for row, length in enumerate(lengths):
        alone = gatework.gradient_flow(layer, given[:length, row].detach())
        for key in flow:
            assert_close(alone[key][:, 0], flow[key][:length, row], "gradients")


def test_the_log_probability_of_a_symbol():
    model = LanguageModel(11, "gru", 4, 8).double().eval()
    tokens = torch.randint(11, (7, 2), generator=torch.Generator().manual_seed(0))
    flow = gatework.gradient_flow(model, tokens, at=4, target=torch.tensor([3, 9]))
    loss = torch.log_softmax(model(tokens)[0][4], -1)[[0, 1], [3, 9]].sum()
    assert flow.loss == pytest.approx(float(loss.detach()), rel=1e-12)
    hidden = model.recurrent(model.embedding(tokens))[0].detach().requires_grad_()
    loss = torch.log_softmax(model.head(hidden[4]), -1)[[0, 1], [3, 9]].sum()
    assert_close(flow["h"][4], torch.autograd.grad(loss, hidden)[0][4].norm(dim=-1), "gradients")
    assert not flow["x"][5:].any()
    assert flow["x"][:5].gt(0).all()
    assert gatework.gradient_flow(model, tokens, target=3)["h"][-1].gt(0).all()


def test_no_gradient_stays_behind():
    layer, given = gatework.LSTM(3, 4), torch.randn(5, 2, 3)
    with torch.no_grad():
        gatework.gradient_flow(layer, given)
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert layer._inside is None


def test_memory_length():
    steps = torch.arange(400, dtype=torch.float64)
    for constant in (1, 3, 20):
        norms = torch.exp((steps - 399) / constant)[:, None].expand(-1, 2)
        assert memory_length(norms, torch.tensor([399, 399])) == pytest.approx(constant, rel=1e-6)
    between = memory_length(torch.exp((steps - 399) / 3.4)[:, None], torch.tensor([399]))
    assert 3.3 < between < 3.5
    assert memory_length(torch.zeros(5, 2), torch.tensor([4, 4])) == 0
    # All at once: 63 percent of the one step.
    assert memory_length(torch.tensor([[0.0], [2.0]]), torch.tensor([1])) == pytest.approx(1 - 1 / math.e)
    # Later steps count as earlier ones do, for a layer that runs back in time.
    assert memory_length(norms.flip(0), torch.tensor([0, 0])) == pytest.approx(20, rel=1e-6)


def test_a_leaky_unit_remembers_as_long_as_its_time_constant():
    """The norms of a unit that forgets a tenth at every step decay by that, and the number says so."""
    layer = gatework.Recurrent(gatework.cell("h = 0.9 * h + x", name="leaky"), 4, 4, dtype=torch.float64)
    flow = gatework.gradient_flow(layer, torch.randn(600, 1, 4, dtype=torch.float64))
    expected = torch.linspace(599, 0, 600, dtype=torch.float64).mul(math.log(0.9)).exp()
    assert_close(flow["h"][:, 0], expected, "gradients")
    assert flow.memory_length == pytest.approx(-1 / math.log(0.9), rel=2e-3)
    assert flow.memory_lengths["l0.h"] == flow.memory_length


def test_what_cannot_be_asked():
    layer, given = gatework.GRU(3, 4), torch.randn(5, 2, 3)
    with pytest.raises(SizeError, match=r"^at is 5; the input has 5 steps, so expected -5 to 4\.$"):
        gatework.gradient_flow(layer, given, at=5)
    with pytest.raises(SizeError, match=r"^target is 4; expected a symbol, or one for each row, from 0 to 3\.$"):
        gatework.gradient_flow(layer, given, target=4)
    with pytest.raises(SizeError, match=r"was given a loss and a target. Leave one of them out\.$"):
        gatework.gradient_flow(layer, given, target=1, loss=torch.sum)
    with pytest.raises(
        SizeError, match=r"^loss is 3; expected a function that takes what the model returns and gives "
    ):
        gatework.gradient_flow(layer, given, loss=3)  # pyrefly: ignore  # that is the point
    given_back: dict[str, Any] = {
        "a tensor of the shape (5, 2, 4)": lambda output: output,
        "a value of the type float": lambda output: float(output.detach().sum()),
        "a number through which no gradient flows": lambda output: output.detach().sum(),
    }
    for what, loss in given_back.items():
        with pytest.raises(SizeError) as caught:
            gatework.gradient_flow(layer, given, loss=loss)
        message = f"The loss gave {what}; expected one number that depends on the layers' output."
        assert str(caught.value) == message

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, given):
            return self.layer(given)[0].mean((0, 2))

    with pytest.raises(SizeError, match=r"^The model returned a tensor of the shape \(2,\), in which no step can be "):
        gatework.gradient_flow(Mean(), given)
    with pytest.raises(SizeError, match=r"^The flow has no `c`; it has `l0.x`, `l0.h`\.$"):
        gatework.gradient_flow(layer, given)["c"]
