"""The handlers of the stage: one step at a time, with its progress, its recovery and its picture."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Any, Literal

import gradio as gr
from pydantic import Field

from editlab.errors import BadRequest, EditLabError
from editlab.lab import Job, Lab, Workspace
from editlab.lab.access.limits import FREE
from editlab.lab.scenarios import Guess, Library, Look, Scenario, name_of
from editlab.web.core.display import EditDisplay
from editlab.web.core.handlers import PROBED, Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Id, OwnProbes, Pressed
from editlab.web.core.updates import Update, Updates, buttons, follow, stopping
from editlab.web.core.visit import Visit
from editlab.web.workshop import card, words
from editlab.web.workshop.editor import Editor
from editlab.web.workshop.guesses import Guesses
from editlab.web.workshop.pictures import PICTURES, enlarged
from editlab.web.workshop.stage import TITLE, Stage, Stages, cost_of

MOST_SESSIONS = 10_000
Option = Annotated[str, Field(max_length=200)]


class PressedStage(Pressed):
    """A button of the list, of the card or below it."""

    press: Literal["enter", "start", "next", "back", "again", "skip", "good", "restart", "guess", "close", "edit"]
    scenario: Id = ""
    option: Option = ""


class WorkshopHandlers(Handlers):
    """The handlers of the stage. `stages` and `guesses` are shared with who lets an audience take part."""

    def __init__(self, lab: Lab, library: Library, stages: Stages, guesses: Guesses, display: EditDisplay) -> None:
        super().__init__(lab)
        self.library, self.stages, self.guesses, self.display = library, stages, guesses, display
        self.editor = Editor(library)
        self._chosen: OrderedDict[str, str] = OrderedDict()
        """By session of the page, the scenario that it shows."""
        self._behind: OrderedDict[str, None] = OrderedDict()
        """Sessions whose Edit tab does not show yet what was done here."""

    @handler(cost=FREE)
    def workshop_load(self, visit: Visit) -> Updates:
        """Show the scenario that the address names. Nothing begins before somebody presses Start."""
        name = visit.query.get("scenario")
        if name:
            self._choose(visit, self.library.find(name).name)
            yield from self._open(visit)

    @handler(cost=FREE)
    def workshop_open(self, visit: Visit) -> Updates:
        """Show the list, or the scenario where it stands, when the tab is opened."""
        yield from self._open(visit)

    @handler(cost=FREE)
    def workshop_press(self, visit: Visit, pressed: PressedStage) -> Updates:
        """Do what a button says. What a step costs is spent when it is performed."""
        if pressed.press == "close":
            self.stages.leave(visit)
            self._note_change(visit)
            self._chosen.pop(visit.session, None)
            yield self._list(visit)
            return
        if pressed.press == "edit":
            yield {**self.editor.open(visit.session, pressed.scenario), "message": ""}
            return
        scenario = self.library.find(pressed.scenario)
        self._choose(visit, scenario.name)
        self._note_change(visit)
        begun = self.stages.known(visit, scenario.name) is not None
        stage = self.stages.enter(visit, scenario, anew=pressed.press == "restart")
        if pressed.press == "guess":
            self._guess(stage, pressed.option)
            yield self._draw(stage)
        elif pressed.press in ("enter", "restart") or (pressed.press != "start" and not begun):
            yield self._draw(stage)
        elif pressed.press == "start":
            yield from self._go(stage, max(stage.place, 0))
        else:
            yield from self._move(stage, pressed.press)

    @handler(cost=FREE)
    def workshop_stop(self, visit: Visit) -> Updates:
        """Stop the step that runs. Its handler says the rest."""
        yield stopping(visit.workspace.stop(visit.by))

    @handler(cost=FREE)
    def workshop_left(self, visit: Visit, own: OwnProbes) -> Updates:
        """Show on the Edit tab what was done on the stage, when it is opened."""
        if visit.session in self._behind:
            self.lab.limits.spend(PROBED)
            del self._behind[visit.session]
            yield from self.display.changed(visit.workspace, "", own, fill=True)

    def buttons(self, workspace: Workspace) -> Update:
        """Return nothing: the buttons of the stage are drawn with it."""
        return {"stop": gr.update(interactive=workspace.busy)}

    def buttons_after(self, visit: Visit) -> Update:
        """Return the card as it is after an error, so that no half of one stays on the stage."""
        try:
            stage = self.stages.of(visit.workspace)
        except EditLabError:
            return {}
        if stage is None or self._chosen.get(visit.session) != stage.scenario.name:
            return {}
        return {name: value for name, value in self._draw(stage).items() if name != "message"}

    def listed(self, visit: Visit) -> Update:
        """Return the list where a session shows it; nothing while it shows a scenario."""
        return {} if visit.session in self._chosen else self._list(visit)

    # --- What is shown -----------------------------------------------------------------------------------------------

    def _open(self, visit: Visit) -> Updates:
        name = self._chosen.get(visit.session)
        if name is None:
            yield self._list(visit)
            return
        scenario, workspace = self.library.find(name), visit.workspace
        stage = self.stages.of(workspace)
        if stage is None or stage.scenario.name != name:
            yield self._title(visit, scenario)
            return
        yield self._draw(stage)
        if workspace.editing is not None:  # begun before the page was loaded anew
            yield from self._follow(stage, workspace.editing)
            yield from self._perform(stage)

    def _list(self, visit: Visit) -> Update:
        scenarios, faults = self.library.read()
        own = [one.name for one in scenarios if self.library.is_own(one.name)]
        known = {one.name: self.stages.known(visit, one.name) for one in scenarios}
        where = {name: words.progress(stage.place, stage.total) for name, stage in known.items() if stage is not None}
        html = card.listed(scenarios, own, faults, name_of(self.lab.model), where)
        return {"stage": html, "stage-nav": "", "stage-plot": None, "progress": "", "message": ""}

    def _title(self, visit: Visit, scenario: Scenario) -> Update:
        known = self.stages.known(visit, scenario.name)
        where = None if known is None else words.progress(known.place, known.total)
        html = card.title(scenario, words.tried(scenario, name_of(self.lab.model)), where)
        return {"stage": html, "stage-nav": card.nav(None, scenario), "stage-plot": None, "progress": "", "message": ""}

    def _draw(self, stage: Stage) -> Update:
        """Return the step that is shown, with all that came of it."""
        return {
            "stage": card.card(stage),
            "stage-nav": card.nav(stage, stage.scenario),
            "stage-plot": stage.figures.get(stage.place),
            "progress": "",
            "message": "",
            "stop": gr.update(interactive=False),
        }

    # --- What is done ------------------------------------------------------------------------------------------------

    def _move(self, stage: Stage, press: str) -> Updates:
        """Go to another step, or perform this one again."""
        if press == "back":
            yield from self._go(stage, max(TITLE, stage.place - 1))
        elif press == "good":
            yield from self._go(stage, stage.last_good)
        elif press == "again":
            yield from self._perform(stage)
        else:
            if press == "skip":
                stage.left_out.add(stage.place)
            yield from self._go(stage, min(stage.total, stage.place + 1))

    def _go(self, stage: Stage, place: int) -> Updates:
        """Show a step; perform it where that was not done yet."""
        before, forward = stage.step, place > stage.place
        if isinstance(before, Guess) and forward:
            self.guesses.reveal(stage, before)
        stage.place = place
        result = stage.result
        done = place in stage.left_out or (result is not None and not (result.problem and forward))
        if stage.step is None or done:
            yield self._draw(stage)
        else:
            yield from self._perform(stage)
        if isinstance(stage.step, Guess) and forward:
            self.guesses.ask(stage, stage.step)

    def _perform(self, stage: Stage) -> Updates:
        """Perform the step that is shown. What goes wrong is said on the card, with the ways on."""
        step, place, workspace = stage.step, stage.place, stage.workspace
        if step is None:
            yield self._draw(stage)
            return
        try:
            self.lab.limits.spend(cost_of(step))
            stage.left_out.discard(place)
            if step.do in words.PERFORMING:
                yield {
                    "stage": card.card(stage, performing=True),
                    "stage-nav": card.nav(stage, stage.scenario, performing=True),
                    "stage-plot": None,
                    "progress": pieces.progress(words.PERFORMING[step.do], 0.0, ""),
                    "message": "",
                    "stop": gr.update(interactive=True),
                }
            work = stage.run.perform(place)
            for job in work:
                yield from self._follow(stage, job)
            if isinstance(step, Look) and step.picture in PICTURES:
                yield from self._picture(stage, step.picture)
        except EditLabError as error:
            stage.fail(str(error))
        if stage.place == place:
            yield {**self._draw(stage), **buttons(workspace), "stop": gr.update(interactive=False)}

    def _picture(self, stage: Stage, name: str) -> Updates:
        """Compute the picture of a look."""
        submit, draw = PICTURES[name]
        job = submit(stage.workspace)
        yield from self._follow(stage, job)
        stage.figures[stage.place] = enlarged(draw(job.result()))

    def _follow(self, stage: Stage, job: Job[Any]) -> Updates:
        """Draw a job's progress, and answers as they are written."""

        def draw(partial: Any) -> Update:
            answers = partial[0] if isinstance(partial, list) and partial and isinstance(partial[0], dict) else None
            return {"stage": card.card(stage, answers, performing=True)} if answers else {}

        yield from follow(stage.workspace, job, draw)

    def _guess(self, stage: Stage, option: str) -> None:
        if not isinstance(stage.step, Guess) or option not in stage.step.options:
            raise BadRequest("This is not asked any more. Go on, or back to the question.")
        stage.guessed[stage.place] = option

    def _choose(self, visit: Visit, name: str) -> None:
        _remember(self._chosen, visit.session, name)

    def _note_change(self, visit: Visit) -> None:
        _remember(self._behind, visit.session, None)


def _remember(kept: OrderedDict[str, Any], session: str, value: Any) -> None:
    kept[session] = value
    kept.move_to_end(session)
    while len(kept) > MOST_SESSIONS:
        kept.popitem(last=False)
