"""Edits are loud: over many facts, how sure an edited model is of the new object, and which parts of it say so.

One row a case, under a key of all that shaped it, so that a run that keeps its rows can be resumed. Source: arXiv
2605.28839, section 5, whose comparison is P(new) after the edit against P(true) before it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from editlab import methods
from editlab.answers import ViewName
from editlab.errors import BadRequest, DegenerateKey, TooLong
from editlab.facts import EditRequest
from editlab.insight.contributions import contributions
from editlab.insight.stream import Question
from editlab.methods.mask import ReversalMask
from editlab.model import statistics
from editlab.patches import BASE, View
from editlab.work import Cancel, never

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CASE_FAULTS = (BadRequest, DegenerateKey, TooLong)
"""What a single case can be at fault for; any other error concerns them all."""


@dataclass(frozen=True)
class Loudness:
    """One case: `p_new` and `p_true` of the whole objects by view, and what each part adds to their logits.

    `views`: "base", "edited" and, with a mask, "masked" and "base_masked", the control. `parts`: `[view, part, layer, new,
    true]`, as `contributions` has them. `skipped`: why the case has no numbers.
    """

    key: str
    subject: str
    target_new: str
    target_true: str
    p_new: dict[str, float]
    p_true: dict[str, float]
    parts: list[list[Any]]
    skipped: str | None = None

    def as_json(self) -> str:
        """Return one line of a file of rows."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Loudness:
        """Return the row of such a line. Raises `ValueError` or `TypeError` where it is none."""
        return cls(**json.loads(line))


def rows(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    method: str = "rome",
    mask: ReversalMask | None = None,
    done: Collection[str] = (),
    cancel: Cancel = never,
) -> Iterator[Loudness]:
    """Edit each request alone on the base model and look at its prompt's last token; cases whose key is `done` are left out.

    A case that cannot be edited comes as a row that says why. Raises `Cancelled`, and `BadRequest` for a request without
    a true object.
    """
    for request in requests:
        if request.target_true is None:
            raise BadRequest(f"{request.text!r} has no true object to compare with. Give one.", "target_true")
    for request, key in zip(requests, keys(model, requests, method, mask), strict=True):
        if key not in done:
            yield _row(model, request, method, mask, key, cancel)


def keys(model: LanguageModel, requests: Sequence[EditRequest], method: str, mask: ReversalMask | None) -> list[str]:
    """Return the keys of the rows that `rows` gives for these requests."""
    setup = _setup(model, method, mask)
    return [hashlib.sha256(json.dumps([setup, r.as_dict()]).encode()).hexdigest()[:16] for r in requests]


def _row(
    model: LanguageModel, request: EditRequest, method: str, mask: ReversalMask | None, key: str, cancel: Cancel
) -> Loudness:
    said = key, request.subject, request.target_new, request.target_true or ""
    try:
        edited = View(tuple(methods.get(method).edit(model, [request], cancel=cancel)))
        views = {ViewName.BASE: BASE, ViewName.EDITED: edited}
        if mask is not None:
            views |= {ViewName.MASKED: edited.with_patches(mask.masks), ViewName.BASE_MASKED: View(mask.masks)}
        question = Question.of(model, request)
        if question.new == question.true:
            raise BadRequest(f"{request.target_new} and {request.target_true} begin with the same token.", "target_new")
        parts = contributions(model, views, question, cancel)
        targets = [target for target in (request.target_new, request.target_true or "") for _ in views]
        scores = model.score([request.text] * len(targets), targets, [*views.values()] * 2)
    except CASE_FAULTS as fault:
        return Loudness(*said, {}, {}, [], skipped=str(fault))
    p = [score.p for score in scores]
    p_new, p_true = dict(zip(views, p[: len(views)], strict=True)), dict(zip(views, p[len(views) :], strict=True))
    return Loudness(*said, p_new, p_true, parts[["view", "part", "layer", "new", "true"]].to_numpy().tolist())


def _setup(model: LanguageModel, method: str, mask: ReversalMask | None) -> list[str]:
    """Return what shapes all cases: the model, the method with its settings, and every bit of the mask."""
    config = methods.config_for(method, model)
    masks = () if mask is None else mask.masks
    digests = [hashlib.sha256(own.kept.cpu().numpy().tobytes()).hexdigest() + f" {own.layer}" for own in masks]
    layers = methods.get(method).layers_measured(config)
    measured = statistics.digests(model, layers)
    precision = [str(model.dtype), torch.get_float32_matmul_precision()]
    return [model.fingerprint, str(model.start), *precision, method, repr(config), *measured, *digests]


def loud(found: Sequence[Loudness]) -> pd.DataFrame:
    """Return a row a comparison of the cases: how much likelier one thing is than another.

    Columns: `what`: "edited" (P(new) after the edit against P(true) before it), and with a mask "masked" (the same under the
    mask), "returned" (P(true) under the mask against P(true) before the edit) and "control" (P(true) of the unedited model
    under the mask against the same); `n`; `mean`, `sd` and `mean_before`, `sd_before` of the two; `louder`, the share of
    cases in which the first is larger; `d`, Cohen's d of the paired differences: their mean by their standard deviation
    (NaN below two cases, or where all are the same).
    """
    good = [row for row in found if row.skipped is None]
    pairs = {
        "edited": ([row.p_new.get(ViewName.EDITED) for row in good], [row.p_true[ViewName.BASE] for row in good]),
        "masked": ([row.p_new.get(ViewName.MASKED) for row in good], [row.p_true[ViewName.BASE] for row in good]),
        "returned": ([row.p_true.get(ViewName.MASKED) for row in good], [row.p_true[ViewName.BASE] for row in good]),
        "control": ([row.p_true.get(ViewName.BASE_MASKED) for row in good], [row.p_true[ViewName.BASE] for row in good]),
    }
    return pd.DataFrame([_compared(what, *pair) for what, pair in pairs.items() if pair[0] and None not in pair[0]])


def _compared(what: str, after: Sequence[float], before: Sequence[float]) -> dict[str, Any]:
    pair = pd.DataFrame({"after": after, "before": before}, dtype=float)
    difference = pair["after"] - pair["before"]
    spread = difference.std()
    return {
        "what": what,
        "n": len(pair),
        "mean": pair["after"].mean(),
        "sd": pair["after"].std(),
        "mean_before": pair["before"].mean(),
        "sd_before": pair["before"].std(),
        "louder": (difference > 0).mean(),
        "d": difference.mean() / spread if spread > 0 else math.nan,
    }


def summary(found: Sequence[Loudness]) -> pd.DataFrame:
    """Return what each part adds to the logits over the cases: mean and standard error. A row a view, part and layer.

    Columns: `view`, `part`, `layer`, `n`, and `new`, `new_se`, `true`, `true_se` (a standard error is NaN below two cases).
    """
    cases = [(n, *part) for n, row in enumerate(found) if row.skipped is None for part in row.parts]
    frame = pd.DataFrame(cases, columns=["case", "view", "part", "layer", "new", "true"]).astype(
        {"new": float, "true": float}
    )
    groups = frame.groupby(["view", "part", "layer"], sort=False)
    return groups.agg(
        n=("case", "size"), new=("new", "mean"), new_se=("new", "sem"), true=("true", "mean"), true_se=("true", "sem")
    ).reset_index()
