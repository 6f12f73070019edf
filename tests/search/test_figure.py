"""The looks of the curves: the same cell the same in every picture, and no two alike in one."""

import pytest

from gatework.cells import CELLS
from gatework.search.comparing.figure import _COLOURS, _FIXED, _styles

EQUATIONS = "h = tanh(W @ x)\n"


def by_name(*names):
    return _styles({name: name for name in names})


def test_a_cell_looks_the_same_whatever_stands_beside_it():
    first, other = by_name("rnn", "lstm", "gru"), by_name("gru", "mut1", "lstm")
    assert {name: first[name] for name in ("gru", "lstm")} == {name: other[name] for name in ("gru", "lstm")}
    # What has no place of its own takes none of theirs.
    assert other["mut1"]["color"] not in {other["gru"]["color"], other["lstm"]["color"]}


def test_a_name_decides_and_not_what_a_cell_is_called_here():
    styles = _styles({"ours": "lstm", "lstm": EQUATIONS})
    assert styles["ours"] == by_name("lstm")["lstm"]
    assert styles["lstm"] != styles["ours"]


def test_the_same_cell_twice_looks_different():
    styles = _styles({"one": "rnn", "same": "rnn"})
    assert styles["one"] == by_name("rnn")["rnn"] != styles["same"]


@pytest.mark.parametrize("turned", [False, True])
def test_no_two_are_alike(turned):
    names = [*CELLS][:: -1 if turned else 1]
    styles = by_name(*names)
    assert list(map(styles.__contains__, names)) == [True] * len(names)
    assert len({tuple(style.values()) for style in styles.values()}) == len(names)
    for count in range(1, len(_COLOURS) + 1):
        assert len({style["color"] for style in by_name(*names[:count]).values()}) == count


def test_fixed_places_are_those_of_cells_there_are():
    assert set(_FIXED) <= set(CELLS)
    assert len(_FIXED) == len(set(_FIXED.values())) <= len(_COLOURS)
