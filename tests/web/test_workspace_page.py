"""The Workspace tab without a browser: what its buttons do, and that no visitor gets at another one's by any id."""

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from instant import Instant
from masks import write_mask
from paths import PRESETS
from pydantic import TypeAdapter, ValidationError
from starlette.testclient import TestClient
from visitors import CAPITAL, CONTINENT, TIMEOUT, FakeRequest, Visitor, runs, wait_until

from editlab import methods
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab import JobRow, Lab, Moment, Report, WorkspaceInfo, read_examples
from editlab.lab.ledger import audit
from editlab.lab.ledger.directory import FIRST
from editlab.lab.ledger.tables import EVENTS
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.web import create_app
from editlab.web.core.inputs import OwnProbes, Place
from editlab.web.core.turns import Turns
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.workspace import display, table, words
from editlab.web.workspace.file_handlers import FileHandlers, PressedJob
from editlab.web.workspace.handlers import PressedEdit, PressedWorkspace, WorkspaceHandlers
from editlab.web.workspace.history_handlers import HistoryHandlers

HARM = "<img src=x onerror=alert(1)>"
FIELDS = ("subject", "prompt", "target-new", "target-true", "workspace-question")
FIELDS += ("workspace-only.choices", "workspace-history-fold.label")
"""What takes text as it is, for it is no HTML."""
NO_SUCH = "There is no such workspace, or it is not shared with you"


NO_PROBES = OwnProbes()


class Person(Visitor):
    """A visitor of the Workspace tab, and of the Edit tab beside it."""

    def __init__(self, lab, name: str) -> None:
        super().__init__(lab, name)
        drawn = display.WorkspaceDisplay(lab, Display(lab, Turns()))
        kinds = (WorkspaceHandlers, HistoryHandlers, FileHandlers)
        self.tab = {name: kind(lab, drawn) for kind in kinds for name in vars(kind) if name.startswith("workspace_")}

    @property
    def info(self) -> WorkspaceInfo:
        return self.lab.directory.current(self.name)

    @property
    def workspace(self):
        return Visit.of(self.lab, self.name, FakeRequest(self.name)).workspace

    def does(self, handler: str, *fields: Any, **url: str) -> dict[str, Any]:
        """Run a handler to its end. Return the page as it is then."""
        if handler not in self.tab:
            return super().does(handler, *fields, **url)
        for update in runs(self.tab[handler], handler, self.name, *fields):
            for name, value in update.items():
                if not isinstance(value, dict):
                    self.page[name] = value
                elif "interactive" in value and "maximum" not in value:
                    self.enabled[name] = value["interactive"]
                else:
                    self.page |= {f"{name}.{key}": part for key, part in value.items()}
        return self.page

    def opens(self) -> dict[str, Any]:
        return self.does("workspace_open")

    def at_workspace(self, press: str, info: WorkspaceInfo | None = None, **button: str) -> dict[str, Any]:
        pressed = PressedWorkspace(press=press, workspace=(info or self.info).handle, **button)
        return self.does("workspace_press", NO_PROBES, pressed)

    def at_edit(self, press: str, edit: str) -> dict[str, Any]:
        return self.does("workspace_edit", NO_PROBES, self.rep, PressedEdit(press=press, edit=edit))

    def at_job(self, press: str, job: str) -> dict[str, Any]:
        return self.does("workspace_job", PressedJob(press=press, job=job))

    def edits(self, *requests: EditRequest) -> None:
        for request in requests or (CONTINENT,):
            edits.apply(self.workspace, request).result(TIMEOUT)

    def says(self, part: str = "message") -> str:
        """Return a part of the page without its tags."""
        return re.sub(r"<[^>]+>", "", str(self.page[part])).replace("&#39;", "'").replace("&gt;", ">").replace("&lt;", "<")


@pytest.fixture
def lab(tiny_llama, facts):
    """One for each test: what is shared in it is seen by everybody."""
    lab = Lab(tiny_llama, facts, Passages((), ()), read_examples(PRESETS / "examples"), answer_tokens=4)
    yield lab
    lab.close()


@pytest.fixture(autouse=True)
def instant(monkeypatch):
    real = methods.get
    monkeypatch.setattr(methods, "get", lambda name: Instant() if name == "rome" else real(name))


