"""What is kept, and that nothing of it can be changed unseen."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, replace
from itertools import count
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paths import ROOT
from safetensors.torch import save
from terminals import ledger_command
from tiny_models import tiny_model
from typer.testing import CliRunner
from visitors import CAPITAL, CONTINENT, TIMEOUT, wait_until

from editlab.cli import app
from editlab.errors import BadFile, BadRequest, Cancelled
from editlab.lab import Lab
from editlab.lab.ledger import audit
from editlab.lab.ledger.ledger import Ledger, hash_of
from editlab.lab.workspaces import edits
from editlab.patches import Codebook, Dense, LowRank, Note, Pathway, Preamble
from editlab.probes import Passages

NAMES = count()


def logits(workspace):
    return workspace.context.model.logits([CONTINENT.text, CAPITAL.text], workspace.view)


def change(data: Path, statement: str, *values) -> None:
    with closing(sqlite3.connect(data / "ledger.sqlite")) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def faults(data: Path) -> tuple[str, ...]:
    with Ledger(data) as ledger:
        return audit.verify(ledger).faults


# --- coming back -----------------------------------------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(("apply", "switch", "remove", "remake", "undo", "redo", "clear")), st.integers(0, 5)),
        max_size=14,
    )
)
def test_whatever_was_done_a_workspace_comes_back_as_it_was(lab, instant, actions):
    name = f"any {next(NAMES)}"
    workspace = lab.workspace(name)
    for action, pick in actions:
        records = workspace.records
        chosen = records[pick % len(records)] if records else None
        if action == "apply":
            edits.apply(workspace, (CONTINENT, CAPITAL)[pick % 2]).result(TIMEOUT)
        elif action == "switch" and chosen:
            workspace.switch(chosen.id, not chosen.on)
        elif action == "remove" and chosen:
            workspace.remove(chosen.id)
        elif action == "remake" and any(record.on for record in records):
            edits.remake(workspace).result(TIMEOUT)
        elif action == "clear":
            workspace.clear()
        elif (action == "undo" and workspace.can_undo) or (action == "redo" and workspace.can_redo):
            getattr(workspace, action)()
    del lab.workspaces._open[name, ""]
    again = lab.workspace(name)
    assert again is not workspace and again.notice is None
    assert torch.equal(logits(again), logits(workspace))
    shown = ("id", "on", "request", "method", "config", "layers", "seconds", "health", "contexts")
    for old, new in zip(workspace.records, again.records, strict=True):
        assert all(getattr(old, field) == getattr(new, field) for field in shown)
    assert (again.can_undo, again.can_redo, again.request) == (workspace.can_undo, workspace.can_redo, workspace.request)
    while again.can_undo:
        again.undo()
        workspace.refresh()
        assert torch.equal(logits(again), logits(workspace))
    assert again.views.keys() == {"base"}


def test_after_a_restart_everything_is_there_and_can_be_undone(opened, tmp_path, few_steps):
    lab = opened(tmp_path)
    workspace = lab.workspace("anna")
    edits.apply(workspace, CONTINENT, config={"keys": "original"}).result(TIMEOUT)
    first = logits(workspace)
    edits.apply(workspace, CAPITAL, config={"layers": "0, 2"}).result(TIMEOUT)
    both = logits(workspace)
    lab.close()
    again = opened(tmp_path).workspace("anna")
    assert torch.equal(logits(again), both) and again.request == CAPITAL
    assert again.records[1].layers == (0, 2) and again.records[1].config["layers"] == [0, 2]
    assert again.records[0].config["keys"] == "original" and again.records[0].config["layers"] == [1]
    assert again.undo() == "applied Japan → Berlin"
    assert torch.equal(logits(again), first)


def test_a_workspace_belongs_to_its_model(opened, kept, tiny_llama, monkeypatch):
    monkeypatch.setitem(vars(tiny_llama), "fingerprint", "another model")
    assert opened(kept).workspace("anna").records == ()
    monkeypatch.undo()
    assert len(opened(kept).workspace("anna").records) == 2


@pytest.mark.parametrize("name", ["", "\ud800", "../../etc", "x" * 500, "'; DROP TABLE events"], ids=repr)
def test_any_name_is_a_workspace_of_its_own(lab, instant, name):
    edits.apply(lab.workspace(name), CONTINENT).result(TIMEOUT)
    lab.workspaces._open.clear()
    assert len(lab.workspace(name).records) == 1


def test_every_kind_of_patch_is_kept_bit_for_bit(tmp_path, opened):
    files = opened(tmp_path).ledger.tensors
    shapes = {"U": (8, 2), "V": (2, 8), "b": (8,), "H": (3, 8), "h": (3,), "w": (3,), "c": ()}
    solve = (
        LowRank(2, torch.randn(3, 8), torch.randn(4, 3)),
        Dense(0, torch.randn(4, 8)),
        Preamble("It is so. ", "Examples.\n", "Prompt:"),
        Note("It is so.", "Is it?", ("It", "That"), 0.75, 2),
        Codebook(1, torch.randn(2, 8), torch.randn(2, 4), torch.rand(2), ("Rome", "Oslo")),
        Pathway(1, "Slovenia ", **{name: torch.randn(shape) for name, shape in shapes.items()}),
    )
    address = files.save(solve, "model")
    for old, new in zip(solve, files.load(address, torch.device("cpu")), strict=True):
        assert type(new) is type(old)
        for field in fields(old):
            was, now = getattr(old, field.name), getattr(new, field.name)
            assert torch.equal(was, now) if torch.is_tensor(was) else was == now
    assert files.save(solve, "model") == address and len(list(files.folder.iterdir())) == 1
    with pytest.raises(BadFile, match="is not the address of a file"):
        files.load("../ledger", torch.device("cpu"))


def test_a_tensor_file_from_before_rep_is_read(tmp_path, opened):
    files, (A, B) = opened(tmp_path).ledger.tensors, (torch.randn(1, 8), torch.randn(4, 1))
    header = {"model": "model", "patches": [{"kind": "LowRank", "layer": 2}, {"kind": "Preamble", "text": "So."}]}
    address = files.keep(save({"0.A": A, "0.B": B}, {"editlab": json.dumps(header)}))
    low, said = files.load(address, torch.device("cpu"))
    assert torch.equal(low.A, A) and torch.equal(low.B, B) and (low.layer, said) == (2, Preamble("So."))


def test_pathways_and_the_threshold_come_back_and_verify(opened, instant, tmp_path, monkeypatch):
    lab = opened(tmp_path / "data")
    workspace = lab.workspace("anna")
    edit = edits.apply(workspace, CONTINENT, recipe="default", names=("Slovenija mia",)).result(TIMEOUT)
    plain = edits.apply(workspace, CAPITAL).result(TIMEOUT)
    edits.refine(workspace, plain.id, "published").result(TIMEOUT)
    workspace.set_threshold(0.3)
    workspace.switch_rep(edit.id, False)
    before = lab.model.logits([CAPITAL.text], workspace.views["rep"])
    lab.close()
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    assert faults(tmp_path / "data") == ()
    archive_ = tmp_path / "all.zip"
    assert CliRunner().invoke(app, ["ledger", "export", "--to", str(archive_)]).exit_code == 0
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "elsewhere"))
    assert CliRunner().invoke(app, ["ledger", "import", "--from", str(archive_)]).exit_code == 0
    for data in ("data", "elsewhere"):
        again = opened(tmp_path / data).workspace("anna")
        first, second = again.records
        assert (first.rep, first.rep_on, first.names, second.rep, again.threshold) == (
            "default", False, ("Slovenija mia",), "published", 0.3
        )  # fmt: skip
        assert again.robust.pathways == second.pathways and len(first.pathways) == 1
        assert torch.equal(lab.model.logits([CAPITAL.text], again.views["rep"]), before)
        assert again.undo() == "switched off REP for Slovenia → Antarctica" and len(again.robust.pathways) == 2
        assert [again.undo() for _ in range(2)] == ["added REP to Japan → Berlin", "applied Japan → Berlin"]
        assert again.undo() == "applied Slovenia → Antarctica with REP" and again.threshold == 0.3


# --- two at a time ---------------------------------------------------------------------------------------------------


def test_two_processes_write_one_chain(opened, instant, tmp_path):
    page, terminal = opened(tmp_path), opened(tmp_path)
    ours, theirs = page.workspace("anna"), terminal.workspace("anna")
    first = edits.apply(ours, CONTINENT).result(TIMEOUT)
    second = edits.apply(theirs, CAPITAL).result(TIMEOUT)
    assert [record.id for record in theirs.records] == [first.id, second.id]
    ours.switch(second.id, False)  # it reads what it missed before it writes
    assert [record.on for record in ours.records] == [True, False]
    assert [record.on for record in terminal.workspace("anna").records] == [True, False]
    assert audit.verify(page.ledger).ok


def test_two_that_write_at_once_agree_on_one_chain(opened, instant, tmp_path):
    labs = [opened(tmp_path) for _ in range(3)]
    first = edits.apply(labs[0].workspace("anna"), CONTINENT).result(TIMEOUT)
    for lab in labs:
        lab.workspace("anna")

    def work(lab):
        workspace = lab.workspace("anna")
        for number in range(15):
            workspace.switch(first.id, bool(number % 2))
            workspace.look_at(replace(CAPITAL, subject=f"Japan {number}"))  # without the model, which has one thread

    with ThreadPoolExecutor(len(labs)) as threads:
        list(threads.map(work, labs))
    report = audit.verify(labs[0].ledger)
    assert report.ok and report.events > 17
    states = [lab.workspace("anna").chain.state for lab in labs]
    assert states[0] == states[1] == states[2]


def test_the_lock_of_a_killed_process_is_taken_away(opened, tmp_path):
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / "killed.lock").touch()
    lab, other = opened(tmp_path), opened(tmp_path)
    assert {path.stem for path in (tmp_path / "running").iterdir()} == {lab.ledger.session, other.ledger.session}
    assert lab.ledger.alive(other.ledger.session) and not lab.ledger.alive("killed")
    other.close()
    assert not lab.ledger.alive(other.ledger.session)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_where_the_disk_takes_nothing_an_edit_is_refused_in_a_sentence_and_the_others_stay(
    opened, instant, tmp_path, monkeypatch, code
):
    workspace = opened(tmp_path).workspace("anna")
    first = edits.apply(workspace, CONTINENT).result(TIMEOUT)

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("editlab.lab.ledger.files.os.fsync", refuse)
    with pytest.raises(BadFile, match=f"{os.strerror(code)}. Nothing was changed"):
        edits.apply(workspace, CAPITAL).result(TIMEOUT)
    monkeypatch.undo()
    assert [record.id for record in workspace.records] == [first.id] and not list((tmp_path / "tensors").glob(".*"))
    assert workspace.state.started is None and audit.verify(workspace.context.ledger).ok


def test_an_edit_of_another_process_is_waited_for_not_taken_for_dead(opened, tmp_path, endless):
    page, terminal = opened(tmp_path), opened(tmp_path)
    job = edits.apply(terminal.workspace("anna"), CONTINENT)
    wait_until(lambda: "step" in job.text)
    ours = page.workspace("anna")
    assert ours.notice is None
    with pytest.raises(BadRequest, match="being computed"):
        edits.apply(ours, CAPITAL)
    with pytest.raises(BadRequest, match="being computed"):
        ours.clear()
    terminal.workspace("anna").stop()
    with pytest.raises(Cancelled):
        job.result(TIMEOUT)
    ours.clear()
    assert page.workspace("anna").records == ()


def test_edits_of_another_model_are_told_and_seen_again_under_their_own(opened, instant, facts, tmp_path):
    first = opened(tmp_path)
    edits.apply(first.workspace("anna"), CAPITAL).result(TIMEOUT)
    first.close()
    other = Lab(tiny_model("gpt2"), facts, Passages((), ()), answer_tokens=4, data=tmp_path)
    with closing(other):
        anna = other.workspace("anna")
        assert anna.records == () and other.workspace("ben").notice is None
        assert (anna.notice or "").startswith("This workspace has 1 edit of another model")
        assert anna.notice is None
    again = opened(tmp_path).workspace("anna")
    assert again.notice is None and [record.request for record in again.records] == [CAPITAL]


def test_what_was_interrupted_is_said_once(opened, instant, tmp_path, monkeypatch):
    lab = opened(tmp_path)
    workspace = lab.workspace("anna")
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    body = {"request": CONTINENT.as_dict(), "method": "rome", "session": "of a process that was killed"}
    workspace.chain.write(lambda state: ("started", body))
    lab.close()
    lab = opened(tmp_path)
    again = lab.workspace("anna")
    assert again.notice == "An edit was interrupted: Slovenia → Antarctica. Nothing of it was kept."
    assert again.notice is None and [record.request for record in again.records] == [CAPITAL]
    edits.apply(again, CONTINENT).result(TIMEOUT)
    assert opened(tmp_path).workspace("anna").notice is None
    assert audit.verify(lab.ledger).ok


@pytest.mark.slow
def test_an_edit_that_is_killed_leaves_nothing_behind(tmp_path):
    """Eight times at a random moment; `python -m tools.kill 50` does it more often."""
    found = subprocess.run(
        [sys.executable, "-m", "tools.kill", "8"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert json.loads(found.stdout)["kills"] == 8


# --- tampering -------------------------------------------------------------------------------------------------------


def test_what_nobody_touched_verifies(kept):
    with Ledger(kept) as ledger:
        report = audit.verify(ledger)
    assert (report.ok, report.events, report.files) == (True, 14, 4)


def test_a_changed_event_is_named(kept, opened):
    where = "WHERE workspace = 'anna' AND number = 3"
    change(kept, f"UPDATE events SET body = replace(body, 'Antarctica', 'Atlantis') {where}")
    (fault,) = faults(kept)
    assert fault == "Workspace 'anna': event 3 was changed after it was written."
    with pytest.raises(BadFile, match="event 3 was changed"):
        opened(kept).workspace("anna")
    assert len(opened(kept).workspace("tom").records) == 2


def test_an_event_that_was_forged_with_its_hash_is_named(kept):
    with Ledger(kept) as ledger:
        row = next(row for row in ledger.rows()[0] if row["workspace"] == "tom" and row["number"] == 3)
        row["at"] = "1970-01-01T00:00:00+00:00"
    change(kept, "UPDATE events SET at = ?, hash = ? WHERE id = ?", row["at"], hash_of(row), row["id"])
    (fault,) = faults(kept)
    assert fault == "Workspace 'tom': event 4 does not follow the one before it."


@pytest.mark.parametrize("number", [1, 4, 7])
def test_an_event_that_was_taken_out_is_missed(kept, number):
    change(kept, "DELETE FROM events WHERE workspace = 'anna' AND number = ?", number)
    first, *rest = faults(kept)
    assert first == "1 event is missing in the ledger."
    assert (rest != []) == (number < 7)
    assert all(f"event {number}" in fault for fault in rest[:1])


@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_a_damaged_tensor_file_is_named_and_costs_only_its_edit(kept, opened, harm):
    first, *_ = opened(kept).workspace("anna").records
    with Ledger(kept) as ledger:
        rows = [json.loads(row["body"]) for row in ledger.rows()[0] if row["kind"] == "applied"]
    (address,) = next(body["edit"]["solves"] for body in rows if body["edit"]["id"] == first.id)
    path = kept / "tensors" / f"{address}.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1])) if harm == "changed" else path.unlink()
    (fault,) = faults(kept)
    assert address in fault
    lab = opened(kept)
    workspace = lab.workspace("anna")
    assert "Slovenia → Antarctica" in workspace.notice
    assert [record.request for record in workspace.records] == [CAPITAL]
    with pytest.raises(BadFile, match="backup"):
        workspace.undo()
    path.write_bytes(content)
    workspace.undo()
    assert len(workspace.records) == 2 and faults(kept) == ()


def test_a_place_where_nothing_can_be_written_is_a_sentence(tmp_path, opened):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadFile, match="EDITLAB_DATA"):
        opened(tmp_path / "file" / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.sqlite").write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(BadFile, match="not a database"):
        opened(tmp_path / "data")


# --- elsewhere -------------------------------------------------------------------------------------------------------


def test_the_terminal_verifies_exports_and_imports(kept, opened, tmp_path, monkeypatch):
    other, path = tmp_path / "other", str(tmp_path / "all.zip")
    assert ledger_command(other, monkeypatch, "export")[1]["error"] == "BadFile"
    code, found = ledger_command(kept, monkeypatch, "export", "--to", path)
    assert (code, found) == (0, {"ok": True, "events": 14, "files": 4, "faults": [], "workspaces": 0, "path": path})
    assert ledger_command(kept, monkeypatch, "export", "--to", path)[0] == 2  # it is there already
    assert ledger_command(other, monkeypatch, "import", "--from", path)[0] == 0
    assert ledger_command(other, monkeypatch, "import", "--from", path)[0] == 0  # twice is once
    assert ledger_command(other, monkeypatch, "verify") == (0, {"ok": True, "events": 14, "files": 4, "faults": []})
    here, there = opened(kept).workspace("anna"), opened(other).workspace("anna")
    assert torch.equal(logits(here), logits(there)) and there.undo() == here.undo()


@pytest.mark.parametrize(
    "place", ["no folder", "an empty folder", "a file", "its ledger was deleted", "its ledger was emptied"]
)
def test_where_there_is_no_ledger_nothing_is_verified(kept, tmp_path, monkeypatch, place):
    folder = kept if "ledger" in place else tmp_path / "other"
    if place == "an empty folder":
        folder.mkdir()
    elif place == "a file":
        folder.write_text("")
    for file in kept.glob("ledger.sqlite*"):
        file.unlink()
    if "emptied" in place:
        (kept / "ledger.sqlite").touch()
    before = sorted(tmp_path.rglob("*"))
    code, found = ledger_command(folder, monkeypatch, "verify")
    assert (code, found["error"]) == (2, "BadFile") and f"There is no ledger in {folder}" in found["message"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_ledger_ends_the_command_with_status_1(kept, monkeypatch):
    change(kept, "UPDATE events SET kind = 'cleared' WHERE workspace = 'tom' AND number = 7")
    code, found = ledger_command(kept, monkeypatch, "verify")
    assert (code, found["ok"], len(found["faults"])) == (1, False, 1)
    assert ledger_command(kept, monkeypatch, "export", "--to", str(kept / "out.zip"))[0] == 2


def test_one_workspace_is_exported_and_goes_on_elsewhere(kept, opened, instant, tmp_path, monkeypatch):
    other, path = tmp_path / "other", str(tmp_path / "anna.zip")
    assert ledger_command(kept, monkeypatch, "export", "--to", path, "--workspace", "anna")[1]["events"] == 7
    assert ledger_command(other, monkeypatch, "import", "--from", path)[0] == 0
    assert opened(other).workspace("tom").records == ()
    opened(kept).workspace("anna").clear()
    opened(other).workspace("anna").undo()
    (tmp_path / "anna.zip").unlink()
    assert ledger_command(kept, monkeypatch, "export", "--to", path, "--workspace", "anna")[0] == 0
    code, found = ledger_command(other, monkeypatch, "import", "--from", path)
    assert (code, found["error"]) == (2, "BadFile") and "other events" in found["message"]


@pytest.mark.parametrize("harm", ["event", "file", "type", "missing"])
def test_a_changed_archive_is_refused_and_nothing_is_added(kept, tmp_path, monkeypatch, harm):
    good, bad, other = tmp_path / "good.zip", tmp_path / "bad.zip", tmp_path / "other"
    ledger_command(kept, monkeypatch, "export", "--to", str(good))
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for number, name in enumerate(source.namelist()):
            content = source.read(name)
            if number == 0 and harm in ("event", "type"):
                old, new = (b"Slovenia", b"Slovakia") if harm == "event" else (b'"number": 1,', b'"number": "1",')
                content = content.replace(old, new, 1)
            if number == 1 and harm == "file":
                content = content[:-1] + b"x"
            if number != 1 or harm != "missing":
                target.writestr(name, content)
    code, found = ledger_command(other, monkeypatch, "import", "--from", str(bad))
    assert (code, found["error"]) == (2, "BadFile")
    assert ledger_command(other, monkeypatch, "verify")[1]["events"] == 0 and not (other / "tensors").exists()


def test_what_is_no_archive_is_a_sentence(kept, tmp_path, monkeypatch):
    (tmp_path / "text.zip").write_text("no archive")
    for path in (tmp_path / "text.zip", tmp_path / "nowhere.zip"):
        code, found = ledger_command(kept, monkeypatch, "import", "--from", str(path))
        assert code == 2 and "editlab ledger export" in found["message"]
    shutil.rmtree(kept / "tensors")
    code, found = ledger_command(kept, monkeypatch, "verify")
    assert code == 1 and len(found["faults"]) == 4
