"""The sentences of the Monitor tab, made from the numbers of the check-ups and of the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from editlab.lab import Moment
from editlab.lab.workspaces.alarms import Alarm
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.wording import join, number, size, tell
from editlab.web.monitor.panels import PANELS, metric, without_unit

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


def _edits(n: int) -> str:
    """Return a number of edits."""
    return ngettext("{n} edit", "{n} edits", n).format(n=number(n))


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


def healthy(holding: int, edits: int, locality: float | None, generated: int | None = None) -> str:
    """Return that there is no alarm, and how many of the edits hold; of written answers too where their number differs."""
    if holding == edits:
        hold = ngettext("the edit holds", "all {edits} edits hold", edits).format(edits=number(edits))
    else:
        hold = ngettext("{n} of {edits} holds", "{n} of {edits} hold", holding)
        hold = hold.format(n=number(holding), edits=_edits(edits))
    if generated not in (None, holding):
        hold = _("{hold} ({n} in the answer that the model writes)").format(hold=hold, n=number(generated or 0))
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
        before="" if alarm.before is None else without_unit(alarm.metric, alarm.before),
        limit=without_unit(alarm.metric, alarm.limit),
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
