"""The colours of the pictures, on light paper and on dark."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Theme:
    """Colours by role, and the lettering.

    Args:
        ink: The colour of lines and text.
        outline: The colour of the outlines of signs.
        fills: The colours of signs and frames, by role.
        frame: The colour of the frame's outline.
        highlight: The colour of highlighted shapes.
        on_sign: The colour of the letters on signs.
        faint: The opacity of faint shapes, from 0 to 1.
        paper: The background of a PNG. An SVG has none.
    """

    ink: str
    outline: str
    frame: str
    highlight: str
    on_sign: str
    faint: float
    paper: str
    fills: dict[str, str] = field(default_factory=dict)

    def shade(self, colour: str, emphasis: str) -> str:
        """Return a colour, or its faded form if a shape is faint.

        The colour is mixed with the frame's and not made transparent, so nothing shines through where faint lines meet.

        Args:
            colour: ``#rrggbb`` or ``none``.
            emphasis: The emphasis of the shape.

        Returns:
            A colour.

        Example:
            >>> LIGHT.shade("#161616", "faint")
            '#c1d1b6'
        """
        if emphasis != "faint" or not colour.startswith("#"):
            return colour
        ground = self.fills["cell"]
        mixed = (
            round(
                int(colour[place : place + 2], 16) * self.faint + int(ground[place : place + 2], 16) * (1 - self.faint)
            )
            for place in (1, 3, 5)
        )
        return "#" + "".join(f"{part:02x}" for part in mixed)


LINE_WIDTH, OUTLINE_WIDTH, FRAME_WIDTH = 3.2, 1.6, 2.6
FRAME_RADIUS = 24.0
# Serif letters look smaller than others of the same size. These are their scale, an index's scale, and its drop.
ITALIC_SCALE, SUB_SCALE, SUB_DROP = 1.12, 0.76, 0.26
SANS = {
    "en": ("DejaVu Sans", "Verdana", "sans-serif"),
    "zh-Hans": ("DejaVu Sans", "Verdana", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "sans-serif"),
    "zh-Hant": ("DejaVu Sans", "Verdana", "Noto Sans CJK TC", "PingFang TC", "Microsoft JhengHei", "sans-serif"),
}
SERIF = ("STIX Two Text", "STIXGeneral", "Latin Modern Roman", "Cambria", "Times New Roman", "serif")

LIGHT = Theme(
    ink="#161616",
    outline="#161616",
    frame="#6b8a57",
    highlight="#c8451b",
    on_sign="#161616",
    faint=0.16,
    paper="#ffffff",
    fills={
        "cell": "#e2f5d5",
        "learned": "#f6ec9c",
        "pointwise": "#f9cfcd",
        "memory": "#f5c28f",
        "input": "#a4cdec",
        "output": "#d9aeea",
        "highlight": "#f2a48c",
    },
)
DARK = Theme(
    ink="#ece9e2",
    outline="#0f1210",
    frame="#7da367",
    highlight="#ff8a5c",
    on_sign="#161616",
    faint=0.2,
    paper="#131416",
    fills={
        "cell": "#26382a",
        "learned": "#e9d96c",
        "pointwise": "#eda7a4",
        "memory": "#dda263",
        "input": "#86b9e0",
        "output": "#c792de",
        "highlight": "#ff8a5c",
    },
)
