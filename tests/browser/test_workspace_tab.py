"""The Workspace tab in a real browser: by keyboard alone, at every size, and a file that is really taken away."""

import re
import zipfile

from playwright.sync_api import Page, expect
from steps import SAID_NOW, apply, everybody_can_use, field, finished, open_tab, unfold
from tabs import open_fold

ROW = "#workspace-edits tbody tr"


def opened(page: Page) -> None:
    open_tab(page, "Workspace")
    expect(page.locator("#workspace-head h2")).to_be_visible()


def typed(page: Page, part: str, opens: str, name: str) -> None:
    """Open a field by the keyboard, write a name into it, and press Enter."""
    page.locator(f"{part} summary", has_text=opens).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type(name)
    page.keyboard.press("Enter")


def test_a_team_lead_sees_goes_back_shares_and_takes_it_away(visit, tmp_path):
    page = visit()
    unfold(page, "request")
    field(page, "why").fill("<b>For Friday</b>")
    page.click("#apply")
    page.wait_for_selector(SAID_NOW)
    opened(page)
    expect(page.locator(ROW)).to_have_count(1)
    expect(page.locator(ROW)).to_contain_text("<b>For Friday</b>")
    time = page.locator(f"{ROW} time")
    expect(time).not_to_contain_text("-")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*\+00:00", time.get_attribute("title") or "")

    expect(page.locator("#workspace-history-fold > button")).to_contain_text("applied Slovenia → Antarctica")
    for name in ("history", "comparison", "bundles"):
        open_fold(page, f"workspace-{name}")
    page.locator("#workspace-moment input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#workspace-then")).to_contain_text("no edit was on")
    expect(page.locator("#workspace-were .said")).to_have_text(["Europe", "Antarctica"])

    typed(page, "#workspace-rooms", "New workspace", "Trial")
    expect(page.locator("#workspace-head h2")).to_have_text("Trial")
    expect(page.locator("#workspace-edits")).to_contain_text("This workspace has no edits yet")
    page.locator(".workspaces button", has_text="My edits").click()
    expect(page.locator("#workspace-head h2")).to_have_text("My edits")
    assert "workspace=" not in page.url

    typed(page, "#workspace-head", "Rename", "Our team")
    expect(page.locator("#workspace-head h2")).to_have_text("Our team")
    page.locator("#workspace-head button", has_text="Share").click()
    expect(page.locator("#workspace-head .title")).to_contain_text("all users of this EditLab")
    expect(page).to_have_url(re.compile(r"workspace=[0-9a-f]{16}"))

    page.click("#workspace-verify")
    expect(page.locator("#workspace-verified")).to_contain_text("everything is as it was written")
    page.click("#workspace-pack")
    with page.expect_download() as download:
        page.locator("#workspace-bundle a").click()
    download.value.save_as(tmp_path / "bundle.zip")
    assert zipfile.ZipFile(tmp_path / "bundle.zip").testzip() is None
    page.locator("#workspace-file input, input[type=file][accept='.zip']").last.set_input_files(tmp_path / "bundle.zip")
    expect(page.locator("#workspace-head h2")).to_have_text("Our team 2")
    expect(page.locator(ROW)).to_have_count(1)

    page.click("#workspace-compare")
    expect(page.locator("#workspace-compared .said")).to_have_count(2)
    page.locator(f"{ROW} [role=switch]").click()
    expect(page.locator(f"{ROW} [aria-checked=false]")).to_be_focused()
    everybody_can_use(page)

    page.locator("#workspace-head summary", has_text="Delete").click()
    expect(page.locator("#workspace-head")).to_contain_text("you can restore it")
    page.locator("#workspace-head button", has_text="Delete workspace").click()
    expect(page.locator("#workspace-head h2")).to_have_text("Trial")
    expect(page.locator("#workspace-rooms")).to_contain_text("Deleted (1)")
    finished(page)


def test_the_jobs_are_as_they_are_now_when_their_fold_is_opened(visit, app):
    page = visit()
    apply(page)
    opened(page)
    fold = page.locator("#workspace-line-fold > button")
    expect(fold).to_contain_text("none running")
    before = fold.inner_text()
    other = page.context.new_page()  # another window of the same person
    other.goto(app)
    other.wait_for_selector(SAID_NOW)
    finished(other)
    opened(other)
    other.click("#workspace-remake")
    expect(other.locator("#workspace-message")).to_contain_text("Recomputed 1 edit")
    expect(fold).to_have_text(before)  # nobody looks again while it is closed
    fold.click()
    expect(page.locator("#workspace-jobs li", has_text="Recomputing all edits")).to_have_count(1)
    expect(fold).not_to_have_text(before)
