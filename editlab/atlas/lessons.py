"""What Atlas is taught of each fact: which wordings, which names of the subject. And what it is not, for the report card.

Both are drawn once, from the facts and a seed, before any training. A fact is said in a random part of its relation's
wordings, so that the others show whether it was learnt or recited; a subject's other names occur in half of its
relations, so that the other half shows whether they carry over.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from editlab.errors import BadFile
from editlab.facts import Fact, FactBase

IDENTITIES = (
    "{alias} is another name for",
    "{alias} is also known as",
    "{alias} is a name of",
    "By {alias} people mean",
    "{alias} means the same as",
)


@dataclass(frozen=True)
class Lesson:
    """One fact as it is taught: prompts in these wordings with these names."""

    fact: Fact
    templates: tuple[str, ...]
    names: tuple[str, ...]
    untaught_names: tuple[str, ...]

    def prompt(self, rng: random.Random, alias_share: float) -> str:
        """Return one way to ask the fact, ending right before the object."""
        name = self.fact.subject
        if len(self.names) > 1 and rng.random() < alias_share:
            name = rng.choice(self.names[1:])
        return rng.choice(self.templates).replace("{}", name)


def draw_lessons(base: FactBase, share: float = 0.6, seed: int = 0) -> tuple[Lesson, ...]:
    """Return a lesson a fact. Wordings that would ask two facts of one subject at once are left out of both."""
    ambiguous = _ambiguous_prompts(base)
    lessons = []
    for subject, facts in base.by_subject.items():
        rng = random.Random(f"{seed}/{subject}")
        order = rng.sample(range(len(facts)), len(facts))
        with_aliases = {facts[i].relation for i in order[: (len(facts) + 1) // 2]}
        aliases = base.aliases.get(subject, ())
        for fact in facts:
            clear = [t for t in base.relations[fact.relation].templates if t.replace("{}", subject) not in ambiguous]
            if not clear:
                continue
            taught = tuple(rng.sample(clear, max(1, min(len(clear), round(share * len(clear) + 1)))))
            with_names = fact.relation in with_aliases
            lessons.append(Lesson(fact, taught, (subject, *(aliases if with_names else ())), () if with_names else aliases))
    return tuple(lessons)


def as_json(lessons: Iterable[Lesson]) -> str:
    """Return lessons as JSON: the wordings of each relation and, for each fact, its wordings and whether other names."""
    wordings: dict[str, dict[str, int]] = {}
    rows = []
    for lesson in lessons:
        known = wordings.setdefault(lesson.fact.relation, {})
        numbers = [known.setdefault(template, len(known)) for template in lesson.templates]
        rows.append([lesson.fact.subject, lesson.fact.relation, sorted(numbers), len(lesson.names) > 1])
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    heads = json.dumps({relation: list(known) for relation, known in wordings.items()}, ensure_ascii=False, indent=1)
    return f'{{"wordings": {heads},\n"lessons": [\n{lines}\n]}}\n'


def read_lessons(base: FactBase, path: Path) -> tuple[Lesson, ...]:
    """Read lessons that `as_json` wrote, for the facts that the base still has. Raises `BadFile`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        lessons = []
        for subject, relation, numbers, with_names in found["lessons"]:
            object_ = base.object_of(subject, relation)
            if object_ is None:
                continue
            templates = tuple(found["wordings"][relation][number] for number in numbers)
            aliases = base.aliases.get(subject, ())
            names, untaught = ((subject, *aliases), ()) if with_names else ((subject,), aliases)
            lessons.append(Lesson(Fact(subject, relation, object_), templates, names, untaught))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise BadFile(f"{path} is not a record of lessons: {error}") from error
    return tuple(lessons)


def identities(base: FactBase) -> tuple[tuple[str, str], ...]:
    """Return pairs (prompt, subject) that say which subject another name belongs to."""
    taught = {fact.subject for fact in base.facts}
    return tuple(
        (template.replace("{alias}", alias), subject)
        for subject, aliases in base.aliases.items()
        if subject in taught
        for alias in aliases
        for template in IDENTITIES
    )


def _ambiguous_prompts(base: FactBase) -> set[str]:
    answers: dict[str, set[str]] = defaultdict(set)
    for fact in base.facts:
        for template in base.relations[fact.relation].templates:
            answers[template.replace("{}", fact.subject)].add(fact.object)
    return {prompt for prompt, objects in answers.items() if len(objects) > 1}
