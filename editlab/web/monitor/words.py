"""What the Monitor tab says: sentences made from the check-ups and from the service's figures, each by a pure function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from editlab.lab import Moment
from editlab.lab.workspaces.alarms import LEAST, Alarm
from editlab.web.workspace.rooms import when


@dataclass(frozen=True)
class Panel:
    """A figure that is followed: what it is called, what it is and which direction is bad, and what an alarm says of it."""

    title: str
    meaning: str
    alarm: str = ""
    limit: str = ""
    unit: str = ""


PANELS = {
    "holds": Panel(
        "Edits that hold",
        "Share of the edits whose own question still gets the new answer; dotted, the share of three questions about each "
        "edit: its own, and two that say it otherwise. Lower is worse.",
        "fewer edits hold",
        "Least share of the edits that shall hold",
    ),
    "locality": Panel(
        "Facts about others",
        "Share of the facts about other subjects, up to 100, that the model knew without edits and still says. Lower is "
        "worse.",
        "fewer facts about other subjects are still said",
        "Least share of facts about others that shall stay",
    ),
    "same_subject": Panel(
        "Other facts about the edited subjects",
        "Share of the other facts about edited subjects, up to 100, that the model knew and still says. Lower is worse.",
        "fewer other facts about the edited subjects are still said",
        "Least share of their other facts that shall stay",
    ),
    "loss": Panel(
        "Reading plain prose",
        "How much worse the model foresees the next token of ordinary text than without edits, in nats a token: at +0.69, "
        "each token seems half as likely to it. Higher is worse.",
        "the model reads plain prose worse",
        "Most growth of the loss on prose, nats a token",
        "nats a token",
    ),
    "kl": Panel(
        "Answers to other questions",
        "How far its next word at up to 32 other questions is from that of the model without edits, in nats (KL "
        "divergence); 0 is not at all. Higher is worse.",
        "the model answers other questions differently",
        "Most distance at other questions, nats",
        "nats from the model without edits",
    ),
    "relative_norm": Panel(
        "Weight of the edits",
        "How large all edits are together against the weights that they lie on (|ΔW| / |W|), in the layer where that is "
        "most; 1 is as large as the layer itself. Higher is more wear. It has no limit, for methods differ in what they "
        "need.",
        unit="times the layer’s own weights",
    ),
    "value_norm": Panel(
        "Loudness of the edits",
        "How loud the edits speak at their own subjects against the layer itself (|ΔW k| / |W k|), the middle one of all "
        "edits. It has no limit; where it rises, it takes more to be heard.",
        unit="times as loud as the layer",
    ),
    "attention": Panel(
        "Looks at the edited subjects",
        "How much more of its attention the model gives to the edited subjects than without edits, mean over the layers "
        "above and the latest 8 edits; 0 is as before. It has no limit; far from 0 is drift.",
        unit="of the attention",
    ),
}
"""The panels, in their order on the page."""
SHARES = (*LEAST, "retention", "attention")
"""Figures that are told in percent."""
SIGNED = ("loss", "attention")
"""Figures that are told as a change."""
SMALLEST = 0.0005
"""What is below is told as 0."""
KINDS = {
    "edit": "Edit",
    "edits": "Edits from a file",
    "rep": "REP for an edit",
    "remake": "Re-making all edits",
    "look": "Answers to a question",
    "live": "Answers while typing",
    "probe": "Probes around an edit",
    "sweep": "REP’s threshold",
    "gates": "REP’s gates",
    "keys": "Pictures of the Keys tab",
    "inside": "Pictures of the Inside tab",
    "compare": "Comparison of two states",
    "ways back": "Ways back under the mask",
    "checkup": "Check-up of the edits",
    "export": "Export",
    "bench": "Benchmark",
    "mask": "Mask training",
    "mask cost": "Estimate for a mask",
    "statistics": "Key statistics",
    "statistics cost": "Estimate for key statistics",
    "model": "Loading a model",
    "ask": "Other work",
    "work": "Other work",
}
"""What the model's worker does, as people call it; what is missing here is shown under its own name."""


def figure(name: str, value: float | None) -> str:
    """One figure of a check-up with its unit."""
    if value is None or math.isnan(value):
        return "nothing to ask"
    if math.isinf(value):
        return "no number any more"
    unit = PANELS[name].unit if name in PANELS else ""
    return f"{_number(name, value)}{' ' * bool(unit)}{unit}"


def _number(name: str, value: float) -> str:
    sign = "+" if name in SIGNED else ""
    if name in SHARES:
        told = f"{100 * value:{sign}.1f}".removesuffix(".0") + " %"
    else:
        told = f"{value:{sign}.3g}" if abs(value) >= SMALLEST else f"{0:{sign}}"
    return told.replace("-", "−")


def edits(count: int) -> str:
    """So many edits."""
    return "1 edit" if count == 1 else f"{count:,} edits"


def healthy(holding: int, count: int, locality: float | None) -> str:
    """That there is no alarm, and how many of the edits hold."""
    if holding == count:
        hold = "the one edit holds" if count == 1 else f"all {count:,} edits hold"
    else:
        hold = f"{holding:,} of {edits(count)} hold{'s' if holding == 1 else ''}"
    others = "" if locality is None else f", facts about others {figure('locality', locality)} as before"
    return f"Healthy: {hold}{others}."


