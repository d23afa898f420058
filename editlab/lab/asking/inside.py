"""Jobs for the Inside tab: each returns a table of what the selected edit changes between its layer and the answer."""

from __future__ import annotations

from collections.abc import Callable

from pandas import DataFrame

from editlab import insight
from editlab.bench import layers
from editlab.bench.editing import Setup
from editlab.bench.layers import LayerRow
from editlab.errors import BadFile, MissingMask
from editlab.insight import Question
from editlab.insight.loudness import Loudness, rows
from editlab.insight.tracing import Tracing, deviation_of, traced_so_far
from editlab.lab.asking import keys
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.lab.workspaces.masks import masks_for
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods.mask import find, lessons
from editlab.patches import View
from editlab.wording import noop
from editlab.work import Cancel, stop_if

DEVIATION = "standard deviation of the embeddings of subjects"
"""What is remembered of a model: it is the same for all facts."""
METHOD = "rome"
"""The method by which many edits are made."""


def question(workspace: Workspace, text: str | None = None) -> Question:
    """Return the question of a text, by default the edit's own prompt, where the new object begins."""
    ground = workspace.context.ground
    return Question.of(ground.model, ground.case(keys.edit(workspace).request).request, text)


def views(workspace: Workspace) -> dict[str, View]:
    """Return the views that are compared: the workspace's and, where there is a mask, those under it, switched on or not."""
    try:
        return workspace.views_under(mask=True) | workspace.views
    except (MissingMask, BadFile):
        return workspace.views


def lens(workspace: Workspace, question: Question) -> Job[DataFrame]:
    """Compute the model's answers after each layer: `insight.logit_lens`."""
    return _submit(workspace, question, insight.logit_lens, noop("logit lens: answers after each layer"))


def contributions(workspace: Workspace, question: Question) -> Job[DataFrame]:
    """Compute what each part adds to the objects' logits: `insight.contributions`."""
    return _submit(workspace, question, insight.contributions, noop("contributions: what each part adds to the logits"))


def attention(workspace: Workspace, question: Question) -> Job[DataFrame]:
    """Compute how much each head attends to the subject: `insight.attention`."""
    return _submit(workspace, question, insight.attention, noop("attention: which heads attend to the subject"))


def mask_structure(workspace: Workspace) -> Job[DataFrame]:
    """Compute what the mask prunes: `insight.mask_structure`. Raises `MissingMask` or `BadFile`, which say what to do."""
    (mask,) = masks_for(workspace.context.model, [keys.edit(workspace).method])
    return workspace.submit(lambda progress, cancel: insight.mask_structure(mask.masks), Kind.INSIDE)


def loudness(workspace: Workspace, count: int) -> Job[list[Loudness]]:
    """Edit `count` facts that the model knows, each alone, and measure each edit; cases are shown as they are done."""

    def work(progress: JobProgress, cancel: Cancel) -> list[Loudness]:
        context = workspace.context
        model, cases = context.model, []
        progress(0.0, "many edits: choosing facts that the model knows")
        chosen = [lesson.request for lesson in lessons(model, context.facts, count, (), context.seed, cancel)]
        for case in rows(model, chosen, METHOD, find(model, METHOD), cancel=cancel):
            stop_if(cancel, "Stopped before all edits were made. Those that were made are shown.")
            cases.append(case)
            progress(len(cases) / len(chosen), f"many edits: {len(cases)} of {len(chosen)}, {case.subject}")
            progress.show(list(cases))
        return cases

    return workspace.submit(work, Kind.INSIDE)


def tracing(workspace: Workspace) -> Job[DataFrame]:
    """Trace where the unedited model recalls the fact that the edit changes (`insight.tracing`), token by token."""
    request = workspace.context.ground.case(keys.edit(workspace).request).request

    def work(progress: JobProgress, cancel: Cancel) -> Parts[DataFrame]:
        context = workspace.context
        model, frame = context.model, DataFrame()
        if DEVIATION not in model.memo:
            model.memo[DEVIATION] = deviation_of(model, context.facts.by_subject or [request.subject])
        how = Tracing(model.memo[DEVIATION], seed=context.seed)
        for frame in traced_so_far(model, request, how, progress, cancel):
            progress.show(frame)
            yield
        return frame

    return workspace.submit(work, Kind.INSIDE)


def layers_of(workspace: Workspace) -> range:
    """Return the layers at which an edit can be made."""
    return range(workspace.context.model.n_layers)


def layer_sweep(workspace: Workspace) -> Job[list[LayerRow]]:
    """Make the edit at each layer, alone on the unedited model; rows are shown as they come (`bench.layers`)."""
    record = keys.edit(workspace)
    setup = Setup(record.method, {name: value for name, value in record.config.items() if name != "layers"})
    tried = layers_of(workspace)

    def work(progress: JobProgress, cancel: Cancel) -> Parts[list[LayerRow]]:
        ground, found = workspace.context.ground, list[LayerRow]()
        for (row,) in layers.sweep(ground, [ground.case(record.request)], setup, tried, progress, cancel):
            found.append(row)
            progress.show(list(found))
            yield
        return found

    return workspace.submit(work, Kind.INSIDE)


def _submit(workspace: Workspace, question: Question, table: Callable[..., DataFrame], text: str) -> Job[DataFrame]:
    """Submit the computation of a table of `insight` for a question in all views. `text`: its progress."""
    compared = views(workspace)

    def work(progress: JobProgress, cancel: Cancel) -> DataFrame:
        progress(0.0, text)
        return table(workspace.context.model, compared, question, cancel)

    return workspace.submit(work, Kind.INSIDE)
