"""A public demo: what a stranger may do, what not, and when to come back."""

import json
import re
import secrets
import threading
import time

import pytest
import yaml
from limits import RateLimitItemPerHour
from paths import ROOT
from visitors import CONTINENT, TIMEOUT, FakeRequest, Visitor, runs, wait_until

from editlab.errors import BadRequest, TooMany
from editlab.lab import METHODS, Choice, Lab
from editlab.lab.access import limits
from editlab.lab.access.limits import FREE, Asker, Cost, RateLimits, on_behalf_of
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web import create_page
from editlab.web.compare.handlers import CompareHandlers, Fact
from editlab.web.core.turns import Turns
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.edit.file_handlers import FileFields
from editlab.web.inside.handlers import InsideHandlers
from editlab.web.model.benchmark_handlers import BenchmarkHandlers
from editlab.web.model.handlers import ModelChoice, ModelHandlers
from editlab.web.workspace.display import WorkspaceDisplay
from editlab.web.workspace.file_handlers import FileHandlers, PressedJob

LARGE = "config:gpt2-xl"
PRESS = "To do that, run EditLab on your own computer"


@pytest.fixture(scope="module")
def lab(tiny_llama, facts):
    settings = Settings(model=tiny_llama.name, demo=True, models=(LARGE,))
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, settings=settings)
    yield lab
    lab.close()


@pytest.fixture
def visitor(lab):
    lab.limits._window.storage.reset()
    return Visitor(lab, secrets.token_urlsafe(16))


@pytest.fixture
def quick_limits(monkeypatch):
    """Four edits an hour."""
    monkeypatch.setattr(limits, "EACH", {**limits.EACH, "edits": RateLimitItemPerHour(4)})


@pytest.fixture
def demo():
    return RateLimits(Settings(demo=True, demo_hours=2))


def spend(demo, cost, times=1, visitor="v", address="a"):
    for _ in range(times):
        demo.check_call(cost, Asker(visitor, address))


# How much


@pytest.mark.parametrize(
    ("cost", "most", "why"),
    [
        (Cost(edits=1), 60, "This public demo allows each visitor 60 edits an hour. Try again in 60 minutes."),
        (Cost(edits=20), 3, "This public demo allows each visitor 60 edits an hour. Try again in 60 minutes."),
        (Cost(files=1), 10, "This public demo allows each visitor 10 files an hour. Try again in 60 minutes."),
        (Cost(prompts=100), 30, "This public demo allows each visitor 3,000 prompts a minute. Try again in 60 seconds."),
        (Cost(changes=1), 60, "This public demo allows each visitor 60 changes a minute. Try again in 60 seconds."),
    ],
)
def test_a_visitor_may_do_so_much_by_id_and_by_address(demo, cost, most, why):
    spend(demo, cost, most)
    for visitor, address in (("v", "a"), ("another", "a"), ("v", "elsewhere")):
        with pytest.raises(TooMany) as refused:
            spend(demo, cost, 1, visitor, address)
        assert str(refused.value) == why
    spend(demo, cost, 1, "another", "elsewhere")


@pytest.mark.parametrize(
    ("cost", "each", "visitors"), [(Cost(edits=60), 1, 10), (Cost(files=1), 10, 10), (Cost(prompts=1_000), 3, 10)]
)
def test_all_visitors_together_may_do_so_much(demo, cost, each, visitors):
    for number in range(visitors):
        spend(demo, cost, each, f"v{number}", f"a{number}")
    with pytest.raises(TooMany, match="allows all visitors together"):
        spend(demo, cost, 1, "new", "new")


def test_clicks_are_counted_whatever_they_cost(demo):
    for _ in range(300):
        demo.count_call(Asker("v", "a"))
    for who in (Asker("v", "a"), Asker("another", "a"), Asker("v", "elsewhere")):
        with pytest.raises(TooMany, match=r"allows each visitor 300 clicks a minute\. Try again in 60 seconds\."):
            demo.count_call(who)
    demo.count_call(Asker("another", "elsewhere"))


def test_page_loads_are_counted_for_each_may_leave_a_row(demo, monkeypatch):
    monkeypatch.setattr(limits, "EACH", {**limits.EACH, "visits": RateLimitItemPerHour(3)})
    for number in range(3):
        demo.count_call(Asker(f"v{number}", "a"), new=True)
    with pytest.raises(TooMany, match="allows each visitor 3 page loads an hour"):
        demo.count_call(Asker("another", "a"), new=True)
    demo.count_call(Asker("v0", "a"))
    demo.count_call(Asker("another", "elsewhere"), new=True)


def test_an_address_of_ipv6_is_counted_by_its_network(demo):
    spend(demo, Cost(edits=60), 1, "v", "2001:db8::1")
    with pytest.raises(TooMany):
        spend(demo, Cost(edits=1), 1, "another", "2001:db8::ffff:2")
    spend(demo, Cost(edits=1), 1, "another", "2001:db8:0:1::2")


