"""The sentences of the Keys tab: what each figure shows, made from the figure's numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pandas import DataFrame, Series

from editlab.facts import EditRequest
from editlab.insight import Lemma, Scan, Similarity, summary
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.wording import join, number, share, shorten

COMPUTING = noop("Computing …")
REPHRASED = {
    "rephrase": noop("{value} under another name"),
    "shuffle": noop("{value} with its tokens in another order"),
    "long": noop("{value} after a long text"),
}
"""How similar a key of the subject is where it is rephrased, by kind of probe."""
LONGEST = 60
LEAST = 0.1
"""A smaller part in a question’s key is no match."""
SMALLEST = 0.005
"""A smaller difference is not mentioned: rounded, both numbers would be the same."""


def of_all(text: str, n: int, among: int, **given: str) -> str:
    """Return a sentence with {n} of {all} things."""
    return text.format(n=number(n), all=number(among), **given)


def edit(request: EditRequest, layers: Sequence[int], rep: bool) -> str:
    """Return which edit is shown, and in which layer: of several, the figures are of the lowest."""
    if rep:
        text = ngettext("{edit}, layer {layers}, with REP.", "{edit}, layers {layers}, with REP.", len(layers))
    else:
        text = ngettext("{edit}, layer {layers}.", "{edit}, layers {layers}.", len(layers))
    said = text.format(edit=f"{request.subject} → {request.target_new}", layers=join(layers))
    if len(layers) == 1:
        return said
    part = _("The figures are of layer {layer}, which makes only a part of the edit.")
    return f"{said} {part.format(layer=min(layers))}"


def similarity(request: EditRequest, found: Similarity) -> str:
    """Return how similar the subject's keys stay, compared with other subjects and random words (figure 3, left)."""
    frame = found.frame
    forms = {text: _of(frame, kind) for kind, text in REPHRASED.items() if (frame["kind"] == kind).any()}
    if forms:
        first = _(
            "The similarity of {subject} to the edit’s key is {similar} (medians; 1 is the same key), where {shares} of the "
            "edit arrive."
        ).format(
            subject=request.subject,
            similar=join(_(text).format(value=_median(rows["before"])) for text, rows in forms.items()),
            shares=join(share(rows["share"].median()) for rows in forms.values()),
        )
    else:
        first = _("{subject} has no other name here, no other order of its tokens and no long text before it.")
        first = first.format(subject=request.subject)
    plain = (
        [] if found.whitened else [_("This layer has no key statistics, so these are plain products, which are all high.")]
    )
    return " ".join([first, _others(frame), *_farther(request, frame), *_with_rep(frame), *plain])


def similarity_title(found: Similarity) -> str:
    """Return the finding in a few words: the weakest of the subject's keys, or what REP makes of them."""
    forms = found.frame[found.frame["kind"].isin(list(REPHRASED))]
    if forms.empty:
        return ""
    moved = forms[_moved(forms)]
    if not moved.empty:
        return of_all(
            _("REP brings {n} of {all} rephrased keys from a similarity of {before} to {after}"),
            len(moved),
            len(forms),
            before=number(moved["before"].median(), "z.2f"),
            after=number(moved["after"].median(), "z.2f"),
        )
    similar = {text: _of(found.frame, kind)["before"].median() for kind, text in REPHRASED.items()}
    text, least = min(((text, value) for text, value in similar.items() if value == value), key=lambda pair: pair[1])
    return _("{similar}, where 1 is the edit’s own").format(similar=_(text).format(value=number(least, "z.2f")))


def _median(values: Series) -> str:
    """Return the median, with the range where there are several values."""
    median, least, most = (number(value, "z.2f") for value in (values.median(), values.min(), values.max()))
    if len(values) == 1:
        return median
    return _("{median} ({least} to {most})").format(median=median, least=least, most=most)


def _others(frame: DataFrame) -> str:
    """Return how similar the most similar of the other subjects and of the random words is."""
    words, neighbours = _of(frame, "random"), _of(frame, "locality")
    given = {"n": number(len(words)), "word": number(words["before"].max(), ".2f")}
    if neighbours.empty:
        text = ngettext(
            "The most similar of {n} random word {word}.", "The most similar of {n} random words {word}.", len(words)
        )
        return text.format(**given)
    nearest = neighbours.loc[neighbours["before"].idxmax()]
    text = ngettext(
        "The most similar other subject, {subject}, reaches {value} and the most similar of {n} random word {word}.",
        "The most similar other subject, {subject}, reaches {value} and the most similar of {n} random words {word}.",
        len(words),
    )
    return text.format(**given, subject=nearest["subject"], value=number(nearest["before"], ".2f"))


