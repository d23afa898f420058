"""Where the page lies: below which path, behind which proxy, under which name, in whose frame."""

import re

import httpx
import pytest
from over_the_wire import served
from pydantic import ValidationError
from stand_in import StandIn, below
from starlette.requests import Request
from starlette.testclient import TestClient

from editlab.lab import Lab
from editlab.lab.access.users import Users
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web.core.place import address_of_page
from editlab.web.server.firstframe import END, HIDDEN
from editlab.web.server.guard import from_here
from editlab.web.server.hosts import named

PEER = "203.0.113.9"
ANA = {"name": "ana", "password": "correct horse"}
SETTINGS = {
    "hostnames": ("lab.example",),
    "root_path": "/editlab",
    "proxies": (PEER, "127.0.0.1"),
    "frame_ancestors": ("https://notebook.example", "self"),
}


@pytest.fixture(scope="module")
def lab(tiny_llama, facts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("where")
    users = Users(folder / "users")
    users.add(*ANA.values())
    settings = Settings(model=tiny_llama.name, data=folder, auth=users.path, **SETTINGS)
    lab = Lab(tiny_llama, facts, Passages((), ()), data=folder, settings=settings)
    yield lab
    lab.close()


@pytest.fixture
def browser(app):
    """A browser at the proxy that is named."""
    return TestClient(app, base_url="http://lab.example", client=(PEER, 1), follow_redirects=False)


@pytest.fixture
def stranger(app):
    """A browser that asks past it."""
    return TestClient(app, base_url="http://lab.example", client=("198.51.100.1", 1), follow_redirects=False)


# The path


@pytest.mark.parametrize("at", ["", "/editlab"])
def test_below_the_path_is_answered_what_is_answered_at_the_top(browser, at):
    assert browser.get(f"{at}/health").json() == {"status": "ok"}
    assert browser.get(f"{at}/v1/models").json()["error"]["code"] == "no_token"
    assert browser.post(f"{at}/v1/nothing").json()["error"]["code"] == "unknown_url"
    asked = browser.get(f"{at}/?tab=keys", headers={"Accept": "text/html"})
    assert (asked.status_code, asked.headers["location"]) == (303, "./login?next=%2F%3Ftab%3Dkeys")
    deeper = browser.get(f"{at}/exports/abc", headers={"Accept": "text/html"})
    assert deeper.headers["location"] == "../login?next=%2Fexports%2Fabc"


@pytest.mark.parametrize(
    "path", ["/editlabs/health", "/other/health", "/editlab/editlab/health", "/editlab//health", "/EDITLAB/health"]
)
def test_another_path_leads_nowhere(browser, path):
    browser.post("/editlab/login", data=ANA)
    assert browser.get(path).status_code in (401, 404)


def test_the_path_itself_leads_to_the_page(browser):
    answer = browser.get("/editlab?tab=keys&x=%0d%0a")
    assert (answer.status_code, answer.headers["location"]) == (308, "/editlab/?tab=keys&x=%0d%0a")


def test_what_must_hold_before_any_script_stands_in_the_page(browser):
    """Gradio brings styles by script, after the first frame: the page was seen to jump into its place."""
    browser.post("/editlab/login", data=ANA)
    page = browser.get("/editlab/", headers={"Accept-Encoding": "identity"})
    head = page.content[: page.content.index(END)]
    assert head.count(HIDDEN) == 1 and int(page.headers["content-length"]) == len(page.content)
    assert HIDDEN not in browser.get("/editlab/login").content


def test_cookies_are_the_paths_alone(browser, stranger):
    for one in (browser, stranger):
        answer = one.post("/editlab/login?lang=de", data=ANA)
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2 and all("path=/editlab;" in f"{cookie.lower()};" for cookie in cookies)
        assert one.get("/editlab/model").status_code == 200
        assert any(
            "editlab-7860%2Feditlab=null; path=/editlab;" in cookie for cookie in _cookies(one.post("/editlab/logout"))
        )
        assert one.get("/editlab/model").status_code == 401


@pytest.mark.parametrize("stated", ["/other", "/other/", "/user/ana%40lab/proxy/7860"])
def test_a_named_proxy_states_the_path(browser, stated):
    headers = {"X-Forwarded-Prefix": stated}
    path = stated.rstrip("/")
    for at in ("", path):  # taken off, or left
        (cookie,) = _cookies(browser.post(f"{at}/login", data=ANA, headers=headers))
        assert f"path={path};" in cookie
    assert browser.get("/openapi.json", headers=headers | {"Cookie": cookie.partition(";")[0]}).json()["servers"] == [
        {"url": path}
    ]
    assert browser.get("/editlab/health", headers=headers).status_code == 401  # which is not its path now


@pytest.mark.parametrize(
    "claim",
    [
        "evil",
        "//evil.example",
        "/evil;Domain=x",
        "/evil\\x",
        "/a b",
        "/..",
        "/x/../y",
        "/" + 300 * "a",
        "https://x",
        "/x,/y",
    ],
)
def test_what_is_no_path_counts_for_nothing(browser, claim):
    (cookie,) = _cookies(browser.post("/login", data=ANA, headers={"X-Forwarded-Prefix": claim}))
    assert "path=/editlab;" in cookie


def test_whoever_is_no_named_proxy_states_nothing(stranger):
    headers = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    (cookie,) = _cookies(stranger.post("/login", data=ANA, headers=headers))
    assert "path=/editlab;" in cookie and "secure" not in cookie.lower()
    assert stranger.get("/evil/health", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path", ["editlab", "/edit lab", "/..", "/a/../b", "/a//b", "https://lab.example/x", "/a?b", "/a;b"]
)
def test_a_path_is_one(path):
    with pytest.raises(ValidationError, match="is no path of a site"):
        Settings(root_path=path)


def test_a_path_is_said_at_the_start():
    assert Settings(root_path="/editlab/").root_path == "/editlab"
    assert "Its path is /editlab/." in Settings(root_path="/editlab").reach()
    assert "path" not in Settings(root_path="/").reach()


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("/", "./"),
        ("/?a=b", "./?a=b"),
        ("/../hub/logout", "./"),
        ("/%2e%2e/hub", "./"),
        ("//evil.example", "./"),
        ("/a?x=..", "./a?x=.."),
    ],
)
def test_a_login_leads_nowhere_above_the_path(browser, target, leads):
    assert browser.post("/editlab/login", data=ANA | {"next": target}).headers["location"] == leads


