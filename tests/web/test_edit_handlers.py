"""What the Edit tab does when it is touched, without a browser."""

import re
import threading
import time

import gradio as gr
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from visitors import TIMEOUT, FakeRequest, Visitor, accepts, wait_until

from editlab.errors import BadFile, EditLabError
from editlab.lab import EditRecord
from editlab.lab.asking import answers
from editlab.lab.workspaces import edits
from editlab.web.core import updates
from editlab.web.core.components import Parts
from editlab.web.core.forms import read_request
from editlab.web.core.inputs import LENGTHS
from editlab.web.core.visit import MADE, Visit
from editlab.web.core.wiring import _by_components


def is_problem(message: str) -> bool:
    return 'class="problem' in message


def column(page: dict, view: str) -> str:
    """One view's column of the picture."""
    return page["picture"].split(f'id="answer-{view}"')[1].split("</section>")[0]


def said(page: dict, view: str) -> str:
    """A view's answer."""
    return re.search(r'class="said[^>]*>(?:<s>)?([^<]*)', column(page, view))[1]


def test_opening_the_page_asks_the_first_preset_and_says_the_next_step(visitor):
    page = visitor.does("open")
    assert (page["subject"], page["target-new"], page["preset"]) == ("Slovenia", "Antarctica", "slovenia")
    assert 'class="said' in column(page, "base") and 'class="said' not in column(page, "edited")
    assert "Press “Apply edit”" in column(page, "edited") and "Apply edit" in page["message"]
    assert all(visitor.can("apply")) and not any(visitor.can("stop", "undo", "redo"))
    assert page["visitor"] == visitor.name


def test_the_url_names_preset_method_rep_and_view(visitor):
    page = visitor.does("open", preset="messi", method="memit", rep="published", view="edited")
    assert (page["subject"], page["preset"], page["method"], page["view"]) == ("Lionel Messi", "messi", "memit", "edited")
    assert page["rep"] == "published" and "rep" not in Visitor(visitor.lab, "other").does("open", rep="magic")


def test_an_unknown_preset_in_the_url_shows_the_first_and_says_so(visitor):
    page = visitor.does("open", preset="<b>nowhere</b>", method="magic")
    assert page["subject"] == "Slovenia" and "method" not in page
    assert "There is no example" in page["message"] and "<b>" not in page["message"]


OWN = {"subject": "Japan", "prompt": "The capital of {} is", "new": "Berlin", "true": "Tokyo"}


def test_a_link_holds_an_own_request_in_place_of_an_example(visitor):
    page = visitor.does("open", preset="hamlet", **OWN)
    assert (page["subject"], page["target-new"], page["target-true"], page["preset"]) == ("Japan", "Berlin", "Tokyo", None)
    assert "The capital of" in page["picture"] and page["link"] == "" and visitor.workspace.records == ()


def test_a_link_with_a_request_that_is_not_valid_says_why(visitor):
    page = visitor.does("open", subject="Japan", prompt="The capital of Peru is", new="Berlin")
    assert "does not occur in the prompt" in page["message"] and page["subject"] == "Slovenia"
    page = visitor.does("open", subject="x" * 5_000, prompt="{}", new="y")
    assert "Shorten it" in page["message"]


def test_a_link_applies_nothing_before_it_is_asked(visitor, few_steps, few_probes):
    page = visitor.does("open", run="1", **OWN)
    assert "This link applies an edit: Japan → Berlin" in page["link"] and "only you see" in page["link"]
    assert visitor.workspace.records == () and [event.kind for event in visitor.workspace.events()] == ["looked"]
    assert visitor.presses("follow_link", press="run")["link"] == "" and visitor.workspace.records == ()
    assert visitor.does("open", run="1", **OWN)["link"] != ""
    japan = visitor.request("Japan", "The capital of {} is", "Berlin", "Tokyo")
    assert visitor.does("apply", "rome", japan, run="1", **OWN)["link"] == "", "it was made by the page's own button"
    assert visitor.does("open", run="1", **OWN)["link"] == "", "it is applied already"
    assert "Slovenia → Antarctica" in visitor.does("open", run="1", preset="slovenia")["link"]


