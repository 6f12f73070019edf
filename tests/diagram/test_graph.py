"""Equations as signs: what is one learned layer, what a pointwise operation, what is drawn once."""

import re

import pytest

from gatework.cells import CELLS, coupled, zoneout
from gatework.diagram.planning.graph import LAYER, OPERATION, SOURCE, Graph, make_graph
from gatework.diagram.planning.notation import plain
from gatework.diagram.planning.wiring import JUNCTION, make_wiring
from gatework.language import parse


def graph_of(text: str, **options) -> Graph:
    return make_graph(parse(text, **options))


def signs(graph: Graph) -> dict[str, tuple[str, str, list[str]]]:
    """Quantity -> kind, label and what goes in."""
    return {
        vertex.quantity: (vertex.kind, plain(vertex.label), [below.quantity for below in vertex.inputs])
        for vertex in graph.vertices
        if vertex.kind in (LAYER, OPERATION, SOURCE)
    }


def test_the_lstm_is_four_layers_and_five_operations():
    gate = ["x", "prev(h)"]
    assert signs(make_graph(CELLS["lstm"].step)) == {
        "i": (LAYER, "σ", gate),
        "f": (LAYER, "σ", gate),
        "g": (LAYER, "tanh", gate),
        "o": (LAYER, "σ", gate),
        "f * c": (OPERATION, "×", ["f", "prev(c)"]),
        "i * g": (OPERATION, "×", ["i", "g"]),
        "c": (OPERATION, "+", ["f * c", "i * g"]),
        "tanh(c)": (OPERATION, "tanh", ["c"]),
        "h": (OPERATION, "×", ["o", "tanh(c)"]),
    }


LABELS = {
    "2 * sigmoid(c) - 1": "2σ−1",
    "1 - c": "1−",
    "-c": "−",
    "c / 0.5": "/0.5",
    "1 - sigmoid(c - 1)": "1−σ(·−1)",
    "mod(c + 1, 256)": "(·+1) mod 256",
    "norm(c)": "norm",
    "tanh(norm(c))": "tanh(norm)",
    "sqrt(c)": "√",
    "log_sigmoid(c)": "log σ",
    "0.5 * (c + 1)": "0.5(·+1)",
    "4 * sigmoid(W @ c + b) - 2": "4σ−2",
    "tanh(a * norm(W @ c) + b)": "tanh(norm)",
    "W @ c": "W",
    "R_h @ c + b": "R_h",
    "W @ c + R @ h": "linear",
    "gain * c": "gain",
    "relu(w * c)": "relu",
}


@pytest.mark.parametrize(("text", "label"), LABELS.items(), ids=LABELS)
def test_functions_around_one_argument_are_one_sign(text, label):
    """What is around an argument is written on one sign, constants and all."""
    graph = graph_of(f"y = {text}\nc = c + x\nh = h * y * c", states="h c")
    found = next(vertex for vertex in graph.vertices if "y" in vertex.names)
    assert plain(found.label) == label


def test_a_name_is_never_swallowed():
    """Each line's value has a sign of its own, to be labelled and traced."""
    graph = graph_of("s = W @ x\nf = sigmoid(s)\nk = 1 - f\nh = k * h")
    assert [vertex.names for vertex in graph.vertices if vertex.names] == [["s"], ["f"], ["k"], ["h"]]


def test_equal_expressions_are_one_sign():
    graph = graph_of("h = tanh(x) * h + tanh(x)")
    assert [vertex.quantity for vertex in graph.vertices].count("tanh(x)") == 1


def test_two_masks_of_one_probability_are_two():
    sources = [
        vertex for vertex in make_graph(zoneout(CELLS["lstm"], c=0.5, h=0.5).step).vertices if vertex.kind == SOURCE
    ]
    assert [vertex.names for vertex in sources] == [["keep_c"], ["keep_h"]]


def test_two_names_of_one_value_are_one_sign():
    graph = make_graph(CELLS["janet"].step)
    assert graph.current["h"] is graph.current["c"]
    assert graph.current["h"].names == ["c", "h"]


def test_a_gate_that_is_a_constant_is_not_drawn():
    """`i = 1` leaves no sign, and no product with 1."""
    drawn = signs(make_graph(CELLS["nig"].step))
    assert "i" not in drawn
    assert drawn["c"] == (OPERATION, "+", ["f * c", "g"])


