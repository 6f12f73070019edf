"""``gatework.explain``: what it says is what happens."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils.rnn import pack_sequence

import gatework
from gatework.errors import KernelError, SizeError
from gatework.kernels import BACKENDS
from gatework.kernels.cpu import account
from gatework.kernels.llvm.target import host


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_text_of_the_kernels(two_threads):
    torch.manual_seed(0)
    layer, input = gatework.LSTM(64, 128, num_layers=2), torch.zeros(100, 8, 64)
    layer(input)
    level = host()
    lanes = level.bits // 32
    width = -(-128 // lanes) * lanes
    # Two states with room for those before the first step, and what the backward pass reads: i, f, g, o.
    kept = 4 * width * (2 * (2 + 100) * 8 + 4 * 100 * 8)
    one = f"""
  backend  cpu
  because  the type and the device are those of the kernels, and nothing is at work that they do not know
  threads  2, which share the rows
  vectors  {level.level}: {level.bits} bits, {lanes} numbers of float32
  kernel   compiled in this process
  saved    {kept / 1e6:.3g} MB for the backward pass"""
    explanation = gatework.explain(layer, input)
    assert str(explanation) == (
        f"LSTM(lstm, 64, 128, num_layers=2): 100 steps of 8 rows, with gradients, memory='fast'\n"
        f"layer 0, forward{one}\nlayer 1, forward{one}\ntogether {2 * kept / 1e6:.3g} MB for the backward pass"
    )
    assert explanation.kept == 2 * kept


def test_text_of_the_reference():
    layer = gatework.GRU(3, 4, dtype=torch.bfloat16)
    assert str(gatework.explain(layer, torch.zeros(5, 2, 3).bfloat16())) == (
        "GRU(gru, 3, 4): 5 steps of 2 rows, with gradients, memory='fast'\n"
        "layer 0, forward\n"
        "  backend  reference\n"
        "  because  the type is bfloat16, and kernels compute in float32 and float64: convert layer and input\n"
        "  library  the input is on the CPU, where torch's operators run only if backend='library' asks for them\n"
        "  saved    for the backward pass: whatever autograd saves for every operation"
    )
    layer.backend = "reference"
    with torch.no_grad():
        assert str(gatework.explain(layer, torch.zeros(5, 2, 3).bfloat16())) == (
            "GRU(gru, 3, 4, backend='reference'): 5 steps of 2 rows, without gradients\n"
            "layer 0, forward\n"
            "  backend  reference\n"
            "  because  it was chosen by hand"
        )
    layer.backend = "cpu"
    (part,) = gatework.explain(layer, torch.zeros(5, 2, 3).bfloat16()).parts
    assert part.account.backend == "none"
    assert part.account.reason == (
        "backend='cpu' was chosen, which cannot run this: the type is bfloat16, and kernels compute in float32 and "
        "float64: convert layer and input"
    )


@pytest.mark.parametrize(
    "options", [{}, {"memory": "small"}, {"memory": "sqrt"}, {"bidirectional": True, "num_layers": 2}]
)
@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_layer_norm", "peephole"])
def test_what_is_said_to_be_kept_is_kept(cell, options):
    """Against the bytes that autograd holds after a forward pass, beside inputs, states and weights."""
    layer, input = gatework.Recurrent(cell, 5, 24, **options), torch.randn(500, 4, 5)
    known = {one.untyped_storage().data_ptr() for one in (input, *layer.parameters())}
    found = {}

    def hold(tensor):
        place = tensor.untyped_storage().data_ptr()
        # Flat rows of steps and batch, as kernels keep them, or the states at checkpoints.
        if place not in known and (tensor.shape[0] >= 500 * 4 or (tensor.dim() == 3 and tensor.shape[0] < 500)):
            found[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with saved_tensors_hooks(hold, lambda tensor: tensor):
        output, _ = layer(input)
    assert output.requires_grad
    assert sum(found.values()) == gatework.explain(layer, input).kept


def test_each_direction_and_form_of_input():
    layer = gatework.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    parts = gatework.explain(layer, torch.zeros(2, 5, 3)).parts
    assert [(part.layer, part.direction) for part in parts] == [
        (0, "forward"),
        (0, "backward"),
        (1, "forward"),
        (1, "backward"),
    ]
    assert gatework.explain(layer, torch.zeros(5, 3)).rows == 1
    packed = gatework.explain(layer, pack_sequence([torch.zeros(5, 3), torch.zeros(2, 3)]))
    assert (packed.steps, packed.rows) == (5, 2)
    with pytest.raises(RuntimeError, match="must be equal to input_size"):
        gatework.explain(layer, torch.zeros(2, 5, 4))
    with pytest.raises(SizeError, match=r"The input `x` has the shape \(2, 5, 4\)"):
        gatework.explain(gatework.Recurrent("gru", 3, 4), torch.zeros(2, 5, 4))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("name", [*gatework.CELLS, "zoneout"])
def test_what_is_said_to_run_runs(monkeypatch, name, backend, training):
    cell = gatework.zoneout(gatework.CELLS["lstm"], c=0.2) if name == "zoneout" else gatework.CELLS[name]
    layer = gatework.Recurrent(cell, 8, 8, 2, proj_size=4 if "proj_size" in cell.step.size_keys else 0, backend=backend)
    layer.train(training)
    input = torch.zeros(5, 2, 8)
    ran = []

    def spy(key, function):
        def run(call):
            ran.append(key)
            return function(call)

        return run

    for key in BACKENDS:
        monkeypatch.setattr(BACKENDS[key], "run", spy(key, BACKENDS[key].run))
    said = [part.account.backend for part in gatework.explain(layer, input).parts]
    assert not ran
    layer(input)
    assert said == ran


def test_few_rows_share_units(two_threads):
    layer = gatework.Recurrent("lstm", 256, 256)
    with torch.no_grad():
        told = gatework.explain(layer, torch.zeros(5, 1, 256)).parts[0].account
        small = gatework.explain(gatework.Recurrent("lstm", 3, 4), torch.zeros(5, 1, 3)).parts[0].account
    assert (told.threads, told.shared, told.kept) == (2, "units", 0)
    assert (small.threads, small.shared) == (1, "")


def test_where_the_kernel_comes_from(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path))
    text = "h = tanh(W @ x + R @ h + b) * 0.{}"
    layers = [gatework.Recurrent(text.format(digits), 3, 4) for digits in (8127, 8128)]
    input = torch.zeros(5, 2, 3)

    def origin(layer):
        return gatework.explain(layer, input).parts[0].account.kernel

    assert origin(layers[0]) == "not compiled until now"
    assert origin(layers[0]) == "compiled in this process"
    monkeypatch.setattr(account.cache, "read", lambda key: b"found")
    assert origin(layers[1]) == "on disk, compiled by an earlier process"


def test_kernels_that_cannot_be_compiled(monkeypatch):
    def fail(plan, dtype):
        raise KernelError("LLVM says no.")

    monkeypatch.setattr(account, "kernel_for", fail)
    layer, input = gatework.GRU(3, 4), torch.zeros(5, 2, 3)
    told = gatework.explain(layer, input).parts[0].account
    assert (told.backend, told.reason, told.kept) == ("reference", "LLVM says no.", None)
    layer.backend = "cpu"
    told = gatework.explain(layer, input).parts[0].account
    assert (told.backend, told.reason, told.kept) == ("none", "LLVM says no.", 0)


def test_text_of_a_layer_with_a_memory():
    layer = gatework.Recurrent(gatework.attend(gatework.CELLS["rnn"]), 3, 4, memory_size=6)
    explanation = gatework.explain(layer, torch.zeros(5, 2, 3), memories=torch.zeros(2, 7, 6))
    told = str(explanation).splitlines()
    assert told[1] == "memory m: 7 positions of 6 numbers for each row"
    assert explanation.parts[0].account.backend == "cpu"
    assert "  once     U_a @ m, for all steps, by torch's operators" in told
    carried = gatework.Recurrent(gatework.attend(gatework.CELLS["rnn"], "location"), 3, 4, memory_size=6)
    (part,) = gatework.explain(carried, torch.zeros(5, 2, 3), memories=torch.zeros(2, 7, 6)).parts
    assert part.account.backend == "reference"
    assert part.account.reason == "`a` has a number for each position of a memory, from step to step"
    bare = gatework.cell("a = softmax(s)\nh = tanh(W @ x + R @ h + C @ (a @ m))", memories="m=s")
    layer = gatework.Recurrent(bare, 3, 4, memory_size=6)
    given = {"m": torch.zeros(2, 7, 6), "s": torch.zeros(2, 7)}
    assert str(gatework.explain(layer, torch.zeros(5, 2, 3), memories=given)).splitlines()[1:3] == [
        "memory m: 7 positions of 6 numbers for each row",
        "memory s: 7 positions of one number for each row",
    ]
