"""``memory="sqrt"``: the same bits as ``small``, with the states of a few steps in memory."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.kernels.cases import STEPS, Case, memory_full_of_nan
from tests.tolerances import assert_same
from torch.autograd.graph import saved_tensors_hooks

import gatework
from gatework.kernels.cpu import adjoint, checkpoints

ROOT = Path(__file__).parents[2]
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "reverse": {"reverse": True},
    "restart": {"restart": True},
    "learned": {"restart": True, "learned": True},
    "lengths": {"lengths": [23, 0, 5, 9, 9, 22, 1]},
    "no row": {"lengths": [0] * 7},
    "all rows short": {"lengths": [3, 0, 5, 9, 9, 13, 1], "restart": True, "learned": True, "reverse": True},
    "drawn": {"lengths": [3, 0, 5, 9, 9, 23, 1], "drawn": True, "reverse": True, "strided": True},
    "packed": {"lengths": [23, 22, 22, 5, 5, 1, 1], "packed": True},
    "packed, reverse": {"lengths": [23, 22, 22, 5, 5, 1, 1], "packed": True, "reverse": True, "restart": True},
}
CELLS = ("lstm", "gru_v3", "slstm", "structures", "all options", "projected peephole", "depth_gated")


@pytest.fixture(params=[1, 28, 100, adjoint.DEEPEST], ids="chunks of {}".format)
def depth(request, monkeypatch) -> Iterator[int]:
    """Cut time into chunks of a step, a few steps, half of them and all, so that stretches are of all kinds."""
    monkeypatch.setattr(adjoint, "DEEPEST", request.param)
    return request.param


def both(name: str, dtype: torch.dtype = torch.float32, **options: Any) -> tuple[dict[str, torch.Tensor], ...]:
    """Run a case with either memory; no number that is read may be left over from memory that was empty."""
    with memory_full_of_nan():
        return tuple(
            Case(STEPS[name], 23, 7, 20, memory=kind, **options).run("cpu", dtype) for kind in ("small", "sqrt")
        )


@pytest.mark.usefixtures("depth")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CELLS)
def test_the_bits_of_small(name, way):
    small, sqrt = both(name, **WAYS[way])
    assert all(one.isfinite().all() for one in small.values())
    assert list(small) == list(sqrt)
    assert_same([*sqrt.values()], [*small.values()])


@pytest.mark.usefixtures("depth")
def test_the_bits_of_small_in_float64_with_recorded_names():
    for way in ("learned", "all rows short", "packed, reverse"):
        small, sqrt = both("lstm", torch.float64, record=("c", "i", "h"), **WAYS[way])
        assert "recorded i" in small
        assert_same([*sqrt.values()], [*small.values()])


def trained(layer: gatework.Recurrent, **options: Any) -> list[torch.Tensor]:
    """Give the output, the last states and every gradient of a layer."""
    torch.manual_seed(1)  # for masks
    x = torch.randn(200, 5, 6, generator=torch.Generator().manual_seed(2)).requires_grad_()
    output, state = layer(x, **options)
    states = state if isinstance(state, tuple) else (state,)
    loss = output.square().sum() + sum(one.sin().sum() for one in states)
    grads = torch.autograd.grad(loss, [x, *layer.parameters()])
    return [output.detach(), *(one.detach() for one in states), *grads]


LAYERS: dict[str, dict[str, Any]] = {
    "stacked in both directions": {"num_layers": 3, "bidirectional": True, "dropout": 0.5},
    "projected": {"proj_size": 4, "learn_initial_state": True},
    "wired": {"num_layers": 3, "skip": "both", "tie_layers": True},
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        lengths, reset = torch.tensor([200, 3, 150, 0, 77]), torch.zeros(200, 5, dtype=torch.bool)
        reset[[0, 50, 151], [1, 2, 0]] = True
        layer = gatework.Recurrent("lstm", 6, 9, **LAYERS[name])
        for options in ({}, {"lengths": lengths}, {"reset": reset}):
            layer.memory = "small"
            expected = trained(layer, **options)
            layer.memory = "sqrt"
            assert_same(trained(layer, **options), expected)
    finally:
        torch.set_num_threads(before)


def test_a_part_of_the_gradients():
    """The gradient of a last state alone, of an input alone, and of nothing that the loss reads."""
    layer, both = gatework.LSTM(3, 5), []
    for layer.memory in ("small", "sqrt"):
        x = torch.linspace(-1, 1, 3 * 600).reshape(300, 2, 3).requires_grad_()
        output, (h, c) = layer(x)
        found = [
            torch.autograd.grad(c[0, 1, 2], [layer.weight_hh_l0], retain_graph=True)[0],
            torch.autograd.grad(output[7].sum(), [x], retain_graph=True)[0],
            torch.autograd.grad(h.sum(), [layer.bias_ih_l0])[0],
        ]
        assert not found[1][8:].any()
        assert found[1][:8].all()
        both.append(found)
    assert_same(*both)


def test_the_output_may_be_changed_in_place():
    """Its memory is the caller's own, so the gradients are those of a copy; a changed input is refused."""
    layer = gatework.GRU(3, 16, 2, memory="sqrt")
    x = torch.randn(300, 2, 3, requires_grad=True)
    expected = torch.autograd.grad(layer(x)[0].clone().relu_().sum(), [x, *layer.parameters()])
    output, _ = layer(x)
    output.relu_()
    assert_same(torch.autograd.grad(output.sum(), [x, *layer.parameters()]), expected)
    given = x * 1
    output, _ = layer(given)
    given.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_the_gradient_of_a_gradient():
    """The reference computes it, from the input alone."""
    found = []
    for kind in ("fast", "sqrt"):
        torch.manual_seed(0)
        layer = gatework.LSTM(2, 3, memory=kind, dtype=torch.float64)
        x = torch.randn(30, 2, 2, dtype=torch.float64, requires_grad=True)
        (grad,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(grad.square().sum(), [x, *layer.parameters()], materialize_grads=True))
    assert_same(*found)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=9), st.integers(0, 50), st.booleans())
