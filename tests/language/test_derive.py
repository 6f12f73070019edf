"""The symbolic adjoint against torch's autograd, in float64: for every cell, and for cells drawn from the grammar."""

import pytest
import torch
from hypothesis import given, settings
from tests.language.cells_from_grammar import cells
from tests.language.evaluation import evaluate_step

from gatework.cells import CELLS, layer_norm, peephole, project, recurrent_dropout, zoneout
from gatework.language import Step, derive, parse, show
from gatework.language.derive import differentiate

STEPS = {name: cell.step for name, cell in CELLS.items()} | {
    "options": zoneout(layer_norm(peephole(CELLS["lstm"])), c=0.3, h=0.1).step,
    "projected gru": project(recurrent_dropout(CELLS["gru"], 0.3), 3).step,
    "corners": parse(
        "h = relu(hard_sigmoid(x) - 0.4) * sqrt(exp(h)) + where(greater(h, x), log(2 + sin(x)), h / 3)", "h"
    ),
}


def random(*shape: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def check_adjoint(step: Step, seed: int = 0) -> None:
    """Differentiate sum(state * weight) over all states of one step, both ways."""
    generator = torch.Generator().manual_seed(seed)
    size = 8
    sizes = {"hidden_size": size, "input_size": 3, "proj_size": 5} | {f"input_size_{name}": 4 for name in step.inputs}
    shape_of = {name: sizes[step.sizes_of[name]] for name in (*step.inputs, *step.states)}
    weights = {p.name: random(*p.shape(sizes), generator=generator).requires_grad_() for p in step.parameters}
    inputs = {name: random(shape_of[name], generator=generator).requires_grad_() for name in step.inputs}
    state = {name: random(shape_of[name], generator=generator).requires_grad_() for name in step.states}
    masks = {name: (random(size, generator=generator) > 0).double() for name in step.draws}

    values = evaluate_step(step, size, {**inputs, **masks}, state, weights)
    values = {name: value if value.dim() else value.expand(shape_of.get(name, size)) for name, value in values.items()}
    arriving = {name: random(shape_of[name], generator=generator) for name in step.states}
    total = sum((values[name] * arriving[name]).sum() for name in step.states)
    leaves = {**inputs, **weights, **{f"prev {name}": value for name, value in state.items()}}
    grads = torch.autograd.grad(torch.as_tensor(total), list(leaves.values()), allow_unused=True)
    expected = dict(zip(leaves, grads, strict=True))

    found = differentiate(step, graded=step.states)
    adjoint = found.step
    assert parse(show(adjoint), adjoint.states, adjoint.inputs, adjoint.outputs) == adjoint
    before = {found.last[name]: value.detach() for name, value in state.items()}
    forward = {name: value.detach() for name, value in {**inputs, **masks, **values}.items()}
    upstream = {found.grad[name]: value for name, value in arriving.items()}
    back = {found.back[name]: torch.zeros(shape_of[name], dtype=torch.float64) for name in step.states}
    detached = {name: value.detach() for name, value in weights.items()}
    # The adjoint names what it takes; anything it needs and does not find here fails the test.
    given_to_it = {name: {**forward, **before, **upstream}[name] for name in adjoint.inputs}
    ours = evaluate_step(adjoint, size, given_to_it, back, detached)

    for name, theirs in expected.items():
        mine = ours.get(found.back[name[5:]] if name.startswith("prev ") else found.gradients.get(name, ""))
        if theirs is None:
            assert mine is None or not mine.any(), name
        elif mine is None:
            assert not theirs.any(), name
        else:
            torch.testing.assert_close(mine.broadcast_to(theirs.shape), theirs, rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize("name", STEPS)
def test_adjoint_is_the_gradient(name):
    for seed in range(3):
        check_adjoint(STEPS[name], seed)


@given(cells())
@settings(max_examples=60)
def test_adjoint_of_any_cell_is_the_gradient(drawn):
    text, states = drawn
    check_adjoint(parse(text, states))


@pytest.mark.parametrize("name", STEPS)
def test_adjoint_is_the_same_kind_of_object(name):
    """It prints as equations, and the print reads back as the same Step."""
    adjoint = derive(STEPS[name])
    assert parse(show(adjoint), adjoint.states, adjoint.inputs, adjoint.outputs) == adjoint


def test_names_of_the_user_are_left_alone():
    """A cell that already uses the adjoint's names gets others, and its gradient is still right."""
    check_adjoint_text = "d_h = tanh(W @ x + R @ h)\nback_h = d_h * again\nh = back_h + grad_c * h_prev + d_W"
    step = parse(check_adjoint_text, "h")
    adjoint = derive(step)
    assert {"d_h_", "back_h_"} <= {equation.target for equation in adjoint.equations} | set(adjoint.states)
    assert len({*adjoint.inputs, *adjoint.states}) == len(adjoint.inputs) + len(adjoint.states)


def test_a_product_of_constants_that_overflows_stays_written():
    assert "1e+308 * 10" in show(derive(parse("h = 1e308 * 10 * x + h")))


def test_a_transposed_product_sends_back_what_is_not_transposed():
    step = derive(parse("h = tanh(x + R @ h - R.T @ h)", "h"))
    assert show(step).splitlines()[2:] == [
        "d_h_2 = -d_h_1",
        "d_x = d_h_1",
        "d_R = outer(d_h_1, h_prev) + outer(h_prev, d_h_2)",
        "back_h = R.T @ d_h_1 + R @ d_h_2",
    ]
    assert "d_R_ = outer(d_h_1, d_back_h) + outer(d_back_h, d_h_2)" in show(derive(step)).splitlines()
