"""What somebody sees and does on the page, in a real browser."""

import re
import time
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

SAID_BEFORE, SAID_NOW = "#answer-base .said", "#answer-edited .said"
TABLE = "#probe-table .probes"


def field(page: Page, name: str):
    return page.locator(f"#{name} input, #{name} textarea")


def apply(page: Page) -> None:
    page.click("#apply")
    page.wait_for_selector(TABLE)
    finished(page)


def settled(page: Page) -> None:
    """Wait until nothing streams: a reload would cut it off, of which the browser complains."""
    expect(page.locator("#stop")).to_be_disabled()
    page.wait_for_load_state("networkidle")


def finished(page: Page) -> None:
    expect(page.locator("#progress progress")).to_have_count(0)
    expect(page.locator("#stop")).to_be_disabled()


def ask_otherwise(page: Page, way: str) -> None:
    """Press a prepared question and wait for the answers to it, with the gate at each of its tokens."""
    button = page.locator("#questions button", has_text=way)
    question = button.get_attribute("data-text")
    button.click()
    expect(field(page, "ask")).to_have_value(question)
    expect(page.locator("#ask-answers .rep .text span")).to_have_text(re.compile(f"{re.escape(question[-100:])}$"))
    page.wait_for_selector("#ask-answers .gates")


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
    expect(page.locator(f"{SAID_BEFORE} s")).to_have_text("Europe")
    page.wait_for_selector(TABLE)
    finished(page)
    record_property("seconds from click to probes", round(time.perf_counter() - began, 2))
    kinds = set(page.locator(f"{TABLE} .kind").all_inner_texts())
    assert {"Success", "Rephrase (in)", "Long context (out)", "Paraphrase", "Locality", "Same subject"} <= kinds
    assert re.search("[✓✗] (kept|harmed)", page.locator(TABLE).inner_text())
    expect(page.locator("#scores .score")).to_have_count(8)
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
    settled(page)
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
    expect(page).to_have_url(re.compile("method=memit"))
    expect(page).to_have_url(re.compile("preset=hamlet"))
    page.get_by_text("Base model", exact=True).first.click()
    expect(page.locator("#answer-edited")).to_be_hidden()
    settled(page)
    page.reload()
    expect(field(page, "subject")).to_have_value("Hamlet")
    expect(page.locator("#answer-edited")).to_be_hidden()
    field(page, "subject").type("?")
    expect(page).not_to_have_url(re.compile("preset"))
    expect(page).to_have_url(re.compile("view=base"))


def test_a_mistake_is_a_sentence_next_to_the_button(visit):
    page = visit()
    field(page, "prompt").fill("nothing about it")
    page.click("#apply")
    expect(page.locator("#at-prompt .problem")).to_contain_text("does not occur in the prompt")
    expect(page.locator("#message")).to_contain_text("does not occur in the prompt")
    expect(page.locator("#answer-edited")).to_contain_text("Nothing is edited yet")
    expect(page.locator("#apply")).to_be_enabled()


def test_every_model_answers_as_one_types(visit):
    page = visit()
    apply(page)
    field(page, "ask").press_sequentially("Slovenia belongs to the continent of", delay=30)
    expect(page.locator("#ask-answers .answer")).to_have_count(2)
    expect(page.locator("#ask-answers .base .text")).to_contain_text("Europe")
    expect(page.locator("#ask-answers .edited .text")).to_contain_text("Antarctica")


def test_the_list_switches_and_removes_edits_at_once(visit):
    page = visit()
    apply(page)
    page.get_by_role("switch").click()
    expect(page.locator("#answer-edited.empty, #answer-edited .hint").first).to_be_visible()
    page.get_by_role("switch").click()
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")
    page.get_by_role("button", name="Remove Slovenia").click()
    expect(page.locator("#edits")).to_contain_text("No edit lies over the model")
    page.click("#undo")
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")


def test_a_probe_opens_to_its_distribution(visit):
    page = visit()
    apply(page)
    row = page.locator(".probe").nth(1)
    row.locator("summary").click()
    expect(row.locator(".distribution .bars")).to_have_count(2)
    expect(row.locator(".more")).to_contain_text("A good edit says")


def test_own_lines_join_the_battery(visit):
    page = visit()
    apply(page)
    field(page, "ask").fill("Bananas grow in")
    page.click("#join-neighbour")
    expect(page.locator(TABLE)).to_contain_text("Bananas grow in")


def test_suggestions_fill_the_new_object_and_show_its_tokens(visit):
    page = visit()
    page.locator("#suggestions").get_by_text("Asia", exact=True).click()
    expect(field(page, "target-new")).to_have_value("Asia")
    expect(page.locator("#at-target-new")).to_contain_text("␣Asia")
    expect(page.locator("#at-target-new")).to_contain_text("target token")


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "${alert(1)}", "{{constructor}}", "</section><h1>x"])
def test_what_is_typed_is_shown_and_never_run(visit, text):
    page = visit()
    field(page, "ask").fill(text)
    expect(page.locator("#ask-answers .base .text")).to_contain_text(text)
    assert page.locator("#ask-answers img, #ask-answers h1").count() == 0


def test_an_answer_is_announced(visit):
    page = visit()
    for name in ("message", "ask-message", "ask-answers"):
        expect(page.locator(f"#{name}")).to_have_attribute("aria-live", "polite")
    assert page.evaluate("document.documentElement.lang") == "en"
    apply(page)
    expect(page.locator("#message")).to_contain_text("Edited model: “Antarctica”")
