"""A public demo: what a stranger may do, what not, and when to come back."""

import importlib
import inspect
import secrets
from pathlib import Path

import pytest
import yaml
from visitors import FakeRequest, Visitor

from editlab.errors import BadRequest, TooMany
from editlab.lab import Choice, Lab, limits
from editlab.lab.limits import Limits
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web import create_page
from editlab.web.handlers import Handlers
from editlab.web.many_handlers import ManyHandlers

ROOT = Path(__file__).resolve().parents[2]
LARGE = "config:gpt2-xl"
PRESS = "Run EditLab on a computer of yours to do that"


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
def demo():
    return Limits(Settings(demo=True, demo_hours=2))


def spend(demo, call, times, visitor="v", address="a"):
    for _ in range(times):
        demo.check_call(call, visitor, address)


# How much


@pytest.mark.parametrize(
    ("call", "most", "why"),
    [
        ("apply", 30, "This public demo does 30 edits an hour for each visitor. Try again in 60 minutes."),
        ("change rep", 30, "This public demo does 30 edits an hour for each visitor. Try again in 60 minutes."),
        ("apply_many", 4, "This public demo does 4 files an hour for each visitor. Try again in 60 minutes."),
        ("ask", 120, "This public demo does 120 questions a minute for each visitor. Try again in 1 minute."),
    ],
)
def test_a_visitor_may_do_so_much_by_id_and_by_address(demo, call, most, why):
    spend(demo, call, most)
    for visitor, address in (("v", "a"), ("another", "a"), ("v", "elsewhere")):
        with pytest.raises(TooMany) as refused:
            demo.check_call(call, visitor, address)
        assert str(refused.value) == why
    demo.check_call(call, "another", "elsewhere")


@pytest.mark.parametrize(("call", "most", "each"), [("apply", 300, 30), ("apply_many", 20, 4), ("ask", 1_200, 120)])
def test_all_visitors_together_may_do_so_much(demo, call, most, each):
    for number in range(most // each):
        spend(demo, call, each, f"v{number}", f"a{number}")
    with pytest.raises(TooMany, match="for all visitors together"):
        demo.check_call(call, "new", "new")


def test_what_was_refused_is_not_counted(demo):
    spend(demo, "apply", 30)
    for _ in range(300):
        with pytest.raises(TooMany):
            demo.check_call("apply", "v", "new")
    spend(demo, "apply", 30, "w", "new")


def test_stopping_is_never_refused(demo):
    spend(demo, "stop", 10_000)


def test_without_a_demo_there_are_no_such_limits():
    none = Limits(Settings())
    spend(none, "apply", 1_000)
    none.check_call("train_mask", "v", "a", ["x" * 10_000])
    none.check_rows(10_000)
    none.check_model("large", 10**12)
    assert (none.expire_seconds, none.notice, none.file_size) == (None, "", "25mb")


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "1 second"), (40, "40 seconds"), (59.5, "1 minute"), (61, "2 minutes"), (3600, "60 minutes")]
)
def test_a_wait_is_rounded_up(seconds, told):
    assert limits.about(seconds) == told


def test_every_call_that_is_named_is_a_handler():
    """So that a handler that gets another name does not get another price unseen."""
    rooms = [
        importlib.import_module(f"editlab.web.{path.stem}") for path in (ROOT / "editlab" / "web").glob("*_handlers.py")
    ]
    classes = [own for room in rooms for _, own in inspect.getmembers(room, inspect.isclass) if issubclass(own, Handlers)]
    names = {name for own in classes for name, _ in inspect.getmembers(own, inspect.isfunction)}
    named = {call.split()[0] for call in (*limits.EDITS, *limits.BATCHES, *limits.FREE, *limits.REFUSED)}
    assert named <= names


# What not


def test_the_page_says_what_a_demo_does_not_do(visitor):
    assert "Masks are not trained on this public demo." in visitor.does("train_mask", "rome")["message"]
    assert visitor.lab.worker.open == []


