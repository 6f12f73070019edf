"""``gatework draw``."""

from xml.etree import ElementTree

import pytest

from gatework.cells import CELLS

CELL_NAMES = ", ".join(CELLS)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_without_a_file_it_is_named_after_the_cell(gatework, tmp_path):
    outcome = gatework("draw", "gru_v3")
    assert (outcome.code, outcome.out, outcome.err) == (0, "Wrote gru_v3.svg.\n", "")
    assert (
        ElementTree.parse(tmp_path / "gru_v3.svg").getroot().get("aria-label")
        == "One step of GRU, reset before the product"
    )


def test_png_in_a_new_folder_and_another_scale(gatework, tmp_path):
    assert gatework("draw", "rnn", "-o", "pictures/small.png", "--scale", 1).out == "Wrote pictures/small.png.\n"
    assert gatework("draw", "rnn", "--output", "pictures/large.png", "--scale", 3).code == 0
    small, large = ((tmp_path / "pictures" / f"{name}.png").read_bytes() for name in ("small", "large"))
    widths = [int.from_bytes(picture[16:20], "big") for picture in (small, large)]
    assert abs(widths[1] - 3 * widths[0]) <= 3


def test_a_walk_as_one_sheet_and_apart(gatework, tmp_path):
    assert gatework("draw", "lstm", "--kind", "walk").out == "Wrote lstm.svg.\n"
    outcome = gatework("draw", "lstm", "--kind", "walk", "--apart", "-o", "step.svg")
    assert outcome.out.splitlines() == [f"Wrote step-{number}.svg." for number in (1, 2, 3, 4)]
    assert sorted(path.name for path in tmp_path.glob("step*")) == [f"step-{number}.svg" for number in (1, 2, 3, 4)]


def test_compare_takes_two_cells(gatework):
    shown = gatework("draw", "lstm", "--kind", "compare", "--with", "peephole", "--json").json
    strong = {shape["id"] for shape in shown["shapes"] if shape.get("emphasis") == "strong"}
    # What the peephole LSTM has and the LSTM has not: the three lines from the state to the gates.
    assert strong == {"s1.prev(c) > i", "s1.prev(c) > f", "s1.c > o"}


def test_json_writes_no_file_unless_one_is_named(gatework, tmp_path):
    assert gatework("draw", "lstm", "--json").json["title"] == "One step of LSTM"
    assert list(tmp_path.iterdir()) == []
    assert gatework("draw", "lstm", "--json", "-o", "lstm.svg").json["language"] == "en"
    assert (tmp_path / "lstm.svg").exists()


def test_a_file_of_equations_language_and_dark(gatework, tmp_path):
    (tmp_path / "mine.txt").write_text("z = sigmoid(W @ x)\nh = (1 - z) * h + z * (R @ h + U @ x)\n")
    assert gatework("draw", "mine.txt", "--language", "zh-Hans", "--dark").out == "Wrote mine.svg.\n"
    text = (tmp_path / "mine.svg").read_text(encoding="utf-8")
    assert "线性" in text
    assert "mine的一个时间步" in text


REFUSED = {
    "draw lstmm": f"There is no cell `lstmm`. Did you mean `lstm`? The cells are: {CELL_NAMES}.",
    "draw lstm --kind tree": (
        "There is no picture of the kind 'tree'; the kinds are cell, chain, walk, compare, line, memory, loop, "
        "unrolled."
    ),
    "draw lstm --kind compare": "A comparison needs a second cell: other='gru', say (--with gru on the command line).",
    "draw lstm --language de": "The language is 'de'; pictures are drawn in en, zh-Hans, zh-Hant.",
    "draw lstm -o lstm.pdf": "The picture 'lstm.pdf' is of no known kind; its name must end in .svg or .png.",
    "draw lstm --apart": "--apart parts the sheet of --kind walk; a picture of the kind cell is one already.",
    "draw lstm --kind chain --steps 12": "steps is 12; expected a whole number from 1 to 9.",
    "draw lstm -o a.png --scale 0": "The scale is 0.0; expected a number above 0, up to 16.",
}


@pytest.mark.parametrize(("words", "message"), REFUSED.items(), ids=REFUSED)
def test_refusals(gatework, tmp_path, words, message):
    outcome = gatework(*words.split())
    assert (outcome.code, outcome.out, outcome.err) == (2, "", f"gatework: {message}\n")
    assert list(tmp_path.iterdir()) == []
