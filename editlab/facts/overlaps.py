"""What the edits of a file have to do with each other: facts of one subject, one object for many, a fact written twice.

Nothing of it keeps an edit from being made. It says beforehand where edits will get in each other's way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from editlab.facts.base import FactBase
from editlab.facts.readers import Place, Placed
from editlab.facts.script import bare
from editlab.wording import noop

MANY = 20
"""So many subjects with one new object are told."""
SHOWN = 5
"""Places that a sentence names."""

Kind = Literal["contradiction", "same fact", "same subject", "same object", "case"]

TEXTS: dict[Kind, str] = {
    "contradiction": noop(
        "{where} contradict each other: “{new}” and “{other}” for the same fact about {name}. The later one counts."
    ),
    "same fact": noop("{where} write the same fact about {name}, in other words or under another name. One is enough."),
    "same subject": noop(
        "{count} facts about {name} ({where}): they share a key, so a later one can undo an earlier one. The answer "
        "afterwards says which held."
    ),
    "same object": noop(
        "{count} subjects get the new object “{new}”: the model may come to say it of others too. Look at locality "
        "afterwards."
    ),
    "case": noop("{where}: “{new}” differs from the true object “{other}” in upper and lower case alone."),
}
"""What it means that rows bear on each other, the gravest first."""


@dataclass(frozen=True)
class Overlap:
    """Rows of a file that bear on each other (or one with a note of its own), and what the sentence about them names."""

    kind: Kind
    places: tuple[Place, ...]
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        """The sentence."""
        return TEXTS[self.kind].format(**self.values)


def overlaps(rows: Sequence[Placed], facts: FactBase | None = None) -> list[Overlap]:
    """Return where rows of a file bear on each other, the gravest first. `facts` know other names and wordings."""
    names = _Names(rows, facts)
    found = [_overlap("case", [row]) for row in rows if row.case.request.note]
    for group in _groups(rows, names.subject):
        told: set[Place] = set()
        for same in _groups(group, names.fact):
            if len({row.place.row for row in same}) == 1:  # a record in several languages
                continue
            told.update(row.place for row in same)
            objects = {_folded(bare(row.case.request.target_new)) for row in same}
            found.append(_overlap("same fact" if len(objects) == 1 else "contradiction", same))
        others = {row.place.row for row in group if row.place not in told}
        if others and len({row.place.row for row in group}) > 1:
            found.append(_overlap("same subject", group))
    for group in _groups(rows, lambda row: bare(row.case.request.target_new)):
        if len({names.subject(row) for row in group}) >= MANY:
            found.append(_overlap("same object", group))
    return sorted(found, key=lambda overlap: list(TEXTS).index(overlap.kind))


def _overlap(kind: Kind, group: Sequence[Placed]) -> Overlap:
    """Return what rows have to do with each other."""
    first = group[0].case.request
    new = bare(first.target_new)
    others = (bare(row.case.request.target_new) for row in group[1:])
    other = bare(first.target_true or "") if kind == "case" else next((o for o in others if _folded(o) != _folded(new)), "")
    said = "; ".join(str(row.place) for row in group[:SHOWN])
    where = f"{said} (+{len(group) - SHOWN:,})" if len(group) > SHOWN else said
    values = {"where": where, "count": f"{len(group):,}", "name": first.subject, "new": new, "other": other}
    return Overlap(kind, tuple(row.place for row in group), values)


class _Names:
    """Tells which rows mean the same subject and the same fact, by what the rows and the facts say."""

    def __init__(self, rows: Sequence[Placed], facts: FactBase | None) -> None:
        self._facts = facts
        self._canonical: dict[str, str] = {}
        aliases = facts.aliases.items() if facts else ()
        own = ((row.case.request.subject, row.case.rephrases) for row in rows)
        subjects = {_folded(row.case.request.subject) for row in rows}
        for name, others in (*aliases, *own):
            for other in others:
                if _folded(other) in subjects and _folded(other) != _folded(name):
                    self._canonical.setdefault(_folded(other), _folded(name))

    def subject(self, row: Placed) -> str:
        """Return the one name for a row's subject."""
        name = _folded(row.case.request.subject)
        return self._canonical.get(name, name)

    def fact(self, row: Placed) -> Hashable:
        """Return what rows share that write one fact: the relation, as far as it is known, else the new object."""
        request = row.case.request
        relation = row.case.relation or (self._facts.relation_of(request.prompt) if self._facts else None)
        return ("relation", relation) if relation else ("object", _folded(bare(request.target_new)))


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _groups(rows: Iterable[Placed], key: Callable[[Placed], Hashable]) -> list[list[Placed]]:
    """Return the rows with the same key, where there are several."""
    groups: dict[Hashable, list[Placed]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [group for group in groups.values() if len(group) > 1]
