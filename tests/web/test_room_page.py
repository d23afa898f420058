"""The presenter's panel without a browser: a workshop opens, shows who is there and what they guess, and ends."""

import re
from types import MappingProxyType, SimpleNamespace

import pytest
import segno
from visitors import CONTINENT, TIMEOUT, FakeRequest

from editlab.errors import BadRequest
from editlab.lab.scenarios import Guess
from editlab.lab.workspaces import edits
from editlab.web.core.visit import Visit
from editlab.web.workshop.room_code import link_of, qr, warning
from editlab.web.workshop.room_guesses import RoomGuesses
from editlab.web.workshop.room_handlers import PressedRoom, RoomHandlers
from editlab.web.workshop.room_words import LOOPBACK, PLAIN_HTTP, ago

ORIGIN = "http://192.168.1.5:7860"


class Url:
    """An address's scheme."""

    scheme = "http"


class Request(FakeRequest):
    """A request of the presenter's browser."""

    url = Url()
    headers = MappingProxyType({"host": "192.168.1.5:7860"})


@pytest.fixture
def lab(opened, instant, tmp_path):
    lab = opened(tmp_path / "data")
    edits.apply(lab.workspace(lab.directory.current("ana").id), CONTINENT).result(TIMEOUT)
    return lab


@pytest.fixture
def panel(lab):
    """`panel(handler, ...)` runs a handler of ana's panel and returns all that it shows."""
    handlers = RoomHandlers(lab)

    def run(name, *given, visitor="ana", **pressed):
        visit = Visit.of(lab, visitor, Request("s"))
        given = (PressedRoom.model_validate(pressed),) if pressed else given
        shown = {}
        for update in getattr(handlers, name)(visit, *given):
            shown |= update
        return shown

    return run


@pytest.fixture
def room(lab, panel):
    """A workshop that ana has opened on the page."""
    assert "is open. People can join" in panel("room_begin", "Editing facts", 8, 60)["message"]
    return lab.workshops.latest("ana")


def text(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_panel_shows_the_link_as_the_presenters_browser_sees_the_server(panel, room):
    shown = panel("room_open")
    assert f"{ORIGIN}/join/{room.code}" in shown["room-door"] and "<svg" in shown["room-door"]
    assert PLAIN_HTTP in text(shown["room-door"]) and "0 of 60 have joined" in shown["room-people"]


def test_nobody_else_sees_it(panel, room):
    shown = panel("room_open", visitor="ben")
    assert shown == {"room-door": "", "room-people": "", "room-guesses": ""}
    assert panel("room_press", press="close", visitor="ben") == {} and room.open


@pytest.mark.parametrize("hours", [None, 8])
def test_an_empty_field_is_a_sentence(panel, hours):
    shown = panel("room_begin", "Editing facts", hours, None)
    assert "Write how many hours" in shown["message"]


def test_the_people_stand_in_a_table_with_what_they_did(lab, panel, room):
    one, _ = lab.workshops.join(room.code), lab.workshops.join(room.code)
    edits.apply(lab.workspace(one.workspace), CONTINENT).result(TIMEOUT)
    shown = panel("room_press", press="look")
    assert "1 1 now now" in text(shown["room-people"]) and "2 0 – now" in text(shown["room-people"])
    assert one.id not in shown["room-people"] and one.handle not in shown["room-people"]


def stamps(shown):
    return {
        name: re.search(r'data-stamp="(\w+)"', shown[f"room-{name}"])[1]
        for name in ("people", "guesses")
        if isinstance(shown[f"room-{name}"], str)
    }


def test_a_look_draws_only_what_is_new(lab, panel, room):
    lab.workshops.join(room.code)
    first = panel("room_press", press="look")
    again = panel("room_press", press="look", **stamps(first))
    assert not any(isinstance(html, str) for html in again.values())
    lab.workshops.join(room.code)
    third = panel("room_press", press="look", **stamps(first))
    assert isinstance(third["room-people"], str) and not isinstance(third["room-guesses"], str)


def test_the_guesses_are_bars_and_the_right_one_is_marked_once_it_is_told(lab, panel, room):
    one = lab.workshops.join(room.code)
    question = lab.workshops.ask("ana", room.id, "Where is <Ljubljana>?", ("Europe", "Antarctica"), 0)
    lab.workshops.guess(one, question.id, 1)
    shown = panel("room_open")["room-guesses"]
    assert "1 guess" in shown and "✓" not in shown and "&lt;Ljubljana&gt;" in shown and "<Ljubljana>" not in shown
    told = panel("room_press", press="reveal")
    assert "✓" in told["room-guesses"] and "The answer is told" in told["message"]
    assert "deleted" in panel("room_press", press="forget")["message"]
    assert lab.workshops.question("ana", room.id).guesses == 0
    panel("room_press", press="withdraw")
    assert "Go to a guess" in panel("room_press", press="reveal")["message"]


def test_a_press_removes_resets_and_closes(lab, panel, room):
    one, two = lab.workshops.join(room.code), lab.workshops.join(room.code)
    lab.workspace(one.workspace).clear()
    assert "the edits of the beginning" in panel("room_press", press="reset", number=1)["message"]
    assert len(lab.workspace(one.workspace).records) == 1
    assert "Participant 2 is gone" in panel("room_press", press="remove", number=2)["message"]
    assert "no such participant" in panel("room_press", press="remove", number=2)["message"]
    closed = panel("room_press", press="close")
    assert "is closed" in closed["message"] and "<svg" not in closed["room-door"] and room.code not in closed["room-door"]
    assert "Open the form" not in closed["room-door"] and not lab.workshops.latest("ana").open
    assert two.number == 2


def test_the_results_are_a_file_that_the_presenter_downloads(lab, panel, room):
    lab.workshops.join(room.code)
    token = re.search(r'href="exports/([\w-]+)"', panel("room_press", press="csv")["message"])[1]
    assert lab.downloads.take(token, "ana").read_text().splitlines()[1].startswith("participant 1,")
    with pytest.raises(BadRequest):
        lab.downloads.take(token, "ben")


def test_a_demo_and_a_participant_open_no_workshop(lab, panel, room):
    cost = RoomHandlers(lab).room_begin.cost
    assert cost.refused == "A workshop cannot be opened"
    one = lab.workshops.join(room.code)
    request = Request("s")
    request.state = type("State", (), {"participant": one})
    (update,) = RoomHandlers(lab).room_begin(Visit.of(lab, "", request), "Mine", 8, 60)
    assert "A workshop cannot be opened in a workshop" in update["message"]


# The code


def test_the_code_holds_the_link_and_is_dark_on_white():
    link = link_of(ORIGIN, "A" * 22)
    svg = qr(link)
    made = segno.make(link, error="m", micro=False)
    assert svg.startswith("<svg") and 'fill="#fff"' in svg and "script" not in svg and link not in svg
    assert f"0 0 {made.symbol_size(border=4)[0]}" in svg, "with the white border that a camera needs"


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("http://127.0.0.1:7860", LOOPBACK),
        ("http://127.3.4.5:7860", LOOPBACK),
        ("http://localhost:7860", LOOPBACK),
        ("https://LOCALHOST", LOOPBACK),
        ("http://[::1]:7860", LOOPBACK),
        ("http://lab.localhost", LOOPBACK),
        (ORIGIN, PLAIN_HTTP),
        ("https://lab.example", ""),
    ],
)
def test_what_keeps_a_phone_away_is_said(origin, said):
    assert warning(origin) == said


