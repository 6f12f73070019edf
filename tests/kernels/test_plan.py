"""Plans: what the verifier refuses, one broken plan for each of its rules, and what it must let through."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.kernels.cases import STEPS

from gatework.errors import PlanError
from gatework.kernels.planning.plan import Columns, Moments, Plan, Stage
from gatework.kernels.planning.recipe import Recipe
from gatework.kernels.planning.verify import verified
from gatework.language import parse
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product

# Forward: before the loop b_1 = W @ x; in the loop a_1 = R @ prev(h), a, its mean, q = S @ a, and h.
TEXT = "a = tanh(W @ x + R @ h + b)\nh = tanh(S @ a) + mean(a)"
STEP = parse(TEXT)
FORWARD = Recipe(STEP, False).training
BACKWARD = Recipe(STEP, False).backward
X = Name("x")


def staged(plan: Plan, number: int, **changes: Any) -> Plan:
    """Change a stage."""
    stages = list(plan.stages)
    stages[number] = replace(stages[number], **changes)
    return replace(plan, stages=tuple(stages))


def with_line(plan: Plan, number: int, value: Node, target: str = "extra", size: str = "hidden_size") -> Plan:
    """Add a line to a stage."""
    lines = (*plan.stages[number].lines, Equation(target, value))
    return staged(replace(plan, sizes_of={**plan.sizes_of, target: size}), number, lines=lines)


def grouped(plan: Plan, number: int, **changes: Any) -> Plan:
    """Change the first group of a stage."""
    first, *others = plan.stages[number].groups
    return staged(plan, number, groups=(replace(first, **changes), *others))


def segmented(plan: Plan, number: int, **changes: Any) -> Plan:
    """Change the first operand of a stage's first group."""
    first, *others = plan.stages[number].groups[0].segments
    return grouped(plan, number, segments=(replace(first, **changes), *others))


def at_home(plan: Plan, name: str, home: str | None) -> Plan:
    """Change a home, or take it away."""
    homes = {key: one for key, one in plan.homes.items() if key != name} | ({name: home} if home else {})
    return replace(plan, homes=homes)


def number_of(plan: Plan, name: str) -> int:
    """Give the number of the stage that keeps a name or reduces to it."""
    for number, stage in enumerate(plan.stages):
        made = {*stage.stores, *(one for part in stage.moments for one in (part.mean, part.rstd))}
        if name in made:
            return number
    raise AssertionError(name)


BEFORE = number_of(FORWARD, "a_1_1")
FIRST = number_of(FORWARD, "a")
LAST = number_of(FORWARD, "h")
MOMENTS = FORWARD.stages[FIRST].moments
COLUMNS = BACKWARD.columns[0]

