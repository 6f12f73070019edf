"""A browser that looks at the demo beside a small run, and complains of whatever the page complains of."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.explorer.browser.tabs import CHROMIUM, DESK, FLAGS, NAMED, Tab


@pytest.fixture(scope="session")
def address(make_run) -> Iterator[str]:
    """The demo and a small GRU of a name that is no HTML, served by the command that people type."""
    gru = make_run("<b>small GRU", cell="gru", hidden_size=16, num_layers=1)
    command = [sys.executable, "-m", "gatework", "explore", gru, "--demo", "--no-open", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = ""
        while not lines.rstrip().endswith("}"):
            line = server.stdout.readline()
            assert line, "the server ended"
            lines += line
        try:
            yield json.loads(lines)["address"]
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def serve(make_run):
    """Serve a small run of a cell that has read a text, and give the address."""
    servers: list[Any] = []

    def served(name: str, **changes: Any) -> str:
        run = make_run(name, **({"hidden_size": 8, "num_layers": 1} | changes))
        command = [sys.executable, "-m", "gatework", "explore", run, "--no-open", "--json"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        servers.append(server)
        assert server.stdout is not None
        lines = ""
        while not lines.rstrip().endswith("}"):
            line = server.stdout.readline()
            assert line, "the server ended"
            lines += line
        return json.loads(lines)["address"]

    yield served
    for server in servers:
        server.terminate()
        server.wait()
        server.stdout.close()


@pytest.fixture(scope="module")  # for as long as it is there, nothing else can run an event loop in this thread
def chromium() -> Iterator[Any]:
    """The browser itself."""
    if not NAMED:
        pytest.importorskip("playwright", reason="playwright is not installed")
        if not CHROMIUM.is_file():
            pytest.skip(f"there is no {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium, address) -> Iterator[Callable[..., Tab]]:
    """Open a tab; nothing may be said on its console by the end of the test."""
    opened: list[tuple[Any, Tab]] = []

    def made(size: tuple[int, int] = DESK, scheme: str = "light", language: str = "en-US", at: str = "") -> Tab:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            locale=language,
            accept_downloads=True,
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        tab = Tab(context.new_page(), at or address)
        tab.listen()
        opened.append((context, tab))
        return tab

    yield made
    complaints = [complaint for _, tab in opened for complaint in tab.complaints]
    for context, _ in opened:
        context.close()
    assert not complaints
