"""The whole flow with the keyboard alone."""

from playwright.sync_api import expect
from steps import ENDLESS, SAID_NOW, field, finished, tab_to


def test_choose_edit_ask_open_switch_undo_and_redo(visit):
    page = visit()
    tab_to(page, "#preset input")
    page.keyboard.press("ArrowRight")
    expect(field(page, "subject")).to_have_value("pizza")
    expect(page.locator("#question")).to_contain_text("pizza")
    tab_to(page, "#suggestions button")
    chosen = page.evaluate("document.activeElement.dataset.object")
    page.keyboard.press("Enter")
    expect(field(page, "target-new")).to_have_value(chosen)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(SAID_NOW)
    finished(page)
    tab_to(page, "#ask textarea, #ask input")
    page.keyboard.type("The best pizza is made in", delay=20)
    expect(page.locator("#ask-answers .answer")).to_have_count(2)
    tab_to(page, ".probe summary")
    page.keyboard.press("Enter")
    expect(page.locator(".probe[open] .distribution .bars")).to_have_count(2)
    tab_to(page, ".edits [role=switch]", "Shift+Tab")
    page.keyboard.press("Space")
    expect(page.locator(SAID_NOW)).to_have_count(0)
    tab_to(page, "#undo")
    page.keyboard.press("Enter")
    page.wait_for_selector(SAID_NOW)
    finished(page)
    tab_to(page, "#undo")
    page.keyboard.press("Enter")
    expect(page.locator("#edits")).to_contain_text("No edit is applied")
    tab_to(page, "#redo")
    page.keyboard.press("Enter")
    page.wait_for_selector(SAID_NOW)


def test_escape_stops_an_edit(visit):
    page = visit()
    tab_to(page, "#advanced > button")
    page.keyboard.press("Enter")
    for name, value in ENDLESS.items():
        tab_to(page, f"#rome-{name} input, #rome-{name} textarea")
        page.keyboard.press("Control+a")
        page.keyboard.type(value)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#progress")).to_contain_text("Value: step")
    page.keyboard.press("Escape")
    expect(page.locator("#message")).to_contain_text("Stopped")
    expect(page.locator("#edits")).to_contain_text("No edit is applied")
    expect(page.locator("#apply")).to_be_enabled()
