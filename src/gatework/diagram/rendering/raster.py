"""A scene as PNG, drawn by matplotlib from the same shapes as the SVG."""

import io
from functools import cache
from pathlib import Path as FilePath

from matplotlib import font_manager
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

_CODES = {"M": [Path.MOVETO], "L": [Path.LINETO], "Q": [Path.CURVE3, Path.CURVE3]}
_DOTS = 72.0  # points of a figure per inch; one point is one pixel of the scene
# Fonts with simplified and traditional characters, by the start of their family names and file names.
_CHINESE = ("noto sans cjk", "noto serif cjk", "source han", "wenquanyi", "pingfang", "microsoft yahei",
            "microsoft jhenghei", "simhei", "heiti", "arial unicode")  # fmt: skip
# The endings of the family names of fonts with the shapes of one language.
_REGIONS = {"zh-Hans": ("sc", "cn"), "zh-Hant": ("tc", "tw", "hk")}
_CHINESE_FILES = ("notosanscjk", "notoserifcjk", "sourcehan", "wqy", "pingfang", "msyh", "msjh", "simhei")


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
            wide += text_to_path.get_text_width_height_descent(piece, font, ismath=False)[0]
    start = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * wide
    drawn: list[Patch] = []
    for piece, font, scale, offset, drop in set_runs:
        if not piece.strip():
            continue  # a space has no outline
        outline = TextPath((0, 0), piece, size=scale, prop=font)
        moved = outline.transformed(Affine2D().scale(1, -1).translate(start + offset, y + size * 0.35 + drop))
        drawn.append(PathPatch(moved, facecolor=colour, edgecolor="none"))
    return drawn


def _pieces(text: str, style: str, language: str) -> list[tuple[str, FontProperties]]:
    """Split a text where Chinese characters begin and end. Each part comes with a font that has its letters."""
    pieces: list[tuple[str, bool]] = []
    for letter in text:
        chinese = ord(letter) > 0x2E80
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


@cache
def chinese_font(language: str) -> str:
    """Find a font with Chinese characters on this machine, in the shapes of the language if possible.

    Args:
        language: ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The font's file, as matplotlib takes it.

    Raises:
        ConfigError: If there is none.
    """
    if not _chinese_fonts():
        # The manager caches its list of fonts. A font that was installed since is only found by its file.
        for file in font_manager.findSystemFonts():
            if FilePath(file).name.lower().startswith(_CHINESE_FILES):
                font_manager.fontManager.addfont(file)
    fonts = _chinese_fonts()
    if not fonts:
        raise ConfigError(
            "A PNG in Chinese needs a font with Chinese characters, and this machine has none that is known. Install "
            "one (on Debian: apt install fonts-noto-cjk), or write an SVG, which leaves the choice of font to who "
            "shows it."
        )
    regions = _REGIONS.get(language, ())
    entry = min(
        fonts,
        key=lambda entry: (
            entry.name.lower().split()[-1] not in regions,
            str(entry.weight) not in ("400", "regular", "normal"),
            "serif" in entry.name.lower() or "mono" in entry.name.lower(),
            entry.name,
        ),
    )
    # Before matplotlib 3.11, only the first font of a collection is available.
    collected = getattr(font_manager, "FontPath", None)
    return entry.fname if collected is None else collected(entry.fname, getattr(entry, "index", 0))


def _chinese_fonts() -> list[font_manager.FontEntry]:
    return [entry for entry in font_manager.fontManager.ttflist if entry.name.lower().startswith(_CHINESE)]
