"""What an edit does between its layer and the answer, as jobs of the model's worker: each computes one table."""

from __future__ import annotations

from collections.abc import Callable

from pandas import DataFrame

from editlab import insight
from editlab.errors import BadFile, MissingMask
from editlab.facts import EditRequest
from editlab.insight import Question
from editlab.insight.loudness import Loudness, rows
from editlab.lab.asking import keys
from editlab.lab.kinds import Kind
from editlab.lab.worker import Job, JobProgress
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods.mask import find, lessons, need
from editlab.patches import View
from editlab.work import Cancel, stop_if


def request(workspace: Workspace) -> EditRequest:
    """The edit's request, with the true object where the facts know one that nobody gave."""
    return workspace.context.ground.case(keys.edit(workspace).request).request


def question(workspace: Workspace, text: str | None = None, at: int = 1) -> Question:
    """What is looked at: a text, by default the edit's own, and a token of it, counted from its end."""
    return Question.of(workspace.context.model, request(workspace), text, at)


def views(workspace: Workspace) -> dict[str, View]:
    """What is held against each other: the workspace's views and, where there is a mask, what lies under it.

    The mask is looked at whether its switch is on or not: that is what the tab is for.
    """
    try:
        return workspace.views_under(mask=True) | workspace.views
    except (MissingMask, BadFile):
        return workspace.views


def lens(workspace: Workspace, question: Question) -> Job[DataFrame]:
    """What the model would say behind each layer: `insight.logit_lens`."""
    return _looked_into(workspace, question, insight.logit_lens, "logit lens: what each layer would say")


def contributions(workspace: Workspace, question: Question) -> Job[DataFrame]:
    """What each part adds to the objects' logits: `insight.contributions`."""
    return _looked_into(workspace, question, insight.contributions, "contributions: what each part adds")


def attention(workspace: Workspace, question: Question) -> Job[DataFrame]:
    """How much each head looks at the subject: `insight.attention`."""
    return _looked_into(workspace, question, insight.attention, "attention: who looks at the subject")


def mask_structure(workspace: Workspace) -> Job[DataFrame]:
    """What the mask takes away: `insight.mask_structure`. Raises `MissingMask` or `BadFile` saying what to do."""
    mask = need(workspace.context.model, keys.edit(workspace).method)
    return workspace.submit(lambda progress, cancel: insight.mask_structure(mask.masks), Kind.INSIDE)


def loudness(workspace: Workspace, count: int, method: str = "rome") -> Job[list[Loudness]]:
    """Edit so many facts that the model knows, each alone, and look at each: `insight.loudness`; shown as they come."""

    def work(progress: JobProgress, cancel: Cancel) -> list[Loudness]:
        model, found = workspace.context.model, []
        progress(0.0, "many edits: facts that the model knows")
        chosen = [own.request for own in lessons(model, workspace.context.facts, count, (), workspace.context.seed, cancel)]
        for row in rows(model, chosen, method, find(model, method), cancel=cancel):
            stop_if(cancel, "Stopped before all edits were made; those that were are shown.")
            found.append(row)
            progress(len(found) / len(chosen), f"many edits: {len(found)} of {len(chosen)}, {row.subject}")
            progress.show(list(found))
        return found

    return workspace.submit(work, Kind.INSIDE)


def _looked_into(workspace: Workspace, question: Question, picture: Callable[..., DataFrame], said: str) -> Job[DataFrame]:
    """A picture of `insight` for a question in all views."""
    chosen = views(workspace)

    def work(progress: JobProgress, cancel: Cancel) -> DataFrame:
        progress(0.0, said)
        return picture(workspace.context.model, chosen, question, cancel)

    return workspace.submit(work, Kind.INSIDE)
