"""Events, and the state of a workspace as a fold over them: its chain of edits, its changes, its settings.

Everything here is a plain value or a pure function, so reload, restart and history are one line: `fold(events)`. A change
keeps the chain before and after it; undo and redo choose between the two, for every kind of change. Edits name their
patches by the addresses of the files, and `chain` loads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from typing import Any

from editlab.errors import BadFile
from editlab.facts import EditRequest
from editlab.lab.ledger import bodies
from editlab.lab.ledger.bodies import EditBody
from editlab.lab.ledger.persistent import PersistentList
from editlab.wording import Message, noop

CHANGES = ("applied", "refined", "switched", "removed", "remade", "cleared", "moved", "returned")
"""Events that change the chain, and that can be undone."""
BESIDE = ("looked", "started", "stopped", "failed", "interrupted")
"""Kinds of events that change no edit by themselves."""
ENDS = ("applied", "refined", "remade", "stopped", "failed", "interrupted")
"""Events that end what `started` began."""
SETTINGS = ("threshold", "masked", "guarded", "limits")
"""Kinds of events that set what is no edit, which the state has under the same name."""
NOTED = ("renamed", "shared", "imported")
"""Events about the workspace itself, which do not change the chain."""


@dataclass(frozen=True)
class Event:
    """The `number`th event of a workspace: its kind, and a body of plain JSON.

    `at`: its time, ISO 8601 in UTC; `by`: its author; both empty where unknown.
    """

    number: int
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def by(self) -> str:
        """The author."""
        return str(self.body.get("by", ""))


@dataclass(frozen=True, kw_only=True)
class EditFields:
    """The fields of an edit without its tensors: its request, its method, and its health.

    A batch is one edit: `more` are its other requests, `source` names their file and its rows, `missed` the places among its
    requests of those whose new object the model did not say right after it, and `health` is the mean over all requests.

    `id`: its name in the workspace; `on`: whether it is applied; `config`: the settings of its method. `rep`: the recipe of
    its pathways, None where it has none; `rep_on`: whether they are applied; `names`: the names of the subject that the
    author added for their training. `author`, `reason` and `at` (ISO 8601, UTC): empty where unknown.
    """

    id: str
    request: EditRequest
    method: str
    config: Mapping[str, Any]
    layers: tuple[int, ...]
    seconds: float
    health: Mapping[str, float]
    contexts: tuple[str, ...]
    on: bool = True
    rep: str | None = None
    rep_on: bool = True
    names: tuple[str, ...] = ()
    more: tuple[EditRequest, ...] = ()
    source: Mapping[str, Any] | None = None
    missed: tuple[int, ...] = ()
    author: str = ""
    reason: str = ""
    at: str = ""

    @property
    def requests(self) -> tuple[EditRequest, ...]:
        """All requests of the edit."""
        return self.request, *self.more

    @property
    def name(self) -> str:
        """The edit in a few words: "Slovenia → Antarctica and 9 more"."""
        first = name_of(self.request)
        return Message(noop("{first} and {n} more"), first=first, n=len(self.more)) if self.more else first


@dataclass(frozen=True, kw_only=True)
class Edit(EditFields):
    """An edit as the ledger stores it, with the addresses of the files of its `solves` and `pathways`.

    Two edits of one subject may share a pathway. Ledgers from before REP have no pathways, those from before batches no
    fields of a batch.
    """

    solves: tuple[str, ...]
    pathways: tuple[str, ...] = ()

    @classmethod
    def read(cls, body: Mapping[str, Any] | EditBody) -> Edit:
        """Return the edit in an event's body. Raises `ValueError` where it is not valid: see `bodies`."""
        return cls(**dict(bodies.check(EditBody, body)))

    def as_json(self) -> dict[str, Any]:
        """Return the edit as plain JSON values; infinite and undefined numbers are texts."""
        health = {name: value if math.isfinite(value) else str(value) for name, value in self.health.items()}
        return asdict(self) | {"health": health}

    @property
    def files(self) -> tuple[str, ...]:
        """The addresses of all its files."""
        return (*self.solves, *self.pathways)


Edits = PersistentList[Edit]
"""A chain of edits."""


@dataclass(frozen=True)
class Change:
    """One change of the chain, which can be undone. `text` completes "You have ..."."""

    text: str
    before: Edits
    after: Edits
    request: EditRequest | None = None


