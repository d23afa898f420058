"""The choice among many methods and their settings: by mouse and keyboard, on a phone, in German, by a link."""

import re
from pathlib import Path

import pytest
from app_process import running
from playwright.sync_api import expect
from steps import LOOKS, everybody_can_use, field, tab_to, unfold

PROGRAM = Path(__file__).with_name("many_methods.py")


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> str:
    with running(tmp_path_factory.mktemp("many"), program=(PROGRAM,), check_ups=False) as app:
        yield app.address


def test_a_change_stays_with_its_method(visit):
    page = visit()
    unfold(page, "request")
    page.click("#advanced > button")
    expect(field(page, "rome-clamp")).not_to_have_value("")
    usual = field(page, "rome-clamp").input_value()
    field(page, "rome-clamp").fill("2")
    expect(page.locator("#rome-clamp.changed")).to_be_visible()
    page.select_option("#method select", "other-3")
    expect(page.locator("#line .how")).to_have_text("Other 3")
    expect(page.locator("#method [data-about]:visible")).to_have_text("The other way 3 (Nobody et al. 2026).")
    expect(field(page, "other-3-clamp")).to_have_value(usual)
    page.locator("#other-3-whiten input").uncheck()
    page.locator("#method input[value=rome]").check()
    expect(field(page, "rome-clamp")).to_have_value("2")
    expect(page.locator("#method select")).to_have_value("")
    expect(page.locator("#rome-whiten input")).to_be_checked()
    page.click("#settings [data-reset]")
    expect(field(page, "rome-clamp")).to_have_value(usual)
    expect(page.locator("#settings [data-reset]")).to_be_hidden()
    page.select_option("#method select", "other-3")
    expect(page.locator("#other-3-whiten input")).not_to_be_checked()
    page.click("#apply")
    expect(page.locator("#edits .name span").first).to_contain_text("Other 3")
    expect(page.locator("#message")).not_to_contain_text("whiten")


def test_the_keyboard_chooses_a_method_and_a_link_names_it(visit):
    page = visit("method=other-5&lang=de", size="phone")
    unfold(page, "request")
    expect(page.locator("#method select")).to_have_value("other-5")
    expect(page.locator("#method input:checked")).to_have_count(0)
    everybody_can_use(page, *LOOKS)
    tab_to(page, "#method select")
    page.keyboard.press("ArrowDown")
    expect(page).to_have_url(re.compile("method=other-9"))
    tab_to(page, "#method input", "Shift+Tab")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("method=rome"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#line .how")).to_have_text("MEMIT")
    expect(page.locator("#method input[value=memit]")).to_be_focused()
