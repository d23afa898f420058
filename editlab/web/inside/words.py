"""The sentences of the Inside tab on one edit: what each figure shows, made from the figure's numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

from pandas import DataFrame, Series

from editlab.facts import EditRequest
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.wording import capitalize, join, number, percent, share

IN_VIEW = {
    "base": noop("in the base model"),
    "edited": noop("in the edited model"),
    "rep": noop("with REP"),
    "masked": noop("under the mask"),
    "base_masked": noop("in the base model under the mask"),
}
"""Where something is so, by view."""
DESCRIBED = ("base", "edited", "rep", "masked")
"""The views that a sentence describes."""
COMPUTING = noop("Computing …")
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


def edit(request: EditRequest, layers: Sequence[int]) -> str:
    """Return which edit is shown."""
    if not layers:
        text = _("{subject} → {new}: text before the question, which changes no layer.")
        return text.format(subject=request.subject, new=request.target_new)
    text = ngettext("{subject} → {new}, layer {layers}.", "{subject} → {new}, layers {layers}.", len(layers))
    return text.format(subject=request.subject, new=request.target_new, layers=join(layers))


def objects(request: EditRequest) -> dict[str, str]:
    """Return the objects by `new` and `true`."""
    return {"new": request.target_new} | ({} if request.target_true is None else {"true": request.target_true})


def same_token(request: EditRequest) -> str:
    """Return why two objects that begin with the same token are not compared."""
    return _(
        "{new} and {true} begin with the same token. The figures read first tokens only, so they cannot tell the two apart. "
        "Choose another new object."
    ).format(new=request.target_new, true=request.target_true)


def lens(request: EditRequest, frame: DataFrame, back: int) -> str:
    """Return which object leads at one token and from which layer on, and after which layer half of the change is there."""
    at_token = frame[frame["back"] == back]
    token = at_token["token"].iloc[0]
    by_view = {view: at_token[at_token["view"] == view] for view in DESCRIBED}
    clauses = [_leader(request, rows, view) for view, rows in by_view.items() if not rows.empty]
    text = _("After “{token}”: {clauses}.").format(token=visible(token), clauses="; ".join(clauses))
    return f"{text} {_half(request, at_token)}".rstrip()


def _half(request: EditRequest, rows: DataFrame) -> str:
    half = half_way(request, rows)
    if half is None:
        return ""
    return _(
        "The edit raises the logit of {new} by {total} against that of {true}; half of that is there after layer {layer}."
    ).format(new=request.target_new, true=request.target_true, layer=half[0], total=number(half[1], ".1f"))


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
    named = {"view": _(IN_VIEW[view]), "new": request.target_new, "p_new": percent(last["p_new"])}
    if request.target_true is None:
        return _("{view}, {new} ends at {p_new}").format(**named)
    names, ends = objects(request), {which: percent(last[f"p_{which}"]) for which in ("new", "true")}
    first, second = ("new", "true") if last["p_new"] > last["p_true"] else ("true", "new")
    layer = leads_from(rows, first, second)
    if layer is None:
        text = _("{view}, neither leads: {new} ends at {p_new}, {true} at {p_true}")
        return text.format(**named, true=names["true"], p_true=ends["true"])
    text = (
        _("{view}, {first} leads from the start and ends at {p}, {second} at {q}")
        if layer < 0
        else _("{view}, {first} leads from layer {layer} on and ends at {p}, {second} at {q}")
    )
    return text.format(
        view=_(IN_VIEW[view]), layer=layer, first=names[first], p=ends[first], second=names[second], q=ends[second]
    )


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
        return _("neither object leads")
    text = _("{name} leads from the start") if found[leader] < 0 else _("{name} leads from layer {layer} on")
    return text.format(name=leader, layer=found[leader])


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
    text = _("{new} gains nowhere") if most["gain"] < CHANGED else _("{new} gains most {place}")
    return text.format(new=request.target_new, place=_place(most))


def tokens(request: EditRequest, frame: DataFrame) -> str:
    """Return where the new object gains most, where it first gains, and what the mask leaves of that."""
    gained = _gains_at_tokens(frame)
    if gained is None:
        return _("No edit is applied, so no probability changes.")
    most, new = gained.iloc[0], request.target_new
    if most["gain"] < CHANGED:
        text = _("{new} gains less than {points} over the base model at every token and layer.")
        return text.format(new=new, points=_points(CHANGED))
    first = gained[gained["gain"] >= CHANGED].sort_values(["layer", "back"], ascending=[True, False]).iloc[0]
    named = {"new": new, "place": _place(most), "before": percent(most["base"]), "after": percent(most["edited"])}
    if "masked" in gained:
        text = _("{new} gains most {place}: from {before} to {after}, and {masked} under the mask.")
        text = text.format(**named, masked=percent(most["masked"]))
    else:
        text = _("{new} gains most {place}: from {before} to {after}.").format(**named)
    if (first["layer"], first["back"]) != (most["layer"], most["back"]):
        text += " " + _("It first gains {points} {place}.").format(points=_points(CHANGED), place=_place(first))
    return text


def gains(frame: DataFrame) -> Series:
    """Return by (part, layer) what the edit adds to the logit of the new object, of attention and MLPs."""
    new = _by_part(frame, "new")
    return (new["edited"] - new["base"]).drop(index="other", level=0, errors="ignore")


def contributions_title(frame: DataFrame) -> str:
    """Return the finding in a few words: the part that gains most."""
    if "edited" not in set(frame["view"]):
        return ""
    gain = gains(frame)
    return _("{part} gains most, {logits} logits").format(part=part(*gain.idxmax()), logits=number(gain.max(), "+.1f"))


def contributions(request: EditRequest, frame: DataFrame, layers: Sequence[int] = ()) -> str:
    """Return which part the edit made louder, and the logits in each view. `layers`: those of the edit."""
    if "edited" not in set(frame["view"]):
        return _("No edit is applied, so no contribution changes.")
    new, total = _by_part(frame, "new"), frame.groupby("view")[["new", "true"]].sum()
    gain = gains(frame)
    most = gain.idxmax()
    kinds = {kind: float(gain.xs(kind, level=0).sum()) for kind in ("attention", "mlp")}
    text = (
        _(
            "{part}, which is edited, adds {edited} to the logit of {new} in the edited model and {base} in the "
            "base model, the largest gain of any part."
        )
        if most[0] == "mlp" and most[1] in layers
        else _(
            "{part} adds {edited} to the logit of {new} in the edited model and {base} in the base model, the "
            "largest gain of any part."
        )
    )
    named = {
        "edited": number(new.loc[most, "edited"], "z.1f"),
        "base": number(new.loc[most, "base"], "z.1f"),
        "new": request.target_new,
    }
    sentences = [text.format(part=capitalize(part(*most)), **named)]
    text = _("Compared with the base model, all attention together adds {attention} more and all MLPs {mlp}.")
    sentences.append(text.format(**{kind: number(gained, "z.1f") for kind, gained in kinds.items()}))
    if "masked" in new:
        text = _("Under the mask, {part} adds {masked}.")
        sentences.append(text.format(part=part(*most), masked=number(new.loc[most, "masked"], "z.1f")))
    logits = [f"{_logits(request, total, view)} {_(IN_VIEW[view])}" for view in DESCRIBED if view in total.index]
    names = list(objects(request).values())
    text = ngettext("The logit of {names} is {logits}.", "The logits of {names} are {logits}.", len(names))
    sentences.append(text.format(names=join(names), logits=join(logits)))
    return " ".join(sentences)


def _logits(request: EditRequest, total: DataFrame, view: str) -> str:
    return join(number(total.loc[view, which], "z.1f") for which in objects(request))


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
        text = _("no head attends to {subject} by {change} more or less than before")
        return text.format(subject=request.subject, change=number(CHANGED, ".2f"))
    if not more:
        return ngettext("{n} head attends less than before", "{n} heads attend less than before", less).format(
            n=number(less)
        )
    text = ngettext(
        "{n} head attends more to {subject} than before, {less} less",
        "{n} heads attend more to {subject} than before, {less} less",
        more,
    )
    return text.format(n=number(more), subject=request.subject, less=less)


def attention(request: EditRequest, frame: DataFrame, token: str, layers: Sequence[int] = ()) -> str:
    """Return which heads attend more to the subject than before, and whether the mask reverses that.

    `layers`: those of the edit. Heads up to the lowest one read what is unedited, so they are not counted.
    """
    wide, subject = heads_above(frame, layers), request.subject
    if "edited" not in set(frame["view"]):
        return _("No edit is applied, so the attention to {subject} does not change.").format(subject=subject)
    if wide.empty:
        return _("No head stands above the edit, so the attention to {subject} does not change.").format(subject=subject)
    gain = (wide["edited"] - wide["base"]).sort_values(ascending=False)
    more, less, first = int((gain >= CHANGED).sum()), int((gain <= -CHANGED).sum()), gain.index[0]
    named = {"token": visible(token), "n": number(more), "subject": subject, "change": number(CHANGED, ".2f")}
    named["heads"] = join(_head(place, wide) for place in gain.index[: min(MOST_NAMED, max(1, more))])
    if more > MOST_NAMED:
        text = ngettext(
            "At “{token}”, {n} head attends to {subject} at least {change} more than before, most of all {heads}.",
            "At “{token}”, {n} heads attend to {subject} at least {change} more than before, most of all {heads}.",
            more,
        )
    elif more:
        text = ngettext(
            "At “{token}”, {n} head attends to {subject} at least {change} more than before: {heads}.",
            "At “{token}”, {n} heads attend to {subject} at least {change} more than before: {heads}.",
            more,
        )
    else:
        text = _("At “{token}”, no head attends to {subject} at least {change} more than before; {heads} gains most.")
    sentences = [text.format(**named)]
    if less:
        text = ngettext(
            "{n} head attends at least {change} less, most of all {head}.",
            "{n} heads attend at least {change} less, most of all {head}.",
            less,
        )
        sentences.append(text.format(n=number(less), change=named["change"], head=_head(gain.index[-1], wide)))
    text = _("The mean over the {n} heads above the edit goes from {before} to {after}.")
    sentences.append(
        text.format(
            n=number(len(wide)), before=number(wide["base"].mean(), ".3f"), after=number(wide["edited"].mean(), ".3f")
        )
    )
    if "masked" in wide:
        text = _("Under the mask, {head} is at {weight}.")
        sentences.append(text.format(head=head_name(first), weight=number(wide.loc[first, "masked"], ".2f")))
    if "base_masked" in wide:
        text = _("The mean is {masked} there, and {alone} with the mask alone.")
        sentences.append(
            text.format(masked=number(wide["masked"].mean(), ".3f"), alone=number(wide["base_masked"].mean(), ".3f"))
        )
    return " ".join(sentences)


def mask_structure(frame: DataFrame, unevenness: DataFrame) -> str:
    """Return whether the mask prunes particular dimensions or all alike. `unevenness`: `insight.concentration` of it."""
    layers = unevenness.groupby("layer", sort=False)
    return " ".join(_pruned(frame[frame["layer"] == layer], rows) for layer, rows in layers)


def mask_title(unevenness: DataFrame) -> str:
    """Return the finding in a few words: the share that is pruned."""
    rows = unevenness[unevenness["axis"] == "output"].to_dict("records")
    text = _("{share} of layer {layer} is pruned")
    return join(text.format(share=share(row["pruned"]), layer=row["layer"]) for row in rows)


def _pruned(frame: DataFrame, unevenness: DataFrame) -> str:
    output, key = (unevenness[unevenness["axis"] == axis].iloc[0] for axis in ("output", "key"))
    if not output["pruned"]:
        return _("The mask prunes nothing in layer {layer}.").format(layer=output["layer"])
    most = frame[frame["axis"] == "output"].head(MOST_NAMED).to_dict("records")
    named = join(f"{row['dimension']} ({share(row['pruned'])})" for row in most)
    return _(
        "The mask prunes {share} of layer {layer}. The most pruned output dimensions are {named}; by chance, the most "
        "pruned one would reach {chance}. The shares of output dimensions vary {output}; those of key dimensions vary {key}."
    ).format(
        share=share(output["pruned"]),
        layer=output["layer"],
        named=named,
        chance=share(output["chance"]),
        output=_spread(output),
        key=_spread(key),
    )


def _spread(row: Series) -> str:
    spread = row["spread"]
    if spread >= UNEVEN:
        text = _("{spread} times as much as by chance (concentrated)")
    elif spread > 1 / UNEVEN:
        text = _("{spread} times as much as by chance (as by chance)")
    else:
        text = _("{spread} times as much as by chance (more even than by chance)")
    return text.format(spread=number(spread, ".1f"))


def _by_part(frame: DataFrame, which: str) -> DataFrame:
    """Return a row a (part, layer), a column a view."""
    kind = frame["part"].where(frame["part"].isin(["attention", "mlp"]), "other")
    layer = frame["layer"].where(kind != "other", -1)
    return frame.assign(part=kind, layer=layer).groupby(["part", "layer", "view"])[which].sum().unstack("view")


def part(kind: str, layer: int) -> str:
    """Return what an attention or an MLP is called."""
    text = _("the attention of layer {layer}") if kind == "attention" else _("the MLP of layer {layer}")
    return text.format(layer=layer)


def head_name(place: Sequence[int]) -> str:
    """Return what a head is called."""
    return _("layer {layer}, head {head}").format(layer=place[0], head=place[1])


def _head(place: Sequence[int], wide: DataFrame) -> str:
    before, after = (number(wide.loc[place, view], ".2f") for view in ("base", "edited"))
    return f"{head_name(place)} ({before} → {after})"


def _place(row: Series) -> str:
    text = _("at “{token}” before layer 0") if row["layer"] < 0 else _("at “{token}” after layer {layer}")
    return text.format(token=visible(row["token"]), layer=row["layer"])


def visible(token: str) -> str:
    """Return a token as a sentence quotes it."""
    return token.replace("␣", " ").strip() or token


def _points(change: float) -> str:
    return _("{n} percentage points").format(n=number(100 * change, ".0f"))
