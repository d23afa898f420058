"""Everything that was asked around an edit: one line of scores, and a row a probe that opens to the full distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import CONTROL, KINDS, judge, judged, scores
from editlab.web.core import render

GOOD = ("changed", "kept", "follows")
UNKNOWN = "not known"
LONGEST_PROBE = 80
WORDS = {"same_subject": "Same subject", "long": "Long context"}
DOMAINS = {"": "your own lines", "in": "an adaptor may learn from its like", "out": "an adaptor never sees its like"}
FULL = 0.995
"""From here on a rate is shown as 100 %."""
NOT_ASKED = {
    "rephrase": "No other name of the subject is known: write the question with one under Own probes.",
    "shuffle": "The subject is a single token, which has no other order.",
    "long": "There is no text to stand before it: put prose into presets/texts.",
}
"""Why a kind of probe may be missing, and what to do."""
EMPTY = "After an edit, every question around it is asked: before, and now. How it did stands here."

OPENED = """
element.addEventListener("toggle", (event) => {
  const row = event.target;
  if (row.open && row.dataset.probe && !row.querySelector(".top")) trigger("expand", { ...row.dataset });
}, true);
watch("distribution", () => {
  const { probe, html } = props.distribution;
  const row = element.querySelector(`details[data-probe="${CSS.escape(probe)}"]`);
  const place = row?.querySelector(".distribution");
  if (place) place.innerHTML = html;
});
"""
"""A row that is opened asks for its distribution, which comes as a property of the table and is put into its place."""


def score_line(frame: DataFrame | None, asking: bool = False) -> str:
    """Each kind of probe: how often the edited model did what a good edit does. Its meaning comes on hover and focus.

    A kind that was not asked, or not yet, keeps its place, so that the line never moves.
    """
    if frame is None and not asking:
        return Markup('<p class="hint">{}</p>').format(EMPTY)
    views = [] if frame is None else _compared(views_of(frame))
    rates = [scores(frame, view) for view in views]
    counts = {} if frame is None else frame["kind"].value_counts()
    waiting = frame is None
    tiles = Markup("").join(
        _tile(kind, meaning, _rates(kind, rates), int(counts.get(kind, 0)), waiting, views)
        for kind, meaning in KINDS.items()
    )
    return Markup('<ul class="scores {}" aria-label="Scores">{}</ul>').format("pairs" * (len(views) > 1), tiles)


def _compared(views: list[str]) -> list[str]:
    """At most two views: the edit on its own, and what it is judged by, or else what the mask leaves of it."""
    edited = [view for view in views if view not in ("base", CONTROL)] or ["base"]
    return edited if len(edited) <= 2 else [edited[0], judged(edited)]


Rates = dict[str, list[float]]
"""For each domain of a kind ("" where it has none) the rate under each edited view, in their order."""


def _tile(kind: str, meaning: str, rates: Rates, asked: int, waiting: bool, views: list[str]) -> Markup:
    halves = len(rates) > 1 or any(rates)
    what = "; ".join(f"{domain or 'own'}: {DOMAINS[domain]}" for domain in rates if halves)
    none = f"None asked. {NOT_ASKED[kind]}" if kind in NOT_ASKED and not waiting else "None asked."
    told = f"{asked} asked{f'; {what}' if what else ''}." if asked else none
    order = f" Left of the arrow: {' → '.join(render.view_title(view) for view in views)}." if len(views) > 1 else ""
    place = views.index(judged(views)) if views else 0
    good = bool(rates) and all(own[place] >= FULL for own in rates.values())
    rows = Markup("").join(_rate(domain or "own" if halves else "", own) for domain, own in rates.items())
    return Markup(
        '<li><button type="button" class="score {}" aria-describedby="score-{}"><span>{}</span>{}</button>'
        '<span class="tip" role="tooltip" id="score-{}">{}</span></li>'
    ).format(
        "full" if good else "",
        kind,
        kind_name(kind),
        rows or Markup("<b>–</b>"),
        kind,
        f"{meaning[:1].upper()}{meaning[1:]}. {told}{order}",
    )


def _rate(domain: str, rates: list[float]) -> Markup:
    """One domain's rate; with two views what it was, an arrow, and what it is."""
    shown = " → ".join(f"{100 * rate:.0f}" for rate in rates)
    named = Markup("<i>{}</i> ").format(domain) if domain else ""
    return Markup('<b class="{}">{}{} %</b>').format("half" if domain else "", named, shown)


def _rates(kind: str, rates: list[dict[str, float]]) -> Rates:
    """A kind's rates in each of its domains."""
    names = {domain: f"{kind}_{domain}" if domain else kind for domain in ("", "in", "out")}
    return {domain: [own[name] for own in rates] for domain, name in names.items() if rates and name in rates[0]}


def kind_name(kind: str, domain: str = "") -> str:
    """A kind of probe as a person says it, with its domain where it has one."""
    return WORDS.get(kind, kind.capitalize()) + (f" ({domain})" if domain else "")