def test_stretches_are_all_of_time(lengths, beyond, reverse):
    """Each step is in one stretch; there are at most as many as memory is asked for, and each has enough steps."""
    steps = max(*lengths, 0) + beyond if len(lengths) > 1 else lengths[0] + beyond
    steps = max(steps, 1)
    counts = (np.array(lengths)[None, :] > np.arange(steps)[:, None]).sum(1)
    bounds = checkpoints._bounds(counts, reverse, len(lengths))
    sizes = np.diff(bounds)
    assert (bounds[0], bounds[-1]) == (0, steps)
    assert len(sizes) <= checkpoints.most(steps) == math.isqrt(steps) + 1
    full = sizes[:-1] if reverse else sizes[1:]  # the adjoint runs the other one last
    assert (full >= math.sqrt(steps)).all()


def test_only_the_states_at_checkpoints_are_saved():
    """In a run of 5000 steps: beside inputs, states and weights, autograd holds some hundred rows of states."""
    saved: dict[int, torch.Tensor] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.data_ptr()] = tensor
        return tensor

    layer, x = gatework.LSTM(7, 8, memory="sqrt"), torch.randn(5000, 4, 7)
    with saved_tensors_hooks(hold, lambda tensor: tensor):
        layer(x)
    del saved[x.data_ptr()]
    numbers = sum(one.numel() for one in saved.values()) - sum(one.numel() for one in layer.parameters())
    assert numbers <= (checkpoints.most(5000) + 1) * 2 * 4 * 8


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from Linux's /proc")
def test_the_peak_of_a_long_run():
    """Of 10,000 steps, forward and backward: at most 4 sqrt(T) states, with all that the run needs beside them."""
    rows, steps, units = 64, 10_000, 64
    program = ROOT / "benchmarks" / "kernels" / "checkpoints.py"
    command = [sys.executable, program, *map(str, (rows, steps, units)), "--only"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    found = {}
    for kind in ("small", "sqrt"):
        done = subprocess.run(
            [*command, kind], capture_output=True, text=True, check=False, timeout=300, env=environment
        )
        assert done.returncode == 0, done.stderr
        found[kind] = json.loads(done.stdout)["states"]
    assert found["sqrt"] <= 4 * math.sqrt(steps)
    assert found["small"] > steps / 2  # c of every step; h of every step is the output


@pytest.mark.usefixtures("depth")
@pytest.mark.parametrize("kind", ["dot", "additive"])
@pytest.mark.parametrize("options", [{}, {"lengths": [3, 23, 0, 9]}], ids=str)
def test_a_memory_of_the_cell(kind, options):
    """Its gradient, too, is a sum over all steps."""
    both = []
    layer = gatework.Recurrent(gatework.attend(gatework.CELLS["lstm"], kind), 3, 5, memory_size=5, bidirectional=True)
    for layer.memory in ("small", "sqrt"):
        torch.manual_seed(0)
        x, bank = torch.randn(23, 4, 3, requires_grad=True), torch.randn(4, 6, 5, requires_grad=True)
        output, (h, c), records = layer.record(x, memories=bank, memory_lengths=[6, 2, 1, 3], **options)
        recorded = [one for record in records for one in record.values()]
        loss = output.square().sum() + h.sin().sum() + c.cos().sum() + sum(one.exp().sum() for one in recorded)
        grads = torch.autograd.grad(loss, [x, bank, *layer.parameters()])
        both.append([output.detach(), h.detach(), c.detach(), *(one.detach() for one in recorded), *grads])
    assert_same(both[1], both[0])
