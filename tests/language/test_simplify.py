"""What is left of equations when names are left out, and the names that the library makes up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.errors import EquationError
from gatework.language import parse, show, without
from gatework.language.parse import WRITTEN
from gatework.language.spelling import Names


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("m = mean(a)\nz = rstd(b)\nh = tanh(R @ h + x + m + z)", "h = tanh(R @ h + x + 316.2277660168379)"),
        ("h = tanh(R @ h + x + norm(a) + mean(b))", "h = tanh(R @ h + x)"),
        ("h = tanh(R @ h + x + V @ (a + 2))", "constant1 = 2\nh = tanh(R @ h + x + V @ constant1)"),
        ("h = tanh(R @ h + x + V @ a)", "h = tanh(R @ h + x)"),
        # What was typed as it is stays, so that no input is read no more.
        ("h = tanh(R @ h + 0 * x + a)", "h = tanh(R @ h + 0 * x)"),
    ],
)
def test_what_reads_only_what_is_left_out_is_constant(text, left):
    step = parse(text, "h")
    names = [parameter.name for parameter in step.parameters if parameter.columns is None]
    assert show(without(step, names)) == left


def test_nothing_left_out_is_the_same_step():
    step = parse("h = tanh(0 * x + R @ h)")
    assert without(step, []) is step


def test_an_input_that_nothing_reads_any_more_is_refused():
    with pytest.raises(EquationError) as caught:
        without(parse("h = tanh(R @ h + x * (b - 0))", "h"), ["b"])
    assert str(caught.value) == (
        "Without `b` nothing reads the input `x`: all it enters is a constant then. Keep what is left out, or take `x` "
        "out of the equations."
    )


LETTERS = st.text("ab_1", min_size=1, max_size=WRITTEN.name).map(lambda text: "a" + text[1:])


@given(st.sets(LETTERS), st.lists(st.tuples(st.booleans(), LETTERS), max_size=12))
def test_names_that_are_made_up_are_new_and_can_be_read(taken, wanted):
    names, found = Names(taken=taken), []
    for numbered, stem in wanted:
        found.append(names.numbered(stem) if numbered else names.fresh(stem))
    assert len({*found}) == len(found)
    assert taken.isdisjoint(found)
    assert all(name.isidentifier() and len(name) <= WRITTEN.name for name in found)


def test_no_state_is_made_up_below_which_an_input_would_lie():
    assert Names(taken=["back_c_below"]).fresh("back_c") == "back_c_"