def test_what_was_refused_is_not_counted(demo):
    spend(demo, Cost(edits=1), 60)
    for _ in range(100):
        with pytest.raises(TooMany):
            spend(demo, Cost(edits=1), 1, "v", "new")
    spend(demo, Cost(edits=1), 60, "w", "new")


def test_a_call_that_costs_several_things_is_counted_in_all_of_them_or_in_none(demo):
    spend(demo, Cost(files=1), 10)
    for _ in range(100):
        with pytest.raises(TooMany, match="10 files"):
            spend(demo, Cost(edits=60, files=1), 1)
    spend(demo, Cost(edits=60))


def test_the_models_own_seconds_are_counted_as_far_as_the_budget_goes(demo):
    who = Asker("v", "a")
    demo.count_seconds(who, 800)
    spend(demo, Cost(prompts=1))
    demo.count_seconds(who, 150)
    with pytest.raises(
        TooMany, match=r"allows each visitor 900 seconds of the model's time an hour\. Try again in 60 minutes\."
    ):
        spend(demo, Cost(prompts=1))
    spend(demo, FREE)
    spend(demo, Cost(prompts=1), 1, "another", "elsewhere")


def test_without_a_demo_there_are_no_such_limits():
    none = RateLimits(Settings())
    spend(none, Cost(edits=1), 1_000)
    none.check_call(Cost(refused="Masks cannot be trained"), Asker("v", "a"), ["x" * 10_000])
    none.check_rows(10_000)
    none.check_model("large", 10**12)
    none.check_setting("steps", 1_000, 20)
    none.count_seconds(Asker("v", "a"), 10_000)
    assert (none.expire_seconds, none.notice, none.file_size, none.most_parked) == (None, "", "25mb", None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 second"), (40, "40 seconds"), (59.5, "60 seconds"), (61, "2 minutes"), (3600, "60 minutes")],
)
def test_a_wait_is_rounded_up(seconds, text):
    assert limits.round_up(seconds) == text


# What each handler costs


def test_every_handler_that_computes_or_writes_costs_something_and_what_concerns_all_is_refused(lab):
    costs = {re.sub(r"_\d+$", "", fn.api_name): fn.fn.cost for fn in create_page(lab).fns.values()}
    assert len(costs) > 60
    free = {name for name, cost in costs.items() if cost == FREE}
    assert free == {
        *("page_open", "model_open", "workspace_open", "monitor_look", "workshop_look"),
        *("workspace_jobs", "workspace_format", "workspace_job", "workspace_stop"),
        *("choose_method", "compare_open", "compare_stop", "compare_use"),
        *("tokenize", "choose_object", "inside_draw", "hurry", "stop", "keys_stop", "inside_stop", "bench_stop"),
        *(
            "workshop_load",
            "workshop_open",
            "workshop_press",
            "workshop_stop",
            "workshop_left",
        ),  # they spend what steps cost
        *("editor_check", "room_open", "room_press"),
        *("choose_method", "layers_open", "inside_use_layer"),
    }
    refused = {name for name, cost in costs.items() if cost.refused}
    assert refused == {
        *("train_mask", "bench_run", "model_load", "model_unload", "model_measure", "model_file", "model_stop"),
        *("editor_save", "editor_delete", "room_begin"),
    }
    writes = {"apply", "undo", "redo", "change_edit", "remake", "set_threshold", "set_mask", "set_guard", "apply_file"}
    writes |= {"workspace_press", "workspace_edit"}
    writes |= {f"workspace_{name}" for name in ("undo", "redo", "remake", "return", "branch", "import")}
    assert all(costs[name].changes for name in writes | {"monitor_return", "monitor_limits", "follow_link"})


def test_many_edits_at_once_cost_as_many(visitor):
    handlers = InsideHandlers(visitor.lab)
    said = list(runs(handlers, "inside_many", visitor.name, 200, "new"))
    assert "allows each visitor 60 edits an hour" in said[-1]["message"]
    assert visitor.lab.worker.open == []


def test_a_comparison_costs_an_edit_a_method_and_caps_its_settings(visitor, quick_limits):
    fact = Fact.model_construct(subject="Japan", prompt="{} is in", target_new="Asia", target_true="", space="script")
    handlers, names = CompareHandlers(visitor.lab), list(METHODS)[:5]
    *_, last = runs(handlers, "compare_run", visitor.name, fact, " ".join(names), "")
    assert "4 edits an hour" in last["message"] and visitor.lab.worker.open == []
    *_, last = runs(handlers, "compare_run", visitor.name, fact, names[0], json.dumps({names[0]: {"steps": "1000"}}))
    assert "this public demo allows at most 100" in last["compare-table"]


