"""What the Edit tab shows of an edit: the answer of each view, then the probes, the gate and the linked facts.

Everything is about the one question that the visitor looks at.
"""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from editlab import figures
from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.facts import EditRequest
from editlab.facts.script import bare, space_of
from editlab.lab import OFF, RECIPES, EditAnswers, EditRecord, Example, Job, Lab, OwnProbe, Workspace, recipe_of, scores
from editlab.lab.access.limits import Cost
from editlab.lab.asking import answers
from editlab.lab.workspaces import edits
from editlab.web.core import forms
from editlab.web.core.engine import said
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.language import gettext as _
from editlab.web.core.turns import Turn, Turns
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.core.wording import tell
from editlab.web.edit import answers as answer_columns
from editlab.web.edit import belief_table, edit_list, gate, known, link, probe_table, reversal, score_line, switches, words

IDLE = ("apply", "undo", "redo", "remake")
"""Buttons that cannot be pressed while an edit is computed."""


class Display:
    """Implements `EditDisplay`. `also`: what another tab draws whenever the list of edits is drawn."""

    def __init__(self, lab: Lab, turns: Turns, also: Callable[[Workspace], Update] | None = None) -> None:
        self.lab, self.turns, self._also = lab, turns, also

    def beside(self, draw: Callable[[Workspace], Update]) -> Display:
        """Return a display of the same turns with a tab's own list of edits."""
        return Display(self.lab, self.turns, draw)

    def present(self, workspace: Workspace, example: Example, own: OwnProbes, text: str = "") -> Updates:
        """Fill the fields with an example and draw its question."""
        yield {**self.fields(example.request), "preset": example.name, "say": known.say(self.lab, example)}
        yield from self.show(workspace, example.request, own, text)

    def changed(self, workspace: Workspace, text: str, own: OwnProbes, fill: bool = False) -> Updates:
        """Draw the question again after the edits have changed. `text`: the message, what was changed.

        The fields keep what a person typed; with `fill`, as in another workspace, they get the question.
        """
        request = workspace.request
        if request is None:
            yield {"message": pieces.message(text), **self.edits(workspace), **buttons(workspace), **nothing_kept()}
            return
        if fill:
            yield self.fields(request)
        yield from self.show(workspace, request, own, text)

    def show(self, workspace: Workspace, request: EditRequest, own: OwnProbes, text: str) -> Updates:
        """Draw a question: all answers, then the probes where an edit of it is on."""
        yield from self.turns.take(workspace, lambda turn: self._answers(turn, workspace, request, own, text))

    def probes(self, workspace: Workspace, own: OwnProbes, text: str) -> Updates:
        """Ask the probes of the current question again, and draw all that is made from their answers."""
        yield from self.turns.take(workspace, lambda turn: self._probes(turn, workspace, own, text))

    def press(self, workspace: Workspace, action: str, id: str, recipe: str, own: OwnProbes, row: int = 0) -> Updates:
        """Do what a button of an edit in a list does: switch, look, rep or remove. Raises `BadRequest`.

        recipe: the recipe that is chosen at "REP", by which an edit without pathways is trained. row: which request of a
        batch to look at.
        """
        record = next((record for record in workspace.records if record.id == id), None)
        if record is None or row >= len(record.requests):
            raise BadRequest(_("This edit is not in the list any more."))
        if action == "look":
            yield self.fields(record.requests[row])
            yield from self.show(workspace, record.requests[row], own, "")
        elif action == "switch":
            on = workspace.switch(id, not record.on).on
            yield from self.changed(
                workspace,
                (_("Switched on: {edit}.") if on else _("Switched off: {edit}.")).format(edit=tell(record.name)),
                own,
            )
        elif action == "rep":
            yield from self._switch_rep(workspace, record, recipe_of(recipe), own)
        else:
            workspace.remove(id)
            text = _("Removed: {edit}. The other edits are as they were computed.").format(edit=tell(record.name))
            yield from self.changed(workspace, text, own)

    def fields(self, request: EditRequest) -> Update:
        """Return the fields of a request."""
        return {
            "subject": request.subject,
            "prompt": request.prompt,
            "target-new": bare(request.target_new),
            "target-true": bare(request.target_true or ""),
            "typed": "",
            "space": space_of(request.target_new),
        }

    def edits(self, workspace: Workspace) -> Update:
        """Return the list of edits and all that depends on it."""
        records, info = workspace.records, self.lab.directory.look_up(workspace.name)
        event = 0 if info is None else self.lab.directory.last_event(info.handle, workspace.fingerprint) or 0
        return {
            "edits": edit_list.edits(records),
            "health": edit_list.health(records[-1] if records else None),
            "where": link.where(info, event),
            **switches.state(workspace),
            **(self._also(workspace) if self._also is not None else {}),
        }

    def running(self, text: str) -> Update:
        """Return the page while an edit is computed: only Stop can be pressed."""
        return {
            "message": pieces.message(text),
            "progress": pieces.progress(_("Starting"), 0.0, ""),
            **{name: gr.update(interactive=False) for name in IDLE},
            "stop": gr.update(interactive=True),
        }

    def _answers(self, turn: Turn, workspace: Workspace, request: EditRequest, own: OwnProbes, text: str) -> Updates:
        """Draw all answers as they come, then the probes where the edit is on.

        Own probes that are not valid are not asked, and the message says why: what was changed before is drawn all the same.
        """
        asked, refused = _valid(own, request)
        text = f"{text} {refused}".strip()
        try:
            job = turn.asks(answers.ask(workspace, request, asked))
        except EditLabError:
            yield {**self.edits(workspace), **buttons(workspace), **nothing_kept()}
            raise
        request = workspace.request or request
        questions = {_(name): text for name, text in answers.questions(workspace, request).items()}
        record = answers.find_applied(workspace.records, request)
        yield {
            **self.edits(workspace),
            **buttons(workspace),
            **rep_of(record),
            **nothing_kept(),
            "progress": "",
            "questions": render("edit/questions.html", questions=questions),
            "warnings": edit_list.cautions(record),
        }
        yield from self._follow(turn, workspace, job, text)

    def _probes(self, turn: Turn, workspace: Workspace, own: OwnProbes, text: str) -> Updates:
        turn.check()
        request = workspace.request
        if request is None or answers.find_applied(workspace.records, request) is None:
            yield {"message": pieces.message(f"{text} {_(words.NO_PROBES)}")}
            return
        job = turn.asks(answers.ask(workspace, request, own_probes(own, request), probes_alone=True))
        yield {"stop": gr.update(interactive=True)}
        yield from self._follow(turn, workspace, job, text)

    def _follow(self, turn: Turn, workspace: Workspace, job: Job[EditAnswers], text: str) -> Updates:
        """Draw each part of a job's answers as it comes."""
        drawn = Drawn(workspace, text)
        try:
            yield from follow(workspace, job, drawn.update, tell=lambda: drawn.complete)
            result = job.result()
        except EditLabError as error:
            if not turn.over or turn.elsewhere:
                yield {**(drawn.update(job.partial) if job.partial is not None else {}), **drawn.unfinished()}
            turn.check()
            if drawn.complete and not isinstance(error, Cancelled):
                text = _("The edit is applied, but not everything was asked: {error}")
                raise type(error)(text.format(error=said(error))) from error
            raise
        turn.check()
        yield {
            **drawn.update(result),
            "message": pieces.said(drawn.message, drawn.heard),
            "progress": "",
            **buttons(workspace),
        }

    def _switch_rep(self, workspace: Workspace, record: EditRecord, recipe: str | None, own: OwnProbes) -> Updates:
        """Switch an edit's pathways on or off; train them first where it has none by that recipe."""
        if record.rep is not None and recipe in (None, record.rep):
            on = workspace.switch_rep(record.id, not record.rep_on).rep_on
            text = _("Switched REP on: {edit}.") if on else _("Switched REP off: {edit}.")
            yield from self.changed(workspace, text.format(edit=tell(record.name)), own)
            return
        self.lab.limits.spend(Cost(edits=1))
        names = forms.read_names(own.own_rephrases, record.request)
        job = edits.refine(workspace, record.id, recipe or RECIPES[0], names)
        yield self.running(_("Adding REP: {edit}.").format(edit=tell(record.name)))
        yield from follow(workspace, job)
        yield from self.changed(workspace, words.rep_added(job.result()), own)


