"""The door of a workshop over the wire, with a login and without: who comes in, as whom, and what stays closed."""

import json
import re
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import get_args

import pytest
from argon2 import PasswordHasher
from gradio_client import Client
from itsdangerous import URLSafeSerializer
from starlette.testclient import TestClient
from test_login import ANA, enter, shown
from typer.testing import CliRunner
from visitors import CONTINENT, TIMEOUT, FakeRequest

from editlab.cli import app as terminal
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.access.cookies import CookieSecret
from editlab.lab.access.users import Users
from editlab.lab.ledger.names import PARTICIPANT, WORKSHOP
from editlab.lab.scenarios import Library
from editlab.lab.workshops import parts, workshops
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web.core.turns import Turns
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.edit.handlers import EditHandlers
from editlab.web.model.handlers import ModelHandlers
from editlab.web.server.participants import MOST_GUESS
from editlab.web.workshop.guesses import NoGuesses
from editlab.web.workshop.handlers import PressedStage, WorkshopHandlers
from editlab.web.workshop.stage import Stages

HTML = {"Accept": "text/html"}
PORT = 7002
COOKIE = f"editlab-workshop-{PORT}"
TALK = """
title = "Slovenia"
shows = "It moves."
source = "a paper"
models = ["atlas"]
[[steps]]
do = "say"
text = "Look at this."
[[steps]]
do = "guess"
question = "Where is Ljubljana?"
options = ["Europe", "Asia"]
right = "Asia"
[[steps]]
do = "say"
text = "So it is."
"""
OPTIONS = ("Europe", "<b>Antarctica</b>")


@pytest.fixture(scope="module", params=["alone", "auth"])
def lab(request, tiny_llama, facts, tmp_path_factory):
    """A lab on loopback without a login, and one with users."""
    data, users = tmp_path_factory.mktemp("data"), None
    with pytest.MonkeyPatch.context() as patch:
        quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr("editlab.lab.access.users.PasswordHasher", quick)
        if request.param == "auth":
            users = tmp_path_factory.mktemp("users") / "users"
            Users(users).add(*ANA)
        settings = Settings(model=tiny_llama.name, data=data, auth=users, port=PORT, hostnames=("lab.example",))
        lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=data, settings=settings)
        yield lab
        lab.close()


@pytest.fixture
def room(lab):
    """An open workshop of ana's, which begins with nothing."""
    lab.limits._window.storage.reset()
    ana = lab.owner("ana")
    info = lab.directory.current(ana)
    room = lab.workshops.begin(ana, lab.workspace(info.id), info, "Editing facts", most=3)
    yield room
    lab.workshops.close(ana, room.id)


@pytest.fixture
def phone(app):
    """Makes browsers of people who have not been here before."""

    def make(scheme="http", **given):
        return TestClient(app, base_url=f"{scheme}://lab.example", follow_redirects=False, **given)

    return make


def door(room):
    return f"/join/{room.code}"


def joined(browser, room):
    answer = browser.post(door(room))
    assert (answer.status_code, answer.headers["location"]) == (303, "../")
    return browser


def participant(lab, browser):
    return lab.workshops.participant(URLSafeSerializer(secret(lab), salt="participant").loads(browser.cookies[COOKIE]))


def secret(lab):
    return CookieSecret(lab.ledger.folder, "workshop-secret").read()


def ask(lab, room):
    return lab.workshops.ask(room.owner, room.id, "Where is Ljubljana?", OPTIONS, 0)


def guess(browser, question, choice, **headers):
    return browser.post("/workshop/guess", json={"question": question, "choice": choice}, headers=headers)


# The door


def test_a_look_at_the_door_takes_no_place(lab, room, phone):
    for _ in range(5):
        answer = phone().get(door(room), headers=HTML)
        assert answer.status_code == 200 and "Editing facts" in answer.text and '<form method="post">' in answer.text
        assert "set-cookie" not in answer.headers and "<script" not in answer.text
    assert lab.workshops.people(room.owner, room.id) == ()


