"""What all tabs of pictures have in common."""

from collections.abc import Sequence

from playwright.sync_api import Page, expect


def open_tab(page: Page, tab: str, plots: Sequence[str], sentences: Sequence[str]) -> None:
    """Open a tab and wait for its pictures and their sentences."""
    page.get_by_role("tab", name=tab.capitalize()).click()
    for name in plots:
        expect(page.locator(f"#{tab}-{name}-plot .js-plotly-plot .main-svg").first).to_be_visible()
    for name in sentences:
        expect(page.locator(f"#{tab}-{name} .finding")).to_be_visible()
    expect(page.locator(f"#{tab}-stop")).to_be_disabled()


def asks_for_an_edit(page: Page, tab: str) -> None:
    """Open a tab where nothing was edited: it draws nothing, and says what to do."""
    page.get_by_role("tab", name=tab.capitalize()).click()
    expect(page.locator(f"#{tab}-message")).to_contain_text("Apply an edit first")
    expect(page.locator(f"#{tab} .js-plotly-plot")).to_have_count(0)


def is_read_at(page: Page, tab: str, plots: Sequence[str], section: str) -> None:
    """Nothing is wider than the page, and a picture's words have the colour of the page's."""
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in plots:
        box = page.locator(f"#{tab}-{name}-plot .main-svg").first.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width, name
    ink = page.evaluate(f"getComputedStyle(document.querySelector('#{tab}-{section} .finding')).color")
    words = page.evaluate(f"getComputedStyle(document.querySelector('#{tab}-{section}-plot .xtick text')).fill")
    assert words == ink
