"""Steps with handles are steps like any other: they print, read back, and keep what every name of theirs means."""

import pytest
from tests.nn.test_registry_battery import CELLS

from gatework.errors import EquationError
from gatework.language import parse, show
from gatework.language.anatomy import own_line
from gatework.language.handles import entered, fixed, overridden, parted, pushed
from gatework.language.show import show_node

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


@every_cell
def test_they_keep_what_names_mean(cell):
    step = cell.step
    names = tuple(line.target for line in step.equations if line.target not in step.draws)
    changed = [parted(step).step, overridden(step, names).step, pushed(step).step]
    changed.append(pushed(overridden(parted(step).step, names).step).step)
    for one in changed:
        assert parse(show(one), one.states, one.inputs) == one
        assert one.states == step.states
        assert one.draws == step.draws
        assert one.inputs[: len(step.inputs)] == step.inputs
        roles = {parameter.name: (parameter.role, parameter.structure) for parameter in one.parameters}
        assert roles == {parameter.name: (parameter.role, parameter.structure) for parameter in step.parameters}
        for state in step.states:
            assert one.sizes_of[state] == step.sizes_of[state]


@every_cell
def test_they_are_made_once(cell):
    """Kernels know a step by its identity: one that was made anew would be compiled anew."""
    again = parse(show(cell.step), cell.states, cell.inputs)
    assert parted(again) is parted(cell.step)
    assert pushed(again) is pushed(cell.step)
    assert overridden(again, cell.states) is overridden(cell.step, cell.states)


def test_what_cannot_be_overridden():
    step = parse("k = bernoulli(0.5)\nh = k * h + x", states="h")
    message = r"^`k` has no line that can be overridden; these have: h\.$"
    with pytest.raises(EquationError, match=message):
        overridden(step, ("k",))


def test_names_that_are_taken():
    step = parse("part1 = tanh(W @ x)\nfree1 = part1 + push1\nh = 0.5 * h + free1 * part1", states="h")
    assert dict(parted(step).parts) == {"0.5 * h": "part2", "free1 * part1": "part3"}
    assert show(pushed(step).step).splitlines()[-2:] == ["free2 = 0.5 * h + free1 * part1", "h = free2 + push2"]


def test_lines_that_are_one_number():
    step = parse("k = bernoulli(0.25)\nq = 4 * k - 1\na = q * tanh(W @ x)\nh = k * h + a", states="h")
    assert dict(fixed(step, False)) == {"k": 0.25, "q": 0.0, "a": 0.0}
    assert dict(fixed(step, True)) == {}


def test_what_a_step_reads_of_the_step_before():
    step = parse("read1 = sigmoid(R @ h)\nc = read1 * c + W @ x\nh = tanh(c)", states="h c")
    assert show(entered(step).step).splitlines() == [
        "read2 = h + enter1",
        "read3 = c + enter2",
        "read1 = sigmoid(R @ read2)",
        "c = read1 * read3 + W @ x",
        "h = tanh(c)",
    ]
    assert dict(entered(step).enter) == {"h": "enter1", "c": "enter2"}
    assert dict(entered(parse("h = tanh(R @ h)\nq = W @ x", states="h q")).enter) == {"h": "enter1"}  # q is not read


def test_a_states_own_line_has_the_masked_one_in_it():
    zoned = CELLS["all options"].step
    assert show_node(own_line(zoned, "c")) == "keep_c * prev(c) + (1 - keep_c) * (f * prev(c) + i * g)"
