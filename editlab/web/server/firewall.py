"""The firewall: it checks every call before Gradio sees it, and refuses data of other types than the page declares.

Gradio searches every value for files to copy and addresses to fetch, in every field. So each call is first checked against
the types of the page's components (`inputs`). Gradio only gets texts, numbers, booleans, and paths of files that the same
session has uploaded. Uploads are also received here and never reach Gradio.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.components import Component
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from editlab.errors import BadRequest, EditLabError, TooMany
from editlab.lab import Lab
from editlab.lab.access.addresses import network_of
from editlab.lab.access.limits import Asker, Cost
from editlab.web.api import Api, is_call
from editlab.web.api.errors import Refusal, answer, fault_of
from editlab.web.core.engine import said
from editlab.web.core.inputs import EventData, File, FileButton, Pressed, Scalar
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.visit import address_of, is_id
from editlab.web.server.callers import caller_behind
from editlab.web.server.guard import API, SAFE, TooLarge, bounded_by, read_body, receive_again
from editlab.web.server.sessions import Sessions

JOIN, CANCEL, UPLOAD, DATA = (f"{API}{name}" for name in ("queue/join", "cancel", "upload", "queue/data"))
PAGES = ("/", "/config", f"{API}info")
"""The pages that Gradio makes for each request, in a tenth of a second or more."""
MANIFEST = b'<link rel="manifest" href="/manifest.json" />'
ICON = b'<link rel="icon" href="favicon.ico" />'.ljust(len(MANIFEST))
"""The one address that Gradio's page writes from the top of the site, of a file that it has not, and what stands instead."""
MOST_PAGES = 2
"""Pages that are made at a time. The others wait without a thread."""
SESSION = "^[A-Za-z0-9-]{1,64}$"
"""The form of a session's name: a few random letters and digits from Gradio's page, a UUID from its client."""
MOST_UPLOADS = 8
"""Files of one user or address that are uploaded at a time."""
MOST_OPEN, MOST_UNREAD = 32, 64
"""Open calls of one session, which stay open until their answers are fetched; and unread ones of one address."""
MOST_JOIN, MOST_CANCEL, MORE_THAN_FILE = 256_000, 2_000, 20_000
"""Bytes of a call, of a cancellation, and of the other parts of a form with a file."""
NO_CALL = noop("This request does not come from EditLab's page. Reload the page.")
LIMITS = {
    "less_than_equal": noop("“{label}” is at most {le:,}. Write a smaller number."),
    "greater_than_equal": noop("“{label}” is at least {ge:,}. Write a larger number."),
    "string_too_long": noop("“{label}” has at most {max_length:,} characters. Shorten it."),
    "int_type": noop("“{label}” is empty, or no whole number. Write one."),
    "float_type": noop("“{label}” is empty, or no number. Write one."),
}
"""The message about a value beyond the limits of its field, by pydantic's name of the fault."""