def test_a_preset_fills_the_fields(visitor):
    page = visitor.does("choose_example", "hamlet")
    assert (page["subject"], page["target-new"], page["target-true"]) == ("Hamlet", "Jane Austen", "William Shakespeare")
    assert "Hamlet" in page["picture"] and "Shakespeare loses a play" in page["say"]
    assert is_problem(visitor.does("choose_example", "nowhere")["message"])


def test_apply_shows_both_answers_scores_probes_and_health(visitor):
    page = visitor.applies()
    assert len(visitor.workspace.records) == 1
    for view in ("base", "edited"):
        card = column(page, view)
        assert card.count("<li") == 5 and "p(Antarctica)" in card and "p(Europe)" in card
    assert said(page, "base") != said(page, "edited") and "<s>" in column(page, "base")
    assert page["probe-table"].count('<details class="probe') > 30
    for word in ("Locality", "Ripple effects", "p(new)"):
        assert word in page["probe-table"]
    assert re.search(r"✓</span> (kept|changed|follows)<|✗</span> (harmed|missed|does not follow)<", page["probe-table"])
    assert (
        "Efficacy" in page["scores"]
        and "did not take" in page["scores"]
        and "|ΔW| / |W|" in page["health"]
        and "Divisor" in page["health"]
    )
    assert "Slovenia → Antarctica" in page["edits"]
    assert "Computed in" in page["message"] and "did not take" in page["message"], "a random model cannot be edited"
    assert "did not take" in page["warnings"] and not is_problem(page["message"]) and page["progress"] == ""
    assert all(visitor.can("apply", "undo", "remake")) and not any(visitor.can("stop", "redo"))
    assert visitor.page["why"] == ""  # the reason was this edit's


def test_probes_come_from_the_most_telling_kind_on_and_no_row_moves(visitor, few_steps, few_probes):
    tables = [
        update["probe-table"]
        for update in visitor.updates_of("apply", "rome", visitor.slovenia)
        if "<details" in str(update.get("probe-table", ""))
    ]
    rows = [re.findall(r'<details class="probe( waiting)?".*?data-text="([^"]*)"', table) for table in tables]
    assert len({tuple(text for _, text in row) for row in rows}) == 1, "all rows are there from the beginning"
    waiting = [[bool(mark) for mark, _ in row] for row in rows]
    assert all(row == sorted(row) for row in waiting) and not any(waiting[-1])
    kinds = re.findall(r'class="kind">(\w+)', tables[-1])
    kinds = list(dict.fromkeys(kinds))
    assert kinds[0] == "Efficacy" and kinds[1] == "Rephrase" and kinds[-1] == "Long"


def test_the_first_answer_of_an_edit_is_shown_before_rep_is_trained(visitor, few_steps, few_probes, monkeypatch):
    visitor.rep, seen = "default", []
    real = edits.train_pathways

    def train(*given):
        wait_until(lambda: any(re.search("answer edited (un)?changed", page) for page in seen))
        assert not visitor.workspace.records, "the edit is not applied yet"
        return real(*given)

    monkeypatch.setattr(edits, "train_pathways", train)
    for update in visitor.updates_of("apply", "rome", visitor.slovenia):
        seen.append(str(update.get("picture", "")))
    assert visitor.workspace.records[0].rep == "default"


def test_rep_is_a_third_column_with_scores_verdicts_gates_and_a_curve(visitor):
    visitor.rep = "default"
    page = visitor.applies()
    assert page["picture"].count('class="said') == 3 and 'class="said' in column(page, "rep")
    assert re.search(r"<i>\d+ →</i> \d+ <small>of \d+", page["scores"]) and "Edited model → Edited + REP" in page["scores"]
    assert page["probe-table"].count('class="said rep"') == page["probe-table"].count('<details class="probe')
    assert "REP in" in page["message"] and "Edited + REP: “" in page["message"]
    assert "without key statistics" in page["warnings"] and "no key statistics" in page["edits"]
    assert page["gate-tokens"].count("<li") == len(answers.tokens(visitor.workspace, "Slovenia belongs to the continent of"))
    assert len(page["gate-curve"].data) > 2 and "<table" in page["gate-table"] and page["gate-said"]
    assert page["threshold"] == visitor.workspace.threshold
    assert 'aria-pressed="true"' in page["edits"] and "REP: time, s" in page["health"]
    assert all(visitor.can("apply", "undo")) and not any(visitor.can("stop"))


