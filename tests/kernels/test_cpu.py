"""The CPU kernels beside the reference in float64: outputs, last states and every gradient, from memory full of NaN."""

import dataclasses
from typing import Any

import pytest
import torch
from tests.kernels.cases import STEPS, Case, memory_full_of_nan
from tests.tolerances import assert_all_near, assert_same

from gatework.errors import ConfigError
from gatework.kernels import Call, Weights, run
from gatework.kernels.door.launch import MEMORY, choose
from gatework.kernels.reference import run as reference
from gatework.language import parse

DTYPES = (torch.float32, torch.float64)
ODD = ("lstm", "gru_v3", "all options", "slstm", "structures", "projected peephole")
# (H, B, T): H about the width of a vector and beside every multiple of it, one row and many, one step and many.
SHAPES = (
    (1, 1, 1), (1, 3, 65), (1, 33, 2),
    (7, 1, 65), (7, 3, 2), (7, 33, 1),
    (63, 1, 2), (63, 3, 1), (63, 33, 65),
    (500, 1, 2), (500, 3, 1), (500, 33, 2),
)  # fmt: skip

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def check(case: Case, dtype: torch.dtype, needed: tuple[str, ...] | None = None) -> dict[str, torch.Tensor]:
    """Compare a run with the reference; give what came out."""
    expected = case.run("reference", torch.float64, needed)
    with memory_full_of_nan():
        found = case.run("cpu", dtype, needed)
    assert_all_near(found, expected, dtype)
    return found


every_memory = pytest.mark.parametrize("memory", MEMORY)


@every_dtype
@every_memory
@pytest.mark.parametrize("name", STEPS)
def test_every_cell(name, memory, dtype):
    """Plainly, and with all that can break the flow of states; masks as probabilities, and drawn."""
    check(Case(STEPS[name], memory=memory), dtype)
    broken: dict[str, Any] = {
        "lengths": [4, 0, 2, 1, 3, 4, 2],
        "restart": True,
        "learned": True,
        "reverse": True,
        "drawn": True,
    }
    check(Case(STEPS[name], steps=4, rows=7, hidden_size=20, memory=memory, **broken), dtype)


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("h = tanh(V @ mean(x) + R @ mean(h) + S @ norm(x))", "h"),  # one number for a row, where a product wants many
        ("h = tanh(block_diagonal(V, 3) @ mean(x) + block_upper(R, 3) @ mean(h))", "h"),
        ("m = mean(x)\nh = tanh(V @ m + m * h)", "h"),
        ("h = mean(R @ h + x)", "h"),  # a state that is one number
        ("c = mean(h)\nh = x + c\nd = mean(c)", "h c d"),
        ("h = tanh(x + h) * 2\nc = mean(W @ mean(U @ mean(h))) + c / 2", "h c"),
        ("h = tanh(R @ h + mean(x) * v)", "h"),  # an input whose gradient is one number
        ("c = tanh(x + mean(h))\nh = c * c", "h"),  # a state's
        ("h = tanh(x + mean(b) + h)", "h"),  # a parameter's
        ("a = mean(x)\nb = mean(x)\nh = a + b * h + norm(x)", "h"),  # the same number under several names
        ("h = mean(mean(x) + b) + mean(mean(h))", "h"),
        ("h = tanh(norm(b) * x + mean(b * h))", "h"),  # constants that are reduced
        ("h = 0 * x + 3 + h", "h"),  # an input that counts for nothing
        ("h = W @ x", "h"),
        ("h = R @ (S @ (T @ h)) + x", "h"),
        ("p = tanh(W @ x)\nq = tanh(V @ p)\nh = tanh(R @ h + U @ q)", "h"),  # products of products before the loop
        ("q = w * x\nh = tanh(R @ h + prev(q))", "h q"),  # a state that is read a step later and nowhere else
        ("p = M @ x\nq = N @ p\nh = tanh(R @ q + prev(q))", "h p q"),  # states that hang on the input alone
        ("q = mean(M @ prev(p))\np = prev(h)\nh = tanh(x + q)", "h p q"),
        ("h = maximum(x, x) + abs(x) + minimum(h, h)", "h"),
    ],
)
def test_cells_at_the_edge_of_the_grammar(text, states):
    step = parse(text, states)
    lines = tuple(line.target for line in step.equations)
    broken: dict[str, Any] = {"memory": "small", "reverse": True, "lengths": [3, 0, 5]}
    recorded: dict[str, Any] = {"record": lines}
    for options in ({}, broken, recorded):
        check(Case(step, 5, 3, 9, **options), torch.float64)


