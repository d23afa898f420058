"""The Monitor tab: an edit is checked by itself, an alarm is seen, and one button leads back after a confirmation."""

import pytest
from app_process import running
from playwright.sync_api import expect
from steps import everybody_can_use, finished, open_tab
from tabs import open_fold


@pytest.fixture(scope="module")
def app(tmp_path_factory, saved_model):
    """An app with a random model, which answers at once."""
    with running(tmp_path_factory.mktemp("monitored"), model=saved_model) as app:
        yield app.address


def test_an_alarm_is_seen_and_one_button_leads_back(visit):
    page = visit()
    open_tab(page, "Monitor")
    verdict = page.locator("#monitor-verdict")
    expect(verdict).to_contain_text("No edit is applied")
    open_tab(page, "Edit")
    page.click("#apply")
    finished(page)
    open_tab(page, "Monitor")
    expect(verdict).to_contain_text("Checked")  # by itself: nobody presses anything
    expect(verdict).to_contain_text("with 1 edit applied")
    expect(page.locator("#monitor-lead-plot .js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator("#monitor .js-plotly-plot")).to_have_count(1)
    expect(page.locator("#monitor-retention-fold > button")).to_contain_text("at every prompt")
    for name in ("metrics", "retention", "limits", "service"):
        open_fold(page, f"monitor-{name}")
    expect(page.locator("#monitor-service time")).not_to_contain_text("-")  # by the reader's clock
    expect(page.locator("#monitor-operations")).to_contain_text("Check-up")
    for name in ("kl", "retention"):
        expect(page.locator(f"#monitor-{name}-plot .js-plotly-plot .main-svg").first).to_be_visible()
    page.locator("#monitor-limit-kl input").fill("0")
    page.click("#monitor-save")
    expect(verdict).to_contain_text("the answers to other prompts have changed")
    expect(page.locator("#monitor-kl .beyond")).to_be_visible()
    expect(page.locator("#monitor-limits-fold > button")).to_contain_text("changed in this workspace")
    page.locator("#monitor .return summary").click()
    expect(page.locator("#monitor .return li")).to_have_text(["Slovenia → Antarctica"])
    everybody_can_use(page)
    page.locator("#monitor .return button").click()
    expect(verdict).to_contain_text("No edit is applied")
    expect(page.locator("#monitor-message")).to_contain_text("Undo reverses this")
    open_tab(page, "Edit")
    expect(page.locator("#edits")).not_to_contain_text("Slovenia → Antarctica")