@dataclass(frozen=True)
class State:
    """A workspace after `number` events. `started`: the body of a `started` event that has not ended yet.

    `threshold`: the gate threshold, where it was set; `masked`: whether the edits are also shown under the reversal mask;
    `guarded`: whether they are judged under it; `limits`: the alarm limits, where they were set. These are not changes, and
    undo does not affect them.
    `chains`: the chain before the first event and after each one. An event that does not change the chain adds the same
    object again.
    """

    number: int = 0
    chain: Edits = field(default_factory=PersistentList)
    past: PersistentList[Change] = field(default_factory=PersistentList)
    future: PersistentList[Change] = field(default_factory=PersistentList)
    request: EditRequest | None = None
    started: Mapping[str, Any] | None = None
    threshold: float | None = None
    masked: bool = False
    guarded: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)
    chains: PersistentList[Edits] = field(default_factory=lambda: PersistentList([PersistentList()]), compare=False)

    def edit(self, id: str) -> Edit | None:
        """Return the edit of this id in the chain, None where there is none."""
        return next((edit for edit in self.chain if edit.id == id), None)

    @property
    def settings(self) -> dict[str, Any]:
        """What was set besides the chain, by name, as the event of a branch has it."""
        return {name: value for name in SETTINGS if (value := getattr(self, name)) != getattr(START, name)}


START = State()


def fold(events: Iterable[Event], state: State = START) -> State:
    """Return the state after events. Raises `BadFile` where one of them cannot follow those before it."""
    for event in events:
        state = step(state, event)
    return state


def steps(events: Iterable[Event], weight: Callable[[Edit], int]) -> Iterator[tuple[Event, State, State, int]]:
    """Yield each event with the state before and after it, and the total weight of the edits in the chain after it.

    `weight` is called only for edits that were added, removed or moved. Raises as `fold` does.
    """
    state = State()
    weights = {id(state.chain): 0}  # by chain: the state keeps all chains alive, so no id is used twice
    for event in events:
        after = step(state, event)
        if id(after.chain) not in weights:
            if event.kind == "applied":
                more = weight(after.chain[-1])
            else:
                pairs = zip_longest(state.chain, after.chain)
                changed = (pair for pair in pairs if pair[0] is not pair[1])
                more = sum((weight(new) if new else 0) - (weight(old) if old else 0) for old, new in changed)
            weights[id(after.chain)] = weights[id(state.chain)] + more
        yield event, state, after, weights[id(after.chain)]
        state = after


def step(state: State, event: Event) -> State:
    """Return the state after one more event. Raises `BadFile` as `fold` does, also for a body that is not valid."""
    if event.number != state.number + 1:
        raise BadFile(f"Event {event.number} follows event {state.number}: one is missing. Run: editlab ledger verify")
    try:
        after = _apply(state, event, bodies.read(event.kind, event.body, event.at))
    except (IndexError, TypeError, ValueError) as error:
        why = noop(f"Event {event.number} ({event.kind[:80]}) cannot be read: {str(error)[: bodies.LONGEST_FAULT]}")
        raise BadFile(f"{why.rstrip('.')}. Run: editlab ledger verify") from error
    started = None if event.kind in (*ENDS, "imported") else after.started
    return replace(after, number=event.number, started=started, chains=state.chains.append(after.chain))


def edits_of(event: Event) -> tuple[Edit, ...]:
    """Return the edits in an event's body. Raises `ValueError` as `Edit.read` does."""
    body = bodies.read(event.kind, event.body)
    given = (body.edit,) if isinstance(body, bodies.OneEdit) else body.edits if isinstance(body, bodies.Edits) else ()
    return tuple(map(Edit.read, given))


def _apply(state: State, event: Event, body: Any) -> State:
    """Return the state after an event, whose body `bodies` has checked."""
    kind = event.kind
    if kind in CHANGES:
        change = _change(state, event, body)
        return replace(
            state,
            chain=change.after,
            past=state.past.append(change),
            future=PersistentList(),
            request=change.request or state.request,
        )
    if (kind == "undone" and not state.past) or (kind == "redone" and not state.future):
        raise ValueError(noop(f"no change can be {kind}"))
    if kind == "undone":
        last, past = state.past[-1], state.past.pop()
        shown = last.request or state.request
        return replace(state, chain=last.before, past=past, future=state.future.append(last), request=shown)
    if kind == "redone":
        next_, future = state.future[-1], state.future.pop()
        shown = next_.request or state.request
        return replace(state, chain=next_.after, past=state.past.append(next_), future=future, request=shown)
    if kind == "started":
        return replace(state, started=event.body)
    if kind == "looked":
        return replace(state, request=body.request)
    if kind == "threshold":
        return replace(state, threshold=float(body.threshold))
    if kind in ("masked", "guarded"):
        return replace(state, **{kind: body.on})
    if kind == "limits":
        return replace(state, limits=_numbers(body.limits))
    if kind == "branched":
        threshold = None if body.threshold is None else float(body.threshold)
        switches = {"masked": body.masked, "guarded": body.guarded, "limits": _numbers(body.limits)}
        return replace(state, chain=PersistentList(map(Edit.read, body.edits)), threshold=threshold, **switches)
    return state


