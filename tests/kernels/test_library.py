"""The backend that runs torch's own operators: which steps it recognises, and that it computes what they say."""

import gc
import random
import weakref
from collections import Counter
from typing import Any

import pytest
import torch
from tests.kernels.cases import Case
from tests.tolerances import assert_all_near, assert_close, assert_same

import gatework
from gatework.cells import CELLS, layer_norm, peephole, project, zoneout
from gatework.errors import ConfigError, EquationError
from gatework.kernels import Weights, run
from gatework.kernels.call import Call
from gatework.kernels.door.backends import BACKENDS
from gatework.kernels.library import run as running
from gatework.kernels.library.backend import Library
from gatework.kernels.library.operators import CALLS, OPERATORS
from gatework.kernels.library.recognise import NOT_ONE, Match, recognised
from gatework.language import Step, parse
from gatework.language.check import check
from gatework.language.nodes import Apply, Equation, Name, Node, Product, children, rebuild

DTYPES = [torch.float32, torch.float64]

# Users' own spellings -> the operator. Nothing in them but the structure is torch's.
SPELLINGS: dict[str, tuple[str, Step]] = {
    "rnn, other letters": ("RNN_TANH", parse("s = tanh(A @ s + B @ x + e)")),
    "rnn, no bias": ("RNN_TANH", parse("h = tanh(W @ x + R @ h)")),
    "rnn, two biases": ("RNN_TANH", parse("h = tanh(b + W @ x + d + R @ h)")),
    "rnn, three biases": ("RNN_TANH", parse("a = W @ x + b\ne = R @ h + (d + g)\nh = tanh(a + e)")),
    "rnn, neutral terms": ("RNN_TANH", parse("h = 1 * tanh(W @ x - (0 - R @ h) - -b) / 1")),
    "rnn, one matrix for both": ("RNN_TANH", parse("h = tanh(W @ x + W @ h + b)")),
    "relu, other letters": ("RNN_RELU", parse("u = b + R @ q + W @ x\nq = relu(u)")),
    "gru, other order": (
        "GRU",
        parse(
            """
            n_in = k + K @ x
            r = sigmoid(A @ x + a + B @ s)
            n = tanh((e + M @ s) * r + n_in)
            z = sigmoid(c + C @ x + D @ s)
            s = z * s + n * (1 - z)
            """
        ),
    ),
    "gru, as a difference": (
        "GRU",
        parse(
            """
            z = sigmoid(A @ x + B @ h)
            r = sigmoid(C @ x + D @ h + e + k)
            n = tanh(r * (E @ h) + F @ x + q + r * s)
            h = n + z * (h - n)
            """
        ),
    ),
    "gru, no biases": (
        "GRU",
        parse(
            """
            r = sigmoid(W_r @ x + R_r @ h)
            z = sigmoid(W_z @ x + R_z @ h)
            h = (1 - z) * tanh(W_n @ x + r * (R_n @ h)) + z * h
            """
        ),
    ),
    "lstm, other order": (
        "LSTM",
        parse(
            """
            out = sigmoid(O @ x + o + P @ y)
            new = tanh(G @ x + g + H @ y)
            keep = sigmoid(f + F @ x + e + E @ y)
            put = sigmoid(J @ y + I @ x)
            m = new * put + keep * m
            y = tanh(m) * out
            """,
            states="y m",
        ),
    ),
    "lstm, one gate for two": (
        "LSTM",
        parse(
            """
            f = sigmoid(W @ x + R @ h + b)
            c = f * c + f * tanh(V @ x + S @ h)
            h = sigmoid(W @ x + R @ h + b) * tanh(c)
            """,
            states="h c",
        ),
    ),
}
TORCHS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN_TANH", "rnn_relu": "RNN_RELU"}
SPELLINGS |= {name: (operator, CELLS[name].step) for name, operator in TORCHS.items()}
STEPS = {name: step for name, (_, step) in SPELLINGS.items()}

