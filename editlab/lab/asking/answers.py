"""What the model says about an edit and around it, under every view: one job for all that the Edit tab shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pandas import DataFrame, concat

from editlab import probes
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.asking import ways_back
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.worker import Job, JobProgress, Parts
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import View
from editlab.probes import Ground, Probe
from editlab.probes.views import TEXT_TOKENS
from editlab.work import Cancel, Progress, part_of, stop_if


@dataclass(frozen=True)
class OwnProbe:
    """A probe that a visitor wrote: a `rephrase` should say the new object, at a `locality` nothing should change."""

    kind: str
    text: str
    subject: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("rephrase", "locality"):
            raise BadRequest(f"A probe of your own is a rephrase or a locality, not {self.kind!r}. Choose one of the two.")
        if not self.text.strip():
            raise BadRequest("A probe of your own is empty. Write a sentence up to the object.")


@dataclass(frozen=True, eq=False)
class EditAnswers:
    """The answers around one request, as far as they are known; None for what is not, or does not apply.

    `answers`: each view's at the request's own prompt, `complete` or still being written. `gates`: how far the gates open at
    its tokens, where a view has REP. Where its edit is `on`: `probes`, all of them once `probed`; `swept`, the probes at
    every threshold, with REP; `linked`, facts that should follow; `ways_back`, where a mask is looked through.
    """

    request: EditRequest
    on: bool
    answers: probes.Answers
    complete: bool = False
    gates: DataFrame | None = None
    probes: DataFrame | None = None
    probed: bool = False
    swept: DataFrame | None = None
    linked: DataFrame | None = None
    ways_back: DataFrame | None = None


def ask(
    workspace: Workspace,
    request: EditRequest,
    own: Sequence[OwnProbe] = (),
    most: int | None = None,
    probes_alone: bool = False,
) -> Job[EditAnswers]:
    """Ask for everything that is shown of a request; it becomes the question that the workspace looks at.

    Results are shown part after part, and between two parts the worker does what others wait for. `own` probes come first of
    their kind; `most` of each kind and domain of the others; `probes_alone` leaves out what is asked at the prompt itself.
    """
    context = workspace.context
    request = context.ground.case(request).request

    def work(progress: JobProgress, cancel: Cancel) -> Parts[EditAnswers]:
        ground, views, records, robust = context.ground, workspace.asked, workspace.records, workspace.robust
        record = applied(records, request)
        result = EditAnswers(request, record is not None, {})
        if not probes_alone:
            for answers in _written(ground, request, views, progress, cancel):
                result = replace(result, answers=answers)
                progress.show(result)
            result = replace(result, complete=True, swept=_known_sweep(workspace, request))
            if robust is not None:
                result = replace(result, gates=probes.gates(ground.model, request.text, robust))
            progress.show(result)
        if record is None:
            return result
        yield
        for frame in _probed(ground, request, views, own, most, part_of(progress, 0.1, 0.6), cancel):
            result = replace(result, probes=frame)
            progress.show(result)
        result = replace(result, probed=True)
        if robust is not None:
            yield
            result = replace(result, swept=_swept(workspace, ground, request, robust, part_of(progress, 0.6, 0.8), cancel))
            progress.show(result)
        yield
        progress(0.8, "linked facts: what follows from the edit")
        result = replace(result, linked=ways_back.linked(ground, request, workspace.views))
        progress.show(result)
        if "masked" in views:
            yield
            ways = ways_back.ways(ground.model, record, workspace)
            frame = ways_back.ways_back(ground, request, ways, part_of(progress, 0.9, 1.0), cancel)
            result = replace(result, ways_back=frame)
        return result

    workspace.look_at(request)
    return workspace.submit(work, Kind.ANSWERS)


def look(workspace: Workspace, request: EditRequest) -> Job[probes.Answers]:
    """Ask what each view says at the prompt of a request, `{view: probes.summary}`, shown as it is written."""
    ground = workspace.context.ground
    request = ground.case(request).request

    def work(progress: JobProgress, cancel: Cancel) -> probes.Answers:
        answers: probes.Answers = {}
        for answers in _written(ground, request, workspace.asked, progress, cancel):
            progress.show(answers)
        return answers

    workspace.look_at(request)
    return workspace.submit(work, Kind.ANSWERS)


def live(workspace: Workspace, text: str) -> Job[probes.Answers]:
    """Ask how each view goes on with a text: `{view: {"top": [[token, p] x 5], "text"}}`, shown as it is written.

    It is answered together with what other visitors ask at that time. A new call cancels the visitor's one before it, which
    ends before it starts or at its next token.
    """
    if workspace.question is not None:
        workspace.question.cancel()
    context = workspace.context
    workspace.question = context.live.ask(text, lambda: workspace.asked, workspace.fingerprint, workspace.submit)
    return workspace.question


def gates(workspace: Workspace, text: str) -> Job[DataFrame]:
    """Ask how far the gates open at each token of a text: the rows of `probes.gates`."""
    model = workspace.context.model
    return workspace.submit(
        lambda progress, cancel: probes.gates(model, text, workspace.robust or workspace.view), Kind.GATES
    )


def questions(workspace: Workspace, request: EditRequest) -> dict[str, str]:
    """Return the edit's own question with the subject rephrased, by kind: `probes.questions`."""
    ground = workspace.context.ground
    return ground.questions(ground.case(request))


