"""The Edit tab's file of edits, without a browser: what is said about it, and what its buttons do."""

from typing import Any

import pytest
from visitors import Visitor

from editlab.facts import EditCase, EditRequest, Fault, Placed
from editlab.facts.readers import Place
from editlab.lab import Applied, EditFile
from editlab.web.edit import file_panel, file_words
from editlab.web.edit.file_handlers import ManyHandlers

HEADER = "subject,prompt,target_new,target_true"
GOOD = [f"{place},{{}} belongs to the continent of,Antarctica,Europe" for place in ("Slovenia", "Japan", "France")]
BAD = "<b>Peru</b>,{} is in {},Asia,"


def a_file(good: int, bad: int) -> EditFile:
    rows = tuple(
        Placed(Place(n, f"line {n}"), EditCase(EditRequest("{} is in", f"Place {n}", "Asia"), str(n))) for n in range(good)
    )
    faults = tuple(Fault(Place(good + n, f"line {good + n}"), "prompt", "<i>Wrong.</i>") for n in range(bad))
    return EditFile("edits.csv", "0" * 16, rows, faults)


# Words


@pytest.mark.parametrize(
    ("good", "bad", "skip", "there", "said"),
    [
        (1000, 0, False, 0, "edits.csv: 1,000 edits, and all can be made."),
        (1, 0, False, 0, "edits.csv: 1 edit, and it can be made."),
        (998, 2, False, 0, "edits.csv: 998 of 1,000 edits can be made; 2 rows have to be mended or left out."),
        (998, 2, True, 0, "edits.csv: 998 of 1,000 edits can be made; 2 rows are left out."),
        (2, 1, False, 0, "edits.csv: 2 of 3 edits can be made; one row has to be mended or left out."),
        (2, 1, True, 0, "edits.csv: 2 of 3 edits can be made; one row is left out."),
        (0, 3, True, 0, "edits.csv: of 3 edits none can be made. Mend the rows below."),
        (
            5000,
            0,
            False,
            3000,
            "edits.csv: 5,000 edits, and all can be made. 3,000 of them lie here already, so 2,000 are left.",
        ),
        (2, 0, False, 1, "edits.csv: 2 edits, and all can be made. 1 of them lies here already, so 1 is left."),
        (2, 0, False, 2, "edits.csv: 2 edits, and all can be made. 2 of them lie here already, so nothing is left to do."),
    ],
)
def test_what_can_be_made_of_a_file(good, bad, skip, there, said):
    assert file_words.looked_over(a_file(good, bad), skip, there) == said


def test_how_far_it_is_and_how_long_it_takes():
    assert file_words.so_far(Applied(1000, 0, 0, 0.0, 0.0)) == "1,000 edits: the first batch is being made."
    assert file_words.so_far(Applied(1000, 300, 100, 0.93, 0.9, seconds=40)) == (
        "300 of 1,000 edits of the file lie over the model. The new object was said at 93 % of the prompts right after "
        "their batch. About 2 minutes left."
    )
    assert "left" not in file_words.so_far(Applied(300, 300, 100, 0.93, 0.9, seconds=40))


def test_a_batch_that_does_not_take_is_told():
    assert "Of the latest batch only 4 % took" in file_words.so_far(Applied(1000, 400, 0, 0.6, 0.04, seconds=40))
    assert "latest" not in file_words.so_far(Applied(1000, 400, 0, 0.6, 0.31, seconds=40))


def test_how_it_ended():
    assert file_words.at_end(Applied(1000, 1000, 0, 0.93, 0.9, seconds=40, held=0.88)) == (
        "1,000 edits of the file lie over the model. The new object was said at 93 % of the prompts right after their "
        "batch. Now that all lie there, it is said at 88 %."
    )
    told = file_words.at_end(Applied(10, 10, 4, 1.0, 1.0))
    assert "(4 of them from before)" in told and "Now" not in told


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (91, "2 minutes"), (3600, "60 minutes"), (7300, "2 hours")]
)
def test_a_time_to_wait_is_rounded(seconds, said):
    assert file_words.duration(seconds) == said


def test_of_many_faults_the_first_are_shown_and_none_is_markup():
    html = file_panel.looked_over(a_file(1, file_panel.SHOWN_FAULTS + 3), False)
    assert html.count("<tr>") == file_panel.SHOWN_FAULTS + 1 and "and 3 more" in html
    assert "<i>" not in html and "&lt;i&gt;Wrong" in html


# Handlers


