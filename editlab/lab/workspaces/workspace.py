"""How a person's edits are computed: each made, refined, made many from a file, or made again.

That takes longer than a moment, so it is handed to the model's worker; what failed or was stopped never reached the chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, TypeVar

from editlab import methods
from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.facts import EditRequest, Placed
from editlab.lab.jobs.worker import Cancel, Job, Progress, Work
from editlab.lab.ledger.chain import EditRecord, pathways_of
from editlab.lab.ledger.events import Edit, counted, named
from editlab.lab.workspaces import compute, edit_files, masks
from editlab.lab.workspaces.changing import Changing
from editlab.lab.workspaces.edit_files import Applied, EditFile
from editlab.lab.workspaces.rep import refined
from editlab.methods.rep import RECIPES, recipe_of
from editlab.patches import BASE, View

T = TypeVar("T")


class Workspace(Changing):
    """One visitor's edits, to be looked at and changed."""

    def apply(
        self,
        request: EditRequest,
        method: str = "rome",
        config: Mapping[str, Any] | None = None,
        rep: str | None = None,
        names: Sequence[str] = (),
        reason: str = "",
    ) -> Job[EditRecord]:
        """Compute an edit under the view of the earlier ones and lay it on top of them; with `rep`, a recipe, refine it.

        `config` holds the settings that differ from the model's preset; REP learns from `names` of the subject as well;
        `reason` says to whoever reads the ledger why.
        The guard changes nothing of the computation, only what its outcome is worth. Raises `BadRequest` where one does not
        fit, and while another edit is being computed; `MissingMask` where the guard is up and has no mask for the method.
        Stopped or failed, it leaves everything as it was.
        """
        settings = self._settings(method, config or {})
        request, recipe = self._with_truth(request), recipe_of(rep)
        if self.guarded:
            masks.masks_for(self._lab.model, (method,))

        def work(progress: Progress, cancel: Cancel) -> EditRecord:
            with self._chain.begun({"request": request.as_dict(), "method": method}):
                first, second = compute.halves(progress) if recipe else (progress, progress)
                edit = self._computed((request,), method, settings, first, cancel)
                edit = replace(edit, author=self.author, reason=reason.strip())
                if recipe:
                    under = self.view.with_patches(self._chain.pathways)
                    edit = self._refined(replace(edit, names=tuple(names)), recipe, under, second, cancel)
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self._chain.write(lambda state: ("applied", {"edit": edit.written()}))
            self._lab.monitor.changed(self)
            return self._chain.record(edit)

        return self._submit_edit(work, "edit", named(request), request)

    def apply_many(
        self,
        file: EditFile,
        method: str = "memit",
        config: Mapping[str, Any] | None = None,
        batch: int = edit_files.BATCH,
        reason: str = "",
    ) -> Job[Applied]:
        """Compute the edits of a file, so many at a time, and lay each batch on top of the earlier ones once it is made.

        A batch is one edit of the chain, taken back as one. Rows that lie here already, made by this method with these
        settings, are left out: so a file goes on where it was, whether it was stopped, its process killed or a row of it
        mended. Live questions are answered between two batches. Raises `BadRequest` as `apply` does, and for a file without
        a row that can be made.
        """
        settings = self._settings(method, config or {})
        edit_files.check_size(batch)
        if not file.rows:
            raise BadRequest(f"{file.name} has no row that can be edited. Mend its rows first.")
        if self.guarded:
            masks.masks_for(self._lab.model, (method,))

        def work(progress: Progress, cancel: Cancel) -> Applied:
            began = time.monotonic()
            there = list(edit_files.lying(file, self._chain.state.chain, method, methods.as_json(settings)))
            resumed = edit_files.applied(file, there).done

            def shown() -> Applied:
                return edit_files.applied(file, there, resumed, time.monotonic() - began)

            left = edit_files.batches(file, there, batch)
            for number, rows in enumerate(left):
                progress.show(shown())
                part = compute.Part(progress, number, len(left), "batch")
                there.append(self._batch(file, rows, method, settings, reason.strip(), part, cancel, shown()))
                self._lab.questions.answer()
                with suppress(Cancelled):  # the batch lies; whoever stopped hears of it before the next one
                    self._lab.monitor.check_if_watching(self, lambda _fraction, text, part=part: part(1.0, text), cancel)
            progress.show(shown())
            return replace(shown(), held=self._held(file, settings, progress, cancel))

        again = {"file": self._lab.ledger.files.keep(file.content), "name": file.name, "method": method, "batch": batch}
        again |= {"config": dict(config or {}), "reason": reason}
        return self._submit_edit(work, "edits", file.name, again=again)

    def applied_of(self, file: EditFile, method: str = "memit", config: Mapping[str, Any] | None = None) -> Applied:
        """How far a file is here with this method and these settings. Raises `BadRequest` where one does not fit."""
        settings = self._settings(method, config or {})
        return edit_files.applied(file, edit_files.lying(file, self._chain.state.chain, method, methods.as_json(settings)))

    def refine(self, id: str, recipe: str = "default", names: Sequence[str] = ()) -> Job[EditRecord]:
        """Add REP to an edit that exists: learn its pathways under the edits before it, and from `names` as well.

        Raises `BadRequest` as `apply` does, and for an unknown id. Stopped or failed, it leaves everything as it was.
        """
        wanted = recipe_of(recipe)
        if wanted is None:
            raise BadRequest(f"REP is learnt by a recipe. Choose one of: {', '.join(RECIPES)}.")
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
            self._lab.monitor.changed(self)
            return self._chain.record(made)

        return self._submit_edit(work, "rep", known.name)

    def remake(self) -> Job[tuple[EditRecord, ...]]:
        """Compute every edit that is on again, each under those before it, with the settings that it had.

        All are replaced at once; stopped or failed, none is. Raises `BadRequest` as `apply` does, or where none is on.
        """
        if not any(record.on for record in self.records):
            raise BadRequest("There is no edit to re-make. Apply one or switch one on first.")

        for edit in self._chain.state.chain:
            self._settings(edit.method, edit.config if edit.on else {})

        def work(progress: Progress, cancel: Cancel) -> tuple[EditRecord, ...]:
            chosen = [edit for edit in self._chain.state.chain if edit.on]
            with self._chain.begun({"edits": [edit.id for edit in chosen]}):
                view, made = BASE, []
                for place, edit in enumerate(chosen):
                    part = compute.Part(progress, place, len(chosen))
                    first, second = compute.halves(part) if edit.rep else (part, part)
                    settings = methods.config_for(edit.method, self._lab.model, **{"seed": self._lab.seed, **edit.config})
                    below = compute.Below(view, compute.requests_of(made))
                    again = compute.computed(
                        self._lab.model,
                        edit.requests,
                        edit.method,
                        settings,
                        below,
                        edit.source,
                        self._chain.keep,
                        first,
                        cancel,
                    )
                    again = replace(again, id=edit.id, author=edit.author, reason=edit.reason, at=edit.at)
                    if edit.rep:
                        again = replace(again, names=edit.names)
                        under = view.with_patches(pathways_of(map(self._chain.record, made)))
                        again = replace(self._refined(again, edit.rep, under, second, cancel), rep_on=edit.rep_on)
                    made.append(again)
                    view = view.with_patches(self._chain.record(again).patches)
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self._chain.write(lambda state: ("remade", {"edits": [edit.written() for edit in made]}))
            self._lab.monitor.changed(self)
            return self.records

        return self._submit_edit(work, "remake", counted(record for record in self.records if record.on))

    # --- parts ------------------------------------------------------------------------------------------------------

    def _settings(self, method: str, given: Mapping[str, Any]) -> Any:
        """Return a method's settings: the preset's, but for `given`. Raises `BadRequest`, also for more than a demo does."""
        lab = self._lab
        settings, usual = (methods.config_for(method, lab.model, **{"seed": lab.seed, **own}) for own in (given, {}))
        for field in fields(settings):
            lab.limits.check_setting(field.name, getattr(settings, field.name), getattr(usual, field.name))
        return settings

    def _batch(
        self,
        file: EditFile,
        rows: Sequence[Placed],
        method: str,
        settings: Any,
        reason: str,
        progress: Callable[[float, str], None],
        cancel: Cancel,
        before: Applied,
    ) -> Edit:
        """Compute a batch of a file and lay it on top. What goes wrong says at which rows, and that the others stay."""
        source = edit_files.source_of(file, rows)
        lie = "lies" if before.done == 1 else "lie"
        kept = f"{before.done:,} of {before.rows:,} edits {lie} here. Give the file again to go on"
        try:
            requests = tuple(self._with_truth(placed.case.request) for placed in rows)
            with self._chain.begun({"request": requests[0].as_dict(), "method": method, "source": source}):
                edit = self._computed(requests, method, settings, progress, cancel, source)
                edit = replace(edit, author=self.author, reason=reason)
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
        for start in range(0, len(file.rows), edit_files.BATCH):
            if cancel():
                return None
            progress(1.0, f"what holds: {start:,} of {len(file.rows):,} prompts asked")
            requests = [placed.case.request for placed in file.rows[start : start + edit_files.BATCH]]
            said += len(requests) * edit_files.said(self._lab.model, requests, view)
        return said / len(file.rows)

    def _computed(
        self,
        requests: tuple[EditRequest, ...],
        method: str,
        settings: Any,
        progress: Callable[[float, str], None],
        cancel: Cancel,
        source: Mapping[str, Any] | None = None,
    ) -> Edit:
        """An edit, or one batch of a file (`source`), computed on top of what is on, and its tensors kept."""
        below = compute.Below(self.view, compute.requests_of(edit for edit in self._chain.state.chain if edit.on))
        return compute.computed(
            self._lab.model, requests, method, settings, below, source, self._chain.keep, progress, cancel
        )

    def _refined(self, edit: Edit, recipe: str, below: View, progress: Callable[[float, str], None], cancel: Cancel) -> Edit:
        """The edit with pathways, computed on a view and kept; how they came out stands in its health, as "rep_..."."""
        patches = self._chain.record(edit).patches
        made = refined(self._lab, edit.request, patches, below, recipe, edit.names, progress, cancel)
        health = {f"rep_{name}": float(value) for name, value in (*made.health.items(), ("seconds", made.seconds))}
        kept = {name: value for name, value in edit.health.items() if not name.startswith("rep_")}
        pathways = self._chain.keep(tuple((pathway,) for pathway in made.pathways))
        return replace(edit, rep=recipe, rep_on=True, pathways=pathways, health=kept | health)

    def _submit_edit(
        self,
        work: Work[T],
        kind: str,
        title: str,
        request: EditRequest | None = None,
        again: Mapping[str, Any] | None = None,
    ) -> Job[T]:
        with self._lock:
            self._chain.refresh()
            self._refuse_while_editing()
            if request is not None:
                self._looked(request)
            self._edit = self.submit(work, kind, title=title, request=again)
            return self._edit
