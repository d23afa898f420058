"""What matters most on the Inside tab for this edit: the section in which most changes, and its finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pandas import DataFrame

from editlab.web.inside import words
from editlab.web.inside.sections import Shown
from editlab.wording import capitalize, percent, share

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
        request = shown.question.request
        text = f"Inside, the edit of {request.subject} changes next to nothing {_at(shown)}."
        meaning = "No probability, no part of a layer and no head differs from the unedited model by as much as counts."
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
    now, before = (percent(ends[view]["p_new"]) for view in ("edited", "base"))
    new, true = request.target_new, request.target_true
    layer = words.leads_from(edited, "new", "true") if true is not None else None
    if true is None:
        text, tone = f"{new} ends at {now}, {before} without the edit", ""
    elif layer is None:
        text, tone = f"{new} does not take the lead: it ends at {now}, {true} at {percent(ends['edited']['p_true'])}", "bad"
    else:
        since = "from the start" if layer < 0 else f"from layer {layer} on"
        text, tone = f"{new} leads {since}: it ends at {now}, {before} without the edit", "good"
    half = words.half_way(request, at_token)
    parts = [] if half is None else [f"Half of the change of {half[1]:.1f} logits is there after layer {half[0]}."]
    if "masked" in ends and true is not None:
        parts.append(f"Under the mask, {true} ends at {percent(ends['masked']['p_true'])} and {new} at "
                     f"{percent(ends['masked']['p_new'])}.")  # fmt: skip
    return Lead("lens", f"{capitalize(_at(shown))}, {text}.", " ".join(parts), tone)


def _contributions(frame: DataFrame, shown: Shown) -> Lead:
    gain, new = words.gains(frame), shown.question.request.target_new
    most, totals = gain.idxmax(), frame.groupby("view")["new"].sum()
    total = float(totals["edited"] - totals["base"])
    own = frame[(frame["part"] == most[0]) & (frame["layer"] == most[1])].set_index("view")["new"]
    edited = ", which is edited," if most[0] == "mlp" and most[1] in shown.layers else ""
    text = (
        f"{capitalize(words.part(*most))}{edited} does most: it adds {own['edited']:z.1f} logits to {new}, "
        f"{own['base']:z.1f} without the edit."
    )
    meaning = f"Together, the parts raise {new} by {total:.1f} logits; {share(gain[most] / total)} of it is this one’s."
    return Lead("contributions", text, meaning if total >= words.CHANGED_LOGITS else "")


def _attention(frame: DataFrame, shown: Shown) -> Lead:
    wide, subject = words.heads_above(frame, shown.layers), shown.question.request.subject
    change = wide["edited"] - wide["base"]
    most = change.abs().idxmax()
    text = (
        f"{capitalize(words.head_name(most))} pays {share(wide.loc[most, 'edited'])} of its attention to {subject}, "
        f"{share(wide.loc[most, 'base'])} without the edit."
    )
    means = (share(wide[view].mean()) for view in ("base", "edited"))
    meaning = "Over all {} heads above the edit, the mean goes from {} to {}.".format(len(wide), *means)
    return Lead("attention", text, meaning)


def _at(shown: Shown) -> str:
    return f"after “{words.visible(shown.question.token)}”"


CHANGES = {"lens": _lens_change, "contributions": _contributions_change, "attention": _attention_change}
LEADS = {"lens": _lens, "contributions": _contributions, "attention": _attention}