BROKEN: dict[str, tuple[Callable[[], Plan], str]] = {
    "phases out of order": (lambda: replace(FORWARD, stages=FORWARD.stages[::-1]), "phases are not in the order"),
    "an unknown phase": (lambda: staged(FORWARD, FIRST, phase="now"), "phases are not in the order"),
    "an unknown home": (lambda: at_home(FORWARD, "a", "attic"), "'a' has the home 'attic'; there are row, sequence"),
    "a state in another home": (lambda: at_home(FORWARD, "h", "row"), "'h' has the home 'row'"),
    "a line in a state's home": (lambda: at_home(FORWARD, "a", "state"), "'a' has the home 'state'"),
    "an input with a home": (lambda: at_home(FORWARD, "x", "sequence"), "the input 'x' has the home 'sequence'"),
    "an index for a line": (lambda: replace(FORWARD, indexed=frozenset("a")), "'a' is found by an index"),
    "a home without a stage": (lambda: at_home(FORWARD, "z", "row"), "'z' has the home 'row', and no stage keeps it"),
    "a state that nobody keeps": (
        lambda: at_home(staged(FORWARD, LAST, stores=("h_1",)), "h", None),
        "no stage keeps the state 'h'",
    ),
    "last step's value of a line": (lambda: with_line(FORWARD, FIRST, Name("a", True)), "'a' of last step is read"),
    "a state before the loop": (lambda: with_line(FORWARD, BEFORE, Name("h", True)), "'h' is read outside the loop"),
    "a name from nowhere": (lambda: with_line(FORWARD, FIRST, Name("b_2")), "'b_2' of size None"),
    "a line of the next stage": (lambda: with_line(FORWARD, FIRST, Name("h")), "'h' is read, and no stage before"),
    "a line below": (
        lambda: staged(FORWARD, FIRST, lines=FORWARD.stages[FIRST].lines[::-1]),
        "is read, and no stage before has kept it",
    ),
    "an operand of the same stage": (
        lambda: segmented(FORWARD, FIRST, operand=Name("a")),
        "'a' is read, and no stage before has kept it",
    ),
    "a value that is not kept": (
        lambda: at_home(staged(FORWARD, FIRST, stores=(), moments=()), "a", None),
        "'a' is read, and no stage before has kept it",
    ),
    "a row's value after the loop": (lambda: at_home(BACKWARD, "d_a_1", "row"), "(row) is read outside the loop"),
    "a state after the loop": (
        lambda: replace(BACKWARD, columns=(replace(COLUMNS, lines=(Equation("d_b", Name("back_h")),)),)),
        "'back_h' (state) is read outside the loop",
    ),
    "a row's value made before the loop": (
        lambda: at_home(FORWARD, "a_1_1", "row"),
        "'a_1_1' (row) is kept outside the loop",
    ),
    "a product of one number a row": (
        lambda: segmented(FORWARD, LAST, operand=Name(MOMENTS[0].mean or "")),
        "a product takes",
    ),
    "a sum of another size": (
        lambda: replace(FORWARD, sizes_of={**FORWARD.sizes_of, "a_1_1": "input_size"}),
        "the sum 'a_1_1' is not of the stage's size 'hidden_size'",
    ),
    "sums without matrices": (lambda: grouped(FORWARD, FIRST, matrices=()), "a group has sums without matrices"),
    "a sum with too few matrices": (lambda: grouped(FORWARD, FIRST, matrices=((),)), "has not one matrix for each"),
    "a sum that is made twice": (
        lambda: staged(FORWARD, FIRST, groups=FORWARD.stages[FIRST].groups * 2),
        "'a_1_2' is made twice",
    ),
    "a line that is made twice": (
        lambda: staged(FORWARD, FIRST, lines=FORWARD.stages[FIRST].lines * 2),
        "is made twice",
    ),
    "a vector as a matrix": (lambda: grouped(FORWARD, FIRST, matrices=(("b",),)), "'b' is no matrix"),
    "another structure": (
        lambda: segmented(FORWARD, FIRST, structure="block_diagonal", blocks=2),
        "'R' is dense, and is read as block_diagonal",
    ),
    "a matrix between other sizes": (
        lambda: grouped(FORWARD, FIRST, matrices=(("W",),)),
        "'W' leads from 'hidden_size' to 'hidden_size', elsewhere ('input_size', 'hidden_size')",
    ),
    "a product in a line": (
        lambda: with_line(FORWARD, FIRST, Product("R", Name("h", True))),
        "the line of 'extra' is not pointwise",
    ),
    "a reduction in a line": (
        lambda: with_line(FORWARD, LAST, Apply("mean", (Name("a"),))),
        "the line of 'extra' is not pointwise",
    ),
    "a line that reads another size": (lambda: with_line(FORWARD, FIRST, X), "takes 'x' of size 'input_size'"),
    "a line of another size": (
        lambda: with_line(FORWARD, FIRST, Number(1.0), size="input_size"),
        "'extra' of size 'input_size' is made among units of 'hidden_size'",
    ),
    "a name kept where it is not made": (
        lambda: staged(FORWARD, LAST, stores=("h", "a")),
        "'a' is kept, and not made here",
    ),
    "one number a row kept as a vector": (
        lambda: at_home(FORWARD, "a", "scalar"),
        "'a' is kept, and has the home 'scalar'",
    ),
    "a name kept without a home": (
        lambda: at_home(FORWARD, "a", None),
        "'a' is kept, and has the home None",
    ),
    "a name kept twice": (
        lambda: staged(FORWARD, LAST, stores=(*FORWARD.stages[LAST].stores, "h")),
        "'h' is kept twice",
    ),
    "a reduction of what is not kept": (
        lambda: staged(FORWARD, FIRST, moments=(Moments(Name("a_1"), MOMENTS[0].mean, None),)),
        "'a_1' is read, and no stage before has kept it",
    ),
    "a reduction of a reduction": (
        lambda: staged(FORWARD, LAST, moments=(Moments(Name(MOMENTS[0].mean or ""), "again", None),)),
        "a reduction takes",
    ),
    "a reduction without a home": (
        lambda: at_home(FORWARD, MOMENTS[0].mean or "", None),
        "has the home None",
    ),
    "a reduction that is made twice": (
        lambda: staged(FORWARD, FIRST, moments=MOMENTS * 2),
        "is kept twice",
    ),
    "a sum over time of what is not made": (
        lambda: replace(BACKWARD, columns=(Columns("hidden_size", (), (("d_b", "d_b"),)),)),
        "'d_b' is summed, and not made here",
    ),
    "a sum over time that nobody wants": (
        lambda: replace(BACKWARD, columns=(replace(COLUMNS, sums=(("z", "d_b"),)),)),
        "'z' is summed, and is no output",
    ),
    "an outer product of an expression": (
        lambda: replace(BACKWARD, outers=(("d_W", (Outer(Apply("tanh", (X,)), X),)),)),
        "an outer product takes something without a name",
    ),
    "an outer product of a row's value": (
        lambda: replace(BACKWARD, outers=(("d_W", (Outer(Name("back_h"), X),)),)),
        "(state) is read outside the loop",
    ),
    "an outer product of one number a row": (
        lambda: replace(BACKWARD, outers=(("d_W", (Outer(Name("d_a_2"), X),)),)),
        "an outer product takes 'd_a_2', of which there is one number a row",
    ),
    "an output that is not delivered": (
        lambda: replace(BACKWARD, outers=BACKWARD.outers[1:]),
        "in 0 ways; expected one",
    ),
    "an output that is delivered twice": (lambda: replace(BACKWARD, outers=BACKWARD.outers * 2), "in 2 ways"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plan_is_refused(name):
    make, fault = BROKEN[name]
    with pytest.raises(PlanError) as caught:
        verified(make())
    assert fault in str(caught.value)


def test_the_message_shows_the_stage():
    with pytest.raises(PlanError) as caught:
        verified(with_line(FORWARD, LAST, Name("nowhere")))
    assert str(caught.value) == (
        "The plan is wrong: the line of 'extra' takes 'nowhere' of size None; expected 'hidden_size', in stage 2\n"
        "each step, stage 0 (units: hidden_size)\n"
        "  product    h_1 = S @ a\n"
        f"  pointwise  h = tanh(h_1) + {MOMENTS[0].mean}\n"
        "  pointwise  extra = nowhere\n"
        "  keep       h_1 (sequence), h (state)\n"
        "No code can be made of this plan. The fault is the planner's: please report the equations. "
        "Until then backend='reference' runs them."
    )


@pytest.mark.parametrize("name", STEPS)
def test_every_plan_is_whole(name):
    """Of every cell, with and without masks, with every line recorded and with none."""
    step = STEPS[name]
    for drawn in {False, bool(step.draws)}:
        lines = tuple(line.target for line in step.equations if drawn or line.target not in step.draws)
        for record in ((), lines):
            recipe = Recipe(step, drawn, record)
            for plan in (recipe.inference, recipe.training, recipe.replay, recipe.backward):
                assert verified(plan) is plan


def test_what_is_made_once_is_not_made_again():
    """Stages whose names nobody but their own lines reads keep nothing; shared reductions are made once."""
    plan = Recipe(parse("m = mean(x)\nn = mean(x)\nh = m + n * h"), False).inference
    kept = [name for stage in plan.stages for name in stage.stores]
    assert len(kept) == len(set(kept))
    stages: tuple[Stage, ...] = plan.phase("before")
    made = [one for stage in stages for part in stage.moments for one in (part.mean, part.rstd) if one]
    assert sorted(made) == ["m", "n"]


def test_what_a_reduction_alone_reads_is_read_in_whole_registers():
    """Its rows are padded; what products alone read is taken number by number, and stays as it is."""
    plan = Recipe(parse("h = tanh(R @ h + W @ x + mean(d))", "h", ("x", "d")), False).inference
    assert "d" in plan.register_reads
    assert "x" not in plan.register_reads