class Drawn:
    """What the page shows of a job's answers: `update` returns what is new since the last call.

    `complete`: whether the answers at the prompt are written; `message`: what was done; `heard`: what the answers are, which
    everybody sees and a screen reader is told.
    """

    def __init__(self, workspace: Workspace, text: str) -> None:
        self._workspace, self._places = workspace, switches.places(workspace)
        self._seen: EditAnswers | None = None
        self.complete, self.message, self.heard = False, text, ""

    def update(self, now: EditAnswers) -> Update:
        """Return the parts of the page that differ from what was drawn."""
        seen, self._seen = self._seen, now
        update: Update = {}

        def is_new(name: str) -> bool:
            return getattr(now, name) is not None and (seen is None or getattr(now, name) is not getattr(seen, name))

        if now.answers and is_new("answers"):
            update |= {"picture": answer_columns.at_prompt(now.request, now.answers, places=self._places)}
        if now.complete and not self.complete:
            update |= self._completed(now)
        if is_new("gates"):
            update |= {"gate-tokens": gate.at_prompt(now.gates), "threshold": self._workspace.threshold}
        if is_new("probes") or (now.probed and seen is not None and not seen.probed):
            update |= {"scores": score_line.score_line(now.probes, not now.probed), **_probe_rows(now)}
        if now.swept is not None and (is_new("swept") or (now.probed and not seen.probed)):
            update |= self._swept(now)
        if is_new("why"):
            update |= {"why-missed": pieces.finding(said(now.why), "hint") if now.why else ""}
        if is_new("linked"):
            update |= {"linked": reversal.linked(now.linked, probe_table.views_of(now.linked))}
        if is_new("ways_back"):
            update |= {"ways-back": reversal.ways_back(now.request, now.ways_back)}
        return update

    def unfinished(self) -> Update:
        """Return the scores without the promise of more, where an error or a stop has ended the probes."""
        seen = self._seen
        if not self.complete or seen is None or not seen.on or seen.probed:
            return {}
        return {"scores": score_line.score_line(seen.probes)}

    def _completed(self, now: EditAnswers) -> Update:
        self.complete = True
        self.message = self.message if len(now.answers) > 1 else f"{self.message} {_(words.NEXT)}".strip()
        self.heard = words.announce(now.answers)
        return {
            **switches.verdict(self._workspace, now.request, now.answers),
            "message": pieces.said(self.message, self.heard),
            "gate-said": "",
            **({"stop": gr.update(interactive=True)} if now.on else {}),  # the probes follow at once
            **without_probes(asking=now.on),
            "warnings": edit_list.cautions(answers.find_applied(self._workspace.records, now.request)),
            **_probe_rows(now),
        }

    def _swept(self, now: EditAnswers) -> Update:
        threshold, largest = self._workspace.threshold, now.swept.attrs["largest"]
        closed = all(value <= threshold for value in largest)
        text = pieces.message(words.threshold(threshold, largest), "hint closed" if closed else "hint")
        if not now.probed or "rep" not in probe_table.views_of(now.probes):
            return {"gate-said": text}
        figure = figures.sweep(now.swept, gate.panels(now.swept), threshold, scores(now.probes, "rep"))
        return {"gate-said": text, "gate-curve": figure, "gate-table": gate.table(now.swept)}


