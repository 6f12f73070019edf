"""The loop, the chain it stands for, and three copies of the cell with the values of three steps."""

import pytest
from tests.explorer.browser.tabs import DESK, PHONE
from tests.explorer.browser.test_first_look import READ, demo

# The value in the box of a gate, copy by copy from the left.
BOXES = """() => [...document.querySelectorAll('.three .sign.learned')].map((sign) => {
  const { x } = sign.querySelector('rect').getBoundingClientRect();
  return [x, sign.querySelector('.value')?.textContent ?? ''];
}).sort((one, other) => one[0] - other[0]).map(([, text]) => text)"""
SYMBOLS = "(which) => [...document.querySelectorAll(`${which} .read .symbol-text`)].map((one) => one.textContent)"


@pytest.fixture
def here(tab):
    """The demo's first sample, in the view of the chain."""

    def opened(size=DESK, language="en-US", **place):
        one = tab(size, "light", language)
        one.page.goto(one.address)
        one.ready()
        run = demo(one)
        one.page.goto("about:blank")
        one.open(run=run, **({"step": 60, "unit": 8, "name": "c"} | place))
        one.page.keyboard.press("2" if size == DESK else "4")
        one.page.locator(".three .sign").first.wait_for()
        return one

    return opened


def test_three_steps_run_through_the_chain(here):
    one = here()
    run = demo(one)
    read = one.page.evaluate(READ, {"run": run, "sample": f"{run}-s1"})
    symbols = read["symbols"]
    assert one.page.evaluate(SYMBOLS, ".three") == [symbols[step] for step in (59, 60, 61)]
    assert one.page.evaluate(SYMBOLS, ".loop") == [symbols[step] for step in (60, 0, 1, 2, 60)]
    gates = "fig" + "o"
    values = {
        name: one.page.evaluate(
            """([trace, name]) => fetch(`/api/traces/${trace}/values?layer=0&direction=0&name=${name}&from=59&to=62`)
               .then((answer) => answer.arrayBuffer())
               .then((bytes) => [...new Float32Array(bytes)].filter((_, at) => at % 128 === 8))""",
            [read["trace"], name],
        )
        for name in gates
    }
    shown = [float(text.replace("−", "-")) for text in one.page.evaluate(BOXES)]
    assert shown == [pytest.approx(values[name][step], abs=0.00501) for step in range(3) for name in gates]
    guesses = [float(text.split()[-1].rstrip("%")) for text in one.page.locator(".guess").all_text_contents()]
    best = [100 * read["top"][step][0]["probability"] for step in (59, 60, 61)]
    assert guesses == [pytest.approx(part, abs=0.5) for part in best]


def test_a_copy_leads_to_its_step(here):
    one = here()
    one.page.locator(".three .sign.learned.live.quiet .press").last.click()
    assert one.place()["step"] == 61
    assert one.place()["name"] in ("i", "f", "g", "o")
    one.page.get_by_role("button", name="Go to step 2, e").click()
    assert one.place()["step"] == 1
    # There is no step before the first: the line end that is read before the text stands there.
    one.page.keyboard.press("ArrowLeft")
    one.page.wait_for_timeout(100)
    assert one.page.evaluate(SYMBOLS, ".three") == ["⏎", "d", "e"]
    one.page.keyboard.press("End")
    assert one.overflow() == [0, 0]


def test_the_loop_unrolls(here, chromium):
    """It moves by itself only for those who like it so; rolled up, the copies lie over the loop."""
    left = "[...document.querySelectorAll('.loop .sign.cell')].map((one) => Math.round(one.getBoundingClientRect().x))"
    one = here()
    lain = one.page.evaluate(left)
    assert len(set(lain)) == 5
    one.page.get_by_role("button", name="Roll up").click()
    one.page.wait_for_timeout(50)  # without movement it is there at once
    assert len(set(one.page.evaluate(left))) == 1
    one.page.get_by_role("button", name="Unroll").click()
    one.page.wait_for_timeout(50)
    assert one.page.evaluate(left) == lain
    one.page.emulate_media(reduced_motion="no-preference")
    one.page.keyboard.press("1")
    one.page.keyboard.press("2")
    one.page.locator(".loop .sign.cell").first.wait_for()
    assert len(set(one.page.evaluate(left))) < 5
    one.until(f"new Set({left}).size === 5")
    one.page.wait_for_timeout(900)
    assert one.page.evaluate(left) == lain


@pytest.mark.parametrize("language", ["zh-CN", "zh-TW"])
def test_it_is_translated_and_fits_a_phone(here, language):
    one = here(PHONE, language)
    assert one.overflow() == [0, 0]
    told = one.page.locator("#view").inner_text()
    assert {"zh-CN": "展开的循环", "zh-TW": "展開的迴圈"}[language] in told
    middle = one.page.evaluate(
        "[...document.querySelectorAll('.three .sign.learned:not(.quiet)')].every((one) => {"
        " const box = one.getBoundingClientRect(); return box.left >= 0 && box.right <= innerWidth; })"
    )
    assert middle


def test_every_cell_has_a_chain(tab, serve):
    one = tab(at=serve("replaces", cell="gru_v3", text="ROMEO\nnone of this has quotes\n" * 60))
    one.open(step=5)
    one.page.keyboard.press("2")
    one.page.locator(".three .sign.learned").first.wait_for()
    assert one.page.locator(".three .sign.learned").count() == 9
