"""Somebody who never saw the page: five tasks, each in at most three clicks from the open page."""

import pytest
from playwright.sync_api import Page, expect
from steps import SAID_BEFORE, SAID_NOW, finished

COUNT = """
window.clicks = 0;
document.addEventListener("click", (event) => { if (event.isTrusted) window.clicks += 1; }, true);
"""
MOST_CLICKS = 3


@pytest.fixture
def newcomer(visit) -> Page:
    """A page as it opens, which counts the clicks on it."""
    page = visit()
    page.evaluate(COUNT)
    return page


@pytest.fixture(autouse=True)
def few_clicks(newcomer):
    yield
    assert 1 <= newcomer.evaluate("window.clicks") <= MOST_CLICKS


def changes_a_fact(page: Page) -> None:
    page.get_by_role("button", name="Apply edit").click()
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")
    expect(page.locator(f"{SAID_BEFORE} s")).to_have_text("Europe")
    expect(page.locator("#answer-edited")).to_be_in_viewport()


def test_change_a_fact(newcomer):
    changes_a_fact(newcomer)


def test_see_whether_it_holds_when_asked_otherwise(newcomer):
    changes_a_fact(newcomer)
    newcomer.locator("#scores").get_by_role("button", name="Rephrase").click()
    rows = newcomer.locator("#probe-table details.group[data-kind=rephrase] .probe")
    expect(rows.first).to_be_visible()
    expect(rows.first).to_be_in_viewport()
    expect(rows.locator(".verdict", has_text="missed").first).to_be_visible()


def test_bring_the_old_answer_back(newcomer):
    changes_a_fact(newcomer)
    newcomer.locator("#mask").get_by_text("On", exact=True).click()
    expect(newcomer.locator("#answer-masked .said")).to_be_visible()
    expect(newcomer.locator("#verdict h2")).not_to_be_empty()
    expect(newcomer.locator("#answer-masked")).to_be_in_viewport()


def test_find_out_what_else_broke(newcomer):
    changes_a_fact(newcomer)
    newcomer.locator("#scores").get_by_role("button", name="Same subject").click()
    rows = newcomer.locator("#probe-table details.group[data-kind=same_subject] .probe")
    expect(rows.first).to_be_in_viewport()
    expect(rows.locator(".verdict").first).to_be_visible()


def test_take_the_edit_back(newcomer):
    changes_a_fact(newcomer)
    finished(newcomer)
    newcomer.get_by_role("button", name="Undo").click()
    expect(newcomer.locator(SAID_NOW)).to_have_count(0)
    expect(newcomer.locator("#edits")).to_contain_text("No edit is applied")
