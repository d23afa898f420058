"""The page in a frame, as a notebook's cell shows it: for the notebook's own site, and for no other."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

import editlab


@contextlib.contextmanager
def site(pages: dict[str, str]) -> Iterator[str]:
    """A site that shows a page."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages["cell"].encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def notebooks(saved_model, tmp_path_factory) -> Iterator[tuple[str, str]]:
    """The notebook's site, and another one that shows the same cell."""
    pages = {}
    settings = {"model": str(saved_model), "data": tmp_path_factory.mktemp("data")}
    with site(pages) as own, site(pages) as other:
        shown = editlab.show("team", frame_ancestors=own, check_ups=False, measure_statistics=False, **settings)
        pages["cell"] = f"<!doctype html><link rel=icon href='data:,'>{shown._repr_html_()}"
        yield own, other
        shown.close()


def test_a_cell_shows_its_workspace_and_another_site_nothing(browser, notebooks):
    own, other = notebooks
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(180_000)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(own)
    frame = page.frame_locator("iframe")
    expect(frame.locator("#where")).to_contain_text("team")
    expect(frame.locator("#link")).to_have_text("")  # nobody has to be asked whether to open it
    expect(frame.locator("#answer-base .said")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert said == []

    page.goto(other)
    page.wait_for_timeout(1_000)
    expect(frame.locator("body")).not_to_contain_text("EditLab")
    assert any("frame-ancestors" in text for text in said), said
    context.close()