def test_before_rep_the_third_column_takes_no_room(visitor, few_steps):
    page = visitor.applies()
    assert "answer-rep" not in page["picture"] and "→ 1" not in page["scores"]
    assert 'aria-pressed="false"' in page["edits"] and "gate-curve" not in page


def test_rep_is_added_from_the_list_switched_and_learnt_by_another_recipe(visitor, few_steps, few_probes):
    visitor.own = ("Slovenija mia belongs to the continent of\nThe alps of Slovenia are in", "")
    visitor.applies()
    button = {"press": "rep", "edit": visitor.workspace.records[0].id}
    page = visitor.presses("change_edit", **button)
    record = visitor.workspace.records[0]
    assert (record.rep, record.names) == ("default", ("Slovenija mia",)) and "Added REP in" in page["message"]
    assert "answer-rep" in page["picture"]
    page = visitor.presses("change_edit", **button)
    assert "Switched REP off" in page["message"] and "answer-rep" not in page["picture"]
    assert "Switched REP on" in visitor.presses("change_edit", **button)["message"]
    assert visitor.workspace.records[0].pathways == record.pathways, "a switch learns nothing"
    visitor.rep = "published"
    assert "Added REP" in visitor.presses("change_edit", **button)["message"]
    assert visitor.workspace.records[0].rep == "published"
    assert "added REP" in visitor.does("undo")["message"]


def test_moving_the_threshold_asks_again_and_learns_nothing(visitor, few_steps, few_probes):
    visitor.rep = "default"
    before = dict(visitor.applies())
    pathways = visitor.workspace.records[0].pathways
    page = visitor.does("set_threshold", 1, "Ljubljana is in")
    assert "no gate opens: this is the edit without REP. Move the slider to the left." in page["gate-said"]
    assert said(page, "rep") == said(page, "edited") and page["gate-curve"] != before["gate-curve"]
    assert page["ask-answers"].count("<section") == 3 and 'class="gates"' in page["ask-answers"]
    assert visitor.workspace.records[0].pathways == pathways and page["threshold"] == 1
    assert Visitor(visitor.lab, visitor.name).does("open")["threshold"] == 1


@pytest.mark.parametrize("threshold", [None, "high", -1, 2, True, float("nan")])
def test_a_threshold_is_a_number_from_0_to_1(visitor, threshold):
    assert accepts(visitor.handlers.set_threshold, "threshold", 0.5)
    assert accepts(visitor.handlers.set_threshold, "threshold", 1)
    assert not accepts(visitor.handlers.set_threshold, "threshold", threshold)


def test_rep_has_the_recipes_that_there_are(visitor):
    for handler in (visitor.handlers.apply, visitor.handlers.change_edit):
        assert all(accepts(handler, "rep", rep) for rep in ("off", "default", "published"))
        assert not any(accepts(handler, "rep", rep) for rep in ("magic", "", None))
    visitor.rep = "magic"
    page = visitor.applies()
    assert is_problem(page["message"]) and "REP" in page["message"] and visitor.workspace.records == ()


def test_one_press_asks_the_question_otherwise(visitor, few_steps):
    page = visitor.applies()
    asked = re.findall(r'data-text="([^"]*)"', page["questions"])
    assert len(asked) == 4 and asked[0] == "The Republic of Slovenia belongs to the continent of"
    page = visitor.presses("ask_prepared", press="ask", text=asked[0])
    assert page["ask"] == asked[0] and page["ask-answers"].count("<section") == 2


def test_undo_and_redo_change_the_edited_answer_and_the_buttons(visitor, few_steps):
    edited = dict(visitor.applies())
    undone = dict(visitor.does("undo"))
    assert "empty" in column(undone, "edited") and said(undone, "base") == said(edited, "base")
    assert "No edit is applied" in undone["edits"] and undone["probe-table"] == ""
    assert "applied Slovenia → Antarctica" in undone["message"]
    assert all(visitor.can("redo")) and not any(visitor.can("undo", "remake"))
    redone = visitor.does("redo")
    assert redone["picture"] == edited["picture"] and redone["probe-table"] == edited["probe-table"]
    assert is_problem(visitor.does("redo")["message"])


def test_switching_an_edit_off_and_on_shows_what_it_does(visitor, few_steps):
    edited = dict(visitor.applies())
    button = {"press": "switch", "edit": visitor.workspace.records[0].id}
    off = dict(visitor.presses("change_edit", **button))
    assert "empty" in column(off, "edited") and 'aria-checked="false"' in off["edits"] and off["probe-table"] == ""
    assert "Switched off: Slovenia → Antarctica" in off["message"]
    on = visitor.presses("change_edit", **button)
    assert on["picture"] == edited["picture"] and on["probe-table"] == edited["probe-table"]


def test_a_later_showing_ends_an_earlier_one_without_a_word(visitor, few_steps):
    visitor.applies()
    id = visitor.workspace.records[0].id
    look = visitor.button("change_edit", press="look", edit=id)
    on = visitor.updates_of("change_edit", look)
    next(update for update in on if "scores" in update)
    off = visitor.presses("change_edit", press="switch", edit=id)
    assert [update for update in on if "probe-table" in update or "message" in update] == []
    assert off["probe-table"] == "" and "Switched off" in off["message"]


def test_one_of_two_edits_can_be_looked_at_and_removed(visitor, few_steps):
    visitor.applies()
    visitor.applies("Japan", "The capital of {} is", "Berlin", "Tokyo")
    first = visitor.workspace.records[0].id
    page = visitor.presses("change_edit", press="look", edit=first)
    assert page["subject"] == "Slovenia" and "Slovenia" in page["picture"]
    page = visitor.presses("change_edit", press="remove", edit=first)
    assert [record.request.subject for record in visitor.workspace.records] == ["Japan"]
    assert "Removed: Slovenia → Antarctica" in page["message"] and "Japan → Berlin" in page["edits"]
    assert "removed Slovenia" in visitor.does("undo")["message"] and len(visitor.workspace.records) == 2


def test_the_chain_can_be_made_again(visitor, few_steps):
    visitor.applies()
    visitor.applies("Japan", "The capital of {} is", "Berlin", "Tokyo")
    page = visitor.does("remake")
    assert "Recomputed 2 edits" in page["message"] and page["edits"].count("<li") == 2


def test_a_button_that_is_gone_is_a_sentence(visitor):
    assert is_problem(visitor.presses("change_edit", press="switch", edit="x")["message"])


@pytest.mark.parametrize("button", [{}, {"press": "switch"}, {"press": 7, "edit": None}, {"press": "up", "edit": "x"}])
def test_a_button_that_no_edit_has_is_refused(visitor, button):
    with pytest.raises(ValidationError):
        visitor.presses("change_edit", **button)


def test_a_changed_setting_reaches_the_edit_and_a_bad_one_is_a_sentence(visitor):
    visitor.changed = {"rome-steps": "2", "memit-steps": "nonsense of a method that is not chosen"}
    visitor.applies()
    assert visitor.workspace.records[0].config["steps"] == 2
    visitor.changed = {"rome-steps": "many"}
    assert "steps is" in visitor.applies()["message"] and len(visitor.workspace.records) == 1


def test_own_lines_join_the_battery(visitor, few_steps):
    visitor.applies()
    visitor.own = ("Slovenia lies in", "")
    page = visitor.does("add_neighbour", "Bananas grow in")
    assert page["own-neighbours"] == "Bananas grow in"
    assert "Slovenia</mark> lies in" in page["probe-table"] and "Bananas grow in" in page["probe-table"]
    page = visitor.does("add_rephrase", "Slovenia lies in")
    assert page["own-rephrases"] == "Slovenia lies in", "a line that is there already is not added again"
    visitor.own = ("\n".join(map(str, range(30))), "")
    assert is_problem(visitor.does("probe")["message"])


def test_coming_back_finds_the_edits_and_the_question(lab, visitor, few_steps):
    visitor.applies("Japan", "The capital of {} is", "Berlin", "Tokyo")
    again = Visitor(lab, visitor.name)
    page = again.does("open")
    assert (page["subject"], page["target-new"]) == ("Japan", "Berlin")
    assert said(page, "edited") and "<details" in page["probe-table"]


def test_a_live_question_is_answered_under_both_views(visitor, few_steps):
    visitor.applies()
    page = visitor.does("ask", "Ljubljana is the capital of")
    assert page["ask-answers"].count("<section") == 2 and page["ask-message"] == ""
    assert "<section" not in visitor.does("ask", " ")["ask-answers"]


