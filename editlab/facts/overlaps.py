"""What the edits of a file have to do with each other: facts of one subject, one object for many, a fact written twice.

Nothing of it keeps an edit from being made. It says beforehand where edits will get in each other's way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from editlab.facts.base import FactBase
from editlab.facts.readers import Place, Placed
from editlab.facts.script import bare

MANY = 20
"""So many subjects with one new object are told."""
SHOWN = 5
"""Places that a sentence names."""

Kind = Literal["same fact", "contradiction", "same subject", "same object", "case"]


@dataclass(frozen=True)
class Overlap:
    """Edits of a file that bear on each other, and what that means, in a sentence."""

    kind: Kind
    places: tuple[Place, ...]
    text: str


def overlaps(rows: Sequence[Placed], facts: FactBase | None = None) -> list[Overlap]:
    """Return where rows of a file bear on each other, the gravest first. `facts` know other names and wordings."""
    names = _Names(rows, facts)
    found = [Overlap("case", (row.place,), f"{row.place}: {row.case.request.note}") for row in rows if row.case.request.note]
    by_subject = _groups(rows, lambda row: names.subject(row))
    for group in by_subject:
        said = group[0].case.request.subject
        told: set[Place] = set()
        for same in _groups(group, names.fact):
            if len({row.place.row for row in same}) == 1:  # a record in several languages
                continue
            told.update(row.place for row in same)
            found.append(_one_fact(same, said))
        others = {row.place.row for row in group if row.place not in told}
        if others and len({row.place.row for row in group}) > 1:
            text = (
                f"{len(group):,} facts about {said!r} ({_where(group)}): they share one key, so a later one can undo an "
                "earlier one. The answer afterwards says which held."
            )
            found.append(Overlap("same subject", tuple(row.place for row in group), text))
    for group in _groups(rows, lambda row: bare(row.case.request.target_new)):
        if len({names.subject(row) for row in group}) >= MANY:
            new = bare(group[0].case.request.target_new)
            text = (
                f"{len(group):,} subjects get the new object {new!r}: the model may come to say it of others too. Look at "
                "locality afterwards."
            )
            found.append(Overlap("same object", tuple(row.place for row in group), text))
    order: tuple[Kind, ...] = ("contradiction", "same fact", "same subject", "same object", "case")
    return sorted(found, key=lambda overlap: order.index(overlap.kind))


def _one_fact(group: Sequence[Placed], subject: str) -> Overlap:
    """Return what rows have to do with each other that write one fact of a subject in several wordings or names."""
    places = tuple(row.place for row in group)
    objects = list({_folded(new): new for row in group if (new := bare(row.case.request.target_new))}.values())
    if len(objects) == 1:
        text = f"{_where(group)} write the same fact about {subject!r} in other words or under another name. One is enough."
        return Overlap("same fact", places, text)
    said = " and ".join(repr(name) for name in objects[:2])
    text = f"{_where(group)} contradict each other: {said} for the same fact about {subject!r}. The later one counts."
    return Overlap("contradiction", places, text)


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


def _where(group: Sequence[Placed]) -> str:
    said = [str(row.place) for row in group[:SHOWN]]
    more = len(group) - len(said)
    *first, last = [*said, f"{more:,} more"] if more else said
    return f"{'; '.join(first)} and {last}"