# The page's address, for a join link


class Asked:
    """A request as a handler of the page sees it."""

    def __init__(self, root="", scheme="http", **headers):
        self.headers, self.url = (
            {"host": "lab.example", **headers},
            httpx.URL(f"{scheme}://lab.example/gradio_api/queue/join"),
        )
        self.state = type("State", (), {"root": root})()


@pytest.mark.parametrize(
    ("request_", "address"),
    [
        (Asked(), "http://lab.example"),
        (Asked("/editlab", "https"), "https://lab.example/editlab"),
        (Asked(referer="https://lab.example/user/ana/proxy/7860/?tab=workshop"), "https://lab.example/user/ana/proxy/7860"),
        (Asked("/editlab", referer="https://evil.example/x/"), "http://lab.example/editlab"),
        (Asked("/editlab", referer="javascript://lab.example/x/"), "http://lab.example/editlab"),
    ],
)
def test_the_browser_says_where_the_page_lies_where_it_is_asked_from_there(request_, address):
    assert address_of_page(request_) == address


# Names


def test_a_proxy_that_writes_another_host_says_which_one_the_browser_asked(browser):
    own = {"Host": "127.0.0.1:7860"}
    form = {"Origin": "https://lab.example", "X-Forwarded-Proto": "https"}
    assert browser.post("/login", data=ANA, headers=own | form | {"X-Forwarded-Host": "lab.example"}).status_code == 303
    assert (
        browser.post("/login", data=ANA, headers=own | form | {"X-Forwarded-Host": "lab.example, 127.0.0.1"}).status_code
        == 303
    )
    for wrong in ("evil.example", "lab.example, evil.example"):
        refused = browser.get("/health", headers=own | {"X-Forwarded-Host": wrong})
        assert refused.status_code == 400 and "--hostnames evil.example" in refused.text
    both = browser.get("/health", headers={"Host": "evil.example", "X-Forwarded-Host": "lab.example"})
    assert both.status_code == 400 and "evil.example" in both.text


@pytest.mark.parametrize("origin", ["https://evil.example", "https://lab.example:8443", "https://lab.example.evil", "null"])
def test_another_site_sends_nothing_whatever_name_the_proxy_writes(browser, origin):
    for host in ("127.0.0.1:7860", "lab.example"):
        assert browser.post("/login", data=ANA, headers={"Host": host, "Origin": origin}).status_code == 403


def test_a_name_that_was_given_is_the_browsers_where_the_proxy_says_nothing(browser):
    answer = browser.post("/login", data=ANA, headers={"Host": "127.0.0.1:7860", "Origin": "https://lab.example"})
    assert answer.status_code == 303


