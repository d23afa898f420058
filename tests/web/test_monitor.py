"""The monitor: check-ups behind every change, alarms that say since when, the way back; and what its tab says and does."""

import csv
import io
import math
import re
import threading
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from checkups import table
from pydantic import ValidationError
from visitors import CONTINENT, TIMEOUT, FakeRequest, Reader, wait_until

from editlab.errors import BadRequest, TooLong
from editlab.facts import EditRequest
from editlab.insight.checkup import METRICS
from editlab.lab.asking import answers
from editlab.lab.ledger.names import PARTICIPANT
from editlab.lab.workspaces import edits
from editlab.lab.workspaces.alarms import Alarm, AlarmLimits, assess, limits_of
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.turns import Turns
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.monitor.handlers import LIMITS, LimitFields, MonitorHandlers, PressedReturn, Shown
from editlab.web.monitor.panels import PANELS
from editlab.web.monitor.verdict import find_same_edits

CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")
INF, NAN = math.inf, math.nan


@pytest.fixture
def workspace(lab, request):
    return lab.workspace(request.node.name[:60])


@pytest.fixture
def watching(lab, monkeypatch):
    monkeypatch.setattr(lab.monitor, "watching", True)


@pytest.fixture
def reader(lab, request, few_steps):
    return Reader(MonitorHandlers(lab, Display(lab, Turns())), request.node.name[:60], "monitor")


def checked(lab, workspace, again=False):
    return lab.monitor.submit(workspace, again).result(TIMEOUT)


def breaks_at_the_second(lab, workspace):
    """Two edits, of which the second moves the model's other answers beyond the limit; the figure that tells."""
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    first = checked(lab, workspace).kl
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    second = checked(lab, workspace).kl
    assert 0 < first < second
    workspace.set_limits({"holds": 0, "locality": 0, "same_subject": 0, "loss": 100, "kl": (first + second) / 2})
    return second


# --- check-ups ------------------------------------------------------------------------------------------------------


def test_every_change_is_followed_by_a_check_up_that_nobody_waits_for(lab, workspace, few_steps, watching):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    wait_until(lambda: lab.monitor.fresh(workspace) and lab.monitor.open(workspace) is None)
    assert lab.monitor.health(workspace).table["edits"].tolist() == [1]
    held, free = threading.Event(), threading.Event()
    lab.worker.submit(lambda progress, cancel: (held.set(), free.wait(TIMEOUT)))
    held.wait(TIMEOUT)
    workspace.switch(workspace.records[0].id, False)
    workspace.switch(workspace.records[0].id, True)
    job = lab.monitor.open(workspace)
    assert job.state == "waiting" and job.background and not workspace.busy and not lab.monitor.fresh(workspace)
    assert lab.monitor.submit(workspace) is job
    free.set()
    job.result(TIMEOUT)
    assert lab.monitor.fresh(workspace) and len(lab.monitor.health(workspace).table) == 2


def test_what_is_known_is_not_asked_again_unless_somebody_wants_it(lab, workspace, few_steps):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    first = checked(lab, workspace)
    at = lab.monitor.latest(workspace)
    answers.look(workspace, CAPITAL).result(TIMEOUT)  # an event, but no change of what lies there
    assert checked(lab, workspace) == first and lab.monitor.latest(workspace) == at
    assert first.generated in (0.0, 1.0) and 0 < first.ability.asked <= 32  # read from the ledger as they were
    anew = checked(lab, workspace, again=True)
    assert lab.monitor.latest(workspace) != at and replace(anew, seconds=0) == replace(first, seconds=0)


def test_a_moved_threshold_is_not_checked_yet(lab, workspace, few_steps):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    checked(lab, workspace)
    workspace.set_threshold(0.5)
    assert not lab.monitor.fresh(workspace)
    checked(lab, workspace)
    assert lab.monitor.fresh(workspace)


def test_of_check_ups_that_ended_only_what_failed_is_kept(lab, workspace, monkeypatch):
    failing, later = lab.workspace("a check-up that fails"), lab.workspace("a later check-up")
    monkeypatch.setattr(lab.monitor, "check", lambda asked, *_: 1 / (asked is not failing))
    checked(lab, workspace)
    with pytest.raises(ZeroDivisionError):
        checked(lab, failing)
    checked(lab, later)
    names = {name for _, name, _ in lab.monitor._waiting}
    assert workspace.name not in names and {failing.name, later.name} <= names
    assert lab.monitor.problem(failing)


def test_without_an_edit_there_is_nothing_to_check(lab, workspace):
    assert checked(lab, workspace) is None and lab.monitor.health(workspace).table.empty
    assert lab.monitor.latest(workspace) == (0, "")