@pytest.mark.parametrize("drawn", [False, True])
def test_what_a_mask_never_lets_through(drawn):
    """With its probability in the place of the mask, a line is read no more, nor is a matrix that only it has."""
    step = parse("m = bernoulli(0)\nu = tanh(W @ x)\nh = m * u + (1 - m) * tanh(R @ h + b)", "h")
    found = check(Case(step, 5, 3, 9, drawn=drawn), torch.float64)
    assert bool(found["grad W"].any()) == drawn


@every_dtype
@pytest.mark.parametrize(("hidden_size", "rows", "steps"), SHAPES)
@pytest.mark.parametrize("name", ODD)
def test_odd_shapes(name, hidden_size, rows, steps, dtype):
    check(Case(STEPS[name], steps, rows, hidden_size), dtype)


@pytest.mark.parametrize("drawn", [False, True], ids=["probabilities", "drawn"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("learned", [False, True], ids=["zeros", "initial"])
@pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
@pytest.mark.parametrize("lengths", [None, [2, 6, 0, 6, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [5, 4, 3, 2, 1]])
def test_what_breaks_the_flow_of_states(lengths, restart, learned, reverse, drawn):
    case = Case(
        STEPS["all options"], 6, 5, 10, lengths=lengths, restart=restart, learned=learned, reverse=reverse, drawn=drawn
    )
    check(case, torch.float64)


@every_dtype
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "slstm", "depth_gated", "structures", "reductions after"])
@pytest.mark.parametrize("how", ["strided", "shifted"])
def test_where_tensors_lie_does_not_matter(name, how, dtype):
    """Tensors with gaps between their numbers, and tensors that begin where no vector would."""
    options: dict[str, Any] = {how: True}
    for lengths in (None, [3, 5, 0, 2]):
        check(Case(STEPS[name], 5, 4, 18, lengths=lengths, **options), dtype)


@pytest.mark.parametrize("name", ["lstm", "gru_v3", "lstm_layer_norm", "slstm", "mixed inputs", "constant"])
def test_any_subset_of_gradients(name):
    """Each alone, all but each, and none: what is asked for never changes what comes out."""
    case = Case(STEPS[name], 4, 3, 9, restart=True, learned=True)
    whole = check(case, torch.float64)
    for one in case.names:
        for needed in ((one,), tuple(other for other in case.names if other != one)):
            with memory_full_of_nan():
                found = case.run("cpu", torch.float64, needed)
            assert [key for key in found if key.startswith("grad ")] == [
                f"grad {key}" for key in case.names if key in needed
            ]
            assert_same(list(found.values()), [whole[key] for key in found])
    with memory_full_of_nan():
        found = case.run("cpu", torch.float64, ())
    assert_same(list(found.values()), [whole[key] for key in found])


@every_dtype
@pytest.mark.parametrize("drawn", [False, True], ids=["probabilities", "drawn"])
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "lstm_layer_norm", "all options", "reductions after"])
def test_every_line_can_be_recorded(name, drawn, dtype):
    """The values of all lines, the output among them, and gradients through them, with and without padding."""
    step = STEPS[name]
    # A mask that is not drawn is a constant, and left to the reference.
    lines = tuple(line.target for line in step.equations if drawn or line.target not in step.draws)
    for lengths in (None, [3, 0, 5]):
        case = Case(step, 5, 3, 9, record=(*lines, *step.inputs), lengths=lengths, drawn=drawn, reverse=drawn)
        check(case, dtype)
        check(case, dtype, needed=())


def test_constants_are_recorded_by_the_reference():
    case = Case(STEPS["all options"], 3, 2, 4, record=("keep_h",))
    assert_same(list(case.run("auto", torch.float64).values()), list(case.run("reference", torch.float64).values()))
    with pytest.raises(ConfigError, match="constant in a kernel"):
        case.run("cpu", torch.float64)


@pytest.mark.parametrize("end", ["output", "state h", "state c"])
def test_gradients_from_one_end_alone(end):
    """Where no gradient arrives at the output, or at a last state, it counts as zero."""
    case = Case(STEPS["lstm"], 4, 3, 9)
    found = []
    for backend in ("reference", "cpu"):
        leaves = {
            name: one.double().requires_grad_() for name, one in (case.inputs | case.weights | case.state).items()
        }
        state = tuple(leaves[name] for name in case.step.states)
        weights = Weights.of({name: leaves[name] for name in case.weights})
        with memory_full_of_nan():
            result = run(case.step, weights, (leaves["x"],), state, backend=backend)
            ends = {"output": result.output, "state h": result.state[0], "state c": result.state[1]}
            grads = torch.autograd.grad(
                ends[end], list(leaves.values()), case.arriving[end].double(), allow_unused=True
            )
        grads = [
            torch.zeros_like(leaf) if one is None else one for leaf, one in zip(leaves.values(), grads, strict=True)
        ]
        found.append(dict(zip(leaves, grads, strict=True)))
    assert_all_near(found[1], found[0], torch.float64)


