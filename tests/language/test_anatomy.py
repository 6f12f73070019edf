"""What is read from equations: addends, factors, gates, what a state keeps, and bounds."""

import pytest

from gatework.cells import CELLS, Cell, cell, layer_norm, project, zoneout
from gatework.language import Name, parse
from gatework.language.anatomy import (
    Gate,
    addends,
    before_mask,
    factors,
    find_activations,
    find_bounds,
    find_roles,
    find_states,
    gate_biases,
    is_sum_of_products,
    mixes_units,
    origin,
    separable,
    signed_addends,
    slope,
    written_out,
)
from gatework.language.handles import overridden, pushed
from gatework.language.nodes import Node
from gatework.language.parse import read
from gatework.language.show import show_node


def node(text: str) -> Node:
    return read(f"y = {text}")[0].value


def texts(nodes) -> list[str]:
    return [show_node(one) for one in nodes]


@pytest.mark.parametrize(
    ("text", "plain", "signed"),
    [
        ("a", ["a"], ["+a"]),
        ("a + (b + c)", ["a", "b", "c"], ["+a", "+b", "+c"]),
        ("a + (b - c)", ["a", "b - c"], ["+a", "+b", "-c"]),
        ("a - (b - c)", ["a - (b - c)"], ["+a", "-b", "+c"]),
        ("-(a + b)", ["-(a + b)"], ["-a", "-b"]),
        ("W @ x + b * (c + d)", ["W @ x", "b * (c + d)"], ["+W @ x", "+b * (c + d)"]),
    ],
)
def test_addends_of_a_sum(text, plain, signed):
    assert texts(addends(node(text))) == plain
    assert [f"{'+' if sign > 0 else '-'}{show_node(one)}" for one, sign in signed_addends(node(text))] == signed


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("f * c + i * g", ["f * c", "i * g"]),
        ("f * c - i * g", ["f * c", "-(i * g)"]),
        # A difference inside a sum stays whole, and nothing is taken from a sum with a matrix product in it.
        ("a + (b - c)", ["a", "b - c"]),
        ("a + R @ h", []),
        ("a - R @ h", []),
        ("f * c", []),
    ],
)
def test_what_a_sum_can_be_taken_apart_into(text, parts):
    assert texts(separable(node(text))) == parts


def test_factors_are_what_a_product_is_zero_with():
    assert texts(factors(node("o * -c / n"))) == ["o", "c"]
    assert texts(factors(node("a + b"))) == ["a + b"]


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("x", "0"),
        ("c", "1"),
        ("f * c + i", "f"),
        ("(1 - z) * c - x", "1 - z"),
        ("c * f / n", "f / n"),
        # What goes through a matrix or a mean does not enter unit by unit; what is squared is not only multiplied.
        ("R @ c + mean(c)", "0"),
        ("c * c", None),
        ("tanh(c)", None),
        ("x / c", None),
    ],
)
def test_what_a_name_is_multiplied_by(text, by):
    found = slope(node(text), Name("c"))
    assert (found and show_node(found)) == by


def test_kinds_of_expressions():
    assert is_sum_of_products(node("W @ x + R @ h"))
    assert not is_sum_of_products(node("W @ x + b"))
    assert mixes_units(node("R @ h"))
    assert mixes_units(node("norm(h)"))
    assert not mixes_units(node("tanh(h)"))
    assert show_node(written_out(node("1 + norm(a + b)"))) == "1 + (a + b - mean(a + b)) * rstd(a + b)"
    assert written_out(node("norm(a)"), lambda row: row == "norm") == node("norm(a)")


GATES = {
    # keeps, writes, opens: the gates of the cell state, or of the only state.
    "lstm": ("f", "i", "o"),
    "peephole": ("f", "i", "o"),
    "cifg": ("f", "i", "o"),
    "lstm_1997": (None, "i", "o"),
    "lstm_projected": ("f", "i", "o"),
    "gru": ("z", "1 - z", None),
    "gru_v3": ("1 - z", "z", None),
    "mgu": ("1 - f", "f", None),
    "rnn": (None, None, None),
    "nog": ("f", "i", None),
    "slstm": ("f", None, "o"),
}