@pytest.fixture
def ana(lab, request) -> Person:
    return Person(lab, f"ana {request.node.name}"[:60])


@pytest.fixture
def tom(lab, request) -> Person:
    return Person(lab, f"tom {request.node.name}"[:60])


@pytest.fixture
def quiet(few_probes):
    """The Edit tab asks few probes: their answers do not matter here."""


# Words


def info(**changes: Any) -> WorkspaceInfo:
    return WorkspaceInfo(**{"id": "1", "name": "Team", "shared": True, "mine": True, "made_at": "", **changes})


def test_who_sees_a_workspace():
    assert words.who_sees(info(shared=False), demo=False) == "Private: only you can see it."
    assert words.who_sees(info(), demo=False) == (
        "Shared: all users of this EditLab can open and change it; only you can delete it or make it private."
    )
    assert "only its owner can delete it" in words.who_sees(info(mine=False), demo=False)


def test_what_lies_there(ana, quiet):
    sentences = [words.summary(ana.workspace.records, "atlas")]
    ana.edits(CONTINENT)
    sentences.append(words.summary(ana.workspace.records, "atlas"))
    ana.edits(CAPITAL)
    ana.workspace.switch(ana.workspace.records[0].id, False)
    sentences.append(words.summary(ana.workspace.records, "atlas"))
    ana.workspace.switch(ana.workspace.records[1].id, False)
    sentences.append(words.summary(ana.workspace.records, "atlas"))
    assert sentences == [
        "No edit of atlas is on.",
        "1 edit of atlas is on.",
        "1 edit of atlas is on; 1 edit is off.",
        "No edit of atlas is on; 2 edits are off.",
    ]


def test_a_moment_is_a_sentence():
    moment = Moment(3, "applied Slovenia → Antarctica", "2026-03-12T14:02:00.000+00:00", "ana", 3, True)
    assert re.sub("<[^>]+>", "", display.moment(moment)) == (
        "2026-03-12 14:02: ana applied Slovenia → Antarctica; 3 edits were on."
    )
    assert 'title="2026-03-12T14:02:00.000+00:00"' in display.moment(moment)
    nobody = display.moment(Moment(3, "removed x", "", "", 0, True))
    assert "Removed x; no edit was on." in nobody and "Before the first change" in display.moment(None)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (
            Report(1000, 200),
            "1,000 events and 200 files: everything is as it was written.",
        ),
        (Report(1, 0), "1 event: everything is as it was written."),
        (Report(2, 1), "2 events and 1 file: everything is as it was written."),
        (Report(2, 1, ("x",)), "1 fault: events or files are not as they were written. Restore a backup."),
        (Report(2, 1, ("x", "y")), "2 faults: events or files are not as they were written. Restore a backup."),
    ],
)
def test_whether_all_is_as_it_was_written(report, said):
    assert words.verified(report) == said


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((0, 0, 0), "Neither has an edit that is on."),
        ((2, 0, 0), "Both have the same 2 edits."),
        ((1, 2, 3), "1 edit in both, 2 only here, 3 only in X."),
    ],
)
def test_how_two_chains_differ(counts, said):
    assert words.compared(*counts, "X") == said


def job(**changes: Any) -> JobRow:
    texts = dict.fromkeys(("title", "text", "author", "workspace", "submitted_at", "began_at", "ended_at", "error"), "")
    return JobRow(
        **{"id": "7", "kind": "edit", "state": "done", "fraction": 0.0, "resumable": False, "result": {}, **texts, **changes}
    )


def test_how_a_job_stands():
    assert words.job_state(job(state="running", text="step 3 of 20")) == "Step 3 of 20"
    assert words.job_state(job(state="failed", error="No room.")) == "Failed: No room."
    assert words.job_state(job(state="interrupted")) == "Interrupted by a restart"
    shown = table.jobs([job(state="running", title=HARM), job(state="interrupted", resumable=True)])
    assert shown.count("data-open") == 1 and 'data-press="cancel"' in shown and 'data-press="resume"' in shown
    assert HARM not in shown and "<progress" in shown


