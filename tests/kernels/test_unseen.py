"""What a loss does not look at may be no number: its gradient is not taken, as autograd never visits it."""

from typing import Any

import pytest
import torch

import gatework
from gatework.cells import CELLS
from gatework.kernels.door.launch import MEMORY
from gatework.kernels.planning.recipe import Recipe
from gatework.language import parse

NAMES = ("output", "first", "second")
# For each cell the equations, its states, and where the loss looks: at the output, or at the last value of a state.
BESIDE = {
    "a state apart": ("h = tanh(W @ x + R @ h)\ns = sqrt(V @ x)", "h s", "output"),
    "carried on": ("h = tanh(W @ x + R @ h)\ns = sqrt(V @ x) + s", "h s", "output"),
    "two that read one another": ("h = tanh(W @ x + R @ h)\ns = sqrt(V @ x) + q\nq = s + q", "h s q", "output"),
    "the output itself": ("h = sqrt(W @ x + R @ h)\ns = tanh(V @ x) + s / 2", "h s", "second"),
    "the last output": ("h = tanh(W @ x + R @ h)\ns = sqrt(V @ x)", "h s", "first"),
    "normed": ("h = tanh(norm(W @ x) + R @ h)\ns = log(norm(V @ h)) + s", "h s", "output"),
    "reads the other": ("h = tanh(W @ x + R @ h) * mean(W @ x)\ns = log(V @ (h * rstd(h))) + s", "h s", "output"),
}


def gradients(name: str, backend: str, memory: str, **options: Any) -> list[torch.Tensor]:
    """Give the gradients of a layer's input and parameters, zeros where there are none."""
    text, states, looked_at = BESIDE[name]
    torch.manual_seed(0)
    cell = gatework.cell(text, states=states)
    layer = gatework.Recurrent(cell, 3, 4, backend=backend, memory=memory, dtype=torch.float64, **options)
    given = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    output, (first, second, *_) = layer(given)
    assert any(one.isnan().any() for one in (output, first, second))
    dict(zip(NAMES, (output, first, second), strict=True))[looked_at].square().sum().backward()
    return [torch.zeros_like(one) if one.grad is None else one.grad for one in (given, *layer.parameters())]


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("name", BESIDE)
def test_no_number_beside_the_loss_reaches_a_gradient(name, memory):
    found, right = (gradients(name, backend, memory) for backend in ("cpu", "reference"))
    assert all(one.isfinite().all() for one in found)
    torch.testing.assert_close(found, right)


def test_it_stays_in_its_layer_and_direction():
    for backend in ("cpu", "reference"):
        found = gradients("a state apart", backend, "fast", num_layers=2, bidirectional=True)
        assert all(one.isfinite().all() for one in found)


@pytest.mark.parametrize("name", ["lstm", "gru", "slstm", "peephole"])
def test_common_cells_have_one_adjoint(name):
    """Every state of theirs reaches the output, so nothing is compiled a second time."""
    recipe = Recipe(CELLS[name].step, False)
    for names in (("h",), CELLS[name].states):
        assert recipe.seeing(frozenset(names)) is recipe


def test_recorded_names_that_nothing_reaches_are_left_out():
    recipe = Recipe(parse("s = sqrt(V @ x)\nq = s + q\nh = tanh(W @ x + R @ h)", "h q"), False, ("s",))
    assert recipe.seeing(frozenset("h")).unseen == {"s", "q"}
    assert "sqrt" not in str(recipe.seeing(frozenset("h")).adjoint.step.equations)
    assert recipe.seeing(frozenset("hs")).unseen == {"q"}
