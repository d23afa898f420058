"""Somebody who never saw the page: five tasks, each in at most three clicks from the open page.

The first click of each is the edit itself, which one page makes for all of them.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from steps import SAID_BEFORE, SAID_NOW

COUNT = """
window.clicks = 0;
document.addEventListener("click", (event) => { if (event.isTrusted) window.clicks += 1; }, true);
"""
MOST_CLICKS = 3


@pytest.fixture(scope="module")
def page(opens) -> Page:
    """A page with the edit that it opens with, made by one click, and a count of the clicks on it."""
    page = opens()
    page.evaluate(COUNT)
    page.get_by_role("button", name="Apply edit").click()
    return page


@pytest.fixture(autouse=True)
def few_clicks(page) -> Iterator[None]:
    """A task counts its own clicks and that of the edit."""
    before = page.evaluate("window.clicks")
    yield
    assert page.evaluate("window.clicks") - before + 1 <= MOST_CLICKS


def test_change_a_fact(page):
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")
    expect(page.locator(f"{SAID_BEFORE} s")).to_have_text("Europe")
    expect(page.locator("#answer-edited")).to_be_in_viewport()
    assert page.evaluate("window.clicks") == 1


def test_see_whether_it_holds_when_asked_otherwise(page):
    page.locator("#scores").get_by_role("button", name="Rephrase").click()
    rows = page.locator("#probe-table details.group[data-kind=rephrase] .probe")
    expect(rows.first).to_be_in_viewport()
    expect(rows.locator(".verdict", has_text="missed").first).to_be_visible()


def test_find_out_what_else_broke(page):
    page.locator("#scores").get_by_role("button", name="Same subject").click()
    rows = page.locator("#probe-table details.group[data-kind=same_subject] .probe")
    expect(rows.first).to_be_in_viewport()
    expect(rows.locator(".verdict").first).to_be_visible()


def test_bring_the_old_answer_back(page):
    page.locator("#mask").get_by_text("On", exact=True).click()
    expect(page.locator("#answer-masked .said")).to_be_visible()
    expect(page.locator("#verdict h2")).not_to_be_empty()
    expect(page.locator("#answer-masked")).to_be_in_viewport()


def test_take_the_edit_back(page):
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(SAID_NOW)).to_have_count(0)
    expect(page.locator("#edits")).to_contain_text("No edit is applied")
