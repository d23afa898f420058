"""`python app.py` as a visitor meets it, in Debian's Chromium. The model is the bundled one unless a module has its own app.

A page costs four seconds of CPU to open, and an edit with its probes five, so tests share them: `edited` is one page with
one edit for every test that only looks, and `opens` makes pages that a module shares. `visit` opens one for a new visitor.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from app_process import running
from chromium import PATIENCE_SECONDS
from masks import write_mask
from paths import PRESETS
from playwright.sync_api import ConsoleMessage, Page, expect
from steps import LEAVING, SAID_BEFORE, SIZES, apply, field, finished, open_tab, shift_of, show

from editlab.model import LanguageModel

CHAPTER = 1_700
"""Characters of a chapter, so that each is one long context; three of them are left."""
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
}).observe({ type: "layout-shift", buffered: true });
"""
"""Keeps how far the page jumped without anybody's doing."""

AS_IT_WAS = """
document.querySelectorAll("details[open]").forEach((row) => { row.querySelector("summary").click(); });
document.activeElement.blur();
window.scrollTo(0, 0);
"""
"""Takes back what a test that only looks may leave behind on the page that it shares."""

Visit = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here drive a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def bundled_app(tmp_path_factory) -> Iterator[str]:
    """The address of a running app without check-ups, with a mask for ROME that is drawn at random, and none for MEMIT.

    So that what is seen under a mask does not hang on a training.
    """
    folder, presets = tmp_path_factory.mktemp("app"), tmp_path_factory.mktemp("presets")
    shutil.copytree(PRESETS, presets, ignore=shutil.ignore_patterns("masks"), dirs_exist_ok=True)
    for chapter in (presets / "texts").glob("*.txt"):  # nine tenths of what a battery reads are its long contexts
        chapter.write_text(chapter.read_text(encoding="utf-8")[:CHAPTER], encoding="utf-8")
    for chapter in range(3, 7):
        (presets / "texts" / f"chapter{chapter}.txt").unlink()
    write_mask(LanguageModel.load("atlas"), folder / "data" / "masks", pruned=0.08, layers=(0,))
    with running(folder, presets=presets, check_ups=False) as app:
        yield app.address


@pytest.fixture(scope="module")
def app(bundled_app) -> str:
    """The address of the app that the module's pages are of."""
    return bundled_app


expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def faults() -> list[str]:
    """What any page complained of in the console, failed at, or asked another host."""
    return []


@pytest.fixture(autouse=True)
def nothing_is_wrong(faults) -> Iterator[None]:
    """Whatever a page did, it must not have been at fault."""
    yield
    found = faults.copy()
    faults.clear()
    assert found == []


@pytest.fixture(scope="session")
def opened_at(browser, faults) -> Callable[[str], AbstractContextManager[Visit]]:
    """`with opened_at(app) as visit:` opens pages of an app as `visit` does, and closes them at the end."""

    @contextmanager
    def opened(app: str) -> Iterator[Visit]:
        contexts = []

        def visit(query: str = "", size: str = "desktop", theme: str = "light") -> Page:
            width, height = SIZES[size]
            context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
            context.set_default_timeout(PATIENCE_SECONDS * 1000)
            contexts.append(context)
            context.add_init_script(SHIFTS)
            page = context.new_page()
            _watch(page, faults)
            page.goto(f"{app}/?__theme={theme}&{query}")
            page.bring_to_front()
            page.wait_for_selector(SAID_BEFORE, state="attached")
            expect(page.locator("#stop")).to_be_disabled()
            return page

        try:
            yield visit
        finally:
            for context in contexts:
                context.close()

    return opened


@pytest.fixture
def visit(app, opened_at) -> Iterator[Visit]:
    """`visit("preset=messi", size, theme)` opens the page as a new visitor and waits for its first answer."""
    with opened_at(app) as visit:
        yield visit


@pytest.fixture(scope="module")
def opens(app, opened_at) -> Iterator[Visit]:
    """The same, for pages that several tests of a module share."""
    with opened_at(app) as visit:
        yield visit


@pytest.fixture(scope="session")
def edited_page(bundled_app, opened_at) -> Iterator[tuple[Page, float]]:
    """The page behind `edited`, and how far it moved while the results of its edit arrived."""
    with opened_at(bundled_app) as visit:
        page = visit()
        page.wait_for_selector("#at-target-new li", state="attached")
        page.wait_for_timeout(700)
        page.evaluate("window.shifts.length = 0")
        apply(page)
        page.wait_for_timeout(300)
        yield page, shift_of(page)


@pytest.fixture
def edited(edited_page) -> Page:
    """A page with one edit over the model (Slovenia → Antarctica by ROME), on the Edit tab of a desktop.

    Every test has this same page: ask and look, and change nothing that another test would see.
    """
    page, _ = edited_page
    finished(page)
    show(page, "desktop", "light")
    open_tab(page, "Edit")
    field(page, "ask").fill("")
    page.evaluate(AS_IT_WAS)
    return page


def _watch(page: Page, faults: list[str]) -> None:
    def hears(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and page not in LEAVING:
            faults.append(f"console: {message.text} ({message.location.get('url', '')})")

    page.on("console", hears)
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: faults.append(f"request: {request.url}") if _elsewhere(request.url) else None)


def _elsewhere(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1"
