"""The sentences of the Monitor tab, made from numbers: singular and plural, and the order of the edits."""

import math
import re

import pandas as pd
import pytest
from checkups import table

from editlab.insight.checkup import METRICS
from editlab.lab import Moment
from editlab.lab.workspaces.alarms import Alarm, AlarmLimits
from editlab.web.core.html import render
from editlab.web.monitor import panels, words
from editlab.web.monitor.handlers import LIMITS, LimitFields, draw_lead, draw_panels
from editlab.web.monitor.table import EDIT_HEADS, OPERATION_HEADS, edit_rows, operation_rows
from editlab.web.monitor.verdict import Verdict, changes_before
from editlab.web.monitor.words import Timed

INF = math.inf


def moment(number, told="applied Japan → Africa", by="ana", edits=83, kind="applied"):
    return Moment(number, told, "2026-11-21T14:02:00+00:00", by, edits, True, kind)


def text(markup):
    return re.sub(r"<[^>]+>", "", str(markup)).replace("\N{NO-BREAK SPACE}", " ")


def plain(sentence):
    """A sentence as the page shows it before its script has run."""
    return f"{sentence.before}{sentence.at[:16].replace('T', ' ')}{sentence.after}"


def test_an_alarm_in_one_sentence():
    alarm = Alarm("loss", 0.42, 0.1, 166, 0.02)
    assert plain(words.alarm(alarm, [moment(166)])) == (
        "Since “applied Japan → Africa” (2026-11-21 14:02, ana), the loss on prose has increased: +0.42 nats per "
        "token, +0.02 before (limit +0.1)."
    )
    broken = Alarm("holds", 0.796, 0.8, 166, None)
    assert words.alarm(broken, [moment(160), moment(166)]) == Timed(
        "Since the first check-up, fewer edits hold: 79.6 % (limit 80 %)."
    )
    assert words.also(broken) == Timed("Since then also: fewer edits hold: 79.6 % (limit 80 %).")
    assert plain(words.alarm(Alarm("kl", INF, 0.5, 9, 0.1), [moment(9)])).endswith("not finite, 0.1 before (limit 0.5).")
    assert ", not finite before" in plain(words.alarm(Alarm("kl", 1.0, 0.5, 9, INF), [moment(9)]))


def test_an_alarm_names_the_change_before_it():
    alarm = Alarm("kl", 1.0, 0.5, 9, 0.1)
    switched = moment(9, "switched on <i>X</i>", by="", edits=4, kind="switched")
    assert plain(words.alarm(alarm, [switched])).startswith("Since “switched on <i>X</i>” (2026-11-21 14:02), the")
    assert plain(words.alarm(alarm, [moment(7), moment(9)])).startswith(
        "Since one of 2 changes up to “applied Japan → Africa” ("
    )
    assert plain(words.alarm(alarm, [])).startswith("Since the first check-up, ")


def test_the_verdict_is_escaped_and_shows_its_times():
    alarm = words.alarm(Alarm("kl", 1.0, 0.5, 9, 0.1), [moment(9, "switched on <i>X</i>", kind="switched")])
    page = render("monitor/verdict.html", verdict=Verdict("bad", (alarm, Timed("79.6 %"))), stamp='"')
    assert "&lt;i&gt;X&lt;/i&gt;" in page and "<i>" not in page and 'data-stamp="&#34;"' in page
    assert '<time datetime="2026-11-21T14:02:00+00:00"' in page and "<li>79.6\N{NO-BREAK SPACE}%</li>" in page
    assert "details" not in page


def test_the_changes_behind_an_alarm_are_those_since_the_check_up_before():
    frame = table(kl=[0.0, 0.0, 1.0])
    changes = [moment(number) for number in (3, 10, 12, 20, 21, 30, 31)]
    found = changes_before(Alarm("kl", 1.0, 0.5, 30, 0.0), frame, changes)
    assert [change.number for change in found] == [21, 30]
    assert [change.number for change in changes_before(Alarm("kl", 1.0, 0.5, 10, None), frame, changes)] == [3, 10]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((57, 57, 0.99), "Healthy: all 57 edits hold; 99 % of facts about other subjects are preserved."),
        ((1, 1, None), "Healthy: the edit holds."),
        ((55, 57, 0.995), "Healthy: 55 of 57 edits hold; 99.5 % of facts about other subjects are preserved."),
        ((1, 2, 1.0), "Healthy: 1 of 2 edits holds; 100 % of facts about other subjects are preserved."),
        ((0, 1, None), "Healthy: 0 of 1 edit hold."),
    ],
)
def test_health_in_one_sentence(given, sentence):
    assert words.healthy(*given) == sentence


