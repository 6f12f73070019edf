"""Cells with latent variables: their equations as the papers have them, and what may not be one."""

import numpy as np
import pytest
import torch
from tests.tolerances import assert_close

import gatework
from gatework.cells import CELLS, LATENT, cell, find_cell, generating, is_latent, is_name
from gatework.cells.latent import decoded
from gatework.errors import CellError

SIZES = {"vrnn": {"z": 3, "v": 5, "e": 6, "q": 4, "u": 7, "d": 9}, "storn": {"z": 3, "r": 7}}
every = pytest.mark.parametrize("name", LATENT)


def layer_of(found, **options):
    torch.manual_seed(0)
    named = SIZES[next(name for name in LATENT if found.name.startswith(name))]
    kept = {entry.partition("=")[0] for entry in found.own_sizes}
    inputs = (4, 4) if "before" in found.inputs else 4
    sizes = {name: size for name, size in named.items() if name in kept}
    return gatework.Recurrent(found, inputs, 8, sizes=sizes, dtype=torch.float64, **options)


def given(found, steps=6, rows=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sizes = {"x": 4, "before": 4, "eps": 3}
    return tuple(
        torch.randn(steps, rows, sizes[name], dtype=torch.float64, generator=generator) for name in found.inputs
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def softplus(x):
    return np.logaddexp(0, x)


def lstm(w, signal, h, c, before=""):
    i, f, o = (sigmoid(signal(before + gate) + h @ w[f"R_{before}{gate}"].T) for gate in "ifo")
    c = f * c + i * np.tanh(signal(before + "g") + h @ w[f"R_{before}g"].T)
    return o * np.tanh(c), c


def by_hand(name, w, inputs):
    """The papers' equations in numpy, one step after the other."""
    (x, *_, eps), rows = inputs, inputs[0].shape[1]
    h = c = np.zeros((rows, 8))
    r = s = np.zeros((rows, 7))
    found = []
    for time in range(len(x)):
        if name == "vrnn":
            v = relu(x[time] @ w["W_v"].T + w["b_v"])
            e = relu(v @ w["W_e"].T + h @ w["R_e"].T + w["b_e"])
            q = relu(h @ w["R_q"].T + w["b_q"])
            mu, sd = e @ w["W_mu"].T + w["b_mu"], softplus(e @ w["W_sd"].T + w["b_sd"]) + 1e-4
            mu0, sd0 = q @ w["W_mu0"].T + w["b_mu0"], softplus(q @ w["W_sd0"].T + w["b_sd0"]) + 1e-4
            u = relu((mu + sd * eps[time]) @ w["W_u"].T + w["b_u"])
            d = relu(u @ w["U_d"].T + h @ w["R_d"].T + w["b_d"])
            h, c = lstm(w, lambda gate, v=v, u=u: v @ w[f"W_{gate}"].T + u @ w[f"U_{gate}"].T + w[f"b_{gate}"], h, c)
        else:
            r, s = lstm(w, lambda gate, t=time: x[t] @ w[f"W_{gate}"].T + w[f"b_{gate}"], r, s, "r")
            mu, sd = r @ w["W_mu"].T + w["b_mu"], abs(r @ w["W_sd"].T + w["b_sd"]) + 1e-4
            mu0, sd0, z, old = np.zeros_like(mu), np.ones_like(mu), mu + sd * eps[time], inputs[1][time]
            h, c = lstm(w, lambda gate, z=z, p=old: p @ w[f"W_{gate}"].T + z @ w[f"U_{gate}"].T + w[f"b_{gate}"], h, c)
            d = h
        found.append({"mu": mu, "sd": sd, "mu0": mu0, "sd0": sd0, "d": d, "h": h})
    return {key: np.stack([step[key] for step in found]) for key in found[0]}


@every
def test_the_equations_are_the_papers(name):
    found = LATENT[name]
    layer, inputs = layer_of(found), given(found)
    output, _, (record,) = layer.record(inputs)
    weights = {key: value.detach().numpy() for key, value in layer.named_weights(0).items()}
    expected = by_hand(name, weights, [one.numpy() for one in inputs])
    assert_close(output.detach(), torch.from_numpy(expected["h"]))
    for key, value in record.items():
        assert_close(value.detach(), torch.from_numpy(expected[key]))


@every
@pytest.mark.parametrize("memory", ["fast", "small"])
def test_they_run_on_the_kernels_with_the_gradients_of_the_reference(name, memory):
    found = LATENT[name]
    layer = layer_of(found, memory=memory)
    assert [part.account.backend for part in gatework.explain(layer, given(found)).parts] == ["cpu"]
    results = []
    for backend in ("cpu", "reference"):
        layer.backend = backend
        layer.zero_grad()
        inputs = [one.requires_grad_() for one in given(found)]
        output, state, (record,) = layer.record(tuple(inputs), lengths=[6, 3])
        (output.sum() + state[1].sum() + sum(one.square().sum() for one in record.values())).backward()
        results.append([output.detach(), *(one.grad for one in inputs), *(one.grad for one in layer.parameters())])
    found_by_kernels, expected = results
    assert_close(found_by_kernels, expected, "gradients")


@every
def test_the_gradients_are_those_of_differences(name):
    found = LATENT[name]
    layer, inputs = layer_of(found), [one.requires_grad_() for one in given(found, steps=3)]

    def delivered(*values):
        output, _, (record,) = layer.record(values)
        return output, *record.values()

    assert torch.autograd.gradcheck(delivered, inputs)


@every
def test_what_decodes_does_not_know_what_it_has_to_tell(name):
    """With the prior in place of the posterior, another x changes no prior and no d up to and at its own step."""
    prior = generating(LATENT[name])
    layer, inputs = layer_of(prior), given(prior)
    names = ("mu0", "sd0", decoded(prior))
    before = layer.record(inputs, names=names)[2][0]
    for time in range(6):
        x = inputs[0].clone()
        x[time] += 1
        after = layer.record((x, *inputs[1:]), names=names)[2][0]
        for one in names:
            assert torch.equal(after[one][: time + 1], before[one][: time + 1])


@every
def test_the_prior_in_place_of_the_posterior_is_the_same_network(name):
    """Where posterior and prior are equal, both cells compute the same."""
    found = LATENT[name]
    prior = generating(found)
    layer, sampler, inputs = layer_of(found), layer_of(prior), given(found)
    assert {"W_mu", "W_sd"}.isdisjoint(sampler.named_weights(0))
    own = layer.state_dict()
    sampler.load_state_dict({key: own[key] for key in sampler.state_dict()})
    steps, state, old = [], None, None
    for time in range(6):
        old = state
        step = tuple(one[time : time + 1] for one in inputs)
        # The noise with which the posterior draws what the prior drew.
        _, _, (record,) = layer.record(step, old)
        noise = (record["mu0"] + record["sd0"] * step[-1] - record["mu"]) / record["sd"]
        output, state = layer((*step[:-1], noise), old)
        steps.append(output)
    assert_close(sampler(inputs)[0], torch.cat(steps))


@every
def test_each_says_where_it_is_from(name):
    found = LATENT[name]
    assert str(found.year) in found.source
    assert len(found.notes) > 30
    assert all(equation.comment for equation in found.step.equations)
    assert find_cell(name) is found
    assert is_name(name)
    assert is_latent(found)
    assert name not in CELLS
    assert gatework.draw(name).svg()


BOTH = "mu = W_m @ x\nsd = abs(W_s @ x) + 1\nmu0 = 0 * eps\nsd0 = 1 + mu0\nz = mu + sd * eps\n"


def own(equations, inputs, outputs="mu sd mu0 sd0"):
    return cell(BOTH + equations, states="h", sizes="z=mu0=sd0", inputs=inputs, outputs=outputs)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: CELLS["lstm"],
            r"The cell `lstm` reads x and delivers nothing; a cell with latent variables",
        ),
        (lambda: own("h = tanh(U @ z + W @ x + R @ h)", inputs="x eps"), "`h` of the cell `cell` depends on x of the"),
        (lambda: own("h = tanh(U @ z + V @ y)", inputs="x y eps"), "reads x, y, eps; a cell with latent variables"),
        (
            lambda: own("k = V @ x\nd = k + z\nh = tanh(U @ z)", inputs="x eps", outputs="mu sd mu0 sd0 d"),
            "`d` of the cell `cell` depends on x of the same step",
        ),
    ],
)
def test_what_is_no_cell_with_latent_variables_is_refused(made, message):
    with pytest.raises(CellError, match=message):
        generating(made())


def test_a_cell_of_ones_own_may_read_the_step_before():
    assert generating(own("h = tanh(U @ z + V @ before + R @ h)", inputs="x before eps")).inputs == ("before", "eps")


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(CellError, match=r"There is no cell `vrn` with latent variables\. Did you mean `vrnn`"):
        LATENT["vrn"]