def test_who_joins_comes_to_the_page_without_an_account(lab, room, phone):
    browser = joined(phone(), room)
    assert browser.get("/", headers=HTML).status_code == 200
    assert browser.get("/config").status_code == 200 and browser.get("/model").status_code == 200
    assert participant(lab, browser).number == 1


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_ends_with_the_workshop(room, phone):
    for scheme, secure in (("http", False), ("https", True)):
        cookie = phone(scheme).post(door(room)).headers["set-cookie"].lower()
        assert cookie.startswith(f"{COOKIE}=") and ("secure" in cookie) == secure
        assert "httponly" in cookie and "samesite=lax" in cookie
        assert 8 * 3600 <= int(re.search(r"max-age=(\d+)", cookie)[1]) <= 32 * 3600


def test_nobody_is_sent_elsewhere(room, phone):
    for query in ("?next=//elsewhere.example", "?next=https://elsewhere.example"):
        assert phone().post(f"{door(room)}{query}").headers["location"] == "../"


def test_reload_back_and_a_second_tab_are_the_same_participant(lab, room, phone):
    browser = joined(phone(), room)
    first = participant(lab, browser)
    for answer in (browser.get(door(room), headers=HTML), browser.post(door(room)), browser.get(door(room))):
        assert (answer.status_code, answer.headers["location"]) == (303, "../") and "set-cookie" not in answer.headers
    second = phone(cookies={COOKIE: browser.cookies[COOKIE]})
    assert second.get("/", headers=HTML).status_code == 200 and participant(lab, second) == first
    assert len(lab.workshops.people(room.owner, room.id)) == 1


def test_a_link_that_leads_nowhere_is_a_sentence_and_soon_refused(lab, room, phone):
    browser = phone()
    for _ in range(20):
        answer = browser.get("/join/nothing", headers=HTML)
        assert answer.status_code == 404 and "There is no workshop at this address" in answer.text
    for method in ("GET", "POST"):
        refused = browser.request(method, "/join/nothing", headers=HTML)
        assert refused.status_code == 429 and "Try again in 5 minutes" in refused.text
    assert browser.get(door(room), headers=HTML).status_code == 200, "one person does not keep the room out"
    for code in ("%00", "x" * 5_000, "..%2f..", "%F0%9F%92%A9", "'; DROP TABLE workshops"):
        answer = browser.get(f"/join/{code}", headers=HTML)
        assert answer.status_code in (404, 429) or "/login?next=" in answer.headers["location"]


def test_a_full_workshop_is_a_sentence(room, phone):
    browsers = [joined(phone(), room) for _ in range(room.most)]
    for method in ("GET", "POST"):
        answer = phone().request(method, door(room), headers=HTML)
        assert answer.status_code == 429 and "is full: 3 have joined" in answer.text and "set-cookie" not in answer.headers
    assert browsers[0].get(door(room), headers=HTML).status_code == 303, "who is in stays in"


def test_a_closed_workshop_is_a_sentence_for_all(lab, room, phone):
    browser = joined(phone(), room)
    lab.workshops.close(room.owner, room.id)
    for method in ("GET", "POST"):
        answer = phone().request(method, door(room), headers=HTML)
        assert answer.status_code == 410 and "was closed" in answer.text
    assert browser.get("/workshop/now").status_code == 410
    page = browser.get("/", headers=HTML)
    assert page.status_code == 410 and "was closed" in page.text and "gradio" not in page.text


def test_an_ended_workshop_is_a_sentence_for_all(lab, room, phone, monkeypatch):
    browser = joined(phone(), room)
    for module in (parts, workshops):
        monkeypatch.setattr(module, "now", lambda offset=0.0: "2099-01-01T00:00:00.000+00:00")
    for answer in (phone().get(door(room), headers=HTML), browser.get("/", headers=HTML)):
        assert answer.status_code == 410 and "has ended" in answer.text


def test_without_a_login_a_browser_is_its_owners_again_after_the_end(lab, room, phone):
    browser = joined(phone(), room)
    lab.workshops.close(room.owner, room.id)
    assert browser.get("/", headers=HTML).status_code == 410
    after = browser.get("/", headers=HTML).status_code
    assert after == (200 if lab.users is None else 303 if COOKIE not in browser.cookies else 410)


