"""Cells that nobody wrote: a trace of any of them changes no bit, and its parts add up."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.cells_from_grammar import expressions
from tests.tolerances import assert_close
from tests.tracing.test_trace import added_up, assert_bits

import gatework
from gatework.language import parse
from gatework.language.handles import parted


@st.composite
def summing_cells(draw) -> gatework.Cell:
    """Draw a cell whose states are sums of up to four terms, nested and subtracted in any way."""
    lines, names = [], ["x", "h", "c"]
    for number, target in enumerate(("q", "c", "h")):
        terms = [draw(expressions(names, number, depth=2)) for _ in range(draw(st.integers(1, 4)))]
        while len(terms) > 1:  # two that stand side by side become one, in any order
            place = draw(st.integers(0, len(terms) - 2))
            sign = draw(st.sampled_from(["+", "+", "-"]))
            terms[place : place + 2] = [f"({terms[place]} {sign} {terms[place + 1]})"]
        lines.append(f"{target} = {terms[0]}" + (" + 0.5 * x" if target == "q" else " + 0.1 * q"))
        names.append(target)
    return gatework.cell("\n".join(lines), states=("h", "c"))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@given(summing_cells())
@settings(max_examples=25)
def test_a_trace_changes_no_bit_and_parts_add_up(backend, cell):
    torch.manual_seed(0)
    layer = gatework.Recurrent(cell, 6, 6, backend=backend).eval()  # a multiple of the blocks
    given = torch.randn(4, 3, 6)
    trace = gatework.trace(layer, given, parts=True)
    assert_bits(trace.output, layer(given)[0].detach())
    for name in dict.fromkeys(trace.layers[0].parts.values()):
        total, count = added_up(trace, trace.layers[0], name)
        # Of more than two the reference adds those first that are known for all steps.
        same = assert_bits if backend == "cpu" or count == 2 else assert_close
        same(total, trace[name])


def test_such_cells_have_parts():
    """Or the test above would pass by finding nothing."""
    step = parse("c = (h - x) + (c * x + 0.5 * h)\nh = tanh(c)", states="h c")
    assert list(parted(step).parts) == ["h - x", "c * x", "0.5 * h"]