def test_scores_are_bars_with_their_text(ana):
    ana.edits()
    (record,) = ana.workspace.records
    shown = table.edits([record], {record.id: (1.0, 1 / 3)})
    assert "width:33%" in shown and "33 %" in shown and "100 %" in shown
    assert "no check-up yet" in table.edits([record], {"another": (1.0, None)})
    assert "Now" not in table.edits([record], {})


# Workspaces


def test_a_new_one_is_empty_and_the_old_one_comes_back_with_its_edits(ana, quiet):
    ana.edits()
    first = ana.info
    ana.at_workspace("new", text="Trial")
    assert (
        ana.info.name == "Trial"
        and "Trial" in ana.page["workspace-head"]
        and "has no edits yet" in ana.says("workspace-edits")
    )
    assert "<li" not in ana.page["edits"] and "Created “Trial”. It is open now." in ana.says()
    ana.at_workspace("enter", first)
    assert ana.info == first and "Slovenia → Antarctica" in ana.page["edits"]
    assert "Antarctica" in ana.page["workspace-edits"] and ana.page["subject"] == "Slovenia"


def test_it_is_renamed_shared_deleted_and_brought_back(ana, tom):
    ana.edits()
    page = ana.at_workspace("rename", text="Team", was=FIRST)
    assert "<h2>Team</h2>" in page["workspace-head"]
    assert "Somebody has just renamed it to 'Team'" in (ana.at_workspace("rename", text="Other", was=FIRST), ana.says())[1]
    ana.at_workspace("share")
    assert "in the list of all users of this EditLab" in ana.says()
    tom.opens()
    assert "shared with you" in tom.says("workspace-rooms")
    shared = ana.info
    tom.at_workspace("enter", shared)
    assert "Slovenia" in tom.says("workspace-edits") and 'data-press="delete"' not in tom.page["workspace-head"]
    tom.at_workspace("delete", shared)
    assert "Only the owner of 'Team' can delete it." in tom.says()
    ana.at_workspace("delete", shared)
    assert ana.info.name == FIRST and "Restore" in ana.says("workspace-rooms") and "Deleted “Team”" in ana.says()
    assert tom.info.name == FIRST and "Team" not in (tom.opens(), tom.says("workspace-rooms"))[1]
    ana.at_workspace("restore", shared)
    assert ana.info.id == shared.id and len(ana.workspace.records) == 1
    kinds = [event.kind for event in ana.workspace.events()]
    assert "renamed" in kinds and "shared" in kinds


def test_a_link_opens_a_shared_one_once_that_was_said_and_no_other(ana, tom, quiet):
    ana.edits()
    private = ana.info
    tom.does("open", workspace=private.handle)
    assert NO_SUCH in tom.says() and tom.info.name == FIRST
    ana.at_workspace("share")
    own = tom.info.id
    tom.does("open", workspace=private.handle)
    assert tom.info.id == own and "Slovenia → Antarctica" not in tom.page["edits"]
    assert f"opens the shared workspace “{private.name}”" in tom.page["link"]
    assert f"You are in “{FIRST}”, which only you can see." in tom.page["link"]
    tom.presses("follow_link", press="stay")
    assert tom.info.id == own and tom.page["link"] == ""
    tom.presses("follow_link", press="follow", workspace=private.handle)
    assert tom.info.id == private.id and "Slovenia → Antarctica" in tom.page["edits"] and tom.page["link"] == ""
    assert private.name in tom.page["where"] and "others can see" in tom.page["where"]


def test_a_workspace_that_a_notebook_shows_opens_unasked_and_a_switch_in_it_does_not(ana, tom, quiet, monkeypatch):
    ana.edits()
    ana.at_workspace("share")
    monkeypatch.setattr(tom.lab, "shown", {ana.info.id})
    own = tom.info.id
    tom.does("open", workspace=ana.info.handle, guard="on")
    assert tom.info.id == own and f"opens the shared workspace “{ana.info.name}”" in tom.page["link"]
    tom.does("open", workspace=ana.info.handle)
    assert tom.info.id == ana.info.id and tom.page["link"] == ""
    assert ana.info.name in tom.page["where"] and "Slovenia → Antarctica" in tom.page["edits"]


