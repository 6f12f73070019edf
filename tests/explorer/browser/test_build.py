"""The page that is committed was built from the sources that are committed."""

import json
import re
from hashlib import sha256
from pathlib import Path

import gatework.explorer
from gatework.explorer.settings import NOTICES

ROOT = Path(__file__).parents[3]
WEB = ROOT / "web"
PAGE = Path(gatework.explorer.__file__).parent / "page"
MANIFEST = json.loads((PAGE / "manifest.json").read_text(encoding="utf-8"))
LEFT_OUT = {"node_modules", ".vite"}
AGAIN = "the page is older than its sources: run make page"


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: sha256(path.read_bytes()).hexdigest()
        for name, path in named.items()
        if not LEFT_OUT & set(Path(name).parts) and name != "manifest.json"
    }


def test_page_belongs_to_its_sources():
    assert digests(WEB) == MANIFEST["sources"], AGAIN


def test_page_is_as_it_was_built():
    assert digests(PAGE) == MANIFEST["page"], AGAIN


def test_manifest_sees_every_source():
    """Or the tests above would pass by looking at nothing."""
    assert {"package-lock.json", "src/App.svelte", "src/strings/zh-Hant.ts"} <= set(MANIFEST["sources"])
    assert set(MANIFEST["page"]) == {
        "index.html",
        *(f"assets/{name}" for name in ("explorer.js", "explorer.css", NOTICES)),
    }


def test_page_is_small_and_loads_nothing_from_elsewhere():
    script = (PAGE / "assets/explorer.js").read_text(encoding="utf-8")
    style = (PAGE / "assets/explorer.css").read_text(encoding="utf-8")
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert len(script.encode()) < 400_000
    assert not re.search(r"url\(|@import|@font-face", style)
    # Names of XML's own languages are no addresses that anything is loaded from.
    addresses = {found for text in (script, html) for found in re.findall(r"https?://[\w./-]+", text)}
    assert {address for address in addresses if not address.startswith("http://www.w3.org/")} <= {
        address for address in addresses if address.startswith("https://svelte.dev/e/")
    }
    assert " style=" not in html


def test_every_package_in_the_page_has_its_licence_beside_it():
    text = (PAGE / "assets" / NOTICES).read_text(encoding="utf-8")
    _, *notices = text.split(f"\n{'=' * 80}\n\n")
    found = {}
    for notice in notices:
        head, _, licence = notice.partition("\n\n")
        assert re.search(r"^Copyright .*\d{4}|^Copyright \(c\) ", licence, re.MULTILINE), head
        assert re.search(r"(?is)permission .* hereby granted", " ".join(licence.split())), head
        name, version, kind = head.split(" ")
        assert kind in ("(MIT)", "(ISC)"), head
        found[name] = version
    locked = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in found} == found
    sources = [path.read_text(encoding="utf-8") for path in (WEB / "src").rglob("*") if path.is_file()]
    imports = {name for source in sources for name in re.findall(r"import (?!type).* from '([^./'][^/']*)", source)}
    assert {"svelte", "d3-array", "d3-color", "d3-interpolate", "d3-scale"} <= imports
    # What these bring with them is in the page too where it is used, and where it is, in the list.
    assert imports <= set(found)
    assert "d3-format" in found


def test_a_visitor_finds_the_licences():
    assert f'href="assets/{NOTICES}"' in (WEB / "src/views/Keys.svelte").read_text(encoding="utf-8")
    assert "assets/notices.txt" in (PAGE / "assets/explorer.js").read_text(encoding="utf-8")


def test_no_source_writes_html():
    for path in (WEB / "src").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"@html|innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
                path
            )
            assert not re.search(r"<[^>]+\sstyle=\"", text) or path.name in {"pen.ts"}, path
