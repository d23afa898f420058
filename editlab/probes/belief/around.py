"""What questions are made of: the edit's case, the facts around it, the words of its language, the form of a dialogue."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from editlab.facts import EditCase, EditRequest, FactBase, Relation
from editlab.facts.languages import language_of, sentence_end
from editlab.facts.request import SLOT
from editlab.facts.script import bare, begins_with, joined
from editlab.probes.belief.asks import Ask
from editlab.probes.belief.phrases import Phrases, phrases_of
from editlab.probes.cases import case_for
from editlab.probes.matching import Verdict, verdict_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel
    from editlab.probes.ground import Ground

OTHERS = 2
"""Options beside the new and the old object."""


@dataclass(frozen=True, eq=False)
class Around:
    """One case and what is known around it."""

    model: LanguageModel
    case: EditCase
    facts: FactBase
    seed: int = 0

    @classmethod
    def of(cls, ground: Ground, case: EditCase) -> Around:
        """Return what is around a case of a ground."""
        return cls(ground.model, ground.with_facts(case), ground.facts, ground.seed)

    @property
    def request(self) -> EditRequest:
        """The edit's request."""
        return self.case.request

    @property
    def english(self) -> bool:
        """Whether the prompt is in English, or in a language that its script does not tell from it."""
        return language_of(self.request.prompt, self.request.subject) is None

    @cached_property
    def words(self) -> Phrases:
        """The words of the prompt's language."""
        return phrases_of(self.request.prompt, self.request.subject)

    @cached_property
    def relation(self) -> Relation | None:
        """The relation of the fact, where the facts tell it."""
        own = self.case.relation or case_for(self.request, self.facts, self.seed).relation
        return self.facts.relations.get(own or "")

    @property
    def new(self) -> str:
        """The new object as it reads."""
        return bare(self.request.target_new)

    @property
    def old(self) -> str | None:
        """The true object as it reads, None where nobody said it."""
        return None if self.request.target_true is None else bare(self.request.target_true)

    def names(self, object_: str | None) -> tuple[str, ...]:
        """Return an object with its other names; none of no object."""
        return () if object_ is None else self.facts.names_of(object_)

    @cached_property
    def called(self) -> tuple[str, ...]:
        """The subject's names."""
        return tuple(dict.fromkeys((*self.facts.names_of(self.request.subject), *self.case.rephrases)))

    @property
    def both(self) -> tuple[str, ...]:
        """The new object, and the old one where it is known."""
        return tuple(name for name in (self.new, self.old) if name is not None)

    def sentence(self, object_: str, subject: str | None = None) -> str:
        """Return the edit's sentence with an object, about its subject or another one."""
        subject = self.request.subject if subject is None else subject
        text = self.request.prompt.replace(SLOT, subject)
        return joined(text, object_) + sentence_end(self.request.prompt, subject)

    @cached_property
    def question(self) -> str:
        """The fact as a question: as its relation asks, or how the prompt goes on."""
        if self.relation is not None and self.relation.question and self.english:
            return self.relation.question.replace(SLOT, self.request.subject)
        return self.words.complete.format(self.request.text)

    def draw(self, what: str) -> random.Random:
        """Return a source of random numbers for a purpose: the same for the same case and seed."""
        return random.Random(f"{self.seed}/{what}/{self.request.text}")

    @cached_property
    def objects(self) -> tuple[str, ...]:
        """Two other objects of the relation, drawn with the seed; fewer where the facts and the neighbours have no more."""
        own = self.facts.by_relation.get(self.relation.id, ()) if self.relation else ()
        names = [fact.object for fact in own] or [item.expected for item in self.case.neighbours if item.expected]
        known = {name.casefold() for own in self.both for name in self.names(own)}
        others = list(dict.fromkeys(name for name in names if name.casefold() not in known))
        return tuple(self.draw("objects").sample(others, min(OTHERS, len(others))))

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Three other subjects of the relation, of which neither object is true, drawn with the seed; or fewer."""
        own = self.facts.by_relation.get(self.relation.id, ()) if self.relation else ()
        alike = {self.request.subject, *self.case.rephrases}
        others = list(dict.fromkeys(f.subject for f in own if f.object not in self.both and f.subject not in alike))
        return tuple(self.draw("subjects").sample(others, min(OTHERS + 1, len(others))))

    def dialogue(self, *turns: str, options: tuple[str, ...] = ()) -> Ask:
        """Return a dialogue up to the model's next turn, in the model's chat template where it has one; a person begins.

        What a view tells stands before the person's first turn, whichever comes last: the rest of a chat is in the form.
        """
        if self.model.chat is None:
            heads = (self.words.asks, self.words.answers)
            lines = [joined(heads[number % 2], turn) for number, turn in enumerate(turns)]
            return Ask("\n".join([*lines, self.words.answers]), options)
        return Ask(turns[0], options, self.model.chat_form(turns))

    def verdict(self, answer: str) -> Verdict:
        """Return what an answer says, told by exact match with all names after normalising."""
        return verdict_of(answer, self.names(self.new), self.names(self.old), self.called)

    def says_yes(self, answer: str) -> bool | None:
        """Return whether an answer begins with "yes"; None where it begins with neither yes nor no."""
        text, yes, no = (one.casefold() for one in (answer, self.words.yes, self.words.no))
        return True if begins_with(text, yes) else False if begins_with(text, no) else None
