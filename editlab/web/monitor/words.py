"""The sentences of the Monitor tab, made from the numbers of the check-ups and of the service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from editlab.lab import Moment
from editlab.lab.workspaces.alarms import LOWER_LIMITS, Alarm
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.wording import join, number, size, tell

TITLES = {
    "metrics": noop("Trends"),
    "retention": noop("Retention of each edit"),
    "limits": noop("Alert thresholds"),
    "service": noop("Service"),
}
"""The titles of the folded sections, in their order on the page."""
TREND = noop(
    "After every change, a check-up asks all edits again. Each point is a check-up, from left to right as the edits were "
    "applied; upwards is the metric. The dashed line is the alarm limit, and a cross is beyond it. Hover over a point to "
    "see the change before it. Without edits, the curve would stay where the base model is."
)
RETENTION = noop(
    "Each edit is asked at three prompts: its own and two rephrased ones. A row is an edit, in the order of the list, a "
    "column is a check-up. Red means that the edit holds at none of its prompts, empty that it was not applied."
)
LIMITS = noop(
    "When is a metric an alarm? Each limit belongs to this workspace, and a change of it is an event in its history."
)
SERVICE = noop("How busy is the model, and how long do jobs wait? Jobs of all users are counted from the start of EditLab.")
QUEUED = noop("A check-up is queued. It runs as soon as no other job waits.")
NO_EDIT = noop("No edit is applied, so there is nothing to monitor.")


class Timed(NamedTuple):
    """A sentence with a time in it, which the page shows by the reader's clock."""

    before: str
    at: str = ""
    after: str = ""

    @classmethod
    def of(cls, text: str, at: str, **values: object) -> Timed:
        """Return a sentence whose `{time}` is a time. `values`: what stands at its other names."""
        before, after = text.split("{time}")
        return cls(before.format(**values), at, after.format(**values))


@dataclass(frozen=True)
class Panel:
    """A metric on the page: its title, its meaning with the direction that is worse, and what an alarm says of it.

    `limit`: the label of the field for its alarm limit. It and `alarm` are empty for a metric without a limit.
    """

    title: str
    meaning: str
    alarm: str = ""
    limit: str = ""
    unit: str = ""


PANELS = {
    "holds": Panel(
        noop("Edits that hold"),
        noop(
            "Share of the edits whose own prompt still gets the new object; dotted, the share of the three prompts "
            "of each edit. Lower is worse."
        ),
        noop("fewer edits hold"),
        noop("Minimum share of edits that hold"),
    ),
    "locality": Panel(
        noop("Locality"),
        noop(
            "Share of up to 100 facts about other subjects that the base model knows and that are still answered correctly. "
            "Lower is worse."
        ),
        noop("fewer facts about other subjects are preserved"),
        noop("Minimum locality"),
    ),
    "same_subject": Panel(
        noop("Same-subject facts"),
        noop(
            "Share of up to 100 other facts about the edited subjects that the base model knows and that are still answered "
            "correctly. Lower is worse."
        ),
        noop("fewer other facts about the edited subjects are preserved"),
        noop("Minimum share of same-subject facts"),
    ),
    "loss": Panel(
        noop("Loss on prose"),
        noop(
            "Increase of the loss on ordinary text over the base model, in nats per token; at +0.69, each token is half as "
            "likely. Higher is worse."
        ),
        noop("the loss on prose has increased"),
        noop("Maximum increase of the loss, nats per token"),
        noop("nats per token"),
    ),
    "kl": Panel(
        noop("KL divergence"),
        noop(
            "Divergence of the next-token distribution from that of the base model, mean over up to 32 other prompts, in "
            "nats. Higher is worse."
        ),
        noop("the answers to other prompts have changed"),
        noop("Maximum KL divergence, nats"),
        noop("nats from the base model"),
    ),
    "relative_norm": Panel(
        noop("Relative norm"),
        noop(
            "Norm of all edits relative to the weights that they change (|ΔW| / |W|), in the layer where it is largest. "
            "Higher is more wear. It has no limit, because methods differ in what they need."
        ),
        unit=noop("× the layer’s weights"),
    ),
    "value_norm": Panel(
        noop("Value norm"),
        noop(
            "Norm of what the edits add at their own subjects relative to the layer’s own value (|ΔW k| / |W k|), median "
            "over all edits. It has no limit; where it rises, an edit needs more to take effect."
        ),
        unit=noop("× the layer’s value"),
    ),
    "attention": Panel(
        noop("Attention to the edited subjects"),
        noop(
            "Change of the attention to the edited subjects from the base model, mean over the layers above the edits and "
            "the latest 8 edits. It has no limit; far from 0 is drift."
        ),
        unit=noop("of the attention"),
    ),
    "energy": Panel(
        noop("Hyperspherical energy"),
        noop(
            "How evenly the rows of the edited weight point in all directions: its change from the base model, in the layer "
            "where it is largest. It asks no question and has no limit; where it moves, edits were seen to fail soon."
        ),
        unit=noop("of the weight’s energy"),
    ),
}
"""The panels, in their order on the page."""
SHARES = (*LOWER_LIMITS, "retention", "attention", "energy")
"""Metrics that are given in percent."""
SIGNED = ("loss", "attention", "energy")
"""Metrics that are given as a change."""
SMALLEST = 0.0005
"""A smaller value is given as 0."""


