"""The walk: equations parted by what they do to the state, each with its path."""

import pytest
from tests.diagram.geometry import EVERY_CELL

import gatework
from gatework.cells import CELLS, cell
from gatework.diagram.kinds.line import line_scene
from gatework.diagram.kinds.walk import walk_scenes
from gatework.diagram.planning.stages import make_stages
from gatework.errors import CellError
from gatework.language.nodes import Name, walk

WALKS = {
    "rnn": [("step", "h")],
    "lstm": [("forget", "f"), ("write", "i g"), ("update", "c"), ("output", "o h")],
    "lstm_1997": [("write", "i g"), ("update", "c"), ("output", "o h")],
    "cifg": [("forget", "i f"), ("write", "g"), ("update", "c"), ("output", "o h")],
    "gru_v3": [("read", "r"), ("forget", "z"), ("write", "n"), ("update", "h")],
    "gru": [("read", "r"), ("forget", "z"), ("write", "n"), ("update", "h")],
    "lstm_multiplicative": [("read", "m"), ("forget", "f"), ("write", "i g"), ("update", "c"), ("output", "o h")],
    "slstm": [("read", "z_i log_f m"), ("forget", "f"), ("write", "g i"), ("update", "c n"), ("output", "o h")],
    "janet": [("forget", "s f"), ("write", "g"), ("update", "c h")],
}


@pytest.mark.parametrize("name", WALKS)
def test_what_equations_do(name):
    assert [(stage.purpose, " ".join(stage.targets)) for stage in make_stages(CELLS[name].step)] == WALKS[name]


@pytest.mark.parametrize("name", EVERY_CELL)
def test_every_equation_is_told_once(name):
    """Save those that are plain numbers, which stand in the others."""
    told = [target for stage in make_stages(EVERY_CELL[name].step) for target in stage.targets]
    numbers = {"nig": {"i"}, "nfg": {"f"}, "nog": {"o"}}.get(name, set())
    assert len(told) == len(set(told))
    assert set(told) == {equation.target for equation in EVERY_CELL[name].step.equations} - numbers


@pytest.mark.parametrize("name", EVERY_CELL)
def test_nothing_is_told_before_what_it_reads(name):
    told = {
        target: number for number, stage in enumerate(make_stages(EVERY_CELL[name].step)) for target in stage.targets
    }
    early = [
        (equation.target, node.name)
        for equation in EVERY_CELL[name].step.equations
        for node in walk(equation.value)
        if isinstance(node, Name)
        and not node.previous
        and {equation.target, node.name} <= set(told)
        and told[node.name] > told[equation.target]
    ]
    assert early == []


LINES = {"lstm": "c", "gru": "h", "gru_v3": "h", "slstm": "c", "clockwork": "h", "fgr": "c"}


@pytest.mark.parametrize("name", LINES)
def test_the_line_that_is_pointed_out(name):
    """A memory, or the output; a counter of steps is neither."""
    bright = shown(line_scene(CELLS[name]))
    states = {one for one in CELLS[name].states if f"name out {one}" in bright or f"out {one}" in _ends(bright)}
    assert states == {LINES[name]}


def _ends(bright: set[str]) -> set[str]:
    return {name.rpartition(" > ")[2] for name in bright}


@pytest.mark.parametrize("name", ["rnn", "rnn_relu", "irnn", "indrnn"])
def test_without_a_line_there_is_none_to_point_out(name):
    with pytest.raises(CellError) as caught:
        line_scene(CELLS[name])
    assert str(caught.value) == (
        f"The cell `{name}` has no line to point out: that takes a state that pointwise operations alone carry on, "
        "such as c = f * c + i * g."
    )


def test_a_counter_alone_is_pointed_out():
    scene = line_scene(cell("h = tanh(W @ x + R @ h)\nt = t + 1", states="h t"))
    assert "out t" in _ends(shown(scene))


def shown(scene) -> set[str]:
    return {shape.id for shape in scene.shapes if shape.emphasis != "faint" and shape.kind in ("box", "circle", "line")}


def test_each_step_shows_its_path():
    forget, write, update, output = walk_scenes(CELLS["lstm"])
    join = "join prev(h), x"
    given = {"x", f"x > {join}", f"prev(h) > {join}"}
    assert shown(forget) == given | {"f", f"{join} > f", "f > f * c"}
    assert shown(write) == given | {"i", "g", f"{join} > i", f"{join} > g", "i > i * g", "g > i * g"}
    assert shown(update) == {
        "f * c", "i * g", "c", "f > f * c", "prev(c) > f * c", "i > i * g", "g > i * g", "f * c > c", "i * g > c",
        "c > out c",
    }  # fmt: skip
    assert shown(output) == given | {
        "o", "tanh(c)", "h", "up h", f"{join} > o", "o > h", "c > tanh(c)", "tanh(c) > h", "h > out h", "h > up h",
    }  # fmt: skip


def test_a_branch_that_is_shown_is_shown_from_its_beginning():
    """The stem of a gate alone would begin in the middle of nowhere."""
    whole = gatework.draw("lstm").scene
    forget = walk_scenes(CELLS["lstm"])[0]
    lines = {shape.id: shape for scene in (whole, forget) for shape in scene.shapes if shape.kind == "line"}
    bus = next(shape for shape in whole.shapes if shape.id == "join prev(h), x > o")
    assert lines["join prev(h), x > f"].path[0] == bus.path[0]


def test_the_equations_stand_beside():
    scene = walk_scenes(cell("h = tanh(W @ x + R @ h + b)  # mine"), "zh-Hant")[0]
    texts = ["".join(text for text, _ in shape.text) for shape in scene.shapes if shape.id.startswith("beside")]
    assert texts == ["新狀態", "ht = tanh(W\u2009xt + R\u2009ht−1 + b)", "mine"]


@pytest.mark.parametrize("name", EVERY_CELL)
def test_a_name_is_as_dark_as_the_line_beside_it(name):
    for scene in walk_scenes(EVERY_CELL[name]):
        lines = [shape for shape in scene.shapes if shape.kind == "line"]
        for text in scene.shapes:
            if text.kind != "text" or not text.id.startswith("label "):
                continue
            dark = any(line.emphasis == "" and line.quantity == text.quantity for line in lines)
            assert not (dark and text.emphasis == "faint"), (scene.title, text.id)
