"""How the page looks and behaves at every size: accessible, nothing jumps, the answer on the first screen.

The pictures of README and docs are taken by `python -m tools.pictures`.
"""

import re

from playwright.sync_api import expect
from steps import (
    ENDLESS,
    LOOKS,
    SAID_NOW,
    everybody_can_use,
    field,
    fold,
    needs_no_scrolling,
    open_probe,
    open_tab,
    shift_of,
    show,
    tab_to,
    unfold,
    violations,
)

LARGEST_SHIFT, LARGEST_AT_OPENING = 0.02, 0.1
"""A layout shift of 0.1 counts as good on the web; ours reserve their place. Fonts and Gradio's tabs come in any order."""


def test_nothing_jumps_while_results_arrive(edited_page, record_property):
    _, shift = edited_page
    record_property("layout shift during an edit", shift)
    assert shift <= LARGEST_SHIFT


def test_the_answer_and_its_scores_need_no_scrolling(edited):
    needs_no_scrolling(edited, SAID_NOW, "#answer-base .said", "#scores", "#apply", "#message")


def test_everybody_can_use_it_before_and_during_an_edit(visit):
    page = visit()
    assert shift_of(page) <= LARGEST_AT_OPENING
    everybody_can_use(page, *LOOKS)
    unfold(page, "request")
    page.locator("#advanced > button").click()
    for name, value in ENDLESS.items():
        field(page, f"rome-{name}").fill(value)
    page.locator("#advanced > button").click()
    page.click("#apply")
    page.wait_for_selector("#progress progress")
    everybody_can_use(page, *LOOKS)
    expect(page.locator("#progress progress")).to_be_visible()
    page.click("#stop")
    expect(page.locator("#message")).to_contain_text("Stopped")
    assert violations(page) == []


def test_everybody_can_use_it_after_an_edit(edited):
    page = edited
    field(page, "ask").fill("Ljubljana is the capital of")
    page.wait_for_selector("#ask-answers .answer")
    unfold(page, "request")
    unfold(page, "drawer")
    page.locator("#health-panel > button").click()
    page.locator("#advanced > button").click()
    open_probe(page, 1)
    page.wait_for_selector(".distribution .bars")
    expect(page.locator("#health")).to_contain_text("|ΔW| / |W|")
    everybody_can_use(page, *LOOKS)
    page.locator("#health-panel > button").click()
    page.locator("#advanced > button").click()
    fold(page, "request")
    fold(page, "drawer")


def test_a_page_opens_as_well_in_the_dark_and_on_a_phone(visit):
    page = visit(size="phone", theme="dark")
    assert shift_of(page) <= LARGEST_AT_OPENING
    assert violations(page) == []
    assert page.evaluate("document.body.classList.contains('dark')")


def test_a_page_opens_as_well_in_german(visit):
    page = visit("lang=de", size="phone")
    assert shift_of(page) <= LARGEST_AT_OPENING
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#apply")).to_have_text("Edit anwenden")
    expect(page.locator("#message")).to_contain_text("„Edit anwenden“ ändert die Antwort.")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    page.get_by_role("tab", name="Schlüssel").click()
    expect(page).to_have_url(re.compile("tab=keys"))


def test_on_a_phone_every_tab_is_in_view_and_in_the_address(edited):
    show(edited, "phone", "light")
    tabs = edited.get_by_role("tab")
    expect(tabs).to_have_count(8)
    for number in range(8):
        expect(tabs.nth(number)).to_be_in_viewport()
    open_tab(edited, "Monitor")
    expect(edited).to_have_url(re.compile("tab=monitor"))
    show(edited, "desktop", "light")


def test_what_is_pressed_is_set_in_letters_that_a_room_can_read(edited):
    sizes = "[...document.querySelectorAll('button.sm')].map((button) => parseFloat(getComputedStyle(button).fontSize))"
    assert min(edited.evaluate(sizes)) >= 14
    show(edited, "wide", "light")
    assert min(edited.evaluate(sizes)) >= 15
    show(edited, "desktop", "light")


def test_an_error_that_names_a_long_subject_stays_on_the_page(edited):
    unfold(edited, "request")
    field(edited, "subject").fill("x" * 200)
    field(edited, "prompt").fill("The capital of France is")
    edited.click("#apply")
    problem = edited.locator("#at-prompt .problem")
    expect(problem).to_contain_text("does not occur in the prompt")
    assert problem.evaluate("text => text.scrollWidth <= text.clientWidth")
    field(edited, "subject").fill("Slovenia")
    field(edited, "prompt").fill("{} belongs to the continent of")
    expect(problem).to_have_count(0)
    fold(edited, "request")
    expect(edited.locator("#apply")).to_be_enabled()


def test_scores_say_what_they_mean_on_focus(edited):
    tab_to(edited, ".score")
    expect(edited.locator(".score:focus + .gloss")).to_be_visible()