LSTM = """
    i = sigmoid(W_i @ x + R_i @ h + b_i)
    f = sigmoid(W_f @ x + R_f @ h + b_f)
    g = tanh(W_g @ x + R_g @ h + b_g)
    o = sigmoid(W_o @ x + R_o @ h + b_o)
    c = f * c + i * g
    h = o * tanh(c)
"""
GRU = CELLS["gru"].equations


def lstm(old: str, new: str) -> Step:
    assert old in LSTM
    return parse(LSTM.replace(old, new), states="h c")


def gru(old: str, new: str) -> Step:
    assert old in GRU
    return parse(GRU.replace(old, new), states="h")


GAIN = "is a learned vector that is not only added, and torch's operators add theirs"
# One thing changed, and the operator would compute something else.
NEAR_MISSES = {
    "a sign": (lstm("W_f @ x + R_f", "W_f @ x - R_f"), NOT_ONE),
    "another sign": (lstm("c = f * c +", "c = f * c -"), NOT_ONE),
    "a bias taken away": (parse("h = tanh(W @ x + R @ h - b)"), NOT_ONE),
    "a bias taken twice": (parse("h = tanh(W @ x + R @ h + b + b)"), NOT_ONE),
    "a constant": (parse("h = tanh(W @ x + R @ h + 1)"), NOT_ONE),
    "minus the whole": (parse("h = -tanh(W @ x + R @ h + b)"), NOT_ONE),
    "coupled gates": (lstm("c = f * c + i * g", "c = f * c + (1 - f) * i * g"), NOT_ONE),
    "this step's cell": (lstm("h = o * tanh(c)", "h = o * tanh(prev(c))"), NOT_ONE),
    "the cell as the output": (parse(LSTM, states="c h"), NOT_ONE),
    "no tanh": (lstm("o * tanh(c)", "o * c"), NOT_ONE),
    "another function": (lstm("g = tanh", "g = sigmoid"), NOT_ONE),
    "the update gate turned": (gru("(1 - z) * n + z * h", "(1 - z) * h + z * n"), NOT_ONE),
    "reset before the product": (gru("r * (R_n @ h + c_n)", "R_n @ (r * h)"), NOT_ONE),
    "reset of the input": (gru("W_n @ x + b_n + r * (R_n", "r * (W_n @ x + b_n + R_n"), NOT_ONE),
    "two gates for one": (gru("(1 - z) * n", "(1 - r) * n"), NOT_ONE),
    "two products with the input": (parse("h = tanh(W @ x + V @ x + R @ h)"), NOT_ONE),
    "no input": (parse("h = tanh(R @ h + b)", inputs=()), NOT_ONE),
    "an elementwise input": (parse("h = tanh(w * x + R @ h)"), f"`w` {GAIN}"),
    "doubled at every line": (
        parse("a = W @ x + R @ h\n" + "\n".join(f"a{n} = a{n - 1 or ''} * a{n - 1 or ''}" for n in range(1, 40))
              + "\nh = tanh(a39)"),
        NOT_ONE,
    ),
    "many terms": (
        parse("a = W @ x + R @ h + b\n" + "h = tanh(" + " * ".join(["(a + exp(a) + sin(a))"] * 9) + ")"),
        NOT_ONE,
    ),
    "peepholes": (peephole(CELLS["lstm"]).step, f"`p_i` {GAIN}"),
    "layer norm": (
        layer_norm(CELLS["lstm"]).step,
        "the step has a normalisation or a mean over units, and torch's operators have none",
    ),
    "projection": (project(CELLS["lstm"], 3).step, "`P` projects the output, which is left to the reference"),
    "blocks": (
        parse("h = tanh(W @ x + block_diagonal(R, 2) @ h)"),
        "`R` is a matrix of blocks, and those of torch's operators are dense",
    ),
    "two inputs": (
        parse("h = tanh(W @ x + V @ y + R @ h)", inputs="x y"),
        "the step has 2 inputs (x, y), and torch's operators take one",
    ),
}  # fmt: skip

