"""A page in the browser: what tests do with it, and what it complained of."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Where chromium is; where this is set, a browser that is missing is an error, not a reason to skip.
NAMED = os.environ.get("GATEWORK_BROWSER", "")
CHROMIUM = Path(NAMED or "/usr/bin/chromium")
AXE = Path(__file__).parents[3] / "web/node_modules/axe-core/axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, WIDE, PHONE = (1280, 720), (1920, 1080), (390, 844)


@dataclass
class Tab:
    """A page in the browser, and what it complained of."""

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        def said(message: Any) -> None:
            if message.type in ("error", "warning"):
                self.complaints.append(f"{message.type}: {message.text}")

        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        # Violations of the content security policy are said on the console as well; this one names the directive.
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI))"
        )

    def open(self, **place: Any) -> "Tab":
        """Open the page at a place, and wait until it shows a text."""
        self.page.goto("about:blank")
        self.page.goto(self.address + ("#s=" + quote(json.dumps(place)) if place else ""))
        return self.ready()

    def ready(self) -> "Tab":
        self.page.locator("[role=slider]").wait_for()
        return self.until("document.querySelectorAll('.chips button').length > 0 || innerWidth < 700")

    def until(self, condition: str, seconds: float = 15) -> "Tab":
        """Wait until an expression holds; playwright's own way to wait is one that the page's policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never came true: {condition}"
            self.page.wait_for_timeout(30)
        return self

    def forgive(self, word: str) -> None:
        """Forget one complaint that was meant to come."""
        assert len(self.complaints) == 1, self.complaints
        assert word in self.complaints.pop()

    def place(self) -> dict[str, Any]:
        """What the address says, once it has caught up."""
        self.page.wait_for_timeout(300)
        return json.loads(self.page.evaluate("decodeURIComponent(location.hash.slice(3)) || '{}'"))

    def get(self, path: str) -> Any:
        """Ask the server as the page would."""
        return self.page.evaluate("(path) => fetch(path).then((answer) => answer.json())", path)

    def chip(self, name: str) -> str:
        """The value that the page shows of a quantity at this step."""
        chips = self.page.locator(".chips button")
        return chips.filter(has=self.page.locator("code", has_text=name)).first.locator(".number").inner_text()

    def overflow(self) -> list[int]:
        """How far the document is wider and higher than the window."""
        script = (
            "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
        )
        return self.page.evaluate(script)

    def faults(self) -> list[str]:
        """What axe finds that is serious or critical."""
        found = self.page.evaluate(AXE.read_text(encoding="utf-8") + "; axe.run({resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:160]} {one['nodes'][0]['failureSummary'][:200]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
