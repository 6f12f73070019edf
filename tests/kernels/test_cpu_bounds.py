"""GATEWORK_CHECK: every access of a kernel is held against the memory it was given, before the kernel runs."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.kernels.cases import MEMORIES, OPTIONS, Case
from tests.kernels.cases import STEPS as RUN
from tests.kernels.test_cpu_rows import LEVELS
from tests.nn.sizes import layer_of
from tests.tolerances import assert_same

import gatework
from gatework.errors import KernelError
from gatework.kernels.cpu import kernel, layout, memory, workspace
from gatework.kernels.cpu.adjoint import Backward
from gatework.kernels.cpu.bounds import Bounds
from gatework.kernels.cpu.fused import can_record
from gatework.kernels.cpu.outers import Outers
from gatework.kernels.cpu.table import ArgumentTable
from gatework.kernels.cpu.workspace import Workspace
from gatework.kernels.door.launch import MEMORY
from gatework.language import parse

# Sizes that fill no register, so that rows are padded.
VARIANTS: dict[str, dict[str, Any]] = {
    "all kept": {"lengths": [5, 0, 4], "restart": True, "learned": True, "reverse": True},
    "little kept": {"lengths": [5, 3, 0], "packed": True, "memory": "small", "drawn": True},
}
STEPS = RUN | {"a reduction alone": parse("h = tanh(R @ h + W @ x + mean(d))", "h", ("x", "d"))}
PLANTED = parse("z = sigmoid(W @ x + R @ h + b)\nh = z * prev(h) + tanh(V @ x) * norm(U @ h)")


@pytest.fixture
def counts(monkeypatch) -> Iterator[Counter]:
    """Turn the check on; count what is checked, and what runs after it."""

    def let_go():
        for thing in list(memory._idle):  # workspaces that were made without the check, or with a planted fault
            memory.forget(thing)
            thing.let_go()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given):
            found[name] += 1
            return function(*given)

        return count

    found: Counter = Counter()
    let_go()
    monkeypatch.setenv("GATEWORK_CHECK", "1")
    monkeypatch.setattr(Bounds, "run", counted("checks", Bounds.run))
    monkeypatch.setattr(Bounds, "jobs", counted("checks", Bounds.jobs))
    monkeypatch.setattr(ArgumentTable, "call", counted("calls", ArgumentTable.call))
    yield found
    let_go()


# --- what stays inside runs as ever


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", STEPS)
def test_every_cell_stays_inside(counts, name, variant):
    step = STEPS[name]
    varies = tuple(line.target for line in step.equations if can_record(step, False, (line.target,)))
    Case(step, record=varies if variant == "all kept" else (), **VARIANTS[variant]).run("cpu", torch.float32)
    assert counts["checks"] == counts["calls"] > 2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", MEMORIES)
def test_memories_stay_inside(counts, name, variant):
    for positions, extents in ((6, [6, 0, 2]), (21, None)):
        options: dict[str, Any] = {"positions": positions, "extents": extents}
        Case(MEMORIES[name], **options, **VARIANTS[variant]).run("cpu", torch.float32)
    assert counts["checks"] == counts["calls"] > 2


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["lstm", "structures", "mixed inputs", "a reduction alone"])
def test_narrower_registers_stay_inside(counts, name, level, monkeypatch):
    monkeypatch.setattr(kernel, "_KERNELS", {})
    monkeypatch.setattr(kernel, "host", lambda: LEVELS[level])
    for options in VARIANTS.values():
        Case(STEPS[name], hidden_size=21, **options).run("cpu", torch.float32)
    assert counts["checks"] == counts["calls"] > 2
    assert {one.target for one in kernel._KERNELS.values() if isinstance(one, kernel.Kernel)} == {LEVELS[level]}


@pytest.mark.parametrize("rows", [2, 9], ids=["threads share units", "threads share rows"])
@pytest.mark.parametrize("name", ["lstm", *list(OPTIONS)])
def test_two_threads_stay_inside(counts, name, rows):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Case(STEPS[name], 6, rows, 90).run("cpu", torch.float64)
    finally:
        torch.set_num_threads(before)
    assert counts["checks"] == counts["calls"] > 2


def test_long_sequences_stay_inside(counts):
    """Time is cut into chunks, forward and backward."""
    for kept in MEMORY:
        Case(STEPS["lstm"], 700, 3, 70, lengths=[700, 650, 90], memory=kept).run("cpu", torch.float32)
    assert counts["checks"] == counts["calls"] > 20


@pytest.mark.parametrize("cell", gatework.CELLS.values(), ids=gatework.CELLS)
def test_streams_stay_inside(counts, cell):
    layer = layer_of(cell, 2, input_projection=True).float()
    layer.backend = "cpu"
    stream = layer.stream(3)
    prepared = counts["checks"] - counts["calls"]
    assert prepared >= 4  # two layers, to and fro
    given = [torch.randn(3, size) for size in stream._sizes]
    for _ in range(2):
        stream.step(tuple(given))
    assert counts["checks"] - counts["calls"] == 2 * prepared


def test_the_check_changes_no_number(counts, monkeypatch):
    case = Case(STEPS["lstm"], lengths=[5, 2, 4])
    checked = case.run("cpu", torch.float32)
    assert counts["checks"]
    for wanted in ("", "0"):
        counts.clear()
        monkeypatch.setenv("GATEWORK_CHECK", wanted)
        assert_same(case.run("cpu", torch.float32), checked)
        assert counts["calls"]
        assert not counts["checks"]


# --- what would not is stopped


def short_output(patch):
    make = Workspace.empty
    patch.setattr(Workspace, "empty", lambda work, rows, name: make(work, rows - 1, name))


def short_room(patch):
    make = memory.lasting_room
    patch.setattr(memory, "lasting_room", lambda sizes, dtype: [one[:-1] for one in make(sizes, dtype)])


def rows_that_overlap(patch):
    def make(work, rows, name):
        width = work.sized.width(name)
        return torch.empty(rows * width, dtype=work.dtype).as_strided((rows, width), (width - 1, 1))

    patch.setattr(Workspace, "empty", make)


def other_weights(change: Callable[[torch.Tensor], torch.Tensor], name: str) -> Callable[[Any], None]:
    def plant(patch):
        load = Workspace.load
        patch.setattr(Workspace, "load", lambda work, given: load(work, {**given, name: change(given[name])}))

    return plant


def short_vector(patch):
    lay = ArgumentTable.lay
    patch.setattr(
        ArgumentTable, "lay", lambda table, name, one: lay(table, name, one[:-1] if name == "base:b" else one)
    )


def short_input(patch):
    given = Workspace.given
    patch.setattr(Workspace, "given", lambda work, name, one: given(work, name, one[:-1]))


def narrow_input(patch):
    given = Workspace.given
    patch.setattr(Workspace, "given", lambda work, name, one: given(work, name, one[:, :-1]))


def early_input(patch):
    def given(work, name, sequence):
        work.table.point(name, sequence, first=1)
        return sequence

    patch.setattr(Workspace, "given", given)


def other_tables(**changes: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], None]:
    def plant(patch):
        make = layout.even_rows

        def changed(*given):
            rows = make(*given)
            tables: dict[str, Any] = {name: change(getattr(rows.kept, name)) for name, change in changes.items()}
            return replace(rows, kept=replace(rows.kept, **tables))

        patch.setattr(layout, "even_rows", changed)

    return plant


def other_panels(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def plant(patch):
        make = workspace.lay_out_panels
        patch.setattr(workspace, "lay_out_panels", lambda *given: change(make(*given)))

    return plant


def deeper(panels):
    spans = panels.spans.copy()
    spans[-1, 1] += 1
    return replace(panels, spans=spans)


def further(panels):
    spans = panels.spans.copy()
    spans[:, -2] += 9
    return replace(panels, spans=spans)


def few_pointers(patch):
    flat = Workspace.flat
    patch.setattr(Workspace, "flat", lambda work, phase: [work.table.set("pointers_size", 1), flat(work, phase)][1])


def one_step_more(patch):
    run = ArgumentTable.run

    def more(table, entry, threads):
        if entry == "each":
            table.set("steps", int(table.numbers[table.kernel.slots["steps"]]) + 1)
        run(table, entry, threads)

    patch.setattr(ArgumentTable, "run", more)


def short_gradients(patch):
    into = Outers.into
    patch.setattr(Outers, "into", lambda outers, given: into(outers, {name: one[:-1] for name, one in given.items()}))


def short_operands(patch):
    make = Backward._outers

    def made(back, targets):
        back.work.longest -= 1
        return make(back, targets)

    patch.setattr(Backward, "_outers", made)


FAULTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "output a row short": (short_output, r"because of `back_h`: it (reads|writes) bytes"),
    "room a row short": (short_room, r"because of `\w+`: it writes bytes"),
    "rows overlap": (
        rows_that_overlap,
        r"because of `back_h`: it writes rows of \d+ numbers that begin \d+ numbers apart\.",
    ),
    "matrix with fewer rows": (other_weights(lambda one: one[:-1], "R"), r"`pack` was not run, because of `matrices`"),
    "matrix of another layer": (other_weights(lambda one: one[:3, :3], "W"), r"`pack` was not run"),
    "vector a number short": (short_vector, r"because of `b`: it touches bytes 0 to"),
    "input a row short": (short_input, r"because of `x`: it reads bytes 0 to"),
    "input a number narrow": (narrow_input, r"because of `x`: it reads"),
    "input a row early": (early_input, r"because of `x`: it reads bytes -"),
    "index beyond": (other_tables(before=lambda one: one + 1000), r"because of `h`: it reads bytes"),
    "index before": (other_tables(before=lambda one: one - 1000), r"because of `h`: it reads bytes -"),
    "index short": (other_tables(here=lambda one: one[:-1].copy()), r"because of `here:h`: it touches bytes"),
    "panel a number short": (
        other_panels(lambda one: replace(one, size=one.size - 1)),
        r"`pack` was not run, because of `panels:`",
    ),
    "panel deeper than packed": (other_panels(deeper), r"because of `panels:\d.\d`: it touches bytes"),
    "operand read further": (other_panels(further), r"because of `\w+`: it reads"),
    "few pointers": (few_pointers, r"because of `pointers`: \d+ x \d are written, and a thread has room for 1\."),
    "a step more": (
        one_step_more,
        r"`each` was not run, because of `times`: it touches bytes 0 to 96, and there are 80\.",
    ),
    "gradient a row short": (short_gradients, r"`outer` was not run, because of `gradients`"),
    "operand a row short": (short_operands, r"`(panel|outer)` was not run, because of `operands`"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_before_the_kernel_runs(counts, monkeypatch, fault):
    plant, message = FAULTS[fault]
    case = Case(PLANTED, hidden_size=13 + 2 * list(FAULTS).index(fault))  # what is kept for a size holds the fault
    plant(monkeypatch)
    with pytest.raises(KernelError, match=message):
        case.run("cpu", torch.float32)
    assert counts["checks"] == counts["calls"] + 1


def test_a_fault_is_told_in_full(counts, monkeypatch):
    one_step_more(monkeypatch)
    expected = (
        "GATEWORK_CHECK: the kernel's entry `each` was not run, because of `times`: it touches bytes 0 to 96, and "
        "there are 80. This is a fault of gatework, not of your equations or data: please report it with the cell and "
        "the sizes. Until it is mended choose backend='reference', which needs no kernels."
    )
    with pytest.raises(KernelError, match=f"^{re.escape(expected)}$"):
        Case(PLANTED).run("cpu", torch.float32)


def test_auto_says_so_and_takes_the_reference(counts, monkeypatch):
    one_step_more(monkeypatch)
    case = Case(PLANTED, hidden_size=11)
    with pytest.warns(RuntimeWarning, match=r"^GATEWORK_CHECK: .* The reference runs instead, and is slower\.$"):
        found = case.run("auto", torch.float32)
    assert_same(found, case.run("reference", torch.float32))


@pytest.mark.parametrize("name", ["input", "output", "state"])
def test_a_stream_is_stopped_before_a_step(counts, name):
    layer = gatework.Recurrent("gru", 5, 9, backend="cpu")
    stream = layer.stream(3)
    given = torch.randn(3, 5)
    stream.step(given)
    chain: Any = stream._chain
    before = stream.state.clone()
    if name == "input":
        given = given[:-1]
    elif name == "output":
        chain.output = torch.zeros(2, 9)
    else:
        chain.checks[1][0].note("base:h", torch.zeros(5, 16))
    with pytest.raises(
        KernelError, match=f"because of `{'x' if name == 'input' else 'h' if name == 'state' else name}`"
    ):
        chain.step([given])
    assert torch.equal(stream.state, before)
