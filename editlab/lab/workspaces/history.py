"""The history of a workspace: its events as moments, its edits at each of them, branches, and comparisons.

A workspace is a fold over its events. Its state at an earlier moment is the same fold, ended there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from editlab import probes
from editlab.answers import Answers
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.context import Context
from editlab.lab.job import Job, JobProgress, Work
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import EditRecord, pathways_of
from editlab.lab.ledger.directory import WorkspaceInfo
from editlab.lab.ledger.events import CHANGES, Edit, Event, State, count_edits, fold, steps
from editlab.lab.workspaces.open import Workspaces
from editlab.lab.workspaces.workspace import Workspace, gate_threshold
from editlab.patches import BASE, View
from editlab.wording import Message, noop
from editlab.work import Cancel

SWITCHED = {
    "shared": (noop("made it private"), noop("shared it")),
    "masked": (noop("turned the mask off"), noop("turned the mask on")),
    "guarded": (noop("turned the guard off"), noop("turned the guard on")),
}
"""What is said of an event that turned something off, or on."""
ENDED = {
    "limits": noop("set the alarm limits"),
    "stopped": noop("stopped an edit"),
    "failed": noop("began an edit, which failed"),
    "interrupted": noop("began an edit, which was interrupted"),
}
"""What is said of an event without anything else to it."""
HIDDEN = ("started", "looked")
"""Kinds of events that are no moments: they mean nothing to a reader."""


@dataclass(frozen=True)
class Moment:
    """An event as people read it: the `number`th, its text, its time and its author.

    `text` follows the author's name: "applied Slovenia → Antarctica". `edits`: how many requests were on after it.
    `changed`: whether it changed the edits. `kind`: the kind of the event.
    """

    number: int
    text: str
    at: str
    author: str
    edits: int
    changed: bool
    kind: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The edits of a workspace after an event, in order, and the view of those that are on, at the threshold of then.

    `fingerprint`: that of the model for which the view is.
    """

    number: int
    records: tuple[EditRecord, ...]
    view: View
    fingerprint: str


class Difference(NamedTuple):
    """A request of two chains, and in which of them it is on."""

    request: EditRequest
    first: bool
    second: bool


def timeline(workspace: Workspace) -> tuple[Moment, ...]:
    """Return the moments of a workspace, oldest first. Raises `BadFile` for a broken hash chain."""
    return moments_of(workspace.events())


def moments_of(events: Iterable[Event]) -> tuple[Moment, ...]:
    """Return the moments of a workspace's events. Raises `BadFile` where one cannot follow those before it."""
    return tuple(
        Moment(event.number, _text(event, before, after), event.at, event.by, count, _changes_edits(event), event.kind)
        for event, before, after, count in steps(events, lambda edit: len(edit.requests) * edit.on)
        if event.kind not in HIDDEN
    )


def snapshot(workspace: Workspace, number: int | None = None) -> Snapshot:
    """Return the edits, with their pathways, as they were after an event; without a number, as they are now.

    Raises `BadRequest` where there is no such event, `BadFile` where one of its files is damaged.
    """
    state = _state_after(workspace, number)
    records = tuple(map(workspace.record, state.chain))
    patches = [patch for record in records if record.on for patch in record.patches]
    patches += pathways_of(records)
    view = View(tuple(patches), gate_threshold(state)) if patches else BASE
    return Snapshot(state.number, records, view, workspace.fingerprint)


def ask(context: Context, text: str, snapshots: Mapping[str, Snapshot]) -> Job[Answers]:
    """Continue a text under each snapshot. The job's result is `{name: {"top", "text"}}`, also while it grows."""

    def work(progress: JobProgress, cancel: Cancel) -> Answers:
        views = {name: snapshot.view for name, snapshot in snapshots.items()}
        answers: Answers = {}
        for answers in probes.answers_so_far(context.model, text, views, context.answer_tokens):
            if cancel():
                break
            progress.show(answers)
        return answers

    asking: Work[Answers] = work
    for fingerprint in {snapshot.fingerprint for snapshot in snapshots.values()}:
        asking = context.loaded.only_here(fingerprint, asking)
    return context.worker.submit(asking, Kind.COMPARE)


def branch(
    workspaces: Workspaces,
    visitor: str,
    workspace: Workspace,
    info: WorkspaceInfo,
    name: str,
    number: int | None = None,
) -> WorkspaceInfo:
    """Make a private workspace that begins with the edits of another one (`info`) after an event, or as they are now.

    The gate threshold, the switches of mask and guard, and the alarm limits are those of then as well.

    Raises `BadRequest` for a name that is taken, and where there is no such event; `BadFile` where a file of the edits is
    missing or damaged. Then no workspace is left.
    """
    state = _state_after(workspace, number)
    directory = workspaces.context.directory
    made = directory.make(visitor, name)
    try:
        workspaces.open(made.id, workspace.author).begin_as_branch(info.name, state)
    except BaseException:
        directory.delete(visitor, made.id)
        raise
    return made


def differences(first: Iterable[Edit], second: Iterable[Edit]) -> tuple[Difference, ...]:
    """Return every request of two chains, and in which of them it is on. Requests are the same if their texts are."""
    on: dict[tuple[str, str], tuple[EditRequest, list[bool]]] = {}
    for place, chain in enumerate((first, second)):
        for edit in chain:
            for request in edit.requests:
                _, is_on = on.setdefault((request.text, request.target_new), (request, [False, False]))
                is_on[place] |= edit.on
    return tuple(Difference(request, *is_on) for request, is_on in on.values())


def _state_after(workspace: Workspace, number: int | None) -> State:
    """Return the state after an event; None is the latest. Raises `BadRequest` where there is none."""
    state = workspace.state
    if number is None or number == state.number:
        return state
    if not 0 <= number <= state.number:
        raise BadRequest(f"There are {state.number:,} events. Choose one of them.")
    return fold(event for event in workspace.events() if event.number <= number)


def _changes_edits(event: Event) -> bool:
    return event.kind in (*CHANGES, "undone", "redone", "branched")


def _text(event: Event, before: State, after: State) -> str:
    """Return what the author did, as it follows a name."""
    if event.kind in CHANGES:
        return after.past[-1].text
    if event.kind == "undone":
        return Message(noop("undid: {change}"), change=after.future[-1].text)
    if event.kind == "redone":
        return Message(noop("redid: {change}"), change=after.past[-1].text)
    if event.kind == "imported":
        form = noop("imported it from a bundle of {name}, with {edits}")
        return Message(form, name=repr(event.body["of"]), edits=count_edits(after.chain))
    if event.kind == "branched":
        form, number = noop("branched it from {name} after event {event}, with {edits}"), str(event.body["number"])
        return Message(form, name=repr(event.body["of"]), event=number, edits=count_edits(after.chain))
    if event.kind == "renamed":
        return Message(noop("renamed it to {name}"), name=repr(event.body["name"]))
    if event.kind == "threshold":
        return Message(noop("set the gate threshold to {threshold}"), threshold=f"{event.body['threshold']:.2f}")
    if event.kind in SWITCHED:
        return Message(SWITCHED[event.kind][bool(event.body["on"])])
    assert event.kind in ENDED
    return Message(ENDED[event.kind])
