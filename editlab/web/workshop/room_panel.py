"""The presenter's panel: a form that opens a workshop, the link with its code, who is there, and what they guess."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.lab.workshops import HOURS, MOST
from editlab.web.core.components import Parts
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.wiring import on
from editlab.web.workshop import room_words as words
from editlab.web.workshop.room_handlers import Hours, Most, RoomHandlers, Title


def create_chart(parts: Parts) -> None:
    """Make the place on the stage where the guesses are drawn."""
    parts.html("room-guesses", scripts=["pressed", "room_look"])


def create_room(tab: gr.Tab, lab: Lab, others: Parts) -> None:
    """Build the panel and wire it. `others`: the parts of the stage, with the chart."""
    parts = Parts({name: others[name] for name in ("visitor", "room-guesses")})
    with gr.Accordion(_(words.TITLE), open=False, elem_id="room"):
        gr.HTML(pieces.message(_(words.LEAD), "hint"), apply_default_css=False)
        parts.html("room-door", scripts=["pressed", "room_full"])
        with gr.Row(elem_classes="key-row", equal_height=False, elem_id="room-form"):
            parts.text("room-title", Title, label=_("Title"), value=_("Workshop"), min_width=200)
            parts.number("room-hours", Hours, label=_("Open for, hours"), value=int(HOURS), min_width=130)
            parts.number("room-most", Most, label=_("Participants at most"), value=MOST, min_width=130)
            parts.button("room-begin", _("Open a workshop"), variant="primary", min_width=160)
        parts["progress"] = parts["message"] = parts.html("room-message", scripts=["live"])
        parts.html("room-people", scripts=["pressed"])
    handlers = RoomHandlers(lab)
    wire = partial(on, parts)
    wire(tab.select, handlers.room_open)
    wire(parts["room-begin"].click, handlers.room_begin)
    pressed = [parts[name].select for name in ("room-door", "room-people", "room-guesses")]
    wire(pressed, handlers.room_press, trigger_mode="multiple")
