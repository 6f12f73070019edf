"""Every construct that the language accepts, in everything that takes a cell: each runs, and gives the right value."""

import re
from collections.abc import Mapping

import pytest
import torch
from tests.kernels.cases import Case, memory_full_of_nan
from tests.language.evaluation import evaluate_step
from tests.language.test_derive import check_adjoint
from tests.tolerances import assert_all_near
from torch import Tensor

import gatework
from gatework.diagram import cell_scene
from gatework.kernels.door.launch import MEMORY
from gatework.kernels.planning.recipe import Recipe
from gatework.language import Step, latex, parse

# A name, the states (None for those that are read before their line) and the equations; inputs are x, and u if read.
CONSTRUCTS: dict[str, tuple[str | None, str]] = {
    "tied": (None, "h = tanh(x + R @ h - R.T @ h)"),
    "turned input": (None, "h = tanh(W.T @ x + 0.5 * h)"),
    "turned there and back": (None, "h = tanh(A @ (u * (A.T @ h)) + W @ x)"),
    "turned alone": (None, "h = tanh(W @ x + R.T @ h + V.T @ tanh(R.T @ h))"),
    "turned projection": (None, "h = P.T @ tanh(W @ x + R @ h)"),
    "turned blocks": (None, "h = tanh(block_diagonal(R, 2).T @ h + block_diagonal(W, 2).T @ x + V @ x)"),
    "blocks both ways": (None, "h = tanh(block_diagonal(R, 2) @ h + block_diagonal(R, 2).T @ tanh(h) + x)"),
    "upper blocks both ways": (None, "h = tanh(block_upper(R, 2) @ h - block_upper(R, 2).T @ h + x)"),
    "blocks to two sizes": (None, "q = u * (block_diagonal(A, 2) @ h)\nh = tanh(W @ q + block_diagonal(B, 2) @ h + x)"),
    "learned vector": (None, "h = tanh(W @ x + V @ v + h)"),
    "learned vector turned": (None, "h = tanh(W @ x + V.T @ v + V @ h)"),
    "learned vector twice": (None, "h = tanh(W @ x + V @ v + U @ v + v * h)"),
    "learned vector reduced": (None, "h = tanh(W @ x + mean(v) * h + norm(v) + rstd(w) * x)"),
    "learned vector deep": (None, "h = tanh(R @ h + W @ x + U @ (V @ v - x))"),
    "learned line": (None, "q = V @ v\nh = tanh(W @ x + q * h)"),
    "gradient without a line": ("h q", "q = V @ (W @ divides(1, x)) + 0.5 * relu(prev(q) + b)\nh = P @ q"),
    "product that starts from a later line": ("c s q", "s = W @ s\nq = x\nc = 0.5 * (V @ prev(s) + q)"),
    "learned state": ("h c", "c = v\nh = tanh(W @ x + V @ c + R @ prev(c))"),
    "number": (None, "q = 0.5\nh = tanh(W @ x + V @ q + h)"),
    "number turned": (None, "q = 0.5\nh = tanh(A.T @ q + x + A @ u + h)"),
    "number by blocks": (None, "q = 2\nh = tanh(x + block_diagonal(A, 2) @ q + block_upper(B, 2) @ q + h)"),
    "folded number": (None, "c = sin(2)\nh = tanh(W @ x + V @ c + U @ (c * 2) + h)"),
    "number reduced": (None, "q = 3\nh = tanh(W @ x + norm(q) + mean(q) * h + 0.001 * rstd(q))"),
    "number reduced, then multiplied": (None, "q = 3\nh = tanh(W @ x + V @ mean(q) + h)"),
    "constant state": ("h c", "c = sin(1)\nh = tanh(W @ x + V @ c + R @ h + mean(c))"),
    # Of a half the mean is exact: the norm is zero in every type.
    "constant state, normed": ("h c", "c = 0.5\nh = tanh(W @ x + V.T @ c + R @ h + norm(c) * c)"),
    "constant output": ("h c", "h = sin(1)\nc = tanh(W @ x + V @ h + R @ c)"),
    "input that vanishes": (None, "h = tanh(R @ h + 0 * x + b)"),
    "product that vanishes": (None, "h = tanh(W @ x + (1 - sigmoid(100)) * (V @ u) + R @ h)"),
    "gradient that vanishes": (None, "h = tanh(x + sin((R @ h) * 0) + h)"),
    "mask multiplied": (None, "m = bernoulli(0.3)\nh = tanh(W @ x + V @ m + U @ (m * 2) + h)"),
    "mask reduced": (None, "m = bernoulli(0.1)\nh = tanh(W @ x + R @ h + mean(m) + 0.001 * rstd(m + b))"),
    "names of gradients": (None, "d_x_1 = V @ h\none = tanh(x)\nh = tanh(h + U @ one + W @ x + d_x_1)"),
    "names of the adjoint": (
        "h",
        "d_h = tanh(W @ x + R @ h)\nback_h = d_h * again\nh = back_h + grad_c * h_prev + d_W",
    ),
    "names of split lines": ("h", "h_1 = W @ x + R @ h\nh_1_1 = V @ (h_1 * h_2)\nh = tanh(h_1 + U @ (h_1_1 + x_1))"),
    "names of constants": (None, "q = sin(1)\nconstant1 = 2 * x\nh = tanh(W @ constant1 + V @ q + h)"),
    "names of tensors": (None, "h = tanh(W @ x + R @ h + weight_ih * h + weight_hh * bias + b + initial_h * x)"),
    "long names": (
        None,
        "a_name_of_forty_letters_in_all_ending_so = W @ x + R @ h\n"
        "h = tanh(a_name_of_forty_letters_in_all_ending_to * a_name_of_forty_letters_in_all_ending_so)",
    ),
}