def test_a_check_up_that_cannot_be_lined_up_does_not_undo_the_change(lab, workspace, few_steps, watching, monkeypatch):
    id = edits.apply(workspace, CONTINENT).result(TIMEOUT).id
    wait_until(lambda: lab.monitor.open(workspace) is None)

    def full(*_args):
        raise BadRequest("256 requests are waiting already.")

    monkeypatch.setattr(lab.monitor, "submit", full)
    assert not workspace.switch(id, False).on and not workspace.records[0].on


def test_the_return_restores_every_figure_exactly_and_can_be_undone(lab, workspace, few_steps):
    kl = breaks_at_the_second(lab, workspace)
    health = lab.monitor.health(workspace)
    before = health.table[health.table["number"] == health.healthy].iloc[0]
    (alarm,) = health.alarms
    assert alarm.metric == "kl" and alarm.value == kl and alarm.before == before["kl"]
    assert alarm.since == health.table["number"].iloc[-1] > health.healthy
    workspace.return_to(health.healthy)
    checked(lab, workspace)
    now = lab.monitor.health(workspace)
    assert now.alarms == () and [record.request for record in workspace.records] == [CONTINENT]
    pd.testing.assert_series_equal(now.table.iloc[-1][[*METRICS]], before[[*METRICS]], check_names=False, check_exact=True)
    assert find_same_edits(now.table, workspace.state.chains) == (1, health.healthy, 0.0)
    workspace.undo()
    assert checked(lab, workspace).kl == kl and len(lab.monitor.health(workspace).alarms) == 1


def test_what_is_no_number_is_kept_as_such_and_is_an_alarm(lab, workspace, few_steps, monkeypatch):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    found = checked(lab, workspace)
    broken = replace(found, kl=NAN, loss=NAN)
    monkeypatch.setattr("editlab.lab.workspaces.monitor.checkup", lambda *_args: broken)
    checked(lab, workspace, again=True)
    row = lab.monitor.health(workspace).table.iloc[-1]
    assert (row["kl"], row["loss"]) == (INF, INF)
    assert {"kl", "loss"} <= {alarm.metric for alarm in lab.monitor.health(workspace).alarms}


def test_each_edit_has_a_score_when_made_and_now(lab, workspace, few_steps, monkeypatch):
    record = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    found = replace(checked(lab, workspace), edits={record.id: (True, 1.0)})
    for share in (1.0, 1 / 3):
        monkeypatch.setattr(
            "editlab.lab.workspaces.monitor.checkup",
            lambda *_args, share=share: replace(found, edits={record.id: (share == 1, share)}),
        )
        checked(lab, workspace, again=True)
        answers.look(workspace, CAPITAL if share == 1 else CONTINENT).result(TIMEOUT)
    assert lab.monitor.scores(workspace)[record.id][1] == pytest.approx(1 / 3)
    assert lab.monitor.edits(workspace)["share"].iloc[-1] == pytest.approx(1 / 3)


# --- alarms ---------------------------------------------------------------------------------------------------------


def test_an_alarm_says_since_when_and_the_way_back_is_the_last_healthy_state():
    health = assess(table(loss=[0.0, 0.2, 0.0, 0.2, 0.4], holds=[1.0, 1.0, 1.0, 1.0, 0.5]), AlarmLimits())
    assert health.alarms == (Alarm("holds", 0.5, 0.8, 50, 1.0), Alarm("loss", 0.4, 0.1, 40, 0.0))
    assert health.healthy == 30


def test_what_could_not_be_asked_is_no_alarm_and_a_limit_itself_is_healthy():
    assert assess(table(locality=[None, 0.9], loss=[0.1, 0.1]), AlarmLimits()).alarms == ()
    first = assess(table(kl=[INF]), AlarmLimits())
    assert first.healthy is None and first.alarms == (Alarm("kl", INF, 0.5, 10, None),)
    assert assess(table(kl=[INF, 0.1]), AlarmLimits()).alarms == ()


@pytest.mark.parametrize("limits", [{"holds": 1.1}, {"kl": -1}, {"loss": NAN}, {"locality": True}, {"beauty": 1.0}])
def test_a_limit_that_does_not_fit_is_refused(workspace, limits):
    with pytest.raises(BadRequest, match=r"limit"):
        workspace.set_limits(limits)
    assert workspace.state.limits == {}


def test_limits_are_an_event_of_the_workspace(lab, workspace):
    workspace.set_limits({"kl": 2.0})
    assert limits_of(lab.workspace(workspace.name, "another").state.limits) == AlarmLimits(kl=2.0)
    assert workspace.events()[-1].kind == "limits"


# --- the tab --------------------------------------------------------------------------------------------------------


def shown(stamp):
    return Shown(press="look", stamp=stamp)


def fields(*values):
    return LimitFields(**dict(zip(LIMITS, values, strict=True)))


