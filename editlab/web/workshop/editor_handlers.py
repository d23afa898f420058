"""The handlers of the editor: check, save and delete the file of a scenario."""

from __future__ import annotations

import logging
from typing import Annotated

from pydantic import Field

from editlab.lab.access.limits import FREE, Cost
from editlab.lab.scenarios import LONGEST_NAME, LONGEST_OWN, check_own
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.updates import Updates
from editlab.web.core.visit import Visit
from editlab.web.core.wording import join
from editlab.web.workshop import words
from editlab.web.workshop.handlers import WorkshopHandlers

ScenarioText = Annotated[str, Field(max_length=LONGEST_OWN)]
ScenarioName = Annotated[str, Field(max_length=LONGEST_NAME)]

log = logging.getLogger(__name__)


class EditorHandlers(Handlers):
    """The handlers of the editor, beside those of the stage, whose list they draw again."""

    def __init__(self, stage: WorkshopHandlers) -> None:
        super().__init__(stage.lab)
        self.stage, self.editor = stage, stage.editor

    @handler(cost=FREE)
    def editor_check(self, visit: Visit, editor_name: ScenarioName, editor_text: ScenarioText) -> Updates:
        """Check the form of a scenario. A fault is named with its step."""
        scenario = check_own(editor_name.strip() or "my-scenario", editor_text)
        text = _(words.CHECKED).format(steps=words.steps(len(scenario.steps)), models=join(scenario.models))
        yield {"message": pieces.message(text)}

    @handler(cost=Cost(files=1), refused_in_demo=noop("Scenarios cannot be saved"))
    def editor_save(self, visit: Visit, editor_name: ScenarioName, editor_text: ScenarioText) -> Updates:
        """Keep a scenario in the data folder."""
        scenario = self.editor.save(visit.session, editor_name.strip(), editor_text)
        _log("saved", scenario.name, visit)
        yield {**self.stage.listed(visit), "message": pieces.message(_(words.SAVED).format(name=scenario.name))}

    @handler(cost=Cost(files=1), refused_in_demo=noop("Scenarios cannot be deleted"))
    def editor_delete(self, visit: Visit, editor_name: ScenarioName) -> Updates:
        """Delete an own scenario. Its text stays in the field."""
        name = editor_name.strip()
        self.editor.delete(visit.session, name)
        _log("deleted", name, visit)
        yield {**self.stage.listed(visit), "message": pieces.message(_(words.DELETED).format(name=name))}


def _log(change: str, name: str, visit: Visit) -> None:
    """Log who has changed a scenario, which everybody here plays."""
    log.info({"event": "scenario", "change": change, "name": name} | ({"by": visit.by} if visit.by else {}))
