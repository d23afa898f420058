"""Edits of a workspace, as jobs of the worker: one, many from a file, with REP, or all of them again.

An edit that fails or is stopped never reaches the chain.
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
from editlab.lab.job import Job, JobProgress, Parts, Work
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import EditRecord, pathways_of
from editlab.lab.ledger.events import Edit, State, count_edits, name_of
from editlab.lab.workspaces import compute, edit_files, masks
from editlab.lab.workspaces.compute import Earlier, Part
from editlab.lab.workspaces.edit_files import EditFile, FileProgress
from editlab.lab.workspaces.rep import train_pathways
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods.rep import RECIPES, recipe_of
from editlab.patches import BASE, View
from editlab.probes import Answers, summaries_so_far
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, part_of, stop_if

T = TypeVar("T")


def apply(
    workspace: Workspace,
    request: EditRequest,
    method: str = "rome",
    config: Mapping[str, Any] | None = None,
    recipe: str | None = None,
    names: Sequence[str] = (),
    reason: str = "",
) -> Job[EditRecord]:
    """Compute an edit under the view of the earlier ones and apply it on top of them; with a `recipe`, add REP to it.

    `config`: the settings that differ from the model's preset; `names`: more names of the subject for REP; `reason`: a text
    for the ledger. The guard does not change the computation, only how the edit is judged. Before REP is trained, the job
    shows the first answers under the edit (`Answers`). Raises `BadRequest` for a method, setting or recipe that is not
    valid, and while another edit is being computed; `MissingMask` where the guard is on and there is no mask for the method.
    """
    settings = settings_for(workspace, method, config or {})
    request, recipe = workspace.context.ground.case(request).request, recipe_of(recipe)
    check_rep(method, recipe)
    if workspace.guarded:
        masks.masks_for(workspace.context.model, (method,))

    def compute_it(progress: JobProgress, cancel: Cancel) -> EditRecord:
        chain = workspace.chain
        with chain.track_edit(lambda state: {"request": request.as_dict(), "method": method}):
            first, second = _two_parts(progress) if recipe else (progress, progress)
            edit = _compute(workspace, (request,), method, settings, first, cancel)
            edit = replace(edit, author=workspace.author, reason=reason.strip())
            if recipe:
                if not workspace.guarded:
                    progress.show(_first_answers(workspace, edit))
                under = workspace.view.with_patches(chain.pathways)
                edit = _add_rep(workspace, replace(edit, names=tuple(names)), recipe, under, second, cancel)
            stop_if(cancel, "Stopped. Nothing was changed.")
            chain.write(lambda state: ("applied", {"edit": edit.as_json()}))
        workspace.context.after_change(workspace)
        return chain.record(edit)

    chosen = methods.get(method)
    work = after_statistics(workspace, chosen.layers_measured(settings), compute_it, chosen.needs_statistics)
    return workspace.submit_edit(work, Kind.EDIT, name_of(request), request)


def apply_many(
    workspace: Workspace,
    file: EditFile,
    method: str = "memit",
    config: Mapping[str, Any] | None = None,
    batch: int = edit_files.BATCH,
    reason: str = "",
) -> Job[FileProgress]:
    """Compute the edits of a file in batches, and apply each batch on top of the earlier ones as soon as it is computed.

    A batch is one edit of the chain, undone as one. Rows that are applied already, by this method with these settings, are
    skipped, so that a file goes on where it was after a stop, a crash or a corrected row; so are those that another process
    applies meanwhile. Live questions are answered between two batches. Raises `BadRequest` as `apply` does, and for a file
    without a row that can be edited.
    """
    settings = settings_for(workspace, method, config or {})
    edit_files.check_size(batch)
    if not file.rows:
        raise BadRequest(f"{file.name} has no row that can be edited. Correct its rows first.")
    if workspace.guarded:
        masks.masks_for(workspace.context.model, (method,))
    context, chain, plain = workspace.context, workspace.chain, methods.as_json(settings)

    def applied(state: State) -> tuple[Edit, ...]:
        return edit_files.applied_batches(file, state.chain, method, plain)

    def compute_all(progress: JobProgress, cancel: Cancel) -> FileProgress:
        began = time.monotonic()
        own: set[str] = set()

        def so_far() -> FileProgress:
            batches = applied(chain.state)
            resumed = edit_files.progress_of(file, [edit for edit in batches if edit.id not in own]).done
            return edit_files.progress_of(file, batches, resumed, time.monotonic() - began)

        chain.refresh()
        remaining = edit_files.remaining_batches(file, applied(chain.state), batch)
        for number, rows in enumerate(remaining):
            progress.show(so_far())
            part = Part(progress, number, len(remaining), "batch")
            edit = _apply_batch(workspace, file, rows, applied, method, settings, reason.strip(), part, cancel, so_far())
            if edit is None:
                continue
            own.add(edit.id)
            context.answer_waiting()
            with suppress(Cancelled):  # the batch is applied; a stop ends the job before the next one
                context.after_batch(workspace, lambda _fraction, text, part=part: part(1.0, text), cancel)
        progress.show(so_far())
        missed = _missed(workspace, file, settings, progress, cancel)
        if missed is None:
            return so_far()
        return replace(so_far(), held=1 - len(missed) / len(file.rows), missed=missed)

    again = {"file": context.ledger.files.keep(file.content), "name": file.name, "method": method, "batch": batch}
    again |= {"config": dict(config or {}), "reason": reason, "proposals": file.proposals}
    work = after_statistics(workspace, methods.get(method).layers_measured(settings), compute_all)
    return workspace.submit_edit(work, Kind.EDITS, file.name, again=again)


def file_progress(
    workspace: Workspace, file: EditFile, method: str, config: Mapping[str, Any] | None = None
) -> FileProgress:
    """Return the progress of a file with this method and these settings. Raises `BadRequest` as `apply` does."""
    plain = methods.as_json(settings_for(workspace, method, config or {}))
    return edit_files.progress_of(file, edit_files.applied_batches(file, workspace.state.chain, method, plain))


def refine(workspace: Workspace, id: str, recipe: str = "default", names: Sequence[str] = ()) -> Job[EditRecord]:
    """Add REP to an edit: train its pathways under the edits before it, also on `names` of the subject.

    Raises `BadRequest` as `apply` does, and for an unknown id. A job that fails or is stopped changes nothing.
    """
    chosen = recipe_of(recipe)
    if chosen is None:
        raise BadRequest(f"REP needs a recipe. Choose one of: {', '.join(RECIPES)}.")
    chain = workspace.chain
    chain.refresh()
    known = workspace.find_edit(chain.state, id)
    if known.more:
        raise BadRequest(
            f"REP is added to one edit at a time, and this is a batch of {len(known.requests)}. Apply the edit by itself "
            "first."
        )
    check_rep(known.method, chosen)

    def describe(state: State) -> dict[str, Any]:
        return {"request": workspace.find_edit(state, id).request.as_dict(), "refined": id}

    def work(progress: JobProgress, cancel: Cancel) -> EditRecord:
        with chain.track_edit(describe) as state:
            edit, records = workspace.find_edit(state, id), workspace.records
            place = [record.id for record in records].index(id)
            under = [patch for record in records[:place] if record.on for patch in record.patches]
            others = pathways_of(record for record in records if record.id != id)
            below = BASE.with_patches((*under, *others))
            refined = _add_rep(workspace, replace(edit, names=tuple(names)), chosen, below, progress, cancel)
            stop_if(cancel, "Stopped. The edit is as it was.")
            chain.write(lambda state: ("refined", {"edit": refined.as_json()}))
        workspace.context.after_change(workspace)
        return chain.record(refined)

    return workspace.submit_edit(work, Kind.REP, known.name)


def remake(workspace: Workspace) -> Job[tuple[EditRecord, ...]]:
    """Compute every edit that is on again, each under those before it, with its own settings.

    All are replaced at once; a job that fails or is stopped replaces none. Raises `BadRequest` as `apply` does, and where no
    edit is on.
    """
    context, chain = workspace.context, workspace.chain
    chain.refresh()
    made = [edit for edit in _those_on(chain.state) if methods.get(edit.method).whitens]
    used = {layer for edit in made for layer in edit.layers}
    for edit in chain.state.chain:
        settings_for(workspace, edit.method, edit.config if edit.on else {})

    def compute_again(progress: JobProgress, cancel: Cancel) -> tuple[EditRecord, ...]:
        with chain.track_edit(lambda state: {"edits": [edit.id for edit in _those_on(state)]}) as state:
            chosen, view, remade = _those_on(state), BASE, []
            for place, edit in enumerate(chosen):
                part = Part(progress, place, len(chosen))
                first, second = _two_parts(part) if edit.rep else (part, part)
                settings = methods.config_for(edit.method, context.model, **{"seed": context.seed, **edit.config})
                earlier = Earlier(view, compute.requests_of(remade))
                again = compute.compute_edit(
                    context.model, edit.requests, edit.method, settings, earlier, edit.source, chain.keep, first, cancel
                )
                again = replace(again, id=edit.id, author=edit.author, reason=edit.reason, at=edit.at)
                if edit.rep:
                    under = view.with_patches(pathways_of(map(chain.record, remade)))
                    again = _add_rep(workspace, replace(again, names=edit.names), edit.rep, under, second, cancel)
                    again = replace(again, rep_on=edit.rep_on)
                remade.append(again)
                view = view.with_patches(chain.record(again).patches)
            stop_if(cancel, "Stopped. Nothing was changed.")
            chain.write(lambda state: ("remade", {"edits": [edit.as_json() for edit in remade]}))
        context.after_change(workspace)
        return workspace.records

    work = after_statistics(workspace, sorted(used), compute_again)
    return workspace.submit_edit(work, Kind.REMAKE, count_edits(record for record in workspace.records if record.on))


def check_rep(method: str, recipe: str | None) -> None:
    """Raise `BadRequest` where REP is wanted for edits of a method that it cannot help."""
    if recipe and not methods.get(method).at_subject:
        raise BadRequest(
            f"REP leads other names of a subject to the key of an edit, and {method} writes none at the subject. Apply the "
            "edit without REP."
        )


def after_statistics(workspace: Workspace, layers: Sequence[int], work: Work[T], needed: bool = True) -> Work[T]:
    """Return work on edits at these layers that first waits for the key statistics that are measured there.

    Others get the model while it waits. Where they are not `needed`, `workspace.hurry` ends the waiting.
    """
    context, hurry = workspace.context, never if needed else workspace.hurry.is_set

    def parts(progress: JobProgress, cancel: Cancel) -> Parts[T]:
        try:
            for _ in context.before_edit(layers, hurry, progress, cancel):
                workspace.can_hurry = not needed
                yield
        finally:
            workspace.can_hurry = False
        return context.loaded.only_here(workspace.fingerprint, work)(progress, cancel)

    return parts


def settings_for(workspace: Workspace, method: str, given: Mapping[str, Any]) -> Any:
    """Return the model's preset of a method, changed by `given`. Raises `BadRequest`, also for more than a demo allows."""
    context = workspace.context
    settings, usual = (methods.config_for(method, context.model, **{"seed": context.seed, **own}) for own in (given, {}))
    for field in fields(settings):
        context.limits.check_setting(field.name, getattr(settings, field.name), getattr(usual, field.name))
    return settings