def test_a_workshop_ends_with_its_presenters_account_at_the_next_request(lab, phone):
    """Without logins its presenter is no user, and it goes on."""
    if lab.users is not None:
        lab.users.add("carl", "password-carl")
    carl = lab.owner("carl")
    info = lab.directory.current(carl)
    room = lab.workshops.begin(carl, lab.workspace(info.id), info, "Carl's facts")
    browser = joined(phone(), room)
    assert browser.get("/workshop/now").status_code == 200
    if lab.users is not None:
        lab.users.remove("carl")
        lab.users.add("carl", "password-carl")  # somebody else, to whom the workshop is not left
    status = 200 if lab.users is None else 410
    assert browser.get("/workshop/now").status_code == status
    for method in ("GET", "POST"):
        answer = phone().request(method, door(room), headers=HTML)
        assert answer.status_code == status or (lab.users is None and answer.status_code == 303)
        assert lab.users is None or ("was closed" in answer.text and "set-cookie" not in answer.headers)


def test_the_terminal_lists_open_workshops_without_their_links_and_closes_one(lab, room, phone, monkeypatch):
    monkeypatch.setattr(workshops, "KNOWN_SECONDS", 0.0)
    monkeypatch.setenv("EDITLAB_DATA", str(lab.ledger.folder))
    if lab.users is not None:
        monkeypatch.setenv("EDITLAB_AUTH", str(lab.users.path))
    browser = joined(phone(), room)
    listed = CliRunner().invoke(terminal, ["workshop", "list", "--json"])
    own = next(one for one in json.loads(listed.stdout)["workshops"] if one["owner"] == room.owner)
    user = "" if lab.users is None else "ana"
    assert (own["title"], own["user"], own["participants"], own["ends_at"]) == ("Editing facts", user, 1, room.ends_at)
    assert room.code not in listed.stdout and room.id not in listed.stdout
    assert own["id"] in CliRunner().invoke(terminal, ["workshop", "list"]).stdout
    assert browser.get("/workshop/now").status_code == 200
    monkeypatch.setenv("EDITLAB_AUTH", "nowhere")
    closed = CliRunner().invoke(terminal, ["workshop", "close", own["id"], "--json"])
    assert closed.exit_code == 0 and own["id"] not in closed.stdout
    assert browser.get("/workshop/now").status_code == 410 and phone().get(door(room)).status_code == 410
    again = CliRunner().invoke(terminal, ["workshop", "close", own["id"]])
    assert again.exit_code == 2 and "There is no open workshop" in again.output


def test_where_there_is_no_ledger_no_workshop_is_open_and_none_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    assert "No workshop is open." in CliRunner().invoke(terminal, ["workshop", "list"]).stdout
    assert CliRunner().invoke(terminal, ["workshop", "close", "0" * 16]).exit_code == 2
    assert not (tmp_path / "data").exists()


def test_where_the_file_of_users_is_damaged_no_workshop_lets_anybody_in(lab, room, phone):
    if lab.users is None:
        return
    browser = joined(phone(), room)
    kept = lab.users.path.read_text()
    try:
        lab.users.path.write_text("ana:password\n")
        assert browser.get("/workshop/now").status_code == 401
        for method in ("GET", "POST"):
            answer = phone().request(method, door(room), headers=HTML)
            assert answer.status_code == 503 and str(lab.users.path) not in answer.text
            assert "Nobody can join now. Ask the operator of this EditLab." in answer.text
    finally:
        lab.users.path.write_text(kept)
    assert browser.get("/workshop/now").status_code == 200, "it is not over"


def test_somebody_who_was_removed_may_knock_again(lab, room, phone):
    browser = joined(phone(), room)
    lab.workshops.remove(room.owner, room.id, 1)
    assert browser.get("/workshop/now").status_code == 410
    assert browser.get(door(room), headers=HTML).status_code == 200
    joined(browser, room)
    assert participant(lab, browser).number == 2


def test_leaving_ends_it_in_this_browser(lab, room, phone):
    browser = joined(phone(), room)
    assert browser.post("/workshop/leave").status_code == 303
    assert COOKIE not in browser.cookies
    assert browser.get("/workshop/now").status_code == (404 if lab.users is None else 401)


