"""A workspace as a fold over its events: what lies over the model, what can be taken back, what was interrupted.

Everything here is a plain value and a pure function, so reload, restart and time travel are one line: `fold(events)`. A
change keeps the chain before and after it; undo and redo choose between the two, whatever kind of change it was. Patches
are named by the addresses of their files; whoever wants to compute loads them.
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
    def read(cls, body: Mapping[str, Any] | EditBody) -> Edit:
        """The edit that an event's body describes. Raises `ValueError` for what describes none: see `bodies`."""
        return cls(**dict(bodies.checked(EditBody, body)))

    def written(self) -> dict[str, Any]:
        """The same as plain JSON values, in which what is not a number is its name."""
        health = {name: value if math.isfinite(value) else str(value) for name, value in self.health.items()}
        return asdict(self) | {"health": health}

    @property
    def files(self) -> tuple[str, ...]:
        """The addresses of all files that it needs."""
        return (*self.solves, *self.pathways)


Edits = PersistentList[Edit]
"""A chain of edits."""


@dataclass(frozen=True)
class Change:
    """One change of the chain that can be undone; `told` completes "You have ..."."""

    told: str
    before: Edits
    after: Edits
    request: EditRequest | None = None


@dataclass(frozen=True)
class State:
    """A workspace after `number` events. `started`: the body of the last `started`, where nothing has ended it yet.

    `threshold`: what a pathway's gate must exceed, where somebody has chosen it; `masked`: whether the edits are looked at
    under the reversal mask as well; `guarded`: whether the model stands under it; `limits`: from where on the monitor gives
    an alarm, where somebody has chosen. None of them is a change to be undone.
    `chains`: what the chain was after each event, before the first one as well; an event that does not change it leaves the
    very same one there.
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
        """The edit of this id in the chain, if there is one."""
        return next((edit for edit in self.chain if edit.id == id), None)


START = State()


def fold(events: Iterable[Event], state: State = START) -> State:
    """The state to which events lead. Raises `BadFile` where one of them cannot follow those before it."""
    for event in events:
        state = step(state, event)
    return state


def steps(events: Iterable[Event], weight: Callable[[Edit], int]) -> Iterator[tuple[Event, State, State, int]]:
    """Each event with the state before and after it, and what the edits that then lie there weigh together.

    Only edits that came, went or changed their place are weighed. Raises as `fold`.
    """
    state = State()
    weights = {id(state.chain): 0}  # by chain: the state keeps all that there ever were, so none takes another's place
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
    """The state after one more event. Raises `BadFile` as `fold`, also for a body that no such event has: see `bodies`."""
    if event.number != state.number + 1:
        raise BadFile(f"Event {event.number} follows event {state.number}: one is missing. Run: editlab ledger verify")
    try:
        after = _after(state, event, bodies.read(event.kind, event.body, event.at))
    except (IndexError, TypeError, ValueError) as error:
        why = f"Event {event.number} ({event.kind[:80]}) cannot be read: {str(error)[: bodies.LONGEST_TOLD]}"
        raise BadFile(f"{why.rstrip('.')}. Run: editlab ledger verify") from error
    started = None if event.kind in (*ENDS, "imported") else after.started
    return replace(after, number=event.number, started=started, chains=state.chains.append(after.chain))


def edits_of(event: Event) -> tuple[Edit, ...]:
    """The edits that an event brings along, with the addresses of their files. Raises `ValueError` as `Edit.read`."""
    body = bodies.read(event.kind, event.body)
    given = (body.edit,) if isinstance(body, bodies.OneEdit) else body.edits if isinstance(body, bodies.Edits) else ()
    return tuple(map(Edit.read, given))


def _after(state: State, event: Event, body: Any) -> State:
    """The state after an event whose body was read. Of that, nothing is asked here that `bodies` has not checked."""
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
        raise ValueError(f"there is nothing that could be {kind}")
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
        return replace(state, limits={name: float(value) for name, value in body.limits.items()})
    if kind == "branched":
        return replace(state, chain=PersistentList(map(Edit.read, body.edits)))
    return state


def _change(state: State, event: Event, body: Any) -> Change:
    chain, kind = state.chain, event.kind
    if kind == "applied":
        edit = Edit.read(body.edit)
        edit = replace(edit, at=edit.at or event.at)
        return Change(f"applied {edit.name}{' with REP' * bool(edit.rep)}", chain, chain.append(edit), edit.request)
    if kind == "cleared":
        return Change(f"removed all {counted(chain)}", chain, PersistentList())
    if kind == "remade":
        made = {edit.id: edit for edit in map(Edit.read, body.edits)}
        after = PersistentList(made.get(edit.id, edit) for edit in chain)
        return Change(f"re-made {counted(made.values())}", chain, after)
    if kind == "refined":
        edit = Edit.read(body.edit)
        _named(chain, [edit.id])
        after = PersistentList(edit if known.id == edit.id else known for known in chain)
        return Change(f"added REP to {edit.name}", chain, after, edit.request)
    if kind == "moved":
        return _moved(chain, body.ids)
    if kind == "returned":
        if body.to > state.number:
            raise ValueError(f"there is no event {body.to} to return to")
        return Change(f"returned to how it was after event {body.to}", chain, state.chains[body.to])
    if kind == "removed":
        chosen, gone = _named(chain, body.ids), set(body.ids)
        told = chosen[0].name if len(chosen) == 1 else counted(chosen)
        after = PersistentList(edit for edit in chain if edit.id not in gone)
        return Change(f"removed {told}", chain, after, chosen[0].request)
    what = {"on": body.on} if body.rep is None else {"rep_on": body.rep}
    edits = list(chain)
    places = [place for place, edit in enumerate(edits) if edit.id == body.id]
    if not places:
        raise ValueError(f"no edit is called {body.id}")
    first = edits[places[0]]
    for place in places:
        edits[place] = replace(edits[place], **what)
    told = f"switched {'on' if any(what.values()) else 'off'} {'REP for ' * ('rep_on' in what)}{first.name}"
    return Change(told, chain, PersistentList(edits), first.request)


def _named(chain: Iterable[Edit], ids: Iterable[str]) -> list[Edit]:
    """The edits of a chain that are called so. Raises `ValueError` where one of the names is nobody's."""
    wanted = set(ids)
    found = [edit for edit in chain if edit.id in wanted]
    if unknown := wanted - {edit.id for edit in found}:
        raise ValueError(f"no edit is called {', '.join(sorted(unknown)[:5])}")
    return found


def _moved(chain: Edits, ids: Sequence[str]) -> Change:
    """The same edits in another order."""
    known, places = {edit.id: edit for edit in chain}, {id: place for place, id in enumerate(ids)}
    if len(ids) != len(chain) or known.keys() != places.keys():
        raise ValueError("an order names every edit once")
    first = max(enumerate(chain), key=lambda placed: abs(placed[0] - places[placed[1].id]))[1]
    after = PersistentList(known[id] for id in ids)
    return Change(f"moved {first.name} to place {places[first.id] + 1}", chain, after, first.request)


def named(request: EditRequest) -> str:
    """What a request changes, in few words."""
    return f"{request.subject} → {request.target_new}"


def counted(edits: Iterable[Described]) -> str:
    """How many edits these are, in words; all requests of a batch count."""
    count = sum(len(edit.requests) for edit in edits)
    return "1 edit" if count == 1 else f"{count:,} edits"