RECOGNISED = TORCHS | {"irnn": "RNN_RELU", "np": "LSTM"}


def matched(step: Step, drawn: bool = False) -> Match:
    match = recognised(step, drawn)
    assert isinstance(match, Match), match
    return match


def call(step: Step, steps: int = 3, rows: int = 2, size: int = 4, **more: Any) -> Call:
    """Give a call of a step, of its sizes all the same, so that any step can have it."""
    weights = {one.name: torch.randn(one.shape(dict.fromkeys(step.sizes_of.values(), size))) for one in step.parameters}
    return Call(
        step,
        Weights.of(weights),
        tuple(torch.randn(steps, rows, size) for _ in step.inputs),
        tuple(torch.zeros(rows, size) for _ in step.states),
        **more,
    )


def asked(one: Call, backend: str) -> Any:
    """Run a call by the front door."""
    more = {name: getattr(one, name) for name in ("lengths", "restart", "initial", "reverse", "draws", "record")}
    return run(one.step, one.weights, one.inputs, one.state, **more, backend=backend)


@pytest.fixture
def called(monkeypatch) -> list[str]:
    """The names of the operators that were called, in order."""
    names: list[str] = []

    def spy(name, function):
        def remembering(*given):
            names.append(name)
            return function(*given)

        return remembering

    for name, function in list(CALLS.items()):
        monkeypatch.setitem(CALLS, name, spy(name, function))
    return names


# --- recognition


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_step_is_recognised_by_its_structure(name, called):
    operator, step = SPELLINGS[name]
    assert matched(step).operator.name == operator
    asked(call(step), "library")
    assert called == [operator]


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_refused_and_no_operator_called(name, called):
    step, reason = NEAR_MISSES[name]
    assert recognised(step, drawn=False) == reason
    case = call(step)
    if case.inputs:
        with pytest.raises(ConfigError) as raised:
            asked(case, "library")
        assert str(raised.value).startswith(f"backend='library' cannot run this: {reason}.")
    assert called == []


def test_which_cells_are_torchs():
    found = {name: recognised(cell.step, drawn=False) for name, cell in CELLS.items()}
    matches = {name: one.operator.name for name, one in found.items() if not isinstance(one, str)}
    assert matches == RECOGNISED
    assert all(one for name, one in found.items() if name not in matches), "the others have a reason"


def test_parameters_go_where_torch_wants_them():
    match = matched(STEPS["gru, as a difference"])
    assert (match.weight_ih, match.weight_hh) == (("C", "A", "F"), ("D", "B", "E"))
    assert (match.bias_ih, match.bias_hh) == ((("e", "k"), (), ("q",)), ((), (), ("s",)))


def test_a_mask_that_is_drawn_is_refused_and_one_that_never_drops_is_not():
    step = parse("m = bernoulli(0)\nn = tanh(W @ x + R @ h + b)\nh = m * h + (1 - m) * n")
    assert recognised(step, drawn=True) == "masks are drawn at every step (m), and torch's operators draw none"
    assert matched(step).operator.name == "RNN_TANH"
    assert recognised(zoneout(CELLS["gru"], h=0.1).step, drawn=False) == NOT_ONE


# --- numbers

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "reverse": {"reverse": True},
    "lengths": {"lengths": [5, 0, 2, 3]},
    "lengths, reverse": {"lengths": [1, 5, 0, 3], "reverse": True, "record": ("h", "x")},
    "packed": {"lengths": [4, 3, 3, 0], "packed": True},
    "packed, reverse": {"lengths": [5, 4, 2, 2], "packed": True, "reverse": True},
    "no steps": {"lengths": [0, 0, 0, 0]},
    "not contiguous": {"strided": True, "record": ("h", "x")},
}


