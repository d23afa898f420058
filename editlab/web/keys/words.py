"""The sentences of the Keys tab: its headings, and what each figure shows, made from the figure's numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pandas import DataFrame, Series

from editlab.facts import EditRequest
from editlab.insight import Lemma, Scan, Similarity, summary
from editlab.wording import capitalize, count, join, share, shorten


class Heading(NamedTuple):
    """A section's title, and what its picture shows: its axes, and what would differ without the edit."""

    title: str
    about: str


HEADINGS = {
    "similarity": Heading(
        "Key similarity",
        "A key is the input of the edited layer at the subject’s last token, and an edit is written for the key at its own "
        "prompt, often also for the mean key behind other texts. Each point is a key: a row a kind, from left to right its "
        "similarity to the edit’s own, which is at 1. The share of the edit that a key receives depends on both. Without "
        "the edit, all would be where they are: only REP moves keys, and where it is on, each is drawn with and without it.",
    ),
    "discussion": Heading(
        "Contributing stored facts",
        "A layer’s output is a mixture of what it has stored, weighted by how well the question’s key matches. Each bar is "
        "a fact, the edit first; its length is the share of the edit that the question receives, or the fact’s part in the "
        "question’s key. Without the edit, the first bar alone would be missing: the old facts stay. Compared are facts of "
        "EditLab’s tables, whether the model knows them or not.",
    ),
    "bounds": Heading(
        "Predicted and observed answers",
        "Each point is a probe, from left to right the share of the edit that it receives. The dashed line is one number, "
        "measured at the edit’s own prompt: the share that is needed there. Right of it a probe should give the new answer; "
        "another subject left of it should keep its own. Green is as predicted, a red cross is not. Without the edit, no "
        "probe would receive anything.",
    ),
    "prefixes": Heading(
        "The edit in unrelated text",
        "A text can produce a key that receives a part of the edit, whatever it is about. Each bar is the place of a text, "
        "by the words before it, where most of the edit arrives by mistake; 0 is none, as it would be everywhere without "
        "the edit.",
    ),
    "values": Heading(
        "Value norm",
        "The value is the output of the layer’s MLP at the subject’s last token. Each point is the length of one value, in "
        "units of that at a random word, before the edit and with it. To overrule what is stored, an edit may need a larger "
        "one; where both points lie together, the edit changes nothing.",
    ),
}
"""The sections, in their order on the page."""
COMPONENTS = (
    "A map of the keys: near to one another are keys that the layer takes for one another. The star is the edit’s own key. "
    "The edit moves none of them."
)
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
LEAST = 0.1
"""A smaller part in a question’s key is no match."""
SMALLEST = 0.005
"""A smaller difference is not mentioned: rounded, both numbers would be the same."""


def edit(request: EditRequest, layers: Sequence[int], rep: bool) -> str:
    """Return which edit is shown, and in which layer: of several, the figures are of the lowest."""
    where = f"{'layer' if len(layers) == 1 else 'layers'} {join(layers)}{', with REP' if rep else ''}"
    part = f" The figures are of layer {min(layers)}, which makes only a part of the edit." if len(layers) > 1 else ""
    return f"{request.subject} → {request.target_new}, {where}.{part}"


def similarity(request: EditRequest, found: Similarity) -> str:
    """Return how similar the subject's keys stay, compared with other subjects and random words (figure 3, left)."""
    frame = found.frame
    forms = {said: _of(frame, kind) for kind, said in REPHRASED.items() if (frame["kind"] == kind).any()}
    if forms:
        similar = join(f"{_median(rows['before'])} {said}" for said, rows in forms.items())
        shares = join(share(rows["share"].median()) for rows in forms.values())
        first = (
            f"The similarity of {request.subject} to the edit’s key is {similar} (medians; 1 is the same key), where "
            f"{shares} of the edit arrive"
        )
    else:
        first = f"{request.subject} has no other name here, no other order of its tokens and no long text before it"
    words = _of(frame, "random")
    others = f"{_nearest(frame)}the most similar of {count(len(words), 'random word')} {words['before'].max():.2f}"
    plain = [] if found.whitened else [f"{NO_STATISTICS} these are plain products, which are all high."]
    return " ".join([f"{first}. {capitalize(others)}.", *_farther(request, frame), *_with_rep(frame), *plain])


