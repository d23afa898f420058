"""The handlers of the presenter's panel: open a workshop, see who is there and what they guess, end it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

import gradio as gr
from markupsafe import Markup
from pydantic import Field

from editlab import storage
from editlab.errors import BadRequest
from editlab.lab import Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.ledger.names import LONGEST_NAME
from editlab.lab.workshops import MOST_HOURS, MOST_PARTICIPANTS, Question, Workshop
from editlab.lab.workshops.results import results
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Pressed
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.updates import Update, Updates
from editlab.web.core.visit import Visit
from editlab.web.workshop import room_words as words
from editlab.web.workshop.room_code import link_of, qr, warning
from editlab.web.workshop.room_strip import bars

Title = Annotated[str, Field(max_length=LONGEST_NAME)]
Hours = Annotated[int, Field(ge=1, le=int(MOST_HOURS))]
Most = Annotated[int, Field(ge=1, le=MOST_PARTICIPANTS)]
Stamp = Annotated[str, Field(max_length=16)]
FILE = "workshop.csv"
REFUSED = noop("A workshop cannot be opened")


class PressedRoom(Pressed):
    """A button of the panel, or the look of its script, which says what it shows."""

    press: Literal["look", "reveal", "withdraw", "forget", "close", "csv", "remove", "reset"]
    number: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    people: Stamp = ""
    guesses: Stamp = ""


class RoomHandlers(Handlers):
    """The handlers of the panel. A workshop belongs to who opened it: nobody else sees or changes it."""

    def ready(self, visit: Visit) -> Updates:
        """Wait for nothing: the panel is looked at while the model works."""
        yield from ()

    def buttons(self, workspace: Workspace) -> Update:
        """Return nothing: no button of the panel depends on jobs."""
        return {}

    @handler(cost=FREE)
    def room_open(self, visit: Visit) -> Updates:
        """Draw the panel when the page or the tab is opened."""
        yield self._panel(visit)

    @handler(cost=Cost(changes=1), refused_in_demo=REFUSED)
    def room_begin(self, visit: Visit, room_title: Title, room_hours: Hours | None, room_most: Most | None) -> Updates:
        """Open a workshop with copies of the workspace that is open now."""
        if room_hours is None or room_most is None:
            raise BadRequest(_("Write how many hours the workshop is open, and how many may join."))
        workspace, info = visit.workspace, visit.workspace_info
        made = self.lab.workshops.begin(visit.visitor, workspace, info, room_title, room_hours, room_most)
        yield {**self._panel(visit), "message": pieces.message(_(words.OPENED).format(title=made.title))}

    @handler(cost=FREE)
    def room_press(self, visit: Visit, pressed: PressedRoom) -> Updates:
        """Do what a button says. A look draws only what has changed."""
        workshops, owner = self.lab.workshops, visit.visitor
        room = workshops.latest(owner)
        if room is None:
            return
        if pressed.press == "look":
            yield self._changed(room, pressed)
            return
        if pressed.press == "csv":
            yield {"message": self._csv(visit, room)}
            return
        acts: dict[str, tuple[Callable[[], object], str]] = {
            "reveal": (lambda: workshops.reveal(owner, room.id), _(words.REVEALED_NOW)),
            "withdraw": (lambda: workshops.withdraw(owner, room.id), _(words.WITHDRAWN)),
            "forget": (lambda: workshops.reset_guesses(owner, room.id), _(words.FORGOTTEN)),
            "close": (lambda: workshops.close(owner, room.id), _(words.CLOSED_NOW).format(title=room.title)),
            "remove": (lambda: workshops.remove(owner, room.id, pressed.number), _(words.REMOVED).format(n=pressed.number)),
            "reset": (lambda: workshops.reset(owner, room.id, pressed.number), _(words.RESET).format(n=pressed.number)),
        }
        act, text = acts[pressed.press]
        if pressed.press in ("reveal", "withdraw") and room.question is None:
            raise BadRequest(_(words.NOTHING_ASKED))
        act()
        yield {**self._panel(visit), "message": pieces.message(text)}

    def _panel(self, visit: Visit) -> Update:
        """Return all of the panel."""
        room = self.lab.workshops.latest(visit.visitor)
        if room is None:
            return {"room-door": "", "room-people": "", "room-guesses": ""}
        return {"room-door": self._door(visit, room), "room-people": self._people(room), "room-guesses": self._guesses(room)}

    def _door(self, visit: Visit, room: Workshop) -> Markup:
        """Return the link with its code, and the buttons of the workshop."""
        link = link_of(visit.page, room.code) if room.open else ""
        code, why = (qr(link), warning(visit.page)) if room.open else ("", "")
        ended = _(words.ENDED).format(title=room.title)
        return render("workshop/room_door.html", room=room, link=link, code=code, why=why, ended=ended)

    def _people(self, room: Workshop) -> Markup:
        people = self.lab.workshops.people(room.owner, room.id)
        end = room.ends_at[:16].replace("T", " ")
        said = _(words.OPEN).format(end=end, n=len(people), most=room.most) if room.open else ""
        rows = [(one.number, one.edits, _ago(one.stepped_at), _ago(one.seen_at)) for one in people]
        return _stamped("workshop/room_people.html", said=said, rows=rows, open=room.open)

    def _guesses(self, room: Workshop) -> Markup:
        asked = self.lab.workshops.question(room.owner, room.id) if room.open else None
        return _stamped(
            "workshop/room_chart.html", question=asked, bars=_bars(asked), hint=_(words.NO_QUESTION), open=room.open
        )

    def _changed(self, room: Workshop, shown: PressedRoom) -> Update:
        """Return what is not as the page shows it. Gradio would empty the panel if nothing came at all."""
        now = {"people": self._people(room), "guesses": self._guesses(room)}
        fresh = {name: f'data-stamp="{getattr(shown, name)}"' not in html for name, html in now.items()}
        return {f"room-{name}": html if fresh[name] else gr.skip() for name, html in now.items()}

    def _csv(self, visit: Visit, room: Workshop) -> Markup:
        """Write the results into a file to download."""
        path = self.lab.downloads.new_folder() / FILE
        storage.write(path, results(self.lab.workshops, room.owner, room.id).encode())
        return pieces.download(self.lab.downloads.offer(visit.workspace_info.id, path), _(words.FILE).format(file=FILE))


def _stamped(template: str, **values: object) -> Markup:
    """Return a template's HTML with the hash of itself, by which a page says what it shows."""
    stamp = sha256(render(template, stamp="", **values).encode()).hexdigest()[:16]
    return render(template, stamp=stamp, **values)


def _bars(question: Question | None) -> list[tuple[str, int, int]]:
    return [] if question is None else bars(question.options, question.counts)


def _ago(at: str) -> str:
    return words.ago((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()) if at else "–"