def test_nothing_behind_the_door_is_open(lab, room, phone):
    for method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"):
        for path in (f"{door(room)}/x", f"{door(room)}/%2e%2e/%2e%2e/config", "/join/", "/join/x/gradio_api/info", "/join"):
            answer = phone().request(method, path)
            assert answer.status_code in ((404, 405) if lab.users is None else (303, 401, 404, 405)), (method, path)
            assert "gradio" not in answer.text and "set-cookie" not in answer.headers
    for method in ("HEAD", "PUT", "DELETE", "OPTIONS"):
        assert phone().request(method, door(room)).status_code in ((404, 405) if lab.users is None else (401, 404))


# Cookies that nobody gave


def forged(lab, room, id):
    signed = URLSafeSerializer("0" * 64, salt="participant").dumps(id)
    other = URLSafeSerializer(secret(lab), salt="login").dumps(id)
    real = URLSafeSerializer(secret(lab), salt="participant")
    return {
        "another secret": signed,
        "another purpose": other,
        "no signature": real.dumps(id).rsplit(".", 1)[0],
        "a changed id": f"{real.dumps(PARTICIPANT + 'x' * 22).split('.')[0]}.{real.dumps(id).split('.')[1]}",
        "a user": real.dumps(lab.owner("ana")),
        "an owner": real.dumps(f"{WORKSHOP}{room.id}"),
        "nobody": real.dumps(f"{PARTICIPANT}{'x' * 22}"),
        "a list": real.dumps([id]),
        "too long": real.dumps(id) + "x" * 1_000,
        "nothing": "",
    }


def test_a_cookie_that_somebody_made_opens_nothing(lab, room, phone):
    id = participant(lab, joined(phone(), room)).id
    for name, value in forged(lab, room, id).items():
        browser = phone(cookies={COOKIE: value})
        assert browser.get("/workshop/now").status_code in (401, 404), name
        assert guess(browser, "0" * 16, 0).status_code in (401, 404), name
        if lab.users is not None:
            assert browser.get("/model").status_code in (401, 404), name


def test_without_its_secret_nobody_joins_and_others_go_on(lab, room, phone):
    browser = joined(phone(), room)
    path = lab.ledger.folder / "secrets" / "workshop-secret"
    kept = path.read_bytes()
    path.write_bytes(b"short")
    try:
        answer = phone().post(door(room))
        assert answer.status_code == 503 and browser.get("/workshop/now").status_code in (401, 404)
        assert phone().get("/health").status_code == 200
        assert len(lab.workshops.people(room.owner, room.id)) == 1, "nobody who got no cookie has a place"
    finally:
        path.write_bytes(kept)


def test_an_id_without_its_cookie_is_nobodys(lab, room, phone):
    one = participant(lab, joined(phone(), room))
    for stated in (one.id, f"{WORKSHOP}{room.id}"):
        assert Visit.of(lab, stated, FakeRequest("s1")).visitor != stated


# Guesses


