"""The sentences of the Keys tab: its headings, and what each figure shows, made from the figure's numbers alone."""

from __future__ import annotations

import math
from typing import NamedTuple

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.insight import Lemma, Scan, Similarity, summary
from editlab.wording import join, share, shorten


class Heading(NamedTuple):
    """A section's title and its lead, which begins with the question that the figure answers."""

    title: str
    lead: str


HEADINGS = {
    "similarity": Heading(
        "Key similarity",
        "Does the key stay the same when the subject is rephrased? An edit is written for one key: the input of its layer "
        "at the subject’s last token. The more similar another key is, the more of the edit it receives.",
    ),
    "discussion": Heading(
        "Stored facts at a question",
        "Which stored facts answer a question? The output of a layer is a mixture of what it has stored. The edit adds one "
        "more fact; the old ones stay.",
    ),
    "bounds": Heading(
        "Predicted and observed answers",
        "Should the edit hold? One number is measured, at the edit’s own prompt: the strength that the edit needs there. A "
        "probe that receives more should give the new answer. Another subject that receives less should keep its own.",
    ),
    "prefixes": Heading(
        "Similar keys in unrelated text",
        "Where does the edit act by mistake? Any text can produce a key similar to the edit’s, whatever it is about.",
    ),
    "values": Heading(
        "Value norms",
        "How strong is the edited answer? To overrule what is stored, an edit writes a larger value than other memories.",
    ),
}
"""The sections, in their order on the page."""
ASSUMPTIONS = (
    "Assumptions: the edit reaches the answer through the subject’s last token alone, and as strongly at every probe as at "
    "its own prompt. The lemmas assume more: one attention layer carries the edit, with all its attention on the subject, "
    "and the norms do not change. Where a prediction fails, one of these assumptions does not hold."
)
COMPUTING = "Computing …"
REPHRASED = {
    "rephrase": "under another name",
    "shuffle": "with its tokens in another order",
    "long": "after a long text",
}
"""How a subject is rephrased, by kind of probe."""
NO_STATISTICS = "This layer has no key statistics, so"
LONGEST = 60
SMALLEST = 0.005
"""A smaller difference is not mentioned: rounded, both numbers would be the same."""


def edit(request: EditRequest, layer: int, rep: bool) -> str:
    """Return which edit is shown."""
    return f"{request.subject} → {request.target_new}, layer {layer}{', with REP' if rep else ''}."


def similarity(request: EditRequest, found: Similarity) -> str:
    """Return how similar the subject's keys stay, compared with other subjects and random words (figure 3, left)."""
    frame = found.frame
    forms = [f"{_median(frame, kind):.2f} {said}" for kind, said in REPHRASED.items() if (frame["kind"] == kind).any()]
    if forms:
        first = f"The similarity of {request.subject} to the edit’s key is {join(forms)} (medians; 1 is the same key)"
    else:
        first = f"{request.subject} has no other name here, no other order of its tokens and no long text before it"
    others = f"{_nearest(frame)}a random word reaches {_of(frame, 'random')['before'].max():.2f} at most"
    plain = [] if found.whitened else [f"{NO_STATISTICS} these are plain products, which are all high."]
    return " ".join([f"{first}; {others}.", *_with_rep(frame), *plain])


def _nearest(frame: DataFrame) -> str:
    neighbours = _of(frame, "locality")
    if neighbours.empty:
        return ""
    nearest = neighbours.loc[neighbours["before"].idxmax()]
    return f"the most similar other subject, {nearest['subject']}, reaches {nearest['before']:.2f} and "


def _with_rep(frame: DataFrame) -> list[str]:
    """Return how REP changes the keys; nothing without REP."""
    forms = frame[frame["kind"].isin(list(REPHRASED))]
    if forms.empty or forms["after"].isna().all():
        return []
    moved = int(((forms["after"] - forms["before"]).abs() >= SMALLEST).sum())
    if not moved:
        return ["REP moves none of these keys: its gate stays closed at this threshold."]
    neighbours = _of(frame, "locality")
    harm = "" if neighbours.empty else f"; no other subject exceeds {neighbours['after'].max():.2f}"
    least = f"the lowest similarity rises from {forms['before'].min():.2f} to {forms['after'].min():.2f}"
    return [f"REP moves {moved} of these {len(forms)} keys: {least}{harm}."]


def components(found: Similarity) -> str:
    """Return what the two principal components show (figure 3, right)."""
    return (
        f"The two directions in which these keys differ most ({share(sum(found.variance))} of their variance). Each point "
        "is one phrasing of a subject; the star is the edited key."
    )


