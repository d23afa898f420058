"""What the tabs of pictures have in common."""

import re
from collections.abc import Callable, Sequence

from playwright.sync_api import Page, expect
from steps import apply, looks, open_tab, show, violations

FINDING = re.compile(r"\d")
"""A sentence with its number: a tab that computes has none."""
HIGHEST = {"desktop": 1600, "phone": 2500}
"""Pixels of a page as it opens."""
LEADS = "Its picture is the large one of this tab."
FITS = """selector => {
  const box = document.querySelector(selector).getBoundingClientRect();
  return box.left >= 0 && box.right <= window.innerWidth;
}"""
"""Whether a picture lies within the window; it takes a moment to follow a new size."""


def plot(page: Page, tab: str, name: str) -> str:
    """Where a section's picture is: in its fold, or, of the section that leads, above the folds alone."""
    leads = page.locator(f"#{tab}-{name} .hint", has_text=LEADS).count()
    return f"#{tab}-lead-plot" if leads else f"#{tab}-{name}-plot"


def open_fold(page: Page, name: str) -> None:
    """Open what is folded under a title, where it is not open."""
    if not page.locator(f"#{name}-fold > button.open").count():
        page.locator(f"#{name}-fold > button").click()


def open_pictures(page: Page, tab: str, folds: Sequence[str], plots: Sequence[str], sentences: Sequence[str]) -> None:
    """Open a tab, wait for its finding and its picture, open its folds, and wait for their pictures and sentences."""
    open_tab(page, tab.capitalize())
    expect(page.locator(f"#{tab}-lead .lead")).to_have_text(FINDING)
    expect(page.locator(f"#{tab}-lead-plot .js-plotly-plot .main-svg").first).to_be_visible()
    for name in folds:
        open_fold(page, f"{tab}-{name}")
    for name in sentences:
        expect(page.locator(f"#{tab}-{name} .finding")).to_be_visible()
    expect(page.locator(f"#{tab}-stop")).to_be_disabled()
    for name in plots:
        expect(page.locator(f"{plot(page, tab, name)} .js-plotly-plot .main-svg").first).to_be_visible()
    assert sum(plot(page, tab, name) == f"#{tab}-lead-plot" for name in plots) == 1


def first_of_all(visit: Callable[..., Page], tab: str, folds: Sequence[str], section: str) -> None:
    """Hold that a tab opens with a finding, a picture and titles, in two columns; that a picture comes at once when its fold
    is opened, and nothing beside it moves; and that all of it is no longer than two screens."""
    page = visit()
    apply(page)
    open_tab(page, tab.capitalize())
    expect(page.locator(f"#{tab}-lead .lead")).to_have_text(FINDING)
    picture, fold = page.locator(f"#{tab}-lead-plot"), page.locator(f"#{tab}-{section}-fold")
    expect(picture.locator(".main-svg").first).to_be_visible()
    expect(page.locator(f"#{tab}-stop")).to_be_disabled()
    expect(page.locator(f"#{tab} .js-plotly-plot")).to_have_count(1)
    for name in folds:
        expect(page.locator(f"#{tab}-{name}-fold > button")).to_contain_text(": ")
    before = picture.bounding_box()
    assert fold.bounding_box()["x"] > before["x"] + before["width"] - 1
    assert page.evaluate("document.documentElement.scrollHeight") <= HIGHEST["desktop"]
    fold.locator("> button").click()
    assert plot(page, tab, section) != f"#{tab}-lead-plot"
    expect(page.locator(f"#{tab}-{section}-plot .js-plotly-plot .main-svg").first).to_be_visible()
    assert picture.bounding_box() == before
    about = fold.locator(".about summary").first
    about.click()
    expect(fold.locator(".about p").first).to_contain_text("without the edit", ignore_case=True)
    fold.locator("> button").click()
    show(page, "phone", "light")
    page.wait_for_function(FITS, arg=f"#{tab}-lead-plot .main-svg")
    assert page.evaluate("document.documentElement.scrollHeight") <= HIGHEST["phone"]


def asks_for_an_edit(page: Page, tab: str) -> None:
    """Open a tab where nothing was edited: it draws nothing, and says what to do."""
    open_tab(page, tab.capitalize())
    expect(page.locator(f"#{tab}-message")).to_contain_text("Apply an edit first")
    expect(page.locator(f"#{tab} .js-plotly-plot")).to_have_count(0)


def everybody_can_read(page: Page, tab: str, plots: Sequence[str], section: str) -> None:
    """Hold that at every size nothing is wider than the page, and that a picture's words have the colour of the page's."""
    for _ in looks(page):
        for name in plots:
            page.wait_for_function(FITS, arg=f"{plot(page, tab, name)} .main-svg")
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        assert violations(page) == []
        ink = page.evaluate(f"getComputedStyle(document.querySelector('#{tab}-{section} .finding')).color")
        words = page.evaluate(f"getComputedStyle(document.querySelector('{plot(page, tab, section)} .xtick text')).fill")
        assert words == ink


def the_numbers_are_reached_by_keyboard(page: Page, tab: str, section: str) -> None:
    """Open a tab and the table below one of its pictures by the keyboard alone."""
    page.get_by_role("tab", name=tab.capitalize()).focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"#{tab}-lead .lead")).to_have_text(FINDING)
    fold = page.locator(f"#{tab}-{section}-fold > button")
    if not page.locator(f"#{tab}-{section}-fold > button.open").count():
        fold.focus()
        page.keyboard.press("Enter")
    expect(page.locator(f"#{tab}-{section} .finding")).to_be_visible()
    expect(page.locator(f"#{tab}-stop")).to_be_disabled()
    page.locator(f"#{tab}-{section}-table summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"#{tab}-{section}-table td").first).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "scroll"
    page.locator(f"#{tab}-{section}-table summary").press("Enter")