def test_the_page_says_when_to_come_back(visitor, few_steps):
    spend(visitor.lab.limits, "apply", 30, visitor.name, "192.0.2.1")
    assert "Try again in 60 minutes." in visitor.applies()["message"]
    assert visitor.workspace.records == ()


def test_a_visitor_can_edit(visitor, few_steps):
    visitor.applies()
    assert [record.request.subject for record in visitor.workspace.records] == ["Slovenia"]


@pytest.mark.parametrize("name", ["model_measure", "model_file", "model_unload", "train_mask"])
def test_what_would_keep_the_model_from_others_is_refused(demo, name):
    with pytest.raises(BadRequest, match=PRESS):
        demo.check_call(name, "v", "a")


def test_texts_files_and_models_have_a_size(demo):
    demo.check_call("ask", "v", "a", ["x" * 2_500, None, 3])
    with pytest.raises(BadRequest, match=r"2,501 characters; this public demo takes 2,500\. Shorten it\."):
        demo.check_call("ask", "v", "a", ["x" * 2_501])
    demo.check_rows(20)
    with pytest.raises(BadRequest, match=r"21 rows; this public demo takes 20\."):
        demo.check_rows(21)
    demo.check_model("atlas", 200_000_000)
    with pytest.raises(BadRequest, match=r"has 1,558 million parameters; a public demo takes up to 200 million\."):
        demo.check_model("gpt2-xl", 1_557_611_200)


def test_a_large_model_is_refused_before_the_present_one_leaves(lab):
    before = lab.model
    with pytest.raises(BadRequest, match="million parameters; a public demo takes up to 200 million"):
        lab.shelf.switch(Choice(LARGE)).result(60)
    assert lab.model is before


def test_a_file_of_more_rows_is_refused_on_the_page(visitor, tmp_path):
    path = tmp_path / "edits.csv"
    rows = "".join(f"Place{number},{{}} is in,Asia\n" for number in range(21))
    path.write_text("subject,prompt,target_new\n" + rows)
    handlers = ManyHandlers(visitor.lab)
    updates = list(handlers.look_over(visitor.name, str(path), False, "rome", *visitor.settings, FakeRequest(visitor.name)))
    assert any("21 rows; this public demo takes 20." in str(update.get("many-said")) for update in updates)


def test_no_folder_of_the_server_can_be_named(lab):
    assert not lab.shelf.open
    with pytest.raises(BadRequest, match="is not offered here"):
        lab.shelf.plan(Choice("/etc"))


# Who


@pytest.mark.parametrize("guessed", ["team", "ana", "", None, "x" * 21, "x" * 23, "..", "é" * 22])
def test_a_demo_takes_no_id_that_it_did_not_make(lab, guessed):
    made = Handlers(lab).visitor(guessed, FakeRequest("a session"))
    assert made != guessed and len(made) == 22
    assert Handlers(lab).visitor(made, FakeRequest("another session")) == made


def test_an_id_is_the_servers_and_the_same_all_along_a_session(lab):
    first, again, other = (Handlers(lab).visitor(None, FakeRequest(session)) for session in ("one", "one", "two"))
    assert first == again != other and first != "one"


# What it says


def test_the_page_says_that_it_is_a_demo_and_what_is_kept_how_long(lab):
    notice = "until you have been away for 6 hours; then it is deleted"
    html = [str(part["props"].get("value")) for part in create_page(lab).get_config_file()["components"]]
    assert any(notice in value for value in html)


def test_edits_are_forgotten_after_the_hours_that_are_set(demo):
    assert demo.expire_seconds == 7200 and "away for 2 hours" in demo.notice
    assert "30 minutes" in Limits(Settings(demo=True, demo_hours=0.5)).notice


def test_the_readme_is_what_a_space_reads():
    _, front, text = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["sdk"], said["app_port"], said["license"]) == ("docker", Settings().port, "apache-2.0")
    assert said["title"] == "EditLab" and 0 < len(said["short_description"]) <= 60
    assert text.lstrip().startswith("# EditLab\n")
    assert f"EXPOSE {said['app_port']}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
