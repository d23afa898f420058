"""The answers to an edit's prompt and probes under every view: one job for all that the Edit tab shows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from pandas import DataFrame, concat

from editlab import insight, probes
from editlab.answers import ViewName
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.asking import ways_back
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.jobs.shared import Shared, digests
from editlab.lab.kinds import Kind
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import THRESHOLD, View
from editlab.probes import Ground, Probe
from editlab.probes.views import TEXT_TOKENS
from editlab.work import Cancel, Progress, part_of, stop_if


@dataclass(frozen=True)
class OwnProbe:
    """A visitor's probe: the answer to a `rephrase` should be the new object, a `locality` should not change."""

    kind: str
    text: str
    subject: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("rephrase", "locality"):
            raise BadRequest(f"Your probe must be a rephrase or a locality, not {self.kind!r}. Choose one of the two.")
        if not self.text.strip():
            raise BadRequest("Your probe is empty. Write a sentence up to the object.")


@dataclass(frozen=True, eq=False)
class EditAnswers:
    """The answers around one request; None for those that are not known yet or do not apply.

    `answers`: each view's at the request's own prompt, `complete` or still being written. `gates`: the gates at its tokens,
    where a view has REP. If its edit is `on`: `battery`, the probes in the order in which they are asked; `probes`, the rows
    of the first of them, of all once `probed`; `swept`, the probes at every threshold, with REP; `linked`, the linked facts;
    `ways_back`, the ways to reverse the edit, with a mask; `why` it did not take or is missed, "" where it is not.
    """

    request: EditRequest
    on: bool
    answers: probes.Answers
    complete: bool = False
    gates: DataFrame | None = None
    battery: tuple[Probe, ...] = ()
    probes: DataFrame | None = None
    probed: bool = False
    swept: DataFrame | None = None
    linked: DataFrame | None = None
    ways_back: DataFrame | None = None
    why: str | None = None


def ask(
    workspace: Workspace,
    request: EditRequest,
    own: Sequence[OwnProbe] = (),
    most: int | None = None,
    probes_alone: bool = False,
    under: Callable[[], dict[str, View]] | None = None,
) -> Job[EditAnswers]:
    """Submit a job that asks everything about a request, which becomes the one that the visitor looks at.

    The job has several parts, with a partial result after each. `own`: the visitor's probes, which come first of their kind;
    `most`: the number of other probes of each kind and domain; `probes_alone`: ask only the probes, not the prompt; `under`:
    the views instead of those that the visitor compares, and then the request that they look at stays.
    """
    request = workspace.context.ground.case(request).request
    if under is None:
        workspace.look_at(request)
    return workspace.submit(partial(_ask_all, workspace, request, own, most, probes_alone, under), Kind.ANSWERS)


def _ask_all(
    workspace: Workspace,
    request: EditRequest,
    own: Sequence[OwnProbe],
    most: int | None,
    probes_alone: bool,
    under: Callable[[], dict[str, View]] | None,
    progress: JobProgress,
    cancel: Cancel,
) -> Parts[EditAnswers]:
    """Ask everything as `ask` says, and show what is known so far after each part."""
    views = workspace.question_views if under is None else under()
    context = workspace.context
    ground, robust, others = context.ground, workspace.robust if under is None else None, workspace.chain.requests
    record = find_applied(workspace.records, request)
    battery = () if record is None else battery_of(ground, request, own, most, others)
    shared, asked = context.shared, Asked(ground, request, views, robust)
    result = EditAnswers(request, record is not None, {}, battery=battery)
    if not probes_alone:
        for answers in _write(shared, asked, progress, cancel):
            result = replace(result, answers=answers)
            progress.show(result)
        result = replace(result, complete=True, swept=shared.find(asked.key("sweep", others)))
        if robust is not None:
            gates = shared.once(asked.key("gates"), lambda: probes.gates(ground.model, request.text, robust))
            result = replace(result, gates=gates)
        progress.show(result)
    if record is None:
        return result
    yield
    for frame in probed(shared, asked, battery, part_of(progress, 0.1, 0.6), cancel):
        result = replace(result, probes=frame)
        progress.show(result)
        yield
    result = replace(result, probed=True)
    if robust is not None:
        swept = shared.once(asked.key("sweep", others), lambda: _sweep(asked, others, part_of(progress, 0.6, 0.8), cancel))
        result = replace(result, swept=swept)
        progress.show(result)
        yield
    if under is not None:
        return result
    if ViewName.EDITED in views and not workspace.guarded:
        result = replace(result, why=shared.once(asked.key("why", battery), lambda: _why(asked, record, result, cancel)))
        progress.show(result)
        yield
    progress(0.8, "linked facts: the consequences of the edit")
    plain = workspace.views
    result = replace(result, linked=shared.once(asked.key("linked"), lambda: ways_back.linked(ground, request, plain)))
    progress.show(result)
    if "masked" in views:
        yield
        taken = tuple(patch.digest for patch in record.patches)

        def compare() -> DataFrame:
            ways = ways_back.ways(ground.model, record, workspace)
            return ways_back.ways_back(ground, request, ways, others, part_of(progress, 0.9, 1.0), cancel)

        result = replace(result, ways_back=shared.once(asked.key("ways back", taken), compare))
    return result


def look(workspace: Workspace, request: EditRequest) -> Job[probes.Answers]:
    """Submit a job that asks each view at the prompt of a request: `{view: probes.summary}`, also while it is written."""
    context = workspace.context
    request = context.ground.case(request).request

    def work(progress: JobProgress, cancel: Cancel) -> probes.Answers:
        answers: probes.Answers = {}
        asked = Asked(context.ground, request, workspace.question_views, workspace.robust)
        for answers in _write(context.shared, asked, progress, cancel):
            progress.show(answers)
        return answers

    workspace.look_at(request)
    return workspace.submit(work, Kind.ANSWERS)


