"""A picture as plain shapes with places, without colours. The renderers and the explorer draw it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import combining

from gatework.diagram.planning.notation import Runs, plain

# A path is a list of commands as in SVG: M and L with a point, Q with a control point and a point.
Command = tuple[str, *tuple[float, ...]]
# Each letter's width relative to its height, for letters that are far from the average.
_NARROW, _WIDE, _USUAL = 0.36, 0.92, 0.60
_SUBSCRIPT = 0.72


@dataclass(frozen=True)
class Shape:
    """One shape of a picture.

    Args:
        id: Its name, unique in the picture.
        kind: ``box``, ``circle`` (an ellipse if wider than high), ``line``, ``text`` or ``frame``.
        role: ``learned``, ``pointwise``, ``state``, ``memory``, ``input``, ``output``, ``label``, ``cell``, ``vector``
            or ``highlight``.
        quantity: The value in the equations that flows along it or comes out of it.
        text: The text on it.
        box: Left, top, width and height. For a text: its anchor point, and zeros.
        path: For a line: its commands.
        whole: For a line that branches off another: the commands from the source of its vector.
        head: For a line with an arrowhead: the tip, and the direction.
        size: The height of the letters.
        anchor: For a text: ``start``, ``middle`` or ``end``.
        emphasis: ``faint`` is nearly invisible, ``strong`` has the highlight colour.
        edge: For a line: the ids of the shapes it leads from and to.
        note: The name that the equations' comment gives to the quantity.
    """

    id: str
    kind: str
    role: str
    quantity: str = ""
    text: Runs = ()
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    path: tuple[Command, ...] = ()
    whole: tuple[Command, ...] = ()
    head: tuple[float, float, float, float] | None = None
    size: float = 0.0
    anchor: str = "middle"
    emphasis: str = ""
    edge: tuple[str, str] = ("", "")
    note: str = ""

    def moved(self, right: float, down: float, prefix: str = "") -> "Shape":
        """Return the same shape at another place."""
        left, top, width, height = self.box
        head = self.head and (self.head[0] + right, self.head[1] + down, self.head[2], self.head[3])
        edge = (prefix + self.edge[0], prefix + self.edge[1])
        return replace(
            self,
            id=prefix + self.id,
            box=(left + right, top + down, width, height),
            head=head,
            path=_moved(self.path, right, down),
            whole=_moved(self.whole, right, down),
            edge=edge,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the shape as plain data."""
        left, top, width, height = (round(value, 2) for value in self.box)
        data: dict[str, Any] = {"id": self.id, "kind": self.kind, "role": self.role, "quantity": self.quantity,
                                 "text": plain(self.text)}  # fmt: skip
        if self.kind == "line":
            data["path"] = [[name, *(round(value, 2) for value in rest)] for name, *rest in self.path]
            data["head"] = [round(value, 2) for value in self.head] if self.head else None
            data["from"], data["to"] = self.edge
        elif self.kind == "text":
            data |= {"x": left, "y": top, "anchor": self.anchor}
        else:
            data |= {"x": left, "y": top, "width": width, "height": height}
        if self.text:
            data |= {"runs": [list(run) for run in self.text], "size": self.size}
        if self.emphasis:
            data["emphasis"] = self.emphasis
        if self.note:
            data["note"] = self.note
        return data