def tokens(workspace: Workspace, text: str) -> tuple[str, ...]:
    """Return a text as the model's tokenizer splits it, spaces visible as "␣"."""
    return tuple(workspace.context.model.tok.chips(text))


def applied(records: Sequence[EditRecord], request: EditRequest) -> EditRecord | None:
    """Return the latest edit of a request that is on, None where there is none."""
    return next((record for record in reversed(records) if record.on and request in record.requests), None)


def _written(
    ground: Ground, request: EditRequest, views: dict[str, View], progress: Progress, cancel: Cancel
) -> Iterator[probes.Answers]:
    """Yield the answers at a request's prompt as they are written. Raises `Cancelled` at the next token."""
    progress(0.0, "the model reads")
    for step, answers in enumerate(probes.summaries_so_far(ground.model, request, views)):
        stop_if(cancel, "Stopped before the answer was complete.")
        progress(0.1 * step / TEXT_TOKENS, "the model writes")
        yield answers


def _probed(
    ground: Ground,
    request: EditRequest,
    views: dict[str, View],
    own: Sequence[OwnProbe],
    most: int | None,
    progress: Progress,
    cancel: Cancel,
) -> Iterator[DataFrame]:
    """Yield the rows of `probes.ask`, kind after kind."""
    progress(0.0, "probes: choosing what to ask")
    case = ground.case(request)
    battery = [
        *(Probe(p.kind, "", p.text, request.target_new if p.kind == "rephrase" else None, p.subject) for p in own),
        *ground.battery(case, most),
    ]
    battery.sort(key=lambda probe: list(probes.KINDS).index(probe.kind))
    frames: list[DataFrame] = []
    for kind, group in groupby(battery, key=lambda probe: probe.kind):
        stop_if(cancel, "Stopped before all probes were asked.")
        progress(sum(map(len, frames)) / len(battery), f"probes: {probes.KINDS[kind]}")
        frames.append(probes.ask(ground.model, case.request, tuple(group), views))
        yield concat(frames, ignore_index=True)


def _known_sweep(workspace: Workspace, request: EditRequest) -> DataFrame | None:
    """Return the sweep of a request, where it was computed for the edits as they are; a threshold changes nothing of it."""
    known = workspace.sweep
    return known[2] if known is not None and known[0] == request and known[1] is workspace.records else None


def _swept(
    workspace: Workspace, ground: Ground, request: EditRequest, view: View, progress: Progress, cancel: Cancel
) -> DataFrame:
    """Return what the probes around a request say at every threshold, computed once for the edits as they are."""
    known, records = _known_sweep(workspace, request), workspace.records
    if known is not None:
        return known
    case = ground.case(request)
    frame = probes.sweep(ground.model, case.request, ground.battery(case), view, progress=progress, cancel=cancel)
    workspace.sweep = request, records, frame
    return frame
