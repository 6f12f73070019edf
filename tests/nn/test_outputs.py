"""Cells that deliver names, and names with sizes of their own: a variational network as one cell."""

import copy
from typing import Any

import pytest
import torch
from tests.tolerances import assert_close, assert_same

import gatework
from gatework import Recurrent, cell
from gatework.errors import CellError, EquationError, SizeError
from gatework.kernels import MEMORY

# Chung et al. 2015, as their code has it: everything reads the h of the previous step.
VRNN = cell(
    """
    e = relu(W_e @ x + R_e @ h + b_e)
    mu = W_mu @ e + b_mu
    sd = softplus(W_sd @ e + b_sd) + 0.0001
    z = mu + sd * eps
    q = relu(R_q @ h + b_q)
    mu0 = W_mu0 @ q + b_mu0
    sd0 = softplus(W_sd0 @ q + b_sd0) + 0.0001
    u = relu(W_u @ z + b_u)
    d = relu(U_d @ u + R_d @ h + b_d)
    i = sigmoid(W_i @ e + U_i @ u + R_i @ h + b_i)
    f = sigmoid(W_f @ e + U_f @ u + R_f @ h + b_f)
    g = tanh(W_g @ e + U_g @ u + R_g @ h + b_g)
    o = sigmoid(W_o @ e + U_o @ u + R_o @ h + b_o)
    c = f * c + i * g
    h = o * tanh(c)
    """,
    name="vrnn",
    states="h c",
    inputs="x eps",
    outputs="mu sd mu0 sd0 d",
    sizes="z=mu0=sd0 e u d q",
)
SIZES = {"z": 4, "e": 6, "u": 7, "d": 9, "q": 3}


def vrnn(**options) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(VRNN, 5, 16, sizes=SIZES, dtype=torch.float64, **options)


def drawn() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(7, 3, size, dtype=torch.float64, generator=generator) for size in (5, 4))


def results(layer: Recurrent, **options) -> list[Any]:
    x, eps = (one.requires_grad_() for one in drawn())
    output, state, (record,) = layer.record((x, eps), **options)
    layer.zero_grad()
    (output.sum() + sum(one.square().sum() for one in record.values()) + state[1].sum()).backward()
    return [output.detach(), *record.values(), x.grad, eps.grad, *(one.grad for one in layer.parameters())]


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("options", [{}, {"lengths": [7, 2, 5]}], ids=str)
def test_a_variational_network_runs_on_the_kernels(memory, options):
    layer = vrnn(memory=memory)
    assert [part.account.backend for part in gatework.explain(layer, drawn()).parts] == ["cpu"]
    found = []
    for backend in ("cpu", "reference"):
        layer.backend = backend
        found.append(results(layer, **options))
    for one, other in zip(*found, strict=True):
        assert_close(one, other)


def test_what_is_delivered_is_the_equations():
    layer, (x, eps) = vrnn(), drawn()
    w = layer.named_weights(0)
    _, _, (record,) = layer.record((x, eps))
    assert {name: tuple(one.shape[2:]) for name, one in record.items()} == {
        "mu": (4,), "sd": (4,), "mu0": (4,), "sd0": (4,), "d": (9,)
    }  # fmt: skip
    e = torch.relu(x[0] @ w["W_e"].T + w["b_e"])  # h is zero before the first step
    assert_close(record["mu"][0], e @ w["W_mu"].T + w["b_mu"])
    q = torch.relu(w["b_q"]).expand(3, 3)
    assert_close(record["mu0"][0], q @ w["W_mu0"].T + w["b_mu0"])


def test_what_nobody_asks_for_is_not_computed():
    """A delivered name costs nothing in a call that does not record it, and changes no bit of the output."""
    layer, given = vrnn(), drawn()
    output = layer(given)[0]
    assert_same(output, layer.record(given)[0])
    output.sum().backward()
    assert not layer.W_mu0_l0.grad.any()
    assert layer.W_mu_l0.grad.any()


def test_sizes_that_are_left_out_are_hidden_size():
    assert Recurrent(VRNN, 5, 8).layers[0].size("z") == 8
    assert VRNN.parameters(5, 8, own={"z": 2})["W_mu"] == (2, 8)
    layer = vrnn()
    assert "sizes={'z': 4, 'e': 6, 'u': 7, 'd': 9, 'q': 3}" in repr(layer)
    assert_same(copy.deepcopy(layer)(drawn())[0], layer(drawn())[0])


def test_a_state_may_have_a_size_of_its_own():
    step = "z = tanh(W @ x + R @ z)\nh = tanh(V @ z + U @ h)"
    layer = Recurrent(cell(step, states="h z", sizes="z"), 3, 5, sizes={"z": 2}, dtype=torch.float64)
    output, (h, z) = layer(torch.randn(4, 2, 3, dtype=torch.float64))
    assert (output.shape, h[0].shape, z[0].shape) == ((4, 2, 5), (2, 5), (2, 2))


def test_a_stream_and_a_trace_deliver_too():
    layer, given = vrnn().eval(), drawn()
    stream = layer.stream(3)
    steps = torch.stack([stream.step(tuple(one[time] for one in given)).clone() for time in range(7)])
    assert_close(steps, layer(given)[0])
    trace = gatework.trace(layer, given)
    assert_same(trace["mu0"], layer.record(given)[2][0]["mu0"])