def probe_table(frame: DataFrame | None) -> str:
    """Every probe with the answer of each view and a verdict that colour alone does not carry.

    What the mask alone makes of a probe stands below what it makes of the edited model.
    """
    if frame is None:
        return ""
    views = views_of(frame)
    heads = ("Kind", "Probe", *(render.view_title(view) for view in views if view != CONTROL), "Verdict")
    head = Markup("").join(Markup("<span>{}</span>").format(name) for name in heads)
    rows = Markup("").join(_row(number, row, views) for number, row in enumerate(frame.to_dict("records")))
    return Markup(
        '<div class="probes" data-views="{}" style="--views:{}"><div class="heads" aria-hidden="true">{}</div>{}</div>'
    ).format(len(heads) - 3, len(heads) - 3, head, rows)


def views_of(frame: DataFrame) -> list[str]:
    """The views that were asked, in their order."""
    return [name.removesuffix(".answer") for name in frame.columns if name.endswith(".answer")]


def _row(number: int, row: Mapping[str, Any], views: list[str]) -> Markup:
    word, mark, tone = _verdict(row, judged(views))
    alone = _alone(row) if CONTROL in views else ""
    said = Markup("").join(
        Markup('<span class="said {}" title="{}"><span class="hidden">{}: </span>{}{}{}</span>').format(
            view,
            f"{render.view_title(view)}: p(new) {render.percent(row[f'{view}.p_new'])}, "
            f"p(old) {render.percent(row[f'{view}.p_true'])}",
            render.view_title(view),
            _mark(row, view) if len(views) > 2 and view not in ("base", "masked") else "",
            row[f"{view}.answer"],
            alone if view == "masked" else "",
        )
        for view in views
        if view != CONTROL
    )
    return Markup(
        '<details class="probe" data-probe="{}" data-text="{}"><summary><span class="kind">{}</span>'
        '<span class="asked">{}</span>{}<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span></summary>'
        "{}</details>"
    ).format(
        number,
        row["text"],
        kind_name(row["kind"], row["domain"]),
        marked(row["text"], row["subject"], LONGEST_PROBE),
        said,
        tone,
        mark,
        word,
        _more(row, views),
    )


def _alone(row: Mapping[str, Any]) -> Markup:
    """What the mask says alone."""
    return Markup("<small>{}: {}</small>").format(render.view_title(CONTROL), row[f"{CONTROL}.answer"])


def _verdict(row: Mapping[str, Any], view: str) -> tuple[str, str, str]:
    """A view's verdict on a row: in a word, as a mark, and its tone."""
    word = judge(row["kind"], row, view)
    mark, tone = ("–", "open") if word == UNKNOWN else ("✓", "good") if word in GOOD else ("✗", "bad")
    return word, mark, tone


def _mark(row: Mapping[str, Any], view: str) -> Markup:
    """A view's verdict before its answer, where several have one."""
    word, mark, tone = _verdict(row, view)
    return Markup(
        '<span class="verdict {}"><span aria-hidden="true">{}</span><span class="hidden">{}: </span></span> '
    ).format(tone, mark, word)


def _more(row: Mapping[str, Any], views: list[str]) -> Markup:
    """What an opened row tells: the whole text, what a good edit says, both objects under each view, then the tokens."""
    expected = row["expected"] if isinstance(row["expected"], str) else "whatever the base model says"
    objects = Markup("").join(
        Markup("<div><dt>{}</dt><dd>p(new) <b>{}</b>, p(old) <b>{}</b></dd></div>").format(
            render.view_title(view), render.percent(row[f"{view}.p_new"]), render.percent(row[f"{view}.p_true"])
        )
        for view in views
    )
    return Markup(
        '<div class="more"><p class="whole">{}</p><dl><div><dt>A good edit says</dt><dd><b>{}</b></dd></div>{}</dl>'
        '<div class="distribution" aria-live="polite"><p class="hint">Asking for the tokens …</p></div></div>'
    ).format(marked(row["text"], row["subject"]), expected, objects)


def distribution(said: Mapping[str, Mapping[str, Any]], request: EditRequest | None) -> str:
    """The likeliest tokens at one probe, a column a view."""
    columns = Markup("").join(
        Markup('<section class="top {}"><h3>{}</h3>{}</section>').format(
            view, render.view_title(view), render.bars(request, own["top"])
        )
        for view, own in said.items()
    )
    return Markup('<div class="columns">{}</div>').format(columns)


def marked(text: str, subject: str, most: int | None = None) -> Markup:
    """A probe with its subject marked; of a long one the end, where the question stands."""
    tail = text if most is None or len(text) <= most else text[-most:].partition(" ")[2]
    before, found, after = tail.rpartition(subject) if subject else ("", "", tail)
    shown = Markup("{}<mark>{}</mark>{}").format(before, found, after) if found else Markup("{}").format(tail)
    return shown if len(tail) == len(text) else Markup("… {}").format(shown)
