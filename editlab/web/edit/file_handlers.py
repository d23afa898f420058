"""The handlers of edits from a file: it is checked as soon as it is chosen, and applied when the visitor says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import gradio as gr
from markupsafe import Markup
from pydantic import Field

from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.lab import MOST_BATCH, EditFile, FileProgress, Lab, Workspace
from editlab.lab.access.limits import Cost
from editlab.lab.workspaces import edits
from editlab.web.core import forms
from editlab.web.core.display import EditDisplay
from editlab.web.core.engine import said
from editlab.web.core.forms import Method, Settings
from editlab.web.core.handlers import BATTERY, Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Inputs, OwnProbes, Reason, Upload
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Update, Updates, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import number
from editlab.web.edit import edit_list, file_words

SHOWN_FAULTS = 50
SHOWN_NOTES = 10
BatchSize = Annotated[int, Field(ge=1, le=MOST_BATCH)]


class FileFields(Inputs):
    """A file of edits, whether its invalid rows are skipped, and whether what their faults propose is taken."""

    file: Upload | None = Field(alias="many-file")
    skip: bool = Field(alias="many-skip")
    take: bool = Field(alias="many-take")


class FileHandlers(Handlers):
    """The handlers of edits from a file."""

    def __init__(self, lab: Lab, display: EditDisplay) -> None:
        super().__init__(lab)
        self.display = display

    @handler(cost=Cost(prompts=20))
    def check_file(self, visit: Visit, chosen: FileFields, many_method: Method, settings: Settings) -> Updates:
        """Check the file that is chosen, by the method and the settings that are chosen."""
        hidden = gr.update(visible=False, value=False)
        if chosen.file is None:
            yield {"many-said": hint(), "many-skip": hidden, "many-take": hidden, **_button(0)}
            return
        yield {"many-said": pieces.message(_(file_words.CHECKING), "hint"), **_button(0)}
        try:
            config = forms.read_settings(self.lab.methods(), many_method, settings)
            yield self._checked(visit.workspace, self._read(chosen), chosen, many_method, config)
        except EditLabError as error:
            told = pieces.message(said(error), "problem heard")
            yield {"many-said": told, "many-skip": hidden, "many-take": hidden, **_button(0)}

    @handler(cost=Cost(files=1, prompts=BATTERY, changes=1))
    def apply_file(
        self,
        visit: Visit,
        own: OwnProbes,
        chosen: FileFields,
        many_batch: BatchSize | None,
        many_method: Method,
        settings: Settings,
        why: Reason,
    ) -> Updates:
        """Apply the edits of a file, batch by batch; then show the first question of the last batch."""
        workspace = visit.workspace
        yield {"message": pieces.message(_(file_words.CHECKING))}
        file = self._read(chosen)
        if file.faults and not chosen.skip:
            raise BadRequest(_("Some rows are not valid. Correct them, or tick “Skip invalid rows” below the file."))
        if many_batch is None:
            text = _("There is no batch size. Write a whole number from 1 to {most}.")
            raise BadRequest(text.format(most=number(MOST_BATCH)))
        config = forms.read_settings(self.lab.methods(), many_method, settings)
        before = edits.file_progress(workspace, file, many_method, config).done
        self.lab.limits.spend(Cost(edits=len(file.rows) - before))
        job = edits.apply_many(workspace, file, many_method, config, many_batch, forms.read_reason(why))
        text = _("Applying {file}. Stop keeps the batches that are done.")
        yield self.display.running(text.format(file=file.name))

        def draw(now: FileProgress) -> Update:
            return {"many-said": describe(file_words.so_far(now)), "edits": edit_list.edits(workspace.records)}

        yield from follow(workspace, job, draw)
        try:
            result = file_words.at_end(job.result())
            text = _("{file} is applied. This is the first edit of its last batch.").format(file=file.name)
        except Cancelled as stopped:
            result = text = str(stopped)
        except EditLabError:
            yield self.display.edits(workspace)
            raise
        yield {**self._checked(workspace, file, chosen, many_method, config), "many-said": describe(result), "why": ""}
        yield from self.display.changed(workspace, text, own)

    def _read(self, chosen: FileFields) -> EditFile:
        """Return the file that is chosen, checked. Raises `BadRequest` or `BadFile`."""
        if chosen.file is None:
            raise BadRequest(_("There is no file. Choose one first."))
        file = self.lab.read_edit_file(chosen.file, Path(chosen.file).name, chosen.take)
        self.lab.limits.check_rows(file.count)
        return file

    def _checked(
        self, workspace: Workspace, file: EditFile, chosen: FileFields, method: str, config: dict[str, Any]
    ) -> Update:
        skip, proposed = chosen.skip, any(fault.proposal for fault in file.faults)
        before = edits.file_progress(workspace, file, method, config).done
        left = len(file.rows) - before if skip or not file.faults else 0
        return {
            "many-said": describe_file(file, skip, before),
            "many-skip": gr.update(visible=bool(file.faults and file.rows), value=bool(skip and file.faults)),
            "many-take": gr.update(visible=proposed or chosen.take),
            **_button(left),
        }


def hint() -> Markup:
    """Return which files are accepted."""
    return render("edit/file_hint.html", hint=_(file_words.HINT))


def describe(text: str) -> Markup:
    """Return a sentence about a file."""
    return pieces.finding(text, "finding small")


def describe_file(file: EditFile, skip: bool, applied: int = 0) -> Markup:
    """Return as what a file was read, which of its edits are valid, and why the others are not."""
    notes = file_words.notes(file)
    return render(
        "edit/file.html",
        text=file_words.checked(file, skip, applied),
        notes=notes[:SHOWN_NOTES],
        more_notes=max(0, len(notes) - SHOWN_NOTES),
        faults=file.faults[:SHOWN_FAULTS],
        more=max(0, len(file.faults) - SHOWN_FAULTS),
    )


def _button(left: int) -> Update:
    return {"many-apply": gr.update(value=file_words.apply_label(left), interactive=left > 0)}
