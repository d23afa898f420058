"""The meanings behind the labels: by mouse, by keyboard, by finger, and without moving anything."""

import re
from itertools import groupby

import pytest
from playwright.sync_api import Page, expect
from steps import SIZES, apply, open_tab, tab_to, unfold, violations
from tabs import open_fold

from editlab.web.core.terms import TERMS

TABS = {
    "Edit": ("#own",),
    "Keys": (),
    "Inside": ("#inside-elsewhere-fold",),
    "Workspace": ("#workspace-history-fold",),
    "Monitor": (),
    "Model": ("#model-choice-fold",),
}
"""The tabs, and what is folded in them and has terms of its own."""
OPEN = ".gloss:popover-open"
LABELS = """
[...document.querySelectorAll("[data-meaning]")].filter((label) => label.checkVisibility() && label.offsetParent)
  .map((label) => [label.closest(".folded, #request, .tabitem, #head")?.id ?? "", label.dataset.meaning])
"""
"""The section and the meaning of every label that can be seen."""
ALL = "[...document.querySelectorAll('[data-meaning]')].map((label) => label.dataset.meaning)"
UNDERLINED = "[...CSS.highlights.get('term')].map(String)"
PLACES = """
[...document.querySelectorAll("button, input, textarea, h1, h2, h3, p, [data-meaning]")].map((part) => {
  const box = part.getBoundingClientRect();
  return [box.x, box.y, box.width, box.height].map(Math.round).join(" ");
}).join(", ")
"""
"""Where everything is."""


@pytest.fixture(scope="module")
def edited_page(opens) -> tuple[Page, float]:
    """A page of this module alone: on one that others have scrolled and unfolded, what moves is not the meanings' doing."""
    page = opens()
    apply(page)
    return page, 0.0


@pytest.fixture
def page(edited) -> Page:
    """The page with an edit, on which no meaning is open and the mouse rests on none."""
    edited.mouse.move(700, 330)
    expect(edited.locator(OPEN)).to_have_count(0)
    return edited


def label(page: Page, name: str, within: str = "") -> str:
    """Return the selector of a term's label, which waits for the page to have marked it."""
    selector = f"{within} [data-meaning=term-{name}]".strip()
    expect(page.locator(selector).first).to_be_attached()
    return selector


def still(page: Page) -> str:
    """Return where everything is, as soon as nothing has moved for half a second."""
    while True:
        places = page.evaluate(PLACES)
        page.wait_for_timeout(500)
        if page.evaluate(PLACES) == places:
            return places


def test_a_meaning_opens_under_the_mouse_and_closes_behind_it(page):
    mask = page.locator(label(page, "mask", "#mask"))
    before = still(page)
    mask.hover()
    expect(page.locator(OPEN)).to_have_text(TERMS["mask"].meaning)
    assert page.evaluate(PLACES) == before
    own, meaning = mask.bounding_box(), page.locator(OPEN).bounding_box()
    assert 0 <= own["y"] - (meaning["y"] + meaning["height"]) < 20, "it is beside its label"
    page.locator(OPEN).hover()
    page.wait_for_timeout(400)
    expect(page.locator(OPEN)).to_be_visible()
    page.mouse.move(700, 330)
    expect(page.locator(OPEN)).to_have_count(0)


def test_a_meaning_is_reached_by_keyboard_and_closed_by_escape(page):
    selector = label(page, "mask", "#mask")
    tab_to(page, selector)
    expect(page.locator(OPEN)).to_have_text(TERMS["mask"].meaning)
    expect(page.locator(selector)).to_have_attribute("aria-describedby", "term-mask")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator(OPEN)).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator(OPEN)).to_have_text(TERMS["mask"].meaning)
    page.keyboard.press("Tab")
    expect(page.locator(OPEN)).to_have_count(0)


def test_a_tap_opens_a_meaning_and_another_tap_closes_it(browser, app):
    width, height = SIZES["phone"]
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(app)
    selector = label(page, "mask", "#mask")
    page.locator(selector).tap()
    expect(page.locator(OPEN)).to_have_text(TERMS["mask"].meaning)
    box = page.locator(OPEN).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    page.locator(selector).tap()
    expect(page.locator(OPEN)).to_have_count(0)
    page.locator("#head .badge").tap()
    expect(page.locator(OPEN)).to_have_attribute("id", "badge-tip")
    page.locator("#question").tap()
    expect(page.locator(OPEN)).to_have_count(0)
    assert violations(page) == []
    context.close()


def test_a_field_keeps_its_name_and_a_label_does_not_take_its_focus(page):
    unfold(page, "request")
    subject = page.locator(label(page, "subject", "#subject"))
    expect(page.get_by_label("Subject", exact=True)).to_have_value("Slovenia")
    subject.click()
    expect(page.locator(OPEN)).to_have_text(TERMS["subject"].meaning)
    assert page.evaluate("!document.activeElement.matches('input, textarea')")
    page.keyboard.press("Escape")
    tab_to(page, "#target-new [data-meaning]")
    expect(page.locator(OPEN)).to_have_text(TERMS["new"].meaning)
    page.keyboard.press("Escape")
    page.click("#line [data-fold=request]")


def test_a_fold_says_what_its_title_means_and_still_opens(page):
    open_tab(page, "Keys")
    expect(page.locator("#keys-similarity-fold > button")).to_contain_text(": ")
    expect(page.locator("#keys-stop")).to_be_disabled()
    assert "Key similarity" in page.evaluate(UNDERLINED), "of a title with its finding, the word alone is marked"
    tab_to(page, "#keys-similarity-fold > button")
    expect(page.locator(OPEN)).to_have_text(TERMS["similarity"].meaning)
    page.keyboard.press("Enter")
    expect(page.locator("#keys-similarity-fold > button.open")).to_be_visible()
    open_fold(page, "keys-bounds")
    page.locator("#keys-bounds-table summary").click()
    page.locator(label(page, "required", "#keys-bounds-table")).hover()
    expect(page.locator(OPEN)).to_have_text(TERMS["required"].meaning)
    assert violations(page) == []


def test_every_term_is_marked_once_in_a_section_and_quietly(page):
    unfold(page, "request")
    if not page.locator("#rome-clamp").is_visible():
        page.click("#advanced > button")
    for tab, folds in TABS.items():
        open_tab(page, tab)
        for fold in folds:
            page.click(f"{fold} > button")
        expect(page.locator(f"#{tab.lower()}-stop, #stop").first).to_be_disabled()
        labels = sorted(map(tuple, page.evaluate(LABELS)))
        assert all(len(list(same)) == 1 for _, same in groupby(labels)), f"{tab}: {labels}"
        for fold in folds:
            page.click(f"{fold} > button")
    open_tab(page, "Edit")
    found = set(page.evaluate(ALL))
    page.locator("#method input[value=memit]").check()
    label(page, "preserved")
    found |= set(page.evaluate(ALL))
    page.locator("#method input[value=rome]").check()
    assert set(TERMS) <= {re.sub("^(term|score)-", "", name) for name in found}
    assert not any(re.search(r"[:,(]", word) for word in page.evaluate(UNDERLINED))
    page.click("#advanced > button")
    page.click("#line [data-fold=request]")