def similarity_title(found: Similarity) -> str:
    """Return the finding in a few words: the weakest of the subject's keys, or what REP makes of them."""
    forms = found.frame[found.frame["kind"].isin(list(REPHRASED))]
    if forms.empty:
        return ""
    moved = forms[_moved(forms)]
    if not moved.empty:
        change = f"from a similarity of {moved['before'].median():z.2f} to {moved['after'].median():z.2f}"
        return f"REP brings {len(moved)} of {len(forms)} rephrased keys {change}"
    similar = {said: _of(found.frame, kind)["before"].median() for kind, said in REPHRASED.items()}
    said, least = min(((said, value) for said, value in similar.items() if value == value), key=lambda pair: pair[1])
    return f"{least:z.2f} {said}, where 1 is the edit’s own"


def _median(values: Series) -> str:
    """Return the median, with the range where there are several values."""
    several = len(values) > 1
    return f"{values.median():z.2f}" + (f" ({values.min():z.2f} to {values.max():z.2f})" if several else "")


def _nearest(frame: DataFrame) -> str:
    neighbours = _of(frame, "locality")
    if neighbours.empty:
        return ""
    nearest = neighbours.loc[neighbours["before"].idxmax()]
    return f"the most similar other subject, {nearest['subject']}, reaches {nearest['before']:.2f} and "


def _farther(request: EditRequest, frame: DataFrame) -> list[str]:
    """Return how many of the subject's keys are less similar than another subject's."""
    forms, neighbours = frame[frame["kind"].isin(list(REPHRASED))], _of(frame, "locality")
    if forms.empty or neighbours.empty:
        return []
    farther = int((forms["before"] < neighbours["before"].max()).sum())
    number = f"All {farther}" if 1 < farther == len(forms) else f"{farther} of these {len(forms)}"
    said = f"{number} keys of {request.subject} {'is' if farther == 1 else 'are'} less similar than that subject’s."
    return [said] if farther else []


def _with_rep(frame: DataFrame) -> list[str]:
    """Return how REP changes the keys; nothing without REP."""
    forms = frame[frame["kind"].isin(list(REPHRASED))]
    if forms.empty or forms["after"].isna().all():
        return []
    moved = forms[_moved(forms)]
    if moved.empty:
        return ["REP moves none of these keys: its gate stays closed at this threshold."]
    neighbours = _of(frame, "locality")
    harmed = neighbours[_moved(neighbours)]
    if neighbours.empty:
        harm = ""
    elif harmed.empty:
        harm = ", and no other subject’s"
    else:
        harm = f", and {len(harmed)} of {len(neighbours)} other subjects’, up to {harmed['after'].max():.2f}"
    change = f"from {moved['before'].median():.2f} to {moved['after'].median():.2f} (medians)"
    return [f"REP moves {len(moved)} of these {len(forms)} keys, {change}{harm}."]


def _moved(frame: DataFrame) -> Series:
    return (frame["after"] - frame["before"]).abs() >= SMALLEST


def components(found: Similarity) -> str:
    """Return what the two principal components show (figure 3, right)."""
    return (
        f"The two directions in which these keys differ most ({share(sum(found.variance))} of their variance). Each point "
        "is one phrasing of a subject; the star is the edited key."
    )


def prefixes(request: EditRequest, scan: Scan) -> str:
    """Return where an unrelated text receives most of the edit (figure 4)."""
    unrelated, mentioned = (scan.frame[scan.frame["mentions"].astype(bool) == kind] for kind in (False, True))
    if unrelated.empty:
        return f"In {scan.tokens:,} tokens, every place mentions {request.subject}."
    first = unrelated.iloc[0]
    end = shorten(" ".join(first["prefix"].split()[-8:]), LONGEST)
    text = (
        f"In {scan.tokens:,} tokens, the place without a mention of {request.subject} that receives most of the edit is "
        f"after “… {end}”: {share(first['share'])}, at a similarity of {first['similarity']:.2f}."
    )
    if not mentioned.empty:
        text += f" Where the text mentions it, up to {share(mentioned['share'].max())} arrive."
    return text


def prefixes_title(scan: Scan) -> str:
    """Return the finding in a few words: the most of the edit that arrives where it should not."""
    unrelated = scan.frame[~scan.frame["mentions"].astype(bool)]
    return "" if unrelated.empty else f"at most {share(unrelated['share'].max())} of it in {scan.tokens:,} tokens"