def test_the_prior_takes_the_place_of_the_posterior():
    prior = gatework.replace(VRNN, mu="mu0", sd="sd0")
    assert "z = mu0 + sd0 * eps" in str(prior)
    assert (prior.inputs, prior.outputs) == (("x", "eps"), ("mu0", "sd0", "d"))
    assert {"W_mu", "W_sd"}.isdisjoint(prior.parameters(5, 8))
    layer = Recurrent(prior, 5, 16, sizes={"z": 4})
    assert layer.record((torch.zeros(2, 1, 5), torch.zeros(2, 1, 4)))[2][0]["mu0"].shape == (2, 1, 4)


def test_a_replacement_without_the_first_input_gives_the_next_one_its_size():
    step = "a = V @ x\nb = R @ h\nz = a + eps\nh = U @ z"
    known = cell(step, states="h", inputs="x eps", sizes="z=b", outputs="a b")
    prior = gatework.replace(known, a="b")
    assert (prior.inputs, prior.own_sizes) == (("eps",), ())
    assert prior.parameters(3, 5) == {"R": (3, 5), "U": (5, 3)}


def test_other_transformations_keep_outputs_and_sizes():
    normed = gatework.layer_norm(VRNN)
    assert (normed.outputs, normed.own_sizes) == (VRNN.outputs, VRNN.own_sizes)
    assert Recurrent(normed, 5, 8, sizes={"z": 2}).layers[0].size("mu0") == 2
    assert copy.copy(VRNN) == VRNN


def test_a_learned_vector_keeps_its_size():
    """Transformations, a lowest layer without what lies below, and layers without biases read the equations anew."""
    step = cell(
        "h = tanh(W @ x + V @ q + R @ h + U @ h_below + b)", states="h", inputs="x h_below", sizes="q", init={"q": 1.0}
    )
    assert gatework.layer_norm(step).own_sizes == gatework.zoneout(step, h=0.1).own_sizes == ("q",)
    layer = Recurrent(step, 3, 5, 2, bias=False, sizes={"q": 2}, dtype=torch.float64)
    assert [layer.named_weights(number)["V"].shape for number in range(2)] == [(5, 2), (5, 2)]
    x, w = torch.randn(1, 1, 3, dtype=torch.float64), layer.named_weights(0)
    below = torch.tanh(w["W"] @ x[0, 0] + w["V"] @ w["q"])
    w = layer.named_weights(1)
    assert_close(layer(x)[0][0, 0], torch.tanh(w["W"] @ below + w["V"] @ w["q"] + w["U"] @ below))


def test_a_projection_brings_the_input_to_a_size_of_its_own():
    step = cell("z = tanh(R @ z + x)\nh = tanh(V @ z + U @ h)", states="h z", sizes="z")
    layer = Recurrent(step, 3, 5, 2, sizes={"z": 2}, input_projection=True, dtype=torch.float64)
    assert (layer.weight_in_l0.shape, layer.weight_in_l1.shape) == ((2, 3), (2, 5))
    x, w = torch.randn(1, 1, 3, dtype=torch.float64), layer.named_weights(0)
    below = torch.tanh(w["V"] @ torch.tanh(layer.weight_in_l0 @ x[0, 0] + layer.bias_in_l0))
    above = torch.tanh(layer.weight_in_l1 @ below + layer.bias_in_l1)
    assert_close(layer(x)[0][0, 0], torch.tanh(layer.named_weights(1)["V"] @ above))


def test_reductions_and_constants_can_be_delivered():
    step = "m = mean(h)\nk = 2 * 3\nh = tanh(W @ x + R @ h)"
    layer = Recurrent(cell(step, states="h", outputs="m k"), 3, 5, dtype=torch.float64)
    x, found = torch.randn(4, 2, 3, dtype=torch.float64), []
    for backend in ("auto", "reference"):
        layer.backend = backend
        found.append(layer.record(x)[2][0])
    assert_close(found[0]["m"], found[1]["m"])
    assert torch.equal(found[0]["k"], found[1]["k"])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("h = tanh(W @ x)", {"outputs": "q"}, "The output `q` has no equation. Add a line `q = ...`."),
        ("h = tanh(W @ x)", {"sizes": "q"}, "`q` is named in sizes, and no vector of the equations is called so."),
        ("h = tanh(W @ x)", {"sizes": "x"}, "`x` is named in sizes, but its size is already known as input_size."),
        ("u = 3 * 2\nh = tanh(W @ x)", {"sizes": "u", "outputs": "u"}, "but no parameter, input or state has its size"),
        ("u = V @ x\nh = tanh(W @ u)", {"sizes": "u h=u"}, "`h` is named in sizes|`u` is named|name one thing twice"),
    ],
)
def test_what_does_not_fit_is_refused(text, options, message):
    with pytest.raises(EquationError, match=message):
        cell(text, states="h", **options)


def test_sizes_that_no_cell_names_are_refused():
    with pytest.raises(SizeError, match="sizes names `z`, which has no size of its own in the cell `lstm`; no name"):
        Recurrent("lstm", 3, 4, sizes={"z": 2})
    with pytest.raises(CellError, match="`c` cannot be replaced"):
        gatework.replace(gatework.CELLS["lstm"], c="f")
    with pytest.raises(CellError, match="it is no line"):
        gatework.replace(gatework.CELLS["lstm"], fo="f")
