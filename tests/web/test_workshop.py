"""The Workshop tab without a browser: a scenario's steps one by one, its recovery, its workspace, and the editor."""

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pytest
from visitors import CAPITAL, TIMEOUT, FakeRequest, runs, wait_until

from editlab.errors import TooMany
from editlab.lab import Lab
from editlab.lab.access.limits import RateLimits
from editlab.lab.scenarios import Guess as GuessStep
from editlab.lab.scenarios import Library, Run
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.turns import Turns
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.workshop import stage
from editlab.web.workshop.card import beginning, width_of
from editlab.web.workshop.editor_handlers import EditorHandlers
from editlab.web.workshop.follow import FollowHandlers, PressedLook
from editlab.web.workshop.handlers import PressedStage, WorkshopHandlers
from editlab.web.workshop.stage import Stages

HEAD = """
title = "Slovenia"
shows = "It moves."
source = "a paper"
models = ["atlas"]
"""
SAY = '[[steps]]\ndo = "say"\ntext = "Look at this."\n'
ASK = '[[steps]]\ndo = "ask"\nprompt = "Slovenia lies in"\n'
EDIT = """[[steps]]
do = "edit"
subject = "Slovenia"
prompt = "{} belongs to the continent of"
new = "Antarctica"
true = "Europe"
expect = [{ is_not = "quite another thing" }, { is = "quite another thing" }, { p = "new", at_least = 2 }]
"""
GUESS = '[[steps]]\ndo = "guess"\nquestion = "Where is it?"\noptions = ["Asia", "Europe"]\nright = "Asia"\n'
NO_VIEW = '[[steps]]\ndo = "ask"\nprompt = "Slovenia lies in"\nviews = ["rep"]\n'
SWITCH = '[[steps]]\ndo = "switch"\nto = "undo"\n'
LOOK = '[[steps]]\ndo = "look"\ntab = "edit"\nnotice = "See."\nprobes = ["success"]\nmost = 1\n'
PICTURE = '[[steps]]\ndo = "look"\ntab = "keys"\npicture = "similarity"\nnotice = "Its key."\n'
EVENTS = '[[steps]]\ndo = "look"\ntab = "workspace"\npicture = "history"\nnotice = "Who did it."\n'


class Asked:
    """Keeps what the guesses are told."""

    def __init__(self) -> None:
        self.heard = []

    def ask(self, stage, step: GuessStep) -> None:
        self.heard.append(("ask", stage.place, step.right))

    def reveal(self, stage, step: GuessStep) -> None:
        self.heard.append(("reveal", stage.place, step.right))


