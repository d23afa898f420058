"""What the Edit tab shows of an edit: the answer of each view, then the probes, the gate and the linked facts.

Everything is about the one question that the visitor looks at.
"""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr
from pandas import DataFrame

from editlab import figures
from editlab.errors import Cancelled, EditLabError
from editlab.facts import EditRequest
from editlab.lab import EditAnswers, Job, Lab, OwnProbe, Scenario, Workspace, scores
from editlab.lab.asking import answers
from editlab.web.core import forms, render
from editlab.web.core.handlers import Handlers
from editlab.web.core.html import pieces
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.turns import Turn, Turns
from editlab.web.core.updates import Update, Updates, buttons, follow
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
        """Draw all answers as they come, then the probes where the edit is on."""
        job = turn.asks(answers.ask(workspace, request, self._own(own, request)))
        request = workspace.request or request
        questions = render.questions(answers.questions(workspace, request))
        yield {**self.edits(workspace), **buttons(workspace), "progress": "", "questions": questions}
        yield from self._follow(turn, workspace, job, text)

    def probe(self, turn: Turn, workspace: Workspace, own: OwnProbes, text: str) -> Updates:
        """Ask the probes of the question that is looked at again, and draw all that is made from their answers."""
        turn.check()
        request = workspace.request
        if request is None or not self.is_on(workspace, request):
            yield {"message": pieces.message(f"{text} The probes are asked as soon as this edit is applied.")}
            return
        job = turn.asks(answers.ask(workspace, request, self._own(own, request), probes_alone=True))
        yield {"stop": gr.update(interactive=True)}
        yield from self._follow(turn, workspace, job, text)

    def _follow(self, turn: Turn, workspace: Workspace, job: Job[EditAnswers], text: str) -> Updates:
        """Draw each part of a job's answers as it comes."""
        drawn = Drawn(workspace, text)
        try:
            yield from follow(workspace, job, drawn.update, tell=lambda: drawn.complete)
            result = job.result()
        except EditLabError as error:
            turn.check()
            if drawn.complete and not isinstance(error, Cancelled):
                raise type(error)(f"The edit is applied, but not everything was asked: {error}") from error
            raise
        turn.check()
        yield {**drawn.update(result), "message": pieces.message(drawn.message), "progress": "", **buttons(workspace)}

    def _own(self, own: OwnProbes, request: EditRequest) -> tuple[OwnProbe, ...]:
        return forms.read_own(own.own_rephrases, own.own_neighbours, request)

    def is_on(self, workspace: Workspace, request: EditRequest) -> bool:
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

    def running(self, text: str) -> Update:
        """Return the page while an edit is computed: only Stop can be pressed."""
        idle = {name: gr.update(interactive=False) for name in ("apply", "undo", "redo", "remake")}
        return {
            "message": pieces.message(text),
            "progress": pieces.progress("Starting", 0.0, ""),
            **idle,
            "stop": gr.update(interactive=True),
        }


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
            "message": pieces.message(self.message),
            "gate-said": "",
            **({"stop": gr.update(interactive=True)} if now.on else {}),  # the probes follow at once
            **unasked(asking=now.on),
        }

    def _swept(self, now: EditAnswers) -> Update:
        threshold = self._workspace.threshold
        sentence = {"gate-said": gate_panel.sentence(threshold, now.swept.attrs["largest"])}
        if not now.probed or "rep" not in probe_table.views_of(now.probes):
            return sentence
        curve = figures.sweep(now.swept, gate_panel.panels(now.swept), threshold, scores(now.probes, "rep"))
        return sentence | {"gate-curve": curve, "gate-table": gate_panel.table(now.swept)}


def unasked(asking: bool = False) -> Update:
    """Return the parts of the page that show probes, without any; `asking`: whether they are to come."""
    to_come = {"linked": mask_panel.TO_COME, "ways-back": mask_panel.TO_COME}
    return {"scores": probe_table.score_line(None, asking), "probe-table": "", **to_come}


def _views_of(frame: DataFrame) -> list[str]:
    return [name.removesuffix(".answer") for name in frame.columns if name.endswith(".answer")]


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
        return unasked(asking)

    def _running(self, text: str) -> Update:
        return self.display.running(text)


def _probes(own: Own) -> OwnProbes:
    rephrases, neighbours = own
    return OwnProbes.model_construct(own_rephrases=rephrases or "", own_neighbours=neighbours or "")
