"""The sentences on many edits: whether they are louder than what they replace, and which parts of the model are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pandas import DataFrame, Series

from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.wording import capitalize, join, number, share
from editlab.web.inside.words import DESCRIBED, IN_VIEW, LEAD, part

SMALL_EFFECT = 0.2
"""A smaller effect size is no effect (Cohen 1988)."""


def answers(frame: DataFrame) -> str:
    """Return whether edits are louder than what they replace. `frame`: `insight.loudness.loud`."""
    if frame.empty:
        return _("No case could be edited, so there is nothing to compare.")
    comparisons = {row["what"]: row for row in frame.to_dict("records")}
    edited = comparisons["edited"]
    n, p_new, p_true = int(edited["n"]), _mean(edited), _mean(edited, "_before")
    text = (
        ngettext(
            "Over {n} edit, P(new) after the edit is {p_new} and P(true) before it was {p_true}.",
            "Over {n} edits, P(new) after the edit is {p_new} and P(true) before it was {p_true}.",
            n,
        )
        if math.isnan(edited["sd"])
        else ngettext(
            "Over {n} edit, P(new) after the edit is {p_new} and P(true) before it was {p_true} (mean ± standard "
            "deviation).",
            "Over {n} edits, P(new) after the edit is {p_new} and P(true) before it was {p_true} (mean ± standard "
            "deviation).",
            n,
        )
    )
    sentences = [text.format(n=number(n), p_new=p_new, p_true=p_true)]
    effect = "" if math.isnan(edited["d"]) else _(" (Cohen’s d {d})").format(d=number(edited["d"], "+.2f"))
    text = {
        "same": _("The new object is louder in {share} of cases{effect}: edits are as loud as what they replace"),
        "louder": _("The new object is louder in {share} of cases{effect}: edits are louder than what they replace"),
        "quieter": _("The new object is louder in {share} of cases{effect}: edits are quieter than what they replace"),
    }[_compare(edited)]
    sentences.append(text.format(share=share(edited["louder"]), effect=effect) + ".")
    if "masked" in comparisons:
        named = {"p_new": _mean(comparisons["masked"]), "p_true": _mean(comparisons["returned"])}
        text = _("Under the mask, P(new) is {p_new} and P(true) {p_true}.")
        if "control" in comparisons:
            named["alone"] = _mean(comparisons["control"])
            text = _(
                "Under the mask, P(new) is {p_new} and P(true) {p_true}; without an edit, P(true) is {alone} under the mask."
            )
        sentences.append(text.format(**named))
    return " ".join(sentences)


def title(frame: DataFrame) -> str:
    """Return the finding in a few words: how edits compare with what they replace."""
    edited = next((row for row in frame.to_dict("records") if row["what"] == "edited"), None)
    if edited is None:
        return ""
    n = int(edited["n"])
    text = {
        "same": ngettext("{n} edit as loud as what they replace", "{n} edits as loud as what they replace", n),
        "louder": ngettext("{n} edit louder than what they replace", "{n} edits louder than what they replace", n),
        "quieter": ngettext("{n} edit quieter than what they replace", "{n} edits quieter than what they replace", n),
    }[_compare(edited)]
    return text.format(n=number(n))


def _compare(row: Mapping[str, Any]) -> str:
    """Return how an edit compares with what it replaces: same, louder or quieter."""
    if math.isnan(row["d"]) or abs(row["d"]) < SMALL_EFFECT or abs(row["mean"] - row["mean_before"]) < LEAD:
        return "same"
    return "louder" if row["d"] > 0 else "quieter"


def parts(frame: DataFrame) -> str:
    """Return which part gains most for the new object over many cases, and which loses most for the true one.

    `frame`: `insight.loudness.summary`.
    """
    if frame.empty:
        return ""
    rows = frame[frame["part"].isin(["attention", "mlp"])]
    wide = rows.pivot(index=["part", "layer"], columns="view", values=["new", "new_se", "true", "true_se"])
    gain, loss = (wide[which]["edited"] - wide[which]["base"] for which in ("new", "true"))
    most, least = gain.idxmax(), loss.idxmin()
    return _("{most} gains most for the new object: {gains}. For the true object, {least} loses most: {losses}.").format(
        most=capitalize(part(*most)),
        gains=_means(wide.loc[most], "new"),
        least=part(*least),
        losses=_means(wide.loc[least], "true"),
    )


def _means(row: Series, which: str) -> str:
    """Return what a part adds in each view, with its standard error."""
    clauses = []
    for view in (view for view in DESCRIBED if view in row[which].index):
        error = row[f"{which}_se"][view]
        se = "" if math.isnan(error) else f" ± {number(error, '.1f')}"
        clauses.append(f"{number(row[which][view], 'z.1f')}{se} {_(IN_VIEW[view])}")
    return join(clauses)


def _mean(row: Mapping[str, Any], end: str = "") -> str:
    deviation = row[f"sd{end}"]
    mean = number(row[f"mean{end}"], ".2f")
    return mean if math.isnan(deviation) else f"{mean} ± {number(deviation, '.2f')}"
