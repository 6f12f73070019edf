"""The registry and the transformations."""

import copy
import math
import re
from typing import Any

import pytest

from gatework.cells import (
    CELLS,
    Cell,
    blocks,
    cell,
    coupled,
    layer_norm,
    peephole,
    project,
    recurrent_dropout,
    zoneout,
)
from gatework.errors import CellError, SizeError

NAMES = [
    "rnn",
    "rnn_relu",
    "irnn",
    "lstm_1997",
    "lstm",
    "peephole",
    "cifg",
    "nig",
    "nfg",
    "nog",
    "niaf",
    "noaf",
    "np",
    "fgr",
    "gru",
    "gru_v3",
    "mut1",
    "mut2",
    "mut3",
    "mgu",
    "janet",
    "depth_gated",
    "clockwork",
    "lstm_projected",
    "lstm_layer_norm",
    "lstm_multiplicative",
    "slstm",
    "indrnn",
]


def test_registry_holds_every_cell_of_the_plan():
    assert set(CELLS) == set(NAMES)
    assert all(name == cell.name for name, cell in CELLS.items())


@pytest.mark.parametrize("name", NAMES)
def test_each_cell_says_where_it_is_from(name):
    found = CELLS[name]
    assert found.year is not None
    assert str(found.year) in found.source
    assert len(found.notes) > 30
    assert all(equation.comment for equation in found.step.equations)


def test_unknown_cell_is_answered_with_the_nearest():
    with pytest.raises(
        CellError, match=r"There is no cell `lstmm`. Did you mean `lstm`\? The cells are: rnn, rnn_relu"
    ):
        CELLS["lstmm"]
    assert "lstmm" not in CELLS
    with pytest.raises(CellError, match=r"There is no cell `LSTM`. Did you mean `lstm`\?"):
        CELLS["LSTM"]


def test_counts_of_the_essay():
    """s = 128 units, d = 64 inputs: 24,576 a gate's matrix, 98,816 for the LSTM."""
    lstm = CELLS["lstm"]
    assert math.prod(lstm.parameters(64, 128)["W_i"]) + math.prod(lstm.parameters(64, 128)["R_i"]) == 24_576
    assert lstm.count(64, 128) == 4 * 128 * (128 + 64) + 4 * 128 == 98_816
    assert CELLS["gru"].count(64, 128) == 3 * 128 * (128 + 64) + 4 * 128
    assert CELLS["slstm"].count(64, 128) == 4 * (128 * 64 + 128 * 128 // 4 + 128)
    assert CELLS["clockwork"].count(64, 128) == 128 * 64 + (128 // 8) ** 2 * 36 + 128
    assert CELLS["lstm_projected"].count(64, 128, 32) == 4 * 128 * (64 + 32 + 1) + 128 * 32


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (peephole(CELLS["lstm"], "ifo"), "peephole"),
        (coupled(CELLS["lstm"]), "cifg"),
        (layer_norm(CELLS["lstm"]), "lstm_layer_norm"),
        (project(CELLS["lstm"]), "lstm_projected"),
    ],
)
def test_transformation_gives_the_paper_s_cell(made, name):
    assert made.step == CELLS[name].step
    assert set(made.init) == set(CELLS[name].init)


def test_a_gate_named_twice_gets_one_peephole():
    assert peephole(CELLS["lstm"], "ii").step == peephole(CELLS["lstm"], "i").step


def test_transformations_compose_in_any_order():
    one = peephole(layer_norm(zoneout(coupled(CELLS["lstm"]), c=0.5, h=0.05)), "io")
    other = zoneout(layer_norm(coupled(peephole(CELLS["lstm"], "io"))), c=0.5, h=0.05)
    assert one.step.equations == other.step.equations
    assert "o = sigmoid(a_W_o * norm(W_o @ x) + a_R_o * norm(R_o @ h) + b_o + p_o * c_new)" in str(one)


@pytest.mark.parametrize("name", NAMES)
def test_transformations_take_any_cell(name):
    """Every cell takes zoneout, layer norm and projection at once, and what comes out is a sound cell."""
    made = zoneout(CELLS[name], **{CELLS[name].states[0]: 0.1})
    made = layer_norm(made)
    if "proj_size" not in made.step.size_keys:
        made = project(made, 16)
    again = Cell(name="again", equations=str(made), states=made.states, inputs=made.inputs)
    assert again.step == made.step
    assert made.parameters(32, 32, 16)


