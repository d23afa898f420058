"""What the pictures of the Inside tab show, as sentences: made from their numbers alone, each by one pure function."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.web.core import render

IN_VIEW = {
    "base": "in the base model",
    "edited": "in the edited model",
    "rep": "with REP",
    "masked": "under the mask",
    "base_masked": "in the base model under the mask",
}
"""Where something is so, by view."""
TOLD = ("base", "edited", "rep", "masked")
"""The views that a sentence speaks of."""
NAMED = 3
"""Most heads or dimensions that a sentence names."""
LEAD = 0.05
"""Who is likelier by this leads; cases that differ by less on average are as loud as each other."""
SEEN = 0.1
"""A probability or an attention weight that moved by this has changed."""
UNEVEN = 1.5
"""Shares that differ by this multiple of what chance would give are concentrated."""
SMALL = 0.2
"""Below this, an effect size is called none (Cohen 1988)."""


def objects(request: EditRequest) -> dict[str, str]:
    """The objects by `new` and `true`."""
    return {"new": request.target_new} | ({} if request.target_true is None else {"true": request.target_true})


def same_token(request: EditRequest) -> str:
    """Said instead of everything else where the first tokens of the objects are the same."""
    return (
        f"{request.target_new} and {request.target_true} begin with the same token, and the pictures read first tokens "
        "alone: they cannot be told apart here. Choose another new object to see what moves."
    )


def lens(request: EditRequest, frame: DataFrame, back: int) -> str:
    """The logit lens at one token: who leads in the end, and from which layer on."""
    own = frame[frame["back"] == back]
    token = own["token"].iloc[0]
    said = [_ends(request, own[own["view"] == view], view) for view in TOLD if (own["view"] == view).any()]
    return f"After “{_plain(token)}”: {'; '.join(said)}."


def _ends(request: EditRequest, rows: DataFrame, view: str) -> str:
    rows = rows.sort_values("layer")
    last = rows.iloc[-1]
    if request.target_true is None:
        return f"{IN_VIEW[view]}, {request.target_new} ends at {render.percent(last['p_new'])}"
    names, ends = objects(request), {which: render.percent(last[f"p_{which}"]) for which in ("new", "true")}
    first, second = ("new", "true") if last["p_new"] > last["p_true"] else ("true", "new")
    behind = ((rows[f"p_{first}"] - rows[f"p_{second}"]) < LEAD).tolist()
    if behind[-1]:
        return f"{IN_VIEW[view]}, neither leads: {names['new']} ends at {ends['new']}, {names['true']} at {ends['true']}"
    layer = int(rows["layer"].iloc[len(behind) - behind[::-1].index(True) if True in behind else 0])
    since = "from the start" if layer < 0 else f"from behind layer {layer} on"
    return f"{IN_VIEW[view]}, {names[first]} leads {since} and ends at {ends[first]}, {names[second]} at {ends[second]}"


def tokens(request: EditRequest, frame: DataFrame) -> str:
    """The heat map: where the new object first shows, where it gains most, and what the mask leaves of that."""
    if "edited" not in set(frame["view"]):
        return "Nothing is edited, so nothing gains."
    wide = frame.pivot(index=["layer", "back", "token"], columns="view", values="p_new").reset_index()
    wide["gain"] = wide["edited"] - wide["base"]
    most = wide.loc[wide["gain"].idxmax()]
    if most["gain"] < SEEN:
        return f"At no token and behind no layer does {request.target_new} gain {_points(SEEN)} or more over the base model."
    shows = wide[wide["gain"] >= SEEN].sort_values(["layer", "back"], ascending=[True, False]).iloc[0]
    before, after = render.percent(most["base"]), render.percent(most["edited"])
    text = f"{request.target_new} gains most {_place(most)}: from {before} to {after}"
    if (shows["layer"], shows["back"]) != (most["layer"], most["back"]):
        text += f"; it first gains {_points(SEEN)} {_place(shows)}"
    if "masked" in wide:
        text += f". Under the mask it is at {render.percent(most['masked'])} where it gained most"
    return f"{text}."


def contributions(request: EditRequest, frame: DataFrame, layers: Sequence[int] = ()) -> str:
    """Direct logit attribution: which part the edit made loud, and what the logits came to. `layers`: those of the edit."""
    if "edited" not in set(frame["view"]):
        return "Nothing is edited, so no part adds more than before."
    new, total = _by_part(frame, "new"), frame.groupby("view")[["new", "true"]].sum()
    gain = (new["edited"] - new["base"]).drop(index="other", level=0, errors="ignore")
    part = gain.idxmax()
    name = _part(*part) + (", where the edit lies," if part[0] == "mlp" and part[1] in layers else "")
    kinds = {kind: float(gain.xs(kind, level=0).sum()) for kind in ("attention", "mlp")}
    text = (
        f"{_upper(name)} adds {new.loc[part, 'edited']:z.1f} to the logit of {request.target_new} in the edited "
        f"model and {new.loc[part, 'base']:z.1f} in the base model, the largest gain of any part. All attention together "
        f"adds {kinds['attention']:z.1f} more than before and all MLPs {kinds['mlp']:z.1f}"
    )
    under = f" Under the mask, {_part(*part)} adds {new.loc[part, 'masked']:z.1f}." if "masked" in new else ""
    ends = [f"{_numbers(request, total, view)} {IN_VIEW[view]}" for view in TOLD if view in total.index]
    named = " and ".join(objects(request).values())
    logits, end = ("The logits", "") if len(objects(request)) > 1 else ("The logit", "s")
    return f"{text}.{under} {logits} of {named} end{end} at {_list(ends)}."


def _numbers(request: EditRequest, total: DataFrame, view: str) -> str:
    return " and ".join(f"{total.loc[view, which]:z.1f}" for which in objects(request))


def attention(request: EditRequest, frame: DataFrame, token: str) -> str:
    """Overattention: which heads look at the subject more than before, and whether the mask turns them away."""
    wide = frame.pivot(index=["layer", "head"], columns="view", values="weight")
    if "edited" not in wide:
        return f"Nothing is edited, so no head looks at {request.subject} otherwise than before."
    gain = (wide["edited"] - wide["base"]).sort_values(ascending=False)
    more, less, first = int((gain >= SEEN).sum()), int((gain <= -SEEN).sum()), gain.index[0]
    if more:
        named = [_head(place, wide) for place in gain.index[: min(NAMED, more)]]
        text = f"{_list(named)} now {'look' if len(named) > 1 else 'looks'} more at {request.subject}"
        text += f"; {more} {'head looks' if more == 1 else 'heads look'} at it by {SEEN:.2f} more than before"
    else:
        text = f"no head looks at {request.subject} by {SEEN:.2f} more than before; {_head(first, wide)} gains most"
    if less:
        text += f"; {less} {'looks' if less == 1 else 'look'} by {SEEN:.2f} less, most of all {_head(gain.index[-1], wide)}"
    means = f"over all {len(wide)} heads the mean goes from {wide['base'].mean():.3f} to {wide['edited'].mean():.3f}"
    under = f" Under the mask, {_name(first)} is at {wide.loc[first, 'masked']:.2f}." if "masked" in wide else ""
    return f"From “{_plain(token)}”, {text}; {means}.{under}"


def mask_structure(frame: DataFrame, uneven: DataFrame) -> str:
    """Where the mask prunes: particular dimensions, or everywhere alike. `uneven` is `insight.concentration` of it."""
    return " ".join(_pruned(frame[frame["layer"] == layer], own) for layer, own in uneven.groupby("layer", sort=False))


def _pruned(frame: DataFrame, uneven: DataFrame) -> str:
    output, key = (uneven[uneven["axis"] == axis].iloc[0] for axis in ("output", "key"))
    own = frame[frame["axis"] == "output"].head(NAMED)
    named = [f"{row['dimension']} ({_share(row['pruned'])})" for _, row in own.iterrows()]
    return (
        f"Of layer {output['layer']}, {_share(output['pruned'])} is pruned. The most pruned output dimensions are "
        f"{_list(named)}; pruned at random, the most pruned one would come to {_share(output['chance'])}. "
        f"{_evenness(output, 'Output')}; {_evenness(key, 'key')}."
    )


def _evenness(row: DataFrame, name: str) -> str:
    if math.isnan(row["spread"]):
        return f"{name} dimensions are not pruned at all"
    if row["spread"] >= UNEVEN:
        verdict = "concentrated"
    else:
        verdict = "spread about as chance would" if row["spread"] > 1 / UNEVEN else "spread more evenly than chance would"
    return f"{name} dimensions differ {row['spread']:.1f} times as much as by chance: {verdict}"


def loudness(frame: DataFrame) -> str:
    """Edits are loud, or not: `frame` is `insight.loudness.loud`."""
    if frame.empty:
        return "No case could be edited, so there is nothing to compare."
    own = {row["what"]: row for row in frame.to_dict("records")}
    edited = own["edited"]
    n = int(edited["n"])
    verdict = {1: "edits are louder than what they replace", -1: "edits are quieter than what they replace"}
    alike = math.isnan(edited["d"]) or abs(edited["d"]) < SMALL or abs(edited["mean"] - edited["mean_before"]) < LEAD
    size = 0 if alike else int(math.copysign(1, edited["d"]))
    effect = "" if math.isnan(edited["d"]) else f", Cohen’s d {edited['d']:+.2f}"
    text = (
        f"Over {n} {'edit' if n == 1 else 'edits'}, P(new) after the edit is {_mean(edited, '')} and P(true) before it was "
        f"{_mean(edited, '_before')}: louder in {_share(edited['louder'])} of cases{effect}; "
        f"{verdict.get(size, 'edits are as loud as what they replace')}"
    )
    if "masked" in own:
        text += f". Under the mask P(new) is {_mean(own['masked'], '')}, and P(true) {_mean(own['returned'], '')}"
    return f"{text}."


def loud_parts(frame: DataFrame) -> str:
    """Which parts speak for the objects, over many cases: `frame` is `insight.loudness.summary`."""
    if frame.empty:
        return ""
    said = []
    for view, which, name in (("base", "true", "true"), ("edited", "new", "new"), ("masked", "new", "new")):
        own = frame[(frame["view"] == view) & frame["part"].isin(["attention", "mlp"])]
        if own.empty:
            continue
        first = own.loc[own[which].idxmax()]
        error = "" if math.isnan(first[f"{which}_se"]) else f" ± {first[f'{which}_se']:z.1f}"
        part = _part(first["part"], first["layer"])
        said.append(f"{IN_VIEW[view]}, {part} adds most to the {name} object ({first[which]:z.1f}{error})")
    return f"{_upper('; '.join(said))}."


def _by_part(frame: DataFrame, which: str) -> DataFrame:
    """A row a (part, layer), a column a view."""
    kind = frame["part"].where(frame["part"].isin(["attention", "mlp"]), "other")
    layer = frame["layer"].where(kind != "other", -1)
    return frame.assign(part=kind, layer=layer).groupby(["part", "layer", "view"])[which].sum().unstack("view")


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _part(part: str, layer: int) -> str:
    return f"{'attention' if part == 'attention' else 'the MLP'} of layer {layer}"


def _name(place: Sequence[int]) -> str:
    return f"layer {place[0]}, head {place[1]}"


def _head(place: Sequence[int], wide: DataFrame) -> str:
    return f"{_name(place)} ({wide.loc[place, 'base']:.2f} → {wide.loc[place, 'edited']:.2f})"


def _place(row: DataFrame) -> str:
    layer = "before layer 0" if row["layer"] < 0 else f"behind layer {row['layer']}"
    return f"at “{_plain(row['token'])}” {layer}"


def _plain(token: str) -> str:
    return token.replace("␣", " ").strip() or token


def _points(share: float) -> str:
    return f"{100 * share:.0f} points"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _mean(row: dict, end: str) -> str:
    sd = row[f"sd{end}"]
    return f"{row[f'mean{end}']:.2f}" + ("" if math.isnan(sd) else f" ± {sd:.2f}")


def _list(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
