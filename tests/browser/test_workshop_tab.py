"""The Workshop tab: a scenario from the list, walked through by keys, a step that fails, and a scenario of one's own."""

import re

import pytest
from app_process import running
from playwright.sync_api import expect
from steps import field, looks, open_tab, reload, violations

SCENARIO = """
title = "Slovenia moves"
shows = "One edit moves it."
source = "a paper"
models = ["atlas"]

[[steps]]
do = "say"
text = "Nobody retrains this model."

[[steps]]
do = "edit"
subject = "Slovenia"
prompt = "{} belongs to the continent of"
new = "Antarctica"
true = "Europe"
settings = { steps = 2 }
expect = [{ p = "new", at_least = 0 }]

[[steps]]
do = "ask"
prompt = "Slovenia lies in"
views = ["rep"]

[[steps]]
do = "guess"
question = "Is it still in Europe?"
options = ["yes", "no"]
right = "no"

[[steps]]
do = "look"
tab = "keys"
picture = "similarity"
notice = "The edit hears its own key best."
"""
CROWDED = """
title = "Much at once"
shows = "Everything fits."
source = "a paper"
models = ["atlas"]

[[steps]]
do = "edit"
subject = "Slovenia"
prompt = "{} belongs to the continent of"
new = "Antarctica"
true = "Europe"
settings = { steps = 2 }
expect = [
    { p = "new", at_least = 0 },
    { p = "true", at_least = 0 },
    { is_not = "one thing" },
    { is_not = "another thing" },
    { is = "Antarctica" },
    { contains = "Antarctica" },
]

[[steps]]
do = "guess"
question = "Where is it?"
options = ["Asia", "Europe"]
right = "Asia"

[[steps]]
do = "look"
tab = "keys"
picture = "similarity"
notice = "The edit hears its own key best."
"""
SPOKEN = """
title = "Four sentences"
shows = "Nothing."
source = "here"
models = ["atlas"]

[[steps]]
do = "say"
text = "One."

[[steps]]
do = "say"
text = "Two."

[[steps]]
do = "say"
text = "Three."

[[steps]]
do = "say"
text = "Four."
"""
BOUNCE = """() => {
  for (const repeat of [false, false, true]) {
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "PageDown", repeat, bubbles: true }));
  }
}"""
"""A key that goes down twice at once, and stays down."""
SIZE = "selector => parseFloat(getComputedStyle(document.querySelector(selector)).fontSize)"