class _AllApplied(Exception):
    """All rows of a batch are applied already, by another process."""


def _those_on(state: State) -> list[Edit]:
    """Return the edits of a state that are on. Raises `BadRequest` where none is."""
    chosen = [edit for edit in state.chain if edit.on]
    if not chosen:
        raise BadRequest("There is no edit to recompute. Apply one or switch one on first.")
    return chosen


def _apply_batch(
    workspace: Workspace,
    file: EditFile,
    rows: Sequence[Placed],
    applied: Callable[[State], tuple[Edit, ...]],
    method: str,
    settings: Any,
    reason: str,
    progress: Progress,
    cancel: Cancel,
    before: FileProgress,
) -> Edit | None:
    """Compute a batch of a file without the rows that are `applied` by now, and apply it; None where no row is left.

    An error says at which rows, and that the earlier ones are kept.
    """
    chain, ground = workspace.chain, workspace.context.ground
    kept = noop(f"{before.done:,} of {before.rows:,} edits are applied. Give the file again to go on")

    def batch_of(state: State) -> tuple[tuple[EditRequest, ...], dict[str, Any]]:
        left = edit_files.remaining_rows(rows, applied(state))
        if not left:
            raise _AllApplied
        return tuple(ground.case(placed.case.request).request for placed in left), edit_files.source_of(file, left)

    def describe(state: State) -> dict[str, Any]:
        requests, source = batch_of(state)
        return {"request": requests[0].as_dict(), "method": method, "source": source}

    try:
        with chain.track_edit(describe) as state:
            requests, source = batch_of(state)
            edit = _compute(workspace, requests, method, settings, progress, cancel, source)
            edit = replace(edit, author=workspace.author, reason=reason)
            stop_if(cancel, "Stopped.")
            chain.write(lambda state: ("applied", {"edit": edit.as_json()}))
            return edit
    except _AllApplied:
        return None
    except Cancelled as stopped:
        raise Cancelled(f"Stopped. {kept}.") from stopped
    except EditLabError as error:
        where = noop(f"The batch from {rows[0].place} to {rows[-1].place} was not applied")
        raise type(error)(noop(f"{where}: {error} So far {kept}, with a smaller batch or without those rows.")) from error


