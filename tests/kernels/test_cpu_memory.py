"""What kernels do to memory: nothing outside their tensors, nothing kept for ever, nothing shared by accident."""

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.kernels.cases import STEPS, Case
from tests.tolerances import assert_same

from gatework.kernels import run
from gatework.kernels.cpu import memory, rows, workspace
from gatework.kernels.cpu.kernel import MOST_SIZES
from gatework.kernels.door.launch import MEMORY

GUARD = 64  # numbers before and after every tensor
MARK = 12345.0
ROOT = Path(__file__).parents[2]


class Guarded:
    """Stand in for torch's ways to make tensors, and put marks around every tensor of floats that is made."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.rooms: list[torch.Tensor] = []
        empty = torch.empty

        def room(*shape, dtype=None, device="cpu", **options):
            sizes = shape[0] if shape and not isinstance(shape[0], int) else shape
            kind = torch.get_default_dtype() if dtype is None else dtype
            if not kind.is_floating_point or device != "cpu" or options:
                return empty(*shape, dtype=dtype, device=device, **options)
            count = torch.Size(sizes).numel()
            whole = torch.full((count + 2 * GUARD,), MARK, dtype=kind)
            whole[GUARD : GUARD + count] = float("nan")
            self.rooms.append(whole)
            return whole[GUARD : GUARD + count].view(torch.Size(sizes))

        def zeros(*shape, dtype=None, **options):
            return room(*shape, dtype=dtype, **options).zero_()

        patch.setattr(torch, "empty", room)
        patch.setattr(torch, "zeros", zeros)
        patch.setattr(torch.Tensor, "new_empty", lambda one, *shape: room(*shape, dtype=one.dtype))
        patch.setattr(torch.Tensor, "new_zeros", lambda one, *shape: zeros(*shape, dtype=one.dtype))

    def check(self) -> None:
        assert len(self.rooms) > 5
        for whole in self.rooms:
            assert (whole[:GUARD] == MARK).all()
            assert (whole[-GUARD:] == MARK).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "structures", "all options", "projected peephole", "heads"])
def test_nothing_is_written_beside_a_tensor(name, memory, dtype, monkeypatch):
    broken: dict[str, Any] = {"lengths": [6, 0, 4, 1, 6], "restart": True}
    turned: dict[str, Any] = {"reverse": True}
    for size, options in ((9, {}), (19, broken), (33, turned)):
        case = Case(STEPS[name], 6, 5, size, memory=memory, drawn=True, seed=size, **options)
        with monkeypatch.context() as patch:
            most = workspace.MOST_KEPT
            patch.setattr(workspace, "MOST_KEPT", 0)  # so that the last run makes all its room
            for _ in range(most):
                case.run("cpu", dtype)
            expected = case.run("cpu", dtype)
            guarded = Guarded(patch)
            found = case.run("cpu", dtype)
        guarded.check()
        assert_same(list(found.values()), list(expected.values()))


AT_THE_EDGE = """
import ctypes, mmap, sys
import torch
from tests.kernels.cases import STEPS, Case

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
held = []