def test_transformations_take_a_user_s_cell():
    mine = cell("u = sigmoid(W_u @ x + R_u @ h)\nn = tanh(W_n @ x)\ns = u * s + (1 - u) * n\nh = tanh(s)", states="h s")
    made = recurrent_dropout(zoneout(peephole(mine, "u"), s=0.2), 0.25)
    assert [" ".join(line.split()) for line in str(made).splitlines()] == [
        "u = sigmoid(W_u @ x + R_u @ h + p_u * s)",
        "drop_n = bernoulli(0.75) # dropout mask",
        "n = tanh(W_n @ x) * (drop_n / 0.75)",
        "s_new = u * s + (1 - u) * n",
        "h = tanh(s_new)",
        "keep_s = bernoulli(0.2) # zoneout mask: 1 keeps the old value",
        "s = keep_s * s + (1 - keep_s) * s_new # after zoneout",
    ]
    assert made.step.draws == {"drop_n": 0.75, "keep_s": 0.2}


def test_projecting_a_cell_that_reads_its_output_elementwise_carries_the_whole():
    made = project(CELLS["gru"], 5)
    assert made.states == ("h", "h_full")
    assert made.parameters(3, 7) | {"P": (5, 7)} == made.parameters(3, 7)
    assert made.parameters(3, 7)["R_r"] == (7, 5)


FAULTS = [
    (lambda: peephole(CELLS["lstm"], "ix"), "The cell `lstm` has no gate `x` of its own; it has i, f, g, o."),
    (lambda: peephole(CELLS["gru"], "z"), "The cell `gru` has one state, h. Say with state= which one gates look at."),
    (lambda: peephole(CELLS["cifg"], "f"), "The cell `cifg` has no gate `f` of its own; it has i, g, o."),
    (lambda: coupled(CELLS["gru"]), "The cell `gru` has no gate `i` of its own; it has r, z, n."),
    (lambda: zoneout(CELLS["gru"], c=0.5), "zoneout of `c`: the cell `gru` has the states h."),
    (lambda: zoneout(CELLS["gru"], h=1.5), "zoneout has the rate 1.5; expected a probability from 0 to below 1."),
    (lambda: recurrent_dropout(CELLS["rnn"], 0.5), "The cell `rnn` has no candidate `g or n` to drop. Choose with on="),
    (lambda: recurrent_dropout(CELLS["lstm"], -1), "recurrent_dropout has the rate -1; expected a probability"),
    (lambda: project(CELLS["lstm_projected"]), "The cell `lstm_projected` projects its output already"),
    (lambda: blocks(CELLS["lstm"], 4), "The cell `lstm` has no blocks to set."),
    (lambda: cell("h = tanh(W @ x)", init={"b": 1.0}), "init of the cell `cell` names b, which its equations"),
    (lambda: cell("h = tanh(W @ x)", init={"W": "gauss"}), "init['W'] is 'gauss'; expected a number or one of"),
]


@pytest.mark.parametrize(("make", "message"), FAULTS)
def test_faults(make, message):
    with pytest.raises(CellError, match=re.escape(message)):
        make()


SIZES = [
    ("mut1", (64, 128), "The input `x` has size 64; the cell `mut1` uses it elementwise, so it must have the size 128"),
    (
        "slstm",
        (64, 126),
        "hidden_size is 126; the cell `slstm` has blocks and needs a multiple of 4. `block_diagonal(R_i, 4)` cuts it "
        "into 4 equal parts. Choose 124 or 128.",
    ),
    ("lstm", (0, 128), "input_size is 0; expected a whole number of at least 1."),
    ("lstm", (64, -1), "hidden_size is -1; expected a whole number of at least 1."),
    ("lstm", (64, 128, 32), "The cell `lstm` does not project its output. Use `project(cell, 32)`."),
    ("lstm_projected", (64, 128), "The cell `lstm_projected` projects its output and needs its size"),
    ("lstm", ([3, 4], 8), "input_size has 2 entries; the cell `lstm` has 1 inputs: x."),
]


@pytest.mark.parametrize(("name", "sizes", "message"), SIZES)
def test_sizes_that_do_not_fit(name, sizes, message):
    with pytest.raises(SizeError, match=re.escape(message)):
        CELLS[name].count(*sizes)


