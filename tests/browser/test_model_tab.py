"""The model is replaced on the page for all users; edits stay with the model that they were made on."""

import pytest
from app_process import running
from playwright.sync_api import expect
from steps import everybody_can_use, finished, open_tab, show
from tabs import open_fold


@pytest.fixture(scope="module")
def app(tmp_path_factory, two_models):
    """An app with two random models."""
    own = {"model": two_models / "first", "models": two_models / "second", "check_ups": False}
    with running(tmp_path_factory.mktemp("two"), **own) as app:
        yield app.address


def open_model(page):
    open_tab(page, "Model")
    expect(page.locator("#model-lead .lead")).to_contain_text("edits were never measured")
    for name in ("model-choice", "model-statistics", "bench"):
        open_fold(page, name)
    expect(page.locator("#model-plan")).to_contain_text("it fits")
    expect(page.locator("#model-statistics")).to_contain_text("Layers 1 and 2")


def load(page, name):
    """Choose a model and load it: the page opens anew with it, on the same tab."""
    page.locator("#model-name label", has_text=name).click()
    expect(page.locator("#model-plan")).to_contain_text(f"{name} needs")
    page.click("#model-load")
    expect(page.locator("#head .model b")).to_have_text(name)
    expect(page.locator("#model-lead .lead")).to_contain_text(name)
    open_fold(page, "model-choice")
    expect(page.locator("#model-name label.selected")).to_have_text(name)
    expect(page.locator("#progress")).to_be_empty()


def test_everybody_can_use_the_tab(visit):
    page = visit()
    open_model(page)
    page.locator("#head .badge").hover()
    expect(page.locator("#badge-tip")).to_be_visible()
    expect(page.locator("#badge-tip")).to_contain_text("run: editlab validate")
    everybody_can_use(page)
    show(page, "phone", "dark")
    method, others = (page.locator(part).bounding_box() for part in ("#bench-method", ".form:has(> #bench-rep)"))
    assert method["y"] + method["height"] <= others["y"] and method["width"] > 250, "the choice of a method is covered"
    expect(page.locator("#bench-fold")).to_contain_text("subject,prompt,target_new")


def test_the_model_is_replaced_and_comes_back_with_the_edits(visit):
    page, other = visit(), visit()
    page.click("#apply")
    expect(page.locator("#edits")).to_contain_text("Slovenia → Antarctica")
    finished(page)
    open_model(page)
    load(page, "second")
    expect(page.locator("#edits")).not_to_contain_text("Slovenia → Antarctica")
    expect(other.locator("#model-news")).to_contain_text("The model is now second.")
    other.click("#apply")
    expect(other.locator("#message")).to_contain_text("Reload the page to ask it.")
    other.locator("#model-news a").click()
    expect(other.locator("#head .model b")).to_have_text("second")
    expect(other.locator("#model-news")).to_be_empty()
    load(page, "first")
    expect(page.locator("#edits")).to_contain_text("Slovenia → Antarctica")