class Giver(Visitor):
    """Somebody who gives a file."""

    def __init__(self, lab, name: str) -> None:
        super().__init__(lab, name)
        self.handlers = ManyHandlers(lab)
        self.path: Any = None
        self.skip: Any = False

    def gives(self, path: Any, method: str = "rome") -> dict[str, Any]:
        self.path, own = path, self.own
        self.own = ()
        try:
            return self.does("look_over", path, self.skip, method, *self.settings)
        finally:
            self.own = own

    def applies_all(self, batch: Any = 2, method: str = "rome") -> dict[str, Any]:
        return self.does("apply_many", self.path, self.skip, batch, method, *self.settings, self.why)


@pytest.fixture
def giver(lab, request) -> Giver:
    return Giver(lab, request.node.name[:60])


@pytest.fixture
def path(tmp_path):
    def write(*lines: str) -> str:
        path = tmp_path / "edits.csv"
        path.write_text("\n".join((HEADER, *lines)), encoding="utf-8")
        return str(path)

    return write


def test_a_file_with_a_bad_row_is_applied_once_it_is_left_out(giver, path, few_steps):
    page = giver.gives(path(GOOD[0], BAD, *GOOD[1:]))
    assert "one row has to be mended" in page["many-said"] and "line 3" in page["many-said"]
    assert "<b>Peru" not in page["many-said"]
    assert giver.enabled["many-apply"] is False
    assert "tick the box" in giver.applies_all()["message"] and giver.workspace.records == ()
    giver.skip = True
    page = giver.gives(giver.path)
    assert "one row is left out" in page["many-said"] and giver.enabled["many-apply"] is True
    page = giver.applies_all()
    assert [len(record.requests) for record in giver.workspace.records] == [2, 1]
    assert "3 edits of the file lie over the model" in page["many-said"]
    assert "Slovenia → Antarctica and 1 more" in page["edits"] and page["subject"] == "France"
    assert giver.enabled["many-apply"] is False and "first edit of its last batch" in page["message"]
    assert "nothing is left to do" in giver.gives(giver.path)["many-said"]


def test_what_is_not_a_file_of_edits_is_a_sentence(giver, tmp_path):
    for content in (b"", bytes(range(256)), b"<html><b>x</b></html>", b"[1, 2", "Besançon".encode("latin-1")):
        bad = tmp_path / "mine.csv"
        bad.write_bytes(content)
        page = giver.gives(str(bad))
        assert "problem" in page["many-said"] and "mine.csv" in page["many-said"] and str(tmp_path) not in page["many-said"]
        assert giver.enabled["many-apply"] is False
        assert "problem" in giver.applies_all()["message"]
    assert "Every row is checked" in giver.gives(None)["many-said"]
    assert "Choose one first" in giver.applies_all()["message"]


@pytest.mark.parametrize("batch", [0, None, 1.5, 10**6, "many"])
def test_a_batch_that_is_no_number_is_a_sentence(giver, path, batch):
    giver.gives(path(*GOOD))
    assert "whole number from 1 to 1,000" in giver.applies_all(batch)["message"]


def test_a_setting_that_does_not_fit_is_a_sentence(giver, path):
    giver.changed = {"rome-steps": "nonsense"}
    assert "Write a whole number from 1 to 1,000" in giver.gives(path(*GOOD))["many-said"]


def test_stopped_the_page_shows_what_lies_there(giver, path, few_steps, lab, monkeypatch):
    real = lab.context.live.answer
    giver.gives(path(*GOOD))
    monkeypatch.setattr(lab.context.live, "answer", lambda: (real(), giver.workspace.stop()))
    page = giver.applies_all(1)
    assert "Stopped. 1 of 3 edits are applied" in page["many-said"] and "Stopped. 1 of 3" in page["message"]
    assert "Slovenia → Antarctica" in page["edits"] and giver.enabled["apply"]
    monkeypatch.setattr(lab.context.live, "answer", real)
    assert "so 2 are left" in giver.gives(giver.path)["many-said"]


def test_a_batch_offers_no_rep_and_its_health_is_a_mean(giver, path, few_steps):
    giver.gives(path(*GOOD))
    page = giver.applies_all(100)
    assert "not for a batch" in page["edits"] and "and 2 more; the figures are means" in page["health"]
    assert "New object said" in page["health"]
    (batch,) = giver.workspace.records
    assert "a batch of 3" in giver.presses("change", press="rep", edit=batch.id)["message"]
    giver.presses("change", press="switch", edit=batch.id)
    assert not giver.workspace.records[0].on
    giver.presses("change", press="switch", edit=batch.id)
    assert "Re-made 3 edits" in giver.does("remake")["message"]
    assert "Taken back: re-made 3 edits" in giver.does("undo")["message"]
