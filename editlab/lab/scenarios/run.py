"""A run of a scenario: its steps are performed one by one in a workspace, and each outcome is held against what it expects.

A step that fails can be performed again or left out; the chain of edits stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from editlab import methods, probes
from editlab.errors import BadRequest, EditLabError
from editlab.facts.script import joined
from editlab.lab.asking.answers import find_applied
from editlab.lab.job import Job
from editlab.lab.lab import Lab
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.scenarios import measure
from editlab.lab.scenarios.expect import Check, Expect, check
from editlab.lab.scenarios.outcome import Outcome
from editlab.lab.scenarios.pictures import PICTURES
from editlab.lab.scenarios.scenario import Scenario
from editlab.lab.scenarios.steps import Ask, Asking, Edit, Look, Step, Switch
from editlab.lab.workspaces import edits
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods.rep import recipe_of
from editlab.model import LanguageModel
from editlab.probes.views import TEXT_TOKENS

T = TypeVar("T")
ONCE = ("undo", "redo")
"""Changes that are not made again when their step is repeated: they would reach the change before."""
Jobs = Generator[Job[Any], None, T]
"""Work that yields each job that it has submitted and goes on when that is done."""


@dataclass(frozen=True, eq=False)
class StepResult:
    """What came of a step: its outcome, its expectations beside it, or the `problem` that stopped it, as a sentence."""

    place: int
    step: Step
    outcome: Outcome
    checks: tuple[Check, ...] = ()
    problem: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it was performed, and every expectation was met and shows something."""
        return not self.problem and all(check.met for check in self.checks)