@pytest.mark.parametrize("name", GATES)
def test_which_gates_decide(name):
    step = CELLS[name].step
    state = find_states(step)["c" if "c" in step.states else "h"]
    assert tuple(gate and gate.factor for gate in (state.keeps, state.writes, state.opens)) == GATES[name]


@pytest.mark.parametrize("change", [lambda one: zoneout(one, h=0.1, c=0.2), layer_norm, project])
def test_an_option_of_a_cell_does_not_hide_its_output_gate(change):
    assert find_states(change(CELLS["lstm"]).step)["c"].opens == Gate("o")


def test_a_gate_says_where_everything_passes_and_where_nothing():
    assert (Gate("z").factor, Gate("z").full, Gate("z").none) == ("z", 1, 0)
    assert (Gate("z", True).factor, Gate("z", True).full, Gate("z", True).none) == ("1 - z", 0, 1)


def test_what_a_state_keeps_and_what_is_written():
    states = find_states(CELLS["slstm"].step)
    told = {name: (texts(one.kept), texts(one.written)) for name, one in states.items()}
    assert told["c"] == (["f * prev(c)"], ["i * g"])
    assert told["n"] == (["f * prev(n)"], ["i"])
    assert states["h"].addends == ()  # no sum


@pytest.mark.parametrize("one", CELLS.values(), ids=lambda one: one.name)
def test_the_parts_of_a_state_are_all_of_it(one: Cell):
    for state in find_states(one.step).values():
        assert {*state.kept, *state.written} == {*state.addends}
        assert not {*state.kept} & {*state.written}


def test_a_gate_opens_by_its_biases():
    step = parse("s = W @ x - b\nz = sigmoid(s + -a)\nk = 1 - z\nh = k * h + x", states="h")
    assert gate_biases(step, Name("z")) == {"b": -1, "a": -1}
    assert gate_biases(step, Name("k")) == {"b": 1, "a": 1}
    assert gate_biases(step, Name("h", True)) == {}


def test_one_reading_of_a_minus_sign_for_all():
    """A gate behind a minus sign, or above the line of a fraction, is a gate as well."""
    gate = "z = sigmoid(W_z @ x + b_z)\nn = tanh(W_n @ x)\n"
    assert [cell(f"{gate}h = {text}").remember for text in ("n + -(z * h)", "z * h / 2 + n", "n - z * h")] == 3 * [
        {"b_z": 1}
    ]


def test_bounds_and_roles_of_lines():
    step = parse("f = sigmoid(W @ x)\ng = tanh(V @ x)\nk = 1 + f\nr = x * 2\nh = f * h + k * g * r", states="h")
    assert find_bounds(step)["k"] == (1, 2)
    assert find_bounds(step)["h"][1] == float("inf")
    assert find_roles(step) == {"f": "gate", "g": "candidate", "k": "other", "r": "other", "h": "state"}
    assert list(find_activations(step)) == ["f", "g"]


def test_what_a_state_was_before_something_came_on_top():
    """A mask, an override and a push each leave the line below them to be found."""
    masked = zoneout(CELLS["rnn"], h=0.1).step
    assert before_mask(masked.equations, "h") == "h_new"
    assert before_mask(CELLS["rnn"].step.equations, "h") == "h"
    changed = pushed(overridden(masked, ("h",)).step).step
    assert origin(changed.equations, "h", changed.inputs) == "h_new"
    # A mix by a gate is no mask.
    mixed = cell("z = sigmoid(W @ x)\nn = tanh(V @ x)\nh = z * h + (1 - z) * n").step
    assert origin(mixed.equations, "h", mixed.inputs) == "h"