def step_of(name: str) -> Step:
    states, text = CONSTRUCTS[name]
    return parse(text, states, ("x", "u") if re.search(r"\bu\b", text) else ("x",))


STEPS = {name: step_of(name) for name in CONSTRUCTS}
EACH = pytest.mark.parametrize("name", STEPS)


@EACH
def test_the_adjoint_is_the_gradient_and_reads_back(name):
    check_adjoint(STEPS[name])


@EACH
@pytest.mark.parametrize("drawn", [False, True])
def test_every_plan_holds(name, drawn):
    recipe = Recipe(STEPS[name], drawn)
    for plan in (recipe.inference, recipe.training, recipe.backward, recipe.replay):
        assert plan.stages or plan is recipe.replay


def evaluated(case: Case) -> dict[str, Tensor]:
    """Give what a case's run gives, by the plain meaning of the equations and autograd."""
    step, sizes = case.step, case.sizes
    leaves = {name: case.leaf(one, torch.float64, True) for name, one in {**case.inputs, **case.weights}.items()}
    leaves |= {f"first {name}": case.leaf(one, torch.float64, True) for name, one in case.state.items()}
    rows = []
    for row in range(case.rows):
        state: Mapping[str, Tensor] = {name: leaves[f"first {name}"][row] for name in step.states}
        outputs = []
        for time in range(case.steps):
            given = {name: leaves[name][time, row] for name in step.inputs}
            masks = case.masks if case.drawn else {}
            given |= {
                name: masks[name][time, row].double()
                if masks
                else torch.full((sizes["hidden_size"],), rate, dtype=torch.float64)
                for name, rate in step.draws.items()
            }
            weights = {name: leaves[name] for name in case.weights}
            values = evaluate_step(step, sizes["hidden_size"], given, dict(state), weights)
            state = {name: values[name].expand(case.width(name)) for name in step.states}
            outputs.append(state[step.states[0]])
        rows.append((torch.stack(outputs), state))
    found = {"output": torch.stack([outputs for outputs, _ in rows], 1)}
    found |= {f"state {name}": torch.stack([state[name] for _, state in rows]) for name in step.states}
    ends = {name: one for name, one in found.items() if one.requires_grad}
    grads = torch.autograd.grad(
        list(ends.values()), list(leaves.values()), [case.arriving[name].double() for name in ends], allow_unused=True
    )
    for (name, leaf), grad in zip(leaves.items(), grads, strict=True):
        found[f"grad {name}"] = torch.zeros_like(leaf) if grad is None else grad
    return {name: one.detach() for name, one in found.items()}


@EACH
@pytest.mark.parametrize("size", [1, 7, 20], ids="hidden {}".format)
def test_kernels_and_reference_give_value_and_gradient(name, size):
    for drawn in (False, True) if STEPS[name].draws else (False,):
        for memory in MEMORY:
            case = Case(STEPS[name], hidden_size=size, drawn=drawn, memory=memory, other_sizes={"input_size_u": 10})
            expected = evaluated(case)
            for backend, dtype in (("cpu", torch.float64), ("cpu", torch.float32), ("reference", torch.float64)):
                with memory_full_of_nan():
                    assert_all_near(case.run(backend, dtype), expected, dtype)


@EACH
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_layers_train_and_evaluate_without_a_warning(name, bias, recwarn):
    step = STEPS[name]
    states, text = CONSTRUCTS[name]
    cell = gatework.cell(text, states=states, inputs=step.inputs)
    recwarn.clear()  # some learned vectors look mistyped, and cell() says so
    size = {"x": 6, "u": 6} | dict.fromkeys(n for n in step.inputs if step.sizes_of[n] == "hidden_size")
    given = [torch.randn(3, 2, size[name] or 8) for name in step.inputs]
    sizes = tuple(one.shape[-1] for one in given)
    options = {"bias": bias, "proj_size": 4 if "proj_size" in step.size_keys else 0}
    layer = gatework.Recurrent(cell, sizes, 8, num_layers=1, learn_initial_state=True, **options)
    for training in (True, False):
        layer.train(training)
        output, _ = layer(tuple(given))
        assert torch.isfinite(output).all()
        output.sum().backward()
    assert not recwarn
    stream = layer.stream(2)
    for time, expected in enumerate(output.detach()):
        torch.testing.assert_close(
            stream.step(tuple(one[time] for one in given) if len(given) > 1 else given[0][time]), expected
        )
    trace = gatework.trace(layer, tuple(given))
    assert torch.equal(trace.output, output.detach())


def test_a_learned_vector_named_like_a_tensor_of_the_layer_has_its_own():
    _, text = CONSTRUCTS["names of tensors"]
    layer = gatework.Recurrent(text, 8, 8, learn_initial_state=True)
    own = ["weight_ih__l0", "weight_hh__l0", "bias__l0", "initial_h__l0"]
    assert [*layer.state_dict()] == ["weight_ih_l0", "weight_hh_l0", "bias_l0", *own, "initial_h_l0"]


@EACH
def test_equations_are_printed_and_drawn(name):
    states, text = CONSTRUCTS[name]
    step = STEPS[name]
    assert latex(step).count(r"^{\top}") == text.count(".T")
    cell = gatework.cell(text, states=states, inputs=step.inputs)
    assert parse(str(cell), step.states, step.inputs) == step
    assert cell_scene(cell) is not None
