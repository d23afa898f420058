"""The handlers that change the edits of the workspace, or the question that is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Literal

import gradio as gr
from pydantic import Field

from editlab.errors import BadFile, BadRequest, EditLabError
from editlab.facts import EditRequest
from editlab.lab import METHODS, OFF, RECIPES, Lab, Workspace, recipe_of
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import answers as answers_of
from editlab.lab.ledger.directory import FIRST
from editlab.lab.workspaces import edits
from editlab.web.core import forms
from editlab.web.core.display import EditDisplay
from editlab.web.core.engine import said
from editlab.web.core.forms import Method, Recipe, Settings
from editlab.web.core.handlers import BATTERY, CHANGED, PROBED, Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.inputs import (
    Id,
    Name,
    OwnProbes,
    Place,
    Pressed,
    Question,
    Reason,
    Subject,
    Switch,
)
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.names import VIEW_TITLES
from editlab.web.core.updates import Update, Updates, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import number, shorten, tell
from editlab.web.edit import answers, known, link, mask_words, request_form, switches, words
from editlab.web.edit import display as drawing
from editlab.web.edit.link import Link, PressedLink
from editlab.web.edit.question_handlers import RequestFields, continue_text
from editlab.web.edit.waiting import follow_edit

Threshold = Annotated[float, Field(ge=0, le=1)]
Form = Literal["plain", "chat"]
"""How questions are put to the model."""
UNREADABLE = noop("“{lost}” cannot be read. You are in “{now}” now. {error}")


class PressedEdit(Pressed):
    """A button of an edit in the list; `row`: the request of a batch that it is about."""

    press: Literal["switch", "look", "rep", "remove"]
    edit: Id
    row: Place = 0


class PressedFact(Pressed):
    """A fact that the model knows."""

    press: Literal["fact"]
    number: Place
    subject: Subject


class EditHandlers(Handlers):
    """The handlers of the Edit tab, but for those that only ask and those of its file."""

    def __init__(self, lab: Lab, display: EditDisplay) -> None:
        super().__init__(lab)
        self.display = display

    @handler(cost=PROBED)
    def open(self, visit: Visit, own: OwnProbes) -> Updates:
        """Show the question that the address names, else the one that the visitor looked at last, else an example.

        That is the first one whose fact the model knows. Those that it does not know are marked.

        The address's `workspace`, `preset`, or `subject`, `prompt`, `new` and `true`, `method`, `rep`, `mask`, `guard`,
        `view` and `run` count. What it would change for others, or in another workspace, and an edit are asked first.
        """
        address = visit.query
        workspace, notice = self._readable(visit)
        notice, asked, question = notice or said(workspace.notice or ""), None, ""
        try:
            asked = link.request_of(address)
            wanted = self._link(visit, address.get("workspace"), address)
            question = link.question(wanted) if wanted.asks else ""
            if wanted.acts and not wanted.asks:
                notice = f"{notice} {self._follow_link(visit, wanted, address.get('method'))}".strip()
                workspace = visit.workspace
        except BadRequest as error:
            notice = said(error)
        name = None if asked else address.get("preset")
        example = next((example for example in self.lab.examples if example.name == name), None)
        asked = asked or (example and example.request)
        if asked and address.get("run") == "1" and not answers_of.find_applied(workspace.records, asked):
            question = question or link.run_question(asked, visit.workspace_info)
        painted = {**self._choices(address), **self._painted(workspace, asked)}
        yield {**visit.kept, "link": question, **self.buttons(workspace), **painted}
        if workspace.editing is not None:
            yield self.display.running(_("An edit is being computed."))
            yield from follow_edit(workspace, workspace.editing)
        training = self.lab.masks.running
        if training is not None:
            yield self.display.running(_("A mask is being trained. Questions wait until it is done."))
            yield from follow(workspace, training)
        if asked is not None and example is None:
            yield {"preset": None, "say": ""}
            yield from self.display.show(workspace, asked, own, notice)
        elif example is None and workspace.request is not None:
            text = notice or _("This is the question you last looked at.")
            yield from self.display.show(workspace, workspace.request, own, text)
        elif self.lab.examples:
            unknown = ""
            if name and not example:
                unknown = _("There is no example “{name}”; this is the first one.").format(name=shorten(name, 40))
            if example is None:
                yield from known.until_one_is_known(self.lab)
                example = self.lab.knowledge.first
            yield from self.display.present(workspace, example, own, notice or unknown)
        yield from known.marks(self.lab, workspace, example)

    @handler(cost=CHANGED)
    def follow_link(self, visit: Visit, own: OwnProbes, pressed: PressedLink) -> Updates:
        """Do what a link asks for, where the visitor agrees."""
        yield {"link": ""}
        if pressed.press != "follow":
            return
        wanted = self._link(visit, pressed.workspace, pressed.model_dump(include=set(link.SWITCHES), exclude_none=True))
        text = self._follow_link(visit, wanted, None) or _("“{workspace}” is open.").format(workspace=wanted.there.name)
        workspace = visit.workspace
        if workspace.request is None and self.lab.knowledge.first is not None:
            yield from self.display.present(workspace, self.lab.knowledge.first, own, text)
        else:
            yield from self.display.changed(workspace, text, own, fill=True)

    @handler(cost=PROBED)
    def choose_example(self, visit: Visit, own: OwnProbes, preset: Name | None) -> Updates:
        """Fill the fields with an example and show the answers to its question."""
        example = next((example for example in self.lab.examples if example.name == preset), None)
        if example is None:
            raise BadRequest(_("There is no such example. Choose one from the row."))
        yield from self.display.present(visit.workspace, example, own)

    @handler(cost=Cost(prompts=1))
    def show_known(self, visit: Visit) -> Updates:
        """Ask for facts that the model knows, once for a model, and show them."""
        yield from known.facts(self.lab)

    @handler(cost=PROBED)
    def choose_known(self, visit: Visit, own: OwnProbes, pressed: PressedFact) -> Updates:
        """Fill the fields with a fact that the model knows and show the answers to its question."""
        facts = self.lab.knowledge.facts
        if pressed.number >= len(facts) or facts[pressed.number].request.subject != pressed.subject:
            raise BadRequest(_("This fact is not offered any more. Open the list again."))
        request = facts[pressed.number].request
        yield {**self.display.fields(request), **known.picked(facts[pressed.number])}
        yield from self.display.show(visit.workspace, request, own, "")

    @handler(cost=Cost(edits=1, prompts=BATTERY, changes=1))
    def apply(
        self,
        visit: Visit,
        own: OwnProbes,
        method: Method,
        rep: Recipe,
        fields: RequestFields,
        settings: Settings,
        why: Reason,
    ) -> Updates:
        """Compute an edit, with REP where it is chosen; then show all answers and ask the probes."""
        workspace, recipe = visit.workspace, recipe_of(rep)
        request = forms.read_request(fields.subject, fields.prompt, fields.target_new, fields.target_true, fields.space)
        drawing.own_probes(own, request)  # refused before the edit is computed
        names, before = forms.read_names(own.own_rephrases, request), workspace.request
        config = forms.read_settings(self.lab.methods(), method, settings)
        job = edits.apply(workspace, request, method, config or None, recipe, names, forms.read_reason(why))
        text = _("Editing: {subject} → {new}.").format(subject=request.subject, new=request.target_new)
        yield self.display.running(text)
        places = switches.places(workspace)
        places = (*places, "rep") if recipe and not workspace.guarded else places
        fresh = before is None or before.text != request.text
        if fresh:
            yield {"picture": answers.at_prompt(request, {}, True, places), "verdict": "", **drawing.without_probes()}
        yield from follow_edit(workspace, job, lambda said: {"picture": answers.at_prompt(request, said, True, places)})
        try:
            record = job.result()
        except EditLabError as error:
            if fresh or job.partial is not None:  # what was drawn for the edit is not what the model says
                yield {"progress": "", "message": pieces.message(said(error))}
                with suppress(EditLabError):
                    yield from self.display.show(workspace, request, own, said(error))
            raise
        made = {"link": ""} if visit.query.get("run") == "1" else {}  # what a link asked for, or another edit, is made
        yield {"why": "", **made}  # the reason was this edit's
        yield from self.display.show(workspace, record.request, own, words.made(record))

    @handler(cost=FREE)
    def choose_method(self, visit: Visit, method: Method) -> Updates:
        """Show the settings of the chosen method, with the loaded model's values; the page fills in what was changed."""
        yield self._settings(method)

    @handler(cost=FREE)
    def stop(self, visit: Visit) -> Updates:
        """Stop the visitor's jobs. The handler that is stopped says the rest."""
        yield from self.stop_jobs(visit)

    @handler(cost=FREE)
    def hurry(self, visit: Visit) -> Updates:
        """Let the edit that waits for key statistics be made without them."""
        workspace = visit.workspace
        if not workspace.can_hurry:
            raise BadRequest(_("No edit waits for key statistics now."))
        workspace.hurry.set()
        yield {"message": pieces.message(_(words.HURRIED)), "hurry": gr.update(visible=False)}

    @handler(cost=PROBED)
    def catch_up(self, visit: Visit, own: OwnProbes) -> Updates:
        """Draw the edits as they are now, after another window or another person has changed them."""
        yield from self.display.changed(visit.workspace, _(words.CHANGED_ELSEWHERE), own)

    @handler(cost=CHANGED)
    def undo(self, visit: Visit, own: OwnProbes) -> Updates:
        """Undo the latest change, whatever it was."""
        workspace = visit.workspace
        yield from self.display.changed(workspace, _("Undone: {change}.").format(change=tell(workspace.undo())), own)

    @handler(cost=CHANGED)
    def redo(self, visit: Visit, own: OwnProbes) -> Updates:
        """Redo the change that was undone."""
        workspace = visit.workspace
        yield from self.display.changed(workspace, _("Redone: {change}.").format(change=tell(workspace.redo())), own)

    @handler(cost=CHANGED)
    def change_edit(self, visit: Visit, own: OwnProbes, rep: Recipe, pressed: PressedEdit) -> Updates:
        """Switch an edit or its REP, show it or a row of its batch, or remove it."""
        yield from self.display.press(visit.workspace, pressed.press, pressed.edit, rep, own, pressed.row)

    @handler(cost=CHANGED)
    def remake(self, visit: Visit, own: OwnProbes) -> Updates:
        """Compute every edit that is on again, each under the earlier ones."""
        workspace = visit.workspace
        self.lab.limits.spend(Cost(edits=sum(len(record.requests) for record in workspace.records if record.on)))
        job = edits.remake(workspace)
        yield self.display.running(_("Recomputing all edits."))
        yield from follow(workspace, job)
        n = sum(len(record.requests) for record in job.result())
        text = ngettext("Recomputed {n} edit.", "Recomputed {n} edits.", n).format(n=number(n))
        yield from self.display.changed(workspace, text, own)

    @handler(cost=PROBED)
    def probe(self, visit: Visit, own: OwnProbes) -> Updates:
        """Ask the probes again, the visitor's own first."""
        yield from self.display.probes(visit.workspace, own, _("Asked again."))

    @handler(cost=CHANGED)
    def set_threshold(self, visit: Visit, own: OwnProbes, threshold: Threshold, ask: Question) -> Updates:
        """Set the threshold of the gate and ask everything again; nothing is trained."""
        workspace = visit.workspace
        value = workspace.set_threshold(threshold)
        yield from self.display.changed(
            workspace, _("The gate opens above {threshold}.").format(threshold=words.gate(value)), own
        )
        yield from continue_text(workspace, ask)

    @handler(cost=CHANGED)
    def set_rep(self, visit: Visit, own: OwnProbes, rep: Recipe) -> Updates:
        """Switch REP of the edit that is shown, training it where it has none; before an edit, choose it for the next."""
        workspace, recipe = visit.workspace, recipe_of(rep)
        record = workspace.request and answers_of.find_applied(workspace.records, workspace.request)
        if not record or record.more:
            yield {"message": pieces.message(words.rep_chosen(recipe is not None))}
        elif (recipe is None) == (record.rep is None or not record.rep_on) and recipe in (None, record.rep):
            yield self.buttons(workspace)
        else:
            try:
                yield from self.display.press(workspace, "rep", record.id, rep, own)
            except EditLabError:
                yield drawing.rep_of(answers_of.find_applied(workspace.records, workspace.request))
                raise

    @handler(cost=CHANGED)
    def set_mask(self, visit: Visit, own: OwnProbes, method: Method, mask: Switch) -> Updates:
        """Switch the reversal mask."""
        workspace = visit.workspace
        yield from self._switch(workspace, method, mask == "on", workspace.set_masked)
        text = _("The mask is on.") if mask == "on" else _("The mask is off.")
        yield from self.display.changed(workspace, text, own)

    @handler(cost=CHANGED)
    def set_guard(self, visit: Visit, own: OwnProbes, method: Method, guard: Switch) -> Updates:
        """Switch the guard."""
        workspace = visit.workspace
        yield from self._switch(workspace, method, guard == "on", workspace.set_guarded)
        text = _("The guard is on: edits are judged under the mask.") if guard == "on" else _("The guard is off.")
        yield from self.display.changed(workspace, text, own)

    @handler(cost=PROBED)
    def set_form(self, visit: Visit, own: OwnProbes, form: Form, ask: Question) -> Updates:
        """Put all questions as plain text or as a chat, and ask everything again."""
        workspace = visit.workspace
        workspace.set_form(form)
        text = _("Everything is asked as in a chat.") if form == "chat" else _("Everything is asked as plain text.")
        yield from self.display.changed(workspace, text, own)
        yield from continue_text(workspace, ask)

    @handler(cost=FREE, refused_in_demo=noop("Masks cannot be trained"))
    def train_mask(self, visit: Visit, own: OwnProbes, method: Method) -> Updates:
        """Train the mask that is missing, then show the edits under it."""
        workspace = visit.workspace
        job = self.lab.masks.train(workspace, workspace.without_mask(method) or method)
        text = _("Training a mask. Stop keeps what is done. The questions of all users wait meanwhile.")
        yield self.display.running(text)
        yield from follow(workspace, job)
        mask = job.result()
        workspace.set_masked(True, mask.method)
        text = _("The mask is trained. {mask}").format(mask=mask_words.describe(mask))
        yield from self.display.changed(workspace, text, own)

    @handler(cost=PROBED)
    def add_rephrase(self, visit: Visit, own: OwnProbes, ask: Question) -> Updates:
        """Add the live question to the visitor's own rephrases, and ask the probes."""
        line = forms.read_line(ask)
        rephrases = forms.with_line(own.own_rephrases, line)
        yield from self._added(visit.workspace, own.model_copy(update={"own_rephrases": rephrases}), line)

    @handler(cost=PROBED)
    def add_neighbour(self, visit: Visit, own: OwnProbes, ask: Question) -> Updates:
        """Add the live question to the visitor's own neighbours, and ask the probes."""
        line = forms.read_line(ask)
        neighbours = forms.with_line(own.own_neighbours, line)
        yield from self._added(visit.workspace, own.model_copy(update={"own_neighbours": neighbours}), line)

    def _added(self, workspace: Workspace, own: OwnProbes, line: str) -> Updates:
        yield {"own-rephrases": own.own_rephrases, "own-neighbours": own.own_neighbours}
        yield from self.display.probes(workspace, own, _("Added to the probes: “{probe}”.").format(probe=line))

    def _choices(self, address: Mapping[str, str]) -> Update:
        """Return the choices that an address names, as far as they exist, and the settings of the method."""
        known = {"method": METHODS, "rep": (OFF, *RECIPES), "view": VIEW_TITLES}
        chosen = {name: address[name] for name, values in known.items() if address.get(name) in values}
        return {**chosen, **self._settings(chosen.get("method", next(iter(METHODS))))}

    def _settings(self, name: str) -> Update:
        method = next(method for method in self.lab.methods() if method.name == name)
        return {"settings": gr.update(fields=request_form.settings_of(method))}

    def _readable(self, visit: Visit) -> tuple[Workspace, str]:
        """Return the visitor's workspace; where it cannot be read, a new one and why, so that nobody is locked out."""
        try:
            return visit.workspace, ""
        except BadFile as error:
            lost = visit.workspace_info.name
            now = self.lab.directory.begin_anew(visit.visitor, _(FIRST)).name
            return visit.workspace, _(UNREADABLE).format(lost=lost, now=now, error=said(error))

    def _painted(self, workspace: Workspace, asked: EditRequest | None) -> Update:
        """Return the question that the page will ask, before the model is free to answer it."""
        first = self.lab.knowledge.first
        request = asked or workspace.request or (first and first.request)
        if request is None:
            return {}
        picture = answers.at_prompt(request, {}, waiting=True, places=switches.places(workspace))
        return {**self.display.fields(request), "picture": picture}

    def _link(self, visit: Visit, handle: str | None, parameters: Mapping[str, str]) -> Link:
        """Return what a link asks for. Raises `BadRequest` where it names no workspace that the visitor may enter."""
        here = visit.workspace_info
        there = self.lab.directory.find(visit.visitor, handle) if handle else here
        return Link(there, here, link.switches(parameters, visit.enter(there)), there.id in self.lab.shown)

    def _follow_link(self, visit: Visit, wanted: Link, method: str | None) -> str:
        """Do what a link asks for, and return what could not be done as a sentence."""
        if wanted.there.id != wanted.here.id:
            self.lab.directory.enter(visit.visitor, wanted.there.id)
        return switches.set_all(visit.workspace, wanted.switches, method)

    def _switch(self, workspace: Workspace, method: str, on: bool, turn: Callable[[bool, str], None]) -> Updates:
        """Turn a switch; where that is not possible, turn it back, and where a mask is missing, offer to train one."""
        try:
            turn(on, method)
        except EditLabError as error:
            missing = workspace.without_mask(method)
            if missing is None or self.lab.masks.running is not None:
                yield switches.state(workspace)
                raise
            button = gr.update(visible=True, value=mask_words.train_label(missing))
            message = pieces.message(said(error), "problem")
            yield switches.state(workspace) | {"message": message, "train-mask": button}
            job = self.lab.masks.cost(workspace, missing)
            yield from follow(workspace, job)
            yield {"mask-said": pieces.message(mask_words.cost(job.result()), "hint")}
            raise
