"""Measure the page: `python -m tools.timing --edits 50`.

In Debian's Chromium, on the bundled model: from the click on Apply to the drawn answer, from a key press to a live answer,
to the first paint, and how many bytes a first visit loads. Run it on a quiet machine.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page

from editlab.lab import read_examples
from tests.app_process import ROOT, running
from tests.chromium import PATIENCE_SECONDS, chromium

QUESTION = "Slovenia belongs to the continent of"
NAMES = [example.name for example in read_examples(ROOT / "presets" / "examples")]
VISITS = 3

DRAWN = """
([selector, before]) => new Promise((drawn) => {
  const began = performance.now();
  const look = () => {
    const found = document.querySelector(selector);
    if (found && found.textContent.trim() && found.textContent !== before) {
      requestAnimationFrame(() => drawn(performance.now() - began));
      return true;
    }
  };
  const watch = new MutationObserver(() => look() && watch.disconnect());
  watch.observe(document.body, { childList: true, subtree: true, characterData: true });
})
"""
"""Milliseconds until a part of the page has another text than before, and that is painted."""


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=50)
    parser.add_argument("--keys", type=int, default=50)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), threads=None) as app, chromium() as browser:
        visits = [_visit(browser.new_page(), app.address) for _ in range(VISITS)]
        page = _page(browser)
        edits = [_edit(page, app.address, name) for name in NAMES[: wanted.edits]]
        keys = _keys(page, wanted.keys)
    while len(edits) < wanted.edits:  # in a new process: an edit that was made before is there at once
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), threads=None) as app, chromium() as browser:
            page = _page(browser)
            edits += [_edit(page, app.address, name) for name in NAMES[: wanted.edits - len(edits)]]
    paints, weights = zip(*visits, strict=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n\n| what | n | p50 | p95 |\n|---|---|---|---|")
    for what, seconds in (("click to drawn answer", edits), ("key press to live answer", keys), ("first paint", paints)):
        print(f"| {what} | {len(seconds)} | {_ms(statistics.median(seconds))} | {_ms(_p95(seconds))} |")
    print(f"| page weight, over the wire | {len(weights)} | {statistics.median(weights) / 1e6:.2f} MB | |")


def _visit(page: Page, address: str) -> tuple[float, float]:
    """Seconds to the first contentful paint, and bytes that a first visit takes over the wire."""
    session = page.context.new_cdp_session(page)
    loaded: list[float] = []
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    page.goto(address)
    page.wait_for_selector("#answer-base .said")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.close()
    return paint / 1000, sum(loaded)


def _page(browser: Browser) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    return page


def _edit(page: Page, address: str, name: str) -> float:
    """Seconds from the click on Apply to the edited answer, each edit alone over the model; `name`: that of an example."""
    page.goto(f"{address}/?preset={name}")
    page.wait_for_selector("#answer-base .said")
    if page.locator(".edits .remove").count():
        page.click(".edits .remove")
        page.wait_for_selector(".edits", state="detached")
        _wait_for_rest(page)
    _wait_for_rest(page)
    page.evaluate(f"given => {{ window.seen = ({DRAWN})(given) }}", ["#answer-edited:not(.waiting) .said", None])
    page.click("#apply")
    seconds = page.evaluate("window.seen") / 1000
    page.wait_for_selector("#probe-table .probes")
    _wait_for_rest(page)
    return seconds


def _keys(page: Page, count: int) -> list[float]:
    """Seconds from each key press to the first answer that is drawn to it; each key waits for the answer before."""
    box, seconds = page.locator("#ask input, #ask textarea"), []
    for number in range(count):
        if number % len(QUESTION) == 0:
            box.fill("")
            time.sleep(1.0)
        before = page.evaluate("document.querySelector('#ask-answers .text span')?.textContent ?? null")
        page.evaluate(f"given => {{ window.seen = ({DRAWN})(given) }}", ["#ask-answers .text span", before])
        box.press_sequentially(QUESTION[number % len(QUESTION)])
        if QUESTION[number % len(QUESTION)] == " ":
            time.sleep(0.5)
            continue
        seconds.append(page.evaluate("window.seen") / 1000)
        time.sleep(0.8)
    return seconds


def _wait_for_rest(page: Page) -> None:
    page.wait_for_function("document.querySelector('#stop').disabled && !document.querySelector('#progress progress')")
    time.sleep(0.3)


def _p95(values: list[float] | tuple[float, ...]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


if __name__ == "__main__":
    main()
