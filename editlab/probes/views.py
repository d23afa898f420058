"""What the model says at the prompt of an edit under each view: the answer that a page shows first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from editlab.answers import Answer, Answers
from editlab.facts import EditRequest
from editlab.model.generation import readable
from editlab.model.reading import Reading, read
from editlab.model.sampling import Sampling
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
    """Yield `summaries` as they come: all but the text first, then the text token by token. The prompt is read once."""
    targets = {"new": request.target_new, "true": request.target_true}
    reading = read(model, [request.text] * len(views), list(views.values()), TEXT_TOKENS)
    asked = [(row, key) for row in range(len(views)) for key, target in targets.items() if target is not None]
    scored = dict(zip(asked, reading.score([(row, targets[key] or "") for row, key in asked]), strict=True))
    known = [{key: scored.get((row, key)) for key in targets} for row in range(len(views))]
    numbers = [
        {f"p_{key}": score and score.p for key, score in own.items()}
        | {f"first_{key}": score and score.first for key, score in own.items()}
        for own in known
    ]
    for said in _written(model, reading, TEXT_TOKENS):
        yield {name: {**own, **answer} for name, own, answer in zip(views, numbers, said, strict=True)}


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
    reading = read(model, [asked[n][0] for n, _ in places], [asked[n][1][name] for n, name in places], tokens)
    for said in _written(model, reading, tokens):
        answers: list[dict[str, Answer]] = [{} for _ in asked]
        for (number, name), answer in zip(places, said, strict=True):
            answers[number][name] = answer
        yield answers


def _written(model: LanguageModel, reading: Reading, tokens: int) -> Iterator[list[Answer]]:
    """Yield the answer of each row of a reading as it comes: see `answers_so_far`."""
    tops: list[list[tuple[str, float]]] = []
    stream = reading.write(tokens, Sampling(), first=lambda logits: tops.extend(model.likeliest(logits)))
    for step, ids in enumerate(stream):
        texts = [readable(model, row) for row in ids]
        for own in ([""] * len(texts), texts) if step == 0 else (texts,):
            yield [{"top": [[*pair] for pair in top], "text": text} for top, text in zip(tops, own, strict=True)]
