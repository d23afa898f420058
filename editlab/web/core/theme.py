"""How the page looks: system fonts, one accent, light and dark. Nothing is fetched from another host."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from editlab import figures
from editlab.web.core.language import language, of_scripts
from editlab.web.core.names import VIEW_TITLES

STYLES = (Path(__file__).with_name("style.css"), Path(__file__).with_name("stage.css"))
SCRIPTS = (Path(__file__).with_name("page.js"), Path(__file__).with_name("presenter.js"))

SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def choice_styles() -> str:
    """Return the rules for what a choice shows: one view's column alone, and views that are there."""
    only = '.gradio-container:has(#view input[value="{0}"]:checked) .columns:has(> .{0}) > .answer:not(.{0})'
    choice = '.gradio-container:not(:has(#answer-{0})) #view label:has(input[value="{0}"])'
    rules = [*(only.format(view) for view in VIEW_TITLES), *(choice.format(view) for view in VIEW_TITLES)]
    return "\n".join(f"{rule} {{ display: none; }}" for rule in rules)


def script() -> str:
    """Return the page's scripts in the language of the visit, with the one that saves figures.

    In them, `_("Log in")` is a message as it is in Python.
    """
    page, presenter, save = (path.read_text(encoding="utf-8") for path in (*SCRIPTS, figures.SAVE))
    texts = json.dumps(of_scripts())
    spoken = f"const language = {json.dumps(language())}, texts = {texts}, _ = (text) => texts[text] ?? text;"
    return f"() => {{\n{spoken}\n({page})();\n({presenter})();\nconst element = document;\n{save}}}"


def create_theme() -> gr.themes.Base:
    """The theme; the colours of the page's own parts stand in `style.css` under the names used here."""
    return gr.themes.Base(primary_hue="indigo", neutral_hue="slate", radius_size="lg", font=SANS, font_mono=MONO).set(
        color_accent="var(--lab-accent)",
        body_background_fill="var(--lab-paper)",
        body_background_fill_dark="var(--lab-paper)",
        body_text_color="var(--lab-ink)",
        body_text_color_dark="var(--lab-ink)",
        body_text_color_subdued="var(--lab-quiet)",
        body_text_color_subdued_dark="var(--lab-quiet)",
        block_background_fill="var(--lab-card)",
        block_background_fill_dark="var(--lab-card)",
        block_border_color="var(--lab-line)",
        block_border_color_dark="var(--lab-line)",
        block_label_text_color="var(--lab-quiet)",
        block_label_text_color_dark="var(--lab-quiet)",
        block_title_text_color="var(--lab-ink)",
        block_title_text_color_dark="var(--lab-ink)",
        block_info_text_color="var(--lab-quiet)",
        block_info_text_color_dark="var(--lab-quiet)",
        input_background_fill="var(--lab-paper)",
        input_background_fill_dark="var(--lab-paper)",
        input_border_color="var(--lab-line-strong)",
        input_border_color_dark="var(--lab-line-strong)",
        input_placeholder_color="var(--lab-quiet)",
        input_placeholder_color_dark="var(--lab-quiet)",
        button_primary_background_fill="var(--lab-accent)",
        button_primary_background_fill_dark="var(--lab-accent)",
        button_primary_background_fill_hover="var(--lab-accent-strong)",
        button_primary_background_fill_hover_dark="var(--lab-accent-strong)",
        button_primary_text_color="var(--lab-on-accent)",
        button_primary_text_color_dark="var(--lab-on-accent)",
        button_secondary_background_fill="var(--lab-card)",
        button_secondary_background_fill_dark="var(--lab-card)",
        button_secondary_border_color="var(--lab-line-strong)",
        button_secondary_border_color_dark="var(--lab-line-strong)",
        button_secondary_text_color="var(--lab-ink)",
        button_secondary_text_color_dark="var(--lab-ink)",
        button_cancel_background_fill="var(--lab-card)",
        button_cancel_background_fill_dark="var(--lab-card)",
        button_cancel_border_color="var(--lab-line-strong)",
        button_cancel_border_color_dark="var(--lab-line-strong)",
        button_cancel_text_color="var(--lab-ink)",
        button_cancel_text_color_dark="var(--lab-ink)",
    )
