"""The Edit tab's file of edits, without a browser: what is said about it, and what its buttons do."""

import html
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paths import DATA
from visitors import Visitor, accepts

from editlab.facts import EditCase, EditRequest, Fault, Placed
from editlab.facts.readers import Place
from editlab.lab import EditFile, FileProgress
from editlab.lab.workspaces import edit_files
from editlab.web.edit import edit_list, file_handlers, file_words, words
from editlab.web.edit.file_handlers import FileFields

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
    ("good", "bad", "skip", "applied", "sentence"),
    [
        (1000, 0, False, 0, "edits.csv: 1,000 edits, all valid."),
        (1, 0, False, 0, "edits.csv: 1 edit, valid."),
        (998, 2, False, 0, "edits.csv: 998 of 1,000 edits are valid; correct or skip the other 2 rows."),
        (998, 2, True, 0, "edits.csv: 998 of 1,000 edits are valid; 2 rows are skipped."),
        (2, 1, False, 0, "edits.csv: 2 of 3 edits are valid; correct or skip the other row."),
        (2, 1, True, 0, "edits.csv: 2 of 3 edits are valid; 1 row is skipped."),
        (0, 3, True, 0, "edits.csv: none of 3 edits is valid. Correct the rows below."),
        (
            5000,
            0,
            False,
            3000,
            "edits.csv: 5,000 edits, all valid. 3,000 of them are applied already, so 2,000 are left.",
        ),
        (2, 0, False, 1, "edits.csv: 2 edits, all valid. 1 of them is applied already, so 1 is left."),
        (2, 0, False, 2, "edits.csv: 2 edits, all valid. 2 of them are applied already, so nothing is left to do."),
    ],
)
def test_which_edits_of_a_file_are_valid(good, bad, skip, applied, sentence):
    assert file_words.checked(a_file(good, bad), skip, applied) == sentence


def test_how_far_it_is_and_how_long_it_takes():
    assert file_words.so_far(FileProgress(1000, 0, 0, 0.0, 0.0)) == "1,000 edits: computing the first batch."
    assert file_words.so_far(FileProgress(1000, 300, 100, 0.93, 0.9, seconds=40)) == (
        "300 of 1,000 edits of the file are applied. The model gave the new object at 93 % of the prompts right after their "
        "batch. About 2 minutes left."
    )
    assert "left" not in file_words.so_far(FileProgress(300, 300, 100, 0.93, 0.9, seconds=40))


def test_a_batch_that_does_not_take_is_told():
    assert "Of the latest batch only 4 % took" in file_words.so_far(FileProgress(1000, 400, 0, 0.6, 0.04, seconds=40))
    assert "latest" not in file_words.so_far(FileProgress(1000, 400, 0, 0.6, 0.31, seconds=40))


def test_how_it_ended():
    assert file_words.at_end(FileProgress(1000, 1000, 0, 0.93, 0.9, seconds=40, held=0.88)) == (
        "1,000 edits of the file are applied. The model gave the new object at 93 % of the prompts right after their batch, "
        "and at 88 % now that all are applied."
    )
    lost = tuple(a_file(7, 0).rows)
    assert file_words.at_end(FileProgress(7, 7, 0, 1.0, 1.0, held=0.0, missed=lost)).endswith(
        "These did not hold: Place 0 (line 0); Place 1 (line 1); Place 2 (line 2); Place 3 (line 3); Place 4 (line 4) (+2)."
    )
    sentence = file_words.at_end(FileProgress(10, 10, 4, 1.0, 1.0))
    assert "(4 of them before)" in sentence and "now" not in sentence


def test_of_many_faults_the_first_are_shown_and_none_is_markup():
    html = file_handlers.describe_file(a_file(1, file_handlers.SHOWN_FAULTS + 3), False)
    assert html.count("<tr>") == file_handlers.SHOWN_FAULTS + 1 and "and 3 more" in html
    assert "<i>" not in html and "&lt;i&gt;Wrong" in html


# Handlers


