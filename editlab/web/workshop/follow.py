"""What keeps a presenter's windows together: each asks again and again whether the stage is still as it shows it.

A window follows the stage that is open, and from it to the next scenario. One that shows the list is left alone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Literal

import gradio as gr
from pydantic import Field

from editlab.lab import Workspace
from editlab.lab.access.limits import FREE
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.inputs import Pressed
from editlab.web.core.updates import Update, Updates
from editlab.web.core.visit import Visit
from editlab.web.workshop.handlers import WorkshopHandlers, remember, shown, stamp_of


class PressedLook(Pressed):
    """The look of the stage's script. `stamp`: of what it shows."""

    press: Literal["look"]
    stamp: Annotated[str, Field(max_length=16)] = ""


class FollowHandlers(Handlers):
    """The handler by which one window of a presenter follows another one."""

    def __init__(self, stage: WorkshopHandlers) -> None:
        super().__init__(stage.lab)
        self.stage = stage
        self._open: OrderedDict[str, str] = OrderedDict()
        """By session of the page, the scenario whose stage was open at its last look, "" for none."""

    def ready(self, visit: Visit) -> Updates:
        """Wait for nothing: a window that only looks wakes no model."""
        yield from ()

    def buttons(self, workspace: Workspace) -> Update:
        """Return nothing: no button depends on a look."""
        return {}

    @handler(cost=FREE)
    def workshop_look(self, visit: Visit, pressed: PressedLook) -> Updates:
        """Draw the stage where another window has changed it since."""
        stage = self.stage.stages.of(visit.workspace)
        now = "" if stage is None else stage.scenario.name
        before = self._open.get(visit.session, now)
        remember(self._open, visit.session, now)
        if stage is None or (self.stage.shows(visit) != now and before == now):
            return
        if pressed.stamp != stamp_of(stage):
            self.stage.chosen(visit, now)
            yield {**shown(stage), "stop": gr.update(interactive=stage.performing)}
