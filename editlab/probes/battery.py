"""From a case to the prompts that are asked: the edit itself, and everything around it that it may reach or harm.

The protocol is the one of REP (Yan et al. 2025, arXiv 2410.09338), with three kinds of probe that it lacks: paraphrases,
the same subject's other facts, and what follows from the edit.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from editlab.errors import BadRequest
from editlab.facts import EditCase, EditRequest, Expectation, split
from editlab.facts.request import SLOT
from editlab.facts.script import number_at, unspaced
from editlab.probes.passages import Passages
from editlab.wording import noop

if TYPE_CHECKING:
    from editlab.model import LanguageModel

KINDS = {
    "success": noop("the prompt of the edit itself"),
    "rephrase": noop("the same prompt with another name of the subject"),
    "shuffle": noop("the same prompt with the subject's tokens in another order"),
    "long": noop("the same prompt after a long, unrelated text"),
    "paraphrase": noop("the same fact asked in other words"),
    "locality": noop("the same question about other subjects, whose answers must stay"),
    "same_subject": noop("other facts about the subject, which must stay"),
    "propagation": noop("other facts that have to change once this one has"),
}
"""Every kind of probe and what it asks, in the order in which a battery has them."""

TELLING = ("success", "rephrase", "paraphrase", "same_subject", "locality", "propagation", "shuffle", "long")
"""The same kinds from the most telling one on, as somebody who watches wants them asked; long texts take the longest."""

MOST_SHUFFLES = 10
MOST_PASSAGES = 5
"""Most long contexts a domain."""


@dataclass(frozen=True)
class Probe:
    """One prompt and what a good edit makes of it.

    `kind` is a key of `KINDS`; `domain` is "in" (an adaptor may have seen its like), "out", or "" where the kind has no
    such halves. `expected` None: whatever the base model says. `subject`: the words of `text` that it asks about;
    `before`: what should follow as long as the fact is not edited, for propagation alone. `aliases` are as good as what is
    expected, and of probes with the same `any_of`, one that is right suffices.
    """

    kind: str
    domain: str
    text: str
    expected: str | None
    subject: str = ""
    before: str | None = None
    aliases: tuple[str, ...] = ()
    any_of: str = ""


def battery(
    model: LanguageModel, case: EditCase, passages: Passages, seed: int = 0, most: int | None = None
) -> tuple[Probe, ...]:
    """Return all probes of a case, kind after kind; `most` keeps the first few of each kind and domain.

    Shuffles and long contexts are drawn with `seed`, anew for each edit; both domains get equally many passages.
    """
    request = case.request
    rng = random.Random(f"{seed}/{request.text}")
    names = {"rephrase": case.rephrases, "shuffle": shuffles(model, request.subject, seed)}
    probes = [Probe("success", "", request.text, request.target_new, request.subject)]
    for kind, others in names.items():
        for domain, half in zip(("in", "out"), split(others), strict=True):
            probes += [_renamed(kind, domain, request, name) for name in half]
    probes += _after_passages(request, passages, rng)
    probes += [_paraphrase(request, text) for text in case.paraphrases]
    probes += [_elsewhere("locality", item) for item in case.neighbours]
    probes += [_elsewhere("same_subject", item, request.subject) for item in case.same_subject]
    probes += [_elsewhere("propagation", item) for item in case.propagation]
    return tuple(_first_of_each(probes, most))


def shuffles(model: LanguageModel, subject: str, seed: int = 0) -> tuple[str, ...]:
    """Return the subject's tokens in other orders, as text: at most 10, distinct, never the subject itself.

    A token is taken as the stretch of text it stands for, found by its offsets, with a space in front where it begins a
    word. So none of the tokenizer's own markers gets into the text ("▁", "Ġ"), no character is torn, and a name reads as
    a name: "Michael Jordan" gives "Jordan Michael", and "Slo|ven|ia" gives "ia Sloven". A single token has no other order.
    """
    pieces = _pieces(model, subject)
    rng = random.Random(f"{seed}/{subject}")
    few = len(pieces) <= 5
    orders = permutations(pieces) if few else (rng.sample(pieces, len(pieces)) for _ in range(10 * MOST_SHUFFLES))
    texts = dict.fromkeys("".join(order).strip() for order in orders)
    texts.pop(subject, None)
    return tuple(rng.sample(list(texts), min(MOST_SHUFFLES, len(texts))))


def _pieces(model: LanguageModel, subject: str) -> list[str]:
    """Return the subject's tokens as text, each with its space; those that share a character or a number are one piece."""
    text = subject if unspaced(subject) else f" {subject}"
    encoding = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    cuts = [0]
    for start, _ in encoding["offset_mapping"]:
        cut = start - 1 if text[start - 1 : start] == " " else start
        if cut > cuts[-1] and not number_at(text, cut):
            cuts.append(cut)
    return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _renamed(kind: str, domain: str, request: EditRequest, name: str) -> Probe:
    return Probe(kind, domain, request.prompt.replace(SLOT, name), request.target_new, name)


def _after_passages(request: EditRequest, passages: Passages, rng: random.Random) -> Iterator[Probe]:
    count = min(MOST_PASSAGES, len(passages.inside), len(passages.outside))
    for domain, texts in (("in", passages.inside), ("out", passages.outside)):
        for text in rng.sample(texts, count):
            yield Probe("long", domain, f"{text} {request.text}", request.target_new, request.subject)


def _paraphrase(request: EditRequest, text: str) -> Probe:
    return Probe("paraphrase", "", text, request.target_new, request.subject if request.subject in text else "")


def _elsewhere(kind: str, item: Expectation, subject: str = "") -> Probe:
    marked = item.subject or (subject if subject in item.text else "")
    return Probe(kind, "", item.text, item.expected, marked, item.before, item.aliases, item.any_of)


def _first_of_each(probes: Iterable[Probe], most: int | None) -> Iterator[Probe]:
    if most is not None and most < 1:
        raise BadRequest(f"{most} probes of each kind are no battery. Ask for at least one.")
    kept: dict[tuple[str, str], int] = {}
    for probe in probes:
        group = probe.kind, probe.domain
        kept[group] = kept.get(group, 0) + 1
        if most is None or kept[group] <= most:
            yield probe
