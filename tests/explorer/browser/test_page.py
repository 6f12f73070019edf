"""Every view of the page, with mouse and keyboard, on real runs."""

import csv
import io
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.explorer.browser.tabs import AXE, DESK, NAMED, PHONE, WIDE

VIEWS = ("belt", "chain", "heat", "find", "gradients", "whatif", "compare")
SHUT = [{"layer": 0, "direction": 0, "name": "f", "value": 0, "units": None, "start": 0, "stop": None}]


def demo(tab) -> str:
    """The id of the run that comes with the package."""
    about = tab.get("/api/about")
    return next(run["id"] for run in about["runs"] if run["cell"] == "lstm")


def shown(value: float) -> str:
    text = f"{abs(value):.2f}"
    return ("−" if value < 0 and float(text) else "") + text


@pytest.fixture
def here(tab):
    """The demo's first sample, at a step in its midst."""

    def opened(size=DESK, scheme="light", language="en-US", **place):
        one = tab(size, scheme, language)
        one.page.goto(one.address)
        one.ready()
        return one.open(**({"run": demo(one), "step": 60, "unit": 8, "name": "c"} | place))

    return opened


def test_numbers_on_the_page_are_the_models(here):
    one = here()
    trace = one.page.evaluate(
        """(run) => fetch('/api/traces', {method: 'POST', headers: {'Content-Type': 'application/json'},
           body: JSON.stringify({run, checkpoint: 'latest', sample: run + '-s1', interventions: []})})
           .then((answer) => answer.json())""",
        demo(one),
    )
    for name in ("i", "f", "c", "h"):
        numbers = one.page.evaluate(
            """([trace, name]) => fetch(`/api/traces/${trace}/values?layer=0&direction=0&name=${name}&from=60&to=61`)
               .then((answer) => answer.arrayBuffer()).then((bytes) => [...new Float32Array(bytes)])""",
            [trace["trace"], name],
        )
        assert one.chip(name) == shown(numbers[8])
    top = one.page.locator(".next li").first
    assert top.locator(".number").inner_text() == f"{100 * trace['top'][60][0]['probability']:.0f}%"


def test_keyboard(here):
    one = here()
    page = one.page
    slider = page.get_by_role("slider")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuenow") == "62"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.locator("#unit").input_value() == "7"
    page.keyboard.press("]")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    for key, view in zip("1234567", VIEWS, strict=True):
        page.keyboard.press(key)
        assert page.get_by_role("tab", selected=True).get_attribute("id") == f"tab-{view}"
    assert one.place() | {"name": "h", "unit": 7, "step": 63, "marks": [[61, 64]]} == one.place()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    assert "Space" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuenow") == "35"
    page.keyboard.press("Space")
    one.until("Number(document.querySelector('[role=slider]').ariaValueNow) > 41")
    page.keyboard.press("Space")
    page.locator("[role=status]").filter(has_text="of unit 7 is").wait_for(state="attached")


def test_everything_is_reached_with_tab(here):
    one = here(view="belt")
    reached = set()
    for _ in range(70):
        one.page.keyboard.press("Tab")
        reached.add(one.page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"
                                      " || document.activeElement.innerText"))  # fmt: skip
    assert {"Tour", "Share", "quantity", "unit", "The text", "tab-belt", "Language"} <= reached
    assert any(label and label.startswith("f = ") for label in reached), reached


@pytest.mark.parametrize("size", [DESK, WIDE, PHONE], ids=["desk", "wide", "phone"])
def test_every_view_fits(here, size):
    one = here(size, language="zh-CN")
    for view in VIEWS if size != PHONE else ("next", "cell", *VIEWS):
        one.page.locator(f"#tab-{view}").click()
        one.page.wait_for_timeout(250)
        assert one.page.locator("#view").inner_text()
        assert one.overflow() == [0, 0], view


@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", DESK), ("light", PHONE)])
def test_axe_finds_nothing_serious(here, scheme, size):
    if not NAMED and not AXE.is_file():
        pytest.skip("axe-core is not installed: cd web && npm ci")
    one = here(size, scheme, interventions=SHUT, preset="inside_quotes")
    for view in VIEWS if size != PHONE else ("next", "cell", *VIEWS):
        one.page.locator(f"#tab-{view}").click()
        one.page.wait_for_timeout(700)
        assert one.faults() == [], view
    one.page.get_by_role("button", name="Share").click()
    one.page.keyboard.press("t")
    one.page.locator("[data-card]").wait_for()
    assert one.faults() == []


def test_address_holds_the_view(here, tab):
    one = here(view="heat", order="similarity", pattern="[a-z]+", span=120)
    one.page.locator("#quantity").select_option("i")
    one.page.keyboard.press("ArrowRight")
    place = one.place()
    link = one.page.url
    other = tab()
    other.page.goto(link)
    other.ready()
    assert other.place() == place
    assert other.page.locator("#quantity").input_value() == "i"
    assert other.page.locator("#order").input_value() == "similarity"


