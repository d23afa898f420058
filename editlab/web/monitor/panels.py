"""The metrics of the Monitor tab: what each is called and means, the lines of its curve, and how its values are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from editlab.lab.workspaces.alarms import LOWER_LIMITS
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.wording import number


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
            "Share of the edits whose own prompt still gets the new object, token by token; dashed, where the answer that "
            "the model writes by itself has it; dotted, the share of the three prompts of each edit. Lower is worse."
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
    "ability": Panel(
        noop("Ability"),
        noop(
            "Share of 32 fixed questions about other subjects, each with four options, at which the right one is the "
            "likeliest. Dotted, without the edits; the band is the 95 % interval of the change. Lower is worse. It has no "
            "limit: so few questions show large changes only."
        ),
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
LINES = {
    "holds": {"holds": noop("own prompt"), "retention": noop("all three"), "generated": noop("written")},
    "ability": {"ability": noop("edited"), "ability_base": noop("without edits")},
}
"""The lines of the curves that have several, with names of which three stand in a row on a telephone."""
BANDS = {"ability": ("ability_low", "ability_high")}
"""The columns between which the curve of a metric has a band."""
SHARES = (*LOWER_LIMITS, "retention", "generated", "ability", "attention", "energy")
"""Metrics that are given in percent."""
SIGNED = ("loss", "attention", "energy")
"""Metrics that are given as a change."""
SMALLEST = 0.0005
"""A smaller value is given as 0."""


def metric(name: str, value: float | None) -> str:
    """Return the value of a metric with its unit."""
    if value is None or math.isnan(value):
        return _("no data")
    if math.isinf(value):
        return _("not finite")
    unit = PANELS[name].unit if name in PANELS else ""
    return f"{without_unit(name, value)} {_(unit)}" if unit else without_unit(name, value)


def without_unit(name: str, value: float) -> str:
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


def beside(name: str, row: Mapping[str, float | None]) -> str:
    """Return what stands beside the value of a metric, from the row of a check-up; empty where there is nothing."""
    if name == "holds" and _is_number(row["generated"]):
        return _("written: {value}").format(value=metric("generated", row["generated"]))
    if name == "ability" and _is_number(row["ability"]):
        value, base, low, high = (row[column] or 0.0 for column in ("ability", "ability_base", *BANDS["ability"]))
        if value == low == high == base:  # an interval would say that none can
            return _("against {base} without the edits: no answer has changed").format(base=metric("ability", base))
        change, low, high = (_points(bound - base) for bound in (value, low, high))
        text = _("against {base} without the edits: {change} points (95 % interval {low} to {high})")
        return text.format(base=metric("ability", base), change=change, low=low, high=high)
    return ""


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _points(share: float) -> str:
    """Return a change of a share in percentage points."""
    return number(round(100 * share, 1) + 0.0, "+.3g").replace("-", "−")


def score(share: float | None) -> str:
    """Return the score of an edit: the share of its prompts at which it holds."""
    return "–" if share is None else metric("retention", share)


def limit(name: str, value: float | None) -> str:
    """Return the alarm limit of a panel; empty where it has none."""
    if value is None:
        return ""
    text = _("alarm below {value}") if name in LOWER_LIMITS else _("alarm above {value}")
    return text.format(value=without_unit(name, value))
