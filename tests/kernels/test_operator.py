"""The kernels as operators of torch: what torch demands of an operator, compiled and exported layers, derivatives."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch._dynamo.testing
from tests.kernels.cases import STEPS, Case
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.kernels import Weights, run
from gatework.kernels.cpu import memory, workspace
from gatework.kernels.door.launch import MEMORY
from gatework.kernels.planning.spec import write_spec

# What torch's compiler itself uses is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

ROOT = Path(__file__).parents[2]
SAMPLES = {
    "lstm": Case(STEPS["lstm"], 3, 2, 5),
    "gru_v3, lengths": Case(STEPS["gru_v3"], 3, 4, 5, lengths=[3, 0, 2, 1]),
    "all options": Case(STEPS["all options"], 3, 2, 5, drawn=True, restart=True, learned=True, reverse=True),
    "small": Case(STEPS["lstm_layer_norm"], 3, 2, 5, memory="small", lengths=[2, 3]),
    "sqrt": Case(STEPS["lstm_layer_norm"], 9, 2, 5, memory="sqrt", lengths=[4, 9], restart=True, learned=True),
    "sqrt, packed": Case(STEPS["lstm"], 9, 3, 5, memory="sqrt", lengths=[9, 2, 1], packed=True, record=("c", "f")),
    "packed": Case(STEPS["lstm"], 3, 3, 5, lengths=[3, 2, 1], packed=True, record=("f",)),
    "recorded": Case(STEPS["lstm"], 3, 2, 5, record=("i", "h", "c")),
    "nothing kept": Case(STEPS["structures"], 3, 2, 8, memory="nothing"),
}


def arguments(case: Case, differentiated: bool = True) -> tuple:
    """Give what the forward operator takes."""
    step = case.step
    state = [case.state[name].double() for name in step.states]
    initial = [case.initial[name].double() for name in step.states] if case.learned else []
    given = [one.double() for one in (*case.inputs.values(), *case.masks.values())]
    if case.packed:
        given = [case.without_padding(one) for one in given]
    layout, weights = Weights.of({name: one.double() for name, one in case.weights.items()}).stacks({*case.weights})
    if differentiated and case.memory != "nothing":
        for one in (*state, *initial, *given[: len(case.inputs)], *weights):
            one.requires_grad_()
    spec = write_spec(step, case.drawn, case.reverse, case.memory, case.record, layout)
    lengths = None if case.lengths is None else torch.tensor(case.lengths)
    return spec, given, state, weights, lengths, case.anew, initial


@pytest.fixture
def without_rubbish(monkeypatch):
    """What kernels keep has places that nobody reads, but torch's check compares them: so they are zero."""

    def empty(work, rows, name):
        return torch.zeros(rows, work.sized.width(name), dtype=work.dtype)

    monkeypatch.setattr(workspace.Workspace, "empty", empty)
    monkeypatch.setattr(memory, "room", lambda sizes, dtype: [torch.zeros(*size, dtype=dtype) for size in sizes])


@pytest.mark.usefixtures("without_rubbish")
@pytest.mark.parametrize("name", SAMPLES)
def test_forward_is_an_operator_as_torch_wants_it(name):
    torch.library.opcheck(torch.ops.gatework.forward.default, arguments(SAMPLES[name]))


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "nothing kept"])
def test_backward_is_an_operator_as_torch_wants_it(name):
    case = SAMPLES[name]
    given = arguments(case, differentiated=False)
    results = torch.ops.gatework.forward(*given)
    ends = 1 + len(case.step.states) + len(case.record)
    kept = results[ends:]
    grads = [*(torch.ones_like(one) for one in results[: ends - 1]), None]
    tensors = [one for part in (*given[1:4], given[6]) for one in part]
    for needed in ([True] * len(tensors), [place % 2 == 0 for place in range(len(tensors))]):
        torch.library.opcheck(torch.ops.gatework.backward.default, (*given, kept, grads, needed))


BACKENDS = ["aot_eager", *(["inductor"] if shutil.which("g++") or shutil.which("c++") else [])]
LAYERS = {
    "LSTM": lambda: gatework.LSTM(3, 5, bidirectional=True),
    "GRU": lambda: gatework.GRU(3, 5),
    "Recurrent": lambda: gatework.Recurrent("lstm_layer_norm", 3, 5, learn_initial_state=True),
    "zoneout": lambda: gatework.Recurrent(gatework.zoneout(gatework.CELLS["lstm"], c=0.5), 3, 5),
}


