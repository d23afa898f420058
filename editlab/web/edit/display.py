"""What the Edit tab shows of an edit: the answer of each view, then the probes, the gate and the linked facts.

Everything is about the one question that the visitor looks at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from pandas import DataFrame

from editlab import figures
from editlab.errors import EditLabError
from editlab.facts import EditRequest
from editlab.lab import Job, Lab, OwnProbe, Scenario, Workspace, scores
from editlab.web.core import forms, render
from editlab.web.core.handlers import Handlers
from editlab.web.core.html import pieces
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.turns import Turn, Turns
from editlab.web.core.updates import Draw, Update, Updates, buttons, follow
from editlab.web.edit import edit_list, gate_panel, links, mask_panel, mask_switches, picture, probe_table


class Display:
    """Implements `EditDisplay`. `also`: what another tab draws whenever the list of edits is drawn."""

    def __init__(self, lab: Lab, turns: Turns, also: Callable[[Workspace], Update] | None = None) -> None:
        self.lab, self.turns, self._also = lab, turns, also

    def beside(self, draw: Callable[[Workspace], Update]) -> Display:
        """Return a display of the same turns with a tab's own list of edits."""
        return Display(self.lab, self.turns, draw)

    def present(self, workspace: Workspace, scenario: Scenario, own: OwnProbes, text: str = "") -> Updates:
        """Fill the fields with a scenario and draw its question."""
        yield {**self.fields(scenario.request), "preset": scenario.name, "say": render.say(scenario.say)}
        yield from self.show(workspace, scenario.request, own, text)

    def changed(self, workspace: Workspace, text: str, own: OwnProbes) -> Updates:
        """Draw the question again after the edits have changed. `text`: the message, what was changed."""
        request = workspace.request
        if request is None:
            yield {"message": pieces.message(text), **self.edits(workspace), **buttons(workspace)}
            return
        yield self.fields(request)
        yield from self.show(workspace, request, own, text)

    def show(self, workspace: Workspace, request: EditRequest, own: OwnProbes, text: str) -> Updates:
        """Draw a question: all answers, then the probes where an edit of it is on."""
        yield from self.turns.take(workspace, lambda turn: self._answers(turn, workspace, request, own, text))

    def _answers(self, turn: Turn, workspace: Workspace, request: EditRequest, own: OwnProbes, text: str) -> Updates:
        """Draw all answers as they come, then ask the probes."""
        job = turn.asks(workspace.look(request))
        request = workspace.request or request
        asked = render.questions(workspace.questions(request))
        yield {**self.edits(workspace), **buttons(workspace), "progress": "", "questions": asked}
        places = mask_switches.places(workspace)

        def draw(said: dict[str, Any]) -> Update:
            return {"picture": picture.picture(request, said, views=places)}

        yield from follow(workspace, job, draw, tell=False)
        said = job.result()
        turn.check()
        text = f"{text} {picture.spoken(said)}".strip()
        edited = self.lies(workspace, request)
        yield {
            **draw(said),
            **mask_switches.verdict(workspace, request, said),
            "message": pieces.message(text),
            **buttons(workspace),
            **({"stop": gr.update(interactive=True)} if edited else {}),  # the probes follow at once
            **self.unasked(asking=edited),
        }
        if "rep" in said:
            gates = turn.asks(workspace.gates(request.text)).result()
            yield {"gate-tokens": gate_panel.at_prompt(gates), "threshold": workspace.threshold}
            known = workspace.swept(request)
            yield {"gate-said": "" if known is None else gate_panel.sentence(workspace.threshold, known.attrs["largest"])}
        if edited:
            yield from self.probe(turn, workspace, own, text)

    def probe(self, turn: Turn, workspace: Workspace, own: OwnProbes, text: str) -> Updates:
        """Ask the probes of the question that is looked at, and draw all that is made from their answers."""
        turn.check()
        request = workspace.request
        if request is None or not self.lies(workspace, request):
            yield {"message": pieces.message(f"{text} The probes are asked as soon as this edit lies over the model.")}
            return
        job = turn.asks(workspace.probe(request, extra=self._own(own, request)))
        yield {"stop": gr.update(interactive=True)}
        yield from follow(workspace, job, self._probed)
        try:
            frame = job.result()
        except EditLabError as error:
            turn.check()
            raise type(error)(f"The edit stands, but the probes were not asked: {error}") from error
        yield {**self._probed(frame), "message": pieces.message(text)}
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
        yield {"progress": "", **buttons(workspace)}

    def _curve(self, turn: Turn, workspace: Workspace, request: EditRequest, now: dict[str, float]) -> Updates:
        """Draw how the scores depend on the threshold. It comes after the probes, since nobody waits for it."""
        job = turn.asks(workspace.sweep(request))
        yield {"stop": gr.update(interactive=True)}
        yield from follow(workspace, job)
        swept, threshold = job.result(), workspace.threshold
        yield {
            "gate-said": gate_panel.sentence(threshold, swept.attrs["largest"]),
            "gate-curve": figures.sweep(swept, gate_panel.panels(swept), threshold, now),
            "gate-table": gate_panel.table(swept),
        }

    def _drawn(self, turn: Turn, workspace: Workspace, job: Job[DataFrame], draw: Draw) -> Updates:
        """Draw another table about the question. It comes after the probes, since nobody waits for it."""
        turn.asks(job)
        yield {"stop": gr.update(interactive=True)}
        yield from follow(workspace, job)
        yield draw(job.result())

    def _linked(self, frame: DataFrame) -> Update:
        views = [name.removesuffix(".answer") for name in frame.columns if name.endswith(".answer")]
        return {"linked": mask_panel.linked(frame, views)}

    def _own(self, own: OwnProbes, request: EditRequest) -> tuple[OwnProbe, ...]:
        return forms.read_own(own.own_rephrases, own.own_neighbours, request)

    def lies(self, workspace: Workspace, request: EditRequest) -> bool:
        """Return whether an edit of this question is on."""
        return any(record.on and request in record.requests for record in workspace.records)

    def fields(self, request: EditRequest) -> Update:
        """Return the fields of a request."""
        return {
            "subject": request.subject,
            "prompt": request.prompt,
            "target-new": request.target_new,
            "target-true": request.target_true or "",
        }

    def edits(self, workspace: Workspace) -> Update:
        """Return the list of edits and all that depends on it."""
        records = workspace.records
        health = edit_list.health(records[-1] if records else None)
        where = links.where(self.lab.directory.called(workspace.name))
        also = self._also(workspace) if self._also is not None else {}
        return {
            "edits": edit_list.edits(records),
            "health": health,
            "where": where,
            **mask_switches.shown(workspace),
            **also,
        }

    def _probed(self, frame: DataFrame) -> Update:
        return {"scores": probe_table.score_line(frame), "probe-table": probe_table.probe_table(frame)}

    def unasked(self, asking: bool = False) -> Update:
        """Return the places of the probes before they are asked."""
        to_come = {"linked": mask_panel.TO_COME, "ways-back": mask_panel.TO_COME}
        return {"scores": probe_table.score_line(None, asking), "probe-table": "", **to_come}

    def running(self, text: str) -> Update:
        """Return the page while an edit is computed: only Stop can be pressed."""
        idle = {name: gr.update(interactive=False) for name in ("apply", "undo", "redo", "remake")}
        return {
            "message": pieces.message(text),
            "progress": pieces.progress("Starting", 0.0, ""),
            **idle,
            "stop": gr.update(interactive=True),
        }


