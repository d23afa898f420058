"""Personal tokens: who may call the HTTP interface behind a login, what for, and until when."""

import json
import re
from functools import partial

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient
from typer.testing import CliRunner
from visitors import CONTINENT, TIMEOUT

from editlab.cli import app as terminal
from editlab.errors import BadFile, BadRequest
from editlab.lab import Lab
from editlab.lab.access.tokens import Tokens
from editlab.lab.access.users import Users
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web.api import create_api
from editlab.web.api.service import describe

CALLS = (
    ("GET", "/v1/models"),
    ("GET", "/v1/models/x"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/api/edits?workspace=x"),
    ("POST", "/api/edits"),
    ("POST", "/api/edits/undo"),
    ("POST", "/api/probes"),
)


@pytest.fixture(scope="module", autouse=True)
def quick_hashes():
    with pytest.MonkeyPatch.context() as patch:
        quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr("editlab.lab.access.users.PasswordHasher", quick)
        yield


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    users = Users(tmp_path_factory.mktemp("users") / "users")
    for name in ("ana", "ben", "cleo"):
        users.add(name, "correct horse")
    return users


@pytest.fixture(scope="module")
def lab(tiny_llama, facts, users, tmp_path_factory):
    """A lab with a private workspace of ana's and a shared one."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(model=tiny_llama.name, data=data, auth=users.path, hostnames=("lab.example",))
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=data, settings=settings)
    ana = lab.owner("ana")
    for info in (lab.directory.make(ana, "secret"), lab.directory.make(ana, "team", shared=True)):
        edits.apply(lab.workspace(info.id, "ana"), CONTINENT, config={"steps": 1}).result(TIMEOUT)
    yield lab
    lab.close()


@pytest.fixture
def tokens(lab):
    lab.limits._window.storage.reset()
    return lab.tokens


@pytest.fixture
def calls(app):
    """`calls(token)`: a program somewhere that sends this token."""
    return lambda token=None: TestClient(
        app,
        base_url="http://lab.example",
        client=("203.0.113.9", 5),
        headers={} if token is None else {"Authorization": f"Bearer {token}".encode("latin-1")},
        follow_redirects=False,
    )


def test_a_program_asks_and_edits_as_its_user(lab, tokens, calls):
    given, _ = tokens.create("ana", ("ask", "edit"), "my notebook")
    program, base = calls(given), lab.loaded.name
    names = [model["id"] for model in program.get("/v1/models").json()["data"]]
    assert names == [base, f"{base}@secret", f"{base}@team"]
    said = program.post("/v1/completions", json={"model": f"{base}@secret", "prompt": CONTINENT.text, "max_tokens": 2})
    assert said.status_code == 200
    made = program.post("/api/edits", json={**CONTINENT.as_dict(), "workspace": "new one", "settings": {"steps": 1}}).json()
    assert made["author"] == "ana"
    info = lab.directory.find(
        lab.owner("ana"), program.get("/api/edits", params={"workspace": "new one"}).json()["workspace"]
    )
    assert (info.mine, info.shared) == (True, False)
    undone = program.post("/api/edits/undo", json={"workspace": "new one"}).json()
    assert undone["edits"] == []


def test_nobody_reaches_anothers_private_workspace(lab, tokens, calls):
    program, base = calls(tokens.create("ben", ("ask", "edit"))[0]), lab.loaded.name
    handle = lab.directory.find(
        lab.owner("ana"), next(i.handle for i in lab.directory.everything() if i.name == "secret")
    ).handle
    assert [model["id"] for model in program.get("/v1/models").json()["data"]] == [base, f"{base}@team"]
    for name in ("secret", handle):
        for given in ({"model": f"{base}@{name}", "prompt": "x"}, {"model": f"{base}@{name}+rep", "prompt": "x"}):
            refused = program.post("/v1/completions", json=given)
            assert refused.status_code == 404 and "secret" not in refused.text.replace(f"{base}@{name}", "")
        assert program.get(f"/v1/models/{base}@{name}").status_code == 404
        assert program.get("/api/edits", params={"workspace": name}).status_code == 400
        for path in ("/api/edits/undo", "/api/probes"):
            assert program.post(path, json={"workspace": name}).status_code == 400
    before = lab.workspace(next(i.id for i in lab.directory.everything() if i.name == "secret"), "ana").records
    made = program.post("/api/edits", json={**CONTINENT.as_dict(), "workspace": "secret", "settings": {"steps": 1}})
    assert made.status_code == 200, "a name of one's own"
    again = lab.workspace(next(i.id for i in lab.directory.everything() if i.name == "secret"), "ana").records
    assert [record.id for record in again] == [record.id for record in before]


@pytest.mark.parametrize("given", [None, "", "x", "editlab_00000000_" + "a" * 43, "a b", "\xff"])
def test_without_a_token_no_call_is_answered(calls, tokens, given):
    for method, path in CALLS:
        answer = calls(given).request(method, path, json={} if method == "POST" else None)
        said = answer.json()["error"]
        assert answer.status_code == 401 and said["type"] == "authentication_error", (method, path)
        assert "editlab user token create" in said["message"]


def test_a_login_in_a_browser_is_no_token(app, users):
    browser = TestClient(app, base_url="http://lab.example", follow_redirects=False)
    browser.post("/login", data={"name": "ana", "password": "correct horse"})
    assert browser.get("/model").status_code == 200 and browser.get("/docs").status_code == 200
    assert browser.get("/v1/models").status_code == 401


def test_a_token_opens_nothing_else(calls, tokens):
    program = calls(tokens.create("ana", ("ask", "edit"))[0])
    for path in ("/", "/model", "/metrics", "/config", "/docs", "/openapi.json"):
        assert program.get(path).status_code == 401


def test_a_token_may_do_what_its_scopes_say(calls, tokens):
    ask, edit = (calls(tokens.create("ana", (scope,))[0]) for scope in ("ask", "edit"))
    assert ask.get("/v1/models").status_code == 200
    refused = ask.post("/api/edits/undo", json={"workspace": "team"})
    assert refused.status_code == 403 and "--scope edit" in refused.json()["error"]["message"]
    assert edit.get("/v1/models").status_code == 403


def test_a_token_ends_when_it_is_revoked(calls, tokens):
    given, token = tokens.create("ana", ("ask",))
    assert calls(given).get("/v1/models").status_code == 200
    tokens.revoke(token.id)
    assert calls(given).get("/v1/models").status_code == 401
    with pytest.raises(BadRequest, match="no token"):
        tokens.revoke(token.id)


def test_a_token_ends_with_its_user_and_is_not_the_next_ones_of_that_name(calls, tokens, users):
    given, _ = tokens.create("cleo", ("ask",))
    assert calls(given).get("/v1/models").status_code == 200
    users.remove("cleo")
    assert calls(given).get("/v1/models").status_code == 401
    users.add("cleo", "correct horse")
    assert calls(given).get("/v1/models").status_code == 401 and tokens.of("cleo") == []


def test_guesses_are_counted_and_a_right_token_is_never_refused(calls, tokens):
    statuses = [calls(f"editlab_00000000_{'a' * 43}").get("/v1/models").status_code for _ in range(21)]
    assert statuses == [401] * 20 + [429]
    assert calls(tokens.create("ana", ("ask",))[0]).get("/v1/models").status_code == 200


def test_only_a_hash_is_kept_readable_to_its_owner_alone(tokens, users):
    given, token = tokens.create("ana", ("ask",))
    file = users.path.with_name(f"{users.path.name}.tokens")
    assert given.rpartition("_")[2] not in file.read_text() and token.hash in file.read_text()
    assert file.stat().st_mode & 0o077 == 0 and given.rpartition("_")[2] not in repr(token)


def test_a_damaged_file_of_tokens_is_said_and_opens_nothing(tmp_path):
    users = Users(tmp_path / "users")
    users.add("ana", "correct horse")
    (tmp_path / "users.tokens").write_text("nonsense\n")
    with pytest.raises(BadFile, match="no file of tokens"):
        Tokens(users).find("editlab_00000000_" + "a" * 43)


def test_tokens_on_the_terminal(tmp_path):
    Users(tmp_path / "users").add("ana", "correct horse")

    def runs(*args, code=0):
        done = CliRunner().invoke(terminal, ["user", "token", *args, "--auth", str(tmp_path / "users"), "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    made = runs("create", "ana", "--scope", "ask", "--scope", "edit", "--label", "notebook")
    assert re.fullmatch(r"editlab_[0-9a-f]{8}_[\w-]{43}", made["token"]) and made["scopes"] == ["ask", "edit"]
    listed = runs("list", "ana")["tokens"]
    assert listed == [{name: value for name, value in made.items() if name != "token"}]
    assert runs("revoke", made["id"])["tokens"] == []
    assert "no user" in runs("create", "zoe", code=2)["message"]
    assert "scopes" in runs("create", "ana", "--scope", "all", code=2)["message"]
    assert "label" in runs("create", "ana", "--label", "a:b", code=2)["message"]


def test_a_call_has_the_limits_of_a_click(lab, tokens, calls, monkeypatch):
    counted = []
    monkeypatch.setattr(lab.limits, "count_call", lambda who, new=False: counted.append(who))
    monkeypatch.setattr(lab.limits, "check_call", lambda cost, who, fields=(): counted.append(cost.spent()))
    monkeypatch.setattr(lab.limits, "spend", lambda cost: counted.append(cost.spent()))
    program = calls(tokens.create("ana", ("ask",))[0])
    program.post("/v1/completions", json={"model": lab.loaded.name, "prompt": ["a", "b"], "n": 2, "max_tokens": 1})
    assert counted == [(lab.owner("ana"), "203.0.113.9"), {"prompts": 1}, {"prompts": 3}]


def test_each_call_of_the_interface_is_tried_here(lab):
    described = describe(create_api(lab), tokens=True)
    assert {path.partition("?")[0].replace("/x", "/{model}") for _, path in CALLS} == set(described["paths"])
    assert described["security"] == [{"token": []}]
