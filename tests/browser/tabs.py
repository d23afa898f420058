"""What the tabs of pictures have in common."""

from collections.abc import Sequence

from playwright.sync_api import Page, expect
from steps import looks, open_tab, violations

FITS = """selector => {
  const box = document.querySelector(selector).getBoundingClientRect();
  return box.left >= 0 && box.right <= window.innerWidth;
}"""
"""Whether a picture lies within the window; it takes a moment to follow a new size."""


def open_pictures(page: Page, tab: str, plots: Sequence[str], sentences: Sequence[str]) -> None:
    """Open a tab and wait for its pictures and their sentences."""
    open_tab(page, tab.capitalize())
    for name in plots:
        expect(page.locator(f"#{tab}-{name}-plot .js-plotly-plot .main-svg").first).to_be_visible()
    for name in sentences:
        expect(page.locator(f"#{tab}-{name} .finding")).to_be_visible()
    expect(page.locator(f"#{tab}-stop")).to_be_disabled()


def asks_for_an_edit(page: Page, tab: str) -> None:
    """Open a tab where nothing was edited: it draws nothing, and says what to do."""
    open_tab(page, tab.capitalize())
    expect(page.locator(f"#{tab}-message")).to_contain_text("Apply an edit first")
    expect(page.locator(f"#{tab} .js-plotly-plot")).to_have_count(0)


def everybody_can_read(page: Page, tab: str, plots: Sequence[str], section: str) -> None:
    """Hold that at every size nothing is wider than the page, and that a picture's words have the colour of the page's."""
    for _ in looks(page):
        for name in plots:
            page.wait_for_function(FITS, arg=f"#{tab}-{name}-plot .main-svg")
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        assert violations(page) == []
        ink = page.evaluate(f"getComputedStyle(document.querySelector('#{tab}-{section} .finding')).color")
        words = page.evaluate(f"getComputedStyle(document.querySelector('#{tab}-{section}-plot .xtick text')).fill")
        assert words == ink


def the_numbers_are_reached_by_keyboard(page: Page, tab: str, section: str) -> None:
    """Open a tab and the table below one of its pictures by the keyboard alone."""
    page.get_by_role("tab", name=tab.capitalize()).focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"#{tab}-{section} .finding")).to_be_visible()
    expect(page.locator(f"#{tab}-stop")).to_be_disabled()
    page.locator(f"#{tab}-{section}-table summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"#{tab}-{section}-table td").first).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "scroll"
    page.locator(f"#{tab}-{section}-table summary").press("Enter")
