"""The page that is committed was built from the sources that are committed."""

import json
import re
from hashlib import sha256
from pathlib import Path

import gatework.explorer

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
    assert set(MANIFEST["page"]) == {"index.html", "assets/explorer.js", "assets/explorer.css"}


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


def test_no_source_writes_html():
    for path in (WEB / "src").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"@html|innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
                path
            )
            assert not re.search(r"<[^>]+\sstyle=\"", text) or path.name in {"pen.ts"}, path