def test_remaking_costs_what_is_made(visitor, few_steps, quick_limits):
    for place in ("Slovenia", "France", "Japan"):
        visitor.applies(subject=place)
    assert len(visitor.workspace.records) == 3
    visitor.does("remake")
    assert "4 edits an hour" in visitor.messages[-1] or "4 edits an hour" in visitor.page["message"]


def test_settings_are_capped(visitor):
    visitor.changed["rome-steps"] = "1000"
    assert "steps: this public demo allows at most 100" in visitor.applies()["message"]
    assert visitor.workspace.records == () and visitor.lab.worker.open == []


def held(lab):
    """Let a job hold the worker: what has begun, the event that lets all of it go on, and how to make such a job."""
    begun, free = [], threading.Event()

    def work(name):
        return lambda progress, cancel: (begun.append(name), free.wait(TIMEOUT))

    lab.worker.submit(work("first"))
    wait_until(lambda: begun == ["first"])
    return begun, free, work


def test_one_job_of_a_visitor_waits_at_a_time(lab):
    """The others stand behind it, and nobody else waits for them."""
    begun, free, work = held(lab)
    with on_behalf_of(Asker("greedy", "a")):
        jobs = [lab.worker.submit(work(f"greedy {number}")) for number in range(4)]
    with on_behalf_of(Asker("modest", "b")):
        modest = lab.worker.submit(work("modest"))
    free.set()
    for job in (*jobs, modest):
        job.result(TIMEOUT)
    assert begun == ["first", "greedy 0", "modest", "greedy 1", "greedy 2", "greedy 3"]


def test_one_address_takes_few_places_in_the_line_whoever_it_says_it_is(lab):
    begun, free, work = held(lab)
    jobs = []
    for number in range(20):
        with on_behalf_of(Asker(f"made up {number}", "a")):
            jobs.append(lab.worker.submit(work("greedy")))
    with on_behalf_of(Asker("modest", "b")):
        modest = lab.worker.submit(work("modest"))
    free.set()
    for job in (*jobs, modest):
        job.result(TIMEOUT)
    assert begun.index("modest") <= 1 + limits.LANES and len(begun) == 22


def test_a_visitor_has_so_many_jobs_behind_it_and_no_more(lab):
    free, begun = threading.Event(), threading.Event()
    holding = lab.worker.submit(lambda progress, cancel: (begun.set(), free.wait(TIMEOUT)))
    begun.wait(TIMEOUT)
    with on_behalf_of(Asker("greedy", "a")):
        jobs = [lab.worker.submit(lambda progress, cancel: None) for _ in range(1 + limits.MOST_PARKED)]
        with pytest.raises(TooMany, match="waiting already"):
            lab.worker.submit(lambda progress, cancel: None)
    with on_behalf_of(Asker("modest", "b")):
        jobs.append(lab.worker.submit(lambda progress, cancel: None))
    free.set()
    for job in (holding, *jobs):
        job.result(TIMEOUT)
    assert lab.worker.open == [] and not lab.worker._parked and not lab.worker._queued


def test_a_jobs_seconds_are_charged_to_whoever_asked(lab, monkeypatch):
    charged = []
    monkeypatch.setattr(lab.limits, "count_seconds", lambda who, seconds: charged.append((who, seconds)))
    who = Asker("v", "a")
    with on_behalf_of(who):
        lab.worker.submit(lambda progress, cancel: time.sleep(0.05)).result(TIMEOUT)
        lab.worker.submit(lambda progress, cancel: None, background=True).result(TIMEOUT)
    assert [asked for asked, _ in charged] == [who] and charged[0][1] >= 0.05


# What not


def test_the_page_says_what_a_demo_does_not_do(visitor):
    (update,) = visitor.updates_of("train_mask", "rome")
    assert "Masks cannot be trained on this public demo." in update["message"]
    assert visitor.lab.worker.open == []


def test_the_page_says_when_to_come_back(visitor, few_steps):
    spend(visitor.lab.limits, Cost(edits=60), 1, visitor.name, "192.0.2.1")
    assert "Try again in 60 minutes." in visitor.applies()["message"]
    assert visitor.workspace.records == ()


def test_a_visitor_can_edit(visitor, few_steps):
    visitor.applies()
    assert [record.request.subject for record in visitor.workspace.records] == ["Slovenia"]


@pytest.mark.parametrize(
    ("handlers", "name", "fields"),
    [
        (ModelHandlers, "model_load", (ModelChoice(name="atlas", folder="", quantization="none"),)),
        (ModelHandlers, "model_unload", ()),
        (ModelHandlers, "model_measure", ()),
        (ModelHandlers, "model_file", (None,)),
        (ModelHandlers, "model_stop", ()),
        (BenchmarkHandlers, "bench_run", (None, "rome", "off", 20)),
    ],
)
def test_what_would_keep_the_model_from_others_is_refused(visitor, handlers, name, fields):
    said = list(runs(handlers(visitor.lab), name, visitor.name, *fields))
    assert PRESS in said[-1]["message"] and len(said) == 1
    assert visitor.lab.worker.open == []


