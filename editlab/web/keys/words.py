"""What the pictures of the keys show, as sentences: made from their numbers alone, each by one pure function."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.insight import Lemma, Scan, Similarity, summary
from editlab.web.core import render

SAID = {
    "rephrase": "under another name",
    "shuffle": "with its tokens in another order",
    "long": "after a long text",
}
"""How a subject is said otherwise, by kind of probe."""
LONGEST = 60
SEEN = 0.005
"""A smaller difference is not told: rounded, the two numbers would be the same."""


def similarity(request: EditRequest, found: Similarity) -> str:
    """Figure 3, left: how alike the subject stays, beside its neighbours and random words."""
    frame = found.frame
    forms = [f"{_median(frame, kind):.2f} {said}" for kind, said in SAID.items() if (frame["kind"] == kind).any()]
    if not forms:
        first = f"{request.subject} has no other name here, no other order of its tokens and no long text before it"
    else:
        first = f"Of the edit’s key, {request.subject} keeps {_list(forms)} (medians; 1 would be the same key)"
    others = f"{_nearest(frame)}a random word to {_of(frame, 'random')['before'].max():.2f} at most"
    return " ".join([f"{first}; {others}.", *_after(frame), *_unwhitened(found.whitened)])


def _nearest(frame: DataFrame) -> str:
    neighbours = _of(frame, "locality")
    if neighbours.empty:
        return ""
    nearest = neighbours.loc[neighbours["before"].idxmax()]
    return f"the nearest other subject, {nearest['subject']}, comes to {nearest['before']:.2f} and "


def _after(frame: DataFrame) -> list[str]:
    """What REP made of it, where there is any."""
    forms = frame[frame["kind"].isin(list(SAID))]
    if forms.empty or forms["after"].isna().all():
        return []
    moved = int(((forms["after"] - forms["before"]).abs() >= SEEN).sum())
    if not moved:
        return ["REP moves none of these keys: at this threshold its gate stays shut."]
    neighbours = _of(frame, "locality")
    harm = "" if neighbours.empty else f"; no other subject comes above {neighbours['after'].max():.2f}"
    least = f"the least alike comes from {forms['before'].min():.2f} to {forms['after'].min():.2f}"
    return [f"REP moves {moved} of these {len(forms)} keys, and {least}{harm}."]


def _unwhitened(whitened: bool) -> list[str]:
    return (
        []
        if whitened
        else ["Nobody measured key statistics for this layer, so these are plain products: all come out high."]
    )


def components(found: Similarity) -> str:
    """Figure 3, right: whether the subject's forms stand together."""
    share = 100 * sum(found.variance)
    return (
        f"On the two directions in which these keys differ most ({share:.0f} % of all their variance), "
        "each point is one way to say a subject; a star marks the key that was edited."
    )


def prefixes(request: EditRequest, scan: Scan) -> str:
    """Figure 4: where the edit is heard by mistake."""
    unrelated, mentioned = (scan.frame[scan.frame["mentions"].astype(bool) == kind] for kind in (False, True))
    read = f"Of {scan.tokens:,} tokens"
    if unrelated.empty:
        return f"{read}, every place that is like the edit’s key mentions {request.subject}."
    first = unrelated.iloc[0]
    words = render.shortened(" ".join(first["prefix"].split()[-8:]), LONGEST)
    text = f"{read}, the one most like the edit’s key without any mention of {request.subject} ends “… {words}”: "
    text += f"{first['similarity']:.2f}, and it hears {_percent(first['share'])} of the edit."
    if not mentioned.empty:
        text += f" Where the text mentions it, similarity comes to {mentioned['similarity'].max():.2f}."
    return text


def values(request: EditRequest, frame: DataFrame) -> str:
    """Figure 5: how loud the edited answer is."""
    own = _of(frame, "success").iloc[0]
    text = (
        f"Where {request.subject} was edited, the layer’s answer was {own['before']:.1f} times as long as at a random word, "
        f"and is {own['after']:.1f} times now"
    )
    neighbours = _of(frame, "locality")
    if not neighbours.empty:
        before, after = neighbours["before"].median(), neighbours["after"].median()
        text += f"; at other subjects it goes from {before:.2f} to {after:.2f}"
    moved = frame[frame["kind"].isin(list(SAID)) & ((frame["rep"] - frame["after"]).abs() >= SEEN)]
    if not moved.empty:
        text += f". Where REP fires, it goes from {moved['after'].median():.2f} to {moved['rep'].median():.2f}"
    return f"{text}."


def discussion(frame: DataFrame) -> str:
    """Lemma 4.1: who speaks at a question."""
    edit, rest = frame.iloc[0], float(_of(frame, "remainder")["loudness"].iloc[0])
    text = f"At “{frame.attrs['at']}”, the edit speaks with {_percent(edit['loudness'])} of its voice"
    before = frame.attrs["before"]
    if before is not None and abs(before - edit["loudness"]) >= SEEN:
        text += f" (without REP, {_percent(before)})"
    stored = _of(frame, "stored")
    if not stored.empty:
        loudest = stored.iloc[0]
        text += f"; the loudest of {frame.attrs['facts']} known facts is “{loudest['voice']}” with {loudest['loudness']:.2f}"
    whitened = (
        "" if frame.attrs["whitened"] else " Nobody measured key statistics for this layer, so voices are told apart badly."
    )
    return f"{text}, and {_percent(rest)} of what is asked has no name here.{whitened}"


def bounds(frame: DataFrame) -> str:
    """Lemmas 4.6 and 4.7, measured: how far one number tells what happens."""
    required = frame.attrs["required"]
    if math.isinf(required):
        return "At no strength does the new object take the lead at the edit’s own prompt: by this, it should hold nowhere."
    first = f"At its own prompt the edit takes the lead from {_percent(required)} of its strength on"
    told = summary(frame)
    if not told["probes"]:
        return f"{first}. No other probe names a subject, so there is nothing to predict."
    right = round(told["agreement"] * told["probes"])
    return (
        f"{first}; from that number alone, {right} of {told['probes']:.0f} probes are predicted rightly "
        f"({_percent(told['agreement'])}), where the best guess that looks at nothing gets {_percent(told['majority'])}."
    )


def lemma(frame: DataFrame) -> str:
    """The lemma's own form: one attention layer as the only way to the answer."""
    theory = frame.attrs["lemma"]
    if not isinstance(theory, Lemma):
        return f"The lemma itself cannot be worked out here: {theory}."
    verdict = "so it should hold" if theory.loudness >= theory.needed else "so by the lemma it should not hold at all"
    told = summary(frame, "lemma_agree")
    rate = f" It predicts {_percent(told['agreement'])} of {told['probes']:.0f} probes." if told["probes"] else ""
    return (
        f"The lemma itself, with attention layer {theory.layer} as the only way to the answer: the edit is worth "
        f"{theory.loudness:.1f} logits at its own prompt and needs {theory.needed:.1f}, {verdict}.{rate}"
    )


def _of(frame: DataFrame, kind: str) -> DataFrame:
    return frame[frame["kind"] == kind]


def _median(frame: DataFrame, kind: str) -> float:
    return float(_of(frame, kind)["before"].median())


def _percent(share: float) -> str:
    """A share that may be negative, or more than all."""
    return f"{100 * share:.0f} %".replace("-0 %", "0 %")


def _list(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