def test_metrics_have_their_units():
    given = [
        ("loss", 0.4218),
        ("loss", -0.00001),
        ("kl", 0.31),
        ("relative_norm", 3.2),
        ("attention", -0.012),
        ("holds", None),
    ]
    assert [panels.metric(*one) for one in given] == [
        "+0.422 nats per token",
        "+0 nats per token",
        "0.31 nats from the base model",
        "3.2 × the layer’s weights",
        "−1.2 % of the attention",
        "no data",
    ]
    assert panels.metric("kl", INF) == "not finite" and panels.limit("kl", 0.5) == "alarm above 0.5"
    assert (panels.limit("holds", 0.8), panels.limit("attention", None)) == ("alarm below 80 %", "")


def test_what_the_model_writes_stands_beside_what_holds_where_it_was_measured():
    frame = table(holds=[1.0, 1.0], generated=[None, 0.75], count=[4, 4]).assign(label="")
    assert [panels.beside("holds", row) for _, row in frame.iterrows()] == ["", "written: 75 %"]
    assert words.healthy(4, 4, None, 4) == "Healthy: all 4 edits hold."
    assert words.healthy(4, 4, None, 3) == "Healthy: all 4 edits hold (3 in the answer that the model writes)."
    drawn = draw_panels(frame, AlarmLimits())
    assert "written: 75" in text(drawn["monitor-holds"])
    assert {line.name for line in drawn["monitor-holds-plot"].data} >= {"own prompt", "written"}
    old = draw_panels(table(holds=[1.0]).assign(label=""), AlarmLimits())
    assert "written" not in {line.name for line in old["monitor-holds-plot"].data}
    assert old["monitor-ability-plot"] is None and "no data" in old["monitor-ability"]


def test_ability_is_held_against_the_model_without_edits():
    row = table(ability=[None, [40, 30, 4, 0]]).iloc[-1]
    low, high = (round(100 * (row[name] - 0.75), 1) for name in ("ability_low", "ability_high"))
    assert (row["ability"], row["ability_base"], row["ability_asked"]) == (0.65, 0.75, 40)
    assert (low, high) == (pytest.approx(-10 - 9.3, abs=2.6), pytest.approx(-10 + 9.3, abs=2.6)) and high < 0
    assert panels.beside("ability", row).startswith("against 75 % without the edits: −10 points (95 % interval −")
    figure = draw_panels(table(ability=[[40, 30, 4, 0]]).assign(label=""), AlarmLimits())["monitor-ability-plot"]
    assert [line.name for line in figure.data if line.name] == ["edited", "without edits"]
    same = table(ability=[[40, 30, 0, 0]]).iloc[-1]
    assert panels.beside("ability", same) == "against 75 % without the edits: no answer has changed"
    assert same["ability_low"] == 0.75
    assert "−100 points" in panels.beside("ability", table(ability=[[40, 40, 40, 0]]).iloc[-1])


def test_every_limit_has_a_panel_and_every_panel_a_meaning():
    assert set(LIMITS) <= set(panels.PANELS) and set(panels.PANELS) | {"retention", "generated"} == set(METRICS)
    assert tuple(LimitFields.model_fields) == LIMITS
    assert all(panels.PANELS[name].alarm and panels.PANELS[name].limit for name in LIMITS)
    assert all("no limit" in panel.meaning for name, panel in panels.PANELS.items() if name not in LIMITS)


def test_one_and_many():
    assert words.unchecked(1) == "1 change of the edits is not checked yet."
    assert words.unchecked(2_000) == "2,000 changes of the edits are not checked yet."
    assert words.unchecked(0) == "The gate threshold has changed and is not checked yet."
    assert words.status("waiting", 0.0, 1) == "Check-up queued behind 1 other job."
    assert words.status("running", 0.4, 0) == "Check-up running: 40 % done."
    assert words.return_changes(1, 2) == (
        "1 edit will no longer be applied; 2 edits will be applied again. You can undo this."
    )
    assert words.return_changes(0, 0).startswith("The same edits stay applied")
    assert words.return_title(1) == "Return to the last healthy state (1 edit)"
    assert words.service(0, 0, 0) == "Ready. No job is running or waiting."
    assert words.service(1, 1, 0) == "Ready. 1 job running, 1 waiting."
    assert words.service(3, 1, 2) == "Not ready: 2 faults."
    assert words.restored(40, 8, 7.6e-6) == (
        "These are the same 40 edits as after event 8; no metric differs by more than 7.6e-06."
    )
    assert words.restored(1, 8, 0.0).startswith("This is the same edit as after event 8, and every metric")


