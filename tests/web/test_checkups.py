"""The rows of check-ups: those with all scores and those with changes alone read the same, and each is parsed once."""

import itertools
import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest
import sqlalchemy as sa

from editlab.insight.checkup import Checkup
from editlab.lab.ledger.ledger import canonical
from editlab.lab.ledger.tables import CHECKUPS
from editlab.lab.workspaces import checkups
from editlab.lab.workspaces.checkups import Checkups

SCORES = (
    {"a": (1.0, 1.0)},
    {"a": (1.0, 1.0), "b": (0.0, 1 / 3)},
    {"a": (0.0, 2 / 3), "b": (0.0, 1 / 3), "c": (1.0, 1.0)},
    {"b": (0.0, 1 / 3), "c": (1.0, 1.0)},  # a is off
    {"b": (1.0, 1.0)},  # and c
    {"a": (0.0, 0.0), "b": (1.0, 1.0), "c": (1.0, 1.0)},  # both are on again
)
"""The edits' scores at six check-ups."""


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A time that moves on between two rows, however fast they are written."""
    ticks = itertools.count()
    monkeypatch.setattr(checkups, "now", lambda: f"2026-11-26T12:00:00.{next(ticks):06}+00:00")


@pytest.fixture
def parsed(monkeypatch):
    """The numbers of rows that were parsed at each look, as a list that grows."""
    count = []
    monkeypatch.setattr(checkups, "json", SimpleNamespace(loads=lambda body: (count.append(1), json.loads(body))[1]))
    return count


def workspace_of(lab, name):
    """A workspace with an event for each check-up."""
    workspace = lab.workspace(name)
    for number in range(len(SCORES)):
        workspace.note("renamed", name=f"name {number}")
    return workspace


def checkup_of(number, scores):
    """A check-up of which each metric has another value, and one is no number at the end."""
    share = 1 - number / 10
    loss = math.nan if number == len(SCORES) else 2.0 + number / 100
    return Checkup(
        holds=share,
        retention=share,
        locality=None if number == 1 else share,
        same_subject=share,
        loss=loss,
        kl=number / 20,
        relative_norm=0.1,
        value_norm=1.0,
        attention=0.0,
        loss_base=2.0,
        seconds=1.0,
        edits=scores,
    )


def write(lab, workspace, number, scores, old=False):
    """Keep a check-up as this version does, or as release 0.2 did."""
    checkup, more = checkup_of(number, scores), {"count": len(scores), "threshold": 0.5}
    if not old:
        Checkups(workspace.key).write(lab.ledger, number, checkup, more)
        return
    body = {
        name: "inf" if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in vars(checkup).items()
    }
    body |= {**more, "edits": {id: list(own) for id, own in scores.items()}}
    row = {**workspace.key._asdict(), "number": number, "at": checkups.now(), "body": canonical(body)}
    with lab.ledger.transaction() as connection:
        connection.execute(sa.insert(CHECKUPS), row)


def bodies_of(lab, workspace):
    """What each row says of edits, by the number of its event."""
    where = CHECKUPS.c.workspace == workspace.name
    with lab.ledger.transaction() as connection:
        rows = connection.execute(sa.select(CHECKUPS.c.number, CHECKUPS.c.body).where(where).order_by(CHECKUPS.c.number))
        return {number: {name: json.loads(body).get(name) for name in ("edits", "gone")} for number, body in rows}


@pytest.mark.parametrize("old", [6, 3, 1, 0], ids=lambda old: f"{old} old rows")
def test_rows_of_all_versions_give_the_same_scores_edits_and_health(lab, old):
    workspace = workspace_of(lab, f"{old} old")
    for number, scores in enumerate(SCORES, start=1):
        write(lab, workspace, number, scores, number <= old)
    shares = {"a": (1.0, 0.0), "b": (1 / 3, 1.0), "c": (1.0, 1.0)}
    assert lab.monitor.scores(workspace) == shares
    rows = [(number, id, own >= 0.5, share) for number, each in enumerate(SCORES, 1) for id, (own, share) in each.items()]
    expected = pd.DataFrame(rows, columns=["number", "id", "holds", "share"])
    found = lab.monitor.edits(workspace).sort_values(["number", "id"], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected.sort_values(["number", "id"], ignore_index=True))
    health = lab.monitor.health(workspace)
    assert health.table["number"].tolist() == [1, 2, 3, 4, 5, 6] and health.table["edits"].tolist() == [1, 2, 3, 2, 1, 3]
    assert health.table["loss"].round(3).tolist() == [0.01, 0.02, 0.03, 0.04, 0.05, math.inf]
    assert health.table["kl"].tolist() == [number / 20 for number in range(1, 7)] and health.table["locality"].isna()[0]
    workspace.set_limits({"holds": 0.6, "locality": 0.75, "same_subject": 0, "loss": 0.1, "kl": 1})
    health = lab.monitor.health(workspace)
    since = [(alarm.value, alarm.since, alarm.before) for alarm in health.alarms]
    assert since == [(0.4, 5, 0.6), (0.4, 3, 0.8), (math.inf, 6, pytest.approx(0.05))]
    assert health.healthy == 2


def test_a_row_holds_the_changed_scores_alone(lab):
    workspace = workspace_of(lab, "changes")
    for number, scores in enumerate(SCORES, start=1):
        write(lab, workspace, number, scores)
    assert bodies_of(lab, workspace) == {
        1: {"edits": {"a": [1.0, 1.0]}, "gone": None},
        2: {"edits": {"b": [0.0, 1 / 3]}, "gone": []},
        3: {"edits": {"a": [0.0, 2 / 3], "c": [1.0, 1.0]}, "gone": []},
        4: {"edits": {}, "gone": ["a"]},
        5: {"edits": {"b": [1.0, 1.0]}, "gone": ["c"]},
        6: {"edits": {"a": [0.0, 0.0], "c": [1.0, 1.0]}, "gone": []},
    }


def test_each_row_is_parsed_once_however_often_somebody_looks(lab, parsed):
    workspace = workspace_of(lab, "looks")
    for number, scores in enumerate(SCORES[:4], start=1):
        write(lab, workspace, number, scores, old=True)
    for look in (lab.monitor.scores, lab.monitor.edits, lab.monitor.health, lab.monitor.latest, lab.monitor.fresh):
        look(workspace)
        assert len(parsed) == 4
    for number in (5, 6):
        write(lab, workspace, number, SCORES[number - 1], old=True)
        lab.monitor.health(workspace)
        lab.monitor.scores(workspace)
        assert len(parsed) == number


def test_a_check_up_made_again_replaces_its_row(lab, parsed):
    workspace = workspace_of(lab, "again")
    for number, scores in enumerate(SCORES[:3], start=1):
        write(lab, workspace, number, scores)
    before = lab.monitor.scores(workspace)
    assert before["c"] == (1.0, 1.0) and before["a"] == (1.0, 2 / 3)
    at = lab.monitor.latest(workspace)
    write(lab, workspace, 3, {"a": (1.0, 1.0), "b": (0.0, 1 / 3)})
    assert lab.monitor.latest(workspace)[0] == 3 and lab.monitor.latest(workspace) != at
    assert lab.monitor.scores(workspace) == {"a": (1.0, 1.0), "b": (1 / 3, 1 / 3)}
    assert lab.monitor.health(workspace).table["edits"].tolist() == [1, 2, 2]
    assert sorted(bodies_of(lab, workspace)) == [1, 2, 3]
    # Later rows are changes against the new one.
    write(lab, workspace, 4, {"a": (1.0, 1.0)})
    assert bodies_of(lab, workspace)[4] == {"edits": {}, "gone": ["b"]}
    assert lab.monitor.edits(workspace).groupby("number").size().tolist() == [1, 2, 2, 1]


def test_the_check_up_of_an_earlier_event_is_dropped(lab):
    workspace = workspace_of(lab, "late")
    for number in (1, 3):
        write(lab, workspace, number, SCORES[number - 1])
    rows = bodies_of(lab, workspace)
    for number in (1, 2):
        write(lab, workspace, number, {"z": (1.0, 1.0)})
        assert bodies_of(lab, workspace) == rows and "z" not in lab.monitor.scores(workspace)


def test_the_check_ups_of_later_events_are_not_read_yet(lab):
    workspace, behind = workspace_of(lab, "ahead"), Checkups(lab.workspace("ahead").key)
    for number, scores in enumerate(SCORES, start=1):
        write(lab, workspace, number, scores)
    for number, scores in enumerate(SCORES, start=1):
        behind.read(lab.ledger, number)
        assert behind.scores == scores and [row["number"] for row in behind.rows] == list(range(1, number + 1))
