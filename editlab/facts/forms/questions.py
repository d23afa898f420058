"""Forms whose prompt is a question: zsRE, WikiBigEdit, QAEdit and UltraEditBench."""

from __future__ import annotations

from typing import Any, ClassVar

from editlab.facts.forms.fields import Answers, Form, Optional, Text, Texts, Writer, expectations, first, pairs
from editlab.facts.request import EditCase


class ZsRE(Form):
    """zsRE as MEND evaluates it (Mitchell et al. 2022): `alt` is the object to write, the first of `answers` the true one.

    MzsRE has the same records once for each language, and a question that follows.
    """

    title: ClassVar[str] = "zsRE"
    keys: ClassVar[tuple[str, ...]] = ("src",)

    subject: Text
    src: Text
    alt: Text
    answers: Answers = ()
    rephrase: Texts = ()
    loc: Any = None
    loc_ans: Any = None
    portability: Any = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        return EditCase(
            write(self.src, self.subject, self.alt, first(self.answers)),
            id,
            paraphrases=self.rephrase,
            neighbours=expectations(self.loc, self.loc_ans, "loc"),
            propagation=pairs(self.portability, "New Question", "New Answer", "portability", aliases=True),
        )


class WikiBigEdit(Form):
    """WikiBigEdit (Thede et al. 2025): what changed in Wikidata, asked plainly, by a persona, and with a second step."""

    title: ClassVar[str] = "WikiBigEdit"
    keys: ClassVar[tuple[str, ...]] = ("update", "ans")

    subject: Text
    update: Text
    ans: Text
    rephrase: Texts = ()
    personas: Texts = ()
    mhop: Any = None
    mhop_ans: Any = None
    loc: Any = None
    loc_ans: Any = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        follows = expectations(self.mhop, self.mhop_ans, "mhop", aliases=True)
        return EditCase(
            write(self.update, self.subject, self.ans),
            id,
            paraphrases=(*self.rephrase, *self.personas),
            neighbours=expectations(self.loc, self.loc_ans, "loc"),
            propagation=tuple(item for item in follows if item.expected is not None),
        )


class QAEdit(Form):
    """QAEdit (Yang et al. 2025): questions of three question-answering sets, each with unrelated ones."""

    title: ClassVar[str] = "QAEdit"
    keys: ClassVar[tuple[str, ...]] = ("prompt", "target", "locality")

    subject: Text
    prompt: Text
    target: Text
    rephrase: Texts = ()
    locality: Any = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case."""
        return EditCase(
            write(self.prompt, self.subject, self.target),
            id,
            paraphrases=self.rephrase,
            neighbours=pairs(self.locality, "loc", "loc_ans", "locality"),
        )


class UltraEditBench(Form):
    """UltraEditBench (Gu et al. 2025), made for methods that need no subject, which locate-and-edit does."""

    title: ClassVar[str] = "UltraEditBench"
    keys: ClassVar[tuple[str, ...]] = ("prompt", "ans")

    prompt: Text
    ans: Text
    subject: Optional = None
    rephrase_prompt: Texts = ()
    loc: Any = None
    loc_ans: Any = None

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case, where the record names its subject."""
        return EditCase(
            write(self.prompt, self.subject, self.ans),
            id,
            paraphrases=self.rephrase_prompt,
            neighbours=expectations(self.loc, self.loc_ans, "loc"),
        )
