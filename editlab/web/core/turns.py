"""Turns: of what one visitor looks at, only the latest is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr

from editlab.errors import Cancelled
from editlab.lab import Job, Workspace
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.updates import Updates

ELSEWHERE = noop("Another window of yours has asked something since, which ended this. Reload the page to go on here.")
_PAGE: ContextVar[str] = ContextVar("page", default="")


@contextmanager
def on_page(session: str) -> Iterator[None]:
    """Take the turns that begin within for those of one open page, by the session that Gradio gives it."""
    token = _PAGE.set(session)
    try:
        yield
    finally:
        _PAGE.reset(token)


@dataclass(eq=False)
class Turn:
    """One showing of answers or pictures. The visitor's next one ends it, so that no late answer overwrites a newer one."""

    over: bool = False
    elsewhere: bool = False
    """Whether the turn that ended it is another page's, which draws nothing on this one."""
    job: Job[Any] | None = None
    page: str = field(default_factory=_PAGE.get)

    def asks(self, job: Job[Any]) -> Job[Any]:
        """Return the job that the turn waits for now; it is cancelled where a later turn has begun."""
        self.job = job
        if self.over:
            job.cancel()
        return job

    def check(self) -> None:
        """Raise `Cancelled` where a later turn has begun."""
        if self.over:
            raise Cancelled(_("Something else is shown by now."))

    def end(self, page: str = "") -> None:
        """End the turn for a later one, which `page` has begun."""
        self.over, self.elsewhere = True, page != self.page
        if self.job is not None:
            self.job.cancel()


class Turns:
    """The latest turn of each workspace. Tabs that draw the same part of the page share one `Turns`."""

    def __init__(self) -> None:
        self._latest: WeakKeyDictionary[Workspace, Turn] = WeakKeyDictionary()

    def take(self, workspace: Workspace, show: Callable[[Turn], Updates]) -> Updates:
        """Show something as this workspace's latest turn. It ends without a message where the page begins a later one."""
        turn, before = Turn(), self._latest.get(workspace)
        self._latest[workspace] = turn
        if before is not None:
            before.end(turn.page)
        try:
            yield from show(turn)
        except Cancelled:
            if not turn.over:
                raise
            here = {"message": pieces.message(_(ELSEWHERE)), "stop": gr.update(interactive=False)} if turn.elsewhere else {}
            yield {"progress": "", **here}
