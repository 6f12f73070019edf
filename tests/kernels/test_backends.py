"""The wall around backends: each says what it refuses, the door walks over them, and what fails is told."""

import inspect
import warnings
from dataclasses import replace

import pytest
import torch
from tests.tolerances import assert_same

import gatework
from gatework.cells import CELLS
from gatework.errors import ConfigError, KernelError, PlanError
from gatework.kernels import BACKENDS, CHOICES, Backend, Call, Weights
from gatework.kernels.door import launch
from gatework.kernels.door.listing import code_of
from gatework.kernels.llvm.functions import EMITTERS
from gatework.kernels.planning.planned import plan_of, single_step
from gatework.language import parse

STEP = parse("h = 0.5 * h + x")


def call_of(**options) -> Call:
    return Call(STEP, Weights(()), (torch.ones(3, 2, 4),), (torch.zeros(2, 4),), **options)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_keeps_the_protocol(name):
    backend = BACKENDS[name]
    assert backend.name == name
    for method, promised in vars(Backend).items():
        if inspect.isfunction(promised) and not method.startswith("_"):
            given = list(inspect.signature(getattr(backend, method)).parameters)
            assert ["self", *given] == list(inspect.signature(promised).parameters), method


def test_the_reference_is_asked_last_and_refuses_nothing():
    assert list(BACKENDS)[-1] == "reference"
    assert ("auto", *BACKENDS) == CHOICES
    call = call_of(record=("h",))
    assert BACKENDS["reference"].refuses(call) is None
    assert BACKENDS["reference"].declines(call) is None


def test_auto_takes_the_first_that_neither_refuses_nor_declines(monkeypatch):
    call = call_of()
    assert launch.choose(call) == (BACKENDS["cpu"], ())
    monkeypatch.setattr(BACKENDS["cpu"], "declines", lambda call: "it would rather not")
    chosen, refused = launch.choose(call)
    assert chosen is not BACKENDS["cpu"]
    assert refused[0] == ("cpu", "it would rather not")
    # What is declined runs all the same where it is asked for by hand.
    assert_same(launch.run_call(call, "cpu").output, launch.run_call(call, "reference").output)


def test_what_is_refused_by_hand_names_what_auto_would_take(monkeypatch):
    monkeypatch.setattr(BACKENDS["cpu"], "refuses", lambda call: "it is Monday: wait")
    with pytest.raises(ConfigError) as caught:
        launch.run_call(call_of(), "cpu")
    assert str(caught.value) == (
        "backend='cpu' cannot run this: it is Monday: wait. Remove the cause, or choose backend='auto', which takes "
        "the reference here."
    )


def test_explain_prints_the_reason_of_each_backend_that_was_asked(monkeypatch):
    class Other(type(BACKENDS["reference"])):
        name = "other"

        def refuses(self, call):
            return "it is never ready: ask another"

    monkeypatch.setattr(launch, "BACKENDS", {"cpu": BACKENDS["cpu"], "other": Other(), **BACKENDS})
    layer = gatework.GRU(3, 4, dtype=torch.bfloat16)
    text = str(gatework.explain(layer, torch.zeros(5, 2, 3).bfloat16()))
    assert (
        "  because  the type is bfloat16, and kernels compute in float32 and float64: convert layer and input\n" in text
    )
    assert "  other    it is never ready: ask another\n" in text


def test_the_reference_has_no_code_to_list():
    with pytest.raises(ConfigError, match=r"^The reference runs torch's operations and makes no code"):
        code_of(STEP, "inference", backend="reference")


# --- what cannot be made is told, and stepped round


@pytest.fixture
def without_an_emitter(monkeypatch):
    """A layer with a function that has a row in the table, and no machine code."""
    monkeypatch.delitem(EMITTERS, "erf")
    monkeypatch.setattr(launch, "_said", set())
    return gatework.Recurrent("h = erf(W @ x + R @ h + 0.28125 * x)", 3, 3)  # no other test has this one


def test_a_missing_emitter_falls_back_loudly(without_an_emitter):
    layer, input = without_an_emitter, torch.randn(4, 2, 3)
    with torch.no_grad(), pytest.warns(RuntimeWarning) as told:
        output, _ = layer(input)
    (message,) = [str(one.message) for one in told]
    assert "There is no machine code for the function `erf`." in message
    assert message.endswith(" The reference runs instead, and is slower.")
    with pytest.warns(RuntimeWarning, match="There is no machine code for the function `erf`"):
        assert layer.stream(2).backend == "reference"
    layer.backend = "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(layer(input)[0], output)
    layer.backend = "cpu"
    with pytest.raises(KernelError, match="There is no machine code for the function `erf`"):
        layer(input)


def test_the_plan_of_a_single_step_is_verified():
    plan = plan_of(CELLS["lstm"].step, "inference")
    assert {stage.phase for stage in single_step(plan).stages} == {"each"}
    forgetful = tuple(replace(stage, stores=()) for stage in plan.stages)
    with pytest.raises(PlanError, match="no stage before has kept it"):
        single_step(replace(plan, stages=forgetful))


@pytest.mark.parametrize("backend", CHOICES)
@pytest.mark.parametrize("lengths", [None, [3, 1]])
def test_where_torch_makes_tensors_by_default_is_not_where_backends_make_theirs(backend, lengths):
    layer, input = gatework.Recurrent("lstm", 5, 7, backend=backend), torch.randn(3, 2, 5, requires_grad=True)

    def results():
        output, state = layer(input, lengths=lengths)
        return [output, *state, *torch.autograd.grad(output.sum(), [input, *layer.parameters()])]

    with torch.device("meta"):  # as after torch.set_default_device("cuda"), where the layer stayed on the CPU
        found = results()
    assert_same(found, results())