def test_the_next_key_drops_a_live_question_without_a_word(visitor, monkeypatch):
    dropped = answers.live(visitor.workspace, "never mind")
    monkeypatch.setattr(answers, "live", lambda *_: dropped)
    visitor.lab.workspace(visitor.name).stop()
    page = visitor.does("ask", "never mind")
    assert "ask-message" not in page or not is_problem(page["ask-message"])


def test_fields_show_their_tokens_and_suggestions(visitor):
    page = visitor.does("tokenize", visitor.slovenia, "rome", "slovenia")
    assert "<mark>Slovenia</mark> belongs to the continent of" in page["line"] and "<s>Europe</s>" in page["line"]
    assert "preset" not in page, "the example that is chosen says just this"
    assert page["at-subject"].count("<li>") >= 1 and "target token" in page["at-target-new"] and "␣" in page["at-prompt"]
    assert 'data-object="Asia"' in page["suggestions"] and 'data-object="Europe"' not in page["suggestions"]
    assert visitor.presses("choose_object", press="object", object="Asia")["target-new"] == "Asia"
    called = visitor.request("Slovenia", "{} is called “", "Antarctica", "")
    page = visitor.does("tokenize", called, "rome", "slovenia")
    assert page["preset"] is None and page["say"] == "", "the fields say something else now"
    assert "<li>␣" not in page["at-target-new"] and "<li>" in page["at-target-new"]
    page = visitor.does("tokenize", called.model_copy(update={"space": "yes"}), "rome", None)
    assert "<li>␣" in page["at-target-new"]
    page = visitor.does("tokenize", visitor.request("", "", "", ""), "memit", None)
    assert "MEMIT" in page["line"]
    assert "<li>" not in page["at-subject"] + page["at-prompt"] + page["at-target-new"] + page["suggestions"]


def test_what_is_typed_is_asked_of_the_base_model_alone(visitor, few_steps):
    visitor.applies()
    page = visitor.does("ask_typed", "Slovenia", "{} belongs to the continent of")
    assert "The model goes on with “" in page["typed"]
    visitor.page["typed"] = ""
    assert visitor.does("ask_typed", "", "{} is")["typed"] == "", "nothing to ask"


@pytest.mark.parametrize(
    "act",
    [
        lambda visitor, edit: visitor.presses("change_edit", press="switch", edit=edit),
        lambda visitor, edit: visitor.presses("change_edit", press="rep", edit=edit),
        lambda visitor, edit: visitor.does("undo"),
        lambda visitor, edit: (visitor.does("undo"), visitor.does("redo")),
        lambda visitor, edit: visitor.does("remake"),
        lambda visitor, edit: visitor.does("set_mask", "rome", "off"),
        lambda visitor, edit: visitor.does("set_guard", "rome", "off"),
    ],
)
def test_what_a_person_typed_is_never_overwritten(visitor, few_steps, few_probes, act):
    visitor.applies()
    visitor.page = {}
    act(visitor, visitor.workspace.records[0].id)
    assert not {"subject", "prompt", "target-new", "target-true"} & set(visitor.page)


def test_the_switch_of_rep_acts_at_once_on_the_edit_that_is_shown(visitor, few_steps, few_probes):
    visitor.rep = "default"
    assert "next edit is made with REP" in visitor.does("set_rep")["message"]
    visitor.rep = "off"
    assert visitor.applies()["rep"] == "off"
    visitor.rep = "default"
    page = visitor.does("set_rep")
    assert "Added REP in" in page["message"] and page["rep"] == "default" and "answer-rep" in page["picture"]
    visitor.rep = "off"
    page = visitor.does("set_rep")
    assert "Switched REP off" in page["message"] and page["rep"] == "off" and "answer-rep" not in page["picture"]
    visitor.page["message"] = ""
    assert visitor.does("set_rep")["message"] == "", "it is off already"


def test_an_opened_probe_shows_the_likeliest_tokens_of_every_view(visitor, few_steps):
    visitor.applies()
    page = visitor.presses("open_probe", probe="3", text="Ljubljana is in")
    shown = page["probe-table.distribution"]
    assert shown["probe"] == "3" and shown["html"].count("<section") == 2 and shown["html"].count("<li") == 10


