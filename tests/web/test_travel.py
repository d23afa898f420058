"""A workspace at other times and beside others: order, the way back to any event, branches, and what they answer."""

import pytest
from visitors import CONTINENT, TIMEOUT

from editlab.errors import BadFile, BadRequest
from editlab.facts import EditRequest
from editlab.lab.asking import answers
from editlab.lab.ledger import audit
from editlab.lab.workspaces import edits
from editlab.lab.workspaces.history import ask, branch, differences, snapshot, timeline

CAPITAL = EditRequest("The capital of {} is", "Japan", "Rome")


@pytest.fixture
def workspace(lab, few_steps, request):
    found = lab.workspace(lab.directory.current(request.node.name[:40]).id, "ana")
    edits.apply(found, CONTINENT, reason="for the lecture").result(TIMEOUT)
    edits.apply(found, CAPITAL).result(TIMEOUT)
    return found


def logits(workspace):
    return workspace.context.model.logits([CONTINENT.text, CAPITAL.text], workspace.view).tolist()


def names(workspace):
    return [record.name for record in workspace.records]


def test_an_edit_says_who_applied_it_when_and_why(workspace):
    first, second = workspace.records
    assert (first.author, first.reason, second.reason) == ("ana", "for the lecture", "")
    assert first.at and first.at < second.at
    moments = timeline(workspace)
    assert [(moment.text, moment.author, moment.edits) for moment in moments if moment.changed] == [
        ("applied Slovenia → Antarctica", "ana", 1),
        ("applied Japan → Rome", "ana", 2),
    ]


def test_edits_are_put_in_another_order_and_back(workspace):
    first, second = workspace.records
    before = logits(workspace)
    workspace.move(second.id, 0)
    assert names(workspace) == [second.name, first.name]
    assert workspace.undo() == "moved Slovenia → Antarctica to place 2"
    assert names(workspace) == [first.name, second.name] and logits(workspace) == before
    for place in (-1, 2):
        with pytest.raises(BadRequest, match="no place"):
            workspace.move(first.id, place)
    with pytest.raises(BadRequest, match="does not exist any more"):
        workspace.move("nobody", 0)


def test_the_state_after_any_event_comes_back_exactly_and_can_be_undone(workspace):
    changed = [moment.number for moment in timeline(workspace) if moment.changed]
    now = logits(workspace)
    then = workspace.context.model.logits([CONTINENT.text, CAPITAL.text], snapshot(workspace, changed[0]).view).tolist()
    workspace.clear()
    assert workspace.return_to(changed[0]) == f"returned to the edits after event {changed[0]}"
    assert logits(workspace) == then and len(workspace.records) == 1
    workspace.undo()
    assert workspace.records == ()
    workspace.return_to(changed[1])
    assert logits(workspace) == now
    with pytest.raises(BadRequest, match="now"):
        workspace.return_to(changed[1])
    for number in (-1, 10_000):
        with pytest.raises(BadRequest, match="Choose one of them"):
            workspace.return_to(number)
        with pytest.raises(BadRequest, match="Choose one of them"):
            snapshot(workspace, number)


def test_a_question_is_answered_then_and_now(workspace):
    lab, first = workspace.context, next(moment.number for moment in timeline(workspace) if moment.changed)
    said = ask(lab, CAPITAL.text, {"then": snapshot(workspace, first), "now": snapshot(workspace)}).result(TIMEOUT)
    assert [p for _, p in said["now"]["top"]] == pytest.approx(
        [p for _, p in answers.live(workspace, CAPITAL.text).result(TIMEOUT)["edited"]["top"]], abs=1e-5
    )
    assert said["then"]["top"] != said["now"]["top"]


def test_a_branch_begins_with_what_lay_there_and_goes_its_own_way(lab, workspace, request):
    visitor = request.node.name[:40]
    info = lab.directory.current(visitor)
    first = next(moment.number for moment in timeline(workspace) if moment.changed)
    made = lab.workspace(branch(lab.workspaces, visitor, workspace, info, "What if", first).id)
    assert names(made) == ["Slovenia → Antarctica"] and not made.can_undo
    assert made.records[0].author == "ana"
    edits.apply(made, EditRequest("The capital of {} is", "France", "Rome")).result(TIMEOUT)
    assert names(workspace) == ["Slovenia → Antarctica", "Japan → Rome"]
    assert timeline(made)[0].text == f"branched it from 'My edits' after event {first}, with 1 edit"
    rows = {request.subject: (here, there) for request, here, there in differences(workspace.state.chain, made.state.chain)}
    assert rows == {"Slovenia": (True, True), "Japan": (True, False), "France": (False, True)}
    with pytest.raises(BadRequest, match="already"):
        branch(lab.workspaces, visitor, workspace, info, "What if")


def test_a_branch_has_the_settings_of_then_and_a_state_the_threshold_of_then(lab, workspace, request):
    visitor = request.node.name[:40]
    info, before = lab.directory.current(visitor), workspace.state.number
    default = workspace.threshold
    workspace.set_threshold(0.25)
    workspace.set_limits({"kl": 0.125})
    workspace.note("masked", on=True)
    workspace.note("guarded", on=True)
    then = workspace.state
    workspace.set_threshold(0.75)
    workspace.set_guarded(False)
    for number, expected in ((before, default), (then.number, 0.25), (None, 0.75)):
        assert snapshot(workspace, number).view.threshold == expected
    early, later, now = (
        lab.workspace(branch(lab.workspaces, visitor, workspace, info, name, number).id)
        for name, number in (("Early", before), ("Later", then.number), ("Now", None))
    )
    assert (early.threshold, early.masked, early.guarded, early.state.limits) == (default, False, False, {})
    assert set(early.events()[0].body) == {"of", "number", "edits", "by"}
    assert (later.threshold, later.masked, later.guarded, later.state.limits) == (0.25, True, True, then.limits)
    assert (now.threshold, now.masked, now.guarded, now.state.limits) == (0.75, True, False, then.limits)
    assert audit.verify(lab.ledger).ok


def test_a_branch_whose_files_are_gone_leaves_no_workspace(lab, workspace, request):
    visitor = request.node.name[:40]
    info = lab.directory.current(visitor)
    files = {path: path.read_bytes() for path in lab.ledger.tensors.folder.iterdir()}
    for path in files:
        path.unlink()
    with pytest.raises(BadFile, match="cannot be read"):
        branch(lab.workspaces, visitor, workspace, info, "What if")
    assert [own.name for own in lab.directory.workspaces(visitor) if own.mine] == [info.name]
    for path, content in files.items():
        path.write_bytes(content)
    assert branch(lab.workspaces, visitor, workspace, info, "What if").name == "What if"


def test_every_event_of_a_long_life_has_a_sentence(workspace):
    first = workspace.records[0]
    workspace.switch(first.id, False)
    workspace.switch(first.id, True)
    workspace.undo()
    workspace.redo()
    workspace.set_threshold(0.7)
    workspace.set_limits({"kl": 0.25})
    workspace.note("renamed", name="Lecture")
    workspace.note("shared", on=True)
    workspace.remove(first.id)
    workspace.clear()
    assert [moment.text for moment in timeline(workspace)][2:] == [
        "switched off Slovenia → Antarctica",
        "switched on Slovenia → Antarctica",
        "undid: switched on Slovenia → Antarctica",
        "redid: switched on Slovenia → Antarctica",
        "set the gate threshold to 0.70",
        "set the alarm limits",
        "renamed it to 'Lecture'",
        "shared it",
        "removed Slovenia → Antarctica",
        "removed all 1 edit",
    ]
