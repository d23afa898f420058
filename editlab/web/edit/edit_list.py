"""The list of the workspace's edits, and how the latest of them was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from editlab.lab import HEALTH, EditRecord, health_value, warnings
from editlab.lab.ledger.events import name_of
from editlab.web.core.engine import said
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.edit import words

SHOWN_ROWS = 100
"""Rows of a batch that are listed at most."""


def edits(records: Sequence[EditRecord]) -> Markup:
    """Return every edit with its switches and a button to remove it. An edit that is off stays in the list."""
    if not records:
        return pieces.message(_(words.NO_EDITS), "hint")
    rows = [(edit, words.how_made(edit), words.rep_button(edit), _wrong(edit), batch(edit)) for edit in records]
    return render("edit/edits.html", edits=rows)


def batch(record: EditRecord) -> dict[str, Any] | None:
    """Return the rows of a batch, those that did not take first; None for a single edit."""
    if not record.more:
        return None
    missed, known = frozenset(record.missed), words.rows_are_known(record)
    places = sorted(range(len(record.requests)), key=lambda place: (place not in missed, place))[:SHOWN_ROWS]
    return {
        "said": words.batch(record),
        "rows": [(place, name_of(record.requests[place]), place not in missed if known else None) for place in places],
        "left": len(record.requests) - len(places),
    }


def cautions(record: EditRecord | None) -> Markup:
    """Return what is wrong with an edit, and what to do; nothing where all is well or there is no edit."""
    return render("edit/warnings.html", warnings=[] if record is None else _wrong(record))


def _wrong(record: EditRecord) -> list[str]:
    return [said(warning) for warning in warnings(record.health)]


def health(record: EditRecord | None) -> Markup:
    """Return the numbers of how an edit was made, each with its meaning."""
    if record is None:
        return pieces.message(_(words.NO_HEALTH), "hint")
    rows = [
        (_(name), _(health_value(key, record.health[key])), _(meaning))
        for key, (name, meaning) in HEALTH.items()
        if key in record.health
    ]
    return render("edit/health.html", title=words.health_title(record), rows=rows)
