"""Cells that nobody wrote: drawn from the grammar, in drawn shapes, run by the kernels and by the reference."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import Case, memory_full_of_nan
from tests.language.cells_from_grammar import cells, expressions, widened
from tests.tolerances import assert_close

from gatework.kernels.cpu.fused import can_record
from gatework.kernels.door.launch import MEMORY
from gatework.language import parse


@st.composite
def crossed_cells(draw) -> tuple[str, tuple[str, ...]]:
    """Draw cells whose states hang together in any way: through last step's values alone, or on the input alone."""
    names = [f"q{number}" for number in range(draw(st.integers(1, 4)))]
    states = ["h", *(name for name in names if draw(st.booleans()))]
    lines, known = [], ["x", *(f"prev({name})" for name in states)]
    for number, name in enumerate(names):
        leaf = draw(expressions(known, number, depth=0))
        deep = f"tanh({draw(expressions(known, number, depth=2))})"
        lines.append(f"{name} = " + draw(st.sampled_from([leaf, deep, f"mean({leaf})", f"0.5 * v{number}_0 * {leaf}"])))
        known.append(name)
    reads = [f"prev({name})" if name in states and draw(st.booleans()) else name for name in names]
    draw(st.randoms()).shuffle(states)
    own = draw(expressions(known, len(names), depth=1))
    return "\n".join([*lines, f"h = tanh({own} + 0.5 * x + {' + '.join(reads)})"]), tuple(states)


@st.composite
def cases(draw) -> Case:
    """Draw a cell, a shape, and what breaks the flow of its states."""
    text, states = draw(cells() | crossed_cells())
    text, inputs = draw(widened(text))
    step = parse(text, states, inputs)
    # What is constant is recorded by the reference alone.
    varies = tuple(line.target for line in step.equations if can_record(step, False, (line.target,)))
    steps, rows = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    lengths = draw(st.none() | st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
    return Case(
        step,
        steps,
        rows,
        draw(st.integers(3, 40)),
        lengths=lengths,
        restart=draw(st.booleans()),
        learned=draw(st.booleans()),
        reverse=draw(st.booleans()),
        memory=draw(st.sampled_from(MEMORY)),
        record=draw(st.sampled_from([(), states[:1], varies])),
    )


@given(cases())
@settings(max_examples=120)
def test_any_cell_is_run_as_by_the_reference(case):
    expected = case.run("reference", torch.float64)
    with memory_full_of_nan():
        found = case.run("cpu", torch.float64)
    assert list(found) == list(expected)
    for name, one in expected.items():
        assert_close(found[name], one, "gradients")
