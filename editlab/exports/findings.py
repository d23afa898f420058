"""What a report says of one request: the answers of every view at its prompt and probes, its gates, and its pictures.

Everything is read off tables that `probes` and `insight` make, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import plotly.graph_objects as go
from pandas import DataFrame

from editlab import figures, insight, probes
from editlab.answers import Answers, ViewName
from editlab.errors import BadRequest
from editlab.exports.entry import Entry
from editlab.exports.format import STOPPED, Export
from editlab.facts import EditRequest
from editlab.figures.language import gettext as _
from editlab.insight import Question, Site
from editlab.patches import BARE, View
from editlab.work import Cancel, Progress, stop_if


@dataclass(frozen=True)
class Picture:
    """A figure, its title, and what is seen in it."""

    title: str
    meaning: str
    figure: go.Figure


@dataclass(frozen=True)
class Count:
    """How many probes of a kind and domain are as they should be under each view, of those that tell."""

    kind: str
    domain: str
    right: Mapping[str, int]
    asked: int


@dataclass(frozen=True, eq=False)
class Finding:
    """One request of an edit: the answer of each view at its prompt, and a row a probe.

    `judged`: the view by which the edit is judged; `gates`: at the tokens of the prompt, None without REP.
    """

    entry: Entry
    request: EditRequest
    answers: Answers
    probes: DataFrame
    judged: str
    gates: DataFrame | None
    pictures: tuple[Picture, ...]

    @property
    def counts(self) -> tuple[Count, ...]:
        """The probes as they are counted, kind by kind."""
        found = []
        for (kind, domain), rows in self.probes.groupby(["kind", "domain"], sort=False):
            verdicts = {view: [probes.judge(kind, row, view) for row in rows.to_dict("records")] for view in self.answers}
            asked = sum(probes.tone(verdict) != "open" for verdict in verdicts[self.judged])
            right = {view: sum(probes.tone(verdict) == "good" for verdict in own) for view, own in verdicts.items()}
            found.append(Count(kind, domain, right, asked))
        return tuple(found)

    def said(self, view: str) -> str:
        """Return what a view answers at the prompt, up to where the answer ends."""
        own = self.probes[self.probes["kind"] == "success"]
        return str(own[f"{view}.answer"].iloc[0])

    @property
    def took(self) -> bool:
        """Whether the new object is the answer at the prompt under the view by which the edit is judged."""
        return bool(self.probes.loc[self.probes["kind"] == "success", f"{self.judged}.hit"].iloc[0])


def findings(
    export: Export, entry: Entry, request: EditRequest, progress: Progress, cancel: Cancel
) -> Iterator[Finding | None]:
    """Yield None while a request is asked, part by part, and at last what was found. Raises `Cancelled`."""
    ground, model = export.ground, export.model
    form = model.form(str(entry.config.get("form", "plain")))
    views = {name: view.with_patches([form]) if form is not BARE else view for name, view in export.views.items()}
    case = ground.case(request)
    request = case.request
    progress(0.0, f"{request.subject}: answers")
    answers = probes.summaries(model, request, views)
    yield None
    battery, frames = ground.battery(case, others=export.others), []
    for kind in dict.fromkeys(probe.kind for probe in battery):
        stop_if(cancel, STOPPED)
        progress(0.1 + 0.7 * len(frames) / len(probes.KINDS), f"{request.subject}: {probes.KINDS[kind]}")
        frames.append(probes.ask(model, request, tuple(probe for probe in battery if probe.kind == kind), views))
        yield None
    frame = _joined(frames)
    stop_if(cancel, STOPPED)
    gates = probes.gates(model, request.text, views[ViewName.REP]) if ViewName.REP in views else None
    progress(0.8, f"{request.subject}: pictures")
    pictures = []
    for picture in (_lens(export, request, views), _similarity(export, entry, request, battery, cancel)):
        pictures += [picture] if picture is not None else []
        yield None
    yield Finding(entry, request, answers, frame, probes.judged(views), gates, tuple(pictures))


def _joined(frames: list[DataFrame]) -> DataFrame:
    """Return the rows of several tables one below another, as they are: pandas would look at the types of empty columns."""
    rows = [row for frame in frames for row in frame.to_dict("records")]
    return DataFrame(rows, columns=frames[0].columns)


def _lens(export: Export, request: EditRequest, views: Mapping[str, View]) -> Picture:
    frame = insight.logit_lens(export.model, views, Question.of(export.model, request))
    objects = {"new": request.target_new} | ({"true": request.target_true} if request.target_true else {})
    return Picture(
        _("Logit lens"),
        _(
            "What the model would answer if it stopped after each layer: the probability of the first token of each object, "
            "at the last token of the prompt. Where the lines of a view part from the base model’s, the edit begins to act."
        ),
        figures.inside.lens_lines(frame, 1, objects),
    )


def _similarity(
    export: Export, entry: Entry, request: EditRequest, battery: tuple[probes.Probe, ...], cancel: Cancel
) -> Picture | None:
    """Return the similarity of keys; None for an edit that changes no layer, and where there is no prose to compare with."""
    passages = export.ground.passages
    if not passages.inside and not passages.outside:
        return None
    edited, robust = export.views.get(ViewName.EDITED), export.views.get(ViewName.REP)
    try:
        site = Site.on(export.model, request, entry.patches, edited)
    except BadRequest:
        return None
    site = site if robust is None else site.with_robust(robust)
    found = insight.similarity(site, battery, passages, export.ground.seed, cancel=cancel)
    metric = _("whitened by key statistics") if found.whitened else _("without key statistics")
    meaning = _(
        "How similar the key of each probe’s subject is to the edit’s own, at layer {layer}, {metric}: at 1 a probe hears "
        "all of the edit, at 0 nothing. Other subjects and random words should be near 0."
    )
    return Picture(
        _("Key similarity"),
        meaning.format(layer=found.layer, metric=metric),
        figures.similarity(found.frame),
    )
