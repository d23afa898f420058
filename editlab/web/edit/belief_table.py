"""Whether the model believes the fact: who wins, in a sentence, and a row for each kind of question with its texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from editlab.lab.asking.belief import IN_PROMPT, BeliefAnswers, Row
from editlab.probes.belief import KINDS
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.names import view_title
from editlab.web.core.wording import tell
from editlab.web.edit import words

MARKS = {"good": "✓", "bad": "✗", "mixed": "◐", "open": "–", "base": ""}


class Cell(NamedTuple):
    """A view's answers to the questions of a kind, or to one of them: a mark with its class, and what it says."""

    view: str
    mark: str
    tone: str
    word: str
    said: str = ""
    detail: str = ""


class Asked(NamedTuple):
    """One question: its text, what a believer answers, and each view's answer."""

    text: str
    expected: str
    known: bool
    cells: Sequence[Cell]


class Group(NamedTuple):
    """A kind of question: what it shows, each view's verdict, and its questions; `note`: why nothing is told."""

    name: str
    title: str
    shows: str
    cells: Sequence[Cell]
    asked: Sequence[Asked]
    note: str


def hint() -> Markup:
    """Return what stands there before anything was asked."""
    return pieces.message(_(words.BELIEF_HINT), "hint")


def asking() -> Markup:
    """Return what stands there until the first answers come."""
    return pieces.message(_(words.BELIEF_ASKING), "hint")


def table(answers: BeliefAnswers, stopped: bool = False) -> Markup:
    """Return the sentence and the rows; `stopped`: no more answers come."""
    groups = [_group(kind, answers) for kind in KINDS if kind not in answers.waiting]
    return render("edit/belief.html", finding=winner(answers, stopped), views=answers.views, groups=groups)


def winner(answers: BeliefAnswers, stopped: bool = False) -> str:
    """Return who gives more of a believer's answers, the edited model or the fact in the prompt, and by how many."""
    if answers.waiting:
        asked = len(KINDS) - len(answers.waiting)
        return _(words.BELIEF_STOPPED).format(n=asked, all=len(KINDS)) if stopped else _(words.BELIEF_ASKING)
    if not answers.telling:
        return _(words.BELIEF_OPEN)
    told = max(IN_PROMPT, key=answers.believed)
    ours = answers.believed(told)
    values = {"all": len(answers.telling), "told": ours, "how": view_title(told)}
    if not answers.edited:
        return _(words.BELIEF_UNEDITED).format(**values)
    theirs = answers.believed(answers.edited)
    values |= {"edited": theirs, "view": view_title(answers.edited), "by": abs(ours - theirs)}
    form = words.BELIEF_EVEN if ours == theirs else words.BELIEF_TOLD if ours > theirs else words.BELIEF_EDITED
    return _(form).format(**values)


def _group(name: str, answers: BeliefAnswers) -> Group:
    kind, rows = KINDS[name], answers.of_kind(name)
    known = [row for row in rows if row["known"]]
    cells = [_summed(view, known, rows) for view in answers.views]
    note = "" if known else _(words.BELIEF_UNKNOWN) if rows else _(words.BELIEF_UNASKED)
    asked = [
        Asked(row["text"], tell(row["expected"]), row["known"], [_cell(view, row) for view in answers.views]) for row in rows
    ]
    return Group(name, _(kind.title), _(kind.shows), cells, asked, note)


def _summed(view: str, known: Sequence[Row], rows: Sequence[Row]) -> Cell:
    """Return a view's verdict on a kind: the one answer in a word, several as a count."""
    telling = [row for row in known if row[f"{view}.generated"] is not None]
    told = [bool(row[f"{view}.generated"]) for row in telling]
    if not told:
        word = (
            _(words.NOT_ASKED_WORD) if not rows else _(words.VERDICTS[rows[0][f"{view}.verdict"]]) if len(rows) == 1 else ""
        )
        return Cell(view, MARKS["open"], "open", word)
    tone = "base" if view == "base" else "good" if all(told) else "mixed" if any(told) else "bad"
    word = _(words.VERDICTS[telling[0][f"{view}.verdict"]]) if len(told) == 1 else words.of(sum(told), len(told))
    return Cell(view, MARKS[tone], tone, word)


def _cell(view: str, row: Row) -> Cell:
    tone = "base" if view == "base" else "open" if row[f"{view}.generated"] is None or not row["known"] else ""
    tone = tone or ("good" if row[f"{view}.generated"] else "bad")
    word, detail = _(words.VERDICTS[row[f"{view}.verdict"]]), row[f"{view}.detail"]
    return Cell(view, MARKS[tone], tone, word, row[f"{view}.said"], tell(detail) if detail else "")