def _edits(n: int) -> str:
    """Return a number of edits."""
    return ngettext("{n} edit", "{n} edits", n).format(n=number(n))


def metric(name: str, value: float | None) -> str:
    """Return the value of a metric with its unit."""
    if value is None or math.isnan(value):
        return _("no data")
    if math.isinf(value):
        return _("not finite")
    unit = PANELS[name].unit if name in PANELS else ""
    return f"{_number(name, value)} {_(unit)}" if unit else _number(name, value)


def _number(name: str, value: float) -> str:
    """Return the value of a metric without its unit."""
    if not math.isfinite(value):
        return _("not finite")
    sign = "+" if name in SIGNED else ""
    if name in SHARES:
        whole = f"{100 * value:.1f}".endswith(".0")
        figure = number(100 * value, f"{sign}.0f" if whole else f"{sign}.1f") + " %"
    else:
        figure = number(value, f"{sign}.3g") if abs(value) >= SMALLEST else f"{0:{sign}}"
    return figure.replace("-", "−")


def trends(beyond: Sequence[str], checkups: int) -> str:
    """Return in a few words which metrics are beyond their limits. `beyond`: their names."""
    if not checkups:
        return ""
    if not beyond:
        return _("none of {n} metrics is beyond its limit").format(n=len(PANELS))
    text = ngettext("{names} is beyond its limit", "{names} are beyond their limits", len(beyond))
    return text.format(names=join(_(PANELS[name].title) for name in beyond))


def retained(scores: Sequence[float]) -> str:
    """Return in a few words how many of the applied edits hold at all of their prompts. `scores`: those of the edits."""
    if not scores:
        return ""
    whole = sum(score == 1 for score in scores)
    text = ngettext("{n} of {edits} holds at every prompt", "{n} of {edits} hold at every prompt", whole)
    return text.format(n=number(whole), edits=_edits(len(scores)))


def limits(changed: bool) -> str:
    """Return in a few words whether the limits are those that EditLab sets."""
    return _("changed in this workspace") if changed else _("as EditLab sets them")


def score(share: float | None) -> str:
    """Return the score of an edit: the share of its prompts at which it holds."""
    return "–" if share is None else metric("retention", share)


def limit(name: str, value: float | None) -> str:
    """Return the alarm limit of a panel; empty where it has none."""
    if value is None:
        return ""
    text = _("alarm below {value}") if name in LOWER_LIMITS else _("alarm above {value}")
    return text.format(value=_number(name, value))