def trained(layer: torch.nn.Module, call, *given) -> list[torch.Tensor]:
    """Give the output, the last states, and all gradients."""
    torch.manual_seed(0)  # for masks
    layer.zero_grad()
    given = tuple(one.clone().requires_grad_(one.is_floating_point()) for one in given)
    output, final = call(*given)
    states = final if isinstance(final, tuple) else (final,)
    sum((one.square().sum() for one in states), output.square().sum()).backward()
    grads = [one.grad for one in (*given, *layer.parameters()) if one.grad is not None]
    return [one.detach() for one in (output, *states, *grads)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_compiled_layers(name, backend):
    """In one graph, plainly and with a reset, forward and back."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    layer = LAYERS[name]()
    masked = name == "zoneout"
    layer.train(not (masked and backend == "inductor"))  # inductor draws other masks from the same seed
    input, reset = torch.randn(4, 2, 3), torch.tensor([[False, True], [False, False], [True, False], [False, False]])
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    assert_close(trained(layer, compiled, input), trained(layer, layer, input), "gradients")
    again = torch.compile(lambda input: layer(input, reset=reset), fullgraph=True, backend=backend)
    assert_close(trained(layer, again, input), trained(layer, lambda one: layer(one, reset=reset), input), "gradients")


def test_compiled_graphs_hold_the_operator():
    """Compiled code runs the kernels, rather than what the reference is made of."""
    torch._dynamo.reset()
    graphs = []

    def keep(graph, example):
        graphs.append(graph)
        return graph.forward

    layer = gatework.LSTM(3, 5)
    torch.compile(layer, fullgraph=True, backend=keep)(torch.randn(4, 2, 3))
    (graph,) = graphs
    assert [node for node in graph.graph.nodes if "gatework.forward" in str(node.target)]


def test_compiled_with_lengths():
    """Lengths as a tensor are read by the operator, so they need not break the graph; a list of numbers does not."""
    torch._dynamo.reset()
    layer = gatework.LSTM(3, 5)
    input = torch.randn(4, 2, 3)
    for lengths in (torch.tensor([4, 2]), [4, 2]):
        call = lambda one, lengths=lengths: layer(one, lengths=lengths)  # noqa: E731
        compiled = torch.compile(call, backend="aot_eager")
        assert_close(trained(layer, compiled, input), trained(layer, call, input), "gradients")


@pytest.mark.parametrize("memory", MEMORY)
def test_compiled_for_any_number_of_steps_and_rows(memory):
    """One graph for all shapes."""
    torch._dynamo.reset()
    layer, count = gatework.GRU(3, 5, memory=memory), torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(layer, fullgraph=True, backend=count)
    for steps, rows in ((4, 2), (7, 3), (2, 9), (11, 5)):
        input = torch.randn(steps, rows, 3)
        torch._dynamo.mark_dynamic(input, 0)
        torch._dynamo.mark_dynamic(input, 1)
        expected = layer(input)
        found = compiled(input)
        assert_close(found, expected)
        loss = found[0].sum()
        (grad,) = torch.autograd.grad(loss, layer.weight_hh_l0)
        assert_close(grad, torch.autograd.grad(expected[0].sum(), layer.weight_hh_l0)[0], "gradients")
    assert count.frame_count == 1


class Tagger(torch.nn.Module):
    """A small model around a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = gatework.LSTM(3, 5, num_layers=2, peephole="ifo")
        self.head = torch.nn.Linear(5, 2)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(input)[0])


LOADS = """
import sys, torch
import gatework.kernels
program = torch.export.load(sys.argv[1])
torch.save([program.module()(one) for one in torch.load(sys.argv[2])], sys.argv[3])
"""


def test_exported_and_run_by_another_process(tmp_path):
    """What is saved names the step by its equations, from which a fresh process makes the same kernels."""
    model = Tagger().eval()
    steps, rows = torch.export.Dim("steps", min=2, max=50), torch.export.Dim("rows", min=2, max=50)
    program = torch.export.export(model, (torch.randn(4, 2, 3),), dynamic_shapes=({0: steps, 1: rows},))
    assert "gatework.forward" in str(program.graph)
    given = [torch.randn(4, 2, 3), torch.randn(9, 7, 3)]
    for one in given:
        assert_same(program.module()(one), model(one))
    torch.export.save(program, tmp_path / "model.pt2")
    torch.save(given, tmp_path / "given.pt")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    files = [str(tmp_path / name) for name in ("model.pt2", "given.pt", "found.pt")]
    command = [sys.executable, "-c", LOADS, *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    for one, found in zip(given, torch.load(files[2]), strict=True):
        assert_same(found, model(one).detach())


@pytest.mark.parametrize("name", ["lstm", "gru_v3", "slstm", "lstm_layer_norm", "reductions after"])
@pytest.mark.parametrize("keep", MEMORY)
def test_derivatives_against_finite_differences(name, keep):
    """The gradient by kernels, and the gradient of the gradient."""
    case = Case(STEPS[name], 3, 2, 3, lengths=[3, 2], restart=True, learned=True)
    groups = (case.inputs, case.state, case.initial, case.weights)
    leaves = [one.double().requires_grad_() for group in groups for one in group.values()]

    def call(*leaves):
        parts, place = [], 0
        for group in groups:
            parts.append(dict(zip(group, leaves[place : place + len(group)], strict=True)))
            place += len(group)
        inputs, state, initial, weights = parts
        result = run(
            case.step,
            weights,
            tuple(inputs.values()),
            tuple(state[key] for key in case.step.states),
            lengths=torch.tensor(case.lengths),
            restart=case.anew,
            initial=tuple(initial[key] for key in case.step.states),
            backend="cpu",
            memory=keep,
        )
        return (result.output, *result.state)

    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


def test_layers_are_copied_and_their_weights_saved(tmp_path):
    """Before and after a run: nothing of the kernels hangs on a layer."""
    layer, input = gatework.LSTM(3, 5), torch.randn(4, 2, 3)
    expected = layer(input)[0]
    other = copy.deepcopy(layer)
    assert_same(other(input)[0], expected)
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    fresh = gatework.LSTM(3, 5)
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert_same(fresh(input)[0], expected)


def test_fake_and_meta_tensors_have_the_shapes_of_real_ones():
    for case in SAMPLES.values():
        given = arguments(case)
        real = torch.ops.gatework.forward(*given)
        with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
            pretended = [
                [mode.from_tensor(one) for one in part]
                if isinstance(part, list)
                else mode.from_tensor(part)
                if isinstance(part, torch.Tensor)
                else part
                for part in given
            ]
            fake = torch.ops.gatework.forward(*pretended)
        assert [(one.shape, one.dtype, one.stride()) for one in fake] == [
            (one.shape, one.dtype, one.stride()) for one in real
        ]
