"""The stage: a scenario in a workspace of its own, and the step at which it stands.

A scenario never touches the edits that somebody made: it begins in a workspace that is called after it, and where that holds
other edits than the scenario's, in another one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from editlab.answers import Answers
from editlab.lab import Lab, Workspace, WorkspaceInfo
from editlab.lab.access.limits import Cost
from editlab.lab.scenarios import Ask, Edit, Guess, Look, Outcome, Run, Scenario, ScenarioFile, Step, StepResult, Switch
from editlab.web.core.handlers import BATTERY
from editlab.web.core.visit import Visit
from editlab.wording import shorten

MOST_STAGES = 500
"""Stages in memory, those of the latest use."""
TITLE = -1
"""The place before the first step."""
LONGEST_NAME = 50
"""Characters of a scenario's name in the name of its workspace."""
VIEWS = 6
PRESS_SECONDS = 2.0
"""How long a press waits for the one before it: the page that pressed it may be closed."""


@dataclass(eq=False)
class Stage:
    """A scenario's run, and which step is shown.

    `file`: the scenario as it was when the run began; `place`: of that step, from 0 on; `TITLE` before the first one, the
    number of steps at the end. `left_out`: places that were passed over; `guessed`: what was chosen at a guess, by place;
    `before`: the workspace that was open before; `performed`: the place of the step that runs now, None for none; `partial`:
    its answers as far as they are written; `pressed`: held while something that was pressed is done.
    """

    run: Run
    file: ScenarioFile
    before: str
    place: int = TITLE
    left_out: set[int] = field(default_factory=set)
    guessed: dict[int, str] = field(default_factory=dict)
    performed: int | None = None
    partial: Answers = field(default_factory=dict)
    pressed: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def press(self) -> Iterator[bool]:
        """Run what was pressed after what was pressed before. False while a step is performed: then it does not count."""
        end = time.monotonic() + PRESS_SECONDS
        while not (held := self.pressed.acquire(timeout=0.02)) and time.monotonic() < end:
            if self.performing and self.workspace.busy:
                yield False
                return
        try:
            yield True
        finally:
            if held:
                self.pressed.release()

    @property
    def performing(self) -> bool:
        """Whether the step that is shown runs now."""
        return self.step is not None and self.performed == self.place

    @property
    def workspace(self) -> Workspace:
        """The workspace in which it runs."""
        return self.run.workspace

    @property
    def scenario(self) -> Scenario:
        """What is shown."""
        return self.run.scenario

    @property
    def begun(self) -> bool:
        """Whether a step was shown."""
        return self.place != TITLE or bool(self.left_out or self.guessed) or any(self.run.results)

    @property
    def total(self) -> int:
        """How many steps there are."""
        return len(self.run.steps)

    @property
    def step(self) -> Step | None:
        """The step that is shown; None before the first and after the last one."""
        return self.run.steps[self.place] if 0 <= self.place < self.total else None

    @property
    def result(self) -> StepResult | None:
        """What came of that step; None where it was not performed yet."""
        return self.run.results[self.place] if self.step is not None else None

    @property
    def asked(self) -> tuple[Guess, str] | None:
        """The guess that this step answers, and what was chosen, "" for nothing."""
        before = self.run.steps[self.place - 1] if 0 < self.place < self.total else None
        return (before, self.guessed.get(self.place - 1, "")) if isinstance(before, Guess) else None

    @property
    def last_good(self) -> int:
        """The place of the last step before this one that was performed without a problem; else the title's."""
        good = (place for place in range(self.place - 1, TITLE, -1) if _worked(self.run.results[place]))
        return next(good, TITLE)

    @contextmanager
    def performance(self) -> Iterator[None]:
        """Note that the step that is shown is performed, for all windows, until the block ends."""
        place = self.performed = self.place
        self.partial = {}
        try:
            yield
        finally:
            if self.performed == place:
                self.performed, self.partial = None, {}

    def fail(self, place: int, problem: str) -> None:
        """Note why a step could not be performed."""
        self.run.results[place] = StepResult(place, self.run.steps[place], Outcome(), problem=problem)

    def restart(self) -> None:
        """Begin again, without any edit."""
        self.run.restart()
        self.place = TITLE
        for kept in (self.left_out, self.guessed):
            kept.clear()