def verdict(reader):
    return re.sub(r"<[^>]+>", "", reader.page["monitor-verdict"])


def return_button(reader):
    found = re.search(r'data-press="return" data-to="(\d+)" data-seen="(\d+)"', reader.page["monitor-verdict"])
    return PressedReturn(press="return", to=found[1], seen=found[2])


def test_without_an_edit_the_tab_says_that_there_is_nothing_to_watch(reader):
    page = reader.does("monitor_open")
    assert "No edit is applied" in verdict(reader) and page["monitor-retention-plot"] is None
    assert all(page[f"monitor-{name}-plot"] is None for name in PANELS)
    assert "nothing to check" in reader.does("monitor_again")["message"]


def test_what_is_not_checked_says_so_and_opening_the_tab_has_it_checked(reader, watching):
    reader.lab.monitor.watching = False
    reader.applies()
    reader.does("monitor_open")
    assert "Not checked yet" in verdict(reader)
    reader.lab.monitor.watching = True
    reader.does("monitor_open")
    wait_until(lambda: reader.lab.monitor.fresh(reader.workspace) and reader.lab.monitor.open(reader.workspace) is None)
    page = reader.does("monitor_open")
    assert "Not checked" not in verdict(reader) and reader.draws("kl") and reader.draws("retention")
    assert "Slovenia → Antarctica" in page["monitor-retention-table"] and page["monitor-now"] == ""


def test_the_page_is_drawn_again_only_where_something_is_new(reader):
    reader.applies()
    checked(reader.lab, reader.workspace)
    reader.does("monitor_open")
    stamp = re.search(r'data-stamp="([^"]+)"', reader.page["monitor-verdict"])[1]
    assert reader.name not in stamp and reader.name.encode().hex()[:12] not in stamp
    reader.does("monitor_look", shown(stamp))
    assert set().union(*reader.seen) == {
        "monitor-service",
        "monitor-service-fold",
        "monitor-jobs",
        "monitor-operations",
        "monitor-now",
    }
    reader.applies(CAPITAL)
    reader.does("monitor_look", shown(stamp))
    assert "1 change of the edits is not checked yet" in verdict(reader)
    assert "Before the latest change" in verdict(reader)


def test_the_way_back_asks_first_and_then_leads_to_the_last_healthy_state(reader):
    breaks_at_the_second(reader.lab, reader.workspace)
    page = reader.does("monitor_open")
    assert "Since “applied Japan → Berlin” (" in verdict(reader) and "answers to other prompts have changed" in verdict(
        reader
    )
    assert "Return to the last healthy state (1 edit)" in verdict(reader) and "1 edit will no longer be applied" in verdict(
        reader
    )
    assert "✕" not in page["monitor-kl"] and 'class="now beyond"' in page["monitor-kl"]
    assert len(reader.workspace.records) == 2
    page = reader.does("monitor_return", OwnProbes(), return_button(reader))
    assert [record.request for record in reader.workspace.records] == [CONTINENT]
    assert "Undo reverses this" in page["message"] and "Japan" not in page["edits"]
    assert "data-press" not in page["monitor-verdict"] and "not checked yet" in verdict(reader)
    checked(reader.lab, reader.workspace)
    reader.does("monitor_open")
    assert "This is the same edit as after event" in verdict(reader) and "every metric is exactly the same" in verdict(
        reader
    )


def test_nobody_returns_by_a_list_that_is_not_true_any_more(reader):
    breaks_at_the_second(reader.lab, reader.workspace)
    reader.does("monitor_open")
    button = return_button(reader)
    reader.applies(replace(CONTINENT, subject="France"))
    assert "have changed meanwhile" in reader.does("monitor_return", OwnProbes(), button)["message"]
    assert len(reader.workspace.records) == 3
    for wrong in ({"seen": 999_999}, {"to": 999_999, "seen": reader.workspace.state.number}):
        reader.does("monitor_return", OwnProbes(), button.model_copy(update=wrong))
        assert "problem" in reader.page["message"] and len(reader.workspace.records) == 3
    for wrong in ({"to": "-1"}, {"to": "x"}, {"seen": None}, {"press": "look"}):
        with pytest.raises(ValidationError):
            PressedReturn(**{**button.sent(), **wrong})


def test_a_check_up_that_fails_says_why_until_one_succeeds(reader, monkeypatch):
    reader.applies()

    def failing(*_args):
        raise TooLong("The text has 300 tokens.")

    monkeypatch.setattr("editlab.lab.workspaces.monitor.checkup", failing)
    reader.lab.monitor.submit(reader.workspace).wait(TIMEOUT)
    page = reader.does("monitor_open")
    assert "The last check-up failed: The text has 300 tokens." in page["monitor-now"]
    assert "Not checked yet" in verdict(reader)
    monkeypatch.undo()
    checked(reader.lab, reader.workspace)
    assert reader.does("monitor_open")["monitor-now"] == ""


