"""How the page looks and behaves at every size: accessible, nothing jumps, the answer on the first screen.

The pictures of README and docs are taken each time; with EDITLAB_PICTURES set, they replace those in docs/pictures.
"""

import os
from functools import partial
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from test_edit_page import SAID_NOW, apply, ask_otherwise, field, finished

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SIZES = {"desktop": (1440, 900), "wide": (1920, 1080), "phone": (390, 844)}
SMALLEST_PICTURE, LARGEST_PICTURE = 5_000, 200_000
LARGEST_SHIFT = 0.02
"""A layout shift of 0.1 counts as good on the web; ours reserve their place."""


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_everybody_can_use_it_before_during_and_after_an_edit(visit, size, theme):
    page = visit(size=size, theme=theme)
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
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


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


def test_pictures_of_the_docs(visit, tmp_path):
    take = partial(take_into, PICTURES if "EDITLAB_PICTURES" in os.environ else tmp_path)
    for theme in ("light", "dark"):
        page = visit(theme=theme)
        page.wait_for_selector("#at-target-new li")
        if theme == "light":
            take(page, "before")
        apply(page)
        field(page, "ask").fill("Slovenia's capital is")
        page.wait_for_selector("#ask-answers .answer")
        page.wait_for_timeout(1500)
        page.mouse.move(0, 0)
        take(page, f"after-{theme}")
    page = visit()
    apply(page)
    page.locator(".probe summary").nth(2).click()
    page.wait_for_selector(".distribution .bars")
    page.locator("#probes-title").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#probes-title').scrollIntoView()")
    take(page, "probes")
    phone = visit(size=SIZES["phone"])
    apply(phone)
    phone.evaluate("document.querySelector('#question').scrollIntoView()")
    take(phone, "phone")


def test_pictures_of_one_edit_asked_in_several_ways(visit, tmp_path):
    take = partial(take_into, PICTURES if "EDITLAB_PICTURES" in os.environ else tmp_path)
    for theme in ("light", "dark"):
        page = visit("rep=default", theme=theme)
        page.wait_for_selector("#at-target-new li")
        apply(page)
        page.wait_for_selector("#gate-curve svg")
        finished(page)
        page.mouse.move(0, 0)
        take(page, f"rep-{theme}")
        for name, way in {
            "republic": "Republic",
            "name": "Slovenija",
            "shuffled": "ia Sloven",
            "long": "after a long",
        }.items():
            ask_otherwise(page, way)
            expect(page.locator("#ask-answers .rep .tops b").first).to_have_text("Antarctica")
            page.wait_for_timeout(300)
            page.mouse.move(0, 0)
            page.evaluate("document.querySelector('#live').scrollIntoView()")
            if theme == "light":
                take(page, f"rep-{name}")
    phone = visit("rep=default", size=SIZES["phone"])
    apply(phone)
    phone.wait_for_selector("#gate-curve svg")
    phone.evaluate("document.querySelector('#gate').scrollIntoView()")
    take(phone, "rep-phone")


def take_into(folder: Path, page: Page, name: str) -> None:
    """A picture of what is seen now, in few colours and small enough to be kept."""
    from PIL import Image

    path = folder / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    assert SMALLEST_PICTURE < path.stat().st_size < LARGEST_PICTURE
