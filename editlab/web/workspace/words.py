"""The sentences of the Workspace tab, made from what the ledger has."""

from __future__ import annotations

from collections.abc import Sequence

from editlab.forensics import Change, Spectrum, Verdict
from editlab.lab import EditRecord, JobRow, Moment, Report, WorkspaceInfo
from editlab.lab.kinds import Kind
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.wording import capitalize, number, share, tell

HISTORY = noop("Every change is kept. Look at an earlier state, return to it, or begin a branch from it.")
COMPARISON = noop(
    "Compare this workspace with another one, or with an earlier state: the edits of both, "
    "and the model’s answers under each."
)
BUNDLES = noop(
    "“Verify” checks all events and files of this workspace. A bundle holds all of them in "
    "one file. Another EditLab with the same model imports it as a new private workspace and gives the same answers. Up to "
    "{size} can be imported here; import larger bundles on the terminal: editlab ledger import."
)
EXPORTS = noop(
    "An export holds the edits that are on, or one of them, in the format of another program, or as a report for people."
)
CHECK = noop(
    "“Check” holds a checkpoint or a LoRA in a folder of this computer against the loaded model, weight by weight, and "
    "against the edits of all workspaces here: what differs, and which edits explain it. “Check without a base” loads a "
    "checkpoint beside this model and searches it for what stands out as an edit does; that takes minutes. Nothing is "
    "changed."
)
CHECKED = (
    noop("Weight"),
    noop("Size of the change"),
    noop("Rank"),
    noop("Singular values"),
    noop("Explained by known edits"),
    noop("Left over"),
)
"""The heads of the table of a check."""
TITLES = {
    "history": noop("History"),
    "comparison": noop("Compare with"),
    "bundles": noop("Integrity and transfer"),
    "exports": noop("Exports"),
    "jobs": noop("Jobs"),
}
"""The titles of what is folded."""
ALL_EDITS = noop("All edits that are on")
JOBS = noop("The latest jobs are listed first. Jobs that a restart interrupted stay in the list.")
NO_EDITS = noop("This workspace has no edits yet. Apply one on the Edit tab.")
NO_JOBS = noop("No job has run here yet.")
BEFORE_ALL = noop("Before the first change: no edit was on.")
BY_MOMENT = noop("This workspace, at the moment above")
THE_MOMENT = noop("the earlier state")
AFTER_EDIT, NOW = noop("After the edit"), noop("Now")
"""The heads of an edit's scores: at its first check-up, and at the latest."""


def who_sees(info: WorkspaceInfo, demo: bool) -> str:
    """Return who can see and change a workspace. `demo`: whether it can be shared with all visitors, not all users."""
    if not info.shared:
        return _("Private: only you can see it.")
    if info.mine:
        return (
            _("Shared: all visitors of this page can open and change it; only you can delete it or make it private.")
            if demo
            else _("Shared: all users of this EditLab can open and change it; only you can delete it or make it private.")
        )
    return (
        _("Shared: all visitors of this page can open and change it; only its owner can delete it or make it private.")
        if demo
        else _("Shared: all users of this EditLab can open and change it; only its owner can delete it or make it private.")
    )


def shared(name: str, demo: bool) -> str:
    """Return that a workspace is shared now. `demo`: see `who_sees`."""
    text = (
        _("“{name}” is shared: it is in the list of all visitors of this page.")
        if demo
        else _("“{name}” is shared: it is in the list of all users of this EditLab.")
    )
    return text.format(name=name)


def sharing(info: WorkspaceInfo) -> str:
    """Return whether a workspace is shared, in a few words."""
    if not info.shared:
        return _("private")
    return _("shared by you") if info.mine else _("shared with you")


def summary(records: Sequence[EditRecord], model: str) -> str:
    """Return how many edits are on and off."""
    on, off = (sum(len(record.requests) for record in records if record.on is state) for state in (True, False))
    if on:
        text = ngettext("{n} edit of {model} is on", "{n} edits of {model} are on", on).format(n=number(on), model=model)
    else:
        text = _("No edit of {model} is on").format(model=model)
    if not off:
        return f"{text}."
    return f"{text}; " + ngettext("{n} edit is off.", "{n} edits are off.", off).format(n=number(off))


def next_step(records: Sequence[EditRecord], shared: bool) -> str:
    """Return what can be done now with the edits of a workspace."""
    if not records:
        return _("Apply one on the Edit tab, or import a bundle below.")
    if not any(record.on for record in records):
        return _("Switch one on to see what it does.")
    if shared:
        return _("Compare it with an earlier state, or export it, below; Monitor says whether every edit still holds.")
    return _("Share it, compare it with an earlier state, or export it, below; Monitor says whether every edit still holds.")


def history(moments: Sequence[Moment]) -> str:
    """Return in a few words how often the edits changed, and the last change."""
    if not moments:
        return _("no change yet")
    last, n = moments[-1], len(moments)
    text = ngettext("{n} change; the last one: {change}", "{n} changes; the last one: {change}", n)
    return text.format(n=number(n), change=done(last))


def done(moment: Moment) -> str:
    """Return what happened at a moment, after the name of who did it where that is known."""
    if not moment.author:
        return tell(moment.text)
    return _("{author} {change}").format(author=moment.author, change=tell(moment.text))


def others(n: int) -> str:
    """Return in a few words with how many other workspaces this one can be compared."""
    if not n:
        return _("an earlier state")
    text = ngettext("an earlier state, or {n} other workspace", "an earlier state, or {n} other workspaces", n)
    return text.format(n=number(n))


