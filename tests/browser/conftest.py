"""`python app.py` as a visitor meets it, in Debian's Chromium. The model is the Settings' (EDITLAB_MODEL, else atlas)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from serving import CHROMIUM, PATIENCE, serving

DESKTOP = (1440, 900)
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
}).observe({ type: "layout-shift", buffered: true });
"""
"""Keeps how far the page jumped without anybody's doing."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here drive a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Iterator[str]:
    """The address of a running app, which has no check-ups to do between the tests."""
    with serving(tmp_path_factory.mktemp("data"), check_ups=False) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing. Install it: apt-get install chromium"
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(app: str, browser: Browser) -> Iterator[Callable[..., Page]]:
    """`visit("preset=messi", size, theme)` opens the page as a new visitor and waits for its first answer.

    Whatever the page did, it must not have complained in the console, failed, or asked another host.
    """
    contexts, faults = [], []

    def watch(page: Page) -> None:
        page.on("console", lambda m: faults.append(_complaint(m)) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: faults.append(f"request: {request.url}") if _elsewhere(request.url) else None)

    def open_page(query: str = "", size: tuple[int, int] = DESKTOP, theme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        context.add_init_script(SHIFTS)
        page = context.new_page()
        watch(page)
        page.goto(f"{app}/?__theme={theme}&{query}")
        page.wait_for_selector("#answer-base .said")
        expect(page.locator("#stop")).to_be_disabled()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def _complaint(message: ConsoleMessage) -> str:
    return f"console: {message.text} ({message.location.get('url', '')})"


def _elsewhere(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1"
