"""The outcome of an edit in one sentence, and how many probes of each kind hold, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from pandas import DataFrame

from editlab.lab import CONTROL, KINDS, judged
from editlab.probes.verdict import KEPT
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.terms import TERMS
from editlab.web.edit import words
from editlab.web.edit.probe_table import verdict_on, views_of


@dataclass(frozen=True)
class Part:
    """The probes of a kind and a domain under one view: how many hold, of how many that can be judged."""

    domain: str
    held: int
    asked: int


@dataclass(frozen=True)
class Tile:
    """A kind's counts under the view that is judged, with those of the view `before` or `after` it that it is compared with.

    `parts`: the counts of each domain; `tone`: "good" where all hold, "bad" where none does, else "mixed" or "open".
    """

    kind: str
    parts: Sequence[Part]
    before: Part | None
    after: Part | None
    tip: str

    @property
    def whole(self) -> Part:
        """All domains together."""
        return Part("", sum(part.held for part in self.parts), sum(part.asked for part in self.parts))

    @property
    def tone(self) -> str:
        """How well it stands."""
        whole = self.whole
        if not whole.asked:
            return "open"
        return "good" if whole.held == whole.asked else "mixed" if whole.held else "bad"


def score_line(frame: DataFrame | None, asking: bool = False) -> Markup:
    """Return the outcome and the counts of each kind of probe. What a kind means is shown on hover and focus.

    A kind that was not asked, or is still to be asked (`asking`), keeps its place, so that the line never moves.
    """
    if frame is None and not asking:
        return pieces.message(_(words.NO_SCORES), "hint")
    views = [] if frame is None else _compared(views_of(frame))
    tiles = [_tile(kind, frame, views, asking) for kind in KINDS]
    tone, text = words.outcome({tile.kind: (tile.whole.held, tile.whole.asked) for tile in tiles}, asking, views)
    return render("edit/scores.html", tiles=tiles, pairs=len(views) > 1, tone=tone, outcome=text, terms=TERMS)


def _compared(views: list[str]) -> list[str]:
    """Return at most two views: the edit on its own, and what it is judged by, or else what the mask leaves of it."""
    edited = [view for view in views if view not in ("base", CONTROL)] or ["base"]
    return edited if len(edited) <= 2 else [edited[0], judged(edited)]


def _tile(kind: str, frame: DataFrame | None, views: list[str], asking: bool) -> Tile:
    rows = [] if frame is None else frame[frame["kind"] == kind].to_dict("records")
    view = judged(views) if views else ""
    domains = dict.fromkeys(row["domain"] for row in rows)
    parts = [_part(domain, [row for row in rows if row["domain"] == domain], view) for domain in domains]
    place = views.index(view) if views else 0
    beside = [_part("", rows, name) if rows else None for name in views]
    asked = None if asking and not rows else len(rows)
    halves = list(domains) if any(domains) else []
    before, after = (next(iter(some), None) for some in (beside[:place], beside[place + 1 :]))
    return Tile(kind, parts, before, after, words.score_tip(kind, asked, halves, views, _forced(rows, view)))


def _forced(rows: Sequence[dict], view: str) -> tuple[int, int] | None:
    """Return how many of the probes that can be judged hold by their tokens, teacher-forced; None where none can be."""
    judged_rows = [row for row in rows if verdict_on(row, view).tone != "open"]
    held = sum(row[f"{view}.same"] == 1 if row["kind"] in KEPT else bool(row[f"{view}.hit"]) for row in judged_rows)
    return (held, len(judged_rows)) if judged_rows else None


def _part(domain: str, rows: Sequence[dict], view: str) -> Part:
    tones = [verdict_on(row, view).tone for row in rows]
    return Part(domain, tones.count("good"), len(tones) - tones.count("open"))
