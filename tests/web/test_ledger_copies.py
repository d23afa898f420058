"""What leaves a data folder as a copy: an archive with whose its workspaces are, a backup of a ledger that is written to."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from paths import ROOT
from terminals import ledger_command
from typer.testing import CliRunner
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab.cli import app
from editlab.errors import BadFile, BadRequest
from editlab.lab.ledger import archive, audit
from editlab.lab.ledger.directory import FIRST, Directory
from editlab.lab.ledger.events import Event
from editlab.lab.ledger.expiry import unused
from editlab.lab.ledger.ledger import DATABASE, Key, Ledger, now
from editlab.lab.ledger.tables import FORGOTTEN, JOBS, VISITORS, WORKSPACES
from editlab.lab.workspaces import edits

REQUEST = CONTINENT.as_dict()
MANY = 40


def looked(ledger: Ledger, workspace: str, subject: str = "Slovenia") -> None:
    """One event in a workspace."""
    ledger.append(Key("a model", workspace), Event(1, "looked", {"request": {**REQUEST, "subject": subject}}, now()), "")


def table(ledger: Ledger) -> dict[str, tuple]:
    with ledger.transaction() as connection:
        return {row.id: tuple(row) for row in connection.execute(sa.select(WORKSPACES))}


@pytest.fixture
def ledger(tmp_path):
    """Workspaces of many people: private, shared, made on the terminal, deleted, empty."""
    with Ledger(tmp_path / "data") as ledger:
        directory = Directory(ledger)
        for number in range(MANY):
            looked(ledger, directory.make(f"visitor {number}", FIRST).id)
        looked(ledger, directory.make("ana", "Lecture", shared=True).id)
        looked(ledger, directory.adopt("Team").id)
        directory.make("ana", "Nothing in it")
        gone = directory.make("ana", "Away")
        looked(ledger, gone.id)
        directory.delete("ana", gone.id)
        yield ledger


@pytest.fixture
def other(tmp_path):
    with Ledger(tmp_path / "other") as ledger:
        yield ledger


# --- archives ----------------------------------------------------------------------------------------------------------


def test_an_archive_carries_every_workspace_with_its_owner_and_its_name(ledger, other, tmp_path):
    report = archive.export(ledger, tmp_path / "all.zip")
    assert report.workspaces == MANY + 4
    for _ in range(2):  # twice is once
        archive.import_archive(other, tmp_path / "all.zip")
        assert table(other) == table(ledger) and audit.verify(other).ok
    assert [info.name for info in Directory(other).workspaces("visitor 7") if info.mine] == [FIRST]
    assert Directory(other).workspaces("ana", deleted=True)[0].name == "Away"


def test_an_archive_of_one_workspace_carries_that_ones_row_alone(ledger, other, tmp_path):
    lecture = Directory(ledger).id_of("Lecture")
    archive.export(ledger, tmp_path / "one.zip", [lecture])
    archive.import_archive(other, tmp_path / "one.zip")
    assert table(other) == {lecture: table(ledger)[lecture]}


def test_what_is_there_keeps_its_row_and_a_name_that_is_taken_gets_a_number(ledger, other, tmp_path):
    directory = Directory(other)
    for name in ("Lecture", "Lecture 2"):
        directory.make("tom", name, shared=True)
    directory.make("visitor 1", FIRST)
    directory.adopt("Team")
    directory.rename("tom", "Team", "Our team", "Team")
    archive.export(ledger, tmp_path / "all.zip")
    archive.import_archive(other, tmp_path / "all.zip")
    names = {row[0]: row[2] for row in table(other).values()}
    assert names["Team"] == "Our team" and names[Directory(ledger).id_of("Lecture")] == "Lecture 3"
    assert sorted(info.name for info in directory.workspaces("visitor 1") if info.mine) == [FIRST, f"{FIRST} 2"]
    assert len(names) == MANY + 4 + 3 and audit.verify(other).ok


def test_workspaces_of_an_older_archive_are_found_on_the_page_and_on_the_terminal(ledger, other, tmp_path):
    secret = "AbCdEfGhIjKlMnOpQrStUv"
    looked(ledger, secret)
    archive.write(tmp_path / "old.zip", ledger.rows()[0], ledger.tensors.read)
    with zipfile.ZipFile(tmp_path / "old.zip") as old:
        assert old.namelist() == [archive.EVENTS]
    archive.import_archive(other, tmp_path / "old.zip")
    directory, events = Directory(other), {row["workspace"] for row in ledger.rows()[0]}
    assert {info.id for info in directory.workspaces("anybody")} == events
    assert all(directory.look_up(id).id == id for id in events)
    assert directory.look_up("Team").name == "Team"
    assert all(secret not in info.name for info in directory.workspaces("anybody"))  # it is what lets a visitor in


@pytest.mark.parametrize(
    "harm",
    [
        {"owner": 1}, {"name": ["x"]}, {"name": ""}, {"name": "x" * 61}, {"name": "a/b"}, {"shared": "yes"},
        {"seen_at": "now"}, {"made_at": "2026-01-01"}, {"deleted_at": 0}, {"id": None}, {"more": 1}, {"owner": "x" * 20_000},
    ],
    ids=repr,
)  # fmt: skip
def test_a_row_that_no_table_has_is_refused_and_nothing_is_added(ledger, other, tmp_path, harm):
    archive.export(ledger, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name == archive.WORKSPACES:
                first, *rest = content.splitlines()
                content = b"\n".join([json.dumps(json.loads(first) | harm).encode(), *rest])
            bad.writestr(name, content)
    with pytest.raises(BadFile, match=r"bad\.zip"):
        archive.import_archive(other, tmp_path / "bad.zip")
    assert other.event_count == 0 and table(other) == {}


def test_an_unknown_workspace_is_a_sentence_that_says_which_there_are_and_writes_nothing(ledger, tmp_path, monkeypatch):
    path = tmp_path / "none.zip"
    code, found = ledger_command(ledger.folder, monkeypatch, "export", "--to", str(path), "--workspace", "Lectur")
    assert (code, found["error"]) == (2, "BadRequest") and not path.exists()
    assert "'Lecture', 'Team'" in found["message"] and f"{MANY + 1} more are private" in found["message"]
    assert len(table(ledger)) == MANY + 4


def test_an_export_of_an_unknown_workspace_makes_none(ledger, monkeypatch, tmp_path):
    monkeypatch.setenv("EDITLAB_DATA", str(ledger.folder))
    result = CliRunner().invoke(
        app, ["export", "--workspace", "Lectur", "--format", "csv", "--to", str(tmp_path / "out"), "--json"]
    )
    assert result.exit_code == 2 and "'Lecture'" in json.loads(result.stdout)["message"]
    assert len(table(ledger)) == MANY + 4 and not (tmp_path / "out").exists()


def test_all_of_one_owner_is_exported(ledger, other, tmp_path, monkeypatch):
    path = tmp_path / "ana.zip"
    code, found = ledger_command(ledger.folder, monkeypatch, "export", "--to", str(path), "--owner", "ana")
    assert (code, found["workspaces"], found["events"]) == (0, 3, 2)
    archive.import_archive(other, path)
    assert {row[1] for row in table(other).values()} == {"ana"} and len(table(other)) == 3
    for owner in ("eve", ""):
        code, found = ledger_command(
            ledger.folder, monkeypatch, "export", "--to", str(tmp_path / "eve.zip"), "--owner", owner
        )
        assert code == 2 and "'ana'" in found["message"] and not (tmp_path / "eve.zip").exists()


# --- backup ------------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from editlab.lab.ledger.events import Event
from editlab.lab.ledger.ledger import Key, Ledger, now

request = {"prompt": "{} is in", "subject": "Paris", "target_new": "Rome", "target_true": None}
with Ledger(Path(sys.argv[1])) as ledger:
    previous = ""
    for number in range(1, 10**6):
        previous = ledger.append(Key("a model", "busy"), Event(number, "looked", {"request": request}, now()), previous)
        if number == 3:
            print("ready", flush=True)
"""