def healthy(holding: int, edits: int, locality: float | None) -> str:
    """Return that there is no alarm, and how many of the edits hold."""
    if holding == edits:
        hold = ngettext("the edit holds", "all {edits} edits hold", edits).format(edits=number(edits))
    else:
        hold = ngettext("{n} of {edits} holds", "{n} of {edits} hold", holding)
        hold = hold.format(n=number(holding), edits=_edits(edits))
    if locality is None:
        return _("Healthy: {hold}.").format(hold=hold)
    text = _("Healthy: {hold}; {share} of facts about other subjects are preserved.")
    return text.format(hold=hold, share=metric("locality", locality))


def alarm(alarm: Alarm, changes: Sequence[Moment]) -> Timed:
    """Return what an alarm is about, since when, and which change it followed. `changes`: those that may have caused it."""
    what = f"{_what(alarm)}."
    if not changes or (len(changes) > 1 and alarm.before is None):
        return Timed(_("Since the first check-up, {what}").format(what=what))
    last = changes[-1]
    text = (
        _("Since “{change}” ({time}{author}), {what}")
        if len(changes) == 1
        else _("Since one of {n} changes up to “{change}” ({time}{author}), {what}")
    )
    by = f", {last.author}" if last.author else ""
    return Timed.of(text, last.at, change=tell(last.text), n=number(len(changes)), author=by, what=what)


def also(alarm: Alarm) -> Timed:
    """Return another alarm that began at the same check-up."""
    return Timed(_("Since then also: {what}.").format(what=_what(alarm)))


def _what(alarm: Alarm) -> str:
    text = (
        _("{what}: {value} (limit {limit})")
        if alarm.before is None
        else _("{what}: {value}, {before} before (limit {limit})")
    )
    return text.format(
        what=_(PANELS[alarm.metric].alarm),
        value=metric(alarm.metric, alarm.value),
        before="" if alarm.before is None else _number(alarm.metric, alarm.before),
        limit=_number(alarm.metric, alarm.limit),
    )


def outdated(sentence: Timed) -> Timed:
    """Return a result that is from before the latest change."""
    return sentence._replace(before=_("Before the latest change: {sentence}").format(sentence=sentence.before))


def check_up(edits: int, change: Moment | None) -> str:
    """Return the label of a check-up in the figures: how many edits were applied, and the change before it."""
    if change is None:
        return _edits(edits)
    return _("{edits}, after: {change} ({time} UTC{author})").format(
        edits=_edits(edits),
        change=tell(change.text),
        time=change.at[:16].replace("T", " "),
        author=f", {change.author}" if change.author else "",
    )


def status(state: str, fraction: float, ahead: int) -> str:
    """Return the progress of a check-up in the background."""
    if state != "waiting":
        return _("Check-up running: {share} done.").format(share=f"{100 * fraction:.0f} %")
    if not ahead:
        return _("Check-up queued.")
    text = ngettext("Check-up queued behind {n} other job.", "Check-up queued behind {n} other jobs.", ahead)
    return text.format(n=number(ahead))


def failed(problem: str) -> str:
    """Return why the last check-up failed."""
    return _("The last check-up failed: {problem}").format(problem=said(problem))


def checked(at: str, edits: int, seconds: float) -> Timed:
    """Return when the last check-up was made, of how many edits, and how long it took."""
    text = ngettext(
        "Checked {time} with {n} edit applied, in {seconds} s.",
        "Checked {time} with {n} edits applied, in {seconds} s.",
        edits,
    )
    return Timed.of(text, at, n=number(edits), seconds=number(seconds, ".1f"))


def unchecked(changes: int) -> str:
    """Return that the latest changes are not checked yet. 0: only the gate threshold has changed."""
    if not changes:
        return _("The gate threshold has changed and is not checked yet.")
    text = ngettext("{n} change of the edits is not checked yet.", "{n} changes of the edits are not checked yet.", changes)
    return text.format(n=number(changes))