def values(request: EditRequest, frame: DataFrame) -> str:
    """Return how large the value is before and after the edit (figure 5)."""
    own, words = _of(frame, "success").iloc[0], _of(frame, "random")
    text = (
        f"At the edited prompt about {request.subject}, the layer’s value was {own['before']:.1f} times as large as at a "
        f"random word; with the edit it is {own['after']:.1f} times as large. The largest at "
        f"{count(len(words), 'random word')} is {words['before'].max():.1f} times as large"
    )
    neighbours = _of(frame, "locality")
    if not neighbours.empty:
        before, after = neighbours["before"].median(), neighbours["after"].median()
        text += f". At other subjects it changes from {before:.2f} to {after:.2f} (medians)"
    moved = frame[frame["kind"].isin(list(REPHRASED)) & ((frame["rep"] - frame["after"]).abs() >= SMALLEST)]
    if not moved.empty:
        before, after = moved["after"].median(), moved["rep"].median()
        text += f". At rephrases where REP’s gate opens, it changes from {before:.2f} to {after:.2f}"
    return f"{text}."


def values_title(frame: DataFrame) -> str:
    """Return the finding in a few words: the value at the edit's own prompt, before and after."""
    own = _of(frame, "success").iloc[0]
    return f"{own['before']:.1f} times a random word’s before the edit, {own['after']:.1f} times with it"


def discussion(frame: DataFrame) -> str:
    """Return how loud the edit and the stored facts are at a question (lemma 4.1)."""
    edit, matched = frame.iloc[0], 1 - float(_of(frame, "remainder")["loudness"].iloc[0])
    text = f"At “{frame.attrs['at']}”, the question receives {share(edit['loudness'])} of the edit"
    before = frame.attrs["before"]
    if before is not None and abs(before - edit["loudness"]) >= SMALLEST:
        text += f" (without REP, {share(before)})"
    stored = _of(frame, "stored")
    if not stored.empty:
        loudest, facts = stored.iloc[0], f"the {frame.attrs['facts']} facts that are compared"
        others = f" (and {loudest['also']} more with this key)" if loudest["also"] else ""
        part = share(loudest["loudness"])
        if abs(loudest["loudness"]) < LEAST:
            text += f". None of {facts} is as much as {share(LEAST)} of the question’s key"
        else:
            text += f". Of {facts}, “{loudest['voice']}”{others} has the largest part in the question’s key: {part}"
        text += f". Together they match {share(matched)} of it"
    plain = "" if frame.attrs["whitened"] else f" {NO_STATISTICS} facts are hard to tell apart."
    return f"{text}.{plain}"


def discussion_title(frame: DataFrame) -> str:
    """Return the finding in a few words: the share of the edit that a question receives."""
    return f"“{frame.attrs['at']}” receives {share(frame.iloc[0]['loudness'])} of the edit"


def bounds(frame: DataFrame) -> str:
    """Return how well one measured number predicts the answers (lemmas 4.6 and 4.7)."""
    required = frame.attrs["required"]
    if math.isinf(required):
        return "At its own prompt the new object never leads, at any strength: the edit should hold nowhere."
    first = f"At its own prompt the edit leads from {share(required)} of its strength on"
    if required > 1:
        first += ", so as it is it does not lead there"
    rate = summary(frame)
    if not rate["probes"]:
        return f"{first}. No other probe names a subject, so there is nothing to predict."
    right = round(rate["agreement"] * rate["probes"])
    return (
        f"{first}. This number alone predicts {right} of {rate['probes']:.0f} probes correctly "
        f"({share(rate['agreement'])}); the best constant guess reaches {share(rate['majority'])}."
    )


def bounds_title(frame: DataFrame) -> str:
    """Return the finding in a few words: how many answers the share of the edit that arrives predicts."""
    if math.isinf(frame.attrs["required"]):
        return "the new object never leads, at any strength"
    rate = summary(frame)
    if not rate["probes"]:
        return "there is nothing to predict"
    right = round(rate["agreement"] * rate["probes"])
    return f"the share that arrives predicts {right} of {rate['probes']:.0f} answers"


def lemma(frame: DataFrame) -> str:
    """Return the lemma's own prediction, in which one attention layer is the only path to the answer."""
    theory = frame.attrs["lemma"]
    if not isinstance(theory, Lemma):
        return f"The lemma itself cannot be computed here: {theory}."
    holds, should = frame.attrs["required"] <= 1, theory.loudness >= theory.needed
    verdict = "so it should hold" if should else "so it should not hold at all"
    verdict += "" if holds == should else ", but it does" if holds else ", but it does not"
    rate = summary(frame, "lemma_agree")
    predicts = f" It predicts {share(rate['agreement'])} of {rate['probes']:.0f} probes correctly." if rate["probes"] else ""
    return (
        f"The lemma itself, with attention layer {theory.layer} as the only path to the answer: the edit adds "
        f"{theory.loudness:.1f} logits at its own prompt and needs {theory.needed:.1f}, {verdict}.{predicts}"
    )


def _of(frame: DataFrame, kind: str) -> DataFrame:
    return frame[frame["kind"] == kind]
