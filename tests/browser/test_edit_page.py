"""What somebody sees and does on the page, in a real browser."""

import re
import time
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

DESKTOP, PHONE = (1440, 900), (390, 844)
SAID_BEFORE, SAID_NOW = "#answer-base .said", "#answer-edited .said"
TABLE = "#probe-table table"


def field(page: Page, name: str):
    return page.locator(f"#{name} input, #{name} textarea")


def apply(page: Page) -> None:
    page.click("#apply")
    page.wait_for_selector(TABLE)
    expect(page.locator("#stop")).to_be_disabled()


def test_health_answers(app):
    with urlopen(f"{app}/health", timeout=10) as response:
        assert (response.status, response.read()) == (200, b'{"status":"ok"}')


def test_the_page_opens_with_an_answer_and_the_next_step(visit):
    page = visit()
    expect(page.locator(SAID_BEFORE)).to_have_text("Europe")
    expect(page.locator("#answer-edited")).to_contain_text("Press “Apply edit”")
    expect(field(page, "subject")).to_have_value("Slovenia")
    expect(page).to_have_title("EditLab")


def test_one_click_changes_the_answer(visit, record_property):
    page = visit()
    began = time.perf_counter()
    page.click("#apply")
    page.wait_for_selector(SAID_NOW)
    record_property("seconds from click to answer", round(time.perf_counter() - began, 2))
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")
    expect(page.locator(SAID_BEFORE)).to_have_text("Europe")
    page.wait_for_selector(TABLE)
    record_property("seconds from click to probes", round(time.perf_counter() - began, 2))
    kinds = set(page.locator(f"{TABLE} td:first-child").all_inner_texts())
    assert {"Success", "Rephrase (in)", "Long context (out)", "Paraphrase", "Locality", "Same subject"} <= kinds
    assert re.search("kept|harmed", page.locator(TABLE).inner_text())
    expect(page.locator("#message")).to_contain_text("Edited in")


def test_undo_takes_the_answer_back_and_redo_returns_it(visit):
    page = visit()
    apply(page)
    edited = page.locator(SAID_NOW).inner_text()
    page.click("#undo")
    expect(page.locator(SAID_NOW)).to_have_count(0)
    page.click("#redo")
    expect(page.locator(SAID_NOW)).to_have_text(edited)


def test_a_reload_keeps_the_edit(visit):
    page = visit()
    apply(page)
    edited = page.locator(SAID_NOW).inner_text()
    page.reload()
    expect(page.locator(SAID_NOW)).to_have_text(edited)
    expect(page.locator("#undo")).to_be_enabled()


def test_another_visitor_does_not_see_the_edit(visit):
    apply(visit())
    expect(visit().locator("#answer-edited")).to_contain_text("Nothing is edited yet")


def test_presets_and_links_fill_the_fields(visit):
    page = visit("preset=messi&method=memit")
    expect(field(page, "subject")).to_have_value("Lionel Messi")
    expect(page.locator("#method label.selected")).to_contain_text("MEMIT")
    page.get_by_text("Jane Austen wrote Hamlet").click()
    expect(field(page, "subject")).to_have_value("Hamlet")
    expect(page.locator("#question")).to_contain_text("Hamlet was written by")


def test_a_mistake_is_a_sentence_next_to_the_button(visit):
    page = visit()
    field(page, "prompt").fill("nothing about it")
    page.click("#apply")
    expect(page.locator("#message .problem")).to_contain_text("does not occur in the prompt")
    expect(page.locator("#answer-edited")).to_contain_text("Nothing is edited yet")
    expect(page.locator("#apply")).to_be_enabled()


def test_both_models_can_be_asked(visit):
    page = visit()
    apply(page)
    field(page, "ask").fill("Slovenia belongs to the continent of")
    field(page, "ask").press("Enter")
    expect(page.locator("#ask-answers .answer")).to_have_count(2)


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "${alert(1)}", "{{constructor}}", "</section><h1>x"])
def test_what_is_typed_is_shown_and_never_run(visit, text):
    page = visit()
    field(page, "ask").fill(text)
    page.click("#ask-button")
    expect(page.locator("#ask-answers")).to_contain_text(text)
    assert page.locator("#ask-answers img, #ask-answers h1").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_use_it(visit, size, theme):
    page = visit(size=size, theme=theme)
    assert violations(page) == []
    apply(page)
    page.locator("#health-panel button").click()
    expect(page.locator("#health")).to_contain_text("|ΔW| / |W|")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


def test_the_keyboard_is_enough(visit):
    page = visit()
    field(page, "subject").focus()
    for _ in range(12):
        if page.evaluate("document.activeElement.id") == "apply":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "apply"
    page.keyboard.press("Enter")
    page.wait_for_selector(SAID_NOW)


def test_an_answer_is_announced(visit):
    page = visit()
    for name in ("message", "answer-edited", "ask-answers"):
        expect(page.locator(f"#{name}")).to_have_attribute("aria-live", "polite")
    assert page.evaluate("document.documentElement.lang") == "en"
