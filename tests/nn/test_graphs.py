"""Layers in the graphs that torch writes: compiled in one piece, traced, exported, and read by another process."""

import copy
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.errors import ConfigError, KernelError
from gatework.kernels.cpu import fused
from gatework.kernels.door import launch

# What torch's tracers and compilers say of themselves is not ours to mend.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::torch.jit.TracerWarning"
)

SOURCE = Path(gatework.__file__).parents[1]
LENGTHS = torch.tensor([4, 2, 3])


def whole(call):
    """Compile in one graph, anew."""
    torch._dynamo.reset()
    return torch.compile(call, backend="aot_eager", fullgraph=True)


def lstm(**options):
    torch.manual_seed(0)
    return gatework.LSTM(3, 5, bidirectional=True, **options)


CALLS = {
    "a tensor": lambda layer: lambda x, lengths, reset: layer(x, lengths=lengths)[0],
    "int32": lambda layer: lambda x, lengths, reset: layer(x, lengths=lengths.int())[0],
    "a list": lambda layer: lambda x, lengths, reset: layer(x, lengths=[4, 2, 0])[0],
    "with resets": lambda layer: lambda x, lengths, reset: layer(x, lengths=lengths, reset=reset)[0],
    "recorded": lambda layer: lambda x, lengths, reset: layer.record(x, names=("f",), lengths=lengths)[2][1]["f"],
}


@pytest.mark.parametrize("options", [{}, {"dtype": torch.bfloat16}], ids=["kernels", "reference"])
@pytest.mark.parametrize("name", CALLS)
def test_one_graph_with_lengths(name, options):
    """Before any eager call, and one graph serves other lengths."""
    layer = lstm(**options)
    call = CALLS[name](layer)
    compiled = whole(call)
    given, reset = torch.randn(5, 3, 3).to(layer.weight_ih_l0.dtype), torch.rand(5, 3) < 0.4
    for lengths in (LENGTHS, torch.tensor([5, 5, 5]), torch.tensor([0, 1, 5])):
        assert_close(compiled(given, lengths, reset), call(given, lengths, reset))


def test_lengths_out_of_range_are_refused_in_a_graph():
    layer = lstm()
    compiled = whole(lambda x, lengths: layer(x, lengths=lengths)[0])
    compiled(torch.randn(5, 3, 3), LENGTHS)
    told = "lengths are out of range; expected 0 to the number of steps in the input."
    with pytest.raises(RuntimeError) as caught:
        compiled(torch.randn(5, 3, 3), torch.tensor([6, 2, 3]))
    assert str(caught.value) == told


@pytest.mark.parametrize("strict", [False, True])
def test_lengths_leave_the_number_of_steps_open(strict):
    """Where it is checked it is a symbol, and not fixed to that of the example."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = lstm()

        def forward(self, x, lengths):
            return self.layer(x, lengths=lengths)[0]

    model, steps = Model(), torch.export.Dim("steps", min=2)
    sizes = ({0: steps}, {})
    graph = torch.export.export(model, (torch.randn(5, 3, 3), LENGTHS), dynamic_shapes=sizes, strict=strict).module()
    longer = torch.randn(9, 3, 3)
    assert_close(graph(longer, LENGTHS), model(longer, LENGTHS))


@pytest.mark.parametrize("before", [False, True], ids=["first", "after an eager call"])
def test_one_graph_for_layers_that_read_the_layer_below(before):
    torch.manual_seed(0)
    layer, input = gatework.Recurrent("depth_gated", 3, 5, num_layers=2), torch.randn(4, 2, 3)
    if before:
        layer(input)
    assert_close(whole(layer)(input), layer(input))


def test_one_graph_for_what_is_recorded():
    layer, input = lstm(), torch.randn(4, 2, 3)
    call = lambda one: layer.record(one, names=("f", "c", "x"))[2]  # noqa: E731
    for found, expected in zip(whole(call)(input), call(input), strict=True):
        assert_close(list(found.values()), list(expected.values()))


@pytest.mark.parametrize("make", [gatework.LSTM, lambda *sizes: gatework.Recurrent("lstm_layer_norm", *sizes)])
def test_one_graph_for_a_loop_of_steps(make):
    layer, inputs = make(3, 5), torch.randn(4, 2, 3)

    def loop(inputs):
        output, state = None, None
        for one in inputs:
            output, state = layer.step(one, state)
        return output

    assert_close(whole(loop)(inputs), loop(inputs))


@pytest.mark.parametrize("copied", [False, True])
def test_one_graph_of_the_reference_for_a_copy(copied):
    """Nothing has run yet, and a copy knows all that the layer knew."""
    layer, input = gatework.GRU(3, 5, dtype=torch.bfloat16), torch.randn(4, 2, 3).bfloat16()
    layer = copy.deepcopy(layer) if copied else layer
    found = whole(layer)(input)
    assert_close(found, layer(input))


# --- kernels that cannot be made


@pytest.fixture
def unplannable(monkeypatch):
    """A layer whose every plan fails, as a fault of the planner would have it."""

    def broken(*arguments, **options):
        raise KeyError("d_h")

    monkeypatch.setattr("gatework.kernels.planning.recipe.make_plan", broken)
    monkeypatch.setattr(launch, "_said", set())
    return gatework.Recurrent("h = tanh(W @ x + R @ h + 0.4375 * x)", 3, 3)  # no other test has this one


TOLD = (
    "No kernel could be planned for the equations for h. KeyError: 'd_h' The fault is the planner's: please report the "
    "equations. Until then backend='reference' runs them."
)


def test_a_fault_of_the_planner_is_told_once_and_stepped_round(unplannable):
    layer, input = unplannable, torch.randn(4, 2, 3)
    with pytest.warns(RuntimeWarning) as told:
        output, _ = layer(input)
    assert [str(one.message) for one in told] == [f"{TOLD} The reference runs instead, and is slower."]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(layer(input)[0], output)
        assert gatework.explain(layer, input).parts[0].account.reason == TOLD
    layer.backend = "reference"
    assert_same(layer(input)[0], output)
    layer.backend = "cpu"
    with pytest.raises(KernelError) as caught:
        layer(input)
    assert str(caught.value) == TOLD


def test_a_fault_of_the_planner_does_not_stop_streams_and_compiled_layers(unplannable):
    layer, input = unplannable, torch.randn(4, 2, 3)
    with pytest.warns(RuntimeWarning, match="No kernel could be planned"):
        found = whole(layer)(input)
    assert_close(found, layer(input))
    with pytest.warns(RuntimeWarning, match="No kernel could be planned"):
        assert layer.stream(2).backend == "reference"


def test_a_fault_of_the_planner_is_looked_for_once(unplannable, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "gatework.kernels.planning.recipe.make_plan", lambda *given, **options: asked.append(1) or 1 / 0
    )
    for _ in range(3):
        with pytest.raises(KernelError, match="ZeroDivisionError"):
            fused.ready(unplannable.layers[0].step, False, (), torch.float64, "small")
    assert len(asked) == 1


# --- traced


class Model(torch.nn.Module):
    """A small model; what it is given beside the input goes to the layer."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, torch.nn.Linear(5, 2)

    def forward(self, input: torch.Tensor, lengths: torch.Tensor, reset: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(input, lengths=lengths, reset=reset)[0])


