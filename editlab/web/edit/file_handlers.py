"""What happens when somebody gives a file of edits: it is looked over at once, and applied when they say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.lab import EditFile, Workspace, look_over
from editlab.lab.access.limits import Cost
from editlab.lab.workspaces import edits
from editlab.web.core import forms, render
from editlab.web.core.handlers import BATTERY, Update, Updates, handler
from editlab.web.edit import edit_list, file_panel, file_words
from editlab.web.edit.handlers import EditHandlers


class ManyHandlers(EditHandlers):
    """The handlers of the Edit tab, with those of its file."""

    @handler(Cost(prompts=20))
    def look_over(self, visitor: Any, path: Any, skip: Any, method: Any, *settings: Any) -> Updates:
        """A file was given, or how it shall be applied has changed. Updates: many-said, many-skip, many-apply."""
        *settings, request = settings
        if not path:
            yield {"many-said": file_panel.HINT, "many-skip": gr.update(visible=False, value=False), **_button(0)}
            return
        yield {"many-said": file_panel.READING, **_button(0)}
        try:
            yield self._looked_over(self.workspace(visitor, request), self._file(path), bool(skip), method, settings)
        except EditLabError as error:
            yield {
                "many-said": file_panel.sentence(str(error), "problem heard"),
                "many-skip": gr.update(visible=False, value=False),
                **_button(0),
            }

    @handler(Cost(files=1, prompts=BATTERY, changes=1))
    def apply_many(
        self,
        visitor: Any,
        rephrases: Any,
        neighbours: Any,
        path: Any,
        skip: Any,
        batch: Any,
        method: Any,
        *settings: Any,
    ) -> Updates:
        """Apply a file's edits, batch by batch; then show the question of the last batch.

        The last input is the reason. Updates as `apply`, many-said.
        """
        *settings, reason, request = settings
        workspace, own = self.workspace(visitor, request), (rephrases, neighbours)
        yield {"message": render.message("The file is looked over.")}
        file = self._file(path)
        if file.faults and not skip:
            raise BadRequest("Some rows cannot be edited. Mend them, or leave them out: tick the box below the file.")
        config = forms.read_config(self.lab.methods(), str(method), settings)
        there = edits.applied_of(workspace, file, str(method), config).done
        self.lab.limits.spend(Cost(edits=len(file.rows) - there))
        job = edits.apply_many(workspace, file, str(method), config, forms.read_batch(batch), forms.read_reason(reason))
        yield self._running(f"Applying {file.name}. Stop keeps what is done; live questions are answered between batches.")

        def draw(done: Any) -> Update:
            return {"many-said": file_panel.so_far(done), "edits": edit_list.edits(workspace.records)}

        yield from self.follow(workspace, job, draw)
        try:
            ended = file_words.at_end(job.result())
            text = f"{file.name} is applied. This is the first edit of its last batch."
        except Cancelled as stopped:
            ended = text = str(stopped)
        except EditLabError:
            yield self._stack(workspace)
            raise
        yield self._looked_over(workspace, file, bool(skip), method, settings)
        yield {"many-said": file_panel.sentence(ended)}
        yield from self._changed(workspace, text, own)

    def _file(self, path: Any) -> EditFile:
        """The file that was given, looked over. Raises `BadRequest` or `BadFile`."""
        if not isinstance(path, str) or not path:
            raise BadRequest("There is no file. Choose one first.")
        file = look_over(self.lab.model, Path(path), Path(path).name)
        self.lab.limits.check_rows(file.count)
        return file

    def _looked_over(self, workspace: Workspace, file: EditFile, skip: bool, method: Any, settings: Any) -> Update:
        config = forms.read_config(self.lab.methods(), str(method), settings)
        there = edits.applied_of(workspace, file, str(method), config).done
        left = len(file.rows) - there if skip or not file.faults else 0
        return {
            "many-said": file_panel.looked_over(file, skip, there),
            "many-skip": gr.update(visible=bool(file.faults and file.rows), value=bool(skip and file.faults)),
            **_button(left),
        }


def _button(left: int) -> Update:
    return {"many-apply": gr.update(value=f"Apply {file_words.edits(left)}" if left else "Apply", interactive=left > 0)}
