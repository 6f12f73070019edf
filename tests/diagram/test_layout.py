"""Every cell is drawn without overlap: signs apart, labels on their signs, lines from sign to sign."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from tests.diagram.geometry import EVERY_CELL, distance, edges, on_edge, pieces, segments, true_width
from tests.language.cells_from_grammar import cells

import gatework
from gatework.cells import CELLS, Cell, cell
from gatework.diagram.drawing import labels
from gatework.diagram.drawing import route as routing
from gatework.diagram.drawing.curves import arrowhead
from gatework.diagram.drawing.route import crossings, route
from gatework.diagram.drawing.scene import Scene, Shape
from gatework.diagram.kinds.cell import cell_scene
from gatework.diagram.kinds.compare import compare_scene
from gatework.diagram.planning.arrange import arrange
from gatework.diagram.planning.graph import make_graph
from gatework.diagram.planning.wiring import make_wiring

SCENES: dict[str, Scene] = {}


@pytest.fixture(params=EVERY_CELL)
def scene(request) -> Scene:
    name = request.param
    if name not in SCENES:
        SCENES[name] = cell_scene(EVERY_CELL[name])
    return SCENES[name]


def signs(scene: Scene) -> list[Shape]:
    return [shape for shape in scene.shapes if shape.kind in ("box", "circle")]


def lines(scene: Scene) -> list[Shape]:
    return [shape for shape in scene.shapes if shape.kind == "line"]


def overlaps(one: Shape, other: Shape) -> bool:
    a, b = edges(one), edges(other)
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def check_signs_apart(scene: Scene) -> None:
    assert [(one.id, other.id) for one, other in combinations(signs(scene), 2) if overlaps(one, other)] == []


def check_lines_pass_no_sign(scene: Scene) -> None:
    faults = []
    for line in lines(scene):
        for sign in signs(scene):
            left, top, right, bottom = edges(sign, inset=0.8)
            for (x, y), (u, v) in segments(line):
                if min(max(x, u), right) >= max(min(x, u), left) and min(max(y, v), bottom) >= max(min(y, v), top):
                    faults.append((line.id, sign.id))
    assert faults == []


def check_lines_end_on_something(scene: Scene) -> None:
    """A line begins at the sign it comes from, at the edge, or on another line of the same vector; it ends likewise."""
    by_id = {shape.id: shape for shape in scene.shapes}
    faults = []
    for line in lines(scene):
        source, target = line.edge
        runs = pieces(line)
        start, end = runs[0][0], runs[-1][-1]
        tip = (line.head[0], line.head[1]) if line.head else end
        family = [other for other in lines(scene) if other is not line]
        begun = (
            (source in by_id and on_edge(start, by_id[source]))
            or start[0] < 12
            or _lies_on(start, [other for other in family if other.edge[0] == source or other.edge[1] == source])
        )
        ended = (
            (target in by_id and on_edge(tip, by_id[target]))
            or tip[0] > scene.width - 12
            or _lies_on(tip, [other for other in family if other.edge[0] == target])
        )
        faults += [line.id] if not begun or not ended else []
    assert faults == []


def _lies_on(place, others) -> bool:
    return any(distance(place, segment) < 0.6 for other in others for segment in segments(other))


def test_signs_do_not_overlap(scene):
    check_signs_apart(scene)


def test_no_line_runs_through_a_sign(scene):
    check_lines_pass_no_sign(scene)


def test_every_line_ends_on_something(scene):
    check_lines_end_on_something(scene)


def test_every_label_is_inside_its_sign(scene):
    faults = []
    for sign in signs(scene):
        wide, (left, _, right, _) = true_width(sign.text, sign.size), edges(sign)
        # The letters of an ellipse stand at its middle, where it is nearly as wide as anywhere.
        room = (right - left) * (0.94 if sign.kind == "circle" else 1.0)
        faults += [(sign.id, wide, room)] if wide > room - 2 else []
    assert faults == []


def test_everything_is_on_the_paper(scene):
    for shape in scene.shapes:
        if shape.kind == "line":
            places = [place for segment in segments(shape) for place in segment]
        else:
            left, top, right, bottom = edges(shape)
            places = [(left, top), (right, bottom)]
        assert all(0 <= x <= scene.width and 0 <= y <= scene.height for x, y in places), shape.id


@pytest.mark.parametrize("name", CELLS)
def test_names_beside_lines_lie_on_nothing(name):
    """The middle of a name is clear of every line and every sign."""
    scene = SCENES.setdefault(name, cell_scene(CELLS[name]))
    for text in scene.shapes:
        if text.kind != "text" or not text.id.startswith("label"):
            continue
        left, top, *_ = text.box
        half = true_width(text.text, text.size) / 2
        for line in lines(scene):
            for x in (left - half * 0.7, left, left + half * 0.7):
                assert all(distance((x, top), segment) > 2.0 for segment in segments(line)), (text.id, line.id)
        for sign in signs(scene):
            a, b, c, d = edges(sign)
            assert not (a < left < c and b < top < d), (text.id, sign.id)


def text_box(text: Shape) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a text as it is set."""
    wide, (x, y, *_) = true_width(text.text, text.size), text.box
    left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[text.anchor]
    return left, y - 0.6 * text.size, left + wide, y + 0.6 * text.size


