"""What must follow from an edit, by its share alone, beside what did follow (Lemmas 4.6 and 4.7 of arXiv 2410.09338).

The measured form needs no assumption about the path from the edit to the answer: the edit is made weaker and stronger at
its own prompt, and s* is the least strength at which the new object takes the lead there. Every other probe is then
predicted from one number, the share of the edit that its key hears: it should hold where that is at least s*, and a
neighbour should stay where it is less. Scaling at the probe itself would be circular.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from editlab.answers import ViewName
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.insight.lemma import Lemma, lemma, lemma_at
from editlab.insight.site import Site
from editlab.patches import THRESHOLD, Patch, Pathway
from editlab.work import Progress, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel
    from editlab.probes import Probe

REACHED = ("rephrase", "shuffle", "long", "paraphrase")
"""Kinds that should say the new object; the edit prompt itself is left out, for s* was measured there."""
SPARED = "locality"
STRENGTHS = tuple(step / 40 for step in range(61))
"""0 to 1.5."""
COLUMNS = ("kind", "domain", "text", "subject", "required", "share", "expected", "happened", "agree")


def taking_the_lead(site: Site, strengths: Sequence[float] = STRENGTHS) -> tuple[float, pd.DataFrame]:
    """Return s*: the least strength at which the model says the new object at the edit prompt; inf where it never does.

    With it a row a strength: `strength`, `p_new`, `p_true` (NaN without a true object) and `leads`. Without pathways.
    """
    request = site.request
    targets = [target for target in (request.target_new, request.target_true) if target is not None]
    views = [site.scaled(strength) for strength in strengths]
    scores = site.model.score(
        [request.text] * (len(views) * len(targets)), targets * len(views), [view for view in views for _ in targets]
    )
    new, true = scores[:: len(targets)], scores[1::2] if len(targets) == 2 else [None] * len(views)
    frame = pd.DataFrame(
        {
            "strength": list(strengths),
            "p_new": [score.p for score in new],
            "p_true": [math.nan if score is None else score.p for score in true],
            "leads": [score.hit for score in new],
        }
    )
    needed = next((strength for strength, score in zip(strengths, new, strict=True) if score.hit), math.inf)
    return needed, frame


def bounds(
    site: Site,
    probes: Sequence[Probe],
    frame: pd.DataFrame,
    named: str,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Return a row for each predictable probe: required and actual share, prediction, outcome, and their agreement.

    `frame` is what `probes.ask` said about `probes`, and `named` the view in it that is judged: with pathways the one that
    has them. Columns: kind, domain, text, subject; `required` (s*), `share` (at the subject's last token, as the pathways
    leave it); `expected` and `happened`: whether the model says the new object's side, "hold" or "fail" (a neighbour:
    "stay" or "move"); `agree`; and by the lemma `lemma_required` and `lemma_expected` (NaN and None where it says nothing).
    `frame.attrs`: "required", "curve" (rows of `taking_the_lead`) and "lemma" (a `Lemma`, or why there is none).
    """
    progress(0.0, "bounds: the least strength at the edit prompt")
    required, curve = taking_the_lead(site)
    rows, places = [], []
    for (_, said), probe in zip(frame.iterrows(), probes, strict=True):
        at = site.locate(probe.text, probe.subject) if probe.kind in (*REACHED, SPARED) else None
        if at is None or pd.isna(said["expected"]):
            continue
        places.append(at)
        rows.append((probe, said))
    progress(0.4, "bounds: the share at each probe")
    view = site.edited if site.robust is None else site.robust
    shares = site.share(site.keys(places, view)).tolist() if places else []
    found = [_judged(probe, said, named, required, share) for (probe, said), share in zip(rows, shares, strict=True)]
    table = pd.DataFrame(found, columns=list(COLUMNS))
    progress(0.7, "bounds: the lemma")
    theory = lemma(site)
    _add_lemma(table, site, theory, [said["expected"] for _, said in rows])
    table.attrs |= {"required": required, "curve": curve.to_dict("records"), "lemma": theory}
    return table


def agreement(
    model: LanguageModel,
    request: EditRequest,
    patches: Sequence[Patch],
    probes: Sequence[Probe],
    frame: pd.DataFrame,
    pathways: Sequence[Pathway] = (),
    threshold: float = THRESHOLD,
    named: str | None = None,
) -> pd.DataFrame:
    """Return `bounds` of one edit, alone over a model: what a benchmark runs over many cases.

    `named`: the view of `frame` to judge; by default "rep" with pathways, else "edited". Raises `BadRequest` where the
    frame has no such view.
    """
    named = named or (ViewName.REP if pathways else ViewName.EDITED)
    if f"{named}.hit" not in frame.columns:
        raise BadRequest(f"Nobody asked the probes under the view {named!r}. Ask them first, or name another view.")
    return bounds(Site.on(model, request, patches, None, pathways, threshold), probes, frame, named)


def summary(table: pd.DataFrame, by: str = "agree") -> dict[str, float]:
    """Return how many `probes` of the tables were predicted, their `agreement` and `majority`, 0 to 1.

    The majority is what the best fixed answer gets; it may differ between what should be reached and what should be
    spared, so it is no straw man. `by` is the column of agreement: "agree", or "lemma_agree" for the lemma's.
    """
    known = table[table[by].notna()]
    if known.empty:
        return {"probes": 0.0, "agreement": math.nan, "majority": math.nan}
    spared = (known["kind"] == SPARED).rename("spared")
    most = float(known.groupby(spared)["happened"].agg(lambda own: own.value_counts().max()).sum())
    return {"probes": float(len(known)), "agreement": float(known[by].astype(float).mean()), "majority": most / len(known)}


def _judged(probe: Probe, said: pd.Series, named: str, required: float, share: float) -> tuple:
    heard = share >= required
    if probe.kind == SPARED:
        expected, happened = _outcome(True, heard), "stay" if said[f"{named}.same"] == 1 else "move"
    else:
        expected, happened = _outcome(False, heard), "hold" if said[f"{named}.hit"] else "fail"
    return (
        probe.kind, probe.domain, probe.text, probe.subject, required, share, expected, happened, expected == happened,
    )  # fmt: skip


def _outcome(spared: bool, heard: bool) -> str:
    """Return what should happen at a probe that hears enough of the edit, or does not."""
    return ("move" if heard else "stay") if spared else ("hold" if heard else "fail")


def _add_lemma(table: pd.DataFrame, site: Site, theory: Lemma | str, expected: Sequence[str]) -> None:
    """Add the lemma's own columns, probe by probe."""
    table["lemma_required"], table["lemma_expected"], table["lemma_agree"] = math.nan, None, None
    if isinstance(theory, str) or table.empty:
        return
    spared = (table["kind"] == SPARED).tolist()
    olds = [own if s else site.request.target_true for s, own in zip(spared, expected, strict=True)]
    required = lemma_at(site, theory, table["text"].tolist(), olds, spared)
    outcomes = [
        None if math.isnan(needed) else _outcome(s, share >= needed)
        for s, share, needed in zip(spared, table["share"], required, strict=True)
    ]
    table["lemma_required"] = required
    table["lemma_expected"] = pd.Series(outcomes, dtype=object)
    table["lemma_agree"] = pd.Series(
        [None if own is None else own == done for own, done in zip(outcomes, table["happened"], strict=True)], dtype=object
    )
