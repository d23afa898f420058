"""One person's edits as they lie over the frozen model, and everything that can be asked about them.

Nothing here changes what lies there. What takes longer than a moment is handed to the model's worker; nobody sees another
one's edits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from pandas import DataFrame, concat

from editlab import probes
from editlab.errors import BadFile, BadRequest, Cancelled, MissingMask
from editlab.facts import EditRequest
from editlab.lab.jobs.worker import Cancel, Job, Progress, Work, stop_job
from editlab.lab.ledger.chain import Chain, EditRecord
from editlab.lab.ledger.events import Edit, Event, State
from editlab.lab.ledger.ledger import Key
from editlab.lab.workspaces import masks
from editlab.lab.workspaces.masks import Covered, MaskInfo
from editlab.methods import mask
from editlab.methods.rep import threshold_of
from editlab.patches import BASE, THRESHOLD, View
from editlab.probes import Probe
from editlab.probes.views import TEXT_TOKENS

if TYPE_CHECKING:
    from editlab.lab.lab import Lab

T = TypeVar("T")

QUICK = ("live", "gates")


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


class Looking:
    """One visitor's edits, to be looked at. What takes longer than a moment comes back as a `Job` of the model's worker.

    Switched-off edits stay in the chain. `request` is the question that the visitor looks at, whether it was applied or not.
    """

    def __init__(self, lab: Lab, name: str, author: str = "") -> None:
        self._lab, self.name, self.author = lab, name, author
        self._lock = threading.RLock()
        self._jobs: list[Job[Any]] = []
        self._edit: Job[Any] | None = None
        self._live: Job[Any] | None = None
        self.form = "plain"
        self._robust = BASE
        self._covered = Covered()
        self._curve: tuple[EditRequest, tuple[EditRecord, ...], DataFrame] | None = None
        model = lab.model
        self.fingerprint = model.fingerprint
        key = Key(self.fingerprint, name)
        self._chain = Chain(lab.ledger, key, model, lambda: self.editing is not None or not lab.worker.alive, author)
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
            bits = masks.bits_of(masks.masks_for(self._lab.model, self._methods))
            if guard:
                return views | {"guarded": self._covered.under("guarded", robust or self.view, bits)}
            return views | {
                "masked": self._covered.under("masked", self.view, bits),
                "base_masked": self._covered.under("base_masked", BASE, bits),
            }

    @property
    def asked(self) -> dict[str, View]:
        """The views as questions are put to them: bare, or in the model's chat template (`set_form`)."""
        if self.form == "plain":
            return self.views
        form = self._lab.model.form(self.form)
        return {name: view.with_patches([form]) for name, view in self.views.items()}

    def set_form(self, form: str) -> None:
        """Put questions and probes as "plain" text or in a "chat". Raises `BadRequest` where the model has no template."""
        self._lab.model.form(form)
        self.form = form

    @property
    def masked(self) -> bool:
        """Whether the edits are looked at under their reversal mask as well."""
        return self._chain.state.masked

    @property
    def guarded(self) -> bool:
        """Whether the model stands under the mask, and edits are judged by what they do there."""
        return self._chain.state.guarded

    def masks(self, method: str) -> tuple[MaskInfo, ...]:
        """The masks of the edits that are on; where none is, that of a method. Raises as `views_under` does."""
        return tuple(map(masks.described, masks.masks_for(self._lab.model, self._methods or (method,))))

    def without_mask(self, method: str) -> str | None:
        """The first method that lacks a mask, of the edits that are on or, where none is, this one; None where none does."""
        return next((name for name in self._methods or (method,) if mask.find(self._lab.model, name) is None), None)

    @property
    def mask_problem(self) -> str:
        """Why the edits that are on cannot be looked at under a mask, in a sentence; empty where they can."""
        try:
            masks.masks_for(self._lab.model, self._methods)
        except (MissingMask, BadFile) as error:
            return str(error)
        return ""

    @property
    def _methods(self) -> tuple[str, ...]:
        """By which methods the edits that are on were made."""
        return tuple(dict.fromkeys(record.method for record in self.records if record.on))

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
        return threshold_of(recipes[-1]) if recipes else THRESHOLD

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
        """Whether a job of this workspace waits or runs that is worth stopping and was not asked to stop.

        A live question gives way by itself, and nobody waits for what runs in the background.
        """
        with self._lock:
            self._jobs = [job for job in self._jobs if not job.done]
            return any(not (job.stopped or job.background or job.kind in QUICK) for job in self._jobs)

    @property
    def editing(self) -> Job[Any] | None:
        """The edit that is being computed here, by whomever, or the chain that is re-made: a reloaded page follows it."""
        jobs = (workspace._edit for workspace in self._lab.opened(self.name))
        return next((job for job in (self._edit, *jobs) if job is not None and not job.done), None)

    def look(self, request: EditRequest) -> Job[probes.Answers]:
        """What each view says at the prompt of a request: `{view: probes.summary}`, shown as it grows."""
        request = self._with_truth(request)

        def work(progress: Progress, cancel: Cancel) -> probes.Answers:
            said = probes.summaries_so_far(self._lab.model, request, self.asked)
            return _shown(said, TEXT_TOKENS, progress, cancel)

        with self._lock:
            self._looked(request)
            return self.submit(work, "look")

    def live(self, text: str) -> Job[probes.Answers]:
        """How each view goes on with a text: `{view: {"top": [[token, p] x 5], "text"}}`, shown as it grows.

        It is answered together with what other visitors ask at that time. A new call cancels the one before it, which ends
        before it starts or at its next token.
        """

        with self._lock:
            if self._live is not None:
                self._live.cancel()
            self._live = self._lab.questions.ask(text, lambda: self.asked, self.fingerprint, self.submit)
            return self._live

    def probe(self, request: EditRequest, most: int | None = None, extra: Sequence[OwnProbe] = ()) -> Job[DataFrame]:
        """Ask every probe around a request under each view: the rows of `probes.ask`, shown kind after kind.

        `most` of each kind and domain; a visitor's own (`extra`) come first of their kind, all of them.
        """

        def work(progress: Progress, cancel: Cancel) -> DataFrame:
            model, views = self._lab.model, self.asked
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

        return self.submit(work, "probe")

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

        return self.submit(work, "sweep")

    def swept(self, request: EditRequest) -> DataFrame | None:
        """What `sweep` gives, where it was computed for the edits as they are; a moved threshold changes nothing of it."""
        if self._curve is None or self._curve[0] != request or self._curve[1] is not self.records:
            return None
        return self._curve[2]

    def gates(self, text: str) -> Job[DataFrame]:
        """How sure the pathways are at each token of a text: the rows of `probes.gates`; no gate opens without REP."""
        return self.submit(lambda progress, cancel: probes.gates(self._lab.model, text, self.robust or self.view), "gates")

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

    @property
    def state(self) -> State:
        """All of the workspace as its events have made it."""
        return self._chain.state

    def events(self) -> tuple[Event, ...]:
        """Everything that happened here. Raises `BadFile` where the chain is broken."""
        return self._chain.events()

    def record(self, edit: Edit) -> EditRecord:
        """An edit with its patches, also one that lies here no longer. Raises `BadFile` where a file is damaged."""
        return self._chain.record(edit)

    def refresh(self) -> None:
        """Read what another process, the terminal's say, has written into this workspace."""
        self._chain.refresh()

    def submit(
        self,
        work: Work[T],
        kind: str = "ask",
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
            job = self._lab.worker.submit(self._lab.for_model(self.fingerprint, work), kind, background, about)
            self._jobs = [*(job for job in self._jobs if not job.done), job]
            return job

    def ahead(self, job: Job[Any]) -> int:
        """How many jobs, of this visitor or others, the model does before this one."""
        return self._lab.worker.ahead(job)

    def stop(self, by: str = "") -> bool:
        """Stop whatever runs or waits here; whether there was anything. The log says `by` whom, where that is known."""
        with self._lock:
            busy = self.busy
            for job in self._jobs:
                if not job.background:
                    stop_job(job, by)
            return busy

    def _looked(self, request: EditRequest) -> None:
        if request != self._chain.state.request:
            self._chain.write(lambda state: ("looked", {"request": request.as_dict()}))

    def _with_truth(self, request: EditRequest) -> EditRequest:
        """The request with its true object, where the fact base knows one that nobody gave."""
        return probes.case_for(request, self._lab.facts).request


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
