"""What the Monitor tab says, from its numbers: every sentence, its singular and plural, and the order of what was lost."""

import math
import re

import pandas as pd
import pytest
from checkups import table

from editlab.insight.checkup import METRICS
from editlab.lab import Moment
from editlab.lab.workspaces.alarms import Alarm
from editlab.web.monitor import table as monitor_table
from editlab.web.monitor import words
from editlab.web.monitor.handlers import LIMITS, changes_of, edit_rows

INF = math.inf


def moment(number, told="applied Japan → Africa", by="ana", edits=83):
    return Moment(number, told, "2026-11-21T14:02:00+00:00", by, edits, True)


def text(markup):
    return re.sub(r"<[^>]+>", "", str(markup))


def test_an_alarm_in_one_sentence():
    found = Alarm("loss", 0.42, 0.1, 166, 0.02)
    assert text(words.alarm(found, [moment(166)])) == (
        "Since edit 83 (Japan → Africa, 2026-11-21 14:02, ana) the model reads plain prose worse: +0.42 nats a token, "
        "+0.02 before; limit +0.1."
    )
    broken = Alarm("holds", 0.796, 0.8, 166, None)
    assert text(words.alarm(broken, [moment(160), moment(166)])) == (
        "Since the first check-up fewer edits hold: 79.6 %; limit 80 %."
    )
    assert words.also(broken) == "Since then also: fewer edits hold: 79.6 %; limit 80 %."
    assert text(words.alarm(Alarm("kl", INF, 0.5, 9, 0.1), [moment(9)])).endswith(
        "no number any more, 0.1 before; limit 0.5."
    )


def test_since_when_names_what_was_done():
    switched = moment(9, "switched on <i>X</i>", by="", edits=4)
    assert text(words.since([switched], True)) == "Since event 9 (switched on &lt;i&gt;X&lt;/i&gt;, 2026-11-21 14:02)"
    assert text(words.since([moment(7), moment(9)], True)).startswith("Since one of 2 changes up to edit 83 (")
    assert text(words.since([], True)) == "Since the first check-up"


def test_the_changes_behind_an_alarm_are_those_since_the_check_up_before():
    frame = table(kl=[0.0, 0.0, 1.0])
    changes = [moment(number) for number in (3, 10, 12, 20, 21, 30, 31)]
    found = changes_of(Alarm("kl", 1.0, 0.5, 30, 0.0), frame, changes)
    assert [change.number for change in found] == [21, 30]
    assert [change.number for change in changes_of(Alarm("kl", 1.0, 0.5, 10, None), frame, changes)] == [3, 10]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((57, 57, 0.99), "Healthy: all 57 edits hold, facts about others 99 % as before."),
        ((1, 1, None), "Healthy: the one edit holds."),
        ((55, 57, 0.995), "Healthy: 55 of 57 edits hold, facts about others 99.5 % as before."),
        ((1, 2, 1.0), "Healthy: 1 of 2 edits holds, facts about others 100 % as before."),
        ((0, 1, None), "Healthy: 0 of 1 edit hold."),
    ],
)
def test_health_in_one_sentence(given, said):
    assert words.healthy(*given) == said


def test_figures_have_their_units():
    told = [
        ("loss", 0.4218),
        ("loss", -0.00001),
        ("kl", 0.31),
        ("relative_norm", 3.2),
        ("attention", -0.012),
        ("holds", None),
    ]
    assert [words.figure(*one) for one in told] == [
        "+0.422 nats a token",
        "+0 nats a token",
        "0.31 nats from the model without edits",
        "3.2 times the layer’s own weights",
        "−1.2 % of the attention",
        "nothing to ask",
    ]
    assert words.figure("kl", INF) == "no number any more" and words.limit("kl", 0.5) == "alarm above 0.5"
    assert (words.limit("holds", 0.8), words.limit("attention", None)) == ("alarm below 80 %", "")


def test_every_limit_has_a_panel_and_every_panel_a_meaning():
    assert set(LIMITS) <= set(words.PANELS) and set(words.PANELS) | {"retention"} == set(METRICS)
    assert all(words.PANELS[name].alarm and words.PANELS[name].limit for name in LIMITS)
    assert all("no limit" in panel.meaning for name, panel in words.PANELS.items() if name not in LIMITS)


def test_one_and_many():
    assert words.unchecked(1) == "One change of the edits is not checked yet."
    assert words.unchecked(2_000) == "2,000 changes of the edits are not checked yet."
    assert words.status("waiting", 0.0, 1) == "A check-up waits behind 1 other job."
    assert words.status("running", 0.4, 0) == "A check-up runs: 40 % done."
    assert words.leaving(1, 2) == "1 edit will leave the model; 2 edits will come back. You can undo this."
    assert words.return_title(1) == "Return to the last healthy state (1 edit)"
    assert words.service(0, 0, 0) == "Ready; nothing is running and nobody waits."
    assert words.service(1, 1, 0) == "Ready; one job runs, one job waits."
    assert words.service(3, 1, 2) == "2 things are wrong: not ready to serve."
    assert "more than 7.6e-06" in words.restored(40, 8, 7.6e-6)


def test_memory_is_held_against_the_plan():
    assert words.memory(562e6, None, 352e6).endswith(
        "the plan gives the present model 352 MB at most; the rest is the program itself."
    )
    assert "4.2 GB of the GPU’s" in words.memory(2e9, 4.2e9, 5e9)
    assert words.memory(2e9, 6e9, 5e9).endswith("the GPU’s is beyond it.")
    assert "There is no plan" in words.memory(2e9, None, None)
    assert [words.seconds(value) for value in (0.0042, 1.26, 600, 10_000)] == ["4 ms", "1.3 s", "10 min", "2.8 h"]


def test_edits_stand_in_the_order_of_what_was_lost():
    frame = table(kl=[0.0, 0.0, 0.0])
    shares = {"kept": [1.0, 1.0, 1.0], "fell": [1.0, 2 / 3, 0.0], "never": [0.0, 0.0, 0.0], "left": [1.0, 1.0, None]}
    held = pd.DataFrame(
        [
            (10 * (n + 1), id, share > 0.5, share)
            for n in range(3)
            for id, own in shares.items()
            if (share := own[n]) is not None
        ],
        columns=["number", "id", "holds", "share"],
    )
    rows = edit_rows(frame, held, list(shares), [""] * 4)
    assert rows["name"].tolist() == ["fell", "never", "kept", "left"] and rows["place"].tolist() == [2, 3, 1, 4]
    assert [text(said) for said in rows["told"]] == [
        "no longer since 2026-11-21 14:02, with 3 edits",
        "has never held",
        "holds",
        "not over the model",
    ]
    page = monitor_table.edits(rows)
    assert page.count('<tr class="lost">') == 2 and ">66.7 %<" not in page and ">100 %<" in page and ">–<" in page


def test_operations_are_told_in_plain_words():
    columns = ["kind", "count", "wait_p50", "wait_p95", "run_p50", "run_p95", "errors"]
    shown = monitor_table.operations(pd.DataFrame([("checkup", 1234, 0.002, 1.5, 3.0, 200.0, 2)], columns=columns))
    assert [part for part in re.split(r"<[^>]+>", shown) if part][7:] == [
        "Check-up of the edits", "1,234", "2 ms", "1.5 s", "3.0 s", "3 min", "2",
    ]  # fmt: skip
    assert "Nothing has been asked" in monitor_table.operations(pd.DataFrame(columns=columns))
