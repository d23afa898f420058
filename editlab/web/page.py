"""Assembles the page and the server around it."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI, Response
from markupsafe import Markup

from editlab.lab import Lab
from editlab.web.edit_tab import create_edit_tab
from editlab.web.inside_tab import create_inside_tab
from editlab.web.keys_tab import create_keys_tab
from editlab.web.theme import SCRIPT, STYLE, create_theme, view_styles

TITLE = "EditLab"
TABS = ("edit", "keys", "inside")
MOST_EVENTS = 256
NO_DOCS = {"docs_url": None, "redoc_url": None, "openapi_url": None}


def create_page(lab: Lab) -> gr.Blocks:
    """The page over one lab, not yet served."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        visitor = gr.BrowserState(storage_key="editlab-visitor", secret="editlab")
        gr.HTML(_head(lab.about()), elem_id="head", apply_default_css=False)
        with gr.Tabs() as tabs:
            with gr.Tab("Edit", id="edit"):
                parts = create_edit_tab(page, lab, visitor)
            with gr.Tab("Keys", id="keys") as keys:
                create_keys_tab(keys, lab, parts)
            with gr.Tab("Inside", id="inside") as inside:
                create_inside_tab(inside, lab, parts)
        page.load(_opened, outputs=tabs, show_progress="hidden", api_visibility="private")
    page.queue(max_size=MOST_EVENTS, api_open=False)
    return page


def create_app(lab: Lab) -> FastAPI:
    """The page at `/` and `GET /health`, which answers 200 as long as the model can be asked."""
    app = FastAPI(title=TITLE, **NO_DOCS)

    @app.get("/health")
    def health(response: Response) -> dict[str, str]:
        if lab.worker.alive:
            return {"status": "ok"}
        response.status_code = 503
        return {"status": "the model's worker has ended"}

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
        max_file_size="5mb",
    )


def _opened(request: gr.Request) -> dict[str, Any]:
    """The tab that the address names, or the first one."""
    wanted = request.query_params.get("tab")
    return gr.update(selected=wanted if wanted in TABS else TABS[0])


def _head(about: dict[str, Any]) -> str:
    size = about["parameters"]
    count = f"{size / 1e9:.1f} billion" if size >= 1e9 else f"{size / 1e6:.1f} million"
    facts = f"{about['family']}, {about['layers']} layers, {count} parameters, on {about['device']}"
    return Markup(
        "<header><h1>EditLab</h1><p>Change what a language model believes, and see what else moves.</p>"
        '<p class="model"><b>{}</b> {}</p></header>'
    ).format(about["model"], facts)
