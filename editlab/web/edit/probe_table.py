"""The probes around an edit, folded by kind: a row for each probe, which opens to its distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import nan
from typing import Any, NamedTuple

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import CONTROL, Probe, judge, judged, tone
from editlab.web.core.answers import Answers, bars
from editlab.web.core.html import render
from editlab.web.core.language import gettext as _
from editlab.web.edit import words

MARKS = {"good": "✓", "bad": "✗", "open": "–"}
LONGEST_PROBE = 80


class Verdict(NamedTuple):
    """A view's verdict on a probe: a word, a mark and its class."""

    word: str
    mark: str
    tone: str


class Excerpt(NamedTuple):
    """A probe's text around its subject; `cut`: whether its beginning is left out."""

    cut: bool
    before: str
    subject: str
    after: str


class Cell(NamedTuple):
    """A view's answer to a probe."""

    view: str
    answer: str
    p_new: float
    p_true: float
    verdict: Verdict | None = None
    control: str = ""


@dataclass(frozen=True)
class Row:
    """A probe: what was asked, what each view answered, and the verdict on the edit; `waiting`: it is still to be asked."""

    kind: str
    domain: str
    text: str
    short: Excerpt
    whole: Excerpt
    expected: str
    cells: Sequence[Cell]
    columns: Sequence[Cell]
    verdict: Verdict
    waiting: bool = False


@dataclass(frozen=True)
class Group:
    """The probes of a kind."""

    kind: str
    rows: Sequence[Row]

    @property
    def said(self) -> str:
        """How many of them hold, or that they are still asked."""
        asked = [row for row in self.rows if not row.waiting]
        if not asked:
            return _(words.ASKING)
        judged = [row.verdict for row in asked if row.verdict.tone != "open"]
        return words.of(sum(verdict.tone == "good" for verdict in judged), len(judged))

    @property
    def tone(self) -> str:
        """ "bad" where one does not hold, "good" where all do, "open" while nothing can be said."""
        tones = {row.verdict.tone for row in self.rows}
        return "bad" if "bad" in tones else "good" if "good" in tones else "open"


def probe_table(frame: DataFrame | None, battery: Sequence[Probe] = (), views: Sequence[str] = ()) -> Markup:
    """Return a row for each probe with the answer of each view and a verdict.

    The answer of the mask alone stands below that of the edited model under the mask. The rows of `battery` that are not in
    the frame yet keep their places; `views`: those that are asked, where there is no frame at all.
    """
    if frame is None and not battery:
        return Markup()
    views = list(views) if frame is None else views_of(frame)
    asked = [] if frame is None else [_row(row, views) for row in frame.to_dict("records")]
    shown = [view for view in views if view != CONTROL]
    rows = [*asked, *(_waiting(probe, shown) for probe in battery[len(asked) :])]
    groups = [Group(kind, list(own)) for kind, own in groupby(rows, key=lambda row: row.kind)]
    return render("edit/probes.html", views=shown, control=CONTROL, groups=groups)


def views_of(frame: DataFrame) -> list[str]:
    """Return the views that were asked, in their order."""
    return [name.removesuffix(".answer") for name in frame.columns if name.endswith(".answer")]


def _row(row: Mapping[str, Any], views: list[str]) -> Row:
    marked = [view for view in views if len(views) > 2 and view not in ("base", "masked")]
    cells = {
        view: Cell(
            view,
            row[f"{view}.answer"],
            row[f"{view}.p_new"],
            row[f"{view}.p_true"],
            verdict_on(row, view) if view in marked else None,
            row[f"{CONTROL}.answer"] if view == "masked" and CONTROL in views else "",
        )
        for view in views
    }
    return Row(
        row["kind"],
        row["domain"],
        row["text"],
        excerpt(row["text"], row["subject"], LONGEST_PROBE),
        excerpt(row["text"], row["subject"]),
        row["expected"] if isinstance(row["expected"], str) else _(words.EXPECTED_BASE),
        [cell for view, cell in cells.items() if view != CONTROL],
        list(cells.values()),
        verdict_on(row, judged(views)),
    )


def _waiting(probe: Probe, views: Sequence[str]) -> Row:
    """Return the row of a probe that is still to be asked."""
    cells = [Cell(view, "…", nan, nan) for view in views]
    short, whole = excerpt(probe.text, probe.subject, LONGEST_PROBE), excerpt(probe.text, probe.subject)
    expected = probe.expected or _(words.EXPECTED_BASE)
    return Row(probe.kind, probe.domain, probe.text, short, whole, expected, cells, (), Verdict("", "", "open"), True)


def verdict_on(row: Mapping[str, Any], view: str) -> Verdict:
    """Return a view's verdict on a row of `probes.ask`."""
    word = judge(row["kind"], row, view)
    return Verdict(_(word), MARKS[tone(word)], tone(word))


def distribution(answers: Answers, request: EditRequest | None) -> Markup:
    """Return the likeliest tokens at one probe, a column for each view."""
    return render(
        "edit/distribution.html", columns=[(view, bars(request, answer["top"])) for view, answer in answers.items()]
    )


def excerpt(text: str, subject: str, most: int | None = None) -> Excerpt:
    """Return a probe around its subject; of one that is longer than `most`, the end, where the question stands."""
    tail = text if most is None or len(text) <= most else text[-most:].partition(" ")[2]
    before, found, after = tail.rpartition(subject) if subject else ("", "", tail)
    return Excerpt(len(tail) < len(text), before, found, after)
