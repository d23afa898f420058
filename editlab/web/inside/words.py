"""The sentences of the Inside tab: what each figure shows, made from the figure's numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pandas import DataFrame, Series

from editlab.facts import EditRequest
from editlab.wording import capitalize, count, join, percent, share

IN_VIEW = {
    "base": "in the base model",
    "edited": "in the edited model",
    "rep": "with REP",
    "masked": "under the mask",
    "base_masked": "in the base model under the mask",
}
"""Where something is so, by view."""
DESCRIBED = ("base", "edited", "rep", "masked")
"""The views that a sentence describes."""
COMPUTING = "Computing …"
MOST_NAMED = 3
"""Most heads or dimensions that a sentence names."""
LEAD = 0.05
"""An object leads by at least this probability; cases that differ by less on average are equally loud."""
CHANGED = 0.1
"""A probability or an attention weight that differs by this has changed."""
CHANGED_LOGITS = 1.0
"""A difference of two logits that differs by this has changed."""
UNEVEN = 1.5
"""Shares that vary this many times as much as by chance are concentrated."""
SMALL_EFFECT = 0.2
"""A smaller effect size is no effect (Cohen 1988)."""


def edit(request: EditRequest, layers: Sequence[int]) -> str:
    """Return which edit is shown."""
    return f"{request.subject} → {request.target_new}, {'layer' if len(layers) == 1 else 'layers'} {join(layers)}."


def objects(request: EditRequest) -> dict[str, str]:
    """Return the objects by `new` and `true`."""
    return {"new": request.target_new} | ({} if request.target_true is None else {"true": request.target_true})


def same_token(request: EditRequest) -> str:
    """Return why two objects that begin with the same token are not compared."""
    return (
        f"{request.target_new} and {request.target_true} begin with the same token. The figures read first tokens only, so "
        "they cannot tell the two apart. Choose another new object."
    )


def lens(request: EditRequest, frame: DataFrame, back: int) -> str:
    """Return which object leads at one token and from which layer on, and after which layer half of the change is there."""
    at_token = frame[frame["back"] == back]
    token = at_token["token"].iloc[0]
    by_view = {view: at_token[at_token["view"] == view] for view in DESCRIBED}
    clauses = [_leader(request, rows, view) for view, rows in by_view.items() if not rows.empty]
    return f"After “{visible(token)}”: {'; '.join(clauses)}.{_half(request, at_token)}"


def _half(request: EditRequest, rows: DataFrame) -> str:
    half = half_way(request, rows)
    if half is None:
        return ""
    layer, total = half
    return (
        f" The edit raises the logit of {request.target_new} by {total:.1f} against that of {request.target_true}; half of "
        f"that is there after layer {layer}."
    )


def half_way(request: EditRequest, rows: DataFrame) -> tuple[int, float] | None:
    """Return after which layer half of the change in the difference of the logits is there and stays, and that change.

    In a model of many layers, probabilities show it late: the first token of either object is unlikely until the last few.
    None where there is no such change. `rows`: of the logit lens at one token.
    """
    lead = rows.assign(lead=rows["logit_new"] - rows["logit_true"]).pivot(index="layer", columns="view", values="lead")
    if "edited" not in lead or request.target_true is None:
        return None
    change = lead["edited"] - lead["base"]
    total = change.iloc[-1]
    return None if total < CHANGED_LOGITS else (int(change[change < total / 2].index[-1]) + 1, total)


def _leader(request: EditRequest, rows: DataFrame, view: str) -> str:
    rows = rows.sort_values("layer")
    last = rows.iloc[-1]
    if request.target_true is None:
        return f"{IN_VIEW[view]}, {request.target_new} ends at {percent(last['p_new'])}"
    names, ends = objects(request), {which: percent(last[f"p_{which}"]) for which in ("new", "true")}
    first, second = ("new", "true") if last["p_new"] > last["p_true"] else ("true", "new")
    layer = leads_from(rows, first, second)
    if layer is None:
        return f"{IN_VIEW[view]}, neither leads: {names['new']} ends at {ends['new']}, {names['true']} at {ends['true']}"
    since = "from the start" if layer < 0 else f"from layer {layer} on"
    return f"{IN_VIEW[view]}, {names[first]} leads {since} and ends at {ends[first]}, {names[second]} at {ends[second]}"


def leads_from(rows: DataFrame, first: str, second: str) -> int | None:
    """Return from which layer on the object `first` leads before `second`; None where it does not at the end."""
    behind = ((rows[f"p_{first}"] - rows[f"p_{second}"]) < LEAD).tolist()
    if behind[-1]:
        return None
    return int(rows["layer"].iloc[len(behind) - behind[::-1].index(True) if True in behind else 0])


def lens_title(request: EditRequest, frame: DataFrame, back: int) -> str:
    """Return the finding in a few words: which object leads in the edited model at a token, and since which layer."""
    rows = frame[(frame["back"] == back) & (frame["view"] == "edited")].sort_values("layer")
    if rows.empty or request.target_true is None:
        return ""
    found = {name: leads_from(rows, first, second) for (first, second), name in _pairs(request).items()}
    leader = next((name for name, layer in found.items() if layer is not None), None)
    if leader is None:
        return "neither object leads"
    return f"{leader} leads {'from the start' if found[leader] < 0 else f'from layer {found[leader]} on'}"


def _pairs(request: EditRequest) -> dict[tuple[str, str], str]:
    return {("new", "true"): request.target_new, ("true", "new"): request.target_true or ""}


def _gains_at_tokens(frame: DataFrame) -> DataFrame | None:
    """Return what the new object gains at each token and layer, the most first; None where no edit is applied."""
    if "edited" not in set(frame["view"]):
        return None
    wide = frame.pivot(index=["layer", "back", "token"], columns="view", values="p_new").reset_index()
    return wide.assign(gain=wide["edited"] - wide["base"]).sort_values("gain", ascending=False, kind="stable")


def tokens_title(request: EditRequest, frame: DataFrame) -> str:
    """Return the finding in a few words: where the new object gains most."""
    gained = _gains_at_tokens(frame)
    if gained is None:
        return ""
    most = gained.iloc[0]
    return f"{request.target_new} gains " + ("nowhere" if most["gain"] < CHANGED else f"most {_place(most)}")


def tokens(request: EditRequest, frame: DataFrame) -> str:
    """Return where the new object gains most, where it first gains, and what the mask leaves of that."""
    gained = _gains_at_tokens(frame)
    if gained is None:
        return "No edit is applied, so no probability changes."
    most = gained.iloc[0]
    if most["gain"] < CHANGED:
        return f"{request.target_new} gains less than {_points(CHANGED)} over the base model at every token and layer."
    first = gained[gained["gain"] >= CHANGED].sort_values(["layer", "back"], ascending=[True, False]).iloc[0]
    text = f"{request.target_new} gains most {_place(most)}: from {percent(most['base'])} to {percent(most['edited'])}"
    if "masked" in gained:
        text += f", and {percent(most['masked'])} under the mask"
    if (first["layer"], first["back"]) != (most["layer"], most["back"]):
        text += f". It first gains {_points(CHANGED)} {_place(first)}"
    return f"{text}."


def gains(frame: DataFrame) -> Series:
    """Return by (part, layer) what the edit adds to the logit of the new object, of attention and MLPs."""
    new = _by_part(frame, "new")
    return (new["edited"] - new["base"]).drop(index="other", level=0, errors="ignore")


def contributions_title(frame: DataFrame) -> str:
    """Return the finding in a few words: the part that gains most."""
    if "edited" not in set(frame["view"]):
        return ""
    gain = gains(frame)
    return f"{part(*gain.idxmax())} gains most, {gain.max():+.1f} logits"


def contributions(request: EditRequest, frame: DataFrame, layers: Sequence[int] = ()) -> str:
    """Return which part the edit made louder, and the logits in each view. `layers`: those of the edit."""
    if "edited" not in set(frame["view"]):
        return "No edit is applied, so no contribution changes."
    new, total = _by_part(frame, "new"), frame.groupby("view")[["new", "true"]].sum()
    gain = gains(frame)
    most = gain.idxmax()
    name = part(*most) + (", which is edited," if most[0] == "mlp" and most[1] in layers else "")
    kinds = {kind: float(gain.xs(kind, level=0).sum()) for kind in ("attention", "mlp")}
    text = (
        f"{capitalize(name)} adds {new.loc[most, 'edited']:z.1f} to the logit of {request.target_new} in the edited "
        f"model and {new.loc[most, 'base']:z.1f} in the base model, the largest gain of any part. Compared with the base "
        f"model, all attention together adds {kinds['attention']:z.1f} more and all MLPs {kinds['mlp']:z.1f}"
    )
    under = f" Under the mask, {part(*most)} adds {new.loc[most, 'masked']:z.1f}." if "masked" in new else ""
    logits = [f"{_logits(request, total, view)} {IN_VIEW[view]}" for view in DESCRIBED if view in total.index]
    names = list(objects(request).values())
    subject = f"The logits of {join(names)} are" if len(names) > 1 else f"The logit of {names[0]} is"
    return f"{text}.{under} {subject} {join(logits)}."


def _logits(request: EditRequest, total: DataFrame, view: str) -> str:
    return join(f"{total.loc[view, which]:z.1f}" for which in objects(request))


def heads_above(frame: DataFrame, layers: Sequence[int]) -> DataFrame:
    """Return a row a head above the lowest edited layer, a column a view: how much it attends to the subject."""
    return frame[frame["layer"] > min(layers, default=-1)].pivot(index=["layer", "head"], columns="view", values="weight")


def attention_title(request: EditRequest, frame: DataFrame, layers: Sequence[int] = ()) -> str:
    """Return the finding in a few words: how many heads attend more to the subject, and how many less."""
    wide = heads_above(frame, layers)
    if wide.empty or "edited" not in wide:
        return ""
    gain = wide["edited"] - wide["base"]
    more, less = int((gain >= CHANGED).sum()), int((gain <= -CHANGED).sum())
    if not more and not less:
        return f"no head attends to {request.subject} by {CHANGED:.2f} more or less than before"
    return (
        f"{_attend(more)} more to {request.subject} than before, {less} less"
        if more
        else f"{_attend(less)} less than before"
    )


def attention(request: EditRequest, frame: DataFrame, token: str, layers: Sequence[int] = ()) -> str:
    """Return which heads attend more to the subject than before, and whether the mask reverses that.

    `layers`: those of the edit. Heads up to the lowest one read what is unedited, so they are not counted.
    """
    wide = heads_above(frame, layers)
    if "edited" not in set(frame["view"]):
        return f"No edit is applied, so the attention to {request.subject} does not change."
    if wide.empty:
        return f"No head stands above the edit, so the attention to {request.subject} does not change."
    gain = (wide["edited"] - wide["base"]).sort_values(ascending=False)
    more, less, first = int((gain >= CHANGED).sum()), int((gain <= -CHANGED).sum()), gain.index[0]
    change = f"at least {CHANGED:.2f}"
    if more:
        named = join(_head(place, wide) for place in gain.index[: min(MOST_NAMED, more)])
        text = f"{_attend(more)} to {request.subject} {change} more than before"
        text += f", most of all {named}" if more > MOST_NAMED else f": {named}"
    else:
        text = f"no head attends to {request.subject} {change} more than before; {_head(first, wide)} gains most"
    if less:
        text += f". {_attend(less)} {change} less, most of all {_head(gain.index[-1], wide)}"
    before, after = (f"{wide[view].mean():.3f}" for view in ("base", "edited"))
    means = f"The mean over the {len(wide)} heads above the edit goes from {before} to {after}"
    under = f" Under the mask, {head_name(first)} is at {wide.loc[first, 'masked']:.2f}." if "masked" in wide else ""
    if "base_masked" in wide:
        under += f" The mean is {wide['masked'].mean():.3f} there, and {wide['base_masked'].mean():.3f} with the mask alone."
    return f"At “{visible(token)}”, {text}. {means}.{under}"


def _attend(heads: int) -> str:
    return f"{count(heads, 'head')} {'attends' if heads == 1 else 'attend'}"


def mask_structure(frame: DataFrame, unevenness: DataFrame) -> str:
    """Return whether the mask prunes particular dimensions or all alike. `unevenness`: `insight.concentration` of it."""
    layers = unevenness.groupby("layer", sort=False)
    return " ".join(_pruned(frame[frame["layer"] == layer], rows) for layer, rows in layers)


def mask_title(unevenness: DataFrame) -> str:
    """Return the finding in a few words: the share that is pruned."""
    rows = unevenness[unevenness["axis"] == "output"].to_dict("records")
    return join(f"{share(row['pruned'])} of layer {row['layer']} is pruned" for row in rows)


def _pruned(frame: DataFrame, unevenness: DataFrame) -> str:
    output, key = (unevenness[unevenness["axis"] == axis].iloc[0] for axis in ("output", "key"))
    if not output["pruned"]:
        return f"The mask prunes nothing in layer {output['layer']}."
    most = frame[frame["axis"] == "output"].head(MOST_NAMED).to_dict("records")
    named = join(f"{row['dimension']} ({share(row['pruned'])})" for row in most)
    return (
        f"The mask prunes {share(output['pruned'])} of layer {output['layer']}. The most pruned output dimensions are "
        f"{named}; by chance, the most pruned one would reach {share(output['chance'])}. The shares of output dimensions "
        f"vary {_spread(output)}; those of key dimensions vary {_spread(key)}."
    )


def _spread(row: Series) -> str:
    spread = row["spread"]
    verdict = "concentrated" if spread >= UNEVEN else "as by chance" if spread > 1 / UNEVEN else "more even than by chance"
    return f"{spread:.1f} times as much as by chance ({verdict})"


def loudness(frame: DataFrame) -> str:
    """Return whether edits are louder than what they replace. `frame`: `insight.loudness.loud`."""
    if frame.empty:
        return "No case could be edited, so there is nothing to compare."
    comparisons = {row["what"]: row for row in frame.to_dict("records")}
    edited = comparisons["edited"]
    deviation = "" if math.isnan(edited["sd"]) else " (mean ± standard deviation)"
    effect = "" if math.isnan(edited["d"]) else f" (Cohen’s d {edited['d']:+.2f})"
    text = (
        f"Over {count(int(edited['n']), 'edit')}, P(new) after the edit is {_mean(edited)} and P(true) before it was "
        f"{_mean(edited, '_before')}{deviation}. The new object is louder in {share(edited['louder'])} of cases{effect}: "
        f"edits are {_compare(edited)} what they replace"
    )
    if "masked" in comparisons:
        text += f". Under the mask, P(new) is {_mean(comparisons['masked'])} and P(true) {_mean(comparisons['returned'])}"
    if "control" in comparisons:
        text += f"; without an edit, P(true) is {_mean(comparisons['control'])} under the mask"
    return f"{text}."


def loudness_title(frame: DataFrame) -> str:
    """Return the finding in a few words: how edits compare with what they replace."""
    edited = next((row for row in frame.to_dict("records") if row["what"] == "edited"), None)
    return "" if edited is None else f"{count(int(edited['n']), 'edit')} {_compare(edited)} what they replace"


def _compare(row: Mapping[str, Any]) -> str:
    if math.isnan(row["d"]) or abs(row["d"]) < SMALL_EFFECT or abs(row["mean"] - row["mean_before"]) < LEAD:
        return "as loud as"
    return "louder than" if row["d"] > 0 else "quieter than"


def loud_parts(frame: DataFrame) -> str:
    """Return which part gains most for the new object over many cases, and which loses most for the true one.

    `frame`: `insight.loudness.summary`.
    """
    if frame.empty:
        return ""
    rows = frame[frame["part"].isin(["attention", "mlp"])]
    wide = rows.pivot(index=["part", "layer"], columns="view", values=["new", "new_se", "true", "true_se"])
    gain, loss = (wide[which]["edited"] - wide[which]["base"] for which in ("new", "true"))
    most, least = gain.idxmax(), loss.idxmin()
    return (
        f"{capitalize(part(*most))} gains most for the new object: {_means(wide.loc[most], 'new')}. For the true object, "
        f"{part(*least)} loses most: {_means(wide.loc[least], 'true')}."
    )


def _means(row: Series, which: str) -> str:
    """Return what a part adds in each view, with its standard error."""
    clauses = []
    for view in (view for view in DESCRIBED if view in row[which].index):
        error = row[f"{which}_se"][view]
        clauses.append(f"{row[which][view]:z.1f}{'' if math.isnan(error) else f' ± {error:.1f}'} {IN_VIEW[view]}")
    return join(clauses)


def _by_part(frame: DataFrame, which: str) -> DataFrame:
    """Return a row a (part, layer), a column a view."""
    kind = frame["part"].where(frame["part"].isin(["attention", "mlp"]), "other")
    layer = frame["layer"].where(kind != "other", -1)
    return frame.assign(part=kind, layer=layer).groupby(["part", "layer", "view"])[which].sum().unstack("view")


def part(kind: str, layer: int) -> str:
    """Return what an attention or an MLP is called."""
    return f"the {'attention' if kind == 'attention' else 'MLP'} of layer {layer}"


def head_name(place: Sequence[int]) -> str:
    """Return what a head is called."""
    return f"layer {place[0]}, head {place[1]}"


def _head(place: Sequence[int], wide: DataFrame) -> str:
    return f"{head_name(place)} ({wide.loc[place, 'base']:.2f} → {wide.loc[place, 'edited']:.2f})"


def _place(row: Series) -> str:
    layer = "before layer 0" if row["layer"] < 0 else f"after layer {row['layer']}"
    return f"at “{visible(row['token'])}” {layer}"


def visible(token: str) -> str:
    """Return a token as a sentence quotes it."""
    return token.replace("␣", " ").strip() or token


def _points(change: float) -> str:
    return f"{100 * change:.0f} percentage points"


def _mean(row: Mapping[str, Any], end: str = "") -> str:
    deviation = row[f"sd{end}"]
    return f"{row[f'mean{end}']:.2f}" + ("" if math.isnan(deviation) else f" ± {deviation:.2f}")
