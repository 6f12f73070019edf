"""A scene as SVG: one file without external resources, readable by a screen reader."""

from html import escape

from gatework.diagram.drawing.curves import arrowhead
from gatework.diagram.drawing.scene import Scene, Shape
from gatework.diagram.planning.notation import Runs, plain
from gatework.diagram.rendering.theme import (
    FRAME_RADIUS,
    FRAME_WIDTH,
    ITALIC_SCALE,
    LINE_WIDTH,
    OUTLINE_WIDTH,
    SANS,
    SERIF,
    SUB_DROP,
    SUB_SCALE,
    Theme,
)


def svg(scene: Scene, theme: Theme) -> str:
    """Write a scene as SVG.

    Args:
        scene: The picture.
        theme: Its colours.

    Returns:
        The text of the file.
    """
    width, height = _number(scene.width), _number(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" lang="{scene.language}" xml:lang="{scene.language}" aria-label="{escape(scene.title)}">',
        f"<title>{escape(scene.title)}</title>",
        f"<desc>{escape(scene.description)}</desc>",
    ]
    for shape in scene.shapes:
        lines += _shape(shape, theme, SANS[scene.language])
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _shape(shape: Shape, theme: Theme, sans: tuple[str, ...]) -> list[str]:
    marks = f' data-quantity="{escape(shape.quantity)}"' if shape.quantity else ""
    drawn = {"line": _line, "text": _text, "frame": _frame}.get(shape.kind, _sign)(shape, theme, sans)
    note = [f"<title>{escape(plain(shape.text) or shape.quantity)}: {escape(shape.note)}</title>"] if shape.note else []
    return [f'<g class="{shape.kind} {shape.role}"{marks}>', *note, *drawn, "</g>"]


def _frame(shape: Shape, theme: Theme, sans: tuple[str, ...]) -> list[str]:
    left, top, width, height = (_number(value) for value in shape.box)
    radius = _number(min(FRAME_RADIUS, shape.box[3] / 5))
    return [
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="{radius}" fill="{theme.fills["cell"]}" '
        f'stroke="{theme.frame}" stroke-width="{FRAME_WIDTH}"/>',
        *_label(shape, theme, theme.ink, sans),
    ]


def _line(shape: Shape, theme: Theme, sans: tuple[str, ...]) -> list[str]:
    colour = theme.highlight if shape.emphasis == "strong" else theme.shade(theme.ink, shape.emphasis)
    path = " ".join(name + " ".join(_number(value) for value in rest) for name, *rest in shape.path)
    drawn = [
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{LINE_WIDTH}" stroke-linecap="round" '
        'stroke-linejoin="round"/>'
    ]
    if shape.head:
        points = " ".join(f"{_number(x)},{_number(y)}" for x, y in arrowhead(shape.head))
        drawn.append(f'<polygon points="{points}" fill="{colour}"/>')
    return drawn


def _sign(shape: Shape, theme: Theme, sans: tuple[str, ...]) -> list[str]:
    left, top, width, height = shape.box
    outline = theme.frame if shape.role == "cell" else theme.outline
    stroke = theme.highlight if shape.emphasis == "strong" else outline
    pen = 2 * OUTLINE_WIDTH if shape.emphasis == "strong" else OUTLINE_WIDTH
    stroke = "none" if shape.role == "highlight" else theme.shade(stroke, shape.emphasis)
    fill = theme.shade(theme.fills.get(shape.role, "none"), shape.emphasis)
    look = f'fill="{fill}" stroke="{stroke}" stroke-width="{pen:g}"'
    if shape.kind == "box":
        place = f'x="{_number(left)}" y="{_number(top)}" width="{_number(width)}" height="{_number(height)}"'
        drawn = f'<rect {place} rx="2" {look}/>'
    else:
        drawn = (
            f'<ellipse cx="{_number(left + width / 2)}" cy="{_number(top + height / 2)}" rx="{_number(width / 2)}" '
            f'ry="{_number(height / 2)}" {look}/>'
        )
    return [drawn, *_label(shape, theme, theme.ink if shape.role == "cell" else theme.on_sign, sans)]


def _label(shape: Shape, theme: Theme, colour: str, sans: tuple[str, ...]) -> list[str]:
    if not shape.text:
        return []
    left, top, width, height = shape.box
    colour = theme.shade(colour, shape.emphasis)
    return [_set(shape.text, left + width / 2, top + height / 2, shape.size, "middle", colour, sans)]


def _text(shape: Shape, theme: Theme, sans: tuple[str, ...]) -> list[str]:
    colour = theme.highlight if shape.emphasis == "strong" else theme.shade(theme.ink, shape.emphasis)
    return [_set(shape.text, shape.box[0], shape.box[1], shape.size, shape.anchor, colour, sans)]


def _set(runs: Runs, x: float, y: float, size: float, anchor: str, colour: str, sans: tuple[str, ...]) -> str:
    """Set a text around a point. Its baseline lies a third of its size below the point."""
    spans, shifted = [], 0.0
    for text, style in runs:
        down = SUB_DROP * size if style == "sub" else 0.0
        move = f' dy="{_number(down - shifted)}"' if down != shifted else ""
        shifted = down
        family = SERIF if style in ("italic", "sub") else sans
        look = f'font-family="{", ".join(family)}"' + (' font-style="italic"' if family is SERIF else "")
        scale = {"sub": SUB_SCALE, "italic": ITALIC_SCALE}.get(style, 1.0)
        height = f' font-size="{_number(size * scale)}"' if scale != 1.0 else ""
        spans.append(f"<tspan {look}{height}{move}>{escape(text)}</tspan>")
    return (
        f'<text x="{_number(x)}" y="{_number(y + size * 0.35)}" font-size="{_number(size)}" text-anchor="{anchor}" '
        f'fill="{colour}">{"".join(spans)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