def prefixes(request: EditRequest, scan: Scan) -> str:
    """Return where an unrelated text has a key that is most similar to the edit's (figure 4)."""
    unrelated, mentioned = (scan.frame[scan.frame["mentions"].astype(bool) == kind] for kind in (False, True))
    if unrelated.empty:
        return f"In {scan.tokens:,} tokens, every place with a similar key mentions {request.subject}."
    first = unrelated.iloc[0]
    end = shorten(" ".join(first["prefix"].split()[-8:]), LONGEST)
    text = (
        f"In {scan.tokens:,} tokens, the most similar key without a mention of {request.subject} is after “… {end}”: "
        f"similarity {first['similarity']:.2f}, and it receives {share(first['share'])} of the edit."
    )
    if not mentioned.empty:
        text += f" Where the text mentions it, the similarity reaches {mentioned['similarity'].max():.2f}."
    return text


def values(request: EditRequest, frame: DataFrame) -> str:
    """Return how large the value is before and after the edit (figure 5)."""
    own = _of(frame, "success").iloc[0]
    text = (
        f"At the edited prompt about {request.subject}, the layer’s value was {own['before']:.1f} times as large as at a "
        f"random word; with the edit it is {own['after']:.1f} times as large"
    )
    neighbours = _of(frame, "locality")
    if not neighbours.empty:
        before, after = neighbours["before"].median(), neighbours["after"].median()
        text += f". At other subjects it changes from {before:.2f} to {after:.2f}"
    moved = frame[frame["kind"].isin(list(REPHRASED)) & ((frame["rep"] - frame["after"]).abs() >= SMALLEST)]
    if not moved.empty:
        text += f". Where REP’s gate opens, it changes from {moved['after'].median():.2f} to {moved['rep'].median():.2f}"
    return f"{text}."


def discussion(frame: DataFrame) -> str:
    """Return how loud the edit and the stored facts are at a question (lemma 4.1)."""
    edit, rest = frame.iloc[0], float(_of(frame, "remainder")["loudness"].iloc[0])
    text = f"At “{frame.attrs['at']}”, the edit contributes with {share(edit['loudness'])} of its strength"
    before = frame.attrs["before"]
    if before is not None and abs(before - edit["loudness"]) >= SMALLEST:
        text += f" (without REP, {share(before)})"
    stored = _of(frame, "stored")
    if not stored.empty:
        loudest = stored.iloc[0]
        text += f"; the loudest of {frame.attrs['facts']} known facts is “{loudest['voice']}”, at {loudest['loudness']:.2f}"
    plain = "" if frame.attrs["whitened"] else f" {NO_STATISTICS} facts are hard to tell apart."
    return f"{text}. {share(rest)} of the question’s key matches nothing known.{plain}"


def bounds(frame: DataFrame) -> str:
    """Return how well one measured number predicts the answers (lemmas 4.6 and 4.7)."""
    required = frame.attrs["required"]
    if math.isinf(required):
        return "At its own prompt the new object never leads, at any strength: the edit should hold nowhere."
    first = f"At its own prompt the edit leads from {share(required)} of its strength"
    rate = summary(frame)
    if not rate["probes"]:
        return f"{first}. No other probe names a subject, so there is nothing to predict."
    right = round(rate["agreement"] * rate["probes"])
    return (
        f"{first}. This number alone predicts {right} of {rate['probes']:.0f} probes correctly "
        f"({share(rate['agreement'])}); the best constant guess reaches {share(rate['majority'])}."
    )


def lemma(frame: DataFrame) -> str:
    """Return the lemma's own prediction, in which one attention layer is the only path to the answer."""
    theory = frame.attrs["lemma"]
    if not isinstance(theory, Lemma):
        return f"The lemma itself cannot be computed here: {theory}."
    verdict = "so it should hold" if theory.loudness >= theory.needed else "so by the lemma it should not hold at all"
    rate = summary(frame, "lemma_agree")
    predicts = f" It predicts {share(rate['agreement'])} of {rate['probes']:.0f} probes correctly." if rate["probes"] else ""
    return (
        f"The lemma itself, with attention layer {theory.layer} as the only path to the answer: the edit adds "
        f"{theory.loudness:.1f} logits at its own prompt and needs {theory.needed:.1f}, {verdict}.{predicts}"
    )


def _of(frame: DataFrame, kind: str) -> DataFrame:
    return frame[frame["kind"] == kind]


def _median(frame: DataFrame, kind: str) -> float:
    return float(_of(frame, kind)["before"].median())