def at_the_edge(self, tensor, dtype, needed):
    "Copy a tensor to where the next byte behind it, or before it, must not be touched."
    size, page = tensor.numel() * dtype.itemsize, mmap.PAGESIZE
    pages = -(-size // page)
    area = mmap.mmap(-1, (pages + 2) * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for place in (start, start + (pages + 1) * page):
        assert libc.mprotect(place, page, 0) == 0
    held.append(area)
    offset = page + (pages * page - size if sys.argv[1] == "behind" else 0)
    found = torch.frombuffer(area, dtype=dtype, count=tensor.numel(), offset=offset).view(tensor.shape)
    return found.copy_(tensor).requires_grad_(needed)

Case.leaf = at_the_edge
for name in ("lstm", "gru_v3", "structures", "all options", "projected peephole", "depth_gated", "indrnn"):
    for size in (1, 7, 16, 33, 64):
        for options in ({}, {"lengths": [3, 0, 2], "restart": True, "learned": True, "memory": "small"}):
            for dtype in (torch.float32, torch.float64):
                Case(STEPS[name], 3, 3, size, **options).run("cpu", dtype)
print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are guarded by Linux's mprotect")
@pytest.mark.parametrize("side", ["before", "behind"])
def test_nothing_is_read_beside_a_tensor(side):
    """Tensors that a caller gives end, or begin, where memory ends: to read on would end the process."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-c", AT_THE_EDGE, side]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert result.stdout.split() == ["done"], result.stderr[-2000:]


def test_two_models_train_in_two_threads():
    """Two runs at once, of two cells and of the same: each gives what it gives alone."""
    cases = [Case(STEPS[name], 20, 6, 40, seed=seed) for name in ("lstm", "gru_v3") for seed in (0, 1)]

    def train(case: Case) -> list[torch.Tensor]:
        weights = {name: one.clone().requires_grad_() for name, one in case.weights.items()}
        state = tuple(case.state[name] for name in case.step.states)
        optimiser = torch.optim.SGD(weights.values(), 0.05)
        for _ in range(25):
            optimiser.zero_grad()
            run(case.step, weights, tuple(case.inputs.values()), state).output.square().sum().backward()
            optimiser.step()
        return [one.detach() for one in weights.values()]

    alone = [train(case) for case in cases]
    together: dict[int, list[torch.Tensor]] = {}
    workers = [
        threading.Thread(target=lambda place=place, case=case: together.update({place: train(case)}))
        for place, case in enumerate(cases)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for place, expected in enumerate(alone):
        assert_same(together[place], expected)


# In a process of its own: what many tests have left behind moves by megabytes whenever something is let go.
THOUSAND_RUNS = """
import gc, os, sys
from pathlib import Path
import torch
from tests.kernels.cases import STEPS, Case

memory = sys.argv[1]
plain = Case(STEPS["lstm"], 20, 12, 32, memory=memory)
ragged = [Case(STEPS["lstm"], 20, 12, 32, memory=memory, seed=n, lengths=[20 - n] * 6 + [n] * 6) for n in range(10)]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

def runs(number):
    for place in range(number):
        (plain if place % 2 else ragged[place // 2 % 10]).run("cpu", torch.float32)
    gc.collect()

runs(200)
before, objects = resident(), len(gc.get_objects())
runs(1000)
print(resident() - before, len(gc.get_objects()) - objects)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("memory", MEMORY)
def test_a_thousand_runs_leave_nothing(memory):
    """Runs forward and back, of rows of all lengths: a leak of one output each would be 30 MB."""
    command = [sys.executable, "-c", THOUSAND_RUNS, memory]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    grown, objects = map(int, done.stdout.split())
    assert grown < 4 << 20
    assert objects < 500


def test_workspaces_of_other_lengths_go_at_once(monkeypatch):
    """Without waiting for Python to look for circles: each would hold on to as much as a pass needs."""
    made: list[weakref.ref[workspace.Workspace]] = []

    class Noted(workspace.Workspace):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(weakref.ref(self))

    monkeypatch.setattr(workspace, "Workspace", Noted)
    gc.collect()
    gc.disable()
    try:
        for length in range(5, 25):
            Case(STEPS["lstm"], length, 3, 9).run("cpu", torch.float32)
        alive = sum(one() is not None for one in made)
    finally:
        gc.enable()
    assert len(made) >= 40
    assert alive <= 2 * workspace.MOST_KEPT  # forward and back


# --- what is kept has an end


class Thing:
    """Something that lies ready."""

    def __init__(self, held: int) -> None:
        self.held, self.gone = held, False

    def let_go(self) -> None:
        self.gone = True


@pytest.fixture
def nothing_kept(monkeypatch):
    """The account of a process in which nothing has run."""
    monkeypatch.setattr(memory, "_idle", {})
    monkeypatch.setattr(memory, "_out", {})
    monkeypatch.setattr(memory, "_lately", deque(maxlen=memory.LATELY))


@pytest.mark.usefixtures("nothing_kept")
def test_what_was_used_least_recently_goes_first():
    part = memory.SPARE // 4
    things = [Thing(part) for _ in range(5)]  # one more than is spare: what was in use at once is kept as well
    for one in things:
        memory.keep(one)
    memory.keep(things[0])
    assert not any(one.gone for one in things)
    memory.keep(Thing(part))
    assert [one.gone for one in things] == [False, True, False, False, False]
    memory.forget(things[2])  # it is taken, and counts no longer
    memory.keep(Thing(part))
    assert [one.gone for one in things] == [False, True, False, False, False]


@pytest.mark.usefixtures("nothing_kept")
def test_what_is_large_is_kept_while_it_is_used():
    large, other = Thing(4 * memory.SPARE), Thing(4 * memory.SPARE)
    memory.keep(large)
    assert not large.gone
    for _ in range(memory.LATELY - 1):
        memory.keep(Thing(1))
    assert not large.gone
    memory.keep(Thing(1))  # now that so much was in use is too long ago
    assert large.gone
    memory.keep(other)
    memory.keep(Thing(memory.MOST_IN_USE * 2))
    assert memory.kept_bytes() <= memory.SPARE + memory.MOST_IN_USE


@pytest.mark.usefixtures("nothing_kept")
def test_small_things_end_too():
    things = [Thing(0) for _ in range(memory.MOST_THINGS + 3)]
    for one in things:
        memory.keep(one)
    assert [one.gone for one in things[:4]] == [True, True, True, False]


def test_workspaces_of_layers_that_are_gone_go(monkeypatch):
    """Those of other sizes; the ones that are in use are not touched."""
    monkeypatch.setattr(memory, "SPARE", 1 << 20)
    monkeypatch.setattr(memory, "_lately", deque(maxlen=memory.LATELY))
    made: list[weakref.ref[workspace.Workspace]] = []

    class Noted(workspace.Workspace):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(weakref.ref(self))

    monkeypatch.setattr(workspace, "Workspace", Noted)
    for size in range(70, 90):
        Case(STEPS["lstm"], 3, 2, size).run("cpu", torch.float32)
    alive = [one for one in (reference() for reference in made) if one is not None]
    assert len(made) == 40
    assert 2 <= len(alive) < 20
    assert sum(one.held for one in alive) <= memory.SPARE + 2 * max(one.held for one in alive)
    kernels = {one.sized.kernel for one in alive}
    assert all(len(kernel.sized) <= MOST_SIZES for kernel in kernels)


def test_layouts_of_batches_end(monkeypatch):
    monkeypatch.setattr(memory, "SPARE", 1 << 20)
    monkeypatch.setattr(memory, "_lately", deque(maxlen=memory.LATELY))
    held = [rows.even_rows(steps, 4, False).bytes for steps in range(1000, 1040)]
    assert sum(held) > 4 << 20
    assert sum(one.held for one in rows._even.values()) < (1 << 20) + 2 * max(held)
    assert rows.even_rows(1039, 4, False) is rows.even_rows(1039, 4, False)


# In a process of its own, as above.
MANY_SIZES = """
import gc, os
from pathlib import Path
import torch
import gatework

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

def run(size, rows=4, steps=3):
    layer = gatework.LSTM(size, size)
    layer(torch.randn(steps, rows, size, requires_grad=True))[0].sum().backward()

for size in (250, 251, 252):
    run(size)
before = resident()
for size in range(253, 313):
    run(size)
sizes = resident() - before
for rows in range(1, 41):
    run(256, rows=rows)
for steps in range(1, 41):
    run(256, steps=steps)
print(sizes, resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_sixty_sizes_leave_little():
    """Each layer has about 9 MB of workspaces, and is gone."""
    command = [sys.executable, "-c", MANY_SIZES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    sizes, others = map(int, done.stdout.split())
    assert sizes < 100 << 20
    assert others < 100 << 20


def test_outputs_are_the_callers():
    """A later run of the same shape does not write into what an earlier one gave."""
    case, other = Case(STEPS["lstm"], 5, 3, 9), Case(STEPS["lstm"], 5, 3, 9, seed=1)
    first = case.run("cpu", torch.float32)
    held = {name: one.clone() for name, one in first.items()}
    other.run("cpu", torch.float32)
    assert_same(list(first.values()), list(held.values()))


@pytest.mark.parametrize("lengths", [None, [5, 2, 0]])
@pytest.mark.parametrize("what", ["output", "detached output", "state", "detached state"])
def test_results_changed_in_place_are_noticed(what, lengths):
    """Either the gradient is what it is without the change, or autograd refuses; never a wrong number."""
    case = Case(STEPS["lstm"], 5, 3, 9, lengths=lengths)
    weights = {name: one.double().requires_grad_() for name, one in case.weights.items()}
    state = tuple(case.state[name].double() for name in case.step.states)
    ends = None if lengths is None else torch.tensor(lengths)

    def loss(change: bool) -> torch.Tensor:
        result = run(case.step, weights, (case.inputs["x"].double(),), state, lengths=ends, backend="cpu")
        one = result.output if "output" in what else result.state[0]
        total = result.output.sum() + result.state[0].sum() + result.state[1].sum()
        if change:
            (one.detach() if "detached" in what else one).mul_(2)
        return total

    expected = torch.autograd.grad(loss(False), list(weights.values()))
    try:
        found = torch.autograd.grad(loss(True), list(weights.values()))
    except RuntimeError as error:
        assert "inplace" in str(error)  # noqa: PT017 - to refuse is right, and so is the right number
        return
    assert_same(found, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_results_without_gradients_may_be_changed(mode):
    case = Case(STEPS["lstm"], 5, 3, 9)
    with mode():
        found = case.run("cpu", torch.float32, ())
        held = {name: one.clone() for name, one in found.items()}
        for one in found.values():
            one.mul_(2)
        again = case.run("cpu", torch.float32, ())
    assert_same(list(again.values()), list(held.values()))
