"""What the Edit tab shows of an edit: every view's answer, then the probes around it, the gate and what follows from it.

All of it about the one question that the visitor looks at; whatever changes the edits ends here.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from pandas import DataFrame

from editlab.errors import EditLabError
from editlab.facts import EditRequest
from editlab.lab import Job, OwnProbe, Scenario, Workspace, scores
from editlab.web.core import forms, render
from editlab.web.core.handlers import Draw, Handlers, Turn, Update, Updates
from editlab.web.edit import edit_list, gate_panel, links, mask_panel, mask_switches, picture, probe_table

Own = tuple[str | None, str | None]
"""The fields own-rephrases and own-neighbours."""


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
        """All answers as they come, then the probes, where the question's edit lies over the model.

        Updates: picture, scores, probe-table, edits, health, questions, gate-said, gate-tokens, gate-curve, threshold,
        message, progress, buttons.
        """
        job = turn.asks(workspace.look(request))
        request = workspace.request or request
        asked = render.questions(workspace.questions(request))
        yield {**self._stack(workspace), **self.buttons(workspace), "progress": "", "questions": asked}
        places = mask_switches.places(workspace)

        def draw(said: dict[str, Any]) -> Update:
            return {"picture": picture.picture(request, said, views=places)}

        yield from self.follow(workspace, job, draw, tell=False)
        said = job.result()
        turn.check()
        text = f"{text} {picture.spoken(said)}".strip()
        edited = self._lies(workspace, request)
        yield {
            **draw(said),
            **mask_switches.verdict(workspace, request, said),
            "message": render.message(text),
            **self.buttons(workspace),
            **({"stop": gr.update(interactive=True)} if edited else {}),  # the probes follow at once
            **self._unasked(asking=edited),
        }
        if "rep" in said:
            gates = turn.asks(workspace.gates(request.text)).result()
            yield {"gate-tokens": gate_panel.at_prompt(gates), "threshold": workspace.threshold}
            known = workspace.swept(request)
            yield {"gate-said": "" if known is None else gate_panel.sentence(workspace.threshold, known.attrs["largest"])}
        if edited:
            yield from self._probe(turn, workspace, own, text)

    def _probe(self, turn: Turn, workspace: Workspace, own: Own, text: str) -> Updates:
        turn.check()
        request = workspace.request
        if request is None or not self._lies(workspace, request):
            yield {"message": render.message(f"{text} The probes are asked as soon as this edit lies over the model.")}
            return
        job = turn.asks(workspace.probe(request, extra=self._own(own, request)))
        yield {"stop": gr.update(interactive=True)}
        yield from self.follow(workspace, job, self._probed)
        try:
            frame = job.result()
        except EditLabError as error:
            turn.check()
            raise type(error)(f"The edit stands, but the probes were not asked: {error}") from error
        yield {**self._probed(frame), "message": render.message(text)}
        views = probe_table.views_of(frame)
        if "rep" in views:
            yield from self._curve(turn, workspace, request, scores(frame, "rep"))
        yield from self._drawn(turn, workspace, self.lab.reversing.linked(workspace, request), self._linked)
        if "masked" in views:
            yield from self._drawn(
                turn,
                workspace,
                self.lab.reversing.ways_back(workspace, request),
                lambda ways: {"ways-back": mask_panel.ways_back(request, ways)},
            )
        yield {"progress": "", **self.buttons(workspace)}

    def _curve(self, turn: Turn, workspace: Workspace, request: EditRequest, now: dict[str, float]) -> Updates:
        """What the threshold does to the probes; drawn once the probes stand, for nobody waits for it."""
        job = turn.asks(workspace.sweep(request))
        yield {"stop": gr.update(interactive=True)}
        yield from self.follow(workspace, job)
        swept, threshold = job.result(), workspace.threshold
        yield {
            "gate-said": gate_panel.sentence(threshold, swept.attrs["largest"]),
            "gate-curve": gate_panel.curve(swept, threshold, now),
        }

    def _drawn(self, turn: Turn, workspace: Workspace, job: Job[DataFrame], draw: Draw) -> Updates:
        """One more table about the question; drawn once the probes stand, for nobody waits for it."""
        turn.asks(job)
        yield {"stop": gr.update(interactive=True)}
        yield from self.follow(workspace, job)
        yield draw(job.result())

    def _linked(self, frame: DataFrame) -> Update:
        views = [name.removesuffix(".answer") for name in frame.columns if name.endswith(".answer")]
        return {"linked": mask_panel.linked(frame, views)}

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

    def _probed(self, frame: DataFrame) -> Update:
        return {"scores": probe_table.score_line(frame), "probe-table": probe_table.probe_table(frame)}

    def _unasked(self, asking: bool = False) -> Update:
        to_come = {"linked": mask_panel.TO_COME, "ways-back": mask_panel.TO_COME}
        return {"scores": probe_table.score_line(None, asking), "probe-table": "", **to_come}

    def _running(self, text: str) -> Update:
        idle = {name: gr.update(interactive=False) for name in ("apply", "undo", "redo", "remake")}
        return {
            "message": render.message(text),
            "progress": render.progress("Starting", 0.0),
            **idle,
            "stop": gr.update(interactive=True),
        }