@every_memory
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "lstm_layer_norm", "all options"])
def test_packed_rows_are_padded_rows(name, memory):
    """Bit by bit, whatever breaks the flow of states, and on the reference too."""
    broken: dict[str, Any] = {"restart": True, "learned": True, "reverse": True, "record": (STEPS[name].states[0],)}
    for more in ({}, broken):
        case = Case(STEPS[name], 6, 4, 9, lengths=[6, 4, 3, 1], drawn=True, memory=memory, **more)
        packed = dataclasses.replace(case, packed=True)
        for backend in ("cpu", "reference"):
            expected = case.run(backend, torch.float64)
            with memory_full_of_nan():
                found = packed.run(backend, torch.float64)
            assert_same(list(found.values()), list(expected.values()))
            for key, one in packed.run(backend, torch.float64, ()).items():
                assert_same([one], [expected[key]])


def test_padding_is_never_read():
    """What inputs hold beyond a row's end may be anything, and its gradient is zero."""
    case = Case(STEPS["all options"], 6, 4, 9, lengths=[6, 0, 3, 1], drawn=True)
    expected = case.run("cpu", torch.float64)
    ended = (torch.arange(6)[:, None] >= torch.tensor(case.lengths))[..., None]
    for what in (0.0, float("nan"), float("inf")):
        case.inputs["x"] = case.inputs["x"].masked_fill(ended, what)
        found = case.run("cpu", torch.float64)
        assert_same(list(found.values()), list(expected.values()))
    assert not expected["grad x"].masked_select(ended).any()


def test_below_the_blocks_nothing_is_read():
    """A block-upper matrix may hold anything where it counts as zero."""
    case = Case(STEPS["heads"], 5, 3, 12)
    expected = case.run("cpu", torch.float64)
    below = torch.block_diag(*[torch.ones(4, 4)] * 3).cumsum(0).gt(0) & torch.block_diag(*[torch.ones(4, 4)] * 3).eq(0)
    case.weights["S"] = case.weights["S"].masked_fill(below, float("nan"))
    found = case.run("cpu", torch.float64)
    assert_same(list(found.values()), list(expected.values()))
    assert not found["grad S"][below].any()


@every_memory
@pytest.mark.parametrize("name", ["lstm", "slstm", "reductions after"])
def test_the_graph_can_be_used_again(name, memory):
    """Two backward passes over one forward pass, another run in between: the same gradients, bit by bit."""
    case, other = Case(STEPS[name], 5, 3, 9), Case(STEPS[name], 5, 3, 9, seed=1)
    leaves = {key: one.double().requires_grad_() for key, one in (case.inputs | case.weights).items()}
    state = tuple(case.state[key].double() for key in case.step.states)
    weights = {key: leaves[key] for key in case.weights}
    result = run(case.step, weights, tuple(leaves[key] for key in case.inputs), state, memory=memory)
    before = result.output.detach().clone()
    other.run("cpu", torch.float64)
    first = torch.autograd.grad(result.output.square().sum(), list(leaves.values()), retain_graph=True)
    held = tuple(one.clone() for one in first)
    other.run("cpu", torch.float64)
    second = torch.autograd.grad(result.output.square().sum(), list(leaves.values()))
    assert_same(first, held)
    assert_same(second, held)
    assert_same(result.output, before)


def test_weights_may_change_between_calls():
    """Nothing of a call is remembered that the next could take for its own: weights changed in place count."""
    case = Case(STEPS["lstm"], 4, 3, 9)
    weights = {name: one.double() for name, one in case.weights.items()}
    state = tuple(one.double() for one in case.state.values())
    given = (case.inputs["x"].double(),)
    for change in (1.0, 0.5, -1.5):
        for one in weights.values():
            one *= change
        expected = run(case.step, weights, given, state, backend="reference")
        assert_all_near({"h": run(case.step, weights, given, state).output}, {"h": expected.output}, torch.float64)


