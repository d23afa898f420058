"""What the Edit tab does when it is touched, without a browser."""

import re
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from visitors import TIMEOUT, FakeRequest, Visitor, wait_until

from editlab.errors import EditLabError
from editlab.lab import EditRecord
from editlab.web.forms import MOST, read_request


def is_problem(message: str) -> bool:
    return 'class="problem"' in message


def test_opening_the_page_asks_the_first_preset_and_says_the_next_step(visitor):
    page = visitor.does("open")
    assert (page["subject"], page["target-new"], page["preset"]) == ("Slovenia", "Antarctica", "slovenia")
    assert 'class="said"' in page["answer-base"] and 'class="said"' not in page["answer-edited"]
    assert "Press “Apply edit”" in page["answer-edited"] and "Apply edit" in page["message"]
    assert all(visitor.can("apply", "preset")) and not any(visitor.can("stop", "undo", "redo"))
    assert page["visitor"] == visitor.name


def test_the_url_names_preset_and_method(visitor):
    page = visitor.does("open", preset="messi", method="memit")
    assert (page["subject"], page["preset"], page["method"]) == ("Lionel Messi", "messi", "memit")


def test_an_unknown_preset_in_the_url_shows_the_first_and_says_so(visitor):
    page = visitor.does("open", preset="<b>nowhere</b>", method="magic")
    assert page["subject"] == "Slovenia" and "method" not in page
    assert "There is no preset" in page["message"] and "<b>" not in page["message"]


def test_a_preset_fills_the_fields(visitor):
    page = visitor.does("choose", "hamlet")
    assert (page["subject"], page["target-new"], page["target-true"]) == ("Hamlet", "Jane Austen", "William Shakespeare")
    assert "Hamlet" in page["question"] and "Shakespeare loses a play" in page["say"]
    assert is_problem(visitor.does("choose", "nowhere")["message"])


def test_apply_shows_both_answers_scores_probes_and_health(visitor):
    page = visitor.applies()
    assert len(visitor.workspace.records) == 1
    for view in ("base", "edited"):
        card = page[f"answer-{view}"]
        assert card.count("<li") == 5 and "p(Antarctica)" in card and "p(Europe)" in card
    assert page["answer-base"].split("said", 1)[1] != page["answer-edited"].split("said", 1)[1]
    assert page["probe-table"].count("<tr") > 30
    for word in ("Locality", "Propagation", "p(new)"):
        assert word in page["probe-table"]
    assert re.search(r"✓</span> (kept|changed|follows)<|✗</span> (harmed|missed|does not follow)<", page["probe-table"])
    assert "Success" in page["scores"] and "|ΔW| / |W|" in page["health"] and "Divisor" in page["health"]
    assert "Slovenia belongs to the continent of" in page["edits"]
    assert "Edited in" in page["message"] and not is_problem(page["message"])
    assert all(visitor.can("apply", "undo", "preset")) and not any(visitor.can("stop", "redo"))


def test_undo_and_redo_change_the_edited_answer_and_the_buttons(visitor, few_steps):
    edited = dict(visitor.applies())
    undone = dict(visitor.does("undo"))
    assert 'class="said"' not in undone["answer-edited"] and undone["answer-base"] == edited["answer-base"]
    assert "No edit lies over the model" in undone["edits"] and "<table" not in undone["probe-table"]
    assert all(visitor.can("redo")) and not any(visitor.can("undo"))
    redone = visitor.does("redo")
    assert redone["answer-edited"] == edited["answer-edited"] and redone["probe-table"] == edited["probe-table"]
    assert is_problem(visitor.does("redo")["message"])


def test_coming_back_finds_the_edits_and_the_question(lab, visitor, few_steps):
    visitor.applies("Japan", "The capital of {} is", "Berlin", "Tokyo")
    again = Visitor(lab, visitor.name)
    page = again.does("open")
    assert (page["subject"], page["target-new"]) == ("Japan", "Berlin")
    assert 'class="said"' in page["answer-edited"] and "<table" in page["probe-table"]


def test_ask_continues_a_text_under_both_views(visitor, few_steps):
    visitor.applies()
    page = visitor.does("ask", "Ljubljana is the capital of")
    assert page["ask-answers"].count("<section") == 2 and page["ask-message"] == ""


def test_stop_ends_a_running_edit_with_a_sentence_and_frees_the_buttons(lab, visitor, endless):
    running = threading.Thread(target=visitor.applies)
    running.start()
    wait_until(lambda: any("Value: step" in message for message in visitor.messages))
    assert all(visitor.can("stop")) and not any(visitor.can("apply", "undo", "redo", "preset"))
    page = Visitor(lab, visitor.name).does("stop")
    assert "Stopping" in page["message"]
    running.join(TIMEOUT)
    assert not running.is_alive()
    assert "Stopped" in visitor.page["message"] and visitor.workspace.records == ()
    assert all(visitor.can("apply")) and not any(visitor.can("stop", "undo"))