def test_a_link_signs_nothing_in_a_shared_workspace(ana, tom, folder, quiet):
    ana.edits()
    write_mask(ana.lab.model, folder)
    ana.at_workspace("share")
    tom.presses("follow_link", press="follow", workspace=ana.info.handle)
    for url in ({"guard": "on"}, {"mask": "on"}, {"workspace": ana.info.handle, "guard": "on", "mask": "on"}):
        before = len(ana.workspace.events())
        tom.does("open", **url)
        assert len(ana.workspace.events()) == before and not ana.workspace.guarded
        assert "turns the " in tom.page["link"] and "which others can see and change" in tom.page["link"]
    tom.presses("follow_link", press="follow", workspace=ana.info.handle, guard="on")
    assert tom.workspace.guarded and not tom.workspace.masked


def test_a_link_acts_at_once_in_ones_own_private_workspace(ana, folder, quiet):
    ana.edits()
    write_mask(ana.lab.model, folder)
    ana.does("open", mask="on")
    assert ana.workspace.masked and ana.page["link"] == ""


def test_the_edit_tab_names_the_workspace_that_one_is_in(ana, quiet):
    ana.does("open")
    assert f"<b>{FIRST}</b>" in ana.page["where"] and "private" in ana.page["where"]


def test_names_are_escaped_and_ids_stay_here(ana, tom):
    ana.edits(EditRequest("{} is in", HARM, f"1{HARM}", f"2{HARM}"))
    ana.at_workspace("rename", text="a & \"b\" 'c'", was=FIRST)
    ana.at_workspace("share")
    tom.at_workspace("enter", ana.info)
    tom.does("workspace_moment", 0)
    for part, shown in tom.page.items():
        assert HARM not in str(shown) or part in FIELDS, part
        if part.startswith("workspace-"):
            assert ana.name not in str(shown).replace("&#39;", "'"), part
    assert "a &amp; &#34;b&#34; &#39;c&#39;" in tom.page["workspace-head"]
    for name in (HARM, "../../x", "a/b"):
        ana.at_workspace("new", text=name)
        assert "name cannot hold" in ana.says()
    assert not any(part.startswith("at-") for part in ana.page), "these are the places of the Edit tab's fields"


# Another visitor's ids


def test_nothing_of_anothers_is_reached_by_its_ids(ana, tom, tmp_path):
    ana.edits(CONTINENT, CAPITAL)
    ana.opens()
    before, secret = audit.verify(ana.lab.ledger).events, ana.workspace.records[0]
    for press in ("enter", "rename", "share", "private", "delete", "restore"):
        for handle in (ana.info.handle, ana.info.id):
            pressed = PressedWorkspace(press=press, workspace=handle, text="Mine", was=FIRST)
            tom.does("workspace_press", NO_PROBES, pressed)
            assert NO_SUCH in tom.says() or "no such workspace" in tom.says(), press
    for press in ("switch", "look", "rep", "remove", "up", "down"):
        tom.at_edit(press, secret.id)
        assert "not in the list any more" in tom.says(), press
    tom.does("workspace_compare", ana.info.handle, 0, "Slovenia is")
    assert NO_SUCH in tom.says()
    tom.does("workspace_return", NO_PROBES, 1)
    assert "no such moment" in tom.says()
    tom.does("workspace_branch", NO_PROBES, 2, "Stolen")
    assert "no such moment" in tom.says()
    for row in ana.lab.jobs.rows(ana.name):
        for press in ("cancel", "resume"):
            tom.at_job(press, row.id)
            assert "There is no such job." in tom.says(), press
    tom.does("workspace_jobs")
    tom.does("workspace_verify")
    assert "Antarctica" not in str(tom.page) and ana.info.handle not in str(tom.page)
    assert audit.verify(ana.lab.ledger).events == before


def test_what_the_browser_says_counts_for_nothing_behind_a_login(ana, tom):
    ana.edits()
    request = FakeRequest("session", username=tom.name)
    shown = {}
    for update in tom.tab["workspace_open"].workspace_open(Visit.of(tom.lab, ana.name, request)):
        shown |= update
    assert "Antarctica" not in str(shown) and tom.lab.directory.current(tom.name).name == FIRST


