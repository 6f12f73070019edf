"""How fast the page is: print the figures. Not a test, for no test is timed.

    OMP_NUM_THREADS=1 python -m tests.explorer.browser.speed RUN

RUN is any run; the figures of the guide are of one with 512 units, which reads 1,000 symbols.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright
from tests.explorer.browser.tabs import CHROMIUM, DESK, FLAGS

# From a key to the end of all that it changes: script, style and layout, forced; and until the next frame was painted.
STEPS = """async (count) => {
  const [work, frames] = [[], []];
  for (let index = 0; index < count; index += 1) {
    await new Promise((done) => setTimeout(done, 30));
    const start = performance.now();
    dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
    for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
    document.body.getBoundingClientRect();
    work.push(performance.now() - start);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    frames.push(performance.now() - start);
  }
  return [work, frames];
}"""
EDIT = """async (text) => {
  const area = document.querySelector('textarea');
  const shown = () => document.querySelector('[role=slider]').ariaValueMax;
  const times = [];
  for (let index = 0; index < 15; index += 1) {
    const before = shown();
    area.value += text[index];
    const start = performance.now();
    area.dispatchEvent(new Event('input', { bubbles: true }));
    while (shown() === before) await new Promise((done) => setTimeout(done, 1));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 150));
  }
  return times;
}"""


@contextmanager
def served(*words: str):
    """Serve runs, and give the address."""
    command = [sys.executable, "-m", "gatework", "explore", *words, "--no-open", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = ""
        while not lines.rstrip().endswith("}"):
            lines += server.stdout.readline()
        try:
            yield json.loads(lines)["address"]
        finally:
            server.terminate()


def told(name: str, times: list[float]) -> None:
    """Print median and 95th percentile, in milliseconds."""
    print(f"{name:48} median {statistics.median(times):7.1f} ms   p95 {statistics.quantiles(times, n=20)[-1]:7.1f} ms")


def text_of(length: int) -> str:
    """Some code, so many symbols of it."""
    return ('def value(self, name="x"):\n    return [self.table[name], 12, "so"]\n\n' * (length // 60 + 1))[:length]


def opened(page: Page, address: str, **place) -> None:
    """Open the page at a place."""
    page.goto("about:blank")
    page.goto(address + "#s=" + quote(json.dumps(place)))
    page.locator(".chips button, .three .sign").first.wait_for(timeout=60_000)
    page.wait_for_timeout(1500)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    run = parser.parse_args().run
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
        start = time.monotonic()
        with served("--demo") as address:
            page.goto(address)
            page.get_by_role("heading", name="gatework").wait_for()
            print(f"demo: page visible after {time.monotonic() - start:.1f} s from the command")
            page.locator(".chips button").first.wait_for(timeout=60_000)
            print(f"demo: first text read after {time.monotonic() - start:.1f} s from the command")
        with served(run) as address:
            for view in ("belt", "heat", "gradients"):
                opened(page, address, text=text_of(1000), sample=None, view=view, step=300, unit=1)
                work, frames = page.evaluate(STEPS, 100)
                told(f"a step, {view}, T=1000: script and layout", work)
                told(f"a step, {view}, T=1000: until it is painted", frames)
            opened(page, address, text=text_of(200), sample=None)
            page.get_by_role("button", name="Type").click()
            told("an edit, T=200: until it is painted", page.evaluate(EDIT, "abcdefghijklmno"))
        browser.close()


if __name__ == "__main__":
    main()