def test_memory_is_compared_with_the_plan():
    assert words.memory(562e6, None, 352e6) == (
        "Memory: 562.0 MB in this process. The plan for this model is at most 352.0 MB; the rest is the program itself."
    )
    assert "4.2 GB on the GPU" in words.memory(2e9, 4.2e9, 5e9)
    assert words.memory(2e9, 4.2e9, 5e9).endswith("GPU use is within it.")
    assert words.memory(2e9, 6e9, 5e9).endswith("GPU use is above it.")
    assert "There is no plan" in words.memory(2e9, None, None)
    assert [words.latency(value) for value in (0.0042, 1.26, 600, 10_000)] == ["4 ms", "1.3 s", "10 min", "2.8 h"]


def test_edits_stand_in_the_order_of_what_was_lost():
    frame = table(kl=[0.0, 0.0, 0.0])
    shares = {"kept": [1.0, 1.0, 1.0], "fell": [1.0, 2 / 3, 0.0], "never": [0.0, 0.0, 0.0], "left": [1.0, 1.0, None]}
    scores = pd.DataFrame(
        [
            (10 * (n + 1), id, share > 0.5, share)
            for n in range(3)
            for id, own in shares.items()
            if (share := own[n]) is not None
        ],
        columns=["number", "id", "holds", "share"],
    )
    rows = edit_rows(frame, scores, {}, {"never": 1, "kept": 2, "fell": 3})
    assert [row.name for row in rows] == ["fell", "never", "kept", "left"] and [row.place for row in rows] == [3, 1, 2, None]
    assert [plain(row.status) for row in rows] == [
        "has not held since 2026-11-21 14:02, with 3 edits applied",
        "has never held",
        "holds",
        "not applied",
    ]
    page = render("monitor/edits.html", heads=EDIT_HEADS, rows=rows, score=panels.score)
    assert page.count('<tr class="lost">') == 2 and ">66.7 %<" not in page and ">100 %<" in page and ">–<" in page


def test_titles_say_what_is_folded():
    assert words.trends([], 3) == "none of 10 metrics is beyond its limit" and words.trends([], 0) == ""
    assert words.trends(["kl"], 3) == "KL divergence is beyond its limit"
    assert words.trends(["locality", "kl"], 3) == "Locality and KL divergence are beyond their limits"
    assert words.retained([1.0, 2 / 3, 1.0]) == "2 of 3 edits hold at every prompt" and words.retained([]) == ""
    assert words.retained([1.0]) == "1 of 1 edit holds at every prompt"
    assert words.limits(True) == "changed in this workspace" and words.limits(False) == "as EditLab sets them"


def test_the_trend_is_of_the_metric_with_the_oldest_alarm_else_of_the_edits_that_hold():
    checkups = table(kl=[0.0, 9.0, 9.0], locality=[1.0, 1.0, 0.1]).assign(label="x")
    limits = AlarmLimits()
    assert "Edits that hold" in draw_lead(checkups, limits, ())["monitor-lead"]
    alarms = (Alarm("locality", 0.1, 0.9, 30, 1.0), Alarm("kl", 9.0, 0.5, 20, 0.0))
    drawn = draw_lead(checkups, limits, alarms)
    assert "KL divergence" in drawn["monitor-lead"] and "beyond" in drawn["monitor-lead"]
    assert list(drawn["monitor-lead-plot"].data[0].y) == [0.0, 9.0, 9.0]
    assert draw_panels(checkups, limits)["monitor-metrics-fold"]["label"] == (
        "Trends: Locality and KL divergence are beyond their limits"
    )
    assert draw_lead(checkups.head(0), limits, ())["monitor-lead-plot"] is None


def test_operations_have_a_row_with_their_latencies():
    columns = ["kind", "count", "wait_p50", "wait_p95", "run_p50", "run_p95", "errors"]
    rows = operation_rows(pd.DataFrame([("checkup", 1234, 0.002, 1.5, 3.0, 200.0, 2)], columns=columns))
    page = render("monitor/operations.html", heads=OPERATION_HEADS, rows=rows)
    assert [part for part in re.split(r"<[^>]+>|\n", page) if part] == [
        "Operation", "Count", "p50 wait", "p95 wait", "p50 run time", "p95 run time", "Errors",
        "Check-up", "1,234", "2 ms", "1.5 s", "3.0 s", "3 min", "2",
    ]  # fmt: skip
    page = render("monitor/operations.html", heads=OPERATION_HEADS, rows=operation_rows(pd.DataFrame(columns=columns)))
    assert "No job has been run" in page
