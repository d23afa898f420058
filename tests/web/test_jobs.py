"""Rows of jobs: what a reloaded page finds, what a restart makes of what was begun, and whom each concerns."""

import json
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab.errors import BadFile, BadRequest, Cancelled
from editlab.lab import Lab
from editlab.lab.asking import answers
from editlab.lab.ledger.tables import JOBS
from editlab.lab.workspaces import edits, exports
from editlab.probes import Passages

RECORDS = [
    {"subject": place, "prompt": "{} belongs to the continent of", "target_new": "Asia"}
    for place in ("Slovenia", "France", "Norway", "Kenya")
]


@pytest.fixture
def opened(tiny_llama, facts):
    """Opens labs on a data folder; a second one on the same is another process's, as far as the ledger can tell."""
    labs = []

    def open_lab(data: Path) -> Lab:
        labs.append(Lab(tiny_llama, facts, Passages(("A text.",), ("A text.",)), data=data))
        return labs[-1]

    yield open_lab
    for lab in labs:
        lab.close()


def workspace_of(lab, visitor):
    return lab.workspace(lab.directory.current(visitor).id)


def test_an_edit_has_a_row_from_the_moment_it_waits_to_its_end(opened, few_steps, tmp_path):
    lab, release = opened(tmp_path), threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    job = edits.apply(workspace_of(lab, "ana"), CONTINENT)
    waiting = lab.jobs.rows("ana")[0]
    assert (waiting.kind, waiting.state, waiting.title) == ("edit", "waiting", "Slovenia → Antarctica")
    release.set()
    job.result(TIMEOUT)
    done = lab.jobs.rows("ana")[0]
    assert (done.id, done.state, done.fraction) == (waiting.id, "done", 1.0)
    assert done.submitted_at <= done.began_at <= done.ended_at


def test_an_export_that_the_disk_refuses_to_pack_leaves_nothing_there(opened, few_steps, tmp_path, monkeypatch):
    lab = opened(tmp_path)
    workspace, info = workspace_of(lab, "ana"), lab.directory.current("ana")
    edits.apply(workspace, CONTINENT).result(TIMEOUT)

    def refuse(name, *_given):
        Path(f"{name}.zip").write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(exports.shutil, "make_archive", refuse)
        with pytest.raises(BadFile, match=r"could not be packed: No space left on device. Make room"):
            exports.offer(workspace, info, "peft", lab.downloads).result(TIMEOUT)
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]
    token = exports.offer(workspace, info, "peft", lab.downloads).result(TIMEOUT)
    assert lab.downloads.take(token, "ana").name.endswith(".zip")


def test_an_export_holds_what_was_on_when_it_was_asked_for(opened, instant, tmp_path):
    lab, release = opened(tmp_path), threading.Event()
    workspace, info = workspace_of(lab, "ana"), lab.directory.current("ana")
    first = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    second = edits.apply(workspace, CAPITAL).result(TIMEOUT)
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    both, one = (exports.offer(workspace, info, "csv", lab.downloads, only) for only in ("", second.id))
    workspace.undo()
    workspace.switch(first.id, False)
    release.set()
    rows = lab.downloads.take(both.result(TIMEOUT), "ana").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["subject", "Slovenia", "Japan"]
    rows = lab.downloads.take(one.result(TIMEOUT), "ana").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["subject", "Japan"]


def test_questions_have_none(opened, tmp_path):
    lab = opened(tmp_path)
    answers.live(workspace_of(lab, "ana"), "The capital of France is").result(TIMEOUT)
    assert lab.jobs.rows("ana") == ()


def test_what_failed_and_what_was_stopped_say_so(opened, endless, tmp_path):
    lab = opened(tmp_path)
    job = edits.apply(workspace_of(lab, "ana"), CONTINENT)
    row = lab.jobs.rows("ana")[0]
    lab.jobs.cancel("ana", row.id)
    with pytest.raises(Cancelled):
        job.result(TIMEOUT)
    assert lab.jobs.rows("ana")[0].state == "stopped"
    with pytest.raises(BadRequest, match="not running any more"):
        lab.jobs.cancel("ana", row.id)


def test_nobody_sees_stops_or_resumes_another_ones_jobs(opened, endless, tmp_path):
    lab = opened(tmp_path)
    job = edits.apply(workspace_of(lab, "ana"), CONTINENT)
    id = lab.jobs.rows("ana")[0].id
    assert lab.jobs.rows("bob") == ()
    for act in (lab.jobs.row, lab.jobs.cancel, lambda visitor, id: lab.jobs.resume(visitor, id, workspace_of(lab, visitor))):
        with pytest.raises(BadRequest, match="no such job"):
            act("bob", id)
    assert not job.stopped
    job.cancel()


def test_jobs_of_a_shared_workspace_are_everybodys(opened, few_steps, tmp_path):
    lab = opened(tmp_path)
    team = lab.directory.make("ana", "Team", shared=True)
    edits.apply(lab.workspace(team.id, "ana"), CONTINENT).result(TIMEOUT)
    assert [(row.title, row.author) for row in lab.jobs.rows("bob")] == [("Slovenia → Antarctica", "ana")]


def test_what_a_dead_process_began_is_marked_and_a_file_goes_on(opened, few_steps, tmp_path):
    file = tmp_path / "edits.json"
    file.write_text(json.dumps(RECORDS))
    lab = opened(tmp_path / "data")
    workspace = workspace_of(lab, "ana")
    edits.apply_many(workspace, lab.read_edit_file(file, file.name), "rome", batch=2).result(TIMEOUT)
    workspace.undo()
    with lab.ledger.transaction() as connection:  # as a killed process leaves it
        connection.execute(sa.update(JOBS).values(state="running", session="killed"))
    row = lab.jobs.rows("ana")[0]
    assert (row.state, row.resumable, row.title) == ("interrupted", True, "edits.json")
    again = lab.jobs.resume("ana", row.id, workspace).result(TIMEOUT)
    assert (again.done, again.resumed) == (4, 2) and len(workspace.records) == 2


def test_what_another_living_process_does_is_not_marked(opened, few_steps, tmp_path):
    one, other = opened(tmp_path), opened(tmp_path)
    release = threading.Event()
    one.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    job = edits.apply(workspace_of(one, "ana"), CONTINENT)
    assert other.jobs.mark() == 0 and other.jobs.rows("ana")[0].state == "waiting"
    release.set()
    job.result(TIMEOUT)


def test_a_job_goes_on_only_where_it_belongs(opened, few_steps, tmp_path):
    lab = opened(tmp_path)
    job = edits.apply(workspace_of(lab, "ana"), CONTINENT)
    job.result(TIMEOUT)
    id = lab.jobs.rows("ana")[0].id
    with pytest.raises(BadRequest, match="cannot be resumed"):
        lab.jobs.resume("ana", id, workspace_of(lab, "ana"))
    with lab.ledger.transaction() as connection:
        connection.execute(sa.update(JOBS).values(state="interrupted", kind="edits", request='{"file":"x"}'))
    other = lab.directory.make("ana", "Another")
    with pytest.raises(BadRequest, match="another workspace"):
        lab.jobs.resume("ana", id, lab.workspace(other.id))
    with lab.ledger.transaction() as connection:
        connection.execute(sa.update(JOBS).values(model="another"))
    with pytest.raises(BadRequest, match="another model"):
        lab.jobs.resume("ana", id, workspace_of(lab, "ana"))
