"""What several workspaces ask alike is computed once, by content alone; and an update of the page costs what is in it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import pytest
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab import methods
from editlab.errors import BadFile
from editlab.facts import EditRequest
from editlab.lab.asking import answers
from editlab.lab.jobs.shared import Shared
from editlab.lab.workspaces import edits
from editlab.web.page import create_page

ROOM = ("anna", "ben", "cleo", "dan", "eva", "finn")


@pytest.fixture
def room(lab, request, few_steps, few_probes):
    """Six workspaces that begin with the same edit, as the participants of a workshop do."""
    seed = lab.workspace(f"{request.node.name} seed")
    edits.apply(seed, CONTINENT, recipe="default").result(TIMEOUT)
    found = [lab.workspace(f"{request.node.name} {name}") for name in ROOM]
    for workspace in found:
        workspace.begin_as_branch("seed", seed.state)
    lab.context.shared.clear()
    return found


def together(lab, submit, workspaces):
    """The results of jobs that wait for the model at the same time."""
    release = threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    jobs = [submit(workspace) for workspace in workspaces]
    release.set()
    return [job.result(TIMEOUT) for job in jobs]


def test_a_room_that_asks_the_same_costs_as_much_as_one_who_does(lab, room, forwards):
    alone = answers.ask(room[0], CONTINENT).result(TIMEOUT)
    one = len(forwards)
    lab.context.shared.clear()
    forwards.clear()
    lab.model.remembered.clear()
    found = together(lab, lambda workspace: answers.ask(workspace, CONTINENT), room)
    assert 0 < len(forwards) <= 2 * one, "the base model's answers were forgotten as well"
    for own in found:
        assert own.answers == found[0].answers and own.probes.equals(found[0].probes) and own.swept.equals(found[0].swept)
        assert set(own.answers) == {"base", "edited", "rep"} and list(own.probes) == list(alone.probes)


def test_live_questions_of_equal_workspaces_are_rows_of_one(lab, room, forwards):
    text = "Slovenia is"
    answers.live(room[0], text).result(TIMEOUT)
    one = len(forwards)
    lab.context.shared.clear()
    found = together(lab, lambda workspace: answers.live(workspace, text), room)
    assert len(forwards) == 2 * one and all(own == found[0] for own in found)
    assert answers.live(room[3], text).result(TIMEOUT) == found[0] and len(forwards) == 2 * one


def test_who_has_another_edit_or_threshold_gets_answers_of_their_own(lab, room):
    edits.apply(room[1], CAPITAL).result(TIMEOUT)
    room[2].set_threshold(0.5)
    room[3].switch(room[3].records[0].id, False)
    found = together(lab, lambda workspace: answers.ask(workspace, CONTINENT), room)
    assert found[3].probes is None and set(found[3].answers) == {"base"}
    others = [found[n].answers["edited"]["p_new"] for n in (0, 1)]
    assert others[0] != others[1], "the second edit lies in the same layer"
    assert found[0].gates["fires"].tolist() == found[4].gates["fires"].tolist()
    assert found[0].gates is found[4].gates and found[2].gates is not found[0].gates


def test_an_edit_that_everybody_makes_is_computed_once(lab, room, monkeypatch):
    calls, real = [], methods.get("rome").edit
    monkeypatch.setattr(
        type(methods.get("rome")), "edit", lambda self, *given, **named: calls.append(given) or real(*given, **named)
    )
    made = together(lab, lambda workspace: edits.apply(workspace, CAPITAL, recipe="default"), room)
    assert len(calls) == 1
    assert len({record.id for record in made}) == len(room), "each has an id of its own"
    for workspace, record in zip(room, made, strict=True):
        assert workspace.records[-1] is record and record.health == made[0].health
        assert [patch.digest for patch in record.patches] == [patch.digest for patch in made[0].patches]
        assert [patch.digest for patch in record.pathways] == [patch.digest for patch in made[0].pathways]
    edits.apply(room[0], CAPITAL, config={"seed": 7}).result(TIMEOUT)
    edits.apply(room[1], EditRequest(CAPITAL.prompt, CAPITAL.subject, "Rome", "Tokyo")).result(TIMEOUT)
    assert len(calls) == 3, "other settings, or another object, make another edit"


def test_an_edit_whose_file_is_gone_is_computed_again(lab, room):
    record = edits.apply(room[0], CAPITAL).result(TIMEOUT)
    address = room[0].state.chain[-1].files[0]
    room[0].undo()
    lab.ledger.tensors.path(address).unlink()
    with pytest.raises(BadFile):
        lab.ledger.tensors.load(address, lab.model.device)
    again = edits.apply(room[1], CAPITAL).result(TIMEOUT)
    assert [patch.digest for patch in again.patches] == [patch.digest for patch in record.patches]
    assert lab.ledger.tensors.load(address, lab.model.device)


def test_the_latest_results_are_kept_and_what_fails_is_not():
    shared, made = Shared(most=2), []

    def fail():
        raise ValueError

    for key in ("a", "b", "a", "c", "a", "b"):
        shared.once(key, lambda key=key: made.append(key) or key.upper())
    assert made == ["a", "b", "c", "b"]
    with pytest.raises(ValueError):
        shared.once("d", fail)
    assert shared.find("d") is None and shared.once("d", lambda: 1) == 1
    assert list(shared.written("e", lambda: iter([1, 2, 3]))) == [1, 2, 3]
    assert list(shared.written("e", fail)) == [3]
    unfinished = shared.written("f", lambda: iter([1, 2]))
    next(unfinished)
    unfinished.close()
    assert shared.find("f") is None


def awaited(work):
    """Run a coroutine in a thread of its own: where browser tests ran before, a loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_an_update_makes_no_component_that_it_does_not_change(lab, monkeypatch):
    page = create_page(lab)
    event = next(fn for fn in page.fns.values() if fn.api_name == "apply")
    message, stop = (next(part for part in event.outputs if part.elem_id == name) for name in ("message", "stop"))
    update = {message: "Done.", stop: gr.update(interactive=True)}
    expected = awaited(gr.Blocks.postprocess_data(page, event, dict(update), None))
    made, real = [], gr.Button.__init__
    monkeypatch.setattr(gr.Button, "__init__", lambda self, *a, **k: made.append(k) or real(self, *a, **k))
    monkeypatch.setattr(gr.Textbox, "__init__", lambda self, *a, **k: pytest.fail("a field that nobody changed was made"))
    sent = awaited(page.postprocess_data(event, dict(update), None))
    for part, own, usual in zip(event.outputs, sent, expected, strict=True):
        assert own == (usual if part in update else gr.skip())
    assert len(made) == 1
