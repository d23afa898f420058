"""The tables of the Workspace tab: its edits, how they were, what another chain has, and the jobs.

Every text of a person or of the model goes through `Markup`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from editlab.facts import EditRequest
from editlab.lab import EditRecord, JobRow, Report
from editlab.web.core import render
from editlab.web.workspace import words
from editlab.web.workspace.rooms import when

NONE = Markup('<p class="hint">No edit is in this workspace yet. Apply one on the Edit tab.</p>')
Scores = Mapping[str, tuple[float | None, float | None]]
"""For an edit's id the share of its prompts that held when it was made, and that hold now."""
BARS = ["When made", "Now"]
SAID = {"then": "Then", "now": "Now", "here": "Here", "there": "There"}


def edits(records: Sequence[EditRecord], scores: Scores) -> str:
    """Every edit in order with all that is known of it, and what can be done to it."""
    if not records:
        return NONE
    authors, reasons = any(record.author for record in records), any(record.reason for record in records)
    heads = ["On", "Edit", "Method", *["Author"] * authors, "When", *["Why"] * reasons, "REP"]
    heads += BARS if scores else []
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in heads)
    head += Markup("").join(
        Markup('<th scope="col"><span class="hidden">{}</span></th>').format(name) for name in ("Order", "Remove")
    )
    last = len(records) - 1
    rows = Markup("").join(
        _row(record, place, last, scores.get(record.id) if scores else None, bool(scores), authors, reasons)
        for place, record in enumerate(records)
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="The edits of this workspace"><table><thead><tr>{}</tr>'
        "</thead><tbody>{}</tbody></table></div>"
    ).format(head, rows)


def _row(
    record: EditRecord,
    place: int,
    last: int,
    score: tuple[float | None, float | None] | None,
    scored: bool,
    authors: bool,
    reasons: bool,
) -> Markup:
    name, id = record.name, record.id
    cells = [
        Markup(
            '<button type="button" role="switch" aria-checked="{}" aria-label="{}" data-press="switch" data-edit="{}">'
            "<i></i></button>"
        ).format("true" if record.on else "false", name, id),
        _question(record),
        record.method.upper(),
        *[record.author or "–"] * authors,
        when(record.at),
        *[Markup('<span class="why">{}</span>').format(record.reason)] * reasons,
        _rep(record),
        *([_bar(part, title) for part, title in zip(score or (None, None), BARS, strict=True)] if scored else ()),
        Markup('<span class="order">{}{}</span>').format(
            _button("up", record, f"Move {name} up", "↑", place == 0),
            _button("down", record, f"Move {name} down", "↓", place == last),
        ),
        _button("remove", record, f"Remove {name}", "✕"),
    ]
    first, edit, *rest = (Markup("<td>{}</td>").format(cell) for cell in cells)
    edit = Markup('<th scope="row">{}</th>').format(edit[4:-5])
    return Markup('<tr class="{}">{}{}{}</tr>').format("on" if record.on else "off", first, edit, Markup("").join(rest))


def _question(record: EditRecord) -> Markup:
    """What was asked, as a button that leads to it on the Edit tab."""
    return Markup(
        '<button type="button" class="look" data-press="look" data-edit="{}" title="Look at it on the Edit tab">{}</button>'
    ).format(record.id, _asked(record.request, len(record.more)))


def _asked(request: EditRequest, more: int = 0) -> Markup:
    before, _, after = request.prompt.partition("{}")
    old = Markup("<s>{}</s> → ").format(request.target_true) if request.target_true else Markup("→ ")
    rest = Markup(" <small>and {} more</small>").format(f"{more:,}") if more else ""
    return Markup("<span>{}<mark>{}</mark>{} …</span> <span>{}<b>{}</b>{}</span>").format(
        before, request.subject, after, old, request.target_new, rest
    )


def _rep(record: EditRecord) -> Markup:
    if record.more:
        return Markup("–")
    on = "true" if record.rep and record.rep_on else "false"
    return Markup(
        '<button type="button" class="rep" aria-pressed="{}" aria-label="REP for {}" data-press="rep" data-edit="{}">REP'
        "</button>"
    ).format(on, record.name, record.id)


def _button(press: str, record: EditRecord, label: str, sign: str, disabled: bool = False) -> Markup:
    return Markup('<button type="button" class="{}" data-press="{}" data-edit="{}" aria-label="{}"{}>{}</button>').format(
        press, press, record.id, label, Markup(" disabled") if disabled else "", sign
    )


