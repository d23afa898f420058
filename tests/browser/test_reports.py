"""A report is taken away from the page, opened from the disk without a network, and printed; a figure is saved."""

import csv
import io
import re

from chromium import PATIENCE_SECONDS
from playwright.sync_api import Page, expect
from steps import open_tab
from tabs import open_fold, plot

from editlab.exports import pdf


def saved(page: Page, button: str) -> bytes:
    """Press a button and return the file that it saves."""
    with page.expect_download() as download:
        page.locator(button).first.click()
    return download.value.path().read_bytes()


def test_a_report_is_taken_away_opened_without_a_network_and_printed(edited, browser, tmp_path):
    edited.click("#report")
    with edited.expect_download() as download:
        edited.locator("#report-file a", has_text="report.html").click()
    path = tmp_path / "report.html"
    download.value.save_as(path)
    assert 4e6 < path.stat().st_size < 8e6, "plotly.js once, and the figures"

    asked, complaints = [], []
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    expect(page.locator(".change")).to_have_text(re.compile("Europe.*Antarctica"))
    expect(page.locator(".change")).to_be_in_viewport(ratio=1)
    expect(page.locator("[data-figure].js-plotly-plot .main-svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("summary", has_text="probes").click()
    probes = list(csv.DictReader(io.StringIO(saved(page, "[data-table=probes-1]").decode("utf-8-sig"))))
    assert len(probes) == page.locator("#probes-1 tbody tr").count() and probes[0]["Edited model: verdict"] == "changed"
    assert saved(page, "[data-save=png]").startswith(b"\x89PNG") and b"<svg" in saved(page, "[data-save=svg]")
    points = list(csv.DictReader(io.StringIO(saved(page, "[data-save=csv]").decode("utf-8-sig"))))
    assert {"base model: Europe", "edited: Antarctica"} <= {row["series"] for row in points}
    outside = [url for url in asked if not url.startswith(("blob:null/", "data:"))]  # the rest is in its own memory
    assert outside == [path.as_uri()] and complaints == []
    context.close()

    pdf.print_page(pdf.need_browser(), path, tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_figure_of_the_page_is_saved_with_its_numbers(edited):
    open_tab(edited, "Keys")
    open_fold(edited, "keys-similarity")
    expect(edited.locator("#keys-lead-plot .main-svg").first).to_be_visible()
    expect(edited.locator("#keys-stop")).to_be_disabled()
    picture = plot(edited, "keys", "similarity")
    expect(edited.locator(f"{picture} .main-svg").first).to_be_visible()
    button = f"[data-save={{}}][data-plot={picture.removeprefix('#')}]"
    assert saved(edited, button.format("png")).startswith(b"\x89PNG") and b"<svg" in saved(edited, button.format("svg"))
    rows = list(csv.DictReader(io.StringIO(saved(edited, button.format("csv")).decode("utf-8-sig"))))
    own = [float(row["x"]) for row in rows if row["y"] == "the edit’s own prompt"]
    assert own == [1.0] or all(abs(x - 1) < 1e-4 for x in own)
    assert {"another name", "other subjects", "random words"} <= {row["y"] for row in rows}
