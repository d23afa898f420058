"""The Keys tab in a real browser: every picture for the selected edit, at every size, for everybody."""

import re

from playwright.sync_api import Page, expect
from steps import field, reload
from tabs import everybody_can_read, first_of_all, open_pictures, the_numbers_are_reached_by_keyboard

SECTIONS = ("similarity", "discussion", "bounds", "prefixes", "values")
PLOTS = (*SECTIONS, "components")


def keys(page: Page) -> None:
    """Open the tab and wait for all its pictures."""
    open_pictures(page, "keys", SECTIONS, PLOTS, SECTIONS)


def test_the_sentences_are_about_the_selected_edit(edited):
    page = edited
    keys(page)
    expect(page.locator("#keys-message")).to_contain_text("Slovenia → Antarctica")
    expect(page.locator("#keys-similarity")).to_contain_text(re.compile(r"\d\.\d\d.* under another name"))
    expect(page.locator("#keys-bounds")).to_contain_text(re.compile(r"\d+ of \d+ probes correctly"))
    expect(page.locator("#keys-lemma")).to_contain_text("attention layer")
    expect(page.locator("#keys-prefixes")).to_contain_text("tokens")
    assert page.locator("#keys [aria-live=polite]").count() >= len(SECTIONS)
    expect(page).to_have_url(re.compile("tab=keys"))
    reload(page)
    expect(page.locator("#keys-bounds-fold > button")).to_contain_text(re.compile(r"predicts \d+ of \d+ answers"))


def test_one_finding_and_one_picture_come_first_and_a_fold_moves_neither(visit):
    first_of_all(visit, "keys", SECTIONS, "prefixes")


def test_a_question_and_a_text_of_ones_own(edited, tmp_path):
    page = edited
    keys(page)
    field(page, "keys-question").fill("France belongs to the continent of")
    field(page, "keys-question").press("Enter")
    expect(page.locator("#keys-discussion")).to_contain_text("At “France”")
    text = tmp_path / "own.txt"
    text.write_text("The mill by the river was sold in the spring of that year.", encoding="utf-8")
    page.locator("#keys input[type=file], input[type=file]").last.set_input_files(text)
    expect(page.locator("#keys-prefixes-table")).to_contain_text("mill")


def test_the_numbers_are_reached_by_keyboard_alone(edited):
    the_numbers_are_reached_by_keyboard(edited, "keys", "bounds")


def test_everybody_can_read_it(edited):
    page = edited
    keys(page)
    page.locator("#keys-similarity-table summary").click()
    everybody_can_read(page, "keys", PLOTS, "similarity")
    page.locator("#keys-similarity-table summary").click()
