"""Names that become parameters and look mistyped are warned of; ordinary parameters are not."""

import warnings

import pytest

from gatework.cells import CELLS, cell, layer_norm, peephole
from gatework.errors import EquationWarning
from gatework.language.mistyped import suspects

# Equations -> the names that are suspected, with what was meant.
MISTYPED = {
    "case": ("c = f * C + tanh(W @ x + b)\nf = sigmoid(R @ h)\nh = tanh(c)", [("C", "c")]),
    "input": ("h = tanh(W @ X + R @ h + x)", [("X", "x")]),
    "word for a letter": ("f = sigmoid(W @ x + b)\nh = f * h + (1 - forget) * x", [("forget", "f")]),
    "word of a comment": ("z = sigmoid(W @ x + b)  # update gate\nh = z * h + (1 - update) * x", [("update", "z")]),
    "letter for a word": ("forget = sigmoid(W @ x + b)\nh = forget * h + (1 - f) * x", [("f", "forget")]),
    "a slip": ("candidate = tanh(W @ x + b)\nh = 0.5 * h + candidate * canddiate", [("canddiate", "candidate")]),
    "an underscore": ("C_tilde = tanh(W @ x)\nh = h + C_tilde * Ctilde", [("Ctilde", "C_tilde")]),
    "a time": ("c = 0.5 * c + 0.5 * c_prev + x\nh = tanh(c)", [("c_prev", "c")]),
    "times a matrix": ("h = tanh(W @ x + R @ h + V @ y)", [("y", "")]),
}
# Learned vectors that people mean.
MEANT = {
    "bias": "h = tanh(W @ x + R @ h + bias)",
    "gain": "g = tanh(W @ x)\nh = gain * h + g",
    "scale": "s = s + x\nh = scale * tanh(s)",
    "decay": "d = tanh(W @ x)\nh = sigmoid(decay) * h + d",
    "peepholes": "c = c + sigmoid(p_i * c) * x\ni = sigmoid(w_c * c)\nh = i * tanh(c)",
    "letters": "u = tanh(W @ x + b)\nh = a * h + s * u",
    "Greek": "a = tanh(W @ x)\nh = sigmoid(alpha) * h + a",
}


@pytest.mark.parametrize(("text", "expected"), MISTYPED.values(), ids=MISTYPED)
def test_a_name_that_looks_mistyped_is_suspected(text, expected):
    with pytest.warns(EquationWarning) as caught:
        made = cell(text)
    assert [(suspect.name, suspect.meant) for suspect in suspects(made.step)] == expected
    assert len(caught) == 1


def test_the_warning_in_words():
    with pytest.warns(EquationWarning) as caught:
        cell("h = tanh(W @ x + R @ H)")
    assert str(caught[0].message) == (
        "`H` is no state, no input and no line, so it is learned as a parameter, and `R @ H` is the same at every "
        "step. Did you mean `h`? If it is meant to be learned, another name, or a value in init, ends this warning."
    )
    assert caught[0].filename == __file__  # where the user wrote it


@pytest.mark.parametrize("text", MEANT.values(), ids=MEANT)
def test_an_ordinary_parameter_is_not(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cell(text)


def test_a_parameter_with_a_value_is_meant():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cell("c = C * c + x\nh = tanh(c)", init={"C": 0.9})


@pytest.mark.parametrize("name", CELLS)
def test_no_cell_of_the_registry_is_suspected(name):
    assert suspects(CELLS[name].step) == ()


@pytest.mark.parametrize("change", [peephole, layer_norm])
def test_no_transformed_cell_is_suspected(change):
    assert suspects(change(CELLS["lstm"]).step) == ()