def test_one_tensor_may_be_two_parameters():
    """Tied weights: the gradients of both uses add up."""
    step = parse("h = tanh(W @ x + R @ h + S @ (h * h) + b + p * x + q * h)")
    found = []
    for backend in ("reference", "cpu"):
        case = Case(step, 4, 3, 9)
        square, vector = (case.weights[name].double().requires_grad_() for name in ("R", "b"))
        weights = {**dict.fromkeys(("W", "R", "S"), square), **dict.fromkeys(("b", "p", "q"), vector)}
        result = run(
            step, weights, (case.state["h"].double().expand(4, 3, 9),), (case.state["h"].double(),), backend=backend
        )
        grads = torch.autograd.grad(result.output, (square, vector), case.arriving["output"].double())
        found.append({"output": result.output, "matrix": grads[0], "vector": grads[1]})
    assert_all_near(found[1], found[0], torch.float64)


def test_a_stack_may_hold_more_than_a_step_reads():
    """A tensor that holds parameters of which the step knows only some: the others have no gradient."""
    case = Case(STEPS["rnn"], 4, 3, 9)
    stack = torch.cat([case.weights["R_h"], case.weights["R_h"] * 2, case.weights["R_h"] * 3]).double().requires_grad_()
    found = []
    for backend in ("reference", "cpu"):
        others = [((name,), one.double()) for name, one in case.weights.items() if name != "R_h"]
        weights = Weights([(("unknown", "R_h", "other"), stack), *others])
        result = run(case.step, weights, (case.inputs["x"].double(),), (case.state["h"].double(),), backend=backend)
        (grad,) = torch.autograd.grad(result.output, stack, case.arriving["output"].double())
        found.append({"output": result.output, "stack": grad})
    assert_all_near(found[1], found[0], torch.float64)
    assert not found[1]["stack"][:9].any()


@pytest.mark.parametrize("name", ["projected gru", "projected peephole", "gru"])
def test_layers_of_other_sizes_are_told_apart(name):
    """One cell in layers that differ in a single size, in turn."""
    for hidden_size, input_size, proj_size in ((8, 6, 5), (24, 6, 5), (8, 7, 5), (8, 6, 4), (8, 6, 5)):
        sizes = {"input_size": input_size, "proj_size": proj_size}
        check(Case(STEPS[name], 3, 2, hidden_size, other_sizes=sizes), torch.float64)


def test_inputs_are_left_alone():
    case = Case(STEPS["all options"], 4, 3, 9, lengths=[4, 1, 2], restart=True, learned=True)
    given = case.inputs | case.weights | {f"first {name}": one for name, one in case.state.items()}
    before = {name: one.clone() for name, one in given.items()}
    case.run("cpu", torch.float32)
    assert_same(list(given.values()), list(before.values()))


@pytest.mark.parametrize(
    ("change", "chosen"),
    [
        ({}, "cpu"),
        ({"steps": 0}, "reference"),
        ({"rows": 0}, "reference"),
    ],
)
def test_empty_batches_are_left_to_the_reference(change, chosen):
    case = Case(STEPS["lstm"], 4, 3, 9)
    steps, rows = change.get("steps", 4), change.get("rows", 3)
    inputs = tuple(one[:steps, :rows] for one in case.inputs.values())
    state = tuple(one[:rows] for one in case.state.values())
    assert choose(Call(case.step, Weights.of(case.weights), inputs, state))[0].name == chosen
    result = run(case.step, case.weights, inputs, state)
    assert result.output.shape == (steps, rows, 9)
    if chosen == "reference":
        assert_same(result.state, state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_types_go_to_the_reference(dtype):
    case = Case(STEPS["lstm"], 4, 3, 9)
    inputs, state = (case.inputs["x"].to(dtype),), tuple(one.to(dtype) for one in case.state.values())
    weights = {name: one.to(dtype) for name, one in case.weights.items()}
    call = Call(case.step, Weights.of(weights), inputs, state)
    assert choose(call)[0].name == "reference"
    assert_same(run(case.step, weights, inputs, state).output, reference.run(call).output)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_kernels_take_denormal_numbers_for_zero(dtype):
    """Those that come in and those that come out; the reference keeps them, and so does torch after a kernel."""
    least = torch.finfo(dtype).tiny
    given = (torch.tensor([least / 4, least, 4 * least], dtype=dtype).view(3, 1, 1),)
    state = (torch.zeros(1, 1, dtype=dtype),)

    def result(text: str, backend: str) -> list[float]:
        return run(parse(text, "h"), {}, given, state, backend=backend).output.flatten().tolist()

    assert result("h = 0.5 * x", "reference") == [least / 8, least / 2, 2 * least]
    assert result("h = 0.5 * x", "cpu") == [0.0, 0.0, 2 * least]
    assert result("h = 16 * x", "reference") == [4 * least, 16 * least, 64 * least]
    assert result("h = 16 * x", "cpu") == [0.0, 16 * least, 64 * least]
    assert torch.tensor([least], dtype=dtype).mul(0.5).item() == least / 2
