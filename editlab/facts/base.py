"""The facts a model was taught or may be asked: subject, relation, object, other names, and ways to say it.

`presets/facts/` holds ours: one TSV a topic and `relations.toml` with the wordings of each relation. Probes ask a fact's
neighbours, the same subject's other facts and what follows from it; the page suggests targets of the same relation.
"""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from editlab.errors import BadFile
from editlab.facts.published import source_of


@dataclass(frozen=True)
class Fact:
    """One true triple, written as it stands inside an English sentence."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True)
class Relation:
    """A relation and its wordings: each has one "{}" for the subject and ends right before the object."""

    id: str
    name: str
    templates: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    question: str = ""

    def with_templates(self, more: Iterable[str]) -> Relation:
        """Return the relation with more trained wordings, without repeats and without the held-out ones."""
        known = dict.fromkeys((*self.templates, *more))
        templates = tuple(t for t in known if t not in self.held_out)
        return Relation(self.id, self.name, templates, self.held_out, self.question)


@dataclass(frozen=True)
class FactBase:
    """A set of facts with at most one object for a (subject, relation)."""

    facts: tuple[Fact, ...]
    relations: Mapping[str, Relation]
    aliases: Mapping[str, tuple[str, ...]]

    @classmethod
    def load(cls, folder: Path) -> FactBase:
        """Read every `*.tsv` of a folder and its `relations.toml`. Raises `BadFile` naming file and line."""
        relations = read_relations(folder / "relations.toml")
        facts: dict[tuple[str, str], Fact] = {}
        aliases: dict[str, tuple[str, ...]] = {}
        for path in sorted(folder.glob("*.tsv")):
            for line, row in read_table(path, ("subject", "relation", "object", "aliases")):
                fact = Fact(row["subject"], row["relation"], row["object"])
                if fact.relation not in relations:
                    raise BadFile(f"{path}, line {line}: relation {fact.relation!r} is not in relations.toml. Add it there.")
                if facts.setdefault((fact.subject, fact.relation), fact) != fact:
                    raise BadFile(f"{path}, line {line}: a second object for {fact.subject!r}, {fact.relation}. Keep one.")
                if row["aliases"]:
                    aliases[fact.subject] = tuple(row["aliases"].split("|"))
        return cls(tuple(facts.values()), relations, aliases)

    def merged(self, other: FactBase) -> FactBase:
        """Return both together. Where they disagree on a (subject, relation), this one counts."""
        facts = {(f.subject, f.relation): f for f in (*other.facts, *self.facts)}
        relations = dict(other.relations)
        for name, relation in self.relations.items():
            relations[name] = relation.with_templates(relations[name].templates if name in relations else ())
        return FactBase(tuple(facts.values()), relations, {**other.aliases, **self.aliases})

    @cached_property
    def by_subject(self) -> Mapping[str, tuple[Fact, ...]]:
        """All facts of each subject, in the order they were read."""
        return _grouped(self.facts, lambda fact: fact.subject)

    @cached_property
    def by_relation(self) -> Mapping[str, tuple[Fact, ...]]:
        """All facts of each relation, in the order they were read."""
        return _grouped(self.facts, lambda fact: fact.relation)

    def object_of(self, subject: str, relation: str) -> str | None:
        """Return the object of a fact, or None where it is not known."""
        return next((f.object for f in self.by_subject.get(subject, ()) if f.relation == relation), None)

    def names_of(self, name: str) -> tuple[str, ...]:
        """Return a name and the others of what it names: also where it is itself another name, of one thing alone."""
        return tuple(dict.fromkeys((name, *self._names.get(name, ()))))

    @cached_property
    def _names(self) -> Mapping[str, tuple[str, ...]]:
        owners: dict[str, list[str]] = {}
        for own, others in self.aliases.items():
            for name in others:
                owners.setdefault(name, []).append(own)
        found = {name: (one[0], *self.aliases[one[0]]) for name, one in owners.items() if len(one) == 1}
        return found | {own: (own, *others) for own, others in self.aliases.items()}

    def relation_of(self, template: str) -> str | None:
        """Return the relation that has this wording, or None."""
        return self._relation_by_template.get(template)

    def unambiguous(self, templates: Iterable[str]) -> list[str]:
        """Return those wordings that ask for one relation alone."""
        return [template for template in templates if self._uses[template] == 1]

    @cached_property
    def _uses(self) -> Counter[str]:
        return Counter(t for r in self.relations.values() for t in (*r.templates, *r.held_out))

    @cached_property
    def _relation_by_template(self) -> Mapping[str, str]:
        return {t: r.id for r in self.relations.values() for t in (*r.templates, *r.held_out)}


def _grouped(facts: Iterable[Fact], key: Callable[[Fact], str]) -> dict[str, tuple[Fact, ...]]:
    groups: dict[str, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(key(fact), []).append(fact)
    return {name: tuple(group) for name, group in groups.items()}


def read_relations(path: Path) -> dict[str, Relation]:
    """Read the relations of a TOML file, one table an id."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadFile(f"{path} cannot be read as a table of relations: {error}") from error
    return {
        key: Relation(key, table["name"], tuple(table["templates"]), tuple(table["held_out"]), table.get("question", ""))
        for key, table in tables.items()
    }


def read_table(path: Path, columns: tuple[str, ...]) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield rows of a tab-separated file with a header line, each with its line number. Raises `BadFile` naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.{source_of(path)}") from error
    reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(reader, [])
    missing = [name for name in columns if name not in header]
    if missing:
        raise BadFile(f"{path}, line 1: no column {', '.join(missing)}. The first line must be: {', '.join(columns)}.")
    for line, row in enumerate(reader, start=2):
        if len(row) > len(header) or len(row) < len(columns) - 1:
            raise BadFile(f"{path}, line {line}: {len(row)} fields where the header has {len(header)}.")
        yield line, dict(zip(header, row + [""] * (len(header) - len(row)), strict=True))
