"""A workspace as a fold over its events: what lies over the model, what can be taken back, what was interrupted.

Everything here is a plain value and a pure function, so reload, restart and time travel are one line: `fold(events)`. A
change keeps the chain before and after it; undo and redo choose between the two, whatever kind of change it was. Patches
are named by the addresses of their files; whoever wants to compute loads them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from editlab.errors import BadFile
from editlab.facts import EditRequest

CHANGES = ("applied", "refined", "switched", "removed", "remade", "cleared", "moved", "returned")
"""Events that change the chain, and that can be undone."""
ENDS = ("applied", "refined", "remade", "stopped", "failed", "interrupted")
"""Events that end what `started` began."""
NOTED = ("renamed", "shared", "imported")
"""Events that tell of the workspace itself and change nothing of what lies over the model."""


@dataclass(frozen=True)
class Event:
    """One thing that happened in a workspace: the `number`th, `kind` says what and `body`, in plain JSON, the rest.

    `at`: when, ISO 8601 in UTC; `by`: who did it; empty where nobody said.
    """

    number: int
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def by(self) -> str:
        """Who did it."""
        return str(self.body.get("by", ""))


@dataclass(frozen=True, kw_only=True)
class Described:
    """One edit that was applied, without its tensors: what was asked, how it was made, how healthy it is.

    What was made together is taken back together: `more` are the other requests of a batch, whose `source` says which file
    and which of its rows they are, and whose `health` is the mean over all of them.

    `id` is its name in the workspace; `on`: whether it lies over the model; `config`: the settings it was made with.
    `rep`: the recipe of its pathways, None where it has none; `rep_on`: whether they lie there as well; `names`: what a
    person added to the names of the subject from which they were learnt. `author`, `reason` and `at` (ISO 8601, UTC): who
    applied it, why and when, each empty where nobody said.
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
    author: str = ""
    reason: str = ""
    at: str = ""

    @property
    def requests(self) -> tuple[EditRequest, ...]:
        """All that was asked."""
        return self.request, *self.more

    @property
    def name(self) -> str:
        """What it changes, in few words."""
        return named(self.request) + (f" and {len(self.more)} more" if self.more else "")


@dataclass(frozen=True, kw_only=True)
class Edit(Described):
    """An edit as the ledger keeps it: the tensors of its `solves`, and each of its `pathways`, stand in files there.

    Two edits of one subject may name the same pathway. Ledgers from before REP name none, those from before batches nothing
    of a batch.
    """

    solves: tuple[str, ...]
    pathways: tuple[str, ...] = ()

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Edit:
        """The edit that an event's body describes."""
        tuples = {name: tuple(body[name]) for name in ("layers", "contexts", "solves")}
        tuples |= {name: tuple(body.get(name, ())) for name in ("names", "pathways")}
        health = {name: float(value) for name, value in body["health"].items()}
        first, *more = (EditRequest(**request) for request in (body["request"], *body.get("more", ())))
        return cls(**{**body, **tuples, "health": health, "request": first, "more": tuple(more)})

    def written(self) -> dict[str, Any]:
        """The same as plain JSON values, in which what is not a number is its name."""
        health = {name: value if math.isfinite(value) else str(value) for name, value in self.health.items()}
        return asdict(self) | {"health": health}

    @property
    def files(self) -> tuple[str, ...]:
        """The addresses of all files that it needs."""
        return (*self.solves, *self.pathways)


@dataclass(frozen=True)
class Change:
    """One change of the chain that can be undone; `told` completes "You have ..."."""

    told: str
    before: tuple[Edit, ...]
    after: tuple[Edit, ...]
    request: EditRequest | None = None


@dataclass(frozen=True)
class State:
    """A workspace after `number` events. `started`: the body of the last `started`, where nothing has ended it yet.

    `threshold`: what a pathway's gate must exceed, where somebody has chosen it; `masked`: whether the edits are looked at
    under the reversal mask as well; `guarded`: whether the model stands under it; `limits`: from where on the monitor gives
    an alarm, where somebody has chosen. None of them is a change to be undone.
    `chains`: what the chain was after each event, before the first one as well.
    """

    number: int = 0
    chain: tuple[Edit, ...] = ()
    past: tuple[Change, ...] = ()
    future: tuple[Change, ...] = ()
    request: EditRequest | None = None
    started: Mapping[str, Any] | None = None
    threshold: float | None = None
    masked: bool = False
    guarded: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)
    chains: tuple[tuple[Edit, ...], ...] = field(default=((),), compare=False)

    def edit(self, id: str) -> Edit | None:
        """The edit of this id in the chain, if there is one."""
        return next((edit for edit in self.chain if edit.id == id), None)


START = State()


def fold(events: Iterable[Event], state: State = START) -> State:
    """The state to which events lead. Raises `BadFile` where one of them cannot follow those before it."""
    for event in events:
        state = step(state, event)
    return state