def test_cut_and_hostile_addresses_open_the_page(tab):
    one = tab()
    for fragment in (
        "#s=%7B%22unit%22:",
        '#s={"unit":99999,"step":99999,"layer":77,"name":"<b>"}',
        "#s=[1]",
        "#<script>",
    ):
        one.page.goto("about:blank")
        one.page.goto(one.address + fragment)
        one.ready()


def test_picture_and_equation(here):
    one = here()
    page = one.page
    gate = page.locator(".picture [role=button]").filter(has=page.locator("rect")).nth(1)
    gate.click()
    name = page.locator("#quantity").input_value()
    assert gate.get_attribute("aria-pressed") == "true"
    assert name in ("i", "f", "g", "o")
    tree = page.locator(".tree")
    tree.get_by_text(f"W_{name} @ x").first.wait_for()
    values = [float(text.replace("−", "-")) for text in tree.locator(".number").all_inner_texts()]
    whole, total, *terms = values
    assert total == pytest.approx(sum(terms), abs=2e-3)
    assert shown(whole) == one.chip(name)
    gate.focus()
    page.keyboard.press("Enter")
    assert page.locator(".told").first.inner_text()


def test_text_is_only_text(here):
    one = here()
    page = one.page
    page.get_by_role("button", name="Type").click()
    page.get_by_role("textbox", name="Your text").fill(
        '<img src=x onerror="alert(1)"><script>alert(2)</script>\u202e\x07'
    )
    one.until("document.querySelector('[role=slider]').ariaValueMax === '57'")
    page.get_by_role("button", name="Done").click()
    assert page.locator("img").count() == 0
    one.page.locator("#tab-find").click()
    page.get_by_label("Pattern").fill("<img src=x onerror=alert(3)>")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    one.forgive("400")
    assert page.locator("img").count() == 0


def test_typing_is_read_as_it_is_typed(here):
    one = here()
    page = one.page
    page.get_by_role("button", name="Type").click()
    page.get_by_role("textbox", name="Your text").fill("")
    page.keyboard.type("print(x)")
    one.until("document.querySelector('[role=slider]').ariaValueMax === '8'")
    assert page.get_by_role("slider").get_attribute("aria-valuenow") == "8"
    assert one.place()["text"] == "print(x)"


def test_find_units(here):
    one = here(view="find")
    page = one.page
    page.get_by_role("button", name="indentation").click()
    first = page.locator(".ranking button").first
    first.wait_for()
    assert float(first.locator(".number").inner_text()) > 0.9
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Look").click()
    page.get_by_text("Highest").wait_for()
    assert page.locator(".elsewhere p.mono").count() > 2
    page.get_by_label("Pattern").fill("(")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    one.forgive("400")
    page.get_by_label("Pattern").fill("[a-z]+")
    page.keyboard.press("Enter")
    page.locator(".ranking").get_by_text("marked").wait_for()


def test_what_if(here):
    one = here(view="whatif")
    page = one.page
    page.get_by_role("button", name="Forget everything").click()
    page.locator(".cost").wait_for()
    assert float(page.locator(".cost").inner_text().replace("−", "-")) > 0.2
    before = one.chip("f")
    page.get_by_role("button", name="after", exact=True).click()
    one.until("document.querySelectorAll('.chips .number')[1].innerText === '0.00'")
    assert before != "0.00"
    page.get_by_role("button", name="Take all back").click()
    page.locator("#letter").fill("Z")
    page.get_by_role("button", name="Change", exact=True).click()
    page.locator(".cost").wait_for()
    assert one.place()["edited"][60] == "Z"
    page.get_by_role("button", name="after", exact=True).click()
    one.until("document.querySelector('[role=slider]').ariaValueText.includes(': Z,')")


def test_compare(here):
    one = here(view="compare")
    one.page.locator(".versus").wait_for()
    assert "<b>small GRU" in one.page.locator(".versus .told").inner_text()
    assert one.page.locator("b").count() == 0
    assert len(one.page.locator(".versus .told strong").all_inner_texts()) == 3


def test_another_cell(here):
    """A cell of other equations has its own quantities, belt and picture."""
    one = here(run="r0", unit=3, name="", view="belt")
    assert "z * h" in one.page.locator(".belt-head, .head").last.inner_text()
    one.page.keyboard.press("7")
    one.page.locator(".versus").wait_for()


def test_another_run_is_chosen(here):
    """What the other run lacks, such as a second layer, is not asked of it."""
    one = here(layer=1, view="belt")
    one.page.get_by_label("Run", exact=True).select_option("r0")
    one.until("[...document.querySelectorAll('.chips code')].some((name) => name.innerText === 'z * h')")
    assert one.page.locator("#unit").input_value() == "8"
    one.page.get_by_label("Run", exact=True).select_option(demo(one))
    one.until("[...document.querySelectorAll('.chips code')].some((name) => name.innerText === 'f * c')")


