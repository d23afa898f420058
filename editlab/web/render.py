"""Answers, probes and figures as HTML. Every text of a visitor or of the model goes through `Markup`, which escapes it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import KINDS, EditRecord, judge, scores

CLAUSE_END = re.compile(r"[,;:\n]|(?<!\b[A-Z])\.(?:\s|$)")
LONGEST_HEADLINE = 48
LONGEST_PROBE = 160
GOOD = ("changed", "kept", "follows")
UNKNOWN = "not known"

VIEW_TITLES = {"base": "Base model", "edited": "Edited model"}
WORDS = {"same_subject": "Same subject", "long": "Long context"}

HEALTH = {
    "p_new": ("p(new)", "How likely the new object is at the edited prompt now. Near 100 %: the fact is written."),
    "loss": ("Loss", "What was left to optimise when the search for the new value ended. Near 0: the model gave in."),
    "steps": ("Steps", "How long that search took. It ends early once the loss is small enough."),
    "relative_norm": ("|ΔW| / |W|", "Size of the edit against the matrix over which it lies. Small means gentle."),
    "divisor": ("Divisor", "How strongly the edit's key answers to its own direction. Near 0, an edit would explode."),
    "share": ("Share", "How much of the edit the bare prompt hears. 1 is all of it; far from 1 it misses or overshoots."),
    "whitened": ("Spares other keys", "Whether statistics of the model's own keys kept the edit out of their way."),
    "seconds": ("Seconds", "From the start of the computation to the finished edit."),
}


def percent(p: float | None) -> str:
    """A probability as people read it; tiny ones say that they are."""
    if p is None or math.isnan(p):
        return "–"
    if p < 0.0001:
        return "< 0.01 %"
    return f"{100 * p:.0f} %" if p >= 0.0995 else f"{100 * p:.2g} %"


def question(request: EditRequest) -> str:
    """The prompt with its subject marked, as the headline over both answers."""
    before, _, after = request.prompt.partition("{}")
    return Markup('<p class="question">{}<mark>{}</mark>{} …</p>').format(before, request.subject, after)


def answer(view: str, request: EditRequest, said: Mapping[str, Any] | None) -> str:
    """One view's card: its likeliest answer, the five likeliest tokens as bars, both objects, the continuation."""
    if said is None:
        return _empty_card(view)
    objects = Markup("").join(
        Markup("<div><dt>p({})</dt><dd>{}</dd></div>").format(name, percent(said[key]))
        for name, key in ((request.target_new, "p_new"), (request.target_true, "p_true"))
        if name is not None
    )
    return Markup(
        '<section class="answer {}"><h2>{}</h2><p class="said">{}</p>{}<dl class="objects">{}</dl>'
        '<p class="text"><span>{}</span> {}</p></section>'
    ).format(
        view,
        VIEW_TITLES[view],
        headline(said["text"]),
        _bars(request, said["top"]),
        objects,
        request.text,
        said["text"].strip(),
    )


def _empty_card(view: str) -> str:
    hint = "Nothing is edited yet. Press “Apply edit”: the new answer will stand here, next to the old one."
    return Markup('<section class="answer {} empty"><h2>{}</h2><p class="hint">{}</p></section>').format(
        view, VIEW_TITLES[view], hint
    )


def headline(text: str) -> str:
    """A continuation up to the end of its first clause, short enough to be set large."""
    text = text.strip()
    clause = CLAUSE_END.split(text, maxsplit=1)[0].strip() or text
    return shortened(clause, LONGEST_HEADLINE) or "(nothing)"


def shortened(text: str, most: int) -> str:
    """A text cut at its end, with an ellipsis where something is missing."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _bars(request: EditRequest, top: Sequence[Sequence[Any]]) -> Markup:
    rows = Markup("").join(
        Markup(
            '<li class="{}"><span class="token">{}</span>'
            '<span class="bar" aria-hidden="true"><i style="width:{}%"></i></span>'
            '<span class="p">{}</span><span class="which">{}</span></li>'
        ).format(which, visible(token), f"{100 * p:.2f}", percent(p), which)
        for token, p in top
        for which in [_which(request, token)]
    )
    return Markup('<ol class="bars" aria-label="Likeliest next tokens">{}</ol>').format(rows)


def visible(token: str) -> str:
    """A token that can be seen even where it is white space."""
    return token.strip() or token.replace(" ", "␣").replace("\n", "↵") or "(empty)"


def _which(request: EditRequest, token: str) -> str:
    """Whether a token begins the new or the old object."""
    token = token.strip()
    for which, name in (("new", request.target_new), ("old", request.target_true)):
        if token and name is not None and name.startswith(token):
            return which
    return ""


def asked(text: str, answers: Mapping[str, str] | None) -> str:
    """A visitor's own text as each view continues it."""
    if answers is None:
        return ""
    cards = Markup("").join(
        Markup('<section class="answer {}"><h2>{}</h2><p class="text"><span>{}</span> {}</p></section>').format(
            view, VIEW_TITLES[view], text, answers[view].strip() or "(nothing)"
        )
        for view in answers
    )
    same = len(answers) > 1 and len(set(answers.values())) == 1
    note = Markup('<p class="hint">Both continue it in the same way.</p>') if same else ""
    return Markup('<div class="pair">{}</div>{}').format(cards, note)


