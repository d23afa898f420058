"""A public demo lets go of what nobody has opened for long, and nothing else ever does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from visitors import CONTINENT, TIMEOUT, wait_until

from editlab.errors import BadFile
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.asking import answers
from editlab.lab.ledger import audit
from editlab.lab.ledger.expiry import FRESH_SECONDS, forget
from editlab.lab.ledger.tables import EVENTS, WORKSPACES
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.settings import Settings

HOUR = 3600.0


@pytest.fixture
def lab(tiny_llama, facts, tmp_path, few_steps):
    settings = Settings(model=tiny_llama.name, data=tmp_path)
    found = Lab(tiny_llama, facts, Passages(("A text.",), ("A text.",)), data=tmp_path, settings=settings)
    for visitor, request in (("old", CONTINENT), ("new", EditRequest("The capital of {} is", "Japan", "Rome"))):
        edits.apply(found.workspace(found.directory.current(visitor).id), request).result(TIMEOUT)
    with found.ledger.transaction() as connection:
        long_ago = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
        connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == "old").values(seen_at=long_ago))
    yield found
    found.close()


def test_what_was_not_opened_for_long_goes_with_all_that_belongs_to_it(lab, monkeypatch):
    mine = lab.workspace("new").records[0]
    files = {path.name for path in lab.ledger.tensors.folder.iterdir()}
    monkeypatch.setattr("editlab.lab.ledger.expiry.time.time", lambda: datetime.now(UTC).timestamp() + 2 * FRESH_SECONDS)
    assert forget(lab.ledger, 4 * HOUR) == ("old",)
    left = {path.name for path in lab.ledger.tensors.folder.iterdir()}
    assert len(files) == 2 and left < files and len(left) == 1
    assert lab.jobs.rows("old") == () and len(lab.jobs.rows("new")) == 1
    assert audit.verify(lab.ledger).ok
    assert [record.id for record in lab.workspace("new").records] == [mine.id]
    again = lab.workspace(lab.directory.current("old").id, "again")
    assert again.records == () and again.request is None


def test_what_was_forgotten_can_be_read_in_no_file(lab):
    def found():
        return sum(b"Slovenia" in path.read_bytes() for path in lab.settings.data.glob("ledger.sqlite*"))

    assert found() > 0
    forget(lab.ledger, 4 * HOUR)
    assert found() == 0 and lab.workspace("new").records


def test_a_demo_forgets_though_nobody_comes(tiny_llama, facts, tmp_path, monkeypatch):
    monkeypatch.setattr("editlab.lab.lab.FORGET_SECONDS", 0.05)
    settings = Settings(model=tiny_llama.name, demo=True, demo_hours=0.1 / 3600)
    lab = Lab(tiny_llama, facts, Passages((), ()), data=tmp_path, settings=settings)
    try:
        answers.look(lab.workspace(lab.directory.current("somebody").id), CONTINENT).result(TIMEOUT)
        wait_until(lambda: not audit.verify(lab.ledger).events)
        wait_until(lambda: not lab.workspaces._open)
    finally:
        lab.close()


def test_what_was_written_while_its_workspace_was_deleted_goes_too(lab):
    workspace = lab.workspace("old")
    forget(lab.ledger, 4 * HOUR)
    workspace.look_at(EditRequest("The capital of {} is", "Slovenia", "Rome"))
    assert lab.ledger.rows(["old"])[0] and forget(lab.ledger, 4 * HOUR) == ()
    with lab.ledger.transaction() as connection:
        long_ago = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
        connection.execute(sa.update(EVENTS).where(EVENTS.c.workspace == "old").values(at=long_ago))
    assert forget(lab.ledger, 4 * HOUR) == ("old",)
    assert not lab.ledger.rows(["old"])[0] and lab.workspace("new").records


def test_a_file_that_is_about_to_be_named_stays(lab):
    forget(lab.ledger, 4 * HOUR)
    assert len(list(lab.ledger.tensors.folder.iterdir())) == 2


def test_an_event_taken_out_otherwise_is_still_noticed(lab):
    forget(lab.ledger, 4 * HOUR)
    with lab.ledger.transaction() as connection:
        connection.execute(sa.text("DELETE FROM events WHERE id = (SELECT max(id) FROM events)"))
    assert any("taken out" in fault or "missing" in fault for fault in audit.verify(lab.ledger).faults)


def test_whoever_comes_back_in_time_is_kept(lab):
    lab.directory.current("old")
    assert forget(lab.ledger, 4 * HOUR) == ()


def test_outside_a_demo_nothing_is_forgotten(lab):
    lab.workspace("new")
    assert lab.limits.expire_seconds is None and len(lab.directory.workspaces("old")) == 1


def test_a_file_that_gets_its_name_meanwhile_keeps_nothing_from_going(lab, monkeypatch):
    part = lab.ledger.tensors.folder / ".0123456789abcdef.tmp"
    part.write_bytes(b"")
    real, gone = Path.stat, []

    def stat(path, **more):
        if path == part:
            part.unlink(missing_ok=True)  # as renaming it does, between the list of names and this look
        return real(path, **more)

    monkeypatch.setattr(Path, "stat", stat)
    assert forget(lab.ledger, 4 * HOUR, gone.extend) == ("old",) and gone == ["old"]


def test_a_file_that_cannot_be_deleted_is_named_and_the_workspace_leaves_the_memory(lab, monkeypatch):
    monkeypatch.setattr("editlab.lab.ledger.expiry.time.time", lambda: datetime.now(UTC).timestamp() + 2 * FRESH_SECONDS)

    def refuse(path, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert lab.workspace("old").records
    with pytest.raises(BadFile, match=r"safetensors could not be deleted: Permission denied"):
        forget(lab.ledger, 4 * HOUR, lab.workspaces.drop)
    monkeypatch.undo()
    assert not lab.workspace(lab.directory.current("old").id).records and audit.verify(lab.ledger).ok


def test_a_demo_goes_on_forgetting_after_an_error_that_nobody_expected(tiny_llama, facts, tmp_path, monkeypatch):
    rounds = []

    def fail(*_given):
        rounds.append(1)
        raise sa.exc.InvalidRequestError("closed")

    monkeypatch.setattr("editlab.lab.lab.FORGET_SECONDS", 0.01)
    monkeypatch.setattr("editlab.lab.lab.forget", fail)
    settings = Settings(model=tiny_llama.name, demo=True)
    lab = Lab(tiny_llama, facts, Passages((), ()), data=tmp_path, settings=settings)
    try:
        wait_until(lambda: len(rounds) > 2)
    finally:
        lab.close()
