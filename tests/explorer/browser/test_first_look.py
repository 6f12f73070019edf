"""What a newcomer sees first is so: the unit, the colours, the marks, and what the tour says of them."""

import math
import re
from itertools import pairwise

import pytest
from tests.explorer.browser.tabs import DESK, PHONE, WIDE

# The first answer comes late.
LATE = """const quick = fetch;
window.fetch = async (...asked) => {
  if (asked[0] === '/api/about') await new Promise((done) => setTimeout(done, 300));
  return quick(...asked);
};"""
FIND = """async ([trace, request]) => (await fetch(`/api/traces/${trace}/find`, {method: 'POST',
  headers: {'Content-Type': 'application/json'}, body: JSON.stringify(request)})).json()"""
READ = """async (request) => (await fetch('/api/traces', {method: 'POST',
  headers: {'Content-Type': 'application/json'}, body: JSON.stringify(request)})).json()"""
# The first unit with two extremes so near to the beginning that both are cut there, and how many stretches it has.
CUT = """async (request) => {
  for (let unit = 0; unit < 128; unit += 1) {
    const body = JSON.stringify({ ...request, unit });
    const answer = await fetch('/api/elsewhere', {method: 'POST', headers: {'Content-Type': 'application/json'}, body});
    const { high, low } = await answer.json();
    const cut = [high, low].some((list) => new Set(list.map((one) => one.offset)).size < list.length);
    if (cut) return { unit, count: high.length + low.length };
  }
  return null;
}"""
# How many pixels of a view's picture have a colour.
COLOURED = """() => {
  const canvas = document.querySelector('#view .paper canvas');
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    const parts = [data[at], data[at + 1], data[at + 2]];
    if (data[at + 3] > 0 && Math.max(...parts) - Math.min(...parts) > 40) count += 1;
  }
  return count;
}"""


def demo(one) -> str:
    """The id of the run that comes with the package."""
    return next(run["id"] for run in one.get("/api/about")["runs"] if run["title"] == "demo")


@pytest.fixture
def here(tab):
    """The demo's first sample."""

    def opened(size=DESK, scheme="light", language="en-US", **place):
        one = tab(size, scheme, language)
        one.page.goto(one.address)
        one.ready()
        return one.open(run=demo(one), **place)

    return opened


def test_the_page_begins_with_a_unit_that_follows_something(tab, serve):
    """Also where answers are late: what the page writes into its own address is not a reader's wish."""
    one = tab(at=serve("slow"))
    one.page.add_init_script(LATE)
    one.page.goto(one.address)
    one.ready()
    one.until("decodeURIComponent(location.hash).includes('\"name\"')")
    place = one.place()
    read = one.page.evaluate(READ, {"run": "r0", "sample": "r0-s1"})
    asked = {"layer": 0, "direction": 0, "names": ["c", "h"], "preset": "inside_quotes"}
    quotes = one.page.evaluate(FIND, [read["trace"], asked])["ranking"][0]
    brackets = one.page.evaluate(FIND, [read["trace"], asked | {"preset": "inside_brackets"}])["ranking"][0]
    best = max(quotes, brackets, key=lambda one: one["score"])
    assert (place["name"], place.get("unit", 0)) == (best["name"], best["unit"])


def test_stretches_that_begin_together_are_all_shown(here):
    """Those around the first symbols are cut to one beginning."""
    one = here(view="find")
    asked = {"run": demo(one), "checkpoint": "latest", "layer": 0, "direction": 0, "name": "c", "count": 6}
    found = one.page.evaluate(CUT, asked)
    assert found, "no unit has two extremes near the beginning, so that nothing is tested here"
    one.open(run=demo(one), view="find", unit=found["unit"], name="c")
    one.page.get_by_role("button", name="Look").click()
    one.page.get_by_text("Highest").wait_for()
    assert one.page.locator(".elsewhere p.mono").count() == found["count"]


def test_the_first_step_has_a_gradient_to_see(here):
    one = here(view="gradients", step=0)
    one.until("document.querySelectorAll('.legend code').length > 1")
    one.page.get_by_text("Nothing stands before the first symbol").wait_for()
    assert one.page.evaluate(COLOURED) > 20
    one.page.keyboard.press("ArrowRight")
    one.page.get_by_text("Nothing stands before the first symbol").wait_for(state="detached")


def test_each_state_has_its_own_scale(here):
    """A state that counts up does not leave the others white."""
    one = here(view="heat", name="c")
    one.page.locator(".scale").get_by_text("in this row").wait_for()
    one.page.wait_for_timeout(300)
    own = one.page.evaluate(COLOURED)
    one.page.get_by_role("button", name="one scale for all").click()
    one.page.wait_for_timeout(300)
    assert own > 1.2 * one.page.evaluate(COLOURED)
    assert one.place()["shared"] is True
    one.page.locator("#quantity").select_option("f")
    one.page.get_by_role("button", name="one scale for all").wait_for(state="detached")


def test_everything_is_forgotten_in_every_layer(here):
    one = here(view="whatif")
    page = one.page
    page.get_by_role("button", name="Forget everything").click()
    page.locator(".cost").wait_for()
    held = [(each["layer"], each["name"], each["value"], each["units"]) for each in one.place()["interventions"]]
    assert held == [(0, "f", 0, None), (1, "f", 0, None)]
    page.get_by_role("button", name="Take all back").click()
    page.get_by_role("button", name="Write nothing").click()
    assert [each["layer"] for each in one.place()["interventions"]] == [0, 1]
    page.get_by_role("button", name="Take all back").click()
    # What is held by hand in a second layer does not take the place of what is held in the first.
    page.get_by_role("button", name="Do it").click()
    page.get_by_label("Layer").select_option("1")
    page.get_by_role("button", name="Do it").click()
    assert [each["layer"] for each in one.place()["interventions"]] == [0, 1]
    page.get_by_label("Of which units").select_option("everywhere")
    page.get_by_role("button", name="Do it").click()
    assert len(one.place()["interventions"]) == 4


