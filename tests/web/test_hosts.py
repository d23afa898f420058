"""What a request may claim: which computer it means, from where it comes, who shows the page in a frame."""

import logging
import socket

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from editlab.errors import BadRequest
from editlab.lab import Lab
from editlab.lab.access.addresses import network_of
from editlab.lab.access.users import Users
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web import create_app
from editlab.web.server.hosts import AllowedHosts
from editlab.web.server.proxies import Forwarded

PEER = "203.0.113.9"
MODES = {
    "alone": {},
    "trusted": {"host": "0.0.0.0", "trusted_network": True},
    "auth": {"host": "0.0.0.0", "auth": True},
    "demo": {"host": "0.0.0.0", "demo": True},
}
BEHIND = {"proxied": {"host": "0.0.0.0", "demo": True, "proxies": (PEER,)}}


@pytest.fixture(scope="module")
def opened(tiny_llama, facts, tmp_path_factory):
    """`opened(mode)`: an app as it is started in one of the four modes, with a host name of its own."""
    labs, apps = [], {}

    def open_one(mode):
        if mode not in apps:
            folder = tmp_path_factory.mktemp(mode)
            given = dict((MODES | BEHIND)[mode])
            if given.get("auth"):
                given["auth"] = folder / "users"
                Users(given["auth"]).add("ana", "correct horse")
            settings = Settings(model=tiny_llama.name, data=folder, hostnames=("lab.example",), **given)
            labs.append(Lab(tiny_llama, facts, Passages((), ()), data=folder, settings=settings))
            apps[mode] = create_app(labs[-1])
        return apps[mode]

    yield open_one
    for lab in labs:
        lab.close()


def asks(app, host, path="/health"):
    """The status that a raw `Host` gets."""
    return TestClient(app, base_url="http://127.0.0.1").get(path, headers={"Host": host}).status_code


# Names


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/model", "/config", "/login", "/"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "lab.example.evil"])
def test_a_name_that_somebody_let_point_here_is_refused_in_every_mode_on_every_path(opened, mode, path, host):
    answer = TestClient(opened(mode), base_url="http://127.0.0.1").get(path, headers={"Host": host})
    assert answer.status_code == 400 and "--hostnames" in answer.text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "LocalHost:7860", "localhost.:7860", "[::1]:7860", "lab.example", "LAB.example.:80"],
)
def test_this_computers_own_names_and_those_that_were_given_are_answered_in_every_mode(opened, mode, host):
    assert asks(opened(mode), host) == 200


@pytest.mark.parametrize("host", ["192.0.2.7", "192.0.2.7:7860", "[2001:db8::7]:7860", socket.gethostname().upper()])
def test_addresses_in_numbers_and_the_machines_name_are_answered_beyond_loopback_alone(opened, host):
    assert [asks(opened(mode), host) for mode in MODES] == [400, 200, 200, 200]


@pytest.mark.parametrize(
    "host",
    ["", " ", "localhost:x", "localhost:1:2", "[::1", "::1", "a@localhost", "localhost/x", "local host", "[lab.example]"],
)
def test_what_is_no_host_is_refused(opened, host):
    assert asks(opened("trusted"), host) == 400


def asked(layer, scope):
    """The scopes that reach what stands behind a layer."""
    reached = []

    async def behind(scope, receive, send):
        reached.append(scope)

    async def nothing(*_message):
        return {"type": "http.request"}

    made = layer(behind)(scope, nothing, nothing)
    with pytest.raises(StopIteration):
        made.send(None)
    return reached


@pytest.mark.parametrize(
    "headers",
    [[], [(b"host", b"localhost"), (b"host", b"evil.example")], [(b"host", b"localhost"), (b"host", b"localhost")]],
)
def test_a_missing_or_doubled_host_is_refused(headers):
    assert asked(lambda app: AllowedHosts(app, ["localhost"], False), {"type": "http", "headers": headers}) == []


def test_a_space_answers_to_its_own_name(monkeypatch):
    monkeypatch.setenv("SPACE_HOST", "somebody-editlab.hf.space")
    assert "somebody-editlab.hf.space" not in Settings().names
    monkeypatch.setenv("SPACE_ID", "somebody/editlab")
    assert "somebody-editlab.hf.space" in Settings().names


@pytest.mark.parametrize("wrong", ["https://lab.example", "lab.example:80", "*", "*.example", "lab example", "-lab"])
def test_a_host_name_is_a_name_and_no_address_or_pattern(wrong):
    with pytest.raises(ValidationError, match="is no host name"):
        Settings(hostnames=wrong)


