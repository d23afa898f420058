"""Debian's Chromium, driven by Playwright."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "/usr/bin/chromium"
PATIENCE_SECONDS = 180.0
"""How long a page may take for one step on a busy machine."""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, and close it at the end."""
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing. Install it: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
