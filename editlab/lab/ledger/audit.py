"""The audit of events: that rows are unchanged and follow each other, and that the files that they name are there.

Rows come from a ledger, or from an archive that may be forged: nothing about them is believed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from editlab.errors import BadFile, EditLabError
from editlab.lab.ledger.events import START, step
from editlab.lab.ledger.ledger import Ledger, event_of, fault_of, hash_of
from editlab.wording import count, noop

MOST_MOVED = 100
"""Changed events of a workspace that are compared with each other, to distinguish reordered events from changed ones."""

Row = Mapping[str, Any]
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Report:
    """The result of a check: how many events and tensor files there are, and each fault as a sentence.

    `workspaces`: how many workspaces have an owner and a name in the archive.
    """

    events: int
    files: int
    faults: tuple[str, ...] = ()
    workspaces: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults


def verify(ledger: Ledger, workspace: str | None = None) -> Report:
    """Check that every event and file, of all workspaces or of one, is unchanged, in order, and there.

    A missing event at the end of a workspace only shows in the count of the whole ledger, so it is reported in both cases.
    """
    rows, missing = ledger.rows(None if workspace is None else [workspace])
    report = check(rows, ledger.tensors.read)
    if not missing:
        return report
    fault = noop(f"{count(missing, 'event is', 'events are')} missing in the ledger.")
    return Report(report.events, report.files, (fault, *report.faults))


def check(rows: Iterable[Row], read: Read) -> Report:
    """Check that rows are unchanged and follow each other, and that `read` finds every file that they name."""
    rows = sorted(rows, key=by_workspace)  # stable: within a workspace as they were written
    faults = [fault for _, own in groupby(rows, key=by_workspace) for fault in _faults(list(own))]
    files = addresses(rows)
    for address in files:
        try:
            read(address)
        except BadFile as error:
            faults.append(str(error))
    return Report(len(rows), len(files), tuple(faults))


def addresses(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the addresses of the tensor files that events name, each once."""
    found: dict[str, None] = {}
    for edit in edits_in(rows):
        try:
            found |= dict.fromkeys([*edit["solves"], *edit.get("pathways", ())])
        except (KeyError, TypeError):
            continue  # the check of the row reports the fault
    return tuple(address for address in found if isinstance(address, str))


def edits_in(rows: Iterable[Row]) -> Iterator[Mapping[str, Any]]:
    """Yield the edits in the bodies of events that were not checked."""
    for row in rows:
        try:
            body = json.loads(row["body"])
        except (ValueError, RecursionError):
            continue
        body = body if isinstance(body, dict) else {}
        edits = body.get("edits") if isinstance(body.get("edits"), list) else []
        yield from (edit for edit in (*edits, body.get("edit")) if isinstance(edit, dict))


def by_workspace(row: Row) -> tuple[str, str]:
    """Return what the rows of one workspace have in common."""
    return row["model"], row["workspace"]


def _faults(rows: list[Row]) -> list[str]:
    """Return the faults of one workspace's rows. After a missing or unreadable one, only the hash chain is checked."""
    faults, state, previous, number, reordered = [], START, "", 0, _reordered(rows)
    for row in sorted(rows, key=lambda row: row["number"]):
        number += 1
        if row["number"] in reordered:
            faults.append(noop(f"Workspace {row['workspace']!r}: {reordered[row['number']]}"))
        elif fault := fault_of(row, number, previous):
            faults.append(fault)
        elif not faults:
            try:
                state = step(state, event_of(row))
            except (EditLabError, ValueError, RecursionError) as error:
                faults.append(noop(f"Workspace {row['workspace']!r}: {error}"))
        previous, number = row["hash"], row["number"]
    return faults


def _reordered(rows: list[Row]) -> dict[int, str]:
    """Return the faults of reordered events by their number."""
    faults, last = {}, 0
    for row in rows:
        if row["number"] <= last:
            faults[row["number"]] = noop(f"event {row['number']} comes after event {last}: they were reordered.")
        last = max(last, row["number"])
    changed = [row for row in rows if row["hash"] != hash_of(row)]
    for row in changed[:MOST_MOVED]:
        others = (other["number"] for other in changed[:MOST_MOVED])
        real = next((number for number in others if hash_of({**row, "number": number}) == row["hash"]), None)
        if real is not None:
            faults[row["number"]] = noop(f"event {real} is at place {row['number']}: they were reordered.")
    return faults
