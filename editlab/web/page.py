"""Assembles the page and the server around it."""

from __future__ import annotations

import os
from typing import Any

import gradio as gr
from fastapi import FastAPI, Response
from markupsafe import Markup
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse

from editlab.errors import EditLabError
from editlab.lab import Lab
from editlab.lab.access.limits import FREE
from editlab.settings import on_space
from editlab.web.core.components import Parts
from editlab.web.core.handlers import Handlers, Updates, handler
from editlab.web.core.theme import SCRIPT, STYLE, choice_styles, create_theme
from editlab.web.core.wiring import on
from editlab.web.edit.file_handlers import ManyHandlers
from editlab.web.edit.tab import create_edit_tab
from editlab.web.inside.tab import create_inside_tab
from editlab.web.keys.tab import create_keys_tab
from editlab.web.model.tab import create_model_tab, create_strip
from editlab.web.model.words import memory
from editlab.web.monitor.tab import create_monitor_tab
from editlab.web.server.firewall import Calls, Firewall
from editlab.web.server.guard import Guard
from editlab.web.server.headers import SPACE_FRAMES, SecurityHeaders
from editlab.web.server.hosts import AllowedHosts
from editlab.web.server.login import add_login
from editlab.web.server.proxies import Forwarded
from editlab.web.server.sessions import Sessions
from editlab.web.workspace.tab import create_workspace_tab

TITLE = "EditLab"
TABS = ("edit", "keys", "inside", "workspace", "monitor", "model")
MOST_EVENTS = 256
NO_DOCS = {"docs_url": None, "redoc_url": None, "openapi_url": None}


def create_page(lab: Lab) -> gr.Blocks:
    """The page over one lab, not yet served."""
    os.environ["GRADIO_TEMP_DIR"] = str(lab.uploads.cache())  # read where components are made
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        visitor = gr.BrowserState(storage_key="editlab-visitor", secret="editlab")
        strip = create_strip(lab)
        notice = gr.HTML(told(lab, None), elem_id="notice", apply_default_css=False, visible=bool(told(lab, "")))
        with gr.Tabs() as tabs:
            with gr.Tab("Edit", id="edit"):
                edit = ManyHandlers(lab)
                parts = create_edit_tab(page, lab, visitor, edit)
            with gr.Tab("Keys", id="keys") as keys:
                create_keys_tab(keys, lab, parts)
            with gr.Tab("Inside", id="inside") as inside:
                create_inside_tab(inside, lab, parts)
            with gr.Tab("Workspace", id="workspace") as workspace:
                create_workspace_tab(workspace, lab, parts, edit)
            with gr.Tab("Monitor", id="monitor") as monitor:
                create_monitor_tab(monitor, lab, parts, edit)
            with gr.Tab("Model", id="model") as model:
                create_model_tab(page, model, lab, strip, parts)

        page_parts = Parts({"visitor": visitor, "tabs": tabs, "notice": notice})
        on(page_parts, page.load, PageHandlers(lab).page_open, [])
    page.queue(max_size=MOST_EVENTS, api_open=False)
    page.has_launched = True  # else Gradio's own checks of files do nothing under `mount_gradio_app`
    return page


class PageHandlers(Handlers):
    """The handlers of what stands around the tabs."""

    def ready(self, request: gr.Request) -> Updates:
        """Nothing here needs the model."""
        yield from ()

    @handler(FREE)
    def page_open(self, visitor: Any, request: gr.Request) -> Updates:
        """A page was opened. Updates: tabs, the one that the address names or the first one; notice, to whom it speaks."""
        wanted = request.query_params.get("tab")
        chosen = wanted if wanted in TABS else TABS[0]
        yield {"tabs": gr.update(selected=chosen), "notice": told(self.lab, request.username)}


def create_app(lab: Lab) -> FastAPI:
    """The page at `/`, with what watches over it; with `Settings.auth` all of it behind a login but health and readiness.

    `GET /health` answers 200 as long as the model can be asked, `GET /ready` as long as all is well; `GET /model` says which
    it is now, `GET /metrics` how the service does.
    """
    app, settings = FastAPI(title=TITLE, **NO_DOCS), lab.settings
    page = create_page(lab)
    sessions = Sessions(page)
    app.add_middleware(Firewall, lab=lab, calls=Calls(page), sessions=sessions, user=_user)
    app.add_middleware(Guard, login=settings.auth is not None)
    _add_watch(app, lab)
    _add_downloads(app, lab)
    if lab.users is not None:
        add_login(app, lab, lab.users)
    app.add_middleware(AllowedHosts, names=settings.names, numbers=not settings.on_loopback)
    app.add_middleware(Forwarded, proxies=settings.proxies)
    app.add_middleware(SecurityHeaders, **({"frames": SPACE_FRAMES} if on_space() else {}))
    app = gr.mount_gradio_app(
        app,
        page,
        path="/",
        app_kwargs=NO_DOCS,
        auth_dependency=None if settings.auth is None else _user,
        theme=create_theme(),
        css=choice_styles(),
        css_paths=STYLE,
        js=SCRIPT.read_text(encoding="utf-8"),
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size=lab.limits.file_size,
        blocked_paths=["/"],  # no file leaves through Gradio: downloads have a way of their own
    )
    mounted = app.routes[-1].app
    mounted.state_holder = app.state_holder = sessions  # Gradio looks for it at the app around its own as well
    sessions.set_blocks(page)
    return app


def told(lab: Lab, user: str | None) -> str:
    """The line above the tabs: that this is a demo, and who is logged in, with the way out."""
    parts = [Markup("<p>{}</p>").format(lab.limits.notice)] if lab.limits.notice else []
    if lab.settings.auth is not None:
        form = '<form method="post" action="/logout"><span>{}</span> <button>Log out</button></form>'
        parts.append(Markup(form).format(f"Logged in as {user}." if user else ""))
    return Markup("").join(parts)


def _add_watch(app: FastAPI, lab: Lab) -> None:
    """Add what tells from outside how EditLab does."""

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
    def model() -> dict[str, str]:
        about = lab.about()
        return {name: about[name] for name in ("model", "fingerprint", "session")} | {"memory": memory(about)}

    if lab.settings.auth is not None or not lab.settings.demo:  # whoever visits a demo does not run it

        @app.get("/metrics")
        def metrics() -> Response:
            return Response(lab.metrics.metrics(), media_type=CONTENT_TYPE_LATEST)


def _add_downloads(app: FastAPI, lab: Lab) -> None:
    """Add the way to files that were made for somebody: behind the login where there is one, else by their name alone."""

    @app.get("/exports/{token}")
    def download(token: str, request: Request) -> Response:
        try:
            path = lab.downloads.take(token, None if lab.users is None else lab.owner(_user(request) or ""))
        except EditLabError as error:
            return PlainTextResponse(str(error), 404)
        return FileResponse(path, filename=path.name, media_type="application/zip", headers={"Cache-Control": "no-store"})


def _user(request: Request) -> str | None:
    """Whom the login in front let in."""
    return getattr(request.state, "user", None)