def _bar(share: float | None, title: str) -> Markup:
    said = words.score(share)
    if share is None:
        return Markup('<span class="hint" data-title="{}">{}</span>').format(title, said)
    bar = Markup('<span class="share" data-title="{}"><i style="width:{}%"></i></span> {}')
    return bar.format(title, f"{100 * share:.0f}", said)


def were(records: Sequence[EditRecord]) -> str:
    """The edits as they lay at a moment."""
    if not records:
        return Markup('<p class="hint">Then, no edit lay over the model.</p>')
    rows = Markup("").join(
        Markup('<li class="{}">{}{}</li>').format(
            "on" if record.on else "off", _asked(record.request, len(record.more)), "" if record.on else " (off)"
        )
        for record in records
    )
    return Markup('<ol class="were" tabindex="0" aria-label="The edits as they were">{}</ol>').format(rows)


def answers(text: str, said: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str] = SAID) -> str:
    """One text continued at two standings, side by side."""
    columns = Markup("").join(
        Markup(
            '<section class="answer {}" aria-label="{}"><h3>{}</h3><p class="said">{}</p>{}<p class="text"><span>{}</span>{}'
            "</p></section>"
        ).format(
            "base" if place == 0 else "",
            titles[name],
            titles[name],
            _answer(own),
            render.bars(None, own.get("top") or ()),
            f"{text} ",
            (own.get("text") or "").strip(),
        )
        for place, (name, own) in enumerate(said.items())
    )
    return Markup('<div class="columns">{}</div>').format(columns)


def _answer(said: Mapping[str, Any]) -> str:
    text = said.get("text") or ""
    return render.headline(text if text.strip() else render.visible(said["top"][0][0]) if said.get("top") else "…")


def differences(rows: Sequence[tuple[EditRequest, bool, bool]], name: str) -> str:
    """Requests that are on in both chains, here alone, or there alone."""
    groups = [
        ("In both", [request for request, here, there in rows if here and there]),
        ("Only here", [request for request, here, there in rows if here and not there]),
        (f"Only in {name}", [request for request, here, there in rows if there and not here]),
    ]
    both, here, there = (len(requests) for _, requests in groups)
    columns = Markup("").join(
        Markup("<section><h3>{} ({})</h3><ul>{}</ul></section>").format(
            title, len(requests), Markup("").join(Markup("<li>{}</li>").format(_asked(request)) for request in requests)
        )
        for title, requests in groups
    )
    said = Markup('<p class="finding">{}</p>').format(words.compared(both, here, there, name))
    return Markup('{}<div class="differences" tabindex="0" role="region" aria-label="Differences">{}</div>').format(
        said, columns
    )


def verified(report: Report, faults: Sequence[str]) -> str:
    """The result of a check, with what is wrong."""
    said = Markup('<p class="{}">{}</p>').format("finding" if report.ok else "problem", words.verified(report))
    found = Markup("").join(Markup("<li>{}</li>").format(fault) for fault in faults)
    return Markup("{}<ul>{}</ul>").format(said, found) if faults else said


def jobs(rows: Sequence[JobRow], offered: Collection[str] = ()) -> str:
    """What runs, waits and ran last, newest first; `offered`: the names of files that can be taken."""
    if not rows:
        return Markup('<p class="hint">Nothing has run here yet.</p>')
    items = Markup("").join(_job(row, row.result.get("download") in offered) for row in rows)
    return Markup('<ol class="jobs" tabindex="0" aria-label="Jobs">{}</ol>').format(items)


def _job(row: JobRow, offered: bool) -> Markup:
    is_open = row.state in ("waiting", "running")
    bar = (
        Markup('<progress max="1" value="{}" aria-label="Progress of {}"></progress>').format(
            f"{row.fraction:.3f}", row.title
        )
        if is_open
        else ""
    )
    press = Markup('<button type="button" data-press="{}" data-job="{}" aria-label="{} {}">{}</button>')
    buttons = press.format("cancel", row.id, "Stop", row.title, "Stop") if is_open else Markup("")
    if row.resumable:
        buttons += press.format("resume", row.id, "Resume", row.title, "Resume")
    if offered:
        buttons += link(row.result["download"], "Download")
    return Markup(
        '<li class="{}"{}><span><b>{}</b> {}</span><span class="state">{}</span><span>{}{}</span>{}{}</li>'
    ).format(
        row.state,
        Markup(" data-open") if is_open else "",
        words.kind(row),
        row.title,
        words.job(row),
        f"{row.author}, " if row.author else "",
        when(row.ended_at or row.submitted_at),
        bar,
        buttons,
    )


def link(token: str, title: str) -> Markup:
    """A link to a file that was made for the visitor."""
    return Markup('<a class="download" href="exports/{}" download>{}</a>').format(token, title)
