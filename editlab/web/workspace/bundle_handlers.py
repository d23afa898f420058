"""What leaves a workspace and comes into it: bundles and exports; whether it is still what was written; and its jobs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import gradio as gr

from editlab.errors import BadRequest, EditLabError
from editlab.exports import Format, format_named
from editlab.lab.access.limits import FREE, MOST_ROWS, Cost
from editlab.lab.ledger import archive
from editlab.lab.worker import Cancel, JobProgress
from editlab.lab.workspaces import bundles, exports
from editlab.web.core import forms, render
from editlab.web.core.handlers import BATTERY, Updates, handler
from editlab.web.workspace import table, words
from editlab.web.workspace.handlers import WorkspaceHandlers


class BundleHandlers(WorkspaceHandlers):
    """The handlers of the Workspace tab's files and jobs, and all others of it."""

    @handler(Cost(files=1))
    def pack(self, visitor: Any, request: gr.Request) -> Updates:
        """The workspace shall become one file. Updates: workspace-bundle."""
        room, _ = self.here(visitor, request)
        path = self.lab.downloads.place() / f"{_slug(room.name)}.editlab.zip"
        report = bundles.pack(self.lab.context, room, path)
        token = self.lab.downloads.offer(room.id, path)
        size = f"{words.size(path.stat().st_size)}, {report.events:,} events"
        yield {"workspace-bundle": table.link(token, f"Download {path.name} ({size})")}

    @handler(Cost(files=1, prompts=BATTERY, changes=1))
    def bring_in(self, visitor: Any, rephrases: Any, neighbours: Any, path: Any, request: gr.Request) -> Updates:
        """A bundle was given. Updates as `room`."""
        if not isinstance(path, str) or not path:
            raise BadRequest("There is no file. Choose a bundle first.")
        name = self.visitor(visitor, request)
        yield {"workspace-bundle": render.message("The bundle is checked …")}
        try:
            room = bundles.unpack(self.lab.workspaces, name, Path(path), request.username or "")
        except EditLabError:
            yield {"workspace-bundle": ""}
            raise
        yield {"workspace-bundle": ""}
        text = (
            f"“{room.name}” is here, private, with all its events under an id of its own; the last one notes which chain it "
            "comes from."
        )
        yield from self._enter(visitor, room, (rephrases, neighbours), text, request)

    @handler(Cost(files=1))
    def verify(self, visitor: Any, request: gr.Request) -> Updates:
        """Is everything of this workspace what was written? Updates: workspace-verified."""
        room, _ = self.here(visitor, request)
        report = archive.verify(self.lab.ledger, room.id)
        folder = f"{self.lab.ledger.tensors.folder}/"
        faults = [fault.replace(f"Workspace {room.id!r}: ", "").replace(folder, "") for fault in report.faults]
        yield {"workspace-verified": table.verified(report, faults)}

    @handler(FREE)
    def describe(self, visitor: Any, format: Any, request: gr.Request) -> Updates:
        """A form of export was chosen: what it holds, and what it leaves out here. Updates: workspace-format-said."""
        _, workspace = self.here(visitor, request)
        yield {"workspace-format-said": self._described(workspace, str(format))}

    @handler(Cost(files=1))
    def export(self, visitor: Any, format: Any, request: gr.Request) -> Updates:
        """The edits that are on shall be written in a form that others take. Updates: workspace-jobs, message."""
        (room, workspace), format, lab = self.here(visitor, request), str(format), self.lab
        self._format(format)
        exports.notes(workspace, format)
        folder = lab.downloads.place()
        name = f"{_slug(room.name)}-{format}"

        def work(progress: JobProgress, cancel: Cancel) -> str:
            exports.export(workspace, format, folder / name, progress, cancel)
            progress(0.9, "packing")
            path = Path(shutil.make_archive(str(folder / name), "zip", folder, name))
            shutil.rmtree(folder / name)
            token = lab.downloads.offer(room.id, path)
            progress.note(result={"download": token})
            return token

        job = workspace.submit(work, "export", title=f"{format}: {room.name}")
        yield self._jobs(self.visitor(visitor, request))
        yield from self.follow(workspace, job)
        token = job.result()
        yield {
            "progress": "",
            "message": render.message("The export is made: download it below."),
            "workspace-format-said": table.link(token, f"Download {name}.zip"),
            **self._jobs(self.visitor(visitor, request)),
        }

    @handler(FREE)
    def look_at_jobs(self, visitor: Any, request: gr.Request) -> Updates:
        """The page looks how far its jobs are. Updates: workspace-jobs; the edits once nothing runs any more."""
        shown = self._jobs(self.visitor(visitor, request))
        _, workspace = self.here(visitor, request)
        quiet = "data-open" not in shown["workspace-jobs"]
        yield shown | ({**self._stack(workspace), **self.buttons(workspace)} if quiet else {})

    @handler(FREE)
    def job(self, visitor: Any, event: gr.EventData, request: gr.Request) -> Updates:
        """Stop or Resume was pressed beside a job. Updates: workspace-jobs, message."""
        name, (_, workspace) = self.visitor(visitor, request), self.here(visitor, request)
        action, id = forms.read_pressed(event, "press"), forms.read_pressed(event, "job")
        if action == "cancel":
            self.lab.jobs.cancel(name, id, self.by(request))
        elif action == "resume":
            self.lab.limits.spend(Cost(edits=MOST_ROWS, files=1))
            self.lab.jobs.resume(name, id, workspace)
        else:
            raise BadRequest("This button is not on the page any more. Reload the page.")
        yield {
            "message": render.message("Stopping …" if action == "cancel" else "It goes on from where it was."),
            **self._jobs(self.visitor(visitor, request)),
            **self.buttons(workspace),
        }

    def _described(self, workspace: Any, name: str) -> str:
        return render.message(" ".join([self._format(name).holds, *exports.notes(workspace, name)]))

    def _format(self, name: str) -> Format:
        """Return the format of this name. Raises `BadRequest` where there is none, or a public demo does not write it."""
        found = format_named(name)
        if self.lab.limits.demo and not found.in_demo:
            raise BadRequest("Whole models are not written on this public demo. Take the adapter.")
        return found


def _slug(name: str) -> str:
    """A workspace's name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40] or "workspace"
