"""`/api`: the edits of a workspace, and the probes around them, by the functions that the page's handlers call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from editlab.answers import ViewName
from editlab.errors import BadRequest, EditLabError
from editlab.lab import TAKEN, EditAnswers, EditRecord, Job, Lab, OwnProbe, Workspace, judge, recipe_of, scores, warnings
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import answers, completing
from editlab.lab.ledger.expiry import forget_unused
from editlab.lab.ledger.names import handle_of
from editlab.lab.workspaces import edits
from editlab.web.api.messages import Form
from editlab.web.api.openai import finished
from editlab.web.api.routes import Caller, caller_of, declared, refuse_missing
from editlab.web.core import forms
from editlab.web.core.handlers import BATTERY
from editlab.web.core.inputs import Id, Object, Place, Prompt, Question, Reason, Subject

MOST_NAMES, MOST_OWN = 20, 50
WorkspaceName = Annotated[str, Field(min_length=1, max_length=60)]
Value = bool | int | float | str | list[int] | None


class ApplyCall(Form):
    """An edit to be made: after `prompt`, with `subject` in its {}, the model should say `target_new`."""

    workspace: WorkspaceName = Field(description="Its name; a new one where there is none. Private to you, with a login.")
    prompt: Prompt = Field(description="With {} where the subject stands, or with the subject itself.")
    subject: Subject
    target_new: Object
    target_true: Object | None = None
    method: forms.Method = "rome"
    rep: forms.Recipe = "off"
    names: list[Subject] = Field([], max_length=MOST_NAMES, description="More names of the subject, for REP.")
    settings: dict[Annotated[str, Field(max_length=40)], Value] = Field(
        {}, max_length=40, description="Settings of the method that differ from the model's preset."
    )
    reason: Reason = ""


class UndoCall(Form):
    """The workspace whose latest change is undone."""

    workspace: WorkspaceName


class ProbesCall(Form):
    """The edit around which is asked, under which views."""

    workspace: WorkspaceName
    edit: Id | None = Field(None, description="The edit's id; without it, the latest that is on.")
    row: Place = Field(0, description="Which request of a batch.")
    views: list[Annotated[ViewName, Field(strict=False)]] | None = Field(
        None, min_length=1, max_length=len(ViewName), description="Without them, all that the workspace has."
    )
    rephrases: list[Question] = Field([], max_length=MOST_OWN, description="Own probes that should get the new object.")
    neighbours: list[Question] = Field([], max_length=MOST_OWN, description="Own probes that should not change.")
    most: int | None = Field(None, ge=1, le=100, description="At most so many other probes of each kind and domain.")


class RequestObject(BaseModel):
    """One fact to be written."""

    prompt: str
    subject: str
    target_new: str
    target_true: str | None


class EditObject(BaseModel):
    """An edit of a workspace. `requests` has more than one in a batch; `health`: null where a number is not finite.

    `took`: whether the model said every new object at its own prompt right after the edit; `warnings`: what is wrong with
    it, and what to do.
    """

    id: str
    requests: list[RequestObject]
    method: str
    settings: dict[str, Any]
    layers: list[int]
    on: bool
    rep: str | None
    rep_on: bool
    took: bool
    warnings: list[str]
    health: dict[str, float | None]
    seconds: float
    author: str
    reason: str
    at: str


class EditList(BaseModel):
    """The edits of a workspace in their order, and what can be done."""

    workspace: str
    name: str
    views: list[str]
    edits: list[EditObject]
    can_undo: bool
    can_redo: bool


class Undone(EditList):
    """The same after a change was undone, and what that was."""

    undone: str


class ProbeAnswer(BaseModel):
    """What a view says to a probe; `hit`: whether every token of the expected object is the likeliest."""

    answer: str | None
    p_new: float | None
    p_true: float | None
    hit: bool | None
    verdict: str


class ProbeObject(BaseModel):
    """A probe, and what each view says."""

    kind: str
    domain: str
    text: str
    expected: str | None
    views: dict[str, ProbeAnswer]


class ProbeList(BaseModel):
    """The probes around an edit, and its scores under each view, 0 to 1."""

    workspace: str
    edit: str
    request: RequestObject
    probes: list[ProbeObject]
    scores: dict[str, dict[str, float]]


def add_edits(router: APIRouter, lab: Lab) -> None:
    """Add the calls about edits."""

    @router.get("/api/edits", response_model=EditList, tags=["edits"])
    @declared(FREE, "ask")
    async def list_edits(
        request: Request, workspace: Annotated[str, Query(min_length=1, max_length=60, description="Name or handle.")]
    ) -> EditList:
        """List the edits of a workspace."""
        return await run_in_threadpool(lambda: EditList(**_listed(*_known(caller_of(request), workspace))))

    @router.post("/api/edits", response_model=EditObject, tags=["edits"])
    @declared(Cost(edits=1, changes=1), "edit")
    async def apply(call: ApplyCall, request: Request) -> EditObject:
        """Compute an edit and apply it on top of the others. It is made even if you do not wait for the answer."""
        job = await run_in_threadpool(_apply, caller_of(request), call)
        (record,) = await finished(request, [job], stopped_when_gone=False)
        return _edit(record)

    @router.post("/api/edits/undo", response_model=Undone, tags=["edits"])
    @declared(Cost(changes=1), "edit")
    async def undo(call: UndoCall, request: Request) -> Undone:
        """Undo the latest change of a workspace."""
        return await run_in_threadpool(_undo, caller_of(request), call.workspace)

    @router.post("/api/probes", response_model=ProbeList, tags=["edits"])
    @declared(Cost(prompts=BATTERY), "ask")
    async def ask_probes(call: ProbesCall, request: Request) -> ProbeList:
        """Ask the probes around an edit under some views, and judge the answers."""
        workspace, record, job = await run_in_threadpool(_ask, caller_of(request), call)
        found = await finished(request, [job])
        if not found:
            raise BadRequest("Stopped before all probes were asked.")
        return _probes(workspace, record, found[0])


def _known(caller: Caller, name: str) -> tuple[Workspace, str]:
    """Return a workspace of the caller's with its name. Raises `BadRequest`."""
    info = caller.find(name)
    if info is None:
        raise refuse_missing(name)
    return caller.enter(info), info.name


