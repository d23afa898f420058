"""The gate of REP: how far it opens at each token of a text, and what the probes score at each threshold.

Colour is never alone: a token that opens a gate says so, and the figure has a table below it.
"""

from __future__ import annotations

from markupsafe import Markup
from pandas import DataFrame

from editlab.figures.gate import Panel
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.names import kind_name
from editlab.web.core.wording import number, share
from editlab.web.edit import words

SHOWN_TOKENS = 32
"""Most tokens of a text that are shown; of a longer one the last, and those that open a gate."""
PANELS = ("success", "locality", "same_subject", "rephrase", "shuffle", "long")
DOMAINS = {"": "", "_in": "in", "_out": "out"}


def at_prompt(gates: DataFrame) -> Markup:
    """Return the gate at each token of the edited prompt, and a sentence where it stays closed."""
    closed = gates.empty or not gates["fires"].any()
    return tokens(gates, _("Gate at each token of the edited prompt")) + pieces.message(
        _(words.GATE_CLOSED) if closed else "", "hint"
    )


def tokens(gates: DataFrame, label: str) -> Markup:
    """Return each token with its gate as a shade, a number and, where it is above the threshold, a word."""
    if gates.empty:
        return Markup()
    rows = list(enumerate(gates.to_dict("records")))
    shown = [row for place, row in rows if place >= len(rows) - SHOWN_TOKENS or row["fires"]]
    chips = [
        {
            "token": row["token"],
            "opens": bool(row["fires"]),
            "shade": f"{100 * row['gate']:.0f}",
            "gate": words.gate(row["gate"]),
            "title": words.gate_of(row["subject"]),
        }
        for row in shown
    ]
    return render("edit/gate_tokens.html", label=label, hidden=len(rows) - len(shown), tokens=chips)


def panels(swept: DataFrame) -> list[Panel]:
    """Return the panels of the figure: the kinds of probes that were asked."""
    series = {kind: _series(kind, swept) for kind in PANELS}
    return [Panel(kind_name(kind), columns) for kind, columns in series.items() if columns]


def table(swept: DataFrame) -> Markup:
    """Return the scores at each threshold as a table."""
    columns = [(name, kind_name(kind, domain)) for kind in PANELS for name, domain in _series(kind, swept)]
    rows = [
        (number(row["threshold"], "g"), [share(row[name]) for name, title in columns], int(row["firing"]))
        for row in swept.to_dict("records")
    ]
    return render("edit/gate_table.html", titles=[title for name, title in columns], rows=rows)


def _series(kind: str, swept: DataFrame) -> list[tuple[str, str]]:
    """Return (column, domain) of a kind."""
    return [(f"{kind}{end}", domain) for end, domain in DOMAINS.items() if f"{kind}{end}" in swept]
