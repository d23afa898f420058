"""CounterFact (Meng et al. 2022), whose records have one edit, and MQuAKE (Zhong et al. 2023), whose have several.

The edits of a MQuAKE case are solved in one batch. Its questions need all of them: one of three that is answered suffices,
and any alias of the new answer counts.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from editlab.facts.forms.fields import Form, Optional, Text, Texts, Writer
from editlab.facts.request import EditCase, EditRequest, Expectation


class Object(BaseModel):
    """An object of Wikidata, of which the name counts."""

    str: Text


class Rewrite(BaseModel):
    """One edit; `question`: the same fact asked, in MQuAKE."""

    prompt: Text
    subject: Text
    target_new: Object
    target_true: Object | None = None
    relation_id: Optional = None
    question: Optional = None

    def request(self, write: Writer) -> EditRequest:
        """Return the edit as a request."""
        true = self.target_true and self.target_true.str
        return write(self.prompt, self.subject, self.target_new.str, true)


class CounterFact(Form):
    """One edit, its paraphrases, and neighbours that share its true object."""

    title: ClassVar[str] = "CounterFact"
    keys: ClassVar[tuple[str, ...]] = ("requested_rewrite",)

    requested_rewrite: Rewrite
    paraphrase_prompts: Texts = ()
    neighborhood_prompts: Texts = ()
    attribute_prompts: Texts = ()
    generation_prompts: Texts = ()

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        request = self.requested_rewrite.request(write)
        return EditCase(
            request,
            id,
            relation=self.requested_rewrite.relation_id,
            paraphrases=self.paraphrase_prompts,
            neighbours=tuple(Expectation(text, request.target_true) for text in self.neighborhood_prompts),
            attribute_prompts=self.attribute_prompts,
            generation_prompts=self.generation_prompts,
        )


class MQuAKE(Form):
    """A chain of facts of which some are edited, and questions about its end."""

    title: ClassVar[str] = "MQuAKE"
    keys: ClassVar[tuple[str, ...]] = ("requested_rewrite",)

    requested_rewrite: tuple[Rewrite, ...] = Field(min_length=1)
    questions: Texts = ()
    answer: Optional = None
    new_answer: Optional = None
    new_answer_alias: Texts = ()

    @classmethod
    def fits(cls, record: dict[str, Any]) -> bool:
        """Return whether the edits are a list."""
        return isinstance(record.get("requested_rewrite"), list)

    def cases(self, id: str, write: Writer) -> list[EditCase]:
        """Return a case for each edit; the last one asks what follows from all of them."""
        asked = tuple(
            Expectation(text, self.new_answer, before=self.answer, aliases=self.new_answer_alias, any_of=id)
            for text in self.questions
            if self.new_answer
        )
        last = len(self.requested_rewrite) - 1
        return [
            EditCase(
                rewrite.request(write),
                f"{id}.{number + 1}" if last else id,
                relation=rewrite.relation_id,
                paraphrases=(rewrite.question,) if rewrite.question else (),
                propagation=asked if number == last else (),
                group=id if last else "",
            )
            for number, rewrite in enumerate(self.requested_rewrite)
        ]
