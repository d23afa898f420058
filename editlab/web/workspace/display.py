"""What the Workspace tab shows: the visitor's workspaces, the one that is open, its edits, its history and the jobs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from editlab.exports import FORMATS
from editlab.lab import Lab, Moment, Workspace, WorkspaceInfo
from editlab.lab.ledger.names import LONGEST_NAME
from editlab.lab.workspaces import history
from editlab.web.core.components import folded
from editlab.web.core.display import EditDisplay
from editlab.web.core.engine import said
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Update, Updates, buttons
from editlab.web.core.visit import Visit
from editlab.web.core.wording import tell
from editlab.web.workspace import table, words

MOMENT = "moment"
"""The choice of a comparison that stands for this workspace at the slider's moment. No handle is like it."""
ALL = "all"
"""The choice of an export that stands for all edits that are on. No edit's id is like it."""


class WorkspaceDisplay:
    """Draws the tab. `edit`: the display of the Edit tab, which draws the edits of this tab as well."""

    def __init__(self, lab: Lab, edit: EditDisplay) -> None:
        self.lab, self.edit = lab, edit.beside(self.edits)

    def tab(self, visit: Visit) -> Update:
        """Return all of the tab, and the edits and buttons of the Edit tab."""
        info, workspace = visit.workspace_info, visit.workspace
        own = self.lab.directory.workspaces(visit.visitor)
        others = [(other.title, other.handle) for other in own if other.id != info.id]
        question, edits, first = workspace.request, self.edit.edits(workspace), next(iter(FORMATS.values()))
        return {
            **edits,
            "workspace-rooms": render(
                "workspace/workspaces.html",
                infos=[(other, words.sharing(other)) for other in own],
                current=info,
                deleted=self.lab.directory.workspaces(visit.visitor, deleted=True),
                longest=LONGEST_NAME,
            ),
            "workspace-head": self._head(info, workspace),
            "workspace-other": gr.update(choices=[(_(words.BY_MOMENT), MOMENT), *others], value=MOMENT),
            "workspace-question": "" if question is None else question.text,
            "workspace-compared": "",
            "workspace-comparison-fold": _folded("comparison", words.others(len(others))),
            "workspace-bundles-fold": _folded("bundles", words.events(workspace.state.number)),
            "workspace-verified": "",
            "workspace-bundle": "",
            "workspace-format": first.name,
            "workspace-format-said": pieces.message(_(first.holds)),
            "workspace-only": {**edits["workspace-only"], "value": ALL},
            **self.jobs(visit),
            **self.slider(workspace),
            **buttons(workspace),
        }

    def report(self, visit: Visit, text: str) -> Update:
        """Return all of the tab with a message."""
        return {"message": pieces.message(text), **self.tab(visit)}

    def enter(self, visit: Visit, info: WorkspaceInfo, own: OwnProbes, text: str) -> Updates:
        """Open a workspace, and draw its question on the Edit tab; in a new workspace, the first example."""
        self.lab.directory.enter(visit.visitor, info.id)
        yield self.report(visit, text)
        workspace = visit.workspace
        text = f"{text} {said(workspace.notice or '')}".strip()
        if workspace.request is None and self.lab.knowledge.first is not None:
            yield from self.edit.present(workspace, self.lab.knowledge.first, own, text)
        else:
            yield from self.edit.changed(workspace, text, own, fill=True)

    def edits(self, workspace: Workspace) -> Update:
        """Return the edits of the tab. They are drawn whenever those of the Edit tab are."""
        on = [(tell(record.name), record.id) for record in workspace.records if record.on]
        return {
            "workspace-edits": table.edits(workspace.records, self.lab.monitor.scores(workspace)),
            "workspace-only": gr.update(choices=[(_(words.ALL_EDITS), ALL), *on]),
            "workspace-exports-fold": _folded("exports", words.exports(workspace.records, len(FORMATS))),
        }

    def jobs(self, visit: Visit) -> Update:
        """Return the jobs that concern the visitor."""
        rows = self.lab.jobs.rows(visit.visitor)
        alone = visit.visitor if self.lab.limits.restricts(visit.asker) else None
        return {
            "workspace-jobs": table.jobs(rows, self.lab.downloads.tokens, alone),
            "workspace-line-fold": _folded("jobs", words.running(rows)),
        }

    def slider(self, workspace: Workspace) -> Update:
        """Return the slider of the history at its end."""
        moments = changes(workspace)
        last = len(moments)
        return {
            "workspace-moment": gr.update(minimum=0, maximum=max(1, last), value=last, interactive=bool(moments)),
            "workspace-then": moment(moments[-1] if moments else None),
            "workspace-were": "",
            "workspace-history-fold": _folded("history", words.history(moments)),
        }

    def _head(self, info: WorkspaceInfo, workspace: Workspace) -> str:
        return render(
            "workspace/head.html",
            info=info,
            who_sees=words.who_sees(info, self.lab.limits.demo),
            summary=words.summary(workspace.records, self.lab.about()["model"]),
            next_step=words.next_step(workspace.records, info.shared),
            longest=LONGEST_NAME,
        )


def _folded(name: str, finding: str) -> Any:
    return folded(_(words.TITLES[name]), finding)


def changes(workspace: Workspace) -> tuple[Moment, ...]:
    """Return the moments at which the edits changed. The slider moves between them."""
    return tuple(moment for moment in history.timeline(workspace) if moment.changed)


def moment(found: Moment | None) -> str:
    """Return a moment's time and what happened. None is the moment before all changes."""
    return render("workspace/moment.html", at="" if found is None else found.at, text=words.moment(found))
