"""Hold what papers say of models with 7 billion parameters against another one: `python -m tools.claims MODEL FILE ...`.

Each edit of the files (CSV, CounterFact, REP), and of `--known` facts of the presets that the model says, is made by ROME
alone on the unedited model, and looked at as the tabs Keys and Inside look: how similar other keys are to its own, how long
its value is, how much attention its subject gets in later layers, and what the answer is without the edit, with it, and
under its mask. Prints a Markdown table of means over the edits with 95 % intervals, a column a file. The rows are kept in
`--out`, and edits that have one there are not made again.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from editlab import insight, methods
from editlab.bench.bootstrap import rate_interval
from editlab.errors import EditLabError
from editlab.facts import EditRequest, FactBase, read_cases
from editlab.insight import Question, Site
from editlab.insight.stream import stream
from editlab.methods import mask
from editlab.model import LanguageModel
from editlab.patches import BASE, View
from editlab.probes import Ground, passages
from editlab.settings import Settings
from tools.starts import known

FORMS = {"rephrase": "another name", "shuffle": "its tokens in another order", "long": "behind a long text"}
"""How the subject is said, by kind of probe."""
Measures = dict[str, float]


def main() -> None:
    """Edit, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--limit", type=int, default=20, help="edits of each file")
    parser.add_argument("--known", type=int, default=0, help="edits of facts of the presets that the model says")
    parser.add_argument("--out", type=Path, help="file of rows, which a second call goes on with")
    given = parser.parse_args()
    settings = Settings()
    model, facts = LanguageModel.load(given.model, dtype="float32"), FactBase.load(settings.presets / "facts")
    ground = Ground(model, facts, passages(model, settings.presets / "texts"), settings.seed)
    lines = given.out.read_text(encoding="utf-8").splitlines() if given.out and given.out.exists() else []
    done: dict[str, Measures] = dict(map(json.loads, lines))
    found: dict[str, list[Measures]] = {}
    for name, request in _asked(ground, given.files, given.limit, given.known):
        key = f"{request.text} {request.target_new}"
        try:
            row = done.get(key) or measured(ground, request)
        except EditLabError as fault:
            print(f"{key}: {fault}", file=sys.stderr, flush=True)
            continue
        found.setdefault(name, []).append(row)
        if given.out and key not in done:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, row]) + "\n")
        print(f"{name} {len(found[name])}: {key}", file=sys.stderr, flush=True)
    print(table(found))