def test_names_and_proxies_are_given_as_lists(monkeypatch):
    monkeypatch.setenv("EDITLAB_HOSTNAMES", "Lab.Example., lab.example.org")
    monkeypatch.setenv("EDITLAB_PROXIES", "127.0.0.1,10.0.0.7/8")
    assert Settings().hostnames == ("lab.example", "lab.example.org")
    assert Settings().proxies == ("127.0.0.1/32", "10.0.0.0/8")


def test_the_start_says_under_which_names_the_page_is_reached():
    assert Settings(hostnames="lab.example").reach().endswith("It answers to 127.0.0.1, localhost, ::1, lab.example.")
    said = Settings(host="0.0.0.0", demo=True).reach()
    assert socket.gethostname().lower() in said and said.endswith("and any IP address.") and "0.0.0.0 " not in said[40:]


# Proxies


def scope_of(peer, *headers):
    return {"type": "http", "client": (peer, 1234), "scheme": "http", "headers": [(b"host", b"localhost"), *headers]}


CLAIMS = [
    (b"x-forwarded-for", b"198.51.100.1"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"evil.example"),
    (b"x-forwarded-port", b"1"),
    (b"x-forwarded-prefix", b"/evil"),
    (b"x-forwarded-server", b"evil"),
    (b"forwarded", b"for=198.51.100.1;host=evil.example"),
    (b"x-real-ip", b"198.51.100.1"),
    (b"x-original-forwarded-for", b"198.51.100.1"),
    (b"x-original-host", b"evil.example"),
    (b"x-gradio-server", b"http://evil.example"),
    (b"x-gradio-user", b"mcp"),
    (b"x-ms-client-principal-name", b"ana"),
]


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.0.0.7", PEER])
def test_what_a_stranger_claims_reaches_nobody(peer):
    (seen,) = asked(lambda app: Forwarded(app, ()), scope_of(peer, *CLAIMS, (b"accept", b"x")))
    assert seen["headers"] == [(b"host", b"localhost"), (b"accept", b"x")]
    assert (seen["client"][0], seen["scheme"]) == (peer, "http")


def test_of_a_declared_proxy_the_address_and_the_scheme_count_and_nothing_else():
    (seen,) = asked(lambda app: Forwarded(app, ("10.0.0.0/8",)), scope_of("10.0.0.7", *CLAIMS))
    assert (seen["client"][0], seen["scheme"], seen["headers"]) == ("198.51.100.1", "https", [(b"host", b"localhost")])


def test_the_address_is_the_one_that_the_proxy_saw_and_not_what_the_visitor_told_it():
    told = (b"x-forwarded-for", b"127.0.0.1, 192.0.2.66, 198.51.100.1, 10.0.0.8")
    (seen,) = asked(lambda app: Forwarded(app, ("10.0.0.0/8",)), scope_of("10.0.0.7", told))
    assert seen["client"][0] == "198.51.100.1"


def test_what_a_proxy_hands_on_and_is_no_address_is_nobodys():
    told = (b"x-forwarded-for", b"my password by mistake")
    (seen,) = asked(lambda app: Forwarded(app, ("10.0.0.0/8",)), scope_of("10.0.0.7", told))
    assert seen["client"][0] == ""


def test_a_proxy_that_was_not_declared_is_warned_of_once(caplog):
    layer = Forwarded(lambda *_: None, ())

    async def behind(*_):
        pass

    layer.app = behind
    for _ in range(3):
        with pytest.raises(StopIteration):
            layer(scope_of("127.0.0.1", CLAIMS[0]), None, None).send(None)
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1 and "--proxies ADDRESS" in warned[0].getMessage()
    assert "198.51.100.1" not in warned[0].getMessage()


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Gradio-Server"])
@pytest.mark.parametrize("mode", ["alone", "demo"])
def test_gradio_takes_no_address_of_its_own_from_a_header(opened, mode, header):
    client = TestClient(opened(mode), base_url="http://127.0.0.1")
    for path in ("/config", "/"):
        answer = client.get(path, headers={header: "http://evil.example", "X-Forwarded-Proto": "https"})
        assert answer.status_code == 200 and "evil.example" not in answer.text and "https://127.0.0.1" not in answer.text


def test_gradio_takes_its_address_from_the_browser_so_that_it_is_right_behind_any_proxy(opened):
    client = TestClient(opened("proxied"), base_url="http://lab.example", client=(PEER, 1))
    headers = {"X-Forwarded-Proto": "https", "X-Gradio-Server": "http://evil.example"}
    assert client.get("/config", headers=headers).json()["root"] == "."