@dataclass(frozen=True)
class Scene:
    """A whole picture.

    Args:
        width: Its width, in pixels of a screen.
        height: Its height.
        shapes: The shapes, the lowest first.
        title: A title of a few words.
        description: A description for readers who cannot see it.
        language: The language of its words.
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str = ""
    description: str = ""
    language: str = "en"

    def __repr__(self) -> str:
        return f"<Scene {self.title!r}, {self.width:.0f} x {self.height:.0f}, {len(self.shapes)} shapes>"

    def to_dict(self) -> dict[str, Any]:
        """Return the picture as plain data, ready for JSON.

        Returns:
            ``width``, ``height``, ``title``, ``description``, ``language`` and ``shapes``.
        """
        return {
            "width": round(self.width, 2),
            "height": round(self.height, 2),
            "title": self.title,
            "description": self.description,
            "language": self.language,
            "shapes": [shape.to_dict() for shape in self.shapes],
        }

    def with_emphasis(self, emphasis: Mapping[str, str]) -> "Scene":
        """Return the same picture with some shapes faint or strong, chosen by their ids."""
        shapes = tuple(replace(shape, emphasis=emphasis.get(shape.id, shape.emphasis)) for shape in self.shapes)
        return replace(self, shapes=shapes)


def beside(scenes: Iterable[Scene], gap: float, prefix: str = "s") -> tuple[tuple[Shape, ...], float, float]:
    """Put pictures side by side, with their middles at one height.

    Args:
        scenes: The pictures.
        gap: The distance between two pictures.
        prefix: The ids of each picture begin with this prefix, followed by the picture's number.

    Returns:
        The shapes, and their total width and height.
    """
    scenes = list(scenes)
    height = max(scene.height for scene in scenes)
    shapes: list[Shape] = []
    right = 0.0
    for place, scene in enumerate(scenes):
        down = (height - scene.height) / 2
        shapes += [shape.moved(right, down, f"{prefix}{place}.") for shape in scene.shapes]
        right += scene.width + gap
    return tuple(shapes), right - gap, height


def sheet(scenes: Collection[Scene], title: str, gap: float = 26.0) -> Scene:
    """Put pictures on one sheet, one below another.

    Args:
        scenes: The pictures, from top to bottom.
        title: The title of the sheet.
        gap: The distance between two pictures.

    Returns:
        One scene with all of them.
    """
    shapes: list[Shape] = []
    down = 0.0
    for number, scene in enumerate(scenes):
        shapes += [shape.moved(0.0, down, f"s{number}.") for shape in scene.shapes]
        down += scene.height + gap
    first = next(iter(scenes))
    width = max(scene.width for scene in scenes)
    return Scene(width, down - gap, tuple(shapes), title, first.description, first.language)


def within_paper(scene: Scene, margin: float) -> Scene:
    """Widen the paper of a picture where a sign or a text would be cut off.

    Args:
        scene: The picture.
        margin: The room between what would be cut off and the edge.

    Returns:
        The picture; the same one if everything has its place.
    """
    edges = [_sides(shape) for shape in scene.shapes if shape.kind != "line"]
    left, right = min(side[0] for side in edges), max(side[1] for side in edges)
    before = margin - left if left < 0 else 0.0
    after = right + margin - scene.width if right > scene.width else 0.0
    if not before and not after:
        return scene
    shapes = tuple(shape.moved(before, 0.0) for shape in scene.shapes)
    return replace(scene, width=scene.width + before + after, shapes=shapes)


def _sides(shape: Shape) -> tuple[float, float]:
    """Return the left and the right end of a sign or a text."""
    left, _, width, _ = shape.box
    if shape.kind == "text":
        width = text_width(shape.text, shape.size)
        left -= {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor] * width
    return left, left + width


def pointed_out(scene: Scene, bright: Collection[str]) -> Scene:
    """Make all but some shapes of a picture faint. A bright branch is drawn from the source of its vector.

    Args:
        scene: The picture.
        bright: The ids of the shapes that stay as they are.

    Returns:
        The picture.
    """
    lines, signs = [], []
    for shape in scene.shapes:
        shown = replace(shape, emphasis="" if shape.id in bright or shape.kind == "frame" else "faint")
        (lines if shape.kind in ("line", "frame") else signs).append(shown)
        if shape.kind == "line" and shape.id in bright:
            lines[-1] = replace(shape, emphasis="", path=shape.whole)
    # Bright shapes lie on top of faint ones, because a branch may begin on a faint line.
    lines.sort(key=lambda shape: (shape.kind == "line", shape.emphasis == ""))
    return replace(scene, shapes=(*lines, *signs))


def _moved(path: Iterable[Command], right: float, down: float) -> tuple[Command, ...]:
    shift = (right, down)
    return tuple((name, *(value + shift[place % 2] for place, value in enumerate(rest))) for name, *rest in path)


def text_width(runs: Runs, size: float) -> float:
    """Estimate the width of a text.

    Args:
        runs: The text.
        size: The height of its letters.

    Returns:
        Its width, rather too large than too small.
    """
    total = 0.0
    for text, style in runs:
        scale = size * (_SUBSCRIPT if style == "sub" else 1.0)
        total += sum(_letter(letter) for letter in text) * scale
    return total


def _letter(letter: str) -> float:
    if combining(letter):
        return 0.0  # an accent stands on the letter before it
    if ord(letter) > 0x2E80:
        return 1.0  # Chinese characters are as wide as they are high
    if letter in "ijlt.,:;|()[]'\u2009 f":
        return _NARROW
    return _WIDE if letter in "mwMW@⊙" else _USUAL
