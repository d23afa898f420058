"""The door of a workshop: a join link, a signed cookie instead of an account, and what a participant's page asks for.

A participant is admitted to the page as nobody else: the layer sets `request.state.participant`, from which the handlers get
the one workspace that they may use. A login counts more than the cookie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Annotated, Any

from fastapi import FastAPI
from itsdangerous import BadSignature, URLSafeSerializer
from markupsafe import Markup, escape
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from editlab.errors import BadFile, EditLabError, TooMany
from editlab.lab import Lab
from editlab.lab.access.cookies import WORKSHOP_SECRET, CookieSecret
from editlab.lab.access.limits import FREE, Asker, Cost
from editlab.lab.ledger.names import is_participant
from editlab.lab.workshops import MOST_OPTIONS, Guessing, NoWorkshop, Over, Participant, Workshop
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import language
from editlab.web.core.place import cookie_name, cookie_path, seen_from
from editlab.web.core.visit import address_of
from editlab.web.server.guard import read_body
from editlab.web.workshop import room_words as words
from editlab.web.workshop.room_strip import guess_card

DOOR = "/join/"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'",
}
MOST_GUESS = 200
"""Bytes of a guess."""
LONGEST_CODE, LONGEST_COOKIE = 64, 300
DAY = 86_400
"""Seconds for which a browser keeps the cookie after the end, so that it can be told about it."""
SECURE = ("https", "wss")
PAGE, PLAIN = Path(__file__).with_name("join.html"), Path(__file__).with_name("plain.css")

log = logging.getLogger(__name__)


class Guess(BaseModel):
    """What a participant's page sends: the question's id, and the place of the option."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    choice: Annotated[int, Field(ge=0, lt=MOST_OPTIONS)]


class Pass:
    """The cookie of a participant, signed with a secret of its own."""

    def __init__(self, lab: Lab) -> None:
        self._secret = CookieSecret(lab.ledger.folder, WORKSHOP_SECRET)
        self._name = f"editlab-workshop-{lab.settings.port}"  # cookies do not tell ports apart

    def read(self, request: Request) -> str | None:
        """Return the participant's id, None where there is no valid cookie. Raises `BadFile` without a secret."""
        given = request.cookies.get(cookie_name(self._name, request))
        if given is None or len(given) > LONGEST_COOKIE:
            return None
        try:
            id = self._signer().loads(given)
        except BadSignature:
            return None
        return id if isinstance(id, str) and is_participant(id) else None

    def check(self) -> None:
        """Raise `BadFile` where there is no secret, so that nobody takes a place in vain."""
        self._secret.read()

    def give(self, request: Request, answer: Response, participant: Participant) -> None:
        """Let a browser keep a participant's id until the workshop ends. Raises `BadFile` without a secret."""
        left = datetime.fromisoformat(participant.ends_at) - datetime.now(UTC)
        signed = self._signer().dumps(participant.id)
        assert isinstance(signed, str)
        age = max(0, int(left.total_seconds())) + DAY
        answer.set_cookie(value=signed, max_age=age, **self._attributes(request))

    def take(self, request: Request, answer: Response) -> None:
        """Let a browser drop the cookie."""
        answer.delete_cookie(**self._attributes(request))

    def _attributes(self, request: Request) -> dict[str, Any]:
        return {
            "key": cookie_name(self._name, request),
            "path": cookie_path(request),
            "httponly": True,
            "samesite": "lax",
            "secure": request.scope["scheme"] in SECURE,
        }

    def _signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret.read(), salt="participant")


class Participants:
    """An ASGI layer that sets `request.state.participant`, and `request.state.left` to why somebody is none any more."""

    def __init__(self, app: ASGIApp, lab: Lab, cookie: Pass) -> None:
        self.app, self._lab, self._pass = app, lab, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Without a login page, one of a participant whose workshop is over is answered here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.participant = request.state.left = None
        try:
            id = self._pass.read(request)
            if id is not None:
                request.state.participant = await run_in_threadpool(self._lab.workshops.participant, id)
        except (NoWorkshop, Over) as error:
            request.state.left = error
        except BadFile as error:
            log.error({"event": "participants", "error": str(error)})
        answer = left(request) if self._lab.users is None else None
        if isinstance(answer, HTMLResponse):  # the page has said it; from now on the browser is its owner's again
            self._pass.take(request, answer)
        await (answer or self.app)(scope, receive, send)


def is_door(request: Request) -> bool:
    """Return whether a request is for the door of a workshop, which anybody may ask for, and for nothing behind it."""
    path = request.scope["path"]
    return request.method in ("GET", "POST") and path.startswith(DOOR) and "/" not in path.removeprefix(DOOR)


