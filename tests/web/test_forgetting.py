"""A public demo lets go of what nobody has opened for long, and nothing else ever does."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from visitors import CONTINENT, TIMEOUT

from editlab.facts import EditRequest
from editlab.lab import Lab, archive
from editlab.lab.forgetting import FRESH_SECONDS, forget
from editlab.lab.tables import WORKSPACES
from editlab.probes import Passages

HOUR = 3600.0


@pytest.fixture
def lab(tiny_llama, facts, tmp_path, few_steps):
    found = Lab(tiny_llama, facts, Passages(("A text.",), ("A text.",)), data=tmp_path)
    for visitor, request in (("old", CONTINENT), ("new", EditRequest("The capital of {} is", "Japan", "Rome"))):
        found.workspace(found.directory.current(visitor).id).apply(request).result(TIMEOUT)
    with found.ledger.transaction() as connection:
        long_ago = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
        connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == "old").values(seen_at=long_ago))
    yield found
    found.close()


def test_what_was_not_opened_for_long_goes_with_all_that_belongs_to_it(lab, monkeypatch):
    mine = lab.workspace("new").records[0]
    files = {path.name for path in lab.ledger.tensors.folder.iterdir()}
    monkeypatch.setattr("editlab.lab.forgetting.time.time", lambda: datetime.now(UTC).timestamp() + 2 * FRESH_SECONDS)
    assert forget(lab.ledger, 4 * HOUR) == ("old",)
    left = {path.name for path in lab.ledger.tensors.folder.iterdir()}
    assert len(files) == 2 and left < files and len(left) == 1
    assert lab.jobs.rows("old") == () and len(lab.jobs.rows("new")) == 1
    assert archive.verify(lab.ledger).ok
    assert [record.id for record in lab.workspace("new").records] == [mine.id]
    again = lab.workspace(lab.directory.current("old").id, "again")
    assert again.records == () and again.request is None


def test_a_file_that_is_about_to_be_named_stays(lab):
    forget(lab.ledger, 4 * HOUR)
    assert len(list(lab.ledger.tensors.folder.iterdir())) == 2


def test_an_event_taken_out_otherwise_is_still_noticed(lab):
    forget(lab.ledger, 4 * HOUR)
    with lab.ledger.transaction() as connection:
        connection.execute(sa.text("DELETE FROM events WHERE id = (SELECT max(id) FROM events)"))
    assert any("taken out" in fault or "missing" in fault for fault in archive.verify(lab.ledger).faults)


def test_whoever_comes_back_in_time_is_kept(lab):
    lab.directory.current("old")
    assert forget(lab.ledger, 4 * HOUR) == ()


def test_outside_a_demo_nothing_is_forgotten(lab):
    lab.workspace("new")
    assert lab.limits.expire_seconds is None and len(lab.directory.rooms("old")) == 1