def test_times_do_not_change_from_second_to_second():
    assert [ago(seconds) for seconds in (-5, 0, 59, 60, 3_600)] == ["now", "now", "now", "1 min ago", "60 min ago"]


# A scenario's guess


class Stage:
    """A stage in a workspace, at the last of some steps."""

    def __init__(self, workspace, *steps):
        self.workspace, self.run, self.place = workspace, SimpleNamespace(steps=steps), len(steps) - 1


def test_a_guess_on_the_stage_is_asked_of_the_room_and_told_when_it_goes_on(lab, room):
    stage = Stage(lab.workspace(lab.directory.make("ana", "Stage: Slovenia").id))
    step = Guess(do="guess", question="Where is Ljubljana?", options=("Asia", "Europe"), right="Europe")
    asks = RoomGuesses(lab)
    asks.ask(stage, step)
    question = lab.workshops.question("ana", room.id)
    assert (question.text, question.options, question.answer, question.revealed) == (step.question, step.options, 1, False)
    other = step.model_copy(update={"question": "Where is Triglav?"})
    asks.reveal(stage, other)
    assert not lab.workshops.question("ana", room.id).revealed, "the room was asked something else"
    asks.reveal(stage, step)
    assert lab.workshops.question("ana", room.id).revealed
    for steps in ((step, other, step), (step.model_copy(update={"right": "Asia"}),)):
        asks.ask(Stage(stage.workspace, *steps), steps[-1])
        question = lab.workshops.question("ana", room.id)
        assert (question.text, question.revealed) == (step.question, False)
    assert question.answer == 0
    asks.reveal(stage, step)
    assert not lab.workshops.question("ana", room.id).revealed, "another option is right now"


def test_without_an_open_workshop_nobody_is_asked(lab, room):
    step = Guess(do="guess", question="Where is Ljubljana?", options=("Asia", "Europe"), right="Europe")
    asks = RoomGuesses(lab)
    asks.ask(Stage(lab.workspace(lab.directory.current("ben").id)), step)
    assert lab.workshops.question("ana", room.id) is None
    lab.workshops.close("ana", room.id)
    asks.ask(Stage(lab.workspace(lab.directory.current("ana").id)), step)
    asks.reveal(Stage(lab.workspace(lab.directory.current("ana").id)), step)
    assert lab.workshops.question("ana", room.id) is None