def step(state: State, event: Event) -> State:
    """The state after one more event."""
    if event.number != state.number + 1:
        raise BadFile(f"Event {event.number} follows event {state.number}: one is missing. Run: editlab ledger verify")
    try:
        after = _after(state, event)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadFile(
            f"Event {event.number} ({event.kind}) cannot be read: {error!r}. Run: editlab ledger verify"
        ) from error
    started = None if event.kind in ENDS else after.started
    return replace(after, number=event.number, started=started, chains=(*state.chains, after.chain))


def _after(state: State, event: Event) -> State:
    kind, body = event.kind, event.body
    if kind in CHANGES:
        change = _change(state, event)
        return replace(
            state, chain=change.after, past=(*state.past, change), future=(), request=change.request or state.request
        )
    if kind == "undone":
        *past, last = state.past
        shown = last.request or state.request
        return replace(state, chain=last.before, past=tuple(past), future=(*state.future, last), request=shown)
    if kind == "redone":
        *future, next_ = state.future
        shown = next_.request or state.request
        return replace(state, chain=next_.after, past=(*state.past, next_), future=tuple(future), request=shown)
    if kind == "started":
        return replace(state, started=body)
    if kind == "looked":
        return replace(state, request=EditRequest(**body["request"]))
    if kind == "threshold":
        return replace(state, threshold=float(body["threshold"]))
    if kind in ("masked", "guarded"):
        return replace(state, **{kind: bool(body["on"])})
    if kind == "limits":
        return replace(state, limits={name: float(value) for name, value in body["limits"].items()})
    if kind == "branched":
        return replace(state, chain=tuple(map(Edit.read, body["edits"])))
    if kind in ENDS or kind in NOTED:
        return state
    raise ValueError("no event is called so in this version of EditLab")


def _change(state: State, event: Event) -> Change:
    chain, kind, body = state.chain, event.kind, event.body
    if kind == "applied":
        edit = Edit.read(body["edit"])
        edit = replace(edit, at=edit.at or event.at)
        return Change(f"applied {edit.name}{' with REP' * bool(edit.rep)}", chain, (*chain, edit), edit.request)
    if kind == "cleared":
        return Change(f"removed all {counted(chain)}", chain, ())
    if kind == "remade":
        made = {edit.id: edit for edit in map(Edit.read, body["edits"])}
        return Change(f"re-made {counted(made.values())}", chain, tuple(made.get(edit.id, edit) for edit in chain))
    if kind == "refined":
        edit = Edit.read(body["edit"])
        if all(known.id != edit.id for known in chain):
            raise ValueError(f"no edit is called {edit.id}")
        after = tuple(edit if known.id == edit.id else known for known in chain)
        return Change(f"added REP to {edit.name}", chain, after, edit.request)
    if kind == "moved":
        return _moved(chain, body["ids"])
    if kind == "returned":
        number = int(body["to"])
        if not 0 <= number <= state.number:
            raise ValueError(f"there is no event {number} to return to")
        return Change(f"returned to how it was after event {number}", chain, state.chains[number])
    wanted = body["ids"] if kind == "removed" else [body["id"]]
    chosen = [edit for edit in chain if edit.id in wanted]
    if len(chosen) != len(wanted):
        raise ValueError(f"no edit is called {', '.join(map(str, wanted))}")
    first = chosen[0]
    if kind == "removed":
        told = first.name if len(chosen) == 1 else counted(chosen)
        return Change(f"removed {told}", chain, tuple(edit for edit in chain if edit not in chosen), first.request)
    what = "rep" if "rep" in body else "on"
    turned = replace(first, **{"rep_on" if what == "rep" else "on": bool(body[what])})
    told = f"switched {'on' if body[what] else 'off'} {'REP for ' * (what == 'rep')}{first.name}"
    return Change(told, chain, tuple(turned if edit is first else edit for edit in chain), first.request)


def _moved(chain: tuple[Edit, ...], ids: Sequence[str]) -> Change:
    """The same edits in another order."""
    known = {edit.id: edit for edit in chain}
    if sorted(ids) != sorted(known):
        raise ValueError("an order names every edit once")
    after = tuple(known[id] for id in ids)
    places = [abs(place - ids.index(edit.id)) for place, edit in enumerate(chain)]
    first = chain[places.index(max(places))]
    return Change(f"moved {first.name} to place {ids.index(first.id) + 1}", chain, after, first.request)


def named(request: EditRequest) -> str:
    """What a request changes, in few words."""
    return f"{request.subject} → {request.target_new}"


def counted(edits: Iterable[Described]) -> str:
    """How many edits these are, in words; all requests of a batch count."""
    count = sum(len(edit.requests) for edit in edits)
    return "1 edit" if count == 1 else f"{count:,} edits"
