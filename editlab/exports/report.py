"""A report: what was edited, what the model answers now, and how it is made again, as one page that needs no network.

Everything is in one file: the figures as data, plotly.js to draw them, styles and scripts. A policy in the page lets no
other script run and nothing be fetched, and the templates escape every text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

import editlab
from editlab import figures, methods, names, probes, wording
from editlab.exports import commands
from editlab.exports.entry import Entry, base_of, precision_of, requests_of
from editlab.exports.findings import Finding, findings
from editlab.exports.format import Export, Format, Past, write_text
from editlab.facts import EditRequest
from editlab.figures import language
from editlab.figures.language import gettext as _
from editlab.model import LanguageModel
from editlab.wording import noop
from editlab.work import Cancel, Progress, part_of

MOST = 20
"""Requests that are asked for one report; of more, the latest."""
SHOWN_CHARACTERS = 160
"""Characters of a probe that are shown; of a longer one its end, where the question stands."""
TEMPLATES = Path(__file__).with_name("templates")


def kind_name(kind: str, domain: str = "") -> str:
    """Return the name of a kind of probe, with its domain in brackets where it has one."""
    return _(names.kind_name(kind)) + (f" ({_(domain)})" if domain else "")


ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
    extensions=["jinja2.ext.i18n"],
)
ENVIRONMENT.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)
ENVIRONMENT.policies["ext.i18n.trimmed"] = True
ENVIRONMENT.filters |= {
    "percent": lambda p: language.local(wording.percent(p)).replace(" ", "\N{NO-BREAK SPACE}"),
    "capitalize_first": wording.capitalize,
    "view_title": lambda view: _(names.view_title(view)),
    "kind_name": kind_name,
    "said": language.said,
    "translated": _,
    "written": language.written,
}
HOLDS, STAYS = ("rephrase", "paraphrase", "shuffle", "long"), ("locality", "same_subject")
"""Kinds of probe at which an edit should hold, and at which nothing should change."""
SUMS = {
    noop("Asked otherwise, it holds in {number} probes."): HOLDS,
    noop("Of other facts, {number} are as before."): STAYS,
    noop("Of its consequences, {number} follow."): ("propagation",),
}
"""What is said of several kinds of probe together."""
DOMAINS = {"in": noop("REP may train on similar texts"), "out": noop("REP never trains on similar texts")}
VIEWS = {
    "base": noop("without any edit"),
    "edited": noop("with all edits that are on"),
    "rep": noop("the same, with REP’s pathways, which move the keys of a subject’s other names towards the edit"),
    "masked": noop("the edited model under the reversal mask, which brings back old facts that were only suppressed"),
    "base_masked": noop("a control without any edit"),
    "guarded": noop("the edited model, judged under the reversal mask as a guard"),
}
"""What each view is."""


@dataclass(frozen=True)
class Told:
    """One request as the report's template takes it: `finding` is None where there are too many to ask all."""

    number: int
    entry: Entry
    request: EditRequest
    finding: Finding | None
    settings: Sequence[tuple[str, str, str, bool]]
    health: Sequence[tuple[str, str, str]]
    warnings: Sequence[str]
    command: str
    event: Any


def asked(export: Export) -> str | None:
    """Return the note that the model is asked, and how often at most."""
    number = min(MOST, len(requests_of(export.entries)))
    return noop(
        f"The probes of {wording.count(number, 'request')} are asked for it, which takes as long as on the Edit tab."
    )


def write(export: Export, folder: Path, progress: Progress, cancel: Cancel) -> Iterator[None]:
    """Write `report.html`, part by part."""
    found: list[Finding] = []
    for finding in ask(export, progress, cancel):
        found += [] if finding is None else [finding]
        yield
    write_text(folder / "report.html", page(export, found))


FORMAT = Format(
    "report",
    noop("a report to read, as one HTML file"),
    noop(
        "One HTML file that opens without a network: answers before and after, all probes, figures, settings, the history "
        "with its hashes, and the commands that make the edits again."
    ),
    write,
    notes=(asked,),
    asks=MOST,
)


def ask(export: Export, progress: Progress, cancel: Cancel) -> Iterator[Finding | None]:
    """Yield what is found for each request, the latest `MOST` of them, and None in between. Raises `Cancelled`."""
    asked = [(entry, request) for entry in export.entries for request in entry.requests][-MOST:]
    for number, (entry, request) in enumerate(asked):
        share = part_of(progress, number / len(asked), (number + 1) / len(asked))
        yield from findings(export, entry, request, share, cancel)


def frame(model: LanguageModel, seed: int, pictured: bool) -> dict[str, Any]:
    """Return what every report says of the model, versions and date, with its styles and scripts.

    `pictured`: whether there is a figure, which needs plotly.js.
    """
    base = base_of(model)
    scripts = [*([Markup(get_plotlyjs())] if pictured else []), Markup(_script())]
    return {
        "model": model,
        "name": Path(base).name if Path(base).exists() else base,
        "precision": precision_of(model),
        "language": language.spoken().code,
        "version": editlab.__version__,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "seed": seed,
        "environment": "\n".join(commands.environment(model, seed)),
        "style": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        "scripts": scripts,
        "policy": policy(scripts),
    }