class Presenter:
    """Somebody at the Workshop tab; `page` is what it shows."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name, self.guesses = lab, name, Asked()
        self.library = Library.of(lab.settings.presets, lab.ledger.folder)
        self.stages = Stages(lab)
        self.handlers = WorkshopHandlers(lab, self.library, self.stages, self.guesses, Display(lab, Turns()))
        self.editor, self.follow = EditorHandlers(self.handlers), FollowHandlers(self.handlers)
        self.page: dict = {}

    @property
    def visit(self) -> Visit:
        return Visit.of(self.lab, self.name, FakeRequest(self.name))

    @property
    def stage(self):
        return self.stages.of(self.visit.workspace)

    def does(self, handler: str, *fields, **url: str) -> str:
        """Run a handler to its end; returns the card without its tags."""
        handlers = self.editor if handler.startswith("editor") else self.handlers
        for update in runs(handlers, handler, self.name, *fields, **url):
            self.page |= update
        return self.text("stage")

    def presses(self, press: str, scenario: str = "mine", **more: str) -> str:
        return self.does("workshop_press", PressedStage(press=press, scenario=scenario, **more))

    def text(self, part: str) -> str:
        plain = re.sub(r"<[^>]+>", " ", str(self.page.get(part, ""))).replace("\N{NO-BREAK SPACE}", " ")
        return " ".join(unescape(plain).split())

    def downloads(self, part: str) -> str:
        """What the file holds to which a part of the page links."""
        token = re.search(r'href="exports/([\w-]+)"', str(self.page[part])).group(1)
        return self.lab.downloads.take(token, None).read_text(encoding="utf-8")

    def writes(self, steps: str, name: str = "mine") -> None:
        before = self.library.text(name) if self.library.is_own(name) else None
        self.library.save(name, HEAD + steps, before)


class Window:
    """Another window of a presenter; `page` is what it shows."""

    def __init__(self, presenter: Presenter, session: str) -> None:
        self.presenter, self.session, self.page = presenter, session, {}

    def does(self, handler: str, *fields, **url: str) -> None:
        handlers = self.presenter.follow if handler == "workshop_look" else self.presenter.handlers
        visit = Visit.of(self.presenter.lab, self.presenter.name, FakeRequest(self.session, url))
        for update in getattr(handlers, handler)(visit, *fields):
            self.page |= update

    def looks(self) -> str | None:
        """The card that a look has drawn; None where it was the same."""
        before = self.page
        self.page = {}
        stamp = re.search(r'data-stamp="(\w*)"', str(before["stage-nav"])).group(1)
        self.does("workshop_look", PressedLook(press="look", stamp=stamp))
        drawn, self.page = "stage" in self.page, before | self.page
        return Presenter.text(self, "stage") if drawn else None


@pytest.fixture
def presenter(lab, request) -> Presenter:
    return Presenter(lab, request.node.name[:60])


def test_every_kind_of_step_fills_the_stage(presenter, instant, few_probes):
    presenter.writes(SAY + ASK + EDIT + GUESS + LOOK + PICTURE + EVENTS + SWITCH)
    assert "Slovenia It moves. Not tried on" in presenter.does("workshop_load", scenario="mine")
    assert "Start" in presenter.text("stage-nav") and presenter.visit.workspace_info.name == "My edits"
    assert "Look at this." in presenter.presses("start") and "1 of 8" in presenter.text("stage-nav")
    assert "Slovenia lies in … Base model" in presenter.presses("next")
    card = presenter.presses("next")
    assert "belongs to the continent of Europe → Antarctica" in card and "Edited model" in card
    assert "≈ expected not “quite another thing” , as expected, but also without the edit" in card
    assert "✗ expected “quite another thing”: " in card and "✗ expected p(Antarctica) ≥ 200 %: " in card
    assert "Where is it? Asia Europe" in presenter.presses("next")
    presenter.presses("guess", option="Asia")
    assert 'aria-pressed="true">Asia' in presenter.page["stage"]
    card = presenter.presses("next")
    assert "Guessed: “Asia”. Right: “Asia” ✓ See. Efficacy The prompt of the edit itself (1 prompt)" in card
    assert "Open Edit" in card
    assert presenter.guesses.heard == [("ask", 3, "Asia"), ("reveal", 3, "Asia")]
    assert "Its key." in presenter.presses("next") and presenter.page["stage-plot"].layout.font.size >= 24
    assert "applied Slovenia → Antarctica" in presenter.presses("next") and presenter.page["stage-plot"] is None
    assert "The last change is undone Slovenia belongs to the continent of … Base model" in presenter.presses("next")
    assert "expectations met." in presenter.presses("next") and "The end" in presenter.text("stage-nav")
    assert "The last change is undone" in presenter.presses("back") and len(presenter.stage.workspace.records) == 0


def test_a_scenario_runs_in_a_workspace_of_its_own_and_never_clears_other_edits(presenter, instant):
    presenter.writes(EDIT)
    home = presenter.visit.workspace
    edits.apply(home, CAPITAL).result(TIMEOUT)
    presenter.presses("enter")
    assert presenter.visit.workspace_info.name == "Stage: mine"
    presenter.presses("next")
    first = presenter.visit.workspace
    presenter.presses("restart")
    assert presenter.visit.workspace is first and first.records == ()
    presenter.presses("next")
    edits.apply(first, CAPITAL, reason="somebody asked").result(TIMEOUT)
    presenter.presses("restart")
    assert presenter.visit.workspace_info.name == "Stage: mine 2" and len(first.records) == 2
    presenter.presses("close")
    assert presenter.visit.workspace is home and len(home.records) == 1 and "Go on, 1 step" in presenter.text("stage")
    again = Presenter(presenter.lab, presenter.name)  # the process began anew: what it had on the stage is begun again
    again.presses("enter")
    assert again.visit.workspace_info.name == "Stage: mine 2" and len(first.records) == 2


def test_a_reload_keeps_the_place_and_goes_back_to_results_without_performing_them_again(presenter, instant):
    presenter.writes(SAY + EDIT + ASK)
    for press in ("start", "next", "next", "back"):
        presenter.presses(press)
    result = presenter.stage.result
    presenter.page = {}
    assert "→ Antarctica" in presenter.does("workshop_load", scenario="mine") and presenter.stage.result is result
    assert "→ Antarctica" in presenter.does("workshop_open") and "2 of 3" in presenter.text("stage-nav")
    assert presenter.presses("again") and presenter.stage.result is not result
    assert len(presenter.stage.workspace.records) == 1


def test_a_step_that_fails_says_why_and_the_ways_on_work(presenter, instant):
    presenter.writes(SAY + ASK + 'views = ["rep"]\n' + ASK)
    presenter.presses("start")
    card = presenter.presses("next")
    assert "There is no view 'rep' here, only base." in card and "Again Leave out Back to the last step that worked" in card
    assert "There is no view 'rep'" in presenter.presses("again")
    assert "Look at this." in presenter.presses("good")
    presenter.presses("next")
    assert "Base model" in presenter.presses("skip") and "3 of 3" in presenter.text("stage-nav")
    assert "This step was left out." in presenter.presses("back") and "Base model" in presenter.presses("next")
    assert "1 step not performed" in presenter.presses("next")


def test_a_step_can_be_stopped_and_leaves_the_edits_as_they_were(presenter, endless):
    presenter.writes(EDIT)
    presenter.presses("enter")
    running = runs(presenter.handlers, "workshop_press", presenter.name, PressedStage(press="next", scenario="mine"))
    for update in running:
        presenter.page |= update
        if presenter.visit.workspace.busy:
            presenter.does("workshop_stop")
    card = presenter.text("stage")
    assert "Stopped" in card and "Again" in card and presenter.stage.workspace.records == ()


def test_what_the_address_or_the_page_asks_for_in_vain_is_a_sentence(presenter):
    presenter.does("workshop_load", scenario="none")
    assert "There is no scenario 'none'" in presenter.text("message")
    presenter.does("workshop_load")
    presenter.writes(GUESS + SAY)
    presenter.presses("start")
    presenter.presses("guess", option="Peru")
    assert "This is not asked any more." in presenter.text("message")


def test_a_fault_of_ours_leaves_no_half_card_on_the_stage(presenter, monkeypatch):
    presenter.writes(SAY + ASK)
    presenter.presses("start")
    monkeypatch.setattr(Run, "_ask", lambda *given: 1 / 0)
    card = presenter.presses("next")
    assert "Slovenia lies in … Base model" not in card and "2 of 2" in presenter.text("stage-nav")
    assert "EditLab failed unexpectedly." in presenter.text("message") and presenter.page["progress"] == ""


def test_an_error_of_the_picture_stands_on_the_card(presenter, instant, monkeypatch):
    presenter.writes(PICTURE)
    assert "Apply an edit first" in presenter.presses("start")


def test_the_list_says_what_to_expect_and_names_what_cannot_be_read(presenter):
    presenter.writes(SAY)
    (presenter.library.own / "torn.toml").write_text("title =")
    text = presenter.does("workshop_open")
    assert "15 scenarios, 0 of them tried on" in text and "Slovenia moves to Antarctica" in text and "your own" in text
    assert "torn.toml is not TOML" in text
    (presenter.library.own / "torn.toml").unlink()


def test_what_was_done_on_the_stage_is_shown_on_the_edit_tab_once(presenter, instant):
    presenter.writes(EDIT)
    own = OwnProbes()
    assert presenter.does("workshop_left", own) == ""
    presenter.presses("enter")
    presenter.presses("next")
    presenter.does("workshop_left", own)
    assert presenter.page["subject"] == "Slovenia" and "Stage: mine" in presenter.text("where")
    presenter.page = {}
    presenter.does("workshop_left", own)
    assert presenter.page == {}


def test_a_show_that_has_begun_keeps_its_scenario_whatever_becomes_of_the_file(presenter, instant):
    shown = SAY + SAY.replace("this", "that") + SAY.replace("this", "both")
    presenter.writes(shown)
    presenter.presses("enter")
    presenter.presses("start")
    begun = presenter.stage
    presenter.writes(EDIT + GUESS + SAY)
    for press, said in (("next", "that"), ("back", "this"), ("again", "this"), ("start", "this"), ("skip", "that")):
        assert f"Look at {said}." in presenter.presses(press) and presenter.stage is begun
    presenter.library.delete("mine", presenter.library.text("mine"))
    assert "Look at both." in presenter.presses("next") and presenter.text("message") == ""
    for handler, url in (("workshop_load", {"scenario": "mine"}), ("workshop_open", {})):
        presenter.page = {}
        assert "Look at both." in presenter.does(handler, **url)
    presenter.presses("report")
    assert "Look at both." in presenter.downloads("message") and "mine.toml" in presenter.downloads("message")
    assert "It moves." in presenter.presses("restart") and presenter.stage is begun
    assert "Look at this." in presenter.presses("next")
    assert presenter.stage.workspace.records == () and presenter.guesses.heard == []


def test_a_change_of_the_file_counts_from_the_beginning_of_a_show_on(presenter):
    presenter.writes(SAY)
    presenter.presses("enter")
    presenter.writes(SAY.replace("this", "that"))
    assert "Look at that." in presenter.presses("start")
    presenter.writes(SAY.replace("this", "both"))
    presenter.presses("restart")
    assert "Look at both." in presenter.presses("start")
    presenter.writes(SAY)
    presenter.presses("enter")
    assert "Look at this." in presenter.presses("next")


# --- The editor -----------------------------------------------------------------------------------------------------


def test_a_scenario_is_opened_checked_saved_and_deleted(presenter):
    presenter.does("workshop_open")
    presenter.presses("edit", "letter")
    assert presenter.page["editor-name"] == "my-letter" and "A letter from" in presenter.page["editor-text"]
    assert "is bundled" in presenter.text("editor-said")
    text = presenter.page["editor-text"]
    presenter.does("editor_check", "my-letter", text)
    assert "Its form is right: 6 steps for smollm2-135m" in presenter.text("message")
    presenter.does("editor_check", "", text.replace('do = "ask"', 'do = "sing"', 1))
    assert "'sing' is no kind of step" in presenter.text("message") and "step " in presenter.text("message")
    presenter.does("editor_save", "my-letter", text)
    assert "Saved as “my-letter”" in presenter.text("message") and "your own" in presenter.text("stage")
    presenter.does("editor_save", "my-letter", text + "\n")
    assert presenter.library.text("my-letter") == text + "\n"
    other = Presenter(presenter.lab, "somebody else")
    other.does("editor_save", "my-letter", text)
    assert "There is another scenario 'my-letter'" in other.text("message")
    other.does("editor_delete", "my-letter")
    assert "Open the scenario 'my-letter' first" in other.text("message") and other.library.is_own("my-letter")
    other.presses("edit", "my-letter")
    presenter.does("editor_save", "my-letter", text)
    other.does("editor_delete", "my-letter")
    assert "'my-letter' was changed meanwhile" in other.text("message") and other.library.is_own("my-letter")
    presenter.does("editor_delete", "my-letter")
    assert "Deleted “my-letter”" in presenter.text("message") and not presenter.library.is_own("my-letter")
    presenter.does("editor_delete", "my-letter")
    assert "There is no own scenario 'my-letter'" in presenter.text("message")


def test_who_saves_or_deletes_a_scenario_is_in_the_log(lab, presenter, caplog):
    visit = Visit(lab, "ana's id", "a session", "ana")
    with caplog.at_level(logging.INFO, "editlab"):
        for _ in presenter.editor.editor_save(visit, "logged", HEAD + SAY):
            pass
        for _ in presenter.editor.editor_delete(visit, "logged"):
            pass
    entries = [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == "scenario"]
    of = {"event": "scenario", "name": "logged", "by": "ana"}
    assert entries == [of | {"change": "saved"}, of | {"change": "deleted"}]


def test_a_demo_counts_what_steps_cost_and_keeps_no_scenario(tiny_llama, facts, instant, monkeypatch):
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=2, settings=Settings(demo=True))
    try:
        presenter, spent = Presenter(lab, "d" * 22), []
        presenter.writes(EDIT + 'also = [{ subject = "Japan", prompt = "The capital of {} is", new = "Berlin" }]\n' + ASK)
        monkeypatch.setattr(RateLimits, "spend", lambda self, cost: spent.append(cost))
        presenter.presses("start")
        presenter.presses("next")
        assert [(cost.edits, cost.prompts > 0) for cost in spent] == [(2, True), (0, True)]

        def refuse(self, cost):
            raise TooMany("This public demo allows no more. Try again in 5 minutes.")

        monkeypatch.setattr(RateLimits, "spend", refuse)
        assert "Try again in 5 minutes. Again Leave out" in presenter.presses("again")
        presenter.does("editor_save", "another", HEAD + SAY)
        assert "Scenarios cannot be saved on this public demo." in presenter.text("message")
    finally:
        lab.close()


def test_another_window_follows_the_stage_and_the_next_scenario(presenter, instant):
    presenter.writes(SAY + ASK)
    presenter.writes(ASK, name="other")
    beamer = Window(presenter, "beamer")
    presenter.does("workshop_load", scenario="mine")
    beamer.does("workshop_load", scenario="mine")
    assert beamer.looks() is None  # nothing has begun
    presenter.presses("start")
    assert "Look at this." in beamer.looks()
    assert beamer.looks() is None  # as it shows it
    presenter.presses("next")
    assert "Slovenia lies in … Base model" in beamer.looks()
    reading = Window(presenter, "laptop")
    reading.does("workshop_load", scenario="other")
    assert reading.looks() is None  # opened on purpose, while another one runs
    presenter.presses("start", scenario="other")
    assert "Slovenia lies in" in beamer.looks() and 'data-scenario="other"' in beamer.page["stage"]
    assert "Slovenia lies in" in reading.looks()
    presenter.presses("close")
    assert beamer.looks() is None  # it keeps what it shows


def test_another_window_sees_a_step_that_runs(presenter, instant):
    presenter.writes(EDIT)
    beamer = Window(presenter, "beamer")
    presenter.does("workshop_load", scenario="mine")
    beamer.does("workshop_load", scenario="mine")
    steps = runs(presenter.handlers, "workshop_press", presenter.name, PressedStage(press="start", scenario="mine"))
    next(steps)
    assert "Edited model …" in beamer.looks() and beamer.page["stop"]["interactive"]
    list(steps)
    assert "p(Antarctica) ≥ 200 %" in beamer.looks() and not beamer.page["stop"]["interactive"]


def test_of_two_presses_each_counts_but_none_while_a_step_is_performed(presenter, lab, instant):
    presenter.writes(
        SAY + SAY.replace("this", "that") + SAY.replace("this", "both") + EDIT + SAY.replace("this", "it again")
    )
    presenter.presses("start")
    release = threading.Event()
    with ThreadPoolExecutor(2) as hands:
        list(hands.map(presenter.presses, ("next", "next")))
        assert presenter.stage.place == 2 and "3 of 5" in presenter.text("stage-nav")
        lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
        editing = hands.submit(presenter.presses, "next")
        wait_until(lambda: presenter.stage.performing and presenter.stage.workspace.busy)
        for press in ("next", "back", "restart", "close"):
            presenter.presses(press)
            assert "this press did not count" in presenter.text("message") and presenter.stage.place == 3
        release.set()
        assert "p(Antarctica) ≥ 200 %" in editing.result(TIMEOUT) and presenter.text("message") == ""
    assert "Look at it again." in presenter.presses("next")


def test_a_start_that_is_pressed_twice_begins_once(presenter, lab, instant):
    presenter.writes(EDIT)
    presenter.does("workshop_load", scenario="mine")
    release = threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    with ThreadPoolExecutor(3) as hands:
        starts = [hands.submit(presenter.presses, "start") for _ in range(3)]
        wait_until(lambda: sum(start.done() for start in starts) == 2)
        assert "this press did not count" in presenter.text("message")
        release.set()
        assert all(start.result(TIMEOUT) for start in starts)
    assert "Edited model" in presenter.text("stage") and "Wait for it" not in presenter.text("stage")
    assert len(presenter.stage.workspace.records) == 1


def test_a_page_that_is_closed_in_the_middle_of_a_press_stops_nobody(presenter, instant, monkeypatch):
    presenter.writes(SAY + EDIT)
    presenter.presses("start")
    monkeypatch.setattr(stage, "PRESS_SECONDS", 0.1)
    abandoned = runs(presenter.handlers, "workshop_press", presenter.name, PressedStage(press="next", scenario="mine"))
    next(abandoned)
    assert presenter.stage.performing and not presenter.stage.workspace.busy
    assert "Look at this." in presenter.presses("back")
    abandoned.close()
    assert "p(Antarctica) ≥ 200 %" in presenter.presses("next")


def test_an_answers_text_ends_with_a_sentence_or_a_word():
    assert beginning("Europe. It lies in the Alps.", 90) == "Europe. It lies in the Alps."
    assert beginning("Europe. It lies in the Alps. The capital of it is", 30) == "Europe. It lies in the Alps."
    assert beginning("Europe, and it lies in the Alps and goes on", 30) == "Europe, and it lies in the …"
    assert beginning("x" * 50, 30) == "x" * 30 + " …"


def test_the_size_of_answers_follows_their_longest_word_and_their_length():
    assert width_of("Antarctica") < width_of("MMMMMMMMMM")
    assert width_of("the largest of the seven continents of our planet") > width_of("continents")
    assert width_of("东京都") > width_of("abc")


def test_a_report_says_what_was_played_left_out_and_guessed(presenter, instant):
    presenter.writes(SAY + GUESS + EDIT + NO_VIEW + SWITCH)
    presenter.does("workshop_open")
    assert "Report" not in presenter.text("stage")
    presenter.presses("report")
    assert "Start it first" in presenter.text("message")
    presenter.presses("start")
    presenter.presses("next")
    presenter.presses("guess", option="Europe")
    presenter.presses("report")
    assert "Nothing was expected, 3 steps not played." in presenter.downloads("message")
    presenter.presses("next")
    presenter.presses("next")
    presenter.presses("skip")
    presenter.presses("next")
    assert "Report Download mine-report.html" in presenter.presses("report")
    html = presenter.downloads("stage")
    assert "<h2>1. Look at this.</h2>" in html and "Guessed: Europe." in html
    assert "≈ met anyway" in html and "✗ not met" in html and "p(new) at least 2" in html
    assert "0 of 3 expectations met, 1 step could not be performed, 1 step left out." in html
    assert "There is no view" in html and "This step was left out." in html and "not played" not in html
    presenter.presses("close")
    assert "Report Download mine-report.html" in presenter.presses("report")
    assert "Look at this." in presenter.downloads("stage")
