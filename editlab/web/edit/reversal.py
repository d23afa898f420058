"""What the reversal mask and the guard make of an edit: the verdict, the ways to reverse the edit, and linked facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import MaskInfo
from editlab.web.core.answers import Answers, headline
from editlab.web.core.engine import said
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.names import view_title
from editlab.web.edit import mask_words

MARKS = {"follows": "→", "stays": "=", "breaks": "✗"}


def to_come() -> Markup:
    """Return what stands in the place of what an edit brings."""
    return pieces.message(_(mask_words.TO_COME), "hint")


def status(masks: Sequence[MaskInfo], problem: str, edited: bool) -> Markup:
    """Return which masks are applied while a switch is on, or why none is."""
    if problem:
        return pieces.message(said(problem), "problem")
    return pieces.message(" ".join(map(mask_words.describe, masks)) if edited else _(mask_words.WAITING), "hint")


def verdict(request: EditRequest, answers: Answers, mask: MaskInfo | None) -> Markup:
    """Return whether the mask reverses the edit, with its evidence and both objects in each view."""
    return _verdict(mask_words.verdict(request, answers, mask), request, answers)


def guard(request: EditRequest, answers: Answers) -> Markup:
    """Return whether the guard held, with its evidence and both objects in each view."""
    return _verdict(mask_words.guard(request, answers), request, answers)


def _verdict(verdict: mask_words.Verdict, request: EditRequest, answers: Answers) -> Markup:
    rows = [(view, _probabilities(request, answer), headline(answer)) for view, answer in answers.items()]
    return render("edit/verdict.html", verdict=verdict, objects=_heads(request), rows=rows)


def _heads(request: EditRequest) -> list[str]:
    """Return the heads of the columns of both objects, the true one only where it is known."""
    return [f"p({name})" for name in (request.target_true, request.target_new) if name is not None]


def _probabilities(request: EditRequest, row: Mapping[str, Any]) -> list[float]:
    return [*([row["p_true"]] if request.target_true is not None else ()), row["p_new"]]


def ways_back(request: EditRequest, ways: DataFrame) -> Markup:
    """Return each way to reverse the edit, with what it restores and what it costs."""
    rows = [{**row, "objects": _probabilities(request, row), **_way(row)} for row in ways.to_dict("records")]
    return render("edit/ways_back.html", finding=mask_words.ways_back(ways), objects=_heads(request), rows=rows)


def _way(row: Mapping[str, Any]) -> dict[str, Any]:
    name, needs = mask_words.WAYS[row["way"]]
    locality = None if math.isnan(row["locality"]) else row["locality"]
    return {"name": _(name), "needs": _(needs), "now": row["way"] == "edited", "locality": locality}


def linked(frame: DataFrame, views: Sequence[str]) -> Markup:
    """Return whether linked facts follow the edit: in one sentence, and each of them in each view."""
    rows = [
        {
            **row,
            "cells": [
                (MARKS[row[view]], row[view], _(mask_words.FATE_NAMES[row[view]]), row[f"{view}.answer"]) for view in views
            ],
        }
        for row in frame.to_dict("records")
    ]
    key = [(MARKS[fate], _(mask_words.FATE_NAMES[fate]), _(meaning)) for fate, meaning in mask_words.FATES.items()]
    titles = [(view_title(view), "left") for view in views]
    return render("edit/linked.html", finding=mask_words.linked(frame, views), titles=titles, rows=rows, key=key)