def test_an_export_is_taken_by_whoever_may_enter_its_workspace(ana, tom, lab, quiet):
    ana.edits()
    ana.does("workspace_pack")
    ana.does("workspace_export", "script", "all")
    tokens = re.findall(r'exports/([\w-]{22})"', ana.page["workspace-bundle"] + ana.page["workspace-format-said"])
    assert len(tokens) == 2 and tokens[1] in ana.page["workspace-jobs"]
    for token in tokens:
        with zipfile.ZipFile(lab.downloads.take(token, ana.name)) as archive_:
            assert archive_.testzip() is None
        assert lab.downloads.take(token, None).is_file()
        with pytest.raises(BadRequest, match="no such file"):
            lab.downloads.take(token, tom.name)
    ana.at_workspace("share")
    assert lab.downloads.take(tokens[0], tom.name).is_file()
    for wrong in ("", "../../ledger.sqlite", tokens[0][:-1]):
        with pytest.raises(BadRequest, match="kept for an hour"):
            lab.downloads.take(wrong, None)


def test_one_edit_is_exported_as_one_file(ana, lab, quiet):
    ana.edits(CONTINENT, EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo"))
    choices = ana.opens()["workspace-only.choices"]
    assert [name for name, _ in choices] == ["All edits that are on", "Slovenia → Antarctica", "Japan → Berlin"]
    ana.does("workspace_export", "csv", choices[2][1])
    (token,) = re.findall(r'exports/([\w-]{22})"', ana.page["workspace-format-said"])
    path = lab.downloads.take(token, None)
    assert path.name == "my-edits-edits.csv" and path.name in ana.says("workspace-format-said")
    assert [line.partition(",")[0] for line in path.read_text(encoding="utf-8").splitlines()] == ["subject", "Japan"]
    with TestClient(create_app(lab), base_url="http://127.0.0.1") as client:
        found = client.get(f"/exports/{token}")
        assert found.headers["content-type"] == "application/octet-stream", "a report is saved, never shown by this server"
        assert found.headers["content-disposition"].startswith("attachment")
    ana.does("workspace_export", "csv", "nothing")
    assert "This edit is off or not in the list any more" in ana.says()


def test_a_file_is_served_under_its_name_alone(ana, lab):
    ana.edits()
    ana.does("workspace_pack")
    (token,) = re.findall(r'exports/([\w-]{22})"', ana.page["workspace-bundle"])
    with TestClient(create_app(lab), base_url="http://127.0.0.1") as client:
        found = client.get(f"/exports/{token}")
        assert found.content == lab.downloads.take(token, None).read_bytes()
        assert "my-edits.editlab.zip" in found.headers["content-disposition"]
        assert found.headers["cache-control"] == "no-store"
        for wrong in (token[:-1], f"{token}/..", "..%2Fledger.sqlite", ""):
            assert client.get(f"/exports/{wrong}").status_code == 404


def test_a_download_goes_after_an_hour(ana, lab, monkeypatch):
    ana.edits()
    ana.does("workspace_pack")
    (token,) = re.findall(r'exports/([\w-]{22})"', ana.page["workspace-bundle"])
    folder = lab.downloads.take(token, None).parent
    monkeypatch.setattr("editlab.lab.access.downloads.KEPT_SECONDS", -1.0)
    with pytest.raises(BadRequest):
        lab.downloads.take(token, None)
    assert not folder.exists()


# Edits and time


def test_an_edits_row_says_who_when_and_why(ana, quiet):
    ana.at_workspace("share")
    ana.why = "  The demo\n needs it "
    ana.applies()
    ana.opens()
    (record,) = ana.workspace.records
    assert (record.reason, record.author) == ("The demo needs it", ana.workspace.author) and record.at
    shown = ana.page["workspace-edits"]
    for part in ("The demo needs it", record.author, record.at, "ROME", "<s>Europe</s>", 'role="switch"'):
        assert part in shown, part
    ana.why = "x" * 301
    ana.applies("Japan")
    assert "300 is the most" in ana.says() and len(ana.workspace.records) == 1


def test_order_switch_and_removal(ana, quiet):
    ana.edits(CONTINENT, CAPITAL)
    first, second = ana.workspace.records
    ana.at_edit("down", first.id)
    assert [record.id for record in ana.workspace.records] == [second.id, first.id] and "Moved to place 2" in ana.says()
    ana.at_edit("down", first.id)
    assert "no place 3" in ana.says()
    ana.at_edit("switch", first.id)
    assert 'aria-checked="false"' in ana.page["workspace-edits"] and "off" in ana.page["edits"]
    ana.at_edit("remove", second.id)
    assert [record.id for record in ana.workspace.records] == [first.id]
    ana.does("workspace_undo", NO_PROBES)
    assert len(ana.workspace.records) == 2 and "Undone: removed" in ana.says()


def test_changes_are_undone_redone_and_all_edits_re_made(ana, quiet):
    ana.edits(CONTINENT, CAPITAL)
    first = ana.workspace.records[0]
    ana.at_edit("rep", first.id)
    assert "Added REP" in ana.says() and 'aria-pressed="true"' in ana.page["workspace-edits"]
    ana.does("workspace_undo", NO_PROBES)
    ana.does("workspace_redo", NO_PROBES)
    assert "Redone: added REP" in ana.says() and ana.workspace.records[0].rep == "default"
    ana.does("workspace_remake", NO_PROBES)
    assert "Recomputed 2 edits." in ana.says() and len(ana.workspace.records) == 2
    ana.does("workspace_stop")
    assert "Nothing is running" in ana.says()


def test_two_hundred_edits_are_one_table(ana):
    ana.edits()
    shown = table.edits([*ana.workspace.records] * 200, {})
    assert shown.count("<tr class=") == 200 and shown.count("disabled") == 2


def test_the_past_is_seen_and_comes_back(ana, quiet):
    ana.edits(CONTINENT, CAPITAL)
    first = ana.workspace.records[0]
    ana.opens()
    assert (ana.page["workspace-moment.maximum"], ana.page["workspace-moment.value"]) == (2, 2)
    ana.does("workspace_moment", 1)
    assert "Applied Slovenia → Antarctica; 1 edit was on" in ana.says("workspace-then")
    assert "Japan" not in ana.says("workspace-were").partition("Then")[0]
    assert all(f"<h3>{title}</h3>" in ana.page["workspace-were"] for title in ("Then", "Now"))
    ana.does("workspace_return", NO_PROBES, 1)
    assert [record.id for record in ana.workspace.records] == [first.id] and "Undo reverses this" in ana.says()
    assert ana.page["workspace-moment.maximum"] == 3
    ana.does("workspace_undo", NO_PROBES)
    assert len(ana.workspace.records) == 2
    ana.does("workspace_return", NO_PROBES, 0)
    assert ana.workspace.records == ()
    ana.does("workspace_return", NO_PROBES, 0)
    assert "These are the edits that are applied now" in ana.says()
    for wrong in (-1, 99):
        ana.does("workspace_moment", wrong)
        assert "no such moment" in ana.says()
    for wrong in (-1, 0.5, None, "x", True):
        with pytest.raises(ValidationError):
            TypeAdapter(Place).validate_python(wrong, strict=True)


def test_a_branch_goes_on_apart(ana, quiet):
    ana.edits(CONTINENT, CAPITAL)
    trunk = ana.info
    ana.does("workspace_branch", NO_PROBES, 1, "Trial")
    assert ana.info.name == "Trial" and [record.request.subject for record in ana.workspace.records] == ["Slovenia"]
    assert f"begins with the edits of “{FIRST}”" in ana.says()
    ana.workspace.clear()
    ana.at_workspace("enter", trunk)
    assert len(ana.workspace.records) == 2
    ana.does("workspace_branch", NO_PROBES, 1, "Trial")
    assert "called 'Trial' already" in ana.says() and ana.info == trunk


def test_two_are_held_side_by_side(ana, quiet):
    ana.edits(CONTINENT)
    ana.does("workspace_branch", NO_PROBES, 1, "Other")
    ana.edits(CAPITAL)
    trunk = next(info for info in ana.lab.directory.workspaces(ana.name) if info.name == FIRST)
    ana.does("workspace_compare", trunk.handle, 0, "Japan is")
    assert f"1 edit in both, 1 only here, 0 only in “{FIRST}”." in ana.says("workspace-compared")
    assert "<h3>Here</h3>" in ana.page["workspace-compared"] and f"<h3>“{FIRST}”</h3>" in ana.page["workspace-compared"]
    ana.does("workspace_compare", display.MOMENT, 0, "Japan is")
    assert "0 edits in both, 2 only here, 0 only in the earlier state." in ana.says("workspace-compared")
    ana.does("workspace_compare", display.MOMENT, 0, "  ")
    assert "nothing to ask" in ana.says()


# Files and jobs


def test_a_bundle_comes_back_as_a_workspace_of_ones_own(ana, tom, lab, quiet, tmp_path):
    ana.edits(CONTINENT)
    ana.does("workspace_pack")
    assert "Download my-edits.editlab.zip" in ana.says("workspace-bundle")
    (token,) = re.findall(r'exports/([\w-]{22})"', ana.page["workspace-bundle"])
    path = lab.downloads.take(token, ana.name)
    tom.does("workspace_import", NO_PROBES, path)
    assert len(tom.workspace.records) == 1 and "an id of its own" in tom.says() and not tom.info.shared
    tom.does("workspace_verify")
    assert "everything is as it was written" in tom.says("workspace-verified")
    bad = tmp_path / "bad.zip"
    bad.write_bytes(Path(path).read_bytes()[:-40])
    for wrong, said in ((bad, "not an archive"), (None, "No file was received")):
        tom.does("workspace_import", NO_PROBES, wrong)
        assert said in tom.says() and str(tmp_path) not in tom.says()


def test_verify_names_what_is_wrong_and_no_folder(ana, lab):
    ana.edits()
    (address,) = ana.workspace.state.chain[0].solves
    file = lab.ledger.tensors.path(address)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    ana.does("workspace_verify")
    file.write_bytes(content)
    said = ana.says("workspace-verified")
    assert "1 fault: events or files are not as they were written" in said and address in said
    assert str(lab.ledger.folder) not in said and ana.name not in said


def test_what_an_export_leaves_out_is_said_at_the_button(ana):
    ana.does("workspace_format", "peft", "all")
    assert "no edit to export" in ana.says()
    ana.edits()
    for format, said in (("peft", "cannot hold REP"), ("csv", "The requests"), ("tensors", "loader")):
        ana.does("workspace_format", format, "all")
        assert said in ana.says("workspace-format-said")
    ana.does("workspace_format", "gguf", "all")
    assert "It takes " in ana.says("workspace-format-said") and "llama.cpp" in ana.says("workspace-format-said")
    for handler in ("workspace_format", "workspace_export"):
        ana.does(handler, "../../etc", "all")
        assert "There is no export" in ana.says()
        assert "cannot be exported" in getattr(FileHandlers, handler).declaration.refusal({"workspace_format": "checkpoint"})
        assert getattr(FileHandlers, handler).declaration.refusal({"workspace_format": "peft"}) == ""


def test_a_job_is_seen_and_stopped(ana, tom, lab):
    def work(progress, cancel):
        progress(0.5, "half of it")
        while not cancel():
            pass

    running = ana.workspace.submit(work, "bench", title="Slow")
    wait_until(lambda: running.text == "half of it")
    ana.does("workspace_jobs")
    assert "Benchmark Slow" in ana.says("workspace-jobs") and "Half of it" in ana.says("workspace-jobs")
    (row,) = lab.jobs.rows(ana.name)
    tom.at_job("cancel", row.id)
    assert "There is no such job." in tom.says() and not running.stopped
    ana.at_job("cancel", row.id)
    assert running.wait(TIMEOUT)
    ana.does("workspace_jobs")
    assert "data-open" not in ana.page["workspace-jobs"]
    ana.at_job("resume", row.id)
    assert "cannot be resumed" in ana.says()


def test_a_workspace_that_cannot_be_read_locks_nobody_out(ana, quiet):
    ana.edits()
    lost = ana.info
    with ana.lab.ledger.transaction() as connection:
        connection.execute(sa.update(EVENTS).where(EVENTS.c.workspace == lost.id).values(body='{"edit": 3}'))
    ana.lab.workspaces._open.clear()
    ana.does("open")
    assert ana.info.id != lost.id and ana.info.name == f"{FIRST} 2"
    assert f"“{FIRST}” cannot be read" in ana.says() and "editlab ledger verify" in ana.says()
    ana.edits()
    assert len(ana.workspace.records) == 1