class Giver(Visitor):
    """Somebody who gives a file."""

    def __init__(self, lab, name: str) -> None:
        super().__init__(lab, name)
        self.path: Path | None = None
        self.skip = self.take = False

    @property
    def chosen(self) -> FileFields:
        return FileFields.model_construct(file=self.path, skip=self.skip, take=self.take)

    def gives(self, path: Path | None, method: str = "rome") -> dict[str, Any]:
        self.path = path
        return self.does("check_file", self.chosen, method)

    def applies_all(self, batch: int | None = 2, method: str = "rome") -> dict[str, Any]:
        return self.does("apply_file", self.chosen, batch, method)


@pytest.fixture
def giver(lab, request) -> Giver:
    return Giver(lab, request.node.name[:60])


@pytest.fixture
def path(tmp_path):
    def write(*lines: str) -> Path:
        path = tmp_path / "edits.csv"
        path.write_text("\n".join((HEADER, *lines)), encoding="utf-8")
        return path

    return write


def test_what_is_proposed_for_a_row_is_edited_where_the_visitor_says_so(giver, path, few_steps):
    slip = "slovenia,Slovenia belongs to the continent of,Antarctica,Europe"
    page = giver.gives(path(GOOD[1], slip))
    assert "perhaps for 'Slovenia'" in html.unescape(page["many-said"]) and page["many-take.visible"]
    giver.take = True
    page = giver.gives(path(GOOD[1], slip))
    assert "taken as proposed" in page["many-said"] and "all valid" in page["many-said"] and page["many-take.visible"]
    giver.applies_all()
    assert [request.subject for record in giver.workspace.records for request in record.requests][-1] == "Slovenia"
    page = Giver(giver.lab, f"{giver.name} 2").gives(path(*GOOD))
    assert not page["many-take.visible"], "nothing is proposed"


def test_a_file_with_a_bad_row_is_applied_once_it_is_left_out(giver, path, few_steps):
    page = giver.gives(path(GOOD[0], BAD, *GOOD[1:]))
    assert "correct or skip the other row" in page["many-said"] and "line 3" in page["many-said"]
    assert "<b>Peru" not in page["many-said"]
    assert giver.enabled["many-apply"] is False
    assert "tick “Skip invalid rows”" in giver.applies_all()["message"] and giver.workspace.records == ()
    giver.skip = True
    page = giver.gives(giver.path)
    assert "1 row is skipped" in page["many-said"] and giver.enabled["many-apply"] is True
    page = giver.applies_all()
    assert [len(record.requests) for record in giver.workspace.records] == [2, 1]
    assert "3 edits of the file are applied" in page["many-said"]
    assert "Slovenia → Antarctica and 1 more" in page["edits"] and "France" in page["picture"]
    assert giver.enabled["many-apply"] is False and "first edit of its last batch" in page["message"]
    assert "nothing is left to do" in giver.gives(giver.path)["many-said"]


def test_what_is_not_a_file_of_edits_is_a_sentence(giver, tmp_path):
    for content in (b"", bytes(range(256)), b"<html><b>x</b></html>", b"[1, 2", "Besançon".encode("latin-1")):
        bad = tmp_path / "mine.csv"
        bad.write_bytes(content)
        page = giver.gives(bad)
        assert "problem" in page["many-said"] and "mine.csv" in page["many-said"] and str(tmp_path) not in page["many-said"]
        assert giver.enabled["many-apply"] is False
        assert "problem" in giver.applies_all()["message"]
    assert "Every row is checked" in giver.gives(None)["many-said"]
    assert "Choose one first" in giver.applies_all()["message"]


def test_the_page_says_as_what_a_file_was_read_and_what_its_rows_do_to_each_other(giver, path):
    page = giver.gives(DATA / "mzsre.json")
    assert "Read as 20 records of zsRE (de), 20 records of zsRE (zh)." in page["many-said"]
    assert "37 of 40 edits are valid" in page["many-said"] and "perhaps for &#39;Italiens&#39;" in page["many-said"]
    page = giver.gives(path(GOOD[0], "Slovenia,{} has its capital in,Lima,Ljubljana"))
    assert "2 facts about Slovenia (line 2; line 3): they share a key" in page["many-said"]


