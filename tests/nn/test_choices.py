"""``backend=`` and ``memory=``: chosen by hand, at any time, on every layer."""

import copy

import pytest
import torch
from tests.tolerances import assert_close

import gatework
from gatework.errors import ConfigError
from gatework.kernels import BACKENDS, CHOICES, MEMORY

LAYERS = {
    "Recurrent": lambda **options: gatework.Recurrent("lstm", 3, 4, **options),
    "LSTM": lambda **options: gatework.LSTM(3, 4, **options),
    "GRU": lambda **options: gatework.GRU(3, 4, **options),
    "RNN": lambda **options: gatework.RNN(3, 4, **options),
}

every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())


@every_layer
def test_defaults_are_silent(make):
    layer = make()
    assert (layer.backend, layer.memory) == ("auto", "fast")
    assert "backend" not in repr(layer)
    assert "memory" not in repr(layer)


@every_layer
def test_choices_are_seen_and_are_no_weights(make):
    layer = make(backend="reference", memory="small")
    assert (layer.backend, layer.memory) == ("reference", "small")
    assert "backend='reference', memory='small'" in repr(layer)
    assert layer.state_dict().keys() == make().state_dict().keys()
    twin = copy.deepcopy(layer)
    twin.backend = "cpu"
    assert (twin.backend, twin.memory, layer.backend) == ("cpu", "small", "reference")


@every_layer
@pytest.mark.parametrize("word", ["CPU", "gpu", "", None, 1, ["cpu"]])
def test_unknown_words_are_refused(make, word):
    for name, words in (("backend", CHOICES), ("memory", MEMORY)):
        message = f"{name} is {word!r}. Choose one of {', '.join(words)}."
        with pytest.raises(ConfigError) as caught:
            make(**{name: word})
        assert str(caught.value) == message
        layer = make()
        before = getattr(layer, name)
        with pytest.raises(ConfigError) as caught:
            setattr(layer, name, word)
        assert str(caught.value) == message
        assert getattr(layer, name) == before


def test_layers_saved_before_there_was_a_choice_have_the_default():
    layer = gatework.GRU(3, 4, backend="reference")
    del layer.__dict__["backend"], layer.__dict__["memory"]
    assert (layer.backend, layer.memory) == ("auto", "fast")


def gradients(layer, input):
    layer.zero_grad()
    output, _ = layer(input)
    output.square().sum().backward()
    return [parameter.grad.clone() for parameter in layer.parameters()]


@every_layer
def test_every_choice_computes_the_same(make):
    torch.manual_seed(0)
    layer, input = make(dtype=torch.float64), torch.randn(7, 3, 3, dtype=torch.float64)
    layer.backend = "reference"
    expected, output = gradients(layer, input), layer(input)[0]
    for layer.backend in CHOICES:
        for layer.memory in MEMORY:
            assert_close(layer(input)[0], output)
            assert_close(gradients(layer, input), expected, "gradients")


def test_what_was_chosen_is_what_runs(monkeypatch):
    ran = []

    def spy(name, function):
        def run(call):
            ran.append((name, call.memory))
            return function(call)

        return run

    layer, input = gatework.GRU(3, 4, memory="small"), torch.randn(5, 2, 3)
    for name in ("cpu", "reference"):
        monkeypatch.setattr(BACKENDS[name], "run", spy(name, BACKENDS[name].run))
    for layer.backend in ("auto", "cpu", "reference"):
        layer(input)
    assert ran == [("cpu", "small"), ("cpu", "small"), ("reference", "small")]


@pytest.mark.parametrize("make", [lambda: gatework.GRU(3, 4), lambda: gatework.Recurrent("gru_v3", 3, 4, num_layers=2)])
def test_a_single_step_is_torchs_unless_kernels_are_asked_for(monkeypatch, make):
    """And is told no otherwise: the same states, whatever runs it."""
    ran, kernels = [], BACKENDS["cpu"].run

    def spy(call):
        ran.append("cpu")
        return kernels(call)

    monkeypatch.setattr(BACKENDS["cpu"], "run", spy)
    layer, input = make(), torch.randn(2, 3)
    _, state = layer.step(input)
    expected = layer.step(input, state)
    assert not ran
    layer.backend = "cpu"
    assert_close(layer.step(input, state), expected)
    assert len(ran) == layer.num_layers


WRONG = {
    "other features": (torch.zeros(2, 5), torch.zeros(1, 2, 4)),
    "other rows": (torch.zeros(2, 3), torch.zeros(1, 3, 4)),
    "other units": (torch.zeros(2, 3), torch.zeros(1, 2, 5)),
    "no axis of layers": (torch.zeros(4, 3), torch.zeros(4, 4)),
    "other layers": (torch.zeros(2, 3), torch.zeros(2, 2, 4)),
    "another type": (torch.zeros(2, 3).double(), torch.zeros(1, 2, 4)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_step_refuses_does_not_depend_on_what_runs_it(name):
    for layer in (gatework.GRU(3, 4), gatework.Recurrent("gru", 3, 4)):
        told = []
        for layer.backend in ("auto", "reference"):
            with pytest.raises((ValueError, RuntimeError)) as caught:
                layer.step(*WRONG[name])
            told.append(str(caught.value))
        assert told[0] == told[1]


HALF = torch.float16


@pytest.mark.parametrize(
    ("dtype", "shape", "reason"),
    [
        (HALF, (5, 2, 3), "the type is float16, and kernels compute in float32 and float64: convert layer and input"),
        (torch.float32, (5, 0, 3), "the input is empty: there is nothing to compute"),
    ],
)
def test_kernels_that_cannot_run_say_why(dtype, shape, reason):
    layer, input = gatework.LSTM(3, 4, backend="cpu", dtype=dtype), torch.zeros(shape, dtype=dtype)
    with pytest.raises(ConfigError) as caught:
        layer(input)
    assert str(caught.value) == (
        f"backend='cpu' cannot run this: {reason}. Remove the cause, or choose backend='auto', which takes the "
        "reference here."
    )
    layer.backend = "auto"
    assert layer(input)[0].shape == (*shape[:2], 4)


def test_kernels_do_not_run_under_autocast_or_vmap():
    layer, input = gatework.LSTM(3, 4, backend="cpu"), torch.zeros(5, 2, 3)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ConfigError, match="autocast is on"):
        layer(input)
    with pytest.raises(ConfigError, match=r"a transformation of torch\.func"):
        torch.func.vmap(lambda one: layer(one)[0])(input[None])
