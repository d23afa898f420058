"""The table of the Compare tab, the answers side by side, and both as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pandas import DataFrame, concat

from editlab.lab import KINDS, MethodInfo, judge, tone
from editlab.lab.asking.comparing import ROBUST, Compared, Comparison
from editlab.web.compare import words
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.names import kind_name, method_name
from editlab.web.core.wording import number, size

OF_EACH_KIND = 2
"""Questions of each kind that are shown side by side."""
LONGEST_QUESTION = 90
MARKS = {"good": "✓", "bad": "✕", "open": ""}
PICTURED = ("success", "robustness", "locality", "same_subject", "propagation")


class Cell(NamedTuple):
    """What a cell shows, with more beside it, and what it is sorted by."""

    text: str
    more: str = ""
    value: float = -1.0


class Row(NamedTuple):
    """A method's row: `state`: done, failed, or at work."""

    method: str
    name: str
    about: str
    cells: tuple[Cell, ...]
    state: str
    error: str


def ordered(found: Comparison) -> list[Compared]:
    """Return the methods, the best first; behind them those at work, and those that failed."""
    done = list(found.ranked)
    return [*done, *sorted((row for row in found.rows if not row.done), key=lambda row: row.error is not None)]


def kinds(found: Comparison) -> list[str]:
    """Return the kinds of probes that tell something of a method, robustness before its parts."""
    asked = {kind for row in found.rows for kind, (_good, n) in row.counts.items() if n}
    parts = [kind for kind in ROBUST if kind in asked]
    others = [kind for kind in KINDS if kind in asked and kind not in ROBUST and kind != "success"]
    return ["success", *(["robustness"] if len(parts) > 1 else []), *parts, *others]


def rows(found: Comparison, methods: Sequence[MethodInfo]) -> list[Row]:
    """Return a row a method, the cells in the order of `heads`."""
    titles = {method.name: method.title for method in methods}
    return [_row(row, _(titles.get(row.method, row.method)), kinds(found)) for row in ordered(found)]


def heads(found: Comparison) -> list[tuple[str, str]]:
    """Return the columns behind the method: (term, title)."""
    rates = [(kind if kind in KINDS else "", words.rate_name(kind)) for kind in kinds(found)]
    return [("", _("Score")), *rates, ("", _("Time")), ("", _("Size"))]


def frame(found: Comparison) -> DataFrame:
    """Return the rates as the figure has them, the best first; of a method that is at work or failed, none.

    Its rows are as many from the first method to the last, so that nothing moves below it.
    """
    rows = ordered(found)
    rates = {kind: [row.rate(kind) for row in rows] for kind in PICTURED}
    return DataFrame({"method": [method_name(row.method) for row in rows], **rates, "time": [seconds(row) for row in rows]})


def columns(found: Comparison) -> list[tuple[str, str]]:
    """Return the columns of the figure with their titles: the rates that something tells, all before the first is known."""
    told = [kind for kind in PICTURED if any(row.rate(kind) is not None for row in found.ranked)]
    return [(kind, words.rate_name(kind)) for kind in told or PICTURED]


def seconds(row: Compared) -> str:
    """Return how long an edit took."""
    if row.seconds is None:
        return "–"
    return f"{number(row.seconds, '.2f' if row.seconds < 1 else ',.1f')} s"


def answers(found: Comparison) -> list[dict[str, Any]]:
    """Return some questions of each kind, with the answers of the unedited model and of each method."""
    told = [row for row in ordered(found) if row.frame is not None]
    if not told:
        return []
    first = max((row.frame for row in told if row.frame is not None), key=len)
    chosen = first[first["kind"] != "success"].groupby("kind", sort=False).head(OF_EACH_KIND)
    place = {kind: number for number, kind in enumerate(KINDS)}
    questions = sorted(chosen.to_dict("records"), key=lambda row: place[row["kind"]])
    by_text = [_by_question(row.frame) for row in told if row.frame is not None]
    return [
        {
            "kind": kind_name(question["kind"]),
            "text": _end(question["text"]),
            "base": question["base.answer"],
            "answers": [_answer(own.get((question["kind"], question["text"]))) for own in by_text],
        }
        for question in questions
    ]


def compared(found: Comparison) -> list[Compared]:
    """Return the methods that `answers` has, in its order."""
    return [row for row in ordered(found) if row.frame is not None]


def files(found: Comparison, methods: Sequence[MethodInfo]) -> dict[str, DataFrame]:
    """Return what is exported: the rates and costs of each method, and every question with each method's answer."""
    titles = {method.name: method.title for method in methods}
    asked = [kind for kind in kinds(found) if kind != "robustness"]
    summary = DataFrame(
        {
            "method": row.method,
            "title": titles.get(row.method, row.method),
            "score": row.score,
            "robustness": row.rate("robustness"),
            **{kind: row.rate(kind) for kind in asked},
            **{f"{kind} good": row.counts.get(kind, (0, 0))[0] for kind in asked},
            **{f"{kind} asked": row.counts.get(kind, (0, 0))[1] for kind in asked},
            "seconds": row.seconds,
            "bytes": row.size,
            "text": (row.answer or {}).get("text"),
            "error": "" if row.error is None else str(row.error),
        }
        for row in ordered(found)
    )
    parts = [_plain(row) for row in compared(found)]
    return {"methods": summary} | ({"answers": concat(parts, ignore_index=True)} if parts else {})


def _row(row: Compared, title: str, asked: Sequence[str]) -> Row:
    cells = [Cell(words.score(row), "", -1.0 if row.score is None else row.score)]
    for kind in asked:
        rate, (good, n) = row.rate(kind), row.counts.get(kind, (0, 0))
        cells.append(Cell("–") if rate is None else Cell(words.percent(rate), f"{good}/{n}" if n else "", rate))
    cells.append(Cell(seconds(row), "", -1.0 if row.seconds is None else row.seconds))
    cells.append(Cell("–" if row.size is None else size(row.size), "", -1.0 if row.size is None else row.size))
    state = "failed" if row.error is not None else "done" if row.done else "at-work"
    name, _colon, about = title.partition(": ")
    return Row(row.method, name, about, tuple(cells), state, "" if row.error is None else said(row.error))


def _by_question(frame: DataFrame) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(row["kind"], row["text"]): row for row in frame.to_dict("records")}


def _answer(row: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    """Return an answer with its verdict as a mark, a word and a tone."""
    if row is None:
        return "–", "", "", "open"
    word = judge(row["kind"], row, "edited")
    return row["edited.answer"], MARKS[tone(word)], _(word), tone(word)


def _plain(row: Compared) -> DataFrame:
    """Return every question to a method with its answers."""
    asked = row.frame
    assert asked is not None
    verdicts = [judge(one["kind"], one, "edited") for one in asked.to_dict("records")]
    shown = asked[["kind", "domain", "text", "expected", "base.answer", "edited.answer"]]
    return shown.rename(columns={"base.answer": "unedited", "edited.answer": "answer"}).assign(
        verdict=verdicts, method=row.method
    )


def _end(text: str) -> str:
    return text if len(text) <= LONGEST_QUESTION else f"… {text[-LONGEST_QUESTION:].partition(' ')[2]}"
