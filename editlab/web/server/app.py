"""The server around the page: middlewares, login, health, metrics and downloads."""

from __future__ import annotations

from typing import Annotated, Any

import gradio as gr
from fastapi import FastAPI, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse

from editlab.errors import EditLabError
from editlab.lab import Lab
from editlab.settings import on_space
from editlab.web.api import add_api, create_api
from editlab.web.core.engine import said
from editlab.web.core.theme import STYLES, choice_styles, create_theme, script
from editlab.web.model.words import memory
from editlab.web.page import TITLE, create_page
from editlab.web.server.below import Below
from editlab.web.server.firewall import Calls, Firewall
from editlab.web.server.firstframe import FirstFrame
from editlab.web.server.guard import Guard
from editlab.web.server.headers import SecurityHeaders
from editlab.web.server.hosts import AllowedHosts
from editlab.web.server.languages import Languages
from editlab.web.server.login import add_login
from editlab.web.server.participants import Participants, add_workshops, participant_of
from editlab.web.server.proxies import Forwarded
from editlab.web.server.sessions import Sessions

SMALL = 2_000
"""Bytes under which an answer is not compressed."""
NO_DOCS = {"docs_url": None, "redoc_url": None, "openapi_url": None}


def create_app(lab: Lab) -> FastAPI:
    """Return the app with the page at `/`.

    With `Settings.auth`, everything except health, readiness and the door of a workshop needs a login.

    `GET /health` answers 200 while the worker takes jobs, `GET /ready` while there are no faults. `GET /model` describes the
    loaded model, `GET /metrics` the service.
    """
    app, settings = FastAPI(title=TITLE, **NO_DOCS), lab.settings
    page = create_page(lab)
    sessions = Sessions(page)
    api = create_api(lab)
    add_api(app, lab, api, tokens=settings.auth is not None)
    app.add_middleware(FirstFrame)
    app.add_middleware(Firewall, lab=lab, calls=Calls(page), api=api, sessions=sessions, user=_asker)
    app.add_middleware(Guard, login=settings.auth is not None, names=settings.hostnames)
    _add_status(app, lab)
    _add_downloads(app, lab)
    cookie = add_workshops(app, lab)
    if lab.users is not None:
        add_login(app, lab, lab.users)
    app.add_middleware(Participants, lab=lab, cookie=cookie)
    app.add_middleware(AllowedHosts, names=settings.names, numbers=not settings.on_loopback)
    app.add_middleware(Below)
    # a Space's proxies pass Host on; which other name they may state is not known
    app.add_middleware(Forwarded, proxies=settings.proxies, root=settings.root_path, hosts=not on_space())
    app.add_middleware(Languages)
    app.add_middleware(GZipMiddleware, minimum_size=SMALL)
    app.add_middleware(SecurityHeaders, frames=settings.frame_ancestors)
    app = gr.mount_gradio_app(
        app,
        page,
        path="",
        app_kwargs=NO_DOCS,
        auth_dependency=None if settings.auth is None else _user,
        theme=create_theme(),
        css=choice_styles(),
        css_paths=list(STYLES),
        js=script(),
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size=lab.limits.file_size,
        blocked_paths=["/"],  # Gradio serves no files: downloads have a route of their own
    )
    mounted = app.routes[-1].app
    mounted.state_holder = app.state_holder = sessions  # Gradio also reads it from the outer app
    sessions.set_blocks(page)
    return app


def _add_status(app: FastAPI, lab: Lab) -> None:
    """Add the routes for monitoring the service."""

    @app.get("/health")
    async def health(response: Response) -> dict[str, str]:
        if lab.worker.alive:
            return {"status": "ok"}
        response.status_code = 503
        return {"status": "the model's worker has ended"}

    @app.get("/ready")
    def ready(response: Response) -> dict[str, Any]:
        faults = lab.metrics.faults()
        response.status_code = 503 if faults else 200
        return {"status": "not ready" if faults else "ready", "faults": faults}

    @app.get("/model")
    def model(request: Request, workspace: Annotated[str, Query(max_length=64)] = "") -> dict[str, Any]:
        """Return which model is loaded and the last event of a workspace, by which a page sees that it is behind.

        Users and participants hear of workspaces that they may enter alone.
        """
        about = lab.about()
        said = {name: about[name] for name in ("model", "fingerprint", "session")} | {"memory": memory(about)}
        event = lab.directory.last_event(workspace, about["fingerprint"], _visitor(request, lab)) if workspace else None
        return said | {"event": event}

    if lab.settings.auth is not None or not lab.settings.demo:  # not for the visitors of a demo

        @app.get("/metrics")
        def metrics(request: Request) -> Response:
            if participant_of(request) is not None:
                return PlainTextResponse("There is nothing here for participants of a workshop.", 404)
            return Response(lab.metrics.metrics(), media_type=CONTENT_TYPE_LATEST)


def _add_downloads(app: FastAPI, lab: Lab) -> None:
    """Add the route of the downloads. Users and participants get only files of workspaces that they may enter."""

    @app.get("/exports/{token}")
    def download(token: str, request: Request) -> Response:
        try:
            path = lab.downloads.take(token, _visitor(request, lab))
        except EditLabError as error:
            return PlainTextResponse(said(error), 404)
        kind = "application/zip" if path.suffix == ".zip" else "application/octet-stream"  # nothing is shown on this page
        return FileResponse(path, filename=path.name, media_type=kind, headers={"Cache-Control": "no-store"})


def _visitor(request: Request, lab: Lab) -> str | None:
    """Return the id of the user or participant who asks, who gets what they may enter; None without a login."""
    participant = participant_of(request)
    if participant is not None:
        return participant.id
    return None if lab.users is None else lab.owner(_user(request) or "")


def _user(request: Request) -> str | None:
    """Return the name of the user, or of the participant, who sends a request; None without a login."""
    return getattr(request.state, "user", None)


def _asker(request: Request) -> str | None:
    """Return as whom a request is counted: the participant's id or the user's name; None without both."""
    participant = participant_of(request)
    return _user(request) if participant is None else participant.id
