"""The chain of a workspace's edits: it loads their patches from the ledger and writes the events that change them.

Other processes may write events too. Then the chain reads them and decides again what to write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from typing import Any

from editlab.errors import BadFile, BadRequest, Cancelled, EditLabError, Unreadable
from editlab.facts import EditRequest
from editlab.lab.ledger.bodies import LONGEST_TEXT
from editlab.lab.ledger.events import START, Edit, EditFields, Event, State, fold, name_of, step
from editlab.lab.ledger.files import Shape
from editlab.lab.ledger.ledger import Behind, Key, Ledger, now
from editlab.model import LanguageModel, memory
from editlab.patches import BASE, Patch, Pathway, View
from editlab.wording import count, join, noop

Solves = tuple[tuple[Patch, ...], ...]
Next = tuple[str, Mapping[str, Any]]
"""The kind and the body of the next event."""
Decide = Callable[[State], Next]


@dataclass(frozen=True, eq=False, kw_only=True)
class EditRecord(EditFields):
    """An edit with its patches, by solve, and its pathways, at most one per layer."""

    solves: Solves
    pathways: tuple[Pathway, ...] = ()

    @property
    def patches(self) -> tuple[Patch, ...]:
        """All patches, in the order in which they are applied."""
        return tuple(patch for solve in self.solves for patch in solve)


class Chain:
    """The chain of one workspace. `records`: its edits in order, also those that are off; `view`: those that are on.

    `pathways`: those of the edits that are on, one per subject and layer. They belong to no edit's view: new edits are not
    computed under them. `is_computing` tells whether this process computes an edit of the workspace now; `author` signs
    events, except those that note an interrupted or damaged edit: whoever reads them first has not caused them. Raises
    `BadFile` as `refresh` does.
    """

    def __init__(
        self, ledger: Ledger, key: Key, model: LanguageModel, is_computing: Callable[[], bool], author: str = ""
    ) -> None:
        self._ledger, self._key, self._is_computing = ledger, key, is_computing
        self._device, self._shape = model.device, Shape.of(model)  # not the model, which may be dropped
        self.author = author
        self._lock = threading.RLock()
        self._last = ""
        self._patches: dict[str, tuple[Patch, ...]] = {}
        self._records: dict[tuple[Any, ...], EditRecord] = {}
        self._notice: str | None = None
        self.state = START
        self.records: tuple[EditRecord, ...] = ()
        self.view: View = BASE
        self.pathways: tuple[Pathway, ...] = ()
        self.refresh()
        if not self.state.number and (others := ledger.applied_elsewhere(key)):
            edits = count(others, "edit")
            self._notice = noop(
                f"This workspace has {edits} of another model, or of this one in another precision. Load that to see them."
            )

    @property
    def requests(self) -> tuple[EditRequest, ...]:
        """What the edits that are on are about, in order."""
        return tuple(request for record in self.records if record.on for request in record.requests)

    def notice(self) -> str | None:
        """Return a message about interrupted, damaged or absent edits, once; None where there is none."""
        notice, self._notice = self._notice, None
        return notice

    def events(self) -> tuple[Event, ...]:
        """Return all events, oldest first."""
        return tuple(event for event, _ in self._ledger.read(self._key))

    def refresh(self) -> None:
        """Read what other processes have written, and note an edit whose process has ended.

        Raises `BadFile` where the ledger was changed or cannot be read, and `Unreadable` where an edit's file cannot be read
        now. Then nothing has changed.
        """
        with self._lock:
            while new := self._ledger.read(self._key, self.state.number, self._last):
                with suppress(Behind):  # then another process has written more, which is read next
                    self._catch_up(fold((event for event, _ in new), self.state), new[-1][1])
            started = self.state.started
            if started is not None and not self._is_running(started):
                notice = _describe_interrupted(started)
                with suppress(Behind):  # then another process has noted it
                    self._append("interrupted", {})
                self._notice = notice

    def _catch_up(self, state: State, last: str) -> None:
        """Set a state that was read. Edits whose files are damaged or have another shape are removed, with a notice.

        The removal can be undone when the file is back.
        """
        lost = [edit for edit in state.chain if not self._is_readable(edit)]
        if not lost:
            self._set(state, last)
            return
        before = self.state, self._last
        self.state, self._last = state, last
        try:
            self._append("removed", {"ids": [edit.id for edit in lost]})
        except BaseException:
            self.state, self._last = before
            raise
        self._notice = noop(
            f"These edits were removed, because their files are missing or damaged or do not fit this model: "
            f"{join(edit.name for edit in lost)}. Run: editlab ledger verify"
        )

    def _is_readable(self, edit: Edit) -> bool:
        try:
            self.record(edit)
        except Unreadable:
            raise
        except BadFile:
            return False
        return True

    def _is_running(self, started: Mapping[str, Any]) -> bool:
        if started["session"] == self._ledger.session:
            return self._is_computing()
        return self._ledger.alive(started["session"])

    def write(self, decide: Decide) -> State:
        """Write the event that `decide` returns for the state; decide again where another process was faster."""
        with self._lock:
            while True:
                try:
                    self.refresh()
                    kind, body = decide(self.state)
                    self._append(kind, {**body, "by": self.author} if self.author else body)
                    return self.state
                except Behind:
                    continue

    def _append(self, kind: str, body: Mapping[str, Any]) -> None:
        event = Event(self.state.number + 1, kind, body, now())
        after = step(self.state, event)
        self._load(after)
        self._set(after, self._ledger.append(self._key, event, self._last))

    def _set(self, state: State, last: str) -> None:
        """Set a state, with its records and its view. Raises `BadFile` where a file is damaged."""
        if state.chain is not self.state.chain:
            records = self._load(state)
            patches = [patch for record in records if record.on for patch in record.patches]
            self.records, self.view = records, BASE.with_patches(patches) if patches else BASE
            self.pathways = pathways_of(records)
        self.state, self._last = state, last

    def _load(self, state: State) -> tuple[EditRecord, ...]:
        return tuple(map(self.record, state.chain))

    def record(self, edit: Edit) -> EditRecord:
        """Return an edit with its patches. Raises `BadFile` where its files are damaged or do not fit the model."""
        key = edit.id, edit.files, edit.on, edit.rep, edit.rep_on, edit.names, edit.seconds
        if key not in self._records:
            for address in edit.files:
                if address not in self._patches:
                    self._patches[address] = self._ledger.tensors.load(address, self._device)
            solves = tuple(self._patches[address] for address in edit.solves)
            pathways = tuple(patch for address in edit.pathways for patch in self._patches[address])
            try:
                self._shape.check(edit.layers, (patch for solve in solves for patch in solve), pathways)
            except BadFile as error:
                raise BadFile(
                    f"{edit.name} cannot be applied to this model: {error}. Load the model it was made for."
                ) from error
            known = {field.name: getattr(edit, field.name) for field in fields(EditFields)}
            self._records[key] = EditRecord(**known, solves=solves, pathways=pathways)
        return self._records[key]

    @contextmanager
    def track_edit(self, describe: Callable[[State], Mapping[str, Any]]) -> Iterator[State]:
        """Note the start of an edit that the block computes, and its end where the block fails or is stopped.

        `describe` returns the body of the start for the state on which the edit is made, which the block gets: until the end
        no other process changes its chain. An error of `describe` is raised, and nothing is noted.
        """

        def start(state: State) -> Next:
            if state.started is not None and self._ledger.session != state.started["session"]:
                raise busy_error()
            return "started", {**describe(state), "session": self._ledger.session}

        state = self.write(start)
        try:
            yield state
        except BaseException as error:
            if not memory.poisoned(self._device):  # else the next process finds it started, and notes the interruption
                why = str(error)[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
                end = "stopped" if isinstance(error, Cancelled) else "failed", {"why": why}
                with suppress(EditLabError):  # the block's own error is raised
                    self.write(lambda state: end)
            raise

    def keep(self, solves: Solves) -> tuple[str, ...]:
        """Write the tensors of these solves to the disk, before an event names them, and return their addresses."""
        addresses = tuple(self._ledger.tensors.save(solve, self._key.model) for solve in solves)
        self._patches |= dict(zip(addresses, solves, strict=True))
        return addresses

    def holds(self, edit: Edit) -> bool:
        """Return whether the files of an edit are on the disk, where they stay while an event is written that names them."""
        return all([self._ledger.tensors.freshen(address) for address in edit.files])


def pathways_of(records: Iterable[EditRecord]) -> tuple[Pathway, ...]:
    """Return the pathways of all edits that are on and whose pathways are on: the first of each subject and layer."""
    pathways: dict[tuple[str, int], Pathway] = {}
    for record in records:
        for pathway in record.pathways if record.on and record.rep_on else ():
            pathways.setdefault((pathway.subject, pathway.layer), pathway)
    return tuple(pathways.values())


def busy_error() -> BadRequest:
    """Return the error for a change while an edit is computed."""
    return BadRequest("An edit is being computed. Wait for it, or press Stop first.")


def _describe_interrupted(started: Mapping[str, Any]) -> str:
    """Return a sentence about an edit that was started and has not ended."""
    if "refined" in started:
        return noop(
            f"Adding REP was interrupted: {name_of(EditRequest(**started['request']))}. The edit is as it was before."
        )
    if "source" in started:
        first, last = started["source"]["rows"]
        return noop(
            f"Edits from {started['source']['name']} were interrupted at rows {first} to {last}, which were not applied. "
            "The rows before them are applied. Give the same file again to go on."
        )
    if "request" not in started:
        return noop("Recomputing the edits was interrupted. They are as they were before.")
    return noop(f"An edit was interrupted: {name_of(EditRequest(**started['request']))}. Nothing of it was kept.")
