"""The biases by which a cell remembers, found in its equations."""

import pytest

from gatework.cells import CELLS, cell, coupled
from gatework.cells.remembering import biases_that_remember

GATE = "z = sigmoid(W_z @ x + R_z @ h + b_z)\nn = tanh(W_n @ x + b_n)\n"


@pytest.mark.parametrize(
    ("equations", "found"),
    [
        (f"{GATE}h = z * h + (1 - z) * n", {"b_z": 1}),
        (f"{GATE}h = (1 - z) * h + z * n", {"b_z": -1}),
        (f"{GATE}k = 1 - z\nh = k * h + z * n", {"b_z": -1}),
        (f"{GATE}h = z * h + n", {"b_z": 1}),
        (f"{GATE}h = n - z * h", {"b_z": 1}),
        # A bias that is taken away works the other way round, and one may be added a line before.
        ("z = sigmoid(W_z @ x - b_z)\nh = z * h + tanh(W_n @ x)", {"b_z": -1}),
        ("s = W_z @ x + b_z\nz = sigmoid(s)\nh = z * h + tanh(W_n @ x)", {"b_z": 1}),
        # Two gates keep; the one that lets in comes last.
        (
            "f = sigmoid(W_f @ x + b_f)\nk = sigmoid(W_k @ x + b_k)\ni = sigmoid(W_i @ x + b_i)\n"
            "h = i * tanh(W_n @ x) + f * k * h",
            {"b_f": 1, "b_k": 1, "b_i": -1},
        ),
        # No gate keeps the state: a plain net, one that only adds, one with a fixed leak, one whose gate has no bias.
        ("h = tanh(W_h @ x + R_h @ h + b_h)", {}),
        (f"{GATE}h = h + z * n", {}),
        (f"{GATE}h = 0.9 * h + z * n", {}),
        ("z = sigmoid(W_z @ x)\nh = z * h + tanh(W_n @ x)", {}),
        # A gate on the output keeps nothing.
        ("o = sigmoid(W_o @ x + b_o)\nc = c + tanh(W_n @ x)\nh = o * tanh(c)", {}),
    ],
)
def test_found_in_the_equations(equations, found):
    mine = cell(equations)
    assert list(mine.remember.items()) == list(found.items())


def test_written_down_only_where_the_equations_do_not_tell():
    told = {name for name, one in CELLS.items() if biases_that_remember(one.step) != dict(one.remember)}
    assert told == {"slstm", "depth_gated"}


def test_the_registry_copied_by_hand_is_initialised_alike():
    for name in ("lstm", "gru", "gru_v3", "cifg", "janet"):
        assert cell(CELLS[name].equations).remember == CELLS[name].remember
    assert dict(coupled(CELLS["lstm"]).remember) == {"b_i": -1}
