"""Compare document starts, keys and layers: `python -m tools.starts MODEL --layers 3,4 --starts "none|<|endoftext|>␣"`.

Facts that the model knows behind its own start are edited by ROME, half of them in wordings that begin with the subject, and
asked: at the bare prompt, behind texts that no edit saw, in other wordings, and for other subjects, whose likeliest token
must stay. Statistics are measured on the shipped texts, for each start anew. The table is printed as Markdown, rates with
95 % intervals over the edits.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from editlab import EditRequest, methods
from editlab.bench.bootstrap import rate_interval
from editlab.facts import FactBase
from editlab.methods import Edited
from editlab.model import LanguageModel, measuring
from editlab.model.start import Start
from editlab.patches import BASE
from editlab.settings import Settings

UNSEEN = (
    "The weather was cold that morning. ",
    "He closed the book and looked up. ",
    "In 1995, the committee met again. ",
    "Most of the workers had left by then. ",
)
WORDINGS, NEIGHBOURS, OF_A_RELATION = 6, 8, 4
COLUMNS = ("hit", "behind text", "other wordings", "locality")


def main() -> None:
    """Edit under each start, layer and choice of keys, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--starts", default="", help="starts as EDITLAB_START has them, between ' | '; else the model's own")
    parser.add_argument("--layers", default="", help="layers, as 3,4; else the preset's")
    parser.add_argument("--keys", default="consistent,both")
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument(
        "--set", action="append", help="other settings of ROME, as contexts=6,learning_rate=0.7; repeatable, rows for each"
    )
    given = parser.parse_args()
    presets = Settings().presets
    model, facts = LanguageModel.load(given.model, dtype=given.dtype), FactBase.load(presets / "facts")
    prose = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((presets / "texts").glob("*.txt")))
    requests = {first: known(model, facts, first, given.edits // 2) for first in (True, False)}
    layers = [int(n) for n in given.layers.split(",") if n] or list(methods.config_for("rome", model).layers)
    print(f"| start | layer | settings | keys | subject | edits | {' | '.join(COLUMNS)} | share |")
    print(f"|{'---|' * (7 + len(COLUMNS))}")
    for start in given.starts.split(" | ") if given.starts else [str(model.start) or "none"]:
        own = replace(model, start=Start.of(start.strip()), memo={})
        with TemporaryDirectory() as folder:
            measuring.collect(own, layers, prose, 10 * own.d_ff, Path(folder))
            own.statistics = (Path(folder),)
            for layer, others, keys in product(layers, given.set or [""], given.keys.split(",")):
                config = methods.config_for("rome", own, layers=(layer,), keys=keys, **changes(others))
                for first, asked in requests.items():
                    edited = methods.get("rome").edit(own, asked, BASE, config)
                    found = measured(own, facts, asked, edited)
                    share = mean(health["share"] for health in edited.health)
                    cells = " | ".join(rate(found[name]) for name in COLUMNS)
                    place = "first" if first else "later"
                    about = f"`{start}` | {layer} | {others} | {keys} | {place} | {len(asked)}"
                    print(f"| {about} | {cells} | {share:.2f} |", flush=True)


def changes(text: str) -> dict[str, float]:
    """Return settings that were written as contexts=6,learning_rate=0.7."""
    pairs = (pair.split("=") for pair in text.split(",") if pair)
    return {name: float(value) if "." in value else int(value) for name, value in pairs}


def known(model: LanguageModel, facts: FactBase, first: bool, count: int) -> list[EditRequest]:
    """Return edits of facts that the model says, in wordings that begin with the subject or do not."""
    rng, found, taken = random.Random(1), dict[str, EditRequest](), dict[str, int]()
    for fact in rng.sample(facts.facts, len(facts.facts)):
        relation = facts.relations[fact.relation]
        wordings = [text for text in relation.templates if text.startswith("{}") == first]
        if not wordings or fact.subject in found or taken.get(fact.relation, 0) >= OF_A_RELATION:
            continue
        wording = rng.choice(wordings)
        others = sorted({other.object for other in facts.by_relation[fact.relation]} - {fact.object})
        request = EditRequest(wording, fact.subject, rng.choice(others), fact.object)
        if model.score([request.text], [fact.object])[0].hit:
            found[fact.subject] = request
            taken[fact.relation] = taken.get(fact.relation, 0) + 1
        if len(found) == count:
            break
    return list(found.values())


def measured(
    model: LanguageModel, facts: FactBase, asked: Sequence[EditRequest], edited: Edited
) -> dict[str, list[list[float]]]:
    """Return, for each column, the hits of each edit."""
    found: dict[str, list[list[float]]] = {name: [] for name in COLUMNS}
    for request, solve in zip(asked, edited.solves, strict=True):
        view = BASE.with_patches(solve)
        relation = facts.relations[facts.relation_of(request.prompt)]
        wordings = [text for text in (*relation.templates, *relation.held_out) if text != request.prompt][:WORDINGS]
        texts = {
            "hit": [request.text],
            "behind text": [text + request.text for text in UNSEEN],
            "other wordings": [text.replace("{}", request.subject) for text in wordings],
        }
        for name, own in texts.items():
            scores = model.score(own, [request.target_new] * len(own), view) if own else []
            found[name].append([float(score.hit) for score in scores])
        others = [fact.subject for fact in facts.by_relation[relation.id] if fact.subject != request.subject][:NEIGHBOURS]
        same = [request.prompt.replace("{}", subject) for subject in others]
        kept = model.logits(same).argmax(-1) == model.logits(same, view).argmax(-1)
        found["locality"].append([float(one) for one in kept.tolist()])
    return found


def rate(hits: Sequence[Sequence[float]]) -> str:
    """Return the share of all prompts, with its interval over the edits."""
    sums, counts = [sum(own) for own in hits], [len(own) for own in hits]
    if not sum(counts):
        return "-"
    low, high = rate_interval(sums, counts, 0)
    return f"{sum(sums) / sum(counts):.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
