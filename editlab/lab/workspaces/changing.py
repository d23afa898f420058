"""What a person changes at once in what lies over the model: switches, order, the way back. Nothing here is computed.

This room decides which event comes next. Every change can be undone; while an edit is computed, none is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from editlab.errors import BadRequest
from editlab.lab.ledger.chain import Decide, EditRecord, Next, being_edited
from editlab.lab.ledger.events import Edit, State, counted
from editlab.lab.workspaces.looking import Looking
from editlab.lab.workspaces.monitor import limits_of
from editlab.methods.rep import check_threshold


class Changing(Looking):
    """One visitor's edits, to be looked at, switched, ordered and taken back."""

    def switch(self, id: str, on: bool) -> EditRecord:
        """Take an edit off the model, or lay it on again in its place; the others stay as they were computed.

        Raises `BadRequest` for an unknown id, or while an edit is being computed.
        """
        with self._lock:
            self._chain.refresh()
            if self._known(self._chain.state, id).on != on:
                self._change(lambda state: ("switched", {"id": self._known(state, id).id, "on": on}))
            return self._chain.record(self._known(self._chain.state, id))

    def switch_rep(self, id: str, on: bool) -> EditRecord:
        """Take an edit's pathways off the model, or lay them there again; nothing is learnt anew.

        Raises `BadRequest` as `switch`, and for an edit that has none: `refine` it first.
        """
        with self._lock:
            self._chain.refresh()
            known = self._known(self._chain.state, id)
            if known.rep is None:
                raise BadRequest("This edit has no REP yet. Add it first.")
            if known.rep_on != on:
                self._change(lambda state: ("switched", {"id": self._known(state, id).id, "rep": on}))
            return self._chain.record(self._known(self._chain.state, id))

    def set_threshold(self, threshold: float) -> float:
        """Choose what a gate must exceed to fire. Nothing is learnt anew; raises `BadRequest` outside of 0 to 1."""
        threshold = check_threshold(threshold)
        with self._lock:
            if threshold != self.threshold:
                self._chain.write(lambda state: ("threshold", {"threshold": threshold}))
                self._lab.monitor.changed(self)
            return self.threshold

    def set_masked(self, on: bool, method: str = "rome") -> None:
        """Look at the edits under their reversal mask as well, or no longer. No edit is changed by it.

        Raises `MissingMask` where an edit that is on, or before the first one `method`, has none; `BadFile` where the mask
        is damaged or another model's.
        """
        self._set("masked", on, method)

    def set_guarded(self, on: bool, method: str = "rome") -> None:
        """Put the model under the reversal mask, so that edits are judged by what they do there. Raises as `set_masked`."""
        self._set("guarded", on, method)

    def move(self, id: str, place: int) -> None:
        """Put an edit at another place of the order, 0 the first; what was computed stays as it was.

        The order counts when the edits are re-made. Raises `BadRequest` as `switch`, and where there is no such place.
        """
        with self._lock:
            self._chain.refresh()

            def decide(state: State) -> Next:
                self._known(state, id)
                if not 0 <= place < len(state.chain):
                    raise BadRequest(f"There is no place {place + 1} among {counted(state.chain)}.")
                others = [edit.id for edit in state.chain if edit.id != id]
                return "moved", {"ids": [*others[:place], id, *others[place:]]}

            if [record.id for record in self.records].index(self._known(self._chain.state, id).id) != place:
                self._change(decide)

    def return_to(self, number: int) -> str:
        """Lay over the model what lay there after an event, which can be undone. Raises `BadRequest` for no such event."""

        def decide(state: State) -> Next:
            if not 0 <= number <= state.number:
                raise BadRequest(f"There are {state.number:,} events. Choose one of them.")
            if state.chains[number] == state.chain:
                raise BadRequest("That is what lies over the model now.")
            return "returned", {"to": number}

        return self._change(decide).past[-1].told

    def begin_as_branch(self, of: str, number: int, chain: Sequence[Edit]) -> None:
        """Begin with what lay over the model in the workspace called `of` after an event; for a new workspace."""
        body = {"of": of, "number": number, "edits": [edit.written() for edit in chain]}
        self._chain.write(lambda state: ("branched", body))

    def set_limits(self, limits: Mapping[str, float]) -> None:
        """Choose from where on the monitor gives an alarm. Raises `BadRequest` for a limit that does not fit."""
        chosen = asdict(limits_of(limits))
        self._chain.write(lambda state: ("limits", {"limits": chosen}))

    def note(self, kind: str, **body: Any) -> None:
        """Write down what was done to the workspace as a whole: "renamed" or "shared"."""
        self._chain.write(lambda state: (kind, body))

    def remove(self, id: str) -> EditRecord:
        """Take an edit out of the chain; the others stay as they were computed. Raises `BadRequest` as `switch`."""
        with self._lock:
            self._chain.refresh()
            record = self._chain.record(self._known(self._chain.state, id))
            self._change(lambda state: ("removed", {"ids": [self._known(state, id).id]}))
            return record

    def clear(self) -> None:
        """Take all edits out of the chain. Raises `BadRequest` while an edit is being computed."""
        with self._lock:
            self._chain.refresh()
            self._refuse_while_editing()
            if self._chain.state.chain:
                self._change(lambda state: ("cleared", {}))

    def undo(self) -> str:
        """Take the latest change back, whatever it was, and say which. Raises `BadRequest` where there is none."""

        def decide(state: State) -> Next:
            if not state.past:
                raise BadRequest("There is nothing to take back. Apply an edit first.")
            return "undone", {}

        return self._change(decide).future[-1].told

    def redo(self) -> str:
        """Make the change again that was taken back last, and say which. Raises `BadRequest` where there is none."""

        def decide(state: State) -> Next:
            if not state.future:
                raise BadRequest("There is nothing to redo. Undo a change first.")
            return "redone", {}

        return self._change(decide).past[-1].told

    # --- parts ------------------------------------------------------------------------------------------------------

    def _set(self, switch: str, on: bool, method: str) -> None:
        """Turn the switch of mask or guard, a way of looking that no undo takes back."""
        with self._lock:
            self._chain.refresh()
            if on:
                self.masks(method)
            if on != getattr(self, switch):
                self._chain.write(lambda state: (switch, {"on": on}))

    def _change(self, decide: Decide) -> State:
        """Write the event that is decided on, unless an edit is being computed."""

        def decide_when_free(state: State) -> Next:
            self._refuse_while_editing()
            return decide(state)

        after = self._chain.write(decide_when_free)
        self._lab.monitor.changed(self)
        return after

    def _known(self, state: State, id: str) -> Edit:
        edit = state.edit(id)
        if edit is None:
            raise BadRequest("There is no such edit any more. Reload the page to see those that there are.")
        return edit

    def _refuse_while_editing(self) -> None:
        if self.editing is not None or self._chain.state.started is not None:
            raise being_edited()