def events(n: int) -> str:
    """Return in a few words how many events can be verified."""
    text = ngettext(
        "{n} event, each chained to the one before by its hash", "{n} events, each chained to the one before by its hash", n
    )
    return text.format(n=number(n))


def exports(records: Sequence[EditRecord], formats: int) -> str:
    """Return in a few words what can be exported."""
    on = sum(len(record.requests) for record in records if record.on)
    if not on:
        return _("no edit is on")
    return ngettext("{n} edit in {formats} formats", "{n} edits in {formats} formats", on).format(
        n=number(on), formats=formats
    )


def running(rows: Sequence[JobRow]) -> str:
    """Return in a few words how many jobs there are, and how many of them run or wait."""
    active, n = sum(row.open for row in rows), len(rows)
    if not n:
        return _("none yet")
    if not active:
        return ngettext("{n} job, none running", "{n} jobs, none running", n).format(n=number(n))
    text = ngettext("{active} of {n} job running or waiting", "{active} of {n} jobs running or waiting", n)
    return text.format(active=number(active), n=number(n))


def moment(found: Moment | None) -> str:
    """Return what happened at a moment, without its time. None is the moment before all changes.

    By whom is said where that is known: without a login, anybody who can open the workspace may have been it.
    """
    if found is None:
        return _(BEFORE_ALL)
    change = done(found) if found.author else capitalize(done(found))
    if not found.edits:
        return _("{change}; no edit was on.").format(change=change)
    text = ngettext("{change}; {n} edit was on.", "{change}; {n} edits were on.", found.edits)
    return text.format(change=change, n=number(found.edits))


def returned(event: int) -> str:
    """Return that the edits are again as they were after an event. 0 is before all events."""
    text = (
        _("Returned to the state after event {event}. Undo reverses this.")
        if event
        else _("Returned to the state before the first change. Undo reverses this.")
    )
    return text.format(event=number(event))


def score(value: float | None) -> str:
    """Return the share of an edit's prompts that were right at a check-up."""
    return _("no check-up yet") if value is None else share(value)


def verified(report: Report) -> str:
    """Return whether events and files are as they were written."""
    if not report.ok:
        text = ngettext(
            "{n} fault: events or files are not as they were written. Restore a backup.",
            "{n} faults: events or files are not as they were written. Restore a backup.",
            len(report.faults),
        )
        return text.format(n=number(len(report.faults)))
    found = ngettext("{n} event", "{n} events", report.events).format(n=number(report.events))
    if report.files:
        files = ngettext("{n} file", "{n} files", report.files).format(n=number(report.files))
        found = _("{events} and {files}").format(events=found, files=files)
    return _("{found}: everything is as it was written.").format(found=found)


def papers(verdict: Verdict) -> list[str]:
    """Return what came with a checkpoint, a sentence each: its fingerprint, and its signature where there is one."""
    found = [_("Fingerprint: {fingerprint}").format(fingerprint=verdict.fingerprint)] if verdict.fingerprint else []
    signed = verdict.signature is not None and verdict.signature.state != "unsigned"
    return [*found, said(verdict.signature.sentence)] if signed else found


def more_changes(n: int) -> str:
    """Return how many weights are not shown; empty where all are."""
    text = ngettext(
        "and {n} more weight; editlab verify --json has all", "and {n} more weights; editlab verify --json has all", n
    )
    return text.format(n=number(n)) if n > 0 else ""


def relative(change: Change) -> str:
    """Return the size of a change as a share of the weight's."""
    return "–" if change.relative is None else f"{number(100 * change.relative, '.2f')} %"


def rank(spectrum: Spectrum) -> str:
    """Return in how many directions a weight changed."""
    return number(spectrum.rank) if spectrum.whole else _("{n} or more").format(n=number(spectrum.rank))


def values(spectrum: Spectrum) -> str:
    """Return the largest singular values of a change, as shares of the first."""
    if not spectrum.values:
        return _("none above rounding")
    return ", ".join(number(value / spectrum.values[0], ".2f") for value in spectrum.values[:5])


def left(change: Change) -> str:
    """Return what known edits leave of a change."""
    if change.fit == "exact":
        return _("nothing")
    if change.fit == "rounding":
        return _("rounding")
    return _("rank {n}").format(n=rank(change.left))


def compared(both: int, here: int, there: int, other: str) -> str:
    """Return how two chains of edits differ."""
    if not here and not there:
        if not both:
            return _("Neither has an edit that is on.")
        return ngettext("Both have the same {n} edit.", "Both have the same {n} edits.", both).format(n=number(both))
    text = ngettext(
        "{n} edit in both, {here} only here, {there} only in {other}.",
        "{n} edits in both, {here} only here, {there} only in {other}.",
        both,
    )
    return text.format(n=number(both), here=number(here), there=number(there), other=other)


STATES = {
    "waiting": noop("Waiting"),
    "running": noop("Running"),
    "done": noop("Done"),
    "failed": noop("Failed"),
    "stopped": noop("Stopped"),
    "interrupted": noop("Interrupted by a restart"),
}
"""How far a job is, or how it ended."""


def job_state(row: JobRow) -> str:
    """Return how far a job is, or how it ended."""
    if row.state == "running" and row.text:
        return capitalize(said(row.text))
    if row.state == "failed" and row.error:
        return _("Failed: {problem}").format(problem=said(row.error))
    return _(STATES[row.state]) if row.state in STATES else capitalize(row.state)


def job_kind(row: JobRow) -> str:
    """Return the label of a job's kind; a kind that only an older version had is shown by its name."""
    return next((_(kind.label) for kind in Kind if kind == row.kind), row.kind)