@pytest.mark.parametrize("make", [gatework.LSTM, lambda *sizes: gatework.Recurrent("lstm_layer_norm", *sizes)])
def test_traced_for_other_values_and_rows(make):
    """Nothing that values decide is written into a trace."""
    model = Model(make(3, 5))
    traced = torch.jit.trace(model, (torch.randn(4, 3, 3), LENGTHS, torch.rand(4, 3) < 0.5))
    for lengths in ([4, 4, 4], [0, 1, 2], [1, 3, 1, 4, 2]):
        rows = len(lengths)
        given = (torch.randn(4, rows, 3), torch.tensor(lengths), torch.rand(4, rows) < 0.5)
        assert_close(traced(*given), model(*given))  # pyrefly: ignore [not-callable]


class Stepping(torch.nn.Module):
    """A model that takes one step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = gatework.GRU(3, 5)

    def forward(self, input: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return self.layer.step(input, state)[0]


def test_traced_steps():
    model = Stepping()
    traced = torch.jit.trace(model, (torch.randn(2, 3), torch.zeros(1, 2, 5)))
    given = torch.randn(4, 3), torch.randn(1, 4, 5)
    assert_close(traced(*given), model(*given))  # pyrefly: ignore [not-callable]


def test_kernels_say_that_they_cannot_be_traced():
    with pytest.raises(ConfigError) as caught:
        torch.jit.trace(gatework.LSTM(3, 5, backend="cpu"), torch.randn(4, 2, 3))
    assert str(caught.value) == (
        "backend='cpu' cannot run this: torch.jit.trace is at work, which cannot look into kernels: use torch.compile "
        "or torch.export. Remove the cause, or choose backend='auto', which takes the reference here."
    )


def test_onnx_by_tracing(tmp_path):
    pytest.importorskip("onnx", reason="torch writes ONNX with the package onnx")
    runtime = pytest.importorskip("onnxruntime", reason="what was written is run by onnxruntime")
    layer, input = torch.nn.Sequential(gatework.LSTM(3, 5)).eval(), torch.randn(4, 2, 3)
    torch.onnx.export(layer, (input,), str(tmp_path / "layer.onnx"), dynamo=False)
    session = runtime.InferenceSession(tmp_path / "layer.onnx")
    (found, *_) = session.run(None, {session.get_inputs()[0].name: input.numpy()})
    assert_close(torch.from_numpy(found), layer(input)[0].detach())


# --- exported, and read where nothing but `import gatework` was said

READS = """
{head}
assert "gatework.kernels.cpu.operators" not in sys.modules, "import gatework is to stay quick"
assert torch.__spec__.loader is torch.__loader__, "what waited for torch left something behind"
program = torch.export.load(sys.argv[1])
torch.save(program.module()(torch.load(sys.argv[2]))[0], sys.argv[3])
"""


@pytest.mark.parametrize("head", ["import sys, torch, gatework", "import sys, gatework, torch"])
def test_an_exported_layer_is_read_after_a_bare_import(tmp_path, head):
    layer, input = gatework.LSTM(3, 5).eval(), torch.randn(4, 2, 3)
    torch.export.save(torch.export.export(layer, (input,)), tmp_path / "layer.pt2")
    torch.save(input, tmp_path / "input.pt")
    files = [str(tmp_path / name) for name in ("layer.pt2", "input.pt", "output.pt")]
    command = [sys.executable, "-c", READS.format(head=head), *files]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    assert_same(torch.load(files[2]), layer(input)[0].detach())
