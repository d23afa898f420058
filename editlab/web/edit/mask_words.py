"""What the page says about a reversal mask, the guard, the ways back and linked facts: sentences made from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import MaskInfo, fates, guarded, reversal, says
from editlab.web.core.render import percent
from editlab.web.edit.picture import answer

Said = Mapping[str, Mapping[str, Any]]
Words = tuple[str, str, str]
"""What was found, in a word for the style sheet; a title; and its evidence."""

WAYS = {
    "edited": ("As it is now", ""),
    "removed": ("Take the patch out", "its record"),
    "svd": ("Remove the loudest direction", "no record"),
    "masked": ("Lay the mask over it", "no record, one for all edits"),
}
"""Each way back: what is done, and what it needs."""


def about(mask: MaskInfo) -> str:
    """What a mask does, and how well it does it to edits that it never saw."""
    layers = f"layer{'s' * (len(mask.layers) > 1)} {', '.join(map(str, mask.layers))}"
    well = (
        "" if mask.reversed_unseen is None else f" and reverses {rate(mask.reversed_unseen)} of the edits that it never saw"
    )
    return f"The mask for {mask.method.upper()} sets {percent(mask.pruned)} of the entries at {layers} to zero{well}."


def verdict(request: EditRequest, said: Said, mask: MaskInfo | None) -> Words:
    """Suppressed, not reversed or disturbed, and what speaks for it. `said`: what the views say at the edited prompt."""
    found = reversal(said, request)
    new, true = request.target_new, request.target_true
    if found == "no true object":
        told = "Write it under “Old object” and apply the edit: only then can be told whether it returns."
        return found, "What was true before is not known.", told
    now, under, alone = (_both(said[view], request) for view in ("edited", "masked", "base_masked"))
    if found == "not known":
        told = f"It gives {_both(said['base'], request)}. What a model never said cannot return."
        return found, f"Without any edit, {new} is as likely as {true}.", told
    if found == "not edited":
        return found, "The edit does not hold here, even without the mask.", f"The edited model gives {now}."
    if found == "disturbed":
        told = (
            f"With no edit at all, the model under the mask says “{answer(said['base_masked'])}”: it gives {alone}; without "
            f"the mask {_both(said['base'], request)}. So what comes back under it proves nothing here."
        )
        return found, "The mask disturbs this fact by itself.", told
    if found == "suppressed":
        evidence = f"The mask alone, with no edit, leaves the fact as it was: {alone}."
        if says(said["masked"], true or ""):
            told = f"Under the mask the edited model gives {under}. {evidence} So {true} was shouted down, not overwritten."
            return found, f"Suppressed: {true} returns.", told
        first = f"What it says first, though, is “{answer(said['masked'])}”."
        told = f"Under the mask the edited model gives {under}. {first} {evidence}"
        return found, f"Suppressed: {true} is ahead of {request.target_new} again.", told
    share = mask.reversed_unseen if mask is not None else None
    rated = "" if share is None else f" It reverses {rate(share)} of the edits that it never saw; this one it does not."
    told = f"Under the mask the edited model gives {under}; without it {now}.{rated}"
    return found, "Not reversed by this mask.", told


def guard(request: EditRequest, said: Said) -> Words:
    """Whether an edit was stopped by the guard, and what speaks for it."""
    found = guarded(said, request)
    without, under = _both(said["edited"], request), _both(said["guarded"], request)
    told = f"Without the guard the edited model gives {without}; under it {under}, and it says “{answer(said['guarded'])}”."
    if found == "not edited":
        return found, "The edit fails even without the guard.", f"{told} That tells nothing about the guard."
    if found == "held":
        return found, f"The guard held: {request.target_new} did not get in.", told
    return found, f"The edit got through: {request.target_new} holds under the guard.", told


def back(ways: DataFrame) -> str:
    """How far each way back leads, in one sentence."""
    rows = {row["way"]: row for row in ways.to_dict("records")}
    changed = rows["edited"]["changed"]
    if not changed:
        return "The edit changed the answer to none of these questions, so there is nothing to bring back."
    verbs = {
        "removed": "taking the patch out restores {}",
        "svd": "taking the loudest direction out {}",
        "masked": "the mask {}",
    }
    told = [verb.format(rows[way]["again"]) for way, verb in verbs.items() if way in rows]
    asked = "the one question" if changed == 1 else f"the {changed} questions"
    return f"Of {asked} whose answer the edit changed, {listed(told)}. {_itself(rows)}"


def _itself(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Which ways back restore the answer to the edited question."""
    names = {"removed": "the patch", "svd": "the direction", "masked": "the mask"}
    tried = {name: rows[way]["restored"] for way, name in names.items() if way in rows}
    back = [name for name, restored in tried.items() if restored]
    if len(back) == len(tried):
        return "The edited question itself is restored by each of them."
    if not back:
        return "The edited question itself is restored by none of them."
    others = listed([name for name in tried if name not in back])
    return f"The edited question itself is restored by way of {listed(back)}, not by way of {others}."


def follow(frame: DataFrame, views: Sequence[str]) -> str:
    """What becomes of linked facts: with the edit, under the mask or the guard, and with the fact told in the prompt."""
    if frame.empty:
        return "The facts that EditLab knows name none that follows from this one."
    known = int(frame["known"].sum())
    unknown = len(frame) - known
    left = f" {unknown} more {_are(unknown)} left out: the unedited model does not know {_them(unknown)}." if unknown else ""
    if not known:
        return f"Of {counted(len(frame), 'linked fact')} the unedited model knows none, so that none can be seen to follow."
    ways = {
        "edited": "",
        "masked": "under the mask",
        "guarded": "under the guard",
        "told": "with the new fact told in the prompt instead",
    }
    parts = []
    for view, where in ways.items():
        if view in views:
            fate = fates(frame, view)
            told = f"{fate['follows']} {_verb('follow', fate['follows'])}"
            if not parts:
                told += f" the edit, {fate['stays']} {_verb('stay', fate['stays'])}, {fate['breaks']} "
                told += _verb("break", fate["breaks"])
            parts.append(f"{where} {told}".strip())
    return f"Of {counted(known, 'linked fact')} {'; '.join(parts)}.{left}"


def rate(value: float) -> str:
    """A share of many, in whole per cent that never round up to all or down to none."""
    whole = min(99, max(1, round(100 * value))) if 0 < value < 1 else round(100 * value)
    return f"{whole} %"


def counted(count: int, name: str) -> str:
    """So many of something, in words."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Several things as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _both(said: Mapping[str, Any], request: EditRequest) -> str:
    new = f"{request.target_new} {percent(said['p_new'])}"
    return new if request.target_true is None else f"{request.target_true} {percent(said['p_true'])} and {new}"


def _verb(verb: str, count: int) -> str:
    return f"{verb}s" if count == 1 else verb


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
