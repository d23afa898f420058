"""The handlers of the stage: one step at a time, with its progress, its recovery and its picture."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from hashlib import sha256
from typing import Annotated, Any, Literal

import gradio as gr
from pydantic import Field

from editlab import storage
from editlab.errors import BadRequest, EditLabError
from editlab.lab import Job, Lab, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.scenarios import Guess, Library, ScenarioFile, name_of, report
from editlab.web.core.display import EditDisplay
from editlab.web.core.handlers import PROBED, Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Id, OwnProbes, Pressed
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import size
from editlab.web.workshop import card, words
from editlab.web.workshop.editor import Editor
from editlab.web.workshop.guesses import Guesses
from editlab.web.workshop.pictures import enlarged
from editlab.web.workshop.stage import TITLE, Stage, Stages, cost_of

MOST_SESSIONS = 10_000
Option = Annotated[str, Field(max_length=200)]


class PressedStage(Pressed):
    """A button of the list, of the card or below it."""

    press: Literal["enter", "start", "next", "back", "again", "skip", "good", "restart", "guess", "close", "edit", "report"]
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
            self._choose(visit, self._file(visit, name).scenario.name)
            yield from self._open(visit)

    @handler(cost=FREE)
    def workshop_open(self, visit: Visit) -> Updates:
        """Show the list, or the scenario where it stands, when the tab is opened."""
        yield from self._open(visit)

    @handler(cost=FREE)
    def workshop_press(self, visit: Visit, pressed: PressedStage) -> Updates:
        """Do what a button says. What a step costs is spent when it is performed.

        While a step is being performed, a press changes nothing, and says so: nobody presses an answer away unseen.
        """
        if visit.participant is not None and pressed.press != "close":
            raise BadRequest(_(words.PRESENTERS_ALONE))
        if pressed.press == "edit":
            yield {**self.editor.open(visit.session, pressed.scenario), "message": ""}
        elif pressed.press == "report":
            yield self._report(visit, pressed.scenario)
        elif pressed.press == "close":
            yield from self._in_turn(self.stages.of(visit.workspace), lambda: self._close(visit))
        else:
            known = self.stages.known(visit, pressed.scenario)
            stage = known or self.stages.enter(visit, self.library.file(pressed.scenario))
            self.chosen(visit, stage.scenario.name)
            yield from self._in_turn(stage, lambda: self._press(visit, pressed, known is not None))

    @handler(cost=FREE)
    def workshop_stop(self, visit: Visit) -> Updates:
        """Stop the step that runs. Its handler says the rest."""
        yield from self.stop_jobs(visit)

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

    def shows(self, visit: Visit) -> str | None:
        """Return the name of the scenario that a session shows; None where it shows the list."""
        return self._chosen.get(visit.session)

    def chosen(self, visit: Visit, name: str) -> None:
        """Note that a session shows a scenario by now, and that its Edit tab does not."""
        self._choose(visit, name)
        self._note_change(visit)

    # --- What is shown -----------------------------------------------------------------------------------------------

    def _open(self, visit: Visit) -> Updates:
        name = self._chosen.get(visit.session)
        if name is None:
            yield self._list(visit)
            return
        workspace = visit.workspace
        stage = self.stages.of(workspace)
        if stage is None or stage.scenario.name != name:
            yield self._title(visit, name)
            return
        yield self._draw(stage)
        if workspace.editing is not None:  # begun before the page was loaded anew
            yield from self._follow(stage, workspace.editing)
            yield from self._perform(stage)

    def _list(self, visit: Visit, links: Mapping[str, str] | None = None) -> Update:
        """Return the list of scenarios; for a participant, a sentence that says who plays them.

        `links`: to reports that were just made, by scenario.
        """
        nothing = {"stage-nav": "", "stage-plot": None, "progress": "", "message": ""}
        if visit.participant is not None:
            return {"stage": pieces.message(_(words.PRESENTERS_ALONE), "hint"), **nothing}
        scenarios, faults = self.library.read()
        own = [one.name for one in scenarios if self.library.is_own(one.name)]
        known = {one.name: self.stages.known(visit, one.name) for one in scenarios}
        where = {name: words.progress(stage.place, stage.total) for name, stage in known.items() if stage is not None}
        html = card.listed(scenarios, own, faults, name_of(self.lab.model), where, links or {})
        return {"stage": html, **nothing}

    def _title(self, visit: Visit, name: str) -> Update:
        scenario, known = self._file(visit, name).scenario, self.stages.known(visit, name)
        where = None if known is None else words.progress(known.place, known.total)
        html = card.title(scenario, words.tried(scenario, name_of(self.lab.model)), where)
        return {"stage": html, "stage-nav": card.nav(None, scenario), "stage-plot": None, "progress": "", "message": ""}

    def _draw(self, stage: Stage) -> Update:
        """Return the step that is shown, with all that came of it."""
        return {**shown(stage), "progress": "", "message": "", "stop": gr.update(interactive=False)}

    # --- What is done ------------------------------------------------------------------------------------------------

    def _in_turn(self, stage: Stage | None, do: Callable[[], Updates]) -> Updates:
        """Do what was pressed after what was pressed before it; while a step is performed, say that it does not count."""
        with stage.press() if stage else nullcontext(True) as counts:
            if counts:
                yield from do()
            else:
                yield {"message": pieces.message(_(words.STILL_PERFORMING), "problem")}

    def _close(self, visit: Visit) -> Updates:
        """Leave the stage for the list."""
        self.stages.leave(visit)
        self._note_change(visit)
        self._chosen.pop(visit.session, None)
        yield self._list(visit)

    def _press(self, visit: Visit, pressed: PressedStage, known: bool) -> Updates:
        """Do what a button of the card, or below it, says. `known`: whether the stage was there before."""
        file = self._file(visit, pressed.scenario, anew=pressed.press in ("enter", "restart"))
        stage = self.stages.enter(visit, file, anew=pressed.press == "restart")
        if pressed.press == "guess":
            self._guess(stage, pressed.option)
            yield self._draw(stage)
        elif pressed.press in ("enter", "restart") or (pressed.press != "start" and not known):
            yield self._draw(stage)
        elif pressed.press == "start":
            yield from self._go(stage, max(stage.place, 0))
        else:
            yield from self._move(stage, pressed.press)

    def _file(self, visit: Visit, name: str, anew: bool = False) -> ScenarioFile:
        """Return a scenario as it is played: a show that has begun keeps its own copy, whoever saves or deletes the file.

        `anew`: as the file is now, where there still is one. Raises as `Library.find` does.
        """
        stage = self.stages.known(visit, name)
        if stage is not None and ((stage.begun and not anew) or not self.library.has(name)):
            return stage.file
        return self.library.file(name)

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
            with stage.performance():
                if step.do in words.PERFORMING:
                    yield {
                        **shown(stage),
                        "progress": pieces.progress(_(words.PERFORMING[step.do]), 0.0, ""),
                        "message": "",
                        "stop": gr.update(interactive=True),
                    }
                for job in stage.run.perform(place):
                    yield from self._follow(stage, job)
                for job in stage.run.picture(place):
                    yield from self._follow(stage, job)
        except EditLabError as error:
            stage.fail(place, str(error))
        if stage.place == place:
            yield {**self._draw(stage), **buttons(workspace), "stop": gr.update(interactive=False)}

    def _follow(self, stage: Stage, job: Job[Any]) -> Updates:
        """Draw a job's progress, and answers as they are written."""

        def draw(partial: Any) -> Update:
            answers = partial[0] if isinstance(partial, list) and partial and isinstance(partial[0], dict) else None
            if not answers or not stage.performing:
                return {}
            stage.partial = answers
            return {"stage": card.card(stage)}

        yield from follow(stage.workspace, job, draw)

    def _report(self, visit: Visit, name: str) -> Update:
        """Write what came of a scenario so far into a file to download."""
        stage = self.stages.known(visit, name)
        if stage is None:
            raise BadRequest(_(words.NOT_PLAYED))
        self.lab.limits.spend(Cost(files=1))
        html = report(stage.run, stage.file.text, not stage.file.own, stage.left_out, stage.guessed)
        path = self.lab.downloads.new_folder() / f"{name}-report.html"
        storage.write(path, html.encode())
        token = self.lab.downloads.offer(stage.workspace.name, path)
        text = _(words.DOWNLOAD).format(file=path.name, size=size(path.stat().st_size))
        link = pieces.download(token, text)
        if self.shows(visit) is None:
            return self._list(visit, {name: link})
        return {"stage": card.card(stage, link), "message": ""} if stage.place == stage.total else {"message": link}

    def _guess(self, stage: Stage, option: str) -> None:
        if not isinstance(stage.step, Guess) or option not in stage.step.options:
            raise BadRequest(_("This is not asked any more. Go on, or back to the question."))
        stage.guessed[stage.place] = option

    def _choose(self, visit: Visit, name: str) -> None:
        remember(self._chosen, visit.session, name)

    def _note_change(self, visit: Visit) -> None:
        remember(self._behind, visit.session, None)


def shown(stage: Stage) -> Update:
    """Return what every window shows of a stage: the card, its buttons and its picture."""
    figure = None if stage.performing else stage.run.pictures.get(stage.place)
    return {
        "stage": card.card(stage),
        "stage-nav": card.nav(stage, stage.scenario, stamp_of(stage)),
        "stage-plot": None if figure is None else enlarged(figure),
    }


def stamp_of(stage: Stage) -> str:
    """Return a hash of the card, by which a window says what it shows."""
    return sha256(f"{stage.scenario.name} {stage.place} {card.card(stage)}".encode()).hexdigest()[:16]


def remember(kept: OrderedDict[str, Any], session: str, value: Any) -> None:
    """Keep something of a session; of too many, the latest."""
    kept[session] = value
    kept.move_to_end(session)
    while len(kept) > MOST_SESSIONS:
        kept.popitem(last=False)
