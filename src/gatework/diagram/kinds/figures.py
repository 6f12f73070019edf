"""The essay's figures that show no cell: the notation, and a gate."""

from gatework.diagram.drawing.grid import CIRCLE, LAYER_HEIGHT, SIGN
from gatework.diagram.drawing.pieces import arrow, written
from gatework.diagram.drawing.scene import Command, Scene, Shape, text_width
from gatework.diagram.planning.notation import Runs, roman
from gatework.translations import check_language, word

_CAPTION = 14.0


def notation_scene(language: str = "en") -> Scene:
    """Draw the legend: a layer, a pointwise operation, a vector, vectors joined, a vector copied.

    Args:
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.
    """
    captions = [
        word(key, language)
        for key in ("learned layer", "pointwise operation", "vector transfer", "concatenate", "copy")
    ]
    middle, gap, left = 34.0, 34.0, 12.0
    shapes: list[Shape] = []
    for number, caption in enumerate(captions):
        wide = max(76.0, text_width(roman(caption), _CAPTION))
        centre = left + wide / 2
        shapes += _legend(number, centre, middle)
        shapes.append(written(f"caption {number}", roman(caption), (centre, middle + 46.0), _CAPTION))
        left += wide + gap
    title = word("notation of", language)
    return Scene(left - gap + 12.0, middle + 66.0, tuple(shapes), title, f"{title}: {', '.join(captions)}.", language)


def _legend(number: int, centre: float, middle: float) -> list[Shape]:
    left, right = centre - 34.0, centre + 34.0
    if number == 0:
        return [Shape("layer", "box", "learned", box=(left, middle - 18.0, 68.0, 36.0))]
    if number == 1:
        return [Shape("operation", "circle", "pointwise", box=(centre - 17.0, middle - 17.0, 34.0, 34.0))]
    if number == 2:
        return [arrow("vector", (left, middle), (right, middle))]
    if number == 3:
        joined = [
            Shape(
                f"joined {side}", "line", "vector", path=_bent(left, middle + side * 17.0, centre, middle, right - 9.0)
            )
            for side in (-1, 1)
        ]
        return [*joined[:1], Shape("joined 1", "line", "vector", path=joined[1].path, head=(right, middle, 1.0, 0.0))]
    copies = []
    for side in (-1, 1):
        path = _bent(right - 9.0, middle + side * 17.0, centre, middle, left)
        copies.append(Shape(f"copy {side}", "line", "vector", path=path, head=(right, middle + side * 17.0, 1.0, 0.0)))
    return copies


def _bent(x: float, y: float, centre: float, middle: float, end: float) -> tuple[Command, ...]:
    """Draw a line that starts level, swings over and ends level."""
    half = (x + centre) / 2
    over = ((half + centre) / 2, (y + middle) / 2)
    after = ((centre + end) / 2, middle)
    return (("M", x, y), ("Q", half, y, *over), ("Q", centre, middle, *after), ("L", end, middle))


def gate_scene(language: str = "en") -> Scene:
    """Draw a gate by itself: a sigmoid layer and the product that it controls.

    Args:
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The scene.
    """
    check_language(language)
    centre, line, width = 70.0, 26.0, 140.0
    box = (centre - 23.0, 104.0, 46.0, LAYER_HEIGHT)
    shapes = (
        Shape("line", "line", "vector", "c", path=(("M", 8.0, line), ("L", width - 8.0, line))),
        arrow("gate", (centre, box[1]), (centre, line + CIRCLE / 2), "f"),
        Shape("given", "line", "vector", path=(("M", centre, box[1] + LAYER_HEIGHT), ("L", centre, 172.0))),
        _circle("product", roman("×"), centre, line),
        Shape("layer", "box", "learned", "f", roman("σ"), box, size=SIGN),
    )
    title = word("forget gate", language)
    return Scene(width, 180.0, shapes, title, title, language)


def _circle(name: str, runs: Runs, x: float, y: float) -> Shape:
    return Shape(name, "circle", "pointwise", "", runs, (x - CIRCLE / 2, y - CIRCLE / 2, CIRCLE, CIRCLE), size=SIGN)
