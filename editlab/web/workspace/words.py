"""The sentences of the Workspace tab, made from what the ledger has."""

from __future__ import annotations

from collections.abc import Sequence

from editlab.lab import EditRecord, JobRow, Moment, Report, WorkspaceInfo
from editlab.lab.kinds import Kind
from editlab.wording import capitalize, count, share

HISTORY = "Every change is kept. Look at an earlier state, return to it, or begin a branch from it."
COMPARISON = (
    "Compare this workspace with another one, or with an earlier state: the edits of both, "
    "and the model’s answers under each."
)
BUNDLES = (
    "“Verify” checks all events and files of this workspace. A bundle holds all of them in "
    "one file. Another EditLab with the same model imports it as a new private workspace and gives the same answers. Up to "
    "{} can be imported here; import larger bundles on the terminal: editlab ledger import."
)
EXPORTS = (
    "An export holds the edits that are on, or one of them, in the format of another program, or as a report for people."
)
TITLES = {
    "history": "History",
    "comparison": "Compare with",
    "bundles": "Integrity and transfer",
    "exports": "Exports",
    "jobs": "Jobs",
}
"""The titles of what is folded."""
ALL_EDITS = "All edits that are on"
JOBS = "The latest jobs are listed first. Jobs that a restart interrupted stay in the list."
NO_EDITS = "This workspace has no edits yet. Apply one on the Edit tab."
NO_JOBS = "No job has run here yet."
BEFORE_ALL = "Before the first change: no edit was on."
BY_MOMENT = "This workspace, at the moment above"
THE_MOMENT = "the earlier state"
AFTER_EDIT, NOW = "After the edit", "Now"
"""The heads of an edit's scores: at its first check-up, and at the latest."""


def who_sees(info: WorkspaceInfo, everybody: str) -> str:
    """Return who can see and change a workspace. `everybody`: those with whom it can be shared."""
    if not info.shared:
        return "Private: only you can see it."
    owner = "you" if info.mine else "its owner"
    return f"Shared: {everybody} can open and change it; only {owner} can delete it or make it private."


def sharing(info: WorkspaceInfo) -> str:
    """Return whether a workspace is shared, in a few words."""
    if not info.shared:
        return "private"
    return "shared by you" if info.mine else "shared with you"


def summary(records: Sequence[EditRecord], model: str) -> str:
    """Return how many edits are on and off."""
    on, off = (sum(len(record.requests) for record in records if record.on is state) for state in (True, False))
    first = f"{count(on, 'edit')} of {model} {_is(on)} on" if on else f"No edit of {model} is on"
    return f"{first}; {count(off, 'edit')} {_is(off)} off." if off else f"{first}."


def next_step(records: Sequence[EditRecord], shared: bool) -> str:
    """Return what can be done now with the edits of a workspace."""
    if not records:
        return "Apply one on the Edit tab, or import a bundle below."
    if not any(record.on for record in records):
        return "Switch one on to see what it does."
    with_whom = "Compare it" if shared else "Share it, compare it"
    return f"{with_whom} with an earlier state, or export it, below; Monitor says whether every edit still holds."


def history(moments: Sequence[Moment]) -> str:
    """Return in a few words how often the edits changed, and the last change."""
    if not moments:
        return "no change yet"
    last = moments[-1]
    return f"{count(len(moments), 'change')}; the last one: {f'{last.author} {last.text}' if last.author else last.text}"


def others(number: int) -> str:
    """Return in a few words with how many other workspaces this one can be compared."""
    return f"an earlier state, or {count(number, 'other workspace')}" if number else "an earlier state"


def events(number: int) -> str:
    """Return in a few words how many events can be verified."""
    return f"{count(number, 'event')}, each chained to the one before by its hash"


def exports(records: Sequence[EditRecord], formats: int) -> str:
    """Return in a few words what can be exported."""
    on = sum(len(record.requests) for record in records if record.on)
    return f"{count(on, 'edit')} in {formats} formats" if on else "no edit is on"


def running(rows: Sequence[JobRow]) -> str:
    """Return in a few words how many jobs there are, and how many of them run or wait."""
    active = sum(row.open for row in rows)
    if not rows:
        return "none yet"
    return (
        f"{active:,} of {count(len(rows), 'job')} running or waiting"
        if active
        else f"{count(len(rows), 'job')}, none running"
    )


def moment(found: Moment | None) -> str:
    """Return what happened at a moment, without its time. None is the moment before all changes.

    By whom is said where that is known: without a login, anybody who can open the workspace may have been it.
    """
    if found is None:
        return BEFORE_ALL
    edits = f"{count(found.edits, 'edit')} {'was' if found.edits == 1 else 'were'} on" if found.edits else "no edit was on"
    return f"{found.author} {found.text}; {edits}." if found.author else f"{capitalize(found.text)}; {edits}."


def returned(number: int) -> str:
    """Return that the edits are again as they were after an event. 0 is before all events."""
    when = f"the state after event {number:,}" if number else "the state before the first change"
    return f"Returned to {when}. Undo reverses this."


def score(value: float | None) -> str:
    """Return the share of an edit's prompts that were right at a check-up."""
    return "no check-up yet" if value is None else share(value)


def verified(report: Report) -> str:
    """Return whether events and files are as they were written."""
    if not report.ok:
        faults = count(len(report.faults), "fault")
        return f"{faults}: events or files are not as they were written. Restore a backup."
    files = f" and {count(report.files, 'file')}" if report.files else ""
    return f"{count(report.events, 'event')}{files}: everything is as it was written."


def compared(both: int, here: int, there: int, other: str) -> str:
    """Return how two chains of edits differ."""
    if not here and not there:
        return f"Both have the same {count(both, 'edit')}." if both else "Neither has an edit that is on."
    return f"{count(both, 'edit')} in both, {here:,} only here, {there:,} only in {other}."


def job_state(row: JobRow) -> str:
    """Return how far a job is, or how it ended."""
    if row.state == "running" and row.text:
        return capitalize(row.text)
    if row.state == "failed" and row.error:
        return f"Failed: {row.error}"
    return "Interrupted by a restart" if row.state == "interrupted" else capitalize(row.state)


def job_kind(row: JobRow) -> str:
    """Return the label of a job's kind; a kind that only an older version had is shown by its name."""
    return next((kind.label for kind in Kind if kind == row.kind), row.kind)


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
