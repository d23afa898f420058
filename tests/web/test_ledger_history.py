"""A workspace as a fold over its events: any sequence of changes, and each of them taken back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editlab.errors import BadFile
from editlab.facts import EditRequest
from editlab.lab.ledger.events import START, Edit, Event, State, fold, step

ACTIONS = (
    *("applied", "refined", "switched", "rep", "removed", "remade", "cleared", "moved", "returned"),
    *("undone", "redone", "looked", "stopped"),
)


def edit(number: int, solve: str = "first") -> Edit:
    request = EditRequest("{} is in", f"Place {number}", "Asia")
    health = {"loss": float("inf"), "p_new": 0.5}
    return Edit(
        id=f"e{number}",
        request=request,
        method="rome",
        config={"steps": 3},
        layers=(1,),
        seconds=0.1,
        health=health,
        contexts=("",),
        solves=(f"{solve} {number}",),
    )


def event(state: State, action: str, pick: int) -> Event | None:
    """The event that an action leads to, or None where it is not possible."""
    number = state.number + 1
    chosen = state.chain[pick % len(state.chain)] if state.chain else None
    match action:
        case "applied":
            return Event(number, action, {"edit": edit(number).as_json()})
        case "looked":
            return Event(number, action, {"request": EditRequest("{} is in", f"Place {pick}", "Asia").as_dict()})
        case "stopped":
            return Event(number, action, {"why": "Stopped."})
        case "undone" if state.past:
            return Event(number, action)
        case "redone" if state.future:
            return Event(number, action)
        case "cleared" if chosen:
            return Event(number, action)
        case "switched" if chosen:
            return Event(number, action, {"id": chosen.id, "on": not chosen.on})
        case "refined" if chosen:
            made = replace(chosen, rep="default", rep_on=True, names=("the old one",), pathways=(f"pathway {number}",))
            return Event(number, action, {"edit": made.as_json()})
        case "rep" if chosen and chosen.rep:
            return Event(number, "switched", {"id": chosen.id, "rep": not chosen.rep_on})
        case "moved" if chosen:
            at = pick % len(state.chain)
            return Event(number, action, {"ids": [one.id for one in (*state.chain[at:], *state.chain[:at])]})
        case "returned":
            return Event(number, action, {"to": pick % number})
        case "removed" if chosen:
            return Event(number, action, {"ids": [chosen.id]})
        case "remade" if chosen:
            made = [replace(one, solves=(f"again {number}",)).as_json() for one in state.chain if one.on]
            return Event(number, action, {"edits": made}) if made else None
    return None


def events(actions: list[tuple[str, int]]) -> list[Event]:
    state, found = START, []
    for action, pick in actions:
        if (following := event(state, action, pick)) is not None:
            found.append(following)
            state = step(state, following)
    return found


SEQUENCES = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), max_size=25).map(events)


@given(SEQUENCES)
def test_undo_then_redo_is_the_identity(sequence):
    state = fold(sequence)
    if state.past:
        undone = step(state, Event(state.number + 1, "undone"))
        assert undone.chain == state.past[-1].before and len(undone.future) == len(state.future) + 1
        again = step(undone, Event(undone.number + 1, "redone"))
        assert (again.chain, again.past, again.future) == (state.chain, state.past, state.future)


@given(SEQUENCES)
def test_every_change_can_be_taken_back_to_the_empty_chain_and_made_again(sequence):
    end = state = fold(sequence)
    while state.past:
        state = step(state, Event(state.number + 1, "undone"))
    assert state.chain == ()
    while state.future:
        state = step(state, Event(state.number + 1, "redone"))
    if not end.future:
        assert state.chain == end.chain


@given(SEQUENCES, st.integers(0, 25))
def test_a_fold_may_stop_anywhere_and_go_on(sequence, cut):
    assert fold(sequence[cut:], fold(sequence[:cut])) == fold(sequence)


@given(SEQUENCES)
def test_ids_stay_unique_and_what_is_written_is_read_again(sequence):
    state = fold(sequence)
    assert len({edit.id for edit in state.chain}) == len(state.chain)
    assert tuple(Edit.read(edit.as_json()) for edit in state.chain) == state.chain


def test_an_event_from_before_rep_is_an_edit_without_it():
    written = edit(1).as_json()
    old = {name: value for name, value in written.items() if name not in ("rep", "rep_on", "names", "pathways")}
    state = fold([Event(1, "applied", {"edit": old})])
    assert state.chain == (edit(1),) and (state.chain[0].rep, state.chain[0].pathways) == (None, ())


def test_rep_is_added_switched_and_taken_back_by_name():
    state = fold([Event(1, "applied", {"edit": edit(1).as_json()})])
    for action in ("refined", "rep", "rep"):
        state = step(state, event(state, action, 0))
    assert [change.text for change in state.past[1:]] == [
        "added REP to Place 1 → Asia",
        "switched off REP for Place 1 → Asia",
        "switched on REP for Place 1 → Asia",
    ]
    assert state.chain[0].on and state.chain[0].files == ("first 1", "pathway 2")
    undone = fold([Event(number, "undone") for number in (5, 6, 7)], state)
    assert undone.chain == (edit(1),)


@given(SEQUENCES, st.floats(0, 1))
def test_a_threshold_is_kept_whatever_is_undone(sequence, threshold):
    state = fold(sequence)
    chosen = step(state, Event(state.number + 1, "threshold", {"threshold": threshold}))
    assert replace(chosen, number=state.number, threshold=None) == state
    while chosen.past:
        chosen = step(chosen, Event(chosen.number + 1, "undone"))
    assert chosen.threshold == threshold


@given(SEQUENCES, st.sampled_from(["masked", "guarded"]), st.booleans())
def test_the_switches_of_mask_and_guard_are_kept_whatever_is_undone(sequence, switch, on):
    state = fold(sequence)
    chosen = step(state, Event(state.number + 1, switch, {"on": on}))
    assert replace(chosen, number=state.number, **{switch: False}) == state
    while chosen.past:
        chosen = step(chosen, Event(chosen.number + 1, "undone"))
    assert getattr(chosen, switch) is on


@pytest.mark.parametrize(
    "wrong",
    [
        Event(2, "cleared"),
        Event(1, "undone"),
        Event(1, "removed", {"ids": ["e9"]}),
        Event(1, "applied", {}),
        Event(1, "switched", {"id": "e9", "on": True}),
        Event(1, "looked", {"request": {"prompt": "nothing"}}),
        Event(1, "refined", {"edit": edit(9).as_json()}),
        Event(1, "threshold", {}),
        Event(1, "masked", {}),
        Event(1, "from tomorrow"),
    ],
    ids=lambda event: event.kind,
)
def test_an_event_that_cannot_follow_is_a_sentence(wrong):
    with pytest.raises(BadFile, match="ledger verify"):
        fold([wrong])
