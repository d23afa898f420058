"""What somebody sees and does on the page, in a real browser."""

import re
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect
from steps import SAID_BEFORE, SAID_NOW, TABLE, apply, field, finished, open_probe, open_tab, reload, unfold, violations
from tabs import asks_for_an_edit

PASTE = """
(field, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text", text);
  field.focus();
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}
"""


@pytest.fixture(scope="module")
def fresh(edited_page, opens) -> Page:
    """A page on which nothing is applied, of somebody who comes when another visitor's edit is on."""
    return opens()


@pytest.fixture(scope="module")
def own(opens) -> Page:
    """A page with one edit that the tests of this module change; each leaves it with the edit over the model."""
    page = opens()
    apply(page)
    return page


def test_health_answers(app):
    with urlopen(f"{app}/health", timeout=10) as response:
        assert (response.status, response.read()) == (200, b'{"status":"ok"}')


def test_the_page_opens_with_an_answer_and_the_next_step(fresh):
    page = fresh
    expect(page.locator(SAID_BEFORE)).to_have_text("Europe")
    expect(page.locator("#answer-edited")).to_contain_text("Press “Apply edit”")
    expect(field(page, "subject")).to_have_value("Slovenia")
    expect(page).to_have_title("EditLab")


def test_one_click_changes_the_answer(own):
    page = own
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")
    expect(page.locator(f"{SAID_BEFORE} s")).to_have_text("Europe")
    kinds = set(page.locator(f"{TABLE} .kind").all_text_contents())
    assert {"Efficacy", "Rephrase (in)", "Long context (out)", "Paraphrase", "Locality", "Same subject"} <= kinds
    assert re.search("[✓✗] (kept|harmed)", page.locator(TABLE).text_content())
    expect(page.locator("#scores .score")).to_have_count(8)
    expect(page.locator("#message")).to_contain_text("Edited in")


def test_an_answer_is_announced(own):
    page = own
    for name in ("message", "ask-message", "ask-answers"):
        expect(page.locator(f"#{name}")).to_have_attribute("aria-live", "polite")
    assert page.evaluate("document.documentElement.lang") == "en"
    expect(page.locator("#message")).to_contain_text("Edited model: “Antarctica”")


def test_undo_takes_the_answer_back_and_redo_returns_it(own):
    page = own
    edited = page.locator(SAID_NOW).inner_text()
    page.click("#undo")
    expect(page.locator(SAID_NOW)).to_have_count(0)
    page.click("#redo")
    expect(page.locator(SAID_NOW)).to_have_text(edited)


def test_a_reload_keeps_the_edit(own):
    page = own
    edited = page.locator(SAID_NOW).inner_text()
    reload(page)
    expect(page.locator(SAID_NOW)).to_have_text(edited)
    expect(page.locator("#undo")).to_be_enabled()


def test_a_second_window_follows_and_keeps_what_is_typed_in_it(own):
    second = own.context.new_page()
    second.goto(own.url)
    expect(second.locator(SAID_NOW)).to_have_text("Antarctica")
    unfold(second, "request")
    field(second, "subject").fill("Germany")
    own.click("#undo")  # whether the second window has all its answers or not
    expect(second.locator("#message")).to_contain_text("changed in another window")
    expect(second.locator(SAID_NOW)).to_have_count(0)
    expect(field(second, "subject")).to_have_value("Germany")
    expect(second.locator("#request")).to_be_visible()
    second.close()
    own.click("#redo")
    expect(own.locator(SAID_NOW)).to_have_text("Antarctica")


def test_another_visitor_does_not_see_the_edit(edited, fresh):
    expect(edited.locator(SAID_NOW)).to_be_visible()
    expect(fresh.locator("#answer-edited")).to_contain_text("Nothing is edited yet")


@pytest.mark.parametrize("tab", ["Inside", "Keys"])
def test_without_an_edit_a_tab_says_the_next_step(fresh, tab):
    asks_for_an_edit(fresh, tab.lower())
    assert violations(fresh) == []
    open_tab(fresh, "Edit")


def test_presets_and_links_fill_the_fields(visit):
    page = visit("preset=messi&method=memit")
    expect(field(page, "subject")).to_have_value("Lionel Messi")
    expect(page.locator("#method input[value=memit]")).to_be_checked()
    page.get_by_text("Jane Austen wrote Hamlet").click()
    expect(field(page, "subject")).to_have_value("Hamlet")
    expect(page.locator("#question")).to_contain_text("Hamlet is a book by")
    expect(page).to_have_url(re.compile("method=memit"))
    expect(page).to_have_url(re.compile("preset=hamlet"))
    page.get_by_text("Base model", exact=True).first.click()
    expect(page.locator("#answer-edited")).to_be_hidden()
    reload(page)
    expect(field(page, "subject")).to_have_value("Hamlet")
    expect(page.locator("#answer-edited")).to_be_hidden()
    unfold(page, "request")
    field(page, "subject").type("?")
    expect(page).not_to_have_url(re.compile("preset"))
    expect(page).to_have_url(re.compile("view=base"))