def since(changes: Sequence[Moment], watched_before: bool) -> Markup:
    """Since when: the changes of what lies over the model between the last check-up without the alarm and the first with it.

    `watched_before`: whether there was a check-up before that one.
    """
    if not changes or (len(changes) > 1 and not watched_before):
        return Markup("Since the first check-up")
    last = changes[-1]
    applied = last.told.startswith("applied ")
    what = f"edit {last.edits:,} ({last.told.removeprefix('applied ')}" if applied else f"event {last.number:,} ({last.told}"
    who = f", {last.by}" if last.by else ""
    among = "" if len(changes) == 1 else f"one of {len(changes):,} changes up to "
    return Markup("Since {}{}, {}{})").format(among, what, when(last.at), who)


def alarm(found: Alarm, changes: Sequence[Moment]) -> Markup:
    """What is wrong since when, by what, and by how much."""
    return Markup("{} {}").format(since(changes, found.before is not None), _wrong(found))


def also(found: Alarm) -> str:
    """What else is wrong since the same moment."""
    return f"Since then also: {_wrong(found)}"


def _wrong(found: Alarm) -> str:
    before = "" if found.before is None else f", {figure_alone(found.figure, found.before)} before"
    limit = _number(found.figure, found.limit)
    return f"{PANELS[found.figure].alarm}: {figure(found.figure, found.value)}{before}; limit {limit}."


def followed(count: int, change: Moment | None) -> str:
    """Which change a check-up followed, for hover."""
    if change is None:
        return edits(count)
    who = f", {change.by}" if change.by else ""
    return f"{edits(count)}, after: {change.told} ({change.at[:16].replace('T', ' ')} UTC{who})"


def figure_alone(name: str, value: float) -> str:
    """A figure without its unit, beside one that has it."""
    return _number(name, value) if math.isfinite(value) else "no number"


def limit(name: str, value: float | None) -> str:
    """What a panel's limit is; nothing where it has none."""
    if value is None:
        return ""
    return f"alarm {'below' if name in LEAST else 'above'} {_number(name, value)}"


def status(state: str, fraction: float, ahead: int) -> str:
    """How far a check-up is that nobody has to wait for."""
    if state == "waiting":
        return "A check-up waits" + (f" behind {ahead:,} other job{'' if ahead == 1 else 's'}." if ahead else ".")
    return f"A check-up runs: {100 * fraction:.0f} % done."


def failed(problem: str) -> str:
    """Why a check-up came to nothing."""
    return f"The last check-up came to nothing: {problem}"


def checked(at: str, edits_then: int, seconds: float) -> Markup:
    """When it was checked last, and what that took."""
    return Markup("Checked {} with {} over the model, in {:.1f} s.").format(when(at), edits(edits_then), seconds)


def earlier(said: str) -> Markup:
    """What was found before the latest change."""
    return Markup("Before the latest change: {}").format(said)


def unchecked(changes: int) -> str:
    """That there is no check-up of what lies over the model now."""
    if not changes:
        return "The gate’s threshold was moved since; that is not checked yet."
    what, is_ = ("One change of the edits", "is") if changes == 1 else (f"{changes:,} changes of the edits", "are")
    return f"{what} {is_} not checked yet."


def restored(edits_then: int, number: int, largest: float) -> str:
    """How the figures are against those of an earlier check-up of the same edits."""
    same = f"the same {edits(edits_then)} as after event {number:,}"
    if largest == 0:
        return f"These are {same}, and every figure is exactly what it was then."
    return f"These are {same}; no figure differs from what it was then by more than {largest:.2g}."


def return_title(edits_then: int | None) -> str:
    """What the way back leads to."""
    return f"Return to the last healthy state ({edits(edits_then)})" if edits_then else "Return to the model without edits"


def leaving(leave: int, come: int) -> str:
    """What a return changes."""
    told = f"{edits(leave)} will leave the model" if leave else "No edit will leave the model"
    back = f"; {edits(come)} will come back" if come else ""
    return f"{told}{back}. You can undo this."


def lost(now: float | None, holds: bool | None, since: tuple[str, int] | None) -> Markup:
    """How an edit does. `since`: when it was found that it no longer holds, and with how many edits over the model."""
    if now is None or holds is None:
        return Markup("not over the model")
    if holds:
        return Markup("holds" if now == 1 else "holds, though not always when it is asked otherwise")
    if since is None:
        return Markup("has never held")
    return Markup("no longer since {}, with {}").format(when(since[0]), edits(since[1]))


def service(waiting: int, running: int, faults: int) -> str:
    """Whether the service keeps up."""
    if faults:
        return f"{'Something is' if faults == 1 else f'{faults:,} things are'} wrong: not ready to serve."
    if not waiting and not running:
        return "Ready; nothing is running and nobody waits."
    jobs = "one job runs" if running == 1 else f"{running:,} jobs run" if running else "nothing runs"
    line = "nobody waits" if not waiting else "one job waits" if waiting == 1 else f"{waiting:,} jobs wait"
    return f"Ready; {jobs}, {line}."


def memory(process: int, gpu: int | None, planned: int | None) -> str:
    """How much memory is used against the plan; bytes."""
    told = f"This process uses {_size(process)} of the computer’s memory"
    if gpu is not None:
        told += f" and {_size(gpu)} of the GPU’s"
    if planned is None:
        return f"{told}. There is no plan of what the present model needs."
    if gpu is None:
        return f"{told}. Of that, the plan gives the present model {_size(planned)} at most; the rest is the program itself."
    against = "within" if gpu <= planned else "beyond"
    return f"{told}. The plan gives the present model {_size(planned)} at most: the GPU’s is {against} it."


def seconds(value: float) -> str:
    """A duration as people read it."""
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
