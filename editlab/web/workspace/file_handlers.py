"""The handlers of a workspace's files and of the jobs: the check of the ledger, bundles, exports."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from editlab.errors import BadFile, BadRequest, EditLabError
from editlab.exports import FORMATS, format_named
from editlab.lab import Lab, Report, WorkspaceInfo
from editlab.lab.access.limits import FREE, MOST_ROWS, Cost
from editlab.lab.ledger import audit
from editlab.lab.model import integrity
from editlab.lab.workspaces import bundles, exports
from editlab.web.core.engine import said
from editlab.web.core.handlers import BATTERY, Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Id, ModelName, OwnProbes, Pressed, Upload
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.updates import Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import number, size
from editlab.web.workspace import table
from editlab.web.workspace.display import ALL, WorkspaceDisplay

FormatName = Literal[tuple(FORMATS)]


class PressedJob(Pressed):
    """A button of a job."""

    press: Literal["cancel", "resume"]
    job: Id


def refuse_format(workspace_format: FormatName, workspace_only: Id = ALL) -> str:
    """Return what a public demo refuses of an export."""
    if format_named(workspace_format).in_demo:
        return ""
    return _("The format {format} cannot be exported").format(format=workspace_format)


class FileHandlers(Handlers):
    """The handlers of the ledger's check, of bundles and exports, and of the jobs."""

    def __init__(self, lab: Lab, display: WorkspaceDisplay) -> None:
        super().__init__(lab)
        self.display = display

    @handler(cost=Cost(files=1))
    def workspace_verify(self, visit: Visit) -> Updates:
        """Check that all events and files of the workspace are as they were written."""
        info = visit.workspace_info
        report = audit.verify(self.lab.ledger, info.id)
        yield {"workspace-verified": table.verified(report, self._faults(info, report))}

    @handler(cost=Cost(files=1))
    def workspace_check(self, visit: Visit, workspace_checkpoint: ModelName) -> Updates:
        """Hold a checkpoint in a folder of this computer against the loaded model. Only its user gets this far."""
        yield from self._check(visit, workspace_checkpoint)

    @handler(cost=Cost(files=1))
    def workspace_blind(self, visit: Visit, workspace_checkpoint: ModelName) -> Updates:
        """Load the model in a folder of this computer and look for edits in it. Only its user gets this far."""
        yield from self._check(visit, workspace_checkpoint, blind=True)

    @handler(cost=Cost(files=1))
    def workspace_pack(self, visit: Visit) -> Updates:
        """Pack the workspace into a bundle to download."""
        info = visit.workspace_info
        path = self.lab.downloads.new_folder() / f"{exports.file_name(info)}.editlab.zip"
        report = bundles.pack(self.lab.context, info, path)
        token = self.lab.downloads.offer(info.id, path)
        text = ngettext("Download {file} ({size}, {n} event)", "Download {file} ({size}, {n} events)", report.events)
        text = text.format(file=path.name, size=size(path.stat().st_size), n=number(report.events))
        yield {"workspace-bundle": pieces.download(token, text)}

    @handler(cost=Cost(files=1, prompts=BATTERY, changes=1))
    def workspace_import(self, visit: Visit, own: OwnProbes, workspace_file: Upload | None) -> Updates:
        """Import a bundle as a new workspace, and open it."""
        if workspace_file is None:
            raise BadFile(_("No file was received. Choose a bundle (.zip)."))
        yield {"workspace-bundle": pieces.message(_("Checking the bundle …"))}
        try:
            info = bundles.unpack(self.lab.workspaces, visit.visitor, workspace_file, visit.by)
        except EditLabError:
            yield {"workspace-bundle": ""}
            raise
        yield {"workspace-bundle": ""}
        text = _("Imported “{name}” as a private workspace, with all its events under an id of its own.")
        yield from self.display.enter(visit, info, own, text.format(name=info.name))

    @handler(cost=FREE, refused_in_demo=refuse_format)
    def workspace_format(self, visit: Visit, workspace_format: FormatName, workspace_only: Id) -> Updates:
        """Say what an export in this format holds, and what it leaves out."""
        workspace, only = visit.workspace, _only(workspace_only)
        expected, notes = exports.size(workspace, workspace_format, only), exports.notes(workspace, workspace_format, only)
        takes = [] if expected is None else [_("It takes {size}.").format(size=size(expected))]
        text = " ".join([_(format_named(workspace_format).holds), *takes, *map(said, notes)])
        yield {"workspace-format-said": pieces.message(text)}

    @handler(cost=Cost(files=1), refused_in_demo=refuse_format)
    def workspace_export(self, visit: Visit, workspace_format: FormatName, workspace_only: Id) -> Updates:
        """Export the edits that are on, or one of them, into a file to download."""
        info, workspace, only = visit.workspace_info, visit.workspace, _only(workspace_only)
        asked = min(format_named(workspace_format).asks, exports.count_requests(workspace, only))
        self.lab.limits.spend(Cost(prompts=BATTERY * asked))
        job = exports.offer(workspace, info, workspace_format, self.lab.downloads, only)
        yield self.display.jobs(visit)
        yield from follow(workspace, job)
        path = self.lab.downloads.take(job.result(), None)
        text = _("Download {file} ({size})").format(file=path.name, size=size(path.stat().st_size))
        yield {
            "progress": "",
            "message": pieces.message(_("The export is ready. Download it below.")),
            "workspace-format-said": pieces.download(job.result(), text),
            **self.display.jobs(visit),
        }

    @handler(cost=FREE)
    def workspace_jobs(self, visit: Visit) -> Updates:
        """Draw the jobs; once none is running, the edits as well."""
        workspace, rows = visit.workspace, self.lab.jobs.rows(visit.visitor)
        yield self.display.jobs(visit)
        if not any(row.open for row in rows):
            yield {**self.display.edit.edits(workspace), **buttons(workspace)}

    @handler(cost=FREE)
    def workspace_job(self, visit: Visit, pressed: PressedJob) -> Updates:
        """Stop a job or resume it."""
        workspace = visit.workspace
        if pressed.press == "cancel":
            own = self.lab.limits.restricts(visit.asker)
            self.lab.jobs.cancel(visit.visitor, pressed.job, visit.by, own)
        else:
            self.lab.limits.spend(Cost(edits=MOST_ROWS, files=1))
            self.lab.jobs.resume(visit.visitor, pressed.job, workspace)
            yield {"message": pieces.message(_("The job continues from where it was."))}
        yield {**self.display.jobs(visit), **buttons(workspace)}

    def _check(self, visit: Visit, checkpoint: ModelName, blind: bool = False) -> Updates:
        place = checkpoint.strip()
        if not place:
            raise BadRequest(_("Write the folder of a checkpoint or a LoRA first."))
        workspace = visit.workspace
        job = integrity.start(workspace, Path(place), blind)
        yield {"workspace-checked": "", **buttons(workspace)}
        yield from follow(workspace, job)
        yield {"progress": "", "workspace-checked": table.checked(job.result()), **buttons(workspace)}

    def _faults(self, info: WorkspaceInfo, report: Report) -> list[str]:
        """Return a report's faults without the workspace's id and the server's folder, which are not for visitors."""
        own = (f"Workspace {info.id!r}: ", f"{self.lab.ledger.tensors.folder}/")
        faults = list(report.faults)
        for text in own:
            faults = [fault.replace(text, "") for fault in faults]
        return faults


def _only(chosen: str) -> str:
    """Return the id of the edit that is exported alone; empty for all."""
    return "" if chosen == ALL else chosen