BLOCKS = [
    (
        "h = tanh(block_diagonal(W, 3) @ x + h)",
        (17, 15),
        "input_size is 17; the cell `cell` has blocks and needs a multiple of 3. `block_diagonal(W, 3)` cuts it into 3 "
        "equal parts. Choose 15 or 18.",
    ),
    (
        "h = tanh(block_diagonal(W, 4) @ x + R @ h)",
        (3, 8),
        "input_size is 3; the cell `cell` has blocks and needs a multiple of 4. `block_diagonal(W, 4)` cuts it into 4 "
        "equal parts. Choose 4.",
    ),
    (
        "h = tanh(V @ (block_upper(W, 3) @ x) + h)",
        (17, 15),
        "input_size is 17; the cell `cell` has blocks and needs a multiple of 3. `block_upper(W, 3)` cuts it into 3 "
        "equal parts. Choose 15 or 18.",
    ),
    (
        "h = tanh(block_diagonal(W, 5) @ x + h)",
        (15, 17),
        "hidden_size is 17; the cell `cell` has blocks and needs a multiple of 5. `block_diagonal(W, 5)` cuts it into "
        "5 equal parts. Choose 15 or 20.",
    ),
    (
        "c = tanh(W @ x + block_diagonal(R, 2) @ h)\nh = P @ c",
        (3, 8, 5),
        "proj_size is 5; the cell `cell` has blocks and needs a multiple of 2. `block_diagonal(R, 2)` cuts it into 2 "
        "equal parts. Choose 4 or 6.",
    ),
    (
        "h = tanh(block_diagonal(W, 4) @ x + block_upper(R, 6) @ h)",
        (8, 18),
        "hidden_size is 18; the cell `cell` has blocks and needs a multiple of 12. `block_diagonal(W, 4)` cuts it into "
        "4 equal parts. Choose 12 or 24.",
    ),
]


@pytest.mark.parametrize(("equations", "sizes", "message"), BLOCKS)
def test_sizes_that_blocks_do_not_divide(equations, sizes, message):
    with pytest.raises(SizeError) as caught:
        cell(equations, states="h").sizes(*sizes)
    assert str(caught.value) == message


def test_blocks_ask_nothing_of_a_size_they_do_not_cut():
    mine = cell("h = tanh(V @ (block_upper(W, 3) @ x) + h)", states="h")
    assert mine.step.multiples == {"input_size": 3}
    assert mine.sizes(18, 16) == {"hidden_size": 16, "input_size": 18}


def test_sizes_of_further_inputs_may_follow_from_the_states():
    assert CELLS["depth_gated"].sizes(3, 8) == {"hidden_size": 8, "input_size": 3}
    assert CELLS["depth_gated"].sizes([3, 8], 8) == {"hidden_size": 8, "input_size": 3}


def test_cells_are_values():
    lstm = CELLS["lstm"]
    assert copy.deepcopy(lstm) == lstm
    assert Cell(**lstm.facts) == lstm
    with pytest.raises(AttributeError):
        setattr(lstm, "name", "other")  # noqa: B010 (the plain form does not pass the type checker, rightly)


def test_get_gives_the_default_as_every_mapping_does():
    assert CELLS.get("lstm") is CELLS["lstm"]
    assert CELLS.get("nope") is None
    assert CELLS.get("nope", 3) == 3


def test_facts_that_cannot_be_are_refused():
    text = "h = tanh(W @ x + R @ h + b)"
    values: list[Any] = [None, [1], True]
    for value in values:
        with pytest.raises(CellError, match=re.escape("expected a number or one of identity")):
            cell(text, init={"W": value})
    with pytest.raises(CellError, match=r"`b` is a vector\. Give a number or 'zeros'"):
        cell(text, init={"b": "orthogonal"})
    sizes: list[Any] = [-1, "a", 2.0, True]
    for size in sizes:
        with pytest.raises(CellError, match="expected a whole number of at least 1, or None"):
            project(CELLS["lstm"], size)
    counts: list[Any] = [0, "2", True]
    for count in counts:
        with pytest.raises(CellError, match="expected a whole number of at least 1"):
            blocks(CELLS["slstm"], count)
    nothing: Any = None
    with pytest.raises(SizeError, match="input_size is None; expected a whole number"):
        CELLS["lstm"].count(nothing, 4)


def test_a_change_that_would_go_in_a_circle_is_refused():
    with pytest.raises(CellError, match="depend on one another within one step"):
        coupled(CELLS["lstm"], "i", "i")


def test_layer_norm_leaves_states_that_the_output_divides_by():
    assert "h = o * (c / n)" in str(layer_norm(CELLS["slstm"]))


def test_what_a_cell_says_of_itself_steers_no_terminal():
    mine = cell("h = tanh(W @ x)  # \x1b[31m", name="a\x1bb", source="\x9b")
    assert (mine.name, mine.title, mine.source) == (r"a\x1bb", r"a\x1bb", r"\x9b")
    assert str(mine) == r"h = tanh(W @ x)  # \x1b[31m"
