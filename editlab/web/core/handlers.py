"""What all handlers of the page share: who asks, how a job is followed, and how an error becomes a sentence.

Handlers are generators of updates: `{name of a component: its new value}`, only what changes. They compute nothing
themselves: the lab's worker does, and they look at its job a few times a second.
"""

from __future__ import annotations

import functools
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr

from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.lab import Job, Lab, Worker, Workspace, WorkspaceInfo
from editlab.lab.access.limits import Asker, Cost, resumed
from editlab.web.core import forms, render
from editlab.web.server.guard import address_of

Update = dict[str, Any]
Updates = Iterator[Update]
Handler = Callable[..., Updates]
Draw = Callable[[Any], Update]

LOOKS_SECONDS = 0.13
"""Time between two updates of the page: under eight a second."""
STEP_SECONDS = 0.02
"""Time between two looks at a job, so that its end and its first partial result are seen at once."""
SURE_SECONDS = 0.6
"""From here on the time that is left is told."""
ANY, MADE = re.compile(r"(?s).{1,64}"), re.compile(r"[\w-]{22}", re.ASCII)
"""Ids of visitors: any, and those of the form that the server makes."""

BATTERY = 120
"""Prompts of one battery of probes, at most."""
PROBED, CHANGED = Cost(prompts=BATTERY), Cost(prompts=BATTERY, changes=1)
"""What it costs to look at an edit and ask its probes, and to change something first."""

log = logging.getLogger(__name__)


def handler(cost: Cost) -> Callable[[Handler], Handler]:
    """Declare a handler with what a call of it costs, and let an error end it as a sentence on the page.

    Then the buttons are as the workspace stands. What only its input tells, the handler itself spends: `Limits.spend`.
    """

    def declared(work: Handler) -> Handler:
        @functools.wraps(work)
        def wrapper(self: Handlers, visitor: Any, *fields: Any) -> Updates:
            *_, request = fields
            yield from resumed(self.asker(visitor, request), _told(self, work, cost, visitor, fields))

        wrapper.cost = cost
        return wrapper

    return declared


def _told(self: Handlers, work: Handler, cost: Cost, visitor: Any, fields: Sequence[Any]) -> Updates:
    *_, request = fields
    try:
        self._count(work.__name__, cost, visitor, fields)
        yield from self.ready(request)
        yield from work(self, visitor, *fields)
        return
    except Cancelled as stopped:
        shown = {"message": render.message(str(stopped))}
    except EditLabError as error:
        shown = problem(error)
    except Exception:
        number = secrets.token_hex(4)
        log.exception("A handler failed unexpectedly (%s)", number)
        text = f"EditLab met an error of its own; your edits are as they were. The server's log names it {number}."
        shown = {"message": render.message(text, "problem")}
    yield {"progress": "", **shown, **self._buttons_if_known(visitor, request)}


def problem(error: Exception) -> Update:
    """A sentence at the field that it is about; whoever hears the page hears it as well."""
    field = error.field if isinstance(error, BadRequest) else None
    if field not in forms.FIELDS:
        return {"message": render.message(str(error), "problem")}
    place = f"at-{forms.place_of(field)}"
    return {"message": render.message(str(error), "problem heard"), place: render.message(str(error), "problem")}


@dataclass(eq=False)
class Turn:
    """One showing of answers and probes. The visitor's next one puts an end to it, so that no late answer overwrites it."""

    over: bool = False
    job: Job[Any] | None = None

    def asks(self, job: Job[Any]) -> Job[Any]:
        """What the turn waits for now."""
        self.job = job
        if self.over:
            job.cancel()
        return job

    def check(self) -> None:
        """Raise `Cancelled` where a later turn has begun."""
        if self.over:
            raise Cancelled("Something else is shown by now.")

    def end(self) -> None:
        """A later turn has begun."""
        self.over = True
        if self.job is not None:
            self.job.cancel()


