"""Flat forms, with a prompt up to the object: REP, EasyEdit and KnowEdit, FastEdit, counterfact-tracing, and our table."""

from __future__ import annotations

from typing import Any, ClassVar

from editlab.facts.forms.fields import Answers, Form, Optional, Text, Texts, Writer, checked, expectations, first, pairs
from editlab.facts.request import EditCase, Expectation

SAME_SUBJECT_GROUPS = ("Relation_Specificity", "Forgetfulness")
SEPARATOR = "|"
"""What stands between the items of a table's cell."""


class EasyEdit(Form):
    """EasyEdit (Wang et al. 2024), whose KnowEdit has groups of prompts under `locality` and `portability`.

    Where `writers` wrote it, `prompt_template` tells which of the prompt's words are the subject.
    """

    title: ClassVar[str] = "EasyEdit or KnowEdit"
    keys: ClassVar[tuple[str, ...]] = ("prompt",)

    subject: Text
    prompt: Text
    prompt_template: Optional = None
    target_new: Text
    target_true: Optional = None
    ground_truth: Answers = ()
    relation_id: Optional = None
    subject_rephrase: Texts = ()
    rephrase_prompt: Texts = ()
    rephrase: Texts = ()
    locality_prompt: Any = None
    locality_ground_truth: Any = None
    locality: Any = None
    portability: Any = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        true = self.target_true or first(self.ground_truth)
        request = write(self.prompt_template or self.prompt, self.subject, self.target_new, true)
        aliasing, propagation = self._portability()
        same_subject, others = self._locality(request.subject)
        return EditCase(
            request,
            id,
            relation=self.relation_id,
            rephrases=self.subject_rephrase,
            paraphrases=(*self.rephrase_prompt, *self.rephrase, *aliasing),
            neighbours=(
                *expectations(self.locality_prompt, self.locality_ground_truth, "locality_prompt"),
                *others,
            ),
            same_subject=same_subject,
            propagation=propagation,
        )

    def _locality(self, subject: str) -> tuple[tuple[Expectation, ...], tuple[Expectation, ...]]:
        """Return prompts about the same subject, and about others.

        The group alone does not tell (its zsRE puts unrelated questions under Relation_Specificity), nor does the subject
        alone (a distracting prompt states the edit before it asks about another subject).
        """
        same_subject: list[Expectation] = []
        others: list[Expectation] = []
        for name, group in _groups(self.locality, "locality").items():
            for item in pairs(group, "prompt", "ground_truth", f"locality {name}".strip()):
                about_subject = name in SAME_SUBJECT_GROUPS and subject in item.text
                (same_subject if about_subject else others).append(item)
        return tuple(same_subject), tuple(others)

    def _portability(self) -> tuple[tuple[str, ...], tuple[Expectation, ...]]:
        """Return prompts for the same fact under another name, and for its consequences."""
        groups = _groups(self.portability, "portability")
        found = {
            name: pairs(group, "prompt", "ground_truth", f"portability {name}".strip(), aliases=True)
            for name, group in groups.items()
        }
        aliasing = tuple(item.text for item in found.pop("Subject_Aliasing", ()))
        return aliasing, tuple(item for group in found.values() for item in group if item.expected is not None)


class Rep(EasyEdit):
    """REP (Yan et al. 2025): EasyEdit's fields, with ten other names of the subject."""

    title: ClassVar[str] = "REP"
    keys: ClassVar[tuple[str, ...]] = ("prompt", "subject_rephrase")


class WikiBio(Form):
    """KnowEdit's WikiBio: the passage up to a sentence, and the sentence that is true."""

    title: ClassVar[str] = "KnowEdit's WikiBio"
    keys: ClassVar[tuple[str, ...]] = ("text", "labels", "concept")

    text: Text
    labels: Text
    concept: Text
    locality: Any = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        fields = {"prompt": self.text, "subject": self.concept, "target_new": self.labels}
        return EasyEdit(**fields, locality=self.locality).case(id, write)


class FastEdit(Form):
    """FastEdit's records: `queries` are paraphrases."""

    title: ClassVar[str] = "FastEdit"
    keys: ClassVar[tuple[str, ...]] = ("prompt", "target")

    subject: Text
    prompt: Text
    target: Text
    queries: Texts = ()

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        return EditCase(
            write(self.prompt, self.subject, self.target),
            id,
            paraphrases=self.queries,
        )


class Tracing(Form):
    """counterfact-tracing (Nanda 2022): CounterFact's facts with a true and a false object, each behind a space."""

    title: ClassVar[str] = "counterfact-tracing"
    keys: ClassVar[tuple[str, ...]] = ("prompt", "target_false")

    subject: Text
    prompt: Text
    target_false: Text
    target_true: Optional = None
    relation_id: Optional = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case, which writes the false object."""
        true = self.target_true and self.target_true.strip()
        request = write(self.prompt, self.subject, self.target_false.strip(), true)
        return EditCase(request, id, relation=self.relation_id)


class Table(Form):
    """A row of our table; `rephrases`: other names of the subject, `neighbours`: prompts about other subjects."""

    title: ClassVar[str] = "EditLab's table"
    keys: ClassVar[tuple[str, ...]] = ("subject", "prompt", "target_new")

    subject: Text
    prompt: Text
    target_new: Text
    target_true: Optional = None
    rephrases: Optional = None
    neighbours: Optional = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        return EditCase(
            write(self.prompt.strip(), self.subject, self.target_new, self.target_true),
            id,
            rephrases=_items(self.rephrases),
            neighbours=tuple(Expectation(text) for text in _items(self.neighbours)),
        )


def _items(cell: str | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in (cell or "").split(SEPARATOR) if item.strip())


def _groups(value: object, key: str) -> dict[str, Any]:
    """Return EasyEdit's {name: {prompt, ground_truth}} or {name: [{prompt, ground_truth}, ...]}; a list is one group."""
    if isinstance(value, list):
        return {"": value}
    if isinstance(value, dict):
        return value
    checked(value, key)
    return {}