def _missed(
    workspace: Workspace, file: EditFile, settings: Any, progress: Progress, cancel: Cancel
) -> tuple[Placed, ...] | None:
    """Return a file's rows whose new object the model does not say now; None where the job was stopped."""
    model = workspace.context.model
    missed: list[Placed] = []
    view = workspace.view.with_patches([model.form(settings.form)])
    for start in range(0, len(file.rows), edit_files.BATCH):
        if cancel():
            return None
        progress(1.0, f"which edits hold: {start:,} of {len(file.rows):,} prompts asked")
        rows = file.rows[start : start + edit_files.BATCH]
        hits = edit_files.hits(model, [placed.case.request for placed in rows], view)
        missed += [placed for placed, hit in zip(rows, hits, strict=True) if not hit]
    return tuple(missed)


def _compute(
    workspace: Workspace,
    requests: tuple[EditRequest, ...],
    method: str,
    settings: Any,
    progress: Progress,
    cancel: Cancel,
    source: Mapping[str, Any] | None = None,
) -> Edit:
    """Compute an edit, or one batch of a file (`source`), on top of the edits that are on, and write its tensors.

    An edit that somebody has made alike, under equal edits, is not computed again.
    """
    context, chain = workspace.context, workspace.chain
    earlier = Earlier(workspace.view, compute.requests_of(edit for edit in chain.state.chain if edit.on))

    def holds(edit: Edit) -> bool:
        context.drafts.hand_over(edit)
        return chain.holds(edit)

    if source is None:
        return compute.compute_alike(context, requests, method, settings, earlier, chain.keep, holds, progress, cancel)
    return compute.compute_edit(context.model, requests, method, settings, earlier, source, chain.keep, progress, cancel)


