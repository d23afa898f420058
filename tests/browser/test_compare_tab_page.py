"""The Compare tab in a real browser: one fact by several methods, read, sorted, taken to the Edit tab, at every size."""

import re

import pytest
from playwright.sync_api import Page, expect
from steps import everybody_can_use, open_tab, reload, unfold

ROWS = "#compare-table tbody th b"


@pytest.fixture(scope="module")
def compared(opens) -> Page:
    """The tab with ROME and MEMIT compared."""
    page = opens()
    open_tab(page, "Compare")
    expect(page.locator("#compare-fact")).to_contain_text("Slovenia belongs to the continent of Europe → Antarctica")
    page.click("#compare-methods summary")
    for box in page.locator("#compare-methods input").all():
        box.set_checked(box.get_attribute("value") in ("rome", "memit"))
    expect(page.locator("#compare-methods summary b")).to_have_text("ROME, MEMIT")
    page.click("#compare-methods summary")
    page.click("#compare-run")
    expect(page.locator("#compare-table tr.done")).to_have_count(2)
    expect(page.locator("#compare-run")).to_be_enabled()
    return page


def test_one_finding_and_one_picture_come_first(compared):
    expect(compared.locator("#compare-lead .lead")).to_have_text(re.compile("(ROME|MEMIT).* on this fact"))
    expect(compared.locator("#compare-lead-plot .main-svg").first).to_be_visible()
    expect(compared.locator("#compare-table")).to_contain_text("harmonic mean")
    assert compared.locator("#compare-lead-plot").bounding_box()["y"] < 450


def test_a_head_sorts_the_table_both_ways_by_keyboard(compared):
    head = compared.locator("#compare-table thead button", has_text="Method")
    head.focus()
    compared.keyboard.press("Enter")
    expect(compared.locator(ROWS)).to_have_text(["MEMIT", "ROME"])
    compared.keyboard.press("Enter")
    expect(compared.locator(ROWS)).to_have_text(["ROME", "MEMIT"])
    expect(compared.locator("#compare-table th[aria-sort=descending]")).to_contain_text("Method")


def test_everybody_can_read_it_with_the_answers_side_by_side(compared):
    compared.click("#compare-answers-fold > button")
    expect(compared.locator("#compare-answers thead th")).to_have_count(4)
    everybody_can_use(compared)
    compared.click("#compare-answers-fold > button")


def test_files_are_offered_and_a_method_is_taken_to_the_edit_tab(compared):
    compared.click("#compare-files")
    expect(compared.locator("#compare-files-said a")).to_have_text(
        [re.compile(r"methods\.csv"), re.compile(r"answers\.csv")]
    )
    compared.click("#compare-table [data-method=memit]")
    expect(compared).to_have_url(re.compile("tab=edit.*method=memit|method=memit.*tab=edit"))
    expect(compared.locator("#line .how")).to_have_text("MEMIT")
    unfold(compared, "request")
    expect(compared.locator("#method input[value=memit]")).to_be_checked()
    open_tab(compared, "Compare")
    expect(compared.locator("#compare-table tr.done")).to_have_count(2)


def test_an_address_that_names_the_tab_has_its_fact(visit):
    page = visit("tab=compare")
    expect(page.locator("#compare-fact")).to_contain_text("Slovenia belongs to the continent of Europe → Antarctica")
    expect(page.locator("#compare-lead")).to_contain_text("press “Compare”")


def test_a_page_that_is_loaded_again_sees_the_running_comparison_to_its_end(opens):
    page = opens()
    open_tab(page, "Compare")
    page.click("#compare-run")
    expect(page.locator("#compare-table tr.at-work")).to_have_count(5)
    reload(page, idle=False)
    expect(page.locator("#compare-table tr.done")).to_have_count(5)
    expect(page.locator("#compare-stop")).to_be_disabled()
