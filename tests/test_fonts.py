"""Chinese characters in what matplotlib draws: a font is found, or one sentence says which package brings one."""

import warnings

import pytest

from gatework import fonts
from gatework.errors import ConfigError, GateworkWarning
from gatework.training.curve import draw_curve

LINES = [{"step": 1, "train_loss": 2.0, "valid_loss": 2.0}, {"step": 2, "train_loss": 1.0, "valid_loss": 1.5}]
TITLE = "lstm, 8 units, on 红楼梦"


@pytest.fixture
def no_fonts(monkeypatch):
    monkeypatch.setattr(fonts.font_manager.fontManager, "ttflist", [])
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: ["/fonts/DejaVuSans.ttf"])


def has_font() -> bool:
    try:
        return bool(fonts.chinese_font("zh-Hans"))
    except ConfigError:
        return False


@pytest.mark.skipif(not has_font(), reason="needs a font with Chinese characters (on Debian: fonts-noto-cjk)")
def test_a_chinese_title_of_a_curve_has_its_characters():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = draw_curve(LINES, "loss", TITLE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = draw_curve(LINES, "loss", TITLE.replace("红", "青"))
    assert drawn != other  # boxes would all be alike


def test_without_a_font_one_warning_says_what_to_install(no_fonts):
    with pytest.warns(GateworkWarning) as caught:
        assert fonts.families_for(TITLE) == ["DejaVu Sans"]
    assert [str(warning.message) for warning in caught] == [
        "A picture has Chinese characters, and this machine has no font for them that is known, so they are drawn as "
        "boxes. Install one (on Debian: apt install fonts-noto-cjk)."
    ]


def test_nothing_is_looked_for_without_chinese_characters(no_fonts, recwarn):
    assert fonts.families_for("lstm, été, σ") == ["DejaVu Sans"]
    assert not recwarn
