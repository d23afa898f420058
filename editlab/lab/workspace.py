"""How a person changes what lies over the model: a chain of edits, each made, refined, switched, removed or made again.

This room decides which event comes next and hands what takes longer than a moment to the model's worker. Every change can
be undone, and what failed or was stopped never reached the chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any, TypeVar

from torch import is_tensor

from editlab import methods
from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.facts import EditRequest, Placed
from editlab.lab import many, masking, options, refining
from editlab.lab.chain import Decide, EditRecord, Next, being_edited, pathways_of
from editlab.lab.history import Edit, State
from editlab.lab.looking import Looking
from editlab.lab.many import Applied, EditFile
from editlab.lab.worker import Cancel, Job, Progress, Work
from editlab.patches import BASE, View

T = TypeVar("T")


class Workspace(Looking):
    """One visitor's edits, to be looked at and changed."""

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
        The guard changes nothing of the computation, only what its outcome is worth. Raises `BadRequest` where one does not
        fit, and while another edit is being computed; `MissingMask` where the guard is up and has no mask for the method.
        Stopped or failed, it leaves everything as it was.
        """
        settings = options.config_for(self._lab.model, method, config or {}, self._lab.seed)
        request, recipe = self._with_truth(request), refining.recipe_of(rep)
        if self.guarded:
            masking.masks_for(self._lab.model, (method,))

        def work(progress: Progress, cancel: Cancel) -> EditRecord:
            with self._chain.begun({"request": request.as_dict(), "method": method}):
                first, second = _halves(progress) if recipe else (progress, progress)
                below = self._below()
                edit = self._computed(token_hex(4), (request,), method, settings, self.view, below, first, cancel)
                if recipe:
                    under = self.view.with_patches(self._chain.pathways)
                    edit = self._refined(replace(edit, names=tuple(names)), recipe, under, second, cancel)
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self._chain.write(lambda state: ("applied", {"edit": edit.written()}))
            return self._chain.record(edit)

        return self._submit_edit(work, "edit", request)

    def apply_many(
        self, file: EditFile, method: str = "memit", config: Mapping[str, Any] | None = None, batch: int = many.BATCH
    ) -> Job[Applied]:
        """Compute the edits of a file, so many at a time, and lay each batch on top of the earlier ones once it is made.

        A batch is one edit of the chain, taken back as one. Rows that lie here already, made by this method with these
        settings, are left out: so a file goes on where it was, whether it was stopped, its process killed or a row of it
        mended. Live questions are answered between two batches. Raises `BadRequest` as `apply` does, and for a file without
        a row that can be made.
        """
        settings = options.config_for(self._lab.model, method, config or {}, self._lab.seed)
        many.check_size(batch)
        if not file.rows:
            raise BadRequest(f"{file.name} has no row that can be edited. Mend its rows first.")
        if self.guarded:
            masking.masks_for(self._lab.model, (method,))

        def work(progress: Progress, cancel: Cancel) -> Applied:
            began = time.monotonic()
            there = list(many.lying(file, self._chain.state.chain, method, options.plain(settings)))
            resumed = many.applied(file, there).done

            def shown() -> Applied:
                return many.applied(file, there, resumed, time.monotonic() - began)

            left = many.batches(file, there, batch)
            for number, rows in enumerate(left):
                progress.show(shown())
                part = _Part(progress, number, len(left), "batch")
                there.append(self._batch(file, rows, method, settings, part, cancel, shown()))
                self._lab.questions.answer()
            progress.show(shown())
            return replace(shown(), held=self._held(file, settings, progress, cancel))

        return self._submit_edit(work, "edits")

    def applied_of(self, file: EditFile, method: str = "memit", config: Mapping[str, Any] | None = None) -> Applied:
        """How far a file is here with this method and these settings. Raises `BadRequest` where one does not fit."""
        settings = options.config_for(self._lab.model, method, config or {}, self._lab.seed)
        return many.applied(file, many.lying(file, self._chain.state.chain, method, options.plain(settings)))

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
        if known.more:
            raise BadRequest(
                f"REP is learnt for one edit at a time, and this is a batch of {len(known.requests)}. Apply the edit that "
                "shall have it once more, by itself."
            )

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

        return self._submit_edit(work, "rep")

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
                    kind, source, below = edit.method, edit.source, _requests_of(made)
                    again = self._computed(edit.id, edit.requests, kind, settings, view, below, first, cancel, source)
                    if edit.rep:
                        again = replace(again, names=edit.names)
                        under = view.with_patches(pathways_of(map(self._chain.record, made)))
                        again = replace(self._refined(again, edit.rep, under, second, cancel), rep_on=edit.rep_on)
                    made.append(again)
                    view = view.with_patches(self._chain.record(again).patches)
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self._chain.write(lambda state: ("remade", {"edits": [edit.written() for edit in made]}))
            return self.records

        return self._submit_edit(work, "remake")

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

    def set_masked(self, on: bool, method: str = "rome") -> None:
        """Look at the edits under their reversal mask as well, or no longer. No edit is changed by it.

        Raises `MissingMask` where an edit that is on, or before the first one `method`, has none; `BadFile` where the mask
        is damaged or another model's.
        """
        self._set("masked", on, method)

    def set_guarded(self, on: bool, method: str = "rome") -> None:
        """Put the model under the reversal mask, so that edits are judged by what they do there. Raises as `set_masked`."""
        self._set("guarded", on, method)

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

    # --- parts ------------------------------------------------------------------------------------------------------

    def _set(self, switch: str, on: bool, method: str) -> None:
        """Turn the switch of mask or guard, a way of looking that no undo takes back."""
        with self._lock:
            self._chain.refresh()
            if on:
                self.masks(method)
            if on != getattr(self, switch):
                self._chain.write(lambda state: (switch, {"on": on}))

    def _change(self, decide: Decide) -> State:
        """Write the event that is decided on, unless an edit is being computed."""

        def decide_when_free(state: State) -> Next:
            self._refuse_while_editing()
            return decide(state)

        return self._chain.write(decide_when_free)

    def _batch(
        self,
        file: EditFile,
        rows: Sequence[Placed],
        method: str,
        settings: Any,
        progress: Callable[[float, str], None],
        cancel: Cancel,
        before: Applied,
    ) -> Edit:
        """Compute a batch of a file and lay it on top. What goes wrong says at which rows, and that the others stay."""
        source = many.source_of(file, rows)
        lie = "lies" if before.done == 1 else "lie"
        kept = f"{before.done:,} of {before.rows:,} edits {lie} here. Give the file again to go on"
        try:
            requests = tuple(self._with_truth(placed.case.request) for placed in rows)
            with self._chain.begun({"request": requests[0].as_dict(), "method": method, "source": source}):
                below = self._below()
                edit = self._computed(token_hex(4), requests, method, settings, self.view, below, progress, cancel, source)
                if cancel():
                    raise Cancelled("Stopped.")
                self._chain.write(lambda state: ("applied", {"edit": edit.written()}))
                return edit
        except Cancelled as stopped:
            raise Cancelled(f"Stopped. {kept}.") from stopped
        except EditLabError as error:
            where = f"The batch from {rows[0].place} to {rows[-1].place} was not made"
            raise type(error)(f"{where}: {error} {kept}, with a smaller batch or without those rows.") from error

    def _held(self, file: EditFile, settings: Any, progress: Progress, cancel: Cancel) -> float | None:
        """The share of a file's prompts at which the model says the new object now; None where it was stopped."""
        said, view = 0.0, self.view.with_patches([self._lab.model.form(settings.form)])
        for start in range(0, len(file.rows), many.BATCH):
            if cancel():
                return None
            progress(1.0, f"what holds: {start:,} of {len(file.rows):,} prompts asked")
            requests = [placed.case.request for placed in file.rows[start : start + many.BATCH]]
            said += len(requests) * many.said(self._lab.model, requests, view)
        return said / len(file.rows)

    def _below(self) -> list[EditRequest]:
        """What lies over the model now."""
        return _requests_of(edit for edit in self._chain.state.chain if edit.on)

    def _computed(
        self,
        id: str,
        requests: tuple[EditRequest, ...],
        method: str,
        settings: Any,
        view: View,
        below: Sequence[EditRequest],
        progress: Callable[[float, str], None],
        cancel: Cancel,
        source: Mapping[str, Any] | None = None,
    ) -> Edit:
        """Compute one edit, or one batch of a file (`source`), on a view that holds `below` and keep its tensors.

        Raises `BadRequest` where they are no numbers.
        """
        how = methods.get(method)
        spared = {"earlier": below} if how.joint else {}
        edited = how.edit(self._lab.model, requests, view, settings, progress, cancel, **spared)
        if not all(value.isfinite().all() for patch in edited for value in vars(patch).values() if is_tensor(value)):
            raise BadRequest("The edit came out infinite and was not kept. Choose settings nearer to the usual ones.")
        solves, health = many.joined(edited.solves), many.mean(edited.health)
        if source is not None:
            patches = [*(patch for solve in solves for patch in solve), self._lab.model.form(settings.form)]
            health["said"] = many.said(self._lab.model, requests, view.with_patches(patches))
        addresses = self._chain.keep(solves)
        return Edit(
            id=id,
            request=requests[0],
            more=requests[1:],
            source=source,
            method=method,
            config=options.plain(settings),
            layers=edited.layers,
            seconds=edited.seconds,
            health=health,
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

    def _known(self, state: State, id: str) -> Edit:
        edit = state.edit(id)
        if edit is None:
            raise BadRequest("There is no such edit any more. Reload the page to see those that there are.")
        return edit

    def _submit_edit(self, work: Work[T], kind: str, request: EditRequest | None = None) -> Job[T]:
        with self._lock:
            self._chain.refresh()
            self._refuse_while_editing()
            if request is not None:
                self._looked(request)
            self._edit = self.submit(work, kind)
            return self._edit

    def _refuse_while_editing(self) -> None:
        if self.editing is not None or self._chain.state.started is not None:
            raise being_edited()


def _requests_of(edits: Iterable[Edit]) -> list[EditRequest]:
    return [request for edit in edits for request in edit.requests]


class _Part:
    """The progress of one edit of several, or of one batch."""

    def __init__(self, progress: Progress, place: int, count: int, what: str = "edit") -> None:
        self._progress, self._place, self._count, self._what = progress, place, count, what

    def __call__(self, fraction: float, text: str) -> None:
        which = f"{self._what} {self._place + 1} of {self._count}, " if self._count > 1 else ""
        text = text.partition(":")[0] if self._what == "batch" else text
        self._progress((self._place + fraction) / self._count, f"{which}{text}")


def _halves(progress: Callable[[float, str], None]) -> tuple[Callable[[float, str], None], Callable[[float, str], None]]:
    """The progress of an edit, and that of the pathways learnt after it."""
    return (
        lambda fraction, text: progress(0.6 * fraction, text),
        lambda fraction, text: progress(0.6 + 0.4 * fraction, text),
    )