def test_stop_ends_a_running_edit_with_a_sentence_and_frees_the_buttons(lab, visitor, endless):
    running = threading.Thread(target=visitor.applies)
    running.start()
    wait_until(lambda: any("Value: step" in message for message in visitor.messages))
    assert all(visitor.can("stop")) and not any(visitor.can("apply", "undo", "redo"))
    Visitor(lab, visitor.name).does("stop")
    running.join(TIMEOUT)
    assert not running.is_alive()
    assert "Stopped" in visitor.page["message"] and visitor.workspace.records == ()
    assert all(visitor.can("apply")) and not any(visitor.can("stop", "undo"))


def test_after_a_stop_the_question_is_answered_instead_of_waiting_for_ever(lab, visitor, endless):
    running = threading.Thread(target=visitor.applies)
    running.start()
    wait_until(lambda: any("Value: step" in message for message in visitor.messages))
    assert "waiting" in column(visitor.page, "base")
    Visitor(lab, visitor.name).does("stop")
    running.join(TIMEOUT)
    assert said(visitor.page, "base") != "…" and "waiting" not in visitor.page["picture"]
    assert "Nothing is edited yet" in column(visitor.page, "edited") and "Stopped" in visitor.page["message"]
    assert visitor.workspace.request is not None and all(visitor.can("apply")) and not any(visitor.can("stop"))


def test_probes_that_an_error_ends_are_not_promised_any_more(visitor, few_steps, monkeypatch):
    def fails(*given):
        raise BadFile("The facts cannot be read.")

    monkeypatch.setattr(answers.probes, "ask", fails)
    visitor.applies()
    assert "not everything was asked: The facts cannot be read." in visitor.page["message"]
    assert "More probes are being asked" not in visitor.page["scores"]


def test_a_page_that_is_closed_while_it_stops_has_stopped_all_the_same(visitor, endless):
    running = threading.Thread(target=visitor.applies)
    running.start()
    wait_until(lambda: any("Value: step" in message for message in visitor.messages))
    said = visitor.updates_of("stop")
    next(said)
    said.close()
    running.join(TIMEOUT)
    assert not running.is_alive() and "Stopped" in visitor.page["message"]


def test_stop_says_nothing_where_the_stopped_handler_speaks_at_once(visitor, monkeypatch):
    workspace, begun, ends = visitor.workspace, threading.Event(), threading.Event()
    job = workspace.submit(lambda progress, cancel: [time.sleep(0.01) for _ in iter(cancel, True)])
    assert list(visitor.updates_of("stop")) == [{}] and job.done
    monkeypatch.setattr(updates, "STOP_SECONDS", 0.05)
    slow = workspace.submit(lambda progress, cancel: begun.set() or ends.wait(TIMEOUT))
    assert begun.wait(TIMEOUT)
    assert "Stopping" in visitor.does("stop")["message"]
    ends.set()
    assert slow.wait(TIMEOUT) and "Nothing is running" in visitor.does("stop")["message"]


def test_what_a_handler_sends_last_changes_nothing_as_gradio_sends_it_once_more():
    parts = Parts({name: gr.State() for name in ("message", "progress")})
    nothing = {parts["progress"]: gr.skip()}
    sent = [*_by_components(parts, iter([{"message": "Stopping"}, {}]))]
    assert sent == [{parts["message"]: "Stopping"}, nothing, nothing]


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
        for update in visitor.updates_of("apply", "rome", visitor.request("Slovenia", "{} is in", "Asia", "")):
            if "step" in update.get("progress", ""):
                times.append(time.monotonic())

    running = threading.Thread(target=run)
    running.start()
    wait_until(lambda: len(times) >= 8)
    visitor.does("stop")
    running.join(TIMEOUT)
    assert (len(times) - 2) / (times[-1] - times[1]) <= 8


