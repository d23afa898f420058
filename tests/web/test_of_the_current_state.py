"""After every change the page shows the workspace as it is now, and nothing that belongs to an earlier state."""

import pytest
from visitors import CAPITAL, FakeRequest, Visitor, runs

from editlab.errors import TooMany
from editlab.lab.asking import answers
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.turns import Turns
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.workspace.display import WorkspaceDisplay
from editlab.web.workspace.file_handlers import FileHandlers
from editlab.web.workspace.handlers import PressedWorkspace, WorkspaceHandlers

FAULTY = ("\n".join(f"Probe {n} is" for n in range(21)), "Slovenia\x07 is"), ("", "Slovenia\x07 is")
WHY = "There are 21 own probes", "holds a control or broken character"
NONE = OwnProbes(own_rephrases="", own_neighbours="")
NEW = PressedWorkspace(press="new", workspace="", text="Second")


class Tabs:
    """The Workspace tab of a visitor."""

    def __init__(self, visitor: Visitor) -> None:
        display = WorkspaceDisplay(visitor.lab, Display(visitor.lab, Turns()))
        self.visitor, self.page = visitor, visitor.page
        self.handlers, self.files = WorkspaceHandlers(visitor.lab, display), FileHandlers(visitor.lab, display)

    def does(self, handler, *fields):
        handlers = self.files if hasattr(self.files, handler) else self.handlers
        for update in runs(handlers, handler, self.visitor.name, *fields):
            for name, value in update.items():
                known = self.page.get(name)
                self.page[name] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
        return self.page


@pytest.fixture
def chat(lab, monkeypatch):
    """A model with a chat template."""
    monkeypatch.setattr(lab.model.tokenizer, "chat_template", "{{ messages[0].content }} Answer:")
    lab.model.__dict__.pop("chat", None)
    yield
    lab.model.__dict__.pop("chat", None)


@pytest.mark.parametrize(("own", "why"), list(zip(FAULTY, WHY, strict=True)))
def test_a_change_is_drawn_whatever_the_own_probes_are(visitor, instant, few_probes, own, why):
    visitor.applies()
    (record,) = visitor.workspace.records
    visitor.own = own
    for handler, button, left in (
        ("undo", None, 0),
        ("redo", None, 1),
        ("change_edit", {"press": "switch"}, 1),
        ("change_edit", {"press": "switch"}, 1),
        ("catch_up", None, 1),
        ("set_guard", "off", 1),
        ("change_edit", {"press": "remove"}, 0),
    ):
        given = [visitor.button(handler, edit=record.id, **button)] if isinstance(button, dict) else []
        given = ["rome", button] if isinstance(button, str) else given
        visitor.page.clear()
        page = visitor.does(handler, *given)
        assert page["edits"].count('data-press="remove"') == left == len(visitor.workspace.records), handler
        assert why in page["message"] and "problem" not in page["message"], handler
        assert "<section" in page["picture"], handler
    assert visitor.can("undo", "redo") == [True, False]
    visitor.does("undo")
    assert why in visitor.does("probe")["message"], "who asks the probes again is told"


def test_rep_that_is_not_added_is_not_shown_as_on(visitor, instant, few_probes):
    visitor.applies()
    visitor.own, visitor.rep = FAULTY[0], "default"
    visitor.page["rep"] = visitor.rep  # which was just chosen
    page = visitor.does("set_rep")
    assert WHY[0] in page["message"] and page["rep"] == "off"


def test_a_change_is_drawn_where_nothing_can_be_asked_now(visitor, instant, few_probes, monkeypatch):
    visitor.applies()

    def full(*given, **named):
        raise TooMany("The queue is full.")

    monkeypatch.setattr(answers, "ask", full)
    page = visitor.does("undo")
    assert "The queue is full" in page["message"] and 'data-press="remove"' not in page["edits"]
    assert visitor.can("undo", "redo") == [False, True]


def test_live_answers_do_not_outlive_a_change(visitor, instant, few_probes):
    visitor.applies()
    (record,) = visitor.workspace.records
    for handler, *given in (
        ("undo",),
        ("redo",),
        ("change_edit", visitor.button("change_edit", press="switch", edit=record.id)),
        ("set_guard", "rome", "off"),
        ("catch_up",),
        ("apply", "rome", visitor.slovenia),
    ):
        assert "<section" in visitor.does("ask", "The capital of France is")["ask-answers"]
        assert visitor.does(handler, *given)["ask-answers"] == "", handler


def test_live_answers_of_another_workspace_are_not_shown(visitor, instant, few_probes):
    visitor.applies()
    visitor.does("ask", "The capital of France is")
    assert Tabs(visitor).does("workspace_press", NONE, NEW)["ask-answers"] == ""


def test_the_link_of_a_report_goes_with_its_edit(visitor, instant, few_probes):
    visitor.applies(CAPITAL.subject, CAPITAL.prompt, CAPITAL.target_new, CAPITAL.target_true)
    visitor.applies()
    first, _ = visitor.workspace.records
    assert "exports/" in visitor.does("report_edit")["report-file"]
    assert visitor.presses("change_edit", press="look", edit=first.id)["report-file"] == ""
    visitor.page["report-file"] = "that of the first edit"
    assert visitor.does("undo")["report-file"] == ""


def test_a_report_that_is_ready_late_is_not_offered_beside_another_edit(visitor, instant, few_probes):
    visitor.applies(CAPITAL.subject, CAPITAL.prompt, CAPITAL.target_new, CAPITAL.target_true)
    visitor.applies()
    first, _ = visitor.workspace.records
    reporting = visitor.updates_of("report_edit")
    visitor.page |= next(reporting)
    visitor.presses("change_edit", press="look", edit=first.id)
    for update in reporting:
        visitor.page |= update
    assert visitor.page["report-file"] == "" and "Workspace" in visitor.page["message"]


def test_links_to_files_of_another_workspace_are_not_shown(visitor, instant, few_probes):
    visitor.applies()
    tabs = Tabs(visitor)
    record = visitor.workspace.records[0]
    tabs.does("workspace_export", "csv", record.id)
    page = tabs.does("workspace_pack")
    assert "exports/" in page["workspace-format-said"] and "exports/" in page["workspace-bundle"]
    page = tabs.does("workspace_press", NONE, NEW)
    assert "exports/" not in page["workspace-format-said"] and page["workspace-bundle"] == ""
    assert page["workspace-only"]["value"] == "all" and page["workspace-format"] == "peft"
    assert "adapter" in page["workspace-format-said"]


def test_how_everything_is_asked_is_shown_as_the_workspace_has_it(visitor, instant, few_probes, chat):
    visitor.applies()
    visitor.does("set_form", "chat", "")
    assert visitor.workspace.form == "chat"
    page = Tabs(visitor).does("workspace_press", NONE, NEW)
    assert Visit.of(visitor.lab, visitor.name, FakeRequest(visitor.name)).workspace.form == page["form"] == "plain"
