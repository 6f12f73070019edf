"""What a scene looks like to a ruler: boxes, flattened lines, and true widths of letters."""

from itertools import pairwise

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from tests.tracing.attended import CELLS as REMEMBERING

from gatework.cells import CELLS, Cell, blocks, coupled, layer_norm, peephole, project, recurrent_dropout, zoneout
from gatework.diagram.drawing.scene import Shape
from gatework.diagram.planning.notation import Runs
from gatework.diagram.rendering.theme import ITALIC_SCALE, SUB_SCALE
from gatework.errors import ConfigError
from gatework.fonts import chinese_font

LSTM, GRU = CELLS["lstm"], CELLS["gru"]
TRANSFORMED = [
    zoneout(LSTM, c=0.5, h=0.05),
    zoneout(GRU, h=0.1),
    recurrent_dropout(LSTM, 0.25),
    layer_norm(GRU),
    project(GRU, 64),
    project(LSTM),
    peephole(CELLS["cifg"], "io"),
    coupled(LSTM),
    blocks(CELLS["slstm"], 2),
    blocks(CELLS["clockwork"], 4),
    layer_norm(zoneout(recurrent_dropout(peephole(LSTM), 0.2), c=0.1, h=0.1)),
]
ATTENDED = {f"attended: {name}": one for name, one in REMEMBERING.items()}
EVERY_CELL: dict[str, Cell] = {**CELLS, **{cell.name: cell for cell in TRANSFORMED}, **ATTENDED}

Place = tuple[float, float]


def edges(shape: Shape, inset: float = 0.0) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a sign."""
    left, top, width, height = shape.box
    return left + inset, top + inset, left + width - inset, top + height - inset


def pieces(shape: Shape) -> list[list[Place]]:
    """A line as straight pieces: one run of places for each unbroken part, curves sampled."""
    runs: list[list[Place]] = []
    for name, *values in shape.path:
        places = list(zip(values[::2], values[1::2], strict=True))
        if name == "M":
            runs.append([places[0]])
        elif name == "L":
            runs[-1].append(places[0])
        else:
            start, (control, end) = runs[-1][-1], places
            for step in (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0):
                a, b, c = (1 - step) ** 2, 2 * step * (1 - step), step**2
                runs[-1].append(
                    (a * start[0] + b * control[0] + c * end[0], a * start[1] + b * control[1] + c * end[1])
                )
    return runs


def segments(shape: Shape) -> list[tuple[Place, Place]]:
    """The straight pieces of a line."""
    return [piece for run in pieces(shape) for piece in pairwise(run)]


def distance(place: Place, segment: tuple[Place, Place]) -> float:
    """How far a place lies from a straight piece."""
    (x, y), (u, v) = segment
    length = (u - x) ** 2 + (v - y) ** 2
    share = 0.0 if not length else max(0.0, min(1.0, ((place[0] - x) * (u - x) + (place[1] - y) * (v - y)) / length))
    across, down = place[0] - x - share * (u - x), place[1] - y - share * (v - y)
    return (across**2 + down**2) ** 0.5


def on_edge(place: Place, shape: Shape, within: float = 1.0) -> bool:
    """Whether a place lies on the outline of a box or an ellipse."""
    left, top, right, bottom = edges(shape)
    if shape.kind == "circle":
        across = (place[0] - (left + right) / 2) / ((right - left) / 2)
        down = (place[1] - (top + bottom) / 2) / ((bottom - top) / 2)
        return abs((across**2 + down**2) ** 0.5 - 1) * min(right - left, bottom - top) / 2 <= within
    near_side = (
        min(abs(place[0] - left), abs(place[0] - right)) <= within and top - within <= place[1] <= bottom + within
    )
    near_top = (
        min(abs(place[1] - top), abs(place[1] - bottom)) <= within and left - within <= place[0] <= right + within
    )
    return near_side or near_top


def font_for_chinese() -> str:
    """Find the font that a PNG would take; where this machine has none, the test skips and says what to install."""
    try:
        return chinese_font("zh-Hans")
    except ConfigError as error:
        pytest.skip(str(error))


def true_width(runs: Runs, size: float) -> float:
    """How wide a text is in the fonts of a PNG."""
    total = 0.0
    for text, style in runs:
        serif = style in ("italic", "sub")
        font = FontProperties(family="STIXGeneral" if serif else "DejaVu Sans", style="italic" if serif else "normal")
        if any(ord(letter) > 0x2E80 for letter in text):
            font = FontProperties(fname=font_for_chinese())
        font.set_size(size * {"sub": SUB_SCALE, "italic": ITALIC_SCALE}.get(style, 1.0))
        total += text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return total