def rep_of(record: EditRecord | None) -> Update:
    """Return how the switch of REP stands for an edit that is shown; before one, it is the visitor's."""
    return {} if record is None or record.more else {"rep": record.rep if record.rep and record.rep_on else OFF}


def _probe_rows(now: EditAnswers) -> Update:
    return {"probe-table": probe_table.probe_table(now.probes, now.battery, tuple(now.answers))}


def own_probes(own: OwnProbes, request: EditRequest) -> tuple[OwnProbe, ...]:
    """Return the visitor's own probes of a request. Raises `BadRequest`."""
    return forms.read_own(own.own_rephrases, own.own_neighbours, request)


def _valid(own: OwnProbes, request: EditRequest) -> tuple[tuple[OwnProbe, ...], str]:
    """Return the visitor's own probes of a request; where they are not valid, none, and why."""
    try:
        return own_probes(own, request), ""
    except BadRequest as error:
        return (), said(error)


def nothing_kept() -> Update:
    """Return the parts of the page that a visitor asked for about an earlier state or another edit, without any."""
    return {"ask-message": "", "ask-answers": "", "report-file": ""}


def without_probes(asking: bool = False) -> Update:
    """Return the parts of the page that show how an edit is, without any; `asking`: whether probes are to come."""
    to_come = {"linked": reversal.to_come(), "ways-back": reversal.to_come(), "belief": belief_table.hint()}
    return {"warnings": "", "why-missed": "", "scores": score_line.score_line(None, asking), "probe-table": "", **to_come}
