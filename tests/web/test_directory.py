"""Which workspaces there are, whose they are, and that nobody enters another one's by whatever he says."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab.errors import BadRequest
from editlab.lab.ledger.directory import FIRST, MOST_OWN, Directory
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.ledger.names import LONGEST_NAME
from editlab.lab.ledger.tables import WORKSPACES
from editlab.lab.workspaces import edits


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def directory(ledger):
    return Directory(ledger)


def names(infos):
    return [info.name for info in infos]


def test_on_the_first_visit_there_is_one_and_it_is_private(directory):
    info = directory.current("ana")
    assert (info.name, info.shared, info.mine) == (FIRST, False, True)
    assert directory.current("ana") == info and names(directory.workspaces("ana")) == [FIRST]
    assert names(directory.workspaces("tom")) == []


def test_a_workspace_that_another_process_makes_meanwhile_is_the_same(directory, monkeypatch):
    real, made = directory.look_up, []

    def look_up(name):
        if made:
            return real(name)
        made.append(directory.make("", name, shared=True))
        return None

    monkeypatch.setattr(directory, "look_up", look_up)
    assert directory.adopt("Team").id == made[0].id
    assert directory.adopt(" Team ").id == made[0].id


def test_first_visits_at_once_make_one(directory):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: directory.current("ana").id, range(24)))
    assert len(found) == 1 and names(directory.workspaces("ana")) == [FIRST]


def test_whoever_enters_one_while_their_first_is_made_stays_there(directory, monkeypatch):
    team, real = directory.make("ana", "Team", shared=True), directory.workspaces

    def meanwhile(visitor, deleted=False):
        found = real(visitor, deleted)
        monkeypatch.undo()
        directory.enter("tom", team.id)  # the page opens, and another request of it has read that nothing is open
        return found

    monkeypatch.setattr(directory, "workspaces", meanwhile)
    assert directory.current("tom").name == "Team"
    assert directory.current("tom").name == "Team"


def test_nobody_sees_or_touches_anothers_private_one(directory):
    info = directory.make("ana", "Secret")
    assert directory.workspaces("tom") == () and not directory.may_enter("tom", info.id)
    for harm in (
        lambda: directory.enter("tom", info.id),
        lambda: directory.find("tom", info.handle),
        lambda: directory.find("tom", info.handle, deleted=True),
        lambda: directory.rename("tom", info.id, "Mine", "Secret"),
        lambda: directory.share("tom", info.id, True),
        lambda: directory.delete("tom", info.id),
        lambda: directory.restore("tom", info.id),
    ):
        with pytest.raises(BadRequest, match="no such workspace"):
            harm()
    assert names(directory.workspaces("ana")) == ["Secret"]


def test_a_shared_one_is_entered_by_everybody_and_deleted_by_its_owner_alone(directory):
    info = directory.share("ana", directory.make("ana", "Team").id, True)
    (seen,) = directory.workspaces("tom")
    assert (seen.name, seen.shared, seen.mine, seen.title) == ("Team", True, False, "Team (shared)")
    assert directory.enter("tom", seen.id).id == info.id == directory.current("tom").id
    assert directory.rename("tom", info.id, "Our team", "Team").name == "Our team"
    for harm in (directory.delete, lambda *which: directory.share(*which, False)):
        with pytest.raises(BadRequest, match="Only the owner of 'Our team' can"):
            harm("tom", info.id)
    directory.share("ana", info.id, False)
    assert directory.current("tom").name == FIRST
    with pytest.raises(BadRequest):
        directory.enter("tom", info.id)


def test_a_handle_tells_nothing_of_the_id(directory):
    info = directory.share("ana", directory.current("ana").id, True)
    assert info.id == "ana" and "ana" not in info.handle
    assert directory.find("tom", info.handle).id == info.id
    for wrong in (info.id, info.handle.upper(), "", info.handle[:-1]):
        with pytest.raises(BadRequest, match="Choose one from the list"):
            directory.find("tom", wrong)


@pytest.mark.parametrize(
    "name", ["", "   ", "../../etc/passwd", "a\\b", "<b>Team</b>", "a\x00b", "a\u202eb", "x" * (LONGEST_NAME + 1), "\ud800"]
)
def test_what_is_no_name_is_a_sentence_and_changes_nothing(directory, name):
    info = directory.make("ana", "Team")
    for change in (lambda: directory.make("ana", name), lambda: directory.rename("ana", info.id, name, "Team")):
        with pytest.raises(BadRequest, match="workspace's name"):
            change()
    assert names(directory.workspaces("ana")) == ["Team"]


def test_white_space_in_a_name_counts_once(directory):
    assert directory.make("ana", "  My \t first\n one ").name == "My first one"


def test_a_name_is_taken_once_by_each_and_once_among_what_is_shared(directory):
    directory.make("ana", "Team", shared=True)
    directory.make("tom", "Team")
    for visitor, shared in (("tom", False), ("tom", True)):
        with pytest.raises(BadRequest, match="called 'Team' already"):
            directory.make(visitor, "Team", shared)
    own = directory.make("ana", "Other")
    with pytest.raises(BadRequest, match="already"):
        directory.share("tom", directory.find("tom", directory.workspaces("tom")[0].handle).id, True)
    assert directory.rename("ana", own.id, "Other", "Other").name == "Other"


def test_of_two_who_rename_at_once_one_wins_and_the_other_hears_of_it(directory):
    info = directory.make("ana", "Team", shared=True)
    at_once = Barrier(8)

    def rename(number: int) -> str:
        at_once.wait()
        try:
            return directory.rename("ana" if number % 2 else "tom", info.id, f"Name {number}", "Team").name
        except BadRequest as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(rename, range(8)))
    (won,) = [text for text in said if text.startswith("Name ")]
    assert names(directory.workspaces("ana")) == [won]
    assert sum(f"Somebody has just renamed it to {won!r}" in text for text in said) == 7


def test_what_is_deleted_can_be_brought_back_unless_its_name_is_taken(directory):
    info = directory.make("ana", "Team")
    directory.enter("ana", info.id)
    directory.delete("ana", info.id)
    assert directory.current("ana").name == FIRST and names(directory.workspaces("ana", deleted=True)) == ["Team"]
    assert directory.workspaces("tom", deleted=True) == ()
    other = directory.make("ana", "Team")
    with pytest.raises(BadRequest, match="already"):
        directory.restore("ana", info.id)
    directory.rename("ana", other.id, "Another", "Team")
    assert directory.restore("ana", info.id).name == "Team"
    assert set(names(directory.workspaces("ana"))) == {FIRST, "Team", "Another"}


def test_nobody_makes_more_than_can_be_kept_in_view(directory):
    for number in range(MOST_OWN):
        directory.make("ana", f"Number {number}")
    with pytest.raises(BadRequest, match="Delete one first"):
        directory.make("ana", "One more")
    directory.delete("ana", directory.workspaces("ana")[0].id)
    directory.make("ana", "One more")


# What was made on the terminal


def test_what_was_made_on_the_terminal_is_hidden_by_nobody(directory):
    team = directory.adopt("Team")
    for harm in (lambda: directory.share("ana", team.id, False), lambda: directory.delete("ana", team.id)):
        with pytest.raises(BadRequest, match=r"made on the terminal.*Branch it.*editlab ledger forget"):
            harm()
    assert names(directory.workspaces("tom")) == ["Team"]
    assert directory.share("ana", team.id, True).shared  # which it is already
    assert directory.rename("ana", team.id, "Our team", "Team").name == "Our team"
    assert directory.adopt("Team").id == team.id


@pytest.mark.parametrize("hidden", [{"shared": False}, {"deleted_at": "2026-01-01T00:00:00.000+00:00"}], ids=str)
def test_what_was_hidden_all_the_same_comes_back_when_the_terminal_works_in_it(ledger, directory, hidden):
    directory.adopt("Team")
    with ledger.transaction() as connection:
        connection.execute(sa.update(WORKSPACES).values(**hidden))
    assert directory.workspaces("ana") == ()
    other = directory.make("ana", "Team", shared=True)
    assert directory.adopt("Team").id == "Team"
    assert sorted(names(directory.workspaces("tom"))) == ["Team", "Team 2"]
    assert directory.find("tom", other.handle).name == "Team"


def test_the_terminal_does_not_work_in_what_somebody_has_deleted(directory):
    mine = directory.current("ana")
    directory.delete("ana", mine.id)
    info = directory.adopt("ana")
    assert info.id != mine.id and info.shared and names(directory.workspaces("tom")) == ["ana"]
    assert directory.adopt("ana").id == info.id == directory.id_of("ana")


def test_the_terminal_may_make_as_many_as_it_likes(directory):
    for number in range(MOST_OWN + 1):
        directory.adopt(f"Number {number}")
    assert len(directory.workspaces("tom")) == MOST_OWN + 1


def test_one_that_is_not_there_is_a_sentence_that_says_which_are(directory):
    directory.make("ana", "Mine")
    directory.make("ana", "Lecture", shared=True)
    with pytest.raises(BadRequest, match=r"no workspace 'Lectur'\. Shared ones are: 'Lecture'; 1 more are private"):
        directory.id_of("Lectur")
    for number in range(30):
        directory.make("tom", f"Number {number}", shared=True)
    with pytest.raises(BadRequest, match=r" and 11 more; "):
        directory.id_of("x" * 10_000)


def test_a_page_sees_by_a_handle_whether_the_edits_have_changed(lab, few_steps):
    info = lab.directory.current("ana")
    workspace, handle = lab.workspace(info.id), info.handle

    def last():
        return lab.directory.last_event(handle, workspace.fingerprint)

    assert last() == 0 and lab.directory.last_event("nobody", workspace.fingerprint) is None
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    applied = last()
    stopped = edits.apply(workspace, CAPITAL, config={"steps": 1000, "stop_below": 0, "plain_below": 0})
    stopped.cancel()
    stopped.wait(TIMEOUT)
    assert last() == applied > 0, "what was looked at or stopped has changed nothing"
    workspace.undo()
    assert last() > applied
