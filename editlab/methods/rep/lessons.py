"""What a pathway may learn from, and the keys that it learns from: in-domain names only, never the new object.

Every token of another name of the subject is positive: what follows the subject's own words in it is where the model
listens. The subject as the edit has it hears the edit by itself and is left alone, but for its last token behind a long
text. All other tokens are negative: those around the name, other subjects in the same sentence, the same names about other
subjects, the subject asked about other things, and prose.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts.request import SLOT
from editlab.patches import BARE, BASE, Form, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

SWAPS = 6
"""Other subjects that each name is told about."""
LONG = 4
"""Long texts in front of the subject itself: an edit is heard less behind them."""
MOST_FLOATS = 64_000_000
"""Keys of prose and of other subjects are thinned out beyond so many numbers: a quarter of a gigabyte."""


@dataclass(frozen=True)
class Lessons:
    """The material of one subject. `prompt` has a "{}" where the subject stands.

    `names`: other names and orders of it; `passages`: prose that may stand in front; `prompts`: other questions about it;
    `others`: names of other subjects, at which nothing may change.
    """

    prompt: str
    subject: str
    names: tuple[str, ...]
    passages: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise BadRequest(
                f"REP has nothing to learn from: no other name of {self.subject!r} is known, and its single token has no "
                "other order. Write the prompt with another name of it under “Own rephrases”.",
                "subject",
            )


@dataclass(frozen=True)
class Named:
    """A text, where a name stands in it, and whether that name means the subject; `far`: behind a long text."""

    text: str
    start: int
    stop: int
    meant: bool
    far: bool = False

    @classmethod
    def of(cls, prompt: str, name: str, meant: bool, before: str = "", far: bool = False) -> Named:
        """Return the prompt with the name in its "{}" behind the text `before`."""
        head, _, tail = prompt.partition(SLOT)
        start = len(before) + len(head)
        return cls(f"{before}{head}{name}{tail}", start, start + len(name), meant, far)

    def asked(self, form: Form) -> Named:
        """Return the same as a text in this form is put to the model."""
        more = len(form.before)
        return replace(self, text=form.around(self.text), start=self.start + more, stop=self.stop + more)


@dataclass(frozen=True, eq=False)
class Keys:
    """Keys as rows with their label: whether the gate should open at this token."""

    keys: Float[Tensor, "n d_ff"]
    positive: Bool[Tensor, "n"]


def read(
    model: LanguageModel,
    lessons: Lessons,
    contexts: Sequence[str],
    layer: int,
    view: View,
    seed: int,
    form: Form = BARE,
) -> Keys:
    """Return all keys of the lessons, in a form, at a layer under a view. The forward stops there.

    Prose is read once a model, and what a form has before a text once: nothing before it makes another key of it.
    """
    rows = [row.asked(form) for row in _named(lessons, contexts, seed)]
    keys, positive = [], []
    for n, (row, own, offsets) in enumerate(
        zip(rows, *_all_keys(model, [row.text for row in rows], layer, view), strict=True)
    ):
        labels = torch.tensor([_stands_for(lessons.subject, row, span) for span in offsets], device=own.device)
        known = len(form.before) if n else 0
        real = torch.tensor([a < b and b > known for a, b in offsets], device=own.device)
        keys.append(own[real])
        positive.append(labels[real])
    X, y = torch.cat(keys), torch.cat(positive)
    prose = _prose(model, lessons.passages, layer, MOST_FLOATS // model.d_ff, seed)
    return Keys(torch.cat([X, prose]), torch.cat([y, y.new_zeros(len(prose))]))


def _named(lessons: Lessons, contexts: Sequence[str], seed: int) -> Iterator[Named]:
    rng = random.Random(f"{seed}/{lessons.prompt}/{lessons.subject}")
    for name in lessons.names:
        yield from (Named.of(lessons.prompt, name, True, context) for context in contexts)
    yield from (Named.of(lessons.prompt, lessons.subject, True, context) for context in contexts)
    behind = [f"{passage} " for passage in lessons.passages[:LONG]]
    yield from (Named.of(lessons.prompt, lessons.subject, True, text, far=True) for text in behind)
    yield from (Named.of(prompt, lessons.subject, True) for prompt in lessons.prompts)
    yield from (Named.of(lessons.prompt, other, False) for other in lessons.others)
    for name in lessons.names:
        if found := _part_of(lessons.subject, name):
            drawn = rng.sample(lessons.others, min(SWAPS, len(lessons.others)))
            for other in drawn:
                swapped = name.replace(found, other if found == lessons.subject else other.split()[-1])
                yield Named.of(lessons.prompt, swapped, False)


def _part_of(subject: str, name: str) -> str | None:
    """Return the subject or its last word, where the name holds it."""
    return next((part for part in (subject, subject.split()[-1]) if part in name), None)


def _stands_for(subject: str, row: Named, span: tuple[int, int]) -> bool:
    """Return whether a token ends another name of the subject, or the subject itself behind a long text."""
    begin, end = span
    if not row.meant or begin >= end or begin < row.start - 1 or end > row.stop:
        return False
    at = row.text.find(subject, row.start, row.stop)
    within = at >= 0 and begin >= at - 1 and end <= at + len(subject)
    return not within or (row.far and end == at + len(subject))


def _all_keys(
    model: LanguageModel, texts: Sequence[str], layer: int, view: View
) -> tuple[list[Float[Tensor, "tokens d_ff"]], list[list[tuple[int, int]]]]:
    """Return each text's keys at every token, and the stretches of text that its tokens stand for."""
    rows = [model.tok.spans(text) for text in texts]
    ids = [own for own, _ in rows]
    found: list[Tensor] = [torch.empty(0)] * len(texts)
    for chunk, keys in model.keys_everywhere(ids, layer, view):
        for n, own in zip(chunk, keys.float().split([len(ids[n]) for n in chunk]), strict=True):
            found[n] = own
    return found, [spans for _, spans in rows]


def _prose(model: LanguageModel, passages: Sequence[str], layer: int, most: int, seed: int) -> Float[Tensor, "n d_ff"]:
    """Return keys of prose, thinned out to `most`, read once a model without any edit: none is about the subject."""
    key = f"keys of prose {layer} {hash(tuple(passages))} {most} {seed}"
    if key not in model.memo:
        keys = [own[:most] for own in _all_keys(model, passages, layer, BASE)[0]]
        found = torch.cat(keys) if keys else torch.empty(0, model.d_ff, device=model.device)
        if len(found) > most:
            drawn = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))[:most]
            found = found[drawn.to(found.device)]
        model.memo[key] = found
    return model.memo[key]
