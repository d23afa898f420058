"""The sentences of the Monitor tab, made from the numbers of the check-ups and of the service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from editlab.lab import Moment
from editlab.lab.workspaces.alarms import LOWER_LIMITS, Alarm
from editlab.wording import count, join, size

TITLES = {
    "metrics": "Trends",
    "retention": "Retention of each edit",
    "limits": "Alert thresholds",
    "service": "Service",
}
"""The titles of the folded sections, in their order on the page."""
TREND = (
    "After every change, a check-up asks all edits again. Each point is a check-up, from left to right as the edits were "
    "applied; upwards is the metric. The dashed line is the alarm limit, and a cross is beyond it. Hover over a point to "
    "see the change before it. Without edits, the curve would stay where the base model is."
)
RETENTION = (
    "Each edit is asked at three prompts: its own and two rephrased ones. A row is an edit, in the order of the list, a "
    "column is a check-up. Red means that the edit holds at none of its prompts, empty that it was not applied."
)
LIMITS = "When is a metric an alarm? Each limit belongs to this workspace, and a change of it is an event in its history."
SERVICE = "How busy is the model, and how long do jobs wait? Jobs of all users are counted from the start of EditLab."
QUEUED = "A check-up is queued. It runs as soon as no other job waits."
NO_EDIT = "No edit is applied, so there is nothing to monitor."


class Timed(NamedTuple):
    """A sentence with a time in it, which the page shows by the reader's clock."""

    before: str
    at: str = ""
    after: str = ""


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
        "Edits that hold",
        "Share of the edits whose own prompt still gets the new object; dotted, the share of the three prompts "
        "of each edit. Lower is worse.",
        "fewer edits hold",
        "Minimum share of edits that hold",
    ),
    "locality": Panel(
        "Locality",
        "Share of up to 100 facts about other subjects that the base model knows and that are still answered correctly. "
        "Lower is worse.",
        "fewer facts about other subjects are preserved",
        "Minimum locality",
    ),
    "same_subject": Panel(
        "Same-subject facts",
        "Share of up to 100 other facts about the edited subjects that the base model knows and that are still answered "
        "correctly. Lower is worse.",
        "fewer other facts about the edited subjects are preserved",
        "Minimum share of same-subject facts",
    ),
    "loss": Panel(
        "Loss on prose",
        "Increase of the loss on ordinary text over the base model, in nats per token; at +0.69, each token is half as "
        "likely. Higher is worse.",
        "the loss on prose has increased",
        "Maximum increase of the loss, nats per token",
        "nats per token",
    ),
    "kl": Panel(
        "KL divergence",
        "Divergence of the next-token distribution from that of the base model, mean over up to 32 other prompts, in nats. "
        "Higher is worse.",
        "the answers to other prompts have changed",
        "Maximum KL divergence, nats",
        "nats from the base model",
    ),
    "relative_norm": Panel(
        "Relative norm",
        "Norm of all edits relative to the weights that they change (|ΔW| / |W|), in the layer where it is largest. Higher "
        "is more wear. It has no limit, because methods differ in what they need.",
        unit="× the layer’s weights",
    ),
    "value_norm": Panel(
        "Value norm",
        "Norm of what the edits add at their own subjects relative to the layer’s own value (|ΔW k| / |W k|), median over "
        "all edits. It has no limit; where it rises, an edit needs more to take effect.",
        unit="× the layer’s value",
    ),
    "attention": Panel(
        "Attention to the edited subjects",
        "Change of the attention to the edited subjects from the base model, mean over the layers above the edits and the "
        "latest 8 edits. It has no limit; far from 0 is drift.",
        unit="of the attention",
    ),
}
"""The panels, in their order on the page."""
SHARES = (*LOWER_LIMITS, "retention", "attention")
"""Metrics that are given in percent."""
SIGNED = ("loss", "attention")
"""Metrics that are given as a change."""
SMALLEST = 0.0005
"""A smaller value is given as 0."""


def metric(name: str, value: float | None) -> str:
    """Return the value of a metric with its unit."""
    if value is None or math.isnan(value):
        return "no data"
    if math.isinf(value):
        return "not finite"
    unit = PANELS[name].unit if name in PANELS else ""
    return f"{_number(name, value)} {unit}".rstrip()


def _number(name: str, value: float) -> str:
    """Return the value of a metric without its unit."""
    if not math.isfinite(value):
        return "not finite"
    sign = "+" if name in SIGNED else ""
    if name in SHARES:
        number = f"{100 * value:{sign}.1f}".removesuffix(".0") + " %"
    else:
        number = f"{value:{sign}.3g}" if abs(value) >= SMALLEST else f"{0:{sign}}"
    return number.replace("-", "−")


def trends(beyond: Sequence[str], checkups: int) -> str:
    """Return in a few words which metrics are beyond their limits. `beyond`: their names."""
    if not checkups:
        return ""
    if not beyond:
        return f"none of {len(PANELS)} metrics is beyond its limit"
    names = join(PANELS[name].title for name in beyond)
    return f"{names} {'is' if len(beyond) == 1 else 'are'} beyond {'its limit' if len(beyond) == 1 else 'their limits'}"


def retained(scores: Sequence[float]) -> str:
    """Return in a few words how many of the applied edits hold at all of their prompts. `scores`: those of the edits."""
    if not scores:
        return ""
    whole = sum(score == 1 for score in scores)
    return f"{whole:,} of {count(len(scores), 'edit')} {'holds' if whole == 1 else 'hold'} at every prompt"


def limits(changed: bool) -> str:
    """Return in a few words whether the limits are those that EditLab sets."""
    return "changed in this workspace" if changed else "as EditLab sets them"


def score(share: float | None) -> str:
    """Return the score of an edit: the share of its prompts at which it holds."""
    return "–" if share is None else metric("retention", share)


