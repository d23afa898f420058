"""The handler that makes a report of the edit that is shown, as a file to download."""

from __future__ import annotations

import gradio as gr

from editlab.errors import BadRequest, EditLabError
from editlab.exports import format_named
from editlab.lab.access.limits import Cost
from editlab.lab.asking.answers import find_applied
from editlab.lab.workspaces import exports
from editlab.web.core.handlers import BATTERY, Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import size, tell
from editlab.web.edit import words


class ReportHandlers(Handlers):
    """The handler of the report."""

    @handler(cost=Cost(files=1))
    def report_edit(self, visit: Visit) -> Updates:
        """Ask everything about the edit that is shown, and put it into one file that opens without a network.

        Where something else is shown by then, no link stands beside it: the file is among the jobs.
        """
        info, workspace = visit.workspace_info, visit.workspace
        request = workspace.request
        record = find_applied(workspace.records, request) if request else None
        if record is None:
            raise BadRequest(_(words.NO_REPORT))
        self.lab.limits.spend(Cost(prompts=BATTERY * min(format_named("report").asks, len(record.requests))))
        job = exports.offer(workspace, info, "report", self.lab.downloads, record.id)
        yield {"report-file": pieces.message(_(words.REPORTING), "hint"), "stop": gr.update(interactive=True)}
        yield from follow(workspace, job)
        try:
            path = self.lab.downloads.take(job.result(), None)
        except EditLabError:
            yield {"report-file": ""}
            raise
        now = visit.workspace
        shown = find_applied(now.records, now.request) if now.request else None
        if shown is None or shown.id != record.id:
            text = _(words.REPORTED).format(edit=tell(record.name))
            yield {"message": pieces.message(text), "progress": "", **buttons(now)}
            return
        title = _("Download {file} ({size})").format(file=path.name, size=size(path.stat().st_size))
        link = pieces.download(job.result(), title)
        yield {"report-file": link, "progress": "", **buttons(workspace)}