@pytest.mark.parametrize(
    ("fields", "says", "field"),
    [
        ({"subject": ""}, "subject is empty", "subject"),
        ({"subject": None}, "subject is empty", "subject"),
        ({"subject": "Slovenja", "prompt": "Slovenia is in"}, "does not occur", "prompt"),
        ({"subject": "x" * 201}, "200 is the most", "subject"),
        ({"prompt": ""}, "prompt is empty", "prompt"),
        ({"prompt": "{} and {} are in"}, "2 {}", "prompt"),
        ({"prompt": "Slovenia and Slovenia are in"}, "twice", "prompt"),
        ({"prompt": "{}" + " so" * 400}, "1000 is the most", "prompt"),
        ({"new": "  "}, "new object is empty", "target-new"),
        ({"new": "Europe"}, "true object already", "target-new"),
        ({"new": "y" * 101}, "100 is the most", "target-new"),
        ({"new": "two\nlines"}, "one line", "target-new"),
        ({"true": "z" * 101}, "100 is the most", "target-true"),
        ({"true": "{}"}, "holds {}", "target-true"),
        ({"method": "magic"}, "no method", None),
        ({"prompt": "{}" + " 日本" * 300}, "context holds", None),
        ({"subject": "\ud800"}, "character", "subject"),
    ],
)
def test_bad_input_is_a_sentence_at_its_field_and_changes_nothing(visitor, fields, says, field):
    before = visitor.workspace.records
    page = visitor.applies(**fields)
    assert is_problem(page["message"]) and says in page["message"].replace("&#39;", "'")
    if field is not None:
        assert is_problem(page[f"at-{field}"]) and says in page[f"at-{field}"].replace("&#39;", "'")
    assert visitor.workspace.records is before
    assert all(visitor.can("apply")) and not any(visitor.can("stop"))


def test_an_object_in_other_letters_alone_is_edited_with_a_note(visitor):
    assert "in upper and lower case alone" in visitor.applies(new="europe")["message"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("w" * 2001, "2000 is the most"), ("\x00", "control")],
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


@pytest.mark.slow
@given(subject=TEXTS, prompt=TEXTS, new=TEXTS, true=TEXTS | st.none(), method=st.sampled_from(["rome", "memit", "?", None]))
@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_in_any_field_breaks_the_page(visitor, few_steps, subject, prompt, new, true, method):
    workspace = visitor.workspace
    before = workspace.records
    page = visitor.applies(subject, prompt, new, true, method)
    assert "failed unexpectedly" not in page["message"]
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
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_question_breaks_the_page(visitor, text):
    page = visitor.does("ask", text)
    assert is_problem(page["ask-message"]) or "<section" in page["ask-answers"] or not text.strip()


def test_an_unforeseen_error_is_a_sentence_without_its_traceback(visitor, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(answers, "ask", broken)
    page = visitor.does("open")
    assert is_problem(page["message"]) and "secret detail" not in page["message"]
    assert "secret detail" in caplog.text


def test_a_name_no_browser_gave_is_not_taken_for_a_visitor(lab):
    stranger = Visitor(lab, "session")
    made = Visit.of(lab, None, FakeRequest(stranger.name)).visitor
    assert MADE.fullmatch(made)
    for odd in (7, "", "x" * 65, {"a": 1}):
        assert Visit.of(lab, odd, FakeRequest(stranger.name)).visitor == made


def test_limits_are_those_that_the_page_announces():
    assert (LENGTHS["subject"], LENGTHS["prompt"], LENGTHS["new object"], LENGTHS["question"]) == (200, 1000, 100, 2000)


def test_a_ledger_that_cannot_be_read_is_a_sentence(visitor, monkeypatch):
    def damaged(_name, _author=""):
        raise BadFile("The ledger in /data cannot be used: disk full. Set EDITLAB_DATA to another folder.")

    monkeypatch.setattr(visitor.lab, "workspace", damaged)
    visitor.does("undo")
    assert "disk full" in visitor.page["message"]


def test_the_page_paints_its_question_before_the_model_is_free(visitor):
    free = threading.Event()
    visitor.lab.worker.submit(lambda progress, cancel: free.wait(TIMEOUT))
    updates = visitor.updates_of("open")
    painted = next(update for update in updates if "picture" in update)
    assert painted["subject"] == "Slovenia" and 'class="said" aria-hidden="true">…' in painted["picture"]
    free.set()
    list(updates)


def test_an_edit_that_did_not_take_is_told_why_below_its_scores_until_another_question_is_asked(visitor):
    page = visitor.applies()
    assert "Why it did not take: " in page["why-missed"] and "None" not in page["why-missed"]
    page = visitor.does("choose_example", "hamlet")
    assert page["why-missed"] == ""
