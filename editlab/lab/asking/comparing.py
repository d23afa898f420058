"""Methods side by side on one fact: each edits the unedited model by itself, and all are asked the same probes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from statistics import fmean, harmonic_mean
from typing import Any

from pandas import DataFrame
from torch import is_tensor

from editlab import methods, probes
from editlab.answers import Answer, Answers
from editlab.errors import BadRequest, Cancelled, DeviceLost, EditLabError
from editlab.facts import EditRequest
from editlab.lab.asking.answers import Asked, battery_of, probed
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import Solves
from editlab.lab.workspaces import compute, edits
from editlab.lab.workspaces.compute import Earlier
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import BASE, Patch, View
from editlab.probes import Probe
from editlab.work import Cancel, Progress, never, part_of

ROBUST = ("rephrase", "paraphrase", "shuffle", "long")
"""The kinds of probes whose mean is the robustness."""
SCORED = ("success", "robustness", "locality", "same_subject")
"""The rates whose harmonic mean is the score."""

UNEDITED = Earlier(BASE, ())
"""What each method edits on top of."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Compared:
    """What became of a method: waiting, then with an edit, then with the probes of one kind after the other, at last `done`.

    `seconds`: how long the edit took; `size`: bytes of its patches; `answer`: at the edit's own prompt; `frame`: the rows of
    `probes.ask` so far; `error`: why there is no edit.
    """

    method: str
    seconds: float | None = None
    size: int | None = None
    answer: Answer | None = None
    frame: DataFrame | None = None
    error: Exception | None = None
    done: bool = False

    @cached_property
    def counts(self) -> dict[str, tuple[int, int]]:
        """How many probes of each kind are as they should be, of how many that tell: the counts of the Edit tab."""
        found: dict[str, tuple[int, int]] = {}
        for row in [] if self.frame is None else self.frame.to_dict("records"):
            tone = probes.tone(probes.judge(row["kind"], row, "edited"))
            good, asked = found.get(row["kind"], (0, 0))
            found[row["kind"]] = good + (tone == "good"), asked + (tone != "open")
        return found

    def rate(self, what: str) -> float | None:
        """Return the rate of a kind of probe, or of "robustness", from 0 to 1; None where nothing tells it."""
        if what == "robustness":
            known = [rate for kind in ROBUST if (rate := self.rate(kind)) is not None]
            return fmean(known) if known else None
        good, asked = self.counts.get(what, (0, 0))
        return good / asked if asked else None

    @property
    def score(self) -> float | None:
        """The harmonic mean of the rates in `SCORED`, as far as they are known: a low one is not made good by the others."""
        known = self._scored
        return harmonic_mean(known) if known else None

    @property
    def order(self) -> tuple[float, float, float, float]:
        """The key that orders methods, the best last: by score, by success, by the mean of the rates, then by time.

        One rate of 0 makes the score 0. Then a method that does nothing would have the higher mean, as it harms nothing.
        """
        known = self._scored
        if not known or self.error is not None:
            return -1.0, -1.0, -1.0, 0.0
        success = self.rate("success")
        return harmonic_mean(known), 1.0 if success is None else success, fmean(known), -(self.seconds or 0.0)

    @property
    def _scored(self) -> list[float]:
        return [rate for what in SCORED if (rate := self.rate(what)) is not None]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods on one fact. `base`: what the unedited model says at its prompt; `complete`: all are done or have failed.

    `stopped`: nothing more will be asked, complete or not.
    """

    request: EditRequest
    rows: tuple[Compared, ...]
    base: Answer | None = None
    stopped: bool = False

    def with_row(self, row: Compared) -> Comparison:
        """Return the same comparison with what is now known of a method."""
        return replace(self, rows=tuple(row if row.method == own.method else own for own in self.rows))

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask."""
        return all(row.done or row.error is not None for row in self.rows)

    @property
    def ranked(self) -> tuple[Compared, ...]:
        """The methods that are done, the best first."""
        return tuple(sorted((row for row in self.rows if row.done), key=lambda row: row.order, reverse=True))


