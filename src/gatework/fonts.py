"""Fonts with Chinese characters, for whatever matplotlib draws: its own font has none."""

import io
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gatework.errors import ConfigError, GateworkWarning

# Fonts with simplified and traditional characters, by the start of their family names and file names.
_CHINESE = ("noto sans cjk", "noto serif cjk", "source han", "wenquanyi", "pingfang", "microsoft yahei",
            "microsoft jhenghei", "simhei", "heiti", "arial unicode")  # fmt: skip
_CHINESE_FILES = ("notosanscjk", "notoserifcjk", "sourcehan", "wqy", "pingfang", "msyh", "msjh", "simhei")
# The endings of the family names of fonts with the shapes of one language.
_REGIONS = {"zh-Hans": ("sc", "cn"), "zh-Hant": ("tc", "tw", "hk")}
_USUAL = "DejaVu Sans"
_INSTALL = "Install one (on Debian: apt install fonts-noto-cjk)"


def is_chinese(letter: str) -> bool:
    """Return whether a character needs a font with Chinese characters, as Japanese and Korean ones do too."""
    return ord(letter) > 0x2E80


def families_for(text: str) -> list[str]:
    """List the families of fonts that a text needs, as matplotlib takes them; it tries them letter by letter.

    Without a font for Chinese characters, a warning says which package brings one.

    Args:
        text: The text.

    Returns:
        The names of the families.

    Example:
        >>> families_for("lstm, 8 units")
        ['DejaVu Sans']
    """
    if not any(map(is_chinese, text)):
        return [_USUAL]
    fonts = _chinese_fonts()
    if not fonts:
        warnings.warn(
            "A picture has Chinese characters, and this machine has no font for them that is known, so they are drawn "
            f"as boxes. {_INSTALL}.",
            GateworkWarning,
            stacklevel=2,
        )
        return [_USUAL]
    return [_USUAL, _best(fonts, "zh-Hans").name]


def png_of(figure: Figure, metadata: Mapping[str, str] | None = None) -> bytes:
    """Draw a figure of matplotlib as PNG, in silence about characters without a font: that is said once, and shorter.

    Args:
        figure: The figure.
        metadata: Fields of the file, with their texts.

    Returns:
        The bytes of the file.
    """
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        FigureCanvasAgg(figure).print_png(picture, metadata=dict(metadata or {}))
    return picture.getvalue()


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
    fonts = _chinese_fonts()
    if not fonts:
        raise ConfigError(
            "A PNG in Chinese needs a font with Chinese characters, and this machine has none that is known. "
            f"{_INSTALL}, or write an SVG, which leaves the choice of font to who shows it."
        )
    entry = _best(fonts, language)
    # Before matplotlib 3.11, only the first font of a collection is available.
    collected = getattr(font_manager, "FontPath", None)
    return entry.fname if collected is None else collected(entry.fname, getattr(entry, "index", 0))


def _best(fonts: list[font_manager.FontEntry], language: str) -> font_manager.FontEntry:
    """Choose a font: in the shapes of the language, of usual weight, without serifs."""
    regions = _REGIONS.get(language, ())
    return min(
        fonts,
        key=lambda entry: (
            entry.name.lower().split()[-1] not in regions,
            str(entry.weight) not in ("400", "regular", "normal"),
            "serif" in entry.name.lower() or "mono" in entry.name.lower(),
            entry.name,
        ),
    )


def _chinese_fonts() -> list[font_manager.FontEntry]:
    """List the fonts with Chinese characters that matplotlib knows, or else those whose files are on this machine."""
    fonts = _known()
    if not fonts:
        # The manager caches its list of fonts. A font that was installed since is only found by its file.
        for file in font_manager.findSystemFonts():
            if Path(file).name.lower().startswith(_CHINESE_FILES):
                font_manager.fontManager.addfont(file)
        fonts = _known()
    return fonts


def _known() -> list[font_manager.FontEntry]:
    return [entry for entry in font_manager.fontManager.ttflist if entry.name.lower().startswith(_CHINESE)]
