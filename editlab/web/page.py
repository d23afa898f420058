"""Assembles the page and the server around it."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI, Response

from editlab.lab import Lab
from editlab.web.edit_tab import create_edit_tab
from editlab.web.inside_tab import create_inside_tab
from editlab.web.keys_tab import create_keys_tab
from editlab.web.model_tab import create_model_tab, create_strip
from editlab.web.model_words import memory
from editlab.web.theme import SCRIPT, STYLE, create_theme, view_styles

TITLE = "EditLab"
TABS = ("edit", "keys", "inside", "model")
MOST_EVENTS = 256
NO_DOCS = {"docs_url": None, "redoc_url": None, "openapi_url": None}


def create_page(lab: Lab) -> gr.Blocks:
    """The page over one lab, not yet served."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        visitor = gr.BrowserState(storage_key="editlab-visitor", secret="editlab")
        strip = create_strip(lab)
        with gr.Tabs() as tabs:
            with gr.Tab("Edit", id="edit"):
                parts = create_edit_tab(page, lab, visitor)
            with gr.Tab("Keys", id="keys") as keys:
                create_keys_tab(keys, lab, parts)
            with gr.Tab("Inside", id="inside") as inside:
                create_inside_tab(inside, lab, parts)
            with gr.Tab("Model", id="model") as model:
                create_model_tab(page, model, lab, strip, parts)
        page.load(_opened, outputs=tabs, show_progress="hidden", api_visibility="private")
    page.queue(max_size=MOST_EVENTS, api_open=False)
    return page


def create_app(lab: Lab) -> FastAPI:
    """The page at `/`; `GET /health`, which answers 200 as long as the model can be asked; `GET /model`, which it is now."""
    app = FastAPI(title=TITLE, **NO_DOCS)

    @app.get("/health")
    def health(response: Response) -> dict[str, str]:
        if lab.worker.alive:
            return {"status": "ok"}
        response.status_code = 503
        return {"status": "the model's worker has ended"}

    @app.get("/model")
    def model() -> dict[str, str]:
        about = lab.about()
        return {name: about[name] for name in ("model", "fingerprint", "session")} | {"memory": memory(about)}

    return gr.mount_gradio_app(
        app,
        create_page(lab),
        path="/",
        app_kwargs=NO_DOCS,
        theme=create_theme(),
        css=view_styles(),
        css_paths=STYLE,
        js=SCRIPT.read_text(encoding="utf-8"),
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size="25mb",
    )


def _opened(request: gr.Request) -> dict[str, Any]:
    """The tab that the address names, or the first one."""
    wanted = request.query_params.get("tab")
    return gr.update(selected=wanted if wanted in TABS else TABS[0])
