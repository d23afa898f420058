"""What a passing error of the disk or the system leaves alone: nobody's edits, and nobody signs what nobody did."""

import errno
import os
from pathlib import Path

import pytest
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab.errors import BadFile, Unreadable
from editlab.lab.ledger import ledger as ledgers
from editlab.lab.workspaces import edits

PASSING = [errno.EMFILE, errno.EIO, errno.EACCES, errno.ESTALE]


@pytest.fixture
def team(opened, instant, tmp_path):
    """A workspace of two edits that anna made, and another process on its data folder."""
    anna = opened(tmp_path).workspace("team", "anna")
    for request in (CONTINENT, CAPITAL):
        edits.apply(anna, request).result(TIMEOUT)
    return anna, opened(tmp_path)


def fail_to_read(monkeypatch, code, only=""):
    """Let the files of patches, or the one with this name, not be read."""
    real = Path.read_bytes

    def read(path):
        if path.suffix == ".safetensors" and only in path.name:
            raise OSError(code, os.strerror(code), str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)


def happened(workspace):
    return [(event.kind, event.by) for event in workspace.events()]


@pytest.mark.parametrize("code", PASSING, ids=errno.errorcode.get)
def test_edits_whose_files_cannot_be_read_for_a_moment_stay(team, monkeypatch, code):
    anna, other = team
    before = happened(anna)
    with monkeypatch.context() as patched:
        fail_to_read(patched, code)
        with pytest.raises(Unreadable, match=f"cannot be read now: {os.strerror(code)}. Nothing was changed. Try again"):
            other.workspace("team", "tom")
    anna.refresh()
    assert happened(anna) == before
    tom = other.workspace("team", "tom")
    assert tom.notice is None and [record.request for record in tom.records] == [CONTINENT, CAPITAL]


def test_an_open_workspace_is_as_it_was_until_a_new_edit_can_be_read(team, monkeypatch):
    anna, other = team
    tom = other.workspace("team", "tom")
    edits.apply(anna, CAPITAL).result(TIMEOUT)
    before = happened(anna)
    with monkeypatch.context() as patched:
        fail_to_read(patched, errno.EIO, anna.state.chain[-1].solves[0])
        for _ in range(2):
            with pytest.raises(BadFile, match="cannot be read now"):
                tom.refresh()
            assert len(tom.records) == len(tom.state.chain) == 2
    tom.refresh()
    assert len(tom.records) == 3 and happened(anna) == before


def test_a_removal_that_cannot_be_written_is_tried_again(team, monkeypatch):
    anna, other = team
    tom = other.workspace("team", "tom")
    edits.apply(anna, CAPITAL).result(TIMEOUT)
    other.ledger.tensors.path(anna.state.chain[-1].solves[0]).unlink()

    def refuse(*_given):
        raise BadFile("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(type(other.ledger), "append", refuse)
        for _ in range(2):
            with pytest.raises(BadFile, match="full"):
                tom.refresh()
    tom.refresh()
    assert len(tom.records) == len(tom.state.chain) == 2 and "Japan → Berlin" in tom.notice


def test_two_that_find_a_file_missing_remove_its_edit_once(team, monkeypatch):
    anna, other = team
    tom = other.workspace("team", "tom")
    edits.apply(anna, CAPITAL).result(TIMEOUT)
    other.ledger.tensors.path(anna.state.chain[-1].solves[0]).unlink()
    real = type(other.ledger).append

    def second(ledger, key, event, previous):
        monkeypatch.undo()
        real(ledger, key, event, previous)  # the other one was faster
        return real(ledger, key, event, previous)

    monkeypatch.setattr(type(other.ledger), "append", second)
    tom.refresh()
    assert len(tom.records) == len(tom.state.chain) == 2
    assert [kind for kind, _ in happened(anna)].count("removed") == 1


def test_whoever_finds_a_file_missing_has_not_removed_its_edit(team):
    anna, other = team
    other.ledger.tensors.path(anna.state.chain[0].solves[0]).unlink()
    tom = other.workspace("team", "tom")
    assert "Slovenia → Antarctica" in tom.notice and happened(tom)[-1] == ("removed", "")
    assert tom.can_undo


def test_whoever_finds_an_edit_interrupted_has_not_ended_it(team):
    anna, other = team
    body = {"request": CONTINENT.as_dict(), "method": "rome", "session": "of a process that was killed"}
    anna.chain.write(lambda state: ("started", body))
    tom = other.workspace("team", "tom")
    assert "interrupted" in tom.notice and happened(tom)[-2:] == [("started", "anna"), ("interrupted", "")]


def test_a_process_of_which_nothing_can_be_told_now_is_not_taken_for_dead(team, monkeypatch):
    anna, other = team
    body = {"request": CONTINENT.as_dict(), "method": "rome", "session": anna.context.ledger.session}
    anna.chain.write(lambda state: ("started", body))
    before = happened(anna)

    def refuse(*_given, **_options):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(ledgers, "FileLock", refuse)
        with pytest.raises(BadFile, match="Too many open files"):
            other.workspace("team", "tom")
    assert [(event.kind, event.by) for event in anna.events()] == before