@pytest.mark.slow
def test_a_backup_of_a_ledger_that_another_process_writes_to_is_whole(kept, tmp_path, monkeypatch, opened):
    (kept / "cookie-secret").write_text("secret")
    lab = opened(kept)
    named = lab.ledger.files.keep(b"a file of edits")
    row = dict.fromkeys(("session", "kind", "title", "model", "workspace", "author", "error"), "")
    row |= {"id": "j", "state": "done", "request": json.dumps({"file": named}), "result": "{}", "submitted_at": now()}
    with lab.ledger.transaction() as connection:
        connection.execute(sa.insert(JOBS), row)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(kept)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout.readline() == "ready\n"
            code, found = ledger_command(kept, monkeypatch, "backup", "--to", str(tmp_path / "copy"))
            with Ledger(kept) as ledger:
                after = ledger.event_count
        finally:
            writer.kill()
    assert (code, found["ok"], found["files"], found["faults"]) == (0, True, 4, []) and 17 <= found["events"] <= after
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {DATABASE, "tensors", "files"}
    copy = opened(tmp_path / "copy")
    assert len(copy.workspace("anna").records) == 2 and copy.workspace("anna").undo()
    assert copy.ledger.files.read(named) == b"a file of edits"


def test_a_backup_does_not_overwrite_and_leaves_nothing_where_it_fails(kept, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("x")
    (tmp_path / "file").write_text("x")
    for to in ("there", "file", "file/in"):
        code, found = ledger_command(kept, monkeypatch, "backup", "--to", str(tmp_path / to))
        assert (code, found["error"]) == (2, "BadFile")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "file", "there"]
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]
    (tmp_path / "empty").mkdir()
    assert ledger_command(kept, monkeypatch, "backup", "--to", str(tmp_path / "empty"))[0] == 0


