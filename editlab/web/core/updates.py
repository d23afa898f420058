"""Updates of the page that every tab makes: a job's progress, messages, and which buttons can be pressed.

An update is `{name of a component: its new value}` and holds only what changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from editlab.errors import BadRequest
from editlab.lab import Job, Worker, Workspace
from editlab.web.core.engine import said
from editlab.web.core.forms import FIELDS, place_of
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.wording import capitalize

Update = dict[str, Any]
Updates = Iterator[Update]
Draw = Callable[[Any], Update]

UPDATE_SECONDS = 0.13
"""Time between two partial results on the page: less than eight a second."""
PROGRESS_SECONDS = 0.5
"""Time between two updates of a job's progress alone: each takes processor time that the job could have."""
STOP_SECONDS = 0.5
"""How long a job that is stopped may take to end before the page says that it is being stopped."""
POLL_SECONDS = 0.02
"""Time between two looks at a job, so that its end and its first partial result are seen at once."""
ESTIMATE_SECONDS = 0.6
"""Time after which the remaining time is estimated."""
SHARED = ("visitor", "apply", "undo", "redo", "remake")
"""Components that `buttons` and the wiring of every tab update or read."""


def follow(
    line: Workspace | Worker, job: Job[Any], draw: Draw | None = None, tell: bool | Callable[[], bool] = True
) -> Updates:
    """Yield a job's partial results as updates (`draw`), and its progress where `tell` says so, until it is done."""
    began, shown, last = time.monotonic(), None, 0.0
    while not job.wait(POLL_SECONDS):
        now, partial = time.monotonic(), job.partial
        fresh = draw is not None and partial is not None and partial is not shown
        apart = UPDATE_SECONDS if fresh else PROGRESS_SECONDS
        if now - last < apart and (shown is not None or not fresh):
            continue
        update: Update = {"progress": _progress(line, job, now - began)} if _is_true(tell) else {}
        if fresh:
            shown = partial
            update |= draw(partial)
        if update:
            last = now
            yield update


def _is_true(tell: bool | Callable[[], bool]) -> bool:
    return tell() if callable(tell) else tell


def buttons(workspace: Workspace) -> Update:
    """Return which buttons can be pressed now."""
    editing = workspace.editing is not None
    return {
        "apply": gr.update(interactive=not editing),
        "stop": gr.update(interactive=workspace.busy),
        "undo": gr.update(interactive=workspace.can_undo and not editing),
        "redo": gr.update(interactive=workspace.can_redo and not editing),
        "remake": gr.update(interactive=any(record.on for record in workspace.records) and not editing),
    }


def stopping(jobs: Sequence[Job[Any]]) -> Update:
    """Return the message after Stop was pressed, once the jobs have had a moment to end.

    The handler of a job that is stopped says so, and has the last word. Where it speaks at once, Stop says nothing: the
    answer to a call that was just made waits in the browser for the call's own response, and would come after it.
    """
    if not jobs:
        return {"message": pieces.message(_("Nothing is running."))}
    end = time.monotonic() + STOP_SECONDS
    ended = all([job.wait(max(0.0, end - time.monotonic())) for job in jobs])
    return {} if ended else {"message": pieces.message(_("Stopping …"))}


def problem(error: Exception) -> Update:
    """Return an error as a message; one about a field of the request stands at that field as well."""
    field = error.field if isinstance(error, BadRequest) else None
    if field not in FIELDS:
        return {"message": pieces.message(said(error), "problem")}
    place = f"at-{place_of(field)}"
    return {"message": pieces.message(said(error), "problem heard"), place: pieces.message(said(error), "problem")}


def _progress(line: Workspace | Worker, job: Job[Any], elapsed: float) -> str:
    ahead = line.ahead(job)
    if ahead:
        text = (
            ngettext(
                "Waiting for the model; {n} job of your own comes first",
                "Waiting for the model; {n} jobs of your own come first",
                ahead,
            )
            if line.own_ahead(job)
            else _("Waiting for the model; {n} before you")
        )
        return pieces.progress(text.format(n=ahead), 0.0, "")
    rest = ""
    if job.fraction >= 0.1 and elapsed >= ESTIMATE_SECONDS:
        left = elapsed * (1 - job.fraction) / job.fraction
        rest = _("about {n} s left").format(n=round(left)) if left >= 1 else _("almost done")
    return pieces.progress(capitalize(said(job.text)), job.fraction, rest)
