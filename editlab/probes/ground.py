"""What probes are drawn from: the model that is asked, the facts around an edit, prose, and a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from editlab.facts import EditCase, EditRequest, FactBase
from editlab.methods.rep import Lessons
from editlab.probes.battery import Probe, battery
from editlab.probes.cases import case_for
from editlab.probes.lessons import lessons
from editlab.probes.passages import Passages
from editlab.probes.questions import questions

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

    def battery(self, case: EditCase, most: int | None = None) -> tuple[Probe, ...]:
        """Return all probes of a case; `most` keeps the first few of each kind and domain."""
        return battery(self.model, case, self.passages, self.seed, most)

    def questions(self, case: EditCase) -> dict[str, str]:
        """Return one question of each kind about a case, under the name of its kind."""
        return questions(self.model, case, self.passages, self.seed)

    def lessons(self, case: EditCase, names: Sequence[str] = ()) -> Lessons:
        """Return what a pathway is taught about a case; `names` are taught beside those that the case has."""
        return lessons(self.model, case, self.passages, self.facts, self.seed, names)

    @cached_property
    def _cases(self) -> Callable[[EditRequest], EditCase]:
        return lru_cache(CASES_KEPT)(lambda request: case_for(request, self.facts, self.seed))
