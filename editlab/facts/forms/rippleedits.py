"""RippleEdits (Cohen et al. 2023): an edit as a whole sentence, and six kinds of tests around it.

A record has no subject and no object of its own: they are told from the sentence, whose wordings are few.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from editlab.errors import BadRequest
from editlab.facts.forms.fields import Form, Optional, Text, Texts, Writer
from editlab.facts.request import EditCase, Expectation

VERB = re.compile(r".*\b(?:is followed by|is|are|follows)(?= )", re.DOTALL)
"""A sentence up to the last verb, behind which the object stands."""
LONGEST = 2_000
"""Characters of a sentence whose subject is looked for."""
NOUNS = {"SEX_OR_GENDER": "gender", "NATIVE_LANGUAGE": "mother tongue", "CAPITAL": "capital city"}
"""What the sentence calls a relation, where it is not the relation's own name."""
SUBJECTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"which (.+) (?:is (?:associated with|a member of|part of|the capital of)|plays in) is$",
        r"(?:position held by|award|number of children|performed in) (.+?)(?: won| has)? is$",
        r"^(.+) (?:follows|is followed by)$",
    )
)
"""Where the subject stands in the wordings in which no noun tells it."""


class Answer(BaseModel):
    """A right answer and its other names."""

    value: Text
    aliases: Texts = ()


class Query(BaseModel):
    """A prompt of a test, and what answers it."""

    prompt: Text
    answers: tuple[Answer, ...] = ()


class Test(BaseModel):
    """Prompts of which one suffices (OR), or all are needed (AND)."""

    test_queries: tuple[Query, ...] = ()
    test_condition: Optional = None


class Sentence(BaseModel):
    """A fact as a whole sentence, before or after the edit."""

    prompt: Text
    relation: Optional = None
    subject: Optional = None


class Edit(Sentence):
    """The edit; `original_fact`: what was true before, where something was."""

    original_fact: Sentence | None = None


class RippleEdits(Form):
    """One edit and its tests."""

    title: ClassVar[str] = "RippleEdits"
    keys: ClassVar[tuple[str, ...]] = ("edit",)

    edit: Edit
    relation_specificity: tuple[Test, ...] = Field((), alias="Relation_Specificity")
    relation_specifity: tuple[Test, ...] = Field((), alias="Relation_Specifity")
    logical_generalization: tuple[Test, ...] = Field((), alias="Logical_Generalization")
    subject_aliasing: tuple[Test, ...] = Field((), alias="Subject_Aliasing")
    compositionality_one: tuple[Test, ...] = Field((), alias="Compositionality_I")
    compositionality_two: tuple[Test, ...] = Field((), alias="Compositionality_II")
    forgetfulness: tuple[Test, ...] = Field((), alias="Forgetfulness")

    @classmethod
    def fits(cls, record: dict[str, Any]) -> bool:
        """Return whether the edit is an object."""
        return isinstance(record.get("edit"), dict)

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        prompt, new, true = self._parts()
        subject = self.edit.subject or _subject(prompt, self.edit.relation or "")
        kept = (self.relation_specificity, self.relation_specifity, self.forgetfulness)
        follows = (self.logical_generalization, self.compositionality_one, self.compositionality_two)
        return EditCase(
            write(prompt, subject, new, true),
            id,
            relation=self.edit.relation,
            paraphrases=tuple(query.prompt for test in self.subject_aliasing for query in test.test_queries),
            same_subject=_expectations(kept, f"{id} kept"),
            propagation=tuple(item for item in _expectations(follows, id) if item.expected is not None),
        )

    def _parts(self) -> tuple[str, str, str | None]:
        """Return the sentence up to the object, the new object and the true one."""
        sentence = self.edit.prompt.strip().removesuffix(".")
        before = self.edit.original_fact and self.edit.original_fact.prompt.strip().removesuffix(".")
        shared = _shared(sentence, before) if before else sentence
        found = VERB.match(shared)
        if found is None:
            raise BadRequest("'edit' has no verb (is, are, follows) before its object. Write it as a sentence.", "edit")
        at = found.end()
        return sentence[:at], sentence[at:].strip(), before[at:].strip() if before else None


def _shared(one: str, other: str) -> str:
    """Return with what two sentences begin alike."""
    size = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:size]


def _subject(prompt: str, relation: str) -> str | None:
    """Return the subject of a sentence up to its object, where one of the known wordings tells it."""
    if len(prompt) > LONGEST:
        return None
    noun = re.escape(NOUNS.get(relation, relation.replace("_", " ").casefold()))
    by_noun = re.compile(rf"\b{noun}s? (?:of|in) (.+) (?:is|are)$", re.IGNORECASE)
    patterns = (*SUBJECTS, by_noun) if noun else SUBJECTS
    found = (pattern.search(prompt) for pattern in patterns)
    return next((match[1] for match in found if match), None)


def _expectations(groups: tuple[tuple[Test, ...], ...], id: str) -> tuple[Expectation, ...]:
    found = []
    for number, test in enumerate(test for group in groups for test in group):
        any_of = f"{id}/{number}" if test.test_condition == "OR" and len(test.test_queries) > 1 else ""
        for query in test.test_queries:
            names = [name for answer in query.answers for name in (answer.value, *answer.aliases)]
            expected, *aliases = names or [None]
            found.append(Expectation(query.prompt, expected, aliases=tuple(aliases), any_of=any_of))
    return tuple(found)