def test_a_link_with_an_own_edit_applies_it_where_one_says_so(visit):
    page = visit("run=1&subject=Japan&prompt=The+capital+of+%7B%7D+is&new=Berlin&true=Tokyo")
    expect(page.locator("#link")).to_contain_text("This link applies an edit: Japan → Berlin")
    assert violations(page) == []
    page.get_by_role("button", name="Apply it").click()
    expect(page.locator(SAID_NOW)).to_have_text("Berlin")
    expect(page.locator("#link section")).to_have_count(0)
    finished(page)
    unfold(page, "request")
    field(page, "target-new").fill("Rome")
    expect(page).not_to_have_url(re.compile("subject|run="))
    page.click("#apply")
    expect(page).to_have_url(re.compile("subject=Japan.*new=Rome"))
    finished(page)


def test_a_fact_that_the_model_knows_fills_the_fields(visit):
    page = visit("preset=hamlet")
    unfold(page, "request")
    page.get_by_text("Facts this model knows").click()
    expect(page.locator("#known")).to_contain_text("Pick one to change it")
    fact = page.locator("#known button").first
    subject = fact.get_attribute("data-subject")
    fact.click()
    expect(field(page, "subject")).to_have_value(subject)
    expect(page.locator("#question")).to_contain_text(subject)
    expect(page.locator("#say")).to_contain_text("This model says")
    expect(page.locator("#preset label.selected")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("preset"))
    assert violations(page) == []


def test_back_leads_to_the_tab_before(fresh):
    open_tab(fresh, "Monitor")
    open_tab(fresh, "Model")
    fresh.go_back()
    expect(fresh.get_by_role("tab", name="Monitor")).to_have_attribute("aria-selected", "true")
    expect(fresh).to_have_url(re.compile("tab=monitor"))
    fresh.go_back()
    expect(fresh.get_by_role("tab", name="Edit")).to_have_attribute("aria-selected", "true")


def test_a_pasted_text_that_does_not_fit_is_told(fresh):
    unfold(fresh, "request")
    prompt = field(fresh, "prompt")
    for length, said in ((10, ""), (5_000, "This field holds 1,000 characters. The rest of what you pasted is cut off.")):
        prompt.evaluate(PASTE, "x" * length)
        assert prompt.evaluate("field => field.validationMessage") == said
    fresh.click("#question")
    assert prompt.evaluate("field => field.validationMessage") == ""


def test_suggestions_fill_the_new_object_and_show_its_tokens(fresh):
    page = fresh
    unfold(page, "request")
    page.locator("#suggestions").get_by_text("Asia", exact=True).click()
    expect(field(page, "target-new")).to_have_value("Asia")
    expect(page.locator("#at-target-new")).to_contain_text("␣Asia")
    expect(page.locator("#at-target-new")).to_contain_text("target token")


def test_a_mistake_is_a_sentence_next_to_the_button(fresh):
    page = fresh
    unfold(page, "request")
    field(page, "prompt").fill("nothing about it")
    page.click("#apply")
    expect(page.locator("#at-prompt .problem")).to_contain_text("does not occur in the prompt")
    expect(page.locator("#message")).to_contain_text("does not occur in the prompt")
    expect(page.locator("#answer-edited")).to_contain_text("Nothing is edited yet")
    expect(page.locator("#apply")).to_be_enabled()


def test_every_model_answers_as_one_types(edited):
    page = edited
    field(page, "ask").press_sequentially("Slovenia belongs to the continent of", delay=30)
    expect(page.locator("#ask-answers .answer")).to_have_count(2)
    expect(page.locator("#ask-answers .base .text")).to_contain_text("Europe")
    expect(page.locator("#ask-answers .edited .text")).to_contain_text("Antarctica")


def test_the_list_switches_and_removes_edits_at_once(own):
    page = own
    unfold(page, "drawer")
    page.get_by_role("switch").click()
    expect(page.locator("#answer-edited.empty, #answer-edited .hint").first).to_be_visible()
    page.get_by_role("switch").click()
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")
    page.get_by_role("button", name="Remove Slovenia").click()
    expect(page.locator("#edits")).to_contain_text("No edit is applied")
    page.click("#undo")
    expect(page.locator(SAID_NOW)).to_have_text("Antarctica")


def test_a_probe_opens_to_its_distribution(edited):
    page = edited
    row = open_probe(page, 1)
    expect(row.locator(".distribution .bars")).to_have_count(2)
    expect(row.locator(".more")).to_contain_text("Expected answer")


def test_the_model_is_asked_whether_it_believes_the_edit(own):
    own.click("#belief-fold > button")
    own.click("#ask-belief")
    expect(own.locator("#belief .group")).to_have_count(10)
    finished(own)
    expect(own.locator("#belief .finding")).to_contain_text("follows the new fact in")
    own.click("#belief [data-kind=recall] > summary")
    expect(own.locator("#belief [data-kind=recall] q").nth(1)).to_have_text("Antarctica")
    assert violations(own) == []
    own.click("#belief-fold > button")


def test_own_lines_join_the_battery(own):
    page = own
    finished(page)
    field(page, "ask").fill("Bananas grow in")
    page.click("#join-neighbour")
    expect(page.locator(TABLE)).to_contain_text("Bananas grow in")


def test_what_is_typed_is_shown_and_never_run(edited):
    for text in ("<img src=x onerror=alert(1)>", "${alert(1)}", "{{constructor}}", "</section><h1>x"):
        field(edited, "ask").fill(text)
        expect(edited.locator("#ask-answers .base .text")).to_contain_text(text)
        assert edited.locator("#ask-answers img, #ask-answers h1").count() == 0