def test_a_backup_of_what_is_damaged_says_so(kept, tmp_path, monkeypatch):
    next((kept / "tensors").iterdir()).unlink()
    code, found = ledger_command(kept, monkeypatch, "backup", "--to", str(tmp_path / "copy"))
    assert (code, found["ok"], len(found["faults"])) == (1, False, 1)


OPENERS = """
import sys
from pathlib import Path
from editlab.lab.ledger import archive, audit
from editlab.lab.ledger.backup import backup
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.expiry import forget, forget_these, unused
from editlab.lab.ledger.ledger import Ledger

data, to = Path(sys.argv[1]), Path(sys.argv[2])
seen = []
sys.addaudithook(lambda event, args: seen.append(args[0]) if event in ("open", "os.open") else None)
with Ledger(data) as ledger:
    Directory(ledger).current("ana")
    audit.verify(ledger), archive.export(ledger, to / "all.zip"), backup(ledger, to / "copy")
    ledger.check_writable(), forget(ledger, 0.0), unused(ledger, 1), forget_these(ledger, ["tom"]), ledger.compact()
with Ledger(to / "copy") as copy:
    archive.import_archive(copy, to / "all.zip")
names = [str(path) for path in seen if str(path).startswith(str(data))]
assert names, "the hook hears nothing"
print([name for name in names if "ledger.sqlite" in name])
"""


@pytest.mark.slow
def test_nothing_but_sqlite_opens_the_file_of_a_ledger_that_is_there(kept, tmp_path):
    run = [sys.executable, "-c", OPENERS, str(kept), str(tmp_path)]
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout == f"{[str(kept / DATABASE)]}\n", found.stderr  # the one that would make it, and finds it there


# --- modes -------------------------------------------------------------------------------------------------------------


def modes(folder: Path) -> dict[str, int]:
    """What others may do with each file of a folder."""
    return {str(path): stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (folder, *folder.rglob("*"))}


def test_a_data_folder_and_all_in_it_belong_to_whoever_runs_editlab_alone(opened, instant, tmp_path):
    before = os.umask(0)
    try:
        lab = opened(tmp_path / "deep" / "data")
        edits.apply(lab.workspace("anna"), CONTINENT).result(TIMEOUT)
        assert set(modes(tmp_path / "deep" / "data").values()) == {0}
        archive.export(lab.ledger, tmp_path / "all.zip")
        assert stat.S_IMODE((tmp_path / "all.zip").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_data_folder_that_others_can_read_is_narrowed_when_it_is_opened(kept):
    kept.chmod(0o755)
    (kept / DATABASE).chmod(0o644)
    with Ledger(kept):
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700 and stat.S_IMODE((kept / DATABASE).stat().st_mode) == 0o600


# --- what is let go ----------------------------------------------------------------------------------------------------


@pytest.fixture
def people(opened, instant, tmp_path):
    """What two people have done, in workspaces of their own and of the terminal."""
    lab = opened(tmp_path / "people")
    for name, request in (("ana", CONTINENT), ("tom", CAPITAL)):
        info = lab.directory.current(name)
        edits.apply(lab.workspace(info.id, name), request, reason=f"a secret of {name}").result(TIMEOUT)
    edits.apply(lab.workspace(lab.directory.make("ana", "Deleted").id, "ana"), CONTINENT, config={"seed": 1}).result(TIMEOUT)
    lab.directory.delete("ana", next(info.id for info in lab.directory.workspaces("ana") if info.name == "Deleted"))
    lab.directory.enter("tom", lab.directory.make("ana", "Shared", shared=True).id)
    edits.apply(lab.workspace(lab.directory.adopt("Team").id, "ana"), CONTINENT).result(TIMEOUT)
    lab.close()
    return tmp_path / "people"


def count(ledger: Ledger, chosen) -> int:
    with ledger.transaction() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(chosen))


