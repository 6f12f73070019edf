"""The report: one file, with the answers of the server inside, that loads nothing and runs only its own script."""

import base64
import json
import re
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.explorer.unpacking import unpack

from gatework.errors import ExplorerError
from gatework.explorer.messages import TraceRequest
from gatework.explorer.packing import pack
from gatework.explorer.report import inline, record, write_report
from gatework.explorer.settings import NOTICES, PAGE

TEXT = 'def f(a, b):\n    return "</script><script>alert(1)</script><!-- a, b" + a\n'
SCRIPT = 'document.body.append("</script>", "<!--");'
STYLE = "body { background: url(data:image/png;base64,AAAA) }"
INDEX = """<!doctype html>
<html><head><title>explorer</title>
<script type="module" crossorigin src="./assets/explorer.js"></script>
<link rel="stylesheet" crossorigin href="./assets/explorer.css">
<link rel="icon" href="data:,"></head><body><div id="page"></div></body></html>
"""


@pytest.fixture
def page(tmp_path):
    """A built page in small."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "assets" / "explorer.js").write_text(SCRIPT)
    (tmp_path / "assets" / "explorer.css").write_text(STYLE)
    (tmp_path / "assets" / NOTICES).write_text("a package (MIT) <!-- --></pre><script>alert(1)</script>\n")
    return tmp_path


class Reader(HTMLParser):
    """Reads a page: its elements in order, each with attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.inside = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), []))
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.elements[-1][2].append(data)

    def named(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.elements if name == tag]


@pytest.fixture(scope="module")
def recorded(small):
    return record(small.answers, TraceRequest(run="r0", text=TEXT))


