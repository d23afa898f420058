"""What matters most on the Keys tab for this edit: one finding and the section whose picture shows it."""

from __future__ import annotations

import math
from typing import NamedTuple

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.insight import Similarity
from editlab.web.keys.words import REPHRASED, SMALLEST
from editlab.wording import capitalize, count, share

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
       too little of the edit arrives, else the answers.
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
    at_all = "at no strength" if math.isinf(required) else f"only from {share(required)} of its strength on"
    finding = f"The edit is too weak: at its own prompt, {request.target_new} leads {at_all}."
    meaning = "Where it does not hold, nothing around it can. Compute it with more steps, or choose another new object."
    return Lead("bounds", finding, meaning, "bad")


def _rep(request: EditRequest, frame: DataFrame, failed: DataFrame, reached: DataFrame) -> Lead:
    """Return what REP's gate lets through: the subject's keys, and those of others."""
    opened = frame[(frame["after"] - frame["before"]).abs() >= SMALLEST]
    forms, others = frame[frame["kind"].isin(list(REPHRASED))], frame[frame["kind"] == SPARED]
    own, foreign = opened[opened["kind"].isin(list(REPHRASED))], opened[opened["kind"] == SPARED]
    if own.empty:
        finding = f"REP’s gate stays closed at {_all(len(forms), 'rephrased key')} of {request.subject}."
        return Lead(
            "similarity", finding, "No phrasing is brought to the edit. Lower the gate threshold on the Edit tab.", "bad"
        )
    change = f"from a similarity of {own['before'].median():z.2f} to {own['after'].median():z.2f}"
    finding = f"REP brings {len(own)} of {len(forms)} rephrased keys of {request.subject} to the edit’s, {change}."
    harm = f"Its gate opens for {count(len(foreign), 'other subject')} of {len(others)} as well."
    meaning = (
        harm if len(foreign) else f"Its gate stays closed for {_all(len(others), 'other subject')}." if len(others) else ""
    )
    held = len(reached) - len(failed)
    meaning = f"{meaning} The edit now holds at {held} of {count(len(reached), 'rephrased probe')}.".strip()
    return Lead("similarity", finding, meaning, "good" if len(foreign) + len(failed) == 0 else "mixed")


def _rephrased(request: EditRequest, failed: DataFrame, reached: DataFrame, required: float) -> Lead:
    first = f"Rephrased, the edit fails at {len(failed)} of {count(len(reached), 'probe')}"
    arrives = float(failed["share"].median())
    if arrives >= required:
        finding = f"{first}, although {share(arrives)} of it arrives there and {share(required)} would do."
        return Lead("bounds", finding, "So the key is not the reason: something after the edited layer stops it.", "bad")
    finding = f"{first}: {share(arrives)} of it arrives there, and it needs {share(required)}."
    meaning = (
        f"The layer finds the edit by the key of {request.subject}, and another name or text makes another key. Switch REP "
        "on, on the Edit tab: it brings those keys back."
    )
    return Lead("similarity", finding, meaning, "bad")


def _spread(moved: DataFrame, spared: DataFrame, required: float) -> Lead:
    loudest = moved.loc[moved["share"].idxmax()]
    changes = f"{len(moved)} of {count(len(spared), 'other subject')} {'changes' if len(moved) == 1 else 'change'} as well"
    enough = "is enough" if loudest["share"] >= required else "would be needed at the edit’s own prompt"
    finding = (
        f"{capitalize(changes)}: {loudest['subject']} receives {share(loudest['share'])} of the edit, and {share(required)} "
        f"{enough}."
    )
    return Lead("bounds", finding, "An edit spares another subject only where that one’s key is different enough.", "mixed")


def _holds(request: EditRequest, reached: DataFrame, spared: DataFrame, required: float) -> Lead:
    if reached.empty and spared.empty:
        finding = f"The edit leads at its own prompt from {share(required)} of its strength on."
        return Lead("bounds", finding, f"No other probe names {request.subject} or another subject.", "good")
    holds = [f"the edit holds at {_all(len(reached), 'rephrased probe')}"] if len(reached) else []
    stays = (
        [f"{_all(len(spared), 'other subject')} {'keeps its answer' if len(spared) == 1 else 'keep their answers'}"]
        if len(spared)
        else []
    )
    finding = f"{capitalize(', and '.join(holds + stays))}."
    least = f"The weakest probe receives {share(reached['share'].min())} of it; " if len(reached) else ""
    return Lead("bounds", finding, capitalize(f"{least}{share(required)} is needed."), "good")


def _all(number: int, noun: str) -> str:
    return f"the only {noun}" if number == 1 else f"all {count(number, noun)}"