def _asked(ground: Ground, files: Sequence[Path], limit: int, count: int) -> Iterator[tuple[str, EditRequest]]:
    """Yield the edits with the name of their file; those of known facts last, half of them in prompts that begin so."""
    for file in files:
        for case in read_cases(file, [])[:limit]:
            yield file.stem, case.request
    for first in (True, False) if count else ():
        for request in known(ground.model, ground.facts, first, count // 2):
            yield "known", request


def table(found: Mapping[str, Sequence[Measures]]) -> str:
    """Return the means as Markdown: a row a measure, a column a group of edits; how many have it where not all do."""
    lines = [
        "| | " + " | ".join(f"{name} ({len(rows)})" for name, rows in found.items()) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    for name in dict.fromkeys(name for rows in found.values() for row in rows for name in row):
        cells = (_cell([row[name] for row in rows if name in row], len(rows)) for rows in found.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(own: Sequence[float], edits: int) -> str:
    if not own:
        return "-"
    low, high = rate_interval(own, [1.0] * len(own))
    return f"{fmean(own):.3f} ({low:.3f} to {high:.3f})" + ("" if len(own) == edits else f", n {len(own)}")


def measured(ground: Ground, request: EditRequest) -> Measures:
    """Return all measures of one edit. Raises `EditLabError` where it cannot be made."""
    model = ground.model
    edit = tuple(methods.get("rome").edit(model, [request]))
    own_mask = mask.find(model, "rome")
    views = {"base": BASE, "edited": View(edit)}
    if own_mask is not None:
        views |= {"masked": View((*edit, *own_mask.masks)), "mask alone": View(own_mask.masks)}
    site, question = Site.on(model, request, edit), Question.of(model, request)
    return {
        **keys(ground, site),
        **values(site, question),
        **attention(site, views, question),
        **answers(model, request, views),
        **contributions(site, views, question),
    }


def keys(ground: Ground, site: Site) -> Measures:
    """Return how similar other keys are to the edit's, and how much of the edit they receive."""
    battery = ground.battery(ground.case(site.request))
    frame = insight.similarity(site, battery, ground.passages, ground.seed).frame
    found, forms = {}, frame[frame["kind"].isin(FORMS)]
    others, words = (frame[frame["kind"] == kind] for kind in ("locality", "random"))
    for kind, said in FORMS.items():
        own = forms[forms["kind"] == kind]
        if not own.empty:
            found |= {f"similarity, {said}": own["before"].median(), f"share of the edit, {said}": own["share"].median()}
    if not others.empty:
        found |= {"similarity, other subjects": others["before"].median()}
        found |= {"similarity, the nearest other subject": others["before"].max()}
        found |= {"share of the edit, other subjects": others["share"].median()}
        if not forms.empty:
            found |= {"forms farther than the nearest other subject": (forms["before"] < others["before"].max()).mean()}
    found |= {"similarity, random words": words["before"].median(), "similarity, the nearest of 200": words["before"].max()}
    *_, scan = insight.prefixes(site, "\n".join((*ground.passages.inside, *ground.passages.outside)))
    loudest = scan.frame[~scan.frame["mentions"].astype(bool)]["share"].max()
    found |= {"share of the edit, the unrelated place that receives most": loudest}
    if not forms.empty:
        found |= {"forms that receive less than this place": (forms["share"] < loudest).mean()}
    return found


def values(site: Site, question: Question) -> Measures:
    """Return how long the MLP's output is at the subject's last token: with the edit, without it, and in other layers."""
    if question.subject is None or question.subject > len(question.tokens):
        return {}
    found = stream(site.model, {"base": BASE, "edited": site.edited}, question.looked_at(question.subject))
    before, after = found.mlp.norm(dim=-1).float().cpu()
    stood = found.residual[0, site.layer, -question.subject].norm().item()
    return {
        "value, edited by unedited": (after[site.layer] / before[site.layer]).item(),
        "value, edited by the median layer": (after[site.layer] / before.median()).item(),
        "value, unedited by the median layer": (before[site.layer] / before.median()).item(),
        "other layers with a longer value, edited": (before > after[site.layer]).float().mean().item(),
        "value, edited by the residual stream": after[site.layer].item() / stood,
        "value, unedited by the residual stream": before[site.layer].item() / stood,
    }


def attention(site: Site, views: Mapping[str, View], question: Question) -> Measures:
    """Return how much the heads above the edit attend from the text's end to the subject's last token."""
    if question.subject is None or question.subject == question.at:
        return {}
    frame = insight.attention(site.model, views, question)
    wide = frame[frame["layer"] > site.layer].pivot(index=["layer", "head"], columns="view", values="weight")
    gain = wide["edited"] - wide["base"]
    found = {f"attention, {view}": wide[view].mean() for view in views}
    found |= {"heads that attend .1 more": (gain >= 0.1).mean(), "heads that attend .1 less": (gain <= -0.1).mean()}
    return found | {"edits with more attention": float(gain.mean() > 0)}


def answers(model: LanguageModel, request: EditRequest, views: Mapping[str, View]) -> Measures:
    """Return how likely both objects are in each view, and which is said."""
    targets = [request.target_new, request.target_true or ""]
    scores = model.score(
        [request.text] * (2 * len(views)), targets * len(views), [v for v in views.values() for _ in targets]
    )
    found = {}
    for view, new, true in zip(views, scores[::2], scores[1::2], strict=True):
        found |= {f"p(new), {view}": new.p, f"p(true), {view}": true.p}
        found |= {f"new said, {view}": float(new.hit), f"true said, {view}": float(true.hit)}
    if found["new said, edited"] and found.get("true said, mask alone"):
        found["true returns, where the edit holds and the mask alone leaves the fact"] = found["true said, masked"]
    return found


def contributions(site: Site, views: Mapping[str, View], question: Question) -> Measures:
    """Return the logits of both objects, and what attention above the edit and all MLPs add to them."""
    if question.new == question.true:
        return {}
    frame = insight.contributions(site.model, views, question)
    found = {}
    for view in views:
        own = frame[frame["view"] == view]
        later = own[(own["part"] == "attention") & (own["layer"] > site.layer)]
        mlps = own[(own["part"] == "mlp") & (own["layer"] >= site.layer)]
        for which in ("new", "true"):
            found[f"logit of {which}, {view}"] = own[which].sum()
            found[f"later attention to {which}, {view}"] = later[which].sum()
            found[f"later MLPs to {which}, {view}"] = mlps[which].sum()
    return found


if __name__ == "__main__":
    main()
