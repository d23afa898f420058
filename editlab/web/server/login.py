"""The login of `--auth FILE`: a page, a signed cookie, and a layer in front of everything else."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import secrets
import threading
from collections import OrderedDict
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote, unquote

from fastapi import FastAPI
from markupsafe import escape
from starlette.concurrency import run_in_threadpool
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from editlab.errors import BadFile, TooMany
from editlab.lab import Lab
from editlab.lab.access.addresses import network_of
from editlab.lab.access.cookies import CookieSecret, EndedLogins
from editlab.lab.access.limits import RateLimits
from editlab.lab.access.users import User, Users
from editlab.web.api import is_call
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import language, noop
from editlab.web.core.place import cookie_name, cookie_path, seen_from
from editlab.web.core.visit import address_of
from editlab.web.server.guard import API, MOST_BYTES, Guard, read_body, receive_again
from editlab.web.server.participants import is_door, left, participant_of

FREE = ("/login", "/health", "/ready")
"""Routes that answer without a login."""
NAMED = (f"{API}queue/join", f"{API}cancel")
"""Routes whose body has a session."""
HOURS = 12
MOST_SESSIONS = 1_000
MOST_FORM = 10_000
LOGIN_BYTES = 16
SECURE = ("https", "wss")
LOGGED_OUT = noop("You are logged out. Reload the page to log in again; your edits are kept.")
WRONG = noop("Wrong name or password. Try again.")
THEMES = ("light", "dark")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'",
}
PAGE, PLAIN = Path(__file__).with_name("login.html"), Path(__file__).with_name("plain.css")

log = logging.getLogger(__name__)


class Logins:
    """The logins of the users. Passwords are checked one at a time, so that each guess counts and memory stays small."""

    def __init__(self, users: Users, limits: RateLimits, ended: EndedLogins) -> None:
        self._users, self._limits, self._ended = users, limits, ended
        self._lock = threading.Lock()

    def enter(self, name: str, password: str, address: str) -> User | None:
        """Return the user with this name and password, None where there is none. Raises `TooMany` after too many guesses.

        Guesses from an IPv6 address count for its /64 network.
        """
        place = network_of(address)
        with self._lock:
            self._limits.check_guess(name, place)
            user = self._user(name)
            right = self._users.verify(name, password)
            if not right:
                self._limits.count_guess(name, place)
        log.info({"event": "login", "user": user and user.name, "address": address, "ok": right})
        return user if right else None

    def of(self, request: Request) -> User | None:
        """Return the user who sends a request; None without a login, or where the user or the password has changed."""
        name, mark, login = (request.session.get(field) for field in ("name", "mark", "login"))
        if not (isinstance(name, str) and isinstance(mark, str) and isinstance(login, str)) or login in self._ended:
            return None
        user = self._user(name)
        return user if user is not None and hmac.compare_digest(user.mark, mark) else None

    def begin(self, request: Request, user: User) -> None:
        """Log a user in, by the browser's cookie."""
        request.session.update(name=user.name, mark=user.mark, login=secrets.token_urlsafe(LOGIN_BYTES))

    def end(self, request: Request) -> None:
        """Log a user out: the browser drops its cookie, and copies of it stop working."""
        if self.of(request) is not None:
            try:
                self._ended.add(request.session["login"])
            except BadFile as error:
                log.error({"event": "logout", "error": str(error)})
        request.session.clear()

    async def by_header(self, request: Request) -> User | None:
        """Return the user in a program's header of HTTP Basic, None where there is none. Raises `TooMany`."""
        kind, given = request.headers.get("authorization", "").partition(" ")[::2]
        try:
            name, password = base64.b64decode(given, validate=True).decode().partition(":")[::2]
        except ValueError:
            return None
        if kind.lower() != "basic":
            return None
        return await run_in_threadpool(self.enter, name, password, address_of(request))

    def _user(self, name: str) -> User | None:
        try:
            return self._users.by_name.get(name)
        except BadFile as error:
            log.error({"event": "users", "error": str(error)})
            return None


class SessionOwners:
    """The owners of the page's sessions: the first user that named each. The latest 1,000 of each user are known."""

    def __init__(self) -> None:
        self._user_of: dict[str, str] = {}
        self._sessions_of: dict[str, OrderedDict[str, None]] = {}

    def owns(self, user: str, session: str) -> bool:
        """Return whether a session belongs to the user with this id."""
        if self._user_of.setdefault(session, user) != user:
            return False
        own = self._sessions_of.setdefault(user, OrderedDict())
        own[session] = None
        own.move_to_end(session)
        if len(own) > MOST_SESSIONS:
            del self._user_of[own.popitem(last=False)[0]]
        return True


