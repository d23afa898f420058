"""Turns: of what one visitor looks at, only the latest is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from editlab.errors import Cancelled
from editlab.lab import Job, Workspace
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Updates


@dataclass(eq=False)
class Turn:
    """One showing of answers or pictures. The visitor's next one ends it, so that no late answer overwrites a newer one."""

    over: bool = False
    job: Job[Any] | None = None

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

    def end(self) -> None:
        """End the turn for a later one."""
        self.over = True
        if self.job is not None:
            self.job.cancel()


class Turns:
    """The latest turn of each workspace. Tabs that draw the same part of the page share one `Turns`."""

    def __init__(self) -> None:
        self._latest: WeakKeyDictionary[Workspace, Turn] = WeakKeyDictionary()

    def take(self, workspace: Workspace, show: Callable[[Turn], Updates]) -> Updates:
        """Show something as this workspace's latest turn. It ends without a message where a later one begins."""
        turn, before = Turn(), self._latest.get(workspace)
        self._latest[workspace] = turn
        if before is not None:
            before.end()
        try:
            yield from show(turn)
        except Cancelled:
            if not turn.over:
                raise
            yield {"progress": ""}