def test_a_page_opened_during_an_edit_follows_it(lab, visitor, endless):
    running = threading.Thread(target=visitor.applies)
    running.start()
    wait_until(lambda: any("Value: step" in message for message in visitor.messages))
    second = Visitor(lab, visitor.name)
    watching = threading.Thread(target=second.does, args=("open",))
    watching.start()
    wait_until(lambda: any("Value: step" in message for message in second.messages))
    assert all(second.can("stop")) and not any(second.can("apply"))
    second.does("stop")
    for thread in (running, watching):
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert second.page["subject"] == "Slovenia" and all(second.can("apply"))


def test_progress_comes_at_most_eight_times_a_second(visitor, endless):
    times: list[float] = []

    def run():
        for update in visitor.handlers.apply(
            visitor.name, "rome", "Slovenia", "{} is in", "Asia", "", FakeRequest(visitor.name)
        ):
            if "progress" in update.get("message", ""):
                times.append(time.monotonic())

    running = threading.Thread(target=run)
    running.start()
    wait_until(lambda: len(times) >= 8)
    visitor.does("stop")
    running.join(TIMEOUT)
    assert (len(times) - 2) / (times[-1] - times[1]) <= 8


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"subject": ""}, "subject is empty"),
        ({"subject": None}, "subject is empty"),
        ({"subject": "Slovenja", "prompt": "Slovenia is in"}, "does not occur"),
        ({"subject": "x" * 201}, "200 is the most"),
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": "{} and {} are in"}, "2 {}"),
        ({"prompt": "Slovenia and Slovenia are in"}, "twice"),
        ({"prompt": "{}" + " so" * 400}, "1000 is the most"),
        ({"new": "  "}, "new object is empty"),
        ({"new": "europe"}, "true object already"),
        ({"new": "y" * 101}, "100 is the most"),
        ({"new": "two\nlines"}, "one line"),
        ({"true": "z" * 101}, "100 is the most"),
        ({"true": "{}"}, "holds {}"),
        ({"method": "magic"}, "no method"),
        ({"prompt": "{}" + " 日本" * 300}, "context holds"),
        ({"subject": "\ud800"}, "character"),
    ],
)
def test_bad_input_is_a_sentence_and_changes_nothing(visitor, fields, says):
    before = visitor.workspace.records
    page = visitor.applies(**fields)
    assert is_problem(page["message"]) and says in page["message"].replace("&#39;", "'")
    assert visitor.workspace.records is before
    assert all(visitor.can("apply")) and not any(visitor.can("stop"))


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "nothing to ask"), (None, "nothing to ask"), ("w" * 2001, "2000 is the most"), ("\x00", "control")],
)
def test_a_bad_question_is_a_sentence(visitor, text, says):
    page = visitor.does("ask", text)
    assert is_problem(page["ask-message"]) and says in page["ask-message"]


ODD = st.text(st.characters(exclude_categories=()), max_size=30)
TEXTS = (
    ODD
    | ODD.map("{{}}{}".format)
    | st.sampled_from(["{}", "{} is in", "Slovenia", "", " ", "<b>", "{0}", "%s", "\u200b", "é"])
)


@given(subject=TEXTS, prompt=TEXTS, new=TEXTS, true=TEXTS | st.none(), method=st.sampled_from(["rome", "memit", "?", None]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_in_any_field_breaks_the_page(visitor, few_steps, subject, prompt, new, true, method):
    workspace = visitor.workspace
    before = workspace.records
    page = visitor.applies(subject, prompt, new, true, method)
    assert "error of its own" not in page["message"]
    try:
        read_request(subject, prompt, new, true)
    except EditLabError:
        assert is_problem(page["message"])
    if is_problem(page["message"]):
        assert workspace.records is before
    assert all(isinstance(record, EditRecord) for record in workspace.records)
    if workspace.records:
        visitor.does("undo")


@given(text=TEXTS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_question_breaks_the_page(visitor, text):
    page = visitor.does("ask", text)
    assert is_problem(page["ask-message"]) or "<section" in page["ask-answers"]


def test_an_unforeseen_error_is_a_sentence_without_its_traceback(visitor, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(visitor.workspace), "look", broken)
    page = visitor.does("open")
    assert is_problem(page["message"]) and "secret detail" not in page["message"]
    assert "secret detail" in caplog.text


def test_a_name_no_browser_gave_is_not_taken_for_a_visitor(lab):
    stranger = Visitor(lab, "session")
    for odd in (None, 7, "", "x" * 65, {"a": 1}):
        assert stranger.handlers._visitor(odd, FakeRequest(stranger.name)) == "session"


def test_limits_are_those_that_the_page_announces():
    assert (MOST["subject"], MOST["prompt"], MOST["new object"], MOST["question"]) == (200, 1000, 100, 2000)
