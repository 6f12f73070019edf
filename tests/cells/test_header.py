"""The header of a text of equations says what the arguments of ``gatework.cell`` say."""

from typing import Any

import pytest
import torch

import gatework
from gatework.cells import find_cell
from gatework.errors import CellError, EquationError

STEP = "q = R_q @ h + b_q\nu = tanh(V @ x + s * eps)\nh = tanh(W @ u + R @ h + U @ p + b)"
HEADER = """
# A cell of several sizes.
states: h              # the output
  inputs: x eps
outputs: q
sizes: q=p  u
init: b=-1.5 R=orthogonal p=1
source: Elman 1990, https://doi.org/10.1207/s15516709cog1402_1
"""
ARGUMENTS: dict[str, Any] = {
    "states": "h",
    "inputs": "x eps",
    "outputs": "q",
    "sizes": "q=p u",
    "init": {"b": -1.5, "R": "orthogonal", "p": 1.0},
    "source": "Elman 1990, https://doi.org/10.1207/s15516709cog1402_1",
}


def facts_of(cell: gatework.Cell) -> dict[str, Any]:
    return {name: value for name, value in cell.facts.items() if name not in ("equations", "name", "title")}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_header_says_what_arguments_say(line_end, tmp_path):
    right = gatework.cell(STEP, **ARGUMENTS)
    text = (HEADER + STEP).replace("\n", line_end)
    path = tmp_path / "mine.txt"
    path.write_bytes(text.encode())
    for found in (gatework.cell(text), find_cell(text), find_cell(str(path), files=True)):
        assert found.step == right.step
        assert facts_of(found) == facts_of(right)


def test_a_cell_with_a_header_can_be_run_copied_and_changed():
    layer = gatework.Recurrent(HEADER + STEP, (3, 4), 5, sizes={"q": 2, "u": 4})
    _, _, (record,) = layer.record((torch.zeros(6, 1, 3), torch.zeros(6, 1, 4)))
    assert record["q"].shape == (6, 1, 2)
    assert gatework.layer_norm(layer.cell).outputs == ("q",)
    rebuilt = gatework.Cell(**layer.cell.facts)
    assert (rebuilt, rebuilt.step) == (layer.cell, layer.cell.step)


def test_each_line_of_a_header_stands_alone():
    """A text without a header is what it was, and each word can be said alone."""
    text = "h = tanh(W @ x + R @ h + b)"
    assert gatework.cell(text).equations == text
    for word, value in {"states": "h", "inputs": "x", "outputs": "h", "init": "b=1", "source": "é, 1990: a: b"}.items():
        given: dict[str, Any] = {word: {"b": 1.0} if word == "init" else value}
        assert facts_of(gatework.cell(f"{word}: {value}\n{text}")) == facts_of(gatework.cell(text, **given))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "output: q",
            r"`output:` is no line of a header; there are `states:`, .*Did you mean `outputs`\?\n  line 1: out",
        ),
        ("sizes:", "`sizes:` says nothing; write, for example, `sizes: z=mu0 e`, or leave the line out."),
        ("outputs: q\n\noutputs: h", "`outputs:` is said twice; say all of it on one line.*\n  line 3: outputs: h\n"),
        ("p = V @ x\noutputs: q", "`outputs:` stands below an equation; lines such as `outputs: mu sd` stand above"),
        ("init: b", "`init:` says `b`; expected names with their values, such as `init: b_f=1 R=orthogonal`."),
        ("init: b=", "`init:` says `b=`; expected names with their values"),
        ("outputs: q, h", "`q,` cannot be one of the outputs: a name is letters, digits and _, and no function."),
        ("outputs: z", "The output `z` has no equation."),
        ("sizes: q=", "`` cannot be one of the sizes"),
        ("states: z", "The state `z` has no equation."),
        ("outputs := q", "The symbol `:` is not part of the language"),
        ("source: \ud800", "This character is no valid Unicode"),
    ],
)
def test_what_a_header_cannot_say_is_refused(header, message):
    with pytest.raises(EquationError, match=message.replace("(", r"\(")):
        gatework.cell(f"{header}\nq = V @ h\nh = tanh(W @ x + q + b)")


@pytest.mark.parametrize("value", ["large", "nan", "inf", "1e400"])
def test_an_initial_value_is_a_finite_number_or_a_known_word(value):
    with pytest.raises(CellError, match=rf"init\['b'\] is '{value}'; expected a number or one of identity"):
        gatework.cell(f"init: b={value}\nh = tanh(W @ x + b)")


def test_what_is_said_twice_is_refused():
    with pytest.raises(EquationError, match="`outputs:` is said in the text, and `outputs` is also given"):
        gatework.cell("outputs: h\nh = tanh(W @ x + R @ h)", outputs="h")
    with pytest.raises(EquationError, match="expected text, one equation a line"):
        gatework.cell(b"outputs: h")  # pyrefly: ignore


def test_errors_in_equations_count_the_lines_of_the_header():
    with pytest.raises(EquationError, match=r"`q` is never read.*\n  line 3: q = V @ x"):
        gatework.cell("states: h\n# a comment\nq = V @ x\nh = tanh(W @ x + R @ h)")
