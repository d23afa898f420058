"""A workspace's chain of edits as the ledger has it: what lies over the model now, and the only way to change that.

What the chain is, the ledger's events say and `history` folds; here the patches that they name are loaded, and events are
written. Another process may write too: then what it wrote is read, and the decision is made anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from typing import Any

from editlab.errors import BadFile, BadRequest, Cancelled, EditLabError
from editlab.facts import EditRequest
from editlab.lab.ledger.bodies import LONGEST_TEXT
from editlab.lab.ledger.events import START, Described, Edit, Event, State, fold, named, step
from editlab.lab.ledger.files import Shape
from editlab.lab.ledger.ledger import Behind, Key, Ledger, now
from editlab.model import LanguageModel, memory
from editlab.patches import BASE, Patch, Pathway, View

Solves = tuple[tuple[Patch, ...], ...]
Next = tuple[str, Mapping[str, Any]]
"""Kind and body of an event to be written."""
Decide = Callable[[State], Next]


@dataclass(frozen=True, eq=False, kw_only=True)
class EditRecord(Described):
    """An edit with its patches, by solve, and its pathways, at most one a layer."""

    solves: Solves
    pathways: tuple[Pathway, ...] = ()

    @property
    def patches(self) -> tuple[Patch, ...]:
        """All patches, in the order in which they are laid."""
        return tuple(patch for solve in self.solves for patch in solve)


class Chain:
    """The chain of one workspace. `records`: its edits in order, what is switched off among them; `view`: what is on.

    `pathways`: those of all that is on, one a subject and layer; they lie beside the edits, never under a new one.
    `computing` says whether this process computes an edit of it right now; `author` signs what is written. Raises `BadFile`
    where the ledger was tampered with.
    """

    def __init__(
        self, ledger: Ledger, key: Key, model: LanguageModel, computing: Callable[[], bool], author: str = ""
    ) -> None:
        self._ledger, self._key, self._computing = ledger, key, computing
        self._device, self._shape = model.device, Shape.of(model)  # not the model: it may be dropped meanwhile
        self.author = author
        self._lock = threading.RLock()
        self._last = ""
        self._patches: dict[str, tuple[Patch, ...]] = {}
        self._made: dict[tuple[Any, ...], EditRecord] = {}
        self._notice: str | None = None
        self.state = START
        self.records: tuple[EditRecord, ...] = ()
        self.view: View = BASE
        self.pathways: tuple[Pathway, ...] = ()
        self.refresh()

    def notice(self) -> str | None:
        """What was interrupted, or was damaged meanwhile; told once."""
        told, self._notice = self._notice, None
        return told

    def events(self) -> tuple[Event, ...]:
        """Everything that happened here, oldest first."""
        return tuple(event for event, _ in self._ledger.read(self._key))

    def refresh(self) -> None:
        """Read what another process has written into this workspace, and note what ended without an end."""
        with self._lock:
            new = self._ledger.read(self._key, self.state.number, self._last)
            if new:
                self._catch_up(fold((event for event, _ in new), self.state), new[-1][1])
            started = self.state.started
            if started is not None and not self._computed_by_somebody(started):
                told = self._interrupted(started)
                with suppress(Behind):  # then somebody else has noted it
                    self._append("interrupted", {})
                self._notice = told

    def _catch_up(self, state: State, last: str) -> None:
        """Take over a state that was read; edits whose files are damaged or of another shape are removed, which is said.

        It can be undone, once the file is back.
        """
        lost = [edit for edit in state.chain if not self._whole(edit)]
        if not lost:
            self._become(state, last)
            return
        self.state, self._last = state, last
        with suppress(Behind):  # then somebody else has removed them
            self._append("removed", {"ids": [edit.id for edit in lost]})
        names = ", ".join(edit.name for edit in lost)
        self._notice = (
            f"A file is missing or damaged, or does not fit this model, so this was removed: {names}. Run: editlab ledger "
            "verify"
        )

    def _whole(self, edit: Edit) -> bool:
        try:
            self.record(edit)
        except BadFile:
            return False
        return True

    def _computed_by_somebody(self, started: Mapping[str, Any]) -> bool:
        if started["session"] == self._ledger.session:
            return self._computing()
        return self._ledger.alive(started["session"])

    def _interrupted(self, started: Mapping[str, Any]) -> str:
        if "refined" in started:
            return f"Adding REP was interrupted: {named(EditRequest(**started['request']))}. The edit is as it was before."
        if "source" in started:
            first, last = started["source"]["rows"]
            return (
                f"Edits from {started['source']['name']} were interrupted at rows {first} to {last}, of which nothing was "
                "kept. Those before lie here: give the same file again, and it goes on behind them."
            )
        if "request" not in started:
            return "Re-making the edits was interrupted. They are as they were before."
        return f"An edit was interrupted: {named(EditRequest(**started['request']))}. Nothing of it was kept."

    def write(self, decide: Decide) -> State:
        """Write the event that `decide` chooses for the state as it is; decide anew where another process was faster."""
        with self._lock:
            while True:
                try:
                    self.refresh()
                    self._append(*decide(self.state))
                    return self.state
                except Behind:
                    continue

    def _append(self, kind: str, body: Mapping[str, Any]) -> None:
        signed = {**body, "by": self.author} if self.author else body
        event = Event(self.state.number + 1, kind, signed, now())
        after = step(self.state, event)
        self._loaded(after)
        self._become(after, self._ledger.append(self._key, event, self._last))

    def _become(self, state: State, last: str) -> None:
        """Take over a state: its records, and the one view under them. Raises `BadFile` where a file is damaged."""
        if state.chain is not self.state.chain:
            records = self._loaded(state)
            patches = [patch for record in records if record.on for patch in record.patches]
            self.records, self.view = records, BASE.with_patches(patches) if patches else BASE
            self.pathways = pathways_of(records)
        self.state, self._last = state, last

    def _loaded(self, state: State) -> tuple[EditRecord, ...]:
        return tuple(map(self.record, state.chain))

    def record(self, edit: Edit) -> EditRecord:
        """An edit with its patches. Raises `BadFile` where their files are damaged, or do not fit the model."""
        key = edit.id, edit.files, edit.on, edit.rep, edit.rep_on, edit.names, edit.seconds
        if key not in self._made:
            for address in edit.files:
                if address not in self._patches:
                    self._patches[address] = self._ledger.tensors.load(address, self._device)
            solves = tuple(self._patches[address] for address in edit.solves)
            pathways = tuple(patch for address in edit.pathways for patch in self._patches[address])
            try:
                self._shape.check(edit.layers, (patch for solve in solves for patch in solve), pathways)
            except BadFile as error:
                raise BadFile(f"{edit.name} cannot lie over this model: {error}. Load the model it was made for.") from error
            described = {field.name: getattr(edit, field.name) for field in fields(Described)}
            self._made[key] = EditRecord(**described, solves=solves, pathways=pathways)
        return self._made[key]

    @contextmanager
    def begun(self, body: Mapping[str, Any]) -> Iterator[None]:
        """Note that an edit is begun, and how it ended where it did not end well."""

        def begin(state: State) -> Next:
            if state.started is not None and self._ledger.session != state.started["session"]:
                raise being_edited()
            return "started", {**body, "session": self._ledger.session}

        self.write(begin)
        try:
            yield
        except BaseException as error:
            if not memory.poisoned(self._device):  # else the next process finds it begun, and tells that it was interrupted
                why = str(error)[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
                end = "stopped" if isinstance(error, Cancelled) else "failed", {"why": why}
                with suppress(EditLabError):  # what went wrong is said; that it cannot be noted, too, changes nothing
                    self.write(lambda state: end)
            raise

    def keep(self, solves: Solves) -> tuple[str, ...]:
        """Write the tensors of these solves to the disk, before any event names them; their addresses."""
        addresses = tuple(self._ledger.tensors.save(solve, self._key.model) for solve in solves)
        self._patches |= dict(zip(addresses, solves, strict=True))
        return addresses


def pathways_of(records: Iterable[EditRecord]) -> tuple[Pathway, ...]:
    """The pathways of all edits that are on and have theirs on, one a subject and layer: the first, which others share."""
    found: dict[tuple[str, int], Pathway] = {}
    for record in records:
        for pathway in record.pathways if record.on and record.rep_on else ():
            found.setdefault((pathway.subject, pathway.layer), pathway)
    return tuple(found.values())


def being_edited() -> BadRequest:
    """The refusal of a change while an edit is computed."""
    return BadRequest("An edit is being computed. Wait for it, or press Stop first.")
