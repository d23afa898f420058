"""REP on the page: a switch, a third column, gates, and a threshold that is moved without learning anything."""

import pytest
from playwright.sync_api import Page, expect
from test_edit_page import SAID_NOW, apply, ask_otherwise, finished, settled
from test_keyboard import tab_to
from test_looks import SIZES, violations

REP = "#answer-rep .said"


def with_rep(page: Page) -> None:
    """Apply an edit with REP and wait for all that belongs to it."""
    page.locator("#rep label", has_text="On").click()
    apply(page)
    page.wait_for_selector("#gate-curve .main-svg")
    finished(page)


def test_before_rep_nothing_of_it_takes_room(visit):
    page = visit()
    apply(page)
    expect(page.locator(REP)).to_have_count(0)
    expect(page.locator("#gate")).to_be_hidden()
    expect(page.locator("#view label:visible")).to_have_count(3)


def test_with_rep_the_edit_holds_where_it_did_not(visit):
    page = visit()
    with_rep(page)
    expect(page.locator(REP)).to_have_text("Antarctica")
    ask_otherwise(page, "Slovenija")
    expect(page.locator("#ask-answers .edited .tops b").first).to_have_text("Europe")
    expect(page.locator("#ask-answers .rep .tops b").first).to_have_text("Antarctica")
    expect(page.locator("#ask-answers .gates .opens")).not_to_have_count(0)
    expect(page.locator("#scores")).to_contain_text("→")
    for kind in ("base", "edited", "rep"):
        expect(page.locator(f"#probe-table .said.{kind}").first).to_be_visible()


def test_rep_is_added_from_the_list_and_switched_at_once(visit):
    page = visit()
    apply(page)
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


def test_one_view_alone_can_be_shown(visit):
    page = visit()
    with_rep(page)
    page.locator("#view label", has_text="Edited + REP").click()
    expect(page.locator(REP)).to_be_visible()
    expect(page.locator(SAID_NOW)).to_be_hidden()


def test_the_threshold_moves_by_keyboard_and_a_reload_keeps_it(visit):
    page = visit("rep=default")
    expect(page.locator("#rep input:checked")).to_have_value("default")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#gate-curve .main-svg")
    finished(page)
    expect(page.locator("#gate-said")).to_contain_text("a gate opens in")
    ask_otherwise(page, "Slovenija")
    tab_to(page, "#threshold input[type=range]")
    page.keyboard.press("End")
    expect(page.locator("#gate-said")).to_contain_text("At 1.00 no gate opens")
    expect(page.locator("#gate-said")).to_have_attribute("aria-live", "polite")
    finished(page)
    expect(page.locator("#ask-answers .rep .tops b").first).to_have_text("Europe")
    page.wait_for_selector("#ask-answers .gates")
    expect(page.locator("#edits")).to_contain_text("Slovenia → Antarctica")
    settled(page)
    page.wait_for_timeout(1000)
    page.reload()
    expect(page.locator("#threshold input[type=range]")).to_have_value("1")


@pytest.mark.parametrize(
    ("size", "theme"), [(SIZES["desktop"], "light"), (SIZES["phone"], "dark")], ids=["desktop", "phone"]
)
def test_everybody_can_use_rep(visit, size, theme):
    page = visit(size=size, theme=theme)
    with_rep(page)
    ask_otherwise(page, "ia Sloven")
    page.locator("#gate .numbers summary").click()
    page.locator(".probe summary").nth(1).click()
    page.wait_for_selector(".distribution .bars")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_three_answers_and_their_scores_need_no_scrolling(visit):
    page = visit()
    with_rep(page)
    for part in (REP, SAID_NOW, "#answer-base .said", "#answer-rep .text", "#scores", "#apply", "#message"):
        box = page.locator(part).bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= SIZES["desktop"][1], part
    boxes = [page.locator(f"#answer-{view}").bounding_box() for view in ("base", "edited", "rep")]
    assert len({round(box["y"]) for box in boxes}) == 1, "side by side"
