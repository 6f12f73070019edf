"""How functions, Greek letters and names are written, for every target."""

import pytest

from gatework.diagram import draw
from gatework.kernels.llvm.functions import EMITTERS
from gatework.language import FUNCTIONS, latex, parse, show
from gatework.language.spelling import BELOW, GREEK, SPELLINGS, Strength, number


def test_every_row_of_the_table_is_spelled_for_every_target():
    assert list(SPELLINGS) == list(FUNCTIONS)
    for name, spelling in SPELLINGS.items():
        row = FUNCTIONS[name]
        assert all((spelling.text, spelling.picture, spelling.latex)), name
        assert (spelling.latex, spelling.torch) == (row.latex, row.torch), name
        assert spelling.sign or name in ("greater", "divides"), name  # these two write brackets, and no word
        assert (spelling.strength < Strength.ATOM) == (row.kind == "operator"), name
    assert {spelling.llvm for spelling in SPELLINGS.values()} == {None, *EMITTERS}


def test_signs_of_functions():
    signs = {name: SPELLINGS[name].sign for name in ("sigmoid", "tanh", "rstd", "log_sigmoid", "mul", "sub")}
    assert signs == {"sigmoid": "σ", "tanh": "tanh", "rstd": "std ⁻¹", "log_sigmoid": "log σ", "mul": "×", "sub": "−"}


@pytest.mark.parametrize("name", GREEK)
def test_a_greek_name_is_its_letter_in_latex_and_in_pictures(name):
    wanted = name if name != "lambda" else "lambda_f"  # a word of Python cannot name a quantity
    text = f"{wanted} = cos(W @ x)\nh = {wanted} * h + x"
    step = parse(text, "h")
    assert latex(step).count(f"\\{name}") == 2
    assert GREEK[name] in draw(text).svg()
    assert parse(show(step), "h") == step


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (-2.0, "-2"), (0.1, "0.1"), (1e20, "1e+20"), (5e-9, "5e-09")])
def test_a_number_is_written_the_short_way_and_reads_back(value, text):
    assert number(value) == text
    assert float(text) == value


def test_what_is_below_is_said_once():
    step = parse(f"h = tanh(W @ x + R @ h + h{BELOW})", "h", f"x h{BELOW}")
    assert step.sizes_of[f"h{BELOW}"] == step.sizes_of["h"]
