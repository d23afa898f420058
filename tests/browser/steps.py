"""What a test of the page does and looks at, whatever tab it is about."""

import re
from collections.abc import Iterator
from weakref import WeakSet

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

SIZES = {"desktop": (1440, 900), "wide": (1920, 1080), "phone": (390, 844)}
LOOKS = (("desktop", "light"), ("wide", "dark"), ("phone", "light"), ("phone", "dark"))
SAID_BEFORE, SAID_NOW = "#answer-base .said", "#answer-edited .said"
TABLE = "#probe-table .probes"
ENDLESS = {"steps": "1000", "stop_below": "0", "plain_below": "0", "contexts": "20"}
"""Settings of ROME under which an edit takes as long as a test may look at it."""
LEAVING: WeakSet[Page] = WeakSet()
"""The pages that are being reloaded."""
MOST_TABS = 120
"""More than the page has places to stop at: where a table is drawn anew, the focus begins at the end of the page again."""


def field(page: Page, name: str) -> Locator:
    """Return the box of a text field."""
    return page.locator(f"#{name} input, #{name} textarea")


def unfold(page: Page, part: str) -> None:
    """Open the form ("request") or the list of edits ("drawer")."""
    if not page.locator(f"#{part}").is_visible():
        page.click(f"#line [data-fold={part}]")
    expect(page.locator(f"#{part}")).to_be_visible()


def fold(page: Page, part: str) -> None:
    """Close it again."""
    page.click(f"#line [data-fold={part}]")
    expect(page.locator(f"#{part}")).to_be_hidden()


def open_probe(page: Page, number: int) -> Locator:
    """Open the row of a probe, and its kind before."""
    row = page.locator(".probe").nth(number)
    if not row.is_visible():
        row.locator("xpath=ancestor::details/summary").click()
    row.locator("summary").click()
    return row


def apply(page: Page) -> None:
    """Apply the edit that stands in the fields and wait for its probes."""
    page.click("#apply")
    page.wait_for_selector(TABLE)
    finished(page)


def shift_of(page: Page) -> float:
    """Return how far a page jumped without anybody's doing, as the web measures it (cumulative layout shift)."""
    return page.evaluate("window.shifts.reduce((sum, shift) => sum + shift, 0)")


def reload(page: Page, idle: bool = True) -> None:
    """Reload a page; `idle`: when nothing runs for it. What Gradio then says of the connection that is cut off is no fault.

    One may be open although nothing is awaited: Gradio opens it for an answer that has arrived meanwhile.
    """
    if idle:
        expect(page.locator("#stop")).to_be_disabled()
    LEAVING.add(page)
    page.reload()
    LEAVING.discard(page)


def finished(page: Page) -> None:
    """Wait until no work of this visitor runs."""
    expect(page.locator("#progress progress")).to_have_count(0)
    expect(page.locator("#stop")).to_be_disabled()


def ask_otherwise(page: Page, way: str) -> None:
    """Press a prepared question and wait for the answers to it, with the gate at each of its tokens."""
    button = page.locator("#questions button", has_text=way)
    question = button.get_attribute("data-text")
    button.click()
    expect(field(page, "ask")).to_have_value(question)
    expect(page.locator("#ask-answers .rep .text span")).to_have_text(re.compile(f"{re.escape(question[-100:])}$"))
    page.wait_for_selector("#ask-answers .gates")


def tab_to(page: Page, selector: str, key: str = "Tab") -> None:
    """Press Tab until the focus is where it shall be."""
    passed = []
    for _ in range(MOST_TABS):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        passed.append(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
        page.keyboard.press(key)
    raise AssertionError(f"{MOST_TABS} times {key} did not lead to {selector}, but to {passed}")


def open_tab(page: Page, tab: str) -> None:
    """Click a tab's name."""
    page.get_by_role("tab", name=tab).click()


def show(page: Page, size: str, theme: str) -> None:
    """Give an open page another size and theme."""
    page.bring_to_front()  # Chromium may give no frames to a page behind others, and Gradio draws in frames
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")


def looks(page: Page, *chosen: tuple[str, str]) -> Iterator[None]:
    """Show an open page at each size and theme in turn (desktop and phone unless chosen), and at the desktop in the end."""
    for size, theme in chosen or (("desktop", "light"), ("phone", "dark")):
        show(page, size, theme)
        yield
    show(page, "desktop", "light")


def everybody_can_use(page: Page, *chosen: tuple[str, str]) -> None:
    """Hold the page against the accessibility rules at each size and theme; nothing is wider than the screen."""
    for _ in looks(page, *chosen):
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def violations(page: Page) -> list[str]:
    """Return what axe finds fault with."""
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


def needs_no_scrolling(page: Page, *parts: str) -> None:
    """Hold that these parts are on the first screen of a desktop."""
    for part in parts:
        box = page.locator(part).bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= SIZES["desktop"][1], part


def stand_side_by_side(page: Page, *views: str) -> None:
    """Hold that the answers of these views begin at one height."""
    boxes = [page.locator(f"#answer-{view}").bounding_box() for view in views]
    assert len({round(box["y"]) for box in boxes}) == 1, views
