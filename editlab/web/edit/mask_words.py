"""The sentences about reversal mask, guard, ways to reverse an edit, and linked facts, made from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import MaskInfo, answers_with, fates, guarded, reversal
from editlab.web.core.answers import Answer, Answers, headline
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.names import method_name
from editlab.web.core.wording import join, number, percent, rate

TO_COME = noop("Shown once the edit is applied and its probes are asked.")
WAITING = noop("The mask is applied as soon as an edit is on.")
WAYS = {
    "edited": (noop("As it is now"), ""),
    "removed": (noop("Remove the edit"), noop("its record")),
    "svd": (noop("Remove its largest direction"), noop("no record")),
    "masked": (noop("Apply the mask"), noop("no record; one mask for all edits")),
}
"""Each way to reverse an edit: what is done, and what it needs."""
FATES = {
    "follows": noop("gives what follows from the new fact"),
    "stays": noop("gives the answer of before"),
    "breaks": noop("gives neither"),
}
"""What can become of a linked fact."""
FATE_NAMES = {"follows": noop("follows"), "stays": noop("stays"), "breaks": noop("breaks")}


class Verdict(NamedTuple):
    """A verdict on an edit. `state`: as `reversal` or `guarded` names it."""

    state: str
    title: str
    evidence: str


def describe(mask: MaskInfo) -> str:
    """Return what a mask does, and how well it reverses edits that it was not trained on."""
    n = len(mask.layers)
    if mask.reversed_unseen is None:
        text = ngettext(
            "The mask for {method} sets {share} of the edited weights in layer {layers} to zero.",
            "The mask for {method} sets {share} of the edited weights in layers {layers} to zero.",
            n,
        )
    else:
        text = ngettext(
            "The mask for {method} sets {share} of the edited weights in layer {layers} to zero and reverses {reversed} of "
            "unseen edits.",
            "The mask for {method} sets {share} of the edited weights in layers {layers} to zero and reverses {reversed} of "
            "unseen edits.",
            n,
        )
    given = {"method": method_name(mask.method), "share": percent(mask.pruned), "layers": join(mask.layers)}
    return text.format(**given, reversed="" if mask.reversed_unseen is None else rate(mask.reversed_unseen))


def train_label(method: str) -> str:
    """Return the label of the button that trains a mask."""
    return _("Train a mask for {method}").format(method=method_name(method))


def cost(estimate: str) -> str:
    """Return what training a mask takes."""
    return _("Training one: {estimate}").format(estimate=said(estimate))


def verdict(request: EditRequest, answers: Answers, mask: MaskInfo | None) -> Verdict:
    """Return whether the mask reverses an edit. `answers`: those of the views at the edited prompt."""
    state = reversal(answers, request)
    if state == "no true object":
        evidence = _("Write it under “True object” and apply the edit: only then can the page say whether it returns.")
        return Verdict(state, _("The true object is not known."), evidence)
    title, evidence = _verdict(state, request, answers, mask)
    given = {
        "new": request.target_new,
        "true": request.target_true,
        "base": _both(answers["base"], request),
        "now": _both(answers["edited"], request),
        "under": _both(answers["masked"], request),
        "alone": _both(answers["base_masked"], request),
        "answer": headline(answers["masked"]),
        "answer_alone": headline(answers["base_masked"]),
        "rate": "" if mask is None or mask.reversed_unseen is None else rate(mask.reversed_unseen),
    }
    return Verdict(state, title.format(**given), " ".join(evidence).format(**given))


def _verdict(state: str, request: EditRequest, answers: Answers, mask: MaskInfo | None) -> tuple[str, list[str]]:
    """Return a verdict's title and its evidence, with placeholders for what `verdict` knows."""
    if state == "not known":
        return _("Without an edit, {new} is as likely as {true}."), [
            _("It gives {base}. An answer that the model never gave cannot return.")
        ]
    if state == "not edited":
        return _("The edit does not hold here, even without the mask."), [_("The edited model gives {now}.")]
    if state == "disturbed":
        return _("The mask alone disturbs this fact."), [
            _(
                "Without an edit, the model under the mask says “{answer_alone}”: it gives {alone}; without the mask "
                "{base}. An answer that returns here proves nothing."
            )
        ]
    if state == "suppressed":
        gives = _("Under the mask the edited model gives {under}.")
        control = _(
            "The mask alone, without an edit, leaves the fact as it was: {alone}. {true} was suppressed, not overwritten."
        )
        if answers_with(answers["masked"], request.target_true or ""):
            return _("Suppressed: {true} returns."), [gives, control]
        first = _("Its first answer, though, is “{answer}”.")
        return _("Suppressed: {true} is ahead of {new} again."), [gives, first, control]
    if state == "undecided":
        return _("Undecided: {true} and {new} are about as likely."), [
            _("Under the mask the edited model gives {under}; without it {now}. That is too close to tell.")
        ]
    evidence = [_("Under the mask the edited model gives {under}; without it {now}.")]
    if mask is not None and mask.reversed_unseen is not None:
        evidence.append(_("It reverses {rate} of unseen edits, but not this one."))
    return _("Not reversed by this mask."), evidence


