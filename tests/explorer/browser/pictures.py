"""Take the pictures of the explorer that the documents show.

    python -m tests.explorer.browser.pictures docs/images

Units are chosen as a reader would: by what follows a pattern best, and by the cards of the tour.
"""

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from tests.explorer.browser.speed import opened, served
from tests.explorer.browser.tabs import CHROMIUM, DESK, FLAGS, PHONE

DEEP = "^ {8}.*"  # lines that stand eight columns in, or deeper
REST = 900  # milliseconds until everything that was asked for is drawn


def view(browser: Browser, size: tuple[int, int] = DESK, scheme: Any = "light", language: str = "en-US") -> Page:
    """Open a window of a size, in colours and a language."""
    options = {"width": size[0], "height": size[1]}
    page = browser.new_page(viewport=options, color_scheme=scheme, locale=language, device_scale_factor=1.5)  # pyrefly: ignore
    page.set_default_timeout(20_000)
    return page


def find_indentation(page: Page, address: str) -> None:
    """Go to the unit that knows best how deep a line is indented."""
    opened(page, address, step=101, view="find", pattern=DEEP)
    page.locator(".ranking button").first.click()
    page.wait_for_timeout(REST)


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with sync_playwright() as playwright, served("--demo") as address:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)

        def keep(page: Page, name: str) -> None:
            page.wait_for_timeout(REST)
            shot = Image.open(BytesIO(page.screenshot()))
            # 256 colours are enough for a page of few, and make a third of the bytes.
            shot.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE).save(
                folder / f"explorer-{name}.png", optimize=True
            )
            page.close()

        page = view(browser)
        find_indentation(page, address)
        page.locator("#tab-belt").click()
        keep(page, "belt")

        page = view(browser)
        opened(page, address, view="chain", step=60, unit=8, name="c")
        keep(page, "chain")

        page = view(browser, scheme="dark")
        find_indentation(page, address)
        page.get_by_role("button", name="Look").click()
        page.get_by_text("Highest").wait_for()
        keep(page, "find")

        page = view(browser)
        opened(page, address, view="gradients", step=90)
        keep(page, "gradients")

        for name, card, scheme, language in (("tour", 4, "light", "en-US"), ("tour-zh-Hant", 8, "dark", "zh-TW")):
            page = view(browser, scheme=scheme, language=language)
            opened(page, address, card=card)
            keep(page, name)

        page = view(browser)
        opened(page, address, view="whatif", step=60, unit=8, name="c")
        page.get_by_role("button", name="Forget everything").click()
        keep(page, "what-if")

        page = view(browser, size=PHONE, scheme="dark", language="zh-CN")
        page.goto(address)
        page.locator("[role=slider]").wait_for()
        keep(page, "phone")
        browser.close()


if __name__ == "__main__":
    main()
