"""What the Workspace tab says: sentences made from what the ledger has, each by a pure function."""

from __future__ import annotations

from collections.abc import Sequence

from editlab.lab import EditRecord, JobRow, Moment, Report, WorkspaceInfo
from editlab.lab.ledger.events import counted

KINDS = {
    "edit": "Edit",
    "edits": "Edits from a file",
    "rep": "REP",
    "remake": "Re-making",
    "export": "Export",
    "bench": "Benchmark",
    "checkup": "Checkup",
    "mask": "Mask training",
    "statistics": "Key statistics",
    "model": "Model",
}
"""What a kind of job is called; one that is missing here is shown all the same."""
STATES = {
    "waiting": "waits",
    "running": "runs",
    "done": "done",
    "failed": "failed",
    "stopped": "stopped",
    "interrupted": "interrupted by a restart",
}


def who_sees(room: WorkspaceInfo, visitors: str = "everybody who may use this EditLab") -> str:
    """Who sees a workspace and may change it."""
    if not room.shared:
        return "Private: only you see it."
    whose = "only you can" if room.mine else "only whoever made it can"
    return f"Shared: {visitors} can open and change it; {whose} delete it or make it private."


def lies(records: Sequence[EditRecord], model: str) -> str:
    """How many edits lie over the model."""
    on, off = [[record for record in records if record.on is state] for state in (True, False)]
    if not records:
        return f"No edit lies over {model}."
    rest = f"; {counted(off)} {'is' if sum(len(r.requests) for r in off) == 1 else 'are'} switched off" if off else ""
    if not on:
        return f"No edit lies over {model}{rest}."
    return f"{counted(on)} {'lies' if sum(len(r.requests) for r in on) == 1 else 'lie'} over {model}{rest}."


def happened(moment: Moment) -> str:
    """What somebody did, without when: it stands behind the time."""
    who = f"{moment.by} has" if moment.by else "you have"
    return f"{who} {moment.told}"


def lay(edits: int) -> str:
    """How many edits lay over the model then."""
    return "no edit lay over the model" if not edits else f"{_edits(edits)} lay over the model"


def verified(report: Report) -> str:
    """Whether what is kept is what was written."""
    if report.ok:
        events = (
            "The one event stands as it was" if report.events == 1 else f"All {report.events:,} events stand as they were"
        )
        files = "so does the one file" if report.files == 1 else f"so do the {report.files:,} files"
        return f"{events} written and in order{f', and {files} that they name' if report.files else ''}."
    count = len(report.faults)
    return f"{'One thing is' if count == 1 else f'{count:,} things are'} not as it was written. Bring a backup back."


def compared(both: int, here: int, there: int, name: str) -> str:
    """How two chains differ."""
    if not here and not there:
        return f"Both have the same {_edits(both)}." if both else "Neither has an edit that is on."
    return f"{_edits(both).capitalize()} in both, {here:,} only here, {there:,} only in {name}."


def size(count: int) -> str:
    """So many bytes as people read them."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3)):,} kB"


def score(share: float | None) -> str:
    """At what share of its prompts an edit holds."""
    return "not asked yet" if share is None else f"{100 * share:.0f} %"


def job(row: JobRow) -> str:
    """How a job stands."""
    if row.state == "running":
        return f"{row.text[:1].upper()}{row.text[1:]}" if row.text else "Runs"
    state = STATES.get(row.state, row.state)
    return f"{state[:1].upper()}{state[1:]}" + (f": {row.error}" if row.error and row.state == "failed" else "")


def kind(row: JobRow) -> str:
    """What kind of job it is."""
    return KINDS.get(row.kind, row.kind)


def _edits(count: int) -> str:
    return "1 edit" if count == 1 else f"{count:,} edits"
