"""The Keys tab in a real browser: every picture for the selected edit, at every size, for everybody."""

import re

import pytest
from playwright.sync_api import Page, expect
from tabs import asks_for_an_edit, is_read_at, open_tab
from test_edit_page import apply, field
from test_looks import SIZES, violations

SECTIONS = ("similarity", "discussion", "bounds", "prefixes", "values")
PLOTS = (*SECTIONS, "components")


def keys(page: Page) -> None:
    """Open the tab and wait for all its pictures."""
    open_tab(page, "keys", PLOTS, SECTIONS)


def test_without_an_edit_the_tab_says_the_next_step(visit):
    page = visit()
    asks_for_an_edit(page, "keys")
    assert violations(page) == []


def test_the_sentences_are_about_the_selected_edit(visit):
    page = visit()
    apply(page)
    keys(page)
    expect(page.locator("#keys-message")).to_contain_text("Slovenia → Antarctica")
    expect(page.locator("#keys-similarity")).to_contain_text(re.compile(r"0\.\d\d under another name"))
    expect(page.locator("#keys-bounds")).to_contain_text(re.compile(r"\d+ of \d+ probes correctly"))
    expect(page.locator("#keys-lemma")).to_contain_text("attention layer")
    expect(page.locator("#keys-prefixes")).to_contain_text("tokens")
    assert page.locator("#keys [aria-live=polite]").count() >= len(SECTIONS)
    expect(page).to_have_url(re.compile("tab=keys"))
    page.reload()
    expect(page.locator("#keys-bounds .finding")).to_be_visible()


def test_a_question_and_a_text_of_ones_own(visit, tmp_path):
    page = visit()
    apply(page)
    keys(page)
    field(page, "keys-question").fill("France belongs to the continent of")
    field(page, "keys-question").press("Enter")
    expect(page.locator("#keys-discussion")).to_contain_text("At “France”")
    text = tmp_path / "own.txt"
    text.write_text("The mill by the river was sold in the spring of that year.", encoding="utf-8")
    page.locator("#keys input[type=file], input[type=file]").last.set_input_files(text)
    expect(page.locator("#keys-prefixes-table")).to_contain_text("mill")


def test_the_numbers_are_reached_by_keyboard_alone(visit):
    page = visit()
    apply(page)
    page.get_by_role("tab", name="Keys").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#keys-bounds .finding")).to_be_visible()
    expect(page.locator("#keys-stop")).to_be_disabled()
    page.locator("#keys-bounds-table summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#keys-bounds-table td").first).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "scroll"


@pytest.mark.parametrize(
    ("size", "theme"), [(SIZES["desktop"], "light"), (SIZES["phone"], "dark")], ids=["desktop", "phone"]
)
def test_everybody_can_read_it(visit, size, theme):
    page = visit(size=size, theme=theme)
    apply(page)
    keys(page)
    page.locator("#keys-similarity-table summary").click()
    assert violations(page) == []
    is_read_at(page, "keys", PLOTS, "similarity")
