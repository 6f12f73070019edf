"""What the page says of a cell is so for that cell: what it keeps by, what it writes by, and what a text has."""

import re

import pytest


def cards(page) -> dict[str, str]:
    """Go through the tour, and give what its cards say."""
    card, told = page.locator("[data-card]"), {}
    while card.count():
        name = card.get_attribute("data-card")
        page.wait_for_timeout(700)  # until what it shows is there, or it is left out
        if card.get_attribute("data-card") == name:
            told[name] = card.inner_text()
            card.locator("button.main").click()
        page.wait_for_timeout(60)
    return told


def test_a_gate_that_keeps_where_it_is_shut(tab, serve):
    """All that is said of z is so for h = (1 - z) * h + z * n: what z keeps, it keeps at 0. No card lacks a unit."""
    one = tab(at=serve("replaces", cell="gru_v3", text="ROMEO\nnone of this has quotes\n" * 60))
    one.open(view="whatif", unit=3)
    page = one.page
    page.get_by_role("button", name="Never forget: z = 0 in unit 3").wait_for()
    page.get_by_role("button", name="Forget everything: z = 1").click()
    page.locator(".cost").wait_for()
    page.get_by_role("button", name="after", exact=True).click()
    one.until("[...document.querySelectorAll('.chips button')].some((one) => /^z\\s*1.00$/.test(one.innerText))")
    assert one.chip("(1 - z) * h") == "0.00"
    one.open(card=0)
    told = cards(page)
    assert "1 - z is a number between 0 and 1: what part of the old h is kept" in told["forget"]
    assert "Hold z at 1 in all units" in told["whatif"]
    assert "write" not in told
    # The text has no quotes and no brackets: the card takes what there is, and the page asked for nothing in vain.
    assert re.search("Mark this in the text: .*first word", told["find"])
    assert re.search("h of unit [0-9]+ comes first", told["find"])


def test_a_card_without_an_example_is_left_out(tab, serve):
    one = tab(at=serve("letters", cell="lstm"))
    one.open(card=0, sample=None, text="a")
    assert "find" not in cards(one.page)


def test_a_belt_adds_up(tab, serve):
    """Gates that are states have no belt; a name by itself is an addend; a state that is held is not the sum."""
    one = tab(at=serve("recurrent gates", cell="fgr"))
    one.open(view="belt", step=9)
    page = one.page
    assert re.sub(r"\s+", " ", page.locator(".head .lead").inner_text()) == "kept f * c written i * g together c"
    one = tab(at=serve("normaliser", cell="slstm"))
    one.open(view="belt", step=9, name="n")
    page = one.page
    assert "written i together n" in re.sub(r"\s+", " ", page.locator(".head .lead").inner_text())
    kept, written, whole = (
        float(text) for text in re.findall(r"[\d.]+", page.locator(".sum").inner_text().split("→")[1])
    )
    assert "=" in page.locator(".sum").inner_text()
    assert kept + written == pytest.approx(whole, abs=0.011)
    held = {"layer": 0, "direction": 0, "name": "n", "value": 9, "units": None, "start": 0, "stop": None}
    one.open(view="belt", step=9, name="n", interventions=[held], after=True)
    one.until("document.querySelector('.sum').innerText.includes('≠')")


def test_only_a_gate_that_shuts_is_offered(tab, serve):
    one = tab(at=serve("janet", cell="janet"))
    one.open(view="whatif")
    one.page.get_by_role("button", name="Forget everything: f = 0").wait_for()
    assert one.page.get_by_role("button", name="Write nothing").count() == 0


def test_a_link_to_what_is_not_there(tab, serve):
    one = tab(at=serve("own", cell="f = sigmoid(W @ x + b)\nh = (1 - f) * h + f * tanh(V @ x)"))
    one.open(direction=1, checkpoint="step-77", view="whatif")
    assert "own equations" in one.page.locator("header").inner_text()
    one.page.get_by_label("at", exact=True).fill("1e9")
    assert one.page.get_by_role("button", name="Do it").is_disabled()
    missing = {"layer": 0, "direction": 0, "name": "q", "value": 1, "units": None, "start": 0, "stop": None}
    one.open(view="whatif", interventions=[missing])
    one.until("!decodeURIComponent(location.hash).includes('interventions')")
    one.forgive("400")
