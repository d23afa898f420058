"""A page behind a login: who comes in, who does not, and that nobody gets at somebody else's edits."""

import base64
import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters
from gradio_client import Client
from itsdangerous import TimestampSigner
from over_the_wire import filled, routes_of, served
from starlette.testclient import TestClient
from typer.testing import CliRunner
from visitors import TIMEOUT

from editlab import storage
from editlab.cli import app as terminal
from editlab.errors import BadFile, BadRequest, TooMany
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.access.cookies import CookieSecret, EndedLogins
from editlab.lab.access.limits import RateLimits
from editlab.lab.access.users import Users
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web import create_app
from editlab.web.server.guard import OPEN
from editlab.web.server.login import FREE, WRONG, SessionOwners, local

ANA, BEN = ("ana", "correct horse"), ("ben", "battery staple")
MARKER = "Zanzibar"
CLOSED = (401, 303, 404, 405)


@pytest.fixture(scope="module", autouse=True)
def quick_hashes():
    """Hashes that take no time: what argon2 costs is its own affair."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "editlab.lab.access.users.PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        )
        yield


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    users = Users(tmp_path_factory.mktemp("users") / "users")
    for name, password in (ANA, BEN):
        users.add(name, password)
    return users


@pytest.fixture(scope="module")
def lab(tiny_llama, facts, users, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    settings = Settings(model=tiny_llama.name, data=data, auth=users._path, port=7001, hostnames=("lab.example",))
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=data, settings=settings)
    yield lab
    lab.close()


@pytest.fixture
def browser(lab, app):
    """Somebody at the door, of whom nothing is known yet."""
    lab.limits._window.storage.reset()
    return TestClient(app, base_url="http://lab.example", follow_redirects=False)


def enter(browser, name, password, **more):
    return browser.post("/login", data={"name": name, "password": password, **more})


# The door


def test_without_a_login_nothing_answers(app, browser):
    asked = [(method, path) for method, path in filled(routes_of(app), "x") if path not in FREE]
    assert len(asked) > 60 and {"/metrics", "/model", "/config", "/gradio_api/heartbeat/x"} <= {path for _, path in asked}
    for method, path in asked:
        for headers in ({}, {"Accept": "text/html"}, {"Cookie": "editlab-7001=e30="}):
            answer = browser.request(method, path, headers=headers, json={} if method == "POST" else None)
            assert answer.status_code in CLOSED, (method, path)
            assert "gradio" not in answer.text


def test_health_and_readiness_need_no_login(browser):
    assert browser.get("/health").json() == {"status": "ok"}
    assert browser.get("/ready").json() == {"status": "ready", "faults": []}


def test_somebody_who_opens_the_page_is_sent_to_the_login_and_on_to_where_they_wanted(browser):
    sent = browser.get("/?preset=messi&tab=keys", headers={"Accept": "text/html"})
    assert sent.status_code == 303
    page = browser.get(sent.headers["location"])
    assert 'name="next" value="/?preset=messi&amp;tab=keys"' in page.text and "<script" not in page.text
    came = enter(browser, *ANA, next="/?preset=messi&tab=keys")
    assert (came.status_code, came.headers["location"]) == (303, "./?preset=messi&tab=keys")
    assert browser.get("/model").status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_ends(browser):
    cookie = enter(browser, *ANA).headers["set-cookie"].lower()
    assert cookie.startswith("editlab-7001=")
    for flag in ("httponly", "samesite=lax", "max-age=43200"):
        assert flag in cookie
    assert ANA[1] not in base64.b64decode(cookie.split("=", 1)[1].split(".")[0] + "==").decode(errors="replace")


def test_a_cookie_that_somebody_made_is_none(browser, users):
    forged = base64.b64encode(json.dumps({"name": "ana", "mark": users.by_name["ana"].mark, "login": "x"}).encode()).decode()
    for cookie in (forged, f"{forged}.aaaa.bbbb"):
        assert browser.get("/model", headers={"Cookie": f"editlab-7001={cookie}"}).status_code == 401


def test_the_cookie_travels_over_https_alone_where_the_browser_came_so(app, lab):
    lab.limits._window.storage.reset()
    for scheme, secure in (("http", False), ("https", True)):
        browser = TestClient(app, base_url=f"{scheme}://lab.example", follow_redirects=False)
        assert ("secure" in enter(browser, *ANA).headers["set-cookie"].lower()) == secure
        assert browser.get("/model").status_code == 200
        left = browser.post("/logout").headers["set-cookie"].lower()
        assert ("secure" in left) == secure and "expires=thu, 01 jan 1970" in left


def test_the_cookie_is_secure_behind_a_proxy_with_tls(lab, monkeypatch):
    monkeypatch.setattr(lab, "settings", lab.settings.model_copy(update={"proxies": ("192.0.2.1/32",)}))
    app = create_app(lab)
    for peer, secure in (("192.0.2.1", True), ("192.0.2.2", False)):
        browser = TestClient(app, base_url="http://lab.example", follow_redirects=False, client=(peer, 1))
        form = dict(zip(("name", "password"), ANA, strict=True))
        answer = browser.post("/login", data=form, headers={"X-Forwarded-Proto": "https"})
        assert ("secure" in answer.headers["set-cookie"].lower()) == secure


def test_logging_out_ends_it(browser):
    enter(browser, *ANA)
    assert browser.post("/logout").headers["location"] == "./login"
    answer = browser.get("/model")
    assert answer.status_code == 401 and "log in again; your edits are kept" in answer.json()["error"]


def test_logging_out_ends_a_copy_of_the_cookie_too_and_for_good(browser, lab, app):
    enter(browser, *ANA)
    copy = browser.cookies["editlab-7001"]
    other = TestClient(app, base_url="http://lab.example", follow_redirects=False)
    enter(other, *ANA)
    browser.post("/logout")
    for server in (app, create_app(lab)):  # and one that was started again
        thief = TestClient(server, base_url="http://lab.example", cookies={"editlab-7001": copy})
        assert thief.get("/model").status_code == 401
    assert other.get("/model").status_code == 200


def test_what_logs_out_without_being_logged_in_is_not_kept(browser, lab):
    kept = lab.ledger.folder / "secrets" / "ended-logins"
    before = kept.read_bytes() if kept.exists() else None
    for _ in range(3):
        assert browser.post("/logout").status_code in CLOSED
    assert (kept.read_bytes() if kept.exists() else None) == before


def test_ended_logins_are_kept_until_their_cookies_end_and_bounded(tmp_path, monkeypatch):
    (tmp_path / "secrets").mkdir()
    real = time.time
    monkeypatch.setattr("editlab.lab.access.cookies.MOST_ENDED", 3)
    ended = EndedLogins(tmp_path, 60)
    for login in "abcd":
        ended.add(login)
    assert [login in EndedLogins(tmp_path, 60) for login in "abcd"] == [False, True, True, True]
    monkeypatch.setattr("editlab.lab.access.cookies.time.time", lambda: real() + 61)
    ended.add("e")
    assert [login in EndedLogins(tmp_path, 60) for login in "abcde"] == [False, False, False, False, True]
    (tmp_path / "secrets" / "ended-logins").write_text("[")
    with pytest.raises(BadFile, match="end-sessions"):
        EndedLogins(tmp_path, 60)


def test_a_login_that_one_process_ended_has_ended_for_all(tmp_path):
    (tmp_path / "secrets").mkdir()
    one, other = EndedLogins(tmp_path, 60), EndedLogins(tmp_path, 60)
    one.add("a")
    other.add("b")
    assert all(login in ended for login in "ab" for ended in (one, other, EndedLogins(tmp_path, 60)))


# Secrets


def test_the_secret_is_made_once_in_a_folder_of_its_own_that_its_owner_alone_enters(tmp_path):
    first = CookieSecret(tmp_path).read()
    assert CookieSecret(tmp_path).read() == first and re.fullmatch(r"[0-9a-f]{64}", first)
    assert [path.name for path in tmp_path.iterdir()] == ["secrets"]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()] == [0o600]


def test_a_secret_of_before_is_deleted_and_counts_no_more(lab, tmp_path, users):
    """It may have been taken through the page, which could be made to hand out any file."""
    old = lab.ledger.folder / "cookie-secret"
    old.write_text("ab" * 32)
    browser = TestClient(create_app(lab), base_url="http://lab.example")
    login = {"name": "ana", "mark": users.by_name["ana"].mark, "login": "x"}
    forged = TimestampSigner("ab" * 32).sign(base64.b64encode(json.dumps(login).encode())).decode()
    assert browser.get("/model", headers={"Cookie": f"editlab-7001={forged}"}).status_code == 401
    assert not old.exists()


def test_a_command_ends_all_logins_of_a_running_server_at_once(browser, lab):
    enter(browser, *ANA)
    assert browser.get("/model").status_code == 200
    result = CliRunner().invoke(terminal, ["user", "end-sessions", "--data", str(lab.ledger.folder)])
    assert result.exit_code == 0 and "have ended" in result.stdout
    assert browser.get("/model").status_code == 401
    enter(browser, *ANA)
    assert browser.get("/model").status_code == 200


def test_the_command_finds_the_data_as_the_server_does(tmp_path, monkeypatch):
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path))
    before = CookieSecret(tmp_path).read()
    assert CliRunner().invoke(terminal, ["user", "end-sessions"]).exit_code == 0
    assert CookieSecret(tmp_path).read() != before


@pytest.mark.parametrize("place", ["no folder", "an empty folder", "a file"])
def test_where_no_login_can_be_none_is_said_to_have_ended(tmp_path, place):
    folder = tmp_path / "data"
    if place == "an empty folder":
        folder.mkdir()
    elif place == "a file":
        folder.write_text("")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(terminal, ["user", "end-sessions", "--data", str(folder), "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["error"]) == (2, "BadFile") and f"{folder} is no data folder" in told["message"]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("rights", [0o604, 0o640, 0o660])
def test_a_secret_that_others_could_read_is_replaced(tmp_path, rights):
    secret = CookieSecret(tmp_path)
    before = secret.read()
    (tmp_path / "secrets" / "cookie-secret").chmod(rights)
    assert secret.read() != before and CookieSecret(tmp_path).read() == secret.read()


def test_without_a_secret_nobody_is_served(browser, lab):
    enter(browser, *ANA)
    path = lab.ledger.folder / "secrets" / "cookie-secret"
    storage.write(path, b"short")
    answer = browser.get("/model")
    path.unlink()
    assert answer.status_code == 503 and str(lab.ledger.folder) not in answer.text
    assert browser.get("/model").status_code == 401


@pytest.mark.parametrize("rights", [0o644, 0o640, 0o602])
def test_a_file_of_users_that_others_can_read_is_refused_at_the_start(tmp_path, rights):
    Users(tmp_path / "users").add("ana", ANA[1])
    Users(tmp_path / "users").check()
    (tmp_path / "users").chmod(rights)
    with pytest.raises(BadFile, match=f"chmod 600 {tmp_path / 'users'}"):
        Users(tmp_path / "users").check()


@pytest.mark.parametrize("folder", ["data/downloads", "presets/facts"])
def test_a_file_of_users_among_what_people_are_given_is_refused(tmp_path, folder):
    settings = Settings(data=tmp_path / "data", presets=tmp_path / "presets")
    path = tmp_path / folder / "users"
    Users(path).add("ana", ANA[1])
    (tmp_path / "link").symlink_to(path)
    for name in (path, tmp_path / "link"):
        with pytest.raises(BadFile, match="Move it elsewhere"):
            Users(name).check(settings.public_folders)


# Names that are given again


def test_a_name_that_is_given_anew_does_not_inherit(address, lab, users):
    lab.limits._window.storage.reset()
    users.add("fay", "first password")
    was = lab.owner("fay")
    edits.apply(lab.workspace(lab.directory.current(was).id), EditRequest("{} is in", MARKER, "Asia")).result(TIMEOUT)
    users.add("fay", "other password")
    assert lab.owner("fay") == was
    users.remove("fay")
    with pytest.raises(BadRequest, match="no longer valid"):
        lab.owner("fay")
    users.add("fay", "third password")
    assert lab.owner("fay") != was
    client = Client(address, headers={"Cookie": cookie_of(address, ("fay", "third password"))}, verbose=False)
    assert MARKER not in shown(client, "fay", "", "", api_name="/open")
    client.close()
    users.remove("fay")


def test_a_line_without_an_id_keeps_what_it_had(tmp_path, users):
    """As older versions wrote it."""
    path = tmp_path / "users"
    path.write_text("".join(f"{name}:{users.by_name['ana'].hash}\n" for name in ("ana", "ben")))
    old = Users(path)
    assert {name: user.id for name, user in old.by_name.items()} == {"ana": "ana", "ben": "ben"}
    old.add("ana", "other password")
    old.remove("ben")
    old.add("ben", "other password")
    assert old.by_name["ana"].id == "ana" and old.by_name["ben"].id not in ("ana", "ben")


@pytest.mark.parametrize("line", ["ben:{hash}:one", "ben:{hash}:x:y", "ben:{hash}:../x", "ben:{hash}:é"])
def test_an_id_is_one_users_alone_and_a_plain_word(tmp_path, users, line):
    hash = users.by_name["ana"].hash
    (tmp_path / "users").write_text(f"ana:{hash}:one\n{line.format(hash=hash)}\n")
    with pytest.raises(BadFile, match="line 2"):
        assert Users(tmp_path / "users").by_name


def test_a_list_names_the_ids_for_programs(users):
    result = CliRunner().invoke(terminal, ["user", "list", "--auth", str(users._path), "--json"])
    found = json.loads(result.stdout)
    assert found["ids"] == {name: users.by_name[name].id for name in found["users"]}


def test_another_password_or_none_ends_a_login_at_once(browser, users):
    users.add("eve", "first password")
    enter(browser, "eve", "first password")
    assert browser.get("/model").status_code == 200
    users.add("eve", "other password")
    assert browser.get("/model").status_code == 401
    enter(browser, "eve", "other password")
    assert browser.get("/model").status_code == 200
    users.remove("eve")
    assert browser.get("/model").status_code == 401


def test_where_the_file_of_users_is_damaged_nobody_comes_in(browser, users):
    enter(browser, *ANA)
    kept = users._path.read_text()
    try:
        users._path.write_text("ana:password\n")
        assert browser.get("/model").status_code == 401
        assert enter(browser, *ANA).status_code == 401
    finally:
        users._path.write_text(kept)
    assert enter(browser, *ANA).status_code == 303


# Guesses


def test_a_wrong_name_and_a_wrong_password_are_told_the_same_for_the_same_work(browser, monkeypatch):
    work = []
    real = PasswordHasher.verify

    def counted(self, kept, password):
        work.append(extract_parameters(kept))
        return real(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    known, unknown = (enter(browser, name, "no such password") for name in ("ana", "bob"))
    assert known.status_code == unknown.status_code == 401
    assert known.text == unknown.text.replace("bob", "ana") and WRONG in known.text
    assert len(work) == 2 and work[0] == work[1]


def test_after_five_wrong_passwords_not_even_the_right_one_is_tried(browser):
    for _ in range(5):
        assert enter(browser, "ana", "no such password").status_code == 401
    refused = enter(browser, *ANA)
    assert refused.status_code == 429 and "Try again in 5 minutes." in refused.text
    assert enter(browser, *BEN).status_code == 303


def test_an_address_that_tries_many_names_is_refused_for_all_of_them():
    limits = RateLimits(Settings())
    for number in range(20):
        limits.check_guess(f"name{number}", "192.0.2.1")
        limits.count_guess(f"name{number}", "192.0.2.1")
    with pytest.raises(TooMany, match="Try again in 5 minutes"):
        limits.check_guess("ana", "192.0.2.1")
    limits.check_guess("ana", "192.0.2.2")


def test_many_guesses_at_once_are_no_more_than_one_after_the_other(address, lab):
    lab.limits._window.storage.reset()
    with httpx.Client() as client, ThreadPoolExecutor(16) as pool:
        guesses = [pool.submit(client.post, f"{address}/login", data={"name": "ana", "password": "x"}) for _ in range(16)]
        codes = sorted(guess.result().status_code for guess in guesses)
    lab.limits._window.storage.reset()
    assert codes == [401] * 5 + [429] * 11


def test_how_far_anothers_private_workspace_has_got_is_not_told(browser, lab):
    (ana, _), (ben, _) = ANA, BEN
    theirs = lab.directory.begin_anew(lab.owner(ben), "Bens own")
    shared = lab.directory.make(lab.owner(ben), "For all", shared=True)
    mine = lab.directory.begin_anew(lab.owner(ana), "Anas own")

    def event(handle):
        return browser.get("/model", params={"workspace": handle}).json()["event"]

    enter(browser, *ANA)
    assert (event(mine.handle), event(shared.handle)) == (0, 0)
    assert event(theirs.handle) is None and event("0" * 16) is None
    lab.directory.share(lab.owner(ben), shared.id, False)
    lab.directory.delete(lab.owner(ana), mine.id)
    assert event(shared.handle) is None and event(mine.handle) is None


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "http://lab.example.elsewhere", "http://[", "null"])
def test_another_site_cannot_log_anybody_in_or_out(browser, origin):
    form = {"name": ANA[0], "password": ANA[1]}
    answer = browser.post("/login", data=form, headers={"Origin": origin})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    assert browser.post("/login", data=form, headers={"Origin": "http://lab.example"}).status_code == 303
    assert browser.post("/logout", headers={"Origin": origin}).status_code == 403
    assert browser.get("/model").status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "//elsewhere.example",
        "https://elsewhere.example",
        "/\\elsewhere.example",
        "/\t/elsewhere",
        "javascript:x",
        "http://[",
        "",
    ],
)
def test_a_login_leads_to_no_other_site(target):
    assert local(target) == "/"


def test_what_stands_in_the_form_is_text(browser):
    answer = enter(browser, "<b>ana", "x", next='/"><script>')
    assert answer.status_code == 401 and "<b>" not in answer.text and "<script" not in answer.text


def test_claimed_addresses_give_nobody_more_guesses(address, lab):
    lab.limits._window.storage.reset()
    with httpx.Client(base_url=address) as client:
        codes = [guess(client, {"X-Forwarded-For": f"198.51.100.{number}"}) for number in range(30)]
    lab.limits._window.storage.reset()
    assert codes == [401] * 5 + [429] * 25


def test_behind_a_declared_proxy_visitors_are_counted_apart(lab, users, monkeypatch):
    monkeypatch.setattr(lab, "settings", lab.settings.model_copy(update={"proxies": ("127.0.0.1/32",)}))
    lab.limits._window.storage.reset()
    with served(create_app(lab)) as address, httpx.Client(base_url=address) as client:
        first, second = ({"X-Forwarded-For": f"198.51.100.{number}"} for number in (1, 2))
        assert [guess(client, first) for _ in range(6)] == [401] * 5 + [429]
        assert [guess(client, second) for _ in range(5)] == [401] * 5
        spoofed = {"X-Forwarded-For": "192.0.2.9, 198.51.100.2"}  # what the visitor told the proxy comes first
        assert guess(client, spoofed) == 429
    lab.limits._window.storage.reset()


def test_addresses_of_one_ipv6_network_have_their_guesses_together(app, lab):
    lab.limits._window.storage.reset()
    codes = []
    for number in range(8):
        client = TestClient(app, base_url="http://lab.example", client=(f"2001:db8:0:1::{number}", 1))
        codes.append(guess(client, {}))
    other = TestClient(app, base_url="http://lab.example", client=("2001:db8:0:2::1", 1))
    assert codes == [401] * 5 + [429] * 3 and guess(other, {}) == 401
    lab.limits._window.storage.reset()


def guess(client, headers):
    return client.post("/login", data={"name": "ana", "password": "no such password"}, headers=headers).status_code


# Programs


def test_metrics_take_a_user_by_header(browser):
    assert "editlab_jobs_waiting" in browser.get("/metrics", auth=BEN).text
    for broken in ("Basic é", "Basic !", "Basic", "Bearer YW5hOng="):
        assert browser.get("/metrics", headers={"Authorization": broken.encode()}).status_code == 401
    assert browser.get("/metrics").headers["www-authenticate"] == 'Basic realm="EditLab"'
    for _ in range(5):
        assert browser.get("/metrics", auth=("ben", "no such password")).status_code == 401
    assert browser.get("/metrics", auth=BEN).status_code == 429
    assert browser.get("/model", auth=ANA).status_code == 401


# Each their own


def cookie_of(address, user):
    with httpx.Client(base_url=address) as client:
        assert client.post("/login", data=dict(zip(("name", "password"), user, strict=True))).status_code == 303
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def shown(client, *fields, api_name):
    job = client.submit(*fields, api_name=api_name)
    job.result(timeout=60)
    return json.dumps(job.outputs(), default=str)


def test_with_another_users_session_and_id_nothing_of_theirs_is_reached(app, address, lab, few_steps):
    lab.limits._window.storage.reset()
    ana = Client(address, headers={"Cookie": cookie_of(address, ANA)}, verbose=False)
    edits.apply(lab.workspace(lab.owner("ana")), EditRequest("{} belongs to the continent of", MARKER, "Asia")).result(
        TIMEOUT
    )
    assert MARKER in shown(ana, "whoever", "", "", api_name="/open")
    cookie = cookie_of(address, BEN)
    function = next(item["id"] for item in ana.config["dependencies"] if item["api_name"] == "open")
    stolen = {
        "session_hash": ana.session_hash,
        "event_id": ana.session_hash,
        "fn_index": function,
        "data": ["ana", "", ""],
        "component_id": 1,
        "fn_name": "x",
        "id": "ana",
    }
    with httpx.Client(base_url=address, headers={"Cookie": cookie, "session_hash": ana.session_hash}, timeout=5) as ben:
        reached = set()
        routes = filled(routes_of(app), ana.session_hash)
        for (method, path), query in product(routes, ({}, {"session_hash": ana.session_hash})):
            if path not in ("/login", "/logout"):
                answer = ben.request(method, path, params=query, json=stolen if method == "POST" else None)
                assert MARKER not in answer.text, (method, path)
                reached |= {path} if answer.status_code < 300 else set()
        assert reached <= OPEN
        for path in ("queue/join", "cancel"):
            assert ben.post(f"/gradio_api/{path}", json=stolen).status_code == 403
        for path in (f"heartbeat/{ana.session_hash}", f"queue/data?session_hash={ana.session_hash}"):
            assert ben.get(f"/gradio_api/{path}").status_code == 403
        for twice in (f"x&session_hash={ana.session_hash}", f"{ana.session_hash}&session_hash=x"):
            assert ben.get(f"/gradio_api/queue/data?session_hash={twice}").status_code == 403
        own = Client(address, headers={"Cookie": cookie}, verbose=False)
        assert MARKER not in shown(own, "ana", "", "", api_name="/open")
        own.close()
    assert lab.workspace(lab.owner("ben")).records == () and len(lab.workspace(lab.owner("ana")).records) == 1
    ana.close()


def test_a_user_cannot_push_another_ones_session_out():
    sessions = SessionOwners()
    assert sessions.owns("ana", "hers")
    assert all(sessions.owns("ben", f"his {number}") for number in range(3_000))
    assert not sessions.owns("ben", "hers") and sessions.owns("ana", "hers")
    assert len(sessions._user_of) == 1_001


# The file of users


def test_the_terminal_adds_names_and_removes_users(tmp_path):
    path = tmp_path / "new" / "users"

    def run(*args, typed=None):
        result = CliRunner().invoke(terminal, ["user", *args, "--auth", str(path), "--json"], input=typed)
        return json.loads(result.stdout)["users"]

    assert run("add", "ana", typed="correct horse\n") == ["ana"]
    assert run("add", "ben", typed="battery staple\n") == ["ana", "ben"]
    assert path.stat().st_mode & 0o777 == 0o600 and "horse" not in path.read_text()
    assert Users(path).verify("ana", "correct horse") and not Users(path).verify("ana", "battery staple")
    assert run("remove", "ana") == ["ben"] == run("list")
    assert sorted(item.name for item in path.parent.iterdir()) == [".users.lock", "users"]


@pytest.mark.parametrize(
    ("args", "typed", "why"),
    [
        (("add", "eve"), "short\n", "A password has 8 to 256 characters; this one has 5."),
        (("add", "eve:x"), "long enough\n", "cannot be a name"),
        (("add", "eve"), b"long \xff enough\n", "not text in UTF-8"),
        (("remove", "eve"), "", "has no user 'eve'. It has: ana, ben."),
    ],
)
def test_what_will_not_do_is_a_sentence_and_changes_nothing(users, args, typed, why):
    before = users._path.read_text()
    result = CliRunner().invoke(terminal, ["user", *args, "--auth", str(users._path)], input=typed)
    assert result.exit_code == 2 and why in result.stderr
    assert users._path.read_text() == before


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_file_that_lets_nobody_in_is_refused_at_the_start(text, tmp_path):
    (tmp_path / "users").write_text(text)
    with pytest.raises(BadFile, match=r"has no users.*editlab user add NAME"):
        Users(tmp_path / "users").check()
    with pytest.raises(BadFile, match="There is no file of users"):
        Users(tmp_path / "missing").check()


def test_a_password_twice_the_longest_is_no_password(users):
    with pytest.raises(BadRequest):
        users.add("eve", "x" * 257)
    assert not users.verify("ana", ANA[1] + "x" * 1_000_000)


def test_logins_are_logged_without_what_was_typed(browser, caplog):
    with caplog.at_level(logging.INFO, "editlab"):
        enter(browser, *ANA)
        enter(browser, "my password by mistake", "x")
    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert logged == [
        {"event": "login", "user": "ana", "address": "testclient", "ok": True},
        {"event": "login", "user": None, "address": "testclient", "ok": False},
    ]