def test_a_long_text_is_browsed(here):
    one = here()
    long = next(sample for sample in one.get("/api/about")["runs"][-1]["samples"] if sample["steps"] > 20_000)
    one.open(run=demo(one), sample=long["id"], step=50_000, unit=8, view="heat")
    page = one.page
    one.until("Number(document.querySelector('[role=slider]').ariaValueMax) > 20000", 30)
    page.locator(".next li").first.wait_for(timeout=30_000)
    for _ in range(14):
        page.keyboard.press("-")
    # Drawing a hundred thousand steps may keep the page from writing its address for a while.
    one.until(f"decodeURIComponent(location.hash).includes('\"span\":{long['steps']}')", 30)
    assert one.place()["span"] == long["steps"]
    page.keyboard.press("1")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("slider").get_attribute("aria-valuenow") == "50002"


@pytest.mark.parametrize("language", ["en-US", "zh-CN", "zh-TW"])
def test_tour(here, language):
    one = here(language=language, card=0)
    page = one.page
    card = page.locator("[data-card]")
    seen = []
    while card.count():
        seen.append(card.get_attribute("data-card"))
        page.locator(".lit").first.wait_for()
        assert all(len(text) > 10 for text in card.locator("p").all_inner_texts()[1:])
        page.wait_for_timeout(150)
        assert one.overflow() == [0, 0]
        card.locator("button.main").click()
        page.wait_for_timeout(60)
    assert len(seen) == len(set(seen)) == 13
    assert "interventions" not in one.place()
    assert (
        page.evaluate("document.documentElement.lang")
        == {"en-US": "en", "zh-CN": "zh-Hans", "zh-TW": "zh-Hant"}[language]
    )


def test_a_text_that_is_cut_is_said_to_be(here):
    one = here()
    one.page.get_by_role("button", name="Type").click()
    one.page.get_by_role("textbox", name="Your text").fill(("ab " * 66 + "a\n") * 100 + "ab" * 50)
    one.page.get_by_text("Only the first 20,000 symbols are read; 100 were left out.").wait_for()
    one.until("document.querySelector('[role=slider]').ariaValueMax === '20000'")


def test_a_small_phone(here):
    one = here((320, 640), view="cell")
    assert one.overflow() == [0, 0]
    assert one.page.evaluate("[...document.querySelectorAll('.bar select, .bar input, .bar button')]"
                             ".every((one) => one.getBoundingClientRect().right <= innerWidth)")  # fmt: skip
    one = here(PHONE, card=4)
    one.page.locator("[data-card=forget]").get_by_text("Below the picture").wait_for()
    one.page.wait_for_timeout(300)
    card, equation = (one.page.locator(which).bounding_box() for which in ("[data-card]", "section.equation"))
    assert equation["y"] + 40 < card["y"]


def test_share(here):
    one = here(view="belt")
    page = one.page
    page.get_by_role("button", name="Share").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.reader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    assert rows[0][:2] == ["step", "symbol"]
    assert "f * c" in rows[0]
    kept, written, state = (float(rows[61][rows[0].index(name)]) for name in ("f * c", "i * g", "c"))
    assert struct.pack("<f", kept + written) == struct.pack("<f", state)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="SVG").first.click()
    belt = waiting.value.path().read_text(encoding="utf-8")
    assert belt.startswith("<svg xmlns")
    assert re.search("written i [*] g.*together c", belt, re.S)  # its legend
    with page.expect_download() as waiting:
        page.get_by_role("button", name="SVG").nth(1).click()
    # Names have a rim that is drawn behind their letters, or it would hide them; states are in italics.
    cell = waiting.value.path().read_text(encoding="utf-8")
    assert 'paint-order="stroke"' in cell
    assert 'font-style="italic"' in cell
    for place in (0, 1):
        with page.expect_download() as waiting:
            page.get_by_role("button", name="PNG").nth(place).click()
        assert waiting.value.path().read_bytes().startswith(b"\x89PNG")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy a link").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith(one.address + "#s=")


def test_colours_are_chosen(here):
    one = here()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = one.page.evaluate(ground)
    for _ in range(2):
        one.page.get_by_role("button", name="Colours").click()
    assert one.page.evaluate(ground) != light
    assert one.page.evaluate("document.documentElement.dataset.scheme") == "dark"


def test_report_opens_offline(tab, tmp_path):
    report, text = str(tmp_path / "report.html"), str(tmp_path / "text.py")
    Path(text).write_text('print("</script><b>", [1, 2])\n', encoding="utf-8")
    subprocess.run([sys.executable, "-m", "gatework", "report", "--demo", "--text", text, "-o", report], check=True)
    one = tab(at=(tmp_path / "report.html").as_uri())
    one.page.context.set_offline(True)
    one.open()
    page = one.page
    page.get_by_text("recorded", exact=True).first.wait_for()
    # It begins with the unit that a live page would begin with, and has the terms of that unit's equations.
    one.until("decodeURIComponent(location.hash).includes('\"name\"')")
    page.locator(".tree .number").first.wait_for()
    page.locator("#tab-find").click()
    page.get_by_role("button", name="inside quotes").click()
    page.locator(".ranking .unit").first.wait_for()
    for view in ("belt", "chain", "heat", "gradients"):
        page.locator(f"#tab-{view}").click()
        page.wait_for_timeout(200)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert page.locator(".chips button").count() > 5
    page.locator("#tab-whatif").click()
    page.locator("#view").get_by_text("the model must run").wait_for()
