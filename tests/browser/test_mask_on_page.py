"""The mask and the guard on the page. Its mask is drawn at random, so that what is seen does not hang on a training."""

import shutil
from collections.abc import Iterator

import pytest
import torch
from app_process import ROOT, running
from playwright.sync_api import Page, expect
from test_edit_page import SAID_NOW, apply, field, finished, settled
from test_keyboard import tab_to
from test_looks import SIZES, violations

from editlab.methods import mask
from editlab.methods.mask import ReversalMask
from editlab.model import LanguageModel
from editlab.patches import Mask

MASKED = "#answer-masked .said"
REPORT = {"n_train": 1500, "pruned": 0.08, "reversed_train": 0.83, "reversed_unseen": 0.62}


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Iterator[str]:
    """The address of a running app that has a mask for ROME, in its data folder, and none for MEMIT."""
    folder, model, presets = (
        tmp_path_factory.mktemp("masked"),
        LanguageModel.load("atlas"),
        tmp_path_factory.mktemp("presets"),
    )
    shutil.copytree(ROOT / "presets", presets, ignore=shutil.ignore_patterns("masks"), dirs_exist_ok=True)
    draw = torch.Generator().manual_seed(0)
    bits = torch.rand(model.d_model, model.d_ff, generator=draw) > REPORT["pruned"]
    mask.write(ReversalMask("rome", (Mask(0, bits),), REPORT), model, folder / "data" / "masks")
    with running(folder, presets=presets, check_ups=False) as app:
        yield app.address


def turn(page: Page, switch: str, on: str = "On") -> None:
    page.locator(f"#{switch} label", has_text=on).click()


def test_the_switch_shows_what_the_mask_makes_of_the_edit_and_the_ways_back(visit):
    page = visit()
    apply(page)
    expect(page.locator("#ways")).to_be_hidden()
    turn(page, "mask")
    page.wait_for_selector("#ways-back table")
    finished(page)
    for view in ("base", "edited", "masked", "base_masked"):
        expect(page.locator(f"#answer-{view} .said")).to_be_visible()
    expect(page.locator("#verdict h2")).to_have_text("Not reversed by this mask.")
    expect(page.locator("#verdict")).to_contain_text("reverses 62\u00a0% of the edits that it never saw")
    expect(page.locator("#verdict tbody tr")).to_have_count(4)
    expect(page.locator("#ways-back tbody tr")).to_have_count(4)
    expect(page.locator("#linked")).to_contain_text("Told in the prompt")
    expect(page.locator("#view label:visible")).to_have_count(5)
    turn(page, "mask", "Off")
    expect(page.locator(MASKED)).to_have_count(0)
    expect(page.locator("#ways")).to_be_hidden()
    finished(page)


def test_a_reload_keeps_the_switch_and_the_address_names_it(visit):
    page = visit()
    apply(page)
    turn(page, "mask")
    expect(page.locator(MASKED)).to_be_visible()
    assert "mask=on" in page.url
    page.wait_for_selector("#ways-back table")
    finished(page)
    settled(page)
    page.wait_for_timeout(1000)
    page.reload()
    expect(page.locator(MASKED)).to_be_visible()
    expect(page.locator("#mask input:checked")).to_have_value("on")
    page.wait_for_selector("#ways-back table")
    finished(page)


def test_the_guard_is_switched_by_keyboard_and_says_whether_it_held(visit):
    page = visit()
    tab_to(page, "#guard input")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#mask-said")).to_contain_text("as soon as an edit is on")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#answer-guarded .said")
    expect(page.locator("#verdict h2")).to_contain_text("guard")
    expect(page.locator("#answer-edited.control")).to_be_visible()
    assert "guard=on" in page.url
    page.wait_for_selector("#linked table")
    finished(page)


def test_where_no_mask_is_its_training_is_offered_with_what_it_costs(visit):
    page = visit("method=memit")
    turn(page, "mask")
    expect(page.locator("#message")).to_contain_text("editlab mask train")
    expect(page.locator("#mask input:checked")).to_have_value("off")
    expect(page.locator("#train-mask")).to_have_text("Train a mask for MEMIT")
    expect(page.locator("#mask-said")).to_contain_text("minutes")
    finished(page)


@pytest.mark.parametrize(
    ("size", "theme"), [(SIZES["desktop"], "light"), (SIZES["phone"], "dark")], ids=["desktop", "phone"]
)
def test_everybody_can_use_the_mask(visit, size, theme):
    page = visit("mask=on&rep=default", size=size, theme=theme)
    page.click("#apply")
    page.wait_for_selector("#ways-back table")
    finished(page)
    field(page, "ask").fill("Ljubljana is the capital of")
    page.wait_for_selector("#ask-answers .base_masked")
    page.locator(".probe summary").nth(1).click()
    page.wait_for_selector(".distribution .bars")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_verdict_needs_no_scrolling(visit):
    page = visit("mask=on")
    page.click("#apply")
    page.wait_for_selector("#ways-back table")
    finished(page)
    for part in (SAID_NOW, MASKED, "#verdict h2", "#verdict p", "#apply", "#message"):
        box = page.locator(part).bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= SIZES["desktop"][1], part
    boxes = [page.locator(f"#answer-{view}").bounding_box() for view in ("base", "edited", "masked")]
    assert len({round(box["y"]) for box in boxes}) == 1, "side by side"
