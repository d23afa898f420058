"""One person's edits: a chain that lies over the frozen model, and everything that can be asked and changed about it.

This room decides which event comes next and hands what takes longer than a moment to the model's worker. Nobody sees
another one's edits, every change can be undone, and what failed or was stopped never reached the chain.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from pandas import DataFrame, concat
from torch import is_tensor

from editlab import methods, probes
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.lab import options, refining
from editlab.lab.chain import Chain, Decide, EditRecord, Next, being_edited, pathways_of
from editlab.lab.history import Edit, State
from editlab.lab.ledger import Key
from editlab.lab.worker import Cancel, Job, Progress, Work
from editlab.patches import BASE, THRESHOLD, View
from editlab.probes import Probe
from editlab.probes.views import TEXT_TOKENS

if TYPE_CHECKING:
    from editlab.lab.lab import Lab

T = TypeVar("T")


@dataclass(frozen=True)
class OwnProbe:
    """A probe that a visitor wrote: a `rephrase` shall say the new object, at a `locality` nothing may change."""

    kind: str
    text: str
    subject: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("rephrase", "locality"):
            raise BadRequest(f"A probe of your own is a rephrase or a locality, not {self.kind!r}. Choose one of the two.")
        if not self.text.strip():
            raise BadRequest("A probe of your own is empty. Write a sentence up to the object.")


class Workspace:
    """One visitor's edits. What takes longer than a moment comes back as a `Job` of the model's worker.

    Switched-off edits stay in the chain. `request` is the question that the visitor looks at, whether it was applied or not.
    """

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab = lab
        self._lock = threading.RLock()
        self._jobs: list[Job[Any]] = []
        self._edit: Job[Any] | None = None
        self._live: Job[Any] | None = None
        self._robust = BASE
        self._curve: tuple[EditRequest, tuple[EditRecord, ...], DataFrame] | None = None
        self._chain = Chain(lab.ledger, Key(lab.model.fingerprint, name), lab.model.device, lambda: self.editing is not None)
        self.touched = time.monotonic()

    @property
    def records(self) -> tuple[EditRecord, ...]:
        """The chain in order."""
        return self._chain.records

    @property
    def view(self) -> View:
        """The model under what is on."""
        return self._chain.view

    @property
    def views(self) -> dict[str, View]:
        """What there is to hold against each other: the base, the edited model where an edit is on, and REP where it is."""
        if self.view is BASE:
            return {"base": BASE}
        robust = self.robust
        return {"base": BASE, "edited": self.view} | ({} if robust is None else {"rep": robust})

    @property
    def robust(self) -> View | None:
        """The edited model with the pathways of all edits that are on, at the workspace's threshold; None without any."""
        with self._lock:
            patches = (*self.view.patches, *self._chain.pathways)
            if not self._chain.pathways:
                return None
            if self._robust.threshold != self.threshold or self._robust.patches != patches:
                self._robust = View(patches, self.threshold)
            return self._robust

    @property
    def threshold(self) -> float:
        """What a pathway's gate must exceed to fire: what the visitor chose, or else the latest recipe's own."""
        chosen = self._chain.state.threshold
        if chosen is not None:
            return chosen
        recipes = [record.rep for record in self.records if record.on and record.rep_on and record.rep]
        return refining.threshold_of(recipes[-1]) if recipes else THRESHOLD

    @property
    def request(self) -> EditRequest | None:
        """The question that the visitor looks at."""
        return self._chain.state.request

    @property
    def notice(self) -> str | None:
        """What a restart interrupted, or what was damaged meanwhile. It is told once: whoever reads it, says it."""
        return self._chain.notice()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._chain.state.past)

    @property
    def can_redo(self) -> bool:
        """Whether a change was taken back that can be made again."""
        return bool(self._chain.state.future)

    @property
    def busy(self) -> bool:
        """Whether a job of this workspace waits or runs."""
        with self._lock:
            self._jobs = [job for job in self._jobs if not job.done]
            return bool(self._jobs)

    @property
    def editing(self) -> Job[Any] | None:
        """The edit that is being computed, or the chain that is being re-made: a reloaded page follows it from here."""
        job = self._edit
        return None if job is None or job.done else job

    # --- changing it ------------------------------------------------------------------------------------------------

    def apply(
        self,
        request: EditRequest,
        method: str = "rome",
        config: Mapping[str, Any] | None = None,
        rep: str | None = None,
        names: Sequence[str] = (),
    ) -> Job[EditRecord]:
        """Compute an edit under the view of the earlier ones and lay it on top of them; with `rep`, a recipe, refine it.

        `config` holds the settings that differ from the model's preset; REP learns from `names` of the subject as well.
        Raises `BadRequest` where one does not fit, and while another edit is being computed. Stopped or failed, it leaves
        everything as it was.
        """
        settings = options.config_for(self._lab.model, method, config or {}, self._lab.seed)
        request, recipe = self._with_truth(request), refining.recipe_of(rep)

        def work(progress: Progress, cancel: Cancel) -> EditRecord:
            with self._chain.begun({"request": request.as_dict(), "method": method}):
                first, second = _halves(progress) if recipe else (progress, progress)
                edit = self._computed(token_hex(4), request, method, settings, self.view, first, cancel)
                if recipe:
                    below = self.view.with_patches(self._chain.pathways)
                    edit = self._refined(replace(edit, names=tuple(names)), recipe, below, second, cancel)
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self._chain.write(lambda state: ("applied", {"edit": edit.written()}))
            return self._chain.record(edit)

        return self._submit_edit(work, request)

    def refine(self, id: str, recipe: str = "default", names: Sequence[str] = ()) -> Job[EditRecord]:
        """Add REP to an edit that exists: learn its pathways under the edits before it, and from `names` as well.

        Raises `BadRequest` as `apply` does, and for an unknown id. Stopped or failed, it leaves everything as it was.
        """
        wanted = refining.recipe_of(recipe)
        if wanted is None:
            raise BadRequest(f"REP is learnt by a recipe. Choose one of: {', '.join(refining.RECIPES)}.")
        with self._lock:
            self._chain.refresh()
            known = self._known(self._chain.state, id)

        def work(progress: Progress, cancel: Cancel) -> EditRecord:
            with self._chain.begun({"request": known.request.as_dict(), "refined": id}):
                edit = self._known(self._chain.state, id)
                place = [record.id for record in self.records].index(id)
                under = [patch for record in self.records[:place] if record.on for patch in record.patches]
                others = pathways_of(record for record in self.records if record.id != id)
                below = BASE.with_patches((*under, *others))
                made = self._refined(replace(edit, names=tuple(names)), wanted, below, progress, cancel)
                if cancel():
                    raise Cancelled("Stopped. The edit is as it was.")
                self._chain.write(lambda state: ("refined", {"edit": made.written()}))
            return self._chain.record(made)

        return self._submit_edit(work)

    def remake(self) -> Job[tuple[EditRecord, ...]]:
        """Compute every edit that is on again, each under those before it, with the settings that it had.

        All are replaced at once; stopped or failed, none is. Raises `BadRequest` as `apply` does, or where none is on.
        """
        if not any(record.on for record in self.records):
            raise BadRequest("There is no edit to re-make. Apply one or switch one on first.")

        def work(progress: Progress, cancel: Cancel) -> tuple[EditRecord, ...]:
            chosen = [edit for edit in self._chain.state.chain if edit.on]
            with self._chain.begun({"edits": [edit.id for edit in chosen]}):
                view, made = BASE, []
                for place, edit in enumerate(chosen):
                    part = _Part(progress, place, len(chosen))
                    first, second = _halves(part) if edit.rep else (part, part)
                    settings = options.config_for(self._lab.model, edit.method, edit.config, self._lab.seed)
                    again = self._computed(edit.id, edit.request, edit.method, settings, view, first, cancel)
                    if edit.rep:
                        again = replace(again, names=edit.names)
                        below = view.with_patches(pathways_of(map(self._chain.record, made)))
                        again = replace(self._refined(again, edit.rep, below, second, cancel), rep_on=edit.rep_on)
                    made.append(again)
                    view = view.with_patches(self._chain.record(again).patches)
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self._chain.write(lambda state: ("remade", {"edits": [edit.written() for edit in made]}))
            return self.records

        return self._submit_edit(work)

    def switch(self, id: str, on: bool) -> EditRecord:
        """Take an edit off the model, or lay it on again in its place; the others stay as they were computed.

        Raises `BadRequest` for an unknown id, or while an edit is being computed.
        """
        with self._lock:
            self._chain.refresh()
            if self._known(self._chain.state, id).on != on:
                self._change(lambda state: ("switched", {"id": self._known(state, id).id, "on": on}))
            return self._chain.record(self._known(self._chain.state, id))

    def switch_rep(self, id: str, on: bool) -> EditRecord:
        """Take an edit's pathways off the model, or lay them there again; nothing is learnt anew.

        Raises `BadRequest` as `switch`, and for an edit that has none: `refine` it first.
        """
        with self._lock:
            self._chain.refresh()
            known = self._known(self._chain.state, id)
            if known.rep is None:
                raise BadRequest("This edit has no REP yet. Add it first.")
            if known.rep_on != on:
                self._change(lambda state: ("switched", {"id": self._known(state, id).id, "rep": on}))
            return self._chain.record(self._known(self._chain.state, id))

    def set_threshold(self, threshold: float) -> float:
        """Choose what a gate must exceed to fire. Nothing is learnt anew; raises `BadRequest` outside of 0 to 1."""
        threshold = refining.threshold_from(threshold)
        with self._lock:
            if threshold != self.threshold:
                self._chain.write(lambda state: ("threshold", {"threshold": threshold}))
            return self.threshold

    def remove(self, id: str) -> EditRecord:
        """Take an edit out of the chain; the others stay as they were computed. Raises `BadRequest` as `switch`."""
        with self._lock:
            self._chain.refresh()
            record = self._chain.record(self._known(self._chain.state, id))
            self._change(lambda state: ("removed", {"ids": [self._known(state, id).id]}))
            return record

    def clear(self) -> None:
        """Take all edits out of the chain. Raises `BadRequest` while an edit is being computed."""
        with self._lock:
            self._chain.refresh()
            self._refuse_while_editing()
            if self._chain.state.chain:
                self._chain.write(lambda state: ("cleared", {}))

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

    def stop(self) -> bool:
        """Stop whatever runs or waits for this workspace; whether there was anything."""
        with self._lock:
            busy = self.busy
            for job in self._jobs:
                job.cancel()
            return busy

    # --- asking -----------------------------------------------------------------------------------------------------

    def look(self, request: EditRequest) -> Job[probes.Answers]:
        """What each view says at the prompt of a request: `{view: probes.summary}`, shown as it grows."""
        request = self._with_truth(request)

        def work(progress: Progress, cancel: Cancel) -> probes.Answers:
            said = probes.summaries_so_far(self._lab.model, request, self.views)
            return _shown(said, TEXT_TOKENS, progress, cancel)

        with self._lock:
            self._looked(request)
            return self.submit(work)

    def live(self, text: str) -> Job[probes.Answers]:
        """How each view goes on with a text: `{view: {"top": [[token, p] x 5], "text"}}`, shown as it grows.

        A new call cancels the one before it, which ends before it starts or at its next token.
        """

        def work(progress: Progress, cancel: Cancel) -> probes.Answers:
            tokens = self._lab.answer_tokens
            return _shown(probes.answers_so_far(self._lab.model, text, self.views, tokens), tokens, progress, cancel)

        with self._lock:
            if self._live is not None:
                self._live.cancel()
            self._live = self.submit(work)
            return self._live

    def probe(self, request: EditRequest, most: int | None = None, extra: Sequence[OwnProbe] = ()) -> Job[DataFrame]:
        """Ask every probe around a request under each view: the rows of `probes.ask`, shown kind after kind.

        `most` of each kind and domain; a visitor's own (`extra`) come first of their kind, all of them.
        """

        def work(progress: Progress, cancel: Cancel) -> DataFrame:
            model, views = self._lab.model, self.views
            progress(0.0, "probes: choosing what to ask")
            case = probes.case_for(request, self._lab.facts)
            asked = [
                *(
                    Probe(own.kind, "", own.text, request.target_new if own.kind == "rephrase" else None, own.subject)
                    for own in extra
                ),
                *probes.battery(model, case, self._lab.passages, self._lab.seed, most),
            ]
            asked.sort(key=lambda probe: list(probes.KINDS).index(probe.kind))
            frames: list[DataFrame] = []
            for kind, group in groupby(asked, key=lambda probe: probe.kind):
                if cancel():
                    raise Cancelled("Stopped before all probes were asked.")
                progress(sum(map(len, frames)) / len(asked), f"probes: {probes.KINDS[kind]}")
                frames.append(probes.ask(model, case.request, tuple(group), views))
                progress.show(concat(frames, ignore_index=True))
            return concat(frames, ignore_index=True)

        return self.submit(work)

    def sweep(self, request: EditRequest) -> Job[DataFrame]:
        """What the probes around a request say at every threshold: the rows of `probes.sweep`.

        It is computed once for the edits as they are. Raises `BadRequest` where no edit has REP.
        """
        view, records = self.robust, self.records
        if view is None:
            raise BadRequest("No edit has REP, so there is no threshold to choose. Add REP to one first.")

        def work(progress: Progress, cancel: Cancel) -> DataFrame:
            known = self.swept(request)
            if known is not None:
                return known
            lab = self._lab
            case = probes.case_for(request, lab.facts)
            asked = probes.battery(lab.model, case, lab.passages, lab.seed)
            frame = probes.sweep(lab.model, case.request, asked, view, progress=progress, cancel=cancel)
            self._curve = request, records, frame
            return frame

        return self.submit(work)

    def swept(self, request: EditRequest) -> DataFrame | None:
        """What `sweep` gives, where it was computed for the edits as they are; a moved threshold changes nothing of it."""
        if self._curve is None or self._curve[0] != request or self._curve[1] is not self.records:
            return None
        return self._curve[2]

    def gates(self, text: str) -> Job[DataFrame]:
        """How sure the pathways are at each token of a text: the rows of `probes.gates`; no gate opens without REP."""
        return self.submit(lambda progress, cancel: probes.gates(self._lab.model, text, self.robust or self.view))

    def questions(self, request: EditRequest) -> dict[str, str]:
        """The edit's own question with the subject said otherwise, by what each calls it: `probes.questions`."""
        case = probes.case_for(request, self._lab.facts)
        return probes.questions(self._lab.model, case, self._lab.passages, self._lab.seed)

    def tokens(self, text: str) -> tuple[str, ...]:
        """A text as the model's tokenizer cuts it, spaces visible as "␣"."""
        return tuple(self._lab.model.tok.chips(text))

    def suggestions(self, request: EditRequest | str, subject: str) -> tuple[str, ...]:
        """Other objects of the relation that a request or prompt is about; () where the facts do not know it."""
        return self._lab.suggestions(request, subject)

    def refresh(self) -> None:
        """Read what another process, the terminal's say, has written into this workspace."""
        self._chain.refresh()

    def submit(self, work: Work[T]) -> Job[T]:
        """Hand `work(progress, cancel)` to the model's worker as a job of this workspace, which `stop` ends."""
        with self._lock:
            self.touched = time.monotonic()
            job = self._lab.worker.submit(work)
            self._jobs = [*(job for job in self._jobs if not job.done), job]
            return job

    def ahead(self, job: Job[Any]) -> int:
        """How many jobs, of this visitor or others, the model does before this one."""
        return self._lab.worker.ahead(job)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _change(self, decide: Decide) -> State:
        """Write the event that is decided on, unless an edit is being computed."""

        def decide_when_free(state: State) -> Next:
            self._refuse_while_editing()
            return decide(state)

        return self._chain.write(decide_when_free)

    def _computed(
        self,
        id: str,
        request: EditRequest,
        method: str,
        settings: Any,
        view: View,
        progress: Callable[[float, str], None],
        cancel: Cancel,
    ) -> Edit:
        """Compute one edit on a view and keep its tensors. Raises `BadRequest` where they are no numbers."""
        edited = methods.get(method).edit(self._lab.model, [request], view, settings, progress, cancel)
        if not all(value.isfinite().all() for patch in edited for value in vars(patch).values() if is_tensor(value)):
            raise BadRequest("The edit came out infinite and was not kept. Choose settings nearer to the usual ones.")
        addresses = self._chain.keep(edited.solves)
        return Edit(
            id=id,
            request=request,
            method=method,
            config=options.plain(settings),
            layers=edited.layers,
            seconds=edited.seconds,
            health=edited.health[0],
            contexts=edited.contexts,
            solves=addresses,
        )

    def _refined(self, edit: Edit, recipe: str, below: View, progress: Callable[[float, str], None], cancel: Cancel) -> Edit:
        """The edit with pathways, computed on a view and kept; how they came out stands in its health, as "rep_..."."""
        patches = self._chain.record(edit).patches
        made = refining.refined(self._lab, edit.request, patches, below, recipe, edit.names, progress, cancel)
        health = {f"rep_{name}": float(value) for name, value in (*made.health.items(), ("seconds", made.seconds))}
        kept = {name: value for name, value in edit.health.items() if not name.startswith("rep_")}
        pathways = self._chain.keep(tuple((pathway,) for pathway in made.pathways))
        return replace(edit, rep=recipe, rep_on=True, pathways=pathways, health=kept | health)

    def _looked(self, request: EditRequest) -> None:
        if request != self._chain.state.request:
            self._chain.write(lambda state: ("looked", {"request": request.as_dict()}))

    def _known(self, state: State, id: str) -> Edit:
        edit = state.edit(id)
        if edit is None:
            raise BadRequest("There is no such edit any more. Reload the page to see those that there are.")
        return edit

    def _with_truth(self, request: EditRequest) -> EditRequest:
        """The request with its true object, where the fact base knows one that nobody gave."""
        return probes.case_for(request, self._lab.facts).request

    def _submit_edit(self, work: Work[T], request: EditRequest | None = None) -> Job[T]:
        with self._lock:
            self._chain.refresh()
            self._refuse_while_editing()
            if request is not None:
                self._looked(request)
            self._edit = self.submit(work)
            return self._edit

    def _refuse_while_editing(self) -> None:
        if self.editing is not None or self._chain.state.started is not None:
            raise being_edited()


class _Part:
    """The progress of one edit of several."""

    def __init__(self, progress: Progress, place: int, count: int) -> None:
        self._progress, self._place, self._count = progress, place, count

    def __call__(self, fraction: float, text: str) -> None:
        which = f"edit {self._place + 1} of {self._count}, " if self._count > 1 else ""
        self._progress((self._place + fraction) / self._count, f"{which}{text}")


def _halves(progress: Callable[[float, str], None]) -> tuple[Callable[[float, str], None], Callable[[float, str], None]]:
    """The progress of an edit, and that of the pathways learnt after it."""
    return (
        lambda fraction, text: progress(0.6 * fraction, text),
        lambda fraction, text: progress(0.6 + 0.4 * fraction, text),
    )


def _shown(said: Iterator[probes.Answers], tokens: int, progress: Progress, cancel: Cancel) -> probes.Answers:
    """Show answers as they come; the last of them. Raises `Cancelled` at the next token."""
    answers: probes.Answers = {}
    progress(0.0, "the model reads")
    for step, answers in enumerate(said):
        if cancel():
            raise Cancelled("Stopped before the answer was complete.")
        progress(step / tokens, "the model writes")
        progress.show(answers)
    return answers
