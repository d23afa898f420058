"""Why an edit fails at a prompt: one cause, told by rules from numbers that are measured there.

An edit can be lost on each step of its way: its value was never found; the prompt's key does not hear it; it is heard, but
what the layers above read for the old object outweighs it; or it turns the next token alone and not the text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from editlab.answers import ViewName
from editlab.facts import EditRequest
from editlab.insight.bounds import REACHED, taking_the_lead
from editlab.insight.contributions import contributions
from editlab.insight.site import Site
from editlab.insight.stream import Question
from editlab.methods import HEARD, UNCONVERGED
from editlab.patches import Dense, LowRank, Patch, View
from editlab.probes import TELLING, Probe, judge
from editlab.probes.writing import ANSWER_TOKENS
from editlab.wording import noop, share
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

OUTVOTED = 1.0
"""Logits that the parts above an edit give the old object more than the new one, from which on it is outvoted."""
STRENGTHS = tuple(step / 10 for step in range(16))
"""At which the required share is looked for."""

Reason = Literal["text", "search", "unheard", "outvoted", "weak"]


@dataclass(frozen=True)
class Evidence:
    """What is measured where an edit fails; None where it cannot be.

    `own`: at the edit's own prompt; else `text` is the prompt. `begins`: the likeliest next token is the new object's first;
    `answer`: what the model writes. `loss` and `steps` of the search for the value. `share` of the edit that arrives,
    `required` to take the lead (inf where no share does), `cosine` of the key with the edit's. `later`: logits that the
    parts above the edit add to the old object, less those to the new one; `part` of `layer` adds most of them.
    """

    own: bool
    text: str = ""
    begins: bool = False
    answer: str = ""
    loss: float | None = None
    steps: float = 0.0
    share: float | None = None
    required: float | None = None
    cosine: float | None = None
    later: float | None = None
    part: str = ""
    layer: int = -1


@dataclass(frozen=True)
class Cause:
    """Why an edit fails: the reason, and a sentence that tells it with its numbers and what to do."""

    reason: Reason
    sentence: str


def cause(found: Evidence) -> Cause:
    """Return the first reason whose rule holds: the text, the search, the share, the vote; else the value is too weak."""
    reason, sentence = _cause(found)
    if found.own:
        return Cause(reason, noop(f"Why it did not take: {sentence}"))
    return Cause(reason, noop(f"Why it is missed at “{found.text}”: {sentence}"))


def _cause(found: Evidence) -> tuple[Reason, str]:
    if found.begins:
        return "text", noop(
            f"the next token is the new object's, but the text is not: the model writes “{found.answer}”. Write the new "
            "object as the model would go on with it."
        )
    if found.own and found.loss is not None and found.loss >= UNCONVERGED:
        return "search", noop(
            f"the search for its value did not converge: the loss is {found.loss:.2g} after {found.steps:.0f} steps. Allow "
            "more steps or a higher clamp, or try another layer."
        )
    required = HEARD if found.required is None or math.isinf(found.required) else found.required
    if found.share is not None and found.share < required:
        alike = "" if found.cosine is None else noop(f" (key cosine {found.cosine:.2f})")
        advice = noop('Choose the keys "both".') if found.own else noop("REP makes it heard.")
        return "unheard", noop(
            f"it is not heard: {share(found.share)} of it arrives{alike}, and {share(required)} would be needed. {advice}"
        )
    heard = noop("it is heard") if found.share is None else noop(f"it is heard, {share(found.share)} of it arrives")
    if found.later is not None and found.later >= OUTVOTED:
        return "outvoted", noop(
            f"{heard}, but outvoted: above it, the old object gets {found.later:.1f} logits more than the new one, most "
            f"from the {found.part} of layer {found.layer}. Edit at a later layer, or at several."
        )
    return "weak", noop(f"{heard}, and still its value is too weak here. A higher clamp makes it stronger.")


def why(
    model: LanguageModel,
    request: EditRequest,
    patches: Sequence[Patch],
    edited: View,
    probes: Sequence[Probe],
    frame: pd.DataFrame,
    health: Mapping[str, float],
    cancel: Cancel = never,
) -> Cause | None:
    """Return why an edit did not take, or why it is missed where it is missed first; None where it holds everywhere.

    `edited`: the view that holds its `patches`, and is called "edited" in `frame`: what `probes.ask` said about `probes`.
    Where the subject is not named, nothing can be heard, and such probes are passed over. None as well where the edit
    changes no layer, or nothing at its own key. Raises `Cancelled`.
    """
    named = ViewName.EDITED
    if not any(isinstance(patch, LowRank | Dense) for patch in patches):
        return None
    site = Site.on(model, request, patches, edited)
    if site.is_empty:
        return None
    for probe, row in _missed(probes, frame, named):
        stop_if(cancel)
        own = probe.kind == "success"
        at = site.locate(probe.text, probe.subject)
        if at is None:
            continue
        begins = _begins(site, probe.text)
        if begins:
            return cause(Evidence(own, probe.text, begins, row.get(f"{named}.answer") or _written(site, probe.text)))
        key = site.keys([at])[0]
        arrives = health.get("share", 1.0) if own else site.share(key[None]).item()
        cosine = None if own else (key @ site.key / (key.norm() * site.key.norm())).item()
        later, part, layer = _later(site, probe.text)
        required = None if own else taking_the_lead(site, STRENGTHS)[0]
        loss, steps = health.get("loss"), health.get("steps", 0.0)
        return cause(Evidence(own, probe.text, begins, "", loss, steps, arrives, required, cosine, later, part, layer))
    return None


def _missed(probes: Sequence[Probe], frame: pd.DataFrame, named: str) -> Iterator[tuple[Probe, Mapping[str, object]]]:
    """Yield the probes that should say the new object and do not, the edit's own prompt first; with what was said there."""
    pairs = list(zip(probes, frame.to_dict("records"), strict=True))
    for kind in (kind for kind in TELLING if kind in ("success", *REACHED)):
        for probe, row in pairs:
            if probe.kind == kind and judge(kind, row, named) == "missed":
                yield probe, row


def _begins(site: Site, text: str) -> bool:
    """Return whether the likeliest token after a text is the new object's first, though the whole object is not said."""
    ids, start = site.model.tok.with_target(site.edited.asks(text), site.request.target_new)
    score = site.model.score([text], [site.request.target_new], site.edited)[0]
    return score.said[0] == ids[start]


def _written(site: Site, text: str) -> str:
    """Return what the model goes on with under the edit."""
    *_, (said,) = site.model.generate([text], site.edited, ANSWER_TOKENS)
    return said.strip()


def _later(site: Site, text: str) -> tuple[float | None, str, int]:
    """Return what the parts above the edit add to the old object less the new one, and which of them adds most."""
    question = Question.of(site.model, site.request, text, form=site.edited.form)
    if question.true is None or question.true == question.new:
        return None, "", -1
    frame = contributions(site.model, {"edited": site.edited}, question)
    above = frame[frame["layer"] > max(patch.layer for patch in site.patches)]
    if above.empty:
        return 0.0, "", -1
    votes = above["true"] - above["new"]
    most = above.loc[votes.idxmax()]
    return float(votes.sum()), {"mlp": "MLP"}.get(most["part"], most["part"]), int(most["layer"])