def check_no_text_touches_a_head(scene: Scene) -> None:
    faults = []
    for text in (shape for shape in scene.shapes if shape.kind == "text"):
        left, top, right, bottom = text_box(text)
        for line, head in ((line, line.head) for line in lines(scene)):
            across, down = zip(*arrowhead(head), strict=True) if head else ((-1.0,), (-1.0,))
            touches = min(right, max(across)) > max(left, min(across)) and min(bottom, max(down)) > max(top, min(down))
            faults += [(text.id, line.id)] if touches else []
    assert faults == []


def test_no_text_touches_an_arrowhead(scene):
    check_no_text_touches_a_head(scene)


@pytest.mark.parametrize("name", CELLS)
def test_no_text_touches_an_arrowhead_beside_another_cell(name):
    check_no_text_touches_a_head(compare_scene(CELLS["lstm"], CELLS[name]))


def crossed(cell: Cell) -> int:
    wiring = make_wiring(make_graph(cell.step))
    return len(crossings(route(wiring, arrange(wiring))))


# As many as the essay's own figures have: the output goes up across the state's line, a peephole across a stem, the
# gated old state across the line it is gated by.
ESSAY = {"rnn": 0, "lstm": 1, "cifg": 1, "peephole": 2, "gru_v3": 1}


@pytest.mark.parametrize("name", ESSAY)
def test_no_more_crossings_than_the_essay(name):
    assert crossed(CELLS[name]) == ESSAY[name]


def test_crossings_are_found():
    """Or the test above would pass by finding nothing: two lines that cross on purpose."""
    assert crossed(CELLS["depth_gated"]) > 2


@pytest.mark.parametrize("name", EVERY_CELL)
def test_lines_that_cross_are_bridged(name):
    """Lines of two vectors never touch, save where a junction joins them."""
    scene = SCENES.setdefault(name, cell_scene(EVERY_CELL[name]))
    touching = []
    for one, other in combinations(lines(scene), 2):
        if one.edge[0] == other.edge[0] or set(one.edge) & set(other.edge):
            continue
        touching += [(one.id, other.id) for a in segments(one) for b in segments(other) if _meet(a, b)]
    assert touching == []


def _meet(one, other) -> bool:
    """Whether two upright or level pieces meet."""
    a, b = [sorted(axis) for axis in zip(*one, strict=True)], [sorted(axis) for axis in zip(*other, strict=True)]
    return all(max(p[0], q[0]) < min(p[1], q[1]) + 0.5 for p, q in zip(a, b, strict=True))


def test_the_lstm_stands_as_in_the_essay():
    """Gates in reading order on one row, the state's line above with its two signs, the output at the right."""
    scene = cell_scene(CELLS["lstm"])
    at = {shape.id: ((shape.box[0] + shape.box[2] / 2), (shape.box[1] + shape.box[3] / 2)) for shape in signs(scene)}
    row = ["f", "i", "g", "o"]
    assert [name for name, _ in sorted(at.items(), key=lambda item: item[1][0]) if name in row] == row
    assert len({at[name][1] for name in row}) == 1
    assert at["f * c"][1] == at["c"][1] < at["tanh(c)"][1] < at["h"][1] == at["i * g"][1] < at["f"][1]
    assert (at["f * c"][0], at["c"][0], at["i * g"][0]) == (at["f"][0], at["g"][0], at["g"][0])
    assert at["o"][0] < at["tanh(c)"][0] == at["h"][0] < at["up h"][0]
    assert at["x"][0] < at["f"][0]
    assert at["x"][1] > at["f"][1]


def test_the_gru_stands_as_in_the_essay():
    scene = cell_scene(CELLS["gru_v3"])
    at = {shape.id: ((shape.box[0] + shape.box[2] / 2), (shape.box[1] + shape.box[3] / 2)) for shape in signs(scene)}
    assert at["r * h"][0] < at["r"][0] < at["z"][0] < at["n"][0]
    assert at["1 - z"][0] == at["z"][0] == at["(1 - z) * h"][0]
    assert at["z * n"][0] == at["n"][0] == at["h"][0]
    assert at["(1 - z) * h"][1] == at["h"][1] < at["1 - z"][1] < at["z * n"][1] == at["r * h"][1]


