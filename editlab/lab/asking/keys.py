"""The pictures of the keys as jobs of the model's worker: each computes one table for the edit that is on the bench."""

from __future__ import annotations

from collections.abc import Sequence

from pandas import DataFrame

from editlab import insight, probes
from editlab.errors import BadRequest
from editlab.facts import EditCase
from editlab.insight import Scan, Similarity, Site
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.worker import Job, JobProgress
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import BASE
from editlab.work import Cancel

LONGEST_TEXT = 12_000_000
"""Characters of a text that is scanned."""


def edit(workspace: Workspace) -> EditRecord:
    """The edit on the bench: that of the question which is looked at, the latest of them. Raises `BadRequest`."""
    records = [record for record in workspace.records if _same(record, workspace)]
    if not records:
        raise BadRequest("Apply an edit first: on the Edit tab, press “Apply edit”. Then it is shown here.")
    if not records[-1].on:
        raise BadRequest("This edit is switched off. Switch it on in the list on the Edit tab.")
    return records[-1]


def question(workspace: Workspace) -> str:
    """The edit's own question with another name of the subject, where one is known: the discussion's first query."""
    record = edit(workspace)
    names = _case(workspace, record).rephrases
    return record.request.prompt.replace("{}", names[0]) if names else record.request.text


def similarity(workspace: Workspace) -> Job[Similarity]:
    """How alike the keys of the subject's forms are: `insight.similarity`."""
    record, lens = _site(workspace)

    def work(progress: JobProgress, cancel: Cancel) -> Similarity:
        ground = workspace.context.ground
        return insight.similarity(lens, _battery(workspace, record), ground.passages, ground.seed, progress, cancel)

    return workspace.submit(work, Kind.KEYS)


def values(workspace: Workspace) -> Job[DataFrame]:
    """How long the values are: `insight.values`."""
    record, lens = _site(workspace)

    def work(progress: JobProgress, cancel: Cancel) -> DataFrame:
        ground = workspace.context.ground
        return insight.values(lens, _battery(workspace, record), ground.passages, ground.seed, progress, cancel)

    return workspace.submit(work, Kind.KEYS)


def prefixes(workspace: Workspace, text: str | None = None) -> Job[Scan]:
    """The most similar unrelated places of a text, by default of our own prose; shown as they are found."""
    _, lens = _site(workspace)
    prose = "\n".join((*workspace.context.passages.inside, *workspace.context.passages.outside)) if text is None else text
    if len(prose) > LONGEST_TEXT:
        raise BadRequest(f"The text has {len(prose):,} characters; {LONGEST_TEXT:,} can be read. Choose a shorter one.")

    def work(progress: JobProgress, cancel: Cancel) -> Scan:
        scan = None
        progress(0.0, "scan: the text is read")
        for scan in insight.prefixes(lens, prose, cancel=cancel):
            progress(scan.fraction, f"scan: {scan.tokens:,} tokens, {scan.rate:,.0f} a second")
            progress.show(scan)
        if scan is None or scan.frame.empty:
            raise BadRequest("The text holds no token that can be compared. Choose one with words in it.")
        return scan

    return workspace.submit(work, Kind.KEYS)


def discussion(workspace: Workspace, text: str) -> Job[DataFrame]:
    """Which stored facts speak at a question, and how loud: `insight.discussion`."""
    record, lens = _site(workspace)

    def work(progress: JobProgress, cancel: Cancel) -> DataFrame:
        case = _case(workspace, record)
        progress(0.1, "discussion: the keys of known facts")
        near = [neighbour.subject for neighbour in case.neighbours]
        stored = insight.stored_keys(lens, workspace.context.facts, case.relation, near, workspace.context.seed)
        progress(0.8, "discussion: who speaks")
        names = [probe.subject for probe in _battery(workspace, record) if probe.kind in ("rephrase", "shuffle")]
        return insight.discussion(lens, text, stored, names)

    return workspace.submit(work, Kind.KEYS)


def bounds(workspace: Workspace) -> Job[DataFrame]:
    """What must follow by the share alone, beside what did: `insight.bounds`."""
    record, lens = _site(workspace)

    def work(progress: JobProgress, cancel: Cancel) -> DataFrame:
        asked = _battery(workspace, record)
        progress(0.0, "bounds: what the model says at the probes")
        views = {"base": BASE, "edited": lens.edited} | ({} if lens.robust is None else {"rep": lens.robust})
        frame = probes.ask(workspace.context.model, _case(workspace, record).request, asked, views, answers=False)
        named = "edited" if lens.robust is None else "rep"
        return insight.bounds(lens, asked, frame, named, lambda part, text: progress(0.5 + part / 2, text))

    return workspace.submit(work, Kind.KEYS)


def _site(workspace: Workspace) -> tuple[EditRecord, Site]:
    """The edit, seen in the chain as it is now."""
    record, robust = edit(workspace), workspace.robust
    lens = Site.on(workspace.context.model, _case(workspace, record).request, record.patches, workspace.view)
    return record, lens if robust is None else lens.with_robust(robust)


def _case(workspace: Workspace, record: EditRecord) -> EditCase:
    return workspace.context.ground.case(record.request)


def _battery(workspace: Workspace, record: EditRecord) -> Sequence[probes.Probe]:
    return workspace.context.ground.battery(_case(workspace, record))


def _same(record: EditRecord, workspace: Workspace) -> bool:
    """Whether an edit answers the question that is looked at: the same words, whichever object was asked for."""
    return workspace.request is not None and record.request.text == workspace.request.text