def _numbers(limits: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in limits.items()}


def _change(state: State, event: Event, body: Any) -> Change:
    chain, kind = state.chain, event.kind
    if kind == "applied":
        edit = Edit.read(body.edit)
        edit = replace(edit, at=edit.at or event.at)
        form = noop("applied {edit} with REP") if edit.rep else noop("applied {edit}")
        return Change(Message(form, edit=edit.name), chain, chain.append(edit), edit.request)
    if kind == "cleared":
        return Change(Message(noop("removed all {edits}"), edits=count_edits(chain)), chain, PersistentList())
    if kind == "remade":
        made = {edit.id: edit for edit in map(Edit.read, body.edits)}
        after = PersistentList(made.get(edit.id, edit) for edit in chain)
        return Change(Message(noop("recomputed {edits}"), edits=count_edits(made.values())), chain, after)
    if kind == "refined":
        edit = Edit.read(body.edit)
        _find(chain, [edit.id])
        after = PersistentList(edit if known.id == edit.id else known for known in chain)
        return Change(Message(noop("added REP to {edit}"), edit=edit.name), chain, after, edit.request)
    if kind == "moved":
        return _reorder(chain, body.ids)
    if kind == "returned":
        if body.to > state.number:
            raise ValueError(noop(f"there is no event {body.to} to return to"))
        text = Message(noop("returned to the edits after event {event}"), event=str(body.to))
        return Change(text, chain, state.chains[body.to])
    if kind == "removed":
        chosen, ids = _find(chain, body.ids), set(body.ids)
        which = chosen[0].name if len(chosen) == 1 else count_edits(chosen)
        after = PersistentList(edit for edit in chain if edit.id not in ids)
        return Change(Message(noop("removed {edits}"), edits=which), chain, after, chosen[0].request)
    switch = {"on": body.on} if body.rep is None else {"rep_on": body.rep}
    edits = list(chain)
    places = [place for place, edit in enumerate(edits) if edit.id == body.id]
    if not places:
        raise ValueError(noop(f"there is no edit {body.id}"))
    first = edits[places[0]]
    for place in places:
        edits[place] = replace(edits[place], **switch)
    if "rep_on" in switch:
        form = noop("switched on REP for {edit}") if body.rep else noop("switched off REP for {edit}")
    else:
        form = noop("switched on {edit}") if body.on else noop("switched off {edit}")
    return Change(Message(form, edit=first.name), chain, PersistentList(edits), first.request)


def _find(chain: Iterable[Edit], ids: Iterable[str]) -> list[Edit]:
    """Return the edits of a chain that have these ids. Raises `ValueError` for an id that no edit has."""
    wanted = set(ids)
    edits = [edit for edit in chain if edit.id in wanted]
    if unknown := wanted - {edit.id for edit in edits}:
        raise ValueError(noop(f"there is no edit {', '.join(sorted(unknown)[:5])}"))
    return edits


def _reorder(chain: Edits, ids: Sequence[str]) -> Change:
    """Return the change that puts the edits into another order."""
    known, places = {edit.id: edit for edit in chain}, {id: place for place, id in enumerate(ids)}
    if len(ids) != len(chain) or known.keys() != places.keys():
        raise ValueError(noop("an order names every edit once"))
    first = max(enumerate(chain), key=lambda placed: abs(placed[0] - places[placed[1].id]))[1]
    after = PersistentList(known[id] for id in ids)
    text = Message(noop("moved {edit} to place {place}"), edit=first.name, place=str(places[first.id] + 1))
    return Change(text, chain, after, first.request)


def name_of(request: EditRequest) -> str:
    """Return a request in a few words: "Slovenia → Antarctica"."""
    return f"{request.subject} → {request.target_new}"


def count_edits(edits: Iterable[EditFields]) -> str:
    """Return how many edits these are, as text. Each request of a batch counts."""
    return Message(("{n} edit", "{n} edits"), n=sum(len(edit.requests) for edit in edits))
