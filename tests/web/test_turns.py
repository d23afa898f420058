"""What one visitor looks at in one window and in two."""

import threading

import pytest
from visitors import TIMEOUT, FakeRequest, Visitor

from editlab.errors import Cancelled
from editlab.lab.asking import answers
from editlab.web.core.turns import Turns, on_page
from editlab.web.core.visit import Visit


class Room:
    """What turns are of."""


def shown(turn):
    yield {"picture": "begun"}
    turn.check()


@pytest.mark.parametrize(("other", "told"), [("first", False), ("second", True)])
def test_what_another_window_ends_says_so_and_what_its_own_page_ends_says_nothing(other, told):
    turns, room = Turns(), Room()
    with on_page("first"):
        here = turns.take(room, shown)
        next(here)
    with on_page(other):
        next(turns.take(room, shown))
    (last,) = here
    assert last["progress"] == "" and ("Another window of yours" in last.get("message", "")) == told
    assert (last.get("stop", {}).get("interactive") is False) == told


def test_a_window_whose_probes_another_one_ends_promises_no_more_of_them(lab, visitor, few_steps, monkeypatch):
    visitor.applies()
    ended = threading.Event()

    def ask(*given):
        assert ended.wait(TIMEOUT)
        raise Cancelled("Stopped.")

    monkeypatch.setattr(answers.probes, "ask", ask)
    visitor.workspace.context.shared.clear()
    updates = visitor.updates_of("probe")
    seen = next(updates)
    handlers = Visitor(lab, visitor.name).handlers
    handlers.display.turns = visitor.handlers.display.turns
    elsewhere = Visit.of(lab, visitor.name, FakeRequest("another window"))
    next(handlers.probe(elsewhere, *visitor.given(handlers.probe)))
    ended.set()
    for update in updates:
        seen |= update
    assert "Another window of yours" in seen["message"] and seen["stop"]["interactive"] is False
