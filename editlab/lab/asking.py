"""What a text leads to under all views at once, shown while it comes: the likeliest tokens, then the text token by token.

The likeliest tokens are read off the logits from which the first token is chosen, so that they cost no forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Generator, Tensor

from editlab.errors import Cancelled
from editlab.facts import EditRequest
from editlab.lab.worker import Cancel, Progress
from editlab.model import LanguageModel, Sampling
from editlab.patches import View

TOP = 5

Answers = dict[str, dict[str, Any]]


def continued(
    model: LanguageModel,
    text: str,
    views: Mapping[str, View],
    tokens: int,
    progress: Progress,
    cancel: Cancel,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> Answers:
    """Each view's `top` ([token, p] x 5) and greedy continuation `text` behind what is `known`; shown as they grow.

    Raises `Cancelled` at the next token, `TooLong` where text and continuation do not fit the model's context.
    """
    known = known or {name: {} for name in views}
    tops: list[list[list[Any]]] = []

    def said(written: list[str]) -> Answers:
        return {
            name: {**known[name], "top": top, "text": text} for name, top, text in zip(views, tops, written, strict=True)
        }

    def see(logits: Tensor) -> None:
        if not tops:
            tops.extend(_likeliest(model, logits))
            progress.show(said([""] * len(views)))

    written = [""] * len(views)
    progress(0.0, "the model reads")
    for step, written in enumerate(
        model.generate([text] * len(views), list(views.values()), tokens, _Seen(see=see)), start=1
    ):
        if cancel():
            raise Cancelled("Stopped before the answer was complete.")
        progress(step / tokens, "the model writes")
        progress.show(said(written))
    return said(written)


def scored(model: LanguageModel, request: EditRequest, views: Mapping[str, View]) -> Answers:
    """`p_new`, `p_true`, `first_new` and `first_true` of each view as in `probes.summaries`, in one batch."""
    targets = {"new": request.target_new, "true": request.target_true}
    asked = [(name, key) for name in views for key, target in targets.items() if target is not None]
    found = model.score([request.text] * len(asked), [targets[key] for _, key in asked], [views[name] for name, _ in asked])
    scores = dict(zip(asked, found, strict=True))
    return {
        name: {f"p_{key}": score and score.p for key in targets for score in [scores.get((name, key))]}
        | {f"first_{key}": score and score.first for key in targets for score in [scores.get((name, key))]}
        for name in views
    }


@dataclass(frozen=True)
class _Seen(Sampling):
    """Greedy choice that lets somebody see the logits first."""

    see: Callable[[Tensor], None] = lambda logits: None

    def draw(self, logits: Tensor, generator: Generator) -> Tensor:
        """One token a row."""
        self.see(logits)
        return super().draw(logits, generator)


def _likeliest(model: LanguageModel, logits: Tensor) -> list[list[list[Any]]]:
    p, ids = logits.softmax(-1).topk(TOP)
    return [
        [[model.tok.decode([i]), q] for i, q in zip(row_ids, row_p, strict=True)]
        for row_ids, row_p in zip(ids.tolist(), p.tolist(), strict=True)
    ]
