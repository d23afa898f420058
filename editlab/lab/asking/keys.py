"""Jobs for the Keys tab: each returns the table of one figure of the selected edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from pandas import DataFrame

from editlab import insight, probes
from editlab.errors import BadRequest
from editlab.facts import EditCase
from editlab.insight import Scan, Similarity, Site
from editlab.lab.job import Job, JobProgress
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import BASE
from editlab.work import Cancel, part_of

T = TypeVar("T")

LONGEST_TEXT = 12_000_000
"""Most characters of a text that is searched."""


def edit(workspace: Workspace) -> EditRecord:
    """Return the selected edit: the latest one of the workspace's current question. Raises `BadRequest`."""
    records = [record for record in workspace.records if _is_asked(record, workspace)]
    if not records:
        raise BadRequest("Apply an edit first: on the Edit tab, press “Apply edit”. Its figures are then shown here.")
    if not records[-1].on:
        raise BadRequest("This edit is switched off. Switch it on in the list on the Edit tab.")
    return records[-1]


def edit_at_a_key(workspace: Workspace) -> EditRecord:
    """Return the same where the edit adds something to a weight, so that keys hear of it. Raises `BadRequest`."""
    record = edit(workspace)
    Site.on(workspace.context.model, record.request, record.patches)
    return record


def question(workspace: Workspace) -> str:
    """Return the first question of the discussion: the edit's prompt with another name of the subject, if known."""
    record = edit(workspace)
    names = _case(workspace, record).rephrases
    return record.request.prompt.replace("{}", names[0]) if names else record.request.text


def similarity(workspace: Workspace) -> Job[Similarity]:
    """Compute how similar the keys of the subject's phrasings are: `insight.similarity`."""
    record, site = _site(workspace)

    def work(site: Site, progress: JobProgress, cancel: Cancel) -> Similarity:
        ground = workspace.context.ground
        return insight.similarity(site, _battery(workspace, record), ground.passages, ground.seed, progress, cancel)

    return _submit(workspace, site, work)


def values(workspace: Workspace) -> Job[DataFrame]:
    """Compute the norms of the values: `insight.values`."""
    record, site = _site(workspace)

    def work(site: Site, progress: JobProgress, cancel: Cancel) -> DataFrame:
        ground = workspace.context.ground
        return insight.values(site, _battery(workspace, record), ground.passages, ground.seed, progress, cancel)

    return _submit(workspace, site, work)


def prefixes(workspace: Workspace, text: str | None = None) -> Job[Scan]:
    """Search a text, by default the bundled prose, for places that receive most of the edit, shown as they are found."""
    _, site = _site(workspace)
    prose = "\n".join((*workspace.context.passages.inside, *workspace.context.passages.outside)) if text is None else text
    if len(prose) > LONGEST_TEXT:
        raise BadRequest(f"The text has {len(prose):,} characters; {LONGEST_TEXT:,} can be read. Choose a shorter one.")

    def work(site: Site, progress: JobProgress, cancel: Cancel) -> Scan:
        scan = None
        progress(0.0, "search: reading the text")
        for scan in insight.prefixes(site, prose, cancel=cancel):
            progress(scan.fraction, f"search: {scan.tokens:,} tokens, {scan.rate:,.0f} per second")
            progress.show(scan)
        if scan is None or scan.frame.empty:
            raise BadRequest("The text has no token that can be compared. Choose one with words in it.")
        return scan

    return _submit(workspace, site, work)


def discussion(workspace: Workspace, text: str) -> Job[DataFrame]:
    """Compute which stored facts contribute at a question, and how loudly: `insight.discussion`."""
    record, site = _site(workspace)

    def work(site: Site, progress: JobProgress, cancel: Cancel) -> DataFrame:
        case = _case(workspace, record)
        progress(0.1, "discussion: computing the keys of facts")
        near = [neighbour.subject for neighbour in case.neighbours]
        stored = insight.stored_keys(site, workspace.context.facts, case.relation, near, workspace.context.seed)
        progress(0.8, "discussion: comparing the question with them")
        names = [probe.subject for probe in _battery(workspace, record) if probe.kind in ("rephrase", "shuffle")]
        return insight.discussion(site, text, stored, names)

    return _submit(workspace, site, work)


def bounds(workspace: Workspace) -> Job[DataFrame]:
    """Compute the answers that the edit's share alone predicts, and those observed: `insight.bounds`."""
    record, site = _site(workspace)

    def work(site: Site, progress: JobProgress, cancel: Cancel) -> DataFrame:
        battery = _battery(workspace, record)
        progress(0.0, "predictions: asking the probes")
        views = {"base": BASE.in_form(site.edited.form), "edited": site.edited}
        views |= {} if site.robust is None else {"rep": site.robust}
        frame = probes.ask(workspace.context.model, _case(workspace, record).request, battery, views, answers=False)
        judged = "edited" if site.robust is None else "rep"
        return insight.bounds(site, battery, frame, judged, part_of(progress, 0.5, 1.0))

    return _submit(workspace, site, work)


def _site(workspace: Workspace) -> tuple[EditRecord, Site]:
    """Return the selected edit and its site in the edits as they are now, in the form in which it was made."""
    record, robust, model = edit(workspace), workspace.robust, workspace.context.model
    form = model.form(str(record.config.get("form", "plain")))
    site = Site.on(model, _case(workspace, record).request, record.patches, workspace.view.in_form(form))
    return record, site if robust is None else site.with_robust(robust.in_form(form))


def _submit(workspace: Workspace, site: Site, work: Callable[[Site, JobProgress, Cancel], T]) -> Job[T]:
    """Submit work on a site of the model as it is in memory by then: it may have been loaded again."""
    return workspace.submit(
        lambda progress, cancel: work(replace(site, model=workspace.context.model), progress, cancel), Kind.KEYS
    )


def _case(workspace: Workspace, record: EditRecord) -> EditCase:
    return workspace.context.ground.case(record.request)


def _battery(workspace: Workspace, record: EditRecord) -> Sequence[probes.Probe]:
    return workspace.context.ground.battery(_case(workspace, record), others=workspace.chain.requests)


def _is_asked(record: EditRecord, workspace: Workspace) -> bool:
    """Return whether an edit has the text of the workspace's current question, whatever its new object is."""
    return workspace.request is not None and record.request.text == workspace.request.text
