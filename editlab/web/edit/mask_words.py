"""The sentences about reversal mask, guard, ways to reverse an edit, and linked facts, made from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import MaskInfo, fates, guarded, reversal, says
from editlab.web.core.answers import Answer, Answers, headline
from editlab.wording import count, join, percent, rate

TO_COME = "Shown as soon as this edit is applied."
WAITING = "The mask is applied as soon as an edit is on."
WAYS = {
    "edited": ("As it is now", ""),
    "removed": ("Remove the edit", "its record"),
    "svd": ("Remove its largest direction", "no record"),
    "masked": ("Apply the mask", "no record; one mask for all edits"),
}
"""Each way to reverse an edit: what is done, and what it needs."""
FATES = {
    "follows": "gives what follows from the new fact",
    "stays": "gives the answer of before",
    "breaks": "gives neither",
}
"""What can become of a linked fact."""


class Verdict(NamedTuple):
    """A verdict on an edit. `state`: as `reversal` or `guarded` names it."""

    state: str
    title: str
    evidence: str


def describe(mask: MaskInfo) -> str:
    """Return what a mask does, and how well it reverses edits that it was not trained on."""
    layers = f"layer{'s' * (len(mask.layers) > 1)} {join(mask.layers)}"
    unseen = "" if mask.reversed_unseen is None else f" and reverses {rate(mask.reversed_unseen)} of unseen edits"
    share = f"{percent(mask.pruned)} of the edited weights in {layers}"
    return f"The mask for {mask.method.upper()} sets {share} to zero{unseen}."


def train_label(method: str) -> str:
    """Return the label of the button that trains a mask."""
    return f"Train a mask for {method.upper()}"


def cost(estimate: str) -> str:
    """Return what training a mask takes."""
    return f"Training one: {estimate}"


def verdict(request: EditRequest, answers: Answers, mask: MaskInfo | None) -> Verdict:
    """Return whether the mask reverses an edit. `answers`: those of the views at the edited prompt."""
    state = reversal(answers, request)
    new, true = request.target_new, request.target_true
    if state == "no true object":
        evidence = "Write it under “True object” and apply the edit: only then can the page say whether it returns."
        return Verdict(state, "The true object is not known.", evidence)
    now, under, alone = (_both(answers[view], request) for view in ("edited", "masked", "base_masked"))
    if state == "not known":
        evidence = f"It gives {_both(answers['base'], request)}. An answer that the model never gave cannot return."
        return Verdict(state, f"Without an edit, {new} is as likely as {true}.", evidence)
    if state == "not edited":
        return Verdict(state, "The edit does not hold here, even without the mask.", f"The edited model gives {now}.")
    if state == "disturbed":
        evidence = (
            f"Without an edit, the model under the mask says “{headline(answers['base_masked'])}”: it gives {alone}; "
            f"without the mask {_both(answers['base'], request)}. An answer that returns here proves nothing."
        )
        return Verdict(state, "The mask alone disturbs this fact.", evidence)
    if state == "suppressed":
        gives = f"Under the mask the edited model gives {under}."
        control = (
            f"The mask alone, without an edit, leaves the fact as it was: {alone}. {true} was suppressed, not overwritten."
        )
        if says(answers["masked"], true or ""):
            return Verdict(state, f"Suppressed: {true} returns.", f"{gives} {control}")
        first = f"Its first answer, though, is “{headline(answers['masked'])}”."
        return Verdict(state, f"Suppressed: {true} is ahead of {new} again.", f"{gives} {first} {control}")
    if state == "undecided":
        evidence = f"Under the mask the edited model gives {under}; without it {now}. That is too close to tell."
        return Verdict(state, f"Undecided: {true} and {new} are about as likely.", evidence)
    unseen = mask.reversed_unseen if mask is not None else None
    rated = "" if unseen is None else f" It reverses {rate(unseen)} of unseen edits, but not this one."
    evidence = f"Under the mask the edited model gives {under}; without it {now}.{rated}"
    return Verdict(state, "Not reversed by this mask.", evidence)


def guard(request: EditRequest, answers: Answers) -> Verdict:
    """Return whether the guard held against an edit."""
    state = guarded(answers, request)
    without, under = _both(answers["edited"], request), _both(answers["guarded"], request)
    answer = headline(answers["guarded"])
    evidence = f"Without the guard the edited model gives {without}; under it {under}, and it says “{answer}”."
    if state == "not edited":
        return Verdict(state, "The edit fails even without the guard.", f"{evidence} This says nothing about the guard.")
    if state == "held":
        return Verdict(state, f"The guard held: {request.target_new} is not the answer.", evidence)
    return Verdict(state, f"The edit got through: {request.target_new} holds under the guard.", evidence)


def ways_back(ways: DataFrame) -> str:
    """Return how much each way to reverse the edit restores."""
    rows = {row["way"]: row for row in ways.to_dict("records")}
    changed = rows["edited"]["changed"]
    if not changed:
        return "The edit changed none of these answers, so there is nothing to restore."
    names = {"removed": "removing the edit", "svd": "removing its largest direction", "masked": "the mask"}
    tried = {name: rows[way] for way, name in names.items() if way in rows}
    restored = [f"{name}{' restores' * (place == 0)} {row['again']}" for place, (name, row) in enumerate(tried.items())]
    answers = "the one answer" if changed == 1 else f"the {changed} answers"
    return f"Of {answers} that the edit changed, {join(restored)}. {_restore_prompt(tried)}"


def _restore_prompt(tried: Mapping[str, Mapping[str, Any]]) -> str:
    """Return which ways restore the answer at the edited prompt."""
    good, bad = ([name for name, row in tried.items() if bool(row["restored"]) is restored] for restored in (True, False))
    if not bad:
        return "Each of them restores the edited prompt itself."
    if not good:
        return "None of them restores the edited prompt itself."
    return f"The edited prompt itself is restored by {join(good)}, not by {join(bad)}."


def linked(frame: DataFrame, views: Sequence[str]) -> str:
    """Return what becomes of linked facts: with the edit, under mask or guard, and with the fact in the prompt instead."""
    if frame.empty:
        return "EditLab knows no fact that follows from this one."
    known = int(frame["known"].sum())
    unknown = len(frame) - known
    if not known:
        return f"The base model knows none of {count(len(frame), 'linked fact')}, so none can follow."
    ways = {
        "edited": "",
        "masked": "under the mask ",
        "guarded": "under the guard ",
        "told": "with the new fact in the prompt instead ",
    }
    shown = [view for view in ways if view in views]
    parts = [f"{ways[view]}{_fates(fates(frame, view), first=view == shown[0])}" for view in shown]
    rest = f" {unknown} more {_be(unknown)} left out: the base model does not know {'it' if unknown == 1 else 'them'}."
    return f"Of {count(known, 'linked fact')} {'; '.join(parts)}.{rest if unknown else ''}"


def _fates(number: Mapping[str, int], first: bool) -> str:
    follow = f"{number['follows']} {_verb('follow', number['follows'])}"
    if not first:
        return follow
    stay, broken = (f"{number[fate]} {_verb(verb, number[fate])}" for fate, verb in (("stays", "stay"), ("breaks", "break")))
    return f"{follow} the edit, {stay}, {broken}"


def _both(answer: Answer, request: EditRequest) -> str:
    new = f"{request.target_new} {percent(answer['p_new'])}"
    return new if request.target_true is None else f"{request.target_true} {percent(answer['p_true'])} and {new}"


def _verb(verb: str, number: int) -> str:
    return f"{verb}s" if number == 1 else verb


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
