"""Suggested new objects: others of the request's relation."""

from __future__ import annotations

import random
from dataclasses import replace

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.workspaces.workspace import Workspace
from editlab.probes import case_for

MOST = 8


def suggestions(workspace: Workspace, request: EditRequest | str, subject: str) -> tuple[str, ...]:
    """Return at most 8 other objects of the relation of a request or prompt; none where the relation is unknown."""
    facts, seed = workspace.context.facts, workspace.context.seed
    try:
        if isinstance(request, str):
            request = EditRequest.from_text(request, subject, "?")
        case = case_for(replace(request, target_new="?", target_true=None), facts)
    except BadRequest:
        return ()
    objects = dict.fromkeys(fact.object for fact in facts.by_relation.get(case.relation or "", ()))
    others = [name for name in objects if name not in (case.request.target_true, request.target_true)]
    return tuple(random.Random(f"{seed}/{request.text}").sample(others, min(MOST, len(others))))
