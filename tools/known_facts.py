"""Find what several models know: `python -m tools.known_facts MODEL ... --facts 12`.

Each model is asked for the examples, and for the first facts of each relation in two trained wordings, the subject first
and later; each further model only for what all before it know. The tables are printed as Markdown.
"""

import argparse
import gc
from collections import defaultdict
from pathlib import Path

from editlab import probes
from editlab.facts import EditRequest, Fact, FactBase
from editlab.lab import Example, read_examples
from editlab.model import LanguageModel
from editlab.probes import Knowledge
from editlab.settings import Settings
from editlab.web.core.answers import first_clause
from editlab.wording import percent

PART = 64


def main() -> None:
    """Ask the models and print what each knows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="folders or names of models")
    parser.add_argument("--facts", type=int, default=12, help="facts of each relation that are asked")
    given = parser.parse_args()
    presets = Settings().presets
    facts, examples = FactBase.load(presets / "facts"), read_examples(presets / "examples")
    left = {fact: probes.wordings(facts, fact) for fact in probes.in_turn(facts, given.facts)}
    own: dict[str, list[Knowledge]] = {}
    counts: list[tuple[str, int, int]] = []
    for name in given.models:
        model = LanguageModel.load(name)
        title = Path(name).name
        own[title] = probes.knowledge(model, [example.request for example in examples], says=True)
        asked, left = len(left), known(model, left)
        counts.append((title, asked, len(left)))
        del model
        gc.collect()
    print(example_table(examples, own))
    print("\n| model | facts asked | known |\n|---|---|---|")
    print("\n".join(f"| {title} | {asked:,} | {number:,} |" for title, asked, number in counts))
    print(f"\n{fact_table(facts, left)}")


def known(model: LanguageModel, asked: dict[Fact, list[EditRequest]]) -> dict[Fact, list[EditRequest]]:
    """Return the facts that a model knows, with the wordings in which it knows them."""
    requests = [request for wordings in asked.values() for request in wordings]
    said: dict[EditRequest, bool] = {}
    for start in range(0, len(requests), PART):
        some = requests[start : start + PART]
        said |= {request: one.known for request, one in zip(some, probes.knowledge(model, some), strict=True)}
    found = {fact: [request for request in wordings if said[request]] for fact, wordings in asked.items()}
    return {fact: wordings for fact, wordings in found.items() if wordings}


def example_table(examples: tuple[Example, ...], own: dict[str, list[Knowledge]]) -> str:
    """Return a row for each example: the probability of its true object, or what a model says in its place."""
    rows = [f"| example | asked | true object | {' | '.join(own)} |", f"|---|---|---|{'---|' * len(own)}"]
    for number, example in enumerate(examples):
        cells = [
            percent(one.p) if one.known else f"“{first_clause(one.says)}”" for one in (said[number] for said in own.values())
        ]
        rows.append(f"| {example.name} | {example.request.text} | {example.request.target_true} | {' | '.join(cells)} |")
    return "\n".join(rows)


def fact_table(facts: FactBase, left: dict[Fact, list[EditRequest]]) -> str:
    """Return the facts that all models know in one and the same wording, by relation."""
    by_relation: dict[str, list[str]] = defaultdict(list)
    for fact in left:
        by_relation[facts.relations[fact.relation].name].append(f"{fact.subject} ({fact.object})")
    rows = [f"| {name} | {len(found)} | {', '.join(found)} |" for name, found in by_relation.items()]
    return "\n".join(("| relation | known by all | subject (object) |", "|---|---|---|", *rows))


if __name__ == "__main__":
    main()
