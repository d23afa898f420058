"""A workspace: the edits of one person or group over the frozen model, and every change that is made at once.

What takes longer than a moment is a job: `edits` computes edits, `editlab.lab.asking` asks about them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from pandas import DataFrame

from editlab.errors import BadFile, BadRequest, MissingMask
from editlab.facts import EditRequest
from editlab.lab.context import Context
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import Chain, Decide, EditRecord, Next, being_edited
from editlab.lab.ledger.events import Edit, Event, State, counted
from editlab.lab.ledger.ledger import Key
from editlab.lab.worker import Job, Work, stop_job
from editlab.lab.workspaces import masks
from editlab.lab.workspaces.alarms import limits_of
from editlab.lab.workspaces.masks import Covered, MaskInfo
from editlab.methods import mask
from editlab.methods.rep import check_threshold, threshold_of
from editlab.patches import BASE, THRESHOLD, View

T = TypeVar("T")


class Workspace:
    """The edits of a workspace, in the hands of one visitor, who signs as `author`.

    Edits that are switched off stay in the chain. `request` is the question that the visitor looks at, whether it was
    applied or not; `form`: how questions are put, "plain" or as in a "chat". `question`: the visitor's latest live question;
    `sweep`: the latest request of which the probes were asked at every threshold, with the edits as they were.
    """

    def __init__(self, context: Context, name: str, author: str = "") -> None:
        self.context, self.name, self.author = context, name, author
        self.form = "plain"
        self._lock = threading.RLock()
        self._jobs: list[Job[Any]] = []
        self.question: Job[Any] | None = None
        self.sweep: tuple[EditRequest, tuple[EditRecord, ...], DataFrame] | None = None
        self._robust = BASE
        self._covered = Covered()
        model = context.model
        self.fingerprint = model.fingerprint
        self.key = Key(self.fingerprint, name)
        self.chain = Chain(context.ledger, self.key, model, self._may_be_computing, author)
        self.touched = time.monotonic()

    # --- What is applied ---------------------------------------------------------------------------------------------

    @property
    def records(self) -> tuple[EditRecord, ...]:
        """The chain in order."""
        return self.chain.records

    @property
    def state(self) -> State:
        """All of the workspace as its events have made it."""
        return self.chain.state

    @property
    def request(self) -> EditRequest | None:
        """The question that the visitor looks at."""
        return self.chain.state.request

    def events(self) -> tuple[Event, ...]:
        """Everything that happened here. Raises `BadFile` where the chain is broken."""
        return self.chain.events()

    def record(self, edit: Edit) -> EditRecord:
        """An edit with its patches, also one that lies here no longer. Raises `BadFile` where a file is damaged."""
        return self.chain.record(edit)

    def refresh(self) -> None:
        """Read what another process, the terminal's say, has written into this workspace."""
        self.chain.refresh()

    @property
    def notice(self) -> str | None:
        """What a restart interrupted, or what was damaged meanwhile. It is told once: whoever reads it, says it."""
        return self.chain.notice()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self.chain.state.past)

    @property
    def can_redo(self) -> bool:
        """Whether a change was taken back that can be made again."""
        return bool(self.chain.state.future)

    # --- Views -------------------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """The model under what is on."""
        return self.chain.view

    @property
    def views(self) -> dict[str, View]:
        """What there is to hold against each other: the base, the edited model where an edit is on, and REP where it is.

        Behind them what the switches of mask and guard add (`views_under`), as far as `mask_problem` has nothing to say.
        """
        try:
            return self.views_under(self.masked, self.guarded)
        except (MissingMask, BadFile):
            return self.views_under()

    def views_under(self, mask: bool = False, guard: bool = False) -> dict[str, View]:
        """The views, with `mask` also edited + mask and the mask alone as control; with `guard` all that is on, under it.

        The guard goes before: under it, "masked" would be the same once more. Raises `MissingMask` where an edit that is on
        is of a method without a mask, and `BadFile` where the mask is damaged or another model's.
        """
        if self.view is BASE:
            return {"base": BASE}
        robust = self.robust
        views = {"base": BASE, "edited": self.view} | ({} if robust is None else {"rep": robust})
        if not mask and not guard:
            return views
        with self._lock:
            bits = masks.bits_of(masks.masks_for(self.context.model, self._methods))
            if guard:
                return views | {"guarded": self._covered.under("guarded", robust or self.view, bits)}
            return views | {
                "masked": self._covered.under("masked", self.view, bits),
                "base_masked": self._covered.under("base_masked", BASE, bits),
            }

    @property
    def robust(self) -> View | None:
        """The edited model with the pathways of all edits that are on, at the workspace's threshold; None without any."""
        with self._lock:
            patches = (*self.view.patches, *self.chain.pathways)
            if not self.chain.pathways:
                return None
            if self._robust.threshold != self.threshold or self._robust.patches != patches:
                self._robust = View(patches, self.threshold)
            return self._robust

    @property
    def threshold(self) -> float:
        """What a pathway's gate must exceed to fire: what the visitor chose, or else the latest recipe's own."""
        chosen = self.chain.state.threshold
        if chosen is not None:
            return chosen
        recipes = [record.rep for record in self.records if record.on and record.rep_on and record.rep]
        return threshold_of(recipes[-1]) if recipes else THRESHOLD

    @property
    def asked(self) -> dict[str, View]:
        """The views as questions are put to them: bare, or in the model's chat template (`set_form`)."""
        if self.form == "plain":
            return self.views
        form = self.context.model.form(self.form)
        return {name: view.with_patches([form]) for name, view in self.views.items()}

    def set_form(self, form: str) -> None:
        """Put questions and probes as "plain" text or in a "chat". Raises `BadRequest` where the model has no template."""
        self.context.model.form(form)
        self.form = form

    @property
    def masked(self) -> bool:
        """Whether the edits are looked at under their reversal mask as well."""
        return self.chain.state.masked

    @property
    def guarded(self) -> bool:
        """Whether the model stands under the mask, and edits are judged by what they do there."""
        return self.chain.state.guarded

    def masks(self, method: str) -> tuple[MaskInfo, ...]:
        """The masks of the edits that are on; where none is, that of a method. Raises as `views_under` does."""
        return tuple(map(masks.described, masks.masks_for(self.context.model, self._methods or (method,))))

    def without_mask(self, method: str) -> str | None:
        """The first method that lacks a mask, of the edits that are on or, where none is, this one; None where none does."""
        return next((name for name in self._methods or (method,) if mask.find(self.context.model, name) is None), None)

    @property
    def mask_problem(self) -> str:
        """Why the edits that are on cannot be looked at under a mask, in a sentence; empty where they can."""
        try:
            masks.masks_for(self.context.model, self._methods)
        except (MissingMask, BadFile) as error:
            return str(error)
        return ""

    @property
    def _methods(self) -> tuple[str, ...]:
        """By which methods the edits that are on were made."""
        return tuple(dict.fromkeys(record.method for record in self.records if record.on))

    # --- Changes that need no computing ------------------------------------------------------------------------------

    def look_at(self, request: EditRequest) -> None:
        """Make a request the question that is looked at."""
        if request != self.chain.state.request:
            self.chain.write(lambda state: ("looked", {"request": request.as_dict()}))

    def switch(self, id: str, on: bool) -> EditRecord:
        """Take an edit off the model, or lay it on again in its place; the others stay as they were computed.

        Raises `BadRequest` for an unknown id, or while an edit is being computed.
        """
        with self._lock:
            self.chain.refresh()
            if self.known(self.chain.state, id).on != on:
                self._change(lambda state: ("switched", {"id": self.known(state, id).id, "on": on}))
            return self.chain.record(self.known(self.chain.state, id))

    def switch_rep(self, id: str, on: bool) -> EditRecord:
        """Take an edit's pathways off the model, or lay them there again; nothing is learnt anew.

        Raises `BadRequest` as `switch`, and for an edit that has none: `refine` it first.
        """
        with self._lock:
            self.chain.refresh()
            known = self.known(self.chain.state, id)
            if known.rep is None:
                raise BadRequest("This edit has no REP yet. Add it first.")
            if known.rep_on != on:
                self._change(lambda state: ("switched", {"id": self.known(state, id).id, "rep": on}))
            return self.chain.record(self.known(self.chain.state, id))

    def set_threshold(self, threshold: float) -> float:
        """Choose what a gate must exceed to fire. Nothing is learnt anew; raises `BadRequest` outside of 0 to 1."""
        threshold = check_threshold(threshold)
        with self._lock:
            if threshold != self.threshold:
                self.chain.write(lambda state: ("threshold", {"threshold": threshold}))
                self.context.after_change(self)
            return self.threshold

    def set_masked(self, on: bool, method: str = "rome") -> None:
        """Look at the edits under their reversal mask as well, or no longer. No edit is changed by it.

        Raises `MissingMask` where an edit that is on, or before the first one `method`, has none; `BadFile` where the mask
        is damaged or another model's.
        """
        self._set("masked", on, method)

    def set_guarded(self, on: bool, method: str = "rome") -> None:
        """Put the model under the reversal mask, so that edits are judged by what they do there. Raises as `set_masked`."""
        self._set("guarded", on, method)

    def move(self, id: str, place: int) -> None:
        """Put an edit at another place of the order, 0 the first; what was computed stays as it was.

        The order counts when the edits are re-made. Raises `BadRequest` as `switch`, and where there is no such place.
        """
        with self._lock:
            self.chain.refresh()

            def decide(state: State) -> Next:
                self.known(state, id)
                if not 0 <= place < len(state.chain):
                    raise BadRequest(f"There is no place {place + 1} among {counted(state.chain)}.")
                others = [edit.id for edit in state.chain if edit.id != id]
                return "moved", {"ids": [*others[:place], id, *others[place:]]}

            if [record.id for record in self.records].index(self.known(self.chain.state, id).id) != place:
                self._change(decide)

    def remove(self, id: str) -> EditRecord:
        """Take an edit out of the chain; the others stay as they were computed. Raises `BadRequest` as `switch`."""
        with self._lock:
            self.chain.refresh()
            record = self.chain.record(self.known(self.chain.state, id))
            self._change(lambda state: ("removed", {"ids": [self.known(state, id).id]}))
            return record

    def clear(self) -> None:
        """Take all edits out of the chain. Raises `BadRequest` while an edit is being computed."""
        with self._lock:
            self.chain.refresh()
            self.refuse_while_editing()
            if self.chain.state.chain:
                self._change(lambda state: ("cleared", {}))

    def undo(self) -> str:
        """Take the latest change back, whatever it was, and say which. Raises `BadRequest` where there is none."""

        def decide(state: State) -> Next:
            if not state.past:
                raise BadRequest("There is nothing to take back. Apply an edit first.")
            return "undone", {}

        return self._change(decide).future[-1].told

    def redo(self) -> str:
        """Make the change again that was taken back last, and say which. Raises `BadRequest` where there is none."""

        def decide(state: State) -> Next:
            if not state.future:
                raise BadRequest("There is nothing to redo. Undo a change first.")
            return "redone", {}

        return self._change(decide).past[-1].told

    def return_to(self, number: int) -> str:
        """Lay over the model what lay there after an event, which can be undone. Raises `BadRequest` for no such event."""

        def decide(state: State) -> Next:
            if not 0 <= number <= state.number:
                raise BadRequest(f"There are {state.number:,} events. Choose one of them.")
            if state.chains[number] == state.chain:
                raise BadRequest("That is what lies over the model now.")
            return "returned", {"to": number}

        return self._change(decide).past[-1].told

    def begin_as_branch(self, of: str, number: int, chain: Sequence[Edit]) -> None:
        """Begin with what lay over the model in the workspace called `of` after an event; for a new workspace."""
        body = {"of": of, "number": number, "edits": [edit.written() for edit in chain]}
        self.chain.write(lambda state: ("branched", body))

    def set_limits(self, limits: Mapping[str, float]) -> None:
        """Choose from where on the monitor gives an alarm. Raises `BadRequest` for a limit that does not fit."""
        chosen = asdict(limits_of(limits))
        self.chain.write(lambda state: ("limits", {"limits": chosen}))

    def note(self, kind: str, **body: Any) -> None:
        """Write down what was done to the workspace as a whole: "renamed" or "shared"."""
        self.chain.write(lambda state: (kind, body))

    # --- Jobs --------------------------------------------------------------------------------------------------------

    def submit(
        self,
        work: Work[T],
        kind: Kind = Kind.OTHER,
        background: bool = False,
        title: str = "",
        request: Mapping[str, Any] | None = None,
    ) -> Job[T]:
        """Hand `work(progress, cancel)` to the model's worker as a job of this workspace, which `stop` ends.

        `title` and `request`, plain JSON by which it could be done again, go into its row (`lab.jobs`).
        """
        with self._lock:
            self.touched = time.monotonic()
            about = {"workspace": self.name, "model": self.fingerprint, "author": self.author, "title": title}
            about |= {"request": dict(request or {})}
            work = self.context.loaded.only_here(self.fingerprint, work)
            job = self.context.worker.submit(work, kind, background, about)
            self._jobs = [*(job for job in self._jobs if not job.done), job]
            return job

    @property
    def busy(self) -> bool:
        """Whether a job of this workspace waits or runs that is worth stopping and was not asked to stop.

        A live question gives way by itself, and nobody waits for what runs in the background.
        """
        with self._lock:
            self._jobs = [job for job in self._jobs if not job.done]
            return any(not (job.stopped or job.background or Kind(job.kind).quick) for job in self._jobs)

    @property
    def editing(self) -> Job[Any] | None:
        """The edit that is being computed here, by whomever, or the chain that is re-made: a reloaded page follows it."""
        job = self.context.edits.get(self.key)
        return None if job is None or job.done else job

    def ahead(self, job: Job[Any]) -> int:
        """How many jobs, of this visitor or others, the model does before this one."""
        return self.context.worker.ahead(job)

    def stop(self, by: str = "") -> bool:
        """Stop whatever runs or waits here; whether there was anything. The log says `by` whom, where that is known."""
        with self._lock:
            busy = self.busy
            for job in self._jobs:
                if not job.background:
                    stop_job(job, by)
            return busy

    def submit_edit(
        self,
        work: Work[T],
        kind: Kind,
        title: str,
        request: EditRequest | None = None,
        again: Mapping[str, Any] | None = None,
    ) -> Job[T]:
        """Hand the computing of edits to the worker: one at a time in a workspace, whoever asks for it.

        `request`: the question that is looked at from now on; `again`: as `request` of `submit`. Raises `BadRequest` while
        another edit is being computed.
        """
        with self._lock:
            self.chain.refresh()
            self.refuse_while_editing()
            if request is not None:
                self.look_at(request)
            job = self.context.edits[self.key] = self.submit(work, kind, title=title, request=again)
            return job

    # --- Parts -------------------------------------------------------------------------------------------------------

    def _set(self, switch: str, on: bool, method: str) -> None:
        """Turn the switch of mask or guard, a way of looking that no undo takes back."""
        with self._lock:
            self.chain.refresh()
            if on:
                self.masks(method)
            if on != getattr(self, switch):
                self.chain.write(lambda state: (switch, {"on": on}))

    def _change(self, decide: Decide) -> State:
        """Write the event that is decided on, unless an edit is being computed."""

        def decide_when_free(state: State) -> Next:
            self.refuse_while_editing()
            return decide(state)

        after = self.chain.write(decide_when_free)
        self.context.after_change(self)
        return after

    def known(self, state: State, id: str) -> Edit:
        """Return an edit of a state. Raises `BadRequest` where there is none of this id."""
        edit = state.edit(id)
        if edit is None:
            raise BadRequest("There is no such edit any more. Reload the page to see those that there are.")
        return edit

    def _may_be_computing(self) -> bool:
        """Return whether an edit that was begun here is still being computed."""
        return self.editing is not None or not self.context.worker.alive

    def refuse_while_editing(self) -> None:
        """Raise `BadRequest` while an edit is being computed."""
        if self.editing is not None or self.chain.state.started is not None:
            raise being_edited()