def test_differences_and_quotients_say_which_is_which():
    graph = graph_of("d = x - h\nh = h / d")
    marks = {vertex.quantity: vertex.marks for vertex in graph.vertices if vertex.marks}
    assert marks == {"d": ("", "−"), "h": ("", "÷")}


MARKED = {
    "h = tanh(W_s @ s + W_u @ u - a / (1 + a))": {"a / (1 + a)": "−"},
    "h = tanh(W @ s - (R @ h - a))": {},
    "h = tanh(W @ s - (a - R @ h))": {"a": "−"},
    "h = tanh(W @ s - R @ h - p * a)": {},  # the sign of a weight is in the weight
    "h = tanh(W @ s + p / a)": {"a": "÷"},
    "h = tanh(W @ s + R @ h - s)": {"s": "−"},
    "h = tanh(W @ s + R @ h + a - prev(h) - u)": {"prev(h)": "−", "u": "−"},
}


@pytest.mark.parametrize(("text", "expected"), MARKED.items(), ids=MARKED)
def test_what_a_layer_is_given_bears_its_sign(text, expected):
    """By a line of its own: no mark may speak for what is joined with it."""
    inputs = [name for name in "sua" if re.search(rf"\b{name}\b", text)]
    wiring = make_wiring(graph_of(text, inputs=inputs))
    layer = next(vertex for vertex in wiring.vertices if plain(vertex.label) == "tanh")
    pairs = list(zip(wiring.inputs[layer], wiring.marks[layer], strict=True))
    assert {below.quantity: mark for below, mark in pairs if mark} == expected
    assert all(below.kind != JUNCTION for below, mark in pairs if mark)


def test_more_marks_than_entrances_are_joined_like_with_like():
    wiring = make_wiring(graph_of("h = tanh(W @ s + R @ h - a - b - u - c)", inputs="s a b u c"))
    layer = next(vertex for vertex in wiring.vertices if plain(vertex.label) == "tanh")
    assert wiring.marks[layer] == ("", "−", "−")

    def leaves(vertex) -> set[str]:
        if vertex.kind != JUNCTION:
            return {vertex.quantity}
        return {name for below in wiring.inputs[vertex] for name in leaves(below)}

    joined, *taken_away = (leaves(below) for below in wiring.inputs[layer])
    assert joined == {"s", "prev(h)"}
    assert set.union(*taken_away) == {"a", "b", "u", "c"}


def junctions(name: str) -> list[set[str]]:
    wiring = make_wiring(make_graph(CELLS[name].step))
    return [
        {below.quantity or "junction" for below in wiring.inputs[vertex]}
        for vertex in wiring.vertices
        if vertex.kind == JUNCTION
    ]


def test_what_several_layers_read_is_joined_once():
    assert junctions("lstm") == [{"prev(h)", "x"}]
    assert junctions("gru_v3") == [{"prev(h)", "x"}, {"x", "r * h"}]
    # Peepholes come from above by themselves.
    assert junctions("peephole") == [{"prev(h)", "x"}]
    # Two vectors meet at a point, then a third.
    assert junctions("fgr") == [
        {"prev(h)", "x"},
        {"junction", "prev(i)"},
        {"junction", "prev(f)"},
        {"junction", "prev(o)"},
    ]


def test_lines_of_states():
    """A state that only operations carry on has a line; the output that is made from it hangs below."""
    wiring = make_wiring(make_graph(CELLS["lstm"].step))
    assert {state: [v.quantity for v in line] for state, line in wiring.lines.items()} == {"c": ["f * c", "c"]}
    assert (wiring.high, wiring.low) == (("c",), ("h",))
    assert {vertex.quantity for vertex in wiring.hanging} == {"tanh(c)", "h"}


def test_masked_states_keep_the_longest_line():
    wiring = make_wiring(make_graph(zoneout(CELLS["lstm"], c=0.5, h=0.1).step))
    assert [v.quantity for v in wiring.lines["c"]] == ["f * c", "c_new", "(1 - keep_c) * c_new", "c"]
    assert [v.quantity for v in wiring.lines["h"]] == ["keep_h * h", "h"]
    assert (wiring.high, wiring.low) == (("c",), ("h",))


def test_transformations_are_drawn_as_what_they_are():
    assert signs(make_graph(coupled(CELLS["lstm"]).step)) == signs(make_graph(CELLS["cifg"].step))


def test_a_transposed_matrix_is_marked_in_its_layer():
    assert signs(graph_of("h = R_h.T @ h + x * 2", states="h"))["h"][:2] == (LAYER, "R_hᵀ")
