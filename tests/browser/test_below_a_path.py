"""The page below a path that a proxy takes off and tells nobody of, as JupyterHub and VS Code show a port."""

import pytest
from playwright.sync_api import expect
from stand_in import StandIn, below
from steps import LEAVING, apply
from tabs import open_fold
from test_join_page import opens_a_workshop
from test_workspace_tab import opened

BELOW = "/user/ana/proxy/7860"


@pytest.fixture(scope="module")
def proxy(bundled_app):
    return StandIn(bundled_app, BELOW)


@pytest.fixture(scope="module")
def app(proxy):
    with below(proxy) as address:
        yield address


def test_an_edit_a_download_an_upload_and_a_join_link_stay_below_the_path(visit, proxy, app, tmp_path):
    page = visit()
    apply(page)
    opened(page)
    open_fold(page, "workspace-bundles")
    page.click("#workspace-pack")
    with page.expect_download() as download:
        page.locator("#workspace-bundle a").click()
    download.value.save_as(tmp_path / "bundle.zip")
    page.locator("#workspace-file input, input[type=file][accept='.zip']").last.set_input_files(tmp_path / "bundle.zip")
    expect(page.locator("#workspace-head h2")).to_have_text("My edits 2")
    link = opens_a_workshop(page)
    assert link.startswith(f"{app}/join/")
    LEAVING.add(page)
    page.goto(link)
    expect(page.locator("h1")).to_have_text("Editing facts")
    assert proxy.passed == []  # nothing was asked of the site's other programs