@pytest.fixture(scope="module")
def app(tmp_path_factory, saved_model):
    """An app with a random model, which answers at once, and one own scenario."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "data" / "scenarios").mkdir(parents=True)
    (folder / "data" / "scenarios" / "mine.toml").write_text(SCENARIO)
    (folder / "data" / "scenarios" / "crowded.toml").write_text(CROWDED)
    (folder / "data" / "scenarios" / "spoken.toml").write_text(SPOKEN)
    with running(folder, model=saved_model, check_ups=False) as app:
        yield app.address


def stands_at(page, place):
    """Wait until a step is shown with all that comes of it."""
    expect(page.locator("#stage-nav .place")).to_have_text(place)
    expect(page.locator("#stage-progress progress")).to_have_count(0)
    expect(page.locator("#stage-stop")).to_be_hidden()


def test_a_scenario_fills_the_screen_and_is_walked_through_by_keys(visit):
    page = visit(size="wide")
    open_tab(page, "Workshop")
    page.click("#stage [data-press=enter][data-scenario=mine]")
    expect(page.locator("#stage .headline")).to_have_text("Slovenia moves")
    page.keyboard.press("p")
    for part in ("#head", ".tab-wrapper", "#editor"):
        expect(page.locator(part).first).to_be_hidden()
    page.keyboard.press("PageDown")
    stands_at(page, "1 of 5")
    expect(page.locator("#stage .headline")).to_have_text("Nobody retrains this model.")
    page.keyboard.press("ArrowRight")
    stands_at(page, "2 of 5")
    expect(page.locator("#stage .answer.edited .met-anyway")).to_contain_text("also without the edit")
    sizes = {part: page.evaluate(SIZE, f"#stage {part}") for part in (".headline", ".said", ".marks li", ".answer .text")}
    assert sizes[".headline"] >= 72 and min(sizes.values()) >= 40
    box = page.locator("#stage-room").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1920, 1080)

    page.keyboard.press(" ")  # a step that fails
    stands_at(page, "3 of 5")
    expect(page.locator("#stage .trouble")).to_contain_text("There is no view 'rep' here")
    reload(page)
    expect(page.locator("#stage .trouble")).to_contain_text("There is no view 'rep' here")  # in place, still presenting
    expect(page.locator("#head")).to_be_hidden()
    page.locator("#stage .trouble button", has_text="Back to the last step that worked").click()
    stands_at(page, "2 of 5")
    page.keyboard.press("PageDown")
    expect(page.locator("#stage .trouble")).to_be_visible()
    page.locator("#stage .trouble button", has_text="Leave out").click()
    stands_at(page, "4 of 5")

    page.locator("#stage .options button", has_text="yes").click()
    expect(page.locator("#stage .options [aria-pressed=true]")).to_have_text("yes")
    page.keyboard.press("PageDown")
    stands_at(page, "5 of 5")
    expect(page.locator("#stage .told")).to_contain_text("Guessed: “yes”. Right: “no”")
    picture = page.locator("#stage-plot .main-svg").first
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('#stage-plot .main-svg').getBoundingClientRect().height > 600")
    page.keyboard.press("PageUp")
    stands_at(page, "4 of 5")
    page.keyboard.press("Escape")
    expect(page.locator("#head")).to_be_visible()
    assert "present" not in page.url and "scenario=mine" in page.url
    page.keyboard.press("PageDown")  # no key goes on now
    stands_at(page, "4 of 5")
    for _ in looks(page):
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.keyboard.press("p")
    for _ in looks(page):
        assert violations(page) == []
    page.keyboard.press("p")
    open_tab(page, "Edit")  # what was done on the stage stands there
    expect(page.locator("#where")).to_contain_text("Stage: mine")
    expect(page.locator("#answer-edited .said")).to_be_visible()


def test_a_second_window_follows_and_however_much_a_step_shows_it_fits(visit, app):
    laptop = visit(size="wide")
    open_tab(laptop, "Workshop")
    laptop.click("#stage [data-press=enter][data-scenario=crowded]")
    laptop.keyboard.press("p")
    beamer = laptop.context.new_page()
    beamer.set_viewport_size({"width": 1024, "height": 600})
    beamer.goto(f"{app}/?scenario=crowded&present=1")
    expect(beamer.locator("#stage .headline")).to_have_text("Much at once")
    laptop.keyboard.press("PageDown")
    for page in (laptop, beamer):
        stands_at(page, "1 of 3")
        expect(page.locator("#stage .answer.edited .marks li")).to_have_count(6)
        page.wait_for_function("document.getElementById('stage-room').scrollHeight <= innerHeight")
        for part in page.locator("#stage .answer, #stage .marks li, #stage-nav button:visible").all():
            box = part.bounding_box()
            assert box["y"] >= 0 and box["y"] + box["height"] <= page.viewport_size["height"] + 1
    laptop.keyboard.press("PageDown")
    stands_at(beamer, "2 of 3")
    beamer.locator("#stage .options button", has_text="Europe").click()
    expect(laptop.locator("#stage .options [aria-pressed=true]")).to_have_text("Europe")
    beamer.keyboard.press("PageUp")
    stands_at(laptop, "1 of 3")
    expect(laptop.locator("#stage .answer.edited .said")).to_be_visible()


def test_two_presses_are_two_steps_and_a_clicker_that_bounces_is_one(visit):
    page = visit(size="wide")
    open_tab(page, "Workshop")
    page.click("#stage [data-press=enter][data-scenario=spoken]")
    page.keyboard.press("p")
    expect(page.locator("#stage .headline")).to_have_text("Four sentences")
    for _ in range(3):
        page.keyboard.press("PageDown")
        page.wait_for_timeout(150)  # as fast as a hand
    stands_at(page, "3 of 4")
    page.evaluate(BOUNCE)
    stands_at(page, "4 of 4")
    page.keyboard.press("PageUp")
    stands_at(page, "3 of 4")


def test_a_report_of_a_scenario_opens_without_a_network(visit, browser, tmp_path):
    page = visit()
    open_tab(page, "Workshop")
    page.click("#stage [data-press=enter][data-scenario=crowded]")
    for place in ("1 of 3", "2 of 3", "3 of 3", "The end"):
        page.click("#stage-nav .go")
        stands_at(page, place)
    page.click("#stage [data-press=report]")
    with page.expect_download() as got:
        page.locator("#stage .is-end a", has_text="crowded-report.html").click()
    path = tmp_path / "report.html"
    got.value.save_as(path)
    page.click("#stage-nav [data-press=close]")
    link = page.locator("#stage li", has_text="Much at once").locator("a")  # in the list as well
    page.click("#stage [data-press=report][data-scenario=crowded]")
    expect(link).to_be_visible()
    expect(link).to_contain_text("crowded-report.html")

    asked, complaints = [], []
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    opened = context.new_page()
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(path.as_uri())
    expect(opened.locator("h1")).to_have_text("Much at once")
    expect(opened.locator("#expected-1 tbody tr")).to_have_count(6)
    expect(opened.locator("[data-figure].js-plotly-plot .main-svg").first).to_be_visible()
    expect(opened.locator("pre", has_text="editlab scenario run crowded.toml")).to_be_visible()
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    assert [url for url in asked if not url.startswith(("blob:null/", "data:"))] == [path.as_uri()] and complaints == []
    context.close()


def test_a_scenario_is_written_on_the_page(visit):
    page = visit()
    open_tab(page, "Workshop")
    page.click("#stage [data-press=edit][data-scenario=mine]")
    text = field(page, "editor-text")
    expect(text).to_have_value(re.compile("Slovenia moves"))
    text.fill(SCENARIO.replace('do = "say"', 'do = "sing"'))
    page.click("#editor-check")
    expect(page.locator("#editor-said .problem")).to_contain_text("step 1: 'sing' is no kind of step")
    text.fill(SCENARIO.replace("Slovenia moves", "Slovenia goes"))
    page.keyboard.press("p")  # while writing it is a letter
    expect(page.locator("#head")).to_be_visible()
    text.fill(SCENARIO.replace("Slovenia moves", "Slovenia goes"))
    page.click("#editor-save")
    expect(page.locator("#editor-said")).to_contain_text("Saved as “mine”")
    expect(page.locator("#stage .scenarios")).to_contain_text("Slovenia goes")
    with page.expect_download() as got:
        page.click("#editor-take [data-take=download]")
    assert got.value.suggested_filename == "mine.toml"
    for _ in looks(page):
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
