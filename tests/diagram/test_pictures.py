"""The door to pictures: every kind, language and paper; files; and the pictures that must not change by themselves."""

import ast
import json
import re
import runpy
import struct
import subprocess
import sys
import warnings
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from tests.diagram.geometry import EVERY_CELL, true_width
from tests.diagram.golden import GOLDEN, path_of

import gatework
from gatework import fonts
from gatework.cells import CELLS
from gatework.diagram import KINDS, LANGUAGES, Picture, gate_scene, notation_scene, unrolled_scene
from gatework.diagram.rendering import raster
from gatework.diagram.rendering.raster import png
from gatework.diagram.rendering.theme import DARK, LIGHT
from gatework.errors import CellError, ConfigError
from gatework.translations import said

ROOT = Path(__file__).parents[2]
NEEDS_OTHER = {"compare": "gru"}
SVG = "{http://www.w3.org/2000/svg}"


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height, as a PNG's first block says."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_in_every_language(kind, language):
    """It is well-formed, says what it shows, and reaches nothing outside itself."""
    picture = gatework.draw("lstm", kind, other=NEEDS_OTHER.get(kind), language=language)
    tree = ElementTree.fromstring(picture.svg())
    assert tree.get("role") == "img"
    assert tree.findtext(f"{SVG}title") == picture.scene.title != ""
    assert (tree.findtext(f"{SVG}desc") or "").count("=") >= 6
    assert tree.get("{http://www.w3.org/XML/1998/namespace}lang") == language
    assert not re.search(r"href|url\(|<script|<style|@import", picture.svg())


@pytest.mark.parametrize("name", EVERY_CELL)
def test_every_cell_has_a_picture_and_a_walk(name):
    picture = gatework.draw(EVERY_CELL[name], "walk")
    ElementTree.fromstring(picture.svg())
    ElementTree.fromstring(gatework.draw(EVERY_CELL[name], "chain", dark=True).svg())
    assert len(picture.apart) >= 1


@pytest.mark.parametrize("name", GOLDEN)
def test_pictures_do_not_change_by_themselves(name):
    """If a change is meant: `python -m tests.diagram.golden` writes them anew, and a person looks at them."""
    assert GOLDEN[name]().svg() == path_of(name).read_text(encoding="utf-8")


def test_no_golden_picture_is_forgotten():
    assert {path.stem for path in path_of("lstm").parent.glob("*.svg")} == set(GOLDEN)