FULLY = ("lstm", "gru, as a difference", "rnn, two biases", "relu, other letters")  # the others one way


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name in STEPS for way in (WAYS if name in FULLY else ["lengths, reverse"])]
)
def test_numbers_and_gradients(name, way, dtype):
    step = STEPS[name]
    names = {"h": step.states[0], "x": "x"}
    options = WAYS[way] | {"record": tuple(names[one] for one in WAYS[way].get("record", ()))}
    same: dict[str, Any] = {"other_sizes": {"input_size": 7}, "hidden_size": 7} if "one matrix" in name else {}
    case = Case(step, rows=4, **options, **same)
    assert_all_near(case.run("library", dtype), case.run("reference", torch.float64), dtype, "operator")


def test_only_what_is_asked_for_has_a_gradient():
    case = Case(STEPS["lstm"], rows=4)
    for needed in (("x",), ("W_f", "first c"), ("b_o",)):
        found, expected = (case.run(backend, torch.float64, needed) for backend in ("library", "reference"))
        assert_all_near(found, expected, torch.float64, "operator")


def mutated(node: Node, step: Step, rng: random.Random) -> Node:
    """Rewrite an expression at random, here and there so that it means the same, here and there so that it does not."""
    drawn = rng.random()
    if isinstance(node, Apply) and node.function in SWAPS:
        function = rng.choice(SWAPS[node.function]) if drawn < 0.08 else node.function
        below = node.arguments[::-1] if node.function in ("add", "mul") and drawn < 0.5 else node.arguments
        node = Apply(function, below)
    elif isinstance(node, Name) and drawn < 0.06:
        names = [line.target for line in step.equations] + [one.name for one in step.parameters if one.columns is None]
        return Name(rng.choice(names), rng.random() < 0.3)
    elif isinstance(node, Product) and drawn < 0.06:
        node = Product(rng.choice([one.name for one in step.parameters if one.columns]), node.operand)
    if drawn > 0.985:
        return Apply("neg", (Apply("neg", (node,)),))
    return rebuild(node, tuple(mutated(child, step, rng) for child in children(node)))


SWAPS = {
    "add": ("sub", "mul"),
    "sub": ("add",),
    "mul": ("add", "mul"),
    "sigmoid": ("tanh", "relu"),
    "tanh": ("sigmoid", "relu"),
    "relu": ("tanh",),
}


def test_whatever_is_recognised_is_computed_right():
    rng, counts = random.Random(0), Counter()
    for number in range(120):
        operator = list(OPERATORS.values())[number % 4]
        step = parse(operator.equations, states=operator.states)
        lines = tuple(Equation(line.target, mutated(line.value, step, rng)) for line in step.equations)
        try:
            other = check(lines, step.states)
        except EquationError:
            continue
        is_one = isinstance(recognised(other, drawn=False), Match)
        counts[is_one] += 1
        if is_one:
            case = Case(other, steps=3, rows=2, hidden_size=4, other_sizes={"input_size": 4}, seed=number)
            assert_all_near(
                case.run("library", torch.float64), case.run("reference", torch.float64), torch.float64, "operator"
            )
    assert min(counts[True], counts[False]) > 30, "both happen, or nothing was tried"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lower_types(dtype):
    layer = gatework.LSTM(3, 4, backend="library").to(dtype)
    output, _ = layer(torch.randn(5, 2, 3).to(dtype))
    layer.backend = "reference"
    assert output.dtype == dtype


