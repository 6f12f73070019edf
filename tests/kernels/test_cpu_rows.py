"""Bit by bit: a row does not know what is computed beside it, on how many threads, in which chunks, or when."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from tests.kernels.cases import STEPS, Case, memory_full_of_nan
from tests.kernels.test_cpu_functions import TARGETS
from tests.tolerances import assert_all_near, assert_same

from gatework.kernels.cpu import adjoint, execute, kernel
from gatework.kernels.door.launch import MEMORY

DTYPES = (torch.float32, torch.float64)
LEVELS = {name: target for name, target in TARGETS.items() if name != "neon"}
if "avx2" in LEVELS:
    # Registers as narrow, and tiles as wide, as on ARM; what only its instructions can do is left out.
    LEVELS["narrow"] = dataclasses.replace(LEVELS["avx2"], bits=128, tile_vectors=4)
NAMES = ("lstm", "gru_v3", "slstm", "structures", "all options", "reductions after")

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
every_cell = pytest.mark.parametrize("name", NAMES)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def of_rows(case: Case, rows: list[int]) -> Case:
    """Give a case of some of the rows of another."""
    part = dataclasses.replace(
        case, rows=len(rows), lengths=None if case.lengths is None else [case.lengths[row] for row in rows]
    )
    part.weights, part.sizes = case.weights, case.sizes
    for name in ("inputs", "masks"):
        setattr(part, name, {key: one[:, rows] for key, one in getattr(case, name).items()})
    for name in ("state", "initial"):
        setattr(part, name, {key: one[rows] for key, one in getattr(case, name).items()})
    part.arriving = {key: one[rows] if key.startswith("state") else one[:, rows] for key, one in case.arriving.items()}
    part.anew = None if case.anew is None else case.anew[:, rows]
    return part


def by_row(case: Case, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give what belongs to single rows: all but the gradients of parameters; rows first."""
    shared = {f"grad {name}" for name in case.weights}
    own = {f"grad {name}" for name in case.inputs} | {"output"}
    return {
        name: one.transpose(0, 1) if name in own or name.startswith("recorded") else one
        for name, one in found.items()
        if name not in shared
    }


def same_rows(part: Case, found: dict[str, torch.Tensor], whole: dict[str, torch.Tensor], rows: list[int]) -> None:
    for name, one in by_row(part, found).items():
        assert_same(one, by_row(part, whole)[name][rows])


@every_dtype
@every_cell
@pytest.mark.parametrize("number", [1, 2], ids=["one thread", "two threads"])
@pytest.mark.parametrize("breaks", [False, True], ids=["even", "broken"])
def test_a_row_alone_is_the_row_in_a_batch(name, breaks, number, dtype):
    """Few rows are shared by units and many by rows; tiles are of any height; the bits are the same."""
    lengths = [5, 1, 0, 3, 5, 2, 4, 1, 5, 2, 1, 3, 4]
    options: dict[str, Any] = {"restart": True, "learned": True, "lengths": lengths} if breaks else {}
    case = Case(STEPS[name], 5, 13, 100, drawn=True, **options)
    with threads(number):
        whole = case.run("cpu", dtype)
        for rows in ([0], [12], [7, 3], [1, 2, 3, 4, 5], [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]):
            part = of_rows(case, rows)
            same_rows(part, part.run("cpu", dtype), whole, rows)


@every_dtype
@every_cell
@pytest.mark.parametrize("rows", [1, 2, 4, 33])
def test_the_number_of_threads_changes_nothing(name, rows, dtype):
    """Not even the gradients of the parameters, which are summed over all rows."""
    case = Case(STEPS[name], 20, rows, 100)
    with threads(1):
        alone = case.run("cpu", dtype)
    for number in (2, 3, 7):
        with threads(number):
            found = case.run("cpu", dtype)
        for key, one in found.items():
            assert_same(one, alone[key])


@every_dtype
@every_cell
def test_every_run_gives_the_same(name, dtype):
    case = Case(STEPS[name], 12, 7, 70, drawn=True)
    for number in (1, 2):
        with threads(number):
            first = case.run("cpu", dtype)
            for _ in range(3):
                assert_same(list(case.run("cpu", dtype).values()), list(first.values()))


@every_cell
@pytest.mark.parametrize("where", ["first step", "last step", "state", "gradient"])
@pytest.mark.parametrize("what", [float("nan"), float("inf")])
def test_a_spoilt_row_spoils_no_other(name, where, what):
    """NaN or infinity in one row, at the first step or the last, in its state or in what arrives at its output."""
    case = Case(STEPS[name], 5, 7, 20)
    expected = case.run("cpu", torch.float32)
    row, others = 3, [0, 1, 2, 4, 5, 6]
    if where == "state":
        case.state = {key: one.index_fill(0, torch.tensor(row), what) for key, one in case.state.items()}
    elif where == "gradient":
        case.arriving["output"][2, row] = what
    else:
        for one in case.inputs.values():
            one[0 if where == "first step" else -1, row] = what
    found = case.run("cpu", torch.float32)
    part = of_rows(case, others)
    for key, one in by_row(part, found).items():
        assert_same(one[others], by_row(part, expected)[key][others])
    assert not all(one.isfinite().all() for one in found.values())


@every_dtype
@every_cell
@pytest.mark.parametrize("memory", MEMORY)
def test_chunks_change_no_row(name, memory, dtype, monkeypatch):
    """However time is cut: the same bits, and sums over time that differ by rounding alone."""
    broken: dict[str, Any] = {"lengths": [23, 5, 0, 17, 1, 23, 9], "reverse": True, "restart": True}
    for options in ({}, broken):
        case = Case(STEPS[name], 23, 7, 20, memory=memory, **options)
        true, whole = case.run("reference", torch.float64), case.run("cpu", dtype)
        for most in (1, 50):
            with monkeypatch.context() as patch:
                patch.setattr(execute, "CHUNK", most * 100)
                patch.setattr(adjoint, "DEEPEST", most)
                with memory_full_of_nan():
                    found = case.run("cpu", dtype)
            same_rows(case, found, whole, list(range(7)))
            assert_all_near(found, true, dtype)


@every_dtype
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "slstm", "structures", "all options"])
def test_narrower_registers(name, level, dtype, monkeypatch):
    """The whole way on every vector unit that this machine can stand in for."""
    monkeypatch.setattr(kernel, "_KERNELS", {})
    monkeypatch.setattr(kernel, "host", lambda: LEVELS[level])
    broken: dict[str, Any] = {"lengths": [4, 0, 2, 1, 3, 4, 2], "restart": True, "learned": True}
    for rows, options in ((7, broken), (2, {})):
        case = Case(STEPS[name], 4, rows, 21, **options)
        expected = case.run("reference", torch.float64)
        with memory_full_of_nan():
            found = case.run("cpu", dtype)
        assert_all_near(found, expected, dtype)
    assert {one.target for one in kernel._KERNELS.values() if isinstance(one, kernel.Kernel)} == {LEVELS[level]}
