"""The probes around an edit: a line of scores, and a row for each probe, which opens to its distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import CONTROL, KINDS, Probe, judge, judged, scores
from editlab.web.core.answers import Answers, bars
from editlab.web.core.html import pieces, render
from editlab.web.edit import words

GOOD = ("changed", "kept", "follows")
UNKNOWN = "not known"
LONGEST_PROBE = 80
FULL = 0.995
"""From here on a score is shown as 100 %."""


@dataclass(frozen=True)
class Tile:
    """A kind's scores: for each domain ("own", "in", "out", or "" where the kind has none) those of the compared views."""

    kind: str
    scores: Sequence[tuple[str, Sequence[float]]]
    full: bool
    tip: str


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


def score_line(frame: DataFrame | None, asking: bool = False) -> Markup:
    """Return the score of each kind of probe under the edit. Its meaning is shown on hover and focus.

    A kind that was not asked, or is still to be asked (`asking`), keeps its place, so that the line never moves.
    """
    if frame is None and not asking:
        return pieces.message(words.NO_SCORES, "hint")
    views = [] if frame is None else _compared(views_of(frame))
    return render("edit/scores.html", tiles=[_tile(kind, frame, views, asking) for kind in KINDS], pairs=len(views) > 1)


def _compared(views: list[str]) -> list[str]:
    """Return at most two views: the edit on its own, and what it is judged by, or else what the mask leaves of it."""
    edited = [view for view in views if view not in ("base", CONTROL)] or ["base"]
    return edited if len(edited) <= 2 else [edited[0], judged(edited)]


def _tile(kind: str, frame: DataFrame | None, views: list[str], asking: bool) -> Tile:
    by_view = [] if frame is None else [scores(frame, view) for view in views]
    names = {"": kind, "in": f"{kind}_in", "out": f"{kind}_out"}
    domains = {domain: [of[name] for of in by_view] for domain, name in names.items() if by_view and name in by_view[0]}
    halves = len(domains) > 1 or any(domains)
    place = views.index(judged(views)) if views else 0
    number = 0 if frame is None else int((frame["kind"] == kind).sum())
    asked = None if asking and not number else number
    return Tile(
        kind,
        [(domain or "own" if halves else "", values) for domain, values in domains.items()],
        bool(domains) and all(values[place] >= FULL for values in domains.values()),
        words.score_tip(kind, asked, list(domains) if halves else [], views),
    )


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
    return render("edit/probes.html", views=shown, control=CONTROL, rows=rows)


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
            _verdict(row, view) if view in marked else None,
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
        row["expected"] if isinstance(row["expected"], str) else words.EXPECTED_BASE,
        [cell for view, cell in cells.items() if view != CONTROL],
        list(cells.values()),
        _verdict(row, judged(views)),
    )


def _waiting(probe: Probe, views: Sequence[str]) -> Row:
    """Return the row of a probe that is still to be asked."""
    cells = [Cell(view, "…", nan, nan) for view in views]
    short, whole = excerpt(probe.text, probe.subject, LONGEST_PROBE), excerpt(probe.text, probe.subject)
    expected = probe.expected or words.EXPECTED_BASE
    return Row(probe.kind, probe.domain, probe.text, short, whole, expected, cells, (), Verdict("", "", "open"), True)


def _verdict(row: Mapping[str, Any], view: str) -> Verdict:
    word = judge(row["kind"], row, view)
    return Verdict(word, *(("–", "open") if word == UNKNOWN else ("✓", "good") if word in GOOD else ("✗", "bad")))


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