def test_texts_files_and_models_have_a_size(demo):
    demo.check_call(FREE, Asker("v", "a"), ["x" * 2_500, None, 3])
    with pytest.raises(BadRequest, match=r"2,501 characters; this public demo accepts 2,500\. Shorten it\."):
        demo.check_call(FREE, Asker("v", "a"), ["x" * 2_501])
    demo.check_rows(20)
    with pytest.raises(BadRequest, match=r"21 rows; this public demo accepts 20\."):
        demo.check_rows(21)
    demo.check_model("atlas", 200_000_000)
    with pytest.raises(BadRequest, match=r"has 1,558 million parameters; a public demo loads up to 200 million\."):
        demo.check_model("gpt2-xl", 1_557_611_200)


def test_a_large_model_is_refused_before_the_present_one_leaves(lab):
    before = lab.model
    with pytest.raises(BadRequest, match="million parameters; a public demo loads up to 200 million"):
        lab.loaded.switch(Choice(LARGE)).result(60)
    assert lab.model is before


def test_a_file_of_more_rows_is_refused_on_the_page(visitor, tmp_path):
    path = tmp_path / "edits.csv"
    rows = "".join(f"Place{number},{{}} is in,Asia\n" for number in range(21))
    path.write_text("subject,prompt,target_new\n" + rows)
    updates = list(visitor.updates_of("check_file", FileFields.model_construct(file=path, skip=False, take=False), "rome"))
    assert any("21 rows; this public demo accepts 20." in str(update.get("many-said")) for update in updates)


def test_no_folder_of_the_server_can_be_named(lab):
    assert not lab.loaded.open
    with pytest.raises(BadRequest, match="is not offered here"):
        lab.loaded.plan(Choice("/etc"))


# Who


@pytest.mark.parametrize("guessed", ["team", "ana", "", None, "x" * 21, "x" * 23, "..", "é" * 22])
def test_a_demo_takes_no_id_that_it_did_not_make(lab, guessed):
    made = Visit.of(lab, guessed, FakeRequest("a session")).visitor
    assert made != guessed and len(made) == 22
    assert Visit.of(lab, made, FakeRequest("another session")).visitor == made


def test_an_id_is_the_servers_and_the_same_all_along_a_session(lab):
    first, again, other = (Visit.of(lab, None, FakeRequest(session)).visitor for session in ("one", "one", "two"))
    assert first == again != other and first != "one"


# What it says


def test_the_page_says_that_it_is_a_demo_and_what_is_kept_how_long(lab):
    notice = "until you have been away for 6 hours; then it is deleted"
    html = [str(part["props"].get("value")) for part in create_page(lab).get_config_file()["components"]]
    assert any(notice in value for value in html)


def test_edits_are_forgotten_after_the_hours_that_are_set(demo):
    assert demo.expire_seconds == 7200 and "away for 2 hours" in demo.notice
    assert "30 minutes" in RateLimits(Settings(demo=True, demo_hours=0.5)).notice


def test_the_readme_is_what_a_space_reads():
    _, front, text = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["sdk"], said["app_port"], said["license"]) == ("docker", Settings().port, "apache-2.0")
    assert said["title"] == "EditLab" and 0 < len(said["short_description"]) <= 60
    assert text.lstrip().startswith("# EditLab\n")
    assert f"EXPOSE {said['app_port']}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_in_a_shared_workspace_only_who_asked_for_a_job_stops_it(lab, visitor, endless):
    team = lab.directory.make(visitor.name, "Team", shared=True)
    other = secrets.token_urlsafe(16)
    for one in (visitor.name, other):
        lab.directory.enter(one, team.id)
    handlers = FileHandlers(lab, WorkspaceDisplay(lab, Display(lab, Turns())))
    with on_behalf_of(Asker(visitor.name, "a")):
        job = edits.apply(lab.workspace(team.id, "visitor 1"), CONTINENT)

    def stops(who):
        page = {}
        for update in runs(handlers, "workspace_job", who, PressedJob(press="cancel", job=job.id)):
            page |= update
        return str(page.get("message", ""))

    assert 'data-press="cancel"' not in handlers.display.jobs(visit_of(lab, other))["workspace-jobs"]
    assert "Somebody else asked for this job" in stops(other) and not job.stopped
    assert 'data-press="cancel"' in handlers.display.jobs(visit_of(lab, visitor.name))["workspace-jobs"]
    assert "Somebody else" not in stops(visitor.name) and job.stopped


def visit_of(lab, visitor):
    return Visit.of(lab, visitor, FakeRequest(visitor))
