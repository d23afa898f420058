"""What probes are drawn from: the model that is asked, the facts around an edit, prose, and a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from editlab.facts import EditCase, EditRequest, FactBase
from editlab.methods.rep import Lessons
from editlab.probes.battery import Probe, battery
from editlab.probes.cases import case_for, ended_by
from editlab.probes.lessons import lessons
from editlab.probes.passages import Passages
from editlab.probes.questions import questions
from editlab.probes.verdict import KEPT

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CASES_KEPT = 1_000


@dataclass(frozen=True, eq=False)
class Ground:
    """The model, facts and passages from which the probes and lessons of requests are drawn, all with one seed.

    `prose`: texts about other things, in which no gate should open.
    """

    model: LanguageModel
    facts: FactBase
    passages: Passages
    seed: int = 0
    prose: tuple[str, ...] = ()

    def case(self, request: EditRequest) -> EditCase:
        """Return the case of a request, as far as the facts can tell. The last 1,000 cases are kept."""
        return self._cases(request)

    def with_facts(self, case: EditCase) -> EditCase:
        """Add the subject's other facts and the consequences to a case whose file has none."""
        known = self.case(case.request)
        return replace(
            case,
            same_subject=case.same_subject or known.same_subject,
            propagation=case.propagation or known.propagation,
        )

    def battery(self, case: EditCase, most: int | None = None, others: Iterable[EditRequest] = ()) -> tuple[Probe, ...]:
        """Return all probes of a case; `most` keeps the first few of each kind and domain.

        `others`: what else is edited in the views that are asked. What these mean to end is no fact that has to stay.
        """
        found = battery(self.model, case, self.passages, self.seed, most)
        staying = {probe.subject for probe in found if probe.kind in KEPT}
        near = [own for own in others if own.text != case.request.text and staying & {*self.facts.names_of(own.subject)}]
        ended = {fact for own in near for fact in ended_by(self.case(own))}
        edited = {own.text for own in near}
        return tuple(
            probe
            for probe in found
            if probe.kind not in KEPT or not ((probe.subject, probe.expected) in ended or probe.text in edited)
        )

    def questions(self, case: EditCase) -> dict[str, str]:
        """Return one question of each kind about a case, under the name of its kind."""
        return questions(self.model, case, self.passages, self.seed)

    def lessons(self, case: EditCase, names: Sequence[str] = ()) -> Lessons:
        """Return what a pathway is taught about a case; `names` are taught beside those that the case has."""
        return lessons(self.model, case, self.passages, self.facts, self.seed, names)

    @cached_property
    def _cases(self) -> Callable[[EditRequest], EditCase]:
        return lru_cache(CASES_KEPT)(lambda request: case_for(request, self.facts, self.seed))