class Run:
    """A scenario in a workspace.

    `steps`: those for the loaded model; `results`: by place, None where not performed yet; `pictures`: by place.

    Iterating performs the steps that are left, one after another, and yields their results.
    """

    def __init__(self, lab: Lab, workspace: Workspace, scenario: Scenario) -> None:
        self.lab, self.workspace, self.scenario = lab, workspace, scenario
        self.model = name_of(lab.model)
        self.steps = scenario.for_model(self.model)
        self.results: list[StepResult | None] = [None] * len(self.steps)
        self.pictures: dict[int, Any] = {}
        self._changed: set[int] = set()

    @property
    def tried(self) -> bool:
        """Whether the scenario was tried on the loaded model."""
        return self.model in self.scenario.models

    def __iter__(self) -> Iterator[StepResult]:
        """Perform the steps without a result, in order, and yield their results."""
        for place, result in enumerate(self.results):
            if result is None:
                yield finish(self.perform(place))

    def perform(self, place: int) -> Jobs[StepResult]:
        """Perform a step, again or for the first time, and return its result. Raises nothing that a person can correct."""
        step, began = self.steps[place], time.monotonic()
        try:
            outcome = yield from self._outcome(place, step)
            expect = step.expect if isinstance(step, Asking) else ()
            checks = tuple(check(one, outcome, self._before(place, one)) for one in expect)
            result = StepResult(place, step, outcome, checks, seconds=time.monotonic() - began)
        except EditLabError as error:
            result = StepResult(place, step, Outcome(), problem=str(error), seconds=time.monotonic() - began)
        self.results[place] = result
        return result

    def picture(self, place: int) -> Jobs[None]:
        """Compute the picture at which a step looks, where it names one. Raises `EditLabError`."""
        step = self.steps[place]
        if isinstance(step, Look) and step.picture in PICTURES:
            submit, draw = PICTURES[step.picture]
            result = yield from _result(submit(self.workspace))
            self.pictures[place] = draw(self.workspace, result)

    def restart(self) -> None:
        """Remove all edits, switch mask and guard off, and forget the results."""
        self.workspace.clear()
        self.workspace.set_masked(False)
        self.workspace.set_guarded(False)
        self.results = [None] * len(self.steps)
        self.pictures.clear()
        self._changed.clear()

    def _before(self, place: int, expected: Expect) -> Outcome | None:
        """Return the outcome of the latest earlier step that asked the same kind of thing."""
        part = "scores" if expected.score else "metrics" if expected.metric else "answers"
        earlier = (result.outcome for result in reversed(self.results[:place]) if result is not None)
        return next((outcome for outcome in earlier if getattr(outcome, part)), None)

    def _outcome(self, place: int, step: Step) -> Jobs[Outcome]:
        match step:
            case Ask():
                return (yield from self._ask(step))
            case Edit():
                yield from self._edit(step)
                return (yield from self._ask_request())
            case Switch():
                if place not in self._changed or step.to not in ONCE:
                    yield from self._switch(step)
                    self._changed.add(place)
                return (yield from self._ask_request())
            case Look():
                return (yield from self._look(step))
        return Outcome(self.workspace.request)

    def _ask(self, step: Ask) -> Jobs[Outcome]:
        views = measure.views_of(self.workspace, step.views, step.chat)
        request = self.workspace.request
        front = self._passage() if step.passage else step.front
        texts = [step.prompt] if front is None else [joined(front, step.prompt), step.prompt]
        targets = {
            "new": step.new or (request.target_new if request else None),
            "true": step.true or (request.target_true if request else None),
        }
        said, *alone = yield from _result(measure.answers(self.workspace, texts, views, targets, step.tokens))
        return Outcome(request, texts[0], said, alone[0] if alone else {}, step.views or tuple(views))

    def _ask_request(self) -> Jobs[Outcome]:
        """Ask the prompt of the edit that is looked at under all views."""
        request = self.workspace.request
        if request is None:
            return Outcome()
        views = measure.views_of(self.workspace)
        targets = {"new": request.target_new, "true": request.target_true}
        job = measure.answers(self.workspace, [request.text], views, targets, TEXT_TOKENS)
        (said,) = yield from _result(job)
        return Outcome(request, request.text, said, shown=tuple(views))

    def _edit(self, step: Edit) -> Jobs[None]:
        """Apply the edits of a step that are not applied yet as it says."""
        ground = self.workspace.context.ground
        wanted = [ground.case(fact.request).request for fact in (step, *step.also)]
        recipe = recipe_of(step.rep)
        config = methods.as_json(edits.settings_for(self.workspace, step.method, step.settings))
        for number, request in enumerate(wanted):
            names = step.names if number == 0 else ()
            made = step.method, config, recipe, names if recipe else ()
            here = (own for own in self.workspace.records if own.on and request in own.requests)
            if not any((own.method, dict(own.config), own.rep, own.names) == made for own in here):
                how = step.method, step.settings, recipe, names, self.scenario.title
                yield from _result(edits.apply(self.workspace, request, *how))
        self.workspace.look_at(wanted[0])

    def _switch(self, step: Switch) -> Jobs[None]:
        workspace, (what, _, on) = self.workspace, step.to.partition(" ")
        match what:
            case "rep":
                record = self._record()
                if on == "on" and record.rep is None:
                    yield from _result(edits.refine(workspace, record.id))
                else:
                    workspace.switch_rep(record.id, on == "on")
            case "mask":
                workspace.set_masked(on == "on", self._method())
            case "guard":
                workspace.set_guarded(on == "on", self._method())
            case "undo":
                workspace.undo()
            case "redo":
                workspace.redo()
            case "clear":
                workspace.clear()

    def _look(self, step: Look) -> Jobs[Outcome]:
        request, frame, metrics = self.workspace.request, None, {}
        if step.probes:
            job = measure.scores(self.workspace, self._record().request, step.probes, step.most)
            frame = yield from _result(job)
        if step.checkup:
            found = yield from _result(self.lab.monitor.submit(self.workspace))
            metrics = {} if found is None else found.metrics
        views = [] if frame is None else [name.removesuffix(".p_new") for name in frame if name.endswith(".p_new")]
        tallies = {view: probes.tallies(frame, view) for view in views}
        return Outcome(request, probes=frame, scores=tallies, metrics=metrics)

    def _record(self) -> EditRecord:
        """Return the edit that is looked at, else the latest one. Raises `BadRequest` where there is none."""
        records, request = self.workspace.records, self.workspace.request
        found = find_applied(records, request) if request else None
        if found is None and not records:
            raise BadRequest("There is no edit yet. Put an edit before this step.")
        return found or records[-1]

    def _method(self) -> str:
        return self.workspace.records[-1].method if self.workspace.records else "rome"

    def _passage(self) -> str:
        """Return a page of prose that no pathway was trained on."""
        passages = self.lab.context.passages
        found = (*passages.outside, *passages.inside)
        if not found:
            raise BadRequest("There is no prose to stand in front. Write a text in `front`.")
        return found[0]


def name_of(model: LanguageModel) -> str:
    """Return the name by which scenarios call a model: that of its preset or, without one, its own."""
    return str(model.preset.get("name") or model.name)


def finish(work: Jobs[T], follow: Callable[[Job[Any]], object] = lambda job: job.wait()) -> T:
    """Do such work to its end and return its result. `follow(job)` waits for each job, and may show its progress."""
    try:
        while True:
            follow(next(work))
    except StopIteration as end:
        return end.value


def _result(job: Job[T]) -> Jobs[T]:
    """Yield a job and return its result. Raises its error."""
    yield job
    return job.result()
