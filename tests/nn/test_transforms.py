"""The layers under everything torch does to functions: derivatives twice, torch.func, autocast, types, devices."""

import pytest
import torch
from tests.tolerances import assert_close
from torch import nn
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, stack_module_state, vmap

import gatework
from gatework.kernels import MEMORY

# torch compiles its own forward derivatives with what it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

STEPS, ROWS, INPUT_SIZE, HIDDEN_SIZE = 3, 2, 3, 4
CELLS = {
    name: gatework.CELLS[name] for name in ("lstm", "gru", "gru_v3", "peephole", "lstm_layer_norm", "slstm", "mut2")
}
CELLS["zoneout"] = gatework.zoneout(gatework.CELLS["lstm"], c=0.5)
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def layer_of(cell, **options):
    torch.manual_seed(1)
    return gatework.Recurrent(cell, HIDDEN_SIZE, HIDDEN_SIZE, 2, dtype=torch.float64, **options).eval()


def given(*lead):
    return torch.randn(*(lead or (STEPS, ROWS)), HIDDEN_SIZE, dtype=torch.float64)


@every_cell
def test_derivatives_of_derivatives(cell):
    layer = layer_of(cell)
    input = given().requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def run(input, *weights):
        return functional_call(layer, dict(zip(names, weights, strict=True)), (input,))[0]

    assert torch.autograd.gradgradcheck(run, (input, *layer.parameters()), fast_mode=True)


@every_cell
def test_functional_derivatives_are_autograds(cell):
    layer = layer_of(cell)
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    input, direction = given(), given()

    def loss(weights, input):
        return functional_call(layer, weights, (input,))[0].square().sum()

    expected = torch.autograd.grad(layer(input)[0].square().sum(), list(layer.parameters()))
    found = grad(loss)(weights, input)
    assert_close(tuple(found.values()), expected, "gradients")
    forward = jvp(lambda input: loss(weights, input), (input,), (direction,))[1]
    backward = (grad(loss, argnums=1)(weights, input) * direction).sum()
    assert_close(forward, backward, "gradients")
    output = lambda input: layer(input)[0][-1].sum(0)  # noqa: E731
    assert_close(jacfwd(output)(input), jacrev(output)(input), "gradients")


@every_cell
def test_vectorised_over_inputs_and_states(cell):
    layer = layer_of(cell)
    many = given(5, STEPS, ROWS)
    outputs, states = vmap(layer)(many)
    for index, input in enumerate(many):
        output, state = layer(input)
        assert_close(outputs[index], output)
        parts = states if isinstance(states, tuple) else (states,)
        assert_close(tuple(part[index] for part in parts), state if isinstance(state, tuple) else (state,))
    again = vmap(lambda input, state: layer(input, state)[0])(many, states)
    first = layer(many[0], tuple(part[0] for part in states) if isinstance(states, tuple) else states[0])[0]
    assert_close(again[0], first)


def test_vectorised_with_lengths_and_resets():
    layer = layer_of("lstm", bidirectional=True)
    many, lengths = given(5, STEPS, ROWS), [3, 1]
    resets = torch.rand(5, STEPS, ROWS) < 0.5
    outputs = vmap(lambda input, reset: layer(input, lengths=lengths, reset=reset)[0])(many, resets)
    for output, input, reset in zip(outputs, many, resets, strict=True):
        assert_close(output, layer(input, lengths=lengths, reset=reset)[0])


def test_an_ensemble_in_one_call():
    layers = [gatework.LSTM(INPUT_SIZE, HIDDEN_SIZE, dtype=torch.float64) for _ in range(3)]
    weights, _ = stack_module_state(layers)
    input = torch.randn(STEPS, ROWS, INPUT_SIZE, dtype=torch.float64)
    outputs = vmap(lambda weights: functional_call(layers[0], weights, (input,))[0])(weights)
    for output, layer in zip(outputs, layers, strict=True):
        assert_close(output, layer(input)[0])


def test_gradient_of_every_sample():
    layer = layer_of("gru")
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}

    def loss(weights, row):
        return functional_call(layer, weights, (row,))[0].square().sum()

    input = given()
    each = vmap(grad(loss), in_dims=(None, 1))(weights, input)
    total = grad(loss)(weights, input)
    for name, expected in total.items():
        assert_close(each[name].sum(0), expected, "gradients")


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_vectorised_in_training(randomness):
    """Masks are drawn as torch.func is told to draw them."""
    layer = layer_of(CELLS["zoneout"]).train()
    input = given()
    outputs = vmap(lambda scale: layer(input * scale)[0], randomness=randomness)(torch.ones(2, dtype=torch.float64))
    assert torch.equal(outputs[0], outputs[1]) == (randomness == "same")