def guard(request: EditRequest, answers: Answers) -> Verdict:
    """Return whether the guard held against an edit."""
    state = guarded(answers, request)
    text = _("Without the guard the edited model gives {without}; under it {under}, and it says “{answer}”.")
    evidence = text.format(
        without=_both(answers["edited"], request),
        under=_both(answers["guarded"], request),
        answer=headline(answers["guarded"]),
    )
    if state == "not edited":
        evidence = " ".join([evidence, _("This says nothing about the guard.")])
        return Verdict(state, _("The edit fails even without the guard."), evidence)
    if state == "held":
        title = _("The guard held: {new} is not the answer.")
    else:
        title = _("The edit got through: {new} holds under the guard.")
    return Verdict(state, title.format(new=request.target_new), evidence)


def ways_back(ways: DataFrame) -> str:
    """Return how much each way to reverse the edit restores."""
    rows = {row["way"]: row for row in ways.to_dict("records")}
    changed = rows["edited"]["changed"]
    if not changed:
        return _("The edit changed none of these answers, so there is nothing to restore.")
    names = {"removed": _("removing the edit"), "svd": _("removing its largest direction"), "masked": _("the mask")}
    tried = {name: rows[way] for way, name in names.items() if way in rows}
    first, *others = tried.items()
    restored = [
        _("{way} restores {n}").format(way=first[0], n=first[1]["again"]),
        *(_("{way} {n}").format(way=name, n=row["again"]) for name, row in others),
    ]
    text = ngettext(
        "Of the one answer that the edit changed, {restored}.",
        "Of the {n} answers that the edit changed, {restored}.",
        changed,
    )
    return f"{text.format(n=changed, restored=join(restored))} {_restore_prompt(tried)}"


def _restore_prompt(tried: Mapping[str, Mapping[str, Any]]) -> str:
    """Return which ways restore the answer at the edited prompt."""
    good, bad = ([name for name, row in tried.items() if bool(row["restored"]) is restored] for restored in (True, False))
    if not bad:
        return _("Each of them restores the edited prompt itself.")
    if not good:
        return _("None of them restores the edited prompt itself.")
    return _("The edited prompt itself is restored by {good}, not by {bad}.").format(good=join(good), bad=join(bad))


def linked(frame: DataFrame, views: Sequence[str]) -> str:
    """Return what becomes of linked facts: with the edit, under mask or guard, and with the fact in the prompt instead."""
    if frame.empty:
        return _("EditLab knows no fact that follows from this one.")
    known = int(frame["known"].sum())
    unknown = len(frame) - known
    if not known:
        text = ngettext(
            "The base model knows none of {n} linked fact, so none can follow.",
            "The base model knows none of {n} linked facts, so none can follow.",
            len(frame),
        )
        return text.format(n=len(frame))
    shown = [view for view in ("edited", "masked", "guarded", "told") if view in views]
    parts = [_fates(fates(frame, view), view, first=view == shown[0]) for view in shown]
    text = ngettext("Of {n} linked fact {parts}.", "Of {n} linked facts {parts}.", known)
    said = text.format(n=number(known), parts="; ".join(parts))
    if not unknown:
        return said
    rest = ngettext(
        "{n} more is left out: the base model does not know it.",
        "{n} more are left out: the base model does not know them.",
        unknown,
    )
    return f"{said} {rest.format(n=unknown)}"


def _fates(of: Mapping[str, int], view: str, first: bool) -> str:
    """Return how many linked facts follow an edit in a view, and in the first one what becomes of the others."""
    n = of["follows"]
    if view == "edited":
        follow = ngettext("{n} follows", "{n} follow", n)
    elif view == "masked":
        follow = ngettext("under the mask {n} follows", "under the mask {n} follow", n)
    elif view == "guarded":
        follow = ngettext("under the guard {n} follows", "under the guard {n} follow", n)
    else:
        follow = ngettext(
            "with the new fact in the prompt instead {n} follows", "with the new fact in the prompt instead {n} follow", n
        )
    if not first:
        return follow.format(n=n)
    stay = ngettext("{n} stays", "{n} stay", of["stays"]).format(n=of["stays"])
    broken = ngettext("{n} breaks", "{n} break", of["breaks"]).format(n=of["breaks"])
    return _("{follow} the edit, {stay}, {broken}").format(follow=follow.format(n=n), stay=stay, broken=broken)


def _both(answer: Answer, request: EditRequest) -> str:
    new, p_new = request.target_new, percent(answer["p_new"])
    if request.target_true is None:
        return f"{new} {p_new}"
    text = _("{true} {p_true} and {new} {p_new}")
    return text.format(true=request.target_true, p_true=percent(answer["p_true"]), new=new, p_new=p_new)