@pytest.mark.parametrize("name", ["mquake.json", "wikibigedit.jsonl", "excel.csv"])
def test_a_damaged_file_changes_nothing(giver, tmp_path, name):
    rng, content = random.Random(name), (DATA / name).read_bytes()
    before = giver.workspace.chain.state
    for _ in range(20):
        damaged = bytearray(content)
        at = rng.randrange(len(damaged))
        damaged[at : at + rng.randint(0, 200)] = rng.randbytes(rng.randint(0, 8))
        path = tmp_path / name
        path.write_bytes(damaged)
        assert name in giver.gives(path)["many-said"]
        if not giver.enabled["many-apply"]:
            giver.applies_all()
    assert giver.workspace.chain.state == before and giver.workspace.records == ()


def test_a_batch_without_a_size_is_a_sentence(giver, path):
    giver.gives(path(*GOOD))
    assert "whole number from 1 to 1,000" in giver.applies_all(None)["message"]


@pytest.mark.parametrize("batch", [0, 1.5, 10**6, "many", True])
def test_a_batch_has_a_whole_number_of_edits(giver, batch):
    apply_file = giver.handlers_of("apply_file").apply_file
    assert accepts(apply_file, "many-batch", 1_000) and not accepts(apply_file, "many-batch", batch)


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


def test_each_edit_of_a_batch_is_a_row_that_can_be_looked_at(giver, path, few_steps, monkeypatch):
    real = edit_files.hits
    monkeypatch.setattr(edit_files, "hits", lambda *given: [place != 1 for place, _ in enumerate(real(*given))])
    giver.gives(path(*GOOD))
    page = giver.applies_all(100)
    (batch,) = giver.workspace.records
    assert batch.missed == (1,) and batch.health["said"] == pytest.approx(2 / 3)
    rows = re.findall(r'data-row="(\d)">.*?(took|did not take): </span>(\w+)', page["edits"])
    assert rows == [("1", "did not take", "Japan"), ("0", "took", "Slovenia"), ("2", "took", "France")]
    assert "1 of 3 edits did not take" in page["edits"]
    page = giver.presses("change_edit", press="look", edit=batch.id, row=1)
    assert page["subject"] == "Japan" and giver.workspace.request.subject == "Japan"
    assert "not in the list" in giver.presses("change_edit", press="look", edit=batch.id, row=3)["message"]


def test_the_reason_belongs_to_the_edits_that_it_was_written_for(giver, path, few_steps):
    giver.gives(path(*GOOD))
    assert giver.applies_all(100)["why"] == ""


def test_a_batch_whose_rows_are_not_known_has_no_marks(giver, path, few_steps, monkeypatch):
    giver.gives(path(*GOOD))
    giver.applies_all(100)
    (batch,) = giver.workspace.records
    old = replace(batch, missed=(), health={**batch.health, "said": 0.5})
    assert words.batch(old) == "3 edits, of which 50 % took" and "✓" not in edit_list.edits([old])
    assert words.batch(replace(old, health={})) == "3 edits"
    assert words.batch(replace(old, health={"said": 1.0})) == "All 3 edits took"


def test_a_batch_offers_no_rep_and_its_health_is_a_mean(giver, path, few_steps):
    giver.gives(path(*GOOD))
    page = giver.applies_all(100)
    assert "not to a batch" in page["edits"] and "and 2 more; the numbers are means" in page["health"]
    assert "Prompts edited" in page["health"]
    (batch,) = giver.workspace.records
    assert "a batch of 3" in giver.presses("change_edit", press="rep", edit=batch.id)["message"]
    giver.presses("change_edit", press="switch", edit=batch.id)
    assert not giver.workspace.records[0].on
    giver.presses("change_edit", press="switch", edit=batch.id)
    assert "Recomputed 3 edits" in giver.does("remake")["message"]
    assert "Undone: recomputed 3 edits" in giver.does("undo")["message"]