Own = tuple[str | None, str | None]  # until all tabs are converted


class ShowingHandlers(Handlers):  # until all tabs are converted: then a handlers class gets an `EditDisplay`
    """The display as methods of handlers."""

    @property
    def display(self) -> Display:
        """The display, in the turns that these handlers share."""
        return Display(self.lab, self._turns, self._beside)

    def _beside(self, workspace: Workspace) -> Update:
        return {}

    def _present(self, workspace: Workspace, scenario: Scenario, own: Own, text: str = "") -> Updates:
        yield from self.display.present(workspace, scenario, _probes(own), text)

    def _changed(self, workspace: Workspace, text: str, own: Own) -> Updates:
        yield from self.display.changed(workspace, text, _probes(own))

    def _show(self, workspace: Workspace, request: EditRequest, own: Own, text: str) -> Updates:
        yield from self.display.show(workspace, request, _probes(own), text)

    def _probe(self, turn: Turn, workspace: Workspace, own: Own, text: str) -> Updates:
        yield from self.display.probe(turn, workspace, _probes(own), text)

    def _own(self, own: Own, request: EditRequest) -> tuple[OwnProbe, ...]:
        return forms.read_own(*own, request)

    def _fields(self, request: EditRequest) -> Update:
        return self.display.fields(request)

    def _stack(self, workspace: Workspace) -> Update:
        return self.display.edits(workspace)

    def _unasked(self, asking: bool = False) -> Update:
        return self.display.unasked(asking)

    def _running(self, text: str) -> Update:
        return self.display.running(text)


def _probes(own: Own) -> OwnProbes:
    rephrases, neighbours = own
    return OwnProbes.model_construct(own_rephrases=rephrases or "", own_neighbours=neighbours or "")
