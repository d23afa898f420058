"""REP on the page: a switch, a third column, gates, and a threshold that is moved without learning anything."""

import pytest
from playwright.sync_api import Page, expect
from steps import (
    SAID_NOW,
    apply,
    ask_otherwise,
    everybody_can_use,
    finished,
    needs_no_scrolling,
    open_probe,
    reload,
    stand_side_by_side,
    tab_to,
    unfold,
)

REP = "#answer-rep .said"


@pytest.fixture(scope="module")
def with_rep(opens) -> Page:
    """A page with one edit with REP and all that belongs to it, for tests that only look."""
    page = opens()
    page.locator("#rep label", has_text="On").click()
    expect(page.locator("#rep input[value=default]")).to_be_checked()
    apply(page)
    seen = {name: page.locator(name).inner_text() for name in ("#message", "#edits", "#gate-said")}
    expect(page.locator("#gate-curve .main-svg").first, f"no curve of the gate, beside {seen}").to_be_visible()
    finished(page)
    return page


def test_three_answers_and_their_scores_need_no_scrolling(with_rep):
    needs_no_scrolling(with_rep, REP, SAID_NOW, "#answer-base .said", "#answer-rep .text", "#scores", "#apply", "#message")
    stand_side_by_side(with_rep, "base", "edited", "rep")


def test_before_rep_nothing_of_it_takes_room(edited):
    page = edited
    expect(page.locator(REP)).to_have_count(0)
    expect(page.locator("#gate")).to_be_hidden()
    expect(page.locator("#view label:visible")).to_have_count(3)


def test_with_rep_the_edit_holds_where_it_did_not(with_rep):
    page = with_rep
    expect(page.locator(REP)).to_have_text("Antarctica")
    ask_otherwise(page, "Slovenija")
    expect(page.locator("#ask-answers .edited .tops b").first).to_have_text("Europe")
    expect(page.locator("#ask-answers .rep .tops b").first).to_have_text("Antarctica")
    expect(page.locator("#ask-answers .gates .opens")).not_to_have_count(0)
    expect(page.locator("#scores")).to_contain_text("→")
    for kind in ("base", "edited", "rep"):
        expect(page.locator(f"#probe-table .said.{kind}")).not_to_have_count(0)


def test_rep_is_added_from_the_list_and_switched_at_once(visit):
    page = visit()
    apply(page)
    unfold(page, "drawer")
    rep = page.get_by_role("button", name="REP for Slovenia")
    rep.click()
    expect(page.locator(REP)).to_have_text("Antarctica")
    expect(page.locator("#gate")).to_be_visible()
    finished(page)
    expect(rep).to_have_attribute("aria-pressed", "true")
    rep.click()
    expect(page.locator(REP)).to_have_count(0)
    expect(page.locator("#gate")).to_be_hidden()
    finished(page)
    page.click("#undo")
    expect(page.locator(REP)).to_have_text("Antarctica")


def test_one_view_alone_can_be_shown(with_rep):
    page = with_rep
    page.locator("#view label", has_text="Edited + REP").click()
    expect(page.locator(REP)).to_be_visible()
    expect(page.locator(SAID_NOW)).to_be_hidden()
    page.locator("#view label").first.click()
    expect(page.locator(SAID_NOW)).to_be_visible()


def test_the_threshold_moves_by_keyboard_and_a_reload_keeps_it(visit):
    page = visit("rep=default")
    expect(page.locator("#rep input:checked")).to_have_value("default")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#gate-curve .main-svg")
    finished(page)
    expect(page.locator("#gate-said")).to_contain_text("the gate opens in")
    ask_otherwise(page, "Slovenija")
    tab_to(page, "#threshold input[type=range]")
    page.keyboard.press("End")
    expect(page.locator("#gate-said")).to_contain_text("At 1.00 no gate opens")
    expect(page.locator("#gate-said")).to_have_attribute("aria-live", "polite")
    finished(page)
    expect(page.locator("#ask-answers .rep .tops b").first).to_have_text("Europe")
    page.wait_for_selector("#ask-answers .gates")
    expect(page.locator("#edits")).to_contain_text("Slovenia → Antarctica")
    reload(page)
    expect(page.locator("#threshold input[type=range]")).to_have_value("1")


def test_everybody_can_use_rep(with_rep):
    page = with_rep
    ask_otherwise(page, "ia Sloven")
    page.locator("#gate .numbers summary").click()
    open_probe(page, 1)
    page.wait_for_selector(".distribution .bars")
    everybody_can_use(page)