def test_the_scene_is_plain_data():
    """Shapes carry the names of the equations, so that the explorer can colour them by values."""
    scene = json.loads(json.dumps(gatework.draw("lstm").scene.to_dict()))
    quantities = {shape["quantity"] for shape in scene["shapes"] if shape["kind"] == "line"}
    assert quantities == {"", "x", "prev(h)", "prev(c)", "i", "f", "g", "o", "c", "h", "f * c", "i * g", "tanh(c)"}
    boxes = [shape for shape in scene["shapes"] if shape["kind"] == "box"]
    assert {(box["quantity"], box["role"], box["text"]) for box in boxes} == {
        ("f", "learned", "σ"), ("i", "learned", "σ"), ("g", "learned", "tanh"), ("o", "learned", "σ"),
    }  # fmt: skip
    assert {shape["kind"] for shape in scene["shapes"]} == {"frame", "line", "box", "circle", "text"}
    ids = [shape["id"] for shape in scene["shapes"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", KINDS)
def test_control_characters_in_comments_break_no_picture(kind):
    text = str(CELLS["lstm"]).replace("# ", "# \x1b[31m\x00\x0b\ufffe\u202e ")
    mine = gatework.cell(text, states="h c", name="a\x1b")
    svg = gatework.draw(mine, kind, other=NEEDS_OTHER.get(kind)).svg()
    ElementTree.fromstring(svg)
    assert not set(svg) & set("\x1b\x00\x0b\ufffe\u202e")


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_unique_in_every_kind(kind):
    scene = gatework.draw("fgr", kind, other=NEEDS_OTHER.get(kind)).scene if kind != "memory" else None
    scene = scene or gatework.draw("lstm", kind).scene
    ids = [shape.id for shape in scene.shapes]
    assert [name for name in ids if ids.count(name) > 1] == []


@pytest.mark.parametrize("dark", [False, True])
def test_png_has_the_size_and_the_paper(tmp_path, dark):
    picture = gatework.draw("gru_v3", dark=dark)
    path = picture.png(tmp_path / "new" / "gru.png", scale=1.5)
    width, height = size_of(path.read_bytes())
    assert abs(width - picture.scene.width * 1.5) <= 1
    assert abs(height - picture.scene.height * 1.5) <= 1


def test_light_and_dark_have_the_same_shapes_and_other_colours():
    light, dark = gatework.draw("lstm").svg(), gatework.draw("lstm", dark=True).svg()
    assert light != dark
    colour = re.compile(r"#[0-9a-f]{6}")
    assert colour.sub("", light) == colour.sub("", dark)
    assert LIGHT.ink in light
    assert LIGHT.fills["cell"] not in dark
    assert DARK.ink in dark


def test_save_goes_by_the_name(tmp_path):
    picture = gatework.draw("rnn")
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg()
    assert size_of(picture.save(tmp_path / "a.PNG", scale=1).read_bytes())[0] == round(picture.scene.width)
    with pytest.raises(ConfigError) as caught:
        picture.save(tmp_path / "a.pdf")
    assert (
        str(caught.value) == f"The picture '{tmp_path}/a.pdf' is of no known kind; its name must end in .svg or .png."
    )


def test_what_comments_say_goes_with_the_shapes():
    """In the plain data, under the pointer in a browser, and below the picture where a legend is asked for."""
    picture = gatework.draw("lstm", language="zh-Hans")
    notes = {shape["id"]: shape.get("note") for shape in picture.scene.to_dict()["shapes"]}
    assert (notes["f"], notes["f > f * c"], notes["name prev(c)"], notes["frame"]) == ("遗忘门", "遗忘门", None, None)
    assert "<title>f_t: 遗忘门</title>" in picture.svg()
    legend = gatework.draw("slstm", legend=True).scene
    told = {shape.quantity: shape.text[0][0] for shape in legend.shapes if shape.id.startswith("note")}
    assert told == {equation.target: equation.comment for equation in CELLS["slstm"].step.equations}
    assert all(shape.box[1] < legend.height for shape in legend.shapes)


def test_notebooks_show_it():
    picture = gatework.draw("lstm")
    assert picture._repr_svg_() == picture.svg()


def test_a_cell_may_be_given_in_any_way():
    layer = gatework.Recurrent("lstm", input_size=3, hidden_size=4)
    by_name = gatework.draw("lstm")
    assert gatework.draw(CELLS["lstm"]) == by_name
    assert gatework.draw(layer) == by_name
    typed = gatework.draw(CELLS["lstm"].equations)
    assert [shape.box for shape in typed.scene.shapes] == [shape.box for shape in by_name.scene.shapes]


REFUSED = {
    "kind": (("lstm", "cel"), {}, ConfigError,
             "There is no picture of the kind 'cel'; the kinds are cell, chain, walk, compare, line, memory, loop, "
             "unrolled."),
    "language": (("lstm",), {"language": "de"}, ConfigError,
                 "The language is 'de'; pictures are drawn in en, zh-Hans, zh-Hant."),
    "steps": (("lstm", "chain"), {"steps": 10}, ConfigError, "steps is 10; expected a whole number from 1 to 9."),
    "other": (("lstm",), {"other": "gru"}, ConfigError,
              "A second cell (other=, --with) is for a picture of the kind 'compare'; this one is of the kind 'cell'."),
    "idle steps": (("lstm",), {"steps": 5}, ConfigError,
                   "A number of steps is for pictures of the kinds 'chain' and 'unrolled'; this one is of the kind "
                   "'cell'."),
    "steps beside": (("lstm", "compare"), {"other": "gru", "steps": 2}, ConfigError,
                     "A number of steps is for pictures of the kinds 'chain' and 'unrolled'; this one is of the kind "
                     "'compare'."),
    "no line": (("rnn", "line"), {}, CellError,
                "The cell `rnn` has no line to point out: that takes a state that pointwise operations alone carry on, "
                "such as c = f * c + i * g."),
    "no steps": (("lstm", "unrolled"), {"steps": 0}, ConfigError, "steps is 0; expected a whole number from 1 to 9."),
    "legend": (("lstm", "walk"), {"legend": True}, ConfigError,
               "A legend stands below a picture of the kind 'cell'; this one is of the kind 'walk'."),
    "alone": (("lstm", "compare"), {}, ConfigError,
              "A comparison needs a second cell: other='gru', say (--with gru on the command line)."),
    "nothing": ((7,), {}, CellError,
                "A int is no cell; expected a name, a gatework.Cell, equations as text, or a layer."),
    "no memory": (("rnn", "memory"), {}, CellError,
                  "The cell `rnn` has no memory to draw as one sum with a loop: that takes a state that is what it "
                  "was, perhaps times a gate, plus what is written, such as c = f * c + i * g."),
}  # fmt: skip


@pytest.mark.parametrize(("given", "options", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals(given, options, kind, message):
    with pytest.raises(kind) as caught:
        gatework.draw(*given, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("scale", [0, -1, 17, float("nan")])
def test_impossible_scales_are_refused(tmp_path, scale):
    with pytest.raises(ConfigError, match=r"The scale is .*; expected a number above 0, up to 16\."):
        gatework.draw("rnn").png(tmp_path / "a.png", scale=scale)


def test_chinese_without_a_font_says_what_to_install(monkeypatch):
    monkeypatch.setattr(fonts.font_manager.fontManager, "ttflist", [])
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: ["/fonts/DejaVuSans.ttf"])
    fonts.chinese_font.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"on Debian: apt install fonts-noto-cjk"):
            png(notation_scene("zh-Hans"), LIGHT)
    finally:
        fonts.chinese_font.cache_clear()


def test_a_chinese_font_installed_since_is_found(monkeypatch):
    """The manager is told of its file, and then has it."""
    manager = fonts.font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [])
    added = []

    def add(file):
        added.append(file)
        for name, weight in (("Noto Sans CJK JP", 400), ("Noto Sans CJK TC", 700), ("Noto Sans CJK TC", 400)):
            manager.ttflist.append(fonts.font_manager.FontEntry(f"{file}:{name}:{weight}", name=name, weight=weight))

    monkeypatch.setattr(manager, "addfont", add)
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: ["/a/DejaVu.ttf", "/b/NotoSansCJK-Regular.ttc"])
    fonts.chinese_font.cache_clear()
    try:
        assert fonts.chinese_font("zh-Hant").startswith("/b/NotoSansCJK-Regular.ttc:Noto Sans CJK TC:400")
        assert added == ["/b/NotoSansCJK-Regular.ttc"]
    finally:
        fonts.chinese_font.cache_clear()


ACCENTED = """
    C_tilde = tanh(W_C @ x + R_C @ h + b_C)    # candidate
    C = C + C_tilde
    o_hat_1 = sigmoid(W_o @ x + b_o)
    h = o_hat_1 * tanh(C)
"""


def test_a_tilde_stands_above_its_letter_as_in_the_essay():
    picture = gatework.draw(ACCENTED)
    written = {shape.id: shape.to_dict()["runs"] for shape in picture.scene.shapes if shape.id.startswith("label")}
    assert written["label C_tilde"] == [["C\u0303", "italic"], ["t", "sub"]]
    assert written["label o_hat_1"] == [["o\u0302", "italic"], ["1,t", "sub"]]
    assert r"\tilde{C}_t &= \tanh(W_C x_t + R_C h_{t-1} + b_C)" in gatework.cell(ACCENTED).latex()
    assert r"\hat{o}^1_{t}" in gatework.cell(ACCENTED).latex()


def test_a_png_sets_the_accent_in_the_middle_above_the_letter():
    """The fonts of matplotlib have the sign, and not a letter with it."""
    font = FontProperties(family="STIXGeneral", style="italic", size=16)
    letter = TextPath((0, 0), "C", size=16, prop=font).get_extents()
    both = raster._outline("C\u0303", 16, font).get_extents()
    assert (both.x0, both.x1, both.y0) == pytest.approx((letter.x0, letter.x1, letter.y0), abs=1.0)
    assert letter.y1 + 2 < both.y1 < letter.y1 + 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that is missing is told as a warning
        png(gatework.draw(ACCENTED).scene, LIGHT)


def test_layout_and_svg_need_only_the_standard_library():
    """matplotlib is for PNG alone."""
    foreign = {}
    for path in sorted(Path(raster.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            roots = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"gatework"}
            foreign |= {path.name: roots | foreign.get(path.name, set())} if roots else {}
    assert foreign == {"raster.py": {"matplotlib"}}


def test_the_code_knows_no_cell():
    """No text in it is a cell's name: pictures come from rules."""
    faults = []
    for path in Path(raster.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        faults += [(path.name, text) for text in texts & set(CELLS)]
    assert faults == []


def test_figures_without_a_cell():
    for scene in (gate_scene("zh-Hans"), notation_scene(), unrolled_scene(["0", "", "t+1"], {"x0"})):
        ElementTree.fromstring(Picture(scene).svg())


def plain_cells() -> list[str]:
    """Those that carry no state by operations alone."""
    return [name for name, cell in CELLS.items() if len(cell.step.equations) == 1]


@pytest.mark.parametrize("name", EVERY_CELL)
def test_memories_are_drawn_or_refused(name):
    """What is written comes from the left and the output leaves at the right; what has no such memory says so."""
    if name in ("depth_gated", "attended: two", *plain_cells()) or "zoneout" in name or "clockwork" in name:
        with pytest.raises(CellError, match="has no memory to draw as one sum with a loop"):
            gatework.draw(EVERY_CELL[name], "memory")
        return
    scene = gatework.draw(EVERY_CELL[name], "memory").scene
    flow = [shape for shape in scene.shapes if shape.kind in ("box", "circle")]
    assert [one.id for one, other in pairwise(flow) if one.box[0] + one.box[2] >= other.box[0]] == []
    assert sum(shape.id == "loop" for shape in scene.shapes) == 1
    ids = [shape.id for shape in scene.shapes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", EVERY_CELL)
def test_captions_of_a_memory_stand_apart(name, language):
    try:
        scene = gatework.draw(EVERY_CELL[name], "memory", language=language).scene
    except CellError:
        return  # the test above says which these are
    boxes = []
    for text in (shape for shape in scene.shapes if shape.kind == "text"):
        wide, (x, y, *_) = true_width(text.text, text.size), text.box
        left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[text.anchor]
        boxes.append((text.id, left, y - text.size / 2, left + wide, y + text.size / 2))
        assert left >= 0, text.id
        assert left + wide <= scene.width, text.id
    close = [
        (one[0], other[0])
        for one, other in combinations(boxes, 2)
        if min(one[3], other[3]) + 3 > max(one[1], other[1]) and min(one[4], other[4]) > max(one[2], other[2])
    ]
    assert close == []


def marks_of(picture: Picture) -> dict[str, str]:
    return {shape.id: shape.text[0][0] for shape in picture.scene.shapes if shape.kind == "text" and "mark" in shape.id}


def test_a_memory_says_what_divides_and_what_is_taken_away():
    assert marks_of(gatework.draw("slstm", "memory")) == {"mark n": "÷"}
    text = "f = sigmoid(W_f @ x)\ni = sigmoid(W_i @ x)\ng = exp(W_g @ x)\nc = c / f - i / g\nh = i - g / tanh(c)"
    picture = gatework.draw(gatework.cell(text, states="h c"), "memory")
    assert marks_of(picture) == {"mark written": "−", "mark g": "÷", "mark to × g": "÷", "mark to × i": "−"}
    weight = next(shape for shape in picture.scene.shapes if shape.id == "weight")
    assert weight.text == (("1/", "roman"), ("f", "italic"), ("t", "sub"))
    assert [shape.text[0][0] for shape in picture.scene.shapes if shape.kind == "circle" and shape.size == 18.0] == [
        "×", "×", "+",
    ]  # fmt: skip
    ids = [shape.id for shape in picture.scene.shapes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("line", ["c = x - f * c", "c = f / c + x"])
def test_a_memory_that_is_taken_away_or_divides_is_none(line):
    taken = gatework.cell(f"f = sigmoid(W @ x)\n{line}\nh = tanh(c)", states="h c")
    with pytest.raises(CellError, match="has no memory to draw as one sum with a loop"):
        gatework.draw(taken, "memory")


def test_what_is_printed_is_short():
    picture = gatework.draw("lstm", dark=True)
    wide, high = picture.scene.width, picture.scene.height
    assert repr(picture) == f"<Picture 'One step of LSTM', {wide:.0f} x {high:.0f}, dark>"
    assert repr(picture.scene) == (
        f"<Scene 'One step of LSTM', {wide:.0f} x {high:.0f}, {len(picture.scene.shapes)} shapes>"
    )


@pytest.mark.parametrize("name", EVERY_CELL)
def test_every_comment_is_said_in_chinese(name):
    comments = {equation.comment for equation in EVERY_CELL[name].step.equations if equation.comment}
    english = [(comment, language) for comment in comments for language in LANGUAGES[1:]
               if not any(ord(letter) > 0x2E80 for letter in said(comment, language))]  # fmt: skip
    assert english == []


def test_a_gate_enters_the_memory_from_below():
    scene = gatework.draw("lstm_1997", "memory", language="zh-Hant").scene
    texts = {shape.id: "".join(text for text, _ in shape.text) for shape in scene.shapes if shape.kind == "text"}
    assert texts == {
        "given": "gt", "name i": "it", "note i": "輸入閘", "weight": "1", "memory": "記憶", "name o": "ot",
        "note o": "輸出閘", "output": "ht",
    }  # fmt: skip


def test_the_memory_loops_with_weight_one_where_nothing_forgets():
    weights = {
        name: next(shape.text for shape in gatework.draw(name, "memory").scene.shapes if shape.id == "weight")
        for name in ("lstm_1997", "lstm", "cifg")
    }
    assert weights == {
        "lstm_1997": (("1", "roman"),),
        "lstm": (("f", "italic"), ("t", "sub")),
        "cifg": (("f", "italic"), ("t", "sub")),
    }


def test_the_example_writes_every_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["essay_figures.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "examples" / "essay_figures.py"), run_name="__main__")
    names = [Path(line).stem for line in capsys.readouterr().out.splitlines()]
    assert names == sorted(names)
    assert len(names) == 18
    for name in names:
        ElementTree.parse(tmp_path / f"{name}.svg")


def test_drawing_needs_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import gatework\nprint(len(gatework.draw('lstm', 'walk').svg()) > 1000)"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr
