"""Threads: how many, whose, and what happens in forked processes and where several call at once."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

import gatework
from gatework.errors import KernelError
from gatework.kernels.cpu import team as teams
from gatework.kernels.cpu.build import build
from gatework.kernels.cpu.drivers import entry, leave, write_barrier
from gatework.kernels.cpu.slots import Slots
from gatework.kernels.cpu.team import Team, team
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.target import host

WAIT = 120  # seconds after which a process counts as hanging
HAS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def script(text: str, **variables: str) -> str:
    """Run a script in a process of its own and give what it prints; one that hangs fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", **variables}
    run = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def meeting() -> tuple[int, Slots]:
    """Compile an entry whose threads each add 1 to ``begin``, meet 100 times, and write the team's size to ``end``."""
    target, slots, declarations = host(), Slots(), dict[str, str]()
    barrier = write_barrier(target, slots, declarations)
    code = Code(target, "float32", "define void @meeting(ptr %table)", declarations)
    _, size = entry(code, slots)
    code.let(f"atomicrmw add ptr {slots.address(code, 'begin')}, i64 1 seq_cst")
    with code.loop("0", "100"):
        code.do(f"call void @barrier(ptr %table, i64 {size})")
    code.do(f"store i64 {size}, ptr {slots.address(code, 'end')}")
    leave(code)
    library = build("\n".join([barrier, code.text(), *declarations.values()]), target)
    KEPT.append(library)
    return library.address("meeting"), slots


KEPT: list[object] = []  # machine code lives as long as its library


def meet(which: Team, threads: int) -> tuple[int, int]:
    """Call it; give how many threads came, and the size they were told."""
    address, slots = meeting()
    table = (ctypes.c_int64 * len(slots.places))()
    table[slots["team"]] = threads
    table[slots["team_function"]] = which.size_function if threads > 1 else 0
    which.run(address, ctypes.addressof(table), threads)
    return table[slots["begin"]], table[slots["end"]]


# --- how many


@pytest.mark.parametrize("which", [team(), Team(None, 0)], ids=["torch's", "own"])
@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_every_thread_comes_once_and_meets_the_others(which, threads):
    assert meet(which, threads) == (threads, threads)


def test_torch_is_obeyed_at_each_call():
    before = torch.get_num_threads()
    try:
        for number in (1, 3, 2):
            torch.set_num_threads(number)
            assert team().threads() == number
            assert Team(None, 0).threads() == number
    finally:
        torch.set_num_threads(before)


FEWER = """
import torch
from tests.kernels.test_cpu_team import meet, team
assert team().size_function
print(*meet(team(), 2))
"""


@pytest.mark.skipif(not team().size_function, reason="this build of torch brings no libgomp")
@pytest.mark.parametrize("variable", ["OMP_THREAD_LIMIT", "OMP_MAX_ACTIVE_LEVELS"])
def test_openmp_may_give_fewer(variable):
    """One thread of two that were asked for knows that it is alone, and does not wait for the other."""
    assert script(FEWER, **{variable: "1" if variable == "OMP_THREAD_LIMIT" else "0"}) == "1 1"


def test_why(two_threads, monkeypatch):
    assert Team(None, 0).why().startswith("threads of Python's, for this build of torch does not bring")
    assert Team(lambda *_: None, 1).why() == "torch's own threads"
    torch.set_num_threads(1)
    assert team().why() == "one thread, as torch is set to (torch.set_num_threads, or OMP_NUM_THREADS)"


