"""Steps that read memories: kernels beside the reference in float64, from memory full of NaN, and their plans."""

import dataclasses
from typing import Any

import pytest
import torch
from tests.kernels.cases import MEMORIES, Case, memory_full_of_nan
from tests.kernels.test_cpu import check, every_dtype, every_memory
from tests.tolerances import assert_close, assert_same

from gatework.cells import CELLS, attend
from gatework.errors import ConfigError, KernelError
from gatework.kernels import run
from gatework.kernels.cpu.fused import can_record
from gatework.kernels.door.listing import code_of
from gatework.kernels.planning.lowering import lower
from gatework.kernels.planning.plan import show_plan
from gatework.kernels.planning.planned import PASSES_OF_A_CELL, plan_of
from gatework.kernels.planning.recipe import Recipe
from gatework.kernels.planning.verify import verified
from gatework.language import parse

BROKEN: dict[str, Any] = {
    **{"lengths": [4, 0, 2, 1, 3], "extents": [6, 3, 0, 1, 6], "restart": True},
    **{"learned": True, "reverse": True, "drawn": True},
}
EXTENTS = [6, 0, 2]
every_step = pytest.mark.parametrize("name", MEMORIES)


@every_dtype
@every_step
def test_every_step(name, dtype):
    """Plainly, and with all that can break the flow of states; positions that rows do not have hold NaN."""
    check(Case(MEMORIES[name]), dtype)
    check(Case(MEMORIES[name], 4, 5, 20, **BROKEN), dtype)
    check(Case(MEMORIES[name], 4, 5, 20, memory="small", **BROKEN), dtype)


# (H, B, T, L): numbers of units and of positions about the width of a vector, one row and many.
@pytest.mark.parametrize(
    ("hidden_size", "rows", "steps", "positions"),
    [(1, 1, 1, 1), (7, 3, 2, 1), (8, 1, 3, 8), (17, 33, 2, 17), (33, 2, 9, 7), (4, 3, 1, 65), (63, 3, 2, 33)],
)
@pytest.mark.parametrize("name", ["additive", "window", "several banks", "numbers at positions"])
def test_odd_shapes(name, hidden_size, rows, steps, positions):
    extents = [max(0, positions - 3 * row) for row in range(rows)]
    check(Case(MEMORIES[name], steps, rows, hidden_size, positions=positions, extents=extents), torch.float32)


@every_memory
@pytest.mark.parametrize("rows", [2, 9], ids=["threads share units", "threads share rows"])
@pytest.mark.parametrize("name", ["additive", "several banks", "all options and a memory"])
def test_two_threads(name, rows, memory):
    """Bit by bit what one thread computes."""
    case = Case(MEMORIES[name], 6, rows, 90, memory=memory, extents=[6, 0, 3, 1, 6, 2, 5, 4, 6][:rows])
    alone = check(case, torch.float64)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = check(case, torch.float64)
    finally:
        torch.set_num_threads(before)
    assert_same(list(together.values()), list(alone.values()))


@pytest.mark.parametrize("how", ["strided", "shifted"])
@pytest.mark.parametrize("name", ["gated gru", "several banks"])
def test_where_tensors_lie_does_not_matter(name, how):
    options: dict[str, Any] = {how: True, "extents": [6, 0, 2, 5]}
    for dtype in (torch.float32, torch.float64):
        check(Case(MEMORIES[name], 5, 4, 18, **options), dtype)


@pytest.mark.parametrize("name", ["additive", "several banks"])
def test_any_subset_of_gradients(name):
    """Each alone, all but each, and none: what is asked for never changes what comes out."""
    case = Case(MEMORIES[name], 4, 3, 9, extents=EXTENTS)
    whole = check(case, torch.float64)
    subsets = [(), *((one,) for one in case.names)]
    subsets += [tuple(other for other in case.names if other != one) for one in case.banks]
    for needed in subsets:
        with memory_full_of_nan():
            found = case.run("cpu", torch.float64, needed)
        assert {key for key in found if key.startswith("grad ")} == {f"grad {key}" for key in needed}
        assert_same(list(found.values()), [whole[key] for key in found])