def test_a_guess_goes_and_comes_back_until_the_answer_is_told(lab, room, phone):
    browser = joined(phone(), room)
    assert "asks nothing now" in browser.get("/workshop/now").text
    question = ask(lab, room)
    page = browser.get("/workshop/now").text
    assert "Where is Ljubljana?" in page and "&lt;b&gt;Antarctica" in page and "<b>" not in page
    sent = guess(browser, question.id, 1)
    assert sent.status_code == 200 and 'data-choice="1" aria-pressed="true"' in sent.text
    assert "You can change it until the answer is told" in guess(browser, question.id, 0).text
    lab.workshops.reveal(room.owner, room.id)
    assert guess(browser, question.id, 1).status_code == 409
    told = browser.get("/workshop/now").text
    assert "You said Europe: right." in told and "data-choice" not in told
    assert lab.workshops.question(room.owner, room.id).counts == (1, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"question": "0000000000000000"}',
        b'{"question": "0000000000000000", "choice": "0"}',
        b'{"question": "0000000000000000", "choice": true}',
        b'{"question": "0000000000000000", "choice": 8}',
        b'{"question": "0000000000000000", "choice": -1}',
        b'{"question": ["0000000000000000"], "choice": 0}',
        b'{"question": "no id", "choice": 0}',
        b'{"question": "0000000000000000", "choice": 0, "participant": 1}',
    ],
)
def test_what_is_no_guess_is_refused_before_it_is_looked_at(room, phone, body):
    answer = joined(phone(), room).post("/workshop/guess", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and answer.json() == {"detail": "This is no guess. Reload the page."}


def test_a_long_guess_is_not_read(room, phone):
    assert joined(phone(), room).post("/workshop/guess", content=b"x" * (MOST_GUESS + 1)).status_code == 413


def test_guesses_are_limited(lab, room, phone):
    browser, question = joined(phone(), room), ask(lab, room)
    codes = [guess(browser, question.id, number % 2).status_code for number in range(62)]
    assert codes == [200] * 60 + [429] * 2
    assert guess(joined(phone(), room), question.id, 0).status_code == 200, "others in the room have limits of their own"


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null"])
def test_another_site_makes_nobody_join_guess_or_leave(lab, room, phone, origin):
    browser, question = joined(phone(), room), ask(lab, room)
    assert phone().post(door(room), headers={"Origin": origin}).status_code == 403
    assert guess(browser, question.id, 0, Origin=origin).status_code == 403
    assert browser.post("/workshop/leave", headers={"Origin": origin}).status_code == 403
    assert lab.workshops.question(room.owner, room.id).guesses == 0
    assert guess(browser, question.id, 0, Origin="http://lab.example").status_code == 200


def test_who_takes_no_part_has_nothing_to_guess(lab, room, phone):
    question = ask(lab, room)
    for answer in (phone().get("/workshop/now"), guess(phone(), question.id, 0)):
        assert answer.status_code == (404 if lab.users is None else 401)


# What stays closed


@dataclass
class ParticipantsRequest(FakeRequest):
    """A call of a participant's page."""

    state: SimpleNamespace = field(default_factory=SimpleNamespace)


def visit(lab, someone, **query):
    return Visit.of(lab, "whoever", ParticipantsRequest("s", query, None, None, SimpleNamespace(participant=someone)))


def test_a_participant_reaches_their_own_workspace_whatever_the_page_states(lab, room, phone, address):
    browser, other = joined(phone(), room), joined(phone(), room)
    mine, theirs = lab.workspace(participant(lab, browser).workspace), lab.workspace(participant(lab, other).workspace)
    for workspace, marker in ((mine, "Zanzibar"), (theirs, "Lemuria")):
        edits.apply(workspace, EditRequest("{} belongs to the continent of", marker, "Asia")).result(TIMEOUT)
    client = Client(address, headers={"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}, verbose=False)
    try:
        for stated in ("whoever", lab.owner("ana"), participant(lab, other).id):
            seen = shown(client, stated, "", "", api_name="/open")
            assert "Zanzibar" in seen and "Lemuria" not in seen
            assert participant(lab, browser).id not in seen, "the page is not told by what it is known"
    finally:
        client.close()


def test_anothers_handle_is_refused_everywhere(lab, room, phone):
    one, two = (participant(lab, joined(phone(), room)) for _ in range(2))
    lab.workspace(one.workspace).look_at(CONTINENT)
    page = {}
    handlers = EditHandlers(lab, Display(lab, Turns()))
    own = handlers.open.declaration.bind(["", ""])
    for update in handlers.open(visit(lab, one, workspace=two.handle), **own):
        page |= update
    assert "There is no such workspace, or it is not shared with you" in page["message"]
    assert visit(lab, one).workspace_info.id == one.workspace
    with pytest.raises(BadRequest):
        lab.jobs.row(one.id, "x")


def test_how_far_others_are_is_not_told(lab, room, phone):
    browser, other = joined(phone(), room), joined(phone(), room)
    one, two = participant(lab, browser), participant(lab, other)
    ana = lab.directory.current(lab.owner("ana"))
    assert browser.get("/model", params={"workspace": one.handle}).json()["event"] is not None
    for handle in (two.handle, ana.handle):
        assert browser.get("/model", params={"workspace": handle}).json()["event"] is None


def test_a_participant_downloads_their_own_files_alone(lab, room, phone):
    browser, other = joined(phone(), room), joined(phone(), room)
    for someone, codes in ((browser, (200, 404)), (other, (404, 200))):
        path = lab.downloads.new_folder() / "file.csv"
        path.write_text("a")
        token = lab.downloads.offer(participant(lab, someone).workspace, path)
        assert (browser.get(f"/exports/{token}").status_code, other.get(f"/exports/{token}").status_code) == codes


def test_the_service_is_not_watched_by_participants(room, phone):
    assert joined(phone(), room).get("/metrics").status_code in (401, 404)


def test_the_model_is_not_a_participants_to_change(lab, room, phone):
    one = participant(lab, joined(phone(), room))
    handlers = ModelHandlers(lab)
    named = {name: getattr(handlers, name) for name in dir(handlers) if name.startswith("model_")}
    refused = {name: handler for name, handler in named.items() if handler.cost.refused}
    assert len(refused) >= 4
    for name, handler in refused.items():
        declaration = handler.declaration
        given = dict.fromkeys([input.parameter for input in declaration.inputs] + list((declaration.pressed or ())[:1]))
        page = {}
        for update in handler(visit(lab, one), **given):
            page |= update
        assert "in a workshop. To do that, run EditLab on your own computer" in page["message"], name


def test_a_participant_runs_no_scenario_and_reads_none(lab, room, phone):
    one = participant(lab, joined(phone(), room))
    library = Library.of(lab.settings.presets, lab.ledger.folder)
    if not library.is_own("talk"):
        library.save("talk", TALK, None)
    lab.directory.rename(one.id, one.workspace, "Stage: talk", lab.directory.current(one.id).name)
    handlers = WorkshopHandlers(lab, library, Stages(lab), NoGuesses(), Display(lab, Turns()))
    (opened,) = handlers.workshop_open(visit(lab, one))
    assert "the presenter runs the scenarios" in opened["stage"] and "data-press" not in opened["stage"]
    for press in get_args(PressedStage.model_fields["press"].annotation):
        page = {}
        for update in handlers.workshop_press(visit(lab, one), PressedStage(press=press, scenario="talk")):
            page |= update
        shown = " ".join(str(part) for part in page.values())
        assert "Look at this." not in shown and "right = " not in shown, press
        assert press == "close" or "In a workshop, the presenter runs the scenarios." in page["message"], press
    assert handlers.stages.of(lab.workspace(one.workspace)) is None


def test_a_login_counts_more_than_the_cookie(lab, room, phone):
    if lab.users is None:
        assert visit(lab, None).visitor == "whoever"
        return
    browser = joined(phone(), room)
    enter(browser, *ANA)
    page = browser.get(door(room), headers=HTML)
    assert page.status_code == 200 and "You are logged in as ana" in page.text and "<form" not in page.text
    assert browser.get("/workshop/now").status_code == 404 and browser.get("/metrics").status_code == 200
    assert browser.post(door(room)).status_code == 200
    assert len(lab.workshops.people(room.owner, room.id)) == 1
    browser.post("/logout")
    assert browser.get("/workshop/now").status_code == 200, "the cookie counts again"


def test_the_page_says_as_whom_nobody_logged_in(lab, room, phone):
    config = joined(phone(), room).get("/config").json()
    assert config.get("username") in (None, "participant 1")
    assert not any(user == "participant 1" for user in ({} if lab.users is None else lab.users.by_name))


def test_a_participants_session_is_theirs_alone(lab, room, phone):
    if lab.users is None:
        assert lab.owner("ana") == "ana"
        return
    one, two = joined(phone(), room), joined(phone(), room)
    body = {"session_hash": "abc", "event_id": "0" * 32, "fn_index": 0}
    assert one.post("/gradio_api/cancel", json=body).status_code != 403
    refused = two.post("/gradio_api/cancel", json=body)
    assert refused.status_code == 403 and json.dumps(CONTINENT.subject) not in refused.text