def test_a_system_that_gives_no_threads(monkeypatch):
    def none(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(teams, "_idle", [])
    monkeypatch.setattr("threading.Thread.start", none)
    with pytest.raises(KernelError) as told:
        Team(None, 0).run(0, 0, 2)
    assert str(told.value) == (
        "The system gave 0 of 2 threads: can't start new thread. Ask for fewer, torch.set_num_threads(1)."
    )


# --- several callers


@pytest.mark.parametrize("which", [team(), Team(None, 0)], ids=["torch's", "own"])
def test_callers_at_once_do_not_meet(which):
    address, slots = meeting()
    found = []

    def call():
        for _ in range(20):
            table = (ctypes.c_int64 * len(slots.places))()
            table[slots["team"]] = 2
            table[slots["team_function"]] = which.size_function
            which.run(address, ctypes.addressof(table), 2)
            found.append((table[slots["begin"]], table[slots["end"]]))

    callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(WAIT)
        assert not caller.is_alive()
    assert found == [(2, 2)] * 80


def trained(seed: int, cell: str, hidden_size: int = 40, rows: int = 6) -> list[torch.Tensor]:
    """Train a small layer a few steps; give its output and its parameters."""
    draws = torch.Generator().manual_seed(seed)
    layer = gatework.Recurrent(cell, input_size=24, hidden_size=hidden_size)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=draws))
    given = torch.randn(10, rows, 24, generator=draws)
    output = given
    for _ in range(4):
        layer.zero_grad()
        output, _ = layer(given)
        output.square().sum().backward()
        with torch.no_grad():
            for parameter in layer.parameters():
                assert parameter.grad is not None
                parameter -= 0.01 * parameter.grad
    return [output.detach(), *(parameter.detach() for parameter in layer.parameters())]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return len(left) == len(right) and all(map(torch.equal, left, right))


