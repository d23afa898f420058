"""A workspace: a chain of edits of the frozen model, its views, and every change that needs no computation.

Longer work is a job: `edits` computes edits, `editlab.lab.asking` asks about them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from editlab.errors import BadFile, BadRequest, MissingMask
from editlab.facts import EditRequest
from editlab.lab.context import Context
from editlab.lab.job import Job, Work, stop_job
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import Chain, Decide, EditRecord, Next, busy_error
from editlab.lab.ledger.events import Edit, Event, State, count_edits
from editlab.lab.ledger.ledger import Key
from editlab.lab.workspaces import masks
from editlab.lab.workspaces.alarms import limits_of
from editlab.lab.workspaces.masks import MaskedViews, MaskInfo
from editlab.methods import METHODS, mask
from editlab.methods.rep import check_threshold, threshold_of
from editlab.patches import BASE, THRESHOLD, View

T = TypeVar("T")


class Workspace:
    """A workspace that one visitor has open, who signs events as `author`.

    Edits that are off stay in the chain. `request`: the request that the visitor looks at, applied or not; `form`: "plain"
    or "chat", how prompts are written; `hurry`: set where its edit shall not wait for key statistics, `can_hurry`:
    whether that has a use now; `question`, `typed`: the latest live questions.
    """

    def __init__(self, context: Context, name: str, author: str = "") -> None:
        self.context, self.name, self.author = context, name, author
        self.form = "plain"
        self._lock = threading.RLock()
        self._jobs: list[Job[Any]] = []
        self.question: Job[Any] | None = None
        self.typed: Job[Any] | None = None
        self.can_hurry, self.hurry = False, threading.Event()
        self._robust = BASE
        self._masked_views = MaskedViews()
        model = context.model
        self.fingerprint = model.fingerprint
        self.key = Key(self.fingerprint, name)
        self.chain = Chain(context.ledger, self.key, model, self._may_be_computing, author)
        self.touched = time.monotonic()

    # --- What is applied ---------------------------------------------------------------------------------------------

    @property
    def records(self) -> tuple[EditRecord, ...]:
        """The edits of the chain, in order."""
        return self.chain.records

    @property
    def state(self) -> State:
        """The state after all events."""
        return self.chain.state

    @property
    def request(self) -> EditRequest | None:
        """The request that the visitor looks at."""
        return self.chain.state.request

    def events(self) -> tuple[Event, ...]:
        """Return all events. Raises `BadFile` where the hash chain is broken."""
        return self.chain.events()

    def record(self, edit: Edit) -> EditRecord:
        """Return an edit of any state with its patches. Raises `BadFile` where a file is damaged."""
        return self.chain.record(edit)

    def refresh(self) -> None:
        """Read what other processes, for example the terminal, have written into this workspace."""
        self.chain.refresh()

    @property
    def notice(self) -> str | None:
        """A message about interrupted or damaged edits. It can be read once, so the reader has to show it."""
        return self.chain.notice()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self.chain.state.past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to redo."""
        return bool(self.chain.state.future)

    # --- Views -------------------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """The view of the edits that are on."""
        return self.chain.view

    @property
    def views(self) -> dict[str, View]:
        """The views to compare: "base", "edited" where an edit is on, "rep" where there are pathways.

        The switches of mask and guard add theirs (`views_under`), unless there is a `mask_problem`.
        """
        try:
            return self.views_under(self.masked, self.guarded)
        except (MissingMask, BadFile):
            return self.views_under()

    def views_under(self, mask: bool = False, guard: bool = False) -> dict[str, View]:
        """Return the views; with `mask` also "masked" and "base_masked", the control; with `guard` also "guarded".

        With both, only "guarded" is added, because "masked" would be the same. Raises `MissingMask` where an edit that is on
        has a method without a mask, and `BadFile` where a mask is damaged or belongs to another model.
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
                return views | {"guarded": self._masked_views.get("guarded", robust or self.view, bits)}
            return views | {
                "masked": self._masked_views.get("masked", self.view, bits),
                "base_masked": self._masked_views.get("base_masked", BASE, bits),
            }

    @property
    def robust(self) -> View | None:
        """The "rep" view: the edits that are on with their pathways, at the workspace's threshold; None without pathways."""
        with self._lock:
            patches = (*self.view.patches, *self.chain.pathways)
            if not self.chain.pathways:
                return None
            if self._robust.threshold != self.threshold or self._robust.patches != patches:
                self._robust = View(patches, self.threshold)
            return self._robust

    @property
    def threshold(self) -> float:
        """The gate threshold now."""
        return gate_threshold(self.chain.state)

    @property
    def question_views(self) -> dict[str, View]:
        """The views with prompts in the chosen form: plain, or in the model's chat template (`set_form`)."""
        return self.in_form(self.views)

    def in_form(self, views: Mapping[str, View]) -> dict[str, View]:
        """Return views with prompts in the chosen form."""
        if self.form == "plain":
            return dict(views)
        form = self.context.model.form(self.form)
        return {name: view.in_form(form) for name, view in views.items()}

    def set_form(self, form: str) -> None:
        """Write prompts and probes as "plain" text or in a "chat". Raises `BadRequest` where the model has no template."""
        self.context.model.form(form)
        self.form = form

    @property
    def masked(self) -> bool:
        """Whether the edits are also shown under their reversal mask."""
        return self.chain.state.masked

    @property
    def guarded(self) -> bool:
        """Whether the edits are judged under their reversal mask."""
        return self.chain.state.guarded

    def masks(self, method: str) -> tuple[MaskInfo, ...]:
        """Return the masks of the edits that are on; without edits, that of a method. Raises as `views_under` does."""
        return tuple(map(masks.describe, masks.masks_for(self.context.model, self._methods or (method,))))

    def without_mask(self, method: str) -> str | None:
        """Return the first method that lacks a mask, of the edits that are on or, without edits, this one; else None."""
        named = [name for name in self._methods or (method,) if METHODS[name].at_subject]
        return next((name for name in named if mask.find(self.context.model, name) is None), None)

    @property
    def mask_problem(self) -> str:
        """Why there are no views under a mask, as a sentence; empty where there are."""
        try:
            masks.masks_for(self.context.model, self._methods)
        except (MissingMask, BadFile) as error:
            return str(error)
        return ""

    @property
    def _methods(self) -> tuple[str, ...]:
        """The methods of the edits that are on."""
        return tuple(dict.fromkeys(record.method for record in self.records if record.on))

    # --- Changes that need no computing ------------------------------------------------------------------------------

    def look_at(self, request: EditRequest) -> None:
        """Make a request the one that the visitor looks at."""
        if request != self.chain.state.request:
            self.chain.write(lambda state: ("looked", {"request": request.as_dict()}))

    def switch(self, id: str, on: bool) -> EditRecord:
        """Switch an edit off or on; the other edits stay as they were computed.

        Raises `BadRequest` for an unknown id, or while an edit is being computed.
        """
        with self._lock:
            self.chain.refresh()
            if self.find_edit(self.chain.state, id).on != on:
                self._change(lambda state: ("switched", {"id": self.find_edit(state, id).id, "on": on}))
            return self.chain.record(self.find_edit(self.chain.state, id))

    def switch_rep(self, id: str, on: bool) -> EditRecord:
        """Switch the pathways of an edit off or on; nothing is trained again.

        Raises `BadRequest` as `switch` does, and for an edit without pathways.
        """
        with self._lock:
            self.chain.refresh()
            edit = self.find_edit(self.chain.state, id)
            if edit.rep is None:
                raise BadRequest("This edit has no REP yet. Add it first.")
            if edit.rep_on != on:
                self._change(lambda state: ("switched", {"id": self.find_edit(state, id).id, "rep": on}))
            return self.chain.record(self.find_edit(self.chain.state, id))

    def set_threshold(self, threshold: float) -> float:
        """Set the gate threshold and return it; nothing is trained again. Raises `BadRequest` outside of 0 to 1."""
        threshold = check_threshold(threshold)
        with self._lock:
            if threshold != self.threshold:
                self.chain.write(lambda state: ("threshold", {"threshold": threshold}))
                self.context.after_change(self)
            return self.threshold

    def set_masked(self, on: bool, method: str = "rome") -> None:
        """Switch the views under the reversal mask on or off. This changes no edit.

        Raises `MissingMask` where an edit that is on (without edits: `method`) has no mask, and `BadFile` where a mask is
        damaged or belongs to another model.
        """
        self._set("masked", on, method)

    def set_guarded(self, on: bool, method: str = "rome") -> None:
        """Switch the guard on or off: with it, edits are judged under the mask. Raises as `set_masked` does."""
        self._set("guarded", on, method)

    def move(self, id: str, place: int) -> None:
        """Move an edit to another place in the chain, 0 the first; the edits stay as they were computed.

        The order matters when edits are recomputed. Raises `BadRequest` as `switch` does, and where there is no such place.
        """
        with self._lock:
            self.chain.refresh()

            def decide(state: State) -> Next:
                self.find_edit(state, id)
                if not 0 <= place < len(state.chain):
                    raise BadRequest(f"There is no place {place + 1} among {count_edits(state.chain)}.")
                others = [edit.id for edit in state.chain if edit.id != id]
                return "moved", {"ids": [*others[:place], id, *others[place:]]}

            if [record.id for record in self.records].index(self.find_edit(self.chain.state, id).id) != place:
                self._change(decide)

    def remove(self, id: str) -> EditRecord:
        """Remove an edit and return it; the others stay as they were computed. Raises `BadRequest` as `switch` does."""
        with self._lock:
            self.chain.refresh()
            record = self.chain.record(self.find_edit(self.chain.state, id))
            self._change(lambda state: ("removed", {"ids": [self.find_edit(state, id).id]}))
            return record

    def clear(self) -> None:
        """Remove all edits. Raises `BadRequest` while an edit is being computed."""
        with self._lock:
            self.chain.refresh()
            self.refuse_while_editing()
            if self.chain.state.chain:
                self._change(lambda state: ("cleared", {}))

    def undo(self) -> str:
        """Undo the latest change and return its text. Raises `BadRequest` where there is none."""

        def decide(state: State) -> Next:
            if not state.past:
                raise BadRequest("There is nothing to undo. Apply an edit first.")
            return "undone", {}

        return self._change(decide).future[-1].text

    def redo(self) -> str:
        """Redo the latest undone change and return its text. Raises `BadRequest` where there is none."""

        def decide(state: State) -> Next:
            if not state.future:
                raise BadRequest("There is nothing to redo. Undo a change first.")
            return "redone", {}

        return self._change(decide).past[-1].text

    def return_to(self, number: int) -> str:
        """Apply the edits as they were after an event, and return the change's text. Raises `BadRequest`."""

        def decide(state: State) -> Next:
            if not 0 <= number <= state.number:
                raise BadRequest(f"There are {state.number:,} events. Choose one of them.")
            if state.chains[number] == state.chain:
                raise BadRequest("These are the edits that are applied now. Choose another event.")
            return "returned", {"to": number}

        return self._change(decide).past[-1].text

    def begin_as_branch(self, of: str, begin: State) -> None:
        """Begin a new workspace with the edits and settings of a state of the workspace `of`."""
        body = {"of": of, "number": begin.number, "edits": [edit.as_json() for edit in begin.chain], **begin.settings}
        self.chain.write(lambda state: ("branched", body))

    def set_limits(self, limits: Mapping[str, float]) -> None:
        """Set the alarm limits. Raises `BadRequest` for a limit that is not valid."""
        chosen = asdict(limits_of(limits))
        self.chain.write(lambda state: ("limits", {"limits": chosen}))

    def note(self, kind: str, **body: Any) -> None:
        """Write an event about the workspace itself, such as "renamed" or "shared"."""
        self.chain.write(lambda state: (kind, body))

    # --- Jobs --------------------------------------------------------------------------------------------------------

    def submit(
        self,
        work: Work[T],
        kind: Kind = Kind.OTHER,
        background: bool = False,
        title: str = "",
        request: Mapping[str, Any] | None = None,
        reloads: bool = False,
    ) -> Job[T]:
        """Submit `work(progress, cancel)` to the worker as a job of this workspace, and return the job.

        Its row in the ledger (`lab.jobs`) has the `title` and the `request`, plain JSON by which the job can be resumed.
        `reloads`: see `Loaded.only_here`.
        """
        with self._lock:
            self.touched = time.monotonic()
            about = {"workspace": self.name, "model": self.fingerprint, "author": self.author, "title": title}
            about |= {"request": dict(request or {})}
            work = self.context.loaded.only_here(self.fingerprint, work, reloads)
            job = self.context.worker.submit(work, kind, background, about)
            self._jobs = [*(job for job in self._jobs if not job.done), job]
            return job

    @property
    def busy(self) -> bool:
        """Whether a job of this workspace waits or runs and was not asked to stop.

        Live questions and jobs in the background do not count, because they give way to other jobs.
        """
        with self._lock:
            self._jobs = [job for job in self._jobs if not job.done]
            return any(not (job.stopped or job.background or Kind(job.kind).quick) for job in self._jobs)

    @property
    def editing(self) -> Job[Any] | None:
        """The job that computes edits of this workspace now, of any author, so that a reloaded page can follow it."""
        job = self.context.edits.get(self.key)
        return None if job is None or job.done else job

    def ahead(self, job: Job[Any]) -> int:
        """Return how many jobs, of all visitors, come before this one."""
        return self.context.worker.ahead(job)

    def own_ahead(self, job: Job[Any]) -> bool:
        """Return whether all of those are the visitor's own."""
        return self.context.worker.own_ahead(job)

    def stop(self, by: str = "") -> tuple[Job[Any], ...]:
        """Stop all jobs of this workspace, and return them; none where it was not `busy`. `by`: the user, for the log."""
        with self._lock:
            busy = self.busy
            jobs = tuple(job for job in self._jobs if not job.background)
            for job in jobs:
                stop_job(job, by)
            return jobs if busy else ()

    def submit_edit(
        self,
        work: Work[T],
        kind: Kind,
        title: str,
        request: EditRequest | None = None,
        again: Mapping[str, Any] | None = None,
    ) -> Job[T]:
        """Submit a job that computes edits, one at a time in a workspace, and return it.

        `request`: the request that the visitor looks at from now on; `again`: the `request` of `submit`. In its parts the
        work only waits. Raises `BadRequest` while another edit is being computed.
        """
        with self._lock:
            self.chain.refresh()
            self.refuse_while_editing()
            if request is not None:
                self.look_at(request)
            self.hurry.clear()
            job = self.context.edits[self.key] = self.submit(work, kind, title=title, request=again, reloads=True)
            return job

    # --- Parts -------------------------------------------------------------------------------------------------------

    def _set(self, switch: str, on: bool, method: str) -> None:
        """Set the switch of mask or guard, which undo does not affect."""
        with self._lock:
            self.chain.refresh()
            if on:
                self.masks(method)
            if on != getattr(self, switch):
                self.chain.write(lambda state: (switch, {"on": on}))

    def _change(self, decide: Decide) -> State:
        """Write the event that `decide` returns, unless an edit is being computed."""

        def decide_when_free(state: State) -> Next:
            self.refuse_while_editing()
            return decide(state)

        after = self.chain.write(decide_when_free)
        self.context.after_change(self)
        return after

    def find_edit(self, state: State, id: str) -> Edit:
        """Return an edit of a state. Raises `BadRequest` where there is none of this id."""
        edit = state.edit(id)
        if edit is None:
            raise BadRequest("This edit does not exist any more. Reload the page.")
        return edit

    def _may_be_computing(self) -> bool:
        """Return whether an edit that was started here may still be computed."""
        return self.editing is not None or not self.context.worker.alive

    def refuse_while_editing(self) -> None:
        """Raise `BadRequest` while an edit is being computed."""
        if self.editing is not None or self.chain.state.started is not None:
            raise busy_error()


def gate_threshold(state: State) -> float:
    """Return the gate threshold of a state: the one that was set, or else that of the latest recipe."""
    if state.threshold is not None:
        return state.threshold
    recipes = [edit.rep for edit in state.chain if edit.on and edit.rep_on and edit.rep]
    return threshold_of(recipes[-1]) if recipes else THRESHOLD
