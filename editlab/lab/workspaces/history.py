"""A workspace at other times and beside others: what happened in it, what lay over the model then, branches, comparisons.

A workspace is a fold over its events, so its past is the same fold, ended earlier.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from editlab import probes
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.context import Context
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import EditRecord, pathways_of
from editlab.lab.ledger.directory import WorkspaceInfo
from editlab.lab.ledger.events import CHANGES, ENDS, NOTED, Edit, Event, State, counted, steps
from editlab.lab.worker import Cancel, Job, JobProgress
from editlab.lab.workspaces.open import Workspaces
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import BASE, View

UNTOLD = ("started", "looked")
"""Events that tell a reader nothing by themselves."""


@dataclass(frozen=True)
class Moment:
    """One event as people read it: the `number`th, what it did (`told` completes "Somebody has ..."), when and by whom.

    `edits`: how many requests lay over the model after it; `changed`: whether it changed what lies there.
    """

    number: int
    told: str
    at: str
    by: str
    edits: int
    changed: bool


@dataclass(frozen=True)
class Standing:
    """What lies over the model in a workspace at some time: its edits in order, and the view of those that are on."""

    number: int
    records: tuple[EditRecord, ...]
    view: View


def timeline(workspace: Workspace) -> tuple[Moment, ...]:
    """Everything that happened in a workspace that is worth telling, oldest first. Raises `BadFile` for a broken chain."""
    return moments_of(workspace.events())


def moments_of(events: Iterable[Event]) -> tuple[Moment, ...]:
    """The same of a workspace's events. Raises `BadFile` where one cannot follow those before it."""
    return tuple(
        Moment(event.number, _told(event, before, after), event.at, event.by, count, _changed(event))
        for event, before, after, count in steps(events, lambda edit: len(edit.requests) * edit.on)
        if event.kind not in UNTOLD
    )


def standing(workspace: Workspace, number: int | None = None) -> Standing:
    """What lay over the model after an event, pathways as well; None: what lies there now.

    Raises `BadRequest` where there is no such event, `BadFile` where a file of it is damaged.
    """
    state = workspace.state
    number = state.number if number is None else number
    if not 0 <= number <= state.number:
        raise BadRequest(f"There are {state.number:,} events. Choose one of them.")
    return _standing(number, map(workspace.record, state.chains[number]), workspace.threshold)


def ask(context: Context, text: str, standings: dict[str, Standing]) -> Job[probes.Answers]:
    """How the model goes on with a text at each of these standings: `{name: {"top", "text"}}`, shown as it grows."""

    def work(progress: JobProgress, cancel: Cancel) -> probes.Answers:
        views = {name: standing.view for name, standing in standings.items()}
        answers: probes.Answers = {}
        for answers in probes.answers_so_far(context.model, text, views, context.answer_tokens):
            if cancel():
                break
            progress.show(answers)
        return answers

    return context.worker.submit(work, Kind.COMPARE)


def branch(
    workspaces: Workspaces,
    visitor: str,
    workspace: Workspace,
    room: WorkspaceInfo,
    name: str,
    number: int | None = None,
) -> WorkspaceInfo:
    """A new private workspace that begins with what lay over the model in another one, at an event or now.

    Raises `BadRequest` for a name that is taken and for no such event.
    """
    state = workspace.state
    number = state.number if number is None else number
    if not 0 <= number <= state.number:
        raise BadRequest(f"There are {state.number:,} events. Choose one of them.")
    made = workspaces.context.directory.make(visitor, name)
    workspaces.open(made.id, workspace.author).begin_as_branch(room.name, number, state.chains[number])
    return made


def differences(one: Iterable[Edit], other: Iterable[Edit]) -> tuple[tuple[EditRequest, bool, bool], ...]:
    """Every request of two chains, by what it asks: whether it is on in the first, and in the second."""
    asked: dict[tuple[str, str], list] = {}
    for place, chain in enumerate((one, other)):
        for edit in chain:
            for request in edit.requests:
                row = asked.setdefault((request.text, request.target_new), [request, False, False])
                row[1 + place] |= edit.on
    return tuple((request, first, second) for request, first, second in asked.values())


def _standing(number: int, records: Iterable[EditRecord], threshold: float) -> Standing:
    records = tuple(records)
    patches = [patch for record in records if record.on for patch in record.patches]
    patches += pathways_of(records)
    return Standing(number, records, View(tuple(patches), threshold) if patches else BASE)


def _changed(event: Event) -> bool:
    return event.kind in (*CHANGES, "undone", "redone", "branched")


def _told(event: Event, before: State, after: State) -> str:
    if event.kind in CHANGES:
        return after.past[-1].told
    if event.kind == "undone":
        return f"taken back: {after.future[-1].told}"
    if event.kind == "redone":
        return f"done again: {after.past[-1].told}"
    if event.kind == "imported":
        return f"brought it here from a bundle of {event.body['of']!r}, with {counted(after.chain)}"
    if event.kind == "branched":
        return f"branched from {event.body['of']!r} after event {event.body['number']}, with {counted(after.chain)}"
    if event.kind == "renamed":
        return f"renamed it to {event.body['name']!r}"
    if event.kind == "shared":
        return "shared it" if event.body["on"] else "made it private"
    if event.kind == "threshold":
        return f"set the gate's threshold to {event.body['threshold']:.2f}"
    if event.kind == "limits":
        return "chose from where on the monitor gives an alarm"
    if event.kind in ("masked", "guarded"):
        return f"turned the {'mask' if event.kind == 'masked' else 'guard'} {'on' if event.body['on'] else 'off'}"
    assert event.kind in ENDS or event.kind in NOTED
    return {"stopped": "stopped an edit", "failed": "met an error", "interrupted": "was interrupted"}[event.kind]