@pytest.mark.parametrize("own", [False, True], ids=["torch's", "own"])
def test_two_threads_that_train_get_the_bits_of_one_alone(two_threads, monkeypatch, own):
    if own:
        monkeypatch.setattr(team(), "_parallel", None)
        monkeypatch.setattr(team(), "_size_function", 0)
    jobs = [(1, "lstm"), (2, "gru"), (3, "lstm"), (4, "lstm")]
    alone = [trained(*job) for job in jobs]
    together: dict[int, list[torch.Tensor]] = {}

    def work(place: int) -> None:
        torch.set_num_threads(2)
        together[place] = trained(*jobs[place])

    callers = [threading.Thread(target=work, args=(place,), daemon=True) for place in range(len(jobs))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(WAIT)
    assert all(same(together[place], alone[place]) for place in range(len(jobs)))


@pytest.mark.parametrize("cell", ["lstm", "gru_v3", "slstm"])
def test_the_number_of_threads_changes_no_bit_where_rows_are_shared(cell):
    before, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(trained(5, cell, rows=12))
    finally:
        torch.set_num_threads(before)
    assert same(found[0], found[1])
    assert same(found[0], found[2])


# --- forks

FORK = """
import os, sys, threading, torch
torch.set_num_threads(2)
from gatework.kernels.cpu.team import Team, team
from tests.kernels.test_cpu_team import same, trained
if OWN:
    team()._parallel, team()._size_function = None, 0
torch.randn(1000, 1000).sum()
before = trained(1, "lstm")
busy, stop = [], threading.Event()
def work():
    torch.set_num_threads(2)
    while not stop.is_set():
        trained(2, "lstm")
if THREADED:
    busy = [threading.Thread(target=work) for _ in range(2)]
    for one in busy:
        one.start()
for attempt in range(3):
    child = os.fork()
    if not child:
        code = 3
        try:
            # A cell that the parent has compiled, a new one, and in a child of the child.
            ok = same(trained(1, "lstm"), before) and len(trained(1, "mgu")) > 1 and team().threads() == 2
            grandchild = os.fork()
            if not grandchild:
                os._exit(0 if same(trained(1, "lstm"), before) else 5)
            code = 0 if ok and os.waitpid(grandchild, 0)[1] == 0 else 4
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(status))
stop.set()
for one in busy:
    one.join()
print(same(trained(1, "lstm"), before))
"""


@HAS_FORK
@pytest.mark.parametrize("threaded", [False, True], ids=["quiet", "while others train"])
@pytest.mark.parametrize("own", [False, True], ids=["torch's", "own"])
def test_a_forked_child_works_on(own, threaded):
    text = FORK.replace("OWN", str(own)).replace("THREADED", str(threaded))
    assert script(text).split() == ["0", "0", "0", "True"]


LAYERS = """
import os, signal, torch, gatework
from tests.kernels.test_cpu_team import same
torch.set_num_threads(2)
if not PAUSE:
    from gatework.kernels.cpu.team import team
    team()._pause = None
options = [
    {},
    {"bidirectional": True, "num_layers": 2, "dropout": 0.5},
    {"proj_size": 40, "learn_initial_state": True},
    {"memory": "small"},
    {"memory": "sqrt"},
]
layers = [gatework.Recurrent("lstm", 128, 130, **one) for one in options]
# So large that torch, too, shares its work among threads.
given, lengths = torch.randn(24, 16, 128), torch.arange(9, 25)
def trained(layer, ends):
    torch.manual_seed(1)
    layer.zero_grad()
    x = given.clone().requires_grad_()
    output, _ = layer(x, lengths=ends)
    output.square().sum().backward()
    return [output.detach(), x.grad, *(one.grad.clone() for one in layer.parameters())]
jobs = [(layer, ends) for layer in layers for ends in (None, lengths)]
expected = [trained(*job) for job in jobs]
for repeat in range(20):
    given.sum(), trained(*jobs[repeat % len(jobs)])  # the parent has threads again
    child = os.fork()
    if not child:
        code = 3
        try:
            signal.alarm(30)
            found = [trained(*job) for job in (jobs if repeat == 0 else [jobs[repeat % len(jobs)]])]
            wanted = expected if repeat == 0 else [expected[repeat % len(jobs)]]
            code = 0 if torch.get_num_threads() == (2 if PAUSE else 1) and all(map(same, found, wanted)) else 4
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(all(same(trained(*job), before) for job, before in zip(jobs, expected)))
"""


@HAS_FORK
@pytest.mark.skipif(not team().size_function, reason="this build of torch brings no libgomp")
@pytest.mark.parametrize("pause", [True, False], ids=["threads are ended", "threads are lost"])
def test_a_forked_child_trains_every_kind_of_layer(pause):
    """What torch itself does between kernels wants threads as well, of which a child has none of its parent's."""
    assert script(LAYERS.replace("PAUSE", str(pause))).split() == ["0"] * 20 + ["True"]


COMPILING = """
import os, signal, threading, time
from gatework.cells import CELLS
from gatework.kernels.cpu import kernel
from gatework.kernels.planning.recipe import Recipe
plans = [Recipe(CELLS[name].step, False).inference for name in ("lstm", "gru")]
real, begun = kernel.build, threading.Event()
def slow(text, target):
    begun.set()
    time.sleep(1)
    return real(text, target)
kernel.build = slow
thread = threading.Thread(target=kernel.kernel_for, args=(plans[0], "float32"))
thread.start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(30)
    kernel.build = real
    kernel.kernel_for(plans[1], "float32")
    os._exit(0)
print(os.waitpid(child, 0)[1])
thread.join()
"""


@HAS_FORK
def test_a_child_that_is_forked_while_another_thread_compiles_can_compile():
    assert script(COMPILING) == "0"


# --- Ctrl-C

INTERRUPT = """
import ctypes, os, signal, threading, time
from tests.kernels.test_cpu_team import slow
print(slow())
"""


def slow() -> str:
    """Interrupt a call that takes a while; say whether it came back before its threads were done."""
    done = []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def sleep(_):
        time.sleep(1)
        done.append(None)

    address = ctypes.cast(sleep, ctypes.c_void_p).value or 0
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        Team(None, 0).run(address, 0, 2)
    except KeyboardInterrupt:
        return f"interrupted after {len(done)}"
    return "not interrupted"


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="this system sends no signals")
def test_an_interruption_waits_for_the_threads():
    """What the table points to is freed as soon as the call is left."""
    assert script(INTERRUPT) == "interrupted after 2"
