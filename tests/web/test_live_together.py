"""Live questions of several visitors in one batch: fewer forwards, the same answers, and nobody feels the others."""

import threading

import pytest
from visitors import TIMEOUT

from editlab.errors import Cancelled, TooLong
from editlab.facts import EditRequest
from editlab.lab.asking import answers
from editlab.lab.workspaces import edits
from editlab.model.reading import Reading

PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru")
TEXTS = [f"{place} belongs to the continent of"[: 40 - 2 * number] for number, place in enumerate(PLACES)]


@pytest.fixture
def visitors(lab, few_steps):
    """Eight workspaces, every other one with an edit of its own."""
    found = [lab.workspace(f"together {place}") for place in PLACES]
    for number, workspace in enumerate(found):
        if number % 2 == 0 and not workspace.records:
            edits.apply(workspace, EditRequest("{} is", PLACES[number], PLACES[number - 1])).result(TIMEOUT)
    return found


@pytest.fixture
def held(lab):
    """The worker waits until this event is set: whatever is asked before, waits as well."""
    release = threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    yield release
    release.set()


def test_eight_questions_cost_as_many_forwards_as_one_and_get_the_same_answers(lab, visitors, forwards):
    alone = []
    for workspace, text in zip(visitors, TEXTS, strict=True):
        alone.append(answers.live(workspace, text).result(TIMEOUT))
    one_by_one = len(forwards)
    lab.context.shared.clear()
    release = threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    jobs = [answers.live(workspace, text) for workspace, text in zip(visitors, TEXTS, strict=True)]
    release.set()
    together = [job.result(TIMEOUT) for job in jobs]
    assert len(forwards) - one_by_one <= one_by_one / 4
    for one, other in zip(alone, together, strict=True):
        assert list(one) == list(other)
        for view in one:
            (first, *_), (second, *_) = one[view]["top"], other[view]["top"]
            assert first[0] == second[0] and one[view]["text"] == other[view]["text"]
            assert [p for _, p in one[view]["top"]] == pytest.approx([p for _, p in other[view]["top"]], abs=1e-3)


def test_who_edits_sees_the_edit_and_nobody_else_does(visitors, held):
    jobs = [answers.live(workspace, "Slovenia is") for workspace in visitors[:2]]
    held.set()
    assert [set(job.result(TIMEOUT)) for job in jobs] == [{"base", "edited"}, {"base"}]


def test_one_who_stops_in_the_middle_leaves_the_others_their_answers(lab, visitors, held, monkeypatch):
    jobs = [answers.live(workspace, text) for workspace, text in zip(visitors, TEXTS, strict=True)][:4]
    stream, steps = Reading.write, []

    def stopping(reading, *args, **options):
        for written in stream(reading, *args, **options):
            steps.append(written)
            if len(steps) == 2:
                jobs[1].cancel()
            yield written

    monkeypatch.setattr(Reading, "write", stopping)
    held.set()
    with pytest.raises(Cancelled):
        jobs[1].result(TIMEOUT)
    assert all(job.result(TIMEOUT)["base"]["top"] for job in (jobs[0], *jobs[2:]))
    assert len(steps) == lab.context.answer_tokens and len(steps[0]) > 8, "all went through one generation, to its end"


def test_a_generation_that_nobody_waits_for_ends(lab, visitors, held, forwards):
    jobs = [answers.live(workspace, text) for workspace, text in zip(visitors, TEXTS, strict=True)]
    for job in jobs:
        job.cancel()
    held.set()
    for job in jobs:
        with pytest.raises(Cancelled):
            job.result(TIMEOUT)
    assert forwards == []


def test_a_text_that_is_too_long_is_the_problem_of_its_own_visitor(lab, visitors, held):
    room = lab.model.tok.context - 2
    texts = [TEXTS[0], "the " * 3000, lab.model.tok.decode(lab.model.tok.encode("the " * room)[1:room]), TEXTS[3]]
    jobs = [answers.live(workspace, text) for workspace, text in zip(visitors, texts, strict=False)]
    held.set()
    assert jobs[0].result(TIMEOUT)["base"]["text"] and jobs[3].result(TIMEOUT)["base"]["top"]
    for job in jobs[1:3]:
        with pytest.raises(TooLong):
            job.result(TIMEOUT)


def test_questions_are_done_before_their_turn_where_others_work_comes_between(lab, visitors, held):
    first = answers.live(visitors[0], TEXTS[0])
    between = threading.Event()
    lab.worker.submit(lambda progress, cancel: between.wait(TIMEOUT))
    second = answers.live(visitors[1], TEXTS[1])
    held.set()
    try:
        assert first.result(TIMEOUT) and second.result(TIMEOUT)["base"]["top"]
    finally:
        between.set()
    assert lab.worker.submit(lambda progress, cancel: "on").result(TIMEOUT) == "on"