def test_no_cell_is_known_by_name():
    """The same equations under another name give the same picture, and so do other letters."""
    own = cell(CELLS["lstm"].equations, name="mine", states="h c")
    assert cell_scene(own).shapes == cell_scene(CELLS["lstm"]).shapes
    renamed = cell(
        CELLS["lstm"].equations.replace("_f", "_k").replace("f =", "k =").replace("f *", "k *"), states="h c"
    )
    assert [shape.box for shape in signs(cell_scene(renamed))] == [
        shape.box for shape in signs(cell_scene(CELLS["lstm"]))
    ]


@settings(max_examples=12)
@given(cells())
def test_any_typed_cell_is_drawn_without_overlap(drawn):
    text, states = drawn
    scene = cell_scene(cell(text, states=states))
    check_signs_apart(scene)
    check_lines_pass_no_sign(scene)
    check_lines_end_on_something(scene)


ODD = {
    "learns nothing": "h = h + x",
    "remembers the step before last": "d = h\nh = tanh(W @ x + R @ prev(d))",
    "one gate of constants": "f = sigmoid(b_f)\nh = f * h + (1 - f) * x",
    "three peepholes": (
        "i = sigmoid(W @ x + R @ h + p * a + q * c + s * d)\n"
        "a = a * i + x\nc = c * i + x\nd = d * i + x\nh = tanh(a + c + d)"
    ),
    "a square": "h = tanh(W @ x) * tanh(W @ x) + h * h",
    "a long name": "keep_everything = sigmoid(W @ x)\nh_memory = keep_everything * h_memory + x\nh = tanh(h_memory)",
    "minus into a layer": "h = tanh(W @ x - a / (1 + a) - h)\na = 0.5 * a + x",
    "more entrances than three": "h = tanh(W @ x - x - h - a - b)\na = h + x\nb = h * x",
    "a choice": "h = where(greater(x, h), minimum(x, 1), maximum(h, -1))",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_cells_are_drawn(text):
    scene = cell_scene(cell(text))
    check_signs_apart(scene)
    check_lines_pass_no_sign(scene)
    check_lines_end_on_something(scene)


def gates(count: int) -> Cell:
    """A cell with this many gates, whose output is their sum."""
    lines = [f"a{number} = tanh(W{number} @ x + R{number} @ h + b{number})" for number in range(count)]
    return cell("\n".join([*lines, "h = " + " + ".join(f"a{number}" for number in range(count))]))


def test_the_work_of_a_picture_does_not_grow_with_the_cube_of_its_gates(monkeypatch):
    """Looking along every path of the grid, 30 gates would take 900,000 steps and 4,000,000 comparisons of boxes."""
    work = dict.fromkeys(("steps", "boxes"), 0)

    def counted(name, function):
        def call(*arguments):
            work[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(routing, "heappop", counted("steps", routing.heappop))
    monkeypatch.setattr(labels, "_overlap", counted("boxes", labels._overlap))
    cell_scene(gates(30))
    assert 10_000 < work["steps"] < 150_000
    assert 0 < work["boxes"] < 100_000


LONG = "retention_gate_of_the_memory_cell"
LONG_NAMES = {
    "gate": f"{LONG} = sigmoid(W_f @ x + R_f @ h + b_f)\nh = {LONG} * h + (1 - {LONG}) * tanh(W @ x + b)",
    "two gates": f"""{LONG} = sigmoid(W_f @ x + R_f @ h + b_f)
        write_gate_of_memory = sigmoid(W_i @ x + R_i @ h + b_i)
        memory = {LONG} * memory + write_gate_of_memory * tanh(W @ x + b)
        h = tanh(memory)""",
    "states": "hidden_state_of_the_network = tanh(W @ x + R @ hidden_state_of_the_network + b)",
    "input": "h = tanh(W @ measured_temperature_of_the_room + R @ h + b)",
}


@pytest.mark.parametrize("name", LONG_NAMES)
@pytest.mark.parametrize("kind", ["cell", "walk", "chain"])
def test_long_names_have_room(name, kind):
    """They lie within the paper, clear of lines and signs."""
    inputs = "measured_temperature_of_the_room" if name == "input" else "x"
    scene = gatework.draw(cell(LONG_NAMES[name], inputs=inputs), kind).scene
    for shape in scene.shapes:
        if shape.kind == "line" or not shape.text:
            continue
        left, top, right, _ = edges(shape)
        if shape.kind == "text":
            wide, anchor = true_width(shape.text, shape.size), {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor]
            left, right = left - anchor * wide, left + (1 - anchor) * wide
        assert left >= 0, shape.id
        assert right <= scene.width, shape.id
        if shape.id.startswith("label") and kind == "cell":
            places = [(left + (right - left) * share / 8, top) for share in range(9)]
            touched = [line.id for line in lines(scene) for segment in segments(line)
                       if any(distance(place, segment) < 2 for place in places)]  # fmt: skip
            assert touched == [], shape.id