class Refused(Exception):
    """The refusal of a call, with an HTTP status and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Cancellation(BaseModel):
    """The body of a request to cancel an event."""

    model_config = ConfigDict(extra="ignore", strict=True)

    session_hash: str = Field(pattern=SESSION)
    event_id: str = Field(pattern="^[0-9a-f]{32}$")
    fn_index: int = Field(ge=0, le=100_000)


class Head(BaseModel):
    """The handler and the session of a call."""

    model_config = ConfigDict(extra="ignore", strict=True)

    fn_index: int
    session_hash: str = Field(pattern=SESSION)


class Calls:
    """The handlers of a page and the pydantic models of their calls. Raises `TypeError` for a handler without a cost."""

    def __init__(self, page: gr.Blocks) -> None:
        self._fns: dict[int, BlockFunction] = dict(page.fns)
        self._models = {number: _model_of(fn) for number, fn in self._fns.items()}

    def read(self, body: bytes) -> tuple[BlockFunction, BaseModel]:
        """Return the handler of a call, and the checked call. Raises `Refused`."""
        try:
            head = Head.model_validate_json(body)
        except ValidationError as error:
            raise Refused(422, _explain(error)) from None
        fn = self._fns.get(head.fn_index)
        if fn is None:
            raise Refused(422, _(NO_CALL))
        try:
            return fn, self._models[head.fn_index].model_validate_json(body)
        except ValidationError as error:
            raise Refused(422, _explain(error, fn.inputs)) from None


class Firewall:
    """An ASGI layer directly around Gradio."""

    def __init__(
        self,
        app: ASGIApp,
        lab: Lab,
        calls: Calls,
        api: Api,
        sessions: Sessions,
        user: Callable[[Request], str | None],
    ) -> None:
        self.app, self._lab, self._api, self._user = app, lab, api, user
        self._calls, self._sessions = calls, sessions
        self._making = asyncio.Semaphore(MOST_PAGES)
        self._uploading: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a checked request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, path = Request(scope, receive), scope["path"]
        if is_call(path):
            await self._call(request, send)
            return
        try:
            if path == UPLOAD:
                await JSONResponse(await self._upload(request))(scope, receive, send)
            elif path == JOIN:
                await self.app(scope, await self._join(request), send)
            elif path == CANCEL:
                await self.app(scope, await self._cancel(request), send)
            elif path == DATA:
                await self._stream(request, send)
            elif path in PAGES and request.method in SAFE:
                await self._page(request, send)
            else:
                await self.app(scope, receive, send)
        except Refused as refused:
            await JSONResponse({"detail": refused.message}, refused.status)(scope, receive, send)

    async def _call(self, request: Request, send: Send) -> None:
        """Admit and count a call of the HTTP interface, read its body, and pass it on; or refuse it with an object."""
        scope, lab = request.scope, self._lab
        try:
            stated = self._api.find(scope)
            caller = await run_in_threadpool(caller_behind, lab, request, stated.scope)
            lab.limits.count_call(caller.asker)
            lab.limits.check_call(stated.cost, caller.asker)
            body = await read_body(request, MOST_JOIN)
        except Refusal as refusal:
            await answer(refusal.status, refusal.fault)(scope, request.receive, send)
        except EditLabError as error:
            await answer(*fault_of(error))(scope, request.receive, send)
        else:
            scope["state"]["caller"] = caller
            await self.app(scope, receive_again(body, request.receive), send)

    async def _page(self, request: Request, send: Send) -> None:
        """Make a page in its turn, and then send it, so that a slow reader does not delay the others."""
        address = address_of(request)
        try:
            self._lab.limits.count_page(Asker(self._user(request) or address, address))
        except TooMany as error:
            await PlainTextResponse(said(error), 429)(request.scope, request.receive, send)
            return
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        async with self._making:
            await self.app(request.scope, request.receive, keep)
        for message in messages:
            if message["type"] == "http.response.body":
                message["body"] = message["body"].replace(MANIFEST, ICON)
            await send(message)

    async def _stream(self, request: Request, send: Send) -> None:
        """Send the answers of a session. Raises `Refused` where the address does not have exactly one."""
        given = request.query_params.getlist("session_hash")
        if len(given) != 1 or not re.fullmatch(SESSION, given[0]):
            raise Refused(422, _("This address has no session of the page. Reload the page."))
        if not self._sessions.knows(given[0]):
            raise Refused(404, _("This session of the page has no calls. Reload the page."))
        with self._sessions.listen(given[0]):
            await self.app(request.scope, request.receive, send)

    async def _join(self, request: Request) -> Receive:
        fn, call = self._calls.read(await read_body(request, MOST_JOIN))
        self._count_call(request, call.data, new=not self._sessions.knows(call.session_hash))
        address = network_of(address_of(request))
        if self._sessions.open_calls(call.session_hash) >= MOST_OPEN or self._sessions.unread(address) >= MOST_UNREAD:
            raise Refused(429, _("This page has many unanswered requests. Wait until some of them are done."))
        await self._sessions.note_call(call.session_hash, address)
        inputs = zip(fn.inputs, call.data, strict=True)
        values = [self._with_path(component, value, call.session_hash) for component, value in inputs]
        body = call.model_dump(include={"fn_index", "session_hash", "trigger_id"}) | {"data": values}
        if fn.fn.pressed:
            event = call.event_data
            body["event_data"] = event.sent() if isinstance(event, Pressed) else event
        return _replace_body(body, request)

    async def _cancel(self, request: Request) -> Receive:
        try:
            call = Cancellation.model_validate_json(await read_body(request, MOST_CANCEL))
        except ValidationError as error:
            raise Refused(422, _explain(error)) from None
        return _replace_body(call.model_dump(), request)

    def _count_call(self, request: Request, data: Sequence[Any], new: bool) -> None:
        """Count a call for its address and its visitor, whose id is the first value; an id that is none, for the address.

        Raises `Refused`.
        """
        address = address_of(request)
        visitor = self._user(request) or next((value for value in data[:1] if is_id(value, self._lab)), address)
        try:
            self._lab.limits.count_call(Asker(visitor, address), new)
        except TooMany as error:
            raise Refused(429, said(error)) from None

    def _with_path(self, component: Any, value: Any, session: str) -> Any:
        """Return a value for Gradio: the path of a file, any other value as it is. Raises `Refused`."""
        if not isinstance(value, File):
            return value
        try:
            path = self._lab.uploads.claim(value.path, session)
        except BadRequest as error:
            raise Refused(422, said(error)) from None
        allowed = component.file_types if isinstance(component, FileButton) else None
        if allowed and path.suffix.lower() not in allowed:
            text = _("{file} cannot be used here. Choose a file of these types: {endings}.")
            raise Refused(422, text.format(file=path.name, endings=", ".join(allowed)))
        return str(path)

    async def _upload(self, request: Request) -> list[str]:
        """Keep the one file of a form, and return its name for calls. Raises `Refused` and `TooLarge`."""
        address = address_of(request)
        owner = self._user(request) or address
        most = self._lab.limits.file_bytes_of(Asker(owner, address))
        if self._uploading[owner] >= MOST_UPLOADS:
            raise Refused(429, _("Other files of yours are still being uploaded. Wait for them, then send this one."))
        self._uploading[owner] += 1
        try:
            self._lab.limits.count_call(Asker(owner, address))
            bounded = Request(request.scope, bounded_by(most + MORE_THAN_FILE, request))
            async with bounded.form(max_files=1, max_fields=2) as form:
                files = [value for name, value in form.multi_items() if not isinstance(value, str)]
                if len(files) != 1:
                    raise Refused(400, _("Send exactly one file."))
                content = await files[0].read()
                name = files[0].filename or "file"
            if len(content) > most:
                raise TooLarge(most)
            return [await run_in_threadpool(self._lab.uploads.keep, name, content, owner)]
        except TooMany as error:
            raise Refused(429, said(error)) from None
        except EditLabError as error:
            raise Refused(400, said(error)) from None
        except (HTTPException, MultiPartException, ValueError) as error:
            if isinstance(error, TooLarge):
                raise
            raise Refused(400, _("This request has no file that can be read. Choose the file again.")) from None
        finally:
            self._uploading[owner] -= 1
            if not self._uploading[owner]:
                del self._uploading[owner]


def _model_of(fn: BlockFunction) -> type[BaseModel]:
    """Return the model of a handler's calls. Raises `TypeError` for a handler that is not wired with `on`."""
    if not isinstance(getattr(fn.fn, "cost", None), Cost):
        raise TypeError(f"The handler {fn.api_name or fn.name} states no cost. Declare it with @handler, wire it with on().")
    return create_model(
        f"Call of {fn.api_name}",
        __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False),
        fn_index=(int, ...),
        session_hash=(str, Field(pattern=SESSION)),
        data=(tuple[fn.fn.types], ...),
        event_data=_event_of(fn.fn.pressed),
        trigger_id=(int | None, None),
        event_id=(None, None),
        oauth_token=(None, None),
        simple_format=(Literal[False], False),
        batched=(Literal[False] | None, None),
    )


