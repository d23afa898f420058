"""How sure the gate must be: a threshold, what it does to this edit's probes, and the gate at every token of a text.

Colour is never alone: a token that opens a gate says so, and the curve has a table beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab.web.edit.probe_table import kind_name

CURVE_TO_COME = Markup('<p class="hint">The curve is drawn as soon as the probes have been asked.</p>')
SHOWN_TOKENS = 32
"""Most tokens of a text that are shown; of a longer one the last, and those that open a gate."""
PANELS = ("success", "locality", "same_subject", "rephrase", "shuffle", "long")
DOMAINS = {"": "", "_in": "in", "_out": "out"}
WIDTH, HEIGHT = 200, 84
LEFT, RIGHT, TOP, BOTTOM = 26, 4, 6, 16
"""Around the plot, in its own units."""


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


def curve(swept: DataFrame, threshold: float, now: Mapping[str, float]) -> str:
    """The probes' rates over all thresholds, a small plot a kind, where they stand now marked; and all of it as a table.

    `swept` as `Workspace.sweep` gives it, `now`: the rates at the current threshold, by the names of its columns.
    """
    plots = Markup("").join(_panel(kind, swept, threshold, now) for kind in PANELS if _series(kind, swept))
    return Markup(
        '<div class="curves">{}</div><p class="key"><span class="in">in-domain or the only one</span>'
        '<span class="out">out-of-domain</span><span class="now">the threshold now</span></p>{}'
    ).format(plots, _table(swept))


def _series(kind: str, swept: DataFrame) -> list[tuple[str, str]]:
    """(column, domain) of a kind."""
    return [(f"{kind}{end}", domain) for end, domain in DOMAINS.items() if f"{kind}{end}" in swept]


def _panel(kind: str, swept: DataFrame, threshold: float, now: Mapping[str, float]) -> Markup:
    series = _series(kind, swept)
    lines = Markup("").join(
        Markup('<polyline class="{}" points="{}"/>').format(
            domain or "in",
            " ".join(f"{_x(t):.1f},{_y(rate):.1f}" for t, rate in zip(swept.threshold, swept[name], strict=True)),
        )
        for name, domain in series
    )
    marks = Markup("").join(
        Markup('<circle class="{}" cx="{}" cy="{}" r="4"/>').format(
            domain or "in", f"{_x(threshold):.1f}", f"{_y(now[name]):.1f}"
        )
        for name, domain in series
        if name in now
    )
    values = ", ".join(f"{domain} {100 * now[name]:.0f} %".strip() for name, domain in series if name in now)
    grid = Markup("").join(
        Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" class="y">{}</text>').format(
            LEFT, WIDTH - RIGHT, f"{_y(rate):.1f}", f"{_y(rate):.1f}", LEFT - 4, f"{_y(rate) + 3.5:.1f}", word
        )
        for rate, word in ((0.0, "0"), (0.5, "50"), (1.0, "100"))
    )
    ticks = Markup("").join(
        Markup('<text x="{}" y="{}" class="x">{}</text>').format(f"{_x(t):.1f}", HEIGHT - 3, f"{t:g}") for t in (0, 0.5, 1)
    )
    return Markup(
        '<figure><figcaption>{} <b>{}</b></figcaption><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}'
        '<line class="at" x1="{}" x2="{}" y1="{}" y2="{}"/>{}{}</svg></figure>'
    ).format(
        kind_name(kind),
        values,
        WIDTH,
        HEIGHT,
        f"{kind_name(kind)} over the threshold; now {values or 'not asked'} at {number(threshold)}",
        grid,
        ticks,
        f"{_x(threshold):.1f}",
        f"{_x(threshold):.1f}",
        TOP,
        HEIGHT - BOTTOM,
        lines,
        marks,
    )


def _table(swept: DataFrame) -> Markup:
    columns = [(name, kind_name(kind, domain)) for kind in PANELS for name, domain in _series(kind, swept)]
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(title) for _, title in columns)
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}<td>{}</td></tr>').format(
            f"{row['threshold']:g}",
            Markup("").join(Markup("<td>{}</td>").format(f"{100 * row[name]:.0f} %") for name, _ in columns),
            int(row["firing"]),
        )
        for row in swept.to_dict("records")
    )
    return Markup(
        '<details class="numbers"><summary>The curve as a table</summary><div tabindex="0" role="region" '
        'aria-label="The curve as a table"><table><thead><tr><th scope="col">Threshold</th>{}<th scope="col">Questions with '
        "an open gate</th></tr></thead><tbody>{}</tbody></table></div></details>"
    ).format(heads, rows)


def number(value: float) -> str:
    """A gate or a threshold, 0 to 1, in two digits that never round up to one or down to nothing."""
    if 0 < value < 0.005:
        return "< 0.01"
    return f"{value:.2f}" if value < 0.995 or value == 1 else "> 0.99"


def _x(threshold: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * threshold


def _y(rate: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate
