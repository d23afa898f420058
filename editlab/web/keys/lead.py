"""What matters most on the Keys tab for this edit: one finding and the section whose picture shows it."""

from __future__ import annotations

import math
from typing import NamedTuple

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.insight import Similarity
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.wording import capitalize, number, share
from editlab.web.keys.words import REPHRASED, SMALLEST, of_all

SPARED, MOVED, FAILED = "locality", "move", "fail"
"""The kind of probe about another subject, and what happened at one that changed, or at one that does not hold."""


class Lead(NamedTuple):
    """The section whose picture is shown, the finding, its meaning, and how good it is: "good", "mixed" or "bad"."""

    section: str
    finding: str
    meaning: str
    tone: str


def lead(request: EditRequest, bounds: DataFrame, similarity: Similarity) -> Lead:
    """Return what matters most, by the first of these rules that applies:

    1. The edit does not lead at its own prompt: the predicted and observed answers, for it is too weak everywhere.
    2. REP is on: the similarity of the keys, which REP moves.
    3. A larger share of the rephrased probes fails than of the other subjects changes: the similarity of the keys where
       too little of the edit arrives at all that fail, else the answers.
    4. Other subjects change: the answers, with the shares of the edit that those subjects receive.
    5. Everything is as it should be: the answers.
    """
    reached, spared = bounds[bounds["kind"] != SPARED], bounds[bounds["kind"] == SPARED]
    failed, moved = reached[reached["happened"] == FAILED], spared[spared["happened"] == MOVED]
    required = float(bounds.attrs["required"])
    if required > 1:
        return _weak(request, required)
    if similarity.frame["after"].notna().any():
        return _rep(request, similarity.frame, failed, reached)
    if len(failed) and len(failed) / len(reached) >= len(moved) / max(1, len(spared)):
        return _rephrased(request, failed, reached, required)
    if len(moved):
        return _spread(moved, spared, required)
    return _holds(request, reached, spared, required)


def _weak(request: EditRequest, required: float) -> Lead:
    if math.isinf(required):
        text = _("The edit is too weak: at its own prompt, {new} leads at no strength.")
    else:
        text = _("The edit is too weak: at its own prompt, {new} leads only from {required} of its strength on.")
    finding = text.format(new=request.target_new, required="" if math.isinf(required) else share(required))
    meaning = _("Where it does not hold, nothing around it can. Compute it with more steps, or choose another new object.")
    return Lead("bounds", finding, meaning, "bad")


def _rep(request: EditRequest, frame: DataFrame, failed: DataFrame, reached: DataFrame) -> Lead:
    """Return what REP's gate lets through: the subject's keys, and those of others."""
    opened = frame[(frame["after"] - frame["before"]).abs() >= SMALLEST]
    forms, others = frame[frame["kind"].isin(list(REPHRASED))], frame[frame["kind"] == SPARED]
    own, foreign = opened[opened["kind"].isin(list(REPHRASED))], opened[opened["kind"] == SPARED]
    if own.empty:
        closed = ngettext(
            "REP’s gate stays closed at the only rephrased key of {subject}.",
            "REP’s gate stays closed at all {n} rephrased keys of {subject}.",
            len(forms),
        )
        finding = closed.format(n=number(len(forms)), subject=request.subject)
        meaning = _("No phrasing is brought to the edit. Lower the gate threshold on the Edit tab.")
        return Lead("similarity", finding, meaning, "bad")
    finding = of_all(
        _("REP brings {n} of {all} rephrased keys of {subject} to the edit’s, from a similarity of {before} to {after}."),
        len(own),
        len(forms),
        subject=request.subject,
        before=number(own["before"].median(), "z.2f"),
        after=number(own["after"].median(), "z.2f"),
    )
    harm = ""
    if len(foreign):
        harm = ngettext(
            "Its gate opens for {n} other subject of {all} as well.",
            "Its gate opens for {n} other subjects of {all} as well.",
            len(foreign),
        )
        harm = of_all(harm, len(foreign), len(others))
    elif len(others):
        harm = ngettext(
            "Its gate stays closed for the only other subject.",
            "Its gate stays closed for all {n} other subjects.",
            len(others),
        ).format(n=number(len(others)))
    held = ngettext(
        "The edit now holds at {n} of {all} rephrased probe.",
        "The edit now holds at {n} of {all} rephrased probes.",
        len(reached),
    )
    meaning = f"{harm} {of_all(held, len(reached) - len(failed), len(reached))}".strip()
    return Lead("similarity", finding, meaning, "good" if len(foreign) + len(failed) == 0 else "mixed")


def _rephrased(request: EditRequest, failed: DataFrame, reached: DataFrame, required: float) -> Lead:
    """Return at how many probes the edit fails, and how many of these the share that arrives explains."""
    unheard, all_of = failed[failed["share"] < required], len(reached)
    given = {"arrives": share(float(failed["share"].median())), "required": share(required)}
    if unheard.empty:
        text = ngettext(
            "Rephrased, the edit fails at {n} of {all} probe, although {arrives} of it arrives there and {required} "
            "would do.",
            "Rephrased, the edit fails at {n} of {all} probes, although {arrives} of it arrives there and {required} "
            "would do.",
            all_of,
        )
        meaning = _("So the key is not the reason: something after the edited layer stops it.")
        return Lead("bounds", of_all(text, len(failed), all_of, **given), meaning, "bad")
    meaning = _(
        "The layer finds the edit by the key of {subject}, and another name or text makes another key. Switch REP on, on "
        "the Edit tab: it brings those keys back."
    ).format(subject=request.subject)
    if len(unheard) < len(failed):
        text = ngettext(
            "Rephrased, the edit fails at {n} of {all} probe; at {unheard} of these less arrives than the {required} that "
            "it needs.",
            "Rephrased, the edit fails at {n} of {all} probes; at {unheard} of these less arrives than the {required} that "
            "it needs.",
            all_of,
        )
        rest = _("Where enough arrives, something after the edited layer stops it.")
        finding = of_all(text, len(failed), all_of, unheard=number(len(unheard)), **given)
        return Lead("bounds", finding, f"{meaning} {rest}", "bad")
    text = ngettext(
        "Rephrased, the edit fails at {n} of {all} probe: {arrives} of it arrives there, and it needs {required}.",
        "Rephrased, the edit fails at {n} of {all} probes: {arrives} of it arrives there, and it needs {required}.",
        all_of,
    )
    return Lead("similarity", of_all(text, len(failed), all_of, **given), meaning, "bad")


def _spread(moved: DataFrame, spared: DataFrame, required: float) -> Lead:
    loudest = moved.loc[moved["share"].idxmax()]
    if len(spared) == 1:
        changes = _("{n} of {all} other subject changes as well")
    else:
        changes = ngettext(
            "{n} of {all} other subjects changes as well", "{n} of {all} other subjects change as well", len(moved)
        )
    if loudest["share"] >= required:
        text = _("{changes}: {subject} receives {share} of the edit, and {required} is enough.")
    else:
        text = _(
            "{changes}: {subject} receives {share} of the edit, and {required} would be needed at the edit’s own prompt."
        )
    finding = text.format(
        changes=of_all(changes, len(moved), len(spared)),
        subject=loudest["subject"],
        share=share(loudest["share"]),
        required=share(required),
    )
    meaning = _("An edit spares another subject only where that one’s key is different enough.")
    return Lead("bounds", finding, meaning, "mixed")


def _holds(request: EditRequest, reached: DataFrame, spared: DataFrame, required: float) -> Lead:
    if reached.empty and spared.empty:
        finding = _("The edit leads at its own prompt from {required} of its strength on.").format(required=share(required))
        meaning = _("No other probe names {subject} or another subject.").format(subject=request.subject)
        return Lead("bounds", finding, meaning, "good")
    holds = ngettext("the only rephrased probe", "all {n} rephrased probes", len(reached)).format(n=number(len(reached)))
    stays = ngettext("the only other subject", "all {n} other subjects", len(spared)).format(n=number(len(spared)))
    keeps = ngettext("{stays} keeps its answer", "{stays} keep their answers", len(spared)).format(stays=stays)
    if spared.empty:
        finding = _("The edit holds at {holds}.")
    elif reached.empty:
        finding = f"{capitalize(keeps)}."
    else:
        finding = _("The edit holds at {holds}, and {keeps}.")
    if len(reached):
        meaning = _("The weakest probe receives {least} of it; {required} is needed.")
    else:
        meaning = _("{required} is needed.")
    least = share(reached["share"].min()) if len(reached) else ""
    meaning = meaning.format(least=least, required=share(required))
    return Lead("bounds", finding.format(holds=holds, keeps=keeps), meaning, "good")
