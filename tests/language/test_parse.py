"""Reading and printing: the reading rule, roles and sizes, and text that survives the round trip."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser
from tests.language.cells_from_grammar import cells

import gatework
from gatework.cells import CELLS, attend, layer_norm, zoneout
from gatework.cells.attending import KINDS
from gatework.language import Apply, Equation, Name, Number, Product, latex, latex_adjoint, parse, show, without
from gatework.language.nodes import Outer
from gatework.language.parse import read
from gatework.language.show import show_node
from gatework.language.simplify import simplify


def test_reading_rule():
    step = parse("f = sigmoid(c)\nc = f * c + x\nh = c + prev(c)", "h c")
    reads = [[(n.name, n.previous) for n in _names(line)] for line in step.equations]
    assert reads == [[("c", True)], [("f", False), ("c", True), ("x", False)], [("c", False), ("c", True)]]


def test_states_are_found_when_not_said():
    assert parse("c = 0.5 * c + x\nh = tanh(c)").states == ("h", "c")
    assert parse("s = 0.5 * s + x").states == ("s",)


def test_order_of_lines_is_the_order_of_parameters():
    assert [p.name for p in CELLS["gru"].step.parameters] == [
        "W_r",
        "R_r",
        "b_r",
        "W_z",
        "R_z",
        "b_z",
        "W_n",
        "b_n",
        "R_n",
        "c_n",
    ]


def test_roles():
    roles = {p.name: p.role for p in zoneout(layer_norm(CELLS["lstm_projected"]), h=0.1).step.parameters}
    assert {roles[name] for name in ("W_i", "R_i", "b_i", "a_W_i", "s_c", "P")} == {
        "input", "recurrent", "bias", "vector", "projection",
    }  # fmt: skip
    # A vector that is both added and multiplied is no bias: leaving it out would change more than an offset.
    assert parse("h = (1 - a) * h + a * (W @ x)", "h").parameters[0].role == "vector"


def test_sizes():
    step = CELLS["lstm_projected"].step
    assert {name: step.sizes_of[name] for name in "xhcf"} == {
        "x": "input_size", "h": "proj_size", "c": "hidden_size", "f": "hidden_size",
    }  # fmt: skip
    assert CELLS["mut1"].step.sizes_of["x"] == "hidden_size"
    two = parse("h = tanh(W @ x + V @ u + R @ h) * e", "h", "x u e")
    assert two.size_keys == ("input_size", "input_size_u", "hidden_size")
    assert two.sizes_of["e"] == "hidden_size"
    below = parse("h = tanh(W @ x + R @ h + D @ h_below)", "h", "x h_below")
    assert below.sizes_of["h_below"] == "hidden_size"


def test_text_may_be_laid_out_freely():
    tidy = parse("h = tanh(W @ x + R @ h)", "h")
    assert parse("\n\n   # a comment\n\th = tanh(   # another\n        W@x\n   + R @ h)\r\n", "h") == tidy


def test_comment_goes_with_its_line():
    step = parse("h = tanh(x)  # état caché → out", "h")
    assert step.equations[0].comment == "état caché → out"
    assert parse(show(step), "h") == step


@pytest.mark.parametrize("name", CELLS)
def test_cells_print_as_text_that_reads_back(name):
    cell = CELLS[name]
    assert parse(str(cell), cell.states, cell.inputs) == cell.step
    assert show(parse(str(cell), cell.states, cell.inputs)) == str(cell)


@given(cells())
@settings(max_examples=100)
def test_any_cell_prints_as_text_that_reads_back(drawn):
    text, states = drawn
    step = parse(text, states)
    assert parse(show(step), states) == step


_LEAVES = st.one_of(
    st.sampled_from([Name("x"), Name("h", True), Name("b")]),
    st.floats(-1e6, 1e6, allow_nan=False).map(Number),
)
_TREES = st.recursive(
    _LEAVES,
    lambda below: st.one_of(
        st.tuples(st.sampled_from(["add", "sub", "mul", "div", "maximum"]), below, below).map(
            lambda t: Apply(t[0], t[1:])
        ),
        st.tuples(st.sampled_from(["neg", "tanh"]), below)
        # A minus before a constant is that constant's sign, so it is no node of its own.
        .filter(lambda t: t[0] != "neg" or not isinstance(t[1], Number))
        .map(lambda t: Apply(t[0], t[1:])),
        below.map(lambda node: Product("M", node)),
        below.map(lambda node: Product("M", node, "block_diagonal", 3, True)),
        st.tuples(below, below).map(lambda t: Outer(*t)),
        st.tuples(below, below).map(lambda t: Outer(*t, "block_upper", 2)),
    ),
    max_leaves=12,
)


@given(_TREES)
@settings(max_examples=300)
def test_any_expression_prints_as_text_that_reads_back(node):
    assert read(f"y = {show_node(node)}") == (Equation("y", node),)


@given(_TREES)
@settings(max_examples=200)
def test_simplifying_twice_changes_nothing_more(node):
    once = simplify(node)
    assert simplify(once) == once


def test_latex():
    assert latex(CELLS["lstm"].step).splitlines()[5] == r"c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\"
    assert r"R_n \left(r_t \odot h_{t-1}\right)" in CELLS["gru_v3"].latex()
    tiny = latex(parse("h = 1e-6 * x - 2.5e-7 * h"))
    assert r"10^{-6} \odot x_t - 2.5 \cdot 10^{-7} \odot h_{t-1}" in tiny
    assert r"\left(1 - z_t\right) \odot n_t" in CELLS["gru"].latex()
    assert r"c^{\mathrm{below}}_{t}" in CELLS["depth_gated"].latex()
    for cell in CELLS.values():
        text = cell.latex()
        assert text.count("{") == text.count("}")
        assert text.count(r"\left(") == text.count(r"\right)")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_latex_of_attention(name, kind):
    """Every line can be set, no two lines are for one name, and nothing has two superscripts, which TeX refuses."""
    cell = attend(CELLS[name], kind)
    lines = cell.latex().splitlines()[1:-1]
    for line in lines:
        MathTextParser("path").parse(f"${line.replace('&', '').removesuffix(' ' + chr(92) * 2)}$")
    assert len({line.partition("&")[0] for line in lines}) == len(lines)
    for text in (cell.latex(), latex_adjoint(cell.step)):
        assert not re.search(r"\^(\w|\{[^{}]*(\{[^{}]*\})?[^{}]*\})(_(\w|\{[^{}]*\}))?\^", text)
        assert not re.search(r"'(_(\w|\{[^{}]*\}))?\^", text)


def test_names_with_underscores_at_their_end_are_primed():
    cell = gatework.cell("z_ = W @ x\nc_below_ = z_ + V @ x\nh = tanh(c_below_ + U_ @ z_ + z)")
    assert cell.latex().splitlines()[1:-1] == [
        r"z'_t &= W x_t \\",
        r"{c'}^{\mathrm{below}}_{t} &= z'_t + V x_t \\",
        r"h_t &= \tanh({c'}^{\mathrm{below}}_{t} + U' z'_t + z)",
    ]


def test_without_drops_what_no_longer_matters():
    first_layer = without(CELLS["depth_gated"].step, ["c_below"])
    assert first_layer == CELLS["peephole"].step
    unbiased = without(CELLS["lstm"].step, [p.name for p in CELLS["lstm"].step.parameters if p.role == "bias"])
    assert not [p for p in unbiased.parameters if p.role == "bias"]
    assert show(unbiased).splitlines()[0].startswith("i = sigmoid(W_i @ x + R_i @ h)")
    with pytest.raises(ValueError, match="neither an input nor a vector parameter"):
        without(CELLS["lstm"].step, ["W_i"])


def test_a_state_that_gets_its_positions_from_a_line_further_down_is_summed_over():
    """Until then it must not pass for a matrix, whose product would give its line positions too."""
    text = "e = 0.9 * e + a\na = softmax(m @ (V @ h))\nz = a @ m\nh = tanh(W @ x + C @ z + D @ (e @ m))"
    step = parse(text, memories="m")
    assert step.positions == {"m": "m", "a": "m", "e": "m"}
    assert show(step) == text
    assert [one.name for one in step.parameters] == ["V", "W", "C", "D"]


def test_division_by_zero_is_left_for_the_target():
    node = Apply("div", (Number(1.0), Number(0.0)))
    assert simplify(node) == node


def _names(equation):
    pending, found = [equation.value], []
    while pending:
        node = pending.pop(0)
        if isinstance(node, Name):
            found.append(node)
        elif isinstance(node, Apply):
            pending = [*node.arguments, *pending]
    return found