@pytest.mark.parametrize("origin", ["http://lab.example", "https://lab.example", "http://lab.example:8080"])
@pytest.mark.parametrize("host", ["lab.example:7860", "lab.example.:7860", "LAB.example:7860", "lab.example:4430"])
def test_another_server_of_the_same_name_at_another_port_is_another_site(stranger, host, origin):
    assert stranger.post("/editlab/login", data=ANA).status_code == 303
    for path, given in (("login", {"data": ANA}), ("gradio_api/upload", {"files": {"files": b"a"}}), ("logout", {})):
        answer = stranger.post(f"/editlab/{path}", headers={"Host": host, "Origin": origin}, **given)
        assert answer.status_code == 403 and "set-cookie" not in answer.headers, path


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("lab.example:7860", "http://lab.example:7860"),
        ("lab.example", "https://lab.example"),
        ("lab.example:443", "https://lab.example"),  # a proxy that adds the port that browsers leave out
        ("lab.example:80", "http://lab.example"),
        ("[::1]:7860", "http://[::1]:7860"),
        ("[::1]:7860", "https://lab.example"),
    ],
)
def test_the_page_itself_sends_what_it_likes_behind_a_proxy_or_not(stranger, host, origin):
    assert stranger.post("/login", data=ANA, headers={"Host": host, "Origin": origin}).status_code == 303


def test_of_two_names_on_a_port_neither_is_the_other_ones_page():
    def asked(host, origin, *names):
        headers = [(b"host", host.encode()), (b"origin", origin.encode())]
        return from_here(Request({"type": "http", "headers": headers}), names)

    assert not asked("lab.example:7860", "http://other.example", "lab.example", "other.example")
    assert asked("x.inside.example", "https://abc.public.example", ".inside.example", "abc.public.example")
    assert not asked("abc.public.example:7860", "https://abc.public.example", ".inside.example", "abc.public.example")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("a.hub.example", True),
        ("b.a.hub.example", True),
        ("hub.example", False),
        ("evilhub.example", False),
        (".hub.example", False),
    ],
)
def test_a_dot_before_a_domain_stands_for_the_names_below_it(name, is_one):
    assert named(name, Settings(hostnames=".Hub.Example").names) is is_one


@pytest.mark.parametrize("wrong", [".", ".example", "..a.b", ".a.b."[:-1] + ".*"])
def test_nobody_can_allow_every_name(wrong):
    with pytest.raises(ValidationError, match="is no host name"):
        Settings(hostnames=wrong)


# Frames


@pytest.mark.parametrize("path", ["/editlab/health", "/editlab/login", "/editlab/join/nothing", "/nothing", "/editlab/?a"])
def test_only_the_sites_that_were_named_may_show_anything_in_a_frame(browser, path):
    policy = browser.get(path).headers["content-security-policy"]
    assert policy.count("frame-ancestors") == 1 and policy.endswith("; frame-ancestors https://notebook.example 'self'")


@pytest.mark.parametrize(
    "wrong",
    ["*", "https:", "https://*", "http:", "notebook.example", "https://a.example/x", "'none'", "https://a b", "data:"],
)
def test_nobody_can_let_every_site_show_the_page(wrong):
    with pytest.raises(ValidationError, match="is no site"):
        Settings(frame_ancestors=(wrong,))


# Proxies that take a path off and tell nobody


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"kept": True},
        {"host": "127.0.0.1:7860", "X-Forwarded-Host": "lab.example"},
        {"X-Forwarded-Prefix": "/user/ana/proxy/7860", "X-Forwarded-Context": "/user/ana/proxy/7860"},
    ],
    ids=["stripped", "kept", "another host", "jupyter"],
)
def test_a_login_a_download_and_an_upload_pass_a_proxy(lab, app, way):
    path = "/editlab" if way.get("kept") else "/user/ana/proxy/7860"
    file = lab.downloads.new_folder() / "edits.csv"
    file.write_text("a,b\n1,2\n")
    token = lab.downloads.offer(lab.directory.current(lab.owner("ana")).id, file)
    with (
        served(app) as behind,
        below(StandIn(behind, path, **way)) as address,
        httpx.Client(base_url=address, headers={"Host": "lab.example"}) as browser,
    ):
        asked = browser.get("/", headers={"Accept": "text/html"})
        assert asked.headers["location"].startswith("./login?next=")
        entered = browser.post("/login", data=ANA)
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        told = {"Cookie": _cookies(entered)[0].partition(";")[0]}
        page = browser.get("/", headers=told)
        assert page.status_code == 200 and re.search(r'"root": ?"\."', page.text)
        links = re.findall(r'<(?:link|script)[^>]* (?:href|src)="([^"]*)"', page.text)
        assert len(links) > 2 and not any(link.startswith("/") for link in links)
        assert browser.get(f"/exports/{token}", headers=told).text == "a,b\n1,2\n"
        upload = browser.post("/gradio_api/upload", files={"files": ("a.csv", b"a,b\n")}, headers=told)
        assert upload.status_code == 200 and len(upload.json()) == 1


def _cookies(answer) -> list[str]:
    return answer.headers.get_list("set-cookie")
