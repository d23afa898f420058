"""Where the facts come from that Atlas is taught: our own presets and, by path, CounterFact's triples.

CounterFact files are not part of this project. The recipe takes their path, so that the papers' own cases can be run on
a model that knows them; who has only the presets trains a smaller Atlas with the same commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from editlab.errors import BadFile
from editlab.facts import Fact, FactBase, Relation, read_table, source_of


def training_facts(presets: Path, counterfact: Path | None = None, tier: int = 1) -> FactBase:
    """Return our facts and, with a path, CounterFact's beside them; where they disagree, ours count.

    `counterfact` is a folder with `facts.tsv`, `aliases.tsv` and `templates.json`, or the original `counterfact.json`.
    """
    own = FactBase.load(presets)
    if counterfact is None:
        return own
    theirs = _from_records(counterfact, own) if counterfact.suffix == ".json" else _from_tables(counterfact, tier)
    return own.merged(theirs)


def _from_tables(folder: Path, tier: int) -> FactBase:
    relations = _wordings(folder / "templates.json")
    facts = []
    for line, row in read_table(folder / "facts.tsv", ("tier", "relation", "subject", "object")):
        if row["relation"] not in relations or not row["tier"].isdigit():
            raise BadFile(f"{folder / 'facts.tsv'}, line {line}: needs a tier's number and a relation of templates.json.")
        if int(row["tier"]) <= tier and "?" not in row["subject"]:
            facts.append(Fact(row["subject"], row["relation"], row["object"]))
    aliases: dict[str, tuple[str, ...]] = {}
    for _, row in read_table(folder / "aliases.tsv", ("subject", "alias")):
        aliases[row["subject"]] = (*aliases.get(row["subject"], ()), row["alias"])
    return FactBase(_one_object_each(facts), relations, aliases)


def _wordings(path: Path) -> dict[str, Relation]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {key: Relation(key, key, tuple(texts)) for key, texts in found.items()}
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.{source_of(path)}") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise BadFile(f"{path} is not a table of wordings (relation: [templates]): {error}") from error


def _from_records(path: Path, own: FactBase) -> FactBase:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        facts, relations = _facts_of(records)
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.{source_of(path)}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadFile(f"{path} is not CounterFact's JSON: {error}") from error
    ours = {key: relation for key, relation in own.relations.items() if key not in relations}
    return FactBase(_one_object_each(facts), {**relations, **ours}, {})


def _facts_of(records: list[dict[str, Any]]) -> tuple[list[Fact], dict[str, Relation]]:
    """Return the triples of CounterFact's records: each rewrite, and its neighbours where a wording tells them."""
    rewrites = [record["requested_rewrite"] for record in records]
    wordings: dict[str, dict[str, None]] = {}
    for rewrite in rewrites:
        wordings.setdefault(rewrite["relation_id"], {})[rewrite["prompt"]] = None
    facts = [Fact(r["subject"], r["relation_id"], r["target_true"]["str"]) for r in rewrites]
    for record, rewrite in zip(records, rewrites, strict=True):
        for text in record.get("neighborhood_prompts", ()):
            for wording in wordings[rewrite["relation_id"]]:
                head, tail = wording.split("{}")
                if text.startswith(head) and text.endswith(tail) and len(text) > len(head) + len(tail):
                    subject = text[len(head) : len(text) - len(tail)]
                    facts.append(Fact(subject, rewrite["relation_id"], rewrite["target_true"]["str"]))
    return facts, {key: Relation(key, key, tuple(texts)) for key, texts in wordings.items()}


def _one_object_each(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    kept: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        kept.setdefault((fact.subject, fact.relation), fact)
    return tuple(kept.values())