class Handlers:
    """Handlers over one lab. Each takes the visitor's id first and Gradio's request last."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._turns: WeakKeyDictionary[Workspace, Turn] = WeakKeyDictionary()

    def ready(self, request: gr.Request) -> Updates:
        """Wait until the model is there. Raises `BadRequest` where it is another one than that of which the page speaks."""
        if not self.lab.loaded.in_memory:
            job = self.lab.loaded.wake()
            yield from self.follow(self.lab.worker, job)
            job.wait()
        if not self.lab.knows(str(request.session_hash)):
            raise BadRequest(f"The model is now {self.lab.about()['model']}. Reload the page to ask it.")

    def in_turn(self, workspace: Workspace, show: Callable[[Turn], Updates]) -> Updates:
        """Show something as this visitor's latest turn; it ends without a word where a later one begins."""
        turn = Turn()
        before = self._turns.get(workspace)
        self._turns[workspace] = turn
        if before is not None:
            before.end()
        try:
            yield from show(turn)
        except Cancelled:
            if not turn.over:
                raise
            yield {"progress": ""}

    def follow(
        self, line: Workspace | Worker, job: Job[Any], draw: Draw | None = None, tell: bool | Callable[[], bool] = True
    ) -> Updates:
        """What a job shows on its way, by `draw`, and with `tell` how far it is, until it is done."""
        began, shown, last = time.monotonic(), None, 0.0
        while not job.wait(STEP_SECONDS):
            now, partial = time.monotonic(), job.partial
            fresh = draw is not None and partial is not None and partial is not shown
            if now - last < LOOKS_SECONDS and (shown is not None or not fresh):
                continue
            telling = tell() if callable(tell) else tell
            update: Update = {"progress": self._progress(line, job, now - began)} if telling else {}
            if fresh:
                shown = partial
                update |= draw(partial)
            if update:
                last = now
                yield update

    def workspace(self, visitor: Any, request: gr.Request) -> Workspace:
        """The workspace that the visitor has open."""
        visitor = self.visitor(visitor, request)
        room = self.lab.directory.current(visitor)
        return self.lab.workspace(room.id, self.author(visitor, room, request))

    def author(self, visitor: str, room: WorkspaceInfo, request: gr.Request) -> str:
        """Who signs what a visitor does: the login's name, or, where others can see it, a name that says nothing else."""
        if request.username is not None:
            return request.username
        return f"visitor {self.lab.metrics.digest(visitor)[:4]}" if room.shared else ""

    def visitor(self, visitor: Any, request: gr.Request) -> str:
        """Return the id of who is logged in, whatever the browser says; without a login the browser's id, or a new one.

        A demo takes no ids but those that the server made: a shorter one could be guessed, or be a workspace's name.
        """
        if request.username is not None:
            return self.lab.owner(request.username)
        known = isinstance(visitor, str) and (MADE if self.lab.limits.demo else ANY).fullmatch(visitor)
        return visitor if known else self.lab.newcomer(str(request.session_hash))

    def by(self, request: gr.Request) -> str:
        """Return the name of who is logged in, for the log; empty where nobody is."""
        return request.username or ""

    def stopping(self, busy: bool) -> Update:
        """Return the message after somebody pressed Stop. `busy`: whether anything was running."""
        return {"message": render.message("Stopping …" if busy else "Nothing is running.")}

    def buttons(self, workspace: Workspace) -> Update:
        """What can be pressed now."""
        editing = workspace.editing is not None
        return {
            "apply": gr.update(interactive=not editing),
            "stop": gr.update(interactive=workspace.busy),
            "undo": gr.update(interactive=workspace.can_undo and not editing),
            "redo": gr.update(interactive=workspace.can_redo and not editing),
            "remake": gr.update(interactive=any(record.on for record in workspace.records) and not editing),
        }

    def asker(self, visitor: Any, request: gr.Request) -> Asker:
        """Return who calls: the user's or the browser's id, and the address."""
        return Asker(self.visitor(visitor, request), address_of(request))

    def _count(self, name: str, cost: Cost, visitor: Any, fields: Sequence[Any]) -> None:
        """Count a call where a demo limits them, and log what was typed where that is allowed. Raises `TooMany`."""
        *given, request = fields
        pressed = next((dict(field._data or {}) for field in given if isinstance(field, gr.EventData)), {})
        typed = [text for text in (*given, *pressed.values()) if isinstance(text, str)]
        self.lab.limits.check_call(cost, self.asker(visitor, request), typed)
        if self.lab.settings.log_prompts:
            workspace = self.lab.metrics.digest(self.visitor(visitor, request))
            log.info({"event": "call", "handler": name, "workspace": workspace, "fields": typed})

    def _buttons_if_known(self, visitor: Any, request: gr.Request) -> Update:
        """What can be pressed now; nothing new where the workspace itself is what cannot be read."""
        try:
            return self.buttons(self.workspace(visitor, request))
        except EditLabError:
            return {}

    def _progress(self, line: Workspace | Worker, job: Job[Any], elapsed: float) -> str:
        ahead = line.ahead(job)
        if ahead:
            return render.progress(f"Waiting for the model; {ahead} before you", 0.0)
        sure = job.fraction >= 0.1 and elapsed >= SURE_SECONDS
        left = elapsed * (1 - job.fraction) / job.fraction if sure else None
        return render.progress(f"{job.text[:1].upper()}{job.text[1:]}", job.fraction, left)
