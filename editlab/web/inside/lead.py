"""What matters most on the Inside tab for this edit: the section in which most changes, and its finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pandas import DataFrame

from editlab.web.core.language import gettext as _
from editlab.web.core.wording import capitalize, number, percent, share
from editlab.web.inside import words
from editlab.web.inside.sections import Shown

CANDIDATES = ("lens", "contributions", "attention")
"""The sections that can come first: those that compare the edited with the unedited model. Earlier ones win ties."""


class Lead(NamedTuple):
    """The section whose picture is shown, the finding, its meaning, and how good it is: "good", "bad" or neither, ""."""

    section: str
    finding: str
    meaning: str
    tone: str = ""


def lead(frames: Mapping[str, DataFrame], shown: Shown) -> Lead | None:
    """Return the section with the largest change against the unedited model. `frames`: those of `CANDIDATES` that exist.

    A change is measured in the least that counts as one: .1 of probability in the logit lens, 1 logit of a layer's part, .1
    of a head's attention. Where no change is as large as 1, the logit lens says so. None where nothing can be compared.
    """
    changes = {name: CHANGES[name](frames[name], shown) for name in CANDIDATES if name in frames}
    if not changes:
        return None
    largest = max(changes, key=changes.__getitem__)
    if changes[largest] < 1:
        text = _("Inside, the edit of {subject} changes next to nothing after “{token}”.")
        text = text.format(subject=shown.question.request.subject, token=words.visible(shown.question.token))
        meaning = _("No probability, no part of a layer and no head differs from the unedited model by as much as counts.")
        return Lead("lens" if "lens" in changes else largest, text, meaning, "bad")
    return LEADS[largest](frames[largest], shown)


def _lens_change(frame: DataFrame, shown: Shown) -> float:
    rows = frame[frame["back"] == shown.question.at]
    wide = rows.pivot(index="layer", columns="view", values=["p_new", "p_true"])
    if "edited" not in wide["p_new"] or shown.question.new == shown.question.true:
        return 0.0
    return max(float((wide[p]["edited"] - wide[p]["base"]).abs().max()) for p in ("p_new", "p_true")) / words.CHANGED


def _contributions_change(frame: DataFrame, shown: Shown) -> float:
    if "edited" not in set(frame["view"]) or shown.question.new == shown.question.true:
        return 0.0
    return float(words.gains(frame).max()) / words.CHANGED_LOGITS


def _attention_change(frame: DataFrame, shown: Shown) -> float:
    wide = words.heads_above(frame, shown.layers)
    return 0.0 if wide.empty or "edited" not in wide else float((wide["edited"] - wide["base"]).abs().max()) / words.CHANGED


def _lens(frame: DataFrame, shown: Shown) -> Lead:
    request = shown.question.request
    at_token = frame[frame["back"] == shown.question.at]
    rows = {view: own.sort_values("layer") for view, own in at_token.groupby("view", sort=False)}
    edited = rows["edited"]
    ends = {view: own.iloc[-1] for view, own in rows.items()}
    new, true = request.target_new, request.target_true
    named = {"token": words.visible(shown.question.token), "new": new, "true": true}
    named |= {view: percent(ends[view]["p_new"]) for view in ("edited", "base")}
    layer = words.leads_from(edited, "new", "true") if true is not None else None
    if true is None:
        text, tone = _("After “{token}”, {new} ends at {edited}, {base} without the edit."), ""
    elif layer is None:
        text, tone = _("After “{token}”, {new} does not take the lead: it ends at {edited}, {true} at {p_true}."), "bad"
        named["p_true"] = percent(ends["edited"]["p_true"])
    elif layer < 0:
        text = _("After “{token}”, {new} leads from the start: it ends at {edited}, {base} without the edit.")
        tone = "good"
    else:
        text = _("After “{token}”, {new} leads from layer {layer} on: it ends at {edited}, {base} without the edit.")
        tone = "good"
    sentence, parts = text.format(**named, layer=layer), []
    half = words.half_way(request, at_token)
    if half is not None:
        text = _("Half of the change of {change} logits is there after layer {layer}.")
        parts.append(text.format(change=number(half[1], ".1f"), layer=half[0]))
    if "masked" in ends and true is not None:
        text = _("Under the mask, {true} ends at {p_true} and {new} at {p_new}.")
        ended = {name: percent(ends["masked"][name]) for name in ("p_true", "p_new")}
        parts.append(text.format(true=true, new=new, **ended))
    return Lead("lens", sentence, " ".join(parts), tone)


def _contributions(frame: DataFrame, shown: Shown) -> Lead:
    gain, new = words.gains(frame), shown.question.request.target_new
    most, totals = gain.idxmax(), frame.groupby("view")["new"].sum()
    total = float(totals["edited"] - totals["base"])
    own = frame[(frame["part"] == most[0]) & (frame["layer"] == most[1])].set_index("view")["new"]
    text = (
        _("{part}, which is edited, does most: it adds {edited} logits to {new}, {base} without the edit.")
        if most[0] == "mlp" and most[1] in shown.layers
        else _("{part} does most: it adds {edited} logits to {new}, {base} without the edit.")
    )
    text = text.format(
        part=capitalize(words.part(*most)), new=new, edited=number(own["edited"], "z.1f"), base=number(own["base"], "z.1f")
    )
    if total < words.CHANGED_LOGITS:
        return Lead("contributions", text, "")
    meaning = _("Together, the parts raise {new} by {total} logits; {share} of it is this one’s.")
    return Lead("contributions", text, meaning.format(new=new, total=number(total, ".1f"), share=share(gain[most] / total)))


def _attention(frame: DataFrame, shown: Shown) -> Lead:
    wide, subject = words.heads_above(frame, shown.layers), shown.question.request.subject
    change = wide["edited"] - wide["base"]
    most = change.abs().idxmax()
    text = _("{head} pays {edited} of its attention to {subject}, {base} without the edit.").format(
        head=capitalize(words.head_name(most)),
        subject=subject,
        **{view: share(wide.loc[most, view]) for view in ("edited", "base")},
    )
    before, after = (share(wide[view].mean()) for view in ("base", "edited"))
    meaning = _("Over all {n} heads above the edit, the mean goes from {before} to {after}.")
    return Lead("attention", text, meaning.format(n=len(wide), before=before, after=after))


CHANGES = {"lens": _lens_change, "contributions": _contributions_change, "attention": _attention_change}
LEADS = {"lens": _lens, "contributions": _contributions, "attention": _attention}
