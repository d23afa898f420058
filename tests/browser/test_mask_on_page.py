"""The mask and the guard on the page."""

import pytest
from chromium import PATIENCE_SECONDS
from playwright.sync_api import Page, expect
from steps import (
    SAID_NOW,
    apply,
    everybody_can_use,
    field,
    finished,
    needs_no_scrolling,
    open_probe,
    reload,
    stand_side_by_side,
    tab_to,
)

MASKED = "#answer-masked .said"


@pytest.fixture(scope="module")
def masked(opens) -> Page:
    """A page with one edit under the mask, and all that is asked of it."""
    page = opens()
    apply(page)
    expect(page.locator("#ways")).to_be_hidden()
    page.locator("#mask label", has_text="On").click()
    judged(page)
    return page


def judged(page: Page) -> None:
    """Wait for the ways back, which come last."""
    page.wait_for_selector("#ways-back table")
    finished(page)


def test_the_switch_shows_what_the_mask_makes_of_the_edit_and_the_ways_back(masked):
    page = masked
    for view in ("base", "edited", "masked", "base_masked"):
        expect(page.locator(f"#answer-{view} .said")).to_be_visible()
    expect(page.locator("#verdict h2")).to_have_text("Not reversed by this mask.")
    expect(page.locator("#verdict")).to_contain_text("reverses 62\u00a0% of unseen edits")
    expect(page.locator("#verdict tbody tr")).to_have_count(4)
    expect(page.locator("#ways-back tbody tr")).to_have_count(4)
    expect(page.locator("#linked")).to_contain_text("Fact in the prompt")
    expect(page.locator("#view label:visible")).to_have_count(5)


def test_the_verdict_needs_no_scrolling(masked):
    needs_no_scrolling(masked, SAID_NOW, MASKED, "#verdict h2", "#verdict p", "#apply", "#message")
    stand_side_by_side(masked, "base", "edited", "masked")


def test_a_reload_keeps_the_switch_and_the_address_names_it(masked):
    page = masked
    assert "mask=on" in page.url
    reload(page)
    expect(page.locator(MASKED)).to_be_visible()
    expect(page.locator("#mask input:checked")).to_have_value("on")
    judged(page)


def test_switched_off_nothing_of_the_mask_is_left(masked):
    page = masked
    page.locator("#mask label", has_text="Off").click()
    expect(page.locator(MASKED)).to_have_count(0)
    expect(page.locator("#ways")).to_be_hidden()
    finished(page)


def test_the_guard_is_switched_by_keyboard_and_says_whether_it_held(visit):
    page = visit()
    tab_to(page, "#guard input")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#mask-said")).to_contain_text("as soon as an edit is on")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#answer-guarded .said")
    expect(page.locator("#verdict h2")).to_contain_text("guard")
    expect(page.locator("#answer-edited.control")).to_be_visible()
    assert "guard=on" in page.url
    page.wait_for_selector("#linked table", state="attached")
    finished(page)


def test_where_no_mask_is_its_training_is_offered_with_what_it_costs(visit):
    page = visit("method=memit")
    page.locator("#mask label", has_text="On").click()
    expect(page.locator("#message")).to_contain_text("editlab mask train")
    expect(page.locator("#mask input:checked")).to_have_value("off")
    expect(page.locator("#train-mask")).to_have_text("Train a mask for MEMIT")
    expect(page.locator("#mask-said")).to_contain_text("minutes", timeout=1000 * PATIENCE_SECONDS)
    finished(page)


def test_everybody_can_use_the_mask(visit):
    page = visit("mask=on&rep=default")
    page.click("#apply")
    judged(page)
    field(page, "ask").fill("Ljubljana is the capital of")
    page.wait_for_selector("#ask-answers .base_masked")
    open_probe(page, 1)
    page.wait_for_selector(".distribution .bars")
    everybody_can_use(page)
