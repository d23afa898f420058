"""Jobs that wait while another process changes their workspace: they compute on what is there when they begin."""

import threading
from contextlib import contextmanager

import pytest
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab import EditFile
from editlab.lab.workspaces import edits

FRANCE = EditRequest("The capital of {} is", "France", "Rome", "Paris")
PERU = EditRequest("The capital of {} is", "Peru", "Bonn", "Lima")


@pytest.fixture
def team(opened, instant, tmp_path):
    """One workspace, as the page and the terminal have it."""
    return opened(tmp_path).workspace("team", "anna"), opened(tmp_path).workspace("team", "tom")


@contextmanager
def waiting(workspace):
    """Keep the model of a workspace busy."""
    release = threading.Event()
    workspace.context.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    try:
        yield
    finally:
        release.set()


def subjects(workspace):
    workspace.refresh()
    return [[request.subject for request in record.requests] for record in workspace.records]


def kinds(workspace):
    return [event.kind for event in workspace.events()]


def test_edits_that_were_switched_off_or_removed_meanwhile_are_not_recomputed(team):
    anna, tom = team
    for request in (CONTINENT, CAPITAL, FRANCE):
        edits.apply(anna, request).result(TIMEOUT)
    first, second, _ = (record.id for record in anna.records)
    with waiting(anna):
        job = edits.remake(anna)
        tom.switch(first, False)
        tom.remove(second)
    job.result(TIMEOUT)
    tom.refresh()
    assert [(record.request, record.on) for record in tom.records] == [(CONTINENT, False), (FRANCE, True)]
    started, remade = anna.events()[-2:]
    assert [edit["id"] for edit in remade.body["edits"]] == started.body["edits"] == [tom.records[1].id]


def test_where_no_edit_is_on_any_more_nothing_is_recomputed_or_noted(team):
    anna, tom = team
    edits.apply(anna, CONTINENT).result(TIMEOUT)
    with waiting(anna):
        job = edits.remake(anna)
        tom.clear()
    with pytest.raises(BadRequest, match="no edit to recompute"):
        job.result(TIMEOUT)
    assert kinds(anna)[-1] == "cleared"


def test_what_another_process_applied_is_seen_before_recomputing_is_refused(team):
    anna, tom = team
    edits.apply(tom, CONTINENT).result(TIMEOUT)
    assert len(edits.remake(anna).result(TIMEOUT)) == 1


def test_rep_for_an_edit_that_is_gone_is_refused_and_nothing_is_noted(team):
    anna, tom = team
    record = edits.apply(anna, CONTINENT).result(TIMEOUT)
    with waiting(anna):
        job = edits.refine(anna, record.id)
        tom.remove(record.id)
    with pytest.raises(BadRequest, match="does not exist any more"):
        job.result(TIMEOUT)
    assert kinds(anna)[-1] == "removed"


def test_a_file_that_two_processes_apply_is_applied_once(team):
    anna, tom = team
    file = EditFile.of([CONTINENT, CAPITAL, FRANCE], "edits.csv")
    with waiting(anna):
        job = edits.apply_many(anna, file, "rome", batch=2)
        assert edits.apply_many(tom, file, "rome", batch=2).result(TIMEOUT).done == 3
        before = kinds(tom)
    done = job.result(TIMEOUT)
    assert (done.rows, done.done, done.resumed) == (3, 3, 3)
    assert subjects(anna) == [["Slovenia", "Japan"], ["France"]] and kinds(anna) == before


def test_rows_that_another_process_applies_between_two_batches_are_left_out(team, monkeypatch):
    anna, tom = team
    file = EditFile.of([CONTINENT, CAPITAL, FRANCE, PERU], "edits.csv")
    theirs = EditFile.of([CAPITAL, FRANCE], "theirs.csv")
    calls = []

    def meanwhile(*_given):
        if not calls:
            calls.append(edits.apply_many(tom, theirs, "rome", batch=2).result(TIMEOUT))

    monkeypatch.setattr(anna.context, "after_batch", meanwhile)
    done = edits.apply_many(anna, file, "rome", batch=1).result(TIMEOUT)
    assert subjects(anna) == [["Slovenia"], ["Japan", "France"], ["Peru"]]
    assert (done.rows, done.done, done.resumed) == (4, 4, 2)
    assert kinds(anna).count("started") == 3 == kinds(anna).count("applied")


def test_a_batch_of_which_another_process_applies_a_part_has_the_rest(team, monkeypatch):
    anna, tom = team
    file = EditFile.of([CONTINENT, CAPITAL, FRANCE], "edits.csv")
    monkeypatch.setattr(anna.chain, "refresh", once_then(anna.chain.refresh, lambda: apply_one(tom)))
    edits.apply_many(anna, file, "rome").result(TIMEOUT)
    assert subjects(tom) == [["Japan"], ["Slovenia", "France"]]
    assert tom.records[1].source["rows"] == [1, 3]


def apply_one(workspace):
    edits.apply_many(workspace, EditFile.of([CAPITAL], "theirs.csv"), "rome").result(TIMEOUT)


def once_then(refresh, act):
    """Return a refresh that another process writes behind when the job calls it: the second one of all."""
    calls = []

    def first_then():
        refresh()
        calls.append(1)
        if len(calls) == 2:
            act()

    return first_then
