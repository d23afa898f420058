"""How a model does under all its edits: which still hold, what else they changed, and how worn the model is.

Nobody sees the wear of one edit; over a chain it shows in what the model says elsewhere, in how well it reads plain prose,
and in the size of the edits (arXiv 2401.07453, 2405.14768). Everything is compared with the same model without
edits, which is measured once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.answers import ViewName
from editlab.facts import FactBase
from editlab.insight.attention import attention
from editlab.insight.energy import growth, largest
from editlab.insight.holding import Held, Pause, Watched, held, scored
from editlab.insight.prose import halved, losses, mean_loss
from editlab.insight.stream import Question
from editlab.patches import BASE, View
from editlab.probes.ability import Choice, pick, without
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

FACTS, PROMPTS, SAME_SUBJECT, PASSAGES, LOOKS = 100, 32, 100, 8, 8
"""How many facts of others, reference prompts, facts of the edited subjects and passages are asked, and attentions read."""
SPARE = 3
"""So many times as many reference prompts are kept, of which the edits may be about some."""
CANDIDATES = 3
"""So many times as many facts are tried, to find those that the model knows."""


class Ability(NamedTuple):
    """Answers to questions with four options: how many were asked, right without the edits, and lost and gained by them."""

    asked: int
    before: int
    lost: int
    gained: int

    @property
    def share(self) -> float:
        """The share of right answers under the edits."""
        return (self.before - self.lost + self.gained) / self.asked

    @property
    def base(self) -> float:
        """The share of right answers without them."""
        return self.before / self.asked


@dataclass(frozen=True, eq=False)
class Reference:
    """What a model does without edits, to which its edited self is held. Made once a model and seed.

    `facts`: (prompt, object, subject) that it knows; `prompts`: the first of them, and `log_p`: its log-probabilities
    `[prompts, vocab]` behind these; `passages`: (beginning, rest) of prose; `loss`: nats a token on those rests; `right`:
    the questions with four options that are asked, and whether it picks the right one.
    """

    facts: tuple[tuple[str, str, str], ...]
    prompts: tuple[tuple[str, str, str], ...]
    log_p: Float[Tensor, "prompts vocab"]
    passages: tuple[tuple[str, str], ...]
    loss: float
    right: Mapping[Choice, bool] = field(default_factory=dict)
    known: dict[tuple[str, str], bool] = field(default_factory=dict)
    norms: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        facts: FactBase,
        passages: Sequence[str],
        seed: int = 0,
        rest: Pause = lambda: None,
        choices: Sequence[Choice] = (),
    ) -> Reference:
        """Ask the model what it knows of a sample of the facts, how well it reads passages, and which options it picks.

        `rest()` is called every moment, between two forwards.
        """
        rng = random.Random(seed)
        sample = rng.sample(list(facts.facts), min(CANDIDATES * FACTS, len(facts.facts)))
        questions = [
            (rng.choice(wordings).replace("{}", fact.subject), fact.object, fact.subject)
            for fact in sample
            if (wordings := facts.relations[fact.relation].templates)
        ]
        scores = scored(model, [(text, object) for text, object, _ in questions], BASE, rest)
        known = tuple(item for item, score in zip(questions, scores, strict=True) if score.hit)[:FACTS]
        halves = tuple(halved(text) for text in passages[:PASSAGES])
        prompts = (known or tuple(questions) or tuple((begin, "", "") for begin, _ in halves))[: SPARE * PROMPTS]
        log_p = _log_p(model, [text for text, *_ in prompts], BASE)
        loss = mean_loss(losses(model, halves, BASE, rest))
        return cls(known, prompts, log_p, halves, loss, _right(model, choices, BASE, rest))


@dataclass(frozen=True)
class Checkup:
    """What was found. Shares are 0 to 1, None where there was nothing to ask.

    `edits`: by id the share of its own questions that say the new object, and of all its prompts, three a request (a batch
    has many requests). `holds` and `retention`: the same of all requests. `locality`: the share of other subjects' facts
    that are still said, and `same_subject` of the edited subjects' other facts. `loss` and `loss_base`: nats a token on
    plain prose. `kl`: nats from the model without edits to this one, mean over prompts of other subjects. `relative_norm`:
    |dW| / |W| of the layer where it is largest. `value_norm`: how loud the edits speak at their subjects' keys against the
    layer itself, median. `attention`: how much more the layers above look at the edited subjects, mean over heads and the
    latest edits. `energy`: by how much they changed the hyperspherical energy of their layer, as a share, where it changed
    most. `generated`: the share of requests whose own question is answered with the new object where the view writes freely.
    `ability`: what became of the answers to questions with four options. The last three are None in check-ups that were made
    before they were measured.
    """

    edits: Mapping[str, tuple[float, float]]
    holds: float | None
    retention: float | None
    locality: float | None
    same_subject: float | None
    loss: float
    loss_base: float
    kl: float | None
    relative_norm: float
    value_norm: float | None
    attention: float | None
    seconds: float
    energy: float | None = None
    generated: float | None = None
    ability: Ability | None = None

    @property
    def metrics(self) -> dict[str, Any]:
        """All that is a number, by its name; `ability` and `ability_base` as shares of right answers."""
        own = self.ability
        shares = {"ability": own and own.share, "ability_base": own and own.base}
        return {name: value for name, value in vars(self).items() if name != "edits"} | shares


METRICS = (
    "holds",
    "generated",
    "retention",
    "locality",
    "same_subject",
    "ability",
    "loss",
    "kl",
    "relative_norm",
    "value_norm",
    "attention",
    "energy",
)
"""Those of its numbers that are followed over a chain."""


def checkup(
    model: LanguageModel,
    watched: Sequence[Watched],
    view: View,
    reference: Reference,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    rest: Callable[[], None] = lambda: None,
) -> Checkup:
    """Ask everything again under a view. `rest()` is called every moment, between two forwards. Raises `Cancelled`."""
    began = time.monotonic()

    def pause() -> None:
        rest()
        stop_if(cancel, "Stopped before the check-up was complete.")

    progress(0.0, "check-up: do the edits hold?")
    found = held(model, watched, view, pause)
    progress(0.4, "check-up: what else was hit?")
    subjects, ended = {own.request.subject for own in watched}, {fact for own in watched for fact in own.ended}

    def stays(fact: tuple[str, str, str]) -> bool:
        _, object, who = fact
        return who not in subjects and (who, object) not in ended

    locality = _still_said(model, [fact[:2] for fact in reference.facts if stays(fact)], view, pause)
    same_subject = _still_said(model, _known(model, watched, reference, pause), view, pause)
    progress(0.7, "check-up: how well does it read?")
    loss = mean_loss(losses(model, reference.passages, view, pause))
    kl = _kl(model, view, reference, [number for number, fact in enumerate(reference.prompts) if stays(fact)][:PROMPTS])
    ability = _ability(model, without(reference.right, subjects), view, reference, pause)
    pause()
    progress(0.9, "check-up: size of the edits")
    return Checkup(
        edits=_by_edit(watched, found),
        holds=_share(own.said[:1] for own in found) if found else None,
        retention=_share(own.said for own in found) if found else None,
        locality=locality,
        same_subject=same_subject,
        loss=loss,
        loss_base=reference.loss,
        kl=kl,
        relative_norm=largest([_relative_norm(model, layer, view, reference) for layer in view.laid]),
        value_norm=_value_norm(model, watched, view),
        attention=_attention(model, watched[-LOOKS:], view, cancel),
        seconds=time.monotonic() - began,
        energy=growth(model, view),
        generated=_mean(own.written for own in found),
        ability=ability,
    )


def _by_edit(watched: Sequence[Watched], found: Sequence[Held]) -> dict[str, tuple[float, float]]:
    said: dict[str, list[tuple[bool, ...]]] = {}
    for own, one in zip(watched, found, strict=True):
        said.setdefault(own.id, []).append(one.said)
    return {id: (_share(hits[:1] for hits in of), _share(of)) for id, of in said.items()}


def _share(said: Iterable[Iterable[bool]]) -> float:
    """Return the share of all these, counted: a mean of means would miss the limit that it lies at."""
    hits = [hit for own in said for hit in own]
    return sum(hits) / len(hits)


def _still_said(model: LanguageModel, asked: Sequence[tuple[str, str]], view: View, pause: Pause) -> float | None:
    return _mean(float(score.hit) for score in scored(model, asked, view, pause))


def _known(model: LanguageModel, watched: Sequence[Watched], reference: Reference, pause: Pause) -> list[tuple[str, str]]:
    """Return other facts of the edited subjects that the model knew before, those of the latest edits first.

    What one of the edits means to end is none: of a subject with two edits, each is about a fact that is another's other.
    """
    ended = {fact for own in watched for fact in own.ended}
    facts = (item for own in reversed(watched) for item in own.same_subject)
    asked = list(dict.fromkeys((text, o) for text, o, who in facts if (who, o) not in ended))[:SAME_SUBJECT]
    new = [item for item in asked if item not in reference.known]
    for item, score in zip(new, scored(model, new, BASE, pause), strict=True):
        reference.known[item] = score.hit
    return [item for item in asked if reference.known[item]]


def _right(model: LanguageModel, choices: Sequence[Choice], view: View, pause: Pause) -> dict[Choice, bool]:
    picked = pick(model, choices, view, pause)
    return {choice: own.per_letter == choice.right for choice, own in zip(choices, picked, strict=True)}


def _ability(
    model: LanguageModel, choices: Sequence[Choice], view: View, reference: Reference, pause: Pause
) -> Ability | None:
    """Return what became of the answers without the edits; None where there is no question."""
    if not choices:
        return None
    now = _right(model, choices, view, pause)
    pairs = [(reference.right[choice], now[choice]) for choice in choices]
    lost, gained = (sum(pair == change for pair in pairs) for change in ((True, False), (False, True)))
    return Ability(len(pairs), sum(before for before, _ in pairs), lost, gained)


def _log_p(model: LanguageModel, prompts: Sequence[str], view: View) -> Float[Tensor, "prompts vocab"]:
    return model.logits(prompts, view).log_softmax(-1)


def _kl(model: LanguageModel, view: View, reference: Reference, chosen: Sequence[int]) -> float | None:
    """Return KL(base || now), the mean over the chosen prompts, in nats; None without any.

    It is never below 0 by rounding, and NaN stays NaN.
    """
    if not chosen:
        return None
    base, now = reference.log_p[list(chosen)], _log_p(model, [reference.prompts[number][0] for number in chosen], view)
    return max((base.exp() * (base - now)).sum(-1).mean().item(), 0.0)


@torch.no_grad()
def _relative_norm(model: LanguageModel, layer: int, view: View, reference: Reference) -> float:
    if layer not in reference.norms:
        reference.norms[layer] = model.weight(layer).norm().item()
    laid = view.laid[layer]
    if laid.D is not None:
        return laid.dense().norm().item() / reference.norms[layer]
    if laid.A is None or laid.B is None:
        return 0.0
    squared = ((laid.B.T @ laid.B) * (laid.A @ laid.A.T)).sum()  # |BA|^2 without the matrix
    return squared.clamp(min=0).sqrt().item() / reference.norms[layer]


@torch.no_grad()
def _value_norm(model: LanguageModel, watched: Sequence[Watched], view: View) -> float | None:
    """Return |dW k| / |W k| at each edit's own key, in the layer where it is largest; the median over edits."""
    layers = [layer for layer, laid in view.laid.items() if laid.A is not None or laid.D is not None]
    if not watched or not layers:
        return None
    rows = [model.locate(own.request.prompt, own.request.subject) for own in watched]
    keys = model.keys(rows, layers, view)
    ratios = []
    for layer, key in keys.items():
        laid, weight = view.laid[layer], model.weight(layer)
        added = laid.at(weight.device)(key.to(weight.device))
        ratios.append(added.norm(dim=-1) / (key.to(weight.device) @ weight.T).norm(dim=-1).clamp(min=1e-12))
    return torch.stack([ratio.cpu() for ratio in ratios]).amax(0).median().item()


def _attention(model: LanguageModel, watched: Sequence[Watched], view: View, cancel: Cancel) -> float | None:
    """Return how much more the layers above the lowest edited one look at the subjects than without the edits."""
    above = min(view.laid, default=0) + 1
    found = []
    for own in watched:
        question = Question.of(model, own.request)
        if question.subject is None or question.subject <= question.at:  # nothing comes after it to look at it
            continue
        table = attention(model, {ViewName.BASE: BASE, "now": view}, question, cancel)
        high = table[table["layer"] >= above].groupby("view")["weight"].mean()
        if len(high):
            found.append(float(high["now"] - high[ViewName.BASE]))
    return _mean(found)


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None