def numbers_of(step):
    """Name what has a number at each position that changes from step to step."""
    numbers = (line.target for line in step.equations if step.is_bare(line.target))
    return tuple(name for name in numbers if can_record(lower(step, (name,)).step, False, (name,)))


@every_step
def test_numbers_at_positions_are_recorded(name):
    """With gradients through them; zero where a row has no such position, or no such step."""
    step = MEMORIES[name]
    numbers = numbers_of(step)
    assert numbers or name in ("a memory alone", "numbers of rows")
    options: dict[str, Any]
    for options in ({}, {"lengths": [5, 0, 2], "extents": EXTENTS, "reverse": True}):
        found = check(Case(step, 5, 3, 9, record=(*numbers, *step.states), **options), torch.float64)
        for one in numbers:
            assert found[f"recorded {one}"].shape == (5, 3, 6)
            beyond = torch.arange(6) >= torch.tensor(options.get("extents", [6, 6, 6]))[:, None]
            assert not found[f"recorded {one}"].masked_select(beyond).any()


@every_memory
@pytest.mark.parametrize("name", ["additive", "window", "several banks"])
def test_packed_rows_are_padded_rows(name, memory):
    case = Case(MEMORIES[name], 6, 4, 9, lengths=[6, 4, 3, 1], extents=[2, 6, 0, 5], memory=memory, restart=True)
    packed = dataclasses.replace(case, packed=True)
    for backend in ("cpu", "reference"):
        expected = case.run(backend, torch.float64)
        with memory_full_of_nan():
            found = packed.run(backend, torch.float64)
        assert_same(list(found.values()), list(expected.values()))


@every_step
def test_positions_that_a_row_does_not_have_are_never_read(name):
    """What stands there changes no bit, and its gradient is zero."""
    case = Case(MEMORIES[name], 4, 3, 9, extents=EXTENTS)
    for backend in ("cpu", "reference"):
        expected = case.run(backend, torch.float64)
        for what in (0.0, torch.inf, -torch.inf, 1e30):
            other = dataclasses.replace(case)
            other.banks = {key: torch.where(one.isnan(), what, one) for key, one in case.banks.items()}
            found = other.run(backend, torch.float64)
            assert_same(list(found.values()), list(expected.values()))
        for key, one in case.banks.items():
            assert expected[f"grad {key}"].isfinite().all()
            assert not expected[f"grad {key}"].masked_select(one.isnan()).any()


def test_sizes_of_memories_are_told_apart():
    """One step with other sizes and numbers of positions, in turn, and then the first again."""
    for size, units, positions in ((4, 3, 6), (5, 3, 6), (4, 3, 7), (4, 9, 6), (4, 3, 6)):
        sizes = {"memory_size": size, "size_b_a": units}
        check(Case(MEMORIES["additive"], 3, 2, 8, positions=positions, other_sizes=sizes), torch.float64)


def test_banks_are_left_alone():
    case = Case(MEMORIES["several banks"], 4, 3, 9, extents=EXTENTS)
    before = {name: one.clone() for name, one in case.banks.items()}
    case.run("cpu", torch.float32)
    torch.testing.assert_close(case.banks, before, rtol=0, atol=0, equal_nan=True)


# --- plans


@every_step
def test_every_plan_is_whole(name):
    """Of every lowered step, with and without masks, with every number recorded and with none."""
    for record in {(), numbers_of(MEMORIES[name])}:
        step = lower(MEMORIES[name], record).step
        for drawn in {False, bool(step.draws)}:
            recipe = Recipe(step, drawn, record)
            for plan in (recipe.inference, recipe.training, recipe.replay, recipe.backward):
                assert verified(plan) is plan
                assert any(stage.sweeps for stage in plan.stages) or plan is recipe.replay


@every_step
def test_plans_can_be_shown(name):
    """As `gatework show --plan` and `--kernel` show them."""
    for which in PASSES_OF_A_CELL:
        shown = show_plan(plan_of(MEMORIES[name], which))
        assert "gather" in shown or "total" in shown
    assert "define void @each(ptr %table)" in code_of(MEMORIES[name], "backward").text


