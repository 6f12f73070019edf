"""A cell in whichever way it is given, and the tables of what is known by name."""

from typing import Any

import pytest

from gatework.cells import CELLS, Cell, find_cell, is_equations, is_file
from gatework.errors import CellError, ConfigError, DataError, did_you_mean, nearest
from gatework.registry import Registry
from gatework.tasks.registry import TASKS

TEXT = "h = tanh(W @ x + R @ h)"


def test_a_cell_by_its_name_its_equations_or_a_file_of_them(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(TEXT)
    assert find_cell("gru") is CELLS["gru"]
    assert find_cell(CELLS["gru"]) is CELLS["gru"]
    assert [find_cell(TEXT).name, find_cell(TEXT, name="leaky").name] == ["cell", "leaky"]
    assert find_cell(str(path), files=True).step == find_cell(TEXT).step
    assert [find_cell(str(path), files=True).name, find_cell(str(path), name="a", files=True).name] == ["mine", "a"]


def test_no_file_is_read_that_nobody_asked_for(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(TEXT)
    with pytest.raises(CellError, match="There is no cell `"):
        find_cell(str(path))
    with pytest.raises(DataError, match="cannot be read"):
        find_cell(str(tmp_path / "none.txt"), files=True)


def test_what_is_no_cell_is_refused():
    given: Any = 5
    with pytest.raises(CellError, match=r"cell is a int; expected a gatework\.Cell, a name such as 'lstm'"):
        find_cell(given)


@pytest.mark.parametrize(
    ("given", "kind"),
    [("lstm", ""), ("mine.txt", "file"), ("a/b", "file"), (TEXT, "equations"), ("h = a / b\n", "equations")],
)
def test_names_files_and_equations_are_told_apart(given, kind):
    assert (is_file(given), is_equations(given)) == (kind == "file", kind == "equations")


@pytest.mark.parametrize(("table", "error"), [(CELLS, CellError), (TASKS, ConfigError)], ids=["cells", "tasks"])
def test_a_table_is_closed_ordered_and_answers_with_the_nearest(table, error):
    assert type(table) is Registry
    first = next(iter(table))
    assert table[first].name == first
    assert (first in table, "nothing" in table, table.get("nothing"), len([*table])) == (True, False, None, len(table))
    with pytest.raises(error, match=rf"(?i)did you mean .{first}.\? The .* are: {first}, "):
        table[f"{first}n".upper()]
    closed: Any = table
    with pytest.raises(TypeError, match="does not support item assignment"):
        closed["nothing"] = table[first]
    assert f"{len(table)} {'cells' if table is CELLS else 'tasks'}: {first}, " in repr(table)


def test_two_of_one_name_are_refused():
    twice = CELLS["rnn"], Cell(name="rnn", equations=TEXT)
    with pytest.raises(ValueError, match=r"Two of the cells have one name\."):
        Registry(*twice, unknown="", hint="", error=CellError, kind="cells")


def test_the_nearest_choice():
    assert nearest("tahn", ["sin", "tanh"]) == "tanh"
    assert nearest("zzz", ["sin", "tanh"]) is None
    assert did_you_mean("tahn", ["tanh"], quote="'") == " Did you mean 'tanh'?"
    assert did_you_mean("zzz", ["tanh"]) == ""