def score_line(frame: DataFrame | None) -> str:
    """Each kind of probe: how often the edited model did what a good edit does, and what was asked."""
    if frame is None:
        return ""
    rates = scores(frame, "edited")
    counts = frame["kind"].value_counts()
    tiles = Markup("").join(
        Markup("<div><dt>{}</dt><dd><b>{}</b><span>{}</span></dd></div>").format(*tile, f"{meaning} ({counts[kind]} asked)")
        for kind, meaning in KINDS.items()
        if (tile := _tile(kind, rates))
    )
    return Markup('<dl class="scores">{}</dl>').format(tiles)


def _tile(kind: str, rates: Mapping[str, float]) -> tuple[str, str] | None:
    """Name and rate of a kind, or its rate in each domain; None where it was not asked."""
    if kind in rates:
        return kind_name(kind), f"{100 * rates[kind]:.0f} %"
    halves = {domain: f"{100 * rates[key]:.0f}" for domain in ("in", "out") if (key := f"{kind}_{domain}") in rates}
    return (f"{kind_name(kind)}, {' / '.join(halves)}", f"{' / '.join(halves.values())} %") if halves else None


def kind_name(kind: str, domain: str = "") -> str:
    """A kind of probe as a person says it, with its domain where it has one."""
    return WORDS.get(kind, kind.capitalize()) + (f" ({domain})" if domain else "")


TABLE_NOTE = (
    "Every probe, asked before and after. “In” is the half of a kind from which an adaptor may learn, "
    "“out” the half it never sees."
)
PROBE_COLUMNS = ("Kind", "Probe", "Base answers", "Edited answers", "Verdict", "p(new)")


def probe_table(frame: DataFrame | None) -> str:
    """Every probe with both answers and a verdict that colour alone does not carry."""
    if frame is None:
        return Markup('<p class="hint">After an edit, every question around it is asked here: before, and now.</p>')
    head = Markup("").join(Markup('<th scope="col" role="columnheader">{}</th>').format(name) for name in PROBE_COLUMNS)
    body = Markup("").join(_probe_row(row) for row in frame.to_dict("records"))
    return Markup(
        '<table role="table"><caption>{}</caption><thead role="rowgroup">'
        '<tr role="row">{}</tr></thead><tbody role="rowgroup">{}</tbody></table>'
    ).format(TABLE_NOTE, head, body)


def _probe_row(row: Mapping[str, Any]) -> Markup:
    word = judge(row["kind"], row, "edited")
    mark, tone = ("–", "open") if word == UNKNOWN else ("✓", "good") if word in GOOD else ("✗", "bad")
    verdict = Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(tone, mark, word)
    cells = (
        kind_name(row["kind"], row["domain"]),
        _probe_text(row["text"], row["subject"]),
        row["base.answer"],
        row["edited.answer"],
        verdict,
        percent(row["edited.p_new"]),
    )
    return Markup('<tr role="row">{}</tr>').format(
        Markup("").join(
            Markup('<td role="cell" data-label="{}">{}</td>').format(label, cell)
            for label, cell in zip(PROBE_COLUMNS, cells, strict=True)
        )
    )


def _probe_text(text: str, subject: str) -> Markup:
    """A probe with its subject marked; of a long one the end, where the question stands, and the rest to be opened."""
    tail = text if len(text) <= LONGEST_PROBE else text[-LONGEST_PROBE:].partition(" ")[2]
    before, found, after = tail.rpartition(subject) if subject else ("", "", tail)
    shown = Markup("{}<mark>{}</mark>{}").format(before, found, after) if found else Markup("{}").format(tail)
    if len(tail) == len(text):
        return shown
    words = len(text[: -len(tail)].split())
    return Markup("<details><summary>{} words before</summary>{}</details>… {}").format(words, text[: -len(tail)], shown)


def health(record: EditRecord | None) -> str:
    """What is known about how an edit was made, each figure with its meaning."""
    if record is None:
        return Markup('<p class="hint">Apply an edit to see how it was made.</p>')
    rows = Markup("").join(
        Markup("<div><dt>{}</dt><dd><b>{}</b><span>{}</span></dd></div>").format(
            name, figure(key, record.health[key]), meaning
        )
        for key, (name, meaning) in HEALTH.items()
        if key in record.health
    )
    layers = ", ".join(map(str, record.layers))
    title = Markup('<p class="hint">{} at layer {}, on “{}”.</p>').format(record.method.upper(), layers, record.request.text)
    return Markup('{}<dl class="scores">{}</dl>').format(title, rows)


def figure(key: str, value: float) -> str:
    """A figure of an edit's health in the form that suits it."""
    if key == "p_new":
        return percent(value)
    if key == "whitened":
        return "yes" if value else "no"
    return f"{value:.0f}" if key == "steps" else f"{value:.3g}"


def edits(records: Iterable[EditRecord]) -> str:
    """The stack of edits, in the order in which they were laid."""
    rows = Markup("").join(
        Markup("<li>{} <b>{}</b> <span>{}</span></li>").format(r.request.text, r.request.target_new, r.method.upper())
        for r in records
    )
    if not rows:
        return Markup('<p class="hint">No edit lies over the model.</p>')
    return Markup('<h2>Edits over the model</h2><ol class="edits">{}</ol>').format(rows)


def message(text: str, tone: str = "note", fraction: float | None = None) -> str:
    """A sentence for the visitor: a `note`, a `problem`, or how far a job is."""
    bar = (
        ""
        if fraction is None
        else Markup('<progress max="1" value="{}" aria-label="Progress"></progress>').format(f"{fraction:.3f}")
    )
    return Markup('<p class="{}">{}</p>{}').format(tone, text, bar)


def say(text: str) -> str:
    """The presenter's sentence."""
    return Markup('<p class="say">{}</p>').format(text)
