"""Write edits for long chains: python -m tools.chain_edits FACTS.tsv TEMPLATES.json [--count 1000] [--seed 0] > edits.jsonl

FACTS.tsv: rows of relation, subject, object, as of CounterFact's triples; TEMPLATES.json: prompts of each relation. Each
fact, in an order drawn by the seed, gets another object of its relation; no subject has two facts of one relation.
"""

import argparse
import csv
import json
import random
import sys
from collections import defaultdict
from pathlib import Path


def main() -> int:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("facts", type=Path)
    parser.add_argument("templates", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    templates = json.loads(options.templates.read_text(encoding="utf-8"))
    with options.facts.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if templates.get(row["relation"])]
    objects: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        objects[row["relation"]].add(row["object"])
    rng, written = random.Random(options.seed), set()
    rng.shuffle(rows)
    for row in rows:
        key, others = (row["relation"], row["subject"]), sorted(objects[row["relation"]] - {row["object"]})
        if key in written or not others or len(written) == options.count:
            continue
        written.add(key)
        edit = {"prompt": rng.choice(templates[row["relation"]]), "subject": row["subject"]}
        print(json.dumps(edit | {"target_new": rng.choice(others), "target_true": row["object"]}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
