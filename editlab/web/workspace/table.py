"""The lists and tables of the Workspace tab: edits, jobs, and how two states differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from editlab.answers import Answers
from editlab.facts import EditRequest
from editlab.forensics import Change, Verdict
from editlab.lab import EditRecord, JobRow, Report
from editlab.lab.workspaces.history import Difference
from editlab.web.core.answers import bars, headline
from editlab.web.core.engine import said
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.wording import share
from editlab.web.workspace import words

MOST_CHANGES, MOST_BARS = 40, 24
"""Weights that the table of a check has rows for, and singular values that a row has bars for."""
Scores = Mapping[str, tuple[float | None, float | None]]
"""For an edit's id the share of its prompts that were right at its first check-up, and at the latest."""


def edits(records: Sequence[EditRecord], scores: Scores) -> Markup:
    """Return every edit in order, with its scores where there are check-ups, and its buttons."""
    if not records:
        return pieces.message(_(words.NO_EDITS), "hint")
    return render(
        "workspace/edits.html",
        records=records,
        authors=any(record.author for record in records),
        reasons=any(record.reason for record in records),
        scores=scores,
        titles=(_(words.AFTER_EDIT), _(words.NOW)),
        describe=words.score,
    )


def edits_then(records: Sequence[EditRecord]) -> Markup:
    """Return the edits at an earlier moment; nothing where there were none."""
    return render("workspace/edits_then.html", records=records)


def answers(text: str, found: Answers, titles: Mapping[str, str]) -> Markup:
    """Return the answers to a text under several states, side by side."""
    columns = [
        {
            "title": titles[name],
            "answer": headline(answer),
            "bars": bars(None, answer.get("top") or ()),
            "text": (answer.get("text") or "").strip(),
        }
        for name, answer in found.items()
    ]
    return render("workspace/answers.html", prompt=text, columns=columns)


def differences(rows: Sequence[Difference], other: str) -> Markup:
    """Return the requests that are on in both states, here alone, or in the other one alone."""
    groups: dict[str, list[EditRequest]] = {
        _("In both"): [row.request for row in rows if row.first and row.second],
        _("Only here"): [row.request for row in rows if row.first and not row.second],
        _("Only in {other}").format(other=other): [row.request for row in rows if row.second and not row.first],
    }
    text = words.compared(*map(len, groups.values()), other)
    return render("workspace/differences.html", text=text, groups=groups)


def verified(report: Report, faults: Sequence[str]) -> Markup:
    """Return the result of a check, with what is wrong."""
    return render("workspace/verified.html", ok=report.ok, text=words.verified(report), faults=faults)


def checked(verdict: Verdict) -> Markup:
    """Return the verdict over a checkpoint, with the weights that differ from the loaded model's."""
    changes = () if verdict.difference is None else verdict.difference.changes
    return render(
        "workspace/checked.html",
        ok=verdict.code == 0,
        text=" ".join(map(said, verdict.sentences)),
        notes=[*map(said, verdict.notes), *words.papers(verdict)],
        heads=[_(head) for head in words.CHECKED],
        rows=list(map(_row, changes[:MOST_CHANGES])),
        more=words.more_changes(len(changes) - MOST_CHANGES),
    )


def _row(change: Change) -> dict[str, Any]:
    """Return the cells of a weight that differs. `heights`: its singular values, in percent of the largest."""
    values = change.spectrum.values[:MOST_BARS]
    return {
        "name": change.name.removesuffix(".weight"),
        "size": words.relative(change),
        "rank": words.rank(change.spectrum),
        "heights": [f"{100 * value / values[0]:.0f}" for value in values],
        "values": words.values(change.spectrum),
        "explained": share(change.explained),
        "left": words.left(change),
    }


def jobs(rows: Sequence[JobRow], offered: Collection[str] = (), alone: str | None = None) -> Markup:
    """Return jobs, the latest first.

    `offered`: the tokens of the files that can be downloaded; `alone`: the visitor whose jobs alone can be stopped, None
    where all can.
    """
    if not rows:
        return pieces.message(_(words.NO_JOBS), "hint")
    items = [
        {
            "row": row,
            "kind": words.job_kind(row),
            "state": words.job_state(row),
            "stops": row.open and alone in (None, row.asker),
            "token": row.result.get("download") if row.result.get("download") in offered else None,
        }
        for row in rows
    ]
    return render("workspace/jobs.html", jobs=items)