def _farther(request: EditRequest, frame: DataFrame) -> list[str]:
    """Return how many of the subject's keys are less similar than another subject's."""
    forms, neighbours = frame[frame["kind"].isin(list(REPHRASED))], _of(frame, "locality")
    if forms.empty or neighbours.empty:
        return []
    farther = int((forms["before"] < neighbours["before"].max()).sum())
    if not farther:
        return []
    if 1 < farther == len(forms):
        text = _("All {n} keys of {subject} are less similar than that subject’s.")
    else:
        text = ngettext(
            "{n} of these {all} keys of {subject} is less similar than that subject’s.",
            "{n} of these {all} keys of {subject} are less similar than that subject’s.",
            farther,
        )
    return [of_all(text, farther, len(forms), subject=request.subject)]


def _with_rep(frame: DataFrame) -> list[str]:
    """Return how REP changes the keys; nothing without REP."""
    forms = frame[frame["kind"].isin(list(REPHRASED))]
    if forms.empty or forms["after"].isna().all():
        return []
    moved = forms[_moved(forms)]
    if moved.empty:
        return [_("REP moves none of these keys: its gate stays closed at this threshold.")]
    neighbours = _of(frame, "locality")
    harmed = neighbours[_moved(neighbours)]
    if neighbours.empty:
        text = _("REP moves {n} of these {all} keys, from {before} to {after} (medians).")
    elif harmed.empty:
        text = _("REP moves {n} of these {all} keys, from {before} to {after} (medians), and no other subject’s.")
    else:
        text = _(
            "REP moves {n} of these {all} keys, from {before} to {after} (medians), and {harmed} of {others} other "
            "subjects’, up to {most}."
        )
    return [
        of_all(
            text,
            len(moved),
            len(forms),
            before=number(moved["before"].median(), ".2f"),
            after=number(moved["after"].median(), ".2f"),
            harmed=number(len(harmed)),
            others=number(len(neighbours)),
            most="" if harmed.empty else number(harmed["after"].max(), ".2f"),
        )
    ]


def _moved(frame: DataFrame) -> Series:
    return (frame["after"] - frame["before"]).abs() >= SMALLEST


def components(found: Similarity) -> str:
    """Return what the two principal components show (figure 3, right)."""
    text = _(
        "The two directions in which these keys differ most ({share} of their variance). Each point is one phrasing of a "
        "subject; the star is the edited key."
    )
    return text.format(share=share(sum(found.variance)))


def prefixes(request: EditRequest, scan: Scan) -> str:
    """Return where an unrelated text receives most of the edit (figure 4)."""
    unrelated, mentioned = (scan.frame[scan.frame["mentions"].astype(bool) == kind] for kind in (False, True))
    given = {"n": number(scan.tokens), "subject": request.subject}
    if unrelated.empty:
        return _("In {n} tokens, every place mentions {subject}.").format(**given)
    first = unrelated.iloc[0]
    end = shorten(" ".join(first["prefix"].split()[-8:]), LONGEST)
    text = _(
        "In {n} tokens, the place without a mention of {subject} that receives most of the edit is after “… {end}”: "
        "{share}, at a similarity of {similarity}."
    ).format(**given, end=end, share=share(first["share"]), similarity=number(first["similarity"], ".2f"))
    if mentioned.empty:
        return text
    more = _("Where the text mentions it, up to {share} arrive.").format(share=share(mentioned["share"].max()))
    return f"{text} {more}"


def prefixes_title(scan: Scan) -> str:
    """Return the finding in a few words: the most of the edit that arrives where it should not."""
    unrelated = scan.frame[~scan.frame["mentions"].astype(bool)]
    if unrelated.empty:
        return ""
    text = _("at most {share} of it in {n} tokens")
    return text.format(share=share(unrelated["share"].max()), n=number(scan.tokens))


def values(request: EditRequest, frame: DataFrame) -> str:
    """Return how large the value is before and after the edit (figure 5)."""
    own, words = _of(frame, "success").iloc[0], _of(frame, "random")
    text = _(
        "At the edited prompt about {subject}, the layer’s value was {before} times as large as at a random word; with the "
        "edit it is {after} times as large."
    )
    largest = ngettext(
        "The largest at {n} random word is {most} times as large.",
        "The largest at {n} random words is {most} times as large.",
        len(words),
    )
    before, after = number(own["before"], ".1f"), number(own["after"], ".1f")
    sentences = [
        text.format(subject=request.subject, before=before, after=after),
        largest.format(n=number(len(words)), most=number(words["before"].max(), ".1f")),
    ]
    neighbours = _of(frame, "locality")
    if not neighbours.empty:
        text = _("At other subjects it changes from {before} to {after} (medians).")
        sentences.append(_changes(text, neighbours["before"], neighbours["after"]))
    moved = frame[frame["kind"].isin(list(REPHRASED)) & ((frame["rep"] - frame["after"]).abs() >= SMALLEST)]
    if not moved.empty:
        text = _("At rephrases where REP’s gate opens, it changes from {before} to {after}.")
        sentences.append(_changes(text, moved["after"], moved["rep"]))
    return " ".join(sentences)


def _changes(text: str, before: Series, after: Series) -> str:
    return text.format(before=number(before.median(), ".2f"), after=number(after.median(), ".2f"))


