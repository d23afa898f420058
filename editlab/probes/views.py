"""What the model says at the prompt of an edit under each view: the answer that a page shows first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from editlab.answers import Answer, Answers
from editlab.facts import EditRequest
from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

TEXT_TOKENS = 20


def summary(model: LanguageModel, request: EditRequest, view: View) -> Answer:
    """Return one view's answer at the edit prompt, as in `summaries`."""
    return summaries(model, request, {"view": view})["view"]


def summaries(model: LanguageModel, request: EditRequest, views: Mapping[str, View]) -> Answers:
    """Return each view's answer at the edit prompt, all views in the same forwards.

    They have all fields of an `Answer`.
    """
    *_, said = summaries_so_far(model, request, views)
    return said


def summaries_so_far(model: LanguageModel, request: EditRequest, views: Mapping[str, View]) -> Iterator[Answers]:
    """Yield `summaries` as they come: all but the text first, then the text token by token."""
    targets = {"new": request.target_new, "true": request.target_true}
    asked = [(name, key) for name in views for key, target in targets.items() if target is not None]
    found = model.score([request.text] * len(asked), [targets[key] for _, key in asked], [views[name] for name, _ in asked])
    scored = dict(zip(asked, found, strict=True))
    known = {name: {key: scored.get((name, key)) for key in targets} for name in views}
    for said in answers_so_far(model, request.text, views, TEXT_TOKENS):
        yield {
            name: {
                **{f"p_{key}": score and score.p for key, score in own.items()},
                **{f"first_{key}": score and score.first for key, score in own.items()},
                **said[name],
            }
            for name, own in known.items()
        }


def answers_so_far(model: LanguageModel, text: str, views: Mapping[str, View], tokens: int) -> Iterator[Answers]:
    """Yield how each view goes on with a text, as it comes: its `top` five tokens with an empty `text`, then token by token.

    The likeliest tokens are read off the logits from which the first token is chosen, so that they cost no forward.
    """
    for (answers,) in answers_together(model, [(text, views)], tokens):
        yield answers


def answers_together(
    model: LanguageModel, asked: Sequence[tuple[str, Mapping[str, View]]], tokens: int
) -> Iterator[list[Answers]]:
    """Yield `answers_so_far` for several texts, each with views of its own, all of them rows of the same forwards."""
    places = [(number, name) for number, (_, views) in enumerate(asked) for name in views]
    tops: list[list[tuple[str, float]]] = []
    stream = model.generate(
        [asked[number][0] for number, _ in places],
        [asked[number][1][name] for number, name in places],
        tokens,
        first=lambda x: tops.extend(model.likeliest(x)),
    )
    for step, written in enumerate(stream):
        for texts in ([""] * len(places), written) if step == 0 else (written,):
            answers: list[dict[str, Answer]] = [{} for _ in asked]
            for (number, name), top, own in zip(places, tops, texts, strict=True):
                answers[number][name] = {"top": [[token, p] for token, p in top], "text": own}
            yield answers
