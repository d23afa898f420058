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
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.answers import ViewName
from editlab.errors import BadRequest
from editlab.facts import EditRequest, FactBase
from editlab.insight.attention import attention
from editlab.insight.energy import growth
from editlab.insight.stream import Question
from editlab.model.scoring import Score
from editlab.patches import BASE, View
from editlab.probes import case_for
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

FACTS, PROMPTS, SAME_SUBJECT, PASSAGES, LOOKS = 100, 32, 100, 8, 8
"""How many facts of others, reference prompts, facts of the edited subjects and passages are asked, and attentions read."""
CANDIDATES = 3
"""So many times as many facts are tried, to find those that the model knows."""
SAID = 2
"""Prompts of an edit besides its own question."""
CONTEXT = "It is well known that"
"""What stands in front of a question that nobody knows other words for."""

AT_ONCE = 16
"""Prompts that are asked before others get the model."""

Pause = Callable[[], None]
"""Lets others at the model, and raises `Cancelled` where the check-up is to end."""


@dataclass(frozen=True)
class Watched:
    """An edit that is asked again: its own question and two more, at which it was to hold as well."""

    id: str
    request: EditRequest
    prompts: tuple[str, str, str]
    same_subject: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, id: str, request: EditRequest, facts: FactBase, seed: int = 0) -> Watched:
        """Return the question in other words and under another name, where the facts know any; else behind a few words."""
        case = case_for(request, facts, seed)
        renamed = (request.prompt.replace("{}", name) for name in case.rephrases)
        others = [
            *case.paraphrases[:1],
            *renamed,
            *case.paraphrases[1:],
            f"{CONTEXT} {request.text}",
            f"{CONTEXT}: {request.text}",
        ]
        first, second = others[:SAID]
        same = tuple((item.text, item.expected) for item in case.same_subject if item.expected)
        return cls(id, request, (request.text, first, second), same)


@dataclass(frozen=True, eq=False)
class Reference:
    """What a model does without edits, to which its edited self is held. Made once a model and seed.

    `facts`: (prompt, object, subject) that it knows; `log_p`: its log-probabilities `[prompts, vocab]` behind the first of
    them; `passages`: (beginning, rest) of prose; `loss`: nats a token on those rests.
    """

    facts: tuple[tuple[str, str, str], ...]
    prompts: tuple[str, ...]
    log_p: Float[Tensor, "prompts vocab"]
    passages: tuple[tuple[str, str], ...]
    loss: float
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
    ) -> Reference:
        """Ask the model what it knows of a sample of the facts, and how well it reads passages that it was not taught.

        `rest()` is called every moment, between two forwards.
        """
        rng = random.Random(seed)
        sample = rng.sample(list(facts.facts), min(CANDIDATES * FACTS, len(facts.facts)))
        asked = [
            (rng.choice(wordings).replace("{}", fact.subject), fact.object, fact.subject)
            for fact in sample
            if (wordings := facts.relations[fact.relation].templates)
        ]
        scores = _asked(model, [(text, object) for text, object, _ in asked], BASE, rest)
        known = tuple(item for item, score in zip(asked, scores, strict=True) if score.hit)[:FACTS]
        halves = tuple(_halved(text) for text in passages[:PASSAGES])
        prompts = tuple(text for text, _, _ in known or asked) or tuple(begin for begin, _ in halves)
        prompts = prompts[:PROMPTS]
        return cls(known, prompts, _log_p(model, prompts, BASE), halves, _loss(model, halves, BASE, rest))


@dataclass(frozen=True)
class Checkup:
    """What was found. Shares are 0 to 1, None where there was nothing to ask.

    `edits`: by id the share of its own questions that say the new object, and of all its prompts, three a request (a batch
    has many requests). `holds` and `retention`: the same of all requests. `locality`: the share of other subjects' facts
    that are still said, and `same_subject` of the edited subjects' other facts. `loss` and `loss_base`: nats a token on
    plain prose. `kl`: nats from the model without edits to this one, mean over reference prompts. `relative_norm`:
    |dW| / |W| of the layer where it is largest. `value_norm`: how loud the edits speak at their subjects' keys against the
    layer itself, median. `attention`: how much more the layers above look at the edited subjects, mean over heads and the
    latest edits. `energy`: by how much they changed the hyperspherical energy of their layer, as a share, where it changed
    most; None in check-ups that were made before it was measured.
    """

    edits: Mapping[str, tuple[float, float]]
    holds: float | None
    retention: float | None
    locality: float | None
    same_subject: float | None
    loss: float
    loss_base: float
    kl: float
    relative_norm: float
    value_norm: float | None
    attention: float | None
    seconds: float
    energy: float | None = None


