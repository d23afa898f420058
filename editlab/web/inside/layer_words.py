"""The sentences of causal tracing and of the layer sweep, made from their tables alone."""

from __future__ import annotations

from collections.abc import Sequence

from pandas import DataFrame, Series

from editlab.facts import EditRequest
from editlab.lab import LayerRow, best_layer
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.wording import join, number, percent, rate
from editlab.web.inside.words import CHANGED, visible

TO_TRACE = noop("Press “Trace the fact”. It asks the unedited model some thousand times, in a few batches.")
TO_SWEEP = noop("Press “Edit at each layer”. The edit is made once for each layer, and the model stays as it is.")
SUBJECT = ("subject", "last subject")
"""The places of the subject's tokens."""
NO_SWEEP = noop("Press “Edit at each layer” first, and choose one of them.")


def tracing_title(frame: DataFrame) -> str:
    """Return the finding in a few words: where most is recalled."""
    if not _falls(frame):
        return _("noise on the subject changes little")
    most = _most(frame, "mlp", SUBJECT)
    return _("the MLPs around layer {layer} recall most").format(layer=most["layer"])


def tracing(request: EditRequest, frame: DataFrame, layers: Sequence[int]) -> str:
    """Return what the noise takes, which states bring it back, and what they bring back at the edited layers."""
    clean, corrupted = frame.attrs["clean"], frame.attrs["corrupted"]
    text = _("The unedited model says {true} with {clean}, and with {corrupted} under noise on {subject}.")
    named = {"true": request.target_true, "subject": request.subject}
    sentences = [text.format(clean=percent(clean), corrupted=percent(corrupted), **named)]
    if not _falls(frame):
        sentences.append(_("The noise takes too little for anything to bring it back: this fact cannot be traced."))
        return " ".join(sentences)
    mlp = _most(frame, "mlp", SUBJECT)
    hidden = _most(frame[frame["back"] == mlp["back"]], "hidden", SUBJECT)  # of the token that the sentence names
    text = _(
        "Of the subject, most comes back at “{token}”: {p} by the MLPs around layer {mlp}, {q} by the hidden state after "
        "layer {hidden}."
    )
    given = {"mlp": mlp["layer"], "p": _points(mlp["effect"]), "hidden": hidden["layer"], "q": _points(hidden["effect"])}
    sentences.append(text.format(token=visible(mlp["token"]), **given))
    if (frame["place"] == "last").any():
        late = _most(frame, "attention", ("last",))
        text = _("At “{token}”, the attention around layer {layer} brings back {p}.")
        sentences.append(text.format(token=visible(late["token"]), layer=late["layer"], p=_points(late["effect"])))
    own = frame[(frame["kind"] == "mlp") & (frame["place"] == "last subject") & frame["layer"].isin(layers)]
    if len(own):
        text = ngettext(
            "At the subject’s last token, where the edit is written, the MLPs around layer {layers} bring back {p}.",
            "At the subject’s last token, where the edit is written, the MLPs around layers {layers} bring back {p}.",
            len(own),
        )
        sentences.append(text.format(layers=join(own["layer"]), p=join(_points(effect) for effect in own["effect"])))
    return " ".join(sentences)


def sweep_title(rows: Sequence[LayerRow]) -> str:
    """Return the finding in a few words: the best layer so far."""
    best = best_layer(rows)
    return _("it takes at no layer") if best is None else _("layer {layer} would be best").format(layer=best.layer)


def sweep(rows: Sequence[LayerRow], layers: Sequence[int]) -> str:
    """Return which layer would be best, what it would give, and how the edit's own layers compare."""
    best, tried = best_layer(rows), [row for row in rows if row.skipped is None]
    skipped = [row for row in rows if row.skipped is not None]
    sentences = []
    if best is None:
        sentences.append(_("With these settings the edit takes at none of the {n} layers.").format(n=number(len(tried))))
        if tried:
            most = max(tried, key=lambda row: row.p_new)
            text = _("It comes nearest at layer {layer}, where the new object has {p}.")
            sentences.append(text.format(layer=most.layer, p=percent(most.p_new)))
    else:
        text = _("Layer {layer} would be best, with a score of {score}: the new object has {p} there{rates}.")
        given = {"layer": best.layer, "score": number(best.score, ".2f"), "p": percent(best.p_new), "rates": _rates(best)}
        sentences.append(text.format(**given))
        own = [row for row in rows if len(layers) == 1 and row.layer in layers and row is not best]
        for row in own:
            text = _("Layer {layer}, where it is made now, has {score}.")
            sentences.append(text.format(layer=row.layer, score=number(row.score, ".2f")))
        if best.layer in layers and len(layers) == 1:
            sentences.append(_("That is where it is made now."))
    if skipped:
        text = ngettext(
            "At {n} layer it could not be made: {why}", "At {n} layers it could not be made: {why}", len(skipped)
        )
        sentences.append(text.format(n=number(len(skipped)), why=skipped[0].skipped))
    spared = [row.layer for row in tried if row.whitened]
    if spared and len(spared) < len(tried):
        text = ngettext(
            "Key statistics are there for layer {layers} alone; at the others the edit is made without.",
            "Key statistics are there for layers {layers} alone; at the others the edit is made without.",
            len(spared),
        )
        sentences.append(text.format(layers=join(spared)))
    return " ".join(sentences)


def chosen(method: str, layer: int) -> str:
    """Return that a layer was filled into the settings."""
    text = _("The next edit by {method} is made at layer {layer}: press “Apply edit” on the Edit tab.")
    return text.format(method=method.upper(), layer=layer)


def _rates(row: LayerRow) -> str:
    said = {
        "paraphrase": _("{p} of the paraphrases hold"),
        "locality": _("{p} of what it says of other subjects stays"),
        "same_subject": _("{p} of the other facts about the subject stay"),
    }
    rates = [said[name].format(p=rate(share)) for name, share in (row.rates or {}).items()]
    return f", {join(rates)}" if rates else ""


def _falls(frame: DataFrame) -> bool:
    return frame.attrs["clean"] - frame.attrs["corrupted"] >= CHANGED


def _most(frame: DataFrame, kind: str, places: Sequence[str]) -> Series:
    own = frame[(frame["kind"] == kind) & frame["place"].isin(places)]
    return own.loc[own["effect"].idxmax()]


def _points(effect: float) -> str:
    return _("{points} points").format(points=number(100 * effect, "z.0f"))