def participant_of(request: Request) -> Participant | None:
    """Return the participant who sends a request; None where it is somebody else."""
    return getattr(request.state, "participant", None)


def left(request: Request) -> Response | None:
    """Return the answer to somebody whose workshop is over, or who was let go; None for all others."""
    error = getattr(request.state, "left", None)
    if error is None or is_door(request):
        return None
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return _page(_(words.OVER), said(error), _status(error))
    return JSONResponse({"detail": said(error)}, _status(error))


def add_workshops(app: FastAPI, lab: Lab) -> Pass:
    """Add the routes of workshops to an app, and return how their cookie is read."""
    cookie = Pass(lab)
    _add_door(app, lab, cookie)
    _add_questions(app, lab)
    return cookie


def _add_door(app: FastAPI, lab: Lab, cookie: Pass) -> None:
    """Add the way in and the way out."""

    @app.get(f"{DOOR}{{code}}", include_in_schema=False)
    def show(code: str, request: Request) -> Response:
        return _answer(request, code)

    @app.post(f"{DOOR}{{code}}", include_in_schema=False)
    def enter(code: str, request: Request) -> Response:
        return _answer(request, code, join=True)

    def _answer(request: Request, code: str, join: bool = False) -> Response:
        """Show the door, or let somebody in. Whoever is in already goes to their workspace."""
        try:
            workshop = _find(code, request)
            own = participant_of(request)
            if own is not None and own.workshop == workshop.id:
                return RedirectResponse(seen_from(request, "/"), 303)
            if getattr(request.state, "user", None) is not None:
                return _page(workshop.title, _(words.LOGGED_IN).format(request.state.user))
            if not join:
                lab.workshops.check_room(workshop)
                return _page(workshop.title, _(words.DOOR), form=_(words.JOIN))
            cookie.check()
            answer = RedirectResponse(seen_from(request, "/"), 303)
            cookie.give(request, answer, lab.workshops.join(code))
            return answer
        except EditLabError as error:
            return _page(_(words.CLOSED), said(error), _status(error))

    def _find(code: str, request: Request) -> Workshop:
        try:
            return lab.workshops.find(code[:LONGEST_CODE])
        except NoWorkshop:
            lab.limits.count_code(address_of(request))
            raise

    @app.post("/workshop/leave", include_in_schema=False)
    def leave(request: Request) -> Response:
        answer = RedirectResponse(seen_from(request, "/"), 303)
        cookie.take(request, answer)
        return answer


def _add_questions(app: FastAPI, lab: Lab) -> None:
    """Add what a participant's page asks for: the question that the room sees, and a guess."""

    @app.get("/workshop/now", include_in_schema=False)
    def now(request: Request) -> Response:
        """Return the question that the room sees. Costs a click and one small query."""
        return _told(request, FREE, lab.workshops.guessing)

    @app.post("/workshop/guess", include_in_schema=False)
    async def guess(request: Request) -> Response:
        """Keep a guess, and return the question again. Costs a click and a change."""
        try:
            given = Guess.model_validate_json(await read_body(request, MOST_GUESS))
        except ValidationError:
            return JSONResponse({"detail": _(words.NO_GUESS)}, 422)
        cost = Cost(changes=1)
        return await run_in_threadpool(
            _told, request, cost, lambda own: lab.workshops.guess(own, given.question, given.choice)
        )

    def _told(request: Request, cost: Cost, work: Callable[[Participant], Guessing | None]) -> Response:
        own = participant_of(request)
        if own is None:
            return JSONResponse({"detail": _(words.NOBODY)}, 404)
        who = Asker(own.id, address_of(request))
        try:
            lab.limits.count_call(who)
            lab.limits.check_call(cost, who)
            return HTMLResponse(guess_card(work(own)), headers={"Cache-Control": "no-store"})
        except EditLabError as error:
            return JSONResponse({"detail": said(error)}, _status(error))


def _status(error: EditLabError) -> int:
    """Return the HTTP status of an error."""
    kinds = {NoWorkshop: 404, Over: 410, TooMany: 429, BadFile: 503}
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 409)


def _page(title: str, text: str, status: int = 200, form: str = "") -> Response:
    """Return a page of one sentence; `form`: the label of a button that joins."""
    html = Template(PAGE.read_text(encoding="utf-8")).substitute(
        style=PLAIN.read_text(encoding="utf-8"),
        language=language(),
        title=escape(title),
        text=escape(text),
        form=Markup('<form method="post"><button autofocus>{}</button></form>').format(form) if form else "",
    )
    return HTMLResponse(html, status, HEADERS)