def compare(
    workspace: Workspace, request: EditRequest, chosen: Mapping[str, Mapping[str, Any]], most: int | None = None
) -> Job[Comparison]:
    """Submit a job that lets methods edit one fact, each on the unedited model, and asks all the same probes.

    Nothing in the workspace changes. `chosen`: the methods, in order, with the settings that differ from the model's preset;
    `most`: the number of probes of each kind and domain. After each step others get the model, and the job shows what is
    known. A method that fails has its error, and the others go on. Raises `BadRequest` where no method is chosen.
    """
    if not chosen:
        raise BadRequest("No method is chosen. Choose at least one to compare.")
    request = workspace.context.ground.case(request).request
    settings: dict[str, Any] = {}
    rows = []
    for name, given in chosen.items():
        try:
            settings[name] = edits.settings_for(workspace, name, given)
            rows.append(Compared(name))
        except EditLabError as error:
            rows.append(Compared(name, error=error))
    begun = Comparison(request, tuple(rows))

    def work(progress: JobProgress, cancel: Cancel) -> Parts[Comparison]:
        context, result = workspace.context, begun
        battery = battery_of(context.ground, request, (), most)
        base = _written(workspace, request, {"base": BASE})["base"]
        result = replace(result, base=base)
        for place, (name, own) in enumerate(settings.items()):
            progress.show(result)
            yield
            steps = _steps(workspace, request, battery, name, own, _part(progress, name, place, len(settings)), cancel)
            while (row := _next(workspace, name, steps)) is not None:
                result = result.with_row(row)
                progress.show(result)
                yield
        return result

    return workspace.submit(work, Kind.METHODS)


def _steps(
    workspace: Workspace,
    request: EditRequest,
    battery: Sequence[Probe],
    name: str,
    settings: Any,
    progress: Progress,
    cancel: Cancel,
) -> Iterator[Compared]:
    """Yield what is known of a method after each step of its edit and its probes."""
    context, row = workspace.context, Compared(name)
    for _ in context.before_edit(methods.get(name).layers_measured(settings), never, progress, cancel):
        yield row
    drafts, computing = context.drafts, part_of(progress, 0.0, 0.5)

    def keep(solves: Solves) -> tuple[str, ...]:
        return drafts.keep(solves, workspace.fingerprint)

    edit = compute.compute_alike(context, (request,), name, settings, UNEDITED, keep, drafts.holds, computing, cancel)
    patches = drafts.load(edit, context.model.device)
    view = View(patches)
    said = _written(workspace, request, {"edited": view})["edited"]
    row = replace(row, seconds=edit.seconds, size=sum(map(_size, patches)), answer=said)
    yield row
    asked = Asked(context.ground, request, workspace.in_form({"base": BASE, "edited": view}))
    for frame in probed(context.shared, asked, battery, part_of(progress, 0.5, 1.0), cancel):
        row = replace(row, frame=frame)
        yield row
    yield replace(row, done=True)


def _next(workspace: Workspace, name: str, steps: Iterator[Compared]) -> Compared | None:
    """Return what the next step of a method tells; None after the last one. An error is that of the method alone."""
    try:
        return next(steps, None)
    except Cancelled:
        raise
    except Exception as error:
        explained = workspace.context.loaded.explain(error)
        if isinstance(explained, DeviceLost) or not isinstance(explained, Exception):
            raise
        if not isinstance(explained, EditLabError):
            log.exception("%s failed in a comparison", name)
        return Compared(name, error=explained)


def _written(workspace: Workspace, request: EditRequest, views: Mapping[str, View]) -> Answers:
    """Return what each view writes at the prompt of a request."""
    context, asked = workspace.context, workspace.in_form(views)
    key = Asked(context.ground, request, asked).key("answers")
    return context.shared.once(key, lambda: probes.summaries(context.model, request, asked))


def _size(patch: Patch) -> int:
    """Return how many bytes a patch takes: its numbers, and its text."""
    values = [getattr(patch, field.name) for field in fields(patch)]
    texts = (value.encode() for value in values if isinstance(value, str))
    return sum(value.nbytes for value in values if is_tensor(value)) + sum(map(len, texts))


def _part(progress: Progress, name: str, place: int, count: int) -> Progress:
    """Return the progress of one method of several."""
    part, title = part_of(progress, place / count, (place + 1) / count), methods.get(name).title.partition(":")[0]
    return lambda fraction, text: part(fraction, f"{title}, {text.partition(':')[0]}")
