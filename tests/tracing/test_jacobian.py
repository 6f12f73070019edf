"""The derivative of a state by its past is autograd's, and its direct part is what the essays call it."""

import math

import pytest
import torch
from tests.nn.sizes import counters, inputs_for, layer_of
from tests.nn.test_registry_battery import CELLS
from tests.tolerances import assert_close

import gatework
from gatework.errors import CellError, SizeError
from gatework.tracing import half_life, half_lives, state_jacobian

STEPS, ROWS = 5, 2

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def by_autograd(layer, given, state, at, since, **options):
    """The derivative of a state by the same one held at an earlier step, on the reference: [B, H, H]."""
    kept = gatework.trace(layer, given, [state], **options)[state]

    def run(value):
        held = {state: kept.index_copy(0, torch.tensor([since]), value[None])}
        with gatework.clamp(layer, held, start=since, stop=since + 1):
            _, _, (found,) = layer.record(given, names=[state], **options)
        return found[state][at]

    whole = torch.autograd.functional.jacobian(run, kept[since])
    return torch.stack([whole[row, :, row] for row in range(kept.shape[1])])


@every_cell
def test_the_whole_is_autograds_jacobian(cell):
    layer = layer_of(cell, backend="reference").eval()
    given = inputs_for(layer, STEPS, ROWS)
    for state in cell.states:
        found = state_jacobian(layer, given, of=state, at=3)
        assert found.whole.shape[:2] == (4, ROWS)
        for since in (0, 2, 3):
            expected = by_autograd(layer, given, state, 3, since)
            if state in counters(cell):
                continue  # a counter steps by whole numbers: autograd knows no slope, the equations' is that of mod
            assert_close(found.whole[since], expected, "gradients")
        assert_close(found.direct + found.rest, found.whole)
        eye = torch.eye(found.whole.shape[-1], dtype=torch.float64).expand(ROWS, -1, -1)
        assert_close(found.direct[-1], eye)


@every_cell
def test_resets_and_kernels(cell):
    layer = layer_of(cell).eval()
    given = inputs_for(layer, STEPS, ROWS)
    reset = torch.zeros(STEPS, ROWS, dtype=torch.bool)
    reset[2, 1] = True
    found = state_jacobian(layer, given, reset=reset)
    plain = state_jacobian(layer, given)
    assert not found.whole[:2, 1].any()
    assert not found.direct[:2, 1].any()
    assert_close(found.whole[:, 0], plain.whole[:, 0])
    alone = state_jacobian(layer, given[2:, 1:])
    assert_close(found.whole[2:, 1:], alone.whole)
    layer.backend = "reference"
    assert_close(state_jacobian(layer, given).whole, plain.whole, "gradients")


def gates_held(layer, given, state, at, since):
    """The derivative with every gate held at what it was: an LSTM's own state line, on its own, by autograd."""
    trace = gatework.trace(layer, given)

    def run(c):
        for time in range(since + 1, at + 1):
            c = trace["f"][time] * c + trace["i"][time] * trace["g"][time]
        return c

    whole = torch.autograd.functional.jacobian(run, trace[state][since])
    return torch.stack([whole[row, :, row] for row in range(given.shape[1])])


def test_the_direct_part_of_an_lstm_is_the_product_of_its_forget_gates():
    layer = layer_of(gatework.CELLS["lstm"])
    given = inputs_for(layer, STEPS, ROWS)
    found = state_jacobian(layer, given)
    forget = gatework.trace(layer, given, "f")["f"]
    for since in range(STEPS):
        assert_close(found.direct[since], torch.diag_embed(forget[since + 1 :].prod(0)))
        assert_close(found.direct[since], gates_held(layer, given, "c", STEPS - 1, since))
    # And it is not the whole: the gates look at h, which comes from c.
    assert found.rest[:-1].abs().amax() > 0.01
    assert not found.rest[-1].any()


def test_the_direct_part_of_others():
    """Of a plain RNN everything is direct; what is carried with z is carried by z; masks are written in."""
    rnn = layer_of(gatework.CELLS["rnn"])
    found = state_jacobian(rnn, inputs_for(rnn, STEPS, ROWS))
    assert_close(found.direct, found.whole)
    gru = layer_of(gatework.CELLS["gru"])
    given = inputs_for(gru, STEPS, ROWS)
    kept = gatework.trace(gru, given, "z")["z"]
    assert_close(state_jacobian(gru, given).direct[0], torch.diag_embed(kept[1:].prod(0)))
    first = layer_of(gatework.CELLS["lstm_1997"])
    carousel = state_jacobian(first, inputs_for(first, STEPS, ROWS)).direct
    assert_close(carousel, torch.eye(5, dtype=torch.float64).expand_as(carousel))
    zoned = layer_of(gatework.zoneout(gatework.CELLS["lstm"], c=0.25)).eval()
    given = inputs_for(zoned, STEPS, ROWS)
    kept = 0.25 + 0.75 * gatework.trace(zoned, given, "f")["f"]
    assert_close(state_jacobian(zoned, given).direct[0], torch.diag_embed(kept[1:].prod(0)))


