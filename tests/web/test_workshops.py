"""Workshops in the lab: who joins what, what each has, what is guessed, and what is left of it."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from test_ledger_forms import at_revision
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab.errors import BadRequest, TooMany
from editlab.lab.access.limits import Asker, Cost, on_behalf_of
from editlab.lab.ledger import audit
from editlab.lab.ledger.expiry import forget_these
from editlab.lab.ledger.names import PARTICIPANT
from editlab.lab.ledger.tables import GUESSES, PARTICIPANTS, WORKSHOPS, WORKSPACES
from editlab.lab.workshops import MOST_HOURS, MOST_PARTICIPANTS, NoWorkshop, Over, parts, workshops
from editlab.lab.workshops.results import results
from editlab.lab.workspaces import bundles, edits

OPTIONS = ("Europe", "Antarctica", "=1+1")


@pytest.fixture
def lab(opened, instant, tmp_path):
    """A lab in which ana has made one edit."""
    lab = opened(tmp_path / "data")
    edits.apply(lab.workspace(lab.directory.current("ana").id, "ana"), CONTINENT).result(TIMEOUT)
    return lab


def begin(lab, owner="ana", title="Editing facts", **given):
    info = lab.directory.current(owner)
    return lab.workshops.begin(owner, lab.workspace(info.id, owner), info, title, **given)


@pytest.fixture
def room(lab):
    return begin(lab)


def ask(lab, room, text="Where is Ljubljana?", answer=0):
    return lab.workshops.ask("ana", room.id, text, OPTIONS, answer)


def workspace(lab, participant):
    return lab.workspace(lab.directory.current(participant.id).id)


def later(monkeypatch, hours):
    """Let the clock of the ledger go forward."""

    def at(offset=0.0):
        return (datetime.now(UTC) + timedelta(hours=hours, seconds=offset)).isoformat(timespec="milliseconds")

    for module in (parts, workshops):
        monkeypatch.setattr(module, "now", at)


# Joining


def test_everybody_gets_a_copy_of_the_presenters_edits_of_their_own(lab, room):
    one, two = lab.workshops.join(room.code), lab.workshops.join(room.code)
    assert [record.request for record in workspace(lab, one).records] == [CONTINENT]
    workspace(lab, one).clear()
    edits.apply(workspace(lab, two), CAPITAL).result(TIMEOUT)
    assert len(workspace(lab, one).records) == 0 and len(workspace(lab, two).records) == 2
    assert [record.request for record in lab.workspace(lab.directory.current("ana").id).records] == [CONTINENT]
    assert (one.number, two.number) == (1, 2) and one.workspace != two.workspace


def test_the_copy_is_of_the_moment_at_which_the_workshop_was_opened(lab, room):
    lab.workspace(lab.directory.current("ana").id).clear()
    assert len(workspace(lab, lab.workshops.join(room.code)).records) == 1


def test_the_copy_has_the_presenters_threshold_and_switches_and_a_reset_brings_them_back(lab):
    presenter = lab.workspace(lab.directory.current("ana").id, "ana")
    presenter.set_threshold(0.25)
    presenter.note("masked", on=True)
    room = begin(lab)
    own = workspace(lab, someone := lab.workshops.join(room.code))
    assert (own.threshold, own.masked, own.guarded) == (0.25, True, False)
    own.set_threshold(0.75)
    own.set_masked(False)
    own.note("guarded", on=True)
    for _ in range(2):
        lab.workshops.reset("ana", room.id, someone.number)
        assert (own.threshold, own.masked, own.guarded) == (0.25, True, False)
    assert len(own.events()) == 7, "the second reset changes nothing"


def test_the_copy_of_an_empty_workspace_is_empty(lab):
    room = begin(lab, owner="ben")
    assert workspace(lab, lab.workshops.join(room.code)).records == ()


def test_codes_and_ids_have_128_random_bits(lab):
    rooms = [begin(lab, owner) for owner in ("ana", "ben", "tom")]
    ids = [lab.workshops.join(room.code).id for room in rooms]
    assert len({room.code for room in rooms}) == 3 and all(len(room.code) == 22 for room in rooms)
    assert all(id.startswith(PARTICIPANT) and len(id) == len(PARTICIPANT) + 22 for id in ids)


def test_a_code_that_does_not_exist_leads_nowhere(lab, room):
    for code in ("", room.code[:-1], room.code.lower(), room.id, "%", "x" * 10_000):
        with pytest.raises(NoWorkshop, match="There is no workshop at this address"):
            lab.workshops.join(code)
    with pytest.raises(NoWorkshop):
        lab.workshops.participant(f"{PARTICIPANT}{'x' * 22}")


def test_a_workshop_holds_as_many_as_it_says(lab):
    room = begin(lab, most=2)
    first, _ = lab.workshops.join(room.code), lab.workshops.join(room.code)
    with pytest.raises(TooMany, match="is full: 2 have joined"):
        lab.workshops.join(room.code)
    assert len(lab.workshops.people("ana", room.id)) == 2
    lab.workshops.remove("ana", room.id, first.number)
    assert lab.workshops.join(room.code).number == 3, "a number is never given twice"


def test_a_join_that_fails_halfway_takes_no_place(lab, monkeypatch):
    room = begin(lab, most=1)
    with monkeypatch.context() as broken, pytest.raises(RuntimeError):
        broken.setattr(lab.workspaces, "open", lambda *given: (_ for _ in ()).throw(RuntimeError()))
        lab.workshops.join(room.code)
    assert lab.workshops.join(room.code)


# Bounds and ends


@pytest.mark.parametrize("hours", [0, -1, MOST_HOURS + 1, float("nan")])
def test_an_end_out_of_bounds_is_refused(lab, hours):
    with pytest.raises(BadRequest, match="Choose an earlier end"):
        begin(lab, hours=hours)


@pytest.mark.parametrize("most", [0, -3, MOST_PARTICIPANTS + 1])
def test_a_number_out_of_bounds_is_refused(lab, most):
    with pytest.raises(BadRequest, match="1 to 300 participants"):
        begin(lab, most=most)


def test_a_title_that_is_none_is_refused_before_anything_is_made(lab):
    for title in ("", "a<b>", "x" * 61):
        with pytest.raises(BadRequest):
            begin(lab, title=title)
    assert lab.workshops.latest("ana") is None


def test_after_its_end_a_workshop_says_so(lab, room, monkeypatch):
    one = lab.workshops.join(room.code)
    later(monkeypatch, 7.9)
    assert lab.workshops.participant(one.id) == one
    later(monkeypatch, 8.1)
    for refused in (lambda: lab.workshops.join(room.code), lambda: lab.workshops.participant(one.id)):
        with pytest.raises(Over, match="“Editing facts” has ended"):
            refused()
    assert begin(lab, title="The next").open, "the old one does not stand in the way"


def test_a_closed_workshop_is_over_at_once(lab, room):
    one = lab.workshops.join(room.code)
    assert lab.workshops.participant(one.id) == one
    lab.workshops.close("ana", room.id)
    for refused in (lambda: lab.workshops.join(room.code), lambda: lab.workshops.participant(one.id)):
        with pytest.raises(Over, match="was closed"):
            refused()


def test_one_workshop_of_a_presenter_is_open_at_a_time(lab, room):
    with pytest.raises(BadRequest, match="Close it before you open another one"):
        begin(lab)
    assert begin(lab, owner="ben").open


# The presenter alone


def test_nobody_else_sees_or_changes_a_workshop(lab, room):
    one = lab.workshops.join(room.code)
    ask(lab, room)
    doing = lab.workshops
    for stranger in ("ben", one.id, "", room.code):
        for act in (doing.people, doing.close, doing.question, doing.reveal, doing.withdraw, doing.guesses):
            with pytest.raises(BadRequest, match="no such workshop of yours"):
                act(stranger, room.id)
        for act in (doing.remove, doing.reset):
            with pytest.raises(BadRequest, match="no such workshop of yours"):
                act(stranger, room.id, 1)
        with pytest.raises(BadRequest, match="no such workshop of yours"):
            doing.reset_guesses(stranger, room.id)
        with pytest.raises(BadRequest, match="no such workshop of yours"):
            doing.ask(stranger, room.id, "?", OPTIONS, 0)
    assert doing.participant(one.id) == one and doing.latest("ben") is None


def test_the_presenter_sees_how_far_everybody_is(lab, room):
    one, _ = lab.workshops.join(room.code), lab.workshops.join(room.code)
    edits.apply(workspace(lab, one), CAPITAL).result(TIMEOUT)
    first, second = lab.workshops.people("ana", room.id)
    assert (first.number, first.edits, bool(first.stepped_at)) == (1, 1, True)
    assert (second.number, second.edits, second.stepped_at) == (2, 0, "")


def test_a_reset_brings_back_the_edits_of_the_beginning(lab, room):
    one, two = lab.workshops.join(room.code), lab.workshops.join(room.code)
    for participant in (one, two):
        edits.apply(workspace(lab, participant), CAPITAL).result(TIMEOUT)
        workspace(lab, participant).switch(workspace(lab, participant).records[0].id, False)
    lab.workshops.reset("ana", room.id, one.number)
    lab.workshops.reset("ana", room.id, one.number)
    assert [(record.request, record.on) for record in workspace(lab, one).records] == [(CONTINENT, True)]
    assert len(workspace(lab, two).records) == 2
    assert workspace(lab, one).undo(), "what they did stays in their history"


def test_somebody_who_is_removed_is_told_and_counts_no_more(lab, room):
    one, two = lab.workshops.join(room.code), lab.workshops.join(room.code)
    question = ask(lab, room)
    for participant in (one, two):
        lab.workshops.guess(participant, question.id, 0)
    lab.workshops.remove("ana", room.id, one.number)
    with pytest.raises(Over, match="The presenter has ended your part"):
        lab.workshops.participant(one.id)
    assert [person.number for person in lab.workshops.people("ana", room.id)] == [2]
    assert lab.workshops.question("ana", room.id).counts == (1, 0, 0)
    for act in (lab.workshops.remove, lab.workshops.reset):
        with pytest.raises(BadRequest, match="no such participant"):
            act("ana", room.id, one.number)


# A participant alone


def test_a_participant_sees_no_workspace_but_their_own(lab, room):
    lab.directory.make("ana", "For all", shared=True)
    one, two = lab.workshops.join(room.code), lab.workshops.join(room.code)
    assert [info.id for info in lab.directory.workspaces(one.id)] == [one.workspace]
    shared = next(info for info in lab.directory.workspaces("ana") if info.shared)
    for other in (shared, lab.directory.current(two.id), lab.directory.current("ana")):
        assert not lab.directory.may_enter(one.id, other.id)
        with pytest.raises(BadRequest):
            lab.directory.find(one.id, other.handle)
        with pytest.raises(BadRequest):
            lab.directory.enter(one.id, other.id)
    with pytest.raises(BadRequest):
        lab.directory.find(one.id, "For all")
    assert lab.directory.current(one.id).id == one.workspace


def test_a_participant_makes_shares_and_deletes_nothing(lab, room, tmp_path):
    one = lab.workshops.join(room.code)
    directory, own = lab.directory, lab.directory.current(one.id)
    for refused in (
        lambda: directory.make(one.id, "Another"),
        lambda: directory.make(one.id, "Another", shared=True),
        lambda: directory.begin_anew(one.id),
        lambda: directory.share(one.id, own.id, True),
        lambda: directory.delete(one.id, own.id),
    ):
        with pytest.raises(BadRequest, match="In a workshop"):
            refused()
    path = tmp_path / "bundle.zip"
    bundles.pack(lab.context, own, path)
    with pytest.raises(BadRequest, match="In a workshop"):
        bundles.unpack(lab.workspaces, one.id, path)
    assert len(directory.workspaces(one.id)) == 1


def test_a_participant_has_limits_of_their_own_and_others_none(lab, room):
    one, two = (Asker(lab.workshops.join(room.code).id, "10.0.0.1") for _ in range(2))
    user = Asker("ana", "10.0.0.1")
    for _ in range(60):
        lab.limits.check_call(Cost(edits=1), one)
    with pytest.raises(TooMany, match="A workshop allows each participant 60 edits an hour"):
        lab.limits.check_call(Cost(edits=1), one)
    for _ in range(61):
        lab.limits.check_call(Cost(edits=1), user)
    lab.limits.check_call(Cost(edits=1), two)  # the room is one address, which has no limit
    with pytest.raises(BadRequest, match="The model cannot be replaced in a workshop"):
        lab.limits.check_call(Cost(refused="The model cannot be replaced"), two)
    lab.limits.check_call(Cost(refused="The model cannot be replaced"), user)
    with on_behalf_of(two), pytest.raises(BadRequest, match="21 rows; a workshop accepts 20"):
        lab.limits.check_rows(21)
    with on_behalf_of(user):
        lab.limits.check_rows(21)


# Guesses


def test_a_guess_can_be_changed_until_the_answer_is_told(lab, room):
    one, two = lab.workshops.join(room.code), lab.workshops.join(room.code)
    assert lab.workshops.guessing(one) is None
    question = ask(lab, room)
    assert lab.workshops.guessing(one).choice is None and lab.workshops.guessing(one).answer is None
    for choice in (2, 1):
        assert lab.workshops.guess(one, question.id, choice).choice == choice
    lab.workshops.guess(two, question.id, 0)
    assert lab.workshops.question("ana", room.id).counts == (1, 1, 0)
    assert lab.workshops.guessing(one).counts is None, "nobody sees the others' before it is told"
    assert lab.workshops.reveal("ana", room.id).revealed
    seen = lab.workshops.guessing(one)
    assert (seen.choice, seen.answer, seen.counts) == (1, 0, (1, 1, 0))
    with pytest.raises(BadRequest, match="came too late"):
        lab.workshops.guess(one, question.id, 0)
    assert lab.workshops.question("ana", room.id).counts == (1, 1, 0)


def test_a_question_comes_again_with_its_guesses(lab, room):
    one = lab.workshops.join(room.code)
    first = ask(lab, room)
    lab.workshops.guess(one, first.id, 1)
    second = ask(lab, room, "Where is Triglav?")
    with pytest.raises(BadRequest, match="asks something else by now"):
        lab.workshops.guess(one, first.id, 0)
    assert second.counts == (0, 0, 0) and lab.workshops.guessing(one).choice is None
    assert ask(lab, room).counts == (0, 1, 0) and lab.workshops.guessing(one).choice == 1
    lab.workshops.withdraw("ana", room.id)
    assert lab.workshops.question("ana", room.id) is None and lab.workshops.guessing(one) is None


def test_a_question_with_another_right_option_is_asked_anew(lab, room):
    one = lab.workshops.join(room.code)
    wrong = ask(lab, room, answer=1)
    lab.workshops.guess(one, wrong.id, 1)
    lab.workshops.reveal("ana", room.id)
    right = ask(lab, room, answer=0)
    assert (right.answer, right.revealed, right.counts) == (0, False, (0, 0, 0))
    assert lab.workshops.guessing(one).choice is None
    lab.workshops.guess(one, right.id, 0)
    assert lab.workshops.reveal("ana", room.id).counts == (1, 0, 0) and lab.workshops.guessing(one).answer == 0
    assert ask(lab, room, answer=1) == wrong.__class__(**{**vars(wrong), "counts": (0, 1, 0), "revealed": True})


def test_a_question_that_a_scenario_asks_twice_is_guessed_twice(lab, room):
    one = lab.workshops.join(room.code)
    lab.workshops.guess(one, ask(lab, room).id, 1)
    lab.workshops.reveal("ana", room.id)
    second = lab.workshops.ask("ana", room.id, "Where is Ljubljana?", OPTIONS, 0, before=1)
    assert not second.revealed and lab.workshops.guess(one, second.id, 0).choice == 0
    rows = list(csv.reader(io.StringIO(results(lab.workshops, "ana", room.id))))
    assert [row[2:4] for row in rows[1:]] == [["Antarctica", "no"], ["Europe", "yes"]]


def test_what_is_no_option_is_refused(lab, room):
    one, question = lab.workshops.join(room.code), ask(lab, room)
    for choice in (-1, 3, 10**9):
        with pytest.raises(BadRequest, match="no such option"):
            lab.workshops.guess(one, question.id, choice)
    for text, options, answer in (
        ("", OPTIONS, 0),
        ("?", ("a",), 0),
        ("?", ("a",) * 9, 0),
        ("?", ("a", ""), 0),
        ("?", OPTIONS, 3),
    ):
        with pytest.raises(BadRequest):
            lab.workshops.ask("ana", room.id, text, options, answer)


def test_a_guess_in_one_workshop_is_none_in_another(lab, room):
    other = begin(lab, owner="ben")
    question = ask(lab, room)
    lab.workshops.ask("ben", other.id, question.text, OPTIONS, 0)
    lab.workshops.guess(lab.workshops.join(other.code), question.id, 2)
    assert lab.workshops.question("ana", room.id).counts == (0, 0, 0)
    assert lab.workshops.question("ben", other.id).counts == (0, 0, 1)


def test_all_guesses_can_be_taken_back(lab, room):
    one, question = lab.workshops.join(room.code), ask(lab, room)
    lab.workshops.guess(one, question.id, 1)
    lab.workshops.reveal("ana", room.id)
    lab.workshops.reset_guesses("ana", room.id)
    assert lab.workshops.question("ana", room.id).counts == (0, 0, 0)
    assert lab.workshops.guess(one, question.id, 2).choice == 2


# Results


def test_the_results_say_nothing_about_who_somebody_is(lab, room):
    people = [lab.workshops.join(room.code) for _ in range(3)]
    lab.workshops.remove("ana", room.id, 1)
    question = ask(lab, room, "=cmd|' /C calc'!A0", answer=2)
    lab.workshops.guess(people[2], question.id, 2)
    edits.apply(workspace(lab, people[2]), CAPITAL).result(TIMEOUT)
    text = results(lab.workshops, "ana", room.id)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["participant", "question", "guess", "right", "edits", "last_step"]
    assert rows[1] == ["participant 1", "", "", "", "0", ""], "the second one, who is the first by now"
    assert rows[2][:5] == ["participant 2", "'=cmd|' /C calc'!A0", "'=1+1", "yes", "1"] and len(rows) == 3
    for person in people:
        assert person.id not in text and person.workspace not in text and person.handle not in text
    with pytest.raises(BadRequest):
        results(lab.workshops, "ben", room.id)


# What is kept


def test_a_restart_loses_nothing(lab, room, opened):
    one, question = lab.workshops.join(room.code), ask(lab, room)
    lab.workshops.guess(one, question.id, 1)
    edits.apply(workspace(lab, one), CAPITAL).result(TIMEOUT)
    folder = lab.ledger.folder
    lab.close()
    lab = opened(folder)
    assert lab.workshops.latest("ana") == lab.workshops.find(room.code)
    assert lab.workshops.participant(one.id) == one and lab.workshops.guessing(one).choice == 1
    assert len(workspace(lab, one).records) == 2 and lab.workshops.join(room.code).number == 2
    assert audit.verify(lab.ledger).ok


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_a_workshop_opens_on_a_ledger_of_before_workshops(opened, tmp_path, revision):
    at_revision(tmp_path / "old", revision)
    lab = opened(tmp_path / "old")
    room = begin(lab)
    assert lab.workshops.participant(lab.workshops.join(room.code).id).number == 1 and audit.verify(lab.ledger).ok


def test_the_time_at_which_somebody_was_seen_is_written_now_and_then(lab, room, monkeypatch):
    one = lab.workshops.join(room.code)
    before = lab.workshops.people("ana", room.id)[0].seen_at
    monkeypatch.setattr(workshops, "KNOWN_SECONDS", -1)
    lab.workshops.participant(one.id)
    assert lab.workshops.people("ana", room.id)[0].seen_at == before
    with lab.ledger.transaction() as connection:
        connection.execute(sa.update(PARTICIPANTS).values(seen_at="2026-01-01T00:00:00.000+00:00"))
    lab.workshops.participant(one.id)
    assert lab.workshops.people("ana", room.id)[0].seen_at >= before


def rows_of(lab, table):
    with lab.ledger.transaction() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def test_forgetting_a_participants_workspace_forgets_what_they_guessed(lab, room):
    one, two = lab.workshops.join(room.code), lab.workshops.join(room.code)
    question = ask(lab, room)
    for participant in (one, two):
        lab.workshops.guess(participant, question.id, 0)
    forget_these(lab.ledger, [one.workspace])
    assert (rows_of(lab, PARTICIPANTS), rows_of(lab, GUESSES), rows_of(lab, WORKSHOPS)) == (1, 1, 1)
    forget_these(lab.ledger, [room.seed])
    assert (rows_of(lab, PARTICIPANTS), rows_of(lab, GUESSES), rows_of(lab, WORKSHOPS)) == (0, 0, 0)
    with pytest.raises(NoWorkshop):
        lab.workshops.find(room.code)


def test_forgetting_the_presenters_workspace_leaves_the_copies(lab, room):
    forget_these(lab.ledger, [lab.directory.current("ana").id], fresh=-1)
    assert len(workspace(lab, lab.workshops.join(room.code)).records) == 1
    assert audit.verify(lab.ledger).ok


def test_what_a_workshop_begins_with_is_nobodys_workspace(lab, room):
    for visitor in ("ana", "ben", ""):
        assert room.seed not in [info.id for info in lab.directory.workspaces(visitor)]
    with lab.ledger.transaction() as connection:
        shared = connection.scalar(sa.select(WORKSPACES.c.shared).where(WORKSPACES.c.id == room.seed))
    assert shared is False
