"""A scene as PNG, drawn by matplotlib from the same shapes as the SVG."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Ellipse, FancyBboxPatch, Patch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path
from matplotlib.transforms import Affine2D

from gatework.diagram.drawing.curves import arrowhead
from gatework.diagram.drawing.scene import Command, Scene, Shape
from gatework.diagram.planning.notation import Runs
from gatework.diagram.rendering.theme import (
    FRAME_RADIUS,
    FRAME_WIDTH,
    ITALIC_SCALE,
    LINE_WIDTH,
    OUTLINE_WIDTH,
    SUB_DROP,
    SUB_SCALE,
    Theme,
)
from gatework.errors import ConfigError
from gatework.fonts import chinese_font, is_chinese
from gatework.language.spelling import ACCENTS

_CODES = {"M": [Path.MOVETO], "L": [Path.LINETO], "Q": [Path.CURVE3, Path.CURVE3]}
_DOTS = 72.0  # points of a figure per inch; one point is one pixel of the scene
# The accents of the language, and the signs that stand for them by themselves; how far italic letters lean; and the gap
# below an accent, in heights of letters.
_ACCENTS = {ACCENTS["tilde"]: "\u02dc", ACCENTS["hat"]: "\u02c6", ACCENTS["bar"]: "\u00af"}
_SLANT, _ACCENT_GAP = 0.15, 0.07


def png(scene: Scene, theme: Theme, scale: float = 2.0) -> bytes:
    """Draw a scene as PNG.

    Args:
        scene: The picture.
        theme: Its colours.
        scale: Pixels of the PNG per pixel of the scene; 2 is sharp on every screen, 4 in print.

    Returns:
        The bytes of the file.

    Raises:
        ConfigError: If the scale is not positive, or if the words need a font that this machine lacks.
    """
    if not 0 < scale <= 16:
        raise ConfigError(f"The scale is {scale!r}; expected a number above 0, up to 16.")
    figure = Figure(figsize=(scene.width / _DOTS, scene.height / _DOTS), dpi=_DOTS * scale)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    axes.axis("off")
    figure.patch.set_facecolor(theme.paper)
    for order, shape in enumerate(scene.shapes):
        for patch in _patches(shape, theme, scene.language):
            patch.set_zorder(order)
            axes.add_patch(patch)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Title": scene.title, "Description": scene.description})
    return picture.getvalue()


def _patches(shape: Shape, theme: Theme, language: str) -> list[Patch]:
    strong = shape.emphasis == "strong"
    if shape.kind == "line":
        colour = theme.highlight if strong else theme.shade(theme.ink, shape.emphasis)
        drawn: list[Patch] = [
            PathPatch(
                _path(shape.path),
                facecolor="none",
                edgecolor=colour,
                linewidth=LINE_WIDTH,
                capstyle="round",
                joinstyle="round",
            )
        ]
        if shape.head:
            drawn.append(Polygon(arrowhead(shape.head), closed=True, facecolor=colour, edgecolor="none"))
        return drawn
    if shape.kind == "text":
        colour = theme.highlight if strong else theme.shade(theme.ink, shape.emphasis)
        return _text(shape.text, shape.box[0], shape.box[1], shape.size, shape.anchor, colour, language)
    left, top, width, height = shape.box
    is_frame = shape.kind == "frame"
    colour = theme.frame if shape.role == "cell" else theme.highlight if strong else theme.outline
    pen = FRAME_WIDTH if is_frame else OUTLINE_WIDTH * (2 if strong else 1)
    fill = theme.fills.get(shape.role, "none")
    if shape.role == "highlight":
        colour = "none"
    sign: Patch
    if shape.kind == "circle":
        sign = Ellipse((left + width / 2, top + height / 2), width, height)
    else:
        radius = min(FRAME_RADIUS, height / 5) if is_frame else 2.0
        sign = FancyBboxPatch((left, top), width, height, boxstyle=f"round,pad=0,rounding_size={radius}")
    sign.set(facecolor=theme.shade(fill, shape.emphasis), edgecolor=theme.shade(colour, shape.emphasis), linewidth=pen)
    ink = theme.shade(theme.ink if shape.role == "cell" else theme.on_sign, shape.emphasis)
    return [sign, *_text(shape.text, left + width / 2, top + height / 2, shape.size, "middle", ink, language)]


def _path(commands: tuple[Command, ...]) -> Path:
    points, codes = [], []
    for name, *values in commands:
        codes += _CODES[name]
        points += list(zip(values[::2], values[1::2], strict=True))
    return Path(points, codes)


def _text(runs: Runs, x: float, y: float, size: float, anchor: str, colour: str, language: str) -> list[Patch]:
    """Set a text as outlines, run after run. Its baseline lies a third of its size below the point."""
    set_runs, wide = [], 0.0
    for text, style in runs:
        scale = {"sub": SUB_SCALE, "italic": ITALIC_SCALE}.get(style, 1.0) * size
        for piece, font in _pieces(text, style, language):
            set_runs.append((piece, font, scale, wide, SUB_DROP * size if style == "sub" else 0.0))
            font.set_size(scale)
            letters = piece.rstrip("".join(_ACCENTS)) or piece
            wide += text_to_path.get_text_width_height_descent(letters, font, ismath=False)[0]
    start = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * wide
    drawn: list[Patch] = []
    for piece, font, scale, offset, drop in set_runs:
        if not piece.strip():
            continue  # a space has no outline
        outline = _outline(piece, scale, font)
        moved = outline.transformed(Affine2D().scale(1, -1).translate(start + offset, y + size * 0.35 + drop))
        drawn.append(PathPatch(moved, facecolor=colour, edgecolor="none"))
    return drawn


def _outline(piece: str, size: float, font: FontProperties) -> Path:
    """Outline a text. The fonts of matplotlib cannot set an accent on every letter, so it is set here."""
    letters = piece.rstrip("".join(_ACCENTS))
    outline: Path = TextPath((0, 0), letters or piece, size=size, prop=font)
    for accent in piece[len(letters) :] if letters else "":
        below, sign = outline.get_extents(), TextPath((0, 0), _ACCENTS[accent], size=size, prop=font)
        own = sign.get_extents()
        slant = _SLANT * below.height if font.get_style() == "italic" else 0.0
        right = (below.x0 + below.x1 - own.x0 - own.x1) / 2 + slant
        raised = sign.transformed(Affine2D().translate(right, below.y1 + _ACCENT_GAP * size - own.y0))
        outline = Path.make_compound_path(outline, raised)
    return outline


def _pieces(text: str, style: str, language: str) -> list[tuple[str, FontProperties]]:
    """Split a text where Chinese characters begin and end. Each part comes with a font that has its letters."""
    pieces: list[tuple[str, bool]] = []
    for letter in text:
        chinese = is_chinese(letter)
        if pieces and pieces[-1][1] == chinese:
            pieces[-1] = (pieces[-1][0] + letter, chinese)
        else:
            pieces.append((letter, chinese))
    serif = style in ("italic", "sub")
    family, slope = ("STIXGeneral", "italic") if serif else ("DejaVu Sans", "normal")
    return [
        (piece, FontProperties(fname=chinese_font(language)) if chinese else FontProperties(family=family, style=slope))
        for piece, chinese in pieces
    ]