def restored(edits: int, event: int, difference: float) -> str:
    """Return that the same edits were checked before, and the largest difference of a metric."""
    if difference == 0:
        text = ngettext(
            "This is the same edit as after event {event}, and every metric is exactly the same.",
            "These are the same {n} edits as after event {event}, and every metric is exactly the same.",
            edits,
        )
    else:
        text = ngettext(
            "This is the same edit as after event {event}; no metric differs by more than {difference}.",
            "These are the same {n} edits as after event {event}; no metric differs by more than {difference}.",
            edits,
        )
    return text.format(n=number(edits), event=number(event), difference=number(difference, ".2g"))


def return_title(edits: int | None) -> str:
    """Return the label of the way back. None: to the base model."""
    if not edits:
        return _("Return to the base model")
    text = ngettext("Return to the last healthy state ({n} edit)", "Return to the last healthy state ({n} edits)", edits)
    return text.format(n=number(edits))


def return_changes(removed: int, restored: int) -> str:
    """Return what a return changes."""
    parts = []
    if removed:
        text = ngettext("{n} edit will no longer be applied", "{n} edits will no longer be applied", removed)
        parts.append(text.format(n=number(removed)))
    if restored:
        text = ngettext("{n} edit will be applied again", "{n} edits will be applied again", restored)
        parts.append(text.format(n=number(restored)))
    changes = "; ".join(parts) or _("The same edits stay applied, as they were then")
    return _("{changes}. You can undo this.").format(changes=changes)


def edit_status(share: float | None, holds: bool | None, since: tuple[str, int] | None) -> Timed:
    """Return whether an edit holds. `since`: when it was first found not to, and how many edits were applied then."""
    if share is None or holds is None:
        return Timed(_("not applied"))
    if holds:
        return Timed(_("holds") if share == 1 else _("holds, but not at every rephrased prompt"))
    if since is None:
        return Timed(_("has never held"))
    at, edits = since
    text = ngettext(
        "has not held since {time}, with {n} edit applied", "has not held since {time}, with {n} edits applied", edits
    )
    return Timed.of(text, at, n=number(edits))


def service(waiting: int, running: int, faults: int) -> str:
    """Return whether the service is ready, and how many jobs it has."""
    if faults:
        return ngettext("Not ready: {n} fault.", "Not ready: {n} faults.", faults).format(n=number(faults))
    if not waiting and not running:
        return _("Ready. No job is running or waiting.")
    text = ngettext("Ready. {n} job running, {waiting} waiting.", "Ready. {n} jobs running, {waiting} waiting.", running)
    return text.format(n=number(running), waiting=number(waiting))


def memory(process: int, gpu: int | None, planned: int | None) -> str:
    """Return how much memory is used, compared with the plan of the model. All numbers are bytes."""
    named = {"process": size(process), "gpu": size(gpu or 0), "planned": size(planned or 0)}
    used = (
        _("Memory: {process} in this process") if gpu is None else _("Memory: {process} in this process, {gpu} on the GPU")
    )
    if planned is None:
        plan = _("There is no plan for this model.")
    elif gpu is None:
        plan = _("The plan for this model is at most {planned}; the rest is the program itself.")
    elif gpu <= planned:
        plan = _("The plan for this model is at most {planned}; GPU use is within it.")
    else:
        plan = _("The plan for this model is at most {planned}; GPU use is above it.")
    return f"{used}. {plan}".format(**named)


def latency(seconds: float) -> str:
    """Return a time that a job waited or ran."""
    if seconds < 1:
        return f"{number(1000 * seconds, '.0f')} ms"
    if seconds < 120:
        return f"{number(seconds, '.1f')} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{number(seconds / 3600, '.1f')} h"


def since(state: str, seconds: float) -> str:
    """Return for how long a job has run or waited."""
    text = _("running for {time}") if state == "running" else _("waiting for {time}")
    return text.format(time=latency(seconds))