def test_symbols_that_the_model_does_not_know_are_marked(here):
    one = here(sample=None, text="café 漢 é\n", step=2)
    told = one.page.locator(".strange").inner_text()
    assert told == "3 symbols are not in the vocabulary, and read as unknown: é 漢"
    assert "unknown" not in one.page.get_by_role("slider").get_attribute("aria-valuetext")
    one.page.keyboard.press("ArrowRight")
    assert one.page.get_by_role("slider").get_attribute("aria-valuetext").endswith("read as unknown")


@pytest.mark.parametrize(
    ("language", "title"), [("zh-CN", "引号与缩进"), ("zh-TW", "引號與縮排"), ("en-US", "Quotes and")]
)
def test_titles_of_samples_are_translated(here, language, title):
    one = here(language=language)
    titles = one.page.locator(".sample option").all_inner_texts()
    assert titles[0].startswith(title)
    if language != "en-US":
        assert not [one for one in titles if re.search("[A-Za-z]{4}", one.replace("demo", ""))]


def test_more_of_the_text_is_seen_on_a_larger_screen(here):
    def lines(size) -> float:
        return here(size, step=3).page.locator(".reading").bounding_box()["height"] / (27 if size == WIDE else 25)

    assert lines(DESK) > 6
    assert lines(WIDE) > 11


def test_a_unit_that_counts_is_not_said_to_fade(here):
    """What the card of the longest memory says is what the model computed."""
    one = here(card=8)
    one.until("document.querySelectorAll('[data-card=memory] p').length > 1")
    text = one.page.locator("[data-card]").inner_text()
    place = one.place()
    about = next(run for run in one.get("/api/about")["runs"] if run["title"] == "demo")
    read = one.page.evaluate(READ, {"run": about["id"], "sample": f"{about['id']}-s1"})
    path = f"/api/traces/{read['trace']}"
    lives = one.get(f"{path}/units?layer={place.get('layer', 0)}&name=c")["half_life"]
    fitting = {life: unit for unit, life in enumerate(lives) if life is not None and life < read["steps"]}
    longest = max(fitting)
    assert place.get("unit", 0) == fitting[longest]
    kept = f"{100 * 0.5 ** (1 / longest):.2f}%"
    assert f"keeps {kept} of what was there" in text
    shortest = math.ceil(min(life for life in lives if life is not None))
    assert f"loses half within {'a single step' if shortest == 1 else f'{shortest} steps'}" in text
    row = one.page.evaluate(
        """async ([path, unit, layer]) => {
          const answer = await fetch(`${path}/unit?layer=${layer}&unit=${unit}`);
          const names = JSON.parse(answer.headers.get('X-Names'));
          const steps = Number(answer.headers.get('X-Shape').split(',')[1]);
          const at = names.indexOf('c') * steps;
          return [...new Float32Array(await answer.arrayBuffer())].slice(at, at + steps);
        }""",
        [path, fitting[longest], place.get("layer", 0)],
    )
    away = sum(abs(after) > abs(before) for before, after in pairwise(row))
    assert f"at {'only ' * (2 * away <= len(row) - 1)}{away} of {len(row) - 1} steps" in text
    assert ("It counts" in text) == (2 * away > len(row) - 1)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_tour_hides_nothing_of_what_it_speaks_of(here, size):
    one = here(size, language="zh-CN", card=0)
    card = one.page.locator("[data-card]")
    for _ in range(13):
        one.page.locator(".lit").first.wait_for()
        one.until("document.querySelectorAll('[data-card] .text p').length > 0")
        name, box = card.get_attribute("data-card"), card.bounding_box()
        lit = one.page.locator(".lit").first.bounding_box()
        assert lit["y"] + lit["height"] <= box["y"], name
        assert lit["height"] > 140, name
        assert one.overflow() == [0, 0], name
        card.locator("button.main").click()
        one.page.wait_for_timeout(40)
    assert card.count() == 0


@pytest.mark.parametrize(("size", "least"), [(DESK, 11), (WIDE, 11), (PHONE, 10)], ids=["desk", "wide", "phone"])
def test_numbers_in_boxes_can_be_read(here, size, least):
    one = here(size, view="cell" if size == PHONE else "belt", step=1, unit=8)
    one.until("document.querySelectorAll('.sign .value').length === 4")
    one.page.wait_for_timeout(200)
    found = one.page.evaluate(
        """() => [...document.querySelectorAll('.sign .value')].map((text) => {
          const [inner, box] = [text, text.parentNode.querySelector('rect')].map((one) => one.getBoundingClientRect());
          const inside = inner.left >= box.left && inner.right <= box.right && inner.bottom <= box.bottom + 1;
          return [parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a, inside];
        })"""
    )
    assert min(height for height, _ in found) >= least
    assert all(inside for _, inside in found)


def test_gradients_of_a_long_text_stand_where_they_belong(here):
    """Of a long text the lists begin later than the text does."""
    one = here()
    long = next(sample for sample in one.get("/api/about")["runs"][-1]["samples"] if sample["steps"] > 20_000)
    one.open(run=demo(one), sample=long["id"], step=6000, view="gradients", **{"from": 5950})
    one.until("document.querySelectorAll('.legend code').length > 1", 30)
    one.page.wait_for_timeout(300)
    assert one.page.evaluate(COLOURED) > 200
