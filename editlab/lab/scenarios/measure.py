"""What the steps of a scenario ask of a workspace, as jobs: answers to any text, and scores of some kinds of probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from pandas import DataFrame, concat

from editlab import probes
from editlab.answers import Answers, ViewName
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import View
from editlab.work import Cancel, stop_if

Targets = Mapping[str, str | None]
"""The objects whose probabilities are asked: "new" and "true"."""


def views_of(workspace: Workspace, wanted: Sequence[str] = (), chat: bool = False) -> dict[str, View]:
    """Return the wanted views, without any all of them; the base model always. `chat`: in the model's template.

    Raises `BadRequest` for a view that is not there, and for a chat where the model has no template.
    """
    views = workspace.views if chat else workspace.question_views
    missing = [name for name in wanted if name not in views and name != ViewName.EDITED]
    if missing:
        raise BadRequest(f"There is no view '{missing[0]}' here, only {', '.join(views)}. Switch it on in a step before.")
    if chat:
        form = workspace.context.model.form("chat")
        views = {name: view.with_patches([form]) for name, view in views.items()}
    return views


def answers(
    workspace: Workspace, texts: Sequence[str], views: Mapping[str, View], targets: Targets, tokens: int
) -> Job[list[Answers]]:
    """Submit a job that asks each text under all views: the fields of `Answer`, for each of the texts."""

    def work(progress: JobProgress, cancel: Cancel) -> list[Answers]:
        model = workspace.context.model
        progress(0.0, "the model reads")
        said: list[Answers] = []
        for step, said in enumerate(probes.answers_together(model, [(text, views) for text in texts], tokens)):
            stop_if(cancel, "Stopped before the answer was complete.")
            progress(step / (tokens + 1), "the model writes")
            progress.show(said)
        asked = [(n, name, key, o) for n in range(len(texts)) for name in views for key, o in targets.items() if o]
        rows = [texts[n] for n, *_ in asked], [target for *_, target in asked], [views[name] for _, name, *_ in asked]
        numbers = {(n, name): dict.fromkeys(("p_new", "p_true", "first_new", "first_true")) for n, name, *_ in asked}
        for (n, name, key, _), score in zip(asked, model.score(*rows), strict=True):
            numbers[n, name] |= {f"p_{key}": score.p, f"first_{key}": score.first}
        return [{name: {**own, **numbers.get((n, name), {})} for name, own in a.items()} for n, a in enumerate(said)]

    return workspace.submit(work, Kind.ANSWERS)


def scores(workspace: Workspace, request: EditRequest, kinds: Sequence[str], most: int | None) -> Job[DataFrame]:
    """Submit a job that asks the probes of some kinds around a request: the rows of `probes.ask`, shown kind by kind."""
    ground = workspace.context.ground
    around = ground.battery(ground.case(request), most, workspace.chain.requests)
    battery = [probe for probe in around if probe.kind in kinds]
    if not battery:
        raise BadRequest(f"The facts know no probe of the kind {kinds[0]!r} around {request.text!r}. Look at another kind.")

    def work(progress: JobProgress, cancel: Cancel) -> Parts[DataFrame]:
        views, frames = workspace.question_views, list[DataFrame]()
        for kind, group in groupby(battery, key=lambda probe: probe.kind):
            stop_if(cancel, "Stopped before all probes were asked.")
            progress(sum(map(len, frames)) / len(battery), f"probes: {probes.KINDS[kind]}")
            frames.append(probes.ask(workspace.context.model, request, tuple(group), views))
            progress.show(concat(frames, ignore_index=True))
            yield
        return concat(frames, ignore_index=True)

    return workspace.submit(work, Kind.ANSWERS)