@pytest.mark.parametrize("wrong", ["0.0.0.0/0", "::/0", "proxy.example", "*"])
def test_nobody_can_declare_everybody_a_proxy(wrong):
    with pytest.raises(ValidationError, match="proxies"):
        Settings(proxies=wrong)


def test_on_a_space_private_addresses_are_the_proxys(monkeypatch):
    assert Settings().proxies == ()
    monkeypatch.setenv("SPACE_ID", "somebody/editlab")
    assert {"127.0.0.1/32", "10.0.0.0/8"} <= set(map(str, Settings().proxies))


def test_behind_a_proxy_the_page_is_nobodys_alone_and_wants_a_login():
    behind = Settings(proxies="127.0.0.1")
    assert not behind.single_user
    with pytest.raises(BadRequest, match="--auth FILE"):
        behind.reach()
    assert "everybody who reaches it" in Settings(proxies="127.0.0.1", trusted_network=True).reach()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1:ffff::9", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::7", "2001:db8:0:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_ipv6_address_counts_as_its_network(address, place):
    assert network_of(address) == place


# What browsers are told


def policy_of(answer):
    parts = (part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    return {name: value for name, value in parts}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "path", ["/", "/config", "/health", "/metrics", "/nothing", "/gradio_api/run/apply", "/theme.css", "/login"]
)
def test_every_answer_forbids_frames_and_guesses_at_types(opened, mode, path):
    answer = TestClient(opened(mode), base_url="http://127.0.0.1", follow_redirects=False).get(path)
    assert policy_of(answer)["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


def test_a_refusal_and_a_failure_forbid_them_too(opened, monkeypatch):
    app = opened("alone")
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    monkeypatch.setattr("editlab.web.server.guard.Guard.admit", lambda *_: 1 / 0)
    failed, refused = client.get("/health"), client.get("/", headers={"Host": "evil.example"})
    assert (failed.status_code, refused.status_code) == (500, 400)
    for answer in (failed, refused):
        assert policy_of(answer)["frame-ancestors"] == "'none'" and answer.headers["x-content-type-options"] == "nosniff"
    assert "EditLab failed" in failed.text and "ZeroDivision" not in failed.text


def test_nothing_is_loaded_from_elsewhere_and_sent_elsewhere(opened):
    policy = policy_of(TestClient(opened("alone"), base_url="http://127.0.0.1").get("/"))
    for name in ("default-src", "connect-src", "form-action", "base-uri"):
        assert policy[name] == "'self'"
    assert policy["object-src"] == "'none'" and not any("http" in value or "*" in value for value in policy.values())


def test_the_login_page_keeps_its_stricter_policy(opened):
    policy = policy_of(TestClient(opened("auth"), base_url="http://127.0.0.1").get("/login"))
    assert policy["default-src"] == "'none'" and "script-src" not in policy and policy["form-action"] == "'self'"


def test_a_space_is_shown_in_hugging_faces_frame_alone(monkeypatch, tiny_llama, facts):
    monkeypatch.setenv("SPACE_ID", "somebody/editlab")
    lab = Lab(tiny_llama, facts, Passages((), ()), settings=Settings(model=tiny_llama.name))
    try:
        browser = TestClient(create_app(lab), base_url="http://127.0.0.1", client=("10.0.0.7", 1))
        answer = browser.get("/health", headers={"X-Forwarded-Host": "inside.example"})  # of the Space's own proxies
        assert answer.status_code == 200
    finally:
        lab.close()
    assert policy_of(answer)["frame-ancestors"] == "'self' https://huggingface.co https://*.hf.space"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("origin", ["http://localhost:9", "http://127.0.0.1:9", "http://evil.example", "null"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_site_may_read_an_answer_not_even_one_of_this_computer(opened, mode, origin, method):
    client = TestClient(opened(mode), base_url="http://127.0.0.1")
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x", "/theme.css", "/health"):
        with client.stream(method, path, headers=headers) as answer:
            assert [name for name in answer.headers if name.startswith("access-control")] == [], path


def test_a_refused_host_is_told_which_name_came_and_what_to_set(opened):
    refused = TestClient(opened("trusted"), base_url="http://elsewhere.example").get("/")
    assert refused.status_code == 400 and "--hostnames elsewhere.example" in refused.text
    bare = TestClient(opened("trusted"), base_url="http://elsewhere.example").get("/", headers={"Host": "<b>"})
    assert bare.status_code == 400 and "<b>" not in bare.text and "Host header" in bare.text