def values_title(frame: DataFrame) -> str:
    """Return the finding in a few words: the value at the edit's own prompt, before and after."""
    own = _of(frame, "success").iloc[0]
    text = _("{before} times a random word’s before the edit, {after} times with it")
    return text.format(before=number(own["before"], ".1f"), after=number(own["after"], ".1f"))


def discussion(frame: DataFrame) -> str:
    """Return how loud the edit and the stored facts are at a question (lemma 4.1)."""
    edit, matched = frame.iloc[0], 1 - float(_of(frame, "remainder")["loudness"].iloc[0])
    before, given = frame.attrs["before"], {"question": frame.attrs["at"], "share": share(edit["loudness"])}
    if before is not None and abs(before - edit["loudness"]) >= SMALLEST:
        text = _("At “{question}”, the question receives {share} of the edit (without REP, {before}).")
        sentences = [text.format(**given, before=share(before))]
    else:
        sentences = [_("At “{question}”, the question receives {share} of the edit.").format(**given)]
    stored = _of(frame, "stored")
    if not stored.empty:
        sentences += [_loudest(stored.iloc[0], frame.attrs["facts"])]
        sentences += [_("Together they match {share} of it.").format(share=share(matched))]
    if not frame.attrs["whitened"]:
        sentences.append(_("This layer has no key statistics, so facts are hard to tell apart."))
    return " ".join(sentences)


def _loudest(loudest: Series, facts: int) -> str:
    """Return which of the stored facts has the largest part in a question's key."""
    if abs(loudest["loudness"]) < LEAST:
        text = _("None of the {n} facts that are compared is as much as {least} of the question’s key.")
    elif loudest["also"]:
        text = _(
            "Of the {n} facts that are compared, “{fact}” (and {more} more with this key) has the largest part in the "
            "question’s key: {part}."
        )
    else:
        text = _("Of the {n} facts that are compared, “{fact}” has the largest part in the question’s key: {part}.")
    part, more = share(loudest["loudness"]), loudest["also"]
    return text.format(n=facts, least=share(LEAST), fact=loudest["voice"], more=more, part=part)


def discussion_title(frame: DataFrame) -> str:
    """Return the finding in a few words: the share of the edit that a question receives."""
    text = _("“{question}” receives {share} of the edit")
    return text.format(question=frame.attrs["at"], share=share(frame.iloc[0]["loudness"]))


def bounds(frame: DataFrame) -> str:
    """Return how well one measured number predicts the answers (lemmas 4.6 and 4.7)."""
    required = frame.attrs["required"]
    if math.isinf(required):
        return _("At its own prompt the new object never leads, at any strength: the edit should hold nowhere.")
    if required > 1:
        first = _("At its own prompt the edit leads from {required} of its strength on, so as it is it does not lead there.")
    else:
        first = _("At its own prompt the edit leads from {required} of its strength on.")
    first, rate = first.format(required=share(required)), summary(frame)
    if not rate["probes"]:
        return " ".join([first, _("No other probe names a subject, so there is nothing to predict.")])
    text = _(
        "This number alone predicts {n} of {all} probes correctly ({share}); the best constant guess reaches {majority}."
    ).format(
        n=round(rate["agreement"] * rate["probes"]),
        all=round(rate["probes"]),
        share=share(rate["agreement"]),
        majority=share(rate["majority"]),
    )
    return f"{first} {text}"


def bounds_title(frame: DataFrame) -> str:
    """Return the finding in a few words: how many answers the share of the edit that arrives predicts."""
    if math.isinf(frame.attrs["required"]):
        return _("the new object never leads, at any strength")
    rate = summary(frame)
    if not rate["probes"]:
        return _("there is nothing to predict")
    text = _("the share that arrives predicts {n} of {all} answers")
    return text.format(n=round(rate["agreement"] * rate["probes"]), all=round(rate["probes"]))


def lemma(frame: DataFrame) -> str:
    """Return the lemma's own prediction, in which one attention layer is the only path to the answer."""
    theory = frame.attrs["lemma"]
    if not isinstance(theory, Lemma):
        return _("The lemma itself cannot be computed here: {reason}.").format(reason=said(theory))
    holds, should = frame.attrs["required"] <= 1, theory.loudness >= theory.needed
    if should:
        verdict = _("so it should hold") if holds else _("so it should hold, but it does not")
    else:
        verdict = _("so it should not hold at all, but it does") if holds else _("so it should not hold at all")
    text = _(
        "The lemma itself, with attention layer {layer} as the only path to the answer: the edit adds {adds} logits at "
        "its own prompt and needs {needs}, {verdict}."
    )
    adds, needs = number(theory.loudness, ".1f"), number(theory.needed, ".1f")
    told = text.format(layer=theory.layer, adds=adds, needs=needs, verdict=verdict)
    rate = summary(frame, "lemma_agree")
    if not rate["probes"]:
        return told
    predicts = _("It predicts {share} of {n} probes correctly.")
    return f"{told} {predicts.format(share=share(rate['agreement']), n=round(rate['probes']))}"


def _of(frame: DataFrame, kind: str) -> DataFrame:
    return frame[frame["kind"] == kind]