def _add_rep(workspace: Workspace, edit: Edit, recipe: str, below: View, progress: Progress, cancel: Cancel) -> Edit:
    """Return the edit with pathways that were trained on a view; their metrics are in its health, as "rep_..."."""
    context, chain = workspace.context, workspace.chain
    patches, form = chain.record(edit).patches, context.model.form(edit.config.get("form", "plain"))

    def train() -> Edit:
        result = train_pathways(context.ground, edit.request, patches, below, recipe, edit.names, form, progress, cancel)
        health = {f"rep_{name}": float(value) for name, value in (*result.health.items(), ("seconds", result.seconds))}
        return replace(edit, pathways=chain.keep(tuple((one,) for one in result.pathways)), health=health)

    under = *(patch.digest for patch in patches), below.digest
    key = "rep", context.model.fingerprint, edit.request, recipe, edit.names, form.digest, under
    trained = context.shared.once(key, train, chain.holds)
    kept = {name: value for name, value in edit.health.items() if not name.startswith("rep_")}
    return replace(edit, rep=recipe, rep_on=True, pathways=trained.pathways, health=kept | trained.health)


def _first_answers(workspace: Workspace, edit: Edit) -> Answers:
    """Return the answers at the prompt of an edit that is not applied yet, without the text that follows them."""
    views = {"base": BASE, "edited": workspace.view.with_patches(workspace.chain.record(edit).patches)}
    return next(summaries_so_far(workspace.context.model, edit.request, workspace.in_form(views)))


def _two_parts(progress: Progress) -> tuple[Progress, Progress]:
    """Return the progress of an edit, and the progress of its pathways, which are trained after it."""
    return part_of(progress, 0.0, 0.6), part_of(progress, 0.6, 1.0)