@every_cell
@pytest.mark.filterwarnings("ignore:.*autocast.*")
def test_autocast(cell):
    """Matrix products in bfloat16, about the same result, gradients in the weights' type."""
    layer = layer_of(cell).float()
    input = given().float()
    expected = layer(input)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(input)
    assert_close(output.to(torch.bfloat16), expected.to(torch.bfloat16))
    assert not torch.equal(output.float(), expected)
    output.float().sum().backward()
    gradients = [parameter.grad for parameter in layer.parameters()]
    assert all(gradient is not None and gradient.dtype == torch.float32 for gradient in gradients)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_autocast_takes_inputs_of_another_type():
    layer = gatework.LSTM(INPUT_SIZE, HIDDEN_SIZE)
    input = torch.randn(STEPS, ROWS, INPUT_SIZE, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(input, lengths=[3, 1])
    assert output.isfinite().all()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types_beside_torch(kind, dtype):
    theirs = getattr(nn, kind)(INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True, dtype=dtype)
    ours = getattr(gatework, kind)(INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True, dtype=dtype)
    ours.load_state_dict(theirs.state_dict())
    input = torch.randn(STEPS, ROWS, INPUT_SIZE, dtype=dtype)
    assert_close(ours(input)[0], theirs(input)[0])


def test_other_devices_are_respected():
    """On the meta device nothing is computed, but every tensor must be made where the weights are."""
    layer = gatework.Recurrent(
        gatework.zoneout(gatework.CELLS["clockwork"], h=0.5),
        8,
        8,
        2,
        bidirectional=True,
        device="meta",
        learn_initial_state=True,
    )
    input = torch.zeros(STEPS, ROWS, 8, device="meta")
    for training in (True, False):
        output, _ = layer.train(training)(
            input, lengths=[3, 1], reset=torch.zeros(STEPS, ROWS, dtype=torch.bool, device="meta")
        )
        assert output.device.type == "meta"
        assert output.shape == (STEPS, ROWS, 16)


def test_nothing_is_kept_between_calls():
    """Weights that are exchanged after a call are the ones used in the next."""
    layer = layer_of("lstm")
    input = given()
    before = layer(input)[0]
    layer.weight_hh_l0 = nn.Parameter(layer.weight_hh_l0.detach() * 2)
    assert not torch.equal(layer(input)[0], before)
    assert layer.to(torch.float32)(input.float())[0].dtype == torch.float32


# --- batches of gradients


def gradient_batches(layer, input):
    """Ask for many gradients at once, in every way that torch has."""
    call = lambda one: layer(one)[0]  # noqa: E731
    leaf = input.clone().requires_grad_()
    output = call(leaf)
    many = torch.eye(output.numel(), dtype=output.dtype).view(-1, *output.shape)
    wanted = [leaf, *layer.parameters()]
    once = torch.autograd.grad(output, wanted, many, is_grads_batched=True, retain_graph=True)
    jacobian = torch.autograd.functional.jacobian(call, input, vectorize=True)
    hessian = torch.autograd.functional.hessian(lambda one: call(one).square().sum(), input, vectorize=True)
    mapped = vmap(lambda one: torch.autograd.grad(output, leaf, one, retain_graph=True)[0])(many)
    return [*once, jacobian, hessian, mapped]


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_batches_of_gradients_are_torchs(kind, memory):
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(3, 4, dtype=torch.float64)
    ours = getattr(gatework, kind)(3, 4, dtype=torch.float64, backend="cpu", memory=memory)
    ours.load_state_dict(theirs.state_dict())
    input = torch.randn(3, 2, 3, dtype=torch.float64)
    assert_close(gradient_batches(ours, input), gradient_batches(theirs, input), "gradients")


@pytest.mark.parametrize("layers", [1, 2])
def test_what_depends_on_other_inputs_is_counted_once(layers):
    """A state that is made from the input: the gradient is the same whether it is to be differentiated again or not."""
    layer = layer_of(CELLS["gru"]) if layers == 2 else gatework.GRU(HIDDEN_SIZE, HIDDEN_SIZE, dtype=torch.float64)
    leaf = given().requires_grad_()
    output = layer(leaf, leaf.mean(0).expand(layers, -1, -1))[0]
    wanted = [leaf, *layer.parameters()]
    expected = torch.autograd.grad(output.sum(), wanted, retain_graph=True)
    found = torch.autograd.grad(output.sum(), wanted, create_graph=True)
    assert_close(found, expected, "gradients")
    many = torch.ones(2, *output.shape, dtype=output.dtype)
    batch = torch.autograd.grad(output, wanted, many, is_grads_batched=True)
    assert_close([one[1] for one in batch], expected, "gradients")


def test_batches_of_gradients_with_lengths_resets_and_records():
    layer = layer_of(CELLS["lstm"], learn_initial_state=True)
    input, reset = given(), torch.tensor([[False, False], [True, False], [False, True]])

    def call(one):
        output, state, records = layer.record(one, names=("f",), lengths=[3, 2], reset=reset)
        return output, *state, records[0]["f"]

    found = torch.autograd.functional.jacobian(call, input, vectorize=True)
    expected = torch.autograd.functional.jacobian(call, input, vectorize=False)
    assert_close(found, expected, "gradients")


# --- autocast gives what torch's layers give

FORMS = {
    "plain": lambda one: (one,),
    "alone": lambda one: (one[:, 0],),
    "lowered": lambda one: (one.bfloat16(),),
    "packed": lambda one: (nn.utils.rnn.pack_sequence([one[:, 0], one[:2, 1]]),),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {}),
        ("LSTM", {"num_layers": 2, "bidirectional": True}),
        ("LSTM", {"batch_first": True, "bias": False}),
        ("LSTM", {"proj_size": 2}),
        ("GRU", {}),
        ("RNN", {}),
    ],
    ids=str,
)
def test_types_under_autocast_are_torchs(kind, options, form):
    """Of the output, of the states and of all gradients."""
    types = []
    for module in (nn, gatework):
        torch.manual_seed(0)
        layer = getattr(module, kind)(3, 4, **options)
        with torch.autocast("cpu", torch.bfloat16):
            output, final = layer(*FORMS[form](torch.randn(3, 2, 3)))
        output = output.data if isinstance(output, nn.utils.rnn.PackedSequence) else output
        output.float().sum().backward()
        states = final if isinstance(final, tuple) else (final,)
        types.append([one.dtype for one in (output, *states, *(one.grad for one in layer.parameters()))])
    assert types[1] == types[0]
