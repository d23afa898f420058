"""What happens when somebody changes something on the Edit tab: an edit, its switch, the way back.

A mistake of the visitor becomes a sentence on the page, and whatever was applied before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from editlab.errors import BadFile, BadRequest, EditLabError
from editlab.lab import METHODS, OFF, RECIPES, EditRecord, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.workspaces import edits
from editlab.web.core import forms, render
from editlab.web.core.handlers import BATTERY, CHANGED, PROBED, Updates, handler
from editlab.web.edit import gate_panel, links, mask_panel, mask_switches, mask_words, picture
from editlab.web.edit.ask_handlers import AskHandlers
from editlab.web.edit.display import Own, ShowingHandlers, unasked


class EditHandlers(ShowingHandlers):
    """The handlers that change what lies over the model, or which question is looked at."""

    @handler(PROBED)
    def open(self, visitor: Any, rephrases: Any, neighbours: Any, request: gr.Request) -> Updates:
        """A page was opened. Updates: visitor, all fields, and all that `_show` does.

        The URL's `workspace`, `preset`, `method`, `rep`, `mask`, `guard` and `view` count; without a preset, a visitor who
        comes back finds what they last looked at. What it would change for others, or in another workspace, is asked first.
        """
        url = request.query_params
        workspace, unread = self._readable(visitor, request)
        notice, wanted = unread or workspace.notice, url.get("preset")
        try:
            link = self._link(visitor, request, url.get("workspace"), url)
            yield {"link": links.question(link) if link.asks else ""}
            if link.acts and not link.asks:
                notice = notice or self._follow(visitor, request, link, url.get("method"))
        except BadRequest as error:
            notice = str(error)
        yield {"visitor": self.visitor(visitor, request), **self.buttons(workspace)}
        if url.get("method") in METHODS:
            yield {"method": url.get("method")}
        if url.get("rep") in (OFF, *RECIPES):
            yield {"rep": url.get("rep")}
        if url.get("view") in render.VIEW_TITLES:
            yield {"view": url.get("view")}
        scenario = next((s for s in self.lab.scenarios if s.name == wanted), None)
        own = rephrases, neighbours
        if workspace.editing is not None:
            yield self._running("An edit is being computed.")
            yield from self.follow(workspace, workspace.editing)
        training = self.lab.masks.running
        if training is not None:
            yield self._running("A mask is being trained. Questions wait until it is done.")
            yield from self.follow(workspace, training)
        if scenario is None and workspace.request is not None:
            yield self._fields(workspace.request)
            yield from self._show(workspace, workspace.request, own, notice or "Here is where you left off.")
        elif self.lab.scenarios:
            unknown = f"There is no preset “{render.shortened(wanted, 40)}”; this is the first one." if wanted else ""
            yield from self._present(
                workspace, scenario or self.lab.scenarios[0], own, notice or ("" if scenario else unknown)
            )

    @handler(CHANGED)
    def follow_link(
        self, visitor: Any, rephrases: Any, neighbours: Any, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """The question that a link brought was answered. Updates as `open`."""
        yield {"link": ""}
        if forms.read_pressed(event, "press") != "follow":
            return
        pressed = {name: forms.read_pressed(event, name) for name in links.TURNS if name in (event._data or {})}
        link = self._link(visitor, request, forms.read_pressed(event, "room"), pressed)
        told = self._follow(visitor, request, link, None) or f"“{link.room.name}” is open."
        workspace = self.workspace(visitor, request)
        if workspace.request is None and self.lab.scenarios:
            yield from self._present(workspace, self.lab.scenarios[0], (rephrases, neighbours), told)
        else:
            yield from self._changed(workspace, told, (rephrases, neighbours))

    @handler(PROBED)
    def choose(self, visitor: Any, rephrases: Any, neighbours: Any, preset: Any, request: gr.Request) -> Updates:
        """A preset was chosen: fills the fields and shows what the model says. Input: preset. Updates as `open`."""
        scenario = next((s for s in self.lab.scenarios if s.name == preset), None)
        if scenario is None:
            raise BadRequest("There is no such preset. Choose one from the row.")
        yield from self._present(self.workspace(visitor, request), scenario, (rephrases, neighbours))

    @handler(Cost(edits=1, prompts=BATTERY, changes=1))
    def apply(
        self,
        visitor: Any,
        rephrases: Any,
        neighbours: Any,
        method: Any,
        rep: Any,
        subject: str | None,
        prompt: str | None,
        target_new: str | None,
        target_true: str | None,
        *settings: Any,
    ) -> Updates:
        """Compute an edit, with REP where it is wanted; then show all answers and ask the probes.

        The last input is the reason. Updates: message, buttons and all `_show` does.
        """
        *settings, reason, request = settings
        workspace, method = self.workspace(visitor, request), str(method or "rome")
        wanted = forms.read_request(subject, prompt, target_new, target_true)
        own = rephrases, neighbours
        self._own(own, wanted)
        seen = workspace.request
        config, recipe = forms.read_config(self.lab.methods(), method, settings), forms.read_recipe(rep)
        names = forms.read_names(rephrases, wanted)
        job = edits.apply(workspace, wanted, method, config or None, recipe, names, forms.read_reason(reason))
        yield self._running(f"Editing: {wanted.subject} → {wanted.target_new}.")
        if seen is None or seen.text != wanted.text:
            places = mask_switches.places(workspace)
            views = (*places, "rep") if recipe and not workspace.guarded else places
            yield {"picture": picture.picture(wanted, {}, True, views), "verdict": "", **unasked()}
        yield from self.follow(workspace, job)
        yield from self._show(workspace, job.result().request, own, self._made(job.result()))

    @handler(FREE)
    def stop(self, visitor: Any, request: gr.Request) -> Updates:
        """Stop what runs for this visitor. Updates: message; the stopped handler says the rest."""
        yield self.stopping(self.workspace(visitor, request).stop(self.by(request)))

    @handler(CHANGED)
    def undo(self, visitor: Any, rephrases: Any, neighbours: Any, request: gr.Request) -> Updates:
        """Take the latest change back, whatever it was. Updates as `apply`."""
        workspace = self.workspace(visitor, request)
        yield from self._changed(workspace, f"Taken back: {workspace.undo()}.", (rephrases, neighbours))

    @handler(CHANGED)
    def redo(self, visitor: Any, rephrases: Any, neighbours: Any, request: gr.Request) -> Updates:
        """Make it again. Updates as `apply`."""
        workspace = self.workspace(visitor, request)
        yield from self._changed(workspace, f"Done again: {workspace.redo()}.", (rephrases, neighbours))

    @handler(CHANGED)
    def change(
        self, visitor: Any, rephrases: Any, neighbours: Any, rep: Any, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """A button in the list of edits was pressed: switch, look, rep or remove. Updates as `apply`."""
        workspace = self.workspace(visitor, request)
        action, id = forms.read_pressed(event, "press"), forms.read_pressed(event, "edit")
        record = next((record for record in workspace.records if record.id == id), None)
        if record is None or action not in ("switch", "look", "rep", "remove"):
            raise BadRequest("This edit is not in the list any more.")
        name, own = record.name, (rephrases, neighbours)
        if action == "look":
            yield self._fields(record.request)
            yield from self._show(workspace, record.request, own, "")
        elif action == "switch":
            on = workspace.switch(id, not record.on).on
            yield from self._changed(workspace, f"Switched {'on' if on else 'off'}: {name}.", own)
        elif action == "rep":
            yield from self._switch_rep(workspace, record, forms.read_recipe(rep), own)
        else:
            workspace.remove(id)
            yield from self._changed(workspace, f"Removed: {name}. The others stay as they were computed.", own)

    @handler(CHANGED)
    def remake(self, visitor: Any, rephrases: Any, neighbours: Any, request: gr.Request) -> Updates:
        """Compute every edit that is on again, each under the earlier ones. Updates as `apply`."""
        workspace = self.workspace(visitor, request)
        self.lab.limits.spend(Cost(edits=sum(len(record.requests) for record in workspace.records if record.on)))
        job = edits.remake(workspace)
        yield self._running("Re-making the chain of edits.")
        yield from self.follow(workspace, job)
        made = sum(len(record.requests) for record in job.result())
        yield from self._changed(workspace, f"Re-made {made} edit{'' if made == 1 else 's'}.", (rephrases, neighbours))

    @handler(PROBED)
    def probe(self, visitor: Any, rephrases: Any, neighbours: Any, request: gr.Request) -> Updates:
        """Ask the probes again, own lines first. Updates: scores, probe-table, message, buttons."""
        workspace = self.workspace(visitor, request)
        yield from self.in_turn(
            workspace, lambda turn: self._probe(turn, workspace, (rephrases, neighbours), "Asked again.")
        )

    @handler(CHANGED)
    def move(
        self, visitor: Any, rephrases: Any, neighbours: Any, threshold: Any, asked: str | None, request: gr.Request
    ) -> Updates:
        """The threshold was moved: everything is asked again, nothing is learnt. Updates as `apply`, and as `ask`."""
        workspace = self.workspace(visitor, request)
        chosen = workspace.set_threshold(forms.read_threshold(threshold))
        yield from self._changed(workspace, f"The gate opens above {gate_panel.number(chosen)}.", (rephrases, neighbours))
        yield from AskHandlers(self.lab).ask(visitor, asked, request)

    @handler(CHANGED)
    def mask(self, visitor: Any, rephrases: Any, neighbours: Any, method: Any, wanted: Any, request: gr.Request) -> Updates:
        """The reversal mask was switched. Inputs: method, mask. Updates as `apply`."""
        workspace, on = self.workspace(visitor, request), forms.read_switch(wanted)
        yield from self._turned(workspace, str(method or "rome"), on, workspace.set_masked)
        yield from self._changed(workspace, "The mask is on." if on else "The mask is off.", (rephrases, neighbours))

    @handler(CHANGED)
    def guard(self, visitor: Any, rephrases: Any, neighbours: Any, method: Any, wanted: Any, request: gr.Request) -> Updates:
        """The guard was switched. Inputs: method, guard. Updates as `apply`."""
        workspace, on = self.workspace(visitor, request), forms.read_switch(wanted)
        yield from self._turned(workspace, str(method or "rome"), on, workspace.set_guarded)
        told = "The guard is up: the model stands under the mask." if on else "The guard is down."
        yield from self._changed(workspace, told, (rephrases, neighbours))

    @handler(PROBED)
    def put(
        self, visitor: Any, rephrases: Any, neighbours: Any, form: Any, asked: str | None, request: gr.Request
    ) -> Updates:
        """Questions are put in another form: everything is asked again. Input: form. Updates as `apply`, and as `ask`."""
        workspace = self.workspace(visitor, request)
        workspace.set_form(forms.read_form(form))
        told = "Everything is asked as in a chat." if workspace.form == "chat" else "Everything is asked as plain text."
        yield from self._changed(workspace, told, (rephrases, neighbours))
        yield from AskHandlers(self.lab).ask(visitor, asked, request)

    @handler(Cost(refused="Masks cannot be trained"))
    def train_mask(self, visitor: Any, rephrases: Any, neighbours: Any, method: Any, request: gr.Request) -> Updates:
        """Train the mask that is missing, then look at the edits under it. Input: method. Updates as `apply`."""
        workspace, method = self.workspace(visitor, request), str(method or "rome")
        job = self.lab.masks.train(workspace, workspace.without_mask(method) or method)
        yield self._running("Training a mask. Stop keeps what is done; everybody's questions wait meanwhile.")
        yield from self.follow(workspace, job)
        made = job.result()
        workspace.set_masked(True, made.method)
        yield from self._changed(workspace, f"A mask is trained. {mask_words.about(made)}", (rephrases, neighbours))

    @handler(PROBED)
    def join_rephrase(self, visitor: Any, rephrases: Any, neighbours: Any, text: str | None, request: gr.Request) -> Updates:
        """The live question joins the battery: its answer shall change. Input: ask. Updates as `probe`, and the lines."""
        line = forms.read_line(text)
        own = forms.with_line(rephrases, line), neighbours
        yield from self._joined(self.workspace(visitor, request), own, line)

    @handler(PROBED)
    def join_neighbour(
        self, visitor: Any, rephrases: Any, neighbours: Any, text: str | None, request: gr.Request
    ) -> Updates:
        """The live question joins the battery: its answer shall stay. Input: ask. Updates as `probe`, and the lines."""
        line = forms.read_line(text)
        own = rephrases, forms.with_line(neighbours, line)
        yield from self._joined(self.workspace(visitor, request), own, line)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _readable(self, visitor: Any, request: gr.Request) -> tuple[Workspace, str]:
        """Return the visitor's workspace; where it cannot be read, a new one and why, so that nobody is locked out."""
        try:
            return self.workspace(visitor, request), ""
        except BadFile as error:
            name = self.visitor(visitor, request)
            lost = self.lab.directory.current(name).name
            now = self.lab.directory.begin_anew(name).name
            return self.workspace(visitor, request), f"“{lost}” cannot be read. You are in “{now}” now. {error}"

    def _link(self, visitor: Any, request: gr.Request, handle: str | None, url: Mapping[str, str]) -> links.Link:
        """Return what a link asks for. Raises `BadRequest` where it names no workspace that the visitor may enter."""
        name = self.visitor(visitor, request)
        here = self.lab.directory.current(name)
        room = self.lab.directory.find(name, handle) if handle else here
        there = self.lab.workspace(room.id, self.author(name, room, request))
        return links.Link(room, here, links.switches(url, there))

    def _follow(self, visitor: Any, request: gr.Request, link: links.Link, method: str | None) -> str:
        """Do what a link asks for, and return what could not be done as a sentence."""
        if link.room.id != link.here.id:
            self.lab.directory.enter(self.visitor(visitor, request), link.room.id)
        return mask_switches.turn(self.workspace(visitor, request), {**link.switches, "method": method or ""})

    def _switch_rep(self, workspace: Workspace, record: EditRecord, recipe: str | None, own: Own) -> Updates:
        """Lay an edit's pathways over the model or take them off; learn them first where it has none by that recipe."""
        name = record.name
        if record.rep is not None and recipe in (None, record.rep):
            on = workspace.switch_rep(record.id, not record.rep_on).rep_on
            yield from self._changed(workspace, f"Switched REP {'on' if on else 'off'}: {name}.", own)
            return
        self.lab.limits.spend(Cost(edits=1))
        job = edits.refine(workspace, record.id, recipe or RECIPES[0], forms.read_names(own[0], record.request))
        yield self._running(f"Adding REP: {name}.")
        yield from self.follow(workspace, job)
        made = job.result()
        text = f"Added REP in {made.health['rep_seconds']:.1f} s: {name}.{self._unspared(made)}"
        yield from self._changed(workspace, text, own)

    def _turned(self, workspace: Workspace, method: str, on: bool, turn: Callable[[bool, str], None]) -> Updates:
        """Turn a switch; where that cannot be done, show it as it was, why, and where a mask is missing what one costs."""
        try:
            turn(on, method)
        except EditLabError as error:
            yield mask_switches.shown(workspace)
            missing = workspace.without_mask(method)
            if missing is not None and self.lab.masks.running is None:
                button = gr.update(visible=True, value=f"Train a mask for {missing.upper()}")
                yield {"message": render.message(str(error), "problem"), "train-mask": button}
                job = self.lab.masks.cost(workspace, missing)
                yield from self.follow(workspace, job)
                yield {"mask-said": mask_panel.cost(job.result())}
            raise

    def _made(self, record: EditRecord) -> str:
        rep = f", REP in {record.health['rep_seconds']:.1f} s" if record.rep else ""
        return f"Edited in {record.seconds:.1f} s{rep}.{self._unspared(record)}"

    def _unspared(self, record: EditRecord) -> str:
        """What REP means for an edit that was made without key statistics, and what to do."""
        if not record.rep or record.health.get("whitened", 1.0):
            return ""
        layers = ",".join(map(str, record.layers))
        return (
            " No key statistics kept the edit out of other keys' way, so that only the gate does. For both: "
            f"editlab stats --layers {layers}, and edit again."
        )

    def _joined(self, workspace: Workspace, own: Own, line: str) -> Updates:
        yield {"own-rephrases": own[0] or "", "own-neighbours": own[1] or ""}
        text = f"Joined the probes: “{line}”."
        yield from self.in_turn(workspace, lambda turn: self._probe(turn, workspace, own, text))
