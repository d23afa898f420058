"""A ledger of every older form opens with all that was in it, also after a process died in the middle of its upgrade."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from paths import ROOT
from typer.testing import CliRunner

from editlab.cli import app
from editlab.errors import BadFile
from editlab.lab.ledger import audit
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.events import Event
from editlab.lab.ledger.ledger import DATABASE, Key, Ledger, canonical, hash_of, migrations
from editlab.lab.ledger.tables import EVENTS

KEY = Key("a model", "Team")
REQUEST = {"prompt": "{} is in", "subject": "Paris", "target_new": "Rome", "target_true": None}
EVENTS_TABLE = (
    "CREATE TABLE events (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, model VARCHAR NOT NULL, "
    "workspace VARCHAR NOT NULL, number INTEGER NOT NULL, kind VARCHAR NOT NULL, body VARCHAR NOT NULL, "
    "at VARCHAR NOT NULL, previous VARCHAR NOT NULL, hash VARCHAR NOT NULL, UNIQUE (model, workspace, number))"
)
VERSION_TABLE = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))"
WORKSPACES_TABLE = (
    "CREATE TABLE workspaces (id VARCHAR NOT NULL PRIMARY KEY, owner VARCHAR NOT NULL, name VARCHAR NOT NULL, "
    "shared BOOLEAN NOT NULL, made_at VARCHAR NOT NULL, seen_at VARCHAR NOT NULL, deleted_at VARCHAR)"
)
FIRST = (EVENTS_TABLE, VERSION_TABLE, "INSERT INTO alembic_version VALUES ('0001')")
"""A ledger of the first form."""
HALF = {
    "before the version": (EVENTS_TABLE, VERSION_TABLE),
    "with one table of the next": (*FIRST, WORKSPACES_TABLE),
    "with an index of the next": (
        *FIRST,
        WORKSPACES_TABLE,
        "CREATE UNIQUE INDEX shared_name ON workspaces (name) WHERE shared AND deleted_at IS NULL",
    ),
}


def revisions() -> list[str]:
    known = ScriptDirectory.from_config(migrations(None)).walk_revisions()
    return sorted(script.revision for script in known)


def rows(count: int = 5) -> list[dict]:
    """Events as any form of the ledger has them."""
    found, previous = [], ""
    for number in range(1, count + 1):
        at, body = "2026-01-01T00:00:00.000+00:00", canonical({"request": REQUEST})
        row = {**KEY._asdict(), "number": number, "kind": "looked", "body": body, "at": at, "previous": previous}
        found.append({**row, "hash": (previous := hash_of(row))})
    return found


def made(folder: Path, *statements: str) -> None:
    """A database of these statements, with events in it."""
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        for row in rows():
            names = ", ".join(row)
            connection.execute(f"INSERT INTO events ({names}) VALUES (:{', :'.join(row)})", row)


def at_revision(folder: Path, revision: str) -> None:
    """A database as the migrations make it up to one of them, with events in it."""
    folder.mkdir(exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{folder / DATABASE}")
    with engine.begin() as connection:
        command.upgrade(migrations(connection), revision)
        connection.execute(sa.insert(EVENTS), rows())
    engine.dispose()


def check(folder: Path) -> None:
    """All that was there is there, and one can go on."""
    with Ledger(folder) as ledger:
        events = ledger.read(KEY)
        assert [event.number for event, _ in events] == [1, 2, 3, 4, 5] and audit.verify(ledger).ok
        assert Directory(ledger).adopt("Team").id == "Team" and Directory(ledger).make("ana", "Own").mine
        ledger.append(KEY, Event(6, "looked", {"request": REQUEST}, "2026-01-01T00:00:00.000+00:00"), events[-1][1])
        assert audit.verify(ledger).events == 6


@pytest.mark.parametrize("revision", revisions())
def test_a_ledger_of_every_form_opens_with_all_that_was_in_it(tmp_path, revision):
    at_revision(tmp_path / "data", revision)
    check(tmp_path / "data")


@pytest.mark.parametrize("statements", HALF.values(), ids=HALF)
def test_a_ledger_whose_upgrade_was_cut_off_opens(tmp_path, statements):
    made(tmp_path / "data", *statements)
    check(tmp_path / "data")


KILLED = """
import os, sys
from pathlib import Path
from alembic import op
from editlab.lab.ledger.ledger import Ledger

left, real = [int(sys.argv[2])], {name: getattr(op, name) for name in ("create_table", "create_index")}

def dying(name):
    def make(*args, **how):
        if not left[0]:
            os._exit(9)
        left[0] -= 1
        return real[name](*args, **how)
    return make

for name in real:
    setattr(op, name, dying(name))
Ledger(Path(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_process_that_dies_in_the_middle_of_an_upgrade_changes_nothing(tmp_path, steps):
    folder = tmp_path / "data"
    made(folder, *FIRST)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(steps)], cwd=ROOT, check=False, timeout=120)
    assert killed.returncode == 9
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")}
    assert tables == {"events", "alembic_version"}
    check(folder)


def test_a_ledger_of_a_newer_editlab_is_a_sentence_and_stays_as_it_is(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    at_revision(folder, "head")
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BadFile, match=r"newer EditLab.*9999.*Update EditLab"):
        Ledger(folder)
    monkeypatch.setenv("EDITLAB_DATA", str(folder))
    result = CliRunner().invoke(app, ["ledger", "verify", "--json"])
    assert result.exit_code == 2 and "Update EditLab" in json.loads(result.stdout)["message"]
    assert "Traceback" not in result.output
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
