"""The list of the workspace's edits, and how the latest of them was made."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from editlab.lab import EditRecord
from editlab.web.core.html import pieces, render
from editlab.web.edit import words


def edits(records: Sequence[EditRecord]) -> Markup:
    """Return every edit with its switches and a button to remove it. An edit that is off stays in the list."""
    if not records:
        return pieces.message(words.NO_EDITS, "hint")
    return render(
        "edit/edits.html", edits=[(record, words.how_made(record), words.rep_button(record)) for record in records]
    )


def health(record: EditRecord | None) -> Markup:
    """Return the numbers of how an edit was made, each with its meaning."""
    if record is None:
        return pieces.message(words.NO_HEALTH, "hint")
    rows = [
        (name, words.health_value(key, record.health[key]), meaning)
        for key, (name, meaning) in words.HEALTH.items()
        if key in record.health
    ]
    return render("edit/health.html", title=words.health_title(record), rows=rows)