def _event_of(pressed: type[Pressed] | None) -> tuple[Any, Any]:
    """Return the type and the default of a call's event: a button's attributes, or what Gradio's page adds."""
    return (EventData | Scalar, None) if pressed is None else (pressed, ...)


def _explain(error: ValidationError, inputs: Sequence[Component] = ()) -> str:
    """Return the fault of a call and its field, without quoting anything that was sent."""
    first = error.errors(include_url=False, include_input=False)[0]
    place, limits = first["loc"], first.get("ctx", {})
    if len(place) > 1 and place[0] == "data" and isinstance(place[1], int) and place[1] < len(inputs):
        label, message = inputs[place[1]].label, LIMITS.get(first["type"], "")
        if label and message:
            return _(message).format(label=_(label), **limits)
    where = ".".join(str(part) for part in place if isinstance(part, str | int))[:100]
    return f"{_(NO_CALL)} ({where or 'body'}: {first['msg'][:200]})"


def _replace_body(body: dict[str, Any], request: Request) -> Receive:
    """Set a request's `Content-Length` for a checked body, and return how Gradio receives that body."""
    content = json.dumps(body).encode()
    length = str(len(content)).encode()
    request.scope["headers"] = [
        (name, length if name == b"content-length" else value) for name, value in request.scope["headers"]
    ]
    return receive_again(content, request.receive)