def test_what_one_person_did_goes_and_nothing_else(people, monkeypatch):
    with Ledger(people) as ledger:
        files = len(list(ledger.tensors.folder.iterdir()))
    code, found = ledger_command(people, monkeypatch, "forget", "--owner", "ana")
    assert code == 2 and "3 workspaces" in found["message"] and "Shared (shared)" in found["message"]
    with Ledger(people) as ledger:
        assert len(table(ledger)) == 5
    code, found = ledger_command(people, monkeypatch, "forget", "--owner", "ana", "--yes")
    assert code == 0 and sorted(row["name"] for row in found["workspaces"]) == ["Deleted", FIRST, "Shared"]
    with Ledger(people) as ledger:
        report = audit.verify(ledger)
        assert (
            report.ok and report.files == 2 == len(list(ledger.tensors.folder.iterdir())) == files - 1
        )  # Team has one of hers
        assert sorted(row[1] for row in table(ledger).values()) == ["", "tom"]
        assert count(ledger, sa.select(JOBS).where(JOBS.c.author == "ana").subquery()) == 0
        assert count(ledger, sa.select(VISITORS).where(VISITORS.c.id == "ana").subquery()) == 0
        with ledger.transaction() as connection:
            assert connection.scalar(sa.select(sa.func.sum(FORGOTTEN.c.events))) == found["events"]
        assert Directory(ledger).current("tom").mine  # the shared one that he had open is gone
    content = b"".join(path.read_bytes() for path in people.glob(f"{DATABASE}*"))
    assert b"a secret of ana" not in content and b"a secret of tom" in content


def test_what_is_taken_out_otherwise_is_still_missed_after_somebody_was_forgotten(people, monkeypatch):
    assert ledger_command(people, monkeypatch, "forget", "--owner", "ana", "--yes")[0] == 0
    with closing(sqlite3.connect(people / DATABASE)) as connection, connection:
        connection.execute("DELETE FROM events WHERE id = (SELECT max(id) FROM events)")
    assert ledger_command(people, monkeypatch, "verify")[0] == 1


def test_one_workspace_is_forgotten_by_its_name(people, monkeypatch):
    assert ledger_command(people, monkeypatch, "forget", "--workspace", "Team", "--yes")[0] == 0
    with Ledger(people) as ledger:
        assert "Team" not in table(ledger) and len(table(ledger)) == 4 and audit.verify(ledger).ok
    assert ledger_command(people, monkeypatch, "forget", "--workspace", "Team", "--yes")[0] == 2


def test_what_nobody_has_used_for_long_is_forgotten_and_what_the_terminal_works_in_is_not(people, monkeypatch):
    with Ledger(people) as ledger:
        with ledger.transaction() as connection:
            connection.execute(sa.update(WORKSPACES).values(seen_at="2020-01-01T00:00:00.000+00:00"))
        assert [table(ledger)[id][2] for id in unused(ledger, 30)] == ["Shared"]  # in the others something has happened
        assert len(unused(ledger, 0)) == 5
    code, found = ledger_command(people, monkeypatch, "forget", "--unused-days", "30", "--yes")
    assert code == 0 and [row["name"] for row in found["workspaces"]] == ["Shared"]
    assert ledger_command(people, monkeypatch, "forget", "--unused-days", "30", "--yes")[1]["workspaces"] == []


def test_files_that_no_event_names_go_also_where_no_workspace_does(people, monkeypatch):
    with Ledger(people) as ledger:
        named = set(ledger.tensors.folder.iterdir())
        left = ledger.tensors.path(ledger.tensors.keep(b"what a stopped edit has left"))
    assert ledger_command(people, monkeypatch, "forget", "--unused-days", "30")[0] == 0 and left.exists()
    assert ledger_command(people, monkeypatch, "forget", "--unused-days", "30", "--yes")[0] == 0
    with Ledger(people) as ledger:
        assert set(ledger.tensors.folder.iterdir()) == named and audit.verify(ledger).ok


def test_nothing_is_forgotten_under_a_server_that_runs(people, opened, monkeypatch):
    lab = opened(people)
    code, found = ledger_command(people, monkeypatch, "forget", "--owner", "ana", "--yes")
    assert (code, found["error"]) == (2, "BadRequest") and "Stop it first" in found["message"]
    assert len(lab.directory.workspaces("ana")) == 3 and audit.verify(lab.ledger).events > 9
    lab.close()
    assert ledger_command(people, monkeypatch, "forget", "--owner", "ana", "--yes")[0] == 0


@pytest.mark.parametrize(
    "asked",
    [(), ("--owner", "ana", "--unused-days", "1"), ("--owner", "eve"), ("--owner", ""), ("--workspace", "none")],
    ids=str,
)
def test_whoever_does_not_say_what_is_to_go_is_refused(people, monkeypatch, asked):
    code, found = ledger_command(people, monkeypatch, "forget", *asked, "--yes")
    assert (code, found["error"]) == (2, "BadRequest")
    with Ledger(people) as ledger:
        assert len(table(ledger)) == 5


def test_somebody_is_told_who_has_the_ledger_open(ledger):
    with Ledger(ledger.folder), pytest.raises(BadRequest, match=r"1 other process\)"), ledger.exclusive():
        pytest.fail("it is not alone")
    with ledger.exclusive():
        assert ledger.count_others() == 0