def _apply(caller: Caller, call: ApplyCall) -> Job[EditRecord]:
    request = forms.read_request(call.subject, call.prompt, call.target_new, call.target_true)
    names = forms.other_names(call.names, request)
    reason, recipe = forms.read_reason(call.reason), recipe_of(call.rep)
    known = caller.find(call.workspace)
    if known is None:  # a fault of the call leaves no workspace
        edits.settings_for(caller.lab.workspace(""), call.method, call.settings)
        edits.check_rep(call.method, recipe)
    info = caller.find_or_make(call.workspace) if known is None else known
    try:
        return edits.apply(caller.enter(info), request, call.method, call.settings or None, recipe, names, reason)
    except EditLabError:  # as where the line is full
        if known is None and forget_unused(caller.lab.ledger, info.id):
            caller.lab.workspaces.drop([info.id])
        raise


def _undo(caller: Caller, name: str) -> Undone:
    workspace, called = _known(caller, name)
    undone = workspace.undo()
    return Undone(undone=str(undone), **_listed(workspace, called))


def _ask(caller: Caller, call: ProbesCall) -> tuple[Workspace, EditRecord, Job[EditAnswers]]:
    workspace, _ = _known(caller, call.workspace)
    on = [record for record in workspace.records if record.on and call.edit in (None, record.id)]
    if not on:
        raise BadRequest("This workspace has no such edit that is on. Apply it first: POST /api/edits.", "edit")
    if call.row >= len(on[-1].requests):
        raise BadRequest(f"This edit has {len(on[-1].requests)} requests, counted from 0. Choose one of them.", "row")
    request = on[-1].requests[call.row]
    wanted = completing.views_of(workspace) if call.views is None else call.views
    kinds = {"rephrase": call.rephrases, "locality": call.neighbours}
    own = [OwnProbe(kind, forms.check_probe(text)) for kind, texts in kinds.items() for text in texts]
    for name in wanted:
        completing.view_of(workspace, name)

    def under() -> dict[str, Any]:
        return {name: completing.view_of(workspace, name) for name in dict.fromkeys([ViewName.BASE, *wanted])}

    return workspace, on[-1], answers.ask(workspace, request, own, call.most, probes_alone=True, under=under)


def _listed(workspace: Workspace, name: str) -> dict[str, Any]:
    return {
        "workspace": handle_of(workspace.name),
        "name": name,
        "views": [ViewName.BASE, *completing.views_of(workspace)],
        "edits": [_edit(record) for record in workspace.records],
        "can_undo": workspace.can_undo,
        "can_redo": workspace.can_redo,
    }


def _edit(record: EditRecord) -> EditObject:
    return EditObject(
        requests=[RequestObject(**request.as_dict()) for request in record.requests],
        settings=dict(record.config),
        layers=list(record.layers),
        took=not record.missed and record.health.get("p_new", 1.0) >= TAKEN,
        warnings=warnings(record.health),
        health={name: _finite(value) for name, value in record.health.items()},
        **{
            name: getattr(record, name)
            for name in ("id", "method", "on", "rep", "rep_on", "seconds", "author", "reason", "at")
        },
    )


def _probes(workspace: Workspace, record: EditRecord, found: EditAnswers) -> ProbeList:
    rows = [] if found.probes is None else found.probes.to_dict("records")
    views = [name for name in ViewName if rows and f"{name}.hit" in rows[0]]
    return ProbeList(
        workspace=handle_of(workspace.name),
        edit=record.id,
        request=RequestObject(**found.request.as_dict()),
        probes=[
            ProbeObject(
                **{name: row[name] for name in ("kind", "domain", "text", "expected")},
                views={view: _answer(row, view) for view in views},
            )
            for row in rows
        ],
        scores={view: scores(found.probes, view) for view in views},
    )


def _answer(row: Mapping[str, Any], view: str) -> ProbeAnswer:
    hit, answer = row[f"{view}.hit"], row.get(f"{view}.answer")
    return ProbeAnswer(
        answer=answer,
        p_new=_finite(row[f"{view}.p_new"]),
        p_true=_finite(row[f"{view}.p_true"]),
        hit=None if hit is None or hit != hit else bool(hit),
        verdict=judge(row["kind"], row, view),
    )


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