class LoginGuard(Guard):
    """An ASGI layer that admits only users, each to their own sessions, and sets `request.state.user` to the name.

    It also admits the participants of workshops, whom the layer around it knows, and anybody to the door of a workshop.
    """

    def __init__(self, app: ASGIApp, logins: Logins) -> None:
        super().__init__(app)
        self._logins, self._sessions = logins, SessionOwners()

    async def admit(self, request: Request) -> Response | Receive | None:
        """Refuse a request without a login, and one for another user's session."""
        path = request.scope["path"]
        if path in FREE or is_call(path):  # the firewall asks a call for its token
            return None
        user = self._logins.of(request)
        if user is not None:
            request.state.participant = None
        if is_door(request):
            request.state.user = user and user.name
            return None
        if user is None and path == "/metrics":
            try:
                user = await self._logins.by_header(request)
            except TooMany as error:
                return PlainTextResponse(said(error), 429)
        participant = participant_of(request)
        if user is None and participant is not None and path != "/metrics":
            request.state.user = participant.name
            return await self._own_session(request, path, participant.id)
        if user is None:
            return left(request) or _ask_for_login(request)
        request.state.user = user.name
        return await self._own_session(request, path, user.id)

    async def _own_session(self, request: Request, path: str, user: str) -> Response | Receive | None:
        sessions = request.query_params.getlist("session_hash")
        if path.startswith(f"{API}heartbeat/"):
            sessions.append(path.removeprefix(f"{API}heartbeat/"))
        body = None
        if path in NAMED:
            body = await read_body(request, MOST_BYTES)
            try:
                session = json.loads(body).get("session_hash")
            except (ValueError, AttributeError, RecursionError):
                return PlainTextResponse("This request is not a JSON object.", 400)
            sessions += [] if session is None else [session]
        if not all(isinstance(session, str) and self._sessions.owns(user, session) for session in sessions):
            return PlainTextResponse(_("This session of the page belongs to another user. Reload the page."), 403)
        return None if body is None else receive_again(body, request.receive)


class Cookies:
    """An ASGI layer that reads and writes the login's cookie, signed with a secret that can change while the server runs.

    The cookie is `Secure` if the browser uses https.
    """

    def __init__(self, app: ASGIApp, secret: CookieSecret, name: str) -> None:
        self.app, self._secret, self._name = app, secret, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its session; without a secret, refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            secret = self._secret.read()
        except BadFile as error:
            log.error({"event": "cookies", "error": str(error)})
            await PlainTextResponse(_("Nobody can log in now. Ask the operator of this EditLab."), 503)(scope, receive, send)
        else:
            request = Request(scope)
            layer = SessionMiddleware(
                self.app,
                secret_key=secret,
                session_cookie=cookie_name(self._name, request),
                max_age=3600 * HOURS,
                path=cookie_path(request),
                same_site="lax",
                https_only=scope["scheme"] in SECURE,
            )
            await layer(scope, receive, send)


def add_login(app: FastAPI, lab: Lab, users: Users) -> None:
    """Add the login to an app, with `/login` and `/logout`. Raises `BadFile` where its secret cannot be written."""
    secret = CookieSecret(lab.ledger.folder)
    logins = Logins(users, lab.limits, EndedLogins(lab.ledger.folder, 3600 * HOURS))

    @app.get("/login", include_in_schema=False)
    def ask(request: Request) -> Response:
        return page(next=request.query_params.get("next", "/"), theme=request.query_params.get("__theme", ""))

    @app.post("/login", include_in_schema=False)
    async def enter(request: Request) -> Response:
        form = parse_qs((await read_body(request, MOST_FORM)).decode(errors="replace"))
        name, password, next, theme = (form.get(field, [""])[0] for field in ("name", "password", "next", "theme"))
        try:
            user = await run_in_threadpool(logins.enter, name.strip(), password, address_of(request))
        except TooMany as error:
            return page(next, theme, name, said(error), 429)
        request.session.clear()
        if user is None:
            return page(next, theme, name, _(WRONG), 401)
        logins.begin(request, user)
        return RedirectResponse(seen_from(request, local(next)), 303)

    @app.post("/logout", include_in_schema=False)
    def leave(request: Request) -> Response:
        logins.end(request)
        return RedirectResponse(seen_from(request, "/login"), 303)

    app.add_middleware(LoginGuard, logins=logins)
    secret.read()  # so that the start fails if it cannot be written
    app.add_middleware(Cookies, secret=secret, name=f"editlab-{lab.settings.port}")  # cookies do not tell ports apart


def page(next: str = "/", theme: str = "", name: str = "", error: str = "", status: int = 200) -> HTMLResponse:
    """Return the login page. An error is shown above the fields and announced when the page opens."""
    html = Template(PAGE.read_text(encoding="utf-8")).substitute(
        language=language(),
        title=_("Log in to EditLab"),
        lead=_("Log in to see and change your edits."),
        name_label=_("Name"),
        password_label=_("Password"),
        button=_("Log in"),
        style=PLAIN.read_text(encoding="utf-8"),
        error=f'<p id="error" role="alert">{escape(error)}</p>' if error else "",
        described='aria-describedby="error" aria-invalid="true"' if status == 401 else "",
        name=escape(name[:64]),
        next=escape(local(next)),
        theme=theme if theme in THEMES else "",
        focus_name="" if name else "autofocus",
        focus_password="autofocus" if name else "",
    )
    return HTMLResponse(html, status, HEADERS)


def local(target: str) -> str:
    """Return a path of this site to go to after the login; "/" in place of any other address."""
    is_local = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_local and ".." not in unquote(target.partition("?")[0]) else "/"


def _ask_for_login(request: Request) -> Response:
    """Return the login page for a browser, and 401 for a program."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        query = request.url.query
        target = request.scope["path"] + (f"?{query}" if query else "")
        theme = request.query_params.get("__theme", "")
        shown = f"&__theme={theme}" if theme in THEMES else ""
        return RedirectResponse(seen_from(request, f"/login?next={quote(target, safe='')}{shown}"), 303)
    basic = {"WWW-Authenticate": 'Basic realm="EditLab"'} if request.scope["path"] == "/metrics" else {}
    return JSONResponse({"error": _(LOGGED_OUT), "message": "Log in at /login first."}, 401, basic)