def test_a_stack_and_a_state():
    layer = layer_of(gatework.CELLS["lstm"], 2, backend="reference")
    given = inputs_for(layer, 6, ROWS)
    _, middle = layer(given[:2])
    split = state_jacobian(layer, given[2:], number=1, since=1, state=tuple(part.detach() for part in middle))
    whole = state_jacobian(layer, given, number=1, since=3)
    assert_close(split.whole, whole.whole)
    assert (split.at, split.since, split.state) == (3, 1, "c")


def test_half_lives():
    assert half_life("lstm", 0.0) == pytest.approx(1.0)
    assert (
        half_life("lstm") == half_life("lstm", 1.0) == pytest.approx(math.log(0.5) / math.log(1 / (1 + math.exp(-1))))
    )
    assert half_life("gru", 2.0) == pytest.approx(half_life("lstm", 2.0))
    # The sign is the cell's affair: a larger forget bias is longer, whatever the gate is called.
    assert half_life("gru_v3", 2.0) == pytest.approx(half_life("lstm", 2.0))
    assert half_life("lstm_1997") == math.inf
    assert half_life("slstm", 3.0) == pytest.approx(half_life("lstm", 3.0))
    assert half_life("c = 0.5 * c + x\nh = tanh(c)") == pytest.approx(1.0)
    with pytest.raises(
        CellError, match=r"^The state `h` is not carried unit by unit: its own equation mixes the units"
    ):
        half_life("rnn")
    with pytest.raises(CellError, match=r"^The state `c` is not carried unit by unit"):
        half_life("c = 0.5 * c + R.T @ tanh(c) + x\nh = tanh(c)")
    with pytest.raises(SizeError, match=r"^`q` is no state; the equations have the states h, c\.$"):
        half_life("lstm", of="q")


def test_half_lives_with_a_mask_that_is_not_drawn():
    """In evaluation zoneout keeps half of c as it was, whatever the forget gate says."""
    plain = gatework.LSTM(3, 4)
    layer = gatework.LSTM(3, 4, zoneout={"c": 0.5}).eval()
    layer.load_state_dict(plain.state_dict())
    trace = gatework.trace(layer, torch.randn(6, 1, 3))
    kept = 0.5 + 0.5 * trace["f"].double()
    expected = math.log(0.5) / kept.log().mean((0, 1))
    assert torch.allclose(half_lives(layer, trace), expected)


def test_half_lives_of_a_trace():
    layer = layer_of(gatework.CELLS["lstm"], 2)
    given, lengths = inputs_for(layer, 6, 3), [4, 6, 1]
    trace = gatework.trace(layer, given, lengths=lengths)
    found = half_lives(layer, trace, "l1.c")
    forget = torch.cat([trace["l1.f"][:length, row] for row, length in enumerate(lengths)])
    assert_close(found, math.log(0.5) / forget.log().mean(0))
    assert not torch.equal(half_lives(layer, trace), found)
    with gatework.clamp(layer, f=torch.tensor([0.0, 1.0, 0.5, 0.25, 1.0], dtype=torch.float64)):
        held = half_lives(layer, gatework.trace(layer, given))
    assert held.tolist() == [0, math.inf, 1, 0.5, math.inf]
    # The own factor of a unit may depend on its state, as that of a leaky rectifier does.
    indrnn = layer_of(gatework.CELLS["indrnn"])
    with torch.no_grad():
        indrnn.named_weights(0)["W_h"].zero_()
        indrnn.named_weights(0)["u_h"].fill_(0.5)
        indrnn.named_weights(0)["b_h"].fill_(1.0)
    kept = gatework.trace(indrnn, inputs_for(indrnn, 6, 2))
    assert_close(half_lives(indrnn, kept), torch.ones(5, dtype=torch.float64))
    with pytest.raises(SizeError, match=r"^`f` is no state; the equations have the states h, c\.$"):
        half_lives(layer, trace, "l0.f")


def test_what_cannot_be_asked():
    layer, given = gatework.GRU(3, 4), torch.randn(5, 2, 3)
    with pytest.raises(SizeError, match=r"^`c` is no state; the equations have the states h\.$"):
        state_jacobian(layer, given, of="c")
    with pytest.raises(SizeError, match=r"^at is 5; the input has 5 steps, so expected -5 to 4\.$"):
        state_jacobian(layer, given, at=5)
    with pytest.raises(SizeError, match=r"^since is 4; expected a step from 0 to at=3\.$"):
        state_jacobian(layer, given, at=3, since=4)
    with pytest.raises(
        SizeError, match=r"^state_jacobian\(\) was given a Sequential; expected a gatework layer by itself"
    ):
        state_jacobian(torch.nn.Sequential(layer), given)  # pyrefly: ignore  # that is the point
    with pytest.raises(SizeError, match=r"^number is 1; the stack has the layers 0 to 0\.$"):
        state_jacobian(layer, given, number=1)