class Stages:
    """The stages of all visitors, by workspace; and which scenario each session of the page shows."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._stages: OrderedDict[str, Stage] = OrderedDict()
        self._entering = threading.Lock()

    def of(self, workspace: Workspace) -> Stage | None:
        """Return the stage of a workspace; None where no scenario runs in it, or the model was replaced since."""
        stage = self._stages.get(workspace.name)
        if stage is None or stage.workspace is not workspace:
            return None
        self._stages.move_to_end(workspace.name)
        return stage

    def known(self, visit: Visit, name: str) -> Stage | None:
        """Return a visitor's stage of a scenario, open or not."""
        here = [self.of(visit.enter(info)) for info in _candidates(visit, name) if info.id in self._stages]
        return next((stage for stage in here if stage is not None and stage.scenario.name == name), None)

    def enter(self, visit: Visit, file: ScenarioFile, anew: bool = False) -> Stage:
        """Open a visitor's stage of a scenario, where it stands or, with `anew`, from the beginning.

        Raises `BadRequest` where no further workspace can be made.
        """
        with self._entering:  # of two presses at once, both enter the same stage
            return self._enter(visit, file, anew)

    def leave(self, visit: Visit) -> None:
        """Open the workspace again that was open before the stage."""
        stage = self.of(visit.workspace)
        if stage is not None and self.lab.directory.may_enter(visit.visitor, stage.before):
            self.lab.directory.enter(visit.visitor, stage.before)

    def _enter(self, visit: Visit, file: ScenarioFile, anew: bool) -> Stage:
        scenario, here = file.scenario, self.of(visit.workspace)
        before = visit.workspace_info.id if here is None else here.before
        known = self.known(visit, scenario.name)
        if known is not None and known.scenario == scenario and not (anew and _has_others(known.workspace, scenario)):
            self.lab.directory.enter(visit.visitor, known.workspace.name)
            if anew:
                known.restart()
            return known
        workspace = self._workspace(visit, scenario)
        stage = Stage(Run(self.lab, workspace, scenario), file, before)
        stage.restart()
        self._stages[workspace.name] = stage
        while len(self._stages) > MOST_STAGES:
            self._stages.popitem(last=False)
        return stage

    def _workspace(self, visit: Visit, scenario: Scenario) -> Workspace:
        """Open a workspace that holds no edit but the scenario's own, made where there is none."""
        directory, own = self.lab.directory, _candidates(visit, scenario.name)
        free = next((info for info in own if not _has_others(visit.enter(info), scenario)), None)
        if free is None:
            taken = {info.name for info in directory.workspaces(visit.visitor)}
            free = directory.make(visit.visitor, next(name for name in _names(scenario.name) if name not in taken))
        directory.enter(visit.visitor, free.id)
        return visit.workspace


def cost_of(step: Step) -> Cost:
    """Return what it costs to perform a step, as the same on the other tabs does."""
    match step:
        case Ask():
            return Cost(prompts=VIEWS)
        case Edit():
            return Cost(edits=1 + len(step.also), prompts=VIEWS, changes=1 + len(step.also))
        case Switch():
            return Cost(edits=int(step.to == "rep on"), prompts=VIEWS, changes=1)
        case Look():
            return Cost(prompts=BATTERY * bool(step.probes) + 300 * step.checkup + 100 * bool(step.picture))
    return Cost()


def _worked(result: StepResult | None) -> bool:
    return result is not None and not result.problem


def _has_others(workspace: Workspace, scenario: Scenario) -> bool:
    """Return whether a workspace holds edits that are not the scenario's."""
    return any(record.reason != scenario.title for record in workspace.records)


def _names(name: str) -> Iterable[str]:
    first = f"Stage: {shorten(name, LONGEST_NAME)}"
    return (first if number == 1 else f"{first} {number}" for number in count(1))


def _candidates(visit: Visit, name: str) -> list[WorkspaceInfo]:
    """Return the visitor's own workspaces that are called after a scenario, the latest first."""
    first = next(iter(_names(name)))
    own = [info for info in visit.lab.directory.workspaces(visit.visitor) if info.mine and not info.shared]
    named = [info for info in own if info.name == first or info.name.removeprefix(f"{first} ").isdigit()]
    return sorted(named, key=lambda info: info.made_at, reverse=True)
