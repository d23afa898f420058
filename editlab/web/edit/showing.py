"""What the Edit tab shows of an edit: every view's answer, then the probes around it, the gate and what follows from it.

All of it about the one question that the visitor looks at; whatever changes the edits ends here.
"""

from __future__ import annotations

import gradio as gr
from pandas import DataFrame

from editlab.errors import Cancelled, EditLabError
from editlab.facts import EditRequest
from editlab.lab import Job, OwnProbe, Scenario, Workspace, scores
from editlab.lab.asking import answers
from editlab.lab.asking.answers import EditAnswers
from editlab.web.core import forms, render
from editlab.web.core.handlers import Handlers, Turn, Update, Updates
from editlab.web.edit import edit_list, gate_panel, links, mask_panel, mask_switches, picture, probe_table

Own = tuple[str | None, str | None]
"""The fields own-rephrases and own-neighbours."""


class Drawn:
    """What the page shows of a job's answers: `update` returns what is new since the last call.

    `complete`: whether the answers at the prompt are written; `message`: what they say.
    """

    def __init__(self, workspace: Workspace, text: str) -> None:
        self._workspace, self._places = workspace, mask_switches.places(workspace)
        self._seen: EditAnswers | None = None
        self.complete, self.message = False, text

    def update(self, now: EditAnswers) -> Update:
        """Return the parts of the page that differ from what was drawn."""
        seen, self._seen = self._seen, now
        update: Update = {}

        def is_new(name: str) -> bool:
            return getattr(now, name) is not None and (seen is None or getattr(now, name) is not getattr(seen, name))

        if now.answers and is_new("answers"):
            update |= {"picture": picture.picture(now.request, now.answers, views=self._places)}
        if now.complete and not self.complete:
            update |= self._completed(now)
        if is_new("gates"):
            update |= {"gate-tokens": gate_panel.at_prompt(now.gates), "threshold": self._workspace.threshold}
        if is_new("probes"):
            update |= {"scores": probe_table.score_line(now.probes), "probe-table": probe_table.probe_table(now.probes)}
        if now.swept is not None and (is_new("swept") or (now.probed and not seen.probed)):
            update |= self._swept(now)
        if is_new("linked"):
            update |= {"linked": mask_panel.linked(now.linked, _views_of(now.linked))}
        if is_new("ways_back"):
            update |= {"ways-back": mask_panel.ways_back(now.request, now.ways_back)}
        return update

    def _completed(self, now: EditAnswers) -> Update:
        self.complete = True
        self.message = f"{self.message} {picture.spoken(now.answers)}".strip()
        return {
            **mask_switches.verdict(self._workspace, now.request, now.answers),
            "message": render.message(self.message),
            "gate-said": "",
            **({"stop": gr.update(interactive=True)} if now.on else {}),  # the probes follow at once
            **unasked(asking=now.on),
        }

    def _swept(self, now: EditAnswers) -> Update:
        threshold = self._workspace.threshold
        sentence = {"gate-said": gate_panel.sentence(threshold, now.swept.attrs["largest"])}
        if not now.probed or "rep" not in probe_table.views_of(now.probes):
            return sentence
        return sentence | {"gate-curve": gate_panel.curve(now.swept, threshold, scores(now.probes, "rep"))}


def unasked(asking: bool = False) -> Update:
    """Return the parts of the page that show probes, without any; `asking`: whether they are to come."""
    to_come = {"linked": mask_panel.TO_COME, "ways-back": mask_panel.TO_COME}
    return {"scores": probe_table.score_line(None, asking), "probe-table": "", **to_come}


def _views_of(frame: DataFrame) -> list[str]:
    return [name.removesuffix(".answer") for name in frame.columns if name.endswith(".answer")]


class ShowingHandlers(Handlers):
    """How the Edit tab is drawn, for the handlers that do something first."""

    def _present(self, workspace: Workspace, scenario: Scenario, own: Own, text: str = "") -> Updates:
        yield {**self._fields(scenario.request), "preset": scenario.name, "say": render.say(scenario.say)}
        yield from self._show(workspace, scenario.request, own, text)

    def _changed(self, workspace: Workspace, text: str, own: Own) -> Updates:
        """Something lies over the model, or lies there no longer: show what that did to the question that is looked at."""
        request = workspace.request
        if request is None:
            yield {"message": render.message(text), **self._stack(workspace), **self.buttons(workspace)}
            return
        yield self._fields(request)
        yield from self._show(workspace, request, own, text)

    def _show(self, workspace: Workspace, request: EditRequest, own: Own, text: str) -> Updates:
        yield from self.in_turn(workspace, lambda turn: self._answers(turn, workspace, request, own, text))

    def _answers(self, turn: Turn, workspace: Workspace, request: EditRequest, own: Own, text: str) -> Updates:
        """All answers as they come, then the probes, where the question's edit is on.

        Updates: picture, scores, probe-table, edits, health, questions, gate-said, gate-tokens, gate-curve, threshold,
        linked, ways-back, message, progress, buttons.
        """
        job = turn.asks(answers.ask(workspace, request, self._own(own, request)))
        request = workspace.request or request
        questions = render.questions(answers.questions(workspace, request))
        yield {**self._stack(workspace), **self.buttons(workspace), "progress": "", "questions": questions}
        yield from self._followed(turn, workspace, job, text)

    def _probe(self, turn: Turn, workspace: Workspace, own: Own, text: str) -> Updates:
        """The probes alone, asked again."""
        turn.check()
        request = workspace.request
        if request is None or not self._lies(workspace, request):
            yield {"message": render.message(f"{text} The probes are asked as soon as this edit lies over the model.")}
            return
        job = turn.asks(answers.ask(workspace, request, self._own(own, request), probes_alone=True))
        yield {"stop": gr.update(interactive=True)}
        yield from self._followed(turn, workspace, job, text)

    def _followed(self, turn: Turn, workspace: Workspace, job: Job[EditAnswers], text: str) -> Updates:
        """Draw each part of a job's answers as it comes."""
        drawn = Drawn(workspace, text)
        try:
            yield from self.follow(workspace, job, drawn.update, tell=lambda: drawn.complete)
            result = job.result()
        except EditLabError as error:
            turn.check()
            if drawn.complete and not isinstance(error, Cancelled):
                raise type(error)(f"The edit is applied, but not everything was asked: {error}") from error
            raise
        turn.check()
        yield {**drawn.update(result), "message": render.message(drawn.message), "progress": "", **self.buttons(workspace)}

    def _own(self, own: Own, request: EditRequest) -> tuple[OwnProbe, ...]:
        return forms.read_own(*own, request)

    def _lies(self, workspace: Workspace, request: EditRequest) -> bool:
        """Whether an edit of this question lies over the model."""
        return any(record.on and request in record.requests for record in workspace.records)

    def _fields(self, request: EditRequest) -> Update:
        return {
            "subject": request.subject,
            "prompt": request.prompt,
            "target-new": request.target_new,
            "target-true": request.target_true or "",
        }

    def _stack(self, workspace: Workspace) -> Update:
        records = workspace.records
        health = edit_list.health(records[-1] if records else None)
        where = links.where(self.lab.directory.called(workspace.name))
        return {"edits": edit_list.edits(records), "health": health, "where": where, **mask_switches.shown(workspace)}

    def _running(self, text: str) -> Update:
        idle = {name: gr.update(interactive=False) for name in ("apply", "undo", "redo", "remake")}
        return {
            "message": render.message(text),
            "progress": render.progress("Starting", 0.0),
            **idle,
            "stop": gr.update(interactive=True),
        }
