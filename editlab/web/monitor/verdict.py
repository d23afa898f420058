"""The verdict on the edits: healthy or not, since when, and the way back to the last healthy state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pandas import DataFrame

from editlab.insight.checkup import METRICS
from editlab.lab import Moment, Workspace
from editlab.lab.ledger.events import Edit
from editlab.lab.workspaces.alarms import Alarm, Health
from editlab.web.core.language import gettext as _
from editlab.web.core.wording import tell
from editlab.web.monitor import words
from editlab.web.monitor.words import Timed


@dataclass(frozen=True)
class Return:
    """The way back to an event. `seen`: the event that the page shows; the lists hold the names of the edits that change."""

    title: str
    text: str
    to: int
    seen: int
    removed: tuple[str, ...]
    restored: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the page says first. `tone`: "good", "bad", "old" for a result from before the latest change, or "" for none."""

    tone: str
    sentences: tuple[Timed, ...]
    notes: tuple[Timed, ...] = ()
    way_back: Return | None = None


def verdict(workspace: Workspace, health: Health, changes: Sequence[Moment], fresh: bool) -> Verdict:
    """Return the verdict on a workspace. `fresh`: whether the latest check-up is of the edits that are applied now."""
    if not has_edits(workspace):
        return Verdict("", (Timed(_(words.NO_EDIT)),))
    table = health.table
    if table.empty:
        return Verdict("", (Timed(_("Not checked yet.")),), (Timed(words.unchecked(len(changes))),))
    result = _with_alarms(workspace, health, changes) if health.alarms else _healthy(table.iloc[-1])
    last = table.iloc[-1]
    checked = words.checked(last["at"], int(last["edits"]), last["seconds"])
    if not fresh:
        first, *more = result.sentences
        unchecked = words.unchecked(sum(moment.number > last["number"] for moment in changes))
        return replace(result, tone="old", sentences=(words.outdated(first), *more), notes=(checked, Timed(unchecked)))
    earlier = find_same_edits(table, workspace.state.chains)
    return replace(result, notes=(checked, *([] if earlier is None else [Timed(words.restored(*earlier))])))


def _healthy(last: Any) -> Verdict:
    edits, generated = int(last["edits"]), none_for_nan(last["generated"])
    written = None if generated is None else round(generated * edits)
    holding = round(last["holds"] * edits)
    return Verdict("good", (Timed(words.healthy(holding, edits, none_for_nan(last["locality"]), written)),))


def _with_alarms(workspace: Workspace, health: Health, changes: Sequence[Moment]) -> Verdict:
    """Return the alarms, oldest first, with the way back."""
    first, *others = sorted(health.alarms, key=lambda alarm: alarm.since)
    sentences = [words.alarm(first, changes_before(first, health.table, changes))]
    for alarm in others:
        same = alarm.since == first.since
        sentences.append(words.also(alarm) if same else words.alarm(alarm, changes_before(alarm, health.table, changes)))
    return Verdict("bad", tuple(sentences), way_back=_way_back(workspace, health))


def _way_back(workspace: Workspace, health: Health) -> Return | None:
    """Return the way to the last healthy state, else to the base model; None where that is applied now."""
    state, number = workspace.state, health.healthy or 0
    if state.chains[number] == state.chain:
        return None
    table = health.table
    edits = int(table[table["number"] == number]["edits"].iloc[0]) if number else None
    now, then = ({edit.id: edit for edit in chain if edit.on} for chain in (state.chain, state.chains[number]))
    removed = [edit for id, edit in now.items() if id not in then]
    restored = [edit for id, edit in then.items() if id not in now]
    counts = (sum(len(edit.requests) for edit in changed) for changed in (removed, restored))
    names = (tuple(tell(edit.name) for edit in changed) for changed in (removed, restored))
    return Return(words.return_title(edits), words.return_changes(*counts), number, state.number, *names)


def has_edits(workspace: Workspace) -> bool:
    """Return whether an edit is on."""
    return any(edit.on for edit in workspace.state.chain)


def changes_before(alarm: Alarm, table: DataFrame, changes: Sequence[Moment]) -> list[Moment]:
    """Return the changes between the last check-up without an alarm and the first with it."""
    before = table[table["number"] < alarm.since]["number"]
    start = int(before.iloc[-1]) if len(before) else 0
    return [moment for moment in changes if start < moment.number <= alarm.since]


def find_same_edits(table: DataFrame, chains: Sequence[tuple[Edit, ...]]) -> tuple[int, int, float] | None:
    """Return the latest earlier check-up of the same edits with others in between: edits, event, largest difference."""
    *before, last = table.to_dict("records")
    between = False
    for row in reversed(before):
        if chains[row["number"]] != chains[last["number"]]:
            between = True
        elif between:
            pairs = [(none_for_nan(row[name]), none_for_nan(last[name])) for name in METRICS]
            gaps = [0.0 if one == other else abs(one - other) for one, other in pairs if one is not None is not other]
            return int(row["edits"]), int(row["number"]), max(gaps, default=0.0)
    return None


def none_for_nan(value: Any) -> float | None:
    """Return a number of a table; None where it has none."""
    return None if value is None or value != value else float(value)
