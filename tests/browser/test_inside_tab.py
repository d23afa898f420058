"""The Inside tab in a real browser: every figure of the selected edit, at every size, for everybody."""

import re

from playwright.sync_api import Page, expect
from steps import field, open_tab, reload, show, unfold
from tabs import everybody_can_read, first_of_all, open_fold, open_pictures, the_numbers_are_reached_by_keyboard

SECTIONS = ("lens", "tokens", "contributions", "attention")
"""Those that need no mask."""


def inside(page: Page) -> None:
    """Open the tab and wait for all its figures."""
    open_pictures(page, "inside", (*SECTIONS, "mask", "elsewhere", "loudness"), SECTIONS, SECTIONS)
    expect(page.locator("#inside-mask p")).to_be_visible()


def test_the_sentences_are_about_the_selected_edit(edited):
    page = edited
    inside(page)
    expect(page.locator("#inside-message")).to_contain_text("Slovenia → Antarctica")
    expect(page.locator("#inside-lens")).to_contain_text(re.compile("in the base model, Europe leads from layer"))
    expect(page.locator("#inside-lens")).to_contain_text(re.compile("in the edited model, Antarctica leads from"))
    expect(page.locator("#inside-contributions")).to_contain_text("to the logit of Antarctica in the edited model")
    expect(page.locator("#inside-attention")).to_contain_text(re.compile(r"over the \d+ heads above the edit"))
    assert page.locator("#inside [aria-live=polite]").count() >= len(SECTIONS)
    expect(page).to_have_url(re.compile("tab=inside"))
    reload(page)
    expect(page.locator("#inside-lens-fold > button")).to_contain_text("Antarctica leads from layer")


def test_one_finding_and_one_picture_come_first_and_a_fold_moves_neither(visit):
    first_of_all(visit, "inside", SECTIONS, "contributions")


def test_another_text_another_token_and_another_view(edited):
    page = edited
    inside(page)
    field(page, "inside-text").fill("Slovenia, a country in the mountains, lies in")
    field(page, "inside-text").press("Enter")
    expect(page.locator("#inside-lens")).to_contain_text("After “in”")
    expect(page.locator("#inside-stop")).to_be_disabled()
    page.locator("#inside-token input").click()
    page.get_by_role("option", name=re.compile("lies")).click()
    expect(page.locator("#inside-lens")).to_contain_text("After “lies”")
    page.locator("#inside-shown input").click()
    page.get_by_role("option", name="Base model", exact=True).click()
    expect(page.locator("#inside-tokens-plot .cbaxis text").first).to_have_text("0")
    page.get_by_label("Differences").click()
    expect(page.locator("#inside-contributions-plot .legendtext").first).to_have_text("edited − base model")


def test_many_edits_are_made_and_shown(edited):
    page = edited
    inside(page)
    page.locator("#inside-count input").fill("3")
    page.locator("#inside-many").click()
    expect(page.locator("#inside-loudness")).to_contain_text("Over 3 edits")
    expect(page.locator("#inside-parts-plot .main-svg").first).to_be_visible()
    expect(page.locator("#inside-stop")).to_be_disabled()


def test_the_numbers_are_reached_by_keyboard_alone(edited):
    the_numbers_are_reached_by_keyboard(edited, "inside", "attention")


def test_everybody_can_read_it(edited):
    page = edited
    inside(page)
    page.locator("#inside-lens-table summary").click()
    everybody_can_read(page, "inside", SECTIONS, "lens")
    page.locator("#inside-lens-table summary").click()


def test_a_picture_takes_the_width_that_the_window_got_while_it_was_hidden(edited):
    page = edited
    inside(page)
    open_tab(page, "Edit")
    show(page, "phone", "light")
    open_tab(page, "Inside")
    fits = "document.querySelector('#inside-lead-plot .main-svg').getBoundingClientRect().width <= innerWidth"
    page.wait_for_function(fits)
    show(page, "desktop", "light")


def test_the_fact_is_traced_and_the_layer_of_a_sweep_is_the_next_edits(edited):
    page = edited
    open_tab(page, "Inside")
    expect(page.locator("#inside-stop")).to_be_disabled()
    for name in ("inside-tracing", "inside-sweep"):
        open_fold(page, name)
    page.locator("#inside-trace").click()
    expect(page.locator("#inside-tracing .finding")).to_contain_text("under noise on Slovenia")
    expect(page.locator("#inside-tracing-plot .heatmaplayer").first).to_be_visible()
    expect(page.locator("#inside-stop")).to_be_disabled()
    page.locator("#inside-each-layer").click()
    expect(page.locator("#inside-progress")).to_contain_text("at layer 2")
    page.keyboard.press("Escape")
    expect(page.locator("#inside-sweep-fold > button")).to_contain_text("layer 0 would be best")
    expect(page.locator("#inside-stop")).to_be_disabled()
    page.locator("#inside-layer input").click()
    page.get_by_role("option", name="layer 1", exact=True).click()
    page.locator("#inside-use-layer").click()
    expect(page.locator("#inside-message")).to_contain_text("is made at layer 1")
    open_tab(page, "Edit")
    unfold(page, "request")
    page.locator("#advanced > button").click()
    expect(page.locator("#rome-layers-field")).to_have_value("1")
    page.locator("#settings [data-reset]").evaluate("button => button.click()")
    expect(page.locator("#rome-layers-field")).to_have_value("0")
