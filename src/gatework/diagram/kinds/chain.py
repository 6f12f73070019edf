"""Copies of a cell in a row, one for each step: as boxes, as a loop, and drawn in full."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from gatework.cells import Cell
from gatework.diagram.drawing.curves import rounded
from gatework.diagram.drawing.grid import DISC
from gatework.diagram.drawing.pieces import arrow, disc, written
from gatework.diagram.drawing.scene import Scene, Shape, beside
from gatework.diagram.kinds.cell import cell_scene, described
from gatework.diagram.planning.notation import Runs, roman, symbol
from gatework.errors import ConfigError
from gatework.language.spelling import MINUS
from gatework.translations import check_language, word

MOST_STEPS = 9
_WIDE, _HIGH = 88.0, 56.0  # a copy of the cell drawn as a box
_BETWEEN, _DOTTED, _REACH = 54.0, 120.0, 46.0
_LETTER = 30.0
_GLOW, _SIDE = 12.0, 34.0


def check_steps(steps: int) -> None:
    """Refuse a number of steps that does not fit on a page."""
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
        raise ConfigError(f"steps is {steps!r}; expected a whole number from 1 to {MOST_STEPS}.")


def chain_scene(cell: Cell, steps: int = 3, language: str = "en", *, whole: bool = False) -> Scene:
    """Draw a cell unrolled over some steps: the middle one in full, the others veiled.

    Args:
        cell: Any cell.
        steps: The number of steps.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.
        whole: Whether every step is drawn in full, with the names of the states between two copies.

    Returns:
        The scene.

    Raises:
        ConfigError: If that many steps do not fit on a page.
    """
    check_steps(steps)
    single = cell_scene(cell, language)
    frame = next(shape.box for shape in single.shapes if shape.kind == "frame")
    # The arrow that leaves one copy ends at the frame of the next.
    pitch = single.width - frame[0] - 6.0
    shapes: list[Shape] = []
    for number in range(steps):
        time = number - steps // 2
        copy = _veiled(single, frame) if time and not whole else list(single.shapes)
        if number:
            copy = [shape for shape in copy if not (shape.role == "state" and shape.box[0] < frame[0])]
        if number < steps - 1 and not whole:
            copy = [shape for shape in copy if not (shape.role == "state" and shape.box[0] > frame[0])]
        shapes += [_later(shape, time).moved(number * pitch, 0.0, f"t{number}.") for shape in copy]
    # Frames first: the line that enters a copy lies on its frame, not under it.
    shapes.sort(key=lambda shape: shape.kind != "frame")
    title = word("chain of", language, cell.title, steps)
    return Scene(
        (steps - 1) * pitch + single.width, single.height, tuple(shapes), title, described(cell, title), language
    )


def unrolled_scene(
    times: Sequence[str], lit: Collection[str] = (), language: str = "en", title: str = "", letter: str = "A"
) -> Scene:
    """Draw copies of a cell as plain boxes in a row.

    Args:
        times: The index of each copy, such as ``0`` or ``t+1``. An empty text stands for omitted copies, drawn as dots.
        lit: The highlighted inputs and outputs, such as ``x0`` and ``ht+1``.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.
        title: The title.
        letter: The label of every copy.

    Returns:
        The scene.
    """
    check_language(language)
    shapes: list[Shape] = []
    right, before = _GLOW, None
    for number, time in enumerate(times):
        if not time:
            shapes.append(written(f"dots {number}", roman("…"), (right + _DOTTED / 2 - _BETWEEN / 2, _floor()), 26.0))
            right += _DOTTED - _BETWEEN
            continue
        shapes += [shape.moved(right, 0.0) for shape in _copy(time, lit, letter, f"t{number}.")]
        if before is not None:
            middle_height = _GLOW + DISC + _REACH + _HIGH / 2
            shapes.append(arrow(f"t{number}.in", (before, middle_height), (right, middle_height), "prev(h)"))
        before = right + _WIDE
        right = before + _BETWEEN
    height = 2 * _GLOW + 2 * DISC + 2 * _REACH + _HIGH
    return Scene(right - _BETWEEN + _GLOW, height, tuple(shapes), title, title, language)


def loop_and_chain_scene(cell: Cell, steps: int = 3, language: str = "en") -> Scene:
    """Draw a cell as a loop, and beside it the chain of copies that the loop stands for.

    Args:
        cell: Any cell.
        steps: The number of copies before the dots.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.

    Raises:
        ConfigError: If that many steps do not fit on a page.
    """
    check_steps(steps)
    loop = loop_scene(cell, language)
    chain = unrolled_scene([*(str(time) for time in range(steps)), "", "t"], language=language)
    gap = 110.0
    shapes, width, height = beside([loop, chain], gap)
    equals = written("equals", roman("="), (loop.width + gap / 2, _GLOW + DISC + _REACH + _HIGH / 2), 34.0)
    title = word("unrolled of", language, cell.title)
    return Scene(width, height, (*shapes, equals), title, described(cell, title), language)


def loop_scene(cell: Cell, language: str = "en", letter: str = "A") -> Scene:
    """Draw a cell as a box that reads its own state: the loop that a chain unrolls.

    Args:
        cell: Any cell.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.
        letter: The label of the box.

    Returns:
        The scene.
    """
    check_language(language)
    shapes = [shape.moved(_SIDE + _GLOW, 0.0) for shape in _copy("t", (), letter, "")]
    left, top = _SIDE + _GLOW, _GLOW + DISC + _REACH
    right, high, middle_height = left + _WIDE, top - 20.0, top + _HIGH / 2
    centre = left + _WIDE / 2
    # The loop is broken where the output crosses it.
    out = rounded([(right, middle_height), (right + _SIDE, middle_height), (right + _SIDE, high), (centre + 7, high)])
    back = rounded([(centre - 7, high), (_GLOW, high), (_GLOW, middle_height), (left - 9, middle_height)])
    shapes.append(Shape("loop", "line", "vector", "h", path=(*out, *back), head=(left, middle_height, 1.0, 0.0)))
    title = word("loop of", language, cell.title)
    height = 2 * _GLOW + 2 * DISC + 2 * _REACH + _HIGH
    return Scene(_WIDE + 2 * (_SIDE + _GLOW), height, tuple(shapes), title, described(cell, title), language)


def _copy(time: str, lit: Collection[str], letter: str, prefix: str) -> list[Shape]:
    centre = _WIDE / 2
    output, box, given = _GLOW + DISC / 2, _GLOW + DISC + _REACH, _floor()
    shapes = []
    for name, height in (("h", output), ("x", given)):
        if f"{name}{time}" in lit:
            glow = disc(f"{prefix}glow {name}", "highlight", (), (centre, height), DISC + 2 * _GLOW)
            shapes.append(replace(glow, emphasis="faint"))
            shapes.append(disc(f"{prefix}ring {name}", "highlight", (), (centre, height), DISC + _GLOW))
    runs = symbol("h", time.replace("-", MINUS)), symbol("x", time.replace("-", MINUS))
    return [
        *shapes,
        disc(f"{prefix}up h", "output", runs[0], (centre, output), DISC, "h"),
        Shape(f"{prefix}cell", "box", "cell", "", roman(letter), (0.0, box, _WIDE, _HIGH), size=_LETTER),
        disc(f"{prefix}x", "input", runs[1], (centre, given), DISC, "x"),
        arrow(f"{prefix}x > cell", (centre, given - DISC / 2), (centre, box + _HIGH), "x"),
        arrow(f"{prefix}cell > h", (centre, box), (centre, _GLOW + DISC), "h"),
    ]


def _floor() -> float:
    """Return the height of the inputs."""
    return _GLOW + DISC + 2 * _REACH + _HIGH + DISC / 2


def _veiled(scene: Scene, frame: tuple[float, float, float, float]) -> list[Shape]:
    """Hide the inside of a cell behind a letter, and keep everything outside the frame."""
    left, top, width, height = frame
    shapes = []
    for shape in scene.shapes:
        outside = shape.role in ("input", "output", "state", "memory", "cell")
        shapes.append(shape if outside else replace(shape, emphasis="faint"))
        stub = _outside(shape, frame)
        if stub is not None:
            shapes.append(stub)
    letter = written("letter", roman("A"), (left + width / 2, top + height / 2), min(76.0, height * 0.42))
    return [*shapes, letter]


def _outside(shape: Shape, frame: tuple[float, float, float, float]) -> Shape | None:
    """Return the part of a line outside the frame: its straight beginning or its straight end."""
    left, top, width, height = frame
    if shape.kind != "line" or len(shape.path) < 2:
        return None
    (_, x, y), (_, u, v) = shape.path[0], shape.path[-1]
    if x < left:
        return replace(shape, id=f"{shape.id} outside", path=(("M", x, y), ("L", left, y)), head=None)
    if y > top + height:
        return replace(shape, id=f"{shape.id} outside", path=(("M", x, y), ("L", x, top + height)), head=None)
    if u > left + width:
        return replace(shape, id=f"{shape.id} outside", path=(("M", left + width, v), ("L", u, v)))
    if v < top:
        return replace(shape, id=f"{shape.id} outside", path=(("M", u, top), ("L", u, v)))
    return None


def _later(shape: Shape, time: int) -> Shape:
    """Change the times to those of another step: x_t+1 for x_t."""
    if shape.role not in ("input", "output", "state") or not time:
        return shape
    return replace(shape, text=_at_time(shape.text, time))


def _at_time(runs: Runs, time: int) -> Runs:
    def shifted(text: str) -> str:
        stem, comma, index = text.rpartition(",")
        if index not in ("t", f"t{MINUS}1"):
            return text
        moved = time - (index != "t")
        return stem + comma + ("t" if moved == 0 else f"t+{moved}" if moved > 0 else f"t{MINUS}{-moved}")

    return tuple((shifted(text) if style == "sub" else text, style) for text, style in runs)