def test_a_background_check_up_does_not_keep_stop_enabled(reader, watching):
    reader.applies()
    wait_until(lambda: reader.lab.monitor.open(reader.workspace) is None)
    held, free = threading.Event(), threading.Event()
    reader.lab.worker.submit(lambda progress, cancel: (held.set(), free.wait(TIMEOUT)))
    held.wait(TIMEOUT)
    page = reader.does("monitor_again")
    assert "Check-up queued behind 1 other job." in page["monitor-now"]
    assert reader.handlers.buttons(reader.workspace)["stop"]["interactive"] is False
    free.set()
    wait_until(lambda: reader.lab.monitor.open(reader.workspace) is None)


def test_limits_are_typed_in_percent_and_judge_at_once(reader):
    reader.applies()
    checked(reader.lab, reader.workspace)
    page = reader.does("monitor_limits", fields(0, 29, 0, 100, 0))
    assert reader.workspace.state.limits == {"holds": 0, "locality": 0.29, "same_subject": 0, "loss": 100, "kl": 0}
    assert page["monitor-limit-locality"] == 29 and "answers to other prompts have changed" in verdict(reader)
    assert "Return to the base model" in verdict(reader)
    assert "is empty" in reader.does("monitor_limits", fields(None, 29, 0, 100, 0))["message"]
    assert "Maximum increase of the loss" in reader.does("monitor_limits", fields(80, 90, 50, None, 0.5))["message"]
    for wrong in ((101, 29, 0, 100, 0), (80, -1, 0, 100, 0), (80, 90, 50, NAN, 0.5), (80, 90, 50, 0.1, True)):
        with pytest.raises(ValidationError):
            fields(*wrong)
    assert reader.workspace.state.limits["locality"] == 0.29
    assert len(LIMITS) == 5


def test_the_check_ups_are_files_of_which_no_cell_is_a_formula(reader):
    reader.applies(replace(CONTINENT, subject="=1+1"))
    checked(reader.lab, reader.workspace)
    links = reader.does("monitor_files")["monitor-files-said"]
    assert "check-ups.csv (1 rows)" not in links and "check-ups.csv (1 row)" in links
    paths = [reader.lab.downloads.take(token, None) for token in re.findall(r'href="exports/([^"]+)"', links)]
    checkups, edits = (list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))) for path in paths)
    assert set(METRICS) < set(checkups[0]) and checkups[0]["edits"] == "1"
    assert edits[0]["edit"] == "'=1+1 → Antarctica" and float(edits[0]["share"]) in (0, 1 / 3, 2 / 3, 1)


def test_what_was_typed_is_escaped(reader):
    reader.applies(replace(CONTINENT, subject="<b>bold</b>"))
    checked(reader.lab, reader.workspace)
    page = reader.does("monitor_limits", fields(100, 0, 0, 100, 0))
    assert "&lt;b&gt;bold" in page["monitor-verdict"] and "&lt;b&gt;bold" in page["monitor-retention-table"]
    assert not any("<b>bold" in part for part in page.values() if isinstance(part, str))
    assert "<b>bold" not in page["monitor-retention-plot"].to_json() + page["monitor-kl-plot"].to_json()


def test_the_service_is_shown_without_the_model_and_says_nothing_of_who_asks(reader, monkeypatch):
    reader.applies()
    monkeypatch.setattr(reader.lab.loaded, "_model", None)
    reader.does("monitor_look", shown(""))
    page = " ".join(map(str, reader.page.values()))
    assert "Not ready: 1 fault." in page and "not in memory" in page
    assert '<th scope="row">Edit</th>' in page and reader.name not in page and "Slovenia" not in page


@pytest.mark.parametrize("who", ["demo", "participant"])
def test_who_has_limits_learns_whether_the_service_is_ready_and_none_of_its_metrics(reader, monkeypatch, who):
    reader.applies()
    full = reader.does("monitor_open")
    assert "Memory: " in full["monitor-service"] and "How busy is the model" in full["monitor-service"]
    monkeypatch.setattr(reader.lab.limits, "demo", who == "demo")
    request = FakeRequest("s")
    request.state = SimpleNamespace(participant=SimpleNamespace(id=f"{PARTICIPANT}x") if who == "participant" else None)
    visit = Visit.of(reader.lab, reader.name, request)
    for updates in (reader.handlers.monitor_open(visit), reader.handlers.monitor_look(visit, shown(""))):
        page = {}
        for update in updates:
            page |= update
        assert re.sub(r"<[^>]+>", "", page["monitor-service"]).strip() == "Ready. No job is running or waiting."
        assert (page["monitor-jobs"], page["monitor-operations"]) == ("", "")