def test_what_cannot_be_planned_says_so():
    with pytest.raises(KernelError, match="there is no plan: `a` has a number for each position of a memory, from ste"):
        plan_of(REFUSED["a state at positions"][0], "inference")


def test_what_memories_alone_decide_is_computed_once():
    """`U @ m` becomes a bank of its own, and no kernel multiplies by U."""
    lowered = lower(MEMORIES["additive"])
    assert [name for name, _ in lowered.banks] == ["m_bank1"]
    assert "U_a" not in {one.name for one in lowered.step.parameters}
    assert lowered.vectors == (("v_a_row", "v_a"),)


# --- what no kernel runs


REFUSED = {
    "a state at positions": (
        attend(CELLS["gru"], "location", width=3).step,
        "`a` has a number for each position of a memory, from step to step",
    ),
    "an input at positions": (
        parse("z = pick @ m\nh = tanh(W @ x + C @ z + R @ h)", "h", "x pick", memories="m=pick"),
        "`pick` has a number for each position of a memory, from step to step",
    ),
    "a matrix on what changes": (
        parse("a = softmax(v @ tanh(U @ (m + V @ h)))\nz = a @ m\nh = tanh(W @ x + C @ z)", "h", memories="m"),
        "`U` multiplies vectors at positions that change from step to step",
    ),
    "a shift": (
        parse("a = shift(softmax(m @ h), 1)\nz = a @ m\nh = tanh(W @ x + C @ z)", "h", memories="m"),
        "`shift` of what a memory's positions have runs in no kernel",
    ),
    "a size that is known by a memory": (
        parse("z = total(tanh(U @ m))\nh = tanh(W @ x + C @ z + U @ (V @ h))", "h", memories="m"),
        "`U` has a size that is known by a memory alone",
    ),
    "a mean over units": (
        parse("a = softmax(v @ norm(m + V @ h))\nz = a @ m\nh = tanh(W @ x + C @ z)", "h", memories="m"),
        "runs in no kernel",
    ),
}


@pytest.mark.parametrize("by", [-7, -6, -5, -1, 0, 1, 5, 6, 7])
def test_what_is_shifted_by_more_positions_than_there_are_is_gone(by):
    step = parse(f"a = softmax(m @ h)\nz = weigh(shift(a, {by}), m)\nh = tanh(W @ x + C @ z)", "h", memories="m")
    case = Case(step, 3, 2, 4, positions=6, record=("a",))
    found = case.run("reference", torch.float64)
    a, m = found["recorded a"], case.banks["m"].double()
    pairs = [(place + by, place) for place in range(6) if 0 <= place + by < 6]
    z = sum((a[:, :, [start]] * m[:, end] for end, start in pairs), torch.zeros(3, 2, 4, dtype=torch.float64))
    weights = {name: one.double() for name, one in case.weights.items()}
    assert_close(found["output"], torch.tanh(case.inputs["x"].double() @ weights["W"].T + z @ weights["C"].T))


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_kernel_runs_is_said_in_a_clause(name):
    step, reason = REFUSED[name]
    case = Case(step, 4, 3, 9, extents=EXTENTS)
    with pytest.raises(ConfigError, match=reason):
        case.run("cpu", torch.float64)
    assert_same(list(case.run("auto", torch.float64).values()), list(case.run("reference", torch.float64).values()))


def test_vectors_at_positions_are_recorded_by_the_reference():
    step = parse("q = tanh(U @ m + V @ h)\na = softmax(v @ q)\nz = a @ m\nh = tanh(W @ x + C @ z)", "h", memories="m")
    check(Case(step, 4, 3, 9, extents=EXTENTS, record=("a",)), torch.float64)
    case = Case(step, 4, 3, 9)
    given = (case.weights, tuple(case.inputs.values()), tuple(case.state.values()))
    banks: dict[str, Any] = {"banks": tuple(case.banks.values()), "extents": case.ends}
    assert run(step, *given, record=("q",), **banks).recorded["q"].shape == (4, 3, 6, 9)
    with pytest.raises(ConfigError, match=r"what is recorded \(q\) has a vector for each position of a memory"):
        run(step, *given, record=("q",), backend="cpu", **banks)