def live(workspace: Workspace, text: str) -> Job[probes.Answers]:
    """Submit a live question: how each view continues a text, `{view: {"top": [[token, p] x 5], "text"}}`, as it is written.

    It is answered in one batch with other visitors' live questions. A new one cancels the visitor's last one, which ends
    before it starts or at its next token.
    """
    if workspace.question is not None:
        workspace.question.cancel()
    context = workspace.context
    workspace.question = context.live.ask(text, lambda: workspace.question_views, workspace.fingerprint, workspace.submit)
    return workspace.question


def typed(workspace: Workspace, text: str) -> Job[probes.Answers]:
    """Submit a live question to the base model alone, about a request that is being typed; it cancels the last such one."""
    if workspace.typed is not None:
        workspace.typed.cancel()
    base = {"base": workspace.question_views["base"]}
    workspace.typed = workspace.context.live.ask(text, lambda: base, workspace.fingerprint, workspace.submit)
    return workspace.typed


def gates(workspace: Workspace, text: str) -> Job[DataFrame]:
    """Submit a job that computes the gates at each token of a text: the rows of `probes.gates`."""

    def work(progress: JobProgress, cancel: Cancel) -> DataFrame:
        return probes.gates(workspace.context.model, text, workspace.robust or workspace.view)

    return workspace.submit(work, Kind.GATES)


def questions(workspace: Workspace, request: EditRequest) -> dict[str, str]:
    """Return the request's text with the subject rephrased, by kind: see `probes.questions`."""
    ground = workspace.context.ground
    return ground.questions(ground.case(request))


def tokens(workspace: Workspace, text: str) -> tuple[str, ...]:
    """Return the tokens of a text, with spaces as "␣"."""
    return tuple(workspace.context.model.tok.chips(text))


def target_tokens(workspace: Workspace, prompt: str, target: str) -> tuple[str, ...]:
    """Return the tokens of an object as they are asked behind a prompt, with spaces as "␣"."""
    return tuple(workspace.context.model.tok.target_chips(prompt, target))


def find_applied(records: Sequence[EditRecord], request: EditRequest) -> EditRecord | None:
    """Return the latest edit of a request that is on, None where there is none."""
    return next((record for record in reversed(records) if record.on and request in record.requests), None)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request with the views that are asked; `robust`: the "rep" view in its plain form, None without pathways."""

    ground: Ground
    request: EditRequest
    views: dict[str, View]
    robust: View | None = None

    def key(self, what: str, more: Hashable = ()) -> Hashable:
        """Return what a result depends on, by content. The sweep does not depend on the threshold."""
        robust = self.robust and (self.robust.with_threshold(THRESHOLD) if what == "sweep" else self.robust).digest
        views = () if what == "sweep" else digests(self.views)
        return what, self.ground.model.fingerprint, self.request, views, robust, more


def battery_of(
    ground: Ground,
    request: EditRequest,
    own: Sequence[OwnProbe],
    most: int | None,
    others: Sequence[EditRequest] = (),
) -> tuple[Probe, ...]:
    """Return the visitor's probes and all others around a request, the most telling kinds first.

    `others`: what else is edited in the views that are asked.
    """
    battery = [
        *(Probe(p.kind, "", p.text, request.target_new if p.kind == "rephrase" else None, p.subject) for p in own),
        *ground.battery(ground.case(request), most, others),
    ]
    return tuple(sorted(battery, key=lambda probe: probes.TELLING.index(probe.kind)))


def probed(
    shared: Shared, asked: Asked, battery: Sequence[Probe], progress: Progress, cancel: Cancel
) -> Iterator[DataFrame]:
    """Yield the rows of `probes.ask` for a battery, after each kind of probes."""
    frames: list[DataFrame] = []
    model, request, views = asked.ground.model, asked.request, asked.views
    for kind, own in groupby(battery, key=lambda probe: probe.kind):
        stop_if(cancel, "Stopped before all probes were asked.")
        progress(sum(map(len, frames)) / len(battery), f"probes: {probes.KINDS[kind]}")
        group = tuple(own)
        ask_them = partial(probes.ask, model, request, group, views)
        frames.append(shared.once(asked.key("probes", group), ask_them))
        yield concat(frames, ignore_index=True)


def _why(asked: Asked, record: EditRecord, result: EditAnswers, cancel: Cancel) -> str:
    """Return why the edit of a request did not take or where it is missed, "" where nothing is wrong."""
    model, edited, health = asked.ground.model, asked.views[ViewName.EDITED], {} if record.more else record.health
    found = insight.why(model, asked.request, record.patches, edited, result.battery, result.probes, health, cancel)
    return "" if found is None else found.sentence


def _write(shared: Shared, asked: Asked, progress: Progress, cancel: Cancel) -> Iterator[probes.Answers]:
    """Yield the answers at a request's prompt as they are written. Raises `Cancelled` at the next token."""
    progress(0.0, "the model reads")
    written = shared.written(
        asked.key("answers"), lambda: probes.summaries_so_far(asked.ground.model, asked.request, asked.views)
    )
    for step, answers in enumerate(written):
        stop_if(cancel, "Stopped before the answer was complete.")
        progress(0.1 * step / TEXT_TOKENS, "the model writes")
        yield answers


def _sweep(asked: Asked, others: Sequence[EditRequest], progress: Progress, cancel: Cancel) -> DataFrame:
    """Return the probes of a request at every threshold."""
    ground, case = asked.ground, asked.ground.case(asked.request)
    battery = ground.battery(case, others=others)
    return probes.sweep(ground.model, case.request, battery, asked.robust, progress=progress, cancel=cancel)
