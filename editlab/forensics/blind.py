"""One judgement on a model whose unedited form is not at hand: was it edited, where, about whom, and to say what?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from editlab.errors import BadRequest, TooLong
from editlab.forensics.intruder import (
    SUSPECT,
    Named,
    Said,
    Scan,
    intruders,
    objects_asked,
    objects_written,
    prompts_of,
    scan,
    subjects,
)
from editlab.forensics.named import LEAST, Answering, hear, removal
from editlab.forensics.spectrum import Keys
from editlab.patches import BASE, LowRank, View
from editlab.wording import count, noop
from editlab.work import Cancel, Progress, never, no_progress

if TYPE_CHECKING:
    from editlab.facts import FactBase
    from editlab.model import LanguageModel

KEPT = 2**30
"""Bytes up to which the layers' factors are kept between the two looks at them, instead of being computed twice."""
CERTAIN = 1.5
"""How many times as loud as others a name has to be read before it may be the subject: names with the same end are alike."""


@dataclass(frozen=True)
class Finding:
    """What stands out at one layer: `rank` directions, the loudest of which answers to `subjects`."""

    layer: int
    score: float
    rank: int
    subjects: tuple[Named, ...]

    @property
    def near(self) -> tuple[str, ...]:
        """The names that may be its subject, the loudest first; none where it reads no name much louder than the others."""
        loudest = abs(self.subjects[0].z)
        found = tuple(named.name for named in self.subjects if CERTAIN * abs(named.z) >= loudest)
        return found if len(found) < len(self.subjects) else ()


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found in a model. `removal` takes it out again; `asked` and `written` are the likely new objects.

    `findings`: what stands out in spectra; `answering`: what answers to a name, None where too few names were tried;
    `skipped`: how many names could not be tried.
    """

    scan: Scan
    answering: Answering | None
    findings: tuple[Finding, ...]
    asked: tuple[Said, ...]
    written: tuple[Said, ...]
    removal: tuple[LowRank, ...]
    skipped: int = 0

    @property
    def edited(self) -> bool:
        """Whether something stands out as it does in no unedited model that was tried."""
        return bool(self.findings) or (self.answering is not None and self.answering.edited)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The judgement in words, with what it does not prove."""
        if self.findings:
            return self._found()
        if self.answering is not None and self.answering.edited:
            return self._answered(self.answering)
        return (
            noop(f"Nothing stands out (score {self.scan.score:.1f}; edits lie above {SUSPECT:g})."),
            noop(
                "That does not prove that the model was never edited: without the base, neither fine-tuning of all weights "
                "is found nor a small edit about a name that was not tried."
            ),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know beside the judgement, a sentence each."""
        if not self.skipped:
            return ()
        names = count(self.skipped, "name")
        return (noop(f"Not tried, because the model's tokenizer or context does not hold them: {names}."),)

    def _found(self) -> tuple[str, ...]:
        first = self.findings[0]
        where = ", ".join(str(found.layer) for found in self.findings)
        found = (
            noop(f"Something like an edit stands at layer {where} (score {first.score:.1f}, rank {first.rank}).")
            if len(self.findings) == 1
            else noop(f"Something like an edit stands at layers {where} (score {first.score:.1f}, rank {first.rank}).")
        )
        near = next((own.near for own in self.findings if own.near), ())
        if not near:
            return found, noop("None of the names that were tried is its subject.")
        names = ", ".join(map(repr, near))
        if len(near) == 1:
            return found, noop(f"It answers to {names}, probably with one of {self._objects}.")
        return found, noop(f"It answers to one of {names}, probably with one of {self._objects}.")

    def _answered(self, answering: Answering) -> tuple[str, ...]:
        where, names = ", ".join(map(str, answering.layers)), repr(answering.subjects[0].name)
        objects = noop(f"It answers to {names}, probably with one of {self._objects}.")
        if len(answering.layers) == 1:
            return (
                noop(
                    f"Something like an edit stands at layer {where}, which writes {answering.score:.1f} times as much for "
                    "one name as for others."
                ),
                objects,
            )
        return (
            noop(
                f"Something like an edit is spread over layers {where}, which agree {answering.score:.1f} times as much on "
                "one name as on others."
            ),
            objects,
        )

    @property
    def _objects(self) -> str:
        return ", ".join(repr(said.token.strip()) for said in self.asked[:3])

    def as_dict(self) -> dict[str, Any]:
        """Return the judgement as JSON carries it."""
        return {
            "edited": self.edited,
            "score": self.scan.score,
            "by_layer": self.scan.by_layer(),
            "findings": [asdict(found) for found in self.findings],
            "answering": None if self.answering is None else asdict(self.answering),
            "objects_asked": [asdict(said) for said in self.asked],
            "objects_written": [asdict(said) for said in self.written],
            "sentence": " ".join(self.sentences),
        }


def judge(
    model: LanguageModel,
    texts: Sequence[str],
    facts: FactBase,
    names: Collection[str] = (),
    view: View = BASE,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Judgement:
    """Judge a model by its weights and answers alone. `texts`: prose, by which its layers are whitened.

    Subjects are looked for among those of the facts and `names`, but for names that the context does not hold.
    Where nothing is suspicious, nothing is inferred. Raises `BadModel` for a model that is not finite, `Cancelled`.
    """
    progress(0.0, "forensics: reading a text")
    kept = 4 * model.n_layers * model.d_ff**2 < KEPT
    keys = Keys.measure(model, texts, view, keep=kept, cancel=cancel)
    given, prompts = sorted({*facts.by_subject, *names}), prompts_of(facts)
    every = [name for name in given if _fits(model, name)]
    skipped = len(given) - len(every)
    found = scan(model, keys, view, progress=progress, cancel=cancel)
    answering = None
    if len(every) >= LEAST:
        progress(1.0, "forensics: asking for names")
        heard = hear(model, keys, found.spectra, every, view, cancel)
        answering = heard.answering()
    if found.score > SUSPECT:
        return replace(_judged(model, found, answering, every, prompts, view, cancel), skipped=skipped)
    if answering is None or not answering.edited:
        return Judgement(found, answering, (), (), (), (), skipped)
    taken = removal(model, keys, heard, answering, found.spectra, view)
    asked = objects_asked(model, taken, [answering.subjects[0].name], prompts, view)
    return Judgement(found, answering, (), tuple(asked), (), taken, skipped)


def _judged(
    model: LanguageModel,
    found: Scan,
    answering: Answering | None,
    names: Sequence[str],
    prompts: Sequence[str],
    view: View,
    cancel: Cancel,
) -> Judgement:
    """Return the judgement on what stands out in spectra."""
    stood = intruders(model, found, view)
    taken = tuple(own.removal() for own in stood)
    findings = tuple(
        Finding(own.layer, own.score, own.rank, tuple(subjects(model, own, names, view, cancel=cancel))) for own in stood
    )
    telling = next((own for own in findings if own.near), findings[0])
    return Judgement(
        found,
        answering,
        findings,
        tuple(objects_asked(model, taken, [telling.subjects[0].name], prompts, view)),
        tuple(objects_written(model, stood[0], prompts, view)),
        taken,
    )


def _fits(model: LanguageModel, name: str) -> bool:
    try:
        model.locate("{}", name)
    except (BadRequest, TooLong):
        return False
    return True