def limit(name: str, value: float | None) -> str:
    """Return the alarm limit of a panel; empty where it has none."""
    if value is None:
        return ""
    return f"alarm {'below' if name in LOWER_LIMITS else 'above'} {_number(name, value)}"


def healthy(holding: int, edits: int, locality: float | None) -> str:
    """Return that there is no alarm, and how many of the edits hold."""
    if holding == edits:
        hold = "the edit holds" if edits == 1 else f"all {edits:,} edits hold"
    else:
        hold = f"{holding:,} of {count(edits, 'edit')} hold{'s' if holding == 1 else ''}"
    others = "" if locality is None else f"; {metric('locality', locality)} of facts about other subjects are preserved"
    return f"Healthy: {hold}{others}."


def alarm(alarm: Alarm, changes: Sequence[Moment]) -> Timed:
    """Return what an alarm is about, since when, and which change it followed. `changes`: those that may have caused it."""
    what = f"{_what(alarm)}."
    if not changes or (len(changes) > 1 and alarm.before is None):
        return Timed(f"Since the first check-up, {what}")
    last = changes[-1]
    among = "" if len(changes) == 1 else f"one of {len(changes):,} changes up to "
    by = f", {last.author}" if last.author else ""
    return Timed(f"Since {among}“{last.text}” (", last.at, f"{by}), {what}")


def also(alarm: Alarm) -> Timed:
    """Return another alarm that began at the same check-up."""
    return Timed(f"Since then also: {_what(alarm)}.")


def _what(alarm: Alarm) -> str:
    before = "" if alarm.before is None else f", {_number(alarm.metric, alarm.before)} before"
    text, value = PANELS[alarm.metric].alarm, metric(alarm.metric, alarm.value)
    return f"{text}: {value}{before} (limit {_number(alarm.metric, alarm.limit)})"


def outdated(sentence: Timed) -> Timed:
    """Return a result that is from before the latest change."""
    return sentence._replace(before=f"Before the latest change: {sentence.before}")


def check_up(edits: int, change: Moment | None) -> str:
    """Return the label of a check-up in the figures: how many edits were applied, and the change before it."""
    if change is None:
        return count(edits, "edit")
    by = f", {change.author}" if change.author else ""
    return f"{count(edits, 'edit')}, after: {change.text} ({change.at[:16].replace('T', ' ')} UTC{by})"


def status(state: str, fraction: float, ahead: int) -> str:
    """Return the progress of a check-up in the background."""
    if state == "waiting":
        return f"Check-up queued behind {count(ahead, 'other job')}." if ahead else "Check-up queued."
    return f"Check-up running: {100 * fraction:.0f} % done."


def failed(problem: str) -> str:
    """Return why the last check-up failed."""
    return f"The last check-up failed: {problem}"


def checked(at: str, edits: int, seconds: float) -> Timed:
    """Return when the last check-up was made, of how many edits, and how long it took."""
    return Timed("Checked ", at, f" with {count(edits, 'edit')} applied, in {seconds:.1f} s.")


def unchecked(changes: int) -> str:
    """Return that the latest changes are not checked yet. 0: only the gate threshold has changed."""
    if not changes:
        return "The gate threshold has changed and is not checked yet."
    return f"{count(changes, 'change')} of the edits {'is' if changes == 1 else 'are'} not checked yet."


def restored(edits: int, number: int, difference: float) -> str:
    """Return that the same edits were checked before, and the largest difference of a metric."""
    same = "This is the same edit" if edits == 1 else f"These are the same {edits:,} edits"
    same = f"{same} as after event {number:,}"
    if difference == 0:
        return f"{same}, and every metric is exactly the same."
    return f"{same}; no metric differs by more than {difference:.2g}."


def return_title(edits: int | None) -> str:
    """Return the label of the way back. None: to the base model."""
    return f"Return to the last healthy state ({count(edits, 'edit')})" if edits else "Return to the base model"


def return_changes(removed: int, restored: int) -> str:
    """Return what a return changes."""
    parts = [f"{count(removed, 'edit')} will no longer be applied"] if removed else []
    parts += [f"{count(restored, 'edit')} will be applied again"] if restored else []
    return f"{'; '.join(parts) or 'The same edits stay applied, as they were then'}. You can undo this."


def edit_status(share: float | None, holds: bool | None, since: tuple[str, int] | None) -> Timed:
    """Return whether an edit holds. `since`: when it was first found not to, and how many edits were applied then."""
    if share is None or holds is None:
        return Timed("not applied")
    if holds:
        return Timed("holds" if share == 1 else "holds, but not at every rephrased prompt")
    if since is None:
        return Timed("has never held")
    return Timed("has not held since ", since[0], f", with {count(since[1], 'edit')} applied")


def service(waiting: int, running: int, faults: int) -> str:
    """Return whether the service is ready, and how many jobs it has."""
    if faults:
        return f"Not ready: {count(faults, 'fault')}."
    if not waiting and not running:
        return "Ready. No job is running or waiting."
    return f"Ready. {count(running, 'job')} running, {waiting:,} waiting."


def memory(process: int, gpu: int | None, planned: int | None) -> str:
    """Return how much memory is used, compared with the plan of the model. All numbers are bytes."""
    used = f"Memory: {size(process)} in this process"
    if gpu is not None:
        used += f", {size(gpu)} on the GPU"
    if planned is None:
        return f"{used}. There is no plan for this model."
    if gpu is None:
        return f"{used}. The plan for this model is at most {size(planned)}; the rest is the program itself."
    against = "within" if gpu <= planned else "above"
    return f"{used}. The plan for this model is at most {size(planned)}; GPU use is {against} it."


def latency(seconds: float) -> str:
    """Return a time that a job waited or ran."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