def test_a_report_loads_nothing_and_runs_only_its_own_script(page, small):
    html = write_report(small.answers, TraceRequest(run="r0", text=TEXT), page)
    read = Reader(html)
    scripts = read.named("script")
    assert [attributes.get("type") for attributes, _ in scripts] == ["application/octet-stream", "module"]
    for _, attributes, _ in read.elements:
        assert "src" not in attributes
        assert (attributes.get("href") or "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
    ((meta, _),) = [one for one in read.named("meta") if one[0].get("http-equiv")]
    policy = dict(part.strip().split(" ", 1) for part in (meta["content"] or "").split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    # The policy allows these very bytes, as a browser reads them, and no others.
    ran, styled = scripts[1][1], read.named("style")[0][1]
    for kind, text in (("script-src", ran), ("style-src", styled)):
        assert policy[kind] == f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
    assert (ran, styled) == ('document.body.append("<\\/script>", "<\\!--");', STYLE)
    # The policy stands before all that it is about.
    assert html.index("Content-Security-Policy") < html.index("<style>") < html.index("<script")


def test_text_of_the_model_stays_text(page, small):
    html = write_report(small.answers, TraceRequest(run="r0", text=TEXT), page)
    assert html.count("<script") == html.count("</script>") == 2
    assert "<!--" not in html
    told = unpack(Reader(html).named("script")[0][1])
    assert "".join(told["POST /api/traces"]["symbols"]) == TEXT


def test_answers_are_those_of_the_server(recorded, small):
    """Each GET is asked of the server over HTTP, as the page would, and gives what was recorded."""
    live = small.read(TEXT)
    trace = recorded["POST /api/traces"]["trace"]
    assert {**recorded["POST /api/traces"], "trace": ""} == {**live, "trace": ""}
    kinds = set()
    for key, answer in recorded.items():
        method, path = key.split(" ", 1)
        if path in ("/api/traces", "/api/about"):
            continue
        there = path.replace(f"/{trace}/", f"/{live['trace']}/")
        if method == "POST":
            # A recorded request has no body: the page names behind the path what it asks for.
            there, _, named = there.partition("?")
            asked = dict(part.split("=") for part in named.split("&")) | {"names": ["c", "h"]}
            given = small.http.post(there, json=asked)
        else:
            given = small.http.get(there)
        assert given.status_code == 200, path
        kind = re.split(r"[/?]", path)[4] if "/traces/" in path else "scene"
        kinds.add(kind)
        if kind == "values":
            assert base64.b64decode(answer["base64"]) == given.content
            assert ",".join(map(str, answer["shape"])) == given.headers["x-shape"]
        elif kind == "gradients":
            told = given.json()
            assert answer["at"] == told["at"]
            for layer, layer_told in zip(answer["layers"], told["layers"], strict=True):
                top = max(max(norms) for norms in layer_told.values())
                assert set(layer) == set(layer_told)
                for name, norms in layer.items():
                    assert norms == pytest.approx(layer_told[name], rel=5e-3, abs=2e-6 * top)
        else:
            assert answer == given.json()
    assert kinds == {"values", "units", "gradients", "terms", "opening", "find", "scene"}


def test_everything_the_page_shows_of_a_text_is_there(recorded, small):
    steps = len(TEXT)
    names = [one["name"] for one in small.get("/api/about")["runs"][0]["quantities"][0]]
    trace = recorded["POST /api/traces"]["trace"]
    for layer in (0, 1):
        for name in names:
            written = name.replace(" ", "%20")
            where = f"layer={layer}&direction=0&name={written}"
            answer = recorded[f"GET /api/traces/{trace}/values?{where}&from=0&to={steps}"]
            values = np.frombuffer(base64.b64decode(answer["base64"]), "<f4")
            assert values.size == steps * 10 == answer["shape"][0] * answer["shape"][1]
            assert f"GET /api/traces/{trace}/units?{where}" in recorded
    assert f"GET /api/traces/{trace}/gradients?at={steps - 2}" in recorded


def test_a_report_is_about_one_run_and_one_text(call, run, make_run):
    both = call(run, make_run("second", num_layers=1))
    about = record(both.answers, TraceRequest(run="r1", text="abc"))["GET /api/about"]
    assert [opened["id"] for opened in about["runs"]] == ["r1"]
    assert about["runs"][0]["samples"] == []
    assert [sample["text"] for sample in about["samples"]] == ["abc"]


@pytest.mark.parametrize("length", [2001, 20_001])
def test_a_text_that_is_too_long(small, length):
    """The limit that is named is the report's own, also where the server's is passed too."""
    told = f"The text has {length:,} symbols: a report holds at most 2,000. Give a shorter"
    with pytest.raises(ExplorerError, match=told):
        record(small.answers, TraceRequest(run="r0", text="a" * length))


def test_a_sample_that_there_is_not(small):
    """Samples are named as people type them."""
    with pytest.raises(ExplorerError, match=r"^There is no sample 's99'\. Expected one of s1, s2"):
        record(small.answers, TraceRequest(run="r0", sample="r0-s99"))


def test_what_was_before_the_text_is_recorded(recorded, small):
    trace, live = recorded["POST /api/traces"]["trace"], small.read(TEXT)["trace"]
    kept = f"GET /api/traces/{trace}/values?layer=1&direction=0&name=c&from=0&to={len(TEXT)}"
    for unit in (0, 9):
        given = small.http.get(f"/api/traces/{live}/unit", params={"layer": 1, "unit": unit})
        before = dict(zip(json.loads(given.headers["x-names"]), json.loads(given.headers["x-before"]), strict=True))
        assert recorded[kept]["before"][unit] == before["c"] != 0


def test_a_name_that_is_a_script_stays_text(call, make_run, page):
    """The name of a run is its folder's, and folders can be called anything."""
    name = "<img src=x onerror=alert(1)>"
    hostile = call(make_run(name))
    answer = hostile.http.get("/api/about")
    assert answer.json()["runs"][0]["title"] == name
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<img" not in write_report(hostile.answers, TraceRequest(run="r0", text="abc"), page)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"index.html": None}, "The explorer's page is not built: in a checkout of gatework, run make page."),
        ({"assets/explorer.js": None}, "The page refers to './assets/explorer.js', which is not there"),
        ({"assets/notices.txt": None}, "The page refers to 'notices.txt', which is not there"),
        ({"assets/explorer.js": 'import("./other.js")'}, "The page is not built as one script"),
        ({"assets/explorer.css": "@import 'x.css'"}, "The page's style refers to another file (@import)"),
        ({"assets/explorer.css": "a { b: url(x.png) }"}, "The page's style refers to another file (url(x.png)"),
        (
            {"index.html": INDEX.replace('href="data:,"', 'href="https://x.example/i.png"')},
            "The page refers to 'https:",
        ),
        (
            {"index.html": INDEX.replace("</body>", "")},
            "The page has no </body>, so that it cannot be put into one file.",
        ),
    ],
)
def test_pages_that_cannot_become_one_file(page, change, told):
    for name, content in change.items():
        (page / name).unlink()
        if content is not None:
            (page / name).write_text(content)
    with pytest.raises(ExplorerError) as caught:
        inline(page, {})
    assert str(caught.value).startswith(told)


def test_the_built_page_becomes_one_file(recorded):
    read = Reader(inline(PAGE, recorded))
    assert len(read.named("script")) == 2
    assert unpack(read.named("script")[0][1]) == recorded
    assert read.named("pre") == [({"id": "notices", "hidden": None}, (PAGE / "assets" / NOTICES).read_text("utf-8"))]


def test_a_report_begins_with_the_telling_unit_and_has_its_terms(recorded):
    trace = recorded["POST /api/traces"]["trace"]
    best = recorded[f"GET /api/traces/{trace}/opening"]["best"]
    assert best["preset"] in ("inside_quotes", "inside_brackets")
    path = f"GET /api/traces/{trace}/terms?layer={best['layer']}&direction=0&unit={best['unit']}&step=3&name=c"
    assert recorded[path]["parts"]


def test_packed_answers_come_back_and_weigh_little(recorded):
    """In base64 every number took more than five bytes, and gradients took most of the file."""
    packed = pack(recorded)
    assert unpack(packed) == recorded
    plain = json.dumps(recorded, ensure_ascii=False, separators=(",", ":"))
    assert len(packed) < 0.45 * len(plain)
    for key, answer in recorded.items():
        if "/gradients?" in key:
            assert answer["along"] == {}
