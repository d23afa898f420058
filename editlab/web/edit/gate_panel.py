"""How sure the gate must be: a threshold, what it does to this edit's probes, and the gate at every token of a text.

Colour is never alone: a token that opens a gate says so, and the figure has a table below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab import wording
from editlab.figures.gate import Panel
from editlab.web.core.html import render
from editlab.web.core.names import kind_name

TO_COME = Markup('<p class="hint">The figure is drawn as soon as the probes have been asked.</p>')
SHOWN_TOKENS = 32
"""Most tokens of a text that are shown; of a longer one the last, and those that open a gate."""
PANELS = ("success", "locality", "same_subject", "rephrase", "shuffle", "long")
DOMAINS = {"": "", "_in": "in", "_out": "out"}


def sentence(threshold: float, largest: Sequence[float]) -> str:
    """What the threshold does, in words. `largest`: the largest gate at each question of the battery."""
    opened = sum(gate > threshold for gate in largest)
    if opened:
        told = (
            f"Above {number(threshold)} a gate opens in {opened} of {len(largest)} questions; elsewhere the edit is alone."
        )
    else:
        most = f" The largest one is {number(max(largest))}." if largest else ""
        told = f"At {number(threshold)} no gate opens: this is the edit without REP. Move it to the left.{most}"
    return Markup('<p class="{}">{}</p>').format("hint" if opened else "hint closed", told)


def at_prompt(gates: DataFrame) -> str:
    """The gate at every token of the edited prompt, and why it may stay shut there."""
    shut = gates.empty or not gates["fires"].any()
    why = "None opens here: the edit hears its own words without help." if shut else ""
    return Markup('{}<p class="hint">{}</p>').format(tokens(gates, "Gate at each token of the edited prompt"), why)


def tokens(gates: DataFrame, label: str = "Gate at each token") -> str:
    """Each token with its gate as a shade, a number and, where it is above the threshold, a word."""
    if gates.empty:
        return ""
    rows = list(enumerate(gates.to_dict("records")))
    shown = [(place, row) for place, row in rows if place >= len(rows) - SHOWN_TOKENS or row["fires"]]
    left = len(rows) - len(shown)
    hidden = Markup('<li class="rest">{}</li>').format(f"… {left} more, all closed") if left else ""
    chips = Markup("").join(_chip(row) for _, row in shown)
    return Markup('<p class="hint">{}:</p><ol class="gates" aria-label="{}">{}{}</ol>').format(label, label, hidden, chips)


def _chip(row: Mapping[str, Any]) -> Markup:
    word = "opens" if row["fires"] else ""
    return Markup('<li class="{}" style="--gate:{}%" title="{}"><b>{}</b><span>{}</span><i>{}</i></li>').format(
        word,
        f"{100 * row['gate']:.0f}",
        f"How much this token looks like {row['subject']}" if row["subject"] else "No pathway lies here",
        row["token"],
        number(row["gate"]),
        word,
    )


def panels(swept: DataFrame) -> list[Panel]:
    """Return the panels of the figure: the kinds of probes that were asked."""
    found = {kind: _series(kind, swept) for kind in PANELS}
    return [Panel(kind_name(kind), series) for kind, series in found.items() if series]


def table(swept: DataFrame) -> Markup:
    """Return the scores at each threshold as a table."""
    columns = [(name, kind_name(kind, domain)) for kind in PANELS for name, domain in _series(kind, swept)]
    rows = [
        (f"{row['threshold']:g}", [wording.share(row[name]) for name, _ in columns], int(row["firing"]))
        for row in swept.to_dict("records")
    ]
    return render("edit/gate_table.html", titles=[title for _, title in columns], rows=rows)


def _series(kind: str, swept: DataFrame) -> list[tuple[str, str]]:
    """Return (column, domain) of a kind."""
    return [(f"{kind}{end}", domain) for end, domain in DOMAINS.items() if f"{kind}{end}" in swept]


def number(value: float) -> str:
    """A gate or a threshold, 0 to 1, in two digits that never round up to one or down to nothing."""
    if 0 < value < 0.005:
        return "< 0.01"
    return f"{value:.2f}" if value < 0.995 or value == 1 else "> 0.99"
