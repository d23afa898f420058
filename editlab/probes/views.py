"""What the model says at the prompt of an edit under each view: the answer that a page shows first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from editlab.facts import EditRequest
from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

TEXT_TOKENS = 20


def summary(model: LanguageModel, request: EditRequest, view: View) -> dict[str, Any]:
    """One view's answer at the edit prompt, as in `summaries`."""
    return summaries(model, request, {"view": view})["view"]


def summaries(model: LanguageModel, request: EditRequest, views: Mapping[str, View]) -> dict[str, dict[str, Any]]:
    """Each view's answer at the edit prompt, all views in the same forwards.

    `top`: the five likeliest next tokens, [token, p]; `p_new`, `p_true`: of the whole object; `first_new`, `first_true`:
    of its first token (None where the request has no true object); `text`: the greedy continuation.
    """
    names, stack = list(views), list(views.values())
    tops = model.tops([request.text] * len(names), stack, k=5)
    *_, written = model.generate([request.text] * len(names), stack, TEXT_TOKENS)
    targets = {"new": request.target_new, "true": request.target_true}
    asked = [(name, key) for name in names for key, target in targets.items() if target is not None]
    found = model.score([request.text] * len(asked), [targets[k] for _, k in asked], [views[n] for n, _ in asked])
    scored = dict(zip(asked, found, strict=True))
    answers = {}
    for name, top, text in zip(names, tops, written, strict=True):
        own = {key: scored.get((name, key)) for key in targets}
        answers[name] = {
            "top": [[token, p] for token, p in top],
            **{f"p_{key}": score and score.p for key, score in own.items()},
            **{f"first_{key}": score and score.first for key, score in own.items()},
            "text": text,
        }
    return answers
