"""How the page looks and behaves at every size: accessible, nothing jumps, the answer on the first screen.

The pictures of README and docs are taken by `python -m tools.pictures`.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from test_edit_page import SAID_NOW, apply, field, finished

SIZES = {"desktop": (1440, 900), "wide": (1920, 1080), "phone": (390, 844)}
LARGEST_SHIFT = 0.02
"""A layout shift of 0.1 counts as good on the web; ours reserve their place."""


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


@pytest.mark.parametrize(("size", "theme"), [("desktop", "light"), ("wide", "dark"), ("phone", "light"), ("phone", "dark")])
def test_everybody_can_use_it_before_during_and_after_an_edit(visit, size, theme):
    page = visit(size=SIZES[size], theme=theme)
    assert violations(page) == []
    page.click("#apply")
    page.wait_for_selector("#progress progress")
    assert violations(page) == []
    page.wait_for_selector(SAID_NOW)
    page.wait_for_selector("#probe-table .probes")
    finished(page)
    field(page, "ask").fill("Ljubljana is the capital of")
    page.wait_for_selector("#ask-answers .answer")
    page.locator("#health-panel > button").click()
    page.locator("#advanced > button").click()
    page.locator(".probe summary").nth(1).click()
    page.wait_for_selector(".distribution .bars")
    expect(page.locator("#health")).to_contain_text("|ΔW| / |W|")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]


def test_nothing_jumps_while_results_arrive(visit, record_property):
    page = visit()
    page.wait_for_selector("#at-target-new li")
    page.wait_for_timeout(700)
    page.evaluate("window.shifts.length = 0")
    page.click("#apply")
    page.wait_for_selector("#probe-table .probes")
    finished(page)
    page.wait_for_timeout(300)
    shift = page.evaluate("window.shifts.reduce((a, b) => a + b, 0)")
    record_property("layout shift during an edit", shift)
    assert shift <= LARGEST_SHIFT


def test_the_answer_and_its_scores_need_no_scrolling(visit):
    page = visit()
    apply(page)
    for part in (SAID_NOW, "#answer-base .said", "#scores", "#apply", "#message"):
        box = page.locator(part).bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= SIZES["desktop"][1], part
