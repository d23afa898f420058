"""Pictures of a suppressed and of a not reversed fact: `python -m tests.browser.mask_pictures`.

Taken in Debian's Chromium on the bundled model and its own mask, into docs/pictures: the Edit tab under the mask, and of the
Inside tab who says the new object and who looks at the subject; each in light and dark.
"""

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.serving import CHROMIUM, PATIENCE, ROOT, serving

FACTS = {"suppressed": "slovenia", "not-reversed": "eiffel-tower"}
PICTURES = ROOT / "docs" / "pictures"


def main() -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as data, serving(Path(data)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, preset in FACTS.items():
            for theme in ("light", "dark"):
                page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
                page.set_default_timeout(PATIENCE * 1000)
                expect.set_options(timeout=PATIENCE * 1000)
                page.goto(f"{address}/?preset={preset}&mask=on&__theme={theme}")
                _edit_tab(page, f"mask-{name}-{theme}")
                _inside_tab(page, f"inside-{name}-{theme}")
                page.close()
        browser.close()


def _edit_tab(page: Page, name: str) -> None:
    page.wait_for_selector("#answer-base .said")
    expect(page.locator("#stop")).to_be_disabled()
    page.click("#apply")
    page.wait_for_selector("#ways-back table")
    expect(page.locator("#stop")).to_be_disabled()
    print(name, page.locator("#verdict h2").inner_text(), flush=True)
    page.mouse.move(0, 0)
    _take(page, name)


def _inside_tab(page: Page, name: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 1500})
    page.get_by_role("tab", name="Inside").click()
    expect(page.locator("#inside-attention-plot .js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator("#inside-mask p")).to_be_visible()
    expect(page.locator("#inside-stop")).to_be_disabled()
    page.evaluate("document.querySelector('#inside-contributions').scrollIntoView(); window.scrollBy(0, -260)")
    page.wait_for_timeout(800)
    _take(page, name)


def _take(page: Page, name: str) -> None:
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