METRICS = (
    "holds",
    "retention",
    "locality",
    "same_subject",
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
    said = _said(model, watched, view, pause)
    progress(0.4, "check-up: what else was hit?")
    subjects = {own.request.subject for own in watched}
    locality = _still_said(model, [(text, said) for text, said, who in reference.facts if who not in subjects], view, pause)
    same_subject = _still_said(model, _known(model, watched, reference, pause), view, pause)
    progress(0.7, "check-up: how well does it read?")
    loss = _loss(model, reference.passages, view, pause)
    kl = _kl(reference.log_p, _log_p(model, reference.prompts, view))
    pause()
    progress(0.9, "check-up: size of the edits")
    return Checkup(
        edits=_by_edit(watched, said),
        holds=_share(hits[:1] for hits in said) if said else None,
        retention=_share(said) if said else None,
        locality=locality,
        same_subject=same_subject,
        loss=loss,
        loss_base=reference.loss,
        kl=kl,
        relative_norm=max((_relative_norm(model, layer, view, reference) for layer in view.laid), default=0.0),
        value_norm=_value_norm(model, watched, view),
        attention=_attention(model, watched[-LOOKS:], view, cancel),
        seconds=time.monotonic() - began,
        energy=growth(model, view),
    )


def _said(model: LanguageModel, watched: Sequence[Watched], view: View, pause: Pause) -> list[tuple[bool, ...]]:
    """Return for each edit whether its prompts say the new object, its own question first."""
    scores = _asked(model, [(text, own.request.target_new) for own in watched for text in own.prompts], view, pause)
    size = 1 + SAID
    return [tuple(score.hit for score in scores[at : at + size]) for at in range(0, len(scores), size)]


def _by_edit(watched: Sequence[Watched], said: Sequence[tuple[bool, ...]]) -> dict[str, tuple[float, float]]:
    found: dict[str, list[tuple[bool, ...]]] = {}
    for own, hits in zip(watched, said, strict=True):
        found.setdefault(own.id, []).append(hits)
    return {id: (_share(hits[:1] for hits in of), _share(of)) for id, of in found.items()}


def _share(said: Iterable[Iterable[bool]]) -> float:
    """Return the share of all these, counted: a mean of means would miss the limit that it lies at."""
    hits = [hit for own in said for hit in own]
    return sum(hits) / len(hits)


def _asked(model: LanguageModel, asked: Sequence[tuple[str, str]], view: View, pause: Pause) -> list[Score]:
    found: list[Score] = []
    for start in range(0, len(asked), AT_ONCE):
        pause()
        part = asked[start : start + AT_ONCE]
        found += model.score([text for text, _ in part], [said for _, said in part], view)
    return found


def _still_said(model: LanguageModel, asked: Sequence[tuple[str, str]], view: View, pause: Pause) -> float | None:
    return _mean(float(score.hit) for score in _asked(model, asked, view, pause))


def _known(model: LanguageModel, watched: Sequence[Watched], reference: Reference, pause: Pause) -> list[tuple[str, str]]:
    """Return other facts of the edited subjects that the model knew before, those of the latest edits first."""
    asked = list(dict.fromkeys(item for own in reversed(watched) for item in own.same_subject))[:SAME_SUBJECT]
    new = [item for item in asked if item not in reference.known]
    for item, score in zip(new, _asked(model, new, BASE, pause), strict=True):
        reference.known[item] = score.hit
    return [item for item in asked if reference.known[item]]


def _halved(text: str) -> tuple[str, str]:
    """Return a passage's first words, and the rest, on which the loss is read."""
    words = text.split()
    at = max(1, len(words) // 10)
    return " ".join(words[:at]), " ".join(words[at:])


def _loss(model: LanguageModel, passages: Sequence[tuple[str, str]], view: View, pause: Pause) -> float:
    scores: list[Score] = []
    for begin, rest in passages:
        scores += model.score([begin], [rest], view)
        pause()
    return -sum(score.log_p for score in scores) / sum(len(score.said) for score in scores)


def _log_p(model: LanguageModel, prompts: Sequence[str], view: View) -> Float[Tensor, "prompts vocab"]:
    return model.logits(prompts, view).log_softmax(-1)


def _kl(base: Float[Tensor, "prompts vocab"], now: Float[Tensor, "prompts vocab"]) -> float:
    """Return KL(base || now), the mean over prompts, in nats; never below 0 by rounding, NaN stays NaN."""
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
        try:
            table = attention(model, {ViewName.BASE: BASE, "now": view}, Question.of(model, own.request), cancel)
        except BadRequest:  # the subject stands last, so that nothing comes after it to look at it
            continue
        high = table[table["layer"] >= above].groupby("view")["weight"].mean()
        if len(high):
            found.append(float(high["now"] - high[ViewName.BASE]))
    return _mean(found)


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None
