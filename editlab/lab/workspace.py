"""One person's edits: a chain that lies over the frozen model, and everything that can be asked and changed about it.

This room decides which event comes next and hands what takes longer than a moment to the model's worker. Nobody sees
another one's edits, every change can be undone, and what failed or was stopped never reached the chain.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from pandas import DataFrame, concat
from torch import is_tensor

from editlab import methods, probes
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.lab import options
from editlab.lab.chain import Chain, Decide, EditRecord, Next, being_edited
from editlab.lab.history import Edit, State
from editlab.lab.ledger import Key
from editlab.lab.worker import Cancel, Job, Progress, Work
from editlab.patches import BASE, View
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
        """What there is to hold against each other: the base, and the edited model where an edit is on."""
        return {"base": BASE, "edited": self.view} if self.view is not BASE else {"base": BASE}

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

    def apply(self, request: EditRequest, method: str = "rome", config: Mapping[str, Any] | None = None) -> Job[EditRecord]:
        """Compute an edit under the view of the earlier ones and lay it on top of them.

        `config` holds the settings that differ from the model's preset. Raises `BadRequest` where one does not fit, and
        while another edit is being computed. Stopped or failed, it leaves everything as it was.
        """
        settings = options.config_for(self._lab.model, method, config or {}, self._lab.seed)
        request = self._with_truth(request)

        def work(progress: Progress, cancel: Cancel) -> EditRecord:
            with self._chain.begun({"request": request.as_dict(), "method": method}):
                edit = self._computed(token_hex(4), request, method, settings, self.view, progress, cancel)
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self._chain.write(lambda state: ("applied", {"edit": edit.written()}))
            return self._chain.record(edit)

        return self._submit_edit(work, request)

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
                    settings = options.config_for(self._lab.model, edit.method, edit.config, self._lab.seed)
                    again = self._computed(edit.id, edit.request, edit.method, settings, view, part, cancel)
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
            return self._submit(work)

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
            self._live = self._submit(work)
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

        return self._submit(work)

    def tokens(self, text: str) -> tuple[str, ...]:
        """A text as the model's tokenizer cuts it, spaces visible as "␣"."""
        return tuple(self._lab.model.tok.chips(text))

    def suggestions(self, request: EditRequest | str, subject: str) -> tuple[str, ...]:
        """Other objects of the relation that a request or prompt is about; () where the facts do not know it."""
        return self._lab.suggestions(request, subject)

    def refresh(self) -> None:
        """Read what another process, the terminal's say, has written into this workspace."""
        self._chain.refresh()

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
            self._edit = self._submit(work)
            return self._edit

    def _submit(self, work: Work[T]) -> Job[T]:
        with self._lock:
            self.touched = time.monotonic()
            job = self._lab.worker.submit(work)
            self._jobs = [*(job for job in self._jobs if not job.done), job]
            return job

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