LAYERS: dict[str, tuple[Any, Any, str, dict[str, Any]]] = {
    "LSTM": (gatework.LSTM, torch.nn.LSTM, "LSTM", {}),
    "GRU": (gatework.GRU, torch.nn.GRU, "GRU", {}),
    "RNN": (gatework.RNN, torch.nn.RNN, "RNN_TANH", {}),
    "RNN, relu": (gatework.RNN, torch.nn.RNN, "RNN_RELU", {"nonlinearity": "relu"}),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_torchs_own(name, bias, called):
    ours, theirs, operator, options = LAYERS[name]
    options |= {"num_layers": 2, "bidirectional": True, "bias": bias, "dtype": torch.float64}
    layer, other = ours(3, 5, **options, backend="library"), theirs(3, 5, **options)
    layer.load_state_dict(other.state_dict())
    input = torch.randn(6, 4, 3, dtype=torch.float64)
    packed = torch.nn.utils.rnn.pack_padded_sequence(input, torch.tensor([2, 6, 6, 1]), enforce_sorted=False)
    for given in (input, packed):
        results = []
        for one in (layer, other):
            one.zero_grad()
            output, final = one(given)
            data = output if given is input else output.data
            states = final if isinstance(final, tuple) else (final,)
            sum((state.square().sum() for state in states), data.square().sum()).backward()
            results.append([data.detach(), *(state.detach() for state in states), *(p.grad for p in one.parameters())])
        assert_close(results[0], results[1], "gradients")
    assert called == [operator] * 8


def test_a_learned_initial_state_is_a_state_like_any_other(called):
    layer = gatework.Recurrent("gru", 3, 4, learn_initial_state=True, backend="library")
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert called == ["GRU"]
    assert layer.initial_h_l0.grad.abs().sum() > 0


def test_padding_holds_what_it_likes():
    layer = gatework.LSTM(3, 4, backend="library")
    input = torch.randn(5, 2, 3)
    clean = layer(input, lengths=[5, 2])[0]
    input[2:, 1] = torch.nan
    input.requires_grad_()
    output = layer(input, lengths=[5, 2])[0]
    output.sum().backward()
    assert_same(output, clean)
    assert not output[2:, 1].any()
    assert input.grad is not None
    assert input.grad.isfinite().all()


# --- derivatives


@pytest.mark.parametrize("name", ["lstm", "gru, as a difference", "rnn", "relu, other letters"])
@pytest.mark.parametrize("lengths", [None, [2, 0]])
def test_gradients_of_gradients(name, lengths):
    known = None if lengths is None else torch.tensor(lengths)
    one = call(STEPS[name], 2, 2, 2, lengths=known, reverse=lengths is not None)
    names = one.weights.names()

    def results(*tensors):
        weights = Weights.of(dict(zip(names, tensors, strict=False)))
        given = tensors[len(names) :]
        found = run(
            one.step, weights, given[:1], given[1:], lengths=one.lengths, reverse=one.reverse, backend="library"
        )
        return found.output, *found.state

    tensors = [*(one.weights[name] for name in names), *one.inputs, *(torch.rand_like(state) for state in one.state)]
    tensors = [tensor.double().requires_grad_() for tensor in tensors]
    assert torch.autograd.gradcheck(results, tensors)
    assert torch.autograd.gradgradcheck(results, tensors)


def test_batches_of_gradients():
    layer = gatework.LSTM(3, 4, dtype=torch.float64, backend="library")
    input = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    arriving = torch.randn(3, 5, 2, 4, dtype=torch.float64)
    output = layer(input)[0]
    (found,) = torch.autograd.grad(output, input, arriving, is_grads_batched=True, retain_graph=True)
    expected = [torch.autograd.grad(output, input, one, retain_graph=True)[0] for one in arriving]
    assert_close(found, torch.stack(expected), "gradients")


def test_the_graph_inside_lives_as_long_as_the_one_outside():
    layer = gatework.GRU(3, 4, backend="library")
    output = layer(torch.randn(5, 2, 3))[0]
    inside = weakref.ref(output.grad_fn.inside[1][0])
    first = torch.autograd.grad(output.sum(), layer.weight_hh_l0, retain_graph=True)
    assert_same(first, torch.autograd.grad(output.sum(), layer.weight_hh_l0))
    gc.collect()
    assert inside() is None
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(output.sum(), layer.weight_hh_l0)


def test_what_was_changed_in_place_is_refused():
    layer = gatework.RNN(3, 4, backend="library")
    output = layer(torch.randn(5, 2, 3))[0]
    with torch.no_grad():
        layer.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_lengths_may_be_changed_before_gradients_of_gradients():
    one = call(STEPS["gru"], 3, 2, 2)
    lengths, results = torch.tensor([3, 1]), []
    for changed in (False, True):
        input, given = one.inputs[0].clone().requires_grad_(), lengths.clone()
        output = run(one.step, one.weights, (input,), one.state, lengths=given, backend="library").output
        if changed:
            given.fill_(0)
        (first,) = torch.autograd.grad(output.square().sum(), input, create_graph=True)
        results.append([first, *torch.autograd.grad(first.square().sum(), input)])
    assert_close(results[0], results[1], "gradients")


def test_checkpointed():
    layer = gatework.LSTM(3, 4, backend="library")
    input = torch.randn(5, 2, 3, requires_grad=True)
    plain = torch.autograd.grad(layer(input)[0].sum(), [input, *layer.parameters()])
    output = torch.utils.checkpoint.checkpoint(lambda one: layer(one)[0], input, use_reentrant=False)
    assert_close(torch.autograd.grad(output.sum(), [input, *layer.parameters()]), plain, "gradients")


def test_transformations_of_torch_func_go_to_the_reference(called):
    layer = gatework.LSTM(3, 4)
    weights = {name: one.detach() for name, one in layer.named_parameters()}

    def loss(weights, input):
        return torch.func.functional_call(layer, weights, (input,))[0].sum()

    for_auto = torch.func.grad(loss)(weights, torch.randn(5, 2, 3))
    assert set(for_auto) == set(weights)
    layer.backend = "library"
    with pytest.raises(ConfigError, match=r"a transformation of torch.func \(vmap, jvp, ...\) is at work"):
        torch.func.grad(loss)(weights, torch.randn(5, 2, 3))
    assert called == []


# --- what else is refused

RESTART = torch.tensor([[False, True]] * 3)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "restart": (
        {"restart": RESTART},
        "rows start anew within a sequence, and torch's operators start once: give each a row of its own",
    ),
    "inner names": (
        {"record": ("h", "i", "c")},
        "what is recorded (i, c) stays inside of torch's operators, which give h alone: record less",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_operator_does_not_do(name):
    more, reason = REFUSED[name]
    assert Library().refuses(call(STEPS["lstm"], **more)) == reason


def test_tensors_that_an_operator_does_not_take():
    library, step = Library(), STEPS["rnn"]
    one = call(step)
    assert library.refuses(one) is None
    weights = Weights.of({"W_h": torch.zeros(4, 5), "R_h": one.weights["R_h"], "b_h": one.weights["b_h"]})
    double = Weights.of({name: one.weights[name].double() for name in one.weights.names()})
    whole = Weights.of({name: one.weights[name].long() for name in one.weights.names()})
    told = {
        "`W_h` has the shape (4, 5), and input and state ask for (4, 4)": Call(step, weights, one.inputs, one.state),
        "input, state and weights are of float32 on cpu and float64 on cpu: convert layer and input": Call(
            step, double, one.inputs, one.state
        ),
        "the type is int64, and torch's operators take floating types": Call(
            step, whole, (one.inputs[0].long(),), (one.state[0].long(),)
        ),
        "the input is empty: there is nothing to compute": call(step, steps=0),
    }
    assert {reason: library.refuses(given) for reason, given in told.items()} == {reason: reason for reason in told}


def test_what_is_at_work():
    library, one = Library(), call(STEPS["rnn"])
    with torch.autocast("cpu", torch.bfloat16):
        assert library.refuses(one) == (
            "autocast is on, and lowers the type: leave torch.autocast, or convert layer and input with .to()"
        )
    with torch.autograd.forward_ad.dual_level():
        assert "gradients are taken forward (forward_ad)" in str(library.refuses(one))


# --- what auto takes


def test_auto_takes_it_on_every_device_but_the_cpu(called):
    """Meta stands for all of them: there torch's operators give shapes alone."""
    on_meta = gatework.GRU(3, 4, bidirectional=True, device="meta")
    output, final = on_meta(torch.zeros(5, 2, 3, device="meta"))
    assert called == ["GRU", "GRU"]
    assert (output.shape, final.shape, output.device.type) == ((5, 2, 8), (2, 2, 4), "meta")
    output.sum().backward()
    assert on_meta.weight_hh_l0.grad.shape == (12, 4)
    assert gatework.explain(on_meta, torch.zeros(5, 2, 3, device="meta")).parts[0].account.backend == "library"


@pytest.mark.parametrize("backend", ["library", "reference"])
def test_lengths_stay_on_the_cpu_whatever_the_default_device_is(backend):
    sizes = torch.tensor([2, 2, 1])
    with torch.device("meta"):
        layer = gatework.GRU(3, 4, bidirectional=True, backend=backend)
        input = torch.zeros(5, 2, 3)
        packed = torch.nn.utils.rnn.PackedSequence(torch.zeros(5, 3), sizes)
        for lengths in ([5, 2], [3, 3]):
            assert layer(input, lengths=lengths)[0].shape == (5, 2, 8)
        assert layer(packed)[0].data.shape == (5, 8)


def test_auto_leaves_the_cpu_to_its_kernels_and_to_the_reference(called):
    gatework.GRU(3, 4)(torch.zeros(5, 2, 3))
    gatework.GRU(3, 4).bfloat16()(torch.zeros(5, 2, 3).bfloat16())
    assert called == []


def test_it_says_that_float32_on_cuda_is_multiplied_in_tf32():
    told = "TF32: products keep 10 of a float32's 23 bits; torch.backends.cudnn.allow_tf32 = False keeps all"
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        assert Library.notes("cuda", torch.float32) == (("numbers", told),)
        assert Library.notes("mps", torch.float32) == Library.notes("cuda", torch.float64) == ()
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        assert Library.notes("cuda", torch.float32) == ()


def test_it_has_no_code_and_no_streams():
    library = BACKENDS["library"]
    with pytest.raises(ConfigError, match="no code to show"):
        library.listing(STEPS["lstm"], "inference", "llvm", "float32")
    with pytest.raises(ConfigError, match="take whole sequences"):
        gatework.LSTM(3, 4, backend="library").stream()


# --- one buffer, as cuDNN wants it


def test_weights_are_put_into_one_buffer_where_cudnn_runs(monkeypatch):
    """torch's own function is not there without CUDA: one that does the same on the CPU stands for it."""
    asked = []

    def flatten(weights, stride, input_size, mode, hidden_size, proj_size, num_layers, batch_first, bidirectional):
        asked.append((stride, input_size, mode, hidden_size, proj_size, num_layers, batch_first, bidirectional))
        buffer, start = torch.cat([one.flatten() for one in weights]), 0
        for one in weights:
            one.set_(buffer[start : start + one.numel()].view_as(one))
            start += one.numel()

    layer = gatework.GRU(3, 4, dtype=torch.float64, backend="library")
    input = torch.randn(5, 2, 3, dtype=torch.float64)
    expected = torch.autograd.grad(layer(input)[0].square().sum(), [*layer.parameters()])
    given = []

    def spy(data, hidden, weights, *more):
        given.append([(one.untyped_storage().data_ptr(), one.storage_offset()) for one in weights])
        return torch._VF.gru(data, hidden, weights, *more)

    monkeypatch.setitem(CALLS, "GRU", spy)
    monkeypatch.setattr(running, "wants_one_buffer", lambda tensor: True)
    monkeypatch.setattr(torch, "_cudnn_rnn_flatten_weight", flatten, raising=False)
    monkeypatch.setattr(torch.backends.cudnn.rnn, "get_cudnn_mode", ["GRU"].index)
    before = [one.data_ptr() for one in layer.parameters()]
    found = torch.autograd.grad(layer(input)[0].square().sum(), [*layer.parameters()])
    assert_same(found, expected)
    assert asked == [(4, 3, 0, 4, 0, 1, False, False)]
    assert [offset for _, offset in given[0]] == [0, 36, 84, 96]
    assert len({pointer for pointer, _ in given[0]}) == 1
    assert [one.data_ptr() for one in layer.parameters()] == before, "the layer's own weights stay where they are"