def page(export: Export, found: Sequence[Finding], opened: bool = False) -> str:
    """Return a report as HTML. `opened`: with every section open, as paper needs it."""
    past = export.past() if export.past is not None else Past("")
    known = {(id(finding.entry), finding.request): finding for finding in found}
    told = [
        _told(export, past, number, entry, request, known)
        for number, (entry, request) in enumerate(_requests(export), start=1)
    ]
    pictures = {
        f"figure-{one.number}-{number}": picture
        for one in told
        if one.finding is not None
        for number, picture in enumerate(one.finding.pictures, start=1)
    }
    return ENVIRONMENT.get_template("report.html").render(
        **frame(export.model, export.ground.seed, pictured=bool(pictures)),
        past=past,
        told=told,
        others=past.events[-1].edits - len(told) if past.events else 0,
        views={view: _(VIEWS.get(view, view)) for view in export.views},
        threshold=export.view.threshold,
        has_rep="rep" in export.views,
        kinds={kind: _(meaning) for kind, meaning in probes.KINDS.items()},
        domains={domain: (_(domain), _(meaning)) for domain, meaning in DOMAINS.items()},
        pictures={name: (picture.title, picture.meaning) for name, picture in pictures.items()},
        data={name: as_json(picture.figure) for name, picture in pictures.items()},
        opened=opened,
        most=MOST,
        took=took,
        sums=sums,
        total=total,
        control=probes.CONTROL.value,
        holds=HOLDS,
        stays=STAYS,
        judge=_verdict,
        shown=_shown,
    )


def took(finding: Finding) -> str:
    """Return whether an edit took, under the view by which it is judged."""
    if finding.took:
        text = _("The edit took: {view} gives the new object with a probability of {p}.")
    else:
        text = _("The edit did not take: {view} gives the new object with a probability of only {p}.")
    p = language.local(wording.percent(finding.answers[finding.judged]["p_new"]))
    return text.format(view=_(names.view_title(finding.judged)), p=p)


def sums(finding: Finding) -> list[str]:
    """Return how often an edit holds when asked otherwise, what stayed as it was, and what followed, a sentence each."""
    return [_(text).format(number=number) for text, kinds in SUMS.items() if (number := total(finding, kinds))]


def total(finding: Finding, kinds: Sequence[str]) -> str:
    """Return how many probes of several kinds are as they should be: "9 of 10"; empty where none was asked."""
    counts = [count for count in finding.counts if count.kind in kinds]
    asked = sum(count.asked for count in counts)
    return _("{n} of {all}").format(n=sum(count.right[finding.judged] for count in counts), all=asked) if asked else ""


def policy(scripts: Sequence[str]) -> str:
    """Return the page's content security policy: it runs these scripts alone and fetches nothing."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts)
    parts = ("default-src 'none'", f"script-src {hashes}", "style-src 'unsafe-inline'", "img-src data: blob:")
    return "; ".join((*parts, "base-uri 'none'", "form-action 'none'"))


def as_json(figure: Any) -> Markup:
    """Return a figure as JSON that stands in a page: no text in it can end the element that holds it."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


def _script() -> str:
    save = figures.SAVE.read_text(encoding="utf-8")
    own = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return f"const element = document;\n{save}{own}"


def _requests(export: Export) -> list[tuple[Entry, EditRequest]]:
    return [(entry, request) for entry in export.entries for request in entry.requests]


def _told(
    export: Export,
    past: Past,
    number: int,
    entry: Entry,
    request: EditRequest,
    known: Mapping[tuple[int, EditRequest], Finding],
) -> Told:
    model, seed = export.model, export.ground.seed
    place = next(place for place, own in enumerate(export.entries, start=1) if own is entry)
    usual = {s.name: s.default for s in methods.describe(methods.config_for(entry.method, model, seed=seed))}
    settings = methods.describe(methods.get(entry.method).config(**entry.config))
    request = export.ground.case(request).request
    return Told(
        number,
        entry,
        request,
        known.get((id(entry), request)),
        [(_(s.title), str(s.default), _(s.help), s.default != usual[s.name]) for s in settings],
        [
            (_(title), language.local(_(methods.health_value(key, entry.health[key]))), _(meaning))
            for key, (title, meaning) in methods.HEALTH.items()
            if key in entry.health
        ],
        [language.said(text) for text in methods.warnings(entry.health)],
        "\n".join(commands.line_of(model, entry, seed, place)),
        next((event for event in reversed(past.events) if event.edit and event.edit == entry.id), None),
    )


def _verdict(row: Mapping[str, Any], view: str) -> tuple[str, str]:
    """Return the verdict on a probe in a word, and whether it is good, bad or open."""
    word = probes.judge(row["kind"], row, view)
    return _(word), probes.tone(word)


def _shown(text: str) -> str:
    """Return a probe's text, or the end of one that is long."""
    if pd.isna(text) or len(text) <= SHOWN_CHARACTERS:
        return text
    return f"… {text[-SHOWN_CHARACTERS:].partition(' ')[2]}"
