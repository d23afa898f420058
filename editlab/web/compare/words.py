"""The sentences of the Compare tab: which method does best on a fact, and why."""

from __future__ import annotations

from collections.abc import Sequence

from editlab.facts.script import bare
from editlab.lab.asking.comparing import SCORED, Compared, Comparison
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.names import kind_name, method_name
from editlab.web.core.wording import join, number

RULE = noop(
    "The best has the highest score: the harmonic mean of efficacy, robustness, locality and same subject, so that no rate "
    "makes up for a low one. Robustness is the mean of rephrase, paraphrase, shuffle and long context. Of equal scores the "
    "higher efficacy counts, then the higher mean, then the shorter time. Ripple effects and size do not count."
)
ABOUT = noop(
    "A row a method, the best first. Each field says how many of the questions of its kind are answered as they should be "
    "after the edit: green all, red none. Time is what the edit alone took."
)
EMPTY = noop("Choose methods and press “Compare”: each edits this fact on the unedited model, and all are asked the same.")
NO_FACT = noop("Write a fact on the Edit tab first: a subject, a prompt and a new answer.")
SIDE_BY_SIDE = noop("Answers, side by side")
BOUND = 0.999
"""From this rate on, all is as it should be."""


def rate_name(what: str) -> str:
    """Return what a rate is called."""
    return _("Robustness") if what == "robustness" else kind_name(what)


def finding(found: Comparison) -> tuple[str, str]:
    """Return which method does best, with its rates, and the tone of the sentence: good, mixed, bad or open."""
    ranked = found.ranked
    if not ranked:
        failed = [row for row in found.rows if row.error is not None]
        if found.complete and failed:
            return _("None of these methods edits this fact. The table says why."), "bad"
        return _("Stopped before a method was done.") if found.stopped else _("The first method is at work."), "open"
    best, new = ranked[0], bare(found.request.target_new)
    saying = [row for row in ranked if row.rate("success")]
    if best.rate("success") is None:
        return _("The unedited model says “{new}” already: there is nothing to edit.").format(new=new), "open"
    if not saying:
        text = ngettext(
            "This method does not make the model say “{new}”.",
            "None of {n} methods makes the model say “{new}”.",
            len(ranked),
        )
        return text.format(n=number(len(ranked)), new=new), "bad"
    if not best.score:
        text = ngettext(
            "{methods} makes the model say “{new}”, but has a score of 0, since another rate is 0.",
            "{methods} make the model say “{new}”, but have a score of 0, since another rate of each is 0.",
            len(saying),
        )
        return text.format(methods=join(method_name(row.method) for row in saying), new=new), "mixed"
    second = next((row for row in ranked if row.order[:-1] != best.order[:-1]), None)
    equal = [row for row in ranked if row.order[:-1] == best.order[:-1]]
    if len(ranked) == 1:
        text = _("{best} has a score of {score} on this fact.")
    elif len(equal) > 1:
        text = _("{equal} do equally well on this fact, {best} in the least time.")
    else:
        text = _("{best} does best on this fact: its score is {score}, {next} follows with {behind}.")
    all_well = all(rate is None or rate > BOUND for rate in map(best.rate, SCORED))
    given = {"best": method_name(best.method), "score": score(best), "equal": join(method_name(row.method) for row in equal)}
    behind = {} if second is None else {"next": method_name(second.method), "behind": score(second)}
    return text.format(**given, **behind), "good" if all_well else "mixed"


def meaning(found: Comparison) -> str:
    """Return what else there is to know: the rates of the best, who failed, who is still to come."""
    ranked, failed = found.ranked, [row for row in found.rows if row.error is not None]
    parts = []
    if ranked:
        rates = ((rate_name(what), ranked[0].rate(what)) for what in SCORED)
        told = "; ".join(f"{what} {percent(rate)}" for what, rate in rates if rate is not None)
        parts.append(f"{method_name(ranked[0].method)}: {told}.")
    if failed and (ranked or not found.complete):
        text = _("No edit by {methods}: the table says why.")
        parts.append(text.format(methods=join(method_name(row.method) for row in failed)))
    if left := len(found.rows) - len(ranked) - len(failed):
        text = (
            ngettext("{n} method was not compared.", "{n} methods were not compared.", left)
            if found.stopped
            else ngettext("{n} method is left.", "{n} methods are left.", left)
        )
        parts.append(text.format(n=number(left)))
    return " ".join(parts)


def percent(rate: float) -> str:
    """Return a rate of a few questions in whole percent."""
    return f"{number(100 * rate, '.0f')} %"


def score(row: Compared) -> str:
    """Return a score with two digits."""
    return "–" if row.score is None else number(row.score, ".2f")


def stopped(done: Sequence[Compared], n: int) -> str:
    """Return what a stopped comparison has."""
    text = ngettext("Stopped: {done} of {n} method is compared.", "Stopped: {done} of {n} methods are compared.", n)
    return text.format(done=number(len(done)), n=number(n))


def title(found: Comparison, shown: int) -> str:
    """Return what is said of the answers in their title: how many questions are shown, of how many.

    `shown`: those besides the edit's own prompt.
    """
    n = max((len(row.frame) for row in found.rows if row.frame is not None), default=0)
    text = ngettext("{shown} of {n} question", "{shown} of {n} questions", n)
    return text.format(shown=number(shown + 1), n=number(n)) if n else ""
